"""Texture in holes: to what the rule filled comes the detail of patches of the same surface.

Structure is the rule's (`filling.py`), texture that of the photo: coarse to fine, every patch that
touches a hole looks for its like among the known patches of its surface (PatchMatch, Barnes et al.
2009), and all that overlap vote on each pixel (Wexler et al. 2007). Depth says what may be a source
(Daribo and Saito 2011, Gautier et al. 2011). See docs/method/inpainting.md, Texture in holes.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch

from kernels.patches import NOTHING, RADIUS, WHOLE, search, seed_field, smooth, vote
from kernels.threads import run_in_parts
from utils.depth.steps import EDGE_JUMP
from utils.filters import gaussian_window
from utils.scene.levels import Level
from utils.scene.quilting import replace_weak

# Disparities closer than this share of the view's range are one surface, as in `filling.ALIKE`.
ALIKE = 0.1
# The Gaussian that parts structure, which is the rule's, from detail, which is the patches', px.
# Narrower is safer in PSNR and SSIM and poorer in texture; see benchmarks/inpainting.py.
DETAIL_PX = 3.0
# Detail fades where patches are of another colour than the rule's fill: e-fold (as a Gaussian) at
# this difference, RGB in [0, 255]. There they know nothing of the place.
TRUST_COLOR = 20.0
# Patches that found their like replace the rule's fill instead of only adding detail to it: e-fold
# less so at this difference, RGB in [0, 255], summed over the channels like a vector.
SURE = 24.0
GRID = 2  # px between patches: a dozen votes for a pixel are less of a blur than 49
COARSEST_PX = 80  # completion begins where the long side is about this
ROUNDS, FINEST_ROUNDS = 6, 2  # of search and vote
DECAY = 1.3  # a pixel that lies 1 px deeper in a hole is believed by this factor less
# The last vote is nearly that of the best patch alone: a mean over many is a blur.
SHARPEN = 0.2
ROOM = 3  # a hole has room for texture where a square of this many pixels fits into it
SEED = 20260
BYTES = np.array([255, 255, 255, 1], np.float32)  # scale of the channels while they are compared


class _Field(NamedTuple):
    """Where the patches of a level have their sources."""

    number: np.ndarray  # (H, W) int32, index of the patch around a pixel, or -1
    sources: np.ndarray  # (K, 2) int32, y and x, -1 without


def add_texture(
    filled: torch.Tensor, known: torch.Tensor, wanted: torch.Tensor | None = None
) -> torch.Tensor:
    """Give the holes that the rule has filled the texture of their surface.

    Disparity stays the rule's: sources are chosen by it, so colour and depth agree; the relief of
    the patches made it worse (benchmarks/inpainting.py). A hole whose surface shows no whole patch
    anywhere keeps the rule's fill. The same input gives the same output on any number of threads.

    Args:
        filled: (1, 4, H, W) RGB in [0, 1] and disparity, from `fill_from_far`.
        known: (1, 1, H, W), 1 = known, 0 = was a hole.
        wanted: (1, 1, H, W) bool, of the holes those that are to have texture; by default all.
            Cracks never have any.
    Returns:
        (1, 4, H, W); all other pixels, and disparity, as they were.
    """
    mask = known[0, 0].cpu().numpy() > 0
    # Most holes are cracks along edges, which have no room for texture and cost the most patches.
    chosen = cv2.morphologyEx((~mask).astype(np.uint8), cv2.MORPH_OPEN, np.ones((ROOM, ROOM))) > 0
    if wanted is not None:
        chosen &= wanted[0, 0].cpu().numpy()
    if not chosen.any() or not mask.any():
        return filled
    values = np.ascontiguousarray(filled[0].permute(1, 2, 0).float().cpu().numpy() * BYTES)
    holes = np.argwhere(chosen).astype(np.int32)
    rows, columns = torch.from_numpy(holes).long().T
    detailed = torch.from_numpy(_complete(Level(values, mask, chosen), holes) / BYTES)
    result = filled.clone()
    result[0, :3][:, rows, columns] = detailed[:, :3].clamp(0, 1).T.to(filled)
    return result


def _complete(finest, holes):
    """Return (M, 4) the rule's values of the holes with the detail of patches."""
    values, known, _ = finest
    near = np.ascontiguousarray(values[..., 3])
    tolerance = np.float32(ALIKE * np.ptp(near[known]) + 1e-6)
    jump = EDGE_JUMP * near[known].max()
    levels = [finest]
    while max(levels[-1].known.shape) > 1.5 * COARSEST_PX:
        levels.append(_halved(levels[-1], tolerance))
    field = None
    for index in reversed(range(len(levels))):
        field, done, doubt, own = _complete_level(levels[index], field, index, tolerance, jump)
    base = _smoothed(done, near, holes, gaussian_window(DETAIL_PX), tolerance)
    off = ((base - own)[:, :3] ** 2).mean(axis=1, keepdims=True)
    rule, voted = _at(values, holes), _at(done, holes)
    fading = np.exp(-off / np.float32(2 * TRUST_COLOR**2))
    mixed = rule + np.where(np.isinf(doubt)[:, None], 0, fading * (voted - base))
    sure = fading * np.exp(-doubt[:, None] / np.float32(SURE**2))
    found = mixed + sure * (voted - mixed)
    return replace_weak(finest, levels[:3][-1], holes, found, tolerance, jump)


def _at(values, places):
    """Return (M, ...) the values at places (M, 2)."""
    return values[places[:, 0], places[:, 1]]


def _halved(level, tolerance):
    """The level at half the resolution; where surfaces meet, the farther one is shown."""
    size = [-(-side // 2) for side in level.known.shape]
    padding = [(0, 2 * half - side) for half, side in zip(size, level.known.shape, strict=True)]
    values = np.pad(level.values, (*padding, (0, 0)), mode="edge")
    known, wanted = (np.pad(mask, padding, mode="edge") for mask in level[1:])
    quarters = [(values[i::2, j::2], known[i::2, j::2]) for i in (0, 1) for j in (0, 1)]
    wanted = np.logical_or.reduce([wanted[i::2, j::2] for i in (0, 1) for j in (0, 1)])
    limit = np.minimum.reduce([part[..., 3] for part, _ in quarters]) + tolerance
    total, count = np.zeros((*size, 4), np.float32), np.zeros((*size, 1), np.float32)
    seen = np.ones(size, bool)
    for part, part_known in quarters:
        far = part[..., 3] <= limit  # or the object's colour would begin to leak into the hole
        total += np.where(far[..., None], part, 0)
        count += far[..., None]
        seen &= part_known | ~far
    return Level(total / count, seen, wanted & ~seen)


def _usable(level, jump):
    """Mark the centres of patches that are known as a whole and show one surface."""
    patch, cross = (np.ones((side, side), np.uint8) for side in (2 * RADIUS + 1, 3))
    near = level.values[..., 3]
    # The frame ends where nothing is known: a source is whole.
    whole = cv2.erode(
        level.known.astype(np.uint8), patch, borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    edge = cv2.dilate(near, cross) - cv2.erode(near, cross) > jump
    return (whole > 0) & (cv2.dilate(edge.astype(np.uint8), patch) == 0)


def _complete_level(level, coarser, index, tolerance, jump):
    """Search and vote at one resolution.

    Args:
        level: Level.   coarser: _Field of the level at half the resolution, or None.
        index: how often the view was halved.
        tolerance, jump: disparities closer than the one are one surface; an edge is over the other.
    Returns:
        _Field; (H, W, 4) the completed values; (M,) how far patches are from
        their sources, infinite without; (M, 4) the rule's values, smoothed.
    """
    near = np.ascontiguousarray(level.values[..., 3])
    unknown = (~level.known).astype(np.uint8)
    holes = np.argwhere(level.wanted).astype(np.int32)
    around = cv2.dilate(level.wanted.astype(np.uint8), np.ones((2 * RADIUS + 1,) * 2, np.uint8))
    targets = GRID * np.argwhere(around[::GRID, ::GRID] > 0).astype(np.int32)
    number = np.full(near.shape, -1, np.int32)
    number[targets[:, 0], targets[:, 1]] = np.arange(len(targets))
    usable = _usable(level, jump)
    trust = (DECAY ** -cv2.distanceTransform(unknown, cv2.DIST_L2, 3)).astype(np.float32)
    weights = np.maximum(1, np.round(WHOLE * trust)).astype(np.int32)
    done, voted = level.values.copy(), _at(level.values, holes)
    image = np.ascontiguousarray(np.round(done[..., :3]).clip(0, 255).astype(np.uint8))
    distances = np.zeros(len(targets), np.int32)
    doubt = np.full(len(holes), np.inf, np.float32)

    def find(before, step, reach, seed):
        after = np.empty_like(before)
        run_in_parts(
            lambda begin, end: search(
                image, weights, near, usable, targets, number, before, step, reach, tolerance,
                seed, begin, end, after, distances,
            ),
            len(targets),
        )  # fmt: skip
        return after

    def decide(sources, spread, keep):
        run_in_parts(
            lambda begin, end: vote(
                level.values, near, holes, number, sources, distances, trust, spread, tolerance,
                begin, end, voted, doubt,
            ),
            len(holes),
        )  # fmt: skip
        done[holes[:, 0], holes[:, 1]] = voted
        if not keep:
            # The rule's colours are kept, or patches would drift to others' from round to round.
            base = _smoothed(done, near, holes, window, tolerance)
            done[holes[:, 0], holes[:, 1]] = rule + voted - base
        image[holes[:, 0], holes[:, 1]] = np.round(_at(done, holes)[:, :3]).clip(0, 255)

    window = gaussian_window(max(DETAIL_PX / 2**index, 1))
    rule = _smoothed(level.values, near, holes, window, tolerance)
    if coarser is None:
        sources = _random_sources(usable, near, targets, tolerance)
        reach, first_steps, steps = max(near.shape) // 4, (8, 4, 2, 1), (4, 1)
    else:
        sources = _finer_sources(coarser, targets, usable)
        reach, first_steps, steps = max(4, max(near.shape) // 16), (2, 1), (2, 1)
        decide(sources, np.float32(1), keep=True)  # the coarser picture in finer pixels
    rounds = ROUNDS if index else FINEST_ROUNDS
    for turn in range(rounds):
        for count, step in enumerate(steps if turn else first_steps):
            seed = SEED + 7919 * (16 * (16 * index + turn) + count)
            sources = find(sources, GRID * step, reach if count % 2 else reach // 2, seed)
        found = distances[distances < NOTHING]
        if not len(found):
            break
        last = turn == rounds - 1
        sharpen = SHARPEN if last and index == 0 else 1.0
        decide(sources, np.float32(max(1, sharpen * np.percentile(found, 75))), keep=last)
    return _Field(number, sources), done, doubt, rule


def _random_sources(usable, near, targets, tolerance):
    """Return (K, 2) a source for each patch, of its disparity, -1 if there is none."""
    rows, columns = (axis.astype(np.int32) for axis in np.nonzero(usable))
    order = np.argsort(near[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    sources, ranked = np.empty((len(targets), 2), np.int32), near[rows, columns]
    run_in_parts(
        lambda begin, end: seed_field(
            rows, columns, ranked, near, targets, tolerance, SEED, begin, end, sources
        ),
        len(targets),
    )
    return sources


def _finer_sources(coarser, targets, usable):
    """Return (K, 2) the sources that patches had at half the resolution, where still usable."""
    places = targets // 2 // GRID * GRID
    parents = _at(coarser.number, places)
    sources = (2 * coarser.sources[parents] + targets - 2 * places).astype(np.int32)
    height, width = usable.shape
    bad = (parents < 0) | (coarser.sources[parents, 0] < 0)
    bad |= (sources[:, 0] >= height) | (sources[:, 1] >= width)
    sources[bad] = 0
    bad |= ~_at(usable, sources)
    sources[bad] = -1
    return sources


def _smoothed(values, near, holes, window, tolerance):
    """Return (M, 4) the holes' values, smoothed along their own surface."""
    smoothed = np.empty((len(holes), values.shape[2]), np.float32)
    run_in_parts(
        lambda begin, end: smooth(values, near, holes, window, tolerance, begin, end, smoothed),
        len(holes),
    )
    return smoothed
