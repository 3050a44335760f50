"""Inpainting by rule: once per film, at both ends of the move, where there is no network.

Not to be confused with `kernels.fill_disocclusion`, which closes what is left in every single
frame: the cracks and slivers that neither a network nor this has given a point. That takes the
shortest line through a pixel and then its farther end; this looks for a far end first, since a hole
of this size may be nearly enclosed by the object that left it. What is filled here is lifted and
becomes part of the scene, disparity too; what is filled there lives in one frame.
"""

from __future__ import annotations

import numpy as np
import torch

from kernels.jit import jit
from kernels.threads import run_all, thread_count

# Sixteen lines through a pixel, half a turn in equal steps: (dy, dx) of unit length.
_ANGLES = np.arange(16) * np.pi / 16
LINES = np.stack([np.sin(_ANGLES), np.cos(_ANGLES)], axis=1).astype(np.float32)
# How many times longer a line may be if it ends on a surface that is farther by the whole range.
# Chosen on the stereo pairs of benchmarks/inpainting.py; anything from 1.5 to 4 does as well.
FAR_PREFERENCE = np.float32(3)
# A surface that is mirrored into a hole ends where it comes nearer by this share of the range.
SAME_SURFACE = np.float32(0.03)
# A line has no say in the mean if it ends nearer than the best one by the first share of the range,
# or the object's colour would leak into the hole, or farther by the second, or the sky's would leak
# into a slope before it.
ALIKE, ALIKE_BEHIND = np.float32(0.1), np.float32(0.25)
# How often holes are filled: what then goes on to nothing known, again from what is around it.
ROUNDS = 3


def fill_from_far(view: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Inpaint by rule: fill holes from the farther of the surfaces around them.

    Through every hole pixel go sixteen lines, each ending at the first known pixel on both sides.
    A line offers its farther end. A line is good if it is short and ends far away, so that the
    object in front is not smeared into a hole that it nearly encloses; the pixel gets the mean of
    the ends that are about as far as the best one, the better a line the greater its weight.
    (The other hole rule, for the last holes of a frame, is `kernels.fill_disocclusion`.)

    Args:
        view: (1, 4, H, W) RGB and disparity, any values in holes.
        known: (1, 1, H, W), 1 = known, 0 = hole.
    Returns:
        (1, 4, H, W); holes that no line leads out of keep their values.
    """
    return far_guesses(view, known)[:, -1]


def far_guesses(view: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Fill holes in three ways, for a network to choose from.

    The first copies the end of the best line, which is sharp but makes streaks. The second mirrors
    the surface at that end into the hole, which keeps its texture. The third is `fill_from_far`:
    smooth, and right on average.

    Args:
        view: (B, 4, H, W) RGB and disparity, any values in holes.
        known: (B, 1, H, W), 1 = known, 0 = hole.
    Returns:
        (B, 3, 4, H, W) float32; holes that no line leads out of keep their values.
    """
    guesses = [_guess(*sample) for sample in zip(view, known, strict=True)]
    return torch.stack(guesses).to(view.device)


def _guess(view, known):
    values = np.ascontiguousarray(view.detach().permute(1, 2, 0).float().cpu().numpy())
    mask = np.ascontiguousarray(known[0].cpu().numpy() > 0)
    filled = np.repeat(values[None], 3, axis=0)
    holes = np.argwhere(~mask).astype(np.int32)
    if mask.any() and len(holes):
        span = np.float32(max(values[..., 3][mask].max() - values[..., 3][mask].min(), 1e-6))
        seen = mask
        for _ in range(ROUNDS):
            parts = np.array_split(holes, 8 * thread_count())
            run_all(_fill, [(values, mask, part, LINES, span, filled) for part in parts])
            mask = _anchored(filled[2, ..., 3], seen, ALIKE * span)
            holes = np.argwhere(~mask).astype(np.int32)
            if not len(holes):
                break
            values = filled[2].copy()
    return torch.from_numpy(filled).permute(0, 3, 1, 2).contiguous()


@jit
def _anchored(disparity, known, alike):
    """Say which pixels (H, W) are known, or filled with a surface that goes on to what is known.

    Others show what lies far behind through a nearer surface around them.
    """
    height, width = known.shape
    found = known.copy()
    queue, last = np.empty((known.size, 2), np.int32), 0
    for y in range(height):
        for x in range(width):
            above, beside = known[max(y - 1, 0), x], known[y, max(x - 1, 0)]
            below, opposite = known[min(y + 1, height - 1), x], known[y, min(x + 1, width - 1)]
            if known[y, x] and not (above and below and beside and opposite):
                queue[last, 0], queue[last, 1] = y, x
                last += 1
    first = 0
    while first < last:
        y, x = queue[first]
        first += 1
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            row, column = y + dy, x + dx
            if row < 0 or row >= height or column < 0 or column >= width or found[row, column]:
                continue
            if abs(disparity[row, column] - disparity[y, x]) <= alike:
                found[row, column] = True
                queue[last, 0], queue[last, 1] = row, column
                last += 1
    return found


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
def _mirrored(values, mask, y, x, dy, dx, steps, nearest):
    """Steps from (y, x) to what lies as far beyond the hole's edge as (y, x) lies before it.

    Where the surface ends earlier, because of another hole, the frame or a disparity above
    `nearest`, the way goes back and forth on what there is of it.
    """
    height, width = mask.shape
    run = 0
    while run < steps:
        row, column = int(round(y + dy * (steps + run))), int(round(x + dx * (steps + run)))
        if row < 0 or row >= height or column < 0 or column >= width:
            break
        if not mask[row, column] or values[row, column, 3] > nearest:
            break
        run += 1
    if run < 2:
        return steps
    place = (steps - 1) % (2 * (run - 1))
    return steps + min(place, 2 * (run - 1) - place)


@jit
def _fill(values, mask, holes, directions, span, filled):
    """Write the pixels `holes` (K, 2) of `filled` (3, H, W, 4); see far_guesses."""
    count = directions.shape[0]
    end_disparity, cost = np.empty(count, np.float32), np.empty(count, np.float32)
    end_steps = np.empty(count, np.int32)
    for index in range(holes.shape[0]):
        y, x = holes[index]
        farthest = np.float32(np.inf)
        for line in range(count):
            dy, dx = directions[line]
            ahead, behind = _reach(mask, y, x, dy, dx), _reach(mask, y, x, -dy, -dx)
            end_steps[line] = 0
            for steps in (ahead, -behind):
                if steps == 0:
                    continue
                disparity = values[int(round(y + dy * steps)), int(round(x + dx * steps)), 3]
                # The farther of the two ends: a hole opens behind the object, not on it.
                if end_steps[line] == 0 or disparity < end_disparity[line]:
                    end_disparity[line], end_steps[line] = disparity, steps
            if end_steps[line] != 0:
                # A line with one end is as long as if the hole went on as far behind the frame.
                both = ahead > 0 and behind > 0
                cost[line] = ahead + behind if both else 2 * (ahead + behind)
                farthest = min(farthest, end_disparity[line])
        best = -1
        for line in range(count):
            if end_steps[line] != 0:
                # The shortest line alone would often end on the object that the hole nearly
                # surrounds (docs/method/inpainting.md, Filling).
                cost[line] *= 1 + FAR_PREFERENCE * (end_disparity[line] - farthest) / span
                if best < 0 or cost[line] < cost[best]:
                    best = line
        if best < 0:
            continue
        side = 1 if end_steps[best] > 0 else -1
        dy, dx = side * directions[best]
        steps = abs(end_steps[best])
        filled[0, y, x] = values[int(round(y + dy * steps)), int(round(x + dx * steps))]
        nearest = end_disparity[best] + SAME_SURFACE * span
        beyond = _mirrored(values, mask, y, x, dy, dx, steps, nearest)
        filled[1, y, x] = values[int(round(y + dy * beyond)), int(round(x + dx * beyond))]
        filled[2, y, x] = 0
        total = np.float32(0)
        for line in range(count):
            nearer = (end_disparity[line] - end_disparity[best]) / span
            alike = -ALIKE_BEHIND <= nearer <= ALIKE
            if end_steps[line] != 0 and alike:
                dy, dx = directions[line]
                steps = end_steps[line]
                # So steep that a line twice as dear hardly counts: a mean over all would be a blur.
                weight = (cost[best] / cost[line]) ** 4
                filled[2, y, x] += (
                    weight * values[int(round(y + dy * steps)), int(round(x + dx * steps))]
                )
                total += weight
        filled[2, y, x] /= total
