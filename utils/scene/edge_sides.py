"""Depth edges of a photo, and what either side of each looks like where it is seen clean.

Rims and hair are told by it (utils/scene/rims.py, utils/scene/hair.py).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from kernels.jit import jit
from utils.depth.steps import least_step
from utils.filters import nearest_pixels
from utils.scene.edges import on_slope

# How far from an edge (px) a pixel counts as clean when the colours of its sides are measured.
CLEAN_SHARE = 0.4  # of the reach, at least CLEAN_PX
CLEAN_PX = 1.5
SAMPLE_PX = 4  # clean pixels are looked for this much farther from the edge
# A back that is seen only through gaps is compared with what is seen of it beside: beyond so many
# standard deviations a colour is not its own.
ALIEN = np.float32(2)
QUANTUM = np.float32(1)  # of colour, 255 levels: the least that a back varies
UNKNOWN = np.float32(1e6)  # the variance of a side that is nowhere seen clean
MIN_WEIGHT = 0.5  # of clean pixels, below which a side has none worth the name
# What is known of the sides of one edge pixel, in the order of the numbers: front RGB, back RGB,
FRONT, BACK = slice(0, 3), slice(3, 6)
# variance of both along the way between them (negative: a side is missing), disparity of both,
VARIANCE_ALONG, FRONT_DISPARITY, BACK_DISPARITY = 6, 7, 8
# variance of their colours (summed over RGB, 255 levels); UNKNOWN where nowhere seen clean.
BACK_VARIANCE, FRONT_VARIANCE = 9, 10
SIDES = 11  # numbers per edge pixel


class Edges(NamedTuple):
    """Depth edges as pixels, and who is near which."""

    pixels: np.ndarray  # (E,) flat index, ascending
    near: np.ndarray  # (E,) disparity of the front
    far: np.ndarray  # (E,) and of the back
    distance: np.ndarray  # (H, W) px to the nearest edge pixel
    nearest: np.ndarray  # (H, W) int32 number of that edge pixel


def find_edges(disparity: np.ndarray, limit: np.float32) -> Edges | None:
    """Find the pixels at which a disparity map (H, W) steps by at least `limit`; None without."""
    window = np.ones((3, 3), np.uint8)
    near, far = cv2.dilate(disparity, window), cv2.erode(disparity, window)
    steep = near - far >= least_step(near, far, limit)
    candidates = np.flatnonzero(steep)
    steep.flat[candidates[on_slope(disparity, candidates, limit)]] = False
    if not steep.any():
        return None
    window = np.ones((5, 5), np.uint8)
    near, far = cv2.dilate(disparity, window)[steep], cv2.erode(disparity, window)[steep]
    distance, labels = cv2.distanceTransformWithLabels(
        (~steep).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    number = np.zeros(labels.max() + 1, np.int32)
    number[labels[steep]] = np.arange(len(near), dtype=np.int32)
    return Edges(np.flatnonzero(steep).astype(np.int32), near, far, distance, number[labels])


def measure_both_sides(
    disparity: np.ndarray, pixels: np.ndarray, edges: Edges, reach: int, limit: np.float32
) -> np.ndarray:
    """Measure how either side of each edge pixel looks.

    Args:
        disparity: (H, W).
        pixels: (H, W, 3) RGB, 0 to 255.
        edges: of that map.
        reach: px from an edge within which a lens may have mixed the sides.
        limit: step between two surfaces.
    Returns:
        (E, SIDES): the numbers that FRONT to FRONT_VARIANCE name.
    """
    sides = np.zeros((len(edges.pixels), SIDES), np.float32)
    clean = np.float32(max(CLEAN_PX, CLEAN_SHARE * reach))
    radius = int(np.ceil(clean)) + SAMPLE_PX
    _measure_sides(disparity, pixels, *edges[:4], clean, radius, limit, sides)
    _borrow_backs(edges, sides, limit)
    return sides


def _borrow_backs(edges, sides, limit):
    """Where a back is nowhere seen clean, as between bars, ask the nearest edge where it is.

    Its colour is kept if it could be one of that back: leaves may show another bit of the wall.
    """
    seen = sides[:, BACK_VARIANCE] < UNKNOWN
    blind = (sides[:, VARIANCE_ALONG] >= 0) & ~seen
    if not blind.any() or not seen.any():
        return
    clear = np.zeros(edges.nearest.shape, bool)
    clear.flat[edges.pixels[seen]] = True
    blind = np.flatnonzero(blind)
    beside = np.searchsorted(edges.pixels, nearest_pixels(clear)[1].flat[edges.pixels[blind]])
    same = np.abs(edges.far[beside] - edges.far[blind]) < limit
    blind, beside = blind[same], beside[same]
    sides[blind, BACK_VARIANCE] = sides[beside, BACK_VARIANCE]
    off = ((sides[blind, BACK] - sides[beside, BACK]) ** 2).sum(axis=1)
    alien = off > ALIEN**2 * (3 * QUANTUM**2 + sides[beside, BACK_VARIANCE])
    sides[blind[alien], BACK] = sides[beside[alien], BACK]


@jit
def _measure_sides(disparity, pixels, edge, near, far, distance, clean, radius, limit, sides):
    """Fill `sides` of every edge pixel; see `measure_both_sides`.

    Clean pixels count; where a side has none, as a wire or a gap between reeds, those of its
    pixels that differ most from the other side.
    """
    height, width = disparity.shape
    mean = np.zeros((4, 4), np.float64)  # clean front, clean back, any front, any back; RGB, d
    weights = np.zeros(4, np.float64)
    for e in range(edge.shape[0]):
        y, x = edge[e] // width, edge[e] % width
        middle = (near[e] + far[e]) * np.float32(0.5)
        top, bottom = max(0, y - radius), min(height, y + radius + 1)
        left, right = max(0, x - radius), min(width, x + radius + 1)
        mean[:] = 0
        weights[:] = 0
        for row in range(top, bottom):
            for column in range(left, right):
                d = disparity[row, column]
                kind = 0 if d > middle else 1
                if abs(d - (near[e] if kind == 0 else far[e])) >= limit:
                    continue
                squared = (row - y) ** 2 + (column - x) ** 2
                weight = 1.0 / (1.0 + squared * squared * 0.01)
                if distance[row, column] < clean:
                    kind += 2
                weights[kind] += weight
                for c in range(3):
                    mean[kind, c] += weight * pixels[row, column, c]
                mean[kind, 3] += weight * d
        for kind in range(2):
            source = kind if weights[kind] > MIN_WEIGHT else kind + 2
            total = max(weights[source], 1e-9)
            for c in range(3):
                sides[e, 3 * kind + c] = mean[source, c] / total
            sides[e, FRONT_DISPARITY + kind] = (
                mean[source, 3] / total if weights[source] > 0 else near[e]
            )
        if weights[0] + weights[2] == 0 or weights[1] + weights[3] == 0:
            sides[e, VARIANCE_ALONG] = -1
            continue
        for kind in range(2):
            if weights[kind] <= MIN_WEIGHT:
                _purest(disparity, pixels, kind, top, bottom, left, right, middle,
                        near[e] if kind == 0 else far[e], limit, sides[e])  # fmt: skip
        _measure_variance(disparity, pixels, distance, clean, top, bottom, left, right,
                          middle, near[e], far[e], limit, sides[e])  # fmt: skip


@jit
def _purest(disparity, pixels, kind, top, bottom, left, right, middle, level, limit, side):
    """Mean colour of one side's pixels, weighted by how far they are from the other side's."""
    other = 3 * (1 - kind)
    total = np.zeros(4, np.float64)
    for row in range(top, bottom):
        for column in range(left, right):
            d = disparity[row, column]
            if (d > middle) != (kind == 0) or abs(d - level) >= limit:
                continue
            weight = 1e-3
            for c in range(3):
                weight += (pixels[row, column, c] - side[other + c]) ** 2
            weight *= weight
            total[3] += weight
            for c in range(3):
                total[c] += weight * pixels[row, column, c]
    for c in range(3):
        side[3 * kind + c] = total[c] / max(total[3], 1e-9)


@jit
def _measure_variance(disparity, pixels, distance, clean, top, bottom, left, right, middle, near,
                      far, limit, side):  # fmt: skip
    """The three variances of the clean pixels' colours."""
    along = np.zeros(3, np.float32)
    squared = np.float32(1e-6)
    for c in range(3):
        along[c] = side[c] - side[3 + c]
        squared += along[c] ** 2
    total, count = 0.0, 0
    wholes, counts = np.zeros(2, np.float64), np.zeros(2, np.int64)
    for row in range(top, bottom):
        for column in range(left, right):
            d = disparity[row, column]
            kind = 0 if d > middle else 1
            if distance[row, column] < clean or abs(d - (near if kind == 0 else far)) >= limit:
                continue
            dot, whole = 0.0, 0.0
            for c in range(3):
                step = pixels[row, column, c] - side[3 * kind + c]
                dot += step * along[c]
                whole += step * step
            total += dot * dot / squared
            count += 1
            wholes[kind] += whole
            counts[kind] += 1
    side[VARIANCE_ALONG] = total / max(count, 1)
    side[BACK_VARIANCE] = wholes[1] / counts[1] if counts[1] > 0 else UNKNOWN
    side[FRONT_VARIANCE] = wholes[0] / counts[0] if counts[0] > 0 else UNKNOWN
