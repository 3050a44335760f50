"""Things found outdoors, and people and animals. All stand on z = 0 in the builder's frame."""

import numpy as np

from utils.synthetic_furniture import cloth, paint, steel, timber
from utils.synthetic_mesh import (
    box,
    bumpy,
    cards,
    cushion,
    cylinder,
    ellipsoid,
    lathe,
    leaf_cards,
    loft,
    prism,
    quad,
    shifted,
    stick,
    tube,
    turned,
)


def _crown(b, centre, size, foliage, count, card):
    """A cloud of leaf cards in an ellipsoid: most near its skin."""
    rng = b.rng
    direction = rng.normal(0, 1, (count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    radius = rng.random((count, 1)) ** 0.4
    centres = np.asarray(centre) + direction * radius * np.asarray(size)
    normals = direction + [0, 0, 0.35]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    b.add(leaf_cards(rng, centres, normals, card), foliage)


def broadleaf(b, height, detail=1.0):
    """A tree with a forked trunk and a crown of several clumps."""
    rng = b.rng
    trunk = height * rng.uniform(0.2, 0.4)
    radius = height * rng.uniform(0.018, 0.035)
    bark = b.material("bark", np.full(3, rng.uniform(0.4, 1.0)), 0.6, grunge=0.2)
    tint = rng.uniform(0.5, 1.0) * (1 + rng.normal(0, 0.08, 3))
    foliage = b.material("leaves", tint, cutout=1, through=0.4)
    bend = rng.normal(0, 0.04, 2) * height
    top = np.array([*bend, trunk])
    b.add(tube([(0, 0, -0.2), (bend[0] * 0.3, bend[1] * 0.3, trunk * 0.5), top],
               [radius * 1.3, radius, radius * 0.85], 9), bark)
    clumps = int(rng.integers(4, 9))
    spread = height * rng.uniform(0.16, 0.3)
    for i in range(clumps):
        angle = 2 * np.pi * (i / clumps) + rng.normal(0, 0.4)
        reach = spread * rng.uniform(0.3, 1.0)
        up = rng.uniform(trunk + 0.1 * height, height * 0.88)
        centre = np.array([np.cos(angle) * reach, np.sin(angle) * reach, up]) + [*bend, 0]
        b.add(tube([top - [0, 0, 0.02 * height], (top + centre) / 2 + [0, 0, 0.02 * height], centre],
                   [radius * 0.6, radius * 0.4, radius * 0.15], 6), bark)
        size = height * rng.uniform(0.1, 0.18) * np.array([1.15, 1.15, 0.85])
        _crown(b, centre, size, foliage, int(46 * detail), height * 0.13 / detail**0.4)


def conifer(b, height, detail=1.0):
    """A fir: whorls of drooping twigs."""
    rng = b.rng
    bark = b.material("bark", np.full(3, 0.5), 0.6)
    b.add(stick((0, 0, -0.2), (0, 0, height * 0.95), height * 0.016, 7, 0.01), bark)
    tint = rng.uniform(0.4, 0.9) * np.array([0.9, 1.0, 0.95 + rng.uniform(0, 0.3)])
    foliage = b.material("needles", tint, cutout=1, through=0.25)
    count = int(150 * detail)
    z = height * (0.1 + 0.9 * np.sort(rng.random(count)))
    reach = (height - z) * rng.uniform(0.2, 0.3) + 0.02 * height
    angle = rng.uniform(0, 2 * np.pi, count)
    out = np.stack([np.cos(angle), np.sin(angle), np.full(count, -0.35)], 1)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    side = np.stack([-np.sin(angle), np.cos(angle), np.zeros(count)], 1)
    centres = np.stack([np.zeros(count), np.zeros(count), z], 1) + out * reach[:, None] * 0.6
    normals = out * [1, 1, 0] + [0, 0, 0.5]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    size = reach * 1.25 / detail**0.3
    across, along = out * 1.0, side + rng.normal(0, 0.15, (count, 3))
    b.add(cards(centres, size, across, along, normals), foliage)


def bare_tree(b, height):
    """A leafless tree: branches that fork three times."""
    rng = b.rng
    bark = b.material("bark", np.full(3, rng.uniform(0.3, 0.9)), 0.6)

    def grow(start, direction, length, radius, depth):
        bend = rng.normal(0, 0.12, 3)
        middle = start + (direction + bend) * length * 0.5
        end = start + (direction + bend * 0.3) * length
        b.add(tube([start, middle, end], [radius, radius * 0.8, radius * 0.6], 7 - depth), bark)
        for _ in range(0 if depth == 3 else int(rng.integers(2, 5))):
            turn = direction + rng.normal(0, 0.5, 3) + [0, 0, 0.15]
            grow(start + (end - start) * rng.uniform(0.6, 1.0), turn / np.linalg.norm(turn),
                 length * rng.uniform(0.5, 0.75), radius * 0.55, depth + 1)

    grow(np.array([0, 0, -0.1]), np.array([0, 0, 1.0]), height * 0.4, height * 0.025, 0)


def palm(b, height):
    """A bent trunk with fronds."""
    rng = b.rng
    lean = rng.normal(0, 0.12, 2) * height
    top = np.array([*lean, height * 0.85])
    b.add(tube([(0, 0, -0.2), (lean[0] * 0.3, lean[1] * 0.3, height * 0.45), top],
               [height * 0.03, height * 0.022, height * 0.018], 9), b.material("bark", tile=0.4))
    frond = b.material("needles", (1.2, 1.2, 0.8), cutout=1, through=0.4)
    count = 34
    angle = rng.uniform(0, 2 * np.pi, count)
    tilt = rng.uniform(-0.9, 0.7, count)
    out = np.stack([np.cos(angle) * np.cos(tilt), np.sin(angle) * np.cos(tilt), np.sin(tilt)], 1)
    side = np.stack([-np.sin(angle), np.cos(angle), np.zeros(count)], 1)
    size = height * rng.uniform(0.3, 0.42, count)
    b.add(cards(top + out * size[:, None] * 0.5, size, out, side * 0.6, out * 0.4 + [0, 0, 0.8]),
          frond)


def bush(b, height):
    """A rounded shrub, sometimes in flower."""
    rng = b.rng
    kind = "flowers" if rng.random() < 0.25 else "leaves"
    foliage = b.material(kind, rng.uniform(0.5, 1.0, 3) * 0.2 + rng.uniform(0.4, 0.8),
                         cutout=1, through=0.35)
    size = np.array([*rng.uniform(0.45, 0.9, 2), 0.5]) * height
    _crown(b, (0, 0, height * 0.5), size, foliage, 70, height * 0.35)


def tree(b, height, detail=1.0):
    """Any tree."""
    choice = b.rng.random()
    if choice < 0.58:
        broadleaf(b, height, detail)
    elif choice < 0.82:
        conifer(b, height, detail)
    elif choice < 0.92:
        bare_tree(b, height)
    else:
        palm(b, height)


def meadow(b, spots, sizes, kind="tuft", tint=1.0):
    """Upright cut-out tufts at spots (K, 3), two crossed cards each."""
    rng = b.rng
    count = len(spots)
    angle = rng.uniform(0, np.pi, count)
    up = np.tile([[0.0, 0.0, 1.0]], (2 * count, 1)) + rng.normal(0, 0.08, (2 * count, 3))
    angle = np.concatenate([angle, angle + np.pi / 2])
    across = np.stack([np.cos(angle), np.sin(angle), np.zeros(2 * count)], 1)
    centres = np.tile(spots + np.stack([0 * sizes, 0 * sizes, sizes * 0.48], 1), (2, 1))
    foliage = b.material(kind, np.full(3, tint), cutout=1, through=0.4)
    normals = np.tile([[0.0, 0.0, 1.0]], (2 * count, 1))
    b.add(cards(centres, np.tile(sizes, 2), across, up, normals), foliage)


def boulder(b, size):
    """A rock, partly in the ground."""
    rng = b.rng
    mesh = bumpy(ellipsoid(*(size * rng.uniform(0.6, 1.4, 3)), 18, rng.uniform(0.6, 1.0)), rng,
                 size * 0.1, size)
    b.add(shifted(turned(mesh, rng.uniform(0, 6)), (0, 0, size * 0.2)),
          b.material("rock", np.full(3, rng.uniform(0.5, 1)), size * 1.2, grunge=0.3))


_SKINS = ((0.72, 0.5, 0.38), (0.62, 0.4, 0.28), (0.45, 0.27, 0.17), (0.25, 0.14, 0.09),
          (0.8, 0.6, 0.5))
_HAIRS = ((0.03, 0.02, 0.02), (0.12, 0.07, 0.04), (0.3, 0.2, 0.09), (0.5, 0.42, 0.3),
          (0.25, 0.24, 0.24), (0.2, 0.06, 0.02))


def person(b, height=1.7, pose="stand"):
    """A clothed person looking along -y: standing, walking or sitting on a seat at 0.45 m."""
    rng, h = b.rng, height
    skin = b.material("peel", np.array(_SKINS[rng.integers(5)]), 0.3, contrast=0.4)
    shirt, trousers = cloth(b), b.material("fabric", paint(rng, 0.3, 0.25), 0.3)
    shoe = b.material(None, paint(rng, 0.3, 0.15))
    wide = rng.uniform(0.9, 1.15)
    sit = pose == "sit"
    hip = 0.45 + 0.05 * h if sit else 0.52 * h
    lean = rng.normal(0, 0.02) * h
    chest, neck = hip + 0.19 * h, hip + 0.31 * h
    b.add(loft([(0, 0, hip - 0.05 * h, 0.01, 0.01), (0, 0, hip - 0.04 * h, 0.085 * h * wide, 0.065 * h),
                (0, 0, hip + 0.05 * h, 0.09 * h * wide, 0.065 * h),
                (0, lean * 0.5, hip + 0.12 * h, 0.085 * h * wide, 0.062 * h),
                (0, lean, chest, 0.105 * h * wide, 0.072 * h),
                (0, lean, neck - 0.03 * h, 0.11 * h * wide, 0.055 * h),
                (0, lean, neck, 0.05 * h, 0.04 * h), (0, lean, neck + 0.01 * h, 0.01, 0.01)]), shirt)
    b.add(stick((0, lean, neck - 0.03 * h), (0, lean - 0.01, neck + 0.05 * h), 0.033 * h, 8), skin)
    _head(b, h, (0, lean - 0.015 * h, neck + 0.105 * h), skin)
    _legs(b, h, hip, wide, pose, trousers, shoe)
    _arms(b, h, neck, lean, wide, pose, shirt, skin)


def _head(b, h, centre, skin):
    """Head with nose, hair, and now and then a hat."""
    rng, (x, y, z) = b.rng, centre
    turn = rng.normal(0, 0.4)
    head = bumpy(ellipsoid(0.088 * h, 0.108 * h, 0.135 * h, 14), rng, 0.002 * h, 0.1)
    b.add(shifted(head, centre), skin)
    nose = turned(shifted(ellipsoid(0.014 * h, 0.026 * h, 0.03 * h, 8), (0, -0.054 * h, -0.006 * h)),
                  turn)
    b.add(shifted(nose, centre), skin)
    dark = b.material(None, (0.03, 0.02, 0.02))
    for side in (-0.018, 0.018):
        eye = turned(shifted(ellipsoid(0.011 * h, 0.008 * h, 0.007 * h, 6),
                             (side * h, -0.05 * h, 0.012 * h)), turn)
        b.add(shifted(eye, centre), dark)
    hair = b.material("fur", np.array(_HAIRS[rng.integers(6)]) * 1.4, 0.2)
    if rng.random() < 0.85:
        cap = turned(shifted(ellipsoid(0.1 * h, 0.112 * h, 0.11 * h, 14),
                             (0, 0.014 * h, 0.022 * h)), turn)
        b.add(shifted(cap, centre), hair)
    if rng.random() < 0.4:
        long = turned(shifted(cushion(0.1 * h, 0.06 * h, rng.uniform(0.08, 0.2) * h, 0.7),
                              (0, 0.035 * h, -0.15 * h)), turn)
        b.add(shifted(long, centre), hair)
    if rng.random() < 0.2:
        hat = b.material("fabric", paint(rng, 0.5, 0.4), 0.2)
        b.add(shifted(lathe([(0.1 * h, 0.03 * h), (0.056 * h, 0.034 * h), (0.052 * h, 0.085 * h),
                             (0, 0.09 * h)]), centre), hat)


def _legs(b, h, hip, wide, pose, trousers, shoe):
    """Two legs and shoes."""
    step = b.rng.uniform(0.1, 0.22) * h if pose == "walk" else b.rng.normal(0, 0.015) * h
    for side in (-1, 1):
        x = side * 0.05 * h * wide
        if pose == "sit":
            path = [(x, 0, hip), (x * 1.3, -0.24 * h, hip + 0.01), (x * 1.3, -0.25 * h, 0.06)]
        else:
            y = side * step
            path = [(x, 0, hip), (x * 1.1, y * 0.4 - 0.02 * h * (pose == "walk"), 0.28 * h),
                    (x * 1.1, y, 0.05 * h)]
        b.add(tube(np.array(path), [0.058 * h * wide, 0.042 * h, 0.034 * h], 9), trousers)
        foot = cushion(0.055 * h, 0.15 * h, 0.055 * h, 0.6, 10)
        b.add(shifted(foot, (path[-1][0], path[-1][1] - 0.03 * h, 0)), shoe)


def _arms(b, h, neck, lean, wide, pose, shirt, skin):
    """Two arms, hanging, swinging, raised or resting, with hands."""
    rng = b.rng
    bare = rng.random() < 0.4
    for side in (-1, 1):
        x = side * 0.115 * h * wide
        shoulder = np.array([x, lean, neck - 0.035 * h])
        raised = rng.random() < 0.15
        bend = rng.uniform(0.0, 0.1) * h
        if raised:
            elbow = shoulder + [side * 0.1 * h, -0.08 * h, 0.02 * h]
            hand = elbow + [side * 0.02 * h, -0.06 * h, 0.14 * h]
        elif pose == "sit" or rng.random() < 0.25:
            elbow = shoulder + [side * 0.03 * h, 0.0, -0.17 * h]
            hand = elbow + [-side * 0.04 * h, -0.13 * h, -0.02 * h]
        else:
            swing = rng.normal(0, 0.05 if pose == "walk" else 0.02) * h
            elbow = shoulder + [side * 0.03 * h, swing * 0.6, -0.17 * h]
            hand = elbow + [-side * 0.01 * h, swing - bend, -0.14 * h]
        b.add(tube([shoulder, elbow], [0.037 * h, 0.03 * h], 8), shirt)
        b.add(tube([elbow, hand], [0.027 * h, 0.02 * h], 8), skin if bare else shirt)
        b.add(shifted(ellipsoid(0.04 * h, 0.05 * h, 0.06 * h, 8), hand - [0, 0, 0.02 * h]), skin)


def animal(b, length, kind=None):
    """A dog, cat, sheep, cow or horse looking along -y, standing."""
    rng = b.rng
    legs, neck, fat, ear = {
        "dog": (0.5, 0.3, 0.15, 0.1), "cat": (0.4, 0.16, 0.14, 0.1),
        "cow": (0.5, 0.3, 0.23, 0.1), "horse": (0.75, 0.55, 0.18, 0.08),
        "sheep": (0.42, 0.22, 0.25, 0.09),
    }[kind or str(rng.choice(["dog", "cat", "cow", "horse", "sheep"]))]
    size = length
    coat = b.material(str(rng.choice(["fur", "fur", "patches"])), paint(rng, 0.35, 0.5), size * 0.5,
                      contrast=rng.uniform(0.5, 1.0))
    dark = b.material(None, np.full(3, 0.03), gloss=0.04)
    top, half = legs * size, size / 2
    body = [(0, -half, top), (0, -half * 0.4, top - 0.02 * size), (0, half * 0.3, top),
            (0, half, top + 0.02 * size)]
    b.add(bumpy(tube(np.array(body), np.array([0.85, 1.1, 1.0, 0.8]) * fat * size, 14), rng,
                0.008 * size, 0.3 * size), coat)
    for x in (-1, 1):
        for y in (-0.85, 0.85):
            step = rng.normal(0, 0.06) * size
            hip = np.array([x * fat * 0.55 * size, y * half, top - 0.3 * fat * size])
            foot = np.array([hip[0], y * half + step, 0.02 * size])
            knee = (hip + foot) / 2 + [0, 0.03 * size * np.sign(y), 0]
            b.add(tube([hip, knee, foot], np.array([0.42, 0.25, 0.2]) * fat * size, 8), coat)
            b.add(shifted(ellipsoid(0.4 * fat * size, 0.55 * fat * size, 0.3 * fat * size, 8),
                          foot - [0, 0.05 * fat * size, 0]), dark if fat > 0.16 else coat)
    droop = rng.uniform(-0.7, 0.5) if legs > 0.45 else 0.2
    head = np.array([rng.normal(0, 0.06) * size, -half - neck * 0.75 * size,
                     top + (neck * 0.9 + droop * 0.1) * size])
    b.add(tube([(0, -half * 0.9, top + 0.02 * size), head], [0.75 * fat * size, 0.5 * fat * size], 10),
          coat)
    skull, snout = 0.95 * fat * size, rng.uniform(0.9, 1.6) * fat * size
    b.add(shifted(ellipsoid(skull, skull * 1.2, skull, 12), head), coat)
    nose = head + [0, -snout * 0.75, -0.2 * skull]
    b.add(tube([head, nose], [0.42 * skull, 0.27 * skull], 10), coat)
    b.add(shifted(ellipsoid(*np.array([0.28, 0.2, 0.2]) * skull, 8), nose - [0, 0.25 * skull, -0.04]),
          dark)
    for x in (-1, 1):
        root = head + [x * 0.3 * skull, 0.1 * skull, 0.35 * skull]
        b.add(stick(root, root + [x * ear * size, 0, ear * size * rng.uniform(-0.4, 1)],
                    0.2 * skull, 7, 0.05 * skull), coat)
        b.add(shifted(ellipsoid(0.14 * skull, 0.14 * skull, 0.14 * skull, 6),
                      head + [x * 0.32 * skull, -0.42 * skull, 0.16 * skull]), dark)
    tail = np.array([0, half, top + 0.1 * size])
    b.add(tube([tail, tail + [0.03 * size, 0.16 * size, -0.05 * size],
                tail + [0.05 * size, 0.2 * size, -0.3 * size]], [0.06 * size, 0.04 * size, 0.02 * size],
               7), coat)


def bird(b, size):
    """A perching bird looking along -y."""
    rng = b.rng
    coat = b.material("fur", paint(rng, 0.6, 0.5), size, contrast=0.6)
    b.add(shifted(turned(ellipsoid(0.42 * size, size * 0.8, 0.45 * size, 14), 0, 0.5),
                  (0, 0, 0.45 * size)), coat)
    b.add(shifted(ellipsoid(0.3 * size, 0.33 * size, 0.3 * size, 12), (0, -0.3 * size, 0.85 * size)),
          coat)
    b.add(stick((0, -0.4 * size, 0.84 * size), (0, -0.62 * size, 0.8 * size), 0.05 * size, 6, 0.005),
          b.material(None, (0.5, 0.3, 0.05)))
    b.add(shifted(turned(box(0.2 * size, 0.6 * size, 0.03 * size), 0, 0.7),
                  (0, 0.5 * size, 0.25 * size)), coat)
    dark = b.material(None, (0.02, 0.02, 0.02))
    for x in (-0.1, 0.1):
        b.add(stick((x * size, 0, 0), (x * size, 0, 0.3 * size), 0.02 * size, 5), dark)
        b.add(shifted(ellipsoid(0.05 * size, 0.05 * size, 0.05 * size, 6),
                      (x * 1.2 * size, -0.4 * size, 0.9 * size)), dark)


def car(b):
    """A car, van or bus along x."""
    rng = b.rng
    length, high = rng.uniform(3.7, 4.7), rng.uniform(1.4, 1.65)
    wide = rng.uniform(1.65, 1.85)
    lacquer = b.material(None, paint(rng, 0.7, rng.choice([0.08, 0.35, 0.75])), gloss=0.06, power=120)
    glass = b.material(None, np.full(3, 0.015), gloss=0.12, power=200)
    dark = b.material("asphalt", np.full(3, 0.08), 0.5)
    waist, base = high * 0.6, 0.28
    if rng.random() < 0.2:
        length, high, wide, waist = length * 1.15, high * 1.4, wide * 1.1, high * 0.75
        roof = [(-0.46, waist), (-0.4, high), (0.48, high), (0.5, waist)]
    else:
        back = rng.uniform(0.3, 0.48)
        roof = [(-0.24, waist), (-0.1, high), (back - 0.14, high), (back, waist)]
    body = [(-0.5, base), (-0.5, waist * 0.82), (-0.46, waist * 0.92), (-0.24, waist),
            (roof[-1][0], waist), (0.49, waist * 0.95), (0.5, base)]
    b.add(prism(np.array(body) * [length, 1], wide), lacquer)
    cabin = np.array(roof) * [length, 1]
    b.add(prism(cabin, wide * 0.86), lacquer)
    middle = cabin.mean(axis=0)
    b.add(prism((cabin - middle) * [0.9, 0.74] + middle, wide * 0.87), glass)
    ends = (cabin - middle) * [1.006, 0.8] + middle
    b.add(prism(ends, wide * 0.74), glass)
    for x in (-0.31, 0.31):
        for y in (-0.5, 0.5):
            wheel = turned(shifted(cylinder(0.31, 0.2, 18), (0, 0, -0.1)), 0, np.pi / 2)
            b.add(shifted(wheel, (x * length, y * wide * 0.93, 0.31)), dark)
            hub = turned(shifted(cylinder(0.18, 0.22, 12), (0, 0, -0.11)), 0, np.pi / 2)
            b.add(shifted(hub, (x * length, y * wide * 0.93, 0.31)), steel(b))
    b.add(shifted(box(length * 0.96, wide * 0.98, 0.15), (0, 0, base - 0.1)), dark)
    light = b.material(None, (0.8, 0.8, 0.75), glow=0.3, gloss=0.1)
    red = b.material(None, (0.5, 0.02, 0.02), gloss=0.1)
    for y in (-0.38, 0.38):
        b.add(shifted(cushion(0.1, 0.26, 0.14, 0.5, 8), (-length / 2, y * wide, waist * 0.68)), light)
        b.add(shifted(cushion(0.08, 0.24, 0.14, 0.5, 8), (length / 2, y * wide, waist * 0.72)), red)


def street_lamp(b, height):
    """A pole with an arm or a globe."""
    rng, metal = b.rng, steel(b)
    b.add(stick((0, 0, 0), (0, 0, height), 0.07, 8, 0.045), metal)
    b.add(cylinder(0.14, 0.5, 10), metal)
    if rng.random() < 0.6:
        arm = rng.choice([-1, 1]) * rng.uniform(0.6, 1.6)
        b.add(tube([(0, 0, height), (arm * 0.4, 0, height + 0.25), (arm, 0, height + 0.3)], 0.04, 7),
              metal)
        b.add(shifted(cushion(0.5, 0.2, 0.12, 0.6, 10), (arm, 0, height + 0.2)), metal)
    else:
        b.add(shifted(ellipsoid(0.45, 0.45, 0.45, 14), (0, 0, height + 0.15)),
              b.material(None, (0.75, 0.73, 0.68), gloss=0.05, glow=0.2))


def sign(b, height):
    """A traffic sign, a shop sign or a board on a post."""
    rng = b.rng
    b.add(stick((0, 0, 0), (0, 0, height), 0.035, 7), steel(b))
    face = b.material(str(rng.choice(["painting", "print_"])) if rng.random() < 0.6 else None,
                      paint(rng, 0.9, 0.6), 0.6)
    if rng.random() < 0.5:
        disc = turned(cylinder(0.32, 0.02, 20), 0, np.pi / 2)
        b.add(shifted(disc, (0, -0.04, height - 0.2)), face)
    else:
        wide, high = rng.uniform(0.4, 1.2), rng.uniform(0.3, 0.7)
        b.add(shifted(box(wide, 0.02, high), (0, -0.05, height - high)), face)


def bench(b, width):
    """A bench with slats and a back, looking along -y."""
    wood, metal = timber(b), steel(b)
    for x in (-width / 2 + 0.15, width / 2 - 0.15):
        b.add(tube([(x, -0.22, 0), (x, -0.22, 0.42), (x, 0.2, 0.42), (x, 0.32, 0.85)], 0.025, 6), metal)
        b.add(stick((x, 0.2, 0), (x, 0.2, 0.42), 0.025, 6), metal)
    for y in np.linspace(-0.2, 0.2, 4):
        b.add(shifted(box(width, 0.09, 0.03), (0, y, 0.43)), wood)
    for z in (0.55, 0.68, 0.81):
        b.add(shifted(box(width, 0.03, 0.09), (0, 0.2 + (z - 0.4) * 0.28, z)), wood)


def fence(b, length, height):
    """Posts with rails, pickets or a net, along x."""
    rng, style = b.rng, b.rng.integers(3)
    wood = timber(b) if rng.random() < 0.7 else steel(b)
    step = rng.uniform(1.5, 2.5)
    for x in np.arange(-length / 2, length / 2 + 0.01, step):
        b.add(shifted(box(0.09, 0.09, height), (x, 0, 0)), wood)
    if style == 2:
        net = b.material("lattice", np.full(3, 0.5), cutout=1)
        mesh = quad((-length / 2, 0, 0.05), (length, 0, 0), (0, 0, height - 0.1))
        b.add(mesh, net)
        return
    for z in np.linspace(height * 0.3, height * 0.9, 2 if style else 3):
        b.add(shifted(box(length, 0.04, 0.08), (0, -0.05, z)), wood)
    if style == 1:
        for x in np.arange(-length / 2, length / 2, rng.uniform(0.12, 0.2)):
            b.add(shifted(box(0.08, 0.02, height * 1.05), (x, -0.08, 0.05)), wood)


def wires(b, start, end, count):
    """Sagging wires between two points, side by side."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    dark = b.material(None, np.full(3, 0.03))
    t = np.linspace(0, 1, 12)[:, None]
    sag = 0.04 * np.linalg.norm(end - start)
    for i in range(count):
        path = start + (end - start) * t - np.array([0, 0, 1]) * sag * 4 * t * (1 - t)
        b.add(tube(path + [0, 0, -0.3 * i], 0.015, 4), dark)


def house(b, width, depth, height):
    """A building with a textured front, a roof, a door and ledges."""
    rng = b.rng
    storey = rng.uniform(2.8, 3.4)
    wall = b.material("facade", rng.uniform(0.6, 1.1) * (1 + rng.normal(0, 0.07, 3)), storey * 4,
                      grunge=0.15)
    b.add(box(width, depth, height), wall)
    trim = b.material("concrete", paint(rng, 0.2, 0.6), 2.0)
    for z in np.arange(storey, height + 0.1, storey):
        if rng.random() < 0.5 or z > height - 1:
            b.add(shifted(box(width + 0.3, depth + 0.3, 0.2), (0, 0, z - 0.1)), trim)
    if rng.random() < 0.6:
        roof = b.material("tiles", (0.42, 0.2, 0.14), 2.5, grunge=0.2)
        peak = height + width * rng.uniform(0.2, 0.4)
        outline = [(-width * 0.53, height), (0, peak), (width * 0.53, height)]
        mesh = prism(outline, depth + 0.5) if width < depth else turned(
            prism(np.array(outline) * [depth / width, 1], width + 0.5), np.pi / 2)
        b.add(mesh, roof)
    shop = b.material(None, np.full(3, 0.02), gloss=0.1, power=200)
    board = b.material("print_", paint(rng, 0.7, 0.4), 2.0)
    for x in np.arange(-width / 2 + 1.5, width / 2 - 1, 3.2):
        if rng.random() < 0.6:
            b.add(shifted(box(2.4, 0.12, 2.3), (x, -depth / 2, 0.3)), trim)
            b.add(shifted(box(2.2, 0.14, 2.1), (x, -depth / 2, 0.4)), shop)
            b.add(shifted(box(2.4, 0.3, 0.5), (x, -depth / 2 - 0.05, 2.7)), board)
        if rng.random() < 0.3:
            awning = quad((x - 1.2, -depth / 2, 3.2), (2.4, 0, 0), (0, -1.2, -0.6))
            b.add(awning, cloth(b, 1.0))
    for _ in range(int(rng.integers(0, 5))):
        z = storey * rng.integers(1, max(2, int(height / storey)))
        x = rng.uniform(-0.4, 0.4) * width
        b.add(shifted(box(2.0, 0.9, 0.15), (x, -depth / 2 - 0.45, z)), trim)
        rail = b.material("lattice", np.full(3, 0.15), 0.5, cutout=1)
        b.add(quad((x - 1, -depth / 2 - 0.9, z), (2, 0, 0), (0, 0, 1)), rail)
