"""--like: a film's settings on another photo, whatever the film may say."""

import json

import numpy as np
import pytest

import kbe
from utils.cli.command_line import parse_settings
from utils.cli.declare import LOOK, RESULT
from utils.cli.flags import FLAGS
from utils.cli.presets import place_windows, read_preset
from utils.film.codecs import CODECS
from utils.film.photos import write_image
from utils.film.video import VideoWriter, read_metadata

RNG = np.random.default_rng(0)


@pytest.fixture
def photos(tmp_path):
    """A landscape photo of 96x72, one twice as large, and a portrait one."""
    for name, size in (("small", (72, 96)), ("large", (144, 192)), ("tall", (120, 80))):
        write_image(tmp_path / f"{name}.png", RNG.integers(0, 255, (*size, 3), np.uint8))
    return tmp_path


def run(*words):
    try:
        return kbe.main([str(word) for word in words])
    except SystemExit as end:
        return end.code


def dry_run(capsys, *words):
    capsys.readouterr()
    assert run(*words, "--dry-run", "--json", "--2d") == 0
    return json.loads(capsys.readouterr().out)


def make_film(path, **metadata):
    with VideoWriter(path, (32, 32), 10, metadata=metadata) as video:
        video.write(np.zeros((32, 32, 3), np.uint8))
    return path


def settings_of(*words):
    return parse_settings(["--in", "a.png", "--out", "o", *map(str, words)])


@pytest.mark.parametrize("codec", CODECS)
def test_every_codecs_film_can_be_followed(photos, codec):
    made = photos / f"film{CODECS[codec].suffixes[0]}"
    assert (
        run(
            "--in",
            photos / "small.png",
            "--out",
            made,
            "--2d",
            "--codec",
            codec,
            "--fps",
            "10",
            "--duration",
            "0.4",
            "--easing",
            "smooth",
            "--loop",
            "none",
            "--quality",
            CODECS[codec].best,
        )
        == 0
    )
    taken = settings_of("--like", made)
    assert (taken.codec, taken.quality) == (codec, CODECS[codec].best)
    assert (taken.flat, taken.fps, taken.duration, taken.easing, taken.loop) == (
        True,
        10,
        0.4,
        "smooth",
        "none",
    )


def test_flags_on_the_command_line_win(photos, capsys):
    film = make_film(
        photos / "f.mp4",
        shares={"endW": 0.5},
        settings={
            "dolly": True,
            "fps": "10",
            "size": [64, 48],
            "codec": "h264",
            "quality": 30,
            "stereo": "sbs",
            "easing": "smooth",
        },
    )
    taken = settings_of("--like", film)
    assert (taken.dolly, taken.size, taken.quality, taken.stereo) == (True, (64, 48), 30, "sbs")
    other = settings_of("--like", film, "--fps", "25", "--codec", "h265", "--2d")
    assert (other.flat, other.dolly, other.stereo) == (True, False, None)
    assert (other.fps, other.codec, other.easing) == (25, "h265", "smooth")
    assert other.quality is None, "each encoder has a scale of its own"
    assert settings_of("--like", film, "--out", "clip.webm").codec == "vp9"
    zoomed = settings_of("--like", film, "--autozoom")
    assert zoomed.autozoom and not zoomed.dolly and not zoomed.shares


def test_windows_and_focal_length_scale_with_the_photo(photos, capsys):
    def windows(photo, *more):
        plan = dry_run(
            capsys, "--in", photos / photo, "--out", "o", "--like", photos / "f.mp4", *more
        )
        return [list(plan[end].values()) for end in ("start", "end")], plan["focal_px"]

    assert (
        run(
            "--in",
            photos / "small.png",
            "--out",
            photos / "f.mp4",
            "--2d",
            "--duration",
            "0.2",
            "--startU",
            40,
            "--startV",
            30,
            "--startW",
            60,
            "--endU",
            36,
            "--endW",
            48,
            "--focal",
            72,
        )
        == 0
    )
    end_v = 72 / 1.85
    assert windows("small.png") == (
        [[40, 30, 60, 45], [36, pytest.approx(end_v, abs=0.01), 48, 36]],
        72,
    )
    assert windows("large.png") == (
        [[80, 60, 120, 90], [72, pytest.approx(2 * end_v, abs=0.01), 96, 72]],
        144,
    )
    (start, _), _ = windows("tall.png")
    assert start[2:] == [50, 75], "as wide for its photo, in the shape of its photo"
    (start, end), _ = windows("large.png", "--startW", "100")
    assert (start, end[2]) == ([80, 60, 100, 75], 96)


def test_shape_of_the_windows_is_the_films(photos, capsys):
    assert (
        run(
            "--in",
            photos / "small.png",
            "--out",
            photos / "f.mp4",
            "--2d",
            "--duration",
            "0.2",
            "--startW",
            60,
            "--startH",
            20,
            "--startV",
            60,
        )
        == 0
    )
    plan = dry_run(capsys, "--in", photos / "tall.png", "--out", "o", "--like", photos / "f.mp4")
    assert plan["width"] / plan["height"] == pytest.approx(3, rel=0.05)
    window = plan["start"]
    assert window["width"] / window["height"] == pytest.approx(3, rel=0.05)
    assert window["center_v"] + window["height"] / 2 <= 120


def test_windows_are_moved_inside_a_photo_of_another_shape():
    shares = {"startU": 0.1, "startV": 0.5, "startW": 0.9}
    placed = place_windows(shares, {}, (200, 100), 0.5)
    assert placed == {"startU": 45, "startV": 100, "startW": 90, "startH": 180}


def test_film_made_like_another_says_its_own_windows(photos, capsys):
    assert (
        run(
            "--in",
            photos / "small.png",
            "--out",
            photos / "f.mp4",
            "--2d",
            "--duration",
            "0.2",
            "--endW",
            48,
            "--endU",
            50,
        )
        == 0
    )
    assert (
        run("--in", photos / "large.png", "--out", photos / "g.mp4", "--like", photos / "f.mp4")
        == 0
    )
    first, second = (read_metadata(photos / name) for name in ("f.mp4", "g.mp4"))
    assert second["shares"] == pytest.approx(first["shares"], abs=0.001)
    assert second["fingerprint"] != first["fingerprint"]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "carries no settings"),
        ({"settings": [1]}, "carries no settings"),
        ({"settings": {"warp": 9}}, "another version: its setting 'warp'"),
        ({"settings": {"windows": {"endU": 4}}}, "another version: its setting 'of the windows'"),
        ({"settings": {"easing": "bouncy"}}, "cannot be used: --easing: invalid choice"),
        ({"settings": {"fps": "1e9"}}, "cannot be used: --fps must be"),
        ({"settings": {"fps": True}}, "cannot be used: --fps must be"),
        ({"settings": {"dolly": "yes"}}, "cannot be used: --dolly is on or off"),
        ({"settings": {"size": [1, 2, 3]}}, "cannot be used: --size must be"),
        ({"settings": {"size": {"a": 1}}}, "cannot be used: --size must be"),
        ({"settings": {"dolly": True, "flat": True}}, "cannot be used: contradictory flags"),
        ({"settings": {}, "shares": {"startU": "0"}}, "its share startU is '0'"),
        ({"settings": {}, "shares": {"startU": float("nan")}}, "its share startU is nan"),
        ({"settings": {}, "shares": {"startW": True}}, "its share startW is True"),
        ({"settings": {}, "shares": {"focal": -1}}, "its share focal is -1"),
        ({"settings": {}, "shares": {"out": 1}}, "another version"),
        ({"settings": {}, "shares": 3}, "another version"),
    ],
)
def test_what_a_film_says_is_checked_like_what_a_person_types(photos, capsys, metadata, message):
    film = make_film(photos / "f.mp4", **metadata)
    assert run("--in", photos / "small.png", "--out", photos / "o", "--like", film) == 2
    err = capsys.readouterr().err
    assert message in err and "f.mp4" in err and "Traceback" not in err
    assert not (photos / "o").exists()


def test_a_film_cannot_name_files_or_ask_for_other_results(photos):
    taken = {name for name, flag in FLAGS.items() if flag.effect == LOOK}
    assert not {"depth_kind", "export", "matte", "preview", "write_frames", "write_depth"} & taken
    film = make_film(photos / "f.mp4", settings={"easing": "smooth --out=x", "export": "x.ply"})
    with pytest.raises(ValueError, match="invalid choice: 'smooth --out=x'"):
        read_preset(film)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "is no video"), (b"text", "is no video"), (b"", "is no video")]
)
def test_what_is_no_film_is_said(photos, capsys, content, message):
    if content is not None:
        (photos / "f.mp4").write_bytes(content)
    assert run("--in", photos / "small.png", "--out", photos / "o", "--like", photos / "f.mp4") == 2
    assert message in capsys.readouterr().err


def test_every_result_that_is_not_a_look_is_left_on_purpose():
    left = {
        "depth_kind",
        "depth_layer",
        "write_frames",
        "write_depth",
        "save_disparity",
        "preview",
        "export",
        "matte",
        "focal_px",
        "focus",
    }  # focal length and focus are taken over as shares of the photo
    assert {name for name, flag in FLAGS.items() if flag.effect == RESULT} == left
