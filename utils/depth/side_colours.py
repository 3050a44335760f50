"""What the pixels on one side of a depth edge look like, place by place: means and covariances."""

import cv2
import numpy as np

from kernels.jit import jit
from utils.filters import BLUR_REACH

CELLS = 4  # per reach, in which colours are summed up
AROUND = BLUR_REACH  # reaches from an edge, up to which pixels tell the colours of its sides


def cells_of(index: np.ndarray, size: tuple[int, int], reach: int) -> np.ndarray:
    """Number of the cell in which each pixel lies.

    Args:
        index: (N,) flat index of pixels.
        size: (height, width) of the photo.
        reach: deviation in px of the window that `sum_colours` looks through.
    """
    cell = max(1, reach // CELLS)
    return index // size[1] // cell * -(-size[1] // cell) + index % size[1] // cell


def sum_colours(pixels: np.ndarray, index: np.ndarray, reach: int) -> np.ndarray:
    """Sums over chosen pixels around each cell, in a Gaussian window.

    Args:
        pixels: (H, W, 3) RGB, 0 to 255.
        index: (N,) flat index of the pixels that count.
        reach: deviation of the window, px.
    Returns:
        (cells, 10): weight (share of the window), RGB, products of two of them.
    """
    cell = max(1, reach // CELLS)
    rows, columns = (-(-side // cell) for side in pixels.shape[:2])
    counted = np.zeros((rows * columns, 10), np.float64)
    _count(pixels, index, cell, columns, counted)
    sums = counted.astype(np.float32).reshape(rows, columns, 10) / cell**2
    blurred = cv2.GaussianBlur(sums, (0, 0), reach / cell, borderType=cv2.BORDER_CONSTANT)
    return blurred.reshape(-1, 10)


@jit
def _count(pixels, index, cell, columns, counted):
    """Add a one, the colour and its products to the cell of each pixel: `sum_colours`' columns."""
    width = pixels.shape[1]
    color = np.empty(3, np.float32)
    for k in range(index.shape[0]):
        y, x = index[k] // width, index[k] % width
        sums = counted[y // cell * columns + x // cell]
        sums[0] += 1
        column = 4
        for first in range(3):
            color[first] = pixels[y, x, first]
            sums[1 + first] += color[first]
        for first in range(3):
            for second in range(first, 3):
                sums[column] += color[first] * color[second]
                column += 1


def colour_statistics(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean colours (N, 3) and their covariances (N, 3, 3) from sums (N, 10)."""
    mean = sums[:, 1:4] / sums[:, :1]
    square = np.empty((len(sums), 3, 3), np.float32)
    first, second = np.triu_indices(3)
    square[:, first, second] = square[:, second, first] = sums[:, 4:] / sums[:, :1]
    return mean, square - mean[:, :, None] * mean[:, None]
