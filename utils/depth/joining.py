"""A photo's own depth map joined with what the network sees in the photo.

A phone's map is right in its layout, has holes and ends at its sensor's range. The network sees
everything, and knows no scale. So the estimate is aligned to the map by scale and offset, and says
what the map does not know (docs/photo_depth.md).
"""

from __future__ import annotations

import cv2
import numpy as np

# The fit goes by medians: what is farther off counts less and less, as far as not at all. Tukey's
# biweight, of 4.685 deviations (Holland and Welsch 1977); one is 1.4826 median residuals.
OUTLIER, FIT_ROUNDS = 4.685 * 1.4826, 12
# An estimate that has less in common with what is measured (correlation) tells nothing of it. Seen:
# 0.48 and more on eight Middlebury pairs.
LEAST_CORRELATION = 0.3
# How far into a hole its border's residual is carried (deviation, as a share of the long side), at
# how many levels of depth by itself, and what the fit alone weighs against it.
CARRIED, CURVE_LEVELS, LEAST_WEIGHT = 0.02, 16, 1e-4


def align(estimate: np.ndarray, disparity: np.ndarray) -> tuple[float, float, float]:
    """Fit scale * estimate + offset to a disparity map, whatever share of either is wrong.

    Args:
        estimate: (h, w) float32 relative disparity.
        disparity: (h, w) float32, NaN where unknown.
    Returns:
        scale, offset, and the weighted correlation of both, -1..1.
    """
    known = np.isfinite(disparity)
    x, y = estimate[known].astype(np.float64), disparity[known].astype(np.float64)
    weights = np.ones_like(x)
    scale, offset, correlation = 0.0, 0.0, 0.0
    for _ in range(FIT_ROUNDS):
        total = weights.sum()
        mean_x, mean_y = (weights * x).sum() / total, (weights * y).sum() / total
        dx, dy = x - mean_x, y - mean_y
        xx, xy, yy = ((weights * part).sum() / total for part in (dx * dx, dx * dy, dy * dy))
        scale = xy / xx if xx > 0 else 0.0
        offset = mean_y - scale * mean_x
        correlation = xy / np.sqrt(xx * yy) if xx > 0 and yy > 0 else 0.0
        residual = np.abs(y - scale * x - offset)
        limit = OUTLIER * np.median(residual)
        if limit <= 0:
            break
        weights = np.square(1 - np.square((residual / limit).clip(max=1))) + 1e-6
    return float(scale), float(offset), float(correlation)


def fill(disparity: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """Fill what a map does not know with the estimate, without a seam.

    What map and estimate differ by beside a hole goes into it, to those pixels that the estimate
    has at the depth of its origin: a wall's to the wall, and none of it to a chair before it.

    Args:
        disparity: (h, w) float32, NaN where unknown.
        estimate: (h, w) float32, relative.
    Returns:
        (h, w) float32, not negative, in the map's unit; the map itself where it is known.
    """
    known = np.isfinite(disparity)
    if known.all():
        return disparity
    aligned = _aligned(estimate, disparity)
    residual = np.where(known, disparity - aligned, 0).astype(np.float32)
    low, high = float(aligned.min()), float(aligned.max())
    level = (aligned - low) / max(high - low, 1e-9) * (CURVE_LEVELS - 1)
    sums, weights = np.zeros_like(residual), np.full_like(residual, LEAST_WEIGHT)
    for number in range(CURVE_LEVELS):
        part = (1 - np.abs(level - number)).clip(0).astype(np.float32)
        sums += part * blur(part * residual, CARRIED * max(disparity.shape))
        weights += part * blur(part * known, CARRIED * max(disparity.shape))
    filled = np.maximum(aligned + sums / weights, 0)
    return np.where(known, disparity, filled).astype(np.float32)


def _aligned(estimate, disparity):
    """The estimate in the map's unit; where both have nothing in common, the map's median."""
    scale, offset, correlation = align(estimate, disparity)
    if scale <= 0 or correlation < LEAST_CORRELATION:
        return np.full_like(disparity, np.nanmedian(disparity))
    return scale * estimate + np.float32(offset)


def blur(values: np.ndarray, deviation: float) -> np.ndarray:
    """Gaussian blur of (H, W), at reduced size where it is wide."""
    shrink = max(1, int(deviation / 4))
    if shrink == 1:
        return cv2.GaussianBlur(values, (0, 0), max(deviation, 0.3), borderType=cv2.BORDER_REFLECT)
    size = tuple(max(2, side // shrink) for side in values.shape[::-1])
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), deviation / shrink, borderType=cv2.BORDER_REFLECT)
    return cv2.resize(small, values.shape[::-1], interpolation=cv2.INTER_LINEAR)
