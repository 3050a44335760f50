"""Photographs in, pictures out: every file becomes (H, W, 3) uint8 RGB as a person sees it.

Pillow reads (JPEG, PNG, WebP, TIFF, GIF, BMP, JPEG 2000 and, from 11.3 on, AVIF); HEIC comes from
pillow-heif where that is installed. What was done on the way to upright 8-bit sRGB is told in
`Photo.notes`. Files are hostile until shown otherwise: the size is checked before anything is
decoded, and whatever a decoder raises leaves here as one ValueError that names the file.
"""

import contextlib
import io
import math
import threading
import warnings
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageCms

from utils.files import complete_or_absent, naming_write_errors

# Twice the 200 megapixels of the largest telephones: 1.2 GB decoded. A few kilobytes of hostile
# PNG can claim a thousand times as much.
MAX_PIXELS = 400_000_000
MIN_SIDE = 16  # below this there is no room for crop windows, nor for six halvings in a network

# Decoders that only look at pixels. Pillow knows more, but its EPS starts Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "JPEG2000", "QOI", "AVIF", "HEIF")
# Cameras' raw files pose as TIFF; Pillow would return the thumbnail that they carry.
RAW_SUFFIXES = {".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"}
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
# Decoders accept a file whose end was never written (zeros); this is how it should end.
END_MARKERS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}

EXIF_ORIENTATION, EXIF_DETAILS, EXIF_FOCAL_35MM = 0x0112, 0x8769, 0xA405
# What turns a stored picture upright, by the EXIF orientation that asks for it.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
COLOUR_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}  # Pillow's mode -> a profile's space
SEEMS = {  # what a file that is no picture seems to be, by its first bytes in lower case
    "an HTML page (a failed download?)": (b"<!doctype html", b"<html"),
    "SVG or XML text": (b"<svg", b"<?xml"),
    "a PDF": (b"%pdf",),
    "JPEG XL": (b"\xff\x0a", b"\0\0\0\x0cjxl "),
    "a zip archive": (b"pk\3\4",),
    "a Matroska or WebM video": (b"\x1a\x45\xdf\xa3",),
    "a depth map (pass it with --depth)": (b"\x93numpy", b"\x89hdf", b"v/1\1", b"pf\n", b"matlab"),
}

_quiet_lock = threading.Lock()


class UnreadableFile(ValueError):
    """A file that cannot be used; the message names it and says what was found."""


class Photo(NamedTuple):
    """A photograph, ready for work."""

    pixels: np.ndarray  # (H, W, 3) uint8, sRGB, upright
    notes: tuple[str, ...]  # what was done to get there, each a phrase worth telling the user
    focal_px: float | None  # from the EXIF 35 mm equivalent, for this size; None if not recorded


def read_image(path):
    """Read a photograph as a person sees it: upright, opaque, in sRGB.

    EXIF orientation is applied, transparency is composited over white, CMYK and colour profiles
    are converted to sRGB, 16 bits a channel are scaled to 8, and of several pictures in one file
    (an animation) the first is taken; each of these is said in `notes`.

    Args:
        path: image file, at least MIN_SIDE px each way and at most MAX_PIXELS.
    Returns:
        Photo: pixels (H, W, 3) uint8, notes, focal_px.
    Raises:
        ValueError: the file is missing, empty, damaged, no supported image, too small or too large.
    """
    with open_picture(path) as image, naming_the_file(path):
        if min(image.size) < MIN_SIDE:
            raise UnreadableFile(
                f"{path}: is {image.width}x{image.height} px; a photo needs at least "
                f"{MIN_SIDE} px each way."
            )
        notes = []
        if any(";16" in str(tile) for tile in image.tile):
            notes.append("reduced 16 bits a channel to 8")
        orientation, focal_px = _exif(image)
        decode(image)
        if getattr(image, "is_animated", False):
            notes.append("took the first of several pictures in the file")
        turn = UPRIGHT.get(_exif(image)[0])  # Pillow's TIFF reader has turned it by now
        image = _to_rgb(_to_8_bit(image), notes)
        image = image if turn is None else image.transpose(turn)
        if orientation in UPRIGHT:
            notes.append(f"turned upright (EXIF orientation {orientation})")
        return Photo(np.array(image), tuple(notes), focal_px)


def write_image(path, pixels):
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
        temporary.write_bytes(encoded)


def resize(pixels, size):
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


def in_fours(size):
    """Return (height, width) without what a multiple of four leaves over.

    Networks halve the photo several times; the few last rows and columns are dropped.
    """
    height, width = size
    return height // 4 * 4, width // 4 * 4


def open_picture(path):
    """Open an image file with Pillow after every check that needs no decoding.

    Args:
        path: image file.
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
            _check_opened(path, image)
        except UnreadableFile:
            image.close()
            raise
    return image


def decode(image):
    """Decode a picture from open_picture in place, without warnings about odd tags."""
    with _quietly():
        image.load()


def read_head(path, length=64):
    """Return a file's first bytes, having checked that it is a file with something in it.

    Args:
        path: any file.
        length: how many bytes.
    Raises:
        ValueError: missing, a folder, a device or pipe, not readable, or empty.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise UnreadableFile(f"{path}: is a folder, not a file.")
        if path.exists() and not path.is_file():
            raise UnreadableFile(f"{path}: is a device or a pipe, not a regular file.")
        with path.open("rb") as file:
            head = file.read(length)
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file. Check the spelling and the folder.") from None
    except OSError as error:
        raise UnreadableFile(f"{path}: cannot be opened: {error.strerror}.") from error
    if not head:
        raise UnreadableFile(f"{path}: is empty (0 bytes). Copy or download it again.")
    return head


def describe(head):
    """Say in a few words what a file seems to be, from its first bytes (`head`)."""
    lower = head.lstrip().lower()
    for name, starts in SEEMS.items():
        if lower.startswith(starts):
            return name
    if head[4:8] == b"ftyp":
        return "an MP4 or MOV video"
    if all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in head):
        return "text"
    return f"of an unknown kind (first bytes {head[:8].hex(' ')})"


@contextlib.contextmanager
def naming_the_file(path):
    """Turn whatever a decoder raises into an UnreadableFile that names the file.

    Decoders fed with damaged data raise OSError, SyntaxError, struct.error, IndexError,
    MemoryError and more: all of them mean one thing to the user.
    """
    try:
        yield
    except UnreadableFile:
        raise
    except Exception as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise UnreadableFile(
            f"{path}: damaged or incomplete ({reason}). Copy or download it again."
        ) from error


@contextlib.contextmanager
def _quietly():
    """Silence warnings (odd tags, sizes); one thread at a time, since filters are global."""
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_format(path, head):
    """Refuse what Pillow would misread, and make HEIC known to it if the file needs that."""
    if path.suffix.lower() in RAW_SUFFIXES:
        raise UnreadableFile(
            f"{path}: is a camera's raw file. Develop it to JPEG, PNG or TIFF first."
        )
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS and b"avif" not in head:
        try:
            import pillow_heif
        except ImportError:
            raise UnreadableFile(
                f"{path}: is HEIC, which needs one more package: pip install pillow-heif"
            ) from None
        pillow_heif.register_heif_opener()


def _open_header(path, head):
    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    with _quietly():
        # Pillow warns, then refuses, at sizes of its own that phones have passed; ours is next.
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=known)
        except Image.UnidentifiedImageError:
            raise UnreadableFile(f"{path}: {_why_not(head, known)}") from None
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _why_not(head, known):
    if b"avif" in head[:32] and "AVIF" not in known:
        return "is AVIF, which needs a newer Pillow: pip install 'pillow>=11.3'"
    pictures = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*", b"RIFF", b"BM")
    if head.startswith(pictures) or head[8:12] in HEIF_BRANDS:
        return "damaged or incomplete (its header cannot be read). Copy or download it again."
    return (
        f"is no photo that can be read: it seems to be {describe(head)}. "
        "Convert it to JPEG, PNG, WebP, TIFF, HEIC or AVIF."
    )


def _check_opened(path, image):
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableFile(
            f"{path}: claims to be {image.width}x{image.height} px "
            f"({image.width * image.height / 1e6:.0f} megapixels); at most "
            f"{MAX_PIXELS / 1e6:.0f} are read. Scale it down first."
        )
    marker = END_MARKERS.get(image.format)
    if marker and _ends_in_zeros(path, marker):
        raise UnreadableFile(
            f"{path}: damaged or incomplete (its end is all zeros, as an interrupted copy "
            "leaves it). Copy or download it again."
        )


def _ends_in_zeros(path, marker):
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        tail = file.read()
    written = tail.rstrip(b"\0")
    # Some cameras pad a finished file to full blocks.
    return len(tail) - len(written) >= 16 and not written.endswith(marker)


def _exif(image):
    """Return (orientation 1..8, focal length in px or None) from EXIF that may be nonsense."""
    try:
        with _quietly():
            exif = image.getexif()
            orientation = exif.get(EXIF_ORIENTATION, 1)
            focal_mm = float(exif.get_ifd(EXIF_DETAILS).get(EXIF_FOCAL_35MM) or 0)
    except Exception:  # the picture is still good
        return 1, None
    # The 35 mm equivalent compares diagonals (CIPA DCG-001): 43.27 mm on film.
    focal_px = focal_mm * math.hypot(*image.size) / math.hypot(36, 24)
    return orientation, focal_px if 5 <= focal_mm <= 2000 else None


def _to_8_bit(image):
    """Return the image in a mode of 8 bits a channel; integers are scaled, never clipped."""
    if image.mode == "1":
        return image.convert("L")
    if not image.mode.startswith(("I", "F")):  # 16-bit colour: Pillow keeps the high bytes
        return image
    values = np.asarray(image).astype(np.float32)
    top = {"F": 1.0}.get(image.mode, 65535.0)
    if not (values.min() >= 0 and values.max() <= top):
        raise UnreadableFile(
            f"{image.filename}: holds numbers from {values.min():g} to {values.max():g}, no "
            f"picture (0 to {top:g}). Pass a depth map with --depth."
        )
    grey = Image.fromarray(np.rint(values * (255 / top)).astype(np.uint8))
    grey.info = {"icc_profile": image.info.get("icc_profile")}
    return grey


def _to_rgb(image, notes):
    """Return the image as opaque sRGB."""
    profile = image.info.get("icc_profile")
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        if alpha.getextrema()[0] == 255:
            alpha = None
    elif image.mode == "CMYK":
        notes.append("converted CMYK to RGB")
    if image.mode not in COLOUR_SPACES:
        image = image.convert("RGB")
    image = _to_srgb(image, profile, notes).convert("RGB")
    if alpha is not None:
        image = Image.composite(image, Image.new("RGB", image.size, "white"), alpha)
        notes.append("composited transparency over white")
    return image


def _to_srgb(image, profile, notes):
    """Apply an ICC profile; one that is sRGB already, or broken, changes nothing."""
    if not profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source).strip() or "its colour profile"
        if name.lower().startswith("srgb"):
            return image
        if source.profile.xcolor_space.strip() != COLOUR_SPACES[image.mode]:
            raise ValueError("the profile is for another kind of picture")
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except Exception:  # a broken profile: the colours as stored are the best guess
        notes.append("ignored a broken colour profile")
        return image
    notes.append(f"converted colours from {name} to sRGB")
    return converted
