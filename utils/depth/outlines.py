"""Outlines: the depth edges of an estimate, moved to where the colours of both sides part.

An estimate is coarser than its photo: its edges are ramps, and run beside an outline instead of
along it. Then a rim of the object stays behind when the camera moves, or a rim of the wall goes
with the object, and points on the ramp fly between the two. So near each edge every pixel is asked
which side it looks like, and takes the depth of that side (docs/method/outlines.md, Outlines).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from kernels.jit import jit
from kernels.threads import run_all
from utils.depth.steps import EDGE_JUMP, least_step
from utils.filters import BLUR_REACH, blurred, dilated, eroded, extremes, nearest_pixels

# All measured by benchmarks.outlines (boundary error, bend, torn) and benchmarks.straight.
# How far an outline may be from the edge of an estimate: of the long side (10 px at 1024), and
# in pixels of the estimate.
REACH, COARSE_PX = 0.01, 2.0
# A ramp is an edge where a pixel's surroundings (3x3) hold this share of the step within reach, and
# so many times what they hold of a plain slope.
STEEP, STEEPER_THAN_SLOPE = 0.25, 1.6
CELLS = 4  # per reach, in which the colours of a side are summed up
# So many reaches are next to an edge: colours there are of both sides, and tell of neither; and
# what a side reads a reach away is evened out along it by a Gaussian of that deviation.
BESIDE = 0.3
LEAST_DEVIATION = np.float32(5)  # in levels of 255, of a side's colours
# Log likelihood ratios count up to this, and the estimate as much where its edge is a reach away.
CERTAIN = np.float32(4)
# Edges are moved where colours agree with the sides, by the mean ratio: not at all, and in full.
EVIDENCE = (0.5, 1.5)
# They are moved less and less towards their ends: where so much of the outline within about a reach
# is on one, or next to what is one but for a fifth.
ENDS, ALMOST = (0.5, 0.9), 0.8


class _Edges(NamedTuple):
    """The depth edges of a map, and what each pixel's nearest one parts."""

    near: np.ndarray  # (H, W) disparity of the front of the nearest edge
    far: np.ndarray  # (H, W) and of its back
    distance: np.ndarray  # (H, W) px to it
    torn: np.ndarray  # (H, W) bool, within reach of a step that the renderer takes for one
    nearly: np.ndarray  # (H, W) bool, where it is an edge or almost


def align_outlines(
    disparity: np.ndarray, pixels: np.ndarray, enlarged: float = np.inf
) -> np.ndarray:
    """Move the depth edges of an estimate to the outlines of its photo, and make them steps.

    Args:
        disparity: (H, W) float32, larger = nearer, not negative.
        pixels: (H, W, 3) uint8 RGB.
        enlarged: how many times as large as the estimate the map is.
    Returns:
        (H, W) float32; the same array where there is no edge.
    """
    limit = np.float32(EDGE_JUMP * disparity.max())
    reach = max(2, round(reach_px(disparity.shape, enlarged)))
    edges = _find_edges(disparity, reach, limit) if limit > 0 else None
    if edges is None:
        return disparity
    front = disparity > (edges.near + edges.far) / 2
    band = np.flatnonzero(edges.distance <= reach)
    around = np.flatnonzero(edges.distance <= BLUR_REACH * reach)
    distance = _signed_distance(front)
    labels, evidence = _take_sides(pixels, front, distance, band, around, reach)
    strength = _strength(edges, limit, reach) * _taper(front, distance, edges, reach) * evidence
    return _step_up(disparity, labels, distance, band, strength, reach)


def reach_px(size: tuple[int, ...], enlarged: float) -> float:
    """How far an outline may be from the edge of an estimate, px.

    Args:
        size: (height, width) of the map.
        enlarged: how many times as large as the estimate it is.
    """
    return min(REACH * max(size), COARSE_PX * enlarged)


def _find_edges(disparity, reach, limit):
    """The edges of a map (H, W), None if there are none."""
    far, near = extremes(disparity, reach)
    lowest, highest = extremes(disparity, 1)
    local, step = highest - lowest, near - far
    steep = np.float32(max(STEEP, STEEPER_THAN_SLOPE / reach))
    least = least_step(near, far, limit)
    edge = (step >= least) & (local >= steep * step)
    if not edge.any():
        return None
    distance, nearest = nearest_pixels(edge)
    torn = (local >= least_step(highest, lowest, limit)).astype(np.uint8)
    torn = dilated(torn, reach) > 0
    nearly = (step >= ALMOST * least) & (local >= ALMOST * steep * step)
    nearly = dilated(nearly.astype(np.uint8), 1) > 0
    return _Edges(near.flat[nearest], far.flat[nearest], distance, torn, nearly)


def _take_sides(pixels, front, distance, band, around, reach):
    """Who belongs to the front (H, W) after looking at colours; how far they agree with it."""
    size = front.shape
    inside = np.zeros(size, np.float32)
    inside.flat[band] = 1
    clean = around[np.abs(distance.flat[around]) > BESIDE * reach]
    of_front = front.flat[clean]
    looks = [(pixels, side, band, reach) for side in (clean[of_front], clean[~of_front])]
    (of, of_known), (behind, behind_known) = run_all(_likelihood, looks)
    ratio = (of - behind).clip(-CERTAIN, CERTAIN) * (of_known & behind_known)
    belief = np.zeros(size, np.float32)
    belief.flat[band] = ratio
    belief = blurred(belief, 1.0) / np.maximum(blurred(inside, 1.0), np.float32(1e-3))
    belief += CERTAIN / reach * distance
    labels = front.copy()
    labels.flat[band] = belief.flat[band] > 0
    agreement = np.zeros(size, np.float32)
    agreement.flat[band] = np.where(labels.flat[band], ratio, -ratio)
    window = (2 * reach + 1,) * 2
    agreement = cv2.blur(agreement, window) / np.maximum(cv2.blur(inside, window), 1e-3)
    return labels, _ramp(agreement, *EVIDENCE)


def _likelihood(pixels, side, band, reach):
    """Log likelihood (N,) of a band's colours among those of a side around them; where it is known.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        side, band: flat indices.
        reach: deviation of the Gaussian window around a pixel, px; of its cell, in fact.
    """
    cell = max(1, reach // CELLS)
    rows, columns = (-(-length // cell) for length in pixels.shape[:2])
    counted = np.zeros((rows, columns, 10), np.float64)
    _count(pixels, side, cell, counted)
    sums = cv2.GaussianBlur(
        counted.astype(np.float32), (0, 0), reach / cell, borderType=cv2.BORDER_CONSTANT
    )
    y, x = np.divmod(band, pixels.shape[1])
    used, place = np.unique(y // cell * columns + x // cell, return_inverse=True)
    sums = sums.reshape(-1, 10)[used]
    known = sums[:, 0] > 0
    sums[~known, 0] = 1
    mean, square = sums[:, 1:4] / sums[:, :1], np.empty((len(sums), 3, 3), np.float32)
    first, second = np.triu_indices(3)
    square[:, first, second] = square[:, second, first] = sums[:, 4:] / sums[:, :1]
    covariance = square - mean[:, :, None] * mean[:, None]
    covariance += LEAST_DEVIATION**2 * np.eye(3, dtype=np.float32)
    inverse = np.linalg.inv(covariance).astype(np.float32)
    level = np.log(np.maximum(np.linalg.det(covariance), 1)).astype(np.float32)
    apart = pixels.reshape(-1, 3)[band].astype(np.float32) - mean[place]
    squared = np.einsum("ni,nij,nj->n", apart, inverse[place], apart)
    return -(squared + level[place]) / 2, known[place]


@jit
def _count(pixels, index, cell, counted):
    """Add a one, the colour, and products of two channels to the cell of each pixel."""
    color = np.empty(3, np.float32)
    for k in range(index.shape[0]):
        y, x = index[k] // pixels.shape[1], index[k] % pixels.shape[1]
        sums = counted[y // cell, x // cell]
        sums[0] += 1
        column = 4
        for first in range(3):
            color[first] = pixels[y, x, first]
            sums[1 + first] += color[first]
        for first in range(3):
            for second in range(first, 3):
                sums[column] += color[first] * color[second]
                column += 1


def _strength(edges, limit, reach):
    """How much of the way to a step each pixel (H, W) goes: all of it from two least steps on."""
    ratio = (edges.near - edges.far) / least_step(edges.near, edges.far, limit)
    strength = np.where(edges.torn, 1, (ratio - 1).clip(0, 1))
    return blurred(strength.astype(np.float32), reach / 2)


def _taper(front, distance, edges, reach):
    """Fall from 1 to 0 (H, W) towards the ends of edges.

    Where an edge dissolves in its ramp, the surface goes on: it would be torn between what is
    moved of it and what is not.
    """
    outline = front ^ (eroded(front.astype(np.uint8), 1) > 0)
    outline &= np.abs(distance) <= 3 * reach
    whole = blurred(outline.astype(np.float32), reach)
    on_edge = blurred((outline & edges.nearly).astype(np.float32), reach)
    return _ramp(on_edge / np.maximum(whole, np.float32(1e-3)), *ENDS)


def _step_up(disparity, labels, distance, band, strength, reach):
    """Disparity (H, W) in which pixels on a ramp, or of another side, have that of their side.

    It is read where the ramp ends, a reach from its middle and as near as possible, so that a thing
    which slopes along its outline stays whole, and evened out; or in the middle of what is too thin
    for that.
    """
    end = np.float32(reach)
    inside = np.zeros(disparity.shape, bool)
    inside.flat[band] = True
    aligned = disparity.copy()
    for side, depth in ((labels, distance), (~labels, -distance)):
        thin = (depth > 0) & (dilated(np.minimum(depth, end), reach) < end)
        middle = depth >= dilated(depth, 1)
        source = side & ((depth >= end) | (thin & middle))
        own = inside & side & ~source
        if source.any() and own.any():
            away, nearest = nearest_pixels(source)
            own &= away <= 2 * reach
            stepped = disparity.copy()
            stepped[own] = disparity.flat[nearest[own]]
            counts = (own | source).astype(np.float32)
            even = BESIDE * reach
            smooth = blurred(stepped * counts, even)[own] / blurred(counts, even)[own]
            aligned[own] += strength[own] * (smooth - disparity[own])
    return aligned


def _ramp(values, start, end):
    """0 up to `start`, 1 from `end` on."""
    return ((values - start) / (end - start)).clip(0, 1)


def _signed_distance(mask):
    """Px to the border of a mask (H, W), negative outside it."""
    within, without = (
        cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 5) for part in (mask, ~mask)
    )
    return np.where(mask, within - np.float32(0.5), np.float32(0.5) - without)
