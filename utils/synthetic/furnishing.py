"""Filling a room: furniture along its walls, a table, people and things in its middle."""

import numpy as np

from utils.synthetic import furniture, things
from utils.synthetic.beings import animal, person
from utils.synthetic.mesh import Builder, quad
from utils.synthetic.room import Room

_SHARES = {
    "shelf": 0.18,
    "cabinet": 0.18,
    "sofa": 0.12,
    "desk": 0.15,
    "kitchen": 0.09,
    "bed": 0.07,
    "plant": 0.06,
    "lamp": 0.05,
    "chair": 0.06,
    "gap": 0.04,
}
"""What stands along walls, and how often."""


def clutter(b: Builder, width: float, depth: float, height: float, count: int) -> None:
    """Small things spread over a top of this size in the current frame."""
    rng = b.rng
    for _ in range(count):
        spot = rng.uniform(-0.42, 0.42, 2) * [width, depth]
        with b.inside((*spot, height), rng.uniform(0, 6.3)):
            things.small_thing(b, rng.uniform(0.08, 0.32))


def furnish_wall(room: Room, index: int) -> None:
    """Fill one wall with furniture from left to right."""
    b, rng = room.b, room.rng
    _, _, length = room.wall(index)
    x = -length / 2 + rng.uniform(0.05, 0.6)
    while x < length / 2 - 0.4:
        kind = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
        width, depth = _footprint(rng, kind)
        if kind != "gap" and room.at_wall(index, x + width / 2, width, depth):
            b.instance()
            _STANDING[kind](b, width, depth)
        x += width + rng.uniform(0.02, 0.4)
    b.at()


def _footprint(rng, kind):
    """Width along the wall and depth of a piece of furniture, metres."""
    return {
        "shelf": (rng.uniform(0.6, 1.6), rng.uniform(0.24, 0.36)),
        "cabinet": (rng.uniform(0.5, 2.0), rng.uniform(0.35, 0.62)),
        "sofa": (rng.choice([0.85, 1.6, 2.1]), 0.95),
        "desk": (rng.uniform(1.0, 1.7), 0.7),
        "kitchen": (rng.uniform(1.2, 3.0), 0.64),
        "bed": (rng.choice([0.95, 1.5]), 2.15),
        "plant": (0.5, 0.5),
        "lamp": (0.45, 0.45),
        "chair": (0.5, 0.5),
        "gap": (rng.uniform(0.2, 1.0), 0.1),
    }[kind]


def _shelf(b, width, depth):
    """A bookcase, low or high."""
    furniture.shelf(b, width, b.rng.uniform(0.8, 2.2), depth)


def _cabinet(b, width, depth):
    """A wardrobe, or a chest with things on it, perhaps a television."""
    rng = b.rng
    if rng.random() < 0.25:
        furniture.cabinet(b, width, rng.uniform(1.6, 2.1), depth)
        return
    top = furniture.cabinet(b, width, rng.uniform(0.45, 1.0), depth)
    clutter(b, width, depth, top, int(rng.integers(1, 8)))
    if rng.random() < 0.3:
        b.instance()
        with b.inside((0, 0, top)):
            things.screen(b, rng.uniform(0.6, 1.1))


def _sofa(b, width, depth):
    """A sofa, now and then with somebody on it."""
    furniture.sofa(b, width)
    if b.rng.random() < 0.2:
        b.instance()
        person(b, b.rng.uniform(1.5, 1.85), "sit")


def _desk(b, width, depth):
    """A desk with a screen, things and a chair."""
    rng = b.rng
    top = furniture.table(b, width, depth, rng.uniform(0.7, 0.78))
    clutter(b, width, depth, top, int(rng.integers(2, 12)))
    b.instance()
    with b.inside((0, 0, top)):
        things.screen(b, rng.choice([0.34, 0.55]))
    b.instance()
    with b.inside((rng.normal(0, 0.1), -0.6, 0), np.pi + rng.normal(0, 0.4)):
        furniture.chair(b)


def _kitchen(b, width, depth):
    """A kitchen counter full of things."""
    top = furniture.kitchen(b, width, depth)
    clutter(b, width, depth * 0.8, top, int(b.rng.integers(4, 14)))


def _chair(b, width, depth):
    """A chair, perhaps with clothes or boxes on it."""
    furniture.chair(b)
    if b.rng.random() < 0.3:
        clutter(b, 0.2, 0.2, 0.5, 1)


_STANDING = {
    "shelf": _shelf,
    "cabinet": _cabinet,
    "sofa": _sofa,
    "desk": _desk,
    "kitchen": _kitchen,
    "bed": lambda b, width, depth: furniture.bed(b, width),
    "plant": lambda b, width, depth: things.pot_plant(b, b.rng.uniform(0.6, 1.8)),
    "lamp": lambda b, width, depth: things.lamp(b, b.rng.uniform(1.2, 1.7)),
    "chair": _chair,
}


def furnish_middle(room: Room) -> None:
    """A rug, a table with chairs, people, pets and things on the floor."""
    b, rng = room.b, room.rng
    x, y = rng.uniform(-0.2, 0.2, 2) * [room.width, room.depth]
    if rng.random() < 0.5:
        _rug(b, x, y)
    width, depth = rng.uniform(0.7, 1.8), rng.uniform(0.6, 1.0)
    if rng.random() < 0.75 and room.free(x, y, width / 2 + 0.2, depth / 2 + 0.2):
        _table(b, x, y, width, depth)
    for _ in range(int(rng.integers(2, 16))):
        spot = rng.uniform(-0.45, 0.45, 2) * [room.width, room.depth]
        if room.free(*spot, 0.2, 0.2):  # type: ignore[call-arg]
            b.at((*spot, 0), rng.uniform(0, 6.3))
            b.instance()
            _on_floor(b)
    b.at()


def _rug(b, x, y):
    """A rug a finger above the floor."""
    rng = b.rng
    b.background()
    b.at((x, y, 0.006), rng.normal(0, 0.1))
    width, depth = rng.uniform(1.2, 2.6, 2)
    mesh = quad((-width / 2, -depth / 2, 0), (width, 0, 0), (0, depth, 0), False)
    b.add(mesh, b.material("rug", np.full(3, rng.uniform(0.5, 1.0))))


def _table(b, x, y, width, depth):
    """A dining table with chairs and people, or a low table."""
    rng, yaw = b.rng, b.rng.normal(0, 0.15)
    b.at((x, y, 0), yaw)
    b.instance()
    low = rng.random() < 0.35
    height = rng.uniform(0.35, 0.5) if low else rng.uniform(0.7, 0.78)
    clutter(b, width, depth, furniture.table(b, width, depth, height), int(rng.integers(1, 12)))
    for side in (-1, 1) if not low else ():
        for k in np.linspace(-0.3, 0.3, 2 if width > 1.2 else 1):
            if rng.random() > 0.8:
                continue
            spot = (x + k * width, y + side * (depth / 2 + rng.uniform(0.0, 0.35)), 0)
            b.at(spot, yaw + (0 if side > 0 else np.pi) + rng.normal(0, 0.3))
            b.instance()
            furniture.chair(b)
            if rng.random() < 0.15:
                b.instance()
                person(b, rng.uniform(1.5, 1.85), "sit")


def _on_floor(b):
    """One of the things that stand or lie about."""
    rng, choice = b.rng, b.rng.random()
    if choice < 0.14:
        person(b, rng.uniform(1.1, 1.9), str(rng.choice(["stand", "walk"])))
    elif choice < 0.2:
        animal(b, rng.uniform(0.35, 0.7), str(rng.choice(["dog", "cat"])))
    elif choice < 0.4:
        things.carton(b, rng.uniform(0.2, 0.5))
    elif choice < 0.52:
        _chair(b, 0.5, 0.5)
    elif choice < 0.6:
        furniture.sofa(b, 0.85)
    elif choice < 0.68:
        things.pot_plant(b, rng.uniform(0.4, 1.3))
    elif choice < 0.76:
        things.basket(b, rng.uniform(0.12, 0.28))
    elif choice < 0.88:
        things.stack(b, rng.uniform(0.25, 0.4))
    else:
        things.toy(b, rng.uniform(0.15, 0.4))
