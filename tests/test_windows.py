"""Program paths as Windows walks them, with stand-ins for what is otherwise there."""

import csv
import errno
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
from contextlib import closing
from fractions import Fraction

import numpy as np
import pytest
from kbe_runs import ROOT, SHORT, run
from small_training import write_photos
from waiting import PATIENCE

from utils import files, processes
from utils.cli.runs import plan_jobs
from utils.film import video
from utils.film.photos import write_image

# -- text in a code page --------------------------------------------------------------------------


def opened_without_encoding(*command):
    """Run a program of ours; return where it opens a text file by the system's code page."""
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-W", "always::EncodingWarning", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    places = [line for line in done.stderr.splitlines() if "EncodingWarning" in line]
    return [line for line in places if line.startswith(str(ROOT)) and "site-packages" not in line]


def test_a_film_opens_no_text_by_the_code_page(tmp_path):
    rng = np.random.default_rng(0)
    write_image(tmp_path / "caf\u00e9.png", rng.integers(0, 255, (64, 96, 3), np.uint8))
    (tmp_path / "list.csv").write_text("photo,seconds\ncaf\u00e9.png,0.2\n", encoding="utf-8")
    results = ["--write-frames", "--save-disparity", "--preview", "--matte", "--export", "s.ply"]
    words = ["--in", tmp_path / "list.csv", "--out", tmp_path / "o", *results, "--skip-existing"]
    assert opened_without_encoding(ROOT / "kbe.py", *words) == []


def test_training_opens_no_text_by_the_code_page(tmp_path):
    data_set = write_photos(tmp_path / "photos", count=2) | {"name": "caf\u00e9", "index": "i.csv"}
    with open(tmp_path / "photos" / "i.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["stem"], ["0"], ["1"]])
    text = json.dumps([data_set], ensure_ascii=False)
    (tmp_path / "sets.json").write_text(text, encoding="utf-8")
    words = "--crop 48x32 --batch-size 1 --steps 1 --val-images 1 --workers 0 --device cpu".split()
    words += ["--dataset", "caf\u00e9", "--dataset-file", tmp_path / "sets.json"]
    words += ["--models-dir", tmp_path / "models", "--runs-dir", tmp_path / "runs"]
    assert opened_without_encoding(ROOT / "train.py", *words) == []
    assert (tmp_path / "models" / "disparity-3dkbe.json").is_file()


# -- pipes and processes --------------------------------------------------------------------------


class OtherPipe:
    """A connection as Windows has it: none of multiprocessing's class Connection."""

    def __init__(self, real):
        self.real = real

    def __getattr__(self, name):
        return getattr(self.real, name)


def count_to(number):
    yield from range(number)


def test_processes_work_over_pipes_of_another_class(monkeypatch):
    context = multiprocessing.get_context("spawn")
    pipe = type(context).Pipe

    def other_pipe(self):
        ours, theirs = pipe(self)
        return OtherPipe(ours), theirs

    monkeypatch.setattr(type(context), "Pipe", other_pipe)
    with closing(processes.spread(count_to, [2, 3], processes=2)) as told:
        assert sorted(told) == [0, 0, 1, 1, 2]


def test_a_film_is_made_without_what_only_unix_has(tmp_path, monkeypatch):
    for owner, name in (
        (os, "fork"),
        (os, "sched_getaffinity"),
        (processes.signal, "pthread_sigmask"),
    ):
        monkeypatch.delattr(owner, name, raising=False)
    monkeypatch.setattr(files, "fcntl", None)
    monkeypatch.setitem(sys.modules, "resource", None)
    write_image(tmp_path / "con.png", np.full((64, 64, 3), 90, np.uint8))
    assert run("--in", tmp_path / "con.png", "--out", tmp_path / "o", "--2d", *SHORT) == 0
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["3d_kbe.mp4"]


# -- files that are open --------------------------------------------------------------------------


@pytest.fixture
def locked_while_open(monkeypatch):
    """Files that this process holds open are neither removed nor renamed, as on Windows."""
    descriptors = pathlib.Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("needs to see which files are open")

    def check(path):
        for descriptor in descriptors.iterdir():
            try:
                place = os.readlink(descriptor)
            except OSError:  # that of the search itself
                continue
            if place == os.path.abspath(path):
                raise PermissionError(errno.EACCES, "it is used by another process", str(path))

    def unlink(self, missing_ok=False, real=pathlib.Path.unlink):
        check(self)
        real(self, missing_ok=missing_ok)

    def replace(source, target, real=os.replace):
        check(source), check(target)
        real(source, target)

    monkeypatch.setattr(files, "fcntl", None)
    monkeypatch.setattr(pathlib.Path, "unlink", unlink)
    monkeypatch.setattr(os, "replace", replace)
    return check


def test_an_encoder_that_refuses_is_heard_and_leaves_nothing(
    tmp_path, monkeypatch, locked_while_open
):
    def refuse(pixel_format):
        raise video.av.error.ExternalError(1, "such an encoder")

    monkeypatch.setattr(video, "_ToBT709", refuse)
    writer = video.VideoWriter(tmp_path / "film.mp4", (64, 64), Fraction(25))
    with pytest.raises(ValueError, match="the encoder refuses: such an encoder"), writer:
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mov", ".gif"])
def test_films_appear_and_are_given_up_where_open_files_are_locked(
    tmp_path, suffix, locked_while_open
):
    codec = video.CODECS and next(n for n, c in video.CODECS.items() if suffix in c.suffixes)
    frame = np.zeros((64, 64, 3), np.uint8)
    for fails in (False, True, False):
        writer = video.VideoWriter(tmp_path / f"film{suffix}", (64, 64), 25, codec, None, {"a": 1})
        try:
            with writer:
                for _ in range(4):
                    writer.write(frame)
                if fails:
                    raise KeyError("a mistake")
        except KeyError as error:
            assert fails and error.args == ("a mistake",)
        assert [path.name for path in tmp_path.iterdir()] == [f"film{suffix}"]


def test_what_cannot_be_removed_does_not_hide_the_error(tmp_path, locked_while_open):
    with (
        pytest.raises(KeyError, match="a mistake"),
        files.complete_or_absent(tmp_path / "a.txt") as path,
    ):
        file = open(path, "wb")
        raise KeyError("a mistake")
    file.close()


def test_a_film_that_is_being_shown_stays_and_the_message_says_to_close_it(
    tmp_path, locked_while_open
):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"shown")
    with (
        film.open("rb"),
        pytest.raises(OSError, match="close what has it open"),
        files.naming_write_errors(film),
        files.complete_or_absent(film) as path,
    ):
        path.write_bytes(b"new")
    assert film.read_bytes() == b"shown" and [p.name for p in tmp_path.iterdir()] == ["film.mp4"]


def test_frames_that_cannot_be_replaced_stay(tmp_path, monkeypatch):
    frames, replace = tmp_path / "frames", os.replace
    frames.mkdir()
    (frames / "00000.png").write_bytes(b"older")

    def refuse(source, target):
        if pathlib.Path(source).name == "filled":
            raise PermissionError(errno.EACCES, "it is used by another process")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError), files.folder_complete_or_absent(frames) as folder:
        (folder / "00000.png").write_bytes(b"new")
    assert (frames / "00000.png").read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("photo", "folder"),
    [
        ("con.jpg", "con_"),
        ("Aux.2024.jpg", "Aux_.2024"),
        ("COM1.png", "COM1_"),
        ("nul .png", "nul_"),
        ("console.jpg", "console"),
        ("photo..jpg", "photo"),
        ("photo .jpg", "photo"),
        ("..jpg", "photo"),
    ],
)
def test_photos_get_folders_that_every_system_takes(tmp_path, photo, folder):
    jobs = plan_jobs([tmp_path / photo, tmp_path / "b.jpg"], True, tmp_path, ".mp4")
    assert jobs[0].folder == tmp_path / folder


def test_names_that_become_the_same_are_told_apart(tmp_path):
    photos = [tmp_path / name for name in ("a.jpg", "a..jpg", "a .png")]
    folders = [job.folder.name for job in plan_jobs(photos, True, tmp_path, ".mp4")]
    assert len(set(map(str.lower, folders))) == 3 and folders[2] == "a-png"
