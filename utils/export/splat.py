"""Gaussian splats as the 32-byte records that web viewers read, without any header.

Position and scale, three little-endian float32 each; colour and alpha, four bytes; rotation, a
quaternion w x y z in four bytes, 128 being 0. Source: the viewer at github.com/antimatter15/splat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from utils.export.splats import scene_splats

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from utils.scene.cloud import Scene

RECORD = np.dtype(
    [("position", "<f4", 3), ("scale", "<f4", 3), ("color", "u1", 4), ("rotation", "u1", 4)]
)
NO_TURN = (255, 128, 128, 128)  # w is 1, as near as a byte comes


def write(path: Path, scene: Scene, camera_path: Any, plan: Any, settings: Any) -> None:
    """Write the splats of a scene, see utils.export.splats.

    Args: see utils.export.table; splats know no camera.
    """
    with path.open("wb") as file:
        for part in scene_splats(scene)[1]:
            records = np.empty(len(part.colors), RECORD)
            records["position"], records["scale"] = part.positions, part.scales
            records["color"], records["rotation"] = part.colors, NO_TURN
            file.write(records.tobytes())
