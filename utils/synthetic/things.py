"""Small things for shelves, tables and floors. All stand on z = 0 in the builder's frame."""

import math

import numpy as np

from utils.synthetic import beings, tableware
from utils.synthetic.mesh import (
    Builder,
    box,
    cylinder,
    ellipsoid,
    grid,
    lathe,
    leaf_cards,
    quad,
    shifted,
    stick,
    tube,
    turned,
)
from utils.synthetic.stuff import glossy, paint, steel


def lamp(b: Builder, height: float) -> None:
    """A standing or table lamp with a shade that glows a little."""
    rng = b.rng
    foot, shade = steel(b), rng.uniform(0.1, 0.22) * min(1.0, height / 0.8 + 0.4)
    b.add(cylinder(shade * 0.6, 0.02), foot)
    b.add(stick((0, 0, 0), (0, 0, height - shade), 0.012, 6), foot)
    warm = np.array([1.0, 0.82, 0.55]) * rng.uniform(0.5, 0.9)
    cover = b.material("fabric", warm, 0.3, glow=rng.uniform(0.0, 2.5), through=0.4)
    b.add(
        shifted(
            lathe([(shade, 0), (shade * rng.uniform(0.5, 1.0), shade * 1.4)], 20),
            (0, 0, height - shade * 1.4),
        ),
        cover,
    )


def stack(b: Builder, width: float) -> None:
    """A pile of books or papers lying flat."""
    rng, z = b.rng, 0.0
    for _ in range(int(rng.integers(1, 7))):
        thick = rng.uniform(0.008, 0.05)
        size = width * rng.uniform(0.6, 1.0)
        cover = b.material("print" if rng.random() < 0.4 else None, paint(rng, 0.6, 0.5), 0.3)
        pages = b.material("fabric", np.array([0.75, 0.7, 0.6]), 0.05)
        turn = rng.normal(0, 0.25)
        b.add(shifted(turned(box(size, size * 0.72, thick), turn), (0, 0, z)), cover)
        b.add(
            shifted(
                turned(box(size * 0.99, size * 0.725, thick * 0.7), turn), (0, 0, z + thick * 0.15)
            ),
            pages,
        )
        z += thick


def screen(b: Builder, width: float) -> None:
    """A monitor, a television or a laptop, its picture to -y."""
    rng = b.rng
    dark = b.material(None, np.full(3, rng.uniform(0.01, 0.06)), gloss=0.05, power=80)
    height = width * 0.6
    picture = b.material(
        str(rng.choice(["print", "painting"])), np.full(3, 0.6), glow=rng.uniform(0, 1)
    )
    if rng.random() < 0.5:
        picture = b.material(None, np.full(3, 0.01), gloss=0.06, power=200)
    laptop = width < 0.45
    base = 0.02 if laptop else 0.1
    lean = 0.25 if laptop else 0.0
    panel = turned(shifted(box(width, 0.02, height), (0, 0, 0)), 0, -lean)
    glass = turned(
        quad(
            (-width * 0.47, -0.011, height * 0.05),
            (width * 0.94, 0, 0),
            (0, 0, height * 0.9),
            False,
        ),
        0,
        -lean,
    )
    b.add(shifted(panel, (0, 0.1, base)), dark)
    b.add(shifted(glass, (0, 0.1, base)), picture)
    if laptop:
        b.add(shifted(box(width, width * 0.68, 0.018), (0, -width * 0.34 + 0.1, 0)), steel(b))
        b.add(shifted(box(width * 0.9, width * 0.3, 0.003), (0, -width * 0.25 + 0.1, 0.018)), dark)
    else:
        b.add(box(width * 0.4, 0.2, 0.015), dark)
        b.add(stick((0, 0.12, 0), (0, 0.12, 0.2), 0.02, 6), dark)


def carton(b: Builder, size: float) -> None:
    """A cardboard, gift or product box, perhaps open."""
    rng = b.rng
    tint = (0.5, 0.36, 0.22) if rng.random() < 0.5 else paint(rng, 0.6, 0.5)
    kind = "print" if rng.random() < 0.4 else "fabric"
    stuff = b.material(kind, np.asarray(tint), size * 1.5)
    b.add(
        turned(
            box(
                size * rng.uniform(0.6, 1.2),
                size * rng.uniform(0.5, 1),
                size * rng.uniform(0.4, 1.1),
            ),
            rng.uniform(0, 6),
        ),
        stuff,
    )


def basket(b: Builder, radius: float) -> None:
    """A wicker basket or bucket."""
    high = radius * b.rng.uniform(0.8, 1.6)
    b.add(
        lathe(
            [(0, 0), (radius * 0.8, 0), (radius, high), (radius * 0.93, high), (0, high * 0.5)], 20
        ),
        b.material("wicker", np.full(3, 0.9), 0.3),
    )


def toy(b: Builder, size: float) -> None:
    """Blocks, a ball, or a teddy-like figure of balls."""
    rng, style = b.rng, b.rng.integers(3)
    if style == 0:
        kind = b.material(
            "weave" if rng.random() < 0.5 else None, paint(rng, 0.7, 0.6), size, gloss=0.03
        )
        b.add(shifted(ellipsoid(size, size, size, 20), (0, 0, size / 2)), kind)
        return
    if style == 1:
        for _ in range(int(rng.integers(2, 6))):
            s = size * rng.uniform(0.25, 0.45)
            spot = (*rng.normal(0, size * 0.4, 2), 0)
            b.add(shifted(turned(box(s, s, s), rng.uniform(0, 6)), spot), glossy(b, 0.8))
        return
    plush = b.material("fur", paint(rng, 0.5, 0.5), 0.3, contrast=0.5)
    balls = [
        (0, 0, 0.3, 0.42, 0.5),
        (0, 0, 0.7, 0.36, 0.34),
        (0.14, 0, 0.86, 0.13, 0.13),
        (-0.14, 0, 0.86, 0.13, 0.13),
        (0.2, -0.12, 0.1, 0.18, 0.3),
        (-0.2, -0.12, 0.1, 0.18, 0.3),
        (0.25, -0.05, 0.45, 0.13, 0.25),
        (-0.25, -0.05, 0.45, 0.13, 0.25),
        (0, -0.17, 0.66, 0.14, 0.12),
    ]
    for x, y, z, wide, high in balls:
        mesh = ellipsoid(wide * size, wide * size, high * size, 12)
        b.add(shifted(mesh, (x * size, y * size, z * size)), plush)


def pot_plant(b: Builder, height: float) -> None:
    """A plant in a pot: leaves on bent stems."""
    rng = b.rng
    pot = height * rng.uniform(0.2, 0.35)
    b.add(
        lathe([(0, 0), (pot * 0.4, 0), (pot * 0.55, pot), (pot * 0.48, pot), (0, pot * 0.85)]),
        glossy(b, 0.3),
    )
    kind = str(rng.choice(["leaves", "leaves", "flowers", "tuft"]))
    foliage = b.material(kind, np.full(3, rng.uniform(0.6, 1.0)), cutout=1, through=0.35)
    count = int(rng.integers(16, 40))
    direction = rng.normal(0, 1, (count, 3)) * [1, 1, 0.6] + [0, 0, 0.5]
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    reach = (height - pot) * rng.uniform(0.25, 0.55, (count, 1))
    centres = np.array([0, 0, pot + (height - pot) * 0.4]) + direction * reach
    b.add(leaf_cards(rng, centres, direction, (height - pot) * rng.uniform(0.35, 0.6)), foliage)
    stem = b.material("foliage", np.full(3, 0.5))
    for i in range(min(count, 6)):
        b.add(stick((0, 0, pot * 0.8), centres[i], 0.004, 5), stem)


def clock(b: Builder, size: float) -> None:
    """A round clock, upright, facing -y."""
    rim = glossy(b)
    face = b.material("print", np.full(3, 0.9), size * 3)
    b.add(shifted(turned(cylinder(size / 2, 0.05, 26), 0, math.pi / 2), (0, 0.025, size / 2)), rim)
    b.add(
        shifted(turned(cylinder(size * 0.44, 0.06, 26), 0, math.pi / 2), (0, 0.025, size / 2)), face
    )
    dark, z = b.material(None, np.full(3, 0.02)), size / 2
    for reach in (0.24, 0.36):
        angle = b.rng.uniform(0, 2 * math.pi)
        tip = (math.cos(angle) * reach * size, -0.04, z + math.sin(angle) * reach * size)
        b.add(stick((0, -0.04, z), tip, 0.012 * size, 5), dark)


def papers(b: Builder, size: float) -> None:
    """A sheet, a newspaper, a magazine or an open book lying flat."""
    rng = b.rng
    page = b.material("print", np.full(3, rng.uniform(0.5, 0.9)), size)
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, 4))):
            turn = rng.normal(0, 0.3)
            b.add(turned(box(size * 0.7, size, 0.002 + 0.004 * rng.random()), turn), page)
        return
    x = np.linspace(-0.7, 0.7, 21) * size
    rise = 0.06 * size * np.exp(-np.abs(x) / (0.25 * size)) * (np.abs(x) / size + 0.15) * 6
    lattice = np.stack(
        np.broadcast_arrays(x[None], np.array([[-0.5], [0.5]]) * size, 0.008 + rise[None] * 0.4), -1
    )
    b.add(grid(lattice), page)
    b.add(box(1.44 * size, 1.04 * size, 0.004), b.material(None, paint(rng, 0.5, 0.3)))


def tools(b: Builder, size: float) -> None:
    """A few long thin things side by side: cutlery, pens, brushes, scissors."""
    rng, metal = b.rng, steel(b)
    for i in range(int(rng.integers(1, 6))):
        stuff = metal if rng.random() < 0.5 else glossy(b, 0.6)
        x, lean = 0.03 * i, rng.normal(0, 0.15)
        end = (x + lean * size, size * rng.uniform(0.7, 1.0), 0.006)
        b.add(
            tube([(x, 0, 0.006), (x + lean * size * 0.5, size * 0.5, 0.008), end], 0.005, 6), stuff
        )
        if rng.random() < 0.5:
            b.add(shifted(ellipsoid(0.035, 0.06, 0.008, 10), end), stuff)


def figure(b: Builder, height: float) -> None:
    """A doll, a toy animal, a bust on a foot."""
    rng, choice = b.rng, b.rng.random()
    if choice < 0.45:
        beings.person(b, height)
    elif choice < 0.8:
        beings.animal(b, height)
    else:
        stone = b.material("marble" if rng.random() < 0.5 else "plaster", paint(rng, 0.2, 0.6), 0.4)
        b.add(cylinder(height * 0.22, height * 0.2, 16, height * 0.14), stone)
        b.add(stick((0, 0, height * 0.1), (0, 0, height * 0.6), height * 0.1, 10), stone)
        with b.inside((0, 0, height * 0.68)):
            beings.head(b, height * 4.4, (0, 0, 0), stone)


def drape(b: Builder, width: float, height: float) -> None:
    """A cloth hanging along x, its folds in y, from `height` to the floor."""
    rng = b.rng
    x = np.linspace(-width / 2, width / 2, int(40 * max(1.0, width)))
    count = rng.uniform(25, 45)
    wave = 0.045 * np.sin(x * count + rng.uniform(0, 6)) + 0.015 * np.sin(x * count * 2.3)
    z = np.linspace(height, 0.03, 5)
    wave = wave[None] * np.linspace(0.7, 1.1, 5)[:, None]
    kind = "fabric" if rng.random() < 0.6 else "weave"
    points = np.stack(np.broadcast_arrays(x[None], wave, z[:, None]), -1)
    b.add(grid(points), b.material(kind, paint(rng, 0.4, 0.6), 0.4, through=0.3))


def _random_thing(b, height):
    """Draw one of many kinds."""
    rng = b.rng
    low = height * rng.uniform(0.5, 1.0)
    kinds = (
        (0.12, lambda: tableware.vase(b, low)),
        (0.1, lambda: tableware.bottle(b, max(low, 0.12))),
        (0.07, lambda: tableware.can(b, low * 0.5)),
        (0.07, lambda: tableware.glass(b, min(low, 0.2))),
        (0.08, lambda: carton(b, low * 0.8)),
        (0.08, lambda: stack(b, min(0.28, height * 1.2))),
        (0.08, lambda: toy(b, low * 0.9)),
        (0.06, lambda: pot_plant(b, height)),
        (0.06, lambda: tableware.cup(b)),
        (0.04, lambda: basket(b, height * 0.4)),
        (0.06, lambda: tableware.fruit(b, 0.075)),
        (0.05, lambda: tableware.plate(b, min(0.14, height))),
        (0.04, lambda: papers(b, rng.uniform(0.2, 0.3))),
        (0.03, lambda: tools(b, 0.19)),
        (0.04, lambda: figure(b, height)),
        (0.02, lambda: clock(b, low * 0.8)),
    )
    choice = rng.random() * sum(weight for weight, _ in kinds)
    for weight, make in kinds:
        choice -= weight
        if choice < 0:
            make()
            return


def small_thing(b: Builder, height: float) -> None:
    """Any object up to about this height, for shelves and table tops; a new instance."""
    b.instance()
    _random_thing(b, height)
