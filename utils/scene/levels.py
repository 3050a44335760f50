"""A view as texture is made in it, at one of several resolutions."""

from typing import NamedTuple

import numpy as np


class Level(NamedTuple):
    """A view at one resolution."""

    values: np.ndarray  # (H, W, 4) float32: RGB in [0, 255], disparity; filled by the rule
    known: np.ndarray  # (H, W) bool
    wanted: np.ndarray  # (H, W) bool: the unknown pixels that are to be completed
