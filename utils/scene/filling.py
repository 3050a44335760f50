"""Inpainting by rule: once per film, at both ends of the move, where there is no network.

Not to be confused with `kernels.fill_disocclusion`, which closes what is left in every single
frame: the cracks and slivers that neither a network nor this has given a point. That takes the
shortest line through a pixel and then its farther end; this looks for a far end first, since a hole
of this size may be nearly enclosed by the object that left it. What is filled here is lifted and
becomes part of the scene, disparity too; what is filled there lives in one frame.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from kernels.jit import jit
from kernels.threads import run_in_parts

# Sixteen lines through a pixel, half a turn in equal steps: (dy, dx) of unit length.
_ANGLES = np.arange(16) * np.pi / 16
LINES = np.stack([np.sin(_ANGLES), np.cos(_ANGLES)], axis=1).astype(np.float32)
# How many times longer a line may be if it ends on a surface that is farther by the whole range.
# Chosen on the stereo pairs of benchmarks/inpainting.py; anything from 1.5 to 4 does as well.
FAR_PREFERENCE = np.float32(3)
# A surface that is mirrored into a hole ends where it comes nearer by this share of the range. (At
# a tenth: PSNR of the mirrored guess inside -0.3 dB, on the stereo pairs.)
SAME_SURFACE = np.float32(0.03)
# A line has no say in the mean if it ends nearer than the best one by this share of the range, or
# the object's colour would leak into the hole, or farther by twice that, or the sky's would leak
# into a slope before it. (Half or twice as much: SSIM inside -0.006 or -0.007.)
ALIKE = np.float32(0.1)


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
    return _guesses(view, known, 1)[:, -1]


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
    return _guesses(view, known, 3)


def _guesses(view, known, count):
    """The last `count` of the three guesses."""
    guesses = [_guess(*sample, count) for sample in zip(view, known, strict=True)]
    return torch.stack(guesses).to(view.device)


def _guess(view, known, count):
    values = np.ascontiguousarray(view.detach().permute(1, 2, 0).float().cpu().numpy())
    mask = np.ascontiguousarray(known[0].cpu().numpy() > 0)
    filled = np.repeat(values[None], count, axis=0)
    holes = np.argwhere(~mask).astype(np.int32)
    if mask.any() and len(holes):
        span = np.float32(np.ptp(values[..., 3][mask]).clip(1e-6))
        seen = mask
        for _ in range(2):  # the second time what then goes on to nothing known
            away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_C, 3).astype(np.int32)
            run_in_parts(
                lambda begin, end, away=away, holes=holes: _fill(
                    away, holes[begin:end], span, filled
                ),
                len(holes),
            )
            mask = _anchored(filled[-1, ..., 3], seen, ALIKE * span)
            holes = np.argwhere(~mask).astype(np.int32)
            if not len(holes):
                break
    return torch.from_numpy(filled).permute(0, 3, 1, 2)


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
def _reach(away, y, x, dy, dx):
    """Steps from (y, x) to the first known pixel, or 0 if the frame ends before."""
    height, width = away.shape
    steps = np.int64(away[y, x])
    while True:
        row, column = int(round(y + dy * steps)), int(round(x + dx * steps))
        if row < 0 or row >= height or column < 0 or column >= width:
            return 0
        if away[row, column] == 0:
            return steps
        steps += away[row, column]  # no step moves further than one pixel


@jit
def _mirrored(values, away, y, x, dy, dx, steps, nearest):
    """Steps from (y, x) to what lies as far beyond the hole's edge as (y, x) lies before it.

    Where the surface ends earlier, because of another hole, the frame or a disparity above
    `nearest`, the way goes back and forth on what there is of it.
    """
    height, width = away.shape
    run = 0
    while run < steps:
        row, column = int(round(y + dy * (steps + run))), int(round(x + dx * (steps + run)))
        if row < 0 or row >= height or column < 0 or column >= width:
            break
        if away[row, column] or values[row, column, 3] > nearest:
            break
        run += 1
    if run < 2:
        return steps
    place = (steps - 1) % (2 * (run - 1))
    return steps + min(place, 2 * (run - 1) - place)


@jit
def _find_lines(values, away, y, x, span, disparities, steps, costs):
    """Find the farther ends of the lines through a pixel: return the number of the best, or -1.

    Args:
        disparities, steps, costs: (16,), receive the end's disparity, the way to it (negative:
            backwards; 0: there is none), and how long and near a line is.
    """
    farthest, best = np.float32(np.inf), -1
    for line in range(LINES.shape[0]):
        dy, dx = LINES[line]
        ahead, behind = _reach(away, y, x, dy, dx), _reach(away, y, x, -dy, -dx)
        steps[line] = 0
        for way in (ahead, -behind):
            if way == 0:
                continue
            disparity = values[int(round(y + dy * way)), int(round(x + dx * way)), 3]
            # The farther of the two ends: a hole opens behind the object, not on it.
            if steps[line] == 0 or disparity < disparities[line]:
                disparities[line], steps[line] = disparity, way
        if steps[line] != 0:
            # A line with one end is as long as if the hole went on as far behind the frame.
            both = ahead > 0 and behind > 0
            costs[line] = ahead + behind if both else 2 * (ahead + behind)
            farthest = min(farthest, disparities[line])
    for line in range(LINES.shape[0]):
        if steps[line] != 0:
            # The shortest line alone would often end on the object that the hole nearly
            # surrounds (docs/method/inpainting.md, Filling).
            costs[line] *= 1 + FAR_PREFERENCE * (disparities[line] - farthest) / span
            if best < 0 or costs[line] < costs[best]:
                best = line
    return best


@jit
def _fill(away, holes, span, filled):
    """Write the pixels `holes` (K, 2) of `filled` (G, H, W, 4); see far_guesses.

    `away` (H, W) says how many pixels away, in rows or columns, the nearest known one is.
    """
    count, values = LINES.shape[0], filled[-1]
    disparities, costs = np.empty(count, np.float32), np.empty(count, np.float32)
    steps = np.empty(count, np.int64)
    for index in range(holes.shape[0]):
        y, x = holes[index]
        best = _find_lines(values, away, y, x, span, disparities, steps, costs)
        if best < 0:
            continue
        if filled.shape[0] > 1:
            dy, dx = (1 if steps[best] > 0 else -1) * LINES[best]
            way = abs(steps[best])
            filled[0, y, x] = values[int(round(y + dy * way)), int(round(x + dx * way))]
            nearest = disparities[best] + SAME_SURFACE * span
            way = _mirrored(values, away, y, x, dy, dx, way, nearest)
            filled[1, y, x] = values[int(round(y + dy * way)), int(round(x + dx * way))]
        values[y, x] = 0
        total = np.float32(0)
        for line in range(count):
            nearer = (disparities[line] - disparities[best]) / span
            if steps[line] != 0 and -2 * ALIKE <= nearer <= ALIKE:
                dy, dx = LINES[line]
                row, column = int(round(y + dy * steps[line])), int(round(x + dx * steps[line]))
                # So steep that a line twice as dear hardly counts: a mean over all would be a blur.
                weight = (costs[best] / costs[line]) ** 4
                for c in range(4):
                    values[y, x, c] += weight * values[row, column, c]
                total += weight
        values[y, x] /= total
