"""The example in images/, a picture and the exact disparity beside it, and who draws the others."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

IMAGES = Path(__file__).resolve().parents[2] / "images"


@pytest.fixture(scope="module")
def picture():
    return cv2.imread(str(IMAGES / "example.jpg"))


@pytest.fixture(scope="module")
def disparity():
    return cv2.imread(str(IMAGES / "example_disparity.png"), cv2.IMREAD_UNCHANGED)


def test_picture_and_disparity_have_the_same_size(picture, disparity):
    assert picture.shape == (1024, 1536, 3)
    assert disparity.shape == (1024, 1536)


def test_files_are_small_enough_to_live_in_a_repository():
    assert (IMAGES / "example.jpg").stat().st_size < 500_000
    assert (IMAGES / "example_disparity.png").stat().st_size < 600_000


def test_disparity_is_16_bit_positive_and_uses_its_range(disparity):
    assert disparity.dtype == np.uint16
    assert disparity.min() >= 1  # zero would be read as "no value"
    assert disparity.max() > 40_000
    assert len(np.unique(disparity)) > 1000


def test_foreground_is_nearer_than_middle_ground_is_nearer_than_sky(disparity):
    jetty = np.median(disparity[960:, 560:760])
    cabin = np.median(disparity[430:480, 1100:1250])
    sky = np.median(disparity[:80, 700:900])
    assert jetty > 3 * cabin > 9 * sky


def test_disparity_has_sharp_edges(disparity):
    # Along a row that crosses lantern post and birch, values jump: nothing is blended in between.
    step = np.abs(np.diff(disparity[300].astype(int)))
    assert step.max() > 15_000


def test_picture_is_neither_dark_nor_washed_out(picture):
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    low, middle, high = np.percentile(grey, [2, 50, 98])
    assert low < 60 < middle < 190 < high


@pytest.mark.parametrize(
    ("script", "picture"),
    [("fill", "patches"), ("edges", "edges"), ("hair", "hair"), ("weaknesses", "weaknesses")],
)
def test_pictures_of_the_documents_can_be_drawn_again(script, picture, tmp_path, monkeypatch):
    """As they are, but for noise: what a document shows is what the program does."""
    spec = importlib.util.spec_from_file_location(script, IMAGES / f"{script}_example.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    if script == "weaknesses":  # all 32 take minutes
        monkeypatch.setattr(module, "SCENES", 4)
    module.main()
    drawn, shown = (cv2.imread(str(at / f"example_{picture}.jpg")) for at in (tmp_path, IMAGES))
    assert drawn.shape == shown.shape
    if script != "weaknesses":
        assert np.abs(drawn.astype(int) - shown).mean() < 1.5
