"""Does a change leave every film as it was?  python -m benchmarks.same_frames OTHER_CHECKOUT

Each command below is run here and in another checkout (`git worktree add ../before REV`), and
what it wrote is compared: films frame by frame as they decode, everything else byte by byte. Prints
a table, writes JSON with --json, and ends with status 1 where anything differs. For moves of code
that must not change a picture; a change that should, shows here which films it reaches.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
TRUE_DEPTH = "--depth images/example_disparity.png"
SMALL = "--max-size 512 --duration 0.6"
COMMANDS = {
    "photo": "--duration 0.6 --save-disparity",
    "classic length": "--max-size 384",
    "depth": f"{TRUE_DEPTH} {SMALL}",
    "windows": f"{TRUE_DEPTH} {SMALL} --startU 500 --startV 380 --startW 800 --endU 600 "
    "--endV 420 --endW 500",
    "dolly": f"{TRUE_DEPTH} {SMALL} --dolly",
    "automatic zoom": f"{TRUE_DEPTH} {SMALL} --autozoom",
    "flat": f"{SMALL} --2d --endU 400 --endV 300 --endW 500",
    "one way, eased": f"{TRUE_DEPTH} {SMALL} --loop none --easing smooth",
    "stereo": f"{TRUE_DEPTH} {SMALL} --stereo sbs",
    "anaglyph": f"{TRUE_DEPTH} {SMALL} --stereo anaglyph",
    "matte": f"{TRUE_DEPTH} {SMALL} --matte",
    "portrait": f"{TRUE_DEPTH} {SMALL} --size 360x640",
    "few holes": f"{TRUE_DEPTH} {SMALL} --dolly --max-holes 10",
    "frames and preview": f"{TRUE_DEPTH} {SMALL} --write-frames --preview",
    "points": f"{TRUE_DEPTH} {SMALL} --export scene.ply",
    "focal length": f"{SMALL} --focal 900",
    "h265": f"{TRUE_DEPTH} {SMALL} --codec h265",
    "vp9": f"{TRUE_DEPTH} {SMALL} --codec vp9",
    "gif": f"{TRUE_DEPTH} {SMALL} --codec gif",
}


def classic(checkout, flags):
    """Flags that keep the default move at the one between windows, where there are others."""
    known = subprocess.run(
        [sys.executable, "kbe.py", "--help"],
        cwd=checkout,
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    ).stdout
    told = any(flag in flags for flag in ("--start", "--end", "--dolly", "--autozoom", "--2d"))
    return [] if told or "--move" not in known else ["--move", "windows"]


def results_of(checkout, flags):
    """Run kbe.py of a checkout on the example; return {name of a result: digest of its content}."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                sys.executable,
                "kbe.py",
                "--in",
                "images/example.jpg",
                "--out",
                folder,
                "--quiet",
                *flags.split(),
                *classic(checkout, flags),
            ],
            cwd=checkout,
            check=True,
            capture_output=True,
        )
        return {
            str(path.relative_to(folder)): _digest(path)
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file()
        }


def _digest(path):
    """SHA-256 of the frames of a film, in order; of the bytes of anything else."""
    if path.suffix not in (".mp4", ".webm", ".gif", ".mov", ".mkv"):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    from utils.film.containers import open_container

    content = hashlib.sha256()
    with open_container(path) as film:
        for frame in film.decode(video=0):
            content.update(frame.to_ndarray(format="rgb24").tobytes())
    return content.hexdigest()


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="checkout to compare with")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=COMMANDS,
        metavar="NAME",
        help=f"run only these of: {', '.join(COMMANDS)}",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the digests there")
    args = parser.parse_args(argv)
    found, different = {}, 0
    for name in args.only or COMMANDS:
        here, there = (results_of(checkout, COMMANDS[name]) for checkout in (HERE, args.other))
        changed = sorted(
            result for result in here.keys() | there.keys() if here.get(result) != there.get(result)
        )
        found[name] = {"here": here, "there": there}
        different += bool(changed)
        print(
            f"{name:20} {'same' if not changed else 'differs: ' + ', '.join(changed)}", flush=True
        )
    if args.json:
        args.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
