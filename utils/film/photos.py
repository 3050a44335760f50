"""Photographs in, pictures out: every file becomes (H, W, 3) uint8 RGB as a person sees it.

Pillow reads (JPEG, PNG, WebP, GIF, BMP, JPEG 2000, AVIF), HEIC comes from pillow-heif, TIFF from
tifffile (utils.film.tiff). What was done on the way to upright 8-bit sRGB is told in `Photo.notes`.
Files are hostile until shown otherwise: the size is checked before anything is decoded, and
whatever a decoder raises leaves here as one ValueError that names the file.

Pillow tells nothing of the colour space that JPEG 2000 and BMP files may name: they are taken as
sRGB.
"""

import contextlib
import threading
import warnings
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from utils.files import complete_or_absent, naming_write_errors
from utils.film import tiff
from utils.film.colour import Space, colour_space, reduce, to_srgb
from utils.film.kinds import (
    HEIF_BRANDS,
    PNG_HEAD,
    RAW_SUFFIXES,
    TIFF_HEADS,
    UnreadableFile,
    check_end,
    describe,
    naming_the_file,
    png_chunks,
    rare_jpeg,
    read_head,
    unread_picture,
    unsupported,
)

__all__ = [
    "MAX_PIXELS",
    "MIN_SIDE",
    "Photo",
    "UnreadableFile",
    "describe",
    "in_fours",
    "naming_the_file",
    "open_picture",
    "read_head",
    "read_image",
    "read_size",
    "read_stored",
    "resize",
    "upright",
    "write_image",
]

# Twice the 200 megapixels of the largest telephones: 1.2 GB decoded. A few kilobytes of hostile
# PNG can claim a thousand times as much.
MAX_PIXELS = 400_000_000
MIN_SIDE = 16  # below this there is no room for crop windows, nor for six halvings in a network

# Decoders that only look at pixels. Pillow knows more, but its EPS starts Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "PPM", "JPEG2000", "QOI", "AVIF", "HEIF")

EXIF_ORIENTATION, EXIF_DETAILS = 0x0112, 0x8769
EXIF_INTEROPERABILITY = 0xA005
# What turns a stored picture upright, by the EXIF orientation that asks for it: whether rows and
# columns change places, then OpenCV's code of a flip (0 up to down, 1 left to right, -1 both).
UPRIGHT = {
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}
# What JPEG, HEIF and AVIF say of a gain map, which brightens a picture on HDR screens.
GAIN_MAPS = (b"urn:iso:std:iso:ts:21496", b"hdr-gain-map", b"hdrgainmap")
SQUARE = 0.05  # pixels' sides that differ by no more are square
LONGEST_PIXEL = 4  # sides that differ by more are a mistake

_quiet_lock = threading.Lock()


class Photo(NamedTuple):
    """A photograph, ready for work."""

    pixels: np.ndarray  # (H, W, 3) uint8, sRGB, upright
    notes: tuple[str, ...]  # what was done to get there, each a phrase worth telling the user
    orientation: int = 1  # by which it was turned, as EXIF counts: 1 to 8


class Stored(NamedTuple):
    """A decoded picture whose colours, transparency and orientation are as the file has them."""

    values: np.ndarray  # (H, W) or (H, W, C) uint8 or uint16, over the whole range
    kind: str  # "GRAY", "RGB", "CMYK" or "LAB"
    alpha: np.ndarray | None  # (H, W) uint8
    space: Space | None
    orientation: int
    tall: float = 1.0  # height of a pixel / its width
    turned: int = 0  # orientation by which the decoder has turned it already


def read_image(path: str | Path) -> Photo:
    """Read a photograph as a person sees it: upright, opaque, in sRGB.

    EXIF orientation is applied, transparency is composited over white, CMYK, colour profiles and
    HDR are converted to sRGB, deeper channels are scaled to 8 bits, and of several pictures in one
    file the first is taken (of a TIFF's pages the largest); each of these is said in `notes`.

    Args:
        path: image file, at least MIN_SIDE px each way and at most MAX_PIXELS.
    Returns:
        Photo: pixels (H, W, 3) uint8, notes, orientation.
    Raises:
        ValueError: the file is missing, empty, damaged, no supported image, too small or too large.
    """
    path, notes = Path(path), list[str]()
    head = read_head(path)
    with naming_the_file(path):
        if head.startswith(TIFF_HEADS):
            stored = _read_tiff(path, notes)
        else:
            stored = _read_with_pillow(path, notes)
        pixels = to_srgb(stored.values, stored.kind, stored.space, notes)
        if stored.alpha is not None:
            pixels = _over_white(pixels, stored.alpha, notes)
        pixels = _with_square_pixels(pixels, stored.tall, notes)
        if stored.orientation in UPRIGHT:
            notes.append(f"turned upright (EXIF orientation {stored.orientation})")
        pixels = np.ascontiguousarray(upright(pixels, stored.orientation))
        if not pixels.flags.writeable:
            pixels = pixels.copy()
        return Photo(pixels, tuple(notes), stored.turned or stored.orientation)


def read_size(path: str | Path) -> tuple[int, int]:
    """Return the (height, width) px of a photograph as a person sees it, without decoding it.

    Args:
        path: image file.
    Raises:
        ValueError: as of `read_image`, as far as that is known without decoding.
    """
    path = Path(path)
    head = read_head(path)
    with naming_the_file(path):
        if head.startswith(TIFF_HEADS):
            with tiff.open_page(path) as page:
                (width, height), orientation = page.size, _exif(_tiff_exif(page))[0]
        else:
            with open_picture(path) as image:
                (width, height), orientation = image.size, 1
                if image.format != "PNG" or "exif" in image.info:  # else a PNG would be decoded
                    orientation = _exif(image.getexif)[0]
    return (width, height) if UPRIGHT.get(orientation, (False,))[0] else (height, width)


def write_image(path: str | Path, pixels: np.ndarray) -> None:
    """Write a PNG that appears complete or not at all.

    Args:
        path: file name ending in .png, in an existing folder.
        pixels: (H, W, 3) uint8 RGB, or (H, W) uint8 or uint16 grey.
    Raises:
        ValueError: shape, type or suffix do not fit.
        OSError: the file cannot be written.
    """
    path = Path(path)
    kind = (pixels.shape[2:], pixels.dtype.name)
    if kind not in {((3,), "uint8"), ((), "uint8"), ((), "uint16")} or not pixels.size:
        raise ValueError(
            "pixels must be (H, W, 3) uint8 or (H, W) uint8 or uint16, "
            f"got {pixels.shape} {pixels.dtype}."
        )
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path}: pictures are written as PNG; end the name in .png.")
    # OpenCV's default, run lengths: 3 times as fast as deflate at level 3, for 10 % more bytes.
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    encoded = cv2.imencode(".png", bgr)[1]
    with naming_write_errors(path), complete_or_absent(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a picture: area average where a side shrinks, bicubic where it only grows.

    Args:
        pixels: (H, W) or (H, W, C), uint8, uint16 or float32.
        size: (height, width), px.
    Returns:
        Array of that size and of the same type; `pixels` itself if nothing changes.
    """
    height, width = size
    if pixels.shape[:2] == (height, width):
        return pixels
    shrinks = height < pixels.shape[0] or width < pixels.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(pixels, (width, height), interpolation=how)


def in_fours(size: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) without what a multiple of four leaves over.

    Networks halve the photo several times; the few last rows and columns are dropped.
    """
    height, width = size
    return height // 4 * 4, width // 4 * 4


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn a picture as its EXIF orientation asks.

    Args:
        pixels: (H, W) or (H, W, C), uint8, uint16 or float32.
        orientation: 1 to 8 (EXIF 2.3, tag 0x0112); anything else changes nothing.
    Returns:
        (H, W[, C]) or (W, H[, C]).
    """
    transposed, flip = UPRIGHT.get(orientation, (False, None))
    if transposed:
        pixels = cv2.transpose(pixels)
    return pixels if flip is None else cv2.flip(pixels, flip)


def read_stored(path: Path) -> np.ndarray:
    """Read a picture's numbers as they are stored, upright: for maps, not for looking at.

    Args:
        path: image file of at most MAX_PIXELS.
    Returns:
        (H, W) or (H, W, C): colours and any transparency; integers or floating point.
    Raises:
        ValueError: as of `read_image`.
    """
    path = Path(path)
    head = read_head(path)
    with naming_the_file(path):
        if head.startswith(TIFF_HEADS):
            with tiff.open_page(path) as page:
                _check_size(path, page.size)
                values = tiff.read_samples(path, page).values
                orientation = _exif(_tiff_exif(page))[0]
        else:
            with open_picture(path) as image:
                values = _stored_by_pillow(path, image)
                orientation = _exif(image.getexif)[0]
        if orientation not in UPRIGHT:
            return values
        exact = values.dtype in (np.uint8, np.uint16, np.float64)
        return upright(values if exact else values.astype(np.float32), orientation)


def _stored_by_pillow(path, image):
    deep = _is_deep_colour(image)
    decode(image)
    if deep:  # which Pillow, having checked the file, reduces to 8 bits
        return _deep_colour(path.read_bytes())
    if image.mode == "P":
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode in ("1", "CMYK", "YCbCr"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return np.asarray(image)


def open_picture(path: Path) -> Image.Image:
    """Open an image file with Pillow after every check that needs no decoding.

    Args:
        path: image file; TIFF is not opened here, but by utils.film.tiff.
    Returns:
        PIL.Image.Image, not yet decoded, of at most MAX_PIXELS; the caller closes it.
    Raises:
        ValueError: missing, empty, no supported format, larger than MAX_PIXELS, end missing.
    """
    path = Path(path)
    head = read_head(path)
    _check_format(path, head)
    with naming_the_file(path):
        image = _open_header(path, head)
        try:
            _check_size(path, image.size)
            check_end(path, image.format)
        except UnreadableFile:
            image.close()
            raise
    return image


def decode(image: Image.Image) -> None:
    """Decode a picture from open_picture in place, without warnings about odd tags."""
    with _quietly():
        try:
            image.load()
        except Exception:
            name = getattr(image, "filename", "")
            if image.format == "JPEG" and (what := rare_jpeg(Path(name))):
                raise unsupported(name, what) from None
            raise


@contextlib.contextmanager
def _quietly():
    """Silence warnings (odd tags, sizes); one thread at a time, since filters are global."""
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_format(path, head):
    """Refuse what would be misread, and make HEIC known to Pillow if the file needs that."""
    if path.suffix.lower() in RAW_SUFFIXES:
        raise UnreadableFile(
            f"{path}: is a camera's raw file. Develop it to JPEG, PNG or TIFF first."
        )
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS and b"avif" not in head:
        _pillow_heif(path).register_heif_opener()


def _pillow_heif(path):
    try:
        import pillow_heif
    except ImportError:
        raise UnreadableFile(
            f"{path}: is HEIC, which needs one more package: pip install pillow-heif"
        ) from None
    return pillow_heif


def _open_header(path, head):
    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    with _quietly():
        # Pillow warns, then refuses, at sizes of its own that phones have passed; ours is next.
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=known)
        except Image.UnidentifiedImageError:
            if b"avif" in head[:32] and "AVIF" not in known:
                raise UnreadableFile(
                    f"{path}: is AVIF, which needs a newer Pillow: pip install 'pillow>=11.3'"
                ) from None
            raise unread_picture(path, head) from None
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_size(path, size, least=1):
    width, height = size
    if width * height > MAX_PIXELS:
        raise UnreadableFile(
            f"{path}: claims to be {width}x{height} px ({width * height / 1e6:.0f} megapixels); "
            f"at most {MAX_PIXELS / 1e6:.0f} are read. Scale it down first."
        )
    if min(width, height) < least:
        raise UnreadableFile(
            f"{path}: is {width}x{height} px; a photo needs at least {least} px each way."
        )


def _exif(load):
    """Return (orientation 1..8, whether in Adobe RGB) from EXIF.

    Args:
        load: function that returns PIL.Image.Exif, which may be nonsense.
    """
    try:
        with _quietly():
            exif = load()
            orientation = exif.get(EXIF_ORIENTATION, 1)
            details = exif.get_ifd(EXIF_DETAILS)
            rule = exif.get_ifd(EXIF_INTEROPERABILITY).get(1) if details else None
    except Exception:  # the picture is still good
        return 1, False
    return orientation, rule in ("R03", b"R03")


# -- by Pillow ------------------------------------------------------------------------------------


def _read_with_pillow(path, notes):
    with open_picture(path) as image:
        _check_size(path, image.size, MIN_SIDE)
        deep = _is_deep_colour(image)
        orientation, adobe_rgb = _exif(image.getexif)
        cicp = _cicp(path) if image.format == "PNG" else None
        nclx = _nclx(path, image) if image.format in ("HEIF", "AVIF") else None
        said = image.info
        space = colour_space(
            cicp=cicp,
            icc=said.get("icc_profile"),
            nclx=nclx,
            srgb="srgb" in said,
            gamma=said.get("gamma"),
            chromaticity=said.get("chromaticity"),
            adobe_rgb=adobe_rgb,
        )
        if _has_gain_map(image):
            notes.append("left out the gain map for HDR screens")
        if deep or image.mode.startswith("I;16"):
            notes.append("reduced 16 bits a channel to 8")
        decode(image)
        if getattr(image, "is_animated", False):
            notes.append("took the first of several pictures in the file")
        if space and space.hdr and image.format in ("HEIF", "AVIF"):
            values, kind, alpha = _split_alpha(_deep_heif(path, image.format), "RGB")
        elif deep:
            values = _deep_colour(path.read_bytes())
            colours = values[..., :3][..., ::-1] if values.ndim == 3 else values
            if values.ndim == 3 and values.shape[2] == 4:
                colours = np.dstack([colours, values[..., 3]])
            values, kind, alpha = _split_alpha(np.ascontiguousarray(colours), "RGB")
        else:
            values, kind, alpha = _samples(path, image)
        turned = said.get("original_orientation") or 0
        return Stored(values, kind, alpha, space, orientation, turned=turned)


def _samples(path, image):
    """(values, kind, alpha) of a decoded picture of Pillow's."""
    if image.mode.startswith(("I", "F")):
        top = 1.0 if image.mode == "F" else 65535.0
        return _over_whole_range(path, np.asarray(image), top), "GRAY", None
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        values, _, alpha = _split_alpha(np.asarray(image.convert("RGBA")), "RGB")
        return (
            (np.ascontiguousarray(values[..., 0]), "GRAY", alpha)
            if grey
            else (values, "RGB", alpha)
        )
    if image.mode == "CMYK":
        return np.asarray(image), "CMYK", None
    return np.asarray(image.convert("L" if grey else "RGB")), "GRAY" if grey else "RGB", None


def _split_alpha(values, kind):
    """Take the last of two or four channels for transparency."""
    if values.ndim == 2:
        return values, "GRAY", None
    if values.shape[2] not in (2, 4):
        return values, kind, None
    colours = np.ascontiguousarray(values[..., :-1])
    if colours.shape[2] == 1:
        colours, kind = colours[..., 0], "GRAY"
    return colours, kind, reduce(np.ascontiguousarray(values[..., -1]))


def _is_deep_colour(image):
    """Whether these are colours (or grey and alpha) of 16 bits, which Pillow would reduce to 8.

    To be asked first: for EXIF a PNG file is decoded.
    """
    return image.mode.startswith(("RGB", "LA")) and ";16" in str(image.tile)


def _deep_colour(data):
    """Decode 16 bits a channel with OpenCV, (H, W, C) uint16, blue first."""
    if data.startswith(PNG_HEAD):
        # OpenCV spends seconds on a chunk that claims gigabytes; it gets those with pixels only.
        kept = [
            data[start:end] for kind, start, end in png_chunks(data) if kind in (b"IHDR", b"IDAT")
        ]
        data = b"".join([PNG_HEAD, *kept]) + b"\0\0\0\0IEND\xaeB`\x82"
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise ValueError("its pixels cannot be decoded")
    return values


def _deep_heif(path, kind):
    """Decode an HEIF or AVIF file in its own depth, scaled to 16 bits: (H, W, C) uint16."""
    heif = _pillow_heif(path).open_heif(path, convert_hdr_to_8bit=False)
    if kind == "HEIF":
        values, depth = np.asarray(heif), 16
    else:  # whose pixels need a decoder of AV1
        import imagecodecs

        values, depth = imagecodecs.avif_decode(path.read_bytes(), index=0), heif.info["bit_depth"]
    if values.dtype == np.uint8:
        depth = 8
    return (
        values
        if depth == 16
        else np.rint(values.astype(np.float32) * (65535 / (2**depth - 1))).astype(np.uint16)
    )


def _cicp(path):
    """(primaries, transfer function) of a PNG's cICP chunk, or None."""
    data = path.read_bytes()
    for kind, start, end in png_chunks(data):
        if kind == b"cICP" and end - start == 16:
            return data[start + 8], data[start + 9]
        if kind == b"IDAT":
            break
    return None


def _nclx(path, image):
    """(primaries, transfer function) of an HEIF or AVIF file, or None."""
    profile = image.info.get("nclx_profile")
    if profile is None and image.format == "AVIF":  # of which Pillow does not tell
        with contextlib.suppress(Exception):
            profile = _pillow_heif(path).open_heif(path).info.get("nclx_profile")
    if not profile:
        return None
    return profile["color_primaries"], profile["transfer_characteristics"]


def _has_gain_map(image):
    said = [segment for name, segment in getattr(image, "applist", []) if name != "EXIF"]
    said.append(image.info.get("xmp", b""))
    said += [str(name).encode() for name in image.info.get("aux", ())]
    said = b"".join(part for part in said if isinstance(part, bytes)).lower()
    return any(sign in said for sign in GAIN_MAPS)


# -- TIFF -----------------------------------------------------------------------------------------


def _read_tiff(path, notes):
    _check_format(path, b"")
    with tiff.open_page(path) as page:
        _check_size(path, page.size, MIN_SIDE)
        orientation, adobe_rgb = _exif(_tiff_exif(page))
        samples = tiff.read_samples(path, page)
        icc, tall = tiff.profile(page), tiff.pixel_shape(page)
    if page.pages > 1:
        which = "largest" if page.number else "first"
        notes.append(f"took the {which} of several pictures in the file")
    values, colours = samples.values, samples.colours
    if colours not in (1, 3, 4) or (samples.kind, colours) == ("GRAY", 3):
        raise unsupported(path, f"a TIFF of {colours} bands that are not red, green and blue")
    bits = 8 * values.dtype.itemsize
    if bits > 8:
        notes.append(f"reduced {bits} bits a channel to 8")
    if samples.kind != "LAB":  # whose numbers are signed in part
        values = _over_whole_range(path, values, samples.top)
    alpha = None
    if values.ndim == 3:
        if samples.alpha:
            alpha = np.ascontiguousarray(values[..., colours])
        values = np.ascontiguousarray(values[..., 0] if colours == 1 else values[..., :colours])
        if samples.alpha == "premultiplied":
            values = _unmultiplied(values, alpha)
        alpha = None if alpha is None else reduce(alpha)
    space = colour_space(icc=icc, adobe_rgb=adobe_rgb)
    return Stored(values, samples.kind, alpha, space, orientation, tall)


def _tiff_exif(page):
    """What `_exif` wants of a page."""

    def load():
        exif, file = Image.Exif(), page.tiff.parent
        exif.endian, exif.bigtiff = file.byteorder, file.is_bigtiff
        exif.load_from_fp(file.filehandle, page.tiff.offset)
        return exif

    return load


def _over_whole_range(path, values, top):
    """Scale numbers up to `top` to uint8 or uint16; others are refused, never clipped.

    Integers of 32 bits and more are taken to fill the smallest of 8, 16 and all their bits that
    holds them: a picture of a thousandth of white would be none.
    """
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    if (values.dtype, top) in ((np.uint8, 255), (np.uint16, 65535)):
        return values
    least, most = values.min(), values.max()
    if values.dtype.kind in "iu" and values.dtype.itemsize > 2:
        top = next(number for number in (255, 65535, max(top, most)) if most <= number)
    if not (least >= 0 and most <= top):
        raise UnreadableFile(
            f"{path}: holds numbers from {least:g} to {most:g}, no picture (0 to {top:g}). "
            "Pass a depth map with --depth."
        )
    low = values.dtype == np.uint8 or top == 255
    depth, dtype = (255, np.uint8) if low else (65535, np.uint16)
    out = np.empty(values.shape, dtype)
    for row, line in enumerate(values):
        out[row] = np.rint(line.astype(np.float64) * (depth / float(top)))
    return out


def _unmultiplied(values, alpha):
    top = np.iinfo(alpha.dtype).max
    share = np.where(alpha == 0, top, alpha).astype(np.float32) / top  # nothing was multiplied
    share = share if values.ndim == 2 else share[..., None]
    return (
        np.where(share >= 1, values, np.minimum(values / share, np.iinfo(values.dtype).max))
        .round()
        .astype(values.dtype)
    )


# -- towards what is seen -------------------------------------------------------------------------


def _over_white(pixels, alpha, notes):
    """Composite over white; alpha that is nothing everywhere is a forgotten channel, no mask."""
    least, most = alpha.min(), alpha.max()
    if least == 255:
        return pixels
    if most == 0:
        notes.append("left out an alpha channel that hides everything")
        return pixels
    notes.append("composited transparency over white")
    image = Image.fromarray(pixels)
    return np.array(
        Image.composite(image, Image.new("RGB", image.size, "white"), Image.fromarray(alpha))
    )


def _with_square_pixels(pixels, tall, notes):
    """Stretch a picture whose pixels are taller or wider than square, as a fax."""
    if abs(tall - 1) <= SQUARE or not 1 / LONGEST_PIXEL <= tall <= LONGEST_PIXEL:
        return pixels
    height, width = pixels.shape[:2]
    size = (round(height * tall), width) if tall > 1 else (height, round(width / tall))
    if size[0] * size[1] > MAX_PIXELS:
        return pixels
    notes.append(f"stretched its pixels, {tall:.2f} times as tall as wide, to squares")
    return resize(pixels, size)
