"""The depth map that a photo's own file holds, as phones write it.

One reader per family: HEIC's depth images, the second picture of Apple's JPEG, GDepth and Dynamic
Depth (docs/photo_depth.md). Each returns None where there is none of its kind, and raises where
there is one that cannot be used.
"""

from __future__ import annotations

import base64
import binascii
import logging
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from utils.depth.map_kind import MISTAKEN, vertical_tilt
from utils.film.kinds import UnreadableFile, naming_the_file
from utils.film.opening import read_grey
from utils.film.parts import read_jpeg_xmp
from utils.film.photos import upright

if TYPE_CHECKING:
    from typing import Any

    from utils.film.parts import Parts

log = logging.getLogger("kbe")

MOST_PIXELS = 50_000_000  # of a map: more than any phone's photo has
# How far a map's aspect may be off the photo's: networks whose sides are multiples of 32 write maps
# that are by 16 in 800. By eye, nothing is seen of it.
STRETCH = 0.02
# Kinds of HEIF's depth images (ISO/IEC 23008-2, depth representation information).
INVERSE_Z, DISPARITY, LINEAR_Z, CURVED_DISPARITY = range(4)
SAYS_DEPTH = ("depth", "depthmap", "android/depthmap")  # what a container directory calls it


class Map(NamedTuple):
    """A depth map out of a photo's file."""

    disparity: np.ndarray  # (h, w) float32 relative, larger = nearer, NaN where unknown
    stored: str  # how the file holds it, to be shown


def read_embedded(path: Path, parts: Parts, orientation: int, size: tuple[int, int]) -> Map | None:
    """Read the depth map that a photo's file holds.

    Args:
        path: the photo.
        parts: of it, from `utils.film.parts.read_parts`.
        orientation: by which the photo was turned (EXIF, 1 to 8).
        size: (height, width) px of the photo as a person sees it.
    Returns:
        Map, upright; None where the file holds none.
    Raises:
        ValueError: it holds one that is damaged, or of another shape than the photo.
    """
    for read in (_from_heif, _from_apple, _from_google):
        with naming_the_file(path):
            found = read(path, parts)
        if found is None:
            continue
        turned = upright(found.disparity, orientation)
        # HEIC's maps come upright already; of others some lie as the photo is seen.
        choices = (found.disparity, turned) if parts.heif else (turned, found.disparity)
        disparity = next((one for one in choices if _fits(one.shape, size)), None)
        if disparity is None:
            rows, columns = found.disparity.shape
            raise UnreadableFile(f"it is {columns}x{rows}, of another shape than the photo")
        return Map(np.ascontiguousarray(_checked(disparity)), found.stored)
    return None


def _fits(shape, size):
    """Whether a map of (rows, columns) shows a photo of (height, width), to a pixel and 2 %."""
    stretch = shape[1] * size[0] / (shape[0] * size[1])
    return abs(stretch - 1) <= STRETCH + 1 / min(shape)


def _checked(disparity):
    """Disparity (h, w) float32 without what is not finite; refused where it tells nothing."""
    disparity = disparity.astype(np.float32)
    disparity[~np.isfinite(disparity)] = np.nan
    known = disparity[~np.isnan(disparity)]
    if known.size < max(2, MISTAKEN / 100 * disparity.size):  # as many may be mistakes
        raise UnreadableFile("hardly anything in it is known")
    if known.max() - known.min() <= 1e-6 * max(1e-12, abs(known).max()):
        raise UnreadableFile("it is the same everywhere")
    return disparity


def _shares(values):
    """Stored numbers (h, w) as shares of their type's range."""
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    return values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max)


# -- HEIC -----------------------------------------------------------------------------------------


def _from_heif(path, parts):
    images = parts.heif.info.get("depth_images") if parts.heif else None
    if not images:
        return None
    image = images[0]
    _check_size(image.size)
    values = np.asarray(image)
    if values.ndim != 2:
        raise UnreadableFile("its depth image is no map of one channel")
    said = image.info.get("metadata") or {}
    return Map(heif_disparity(_shares(values), said), "a depth image in HEIC")


def heif_disparity(shares: np.ndarray, said: dict[str, Any]) -> np.ndarray:
    """Turn the numbers of HEIF's depth images into disparity.

    Args:
        shares: (h, w) float32, of the whole range of numbers.
        said: what pillow-heif hands out of the depth representation information: z_near, z_far,
            d_min, d_max, representation_type.
    Returns:
        (h, w) float32, larger = nearer.
    """
    kind = int(said.get("representation_type", DISPARITY))
    near, far = (float(said.get(name) or 0) for name in ("z_near", "z_far"))
    if kind == LINEAR_Z:
        # Which end is near the standard leaves to z_near and z_far, which writers confuse.
        if vertical_tilt(shares) > 0:
            shares = 1 - shares
        return _from_linear(shares, near, far)
    if kind == INVERSE_Z and 0 < near < far:
        return 1 / far + shares * (1 / near - 1 / far)
    low, high = (float(said.get(name) or 0) for name in ("d_min", "d_max"))
    return low + shares * (high - low) if low < high else shares


# -- Apple's JPEG ---------------------------------------------------------------------------------


def _from_apple(path, parts):
    for _, picture in parts.pictures[1:]:
        xmp, missing = read_jpeg_xmp(picture)
        if missing:
            raise UnreadableFile(missing)
        kind = xmp and xmp.first("pixeldatainfo", "AuxiliaryImageType")
        kind = (kind or "").rpartition(":")[2].lower()
        if kind not in ("disparity", "depth"):
            continue
        shares = _shares(_decoded(path, picture))
        low, high = (xmp.number("pixeldatainfo", f"Float{end}Value") for end in ("Min", "Max"))
        if low is not None and high is not None and low < high:
            values = low + shares * (high - low)
        else:
            values = shares if kind == "disparity" else shares + 1 / 255
        if kind == "depth":
            values = _inverse(values)
        return Map(values, f"{kind} behind the JPEG")
    return None


# -- GDepth and Dynamic Depth ---------------------------------------------------------------------


def _from_google(path, parts):
    xmp = parts.xmp
    if xmp is None:
        if parts.missing:
            raise UnreadableFile(parts.missing)
        return None
    data = xmp.first("depthmap", "Data")
    if data is not None:
        picture, stored = _from_base64(data), "GDepth"
    elif (items := _depth_items(xmp)) is not None:
        picture, stored = _appended(parts.appended, *items), "Dynamic Depth"
    elif xmp.first("depthmap", "Format") is not None:
        raise UnreadableFile(parts.missing or "its XMP tells of a map that is not there")
    else:
        return None
    shares = _shares(_decoded(path, picture))
    near, far = (xmp.number("depthmap", end) or 0.0 for end in ("Near", "Far"))
    linear = (xmp.first("depthmap", "Format") or "").lower() == "rangelinear"
    disparity = _from_linear(shares, near, far) if linear else _from_inverse(shares, near, far)
    return Map(disparity, stored)


def _from_inverse(shares, near, far):
    """RangeInverse: 0 is near, 1 is far, evenly in disparity."""
    if not 0 < near < far:
        return 1 - shares
    return (1 - shares) / near + shares / far


def _from_linear(shares, near, far):
    """RangeLinear: 0 is near, 1 is far, evenly in depth."""
    if not 0 <= near < far:
        near, far = 0.0, 1.0
    near = max(near, far / 255)  # a depth of nothing would be infinitely near
    return 1 / (near + shares * (far - near))


def _from_base64(text):
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableFile(f"its text is damaged ({error})") from error


def _depth_items(xmp):
    """The items of a container directory, and which one is the depth map; None if none is."""
    items = [item for item in xmp.groups("item") if "Mime" in item]
    uri = xmp.first("depthmap", "DepthURI") or xmp.first("depthmap", "ItemURI")
    for number, item in enumerate(items):
        said = [item.get("Semantic", ""), item.get("DataURI", "")]
        if said[1] and said[1] == uri or any(word.lower() in SAYS_DEPTH for word in said):
            return items, number
    return None


def _appended(data, items, number):
    """Bytes of an item; they end the file, one after the other, whatever comes before."""
    try:
        lengths = [int(item.get("Length") or 0) for item in items]
        paddings = [int(item.get("Padding") or 0) for item in items]
    except ValueError:
        raise UnreadableFile("its container directory is damaged") from None
    start = len(data) - sum(lengths[number:]) - sum(paddings[number:])
    if lengths[number] <= 0 or start <= 0 or min(lengths + paddings) < 0:
        raise UnreadableFile("its container directory asks for more than the file holds")
    return data[start : start + lengths[number]]


# -- pictures within the file ---------------------------------------------------------------------


def _decoded(path, picture):
    """Grey numbers (h, w) of a JPEG or PNG in memory."""
    return read_grey(path, picture, MOST_PIXELS)


def _check_size(size):
    width, height = size
    if width * height > MOST_PIXELS:
        raise UnreadableFile(f"it claims to be {width}x{height} px")


def _inverse(depth):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(depth > 0, 1 / depth, np.nan)
