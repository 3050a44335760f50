"""Photographs in, pictures out: every file becomes (H, W, 3) uint8 RGB as a person sees it.

What was done on the way to upright 8-bit sRGB is told in `Photo.notes`. Whatever a decoder raises
leaves here as one ValueError that names the file. Which files are opened, and how far, stands in
utils.film.opening, how they are decoded in utils.film.decoding, their colours in utils.film.colour.
"""

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from PIL import Image

from utils.files import complete_or_absent, naming_write_errors
from utils.film import tiff
from utils.film.colour import to_srgb
from utils.film.decoding import MIN_SIDE, read_tiff, read_with_pillow, stored_by_pillow
from utils.film.kinds import TIFF_HEADS, naming_the_file, png_chunks, read_head
from utils.film.opening import MAX_PIXELS, check_size, open_picture, read_exif, tiff_exif

if TYPE_CHECKING:
    import torch

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
SQUARE = 0.05  # pixels' sides that differ by no more are square
LONGEST_PIXEL = 4  # sides that differ by more are a mistake


class Photo(NamedTuple):
    """A photograph, ready for work."""

    pixels: np.ndarray  # (H, W, 3) uint8, sRGB, upright
    notes: tuple[str, ...]  # what was done to get there, each a phrase worth telling the user
    orientation: int = 1  # by which it was turned, as EXIF counts: 1 to 8


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
            stored = read_tiff(path, notes)
        else:
            stored = read_with_pillow(path, notes)
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
                (width, height), orientation = page.size, read_exif(tiff_exif(page))[0]
        else:
            with open_picture(path) as image:
                (width, height), orientation = image.size, 1
                if image.format != "PNG" or "exif" in image.info:  # else a PNG would be decoded
                    orientation = read_exif(image.getexif)[0]
        check_size(path, (width, height), MIN_SIDE)
    return (width, height) if UPRIGHT.get(orientation, (False,))[0] else (height, width)


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
                check_size(path, page.size)
                values = tiff.read_samples(path, page).values
                orientation = read_exif(tiff_exif(page))[0]
        else:
            with open_picture(path) as image:
                values = stored_by_pillow(path, image)
                orientation = read_exif(image.getexif)[0]
        if orientation not in UPRIGHT:
            return values
        exact = values.dtype in (np.uint8, np.uint16, np.float64)
        return upright(values if exact else values.astype(np.float32), orientation)


def write_image(path: str | Path, pixels: np.ndarray, text: dict[str, str] | None = None) -> None:
    """Write a PNG that appears complete or not at all.

    Args:
        path: file name ending in .png, in an existing folder.
        pixels: (H, W, 3) uint8 RGB, or (H, W) uint8 or uint16 grey.
        text: {keyword: what it says}, kept in the file (PNG's tEXt).
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
    encoded = cv2.imencode(".png", bgr)[1].tobytes()
    _, _, end = next(png_chunks(encoded))  # of the header, which comes first
    texts = b"".join(map(_text_chunk, (text or {}).items()))
    with naming_write_errors(path), complete_or_absent(path) as temporary:
        temporary.write_bytes(encoded[:end] + texts + encoded[end:])


def _text_chunk(said):
    """The chunk of a (keyword, text), as PNG has it: length, kind, content, check sum."""
    content = b"tEXt" + "\0".join(said).encode("latin-1", "replace")
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))


# -- what the numbers are turned, scaled and laid over -------------------------------------------


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


def as_stored(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an upright picture back to how it is stored; as `upright`, whose inverse it is."""
    return upright(pixels, {6: 8, 8: 6}.get(orientation, orientation))


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


def as_bytes(image: "torch.Tensor") -> np.ndarray:
    """Pixels (H, W, 3) uint8 of a photo (1, 3, H, W) RGB in [0, 1]."""
    levels = image[0].cpu().numpy() * 255
    return np.ascontiguousarray(np.rint(levels, out=levels).astype(np.uint8).transpose(1, 2, 0))


def in_fours(size: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) without what a multiple of four leaves over.

    Networks halve the photo several times; the few last rows and columns are dropped.
    """
    height, width = size
    return height // 4 * 4, width // 4 * 4


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
