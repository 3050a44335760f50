"""Nothing of the user's is overwritten, replaced or left: refused before any work."""

import os
import stat

import numpy as np
import pytest
from PIL import Image

import kbe
from utils.files import complete_or_absent
from utils.film import write_image

SHORT = ["--2d", "--duration", "0.24"]


def run(*words):
    try:
        return kbe.main([str(word) for word in words])
    except SystemExit as end:
        return end.code


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of the user's, in which the command is given."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    for name in ("a.png", "b.png", "preview.png", "disparity.png"):
        write_image(tmp_path / name, pixels)
    for name in ("3d_kbe.gif", "3d_kbe_matte.gif"):
        Image.fromarray(pixels).save(tmp_path / name)
    np.save("disparity.npy", np.tile(np.linspace(1, 5, 48, dtype=np.float32)[:, None], (1, 64)))
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("--in preview.png --out . --preview --2d", "preview.png"),
        ("--in a.png --depth disparity.npy --out . --save-disparity", "disparity.npy"),
        ("--in disparity.png --depth disparity.npy --out . --save-disparity", "disparity"),
        ("--in 3d_kbe.gif --out . --codec gif --2d", "3d_kbe.gif"),
        ("--in 3d_kbe.gif --out 3d_kbe.gif --2d", "3d_kbe.gif"),
        ("--in 3d_kbe_matte.gif --out . --codec gif --matte --2d", "3d_kbe_matte.gif"),
        ("--in a.png b.png --out films --export {here}/both.ply --2d", "both.ply"),
        ("--in a.png b.png --out films --export ../both.ply --2d", "both.ply"),
        (
            "--in a.png --out . --inpaint-path scene.ply --export scene.ply --depth disparity.npy",
            "scene.ply",
        ),
    ],
)
def test_a_result_that_would_land_on_an_input_is_refused(here, capsys, command, named):
    (here / "scene.ply").write_bytes(b"mine")
    before = contents(here)
    assert run(*command.format(here=here).split(), "--duration", "0.24") == 2
    err = capsys.readouterr().err
    assert named in err and "--out" in err or "--export" in err
    assert contents(here) == before


def test_links_do_not_hide_an_input(here):
    os.symlink(here, here / "link")
    (here / "sub").mkdir()
    os.symlink(here / "preview.png", here / "sub" / "preview.png")
    before = contents(here)
    assert run("--in", "preview.png", "--out", "link", "--preview", *SHORT) == 2
    assert run("--in", "preview.png", "--out", "sub", "--preview", *SHORT) == 2
    assert contents(here) == before


@pytest.mark.parametrize("mine", ["notes.txt", "00010.png", "cat.png"])
def test_a_folder_of_frames_is_replaced_only_if_it_is_ours(here, capsys, mine):
    (here / "frames").mkdir()
    (here / "frames" / mine).write_bytes((here / "a.png").read_bytes())
    photo = "frames/00010.png" if mine == "00010.png" else "a.png"
    before = contents(here)
    assert run("--in", photo, "--out", ".", "--write-frames", *SHORT) == 2
    assert mine in capsys.readouterr().err
    assert contents(here) == before


def test_our_own_frames_are_replaced(here):
    for _ in range(2):
        assert run("--in", "a.png", "--out", ".", "--write-frames", *SHORT) == 0
    assert len(list((here / "frames").iterdir())) == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("flags", [["--out", "film.mp4"], ["--slideshow", "film.mp4"]])
def test_a_pipe_or_a_device_is_not_replaced(here, capsys, flags):
    os.mkfifo("film.mp4")
    assert run("--in", "a.png", *flags, *SHORT) == 2
    assert "film.mp4 is a device or a pipe" in capsys.readouterr().err
    assert stat.S_ISFIFO(os.stat("film.mp4").st_mode)
    with pytest.raises(OSError, match="a device or a pipe"), complete_or_absent("film.mp4"):
        raise AssertionError("nothing must be made")
    os.unlink("film.mp4")
    os.symlink(os.devnull, "film.mp4")
    assert run("--in", "a.png", *flags, *SHORT) == 2
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


@pytest.mark.parametrize("name", ["film.avi", "film.m4v", "film.webp", "film.mkv.bak", "film.MPG"])
def test_a_film_of_an_unknown_kind_is_refused(here, capsys, name):
    assert run("--in", "a.png", "--out", name, *SHORT) == 2
    assert ".mp4, " in capsys.readouterr().err and not (here / name).exists()
    (here / name).mkdir()
    assert run("--in", "a.png", "--out", name, *SHORT) == 0, "a folder that is there is meant"


def test_folders_may_have_dots(here):
    assert run("--in", "a.png", "--out", "holiday.2024", *SHORT) == 0
    assert (here / "holiday.2024" / "3d_kbe.mp4").is_file()


def test_names_of_dots_do_not_lead_out_of_the_folder(here):
    (here / "album").mkdir()
    for name in ("..png", "...png", ". .png"):
        (here / "album" / name).write_bytes((here / "a.png").read_bytes())
    paths = sorted((here / "album").iterdir())
    assert run("--in", *paths, "--out", "films", *SHORT) == 0
    assert len(list((here / "films").glob("*/3d_kbe.mp4"))) == 3
    assert sorted(path.parent.parent.name for path in here.rglob("3d_kbe.mp4")) == ["films"] * 3


def test_links_that_out_is_are_followed(here):
    (here / "disk").mkdir()
    (here / "disk" / "real.mp4").write_bytes(b"older")
    os.symlink("disk/real.mp4", here / "link.mp4")
    os.symlink("nowhere", here / "dangling")
    assert run("--in", "a.png", "--out", "link.mp4", *SHORT) == 0
    assert (here / "link.mp4").is_symlink() and (here / "disk" / "real.mp4").stat().st_size > 100
    assert run("--in", "a.png", "--out", "dangling", *SHORT) == 0
    assert (here / "nowhere" / "3d_kbe.mp4").is_file()
