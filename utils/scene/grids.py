"""The pixels of a view that became points of a scene: which are neighbours, and where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import torch


class Grid(NamedTuple):
    """A view of (height, width) px, of which some pixels are points of the cloud."""

    size: tuple[int, int]
    pixels: torch.Tensor  # (N,) int64, row-major: the one that each of the points came from
    begin: int  # of these points in the cloud
    shift: tuple[float, float, float]  # of the view's camera, added to every point
    lens: tuple[float, float]  # how its lens is shifted, see `utils.camera.CameraPose`
    focal_px: float

    def lift(self, places: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Return the points that the view shows at places, also between pixels.

        Args:
            places: (V, 2) column and row, px.
            depth: (V,) from the photo's camera.
        Returns:
            (V, 3) of the photo's camera.
        """
        middle = (np.array(self.size[::-1]) - 1) / 2
        ahead = depth + self.shift[2]
        slopes = (places - middle) / self.focal_px + self.lens
        return np.column_stack([slopes * ahead[:, None] - self.shift[:2], depth])
