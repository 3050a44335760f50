"""What a fresh checkout needs: inline metadata for uv, the container's recipe, --version."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from utils import __version__

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ("kbe.py", "train.py")
# As PEP 723 writes it.
METADATA = r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$"


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def required():
    """Lines of requirements.txt that are packages."""
    lines = (line.partition("#")[0].strip() for line in read("requirements.txt").splitlines())
    return [line for line in lines if line]


@pytest.mark.parametrize("program", PROGRAMS)
def test_inline_metadata_says_what_the_requirements_say(program):
    (block,) = re.finditer(METADATA, read(program))
    assert block["type"] == "script"
    metadata = tomllib.loads(re.sub(r"(?m)^# ?", "", block["content"]))
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert metadata == {
        "requires-python": project["requires-python"],
        "dependencies": required(),
    }


@pytest.mark.parametrize("program", PROGRAMS)
def test_version_is_told_before_anything_heavy_is_loaded(program):
    command = [sys.executable, "-X", "importtime", str(ROOT / program), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{program} {__version__}\n"
    assert not re.search(r"\| +(torch|numpy|cv2|av|numba|accelerate)$", done.stderr, re.MULTILINE)


def test_the_container_has_what_it_copies_and_leaves_out_what_it_need_not():
    copied = re.findall(r"^COPY (\S+) ", read("Dockerfile"), re.MULTILINE)
    assert copied == ["requirements.txt", "."]
    left_out = [line for line in read(".dockerignore").splitlines() if line[0] != "!"]
    needed = {"kbe.py", "models", "kernels", "utils", "images", "requirements.txt"}
    assert not needed & set(left_out) and {".git", "data", "tests"} <= set(left_out)
    # The flags of the film that compiles the kernels are still flags.
    (words,) = re.findall(r"^RUN python kbe\.py (.*?)(?: \\)?$", read("Dockerfile"), re.MULTILINE)
    from utils.cli.flags import parse_settings

    assert parse_settings(words.split()).preview
