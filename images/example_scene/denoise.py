"""Take the sampling noise out of a path-traced picture and leave its texture in.

Edge-avoiding a-trous wavelets (Dammertz et al. 2010), steered by the variance of the samples as in
Schied et al. 2017: light is averaged over pixels that see the same kind of surface.
"""

import math

import numpy as np
from numba import prange

from .maths import jit, parallel_jit

KERNEL = np.array([1 / 16, 1 / 4, 3 / 8, 1 / 4, 1 / 16])
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def denoise(image, variance, colour, normal, passes=3):
    """Smoothed copy of a picture.

    Args:
        image: (H, W, 3) mean radiance.   variance: (H, W) of the luminance of that mean.
        colour: (H, W, 3) the texture: what the picture would be under even light.
        normal: (H, W, 3) mean shading normal, 0 for the sky.
        passes: number of wavelet levels; each doubles the reach (first one 2 pixels).
    """
    texture = colour + 0.01
    light = image / texture
    variance = variance / (texture @ LUMA) ** 2
    for level in range(passes):
        light, variance = _smooth(light, variance, colour, normal, 2**level)
    return light * texture


@jit
def _local_deviation(variance, i, j):
    """Standard deviation from the mean variance of 3 x 3 pixels, one pixel's being unreliable."""
    rows, columns = variance.shape
    total, count = 0.0, 0
    for y in range(max(i - 1, 0), min(i + 2, rows)):
        for x in range(max(j - 1, 0), min(j + 2, columns)):
            total += variance[y, x]
            count += 1
    return math.sqrt(total / count)


@jit
def _likeness(colour, normal, i, j, y, x):
    """1 for two pixels of one surface, falling to 0 as texture or orientation differ."""
    tint = bend = 0.0
    for c in range(3):
        tint += (colour[i, j, c] - colour[y, x, c]) ** 2 / (
            colour[i, j, c] + colour[y, x, c] + 0.01
        ) ** 2
        bend += (normal[i, j, c] - normal[y, x, c]) ** 2
    return math.exp(-50.0 * tint - 12.0 * bend)


@parallel_jit
def _smooth(light, variance, colour, normal, step):
    rows, columns, _ = light.shape
    smooth, rest = np.empty_like(light), np.empty_like(variance)
    for i in prange(rows):
        for j in range(columns):
            spread = 1.25 * _local_deviation(variance, i, j) + 1e-5
            here = light[i, j, 0] * 0.2126 + light[i, j, 1] * 0.7152 + light[i, j, 2] * 0.0722
            r = g = b = total = noise = 0.0
            for v in range(5):
                y = i + (v - 2) * step
                if y < 0 or y >= rows:
                    continue
                for u in range(5):
                    x = j + (u - 2) * step
                    if x < 0 or x >= columns:
                        continue
                    p, q, s = light[y, x, 0], light[y, x, 1], light[y, x, 2]
                    gap = abs(p * 0.2126 + q * 0.7152 + s * 0.0722 - here)
                    weight = KERNEL[u] * KERNEL[v] * math.exp(-gap / spread)
                    weight *= _likeness(colour, normal, i, j, y, x)
                    r, g, b, total = r + weight * p, g + weight * q, b + weight * s, total + weight
                    noise += weight * weight * variance[y, x]
            smooth[i, j, 0], smooth[i, j, 1], smooth[i, j, 2] = r / total, g / total, b / total
            rest[i, j] = noise / (total * total)
    return smooth, rest
