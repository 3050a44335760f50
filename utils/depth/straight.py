"""Straight lines: what is straight in a photo stays straight in its film.

Along the image of a straight line in space disparity is affine, and where it is, the line is
straight from everywhere. An estimate wobbles along an outline, and then a column bends. So along
the long straight segments of a photo disparity is made affine, where it nearly is, and what lies
beside them on the same surface follows (docs/method/outlines.md, Straight lines).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from kernels.jit import jit
from utils.depth.outlines import reach_px
from utils.depth.segments import PIECE, Segment
from utils.depth.steps import EDGE_JUMP, is_step

WORKING_SIDE = 1024  # px, about: of the copy that a larger map is straightened on
# Measured by benchmarks.straight (how far lines bend) and benchmarks.outlines (bend, dragged), and
# by eye: without fading a quarter less bends by the figures, and the post of images/example.jpg
# gets a kink in its film.
# How far beyond its ends one looks whether a surface goes on, of the long side; if it does, what is
# changed fades within this share of a segment's length.
LOOK_BEYOND, FADE = 0.03, 0.25
# In reaches (`reach_px`): how far off a line its disparity is read, at least 1.5 px; how far to the
# side it is taken to hold; and places along it.
READ_ASIDE, ASIDE_PX, BAND, EVERY = 0.4, 1.5, 0.5, 1 / 6
# In reaches, how far what is changed there spreads, first the large forms; and what weighs against
# it, so that it dies away.
SPREADS, DAMPING = (4.0, 1.0, 0.25), np.float32(0.02)
# A side has a line where at least this share of it is not the back of a step, and an affine course
# explains as much of that.
OF_SIDE = 0.7
# In least steps (EDGE_JUMP): how far off its course what is explained by it may be (up to half as
# far again it is changed in part), and a pixel off what was read beside it.
OFF_COURSE = 0.7
# From pixel to pixel, in least steps: what lets a change pass, and what stops it.
PASSES, STOPS = 0.04, 0.15
BLOCKS = 9  # of a course, whose medians are tried in pairs; fewer places make none
SOWN_PX = 0.7  # from sample to sample beside a line, so that no pixel is left out


class _Lines(NamedTuple):
    """Places where segments were seen, one after the other."""

    places: np.ndarray  # (N, 2) float32 x, y, px
    across: np.ndarray  # (N, 2) unit vectors, to the second side
    along: np.ndarray  # (N,) from 0, where its segment begins, to 1
    seen: np.ndarray  # (N,) bool; else it lies beyond an end
    first: np.ndarray  # (S + 1,) number of the first place of each segment, and of the next one


def straighten(
    disparity: np.ndarray, segments: Sequence[Segment], enlarged: float = np.inf
) -> np.ndarray:
    """Make disparity affine along the straight segments of a photo, where it nearly is.

    Args:
        disparity: (H, W) float32, larger = nearer, not negative.
        segments: of its photo, as `find_segments` finds them.
        enlarged: how many times as large as the estimate the map is.
    Returns:
        (H, W) float32, not negative; the same array where nothing is straight.
    """
    limit = np.float32(EDGE_JUMP * disparity.max())
    if limit <= 0 or not segments:
        return disparity
    stride = max(1, round(max(disparity.shape) / WORKING_SIDE))
    small = np.ascontiguousarray(disparity[stride // 2 :: stride, stride // 2 :: stride])
    reach = max(2.0, reach_px(disparity.shape, enlarged)) / stride
    lines = _lines_of(segments, small.shape, stride, max(1.0, EVERY * reach))
    values = _beside(small, lines, reach)
    wanted, weights = _courses(values, lines.along, lines.seen, lines.first, limit)
    if not weights.any():
        return disparity
    wanted = values + weights * (wanted - values)
    change, gates = np.zeros_like(small), _gates(small, limit)
    for spread in SPREADS:
        sown = _sown(small + change, lines, wanted, weights, reach, limit)
        change += _spread(sown, gates, spread * reach)
    if stride == 1:
        return (disparity + change).clip(0, disparity.max())
    changed = _add_enlarged(change, small, disparity, stride, np.float32(OFF_COURSE * limit))
    return changed.clip(0, disparity.max())


def _lines_of(segments, size, stride, every):
    """Places `every` so many px along segments, in a map (height, width) of every `stride`th pixel.

    Those where they were seen, and some beyond each end, if the picture is as large.
    """
    height, width = size
    unseen, beyond = (share * max(size) for share in (PIECE, LOOK_BEYOND))
    parts = []
    for start, end, pieces in segments:
        start, end = ((at - stride // 2) / stride for at in (start, end))
        length = np.hypot(*(end - start))
        count = math.ceil((length + 2 * beyond) / every) + 1
        at = np.linspace(-beyond, length + beyond, count)
        off = np.maximum(pieces[:, 0] / stride - at[:, None], at[:, None] - pieces[:, 1] / stride)
        seen = (off <= unseen).any(1) & (at >= 0) & (at <= length)
        places = start + (at / length)[:, None] * (end - start)
        x, y = places.T
        within = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
        kept = seen | ((at < 0) & within[0]) | ((at > length) & within[-1])
        x, y = (end - start) / length
        across = np.tile((-y, x), (kept.sum(), 1))
        parts.append((places[kept], across, at[kept] / length, seen[kept]))
    first = np.cumsum([0, *(len(seen) for *_, seen in parts)])
    places, across, along, seen = (np.concatenate(part) for part in zip(*parts, strict=True))
    floats = (part.astype(np.float32) for part in (places, across, along))
    return _Lines(*floats, seen, first)


def _beside(disparity, lines, reach):
    """Disparity (N, 2) at the nearest pixels on both sides of lines."""
    aside = np.float32(max(ASIDE_PX, READ_ASIDE * reach))
    height, width = disparity.shape
    sides = []
    for sign in (-1, 1):
        x, y = np.rint(lines.places + sign * aside * lines.across).astype(int).T
        sides.append(disparity[y.clip(0, height - 1), x.clip(0, width - 1)])
    return np.stack(sides, 1)


@jit
def _courses(values, along, seen, first, limit):
    """The affine course (N, 2) of disparity on both sides of lines; (N, 2) how much it counts."""
    courses, weights = np.zeros_like(values), np.zeros_like(values)
    for number in range(len(first) - 1):
        begin, end = first[number], first[number + 1]
        own = np.ones((2, end - begin), np.bool_)
        for n in range(end - begin):
            one, other = values[begin + n]
            if is_step(one, other, limit):
                own[0, n], own[1, n] = one > other, other > one
        at, there, both = along[begin:end], seen[begin:end], own[0] & own[1]
        least = OF_SIDE * there.sum()
        if (both & there).sum() >= least:
            middle = (values[begin:end, 0] + values[begin:end, 1]) / 2
            course, weight = _course(middle, at, both, there, limit)
            for side in range(2):
                courses[begin:end, side] = course + values[begin:end, side] - middle
                weights[begin:end, side] = weight
            continue
        for side in range(2):
            if (own[side] & there).sum() >= least:
                course, weight = _course(values[begin:end, side], at, own[side], there, limit)
                courses[begin:end, side], weights[begin:end, side] = course, weight
    return courses, weights


@jit
def _course(values, along, own, seen, limit):
    """The affine course of values (N,) where they are its own; how much it counts (N,)."""
    tolerance = np.float32(OFF_COURSE) * limit
    nothing = np.zeros(len(values), np.float32)
    at = np.flatnonzero(own & seen)
    if len(at) < BLOCKS:
        return nothing, nothing
    height, slope = _through_medians(values, along, at, tolerance)
    for _ in range(2):
        count, x, y, xx, xy = 0, 0.0, 0.0, 0.0, 0.0
        for n in at:
            place, value = along[n], values[n]
            if abs(value - height - slope * place) < tolerance:
                count, x, y = count + 1, x + place, y + value
                xx, xy = xx + place * place, xy + place * value
        spread = count * xx - x * x
        if count < BLOCKS or spread <= 0:
            return nothing, nothing
        slope = (count * xy - x * y) / spread
        height = (y - slope * x) / count
    course = height + slope * along
    off = np.abs(values - course) / tolerance
    if (off[at] < 1).mean() < OF_SIDE:
        return nothing, nothing
    weights = np.minimum(1, np.maximum(0, 3 - 2 * off)) * (own & seen)
    # Where the surface goes on beyond an end, as it may with a bend, it must not break there.
    for way in range(2):
        ahead = along if way == 0 else 1 - along
        beyond = values[ahead < 0]
        if len(beyond) > 1 and np.abs(np.diff(beyond)).max() < limit / 4:
            weights *= np.minimum(1, np.maximum(0, ahead / FADE))
    return course.astype(np.float32), weights.astype(np.float32)


@jit
def _through_medians(values, along, at, tolerance):
    """The line through two of the medians of blocks of values that explains most of them."""
    place, level = np.empty(BLOCKS), np.empty(BLOCKS)
    for block in range(BLOCKS):
        begin, end = block * len(at) // BLOCKS, (block + 1) * len(at) // BLOCKS
        here = at[begin : max(begin + 1, end)]
        place[block], level[block] = along[here].mean(), np.median(values[here])
    best, height, slope = np.inf, 0.0, 0.0
    for one in range(BLOCKS):
        for other in range(one + 3, BLOCKS):
            if place[other] <= place[one]:
                continue
            rise = (level[other] - level[one]) / (place[other] - place[one])
            base, cost = level[one] - rise * place[one], 0.0
            for n in at:
                cost += min(abs(values[n] - base - rise * along[n]), tolerance)
            if cost < best:
                best, height, slope = cost, base, rise
    return height, slope


def _sown(disparity, lines, wanted, weights, reach, limit):
    """(H, W, 2): the change that is wanted beside lines, and 1 there; 0 elsewhere."""
    beside = _beside(disparity, lines, reach)
    sums = np.zeros((*disparity.shape, 2), np.float32)
    change = np.where(weights > 0, wanted - beside, np.float32(0))
    sizes = (max(ASIDE_PX, BAND * reach), max(1.0, EVERY * reach) / 2, float(OFF_COURSE * limit))
    _sow(sums, disparity, lines, beside, change, weights, sizes)
    sums[..., 0] /= np.maximum(sums[..., 1], 1)
    sums[..., 1] = sums[..., 1] > 0
    return sums


@jit
def _sow(sums, disparity, lines, beside, change, weights, sizes):
    """Sum up what is to change, and how often, in pixels like those read beside a line."""
    height, width = disparity.shape
    band, half, same = sizes
    for n in range(len(change)):
        (x, y), (right, down) = lines.places[n], lines.across[n]
        for side in range(2):
            if weights[n, side] <= 0:
                continue
            for along in np.arange(-half, half + 0.1, SOWN_PX):
                for aside in np.arange(0.3, band, SOWN_PX):
                    off = aside if side else -aside
                    column = round(x + along * down + off * right)
                    row = round(y - along * right + off * down)
                    if not (0 <= row < height and 0 <= column < width):
                        continue
                    if abs(disparity[row, column] - beside[n, side]) < same:
                        sums[row, column, 0] += change[n, side]
                        sums[row, column, 1] += 1


def _gates(disparity, limit):
    """What passes on to the right, and down, from each pixel: 1 on a surface, 0 at steps."""
    low, high = np.float32(PASSES * limit), np.float32(STOPS * limit)
    return [
        ((high - np.abs(np.diff(part, axis=1))) / (high - low)).clip(0, 1)
        for part in (disparity, cv2.transpose(disparity))
    ]


def _spread(sown, gates, spread):
    """The change (H, W) all around, `spread` px wide, of what was sown (H, W, 2)."""
    keep = np.float32(math.exp(-1 / spread))
    sums = cv2.transpose(sown)
    _run_along(sums, gates[1], keep)
    sums = cv2.transpose(sums)
    _run_along(sums, gates[0], keep)
    return sums[..., 0] / (sums[..., 1] + DAMPING)


@jit
def _run_along(sums, gates, keep):
    """Smooth (H, W, 2) along rows, forth and back, in place; gates stand between pixels.

    An exponential that steps stop: Gastal and Oliveira, Domain Transform, SIGGRAPH 2011, with
    gates in place of their distance.
    """
    height, width, _ = sums.shape
    forth = np.empty((width, 2), np.float32)
    gain = (1 - keep) / (1 + keep)
    for y in range(height):
        a = b = np.float32(0)
        for x in range(width):
            if x:
                gate = keep * gates[y, x - 1]
                a, b = a * gate, b * gate
            a, b = a + sums[y, x, 0], b + sums[y, x, 1]
            forth[x, 0], forth[x, 1] = a, b
        a = b = np.float32(0)
        for x in range(width - 1, -1, -1):
            if x < width - 1:
                gate = keep * gates[y, x]
                a, b = a * gate, b * gate
            own, own_there = sums[y, x]
            sums[y, x, 0], sums[y, x, 1] = gain * (forth[x, 0] + a), gain * (forth[x, 1] + b)
            a, b = a + own, b + own_there


@jit
def _add_enlarged(change, small, disparity, stride, same):
    """Disparity (H, W), changed as that of every `stride`th pixel which is on its surface was."""
    rows, columns = small.shape
    height, width = disparity.shape
    changed = np.empty_like(disparity)
    for y in range(height):
        down = (y - stride // 2) / stride
        top = int(np.floor(down))
        for x in range(width):
            right = (x - stride // 2) / stride
            left = int(np.floor(right))
            value, total, sums = disparity[y, x], 0.0, 0.0
            for row in range(max(0, top), min(rows, top + 2)):
                for column in range(max(0, left), min(columns, left + 2)):
                    alike = 1 - abs(small[row, column] - value) / same
                    if alike > 0:
                        weight = alike * (1 - abs(down - row)) * (1 - abs(right - column))
                        total += weight
                        sums += weight * change[row, column]
            changed[y, x] = value + (sums / total if total > 0 else 0)
    return changed
