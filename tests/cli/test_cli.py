"""kbe.py from the outside: what it writes, prints, refuses, and leaves behind when it fails."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from films import probe
from waiting import unix, wait_until

import kbe
from utils.cli.flags import build_parser
from utils.film.codecs import CODECS, CODECS_BY_SUFFIX
from utils.film.photos import write_image

ROOT = Path(__file__).resolve().parents[2]
SHORT = ["--duration", "0.24"]  # six frames


@pytest.fixture
def photo(tmp_path):
    """A small photo: a textured disc before a textured wall, and its disparity beside it."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:72, :96]
    disc = (rows - 40) ** 2 + (columns - 50) ** 2 < 18**2
    pixels = np.where(disc[..., None], (200, 70, 60), (60, 140, 90)) + rng.normal(0, 9, (72, 96, 3))
    write_image(tmp_path / "photo.png", pixels.clip(0, 255).astype(np.uint8))
    write_image(tmp_path / "photo_disparity.png", np.where(disc, 220, 60).astype(np.uint8))
    return tmp_path / "photo.png"


@pytest.fixture
def depth(photo):
    return ["--depth", str(photo.parent / "photo_disparity.png")]


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


CLASSIC_DOLLY = ["--startW", "76", "--endW", "28"]  # as published, of a photo of 96x72


def leftovers(folder):
    return [path.name for path in Path(folder).rglob("*") if path.name.startswith(".partial")]


# -- results --------------------------------------------------------------------------------------


def test_default_film_has_148_frames_of_the_photos_size(photo, depth, tmp_path, capsys):
    assert run("--in", photo, "--out", tmp_path / "new" / "results", *depth) == 0
    frames = decoded(tmp_path / "new" / "results" / "3d_kbe.mp4")
    assert len(frames) == 148
    assert frames[0].shape == (72, 96, 3)
    out = capsys.readouterr()
    assert re.fullmatch(r".*3d_kbe\.mp4: 148 frames of 96x72 in \d+\.\d s\n", out.out)
    assert "taken as disparity" in out.err
    assert re.search(r"kbe\.py: depth file .*, inpainting by rule\n", out.err), "weights are said"
    differences = [
        np.abs(a.astype(int) - b).mean()
        for a, b in zip(frames, frames[1:] + frames[:1], strict=True)
    ]
    assert min(differences) > 0, "two frames in a row are the same"
    assert max(differences) < 8 * np.median(differences), "the film jumps somewhere"


def test_json_line_has_what_scripts_need(photo, depth, tmp_path, capsys):
    assert run("--in", photo, "--out", tmp_path / "o", *depth, *SHORT, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["video"] == str(tmp_path / "o" / "3d_kbe.mp4")
    assert (result["frames"], result["width"], result["height"]) == (6, 96, 72)
    assert set(result["seconds"]) == {"read", "depth", "planning", "inpainting", "film", "total"}
    assert "inpainting" in result["weights"]
    assert 0 < result["invented"] < 0.1


def test_scene_is_exported_beside_the_film(photo, depth, tmp_path):
    assert (
        run("--in", photo, "--out", tmp_path / "o", *depth, *SHORT, "--export", "points/scene.ply")
        == 0
    )
    ply = (tmp_path / "o" / "points" / "scene.ply").read_bytes()
    count = int(re.search(rb"element vertex (\d+)\n", ply)[1])
    assert count > 0.9 * 72 * 96 and len(ply) == ply.index(b"end_header\n") + 11 + 16 * count


def test_every_photo_of_a_batch_gets_its_export(photo, tmp_path, capsys):
    command = [
        "--in",
        photo,
        photo.parent / "photo_disparity.png",
        "--out",
        tmp_path / "o",
        "--2d",
        *SHORT,
        "--export",
    ]
    assert run(*command, tmp_path / "scene.ply") == 2
    assert "is one file, and there are 2 photos" in capsys.readouterr().err
    assert run(*command, "scene.ply") == 0
    assert len(list((tmp_path / "o").glob("*/scene.ply"))) == 2


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ([], "3d_kbe_matte.mp4"),
        (["--stereo", "sbs"], "3d_kbe_sbs_matte.mp4"),
        (["--stereo", "anaglyph"], "3d_kbe_matte.mp4"),
    ],
)
def test_matte_is_white_where_the_film_is_invented(photo, depth, tmp_path, more, name, capsys):
    for path in photo.parent.glob("*.png"):  # at 96 px hardly a whole pixel is uncovered
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(
            str(path), cv2.resize(pixels, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
        )
    assert (
        run(
            "--in",
            photo,
            "--out",
            tmp_path / "o",
            *depth,
            *SHORT,
            "--write-frames",
            "--matte",
            "--json",
            *more,
        )
        == 0
    )
    out, result = tmp_path / "o", json.loads(capsys.readouterr().out)
    info = probe(out / name)
    assert (info.frames, *info.size) == (6, result["height"], result["width"])
    mattes = [cv2.imread(str(path)) for path in sorted((out / "matte_frames").iterdir())]
    assert len(mattes) == 4
    assert max(matte.mean() for matte in mattes) / 255 == pytest.approx(result["invented"], rel=0.5)
    assert all((np.ptp(matte, axis=2) == 0).all() for matte in mattes)
    assert max(matte.max() for matte in mattes) == 255
    assert np.abs(decoded(out / name)[1].astype(int) - mattes[1]).mean() < 6


def test_path_that_leaves_the_photo_is_told(photo, depth, tmp_path, capsys):
    words = ("--in", photo, "--out", tmp_path / "o", *depth, *SHORT, "--dolly", "--json")
    assert run(*words, *CLASSIC_DOLLY) == 0
    out = capsys.readouterr()
    assert json.loads(out.out)["invented"] > 0.15
    assert re.search(r"\d\d % of the picture at the end lies outside the photo", out.err)


def test_every_extra_result_is_written(photo, depth, tmp_path):
    assert (
        run(
            "--in",
            photo,
            "--out",
            tmp_path / "o",
            *depth,
            *SHORT,
            "--write-frames",
            "--save-disparity",
            "--preview",
        )
        == 0
    )
    out = tmp_path / "o"
    assert sorted(p.name for p in (out / "frames").iterdir()) == [f"{i:05d}.png" for i in range(4)]
    disparity = np.load(out / "disparity.npy")
    assert disparity.shape == (72, 96) and disparity.dtype == np.float32
    assert disparity[40, 50] > disparity[5, 5]
    assert cv2.imread(str(out / "disparity.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint16
    preview = cv2.imread(str(out / "preview.png"))
    assert preview.shape[1] == 4 * 640 + 5 * 12
    assert not leftovers(out)


def test_frames_are_lossless_and_the_films(photo, depth, tmp_path):
    assert run("--in", photo, "--out", tmp_path / "o", *depth, *SHORT, "--wrtie-frames") == 0
    png = cv2.imread(str(tmp_path / "o" / "frames" / "00002.png"))[:, :, ::-1]
    assert np.abs(decoded(tmp_path / "o" / "3d_kbe.mp4")[2].astype(int) - png).mean() < 6


def test_output_can_be_a_file_whose_suffix_chooses_the_codec(photo, depth, tmp_path):
    assert run("--in", photo, "--out", tmp_path / "clip.webm", *depth, *SHORT, "--preview") == 0
    with av.open(str(tmp_path / "clip.webm")) as container:
        assert container.streams.video[0].codec_context.name in ("vp9", "libvpx-vp9")
    assert (tmp_path / "clip_preview.png").exists()


@pytest.mark.parametrize(
    ("flags", "window"),
    [
        (["--move", "windows"], (46.6, 33.5, 36, 64)),
        (["--dolly", "--startW", "32", "--endW", "12"], (48, 36, 32, 57)),
        (["--autozoom"], (48, 36, 39, 69)),
        (
            ["--startU", "28", "--startV", "40", "--startW", "34", "--endU", "31", "--endW", "30"]
            + ["--focus", "48,36"],
            (28, 40, 34, 60),
        ),
        (
            ["--startU", "72", "--startW", "36", "--endU", "70", "--focus", "48,36"],
            (72, 33.5, 36, 64),
        ),
    ],
)
def test_portrait_film_shows_its_window_of_a_landscape_photo(
    photo, depth, tmp_path, flags, window, capsys
):
    """No letterbox, and a window in a corner is looked at, not travelled to."""
    assert (
        run(
            "--in",
            photo,
            "--out",
            tmp_path / "o",
            *depth,
            *SHORT,
            "--size",
            "90x160",
            "--write-frames",
            "--json",
            *flags,
        )
        == 0
    )
    assert decoded(tmp_path / "o" / "3d_kbe.mp4")[0].shape == (160, 90, 3)
    first = cv2.imread(str(tmp_path / "o" / "frames" / "00000.png"))
    u, v, width, height = window
    to_frame = np.float32(
        [[90 / width, 0, 45 - u * 90 / width - 0.5], [0, 160 / height, 80 - v * 160 / height - 0.5]]
    )
    wanted = cv2.warpAffine(
        cv2.imread(str(photo)),
        to_frame,
        (90, 160),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    # What is far lags behind by parallax, and the disc is near.
    assert np.median(np.abs(first.astype(int) - wanted)) < 8
    red = [(picture[..., 2].astype(int) - picture[..., 1] > 60) for picture in (first, wanted)]
    assert (red[0] & red[1]).sum() > 0.85 * (red[0] | red[1]).sum()
    if "--dolly" not in flags:
        assert json.loads(capsys.readouterr().out)["invented"] < 0.05


@pytest.mark.parametrize(
    ("layout", "name", "width"), [("sbs", "3d_kbe_sbs.mp4", 192), ("anaglyph", "3d_kbe.mp4", 96)]
)
def test_stereo_film(photo, depth, tmp_path, capsys, layout, name, width):
    assert (
        run("--in", photo, "--out", tmp_path / "o", *depth, *SHORT, "--json", "--stereo", layout)
        == 0
    )
    result = json.loads(capsys.readouterr().out)
    assert result["video"] == str(tmp_path / "o" / name)
    assert (result["width"], result["height"]) == (width, 72)
    frame = decoded(tmp_path / "o" / name)[0].astype(int)
    assert frame.shape == (72, width, 3)
    if layout == "sbs":
        left, right = np.split(frame, 2, axis=1)
        assert 1 < np.abs(left - right).mean() < 30, "one scene, seen from two places"


@pytest.mark.parametrize(
    "flags",
    [
        ["--dolly"],
        ["--autozoom"],
        ["--autozoom", "--size", "60x90"],
        ["--easing", "smooth"],
        ["--loop", "none"],
        ["--max-size", "48"],
        ["--focal", "200"],
    ],
)
def test_every_way_to_move_gives_a_film(photo, depth, tmp_path, flags):
    assert run("--in", photo, "--out", tmp_path / "o", *depth, *SHORT, *flags) == 0
    frames = decoded(tmp_path / "o" / "3d_kbe.mp4")
    assert len(frames) == 6
    assert np.abs(frames[0].astype(int) - frames[3]).mean() > 1, "nothing moves"


@pytest.mark.parametrize(
    ("percent", "more"),
    [
        (2.5, ["--dolly", *CLASSIC_DOLLY]),
        (2, ["--stereo", "sbs", "--dolly", *CLASSIC_DOLLY]),
        (2.5, ["--startU", "40", "--startV", "30", "--startW", "60"]),
    ],
)
def test_path_is_shortened_until_little_is_invented(photo, depth, tmp_path, percent, more, capsys):
    assert (
        run(
            "--in",
            photo,
            "--out",
            tmp_path / "o",
            *depth,
            *SHORT,
            "--loop",
            "none",
            "--matte",
            "--write-frames",
            "--max-holes",
            percent,
            "--json",
            *more,
        )
        == 0
    )
    out = capsys.readouterr()
    result = json.loads(out.out)
    assert 0 < result["path_kept"] < 1
    assert f"{100 * result['path_kept']:.0f} % of the path kept" in out.err
    assert percent / 200 < result["invented"] <= percent / 100, "more of it could have been kept"
    mattes = [cv2.imread(str(path)) for path in (tmp_path / "o" / "matte_frames").iterdir()]
    assert max((matte == 255).mean() for matte in mattes) <= percent / 100


def test_path_that_invents_little_is_kept(photo, depth, tmp_path, capsys):
    assert (
        run("--in", photo, "--out", tmp_path / "o", *depth, *SHORT, "--json", "--max-holes", "50")
        == 0
    )
    assert json.loads(capsys.readouterr().out)["path_kept"] == 1


def test_holes_that_no_shortening_closes_are_an_error(photo, depth, tmp_path, capsys):
    """Two eyes uncover something even where the camera stays."""
    command = ["--in", photo, "--out", tmp_path / "o", *depth, *SHORT, "--stereo", "sbs"]
    assert run(*command, "--max-holes", "0.001") == 1
    err = capsys.readouterr().err
    least = float(re.search(r"Give at least (\d+\.\d)", err)[1])
    assert run(*command, "--max-holes", least) == 0


def test_flat_move_needs_no_depth_and_shows_no_parallax(photo, tmp_path):
    assert run("--in", photo, "--out", tmp_path / "o", "--2d", *SHORT, "--loop", "none") == 0
    assert len(decoded(tmp_path / "o" / "3d_kbe.mp4")) == 6


def test_same_command_same_frames(photo, depth, tmp_path):
    for name in "ab":
        assert run("--in", photo, "--out", tmp_path / name, *depth, *SHORT, "--write-frames") == 0
    for path in (tmp_path / "a" / "frames").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "frames" / path.name).read_bytes()


# -- windows --------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("flag", [["--endU", "50"], ["--startW", "60"], ["--2d"], ["--dolly"]])
def test_asking_for_a_planned_shot_and_for_another_move_is_refused(photo, tmp_path, flag, capsys):
    assert run("--in", photo, "--out", tmp_path / "o", "--move", "auto", *flag) == 2
    said = capsys.readouterr().err
    assert "contradictory flags" in said and "--move auto" in said and flag[0] in said


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


def test_advice_names_the_number_that_was_given(photo, tmp_path, capsys):
    for given, named in (("--startW", "--startW"), ("--startH", "--startH")):
        assert run("--in", photo, "--out", tmp_path, "--2d", given, 900) == 2
        assert f"Make {named} smaller" in capsys.readouterr().err


def test_missing_depth_map_is_told_by_a_dry_run(photo, tmp_path, capsys):
    assert run("--in", photo, "--out", tmp_path, "--depth", "no.png", "--dry-run") == 1
    assert "--depth no.png: there is no such file" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--estim-path", "--refine-path", "--inpaint-path"])
def test_weights_that_would_not_be_used_are_refused(photo, depth, tmp_path, capsys, flag):
    assert run("--in", photo, "--out", tmp_path, "--2d", flag, "x") == 2
    assert f"--2d and {flag}" in capsys.readouterr().err
    if flag != "--inpaint-path":
        assert run("--in", photo, "--out", tmp_path, *depth, flag, "x") == 2
        assert f"--depth and {flag}" in capsys.readouterr().err


def test_a_failed_photo_has_its_line_on_standard_output(photo, tmp_path, capsys):
    (tmp_path / "bad.png").write_bytes(b"no photo")
    assert run("--in", photo, tmp_path / "bad.png", "--out", tmp_path / "o", "--2d", *SHORT) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[1].startswith(f"{tmp_path / 'bad.png'}: failed: ")


def test_version(capsys):
    assert run("--version") == 0
    assert re.fullmatch(r"kbe\.py \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize("closed", ["2>&-", "<&-", "2>&- <&-"])
def test_films_are_made_without_standard_streams(photo, depth, tmp_path, closed):
    """As daemons and some job schedulers start programs."""
    words = [
        sys.executable,
        ROOT / "kbe.py",
        "--in",
        photo,
        "--out",
        tmp_path / "o",
        *depth,
        *SHORT,
    ]
    command = " ".join(f"'{word}'" for word in words)
    assert (
        subprocess.run(
            ["sh", "-c", f"{command} {closed}"], stdout=subprocess.DEVNULL, timeout=200
        ).returncode
        == 0
    )
    assert (tmp_path / "o" / "3d_kbe.mp4").is_file()


def test_names_that_the_outputs_encoding_lacks_are_escaped(photo, tmp_path):
    strange = tmp_path / "caf\u00e9 \u732b.png"
    strange.write_bytes(photo.read_bytes())
    process = spawn(
        "--in",
        strange,
        photo,
        "--out",
        tmp_path / "o",
        "--2d",
        *SHORT,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert "caf\\xe9 \\u732b" in out and len(out.splitlines()) == 2


# -- wrong usage ----------------------------------------------------------------------------------


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
            "--export must end in .ply, as points are written, got scene.obj",
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
        (["--device", "cuda"], "there is no such device"),
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


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_makes_a_film(photo, tmp_path, codec):
    fps = ["--fps", "10"] if codec == "gif" else []
    assert (
        run(
            "--in",
            photo,
            "--out",
            tmp_path,
            "--2d",
            "--duration",
            "0.5",
            "--codec",
            codec,
            "--size",
            "96x72",
            *fps,
        )
        == 0
    )
    (film,) = tmp_path.glob("3d_kbe.*")
    assert probe(film).size == (72, 96)


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


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.jpg", None, "missing.jpg"),
        ("empty.jpg", b"", "empty"),
        ("text.jpg", b"this is no photo", "text.jpg"),
        ("page.jpg", b"<!doctype html><html>", "HTML"),
    ],
)
def test_unreadable_photo_is_named(tmp_path, capsys, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert run("--in", tmp_path / name, "--out", tmp_path / "o", "--2d") == 1
    err = capsys.readouterr().err
    assert message in err and name in err and "Traceback" not in err
    assert not (tmp_path / "o").exists()


def test_truncated_jpeg_makes_no_half_grey_film(tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8)
    whole = cv2.imencode(".jpg", pixels)[1].tobytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    assert run("--in", tmp_path / "cut.jpg", "--out", tmp_path / "o", "--2d") == 1
    assert "cut.jpg" in capsys.readouterr().err


def test_folder_without_photos(tmp_path, capsys):
    (tmp_path / "album").mkdir()
    assert run("--in", tmp_path / "album", "--out", tmp_path / "o", "--2d") == 1
    assert "no photos in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "content", "message"),
    [
        ("--estim-path", None, "no weights at"),
        ("--estim-path", b"", "empty"),
        ("--estim-path", b"<html>login</html>", "web page"),
        ("--estim-path", b"PK\x03\x04 cut", "w.tar"),
        ("--inpaint-path", b"\x80\x04 junk", "w.tar"),
    ],
)
def test_wrong_weights_are_named(photo, depth, tmp_path, capsys, flag, content, message):
    path = tmp_path / "w.tar"
    if content is not None:
        path.write_bytes(content)
    given = depth if flag == "--inpaint-path" else []
    assert run("--in", photo, "--out", tmp_path / "o", *given, flag, path) == 1
    err = capsys.readouterr().err
    assert message in err and "Traceback" not in err
    assert not (tmp_path / "o" / "3d_kbe.mp4").exists()


def test_weights_of_another_network_say_where_they_belong(photo, depth, tmp_path, capsys):
    from models.disparity_refinement import RefinePretrained
    from utils.weights.loading import save_state_dict

    save_state_dict(tmp_path / "w.safetensors", RefinePretrained((8, 8, 8)).state_dict())
    assert (
        run(
            "--in",
            photo,
            "--out",
            tmp_path / "o",
            *depth,
            "--inpaint-path",
            tmp_path / "w.safetensors",
        )
        == 1
    )
    assert "--refine-path" in capsys.readouterr().err


def test_checkpoint_with_code_is_refused_and_does_not_run(photo, depth, tmp_path, capsys):
    import torch

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "was_here"),)

    torch.save({"model_state_dict": Evil()}, tmp_path / "w.tar")
    assert (
        run("--in", photo, "--out", tmp_path / "o", *depth, "--inpaint-path", tmp_path / "w.tar")
        == 1
    )
    assert not (tmp_path / "was_here").exists()
    assert "--trust-checkpoint" in capsys.readouterr().err


def test_pretrained_weights_are_sought_where_they_are_downloaded_to(photo, tmp_path, capsys):
    for flag, name in (
        ("--pretrained-estim", "network-disparity.pytorch"),
        ("--pretrained-refine", "network-refinement.pytorch"),
    ):
        path = ROOT / "models" / "trained" / name
        if not path.exists():
            assert run("--in", photo, "--out", tmp_path / "o", flag) == 1
            assert f"no weights at {path}" in capsys.readouterr().err


def test_missing_weights_say_what_to_type(photo, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("utils.weights.chosen.find_weights", lambda *_, **__: None)
    assert run("--in", photo, "--out", tmp_path / "o") == 1
    assert "./download_models.sh" in capsys.readouterr().err


def test_unwritable_output_is_said_before_the_work(photo, tmp_path, capsys):
    (tmp_path / "file").write_bytes(b"")
    assert run("--in", photo, "--out", tmp_path / "file" / "o", "--2d") == 1
    assert "cannot write into" in capsys.readouterr().err


def test_full_disk_leaves_no_half_film(photo, tmp_path):
    """A limit on the size of files fails the encoder's writes as a full disk does."""
    resource = pytest.importorskip("resource", reason="this system limits no process")

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    process = spawn(
        "--in",
        photo,
        "--out",
        tmp_path / "o",
        "--2d",
        "--size",
        "640x480",
        preexec_fn=limit,
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "n")},
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert out == "" and "Traceback" not in err
    assert os.strerror(errno.EFBIG) in err or "write" in err
    assert not (tmp_path / "o" / "3d_kbe.mp4").exists()
    assert not leftovers(tmp_path / "o")


@unix
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_while_encoding_leaves_no_half_film(photo, tmp_path, sent, status):
    # A shell's background jobs ignore Ctrl-C, and so would a test run that is one.
    process = spawn(
        "--in",
        photo,
        "--out",
        tmp_path / "o",
        "--2d",
        "--duration",
        "100000",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    # The encoder is at work, once some of the film is in the file.
    wait_until(lambda: any(path.stat().st_size for path in tmp_path.glob("o/.partial*")), process)
    process.send_signal(sent)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == status
    assert out == "" and "Traceback" not in err
    assert list((tmp_path / "o").iterdir()) == []


# -- batches --------------------------------------------------------------------------------------


@pytest.fixture
def album(photo):
    folder = photo.parent / "album"
    folder.mkdir()
    for name in ("b.png", "a.png", "with 'quotes' and\nnewline.png", "-dash.png"):
        (folder / name).write_bytes(photo.read_bytes())
    (folder / "c_broken.jpg").write_bytes(b"no photo")
    return folder


def test_one_failed_photo_does_not_stop_the_rest(album, tmp_path, capsys):
    assert run("--in", album, "--out", tmp_path / "o", "--2d", *SHORT, "--json") == 1
    out = capsys.readouterr()
    results = [json.loads(line) for line in out.out.splitlines()]
    assert [("error" in r) for r in results] == [False, False, False, True, False]
    made = sorted(path.parent.name for path in (tmp_path / "o").glob("*/3d_kbe.mp4"))
    assert made == ["-dash", "a", "b", "with 'quotes' and\nnewline"]
    assert "1 of 5 photos failed" in out.err


def test_paths_come_from_standard_input(album, tmp_path, monkeypatch, capsys):
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{album / 'a.png'}\n{album / 'b.png'}\n"))
    assert run("--in", "-", "--out", tmp_path / "o", "--2d", *SHORT) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_folder_of_depth_maps_pairs_by_stem(album, depth, tmp_path):
    maps = tmp_path / "maps"
    maps.mkdir()
    (maps / "a.png").write_bytes(Path(depth[1]).read_bytes())
    assert (
        run(
            "--in",
            album / "a.png",
            "--out",
            tmp_path / "o",
            "--depth",
            maps,
            *SHORT,
            "--depth-kind",
            "disparity",
        )
        == 0
    )
    assert run("--in", album / "b.png", "--out", tmp_path / "o", "--depth", maps, *SHORT) == 1


def test_one_depth_map_for_many_photos_is_refused(album, depth, tmp_path, capsys):
    assert run("--in", album, "--out", tmp_path / "o", *depth) == 2
    assert "is one map, and there are 5 photos" in capsys.readouterr().err


def test_skip_existing_skips_only_what_is_the_same(photo, depth, tmp_path, capsys):
    def made(*more):
        status = run(
            "--in",
            photo,
            "--out",
            tmp_path / "o",
            *depth,
            *SHORT,
            "--skip-existing",
            "--json",
            *more,
        )
        return status == 0 and not json.loads(capsys.readouterr().out).get("skipped")

    assert made()
    assert not made()
    assert made("--easing", "smooth")
    assert not made("--easing", "smooth")
    photo.write_bytes(photo.read_bytes() + b"\0")
    assert made("--easing", "smooth")
    film = tmp_path / "o" / "3d_kbe.mp4"
    film.write_bytes(film.read_bytes()[:200])
    assert made("--easing", "smooth"), "a damaged film was taken for done"


def test_subfolders_are_entered_when_asked(album, photo, tmp_path, capsys):
    (album / "2023").mkdir()
    (album / "2023" / "deep.png").write_bytes(photo.read_bytes())
    (album / "c_broken.jpg").unlink()
    assert run("--in", album, "--out", tmp_path / "o", "--2d", *SHORT) == 0
    assert "--recursive" in capsys.readouterr().err
    assert run("--in", album, "--out", tmp_path / "r", "--2d", *SHORT, "--recursive") == 0
    assert (tmp_path / "r" / "deep" / "3d_kbe.mp4").is_file()
    assert not (tmp_path / "o" / "deep").exists()


# -- the program ----------------------------------------------------------------------------------


def test_help_matches_golden(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    golden = (ROOT / "tests" / "cli" / "kbe_help.txt").read_text()
    assert build_parser().format_help() == golden, (
        "to accept: COLUMNS=100 python kbe.py --help > tests/cli/kbe_help.txt"
    )


def test_help_is_instant():
    start = time.perf_counter()
    process = spawn("--help")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "exit status" in out
    modules = subprocess.run(
        [sys.executable, "-X", "importtime", str(ROOT / "kbe.py"), "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert not re.search(r"\| +(torch|numpy|cv2|av|numba)$", modules, re.MULTILINE)
    assert time.perf_counter() - start < 20


def test_verbose_shows_the_traceback(tmp_path, capsys):
    assert run("--in", tmp_path / "no.jpg", "--out", tmp_path / "o", "--2d", "--verbose") == 1
    assert "Traceback" in capsys.readouterr().err


def test_quiet_says_nothing(photo, depth, tmp_path, capsys):
    assert run("--in", photo, "--out", tmp_path / "o", *depth, *SHORT, "--quiet") == 0
    assert capsys.readouterr().err == ""


def test_stages_are_said_before_the_first_frame(photo, tmp_path, capsys):
    from utils.cli import reporting

    def said(*flags):
        reporting._tell_stage.cache_clear()
        assert run("--in", photo, "--out", tmp_path / "o", "--duration", "0.2", *flags) == 0
        out, err = capsys.readouterr()
        assert out.count("\n") == 1 and "frames of" in out, "results only"
        return err

    err = said()
    assert err.index("estimating depth") < err.index("inpainting what the camera uncovers")
    assert "estimating" not in said("--2d") and not said("--quiet")


def test_compiling_is_said_once_and_only_where_nothing_is_compiled(tmp_path):
    code = (
        "import logging; logging.basicConfig(level=logging.INFO, format='%(message)s');"
        "import numpy as np; from kernels.cpu import clear_padding, degrid;"
        "clear_padding(np.ones((4, 4), np.float32), 0.0);"
        "degrid(np.ones((4, 4), np.float32), np.ones((4, 4), np.float32), 1.0)"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stderr
        for _ in range(2)
    ]
    assert said == ["compiling the renderer, once: about a minute\n", ""]


@pytest.mark.parametrize("flag", ["--startW", "--startH", "--endW", "--endH"])
@pytest.mark.parametrize("value", ["0", "-5", "0.5"])
def test_a_window_without_an_area_is_refused_before_any_photo(photo, tmp_path, flag, value, capsys):
    assert run("--in", photo, photo, "--out", tmp_path / "o", f"{flag}={value}") == 2
    assert not (tmp_path / "o").exists()
    assert f"window is empty: {flag} {value}." in capsys.readouterr().err
