"""The moves of the camera, by name: each is one function from a Stage to a CameraPath.

A move says for every time where the camera stands and which window it shows at the focus depth;
`CameraPath` finds the lens for it. Nothing heavy is imported here: the command line lists the table
at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from utils.camera.focus import Focus, aim
from utils.camera.path import CameraPath, Stand
from utils.camera.windows import CropWindow, fit_center

# What stands before the focus grows to twice its size at most, and passes by twice as fast as the
# focus; no pixel of the photo is enlarged more by keeping clear of its borders. The lens does the
# rest. By eye, as the next ones.
MOST_GROWTH = 2
# A move that chooses its windows goes only so far, and the automatic shot is one of those, that at
# most this share of a frame is invented; the dolly zoom, which is about what it uncovers, twice.
MOST_INVENTED = 0.03
# At strength 1: by how much a zoom enlarges, what part of the way to the focus a dolly zoom goes,
# and how far near or far things move against the focus, as a share of the picture's width; in
# shallow scenes only so far that no more than another share of the focus plane passes by.
ZOOM = 1.35
DOLLY_PART = 0.45
PARALLAX = 0.05
MOST_PASSING = 0.08


class Stage(NamedTuple):
    """What a move has to do with."""

    image_size: tuple[int, int]  # (height, width) of the photo, px
    focal_px: float  # of the photo
    focus: Focus
    nearest: float  # depth of the nearest surface, unit of the baseline
    start: CropWindow  # windows that were given, or their defaults, px of the photo
    end: CropWindow
    depths: tuple[float, float] = (math.inf, math.inf)  # of near and far things
    box: tuple[float, float] = (0.0, 0.0)  # (height, width) of the largest window, px
    strength: float = 1.0
    sized: bool = True  # the user gave the size of a window

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

    def window(self, share: float) -> CropWindow:
        """Return the window of this share of the largest one, as near to the focus as it fits."""
        sides = [share * side for side in self.box]
        v, u = (
            fit_center(at, side / 2, limit)
            for at, side, limit in zip(
                (self.focus.v, self.focus.u), sides, self.image_size, strict=True
            )
        )
        return CropWindow(u, v, sides[1], sides[0])

    def aside(self) -> float:
        """Return how far to go aside for near or far things to move by PARALLAX."""
        depth = self.focus.depth
        near, far = self.depths
        gain = self.focal_px * max(1 / near - 1 / depth, 1 / depth - 1 / far, 1e-9)
        passing = MOST_PASSING * depth / self.focal_px
        return self.strength * self.box[1] * min(PARALLAX / gain, passing)

    def advance(self, part: float) -> float:
        """Return this part of the way to the focus, or how far the nearest surface lets go."""
        return min(part * self.focus.depth, self.nearest / MOST_GROWTH)

    def clear_share(self, stands: list[Stand]) -> float:
        """Return how large a window can be, of the largest, that shows no border of the photo."""
        unit = self.focus.depth / self.focal_px
        share = 1.0
        for (x, y, z), window in stands:
            for at, middle, side, box in (
                (x, window.center_u, self.image_size[1], self.box[1]),
                (y, window.center_v, self.image_size[0], self.box[0]),
            ):
                for depth in self.depths:
                    reach = (self.focus.depth - z) / max(depth - z, 1e-6)
                    # What the borders of the photo hide at that depth, seen on the focus plane.
                    low, high = (
                        (at + (end * side / 2 * depth / self.focal_px - at) * reach) / unit
                        + side / 2
                        for end in (-1, 1)
                    )
                    share = min(share, 2 * (high - middle) / box, 2 * (middle - low) / box)
        return max(share, 1 / MOST_GROWTH)


def windows(stage: Stage) -> CameraPath:
    """From the start window to the end window, nearer by as much as it is smaller.

    Sideways the camera moves along with the windows, and looks at what lies between them (`aim`).
    """
    return _between_windows(stage, shown=lambda window: window)


def zoom_in(stage: Stage) -> CameraPath:
    """From all of the photo to the focus."""
    near = stage.window(ZOOM**-stage.strength)
    return windows(stage._replace(start=stage.window(1), end=near))


def zoom_out(stage: Stage) -> CameraPath:
    """From the focus to all of the photo."""
    near = stage.window(ZOOM**-stage.strength)
    return windows(stage._replace(start=near, end=stage.window(1)))


def orbit(stage: Stage) -> CameraPath:
    """Once around, level: to the right, nearer, to the left and back; the focus stays."""
    near = min(stage.aside(), stage.advance(1))
    return _around_focus(stage, 0, near, (0.25, 0.5, 0.75))


def circle(stage: Stage) -> CameraPath:
    """Round a circle that faces the scene; the focus stays."""
    return _around_focus(stage, stage.aside(), 0, (0, 0.25, 0.5, 0.75))


def swing(stage: Stage) -> CameraPath:
    """From side to side, as one looks around a thing; the focus stays."""
    return _around_focus(stage, 0, 0, (0.25, 0.75))


def dolly(stage: Stage) -> CameraPath:
    """Nearer, while the lens widens: what is at the focus depth keeps its size and place."""
    if stage.sized:
        return _between_windows(
            stage, shown=lambda window: resized(stage.start, window.center_u, window.center_v)
        )
    middle = stage.window(1)
    x, y = stage.on_focus(middle.center_u, middle.center_v)
    advance = stage.advance(1 - (1 - DOLLY_PART) ** stage.strength)

    def position(t):
        part = t * advance / stage.focus.depth  # straight towards what is in the middle
        return part * x, part * y, t * advance

    return _holding(stage, position)


# -- what moves have in common -----------------------------------------------------------------


def _between_windows(stage, shown):
    start, end, depth = stage.start, stage.end, stage.focus.depth
    widest = max(start.width, end.width)
    advance = depth * (1 - min(start.width, end.width) / widest)
    part = stage.advance(1) / max(advance, stage.advance(1))
    pace = min(1.0, MOST_GROWTH * stage.nearest / depth)
    across, down = stage.on_focus(*aim(stage.image_size, start, end))

    def stand(t):
        window = start.towards(end, t)
        z = part * depth * (1 - window.width / widest)
        x, y = stage.on_focus(window.center_u, window.center_v)
        rest = 1 - z / depth  # of the way to the focus depth
        return Stand((pace * (x - across * rest), pace * (y - down * rest), z), shown(window))

    return stage.path(stand)


def _travel(stage, across, down):
    """Past the scene, with the same straight ahead all the way: what is near passes faster."""
    unit, middle = stage.focus.depth / stage.focal_px, stage.window(1)
    side = middle.width if across else middle.height
    reach = min(stage.aside(), stage.strength * MOST_PASSING * side * unit)

    def stand(t, share=1.0):
        x, y = (step * reach * (2 * t - 1) for step in (across, down))
        return Stand(
            (x, y, 0.0),
            CropWindow(
                middle.center_u + x / unit,
                middle.center_v + y / unit,
                share * middle.width,
                share * middle.height,
            ),
        )

    share = stage.clear_share([stand(0), stand(1)])
    return stage.path(lambda t: stand(t, share))


def _around_focus(stage, down, ahead, inpaint_at):
    """Once round an ellipse, as far aside as PARALLAX says, with a window that stays."""
    radius = stage.aside()

    def position(t):
        angle = 2 * math.pi * t
        aside, level = radius * math.sin(angle), math.cos(angle)
        return aside, down * level, ahead * (1 - level) / 2

    return _holding(stage, position, inpaint_at=inpaint_at, closed=True)


def _holding(stage, position, **more):
    """The same window of the focus plane all the way: everything there stays as it is."""
    stands = [Stand(position(k / 8), stage.window(1)) for k in range(9)]
    window = resized(stage.window(1), scale=stage.clear_share(stands))
    return stage.path(lambda t: Stand(position(t), window), **more)


def resized(
    window: CropWindow,
    center_u: float | None = None,
    center_v: float | None = None,
    scale: float = 1,
) -> CropWindow:
    """Return a window of this many times the size, elsewhere if a centre is given."""
    return CropWindow(
        window.center_u if center_u is None else center_u,
        window.center_v if center_v is None else center_v,
        scale * window.width,
        scale * window.height,
    )


class Move(NamedTuple):
    """A line of the table."""

    plan: Callable[[Stage], CameraPath]
    closed: bool = False  # leads back to its beginning, so that the film repeats without a seam
    flat: bool = True  # makes sense without depth
    framed: bool = False  # takes the windows that the user gives
    most_invented: float = MOST_INVENTED  # share of a frame, where it chooses its windows


MOVES = {
    "windows": Move(windows, framed=True),
    "zoom-in": Move(zoom_in),
    "zoom-out": Move(zoom_out),
    "left": Move(lambda stage: _travel(stage, -1, 0)),
    "right": Move(lambda stage: _travel(stage, 1, 0)),
    "up": Move(lambda stage: _travel(stage, 0, -1)),
    "down": Move(lambda stage: _travel(stage, 0, 1)),
    "orbit": Move(orbit, closed=True, flat=False),
    "circle": Move(circle, closed=True, flat=False),
    "swing": Move(swing, closed=True, flat=False),
    "dolly": Move(dolly, flat=False, framed=True, most_invented=2 * MOST_INVENTED),
}
