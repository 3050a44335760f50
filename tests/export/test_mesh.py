"""A mesh over a grid shows each pixel its own square, without a gap, and is cut at steps."""

import numpy as np
import pytest

from utils.export.merging import DISPARITY_OFF, merged_triangles
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


def bumpy(height=45, width=70):
    """An even slope, with a rough piece and a step."""
    rng = np.random.default_rng(5)
    disparity = 40 + np.mgrid[:height, :width][0] * 0.2
    disparity[8:14, 10:20] += rng.normal(0, 0.4, (6, 10))
    disparity[25:40, 30:50] = 100
    return disparity


def test_what_is_even_becomes_large_triangles_that_nothing_gapes_between():
    disparity = bumpy()
    whole = np.random.default_rng(1).random((44, 69)) > 0.01
    triangles = merged_triangles(disparity, whole)
    row, column = np.divmod(triangles, 70)
    across, down = np.diff(column, axis=1), np.diff(row, axis=1)
    area = (across[:, 1] * down[:, 0] - across[:, 0] * down[:, 1]) / 2
    assert (area > 0).all() and area.sum() == whole.sum(), "each cell that is whole, once"
    assert len(triangles) < 0.6 * 2 * whole.sum()
    lines = np.sort(np.concatenate([triangles[:, [i, (i + 1) % 3]] for i in range(3)]), axis=1)
    lines, times = np.unique(lines, axis=0, return_counts=True)
    ends = np.stack(np.divmod(lines[times == 1], 70), 2)
    length = np.abs(np.diff(ends, axis=1)).sum(axis=(1, 2))
    border = (ends == 0) | (ends == (44, 69))
    at_border = border.all(axis=1).any(axis=1)
    assert times.max() == 2 and (length[~at_border] == 1).all(), "only beside cells that are cut"


def test_an_even_plane_takes_few_triangles():
    plane = 50 + np.mgrid[:257, :257][1] * 0.01
    assert len(merged_triangles(plane, np.ones((256, 256), bool))) < 0.02 * 2 * 256**2


def test_merging_shifts_neither_depth_nor_colours():
    row = np.mgrid[:33, :41][0]
    slope = 40 + row * 0.2 + 0.004 * row**2
    disparity, kept = slope.copy(), np.ones(slope.shape, bool)
    disparity[8:14, 2:7] = 100
    mesh = grid_mesh(disparity, kept, *connected(disparity, kept))
    assert len(mesh.triangles) < 0.5 * 2 * disparity.size
    vertices = np.column_stack([mesh.pixels, mesh.disparity, mesh.texture])
    assert len(np.unique(vertices, axis=0)) == len(vertices)
    x, y, nearest, column = drawn(mesh, disparity.shape)
    inner = (x > 9) & (x < 40) & (y > 0) & (y < 32)
    off = nearest - (40 + y * 0.2 + 0.004 * y**2)
    assert np.abs(off[inner]).max() <= DISPARITY_OFF * 100
    assert np.abs(column - x)[inner].max() < 1e-6
