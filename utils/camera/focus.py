"""What the camera looks at: the focus, at whose depth windows are measured, and its aim."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import torch

    from utils.camera.windows import CropWindow


class Focus(NamedTuple):
    """The point that a film is about."""

    u: float  # px of the photo, from the left border
    v: float  # from the upper one
    depth: float  # of what is there, unit of the baseline


# Share of the photo that is nearer than what counts as near, and as much is farther than far; side
# of the patch whose depth counts as that of its middle, as a share of the short side. By eye.
BEYOND_FOCUS, PATCH_SHARE = 0.02, 0.1
# Share of the long side that does not count when the nearest depth is looked for: the reference's
# 128 pixels at 1024. What lies there leaves the picture as the camera moves in.
BORDER_SHARE = 0.125
# How far the middle of the windows may lie from the photo's centre, as a share of the larger one,
# before the camera aims elsewhere: windows of 0.9 of the photo, as published, hardly lie farther.
# As far aside an automatic shot slides.
AIM_SLACK = 0.05


def find_focus(depth: torch.Tensor, u: float, v: float) -> Focus:
    """Return the focus at a point of a photo: the depth of the thing that is there.

    Of a small patch the half that differs least in depth decides, by its median. What stands there
    differs less than the ground in front of it or than all that lies behind it; and where the patch
    holds several things, none of them is mixed with another.

    Args:
        depth: (1, 1, H, W).
        u, v: px from the left and upper border; a point outside means the nearest one inside.
    """
    height, width = depth.shape[-2:]
    half = max(1, round(PATCH_SHARE * min(height, width) / 2))
    column, row = min(max(int(u), 0), width - 1), min(max(int(v), 0), height - 1)
    patch = depth[
        0, 0, max(row - half, 0) : row + half + 1, max(column - half, 0) : column + half + 1
    ]
    inverse = (1 / patch).flatten().sort().values  # disparity: equal steps are equally visible
    count = (len(inverse) + 1) // 2
    spread = inverse[count - 1 :] - inverse[: len(inverse) - count + 1]
    densest = int(spread.argmin())
    return Focus(u, v, 1 / float(inverse[densest : densest + count].median()))


def nearest_depth(depth: torch.Tensor | np.ndarray, border_share: float = BORDER_SHARE) -> float:
    """Return the smallest depth inside a border: of what the camera could run into.

    Args:
        depth: (..., H, W).
        border_share: width of the border as a share of the long side, at most a quarter of a side.
    """
    height, width = depth.shape[-2:]
    border = border_share * max(height, width)
    top, left = int(min(border, height / 4)), int(min(border, width / 4))
    return float(depth[..., top : height - top, left : width - left].min())


def depth_range(depth: torch.Tensor) -> tuple[float, float]:
    """Return the depths of near and far things: all but some hundredths lie between them.

    Args:
        depth: (1, 1, H, W).
    """
    values = depth.flatten()
    values = values[:: max(1, len(values) // 100_000)].sort().values
    outside = int(BEYOND_FOCUS * len(values))
    return float(values[outside]), float(values[len(values) - 1 - outside])


def aim(image_size: tuple[int, int], start: CropWindow, end: CropWindow) -> tuple[float, float]:
    """Return the (u, v) in the photo, px, that the camera looks at, the middle of all frames.

    As published that is the photo's centre, and windows elsewhere are reached by moving the camera.
    A narrow film of a wide photo, or a window in a corner, would take it far aside, where
    everything is seen askew. Beyond AIM_SLACK the camera looks aside instead, as by shifting a
    lens, which uncovers nothing.

    Args:
        image_size: (height, width) of the photo, px.
        start, end: CropWindow in it.
    """
    height, width = image_size
    axes = (
        (width, start.center_u + end.center_u, max(start.width, end.width)),
        (height, start.center_v + end.center_v, max(start.height, end.height)),
    )
    u, v = (
        min(max(side / 2, total / 2 - AIM_SLACK * extent), total / 2 + AIM_SLACK * extent)
        for side, total, extent in axes
    )
    return u, v
