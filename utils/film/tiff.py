"""TIFF of every kind: the page that is meant, and its samples as they are stored.

By tifffile and imagecodecs, which give the samples as they lie in the file. Pillow makes planar
16-bit pictures striped, signed and 32-bit integers negative, and white black where that is
inverted; OpenCV shares most of this, and has no Lab, no CMYK of 16 bits and no fifth channel.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from utils.film.kinds import UnreadableFile, unsupported

MAX_PAGES = 1000  # of which the largest is looked for
MAX_SAMPLES = 16  # a pixel
KINDS = {
    "MINISWHITE": "GRAY",
    "MINISBLACK": "GRAY",
    "RGB": "RGB",
    "YCBCR": "RGB",
    "SEPARATED": "CMYK",
    "CIELAB": "LAB",
    "PALETTE": "RGB",
}
COLOURS = {"GRAY": 1, "RGB": 3, "CMYK": 4, "LAB": 3}  # samples a pixel, before any alpha
PROFILE_TAG, MAX_SAMPLE_TAG = 34675, 281


class Page(NamedTuple):
    """One picture of a TIFF file, not yet decoded."""

    tiff: Any  # tifffile.TiffPage
    number: int
    pages: int  # in the file

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), px."""
        return self.tiff.imagewidth, self.tiff.imagelength


class Samples(NamedTuple):
    """What a page stores."""

    values: np.ndarray  # (H, W) or (H, W, C); white is large also where the file says otherwise
    kind: str  # "GRAY", "RGB", "CMYK" or "LAB"
    colours: int  # how many of the C are colours; those of a multispectral picture are all
    alpha: str  # of the one behind them: "", "straight" or "premultiplied"
    top: float  # the number that stands for white


@contextlib.contextmanager
def open_page(path: Path) -> Iterator[Page]:
    """Open the largest page of a TIFF that is no thumbnail and no mask.

    Args:
        path: file that begins as a TIFF does.
    Yields:
        Page.
    Raises:
        Exception: whatever tifffile raises at damaged files.
    """
    import tifffile

    with tifffile.TiffFile(path) as file:
        best, count = None, 0
        page: Any  # a TiffPage: pages are read whole unless asked otherwise
        for count, page in zip(range(1, MAX_PAGES + 1), file.pages, strict=False):
            area = page.imagewidth * page.imagelength * (0 if page.subfiletype & 5 else 1)
            if best is None or area > best[0]:
                best = area, page, count - 1
        if best is None:
            raise UnreadableFile(f"{path}: is a TIFF without a picture in it.")
        yield Page(best[1], best[2], count)


def read_samples(path: Path, page: Page) -> Samples:
    """Decode a page whose size was checked.

    Args:
        path: the file, for messages.
        page: Page.
    Returns:
        Samples.
    Raises:
        ValueError: a kind that is not supported (named), or incomplete.
        Exception: whatever the decoders raise at damaged files.
    """
    tiff = page.tiff
    photometric = getattr(tiff.photometric, "name", str(tiff.photometric))
    kind = KINDS.get(photometric)
    bits = tiff.bitspersample
    if kind is None or not isinstance(bits, int) or tiff.imagedepth != 1:
        what = "a volume" if tiff.imagedepth != 1 else photometric if kind is None else bits
        raise unsupported(path, f"a TIFF of a rare kind ({what})")
    if tiff.samplesperpixel > MAX_SAMPLES:
        raise unsupported(path, f"a TIFF of {tiff.samplesperpixel} bands")
    _check_complete(path, tiff)
    if photometric == "YCBCR" and tiff.compression != 7:
        return Samples(_by_pillow(path, page), "RGB", 3, "", 255)
    values = tiff.asarray(maxworkers=1)
    if tiff.planarconfig == 2 and tiff.samplesperpixel > 1:
        values = np.moveaxis(values, 0, -1)
    if values.dtype.kind not in "buif" or values.shape[:2] != page.size[::-1]:
        raise unsupported(path, f"a TIFF of {values.dtype} in the shape {values.shape}")
    top = _top(tiff, values.dtype)
    if photometric == "PALETTE":
        return Samples(_coloured(values, tiff.colormap), "RGB", 3, "", 255)
    if photometric == "MINISWHITE":
        values = ~values if values.dtype == bool else values.dtype.type(top) - values
    alpha = _alpha(tiff, kind)
    return Samples(values, kind, _count_colours(tiff, kind, alpha), alpha, top)


def _check_complete(path, tiff):
    """Refuse a page of which strips or tiles are missing; tifffile would make them black."""
    size = tiff.parent.filehandle.size
    pieces = list(zip(tiff.dataoffsets, tiff.databytecounts, strict=False))
    if len(pieces) < int(np.prod(tiff.chunked)) or any(
        count <= 0 or offset + count > size for offset, count in pieces
    ):
        raise UnreadableFile(
            f"{path}: damaged or incomplete (a part of its pixels is missing). "
            "Copy or download it again."
        )


def _by_pillow(path, page):
    """Decode YCbCr of reduced chroma, which libtiff converts and tifffile leaves alone."""
    from PIL import Image

    with Image.open(path, formats=["TIFF"]) as image:
        image.seek(page.number)
        image = image.convert("RGB")
        if image.size != page.size:  # Pillow has turned it
            raise NotImplementedError("YCbCr that is stored turned")
        return np.asarray(image)


def _top(tiff, dtype):
    """The number that stands for white, before the numbers themselves are looked at."""
    if dtype.kind in "bf":
        return 1.0
    bits = min(tiff.bitspersample, 8 * dtype.itemsize) - (dtype.kind == "i")
    top = 2**bits - 1
    said = tiff.tags.get(MAX_SAMPLE_TAG)
    said = np.max(said.value) if said is not None else top
    # Some write the largest number that occurs here; 12 bits in 16 are said by 4095.
    whole = 255 < said < top and (int(said) + 1) & int(said) == 0
    return float(said) if whole else float(top)


def _coloured(values, colormap):
    """Palette colours, of which the upper bytes count: some write 255 as 65280, some as 65535."""
    return np.ascontiguousarray((np.asarray(colormap) >> 8).astype(np.uint8).T[values.astype(int)])


def _count_colours(tiff, kind, alpha):
    """Colours of a pixel; nothing tells which bands of a multispectral picture to show."""
    bands = tiff.samplesperpixel
    many = kind == "GRAY" and bands > 2 and not alpha
    return bands if many else min(COLOURS[kind], bands)


def _alpha(tiff, kind):
    extra = tuple(tiff.extrasamples)
    if not extra or tiff.samplesperpixel <= COLOURS[kind]:
        return ""
    return {1: "premultiplied", 2: "straight"}.get(int(extra[0]), "")


def profile(page: Page) -> bytes | None:
    """The ICC profile of a page, or b""."""
    tag = page.tiff.tags.get(PROFILE_TAG)
    return tag.value if tag is not None and isinstance(tag.value, bytes) else b""


def pixel_shape(page: Page) -> float:
    """Height of a page's pixels over their width, from its resolutions; 1 where they tell none."""
    across, down = (page.tiff.tags.get(tag) for tag in (282, 283))
    try:
        return (across.value[0] * down.value[1]) / (across.value[1] * down.value[0])
    except (AttributeError, TypeError, IndexError, ZeroDivisionError):
        return 1.0
