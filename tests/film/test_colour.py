"""A picture's space is what its file says, wherever it says it; HDR becomes a good SDR picture."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from PIL import Image, TiffImagePlugin

from tests.film.test_photos import DISPLAY_P3, SRGB, icc_profile, to_srgb_curve
from utils.film import colour
from utils.film.photos import read_image

SIZE = (32, 64)


def scene():
    """(H, W, 3) in [0, 1], as it should look: ramps of several colours, all saturated mildly."""
    picture = np.ones((*SIZE, 3)) * np.linspace(0, 1, SIZE[1])[None, :, None]
    picture[:10, :, 0] *= 0.7
    picture[10:20, :, 2] *= 0.6
    return picture


def light(picture):
    return np.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4)


def in_primaries(linear, primaries):
    return (linear @ np.linalg.solve(primaries, SRGB).T).clip(0, 1)


def to_8(values):
    return np.rint(255 * values.clip(0, 1)).astype(np.uint8)


def to_16(values):
    return np.rint(65535 * values.clip(0, 1)).astype(np.uint16)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(path, values, *chunks):
    """A PNG of 8 or 16 bits with these chunks before its pixels."""
    depth, kind = 8 * values.dtype.itemsize, {2: 0, 3: 2}[values.ndim]
    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in values)
    parts = [
        chunk(b"IHDR", header),
        *chunks,
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def iccp(profile):
    return chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))


def gama(gamma):
    return chunk(b"gAMA", struct.pack(">I", round(gamma * 100000)))


def chrm(white, red, green, blue):
    numbers = (number for point in (white, red, green, blue) for number in point)
    return chunk(b"cHRM", struct.pack(">8I", *(round(n * 100000) for n in numbers)))


P3_POINTS = ((0.3127, 0.3290), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
BT709_POINTS = ((0.3127, 0.3290), (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
SRGB_CHUNK = chunk(b"sRGB", b"\0")


def assert_looks_right(path, tolerance=2, note=None):
    photo = read_image(path)
    worst = np.abs(photo.pixels - 255 * scene())[:, 4:].max()
    assert worst <= tolerance, (worst, photo.notes)
    if note is not None:
        assert any(note in said for said in photo.notes), photo.notes
    else:
        assert photo.notes in ((), ("reduced 16 bits a channel to 8",))


# -- ICC ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"sRGB-elle-V2-g10.icc", b"Linear"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_linear_profile_is_linear_whatever_it_is_called(tmp_path, name, deep):
    profile = icc_profile(SRGB, name, 1.0)
    stored = (to_16 if deep else to_8)(light(scene()))
    # 8 bits of light are too few for the shadows; 16 are converted as 16
    assert_looks_right(
        png(tmp_path / "a.png", stored, iccp(profile)),
        2 if deep else 7,
        f"from {name.decode()} to sRGB",
    )


def test_a_profile_that_is_srgb_under_another_name_changes_and_says_nothing(tmp_path):
    curve = light(np.linspace(0, 1, 1024)).astype("f4")
    points = [number for point in BT709_POINTS[1:] for number in (*point, 1.0)]
    profile = imagecodecs.cms_profile(
        "rgb", whitepoint=(0.3127, 0.329, 1.0), primaries=points, transferfunction=curve
    )
    stored = to_8(scene())
    photo = read_image(png(tmp_path / "a.png", stored, iccp(profile)))
    np.testing.assert_array_equal(photo.pixels, stored)
    assert photo.notes == ()


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_a_grey_profile_counts_with_alpha_and_in_16_bits(tmp_path, mode):
    stored = to_16(light(scene()[-1:].repeat(SIZE[0], 0)))[..., 0]
    eight = (stored // 257).astype(np.uint8)
    image = Image.fromarray(stored) if mode == "I;16" else Image.fromarray(eight)
    if mode == "LA":
        image = Image.merge("LA", [image, Image.new("L", image.size, 255)])
    image.save(tmp_path / "a.png", icc_profile=icc_profile(None, b"Gray gamma 1.0", 1.0))
    photo = read_image(tmp_path / "a.png")
    exact = to_srgb_curve(stored / 65535 if mode == "I;16" else eight / 255)
    assert np.abs(photo.pixels - 255 * exact[..., None]).max() <= 2
    assert "converted colours from Gray gamma 1.0 to sRGB" in photo.notes


def test_a_grey_picture_that_kept_the_profile_of_its_colours(tmp_path):
    grey = scene()[-1:, :, 0].repeat(SIZE[0], 0)
    Image.fromarray(to_8(light(grey) ** (1 / 1.8))).save(
        tmp_path / "a.png", icc_profile=icc_profile(SRGB, b"scanner", 1.8)
    )
    photo = read_image(tmp_path / "a.png")
    assert np.abs(photo.pixels - 255 * grey[..., None])[:, 4:].max() <= 2


# -- EXIF -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["jpg", "tiff"])
@pytest.mark.parametrize("rule", ["R03", "R98"])
def test_exif_interoperability_says_adobe_rgb(tmp_path, suffix, rule):
    to_adobe = np.linalg.solve(
        colour._to_xyz(colour.ADOBE_RGB), colour._to_xyz(colour.PRIMARIES[1][1:])
    )
    stored = (
        to_8((light(scene()) @ to_adobe.T).clip(0, 1) ** (1 / 2.2))
        if rule == "R03"
        else (to_8(scene()))
    )
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA005] = {1: rule}
    if suffix == "tiff":
        Image.fromarray(stored).save(tmp_path / "a.tiff", tiffinfo=with_interoperability(rule))
    else:
        options = {"quality": 100, "subsampling": 0}
        Image.fromarray(stored).save(tmp_path / "a.jpg", exif=exif, **options)
    assert_looks_right(
        tmp_path / f"a.{suffix}", 6, "from Adobe RGB to sRGB" if rule == "R03" else None
    )


def with_interoperability(rule):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0x8769] = {0xA005: {1: rule}}
    return tags


# -- PNG ------------------------------------------------------------------------------------------


def test_gama_alone_of_linear_light(tmp_path):
    path = png(tmp_path / "a.png", to_16(light(scene())), gama(1.0))
    assert_looks_right(path, 2, "from gamma 1 to sRGB")


@pytest.mark.parametrize(
    "chunks",
    [
        [gama(0.45455)],
        [gama(0.45455), chrm(*BT709_POINTS)],
        [chrm(*BT709_POINTS)],
        [SRGB_CHUNK, gama(1.0)],
        [gama(0)],
        [chunk(b"cICP", bytes((1, 13, 0, 1))), gama(1.0)],
        [chrm((0, 0), (0, 0), (0, 0), (0, 0)), SRGB_CHUNK],
    ],
)
def test_what_is_srgb_in_other_words_changes_nothing(tmp_path, chunks):
    stored = to_8(scene())
    photo = read_image(png(tmp_path / "a.png", stored, *chunks))
    np.testing.assert_array_equal(photo.pixels, stored)
    assert photo.notes == ()


def test_chrm_says_the_primaries(tmp_path):
    stored = to_16(to_srgb_curve(in_primaries(light(scene()), DISPLAY_P3)))
    assert_looks_right(png(tmp_path / "a.png", stored, chrm(*P3_POINTS)), 2, "its own primaries")


def test_cicp_goes_before_icc_icc_before_gama_and_srgb_before_gama(tmp_path):
    p3 = to_8(to_srgb_curve(in_primaries(light(scene()), DISPLAY_P3)))
    cicp, linear = chunk(b"cICP", bytes((12, 13, 0, 1))), iccp(icc_profile(SRGB, b"lin", 1.0))
    assert_looks_right(png(tmp_path / "a.png", p3, cicp, linear), 2, "from Display P3")
    stored = to_16(light(scene()))
    assert_looks_right(png(tmp_path / "b.png", stored, gama(0.55), linear), 2, "from lin to sRGB")


@pytest.mark.parametrize(
    "chunks",
    [
        [gama(0.00001)],
        [gama(40000)],
        [chrm((0, 0), (0, 0), (0, 0), (0, 0))],
        [chunk(b"cICP", b"\xff\xff\xff\xff")],
        [chunk(b"cICP", b"\1")],
        [chrm((1, 0), (1, 0), (1, 0), (1, 0)), gama(0.9)],
    ],
)
def test_nonsense_in_chunks_does_no_harm(tmp_path, chunks):
    assert read_image(png(tmp_path / "a.png", to_8(scene()), *chunks)).pixels.shape == (*SIZE, 3)


# -- HEIF and AVIF --------------------------------------------------------------------------------


def heic(path, values, primaries, transfer):
    if values.dtype == np.uint16:
        file = pillow_heif.from_bytes("RGB;16", values.shape[1::-1], values.tobytes())
    else:
        file = pillow_heif.from_pillow(Image.fromarray(values))
    file.save(
        path,
        quality=-1,
        chroma=444,
        matrix_coefficients=0,
        full_range_flag=1,
        color_primaries=primaries,
        transfer_characteristics=transfer,
    )
    return path


def avif(path, values, primaries, transfer):
    depth = 10 if values.dtype == np.uint16 else 8
    if depth == 10:
        values = np.rint(values / 65535 * 1023).astype(np.uint16)
    path.write_bytes(
        imagecodecs.avif_encode(
            values,
            level=100,
            bitspersample=depth,
            pixelformat="444",
            primaries=primaries,
            transfer=transfer,
            matrix=0,
        )
    )
    return path


@pytest.mark.parametrize("write", [heic, avif])
def test_nclx_says_display_p3(tmp_path, write):
    stored = to_8(to_srgb_curve(in_primaries(light(scene()), DISPLAY_P3)))
    assert_looks_right(
        write(tmp_path / f"a.{write.__name__}", stored, 12, 13), 4, "from Display P3 to sRGB"
    )


@pytest.mark.parametrize("write", [heic, avif])
@pytest.mark.parametrize("transfer", [1, 2, 6, 13, 14])
def test_nclx_of_ordinary_pictures_changes_nothing(tmp_path, write, transfer):
    path = write(tmp_path / f"a.{write.__name__}", to_8(scene()), 1, transfer)
    assert_looks_right(path, 4)


def pq(nits):
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = (nits / 10000) ** m1
    return ((c1 + c2 * power) / (1 + c3 * power)) ** m2


def hlg(scene_light):
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(
        scene_light <= 1 / 12,
        np.sqrt(3 * scene_light),
        a * np.log(np.maximum(12 * scene_light - b, 1e-9)) + c,
    )


def pq_png(path, signal):
    return png(path, to_16(signal), chunk(b"cICP", bytes((9, 16, 0, 1))))


def hdr_files(folder, signal, transfer):
    yield png(folder / "a.png", to_16(signal), chunk(b"cICP", bytes((9, transfer, 0, 1))))
    yield heic(folder / "a.heic", to_16(signal), 9, transfer)
    yield avif(folder / "a.avif", to_16(signal), 9, transfer)


GREYS = np.linspace(0, 1, SIZE[1])[None, :, None] * np.ones((*SIZE, 3))


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_without_highlights_looks_as_its_sdr_picture(tmp_path, transfer):
    nits = 203 * light(GREYS)
    signal = pq(nits) if transfer == 16 else hlg((nits / 1000) ** (1 / 1.2))
    for path in hdr_files(tmp_path, signal, transfer):
        photo = read_image(path)
        assert np.abs(photo.pixels - 255 * GREYS).max() <= 5, path
        name = {16: "PQ", 18: "HLG"}[transfer]
        assert f"tone-mapped from HDR ({name}, BT.2020) to sRGB" in photo.notes


def test_highlights_are_rolled_off_and_the_rest_is_kept(tmp_path):
    nits = np.geomspace(0.5, 4000, SIZE[1])
    signal = np.ones((*SIZE, 3)) * pq(nits)[None, :, None]
    for path in hdr_files(tmp_path, signal, 16):
        shown = read_image(path).pixels[5].astype(int)
        assert (np.diff(shown[:, 1]) >= 0).all() and np.ptp(shown, axis=1).max() <= 3
        assert shown[-1, 1] >= 250, "the brightest becomes white"
        thousand, twenty = (np.abs(nits - at).argmin() for at in (1000, 20))
        assert 200 < shown[thousand, 1] < shown[-1, 1], "and what is less bright is not"
        assert shown[twenty, 1] == pytest.approx(255 * to_srgb_curve(nits[twenty] / 203), abs=4)


def test_bright_colours_keep_their_hue(tmp_path):
    picture = np.zeros((*SIZE, 3))
    picture[:] = pq(np.array([900.0, 300.0, 100.0]))
    picture[:, :8] = pq(np.array([50.0, 50.0, 50.0]))
    red, green, blue = read_image(pq_png(tmp_path / "a.png", picture)).pixels[5, 40].astype(int)
    assert red > green > blue and red - blue > 80


def test_black_hdr_and_dim_hdr_are_read(tmp_path):
    assert not read_image(pq_png(tmp_path / "a.png", np.zeros((*SIZE, 3)))).pixels.any()
    grey = np.full(SIZE, pq(203.0))
    path = png(tmp_path / "g.png", to_16(grey), chunk(b"cICP", bytes((9, 16, 0, 1))))
    assert read_image(path).pixels.min() >= 254


@pytest.mark.parametrize("where", ["app2", "xmp"])
def test_a_gain_map_is_left_out_and_said(tmp_path, where):
    buffer = io.BytesIO()
    Image.fromarray(to_8(scene())).save(buffer, "JPEG", quality=95)
    data = buffer.getvalue()
    said = {
        "app2": b"\xff\xe2%surn:iso:std:iso:ts:21496:-1\0\0\0\0\0",
        "xmp": b'\xff\xe1%shttp://ns.adobe.com/xap/1.0/\0<x xmlns:hdrgm="http://ns.adobe.com/'
        b'hdr-gain-map/1.0/"/>',
    }[where]
    said = said.replace(b"%s", struct.pack(">H", len(said) - 2))
    (tmp_path / "a.jpg").write_bytes(data[:2] + said + data[2:])
    assert "left out the gain map for HDR screens" in read_image(tmp_path / "a.jpg").notes
