"""Pictures decoded: their numbers as the file has them, and what it says of their colours.

By Pillow (JPEG, PNG, WebP, GIF, BMP, JPEG 2000, AVIF), pillow-heif (HEIC), tifffile (TIFF), and
OpenCV where Pillow would reduce 16 bits to 8.

Pillow tells nothing of the colour space that JPEG 2000 and BMP files may name: they are taken as
sRGB.
"""

import contextlib
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from utils.film import tiff
from utils.film.colour import Space, colour_space, reduce
from utils.film.kinds import PNG_HEAD, UnreadableFile, png_chunks, unsupported
from utils.film.opening import (
    check_format,
    check_size,
    decode,
    load_pillow_heif,
    open_picture,
    read_exif,
    tiff_exif,
)

MIN_SIDE = 16  # below this there is no room for crop windows, nor for six halvings in a network

# What JPEG, HEIF and AVIF say of a gain map, which brightens a picture on HDR screens.
GAIN_MAPS = (b"urn:iso:std:iso:ts:21496", b"hdr-gain-map", b"hdrgainmap")


class Stored(NamedTuple):
    """A decoded picture whose colours, transparency and orientation are as the file has them."""

    values: np.ndarray  # (H, W) or (H, W, C) uint8 or uint16, over the whole range
    kind: str  # "GRAY", "RGB", "CMYK" or "LAB"
    alpha: np.ndarray | None  # (H, W) uint8
    space: Space | None
    orientation: int
    tall: float = 1.0  # height of a pixel / its width
    turned: int = 0  # orientation by which the decoder has turned it already


# -- by Pillow ------------------------------------------------------------------------------------


def read_with_pillow(path: Path, notes: list[str]) -> Stored:
    """Decode a photo of any format but TIFF; what was done to it is added to the notes."""
    with open_picture(path) as image:
        check_size(path, image.size, MIN_SIDE)
        deep = _is_deep_colour(image)
        orientation, adobe_rgb = read_exif(image.getexif)
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


def stored_by_pillow(path: Path, image: Image.Image) -> np.ndarray:
    """Decode a picture to its numbers as they are stored, and nothing else."""
    deep = _is_deep_colour(image)
    decode(image)
    if deep:  # which Pillow, having checked the file, reduces to 8 bits
        return _deep_colour(path.read_bytes())
    if image.mode == "P":
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode in ("1", "CMYK", "YCbCr"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return np.asarray(image)


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
    heif = load_pillow_heif(path).open_heif(path, convert_hdr_to_8bit=False)
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
            profile = load_pillow_heif(path).open_heif(path).info.get("nclx_profile")
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


def read_tiff(path: Path, notes: list[str]) -> Stored:
    """Decode the largest page of a TIFF; what was done to it is added to the notes."""
    check_format(path, b"")
    with tiff.open_page(path) as page:
        check_size(path, page.size, MIN_SIDE)
        orientation, adobe_rgb = read_exif(tiff_exif(page))
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


def _unmultiplied(values, alpha):
    top = np.iinfo(alpha.dtype).max
    share = np.where(alpha == 0, top, alpha).astype(np.float32) / top  # nothing was multiplied
    share = share if values.ndim == 2 else share[..., None]
    return (
        np.where(share >= 1, values, np.minimum(values / share, np.iinfo(values.dtype).max))
        .round()
        .astype(values.dtype)
    )


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
