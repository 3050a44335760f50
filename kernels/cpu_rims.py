"""Soft rims over a frame on the CPU (Numba): the second, small cloud of `kernels.render_frame`.

A rim point is drawn over the opaque frame wherever it stands in front of the z-buffer, as a tent
that reaches to its neighbours, with a weight that makes the tents of one surface add up to one.
Where the opaque cloud shows the rim's own surface, the point takes part in that instead, like any
other, so that colours go on without a seam (docs/method/geometry.md, Rims).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .constants import (
    COVERAGE_THRESHOLD,
    NEAR_PLANE,
    RIM_FULL,
    TOLERANCE,
    WEIGHT_ONE,
    WIDEST_FOOTPRINT,
)
from .cpu_camera import HALF, INFINITY, ONE, ZERO, place, span
from .cpu_sums import HIGH_WORD, add
from .jit import jit

if TYPE_CHECKING:
    from .cpu_camera import Camera
    from .frames import Cloud

LEAST_WEIGHT = np.float32(np.ceil(COVERAGE_THRESHOLD * WEIGHT_ONE))
PER_ALPHA = ONE / np.float32(RIM_FULL)
WORDS = 5  # per pixel: red, green, blue, alpha, weight


class Layer(NamedTuple):
    """Sums of the rims of a frame, of the few pixels that have any."""

    slots: np.ndarray  # (P,) int32: one more than the place of a pixel's sums; 0 without any
    words: np.ndarray  # (WORDS * M,) uint64
    pixels: np.ndarray  # (M,) int32, those of the places


def empty_layer(pixels: int) -> Layer:
    """Return the layer of so many pixels; it grows where rims need more places."""
    places = max(1, pixels // 64)
    words = np.zeros(WORDS * places, np.uint64)
    return Layer(np.zeros(pixels, np.int32), words, np.empty(places, np.int32))


@jit
def _grow(words, pixels):
    """The same sums with room for twice as many."""
    more, longer = np.zeros(2 * words.shape[0], np.uint64), np.empty(2 * pixels.shape[0], np.int32)
    more[: words.shape[0]], longer[: pixels.shape[0]] = words, pixels
    return more, longer


@jit
def _project(rims, i, camera, height, width):
    """Whether a rim point is within reach; its place in the padded frame, disparity, and tent."""
    points, per_key = rims.points, camera.focal / camera.scale
    z = points[2, i] + camera.z
    if not (z >= NEAR_PLANE and z < INFINITY):
        return False, ZERO, ZERO, ZERO, ONE, ONE
    key = camera.scale / z
    # NaN grows nothing. What is smaller than a pixel counts by its area.
    spacing_px = rims.spacing[i] * (key * per_key)
    spread = min(spacing_px, WIDEST_FOOTPRINT) if spacing_px > ONE else ONE
    gain = spacing_px * spacing_px if spacing_px < ONE and spacing_px > ZERO else ONE
    scale, margin = key * per_key, spread - ONE
    x, inside_x = place(points[0, i], camera.x, camera.lens_x, scale, width, margin)
    y, inside_y = place(points[1, i], camera.y, camera.lens_y, scale, height, margin)
    return inside_x and inside_y, x, y, key, spread, gain


@jit
def splat_rims(
    rims: Cloud,
    camera: Camera,
    closed: np.ndarray,
    sums: np.ndarray,
    carry: np.ndarray,
    layer: Layer,
) -> tuple[Layer, int]:
    """Add rim points to the layer in front of the opaque frame, or to the frame's own sums.

    Args:
        rims: as in `kernels.render_frame`.
        camera: of the frame.
        closed: (H + 2, W + 2) z-buffer of the opaque cloud.
        sums, carry: of the opaque frame, before it is normalised (`cpu_sums.py`).
        layer: all zero.
    Returns:
        the layer, larger if need be, and how many of its places are in use.
    """
    slots, words, pixels = layer
    height, width = closed.shape[0] - 2, closed.shape[1] - 2
    colors, flat, stride, count = rims.colors, closed.reshape(-1), closed.shape[1], 0
    for i in range(colors.shape[0]):
        seen, x, y, key, spread, gain = _project(rims, i, camera, height, width)
        if not seen:
            continue
        alpha = colors[i, 3]
        share = np.float32(min(alpha, RIM_FULL)) * PER_ALPHA
        red_green = np.uint64(colors[i, 0]) | np.uint64(colors[i, 1]) << HIGH_WORD
        blue_one = np.uint64(colors[i, 2]) | np.uint64(1) << HIGH_WORD
        first_x, last_x = span(x, spread, width)
        first_y, last_y = span(y, spread, height)
        slope = ONE / spread
        for row in range(first_y, last_y):
            across = max(ONE - abs(np.float32(row) - y) * slope, ZERO) * (gain * WEIGHT_ONE)
            for column in range(first_x, last_x):
                weight = max(ONE - abs(np.float32(column) - x) * slope, ZERO) * across
                if weight < HALF:
                    continue
                pixel = row * stride + column
                before = key - flat[pixel]
                if before > TOLERANCE:
                    if slots[pixel] == 0:
                        if count == pixels.shape[0]:
                            words, pixels = _grow(words, pixels)
                        pixels[count] = pixel
                        count += 1
                        slots[pixel] = count
                    word = WORDS * np.int64(slots[pixel] - 1)
                    shown = np.uint64(np.int64(weight * share + HALF))
                    for c in range(3):
                        words[word + c] += np.uint64(colors[i, c]) * shown
                    words[word + 3] += shown
                    words[word + 4] += np.uint64(np.int64(weight + HALF))
                elif before >= -TOLERANCE and alpha == RIM_FULL:
                    whole = np.uint64(np.int64(weight + HALF))
                    add(sums, carry, np.uint64(pixel), whole, red_green, blue_one)
    return Layer(slots, words, pixels), count


@jit
def compose(layer: Layer, count: int, frame: np.ndarray, holes: np.ndarray) -> None:
    """Lay the rims in the first places over the frame (H, W, 3), and clear the layer.

    A hole that a rim covers by half is none.
    """
    slots, words, pixels = layer
    stride = frame.shape[1] + 2
    for i in range(count):
        pixel = np.int64(pixels[i])
        y, x = pixel // stride - 1, pixel % stride - 1
        word = WORDS * i
        shown, weight = np.float32(words[word + 3]), np.float32(words[word + 4])
        slots[pixel] = 0
        words[word + 3] = words[word + 4] = np.uint64(0)
        # One surface's weights add up to one, or less where it is stretched; more are several.
        share = min(shown / min(weight, WEIGHT_ONE), ONE)
        visible = shown >= LEAST_WEIGHT
        inverse = share / shown if visible else ZERO
        rest = ONE - share
        for c in range(3):
            total = np.float32(words[word + c])
            words[word + c] = np.uint64(0)
            if visible:
                frame[y, x, c] = np.int32(
                    total * inverse + np.float32(frame[y, x, c]) * rest + HALF
                )
        if visible:
            holes[y, x] = holes[y, x] and share < HALF
