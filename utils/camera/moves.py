"""The moves of the camera, by name: each is one function from a Stage to a CameraPath.

A move says for every time where the camera stands and which window it shows at the focus depth;
`CameraPath` finds the lens for it. Nothing heavy is imported here: the command line lists the table
at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from utils.camera.focus import Focus, aim
from utils.camera.path import CameraPath, Stand
from utils.camera.windows import CropWindow

# How near the camera comes to the nearest surface: half as near as the photo was taken at most, so
# that what stands before the focus grows to twice its size at most. The lens does the rest.
MOST_ADVANCE = 0.5


class Stage(NamedTuple):
    """What a move has to do with."""

    image_size: tuple[int, int]  # (height, width) of the photo, px
    focal_px: float  # of the photo
    focus: Focus
    nearest: float  # depth of the nearest surface, unit of the baseline
    start: CropWindow  # windows that were given, or their defaults, px of the photo
    end: CropWindow
    dolly: bool = False

    def on_focus(self, u: float, v: float) -> tuple[float, float]:
        """Return x and y of the point at the focus depth that the photo shows at (u, v)."""
        height, width = self.image_size
        unit = self.focus.depth / self.focal_px
        return (u - width / 2) * unit, (v - height / 2) * unit

    def path(self, stand: Callable[[float], Stand], **more: Any) -> CameraPath:
        """Return the path of a camera that stands so."""
        crop = max((stand(t).window for t in (0, 1)), key=lambda window: window.width)
        return CameraPath(
            stand,
            self.image_size,
            self.focal_px,
            self.focus,
            (crop.height, crop.width),
            **more,
        )


def windows(stage: Stage) -> CameraPath:
    """From the start window to the end window, nearer by as much as it is smaller.

    Sideways the camera moves along with the windows, and looks at what lies between them (`aim`).
    """
    return _between_windows(stage, shown=lambda window: window)


def dolly(stage: Stage) -> CameraPath:
    """Nearer as `windows`, while the lens widens: what is at the focus depth keeps its size."""
    return _between_windows(
        stage, shown=lambda window: resized(stage.start, window.center_u, window.center_v)
    )


def _between_windows(stage, shown):
    start, end, depth = stage.start, stage.end, stage.focus.depth
    widest = max(start.width, end.width)
    advance = 1 - min(start.width, end.width) / widest
    part = min(1.0, MOST_ADVANCE * stage.nearest / (advance * depth)) if advance else 1.0
    across, down = stage.on_focus(*aim(stage.image_size, start, end))

    def stand(t):
        window = start.towards(end, t)
        z = part * depth * (1 - window.width / widest)
        x, y = stage.on_focus(window.center_u, window.center_v)
        left = 1 - z / depth  # of the way to the focus depth
        return Stand((x - across * left, y - down * left, z), shown(window))

    return stage.path(stand)


def resized(window: CropWindow, center_u: float, center_v: float) -> CropWindow:
    """Return a window of the same size elsewhere."""
    return CropWindow(center_u, center_v, window.width, window.height)


class Move(NamedTuple):
    """A line of the table."""

    plan: Callable[[Stage], CameraPath]


MOVES = {
    "windows": Move(windows),
    "dolly": Move(dolly),
}
