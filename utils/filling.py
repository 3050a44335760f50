"""Filling by rule: continue the far surface behind a hole, without a network."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from kernels.jit import jit

# Sixteen lines through a pixel, half a turn in equal steps: (dy, dx) of unit length.
_ANGLES = np.arange(16) * np.pi / 16
DIRECTIONS = np.stack([np.sin(_ANGLES), np.cos(_ANGLES)], axis=1).astype(np.float32)
# How many times longer a line may be if it ends on a surface that is farther by the whole range.
# Chosen on the stereo pairs of benchmarks/inpainting.py; anything from 1.5 to 4 does as well.
FAR_PREFERENCE = np.float32(3)


def fill_from_far(view, known):
    """Fill holes from the farther of the surfaces around them.

    Through every hole pixel go sixteen lines, each ending at the first known pixel on both sides.
    A line offers its farther end; taken is the line that is short and ends far away, so that the
    object in front is not smeared into a hole that it nearly encloses. (`kernels.fill_disocclusion`
    takes the shortest line first and asks then which end is farther.)

    Args:
        view: (1, 4, H, W) RGB and disparity, any values in holes.
        known: (1, 1, H, W), 1 = known, 0 = hole.
    Returns:
        (1, 4, H, W); holes that no line leads out of keep their values.
    """
    values = np.ascontiguousarray(view[0].permute(1, 2, 0).cpu().numpy(), np.float32)
    mask = np.ascontiguousarray(known[0, 0].cpu().numpy() > 0)
    filled = values.copy()
    holes = np.argwhere(~mask).astype(np.int32)
    if mask.any() and len(holes):
        span = np.float32(max(values[..., 3][mask].max() - values[..., 3][mask].min(), 1e-6))
        parts = np.array_split(holes, 8 * (os.cpu_count() or 1))
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(lambda part: _fill(values, mask, part, DIRECTIONS, span, filled), parts))
    return torch.from_numpy(filled).permute(2, 0, 1)[None].to(view.device).contiguous()


@jit
def _reach(mask, y, x, dy, dx):
    """Steps from (y, x) to the first known pixel, or 0 if the frame ends before."""
    height, width = mask.shape
    steps = 0
    while True:
        steps += 1
        row, column = int(round(y + dy * steps)), int(round(x + dx * steps))
        if row < 0 or row >= height or column < 0 or column >= width:
            return 0
        if mask[row, column]:
            return steps


@jit
def _fill(values, mask, holes, directions, span, filled):
    """Write the pixels `holes` (K, 2) of `filled` (H, W, 4); see fill_from_far."""
    height, width = mask.shape
    count = directions.shape[0]
    length, end_disparity = np.empty(count, np.float32), np.empty(count, np.float32)
    end_steps = np.empty(count, np.int32)
    for index in range(holes.shape[0]):
        y, x = holes[index]
        farthest = np.float32(np.inf)
        for line in range(count):
            dy, dx = directions[line]
            ahead, behind = _reach(mask, y, x, dy, dx), _reach(mask, y, x, -dy, -dx)
            length[line] = -1
            for steps in (ahead, -behind):
                if steps == 0:
                    continue
                disparity = values[int(round(y + dy * steps)), int(round(x + dx * steps)), 3]
                if length[line] < 0 or disparity < end_disparity[line]:
                    end_disparity[line], end_steps[line] = disparity, steps
                    length[line] = 1
            if length[line] > 0:
                # A line with one end is as long as if the hole went on as far behind the frame.
                both = ahead > 0 and behind > 0
                length[line] = ahead + behind if both else 2 * (ahead + behind)
                farthest = min(farthest, end_disparity[line])
        best, best_cost = -1, np.float32(np.inf)
        for line in range(count):
            if length[line] > 0:
                nearer = (end_disparity[line] - farthest) / span
                cost = length[line] * (1 + FAR_PREFERENCE * nearer)
                if cost < best_cost:
                    best, best_cost = line, cost
        if best < 0:
            continue
        dy, dx = directions[best]
        steps = end_steps[best]
        filled[y, x] = values[int(round(y + dy * steps)), int(round(x + dx * steps))]
