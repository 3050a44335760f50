"""Point clouds out: a scene as a coloured PLY file that other programs open.

Their convention is not the camera's: x right, y up, z towards the viewer (as in OpenGL, glTF and
MeshLab). The photo was taken from the origin, looking along -z, and the nearest point of the
photo is one unit away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from utils.export.points import scene_points
from utils.export.poses import export_unit

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from utils.scene.cloud import Scene

VERTEX = np.dtype([("position", "<f4", 3), ("color", "u1", 4)])
CHUNK = 2**20  # points converted at once


def write(path: Path, scene: Scene, camera_path: Any, plan: Any, settings: Any) -> None:
    """Write the points of a scene as binary PLY: photo's, inpainted ones, soft rims.

    Alpha is 255 but for rims, which are to be laid over the rest.

    Args:
        path: file to write.
        scene: utils.scene.cloud.Scene.
        camera_path, plan, settings: see utils.export.table; points know no camera.
    Raises:
        OSError: it cannot be written.
    Source: G. Turk, The PLY polygon file format, 1994.
    """
    points, colors, _ = scene_points(scene)
    unit = export_unit(scene)
    height, width = scene.size
    count = points.shape[1]
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        "comment 3D Ken Burns: x right, y up, z towards the viewer; the camera is the origin\n"
        f"comment photo {width}x{height} px, focal length {scene.focal_px:g} px\n"
        f"element vertex {count}\n"
        + "".join(f"property float {axis}\n" for axis in "xyz")
        + "".join(f"property uchar {channel}\n" for channel in ("red", "green", "blue", "alpha"))
        + "end_header\n"
    )
    with path.open("wb") as file:
        file.write(header.encode("ascii"))
        for begin in range(0, count, CHUNK):
            part = slice(begin, begin + CHUNK)
            vertices = np.empty(points[0, part].shape, VERTEX)
            vertices["position"] = points[:, part].T * (1 / unit, -1 / unit, -1 / unit)
            vertices["color"] = colors[part]
            file.write(vertices.tobytes())
