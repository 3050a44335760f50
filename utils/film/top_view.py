"""The scene and the way of the camera, seen from above or from aside: part of the preview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from utils.camera.path import CameraPath, Stand

BACKGROUND = (10, 10, 12)
WAY_COLOR, FOCUS_COLOR = (250, 250, 250), (250, 204, 21)
REACH = 2.5  # of the focus depth: farther points are left out
POINTS = 60_000  # that are drawn


def draw_way(
    scene: Any, path: CameraPath, size: tuple[int, int], colors: tuple, axis: int = 0
) -> np.ndarray:
    """Draw the photo's points, the camera's way, what both ends show, and the focus.

    Args:
        scene: utils.scene.cloud.Scene.
        path: CameraPath in it.
        size: (height, width) of the drawing, px.
        colors: RGB of the start and of the end.
        axis: 0 = from above, far things up; 1 = from the left, far things at the right.
    Returns:
        (H, W, 3) uint8.
    """
    across, deep = size if axis else size[::-1]  # of a drawing with far things up
    points, shown = _points(scene, axis)
    reach = REACH * path.focus.depth
    ends = [path.stand(t) for t in (0, 1)]
    middle = np.mean([_line(path, stand, axis)[0].mean() for stand in ends])
    scale = deep / (1.08 * reach)

    def place(lateral, depth):
        return (
            across / 2 + (np.asarray(lateral) - middle) * scale,
            deep - (np.asarray(depth) + 0.06 * reach) * scale,
        )

    canvas = np.full((deep, across, 3), BACKGROUND, np.uint8)
    columns, rows = (np.rint(at).astype(int) for at in place(*points))
    seen = (columns >= 0) & (columns < across - 1) & (rows >= 0) & (rows < deep - 1)
    for down, right in ((1, 1), (1, 0), (0, 1), (0, 0)):  # dots of 2 x 2 px
        canvas[rows[seen] + down, columns[seen] + right] = shown[seen]
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    for stand, color in zip(ends, colors, strict=True):
        at = (stand.position[axis], stand.position[2])
        for edge in _line(path, stand, axis)[0]:
            far = reach / path.focus.depth  # drawn on behind the focus
            slope = (edge - at[0]) / (path.focus.depth - at[1])
            beyond = (at[0] + slope * (far * path.focus.depth - at[1]), far * path.focus.depth)
            draw.line([*_pair(place, at), *_pair(place, beyond)], fill=color, width=1)
        window = [_pair(place, end) for end in zip(*_line(path, stand, axis), strict=True)]
        draw.line([*window[0], *window[1]], fill=color, width=3)
    way = np.array([path.stand(t).position for t in np.linspace(0, 1, 65)])
    draw.line(list(zip(*place(way[:, axis], way[:, 2]), strict=True)), fill=WAY_COLOR, width=2)
    for stand, color in zip(ends, colors, strict=True):
        _dot(draw, _pair(place, (stand.position[axis], stand.position[2])), color)
    center = (path.focus.u, path.focus.v)[axis] - path.image_size[1 - axis] / 2
    lateral = center * path.focus.depth / path.focal_px
    _dot(draw, _pair(place, (lateral, path.focus.depth)), FOCUS_COLOR)
    drawing = np.asarray(picture)
    return np.ascontiguousarray(np.rot90(drawing, -1)) if axis else drawing


def _points(scene, axis):
    """Lateral and z of some of the photo's points, far ones first, and their colours (N, 3)."""
    points, colors, _ = scene.cloud()
    step = max(1, scene.photo_points // POINTS)
    points, colors = (
        np.asarray(part[index].cpu() if hasattr(part, "cpu") else part[index])
        for part, index in (
            (points, (slice(None), slice(0, scene.photo_points, step))),
            (colors, slice(0, scene.photo_points, step)),
        )
    )
    order = np.argsort(-points[2])
    return (points[axis, order], points[2, order]), colors[order]


def _line(path: CameraPath, stand: Stand, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Both ends, lateral and z, of what a stand shows at the focus depth."""
    left, top, right, bottom = stand.window.span()
    ends = np.array((top, bottom) if axis else (left, right)) - path.image_size[1 - axis] / 2
    return ends * path.focus.depth / path.focal_px, np.full(2, path.focus.depth)


def _pair(place, at):
    column, row = place(*at)
    return float(column), float(row)


def _dot(draw, at, color, radius=5):
    column, row = at
    draw.ellipse((column - radius, row - radius, column + radius, row + radius), fill=color)
