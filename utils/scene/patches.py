"""Texture in holes: to what the rule filled comes the detail of patches of the same surface.

Structure is the rule's (`filling.py`), texture that of the photo: coarse to fine, every patch that
touches a hole looks for its like among the known patches of its surface (PatchMatch, Barnes et al.
2009), and all that overlap vote on each pixel (Wexler et al. 2007). Depth says what may be a source
(Daribo and Saito 2011, Gautier et al. 2011). See docs/method/inpainting.md, Texture in holes.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from kernels.patches import (
    NOTHING,
    SIDE,
    Field,
    Level,
    Patches,
    Trial,
    Votes,
    halve,
    search,
    seed_field,
    vote,
)
from kernels.threads import run_in_parts
from utils.depth.steps import EDGE_JUMP
from utils.filters import dilated
from utils.scene.filling import ALIKE
from utils.scene.levels import (
    LEAST,
    SEED,
    TRUST_COLOR,
    at,
    edges,
    ranked,
    smoothed,
    surrounded,
)
from utils.scene.quilting import replace_weak

# Chosen on the stereo pairs of benchmarks/inpainting.py.
# The Gaussian that parts structure, which is the rule's, from detail, which is the patches', px.
# Narrower is safer in PSNR and SSIM and poorer in texture: 2 px, PSNR inside +0.08 dB and gradient
# energy -0.02; 4 px, -0.09 dB and +0.02.
DETAIL_PX = 3.0
# Patches that found their like replace the rule's fill instead of only adding detail to it: e-fold
# less so at this difference, RGB in [0, 255]. (At 48: PSNR inside -0.24 dB; at 12 bricks are pale.)
SURE = 24.0
GRID = 2  # px between patches: a dozen votes for a pixel are less of a blur than 49
COARSEST_PX = 80  # completion begins where the long side is about this
# Of search and vote; a third as many at full size, where they are dear. (With fewer, slanted
# stripes end inside of a hole.)
ROUNDS = 6
# A pixel that lies 1 px deeper in a hole is believed by this factor less. (At 2 stripes end, too.)
DECAY = 1.3
# The last vote is nearly that of the best patch alone: a mean over many is a blur. (At 1: gradient
# energy -0.03, PSNR inside +0.06 dB.)
SHARPEN = 0.2


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
    # (Squares of 5 px, not of 3: SSIM +0.006, gradient energy -0.03.)
    chosen = cv2.morphologyEx((~mask).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3))) > 0
    if wanted is not None:
        chosen &= wanted[0, 0].cpu().numpy()
    if not chosen.any() or not mask.any():
        return filled
    seen = filled[0, 3].float().cpu().numpy()[mask]
    alike, jump = ALIKE * np.ptp(seen) + 1e-6, EDGE_JUMP * seen.max()
    box = _around(chosen)
    result = filled.clone()
    part = result[0, :, box[0], box[1]]
    colors = (part[:3] * 255).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    values = (colors, part[3].float().cpu().numpy(), mask[box], chosen[box])
    image, near, known_here, wanted_here = map(np.ascontiguousarray, values)
    level = Level(image, near, known_here, wanted_here, np.float32(alike), np.float32(jump))
    holes = np.argwhere(wanted_here).astype(np.int32)
    change = _complete(level, holes)
    rows, columns = torch.from_numpy(holes).long().T
    change = torch.from_numpy(change.T / np.float32(255)).to(part)
    part[:3, rows, columns] = (part[:3, rows, columns] + change).clamp(0, 1)
    return result


def _around(wanted):
    """The part of a view, as slices, in which holes find their sources.

    A quarter of the long side of a view at full size: a sixth is even better in holes cut into
    photographs, but a carpet ran out of carpet.
    """
    parts, reach = [], 4 * COARSEST_PX
    for axis in (1, 0):
        (marked,) = np.nonzero(wanted.any(axis=axis))
        parts.append(slice(max(0, int(marked[0]) - reach), int(marked[-1]) + 1 + reach))
    return tuple(parts)


def _complete(finest, holes):
    """Return (M, 3) what the detail of patches adds to the rule's colours of the holes."""
    levels = [finest]
    while 2 * max(levels[-1].near.shape) > 3 * COARSEST_PX:
        levels.append(halve(levels[-1]))
    coarser = None
    for index in reversed(range(len(levels))):
        completion = _Completion(levels[index], index)
        completion.run(coarser)
        coarser = completion
    voted, doubt = completion.votes
    base, own = completion.base(), completion.own
    rule = at(finest.image, holes).astype(np.float32)
    off = ((base - own) ** 2).mean(axis=1)[:, None]
    fading = np.exp(-off / (2 * TRUST_COLOR**2))
    mixed = rule + np.where(np.isinf(doubt)[:, None], 0, fading * (voted - base))
    sure = fading * np.exp(-doubt[:, None] / np.float32(SURE**2))
    mixed += sure * (voted - mixed)
    return replace_weak(finest, levels[:3][-1], holes, mixed) - rule


class _Completion:
    """Search and vote at one resolution.

    Args:
        level: Level, its holes filled by the rule.
        index: how often the view was halved.
    """

    def __init__(self, level, index):
        """Lay patches over what is wanted."""
        self.level, self.index = level._replace(image=level.image.copy()), index
        self.holes = np.argwhere(level.wanted).astype(np.int32)
        around = dilated(level.wanted.astype(np.uint8), SIDE // 2)[::GRID, ::GRID]
        places = GRID * np.argwhere(around).astype(np.int32)
        number = np.full(level.near.shape, -1, np.int32)
        number[places[:, 0], places[:, 1]] = np.arange(len(places))
        depth = cv2.distanceTransform((~level.known).astype(np.uint8), cv2.DIST_L2, 3)
        # A source is known as a whole and shows one surface.
        usable = (surrounded(level.known.astype(np.uint8), SIDE) > 0) & (
            dilated(edges(level), SIDE // 2) == 0
        )
        self.patches = Patches(places, number, np.float32(DECAY) ** -depth, usable)
        self.field = Field(np.empty_like(places), np.zeros(len(places), np.int32))
        colors = at(level.image, self.holes).astype(np.float32)
        self.votes = Votes(colors, np.full(len(colors), np.inf, np.float32))
        self.own = self.base()

    def base(self):
        """Return (M, 3) the colours of the holes, smoothed."""
        return smoothed(self.level, self.holes, max(DETAIL_PX / 2**self.index, 1))

    def run(self, coarser):
        """Complete the level; `coarser` has done so at half the resolution, or is None."""
        longest = max(self.level.near.shape)
        if coarser is None:
            self._seed()
            reach, first_steps, steps = longest // 4, (8, 4, 2, 1), (4, 1)
        else:
            self._take_from(coarser)
            reach, first_steps, steps = max(4, longest // 16), (2, 1), (2, 1)
            self._vote(1, keep=True)  # the coarser picture in finer pixels
        last = (ROUNDS if self.index or coarser is None else ROUNDS // 3) - 1
        for turn in range(last + 1):
            for count, step in enumerate(steps if turn else first_steps):
                seed = SEED + 100 * self.index + 10 * turn + count
                self._search(Trial(GRID * step, reach if count % 2 else reach // 2, seed))
            found = self.field.distances[self.field.distances < NOTHING]
            if not len(found):
                break
            sharpen = SHARPEN if turn == last and self.index == 0 else 1.0
            self._vote(max(1, sharpen * np.percentile(found, 75)), keep=turn == last)

    def _search(self, trial):
        before, after = self.field.sources, Field(np.empty_like(self.field.sources), self.field[1])
        run_in_parts(
            lambda begin, end: search(self.level, self.patches, before, trial, begin, end, after),
            len(before),
            LEAST,
        )
        self.field = after

    def _vote(self, spread, keep):
        """Show what patches say: all of it, or beside the rule's colours."""
        image, (rows, columns) = self.level.image, self.holes.T
        run_in_parts(
            lambda begin, end: vote(
                self.level, self.patches, self.field, self.holes, float(spread), begin, end,
                self.votes,
            ),
            len(self.holes), LEAST,
        )  # fmt: skip
        image[rows, columns] = np.round(self.votes.colors).clip(0, 255)
        if not keep:
            # The rule's colours are kept, or patches would drift to others' from round to round.
            kept = self.own + self.votes.colors - self.base()
            image[rows, columns] = np.round(kept).clip(0, 255)

    def _seed(self):
        """Give each patch a random source of its disparity, -1 if there is none."""
        sources = ranked(self.patches.usable, self.level.near)
        found = self.field.sources
        seed_field(sources, self.level, self.patches, SEED, 0, len(found), found)

    def _take_from(self, coarser):
        """Give patches the sources that those at half the resolution had, where still usable."""
        targets = self.patches.places
        places = targets // 2 // GRID * GRID
        parents = at(coarser.patches.number, places)
        theirs = coarser.field.sources[parents]
        sources = (2 * theirs + targets - 2 * places).astype(np.int32)
        bad = (parents < 0) | (theirs[:, 0] < 0) | (sources >= self.level.near.shape).any(axis=1)
        sources[bad] = 0
        bad |= ~at(self.patches.usable, sources)
        sources[bad] = -1
        self.field.sources[:] = sources
