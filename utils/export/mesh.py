"""A grid of pixels with depth as a textured mesh that is cut where two surfaces meet.

Every pixel shows its own square: a surface ends half a pixel beyond the last centre that is its
own, and the farthest one of those that meet goes on under the others, so that nothing shows between
them as long as the camera stands where the picture was taken.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from utils.export.merging import merged_triangles

# Corners of a cell of four pixels, in the order of the labels: row, column.
CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))
# For each corner its neighbour across and its neighbour below or above, as numbers of corners.
ACROSS, ALONG = (1, 0, 3, 2), (2, 3, 0, 1)


class Mesh(NamedTuple):
    """Triangles over a picture."""

    pixels: np.ndarray  # (V, 2) float32: column, row in the picture, where a vertex is seen
    disparity: np.ndarray  # (V,) float32 px
    texture: np.ndarray  # (V, 2) float32: column, row in the picture, whose colour it has
    triangles: np.ndarray  # (T, 3) uint32, counter-clockwise where y is up


def grid_mesh(
    disparity: np.ndarray, kept: np.ndarray, right: np.ndarray, down: np.ndarray, under: bool = True
) -> Mesh:
    """Return the mesh of a grid of pixels.

    Args:
        disparity: (H, W) px, positive where kept.
        kept: (H, W) bool: which pixels are there.
        right, down: which neighbours hang together, see `utils.scene.surface.connected`.
        under: let the farthest surface go on under what is before it, and into what is not kept.
    """
    height, width = disparity.shape
    labels = _labels(kept, right, down)
    whole = (labels == labels[:1]).all(axis=0) & (labels[0] >= 0)
    vertices = [_pixel_vertices(disparity)]
    triangles = [merged_triangles(disparity, whole)]
    count = height * width
    cut = np.nonzero(~whole & (labels >= 0).any(axis=0))
    for part in _cut_cells(disparity, labels[:, cut[0], cut[1]], cut, under):
        vertices.append(part)
        first = count + 4 * np.arange(len(part) // 4)
        triangles += [
            np.stack([first, first + 2, first + 1], 1),
            np.stack([first + 1, first + 2, first + 3], 1),
        ]
        count += len(part)
    used, numbers = np.unique(np.concatenate(triangles), return_inverse=True)
    every = np.ascontiguousarray(np.concatenate(vertices)[used].astype(np.float32))
    # Squares of neighbouring cells share corners; equal bytes are the same vertex.
    _, kept, same = np.unique(
        every.view(f"V{every.strides[0]}")[:, 0], return_index=True, return_inverse=True
    )
    order = np.argsort(kept)  # as they came: neighbours stay beside each other
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    every, numbers = every[kept[order]], place[same][numbers]
    return Mesh(every[:, :2], every[:, 2], every[:, 3:], numbers.reshape(-1, 3).astype(np.uint32))


def _labels(kept, right, down):
    """(4, H - 1, W - 1): corners of a cell with one number hang together; -1 is not there."""
    labels = np.empty((4, kept.shape[0] - 1, kept.shape[1] - 1), np.int8)
    for corner in range(4):
        labels[corner] = corner
    pairs = ((0, 1, right[:-1]), (2, 3, right[1:]), (0, 2, down[:, :-1]), (1, 3, down[:, 1:]))
    for _ in range(3):  # a chain of four has three links
        for one, other, linked in pairs:
            least = np.minimum(labels[one], labels[other])
            labels[one] = np.where(linked, least, labels[one])
            labels[other] = np.where(linked, least, labels[other])
    for corner, (row, column) in enumerate(CORNERS):
        there = kept[row : row + labels.shape[1], column : column + labels.shape[2]]
        labels[corner][~there] = -1
    return labels


def _pixel_vertices(disparity):
    """(H * W, 5): column, row, disparity, and column and row of the texture."""
    height, width = disparity.shape
    row, column = np.mgrid[:height, :width].reshape(2, -1)
    return np.stack([column, row, disparity.reshape(-1), column, row], 1)


def _cut_cells(disparity, labels, cells, under):
    """Yield (4 * n, 5): four vertices of n squares each, in the cells where surfaces meet.

    Args:
        disparity: (H, W).
        labels: (4, K) of the cells.
        cells: rows and columns of their upper left pixels, (K,) each.
        under: see `grid_mesh`.
    """
    place = np.array(CORNERS)[:, ::-1, None] + np.stack(cells)[None, ::-1]  # (4, 2, K)
    depth = np.stack([disparity[cells[0] + row, cells[1] + column] for row, column in CORNERS])
    # Means over the corners that hang together with each corner.
    same = (labels[:, None] == labels[None]) & (labels[None] >= 0)  # (4, 4, K)
    number = same.sum(axis=1).clip(1)
    mean_depth = (same * depth[None]).sum(axis=1) / number
    mean_place = (same[:, :, None] * place[None]).sum(axis=1) / number[:, None]
    level = np.where(labels >= 0, mean_depth, np.inf)
    farthest = (labels >= 0) & (level <= level.min(axis=0) + 1e-9)
    middle = place.mean(axis=0)
    for corner in range(4):
        mine = labels[corner] >= 0
        if under:
            mine &= ~farthest[corner]
        square = [
            _vertex(place[corner], depth[corner], place[corner]),
            *(
                _halfway(place, depth, labels, corner, beside)
                for beside in (ACROSS[corner], ALONG[corner])
            ),
            _vertex(middle, mean_depth[corner], mean_place[corner]),
        ]
        if corner in (1, 2):  # so that all squares turn the same way
            square[1], square[2] = square[2], square[1]
        yield _squares(square, mine)
    if under:
        first = farthest.argmax(axis=0)
        each = np.arange(labels.shape[1])
        group, group_depth = labels[first, each], mean_depth[first, each]
        group_place = mean_place[first, :, each].T
        member = labels == group
        square = [
            _vertex(
                place[corner],
                np.where(member[corner], depth[corner], group_depth),
                np.where(member[corner], place[corner], group_place),
            )
            for corner in range(4)
        ]
        yield _squares(square, farthest.any(axis=0))


def _halfway(place, depth, labels, corner, beside):
    """The vertex between two pixels: of both, if they hang together, else of the first alone."""
    both = labels[corner] == labels[beside]
    return _vertex(
        (place[corner] + place[beside]) / 2,
        np.where(both, (depth[corner] + depth[beside]) / 2, depth[corner]),
        np.where(both, (place[corner] + place[beside]) / 2, place[corner]),
    )


def _vertex(place, depth, texture):
    """(K, 5) from (2, K), (K,) and (2, K)."""
    return np.concatenate([place, depth[None], texture]).T


def _squares(corners, chosen):
    """(4 * n, 5): the four vertices (K, 5) of each chosen cell, cell by cell."""
    return np.stack(corners, 1)[chosen].reshape(-1, 5)
