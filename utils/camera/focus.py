"""Where the camera looks, and the depth at which windows are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from utils.camera.windows import CropWindow


# Share of the long side that does not count when the nearest depth is looked for: the reference's
# 128 pixels at 1024. What lies there leaves the picture as the camera moves in.
BORDER_SHARE = 0.125
# How far the middle of the windows may lie from the photo's centre, as a share of the larger one,
# before the camera aims elsewhere: windows of 0.9 of the photo, as published, hardly lie farther.
AIM_SLACK = 0.05


def nearest_depth(depth: torch.Tensor, border_share: float = BORDER_SHARE) -> float:
    """Return the smallest depth inside a border, the distance at which windows are measured.

    Args:
        depth: (1, 1, H, W).
        border_share: width of the border as a share of the long side, at most a quarter of a side.
    """
    height, width = depth.shape[-2:]
    border = border_share * max(height, width)
    top, left = int(min(border, height / 4)), int(min(border, width / 4))
    return float(depth[..., top : height - top, left : width - left].amin())


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
    return tuple(
        min(max(side / 2, total / 2 - AIM_SLACK * extent), total / 2 + AIM_SLACK * extent)
        for side, total, extent in axes
    )
