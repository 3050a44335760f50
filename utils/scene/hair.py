"""Hair: what of the front stands farther from a depth edge than any lens would blur it.

Strands of hair, fur and whiskers are too thin for a depth map: they lie beyond its edge, at the
depth of what is behind. Where the colours of the two sides are clearly told apart, colour finds
them (docs/method/geometry.md, Rims).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from kernels.jit import jit
from utils.depth.side_colours import AROUND, LEAST_SEEN, cells_of, colour_statistics, sum_colours
from utils.scene.edge_sides import NOISE, DepthPhoto, Edges

# Hair is looked for up to this share of the long side from a depth edge: 20 px at 1024.
HAIR_REACH = 0.02
# Colours of the sides are told apart if their means differ by so many standard deviations along
# the way between them, and by so many levels of 255. A pixel is hair if it stands out of its own
# side by as many of that side's deviations...
APART, LEAST_CONTRAST = np.float32(3), np.float32(40)
# ...lies on the way between the colours up to this share of their difference...
HAIR_ASIDE = np.float32(0.35)
# ...and is thin: an opening by a square of this share of the hair's reach to each side takes a
# third of it away, at least.
THICKNESS, LEAST_PX, THIN = 1 / 8, 2, np.float32(0.7)
BREADTH = 1.5  # of the square's side: area over length of what stands out beyond the usual reach
LEAST_HAIR = np.float32(0.1)  # share below which hair is none
LOSS = np.float32(2)  # what a path to its own side may have less than a strand's pixel
DOUBT = np.float32(0.5)  # standard deviation of alpha that the geometry leaves open


class Hair(NamedTuple):
    """Pixels that are hair."""

    pixels: np.ndarray  # (K,) int32 flat index, ascending
    share: np.ndarray  # (K,) of the front in them
    colors: np.ndarray  # (K, 6) front RGB, back RGB
    variance: np.ndarray  # (K, 2) of both along the way between them; of the back


def find_hair(photo: DepthPhoto, edges: Edges, front: np.ndarray) -> Hair | None:
    """Find the hair of a photo: thin things of the front's colour that grow out of it.

    Args:
        photo: with its disparity.
        edges: the depth edges of that.
        front: (H, W) bool, by disparity.
    Returns:
        Hair, or None where there is none.
    """
    disparity, pixels, limit, _ = photo
    reach, wide = int(photo.reach), round(max(disparity.shape) * HAIR_REACH)
    distance = edges.distance
    if wide <= reach:
        return None
    around = np.flatnonzero((distance > wide) & (distance <= AROUND * wide))
    side, label = front.flat[around], edges.nearest.flat[around]
    level = np.where(side, edges.near[label], edges.far[label])
    clean = np.abs(disparity.flat[around] - level) < limit
    sums = [sum_colours(pixels, around[clean & part], wide) for part in (side, ~side)]
    told, colors, variance = _tell_apart(*sums)
    band = np.flatnonzero((distance <= wide) & ~front)
    beyond = disparity.flat[band] - edges.far[edges.nearest.flat[band]]
    band = band[(beyond > -limit) & (beyond < limit / 2)]  # a third surface keeps what it has
    cells = cells_of(band, disparity.shape, wide)
    band, cells = band[told[cells]], cells[told[cells]]
    colors, variance = colors[cells], variance[cells]
    share = np.zeros(disparity.shape, np.float32)
    share.flat[band] = _shares(pixels.reshape(-1, 3)[band], colors, variance)
    if not share.any():
        return None
    share = _strands(share, front, distance, reach, wide).flat[band]
    kept = share > 0
    if not kept.any():
        return None
    band = band[kept].astype(np.int32)
    return Hair(band, share[kept], colors[kept], variance[kept, 1:])


def reached(share: np.ndarray, side: np.ndarray, steps: int) -> np.ndarray:
    """For each pixel (H, W) the largest share that a path from its side has all along."""
    share = share.astype(np.float32, copy=False)
    found = np.where(side, share, np.float32(0))
    _follow_paths(share, found, steps + 1)
    return found


@jit
def _follow_paths(share, found, steps):
    """Raise `found` to what paths of so many steps have; only what grew last can pass it on."""
    height, width = share.shape
    shares, best = share.reshape(-1), found.reshape(-1)
    most = 0
    for pixel in range(best.shape[0]):
        most += best[pixel] < shares[pixel]
    grown, more = np.empty(most, np.int32), np.zeros(best.shape[0], np.float32)
    count = 0
    for pixel in range(best.shape[0]):
        if best[pixel] >= shares[pixel]:
            continue
        y, x, reaches = pixel // width, pixel % width, best[pixel]
        for row in range(max(0, y - 1), min(height, y + 2)):
            for column in range(max(0, x - 1), min(width, x + 2)):
                reaches = max(reaches, found[row, column])
        if reaches > best[pixel]:
            grown[count] = pixel
            count += 1
            more[pixel] = min(reaches, shares[pixel])
    for _ in range(1, steps):
        _raise(best, more, grown, count)
        # The list is read to its end and written anew from its begin.
        last, count = grown[:count].copy(), 0
        for k in range(last.shape[0]):
            y, x = last[k] // width, last[k] % width
            for row in range(max(0, y - 1), min(height, y + 2)):
                for column in range(max(0, x - 1), min(width, x + 2)):
                    pixel = row * width + column
                    reaches = min(best[last[k]], shares[pixel])
                    if reaches > best[pixel] and reaches > more[pixel]:
                        if more[pixel] == 0:
                            grown[count] = pixel
                            count += 1
                        more[pixel] = reaches
    _raise(best, more, grown, count)


@jit
def _raise(best, more, grown, count):
    """Write to the best what grew by now."""
    for k in range(count):
        best[grown[k]], more[grown[k]] = more[grown[k]], 0


def _tell_apart(front_sums, back_sums):
    """Which cells have sides of different colours (N,); colours (N, 6); variances (N, 3): the
    back's and both sides' along the way between them, the back's in all."""
    told = np.minimum(front_sums[:, 0], back_sums[:, 0]) > LEAST_SEEN
    front, front_spread = colour_statistics(front_sums[told])
    back, back_spread = colour_statistics(back_sums[told])
    way = front - back
    squared = (way * way).sum(1) + np.float32(1e-6)
    along = [
        np.einsum("kij,ki,kj->k", spread, way, way).clip(0) / squared
        for spread in (back_spread, front_spread)
    ]
    colors = np.zeros((len(told), 6), np.float32)
    variance = np.zeros((len(told), 3), np.float32)
    colors[told] = np.hstack([front, back])
    spread = np.trace(back_spread, axis1=1, axis2=2).clip(0)
    variance[told] = np.stack([along[0], along[0] + along[1], spread], 1)
    apart = squared > np.maximum(LEAST_CONTRAST**2, APART**2 * (along[0] + along[1] + NOISE**2))
    told[told] = apart
    return told, colors, variance


def _shares(pixels, colors, variance):
    """Share of the front in pixels (K, 3) beyond its edge, 0 where colour does not show any."""
    way, step = colors[:, :3] - colors[:, 3:], pixels - colors[:, 3:]
    squared = (way * way).sum(1)
    share = ((step * way).sum(1) / squared).clip(0, 1)
    aside = ((step - share[:, None] * way) ** 2).sum(1)
    shown = share**2 * squared > APART**2 * (variance[:, 0] + NOISE**2)
    shown &= aside < HAIR_ASIDE**2 * squared
    # The geometry says that there is none.
    trust = squared / (variance[:, 1] + NOISE**2 + aside / 2)
    return np.where(shown, share * trust / (trust + 1 / DOUBT**2), 0)


def _strands(share, front, distance, reach, wide):
    """Of the shares (H, W) beyond the front, those of thin things that grow out of it."""
    whole = np.where(front, np.float32(1), share)
    side = 2 * max(LEAST_PX, round(wide * THICKNESS)) + 1
    thick = cv2.morphologyEx(whole, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    thin = ~front & (thick < THIN * share)
    away = cv2.distanceTransform((thin | (whole == 0)).astype(np.uint8), cv2.DIST_L2, 5)
    # Paths may lead through what is thick near the edge, and have less all along, so that a strand
    # does not end where the grid of pixels thins it.
    path = np.where(thin | (distance <= reach), LOSS * share, np.float32(0))
    path = reached(np.where(front, np.float32(1), path), front, 2 * wide)
    share = np.where(thin, np.minimum(share, path), np.float32(0))
    share[share < LEAST_HAIR] = 0
    # What runs along the outline instead of growing out of it is the outline, missed by the depth.
    beyond = (share > 0) & (distance > reach)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(beyond.astype(np.uint8))
    length = np.zeros(count, np.float32)
    np.maximum.at(length, labels[beyond], np.minimum(away, distance)[beyond] - reach)
    broad = stats[:, cv2.CC_STAT_AREA] > BREADTH * side * length
    share[beyond & broad[labels]] = 0
    # Nearer to the edge only their feet are hair.
    feet = cv2.dilate(((share > 0) & beyond).astype(np.uint8), np.ones((2 * reach + 3,) * 2))
    return np.where(feet > 0, share, np.float32(0))
