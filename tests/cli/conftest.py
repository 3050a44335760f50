"""The photo that most tests of kbe.py film, and its depth map."""

import numpy as np
import pytest

from utils.film.photos import write_image


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
