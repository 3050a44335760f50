"""Vessels, plates, fruit: what stands on tables, on z = 0 in the builder's frame."""

import numpy as np

from utils.synthetic.mesh import Builder, bumpy, cushion, lathe, shifted, stick, tube
from utils.synthetic.stuff import glossy, paint


def vase(b: Builder, height: float) -> None:
    """A vessel of random profile: bottle, vase, jug or bowl."""
    rng = b.rng
    z = np.linspace(0, 1, 9)
    radius = np.interp(z, np.linspace(0, 1, 5), rng.uniform(0.12, 0.5, 5))
    radius = np.convolve(np.pad(radius, 1, mode="edge"), [0.25, 0.5, 0.25], "valid") * height
    rim = radius[-1]
    outer = [(0, 0), *zip(radius, z * height, strict=True)]
    inner = [(rim * 0.9, height), (rim * 0.85, height * 0.6), (0, height * 0.55)]
    kind = rng.choice(
        ["plaster", "marble", "peel", "weave", "metal"], p=[0.5, 0.12, 0.18, 0.1, 0.1]
    )
    stuff = b.material(
        str(kind),
        paint(rng, 0.5, 0.6),
        0.3,
        gloss=rng.uniform(0.02, 0.12),
        power=rng.uniform(30, 200),
    )
    b.add(lathe(outer + inner, 22), stuff)


def cup(b: Builder) -> None:
    """A mug with a handle, or a glass of drink."""
    rng, stuff = b.rng, glossy(b)
    radius, height = rng.uniform(0.03, 0.045), rng.uniform(0.07, 0.12)
    foot = radius * rng.uniform(0.7, 1.0)
    b.add(
        lathe(
            [
                (0, 0),
                (foot, 0),
                (radius, height),
                (radius * 0.9, height),
                (foot * 0.9, height * 0.8),
                (0, height * 0.78),
            ],
            20,
        ),
        stuff,
    )
    if rng.random() < 0.7:
        angle = np.linspace(-1.3, 1.3, 7)
        path = np.stack(
            [
                radius * 0.85 + 0.028 * np.cos(angle),
                np.zeros(7),
                height * 0.5 + height * 0.32 * np.sin(angle),
            ],
            1,
        )
        b.add(tube(path, 0.005, 6), stuff)


def fruit(b: Builder, size: float) -> None:
    """An apple, an orange, a lemon or a pear."""
    rng = b.rng
    tint = np.array([(0.6, 0.06, 0.04), (0.75, 0.3, 0.03), (0.8, 0.62, 0.08), (0.35, 0.5, 0.08)])
    colour = np.clip(tint[rng.integers(4)] * rng.uniform(0.7, 1.2), 0, 0.9)
    angle = np.linspace(-np.pi / 2, np.pi / 2, 12)
    pear = rng.uniform(-0.1, 0.35)
    radius = np.cos(angle) * (1 - pear * np.sin(angle)) * size / 2
    height = (np.sin(angle) + 1) * size / 2 * rng.uniform(0.85, 1.1 + pear)
    b.add(
        lathe(np.stack([radius, height], 1), 16),
        b.material("peel", colour, 0.15, gloss=0.04, power=60),
    )
    b.add(
        stick((0, 0, height[-1] - 0.005), (0.004, 0, height[-1] + 0.015), 0.0025, 5),
        b.material("bark"),
    )


def plate(b: Builder, radius: float) -> None:
    """A plate or a shallow bowl with something on it."""
    rng = b.rng
    deep = rng.uniform(0.15, 0.5) * radius
    b.add(
        lathe(
            [
                (0, 0),
                (radius * 0.5, 0),
                (radius, deep),
                (radius * 0.95, deep + 0.004),
                (radius * 0.5, 0.012),
                (0, 0.012),
            ],
            26,
        ),
        glossy(b, 0.25),
    )
    for _ in range(int(rng.integers(0, 6))):
        with b.inside((*rng.normal(0, radius * 0.3, 2), 0.02)):
            if rng.random() < 0.6:
                fruit(b, rng.uniform(0.05, 0.08))
            else:
                loaf = bumpy(cushion(*rng.uniform(0.05, 0.12, 2), 0.05, 0.7), rng, 0.004, 0.05)  # type: ignore[call-arg]
                b.add(loaf, b.material("peel", (0.55, 0.32, 0.13), 0.1))


def bottle(b: Builder, height: float) -> None:
    """A bottle with a label and a cap, of glass or plastic."""
    rng = b.rng
    tint = np.array(
        [
            (0.02, 0.08, 0.03),
            (0.1, 0.05, 0.02),
            (0.45, 0.5, 0.5),
            (0.3, 0.02, 0.02),
            (0.6, 0.6, 0.58),
            (0.02, 0.05, 0.15),
        ]
    )[rng.integers(6)]
    body = b.material(None, tint * rng.uniform(0.7, 1.4), gloss=0.09, power=200)
    radius, neck, shoulder = (
        height * rng.uniform(0.13, 0.2),
        height * rng.uniform(0.035, 0.06),
        height * rng.uniform(0.5, 0.75),
    )
    b.add(
        lathe(
            [
                (0, 0),
                (radius * 0.9, 0),
                (radius, 0.03 * height),
                (radius, shoulder),
                (radius * 0.85, shoulder + 0.05 * height),
                (neck * 1.2, shoulder + 0.16 * height),
                (neck, height * 0.94),
                (0, height * 0.94),
            ],
            20,
        ),
        body,
    )
    b.add(
        shifted(
            lathe([(neck * 1.2, 0), (neck * 1.2, height * 0.07), (0, height * 0.07)], 12),
            (0, 0, height * 0.93),
        ),
        glossy(b, 0.7),
    )
    if rng.random() < 0.7:
        label = b.material("print", paint(rng, 0.4, 0.8), radius * 3)
        high = (shoulder - 0.1 * height) * rng.uniform(0.4, 0.9)
        b.add(
            shifted(lathe([(radius * 1.01, 0), (radius * 1.01, high)], 20), (0, 0, 0.08 * height)),
            label,
        )


def can(b: Builder, height: float) -> None:
    """A tin, a jar or a candle."""
    rng = b.rng
    radius = height * rng.uniform(0.25, 0.5)
    side = b.material(
        "print" if rng.random() < 0.6 else None,
        paint(rng, 0.6, 0.6),
        radius * 3,
        gloss=0.05,
        power=60,
    )
    b.add(lathe([(radius, 0), (radius, height)], 22), side)
    lid = b.material("metal", np.full(3, 0.6), 0.3, gloss=0.2)
    b.add(
        lathe(
            [
                (radius, height),
                (radius * 1.02, height),
                (radius * 0.93, height + 0.004),
                (radius * 0.9, height - 0.004),
                (0, height - 0.004),
            ],
            22,
        ),
        lid,
    )


def glass(b: Builder, height: float) -> None:
    """A wine glass, goblet or candlestick: foot, stem and bowl."""
    rng = b.rng
    radius, stem = height * rng.uniform(0.2, 0.3), height * rng.uniform(0.3, 0.55)
    stuff = b.material(None, paint(rng, 0.2, 0.5), gloss=0.15, power=250)
    b.add(
        lathe(
            [
                (0, 0),
                (radius, 0),
                (radius * 0.9, 0.015 * height),
                (0.03 * height, 0.05 * height),
                (0.03 * height, stem),
                (radius * 0.8, stem + 0.12 * height),
                (radius, height * 0.8),
                (radius * 0.8, height),
                (radius * 0.75, height),
                (radius * 0.9, height * 0.8),
                (0, stem + 0.1 * height),
            ],
            20,
        ),
        stuff,
    )
