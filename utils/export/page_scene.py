"""A scene as a page draws it: the photo as a surface, points behind it, rims; all in few numbers.

Positions are pixels of the photo as the page has it, nearness is disparity as a share of the
largest, so that depth = nearest depth / nearness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from kernels.constants import RIM_SHARED
from utils.scene import FarSide, small_scene

if TYPE_CHECKING:
    from collections.abc import Sequence

    from utils.camera.path import CameraPose
    from utils.export.packing import Packer
    from utils.scene.cloud import Scene

NEARNESS = 4095  # steps of nearness: at twice the usual motion a step is less than 0.1 px
PER_PX = 8  # steps of a point's position in a pixel
FARTHEST_ASIDE = 1.0  # points farther outside than this share of the photo's sides are left out
PER_SPACING = 32  # steps of the distance between points, in pixels of the photo
# What the eye uncovers beside the film's way is inpainted at this share of the photo's long side:
# it is seen in passing, and must be small.
EYE_SHARE = 0.5


class Drawn(NamedTuple):
    """What a page draws, on the CPU."""

    image: np.ndarray  # (H, W, 3) uint8, the rims taken off
    nearness: np.ndarray  # (H, W) in (0, 1]
    together: np.ndarray  # (2, H, W) bool: a pixel and the one to its right, the one below it
    rims: tuple[np.ndarray, np.ndarray, np.ndarray]  # flat pixel, RGBA uint8, nearness
    behind: tuple[np.ndarray, ...]  # u, v, nearness, spacing in px, RGB uint8
    focal_px: float  # of that image
    nearest: float  # depth, unit of the scene's baseline


def draw_scene(scene: Scene, pixels: int, eye_poses: Sequence[CameraPose]) -> Drawn:
    """Reduce a scene to what a page draws.

    Args:
        scene: utils.scene.cloud.Scene, inpainted.
        pixels: that the photo may have; a larger one is reduced.
        eye_poses: where the scene is inpainted once more, by rule, in a copy.
    """
    height, width = scene.size
    scale = min(1.0, (pixels / (height * width)) ** 0.5)
    photo = small_scene(scene, int(scale * max(height, width)) if scale < 1 else max(scene.size))
    photo.take_over(scene)  # what lies behind rims is a part of it then
    solid, disparity = (part[0].cpu() for part in photo.solid())
    peak = float(photo.disparity.amax())
    nearness = (disparity[0].numpy() / peak).astype(np.float32)
    nearest = photo.focal_px * photo.baseline / peak
    image = (solid.permute(1, 2, 0) * 255).round().clamp(0, 255).byte().numpy()
    added = [scene.inpainted(), *_seen_aside(scene, photo, eye_poses)]
    behind = [_flattened(part, photo, nearest) for part in added]
    together = tuple(np.concatenate(parts) for parts in zip(*behind, strict=True))
    rims = _flat_rims(photo.rims(), photo, nearest)
    return Drawn(image, nearness, _hang_together(photo), rims, together, photo.focal_px, nearest)


def _seen_aside(scene, photo, poses):
    """What the poses uncover besides, as points, in a small copy."""
    if not poses:
        return
    copy = small_scene(scene, max(16, round(EYE_SHARE * max(photo.size))))
    copy.take_over(scene)
    begin = len(copy.cloud()[1])
    scale = copy.size[1] / scene.size[1]
    for pose in poses:
        copy.inpaint(FarSide(), pose.shift, pose.focal_px * scale, lens=pose.lens)
    points, colors, spacing = copy.cloud()
    yield points[:, begin:], colors[begin:], spacing[begin:]


def _array(part):
    return np.asarray(part.cpu() if isinstance(part, torch.Tensor) else part)


def _project(points, photo):
    """(u, v) px of points (3, N) in the photo."""
    height, width = photo.size
    x, y, z = points
    return (
        x / z * photo.focal_px + (width - 1) / 2,
        y / z * photo.focal_px + (height - 1) / 2,
    )


def _flattened(added, photo, nearest):
    """u, v, nearness, spacing and colours of points, those far outside left out, by rows."""
    points, colors, spacing = map(_array, added)
    u, v = _project(points, photo)
    across = spacing / points[2] * photo.focal_px
    height, width = photo.size
    inside = (abs(u / width - 0.5) < 0.5 + FARTHEST_ASIDE) & (
        abs(v / height - 0.5) < 0.5 + FARTHEST_ASIDE
    )
    order = np.lexsort((u, np.rint(v)))
    order = order[inside[order]]
    return u[order], v[order], (nearest / points[2])[order], across[order], colors[order]


def _flat_rims(rims, photo, nearest):
    """Pixel, RGBA and nearness of rim points, by pixel."""
    if rims is None:
        return np.empty(0, np.int64), np.empty((0, 4), np.uint8), np.empty(0, np.float32)
    points, colors, _ = map(_array, rims)
    u, v = _project(points, photo)
    pixel = np.rint(v).astype(np.int64) * photo.size[1] + np.rint(u).astype(np.int64)
    order = np.argsort(pixel, kind="stable")
    return pixel[order], colors[order], (nearest / points[2])[order]


def _hang_together(photo):
    """Say of each pixel whether it and the next to its right, and below it, are one surface."""
    together = np.zeros((2, *photo.size), bool)
    together[0, :, :-1], together[1, :-1] = photo.connected()
    return together


def pack_scene(drawn: Drawn, packer: Packer) -> None:
    """Put everything but the photo's colours into a Packer, in whole numbers."""
    packer.map("nearness", _steps(drawn.nearness))
    packer.bits("together", drawn.together)
    pixel, colors, nearness = drawn.rims
    # Pixels that follow each other closely are the rule; a step of two words fits any photo.
    step = np.diff(pixel, prepend=0)
    packer.column("rim_step", (step & 0xFFFF).astype(np.uint16))
    packer.column("rim_step_high", (step >> 16).astype(np.uint16))
    packer.column("rim_nearness", _steps(nearness))
    packer.column("rim_alpha", np.ascontiguousarray(colors[:, 3]))
    own = colors[(colors[:, 3] > 0) & (colors[:, 3] < RIM_SHARED)]  # the others have the photo's
    for channel, name in enumerate(("red", "green", "blue")):
        packer.column(f"rim_{name}", np.ascontiguousarray(own[:, channel]))
    u, v, nearness, spacing, colors = drawn.behind
    height, width = drawn.nearness.shape
    packer.column("point_u", _cells(u, width))
    packer.column("point_v", _cells(v, height))
    packer.column("point_nearness", _steps(nearness))
    spacing = (spacing * PER_SPACING).round().clip(1, 255).astype(np.uint8)
    packer.column("point_spacing", spacing)
    for channel, name in enumerate(("red", "green", "blue")):
        packer.column(f"point_{name}", np.ascontiguousarray(colors[:, channel]))


def _steps(nearness):
    return (nearness * NEARNESS).round().clip(1, 0xFFFF).astype(np.uint16)


def _cells(position, side):
    """Position from FARTHEST_ASIDE before the photo on, in steps of 1 / PER_PX px."""
    return ((position + FARTHEST_ASIDE * side) * PER_PX).round().clip(0, 0xFFFF).astype(np.uint16)
