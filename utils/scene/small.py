"""Small copies of a scene, on which a camera's way and its windows are tried."""

from __future__ import annotations

from utils.camera import SEARCH_SIDE, AutoZoom, CropWindow, find_zoom_window
from utils.scene.cloud import Scene, reduce_photo


def small_scene(scene: Scene, long_side: int = 480) -> Scene:
    """Return a copy of the photo's scene, of this long side, in which the same poses hold."""
    scale = min(1.0, long_side / max(scene.size))
    image, disparity = reduce_photo(scene.image, scene.disparity, scale)
    scale = image.shape[3] / scene.size[1]
    return Scene(image, disparity, scene.focal_px * scale, scene.baseline / scale)  # depth stays


def find_scene_zoom(
    scene: Scene, start: CropWindow, shift_share: float = 100 / 1024, zoom: float = 1.25
) -> AutoZoom:
    """Run the automatic zoom on a small copy of the scene's depth.

    Args:
        scene: Scene.
        start: CropWindow in the scene's pixels.
        shift_share: how far the centre may move, as a share of the long side.
        zoom: size of the start window over that of the end window.
    Returns:
        AutoZoom with window and candidate centres in the scene's pixels.
    """
    copy = small_scene(scene, SEARCH_SIDE)
    scale_v, scale_u = (small / side for small, side in zip(copy.size, scene.size, strict=True))
    found = find_zoom_window(
        copy.depth,
        copy.focal_px,
        copy.baseline,
        start.scaled(scale_u, scale_v),
        shift_share * max(copy.size),
        zoom,
        mask=copy.surface,
    )
    center_u, center_v = found.window.center_u / scale_u, found.window.center_v / scale_v
    width, height = (max(1, int(side / zoom)) for side in (start.width, start.height))
    window = CropWindow(center_u, center_v, width, height)
    return AutoZoom(window, found.centers / (scale_u, scale_v), found.covered)
