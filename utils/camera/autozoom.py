"""The automatic zoom: the paper's exhaustive search for the end window that uncovers the least."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from utils.camera.focus import nearest_depth
from utils.camera.path import CameraPose
from utils.camera.trials import SEARCH_SIDE, Lifted, SmallCopy
from utils.camera.windows import CropWindow

# As the paper: how much smaller the end window is, how many centres are tried along each axis, and
# how far they lie aside at most, as a share of the photo's long side.
ZOOM = 1.25
CANDIDATES = 16
REACH = 100 / 1024


class AutoZoom(NamedTuple):
    """The window that `find_zoom_window` chose, and how it came to it."""

    window: CropWindow
    centers: np.ndarray  # (K, 2) u, v of the candidates inside the photo
    uncovered: np.ndarray  # (K,) share of each candidate's view that no point reaches


def find_zoom_window(
    photo: Lifted,
    start: CropWindow,
    reach: float = REACH,
    depth_from: float | None = None,
    side: int = SEARCH_SIDE,
) -> AutoZoom:
    """Find where to zoom so that the least is uncovered: the paper's exhaustive search.

    Args:
        photo: with depth.
        start: CropWindow of it from which the zoom starts, px.
        reach: as REACH.
        depth_from: distance that the zoom is measured at; `nearest_depth` by default.
        side: long side of the copy on which it is searched, px.
    Returns:
        AutoZoom. Where no candidate lies inside the photo, the window stays at the start's centre.
    Source: Niklaus et al., 2019, section 4.
    """
    copy = SmallCopy(photo, side, grow=False)
    height, width = copy.image_size
    if depth_from is None:
        depth_from = nearest_depth(copy.points[2].reshape(copy.size))
    depth_to = depth_from / ZOOM
    steps = np.linspace(-1, 1, CANDIDATES) * reach * max(copy.image_size)
    centers = np.array([(start.center_u + du, start.center_v + dv) for dv in steps for du in steps])
    half = np.array([start.width, start.height]) / ZOOM / 2
    inside = ((centers >= half) & (centers <= np.array([width, height]) - half)).all(axis=1)
    centers = centers[inside]
    unit = depth_to / copy.focal_px
    poses = [
        CameraPose((-du * unit, -dv * unit, depth_to - depth_from), copy.focal_px)
        for du, dv in centers - (start.center_u, start.center_v)
    ]
    uncovered = copy.uncovered(poses, copy.image_size)
    best = start.center_u, start.center_v
    if len(centers):
        best = centers[uncovered.argmin()].tolist()  # the first of equals, as the paper has it
    target = (max(1, int(extent / ZOOM)) for extent in (start.width, start.height))
    return AutoZoom(CropWindow(*best, *target), centers, uncovered)
