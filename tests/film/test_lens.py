"""The focal length of a photo, from whatever its file says."""

import io

import numpy as np
import pytest
from phone_files import apple_jpeg, dynamic_depth_jpeg, encoded, heic, orientation_exif
from PIL import Image

from utils.film import find_focal, read_parts

PHOTO = np.dstack([np.mgrid[:96, :128].sum(0)] * 3).astype(np.uint8)
GREY = np.mgrid[:48, :64].sum(0).astype(np.uint8)
IFD = Image.Exif


def focal(path, content, size=(96, 128)):
    path.write_bytes(content)
    return find_focal(read_parts(path), size)


def exif_jpeg(**tags):
    """A JPEG whose Exif directory has these tags, {"t920A": value}."""
    exif = orientation_exif(1, details={int(name[1:], 16): value for name, value in tags.items()})
    return encoded(PHOTO, exif=exif)


def test_intrinsics_of_a_heic_file(tmp_path):
    pytest.importorskip("pillow_heif")
    px, said = focal(tmp_path / "a.heic", heic([PHOTO], focal=0.8))
    assert px == pytest.approx(0.8 * 128, abs=0.01) and "intrinsics" in said
    # The photo is worked on at another size than stored.
    assert find_focal(read_parts(tmp_path / "a.heic"), (48, 64))[0] == pytest.approx(0.8 * 64, 0.01)


def test_intrinsics_of_apples_depth(tmp_path):
    px, said = focal(tmp_path / "a.jpg", apple_jpeg(PHOTO, GREY, focal=0.75))
    assert px == pytest.approx(0.75 * 128) and "depth map" in said


def test_imaging_model_of_dynamic_depth(tmp_path):
    px, said = focal(tmp_path / "a.jpg", dynamic_depth_jpeg(PHOTO, GREY))
    assert px == pytest.approx(0.75 * 128) and "XMP" in said


def test_exif_35_mm_equivalent_goes_by_the_diagonal(tmp_path):
    px, said = focal(tmp_path / "a.jpg", exif_jpeg(tA405=26))
    assert px == pytest.approx(26 / 43.2666 * 160, rel=1e-4) and "35 mm" in said


@pytest.mark.parametrize("unit, density", [(2, 254.0), (3, 100.0), (4, 10.0), (None, 254.0)])
def test_exif_lens_and_sensor(tmp_path, unit, density):
    # 10 px a mm of a picture of 512 px, lens of 40 mm: 400 px of 512, 100 of 128.
    tags = {"t920A": 40.0, "tA20E": density, "tA002": 512, "tA003": 384}
    px, said = focal(tmp_path / "a.jpg", exif_jpeg(**tags | ({"tA210": unit} if unit else {})))
    assert px == pytest.approx(100, rel=1e-3) and "sensor" in said


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"tA405": 0},  # unknown, by the standard
        {"tA405": 60000},
        {"tA405": 26, "tA002": 1000, "tA003": 400},  # of a picture of another shape
        {"t920A": 4.0},
        {"t920A": 4.0, "tA20E": 0.0, "tA002": 512, "tA003": 384},
    ],
)
def test_what_tells_nothing_or_nonsense_gives_none(tmp_path, tags):
    assert focal(tmp_path / "a.jpg", exif_jpeg(**tags)) is None


def test_png_and_damaged_exif_give_none(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(PHOTO).save(buffer, "PNG")
    assert focal(tmp_path / "a.png", buffer.getvalue()) is None
    content = exif_jpeg(tA405=26).replace(b"MM\0*\0\0\0\x08", b"MM\0*\xff\xff\xff\x08")
    assert focal(tmp_path / "b.jpg", content) is None
