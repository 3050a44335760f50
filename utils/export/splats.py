"""A scene as Gaussian splats, one a point: what both of their formats have in common.

Their convention is that of the photographs they are fitted to, as in COLMAP and OpenCV: x right,
y down, z forward. The photo was taken from the origin, and its nearest point is one unit away.
Splats lie flat as the pixels they come from, so their rotation is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from utils.export.points import scene_points
from utils.export.poses import export_unit

if TYPE_CHECKING:
    from utils.scene.cloud import Scene

# Standard deviation of a splat as a share of the spacing of the points: midway between four of them
# they still cover 97 %.
WIDTH = 0.7
FLATNESS = 0.1  # thickness over width
MOST_OPAQUE = 0.999  # alpha of what is solid: its logit must be finite
CHUNK = 2**18  # splats converted at once


class Splats(NamedTuple):
    """A part of a scene's splats."""

    positions: np.ndarray  # (n, 3) float32
    scales: np.ndarray  # (n, 3) float32: standard deviations across, down, ahead
    colors: np.ndarray  # (n, 4) uint8 RGBA


def scene_splats(scene: Scene) -> tuple[int, Iterator[Splats]]:
    """Return a scene's splats in parts: photo's, inpainted ones, soft rims.

    Args:
        scene: utils.scene.cloud.Scene.
    Returns:
        How many there are, and an iterator over the parts.
    """
    points, colors, spacing = scene_points(scene)
    per_unit = 1 / export_unit(scene)
    flat = np.array([WIDTH, WIDTH, WIDTH * FLATNESS], np.float32)

    def parts():
        for begin in range(0, len(colors), CHUNK):
            part = slice(begin, begin + CHUNK)
            widths = (spacing[part] * per_unit)[:, None] * flat
            yield Splats((points[:, part] * per_unit).T, widths, colors[part])

    return len(colors), parts()
