"""From a built scene to photographs: lights, cameras, and what a lens and a sensor do to light."""

import dataclasses
from collections.abc import Mapping
from typing import Self

import cv2
import numpy as np
from numpy.typing import ArrayLike

from kernels.jit import jit
from utils.synthetic.mesh import rotation
from utils.synthetic.raster import NEAR, Casters, project, rasterize
from utils.synthetic.shading import (
    CLOUD,
    GROUND,
    HORIZON,
    SKY_COLUMNS,
    SUN,
    SUN_COLOUR,
    ZENITH,
    Air,
    Frame,
    Lamps,
    SoftLight,
    Surfaces,
    gather_rays,
    plan_rays,
    shade,
)
from utils.synthetic.skin import measure_faces
from utils.synthetic.textures import Textures

SKY_DEPTH = 1000.0
"""Depth of the sky, metres; nothing lies farther."""

SUN_MAP = 512
AMBIENT_MAP = 128
AMBIENT_DIRECTIONS = 7


@dataclasses.dataclass
class Camera:
    """Where the photograph is taken: eye (3,), angles in radians (pitch > 0 looks up), focal_px."""

    eye: np.ndarray
    yaw: float
    pitch: float
    roll: float
    focal_px: float

    def rotation(self) -> np.ndarray:
        """(3, 3) from the world (z up) to the camera frame (x right, y down, z forward)."""
        axes = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
        turn = rotation(self.yaw) @ rotation(pitch=self.pitch) @ rotation(roll=self.roll)
        return axes @ turn.T


@dataclasses.dataclass
class Lighting:
    """What lights a scene.

    Attributes:
        sky: (19,) table of `shading`; also the colours of the soft light from above.
        mirror: (19,) table that shiny things reflect.
        ambient: strength of the soft light; sun: strength of the sun in `sky`.
        sun_focus: (centre (3,), radius) of the region in which the sun casts shadows.
        sun_soft, lamp_soft: radius of the penumbra in shadow-map texels.
        lamps: list of (position, direction, colour, fov in radians).
        bounce: (3,) light from below.
        planes: (P, 6) rows nx, ny, nz, d, strength, reach: walls that darken their corners.
        haze, haze_colour: density per metre and linear colour.
        ambient_focus: (centre, radius) of the region of soft shadows.
        tilt: (3,) towards where the soft light is stronger (a window), shorter than 1.
        ambient_colour: (3,) of the soft light where it is not that of the sky (indoors).
    """

    sky: np.ndarray
    mirror: np.ndarray
    ambient: float = 1.0
    sun: float = 0.0
    sun_focus: tuple = ((0, 0, 0), 10.0)
    sun_soft: float = 1.0
    lamp_soft: float = 4.0
    lamps: list = dataclasses.field(default_factory=list)
    bounce: np.ndarray = dataclasses.field(default_factory=lambda: np.full(3, 0.1))
    planes: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 6)))
    haze: float = 0.0
    haze_colour: np.ndarray = dataclasses.field(default_factory=lambda: np.full(3, 0.6))
    ambient_focus: tuple = ((0, 0, 0), 6.0)
    tilt: tuple = (0.0, 0.0, 0.0)
    ambient_colour: np.ndarray | None = None


def sky_table(
    ground: ArrayLike,
    horizon: ArrayLike,
    zenith: ArrayLike,
    sun: ArrayLike = (0, 0, 1),
    sun_colour: ArrayLike = (0, 0, 0),
    clouds: ArrayLike = (0, 0, 1, 0),
) -> np.ndarray:
    """The row that `shading` calls a sky; clouds: amount, texture, scale, shift."""
    table = np.zeros(SKY_COLUMNS)
    table[GROUND : GROUND + 3] = ground
    table[HORIZON : HORIZON + 3] = horizon
    table[ZENITH : ZENITH + 3] = zenith
    table[SUN : SUN + 3] = np.asarray(sun) / np.linalg.norm(sun)
    table[SUN_COLOUR : SUN_COLOUR + 3] = sun_colour
    table[CLOUD : CLOUD + 4] = clouds
    return table


def _orthographic(direction, centre, radius, size):
    """Light matrix of parallel light from `direction`, a square map of `size` around `centre`."""
    direction = np.asarray(direction, float) / np.linalg.norm(direction)
    helper = np.array([0, 1.0, 0]) if abs(direction[1]) < 0.9 else np.array([1.0, 0, 0])
    right = np.cross(helper, direction)
    right /= np.linalg.norm(right)
    up = np.cross(direction, right)
    matrix = np.zeros((4, 4))
    half = (size - 1) / 2
    for row, axis, factor, offset in (
        (0, right, half / radius, half),
        (1, up, half / radius, half),
        (3, direction, 1.0, 0.0),
    ):
        matrix[row, :3] = axis * factor
        matrix[row, 3] = offset - axis @ np.asarray(centre, float) * factor
    matrix[2, 3] = 1.0
    return matrix


def _perspective(position, direction, fov, size):
    """Light matrix of a lamp that throws a pyramid of light."""
    forward = np.asarray(direction, float) / np.linalg.norm(direction)
    helper = np.array([0, 1.0, 0]) if abs(forward[1]) < 0.9 else np.array([1.0, 0, 0])
    right = np.cross(helper, forward)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    half = (size - 1) / 2
    scale = half / np.tan(fov / 2)
    matrix = np.zeros((4, 4))
    for row, axis in (
        (0, right * scale + forward * half),
        (1, down * scale + forward * half),
        (2, forward),
    ):
        matrix[row, :3] = axis
        matrix[row, 3] = -axis @ np.asarray(position, float)
    matrix[3, 3] = 1.0
    return matrix


def _shadow_map(scene, atlas, matrix, size, casters):
    """Keys of the nearest shadow casters seen from a light, (size, size) float32."""
    keys = np.full((size, size), -1e30 if matrix[2, 3] == 1.0 else 0.0, np.float32)
    ids = np.empty((size, size), np.int32)
    seen = _casters(scene, scene[casters], atlas)
    rasterize(project(scene["points"], matrix), seen, 0.05, keys, ids)
    return keys


def _casters(scene, visible, atlas):
    return Casters(scene["faces"], visible, scene["cutout"], scene["uvs"], atlas)


def _ambient_lights(scene, atlas, lighting):
    """Directions, colours and small shadow maps of the soft light from above."""
    index = np.arange(AMBIENT_DIRECTIONS)
    height = (index + 0.6) / AMBIENT_DIRECTIONS
    angle = index * 2.39996
    flat = np.sqrt(1 - height**2)
    directions = np.stack([flat * np.cos(angle), flat * np.sin(angle), height], 1)
    part = np.sqrt(height)[:, None]
    sky = lighting.sky
    colours = sky[HORIZON : HORIZON + 3] * (1 - part) + sky[ZENITH : ZENITH + 3] * part
    if lighting.ambient_colour is not None:
        colours = np.broadcast_to(lighting.ambient_colour, colours.shape)
    else:
        # Much of the light in a shadow comes from lit walls and clouds, not from the blue sky.
        colours = 0.5 * colours + 0.5 * colours.mean(axis=1, keepdims=True)
    colours = colours * lighting.ambient * 2.0 / AMBIENT_DIRECTIONS
    colours = colours * (1 + directions @ np.asarray(lighting.tilt, float))[:, None]
    centre, radius = lighting.ambient_focus
    matrices = [_orthographic(d, centre, radius, AMBIENT_MAP) for d in directions]
    maps = [_shadow_map(scene, atlas, m, AMBIENT_MAP, "soft") for m in matrices]
    return SoftLight(
        directions,
        colours,
        np.stack(matrices),
        np.stack(maps),
        2.2 * radius / AMBIENT_MAP,
        np.asarray(lighting.bounce, float),
        np.asarray(lighting.planes, float),
    )


def _lamp_lights(scene, atlas, lighting):
    """Sources, colours and shadow maps of the sun and the lamps."""
    rows = []
    if lighting.sun > 0:
        direction = lighting.sky[SUN : SUN + 3]
        centre, radius = lighting.sun_focus
        matrix = _orthographic(direction, centre, radius, SUN_MAP)
        colour = lighting.sky[SUN_COLOUR : SUN_COLOUR + 3] * lighting.sun
        rows.append(
            ((*direction, 0, 0, 0, 0), colour, matrix, 3.0 * radius / SUN_MAP, lighting.sun_soft)
        )
    for position, direction, colour, fov in lighting.lamps:
        matrix = _perspective(position, direction, fov, SUN_MAP)
        axis = np.asarray(direction, float) / np.linalg.norm(direction)
        rows.append(((*position, 1.0, *axis), colour, matrix, 0.03, lighting.lamp_soft))
    if not rows:
        none = np.zeros(0)
        maps = np.zeros((0, 1, 1), np.float32)
        return Lamps(np.zeros((0, 7)), np.zeros((0, 3)), np.zeros((0, 4, 4)), maps, none, none)
    maps = np.stack([_shadow_map(scene, atlas, row[2], SUN_MAP, "hard") for row in rows])
    sources, colours, matrices, bias, soft = (
        np.array([row[i] for row in rows], float) for i in range(5)
    )
    return Lamps(sources, colours, matrices, maps, bias, soft)


class Studio:
    """A lit scene, ready to be photographed from anywhere."""

    def __init__(
        self, scene: Mapping[str, np.ndarray], textures: Textures, lighting: Lighting
    ) -> None:
        """Render the shadow maps of `scene` (arrays of Builder.finish) under `lighting`."""
        self.scene, self.atlas, self.lighting = scene, textures.atlas, lighting
        self._ambient = _ambient_lights(scene, self.atlas, lighting)
        self._lamps = _lamp_lights(scene, self.atlas, lighting)
        density, self._normals = measure_faces(scene["points"], scene["uvs"], scene["faces"])
        self._surfaces = Surfaces(
            scene["normals"],
            scene["uvs"],
            scene["faces"],
            density,
            scene["material"],
            scene["materials"],
            self.atlas,
        )
        self._casters = _casters(scene, np.ones(len(scene["faces"]), bool), self.atlas)

    def photograph(
        self, camera: Camera, size: tuple[int, int], shift: ArrayLike = (0.0, 0.0, 0.0)
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Render one view.

        One ray goes through the centre of a pixel; where something changes, four more through its
        corners smooth the colours. Depth and instances come from the centre ray alone.

        Args:
            camera: Camera.
            size: (height, width), px.
            shift: added to all points in the camera frame, metres.
        Returns:
            linear light (H, W, 3) float32, depth (H, W) float32 metres along z, instances (H, W)
            uint8.
        """
        height, width = size
        keys = np.zeros((2 * height + 1, 2 * width + 1), np.float32)
        ids = np.full(keys.shape, -1, np.int32)
        turn, shift = camera.rotation(), np.asarray(shift, float)
        focal = 2 * camera.focal_px
        lens = np.array([[focal, 0, width], [0, focal, height], [0, 0, 1.0]])
        matrix = np.zeros((4, 4))
        matrix[:3, :3] = lens @ turn
        matrix[:3, 3] = lens @ (shift - turn @ camera.eye)
        matrix[3, 3] = 1.0
        projected = project(self.scene["points"], matrix)
        rasterize(projected, self._casters, NEAR, keys, ids)
        # A buffer pixel (X, Y) is (X - 1) / 2, (Y - 1) / 2 in the picture: centres are odd.
        image = np.empty((*keys.shape, 3), np.float32)
        to_world = turn.T @ np.linalg.inv(lens)
        frame = Frame(projected, to_world, camera.eye - turn.T @ shift, focal)
        air = Air(
            self.lighting.sky,
            self.lighting.mirror,
            np.asarray(self.lighting.haze_colour, float),
            float(self.lighting.haze),
        )
        need = np.empty(keys.shape, np.uint8)
        plan_rays(keys, ids, self._normals, self.scene["material"], self.scene["instance"], need)
        rays = keys, ids, need
        shade(rays, frame, self._surfaces, self._ambient, self._lamps, air, image)
        picture = np.empty((height, width, 3), np.float32)
        gather_rays(image, need, picture)
        centre_keys, centre_ids = keys[1::2, 1::2], ids[1::2, 1::2]
        depth = np.minimum(1 / np.maximum(centre_keys, np.float32(1e-9)), np.float32(SKY_DEPTH))
        instances = np.where(centre_ids >= 0, self.scene["instance"][centre_ids], 0)
        return picture, depth, instances.astype(np.uint8)


@dataclasses.dataclass
class Development:
    """How the linear picture becomes bytes; one draw per scene, shared by its views."""

    exposure: float
    contrast: float
    balance: np.ndarray
    saturation: float
    vignette: float
    grain: float
    blur: float
    bloom: float
    aperture: float
    focus: float

    @classmethod
    def draw(cls, rng: np.random.Generator, aperture: float = 0.0, focus: float = 1.0) -> Self:
        """Draw one at random; aperture in metres * px as in `defocus`, focus in metres."""
        warm = rng.normal(0, 0.05)
        balance = np.array([1 + warm, 1 + rng.normal(0, 0.012), 1 - warm])
        grain = rng.uniform(0, 0.015) if rng.random() < 0.6 else 0.0
        blur = rng.uniform(0.3, 0.6) if rng.random() < 0.2 else 0.0
        return cls(
            0.11 * 2 ** np.clip(rng.normal(0, 0.45), -0.6, 0.9),
            rng.uniform(0.1, 1.0),
            balance,
            rng.uniform(0.8, 1.4),
            rng.uniform(0, 0.4),
            grain,
            blur,
            rng.uniform(0, 0.06),
            aperture,
            focus,
        )

    def expose(self, image: np.ndarray) -> float:
        """Scale for this linear picture: its bright middle tones come to the wished exposure."""
        grey = image.mean(axis=2) + 1e-3
        typical = 0.65 * np.exp(np.log(grey).mean()) + 0.2 * np.quantile(grey, 0.8)
        return self.exposure / typical

    def develop(
        self, image: np.ndarray, depth: np.ndarray, gain: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Bytes (H, W, 3) of a linear picture."""
        if self.aperture > 0:
            image = defocus(image, depth, self.aperture, self.focus)
        image = image + self.bloom * _veil(image)
        if self.blur > 0:
            image = cv2.GaussianBlur(image, (0, 0), self.blur)
        height, width = depth.shape
        y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        light = image * (gain * self.balance).astype(np.float32)
        light *= (1 - self.vignette * 0.5 * (x * x + y * y))[..., None].astype(np.float32)
        grey = light.mean(axis=2, keepdims=True)
        light = np.maximum(grey + (light - grey) * np.float32(self.saturation), 0)
        # A film curve: straight in the shadows, soft in the lights (Hable-like, by Narkowicz).
        shown = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
        shown = np.clip(shown, 0, 1) ** np.float32(1 / 2.2)
        shown += np.float32(self.contrast) * shown * (1 - shown) * (2 * shown - 1)
        if self.grain:
            shown = shown + rng.normal(0, self.grain, shown.shape).astype(np.float32)
        return np.round(np.clip(shown, 0, 1) * 255).astype(np.uint8)


def _veil(image):
    """The light that a lens scatters around bright places."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(width / 120, 0.5))
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


_DISC = np.array(
    [
        (r * np.cos(a), r * np.sin(a))
        for r, a in zip(np.sqrt((np.arange(40) + 0.5) / 40), np.arange(40) * 2.39996, strict=True)
    ]
)


@jit
def _gather(image, depth, radius, disc, out):
    """Average over a disc; a neighbour counts if its blur reaches here, at most ours if behind."""
    height, width = depth.shape
    largest = radius.max()
    for y in range(height):
        for x in range(width):
            weight = 1.0 / max(radius[y, x] * radius[y, x], 1.0)
            r, g, b = image[y, x, 0] * weight, image[y, x, 1] * weight, image[y, x, 2] * weight
            for i in range(disc.shape[0]):
                dx, dy = disc[i, 0] * largest, disc[i, 1] * largest
                u, v = int(round(x + dx)), int(round(y + dy))
                if u < 0 or v < 0 or u >= width or v >= height:
                    continue
                reach = radius[v, u]
                if depth[v, u] > depth[y, x]:
                    reach = min(reach, radius[y, x])
                if reach * reach < dx * dx + dy * dy or reach < 0.5:
                    continue
                share = 1.0 / max(reach * reach, 1.0)
                weight += share
                r += image[v, u, 0] * share
                g += image[v, u, 1] * share
                b += image[v, u, 2] * share
            out[y, x, 0], out[y, x, 1], out[y, x, 2] = r / weight, g / weight, b / weight


def defocus(image: np.ndarray, depth: np.ndarray, aperture: float, focus: float) -> np.ndarray:
    """Blur with radius aperture * |1 / depth - 1 / focus| px, at most 6.

    Args:
        image: (H, W, 3) float32 linear light.
        depth: (H, W) float32, metres.
        aperture: px * metres. focus: metres.
    Returns:
        (H, W, 3) float32.
    """
    radius = np.minimum(aperture * np.abs(1 / depth - np.float32(1 / focus)), 6.0)
    out = np.empty_like(image)
    _gather(image, depth, radius.astype(np.float32), _DISC, out)
    return out
