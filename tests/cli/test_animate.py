"""animate(): one call from Python that makes what the command line makes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import kbe
from kbe import animate
from utils.film.photos import write_image

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"max_size": 128, "duration": 0.4, "loop": "none", "fps": 10}
RNG = np.random.default_rng(0)


def frames_of(path):
    with av.open(str(path)) as film:
        return [frame.to_ndarray() for frame in film.decode(video=0)]


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    write_image(path, RNG.integers(0, 255, (96, 128, 3), np.uint8))
    return path


def test_it_makes_what_the_command_line_makes(tmp_path, photo, capsys):
    words = [
        word
        for name, value in QUICK.items()
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    assert (
        kbe.main(
            ["--in", str(photo), "--out", str(tmp_path / "typed.mp4"), "--json", "--dolly", *words]
        )
        == 0
    )
    typed = json.loads(capsys.readouterr().out)
    called = animate(photo, tmp_path / "called.mp4", dolly=True, **QUICK)

    assert called.keys() == typed.keys()
    assert json.loads(json.dumps(called)) == called, "it is what --json would print"
    same = called.keys() - {"video", "seconds", "files"}
    assert {name: called[name] for name in same} == {name: typed[name] for name in same}
    first, second = frames_of(tmp_path / "typed.mp4"), frames_of(called["video"])
    assert len(first) == called["frames"] == 4
    np.testing.assert_array_equal(first, second)


def test_the_readmes_block_runs_as_pasted(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    with Image.open(ROOT / "images" / "example.jpg") as example:  # small: a film takes a second
        example.reduce(6).save(tmp_path / "photo.jpg")
    done = subprocess.run(
        [sys.executable, "-c", block],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**__import__("os").environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert len(frames_of(tmp_path / "film.mp4")) == 100
    assert done.stdout.split()[-2:] == [str(Path("film.mp4")), "100"]


def test_unknown_settings_name_the_near_one(tmp_path, photo):
    with pytest.raises(TypeError, match="no setting 'durations'.*'duration'"):
        animate(photo, tmp_path / "film.mp4", durations=4)
    assert not (tmp_path / "film.mp4").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("fps", 900), ("duration", -1), ("size", "13x16"), ("codec", "divx"), ("max_holes", 100)],
)
def test_bad_values_get_the_command_lines_message(tmp_path, photo, capsys, name, value):
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(SystemExit):
        kbe.main(["--in", str(photo), "--out", str(tmp_path / "o"), f"{flag}={value}"])
    typed = capsys.readouterr().err
    with pytest.raises(ValueError) as called:
        animate(photo, tmp_path / "o", **{name: value})
    assert flag in str(called.value)
    said = str(called.value).removeprefix(flag).lstrip(": ")
    assert said.replace("'", "") in typed.replace("'", "")


def test_contradictions_get_the_command_lines_message(tmp_path, photo, capsys):
    with pytest.raises(SystemExit):
        kbe.main(["--in", str(photo), "--out", str(tmp_path / "o"), "--2d", "--dolly"])
    typed = capsys.readouterr().err
    with pytest.raises(ValueError, match="contradictory flags") as called:
        animate(photo, tmp_path / "o", flat=True, dolly=True)
    assert str(called.value) in typed
