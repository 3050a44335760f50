"""Hair: what of the front stands farther from a depth edge than any lens would blur it.

Strands of hair, fur and whiskers are too thin for a depth map: they lie beyond its edge, at the
depth of what is behind, or what is behind lies between them, at theirs. Where the colours of the
two sides are clearly told apart, colour finds them (docs/method.md, Rims).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

# Hair is looked for up to this share of the long side from a depth edge: 20 px at 1024.
HAIR_REACH = 0.02
# Colours of the sides are told apart if their means differ by so many standard deviations along
# the way between them, and by so many levels of 255.
APART, LEAST_CONTRAST = np.float32(4), np.float32(40)
# A pixel is hair if it stands out of its own side by so many of that side's deviations...
STANDS_OUT = np.float32(3)
# ...lies on the way between the colours up to this share of their difference...
ASIDE = np.float32(0.35)
# ...and is thin: an opening by this share of the hair's reach leaves less than half of it.
THICKNESS, THIN = 1 / 6, np.float32(0.5)
LEAST = np.float32(0.1)  # share below which hair is none
LOSS = np.float32(2)  # what a path to its own side may have less than a strand's pixel
DOUBT = np.float32(0.5)  # standard deviation of alpha that the geometry leaves open
NOISE = np.float32(2.5)  # of a colour, in levels of 255
CELL = 5  # cells per reach, in which colours are summed up
MIN_WEIGHT = np.float32(0.02)  # of a side's clean pixels around, in a Gaussian window


class Hair(NamedTuple):
    """Pixels that are hair, or seen between hairs."""

    pixels: np.ndarray  # (K,) int32 flat index, ascending
    share: np.ndarray  # (H, W) of the front in them, elsewhere -1
    colors: np.ndarray  # (K, 6) front RGB, back RGB
    variance: np.ndarray  # (K, 2) of both along the way between them; of the back


def find_hair(
    disparity: np.ndarray, pixels: np.ndarray, edges: NamedTuple, front: np.ndarray, reach: int,
    limit: np.float32,
) -> Hair | None:  # fmt: skip
    """Find the hair of a photo.

    Args:
        disparity: (H, W).
        pixels: (H, W, 3) RGB, 0 to 255.
        edges: near, far, distance and nearest of the depth edges, see utils.scene.rims.
        front: (H, W) bool, by disparity.
        reach: px from an edge within which a lens may have mixed the sides.
        limit: step between two surfaces.
    Returns:
        Hair, or None where there is none.
    """
    wide = max(reach + 1, round(max(disparity.shape) * HAIR_REACH))
    distance = edges.distance
    clean = (distance > wide) & (distance <= 4 * wide)
    level = np.where(front, edges.near[edges.nearest], edges.far[edges.nearest])
    clean &= np.abs(disparity - level) < limit
    band = np.flatnonzero(distance <= wide).astype(np.int32)
    sums = [_sum_up(pixels, clean & side, band, wide) for side in (front, ~front)]
    share, told, colors, variance = _look(pixels.reshape(-1, 3)[band], front.flat[band], *sums)
    if not told.any():
        return None
    found = np.full(disparity.shape, -1, np.float32)
    for side, other in ((front, share), (~front, 1 - share)):
        beyond = np.zeros(disparity.shape, np.float32)
        beyond.flat[band] = np.where(told & ~side.flat[band], other, 0)
        beyond = _strands(beyond, side, distance, reach, wide)
        found = np.where(beyond > 0, beyond if side is front else 1 - beyond, found)
    kept = found.flat[band] >= 0
    if not kept.any():
        return None
    return Hair(band[kept], found, colors[kept], variance[kept])


def reached(share: np.ndarray, side: np.ndarray, steps: int) -> np.ndarray:
    """For each pixel (H, W) the largest share that a path from its side has all along."""
    share = share.astype(np.float32)
    found = np.where(side, share, np.float32(0))
    for _ in range(steps + 1):
        found = np.minimum(cv2.dilate(found, np.ones((3, 3), np.uint8)), share)
    return found


def _sum_up(pixels, mask, band, wide):
    """Weight, RGB, and products of two of them: sums of clean pixels around the band's (K, 10)."""
    height, width = mask.shape
    cell = max(1, wide // CELL)
    columns = -(-width // cell)
    cells = -(-height // cell) * columns
    inside = np.flatnonzero(mask)
    values = pixels.reshape(-1, 3)[inside]
    place = inside // width // cell * columns + inside % width // cell
    first, second = np.triu_indices(3)
    parts = np.column_stack(
        [np.ones(len(inside), np.float32), values, values[:, first] * values[:, second]]
    )
    sums = np.stack([np.bincount(place, part, cells) for part in parts.T], 1).astype(np.float32)
    sums = cv2.GaussianBlur(
        sums.reshape(-1, columns, 10) / cell**2, (0, 0), wide / cell, borderType=cv2.BORDER_CONSTANT
    )
    return sums.reshape(cells, 10)[band // width // cell * columns + band % width // cell]


def _look(pixels, front, front_sums, back_sums):
    """What colours say of pixels (K, 3); see `find_hair`.

    Returns:
        share of the front (K,), whether it is told (K,), colours (K, 6), variances (K, 2).
    """
    told = np.minimum(front_sums[:, 0], back_sums[:, 0]) > MIN_WEIGHT
    (first, first_spread), (second, second_spread) = map(_statistics, (front_sums, back_sums))
    way = first - second
    squared = (way * way).sum(1) + np.float32(1e-6)
    along = [
        np.einsum("kij,ki,kj->k", spread, way, way).clip(0) / squared
        for spread in (first_spread, second_spread)
    ]
    both = along[0] + along[1] + NOISE**2
    told &= (squared > LEAST_CONTRAST**2) & (squared > APART**2 * both)
    share = (((pixels - second) * way).sum(1) / squared).clip(0, 1)
    aside = ((pixels - second - share[:, None] * way) ** 2).sum(1)
    own, other = np.where(front, along[0], along[1]), np.where(front, 1 - share, share)
    told &= (aside < ASIDE**2 * squared) & (other**2 * squared > STANDS_OUT**2 * (own + NOISE**2))
    trust = squared / (both + aside / 2)
    # The geometry says that there is none.
    other = other * trust / (trust + 1 / DOUBT**2)
    spread = np.trace(second_spread, axis1=1, axis2=2).clip(0)
    return (
        np.where(front, 1 - other, other),
        told,
        np.hstack([first, second]),
        np.stack([along[0] + along[1], spread], 1),
    )


def _statistics(sums):
    """Mean colours (K, 3) and their covariances (K, 3, 3) from sums."""
    weight = np.maximum(sums[:, :1], 1e-6)
    mean = sums[:, 1:4] / weight
    square = np.empty((len(sums), 3, 3), np.float32)
    first, second = np.triu_indices(3)
    square[:, first, second] = square[:, second, first] = sums[:, 4:] / weight
    return mean, square - mean[:, :, None] * mean[:, None]


def _strands(share, side, distance, reach, wide):
    """Of the shares (H, W) beyond a side, those of thin things that grow out of it."""
    whole = np.where(side, np.float32(1), share)
    window = np.ones((2 * round(wide * THICKNESS) + 1,) * 2, np.uint8)
    thick = cv2.morphologyEx(whole, cv2.MORPH_OPEN, window)
    thin = thick < THIN * share
    # Paths may lead through what is thick near the edge, and have less all along, so that a strand
    # does not end where the grid of pixels thins it.
    path = np.where(thin | (distance <= reach), LOSS * share, np.float32(0))
    path = reached(np.where(side, np.float32(1), path), side, 2 * wide)
    share = np.where(thin & ~side, np.minimum(share, path), np.float32(0))
    share[share < LEAST] = 0
    # What does not go beyond the usual reach is the usual rims' business.
    _, labels = cv2.connectedComponents((share > 0).astype(np.uint8), connectivity=8)
    far = np.zeros(labels.max() + 1, bool)
    far[labels[distance > reach]] = True
    return np.where(far[labels], share, np.float32(0))
