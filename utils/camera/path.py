"""The way of the camera: where it stands, and what it shows, at every moment of a film."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from utils.camera.focus import Focus

if TYPE_CHECKING:
    from typing import Any

    from utils.camera.windows import CropWindow

# How far beyond the extremes of a path is inpainted, as published: rounding leaves no sliver.
OVERSHOOT = 1.1
NO_LENS = (0.0, 0.0)
# At how many times, evenly spaced, `CameraPath.shows` looks, and how far beyond the frame, as a
# share of its width: what only a time between two of those shows lies nearer to the frame. (Of the
# moves of benchmarks.planning none needs it; a path that turns faster would.)
LOOKS, SEEN_MARGIN = 17, 0.004
VIEWS = 9  # for which surfaces are closed


class CameraPose(NamedTuple):
    """What the renderer is told of a camera that looks straight ahead."""

    shift: tuple[float, float, float]  # added to every point
    focal_px: float  # of the photo
    # x/z and y/z of the line from the camera through the middle of the frame: how the lens is
    # shifted. The camera never turns, so what is upright in the photo stays upright.
    lens: tuple[float, float] = NO_LENS


class Stand(NamedTuple):
    """Where the camera stands, and the window that it shows at the focus depth."""

    position: tuple[float, float, float]  # from where the photo was taken, unit of the baseline
    window: CropWindow  # px of the photo


@dataclass(frozen=True)
class CameraPath:
    """A film's camera: a Stand for every time from 0 to 1; lens and focal length follow from it.

    Whatever way the camera goes, a point at the focus depth is where the window says
    (docs/method/camera.md, Camera path).
    """

    stand: Callable[[float], Stand]  # time -> Stand
    image_size: tuple[int, int]  # (height, width) of the photo that the windows refer to, px
    focal_px: float  # of that photo
    focus: Focus  # the point of the photo, and the depth, at which windows are measured
    crop: tuple[float, float]  # (height, width) of the patch of every view that becomes the frame
    inpaint_at: tuple[float, ...] = (0.0, 1.0)  # times at which most is uncovered
    closed: bool = False  # time 1 is time 0 again: the film needs no way back
    name: str = "windows"  # of the move

    @property
    def start(self) -> CropWindow:
        """The window of the first frame."""
        return self.stand(0).window

    @property
    def end(self) -> CropWindow:
        """The window of the last frame."""
        return self.stand(1).window

    def pose(self, t: float) -> CameraPose:
        """Return the CameraPose at a time from 0 to 1."""
        (x, y, z), window = self.stand(t)
        distance = self.focus.depth - z
        unit = self.focus.depth / self.focal_px  # of a pixel of the photo, at the focus depth
        height, width = self.image_size
        lens = (
            ((window.center_u - width / 2) * unit - x) / distance,
            ((window.center_v - height / 2) * unit - y) / distance,
        )
        focal_px = distance / unit * self.crop[1] / window.width
        return CameraPose((-x, -y, -z), focal_px, lens)

    def inpainting_poses(self) -> list[CameraPose]:
        """Return the poses at which to inpaint: a little beyond the extremes of the path.

        Between them nothing new is uncovered.
        """
        poses = []
        for pose in map(self.pose, self.inpaint_at):
            x, y, z = pose.shift
            poses.append(pose._replace(shift=(OVERSHOOT * x, OVERSHOOT * y, OVERSHOOT * z)))
        return poses

    def view_focal_px(self, pose: CameraPose, film_size: tuple[int, int]) -> float:
        """Return the focal length of a film frame of (height, width) that shows just the crop."""
        return pose.focal_px * film_size[1] / self.crop[1]

    def view(self, t: float, size: tuple[int, int]) -> dict[str, Any]:
        """Return what `Scene.render` is asked for a frame of (height, width) px at a time."""
        pose = self.pose(t)
        focal_px = self.view_focal_px(pose, size)
        return {"shift": pose.shift, "focal_px": focal_px, "size": size, "lens": pose.lens}

    def views(self, size: tuple[int, int]) -> list[dict[str, Any]]:
        """Return views of (height, width) px all along the path, for which surfaces are closed."""
        evenly = (look / (VIEWS - 1) for look in range(VIEWS))
        return [self.view(t, size) for t in sorted({*evenly, *self.inpaint_at})]

    def shows(self, points: Any) -> Any:
        """Say which points stand in some frame of the film, or just beside it.

        Args:
            points: (1, 3, N) tensor, of the photo's camera, unit of the baseline.
        Returns:
            (N,) bool tensor.
        """
        x, y, z = points[0]
        shown: Any = False
        height, width = (side / 2 + SEEN_MARGIN * self.crop[1] for side in self.crop)
        for look in range(LOOKS):
            (right, down, ahead), focal_px, lens = self.pose(look / (LOOKS - 1))
            depth = z + ahead
            u = focal_px * ((x + right) / depth - lens[0])
            v = focal_px * ((y + down) / depth - lens[1])
            shown = shown | ((depth > 0) & (abs(u) <= width) & (abs(v) <= height))
        return shown

    def scaled(self, part: float) -> CameraPath:
        """Return the same film with a camera that goes only a part of the way, 0 to 1.

        All windows stay; what the camera does not do by moving, its lens does. At 0 nothing is
        uncovered.
        """

        def stand(t):
            (x, y, z), window = self.stand(t)
            return Stand((part * x, part * y, part * z), window)

        return replace(self, stand=stand)


def published_path(
    start: CropWindow,
    end: CropWindow,
    image_size: tuple[int, int],
    nearest_depth: float,
    focal_px: float,
    dolly: bool = False,
) -> CameraPath:
    """Return the way between two windows by the published formula, which golden numbers hold.

    Sideways it goes by the window's offset at the *new* distance, so that a window smaller than the
    other by s is shown centred at s times its offset (docs/method/camera.md). Films take
    `utils.camera.moves`. Source: Niklaus et al., 3D Ken Burns Effect from a Single Image, 2019
    (arXiv:1909.05483), section 4.

    Args:
        start, end: CropWindow, px of the photo.
        image_size: (height, width) of the photo, px.
        nearest_depth: where windows are measured, unit of the baseline.
        focal_px: of the photo.
        dolly: shorten the focal length while the camera moves in.
    """
    height, width = image_size
    unit = nearest_depth / focal_px
    crop = (max(start.height, end.height), max(start.width, end.width))

    def stand(t):
        window = start.towards(end, t)
        lens_factor = (1 - t) + t * end.width / start.width if dolly else 1
        nearness = window.width / crop[1]  # of the new distance to the old one
        shown = crop[1] * nearness / lens_factor
        pull = nearness / lens_factor
        u, v = (pull * (window.center_u - width / 2), pull * (window.center_v - height / 2))
        return Stand(
            (u * unit, v * unit, nearest_depth - nearest_depth * nearness),
            replace(
                window,
                center_u=width / 2 + u,
                center_v=height / 2 + v,
                width=shown,
                height=crop[0] * shown / crop[1],
            ),
        )

    focus = Focus(width / 2, height / 2, nearest_depth)
    return CameraPath(stand, image_size, focal_px, focus, crop)
