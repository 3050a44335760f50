"""The matte of a film: white where the picture is invented, black where it is the photo's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from utils.camera import NO_LENS

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    from utils.scene.cloud import Scene


class Matte:
    """Renders like the scene it is of, in the colours of a matte.

    A pixel that photo and inpainting share, as at every edge, is grey by their shares. What no
    point reaches, and the film fills by rule, is white.

    Args:
        scene: utils.scene.cloud.Scene, inpainted.
    """

    def __init__(self, scene: Scene) -> None:
        """Colour the points: the photo's black, inpainted ones white."""
        self.scene, self.device = scene, scene.device
        self.colors = torch.zeros(
            (scene.cloud()[0].shape[1], 3), dtype=torch.uint8, device=scene.device
        )
        self.colors[scene.photo_points :] = 255

    def render(
        self,
        shift: Any,
        focal_px: float | None,
        size: tuple[int, int],
        fill: bool = True,
        lens: tuple[float, float] = NO_LENS,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the matte (H, W, 3) uint8 of a view and its holes; see `Scene.render`."""
        colors = self.colors if self.device.type == "cuda" else self.colors.numpy()
        frame, holes = self.scene.render(shift, focal_px, size, False, colors, lens)
        frame[holes] = 255
        return frame, holes
