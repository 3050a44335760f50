"""What a camera is planned on: a small copy of a scene, and the scene as plain arrays."""

from __future__ import annotations

from utils.camera import Lifted
from utils.film import as_bytes
from utils.scene.cloud import Scene, reduce_photo


def small_scene(scene: Scene, long_side: int) -> Scene:
    """Return a copy of the photo's scene, of this long side, in which the same poses hold."""
    scale = min(1.0, long_side / max(scene.size))
    image, disparity = reduce_photo(scene.image, scene.disparity, scale)
    scale = image.shape[3] / scene.size[1]
    return Scene(image, disparity, scene.focal_px * scale, scene.baseline / scale)  # depth stays


def lifted(scene: Scene) -> Lifted:
    """Return the photo of a scene with its depth, as arrays: what a camera is planned by."""
    disparity, surface = (field[0, 0].cpu().numpy() for field in (scene.disparity, scene.surface))
    return Lifted(as_bytes(scene.image), disparity, scene.focal_px, scene.baseline, surface)
