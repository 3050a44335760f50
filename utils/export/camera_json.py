"""The camera of a film as JSON: K, R and t of every frame, as OpenCV has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from utils.export.poses import export_unit, film_poses
from utils.film import in_fours

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from utils.camera.path import CameraPath
    from utils.scene.cloud import Scene

CONVENTION = (
    "OpenCV: x right, y down, z forward; a point X of the scene is seen at K (R X + t), divided by "
    "its third number, px; the upper left pixel's centre is (0, 0). The photo was taken from the "
    "origin, and its nearest point is one unit away. scene.ply, .glb and .chan have y up and z "
    "towards the viewer: their y and z are these with the other sign."
)
NO_TURN = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def write(path: Path, scene: Scene, camera_path: CameraPath, plan: Any, settings: Any) -> None:
    """Write the camera of every frame of the film; of two eyes, that between them.

    Args: see utils.export.table.
    """
    poses = film_poses(scene, camera_path, plan, settings)
    across, down = plan.scale
    focus = camera_path.focus
    height, width = plan.view_size
    photo_height, photo_width = in_fours(plan.photo_size)
    told = {
        "convention": CONVENTION,
        "width": width,
        "height": height,
        "fps": float(settings.fps),
        "fps_fraction": str(settings.fps),
        "move": camera_path.name,
        "focus": {
            "u": focus.u / across,
            "v": focus.v / down,
            "depth": focus.depth / export_unit(scene),
        },
        "photo": {
            "width": photo_width,
            "height": photo_height,
            "K": _matrix(plan.focal_px / across, ((photo_width - 1) / 2, (photo_height - 1) / 2)),
        },
        "frames": [
            {
                "time": pose.time,
                "K": _matrix(pose.focal_px, pose.center),
                "R": NO_TURN,
                "t": [0.0 - value for value in pose.position],
                "window": vars(camera_path.stand(pose.time).window.scaled(1 / across, 1 / down)),
            }
            for pose in poses
        ],
    }
    path.write_text(json.dumps(told, indent=1), encoding="utf-8")


def _matrix(focal_px, center):
    """The intrinsic matrix K."""
    return [[focal_px, 0, center[0]], [0, focal_px, center[1]], [0, 0, 1]]
