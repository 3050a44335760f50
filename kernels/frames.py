"""What a frame of a film is rendered from: a cloud of points, and the view of a camera."""

from __future__ import annotations

from typing import Any, NamedTuple


class Cloud(NamedTuple):
    """Coloured points: NumPy arrays, or CUDA tensors, all C-contiguous."""

    points: Any  # (3, N) float32, camera frame
    colors: Any  # (N, 3) uint8 RGB; of rims (N, 4), see `kernels.render_frame`
    spacing: Any = None  # (N,) float32, distance to the neighbouring points, unit of `points`


class View(NamedTuple):
    """A moved camera, and the frame that it gives."""

    shift: Any  # (3,) added to every point
    size: tuple[int, int]  # (height, width) of the frame, px
    focal_px: float  # of this frame
    # The depth test compares disparity_scale / z with a tolerance of 1, so focal_px * baseline of
    # the photo makes it independent of the frame's size.
    disparity_scale: float
    lens: Any = (0.0, 0.0)  # px that the picture is shifted right and down, as by a shifted lens
