"""What people built: jetty, lantern, rowing boat and cabin."""

import numpy as np

from . import materials as m
from .shapes import Mesh, beam, bend, box, loft, tube, turned

START, END = np.array([-0.95, 0.0, 2.0]), np.array([1.75, 0.0, 19.0])  # the jetty's axis
LENGTH = np.linalg.norm(END - START)
ALONG = (END - START) / LENGTH
SIDE = np.array([ALONG[2], 0.0, -ALONG[0]])
DECK = 0.55  # height of the jetty's walking surface above the water
LAMP = np.array([-0.72, 2.47, 6.2])


def on_jetty(along, side, height=DECK):
    """World position of a place on the jetty: metres from its start, and to the right."""
    return START + ALONG * along + SIDE * side + np.array([0, height, 0])


def add_jetty(mesh, rng):
    """Planks across two stringers, on posts; a rope from post to post on the right."""
    walked, k = 0.0, 0
    while walked < LENGTH:
        width = rng.uniform(0.12, 0.15)
        left, right = 0.83 + rng.normal(0, 0.025, 2)
        skew, tilt, lift = rng.normal(0, [0.008, 0.004, 0.004])
        middle = walked + 0.5 * width
        a = on_jetty(middle - skew, -left, DECK - 0.022 + lift - tilt)
        b = on_jetty(middle + skew, right, DECK - 0.022 + lift + tilt)
        beam(mesh, a, b, width, 0.042, m.PLANK, 0.007, rng.uniform(), offset=k)
        if walked < 8:
            for x in (-0.62, -0.57, 0.57, 0.62):
                nail = on_jetty(middle + rng.normal(0, 0.015), x, DECK + lift - 0.0005)
                turned(mesh, nail, [[0.006, 0.0], [0.004, 0.0015]], m.IRON, 6)
        walked += width + rng.uniform(0.014, 0.028)
        k += 1
    for x in (-0.6, 0.6):
        a, b = on_jetty(0, x, DECK - 0.13), on_jetty(LENGTH, x, DECK - 0.13)
        beam(mesh, a, b, 0.1, 0.16, m.POST, tint=0.3)
    ties = []
    for k, along in enumerate(np.arange(3.1, LENGTH, 2.75)):
        for x, tall in ((-0.9, 0.30), (0.9, 0.62)):
            ties.append(_add_post(mesh, rng, along, x, tall, k + 20 * (x > 0)))
    for a, b in zip(ties[1::2], ties[3::2], strict=False):
        sag = 0.5 * (a + b) - [0, rng.uniform(0.42, 0.6), 0]
        add_rope(mesh, bend([a, sag, b], np.linspace(0, 1, 40)))


def _add_post(mesh, rng, along, x, tall, number):
    """Round post with a worn top, roped if it stands on the right; returns where the rope is."""
    dx, dz, lean_x, lean_z, more = rng.normal(0, [0.02, 0.04, 0.02, 0.02, 0.03])
    foot = on_jetty(along + dz, x + dx, -0.6)
    top = on_jetty(along + dz, x + dx, DECK + tall + more) + [lean_x, 0, lean_z]
    radius = rng.uniform(0.068, 0.082)
    height = np.array([0, 0.93, 0.985, 1.0])
    angle = np.arange(14) * (2 * np.pi / 14)
    width = (
        radius
        * np.array([1.05, 1.0, 0.95, 0.75])[:, None]
        * (1 + 0.05 * np.cos(3 * angle + number))
    )
    rings = np.stack([width * np.cos(angle), 0 * width, -width * np.sin(angle)], -1)
    texture = rings[..., [0, 2, 1]] + number * 3.7
    texture[..., 2] += (height * np.linalg.norm(top - foot))[:, None]
    rings = rings + (foot + height[:, None] * (top - foot))[:, None]
    loft(mesh, rings, m.POST, caps=True, texture=texture, tint=rng.uniform(0, 0.6))
    tie = top - [0, 0.13, 0]
    if x > 0:
        turns = np.linspace(0, 6 * np.pi, 60)
        around = radius + 0.012
        coil = [around * np.cos(turns), 0.004 * turns - 0.03, around * np.sin(turns)]
        add_rope(mesh, tie + np.stack(coil, 1))
    return tie


def add_rope(mesh, path, radius=0.0125):
    """Twisted rope along a path of (N, 3) points."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    texture = np.zeros((len(path), 8, 3))
    texture[..., 0] = np.arange(8) * (2 * np.pi / 8)
    texture[..., 2] = length[:, None]
    tube(mesh, path, radius, m.ROPE, texture=texture)


def add_lantern(mesh):
    """A tall post on the jetty's left with an iron arm and a storm lantern, lit."""
    foot, top = LAMP - SIDE * 0.42, LAMP - SIDE * 0.42
    foot[1], top[1] = -0.6, 3.02
    beam(mesh, foot, top, 0.115, 0.115, m.POST, 0.014, 0.45, offset=51)
    turned(mesh, top, [[0.09, 0.0], [0.09, 0.02], [0.02, 0.07]], m.IRON, 4)
    arm, hook, t = top - [0, 0.14, 0], LAMP + [0, 0.40, 0], np.linspace(0, 1, 14)
    tube(mesh, bend([arm, arm + SIDE * 0.25 + [0, 0.10, 0], hook], t), 0.011, m.IRON)
    low, high = arm - [0, 0.36, 0], arm + SIDE * 0.3 + [0, 0.03, 0]
    tube(mesh, bend([low, low + SIDE * 0.17 + [0, 0.05, 0], high], t), 0.008, m.IRON)
    turn = np.linspace(0, 2 * np.pi, 24)
    ring = np.stack([0.03 * np.sin(turn), 0.03 * np.cos(turn) - 0.035, 0 * turn], 1)
    tube(mesh, hook + ring, 0.004, m.IRON, sides=6)
    roof = [[0.118, 0.165], [0.122, 0.175], [0.085, 0.215], [0.05, 0.24], [0.045, 0.28]]
    roof += [[0.06, 0.285], [0.025, 0.315], [0.012, 0.33]]
    turned(mesh, LAMP, roof, m.IRON, 24)
    base = [[0.07, -0.185], [0.105, -0.175], [0.105, -0.14], [0.085, -0.13]]
    turned(mesh, LAMP, base, m.IRON, 24)
    for angle in np.arange(6) * (np.pi / 3) + 0.3:
        spoke = np.array([np.cos(angle), 0, np.sin(angle)])
        low, high = 0.092 * spoke + [0, -0.15, 0], 0.105 * spoke + [0, 0.175, 0]
        tube(mesh, [LAMP + low, LAMP + high], 0.0055, m.IRON, 6)
    for height, radius in ((-0.03, 0.098), (0.075, 0.102)):
        hoop = np.stack([radius * np.cos(turn), 0 * turn + height, radius * np.sin(turn)], 1)
        tube(mesh, LAMP + hoop, 0.004, m.IRON, 6)
    heights = np.linspace(-0.13, 0.165, 13)
    for low, high in zip(heights, heights[1:], strict=False):
        glow = 0.5 + 2.4 * np.exp(-((0.5 * (low + high) / 0.07) ** 2))
        turned(mesh, LAMP, [[0.083, low], [0.085, high]], m.WINDOW, 24, glow)


def _hull(inset, s, half, rail, keel, length):
    """Rings of the hull's skin, stern to bow, and their texture: girth -1..1, height, length."""
    q = np.linspace(-1, 1, 33)
    x = (half - inset)[:, None] * np.sign(q) * (1 - (1 - abs(q)) ** 2.3) ** 0.75
    y = keel[:, None] + inset + (rail - keel - 0.6 * inset)[:, None] * abs(q) ** 1.7
    z = ((s - 0.5) * length)[:, None] + 0 * x
    return np.stack([x, y, z], -1), np.stack([q + 0 * x, y, z], -1)


def add_boat(mesh, centre, heading, length=3.9):
    """Clinker-built rowing boat with its oars in; returns where its painter is made fast."""
    boat, s = Mesh(), np.linspace(0, 1, 29)
    half = 0.64 * np.sin(np.pi * np.clip(0.26 + 0.74 * s, 0, 1)) ** 0.62
    half = np.where(s < 0.3, half[8] * (0.80 + 0.2 * np.sin(np.pi * s / 0.6)), half)
    rail = 0.42 + 0.26 * (s - 0.35) ** 2 * (1 + 0.9 * s)
    keel = -0.14 + 0.30 * np.clip((s - 0.8) / 0.2, 0, 1) ** 2
    for inset, material in ((0.0, m.HULL), (0.022, m.VARNISH)):
        rings, texture = _hull(inset, s, half, rail, keel, length)
        loft(boat, rings, material, closed=False, texture=texture)
    stern, _ = _hull(0.0, s, half, rail, keel, length)
    fan = np.array([[0, k, k + 1] for k in range(1, 32)])
    boat.add(stern[0] - [0, 0, 0.004], fan, m.HULL, texture=stern[0] * [0, 1, 1] + [0.45, 0, 0])
    for k in range(2, 26, 2):
        rings, _ = _hull(0.03, s, half, rail, keel, length)
        tube(boat, rings[k, 1:-1], 0.011, m.VARNISH, sides=5)
    for sign in (-1, 1):
        edge = np.stack([sign * (half + 0.004), rail + 0.008, (s - 0.5) * length], 1)
        tube(boat, edge, 0.024, m.VARNISH, sides=6)
    for z, reach in ((-1.35, 0.52), (-0.25, 0.62), (0.85, 0.52)):
        beam(boat, [-reach, 0.27, z], [reach, 0.27, z], 0.2, 0.03, m.VARNISH, offset=z)
    for x, z in ((-0.18, 0.2), (0.14, 0.05)):
        grip, neck = np.array([x, 0.34, z - 1.5]), np.array([x * 0.6, 0.36, z + 1.3])
        tube(boat, [grip, neck], 0.019, m.VARNISH, sides=8)
        beam(boat, neck, neck + [0, 0.03, 0.5], 0.13, 0.014, m.VARNISH, 0.004)
    mesh.add_placed(boat.arrays(), heading, centre)
    bow = np.array([np.sin(heading), 0, np.cos(heading)]) * (length / 2 - 0.05)
    return np.asarray(centre) + bow + [0, rail[-1], 0]


def add_cabin(mesh, turn, centre):
    """Red cabin with white trim, lit windows, a porch step and a chimney."""
    cabin = Mesh()
    wide, deep, wall, roof = 2.5, 1.9, 2.25, 1.55
    box(cabin, [-wide - 0.05, -0.9, -deep - 0.05], [wide + 0.05, 0.12, deep + 0.05], m.STONE)
    box(cabin, [-wide, 0.1, -deep], [wide, wall, deep], m.BOARD)
    gable = np.array([[-wide, wall, -deep], [-wide, wall, deep], [-wide, wall + roof, 0]])
    for sign in (1, -1):
        cabin.add(gable * [sign, 1, 1], np.array([[0, 1, 2]]), m.BOARD)
        _add_roof_side(cabin, sign, wide + 0.4, deep, wall, roof)
        for z in (-deep, deep):
            x = sign * wide
            box(cabin, [x - 0.08, 0.1, z - 0.08], [x + 0.08, wall, z + 0.08], m.TRIM)
    front = -deep - 0.02
    _add_window(cabin, [-1.55, 1.25, front], [1.0, 0.85, 0.8, 0.65])
    _add_window(cabin, [1.35, 1.25, front], [0.75, 0.9, 0.5, 0.6])
    box(cabin, [-0.55, 0.12, front - 0.02], [0.35, 2.0, front + 0.05], m.TRIM)
    box(cabin, [-0.47, 0.12, front - 0.04], [0.27, 1.93, front], m.BOARD, 0.0)
    box(cabin, [-0.28, 1.25, front - 0.05], [0.08, 1.7, front], m.WINDOW, 0.45)
    box(cabin, [1.0, wall + 0.4, 0.3], [1.55, wall + roof + 0.65, 0.8], m.STONE)
    box(cabin, [0.95, wall + roof + 0.65, 0.25], [1.6, wall + roof + 0.72, 0.85], m.STONE)
    for out, height in ((0.6, 0.05), (0.95, -0.15), (1.3, -0.37), (1.6, -0.65)):
        box(cabin, [-0.8, -1.2, front - out], [0.6, height, front], m.STONE)
    mesh.add_placed(cabin.arrays(), turn, centre)


def _add_roof_side(cabin, sign, reach, deep, wall, roof):
    eave = np.array([0, wall - 0.35 * roof / deep, sign * (deep + 0.35)])
    ridge, out = np.array([0, wall + roof, 0]), np.array([reach, 0, 0])
    lower = np.array([eave - out, eave + out, ridge + out, ridge - out])
    loft(cabin, np.array([lower, lower + [0, 0.09, 0]]), m.ROOF, caps=True, smooth=False)
    for end in (-out, out):
        beam(cabin, eave + end + [0, 0.03, 0], ridge + end + [0, 0.03, 0], 0.05, 0.2, m.TRIM)


def _add_window(cabin, centre, glow):
    cx, cy, cz = centre
    box(cabin, [cx - 0.5, cy - 0.55, cz - 0.03], [cx + 0.5, cy + 0.55, cz + 0.02], m.TRIM)
    for k, bright in enumerate(glow):
        x, y = cx + (k % 2 - 0.5) * 0.42, cy + (k // 2 - 0.5) * 0.5
        box(cabin, [x - 0.18, y - 0.21, cz - 0.035], [x + 0.18, y + 0.21, cz], m.WINDOW, bright)
