"""Synthetic landscapes, and close-ups of all kinds where near is not always down."""

import numpy as np

from utils import synthetic_beings as beings
from utils import synthetic_furniture as furniture
from utils import synthetic_outdoors as outdoors
from utils import synthetic_plants as plants
from utils import synthetic_things as things
from utils.synthetic_film import Lighting
from utils.synthetic_furnishing import furnish_wall
from utils.synthetic_mesh import (
    box,
    bumpy,
    cylinder,
    ellipsoid,
    grid,
    leaf_cards,
    quad,
    shifted,
    tube,
    turned,
)
from utils.synthetic_room import Room, room_light
from utils.synthetic_setting import Relief, Setup, daylight, field_of_view, looking
from utils.synthetic_shading import HORIZON, SUN, SUN_COLOUR
from utils.synthetic_stuff import paint

_CUTOUTS = ("leaves", "needles", "tuft", "flowers", "lattice", "blinds")


def outdoor_light(b, centre, radius, ground=(0.2, 0.22, 0.12), sunny=0.7, haze=(-3.8, -2.3)):
    """Daylight over soft ground."""
    rng = b.rng
    sky, sun, haze_colour = daylight(b, sunny)
    light = sky[HORIZON : HORIZON + 3] * 0.6
    light = light + sky[SUN_COLOUR : SUN_COLOUR + 3] * sun * 0.5 * max(sky[SUN + 2], 0)
    return Lighting(
        sky,
        sky,
        ambient=rng.uniform(0.5, 0.9),
        sun=sun,
        sun_focus=(centre, radius),
        sun_soft=rng.uniform(0.5, 1.5),
        bounce=np.asarray(ground) * light,
        haze=10 ** rng.uniform(*haze),
        haze_colour=haze_colour,
        ambient_focus=(centre, radius * 0.8),
    )


class Terrain:
    """Hills that rise to mountains far away; flat near the camera at the origin."""

    def __init__(self, b):
        """Draw the ground and perhaps water."""
        rng = b.rng
        self._hills, self._far = Relief(rng, rng.uniform(14, 50), 4), Relief(rng, 320, 6, 0.55)
        self._steep = rng.uniform(0.1, 1.1)
        self._rise = rng.choice([0.0, rng.uniform(60, 260)])
        self._slope = rng.normal(0, 0.05, 2)
        angle = np.radians(np.linspace(-75, 75, 110))
        reach = np.concatenate([[0.0], 0.6 * 1.063 ** np.arange(120)])
        reach = reach[reach < 950]
        x, y = reach[:, None] * np.sin(angle), reach[:, None] * np.cos(angle) - 3
        points = np.stack([x, y, self.height(x, y)], -1)
        self.kind = str(rng.choice(["grass", "soil", "snow", "rock"], p=[0.58, 0.2, 0.1, 0.12]))
        near = b.material(
            self.kind, np.full(3, rng.uniform(0.5, 1.0)), rng.uniform(1.5, 4), grunge=0.4
        )
        far = b.material(
            str(rng.choice(["foliage", "rock", "grass", "snow"])),
            np.full(3, rng.uniform(0.5, 0.9)),
            rng.uniform(25, 60),
            grunge=0.4,
        )
        split = int(np.searchsorted(reach, 120))
        flat = np.stack([x, y], -1)
        b.background()
        b.add(grid(points[: split + 1], flat[: split + 1]), near)
        b.add(grid(points[split:], flat[split:]), far)
        self.water = None
        if rng.random() < 0.35:
            self.water = -rng.uniform(0.2, 1.2) * self._steep - 0.2
            tint = np.array([0.1, 0.16, 0.17]) * rng.uniform(0.5, 1.2)
            b.add(
                quad((-900, -10, self.water), (1800, 0, 0), (0, 900, 0)),
                b.material("water", tint, 6.0, gloss=0.1, power=100),
            )

    def height(self, x, y):
        """Ground level at x, y."""
        distance = np.hypot(x, y)
        level = (
            self._hills(x, y)
            * self._steep
            * np.minimum(distance / 12, 1.0)
            * (1 + np.minimum(distance / 60, 3.0))
        )
        ridge = np.clip((distance - 150) / 500, 0, 1) ** 1.3
        far = (self._far(x, y) * 0.6 + 0.75) * ridge * self._rise
        return level + far + self._slope[0] * x * 0.4 + self._slope[1] * y * 0.3

    def spot(self, rng, nearest, farthest, spread=0.6):
        """A random place on the ground, denser near the camera."""
        y = nearest * (farthest / nearest) ** rng.random()
        x = rng.uniform(-spread, spread) * y * 1.3
        return np.array([x, y, self.height(x, y).item()])


def _plants(b, land):
    """Trees near and far, bushes, rocks, tufts of grass."""
    rng = b.rng
    wooded = rng.choice([0, 6, 18, 34], p=[0.15, 0.35, 0.3, 0.2])
    style = rng.choice([plants.broadleaf, plants.conifer, None])
    for _ in range(wooded):
        place = land.spot(rng, 7, 160)
        if land.water is not None and place[2] < land.water:
            continue
        b.instance()
        b.at(place, rng.uniform(0, 6.3))
        detail = float(np.clip(14 / place[1], 0.25, 1.3))
        height = rng.uniform(4, 13)
        if style is None:
            plants.tree(b, height, detail)
        else:
            style(b, height, detail)
    for _ in range(int(rng.integers(0, 14))):
        b.instance()
        b.at(land.spot(rng, 2.5, 50), rng.uniform(0, 6.3))
        choice = rng.random()
        if choice < 0.5:
            plants.boulder(b, rng.uniform(0.2, 1.8))
        else:
            plants.bush(b, rng.uniform(0.5, 1.8))
    b.at()
    if land.kind in ("grass", "soil"):
        b.background()
        b.shadows(False, False)
        spots = np.array([land.spot(rng, 1.0, 22, 0.9) for _ in range(int(rng.integers(0, 400)))])
        if len(spots):
            sizes = rng.uniform(0.12, 0.5) * rng.uniform(0.6, 1.3, len(spots))
            plants.meadow(b, spots, sizes, tint=rng.uniform(0.5, 0.9))
        b.shadows()


def _beings(b, land):
    """People, animals, fences, a hut."""
    rng = b.rng
    herd = str(rng.choice(["cow", "sheep", "horse", "dog"]))
    length = {"cow": 2.0, "sheep": 1.0, "horse": 1.9, "dog": 0.8}[herd]
    for _ in range(int(rng.choice([0, 1, 2, 5]))):
        b.instance()
        b.at(land.spot(rng, 3.0, 30), rng.uniform(0, 6.3))
        beings.animal(b, length * rng.uniform(0.8, 1.1), herd)
    for _ in range(int(rng.choice([0, 0, 1, 2, 4]))):
        b.instance()
        b.at(land.spot(rng, 2.5, 30), rng.uniform(0, 6.3))
        beings.person(b, rng.uniform(1.2, 1.9), str(rng.choice(["stand", "walk"])))
    if rng.random() < 0.25:
        b.instance()
        place = land.spot(rng, 3, 12, 0.2)
        b.at(place, rng.normal(0, 0.6))
        outdoors.fence(b, 16, rng.uniform(0.9, 1.3))
    if rng.random() < 0.3:
        b.instance()
        b.at(land.spot(rng, 18, 70), rng.uniform(0, 6.3))
        outdoors.house(b, *rng.uniform(5, 10, 2), rng.uniform(3, 6))
    b.at()


def _near_branch(b, eye):
    """A leafy branch that hangs into the picture close to the camera."""
    rng = b.rng
    b.instance()
    side, y = rng.choice([-1, 1]), rng.uniform(0.7, 2.0)
    start = eye + [side * y * 1.2, y, rng.uniform(0.2, 0.9) * y]
    end = eye + [
        side * y * rng.uniform(-0.1, 0.4),
        y * rng.uniform(0.8, 1.3),
        rng.uniform(0, 0.5) * y,
    ]
    t = np.linspace(0, 1, 6)[:, None]
    path = start + (end - start) * t + rng.normal(0, 0.03 * y, (6, 3))
    b.add(tube(path, np.linspace(0.02, 0.005, 6) * y, 7), b.material("bark", tile=0.2))
    count = int(rng.integers(8, 26))
    centres = path[rng.integers(1, 6, count)] + rng.normal(0, 0.12 * y, (count, 3))
    normals = rng.normal(0, 0.5, (count, 3)) + [0, -0.3, 0.7]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    b.add(
        leaf_cards(rng, centres, normals, rng.uniform(0.16, 0.32) * y),
        b.material("leaves", np.full(3, rng.uniform(0.5, 1.0)), cutout=1, through=0.4),
    )


def landscape(b, width):
    """Meadows, woods, shores and mountains."""
    rng = b.rng
    land = Terrain(b)
    _plants(b, land)
    _beings(b, land)
    ground = land.height(0.0, 0.0).item()
    if land.water is not None:
        ground = max(ground, land.water)
    eye = np.array(
        [0, 0, ground + rng.choice([rng.uniform(0.4, 1.9), rng.uniform(2, 9)], p=[0.75, 0.25])]
    )
    if rng.random() < 0.3:
        _near_branch(b, eye)
    aim = eye + [rng.normal(0, 2), 10.0, rng.uniform(-3.5, 1.5)]
    light = outdoor_light(b, eye + [0, 12, 0], 22.0)
    camera = looking(eye, aim, rng.normal(0, 0.03), field_of_view(rng, width, 35, 80))
    return Setup(camera, light)


def closeup(b, width):
    """One of several kinds of picture in which near is not simply below far."""
    kinds = (portrait, wall_at_side, hanging, upwards, from_above, jumble)
    return kinds[b.rng.choice(6, p=(0.4, 0.14, 0.12, 0.1, 0.1, 0.14))](b, width)


def portrait(b, width):
    """A person, an animal, a bird or flowers close up before a blurred background."""
    rng = b.rng
    land = Terrain(b)
    _plants(b, land)
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


def wall_at_side(b, width):
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


def hanging(b, width):
    """Things that hang from above, near the camera, in a room seen partly from below."""
    rng = b.rng
    place = Room(b, *rng.uniform(3.5, 7.0, 2), rng.uniform(2.4, 3.6))
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


def upwards(b, width):
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


def from_above(b, width):
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
            furniture.table(b, *rng.uniform(0.7, 1.4, 2), 0.75)
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


def jumble(b, width):
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
            mesh = ellipsoid(*(size * rng.uniform(0.4, 1.2, 3)), 22, rng.uniform(0.3, 1.0))
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
