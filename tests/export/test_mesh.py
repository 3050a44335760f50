"""A mesh over a grid shows each pixel its own square, without a gap, and is cut at steps."""

import numpy as np
import pytest

from utils.export.mesh import grid_mesh
from utils.scene.surface import connected

PER_PX = 4  # samples


def drawn(mesh, size):
    """Nearest disparity and texture column of PER_PX * PER_PX samples a pixel; 0 where nothing."""
    y, x = (np.mgrid[: size[0] * PER_PX, : size[1] * PER_PX] + 0.5) / PER_PX - 0.5
    nearest, column = np.zeros(x.shape), np.zeros(x.shape)
    for triangle in mesh.triangles:
        (ax, ay), (bx, by), (cx, cy) = mesh.pixels[triangle].astype(float)
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        assert area < 0, "counter-clockwise, seen with y up"
        shares = [
            ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area,
            ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area,
            ((ax - x) * (by - y) - (ay - y) * (bx - x)) / area,
        ]
        inside = np.min(shares, axis=0) >= -1e-9
        value = np.einsum("k,kyx->yx", mesh.disparity[triangle], shares)
        texture = np.einsum("k,kyx->yx", mesh.texture[triangle, 0], shares)
        front = inside & (value > nearest)
        nearest[front], column[front] = value[front], texture[front]
    return x, y, nearest, column


@pytest.mark.parametrize("seed", range(4))
def test_every_pixel_shows_its_own_square(seed):
    rng = np.random.default_rng(seed)
    disparity = np.full((9, 12), 30.0)
    for _ in range(4):
        row, column = rng.integers(0, 8), rng.integers(0, 10)
        disparity[row : row + rng.integers(1, 4), column : column + 3] = rng.integers(45, 120)
    kept = rng.random(disparity.shape) > 0.1
    x, y, nearest, column = drawn(
        grid_mesh(disparity, kept, *connected(disparity, kept)), disparity.shape
    )
    within = (x >= 0) & (x <= 11) & (y >= 0) & (y <= 8)
    pixel = np.rint(y).astype(int).clip(0, 8), np.rint(x).astype(int).clip(0, 11)
    shown = within & kept[pixel]
    # Where pixels hang together depth goes evenly from one to the other: less than a step.
    assert (np.abs(nearest - disparity[pixel])[shown] <= 0.06 * disparity.max() / 2 + 1e-6).all()
    assert (np.abs(column - x)[shown] <= 1 + 1e-6).all(), "in its own colour"


def test_rims_end_where_their_pixels_end():
    disparity, kept = np.full((6, 6), 50.0), np.zeros((6, 6), bool)
    kept[2:4, 2:4] = True
    mesh = grid_mesh(disparity, kept, *connected(disparity, kept), under=False)
    assert (mesh.pixels.min(), mesh.pixels.max()) == (1.5, 3.5)
