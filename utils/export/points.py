"""All points of a scene with an alpha: opaque ones, then the rims that lie over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernels.constants import RIM_FULL, RIM_SHARED

if TYPE_CHECKING:
    from utils.scene.cloud import Scene


def scene_points(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the points of the cloud, and those rim points that show something of their own.

    Args:
        scene: utils.scene.cloud.Scene.
    Returns:
        points (3, N) float32, as the scene has them; colours (N, 4) uint8, alpha below 255 only in
        rims; spacing (N,) float32, see `Scene.cloud`.
    """
    points, colors, spacing = map(_array, scene.cloud())
    colors = np.concatenate([colors, np.full((len(colors), 1), 255, np.uint8)], 1)
    layer = scene.rims()
    if layer is None:
        return points, colors, spacing
    rims, rim_colors, rim_spacing = map(_array, layer)
    shown = (rim_colors[:, 3] > 0) & (rim_colors[:, 3] < RIM_SHARED)
    rim_colors = rim_colors[shown]
    rim_colors[:, 3] = np.rint(rim_colors[:, 3] * (255 / RIM_FULL))
    return (
        np.concatenate([points, rims[:, shown]], 1),
        np.concatenate([colors, rim_colors]),
        np.concatenate([spacing, rim_spacing[shown]]),
    )


def _array(part):
    """A part of the cloud as NumPy has it."""
    return np.asarray(part.cpu() if hasattr(part, "cpu") else part)
