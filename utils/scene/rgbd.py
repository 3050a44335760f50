"""A picture with its depth beside it, as holographic displays take it: white is near."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from utils.camera import NO_LENS
from utils.scene.matte import Matte

if TYPE_CHECKING:
    from typing import Any

    from utils.scene.cloud import Scene


class RgbdScene:
    """Renders a scene with its depth to the right; inpaints like it.

    Grey is disparity from the photo's camera, so one scale holds for all of a film: white is the
    nearest, black infinitely far.

    Args:
        scene: utils.scene.cloud.Scene.
    """

    def __init__(self, scene: Scene) -> None:
        """Colour nothing yet: the cloud still grows."""
        self.scene, self.device = scene, scene.device
        self.left: Any = scene  # or its Matte
        self.inpaint, self.close_surfaces = scene.inpaint, scene.close_surfaces
        self.unreached = scene.unreached

    def render(
        self,
        shift: Any,
        focal_px: float,
        size: tuple[int, int],
        fill: bool = True,
        lens: tuple[float, float] = NO_LENS,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Render picture and depth of (height, width) `size` each; see `Scene.render`.

        Returns:
            frame (H, 2W, 3) uint8; holes (H, 2W) bool.
        """
        frame, holes = self.left.render(shift, focal_px, size, fill=fill, lens=lens)
        if self.left is not self.scene:
            return np.hstack((frame, frame)), np.hstack((holes, holes))
        points, rims = self.scene.cloud(closed=True)[0], self.scene.rims(closed=True)
        rim_greys = None
        if rims is not None:
            rim_greys = self._ready(
                torch.cat([self._greys(rims[0]), torch.as_tensor(rims[1])[:, 3:]], 1)
            )
        greys = self._ready(self._greys(points))
        depth, _ = self.scene.render(shift, focal_px, size, fill, greys, lens, rim_greys)
        return np.hstack((frame, depth)), np.hstack((holes, holes))

    def matte(self) -> RgbdScene:
        """Return what renders this scene in white where it is invented, twice."""
        matte = RgbdScene(self.scene)
        matte.left = Matte(self.scene)
        return matte

    def _greys(self, points):
        """(N, 3) uint8 of points (3, N)."""
        nearness = float(self.scene.depth.amin()) / torch.as_tensor(points)[2]
        return (nearness * 255).round().clamp(0, 255).byte()[:, None].repeat(1, 3)

    def _ready(self, colors):
        """Return colours as the scene keeps its own."""
        return colors.contiguous() if self.device.type == "cuda" else colors.numpy()
