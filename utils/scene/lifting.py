"""The pixels of a photo become points: one pass over it, on all threads."""

from __future__ import annotations

import numpy as np

from kernels.jit import jit
from kernels.threads import run_in_parts


def lift_pixels(
    image: np.ndarray, disparity: np.ndarray, keep: np.ndarray, focal_px: float, scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lift some pixels of a photo, as `utils.camera.unproject` does.

    Args:
        image: (3, H, W) float32 RGB in [0, 1].
        disparity: (H, W) float32, positive.
        keep: (H, W) bool, which pixels.
        focal_px: of the photo.
        scale: depth = scale / disparity.
    Returns:
        points (3, K) float32; colours (K, 3) uint8; spacing (K,) float32, see `Scene.cloud`.
    """
    ends = np.count_nonzero(keep, axis=1).cumsum()
    count = int(ends[-1])
    points, spacing = np.empty((3, count), np.float32), np.empty(count, np.float32)
    colors = np.empty((count, 3), np.uint8)
    lens = np.float32(focal_px), np.float32(scale)
    run_in_parts(
        lambda begin, end: _lift_rows(
            (image, disparity, keep), (begin, end), ends, lens, points, colors, spacing
        ),
        len(keep),
    )
    return points, colors, spacing


@jit
def _lift_rows(photo, rows, ends, lens, points, colors, spacing):
    """Write the points of some rows; those of a row end at `ends`."""
    image, disparity, keep = photo
    focal, scale = lens
    height, width = disparity.shape
    middle_x, middle_y = np.float32((width - 1) / 2), np.float32((height - 1) / 2)
    for y in range(rows[0], rows[1]):
        k = ends[y - 1] if y > 0 else 0
        for x in range(width):
            if not keep[y, x]:
                continue
            z = np.float32(1) / disparity[y, x] * scale
            points[0, k] = (np.float32(x) - middle_x) * z / focal
            points[1, k] = (np.float32(y) - middle_y) * z / focal
            points[2, k] = z
            spacing[k] = z / focal
            for c in range(3):
                level = np.rint(image[c, y, x] * np.float32(255))
                colors[k, c] = np.uint8(min(max(level, np.float32(0)), np.float32(255)))
            k += 1
