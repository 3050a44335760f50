"""Shapes of the synthetic scenes, and the builder that collects them.

World frame: x right, y forward, z up, metres. A mesh is a tuple (points (N, 3), normals (N, 3),
uvs (N, 2), faces (M, 3)); texture coordinates are in metres, a material says how many tiles a metre
holds. Shapes stand on z = 0 around the origin unless they say otherwise.
"""

import contextlib
import functools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from utils.synthetic.shading import (
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
    RELIEF,
    TEXTURE,
    THROUGH,
)
from utils.synthetic.skin import globe, placed, rings, skin, smooth_normals, sweep
from utils.synthetic.textures import Textures

MOST_INSTANCES = 255
_ROUGH = {
    "brick": 1.2,
    "rock": 1.6,
    "bark": 1.6,
    "paving": 1.2,
    "fabric": 0.7,
    "rug": 0.5,
    "foliage": 1.5,
    "grass": 1.2,
    "soil": 1.0,
    "wicker": 1.5,
    "water": 0.35,
    "fur": 0.6,
    "peel": 0.25,
    "snow": 0.6,
    "concrete": 0.4,
    "tiles": 0.3,
    "planks": 0.3,
}
"""How strongly the brightness of a kind of texture also bends its normals."""
_QUAD_FACES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
Mesh = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@functools.cache
def _lattice(rows, columns):
    """Faces of a grid of rows x columns vertices, (2 (rows-1) (columns-1), 3) int32."""
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    return np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    )


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


def box(width: float, depth: float, height: float) -> Mesh:
    """A box standing on z = 0."""
    unit, normals, across, along, faces = _unit_box()
    points = unit * np.array([width, depth, height], np.float32)
    index = np.arange(24)
    uvs = np.stack([points[index, across], -points[index, along]], 1)
    points[:, 2] += height / 2
    return points, normals, uvs, faces


def quad(corner: ArrayLike, across: ArrayLike, along: ArrayLike, tiled: bool = True) -> Mesh:
    """A parallelogram; its texture runs in metres, or spans it exactly once if not tiled."""
    corner, across, along = (np.asarray(v, float) for v in (corner, across, along))
    points = np.array([corner, corner + across, corner + across + along, corner + along])
    a, b = across, along
    normal = np.array(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )
    normals = np.empty((4, 3))
    normals[:] = normal / math.sqrt(normal @ normal)
    width, height = (math.sqrt(a @ a), math.sqrt(b @ b)) if tiled else (1.0, 1.0)
    uvs = np.array([[0, height], [width, height], [width, 0], [0, 0]])
    return points, normals, uvs, _QUAD_FACES


def grid(points: np.ndarray, uvs: np.ndarray | None = None, wrap: bool = False) -> Mesh:
    """A smooth surface through a lattice of points (rows, columns, 3).

    uvs: (rows, columns, 2), by default arc lengths of the middle row and column. wrap: the last
    column repeats the first, and their normals are joined.
    """
    points = np.ascontiguousarray(points, np.float64)
    faces = _lattice(*points.shape[:2])
    out, normals, lengths = skin(points, faces, wrap)
    return out, normals, lengths if uvs is None else uvs.reshape(-1, 2), faces


def loft(sections: ArrayLike, segments: int = 14) -> Mesh:
    """A closed skin over elliptic rings.

    sections: (K, 5) rows of (x, y, z of the centre, half width in x, half width in y).
    """
    return grid(rings(np.asarray(sections, float), segments), wrap=True)


def lathe(profile: ArrayLike, segments: int = 24) -> Mesh:
    """A vase: profile (K, 2) of (radius, z), turned around the z axis. Close it with radius 0."""
    radius, z = np.asarray(profile, float).T
    zero = np.zeros(len(z))
    return loft(np.array([zero, zero, z, radius, radius]).T, segments)


def cylinder(radius: float, height: float, segments: int = 14, top: float | None = None) -> Mesh:
    """A closed cylinder, or a truncated cone if `top` names another radius."""
    top = radius if top is None else top
    e = 1e-3
    return lathe(
        [(0, 0), (radius, 0), (radius, e), (top, height - e), (top, height), (0, height)], segments
    )


def ellipsoid(
    width: float, depth: float, height: float, segments: int = 14, power: float = 1.0
) -> Mesh:
    """An ellipsoid centred at the origin; power < 1 makes it a rounded box, > 1 an octahedron."""
    half = np.array([width, depth, height]) / 2
    return grid(globe(half, segments, power), wrap=True)


def cushion(
    width: float, depth: float, height: float, power: float = 0.35, segments: int = 16
) -> Mesh:
    """A rounded box standing on z = 0."""
    return shifted(ellipsoid(width, depth, height, segments, power), (0, 0, height / 2))


def tube(path: ArrayLike, radii: ArrayLike, segments: int = 8) -> Mesh:
    """A bent tube with round ends through a path (K, 3) with one or K radii."""
    path = np.asarray(path, float)
    radii = np.full(len(path), radii) if np.isscalar(radii) else np.asarray(radii, float)
    return grid(sweep(path, radii, segments), wrap=True)


def stick(
    start: ArrayLike, end: ArrayLike, radius: float, segments: int = 7, top: float | None = None
) -> Mesh:
    """A straight tube between two points."""
    return tube(np.stack([start, end]), [radius, radius if top is None else top], segments)


def prism(outline: ArrayLike, depth: float) -> Mesh:
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


def cards(
    centres: np.ndarray,
    sizes: np.ndarray,
    across: np.ndarray,
    along: np.ndarray,
    normals: np.ndarray,
) -> Mesh:
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


def leaf_cards(
    rng: np.random.Generator, centres: np.ndarray, normals: np.ndarray, size: float
) -> Mesh:
    """Cut-out cards in random directions, lit as the body whose normals are given."""
    count = len(centres)
    across = rng.normal(0, 1, (count, 3))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    along = np.cross(across, rng.normal(0, 1, (count, 3)))
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    return cards(centres, size * rng.uniform(0.7, 1.3, count), across, along, normals)


def bumpy(mesh: Mesh, rng: np.random.Generator, strength: float, scale: float) -> Mesh:
    """A mesh displaced along its normals by smooth waves of about `scale` metres."""
    points, normals, uvs, faces = mesh
    waves = rng.normal(0, 1, (6, 3)) * 2 * np.pi / scale * rng.uniform(0.3, 1.0, (6, 1))
    height = np.sin(points @ waves.T + rng.uniform(0, 6.28, 6)).sum(axis=1) * strength / 3
    moved = np.ascontiguousarray(points + normals * height[:, None], np.float32)
    return moved, smooth_normals(moved, faces), uvs, faces


def shifted(mesh: Mesh, offset: ArrayLike) -> Mesh:
    """A mesh moved by an offset (3,)."""
    return (mesh[0] + np.asarray(offset, np.float32), *mesh[1:])


def turned(mesh: Mesh, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Mesh:
    """A mesh rotated about x (pitch), then y (roll), then z (yaw), radians."""
    matrix = rotation(yaw, pitch, roll).T.astype(np.float32)
    return (mesh[0] @ matrix, mesh[1] @ matrix, *mesh[2:])


def rotation(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Rotation matrix Rz(yaw) Ry(roll) Rx(pitch)."""
    ca, sa, cb, sb, cc, sc = (
        math.cos(pitch),
        math.sin(pitch),
        math.cos(roll),
        math.sin(roll),
        math.cos(yaw),
        math.sin(yaw),
    )
    return np.array(
        [
            [cc * cb, cc * sb * sa - sc * ca, cc * sb * ca + sc * sa],
            [sc * cb, sc * sb * sa + cc * ca, sc * sb * ca - cc * sa],
            [-sb, cb * sa, cb * ca],
        ]
    )


def scaled(mesh: Mesh, factor: float) -> Mesh:
    """A mesh enlarged evenly about the origin."""
    return (mesh[0] * np.float32(factor), mesh[1], mesh[2] * factor, mesh[3])


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of many."""
    starts = np.cumsum([0] + [len(mesh[0]) for mesh in meshes[:-1]])
    faces = [mesh[3] + start for mesh, start in zip(meshes, starts, strict=True)]
    points, normals, uvs = (np.concatenate([mesh[i] for mesh in meshes]) for i in range(3))
    return points, normals, uvs, np.concatenate(faces)


class Builder:
    """Collects meshes, materials and instances of one scene.

    Attributes:
        rng: the random generator of the scene, shared by everything that builds.
        textures: the texture library.
    """

    def __init__(self, rng: np.random.Generator, textures: Textures) -> None:
        """Start an empty scene."""
        self.rng = rng
        self.textures = textures
        self._meshes: list[Mesh] = []
        self._materials: list[np.ndarray] = []
        self._face_rows: list[tuple[int, int, int, bool, bool]] = []
        self._instance, self._last_instance = 0, 0
        self._frame = (np.eye(3), np.zeros(3))
        self._shadows = (True, True)

    def material(
        self,
        kind: str | None = None,
        tint: ArrayLike = (1.0, 1.0, 1.0),
        tile: float = 1.0,
        **extra: float,
    ) -> int:
        """Add a material and return its number.

        Args:
            kind: kind of texture, or None for an even colour.
            tint: linear colour that multiplies the texture.
            tile: metres that one texture tile covers; 1 for shapes with their own coordinates.
            extra: cutout, gloss, power, glow, through, grunge, contrast, relief as in
                `shading`.
        """
        row = np.zeros(MATERIAL_COLUMNS + 1, np.float32)
        texture = self.textures.pick(self.rng, kind or "noise")
        row[TEXTURE], row[[RED, GREEN, BLUE]] = texture, tint
        row[POWER], row[CONTRAST], row[-1] = 20.0, 0.0 if kind is None else 1.0, 1.0 / tile
        columns = dict(
            cutout=CUTOUT,
            gloss=GLOSS,
            power=POWER,
            glow=GLOW,
            through=THROUGH,
            grunge=GRUNGE,
            contrast=CONTRAST,
            relief=RELIEF,
        )
        if kind in _ROUGH:
            row[RELIEF] = _ROUGH[kind]
        for name, value in extra.items():
            row[columns[name]] = value
        self._materials.append(row)
        return len(self._materials) - 1

    def instance(self) -> int:
        """Begin a new object; what is added from now on carries its number (1..255)."""
        self._last_instance = min(self._last_instance + 1, MOST_INSTANCES)
        self._instance = self._last_instance
        return self._instance

    def background(self) -> None:
        """What is added from now on belongs to no object."""
        self._instance = 0

    def resume(self, instance: int) -> None:
        """Continue an earlier object."""
        self._instance = instance

    def shadows(self, hard: bool = True, soft: bool = True) -> None:
        """Whether what is added from now on casts shadows of lamps (hard) and of the sky (soft)."""
        self._shadows = (hard, soft)

    def at(self, position: ArrayLike = (0, 0, 0), yaw: float = 0.0) -> None:
        """Place what is added from now on; coordinates of meshes are relative to this frame."""
        self._frame = (rotation(yaw), np.asarray(position, float))

    @contextlib.contextmanager
    def inside(self, offset: ArrayLike = (0, 0, 0), yaw: float = 0.0) -> Iterator[None]:
        """Within the block the frame is moved and turned relative to the present one."""
        turn, origin = self._frame
        self._frame = (turn @ rotation(yaw), origin + turn @ np.asarray(offset, float))
        try:
            yield
        finally:
            self._frame = (turn, origin)

    def add(self, mesh: Mesh, material: int) -> None:
        """Add a mesh in the current frame as part of the current object."""
        points, normals, uvs, faces = mesh
        factor = self._materials[material][-1]
        self._meshes.append((*placed(points, normals, uvs, *self._frame, factor), faces))
        self._face_rows.append((len(faces), material, self._instance, *self._shadows))

    def finish(self) -> dict[str, np.ndarray]:
        """The scene as a dict of arrays.

        points, normals, uvs (N, .), faces (M, 3); of each face: material, instance, cutout (the
        texture that cuts it, or -1), hard and soft (whether it casts shadows of lamps, of the
        sky); materials: the table for the shader.
        """
        points, normals, uvs, faces = joined(self._meshes)
        counts, material, instance, hard, soft = (
            np.array(x) for x in zip(*self._face_rows, strict=True)
        )
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
