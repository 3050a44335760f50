"""Cars, houses and what stands in streets and gardens, on z = 0 in the builder's frame."""

import numpy as np
from numpy.typing import ArrayLike

from utils.synthetic.mesh import (
    Builder,
    box,
    cushion,
    cylinder,
    ellipsoid,
    grid,
    prism,
    quad,
    shifted,
    stick,
    tube,
    turned,
)
from utils.synthetic.stuff import cloth, paint, steel, timber


def _hull(stations, power):
    """A rounded body along x: stations (K, 4) of x, half width, bottom and top."""
    angle = np.linspace(0, 2 * np.pi, 19)
    c, s = (np.sign(v) * np.abs(v) ** power for v in (np.cos(angle), np.sin(angle)))
    x, wide, low, high = np.asarray(stations, float).T[:, :, None]
    points = np.stack(np.broadcast_arrays(x, wide * c, (low + high) / 2 + (high - low) / 2 * s), -1)
    return grid(points, wrap=True)


def car(b: Builder) -> None:
    """A car, van or bus with its bonnet to -x."""
    rng = b.rng
    length, high, half = rng.uniform(3.7, 4.7), rng.uniform(1.4, 1.6), rng.uniform(0.84, 0.94)
    tone = str(rng.choice(["grey", "dark", "vivid"], p=[0.45, 0.3, 0.25]))
    colour = (
        paint(rng, 0.9, 0.4)
        if tone == "vivid"
        else np.full(3, rng.uniform(0.25, 0.75) if tone == "grey" else rng.uniform(0.02, 0.07))
    )
    lacquer = b.material(None, colour, gloss=0.07, power=120)
    glass = b.material(None, np.full(3, 0.012), gloss=0.14, power=200)
    dark = b.material("asphalt", np.full(3, 0.06), 0.5)
    low, waist, ends = 0.24, high * rng.uniform(0.56, 0.62), 0.5
    van = rng.random() < 0.2
    if van:
        length, high = length * 1.15, high * 1.35
        waist = high * 0.55
    front, back = (-0.34, 0.49) if van else (rng.uniform(-0.26, -0.18), rng.uniform(0.32, 0.47))
    tail = 0.98 if back > 0.42 else rng.uniform(0.86, 0.96)
    body = [
        (-0.5, 0.6, 0.42, 0.6),
        (-0.49, 0.86, 0.3, waist * 0.8),
        (-0.42, 0.97, low, waist * 0.9),
        (front, 1.0, low, waist),
        (0.3, 1.0, low, waist * 1.02),
        (0.45, 0.96, low, waist * tail),
        (ends - 0.01, 0.86, 0.3, waist * tail * 0.94),
        (ends, 0.6, 0.42, waist * 0.7),
    ]
    b.add(_hull([(x * length, w * half, z0, z1) for x, w, z0, z1 in body], 0.45), lacquer)
    cabin = [
        (front - 0.02, 0.8, waist * 0.9, waist),
        (front + 0.13, 0.78, waist * 0.9, high * 0.97),
        (0.1, 0.8, waist * 0.9, high),
        (back - 0.1, 0.76, waist * 0.9, high * 0.96),
        (back, 0.74, waist * 0.9, waist * 1.02),
    ]
    b.add(_hull([(x * length, w * half, z0, z1) for x, w, z0, z1 in cabin], 0.5), glass)
    roof = [
        ((front + 0.1), 0.7, high * 0.86),
        (front + 0.14, 0.72, high * 0.97),
        (0.1, 0.74, high),
        (back - 0.1, 0.7, high * 0.965),
        (back - 0.07, 0.68, high * 0.9),
    ]
    b.add(_hull([(x * length, w * half, z - 0.05, z + 0.012) for x, w, z in roof], 0.5), lacquer)
    for x in (-0.31, 0.31):
        for y in (-0.9, 0.9):
            wheel = turned(shifted(cylinder(0.32, 0.22, 20), (0, 0, -0.11)), 0, np.pi / 2)
            b.add(shifted(wheel, (x * length, y * half, 0.32)), dark)
            hub = turned(shifted(cylinder(0.19, 0.24, 12), (0, 0, -0.12)), 0, np.pi / 2)
            b.add(shifted(hub, (x * length, y * half, 0.32)), steel(b))
    _lights_and_plates(b, length, half, waist)


def _lights_and_plates(b, length, half, waist):
    """What a car of this length, half its width, and height of its windows has at its ends."""
    light = b.material(None, (0.8, 0.8, 0.75), glow=0.3, gloss=0.1)
    red = b.material(None, (0.5, 0.02, 0.02), gloss=0.1)
    plate = b.material("print", np.full(3, 0.7))
    for y in (-0.66, 0.66):
        lamp, tail = cushion(0.2, 0.3, 0.14, 0.6, 8), cushion(0.12, 0.26, 0.18, 0.6, 8)
        b.add(shifted(lamp, (-length * 0.475, y * half, waist * 0.66)), light)
        b.add(shifted(tail, (length * 0.485, y * half, waist * 0.72)), red)
    for x in (-0.502, 0.502):
        b.add(shifted(box(0.02, 0.5, 0.12), (x * length, 0, 0.45)), plate)


def street_lamp(b: Builder, height: float) -> None:
    """A pole with an arm or a globe."""
    rng, metal = b.rng, steel(b)
    b.add(stick((0, 0, 0), (0, 0, height), 0.07, 8, 0.045), metal)
    b.add(cylinder(0.14, 0.5, 10), metal)
    if rng.random() < 0.6:
        arm = rng.choice([-1, 1]) * rng.uniform(0.6, 1.6)
        b.add(
            tube([(0, 0, height), (arm * 0.4, 0, height + 0.25), (arm, 0, height + 0.3)], 0.04, 7),
            metal,
        )
        b.add(shifted(cushion(0.5, 0.2, 0.12, 0.6, 10), (arm, 0, height + 0.2)), metal)
    else:
        b.add(
            shifted(ellipsoid(0.45, 0.45, 0.45, 14), (0, 0, height + 0.15)),
            b.material(None, (0.75, 0.73, 0.68), gloss=0.05, glow=0.2),
        )


def sign(b: Builder, height: float) -> None:
    """A traffic sign, a shop sign or a board on a post."""
    rng = b.rng
    b.add(stick((0, 0, 0), (0, 0, height), 0.035, 7), steel(b))
    face = b.material(
        str(rng.choice(["painting", "print"])) if rng.random() < 0.6 else None,
        paint(rng, 0.9, 0.6),
        0.6,
    )
    if rng.random() < 0.5:
        disc = turned(cylinder(0.32, 0.02, 20), 0, np.pi / 2)
        b.add(shifted(disc, (0, -0.04, height - 0.2)), face)
    else:
        wide, high = rng.uniform(0.4, 1.2), rng.uniform(0.3, 0.7)
        b.add(shifted(box(wide, 0.02, high), (0, -0.05, height - high)), face)


def bench(b: Builder, width: float) -> None:
    """A bench with slats and a back, looking along -y."""
    wood, metal = timber(b), steel(b)
    for x in (-width / 2 + 0.15, width / 2 - 0.15):
        b.add(
            tube([(x, -0.22, 0), (x, -0.22, 0.42), (x, 0.2, 0.42), (x, 0.32, 0.85)], 0.025, 6),
            metal,
        )
        b.add(stick((x, 0.2, 0), (x, 0.2, 0.42), 0.025, 6), metal)
    for y in np.linspace(-0.2, 0.2, 4):
        b.add(shifted(box(width, 0.09, 0.03), (0, y, 0.43)), wood)
    for z in (0.55, 0.68, 0.81):
        b.add(shifted(box(width, 0.03, 0.09), (0, 0.2 + (z - 0.4) * 0.28, z)), wood)


def fence(b: Builder, length: float, height: float) -> None:
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


def wires(b: Builder, start: ArrayLike, end: ArrayLike, count: int) -> None:
    """Sagging wires between two points, side by side."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    dark = b.material(None, np.full(3, 0.03))
    t = np.linspace(0, 1, 12)[:, None]
    sag = 0.04 * np.linalg.norm(end - start)
    for i in range(count):
        path = start + (end - start) * t - np.array([0, 0, 1]) * sag * 4 * t * (1 - t)
        b.add(tube(path + [0, 0, -0.3 * i], 0.015, 4), dark)


def house(b: Builder, width: float, depth: float, height: float) -> None:
    """A building with a textured front, a roof, a door and ledges."""
    rng = b.rng
    storey = rng.uniform(2.8, 3.4)
    wall = b.material(
        "facade", rng.uniform(0.6, 1.1) * (1 + rng.normal(0, 0.07, 3)), storey * 4, grunge=0.15
    )
    b.add(box(width, depth, height), wall)
    trim = b.material("concrete", paint(rng, 0.2, 0.6), 2.0)
    for z in np.arange(storey, height + 0.1, storey):
        if rng.random() < 0.5 or z > height - 1:
            b.add(shifted(box(width + 0.3, depth + 0.3, 0.2), (0, 0, z - 0.1)), trim)
    if rng.random() < 0.6:
        roof = b.material("tiles", (0.42, 0.2, 0.14), 2.5, grunge=0.2)
        peak = height + width * rng.uniform(0.2, 0.4)
        outline = [(-width * 0.53, height), (0, peak), (width * 0.53, height)]
        mesh = (
            prism(outline, depth + 0.5)
            if width < depth
            else turned(prism(np.array(outline) * [depth / width, 1], width + 0.5), np.pi / 2)
        )
        b.add(mesh, roof)
    shop = b.material(None, np.full(3, 0.02), gloss=0.1, power=200)
    board = b.material("print", paint(rng, 0.7, 0.4), 2.0)
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
