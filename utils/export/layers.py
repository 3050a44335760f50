"""A scene as layers of pictures with depth: the photo, what was inpainted behind it, soft rims."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from kernels.constants import RIM_FULL
from utils.camera import NO_LENS
from utils.depth.steps import EDGE_JUMP
from utils.export.mesh import grid_mesh
from utils.export.poses import export_unit
from utils.filters import nearest_pixels
from utils.scene.grids import Grid
from utils.scene.surface import connected

if TYPE_CHECKING:
    from utils.scene.cloud import Scene

# Of equally near layers, inpainted ones are this much farther, and rims nearer: none flickers.
BEHIND, BEFORE = 1.0005, 0.9995
# What was inpainted goes on so many pixels of its view under what the photo shows beside it.
SKIRT = 2


class Layer(NamedTuple):
    """A textured mesh."""

    name: str
    picture: np.ndarray  # (H, W, 3) uint8 RGB, or (H, W, 4) with alpha
    texture: np.ndarray  # (V, 2) float32: 0..1 from the left and from the top of the picture
    positions: np.ndarray  # (V, 3) float32: y up, z towards the viewer, the nearest one unit away
    triangles: np.ndarray  # (T, 3) uint32


def scene_layers(scene: Scene) -> Iterator[Layer]:
    """Yield the layers of a scene, the farthest kind first.

    Args:
        scene: utils.scene.cloud.Scene.
    """
    for number, grid in enumerate(scene.inpainted_grids, 1):
        if len(grid.pixels):
            yield _inpainted_layer(scene, grid, f"inpainted {number}")
    if scene.seen_grid is not None and len(scene.seen_grid.pixels):
        yield _inpainted_layer(scene, scene.seen_grid, "second eye")
    yield _photo_layer(scene)
    if scene.taken_apart is not None:
        yield _rim_layer(scene, scene.taken_apart)


def _photo_layer(scene):
    """The photo without its rims, with half a pixel more at the border."""
    image, disparity = (part[0].cpu().numpy() for part in scene.solid())
    kept = scene.kept()[0, 0].cpu().numpy()
    disparity, kept = (np.pad(part, 1, mode="edge") for part in (disparity[0], kept))
    mesh = grid_mesh(disparity, kept, *connected(disparity, kept, _limit(scene)))
    mesh = mesh._replace(pixels=mesh.pixels - 1, texture=mesh.texture - 1)
    picture = (image.transpose(1, 2, 0) * 255).round().astype(np.uint8)
    return _lifted(scene, "photo", picture, mesh, _photo_grid(scene), 1)


def _rim_layer(scene, rims):
    """The fronts' shares of mixed pixels; alpha is all where the photo's layer shows them too."""
    pixels, colors, own = (
        np.asarray(part.cpu()) for part in (rims.pixel, rims.colors, rims.rim_disparity)
    )
    disparity, kept = np.ones(scene.size, np.float32), np.zeros(scene.size, bool)
    picture = np.zeros((*scene.size, 4), np.uint8)
    disparity.flat[pixels], kept.flat[pixels] = own, True
    picture.reshape(-1, 4)[pixels] = colors
    picture[..., 3] = np.rint((picture[..., 3] * np.float32(255 / RIM_FULL)).clip(0, 255))
    mesh = grid_mesh(disparity, kept, *connected(disparity, kept, _limit(scene)), under=False)
    return _lifted(scene, "rims", picture, mesh, _photo_grid(scene), BEFORE)


def _inpainted_layer(scene, grid, name):
    """What one view was inpainted with, or another eye saw, as a mesh over its own pixels."""
    pixels = np.asarray(grid.pixels.cpu())
    part = slice(grid.begin, grid.begin + len(pixels))
    points, colors, _ = scene.cloud()
    depth, colors = (
        np.asarray(of.cpu() if hasattr(of, "cpu") else of) for of in (points[2, part], colors[part])
    )
    kept = np.zeros(grid.size, bool)
    kept.flat[pixels] = True
    distance, nearest = nearest_pixels(kept)
    number = np.zeros(kept.size, np.int64)
    number[pixels] = np.arange(len(pixels))
    number = number[nearest]
    disparity = (scene.focal_px * scene.baseline / depth)[number].astype(np.float32)
    picture = np.where((distance <= SKIRT + 1)[..., None], colors[number], 0).astype(np.uint8)
    kept = distance <= SKIRT
    mesh = grid_mesh(disparity, kept, *connected(disparity, kept, _limit(scene)))
    return _lifted(scene, name, picture, mesh, grid, BEHIND)


def _photo_grid(scene):
    return Grid(scene.size, torch.empty(0), 0, (0, 0, 0), NO_LENS, scene.focal_px)


def _limit(scene):
    """The step between two surfaces, in every layer that of the photo."""
    return EDGE_JUMP * float(scene.disparity.amax())


def _lifted(scene, name, picture, mesh, grid, farther):
    """The Layer of a mesh over the pixels of a grid, so many times as far away."""
    depth = scene.focal_px * scene.baseline / mesh.disparity
    points = grid.lift(mesh.pixels, depth) * (farther / export_unit(scene))
    height, width = picture.shape[:2]
    texture = ((mesh.texture + 0.5) / (width, height)).clip(0, 1)
    positions = (points * (1, -1, -1)).astype(np.float32)
    return Layer(name, picture, texture.astype(np.float32), positions, mesh.triangles)
