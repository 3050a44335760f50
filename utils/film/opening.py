"""Picture files, opened only as far as is safe: all that needs no decoding is checked before it.

Files are hostile until shown otherwise. Pillow opens them, but for TIFF (utils.film.tiff); HEIC
comes from pillow-heif.
"""

import contextlib
import io
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from utils.film import tiff
from utils.film.kinds import (
    HEIF_BRANDS,
    RAW_SUFFIXES,
    UnreadableFile,
    check_end,
    naming_the_file,
    rare_jpeg,
    read_head,
    unread_picture,
    unsupported,
)

# Twice the 200 megapixels of the largest telephones: 1.2 GB decoded. A few kilobytes of hostile
# PNG can claim a thousand times as much.
MAX_PIXELS = 400_000_000

# Decoders that only look at pixels. Pillow knows more, but its EPS starts Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "PPM", "JPEG2000", "QOI", "AVIF", "HEIF")

EXIF_ORIENTATION, EXIF_DETAILS = 0x0112, 0x8769
EXIF_INTEROPERABILITY = 0xA005

_quiet_lock = threading.Lock()


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
    check_format(path, head)
    with naming_the_file(path):
        image = _open_header(path, head)
        try:
            check_size(path, image.size)
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


def read_grey(path: Path, data: bytes, most_pixels: int) -> np.ndarray:
    """Decode a JPEG or PNG that lies within another file, as grey.

    Args:
        path: of that file, for messages.
        data: the picture's bytes.
        most_pixels: it may have.
    Returns:
        (H, W) uint8 or uint16.
    Raises:
        Exception: whatever the decoder says; see `naming_the_file`.
    """
    with _open_within(path, data, most_pixels) as image:
        deep = image.mode.startswith("I")
        values = np.asarray(image if deep else image.convert("L"))
    return values.astype(np.uint16) if deep else values


def read_colours(path: Path, data: bytes, most_pixels: int) -> np.ndarray:
    """Decode a JPEG or PNG that lies within another file: (H, W, 3) uint8; as `read_grey`."""
    with _open_within(path, data, most_pixels) as image:
        return np.asarray(image.convert("RGB"))


@contextlib.contextmanager
def _open_within(path, data, most_pixels):
    with _quietly(), Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
        if image.width * image.height > most_pixels:
            raise UnreadableFile(f"{path}: it claims to be {image.width}x{image.height} px.")
        image.load()
        yield image


def check_format(path: Path, head: bytes) -> None:
    """Refuse what would be misread, and make HEIC known to Pillow if the file needs that."""
    if path.suffix.lower() in RAW_SUFFIXES:
        raise UnreadableFile(
            f"{path}: is a camera's raw file. Develop it to JPEG, PNG or TIFF first."
        )
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS and b"avif" not in head:
        load_pillow_heif(path).register_heif_opener()


def check_size(path: Path, size: tuple[int, int], least: int = 1) -> None:
    """Refuse a picture of this (width, height) px that is too large, or smaller than `least`."""
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


def read_exif(load: Callable[[], Any]) -> tuple[int, bool]:
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


def exif_tags(load: Callable[[], Any]) -> dict[int, Any]:
    """Return {tag: value} of EXIF's main and Exif directories; {} where they are nonsense.

    Args:
        load: function that returns PIL.Image.Exif.
    """
    try:
        with _quietly():
            exif = load()
            return dict(exif) | dict(exif.get_ifd(EXIF_DETAILS))
    except Exception:  # the picture is still good
        return {}


def tiff_exif(page: tiff.Page) -> Callable[[], Any]:
    """Return what `read_exif` wants of a page."""

    def load():
        exif, file = Image.Exif(), page.tiff.parent
        exif.endian, exif.bigtiff = file.byteorder, file.is_bigtiff
        exif.load_from_fp(file.filehandle, page.tiff.offset)
        return exif

    return load


def load_pillow_heif(path: Path) -> Any:
    """Import pillow-heif, or raise UnreadableFile that says what to install for this file."""
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
    try:
        with _quietly():
            return Image.open(path, formats=known)
    except Image.UnidentifiedImageError:
        if b"avif" in head[:32] and "AVIF" not in known:
            raise UnreadableFile(
                f"{path}: is AVIF, which needs a newer Pillow: pip install 'pillow>=11.3'"
            ) from None
        raise unread_picture(path, head) from None


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence warnings (odd tags, sizes); one thread at a time, since filters are global.

    Pillow refuses sizes of its own that phones have passed; ours are checked beside this.
    """
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
