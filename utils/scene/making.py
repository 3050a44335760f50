"""The scene of a film: a photo is lifted to it, and it grows by what the film's camera uncovers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from utils.camera import BASELINE
from utils.depth.map_files import FULL_SCALE
from utils.scene.cloud import Scene, scale_disparity
from utils.scene.second_eye import add_second_eye

if TYPE_CHECKING:
    from typing import Any

    import torch

    from utils.camera.path import CameraPath


def lift(
    plan: Any,
    disparity: torch.Tensor,
    device: torch.device,
    peak: float | None = None,
    in_steps: bool = False,
) -> Scene:
    """Lift a photo to a point cloud.

    Args:
        plan: utils.cli.plan.Plan: the image and its focal length.
        disparity: (1, 1, H, W) relative, larger = nearer.
        device: where the scene is to live, see utils.devices.
        peak: see `scale_disparity`.
        in_steps: round to what a picture of 16 bits holds, so that the film is made of what is
            saved.
    Returns:
        Scene whose nearest point has disparity BASELINE.
    """
    disparity = disparity.to(device)
    if in_steps:
        disparity, peak = scale_disparity(disparity, FULL_SCALE, peak).round(), FULL_SCALE
    disparity = scale_disparity(disparity, BASELINE, peak)
    scene = Scene(plan.image.to(device), disparity, plan.focal_px, BASELINE)
    if plan.own and plan.own.eyes:
        add_second_eye(scene, plan)
    return scene


def grow(view: Any, path: CameraPath, networks: Any, size: tuple[int, int]) -> None:
    """Close surfaces, and inpaint what the camera uncovers where its path is at its extremes.

    Args:
        view: Scene or StereoScene.
        path: CameraPath in it.
        networks: utils.weights.chosen.Networks: what fills holes.
        size: (height, width) of the film (of one eye's picture), px.
    """
    view.close_surfaces(path.views(size))
    for pose in path.inpainting_poses():
        view.inpaint(
            networks.inpainter,
            pose.shift,
            pose.focal_px,
            networks.depth_inpainter,
            pose.lens,
            path.shows,
        )
