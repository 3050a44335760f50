"""Windows and planned shots from the command line to the film."""

import json

import numpy as np
import pytest
from kbe_runs import SHORT, decoded, run


def dry_run(capsys, *arguments):
    assert run(*arguments, "--dry-run", "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_dry_run_prints_windows_and_writes_nothing(photo, tmp_path, capsys):
    plan = dry_run(capsys, "--in", photo, "--out", tmp_path / "o", "--2d", "--endU", 45)
    assert plan["start"] == {"center_u": 44.651, "center_v": 33.488, "width": 86, "height": 64}
    assert plan["end"] == {"center_u": 45, "center_v": 38.919, "width": 81, "height": 61}
    assert (plan["frames"], plan["worked_on"]) == (148, "96x72")
    assert not (tmp_path / "o").exists()


def test_a_film_without_flags_says_what_shot_it_planned(photo, depth, tmp_path, capsys):
    plan = dry_run(capsys, "--in", photo, "--out", tmp_path / "o", *depth)
    later = "planned after the depth"
    assert (plan["move"], plan["start"], plan["end"], plan["focus"]) == ("auto", *3 * [later])
    results = []
    for name in ("one", "two"):
        assert run("--in", photo, "--out", tmp_path / name, *depth, *SHORT, "--json") == 0
        out = capsys.readouterr()
        results.append(json.loads(out.out))
        assert f"{photo}: automatic shot: pu" in out.err
    assert results[0]["shot"] == results[1]["shot"] and results[0]["invented"] <= 0.03
    assert results[0]["shot"]["start"]["width"] != results[0]["shot"]["end"]["width"]
    for one, two in zip(
        *(decoded(tmp_path / n / "3d_kbe.mp4") for n in ("one", "two")), strict=True
    ):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "flags", [["--move", "windows"], ["--endU", 50], ["--2d"], ["--dolly"], ["--autozoom"]]
)
def test_whoever_says_how_the_camera_moves_gets_no_planned_shot(
    photo, depth, tmp_path, flags, capsys
):
    plan = dry_run(capsys, "--in", photo, "--out", tmp_path / "o", *flags)
    assert plan["move"] != "auto" and plan["start"] != "planned after the depth"
    more = [] if "--2d" in flags else depth
    assert run("--in", photo, "--out", tmp_path / "o", *more, *SHORT, *flags, "--json") == 0
    assert "shot" not in json.loads(capsys.readouterr().out)


def test_focus_and_strength_shape_the_planned_shot(photo, depth, tmp_path, capsys):
    shots = {}
    for flags in ((), ("--focus", "10,10"), ("--strength", "0.5")):
        out = tmp_path / "-".join(("o", *flags))
        assert run("--in", photo, "--out", out, *depth, *SHORT, "--json", *flags) == 0
        shots[flags[:1]] = json.loads(capsys.readouterr().out)["shot"]
    assert shots["--focus",]["what"] != shots[()]["what"]
    widths = [
        [shots[key][end]["width"] for end in ("start", "end")] for key in ((), ("--strength",))
    ]
    zooms = [max(pair) / min(pair) for pair in widths]
    assert 1.01 < zooms[1] < zooms[0]


def test_windows_are_pixels_of_the_photo_even_if_it_is_scaled(photo, depth, tmp_path, capsys):
    windows = ["--startW", 60, "--startU", 40, "--startV", 36]
    plans = [
        dry_run(capsys, "--in", photo, "--out", "o", "--2d", *windows, "--max-size", size)
        for size in (0, 48)
    ]
    assert plans[0]["start"] == plans[1]["start"]
    assert plans[1]["worked_on"] == "48x36"


def test_a_centre_of_zero_is_not_taken_for_none(photo, tmp_path, capsys):
    assert run("--in", photo, "--out", tmp_path, "--autozoom", "--startU", 0) == 2
    assert "the start window leaves the image" in capsys.readouterr().err
