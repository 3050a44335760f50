"""Surfaces through lattices of points, compiled: a scene is built of hundreds of small ones."""

import math

import numpy as np

from kernels.jit import jit


@jit(inline="always")
def _face_normal(points, a, b, c):
    """Cross product of two edges of a triangle: its normal, as long as twice its area."""
    px, py = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1]
    pz = points[b, 2] - points[a, 2]
    qx, qy = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1]
    qz = points[c, 2] - points[a, 2]
    return py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx


@jit
def measure_faces(
    points: np.ndarray, uvs: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Tiles of texture per metre (M,) and unit normals (M, 3) of the faces, float32.

    The mip level follows from the first, the choice of where to cast more rays from the second.
    """
    density = np.empty(faces.shape[0], np.float32)
    normals = np.empty((faces.shape[0], 3), np.float32)
    for face in range(faces.shape[0]):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ux, uy = uvs[b, 0] - uvs[a, 0], uvs[b, 1] - uvs[a, 1]
        vx, vy = uvs[c, 0] - uvs[a, 0], uvs[c, 1] - uvs[a, 1]
        nx, ny, nz = _face_normal(points, a, b, c)
        area = max(math.sqrt(nx * nx + ny * ny + nz * nz), 1e-12)
        density[face] = math.sqrt(abs(ux * vy - uy * vx) / area)
        normals[face, 0], normals[face, 1], normals[face, 2] = nx / area, ny / area, nz / area
    return density, normals


@jit
def _normalise(vectors):
    """Scale rows to length 1, in place."""
    for i in range(vectors.shape[0]):
        length = math.sqrt(vectors[i, 0] ** 2 + vectors[i, 1] ** 2 + vectors[i, 2] ** 2)
        for k in range(3):
            vectors[i, k] /= max(length, 1e-12)


@jit
def smooth_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals of the vertices, (N, 3) float32."""
    normals = np.zeros((points.shape[0], 3), np.float32)
    for face in range(faces.shape[0]):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        nx, ny, nz = _face_normal(points, a, b, c)
        for k in (a, b, c):
            normals[k, 0] += nx
            normals[k, 1] += ny
            normals[k, 2] += nz
    _normalise(normals)
    return normals


@jit
def skin(
    lattice: np.ndarray, faces: np.ndarray, wrap: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, normals and texture coordinates of the smooth surface through a lattice.

    Args:
        lattice: (rows, columns, 3) float64.
        faces: (M, 3) int32 over the flattened lattice.
        wrap: the last column repeats the first, so their normals are joined.
    Returns:
        (N, 3), (N, 3), (N, 2) float32; texture coordinates are arc lengths of the middle row and
        column, metres.
    """
    rows, columns = lattice.shape[0], lattice.shape[1]
    points = lattice.reshape(rows * columns, 3).astype(np.float32)
    normals = smooth_normals(points, faces)
    if wrap:
        for row in range(rows):
            first, last = row * columns, row * columns + columns - 1
            for k in range(3):
                joined = normals[first, k] + normals[last, k]
                normals[first, k] = joined
                normals[last, k] = joined
        _normalise(normals)
    uvs = np.empty((rows * columns, 2), np.float32)
    middle, v = columns // 2, 0.0
    for row in range(rows):
        if row > 0:
            v += _distance(lattice[row, middle], lattice[row - 1, middle])
        u = 0.0
        for column in range(columns):
            if column > 0:
                u += _distance(lattice[rows // 2, column], lattice[rows // 2, column - 1])
            uvs[row * columns + column, 0] = u
            uvs[row * columns + column, 1] = v
    return points, normals, uvs


@jit
def _distance(a, b):
    """Euclidean distance of two points."""
    return math.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)


@jit
def sweep(path: np.ndarray, radii: np.ndarray, segments: int) -> np.ndarray:
    """Rings around a path with rounded ends, (rings, segments + 1, 3) float64.

    Args:
        path: (K, 3) float64, K >= 2. radii: (K,) float64.
        segments: corners of a ring.
    """
    count = path.shape[0]
    caps = 1 if segments < 8 else 2
    out = np.empty((count + 2 * caps, segments + 1, 3))
    for i in range(-caps, count + caps):
        here = min(max(i, 0), count - 1)
        tangent = path[min(here + 1, count - 1)] - path[max(here - 1, 0)]
        tangent = tangent / max(math.sqrt((tangent * tangent).sum()), 1e-9)
        # A fixed helper direction keeps the rings from twisting.
        helper = np.array([0.31, 0.17, 0.93])
        if abs(path[1, 2] - path[0, 2]) > 0.8 * _distance(path[1], path[0]):
            helper = np.array([0.93, 0.31, 0.17])
        side = np.cross(tangent, helper)
        side = side / max(math.sqrt((side * side).sum()), 1e-9)
        other = np.cross(tangent, side)
        centre, radius = path[here].copy(), radii[here]
        if i != here:
            # Round ends: a ring at 60 degrees of latitude, then the pole.
            pole = abs(i - here) == caps
            reach = (1.0 if caps == 2 else 0.5) if pole else 0.87
            centre += tangent * (reach * radius if i > here else -reach * radius)
            radius *= 1e-3 if pole else 0.5
        for j in range(segments + 1):
            angle = 2 * math.pi * j / segments
            out[i + caps, j] = centre + radius * (math.cos(angle) * side + math.sin(angle) * other)
    return out


@jit
def rings(sections: np.ndarray, segments: int) -> np.ndarray:
    """Elliptic rings: sections (K, 5) of centre x, y, z and half widths -> (K, segments + 1, 3)."""
    count = sections.shape[0]
    out = np.empty((count, segments + 1, 3))
    for i in range(count):
        for j in range(segments + 1):
            angle = 2 * math.pi * j / segments
            out[count - 1 - i, j, 0] = sections[i, 0] + sections[i, 3] * math.cos(angle)
            out[count - 1 - i, j, 1] = sections[i, 1] + sections[i, 4] * math.sin(angle)
            out[count - 1 - i, j, 2] = sections[i, 2]
    return out


@jit
def globe(half: np.ndarray, segments: int, power: float) -> np.ndarray:
    """Rings of a superellipsoid with half axes (3,) around the origin."""
    rows = max(segments * 2 // 3, 6)
    out = np.empty((rows, segments + 1, 3))
    for i in range(rows):
        up = math.pi / 2 - math.pi * i / (rows - 1)
        radius, z = _bent(math.cos(up), power), _bent(math.sin(up), power)
        for j in range(segments + 1):
            angle = 2 * math.pi * j / segments
            out[i, j, 0] = half[0] * radius * _bent(math.cos(angle), power)
            out[i, j, 1] = half[1] * radius * _bent(math.sin(angle), power)
            out[i, j, 2] = half[2] * z
    return out


@jit
def _bent(value, power):
    """A power that keeps the sign."""
    return math.copysign(abs(value) ** power, value)


@jit
def placed(
    points: np.ndarray,
    normals: np.ndarray,
    uvs: np.ndarray,
    turn: np.ndarray,
    position: np.ndarray,
    factor: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotate and move points, rotate normals, scale texture coordinates; new float32 arrays."""
    out, bent = np.empty((len(points), 3), np.float32), np.empty((len(points), 3), np.float32)
    texture = np.empty((len(points), 2), np.float32)
    for i in range(len(points)):
        for k in range(3):
            out[i, k] = position[k] + (
                turn[k, 0] * points[i, 0] + turn[k, 1] * points[i, 1] + turn[k, 2] * points[i, 2]
            )
            bent[i, k] = (
                turn[k, 0] * normals[i, 0] + turn[k, 1] * normals[i, 1] + turn[k, 2] * normals[i, 2]
            )
        texture[i, 0], texture[i, 1] = uvs[i, 0] * factor, uvs[i, 1] * factor
    return out, bent, texture
