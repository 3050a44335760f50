"""Disparity between the two pictures of a stereo photo, by matching.

Rows are brought together first, since cameras are never quite level; then semi-global matching
(Hirschmueller 2008, OpenCV's) runs both ways, and what only one way says is unknown. All of it
happens as the eyes stood, side by side: a photo that is held upright is turned for it, and back.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from utils.depth.eye_order import vote_of_strips
from utils.depth.eye_rows import (
    MATCH_SIDE,
    OFF_PX,
    are_one_above_the_other,
    fit_rows,
    match_points,
    on_rows,
    reduced,
)
from utils.depth.map_kind import MISTAKEN
from utils.film.photos import as_stored, upright

# Long side at which pictures are matched, px, and the widest search there.
WIDEST_SEARCH = 256
MARGIN_PX = 16  # by which the search goes beyond what points show: a step of OpenCV's search
# Window of the matching, px; P1 and P2 as OpenCV's documentation has them, for 3 channels.
BLOCK_PX = 5
# Of the picture, or two things are shown. (Measured on 8 Middlebury pairs: 0.83.)
LEAST_MATCHED = 0.25
LEVEL, ON_ITS_SIDE = 1, 5  # orientations; from the second on they turn rows into columns (EXIF)


class SecondEye(NamedTuple):
    """What the second eye saw, on the rows of the first."""

    pixels: np.ndarray  # (H, W, 3) uint8, in the first eye's colours
    disparity: np.ndarray  # (h, w) float32 as of the first eye, NaN where that sees something else
    shown: np.ndarray  # (h, w) bool, whether there is a picture
    towards: tuple[int, int]  # right and down: px by which the first has a point, per disparity

    def hidden(self) -> tuple[np.ndarray, np.ndarray]:
        """Return disparity (h, w) without gaps, and (h, w) bool: unseen by the first eye."""
        across = self.towards[0] != 0
        disparity = self.disparity if across else self.disparity.T
        behind = _from_behind(disparity)
        hidden = np.isnan(disparity) & ~_is_rim(behind)
        return (behind, hidden & self.shown) if across else (behind.T, hidden.T & self.shown)


class Matched(NamedTuple):
    """Two eyes' pictures, matched."""

    disparity: np.ndarray  # (h, w) float32 of the first eye, larger = nearer, NaN where unknown
    second: SecondEye
    vote: float = 0.0  # whether the first eye stands where it is said to, see `vote_of_strips`

    def swapped(self) -> Matched:
        """Return what it is with the first eye on the other side of the second."""
        right, down = self.second.towards
        second = self.second._replace(disparity=-self.second.disparity, towards=(-right, -down))
        return Matched(-self.disparity, second, -self.vote)

    def turned(self, orientation: int) -> Matched:
        """Return it upright, as EXIF's orientation turns what is stored."""
        parts = (self.disparity, *self.second[:2], self.second.shown.astype(np.uint8))
        disparity, pixels, seen, shown = (
            np.ascontiguousarray(upright(part, orientation)) for part in parts
        )
        towards = upright_step(self.second.towards, orientation)
        return Matched(disparity, SecondEye(pixels, seen, shown > 0, towards), self.vote)


def match_upright(
    first: np.ndarray,
    second: np.ndarray,
    first_is_left: bool = True,
    orientation: int = LEVEL,
    shown: np.ndarray | None = None,
) -> Matched:
    """Match two pictures however the camera was held.

    Args:
        first, second: (H, W, 3) uint8, upright; the second is resized to the first.
        first_is_left: whether the first is what the left eye saw, as they are stored.
        orientation: by which both were turned upright (EXIF, 1 to 8). A file that has lost it is
            matched as its eyes stand.
        shown: as of `match_eyes`, upright.
    Returns:
        Matched, upright.
    Raises:
        ValueError: as of `match_eyes`.
    """
    second = cv2.resize(second, first.shape[1::-1], interpolation=cv2.INTER_AREA)
    if are_one_above_the_other(first, second) != (orientation >= ON_ITS_SIDE):
        orientation = LEVEL if orientation >= ON_ITS_SIDE else ON_ITS_SIDE
    if shown is not None:
        shown = as_stored(shown.astype(np.uint8), orientation) > 0
    first, second = (as_stored(one, orientation) for one in (first, second))
    return match_eyes(first, second, first_is_left, shown).turned(orientation)


def match_eyes(
    first: np.ndarray,
    second: np.ndarray,
    first_is_left: bool = True,
    shown: np.ndarray | None = None,
) -> Matched:
    """Match two pictures that were taken side by side.

    Args:
        first, second: (H, W, 3) uint8, of one shape.
        first_is_left: whether the first is what the left eye saw.
        shown: (H, W) bool, where there is a second picture; None = everywhere.
    Returns:
        Matched, at a long side of at most MATCH_SIDE; unit: px there. Its zero need not be at
        infinity, as cameras may look inwards.
    Raises:
        ValueError: they show different things, or hardly differ.
    """
    shown = np.ones(first.shape[:2], bool) if shown is None else shown
    small = [reduced(one, MATCH_SIDE) for one in (first, second)]
    points = match_points(*small)
    if not len(points):
        raise ValueError("the two eyes' pictures show too little to match")
    rows, level = fit_rows(points)
    if rows is None:
        raise ValueError("the two eyes' pictures do not show the same thing side by side")
    small[1] = on_rows(small[1], rows, 1.0)
    ways = _both_ways(*small, *_reach(points[level]))
    small_shown = on_rows(reduced(shown * np.uint8(255), MATCH_SIDE), rows, 1.0) > 127
    ways[1][~small_shown] = np.nan
    checked = [_checked(ways[0], ways[1], -1), _checked(ways[1], ways[0], 1)]
    share = float(np.isfinite(checked[0]).mean())
    if share < LEAST_MATCHED:
        raise ValueError(f"the two eyes' pictures agree on {share:.0%} of them")
    low, high = np.nanpercentile(checked[0], (MISTAKEN, 100 - MISTAKEN))
    if high - low < 1:  # px
        raise ValueError("the two eyes' pictures hardly differ")
    vote = vote_of_strips(*checked, *small)
    pixels = on_rows(second, rows, first.shape[0] / small[0].shape[0])
    pixels = _in_colours(pixels, small, checked[1])
    matched = Matched(checked[0], SecondEye(pixels, checked[1], small_shown, (1, 0)), vote)
    return matched if first_is_left else matched.swapped()


def upright_step(step: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Turn a step (right, down) as EXIF's orientation turns a picture."""
    where = np.zeros((3, 3), np.uint8)
    where[1 + step[1], 1 + step[0]] = 1
    (down,), (right,) = np.nonzero(upright(where, orientation))
    return int(right) - 1, int(down) - 1


# -- matching -------------------------------------------------------------------------------------


def _reach(points):
    """Least disparity to search, and how many, by matched points (N, 4)."""
    low, high = np.percentile(points[:, 0] - points[:, 2], (MISTAKEN, 100 - MISTAKEN))
    low = int(np.floor(low - MARGIN_PX))
    return low, min(WIDEST_SEARCH, int(np.ceil((high + MARGIN_PX - low) / 16)) * 16)


def _both_ways(first, second, least, count):
    """Disparity (h, w) of the first and of the second: x of the first = x of the second + it."""
    matcher = cv2.StereoSGBM.create(
        minDisparity=least,
        numDisparities=count,
        blockSize=BLOCK_PX,
        P1=8 * 3 * BLOCK_PX**2,
        P2=32 * 3 * BLOCK_PX**2,
        uniquenessRatio=5,
        speckleWindowSize=100,
        speckleRange=2,
    )
    width = first.shape[1]

    def compute(one, other):
        # Matching looks to the left only, and leaves out as many columns: they are added.
        pad = [(0, 0), (max(0, least + count), max(0, -least)), (0, 0)]
        padded = [np.pad(part, pad, mode="edge") for part in (one, other)]
        found = matcher.compute(*padded).astype(np.float32) / 16
        found = found[:, pad[1][0] : pad[1][0] + width]
        return np.where(found < least, np.nan, found)

    turned = compute(np.ascontiguousarray(second[:, ::-1]), np.ascontiguousarray(first[:, ::-1]))
    return compute(first, second), np.ascontiguousarray(turned[:, ::-1])


def _checked(disparity, other, direction):
    """Disparity (h, w), NaN where the other picture's says something else."""
    height, width = disparity.shape
    columns = np.arange(width, dtype=np.float32)[None] + direction * np.nan_to_num(disparity)
    rows = np.repeat(np.arange(height)[:, None], width, axis=1)
    at = np.rint(columns).astype(int)
    inside = (at >= 0) & (at < width)
    seen = other[rows, at.clip(0, width - 1)]
    with np.errstate(invalid="ignore"):
        agree = inside & (np.abs(seen - disparity) <= OFF_PX)
    return np.where(agree, disparity, np.nan).astype(np.float32)


# -- the second eye -------------------------------------------------------------------------------


def _from_behind(disparity):
    """Fill (h, w) along its rows from the farther side: what is hidden from one eye is behind."""
    known = np.isfinite(disparity)
    filled = [np.full_like(disparity, np.inf), np.full_like(disparity, np.inf)]
    for number, step in enumerate((1, -1)):
        part = disparity[:, ::step]
        columns = np.where(known[:, ::step], np.arange(part.shape[1])[None], -1)
        last = np.maximum.accumulate(columns, axis=1)
        taken = np.take_along_axis(part, last.clip(0), axis=1)
        filled[number] = np.where(last >= 0, taken, np.inf)[:, ::step]
    behind = np.minimum(*filled)
    rest = np.nanmin(disparity)
    return np.where(known, disparity, np.where(np.isfinite(behind), behind, rest)).astype(
        np.float32
    )


def _is_rim(disparity):
    """Where a front is within the window of the matching: its colours are mixed in."""
    return cv2.dilate(disparity, np.ones((BLOCK_PX, BLOCK_PX), np.uint8)) > disparity + 2


def _in_colours(pixels, small, disparity):
    """The second picture in the colours of the first: per channel a gain and an offset."""
    known = np.isfinite(disparity)
    rows, columns = np.nonzero(known)
    at = np.rint(columns + disparity[known]).astype(int).clip(0, disparity.shape[1] - 1)
    matched = pixels.astype(np.float32)
    for channel in range(3):
        mine = small[1][rows, columns, channel].astype(np.float32)
        theirs = small[0][rows, at, channel].astype(np.float32)
        gain = theirs.std() / max(mine.std(), 1e-3)
        matched[..., channel] = (matched[..., channel] - mine.mean()) * gain + theirs.mean()
    return matched.clip(0, 255).round().astype(np.uint8)
