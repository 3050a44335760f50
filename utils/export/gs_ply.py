"""Gaussian splats as binary PLY with the properties of 3D Gaussian splatting.

The logarithm of the scales, the logit of the opacity, colour as spherical harmonics of which only
the constant one is not zero. Source: Kerbl et al., 3D Gaussian Splatting for Real-Time Radiance
Field Rendering, 2023 (arXiv:2308.04079).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from utils.export.splats import MOST_OPAQUE, scene_splats

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from utils.scene.cloud import Scene

CONSTANT = 0.5 / np.sqrt(np.pi)  # the spherical harmonic of degree 0
HIGHER = 45  # coefficients of degrees 1 to 3, which readers of that format expect
VERTEX = np.dtype(
    [
        ("x y z", "<f4", 3),
        ("nx ny nz", "<f4", 3),
        ("f_dc_0 f_dc_1 f_dc_2", "<f4", 3),
        (" ".join(f"f_rest_{number}" for number in range(HIGHER)), "<f4", HIGHER),
        ("opacity", "<f4"),
        ("scale_0 scale_1 scale_2", "<f4", 3),
        ("rot_0 rot_1 rot_2 rot_3", "<f4", 4),
    ]
)


def write(path: Path, scene: Scene, camera_path: Any, plan: Any, settings: Any) -> None:
    """Write the splats of a scene, see utils.export.splats.

    Args: see utils.export.table; splats know no camera.
    """
    count, parts = scene_splats(scene)
    names = " ".join(VERTEX.names or ()).split()
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        "comment 3D Ken Burns: x right, y down, z forward; the camera is the origin\n"
        f"element vertex {count}\n"
        + "".join(f"property float {name}\n" for name in names)
        + "end_header\n"
    )
    with path.open("wb") as file:
        file.write(header.encode("ascii"))
        for part in parts:
            vertices = np.zeros(len(part.colors), VERTEX)
            vertices["x y z"] = part.positions
            vertices["f_dc_0 f_dc_1 f_dc_2"] = (part.colors[:, :3] / 255 - 0.5) / CONSTANT
            alpha = (part.colors[:, 3] / 255).clip(1 - MOST_OPAQUE, MOST_OPAQUE)
            vertices["opacity"] = np.log(alpha / (1 - alpha))
            vertices["scale_0 scale_1 scale_2"] = np.log(part.scales)
            vertices["rot_0 rot_1 rot_2 rot_3"] = (1, 0, 0, 0)
            file.write(vertices.tobytes())
