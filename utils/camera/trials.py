"""Cameras are tried on a small copy of a scene: what each would uncover, before one is chosen.

Two searches score what is found here: the planner's (`planning`) and the paper's (`autozoom`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from kernels import Cloud, View, render_frame
from kernels.threads import run_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from utils.camera.path import CameraPose

# px, long side of the copy: what a camera uncovers hardly depends on it.
SEARCH_SIDE = 160


class Lifted(NamedTuple):
    """A photo with depth."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    disparity: np.ndarray  # (H, W) float32 px, larger = nearer, positive
    focal_px: float
    baseline: float  # depth = focal_px * baseline / disparity
    surface: np.ndarray | None = None  # (H, W) bool, which pixels make a point; None: all


class SmallCopy:
    """A photo with depth on few pixels, in its own units: the same poses hold in it.

    Attributes:
        image_size: (height, width) of the photo, px.   size: (h, w) of the copy.
        stride: px of the photo per pixel of the copy, across and down.
        colors: (h, w, 3) uint8.   disparity: (h, w) float32.
        points: (3, h * w) float32, camera frame.
        focal_px: of the photo.   disparity_scale: depth = disparity_scale / disparity.
    """

    def __init__(self, photo: Lifted, side: int = SEARCH_SIDE, grow: bool = True) -> None:
        """Take pixels of a photo for a copy of this long side, if it is not smaller itself.

        Args:
            photo: with depth.
            side: px.
            grow: points grow where they are magnified, as in films; else they stay small.
        """
        image, disparity, self.focal_px, baseline, surface = photo
        self.image_size = height, width = disparity.shape
        scale = min(1.0, side / max(self.image_size))
        rows, columns = (max(4, round(extent * scale)) for extent in self.image_size)
        self.size = rows, columns
        self.stride = width / columns, height / rows
        # The pixels nearest to the middles: averages would invent surfaces between near and far.
        u, v = (
            ((np.arange(count) + 0.5) * step).astype(int).clip(0, side - 1)
            for count, step, side in zip((columns, rows), self.stride, (width, height), strict=True)
        )
        self.colors = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
        self.disparity = np.ascontiguousarray(disparity[np.ix_(v, u)], np.float32)
        self.disparity_scale = self.focal_px * baseline
        depth = self.disparity_scale / self.disparity
        x = (u + 0.5 - width / 2) * depth / self.focal_px
        y = (v[:, None] + 0.5 - height / 2) * depth / self.focal_px
        self.points = np.stack([x, y, depth]).reshape(3, -1).astype(np.float32)
        kept = np.ones(self.size, bool) if surface is None else surface[np.ix_(v, u)]
        points = np.ascontiguousarray(self.points[:, kept.ravel()])
        spacing = points[2] * np.float32(max(self.stride) / self.focal_px) if grow else None
        self._cloud = Cloud(points, np.zeros((points.shape[1], 3), np.uint8), spacing)

    def in_photo(self, place: tuple[float, float]) -> tuple[float, float]:
        """Return the (u, v) in the photo, px, of a place in the copy."""
        return place[0] * self.stride[0], place[1] * self.stride[1]

    def uncovered(self, poses: Sequence[CameraPose], box: tuple[float, float]) -> np.ndarray:
        """Return the share (K,) of each pose's view that no point reaches.

        Args:
            poses: K of them, in the photo.
            box: (height, width) of the patch of every view that becomes the frame, px of the photo.
        """
        scale = max(self.size) / max(box)
        size = tuple(max(1, round(side * scale)) for side in box)

        def share(pose):
            focal_px = pose.focal_px * size[1] / box[1]
            lens = [-focal_px * slope for slope in pose.lens]
            view = View(pose.shift, size, focal_px, self.disparity_scale, lens)
            return render_frame(self._cloud, view, fill=False)[1].mean()

        return np.array(run_all(share, [(pose,) for pose in poses]))
