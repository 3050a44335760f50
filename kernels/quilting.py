"""Blocks of texture on the CPU (Numba): which part of a surface each block of a hole repeats.

As in image quilting (Efros and Freeman 2001) a block is one coherent piece of the photo. What is
known around it decides which one, and how the hole looks without detail, and how much detail it
should have. Overlapping blocks are mixed so that their contrast is kept (Heitz and Neyret 2018).

Like `patches`, without locks or order: any number of threads gives the same picture.
"""

from __future__ import annotations

import numpy as np

from .hashing import GOLDEN, below, mix, noise
from .jit import jit

BLOCK = 24  # side of a block, px
STRIDE = BLOCK // 2  # blocks overlap by half
HOLE, SOURCE = np.uint8(2), np.uint8(1)  # kinds of pixels; 0 = neither
PER_AXIS = BLOCK // STRIDE  # blocks that a pixel lies in
KNOWN_WEIGHT = np.float32(0.5)  # of a known pixel's difference, against that of a hole's
EQUAL = np.float32(10)  # squared differences (RGB in [0, 255]) below this are alike
LEAST_VALID = np.float32(0.75)  # share of a block that its source must show
# A source costs twice as much this far away (share of the long side): near is likelier the same.
AFAR = np.float32(0.25)
AGREEING = np.float32(0.8)  # cost of going on as a neighbouring block does


@jit
def enlarge(
    coarse: np.ndarray,
    coarse_near: np.ndarray,
    near: np.ndarray,
    factor: int,
    tolerance: float,
    begin: int,
    end: int,
    enlarged: np.ndarray,
) -> None:
    """Enlarge the rows begin .. end of a map, each pixel from its own surface (Kopf et al. 2007).

    Args:
        coarse: (h, w, C) float32, bilinear where all is one surface.
        coarse_near: (h, w) float32 disparity.   near: (H, W) float32 at full size.
        factor: H / h, rounded up.
        tolerance: disparities closer than this are one surface.
        enlarged: (H, W, C) float32, written.
    """
    rows, columns, channels = coarse.shape
    for y in range(begin, end):
        down = (y + np.float32(0.5)) / factor - np.float32(0.5)
        for x in range(near.shape[1]):
            right = (x + np.float32(0.5)) / factor - np.float32(0.5)
            weights = np.float32(0)
            for c in range(channels):
                enlarged[y, x, c] = 0
            closest, best_row, best_column = np.float32(np.inf), 0, 0
            for j in range(2):
                for i in range(2):
                    row, column = int(np.floor(down)) + j, int(np.floor(right)) + i
                    weight = (1 - abs(down - row)) * (1 - abs(right - column))
                    row, column = min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)
                    apart = abs(coarse_near[row, column] - near[y, x])
                    if apart < closest:
                        closest, best_row, best_column = apart, row, column
                    if apart <= tolerance:
                        weights += weight
                        for c in range(channels):
                            enlarged[y, x, c] += weight * coarse[row, column, c]
            for c in range(channels):
                if weights > 0:
                    enlarged[y, x, c] /= weights
                else:
                    enlarged[y, x, c] = coarse[best_row, best_column, c]


@jit
def _cost(image, soft, near, kind, y0, x0, dy, dx, own, tolerance):
    """How badly what lies (dy, dx) away would do for a block, infinite if it shows too little."""
    height, width = near.shape
    total, valid, count = np.float32(0), 0, 0
    for y in range(max(0, y0), min(height, y0 + BLOCK)):
        for x in range(max(0, x0), min(width, x0 + BLOCK)):
            if kind[y, x] == 0 or abs(near[y, x] - own) > tolerance:
                continue
            count += 1
            row, column = y + dy, x + dx
            if row < 0 or row >= height or column < 0 or column >= width:
                continue
            if kind[row, column] != SOURCE or abs(near[row, column] - near[y, x]) > tolerance:
                continue
            valid += 1
            if kind[y, x] == HOLE:
                for c in range(4):
                    total += (soft[y, x, c] - soft[row, column, c]) ** 2
            else:
                for c in range(3):
                    total += KNOWN_WEIGHT * (image[y, x, c] - image[row, column, c]) ** 2
    if valid < LEAST_VALID * count or valid == 0:
        return np.float32(np.inf)
    away = 1 + np.float32(abs(dy) + abs(dx)) / (AFAR * max(height, width))
    return (total / valid + EQUAL) * (np.float32(count) / valid) ** 2 * away


@jit
def _middle_hole(kind, y0, x0):
    """The hole pixel nearest the middle of a block, (-1, -1) if it has none."""
    height, width = kind.shape
    nearest, found_y, found_x = 4 * BLOCK, -1, -1
    for y in range(max(0, y0), min(height, y0 + BLOCK)):
        for x in range(max(0, x0), min(width, x0 + BLOCK)):
            away = abs(y - y0 - BLOCK // 2) + abs(x - x0 - BLOCK // 2)
            if kind[y, x] == HOLE and away < nearest:
                nearest, found_y, found_x = away, y, x
    return found_y, found_x


@jit
def seed_blocks(
    image: np.ndarray,
    soft: np.ndarray,
    near: np.ndarray,
    kind: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    ranked: np.ndarray,
    blocks: np.ndarray,
    tolerance: float,
    tries: int,
    reach: int,
    seed: int,
    begin: int,
    end: int,
    shifts: np.ndarray,
    costs: np.ndarray,
    own: np.ndarray,
) -> None:
    """Give the blocks begin .. end the best of random sources, half of them not far away.

    Args:
        image: (H, W, 3) float32 RGB in [0, 255].
        soft: (H, W, 4) float32: RGB without detail, and how strong detail is or should be.
        near: (H, W) float32 disparity.   kind: (H, W) uint8, HOLE, SOURCE or 0.
        rows, columns, ranked: (S,) the sources and their disparity, farthest first.
        blocks: (K, 2) int32, y and x of the first pixel.
        reach: how far away "not far" is, px.
        shifts: (K, 2) int32, receives the way from block to source, y and x.
        costs: (K,) float32, receives how badly it fits, infinite without one.
        own: (K,) float32, receives the disparity of the hole in a block, NaN where it has none.
    """
    for k in range(begin, end):
        y0, x0 = np.int64(blocks[k, 0]), np.int64(blocks[k, 1])
        costs[k], own[k] = np.inf, np.nan
        shifts[k, 0] = shifts[k, 1] = 0
        hole_y, hole_x = _middle_hole(kind, y0, x0)
        if hole_y < 0:
            continue
        own[k] = near[hole_y, hole_x]
        first = np.searchsorted(ranked, own[k] - tolerance)
        last = np.searchsorted(ranked, own[k] + tolerance, side="right")
        if last == first:
            continue
        state = noise(y0, x0, seed)
        for turn in range(tries):
            state = mix(state + GOLDEN)
            if turn % 2 == 0:
                chosen = first + below(state, last - first)
                dy, dx = np.int64(rows[chosen] - hole_y), np.int64(columns[chosen] - hole_x)
            else:  # what is as far away lies beside rather than above
                dy = below(state, 2 * (reach // 3) + 1) - reach // 3
                state = mix(state + GOLDEN)
                dx = below(state, 2 * reach + 1) - reach
            cost = _cost(image, soft, near, kind, y0, x0, dy, dx, own[k], tolerance)
            if cost < costs[k]:
                costs[k], shifts[k, 0], shifts[k, 1] = cost, dy, dx


@jit
def spread_blocks(
    image: np.ndarray,
    soft: np.ndarray,
    near: np.ndarray,
    kind: np.ndarray,
    blocks: np.ndarray,
    number: np.ndarray,
    tolerance: float,
    own: np.ndarray,
    before: np.ndarray,
    costs_before: np.ndarray,
    begin: int,
    end: int,
    shifts: np.ndarray,
    costs: np.ndarray,
) -> None:
    """Let the blocks begin .. end go on as a neighbour does, where that is as good.

    Args:
        number: (rows, columns) int32 of the grid of blocks: index in `blocks`, or -1.
        before, costs_before: what `shifts` and `costs` were.
        Others as `seed_blocks`.
    """
    for k in range(begin, end):
        y0, x0 = np.int64(blocks[k, 0]), np.int64(blocks[k, 1])
        costs[k], shifts[k] = costs_before[k], before[k]
        if np.isnan(own[k]):
            continue
        for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            row, column = y0 // STRIDE + down, x0 // STRIDE + right
            if row < 0 or row >= number.shape[0] or column < 0 or column >= number.shape[1]:
                continue
            n = number[row, column]
            if n < 0 or np.isinf(costs_before[n]):
                continue
            dy, dx = np.int64(before[n, 0]), np.int64(before[n, 1])
            cost = _cost(image, soft, near, kind, y0, x0, dy, dx, own[k], tolerance) * AGREEING
            if cost < costs[k]:
                costs[k], shifts[k, 0], shifts[k, 1] = cost, dy, dx


@jit
def lay_blocks(
    image: np.ndarray,
    soft: np.ndarray,
    near: np.ndarray,
    kind: np.ndarray,
    holes: np.ndarray,
    number: np.ndarray,
    shifts: np.ndarray,
    costs: np.ndarray,
    tolerance: float,
    trust: float,
    begin: int,
    end: int,
    laid: np.ndarray,
    found: np.ndarray,
) -> None:
    """Give the hole pixels begin .. end what is smooth there and the detail of their blocks.

    Args:
        holes: (M, 2) int32, y and x.
        trust: e-fold (as a Gaussian) of detail where its place is of another colour.
        laid: (M, 3) float32, receives the colours.   found: (M,) bool, whether there are any.
        Others as `spread_blocks`.
    """
    height, width = near.shape
    weights = np.zeros(PER_AXIS * PER_AXIS, np.float32)
    ways = np.zeros((PER_AXIS * PER_AXIS, 2), np.int64)
    half = np.float32(BLOCK) / 2
    for m in range(begin, end):
        y, x = np.int64(holes[m, 0]), np.int64(holes[m, 1])
        count = 0
        for a in range(PER_AXIS):
            for b in range(PER_AXIS):
                row, column = y // STRIDE - a, x // STRIDE - b
                if row < 0 or column < 0 or number[row, column] < 0:
                    continue
                k = number[row, column]
                source_y, source_x = y + np.int64(shifts[k, 0]), x + np.int64(shifts[k, 1])
                if np.isinf(costs[k]) or not (0 <= source_y < height and 0 <= source_x < width):
                    continue
                if kind[source_y, source_x] != SOURCE:
                    continue
                if abs(near[source_y, source_x] - near[y, x]) > tolerance:
                    continue
                down = 1 - abs(y - row * STRIDE - half + np.float32(0.5)) / half
                right = 1 - abs(x - column * STRIDE - half + np.float32(0.5)) / half
                same = -1
                for i in range(count):
                    if ways[i, 0] == shifts[k, 0] and ways[i, 1] == shifts[k, 1]:
                        same = i
                if same < 0:
                    same = count
                    count += 1
                    weights[same] = 0
                    ways[same, 0], ways[same, 1] = shifts[k, 0], shifts[k, 1]
                weights[same] += (down * right) ** 2
        found[m] = count > 0
        squared = np.float32(1e-12)
        for i in range(count):
            squared += weights[i] * weights[i]
        for c in range(3):
            laid[m, c] = soft[y, x, c]
        for i in range(count):
            source_y, source_x = y + ways[i, 0], x + ways[i, 1]
            off = np.float32(0)
            for c in range(3):
                off += (soft[source_y, source_x, c] - soft[y, x, c]) ** 2
            # Unlike mixtures of equal things, a mean of different ones loses contrast.
            weight = weights[i] / np.sqrt(squared) * np.exp(-off / (6 * trust * trust))
            weight *= min(np.float32(1), (soft[y, x, 3] + 1) / (soft[source_y, source_x, 3] + 1))
            for c in range(3):
                laid[m, c] += weight * (image[source_y, source_x, c] - soft[source_y, source_x, c])
