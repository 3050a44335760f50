"""What the numbers of a depth map mean: disparity (larger is nearer) or depth (larger is farther).

Files rarely say. The name, the numbers and the picture itself are evidence; `guess_kind` weighs it
and says why, `to_disparity` makes any kind relative disparity.
"""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np

from utils.depth.map_files import inner_name

# Estimators that are named for depth but write disparity count as saying so.
SAYS_DISPARITY = re.compile(
    r"disp(arit(y|ies)|s|map)?($|[^a-z])|inv(erse)?[ _-]?(depth|z)|idepth|midas|depth[ _-]?any"
)
SAYS_DEPTH = re.compile(r"depth|dist(ances?)?($|[^a-z])|range|zbuf|(^|[^a-z])z($|[^a-z])")
NO_READING = 65535  # of 16 bits; many cameras store it where they measured nothing
MISTAKEN = 0.5  # per cent of a map's values, at either end, may be: they are no range
# What is given to relative depth for the unit that it lacks: its farthest point is this many times
# as far as its nearest one.
FAR_OVER_NEAR = 10
# Relative depth is 0 where it is nearest, and rises from there without a step: pixels beside its
# zeros are nearer than this share of its median. Or it is scaled to a range but begins above 0: its
# near end is nearer than this share of the far one, which in metres would be 5 cm before 1 m; less
# of 16 bits that are not used to their end.
NEAR_END, NEAR_END_OF_16_BITS = 0.05, 0.01
# How far (share of the range) the bottom third must differ from the top third to be believed.
# On 2030 maps (NYU depth, and photographs' disparity) this decides 94 %, and 99 % of them rightly.
CLEAR_TILT = 0.1


def guess_kind(path: str | Path, values: np.ndarray, key: str | None = None) -> tuple[str, str]:
    """Guess whether larger values are nearer (disparity) or farther (depth).

    In this order: a name (of the array, the file) that says disparity; one that says depth, unless
    the numbers are a grey picture's, which is customarily brighter where nearer whatever it is
    called; the picture itself, since the bottom of a photograph is mostly nearer than its top; the
    custom of the file format.

    Args:
        path: file that the values came from; its name and kind are evidence.
        values: (H, W) from read_depth.
        key: as given to read_depth.
    Returns:
        ("disparity" or "depth", reason): the reason is a phrase to show to the user.
    """
    path, said = Path(path), known_depth(values)
    names = [inner_name(path, key), path.stem]
    tilt, leaning = _lean(values)
    for name in names:
        if SAYS_DISPARITY.search(name.lower()):
            return "disparity", _with_doubt(f"the name '{name}' says so", "disparity", leaning)
        if SAYS_DEPTH.search(name.lower()) and not _is_grey_picture(said):
            return "depth", _with_doubt(f"the name '{name}' says so", "depth", _lean(said)[1])
    if leaning:
        side = "larger" if tilt > 0 else "smaller"
        return leaning, f"values are {side} at the bottom of the picture, which is mostly nearer"
    return _custom(path, values)


def known_depth(values: np.ndarray) -> np.ndarray:
    """Depth without the numbers that say that nothing was measured: NaN there.

    That is 65535 among whole numbers (millimetres), unless others come near it, as in a picture
    that is stretched over all 16 bits.

    Args:
        values: (H, W) of depth, as stored.
    Returns:
        (H, W), `values` itself where nothing changes, else float32.
    """
    nothing = values == NO_READING
    if not nothing.any():
        return values
    others = values[np.isfinite(values) & ~nothing]
    most = others.max(initial=0)
    if most > 0.9 * NO_READING or (others != np.floor(others)).any():
        return values
    return np.where(nothing, np.nan, values).astype(np.float32)


def _lean(values):
    """Tilt, and the kind that it speaks for, or ""."""
    tilt = vertical_tilt(values)
    return tilt, "" if abs(tilt) < CLEAR_TILT else "disparity" if tilt > 0 else "depth"


def vertical_tilt(values: np.ndarray) -> float:
    """Median of the bottom third minus that of the top third, as a share of the value range.

    Args:
        values: (H, W); NaN, inf and 0 (customarily unknown) are left out.
    Returns:
        float in about -1..1; positive: larger at the bottom. 0 if that cannot be told.
    """
    step = max(1, min(values.shape) // 256)  # a sample is enough
    values = values[::step, ::step]
    known = np.where(np.isfinite(values) & (values != 0), values, np.nan)
    third = max(1, len(values) // 3)
    top, bottom = known[:third], known[-third:]
    if np.isnan(top).all() or np.isnan(bottom).all():
        return 0.0
    low, high = np.nanpercentile(known, (MISTAKEN, 100 - MISTAKEN))
    return float((np.nanmedian(bottom) - np.nanmedian(top)) / (high - low)) if high > low else 0.0


def is_relative_depth(values: np.ndarray) -> bool:
    """Whether depth has its zero at its nearest point instead of at the camera.

    Diffusion networks write it so: from 0 to 1, or to the largest whole number. Zeros that mean
    unknown lie beside any depth; zeros that are the nearest depth lie beside hardly more.

    Args:
        values: (H, W) of depth, as stored.
    """
    known = np.isfinite(values)
    positive = values[known & (values > 0)]
    if not positive.size:
        return False
    middle = float(np.median(positive))
    zero = known & (values <= 0)
    beside = cv2.dilate(zero.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    beside &= known & ~zero
    return bool(beside.any()) and float(np.median(values[beside])) <= NEAR_END * middle


def why_relative(path: str | Path, values: np.ndarray) -> str:
    """Say why depth cannot be distances from the camera, or "" if it can.

    Besides what `is_relative_depth` knows: numbers within 0..1, or most of the range of 16 bits,
    whose near end is so small a part of the far one that, as distances, all but a few points would
    be flat. Not OpenEXR, to which renderers write distances in units of their own.

    Args:
        path: file that the values came from.
        values: (H, W) from read_depth.
    """
    if is_relative_depth(values):
        return "its nearest point is 0"
    positive = values[np.isfinite(values) & (values > 0)]
    if not positive.size or Path(path).suffix.lower() == ".exr":
        return ""
    near, far = np.percentile(positive, (MISTAKEN, 100 - MISTAKEN))
    top = positive.max()
    if (positive == np.floor(positive)).all():
        full = top == NO_READING
        if full and (known_depth(values) is not values or far == top):
            return ""  # millimetres: some were not measured, or what did not fit was cut off
        share, scaled = (NEAR_END if full else NEAR_END_OF_16_BITS), NO_READING / 2 < top
    else:
        share, scaled = NEAR_END, 0.5 < top <= 1
    if not scaled or near > share * far:
        return ""
    return f"its range, {near:.3g} to {far:.3g}, looks scaled"


def to_disparity(values: np.ndarray, kind: str) -> np.ndarray:
    """Turn a map as stored into relative disparity: larger is nearer, scale unknown.

    Args:
        values: (H, W) float32 from read_depth.
        kind: "disparity" (returned as it is), "depth" (inverted), or "relative depth" (0 is the
            nearest point; inverted after FAR_OVER_NEAR has given it a unit).
    Returns:
        (H, W) float32. NaN where unknown: not finite; in depth also <= 0, or 65535 among
        millimetres (see `known_depth`). Infinite depth becomes 0.
    Raises:
        ValueError: nothing is known, as in a depth map of zeros, or there is no such kind.
    """
    if kind not in ("disparity", "depth", "relative depth"):
        raise ValueError(f"the kind of a depth map is 'disparity' or 'depth', not {kind!r}.")
    disparity = np.asarray(known_depth(values) if kind == "depth" else values, np.float64)
    if kind == "relative depth":
        known = disparity[np.isfinite(disparity)]
        near, far = known.min(), known.max()
        disparity = disparity - near + (far - near) / (FAR_OVER_NEAR - 1)
    if kind != "disparity":
        with np.errstate(divide="ignore", over="ignore"):
            disparity = np.where(disparity > 0, 1 / disparity, np.nan)
    with np.errstate(over="ignore"):
        disparity = disparity.astype(np.float32)
    disparity[~np.isfinite(disparity)] = np.nan
    if np.isnan(disparity).all():
        raise ValueError(f"the {kind} map holds no valid value; depth must be above 0.")
    return disparity


def _is_grey_picture(values):
    """Whether the numbers are a picture's: whole, of 8 bits or stretched over all 16."""
    known = values[np.isfinite(values)]
    whole = known.size > 0 and bool((known == np.floor(known)).all())
    return whole and known.min() >= 0 and (known.max() <= 255 or known.max() == 65535)


def _with_doubt(reason, kind, leaning):
    if leaning in ("", kind):
        return reason
    return f"{reason}, though it looks like {leaning} (if it is: --depth-kind {leaning})"


def _custom(path, values):
    """The last resort: what files of this sort mostly hold."""
    if path.suffix.lower() == ".exr":
        return "depth", "OpenEXR files mostly hold depth"
    known = values[np.isfinite(values)]
    if known.max() > 255 and (known == np.floor(known)).all() and not _is_grey_picture(values):
        return "depth", "whole numbers above 255 are mostly millimetres"
    return "disparity", "nothing tells, and most estimators write disparity"
