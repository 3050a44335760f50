"""Small spatial filters over (B, C, H, W) tensors and (H, W) arrays; training has kornia's too."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from kernels.threads import run_all, run_in_parts, thread_count

# Deviations from the middle to the end of a Gaussian's window, as OpenCV has it for float32.
BLUR_REACH = 4
STRIP_PX = 128


def binary_median(mask: torch.Tensor, size: int) -> torch.Tensor:
    """Median of masks of 0 and 1 over size x size pixels (odd): a box sum and a majority vote."""
    radius = size // 2
    mode = "reflect" if radius < min(mask.shape[-2:]) else "replicate"
    if mask.device.type == "cpu":  # in a tenth of the time
        border = {"reflect": cv2.BORDER_REFLECT_101, "replicate": cv2.BORDER_REPLICATE}[mode]
        planes = mask.detach().flatten(0, 1).to(torch.uint8).numpy()
        sums = [
            cv2.boxFilter(plane, cv2.CV_16U, (size, size), normalize=False, borderType=border)
            for plane in planes
        ]
        majority = torch.from_numpy(np.stack(sums) > size * size // 2)
        return majority.view(mask.shape).to(mask.dtype)
    padded = F.pad(mask, (radius, radius, radius, radius), mode=mode)
    return (F.avg_pool2d(padded, size, stride=1) > 0.5).to(mask.dtype)


def extremes(values: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value of (H, W) in the square that reaches `radius` px to each side."""
    return eroded(values, radius), dilated(values, radius)


def eroded(values: np.ndarray, radius: int) -> np.ndarray:
    """Smallest value of (H, W) in the square that reaches `radius` px to each side."""
    square = np.ones((2 * radius + 1,) * 2, np.uint8)
    return _in_bands(lambda rows: cv2.erode(rows, square), values, radius)


def dilated(values: np.ndarray, radius: int) -> np.ndarray:
    """Largest value of (H, W) in the square that reaches `radius` px to each side."""
    square = np.ones((2 * radius + 1,) * 2, np.uint8)
    return _in_bands(lambda rows: cv2.dilate(rows, square), values, radius)


def blurred(values: np.ndarray, deviation: float) -> np.ndarray:
    """Gaussian of (H, W) float32; `deviation` in px.

    The same bits as of cv2.GaussianBlur, which takes whole pictures on one thread: along columns
    it is twice as fast in strips that fit in the cache.
    """
    side = round(2 * BLUR_REACH * deviation + 1) | 1
    window, alone = cv2.getGaussianKernel(side, deviation, cv2.CV_32F), np.ones(1, np.float32)
    result = np.empty_like(values)

    def along_rows(top, bottom):
        result[top:bottom] = cv2.sepFilter2D(values[top:bottom], -1, window, alone)

    def along_columns(first, last):
        for left in range(first * STRIP_PX, last * STRIP_PX, STRIP_PX):
            strip = np.ascontiguousarray(result[:, left : left + STRIP_PX])
            result[:, left : left + STRIP_PX] = cv2.sepFilter2D(strip, -1, alone, window)

    run_in_parts(along_rows, len(values))
    run_in_parts(along_columns, -(-values.shape[1] // STRIP_PX))
    return result


def _in_bands(function: Callable[[np.ndarray], np.ndarray], values, reach):
    """Filter (H, W) in bands of rows, on all threads; the result is that of the whole.

    Args:
        function: filters rows; what it gives for one depends on none farther away than `reach`.
    """
    filtered = np.empty_like(values)

    def filter_band(top, bottom):
        first = max(0, top - reach)
        filtered[top:bottom] = function(values[first : bottom + reach])[top - first :][
            : bottom - top
        ]

    ends = np.unique(np.linspace(0, len(values), thread_count() + 1).astype(int)).tolist()
    run_all(filter_band, list(zip(ends[:-1], ends[1:], strict=True)))
    return filtered


def nearest_marked(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance in px to the nearest pixel of a mask, and which of its pixels that is.

    Args:
        mask: (H, W) bool, somewhere True.
    Returns:
        (H, W) float32; (H, W) int32, a number below K; (K,) flat index of the mask's pixels,
        ascending.
    """
    distance, labels = cv2.distanceTransformWithLabels(
        (~mask).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    pixels = np.flatnonzero(mask)
    number = np.zeros(len(pixels) + 1, np.int32)
    number[labels.flat[pixels]] = np.arange(len(pixels), dtype=np.int32)
    return distance, number[labels], pixels


def nearest_pixels(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance in px to the nearest pixel of a mask, and that pixel's flat index.

    Args:
        mask: (H, W) bool, somewhere True.
    Returns:
        (H, W) float32, (H, W) int64.
    """
    distance, number, pixels = nearest_marked(mask)
    return distance, pixels[number]


def fill_nearest(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Give every unknown pixel the value of the nearest known one.

    Args:
        values: (H, W).
        known: (H, W) bool, somewhere True.
    """
    return values.flat[nearest_pixels(known)[1]]


def gaussian_window(sigma: float) -> np.ndarray:
    """Weights of a Gaussian along one axis, (S,) float32 with S odd; they do not sum to one."""
    radius = int(np.ceil(2.5 * sigma))
    return np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2).astype(np.float32)
