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

from typing import NamedTuple

import numpy as np

from .hashing import GOLDEN, below, mix, noise
from .jit import jit

# Of a patch, px: squares of 7, as usual (Barnes et al. 2009). (benchmarks.inpainting: with half
# gradient energy +0.04 and PSNR of edges -0.05 dB; with twice -0.08, +0.26 dB.)
RADIUS = 3
SIDE = 2 * RADIUS + 1
ROW = 3 * SIDE  # colours in a row of a patch
NOTHING = np.int32(2**31 - 1)  # the distance of a patch that has found no source
WHOLE = 16  # the weight of a known pixel in a comparison, in which weights are whole numbers
NEIGHBOURS = np.array(
    [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)], np.int64
)  # whose sources a patch tries, (dy, dx)


class Level(NamedTuple):
    """A view in which texture is made, at one of several resolutions."""

    image: np.ndarray  # (H, W, 3) uint8 RGB, its holes filled by the rule
    near: np.ndarray  # (H, W) float32 disparity, filled too
    known: np.ndarray  # (H, W) bool
    wanted: np.ndarray  # (H, W) bool: the unknown pixels that are to be completed
    alike: np.float32  # disparities closer than this are one surface
    jump: np.float32  # neighbours that differ by more are an edge


class Sources(NamedTuple):
    """Places that may be repeated, farthest first."""

    places: np.ndarray  # (S, 2) int32, y and x
    near: np.ndarray  # (S,) float32, their disparity


class Patches(NamedTuple):
    """The patches of a level, and what may be theirs."""

    places: np.ndarray  # (K, 2) int32, y and x of their middles
    number: np.ndarray  # (H, W) int32, index of the patch around a pixel, or -1
    trust: np.ndarray  # (H, W) float32 in (0, 1]: what a pixel of the level weighs
    usable: np.ndarray  # (H, W) bool, middles of source patches


class Trial(NamedTuple):
    """Where a patch looks for better sources."""

    step: int  # how far away the neighbours stand whose sources it tries, px
    reach: int  # half side of the first window of random trials, px; 0 for none
    seed: int


class Field(NamedTuple):
    """What patches have found."""

    sources: np.ndarray  # (K, 2) int32, y and x, -1 without
    distances: np.ndarray  # (K,) int32: weighted mean squared difference, NOTHING without a source


class Votes(NamedTuple):
    """What the patches around the pixels of a hole say."""

    colors: np.ndarray  # (M, 3) float32 RGB in [0, 255]
    doubt: np.ndarray  # (M,) float32: mean distance of the patches, infinite without any


@jit
def halve(level: Level) -> Level:
    """Return the level at half the resolution; where surfaces meet, the farther one is shown."""
    height, width = level.near.shape
    size = ((height + 1) // 2, (width + 1) // 2)
    image, near = np.empty((*size, 3), np.uint8), np.empty(size, np.float32)
    known, wanted = np.empty(size, np.bool_), np.empty(size, np.bool_)
    for y in range(size[0]):
        rows = (2 * y, min(2 * y + 1, height - 1))
        for x in range(size[1]):
            columns = (2 * x, min(2 * x + 1, width - 1))
            limit = np.float32(np.inf)
            for row in rows:
                for column in columns:
                    limit = min(limit, level.near[row, column] + level.alike)
            red, green, blue, count, total = 0, 0, 0, 0, np.float32(0)
            seen, asked = True, False
            for row in rows:
                for column in columns:
                    asked |= level.wanted[row, column]
                    # Nearer ones are left out, or the object's colour would leak into the hole.
                    if level.near[row, column] <= limit:
                        red += level.image[row, column, 0]
                        green += level.image[row, column, 1]
                        blue += level.image[row, column, 2]
                        total += level.near[row, column]
                        count += 1
                        seen &= level.known[row, column]
            image[y, x, 0] = (red + count // 2) // count
            image[y, x, 1] = (green + count // 2) // count
            image[y, x, 2] = (blue + count // 2) // count
            near[y, x], known[y, x], wanted[y, x] = total / count, seen, asked and not seen
    return Level(image, near, known, wanted, level.alike, level.jump)


@jit
def alike_sources(sources: Sources, near: float, alike: float) -> tuple[np.int64, np.int64]:
    """Return the first and one past the last of the sources that are about as far away."""
    first = np.int64(np.searchsorted(sources.near, near - alike))
    return first, np.int64(np.searchsorted(sources.near, near + alike, side="right"))


@jit
def seed_field(
    sources: Sources,
    level: Level,
    patches: Patches,
    seed: int,
    begin: int,
    end: int,
    found: np.ndarray,
) -> None:
    """Give the patches begin .. end a random source of their disparity; (-1, -1) if there is none.

    Args:
        sources: Sources.   level: Level.   patches: Patches of it.
        found: (K, 2) int32, receives y and x of the source.
    """
    for k in range(begin, end):
        y, x = patches.places[k]
        first, last = alike_sources(sources, level.near[y, x], level.alike)
        found[k] = -1
        if last > first:
            found[k] = sources.places[first + below(noise(y, x, seed), last - first)]


@jit
def _take(level, trust, y, x, patch, heavy):
    """Copy the patch around (y, x) and the weights of its values; return the sum of weights."""
    height, width = level.near.shape
    own, total = level.near[y, x], np.int32(0)
    for j in range(SIDE):
        row = y + j - RADIUS
        for i in range(SIDE):
            column = x + i - RADIUS
            weight = np.int32(0)
            if 0 <= row < height and 0 <= column < width:
                if abs(level.near[row, column] - own) <= level.alike:
                    weight = np.int32(max(1, WHOLE * trust[row, column] + np.float32(0.5)))
                for c in range(3):
                    patch[j, 3 * i + c] = level.image[row, column, c]
            for c in range(3):
                heavy[j, 3 * i + c] = weight
            total += weight
    return total


@jit
def _distance(flat, stride, y, x, patch, heavy, limit):
    """Weighted squared difference to the whole patch around (y, x); not below `limit` is enough."""
    total = np.int32(0)
    for j in range(SIDE):
        # Unsigned indices spare the test for negative ones.
        start = np.uint64((y + j - RADIUS) * stride + 3 * (x - RADIUS))
        for i in range(ROW):
            difference = np.int32(flat[start + np.uint64(i)]) - patch[j, i]
            total += heavy[j, i] * difference * difference
        if total >= limit:
            return limit
    return total


@jit
def _allowed(level, usable, y, x, own):
    """Whether a patch of disparity `own` may have its source at (y, x)."""
    height, width = level.near.shape
    inside = 0 <= y < height and 0 <= x < width
    return inside and usable[y, x] and abs(level.near[y, x] - own) <= level.alike


@jit
def search(
    level: Level,
    patches: Patches,
    before: np.ndarray,
    trial: Trial,
    begin: int,
    end: int,
    after: Field,
) -> None:
    """Improve the sources of the patches begin .. end: ask neighbours, then try at random.

    Args:
        level: Level.   patches: Patches of it.   trial: Trial.
        before: (K, 2) int32, the sources of the step before.
        after: Field, receives what is found.
    """
    (height, width), number, usable = level.near.shape, patches.number, patches.usable
    flat, stride = level.image.reshape(-1), 3 * width
    patch, heavy = np.zeros((SIDE, ROW), np.int32), np.zeros((SIDE, ROW), np.int32)
    for k in range(begin, end):
        y, x = np.int64(patches.places[k, 0]), np.int64(patches.places[k, 1])
        own, total = level.near[y, x], _take(level, patches.trust, y, x, patch, heavy)
        best, best_y, best_x = NOTHING, np.int64(before[k, 0]), np.int64(before[k, 1])
        if best_y >= 0:
            best = _distance(flat, stride, best_y, best_x, patch, heavy, NOTHING)
        for side in range(NEIGHBOURS.shape[0]):
            dy, dx = trial.step * NEIGHBOURS[side, 0], trial.step * NEIGHBOURS[side, 1]
            if not (0 <= y + dy < height and 0 <= x + dx < width):
                continue
            neighbour = number[y + dy, x + dx]
            if neighbour < 0 or before[neighbour, 0] < 0:
                continue
            row, column = before[neighbour, 0] - dy, before[neighbour, 1] - dx
            if row == best_y and column == best_x:
                continue
            if not _allowed(level, usable, row, column, own):
                continue
            found = _distance(flat, stride, row, column, patch, heavy, best)
            if found < best:
                best, best_y, best_x = found, row, column
        state, window = noise(y, x, trial.seed), trial.reach
        while window >= 1 and best_y >= 0:
            state = mix(state + GOLDEN)
            row = best_y + below(state, 2 * window + 1) - window
            state = mix(state + GOLDEN)
            column = best_x + below(state, 2 * window + 1) - window
            window //= 2  # random trials come ever nearer to the best source so far
            if _allowed(level, usable, row, column, own):
                found = _distance(flat, stride, row, column, patch, heavy, best)
                if found < best:
                    best, best_y, best_x = found, row, column
        if best == NOTHING or total == 0:
            after.sources[k], after.distances[k] = -1, NOTHING
        else:
            after.sources[k, 0], after.sources[k, 1] = best_y, best_x
            after.distances[k] = best // total


@jit
def vote(
    level: Level,
    patches: Patches,
    field: Field,
    holes: np.ndarray,
    spread: float,
    begin: int,
    end: int,
    votes: Votes,
) -> None:
    """Give the hole pixels begin .. end the weighted mean of what the patches around them say.

    Args:
        level: Level.   patches: Patches of it.   field: as `search` left it.
        holes: (M, 2) int32, y and x.
        spread: mean squared difference per value at which a vote loses e-fold weight.
        votes: Votes, written; colours stay as they are where no patch has a source.
    """
    height, width = level.near.shape
    for m in range(begin, end):
        y, x = holes[m, 0], holes[m, 1]
        own, weights, distance = level.near[y, x], np.float32(0), np.float32(0)
        red, green, blue = np.float32(0), np.float32(0), np.float32(0)
        for row in range(max(0, y - RADIUS), min(height, y + RADIUS + 1)):
            for column in range(max(0, x - RADIUS), min(width, x + RADIUS + 1)):
                k = patches.number[row, column]
                if k < 0 or field.sources[k, 0] < 0:
                    continue
                if abs(level.near[row, column] - own) > level.alike:
                    continue
                off = np.float32(field.distances[k])
                weight = patches.trust[row, column] * np.exp(-off / np.float32(spread))
                weight += np.float32(1e-12)
                source_y, source_x = field.sources[k, 0] + y - row, field.sources[k, 1] + x - column
                red += weight * level.image[source_y, source_x, 0]
                green += weight * level.image[source_y, source_x, 1]
                blue += weight * level.image[source_y, source_x, 2]
                weights += weight
                distance += weight * off
        votes.doubt[m] = np.inf
        if weights > 0:
            votes.doubt[m] = distance / weights
            votes.colors[m, 0] = red / weights
            votes.colors[m, 1] = green / weights
            votes.colors[m, 2] = blue / weights


@jit
def smooth(
    level: Level,
    places: np.ndarray,
    window: np.ndarray,
    begin: int,
    end: int,
    smoothed: np.ndarray,
) -> None:
    """Mean over a window, of what is as far away, at the pixels begin .. end.

    Args:
        level: Level.   places: (M, 2) int32, y and x.
        window: (S,) float32, weights along one axis, S odd.
        smoothed: (M, 3) float32, receives the means, RGB in [0, 255].
    """
    (height, width), radius = level.near.shape, window.shape[0] // 2
    for m in range(begin, end):
        y, x = np.int64(places[m, 0]), np.int64(places[m, 1])
        own, weights = level.near[y, x], np.float32(0)
        red, green, blue = np.float32(0), np.float32(0), np.float32(0)
        for row in range(max(0, y - radius), min(height, y + radius + 1)):
            left = max(0, x - radius)
            left += (left - x + row - y) & 1  # half of them, as on a chessboard, say the same
            for column in range(left, min(width, x + radius + 1), 2):
                if abs(level.near[row, column] - own) > level.alike:
                    continue
                weight = window[row - y + radius] * window[column - x + radius]
                red += weight * level.image[row, column, 0]
                green += weight * level.image[row, column, 1]
                blue += weight * level.image[row, column, 2]
                weights += weight
        smoothed[m, 0], smoothed[m, 1] = red / weights, green / weights
        smoothed[m, 2] = blue / weights


@jit
def enlarge(
    coarse: np.ndarray,
    coarse_near: np.ndarray,
    near: np.ndarray,
    alike: float,
    begin: int,
    end: int,
    enlarged: np.ndarray,
) -> None:
    """Enlarge the rows begin .. end of a map, each pixel from its own surface (Kopf et al. 2007).

    Args:
        coarse: (h, w, C) float32, bilinear where all is one surface.
        coarse_near: (h, w) float32 disparity.   near: (H, W) float32 at full size.
        alike: disparities closer than this are one surface.
        enlarged: (H, W, C) float32, written.
    """
    (rows, columns), (height, width) = coarse_near.shape, near.shape
    for y in range(begin, end):
        down = np.float32((y + 0.5) * rows / height - 0.5)
        for x in range(width):
            right = np.float32((x + 0.5) * columns / width - 0.5)
            weights = np.float32(0)
            for c in range(coarse.shape[2]):
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
                        for c in range(coarse.shape[2]):
                            enlarged[y, x, c] += weight * coarse[row, column, c]
            for c in range(coarse.shape[2]):
                if weights > 0:
                    enlarged[y, x, c] /= weights
                else:
                    enlarged[y, x, c] = coarse[best_row, best_column, c]
