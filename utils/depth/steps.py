"""What counts as a step between two surfaces of a disparity map."""

import numpy as np

from kernels.jit import jit

# Neighbours farther apart than this share of the largest disparity are two surfaces. (Lines bend by
# 6 % more at half and at twice, benchmarks.straight; edges are 0.4 px less complete at twice,
# benchmarks.outlines; at half walls open, benchmarks.surfaces.)
EDGE_JUMP = 0.06
# Where the back has this share of the front's disparity or less, the same share of such a step is
# enough: against the sky a house is as distinct as a hand, and its disparity small. By eye.
TWICE_AS_FAR = np.float32(0.5)


def least_step(near: np.ndarray, far: np.ndarray, limit: np.float32) -> np.ndarray:
    """The step from which on these are two surfaces, for each pair of disparities.

    Args:
        near, far: disparities of the same shape.
        limit: EDGE_JUMP of the largest disparity.
    """
    return np.where(far <= TWICE_AS_FAR * near, TWICE_AS_FAR * limit, limit)


@jit
def is_step(first: np.float32, second: np.float32, limit: np.float32) -> np.bool:
    """Whether a pair of disparities differs by `least_step`, in either order; for kernels."""
    near, far = max(first, second), min(first, second)
    return near - far >= (TWICE_AS_FAR * limit if far <= TWICE_AS_FAR * near else limit)
