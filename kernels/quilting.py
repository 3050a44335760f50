"""Blocks of texture on the CPU (Numba): which part of a surface each block of a hole repeats.

As in image quilting (Efros and Freeman 2001) a block is one coherent piece of the photo. What is
known around it decides which one, and how the hole looks without detail, and how much detail it
should have. Overlapping blocks are mixed so that their contrast is kept (Heitz and Neyret 2018).

Like `patches`, without locks or order: any number of threads gives the same picture.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .hashing import GOLDEN, below, mix, noise
from .jit import jit
from .patches import Sources, alike_sources

BLOCK = 24  # side of a block, px
STRIDE = BLOCK // 2  # blocks overlap by half
HOLE, SOURCE = np.uint8(2), np.uint8(1)  # kinds of pixels; 0 = neither
PER_AXIS = BLOCK // STRIDE  # blocks that a pixel lies in
TRIES = 32  # random sources per block
KNOWN_WEIGHT = np.float32(0.5)  # of a known pixel's difference, against that of a hole's
EQUAL = np.float32(10)  # squared differences (RGB in [0, 255]) below this are alike
LEAST_VALID = np.float32(0.75)  # share of a block that its source must show
# A source costs twice as much this far away (share of the long side), and from there on is none:
# near is likelier the same.
AFAR = np.float32(0.25)
AGREEING = np.float32(0.8)  # cost of going on as a neighbouring block does


class Surface(NamedTuple):
    """A view as blocks are laid in it."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    near: np.ndarray  # (H, W) float32 disparity
    soft: np.ndarray  # (H, W, 4) float32: RGB without detail; how strong detail is or should be
    kind: np.ndarray  # (H, W) uint8: HOLE, SOURCE or 0
    alike: np.float32  # disparities closer than this are one surface


class Blocks(NamedTuple):
    """What is laid where."""

    places: np.ndarray  # (K, 2) int32, y and x of the first pixel
    number: np.ndarray  # (rows, columns) int32 of the grid of blocks: index in `places`, or -1
    own: np.ndarray  # (K,) float32, the disparity of the hole in a block, NaN where it has none
    shifts: np.ndarray  # (K, 2) int32, the way from block to source, y and x
    costs: np.ndarray  # (K,) float32, how badly it fits, infinite without one


@jit
def measure_detail(
    image: np.ndarray, mask: np.ndarray, soft: np.ndarray, squares: np.ndarray, counts: np.ndarray
) -> None:
    """Sum up how far pixels are from the smooth part of the picture, per cell of a coarser grid.

    Args:
        image: (H, W, 3) uint8.   mask: (H, W) bool, which pixels count.
        soft: (h, w, 3) float32, RGB in [0, 255]; a cell is as many pixels wide as W / w, rounded.
        squares, counts: (h, w) float32, receive the mean squares of pixels, summed, and how many.
    """
    (height, width), (rows, columns) = mask.shape, counts.shape
    factor = int(round(width / columns))
    squares[:], counts[:] = 0, 0
    for y in range(height):
        row = min(y // factor, rows - 1)
        for x in range(width):
            if mask[y, x]:
                column = min(x // factor, columns - 1)
                square = np.float32(0)
                for c in range(3):
                    square += (image[y, x, c] - soft[row, column, c]) ** 2
                squares[row, column] += square / np.float32(3)
                counts[row, column] += 1


@jit
def enlarge(
    coarse: np.ndarray,
    coarse_near: np.ndarray,
    near: np.ndarray,
    factor: int,
    alike: float,
    begin: int,
    end: int,
    enlarged: np.ndarray,
) -> None:
    """Enlarge the rows begin .. end of a map, each pixel from its own surface (Kopf et al. 2007).

    Args:
        coarse: (h, w, 4) float32, bilinear where all is one surface.
        coarse_near: (h, w) float32 disparity.   near: (H, W) float32 at full size.
        factor: H / h, rounded up.
        alike: disparities closer than this are one surface.
        enlarged: (H, W, 4) float32, written.
    """
    rows, columns = coarse_near.shape
    for y in range(begin, end):
        down = (y + np.float32(0.5)) / factor - np.float32(0.5)
        for x in range(near.shape[1]):
            right = (x + np.float32(0.5)) / factor - np.float32(0.5)
            weights = np.float32(0)
            for c in range(4):
                enlarged[y, x, c] = 0
            closest, best_row, best_column = np.float32(np.inf), 0, 0
            for j in range(2):
                for i in range(2):
                    row, column = int(np.floor(down)) + j, int(np.floor(right)) + i
                    weight = np.float32((1 - abs(down - row)) * (1 - abs(right - column)))
                    row, column = min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)
                    apart = abs(coarse_near[row, column] - near[y, x])
                    if apart < closest:
                        closest, best_row, best_column = apart, row, column
                    if apart <= alike:
                        weights += weight
                        for c in range(4):
                            enlarged[y, x, c] += weight * coarse[row, column, c]
            for c in range(4):
                if weights > 0:
                    enlarged[y, x, c] /= weights
                else:
                    enlarged[y, x, c] = coarse[best_row, best_column, c]


@jit
def _cost(surface, place, shift, own):
    """How badly what lies at a shift would do for a block, infinite if it shows too little."""
    image, near, soft, kind, alike = surface
    (height, width), (y0, x0), (dy, dx) = near.shape, place, shift
    total, valid, count = np.float32(0), 0, 0
    for y in range(max(0, y0), min(height, y0 + BLOCK)):
        for x in range(max(0, x0), min(width, x0 + BLOCK)):
            if kind[y, x] == 0 or abs(near[y, x] - own) > alike:
                continue
            count += 1
            row, column = y + dy, x + dx
            if row < 0 or row >= height or column < 0 or column >= width:
                continue
            if kind[row, column] != SOURCE or abs(near[row, column] - near[y, x]) > alike:
                continue
            valid += 1
            if kind[y, x] == HOLE:
                for c in range(4):
                    total += (soft[y, x, c] - soft[row, column, c]) ** 2
            else:
                for c in range(3):
                    off = np.int32(image[y, x, c]) - np.int32(image[row, column, c])
                    total += KNOWN_WEIGHT * np.float32(off * off)
    if valid < LEAST_VALID * count or valid == 0:
        return np.float32(np.inf)
    away = 1 + np.float32(abs(dy) + abs(dx)) / (AFAR * max(height, width))
    return np.float32((total / valid + EQUAL) * (np.float32(count) / valid) ** 2 * away)


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
    surface: Surface,
    sources: Sources,
    reach: int,
    seed: int,
    begin: int,
    end: int,
    blocks: Blocks,
) -> None:
    """Give the blocks begin .. end the best of random sources, half of them not far away.

    Args:
        surface: Surface.   sources: Sources of it.
        reach: how far away "not far" is, px.
        blocks: Blocks, receives `own`, `shifts` and `costs`.
    """
    for k in range(begin, end):
        y0, x0 = np.int64(blocks.places[k, 0]), np.int64(blocks.places[k, 1])
        blocks.costs[k], blocks.own[k], blocks.shifts[k] = np.inf, np.nan, 0
        hole_y, hole_x = _middle_hole(surface.kind, y0, x0)
        if hole_y < 0:
            continue
        blocks.own[k] = own = surface.near[hole_y, hole_x]
        first, last = alike_sources(sources, own, surface.alike)
        if last == first:
            continue
        state = noise(y0, x0, seed)
        for turn in range(TRIES):
            state = mix(state + GOLDEN)
            if turn % 2 == 0:
                chosen = first + below(state, last - first)
                dy = np.int64(sources.places[chosen, 0] - hole_y)
                dx = np.int64(sources.places[chosen, 1] - hole_x)
            else:  # what is as far away lies beside rather than above
                dy = below(state, 2 * (reach // 3) + 1) - reach // 3
                state = mix(state + GOLDEN)
                dx = below(state, 2 * reach + 1) - reach
            cost = _cost(surface, (y0, x0), (dy, dx), own)
            if cost < blocks.costs[k]:
                blocks.costs[k], blocks.shifts[k, 0], blocks.shifts[k, 1] = cost, dy, dx


@jit
def spread_blocks(surface: Surface, before: Blocks, begin: int, end: int, after: Blocks) -> None:
    """Let the blocks begin .. end go on as a neighbour does, where that is as good.

    Args:
        surface: Surface.   before: Blocks.
        after: the same with other arrays of shifts and costs, which are written.
    """
    number = before.number
    for k in range(begin, end):
        y0, x0 = np.int64(before.places[k, 0]), np.int64(before.places[k, 1])
        after.costs[k], after.shifts[k] = before.costs[k], before.shifts[k]
        if np.isnan(before.own[k]):
            continue
        for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            row, column = y0 // STRIDE + down, x0 // STRIDE + right
            if row < 0 or row >= number.shape[0] or column < 0 or column >= number.shape[1]:
                continue
            n = number[row, column]
            if n < 0 or np.isinf(before.costs[n]):
                continue
            dy, dx = np.int64(before.shifts[n, 0]), np.int64(before.shifts[n, 1])
            cost = _cost(surface, (y0, x0), (dy, dx), before.own[k]) * AGREEING
            if cost < after.costs[k]:
                after.costs[k], after.shifts[k, 0], after.shifts[k, 1] = cost, dy, dx


@jit
def _find_ways(surface, blocks, y, x, ways, weights):
    """List the different shifts of the blocks over a pixel, and what they weigh; return how many.

    Args:
        ways: (PER_AXIS ** 2, 2) int64, written.   weights: (PER_AXIS ** 2,) float32, written.
    """
    (height, width), count, half = surface.near.shape, 0, np.float32(BLOCK) / 2
    for a in range(PER_AXIS):
        for b in range(PER_AXIS):
            row, column = y // STRIDE - a, x // STRIDE - b
            if row < 0 or column < 0 or blocks.number[row, column] < 0:
                continue
            k = blocks.number[row, column]
            dy, dx = np.int64(blocks.shifts[k, 0]), np.int64(blocks.shifts[k, 1])
            if np.isinf(blocks.costs[k]) or not (0 <= y + dy < height and 0 <= x + dx < width):
                continue
            if surface.kind[y + dy, x + dx] != SOURCE:
                continue
            if abs(surface.near[y + dy, x + dx] - surface.near[y, x]) > surface.alike:
                continue
            down = 1 - abs(y - row * STRIDE - half + np.float32(0.5)) / half
            right = 1 - abs(x - column * STRIDE - half + np.float32(0.5)) / half
            same = 0
            while same < count and (ways[same, 0] != dy or ways[same, 1] != dx):
                same += 1
            if same == count:
                count += 1
                weights[same], ways[same, 0], ways[same, 1] = 0, dy, dx
            weights[same] += (down * right) ** 2
    return count


@jit
def lay_blocks(
    surface: Surface,
    blocks: Blocks,
    holes: np.ndarray,
    trust: float,
    begin: int,
    end: int,
    laid: np.ndarray,
    found: np.ndarray,
) -> None:
    """Give the hole pixels begin .. end what is smooth there and the detail of their blocks.

    Args:
        surface: Surface.   blocks: Blocks.   holes: (M, 2) int32, y and x.
        trust: e-fold (as a Gaussian) of detail where its place is of another colour.
        laid: (M, 3) float32, receives the colours.   found: (M,) bool, whether there are any.
    """
    image, soft = surface.image, surface.soft
    weights = np.zeros(PER_AXIS * PER_AXIS, np.float32)
    ways = np.zeros((PER_AXIS * PER_AXIS, 2), np.int64)
    for m in range(begin, end):
        y, x = np.int64(holes[m, 0]), np.int64(holes[m, 1])
        count = _find_ways(surface, blocks, y, x, ways, weights)
        found[m] = count > 0
        squared = np.float32(1e-12)
        for i in range(count):
            squared += weights[i] * weights[i]
        for c in range(3):
            laid[m, c] = soft[y, x, c]
        for i in range(count):
            row, column = y + ways[i, 0], x + ways[i, 1]
            off = np.float32(0)
            for c in range(3):
                off += (soft[row, column, c] - soft[y, x, c]) ** 2
            # Unlike mixtures of equal things, a mean of different ones loses contrast.
            weight = weights[i] / np.sqrt(squared) * np.exp(-off / (6 * trust * trust))
            weight *= min(np.float32(1), (soft[y, x, 3] + 1) / (soft[row, column, 3] + 1))
            for c in range(3):
                laid[m, c] += weight * (image[row, column, c] - soft[row, column, c])
