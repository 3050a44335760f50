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

# A pixel is clean from this share of the reach on. By less, sharp edges would gain
# (benchmarks.edges), but petals that the lens has blurred leave a grey veil.
CLEAN_SHARE = np.float32(0.4)
# Clean pixels are looked for this much farther from the edge, and count half there. With 3 px edges
# gain 0.1 dB, and in the corners between petals specks of them stay behind.
SAMPLE_PX = 4
NOISE = np.float32(1)  # of a colour, in levels of 255: none is known better
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
    variance: np.ndarray  # (E, 2) of the colours, summed over RGB
    along: np.ndarray  # (E,) of both, along the way between them


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
    """Measure how either side of each edge pixel of a photo looks.

    Clean pixels count; all pixels of a side that has none, as a wire or a gap between reeds.
    """
    count = len(edges.pixels)
    sides = Sides(*(np.zeros((count, *axes), np.float32) for axes in ((2, 3), (2,), (2,), ())))
    run_in_parts(lambda begin, end: _measure_sides(photo, edges, begin, end, sides), count)
    return sides


@jit
def _side_of(disparity, near, far, limit):
    """Say on which side of an edge a pixel is; -1: on neither."""
    side = FRONT if disparity > (near + far) * np.float32(0.5) else BACK
    return side if abs(disparity - (near if side == FRONT else far)) < limit else -1


@jit
def _measure_sides(photo, edges, begin, end, sides):
    """Fill `sides` of some edge pixels; see `measure_both_sides`."""
    disparity, pixels, limit, reach = photo
    height, width = disparity.shape
    clean = CLEAN_SHARE * reach
    radius = int(np.ceil(clean)) + SAMPLE_PX
    mean, weights = np.zeros((4, 4), np.float64), np.zeros(4, np.float64)  # RGB, d: all, clean ones
    for e in range(begin, end):
        y, x = edges.pixels[e] // width, edges.pixels[e] % width
        rows = max(0, y - radius), min(height, y + radius + 1)
        columns = max(0, x - radius), min(width, x + radius + 1)
        mean[:], weights[:] = 0, 0
        for row in range(rows[0], rows[1]):
            for column in range(columns[0], columns[1]):
                d = disparity[row, column]
                side = _side_of(d, edges.near[e], edges.far[e], limit)
                if side < 0:
                    continue
                weight = 1 / (1 + (((row - y) ** 2 + (column - x) ** 2) / SAMPLE_PX**2) ** 2)
                for kind in (side, side + 2):
                    if kind == side or edges.distance[row, column] >= clean:
                        weights[kind] += weight
                        for c in range(3):
                            mean[kind, c] += weight * pixels[row, column, c]
                        mean[kind, 3] += weight * d
        first = np.zeros(2, np.float32)  # px from the edge, from which on pixels count
        for side in (FRONT, BACK):
            kind = side
            if weights[side + 2] > 0.5:  # half a pixel that is clean
                kind, first[side] = side + 2, clean
            for c in range(3):
                sides.colors[e, side, c] = mean[kind, c] / weights[kind]
            sides.disparity[e, side] = mean[kind, 3] / weights[kind]
        _measure_variance(photo, edges, e, (rows, columns), first, sides)


@jit
def _measure_variance(photo, edges, e, box, first, sides):
    """Variances of an edge pixel's colours: of either side, and along the way between them."""
    disparity, pixels, limit, _ = photo
    rows, columns = box
    colors = sides.colors[e]
    squared = ((colors[FRONT] - colors[BACK]) ** 2).sum() + np.float32(1e-6)
    along, counts = np.float32(0), np.zeros(2, np.int64)
    for row in range(rows[0], rows[1]):
        for column in range(columns[0], columns[1]):
            side = _side_of(disparity[row, column], edges.near[e], edges.far[e], limit)
            if side < 0 or edges.distance[row, column] < first[side]:
                continue
            dot = np.float32(0)
            for c in range(3):
                step = pixels[row, column, c] - colors[side, c]
                dot += step * (colors[FRONT, c] - colors[BACK, c])
                sides.variance[e, side] += step * step
            along += dot * dot / squared
            counts[side] += 1
    sides.along[e] = along / counts.sum()
    for side in (FRONT, BACK):
        sides.variance[e, side] /= counts[side]
