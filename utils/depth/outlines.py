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

from kernels.threads import run_all
from utils.depth.side_colours import AROUND, cells_of, colour_statistics, sum_colours
from utils.depth.steps import EDGE_JUMP, least_step
from utils.filters import blurred, dilated, eroded, extremes, nearest_pixels

# All measured by benchmarks.outlines (boundary error, bend, torn) and benchmarks.straight.
# How far an outline may be from the edge of an estimate: of the long side (10 px at 1024), and
# in pixels of the estimate.
REACH, COARSE_PX = 0.01, 2.0
# A ramp is an edge where a pixel's surroundings (3x3) hold this share of the step within reach, and
# so many times what they hold of a plain slope.
STEEP, STEEPER_THAN_SLOPE = 0.25, 1.6
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
    around = np.flatnonzero(edges.distance <= AROUND * reach)
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
    cells, colours = cells_of(band, size, reach), pixels.reshape(-1, 3)[band].astype(np.float32)
    sides = (clean[of_front], clean[~of_front])
    looks = [(pixels, side, cells, colours, reach) for side in sides]
    (of, of_known), (behind, behind_known) = run_all(_likelihood, looks)
    ratio = (of - behind).clip(-CERTAIN, CERTAIN) * (of_known & behind_known)
    belief = np.zeros(size, np.float32)
    belief.flat[band] = ratio
    belief = blurred(belief, 1.0) / np.maximum(blurred(inside, 1.0), np.float32(1e-3))
    belief += CERTAIN / reach * distance
    labels = front.copy()
    labels.flat[band] = belief.flat[band] > 0
    labels = _without_islands(labels, front, band, distance, reach)
    agreement = np.zeros(size, np.float32)
    agreement.flat[band] = np.where(labels.flat[band], ratio, -ratio)
    window = (2 * reach + 1,) * 2
    agreement = cv2.blur(agreement, window) / np.maximum(cv2.blur(inside, window), 1e-3)
    return labels, _ramp(agreement, *EVIDENCE)


def _likelihood(pixels, index, cells, colours, reach):
    """Log likelihood of colours (N, 3) under the chosen pixels around them; where it is known."""
    sums = sum_colours(pixels, index, reach)
    used, place = np.unique(cells, return_inverse=True)
    sums = sums[used]
    known = sums[:, 0] > 0
    sums[~known, 0] = 1
    mean, covariance = colour_statistics(sums)
    covariance += LEAST_DEVIATION**2 * np.eye(3, dtype=np.float32)
    inverse = np.linalg.inv(covariance).astype(np.float32)
    level = np.log(np.maximum(np.linalg.det(covariance), 1)).astype(np.float32)
    apart = colours - mean[place]
    squared = np.einsum("ni,nij,nj->n", apart, inverse[place], apart)
    return -(squared + level[place]) / 2, known[place]


def _without_islands(labels, front, band, distance, reach):
    """Labels (H, W) of which each piece hangs together with what was surely its side before."""
    sure = np.abs(distance) > reach / 2
    outside = np.ones(labels.shape, bool)
    outside.flat[band] = False
    whole = _connected(labels, labels & front & sure | labels & outside)
    return ~_connected(~whole, ~whole & ~front & sure | ~whole & outside)


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


def _connected(mask, seeds):
    """Those pieces of a mask (H, W) that hold a seed."""
    count, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    kept = np.zeros(count, bool)
    kept[pieces[seeds]] = True
    return kept[pieces] & mask
