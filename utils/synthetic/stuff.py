"""What synthetic things are made of: colours and materials drawn at random."""

import math

import numpy as np

from utils.synthetic.mesh import Builder

_HUES = (0.0, 0.02, 0.06, 0.1, 0.14, 0.3, 0.42, 0.55, 0.6, 0.64)
"""Of vivid things, in turns: reds, oranges, yellow, greens, blues; violet is rare in the world."""


def paint(rng: np.random.Generator, saturation: float = 0.35, value: float = 0.5) -> np.ndarray:
    """A random linear colour as things have them: mostly neutral or muted, now and then vivid."""
    level, choice = value * rng.uniform(0.35, 1.3), rng.random()
    hue = rng.normal(0.085, 0.035)
    if choice > 0.6:
        hue = _HUES[rng.integers(len(_HUES))] + rng.normal(0, 0.02)
    spread = saturation * (rng.uniform(0.05, 0.45) if choice < 0.5 else rng.uniform(0.3, 1.0))
    if choice > 0.88:
        spread *= 1.8
    waves = [math.cos(2 * math.pi * (hue - k / 3)) for k in range(3)]
    return np.array([min(max(level * (1 + 1.4 * spread * wave), 0.02), 0.9) for wave in waves])


def timber(b: Builder, tile: float = 0.7) -> int:
    """Some wood, plain, stained or painted."""
    if b.rng.random() < 0.3:
        return b.material("plaster", paint(b.rng, 0.3, 0.6), gloss=0.03, grunge=0.06)
    tint = np.clip(b.rng.uniform(0.5, 1.15) * (1 + b.rng.normal(0, 0.06, 3)), 0.1, 1.3)
    return b.material("wood", tint, tile, gloss=b.rng.uniform(0, 0.05), power=30, grunge=0.1)


def cloth(b: Builder, tile: float | None = None) -> int:
    """Some fabric: woven threads of one colour, or a pattern."""
    tile = tile or b.rng.uniform(0.2, 0.7)
    if b.rng.random() < 0.6:
        return b.material("fabric", paint(b.rng, 0.45, 0.5), tile * 0.6)
    return b.material("weave", np.full(3, b.rng.uniform(0.5, 1.0)), tile)


def glossy(b: Builder, vivid: float = 0.45) -> int:
    """Glazed, lacquered or plastic stuff."""
    return b.material(
        "plaster",
        paint(b.rng, vivid, 0.55),
        gloss=b.rng.uniform(0.03, 0.1),
        power=b.rng.uniform(30, 200),
    )


def steel(b: Builder) -> int:
    """Metal, bright or dark."""
    return b.material("metal", np.full(3, b.rng.uniform(0.08, 0.6)), 0.5, gloss=0.3, power=60)
