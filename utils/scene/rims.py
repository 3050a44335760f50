"""Soft rims: how much of a pixel at a depth edge is the front, and what either side shows there.

A lens, a scaled photo, or a pixel that is half a leaf and half the wall behind it mixes two
surfaces. Such a pixel is taken apart: the front becomes a rim point with an alpha, the back an
opaque point of its own colour under it (docs/method/geometry.md, Rims).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch

from kernels.constants import RIM_FULL, RIM_SHARED
from kernels.jit import jit
from kernels.threads import run_in_parts
from utils.depth.steps import EDGE_JUMP, TWICE_AS_FAR
from utils.filters import dilated
from utils.scene.edge_sides import (
    BACK,
    FRONT,
    NOISE,
    DepthPhoto,
    find_edges,
    measure_both_sides,
)
from utils.scene.edges import EDGE_REACH

# Measured by benchmarks.edges, with depth as it is and with outlines off by a pixel or two.
# Doubt (standard deviation of alpha) of the geometry: at the edge, and at the end of the reach.
DOUBT_NEAR, DOUBT_FAR = np.float32(0.4), np.float32(0.08)
# Shares below this are none, and above one minus this are all: or noise makes rims everywhere.
LEAST_SHARE = np.float32(0.04)
# Colours that a pixel's own neighbourhood shows, against the mean along the edge, which counts as
# half a pixel.
LOCAL_PX = 3
LOCAL_WEIGHTS = 1 / (
    1 + np.float32(0.25) * ((np.indices((2 * LOCAL_PX + 1,) * 2) - LOCAL_PX) ** 2).sum(axis=0)
)
TRUST_MEAN = np.float32(0.5)
PURE = 4  # power of alpha by which a neighbour counts as one side's
STRANGE = np.float32(3)  # standard deviations of the back, beyond which a colour is not one of its
# A strange pixel of the back within half the reach is the front's halo, and goes with it, as a rim
# that covers so much: the lit edge of a car would stay behind (by eye).
HALO_SHARE = np.float32(0.25)


class Rims(NamedTuple):
    """A photo taken apart at its depth edges."""

    image: torch.Tensor  # (1, 3, H, W): what opaque points show, the rims taken off
    disparity: torch.Tensor  # (1, 1, H, W) of it
    pixel: torch.Tensor  # (K,) int64: the one of the photo that each rim point stands at
    colors: torch.Tensor  # (K, 4) uint8: the front's own colour; alpha, see kernels.render_frame
    rim_disparity: torch.Tensor  # (K,)


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
    pixels = np.empty((*depth_map.shape, 3), np.float32)
    np.multiply(image[0].float().permute(1, 2, 0).cpu().numpy(), np.float32(255), out=pixels)
    limit = np.float32(jump * depth_map.max())
    edges = find_edges(depth_map, limit)
    if edges is None:
        return None
    reach = max(2, round(max(depth_map.shape) * EDGE_REACH))
    photo = DepthPhoto(depth_map, pixels, limit, np.float32(reach))
    band = np.flatnonzero(edges.distance <= reach).astype(np.int32)
    front = depth_map > ((edges.near + edges.far) / 2)[edges.nearest]
    sides, alpha, colors = _find_shares(photo, edges, front, band)
    _share_rest(photo, edges, sides, band, alpha, colors)
    solid, *peeled = _peel(photo, edges, sides, band, alpha, colors)
    planes = np.empty((3, *depth_map.shape), np.float32)
    np.divide(solid.clip(0, 255, out=solid).transpose(2, 0, 1), np.float32(255), out=planes)
    solid, solid_disparity, index, rim_colors, rim_disparity = (
        torch.from_numpy(part).to(image.device) for part in (planes, *peeled)
    )
    return Rims(solid[None], solid_disparity[None, None], index, rim_colors, rim_disparity)


def _find_shares(photo, edges, front, band):
    """Sides; alpha (H, W), -1 outside the band; colours of both (K, 6) of the band's pixels."""
    sides = measure_both_sides(photo, edges)
    # A one-pixel ramp across the edge: the labels' staircase, smoothed and made steep again.
    ramp = 0.5 + 2.5 * (cv2.GaussianBlur(front.astype(np.float32), (5, 5), 1.0) - 0.5)
    ramp = np.where(edges.distance < 1.5, ramp.clip(0, 1), front).astype(np.float32)
    rough = np.full(front.shape, -1, np.float32)
    colors = np.zeros((len(band), 6), np.float32)
    _estimate_alpha(photo, ramp, edges, sides, band, rough)
    alpha = rough.copy()
    run_in_parts(
        lambda begin, end: _refine(
            photo, ramp, rough, edges, sides, band[begin:end], alpha, colors[begin:end]
        ),
        len(band),
    )
    return sides, _connected(alpha, front, int(photo.reach)), colors


def _connected(alpha, front, steps):
    """Take away what no path of at least this share connects to its own side."""
    share = np.where(alpha >= 0, alpha, front).astype(np.float32)
    share = _reached(share, front, steps)
    share = 1 - _reached(1 - share, ~front, steps)
    return np.where(alpha >= 0, share, alpha)


def _reached(share, side, steps):
    """For each pixel (H, W) the largest share that a path from its side has all along."""
    found = np.where(side, share, np.float32(0))
    for _ in range(steps + 1):
        found = np.minimum(dilated(found, 1), share)
    return found


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
    return min(max((share - LEAST_SHARE) / (1 - 2 * LEAST_SHARE), np.float32(0)), np.float32(1))


@jit
def _doubt(distance, reach):
    """Standard deviation of alpha that the geometry leaves open."""
    return DOUBT_NEAR + (DOUBT_FAR - DOUBT_NEAR) * distance / reach


@jit
def _estimate_alpha(photo, ramp, edges, sides, band, alpha):
    """Alpha of the band's pixels from the mean colours of both sides."""
    width = alpha.shape[1]
    for k in range(band.shape[0]):
        y, x = band[k] // width, band[k] % width
        e = edges.nearest[y, x]
        colors, doubt = sides.colors[e], _doubt(edges.distance[y, x], photo.reach)
        alpha[y, x] = _posterior(
            photo.pixels[y, x], colors[FRONT], colors[BACK], sides.along[e], ramp[y, x], doubt
        )


@jit
def _refine(photo, ramp, rough, edges, sides, band, alpha, colors):
    """Alpha once more, with the colours that either side has right here."""
    disparity, pixels, limit, reach = photo
    _, near, far, distance, nearest = edges
    height, width = disparity.shape
    mean = np.zeros(6, np.float32)
    for k in range(band.shape[0]):
        y, x = band[k] // width, band[k] % width
        e = nearest[y, x]
        fronts, backs = sides.colors[e, FRONT], sides.colors[e, BACK]
        along, variance = sides.along[e], sides.variance[e, BACK]
        middle = (near[e] + far[e]) * np.float32(0.5)
        weights_front = weights_back = TRUST_MEAN
        for c in range(3):
            mean[c], mean[3 + c] = TRUST_MEAN * fronts[c], TRUST_MEAN * backs[c]
        for row in range(max(0, y - LOCAL_PX), min(height, y + LOCAL_PX + 1)):
            for column in range(max(0, x - LOCAL_PX), min(width, x + LOCAL_PX + 1)):
                d = disparity[row, column]
                share = rough[row, column]
                if share < 0:
                    share = np.float32(1) if d > middle else np.float32(0)
                if abs(d - near[e]) >= limit and abs(d - far[e]) >= limit:
                    continue
                weight = LOCAL_WEIGHTS[row - y + LOCAL_PX, column - x + LOCAL_PX]
                front, back = weight * share**PURE, weight * (1 - share) ** PURE
                # A highlight of the front may look like the back: depth has its say, too.
                if d > middle:
                    back = np.float32(0)
                    # What lies on its side and is no mixture of the two is the front's, too: think
                    # of the lit edge of a post.
                    if share < 1:
                        aside = _between(pixels[row, column], fronts, backs)[2]
                        aside /= STRANGE * STRANGE * (3 * NOISE * NOISE + variance)
                        front = max(front, weight * (1 - 1 / (1 + aside**2)))
                else:
                    front = np.float32(0)
                # Nor is all the back's that is not the front's: think of a roof's dark rim.
                if back > 0:
                    off = np.float32(0)
                    for c in range(3):
                        off += (pixels[row, column, c] - backs[c]) ** 2
                    off /= STRANGE * STRANGE * (3 * NOISE * NOISE + variance)
                    back /= 1 + off**4
                weights_front += front
                weights_back += back
                for c in range(3):
                    mean[c] += front * pixels[row, column, c]
                    mean[3 + c] += back * pixels[row, column, c]
        for c in range(3):
            colors[k, c] = mean[c] / weights_front
            colors[k, 3 + c] = mean[3 + c] / weights_back
        doubt = _doubt(distance[y, x], reach)
        alpha[y, x] = _posterior(
            pixels[y, x], colors[k, :3], colors[k, 3:], along, ramp[y, x], doubt
        )


@jit
def _share_rest(photo, edges, sides, band, alpha, colors):
    """Share out what the means leave unexplained, so that front over back is the photo again.

    The back takes no more than it varies by itself, and nothing where depth sees the front.
    Otherwise the bright line that sharpening draws around a dark object, or light along its edge,
    would stay behind when the object moves.
    """
    disparity, pixels, _, reach = photo
    _, near, far, distance, nearest = edges
    width, halo = alpha.shape[1], max(reach / 2, 1)
    for k in range(band.shape[0]):
        y, x = band[k] // width, band[k] % width
        share = alpha[y, x]
        if share == 1:
            for c in range(3):
                colors[k, c] = pixels[y, x, c]
            continue
        e = nearest[y, x]
        fronts, variance = sides.variance[e, FRONT], sides.variance[e, BACK]
        # The side that varies more takes more, but the back never more than from its equal.
        front = share * (3 * NOISE * NOISE + fronts)
        back = (1 - share) * (3 * NOISE * NOISE + min(variance, fronts))
        backs = back / (share * front + (1 - share) * back)
        if disparity[y, x] > (near[e] + far[e]) * np.float32(0.5):
            backs = np.float32(0)
        whole = np.float32(1e-6)
        for c in range(3):
            whole += (pixels[y, x, c] - share * colors[k, c] - (1 - share) * colors[k, 3 + c]) ** 2
        taken = backs * np.sqrt(whole)
        room = STRANGE * np.sqrt(3 * NOISE * NOISE + variance)
        if share == 0 and (distance[y, x] > halo or taken <= room):
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
def _peel(photo, edges, sides, band, alpha, colors):
    """Split the photo: opaque colours (H, W, 3), disparity (H, W); rim pixels, RGBA, disparity."""
    half = photo.limit * np.float32(0.5)
    before, solid_disparity = _disparities(photo, edges, sides, band, half)
    # 1: a rim point, 2: one for its neighbours' sake.
    kind, count = _mark_rims(alpha, band, before, solid_disparity, half)
    solid, width = photo.pixels.copy(), alpha.shape[1]
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
    count = _add_neighbours(photo.pixels, solid_disparity, half, kind, count,
                            (index, rim_colors, rim_disparity))  # fmt: skip
    return solid, solid_disparity, index[:count], rim_colors[:count], rim_disparity[:count]


@jit
def _disparities(photo, edges, sides, band, half):
    """Disparity of the front in the band, and of what is opaque, both (H, W)."""
    disparity, width = photo.disparity, photo.disparity.shape[1]
    before, solid = np.zeros(disparity.shape, np.float32), disparity.copy()
    for k in range(band.shape[0]):
        y, x = band[k] // width, band[k] % width
        e, d = edges.nearest[y, x], disparity[y, x]
        near, far = edges.near[e], edges.far[e]
        # A distant front differs little: what lies between it and the back is of neither.
        slack = half if far > TWICE_AS_FAR * near else np.float32(0)
        before[y, x] = d if near - d <= slack else sides.disparity[e, FRONT]
        solid[y, x] = d if d - far <= slack else sides.disparity[e, BACK]
    return before, solid


@jit
def _mark_rims(alpha, band, before, solid_disparity, half):
    """Mark rim points with 1 (H, W), and count them; what is whole but no rim is opaque."""
    height, width = alpha.shape
    kind, count = np.zeros(alpha.shape, np.uint8), 0
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
    for k in range(band.shape[0]):
        y, x = band[k] // width, band[k] % width
        if kind[y, x] == 1:
            count += 1
        elif alpha[y, x] == 1:
            solid_disparity[y, x] = before[y, x]
    return kind, count


@jit
def _add_neighbours(pixels, solid_disparity, half, kind, count, rims):
    """Add to `count` rim points those around them, on which they end; return how many there are."""
    index, rim_colors, rim_disparity = rims
    height, width = kind.shape
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
    return count
