"""Which neighbours of a disparity map are one surface: where renderers close it, and meshes cut."""

from __future__ import annotations

import numpy as np

from utils.depth.steps import EDGE_JUMP, least_step


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
