"""One frame of a film on the CPU (Numba): the fused fast path behind `kernels.render_frame`.

Same method as `cpu.py`, written for speed: points are projected in blocks that stay in the
first-level cache (a vectorised loop), then scattered; red, green, blue and weight of a pixel lie
side by side, so one add is one vector operation. A frame is rendered by one thread without the
GIL, in the order of the points; films render several frames in a thread pool.
"""

import threading

import numpy as np

from .cpu import COVERAGE_THRESHOLD, NEAR_PLANE, NOWHERE, _clear_padding, degrid
from .cpu_fill import FARTHEST, KNOWN, OUTSIDE, find_sources, ray_tables
from .jit import jit

TOLERANCE = np.float32(1)  # a point this much behind the z-buffer (in disparity) still shows
BLOCK = 1024  # points projected together
GROW_FROM = np.float32(1.25)  # projected spacing (px) from which a point's footprint grows
LARGEST_FOOTPRINT = np.float32(32)  # bounds the work for points right before the camera
ONE, HALF = np.float32(1), np.float32(0.5)

_local = threading.local()


class _Scratch:
    """Buffers that one thread reuses for every frame of one size."""

    def __init__(self, size):
        padded = (size[0] + 2, size[1] + 2)
        self.size = size
        self.zbuffer = np.empty(padded, np.float32)
        self.closed = np.empty(padded, np.float32)
        self.sums = np.empty((padded[0] * padded[1], 4), np.float32)
        self.state = np.empty(padded, np.uint8)


def _scratch(size):
    """This thread's buffers for a frame of `size`."""
    if getattr(_local, "scratch", None) is None or _local.scratch.size != size:
        _local.scratch = _Scratch(size)
    return _local.scratch


@jit
def _project_block(points, spacing, camera, size, begin, count, xs, ys, keys, spreads):
    """Project points begin .. begin + count into a padded frame; a dropped one gets spread 0.

    xs, ys: position + 1.   keys: disparity.   spreads: half-width of the footprint, px.
    """
    shift_x, shift_y, shift_z = camera[0], camera[1], camera[2]
    focal, scale = camera[3], camera[4]
    width, height = np.float32(size[1]), np.float32(size[0])
    center_x, center_y = HALF * width + HALF, HALF * height + HALF
    growing = spacing.shape[0] > 0
    for j in range(count):
        i = begin + j
        z = points[2, i] + shift_z
        near = z >= NEAR_PLANE and z < np.float32(np.inf)
        inverse = ONE / (z if near else ONE)
        x = (points[0, i] + shift_x) * (focal * inverse) + center_x
        y = (points[1, i] + shift_y) * (focal * inverse) + center_y
        spread = ONE
        if growing:
            spread = max(ONE, min(focal * spacing[i] * inverse, LARGEST_FOOTPRINT))
            spread = spread if spread > GROW_FROM else ONE
        margin = spread - ONE
        inside = x > -margin and x < width + ONE + margin
        inside = inside and y > -margin and y < height + ONE + margin
        seen = near and inside
        xs[j] = x if seen else ONE
        ys[j] = y if seen else ONE
        keys[j] = scale * inverse if seen else NOWHERE
        spreads[j] = spread if seen else np.float32(0)


@jit
def _span(position, reach, size):
    """First pixel within reach and the one after the last, inside the padded frame's frame."""
    return max(int(np.ceil(position - reach)), 1), min(int(np.floor(position + reach)), size) + 1


@jit
def _spread_disparity(zbuffer, x, y, key, spread):
    """Write a grown footprint's disparity over all pixels within half its spacing."""
    first_x, last_x = _span(x, HALF * spread, zbuffer.shape[1] - 2)
    first_y, last_y = _span(y, HALF * spread, zbuffer.shape[0] - 2)
    for row in range(first_y, last_y):
        for column in range(first_x, last_x):
            zbuffer[row, column] = max(zbuffer[row, column], key)


@jit
def _largest_disparity(points, spacing, camera, size, zbuffer):
    """Keep per pixel of the padded z-buffer the largest disparity; 0 = empty."""
    zbuffer[:] = np.float32(0)
    xs, ys, keys, spreads = np.empty((4, BLOCK), np.float32)
    flat, stride = zbuffer.reshape(-1), zbuffer.shape[1]
    for begin in range(0, points.shape[1], BLOCK):
        count = min(BLOCK, points.shape[1] - begin)
        _project_block(points, spacing, camera, size, begin, count, xs, ys, keys, spreads)
        for j in range(count):
            if spreads[j] <= ONE:
                pixel = int(ys[j] + HALF) * stride + int(xs[j] + HALF)
                flat[pixel] = max(flat[pixel], keys[j])
            else:
                _spread_disparity(zbuffer, xs[j], ys[j], keys[j], spreads[j])
    _clear_padding(zbuffer, NOWHERE)


@jit
def _splat_wide(closed, sums, x, y, key, spread, red, green, blue):
    """Add a grown footprint: a tent as wide as the point's spacing (upsampling, bilinearly)."""
    stride = closed.shape[1]
    first_x, last_x = _span(x, spread, stride - 2)
    first_y, last_y = _span(y, spread, closed.shape[0] - 2)
    slope = ONE / spread
    for row in range(first_y, last_y):
        for column in range(first_x, last_x):
            weight = max(ONE - abs(np.float32(column) - x) * slope, np.float32(0))
            weight *= max(ONE - abs(np.float32(row) - y) * slope, np.float32(0))
            if key >= closed[row, column] - TOLERANCE:
                pixel = row * stride + column
                sums[pixel, 0] += red * weight
                sums[pixel, 1] += green * weight
                sums[pixel, 2] += blue * weight
                sums[pixel, 3] += weight


@jit
def _splat(points, colors, spacing, camera, size, closed, sums):
    """Add all points that pass the depth test to the sums (P, 4): red, green, blue, weight."""
    sums[:] = np.float32(0)
    xs, ys, keys, spreads = np.empty((4, BLOCK), np.float32)
    flat, stride = closed.reshape(-1), closed.shape[1]
    for begin in range(0, points.shape[1], BLOCK):
        count = min(BLOCK, points.shape[1] - begin)
        _project_block(points, spacing, camera, size, begin, count, xs, ys, keys, spreads)
        for j in range(count):
            if spreads[j] <= np.float32(0):
                continue
            red = np.float32(colors[begin + j, 0])
            green = np.float32(colors[begin + j, 1])
            blue = np.float32(colors[begin + j, 2])
            if spreads[j] > ONE:
                _splat_wide(closed, sums, xs[j], ys[j], keys[j], spreads[j], red, green, blue)
                continue
            left, top = int(xs[j]), int(ys[j])
            right, down = xs[j] - np.float32(left), ys[j] - np.float32(top)
            for k in range(4):
                pixel = (top + (k >> 1)) * stride + left + (k & 1)
                weight = (right if k & 1 else ONE - right) * (down if k >> 1 else ONE - down)
                if keys[j] >= flat[pixel] - TOLERANCE:
                    sums[pixel, 0] += red * weight
                    sums[pixel, 1] += green * weight
                    sums[pixel, 2] += blue * weight
                    sums[pixel, 3] += weight


@jit
def _normalise(sums, frame, holes):
    """Divide by the weights, round to 8 bit, and mark the pixels that got nothing."""
    height, width = holes.shape
    for y in range(height):
        for x in range(width):
            pixel = (y + 1) * (width + 2) + x + 1
            weight = sums[pixel, 3]
            hole = not weight >= COVERAGE_THRESHOLD
            holes[y, x] = hole
            inverse = np.float32(0) if hole else ONE / weight
            for c in range(3):
                frame[y, x, c] = np.uint8(sums[pixel, c] * inverse + HALF)


@jit
def _nearness(closed, nearness):
    """Disparity of every pixel; where no point is nearest, that of its nearest neighbour."""
    for y in range(1, closed.shape[0] - 1):
        for x in range(1, closed.shape[1] - 1):
            value = closed[y, x]
            if value <= 0:
                for row in range(y - 1, y + 2):
                    for column in range(x - 1, x + 2):
                        value = max(value, closed[row, column])
            nearness[y, x] = value


def _fill(frame, holes, scratch):
    """Fill the holes of the frame from the farther side."""
    height, width = scratch.size
    scratch.state[:] = OUTSIDE
    scratch.state[1:-1, 1:-1] = np.where(holes, FARTHEST, KNOWN)
    _nearness(scratch.closed, scratch.zbuffer)
    to, origin = find_sources(scratch.state, scratch.zbuffer, ray_tables(height, width))
    to, origin = to[origin >= 0], origin[origin >= 0]
    (to_y, to_x), (from_y, from_x) = (
        np.unravel_index(p, scratch.state.shape) for p in (to, origin)
    )
    frame[to_y - 1, to_x - 1] = frame[from_y - 1, from_x - 1]


def render_frame(points, colors, shift, size, focal_px, disparity_scale, spacing, fill):
    """See `kernels.render_frame`; spacing may be None."""
    scratch = _scratch(size)
    spacing = np.empty(0, np.float32) if spacing is None else spacing
    camera = np.array([*shift, focal_px, disparity_scale], np.float32)
    _largest_disparity(points, spacing, camera, size, scratch.zbuffer)
    degrid(scratch.zbuffer, scratch.closed, TOLERANCE)
    _splat(points, colors, spacing, camera, size, scratch.closed, scratch.sums)
    frame, holes = np.empty((*size, 3), np.uint8), np.empty(size, np.bool_)
    _normalise(scratch.sums, frame, holes)
    if fill and holes.any():
        _fill(frame, holes, scratch)
    return frame, holes
