"""What a photo is of: the subject, found by depth, colour and place, without a network."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from utils.camera.focus import PATCH_SHARE

# Cells along the long side that are compared. (At 12 or 48 other subjects: benchmarks.constants.)
GRID = 24
LEVELS = np.arange(0.1, 1, 0.1)  # of what stands out most, at which regions are cut
# Measured by the overlap of what is found with what people call salient in 400 photos: a colour
# that is so far away (Lab) counts as alike, all of the depth counts like so much colour, and cells
# so far apart (of the long side), or from the middle of the photo, still matter to each other.
COLOR_REACH, DEPTH_WEIGHT, PLACE_REACH = 12, 50, 1 / 3
FAR_COUNTS = 0.25  # what is farthest, of what it would count if it were nearest


class Subject(NamedTuple):
    """The thing that a photo shows."""

    mask: np.ndarray  # (h, w) bool
    focus: tuple[float, float]  # (u, v) px of the point farthest inside
    disparity: float  # its median
    heart: tuple[float, float]  # (u, v) px of what matters most, if not all of it can be shown


def find_subject(
    colors: np.ndarray, disparity: np.ndarray, at: tuple[float, float] | None = None
) -> Subject | None:
    """Find the region that stands out by colour and depth, near the middle rather than the border.

    Of the connected regions where more than a level stands out, the one that agrees best with all
    that does: by the correlation of the two. No random numbers, no threads.

    Args:
        colors: (h, w, 3) uint8 RGB, small: some 160 px on the long side.
        disparity: (h, w) float32, larger = nearer.
        at: (u, v) px that the subject contains; anywhere by default.
    Returns:
        Subject. None if nothing stands out by more than a difference in colour that can just be
        seen, unless there is a point: then a patch around it.
    """
    height, width = disparity.shape
    low, high = disparity.min(), disparity.max()
    near = (disparity - low) / max(high - low, 1e-9)
    lab: np.ndarray = cv2.cvtColor(colors.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    salient = saliency(lab, near, at or (width / 2, height / 2))
    salient *= FAR_COUNTS + (1 - FAR_COUNTS) * near
    regions = list(_regions(salient)) if salient.max() > 1 else []
    if at:
        regions = _around(regions, at, near.shape)
    if not regions:
        return None
    mask = max(regions, key=lambda region: _agreement(region, salient))  # the first of equals
    inside = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    v, u = np.unravel_index(inside.argmax(), inside.shape)
    focus, depth = (float(u) + 0.5, float(v) + 0.5), float(np.median(disparity[mask]))
    return Subject(mask, focus, depth, _heart(mask, salient))


def saliency(lab: np.ndarray, near: np.ndarray, middle: tuple[float, float]) -> np.ndarray:
    """Rate how much each place differs from what lies along the photo's border.

    Cells whose like reaches far along the border are background (a sky does, a dog does not); a
    cell is salient by its difference to the others around it. After Zhu et al., Saliency
    Optimization from Robust Background Detection, 2014.

    Args:
        lab: (h, w, 3) float32 colours, CIE L*a*b*.
        near: (h, w) float32 in [0, 1], 1 = nearest.
        middle: (u, v) px, around which things matter most.
    Returns:
        (h, w) float32, in units of `lab`.
    """
    scale = GRID / max(near.shape)
    rows, columns = (max(3, round(side * scale)) for side in near.shape)

    looks = np.dstack([lab, DEPTH_WEIGHT * near]).astype(np.float32)
    cells = cv2.resize(looks, (columns, rows), interpolation=cv2.INTER_AREA)
    v, u = np.mgrid[:rows, :columns].reshape(2, -1)
    place = (np.stack([u, v], axis=1) + 0.5) / GRID
    border = (u == 0) | (u == columns - 1) | (v == 0) | (v == rows - 1)
    differ = _squared_distances(cells.reshape(rows * columns, -1))
    around = np.exp(-_squared_distances(place) / (2 * PLACE_REACH**2))
    alike = np.exp(-differ / (2 * COLOR_REACH**2)) * around
    # Zhu's share of the border in a region, and how sure that makes it of being background.
    background = 1 - np.exp(-0.5 * alike[:, border].sum(1) ** 2 / alike.sum(1))
    salient = (np.sqrt(differ) * around * background).sum(1) / around.sum(1) * (1 - background)
    aside = place - np.array(middle) / max(near.shape)
    salient *= np.exp(-(aside**2).sum(1) / (2 * PLACE_REACH**2))
    return _spread(salient.reshape(rows, columns).astype(np.float32), cells, looks)


def _spread(values, cells, looks):
    """Give every pixel the value of the cell here or beside it that it is most like."""
    height, width = looks.shape[:2]
    rows, columns = values.shape
    v = np.arange(height)[:, None] * rows // height
    u = np.arange(width) * columns // width
    least, found = np.full((height, width), np.inf), np.empty((height, width), np.float32)
    for down, across in np.ndindex(3, 3):
        at = (v + down - 1).clip(0, rows - 1), (u + across - 1).clip(0, columns - 1)
        differ = ((looks - cells[at]) ** 2).sum(axis=2)
        found = np.where(differ < least, values[at], found)
        least = np.minimum(differ, least)
    return found


def _squared_distances(vectors):
    """(K, K) of (K, C)."""
    squares = (vectors**2).sum(1)
    return np.maximum(squares[:, None] + squares - 2 * vectors @ vectors.T, 0)


def _regions(salient):
    """Yield the connected regions above each level, as masks."""
    for level in LEVELS * salient.max():
        count, labels = cv2.connectedComponents((salient > level).astype(np.uint8), connectivity=4)
        for index in range(1, count):
            yield labels == index


def _agreement(mask, salient):
    """Correlation of a region with what stands out, but for a factor that all regions share."""
    area, share = mask.mean(), salient[mask].sum() / max(salient.sum(), 1e-9)
    return (share - area) / np.sqrt(max(area * (1 - area), 1e-9))


def _around(regions, at, size):
    """Return the regions that contain a point; if there is none, a patch around it."""
    column, row = (min(max(int(x), 0), side - 1) for x, side in zip(at, size[::-1], strict=True))
    found = [mask for mask in regions if mask[row, column]]
    if not found:
        patch = np.zeros(size, np.uint8)
        radius = max(1, round(PATCH_SHARE * min(size) / 2))
        cv2.circle(patch, (column, row), radius, 1, cv2.FILLED)
        found = [patch > 0]
    return found


def _heart(mask, salient):
    """Middle of the most salient of the upper half of a subject: faces are there."""
    rows, columns = np.nonzero(mask)
    upper = rows <= np.median(rows)
    weights = salient[rows, columns][upper] + 1e-6
    return tuple(
        float(np.average(places[upper], weights=weights)) + 0.5 for places in (columns, rows)
    )
