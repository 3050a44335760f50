"""--save-disparity, an image editor, --depth: the same film where nothing was changed."""

import cv2
import numpy as np
import pytest
from kbe_runs import SHORT, run
from PIL import Image

from utils.film import write_image

MOVE = ["--move", "zoom-in", "--write-frames", "--loop", "none"]


@pytest.fixture
def smooth(photo):
    """A map of 32 bits whose values no 16 bits hold."""
    rows, columns = np.mgrid[:72, :96]
    disc = (rows - 40) ** 2 + (columns - 50) ** 2 < 18**2
    slope = np.where(disc, 9 + columns / 77, 2 + rows / 53).astype(np.float32)
    np.save(photo.parent / "smooth.npy", slope)
    return photo.parent / "smooth.npy"


def film(photo, out, depth, *more):
    assert run("--in", photo, "--out", out, "--depth", depth, *SHORT, *MOVE, *more) == 0
    return [np.array(Image.open(path)) for path in sorted((out / "frames").iterdir())]


def keep(path):
    return path


def lose_text(path):
    """What an editor leaves that knows pixels only."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), pixels)
    assert "Disparity" not in Image.open(path).text


@pytest.mark.parametrize("size", [[], ["--max-size", "64"]], ids=["whole", "reduced"])
@pytest.mark.parametrize("editor", [keep, lose_text])
def test_an_unedited_map_makes_the_same_film(photo, smooth, tmp_path, editor, size):
    first = film(photo, tmp_path / "a", smooth, "--save-disparity", *size)
    saved = tmp_path / "a" / "disparity.png"
    assert Image.open(saved).text["Disparity"] == "65535 is 120 px"
    editor(saved)
    again = film(photo, tmp_path / "b", saved, *size)
    assert len(first) == len(again) == 6
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_depth_stays_where_it_was_not_edited_even_if_the_nearest_was(photo, smooth, tmp_path):
    film(photo, tmp_path / "a", smooth, "--save-disparity")
    saved = tmp_path / "a" / "disparity.png"
    before = np.load(tmp_path / "a" / "disparity.npy")
    text = Image.open(saved).text
    pixels = cv2.imread(str(saved), cv2.IMREAD_UNCHANGED)
    disc = before > 80
    pixels[disc] //= 2  # the nearest of all
    write_image(saved, pixels, text)
    film(photo, tmp_path / "b", saved, "--save-disparity")
    after = np.load(tmp_path / "b" / "disparity.npy")
    np.testing.assert_array_equal(after[~disc], before[~disc])
    np.testing.assert_allclose(after[disc], before[disc] / 2, atol=0.002)


def test_the_text_says_nothing_of_a_map_that_is_called_depth(photo, smooth, tmp_path):
    film(photo, tmp_path / "a", smooth, "--save-disparity")
    saved = tmp_path / "a" / "disparity.png"
    film(photo, tmp_path / "b", saved, "--depth-kind", "depth", "--save-disparity")
    assert np.load(tmp_path / "b" / "disparity.npy").max() == pytest.approx(120)
