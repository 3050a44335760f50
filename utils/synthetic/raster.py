"""From triangles to pixels: the ray caster of the synthetic scenes.

Rays are cast in object order: a triangle (v0, v1, v2) seen from the origin is hit by the ray d
exactly if the three triple products d . (v1 x v2), d . (v2 x v0), d . (v0 x v1) have one sign, and
their sum divided by v0 . (v1 x v2) is 1 / z. All are linear in the pixel, so a triangle costs a
few multiplications a row, needs no clipping, and its depth is exact to rounding. The same code
fills shadow maps, where the third coordinate of an orthographic light is constant 1.

All functions here are scalar Numba code without threads, so processes or threads may run them
side by side.
"""

import math
from typing import NamedTuple

import numpy as np

from kernels.jit import jit

NEAR = 0.02
"""Metres; nothing nearer to the camera is drawn."""

TEXTURE_SIZE = 256
TEXTURE_LEVELS = 9
LEVEL_OFFSETS = np.cumsum([0] + [(TEXTURE_SIZE >> i) ** 2 * 4 for i in range(TEXTURE_LEVELS)])


@jit
def project(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Multiply (N, 3) points by a (4, 4) matrix: rows give x*w, y*w, w and the depth key times w.

    Args:
        points: (N, 3) float32, world frame.
        matrix: (4, 4) float64. A camera has key 1 (so key / w = 1 / z); an orthographic light
            has w = 1 and a key that grows towards the light.
    Returns:
        (N, 6) float64: the four products, then x and y themselves (meaningless behind the camera).
    """
    out = np.empty((points.shape[0], 6))
    for i in range(points.shape[0]):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        for k in range(4):
            out[i, k] = matrix[k, 0] * x + matrix[k, 1] * y + matrix[k, 2] * z + matrix[k, 3]
        inverse = 1.0 / out[i, 2] if out[i, 2] != 0.0 else 0.0
        out[i, 4] = out[i, 0] * inverse
        out[i, 5] = out[i, 1] * inverse
    return out


@jit
def _corners(level, u, v):
    """Offsets of the four texels around (u, v) in a mip level, and the two blending weights."""
    size = TEXTURE_SIZE >> level
    x, y = u * size - 0.5, v * size - 0.5
    x0, y0 = math.floor(x), math.floor(y)
    left, top = int(x0) & (size - 1), int(y0) & (size - 1)
    right, bottom = (left + 1) & (size - 1), (top + 1) & (size - 1)
    base = LEVEL_OFFSETS[level]
    top, bottom = base + top * size * 4, base + bottom * size * 4
    return top + left * 4, top + right * 4, bottom + left * 4, bottom + right * 4, x - x0, y - y0


@jit
def fetch(atlas: np.ndarray, texture: int, level: int, u: float, v: float, channel: int) -> float:
    """One bilinear sample of one channel of one mip level, wrapping around, in [0, 255]."""
    a, b, c, d, fx, fy = _corners(level, u, v)
    row = atlas[texture]
    upper = row[a + channel] * (1 - fx) + row[b + channel] * fx
    return upper * (1 - fy) + (row[c + channel] * (1 - fx) + row[d + channel] * fx) * fy


@jit
def fetch_colour(
    atlas: np.ndarray, texture: int, level: float, u: float, v: float, out: np.ndarray
) -> None:
    """Trilinear colour at a fractional level as linear light into out (3,).

    Textures are stored as square roots of linear light.
    """
    low = int(level)
    part = level - low
    a, b, c, d, fx, fy = _corners(low, u, v)
    row = atlas[texture]
    for k in range(3):
        upper = row[a + k] * (1 - fx) + row[b + k] * fx
        out[k] = upper * (1 - fy) + (row[c + k] * (1 - fx) + row[d + k] * fx) * fy
    if part > 0.02:
        a, b, c, d, fx, fy = _corners(min(low + 1, TEXTURE_LEVELS - 1), u, v)
        for k in range(3):
            upper = row[a + k] * (1 - fx) + row[b + k] * fx
            value = upper * (1 - fy) + (row[c + k] * (1 - fx) + row[d + k] * fx) * fy
            out[k] += part * (value - out[k])
    for k in range(3):
        out[k] = out[k] * out[k] * (1.0 / 65025.0)


@jit
def _columns(edges, y, left, right):
    """The pixels left..right of row y inside all three edges; empty if the first exceeds the last.

    edges: (3, 3); the triangle is where edges[i] . (x, y, 1) >= 0 for all i.
    """
    low, high = float(left), float(right)
    for i in range(3):
        slope = edges[i, 0]
        constant = edges[i, 1] * y + edges[i, 2]
        if slope > 0.0:
            low = max(low, -constant / slope)
        elif slope < 0.0:
            high = min(high, -constant / slope)
        elif constant < 0.0:
            return 1, 0
    if high < low:
        return 1, 0
    return int(math.ceil(low)), int(math.floor(high))


@jit
def _bounds(projected, corners, near):
    """Box (left, right, top, bottom) of the part of a triangle with w > near, in pixels."""
    low_x, low_y, high_x, high_y = 1e9, 1e9, -1e9, -1e9
    cut = False
    for i in range(3):
        row = projected[corners[i]]
        if row[2] > near:
            low_x, high_x = min(low_x, row[4]), max(high_x, row[4])
            low_y, high_y = min(low_y, row[5]), max(high_y, row[5])
        else:
            cut = True
    for i in range(3 if cut else 0):
        a, b = projected[corners[i]], projected[corners[(i + 1) % 3]]
        if (a[2] > near) != (b[2] > near):
            t = (near - a[2]) / (b[2] - a[2])
            x, y = (a[0] + t * (b[0] - a[0])) / near, (a[1] + t * (b[1] - a[1])) / near
            low_x, high_x = min(low_x, x), max(high_x, x)
            low_y, high_y = min(low_y, y), max(high_y, y)
    return low_x, high_x, low_y, high_y


@jit
def _edges(corners, out):
    """Fill `out` (3, 3) with the edge functions, positive inside; return the determinant."""
    for i in range(3):
        a, b = (i + 1) % 3, (i + 2) % 3
        out[i, 0] = corners[a, 1] * corners[b, 2] - corners[a, 2] * corners[b, 1]
        out[i, 1] = corners[a, 2] * corners[b, 0] - corners[a, 0] * corners[b, 2]
        out[i, 2] = corners[a, 0] * corners[b, 1] - corners[a, 1] * corners[b, 0]
    volume = corners[0, 0] * out[0, 0] + corners[0, 1] * out[0, 1] + corners[0, 2] * out[0, 2]
    if volume < 0.0:
        out *= -1.0
        volume = -volume
    return volume


class Casters(NamedTuple):
    """The triangles of a scene as rays meet them."""

    faces: np.ndarray  # (M, 3) int32
    visible: np.ndarray  # (M,) bool; the others are skipped (a ceiling shall not cast shadows)
    cutout: np.ndarray  # (M,) int32, texture whose alpha cuts holes, or -1
    uvs: np.ndarray  # (N, 2) float32 texture coordinates in tiles
    atlas: np.ndarray  # (T, bytes) uint8 textures with their mip levels


@jit
def _is_hole(casters, face, edges, x, y):
    """Whether the texture that cuts holes into a triangle leaves the pixel (x, y) out."""
    a, b, c = casters.faces[face, 0], casters.faces[face, 1], casters.faces[face, 2]
    wa = edges[0, 0] * x + edges[0, 1] * y + edges[0, 2]
    wb = edges[1, 0] * x + edges[1, 1] * y + edges[1, 2]
    wc = edges[2, 0] * x + edges[2, 1] * y + edges[2, 2]
    total = 1.0 / (wa + wb + wc)
    uvs = casters.uvs
    u = (wa * uvs[a, 0] + wb * uvs[b, 0] + wc * uvs[c, 0]) * total
    v = (wa * uvs[a, 1] + wb * uvs[b, 1] + wc * uvs[c, 1]) * total
    return fetch(casters.atlas, casters.cutout[face], 0, u, v, 3) < 127.5


@jit
def rasterize(
    projected: np.ndarray, casters: Casters, near: float, keys: np.ndarray, ids: np.ndarray
) -> None:
    """Cast one ray through every pixel of a buffer and keep the nearest triangle.

    Args:
        projected: (N, 6) float64 of `project`, in pixels of the buffer.
        casters: Casters.
        near: smallest w that is drawn.
        keys: (H, W) float32, read and written: the largest key so far (1 / z for a camera).
        ids: (H, W) int32, read and written: the triangle that holds the pixel.
    """
    height, width = keys.shape
    corners, edges = np.empty((3, 3)), np.empty((3, 3))
    for face in range(casters.faces.shape[0]):
        if not casters.visible[face]:
            continue
        a, b, c = casters.faces[face, 0], casters.faces[face, 1], casters.faces[face, 2]
        if projected[a, 2] <= near and projected[b, 2] <= near and projected[c, 2] <= near:
            continue
        low_x, high_x, low_y, high_y = _bounds(projected, casters.faces[face], near)
        left, right = math.ceil(max(low_x, 0.0)), math.floor(min(high_x, width - 1.0))
        top, bottom = math.ceil(max(low_y, 0.0)), math.floor(min(high_y, height - 1.0))
        if left > right or top > bottom:
            continue
        for k in range(3):
            corners[0, k] = projected[a, k]
            corners[1, k] = projected[b, k]
            corners[2, k] = projected[c, k]
        volume = _edges(corners, edges)
        if volume < 1e-12:
            continue
        ka, kb, kc = projected[a, 3], projected[b, 3], projected[c, 3]
        step = (edges[0, 0] * ka + edges[1, 0] * kb + edges[2, 0] * kc) / volume
        down = (edges[0, 1] * ka + edges[1, 1] * kb + edges[2, 1] * kc) / volume
        start = (edges[0, 2] * ka + edges[1, 2] * kb + edges[2, 2] * kc) / volume
        for y in range(top, bottom + 1):
            first, last = _columns(edges, y, left, right)
            row = start + down * y
            for x in range(first, last + 1):
                key = np.float32(row + step * x)
                if key <= keys[y, x]:
                    continue
                if casters.cutout[face] >= 0 and _is_hole(casters, face, edges, x, y):
                    continue
                keys[y, x] = key
                ids[y, x] = face
