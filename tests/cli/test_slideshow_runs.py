"""--slideshow from the outside: its length, its joints, what it says, refuses and leaves."""

import json
import os
import signal
import subprocess
import sys
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from films import probe
from PIL import Image
from waiting import PATIENCE, unix, wait_until

import kbe
from utils.cli import slideshow
from utils.cli.command_line import settings_from
from utils.film import slideshow as fading
from utils.film.photos import read_size, write_image

ROOT = Path(__file__).resolve().parents[2]
# 10 frames of each photo, neighbours share 3.
SHORT = ["--2d", "--fps", "10", "--duration", "1", "--crossfade", "0.3"]


def run(*words):
    try:
        return kbe.main([str(word) for word in words])
    except SystemExit as end:
        return end.code


def smooth(seed, size):
    """A photo without borders: colours that change slowly."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    rng = np.random.default_rng(seed)
    waves = [
        120 + 60 * np.sin(rng.uniform(0.02, 0.08) * rows + rng.uniform(0.02, 0.08) * columns + k)
        for k in range(3)
    ]
    return np.dstack(waves).astype(np.uint8)


@pytest.fixture
def album(tmp_path):
    """Two landscape photos, a portrait one, and one that is none, third in order."""
    folder = tmp_path / "album"
    folder.mkdir()
    for name, size in (("a", (72, 96)), ("b", (96, 72)), ("d", (72, 96))):
        write_image(folder / f"{name}.png", smooth(len(name) + ord(name), size))
    return folder


@pytest.fixture
def broken(album):
    (album / "c.jpg").write_bytes(b"no photo")
    return album


def results(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def decoded(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def chapters(path):
    with av.open(str(path)) as container:
        found = container.chapters
        found = found() if callable(found) else found
    return [
        (
            one["metadata"]["title"],
            *(round(float(one[end] * one["time_base"]), 3) for end in ("start", "end")),
        )
        for one in found
    ]


def key_frames(path):
    """Seconds at which players can begin."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [one for one in container.demux(stream) if one.pts is not None]
        return [float(one.pts * stream.time_base) for one in packets if one.is_keyframe]


def entries(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_photos_become_one_film_with_their_times(album, tmp_path, capsys):
    film = tmp_path / "new" / "film.mp4"
    assert run("--in", album, "--slideshow", film, *SHORT, "--json") == 0
    *photos, whole = results(capsys)
    assert entries(film.parent) == ["film.mp4"]
    assert probe(film).frames == whole["frames"] == 3 * 10 - 2 * 3
    assert (whole["photos"], whole["duration"], whole["video"]) == (3, 2.4, str(film))
    assert [(one["start"], one["end"]) for one in photos] == [(0, 1), (0.7, 1.7), (1.4, 2.4)]
    assert [Path(one["photo"]).stem for one in photos] == ["a", "b", "d"]
    assert chapters(film) == [("a", 0, 0.7), ("b", 0.7, 1.4), ("d", 1.4, 2.4)]
    assert key_frames(film) == [0, 0.7, 1.4]
    moves = [one["move"] for one in photos]
    assert all(one != other for one, other in zip(moves, moves[1:], strict=False))
    before = film.read_bytes()
    assert run("--in", album, "--slideshow", film, *SHORT) == 0
    assert film.read_bytes() == before, "moves are chosen the same again"
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{album / 'a.png'}: 0 to 1 s of ") and len(said) == 4


def test_moves_of_neighbours_differ_however_many(album):
    settings = settings_from({"inputs": [album], "slideshow": album / "x.mp4"})
    jobs = kbe.cli.plan_run(settings).jobs * 5
    moves = [slideshow._varied(k, job._replace(choice={}), settings) for k, job in enumerate(jobs)]
    names = [move["move"] for move in moves]
    assert all(one != other for one, other in zip(names, names[1:] + names[:1], strict=True)) or (
        names[0] == names[-1]
    )
    assert len(set(names)) >= 5


def test_portrait_photos_fill_the_film_without_bars(album, tmp_path, capsys):
    film = tmp_path / "film.mkv"
    assert run("--in", album, "--slideshow", film, *SHORT, "--quality", 0, "--json") == 0
    whole = results(capsys)[-1]
    assert (whole["width"], whole["height"]) == (96, 72), "most photos are landscape"
    for frame in decoded(film):
        sides = frame[:3], frame[-3:], frame[:, :3], frame[:, -3:]
        assert all(side.mean() > 40 for side in sides), "a black bar"
    assert run("--in", album, "--slideshow", film, *SHORT, "--size", "64x128") == 0
    assert probe(film).size == (128, 64)


def test_cuts_join_shots_as_they_are_and_fades_are_means(album, tmp_path, monkeypatch):
    raw = []
    monkeypatch.setattr(
        slideshow.VideoWriter, "write", lambda self, frame, cut=False: raw.append(np.array(frame))
    )
    monkeypatch.setattr(slideshow.VideoWriter, "_stop", lambda self, *error: None)
    photos = [album / "a.png", album / "d.png"]
    command = ["--in", *photos, "--slideshow", tmp_path / "f.mp4", *SHORT]
    assert run(*command, "--crossfade", 0) == 0
    cut, raw[:] = [*raw], []
    assert run(*command) == 0
    assert len(cut) == 20 and len(raw) == 17
    for faded, whole in ((raw[:7], cut[:7]), (raw[10:], cut[13:])):
        np.testing.assert_array_equal(faded, whole)
    mean = (cut[8].astype(float) + cut[11]) / 2
    assert np.abs(raw[8] - mean).max() <= 1


def test_a_photo_that_fails_is_left_out_and_said(broken, tmp_path, capsys):
    film = tmp_path / "film.mp4"
    assert run("--in", broken, "--slideshow", film, *SHORT, "--json") == 1
    out = capsys.readouterr()
    *photos, whole = map(json.loads, out.out.splitlines())
    assert [("error" in one, "start" in one) for one in photos] == [
        (False, True),
        (False, True),
        (True, False),
        (False, True),
    ]
    assert "c.jpg" in out.err and "1 of 4 photos failed" in out.err
    assert whole["photos"] == 3 and whole["frames"] == probe(film).frames == 24
    assert [name for name, *_ in chapters(film)] == ["a", "b", "d"]


def test_first_and_last_photo_may_fail(album, tmp_path, capsys):
    for name in ("0.jpg", "z.jpg"):
        (album / name).write_bytes(b"no photo")
    assert run("--in", album, "--slideshow", tmp_path / "f.mp4", *SHORT, "--json") == 1
    *photos, whole = results(capsys)
    assert whole["frames"] == probe(tmp_path / "f.mp4").frames == 24
    assert [(one.get("start"), one.get("end")) for one in photos[:2]] == [(None, None), (0, 1)]


def test_without_a_good_photo_there_is_no_film(album, tmp_path, capsys):
    for path in album.iterdir():
        path.write_bytes(b"no photo")
    older = tmp_path / "film.mp4"
    older.write_bytes(b"older")
    assert run("--in", album, "--slideshow", older, *SHORT) == 1
    assert "no photo could be filmed" in capsys.readouterr().err
    assert older.read_bytes() == b"older" and not list(tmp_path.glob(".partial*"))


def test_a_film_that_cannot_be_written_ends_the_run_once(album, tmp_path, capsys, monkeypatch):
    def full(self, frame, cut=False):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(slideshow.VideoWriter, "write", full)
    assert run("--in", album, "--slideshow", tmp_path / "f.mp4", *SHORT, "--json") == 1
    out = capsys.readouterr()
    assert out.out == "" and out.err.count("No space left") == 1
    assert entries(tmp_path / "album") == ["a.png", "b.png", "d.png"]
    assert not list(tmp_path.glob("*.mp4")) and not list(tmp_path.glob(".partial*"))


def test_a_gpu_without_room_makes_the_rest_of_a_shot_on_the_cpu(album, tmp_path, monkeypatch):
    """The frames that were there stay, and none is shown twice."""
    import torch

    from utils.devices import CPU, Devices

    real, calls = slideshow.film_frames, []

    def frames(*arguments):
        calls.append(arguments)
        for index, frame in enumerate(real(*arguments)):
            if len(calls) == 2 and index == 5:
                raise torch.OutOfMemoryError("out of memory")
            yield frame

    monkeypatch.setattr(slideshow, "film_frames", frames)
    settings = settings_from(
        {"inputs": [album], "slideshow": tmp_path / "f.mp4", "flat": True, "fps": 10}
        | {"duration": 1, "crossfade": 0.3}
    )
    networks = kbe.weights.choose_networks(settings, "cpu")
    networks.devices = Devices(torch.device("meta"), CPU)  # nothing is computed there
    jobs = kbe.cli.plan_run(settings).jobs
    *photos, whole = slideshow.film_slideshow(jobs, settings, networks, kbe.prepare)
    assert len(calls) == 4 and not any("error" in photo for photo in photos)
    assert whole["frames"] == probe(tmp_path / "f.mp4").frames == 24


def test_memory_is_that_of_one_fade(album, tmp_path, monkeypatch):
    held = []
    write = fading.CrossFader._write

    def watched(self, frames):
        held.append(len(self._tail) + len(self._before))
        write(self, frames)

    monkeypatch.setattr(fading.CrossFader, "_write", watched)
    rows = "".join(f"{album / 'a.png'}\n" for _ in range(8))
    (tmp_path / "many.csv").write_text("photo\n" + rows)
    assert run("--in", tmp_path / "many.csv", "--slideshow", tmp_path / "f.mp4", *SHORT) == 0
    assert len(held) == 8 * 10 - 7 * 3 and max(held) <= 3 + 1


# -- what else goes with it -----------------------------------------------------------------------


def test_dry_run_lists_the_shots_and_writes_nothing(broken, tmp_path, capsys):
    film = tmp_path / "o" / "film.mp4"
    assert run("--in", broken, "--slideshow", film, *SHORT, "--dry-run", "--json") == 1
    *photos, whole = results(capsys)
    assert not film.parent.exists()
    assert [(one.get("start"), one.get("end")) for one in photos] == [
        (0, 1),
        (0.7, 1.7),
        (None, None),
        (1.4, 2.4),
    ]
    assert whole["frames"] == 24 and whole["dry_run"] is True
    assert run("--in", broken, "--slideshow", film, *SHORT, "--dry-run") == 1
    assert f"{film}:\n" in capsys.readouterr().out


def test_a_film_that_is_there_is_skipped_until_something_changes(album, tmp_path, capsys):
    command = [
        "--in",
        album,
        "--slideshow",
        tmp_path / "f.mp4",
        *SHORT,
        "--skip-existing",
        "--json",
    ]
    assert run(*command) == 0
    made = (tmp_path / "f.mp4").stat().st_mtime_ns
    assert not any("skipped" in one for one in results(capsys))
    assert run(*command) == 0
    again = results(capsys)
    assert all(one["skipped"] for one in again) and len(again) == 4
    assert [one.get("start") for one in again] == [0, 0.7, 1.4, None]
    assert (tmp_path / "f.mp4").stat().st_mtime_ns == made
    for change in (["--crossfade", "0.2"], ["--easing", "smooth"]):
        assert run(*command, *change) == 0
        assert not any("skipped" in one for one in results(capsys))
    (album / "d.png").unlink()
    assert run(*command, "--easing", "smooth") == 0
    assert results(capsys)[-1]["photos"] == 2


def test_default_shot_lasts_four_seconds_and_fades_for_one(album, tmp_path, capsys):
    words = ["--in", album, "--slideshow", tmp_path / "f.mp4", "--2d", "--dry-run", "--json"]
    assert run(*words) == 0
    assert [one["start"] for one in results(capsys)[:-1]] == [0, 3, 6]


def test_stereo_films_both_eyes(album, tmp_path, capsys):
    np.save(album / "depth.npy", np.ones((4, 4)))
    maps = tmp_path / "maps"
    maps.mkdir()
    for name, size in (("a", (72, 96)), ("d", (72, 96))):
        rows = np.linspace(1, 5, size[0], dtype=np.float32)
        np.save(maps / f"{name}.npy", np.tile(rows[:, None], (1, size[1])))
    words = ["--fps", 10, "--duration", 0.5, "--crossfade", 0.2, "--depth", maps]
    photos = [album / "a.png", album / "d.png"]
    film = tmp_path / "f_sbs.mp4"
    assert run("--in", *photos, "--slideshow", film, "--stereo", "sbs", *words) == 0
    assert probe(film).size == (72, 192) and probe(film).frames == 8


def test_like_takes_the_look_of_a_slideshow(album, tmp_path, capsys):
    film = tmp_path / "f.mkv"
    assert run("--in", album, "--slideshow", film, *SHORT, "--codec", "vp9", "--size", "64x64") == 0
    capsys.readouterr()
    new = tmp_path / "g.mkv"
    assert run("--in", album, "--slideshow", new, "--like", film, "--crossfade", 0, "--json") == 0
    whole = results(capsys)[-1]
    assert (whole["width"], whole["frames"], probe(new).codec) == (64, 30, "vp9")


def test_music_is_heard_for_as_long_as_there_are_pictures(broken, tmp_path, capsys):
    """Also where a photo is left out, so that the film is shorter than planned."""
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(4000)) * 9000).astype("<i2").tobytes())
    film = tmp_path / "f.mp4"
    words = ["--in", broken, "--slideshow", film, *SHORT, "--music", tmp_path / "a.wav", "--json"]
    assert run(*words) == 1
    assert results(capsys)[-1]["music"] == str(tmp_path / "a.wav")
    with av.open(str(film)) as container:
        sound = sum(frame.samples for frame in container.decode(audio=0)) / 48000
    assert abs(sound - 2.4) <= 1024 / 48000


# -- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "o"], "--slideshow and --out"),
        (["--ray", "local"], "--slideshow and --ray"),
        (["--write-frames"], "--slideshow and --write-frames"),
        (["--matte"], "--slideshow and --matte"),
        (["--preview"], "--slideshow and --preview"),
        (["--export", "x.ply"], "--slideshow and --export"),
        (["--save-disparity"], "--slideshow and --save-disparity"),
        (["--loop", "boomerang"], "--slideshow and --loop"),
        (["--crossfade", "-1"], "--crossfade must be 0 or more"),
        (["--crossfade", "nan"], "--crossfade must be 0 or more"),
        (
            ["--crossfade", "1"],
            "cross-fades take 1 s, and it is shown for 1 s.\n  Give --duration at least 2.1",
        ),
        (["--crossfade", "0.5"], "b.png: its cross-fades take 1 s"),
        (["--music", "missing.mp3"], "there is no such file"),
        (["--music", "album/a.png"], "there is no sound in it"),
        (["--codec", "vp9"], "--codec vp9 does not go into a .mp4 file"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_work(
    album, tmp_path, monkeypatch, capsys, words, said
):
    monkeypatch.chdir(tmp_path)
    assert run("--in", "album", "--slideshow", "film.mp4", *SHORT, *words) == 2
    assert said in capsys.readouterr().err
    assert entries(tmp_path) == ["a.png", "b.png", "d.png"]


def test_flags_of_a_slideshow_need_one(album, tmp_path, capsys):
    for words in (["--crossfade", "0"], ["--crossfade", "2"], ["--music", "a.mp3"]):
        assert run("--in", album, "--out", tmp_path / "o", *words) == 2
        assert "without --slideshow has no effect" in capsys.readouterr().err
    assert run("--in", album) == 2
    assert "--out (or --slideshow)" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["film", "film.xyz", "film.jpg"])
def test_a_slideshow_is_named_as_a_film(album, tmp_path, capsys, name):
    assert run("--in", album, "--slideshow", tmp_path / name, *SHORT) == 2
    assert "must be a film's name" in capsys.readouterr().err
    (tmp_path / "folder.mp4").mkdir()
    assert run("--in", album, "--slideshow", tmp_path / "folder.mp4", *SHORT) == 2
    assert "there is a folder of that name" in capsys.readouterr().err


def test_a_gif_carries_no_music(album, tmp_path, capsys):
    (tmp_path / "a.mp3").write_bytes(b"")
    words = [
        "--in",
        album,
        "--slideshow",
        tmp_path / "f.gif",
        "--music",
        tmp_path / "a.mp3",
        *SHORT,
    ]
    assert run(*words) == 2
    assert "carries no sound" in capsys.readouterr().err
    assert run(*words[:4], *SHORT) == 0
    assert probe(tmp_path / "f.gif").frames == 24


def test_no_input_is_replaced(album, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(album)
    Image.fromarray(smooth(1, (48, 64))).save("photo.gif")
    Path("song.mp4").write_bytes(b"song")
    Path("list.csv").write_text("photo\na.png\n")
    for words, said in (
        (["--in", "photo.gif", "--slideshow", "photo.gif"], "it is a photo of --in"),
        (["--in", "a.png", "--slideshow", "song.mp4", "--music", "song.mp4"], "what --music names"),
    ):
        before = {path: path.read_bytes() for path in album.iterdir()}
        assert run(*words, *SHORT) == 2
        err = capsys.readouterr().err
        assert said in err and "Choose another --slideshow" in err
        assert {path: path.read_bytes() for path in album.iterdir()} == before
    os.symlink("list.csv", "linked.mp4")
    assert run("--in", "list.csv", "--slideshow", "linked.mp4", *SHORT) == 2
    assert "it is a list of --in" in capsys.readouterr().err


# -- stopped --------------------------------------------------------------------------------------


@unix
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_leaves_nothing(album, tmp_path, sent, status):
    out = tmp_path / "o"
    words = ["--in", album, "--slideshow", out / "f.mp4", "--2d", "--duration", "30000"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "kbe.py"), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        wait_until(lambda: any(path.stat().st_size for path in out.glob(".partial*")), process)
        process.send_signal(sent)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == status
    assert "Traceback" not in err and "error: " + str(album) not in err
    assert list(out.iterdir()) == []


# -- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_sizes_are_those_of_the_photo_as_seen(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(smooth(3, (40, 64))).save(path, exif=exif)
    assert read_size(path) == ((64, 40) if orientation == 6 else (40, 64))


def test_size_is_that_of_most_photos(tmp_path):
    for name, size in (
        ("a", (96, 64)),
        ("b", (64, 96)),
        ("c", (64, 128)),
        ("d", (64, 128)),
        *((name, (2, 3)) for name in "efgh"),  # too small for a film, they do not count
    ):
        write_image(tmp_path / f"{name}.png", smooth(1, size))
    photos = sorted(tmp_path.glob("*.png"))
    assert slideshow._common_size(photos, 0) == (64, 128)
    assert slideshow._common_size(photos[:1], 48) == (48, 32)
    for unusable in (tmp_path / "none.png", photos[-1]):
        assert slideshow._common_size([unusable], 0) == slideshow.UNKNOWN_SIZE
