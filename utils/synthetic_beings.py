"""People and animals that look along -y, standing on z = 0 in the builder's frame."""

import numpy as np

from utils.synthetic_mesh import (
    box,
    bumpy,
    cushion,
    ellipsoid,
    lathe,
    loft,
    shifted,
    stick,
    tube,
    turned,
)
from utils.synthetic_stuff import cloth, paint

_SKINS = (
    (0.72, 0.5, 0.38),
    (0.62, 0.4, 0.28),
    (0.45, 0.27, 0.17),
    (0.25, 0.14, 0.09),
    (0.8, 0.6, 0.5),
)


_HAIRS = (
    (0.03, 0.02, 0.02),
    (0.12, 0.07, 0.04),
    (0.3, 0.2, 0.09),
    (0.5, 0.42, 0.3),
    (0.25, 0.24, 0.24),
    (0.2, 0.06, 0.02),
)


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
    b.add(
        loft(
            [
                (0, 0, hip - 0.05 * h, 0.01, 0.01),
                (0, 0, hip - 0.04 * h, 0.085 * h * wide, 0.065 * h),
                (0, 0, hip + 0.05 * h, 0.09 * h * wide, 0.065 * h),
                (0, lean * 0.5, hip + 0.12 * h, 0.085 * h * wide, 0.062 * h),
                (0, lean, chest, 0.105 * h * wide, 0.072 * h),
                (0, lean, neck - 0.03 * h, 0.11 * h * wide, 0.055 * h),
                (0, lean, neck, 0.05 * h, 0.04 * h),
                (0, lean, neck + 0.01 * h, 0.01, 0.01),
            ]
        ),
        shirt,
    )
    b.add(stick((0, lean, neck - 0.03 * h), (0, lean - 0.01, neck + 0.05 * h), 0.028 * h, 8), skin)
    head(b, h, (0, lean - 0.015 * h, neck + 0.105 * h), skin)
    _legs(b, h, hip, wide, pose, trousers, shoe)
    _arms(b, h, neck, lean, wide, pose, shirt, skin)


def head(b, h, centre, skin):
    """Head with face, hair, and now and then a hat, for a body of height h."""
    rng = b.rng
    turn = rng.normal(0, 0.4)
    skull = bumpy(ellipsoid(0.088 * h, 0.108 * h, 0.135 * h, 14), rng, 0.002 * h, 0.1)
    b.add(shifted(skull, centre), skin)
    dark, lip = b.material(None, (0.03, 0.02, 0.02)), b.material(None, (0.4, 0.16, 0.13))
    white = b.material(None, (0.6, 0.58, 0.55), gloss=0.04)
    features = [
        ((0.018, 0.024, 0.034), (0, -0.052, -0.008), skin),
        ((0.034, 0.01, 0.01), (0, -0.047, -0.037), lip),
    ]
    for side in (-0.019, 0.019):
        features += [
            ((0.018, 0.01, 0.009), (side, -0.0475, 0.012), white),
            ((0.009, 0.008, 0.009), (side, -0.0505, 0.012), dark),
            ((0.024, 0.012, 0.004), (side, -0.049, 0.025), dark),
            ((0.012, 0.024, 0.034), (side * 2.4, 0.004, -0.002), skin),
        ]
    for size, spot, stuff in features:
        part = shifted(ellipsoid(*(np.array(size) * h), 8), np.array(spot) * h)
        b.add(shifted(turned(part, turn), centre), stuff)
    hair = b.material("fur", np.array(_HAIRS[rng.integers(6)]) * 1.4, 0.2)
    if rng.random() < 0.85:
        cap = turned(
            shifted(ellipsoid(0.1 * h, 0.112 * h, 0.11 * h, 14), (0, 0.014 * h, 0.022 * h)), turn
        )
        b.add(shifted(cap, centre), hair)
    if rng.random() < 0.4:
        long = turned(
            shifted(
                cushion(0.1 * h, 0.06 * h, rng.uniform(0.08, 0.2) * h, 0.7),
                (0, 0.035 * h, -0.15 * h),
            ),
            turn,
        )
        b.add(shifted(long, centre), hair)
    if rng.random() < 0.2:
        hat = b.material("fabric", paint(rng, 0.5, 0.4), 0.2)
        b.add(
            shifted(
                lathe(
                    [
                        (0.1 * h, 0.03 * h),
                        (0.056 * h, 0.034 * h),
                        (0.052 * h, 0.085 * h),
                        (0, 0.09 * h),
                    ]
                ),
                centre,
            ),
            hat,
        )


def _legs(b, h, hip, wide, pose, trousers, shoe):
    """Two legs and shoes."""
    step = b.rng.uniform(0.1, 0.22) * h if pose == "walk" else b.rng.normal(0, 0.015) * h
    for side in (-1, 1):
        x = side * 0.05 * h * wide
        if pose == "sit":
            path = [(x, 0, hip), (x * 1.3, -0.24 * h, hip + 0.01), (x * 1.3, -0.25 * h, 0.06)]
        else:
            y = side * step
            path = [
                (x, 0, hip),
                (x * 1.1, y * 0.4 - 0.02 * h * (pose == "walk"), 0.28 * h),
                (x * 1.1, y, 0.05 * h),
            ]
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
        raised = rng.random() < 0.08
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


def _coat(rng):
    """The colour of an animal: black, white, grey, brown, fawn or chestnut."""
    tones = (
        (0.03, 0.03, 0.03),
        (0.75, 0.72, 0.66),
        (0.3, 0.29, 0.28),
        (0.16, 0.09, 0.05),
        (0.5, 0.34, 0.18),
        (0.32, 0.13, 0.05),
        (0.62, 0.5, 0.34),
    )
    return np.array(tones[rng.integers(len(tones))]) * rng.uniform(0.7, 1.2)


def animal(b, length, kind=None):
    """A dog, cat, sheep, cow or horse looking along -y, standing."""
    rng = b.rng
    legs, neck, fat, ear = {
        "dog": (0.5, 0.3, 0.15, 0.1),
        "cat": (0.4, 0.16, 0.14, 0.1),
        "cow": (0.5, 0.3, 0.23, 0.1),
        "horse": (0.75, 0.55, 0.18, 0.08),
        "sheep": (0.42, 0.22, 0.25, 0.09),
    }[kind or str(rng.choice(["dog", "cat", "cow", "horse", "sheep"]))]
    size = length
    coat = b.material(
        str(rng.choice(["fur", "fur", "patches"])),
        _coat(rng),
        size * 0.5,
        contrast=rng.uniform(0.3, 0.9),
    )
    dark = b.material(None, np.full(3, 0.03), gloss=0.04)
    top, half = legs * size, size / 2
    body = [
        (0, -half, top),
        (0, -half * 0.4, top - 0.02 * size),
        (0, half * 0.3, top),
        (0, half, top + 0.02 * size),
    ]
    b.add(
        bumpy(
            tube(np.array(body), np.array([0.85, 1.1, 1.0, 0.8]) * fat * size, 14),
            rng,
            0.008 * size,
            0.3 * size,
        ),
        coat,
    )
    for x in (-1, 1):
        for y in (-0.85, 0.85):
            step = rng.normal(0, 0.06) * size
            hip = np.array([x * fat * 0.55 * size, y * half, top - 0.3 * fat * size])
            foot = np.array([hip[0], y * half + step, 0.02 * size])
            knee = (hip + foot) / 2 + [0, 0.03 * size * np.sign(y), 0]
            b.add(tube([hip, knee, foot], np.array([0.42, 0.25, 0.2]) * fat * size, 8), coat)
            b.add(
                shifted(
                    ellipsoid(0.4 * fat * size, 0.55 * fat * size, 0.3 * fat * size, 8),
                    foot - [0, 0.05 * fat * size, 0],
                ),
                dark if fat > 0.16 else coat,
            )
    droop = rng.uniform(-0.7, 0.5) if legs > 0.45 else 0.2
    head = np.array(
        [
            rng.normal(0, 0.06) * size,
            -half - neck * 0.75 * size,
            top + (neck * 0.9 + droop * 0.1) * size,
        ]
    )
    b.add(
        tube(
            [(0, -half * 0.9, top + 0.02 * size), head], [0.75 * fat * size, 0.5 * fat * size], 10
        ),
        coat,
    )
    skull, snout = 0.95 * fat * size, rng.uniform(0.9, 1.6) * fat * size
    b.add(shifted(ellipsoid(skull, skull * 1.2, skull, 12), head), coat)
    nose = head + [0, -snout * 0.75, -0.2 * skull]
    b.add(tube([head, nose], [0.42 * skull, 0.27 * skull], 10), coat)
    b.add(
        shifted(ellipsoid(*np.array([0.28, 0.2, 0.2]) * skull, 8), nose - [0, 0.25 * skull, -0.04]),
        dark,
    )
    for x in (-1, 1):
        root = head + [x * 0.3 * skull, 0.1 * skull, 0.35 * skull]
        b.add(
            stick(
                root,
                root + [x * ear * size, 0, ear * size * rng.uniform(-0.4, 1)],
                0.2 * skull,
                7,
                0.05 * skull,
            ),
            coat,
        )
        b.add(
            shifted(
                ellipsoid(0.14 * skull, 0.14 * skull, 0.14 * skull, 6),
                head + [x * 0.32 * skull, -0.42 * skull, 0.16 * skull],
            ),
            dark,
        )
    tail = np.array([0, half, top + 0.1 * size])
    b.add(
        tube(
            [
                tail,
                tail + [0.03 * size, 0.16 * size, -0.05 * size],
                tail + [0.05 * size, 0.2 * size, -0.3 * size],
            ],
            [0.06 * size, 0.04 * size, 0.02 * size],
            7,
        ),
        coat,
    )


def bird(b, size):
    """A perching bird looking along -y."""
    rng = b.rng
    coat = b.material("fur", paint(rng, 0.6, 0.5), size, contrast=0.6)
    b.add(
        shifted(
            turned(ellipsoid(0.42 * size, size * 0.8, 0.45 * size, 14), 0, 0.5), (0, 0, 0.45 * size)
        ),
        coat,
    )
    b.add(
        shifted(ellipsoid(0.3 * size, 0.33 * size, 0.3 * size, 12), (0, -0.3 * size, 0.85 * size)),
        coat,
    )
    b.add(
        stick((0, -0.4 * size, 0.84 * size), (0, -0.62 * size, 0.8 * size), 0.05 * size, 6, 0.005),
        b.material(None, (0.5, 0.3, 0.05)),
    )
    b.add(
        shifted(
            turned(box(0.2 * size, 0.6 * size, 0.03 * size), 0, 0.7), (0, 0.5 * size, 0.25 * size)
        ),
        coat,
    )
    dark = b.material(None, (0.02, 0.02, 0.02))
    for x in (-0.1, 0.1):
        b.add(stick((x * size, 0, 0), (x * size, 0, 0.3 * size), 0.02 * size, 5), dark)
        b.add(
            shifted(
                ellipsoid(0.05 * size, 0.05 * size, 0.05 * size, 6),
                (x * 1.2 * size, -0.4 * size, 0.9 * size),
            ),
            dark,
        )
