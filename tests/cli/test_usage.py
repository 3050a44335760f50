"""Wrong usage ends with status 2 before any work, and says what to type."""

import numpy as np
import pytest
from kbe_runs import run

from utils.film.codecs import CODECS, CODECS_BY_SUFFIX
from utils.film.photos import write_image


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--endU", "90", "--endW", "40"], "the end window leaves the image"),
        (["--startW", "0", "--startH", "0"], "the start window is empty"),
        (["--startW", "nan"], "--startW must be a finite number"),
        (["--2d", "--dolly"], "contradictory flags: --2d and --dolly"),
        (["--2d", "--depth", "d.png"], "--2d and --depth"),
        (["--2d", "--autozoom"], "--2d and --autozoom"),
        (["--2d", "--stereo", "sbs"], "--2d and --stereo"),
        (["--2d", "--max-holes", "1"], "--2d and --max-holes"),
        (["--max-holes", "0"], "--max-holes must lie between 0 and 100"),
        (["--max-holes", "nan"], "--max-holes must lie between 0 and 100"),
        (
            ["--export", "scene.obj"],
            "--export must end in one of .ply (points)",
        ),
        (["--dolly", "--autozoom"], "--dolly and --autozoom"),
        (["--autozoom", "--endU", "40"], "--autozoom and --endU"),
        (["--depth", "d.png", "--estim-path", "x"], "--depth and --estim-path"),
        (["--depth-kind", "depth"], "--depth-kind without --depth"),
        (["--ray-gpus", "0.5"], "--ray-gpus without --ray"),
        (["--ray-cpus", "2"], "--ray-cpus without --ray"),
        (["--ray", "--ray-gpus", "-1"], "--ray-gpus must be 0 or more"),
        (["--ray", "--ray-cpus", "0"], "--ray-cpus must be at least 1"),
        (["--verbose", "--quiet"], "--verbose and --quiet"),
        (["--size", "97x72"], "Use 96x72"),
        (["--size", "big"], "--size must be WIDTHxHEIGHT"),
        (["--size", "8x8"], "--size must lie in"),
        (["--fps", "0"], "--fps must be"),
        (["--fps", "1/0"], "--fps must be"),
        (["--fps", "nan"], "--fps must be"),
        (["--duration", "-1"], "--duration must be positive"),
        (["--duration", "0.01"], "has no motion"),
        (["--max-size", "3"], "--max-size must be 0 or at least 16"),
        (["--focal", "0"], "--focal must be positive"),
        (["--quality", "99"], "the quality of h264 is a whole number from 0 (best) to 51"),
        (["--codec", "gif", "--fps", "60"], "a GIF shows at most 50 frames a second"),
        (["--codec", "mpeg2"], "invalid choice"),
        (["--unknown"], "unrecognized arguments"),
        (["--device", "cuda"], "--device cuda: "),
    ],
)
def test_wrong_usage_exits_2_before_any_work(photo, tmp_path, capsys, flags, message):
    if flags == ["--device", "cuda"]:
        import torch

        if torch.cuda.is_available():
            pytest.skip("there is a CUDA device here")
    deep = {"--2d", "--dolly", "--autozoom", "--depth", "--max-holes"}
    flat = [] if deep & set(flags) else ["--2d"]
    assert run("--in", photo, "--out", tmp_path / "o", *flat, *flags) == 2
    out = capsys.readouterr()
    assert message in out.err
    assert "Traceback" not in out.err
    assert out.out == ""
    assert not (tmp_path / "o").exists()


def test_a_photo_too_small_for_the_codec_is_refused_before_any_work(photo, tmp_path, capsys):
    write_image(photo, np.zeros((20, 20, 3), np.uint8))
    assert run("--in", photo, "--out", tmp_path / "o", "--2d", "--codec", "av1") == 2
    assert "av1 takes sides of 32 to 8704 px" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_codec_must_fit_the_file_name(photo, tmp_path, capsys):
    assert run("--in", photo, "--out", tmp_path / "a.gif", "--2d", "--codec", "h264") == 2
    assert "--codec h264 does not go into a .gif file" in capsys.readouterr().err


def test_every_container_lists_the_codecs_that_it_takes():
    assert CODECS_BY_SUFFIX[".mp4"][0] == "h264" and CODECS_BY_SUFFIX[".mov"][0] == "prores"
    for suffix, codecs in CODECS_BY_SUFFIX.items():
        assert set(codecs) == {name for name, codec in CODECS.items() if suffix in codec.suffixes}


@pytest.mark.parametrize("flag", ["--estim-path", "--refine-path", "--inpaint-path"])
def test_weights_that_would_not_be_used_are_refused(photo, depth, tmp_path, capsys, flag):
    assert run("--in", photo, "--out", tmp_path, "--2d", flag, "x") == 2
    assert f"--2d and {flag}" in capsys.readouterr().err
    if flag != "--inpaint-path":
        assert run("--in", photo, "--out", tmp_path, *depth, flag, "x") == 2
        assert f"--depth and {flag}" in capsys.readouterr().err


@pytest.mark.parametrize("flag", [["--endU", "50"], ["--startW", "60"], ["--2d"], ["--dolly"]])
def test_asking_for_a_planned_shot_and_for_another_move_is_refused(photo, tmp_path, flag, capsys):
    assert run("--in", photo, "--out", tmp_path / "o", "--move", "auto", *flag) == 2
    said = capsys.readouterr().err
    assert "contradictory flags" in said and "--move auto" in said and flag[0] in said


def test_advice_names_the_number_that_was_given(photo, tmp_path, capsys):
    for given, named in (("--startW", "--startW"), ("--startH", "--startH")):
        assert run("--in", photo, "--out", tmp_path, "--2d", given, 900) == 2
        assert f"Make {named} smaller" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--startW", "--startH", "--endW", "--endH"])
@pytest.mark.parametrize("value", ["0", "-5", "0.5"])
def test_a_window_without_an_area_is_refused_before_any_photo(photo, tmp_path, flag, value, capsys):
    assert run("--in", photo, photo, "--out", tmp_path / "o", f"{flag}={value}") == 2
    assert not (tmp_path / "o").exists()
    assert f"window is empty: {flag} {value}." in capsys.readouterr().err
