"""Rooms: walls with windows, doors and pictures; furniture along them; the light in them."""

from typing import Any

import numpy as np

from utils.synthetic import furniture, things
from utils.synthetic.film import Lighting
from utils.synthetic.mesh import Builder, box, cushion, quad, shifted, stick
from utils.synthetic.setting import daylight, indoor_mirror
from utils.synthetic.stuff import cloth, paint, steel, timber

_THICK = 0.2


class Room:
    """A rectangular room, its walls numbered 0..3: +y, +x, -y, -x; (0, 0, 0) is on the floor."""

    def __init__(self, b: Builder, width: float, depth: float, height: float) -> None:
        """Draw floor, ceiling and walls with windows, doors and pictures."""
        self.b, self.rng = b, b.rng
        self.width, self.depth, self.height = width, depth, height
        self.taken: list[tuple[float, float, float, float]] = []
        self.windows: list[Any] = []
        self._surfaces()

    def wall(self, index: int) -> tuple[np.ndarray, float, float]:
        """(middle of the wall on the floor, yaw of things standing at it, its length)."""
        half = self.depth / 2 if index % 2 == 0 else self.width / 2
        yaw = -np.pi / 2 * index
        out = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        return out * half, yaw, self.width if index % 2 == 0 else self.depth

    def planes(self) -> np.ndarray:
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
        floor = rng.choice(
            ["planks", "tiles", "fabric", "marble", "concrete"], p=[0.5, 0.17, 0.18, 0.07, 0.08]
        )
        tint = paint(rng, 0.25, 0.5) if floor == "fabric" else np.full(3, rng.uniform(0.5, 1.0))
        sheen = 0.0 if floor == "fabric" else rng.uniform(0.0, 0.07)
        ground = b.material(
            str(floor), tint, rng.uniform(0.8, 1.8), gloss=sheen, power=40, grunge=0.12
        )
        b.add(quad((-w / 2, -d / 2, 0), (w, 0, 0), (0, d, 0)), ground)
        white = b.material("plaster", np.full(3, rng.uniform(0.65, 0.88)), 3.0)
        b.shadows(False, False)
        b.add(quad((-w / 2, -d / 2, self.height), (w, 0, 0), (0, d, 0)), white)
        b.shadows(True, False)
        b.add(
            quad(
                (-w / 2 - _THICK, -d / 2 - _THICK, self.height + _THICK),
                (w + 2 * _THICK, 0, 0),
                (0, d + 2 * _THICK, 0),
            ),
            white,
        )
        kind = str(
            rng.choice(
                ["plaster", "wallpaper", "brick", "planks", "tiles", "concrete"],
                p=[0.66, 0.14, 0.07, 0.04, 0.05, 0.04],
            )
        )
        tint = paint(rng, 0.2, 0.75) if kind == "plaster" else np.full(3, rng.uniform(0.55, 0.95))
        faint = rng.uniform(0.25, 0.6) if kind in ("concrete", "wallpaper") else 1.0
        tint = np.maximum(tint, 0.1)
        paper = b.material(kind, tint, rng.uniform(0.8, 2.0), grunge=0.03, contrast=faint)
        accent = b.material("plaster", paint(rng, 0.5, 0.5), 3.0, grunge=0.03)
        skirting = b.material(None, np.full(3, rng.uniform(0.3, 0.85)))
        for index in range(4):
            self._wall(index, accent if rng.random() < 0.12 else paper, skirting)
        b.shadows(True, True)

    def _wall(self, index, paper, skirting):
        """One wall; with a window its four parts around the hole, the frame and curtains."""
        b, rng = self.b, self.rng
        middle, yaw, length = self.wall(index)
        b.at(middle, yaw)
        h, end = self.height, length / 2
        b.add(shifted(box(length, 0.02, 0.09), (0, -0.01, 0)), skirting)
        if rng.random() < 0.42:
            wide = min(rng.uniform(0.9, 2.4), length - 0.8)
            x = rng.uniform(-1, 1) * (length - wide - 0.5) / 2
            low, high = rng.choice([0.1, 0.85, 0.95]), rng.uniform(2.0, h - 0.25)
            left, right = x - wide / 2, x + wide / 2
            for x0, x1, z0, z1 in (
                (-end, left, 0, h),
                (right, end, 0, h),
                (left, right, 0, low),
                (left, right, high, h),
            ):
                self._panel(x0, x1, z0, z1, paper)
            self._window(left, right, low, high)
            self.windows.append(middle / np.linalg.norm(middle))
        else:
            self._panel(-end, end, 0, h, paper)
            if rng.random() < 0.3:
                self._door(rng.uniform(-0.35, 0.35) * length)
            elif rng.random() < 0.75:
                self._pictures(length)
            if rng.random() < 0.35:
                self._board(rng.uniform(-0.3, 0.3) * length, rng.uniform(0.5, 1.3))
        b.at()

    def _panel(self, left, right, low, high, paper):
        """A part of a wall, and behind it the outer face, which alone keeps the sun out.

        If the inner face cast the shadow, the tolerance of the shadow map would let a bright line
        through wherever two walls meet.
        """
        b = self.b
        wide, tall = (right - left, 0, 0), (0, 0, high - low)
        b.shadows(False, False)
        b.add(quad((left, 0, low), wide, tall), paper)
        b.shadows(True, False)
        grown = _THICK if low == 0 and high == self.height else 0.0
        b.add(
            quad(
                (left - grown, _THICK, low - 0.1 * (low == 0)),
                (right - left + 2 * grown, 0, 0),
                (0, 0, high - low + 0.1 + _THICK * (high == self.height)),
            ),
            paper,
        )

    def _window(self, left, right, low, high):
        """Reveals, frame, bars, sill, curtains, and something bright to see outside."""
        b, rng = self.b, self.rng
        frame = b.material(None, np.full(3, rng.uniform(0.5, 0.85)), gloss=0.03)
        b.shadows(False, False)
        for x, z, wide, tall in (
            (left, low, 0, high - low),
            (right, low, 0, high - low),
            (left, low, right - left, 0),
            (left, high, right - left, 0),
        ):
            b.add(quad((x, 0, z), (wide, 0, tall), (0, _THICK, 0)), frame)
        b.shadows(True, False)
        for x in (left, right, (left + right) / 2):
            b.add(shifted(box(0.05, 0.1, high - low), (x, 0.06, low)), frame)
        for z in (low, high - 0.05):
            b.add(shifted(box(right - left, 0.1, 0.05), ((left + right) / 2, 0.06, z)), frame)
        b.add(
            shifted(box(right - left + 0.1, 0.24, 0.03), ((left + right) / 2, -0.02, low - 0.03)),
            frame,
        )
        b.shadows(False, False)
        view = b.material(
            "foliage" if rng.random() < 0.6 else "facade",
            np.full(3, 1.0),
            rng.uniform(3, 8),
            glow=rng.uniform(0.8, 5.0),
        )
        b.add(quad((left - 6, 12, -2), (right - left + 12, 0, 0), (0, 0, rng.uniform(1, 6))), view)
        b.shadows(True, False)
        if rng.random() < 0.3:
            shut = rng.uniform(0.2, 1.0) * (high - low)
            b.shadows(True, False)
            slats = b.material("blinds", np.full(3, rng.uniform(0.5, 1)), cutout=1, through=0.5)
            b.add(quad((left, -0.02, high - shut), (right - left, 0, 0), (0, 0, shut)), slats)
        if rng.random() < 0.5:
            b.instance()
            for x, side in ((left, -1), (right, 1)):
                wide = rng.uniform(0.3, 0.6)
                with b.inside((x + side * wide * 0.2, -0.1, 0)):
                    things.drape(b, wide, high + 0.15)
            b.add(
                stick((left - 0.4, -0.1, high + 0.15), (right + 0.4, -0.1, high + 0.15), 0.014, 6),
                frame,
            )
            b.background()

    def _door(self, x):
        """A closed door with a frame and a handle."""
        b = self.b
        leaf = timber(b)
        b.add(shifted(box(0.95, 0.08, 2.06), (x, 0, 0)), leaf)
        b.add(shifted(box(0.8, 0.1, 1.98), (x, 0, 0)), timber(b))
        for z in (0.25, 1.15):
            b.add(shifted(box(0.55, 0.12, 0.65), (x, 0, z)), leaf)
        b.add(shifted(box(0.12, 0.18, 0.02), (x + 0.32, -0.02, 1.03)), steel(b))

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

    def _board(self, x, width):
        """A board on the wall with small things, coats below it now and then."""
        b, rng = self.b, self.rng
        b.instance()
        b.shadows()
        with b.inside((x, -0.13, rng.uniform(1.3, 1.75))):
            b.add(shifted(box(width, 0.24, 0.025), (0, 0, -0.025)), timber(b))
            for spot in np.arange(-width / 2 + 0.1, width / 2, rng.uniform(0.15, 0.35)):
                if rng.random() < 0.75:
                    with b.inside((spot, 0, 0), rng.normal(0, 0.3)):
                        things.small_thing(b, rng.uniform(0.1, 0.3))
            for spot in np.arange(-width / 2 + 0.15, width / 2, 0.3) if rng.random() < 0.3 else ():
                coat = cushion(0.28, 0.14, rng.uniform(0.5, 0.9), 0.6, 12)
                b.instance()
                b.add(shifted(coat, (spot, 0.02, -0.95)), cloth(b))
        b.background()
        b.shadows(True, False)

    def free(self, x: float, y: float, half_x: float, half_y: float) -> bool:
        """Whether an axis-parallel rectangle is inside the room and free; if so it is taken."""
        if abs(x) + half_x > self.width / 2 or abs(y) + half_y > self.depth / 2:
            return False
        for a, c, p, q in self.taken:
            if abs(x - a) < half_x + p and abs(y - c) < half_y + q:
                return False
        self.taken.append((x, y, half_x, half_y))
        return True

    def at_wall(self, index: int, along: float, width: float, depth: float) -> bool:
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


def room_light(b: Builder, room: Room, sunny: float = 0.6) -> Lighting:
    """Soft light that leans to the windows, sun through them, ceiling lamps."""
    rng = b.rng
    inward = (
        room.windows[rng.integers(len(room.windows))] if room.windows else np.array([0, 1.0, 0])
    )
    sky, sun, _ = daylight(b, sunny, np.arctan2(inward[0], inward[1]) + rng.normal(0, 0.5))
    lamps = []
    for _ in range(int(rng.integers(1, 3)) if rng.random() < 0.75 or not room.windows else 0):
        spot = rng.uniform(-0.3, 0.3, 2) * [room.width, room.depth]
        drop = rng.uniform(0.15, 0.9)
        colour = np.array([1.0, rng.uniform(0.72, 0.95), rng.uniform(0.42, 0.85)])
        lamps.append(
            (
                (*spot, room.height - drop - 0.15),
                (0, 0, -1),
                colour * rng.uniform(1, 3),
                np.radians(150),
            )
        )
        b.at((*spot, room.height))
        b.instance()
        b.shadows(False, False)
        furniture.pendant(b, drop)
        b.shadows()
    b.at()
    walls = paint(rng, 0.12, 0.6)
    grey = np.array([1.0, 0.97, 0.92]) * rng.uniform(0.5, 0.8)
    radius = np.linalg.norm([room.width, room.depth, room.height]) / 2 + 0.1
    centre = (0, 0, room.height / 2)
    return Lighting(
        sky,
        indoor_mirror(rng),
        ambient=rng.uniform(0.25, 0.75),
        sun=sun * 2.0 if room.windows else 0.0,
        sun_focus=(centre, radius),
        sun_soft=rng.uniform(1.0, 4.0),
        lamp_soft=rng.uniform(2.0, 9.0),
        lamps=lamps,
        bounce=0.7 * grey * walls,
        planes=room.planes(),
        ambient_focus=(centre, radius),
        tilt=tuple(0.7 * inward) if room.windows else (0, 0, 0),
        ambient_colour=grey,
    )
