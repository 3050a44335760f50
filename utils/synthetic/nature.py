"""Synthetic landscapes: hills, woods, water, people and animals in them."""

import numpy as np
from numpy.typing import ArrayLike

from utils.synthetic import beings, outdoors, plants
from utils.synthetic.film import Lighting
from utils.synthetic.mesh import (
    Builder,
    grid,
    leaf_cards,
    quad,
    tube,
)
from utils.synthetic.setting import Relief, Setup, daylight, field_of_view, looking
from utils.synthetic.shading import HORIZON, SUN, SUN_COLOUR


def outdoor_light(
    b: Builder,
    centre: ArrayLike,
    radius: float,
    ground: ArrayLike = (0.2, 0.22, 0.12),
    sunny: float = 0.7,
    haze: tuple[float, float] = (-3.8, -2.3),
) -> Lighting:
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

    def __init__(self, b: Builder) -> None:
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

    def height(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
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

    def spots(
        self,
        rng: np.random.Generator,
        count: int,
        nearest: float,
        farthest: float,
        spread: float = 0.6,
    ) -> np.ndarray:
        """Random places on the ground (count, 3), denser near the camera."""
        if count == 0:
            return np.empty((0, 3))
        y = nearest * (farthest / nearest) ** rng.random(count)
        x = rng.uniform(-spread, spread, count) * y * 1.3
        return np.stack([x, y, self.height(x, y).ravel()], 1)


def grow(b: Builder, land: Terrain) -> None:
    """Trees near and far, bushes, rocks, tufts of grass."""
    rng = b.rng
    wooded = rng.choice([0, 6, 18, 34], p=[0.15, 0.35, 0.3, 0.2])
    style = rng.choice([plants.broadleaf, plants.conifer, None])  # type: ignore[arg-type]
    for place in land.spots(rng, wooded, 7, 160):
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
    for place in land.spots(rng, int(rng.integers(0, 14)), 2.5, 50):
        b.instance()
        b.at(place, rng.uniform(0, 6.3))
        choice = rng.random()
        if choice < 0.5:
            plants.boulder(b, rng.uniform(0.2, 1.8))
        else:
            plants.bush(b, rng.uniform(0.5, 1.8))
    b.at()
    if land.kind in ("grass", "soil"):
        b.background()
        b.shadows(False, False)
        spots = land.spots(rng, int(rng.integers(0, 400)), 1.0, 22, 0.9)
        if len(spots):
            sizes = rng.uniform(0.12, 0.5) * rng.uniform(0.6, 1.3, len(spots))
            plants.meadow(b, spots, sizes, tint=rng.uniform(0.5, 0.9))
        b.shadows()


def _beings(b, land):
    """People, animals, fences, a hut."""
    rng = b.rng
    herd = str(rng.choice(["cow", "sheep", "horse", "dog"]))
    length = {"cow": 2.0, "sheep": 1.0, "horse": 1.9, "dog": 0.8}[herd]
    for place in land.spots(rng, int(rng.choice([0, 1, 2, 5])), 3.0, 30):
        b.instance()
        b.at(place, rng.uniform(0, 6.3))
        beings.animal(b, length * rng.uniform(0.8, 1.1), herd)
    for place in land.spots(rng, int(rng.choice([0, 0, 1, 2, 4])), 2.5, 30):
        b.instance()
        b.at(place, rng.uniform(0, 6.3))
        beings.person(b, rng.uniform(1.2, 1.9), str(rng.choice(["stand", "walk"])))
    if rng.random() < 0.25:
        b.instance()
        (place,) = land.spots(rng, 1, 3, 12, 0.2)
        b.at(place, rng.normal(0, 0.6))
        outdoors.fence(b, 16, rng.uniform(0.9, 1.3))
    if rng.random() < 0.3:
        b.instance()
        b.at(land.spots(rng, 1, 18, 70)[0], rng.uniform(0, 6.3))
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


def landscape(b: Builder, width: float) -> Setup:
    """Meadows, woods, shores and mountains."""
    rng = b.rng
    land = Terrain(b)
    grow(b, land)
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
