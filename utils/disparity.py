"""From a coarse disparity map to one that is as large as the photo, with sharp, aligned edges."""

import math
import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from kernels.jit import jit

# Steps below the first share of the largest disparity are slopes and stay; steps above the second
# are edges and become sharp; between them the result is blended.
STEP_SLOPE, STEP_EDGE = 0.05, 0.12
# How alike two colours are: standard deviation in RGB in [0, 255].
COLOR_SIGMA = 20.0
# Sharpening looks this far at most, px; a larger enlargement is done in two strides.
MAX_RADIUS = 10


def resize_disparity(disparity, size):
    """Resize (1, 1, h, w) bilinearly to (height, width); values stay as they are."""
    return F.interpolate(disparity, tuple(size), mode="bilinear", align_corners=False)


def upsample_disparity(disparity, image):
    """Enlarge a disparity map to its photo and snap its edges to those of the photo.

    Args:
        disparity: (1, 1, h, w), larger = nearer, not negative.
        image: (1, 3, H, W) RGB in [0, 1].
    Returns:
        (1, 1, H, W) float32 on the CPU.
    """
    disparity = disparity.float().cpu()
    pixels = (image[0].permute(1, 2, 0) * 255).round().byte().cpu().numpy()
    size = np.array(pixels.shape[:2])
    strides = max(1, math.ceil(math.log(max(size / disparity.shape[2:])) / math.log(4)))
    for stride in range(strides - 1, -1, -1):
        target = np.maximum(1, np.round(size / 4**stride)).astype(int)
        if (target < disparity.shape[2:]).any():
            target = np.array(disparity.shape[2:])
        radius = edge_radius(max(target / disparity.shape[2:]))
        smaller = cv2.resize(pixels, tuple(int(s) for s in target[::-1]),
                             interpolation=cv2.INTER_AREA)
        enlarged = resize_disparity(disparity, tuple(int(s) for s in target))
        sharp = sharpen_edges(enlarged[0, 0].numpy(), smaller, radius)
        disparity = torch.from_numpy(sharp)[None, None]
    return disparity


def edge_radius(scale):
    """Return how far, in px, the edges of a map enlarged by `scale` may be blurred or off."""
    return int(min(MAX_RADIUS, max(2, round(1.5 * scale) + 1)))


def sharpen_edges(disparity, pixels, radius):
    """Turn the ramps of depth edges into steps that follow the colours of the photo.

    Each pixel with a step in its window joins the near or the far side: the one whose pixels look
    like it, weighed by where on the ramp it lies now. It takes that side's mean disparity, so no
    value in between is left to fly between the two surfaces. (A joint bilateral choice between two
    modes; the idea of the weighted median filter, Ma et al., ICCV 2013.)

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
    for window in (radius, max(2, radius // 2)):
        kernel = np.ones((2 * window + 1, 2 * window + 1), np.uint8)
        low, high = cv2.erode(disparity, kernel), cv2.dilate(disparity, kernel)
        distances = np.arange(-window, window + 1, dtype=np.float32) ** 2
        spatial = np.exp(-(distances[:, None] + distances) / (0.5 * window**2)).astype(np.float32)
        alike = np.exp(-np.arange(3 * 255**2 // 64 + 1, dtype=np.float32) * 64
                       / (2 * COLOR_SIGMA**2)).astype(np.float32)
        sharp = disparity.copy()
        rows = np.linspace(0, len(disparity), 4 * (os.cpu_count() or 1) + 1).astype(int)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(lambda top, bottom, source=disparity, target=sharp, low=low, high=high,
                          spatial=spatial, alike=alike: _choose_sides(
                              source, pixels, low, high, spatial, alike, peak, top, bottom,
                              target), rows[:-1], rows[1:]))
        disparity = sharp
    return disparity


@jit
def _choose_sides(disparity, pixels, low, high, spatial, alike, peak, top, bottom, sharp):
    """Write rows top..bottom of `sharp`; see sharpen_edges."""
    height, width = disparity.shape
    radius = spatial.shape[0] // 2
    for y in range(top, bottom):
        for x in range(width):
            lo, hi = low[y, x], high[y, x]
            step = (hi - lo) / peak
            if step <= STEP_SLOPE:
                continue
            far_limit, near_limit = lo + 0.3 * (hi - lo), hi - 0.3 * (hi - lo)
            red, green, blue = pixels[y, x]
            near_weight = near_sum = near_room = np.float32(0)
            far_weight = far_sum = far_room = np.float32(0)
            for row in range(max(0, y - radius), min(height, y + radius + 1)):
                for column in range(max(0, x - radius), min(width, x + radius + 1)):
                    value = disparity[row, column]
                    if far_limit < value < near_limit:
                        continue
                    dr = np.int32(pixels[row, column, 0]) - red
                    dg = np.int32(pixels[row, column, 1]) - green
                    db = np.int32(pixels[row, column, 2]) - blue
                    room = spatial[row - y + radius, column - x + radius]
                    weight = room * (alike[(dr * dr + dg * dg + db * db) // 64] + np.float32(1e-4))
                    if value >= near_limit:
                        near_weight += weight
                        near_sum += weight * value
                        near_room += room
                    else:
                        far_weight += weight
                        far_sum += weight * value
                        far_room += room
            if near_room == 0 or far_room == 0:
                continue
            place = (disparity[y, x] - lo) / (hi - lo)
            near_score = near_weight / near_room * (place + 0.1)
            far_score = far_weight / far_room * (1.1 - place)
            snapped = near_sum / near_weight if near_score > far_score else far_sum / far_weight
            blend = min(np.float32(1), (step - STEP_SLOPE) / (STEP_EDGE - STEP_SLOPE))
            sharp[y, x] = disparity[y, x] + blend * (snapped - disparity[y, x])
