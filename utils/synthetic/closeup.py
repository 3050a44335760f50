"""Synthetic close-ups of many kinds, in which near is not simply below far."""

import numpy as np

from utils.synthetic import beings, furniture, outdoors, plants, tableware, things
from utils.synthetic.furnishing import furnish_wall
from utils.synthetic.mesh import (
    Builder,
    box,
    bumpy,
    cylinder,
    ellipsoid,
    quad,
    shifted,
    tube,
    turned,
)
from utils.synthetic.nature import Terrain, grow, outdoor_light
from utils.synthetic.room import Room, room_light
from utils.synthetic.setting import Setup, field_of_view, looking
from utils.synthetic.shading import SUN
from utils.synthetic.stuff import paint

_CUTOUTS = ("leaves", "needles", "tuft", "flowers", "lattice", "blinds")
"""Kinds of texture that are no surface."""


def closeup(b: Builder, width: float) -> Setup:
    """One of several kinds of picture in which near is not simply below far."""
    kinds = (portrait, heap, wall_at_side, hanging, upwards, from_above, jumble)
    return kinds[b.rng.choice(7, p=(0.32, 0.18, 0.11, 0.1, 0.09, 0.08, 0.12))](b, width)


def portrait(b: Builder, width: float) -> Setup:
    """A person, an animal, a bird or flowers close up before a blurred background."""
    rng = b.rng
    land = Terrain(b)
    grow(b, land)
    place = np.array([rng.normal(0, 0.15), 2.2, 0.0])
    place[2] = land.height(*place[:2]).item()
    b.instance()
    b.at(place, rng.normal(0, 0.7) + (np.pi if rng.random() < 0.15 else 0))
    choice = rng.random()
    if choice < 0.4:
        size = rng.uniform(1.4, 1.9)
        beings.person(b, size, str(rng.choice(["stand", "walk"])))
        middle, near = rng.choice([0.55, 0.8, 0.9]) * size, rng.uniform(0.8, 2.0)
    elif choice < 0.75:
        size = rng.uniform(0.4, 2.0)
        beings.animal(b, size)
        b.at(place, rng.uniform(0, 6.3))
        middle, near = 0.5 * size, size * rng.uniform(1.2, 2.2)
    elif choice < 0.88:
        b.add(shifted(box(0.08, 0.08, 0.9), (0, 0, 0)), b.material("wood"))
        with b.inside((0, 0, 0.9)):
            beings.bird(b, 0.25)
        middle, near = 1.0, rng.uniform(0.5, 0.9)
    else:
        spots = place + np.stack([*rng.normal(0, 0.25, (2, 30)), np.zeros(30)], 1)
        plants.meadow(b, spots, rng.uniform(0.2, 0.5, 30), "flowers")
        middle, near = 0.25, rng.uniform(0.5, 1.0)
    for _ in range(int(rng.integers(0, 3))):
        b.instance()
        b.at(place + [rng.uniform(-2, 2), rng.uniform(1, 5), 0], rng.uniform(0, 6.3))
        beings.person(b) if rng.random() < 0.5 else plants.bush(b, 1.2)
    b.at()
    target = place + [0, 0, middle]
    eye = target + np.array([rng.normal(0, 0.2), -1.0, rng.normal(0.05, 0.25)]) * near
    eye[2] = max(eye[2], land.height(*eye[:2]).item() + 0.15)
    light = outdoor_light(b, place, 8.0)
    aim = target + rng.normal(0, 0.12, 3) * near
    camera = looking(eye, aim, rng.normal(0, 0.07), field_of_view(rng, width, 35, 65))
    return Setup(camera, light, width * rng.uniform(0.005, 0.03) * near, near)


def heap(b: Builder, width: float) -> Setup:
    """Things of one or two kinds, side by side and on top of each other, that fill the frame."""
    rng = b.rng
    b.background()
    cloth_kind = str(rng.choice(["wood", "weave", "grass", "soil", "marble", "foliage"]))
    b.add(
        quad((-9, -9, 0), (18, 0, 0), (0, 18, 0)),
        b.material(cloth_kind, np.full(3, rng.uniform(0.5, 1)), rng.uniform(0.3, 1)),
    )
    makers = (
        lambda: tableware.fruit(b, 0.085),
        lambda: things.carton(b, 0.1),
        lambda: tableware.cup(b),
        lambda: things.toy(b, 0.11),
        lambda: things.pot_plant(b, 0.18),
        lambda: plants.boulder(b, 0.1),
        lambda: tableware.bottle(b, 0.2),
        lambda: things.figure(b, 0.16),
    )
    chosen = [makers[k] for k in rng.integers(len(makers), size=2)]
    step, layers = rng.uniform(0.075, 0.13), int(rng.integers(1, 4))
    for layer in range(layers):
        for x, y in np.ndindex(9 - 2 * layer, 8 - 2 * layer):
            spot = (np.array([x, y]) - [4 - layer, 2 - layer] + 0.5 * layer) * step
            b.at((*(spot + rng.normal(0, 0.012, 2)), 0.07 * layer), rng.uniform(0, 6.3))
            b.instance()
            chosen[int(rng.random() < 0.2)]()
    b.at()
    light = outdoor_light(b, (0, 0.1, 0), 1.2, (0.3, 0.3, 0.3), haze=(-4, -3))
    pitch, away = np.radians(rng.uniform(8, 75)), rng.uniform(0.3, 0.8)
    target = np.array([rng.normal(0, 0.05), 0.15, 0.05])
    eye = target + away * np.array([0, -np.cos(pitch), np.sin(pitch)])
    camera = looking(eye, target, rng.normal(0, 0.2), field_of_view(rng, width, 35, 65))
    aperture = width * rng.uniform(0.002, 0.01) if rng.random() < 0.6 else 0.0
    return Setup(camera, light, aperture, away * rng.uniform(0.8, 1.1))


def wall_at_side(b: Builder, width: float) -> Setup:
    """A wall or hedge that comes near on one side and leads away, things leaning on it."""
    rng = b.rng
    b.background()
    ground = b.material(
        str(rng.choice(["paving", "asphalt", "grass", "soil", "planks"])),
        np.full(3, rng.uniform(0.5, 1)),
        2.0,
        grunge=0.3,
    )
    b.add(quad((-300, -5, 0), (600, 0, 0), (0, 600, 0)), ground)
    side = rng.choice([-1, 1])
    high = rng.uniform(2.0, 9.0)
    kind = str(rng.choice(["brick", "planks", "paving", "facade", "concrete", "rock", "foliage"]))
    wall = b.material(
        kind, np.full(3, rng.uniform(0.5, 1)), 12 if kind == "facade" else 1.6, grunge=0.3
    )
    away = rng.uniform(0.35, 1.2)
    b.add(shifted(box(0.4, 60, high), (side * (away + 0.2), 28, 0)), wall)
    for _ in range(int(rng.integers(2, 9))):
        y = 1.2 * 18 ** rng.random()
        b.instance()
        b.at((side * (away - rng.uniform(0.25, 1.4)), y, 0), rng.uniform(0, 6.3))
        choice = rng.random()
        if choice < 0.4:
            beings.person(b, rng.uniform(1.3, 1.9), str(rng.choice(["stand", "walk"])))
        elif choice < 0.7:
            things.pot_plant(b, rng.uniform(0.4, 1.4))
        else:
            things.carton(b, rng.uniform(0.3, 0.8))
    for _ in range(int(rng.integers(2, 9))):
        b.instance()
        b.at((-side * rng.uniform(1.5, 25), rng.uniform(6, 60), 0), rng.uniform(0, 6.3))
        plants.tree(b, rng.uniform(4, 10), 0.7) if rng.random() < 0.6 else outdoors.house(
            b, 9, 8, 6
        )
    b.at()
    eye = np.array([0, 0, rng.uniform(0.5, 1.9)])
    light = outdoor_light(b, eye + [0, 7, 0], 14.0, (0.2, 0.2, 0.2))
    aim = eye + [side * rng.uniform(-2, 6), 10, rng.uniform(-2, 3)]
    camera = looking(eye, aim, rng.normal(0, 0.06), field_of_view(rng, width))
    return Setup(camera, light)


def hanging(b: Builder, width: float) -> Setup:
    """Things that hang from above, near the camera, in a room seen partly from below."""
    rng = b.rng
    place = Room(b, *rng.uniform(3.5, 7.0, 2), rng.uniform(2.4, 3.6))  # type: ignore[call-arg]
    for index in (0, 1, 3):
        furnish_wall(place, index)
    for _ in range(int(rng.integers(3, 12))):
        spot = np.array([*(rng.uniform(-0.4, 0.4, 2) * [place.width, place.depth]), place.height])
        b.at(spot, rng.uniform(0, 6.3))
        b.instance()
        drop = rng.uniform(0.2, 1.4)
        if rng.random() < 0.5:
            furniture.pendant(b, drop)
            continue
        b.add(cylinder(0.004, drop, 5), b.material(None, np.full(3, 0.1)))
        with b.inside((0, 0, -drop - 0.25)):
            things.small_thing(b, 0.3)
    b.at()
    light = room_light(b, place)
    eye = np.array([rng.normal(0, 0.5), -place.depth * 0.42, rng.uniform(0.8, 1.6)])
    aim = np.array([rng.normal(0, 0.8), place.depth * 0.3, rng.uniform(1.2, place.height + 0.3)])
    camera = looking(eye, aim, rng.normal(0, 0.08), field_of_view(rng, width))
    return Setup(camera, light)


def upwards(b: Builder, width: float) -> Setup:
    """Trees or house fronts seen from their feet."""
    rng = b.rng
    b.background()
    b.add(quad((-200, -200, 0), (400, 0, 0), (0, 400, 0)), b.material("grass", tile=3.0))
    for _ in range(int(rng.integers(3, 10))):
        angle, reach = rng.normal(0, 0.8), rng.uniform(2.0, 14)
        b.instance()
        b.at((reach * np.sin(angle), reach * np.cos(angle), 0), rng.uniform(0, 6.3))
        plants.tree(b, rng.uniform(6, 14))
    if rng.random() < 0.5:
        b.instance()
        b.at((rng.choice([-1, 1]) * rng.uniform(8, 12), rng.uniform(4, 14), 0), rng.normal(0, 0.5))
        outdoors.house(b, 12, 9, rng.uniform(9, 30))
    b.at()
    eye = np.array([0, 0, rng.uniform(0.6, 1.7)])
    light = outdoor_light(b, (0, 4, 4), 14.0)
    aim = eye + [rng.normal(0, 2), 5, rng.uniform(1.5, 12)]
    camera = looking(eye, aim, rng.normal(0, 0.1), field_of_view(rng, width, 45, 85))
    return Setup(camera, light)


def from_above(b: Builder, width: float) -> Setup:
    """The floor of a room or a yard, people and things on it, seen steeply from above."""
    rng = b.rng
    b.background()
    kind = str(rng.choice(["planks", "tiles", "paving", "grass", "rug", "asphalt"]))
    b.add(
        quad((-60, -60, 0), (120, 0, 0), (0, 120, 0)),
        b.material(kind, np.full(3, rng.uniform(0.5, 1)), rng.uniform(1, 3), grunge=0.3),
    )
    for _ in range(int(rng.integers(5, 26))):
        b.at((*rng.normal(0, 1.6, 2), 0), rng.uniform(0, 6.3))
        b.instance()
        choice = rng.random()
        if choice < 0.3:
            beings.person(b, rng.uniform(1.2, 1.9), str(rng.choice(["stand", "walk"])))
        elif choice < 0.45:
            furniture.table(b, *rng.uniform(0.7, 1.4, 2), 0.75)  # type: ignore[call-arg]
        elif choice < 0.6:
            furniture.chair(b)
        elif choice < 0.7:
            beings.animal(b, rng.uniform(0.4, 0.9), str(rng.choice(["dog", "cat"])))
        elif choice < 0.85:
            things.carton(b, rng.uniform(0.3, 0.7))
        else:
            things.pot_plant(b, rng.uniform(0.4, 1.2))
    b.at()
    light = outdoor_light(b, (0, 0, 0.5), 7.0, (0.2, 0.2, 0.2))
    high = rng.uniform(2.4, 7.0)
    eye = np.array([rng.normal(0, 0.3), -high * rng.uniform(0.05, 0.7), high])
    camera = looking(
        eye,
        np.array([*rng.normal(0, 0.3, 2), 0.3]),
        rng.normal(0, 0.3),
        field_of_view(rng, width, 40, 75),
    )
    return Setup(camera, light)


def jumble(b: Builder, width: float) -> Setup:
    """Shapes of any size and texture afloat before a slanted wall: no habit of the world holds."""
    rng = b.rng
    kinds = [kind for kind in b.textures.kinds if kind not in _CUTOUTS]
    b.background()
    tilt = rng.normal(0, 0.5, 2)
    wall = turned(quad((-40, 0, -40), (80, 0, 0), (0, 0, 80)), tilt[0], tilt[1])
    b.add(
        shifted(wall, (0, rng.uniform(5, 10), 0)),
        b.material(str(rng.choice(kinds)), np.full(3, rng.uniform(0.5, 1)), rng.uniform(1, 6)),
    )
    for _ in range(int(rng.integers(6, 40))):
        y = 0.8 * 8 ** rng.random()
        spot = np.array([rng.uniform(-0.9, 0.9) * y, y, rng.uniform(-0.7, 0.7) * y])
        size = y * rng.uniform(0.1, 0.45)
        b.instance()
        b.at(spot)
        stuff = b.material(
            str(rng.choice(kinds)),
            paint(rng, 0.4, 0.8),
            size * rng.uniform(0.4, 2),
            gloss=rng.choice([0, 0.05]),
        )
        angles = rng.uniform(0, 6.3, 3)
        shape = rng.integers(5)
        if shape == 0:
            mesh = box(*(size * rng.uniform(0.1, 1.2, 3)))
        elif shape == 1:
            mesh = ellipsoid(*(size * rng.uniform(0.4, 1.2, 3)), 22, rng.uniform(0.3, 1.0))  # type: ignore[call-arg]
        elif shape == 2:
            mesh = cylinder(size * rng.uniform(0.1, 0.5), size, 20, size * rng.uniform(0, 0.5))
        elif shape == 3:
            mesh = bumpy(ellipsoid(size, size, size, 26), rng, size * 0.15, size)
        else:
            path = np.cumsum(rng.normal(0, size * 0.3, (7, 3)), axis=0)
            mesh = tube(path, size * rng.uniform(0.02, 0.1), 9)
        b.add(turned(mesh, *angles), stuff)
    b.at()
    light = outdoor_light(b, (0, 3, 0), 6.0, (0.3, 0.3, 0.3), haze=(-4, -3))
    light.sky[SUN : SUN + 3] = np.array([rng.normal(0, 0.5), -1, rng.uniform(0.2, 1)]) / 1.3
    light.sky[SUN : SUN + 3] /= np.linalg.norm(light.sky[SUN : SUN + 3])
    camera = looking(
        np.zeros(3),
        np.array([*rng.normal(0, 0.1, 1), 1.0, rng.normal(0, 0.1)]),
        rng.uniform(-0.3, 0.3),
        field_of_view(rng, width),
    )
    return Setup(camera, light)
