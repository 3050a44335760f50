"""The paths of a page: the film's own and every move by name, as samples; how far the eye goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from utils.camera import MEASURED_SIDE, MOVES, Stand, plan_move, set_stage
from utils.scene import small_scene

if TYPE_CHECKING:
    from typing import Any

    from utils.camera import CameraPath, CameraPose, CropWindow
    from utils.scene.cloud import Scene

STRENGTHS = (0.5, 1.0, 1.5, 2.0)
SAMPLES = 65  # of a path
# How far the eye goes, across and down, as a share of how far moves to the side go at strength 1.
EYE = (0.8, 0.5)


class Paths(NamedTuple):
    """What the camera of a page does; poses are (shift, focal length per frame width, lens)."""

    poses: np.ndarray  # (N, 6) float32, SAMPLES for each path, shifts in the scene's unit
    moves: dict[str, dict[str, Any]]  # by name: closed, depth of the focus, first of its poses
    eye: tuple[float, float]  # how far it goes aside, in the scene's unit
    eye_poses: list[CameraPose]  # where it uncovers most
    focus: tuple[float, float]  # (u, v) px of the scene, of moves by name
    nearest: float  # depth of the nearest surface that stops the camera


def plan_paths(
    scene: Scene, own: CameraPath, windows: tuple[CropWindow, CropWindow], plan: Any, flat: bool
) -> Paths:
    """Plan every path that a page offers.

    Args:
        scene: utils.scene.cloud.Scene.
        own: CameraPath of the film, which comes first in `poses`.
        windows: start and end, px of the scene.
        plan: utils.cli.plan.Plan.
        flat: there is no depth: only moves that make sense without it, and no eye.
    """
    across, down = plan.scale
    # As the command line says it, whose moves these are: in whole pixels of the photo.
    about = round(own.focus.u / across) * across, round(own.focus.v / down) * down
    stage = set_stage(scene, about, windows, plan.view_size, 1.0, sized=False)
    measured = small_scene(scene, MEASURED_SIDE)
    poses, moves = [_samples(own)], {}
    for name, move in MOVES.items():
        if name == "windows" or flat and not move.flat:
            continue
        moves[name] = {"closed": move.closed, "depth": stage.focus.depth, "first": len(poses)}
        for strength in STRENGTHS:
            path = plan_move(name, stage._replace(strength=strength), measured, plan.view_size)
            poses.append(_samples(path))
    eye = (0.0, 0.0) if flat else (EYE[0] * stage.aside(), EYE[1] * stage.aside())
    aside = [] if flat else [_aside(stage, x * eye[0], y * eye[1]) for x, y in _WAYS]
    return Paths(np.concatenate(poses), moves, eye, aside, about, stage.nearest)


_WAYS = ((-1, 0), (1, 0), (0, -1), (0, 1))


def _aside(stage, x, y):
    """The pose of an eye that is aside of where the photo was taken, and sees all of it."""
    return stage.path(lambda t: Stand((x, y, 0.0), stage.window(1))).pose(0)


def _samples(path):
    """Poses of a path, (SAMPLES, 6)."""
    poses = (path.pose(k / (SAMPLES - 1)) for k in range(SAMPLES))
    rows = [(*pose.shift, pose.focal_px / path.crop[1], *pose.lens) for pose in poses]
    return np.array(rows, np.float32)
