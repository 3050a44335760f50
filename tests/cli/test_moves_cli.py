"""--move, --strength and --focus from the command line to the film."""

import json

import numpy as np
import pytest

import kbe
from utils.camera import MOVES
from utils.cli.flags import parse_settings
from utils.film import read_image, write_image
from utils.film.video import read_metadata

SHORT = ("--duration", "0.24", "--fps", "25", "--codec", "h264")


@pytest.fixture
def photo(tmp_path):
    """A disc before a wall, 96x72, its disparity beside it."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:72, :96]
    disc = (rows - 36) ** 2 + (columns - 50) ** 2 < 14**2
    pixels = np.where(disc[..., None], (200, 70, 60), (60, 140, 90)) + rng.normal(0, 9, (72, 96, 3))
    write_image(tmp_path / "photo.png", pixels.clip(0, 255).astype(np.uint8))
    write_image(tmp_path / "photo_disparity.png", np.where(disc, 220, 90).astype(np.uint8))
    return tmp_path / "photo.png"


def run(photo, *words, out="o", short=SHORT, depth=True):
    given = ["--in", photo, "--out", photo.parent / out, "--json", *short, *words]
    if depth:
        given += ["--depth", photo.parent / "photo_disparity.png"]
    try:
        return kbe.main([str(word) for word in given])
    except SystemExit as end:
        return end.code


def settings_of(*words):
    return parse_settings(["--in", "a.png", "--out", "o", *words])


@pytest.mark.parametrize("move", MOVES)
def test_every_move_makes_a_film_that_invents_little(photo, move, capsys):
    assert run(photo, "--move", move, "--write-frames", "--matte") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["frames"] == 6
    assert result["invented"] < 0.13
    frames = [read_image(path).pixels for path in sorted((photo.parent / "o/frames").iterdir())]
    assert len(frames) == (6 if MOVES[move].closed else 4)
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 1, "something moves"


def test_moves_go_with_two_eyes_other_shapes_and_few_holes(photo, capsys):
    words = ("--move", "orbit", "--stereo", "sbs", "--size", "64x96", "--max-holes", "3")
    assert run(photo, *words, "--preview", "--matte") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["width"], result["height"]) == (128, 96)
    assert result["invented"] <= 0.03


def test_closed_move_lasts_as_long_as_any_and_closes(photo, capsys):
    assert run(photo, "--move", "swing", short=(), out="s.mp4") == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 148


@pytest.mark.parametrize(
    ("words", "move"),
    [
        ([], "auto"),
        (["--endW", "50"], "windows"),
        (["--autozoom"], "windows"),
        (["--2d"], "windows"),
        (["--dolly"], "dolly"),
        (["--move", "dolly"], "dolly"),
        (["--dolly", "--endW", "50"], "dolly"),
        (["--2d", "--move", "left"], "left"),
    ],
)
def test_windows_mean_the_move_between_them(words, move):
    settings = settings_of(*words)
    assert settings.move == move
    assert settings.dolly == (move == "dolly")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--2d", "--move", "orbit"], "--2d and --move orbit: it lives of depth"),
        (["--2d", "--move", "dolly"], "--2d and --move dolly"),
        (["--dolly", "--move", "left"], "--dolly and --move left"),
        (["--autozoom", "--move", "circle"], "--autozoom and --move circle"),
        (["--endW", "50", "--move", "auto"], "--endW and --move auto"),
        (["--startU", "50", "--move", "orbit"], "--startU and --move orbit"),
        (["--strength", "2", "--endU", "50"], "--strength and --endU"),
        (["--strength", "2", "--move", "windows"], "--strength and --move windows"),
        (["--strength", "3"], "must lie in 0.5..2"),
        (["--focus", "3"], "must be U,V"),
        (["--focus", "3,nan"], "must be two finite numbers"),
        (["--move", "spin"], "invalid choice"),
    ],
)
def test_moves_that_contradict_are_refused(words, message, capsys):
    with pytest.raises(SystemExit) as end:
        settings_of(*words)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_focus_outside_the_photo_is_refused(photo, capsys):
    assert run(photo, "--focus", "97,10") != 0
    assert "the focus (97, 10) lies outside the image of 96x72" in capsys.readouterr().err


def test_dry_run_says_move_strength_and_focus(photo, capsys):
    words = ("--move", "orbit", "--strength", "1.5", "--focus", "30,20", "--dry-run")
    assert run(photo, *words) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["move"], said["strength"], said["focus"]) == ("orbit", 1.5, [30, 20])
    assert said["start"] == said["end"] == "chosen by the depth"


def test_like_takes_move_strength_and_focus_over(photo, capsys):
    words = ("--move", "swing", "--strength", "0.5", "--focus", "24,18")
    assert run(photo, *words, out="first.mp4") == 0
    film = photo.parent / "first.mp4"
    assert read_metadata(film)["shares"] == {"focusU": 0.25, "focusV": 0.25}
    large = photo.parent / "large.png"
    write_image(large, np.zeros((144, 192, 3), np.uint8))
    capsys.readouterr()
    words = ("--like", film, "--dry-run")
    assert run(large, *words, short=(), depth=False) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["move"], said["strength"], said["focus"]) == ("swing", 0.5, [48, 36])
    other = settings_of("--like", str(film), "--endW", "50")
    assert (other.move, other.strength) == ("windows", 1)
    assert settings_of("--like", str(film), "--focus", "3,4").shares == {}
    assert settings_of("--like", str(film), "--move", "orbit").strength == 0.5
