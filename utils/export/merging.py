"""Triangles over a grid of pixels, as few as show the same: large where disparity is even.

Squares are halved along a diagonal, and the halves again through the middle of their longest side,
wherever a pixel lies off what merging would make of it. Whatever is halved on one side of a line is
so on the other, so nothing gapes (right-triangulated irregular networks).

Source: W. Evans, D. Kirkpatrick, G. Townsend, Right-Triangulated Irregular Networks, 2001.
"""

from __future__ import annotations

import numpy as np

LARGEST = 16  # px of a square that is not divided: a power of two
# What merging may shift: disparity, as a share of the largest, and colours, in px.
DISPARITY_OFF, COLOUR_OFF_PX = 0.0005, 0.1
# Halves of a square with a falling diagonal, and with a rising one: three corners (row, column) in
# sides of the square, and the corner at the right angle.
HALVES = {
    True: ((((0, 0), (1, 0), (1, 1)), (1, 0)), (((0, 0), (1, 1), (0, 1)), (0, 1))),
    False: ((((0, 0), (1, 0), (0, 1)), (0, 0)), (((0, 1), (1, 0), (1, 1)), (1, 1))),
}
# Its quarters at the top, left, bottom and right, in halves of its side.
QUARTERS = (
    ((0, 0), (1, 1), (0, 2)),
    ((0, 0), (2, 0), (1, 1)),
    ((2, 0), (2, 2), (1, 1)),
    ((2, 2), (0, 2), (1, 1)),
)


def merged_triangles(disparity: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return triangles over those cells of four pixels that show one surface.

    Args:
        disparity: (H, W) px, positive where cells are whole.
        whole: (H - 1, W - 1) bool.
    Returns:
        (T, 3) int64: pixels, row-major; counter-clockwise where y is up. The corners of a cell that
        is not whole are corners of triangles.
    """
    height, width = disparity.shape
    beyond = [(0, -(side - 1) % LARGEST) for side in disparity.shape]
    disparity = np.pad(disparity, beyond, mode="edge")
    whole = np.pad(whole, beyond)
    corner = _corners(disparity, whole)
    triangles = np.concatenate([*_halves(corner), *_quarters(corner)])
    row, column = triangles[..., 0], triangles[..., 1]
    inside = (row.max(axis=1) < height) & (column.max(axis=1) < width)
    row, column = row[inside], column[inside]
    # A cell that is not whole has triangles of its own.
    shown = whole[row.min(axis=1), column.min(axis=1)]
    return row[shown] * width + column[shown]


def _corners(disparity, whole):
    """(H, W) bool: which pixels have to be corners, and those that these need."""
    corner = np.zeros(disparity.shape, bool)
    for row in (0, 1):
        for column in (0, 1):
            part = corner[row : row + whole.shape[0], column : column + whole.shape[1]]
            part |= ~whole
    limit = DISPARITY_OFF * float(disparity.max())

    def off(middle, one, other, length):
        """Whether the middle of a line of so many px shifts if the line is not divided."""
        apart = np.abs(one - other)
        colour = length / 2 * apart > COLOUR_OFF_PX * (one + other)
        return colour | (np.abs(middle - (one + other) / 2) > limit)

    half = 1
    while half < LARGEST:
        step, d = 2 * half, disparity
        across, down = corner[::step, half::step], corner[half::step, ::step]
        across |= off(d[::step, half::step], d[::step, :-1:step], d[::step, step::step], step)
        down |= off(d[half::step, ::step], d[:-1:step, ::step], d[step::step, ::step], step)
        if half > 1:  # the middles of the squares around
            inner = corner[half // 2 :: half, half // 2 :: half]
            above, below = inner[1:-1:2], inner[2::2]
            across[1:-1] |= above[:, ::2] | above[:, 1::2] | below[:, ::2] | below[:, 1::2]
            across[0] |= inner[0, ::2] | inner[0, 1::2]
            across[-1] |= inner[-1, ::2] | inner[-1, 1::2]
            left, right = inner[:, 1:-1:2], inner[:, 2::2]
            down[:, 1:-1] |= left[::2] | left[1::2] | right[::2] | right[1::2]
            down[:, 0] |= inner[::2, 0] | inner[1::2, 0]
            down[:, -1] |= inner[::2, -1] | inner[1::2, -1]
        middle = corner[half::step, half::step]
        falls = _falling(middle.shape)
        first = np.where(falls, d[:-1:step, :-1:step], d[:-1:step, step::step])
        last = np.where(falls, d[step::step, step::step], d[step::step, :-1:step])
        middle |= off(d[half::step, half::step], first, last, step * np.sqrt(2))
        middle |= across[:-1] | across[1:] | down[:, :-1] | down[:, 1:]
        half = step
    return corner


def _falling(shape):
    """Whether the diagonal of each square, of (rows, columns), goes down to the right."""
    row, column = np.ogrid[: shape[0], : shape[1]]
    return (row + column) % 2 == 0


def _halves(corner):
    """Yield (T, 3, 2), row and column, of squares' halves that are not divided further."""
    side = LARGEST
    while side:
        shape = tuple((length - 1) // side for length in corner.shape)
        last = np.ones(shape, bool)
        if side > 1:
            last = ~corner[side // 2 :: side, side // 2 :: side]
        for falls in (True, False):
            of_these = last & (_falling(shape) == falls)
            for triangle, apex in HALVES[falls]:
                shown = of_these
                if side < LARGEST:
                    row, column = apex
                    shown = (
                        shown
                        & corner[row * side :: side, column * side :: side][: shape[0], : shape[1]]
                    )
                places = np.argwhere(shown)[:, None] * side
                yield places + np.array(triangle) * side
        side //= 2


def _quarters(corner):
    """Yield the same of the quarters of squares that meet in the squares' middles."""
    side = 2
    while side <= LARGEST:
        half = side // 2
        middle = corner[half::side, half::side]
        across, down = corner[::side, half::side], corner[half::side, ::side]
        for triangle, beside in zip(
            QUARTERS, (across[:-1], down[:, :-1], across[1:], down[:, 1:]), strict=True
        ):
            places = np.argwhere(middle & ~beside)[:, None] * side
            yield places + np.array(triangle) * half
        side *= 2
