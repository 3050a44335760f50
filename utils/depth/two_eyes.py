"""Disparity between the two pictures of a stereo photo, by matching.

Rows are brought together first, since cameras are never quite level; then semi-global matching
(Hirschmueller 2008, OpenCV's) runs both ways, and what only one way says is unknown.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

# Long side at which pictures are matched, px, and the widest search there.
MATCH_SIDE, WIDEST = 1024, 256
# Matched points that are needed, and how far off its row one may be, px.
LEAST_POINTS, ROW_PX = 24, 1.5
LOWE = 0.75  # a match's distance over that of the second best (Lowe 2004)
STEPS = 200  # random samples of three points
MARGIN_PX, MARGIN = 8, 0.15  # by which the search goes beyond what points show, px and share
# Window of the matching, px; P1 and P2 as OpenCV's documentation has them, for 3 channels.
BLOCK = 5
BOTH_WAYS_PX = 1.5  # both ways may differ by this much
LEAST_MATCHED, LEAST_RANGE_PX = 0.25, 1.0
RIM_PX = 2  # around a front, colours are mixed


class SecondEye(NamedTuple):
    """What the second eye saw, on the rows of the first."""

    pixels: np.ndarray  # (H, W, 3) uint8, in the first eye's colours
    disparity: np.ndarray  # (h, w) float32, as of the first eye
    hidden: np.ndarray  # (h, w) bool, the first eye does not see it
    step: float  # columns to the right in the first picture, as shares of the width, per disparity


class Matched(NamedTuple):
    """Two eyes' pictures, matched."""

    disparity: np.ndarray  # (h, w) float32 of the first eye, larger = nearer, NaN where unknown
    second: SecondEye


def match_eyes(first: np.ndarray, second: np.ndarray, first_is_left: bool = True) -> Matched:
    """Match two pictures that were taken side by side.

    Args:
        first, second: (H, W, 3) uint8, of one shape; the second is resized to the first.
        first_is_left: whether the first is what the left eye saw.
    Returns:
        Matched, at a long side of at most MATCH_SIDE; unit: px there. Its zero need not be at
        infinity, as cameras may look inwards.
    Raises:
        ValueError: they show different things, or hardly differ.
    """
    scale = min(1.0, MATCH_SIDE / max(first.shape[:2]))
    height, width = (max(16, round(side * scale)) for side in first.shape[:2])
    small = [
        cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA) for one in (first, second)
    ]
    points = _points(*small)
    rows = _row_model(points)
    small[1] = _on_rows(small[1], rows, 1.0)
    reach = _reach(points, rows)
    ways = _both_ways(*small, *reach)
    checked = [_checked(ways[0], ways[1], -1), _checked(ways[1], ways[0], 1)]
    share = float(np.isfinite(checked[0]).mean())
    if share < LEAST_MATCHED:
        raise ValueError(f"the two eyes' pictures agree on {share:.0%} of them")
    low, high = np.nanpercentile(checked[0], (2, 98))
    if high - low < LEAST_RANGE_PX:
        raise ValueError("the two eyes' pictures hardly differ")
    sign = 1 if first_is_left else -1
    known = np.isfinite(checked[1])
    behind = _from_behind(sign * checked[1])
    full = cv2.resize(second, first.shape[1::-1], interpolation=cv2.INTER_AREA)
    pixels = _in_colours(_on_rows(full, rows, 1 / scale), small, checked[1])
    return Matched(
        sign * checked[0],
        SecondEye(pixels, behind, ~known & ~_is_rim(behind), sign / width),
    )


# -- rows -----------------------------------------------------------------------------------------


def _points(first, second):
    """(N, 4) float: x and y of a point in the first picture and in the second."""
    sift = cv2.SIFT.create(4000)
    found = [
        sift.detectAndCompute(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), None)
        for one in (first, second)
    ]
    if min(len(keys) for keys, _ in found) < LEAST_POINTS:
        raise ValueError("the two eyes' pictures show too little to match")
    pairs = cv2.BFMatcher().knnMatch(found[0][1], found[1][1], k=2)
    kept = [best for best, *rest in pairs if rest and best.distance < LOWE * rest[0].distance]
    matched = [(*found[0][0][m.queryIdx].pt, *found[1][0][m.trainIdx].pt) for m in kept]
    points = np.array(matched, np.float64).reshape(-1, 4)
    # No two eyes are as far apart as that.
    near = np.abs(points[:, :2] - points[:, 2:]) < (0.3 * first.shape[1], 0.1 * first.shape[0])
    return points[near.all(axis=1)]


def _row_model(points):
    """(3,): the second picture has row y at y + a + b x + c y; by random samples."""
    terms = np.column_stack([np.ones(len(points)), points[:, 2], points[:, 1]])
    off = points[:, 3] - points[:, 1]
    best = np.zeros(len(points), bool)
    rng = np.random.default_rng(0)
    for _ in range(STEPS if len(points) >= LEAST_POINTS else 0):
        chosen = rng.choice(len(points), 3, replace=False)
        model = np.linalg.lstsq(terms[chosen], off[chosen], rcond=None)[0]
        inside = np.abs(terms @ model - off) < ROW_PX
        if inside.sum() > best.sum():
            best = inside
    if best.sum() < max(LEAST_POINTS, 0.3 * len(points)):
        raise ValueError("the two eyes' pictures do not show the same thing side by side")
    return np.linalg.lstsq(terms[best], off[best], rcond=None)[0]


def _on_rows(pixels, rows, scale):
    """The second picture, enlarged by `scale` since rows were measured, on the first one's rows."""
    shift, by_x, by_y = rows
    matrix = np.array([[1, 0, 0], [by_x, 1 + by_y, shift * scale]])
    return cv2.warpAffine(
        pixels,
        matrix,
        pixels.shape[1::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _reach(points, rows):
    """Least disparity to search, and how many."""
    terms = np.column_stack([np.ones(len(points)), points[:, 2], points[:, 1]])
    good = np.abs(terms @ rows - (points[:, 3] - points[:, 1])) < ROW_PX
    low, high = np.percentile((points[:, 0] - points[:, 2])[good], (1, 99))
    margin = MARGIN_PX + MARGIN * (high - low)
    low = int(np.floor(low - margin))
    return low, min(WIDEST, int(np.ceil((high + margin - low) / 16)) * 16)


# -- matching -------------------------------------------------------------------------------------


def _both_ways(first, second, least, count):
    """Disparity (h, w) of the first and of the second: x of the first = x of the second + it."""
    matcher = cv2.StereoSGBM.create(
        minDisparity=least,
        numDisparities=count,
        blockSize=BLOCK,
        P1=8 * 3 * BLOCK**2,
        P2=32 * 3 * BLOCK**2,
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
        agree = inside & (np.abs(seen - disparity) <= BOTH_WAYS_PX)
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
    """Where a front is so near that its colours are mixed in."""
    window = np.ones((2 * RIM_PX + 1,) * 2, np.uint8)
    return cv2.dilate(disparity, window) > disparity + 2


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
