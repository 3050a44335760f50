"""Light on the synthetic scenes: textures, lamps with shadows, a sky that lights softly, haze.

A sample is shaded from its triangle: barycentric texture coordinates into a mip-mapped atlas, one
or more lamps looked up in shadow maps (softened by a percentage of taps), a dozen directions of sky
each with its own small shadow map (ambient occlusion and the soft shadow of a grey day at once),
light bounced from below, a mirror image of a simple surrounding, and haze that grows with distance.
Nothing depends on the view, so neighbouring views of a scene agree.
"""

import math

import numpy as np
from numba import njit

from utils.synthetic_raster import TEXTURE_LEVELS, TEXTURE_SIZE, _fetch

# Columns of the material table, (K, 14) float32.
TEXTURE, RED, GREEN, BLUE, CUTOUT, GLOSS, POWER, GLOW, THROUGH, GRUNGE, CONTRAST = range(11)
MATERIAL_COLUMNS = 11
# Columns of the sky table, (20,) float64: three colours bottom up, the sun, and clouds.
GROUND, HORIZON, ZENITH, SUN, SUN_COLOUR = 0, 3, 6, 9, 12
CLOUD, CLOUD_TEXTURE, CLOUD_SCALE, CLOUD_SHIFT = 15, 16, 17, 18
SKY_COLUMNS = 19


@njit(cache=True, nogil=True, inline="always")
def _texel(atlas, texture, level, u, v, channel):
    """Trilinear sample as linear light: textures are stored as square roots."""
    level = min(max(level, 0.0), TEXTURE_LEVELS - 1.0)
    low = int(level)
    part = level - low
    value = _fetch(atlas, texture, low, u, v, channel)
    if part > 0.0:
        value = value * (1 - part) + part * _fetch(
            atlas, texture, min(low + 1, TEXTURE_LEVELS - 1), u, v, channel
        )
    return value * value * (1.0 / 65025.0)


@njit(cache=True, nogil=True)
def sky_colour(sky, atlas, dx, dy, dz, out):
    """Write the linear colour of the sky in the unit direction (dx, dy, dz), z up, into out (3,)."""
    up = max(dz, 0.0)
    blend = math.sqrt(up)
    below = min(max(-dz * 6.0, 0.0), 1.0)
    cloud = 0.0
    if sky[CLOUD] > 0.0 and dz > 0.0:
        scale = sky[CLOUD_SCALE] / (dz + 0.12)
        u, v = dx * scale + sky[CLOUD_SHIFT], dy * scale
        texture = int(sky[CLOUD_TEXTURE])
        cloud = _fetch(atlas, texture, 1, u, v, 0) / 255.0
        cloud = min(max((cloud - 1.0 + sky[CLOUD]) * 3.0, 0.0), 1.0) * min(1.0, dz * 8.0)
    facing = max(dx * sky[SUN] + dy * sky[SUN + 1] + dz * sky[SUN + 2], 0.0)
    glow = 0.25 * facing**8 + 2.0 * facing**400
    for k in range(3):
        base = sky[HORIZON + k] * (1 - blend) + sky[ZENITH + k] * blend
        base += sky[SUN_COLOUR + k] * glow * (1 - 0.7 * cloud)
        white = 0.75 * sky[HORIZON + k] + 0.35 * sky[SUN_COLOUR + k] * (0.4 + 0.6 * facing)
        base = base * (1 - cloud) + white * cloud
        out[k] = base * (1 - below) + sky[GROUND + k] * below


@njit(cache=True, nogil=True, inline="always")
def _tap(depth_map, x, y, key, bias, perspective):
    """1 if the light reaches the key at map position (x, y), else 0; outside the map is lit."""
    size = depth_map.shape[0]
    column, row = int(math.floor(x + 0.5)), int(math.floor(y + 0.5))
    if column < 0 or row < 0 or column >= size or row >= size:
        return 1.0
    nearest = depth_map[row, column]
    if perspective:
        return 1.0 if nearest * (1.0 - bias) <= key else 0.0
    return 1.0 if nearest <= key + bias else 0.0


@njit(cache=True, nogil=True)
def _lit(depth_map, matrix, x, y, z, bias, soft, taps):
    """Share of taps x taps lookups, `soft` texels apart, that see the light from (x, y, z)."""
    w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
    if w <= 1e-3:
        return 0.0
    u = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]) / w
    v = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]) / w
    key = (matrix[3, 0] * x + matrix[3, 1] * y + matrix[3, 2] * z + matrix[3, 3]) / w
    perspective = matrix[3, 0] == 0.0 and matrix[3, 1] == 0.0 and matrix[3, 2] == 0.0
    total = 0.0
    middle = 0.5 * (taps - 1)
    for j in range(taps):
        for i in range(taps):
            total += _tap(
                depth_map,
                u + (i - middle) * soft,
                v + (j - middle) * soft,
                key,
                bias,
                perspective,
            )
    return total / (taps * taps)


@njit(cache=True, nogil=True)
def _ambient(lights, x, y, z, nx, ny, nz, floor, out):
    """Add the light of the sky directions, the bounce from below and the corners to out (3,)."""
    directions, colours, matrices, maps, bias, bounce, planes = lights
    px, py, pz = x + nx * bias, y + ny * bias, z + nz * bias
    for i in range(directions.shape[0]):
        facing = nx * directions[i, 0] + ny * directions[i, 1] + nz * directions[i, 2]
        if facing <= 0.0:
            continue
        seen = _lit(maps[i], matrices[i], px, py, pz, bias, 1.0, 2)
        for k in range(3):
            out[k] += colours[i, k] * facing * (floor + (1.0 - floor) * seen)
    corner = 1.0
    for i in range(planes.shape[0]):
        facing = nx * planes[i, 0] + ny * planes[i, 1] + nz * planes[i, 2]
        away = planes[i, 0] * x + planes[i, 1] * y + planes[i, 2] * z + planes[i, 3]
        if facing < 0.9:
            corner *= 1.0 - planes[i, 4] * (1.0 - max(facing, 0.0)) * math.exp(
                -max(away, 0.0) / planes[i, 5]
            )
    for k in range(3):
        out[k] = (out[k] + bounce[k] * (0.5 - 0.5 * nz)) * corner


@njit(cache=True, nogil=True)
def _lamps(lamps, x, y, z, nx, ny, nz, vx, vy, vz, through, power, out, shine):
    """Add what the lamps give to out (3,) as diffuse light and to shine (3,) as highlight."""
    sources, colours, matrices, maps, bias, soft = lamps
    for i in range(sources.shape[0]):
        lx, ly, lz = sources[i, 0], sources[i, 1], sources[i, 2]
        strength = 1.0
        if sources[i, 3] > 0.0:
            lx, ly, lz = lx - x, ly - y, lz - z
            square = lx * lx + ly * ly + lz * lz
            length = math.sqrt(square)
            lx, ly, lz = lx / length, ly / length, lz / length
            strength = 1.0 / (square + 0.15)
        facing = nx * lx + ny * ly + nz * lz
        diffuse = max(facing, 0.0) * (1 - through) + through * (0.35 + 0.3 * abs(facing))
        if diffuse <= 0.0:
            continue
        off = bias[i] * (1.0 if facing > 0 else -1.0)
        seen = _lit(maps[i], matrices[i], x + nx * off, y + ny * off, z + nz * off,
                    bias[i] * 0.6, soft[i], 3)
        if seen <= 0.0:
            continue
        hx, hy, hz = lx - vx, ly - vy, lz - vz
        half = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
        highlight = max((nx * hx + ny * hy + nz * hz) / half, 0.0) ** power * (power + 8) * 0.04
        for k in range(3):
            light = colours[i, k] * strength * seen
            out[k] += light * diffuse
            shine[k] += light * highlight * max(facing, 0.0)


@njit(cache=True, nogil=True)
def shade(keys, ids, frame, meshes, surfaces, lights, lamps, air, image):
    """Colour every sample of a buffer of hit triangles.

    Args:
        keys, ids: (H, W) of `rasterize`; ids < 0 is sky.
        frame: (projected (N, 4), matrix (3, 3) from the homogeneous pixel of a ray to its world
            direction with z component 1 in the camera, eye (3,), focal_px of the buffer).
        meshes: (points (N, 3), normals (N, 3), uvs (N, 2), faces (M, 3), density (M,)).
        surfaces: (material of each face (M,), materials (K, 11), atlas (T, bytes)).
        lights: sky directions (D, 3), colours, matrices (D, 4, 4), maps, bias, bounce (3,),
            corner planes (P, 6).
        lamps: sources (L, 4) direction or position, colours, matrices, maps, biases, softness.
        air: (sky (19,), mirrored surroundings (19,), haze colour (3,), haze per metre).
        image: (H, W, 3) float32, written: linear light.
    """
    projected, ray, eye, focal_px = frame
    points, normals, uvs, faces, density = meshes
    face_material, materials, atlas = surfaces
    sky, mirror, haze_colour, haze = air
    colour, diffuse, shine = np.empty(3), np.empty(3), np.empty(3)
    bary = np.empty(3)
    for row in range(keys.shape[0]):
        for column in range(keys.shape[1]):
            vx = ray[0, 0] * column + ray[0, 1] * row + ray[0, 2]
            vy = ray[1, 0] * column + ray[1, 1] * row + ray[1, 2]
            vz = ray[2, 0] * column + ray[2, 1] * row + ray[2, 2]
            slant = math.sqrt(vx * vx + vy * vy + vz * vz)
            vx, vy, vz = vx / slant, vy / slant, vz / slant
            face = ids[row, column]
            if face < 0:
                sky_colour(sky, atlas, vx, vy, vz, colour)
                for k in range(3):
                    image[row, column, k] = colour[k]
                continue
            depth = 1.0 / keys[row, column]
            away = depth * slant
            x, y, z = eye[0] + vx * away, eye[1] + vy * away, eye[2] + vz * away
            _barycentric(projected, faces, face, column, row, bary)
            nx, ny, nz, u, v = 0.0, 0.0, 0.0, 0.0, 0.0
            for k in range(3):
                vertex = faces[face, k]
                nx += bary[k] * normals[vertex, 0]
                ny += bary[k] * normals[vertex, 1]
                nz += bary[k] * normals[vertex, 2]
                u += bary[k] * uvs[vertex, 0]
                v += bary[k] * uvs[vertex, 1]
            length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            facing = (nx * vx + ny * vy + nz * vz) / length
            through = materials[face_material[face], THROUGH]
            if facing > 0.0 and through == 0.0:
                length, facing = -length, -facing
            nx, ny, nz = nx / length, ny / length, nz / length
            material = materials[face_material[face]]
            texture = int(material[TEXTURE])
            level = math.log2(
                density[face] * depth / focal_px * TEXTURE_SIZE / math.sqrt(max(-facing, 0.08))
                + 1e-6
            )
            diffuse[:] = 0.0
            shine[:] = 0.0
            _ambient(lights, x, y, z, nx, ny, nz, 0.12, diffuse)
            _lamps(lamps, x, y, z, nx, ny, nz, vx, vy, vz, through, material[POWER], diffuse, shine)
            gloss = material[GLOSS]
            if gloss > 0.0:
                gloss += (1.0 - gloss) * 0.7 * (1.0 - min(-facing, 1.0)) ** 5
                bounce = 2.0 * facing
                sky_colour(mirror, atlas, vx - bounce * nx, vy - bounce * ny, vz - bounce * nz,
                           colour)
            dirt = 1.0
            if material[GRUNGE] > 0.0:
                noise = _fetch(atlas, 0, 2, u * 0.137 + 0.3, v * 0.137 + 0.7, 0) / 255.0
                dirt = 1.0 + material[GRUNGE] * (noise - 0.5) * 2.0
            veil = 1.0 - math.exp(-haze * away)
            contrast = material[CONTRAST]
            for k in range(3):
                texel = _texel(atlas, texture, level, u, v, k) * contrast + (1.0 - contrast)
                albedo = texel * material[RED + k] * dirt
                light = albedo * (diffuse[k] + material[GLOW])
                if gloss > 0.0:
                    light = light * (1.0 - gloss) + gloss * (colour[k] + shine[k])
                image[row, column, k] = light * (1.0 - veil) + haze_colour[k] * veil


@njit(cache=True, nogil=True)
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
