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

    A pixel that photo and inpainting share, as at every edge, is grey by their shares: so is a rim
    of the photo before what is invented. What no point reaches, and the film fills by rule, is
    white.

    Args:
        scene: utils.scene.cloud.Scene, inpainted.
    """

    def __init__(self, scene: Scene) -> None:
        """Colour the points: what was seen white, inpainted ones black; turned round at the end."""
        self.scene, self.device = scene, scene.device
        points, rims = scene.cloud(closed=True)[0], scene.rims(closed=True)
        colors = torch.zeros((points.shape[1], 3), dtype=torch.uint8, device=scene.device)
        colors[: scene.seen_points] = 255
        between = scene.cloud()[0].shape[1]
        colors[between : between + scene.between_photo] = 255
        self.colors, self.rim_colors = self._ready(colors), None
        if rims is not None:
            rim_colors = torch.as_tensor(rims[1]).clone()
            rim_colors[:, :3] = 255
            self.rim_colors = self._ready(rim_colors)

    def _ready(self, colors: torch.Tensor) -> Any:
        """Return colours as the scene keeps its own."""
        return colors if self.device.type == "cuda" else colors.numpy()

    def render(
        self,
        shift: Any,
        focal_px: float | None,
        size: tuple[int, int],
        fill: bool = True,
        lens: tuple[float, float] = NO_LENS,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the matte (H, W, 3) uint8 of a view and its holes; see `Scene.render`."""
        # Holes stay black, and rims are laid over them: turned round, both are right.
        known, holes = self.scene.render(
            shift, focal_px, size, False, self.colors, lens, self.rim_colors
        )
        return 255 - known, holes
