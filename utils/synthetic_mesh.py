"""Shapes of the synthetic scenes, and the builder that collects them.

World frame: x right, y forward, z up, metres. A mesh is a tuple (points (N, 3), normals (N, 3),
uvs (N, 2), faces (M, 3)); texture coordinates are in metres, a material says how many tiles a metre
holds. Shapes stand on z = 0 around the origin unless they say otherwise.
"""

import contextlib
import functools

import numpy as np

from utils.synthetic_raster import smooth_normals
from utils.synthetic_shading import (
    BLUE,
    CONTRAST,
    CUTOUT,
    GLOSS,
    GLOW,
    GREEN,
    GRUNGE,
    MATERIAL_COLUMNS,
    POWER,
    RED,
    TEXTURE,
    THROUGH,
)

MOST_INSTANCES = 255


@functools.cache
def _lattice(rows, columns):
    """Faces of a grid of rows x columns vertices, (2 (rows-1) (columns-1), 3) int32."""
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3),
                           np.stack([a, c, d], -1).reshape(-1, 3)])


@functools.cache
def _unit_box():
    """Corners in [-0.5, 0.5], normals, face directions for the texture, and faces of a box."""
    points, normals, across, along = [], [], [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            u, v = [(1, 2), (0, 2), (0, 1)][axis]
            for a, b in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)):
                point = np.zeros(3)
                point[axis], point[u], point[v] = sign / 2, a, b
                points.append(point)
                normals.append(sign * np.eye(3)[axis])
                across.append(u)
                along.append(v)
    faces = np.array([[4 * i + k for k in t] for i in range(6) for t in ((0, 1, 2), (0, 2, 3))])
    points, normals = np.array(points, np.float32), np.array(normals, np.float32)
    return points, normals, np.array(across), np.array(along), faces.astype(np.int32)


def box(width, depth, height):
    """A box standing on z = 0."""
    unit, normals, across, along, faces = _unit_box()
    points = unit * np.array([width, depth, height], np.float32)
    index = np.arange(24)
    uvs = np.stack([points[index, across], -points[index, along]], 1)
    points[:, 2] += height / 2
    return points, normals, uvs, faces


def quad(corner, across, along, tiled=True):
    """A parallelogram; its texture runs in metres, or spans it exactly once if not tiled."""
    corner, across, along = (np.asarray(v, np.float32) for v in (corner, across, along))
    steps = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    points = corner + steps[:, :1] * across + steps[:, 1:] * along
    normal = np.cross(across, along)
    normal = np.broadcast_to(normal / np.linalg.norm(normal), (4, 3)).astype(np.float32)
    size = np.array([np.linalg.norm(across), np.linalg.norm(along)]) if tiled else 1.0
    uvs = np.stack([steps[:, 0], 1 - steps[:, 1]], 1) * size
    return points, normal, uvs, np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def grid(points, uvs=None, wrap=False):
    """A smooth surface through a lattice of points (rows, columns, 3).

    uvs: (rows, columns, 2), by default arc lengths of the middle row and column. wrap: the last
    column repeats the first, and their normals are joined.
    """
    rows, columns = points.shape[:2]
    points = np.ascontiguousarray(points, np.float32)
    if uvs is None:
        along_u = np.linalg.norm(np.diff(points[rows // 2], axis=0), axis=1)
        along_v = np.linalg.norm(np.diff(points[:, columns // 2], axis=0), axis=1)
        u, v = (np.concatenate([[0], np.cumsum(x)]) for x in (along_u, along_v))
        uvs = np.stack(np.broadcast_arrays(u[None], v[:, None]), -1)
    faces = _lattice(rows, columns)
    normals = smooth_normals(points.reshape(-1, 3), faces).reshape(points.shape)
    if wrap:
        joined = normals[:, 0] + normals[:, -1]
        joined /= np.maximum(np.linalg.norm(joined, axis=1, keepdims=True), 1e-9)
        normals[:, 0] = normals[:, -1] = joined
    flat = uvs.reshape(-1, 2).astype(np.float32)
    return points.reshape(-1, 3), normals.reshape(-1, 3), flat, faces


@functools.cache
def _circle(segments):
    """Unit circle, closed: (segments + 1, 2)."""
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def loft(sections, segments=14):
    """A closed skin over elliptic rings.

    sections: (K, 5) rows of (x, y, z of the centre, half width in x, half width in y).
    """
    sections = np.asarray(sections, float)
    circle = _circle(segments)
    points = sections[:, None, :3].repeat(segments + 1, 1)
    points[..., :2] += circle[None] * sections[:, None, 3:]
    return grid(points[::-1], wrap=True)


def lathe(profile, segments=18):
    """A vase: profile (K, 2) of (radius, z), turned around the z axis. Close it with radius 0."""
    profile = np.asarray(profile, float)
    zero = np.zeros(len(profile))
    return loft(np.stack([zero, zero, profile[:, 1], profile[:, 0], profile[:, 0]], 1), segments)


def cylinder(radius, height, segments=14, top=None):
    """A closed cylinder, or a truncated cone if `top` names another radius."""
    top = radius if top is None else top
    e = 1e-3
    return lathe([(0, 0), (radius, 0), (radius, e), (top, height - e), (top, height), (0, height)],
                 segments)


def ellipsoid(width, depth, height, segments=14, power=1.0):
    """An ellipsoid centred at the origin; power < 1 makes it a rounded box, > 1 an octahedron."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, max(segments * 2 // 3, 6))
    ring, circle = np.stack([np.cos(angle), np.sin(angle)], 1), _circle(segments)
    if power != 1.0:
        ring, circle = (np.sign(v) * np.abs(v) ** power for v in (ring, circle))
    points = np.empty((len(angle), segments + 1, 3))
    points[..., :2] = ring[:, None, :1] * circle[None]
    points[..., 2] = ring[:, 1:]
    return grid(points[::-1] * (np.array([width, depth, height]) / 2), wrap=True)


def cushion(width, depth, height, power=0.35, segments=16):
    """A rounded box standing on z = 0."""
    return shifted(ellipsoid(width, depth, height, segments, power), (0, 0, height / 2))


def tube(path, radii, segments=8):
    """A bent tube with round ends through a path (K, 3) with one or K radii."""
    path = np.asarray(path, float)
    radii = np.broadcast_to(np.asarray(radii, float), len(path))
    tangent = np.gradient(path, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    path = np.concatenate([path[:1] - tangent[:1] * radii[0] * 0.5, path[:1], path[1:-1], path[-1:],
                           path[-1:] + tangent[-1:] * radii[-1] * 0.5])
    radii = np.concatenate([[1e-4], radii, [1e-4]])
    tangent = tangent[np.r_[0, 0 : len(tangent), -1]]
    side = np.cross(tangent, [0.31, 0.17, 0.93] if abs(tangent[1, 2]) < 0.8 else [0.93, 0.31, 0.17])
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    other = np.cross(tangent, side)
    circle = _circle(segments) * 1.0
    ring = circle[None, :, :1] * side[:, None] + circle[None, :, 1:] * other[:, None]
    return grid(path[:, None] + ring * radii[:, None, None], wrap=True)


def stick(start, end, radius, segments=7, top=None):
    """A straight tube between two points."""
    return tube([start, end], [radius, radius if top is None else top], segments)


def prism(outline, depth):
    """An outline (K, 2) in x and z that is star-shaped about its mean, extruded along y."""
    outline = np.asarray(outline, float)
    closed = np.concatenate([outline, outline[:1]])
    parts = []
    for a, b in zip(closed[:-1], closed[1:], strict=True):
        parts.append(quad((a[0], -depth / 2, a[1]), (b[0] - a[0], 0, b[1] - a[1]), (0, depth, 0)))
    count = len(outline)
    faces = np.stack([np.full(count, count), np.arange(count), (np.arange(count) + 1) % count], 1)
    for side in (-0.5, 0.5):
        flat = np.concatenate([outline, outline.mean(axis=0, keepdims=True)])
        points = np.stack([flat[:, 0], np.full(count + 1, side * depth), flat[:, 1]], 1)
        normals = np.tile(np.array([[0, 2 * side, 0]]), (count + 1, 1))
        parts.append((points, normals, flat * [1, -1], faces))
    return joined(parts)


def cards(centres, sizes, across, along, normals):
    """Many square cut-outs: centres, normals (K, 3), unit directions across and along (K, 3).

    Every card shows its texture once; its vertices take the given normal, which is usually that
    of the crown or lawn that the cards make up, so that they are shaded as one body.
    """
    sizes = np.asarray(sizes, float).reshape(-1, 1, 1)
    steps = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    offset = steps[None, :, :1] * across[:, None] + steps[None, :, 1:] * along[:, None]
    points = (centres[:, None] + offset * sizes).reshape(-1, 3)
    count = len(centres)
    uvs = np.tile(np.stack([steps[:, 0] + 0.5, 0.5 - steps[:, 1]], 1), (count, 1))
    first = 4 * np.arange(count, dtype=np.int32)[:, None, None]
    faces = (first + np.array([[0, 1, 2], [0, 2, 3]], np.int32)).reshape(-1, 3)
    return points, np.repeat(normals, 4, axis=0), uvs, faces


def leaf_cards(rng, centres, normals, size):
    """Cut-out cards in random directions, lit as the body whose normals are given."""
    count = len(centres)
    across = rng.normal(0, 1, (count, 3))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    along = np.cross(across, rng.normal(0, 1, (count, 3)))
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    return cards(centres, size * rng.uniform(0.7, 1.3, count), across, along, normals)


def bumpy(mesh, rng, strength, scale):
    """A mesh displaced along its normals by smooth waves of about `scale` metres."""
    points, normals, uvs, faces = mesh
    waves = rng.normal(0, 1, (6, 3)) * 2 * np.pi / scale * rng.uniform(0.3, 1.0, (6, 1))
    height = np.sin(points @ waves.T + rng.uniform(0, 6.28, 6)).sum(axis=1) * strength / 3
    moved = np.ascontiguousarray(points + normals * height[:, None], np.float32)
    return moved, smooth_normals(moved, faces), uvs, faces


def shifted(mesh, offset):
    """A mesh moved by an offset (3,)."""
    return (mesh[0] + np.asarray(offset, np.float32), *mesh[1:])


def turned(mesh, yaw=0.0, pitch=0.0, roll=0.0):
    """A mesh rotated about x (pitch), then y (roll), then z (yaw), radians."""
    matrix = rotation(yaw, pitch, roll).T.astype(np.float32)
    return (mesh[0] @ matrix, mesh[1] @ matrix, *mesh[2:])


def rotation(yaw=0.0, pitch=0.0, roll=0.0):
    """Rotation matrix Rz(yaw) Ry(roll) Rx(pitch)."""
    c, s = np.cos([pitch, roll, yaw]), np.sin([pitch, roll, yaw])
    about_x = np.array([[1, 0, 0], [0, c[0], -s[0]], [0, s[0], c[0]]])
    about_y = np.array([[c[1], 0, s[1]], [0, 1, 0], [-s[1], 0, c[1]]])
    about_z = np.array([[c[2], -s[2], 0], [s[2], c[2], 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def scaled(mesh, factor):
    """A mesh enlarged evenly about the origin."""
    return (mesh[0] * np.float32(factor), mesh[1], mesh[2] * factor, mesh[3])


def joined(meshes):
    """One mesh of many."""
    starts = np.cumsum([0] + [len(mesh[0]) for mesh in meshes[:-1]])
    faces = [mesh[3] + start for mesh, start in zip(meshes, starts, strict=True)]
    return (*(np.concatenate([m[i] for m in meshes]) for i in range(3)), np.concatenate(faces))


class Builder:
    """Collects meshes, materials and instances of one scene.

    Attributes:
        rng: the random generator of the scene, shared by everything that builds.
        textures: the texture library.
    """

    def __init__(self, rng, textures):
        """Start an empty scene."""
        self.rng = rng
        self.textures = textures
        self._meshes, self._materials, self._face_rows = [], [], []
        self._instance, self._last_instance = 0, 0
        self._frame = (np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
        self._shadows = (True, True)

    def material(self, kind=None, tint=(1.0, 1.0, 1.0), tile=1.0, **extra):
        """Add a material and return its number.

        Args:
            kind: kind of texture, an index into the library, or None for an even colour.
            tint: linear colour that multiplies the texture.
            tile: metres that one texture tile covers; 1 for shapes with their own coordinates.
            extra: cutout, gloss, power, glow, through, grunge, contrast as in synthetic_shading.
        """
        row = np.zeros(MATERIAL_COLUMNS + 1, np.float32)
        texture = kind if isinstance(kind, int) else self.textures.pick(self.rng, kind or "noise")
        row[[TEXTURE, RED, GREEN, BLUE]] = (texture, *tint)
        row[POWER], row[CONTRAST], row[-1] = 20.0, 0.0 if kind is None else 1.0, 1.0 / tile
        columns = dict(cutout=CUTOUT, gloss=GLOSS, power=POWER, glow=GLOW, through=THROUGH,
                       grunge=GRUNGE, contrast=CONTRAST)
        for name, value in extra.items():
            row[columns[name]] = value
        self._materials.append(row)
        return len(self._materials) - 1

    def instance(self):
        """Begin a new object; what is added from now on carries its number (1..255)."""
        self._last_instance = min(self._last_instance + 1, MOST_INSTANCES)
        self._instance = self._last_instance
        return self._instance

    def background(self):
        """What is added from now on belongs to no object."""
        self._instance = 0

    def resume(self, instance):
        """Continue an earlier object."""
        self._instance = instance

    def shadows(self, hard=True, soft=True):
        """Whether what is added from now on casts shadows of lamps (hard) and of the sky (soft)."""
        self._shadows = (hard, soft)

    def at(self, position=(0, 0, 0), yaw=0.0, scale=1.0, matrix=None):
        """Place what is added from now on; coordinates of meshes are relative to this frame."""
        turn = rotation(yaw) if matrix is None else matrix
        self._frame = ((turn * scale).astype(np.float32), np.asarray(position, np.float32))

    @contextlib.contextmanager
    def inside(self, offset=(0, 0, 0), yaw=0.0):
        """Within the block the frame is moved and turned relative to the present one."""
        turn, origin = self._frame
        place = origin + turn @ np.asarray(offset, np.float32)
        self._frame = ((turn @ rotation(yaw)).astype(np.float32), place)
        try:
            yield
        finally:
            self._frame = (turn, origin)

    def add(self, mesh, material):
        """Add a mesh in the current frame as part of the current object."""
        points, normals, uvs, faces = mesh
        turn, position = self._frame
        points = np.asarray(points, np.float32) @ turn.T + position
        size = abs(np.linalg.det(turn)) ** (1 / 3)
        normals = np.asarray(normals, np.float32) @ turn.T / np.float32(size)
        uvs = np.asarray(uvs, np.float32) * self._materials[material][-1]
        if self._materials[material][CUTOUT] == 0.0:
            uvs = uvs * np.float32(size)
        self._meshes.append((points, normals, uvs, faces))
        self._face_rows.append((len(faces), material, self._instance, *self._shadows))

    def finish(self):
        """The scene as arrays: dict with points, normals, uvs, faces, material, instance, and hard and soft: which faces cast.

        `materials` is the table for the shader, `cutout` the cutting texture of each face or -1.
        """
        points, normals, uvs, faces = joined(self._meshes)
        counts, material, instance, hard, soft = (np.array(x) for x in zip(*self._face_rows, strict=True))
        table = np.ascontiguousarray(np.stack(self._materials)[:, :MATERIAL_COLUMNS])
        material = np.repeat(material, counts).astype(np.int32)
        cutout = np.where(table[:, CUTOUT] > 0, table[:, TEXTURE], -1).astype(np.int32)[material]
        return {
            "points": np.ascontiguousarray(points, np.float32),
            "normals": np.ascontiguousarray(normals, np.float32),
            "uvs": np.ascontiguousarray(uvs, np.float32),
            "faces": np.ascontiguousarray(faces, np.int32),
            "material": material,
            "materials": table,
            "cutout": cutout,
            "instance": np.repeat(instance, counts).astype(np.uint8),
            "hard": np.repeat(hard, counts).astype(bool),
            "soft": np.repeat(soft, counts).astype(bool),
        }
