"""Sums of weighted 8-bit colours on the CPU (Numba): whole numbers, exact for any number of points.

A pixel has two 64-bit words, red and green in the halves of one, blue and the weight in those of
the other, so that a point takes two multiply-adds. A frame is summed without a `carry` (None) at
first. Where some pixel is full then, it is summed again with one: before a half can spill into its
neighbour, the pixel's sums move there, where each has a word of its own. So no point is lost, and
the result does not depend on their order; and frames without such pixels pay nothing for it.
"""

from __future__ import annotations

import numpy as np

from .constants import FULL
from .jit import jit

HIGH_WORD, LOW_HALF = np.uint64(32), np.uint64(0xFFFFFFFF)
WORD, WIDE = np.uint64(1), np.uint64(4)
FULL_WEIGHT = np.uint32(FULL >> HIGH_WORD)


def empty_carry(pixels: int) -> np.ndarray:
    """Return the carry of so many pixels, (4 * P + 1,) uint64; its last word says if it is used."""
    return np.zeros(4 * pixels + 1, np.uint64)


@jit
def move_all(sums: np.ndarray, carry: np.ndarray, pixel: np.uint64) -> None:
    """Move the sums of a pixel into its carry."""
    word, wide = pixel + pixel, WIDE * pixel
    red_green, blue_weight = sums[word], sums[word + WORD]
    carry[wide] += red_green & LOW_HALF
    carry[wide + np.uint64(1)] += red_green >> HIGH_WORD
    carry[wide + np.uint64(2)] += blue_weight & LOW_HALF
    carry[wide + np.uint64(3)] += blue_weight >> HIGH_WORD
    carry[carry.shape[0] - 1] = WORD
    sums[word] = sums[word + WORD] = np.uint64(0)


@jit
def add(
    sums: np.ndarray,
    carry: np.ndarray | None,
    pixel: np.uint64,
    weight: np.uint64,
    red_green: np.uint64,
    blue_one: np.uint64,
) -> None:
    """Add a colour to the sums (2 * P,) of a pixel; weight: up to WEIGHT_ONE."""
    word = pixel + pixel
    if sums[word + WORD] >= FULL:
        if carry is None:  # decided when this is compiled
            return  # what is lost comes back with the second sum
        move_all(sums, carry, pixel)
    sums[word] += red_green * weight
    sums[word + WORD] += blue_one * weight
