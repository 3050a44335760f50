"""One frame of a film on the CPU (Numba): the fused fast path behind `kernels.render_frame`.

The method of `cpu.py`, written for speed. Points are taken in blocks that stay in the first-level
cache: short loops without branches (which LLVM vectorises) project a block, then one loop scatters
it. Sums are whole numbers (`cpu_sums.py`), weights in units of 2**-16, so the result does not
depend on the order of the points at all. Frames are padded by one pixel as in `cpu.py`.

One thread renders a frame without the GIL; films render several frames in a thread pool.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .constants import (
    GROW_FROM,
    NEAR_PLANE,
    OVERLAP,
    TOLERANCE,
    WEIGHT_ONE,
    WIDEST_FOOTPRINT,
)
from .cpu import NOWHERE, degrid
from .cpu_camera import HALF, INFINITY, ONE, ZERO, place, span, to_camera
from .cpu_fill import KNOWN, OUTSIDE, UNMEASURED, clear_bounds, find_sources
from .cpu_numbers import average, cover, write_carried
from .cpu_rims import LEAST_WEIGHT, compose, empty_layer, splat_rims
from .cpu_sums import FULL_WEIGHT, HIGH_WORD, WORD, add, empty_carry
from .jit import jit

if TYPE_CHECKING:
    from .frames import Cloud, View

BLOCK = 1024  # points projected together


_local = threading.local()


class _Scratch:
    """Buffers that one thread reuses for every frame of one size."""

    def __init__(self, size):
        padded = (size[0] + 2, size[1] + 2)
        self.size = size
        self.zbuffer = np.empty(padded, np.float32)
        self.closed = np.empty(padded, np.float32)
        self.sums = np.empty(padded[0] * padded[1] * 2, np.uint64)
        self.carry = None  # made when a pixel is full
        self.state = np.full(padded, OUTSIDE, np.uint8)
        self.layer = None  # made for the first rim


def _scratch(size):
    """This thread's buffers for a frame of `size`."""
    if getattr(_local, "scratch", None) is None or _local.scratch.size != size:
        _local.scratch = _Scratch(size)
    return _local.scratch


class _Block(NamedTuple):
    """Points that are projected together."""

    keys: np.ndarray  # (BLOCK,) float32: their disparity
    spreads: np.ndarray  # their footprints, px
    xs: np.ndarray  # where they lie in the padded frame
    ys: np.ndarray


@jit
def _empty_block():
    """A block, every footprint as small as can be."""
    keys, spreads = np.empty(BLOCK, np.float32), np.ones(BLOCK, np.float32)
    return _Block(keys, spreads, np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32))


@jit
def _measure(depths, spacings, camera, block):
    """Disparity of a block of points, NOWHERE behind the near plane, and its footprints in px."""
    keys, spreads = block.keys, block.spreads
    shift_z, focal, scale = camera.z, camera.focal, camera.scale
    for j in range(depths.shape[0]):
        z = depths[j] + shift_z
        key = scale / z
        # `&`, not `and`: a branch would keep the loop from being vectorised; NaN fails both tests.
        keys[j] = key if (z >= NEAR_PLANE) & (z < INFINITY) else NOWHERE
    per_key = focal / scale
    for j in range(spacings.shape[0]):
        spread = spacings[j] * (keys[j] * per_key)
        spreads[j] = min(spread, WIDEST_FOOTPRINT) if spread > GROW_FROM else ONE


@jit
def _place(coordinates, shift, lens, per_key, length, reach, block, positions):
    """Padded pixel coordinate of a block of points along one axis; drop those out of reach."""
    keys, spreads = block.keys, block.spreads
    for j in range(coordinates.shape[0]):
        margin = spreads[j] - ONE + reach
        position, seen = place(coordinates[j], shift, lens, keys[j] * per_key, length, margin)
        # A dropped point stays in the block, at some pixel that exists: its key loses everywhere.
        positions[j] = position if seen else ONE
        key = keys[j]
        keys[j] = key if seen else NOWHERE


@jit
def _project(cloud, camera, size, reach, begin, end, block):
    """Project the points begin .. end; a dropped one gets the disparity NOWHERE.

    reach: how far beyond the padding's centre (px) a point still counts.
    """
    points, per_key = cloud.points, camera.focal / camera.scale
    _measure(points[2, begin:end], cloud.spacing[begin:end], camera, block)
    x, y = points[0, begin:end], points[1, begin:end]
    _place(x, camera.x, camera.lens_x, per_key, size[1], reach, block, block.xs)
    _place(y, camera.y, camera.lens_y, per_key, size[0], reach, block, block.ys)


@jit
def _write_wide(zbuffer, x, y, key, spread):
    """Write the disparity of a wide footprint over all pixels within half its spacing."""
    # Half the way to the neighbours, who cover the other half: no crack and no halo
    # (docs/method/rendering.md).
    reach = HALF * spread + OVERLAP
    first_x, last_x = span(x, reach, zbuffer.shape[1] - 2)
    first_y, last_y = span(y, reach, zbuffer.shape[0] - 2)
    for row in range(first_y, last_y):
        for column in range(first_x, last_x):
            zbuffer[row, column] = max(zbuffer[row, column], key)


@jit
def _nearest_pixels(xs, ys, stride, count, pixels):
    """Padded index of the pixel nearest to each position."""
    for j in range(count):
        pixels[j] = np.int32(ys[j] + HALF) * stride + np.int32(xs[j] + HALF)


@jit
def _largest_disparity(cloud, camera, size, zbuffer):
    """Keep per pixel of the padded z-buffer the largest disparity; 0 = empty.

    The padding is filled like any pixel, so that cracks close right up to the border.
    """
    block = _empty_block()
    keys, spreads, xs, ys = block
    pixels = np.empty(BLOCK, np.int32)
    flat, stride, count = zbuffer.reshape(-1), np.int32(zbuffer.shape[1]), cloud.points.shape[1]
    for i in range(flat.shape[0]):
        flat[i] = ZERO
    for begin in range(0, count, BLOCK):
        end = min(begin + BLOCK, count)
        _project(cloud, camera, size, HALF, begin, end, block)
        _nearest_pixels(xs, ys, stride, end - begin, pixels)
        for j in range(end - begin):
            if spreads[j] > ONE:
                _write_wide(zbuffer, xs[j], ys[j], keys[j], spreads[j])
            elif keys[j] > flat[np.uint64(pixels[j])]:
                flat[np.uint64(pixels[j])] = keys[j]


@jit
def _weigh(xs, ys, stride, count, pixels, weights):
    """Upper left pixel and four bilinear weights (4, BLOCK) of each position."""
    for j in range(count):
        left, top = np.int32(xs[j]), np.int32(ys[j])
        right = xs[j] - np.float32(left)
        down = (ys[j] - np.float32(top)) * WEIGHT_ONE
        pixels[j] = top * stride + left
        up = WEIGHT_ONE - down
        weights[0, j] = np.int32((ONE - right) * up + HALF)
        weights[1, j] = np.int32(right * up + HALF)
        weights[2, j] = np.int32((ONE - right) * down + HALF)
        weights[3, j] = np.int32(right * down + HALF)


@jit
def _add_wide(closed, sums, carry, x, y, limit, spread, color):
    """Add a wide footprint: a tent that reaches to the point's neighbours (bilinear upsampling)."""
    red_green, blue_one = color
    stride = closed.shape[1]
    first_x, last_x = span(x, spread, stride - 2)
    first_y, last_y = span(y, spread, closed.shape[0] - 2)
    # The tents of points that lie `spread` px apart add up to one, as in bilinear enlargement.
    slope = ONE / spread
    for row in range(first_y, last_y):
        across = max(ONE - abs(np.float32(row) - y) * slope, ZERO) * WEIGHT_ONE
        for column in range(first_x, last_x):
            weight = max(ONE - abs(np.float32(column) - x) * slope, ZERO) * across
            if limit >= closed[row, column]:
                pixel = np.uint64(row * stride + column)
                add(sums, carry, pixel, np.uint64(np.int64(weight + HALF)), red_green, blue_one)


@jit
def _splat(cloud, camera, size, closed, sums, carry):
    """Add all points that pass the depth test to the sums."""
    block = _empty_block()
    keys, spreads, xs, ys = block
    colors, count = cloud.colors, cloud.points.shape[1]
    pixels, weights = np.empty(BLOCK, np.int32), np.empty((4, BLOCK), np.int32)
    flat, stride = closed.reshape(-1), np.int32(closed.shape[1])
    below = np.uint64(closed.shape[1])
    for i in range(sums.shape[0]):
        sums[i] = np.uint64(0)
    for begin in range(0, count, BLOCK):
        end = min(begin + BLOCK, count)
        _project(cloud, camera, size, ZERO, begin, end, block)
        _weigh(xs, ys, stride, end - begin, pixels, weights)
        for j in range(end - begin):
            rgb = colors[begin + j]
            red_green = np.uint64(rgb[0]) | np.uint64(rgb[1]) << HIGH_WORD
            blue_one = np.uint64(rgb[2]) | WORD << HIGH_WORD
            limit = keys[j] + TOLERANCE
            if spreads[j] > ONE:
                color = red_green, blue_one
                _add_wide(closed, sums, carry, xs[j], ys[j], limit, spreads[j], color)
                continue
            pixel = np.uint64(pixels[j])
            if limit >= flat[pixel]:
                add(sums, carry, pixel, np.uint64(weights[0, j]), red_green, blue_one)
            if limit >= flat[pixel + WORD]:
                add(sums, carry, pixel + WORD, np.uint64(weights[1, j]), red_green, blue_one)
            pixel += below
            if limit >= flat[pixel]:
                add(sums, carry, pixel, np.uint64(weights[2, j]), red_green, blue_one)
            if limit >= flat[pixel + WORD]:
                add(sums, carry, pixel + WORD, np.uint64(weights[3, j]), red_green, blue_one)


@jit
def _normalise(sums, frame, holes):
    """Divide by the weights and round to 8 bit; mark the pixels that got nothing.

    Args:
        sums: (H + 2, W + 2, 4) uint32, the words of `_splat` in halves: red, green, blue, weight.
    Returns:
        how many got nothing, and whether one is full.
    """
    count, heaviest = 0, np.uint32(0)
    for y in range(holes.shape[0]):
        halves, values, empty = sums[y + 1].reshape(-1)[4:], frame[y].reshape(-1), holes[y]
        for x in range(holes.shape[1]):
            heaviest = max(heaviest, halves[4 * x + 3])
            weight = np.float32(halves[4 * x + 3])
            hole = weight < LEAST_WEIGHT
            inverse = ZERO if hole else ONE / weight
            values[3 * x] = np.int32(np.float32(halves[4 * x]) * inverse + HALF)
            values[3 * x + 1] = np.int32(np.float32(halves[4 * x + 1]) * inverse + HALF)
            values[3 * x + 2] = np.int32(np.float32(halves[4 * x + 2]) * inverse + HALF)
            empty[x] = hole
            count += hole
    return count, heaviest >= FULL_WEIGHT


@jit
def _mark_holes(holes, state):
    """Set the state of every pixel inside the padding of a state map."""
    for y in range(holes.shape[0]):
        for x in range(holes.shape[1]):
            state[y + 1, x + 1] = UNMEASURED if holes[y, x] else KNOWN


@jit
def _copy_colors(frame, stride, to, origin):
    """Give the pixels `to` the colours of the pixels `origin` (padded indices; -1 = none)."""
    for i in range(to.shape[0]):
        if origin[i] >= 0:
            y, x = to[i] // stride - 1, to[i] % stride - 1
            from_y, from_x = origin[i] // stride - 1, origin[i] % stride - 1
            for c in range(3):
                frame[y, x, c] = frame[from_y, from_x, c]


def _fill(frame, holes, scratch):
    """Fill the holes of the frame from the farther side; the sums are lost."""
    _mark_holes(holes, scratch.state)
    bounds = scratch.sums.view(np.uint8).reshape(-1, 16)  # as large, and no longer needed
    clear_bounds(scratch.state, bounds)
    to, origin = find_sources(scratch.state, scratch.closed, bounds)
    _copy_colors(frame, scratch.state.shape[1], to, origin)


def _sum_colors(cloud, rims, camera, scratch):
    """Splat a cloud, and rims or None, onto a frame whose z-buffer is known.

    Returns:
        over how many pixels rims lie.
    """
    _splat(cloud, camera, scratch.size, scratch.closed, scratch.sums, scratch.carry)
    if not rims:
        return 0
    if scratch.layer is None:
        scratch.layer = empty_layer(scratch.closed.size)
    sums = scratch.sums, scratch.carry, scratch.layer
    scratch.layer, covered = splat_rims(rims, camera, scratch.closed, *sums)
    return covered


def _normalise_all(frame, holes, scratch, numbers):
    """Write the frame and its holes from the sums; return as `_normalise`."""
    halves = scratch.sums.view(np.uint32).reshape(*scratch.state.shape, 4)
    uncovered, full = (average if numbers else _normalise)(halves, frame, holes)
    if scratch.carry is None:
        return uncovered, full
    if scratch.carry[-1]:
        write_carried(scratch.sums, scratch.carry, frame, holes, numbers)
    else:
        scratch.carry = None  # this frame did not need it, nor will the next one
    return uncovered, False


def render_frame(
    cloud: Cloud, view: View, fill: bool, rims: Cloud | None = None, numbers: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """See `kernels.render_frame`."""
    size, scratch = view.size, _scratch(view.size)
    if cloud.spacing is None:
        cloud = cloud._replace(spacing=np.empty(0, np.float32))
    camera = to_camera(view)
    _largest_disparity(cloud, camera, size, scratch.zbuffer)
    degrid(scratch.zbuffer, scratch.closed)
    covered = _sum_colors(cloud, rims, camera, scratch)
    frame, holes = np.empty((*size, 3), np.uint8), np.empty(size, np.bool_)
    uncovered, full = _normalise_all(frame, holes, scratch, numbers)
    if full:  # hundreds of points on one pixel: a large photo in a small frame
        scratch.carry = empty_carry(scratch.closed.size)
        scratch.layer = None
        covered = _sum_colors(cloud, rims, camera, scratch)
        uncovered, _ = _normalise_all(frame, holes, scratch, numbers)
    if uncovered and fill:
        _fill(frame, holes, scratch)
    if covered:
        (cover if numbers else compose)(scratch.layer, covered, frame, holes)
    return frame, holes
