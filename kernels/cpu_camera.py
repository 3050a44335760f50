"""A view as the loops of the CPU (Numba) want it, and what of a frame a point reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .jit import jit

if TYPE_CHECKING:
    from .frames import View


ZERO, HALF, ONE, INFINITY = (np.float32(value) for value in (0, 0.5, 1, np.inf))


class Camera(NamedTuple):
    """Numbers of a `View`, float32."""

    x: np.float32  # shift
    y: np.float32
    z: np.float32
    focal: np.float32
    scale: np.float32  # of disparity
    lens_x: np.float32
    lens_y: np.float32


def to_camera(view: View) -> Camera:
    """Return the numbers of a view."""
    numbers = *view.shift, view.focal_px, view.disparity_scale, *view.lens
    return Camera(*map(np.float32, numbers))


@jit
def place(
    coordinate: np.float32,
    shift: np.float32,
    lens: np.float32,
    scale: np.float32,
    length: int,
    margin: np.float32,
) -> tuple[np.float32, np.bool_]:
    """Return the padded coordinate of a point along one axis, and whether it is within reach.

    Args:
        coordinate: of the point; shift: added to it; lens: px that the picture is shifted.
        scale: px per unit at the point's depth.
        length: of the frame along this axis, without the padding.
        margin: how far outside the padding's centre it still counts, px.
    """
    position = (coordinate + shift) * scale + (HALF * np.float32(length) + HALF + lens)
    # False if not a number. `&`, not `and`: a branch would keep loops from being vectorised.
    return position, (position > -margin) & (position < np.float32(length) + ONE + margin)


@jit
def span(position: np.float32, reach: np.float32, length: int) -> tuple[int, int]:
    """Return the first padded pixel within reach of a position, and the one after the last.

    Args:
        length: of the frame along this axis, without the padding.
    """
    first = max(int(np.ceil(position - reach)), 1)
    return first, min(int(np.floor(position + reach)), length) + 1
