"""From a scene to what a move has to do with, and from a move's name to its path in that scene."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from utils.camera.focus import depth_range, find_focus, nearest_depth
from utils.camera.moves import MOST_GROWTH, MOVES, Stage
from utils.camera.shortening import kept_part
from utils.camera.windows import aspect_box

if TYPE_CHECKING:
    from typing import Any

    from utils.camera.path import CameraPath
    from utils.camera.windows import CropWindow

# Moves that choose their windows are measured on a copy of the scene of this long side, px.
MEASURED_SIDE = 480


def set_stage(
    scene: Any,
    about: tuple[float, float],
    windows: tuple[CropWindow, CropWindow],
    view_size: tuple[int, int],
    strength: float,
    sized: bool,
) -> Stage:
    """Return the Stage of a scene.

    Args:
        scene: utils.scene.Scene.
        about: (u, v) px of the scene that the film is about.
        windows: start and end, px of the scene.
        view_size: (height, width) of the film, px.
        strength, sized: see Stage.
    """
    # What lies in such a border leaves the picture before it has grown as much as it may: only the
    # nearest surface in the middle stops the camera.
    passed = (1 - 1 / MOST_GROWTH) / 2
    return Stage(
        scene.size,
        scene.focal_px,
        find_focus(scene.depth, *about),
        nearest_depth(scene.depth, passed),
        *windows,
        depth_range(scene.depth),
        aspect_box(scene.size, view_size[1] / view_size[0]),
        strength,
        sized,
    )


def plan_move(name: str, stage: Stage, measured: Any, view_size: tuple[int, int]) -> CameraPath:
    """Return the path of a move; one that chooses its windows goes as far as it may uncover.

    Args:
        name: of a line of MOVES.
        stage: Stage.
        measured: copy of its scene of the long side MEASURED_SIDE, in which the same poses hold;
            or a function that makes it, called where it is needed.
        view_size: (height, width) of the film, px.
    """
    move = MOVES[name]
    path = replace(move.plan(stage), name=name)
    if move.framed and stage.sized:
        return path
    scale = min(1.0, MEASURED_SIDE / max(view_size))
    height, width = (max(2, round(side * scale)) for side in view_size)
    scene = measured() if callable(measured) else measured
    return path.scaled(kept_part(scene, path, (height, width), move.most_invented))
