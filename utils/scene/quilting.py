"""Texture in holes where patches come out blurred: whole blocks of the same surface.

Patches (`patches.py`) agree on what a pattern of bricks does next. Of waves, leaves or strokes of a
brush each of them knows something else, and their mean is a blur. There blocks are laid, each a
coherent piece of the surface, as in image quilting (Efros and Freeman 2001). See
docs/method/inpainting.md, Texture in holes.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch

from kernels.patches import RADIUS, smooth
from kernels.quilting import (
    HOLE,
    PER_AXIS,
    SOURCE,
    STRIDE,
    enlarge,
    lay_blocks,
    seed_blocks,
    spread_blocks,
)
from kernels.threads import run_in_parts
from utils.filters import gaussian_window
from utils.scene.filling import fill_from_far
from utils.scene.levels import Level

DETAIL_PX = 8.0  # the Gaussian that parts what is smooth, which is the rule's, from detail
# Detail fades where the block's place is of another colour: e-fold, RGB in [0, 255].
TRUST_COLOR = 20.0
# Patches whose detail is this much weaker than their surface's begin to be replaced by blocks, and
# from the other share on none of them is left.
ENOUGH, TOO_WEAK = 0.8, 0.5
TRIES = 32  # random sources per block
THIN = 2  # px between the sources that they are taken from
REACH = 1 / 15  # of the long side: how far half of them are at most
ROUNDS = 2  # in which blocks may follow a neighbour
# Blocks that fit worse than their detail by itself explains (mean squared difference, see
# kernels.quilting) show something else: a number plate would be seen again on the lamp beside it.
UNLIKE = 1000.0
EDGE_PX = 5  # sources keep half of this from depth edges
SEED = 7103


class Surface(NamedTuple):
    """A view without its detail."""

    soft: np.ndarray  # (H, W, 4) float32: RGB in [0, 255]; how strong the detail is or should be
    source: np.ndarray  # (H, W) bool: what blocks may show


def replace_weak(
    finest: Level,
    coarse: Level,
    holes: np.ndarray,
    values: np.ndarray,
    tolerance: float,
    jump: float,
) -> np.ndarray:
    """Replace what patches have completed by blocks where it is weak in detail.

    Args:
        finest, coarse, tolerance, jump: as `measure_surface`.
        holes: (M, 2) int32, y and x.
        values: (M, C) float32, RGB in [0, 255] first: what patches have completed.
    Returns:
        (M, C).
    """
    surface = measure_surface(finest, coarse, tolerance, jump)
    weak = find_weak(surface, holes, values[:, :3])
    some = weak > 0
    values = values.copy()
    if some.any():
        laid, found = quilt(finest, surface, holes[some], tolerance)
        values[some, :3] += (weak[some] * found)[:, None] * (laid - values[some, :3])
    return values


def measure_surface(finest: Level, coarse: Level, tolerance: float, jump: float) -> Surface:
    """Part a view into what is smooth and detail, and say how strong detail should be in holes.

    Args:
        finest: of the view, its holes filled by the rule.
        coarse: the same at a lower resolution, by a power of two: smoothing is done there.
        tolerance, jump: disparities closer than the one are one surface; an edge is over the other.
    """
    factor = round(finest.known.shape[1] / coarse.known.shape[1])
    sigma = max(DETAIL_PX / factor, 0.8)
    near = np.ascontiguousarray(coarse.values[..., 3])
    places = np.argwhere(np.ones(near.shape, bool)).astype(np.int32)
    smoothed = np.empty((len(places), 4), np.float32)
    run_in_parts(
        lambda begin, end: smooth(
            coarse.values, near, places, gaussian_window(sigma), tolerance, begin, end, smoothed
        ),
        len(places),
    )
    fine = np.ascontiguousarray(finest.values[..., 3])
    soft = _enlarged(smoothed.reshape(coarse.values.shape), near, fine, factor, tolerance)

    cross, around = np.ones((3, 3), np.uint8), np.ones((EDGE_PX, EDGE_PX), np.uint8)
    edge = (cv2.dilate(fine, cross) - cv2.erode(fine, cross) > jump).astype(np.uint8)
    source = (finest.known & (cv2.dilate(edge, around) == 0)).astype(np.uint8)
    patch = np.ones((2 * RADIUS + 1,) * 2, np.uint8)
    whole = cv2.erode(source, patch, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    source = cv2.dilate(whole, patch) > 0
    square = ((finest.values - soft)[..., :3] ** 2).mean(axis=2)
    size = near.shape[::-1]
    counts = cv2.resize(source.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    square = cv2.resize(np.where(source, square, 0), size, interpolation=cv2.INTER_AREA)
    blurred = [cv2.GaussianBlur(part, (0, 0), sigma) for part in (square, counts)]
    strength = np.sqrt(blurred[0] / np.maximum(blurred[1], 1e-3))
    # As strong as where the rule has its colours from.
    view = torch.from_numpy(np.stack([strength, strength, strength, near])[None])
    known = torch.from_numpy((coarse.known & (counts > 0.25)).astype(np.float32))
    expected = fill_from_far(view, known[None, None])[0, :1].permute(1, 2, 0).contiguous().numpy()
    soft[..., 3:] = _enlarged(expected, near, fine, factor, tolerance)
    return Surface(soft, source)


def _enlarged(coarse, coarse_near, near, factor, tolerance):
    """A coarse map (h, w, C) at full size, (H, W, C)."""
    enlarged = np.empty((*near.shape, coarse.shape[2]), np.float32)
    run_in_parts(
        lambda begin, end: enlarge(
            coarse, coarse_near, near, factor, tolerance, begin, end, enlarged
        ),
        len(near),
    )
    return enlarged


def find_weak(surface: Surface, holes: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Say where completed holes have less detail than their surface.

    Args:
        surface: Surface.   holes: (M, 2) int32, y and x.   colors: (M, 3) theirs, RGB in [0, 255].
    Returns:
        (M,) float32 in [0, 1]: 1 = blocks are to take over.
    """
    rows, columns = holes.T
    soft = surface.soft[rows, columns]
    square, mask = (np.zeros(surface.source.shape, np.float32) for _ in range(2))
    square[rows, columns] = ((colors - soft[:, :3]) ** 2).mean(axis=1)
    mask[rows, columns] = 1
    blurred = [cv2.GaussianBlur(part, (0, 0), DETAIL_PX)[rows, columns] for part in (square, mask)]
    strength = np.sqrt(blurred[0] / np.maximum(blurred[1], 1e-6))
    share = (strength + 1) / (soft[:, 3] + 1)  # a level more or less is noise
    return ((ENOUGH - share) / (ENOUGH - TOO_WEAK)).clip(0, 1).astype(np.float32)


def quilt(
    finest: Level, surface: Surface, holes: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Lay blocks of texture into holes.

    Args:
        finest, tolerance: as `measure_surface`.
        surface: what it returned.
        holes: (M, 2) int32, y and x of the pixels to lay.
    Returns:
        (M, 3) float32 their colours, RGB in [0, 255]; (M,) bool, False where no block was found.
    """
    image, near = (np.ascontiguousarray(finest.values[..., part]) for part in (slice(3), 3))
    kind = np.where(surface.source, SOURCE, np.uint8(0))
    kind[holes[:, 0], holes[:, 1]] = HOLE
    grid = [-(-side // STRIDE) for side in near.shape]
    touched = np.zeros(grid, bool)
    for down in range(PER_AXIS):
        for right in range(PER_AXIS):
            inside = (holes // STRIDE - (down, right)).clip(min=0)
            touched[inside[:, 0], inside[:, 1]] = True
    blocks = (np.argwhere(touched) * STRIDE).astype(np.int32)
    number = np.full(grid, -1, np.int32)
    number[touched] = np.arange(len(blocks))

    some = surface.source[::THIN, ::THIN]
    rows, columns = (THIN * axis.astype(np.int32) for axis in np.nonzero(some))
    order = np.argsort(near[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    ranked = near[rows, columns]
    reach = max(4, round(REACH * max(near.shape)))
    shifts = np.zeros((len(blocks), 2), np.int32)
    costs, own = np.zeros((2, len(blocks)), np.float32)
    run_in_parts(
        lambda begin, end: seed_blocks(
            image, surface.soft, near, kind, rows, columns, ranked, blocks, tolerance, TRIES,
            reach, SEED, begin, end, shifts, costs, own,
        ),
        len(blocks),
    )  # fmt: skip
    for _ in range(ROUNDS):
        shifts, costs = _followed(
            image, surface.soft, near, kind, blocks, number, tolerance, own, shifts, costs
        )
    rows, columns = np.minimum(blocks + STRIDE, np.array(near.shape) - 1).T
    costs[costs > UNLIKE + 6 * surface.soft[rows, columns, 3] ** 2] = np.inf
    laid, found = np.zeros((len(holes), 3), np.float32), np.zeros(len(holes), bool)
    run_in_parts(
        lambda begin, end: lay_blocks(
            image, surface.soft, near, kind, holes, number, shifts, costs, tolerance,
            np.float32(TRUST_COLOR), begin, end, laid, found,
        ),
        len(holes),
    )  # fmt: skip
    return laid, found


def _followed(image, soft, near, kind, blocks, number, tolerance, own, before, costs_before):
    """Shifts and costs after every block has seen its neighbours'."""
    shifts, costs = before.copy(), costs_before.copy()
    run_in_parts(
        lambda begin, end: spread_blocks(
            image, soft, near, kind, blocks, number, tolerance, own, before, costs_before,
            begin, end, shifts, costs,
        ),
        len(blocks),
    )  # fmt: skip
    return shifts, costs
