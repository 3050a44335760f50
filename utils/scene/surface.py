"""Which neighbours of a disparity map are one surface: there renderers close it, and meshes cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kernels.jit import jit
from kernels.threads import run_in_parts
from utils.depth.steps import EDGE_JUMP, is_step

if TYPE_CHECKING:
    import torch


def connected(
    disparity: np.ndarray, kept: np.ndarray, limit: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Say of each pair of neighbours whether they hang together.

    That is, they make points both, and lie less than a step apart (utils.depth.steps).

    Args:
        disparity: (H, W) px, positive.
        kept: (H, W) bool: which pixels make a point.
        limit: step between two surfaces; EDGE_JUMP of the largest disparity by default.
    Returns:
        right (H, W - 1) bool: a pixel and the one right of it; down (H - 1, W): and the one below.
    """
    if limit is None:
        limit = EDGE_JUMP * float(disparity.max())
    height, width = disparity.shape
    right, down = np.empty((height, width - 1), bool), np.empty((height - 1, width), bool)
    run_in_parts(
        lambda begin, end: _connect(disparity, kept, np.float32(limit), begin, end, right, down),
        height,
    )
    return right, down


@jit
def _connect(disparity, kept, limit, begin, end, right, down):
    """Write `connected` for the rows begin .. end."""
    height, width = disparity.shape
    for y in range(begin, end):
        for x in range(width - 1):
            both = kept[y, x] & kept[y, x + 1]
            right[y, x] = both and not is_step(disparity[y, x], disparity[y, x + 1], limit)
        for x in range(width if y + 1 < height else 0):
            both = kept[y, x] & kept[y + 1, x]
            down[y, x] = both and not is_step(disparity[y, x], disparity[y + 1, x], limit)


class Lens(NamedTuple):
    """The camera that saw a map, in the photo's frame."""

    focal_px: float  # of the map
    scale: float  # depth = scale / disparity, of the photo's camera
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    slope: tuple[float, float] = (0.0, 0.0)  # how the lens is shifted


class Sheet(NamedTuple):
    """A picture with depth, of which some pixels are points."""

    image: torch.Tensor  # (1, 3, H, W) RGB in [0, 1]
    disparity: torch.Tensor  # (1, 1, H, W) px, of the photo's camera
    keep: torch.Tensor  # (1, 1, H, W) bool
    lens: Lens  # of the camera that saw it
