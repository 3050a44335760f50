"""From a coarse disparity map to one that is as large as the photo, with sharp, aligned edges."""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from kernels.jit import jit
from kernels.threads import run_all, thread_count
from utils.depth.steps import EDGE_JUMP
from utils.film.photos import as_bytes
from utils.filters import extremes

# So many least steps (EDGE_JUMP) are an edge and become sharp; up to half as many are a slope's and
# stay; between them the result is blended.
SHARP_STEPS = 4
# How alike two colours are: standard deviation in RGB in [0, 255] (benchmarks.depth: dbe).
COLOR_SIGMA = 20.0
# A pixel with neighbours both nearer and farther by this share of the largest counts half.
RAMP_SHARE = 0.01
# Bins of the histogram that finds the median of a window.
BINS = 32
# A blurred step is seen whole through a window of this radius, px.
BLUR_WINDOW = 7


def resize_disparity(disparity: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Resize (1, 1, h, w) bilinearly to (height, width); values stay as they are."""
    return F.interpolate(disparity, tuple(size), mode="bilinear", align_corners=False)


def upsample_disparity(
    disparity: torch.Tensor, image: torch.Tensor, pixels: np.ndarray | None = None
) -> torch.Tensor:
    """Enlarge a disparity map to its photo and snap its edges to those of the photo.

    Args:
        disparity: (1, 1, h, w), larger = nearer, not negative.
        image: (1, 3, H, W) RGB in [0, 1].
        pixels: the same as bytes, see `utils.film.photos.as_bytes`, if they are there already.
    Returns:
        (1, 1, H, W) float32 on the CPU.
    """
    disparity = disparity.float().cpu()
    size = np.array(image.shape[2:])
    # In strides of four times at most, as what an edge is off by is looked for in small windows.
    strides = max(1, math.ceil(math.log(max(size / disparity.shape[2:]), 4)))
    for stride in range(strides - 1, -1, -1):
        target = np.maximum(1, np.round(size / 4**stride)).astype(int)
        if stride:
            target = np.maximum(target, disparity.shape[2:])
            seen = as_bytes(F.interpolate(image, tuple(target.tolist()), mode="area"))
        else:
            seen = as_bytes(image) if pixels is None else pixels
        scale = max(target / disparity.shape[2:])
        resized = resize_disparity(disparity, target.tolist())[0, 0].numpy()
        sharp = sharpen_edges(resized, seen, max(2, round(1.5 * scale) + 1))
        disparity = torch.from_numpy(sharp)[None, None]
    return disparity


def blur_px(disparity: torch.Tensor) -> float:
    """Measure how blurred the edges of a disparity map are.

    For a step blurred by a Gaussian of deviation s, height times slope sums up to 2 s sqrt(pi)
    times the sum of squared slope.

    Args:
        disparity: (1, 1, h, w), larger = nearer, not negative.
    Returns:
        That deviation in px, the mean over all edges; about 0.8 for steps that are as sharp as a
        resized map can be, NaN where there is no edge.
    """
    values = np.ascontiguousarray(disparity[0, 0].float().cpu().numpy())
    low, high = extremes(values, BLUR_WINDOW)
    height = high - low
    edge = height > SHARP_STEPS * EDGE_JUMP * values.max()
    squared = sum(slope**2 for slope in np.gradient(values))
    if not edge.any():
        return math.nan
    height, squared = height[edge], squared[edge]
    return float((height * np.sqrt(squared)).sum() / squared.sum() / (2 * math.sqrt(math.pi)))


def sharpen_edges(disparity: np.ndarray, pixels: np.ndarray, radius: int) -> np.ndarray:
    """Turn the ramps of depth edges into steps that follow the colours of the photo.

    A pixel with a depth edge in its window takes the weighted median of that window. Pixels of its
    own colour weigh most, and those on a ramp, which belong to no surface, hardly count; so it
    joins the surface that it looks like, and no value in between is left to fly between two.
    (Weighted median filter: Ma et al., ICCV 2013; the weight against ramps is ours.)

    Args:
        disparity: (H, W) float32, larger = nearer, not negative.
        pixels: (H, W, 3) uint8 RGB.
        radius: half the side of the window, px.
    Returns:
        (H, W) float32.
    """
    disparity = np.ascontiguousarray(disparity, np.float32)
    pixels = np.ascontiguousarray(pixels)
    peak = float(disparity.max())
    if peak <= 0:
        return disparity
    squared = 64 * np.arange(3 * 255**2 // 64 + 1, dtype=np.float32)
    alike = np.exp(-squared / np.float32(2 * COLOR_SIGMA**2))
    rows = np.linspace(0, len(disparity), 4 * thread_count() + 1).astype(int)
    for window in (radius, radius, max(2, radius // 2)):
        low, high = extremes(disparity, window)
        steps = (high - low) / np.float32(EDGE_JUMP * peak)
        blend = (2 * steps / SHARP_STEPS - 1).clip(0, 1)
        lowest, highest = extremes(disparity, 1)
        # Zero on a ridge, or where a step begins or ends: those are surfaces, however thin.
        ramp = np.minimum(highest - disparity, disparity - lowest) / (RAMP_SHARE * peak)
        flatness = (1 / (1 + ramp**2)).astype(np.float32)
        distances = np.arange(-window, window + 1, dtype=np.float32) ** 2
        spatial = np.exp(-(distances[:, None] + distances) / (0.5 * window**2)).astype(np.float32)
        sharp = disparity.copy()
        blurred = _Blurred(disparity, pixels, low, high, blend, flatness, spatial, alike)
        task = partial(_weighted_medians, blurred, sharp)
        run_all(task, list(zip(rows[:-1], rows[1:], strict=True)))
        disparity = sharp
    return disparity


class _Blurred(NamedTuple):
    """A map (H, W), and what its pixels weigh in a window."""

    disparity: np.ndarray
    pixels: np.ndarray  # (H, W, 3) uint8
    low: np.ndarray  # the smallest disparity in the window around each pixel
    high: np.ndarray  # the largest
    blend: np.ndarray  # how much of a pixel the median is to replace
    flatness: np.ndarray  # its weight by where it is not: on a ramp
    spatial: np.ndarray  # (window, window) by how near it is
    alike: np.ndarray  # by how near in colour, per 64 squared levels


@jit
def _weighted_medians(blurred, sharp, top, bottom):
    """Write rows top..bottom of `sharp`; see sharpen_edges."""
    disparity, pixels, low, high, blend, flatness, spatial, alike = blurred
    height, width = disparity.shape
    radius = spatial.shape[0] // 2
    weights, sums = np.empty(BINS, np.float32), np.empty(BINS, np.float32)
    for y in range(top, bottom):
        for x in range(width):
            if blend[y, x] <= 0:
                continue
            weights[:] = 0
            sums[:] = 0
            total = np.float32(0)
            lo = low[y, x]
            to_bin = np.float32(BINS - 1) / (high[y, x] - lo)
            red, green, blue = pixels[y, x]
            for row in range(max(0, y - radius), min(height, y + radius + 1)):
                for column in range(max(0, x - radius), min(width, x + radius + 1)):
                    dr = np.int32(red) - pixels[row, column, 0]
                    dg = np.int32(green) - pixels[row, column, 1]
                    db = np.int32(blue) - pixels[row, column, 2]
                    weight = (
                        alike[(dr * dr + dg * dg + db * db) // 64]
                        * flatness[row, column]
                        * spatial[row - y + radius, column - x + radius]
                    )
                    index = int((disparity[row, column] - lo) * to_bin + np.float32(0.5))
                    weights[index] += weight
                    sums[index] += weight * disparity[row, column]
                    total += weight
            half, index = total * np.float32(0.5), 0
            passed = weights[0]
            while passed < half and index < BINS - 1:
                index += 1
                passed += weights[index]
            median = sums[index] / weights[index] if weights[index] > 0 else disparity[y, x]
            sharp[y, x] = disparity[y, x] + blend[y, x] * (median - disparity[y, x])
