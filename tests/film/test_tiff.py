"""Every kind of TIFF that scanners, design programs and science write is right, or named."""

import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from utils.depth.map_files import read_depth
from utils.film.photos import read_image

GREY = np.repeat(np.linspace(0, 1, 40)[None], 24, 0) ** 1.5
RGB = np.dstack([GREY, GREY[:, ::-1], np.full_like(GREY, 0.5)])


def whole(values, dtype, top=None):
    top = np.iinfo(dtype).max if top is None else top
    return np.rint(values * top).astype(dtype)


def write(path, values, photometric="minisblack", **options):
    tifffile.imwrite(path, values, photometric=photometric, metadata=None, **options)
    return path


def assert_shows(path, expected, tolerance=1):
    photo = read_image(path)
    expected = expected if expected.ndim == 3 else expected[..., None]
    assert photo.pixels.shape[:2] == expected.shape[:2]
    assert np.abs(photo.pixels - 255 * expected).max() <= tolerance
    return photo


def error_of(path):
    with pytest.raises(ValueError) as caught:
        read_image(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "lzw"},
        {"compression": "zlib", "predictor": True},
        {"tile": (16, 16)},
        {"compression": "zstd"},
        {"byteorder": ">"},
        {"bigtiff": True},
        {"rowsperstrip": 5},
    ],
)
@pytest.mark.parametrize(
    ("values", "photometric"),
    [
        (whole(GREY, "u1"), "minisblack"),
        (whole(1 - GREY, "u1"), "miniswhite"),
        (whole(GREY, "u2"), "minisblack"),
        (whole(1 - GREY, "u2"), "miniswhite"),
        (whole(GREY, "u4"), "minisblack"),
        (whole(GREY, "i2"), "minisblack"),
        (whole(GREY, "i4"), "minisblack"),
        (whole(GREY, "i1"), "minisblack"),
        (GREY.astype("f4"), "minisblack"),
        (GREY.astype("f2"), "minisblack"),
        (whole(GREY, "u4", 65535), "minisblack"),
    ],
    ids=lambda value: str(getattr(value, "dtype", value)),
)
def test_grey_of_every_type(tmp_path, values, photometric, options):
    if options.get("compression") == "lzw" and values.dtype.kind == "f":
        options = {"compression": "lzw"}
    path = write(tmp_path / "a.tif", values, photometric, **options)
    assert_shows(path, GREY, 2 if values.dtype in ("f2", "i1") else 1)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "f4", "f8"])
@pytest.mark.parametrize("compression", [None, "lzw"])
def test_colour_of_every_type_contiguous_and_planar(tmp_path, dtype, planar, compression):
    values = RGB.astype(dtype) if dtype[0] == "f" else whole(RGB, dtype)
    if planar == "separate":
        values = np.moveaxis(values, 2, 0)
    path = write(tmp_path / "a.tif", values, "rgb", planarconfig=planar, compression=compression)
    photo = assert_shows(path, RGB)
    bits = 8 * np.dtype(dtype).itemsize
    assert photo.notes == (() if bits == 8 else (f"reduced {bits} bits a channel to 8",))


def test_twelve_bits_in_sixteen(tmp_path):
    tags = [(281, "H", 1, 4095, True)]
    assert_shows(write(tmp_path / "a.tif", whole(GREY, "u2", 4095), extratags=tags), GREY)
    packed = write(tmp_path / "b.tif", whole(GREY, "u2", 4095), bitspersample=12)
    assert_shows(packed, GREY)
    # the largest number that occurs, which some write there, says nothing of white
    tags = [(281, "H", 1, 40000, True)]
    assert_shows(write(tmp_path / "c.tif", whole(GREY * 0.6, "u2"), extratags=tags), GREY * 0.6)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_cmyk_with_and_without_alpha(tmp_path, dtype):
    inks = np.dstack([1 - RGB, np.zeros_like(GREY)])
    path = write(tmp_path / "a.tif", whole(inks, dtype), "separated")
    assert "converted CMYK to RGB" in assert_shows(path, RGB).notes
    alpha = np.dstack([inks, np.ones_like(GREY)])
    path = write(tmp_path / "b.tif", whole(alpha, dtype), "separated", extrasamples=["unassalpha"])
    assert_shows(path, RGB)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_straight_and_premultiplied_alpha_look_the_same(tmp_path, kind, dtype):
    alpha = np.full_like(GREY, 0.6)
    alpha[:8] = 1
    colours = RGB * alpha[..., None] if kind == "assocalpha" else RGB
    values = whole(np.dstack([colours, alpha]), dtype)
    path = write(tmp_path / "a.tif", values, "rgb", extrasamples=[kind])
    assert_shows(path, RGB * alpha[..., None] + 1 - alpha[..., None], 2)


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha", "unspecified"])
def test_alpha_of_nothing_and_channels_without_a_meaning_hide_nothing(tmp_path, kind):
    values = whole(np.dstack([RGB, np.zeros_like(GREY)]), "u1")
    path = write(tmp_path / "a.tif", values, "rgb", extrasamples=[kind])
    photo = assert_shows(path, RGB)
    assert any("alpha" in note for note in photo.notes) == (kind != "unspecified")


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_lab(tmp_path, dtype):
    lab = np.zeros((24, 40, 3))
    lab[..., 0] = np.linspace(0, 1, 40)
    lab[12:, :, 1] = 20
    stored = np.empty(lab.shape, dtype)
    stored[..., 0] = whole(lab[..., 0], dtype)
    signed = np.rint(lab[..., 1:] * (1 if dtype == "u1" else 256)).astype(f"i{dtype[1]}")
    stored[..., 1:] = signed.view(dtype)
    pixels = read_image(write(tmp_path / "a.tif", stored, "cielab")).pixels.astype(int)
    assert np.ptp(pixels[:12], axis=2).max() <= 2, "no a and b: grey"
    ramp = pixels[5, :, 1]
    assert (np.diff(ramp) >= 0).all() and ramp[0] == 0 and ramp[-1] == 255
    assert (pixels[20, 10:30, 0] > pixels[20, 10:30, 1] + 15).all(), "reddish"


def test_palette_and_one_bit(tmp_path):
    image = Image.fromarray(whole(RGB, "u1")).quantize(16)
    image.save(tmp_path / "p.tif")
    np.testing.assert_array_equal(
        read_image(tmp_path / "p.tif").pixels, np.asarray(image.convert("RGB"))
    )
    bits = GREY > 0.4
    for compression in (None, "group3", "group4", "packbits", "tiff_lzw"):
        Image.fromarray(bits).save(tmp_path / "b.tif", compression=compression)
        assert_shows(tmp_path / "b.tif", bits)


def test_jpeg_in_tiff(tmp_path):
    smooth = np.dstack([GREY, GREY, GREY[:, ::-1]])
    Image.fromarray(whole(smooth, "u1")).save(tmp_path / "a.tif", compression="jpeg", quality=98)
    assert_shows(tmp_path / "a.tif", smooth, 12)


# -- pages and pixels -----------------------------------------------------------------------------


def test_the_largest_page_is_taken_and_no_thumbnail_or_mask(tmp_path):
    path, small = tmp_path / "a.tif", whole(GREY[:16, ::2], "u1")
    with tifffile.TiffWriter(path) as file:
        file.write(small, metadata=None)
        file.write(whole(GREY, "u1"), metadata=None)
        file.write(np.zeros((60, 60), np.uint8), metadata=None, subfiletype=1)
        file.write(np.zeros((60, 60), bool), metadata=None, subfiletype=4)
    photo = assert_shows(path, GREY)
    assert photo.notes == ("took the largest of several pictures in the file",)
    np.testing.assert_array_equal(read_depth(path), whole(GREY, "u1"))


@pytest.mark.parametrize(
    ("resolution", "shape", "said"),
    [
        ((204, 98), (50, 40), "2.08 times as tall as wide"),
        ((98, 204), (24, 83), "0.48 times"),
        ((300, 300), (24, 40), None),
        ((300, 297), (24, 40), None),
        ((72, 7200), (24, 40), None),
    ],
)
def test_a_fax_is_stretched_to_square_pixels(tmp_path, resolution, shape, said):
    photo = read_image(write(tmp_path / "a.tif", whole(GREY, "u1"), resolution=resolution))
    assert photo.pixels.shape == (*shape, 3)
    assert (said in photo.notes[0]) if said else photo.notes == ()


# -- what is named --------------------------------------------------------------------------------


def test_bands_that_are_no_colours_are_named(tmp_path):
    values = whole(np.dstack([RGB, GREY, GREY]), "u1")
    path = write(tmp_path / "a.tif", values, extrasamples=[0] * 4, planarconfig="contig")
    assert "is a TIFF of 5 bands that are not red, green and blue" in error_of(path)
    assert "damaged" not in error_of(path)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (whole(GREY, "i2") - np.int16(100), "from -100 to"),
        (GREY.astype("f4") * 255, "from 0 to 255"),
        (np.where(GREY > 0.5, np.nan, GREY).astype("f4"), "from nan to nan"),
    ],
    ids=["negative", "to 255", "nan"],
)
def test_numbers_that_are_no_picture_are_refused_never_negative(tmp_path, values, found):
    message = error_of(write(tmp_path / "a.tif", values))
    assert found in message and "--depth" in message and "damaged" not in message


def test_a_rare_kind_is_named(tmp_path):
    path = write(tmp_path / "a.tif", whole(GREY, "u1"))
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<HHI", 262, 3, 1))
    data[at + 8] = 32844 % 256
    data[at + 9] = 32844 // 256
    path.write_bytes(data)
    message = error_of(path)
    assert "is a TIFF of a rare kind (LOGL)" in message and "Convert it" in message


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
def test_a_part_that_is_missing_is_damage_never_black(tmp_path, compression):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    path = write(tmp_path / "a.tif", noise, rowsperstrip=8, compression=compression)
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    assert "damaged or incomplete" in error_of(path)
    (tmp_path / "b.tif").write_bytes(data)
    with tifffile.TiffFile(tmp_path / "b.tif", mode="r+") as file:
        counts = list(file.pages[0].databytecounts)
        file.pages[0].tags[279].overwrite([*counts[:-1], 0])
    assert "a part of its pixels is missing" in error_of(tmp_path / "b.tif")
