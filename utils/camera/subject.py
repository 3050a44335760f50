"""What a photo is of: the subject, found by depth, colour and place, without a network."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

# Shares of the picture that a subject covers, and the one it is expected to.
LEAST_AREA, MOST_AREA, USUAL_AREA = 0.008, 0.6, 0.14
LEVELS = np.linspace(0.15, 0.85, 10)  # at which fields are cut into regions
GRID = 32  # cells along the long side that colours are compared on
# Distances at which colours (Lab) and places (shares of the long side) count as alike.
COLOR_REACH, PLACE_REACH = 12, 0.4
DEPTH_WEIGHT = 60  # the whole range of depth counts like this difference in colour
DISC = 0.06  # radius of what is taken for a subject where a point was given and nothing is found
ALSO_GOOD, MUCH_MORE = 0.5, 1.4  # score and area of regions that may complete the best one
RING = 0.05  # width of the surroundings that a region is compared with, of the long side
GROUND_SHARE = 0.35  # of each row is taken for ground or background


class Subject(NamedTuple):
    """The thing that a photo shows."""

    mask: np.ndarray  # (h, w) bool
    focus: tuple[float, float]  # (u, v) px of the point farthest inside
    disparity: float  # its median
    heart: tuple[float, float]  # (u, v) px of what matters most, if not all of it can be shown
    score: float  # how clearly it stands out: 0 nothing does, 1 very clearly, not bounded


def find_subject(
    colors: np.ndarray, disparity: np.ndarray, at: tuple[float, float] | None = None
) -> Subject | None:
    """Find the region that stands out by depth and colour, near the middle rather than the border.

    Regions are the connected parts of what is nearer than a level, stands out of its row by more
    than a level (the ground rises towards the camera row by row, things stand on it), or is more
    salient than one. No random numbers, no threads.

    Args:
        colors: (h, w, 3) uint8 RGB, small: some 160 px on the long side.
        disparity: (h, w) float32, larger = nearer.
        at: (u, v) px that the subject contains; anywhere by default.
    Returns:
        Subject, or None where there is no region of a sensible size.
    """
    low, high = np.percentile(disparity, (1, 99))
    near = np.clip((disparity - low) / max(high - low, 1e-9), 0, 1).astype(np.float32)
    lab: np.ndarray = cv2.cvtColor(colors.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    ground = np.minimum.accumulate(np.quantile(near, GROUND_SHARE, axis=1)[::-1])[::-1]
    salient = saliency(lab, near)
    both = salient * (0.3 + near)
    regions = _regions((near, near - ground[:, None], salient, both / max(both.max(), 1e-9)))
    if at:
        regions = _around(regions, at, near.shape)
    rated = [(_stands_out(mask, near, lab, salient), mask) for mask in regions]
    if not rated:
        return None
    best, mask = max(rated, key=lambda pair: pair[0])  # the first of equals
    mask = _whole(mask, [other for score, other in rated if score > ALSO_GOOD * best])
    inside = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    v, u = np.unravel_index(inside.argmax(), inside.shape)
    focus, depth = (float(u) + 0.5, float(v) + 0.5), float(np.median(disparity[mask]))
    return Subject(mask, focus, depth, _heart(mask, salient), best)


def _heart(mask, salient):
    """Middle of the most salient of the upper half of a subject: faces are there."""
    rows, columns = np.nonzero(mask)
    upper = rows <= np.median(rows)
    weights = salient[rows, columns][upper] ** 2 + 1e-6
    return tuple(
        float(np.average(places[upper], weights=weights)) + 0.5 for places in (columns, rows)
    )


def _around(regions, at, size):
    """Return the regions that contain a point; if there is none, a disc around it."""
    column, row = (min(max(int(x), 0), side - 1) for x, side in zip(at, size[::-1], strict=True))
    found = [mask for mask in regions if mask[row, column]]
    if not found:
        disc = np.zeros(size, np.uint8)
        cv2.circle(disc, (column, row), max(1, round(DISC * max(size))), 1, cv2.FILLED)
        found = [disc > 0]
    return found


def _whole(mask, others):
    """Add the regions that hold all of a subject and little more: its head, of another colour."""
    whole = mask.copy()
    for other in others:
        if (other & mask).sum() > 0.9 * mask.sum() and other.sum() < MUCH_MORE * mask.sum():
            whole |= other
    return whole


def saliency(lab: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Rate how much each place differs from what lies along the photo's border.

    Cells whose like reaches far along the border are background (a sky does, a dog does not); a
    cell is salient by its difference to the background around it. After Zhu et al., Saliency
    Optimization from Robust Background Detection, 2014.

    Args:
        lab: (h, w, 3) float32 colours, CIE L*a*b*.
        near: (h, w) float32 in [0, 1], 1 = nearest.
    Returns:
        (h, w) float32 in [0, 1].
    """
    scale = GRID / max(near.shape)
    rows, columns = (max(3, round(side * scale)) for side in near.shape)

    def cells(field):
        small = cv2.resize(field, (columns, rows), interpolation=cv2.INTER_AREA)
        return small.reshape(rows * columns, -1)

    v, u = np.mgrid[:rows, :columns].reshape(2, -1)
    place = (np.stack([u, v], axis=1) + 0.5) / GRID
    border = (u == 0) | (u == columns - 1) | (v == 0) | (v == rows - 1)
    depth = cells(near)
    differ = _squared_distances(np.hstack([cells(lab), DEPTH_WEIGHT * depth]))
    apart = _squared_distances(place)
    alike = np.exp(-differ / (2 * COLOR_REACH**2) - apart / (2 * PLACE_REACH**2))
    background = 1 - np.exp(-0.5 * alike[:, border].sum(1) ** 2 / alike.sum(1))
    around = np.exp(-apart / (2 * (PLACE_REACH / 1.6) ** 2))
    salient = (np.sqrt(differ) * around * background).sum(1) / around.sum(1) * (1 - background)
    center = np.exp(-0.5 * ((place - place.mean(0)) ** 2).sum(1) / 0.33**2)
    salient *= center * (0.4 + 0.6 * depth[:, 0])
    salient = np.clip(salient / max(np.quantile(salient, 0.99), 1e-6), 0, 1).astype(np.float32)
    return cv2.resize(salient.reshape(rows, columns), near.shape[::-1])


def _squared_distances(vectors):
    """(K, K) of (K, C)."""
    squares = (vectors**2).sum(1)
    return np.maximum(squares[:, None] + squares - 2 * vectors @ vectors.T, 0)


def _regions(fields):
    """Yield the connected regions of sensible size above each level of each field, as masks."""
    for field in fields:
        for level in LEVELS:
            over = cv2.morphologyEx(
                (field > level).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)
            )
            count, labels, stats, _ = cv2.connectedComponentsWithStats(over, connectivity=4)
            for index in range(1, count):
                if LEAST_AREA <= stats[index, cv2.CC_STAT_AREA] / field.size <= MOST_AREA:
                    yield labels == index


def _stands_out(mask, near, lab, salient):
    """Rate a region as subject."""
    height, width = mask.shape
    side = 2 * max(2, round(RING * max(mask.shape))) + 1
    ring = cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > mask
    if not ring.any():
        return 0.0
    inside = near[mask]
    depth = max(0.0, float(np.median(inside) - np.median(near[ring])))
    color = min(1.0, float(np.linalg.norm(lab[mask].mean(0) - lab[ring].mean(0))) / 40)
    pop = max(0.0, float(salient[mask].mean() - salient[ring].mean()))
    rows, columns = np.nonzero(mask)
    aside = (columns.mean() + 0.5) / width - 0.5, (rows.mean() + 0.5) / height - 0.5
    place = math.exp(-0.5 * ((aside[0] / 0.28) ** 2 + (aside[1] / 0.3) ** 2))
    # People are often cut by the lower border, which says less than the others.
    cut = mask[0].mean() + 0.5 * mask[-1].mean() + mask[:, 0].mean() + mask[:, -1].mean()
    size = math.exp(-0.5 * (math.log(mask.mean() / USUAL_AREA) / 1.2) ** 2)
    share = float(salient[mask].sum() / max(salient.sum(), 1e-9))
    nearness = 0.5 + 0.5 * float(np.median(inside))
    return (
        (0.05 + depth + 0.5 * color + pop)
        * (0.3 + share)
        * size
        * place
        * nearness
        * max(0.0, 1 - float(cut) / 2)
    )
