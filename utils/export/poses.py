"""Where the camera of a film stands in every frame, in the unit of all exports.

That unit is the distance of the photo's nearest point. The camera never turns: it moves, its focal
length changes, and its lens is shifted, which moves the principal point.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from utils.film import frame_times

if TYPE_CHECKING:
    from typing import Any

    from utils.camera.path import CameraPath
    from utils.scene.cloud import Scene


class Pose(NamedTuple):
    """The camera of one frame. x is right, y down, z forward; the photo's stands at 0, 0, 0."""

    time: float  # on the path, 0 to 1
    position: tuple[float, float, float]  # unit of the exports
    focal_px: float
    center: tuple[float, float]  # principal point, px; the upper left pixel's centre is 0, 0


def film_poses(scene: Scene, camera_path: CameraPath, plan: Any, settings: Any) -> list[Pose]:
    """Return the Pose of every frame of the film; of two eyes, that between them.

    Args: see utils.export.table.
    """
    unit, poses = export_unit(scene), []
    for time in frame_times(camera_path, settings):
        view = camera_path.view(time, plan.view_size)
        center = [
            (side - 1) / 2 - view["focal_px"] * slope
            for side, slope in zip(plan.view_size[::-1], view["lens"], strict=True)
        ]
        x, y, z = (0.0 - value / unit for value in view["shift"])  # no negative zero
        poses.append(Pose(time, (x, y, z), view["focal_px"], (center[0], center[1])))
    return poses


def export_unit(scene: Scene) -> float:
    """Return the distance of the photo's nearest point, unit of the scene's baseline."""
    return float(scene.depth.amin())
