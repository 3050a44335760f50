"""The way of the camera: a pose for every moment between the first window and the last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from utils.camera.windows import CropWindow

if TYPE_CHECKING:
    pass

# How far beyond both ends of the path is inpainted, so that rounding leaves no sliver.
OVERSHOOT = 1.1


class CameraPose(NamedTuple):
    """Where the camera stands: what is added to every point, and the focal length of the photo."""

    shift: tuple[float, float, float]
    focal_px: float


@dataclass(frozen=True)
class CameraPath:
    """The way of the camera from one crop window to another.

    The camera moves so that, on the nearest surface, the view is as large as the window at each
    end; farther surfaces follow by parallax. A dolly zoom shortens the focal length while it moves
    in, so that the nearest surface keeps its size. Sideways the camera goes by the window's offset
    at the *new* distance, as published: a window smaller than the other by s is centred at s times
    its offset. Source: Niklaus et al., 3D Ken Burns Effect from a Single Image, 2019
    (arXiv:1909.05483), section 4.
    """

    start: CropWindow
    end: CropWindow
    image_size: tuple[int, int]  # (height, width) of the photo that the windows refer to, px
    nearest_depth: float  # unit of the baseline
    focal_px: float  # of that photo
    dolly: bool = False
    aim: tuple[float, float] | None = None  # (u, v) px, see `aim`; None: the photo's centre

    @property
    def center(self) -> tuple[float, float]:
        """(u, v) of the photo that is in the middle of a frame when the camera has not moved."""
        return self.aim or (self.image_size[1] / 2, self.image_size[0] / 2)

    @property
    def crop(self) -> tuple[float, float]:
        """(height, width) of the patch of every view that becomes the frame, px."""
        return (max(self.start.height, self.end.height), max(self.start.width, self.end.width))

    def pose(self, t: float) -> CameraPose:
        """Return the CameraPose at t in [0, 1]; a little outside is the overshoot of inpainting."""
        center_u, center_v = self.center
        window_width = (1 - t) * self.start.width + t * self.end.width
        u = (1 - t) * self.start.center_u + t * self.end.center_u
        v = (1 - t) * self.start.center_v + t * self.end.center_v
        focal_px = self.focal_px
        if self.dolly:
            focal_px *= (1 - t) + t * self.end.width / self.start.width
        depth = self.nearest_depth * window_width / self.crop[1]
        shift = (
            -(u - center_u) * depth / focal_px,
            -(v - center_v) * depth / focal_px,
            depth - self.nearest_depth,
        )
        return CameraPose(shift, focal_px)

    def inpainting_poses(self) -> list[CameraPose]:
        """Return the poses at which to inpaint: a little beyond both ends.

        Between them nothing new is uncovered.
        """
        return [self._beyond(t) for t in (0, 1)]

    def _beyond(self, t):
        pose = self.pose(t)
        return pose._replace(shift=tuple(OVERSHOOT * value for value in pose.shift))

    def view_focal_px(self, pose: CameraPose, film_size: tuple[int, int]) -> float:
        """Return the focal length of a film frame of (height, width) that shows just the crop."""
        return pose.focal_px * film_size[1] / self.crop[1]


def path_times(count: int, easing: str = "linear") -> np.ndarray:
    """Return `count` positions from 0 to 1, evenly or with a soft start and stop."""
    if easing not in ("linear", "smooth"):
        raise ValueError(f"easing must be linear or smooth, got {easing!r}.")
    t = np.linspace(0, 1, count) if count > 1 else np.zeros(1)
    return t * t * (3 - 2 * t) if easing == "smooth" else t
