"""Where things stand: jetty and plants near by, the islet further out, land and sky beyond."""

import numpy as np

from .bvh import build_tree
from .plants import birch_branch, birch_tree, bulrush, conifer, leaf, tuft
from .shapes import Mesh, bend
from .sky import bake
from .terrain import (
    ISLET,
    SKERRY,
    add_land,
    bank_height,
    islet_height,
    range_height,
    skerry_height,
)
from .things import DECK, LAMP, add_boat, add_cabin, add_jetty, add_lantern, add_rope, on_jetty
from .tracer import Scene

SPRUCES = (  # on the islet: (right, away, height) from its centre
    (-5.4, 2.6, 4.4), (-3.6, 3.6, 6.9), (-1.2, 3.9, 8.6), (0.9, 3.4, 7.2), (2.7, 2.2, 9.6),
    (3.7, 0.4, 7.6), (5.0, 1.6, 8.4), (4.9, -0.9, 5.2), (6.2, 0.6, 5.6), (3.4, -1.4, 2.4),
)  # fmt: skip
FAR_SPRUCES = ((-4, 0, 8.5), (-1.5, 1.5, 6), (1, -0.5, 10), (4.5, 1, 7), (6.5, 0, 4.5))


def add_trees(mesh, rng, detail):
    """Spruces and a birch on the islet, a few spruces on the skerry, forest on the far shore."""
    for dx, dz, height in SPRUCES:
        x, z = ISLET[0] + dx, ISLET[1] + dz
        conifer(mesh, rng, [x, islet_height(x, z) - 0.15, z], height, 36, 12)
    x, z = ISLET[0] + 2.3, ISLET[1] - 1.2
    birch_tree(mesh, rng, [x, islet_height(x, z) - 0.15, z], 6.3)
    for dx, dz, height in FAR_SPRUCES:
        x, z = SKERRY[0] + dx, SKERRY[1] + dz
        conifer(mesh, rng, [x, skerry_height(x, z) - 0.2, z], height, 26, 8)
    _add_forest(mesh, rng, 13, 3, int(3400 * detail), 250, 900)
    _add_forest(mesh, rng, 8, 1, int(11000 * detail), 800, 2300)


def _add_forest(mesh, rng, whorls, sprays, count, near, far):
    kinds = [Mesh() for _ in range(10)]
    for kind in kinds:
        conifer(kind, rng, [0, -0.03, 0], 1.0, whorls, sprays)
    kinds = [kind.arrays() for kind in kinds]
    azimuth = np.radians(rng.uniform(-31, 34, count))
    distance = near + (far - near) * rng.uniform(0, 1, count) ** 1.3
    for k, (a, d) in enumerate(zip(azimuth, distance, strict=True)):
        foot = np.array([d * np.sin(a), 0.0, d * np.cos(a)])
        foot[1] = range_height(foot[0], foot[2], 4)
        if 1.2 < foot[1] < 330:
            size, tint = rng.uniform(9, 21), rng.uniform(0.6, 1.3)
            mesh.add_placed(kinds[k % 10], rng.uniform(0, 6.28), foot, size, tint)


def add_near_plants(mesh, rng):
    """Birch boughs above, grass on the bank, bulrushes in the water, leaves on the jetty."""
    birch_branch(mesh, rng, [[-2.9, 3.9, 3.9], [-1.9, 3.55, 3.7], [-0.7, 3.42, 3.6]], 60)
    birch_branch(mesh, rng, [[-2.9, 3.2, 4.4], [-2.3, 3.35, 4.3], [-1.6, 3.05, 4.1]], 36)
    for _ in range(150):
        x, z = rng.uniform(-3.8, -1.75), rng.uniform(3.6, 8.0)
        y = bank_height(x, z)
        if y > 0.03:
            tuft(mesh, rng, [x, y - 0.02, z], 26, rng.uniform(0.2, 0.55), 0.22)
    for _ in range(36):
        x, z = rng.uniform(1.55, 3.4), rng.uniform(4.5, 6.6)
        if x > 0.36 * z - 0.05:
            bulrush(mesh, rng, [x, -0.1, z], rng.uniform(1.1, 1.9))
    for x in np.arange(-6, 6.5, 0.16):
        px, pz = ISLET[0] + x + rng.normal(0, 0.3), ISLET[1] - 3.0 + rng.normal(0, 1.0)
        y = islet_height(px, pz)
        if y > 0.35:
            tuft(mesh, rng, [px, y, pz], 14, rng.uniform(0.25, 0.55), 0.25)
    for _ in range(85):
        along, side = 2.0 + 9.0 * rng.uniform() ** 1.5, rng.uniform(-0.85, 0.8)
        _drop_leaf(mesh, rng, on_jetty(along, side - 0.15 * along * rng.uniform(), DECK + 0.006))
    for _ in range(60):
        _drop_leaf(mesh, rng, [rng.uniform(-3.2, -1.1), 0.004, rng.uniform(4.4, 9.5)])


def _drop_leaf(mesh, rng, place):
    place = np.asarray(place)
    if place[1] < 0.1 or abs(place @ [0.988, 0, -0.157] + 1.25) < 0.82:
        angle = rng.uniform(0, 2 * np.pi)
        hang = np.array([np.cos(angle), rng.uniform(0.0, 0.12), np.sin(angle)])
        leaf(mesh, rng, place, hang, rng.uniform(0.045, 0.07), lying=True)


def build(detail=1.0):
    """Whole scene; detail below 1 thins out the far land for quick previews."""
    rng = np.random.default_rng(11)
    mesh = Mesh()
    add_jetty(mesh, rng)
    add_lantern(mesh)
    bow = add_boat(mesh, [2.75, 0.0, 10.6], 0.32)
    cleat = on_jetty(11.9, 0.9, DECK + 0.3)
    slack = 0.5 * (bow + cleat) - [0, 0.4, 0]
    add_rope(mesh, bend([bow, slack, cleat], np.linspace(0, 1, 30)), 0.009)
    add_cabin(mesh, -0.30, [ISLET[0] - 1.5, 1.0, ISLET[1]])
    add_near_plants(mesh, rng)
    add_trees(mesh, rng, detail)
    add_land(mesh, detail)
    corners, normals, texture, labels = mesh.arrays()
    tree = build_tree(corners)
    order = tree.order
    return Scene(tree, normals[order], texture[order], labels[order], bake(512, 2560), LAMP)
