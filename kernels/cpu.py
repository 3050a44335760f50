"""The renderer and the disocclusion mask on the CPU (Numba): the twin of `cuda.py`.

All frames are padded by one pixel on every side, so that no splat needs a bounds test: the pixel
(x, y) of a frame W wide lies at (y + 1) * (W + 2) + x + 1. Sums run in the order of the points,
and threads share out samples and channel groups only, so the same input gives the same bytes for
any number of threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from .constants import COVERAGE_THRESHOLD, GUARD, NEAR_PLANE, TOLERANCE
from .cpu_fill import fill_disocclusion as fill_disocclusion
from .jit import jit
from .threads import run_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

CHANNEL_GROUP = 16  # channels accumulated together: 16 floats fill a cache line
TOGETHER = 256  # points transposed together, small enough for the first-level cache
DROPPED = np.int32(-1)
NOWHERE = np.float32(-np.inf)  # disparity of the padding: never in front of anything


@jit
def _project(points, size, focal_px, baseline, corner, frac_x, frac_y, disparity):
    """Write each point's upper left pixel (or DROPPED), position within it, and disparity."""
    (height, width), focal = size, np.float32(focal_px)
    center_x, center_y = 0.5 * width - 0.5, 0.5 * height - 0.5
    for i in range(points.shape[1]):
        corner[i] = DROPPED
        z = points[2, i]
        if not (z >= NEAR_PLANE and z < np.inf):
            continue
        # The ratio in single precision, the centre added in double, rounded once: a point made from
        # a pixel falls onto that pixel's centre again (docs/method/rendering.md).
        x = np.float32(points[0, i] * focal / z + center_x)
        y = np.float32(points[1, i] * focal / z + center_y)
        # One pixel outside still gives weight to the border; the padding takes the rest.
        if x >= -1 and x < width and y >= -1 and y < height:
            left, top = np.floor(x), np.floor(y)
            corner[i] = (int(top) + 1) * (width + 2) + int(left) + 1
            frac_x[i], frac_y[i] = x - left, y - top
            disparity[i] = np.float32(focal_px * baseline / (z + GUARD))


@jit
def _nearest(corner, frac_x, frac_y, stride):
    """Index of the pixel with the largest bilinear weight (ties: left, then upper)."""
    half = np.float32(0.5)
    return corner + (1 if frac_x > half else 0) + (stride if frac_y > half else 0)


@jit
def clear_padding(frame: np.ndarray, value: float) -> None:
    """Set the outermost pixels of a padded frame (rows, columns)."""
    frame[0], frame[-1] = value, value
    frame[:, 0], frame[:, -1] = value, value


@jit
def _largest_disparity(corner, frac_x, frac_y, disparity, zbuffer):
    """Keep per pixel of the padded z-buffer (H + 2, W + 2) the largest disparity; 0 = empty."""
    flat, stride = zbuffer.reshape(-1), zbuffer.shape[1]
    for i in range(corner.shape[0]):
        if corner[i] != DROPPED:
            pixel = _nearest(corner[i], frac_x[i], frac_y[i], stride)
            flat[pixel] = max(flat[pixel], disparity[i])
    # What lies outside the frame must close no crack inside.
    clear_padding(zbuffer, NOWHERE)


@jit
def degrid(zbuffer: np.ndarray, closed: np.ndarray) -> None:
    """Close one-pixel cracks: pull a pixel up to the mean of opposite neighbours in front of it.

    Reads one padded z-buffer and writes another, so the order of the pixels does not matter.
    """
    height, width = zbuffer.shape[0] - 2, zbuffer.shape[1] - 2
    for y in range(height + 2):  # the padding stays as it is
        for x in range(width + 2):
            closed[y, x] = zbuffer[y, x]
    for y in range(1, height + 1):
        above, here, below = zbuffer[y - 1], zbuffer[y], zbuffer[y + 1]
        for x in range(1, width + 1):
            limit = here[x] + TOLERANCE
            total, count = np.float32(0), np.float32(0)
            for first, second in (
                (here[x + 1], here[x - 1]),
                (below[x], above[x]),
                (below[x + 1], above[x - 1]),
                (above[x + 1], below[x - 1]),
            ):
                # One nearer neighbour is a silhouette, two opposite ones are a surface with a
                # crack in it (docs/method/rendering.md).
                both = first >= limit and second >= limit
                total += first + second if both else np.float32(0)
                count += np.float32(2) if both else np.float32(0)
            mean = total / max(count, np.float32(1))
            closed[y, x] = max(here[x], mean)


@jit
def _weigh(corner, frac_x, frac_y, disparity, closed, weights, coverage):
    """Write the four weights of each point, 0 where it is hidden, and sum them per pixel."""
    flat, stride = closed.reshape(-1), closed.shape[1]
    one = np.float32(1)
    for i in range(corner.shape[0]):
        start = corner[i]
        if start == DROPPED:
            weights[i] = np.float32(0)
            continue
        right, down = frac_x[i], frac_y[i]
        weights[i, 0] = (one - right) * (one - down)
        weights[i, 1] = right * (one - down)
        weights[i, 2] = (one - right) * down
        weights[i, 3] = right * down
        for k in range(4):
            pixel = start + (k & 1) + (k >> 1) * stride
            # Not the nearest point alone: all points of the nearest surface are blended.
            if disparity[i] < flat[pixel] - TOLERANCE:
                weights[i, k] = np.float32(0)
            coverage[pixel] += weights[i, k]


@jit
def _splat(features, corner, weights, coverage, view):
    """Add one group of channels of all points to their pixels and normalise: (C, N) -> (C, H, W).

    Channels lie side by side in the sums, so that one point's add is a vector operation; blocks
    of points are transposed to match.
    """
    channels, height, width = view.shape
    stride = width + 2
    sums = np.zeros((coverage.shape[0], channels), np.float32)
    block = np.empty((TOGETHER, channels), np.float32)
    for begin in range(0, corner.shape[0], TOGETHER):
        count = min(TOGETHER, corner.shape[0] - begin)
        for c in range(channels):
            for j in range(count):
                block[j, c] = features[c, begin + j]
        for j in range(count):
            start = corner[begin + j]
            if start == DROPPED:
                continue
            for k in range(4):
                weight = weights[begin + j, k]
                if weight > 0:
                    pixel = start + (k & 1) + (k >> 1) * stride
                    for c in range(channels):
                        sums[pixel, c] += block[j, c] * weight
    for y in range(height):
        for x in range(width):
            pixel = (y + 1) * stride + x + 1
            total = coverage[pixel]
            covered = total >= COVERAGE_THRESHOLD
            for c in range(channels):
                # Next to no weight is rounding at a splat's rim, and would be divided by itself.
                view[c, y, x] = sums[pixel, c] / total if covered else np.float32(0)


@jit
def _gather(grad_view, corner, weights, coverage, grad_features):
    """Adjoint of `_splat`: each point collects from its pixels what it gave them."""
    channels, height, width = grad_view.shape
    stride = width + 2
    grads = np.zeros((coverage.shape[0], channels), np.float32)
    for y in range(height):
        for x in range(width):
            pixel = (y + 1) * stride + x + 1
            if coverage[pixel] >= COVERAGE_THRESHOLD:
                for c in range(channels):
                    grads[pixel, c] = grad_view[c, y, x] / coverage[pixel]
    block = np.empty((TOGETHER, channels), np.float32)
    for begin in range(0, corner.shape[0], TOGETHER):
        count = min(TOGETHER, corner.shape[0] - begin)
        for j in range(count):
            start = corner[begin + j]
            for c in range(channels):
                block[j, c] = 0
            for k in range(4):
                weight = weights[begin + j, k]
                if weight > 0:
                    pixel = start + (k & 1) + (k >> 1) * stride
                    for c in range(channels):
                        block[j, c] += grads[pixel, c] * weight
        for c in range(channels):
            for j in range(count):
                grad_features[c, begin + j] = block[j, c]


@jit
def _visible_points(points, height, width, focal_px, baseline, mask):
    """Mark the winner of each pixel: smallest key, then smallest index; see `disocclusion_mask`."""
    count = points.shape[1]
    corner = np.empty(count, np.int32)
    frac_x, frac_y = np.empty(count, np.float32), np.empty(count, np.float32)
    disparity = np.empty(count, np.float32)
    _project(points, (height, width), focal_px, baseline, corner, frac_x, frac_y, disparity)
    stride = width + 2
    best = np.full(stride * (height + 2), np.inf, np.float32)
    winner = np.full(stride * (height + 2), -1, np.int32)
    for i in range(count):
        if corner[i] != DROPPED:
            # Single precision rounds this to steps of 1/16, as the reference's training masks were
            # (docs/method/reference.md, Quirks we keep).
            key = np.float32(1e6 - focal_px * baseline / (points[2, i] + GUARD))
            pixel = _nearest(corner[i], frac_x[i], frac_y[i], stride)
            if key < best[pixel]:  # strictly: equal keys stay with the earlier point
                best[pixel], winner[pixel] = key, i
    for y in range(1, height + 1):
        for x in range(1, width + 1):
            if winner[y * stride + x] >= 0:
                mask[winner[y * stride + x]] = np.float32(1)


def _projected(points, size, focal_px, baseline):
    """Corner, fractions and disparity (all (N,)) of one sample's points (3, N)."""
    count = points.shape[1]
    corner = np.empty(count, np.int32)
    frac_x, frac_y, disparity = np.zeros((3, count), np.float32)
    _project(points, size, focal_px, baseline, corner, frac_x, frac_y, disparity)
    return corner, frac_x, frac_y, disparity


def _closed_zbuffer(projected, size):
    """Padded z-buffers (H + 2, W + 2) of one sample, before and after degridding."""
    zbuffer = np.zeros((size[0] + 2, size[1] + 2), np.float32)
    _largest_disparity(*projected, zbuffer)
    closed = np.empty_like(zbuffer)
    degrid(zbuffer, closed)
    return zbuffer, closed


def _footprints(points, size, focal_px, baseline):
    """Corner (N,), weights (N, 4) and summed weights per padded pixel of one sample."""
    projected = _projected(points, size, focal_px, baseline)
    _, closed = _closed_zbuffer(projected, size)
    weights = np.empty((points.shape[1], 4), np.float32)
    coverage = np.zeros(closed.size, np.float32)
    _weigh(*projected, closed, weights, coverage)
    return projected[0], weights, coverage


def _groups(channels):
    """Slices that cut the channels into groups of at most CHANNEL_GROUP."""
    return [slice(c, min(c + CHANNEL_GROUP, channels)) for c in range(0, channels, CHANNEL_GROUP)]


def splat(
    points: torch.Tensor,
    features: torch.Tensor,
    size: tuple[int, int],
    focal_px: Sequence[float],
    baseline: Sequence[float],
) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Forward pass of `kernels.render_pointcloud`; focal_px and baseline are lists of B floats.

    Returns:
        view (B, C, H, W), coverage (B, 1, H, W), and the tensors that `gather` needs again:
        corner, weights and coverage (`_footprints`) of one sample after the other.
    """
    positions, values = points.numpy(), features.numpy()
    batch, channels = values.shape[:2]
    cameras = [(positions[b], size, focal_px[b], baseline[b]) for b in range(batch)]
    footprints = run_all(_footprints, cameras)
    view = np.empty((batch, channels, *size), np.float32)
    run_all(
        _splat,
        [
            (values[b, group], *footprints[b], view[b, group])
            for b in range(batch)
            for group in _groups(channels)
        ],
    )
    coverage = np.empty((batch, 1, *size), np.float32)
    for b in range(batch):
        summed = footprints[b][2].reshape(size[0] + 2, size[1] + 2)[1:-1, 1:-1]
        coverage[b, 0] = np.where(summed >= COVERAGE_THRESHOLD, summed, 0)
    needed = tuple(torch.from_numpy(part) for sample in footprints for part in sample)
    return torch.from_numpy(view), torch.from_numpy(coverage), needed


def gather(grad_view: torch.Tensor, footprints: Any) -> torch.Tensor:
    """Backward pass of `kernels.render_pointcloud`: (B, C, H, W) -> (B, C, N)."""
    given = grad_view.contiguous().numpy()
    batch, channels = given.shape[:2]
    parts = [part.numpy() for part in footprints]
    samples = [parts[3 * b : 3 * b + 3] for b in range(batch)]
    grad = np.empty((batch, channels, len(parts[0]) if batch else 0), np.float32)
    run_all(
        _gather,
        [
            (given[b, group], *samples[b], grad[b, group])
            for b in range(batch)
            for group in _groups(channels)
        ],
    )
    return torch.from_numpy(grad)


def zbuffer(
    points: torch.Tensor,
    size: tuple[int, int],
    focal_px: Sequence[float],
    baseline: Sequence[float],
    degridded: bool,
) -> torch.Tensor:
    """See `kernels.zbuffer`; focal_px and baseline are lists of B floats."""
    result = np.empty((len(points), 1, *size), np.float32)
    for b, cloud in enumerate(points.numpy()):
        projected = _projected(cloud, size, focal_px[b], baseline[b])
        result[b, 0] = _closed_zbuffer(projected, size)[int(degridded)][1:-1, 1:-1]
    return torch.from_numpy(result)


def disocclusion_mask(
    points: torch.Tensor,
    size: tuple[int, int],
    focal_px: Sequence[float],
    baseline: Sequence[float],
) -> torch.Tensor:
    """See `kernels.disocclusion_mask`; focal_px and baseline are lists of B floats."""
    mask = np.zeros((len(points), size[0] * size[1]), np.float32)
    run_all(
        _visible_points,
        [
            (cloud, *size, focal_px[b], baseline[b], mask[b])
            for b, cloud in enumerate(points.numpy())
        ],
    )
    return torch.from_numpy(mask).reshape(-1, 1, *size)
