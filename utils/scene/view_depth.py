"""The depth of a scene's views: what each pixel of a frame shows, and how far away that is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from kernels.constants import NEAR_PLANE
from utils.camera import NO_LENS

if TYPE_CHECKING:
    from typing import Any

    from utils.scene.cloud import Scene

# Numbers of 24 bits go up with the logarithm of depth, from the near plane to this many units of
# the baseline, so that each is 2e-6 farther than the one before; 0 is where nothing is.
FARTHEST_DEPTH = 1e9
LARGEST_NUMBER = 2**24 - 1
PER_E = (LARGEST_NUMBER - 1) / math.log(FARTHEST_DEPTH / float(NEAR_PLANE))  # for a factor of e


class ViewDepth:
    """Renders like the scene it is of, but depth in place of colours.

    Each pixel has the depth of the surface that the frame shows there. Two surfaces are never
    mixed: a rim that covers half of a pixel or more has it for itself. What no point reaches has
    the depth of what fills the frame's hole, which is the farther side's.

    Args:
        scene: utils.scene.cloud.Scene, inpainted.
    """

    def __init__(self, scene: Scene) -> None:
        """Remember the unit: the distance of the photo's nearest point, as in all exports."""
        self.scene, self.device = scene, scene.device
        self.unit = float(scene.depth.amin())

    def render(
        self,
        shift: Any,
        focal_px: float | None,
        size: tuple[int, int],
        lens: tuple[float, float] = NO_LENS,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Render the depth of the view of a moved camera; see `Scene.render`.

        Returns:
            depth (H, W) float32 along the camera's axis, 1 = as far as the photo's nearest point
            is from the photo's camera, inf where nothing is; holes (H, W) bool, before filling.
        """
        points, rims = self.scene.cloud(closed=True)[0], self.scene.rims(closed=True)
        numbers, rim_numbers = self._numbers(points, shift[2]), None
        if rims is not None:
            alpha = torch.as_tensor(rims[1])[:, 3:]
            rim_numbers = self._ready(torch.cat([self._numbers(rims[0], shift[2]), alpha], 1))
        frame, holes = self.scene.render(
            shift, focal_px, size, True, self._ready(numbers), lens, rim_numbers, numbers=True
        )
        shown = frame.astype(np.int32) @ np.array([2**16, 2**8, 1], np.int32)
        depth = np.exp((shown - 1) / PER_E) * (float(NEAR_PLANE) / self.unit)
        return np.where(shown > 0, depth, np.inf).astype(np.float32), holes

    def _numbers(self, points, moved):
        """(N, 3) uint8: the bytes of the numbers that stand for the depth of points (3, N)."""
        depth = torch.as_tensor(points)[2] + float(moved)
        steps = (depth / float(NEAR_PLANE)).clamp(min=1).log() * PER_E + 1
        number = steps.nan_to_num(1).round().clamp(1, LARGEST_NUMBER).int()
        return torch.stack([number >> 16, number >> 8 & 255, number & 255], 1).byte()

    def _ready(self, numbers):
        """Return numbers as the scene keeps its colours."""
        return numbers.contiguous() if self.device.type == "cuda" else numbers.numpy()
