"""What patches and blocks of texture ask of a view at one resolution."""

from __future__ import annotations

import cv2
import numpy as np

from kernels.patches import Level, Sources, smooth
from kernels.threads import run_in_parts
from utils.filters import extremes, gaussian_window

LEAST = 1000  # fewer patches or pixels are done before another thread has begun
SEED = 20260
# Detail fades where it comes from another colour: e-fold (as a Gaussian) at this difference, RGB in
# [0, 255]. There it knows nothing of the place. (benchmarks.inpainting: at half gradient energy
# -0.07, at twice SSIM -0.07.)
TRUST_COLOR = np.float32(20)


def at(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return (M, ...) the values (H, W, ...) at places (M, 2), y and x."""
    return values[places[:, 0], places[:, 1]]


def edges(level: Level) -> np.ndarray:
    """Mark the pixels beside a depth edge, (H, W) uint8 of 0 and 1."""
    lowest, highest = extremes(level.near, 1)
    return (highest - lowest > level.jump).astype(np.uint8)


def surrounded(mask: np.ndarray, side: int) -> np.ndarray:
    """The pixels (H, W) uint8 around which a whole square shows the mask; the frame ends it."""
    square = np.ones((side, side), np.uint8)
    return cv2.erode(mask, square, borderType=cv2.BORDER_CONSTANT, borderValue=0)


def ranked(mask: np.ndarray, near: np.ndarray) -> Sources:
    """The pixels of a mask (H, W) as sources."""
    places = np.argwhere(mask).astype(np.int32)
    order = np.argsort(at(near, places), kind="stable")
    return Sources(places[order], at(near, places[order]))


def smoothed(level: Level, places: np.ndarray, sigma: float) -> np.ndarray:
    """Return (M, 3) float32 the colours at places (M, 2), smoothed along their own surface."""
    found, window = np.empty((len(places), 3), np.float32), gaussian_window(sigma)
    run_in_parts(
        lambda begin, end: smooth(level, places, window, begin, end, found), len(places), LEAST
    )
    return found
