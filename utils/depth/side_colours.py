"""What the pixels on one side of a depth edge look like, place by place: means and covariances."""

import cv2
import numpy as np

CELLS = 4  # per reach, in which colours are summed up


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
    height, width = pixels.shape[:2]
    cell = max(1, reach // CELLS)
    rows, columns = -(-height // cell), -(-width // cell)
    place = cells_of(index, (height, width), reach)
    values = pixels.reshape(-1, 3)[index].astype(np.float32)
    first, second = np.triu_indices(3)
    parts = [None, *values.T, *(values[:, first] * values[:, second]).T]
    counted = np.stack([np.bincount(place, part, rows * columns) for part in parts], 1)
    sums = counted.astype(np.float32).reshape(rows, columns, 10) / cell**2
    blurred = cv2.GaussianBlur(sums, (0, 0), reach / cell, borderType=cv2.BORDER_CONSTANT)
    return blurred.reshape(-1, 10)


def colour_statistics(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean colours (N, 3) and their covariances (N, 3, 3) from sums (N, 10)."""
    mean = sums[:, 1:4] / sums[:, :1]
    square = np.empty((len(sums), 3, 3), np.float32)
    first, second = np.triu_indices(3)
    square[:, first, second] = square[:, second, first] = sums[:, 4:] / sums[:, :1]
    return mean, square - mean[:, :, None] * mean[:, None]
