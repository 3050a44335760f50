"""The camera of a film as .chan, which Nuke, Blender and Houdini import.

A line per frame: its number from 1, position x y z, rotation x y z in degrees, and the vertical
field of view in degrees; y is up, and a camera that is not rotated looks along -z.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from utils.export.poses import film_poses

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from utils.camera.path import CameraPath
    from utils.scene.cloud import Scene

log = logging.getLogger("kbe")


def write(path: Path, scene: Scene, camera_path: CameraPath, plan: Any, settings: Any) -> None:
    """Write the camera of every frame of the film; of two eyes, that between them.

    The format has no place for a shifted lens: by how much it is shifted is logged.

    Args: see utils.export.table.
    """
    height, width = plan.view_size
    lines, most = [], 0.0
    for number, pose in enumerate(film_poses(scene, camera_path, plan, settings), 1):
        x, y, z = pose.position
        view_deg = math.degrees(2 * math.atan(height / 2 / pose.focal_px))
        numbers = (x, 0.0 - y, 0.0 - z, 0.0, 0.0, 0.0, view_deg)
        lines.append(" ".join([str(number), *(f"{value:.9g}" for value in numbers)]))
        u, v = pose.center
        most = max(most, abs(u - (width - 1) / 2), abs(v - (height - 1) / 2))
    if most > 0.5:
        log.warning(
            "a .chan file cannot say that the lens is shifted, here by up to %.0f px of %d: "
            "a .json has it, as K's third column.",
            most,
            width,
        )
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
