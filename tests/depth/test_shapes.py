"""Maps that lie otherwise than the photo, folders of maps, and numbers that mean nothing."""

import os
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from utils.depth import maps as maps_module
from utils.depth.estimators import read_disparity
from utils.depth.map_files import read_depth, read_numbers
from utils.depth.map_kind import guess_kind, known_depth, to_disparity
from utils.depth.maps import find_map, fit_shape

SLOPE = np.tile(np.linspace(20, 200, 32)[:, None], (1, 24)).astype(np.uint8)  # nearer below


def save(path, values, orientation=1):
    path.parent.mkdir(exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif} if orientation != 1 else {}
    Image.fromarray(values).save(path, **options)
    return path


# -- orientation and shape ------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "tiff", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_map_is_turned_by_its_own_exif(tmp_path, suffix, orientation):
    stored = {
        2: SLOPE[:, ::-1],
        3: SLOPE[::-1, ::-1],
        4: SLOPE[::-1],
        5: SLOPE.T,
        6: SLOPE.T[::-1],
        7: SLOPE[::-1, ::-1].T,
        8: SLOPE.T[:, ::-1],
    }.get(orientation, SLOPE)
    path = save(tmp_path / f"m.{suffix}", np.ascontiguousarray(stored), orientation)
    assert np.abs(read_depth(path) - SLOPE).max() <= 4  # JPEG's


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_map_that_lies_as_the_photo_is_stored_is_turned_and_said(orientation):
    stored = {5: SLOPE.T, 6: SLOPE.T[::-1], 7: SLOPE[::-1, ::-1].T, 8: SLOPE.T[:, ::-1]}
    turned, note = fit_shape(np.ascontiguousarray(stored[orientation]), (320, 240), orientation)
    np.testing.assert_array_equal(turned, SLOPE)
    assert note == f"turned as the photo was (EXIF orientation {orientation})"


def test_a_map_is_judged_as_it_lies_in_the_photo(tmp_path):
    path = save(tmp_path / "m.png", np.ascontiguousarray(SLOPE.T[::-1]))
    _, note = read_disparity(path, fit=lambda values: fit_shape(values, (320, 240), 6))
    assert "larger at the bottom" in note and "EXIF orientation 6" in note


@pytest.mark.parametrize(
    ("shape", "note"),
    [
        ((240, 320), ""),
        ((24, 32), ""),
        ((23, 31), ""),
        ((479, 640), ""),
        ((1, 1), ""),
        ((2, 3), ""),
        ((100, 100), "stretched"),
        ((240, 325), "stretched"),
        ((244, 320), "stretched"),
    ],
)
def test_proportional_and_square_maps_are_taken(shape, note):
    values, said = fit_shape(np.ones(shape, np.float32), (240, 320), 1)
    assert values.shape == shape and (note in said) and bool(note) == bool(said)


@pytest.mark.parametrize(
    ("shape", "orientation", "found"),
    [
        ((320, 240), 1, "on its side"),
        ((320, 240), 3, "on its side"),
        ((60, 320), 1, "another shape"),
        ((240, 330), 6, "another shape"),
        ((236, 320 * 2), 1, "another shape"),
    ],
)
def test_maps_of_another_shape_are_refused(shape, orientation, found):
    with pytest.raises(ValueError, match=f"is {shape[1]}x{shape[0]}, and the .*320x240.*{found}"):
        fit_shape(np.ones(shape, np.float32), (240, 320), orientation)


# -- numbers that mean nothing --------------------------------------------------------------------


def millimetres():
    values = np.tile(np.linspace(7000, 900, 30), (40, 1)).T.round().astype(np.float32)
    values[:5] = 65535
    return values


def test_65535_among_millimetres_is_unknown_and_does_not_hide_the_name(tmp_path):
    path = tmp_path / "room_depth.png"
    cv2.imwrite(str(path), millimetres().astype(np.uint16))
    values = read_depth(path)
    kind, reason = guess_kind(path, values)
    assert (kind, reason) == ("depth", "the name 'room_depth' says so")
    disparity = to_disparity(values, kind)
    assert np.isnan(disparity[:5]).all() and np.isfinite(disparity[5:]).all()
    disparity, note = read_disparity(path)
    np.testing.assert_array_equal(disparity[:5], disparity[5:6].repeat(5, 0))
    assert "16.7% unknown" in note


def test_65535_of_a_picture_over_all_bits_or_of_disparity_is_a_number():
    stretched = np.linspace(0, 65535, 1200).round().astype(np.float32).reshape(30, 40)
    assert known_depth(stretched) is stretched
    assert np.isfinite(to_disparity(millimetres(), "disparity")).all()
    fractions = millimetres() + np.float32(0.5) * (millimetres() < 65535)
    assert known_depth(fractions) is fractions


# -- folders of maps ------------------------------------------------------------------------------


@pytest.fixture
def maps(tmp_path):
    photo = save(tmp_path / "album" / "a.png", SLOPE)
    (tmp_path / "maps").mkdir()
    return photo, tmp_path / "maps"


@pytest.mark.parametrize(
    "name",
    [
        "a.npy",
        "a.PNG",
        "a_depth.png",
        "a-disparity.exr",
        "a_disp.pfm",
        "a.depth.tif",
        "a_DepthMap.png",
    ],
)
def test_the_map_of_a_photo_is_found_by_its_stem(maps, name):
    photo, folder = maps
    for other in (
        name,
        "aa.png",
        "a_mask.png",
        "ab_depth.png",
        "a.json",
        "a.csv",
        "a.jpg",
        "._a.png",
        "Thumbs.db",
    ):
        (folder / other).write_bytes(b"x")
    (folder / "a.tiff").mkdir()
    assert find_map(folder, photo) == folder / name


def test_a_folder_of_photos_and_maps_never_gives_the_photo_itself(maps):
    photo, _ = maps
    with pytest.raises(ValueError, match=r"no depth map named a\.\* or a_depth"):
        find_map(photo.parent, photo)
    shutil.copy(photo, photo.with_name("a_depth.png"))
    assert find_map(photo.parent, photo).name == "a_depth.png"


def test_several_maps_of_one_stem_are_listed(maps):
    photo, folder = maps
    for name in ("a.png", "a.npy"):
        (folder / name).write_bytes(b"x")
    with pytest.raises(ValueError, match=r"several maps of it: a\.npy, a\.png"):
        find_map(folder, photo)


def test_a_folder_is_listed_once_for_many_photos_and_again_when_it_changes(maps, monkeypatch):
    photo, folder = maps
    names = [f"{n}_depth.png" for n in range(30)]
    for name in names:
        (folder / name).write_bytes(b"x")
    os.utime(folder, (1, 1))
    listed = []
    listing = maps_module.data_files
    monkeypatch.setattr(
        maps_module, "data_files", lambda *given: listed.append(1) or listing(*given)
    )
    for n, name in enumerate(names):
        assert find_map(folder, photo.with_name(f"{n}.jpg")) == folder / name
    assert len(listed) == 1
    for n in (30, 31):  # within one tick of the folder's time, too
        (folder / f"{n}_depth.png").write_bytes(b"x")
        assert find_map(folder, photo.with_name(f"{n}.jpg"))


def test_an_accent_may_be_spelled_in_two_ways(maps):
    photo, folder = maps
    (folder / "é_depth.png".replace("é", "e\u0301")).write_bytes(b"x")
    assert find_map(folder, photo.with_name("\u00e9.jpg"))


def test_numbers_come_in_the_type_in_which_they_are_stored(tmp_path):
    for dtype in (np.uint8, np.uint16, np.float32):
        np.save(tmp_path / "a.npy", np.ones((3, 4), dtype))
        assert read_numbers(tmp_path / "a.npy").dtype == dtype
    cv2.imwrite(str(tmp_path / "a.png"), np.full((3, 4), 26001, np.uint16))
    np.testing.assert_array_equal(read_numbers(tmp_path / "a.png"), np.full((3, 4), 26001))
