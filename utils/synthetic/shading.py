"""Light on the synthetic scenes: textures, lamps with shadows, a sky that lights softly, haze.

A ray is shaded from the triangle it hit: texture coordinates into a mip-mapped atlas, one or more
lamps looked up in shadow maps (softened by several taps), some directions of sky each with its own
small shadow map (ambient occlusion and the soft shadow of a grey day at once), light bounced from
below, a mirror image of simple surroundings, and haze that grows with distance. Nothing depends on
the view, so neighbouring views of a scene agree.
"""

import math
from typing import NamedTuple

import numpy as np

from kernels.jit import jit
from utils.synthetic.raster import TEXTURE_LEVELS, TEXTURE_SIZE, fetch, fetch_colour

# Columns of the material table, (K, 12) float32.
TEXTURE, RED, GREEN, BLUE, CUTOUT, GLOSS, POWER, GLOW, THROUGH, GRUNGE, CONTRAST, RELIEF = range(12)
MATERIAL_COLUMNS = 12
# Columns of the sky table, (19,) float64: three colours bottom up, the sun, and clouds.
GROUND, HORIZON, ZENITH, SUN, SUN_COLOUR = 0, 3, 6, 9, 12
CLOUD, CLOUD_TEXTURE, CLOUD_SCALE, CLOUD_SHIFT = 15, 16, 17, 18
SKY_COLUMNS = 19

SKIP, ONCE, FINE = 0, 1, 2
_TURNS = np.arange(11) * 2.39996
_DISC = (np.sqrt((np.arange(11) + 0.3) / 11) * np.stack([np.cos(_TURNS), np.sin(_TURNS)])).T.copy()
"""Where shadow maps are looked up around a point: a sunflower of radius 1, (11, 2)."""
_FAST = {"contract", "nsz", "arcp", "reassoc"}


class Frame(NamedTuple):
    """The camera of a buffer."""

    projected: np.ndarray  # (N, 6) of utils.synthetic.raster.project
    ray: np.ndarray  # (3, 3) from a pixel (x, y, 1) to its world direction, z 1 in the camera
    eye: np.ndarray  # (3,)
    focal_px: float


class Surfaces(NamedTuple):
    """What a ray may hit."""

    normals: np.ndarray  # (N, 3)
    uvs: np.ndarray  # (N, 2)
    faces: np.ndarray  # (M, 3)
    density: np.ndarray  # (M,) tiles per metre
    material: np.ndarray  # (M,), row of `materials`
    materials: np.ndarray  # (K, MATERIAL_COLUMNS)
    atlas: np.ndarray  # (T, bytes)


class SoftLight(NamedTuple):
    """Light from the sky, and what bounces from below."""

    directions: np.ndarray  # (D, 3)
    colours: np.ndarray  # (D, 3)
    matrices: np.ndarray  # (D, 4, 4), into shadow maps
    maps: np.ndarray  # (D, S, S)
    bias: float  # metres
    bounce: np.ndarray  # (3,)
    planes: np.ndarray  # (P, 6): those that make corners dark


class Lamps(NamedTuple):
    """The sun and the lamps."""

    sources: np.ndarray  # (L, 7) direction or position, its kind, the axis of its light
    colours: np.ndarray  # (L, 3)
    matrices: np.ndarray  # (L, 4, 4), into shadow maps
    maps: np.ndarray  # (L, S, S)
    bias: np.ndarray  # (L,) metres
    soft: np.ndarray  # (L,) texels


class Air(NamedTuple):
    """What is behind and between the surfaces."""

    sky: np.ndarray  # (SKY_COLUMNS,)
    mirror: np.ndarray  # likewise: the surroundings that glossy things show
    haze_colour: np.ndarray  # (3,)
    haze: float  # per metre


@jit(fastmath=_FAST)
def sky_colour(
    sky: np.ndarray, atlas: np.ndarray, dx: float, dy: float, dz: float, out: np.ndarray
) -> None:
    """Write the linear colour of the sky in a unit direction, z up, into out (3,)."""
    blend = math.sqrt(max(dz, 0.0))
    below = min(max(-dz * 6.0, 0.0), 1.0)
    cloud = 0.0
    if sky[CLOUD] > 0.0 and dz > 0.0:
        scale = sky[CLOUD_SCALE] / (dz + 0.12)
        u, v = dx * scale + sky[CLOUD_SHIFT], dy * scale
        cloud = fetch(atlas, int(sky[CLOUD_TEXTURE]), 1, u, v, 0) / 255.0
        cloud = min(max((cloud - 1.0 + sky[CLOUD]) * 3.0, 0.0), 1.0) * min(1.0, dz * 8.0)
    facing = dx * sky[SUN] + dy * sky[SUN + 1] + dz * sky[SUN + 2]
    facing = min(max(facing, 0.0), 1.0)
    glow = facing * facing
    glow *= glow
    glow = 0.25 * glow * glow
    if facing > 0.97:
        glow += 2.0 * facing**400.0
    for k in range(3):
        base = sky[HORIZON + k] * (1 - blend) + sky[ZENITH + k] * blend
        base += sky[SUN_COLOUR + k] * glow * (1 - 0.7 * cloud)
        white = 0.75 * sky[HORIZON + k] + 0.35 * sky[SUN_COLOUR + k] * (0.4 + 0.6 * facing)
        base = base * (1 - cloud) + white * cloud
        out[k] = base * (1 - below) + sky[GROUND + k] * below


@jit(fastmath=_FAST)
def _tap(depth_map, column, row, limit):
    """1 if nothing nearer to the light than the limit is at this texel; outside the map is lit."""
    size = depth_map.shape[0]
    if column < 0 or row < 0 or column >= size or row >= size:
        return 1.0
    return 1.0 if depth_map[row, column] <= limit else 0.0


@jit(fastmath=_FAST)
def _open(depth_map, matrix, x, y, z, bias):
    """Share of 2x2 texels that see the parallel light of `matrix` from (x, y, z)."""
    u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]
    v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]
    limit = matrix[3, 0] * x + matrix[3, 1] * y + matrix[3, 2] * z + matrix[3, 3] + bias
    size = depth_map.shape[0]
    if not (0.0 <= u < size - 1 and 0.0 <= v < size - 1):
        return 1.0
    column, row = int(u), int(v)
    fu, fv = u - column, v - row
    a = 1.0 if depth_map[row, column] <= limit else 0.0
    b = 1.0 if depth_map[row, column + 1] <= limit else 0.0
    c = 1.0 if depth_map[row + 1, column] <= limit else 0.0
    d = 1.0 if depth_map[row + 1, column + 1] <= limit else 0.0
    return (a * (1 - fu) + b * fu) * (1 - fv) + (c * (1 - fu) + d * fu) * fv


@jit(fastmath=_FAST)
def _lit(depth_map, matrix, x, y, z, bias, soft):
    """Share of lookups within `soft` texels that see the lamp of `matrix` from (x, y, z)."""
    w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
    if w <= 1e-3:
        return 1.0
    u = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]) / w + 0.5
    v = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]) / w + 0.5
    limit = (matrix[3, 0] * x + matrix[3, 1] * y + matrix[3, 2] * z + matrix[3, 3]) / w
    if matrix[2, 3] == 1.0 and matrix[2, 2] == 0.0:
        limit += bias
    else:
        limit *= 1.0 + bias
    total = 0.0
    for i in range(_DISC.shape[0]):
        column, row = u + _DISC[i, 0] * soft, v + _DISC[i, 1] * soft
        total += _tap(depth_map, int(math.floor(column)), int(math.floor(row)), limit)
    return total / _DISC.shape[0]


@jit(fastmath=_FAST)
def _ambient(lights, x, y, z, nx, ny, nz, out):
    """Write the light of the sky directions and the bounce from below, darker in corners."""
    directions, colours, matrices, maps, bias, bounce, planes = lights
    px, py, pz = x + nx * bias, y + ny * bias, z + nz * bias
    for k in range(3):
        out[k] = bounce[k] * (0.5 - 0.5 * nz)
    for i in range(directions.shape[0]):
        facing = nx * directions[i, 0] + ny * directions[i, 1] + nz * directions[i, 2]
        if facing > 0.0:
            facing *= 0.1 + 0.9 * _open(maps[i], matrices[i], px, py, pz, bias)
            for k in range(3):
                out[k] += colours[i, k] * facing
    corner = 1.0
    for i in range(planes.shape[0]):
        facing = nx * planes[i, 0] + ny * planes[i, 1] + nz * planes[i, 2]
        away = planes[i, 0] * x + planes[i, 1] * y + planes[i, 2] * z + planes[i, 3]
        away /= planes[i, 5]
        if facing < 0.9 and away < 4.0:
            # A cheap stand-in for exp(-away).
            near = max(1.0 - 0.25 * max(away, 0.0), 0.0)
            near *= near
            corner *= 1.0 - planes[i, 4] * (1.0 - max(facing, 0.0)) * near * near
    for k in range(3):
        out[k] *= corner


@jit(fastmath=_FAST)
def _add_lamps(lamps, point, normal, view, material, out, shine):
    """Add what the lamps give to out (3,) as diffuse light and to shine (3,) as highlight."""
    sources, colours, matrices, maps, bias, soft = lamps
    (x, y, z), (nx, ny, nz), (vx, vy, vz) = point, normal, view
    through, gloss, power = material[THROUGH], material[GLOSS], material[POWER]
    for i in range(sources.shape[0]):
        lx, ly, lz = sources[i, 0], sources[i, 1], sources[i, 2]
        strength = 1.0
        if sources[i, 3] > 0.0:
            lx, ly, lz = lx - x, ly - y, lz - z
            square = lx * lx + ly * ly + lz * lz
            inverse = 1.0 / math.sqrt(square)
            lx, ly, lz = lx * inverse, ly * inverse, lz * inverse
            # A shade throws most of the light along its axis, in column 4..6 of the source.
            axis = lx * sources[i, 4] + ly * sources[i, 5] + lz * sources[i, 6]
            axis = min(max(0.5 - 0.8 * axis, 0.0), 1.0)
            strength = (0.3 + 0.7 * axis * axis * (3 - 2 * axis)) / (square + 0.15)
        facing = nx * lx + ny * ly + nz * lz
        diffuse = max(facing, 0.0) * (1 - through) + through * (0.35 + 0.3 * abs(facing))
        if diffuse <= 0.0:
            continue
        off = bias[i] if facing > 0 else -bias[i]
        seen = _lit(
            maps[i], matrices[i], x + nx * off, y + ny * off, z + nz * off, bias[i] * 0.6, soft[i]
        )
        if seen <= 0.0:
            continue
        for k in range(3):
            out[k] += colours[i, k] * strength * seen * diffuse
        if gloss > 0.0 and facing > 0.0:
            hx, hy, hz = lx - vx, ly - vy, lz - vz
            half = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
            cosine = max((nx * hx + ny * hy + nz * hz) / half, 0.0)
            highlight = cosine**power * (power + 8) * 0.04 * facing * seen * strength
            for k in range(3):
                shine[k] += colours[i, k] * highlight


@jit(fastmath=_FAST)
def _bumped(atlas, material, level, u, v, normal):
    """The normal tilted as if the texture's brightness were height.

    The slopes are laid along arbitrary tangents: nobody sees in which direction a pore leans.
    """
    texture, strength = int(material[TEXTURE]), material[RELIEF]
    nx, ny, nz = normal
    step = 0.7 / (TEXTURE_SIZE >> level)
    here = fetch(atlas, texture, level, u, v, 1)
    across = strength * (fetch(atlas, texture, level, u + step, v, 1) - here) / 255.0
    along = strength * (fetch(atlas, texture, level, u, v + step, 1) - here) / 255.0
    if abs(nz) < 0.8:
        tx, ty, tz = ny, -nx, 0.0
    else:
        tx, ty, tz = 0.0, nz, -ny
    scale = 1.0 / math.sqrt(tx * tx + ty * ty + tz * tz)
    tx, ty, tz = tx * scale, ty * scale, tz * scale
    sx, sy, sz = ny * tz - nz * ty, nz * tx - nx * tz, nx * ty - ny * tx
    nx, ny, nz = (
        nx - across * tx - along * sx,
        ny - across * ty - along * sy,
        nz - across * tz - along * sz,
    )
    scale = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz)
    return nx * scale, ny * scale, nz * scale


@jit
def plan_rays(
    keys: np.ndarray,
    ids: np.ndarray,
    normals: np.ndarray,
    material: np.ndarray,
    instance: np.ndarray,
    need: np.ndarray,
) -> None:
    """Mark which rays must be shaded: one in smooth pixels, five where something changes.

    Args:
        keys, ids: (2H+1, 2W+1) of `rasterize`, pixel centres at odd places.
        normals: (M, 3) of the faces. material, instance: (M,).
        need: (2H+1, 2W+1) uint8, written: SKIP, ONCE for a whole pixel, FINE.
    """
    need[:] = SKIP
    for row in range(1, keys.shape[0], 2):
        for column in range(1, keys.shape[1], 2):
            centre, key = ids[row, column], keys[row, column]
            even = True
            for j in range(-1, 2):
                for i in range(-1, 2):
                    other = ids[row + j, column + i]
                    if other == centre:
                        continue
                    if other < 0 or centre < 0 or material[other] != material[centre]:
                        even = False
                    elif instance[other] != instance[centre]:
                        even = False
                    elif abs(keys[row + j, column + i] - key) > 0.03 * key:
                        even = False
                    elif (
                        normals[other, 0] * normals[centre, 0]
                        + normals[other, 1] * normals[centre, 1]
                        + normals[other, 2] * normals[centre, 2]
                    ) < 0.85:
                        even = False
            if even:
                need[row, column] = ONCE
            else:
                need[row, column] = FINE
                need[row - 1 : row + 2 : 2, column - 1 : column + 2 : 2] = FINE


@jit(fastmath=_FAST)
def gather_rays(image: np.ndarray, need: np.ndarray, picture: np.ndarray) -> None:
    """Average rays to pixels: the centre ray alone, or half of it and an eighth of each corner.

    Along rows and columns the latter is the tent 1 2 1 over half pixels.
    """
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            row, column = 2 * y + 1, 2 * x + 1
            for k in range(3):
                value = image[row, column, k]
                if need[row, column] == FINE:
                    upper = image[row - 1, column - 1, k] + image[row - 1, column + 1, k]
                    lower = image[row + 1, column - 1, k] + image[row + 1, column + 1, k]
                    value = np.float32(0.5) * value + np.float32(0.125) * (upper + lower)
                picture[y, x, k] = value


@jit(fastmath=_FAST)
def _barycentric(projected, faces, face, x, y, out):
    """Perspective-correct weights of the corners of `face` at the pixel (x, y), into out (3,)."""
    total = 0.0
    for i in range(3):
        a, b = faces[face, (i + 1) % 3], faces[face, (i + 2) % 3]
        ax, ay, aw = projected[a, 0], projected[a, 1], projected[a, 2]
        bx, by, bw = projected[b, 0], projected[b, 1], projected[b, 2]
        out[i] = (ay * bw - aw * by) * x + (aw * bx - ax * bw) * y + (ax * by - ay * bx)
        total += out[i]
    for i in range(3):
        out[i] /= total


@jit(fastmath=_FAST)
def _interpolated(surfaces, face, bary):
    """Normal (not of length 1) and texture coordinates where a ray hits a face."""
    nx, ny, nz, u, v = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(3):
        vertex = surfaces.faces[face, k]
        nx += bary[k] * surfaces.normals[vertex, 0]
        ny += bary[k] * surfaces.normals[vertex, 1]
        nz += bary[k] * surfaces.normals[vertex, 2]
        u += bary[k] * surfaces.uvs[vertex, 0]
        v += bary[k] * surfaces.uvs[vertex, 1]
    return nx, ny, nz, u, v


@jit(fastmath=_FAST)
def _meet(surfaces, face, bary, view, width):
    """How a ray `width` metres wide meets a face.

    Returns:
        normal towards the ray, its cosine with it (not above 0 where light does not go through),
        the level of its texture, and where in that, (u, v).
    """
    vx, vy, vz = view
    material = surfaces.materials[surfaces.material[face]]
    nx, ny, nz, u, v = _interpolated(surfaces, face, bary)
    length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
    facing = (nx * vx + ny * vy + nz * vz) / length
    if facing > 0.0 and material[THROUGH] == 0.0:
        length, facing = -length, -facing
    nx, ny, nz = nx / length, ny / length, nz / length
    footprint = surfaces.density[face] * width * (TEXTURE_SIZE * 1.2)
    level = math.log2(footprint / math.sqrt(max(-facing, 0.08)) + 1e-6)
    level = min(max(level, 0.0), TEXTURE_LEVELS - 1.0)
    if material[RELIEF] > 0.0 and level < 4.0:
        nx, ny, nz = _bumped(surfaces.atlas, material, int(level + 0.5), u, v, (nx, ny, nz))
        facing = min(nx * vx + ny * vy + nz * vz, 0.0)
    return (nx, ny, nz), facing, level, u, v


@jit(fastmath=_FAST)
def _paint(atlas, material, level, u, v, out):
    """Write the colour of a surface, its texture and its dirt into out (3,)."""
    contrast = material[CONTRAST]
    out[:] = 1.0
    if contrast > 0.0:
        fetch_colour(atlas, int(material[TEXTURE]), level, u, v, out)
    dirt = 1.0
    if material[GRUNGE] > 0.0:
        noise = fetch(atlas, 0, 2, u * 0.137 + 0.3, v * 0.137 + 0.7, 0) / 255.0
        dirt = 1.0 + material[GRUNGE] * (noise - 0.5) * 2.0
    for k in range(3):
        out[k] = (out[k] * contrast + (1.0 - contrast)) * material[RED + k] * dirt


@jit(fastmath=_FAST)
def shade(
    rays: tuple,
    frame: Frame,
    surfaces: Surfaces,
    soft: SoftLight,
    lamps: Lamps,
    air: Air,
    image: np.ndarray,
) -> None:
    """Colour the rays of a buffer that are needed.

    Args:
        rays: (keys, ids, need): (H, W) each, of `rasterize` (ids < 0 is sky) and `plan_rays`.
        image: (H, W, 3) float32, written: linear light.
    """
    keys, ids, need = rays
    ray, eye, atlas = frame.ray, frame.eye, surfaces.atlas
    colour, diffuse, shine = np.empty(3), np.empty(3), np.empty(3)
    bary, paint = np.empty(3), np.empty(3)
    for row in range(keys.shape[0]):
        for column in range(keys.shape[1]):
            if need[row, column] == SKIP:
                continue
            vx = ray[0, 0] * column + ray[0, 1] * row + ray[0, 2]
            vy = ray[1, 0] * column + ray[1, 1] * row + ray[1, 2]
            vz = ray[2, 0] * column + ray[2, 1] * row + ray[2, 2]
            slant = math.sqrt(vx * vx + vy * vy + vz * vz)
            vx, vy, vz = vx / slant, vy / slant, vz / slant
            face = ids[row, column]
            if face < 0:
                sky_colour(air.sky, atlas, vx, vy, vz, colour)
                for k in range(3):
                    image[row, column, k] = colour[k]
                continue
            depth = 1.0 / keys[row, column]
            away = depth * slant
            x, y, z = eye[0] + vx * away, eye[1] + vy * away, eye[2] + vz * away
            _barycentric(frame.projected, surfaces.faces, face, column, row, bary)
            material = surfaces.materials[surfaces.material[face]]
            width = depth / frame.focal_px * (0.5 if need[row, column] == FINE else 1.0)
            normal, facing, level, u, v = _meet(surfaces, face, bary, (vx, vy, vz), width)
            nx, ny, nz = normal
            shine[:] = 0.0
            _ambient(soft, x, y, z, nx, ny, nz, diffuse)
            _add_lamps(lamps, (x, y, z), normal, (vx, vy, vz), material, diffuse, shine)
            gloss = material[GLOSS]
            if gloss > 0.0:
                edge = 1.0 - min(-facing, 1.0)
                gloss += (1.0 - gloss) * 0.45 * edge * edge * edge * edge * edge
                bounce = 2.0 * facing
                mx, my, mz = vx - bounce * nx, vy - bounce * ny, vz - bounce * nz
                sky_colour(air.mirror, atlas, mx, my, mz, colour)
            _paint(atlas, material, level, u, v, paint)
            veil = 1.0 - math.exp(-air.haze * away)
            for k in range(3):
                light = paint[k] * (diffuse[k] + material[GLOW])
                if gloss > 0.0:
                    light = light * (1.0 - gloss) + gloss * (colour[k] + shine[k])
                image[row, column, k] = light * (1.0 - veil) + air.haze_colour[k] * veil
