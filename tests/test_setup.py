"""What a fresh checkout needs: inline metadata for uv, the container's recipe, --version."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path, PurePath

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


def recipe():
    """Instructions of the Dockerfile as (WORD, the rest on one line)."""
    lines = re.sub(r"(?m)^#.*\n", "", read("Dockerfile")).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in lines.splitlines() if line.strip()]


def left_out(name):
    """Whether .dockerignore keeps a file of the checkout out of the container."""
    out = False
    for line in read(".dockerignore").splitlines():
        pattern = line.removeprefix("!")
        parts = ("/".join(name.split("/")[: k + 1]) for k in range(name.count("/") + 1))
        if any(PurePath(part).match(pattern) for part in parts):
            out = not line.startswith("!")
    return out


def test_the_container_is_made_of_the_same_things_as_any_other_set_up():
    steps = recipe()
    words = [word for word, _ in steps]
    assert words[0] == "FROM" and words[-1] == "ENTRYPOINT" and set(words) <= {
        "FROM", "WORKDIR", "COPY", "RUN", "ENV", "ENTRYPOINT",
    }  # fmt: skip
    version = tuple(map(int, re.search(r"python:(\d+)\.(\d+)", steps[0][1]).groups()))
    lowest = tomllib.loads(read("pyproject.toml"))["project"]["requires-python"]
    assert version >= tuple(map(int, lowest.removeprefix(">=").split(".")))
    install, film = (rest for word, rest in steps if word == "RUN")
    assert re.search(r"uv pip install .*--torch-backend=cpu -r requirements\.txt", install)
    # What is installed is kept from build to build: it comes before the sources.
    assert [rest for word, rest in steps if word == "COPY"] == ["requirements.txt .", ". ."]
    assert words.index("RUN") < len(words) - 1 - words[::-1].index("COPY")
    # Whoever runs it may read what root has built.
    assert film.endswith("chmod -R a+rX /kbe")
    assert steps[-1][1] == '["python", "/kbe/kbe.py"]'


def test_the_container_has_what_the_program_needs_and_little_else():
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    if not listed:
        pytest.skip("needs a checkout by git")
    kept = {name for name in listed.split("\0") if name and not left_out(name)}
    for folder in ("kernels", "models", "utils", "images"):
        there = {name for name in listed.split("\0") if name.startswith(f"{folder}/")}
        assert there and there <= kept
    assert {"kbe.py", "train.py", "data_loader.py", "requirements.txt"} <= kept
    for name in ("tests/conftest.py", "benchmarks/render.py", ".git/config", ".ci/run"):
        assert left_out(name)
    assert left_out("kernels/__pycache__/a.pyc") and left_out("models/trained/a.tar")


def test_the_film_that_compiles_the_containers_kernels_can_be_made():
    (film,) = (rest for word, rest in recipe() if word == "RUN" and "kbe.py" in rest)
    words = film.partition("&&")[0].split()
    assert words[:2] == ["python", "kbe.py"]
    from utils.cli.command_line import parse_settings

    settings = parse_settings(words[2:])
    assert settings.preview and settings.matte and Path(ROOT / settings.inputs[0]).is_file()
