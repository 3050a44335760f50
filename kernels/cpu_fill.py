"""Hole filling on the CPU (Numba): which known pixel each hole takes its value from.

Rays leave a hole pixel in 16 directions and their opposites. Instead of looking at every step
they jump over empty space: a map holds for every hole pixel its Chebyshev distance to the next
pixel that is not a hole, and no ray can meet one sooner. The result is that of the step by step
walk. Frames are padded by one pixel as in `cpu.py`.
"""

from functools import lru_cache

import numpy as np

from .jit import jit

# Directions in the order that decides ties; each is walked forwards and backwards.
DIRECTIONS = np.array(
    [(-1, 1), (0, 1), (1, 1), (1, 0), (-1, 2), (1, 2), (2, 1), (2, -1),
     (-2, 3), (-1, 3), (1, 3), (2, 3), (3, 2), (3, 1), (3, -1), (3, -2)], np.float32
)  # fmt: skip

# Values of the padded state map (uint8); a hole at distance n holds 1 + n, at most FARTHEST.
OUTSIDE, KNOWN, FARTHEST = np.uint8(0), np.uint8(1), np.uint8(255)


@lru_cache(maxsize=8)
def ray_tables(height, width):
    """Where each ray is after k unit steps, and how many steps are safe at a distance.

    Returns:
        steps (16, K, 2) int32: x, y after k steps, each coordinate rounded to a pixel.
        skips (16, 256) int32: state of the map -> steps until a ray can meet another state.
    """
    unit = DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True).astype(np.float32)
    count = int(np.hypot(height, width)) + 3
    walked = np.cumsum(np.broadcast_to(unit[:, None], (16, count, 2)), axis=1, dtype=np.float32)
    steps = np.zeros((16, count + 1, 2), np.int32)
    steps[:, 1:] = np.sign(walked) * np.floor(np.abs(walked) + np.float32(0.5))
    # m steps move a rounded position by at most ceil(m * largest component) pixels, so all of
    # m <= (distance - 1) / component are safe, and the step after those is worth a look.
    distance = np.maximum(np.arange(256) - int(KNOWN), 1)
    largest = np.abs(unit).max(axis=1, keepdims=True).astype(np.float64)
    skips = np.floor((distance - 1) / (largest + 1e-6)).astype(np.int32) + 1
    return steps, skips


@jit
def measure_holes(state, holes):
    """Turn the state of the hole pixels (padded indices in raster order) into distances.

    On entry holes hold FARTHEST; on return 1 + Chebyshev distance to the next other state.
    """
    flat, stride = state.reshape(-1), state.shape[1]
    for i in range(holes.shape[0]):
        p = holes[i]
        above = min(flat[p - stride - 1], flat[p - stride], flat[p - stride + 1])
        flat[p] = min(max(min(flat[p - 1], above), KNOWN), FARTHEST - KNOWN) + KNOWN
    for i in range(holes.shape[0] - 1, -1, -1):
        p = holes[i]
        below = min(flat[p + stride - 1], flat[p + stride], flat[p + stride + 1])
        near = min(max(min(flat[p + 1], below), KNOWN), FARTHEST - KNOWN) + KNOWN
        flat[p] = min(flat[p], near)


@jit
def _walk(flat, stride, pixel, steps, skips, sign, limit):
    """Number of steps to the first pixel that is no hole; 0 if outside or beyond the limit."""
    k = 1
    while k <= limit:
        state = flat[pixel + sign * (steps[k, 1] * stride + steps[k, 0])]
        if state <= KNOWN:
            return k if state == KNOWN else 0
        k += skips[state]
    return 0


@jit
def find_ends(state, holes, steps, skips, ends):
    """Find both ends of the shortest line through each hole pixel that has two known ends.

    Args:
        state: (H + 2, W + 2) uint8 with measured holes.   holes: (M,) padded indices.
        steps, skips: from `ray_tables`.
        ends: (M, 2) int32, receives padded indices (backwards, forwards), -1 if there is no line.
    """
    flat, stride = state.reshape(-1), state.shape[1]
    count = steps.shape[1] - 1
    for i in range(holes.shape[0]):
        p = holes[i]
        ends[i] = -1
        best = np.int64(1) << 60  # squared length of the line
        limit = count
        for d in range(steps.shape[0]):
            back = _walk(flat, stride, p, steps[d], skips[d], -1, limit)
            if back == 0:
                continue
            ahead = _walk(flat, stride, p, steps[d], skips[d], 1, min(limit - back + 2, count))
            if ahead == 0:
                continue
            x = np.int64(steps[d, back, 0] + steps[d, ahead, 0])
            y = np.int64(steps[d, back, 1] + steps[d, ahead, 1])
            if x * x + y * y < best:
                best = x * x + y * y
                # Rounding shortens a line by less than two steps, so longer ones cannot win.
                limit = min(count, int(np.sqrt(best)) + 3)
                ends[i, 0] = p - steps[d, back, 1] * stride - steps[d, back, 0]
                ends[i, 1] = p + steps[d, ahead, 1] * stride + steps[d, ahead, 0]


@jit
def nearest_rows(state, rows):
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
def nearest_known(rows, pixel):
    """Padded index of the known pixel nearest to `pixel`, or -1 if there is none."""
    stride = rows.shape[1]
    y, x = pixel // stride, pixel % stride
    best, source = np.int64(1) << 60, -1
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
def choose_sources(state, holes, ends, nearness, sources):
    """Pick per hole the farther end (backwards on a tie), else the nearest known pixel.

    Args:
        nearness: flat padded array, smaller = farther, read at the ends only.
        sources: (M,) int32, receives padded indices; -1 where nothing is known at all.
    """
    rows = np.empty((0, 0), np.int32)
    for i in range(holes.shape[0]):
        if ends[i, 0] >= 0:
            ahead = nearness[ends[i, 1]] < nearness[ends[i, 0]]
            sources[i] = ends[i, 1] if ahead else ends[i, 0]
            continue
        if rows.size == 0:
            rows = np.empty(state.shape, np.int32)
            nearest_rows(state, rows)
        sources[i] = nearest_known(rows, holes[i])


def find_sources(state, nearness, tables):
    """Holes of a padded state map (H + 2, W + 2) and the pixel that each takes its value from.

    Args:
        state: OUTSIDE, KNOWN or, for every hole, FARTHEST; overwritten by distances.
        nearness: (H + 2, W + 2), smaller = farther.   tables: from `ray_tables`.
    Returns:
        holes (M,) and sources (M,), padded indices; a source is -1 if no pixel is known.
    """
    holes = np.flatnonzero(state == FARTHEST).astype(np.int32)
    measure_holes(state, holes)
    ends, sources = np.empty((len(holes), 2), np.int32), np.empty(len(holes), np.int32)
    find_ends(state, holes, *tables, ends)
    choose_sources(state, holes, ends, nearness.reshape(-1), sources)
    return holes, sources


def _fill_one(view, depth, tables):
    """Fill one sample in place: view (C, H, W); depth (H, W) <= 0 marks its holes."""
    known = depth > 0
    state = np.pad(np.where(known, KNOWN, FARTHEST), 1, constant_values=OUTSIDE)
    holes, sources = find_sources(state, np.pad(-depth, 1), tables)
    holes, sources = holes[sources >= 0], sources[sources >= 0]
    (to_y, to_x), (from_y, from_x) = (np.unravel_index(p, state.shape) for p in (holes, sources))
    view[:, to_y - 1, to_x - 1] = view[:, from_y - 1, from_x - 1]


def fill_disocclusion(view, depth):
    """See `kernels.fill_disocclusion`."""
    filled, depth = view.clone(), depth.numpy()
    for b in range(len(filled)):
        _fill_one(filled[b].numpy(), depth[b, 0], ray_tables(*view.shape[2:]))
    return filled
