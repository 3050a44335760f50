"""The automatic zoom: the paper's exhaustive search for the end window that uncovers the least."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from kernels import render_pointcloud
from utils.camera.focus import nearest_depth
from utils.camera.projection import unproject
from utils.camera.windows import CropWindow

CANDIDATES = 16  # candidates along each axis, as the paper


class AutoZoom(NamedTuple):
    """The window that `find_zoom_window` chose, and how it came to it."""

    window: CropWindow
    centers: np.ndarray  # (K, 2) u, v of the candidates inside the photo
    covered: np.ndarray  # (K,) pixels of each candidate's view that some point reaches


def find_zoom_window(
    depth: torch.Tensor,
    focal_px: float,
    baseline: float,
    start: CropWindow,
    shift_range_px: float,
    zoom: float = 1.25,
    mask: torch.Tensor | None = None,
    depth_from: float | None = None,
) -> AutoZoom:
    """Find where to zoom so that the least is uncovered: the paper's exhaustive search.

    All candidates are rendered as one batch. Run it on a small depth map (with `focal_px`, `start`
    and `shift_range_px` scaled alike): coverage hardly depends on the resolution.

    Args:
        depth: (1, 1, H, W).
        focal_px, baseline: of that depth map.
        start: CropWindow from which the zoom starts, in its pixels.
        shift_range_px: how far the centre may move along each axis.
        zoom: size of the start window over that of the one looked for.
        mask: (1, 1, H, W) of 0/1: which pixels have a point; all by default.
        depth_from: distance that the zoom is measured at; `nearest_depth` by default.
    Returns:
        AutoZoom. Where no candidate lies inside the photo, the window stays at the start's centre.
    Source: Niklaus et al., 2019, section 4.
    """
    height, width = depth.shape[-2:]
    depth_from = nearest_depth(depth) if depth_from is None else depth_from
    depth_to = depth_from / zoom
    target = (round(start.width / zoom), round(start.height / zoom))
    offsets = np.linspace(-shift_range_px, shift_range_px, CANDIDATES)
    moves = np.array([(du, dv) for dv in offsets for du in offsets])
    centers = moves + (start.center_u, start.center_v)
    half = np.array([start.width, start.height]) / zoom / 2
    inside = ((centers >= half) & (centers <= np.array([width, height]) - half)).all(axis=1)
    moves, centers = moves[inside], centers[inside]
    if len(centers) == 0:
        return AutoZoom(
            CropWindow(start.center_u, start.center_v, *target), centers, np.zeros(0, int)
        )
    points = unproject(depth, focal_px)
    if mask is not None:
        points = points[:, :, mask.view(-1) > 0]
    shifts = np.column_stack(
        [-moves * depth_to / focal_px, np.full(len(moves), depth_to - depth_from)]
    )
    covered = np.concatenate(
        [
            _count_covered(points, chunk, (height, width), focal_px, baseline)
            for chunk in np.array_split(shifts, max(1, len(shifts) // 32))
        ]
    )
    best = int(covered.argmax())  # the first of equals, as the paper's strict comparison
    return AutoZoom(CropWindow(centers[best][0], centers[best][1], *target), centers, covered)


def _count_covered(points, shifts, size, focal_px, baseline):
    """Count, for each (K, 3) shift of the cloud, the pixels that any point reaches."""
    shifts = torch.as_tensor(shifts, dtype=points.dtype, device=points.device)
    moved = (points + shifts[:, :, None]).contiguous()
    nothing = moved.new_zeros(len(moved), 1, moved.shape[2])
    _, coverage = render_pointcloud(moved, nothing, size, focal_px, baseline)
    return (coverage > 0).sum(dim=(1, 2, 3)).cpu().numpy()
