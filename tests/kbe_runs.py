"""How tests run kbe.py: in this process or as one of its own; and what it left."""

import subprocess
import sys
from pathlib import Path

import av

import kbe

ROOT = Path(__file__).resolve().parents[1]
SHORT = ["--duration", "0.24"]  # six frames
CLASSIC_DOLLY = ["--startW", "76", "--endW", "28"]  # as published, of a photo of 96x72


def run(*arguments):
    """Run kbe.py in this process; return its exit status."""
    try:
        return kbe.main([str(a) for a in arguments])
    except SystemExit as exit_:  # argparse
        return exit_.code


def spawn(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, str(ROOT / "kbe.py"), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def decoded(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def leftovers(folder):
    return [path.name for path in Path(folder).rglob("*") if path.name.startswith(".partial")]
