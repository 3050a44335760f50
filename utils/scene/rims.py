"""Soft rims: how much of a pixel at a depth edge is the front, and what either side looks like.

A lens, a scaled photo, or a pixel that is half a leaf and half the wall behind it mixes two
surfaces. Such a pixel is taken apart: the front becomes a rim point with an alpha, the back an
opaque point of its own colour under it (docs/method.md, Rims).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch

from kernels.constants import RIM_FULL, RIM_SHARED
from kernels.jit import jit
from utils.depth.steps import EDGE_JUMP, TWICE_AS_FAR, least_step
from utils.filters import nearest_pixels
from utils.scene.edges import EDGE_REACH
from utils.scene.hair import NOISE, find_hair, reached

# Where the back is at least twice as far, so much of a step from its ends is still front or back.
SLACK = np.float32(0.05)
# How far from an edge (px) a pixel counts as clean when the colours of its sides are measured.
CLEAN_SHARE = 0.4  # of the reach, at least CLEAN_PX
CLEAN_PX = 1.5
SAMPLE_PX = 4  # clean pixels are looked for this much farther from the edge
# Doubt (standard deviation of alpha) of the geometry: at the edge, and at the end of the reach.
DOUBT_NEAR, DOUBT_FAR = np.float32(0.4), np.float32(0.08)
# Shares below this are none, and above one minus this are all.
LEAST = np.float32(0.04)
# Colours that a pixel's own neighbourhood shows, against the mean along the edge.
LOCAL_PX = 3
TRUST_MEAN = np.float32(0.5)
STRANGE = np.float32(4)  # standard deviations of the back, beyond which a colour is not one of its
OTHER_SIDE = np.float32(0.003)  # what a neighbour counts as one side's that depth has on the other
PURE = 6  # power of alpha by which a neighbour counts as one side's
QUANTUM = np.float32(1)  # of colour, 255 levels: the least that a back varies
# Standard deviations of the back from which a colour on the front's side of depth is no mixture.
ASIDE = np.float32(2)
# A back that is seen only through gaps, into which no square of this many pixels fits, is compared
# with what is seen of it beside: beyond so many standard deviations a colour is not its own.
GAP, ALIEN = 5, np.float32(2)
UNKNOWN = np.float32(1e6)  # the variance of a side that is nowhere seen clean
# A pixel of the back this near the edge (as a share of the reach) that stands out of the back by so
# many standard deviations is the front's halo, and goes with it.
HALO, STANDS_OUT = 0.5, np.float32(2.5)
HALO_SHARE = np.float32(0.25)
# A back that varies more than this (squared, RGB) has colours that are no halo: then a halo's is
# that by which the sides differ, up to this squared cosine of the angle between them.
CALM, ALONG = np.float32(10**2), np.float32(0.5)
MIN_WEIGHT = 0.5  # of clean pixels, below which a side has none worth the name
SIDES = 11  # numbers per edge pixel


class Rims(NamedTuple):
    """A photo taken apart at its depth edges."""

    image: torch.Tensor  # (1, 3, H, W): what opaque points show, the rims taken off
    disparity: torch.Tensor  # (1, 1, H, W) of it
    pixel: torch.Tensor  # (K,) int64: the one of the photo that each rim point stands at
    colors: torch.Tensor  # (K, 4) uint8: the front's own colour; alpha, see kernels.render_frame
    rim_disparity: torch.Tensor  # (K,)


class _Edges(NamedTuple):
    """Depth edges as pixels, and who is near which."""

    pixels: np.ndarray  # (E,) flat index, ascending
    near: np.ndarray  # (E,) disparity of the front
    far: np.ndarray  # (E,) and of the back
    distance: np.ndarray  # (H, W) px to the nearest edge pixel
    nearest: np.ndarray  # (H, W) int32 number of that edge pixel


def find_rims(disparity: torch.Tensor, image: torch.Tensor, jump: float = EDGE_JUMP) -> Rims | None:
    """Take a photo apart at its depth edges.

    Args:
        disparity: (1, 1, H, W), positive.
        image: (1, 3, H, W) RGB in [0, 1].
        jump: step between two surfaces, as a share of the largest disparity.
    Returns:
        Rims on the device of the image, or None where there is no edge.
    """
    depth_map = np.ascontiguousarray(disparity[0, 0].float().cpu().numpy())
    pixels = np.ascontiguousarray(image[0].float().permute(1, 2, 0).cpu().numpy() * 255)
    limit = np.float32(jump * depth_map.max())
    edges = _find_edges(depth_map, limit)
    if edges is None:
        return None
    reach = max(2, round(max(depth_map.shape) * EDGE_REACH))
    band = np.flatnonzero(edges.distance <= reach).astype(np.int32)
    sides = _measure_both_sides(depth_map, pixels, edges, reach, limit)
    front = depth_map > ((edges.near + edges.far) / 2)[edges.nearest]
    alpha, colors = _find_shares(depth_map, pixels, edges, sides, front, band, reach, limit)
    hair = find_hair(depth_map, pixels, edges, front, reach, limit)
    if hair:
        edges, sides, band, colors = _with_hair(
            hair, depth_map, pixels, edges, sides, band, limit, alpha, colors
        )
    halo = np.float32(max(1, HALO * reach))
    peeled = _peel(depth_map, pixels, alpha, colors, *edges, sides, band, limit, halo)
    solid, solid_disparity, index, rim_colors, rim_disparity = (
        torch.from_numpy(part).to(image.device) for part in peeled
    )
    solid = solid.clamp_(0, 255).div_(255).permute(2, 0, 1)[None].contiguous()
    return Rims(solid, solid_disparity[None, None], index, rim_colors, rim_disparity)


def _find_edges(disparity, limit):
    """Edge pixels of a map (H, W), None if there are none."""
    window = np.ones((3, 3), np.uint8)
    near, far = cv2.dilate(disparity, window), cv2.erode(disparity, window)
    steep = near - far >= least_step(near, far, limit)
    if not steep.any():
        return None
    window = np.ones((5, 5), np.uint8)
    near, far = cv2.dilate(disparity, window)[steep], cv2.erode(disparity, window)[steep]
    distance, labels = cv2.distanceTransformWithLabels(
        (~steep).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    number = np.zeros(labels.max() + 1, np.int32)
    number[labels[steep]] = np.arange(len(near), dtype=np.int32)
    return _Edges(np.flatnonzero(steep).astype(np.int32), near, far, distance, number[labels])


def _measure_both_sides(disparity, pixels, edges, reach, limit):
    """Per edge pixel (E, SIDES): front RGB, back RGB; variance of both along the way between them;
    disparities of both; variance of the back's colour and of the front's."""
    sides = np.zeros((len(edges.pixels), SIDES), np.float32)
    clean = np.float32(max(CLEAN_PX, CLEAN_SHARE * reach))
    radius = int(np.ceil(clean)) + SAMPLE_PX
    _measure_sides(disparity, pixels, *edges[:4], clean, radius, limit, sides)
    _borrow_backs(edges, sides, limit)
    return sides


def _find_shares(disparity, pixels, edges, sides, front, band, reach, limit):
    """Alpha (H, W), -1 outside the band, and colours of both sides (K, 6) of the band's pixels."""
    # A one-pixel ramp across the edge: the labels' staircase, smoothed and made steep again.
    ramp = 0.5 + 2.5 * (cv2.GaussianBlur(front.astype(np.float32), (5, 5), 1.0) - 0.5)
    ramp = np.where(front, ramp.clip(0.75, 1), ramp.clip(0, 0.25))
    ramp = np.where(edges.distance < 1.5, ramp, front).astype(np.float32)
    rough = np.full(disparity.shape, -1, np.float32)
    colors = np.zeros((len(band), 6), np.float32)
    reach = np.float32(reach)
    _estimate_alpha(pixels, ramp, *edges[3:], sides, band, reach, rough)
    glow = _find_glow(pixels, edges, sides, front, rough)
    rough[glow] = 1
    alpha = rough.copy()
    _refine(disparity, pixels, ramp, rough, *edges[1:], sides, band, reach, limit, alpha, colors)
    alpha[glow] = 1
    return _connected(alpha, front, int(reach)), colors


def _borrow_backs(edges, sides, limit):
    """Where a back is nowhere seen clean, as between bars, ask the nearest edge where it is.

    Its colour is kept if it could be one of that back: leaves may show another bit of the wall.
    """
    seen = sides[:, 9] < UNKNOWN
    blind = (sides[:, 6] >= 0) & ~seen
    if not blind.any() or not seen.any():
        return
    clear = np.zeros(edges.nearest.shape, bool)
    clear.flat[edges.pixels[seen]] = True
    blind = np.flatnonzero(blind)
    beside = np.searchsorted(edges.pixels, nearest_pixels(clear)[1].flat[edges.pixels[blind]])
    same = np.abs(edges.far[beside] - edges.far[blind]) < limit
    blind, beside = blind[same], beside[same]
    sides[blind, 9] = sides[beside, 9]
    off = ((sides[blind, 3:6] - sides[beside, 3:6]) ** 2).sum(axis=1)
    alien = off > ALIEN**2 * (3 * QUANTUM**2 + sides[beside, 9])
    sides[blind[alien], 3:6] = sides[beside[alien], 3:6]


def _find_glow(pixels, edges, sides, front, alpha):
    """Mark what is seen through gaps of a front and has a colour that its back has not.

    Light that scatters between the bars of a lantern is the lantern's. It would stay behind as the
    lantern moves, and lend its colour to all that the lantern hid.
    """
    gap = (alpha >= 0) & ~front
    gap &= cv2.morphologyEx((~front).astype(np.uint8), cv2.MORPH_OPEN, np.ones((GAP, GAP))) == 0
    seen, beside = pixels[gap], sides[edges.nearest[gap]]
    fronts, backs = (
        ((seen - beside[:, color]) ** 2).sum(axis=1) / (3 * QUANTUM**2 + beside[:, variance])
        for color, variance in ((slice(0, 3), 10), (slice(3, 6), 9))
    )
    gap[gap] = (backs > ALIEN**2) & (fronts < backs)
    return gap


def _connected(alpha, front, steps):
    """Take away what no path of at least this share connects to its own side."""
    inside = alpha >= 0
    alpha = np.where(inside, reached(np.where(inside, alpha, front), front, steps), alpha)
    back = reached(np.where(inside, 1 - alpha, ~front), ~front, steps)
    return np.where(inside, 1 - back, alpha).astype(np.float32)


def _with_hair(hair, disparity, pixels, edges, sides, band, limit, alpha, colors):
    """Edges, sides, band and colours with the hair's pixels, whose alpha is written.

    Each counts as an edge pixel of its own, with the colours that told it; but what lies behind
    has the colours that are seen beside it.
    """
    label = edges.nearest.flat[hair.pixels]
    nearest = edges.nearest.copy()
    nearest.flat[hair.pixels] = len(sides) + np.arange(len(label), dtype=np.int32)
    own = sides[label]
    own[:, :6], own[:, 6], own[:, 9] = hair.colors, hair.variance[:, 0], hair.variance[:, 1]
    sides = np.concatenate([sides, own])
    near, far = (np.concatenate([level, level[label]]) for level in (edges.near, edges.far))
    edges = edges._replace(near=near, far=far, nearest=nearest)
    share = np.full_like(alpha, -1)
    share.flat[hair.pixels] = hair.share
    beside = hair.colors.copy()
    _refine(disparity, pixels, share, share, near, far, np.zeros_like(share), nearest, sides,
            hair.pixels, np.float32(1), limit, share.copy(), beside)  # fmt: skip
    beside[:, :3] = hair.colors[:, :3]
    alpha.flat[hair.pixels] = np.maximum(alpha.flat[hair.pixels], hair.share)
    together = np.union1d(band, hair.pixels).astype(np.int32)
    merged = np.empty((len(together), 6), np.float32)
    merged[np.searchsorted(together, band)] = colors
    merged[np.searchsorted(together, hair.pixels)] = beside
    return edges, sides, together, merged


@jit
def _measure_sides(disparity, pixels, edge, near, far, distance, clean, radius, limit, sides):
    """Fill `sides` of every edge pixel; see `_measure_both_sides`.

    Clean pixels count; where a side has none, as a wire or a gap between reeds, those of its
    pixels that differ most from the other side.
    """
    height, width = disparity.shape
    mean = np.zeros((4, 4), np.float64)  # clean front, clean back, any front, any back; RGB, d
    weights = np.zeros(4, np.float64)
    for e in range(edge.shape[0]):
        y, x = edge[e] // width, edge[e] % width
        middle = (near[e] + far[e]) * np.float32(0.5)
        top, bottom = max(0, y - radius), min(height, y + radius + 1)
        left, right = max(0, x - radius), min(width, x + radius + 1)
        mean[:] = 0
        weights[:] = 0
        for row in range(top, bottom):
            for column in range(left, right):
                d = disparity[row, column]
                kind = 0 if d > middle else 1
                if abs(d - (near[e] if kind == 0 else far[e])) >= limit:
                    continue
                squared = (row - y) ** 2 + (column - x) ** 2
                weight = 1.0 / (1.0 + squared * squared * 0.01)
                if distance[row, column] < clean:
                    kind += 2
                weights[kind] += weight
                for c in range(3):
                    mean[kind, c] += weight * pixels[row, column, c]
                mean[kind, 3] += weight * d
        for kind in range(2):
            source = kind if weights[kind] > MIN_WEIGHT else kind + 2
            total = max(weights[source], 1e-9)
            for c in range(3):
                sides[e, 3 * kind + c] = mean[source, c] / total
            sides[e, 7 + kind] = mean[source, 3] / total if weights[source] > 0 else near[e]
        if weights[0] + weights[2] == 0 or weights[1] + weights[3] == 0:
            sides[e, 6] = -1
            continue
        for kind in range(2):
            if weights[kind] <= MIN_WEIGHT:
                _purest(disparity, pixels, kind, top, bottom, left, right, middle,
                        near[e] if kind == 0 else far[e], limit, sides[e])  # fmt: skip
        _measure_variance(disparity, pixels, distance, clean, top, bottom, left, right,
                          middle, near[e], far[e], limit, sides[e])  # fmt: skip


@jit
def _purest(disparity, pixels, kind, top, bottom, left, right, middle, level, limit, side):
    """Mean colour of one side's pixels, weighted by how far they are from the other side's."""
    other = 3 * (1 - kind)
    total = np.zeros(4, np.float64)
    for row in range(top, bottom):
        for column in range(left, right):
            d = disparity[row, column]
            if (d > middle) != (kind == 0) or abs(d - level) >= limit:
                continue
            weight = 1e-3
            for c in range(3):
                weight += (pixels[row, column, c] - side[other + c]) ** 2
            weight *= weight
            total[3] += weight
            for c in range(3):
                total[c] += weight * pixels[row, column, c]
    for c in range(3):
        side[3 * kind + c] = total[c] / max(total[3], 1e-9)


@jit
def _measure_variance(disparity, pixels, distance, clean, top, bottom, left, right, middle, near,
                      far, limit, side):  # fmt: skip
    """Variances of the clean pixels' colours: see `_measure_both_sides`."""
    along = np.zeros(3, np.float32)
    squared = np.float32(1e-6)
    for c in range(3):
        along[c] = side[c] - side[3 + c]
        squared += along[c] ** 2
    total, count = 0.0, 0
    wholes, counts = np.zeros(2, np.float64), np.zeros(2, np.int64)
    for row in range(top, bottom):
        for column in range(left, right):
            d = disparity[row, column]
            kind = 0 if d > middle else 1
            if distance[row, column] < clean or abs(d - (near if kind == 0 else far)) >= limit:
                continue
            dot, whole = 0.0, 0.0
            for c in range(3):
                step = pixels[row, column, c] - side[3 * kind + c]
                dot += step * along[c]
                whole += step * step
            total += dot * dot / squared
            count += 1
            wholes[kind] += whole
            counts[kind] += 1
    side[6] = total / max(count, 1)
    side[9] = wholes[1] / counts[1] if counts[1] > 0 else UNKNOWN
    side[10] = wholes[0] / counts[0] if counts[0] > 0 else UNKNOWN


@jit
def _between(pixel, front, back):
    """Where a colour lies on the line from the back's to the front's.

    Returns:
        Its share of the front; the line's squared length; its squared distance from the line.
    """
    squared, dot = np.float32(1e-6), np.float32(0)
    for c in range(3):
        step = front[c] - back[c]
        squared += step * step
        dot += (pixel[c] - back[c]) * step
    share = min(max(dot / squared, np.float32(0)), np.float32(1))
    aside = np.float32(0)
    for c in range(3):
        aside += (pixel[c] - back[c] - share * (front[c] - back[c])) ** 2
    return share, squared, aside


@jit
def _posterior(pixel, front, back, variance, prior, doubt):
    """Share of the front in a pixel: what its colour says, against what the geometry says."""
    share, squared, aside = _between(pixel, front, back)
    trust = squared / (NOISE * NOISE + variance + np.float32(0.5) * aside)
    belief = 1 / (doubt * doubt)
    share = (prior * belief + share * trust) / (belief + trust)
    return min(max((share - LEAST) / (1 - 2 * LEAST), np.float32(0)), np.float32(1))


@jit
def _doubt(distance, reach):
    """Standard deviation of alpha that the geometry leaves open."""
    return DOUBT_NEAR + (DOUBT_FAR - DOUBT_NEAR) * distance / reach


@jit
def _estimate_alpha(pixels, ramp, distance, nearest, sides, band, reach, alpha):
    """Alpha of the band's pixels from the mean colours of both sides."""
    width = alpha.shape[1]
    for k in range(band.shape[0]):
        y, x = band[k] // width, band[k] % width
        side = sides[nearest[y, x]]
        if side[6] < 0:
            alpha[y, x] = ramp[y, x]
            continue
        doubt = _doubt(distance[y, x], reach)
        alpha[y, x] = _posterior(pixels[y, x], side[:3], side[3:6], side[6], ramp[y, x], doubt)


@jit
def _refine(disparity, pixels, ramp, rough, near, far, distance, nearest, sides, band, reach, limit,
            alpha, colors):  # fmt: skip
    """Alpha once more, with the colours that either side has right here."""
    height, width = disparity.shape
    mean = np.zeros(6, np.float32)
    for k in range(band.shape[0]):
        y, x = band[k] // width, band[k] % width
        e = nearest[y, x]
        side = sides[e]
        middle = (near[e] + far[e]) * np.float32(0.5)
        weights_front = weights_back = TRUST_MEAN
        for c in range(6):
            mean[c] = TRUST_MEAN * side[c]
        for row in range(max(0, y - LOCAL_PX), min(height, y + LOCAL_PX + 1)):
            for column in range(max(0, x - LOCAL_PX), min(width, x + LOCAL_PX + 1)):
                d = disparity[row, column]
                share = rough[row, column]
                if share < 0:
                    share = np.float32(1) if d > middle else np.float32(0)
                if abs(d - near[e]) >= limit and abs(d - far[e]) >= limit:
                    continue
                squared = (row - y) ** 2 + (column - x) ** 2
                weight = 1 / (1 + np.float32(0.3) * squared)
                front, back = weight * share**PURE, weight * (1 - share) ** PURE
                # A highlight of the front may look like the back: depth has its say, too.
                if d > middle:
                    back *= OTHER_SIDE
                    # What lies on its side and is no mixture of the two is the front's, too: think
                    # of the lit edge of a post.
                    aside = _between(pixels[row, column], side[:3], side[3:6])[2]
                    aside /= ASIDE * ASIDE * (3 * NOISE * NOISE + side[9])
                    front = max(front, weight * (1 - 1 / (1 + aside**2)))
                else:
                    front *= OTHER_SIDE
                # Nor is all the back's that is not the front's: think of a roof's dark rim.
                off = np.float32(0)
                for c in range(3):
                    off += (pixels[row, column, c] - side[3 + c]) ** 2
                off /= STRANGE * STRANGE * (3 * QUANTUM * QUANTUM + side[9])
                back /= 1 + off**4
                weights_front += front
                weights_back += back
                for c in range(3):
                    mean[c] += front * pixels[row, column, c]
                    mean[3 + c] += back * pixels[row, column, c]
        for c in range(3):
            colors[k, c] = mean[c] / weights_front
            colors[k, 3 + c] = mean[3 + c] / weights_back
        if side[6] < 0:
            continue
        doubt = _doubt(distance[y, x], reach)
        alpha[y, x] = _posterior(
            pixels[y, x], colors[k, :3], colors[k, 3:], side[6], ramp[y, x], doubt
        )


@jit
def _share_rest(disparity, pixels, alpha, colors, near, far, distance, nearest, sides, band, halo):
    """Share out what the means leave unexplained, so that front over back is the photo again.

    The back takes no more than it varies by itself, and nothing where depth sees the front.
    Otherwise the bright line that sharpening draws around a dark object, or light along its edge,
    would stay behind when the object moves.
    """
    width = alpha.shape[1]
    for k in range(band.shape[0]):
        y, x = band[k] // width, band[k] % width
        share = alpha[y, x]
        if share == 1:
            for c in range(3):
                colors[k, c] = pixels[y, x, c]
            continue
        e = nearest[y, x]
        side = sides[e]
        # The side that varies more takes more, but the back never more than from its equal.
        front = share * (3 * NOISE * NOISE + side[10])
        back = (1 - share) * (3 * NOISE * NOISE + min(side[9], side[10]))
        backs = back / (share * front + (1 - share) * back)
        if disparity[y, x] > (near[e] + far[e]) * np.float32(0.5):
            backs = np.float32(0)
        whole, along, squared = np.float32(1e-6), np.float32(0), np.float32(1e-6)
        for c in range(3):
            rest = pixels[y, x, c] - share * colors[k, c] - (1 - share) * colors[k, 3 + c]
            whole += rest * rest
            along += rest * (colors[k, c] - colors[k, 3 + c])
            squared += (colors[k, c] - colors[k, 3 + c]) ** 2
        taken = backs * np.sqrt(whole)
        room = STANDS_OUT * np.sqrt(3 * QUANTUM * QUANTUM + side[9])
        if share == 0 and (distance[y, x] > halo or side[6] < 0 or taken <= room):
            continue
        # A halo is of the colour by which the sides differ; a joint of the bricks behind is not.
        if share == 0 and side[9] > CALM and along * along < ALONG * whole * squared:
            continue
        part = min((room / max(taken, np.float32(1e-6))) ** 2, np.float32(1))
        for c in range(3):
            rest = pixels[y, x, c] - share * colors[k, c] - (1 - share) * colors[k, 3 + c]
            own = colors[k, 3 + c] + part * backs * rest
            colors[k, 3 + c] = min(max(own, np.float32(0)), np.float32(255))
        if share == 0:
            share = HALO_SHARE
        for c in range(3):  # the front's colour must exist
            step = pixels[y, x, c] - colors[k, 3 + c]
            most = 255 - colors[k, 3 + c] if step > 0 else -colors[k, 3 + c]
            if step != 0:
                share = max(share, min(step / most, np.float32(1)) if most != 0 else np.float32(1))
        alpha[y, x] = share
        for c in range(3):
            colors[k, c] = colors[k, 3 + c] + (pixels[y, x, c] - colors[k, 3 + c]) / share


@jit
def _peel(disparity, pixels, alpha, colors, edge, near, far, distance, nearest, sides, band, limit,
          halo):  # fmt: skip
    """Split the photo: opaque colours (H, W, 3), disparity (H, W); rim pixels, RGBA, disparity."""
    height, width = disparity.shape
    solid, solid_disparity = pixels.copy(), disparity.copy()
    before = np.zeros(disparity.shape, np.float32)  # disparity of the front, in the band
    kind = np.zeros(disparity.shape, np.uint8)  # 1: a rim point, 2: one for its neighbours' sake
    half = limit * np.float32(0.5)
    for k in range(band.shape[0]):
        y, x = band[k] // width, band[k] % width
        e, d = nearest[y, x], disparity[y, x]
        # A distant front differs little: what lies between it and the back is of neither.
        slack = half
        if far[e] <= TWICE_AS_FAR * near[e]:
            slack = min(half, SLACK * (near[e] - far[e]))
        before[y, x] = d if near[e] - d < slack else sides[e, 7]
        solid_disparity[y, x] = d if d - far[e] < slack else sides[e, 8]
    _share_rest(disparity, pixels, alpha, colors, near, far, distance, nearest, sides, band, halo)
    for k in range(band.shape[0]):
        y, x = band[k] // width, band[k] % width
        if 0 < alpha[y, x] < 1:
            kind[y, x] = 1
        elif alpha[y, x] == 1:
            # The outermost whole pixels of the front, too: only a rim is drawn between pixels.
            for row in range(max(0, y - 1), min(height, y + 2)):
                for column in range(max(0, x - 1), min(width, x + 2)):
                    if (
                        0 <= alpha[row, column] < 1
                        and solid_disparity[row, column] < before[y, x] - half
                    ):
                        kind[y, x] = 1
    count = 0
    for k in range(band.shape[0]):
        y, x = band[k] // width, band[k] % width
        if kind[y, x] == 1:
            count += 1
        elif alpha[y, x] == 1:
            solid_disparity[y, x] = before[y, x]
    most = 9 * count
    index = np.empty(most, np.int64)
    rim_colors, rim_disparity = np.empty((most, 4), np.uint8), np.empty(most, np.float32)
    count = 0
    for k in range(band.shape[0]):
        y, x = band[k] // width, band[k] % width
        if kind[y, x] != 1:
            continue
        for c in range(3):
            rim_colors[count, c] = np.uint8(min(max(colors[k, c], 0), 255) + np.float32(0.5))
            solid[y, x, c] = colors[k, 3 + c]
        index[count] = band[k]
        rim_colors[count, 3] = np.uint8(alpha[y, x] * RIM_FULL + np.float32(0.5))
        rim_disparity[count] = before[y, x]
        count += 1
    for k in range(count):
        y, x = index[k] // width, index[k] % width
        for row in range(max(0, y - 1), min(height, y + 2)):
            for column in range(max(0, x - 1), min(width, x + 2)):
                if kind[row, column] != 0:
                    continue
                kind[row, column] = 2
                shared = abs(solid_disparity[row, column] - rim_disparity[k]) < half
                index[count] = row * width + column
                for c in range(3):
                    rim_colors[count, c] = np.uint8(pixels[row, column, c] + np.float32(0.5))
                rim_colors[count, 3] = RIM_SHARED if shared else 0
                rim_disparity[count] = solid_disparity[row, column] if shared else rim_disparity[k]
                count += 1
    return solid, solid_disparity, index[:count], rim_colors[:count], rim_disparity[:count]
