"""Bounding volume hierarchy: which triangle does a ray meet first?"""

import math
from typing import NamedTuple

import numpy as np

from .maths import jit

LEAF_SIZE = 4
BINS = 16


class Tree(NamedTuple):
    """Boxes (N, 2, 3) float32; link (N, 2) int32: (right child, 0) or (first triangle, count)."""

    boxes: np.ndarray
    links: np.ndarray
    corners: np.ndarray  # (F, 3, 3) float32 in tree order: corner, edge 1, edge 2
    order: np.ndarray  # (F,) int32: original index of each triangle


def build_tree(triangles):
    """Tree over (F, 3, 3) float32 triangles."""
    low, high = triangles.min(axis=1), triangles.max(axis=1)
    boxes, links, order = _split(low, high)
    sorted_triangles = triangles[order]
    sorted_triangles[:, 1:] -= sorted_triangles[:, :1]
    return Tree(boxes, links, np.ascontiguousarray(sorted_triangles), order)


@jit
def _area(low, high):
    a, b, c = high[0] - low[0], high[1] - low[1], high[2] - low[2]
    return a * b + b * c + c * a


@jit
def _bounds(low, high, order, first, last):
    box = np.empty((2, 3), np.float32)
    box[0], box[1] = np.inf, -np.inf
    for i in range(first, last):
        box[0] = np.minimum(box[0], low[order[i]])
        box[1] = np.maximum(box[1], high[order[i]])
    return box


@jit
def _best_cut(low, high, order, first, last):
    """Axis and position of the cheapest binned cut (surface area heuristic)."""
    best, best_axis, best_cut = np.inf, -1, 0.0
    for axis in range(3):
        start, stop = np.inf, -np.inf
        for i in range(first, last):
            centre = low[order[i], axis] + high[order[i], axis]
            start, stop = min(start, centre), max(stop, centre)
        if stop - start < 1e-9:
            continue
        count = np.zeros(BINS, np.int64)
        lows = np.full((BINS, 3), np.inf, np.float32)
        highs = np.full((BINS, 3), -np.inf, np.float32)
        for i in range(first, last):
            k = order[i]
            b = min(int((low[k, axis] + high[k, axis] - start) / (stop - start) * BINS), BINS - 1)
            count[b] += 1
            for a in range(3):
                lows[b, a] = min(lows[b, a], low[k, a])
                highs[b, a] = max(highs[b, a], high[k, a])
        cost = np.zeros(BINS)
        for turn in range(2):
            total, box_low, box_high = 0, lows[0] * 0 + np.inf, highs[0] * 0 - np.inf
            for step in range(BINS - 1):
                b = step if turn == 0 else BINS - 1 - step
                total += count[b]
                box_low, box_high = np.minimum(box_low, lows[b]), np.maximum(box_high, highs[b])
                if total:
                    cost[b if turn == 0 else b - 1] += total * _area(box_low, box_high)
        for b in range(BINS - 1):
            if cost[b] < best:
                best, best_axis = cost[b], axis
                best_cut = start + (stop - start) * (b + 1) / BINS
    return best_axis, best_cut


@jit
def _split(low, high):
    """Nodes in depth-first order, so that a left child follows its parent."""
    n = low.shape[0]
    order = np.arange(n).astype(np.int32)
    boxes = np.empty((2 * n, 2, 3), np.float32)
    links = np.zeros((2 * n, 2), np.int32)
    todo = [(0, n, -1)]
    nodes = 0
    while todo:
        first, last, parent = todo.pop()
        node = nodes
        nodes += 1
        if parent >= 0:
            links[parent, 0] = node
        boxes[node] = _bounds(low, high, order, first, last)
        middle = first
        if last - first > LEAF_SIZE:
            axis, cut = _best_cut(low, high, order, first, last)
            if axis >= 0:
                for i in range(first, last):
                    if low[order[i], axis] + high[order[i], axis] < cut:
                        order[i], order[middle] = order[middle], order[i]
                        middle += 1
            if middle == first or middle == last:
                middle = (first + last) // 2
            todo.append((middle, last, node))
            todo.append((first, middle, -1))
        else:
            links[node] = first, last - first
    return boxes[:nodes].copy(), links[:nodes].copy(), order


@jit
def _enter(boxes, node, origin, inverse, t_max):
    """Distance at which the ray enters the box, or infinity."""
    near, far = 0.0, t_max
    for a in range(3):
        t0 = (boxes[node, 0, a] - origin[a]) * inverse[a]
        t1 = (boxes[node, 1, a] - origin[a]) * inverse[a]
        near = max(near, min(t0, t1))
        far = min(far, max(t0, t1))
    return near if near <= far * 1.0000004 else 1e30


@jit
def _safe_inverse(d):
    return 1.0 / d if abs(d) > 1e-12 else math.copysign(1e12, d)


@jit
def intersect(tree, origin, direction, t_max, any_hit):
    """Nearest triangle along a ray (or just any one): (t, index in the tree or -1, u, v)."""
    inverse = (
        _safe_inverse(direction[0]),
        _safe_inverse(direction[1]),
        _safe_inverse(direction[2]),
    )
    stack_node = np.empty(64, np.int32)
    stack_t = np.empty(64, np.float64)
    stack_node[0], stack_t[0] = 0, _enter(tree.boxes, 0, origin, inverse, t_max)
    size, found, hit_u, hit_v = 1, -1, 0.0, 0.0
    while size:
        size -= 1
        node = stack_node[size]
        if stack_t[size] >= t_max:
            continue
        count = tree.links[node, 1]
        if count == 0:
            left, right = node + 1, tree.links[node, 0]
            t_left = _enter(tree.boxes, left, origin, inverse, t_max)
            t_right = _enter(tree.boxes, right, origin, inverse, t_max)
            if t_left > t_right:
                left, right, t_left, t_right = right, left, t_right, t_left
            if t_right < t_max:
                stack_node[size], stack_t[size] = right, t_right
                size += 1
            if t_left < t_max:
                stack_node[size], stack_t[size] = left, t_left
                size += 1
            continue
        first = tree.links[node, 0]
        for i in range(first, first + count):
            t, u, v = _triangle(tree.corners, i, origin, direction)
            if t < t_max:
                t_max, found, hit_u, hit_v = t, i, u, v
                if any_hit:
                    return t_max, found, hit_u, hit_v
    return t_max, found, hit_u, hit_v


@jit
def _triangle(corners, i, o, d):
    """Ray against triangle (Moeller and Trumbore 1997): (t, u, v), t = 1e30 when missed."""
    e1x, e1y, e1z = corners[i, 1, 0], corners[i, 1, 1], corners[i, 1, 2]
    e2x, e2y, e2z = corners[i, 2, 0], corners[i, 2, 1], corners[i, 2, 2]
    px, py, pz = d[1] * e2z - d[2] * e2y, d[2] * e2x - d[0] * e2z, d[0] * e2y - d[1] * e2x
    det = e1x * px + e1y * py + e1z * pz
    if abs(det) < 1e-14:
        return 1e30, 0.0, 0.0
    inv = 1.0 / det
    tx, ty, tz = o[0] - corners[i, 0, 0], o[1] - corners[i, 0, 1], o[2] - corners[i, 0, 2]
    u = (tx * px + ty * py + tz * pz) * inv
    if u < 0.0 or u > 1.0:
        return 1e30, 0.0, 0.0
    qx, qy, qz = ty * e1z - tz * e1y, tz * e1x - tx * e1z, tx * e1y - ty * e1x
    v = (d[0] * qx + d[1] * qy + d[2] * qz) * inv
    if v < 0.0 or u + v > 1.0:
        return 1e30, 0.0, 0.0
    t = (e2x * qx + e2y * qy + e2z * qz) * inv
    return (t if t > 1e-4 else 1e30), u, v
