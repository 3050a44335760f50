"""Patch completion on the CPU (Numba): where each patch of a hole finds its like, and what all say.

PatchMatch (Barnes et al. 2009) and voting (Wexler et al. 2007) in a form without locks or order:
every patch reads the field of the step before and writes one of its own (two buffers), random
trials come from a hash of place and step, and every hole pixel gathers the votes of the patches
around it. So any number of threads, each with a share of the list, gives the same picture.

Depth decides what may be compared (Daribo and Saito 2011, Gautier et al. 2011): a source is a patch
that is known as a whole and shows one surface, about as far as the hole's filled disparity; pixels
of another surface, above all of the object in front, count nothing in the patch of a hole.

Colours are compared as whole numbers, so sums do not depend on the order of the instructions.
"""

from __future__ import annotations

import numpy as np

from .hashing import GOLDEN, below, mix, noise
from .jit import jit

RADIUS = 3  # of a patch, px
SIDE = 2 * RADIUS + 1
ROW = 3 * SIDE  # colours in a row of a patch
NOTHING = np.int32(2**31 - 1)  # the distance of a patch that has found no source
WHOLE = np.int32(16)  # the weight of a known pixel in a comparison
NEIGHBOURS = np.array(
    [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)], np.int64
)  # whose sources a patch tries, (dy, dx)


@jit
def _take(image, weights, near, y, x, tolerance, patch, heavy):
    """Copy the patch around (y, x) and the weights of its values; return the sum of weights."""
    height, width = near.shape
    own, total = near[y, x], np.int32(0)
    for j in range(SIDE):
        row = y + j - RADIUS
        for i in range(SIDE):
            column = x + i - RADIUS
            weight = np.int32(0)
            if 0 <= row < height and 0 <= column < width:
                if abs(near[row, column] - own) <= tolerance:
                    weight = weights[row, column]
                for c in range(3):
                    patch[j, 3 * i + c] = image[row, column, c]
            for c in range(3):
                heavy[j, 3 * i + c] = weight
            total += weight
    return total


@jit
def _distance(flat, stride, y, x, patch, heavy, limit):
    """Weighted squared difference to the whole patch around (y, x); not below `limit` is enough."""
    total = np.int32(0)
    for j in range(SIDE):
        start = (y + j - RADIUS) * stride + 3 * (x - RADIUS)
        for i in range(ROW):
            difference = np.int32(flat[start + i]) - patch[j, i]
            total += heavy[j, i] * difference * difference
        if total >= limit:
            return limit
    return total


@jit
def seed_field(
    usable_rows: np.ndarray,
    usable_columns: np.ndarray,
    usable_near: np.ndarray,
    near: np.ndarray,
    targets: np.ndarray,
    tolerance: float,
    seed: int,
    begin: int,
    end: int,
    field: np.ndarray,
) -> None:
    """Give the targets begin .. end a random source of their disparity; (-1, -1) if there is none.

    Args:
        usable_rows, usable_columns, usable_near: (S,) the sources, farthest first.
        near: (H, W) disparity.   targets: (K, 2) int32, y and x.
        field: (K, 2) int32, receives y and x of the source.
    """
    for k in range(begin, end):
        own = near[targets[k, 0], targets[k, 1]]
        first = np.searchsorted(usable_near, own - tolerance)
        last = np.searchsorted(usable_near, own + tolerance, side="right")
        field[k, 0] = field[k, 1] = -1
        if last > first:
            state = noise(targets[k, 0], targets[k, 1], seed)
            chosen = first + below(state, last - first)
            field[k, 0], field[k, 1] = usable_rows[chosen], usable_columns[chosen]


@jit
def search(
    image: np.ndarray,
    weights: np.ndarray,
    near: np.ndarray,
    usable: np.ndarray,
    targets: np.ndarray,
    number: np.ndarray,
    before: np.ndarray,
    step: int,
    reach: int,
    tolerance: float,
    seed: int,
    begin: int,
    end: int,
    after: np.ndarray,
    distances: np.ndarray,
) -> None:
    """Improve the sources of the targets begin .. end: ask neighbours, then try at random.

    Args:
        image: (H, W, 3) uint8.   weights: (H, W) int32, 0 .. WHOLE.   near: (H, W) float32.
        usable: (H, W) bool, centres of source patches.
        targets: (K, 2) int32.   number: (H, W) int32, index of a pixel in `targets` or -1.
        before: (K, 2) int32, the field of the step before.
        step: how far away the neighbours stand, px.
        reach: half side of the first window of random trials, px; 0 for none.
        after: (K, 2) int32, receives the field.
        distances: (K,) int32, receives weighted squared differences, NOTHING without a source.
    """
    height, width = near.shape
    flat, stride = image.reshape(-1), 3 * width
    patch, heavy = np.zeros((SIDE, ROW), np.int32), np.zeros((SIDE, ROW), np.int32)
    for k in range(begin, end):
        y, x = np.int64(targets[k, 0]), np.int64(targets[k, 1])
        own = near[y, x]
        total = _take(image, weights, near, y, x, tolerance, patch, heavy)
        best, best_y, best_x = NOTHING, np.int64(before[k, 0]), np.int64(before[k, 1])
        if best_y >= 0 and usable[best_y, best_x]:
            best = _distance(flat, stride, best_y, best_x, patch, heavy, NOTHING)
        for side in range(NEIGHBOURS.shape[0]):
            dy, dx = step * NEIGHBOURS[side, 0], step * NEIGHBOURS[side, 1]
            row, column = y + dy, x + dx
            if row < 0 or row >= height or column < 0 or column >= width:
                continue
            neighbour = number[row, column]
            if neighbour < 0 or before[neighbour, 0] < 0:
                continue
            source_y, source_x = before[neighbour, 0] - dy, before[neighbour, 1] - dx
            if source_y < 0 or source_y >= height or source_x < 0 or source_x >= width:
                continue
            if not usable[source_y, source_x] or (source_y == best_y and source_x == best_x):
                continue
            if abs(near[source_y, source_x] - own) > tolerance:
                continue
            found = _distance(flat, stride, source_y, source_x, patch, heavy, best)
            if found < best:
                best, best_y, best_x = found, source_y, source_x
        state, window = noise(y, x, seed), reach
        while window >= 1 and best_y >= 0:
            state = mix(state + GOLDEN)
            source_y = best_y + below(state, 2 * window + 1) - window
            state = mix(state + GOLDEN)
            source_x = best_x + below(state, 2 * window + 1) - window
            window //= 2  # random trials come ever nearer to the best source so far
            if source_y < 0 or source_y >= height or source_x < 0 or source_x >= width:
                continue
            if not usable[source_y, source_x] or abs(near[source_y, source_x] - own) > tolerance:
                continue
            found = _distance(flat, stride, source_y, source_x, patch, heavy, best)
            if found < best:
                best, best_y, best_x = found, source_y, source_x
        after[k, 0], after[k, 1] = best_y, best_x
        if best == NOTHING or total == 0:
            after[k, 0] = after[k, 1] = -1
            distances[k] = NOTHING
        else:
            distances[k] = best // total


@jit
def vote(
    values: np.ndarray,
    near: np.ndarray,
    holes: np.ndarray,
    number: np.ndarray,
    field: np.ndarray,
    distances: np.ndarray,
    trust: np.ndarray,
    spread: float,
    tolerance: float,
    begin: int,
    end: int,
    voted: np.ndarray,
    doubt: np.ndarray,
) -> None:
    """Give the hole pixels begin .. end the weighted mean of what the patches around them say.

    Args:
        values: (H, W, C) float32, read at sources only.   near: (H, W) float32.
        holes: (M, 2) int32.   number, field, distances: as `search` left them.
        trust: (H, W) float32 weight of the patch around each pixel.
        spread: mean squared difference per value at which a vote loses e-fold weight.
        voted: (M, C) float32; stays as it is where no patch has a source.
        doubt: (M,) float32, receives the mean distance of those patches, infinite without any.
    """
    height, width = near.shape
    channels = values.shape[2]
    total = np.empty(channels, np.float32)
    for m in range(begin, end):
        y, x = np.int64(holes[m, 0]), np.int64(holes[m, 1])
        weight_sum, distance = np.float32(0), np.float32(0)
        for c in range(channels):
            total[c] = 0
        for dy in range(-RADIUS, RADIUS + 1):
            for dx in range(-RADIUS, RADIUS + 1):
                row, column = y + dy, x + dx
                if row < 0 or row >= height or column < 0 or column >= width:
                    continue
                k = number[row, column]
                if k < 0 or field[k, 0] < 0 or abs(near[row, column] - near[y, x]) > tolerance:
                    continue
                weight = trust[row, column] * np.exp(-np.float32(distances[k]) / spread)
                weight += np.float32(1e-12)
                source_y, source_x = field[k, 0] - dy, field[k, 1] - dx
                for c in range(channels):
                    total[c] += weight * values[source_y, source_x, c]
                weight_sum += weight
                distance += weight * np.float32(distances[k])
        doubt[m] = np.inf
        if weight_sum > 0:
            doubt[m] = distance / weight_sum
            for c in range(channels):
                voted[m, c] = total[c] / weight_sum


@jit
def smooth(
    values: np.ndarray,
    near: np.ndarray,
    holes: np.ndarray,
    window: np.ndarray,
    tolerance: float,
    begin: int,
    end: int,
    smoothed: np.ndarray,
) -> None:
    """Mean over a window, of what is as far away, at the hole pixels begin .. end.

    Args:
        values: (H, W, C) float32.   near: (H, W) float32.   holes: (M, 2) int32.
        window: (S,) float32, weights along one axis, S odd.
        smoothed: (M, C) float32, receives the means.
    """
    height, width = near.shape
    channels, radius = values.shape[2], window.shape[0] // 2
    total = np.empty(channels, np.float32)
    for m in range(begin, end):
        y, x = np.int64(holes[m, 0]), np.int64(holes[m, 1])
        own, weight_sum = near[y, x], np.float32(0)
        for c in range(channels):
            total[c] = 0
        for row in range(max(0, y - radius), min(height, y + radius + 1)):
            for column in range(max(0, x - radius), min(width, x + radius + 1)):
                if abs(near[row, column] - own) > tolerance:
                    continue
                weight = window[row - y + radius] * window[column - x + radius]
                for c in range(channels):
                    total[c] += weight * values[row, column, c]
                weight_sum += weight
        for c in range(channels):
            smoothed[m, c] = total[c] / weight_sum
