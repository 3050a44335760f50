"""Synthetic rooms and table tops."""

import numpy as np

from utils import synthetic_furniture as furniture
from utils.synthetic_film import Lighting
from utils.synthetic_furniture import paint, timber
from utils.synthetic_mesh import box, cylinder, quad, shifted, stick
from utils.synthetic_outdoors import animal, person
from utils.synthetic_scenes import Setup, daylight, field_of_view, indoor_mirror, looking


class Room:
    """A rectangular room, its walls numbered 0..3: +y, +x, -y, -x; (0, 0, 0) is on the floor."""

    def __init__(self, b, width, depth, height):
        """Draw floor, ceiling and walls with windows, doors and pictures."""
        self.b, self.rng = b, b.rng
        self.width, self.depth, self.height = width, depth, height
        self.taken = []
        self.windows = []
        self._surfaces()

    def wall(self, index):
        """(middle of the wall on the floor, yaw of things standing at it, its length)."""
        half = self.depth / 2 if index % 2 == 0 else self.width / 2
        yaw = -np.pi / 2 * index
        out = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        return out * half, yaw, self.width if index % 2 == 0 else self.depth

    def planes(self):
        """Rows for Lighting.planes: every surface darkens the corners that it is part of."""
        rows = []
        for index in range(4):
            middle, yaw, _ = self.wall(index)
            normal = -middle / np.linalg.norm(middle)
            rows.append([*normal, np.linalg.norm(middle), 0.4, 0.35])
        rows.append([0, 0, 1, 0, 0.3, 0.25])
        rows.append([0, 0, -1, self.height, 0.45, 0.5])
        return np.array(rows)

    def _surfaces(self):
        """Floor, ceiling, four walls and skirting boards."""
        b, rng, w, d = self.b, self.rng, self.width, self.depth
        b.background()
        floor = rng.choice(["planks", "tiles", "fabric", "marble", "concrete"],
                           p=[0.5, 0.17, 0.18, 0.07, 0.08])
        tint = paint(rng, 0.25, 0.5) if floor == "fabric" else np.full(3, rng.uniform(0.5, 1.0))
        sheen = 0.0 if floor == "fabric" else rng.uniform(0.0, 0.07)
        ground = b.material(str(floor), tint, rng.uniform(0.8, 1.8), gloss=sheen, power=40,
                            grunge=0.12)
        b.add(quad((-w / 2, -d / 2, 0), (w, 0, 0), (0, d, 0)), ground)
        b.shadows(True, False)
        white = b.material("plaster", np.full(3, rng.uniform(0.65, 0.88)), 3.0, grunge=0.04)
        b.add(quad((-w / 2, -d / 2, self.height), (w, 0, 0), (0, d, 0)), white)
        kind = str(rng.choice(["plaster", "wallpaper", "brick", "planks", "tiles", "concrete"],
                              p=[0.66, 0.14, 0.07, 0.04, 0.05, 0.04]))
        tint = paint(rng, 0.2, 0.75) if kind == "plaster" else np.full(3, rng.uniform(0.55, 0.95))
        paper = b.material(kind, np.maximum(tint, 0.1), rng.uniform(0.8, 2.0), grunge=0.06)
        accent = b.material("plaster", paint(rng, 0.5, 0.5), 3.0, grunge=0.06)
        skirting = b.material(None, np.full(3, rng.uniform(0.3, 0.85)))
        for index in range(4):
            self._wall(index, accent if rng.random() < 0.12 else paper, skirting)
        b.shadows(True, True)

    def _wall(self, index, paper, skirting):
        """One wall; with a window its four parts around the hole, the frame and curtains."""
        b, rng = self.b, self.rng
        middle, yaw, length = self.wall(index)
        b.at(middle, yaw)
        h = self.height
        b.add(shifted(box(length, 0.02, 0.09), (0, -0.01, 0)), skirting)
        if rng.random() < 0.42:
            wide = min(rng.uniform(0.9, 2.4), length - 0.8)
            x = rng.uniform(-1, 1) * (length - wide - 0.5) / 2
            low, high = rng.choice([0.1, 0.85, 0.95]), rng.uniform(2.0, h - 0.25)
            left, right = x - wide / 2, x + wide / 2
            for x0, x1, z0, z1 in ((-length / 2, left, 0, h), (right, length / 2, 0, h),
                                   (left, right, 0, low), (left, right, high, h)):
                b.add(quad((x0, 0, z0), (x1 - x0, 0, 0), (0, 0, z1 - z0)), paper)
            self._window(left, right, low, high)
            self.windows.append(middle / np.linalg.norm(middle))
        else:
            b.add(quad((-length / 2, 0, 0), (length, 0, 0), (0, 0, h)), paper)
            if rng.random() < 0.3:
                self._door(rng.uniform(-0.35, 0.35) * length)
            elif rng.random() < 0.75:
                self._pictures(length)
        b.at()

    def _window(self, left, right, low, high):
        """Reveals, frame, bars, sill, curtains, and something bright to see outside."""
        b, rng = self.b, self.rng
        frame = b.material(None, np.full(3, rng.uniform(0.5, 0.85)), gloss=0.03)
        for x in (left, right, (left + right) / 2):
            b.add(shifted(box(0.05, 0.1, high - low), (x, 0.06, low)), frame)
        for z in (low, high - 0.05):
            b.add(shifted(box(right - left, 0.1, 0.05), ((left + right) / 2, 0.06, z)), frame)
        b.add(shifted(box(right - left + 0.1, 0.24, 0.03), ((left + right) / 2, -0.02, low - 0.03)),
              frame)
        b.shadows(False, False)
        view = b.material("foliage" if rng.random() < 0.6 else "facade", np.full(3, 1.0),
                          rng.uniform(3, 8), glow=rng.uniform(0.6, 1.6))
        b.add(quad((left - 6, 12, -2), (right - left + 12, 0, 0), (0, 0, rng.uniform(1, 6))), view)
        b.shadows(True, False)
        if rng.random() < 0.55:
            b.instance()
            for x, side in ((left, -1), (right, 1)):
                wide = rng.uniform(0.3, 0.6)
                with b.inside((x + side * wide * 0.2, -0.1, 0)):
                    furniture.curtain(b, wide, high + 0.15)
            b.add(stick((left - 0.4, -0.1, high + 0.15), (right + 0.4, -0.1, high + 0.15), 0.014, 6),
                  frame)
            b.background()

    def _door(self, x):
        """A closed door with a frame and a handle."""
        b = self.b
        leaf = timber(b)
        b.add(shifted(box(0.95, 0.08, 2.06), (x, 0, 0)), leaf)
        b.add(shifted(box(0.8, 0.1, 1.98), (x, 0, 0)), timber(b))
        for z in (0.25, 1.15):
            b.add(shifted(box(0.55, 0.12, 0.65), (x, 0, z)), leaf)
        b.add(shifted(box(0.12, 0.18, 0.02), (x + 0.32, -0.02, 1.03)), furniture.steel(b))

    def _pictures(self, length):
        """One to four framed pictures at eye height."""
        b, rng = self.b, self.rng
        count = int(rng.integers(1, 5))
        for x in np.linspace(-0.38, 0.38, count) * length if count > 1 else [0.0]:
            width, height = rng.uniform(0.2, 0.9, 2)
            b.instance()
            with b.inside((x + rng.normal(0, 0.1), -0.02, rng.uniform(1.45, 1.75))):
                furniture.picture(b, min(width, length / count * 0.8), height)
        b.background()

    def free(self, x, y, half_x, half_y):
        """Whether an axis-parallel rectangle is inside the room and free; if so it is taken."""
        if abs(x) + half_x > self.width / 2 or abs(y) + half_y > self.depth / 2:
            return False
        for a, c, p, q in self.taken:
            if abs(x - a) < half_x + p and abs(y - c) < half_y + q:
                return False
        self.taken.append((x, y, half_x, half_y))
        return True

    def at_wall(self, index, along, width, depth):
        """Place the builder's frame for a thing of this footprint at a wall; False if taken."""
        middle, yaw, length = self.wall(index)
        if abs(along) + width / 2 > length / 2:
            return False
        right = np.array([np.cos(yaw), np.sin(yaw), 0])
        out = middle / np.linalg.norm(middle)
        spot = middle - out * (depth / 2 + 0.03) + right * along
        halves = (width / 2, depth / 2) if index % 2 == 0 else (depth / 2, width / 2)
        if not self.free(spot[0], spot[1], *halves):
            return False
        self.b.at(spot, yaw)
        return True


def _clutter(b, width, depth, height, count):
    """Small things spread over a top of this size in the current frame."""
    rng = b.rng
    for _ in range(count):
        spot = rng.uniform(-0.42, 0.42, 2) * [width, depth]
        with b.inside((*spot, height), rng.uniform(0, 6.3)):
            furniture.small_thing(b, rng.uniform(0.08, 0.32))


def _furnish_wall(room, index):
    """Fill one wall with furniture from left to right."""
    b, rng = room.b, room.rng
    _, _, length = room.wall(index)
    x = -length / 2 + rng.uniform(0.05, 0.6)
    while x < length / 2 - 0.4:
        kind = rng.choice(["shelf", "cabinet", "sofa", "desk", "bed", "plant", "lamp", "chair", "gap"],
                          p=[0.2, 0.2, 0.13, 0.15, 0.06, 0.07, 0.05, 0.06, 0.08])
        width, depth = {
            "shelf": (rng.uniform(0.6, 1.6), rng.uniform(0.24, 0.36)),
            "cabinet": (rng.uniform(0.5, 2.0), rng.uniform(0.35, 0.62)),
            "sofa": (rng.choice([0.85, 1.6, 2.1]), 0.95), "desk": (rng.uniform(1.0, 1.7), 0.7),
            "bed": (rng.choice([0.95, 1.5]), 2.15), "plant": (0.5, 0.5), "lamp": (0.45, 0.45),
            "chair": (0.5, 0.5), "gap": (rng.uniform(0.2, 1.0), 0.1),
        }[kind]
        if kind != "gap" and room.at_wall(index, x + width / 2, width, depth):
            _stand(b, kind, width, depth)
        x += width + rng.uniform(0.02, 0.4)
    b.at()


def _stand(b, kind, width, depth):
    """Build one piece of furniture in the current frame."""
    rng = b.rng
    b.instance()
    if kind == "shelf":
        furniture.shelf(b, width, rng.uniform(0.8, 2.2), depth)
    elif kind == "cabinet":
        tall = rng.random() < 0.25
        top = furniture.cabinet(b, width, rng.uniform(1.6, 2.1) if tall else rng.uniform(0.45, 1.0),
                                depth)
        if not tall:
            _clutter(b, width, depth, top, int(rng.integers(1, 6)))
            if rng.random() < 0.3:
                b.instance()
                with b.inside((0, 0, top)):
                    furniture.screen(b, rng.uniform(0.6, 1.1))
    elif kind == "sofa":
        furniture.sofa(b, width)
        if rng.random() < 0.2:
            b.instance()
            person(b, rng.uniform(1.5, 1.85), "sit")
    elif kind == "desk":
        top = furniture.table(b, width, depth, rng.uniform(0.7, 0.78))
        _clutter(b, width, depth, top, int(rng.integers(2, 8)))
        b.instance()
        with b.inside((0, 0, top)):
            furniture.screen(b, rng.choice([0.34, 0.55]))
        b.instance()
        with b.inside((rng.normal(0, 0.1), -0.6, 0), np.pi + rng.normal(0, 0.4)):
            furniture.chair(b)
    elif kind == "bed":
        furniture.bed(b, width)
    elif kind == "plant":
        furniture.pot_plant(b, rng.uniform(0.6, 1.8))
    elif kind == "lamp":
        furniture.lamp(b, rng.uniform(1.2, 1.7))
    else:
        furniture.chair(b)


def _furnish_middle(room):
    """A rug, a table with chairs, people, pets and things on the floor."""
    b, rng = room.b, room.rng
    x, y = rng.uniform(-0.2, 0.2, 2) * [room.width, room.depth]
    if rng.random() < 0.5:
        b.background()
        b.at((x, y, 0.006), rng.normal(0, 0.1))
        size = rng.uniform(1.2, 2.6, 2)
        b.add(quad((-size[0] / 2, -size[1] / 2, 0), (size[0], 0, 0), (0, size[1], 0), False),
              b.material("rug", np.full(3, rng.uniform(0.5, 1.0))))
    width, depth = rng.uniform(0.7, 1.8), rng.uniform(0.6, 1.0)
    low = rng.random() < 0.35
    if rng.random() < 0.75 and room.free(x, y, width / 2 + 0.2, depth / 2 + 0.2):
        yaw = rng.normal(0, 0.15)
        b.at((x, y, 0), yaw)
        b.instance()
        top = furniture.table(b, width, depth, rng.uniform(0.35, 0.5) if low else rng.uniform(0.7, 0.78))
        _clutter(b, width, depth, top, int(rng.integers(1, 9)))
        for side in (-1, 1) if not low else ():
            for k in np.linspace(-0.3, 0.3, 2 if width > 1.2 else 1):
                if rng.random() < 0.8:
                    spot = (x + k * width, y + side * (depth / 2 + rng.uniform(0.0, 0.35)), 0)
                    b.at(spot, yaw + (0 if side > 0 else np.pi) + rng.normal(0, 0.3))
                    b.instance()
                    furniture.chair(b)
                    if rng.random() < 0.15:
                        b.instance()
                        person(b, rng.uniform(1.5, 1.85), "sit")
    for _ in range(int(rng.integers(0, 6))):
        spot = rng.uniform(-0.45, 0.45, 2) * [room.width, room.depth]
        if not room.free(*spot, 0.2, 0.2):
            continue
        b.at((*spot, 0), rng.uniform(0, 6.3))
        b.instance()
        choice = rng.random()
        if choice < 0.25:
            person(b, rng.uniform(1.1, 1.9), str(rng.choice(["stand", "walk"])))
        elif choice < 0.35:
            animal(b, rng.uniform(0.35, 0.7), str(rng.choice(["dog", "cat"])))
        elif choice < 0.6:
            furniture.carton(b, rng.uniform(0.25, 0.5))
        elif choice < 0.75:
            furniture.chair(b)
        else:
            furniture.toy(b, rng.uniform(0.15, 0.4))
    b.at()


def _room_light(b, room, sunny=0.6):
    """Soft light that leans to the windows, sun through them, ceiling lamps."""
    rng = b.rng
    inward = room.windows[rng.integers(len(room.windows))] if room.windows else np.array([0, 1.0, 0])
    sky, sun, _ = daylight(b, sunny, np.arctan2(inward[0], inward[1]) + rng.normal(0, 0.5))
    lamps = []
    for _ in range(int(rng.integers(1, 3)) if rng.random() < 0.75 or not room.windows else 0):
        spot = rng.uniform(-0.3, 0.3, 2) * [room.width, room.depth]
        drop = rng.uniform(0.15, 0.9)
        colour = np.array([1.0, rng.uniform(0.72, 0.95), rng.uniform(0.42, 0.85)])
        lamps.append(((*spot, room.height - drop - 0.15), (0, 0, -1), colour * rng.uniform(1, 3),
                      np.radians(150)))
        b.at((*spot, room.height))
        b.instance()
        b.shadows(False, False)
        furniture.pendant(b, drop)
        b.shadows()
    b.at()
    walls = paint(rng, 0.12, 0.6)
    grey = np.array([1.0, 0.97, 0.92]) * rng.uniform(0.5, 0.8)
    radius = np.hypot(room.width, room.depth) / 2
    return Lighting(sky, indoor_mirror(rng), ambient=rng.uniform(0.35, 0.8),
                     sun=sun * 2.0 if room.windows else 0.0,
                     sun_focus=((0, 0, 1), radius * 1.15), sun_soft=rng.uniform(0.7, 2.0),
                     lamps=lamps, bounce=0.45 * grey * walls, planes=room.planes(),
                     ambient_focus=((0, 0, 0.8), radius * 1.05),
                     tilt=0.7 * inward if room.windows else (0, 0, 0), ambient_colour=grey)


def room(b, width):
    """A living room, kitchen, bedroom, office or corridor."""
    rng = b.rng
    size = rng.uniform(2.6, 7.0), rng.uniform(3.0, 8.0), rng.uniform(2.3, 3.2)
    place = Room(b, *size)
    eye = np.array([rng.uniform(-0.36, 0.36) * size[0], -size[1] * rng.uniform(0.3, 0.46),
                    rng.uniform(0.9, 1.8)])
    place.free(eye[0], eye[1], 0.3, 0.1)
    place.taken.append((eye[0], eye[1] + 0.35, 0.45, 0.55))
    for index in rng.permutation(4):
        if rng.random() < 0.9:
            _furnish_wall(place, index)
    _furnish_middle(place)
    light = _room_light(b, place)
    aim = np.array([rng.uniform(-0.45, 0.45) * size[0], rng.uniform(0.1, 0.5) * size[1],
                    rng.uniform(0.2, 1.5)])
    camera = looking(eye, aim, rng.normal(0, 0.035), field_of_view(rng, width, 45, 85))
    return Setup(camera, light)


def tabletop(b, width):
    """A still life: things on a table, a desk or the floor, seen from near."""
    rng = b.rng
    place = Room(b, *rng.uniform(2.5, 5.0, 2), 2.6)
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
        b.add(shifted(box(*top_size, 0.04), (0, 0, level - 0.04)), _tabletop_cover(b))
        for sx in (-0.45, 0.45):
            for sy in (-0.45, 0.45):
                b.add(shifted(cylinder(0.03, level), (sx * top_size[0], sy * top_size[1], 0)),
                      timber(b))
    _spread(b, y, level, top_size)
    for index in (0, 1, 3):
        if rng.random() < 0.6:
            _furnish_wall(place, index)
    b.at()
    light = _room_light(b, place)
    distance, pitch = rng.uniform(0.45, 1.3), np.radians(rng.uniform(8, 80))
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
    kind = str(rng.choice(["wood", "planks", "weave", "marble", "fabric", "plaster"],
                          p=[0.35, 0.15, 0.15, 0.1, 0.1, 0.15]))
    tint = paint(rng, 0.3, 0.6) if kind in ("fabric", "plaster") else np.full(3, rng.uniform(0.5, 1))
    return b.material(kind, tint, rng.uniform(0.3, 0.9), gloss=rng.choice([0, 0.03, 0.06]), power=60,
                      grunge=0.1)


def _spread(b, y, level, size):
    """Things on the table at (0, y), none inside another."""
    rng, placed = b.rng, []
    count = int(rng.integers(4, 22))
    for _ in range(count * 3):
        if len(placed) >= count:
            break
        high = rng.uniform(0.06, 0.38)
        spot = np.clip(rng.normal(0, 0.22, 2), -0.45, 0.45) * size
        reach = 0.1 if high > 0.15 else 0.08
        if any(np.hypot(*(spot - other)) < reach + r for other, r in placed):
            continue
        placed.append((spot, reach))
        b.at((spot[0], y + spot[1], level), rng.uniform(0, 6.3))
        if rng.random() < 0.1:
            b.instance()
            furniture.lamp(b, rng.uniform(0.3, 0.5))
        else:
            furniture.small_thing(b, high)
    b.at()
