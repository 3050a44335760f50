"""Two families of synthetic scenes: rooms and table tops."""

import numpy as np

from utils.synthetic import things
from utils.synthetic.furnishing import furnish_middle, furnish_wall
from utils.synthetic.mesh import Builder, box, cylinder, shifted
from utils.synthetic.room import Room, room_light
from utils.synthetic.setting import Setup, field_of_view, looking
from utils.synthetic.stuff import paint, timber


def room(b: Builder, width: float) -> Setup:
    """A living room, kitchen, bedroom, office or corridor."""
    rng = b.rng
    size = rng.uniform(2.6, 7.0), rng.uniform(3.0, 8.0), rng.uniform(2.3, 3.2)
    place = Room(b, *size)
    wide = rng.random() < 0.5
    back = rng.uniform(0.3, 0.46) if wide else rng.uniform(-0.1, 0.4)
    eye = np.array([rng.uniform(-0.36, 0.36) * size[0], -size[1] * back, rng.uniform(0.9, 1.8)])
    place.free(eye[0], eye[1], 0.3, 0.1)
    place.taken.append((eye[0], eye[1] + 0.35, 0.45, 0.55))
    for index in rng.permutation(4):
        if rng.random() < 0.9:
            furnish_wall(place, index)
    furnish_middle(place)
    light = room_light(b, place)
    # Across the room, or at what stands at a wall close by.
    side, high = rng.uniform(-0.45, 0.45) * size[0], rng.uniform(0.1, 1.5)
    aim = np.array([side, rng.uniform(0.1, 0.5) * size[1], high])
    if not wide:
        aim = np.array([side * 1.1, eye[1] + rng.uniform(0.5, 3.0), high * 0.9])
    camera = looking(eye, aim, rng.normal(0, 0.035), field_of_view(rng, width, 45, 85))
    return Setup(camera, light)


def tabletop(b: Builder, width: float) -> Setup:
    """A still life: things on a table, a desk or the floor, seen from near."""
    rng = b.rng
    place = Room(b, *rng.uniform(2.5, 5.0, 2), 2.6)  # type: ignore[call-arg]
    top_size = rng.uniform(0.9, 1.6, 2)
    y = rng.uniform(0.0, place.depth / 2 - top_size[1] / 2 - 0.05)
    on_floor = rng.random() < 0.15
    b.at((0, y, 0))
    place.free(0, y, top_size[0] / 2, top_size[1] / 2)
    b.instance()
    if on_floor:
        b.background()
        level = 0.0
    else:
        level = rng.uniform(0.65, 0.8)
        b.add(shifted(box(*top_size, 0.04), (0, 0, level - 0.04)), _tabletop_cover(b))  # type: ignore[call-arg]
        for sx in (-0.45, 0.45):
            for sy in (-0.45, 0.45):
                b.add(
                    shifted(cylinder(0.03, level), (sx * top_size[0], sy * top_size[1], 0)),
                    timber(b),
                )
    _spread(b, y, level, top_size)
    for index in (0, 1, 3):
        if rng.random() < 0.6:
            furnish_wall(place, index)
    b.at()
    light = room_light(b, place)
    steep = rng.uniform(30, 82) if rng.random() < 0.45 else rng.uniform(4, 32)
    distance, pitch = rng.uniform(0.45, 1.4), np.radians(steep)
    target = np.array([rng.normal(0, 0.08), y + rng.normal(0, 0.08), level + rng.uniform(0, 0.12)])
    turn = rng.normal(0, 0.5)
    back = np.array([np.sin(turn) * np.cos(pitch), -np.cos(turn) * np.cos(pitch), np.sin(pitch)])
    eye = target + back * distance
    eye[2] = min(eye[2], place.height - 0.1)
    limit = np.array([place.width, place.depth]) / 2 - 0.1
    eye[:2] = np.clip(eye[:2], -limit, limit)
    camera = looking(eye, target, rng.normal(0, 0.08), field_of_view(rng, width, 38, 75))
    aperture = width * rng.uniform(0.002, 0.012) if rng.random() < 0.5 else 0.0
    return Setup(camera, light, aperture, distance)


def _tabletop_cover(b):
    """The top of a table: wood, cloth, stone or paint."""
    rng = b.rng
    kind = str(
        rng.choice(
            ["wood", "planks", "weave", "marble", "fabric", "plaster"],
            p=[0.35, 0.15, 0.15, 0.1, 0.1, 0.15],
        )
    )
    tint = (
        paint(rng, 0.3, 0.6) if kind in ("fabric", "plaster") else np.full(3, rng.uniform(0.5, 1))
    )
    return b.material(
        kind, tint, rng.uniform(0.3, 0.9), gloss=rng.choice([0, 0.03, 0.06]), power=60, grunge=0.1
    )


def _spread(b, y, level, size):
    """Things on the table at (0, y), none inside another, some on boxes or piles of others."""
    rng, placed = b.rng, []
    count = int(rng.integers(5, 15) if rng.random() < 0.5 else rng.integers(15, 45))
    tallest = rng.uniform(0.2, 0.45)
    for _ in range(count * 3):
        if len(placed) >= count:
            break
        high = rng.uniform(0.06, tallest)
        spot = np.clip(rng.normal(0, 0.22, 2), -0.45, 0.45) * size
        reach = 0.08 if high > 0.15 else 0.06
        if any(np.hypot(*(spot - other)) < reach + r for other, r in placed):
            continue
        placed.append((spot, reach))
        b.at((spot[0], y + spot[1], level), rng.uniform(0, 6.3))
        choice = rng.random()
        if choice < 0.015:
            b.instance()
            things.lamp(b, rng.uniform(0.3, 0.5))
        elif choice < 0.2:
            _pedestal(b, rng.uniform(0.05, 0.3), high)
        else:
            things.small_thing(b, high)
    if rng.random() < 0.25:
        b.instance()
        b.at((0, y + size[1] * 0.48, 0), rng.normal(0, 0.1))
        things.drape(b, rng.uniform(1.2, 2.4), level + rng.uniform(0.3, 1.0))
    b.at()


def _pedestal(b, height, above):
    """A box or block with something on it."""
    rng = b.rng
    b.instance()
    wide = rng.uniform(0.1, 0.22)
    stuff = b.material(
        str(rng.choice(["wood", "print", "fabric", "marble"])), paint(rng, 0.4, 0.8), 0.4
    )
    b.add(box(wide, wide * rng.uniform(0.7, 1.2), height), stuff)
    with b.inside((0, 0, height)):
        things.small_thing(b, above)
