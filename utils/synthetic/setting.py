"""How a synthetic scene is lit and photographed: daylight, cameras, the lie of the land."""

import dataclasses

import cv2
import numpy as np
from numpy.typing import ArrayLike

from utils.synthetic.film import Camera, Lighting, sky_table
from utils.synthetic.mesh import Builder
from utils.synthetic.stuff import paint


@dataclasses.dataclass
class Setup:
    """A camera and light for a built scene; aperture 0 keeps everything sharp."""

    camera: Camera
    lighting: Lighting
    aperture: float = 0.0
    focus: float = 1.0


def field_of_view(
    rng: np.random.Generator, width: float, low: float = 35.0, high: float = 85.0
) -> float:
    """A random focal length in px for a horizontal field of view in degrees."""
    return width / 2 / np.tan(np.radians(rng.uniform(low, high)) / 2)


def looking(eye: ArrayLike, target: ArrayLike, roll: float, focal_px: float) -> Camera:
    """A camera at `eye` that looks at `target`."""
    x, y, z = np.asarray(target, float) - eye
    return Camera(
        np.asarray(eye, float), -np.arctan2(x, y), np.arctan2(z, np.hypot(x, y)), roll, focal_px
    )


class Relief:
    """Smooth random heights: octaves of bicubic value noise, mean about 0, spread about 1."""

    def __init__(
        self, rng: np.random.Generator, scale: float, octaves: int = 5, gain: float = 0.5
    ) -> None:
        """scale: metres between the humps of the first octave."""
        self._grids = [rng.normal(0, 1, (64, 64)).astype(np.float32) for _ in range(octaves)]
        self._scale, self._gain = scale, gain

    def __call__(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Height at x, y (any equal shapes)."""
        x, y = np.atleast_2d(x).astype(np.float32), np.atleast_2d(y).astype(np.float32)
        total, weight, scale = np.zeros(x.shape, np.float32), 1.0, self._scale
        for grid in self._grids:
            u, v = (x / scale) % 64, (y / scale) % 64
            total = total + weight * cv2.remap(
                grid, u, v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP
            )
            weight, scale = weight * self._gain, scale * 0.5
        return total


def daylight(
    b: Builder, sunny: float = 0.65, sun_turn: float | None = None
) -> tuple[np.ndarray, float, np.ndarray]:
    """A daytime sky: (sky table, sun strength, haze colour); colours from noon to evening."""
    rng = b.rng
    height = np.radians(rng.uniform(8, 70))
    turn = rng.uniform(0, 2 * np.pi) if sun_turn is None else sun_turn
    sun = (np.cos(height) * np.sin(turn), np.cos(height) * np.cos(turn), np.sin(height))
    low = np.exp(-height / 0.25)
    clouds: tuple[float, ...] = (0, 0, 1, 0)
    if rng.random() < 0.7:
        clouds = (
            rng.uniform(0.3, 0.8),
            b.textures.pick(rng, "cloud"),
            rng.uniform(0.05, 0.16),
            rng.uniform(0, 1),
        )
    if rng.random() < sunny:
        zenith = np.array([0.12, 0.26, 0.62]) * rng.uniform(0.6, 1.2)
        horizon = np.array([0.62, 0.74, 0.9]) * (1 - low) + np.array([1.0, 0.66, 0.42]) * low
        colour = np.array([1.0, 0.93, 0.82]) * (1 - low) + np.array([1.0, 0.55, 0.25]) * low
        strength = rng.uniform(1.6, 3.2)
    else:
        grey = rng.uniform(0.6, 1.0)
        zenith, horizon = grey * np.array([0.66, 0.72, 0.8]), grey * np.array([0.85, 0.87, 0.9])
        colour, strength = np.array([1.0, 0.97, 0.93]), rng.uniform(0, 0.4)
        clouds = (rng.uniform(0.5, 1.0), b.textures.pick(rng, "cloud"), 0.1, rng.uniform(0, 1))
    haze = horizon * rng.uniform(0.75, 1.0)
    sky = sky_table(horizon * 0.5, horizon, zenith, sun, colour * min(strength, 1.0), clouds)
    return sky, strength / max(min(strength, 1.0), 1e-3), haze


def indoor_mirror(rng: np.random.Generator) -> np.ndarray:
    """What shiny things indoors reflect: dark floor, lit walls, bright ceiling."""
    warm = paint(rng, 0.2, 0.5)
    return sky_table(warm * 0.3, warm * 0.8, np.full(3, rng.uniform(0.5, 1.4)))
