"""People and animals that look along -y, standing on z = 0 in the builder's frame."""

import numpy as np
from numpy.typing import ArrayLike

from utils.synthetic.mesh import (
    Builder,
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
from utils.synthetic.stuff import cloth, paint

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


def person(b: Builder, height: float = 1.7, pose: str = "stand") -> None:
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


def head(b: Builder, h: float, centre: ArrayLike, skin: int) -> None:
    """Head with face, hair, and now and then a hat, for a body of height h."""
    rng = b.rng
    turn = rng.normal(0, 0.4)
    skull = bumpy(ellipsoid(0.088 * h, 0.108 * h, 0.135 * h, 14), rng, 0.002 * h, 0.1)
    b.add(shifted(skull, centre), skin)
    dark, lip = b.material(None, (0.03, 0.02, 0.02)), b.material(None, (0.4, 0.16, 0.13))
    white = b.material(None, (0.6, 0.58, 0.55), gloss=0.04)
    features: list[tuple[tuple[float, ...], tuple[float, ...], int]] = [
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
        part = shifted(ellipsoid(*(np.array(size) * h), 8), np.array(spot) * h)  # type: ignore[call-arg]
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
        x = side * 0.1 * h * wide
        shoulder = np.array([x, lean, neck - 0.045 * h])
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
        b.add(tube([shoulder, elbow], [0.042 * h, 0.03 * h], 9), shirt)
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


_BUILDS = {
    "dog": (0.52, 0.28, 0.15, 0.1),
    "cat": (0.42, 0.16, 0.14, 0.09),
    "cow": (0.5, 0.3, 0.23, 0.1),
    "horse": (0.66, 0.44, 0.19, 0.08),
    "sheep": (0.42, 0.22, 0.25, 0.09),
    "bear": (0.42, 0.18, 0.26, 0.06),
}
"""Kind -> length of legs, neck, half thickness of the body, length of ears, all over its length."""


def animal(b: Builder, length: float, kind: str | None = None) -> None:
    """An animal of _BUILDS looking along -y, standing, its head up or down."""
    rng = b.rng
    kind = kind or str(rng.choice(list(_BUILDS)))
    legs, neck, fat, ear = _BUILDS[kind] * rng.uniform(0.9, 1.1, 4)
    fur = "patches" if kind in ("cow", "cat", "dog") and rng.random() < 0.5 else "fur"
    coat = b.material(fur, _coat(rng), length * 0.5, contrast=rng.uniform(0.3, 0.8))
    dark = b.material(None, np.full(3, 0.025), gloss=0.04)
    thick, top, half = fat * length, legs * length, length / 2
    body = [
        (0, -half * 1.05, 0.06),
        (0, -half * 0.75, 0),
        (0, -half * 0.2, -0.12),
        (0, half * 0.3, -0.06),
        (0, half * 0.75, 0.06),
        (0, half, 0.1),
    ]
    path = np.array(body) * [1, 1, thick] + [0, 0, top]
    trunk = tube(path, np.array([0.7, 1.0, 1.08, 1.0, 0.98, 0.7]) * thick, 16)
    b.add(bumpy(trunk, rng, 0.006 * length, 0.3 * length), coat)
    _paws(b, thick, half, top, coat, dark if fat > 0.17 else coat)
    rise = rng.choice([rng.uniform(0.5, 1.0), rng.uniform(-0.9, 0.3)])
    face = np.array([rng.normal(0, 0.15), -1.0, rise])
    head = np.array([0, -half, top + 0.2 * thick]) + neck * length * face / np.linalg.norm(face)
    head[2] = max(head[2], 0.3 * top)
    start = np.array([0, -half * 0.85, top + 0.1 * thick])
    b.add(
        tube(
            [start, (start + head) / 2 + [0, 0, 0.1 * thick], head],
            np.array([0.85, 0.62, 0.48]) * thick,
            12,
        ),
        coat,
    )
    with b.inside(head, rng.normal(0, 0.4)):
        _face(
            b,
            thick * (1.15 if fat < 0.17 else 0.9),
            rng.uniform(0.9, 1.5),
            ear * length,
            coat,
            dark,
        )
    tail = np.array([0, half, top + 0.3 * thick])
    drop = rng.uniform(-0.3, 0.1) * length
    b.add(
        tube(
            [
                tail,
                tail + [0.03 * length, 0.14 * length, drop * 0.3],
                tail + [0.05 * length, 0.2 * length, drop],
            ],
            np.array([0.3, 0.22, 0.12]) * thick,
            8,
        ),
        coat,
    )


def _paws(b, thick, half, top, coat, hoof):
    """Four legs: thighs that grow out of the body, knees, hooves or paws."""
    rng = b.rng
    for x in (-1, 1):
        for y in (-0.8, 0.85):
            hip = np.array([x * 0.5 * thick, y * half, top - 0.1 * thick])
            foot = np.array([hip[0], y * half + rng.normal(0, 0.1) * half, 0.12 * thick])
            back = 0.3 * thick * (1 if y > 0 else -0.2)
            knee = hip * 0.45 + foot * 0.55 + [0, back, 0]
            b.add(
                tube(
                    [hip, (hip + knee) / 2, knee, foot],
                    np.array([0.62, 0.44, 0.25, 0.2]) * thick,
                    10,
                ),
                coat,
            )
            paw = ellipsoid(0.42 * thick, 0.6 * thick, 0.3 * thick, 8)
            b.add(shifted(paw, foot - [0, 0.08 * thick, 0]), hoof)


def _face(b, size, long, ear, coat, dark):
    """A head at the origin, size across, with a snout, ears and eyes."""
    rng = b.rng
    nose = np.array([0, -long * 0.85, -0.3]) * size
    b.add(
        tube(
            [(0, 0.1 * size, 0.02 * size), nose * 0.5, nose],
            np.array([0.52, 0.42, 0.26]) * size,
            12,
        ),
        coat,
    )
    b.add(
        shifted(
            ellipsoid(0.26 * size, 0.2 * size, 0.18 * size, 8), nose + [0, -0.2 * size, 0.06 * size]
        ),
        dark,
    )
    up = rng.uniform(-0.3, 1)
    for x in (-1, 1):
        root = np.array([x * 0.34, 0.12, 0.34]) * size
        b.add(
            stick(root, root + [x * ear * 0.7, 0.1 * ear, ear * up], 0.17 * size, 8, 0.05 * size),
            coat,
        )
        b.add(
            shifted(
                ellipsoid(0.12 * size, 0.12 * size, 0.12 * size, 6),
                np.array([x * 0.34, -0.38, 0.2]) * size,
            ),
            dark,
        )


def bird(b: Builder, size: float) -> None:
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
