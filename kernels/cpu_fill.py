"""The last holes of a frame, on the CPU (Numba): which known pixel each takes its value from.

Large holes are inpainted before, once per film, by a network or by the rule in
`utils/scene/filling.py`; here is what is left in a frame, so speed counts and nothing is lifted.
Rays leave a hole pixel in 16 directions and their opposites; the shortest line with two known
ends wins. Two things spare most of the steps, and the result is that of walking them all:

* Bounds: a map holds for every hole pixel how near the first known pixel is in each of 16 sectors:
  straight along the axes and diagonals, and in the eight wedges between them. No ray can end
  sooner, so a direction whose line would be too long even then, or would end outside the frame,
  is never walked.
* Leaps: the distance to anything that is no hole, in any direction, which a ray can leap over.

Frames are padded by one pixel as in `cpu.py`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from .jit import jit
from .threads import run_all

if TYPE_CHECKING:
    import torch

# Directions in the order that decides ties; each is walked forwards and backwards.
DIRECTIONS = np.array(
    [(-1, 1), (0, 1), (1, 1), (1, 0), (-1, 2), (1, 2), (2, 1), (2, -1),
     (-2, 3), (-1, 3), (1, 3), (2, 3), (3, 2), (3, 1), (3, -1), (3, -2)], np.float32
)  # fmt: skip

UNITS = DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True).astype(np.float32)

# State of a padded pixel (uint8); a hole at Chebyshev distance n from all others holds 1 + n.
OUTSIDE, KNOWN, UNMEASURED = np.uint8(0), np.uint8(1), np.uint8(255)

# Sectors: first the straight ones, then the wedges between two of them, as steps (dx, dy) to the
# pixels whose own sectors make up the rest. `bounds` holds the steps to a sector's first known
# pixel (the larger coordinate counts), at most FAR, or NEVER if it holds none.
STRAIGHT = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
FAR, NEVER = np.uint8(254), np.uint8(255)
STEPS_AWAY = np.array(STRAIGHT)


def _sector_of(direction):
    """The sector of a direction: a straight one, or 8 + the wedge that follows straight one."""
    for sector, straight in enumerate(STRAIGHT):
        following = STRAIGHT[(sector + 1) % 8]
        after = straight[0] * direction[1] - straight[1] * direction[0]
        before = direction[0] * following[1] - direction[1] * following[0]
        if after == 0 and np.dot(straight, direction) > 0:
            return sector
        if after > 0 and before > 0:
            return 8 + sector
    raise AssertionError(direction)


@lru_cache(maxsize=8)
def ray_tables(height: int, width: int) -> tuple[np.ndarray, ...]:
    """Where each ray is after k unit steps, and how soon it can meet something.

    Returns:
        steps (16, K, 2) int32: x, y after k steps, each coordinate rounded to a pixel.
        firsts (16, 256) int32: the first step whose larger coordinate reaches a distance.
        lengths (16, 256) float32: how far any step from that one on leads at least, px.
        sectors (16, 2) int64: the sector behind and the one ahead.
    """
    count = int(np.hypot(height, width)) + 3
    # Summed step by step in single precision, and halves rounded away from zero: that decides
    # which pixels a ray meets, so every twin does the same (docs/method/inpainting.md, Filling).
    walked = np.cumsum(np.broadcast_to(UNITS[:, None], (16, count, 2)), axis=1, dtype=np.float32)
    steps = np.zeros((16, count + 1, 2), np.int32)
    steps[:, 1:] = np.sign(walked) * np.floor(np.abs(walked) + np.float32(0.5))
    distances = np.arange(256)
    reach = np.abs(steps).max(axis=2)
    firsts = np.stack([np.searchsorted(row, distances) for row in reach])
    firsts = np.minimum(firsts, count).astype(np.int32)
    along = (steps * UNITS[:, None]).sum(axis=2)
    shortest = np.minimum.accumulate(along[:, ::-1], axis=1)[:, ::-1]
    lengths = np.take_along_axis(shortest, firsts, axis=1).astype(np.float32)
    lengths[:, NEVER] = np.inf
    sectors = [(_sector_of(-d), _sector_of(d)) for d in DIRECTIONS]
    return steps, firsts, lengths, np.array(sectors, np.int64)


def empty_bounds(height: int, width: int) -> np.ndarray:
    """The map (P, 16) that `find_sources` works in: 0 for known pixels, NEVER for the padding."""
    bounds = np.zeros((height + 2, width + 2, 16), np.uint8)
    bounds[[0, -1]] = bounds[:, [0, -1]] = NEVER
    return bounds.reshape(-1, 16)


@jit
def clear_bounds(state: np.ndarray, bounds: np.ndarray) -> None:
    """Make of any map (P, 16) one that serves as `empty_bounds`, for the holes of a state map."""
    height, width = state.shape
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            if state[y, x] != UNMEASURED:
                continue
            for row in range(y - 1, y + 2):
                for column in range(x - 1, x + 2):
                    here = row == y and column == x
                    if here or state[row, column] != UNMEASURED:
                        value = NEVER if state[row, column] == OUTSIDE else np.uint8(0)
                        for sector in range(16):
                            bounds[row * width + column, sector] = value


@jit
def _list_holes(state):
    """Padded indices of the holes, in raster order."""
    flat, count = state.reshape(-1), 0
    for p in range(flat.shape[0]):
        count += flat[p] == UNMEASURED
    holes = np.empty(count, np.int32)
    count = 0
    for p in range(flat.shape[0]):
        if flat[p] == UNMEASURED:
            holes[count] = p
            count += 1
    return holes


@jit
def _further(bounds, first, second, sector):
    """A sector's bound is one more than the smaller of those that its two parts have."""
    near = min(bounds[first, sector], bounds[second, sector])
    # FAR stands for any distance from there on; a hole that large is walked without bounds.
    return near + (near < FAR)


@jit
def _reverse_rows(holes, stride):
    """The holes row by row, but each row from right to left."""
    turned, begin = np.empty(holes.shape[0], np.int32), 0
    while begin < holes.shape[0]:
        end = begin + 1
        while end < holes.shape[0] and holes[end] // stride == holes[begin] // stride:
            end += 1
        for i in range(begin, end):
            turned[i] = holes[begin + end - 1 - i]
        begin = end
    return turned


@jit
def measure_holes(state: np.ndarray, holes: np.ndarray, bounds: np.ndarray) -> None:
    """Measure the bounds of every hole, and from them its distance to anything that is none.

    Each pass visits the holes in an order in which the parts of its sectors are done before.

    Args:
        state: padded (H + 2, W + 2); holes (M,) receive 1 + Chebyshev distance.
        holes: padded indices in raster order.   bounds: from `empty_bounds`, receives theirs.
    """
    flat, stride = state.reshape(-1), state.shape[1]
    count, turned = holes.shape[0], _reverse_rows(holes, stride)
    to = np.empty(9, np.int64)  # offsets of the steps of STRAIGHT, the first once more at the end
    for s in range(9):
        to[s] = STEPS_AWAY[s & 7, 1] * stride + STEPS_AWAY[s & 7, 0]
    for i in range(count):  # what looks left or up; from the top right: what looks up and right
        p, q = holes[i], turned[i]
        for s in range(4, 8):
            bounds[p, s] = _further(bounds, p + to[s], p + to[s], s)
        for s in range(4, 7):
            bounds[p, s + 8] = _further(bounds, p + to[s], p + to[s + 1], s + 8)
        bounds[q, 15] = _further(bounds, q + to[7], q + to[8], 15)
    for i in range(count - 1, -1, -1):  # the same in the opposite directions
        p, q = holes[i], turned[i]
        for s in range(4):
            bounds[p, s] = _further(bounds, p + to[s], p + to[s], s)
        for s in range(3):
            bounds[p, s + 8] = _further(bounds, p + to[s], p + to[s + 1], s + 8)
        bounds[q, 11] = _further(bounds, q + to[3], q + to[4], 11)
    for i in range(count):
        p, nearest = np.int64(holes[i]), np.int64(FAR)
        x, y = p % stride, p // stride
        nearest = min(nearest, x, y, stride - 1 - x, state.shape[0] - 1 - y)
        for wedge in range(8, 16):
            nearest = min(nearest, np.int64(bounds[p, wedge]))
        flat[p] = nearest + KNOWN


@jit
def _forget(bounds, holes):
    """Clear the bounds of the holes, so that the map can be used for the next frame."""
    for i in range(holes.shape[0]):
        for sector in range(16):
            bounds[holes[i], sector] = 0


@jit
def _walk(flat, pixel, offsets, sign, first, limit):
    """Number of steps to the first known pixel; 0 if the frame or the limit ends before."""
    k = np.uint32(first)  # unsigned indices spare the test for negative ones
    while k <= np.uint32(limit):
        state = flat[np.uint32(pixel + sign * offsets[k])]
        if state <= KNOWN:
            return np.int64(k) if state == KNOWN else 0
        k = np.uint32(k + state - KNOWN)  # no step moves further than one pixel
    return 0


@jit
def _improve_ends(state, holes, places, bounds, ray, best, shortest, ends):
    """Try one direction on all holes: keep its line where it is shorter than the best so far.

    Args:
        places: columns (M,) and rows (M,), padded, of the holes.
        ray: of one direction from `ray_tables`: steps, firsts, lengths, sectors.
        best: (M,) squared length of the best line.   shortest: (M,) its length, px.
        ends: (M, 2), the padded indices of its ends.
    """
    (columns, rows), (steps, firsts, lengths, sectors) = places, ray
    flat, height, stride = state.reshape(-1), state.shape[0], state.shape[1]
    x, y = steps[:, 0].copy(), steps[:, 1].copy()
    offsets, last = y * np.int32(stride) + x, len(x) - 1
    for i in range(holes.shape[0]):
        p = holes[i]
        behind, before = bounds[p, sectors[0]], bounds[p, sectors[1]]
        # Even if both ends were the first pixels possible, the line would be longer than the best.
        if lengths[behind] + lengths[before] > shortest[i]:
            continue
        # Nothing is known before these steps; if they leave the frame, the line has no end.
        first, start = firsts[behind], firsts[before]
        left, top = columns[i] - x[first], rows[i] - y[first]
        right, bottom = columns[i] + x[start], rows[i] + y[start]
        if min(left, right, top, bottom) < 0:
            continue
        if max(left, right) >= stride or max(top, bottom) >= height:
            continue
        # Rounding shortens a line by less than two steps, so longer ones cannot win.
        longest = min(int(shortest[i]) + 2, 2 * last)
        back = _walk(flat, p, offsets, -1, first, max(min(longest - start, last), 0))
        if back == 0:
            continue
        ahead = _walk(flat, p, offsets, 1, start, max(min(longest - back, last), 0))
        if ahead == 0:
            continue
        across, along = np.int64(x[back] + x[ahead]), np.int64(y[back] + y[ahead])
        squared = across * across + along * along
        # Strictly, so that of equal lines the earlier direction stays
        # (docs/method/inpainting.md, Filling).
        if squared < best[i]:
            best[i], shortest[i] = squared, np.float32(np.sqrt(np.float64(squared)))
            ends[i, 0], ends[i, 1] = p - offsets[back], p + offsets[ahead]


@jit
def find_ends(
    state: np.ndarray,
    holes: np.ndarray,
    bounds: np.ndarray,
    steps: np.ndarray,
    firsts: np.ndarray,
    lengths: np.ndarray,
    sectors: np.ndarray,
    ends: np.ndarray,
) -> None:
    """Find both ends of the shortest line through each hole pixel that has two known ends.

    Direction by direction, because neighbouring holes then take nearly the same branches.

    Args:
        state, holes, bounds: as `measure_holes` left them.   The rest: from `ray_tables`.
        ends: (M, 2) int32, receives padded indices (backwards, forwards), -1 if there is no line.
    """
    count, stride = holes.shape[0], np.int32(state.shape[1])
    best, shortest = np.empty(count, np.int64), np.empty(count, np.float32)
    columns, rows = np.empty(count, np.int32), np.empty(count, np.int32)
    for i in range(count):
        ends[i, 0], ends[i, 1] = -1, -1
        best[i], shortest[i] = np.int64(1) << 40, np.float32(1e9)
        columns[i], rows[i] = holes[i] % stride, holes[i] // stride
    for d in range(steps.shape[0]):
        ray = steps[d], firsts[d], lengths[d], sectors[d]
        _improve_ends(state, holes, (columns, rows), bounds, ray, best, shortest, ends)


@jit
def _nearest_rows(state, rows):
    """Row of the nearest known pixel in the same column, per padded pixel; -1 if none."""
    height, width = state.shape
    for x in range(width):
        rows[0, x] = -1
    for y in range(1, height):
        for x in range(width):
            rows[y, x] = y if state[y, x] == KNOWN else rows[y - 1, x]
    for y in range(height - 2, 0, -1):
        for x in range(width):
            below = rows[y + 1, x]
            if below > y and (rows[y, x] < 0 or below - y < y - rows[y, x]):
                rows[y, x] = below


@jit
def _nearest_known(rows, pixel):
    """Padded index of the known pixel nearest to `pixel`, or -1 if there is none."""
    stride = rows.shape[1]
    y, x = pixel // stride, pixel % stride
    best, source = np.int64(1) << 40, -1
    for dx in range(stride):
        if dx * dx >= best:
            break
        for column in (x - dx, x + dx):
            if 0 < column < stride - 1 and rows[y, column] >= 0:
                dy = rows[y, column] - y
                if dx * dx + dy * dy < best:
                    best, source = dx * dx + dy * dy, rows[y, column] * stride + column
    return source


@jit
def _nearness_at(nearness, pixel, stride):
    """Nearness of a known pixel; where it is 0 (not measured), that of its nearest neighbour."""
    value = nearness[pixel]
    if value == 0:
        for row in range(-1, 2):
            p = pixel + row * stride
            value = max(value, nearness[p - 1], nearness[p], nearness[p + 1])
    return value


@jit
def choose_sources(
    state: np.ndarray,
    holes: np.ndarray,
    ends: np.ndarray,
    nearness: np.ndarray,
    sources: np.ndarray,
) -> None:
    """Pick per hole the farther end (backwards on a tie), else the nearest known pixel.

    Args:
        nearness: flat padded array, smaller = farther, read at the ends only.
        sources: (M,) int32, receives padded indices; -1 where nothing is known at all.
    """
    stride = state.shape[1]
    rows = np.empty((0, 0), np.int32)
    for i in range(holes.shape[0]):
        if ends[i, 0] >= 0:
            back = _nearness_at(nearness, ends[i, 0], stride)
            ahead = _nearness_at(nearness, ends[i, 1], stride)
            # What was uncovered belongs to what is behind.
            sources[i] = ends[i, 1] if ahead < back else ends[i, 0]
            continue
        if rows.size == 0:
            rows = np.empty(state.shape, np.int32)
            _nearest_rows(state, rows)
        sources[i] = _nearest_known(rows, holes[i])


def find_sources(
    state: np.ndarray, nearness: np.ndarray, bounds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Holes of a padded state map (H + 2, W + 2) and the pixel that each takes its value from.

    Args:
        state: OUTSIDE, KNOWN or, for every hole, UNMEASURED; overwritten by distances.
        nearness: (H + 2, W + 2), smaller = farther; 0 = ask the neighbours.
        bounds: from `empty_bounds`; the same again on return.
    Returns:
        holes (M,) and sources (M,), padded indices; a source is -1 if no pixel is known.
    """
    holes = _list_holes(state)
    measure_holes(state, holes, bounds)
    ends, sources = np.empty((len(holes), 2), np.int32), np.empty(len(holes), np.int32)
    tables = ray_tables(state.shape[0] - 2, state.shape[1] - 2)
    find_ends(state, holes, bounds, *tables, ends)
    _forget(bounds, holes)
    choose_sources(state, holes, ends, nearness.reshape(-1), sources)
    return holes, sources


def _fill_one(view, depth):
    """Fill one sample in place: view (C, H, W); depth (H, W) <= 0 marks its holes."""
    known = depth > 0
    state = np.pad(np.where(known, KNOWN, UNMEASURED), 1, constant_values=OUTSIDE)
    bounds = empty_bounds(*depth.shape)
    holes, sources = find_sources(state, np.pad(-depth, 1), bounds)
    holes, sources = holes[sources >= 0], sources[sources >= 0]
    (to_y, to_x), (from_y, from_x) = (np.unravel_index(p, state.shape) for p in (holes, sources))
    view[:, to_y - 1, to_x - 1] = view[:, from_y - 1, from_x - 1]


def fill_disocclusion(view: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
    """See `kernels.fill_disocclusion`."""
    filled = view.clone()
    run_all(_fill_one, list(zip(filled.numpy(), depth[:, 0].numpy(), strict=True)))
    return filled
