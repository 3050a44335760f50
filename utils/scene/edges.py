"""Which pixels of a photo show one surface, and which mix two at a depth edge."""

from __future__ import annotations

import numpy as np
import torch

from kernels.jit import jit
from kernels.threads import run_in_parts
from utils.depth.steps import EDGE_JUMP, is_step
from utils.filters import extremes

# A slope is longer than this, px, and than EDGE_REACH, with this share of its steepness or more all
# along. What is shorter is the ramp of an edge: once outlines are aligned, 99 of 100 ramps are 5 px
# or less, and those of a map of 384 px that another program has enlarged are two of its pixels.
# From half its steepness on, 4 % of a steep wall would show the ground (benchmarks.surfaces).
LONGEST_RAMP, SAME_SLOPE = np.float32(6), np.float32(1 / 3)
SQRT2 = np.float32(2**0.5)  # px from a pixel to its diagonal neighbour
# How far a lens or a scaled photo blurs an object over what lies behind it, as a share of the long
# side: 6 px at 1024. Left in, such pixels are a thin ghost of the object on its background, and
# what fills the hole between them continues their tint.
EDGE_REACH = 1 / 160


def on_slope(disparity: np.ndarray, pixels: np.ndarray, limit: np.float32) -> np.ndarray:
    """Say which pixels lie on a steep slope of one surface, not on the ramp of an edge.

    A ramp soon comes to the level of the other surface. A slope goes on: along the line on which
    disparity changes most, it does so for more than LONGEST_RAMP and EDGE_REACH, in no pair by a
    step.

    Args:
        disparity: (H, W) float32.
        pixels: (K,) flat index of those in question.
        limit: step between two surfaces, see utils.depth.steps.
    Returns:
        (K,) bool.
    """
    found = np.zeros(len(pixels), bool)
    longest = np.float32(max(LONGEST_RAMP, EDGE_REACH * max(disparity.shape)))
    disparity, limit = np.ascontiguousarray(disparity), np.float32(limit)
    run_in_parts(
        lambda begin, end: _follow_slopes(
            disparity, pixels[begin:end], limit, longest, found[begin:end]
        ),
        len(pixels),
    )
    return found


@jit
def _follow_slopes(disparity, pixels, limit, longest, found):
    """Follow the steepest of four lines through each pixel both ways; see `on_slope`."""
    height, width = disparity.shape
    lines = ((0, 1), (1, 0), (1, 1), (1, -1))
    for k in range(pixels.shape[0]):
        y, x = pixels[k] // width, pixels[k] % width
        steepest, down, right, cut = np.float32(0), 0, 0, False
        for dy, dx in lines:
            length = SQRT2 if dy != 0 and dx != 0 else np.float32(1)
            before = disparity[max(y - dy, 0), min(max(x - dx, 0), width - 1)]
            after = disparity[min(y + dy, height - 1), min(max(x + dx, 0), width - 1)]
            cut = cut or is_step(before, disparity[y, x], length * limit)
            cut = cut or is_step(after, disparity[y, x], length * limit)
            rise = (after - before) / (2 * length)
            if abs(rise) > abs(steepest):
                steepest, down, right = rise, dy, dx
        if cut:
            continue
        if steepest < 0:
            steepest, down, right = -steepest, -down, -right
        length = SQRT2 if down != 0 and right != 0 else np.float32(1)
        least = SAME_SLOPE * steepest * length
        steps = 0
        for way in (-1, 1):
            row, column = y, x
            while length * steps <= longest:
                below, beside = row + way * down, column + way * right
                if not (0 <= below < height and 0 <= beside < width):
                    break
                here, there = disparity[row, column], disparity[below, beside]
                if way * (there - here) < least or is_step(here, there, length * limit):
                    break
                row, column, steps = below, beside, steps + 1
        found[k] = length * steps > longest


def surface_mask(disparity: torch.Tensor, jump: float = EDGE_JUMP) -> torch.Tensor:
    """Mark the pixels that make a point: all but those just behind a depth edge.

    Those are mixed with the object in front of them; what is mixed a little farther away, rims take
    apart (utils/scene/rims.py). Unlike in the reference's validity test the near side of an edge
    stays, so that thin objects survive.

    Args:
        disparity: (1, 1, H, W), positive.
        jump: step between two surfaces, as a share of the largest disparity.
    Returns:
        (1, 1, H, W) bool.
    """
    level = np.ascontiguousarray(disparity[0, 0].float().cpu().numpy())
    limit = jump * float(level.max())
    # Only the far side goes: a ramp lies behind the object, and dropping the near side too, as the
    # reference does, would eat thin things away (docs/method/geometry.md).
    on_surface = extremes(level, 1)[1] - level < np.float32(limit)
    behind = np.flatnonzero(~on_surface)
    on_surface.flat[behind] = on_slope(level, behind, np.float32(limit))
    return torch.from_numpy(on_surface)[None, None].to(disparity.device)
