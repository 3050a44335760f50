"""Triangle meshes from lofted rings: planks, ropes, hulls, leaves and hills are all the same thing.

World frame: x right, y up (water at y = 0), z away from the camera, metres.
"""

import numpy as np


class Mesh:
    """Growing list of triangles with a smooth normal and a texture coordinate at each corner."""

    def __init__(self):
        """Start empty."""
        self._parts = []

    def add(self, points, faces, material, normals=None, texture=None, tint=1.0):
        """Add one piece.

        Args:
            points: (V, 3) metres.   faces: (F, 3) indices into points.
            material: number of the material (see materials.py).
            normals: (V, 3) for smooth shading, or None for flat faces.
            texture: (V, 3) coordinates for the material, metres, or None for the points themselves.
            tint: (F,) or number; what it varies is up to the material.
        """
        corners = points[faces]
        if normals is None:
            flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            corner_normals = np.repeat(flat[:, None], 3, axis=1)
        else:
            corner_normals = normals[faces]
        length = np.linalg.norm(corner_normals, axis=-1, keepdims=True)
        corner_normals = corner_normals / np.maximum(length, 1e-20)
        corner_texture = corners if texture is None else texture[faces]
        label = np.empty((len(faces), 2))
        label[:, 0], label[:, 1] = material, tint
        arrays = corners, corner_normals, corner_texture, label
        self._parts.append([np.asarray(a, np.float32) for a in arrays])

    def add_placed(self, part, turn, centre, size=1.0, tint=1.0):
        """Add another mesh's `arrays()`: turned (radians, clockwise from above), scaled, moved."""
        c, s = np.cos(turn), np.sin(turn)
        rotation = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]], np.float32)
        corners, normals, texture, labels = part
        moved = corners @ (rotation * np.float32(size)) + np.asarray(centre, np.float32)
        self._parts.append([moved, normals @ rotation, texture, labels * np.float32([1.0, tint])])

    def arrays(self):
        """Corners, normals, texture (F, 3, 3) and labels (F, 2): material, tint; all float32."""
        return [np.concatenate(part) for part in zip(*self._parts, strict=True)]


def grid_faces(rows, columns, closed):
    """Faces (F, 3) of a net of rows x columns points; `closed` joins last column and first."""
    r, c = np.meshgrid(
        np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij"
    )
    a, b = r * columns + c, r * columns + (c + 1) % columns
    quads = np.stack([a, b, b + columns, a, b + columns, a + columns], axis=-1)
    return quads.reshape(-1, 3)


def net_normals(net, closed):
    """Normals (R, C, 3) of a net of points from its neighbours' positions, not normalised."""
    down = np.gradient(net, axis=0)
    if closed:
        across = np.roll(net, -1, axis=1) - np.roll(net, 1, axis=1)
    else:
        across = np.gradient(net, axis=1)
    return np.cross(across, down)


def loft(mesh, rings, material, closed=True, caps=False, smooth=True, texture=None, tint=1.0):
    """Skin over rings of points.

    Args:
        rings: (R, C, 3), ring by ring.   closed: whether a ring's end joins its start.
        caps: whether to close first and last ring with a fan.   smooth: round or faceted shading.
        texture: (R, C, 3) or None.   material, tint: see `Mesh.add`.
    """
    count, columns, _ = rings.shape
    points = rings.reshape(-1, 3)
    faces = grid_faces(count, columns, closed)
    normals = net_normals(rings, closed).reshape(-1, 3) if smooth else None
    flat = None if texture is None else texture.reshape(-1, 3)
    mesh.add(points, faces, material, normals, flat, tint)
    if caps:
        fan = np.array([[0, k, k + 1] for k in range(1, columns - 1)])
        for ring, face in ((0, fan[:, ::-1]), (count - 1, fan)):
            end = None if texture is None else texture[ring]
            mesh.add(rings[ring], face, material, None, end, tint)


def frames(path):
    """Side and up vectors (N, 3) across a path of (N, 3) points."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-12
    hint = np.where(np.abs(along[:, 1:2]) > 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]])
    side = np.cross(hint, along)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    return side, np.cross(along, side)


def tube(mesh, path, radius, material, sides=8, tint=1.0, texture=None):
    """Round bar along a path (N, 3); radius is a number or (N,). Texture: (angle, 0, length)."""
    path = np.asarray(path, float)
    side, up = frames(path)
    angle = np.arange(sides) * (2 * np.pi / sides)
    radius = np.broadcast_to(np.asarray(radius, float), len(path))[:, None, None]
    spoke = (
        np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * up[:, None]
    )
    rings = path[:, None] + radius * spoke
    loft(mesh, rings, material, caps=True, texture=texture, tint=tint)


def beam(mesh, start, end, width, height, material, bevel=0.008, tint=1.0, offset=0.0, up=None):
    """Timber with bevelled edges between two points; texture runs along it, in metres."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    along = (end - start) / np.linalg.norm(end - start)
    hint = np.array([0.0, 1.0, 0.0]) if up is None else np.asarray(up, float)
    if abs(along @ hint) > 0.95:
        hint = np.array([0.0, 0.0, 1.0])
    side = np.cross(hint, along)
    side /= np.linalg.norm(side)
    top = np.cross(along, side)
    w, h, b = width / 2, height / 2, bevel
    outline = np.array(
        [[w, h - b], [w - b, h], [b - w, h], [-w, h - b], [-w, b - h], [b - w, -h], [w - b, -h]]
        + [[w, b - h]]
    )
    section = outline[:, :1] * side + outline[:, 1:] * top
    steps = np.array([0.0, 1.0])
    length = np.linalg.norm(end - start)
    rings = start + steps[:, None, None] * (end - start) + section
    texture = np.empty((2, 8, 3))
    texture[..., 0] = outline[:, 0] + offset * 7.3
    texture[..., 1] = outline[:, 1] + offset * 3.1
    texture[..., 2] = steps[:, None] * length + offset * 11.9
    loft(mesh, rings, material, caps=True, smooth=False, texture=texture, tint=tint)


def box(mesh, low, high, material, tint=1.0):
    """Upright block between two corners, texture in world metres."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    points = np.asarray(low) + corners * (np.asarray(high, float) - np.asarray(low))
    quads = np.array(
        [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    )
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    mesh.add(points, faces, material, tint=tint)


def turned(mesh, centre, profile, material, sides=16, tint=1.0):
    """Body of revolution about a vertical axis; profile is (N, 2): radius, height."""
    angle = np.arange(sides) * (2 * np.pi / sides)
    r, y = np.asarray(profile, float).T
    rings = np.empty((len(r), sides, 3))
    rings[..., 0] = r[:, None] * np.cos(angle)
    rings[..., 1] = y[:, None]
    rings[..., 2] = -r[:, None] * np.sin(angle)
    loft(mesh, rings + np.asarray(centre), material, caps=True, tint=tint)


def bend(points, times):
    """Points (len(times), 3) on the quadratic curve with three control points."""
    a, b, c = np.asarray(points, float)
    t = np.asarray(times, float)[:, None]
    return (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t * t * c
