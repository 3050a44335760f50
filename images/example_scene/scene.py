"""Where things stand: jetty and lantern, boat and cabin, land and sky beyond."""

import numpy as np

from . import materials as m
from .bvh import build_tree
from .plants import birch_branch, bulrush, conifer, tuft
from .shapes import Mesh, beam, bend, box, loft, tube, turned
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
from .tracer import Scene

JETTY_START, JETTY_END = np.array([-0.95, 0.0, 2.0]), np.array([1.75, 0.0, 19.0])
DECK = 0.55  # height of the jetty's walking surface above the water
LAMP = (-0.72, 2.47, 6.2)


def _jetty_axes():
    along = JETTY_END - JETTY_START
    length = np.linalg.norm(along)
    along = along / length
    return along, np.array([along[2], 0.0, -along[0]]), length


def add_jetty(mesh, rng):
    """Planks across two stringers, on posts; a rope from post to post on the right."""
    along, side, length = _jetty_axes()
    walked, k = 0.0, 0
    while walked < length:
        width = rng.uniform(0.125, 0.15)
        middle = JETTY_START + along * (walked + width / 2)
        skew = along * rng.normal(0, 0.006)
        left, right = 0.82 + rng.normal(0, 0.018), 0.82 + rng.normal(0, 0.018)
        lift = np.array([0, DECK - 0.022 + rng.normal(0, 0.003), 0])
        tilt = np.array([0, rng.normal(0, 0.003), 0])
        beam(
            mesh,
            middle - side * left + lift - skew - tilt,
            middle + side * right + lift + skew + tilt,
            width,
            0.042,
            m.PLANK,
            0.006,
            rng.uniform(),
            offset=k,
        )
        walked += width + rng.uniform(0.008, 0.018)
        k += 1
    for x in (-0.6, 0.6):
        low = np.array([0, DECK - 0.13, 0])
        beam(
            mesh,
            JETTY_START + side * x + low,
            JETTY_END + side * x + low,
            0.1,
            0.16,
            m.POST,
            tint=0.3,
        )
    _add_posts(mesh, rng, along, side)


def _add_posts(mesh, rng, along, side):
    tops = []
    for k, s in enumerate(np.arange(3.1, 17.3, 2.75)):
        for x in (-0.9, 0.9):
            tall = DECK + (0.62 if x > 0 else 0.30) + rng.normal(0, 0.03)
            foot = (
                JETTY_START + along * (s + rng.normal(0, 0.04)) + side * (x + 0.02 * rng.normal())
            )
            top = foot + [rng.normal(0, 0.02), tall, rng.normal(0, 0.02)]
            radius = rng.uniform(0.068, 0.082)
            _add_post(mesh, rng, foot - [0, 0.6, 0], top, radius, k + 20 * (x > 0))
            if x > 0:
                tops.append(top - [0, 0.13, 0])
                turns = np.linspace(0, 3 * 2 * np.pi, 60)
                coil = tops[-1] + np.stack(
                    [
                        (radius + 0.012) * np.cos(turns),
                        0.012 * turns / 3 - 0.03,
                        (radius + 0.012) * np.sin(turns),
                    ],
                    1,
                )
                _add_rope(mesh, coil)
    for a, b in zip(tops, tops[1:], strict=False):
        sag = 0.5 * (a + b) - [0, rng.uniform(0.42, 0.6), 0]
        _add_rope(mesh, bend([a, sag, b], np.linspace(0, 1, 40)))


def _add_rope(mesh, path, radius=0.0125):
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    texture = np.zeros((len(path), 8, 3))
    texture[..., 0] = np.arange(8) * (2 * np.pi / 8)
    texture[..., 2] = length[:, None]
    tube(mesh, path, radius, m.ROPE, texture=texture)


def _add_post(mesh, rng, foot, top, radius, number):
    height = np.array([0, 0.93, 0.985, 1.0])
    path = foot + height[:, None] * (top - foot)
    sides = 14
    angle = np.arange(sides) * (2 * np.pi / sides)
    width = (
        radius
        * np.array([1.05, 1.0, 0.95, 0.75])[:, None]
        * (1 + 0.05 * np.cos(3 * angle + number))
    )
    rings = np.empty((4, sides, 3))
    rings[..., 0], rings[..., 2] = width * np.cos(angle), -width * np.sin(angle)
    rings[..., 1] = 0.0
    texture = rings[..., [0, 2, 1]] + number * 3.7
    texture[..., 2] += (height * np.linalg.norm(top - foot))[:, None]
    rings = rings + path[:, None]
    loft(mesh, rings, m.POST, caps=True, texture=texture, tint=rng.uniform(0, 0.6))


def add_lantern(mesh, rng):
    """A tall post on the jetty's left with an iron arm and a storm lantern, lit."""
    along, side, _ = _jetty_axes()
    lamp = np.array(LAMP)
    foot = lamp - side * 0.42
    foot[1] = -0.6
    top = foot.copy()
    top[1] = 3.02
    beam(mesh, foot, top, 0.115, 0.115, m.POST, 0.014, 0.5, offset=51)
    turned(mesh, top, [[0.09, 0.0], [0.09, 0.02], [0.02, 0.07]], m.IRON, 4)
    arm = top - [0, 0.14, 0]
    hook = lamp + [0, 0.40, 0]
    tube(
        mesh,
        bend([arm, arm + side * 0.25 + [0, 0.10, 0], hook], np.linspace(0, 1, 14)),
        0.011,
        m.IRON,
    )
    brace = arm - [0, 0.36, 0]
    tube(
        mesh,
        bend(
            [brace, brace + side * 0.17 + [0, 0.05, 0], arm + side * 0.3 + [0, 0.03, 0]],
            np.linspace(0, 1, 14),
        ),
        0.008,
        m.IRON,
    )
    ring = np.linspace(0, 2 * np.pi, 24)
    loop = hook + np.stack([0.03 * np.sin(ring), 0.03 * np.cos(ring) - 0.035, 0 * ring], 1)
    tube(mesh, loop, 0.004, m.IRON, sides=6)
    cap = [
        [0.118, 0.165],
        [0.122, 0.175],
        [0.085, 0.215],
        [0.05, 0.24],
        [0.045, 0.28],
        [0.06, 0.285],
        [0.025, 0.315],
        [0.012, 0.33],
    ]
    turned(mesh, lamp, cap, m.IRON, 24)
    turned(
        mesh, lamp, [[0.07, -0.185], [0.105, -0.175], [0.105, -0.14], [0.085, -0.13]], m.IRON, 24
    )
    for angle in np.arange(6) * (np.pi / 3) + 0.3:
        spoke = np.array([np.cos(angle), 0, np.sin(angle)])
        tube(
            mesh,
            [lamp + 0.092 * spoke + [0, -0.15, 0], lamp + 0.105 * spoke + [0, 0.175, 0]],
            0.0055,
            m.IRON,
            6,
        )
    for height, radius in ((-0.03, 0.098), (0.075, 0.102)):
        hoop = lamp + np.stack([radius * np.cos(ring), 0 * ring + height, radius * np.sin(ring)], 1)
        tube(mesh, hoop, 0.004, m.IRON, 6)
    heights = np.linspace(-0.13, 0.165, 9)
    for low, high in zip(heights, heights[1:], strict=False):
        glow = 0.35 + 1.25 * np.exp(-((0.5 * (low + high) / 0.075) ** 2))
        turned(mesh, lamp, [[0.083, low], [0.085, high]], m.WINDOW, 24, glow)


def add_boat(mesh, rng, centre=(2.75, 0.0, 10.6), heading=0.32, length=3.9):
    """Clinker-built rowing boat, tied up."""
    s = np.linspace(0, 1, 29)
    beam_half = 0.64 * np.sin(np.pi * np.clip(0.26 + 0.74 * s, 0, 1)) ** 0.62
    beam_half = np.where(s < 0.3, beam_half[8] * (0.80 + 0.2 * np.sin(np.pi * s / 0.6)), beam_half)
    rail = 0.42 + 0.26 * (s - 0.35) ** 2 * (1 + 0.9 * s)
    keel = -0.14 + 0.30 * np.clip((s - 0.8) / 0.2, 0, 1) ** 2
    turn = np.array(
        [[np.cos(heading), 0, -np.sin(heading)], [0, 1, 0], [np.sin(heading), 0, np.cos(heading)]]
    )

    def skin(inset, material):
        q = np.repeat(np.linspace(-1, 1, 13), 2)
        step = np.tile([0.0, 0.012], 13) * np.sign(q + 1e-9)
        q = q[1:-1]
        step = step[1:-1]
        half = (beam_half - inset)[:, None]
        x = half * np.sign(q) * (1 - (1 - abs(q)) ** 2.3) ** 0.75 + step * (half > 0.05)
        y = keel[:, None] + inset + (rail - keel - inset * 0.6)[:, None] * abs(q) ** 1.7
        z = ((s - 0.5) * length)[:, None] + 0 * x
        points = np.stack([x, y, z], -1)
        texture = points[..., [0, 1, 2]]
        loft(
            mesh,
            points @ turn + centre,
            material,
            closed=False,
            caps=material == m.HULL,
            texture=texture,
            tint=0.7,
        )

    skin(0.0, m.HULL)
    skin(0.025, m.SEAT)

    def place(points):
        return np.asarray(points, float) @ turn + centre

    for sign in (-1, 1):
        edge = np.stack([sign * (beam_half + 0.004), rail + 0.008, (s - 0.5) * length], 1)
        tube(mesh, place(edge), 0.024, m.SEAT, sides=6)
    for z, half in ((-1.35, 0.52), (-0.25, 0.62), (0.85, 0.52)):
        beam(
            mesh,
            place([-half, 0.27, z]),
            place([half, 0.27, z]),
            0.2,
            0.03,
            m.SEAT,
            tint=0.9,
            offset=z,
        )
    for x, z in ((-0.18, 0.2), (0.14, 0.05)):
        oar = np.array([[x, 0.34, z - 1.5], [x * 0.6, 0.36, z + 1.3]])
        tube(mesh, place(oar), 0.019, m.SEAT, sides=8, tint=1.0)
        beam(
            mesh,
            place(oar[1]),
            place(oar[1] + [0, 0.03, 0.5]),
            0.13,
            0.014,
            m.SEAT,
            0.004,
            tint=1.0,
        )
    bow = place([0, rail[-1], length / 2 - 0.05])
    return bow


def add_cabin(mesh, rng):
    """Red cabin with white trim, lit windows and a chimney."""
    place, mesh = mesh, Mesh()
    x = y = z = 0.0
    wide, deep, wall, roof = 2.5, 1.9, 2.25, 1.55
    box(
        mesh,
        [x - wide - 0.05, y - 0.9, z - deep - 0.05],
        [x + wide + 0.05, y + 0.12, z + deep + 0.05],
        m.STONE,
    )
    box(mesh, [x - wide, y + 0.1, z - deep], [x + wide, y + wall, z + deep], m.BOARD)
    gable = np.array([[-wide, wall, -deep], [-wide, wall, deep], [-wide, wall + roof, 0]])
    for sign in (1, -1):
        mesh.add(gable * [sign, 1, 1] + [x, y, z], np.array([[0, 1, 2]]), m.BOARD)
    eave, over = 0.35, 0.4
    drop = roof / deep
    for sign in (-1, 1):
        edge = np.array([x, y + wall - eave * drop, z + sign * (deep + eave)])
        ridge = np.array([x, y + wall + roof, z])
        corners = [
            edge - [wide + over, 0, 0],
            edge + [wide + over, 0, 0],
            ridge + [wide + over, 0, 0],
            ridge - [wide + over, 0, 0],
        ]
        up = np.array([0, 0.09, 0])
        slab = np.array([corners, [c + up for c in corners]])
        loft(mesh, slab, m.ROOF, caps=True, smooth=False)
        for end in (-1, 1):
            at = np.array([end * (wide + over), 0.03, 0])
            beam(mesh, edge + at, ridge + at, 0.05, 0.2, m.TRIM)
    for cx in (-1, 1):
        for cz in (-1, 1):
            px, pz = x + cx * wide, z + cz * deep
            box(mesh, [px - 0.08, y + 0.1, pz - 0.08], [px + 0.08, y + wall, pz + 0.08], m.TRIM)
    front = z - deep - 0.02
    for cx, glow in ((-1.55, 1.0), (1.35, 0.75)):
        _add_window(mesh, [x + cx, y + 1.25, front], glow)
    box(mesh, [x - 0.55, y + 0.12, front - 0.02], [x + 0.35, y + 2.0, front + 0.05], m.TRIM)
    box(mesh, [x - 0.47, y + 0.12, front - 0.04], [x + 0.27, y + 1.93, front], m.BARK)
    box(
        mesh,
        [x + 1.0, y + wall + 0.4, z + 0.3],
        [x + 1.55, y + wall + roof + 0.65, z + 0.8],
        m.STONE,
    )
    steps = [[0.6, 0.0], [0.9, -0.2], [1.2, -0.42], [1.5, -0.7]]
    for out, low in steps:
        box(mesh, [x - 0.8, y - 1.2, front - out], [x + 0.6, y + 0.05 + low, front], m.STONE)
    place.add_placed(mesh.arrays(), -0.30, [ISLET[0] - 1.5, 1.0, ISLET[1]])


def _add_window(mesh, centre, glow):
    cx, cy, cz = centre
    box(mesh, [cx - 0.5, cy - 0.55, cz - 0.03], [cx + 0.5, cy + 0.55, cz + 0.02], m.TRIM)
    for dx in (-0.21, 0.21):
        for dy in (-0.25, 0.25):
            low, high = (
                [cx + dx - 0.18, cy + dy - 0.21, cz - 0.035],
                [cx + dx + 0.18, cy + dy + 0.21, cz],
            )
            box(mesh, low, high, m.WINDOW, tint=glow * (1.0 if dy < 0 else 0.75))


def add_forest(mesh, rng, detail):
    """Spruces: a few on the islet, many along the far shore, ever simpler with distance."""
    near = [
        (-5.4, 2.6, 4.4),
        (-3.6, 3.6, 6.9),
        (-1.2, 3.9, 8.6),
        (0.9, 3.4, 7.2),
        (2.7, 2.2, 9.6),
        (3.7, 0.4, 7.6),
        (5.0, 1.6, 8.4),
        (4.9, -0.9, 5.2),
        (6.2, 0.6, 5.6),
        (3.2, -1.3, 2.6),
    ]
    for dx, dz, height in near:
        x, z = ISLET[0] + dx, ISLET[1] + dz
        conifer(mesh, rng, [x, islet_height(x, z) - 0.15, z], height, 36, 12)
    for dx, dz, height in ((-4, 0, 8.5), (-1.5, 1.5, 6), (1, -0.5, 10), (4.5, 1, 7), (6.5, 0, 4.5)):
        x, z = SKERRY[0] + dx, SKERRY[1] + dz
        conifer(mesh, rng, [x, skerry_height(x, z) - 0.2, z], height, 26, 8)
    kinds = [Mesh() for _ in range(10)]
    for kind in kinds:
        conifer(kind, rng, [0, -0.03, 0], 1.0, 13, 3)
    kinds = [kind.arrays() for kind in kinds]
    count = int(5200 * detail)
    azimuth = np.radians(rng.uniform(-31, 34, count))
    distance = 260 + 1100 * rng.uniform(0, 1, count) ** 1.6
    for k, (a, d) in enumerate(zip(azimuth, distance, strict=True)):
        foot = np.array([d * np.sin(a), 0.0, d * np.cos(a)])
        foot[1] = range_height(foot[0], foot[2], 3)
        if foot[1] > 1.2:
            size, tint = rng.uniform(9, 21), rng.uniform(0.6, 1.3)
            mesh.add_placed(kinds[k % 10], rng.uniform(0, 6.28), foot, size, tint)


def add_near_plants(mesh, rng):
    """Birch branch above, grass on the bank at the left, bulrushes in the water at the right."""
    birch_branch(mesh, rng, [[-2.9, 3.9, 3.9], [-1.9, 3.55, 3.7], [-0.7, 3.42, 3.6]], 60, 0.062)
    birch_branch(mesh, rng, [[-2.9, 3.2, 4.4], [-2.3, 3.35, 4.3], [-1.6, 3.05, 4.1]], 36, 0.062)
    for _ in range(70):
        x, z = rng.uniform(-3.6, -1.75), rng.uniform(3.6, 8.0)
        y = bank_height(x, z)
        if y > 0.03:
            tuft(mesh, rng, [x, y - 0.02, z], 26, rng.uniform(0.25, 0.6), 0.22)
    for _ in range(36):
        x, z = rng.uniform(1.55, 3.4), rng.uniform(4.5, 6.6)
        if x > 0.36 * z - 0.05:
            bulrush(mesh, rng, [x, -0.1, z], rng.uniform(1.1, 1.9))
    for x in np.arange(-5, 6.5, 0.22):
        px, pz = ISLET[0] + x + rng.normal(0, 0.3), ISLET[1] - 3.2 + rng.normal(0, 0.9)
        y = islet_height(px, pz)
        if y > 0.35:
            tuft(mesh, rng, [px, y, pz], 14, rng.uniform(0.3, 0.6), 0.25)


def build(detail=1.0):
    """Whole scene; detail below 1 thins out the far land for quick previews."""
    rng = np.random.default_rng(11)
    mesh = Mesh()
    add_jetty(mesh, rng)
    add_lantern(mesh, rng)
    bow = add_boat(mesh, rng)
    along, side, _ = _jetty_axes()
    cleat = JETTY_START + along * 11.9 + side * 0.9 + [0, DECK + 0.3, 0]
    _add_rope(
        mesh, bend([bow, 0.5 * (bow + cleat) - [0, 0.4, 0], cleat], np.linspace(0, 1, 30)), 0.009
    )
    add_cabin(mesh, rng)
    add_near_plants(mesh, rng)
    add_forest(mesh, rng, detail)
    add_land(mesh, detail)
    corners, normals, texture, labels = mesh.arrays()
    tree = build_tree(corners)
    order = tree.order
    return Scene(
        tree, normals[order], texture[order], labels[order], bake(512, 2560), np.array(LAMP)
    )
