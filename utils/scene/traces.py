"""What an object leaves on its background beside its outline: traces that run along it.

Sharpening and compression draw lines beside an outline, dark ones beside what is bright, and a lens
blurs it farther than any band reaches. A pixel of them may well be one of the background's own; but
that they follow the outline gives them away (docs/method/geometry.md, Rims).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from kernels.jit import jit
from kernels.threads import run_all, run_in_parts
from utils.depth.side_colours import AROUND
from utils.filters import nearest_marked
from utils.scene.edge_sides import NOISE, DepthPhoto, Edges

# A background is known from pixels beyond the band; a pixel is compared with the nearest of them,
# at most so many reaches away, evened out by a Gaussian.
AWAY, SMOOTH = 2, 0.5
ROWS_TOGETHER = 16  # rows that are evened out together, in radii of that Gaussian's window
# Those of the band that are as far from the outline (within ASIDE px) are compared along it: in a
# window that reaches so far beyond the band, of which every second row and column is looked at; so
# many px of a texture count as one.
ASIDE, WINDOW_PX, STRIDE, TEXTURE_PX = np.float32(0.75), 13, 2, np.float32(2)
# Traces are about this much of the difference between the two sides' colours, and at most so much.
MOST_TRACE = np.float32(0.35)


class _Band(NamedTuple):
    """The pixels of a band whose background is known."""

    pixels: np.ndarray  # (K,) flat index
    number: np.ndarray  # (H, W) int32, which of them each pixel is
    distance: np.ndarray  # (H, W) px from the outline, negative in the front; infinite beyond
    far: np.ndarray  # (K,) disparity of the back there
    rest: np.ndarray  # (K, 3) by how much they differ from the background
    doubt: np.ndarray  # (K,) how much of that, squared, may be the background's own slope
    contrast: np.ndarray  # (K,) squared difference of the two sides' colours


def find_traces(
    photo: DepthPhoto, edges: Edges, front: np.ndarray, band: np.ndarray, way: np.ndarray
) -> np.ndarray:
    """Find what in the colours of a background follows the outline before it.

    Args:
        photo: with what the background shows; in the band its own share.
        edges: of its depth.
        front: (H, W) bool, by disparity.
        band: (K,) flat index of the pixels in question.
        way: (K, 3) from the back's colour to the front's, for each of them.
    Returns:
        (K, 3) float32 to be taken from the band's colours, mostly 0.
    """
    back, reach, distance = photo.pixels, int(photo.reach), edges.distance
    far, traces = edges.far[edges.nearest], np.zeros((len(band), 3), np.float32)
    same = np.abs(photo.disparity - far) < photo.limit
    clean = ~front & (distance > reach + 1) & (distance <= AROUND * reach) & same
    if not clean.any():
        return traces
    away, number, pixels = nearest_marked(clean)
    source = pixels[number.flat[band]]
    known = (away.flat[band] <= AWAY * reach) & (distance.flat[band] <= reach)
    known &= np.abs(photo.disparity.flat[source] - far.flat[band]) < photo.limit
    known &= front.flat[band] | same.flat[band]
    band, source = band[known], source[known]
    number, along = np.zeros(front.shape, np.int32), np.full(front.shape, np.inf, np.float32)
    number.flat[band] = np.arange(len(band), dtype=np.int32)
    along.flat[band] = np.where(front.flat[band], -1, 1) * distance.flat[band]
    slope = np.full(len(edges.far), np.inf, np.float32)  # hair has no edge pixels
    run_in_parts(
        lambda begin, end: _measure_slope(
            back, distance, clean, edges.pixels[begin:end], reach, slope[begin:end]
        ),
        len(edges.pixels),
    )
    compared = _Band(
        band,
        number,
        along,
        far.flat[band],
        back.reshape(-1, 3)[band] - _even_out(back, clean, source, SMOOTH * reach),
        slope[edges.nearest.flat[band]] * away.flat[band] ** 2,
        (way[known] ** 2).sum(axis=1),
    )
    found = np.zeros((len(band), 3), np.float32)
    run_in_parts(
        lambda begin, end: _average_along(
            compared, begin, end, reach + WINDOW_PX, photo.limit, found
        ),
        len(band),
    )
    traces[known] = found
    return traces


def _even_out(back, clean, source, sigma):
    """Mean colours (K, 3) of the clean pixels around each source, in a Gaussian window.

    In bands, each with what lies around it: the colours are those of the photo blurred as a whole.
    """
    radius = (round(8 * sigma + 1) | 1) // 2
    (height, width), rows = clean.shape, ROWS_TOGETHER * radius
    mean = np.empty((len(source), 3), np.float32)

    def blur(band):
        among = np.flatnonzero(source // width // rows == band)
        if len(among) == 0:
            return
        y, x = np.divmod(source[among], width)
        top, bottom = max(0, band * rows - radius), min(height, (band + 1) * rows + radius)
        # What OpenCV does together starts at the same columns, or colours would be rounded anew.
        left, right = max(0, x.min() - radius) // 64 * 64, min(width, x.max() + radius + 64)
        counts = clean[top:bottom, left:right].astype(np.float32)
        sums = back[top:bottom, left:right] * counts[..., None]
        counts, sums = (
            cv2.GaussianBlur(part, (2 * radius + 1,) * 2, sigma) for part in (counts, sums)
        )
        y, x = y - top, x - left
        mean[among] = sums[y, x] / counts[y, x, None]

    run_all(blur, [(band,) for band in range(-(-height // rows))])
    return mean


@jit
def _measure_slope(back, distance, clean, edge, reach, slope):
    """How much a background varies per px from each edge pixel (E,), squared, summed over RGB."""
    height, width = distance.shape
    rings, radius = reach + 2, reach + WINDOW_PX
    sums, counts = np.zeros((rings, 3), np.float32), np.zeros(rings, np.float32)
    mean, square = np.zeros(3, np.float32), np.zeros(3, np.float32)
    for e in range(edge.shape[0]):
        y, x = edge[e] // width, edge[e] % width
        sums[:], counts[:], mean[:], square[:] = 0, 0, 0, 0
        for row in range(max(0, y - radius), min(height, y + radius + 1), STRIDE):
            for column in range(max(0, x - radius), min(width, x + radius + 1), STRIDE):
                ring = int(distance[row, column]) - reach - 1
                if clean[row, column] and 0 <= ring < rings:
                    counts[ring] += 1
                    for c in range(3):
                        sums[ring, c] += back[row, column, c]
        used = 0
        for ring in range(rings):
            if counts[ring] == 0:
                continue
            used += 1
            for c in range(3):
                mean[c] += sums[ring, c] / counts[ring]
                square[c] += (sums[ring, c] / counts[ring]) ** 2
        if used < 2:
            continue
        slope[e] = 0
        for c in range(3):
            slope[e] += max((square[c] - mean[c] ** 2 / used) / (used - 1), np.float32(0))
        slope[e] *= 12 / np.float32(rings * rings - 1)


@jit
def _average_along(band, begin, end, radius, limit, found):
    """Mean of the rest over pixels as far from the outline, less what may be chance: (K, 3)."""
    height, width = band.number.shape
    spread = np.float32(2 / radius**2)
    mean, square = np.zeros(3, np.float32), np.zeros(3, np.float32)
    for k in range(begin, end):
        y, x = band.pixels[k] // width, band.pixels[k] % width
        mean[:], square[:], own = 0, 0, band.distance[y, x]
        total, squares = np.float32(0), np.float32(0)
        for row in range(max(0, y - radius), min(height, y + radius + 1), STRIDE):
            for column in range(max(0, x - radius), min(width, x + radius + 1), STRIDE):
                if abs(band.distance[row, column] - own) > ASIDE:
                    continue
                j = band.number[row, column]
                if abs(band.far[j] - band.far[k]) >= limit:
                    continue
                weight = 1 / (1 + spread * ((row - y) ** 2 + (column - x) ** 2))
                total += weight
                squares += weight * weight
                for c in range(3):
                    mean[c] += weight * band.rest[j, c]
                    square[c] += weight * band.rest[j, c] ** 2
        whole, noise = np.float32(0), np.float32(0)
        for c in range(3):
            mean[c] /= total
            whole += mean[c] ** 2
            noise += max(square[c] / total - mean[c] ** 2, np.float32(0))
        noise *= min(TEXTURE_PX * squares / (total * total), np.float32(1))
        noise += NOISE * NOISE + band.doubt[k]
        if noise >= whole or whole > MOST_TRACE * MOST_TRACE * band.contrast[k]:
            continue
        taken = (1 - noise / whole) / (1 + noise / (MOST_TRACE * MOST_TRACE * band.contrast[k]))
        for c in range(3):
            found[k, c] = taken * mean[c]
