"""What kbe.py makes: films, frames, mattes, points, two eyes, and how much is invented."""

import json
import re
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from films import probe
from kbe_runs import CLASSIC_DOLLY, SHORT, decoded, leftovers, run

from utils.film.codecs import CODECS


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


LAID_OUT = {  # name of the film, its (height, width), axis along which the eyes are apart
    "sbs": ("3d_kbe_sbs.mp4", (72, 192), 1),
    "half-sbs": ("3d_kbe_hsbs.mp4", (72, 96), 1),
    "tb": ("3d_kbe_tb.mp4", (144, 96), 0),
    "half-tb": ("3d_kbe_htb.mp4", (72, 96), 0),
    "rgbd": ("3d_kbe_rgbd.mp4", (72, 192), 1),
    "anaglyph": ("3d_kbe.mp4", (72, 96), None),
}


@pytest.mark.parametrize("layout", LAID_OUT)
def test_stereo_film(photo, depth, tmp_path, capsys, layout):
    name, size, axis = LAID_OUT[layout]
    asked = [*SHORT, "--json", "--stereo", layout, "--matte"]
    assert run("--in", photo, "--out", tmp_path / "o", *depth, *asked) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["video"] == str(tmp_path / "o" / name)
    assert (result["height"], result["width"]) == size
    matte = decoded((tmp_path / "o" / name).with_stem(Path(name).stem + "_matte"))[0]
    frame = decoded(tmp_path / "o" / name)[0].astype(int)
    assert frame.shape == matte.shape == (*size, 3)
    if axis is None:
        return
    left, right = np.split(frame, 2, axis=axis)
    if layout != "rgbd":
        assert 1 < np.abs(left - right).mean() < 30, "one scene, seen from two places"
        return
    assert np.ptp(right, axis=2).max() < 12, "depth is grey"
    disc = left[..., 0] - left[..., 1] > 60
    assert np.median(right[disc]) > 245 and np.median(right[~disc]) < 90, "white is near"


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
