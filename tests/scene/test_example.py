"""The example in images/, a picture and the exact disparity beside it, and who draws the others."""

import importlib.util
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

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


def load_script(name, folder, monkeypatch):
    """A script of images/ that reads and writes in `folder`, where the example lies too."""
    spec = importlib.util.spec_from_file_location(name, IMAGES / f"{name}_example.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FOLDER", folder)
    for file in ("example.jpg", "example_disparity.png"):
        shutil.copy(IMAGES / file, folder)
    return module


def difference(folder, name):
    """Mean absolute difference, 255 levels, of a picture drawn again; first frame if it moves."""
    drawn, shown = (
        np.asarray(Image.open(at / name).convert("RGB"), float) for at in (folder, IMAGES)
    )
    assert drawn.shape == shown.shape
    return np.abs(drawn - shown).mean()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "picture"),
    [("fill", "patches"), ("edges", "edges"), ("weaknesses", "weaknesses")],
)
def test_pictures_of_the_documents_can_be_drawn_again(script, picture, tmp_path, monkeypatch):
    """As they are, but for noise: what a document shows is what the program does."""
    module = load_script(script, tmp_path, monkeypatch)
    if script == "weaknesses":  # all 32 take minutes
        monkeypatch.setattr(module, "SCENES", 4)
    module.main()
    off = difference(tmp_path, f"example_{picture}.jpg")
    if script != "weaknesses":
        assert off < 1.5


@pytest.mark.slow
def test_pictures_of_films_can_be_made_again(tmp_path, monkeypatch):
    load_script("deliver", tmp_path, monkeypatch).main()
    for name in ("stereo", "matte", "export", "portrait", "max_holes"):
        assert difference(tmp_path, f"example_{name}.jpg") < 1.5, name


@pytest.mark.slow
def test_moving_pictures_can_be_made_again(tmp_path, monkeypatch):
    load_script("animate", tmp_path, monkeypatch).main()
    load_script("moves", tmp_path, monkeypatch).main(["zoom-in", "circle"])
    for name in ("example.webp", "move_zoom-in.webp", "move_circle.webp"):
        drawn, shown = (Image.open(at / name) for at in (tmp_path, IMAGES))
        assert drawn.n_frames == shown.n_frames > 20
        assert difference(tmp_path, name) < 2, name
