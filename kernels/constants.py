"""The numbers of the kernels, said once: the Numba twin imports them, NVRTC gets them with -D."""

import numpy as np

NEAR_PLANE = np.float32(0.001)  # points nearer than this (in depth) are dropped
COVERAGE_THRESHOLD = np.float32(1e-4)  # summed weights below this count as nothing
GUARD = 1e-7  # added to depth before division, as the published renderer does

# Of whole frames.
TOLERANCE = np.float32(1)  # a point this much behind the z-buffer (in disparity) still shows
# Projected spacing (px) from which a point is drawn that wide. (benchmarks.surfaces: at twice walls
# show 1.3 % of the ground; at half no figure moves.)
GROW_FROM = np.float32(1.25)
OVERLAP = np.float32(0.01)  # px, so that rounding leaves no crack between two such points
WIDEST_FOOTPRINT = np.float32(32)  # bounds the work for points right before the camera
WEIGHT_ONE = np.float32(65536)  # weights are counted in units of 2**-16
FULL = np.uint64(255 * 65536) << np.uint64(32)  # 255 points' worth: two more would overflow

# Alpha of rim points, a byte.
RIM_FULL = np.uint8(254)  # a point of the front alone
RIM_SHARED = np.uint8(255)  # the same, and the cloud has it as well

NAMES = (
    "NEAR_PLANE",
    "COVERAGE_THRESHOLD",
    "GUARD",
    "TOLERANCE",
    "GROW_FROM",
    "OVERLAP",
    "WIDEST_FOOTPRINT",
    "WEIGHT_ONE",
    "FULL",
    "RIM_FULL",
    "RIM_SHARED",
)


def _literal(value: float | np.generic) -> str:
    """Write a number as C++ reads it, to the last bit."""
    if isinstance(value, np.float32):
        return f"{value.item().hex()}f"  # hexadecimal: no rounding between decimal and binary
    if isinstance(value, np.uint8):
        return str(value)
    return f"{value}ull" if isinstance(value, np.uint64) else float(value).hex()


DEFINITIONS = tuple(f"-D{name}={_literal(globals()[name])}" for name in NAMES)
