"""Benchmarks on a user's own folder: what it lacks is told in one line."""

import numpy as np
import pytest

from benchmarks import batch, depth, encoders, inpainting, outlines, phone_depth, planning
from benchmarks.folders import files_like, photo_of, photos_in, run_telling
from utils.film import write_image

READERS = [
    depth.rgbd_samples,
    depth.ibims_samples,
    depth.stereo_samples,
    inpainting.stereo_pairs,
    outlines.masks,
    lambda folder: phone_depth.measured_samples(folder, ""),
]


@pytest.mark.parametrize("read", READERS)
def test_a_folder_of_another_layout_is_told(tmp_path, read):
    with pytest.raises(ValueError, match=r"holds no .*\.png; see --help"):
        next(iter(read(tmp_path)))
    with pytest.raises(ValueError, match="there is no such folder"):
        next(iter(read(tmp_path / "absent")))


def test_a_map_without_its_photo_is_told(tmp_path):
    (tmp_path / "depth").mkdir()
    write_image(tmp_path / "depth" / "a.png", np.ones((4, 4), np.uint16))
    with pytest.raises(ValueError, match=r"no photo images/a\.\*"):
        next(iter(depth.rgbd_samples(tmp_path)))


def test_photos_of_every_kind_are_found(tmp_path):
    for name in ("images/b.HEIC", "images/b.txt", "images/a.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in photos_in(tmp_path / "images")] == ["a.webp", "b.HEIC"]
    assert photo_of(tmp_path, "b").name == "b.HEIC"
    assert [path.name for path in files_like(tmp_path, "images/*.txt")] == ["b.txt"]


@pytest.mark.parametrize("main", [planning.main, encoders.main, batch.main])
def test_a_folder_without_photos_ends_with_one_line(tmp_path, monkeypatch, main):
    flag = [] if main is planning.main else ["--photos"]
    monkeypatch.setattr("sys.argv", ["bench.py", *flag, str(tmp_path)])
    with pytest.raises(SystemExit, match="bench.py: error: .*there are no photos"):
        run_telling(main)
