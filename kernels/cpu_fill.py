"""Hole filling on the CPU (Numba): which known pixel each hole takes its value from.

Rays leave a hole pixel in 16 directions and their opposites; the shortest line with two known
ends wins. Two things spare most of the steps, and the result is that of walking them all:

* Wedges: the neighbourhood is cut into eight wedges of 45 degrees, and for every hole pixel a map
  holds how near the first known pixel of each is. No ray can end sooner, so a direction whose
  line would be too long even then, or would end outside the frame, is never walked.
* Leaps: the distance to anything that is no hole, in any direction, which a ray can leap over.

Frames are padded by one pixel as in `cpu.py`.
"""

from functools import lru_cache

import numpy as np

from .jit import jit

# Directions in the order that decides ties; each is walked forwards and backwards.
DIRECTIONS = np.array(
    [(-1, 1), (0, 1), (1, 1), (1, 0), (-1, 2), (1, 2), (2, 1), (2, -1),
     (-2, 3), (-1, 3), (1, 3), (2, 3), (3, 2), (3, 1), (3, -1), (3, -2)], np.float32
)  # fmt: skip

UNITS = DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True).astype(np.float32)

# State of a padded pixel (uint8); a hole at Chebyshev distance n from all others holds 1 + n.
OUTSIDE, KNOWN, FARTHEST = np.uint8(0), np.uint8(1), np.uint8(255)

# A wedge lies between an axis step and the diagonal step beside it: (dx, dy) of both. Wedge w + 4
# is opposite to wedge w. `wedges` holds the axis steps to its first known pixel, at most FAR, or
# NEVER if it holds none.
WEDGES = (
    ((1, 0), (1, 1)), ((0, 1), (1, 1)), ((0, 1), (-1, 1)), ((-1, 0), (-1, 1)),
    ((-1, 0), (-1, -1)), ((0, -1), (-1, -1)), ((0, -1), (1, -1)), ((1, 0), (1, -1)),
)  # fmt: skip
FAR, NEVER = np.uint8(254), np.uint8(255)


def _wedges_of(direction):
    """The two wedges that hold a direction (the same twice if it lies within one)."""
    dx, dy = direction
    fits = []
    for wedge, ((ax, ay), (bx, by)) in enumerate(WEDGES):
        along_axis = dx * (bx - ax) + dy * (by - ay)  # towards the diagonal, across the axis
        main = dx * ax + dy * ay
        if main > 0 and 0 <= along_axis <= main:
            fits.append(wedge)
    return fits[0], fits[-1]


@lru_cache(maxsize=8)
def ray_tables(height, width):
    """Where each ray is after k unit steps, and how soon it can meet something.

    Returns:
        steps (16, K, 2) int32: x, y after k steps, each coordinate rounded to a pixel.
        firsts (16, 256) int32: the first step whose larger coordinate reaches a distance.
        lengths (16, 256) float32: how far any step from that one on leads at least, px.
        leaps (16, 256) int32: state of a hole pixel -> steps to the next place worth a look.
        sides (16, 4) uint8: the two wedges behind and the two ahead.
    """
    count = int(np.hypot(height, width)) + 3
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
    # m steps move a rounded position by at most ceil(m * largest component) pixels, so all of
    # m <= (distance - 1) / component are safe, and the step after those is worth a look.
    empty = np.maximum(distances - int(KNOWN), 1) - 1
    largest = np.abs(UNITS).max(axis=1, keepdims=True).astype(np.float64)
    leaps = np.floor(empty / (largest + 1e-6)).astype(np.int32) + 1
    sides = [(*_wedges_of(-d), *_wedges_of(d)) for d in DIRECTIONS]
    return steps, firsts, lengths, leaps, np.array(sides, np.uint8)


def empty_wedges(height, width):
    """The map (P, 8) that `find_sources` works in: 0 for known pixels, NEVER for the padding."""
    wedges = np.zeros((height + 2, width + 2, 8), np.uint8)
    wedges[[0, -1]] = wedges[:, [0, -1]] = NEVER
    return wedges.reshape(-1, 8)


@jit
def _grow(wedges, p, wedge, first, second):
    """A wedge reaches one step further than the nearer of the two that it consists of."""
    near = min(wedges[p + first, wedge], wedges[p + second, wedge])
    wedges[p, wedge] = near + (near < FAR)


@jit
def measure_holes(state, holes, wedges):
    """Measure the wedges of every hole, and from them its distance to anything that is none.

    Each pass visits the holes in an order in which both parts of its wedges are done before.

    Args:
        state: padded (H + 2, W + 2); holes (M,) receive 1 + Chebyshev distance.
        holes: padded indices in raster order.   wedges: from `empty_wedges`, receives theirs.
    """
    flat, s = state.reshape(-1), state.shape[1]
    height, width = state.shape[0] - 2, s - 2
    count = holes.shape[0]
    for i in range(count):  # downwards, to the right
        p = holes[i]
        _grow(wedges, p, 4, -1, -1 - s)
        _grow(wedges, p, 5, -s, -1 - s)
        _grow(wedges, p, 6, -s, 1 - s)
    for i in range(count - 1, -1, -1):  # upwards, to the left
        p = holes[i]
        _grow(wedges, p, 0, 1, 1 + s)
        _grow(wedges, p, 1, s, 1 + s)
        _grow(wedges, p, 2, s, s - 1)
    end = count
    while end > 0:  # upwards, to the right
        begin = end - 1
        while begin > 0 and holes[begin - 1] // s == holes[end - 1] // s:
            begin -= 1
        for i in range(begin, end):
            _grow(wedges, holes[i], 3, -1, s - 1)
        end = begin
    begin = 0
    while begin < count:  # downwards, to the left
        end = begin + 1
        while end < count and holes[end] // s == holes[begin] // s:
            end += 1
        for i in range(end - 1, begin - 1, -1):
            _grow(wedges, holes[i], 7, 1, 1 - s)
        begin = end
    for i in range(count):
        y, x = holes[i] // s, holes[i] % s
        nearest = min(x, y, width + 1 - x, height + 1 - y, np.int64(FAR))
        for wedge in range(8):
            nearest = min(nearest, np.int64(wedges[holes[i], wedge]))
        flat[holes[i]] = nearest + KNOWN


@jit
def _walk(flat, stride, pixel, steps, leaps, sign, first, limit):
    """Number of steps to the first known pixel; 0 if the frame or the limit ends before."""
    k = first
    while k <= limit:
        state = flat[pixel + sign * (steps[k, 1] * stride + steps[k, 0])]
        if state <= KNOWN:
            return k if state == KNOWN else 0
        k += leaps[state]
    return 0


@jit
def _leaves(pixel, stride, rows, step, sign):
    """Whether a step from a pixel leads out of the padded frame."""
    x, y = pixel % stride + sign * step[0], pixel // stride + sign * step[1]
    return x < 0 or x >= stride or y < 0 or y >= rows


@jit
def _line(state, pixel, steps, leaps, first_back, first_ahead, longest):
    """Steps to both known ends of a line no longer than about `longest`, or (0, 0).

    There is nothing known before the first steps; if they leave the frame, there is no end.
    """
    flat, rows, stride = state.reshape(-1), state.shape[0], state.shape[1]
    if _leaves(pixel, stride, rows, steps[first_back], -1):
        return 0, 0
    if _leaves(pixel, stride, rows, steps[first_ahead], 1):
        return 0, 0
    # Rounding shortens a line by less than two steps, so longer ones cannot win.
    limit = min(longest + 2 - first_ahead, steps.shape[0] - 1)
    back = _walk(flat, stride, pixel, steps, leaps, -1, first_back, limit)
    if back == 0:
        return 0, 0
    limit = min(longest + 2 - back, steps.shape[0] - 1)
    ahead = _walk(flat, stride, pixel, steps, leaps, 1, first_ahead, limit)
    return (back, ahead) if ahead else (0, 0)


@jit
def find_ends(state, holes, wedges, steps, firsts, lengths, leaps, sides, ends):
    """Find both ends of the shortest line through each hole pixel that has two known ends.

    Args:
        state, holes, wedges: as `measure_holes` left them.   The rest: from `ray_tables`.
        ends: (M, 2) int32, receives padded indices (backwards, forwards), -1 if there is no line.
    """
    stride = state.shape[1]
    unbounded = np.int64(1) << 40
    winner = 3  # the direction that won last is tried first: it mostly wins again
    for i in range(holes.shape[0]):
        p = holes[i]
        ends[i] = -1
        best, best_direction, favourite = unbounded, -1, winner
        longest, shortest = steps.shape[1] * 2, np.float32(1e9)
        for turn in range(-1, 16):
            d = favourite if turn < 0 else turn
            if turn == favourite:
                continue
            behind = max(wedges[p, sides[d, 0]], wedges[p, sides[d, 1]])
            before = max(wedges[p, sides[d, 2]], wedges[p, sides[d, 3]])
            if lengths[d, behind] + lengths[d, before] > shortest:
                continue
            back, ahead = _line(
                state, p, steps[d], leaps[d], firsts[d, behind], firsts[d, before], longest
            )
            if back == 0:
                continue
            x = np.int64(steps[d, back, 0] + steps[d, ahead, 0])
            y = np.int64(steps[d, back, 1] + steps[d, ahead, 1])
            squared = x * x + y * y
            if squared < best or (squared == best and d < best_direction):
                best, best_direction, winner = squared, d, d
                length = np.sqrt(np.float64(best))
                longest, shortest = int(length) + 1, np.float32(length + 1e-2)
                ends[i, 0] = p - steps[d, back, 1] * stride - steps[d, back, 0]
                ends[i, 1] = p + steps[d, ahead, 1] * stride + steps[d, ahead, 0]


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
def choose_sources(state, holes, ends, nearness, sources):
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
            sources[i] = ends[i, 1] if ahead < back else ends[i, 0]
            continue
        if rows.size == 0:
            rows = np.empty(state.shape, np.int32)
            _nearest_rows(state, rows)
        sources[i] = _nearest_known(rows, holes[i])


def find_sources(state, nearness, wedges):
    """Holes of a padded state map (H + 2, W + 2) and the pixel that each takes its value from.

    Args:
        state: OUTSIDE, KNOWN or, for every hole, FARTHEST; overwritten by distances.
        nearness: (H + 2, W + 2), smaller = farther; 0 = ask the neighbours.
        wedges: from `empty_wedges`; the same again on return.
    Returns:
        holes (M,) and sources (M,), padded indices; a source is -1 if no pixel is known.
    """
    holes = np.flatnonzero(state == FARTHEST).astype(np.int32)
    measure_holes(state, holes, wedges)
    ends, sources = np.empty((len(holes), 2), np.int32), np.empty(len(holes), np.int32)
    tables = ray_tables(state.shape[0] - 2, state.shape[1] - 2)
    find_ends(state, holes, wedges, *tables, ends)
    wedges[holes] = 0
    choose_sources(state, holes, ends, nearness.reshape(-1), sources)
    return holes, sources


def _fill_one(view, depth):
    """Fill one sample in place: view (C, H, W); depth (H, W) <= 0 marks its holes."""
    known = depth > 0
    state = np.pad(np.where(known, KNOWN, FARTHEST), 1, constant_values=OUTSIDE)
    wedges = empty_wedges(*depth.shape)
    holes, sources = find_sources(state, np.pad(-depth, 1), wedges)
    holes, sources = holes[sources >= 0], sources[sources >= 0]
    (to_y, to_x), (from_y, from_x) = (np.unravel_index(p, state.shape) for p in (holes, sources))
    view[:, to_y - 1, to_x - 1] = view[:, from_y - 1, from_x - 1]


def fill_disocclusion(view, depth):
    """See `kernels.fill_disocclusion`."""
    filled, depth = view.clone(), depth.numpy()
    for b in range(len(filled)):
        _fill_one(filled[b].numpy(), depth[b, 0])
    return filled
