"""Texture in holes where patches come out blurred: whole blocks of the same surface.

Patches (`patches.py`) agree on what a pattern of bricks does next. Of waves, leaves or strokes of a
brush each of them knows something else, and their mean is a blur. There blocks are laid, each a
coherent piece of the surface, as in image quilting (Efros and Freeman 2001). See
docs/method/inpainting.md, Texture in holes.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from kernels.patches import SIDE, Level
from kernels.quilting import (
    HOLE,
    PER_AXIS,
    SOURCE,
    STRIDE,
    Blocks,
    Surface,
    enlarge,
    lay_blocks,
    measure_detail,
    seed_blocks,
    spread_blocks,
)
from kernels.threads import run_in_parts
from utils.filters import dilated
from utils.scene.filling import fill_from_far
from utils.scene.levels import SEED, TRUST_COLOR, at, edges, ranked, smoothed, surrounded

SMOOTH_PX = 8.0  # the Gaussian that parts what is smooth, which is the rule's, from detail
# Patches whose detail is this much weaker than their surface's begin to be replaced by blocks, and
# from the other share on none of them is left.
ENOUGH, TOO_WEAK = 0.8, 0.5
THIN = 4  # px between the sources that blocks are taken from
REACH = 1 / 15  # of the long side: how far half of them are at most
FOLLOWED = 2  # times blocks may go on as a neighbour does
# Blocks that fit worse than their detail by itself explains (mean squared difference, see
# kernels.quilting) show something else: a number plate would be seen again on the lamp beside it.
UNLIKE = 1000.0
EDGE_PX = 5  # sources keep half of this from depth edges


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
    (height, width), factor = coarse.near.shape, round(len(finest.near) / len(coarse.near))
    places = np.argwhere(np.ones((height, width), bool)).astype(np.int32)
    sigma = max(SMOOTH_PX / factor, 0.8)
    soft = smoothed(coarse, places, sigma).reshape(height, width, 3)
    source = finest.known & (dilated(edges(finest), EDGE_PX // 2) == 0)
    source = dilated(surrounded(source.astype(np.uint8), SIDE), SIDE // 2)
    strength, share = _measure_strength(finest.image, source > 0, soft, sigma)
    # As strong as where the rule has its colours from.
    view = torch.from_numpy(np.stack([strength, strength, strength, coarse.near])[None])
    known = torch.from_numpy((coarse.known & (share > 0.25)).astype(np.float32))
    expected = fill_from_far(view, known[None, None])[0, 0].numpy()
    weak = find_weak(finest, soft, expected, holes, colors, sigma)
    some = weak > 0
    if some.any():
        enlarged = np.empty((*finest.near.shape, 4), np.float32)
        soft = np.concatenate([soft, expected[..., None]], axis=2)
        run_in_parts(
            lambda begin, end: enlarge(
                soft, coarse.near, finest.near, factor, finest.alike, begin, end, enlarged
            ),
            len(enlarged),
        )
        surface = Surface(finest.image, finest.near, enlarged, SOURCE * source, finest.alike)
        laid, found = quilt(surface, holes[some])
        colors = colors.copy()
        colors[some] += (weak[some] * found)[:, None] * (laid - colors[some])
    return colors


def _measure_strength(image, mask, soft, sigma):
    """Root mean square of detail, (h, w), and the share of each cell that was asked for."""
    squares, counts = np.empty((2, *soft.shape[:2]), np.float32)
    measure_detail(image, mask, soft, squares, counts)
    blurred = [cv2.GaussianBlur(part, (0, 0), sigma) for part in (squares, counts)]
    return np.sqrt(blurred[0] / np.maximum(blurred[1], 1e-3)), counts / counts.max().clip(1)


def find_weak(
    finest: Level,
    soft: np.ndarray,
    expected: np.ndarray,
    holes: np.ndarray,
    colors: np.ndarray,
    sigma: float,
) -> np.ndarray:
    """Say where completed holes have less detail than expected: (M,), 1 = blocks take over."""
    image, mask = finest.image.copy(), np.zeros(finest.near.shape, bool)
    image[holes[:, 0], holes[:, 1]] = np.round(colors).clip(0, 255)
    mask[holes[:, 0], holes[:, 1]] = True
    strength, _ = _measure_strength(image, mask, soft, sigma)
    factor = round(len(mask) / len(soft))
    cells = np.minimum(holes // factor, np.array(expected.shape) - 1)
    share = (at(strength, cells) + 1) / (at(expected, cells) + 1)  # a level or so is noise
    return ((ENOUGH - share) / (ENOUGH - TOO_WEAK)).clip(0, 1).astype(np.float32)


def quilt(surface: Surface, holes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lay blocks of texture into holes.

    Args:
        surface: Surface; in its `kind`, holes are marked.
        holes: (M, 2) int32, y and x of the pixels to lay.
    Returns:
        (M, 3) float32 their colours, RGB in [0, 255]; (M,) bool, False where no block was found.
    """
    kind, near = surface.kind, surface.near
    sources = ranked(kind == SOURCE, near, THIN)
    kind[holes[:, 0], holes[:, 1]] = HOLE
    touched = np.zeros([-(-side // STRIDE) for side in near.shape], bool)
    for down in range(PER_AXIS):
        for right in range(PER_AXIS):
            inside = (holes // STRIDE - (down, right)).clip(min=0)
            touched[inside[:, 0], inside[:, 1]] = True
    places = (np.argwhere(touched) * STRIDE).astype(np.int32)
    number = np.full(touched.shape, -1, np.int32)
    number[touched] = np.arange(len(places))
    own, costs = np.empty((2, len(places)), np.float32)
    blocks = Blocks(places, number, own, np.empty((len(places), 2), np.int32), costs)
    reach = max(4, round(REACH * max(near.shape)))
    run_in_parts(
        lambda begin, end: seed_blocks(surface, sources, reach, SEED, begin, end, blocks),
        len(places),
    )
    for _ in range(FOLLOWED):
        before = blocks
        blocks = before._replace(shifts=before.shifts.copy(), costs=before.costs.copy())
        run_in_parts(
            lambda begin, end, before=before, after=blocks: spread_blocks(
                surface, before, begin, end, after
            ),
            len(places),
        )
    middles = np.minimum(places + STRIDE, np.array(near.shape) - 1)
    blocks.costs[blocks.costs > UNLIKE + 6 * at(surface.soft, middles)[:, 3] ** 2] = np.inf
    laid, found = np.zeros((len(holes), 3), np.float32), np.zeros(len(holes), bool)
    run_in_parts(
        lambda begin, end: lay_blocks(surface, blocks, holes, TRUST_COLOR, begin, end, laid, found),
        len(holes),
    )
    return laid, found
