"""Point clouds out: a scene as a coloured PLY file that other programs open.

Their convention is not the camera's: x right, y up, z towards the viewer (as in OpenGL, glTF and
MeshLab). The photo was taken from the origin, looking along -z, and the nearest point of the
photo is one unit away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kernels.constants import RIM_FULL, RIM_SHARED

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
    points, colors = _with_rims(scene)
    unit = float(scene.depth.amin())
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


def _with_rims(scene):
    """Points (3, N) and RGBA (N, 4) of the cloud and of those rim points that show something."""
    points, colors, _ = map(_array, scene.cloud())
    colors = np.concatenate([colors, np.full((len(colors), 1), 255, np.uint8)], 1)
    if scene.rims() is None:
        return points, colors
    rims, rim_colors, _ = map(_array, scene.rims())
    shown = (rim_colors[:, 3] > 0) & (rim_colors[:, 3] < RIM_SHARED)
    rim_colors = rim_colors[shown]
    rim_colors[:, 3] = np.rint(rim_colors[:, 3] * (255 / RIM_FULL))
    return np.concatenate([points, rims[:, shown]], 1), np.concatenate([colors, rim_colors])


def _array(part):
    """A part of the cloud as NumPy has it."""
    return np.asarray(part.cpu() if hasattr(part, "cpu") else part)
