"""Frames of numbers on the CPU (Numba): three bytes of one number of 24 bits, not three colours.

What `cpu_frame.py` sums is whole and linear, so the mean of numbers is exact, whatever carries
between their bytes. Rims hide what is behind them or show nothing: a mean of two surfaces is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .constants import COVERAGE_THRESHOLD, WEIGHT_ONE
from .cpu_rims import WORDS
from .cpu_sums import FULL_WEIGHT, WIDE, move_all
from .jit import jit

if TYPE_CHECKING:
    from typing import Any

    from .cpu_rims import Layer

LEAST_WEIGHT = np.uint64(np.ceil(COVERAGE_THRESHOLD * WEIGHT_ONE))
NOTHING, ONE, TWO, EIGHT, SIXTEEN = (np.uint64(value) for value in (0, 1, 2, 8, 16))


@jit
def _write(pixel, high, middle, low, weight):
    """Write the rounded mean of summed numbers as the three bytes of a pixel (3,)."""
    total = (high << SIXTEEN) + (middle << EIGHT) + low
    number = (total + (weight >> ONE)) // weight if weight else NOTHING
    pixel[0], pixel[1] = np.uint8(number >> SIXTEEN), np.uint8(number >> EIGHT)
    pixel[2] = np.uint8(number)


@jit
def average(sums: np.ndarray, frame: np.ndarray, holes: np.ndarray) -> Any:
    """Write the mean numbers of a frame (H, W, 3) and mark the pixels that got nothing.

    Args:
        sums: (H + 2, W + 2, 4) uint32: the three bytes' and the weight's.
    Returns:
        how many pixels got nothing, and whether one is full.
    """
    count, heaviest = 0, NOTHING
    for y in range(holes.shape[0]):
        for x in range(holes.shape[1]):
            high, middle, low = sums[y + 1, x + 1, 0], sums[y + 1, x + 1, 1], sums[y + 1, x + 1, 2]
            weight = np.uint64(sums[y + 1, x + 1, 3])
            heaviest = max(heaviest, weight)
            hole = weight < LEAST_WEIGHT
            weight = NOTHING if hole else weight
            _write(frame[y, x], np.uint64(high), np.uint64(middle), np.uint64(low), weight)
            holes[y, x] = hole
            count += int(hole)
    return count, heaviest >= FULL_WEIGHT


@jit
def write_carried(
    sums: np.ndarray, carry: np.ndarray, frame: np.ndarray, holes: np.ndarray, numbers: bool
) -> None:
    """Write the pixels of frame (H, W, 3) and holes (H, W) that have a carry, and clear it."""
    stride = frame.shape[1] + 2
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            pixel = np.uint64((y + 1) * stride + x + 1)
            wide = WIDE * pixel
            if carry[wide + ONE + TWO] == 0:
                continue
            move_all(sums, carry, pixel)
            holes[y, x] = False
            weight = carry[wide + ONE + TWO]
            if numbers:
                _write(frame[y, x], carry[wide], carry[wide + ONE], carry[wide + TWO], weight)
                continue
            inverse = np.float32(1) / np.float32(weight)
            for c in range(3):
                mean = np.float32(carry[wide + np.uint64(c)]) * inverse
                frame[y, x, c] = np.int32(mean + np.float32(0.5))
    carry[:] = 0


@jit
def cover(layer: Layer, count: int, frame: np.ndarray, holes: np.ndarray) -> None:
    """Put the rims' numbers where they cover at least half of a pixel, and clear the layer.

    Args: as of `cpu_rims.compose`.
    """
    slots, words, pixels = layer
    stride = frame.shape[1] + 2
    for i in range(count):
        pixel = np.int64(pixels[i])
        y, x, word = pixel // stride - 1, pixel % stride - 1, WORDS * i
        shown, weight = words[word + 3], words[word + 4]
        slots[pixel] = 0
        if shown >= LEAST_WEIGHT and TWO * shown >= min(weight, np.uint64(WEIGHT_ONE)):
            _write(frame[y, x], words[word], words[word + 1], words[word + 2], shown)
            holes[y, x] = False
        for k in range(WORDS):
            words[word + k] = NOTHING
