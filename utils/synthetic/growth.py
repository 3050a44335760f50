"""Recipes of natural textures and of cut-out leaves: each draws one picture at random."""

import cv2
import numpy as np

from utils.synthetic.noise import GRID, SIZE, cells, fractal, grey, hue, ramp


def cloud(rng: np.random.Generator) -> np.ndarray:
    """Soft, billowing noise."""
    base = fractal(rng, 2.6)
    return grey(0.75 * base + 0.25 * (1 - np.abs(2 * fractal(rng, 2.0) - 1)))


def marble(rng: np.random.Generator) -> np.ndarray:
    """Veins through stone."""
    bend = fractal(rng, 2.2)
    veins = np.abs(np.sin((bend * rng.uniform(3, 7) + GRID[..., 0]) * np.pi)) ** 0.35
    dark, light = hue(rng, 0.25, 0.45), 0.8 + 0.2 * hue(rng, 0.15, 0.9)
    return ramp(np.clip(veins * 0.85 + 0.3 * (fractal(rng, 1.5) - 0.4), 0, 1), dark, light)


_GREENS = (
    ((0.14, 0.18, 0.09), (0.33, 0.38, 0.2), (0.56, 0.58, 0.36)),
    ((0.18, 0.21, 0.12), (0.4, 0.42, 0.25), (0.66, 0.62, 0.42)),
    ((0.1, 0.14, 0.09), (0.24, 0.32, 0.18), (0.42, 0.5, 0.3)),
    ((0.3, 0.2, 0.08), (0.62, 0.42, 0.16), (0.84, 0.68, 0.3)),
)


def grass(rng: np.random.Generator) -> np.ndarray:
    """Lawn or meadow seen from above."""
    blades = 0.5 * fractal(rng, 0.4, (1.0, 0.5)) + 0.5 * fractal(rng, 1.9)
    return ramp(np.clip(blades * 1.5 - 0.25, 0, 1), *_GREENS[rng.integers(3)])


def foliage(rng: np.random.Generator) -> np.ndarray:
    """A dense mass of leaves, for far crowns and hedges."""
    first, second, index = cells(rng, 420)
    shade = rng.uniform(0.1, 0.9, 420)[index] + 0.4 * (fractal(rng, 1.8) - 0.5)
    dark = np.clip((second - first) * SIZE / 5, 0, 1)
    return ramp(np.clip(shade * (0.3 + 0.7 * dark), 0, 1), *_GREENS[rng.integers(len(_GREENS))])


def soil(rng: np.random.Generator) -> np.ndarray:
    """Earth, sand, gravel or dry leaves."""
    tone = [
        ((0.25, 0.17, 0.1), (0.55, 0.42, 0.3)),
        ((0.6, 0.5, 0.36), (0.86, 0.77, 0.6)),
        ((0.35, 0.32, 0.28), (0.7, 0.66, 0.6)),
    ][rng.integers(3)]
    return ramp(np.clip(0.5 * fractal(rng, 2.0) + 0.5 * fractal(rng, 0.5), 0, 1), *tone)


def rock(rng: np.random.Generator) -> np.ndarray:
    """Weathered, layered stone."""
    layers = fractal(rng, 2.0, (0.5, rng.uniform(1, 3)))
    cracks = np.abs(fractal(rng, 1.9) - 0.5)
    warm = rng.uniform(0.84, 1.03)
    tone = np.array([1.0, 0.4 + 0.6 * warm, warm * rng.uniform(0.9, 1.0)])
    dark, light = tone * rng.uniform(0.15, 0.35), tone * rng.uniform(0.6, 0.8)
    return (
        ramp(np.clip(layers * 1.3 - 0.15, 0, 1), dark, light)
        * np.clip(0.5 + cracks * 12, 0, 1)[..., None]
    )


def bark(rng: np.random.Generator) -> np.ndarray:
    """Ridges along v."""
    ridge = fractal(rng, 1.2, (1.0, 6.0))
    return ramp(np.clip(ridge * 1.6 - 0.3, 0, 1), (0.14, 0.1, 0.07), (0.58, 0.5, 0.4))


def fur(rng: np.random.Generator) -> np.ndarray:
    """Short hairs along v with patches."""
    hair = fractal(rng, 0.6, (1.0, 7.0))
    return grey(np.clip(0.25 + 0.5 * hair + 0.9 * (fractal(rng, 2.4) - 0.4), 0.05, 1))


def patches(rng: np.random.Generator) -> np.ndarray:
    """The coat of a cow or a cat: two tones with soft borders."""
    mask = np.clip((fractal(rng, 2.6) - 0.5) * 12 + 0.5, 0, 1)
    return grey(0.12 + 0.8 * mask + 0.2 * (fractal(rng, 0.6, (1.0, 5.0)) - 0.5))


def water(rng: np.random.Generator) -> np.ndarray:
    """Ripples, grey."""
    return grey(0.5 + 0.8 * (fractal(rng, 1.8, (0.6, 2.5)) - 0.5))


def snow(rng: np.random.Generator) -> np.ndarray:
    """Nearly white."""
    return grey(0.93 + 0.12 * (fractal(rng, 2.2) - 0.5)) * np.array([0.97, 0.985, 1.0])


def peel(rng: np.random.Generator) -> np.ndarray:
    """The skin of fruit or the crust of bread, grey: blotches and pores."""
    pores = np.clip((fractal(rng, 0.1) - 0.7) * 2, 0, 1)
    return grey(0.85 + 0.4 * (fractal(rng, 2.4) - 0.5) - 0.35 * pores)


def _leaf(picture, rng, centre, length, width, angle, colour):
    """Draw one leaf with a midrib into an RGBA picture, wrapping around."""
    t = np.linspace(0, 1, 9)
    half = width * np.sin(np.pi * t**0.8)
    side = np.concatenate([np.stack([t * length, half], 1), np.stack([t * length, -half], 1)[::-1]])
    c, s = np.cos(angle), np.sin(angle)
    shape = side @ np.array([[c, s], [-s, c]]) + centre
    rib = np.array([[0, 0], [length, 0]]) @ np.array([[c, s], [-s, c]]) + centre
    fill = [float(v) for v in np.clip(colour, 0, 1)] + [1.0]
    line = [float(v) for v in np.clip(np.asarray(colour) * 1.25 + 0.05, 0, 1)] + [1.0]
    cv2.fillPoly(picture, [np.round(shape * 8).astype(np.int32)], fill, cv2.LINE_8, 3)
    cv2.line(picture, *(tuple(int(v) for v in p) for p in np.round(rib)), line, 1)


def _sprig(rng, palette, count, length, width, spread):
    """A bunch of leaves that stays inside the picture, RGBA."""
    out = np.zeros((SIZE, SIZE, 4), np.float32)
    for i in range(count):
        radius = spread * SIZE * np.sqrt(rng.random())
        angle = rng.uniform(0, 2 * np.pi)
        centre = SIZE / 2 + radius * np.array([np.cos(angle), np.sin(angle)])
        tone = np.clip(rng.normal(0.3 + 0.5 * i / count, 0.15), 0, 1)
        colour = ramp(tone, *palette).ravel()
        turn = angle + rng.normal(0, 0.8)
        _leaf(
            out,
            rng,
            centre,
            length * rng.uniform(0.7, 1.2),
            width * rng.uniform(0.7, 1.2),
            turn,
            colour,
        )
    return out


def leaves(rng: np.random.Generator) -> np.ndarray:
    """Cut-out bunch of broad leaves."""
    palette = _GREENS[rng.integers(len(_GREENS))]
    length = rng.uniform(26, 52)
    return _sprig(rng, palette, int(3200 / length), length, length * rng.uniform(0.15, 0.3), 0.3)


def needles(rng: np.random.Generator) -> np.ndarray:
    """Cut-out twigs of a conifer, along u from the left."""
    out = np.zeros((SIZE, SIZE, 4), np.float32)
    palette = _GREENS[2]
    for i in range(420):
        x = rng.uniform(8, SIZE - 40)
        side = rng.choice([-1, 1])
        reach = 0.42 * (SIZE - x) * rng.uniform(0.2, 1)
        centre = np.array([x, SIZE / 2 + side * reach * 0.9])
        colour = ramp(np.clip(rng.normal(0.2 + 0.5 * i / 420, 0.15), 0, 1), *palette).ravel()
        _leaf(out, rng, centre, 30, 2.0, side * rng.uniform(0.3, 1.0), colour)
    cv2.line(out, (0, SIZE // 2), (SIZE - 20, SIZE // 2), (0.3, 0.22, 0.14, 1.0), 4)
    return out


def tuft(rng: np.random.Generator) -> np.ndarray:
    """Cut-out grass blades growing from the lower edge."""
    out = np.zeros((SIZE, SIZE, 4), np.float32)
    palette = _GREENS[rng.integers(len(_GREENS))]
    for i in range(90):
        x = rng.uniform(0.2, 0.8) * SIZE
        lean = rng.normal(0, 0.3) + (x / SIZE - 0.5)
        length = SIZE * rng.uniform(0.4, 0.93)
        colour = ramp(np.clip(rng.normal(0.2 + 0.6 * i / 90, 0.15), 0, 1), *palette).ravel()
        angle = -np.pi / 2 + np.clip(lean, -0.45, 0.45)
        _leaf(out, rng, np.array([x, SIZE - 1.0]), length, rng.uniform(2, 6), angle, colour)
    out[0] = 0
    return out


def flowers(rng: np.random.Generator) -> np.ndarray:
    """Cut-out flowers among leaves."""
    out = _sprig(rng, _GREENS[rng.integers(3)], 50, 50, 8, 0.28)
    petal = hue(rng, 0.7, 0.95)
    for _ in range(int(rng.integers(5, 14))):
        centre = SIZE / 2 + 0.3 * SIZE * rng.uniform(-1, 1, 2)
        radius = rng.uniform(14, 26)
        for turn in np.arange(0, 2 * np.pi, 2 * np.pi / rng.integers(5, 9)):
            _leaf(out, rng, centre, radius, radius * 0.35, turn, petal * rng.uniform(0.75, 1.0))
        cv2.circle(out, tuple(int(v) for v in centre), 5, (0.85, 0.7, 0.2, 1.0), -1)
    return out


RECIPES = {
    "cloud": (cloud, 4),
    "marble": (marble, 4),
    "grass": (grass, 6),
    "foliage": (foliage, 5),
    "soil": (soil, 5),
    "rock": (rock, 6),
    "bark": (bark, 4),
    "fur": (fur, 4),
    "patches": (patches, 3),
    "water": (water, 3),
    "snow": (snow, 2),
    "peel": (peel, 5),
    "leaves": (leaves, 8),
    "needles": (needles, 3),
    "tuft": (tuft, 4),
    "flowers": (flowers, 4),
}
"""Kind -> (recipe, number of variants)."""
