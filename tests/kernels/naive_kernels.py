"""The kernels once more as plain loops, slow and plain to read: what the fast ones are held to.

Arithmetic is float32 in the same order as in `kernels/cpu.py`, so decisions agree exactly.
"""

import math

import numpy as np

F = np.float32
PAIRS = [((1, 0), (-1, 0)), ((0, 1), (0, -1)), ((1, 1), (-1, -1)), ((1, -1), (-1, 1))]
DIRECTIONS = [
    (-1, 1), (0, 1), (1, 1), (1, 0), (-1, 2), (1, 2), (2, 1), (2, -1),
    (-2, 3), (-1, 3), (1, 3), (2, 3), (3, 2), (3, 1), (3, -1), (3, -2),
]  # fmt: skip


def project(point, size, focal_px, baseline):
    """(x, y, disparity) of one point in a frame, or None if it is dropped."""
    x, y, z = point
    if not (np.isfinite(z) and z >= F(0.001) and np.isfinite(x) and np.isfinite(y)):
        return None
    column = F(float(x * F(focal_px) / z) + 0.5 * size[1] - 0.5)
    row = F(float(y * F(focal_px) / z) + 0.5 * size[0] - 0.5)
    return column, row, F(focal_px * baseline / (float(z) + 1e-7))


def inside(x, y, size):
    return 0 <= x < size[1] and 0 <= y < size[0]


def footprint(x, y):
    """The four pixels around a position with their bilinear weights: NW, NE, SW, SE."""
    left, top = math.floor(x), math.floor(y)
    right, down = F(x - F(left)), F(y - F(top))
    return [
        (left, top, (1 - right) * (1 - down)),
        (left + 1, top, right * (1 - down)),
        (left, top + 1, (1 - right) * down),
        (left + 1, top + 1, right * down),
    ]


def zbuffer(points, size, focal_px, baseline):
    """(H, W) largest disparity of the points (3, N) nearest to each pixel."""
    buffer = np.zeros(size, F)
    for point in points.T:
        projected = project(point, size, focal_px, baseline)
        if projected is not None and all(map(math.isfinite, projected[:2])):
            x, y, _ = max(footprint(*projected[:2]), key=lambda pixel: pixel[2])
            if inside(x, y, size):
                buffer[y, x] = max(buffer[y, x], projected[2])
    return buffer


def degrid(buffer, tolerance=1.0):
    """A copy of a z-buffer with one-pixel cracks closed."""
    closed = buffer.copy()
    for y, x in np.ndindex(*buffer.shape):
        front = []
        for (ax, ay), (bx, by) in PAIRS:
            if inside(x + ax, y + ay, buffer.shape) and inside(x + bx, y + by, buffer.shape):
                pair = buffer[y + ay, x + ax], buffer[y + by, x + bx]
                if min(pair) >= buffer[y, x] + F(tolerance):
                    front += pair
        if front:
            closed[y, x] = max(closed[y, x], sum(front) / F(len(front)))
    return closed


def render_pointcloud(points, features, size, focal_px, baseline, tolerance=1.0):
    """View (C, H, W) and coverage (H, W) of one cloud (3, N) with features (C, N)."""
    closed = degrid(zbuffer(points, size, focal_px, baseline), tolerance)
    view, coverage = np.zeros((len(features), *size), F), np.zeros(size, F)
    for point, feature in zip(points.T, features.T, strict=True):
        projected = project(point, size, focal_px, baseline)
        if projected is None or not all(map(math.isfinite, projected[:2])):
            continue
        for x, y, weight in footprint(*projected[:2]):
            if inside(x, y, size) and projected[2] >= closed[y, x] - F(tolerance):
                view[:, y, x] += feature * weight
                coverage[y, x] += weight
    coverage[coverage < F(1e-4)] = 0
    return np.where(coverage > 0, view / np.maximum(coverage, F(1e-4)), 0), coverage


def walk(x, y, dx, dy, known):
    """First known pixel from (x, y) in steps (dx, dy), or None where the frame ends."""
    px, py = F(x), F(y)
    while True:
        px, py = F(px + dx), F(py + dy)
        cx, cy = (int(math.copysign(math.floor(abs(p) + 0.5), p)) for p in (px, py))
        if not inside(cx, cy, known.shape):
            return None
        if known[cy, cx]:
            return cx, cy


def fill_source(x, y, depth):
    """(x, y) that a hole takes its value from, or None where no line has two known ends."""
    best, source = math.inf, None
    for dx, dy in DIRECTIONS:
        length = F(math.sqrt(dx * dx + dy * dy))
        dx, dy = F(dx) / length, F(dy) / length
        ends = walk(x, y, -dx, -dy, depth > 0), walk(x, y, dx, dy, depth > 0)
        if None in ends:
            continue
        (ax, ay), (bx, by) = ends
        squared = (ax - bx) ** 2 + (ay - by) ** 2
        if squared < best:
            best, source = squared, ends[0] if depth[ay, ax] >= depth[by, bx] else ends[1]
    return source


def nearest_known(x, y, known):
    """Squared distance of the nearest known pixel, and the set of pixels that far away."""
    ys, xs = np.nonzero(known)
    squared = (xs - x) ** 2 + (ys - y) ** 2
    nearest = squared == squared.min()
    return squared.min(), set(zip(xs[nearest].tolist(), ys[nearest].tolist(), strict=True))


def disocclusion_mask(points, size, focal_px, baseline):
    """(H, W) mask of the points (3, H * W) that win their target pixel."""
    best, winner = {}, {}
    for i, point in enumerate(points.T):
        projected = project(point, size, focal_px, baseline)
        if projected is None or not all(map(math.isfinite, projected[:2])):
            continue
        x, y, _ = max(footprint(*projected[:2]), key=lambda pixel: pixel[2])
        key = F(1e6 - focal_px * baseline / (float(point[2]) + 1e-7))
        if inside(x, y, size) and key < best.get((x, y), math.inf):
            best[x, y], winner[x, y] = key, i
    mask = np.zeros(points.shape[1], F)
    mask[list(winner.values())] = 1
    return mask.reshape(size)


def lay_rims(frame, opaque, rims, size, focal_px, scale):
    """(H, W, 3) float frame with rims over it: tents in front of the z-buffer `opaque` (H, W).

    Rims: points (3, M), colors (M, 4), spacing (M,). Where the z-buffer has the rim's own surface
    nothing is added, as all points of the cloud must show there in this plain version.
    """
    color, shown, weights = np.zeros((*size, 3)), np.zeros(size), np.zeros(size)
    for (x, y, z), rgba, spacing in zip(rims[0].T, rims[1], rims[2], strict=True):
        u = x * focal_px / z + (size[1] - 1) / 2
        v = y * focal_px / z + (size[0] - 1) / 2
        grown = spacing * focal_px / z
        spread, alpha = max(grown, 1.0), min(rgba[3], 254) / 254
        for row, column in np.ndindex(*size):
            tent = max(1 - abs(row - v) / spread, 0) * max(1 - abs(column - u) / spread, 0)
            if tent and scale / z - opaque[row, column] > 1:
                tent *= min(grown, 1.0) ** 2
                color[row, column] += tent * alpha * rgba[:3].astype(float)
                shown[row, column] += tent * alpha
                weights[row, column] += tent
    share = (shown / np.clip(weights, 1e-9, 1)).clip(0, 1)[..., None]
    own = color / np.maximum(shown, 1e-9)[..., None]
    return np.where(shown[..., None] > 1e-4, own * share + frame * (1 - share), frame)
