"""Which neighbours of a disparity map are one surface: there renderers close it, and meshes cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from utils.depth.steps import EDGE_JUMP, least_step

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
    pairs = (
        (disparity[:, :-1], disparity[:, 1:], kept[:, :-1] & kept[:, 1:]),
        (disparity[:-1], disparity[1:], kept[:-1] & kept[1:]),
    )
    right, down = (
        both & _one_surface(first, second, np.float32(limit)) for first, second, both in pairs
    )
    return right, down


def _one_surface(first, second, limit):
    """Whether disparities differ by less than a step."""
    near, far = np.maximum(first, second), np.minimum(first, second)
    return near - far < least_step(near, far, limit)


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
