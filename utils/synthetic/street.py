"""Synthetic streets: house fronts, cars, poles, trees, people, and hills or haze at the end."""

import numpy as np

from utils.synthetic import beings, outdoors, plants
from utils.synthetic.film import Lighting
from utils.synthetic.mesh import Builder, box, cylinder, quad, shifted
from utils.synthetic.setting import Relief, Setup, daylight, field_of_view, looking
from utils.synthetic.shading import HORIZON, SUN, SUN_COLOUR
from utils.synthetic.stuff import paint

LENGTH = 90.0


def _ground(b, half_road, half_street):
    """Road with markings, kerbs, pavements, and land beyond."""
    rng = b.rng
    b.background()
    far = 700.0
    land = b.material(
        "grass" if rng.random() < 0.5 else "asphalt", np.full(3, 0.8), 5.0, grunge=0.4
    )
    b.add(quad((-far, -60, -0.3), (2 * far, 0, 0), (0, far, 0)), land)
    road = b.material(
        str(rng.choice(["asphalt", "paving"], p=[0.85, 0.15])),
        np.full(3, rng.uniform(0.5, 1.1)),
        3.0,
        grunge=0.35,
    )
    b.add(quad((-half_road, -30, 0), (2 * half_road, 0, 0), (0, 2 * LENGTH, 0)), road)
    walk = b.material(
        str(rng.choice(["tiles", "paving", "concrete"])),
        np.array([1.0, 0.97, 0.93]) * rng.uniform(0.4, 0.8),
        2.0,
        grunge=0.3,
        contrast=0.6,
    )
    for side in (-1, 1):
        wide = half_street - half_road + 1.0
        middle = side * (half_road + wide / 2)
        b.add(shifted(box(wide, 2 * LENGTH, 0.3), (middle, LENGTH - 30, -0.15)), walk)
    white = b.material("plaster", np.full(3, 0.75), grunge=0.3)
    dash = rng.uniform(2, 4)
    for y in np.arange(-10, LENGTH, 2.2 * dash) if rng.random() < 0.7 else ():
        b.add(quad((-0.07, y, 0.01), (0.14, 0, 0), (0, dash, 0)), white)
    if rng.random() < 0.3:
        y = rng.uniform(5, 20)
        for x in np.arange(-half_road + 0.4, half_road - 0.4, 1.0):
            b.add(quad((x, y, 0.01), (0.5, 0, 0), (0, 3.0, 0)), white)


def _houses(b, half_street, density):
    """Rows of houses on both sides, with gaps where trees stand."""
    rng = b.rng
    for side in (-1, 1):
        y = -25.0 + rng.uniform(0, 5)
        while y < LENGTH:
            width, depth = rng.uniform(6, 16), rng.uniform(8, 14)
            if rng.random() < density:
                height = rng.uniform(1, 5) * 3.1 + rng.choice([0, 0, 0, 14])
                b.instance()
                back = rng.choice([0.0, 0.0, rng.uniform(0, 5)])
                b.at((side * (half_street + depth / 2 + back), y + width / 2, 0), side * -np.pi / 2)
                outdoors.house(b, width, depth, height)
            else:
                for _ in range(int(rng.integers(1, 4))):
                    b.instance()
                    b.at(
                        (side * (half_street + rng.uniform(2, 8)), y + rng.uniform(0, width), 0),
                        rng.uniform(0, 6.3),
                    )
                    plants.tree(b, rng.uniform(4, 12), 0.6)
            y += width + (rng.uniform(0.5, 6) if rng.random() < 0.3 else 0)
    b.at()


def _end(b):
    """What closes the street: a hill, a tower, or a row of blocks in the haze."""
    rng = b.rng
    b.background()
    wall = b.material("facade", np.full(3, 0.9), 13.0)
    for _ in range(int(rng.integers(3, 10))):
        spot = (rng.uniform(-90, 90), rng.uniform(LENGTH + 10, LENGTH + 180), 0)
        b.at(spot, rng.uniform(0, 6.3))
        b.add(box(*rng.uniform(10, 30, 2), rng.uniform(8, 55)), wall)
    b.at()
    if rng.random() < 0.5:
        relief = Relief(rng, 250, 3)
        x, y = np.meshgrid(np.linspace(-700, 700, 40), np.linspace(250, 800, 16))
        z = (relief(x, y) + 0.8) * (y - 250) * rng.uniform(0.05, 0.2) - 2
        from utils.synthetic.mesh import grid

        b.add(grid(np.stack([x, y, z], -1)), b.material("foliage", np.full(3, 0.7), 30.0))


def _traffic(b, half_road, half_street):
    """Parked and driving cars, poles, lamps, signs, people, bins."""
    rng = b.rng
    taken = []
    for side in (-1, 1):
        y = rng.uniform(-4, 8)
        while y < 60 and half_road > 2.6:
            if rng.random() < 0.55:
                b.instance()
                b.at((side * (half_road - 1.1), y, 0), side * np.pi / 2 + np.pi * rng.integers(2))
                outdoors.car(b)
            y += rng.uniform(5.2, 9)
    for _ in range(int(rng.integers(0, 4))):
        b.instance()
        b.at(
            (rng.choice([-0.3, 0.3]) * half_road, rng.uniform(9, 60), 0),
            np.pi / 2 + np.pi * rng.integers(2) + rng.normal(0, 0.08),
        )
        outdoors.car(b)
    edge = half_road + 0.35
    for side in (-1, 1):
        kind = rng.choice(["lamp", "tree", "pole", "none"])
        for y in np.arange(rng.uniform(3, 12), 70, rng.uniform(9, 20)):
            b.at((side * edge, y, 0.15), 0.0 if side < 0 else np.pi)
            taken.append((side * edge, y))
            if kind != "none":
                b.instance()
            if kind == "lamp":
                outdoors.street_lamp(b, rng.uniform(4, 7))
            elif kind == "tree":
                plants.broadleaf(b, rng.uniform(4, 8), 0.8)
            elif kind == "pole":
                b.add(cylinder(0.12, 7.5, 8, 0.09), b.material("bark", tile=0.5))
                b.at()
                outdoors.wires(b, (side * edge, y, 7.2), (side * edge, y + 14, 7.2), 3)
    for _ in range(int(rng.integers(2, 16))):
        side = rng.choice([-1, 1])
        x = side * rng.uniform(half_road + 0.6, half_street - 0.3)
        if rng.random() < 0.2:
            x = rng.uniform(-1, 1) * half_road
        b.at(
            (x, 3 + 37 * rng.random() ** 1.7, 0.15 if abs(x) > half_road else 0.0),
            rng.choice([0, np.pi]) + rng.normal(0, 0.4),
        )
        b.instance()
        choice = rng.random()
        if choice < 0.66:
            beings.person(b, rng.uniform(1.2, 1.9), str(rng.choice(["walk", "stand"])))
        elif choice < 0.74:
            outdoors.sign(b, rng.uniform(1.8, 2.8))
        elif choice < 0.82:
            beings.animal(b, rng.uniform(0.4, 0.9), "dog")
        elif choice < 0.9:
            b.add(cylinder(0.28, 0.95, 14, 0.3), b.material("metal", paint(rng, 0.5, 0.3)))
        else:
            outdoors.bench(b, 1.7)
    b.at()


def street(b: Builder, width: float) -> Setup:
    """A street seen along or across, from the pavement, the road or an upper window."""
    rng = b.rng
    half_road, walk = rng.uniform(1.8, 6.0), rng.uniform(1.4, 4.0)
    half_street = half_road + walk
    _ground(b, half_road, half_street)
    _houses(b, half_street, rng.uniform(0.55, 1.0))
    _end(b)
    _traffic(b, half_road, half_street)
    view = rng.random()
    x = rng.uniform(-0.85, 0.85) * half_street
    if view < 0.6:
        eye = np.array([x, 0.0, rng.uniform(1.2, 2.2)])
        aim = np.array([rng.normal(0, 2.5), 20.0, rng.uniform(0.5, 4.5)])
    elif view < 0.8:
        eye = np.array([x, 0.0, rng.uniform(3.5, 12.0)])
        aim = np.array([rng.normal(0, 4), 22.0, rng.uniform(-2, 4)])
    else:
        side = rng.choice([-1, 1])
        eye = np.array([-side * half_street * 0.9, 0.0, rng.uniform(1.3, 2.2)])
        aim = np.array([side * half_street, rng.uniform(2, 9), rng.uniform(1.0, 3.5)])
    sky, sun, haze = daylight(b)
    centre = eye + [0, 18, -1]
    stone = np.array([0.28, 0.26, 0.24])
    light = Lighting(
        sky,
        sky,
        ambient=rng.uniform(0.55, 0.9),
        sun=sun,
        sun_focus=(centre, 30.0),
        sun_soft=rng.uniform(0.5, 1.2),
        bounce=stone
        * (
            sky[HORIZON : HORIZON + 3] * 0.6
            + sky[SUN_COLOUR : SUN_COLOUR + 3] * sun * 0.5 * max(sky[SUN + 2], 0)
        ),
        planes=np.array([[0, 0, 1, 0, 0.35, 0.3]]),
        haze=10 ** rng.uniform(-3.6, -2.1),
        haze_colour=haze,
        ambient_focus=(centre - [0, 6, 0], 22.0),
    )
    camera = looking(eye, aim, rng.normal(0, 0.03), field_of_view(rng, width, 40, 85))
    return Setup(camera, light)
