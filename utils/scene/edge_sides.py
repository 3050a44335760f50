"""Depth edges of a photo, and what either side of each looks like where it is seen clean.

Rims are told by it (utils/scene/rims.py).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels.jit import jit
from kernels.threads import run_in_parts
from utils.depth.steps import least_step
from utils.filters import extremes, nearest_marked
from utils.scene.edges import on_slope

# How far from an edge (px) a pixel counts as clean when the colours of its sides are measured.
CLEAN_SHARE = 0.4  # of the reach, at least CLEAN_PX
CLEAN_PX = 1.5
SAMPLE_PX = 4  # clean pixels are looked for this much farther from the edge
# Beyond so many standard deviations a colour is not a back's own: a back that is seen only through
# gaps is compared with what is seen of it beside, and what is no mixture of both is the front's.
ALIEN = np.float32(2)
NOISE = np.float32(1)  # of a colour, in levels of 255: none is known better
UNKNOWN = np.float32(1e6)  # the variance of a side that is nowhere seen clean
LEAST_CLEAN = 0.5  # of clean pixels, below which a side has none worth the name
FRONT, BACK = 0, 1  # the two sides, in the order in which arrays have them


class DepthPhoto(NamedTuple):
    """A photo with depth, as its edges are looked at."""

    disparity: np.ndarray  # (H, W) float32
    pixels: np.ndarray  # (H, W, 3) float32 RGB, 0 to 255
    limit: np.float32  # step between two surfaces
    reach: np.float32  # px from an edge within which a lens may have mixed the sides


class Sides(NamedTuple):
    """How either side of E edge pixels looks, float32; in arrays of two, front and back."""

    colors: np.ndarray  # (E, 2, 3) RGB
    disparity: np.ndarray  # (E, 2)
    variance: np.ndarray  # (E, 2) of the colours, summed over RGB; UNKNOWN where not seen clean
    along: np.ndarray  # (E,) of both, along the way between them; negative where a side is missing


class Edges(NamedTuple):
    """Depth edges as pixels, and who is near which."""

    pixels: np.ndarray  # (E,) flat index, ascending
    near: np.ndarray  # (E,) disparity of the front
    far: np.ndarray  # (E,) and of the back
    distance: np.ndarray  # (H, W) px to the nearest edge pixel
    nearest: np.ndarray  # (H, W) int32 number of that edge pixel


def find_edges(disparity: np.ndarray, limit: np.float32) -> Edges | None:
    """Find the pixels at which a disparity map (H, W) steps by at least `limit`; None without."""
    far, near = extremes(disparity, 1)
    steep = near - far >= least_step(near, far, limit)
    candidates = np.flatnonzero(steep)
    steep.flat[candidates[on_slope(disparity, candidates, limit)]] = False
    if not steep.any():
        return None
    far, near = (ends[steep] for ends in extremes(disparity, 2))
    distance, nearest, pixels = nearest_marked(steep)
    return Edges(pixels.astype(np.int32), near, far, distance, nearest)


def measure_both_sides(photo: DepthPhoto, edges: Edges) -> Sides:
    """Measure how either side of each edge pixel of a photo looks."""
    count = len(edges.pixels)
    sides = Sides(*(np.zeros((count, *axes), np.float32) for axes in ((2, 3), (2,), (2,), ())))
    clean = np.float32(max(CLEAN_PX, CLEAN_SHARE * int(photo.reach)))
    radius = int(np.ceil(clean)) + SAMPLE_PX

    def measure(begin, end):
        some = edges._replace(
            **{name: getattr(edges, name)[begin:end] for name in ("pixels", "near", "far")}
        )
        _measure_sides(photo, some, clean, radius, Sides(*(part[begin:end] for part in sides)))

    run_in_parts(measure, count)
    _borrow_backs(edges, sides, photo.limit)
    return sides


def _borrow_backs(edges, sides, limit):
    """Where a back is nowhere seen clean, as between bars, ask the nearest edge where it is.

    Its colour is kept if it could be one of that back: leaves may show another bit of the wall.
    """
    variance, colors = sides.variance[:, BACK], sides.colors[:, BACK]
    seen = variance < UNKNOWN
    blind = (sides.along >= 0) & ~seen
    if not blind.any() or not seen.any():
        return
    clear = np.zeros(edges.nearest.shape, bool)
    clear.flat[edges.pixels[seen]] = True
    blind = np.flatnonzero(blind)
    beside = np.flatnonzero(seen)[nearest_marked(clear)[1].flat[edges.pixels[blind]]]
    same = np.abs(edges.far[beside] - edges.far[blind]) < limit
    blind, beside = blind[same], beside[same]
    variance[blind] = variance[beside]
    off = ((colors[blind] - colors[beside]) ** 2).sum(axis=1)
    alien = off > ALIEN**2 * (3 * NOISE**2 + variance[beside])
    colors[blind[alien]] = colors[beside[alien]]


@jit
def _measure_sides(photo, edges, clean, radius, sides):
    """Fill `sides` of every edge pixel; see `measure_both_sides`.

    Clean pixels count; where a side has none, as a wire or a gap between reeds, those of its
    pixels that differ most from the other side.
    """
    disparity, pixels, limit, _ = photo
    edge, near, far, distance, _ = edges
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
            source = kind if weights[kind] > LEAST_CLEAN else kind + 2
            total = max(weights[source], 1e-9)
            for c in range(3):
                sides.colors[e, kind, c] = mean[source, c] / total
            sides.disparity[e, kind] = mean[source, 3] / total if weights[source] > 0 else near[e]
        if weights[0] + weights[2] == 0 or weights[1] + weights[3] == 0:
            sides.along[e] = -1
            continue
        box, colors = (top, bottom, left, right), sides.colors[e]
        for kind in range(2):
            if weights[kind] <= LEAST_CLEAN:
                level = near[e] if kind == 0 else far[e]
                _purest(photo, kind, box, middle, level, colors)
        levels = near[e], far[e], middle
        along, front, back = _measure_variance(photo, distance, clean, box, levels, colors)
        sides.along[e], sides.variance[e, FRONT], sides.variance[e, BACK] = along, front, back


@jit
def _purest(photo, kind, box, middle, level, colors):
    """Mean colour of one side's pixels, weighted by how far they are from the other side's."""
    disparity, pixels, limit, _ = photo
    top, bottom, left, right = box
    other = colors[1 - kind]
    total = np.zeros(4, np.float64)
    for row in range(top, bottom):
        for column in range(left, right):
            d = disparity[row, column]
            if (d > middle) != (kind == 0) or abs(d - level) >= limit:
                continue
            weight = 1e-3
            for c in range(3):
                weight += (pixels[row, column, c] - other[c]) ** 2
            weight *= weight
            total[3] += weight
            for c in range(3):
                total[c] += weight * pixels[row, column, c]
    for c in range(3):
        colors[kind, c] = total[c] / max(total[3], 1e-9)


@jit
def _measure_variance(photo, distance, clean, box, levels, colors):
    """Variances of the clean pixels' colours: along the way between the sides, front, back."""
    disparity, pixels, limit, _ = photo
    top, bottom, left, right = box
    near, far, middle = levels
    along = np.zeros(3, np.float32)
    squared = np.float32(1e-6)
    for c in range(3):
        along[c] = colors[FRONT, c] - colors[BACK, c]
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
                step = pixels[row, column, c] - colors[kind, c]
                dot += step * along[c]
                whole += step * step
            total += dot * dot / squared
            count += 1
            wholes[kind] += whole
            counts[kind] += 1
    front = wholes[0] / counts[0] if counts[0] > 0 else UNKNOWN
    back = wholes[1] / counts[1] if counts[1] > 0 else UNKNOWN
    return total / max(count, 1), front, back
