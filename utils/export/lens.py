"""A lens that zooms and shifts, said by nodes of glTF: its cameras know neither.

Seen from the camera, a focal length that is a times as long makes x and y a times as large, and a
shifted lens adds to x and y a part k of z. The scene hangs on a chain of nodes that does so about
the camera, frame by frame: a scaling, and for each shear its singular value decomposition, a
rotation, a scaling and a rotation back (docs/exports.md). What is to be filmed with the scene
hangs on the same chain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from utils.export.poses import Pose

# Nodes of the chain, the outermost first.
CHAIN = ("lens", "lens shift across", "lens shift down", "lens upright", "scene")


def lens_tracks(poses: Sequence[Pose], size: tuple[int, int]) -> dict[str, dict[str, np.ndarray]]:
    """Return what moves in which frame, y up and z towards the viewer as in glTF.

    Args:
        poses: of every frame.
        size: (height, width) px of a frame.
    Returns:
        {node: {"translation" or "scale": (F, 3), or "rotation": (F, 4) x y z w}} of the nodes in
        CHAIN, each in the one before, and of the node "camera", which is in none of them.
    """
    position = np.array([pose.position for pose in poses]) * (1, -1, -1)
    focal = np.array([pose.focal_px for pose in poses])
    center = np.array([pose.center for pose in poses])
    middle = (np.array(size[::-1]) - 1) / 2
    across, down = ((middle - center) / focal[:, None]).T  # slopes of the axis that is looked along
    zoom = focal / focal[0]
    ones = np.ones_like(zoom)
    # x' = x + across * z and y' = y - down * z, as z is negative before the camera.
    (turn_x, scale_x, back_x), (turn_y, scale_y, back_y) = _sheared(across), _sheared(-down)
    return {
        "camera": {"translation": position},
        "lens": {"translation": position, "scale": np.stack([zoom, zoom, ones], 1)},
        "lens shift across": {
            "rotation": _about(1, -turn_x),
            "scale": np.stack([scale_x, ones, 1 / scale_x], 1),
        },
        "lens shift down": {
            "rotation": _product(_about(1, back_x), _about(0, turn_y)),
            "scale": np.stack([ones, scale_y, 1 / scale_y], 1),
        },
        "lens upright": {"rotation": _about(0, -back_y)},
        "scene": {"translation": -position},
    }


def _sheared(part):
    """Take [[1, k], [0, 1]] apart for each k: R(turn) diag(scale, 1 / scale) R(-back).

    Signs are such that all three change smoothly with k, also where it is 0.
    """
    turn = np.arctan2(2, part) / 2
    return turn, (part + np.sqrt(part**2 + 4)) / 2, np.pi / 2 - turn


def _about(axis, angle):
    """Quaternions (F, 4), x y z w, of rotations about x (0) or y (1)."""
    turned = np.zeros((len(angle), 4))
    turned[:, axis], turned[:, 3] = np.sin(angle / 2), np.cos(angle / 2)
    return turned


def _product(one, other):
    """Product of quaternions (F, 4): `other` is done first."""
    first, first_w, second, second_w = one[:, :3], one[:, 3:], other[:, :3], other[:, 3:]
    vector = first_w * second + second_w * first + np.cross(first, second)
    scalar = first_w * second_w - (first * second).sum(axis=1, keepdims=True)
    return np.concatenate([vector, scalar], 1)
