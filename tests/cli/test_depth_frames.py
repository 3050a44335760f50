"""--write-depth: files, names, scale, what they are read back as, and what leaves none."""

import json
import signal
import sys

import numpy as np
import pytest
from kbe_runs import SHORT, leftovers, run, spawn
from PIL import Image
from waiting import PATIENCE, unix, wait_until

import kbe
from utils.depth.map_files import read_depth

ZOOM = ["--move", "zoom-in", "--focal", "48"]  # the camera ends nearer than the photo's


@pytest.fixture
def film(photo, depth, tmp_path):
    """Run kbe.py on the photo with more flags; return its exit status."""
    command = ["--in", photo, "--out", tmp_path / "o", *depth, *SHORT, *ZOOM]
    return lambda *more: run(*command, "--write-depth", *more)


def test_depth_of_every_frame_is_openexr_on_one_scale(film, tmp_path, capsys):
    openexr = pytest.importorskip("OpenEXR")
    assert film("--write-frames", "--json", "--export", "camera.json") == 0
    told = json.loads(capsys.readouterr().out)
    folder = tmp_path / "o" / "depth"
    assert str(folder) in told["files"] and leftovers(tmp_path) == []
    frames = sorted(path.stem for path in (tmp_path / "o" / "frames").iterdir())
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.exr" for name in frames]
    camera = json.loads((tmp_path / "o" / "camera.json").read_text())["frames"]
    nearest = []
    for number, name in enumerate(frames):
        with openexr.File(str(folder / f"{name}.exr")) as file:
            assert list(file.channels()) == ["Z"]
            assert "nearest point" in file.header()["comments"]
            values = file.channels()["Z"].pixels
        assert values.dtype == np.float32 and values.shape == (72, 96)
        assert np.array_equal(read_depth(folder / f"{name}.exr"), values)
        nearest.append(values.min())
        # The disc stands one unit from the photo's camera, this one has gone t towards it.
        assert nearest[-1] == pytest.approx(1 + camera[number]["t"][2], rel=0.01)
    assert nearest[0] > 1.05 * nearest[-1]


def test_without_openexr_it_is_inverse_depth_in_png_on_one_scale(film, tmp_path, monkeypatch):
    pytest.importorskip("OpenEXR")
    assert film() == 0
    folder = tmp_path / "o" / "depth"
    exact = [read_depth(path) for path in sorted(folder.iterdir())]
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    assert film() == 0  # in place of the older ones
    paths = sorted(folder.iterdir())
    assert [path.name for path in paths] == [f"{number:05d}.png" for number in range(len(exact))]
    said = {Image.open(path).text["InverseDepth"] for path in paths}
    assert len(said) == 1 and "nearest point" in next(iter(said))
    full = float(next(iter(said)).split()[2].rstrip(";"))
    stored = np.array([np.array(Image.open(path)) for path in paths])
    assert stored.dtype == np.uint16 and stored.max() > 64000
    assert np.abs(full * stored / 65535 * exact - 1).max() < 0.01


def test_dry_runs_skips_and_batches_know_of_it(film, photo, depth, tmp_path, capsys):
    assert film("--dry-run", "--json") == 0
    assert str(tmp_path / "o" / "depth") in json.loads(capsys.readouterr().out)["files"]
    assert not (tmp_path / "o").exists()
    plain = ["--in", photo, "--out", tmp_path / "o", *depth, *SHORT, *ZOOM]
    assert run(*plain) == 0
    for skipped in (False, True):
        capsys.readouterr()
        assert film("--skip-existing", "--json") == 0
        assert json.loads(capsys.readouterr().out).get("skipped", False) == skipped
    assert len(list((tmp_path / "o" / "depth").iterdir())) == 4
    maps = tmp_path / "maps"
    maps.mkdir()
    (tmp_path / "photo_disparity.png").rename(maps / "photo_disparity.png")
    album = ["--in", tmp_path / "*.png", "--out", tmp_path / "b", "--depth", maps, *SHORT]
    assert run(*album, "--write-depth") == 0
    assert len(list((tmp_path / "b" / "photo" / "depth").iterdir())) == 4


def test_python_asks_for_it_too(photo, depth, tmp_path):
    made = kbe.animate(photo, tmp_path / "f.mp4", depth=depth[1], duration=0.24, write_depth=True)
    assert str(tmp_path / "f_depth") in made["files"]
    assert len(list((tmp_path / "f_depth").iterdir())) == 4
    with pytest.raises(ValueError, match="write_depth without a file has no effect"):
        kbe.animate(photo, depth=depth[1], write_depth=True)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--out", "o", "--2d"], "no depth"),
        (["--out", "o", "--stereo", "sbs"], "each eye"),
        (["--out", "o", "--stereo", "rgbd"], "rgbd has"),
        (["--slideshow", "o.mp4"], "--slideshow and --write-depth"),
    ],
)
def test_what_has_no_such_depth_refuses_it(photo, tmp_path, monkeypatch, capsys, more, why):
    monkeypatch.chdir(tmp_path)
    assert run("--in", photo, "--write-depth", *more) == 2
    assert why in capsys.readouterr().err and not list(tmp_path.glob("o*"))


def test_a_folder_of_the_users_is_not_replaced(film, tmp_path, capsys):
    (tmp_path / "o" / "depth").mkdir(parents=True)
    (tmp_path / "o" / "depth" / "mine.exr").write_bytes(b"v")
    assert film() == 2
    assert "--write-depth would replace the folder" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "o").rglob("*.*")] == ["mine.exr"]


@unix
def test_interrupted_it_leaves_nothing(photo, depth, tmp_path):
    process = spawn(
        "--in", photo, "--out", tmp_path / "o", *depth, "--duration", "4000", "--write-depth"
    )
    wait_until(lambda: list((tmp_path / "o").rglob("00002.exr")), process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert list((tmp_path / "o").rglob("*")) == []
