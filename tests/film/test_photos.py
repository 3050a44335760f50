"""Photographs of every kind come out upright, opaque, 8-bit and RGB; bad ones get a clear error."""

import io
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin
from waiting import unix

from utils.film import opening
from utils.film.photos import read_image, resize, write_image


def gradient(height=24, width=32):
    """(H, W, 3) uint8: red grows to the right, green downwards, blue constant."""
    picture = np.full((height, width, 3), 100, np.uint8)
    picture[..., 0] = np.linspace(0, 255, width).round()
    picture[..., 1] = np.linspace(0, 255, height).round()[:, None]
    return picture


def save(path, picture, **options):
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(path, **options)
    return path


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, data):
    """A PNG file by hand: `data` are the rows without filter bytes (one array per row)."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in data)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def error_of(path):
    with pytest.raises(ValueError) as caught:
        read_image(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


# what is read


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm", "webp", "jp2", "qoi"])
def test_lossless_formats_come_back_exactly(tmp_path, suffix):
    if suffix == "qoi":
        pytest.importorskip("PIL.QoiImagePlugin")
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(tmp_path / f"photo.{suffix}", gradient(), **options)
    photo = read_image(path)
    np.testing.assert_array_equal(photo.pixels, gradient())
    assert photo.pixels.dtype == np.uint8 and photo.pixels.flags.writeable
    assert photo.notes == ()


@pytest.mark.parametrize("suffix", ["jpg", "avif", "heic", "webp"])
def test_lossy_formats_keep_channel_order(tmp_path, suffix):
    if suffix == "avif" and "AVIF" not in {Image.init() or name for name in Image.SAVE}:
        pytest.skip("this Pillow has no AVIF")
    if suffix == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    path = save(tmp_path / f"photo.{suffix}", gradient(64, 96), quality=95)
    pixels = read_image(path).pixels.astype(int)
    assert np.abs(pixels - gradient(64, 96)).mean() < 4


def test_real_photographs_are_read_as_by_their_own_library():
    data = pytest.importorskip("skimage.data")
    datasets = pytest.importorskip("sklearn.datasets")
    folder = os.path.dirname(data.__file__)
    photo = read_image(os.path.join(folder, "rocket.jpg"))
    assert photo.notes == ("converted colours from Adobe RGB (1998) to sRGB",)
    assert np.abs(photo.pixels.astype(int) - data.rocket()).mean() < 8
    photo = read_image(os.path.join(folder, "astronaut.png"))
    np.testing.assert_array_equal(photo.pixels, data.astronaut())
    china = os.path.join(os.path.dirname(datasets.__file__), "images", "china.jpg")
    photo = read_image(china)
    np.testing.assert_array_equal(photo.pixels, datasets.load_sample_image("china.jpg"))


# Orientation n: row and column of the stored array that the viewer sees at the top left, and
# whether rows and columns are exchanged (EXIF 2.3, tag 0x0112).
SEEN = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p[::-1].swapaxes(0, 1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: p[:, ::-1].swapaxes(0, 1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
def test_all_eight_orientations_are_turned_upright(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(tmp_path / f"o.{suffix}", gradient(), exif=exif, **options)
    photo = read_image(path)
    np.testing.assert_array_equal(photo.pixels, SEEN[orientation](gradient()))
    said = [note for note in photo.notes if f"orientation {orientation}" in note]
    assert len(said) == (orientation != 1)


def test_heic_and_avif_orientation_is_applied_once(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(gradient(64, 96))
    heif.from_pillow(stored).save(tmp_path / "o.heic", exif=exif.tobytes(), quality=95)
    save(tmp_path / "o.avif", stored, exif=exif, quality=95)
    for suffix in ("heic", "avif"):
        seen = read_image(tmp_path / f"o.{suffix}").pixels.astype(int)
        assert seen.shape == (96, 64, 3)
        assert np.abs(seen - SEEN[6](gradient(64, 96))).mean() < 4


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"MM\0*"])
def test_nonsense_in_exif_does_not_matter(tmp_path, exif, recwarn):
    path = save(tmp_path / "p.jpg", gradient(), exif=exif)
    assert read_image(path).pixels.shape == (24, 32, 3)
    assert not recwarn.list


def test_grey_becomes_three_equal_channels(tmp_path):
    grey = gradient()[..., 0]
    photo = read_image(save(tmp_path / "g.png", grey))
    np.testing.assert_array_equal(photo.pixels, np.dstack([grey] * 3))


def test_one_bit_becomes_black_and_white(tmp_path):
    bits = gradient()[..., 0] > 100
    photo = read_image(save(tmp_path / "b.png", Image.fromarray(bits)))
    np.testing.assert_array_equal(photo.pixels[..., 1], bits * np.uint8(255))


def composited(colour, alpha):
    """Naive: what a viewer sees on white paper."""
    share = alpha[..., None] / 255
    return colour * share + 255 * (1 - share)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_composited_over_white_and_said(tmp_path, mode):
    alpha = gradient()[..., 1]
    colour = gradient() if mode == "RGBA" else np.dstack([gradient()[..., 0]] * 3)
    stored = np.dstack([colour if mode == "RGBA" else colour[..., 0], alpha])
    photo = read_image(save(tmp_path / "a.png", stored))
    assert np.abs(photo.pixels - composited(colour, alpha)).max() <= 1
    assert "composited transparency over white" in photo.notes


def test_an_opaque_alpha_channel_changes_and_says_nothing(tmp_path):
    opaque = np.dstack([gradient(), np.full((24, 32), 255, np.uint8)])
    photo = read_image(save(tmp_path / "a.png", opaque))
    np.testing.assert_array_equal(photo.pixels, gradient())
    assert photo.notes == ()


def test_palette_and_its_transparent_colour(tmp_path):
    image = Image.fromarray(gradient()).quantize(16)
    shown = np.asarray(image.convert("RGB"))
    photo = read_image(save(tmp_path / "p.png", image))
    np.testing.assert_array_equal(photo.pixels, shown)
    photo = read_image(save(tmp_path / "t.png", image, transparency=3))
    hidden = np.asarray(image) == 3
    assert hidden.any()
    np.testing.assert_array_equal(photo.pixels, np.where(hidden[..., None], 255, shown))


@pytest.mark.parametrize("inverted", [True, False])
def test_cmyk_looks_like_its_rgb(tmp_path, inverted):
    image = Image.fromarray(gradient(64, 96)).convert("CMYK")
    # JPEG files of Adobe programs store CMYK inverted, and so does Pillow; TIFF files do not.
    path = save(tmp_path / ("c.jpg" if inverted else "c.tiff"), image)
    if inverted:
        assert b"Adobe" in path.read_bytes()[:64]
    photo = read_image(path)
    assert np.abs(photo.pixels.astype(int) - gradient(64, 96)).mean() < 4
    assert "converted CMYK to RGB" in photo.notes


@pytest.mark.parametrize("colour, channels", [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bit_png_is_scaled_not_clipped(tmp_path, colour, channels):
    values = np.linspace(0, 65535, 20 * 20).astype(">u2").reshape(20, 20, 1).repeat(channels, 2)
    if channels in (2, 4):
        values[..., -1] = 65535
    (tmp_path / "d.png").write_bytes(png(20, 20, 16, colour, values))
    photo = read_image(tmp_path / "d.png")
    assert np.abs(photo.pixels - values[..., :1] / 257).max() <= 1
    assert photo.pixels.max() == 255
    assert "reduced 16 bits a channel to 8" in photo.notes


def test_16_bit_tiff_and_pgm_are_scaled_not_clipped(tmp_path):
    values = np.linspace(0, 65535, 20 * 20).astype(np.uint16).reshape(20, 20)
    save(tmp_path / "d.tiff", values)
    (tmp_path / "d.pgm").write_bytes(b"P5 20 20 65535\n" + values.astype(">u2").tobytes())
    for name in ("d.tiff", "d.pgm"):
        pixels = read_image(tmp_path / name).pixels
        assert np.abs(pixels[..., 0] - values / 257).max() <= 0.5


def test_floating_point_pictures_of_0_to_1_are_read_and_others_refused(tmp_path):
    values = gradient()[..., 0].astype(np.float32) / 255
    photo = read_image(save(tmp_path / "f.tiff", values))
    np.testing.assert_array_equal(photo.pixels[..., 0], gradient()[..., 0])
    message = error_of(save(tmp_path / "metres.tiff", values * 40))
    assert "from 0 to 40" in message and "--depth" in message
    error_of(save(tmp_path / "nan.tiff", values * np.nan))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken_and_said(tmp_path, kind):
    frames = [Image.new("RGB", (32, 24), colour) for colour in ("#ff0000", "#00ff00")]
    path = tmp_path / f"a.{kind.lower()}"
    frames[0].save(path, kind, save_all=True, append_images=frames[1:])
    photo = read_image(path)
    assert np.abs(photo.pixels.astype(int) - (255, 0, 0)).max() <= 3
    assert "took the first of several pictures in the file" in photo.notes


# Columns: the XYZ (D50) of the primaries of Display P3, as its profile stores them.
DISPLAY_P3 = np.array(
    [[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
)
SRGB = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
)


def icc_profile(primaries=DISPLAY_P3, name=b"Display P3", gamma=2.2):
    """A minimal profile (ICC.1:2001-04), written by hand; no primaries: for grey pictures."""

    def xyz(values):
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))

    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)
    text = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + bytes(79)
    tags = {b"desc": text + bytes(-len(text) % 4), b"wtpt": xyz((0.9642, 1, 0.8249))}
    tags |= {b"cprt": b"text\0\0\0\0none"}
    if primaries is None:
        tags[b"kTRC"] = curve
    else:
        for letter, column in zip((b"r", b"g", b"b"), primaries.T, strict=True):
            tags |= {letter + b"XYZ": xyz(column), letter + b"TRC": curve}
    table, data, start = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        table += tag + struct.pack(">2I", start + len(data), len(content))
        data += content
    size = start + len(data)
    space = b"GRAY" if primaries is None else b"RGB "
    header = (
        struct.pack(
            ">I4sI4s4s4s12s4s", size, b"", 0x02100000, b"mntr", space, b"XYZ ", bytes(12), b"acsp"
        ).ljust(68, b"\0")
        + xyz((0.9642, 1, 0.8249))[8:]
    )
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def test_a_display_p3_photo_is_converted_to_srgb_and_said(tmp_path):
    picture = gradient()
    photo = read_image(save(tmp_path / "p3.png", picture, icc_profile=icc_profile()))
    linear = np.linalg.solve(SRGB, DISPLAY_P3 @ ((picture / 255) ** 2.2).reshape(-1, 3).T)
    linear = linear.clip(0, 1).T.reshape(picture.shape)
    assert np.abs(photo.pixels - 255 * to_srgb_curve(linear)).max() <= 2
    assert np.abs(photo.pixels.astype(int) - picture).max() > 10  # it did matter
    assert "converted colours from Display P3 to sRGB" in photo.notes


def to_srgb_curve(linear):
    return np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_grey_scan_is_converted_too(tmp_path, depth):
    grey = gradient()[..., 0].astype(f"uint{depth}") * (257 if depth == 16 else 1)
    profile = icc_profile(None, b"Gray Gamma 1.4", 1.4)
    photo = read_image(save(tmp_path / "scan.tiff", grey, icc_profile=profile))
    expected = 255 * to_srgb_curve((gradient()[..., 0] / 255) ** 1.4)
    assert np.abs(photo.pixels - expected[..., None]).max() <= 2
    assert "converted colours from Gray Gamma 1.4 to sRGB" in photo.notes


def test_srgb_and_broken_profiles_leave_the_colours_alone(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = read_image(save(tmp_path / "s.png", gradient(), icc_profile=profile))
    np.testing.assert_array_equal(photo.pixels, gradient())
    assert photo.notes == ()
    for name, profile in (("b", b"junk" * 50), ("g", icc_profile(None))):
        picture = gradient()
        photo = read_image(save(tmp_path / f"{name}.png", picture, icc_profile=profile))
        assert photo.notes == ("ignored a broken colour profile",)
        np.testing.assert_array_equal(photo.pixels[..., 0], picture.reshape(24, 32, -1)[..., 0])


@pytest.mark.parametrize("size", [(16, 16), (16, 5000), (5000, 16)])
def test_tiny_and_very_wide_or_tall_photos_are_read(tmp_path, size):
    photo = read_image(save(tmp_path / "w.png", gradient(*size)))
    assert photo.pixels.shape == (*size, 3)


# what is refused


@pytest.mark.parametrize("size", [(15, 16), (16, 15), (1, 1)])
def test_smaller_than_16_px_is_refused(tmp_path, size):
    message = error_of(save(tmp_path / "t.png", gradient(*size)))
    assert f"is {size[1]}x{size[0]} px" in message and "at least 16" in message


def test_one_pixel_by_a_hundred_thousand_is_refused(tmp_path):
    message = error_of(save(tmp_path / "line.png", np.zeros((1, 100_000, 3), np.uint8)))
    assert "100000x1" in message and "at least 16" in message


def test_a_decompression_bomb_is_refused_before_decoding(tmp_path, monkeypatch):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    bomb += chunk(b"IDAT", zlib.compress(bytes(1_000_000))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(bomb)
    monkeypatch.setattr(Image.Image, "load", None)
    message = error_of(tmp_path / "bomb.png")
    assert "60000x60000" in message and "3600 megapixels" in message and "at most 400" in message
    assert Image.MAX_IMAGE_PIXELS  # Pillow's own guard is back


def test_a_200_megapixel_header_is_no_bomb(tmp_path):
    data = png(16_320, 12_240, 1, 0, [])  # of the size that telephones make, but without rows
    (tmp_path / "phone.png").write_bytes(data)
    assert opening.open_picture(tmp_path / "phone.png").size == (16_320, 12_240)


def test_missing_empty_and_folder_are_told_apart(tmp_path):
    assert "no such file" in error_of(tmp_path / "nothing.jpg")
    (tmp_path / "empty.jpg").touch()
    assert "is empty (0 bytes)" in error_of(tmp_path / "empty.jpg")
    assert "is a folder" in error_of(tmp_path)


@unix
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "is a device or a pipe" in error_of(tmp_path / "pipe.jpg")


def test_a_file_without_permission_says_so(tmp_path, monkeypatch):
    path = save(tmp_path / "p.png", gradient())

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "cannot be opened: Permission denied" in error_of(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "gif", "bmp", "jp2", "heic"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_truncated_files_are_refused_never_half_read(tmp_path, suffix, share):
    if suffix == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    noise = np.random.default_rng(0).integers(0, 255, (100, 150, 3), np.uint8)
    whole = save(tmp_path / f"whole.{suffix}", noise).read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "Copy or download it again" in error_of(path)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_file_whose_end_is_zeros_is_refused(tmp_path, suffix, progressive):
    options = {"progressive": True} if progressive else {}
    whole = save(tmp_path / f"whole.{suffix}", gradient(480, 640), **options).read_bytes()
    path = tmp_path / f"cut.{suffix}"
    for share in (0.3, 0.9):
        end = int(len(whole) * share)
        path.write_bytes(whole[:end] + bytes(len(whole) - end + 100_000))
        assert "damaged or incomplete" in error_of(path)
    path.write_bytes(whole + bytes(512))  # complete, but padded
    assert read_image(path).pixels.shape == (480, 640, 3)


@pytest.mark.parametrize(
    "content, found",
    [
        (b"hello, I am a letter\n", "text"),
        (b"<!DOCTYPE html><html>404", "an HTML page (a failed download?)"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"<?xml version='1.0'?><svg/>", "SVG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n", "text"),
        (b"\0\0\0\x20ftypisom" + bytes(40), "an MP4 or MOV video"),
        (b"\x93NUMPY\x01\0" + bytes(40), "a depth map"),
        (b"\xff\x0a" + bytes(40), "JPEG XL"),
        (b"\x07\x03\x01" * 20, "unknown kind (first bytes 07 03 01"),
    ],
)
def test_what_is_no_photo_is_described(tmp_path, content, found):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    message = error_of(path)
    assert found in message and "Convert it to JPEG" in message


def test_camera_raw_files_are_refused_not_read_as_their_thumbnail(tmp_path):
    save(tmp_path / "thumb.tiff", gradient()).rename(tmp_path / "IMG_1.NEF")
    assert "raw file" in error_of(tmp_path / "IMG_1.NEF")


def test_heic_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "p.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    assert "pip install pillow-heif" in error_of(tmp_path / "p.heic")


def test_avif_without_its_decoder_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "FORMATS", ("JPEG", "PNG"))
    (tmp_path / "p.avif").write_bytes(b"\0\0\0\x18ftypavif" + bytes(100))
    assert "pip install 'pillow>=11.3'" in error_of(tmp_path / "p.avif")


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000", "PPM"]),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    tail=st.binary(max_size=20),
)
def test_damaged_files_give_pixels_or_one_clear_error(tmp_path_factory, kind, changes, tail):
    buffer = io.BytesIO()
    Image.fromarray(gradient()).save(buffer, kind)
    data = bytearray(buffer.getvalue())
    for where, byte in changes:
        data[int(where * len(data))] = byte
    path = tmp_path_factory.getbasetemp() / "fuzz.jpg"
    path.write_bytes(data + tail)
    try:
        pixels = read_image(path).pixels
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3


# what is written


@pytest.mark.parametrize(
    "dtype, shape", [("uint8", (5, 7, 3)), ("uint8", (5, 7)), ("uint16", (5, 7))]
)
def test_written_pictures_come_back_exactly(tmp_path, dtype, shape):
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    write_image(tmp_path / "w.png", values)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "w.png")), values)
    assert os.listdir(tmp_path) == ["w.png"]


def test_writing_refuses_wrong_shapes_types_and_names(tmp_path):
    for bad in (np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8)):
        with pytest.raises(ValueError, match="got .*4"):
            write_image(tmp_path / "w.png", bad)
    with pytest.raises(ValueError, match="end the name in .png"):
        write_image(tmp_path / "w.jpg", gradient())
    assert not os.listdir(tmp_path)


def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch):
    write_image(tmp_path / "w.png", gradient())
    before = (tmp_path / "w.png").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="w.png: cannot be written: No space left .* Free some"):
        write_image(tmp_path / "w.png", gradient()[::-1].copy())
    assert os.listdir(tmp_path) == ["w.png"] and (tmp_path / "w.png").read_bytes() == before


def test_exif_text_chunks_do_not_disturb(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 1000)
    np.testing.assert_array_equal(
        read_image(save(tmp_path / "t.png", gradient(), pnginfo=info)).pixels, gradient()
    )


def test_resize_averages_when_shrinking_and_interpolates_when_growing():
    checker = np.indices((8, 8)).sum(0) % 2 * np.float32(1)
    np.testing.assert_allclose(resize(checker, (4, 4)), 0.5)
    ramp = np.arange(8, dtype=np.float32)[None].repeat(8, 0)
    grown = resize(ramp, (16, 16))
    np.testing.assert_allclose(grown[8, 4:12], (np.arange(4, 12) + 0.5) / 2 - 0.5, atol=0.05)
    assert resize(ramp, (8, 8)) is ramp
    assert resize(gradient(16, 40_000), (8, 20_000)).shape == (8, 20_000, 3)
