"""Everything that grows: conifers, the birch branch, grass and bulrushes."""

import numpy as np

from .materials import BARK, GRASS, LEAF, NEEDLE, RUSH
from .shapes import bend, loft, tube


def conifer(mesh, rng, foot, height, whorls=26, sprays=9):
    """Spruce: a straight trunk, drooping branches in whorls, each a comb of needle sprays.

    Args:
        mesh: where it goes.   rng: numpy Generator.   foot: (3,) metres.   height: metres.
        whorls: rings of branches.   sprays: pairs of triangles along a branch.
    """
    foot = np.asarray(foot, float)
    lean = rng.normal(0, 0.012, 2) * height
    path = foot + np.array([[0, 0, 0], [lean[0], height, lean[1]]])
    tube(mesh, path, [height * 0.014, 0.006], BARK, sides=6, tint=0.0)
    level = (np.arange(whorls) + rng.uniform(-0.3, 0.3, whorls)) / whorls
    level = np.repeat(0.05 + 0.95 * level.clip(0, 0.99), 9)
    level = (level + rng.normal(0, 0.012, len(level))).clip(0.03, 0.995)
    n = len(level)
    angle = rng.uniform(0, 2 * np.pi, n)
    reach = height * 0.19 * (1 - level) ** 0.85 * rng.uniform(0.55, 1.15, n) + height * 0.008
    outward = np.stack([np.cos(angle), np.zeros(n), np.sin(angle)], 1)
    across = np.stack([-np.sin(angle), np.zeros(n), np.cos(angle)], 1)
    base = foot + np.stack([lean[0] * level, level * height, lean[1] * level], 1)
    t = np.linspace(0.12, 1.0, sprays)[None, :, None] + rng.uniform(-0.03, 0.03, (n, sprays, 1))
    droop = -0.55 * t**1.2 + 0.33 * t**2.4 + 0.25 * (level[:, None, None] - 0.45) * t
    spine = base[:, None] + reach[:, None, None] * (outward[:, None] * t)
    spine[..., 1] += (reach[:, None, None] * droop)[..., 0]
    width = reach[:, None, None] * 1.5 / sprays
    length = (0.42 * reach[:, None, None] * (1.12 - t) + 0.05) * rng.uniform(0.6, 1.3, t.shape)
    triangles = []
    for sign in (-1.0, 1.0):
        tip = spine + sign * across[:, None] * length + outward[:, None] * length * 0.7
        tip[..., 1] -= length[..., 0] * rng.uniform(0.1, 0.7, length.shape[:2])
        foot_a = spine - outward[:, None] * width
        foot_b = spine + outward[:, None] * width
        foot_b[..., 1] += 0.2 * width[..., 0]
        triangles.append(np.stack([foot_a, foot_b, tip], axis=2).reshape(-1, 3, 3))
    triangles = np.concatenate(triangles)
    # Normals of a plump crown, not of its thin sprays: light then models the tree as a whole.
    middle = foot + np.array([0, height * 0.35, 0])
    normals = triangles - middle
    normals[..., 1] = 0.5 * normals[..., 1]
    points = triangles.reshape(-1, 3)
    tint = rng.uniform(0.7, 1.25) * rng.uniform(0.75, 1.2, len(triangles))
    faces = np.arange(len(points)).reshape(-1, 3)
    mesh.add(points, faces, NEEDLE, normals.reshape(-1, 3), tint=tint)


def leaf(mesh, rng, stem, hang, length, lying=False):
    """Birch leaf: a pointed oval folded along its midrib, hanging from `stem` or fallen."""
    hang = hang / np.linalg.norm(hang)
    across = np.cross(hang, rng.normal([0, 5 if lying else 0, 0], 1))
    across /= np.linalg.norm(across)
    face = np.cross(hang, across)
    s = np.linspace(0, 1, 7)
    half = 0.36 * length * np.sin(np.pi * s**0.72) ** 0.85 * (1 - 0.25 * s)
    half[0] = half[-1] = 0.0006
    curl = rng.uniform(-0.35, 0.35) * length * (s - 0.2) ** 2
    spine = stem + (0.25 + s)[:, None] * length * hang + curl[:, None] * face
    fold = rng.uniform(0.1, 0.45)
    columns = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    offset = half[:, None, None] * (columns[:, None] * across + fold * abs(columns)[:, None] * face)
    texture = np.zeros((7, 5, 3))
    texture[..., 0], texture[..., 1] = columns, s[:, None]
    texture[..., 2] = rng.uniform(0, 50)
    loft(mesh, spine[:, None] + offset, LEAF, closed=False, texture=texture, tint=rng.uniform())
    tube(mesh, [stem, stem + 0.26 * length * hang], 0.0011, BARK, sides=4, tint=0.0)


def birch_branch(mesh, rng, points, twigs, leaf_length=0.055):
    """Bough along a curve with hanging twigs full of leaves."""
    t = np.linspace(0, 1, 14)
    bough = bend(points, t) + np.cumsum(rng.normal(0, 0.012, (14, 3)), axis=0)
    tube(mesh, bough, np.linspace(0.017, 0.004, 14), BARK, sides=8, tint=0.25)
    for _ in range(twigs):
        u = rng.uniform(0.05, 1.0)
        start = np.array([np.interp(u, t, bough[:, k]) for k in range(3)])
        length = rng.uniform(0.25, 0.75) * (1.15 - 0.5 * u)
        aim = np.array([rng.normal(0.12, 0.3), rng.uniform(-0.75, 0.1), rng.normal(0, 0.3)])
        end = start + length * aim + [0, -0.25 * length, 0]
        twig = bend([start, start + 0.55 * length * aim + [0, 0.04, 0], end], np.linspace(0, 1, 9))
        tube(mesh, twig, np.linspace(0.0045, 0.0012, 9), BARK, sides=5, tint=0.0)
        for v in np.append(np.arange(0.12, 0.98, 0.032 / length), 1.0):
            node = np.array([np.interp(v, np.linspace(0, 1, 9), twig[:, k]) for k in range(3)])
            hang = np.array([rng.normal(0, 0.55), rng.uniform(-1.2, -0.1), rng.normal(0, 0.55)])
            if rng.uniform() < 0.9 or v > 0.8:
                leaf(mesh, rng, node, hang, leaf_length * rng.uniform(0.6, 1.2))


def birch_tree(mesh, rng, foot, height):
    """Birch in the distance: white stem, thin limbs, a loose golden crown of small leaves."""
    foot = np.asarray(foot, float)
    stem = bend(
        [foot, foot + [0.15, 0.6 * height, 0], foot + [0.3, height, 0.1]], np.linspace(0, 1, 12)
    )
    tube(mesh, stem, np.linspace(0.085, 0.01, 12), BARK, tint=1.0)
    leaves = []
    for level in np.linspace(0.28, 0.98, 34):
        angle = rng.uniform(0, 2 * np.pi)
        reach = 0.27 * height * (1.05 - level) ** 0.7 * rng.uniform(0.6, 1.1)
        base = foot + [0.3 * level**2, level * height, 0.1 * level**2]
        away = np.array([np.cos(angle), rng.uniform(0.5, 1.0), np.sin(angle)]) * reach
        limb = bend([base, base + 0.7 * away, base + away * [1.2, 0.5, 1.2]], np.linspace(0, 1, 6))
        tube(mesh, limb, np.linspace(0.022, 0.005, 6), BARK, sides=5, tint=0.5)
        u = rng.uniform(0.25, 1.05, 150)
        middle = np.stack([np.interp(u, np.linspace(0, 1, 6), limb[:, k]) for k in range(3)], 1)
        middle += rng.normal(0, 0.17, (150, 3)) - [0, 0.12, 0]
        leaves.append(middle[:, None] + rng.normal(0, 0.062, (150, 3, 3)))
    points = np.concatenate(leaves).reshape(-1, 3)
    faces = np.arange(len(points)).reshape(-1, 3)
    texture = np.tile([0.4, 0.3, 0.0], (len(points), 1))
    mesh.add(points, faces, LEAF, None, texture, rng.uniform(0.1, 0.75, len(faces)))


def blade(mesh, rng, foot, height, lean, width, material=GRASS, tint=1.0):
    """One grass blade: a narrow ribbon that bends under its own weight."""
    foot = np.asarray(foot, float)
    knee = foot + np.array([0.25 * lean[0], 0.75 * height, 0.25 * lean[1]])
    tip = foot + np.array([lean[0], height * rng.uniform(0.75, 1.0), lean[1]])
    s = np.linspace(0, 1, 9)
    spine = bend([foot, knee, tip], s)
    turn = rng.uniform(0, np.pi) + 0.8 * s
    side = np.stack([np.cos(turn), np.zeros(9), np.sin(turn)], 1)
    half = 0.5 * width * (1 - s**2.2) + 0.0004
    ribbon = np.stack([spine - half[:, None] * side, spine, spine + half[:, None] * side], 1)
    ribbon[:, 1] += 0.25 * half[:, None] * np.stack([-np.sin(turn), 0 * turn, np.cos(turn)], 1)
    texture = np.zeros((9, 3, 3))
    texture[..., 0], texture[..., 1] = [-1.0, 0.0, 1.0], s[:, None]
    texture[..., 2] = rng.uniform(0, 50)
    loft(mesh, ribbon, material, closed=False, texture=texture, tint=tint)


def tuft(mesh, rng, foot, blades, height, spread):
    """Clump of blades around a point."""
    for _ in range(blades):
        angle, reach = rng.uniform(0, 2 * np.pi), abs(rng.normal(0, 1))
        away = np.array([np.cos(angle), np.sin(angle)])
        start = np.asarray(foot, float) + 0.25 * spread * reach * np.array([away[0], 0, away[1]])
        lean = away * spread * rng.uniform(0.2, 1.3) + [0.05, 0.0]
        tall = height * rng.uniform(0.5, 1.1)
        blade(mesh, rng, start, tall, lean, rng.uniform(0.004, 0.009), tint=rng.uniform())


def bulrush(mesh, rng, foot, height):
    """Cat-tail: a stalk, its brown velvet head with a spike, and three or four long leaves."""
    foot = np.asarray(foot, float)
    lean = rng.normal(0, 0.07, 2) * height
    top = foot + np.array([lean[0], height, lean[1]])
    stalk = bend([foot, foot + [0, 0.6 * height, 0], top], np.linspace(0, 1, 12))
    tube(mesh, stalk, np.linspace(0.006, 0.0025, 12), GRASS, sides=6, tint=0.6)
    along = (stalk[-1] - stalk[-3]) / np.linalg.norm(stalk[-1] - stalk[-3])
    size = rng.uniform(0.12, 0.19)
    s = np.linspace(0, 1, 12)
    head = top - along * (0.12 + size) + s[:, None] * size * along
    radius = 0.0135 * np.clip(np.sin(np.pi * (0.04 + 0.92 * s)), 0, 1) ** 0.3
    tube(mesh, head, radius, RUSH, sides=12)
    for _ in range(rng.integers(3, 5)):
        lean = rng.normal(0, 0.3, 2) * height * 0.6
        tall = height * rng.uniform(0.7, 1.1)
        blade(mesh, rng, foot, tall, lean, rng.uniform(0.012, 0.02), tint=rng.uniform())
