"""Texture in holes where patches come out blurred: whole blocks of the same surface.

Patches (`patches.py`) agree on what a pattern of bricks does next. Of waves, leaves or strokes of a
brush each of them knows something else, and their mean is a blur. There blocks are laid, each a
coherent piece of the surface, as in image quilting (Efros and Freeman 2001), and mixed so that they
keep their contrast (Heitz and Neyret 2018). See docs/method/inpainting.md, Texture in holes.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch

from kernels.patches import Level, enlarge
from kernels.threads import run_in_parts
from utils.filters import blurred, dilated
from utils.scene.filling import fill_from_far
from utils.scene.levels import SEED, TRUST_COLOR, at, edges, ranked, smoothed, surrounded

# Chosen on the stereo pairs of benchmarks/inpainting.py: texture is paid for in PSNR and SSIM.
# The Gaussian that parts what is smooth, which is the rule's, from detail. (At 4: distance of Gram
# matrices +0.008; at 16: PSNR -0.13 dB.)
SMOOTH_PX = 8.0
# Patches whose detail is this much weaker than their surface's begin to be replaced by blocks; of
# those with half of it nothing is left. (Blocks everywhere: PSNR inside -0.6 dB.)
ENOUGH = 0.75
# px between blocks, which are twice as wide. (At 6: SSIM -0.007.)
STRIDE = 12
TRIES = 32  # random sources per block

CORNERS = np.array([(0, 0), (0, 1), (1, 0), (1, 1)])
# Where a block is compared with its sources, from its middle: nine places, so that it costs little.
# (benchmarks.inpainting: half as far apart SSIM -0.011.)
LOOKS = 2 * STRIDE // 3 * np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)])


class Surface(NamedTuple):
    """A view as blocks are laid in it."""

    level: Level
    soft: np.ndarray  # (H, W, 4) float32: RGB without detail; how strong detail is or should be
    source: np.ndarray  # (H, W) bool: what may be repeated


def replace_weak(finest: Level, coarse: Level, holes: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Replace what patches have completed by blocks where it is weak in detail.

    Args:
        finest: the view, its holes filled by the rule.
        coarse: the same at a lower resolution, by a power of two: smoothing is done there.
        holes: (M, 2) int32, y and x.
        colors: (M, 3) float32, RGB in [0, 255]: what patches have completed.
    Returns:
        (M, 3).
    """
    size = coarse.near.shape
    sigma = max(SMOOTH_PX * max(size) / max(finest.near.shape), 1)
    everywhere = np.argwhere(np.ones(size, bool)).astype(np.int32)
    smooth = _enlarged(smoothed(coarse, everywhere, sigma).reshape(*size, 3), coarse, finest)
    source = finest.known & (dilated(edges(finest), 1) == 0)
    strength, share = _measure_strength(finest.image - smooth, source, size, sigma)
    # As strong as where the rule has its colours from.
    view = torch.from_numpy(np.stack([strength, strength, strength, coarse.near])[None])
    known = torch.from_numpy((coarse.known & (share > 0)).astype(np.float32))
    strength = fill_from_far(view, known[None, None])[0, 0].numpy()
    soft = np.concatenate([smooth, _enlarged(strength[..., None], coarse, finest)], axis=2)
    weak = find_weak(soft, holes, colors, size, sigma)
    some = weak > 0
    if some.any():
        laid, found = lay_blocks(Surface(finest, soft, source), holes[some])
        colors = colors.copy()
        colors[some] += (weak[some] * found)[:, None] * (laid - colors[some])
    return colors


def _enlarged(values, coarse, finest):
    """Values (h, w, C) of the coarse level at the size of the finest, each surface by itself."""
    result = np.empty((*finest.near.shape, values.shape[2]), np.float32)
    run_in_parts(
        lambda begin, end: enlarge(
            values, coarse.near, finest.near, finest.alike, begin, end, result
        ),
        len(result),
    )
    return result


def _measure_strength(detail, mask, size, sigma):
    """Root mean square of detail (H, W, 3), in cells (h, w), and which share of each is asked for.

    Args:
        mask: (H, W) bool, which pixels count.
    """
    squares = (detail**2).mean(axis=2) * mask
    squares, share = (
        cv2.resize(part, size[::-1], interpolation=cv2.INTER_AREA)
        for part in (squares, mask.astype(np.float32))
    )
    return np.sqrt(blurred(squares, sigma) / np.maximum(blurred(share, sigma), 1e-3)), share


def find_weak(
    soft: np.ndarray, holes: np.ndarray, colors: np.ndarray, size: tuple[int, int], sigma: float
) -> np.ndarray:
    """Say where completed holes have less detail than expected: (M,), 1 = blocks take over.

    Args:
        soft: see Surface.   holes, colors: see `replace_weak`.
        size: (h, w) of the cells in which detail is measured.
        sigma: of the Gaussian that is the mean, cells.
    """
    rows, columns = holes.T
    detail, mask = np.zeros((*soft.shape[:2], 3), np.float32), np.zeros(soft.shape[:2], bool)
    detail[rows, columns], mask[rows, columns] = colors - soft[rows, columns, :3], True
    strength = cv2.resize(_measure_strength(detail, mask, size, sigma)[0], mask.shape[::-1])
    share = (strength[rows, columns] + 1) / (soft[rows, columns, 3] + 1)  # a level or so is noise
    return ((ENOUGH - share) / (ENOUGH - 0.5)).clip(0, 1).astype(np.float32)


def lay_blocks(surface: Surface, holes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lay blocks of texture into holes.

    Args:
        holes: (M, 2) int32, y and x of the pixels to lay.
    Returns:
        (M, 3) float32 their colours, RGB in [0, 255]; (M,) bool, False where no block was found.
    """
    level, soft, source = surface
    # Blocks stand on a grid, and reach to the next ones.
    cells = holes // STRIDE
    own = np.full(np.array(level.near.shape) // STRIDE + 2, np.nan, np.float32)
    for corner in CORNERS:
        y, x = (cells + corner).T
        own[y, x] = at(level.near, holes)  # the disparity of the hole: of any of its pixels
    marked = ~np.isnan(own)
    number = np.cumsum(marked).reshape(marked.shape) - 1
    shifts, fits = _find_shifts(surface, STRIDE * np.argwhere(marked), own[marked])
    places, weights = [], []
    for corner in CORNERS:
        block = at(number, cells + corner)
        place = holes + shifts[block]
        shown = fits[block] & ((place >= 0) & (place < level.near.shape)).all(axis=1)
        place[~shown] = 0
        shown &= at(source, place)
        shown &= abs(at(level.near, place) - at(level.near, holes)) <= level.alike
        near = 1 - abs((holes + 0.5) / STRIDE - cells - corner).astype(np.float32)
        places.append(place)
        weights.append(shown * near.prod(axis=1) ** 2)
    squared, wanted = sum(weight**2 for weight in weights), at(soft, holes)
    laid = wanted[:, :3].copy()
    for place, weight in zip(places, weights, strict=True):
        theirs = at(soft, place)
        off = ((theirs - wanted)[:, :3] ** 2).mean(axis=1)
        # Unlike mixtures of equal things, a mean of different ones loses contrast.
        share = weight / np.sqrt(squared.clip(1e-12)) * np.exp(-off / (2 * TRUST_COLOR**2))
        share *= np.minimum(1, (wanted[:, 3] + 1) / (theirs[:, 3] + 1))
        laid += share[:, None] * (at(level.image, place) - theirs[:, :3])
    return laid, squared > 0


def _find_shifts(surface, blocks, own):
    """Find what each block repeats: the best of random places of its surface.

    Args:
        blocks: (K, 2) int, y and x of their middles.
        own: (K,) their disparity.
    Returns:
        shifts (K, 2), the ways from there to their sources; (K,) bool, False without a good one.
    """
    level, soft, source = surface
    last = np.array(level.near.shape) - 1
    blocks = np.minimum(blocks, last)
    sources = ranked(surrounded(source.astype(np.uint8), STRIDE | 1), level.near)
    if not len(sources.places):
        return np.zeros_like(blocks), np.zeros(len(blocks), bool)
    first = np.searchsorted(sources.near, own - level.alike)[:, None]
    count = np.searchsorted(sources.near, own + level.alike, side="right")[:, None] - first
    chosen = first + (np.random.default_rng(SEED).random((len(own), TRIES)) * count).astype(int)
    ways = sources.places[chosen.clip(max=len(sources.places) - 1)] - blocks[:, None]
    costs, weights = np.zeros(ways.shape[:2], np.float32), np.full((len(own), 1), 1e-6, np.float32)
    for look in LOOKS:
        here = (blocks + look).clip(0, last)
        there = (here[:, None] + ways).clip(0, last)
        alike = (abs(at(level.near, here) - own) <= level.alike)[:, None]
        off = soft[there[..., 0], there[..., 1]] - at(soft, here)[:, None]
        costs += alike * (off**2).sum(axis=2)
        weights += alike
    best = costs.argmin(axis=1)[:, None]
    fits = np.take_along_axis(costs / weights, best, 1) < TRUST_COLOR**2
    return np.take_along_axis(ways, best[..., None], 1)[:, 0], (fits & (count > 0))[:, 0]
