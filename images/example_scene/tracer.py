"""Path tracer: sunlight, skylight, lamplight and haze along random walks (Kajiya 1986)."""

import math
from typing import NamedTuple

import numpy as np

from .bvh import Tree, intersect
from .materials import (
    LAMPLIGHT,
    MOUNTAIN,
    NEEDLE,
    WINDOW,
    WINDOW_COLOUR,
    has_relief,
    relief,
    surface,
)
from .maths import add, cross, dot, fbm3, jit, mul, scale, smoothstep, sub, uniform, unit
from .sky import SUN, haze, look_up, sunlight

WATER = -2
BOUNCES = 4
CLAMP = 12.0  # brightest sample, so that rare bright paths leave no white specks
FAR = 1e6


class Scene(NamedTuple):
    """All that light can meet; triangle arrays (F, 3, 3) in the order of the tree."""

    tree: Tree
    normals: np.ndarray
    texture: np.ndarray
    labels: np.ndarray  # (F, 2): material, tint
    dome: np.ndarray
    lamp: np.ndarray  # (3,): position of the lantern's flame


@jit
def _basis(n):
    """Two directions across a unit vector (Duff et al. 2017)."""
    sign = math.copysign(1.0, n[2])
    a = -1.0 / (sign + n[2])
    b = n[0] * n[1] * a
    return (1.0 + sign * n[0] * n[0] * a, sign * b, -sign * n[0]), (
        b,
        sign + n[1] * n[1] * a,
        -n[1],
    )


@jit
def _around(axis, radius, state):
    """Random direction near `axis`: a point of the disc of `radius` at distance one."""
    s, t = _basis(axis)
    r, angle = radius * math.sqrt(uniform(state)), 2 * math.pi * uniform(state)
    return unit(add(axis, add(scale(s, r * math.cos(angle)), scale(t, r * math.sin(angle)))))


@jit
def _cosine(axis, state):
    """Random direction over the half space of `axis`, dense where light counts most."""
    s, t = _basis(axis)
    u, angle = uniform(state), 2 * math.pi * uniform(state)
    r, height = math.sqrt(u), math.sqrt(1.0 - u)
    flat = add(scale(s, r * math.cos(angle)), scale(t, r * math.sin(angle)))
    return add(flat, scale(axis, height))


@jit
def _corner(array, i, k):
    return array[i, k, 0], array[i, k, 1], array[i, k, 2]


@jit
def _blend(array, i, u, v):
    a, b, c = _corner(array, i, 0), _corner(array, i, 1), _corner(array, i, 2)
    return add(scale(a, 1.0 - u - v), add(scale(b, u), scale(c, v)))


@jit
def nearest(scene, origin, direction):
    """First surface along a ray: (distance, triangle, u, v); triangle is WATER or -1 for none."""
    limit = FAR
    if direction[1] < -1e-9:
        limit = -origin[1] / direction[1]
        limit = limit if limit > 1e-4 else FAR
    t, i, u, v = intersect(scene.tree, origin, direction, limit, False)
    if i < 0 and limit < FAR:
        i = WATER
    return t, i, u, v


@jit
def _bumped(scene, i, material, texture, normal):
    """Shading normal tilted by the slope of the material's relief (Mikkelsen 2010)."""
    e1, e2 = _corner(scene.tree.corners, i, 1), _corner(scene.tree.corners, i, 2)
    a, b, c = (
        _corner(scene.texture, i, 0),
        _corner(scene.texture, i, 1),
        _corner(scene.texture, i, 2),
    )
    step = 2.0 if material == MOUNTAIN else 0.002
    s1 = step / math.sqrt(dot(e1, e1) + 1e-12)
    s2 = step / math.sqrt(dot(e2, e2) + 1e-12)
    here = relief(material, texture)
    d1 = (relief(material, add(texture, scale(sub(b, a), s1))) - here) / s1
    d2 = (relief(material, add(texture, scale(sub(c, a), s2))) - here) / s2
    r1, r2 = cross(e2, normal), cross(normal, e1)
    det = dot(e1, r1)
    if abs(det) < 1e-20:
        return normal
    slope = add(scale(r1, d1 / det), scale(r2, d2 / det))
    return unit(sub(normal, slope))


@jit
def _water_normal(p, distance):
    """Calm water: long swells, ripples, and breezes that ruffle some patches more."""
    x, z = p[0], p[2]
    breeze = smoothstep(-0.15, 0.35, fbm3(x / 21.0 + 4.0, 0.0, z / 55.0, 3))
    fade = 1.0 / (1.0 + distance / 220.0)
    strength = (0.004 + 0.020 * breeze) * fade
    e = 0.01 + distance * 0.0004
    here = _ripple(x, z, breeze)
    return unit(
        (
            -strength * (_ripple(x + e, z, breeze) - here) / e,
            1.0,
            -strength * (_ripple(x, z + e, breeze) - here) / e,
        )
    )


@jit
def _ripple(x, z, breeze):
    return 0.9 * fbm3(x * 0.55, 1.0, z * 0.9, 3) + 0.25 * (0.4 + breeze) * fbm3(
        x * 3.1, 2.0, z * 5.3, 3
    )


@jit
def _shadow(scene, p, direction, limit):
    """True if something stands between p and the light."""
    return intersect(scene.tree, p, direction, limit, True)[1] >= 0


@jit
def _direct(scene, p, normal, through, skip, state):
    """Light arriving straight from sun and lantern, for a diffuse surface of colour one.

    skip: metres near p that cast no shadow, for foliage coarser than the shadows it would cast.
    """
    total = (0.0, 0.0, 0.0)
    to_sun = _around(SUN, 0.012, state)
    facing = dot(normal, to_sun)
    share = facing * (1.0 - through) if facing > 0 else -facing * through
    if share > 0 and not _shadow(scene, add(p, scale(to_sun, skip)), to_sun, FAR):
        total = scale(sunlight(), 1.35 * share / math.pi)
    to_lamp = sub((scene.lamp[0], scene.lamp[1], scene.lamp[2]), p)
    square = dot(to_lamp, to_lamp)
    if square < 15.0 * 15.0:
        lamp = _around(scale(to_lamp, 1.0 / math.sqrt(square)), 0.02 / math.sqrt(square), state)
        facing = dot(normal, lamp)
        share = facing * (1.0 - through) if facing > 0 else -facing * through
        if share > 0 and not _shadow(scene, p, lamp, math.sqrt(square) - 0.13):
            total = add(total, scale(LAMPLIGHT, share / (square + 0.5)))
    return total


@jit
def _sky(scene, direction, bounces):
    """Sky radiance; after a bounce its brightest part is held back, for it comes out as noise."""
    colour = look_up(scene.dome, direction)
    return scale(colour, min(1.3, 2.0 / max(colour[0], 1e-6))) if bounces else colour


@jit
def _note(notes, start, value):
    notes[start], notes[start + 1], notes[start + 2] = value


@jit
def trace(scene, origin, direction, state, notes):
    """Radiance that arrives along a ray, one random path.

    notes: (6,) receives what the denoiser wants to know of the first thing seen, in a mirror or
    not: its colour as it would look under even light, and the normal of the first surface.
    """
    light, weight = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    walked = 0.0
    bounces = 0
    notes[:] = 0.0
    for _ in range(BOUNCES + 3):
        t, i, u, v = nearest(scene, origin, direction)
        reach = min(t, 40000.0)
        if i != -1 or direction[1] < 0.25:
            seen = reach if i != -1 else 22000.0
            if i != -1 or direction[1] < 0.0:
                clear, glow = haze(
                    scene.dome, origin, direction, seen, uniform(state), bounces == 0
                )
                light = add(light, mul(weight, glow))
                weight = mul(weight, clear)
        if i == -1:
            light = add(light, mul(weight, _sky(scene, direction, bounces)))
            if bounces == 0:
                _note(notes, 0, light)
            break
        walked += t
        p = add(origin, scale(direction, t))
        if i == WATER:
            normal = _water_normal(p, walked)
            cosine = max(-dot(direction, normal), 0.02)
            if bounces == 0:
                _note(notes, 3, scale(normal, 8.0))
            fresnel = 0.02 + 0.98 * (1.0 - cosine) ** 5
            body = (0.006, 0.017, 0.020)
            light = add(light, scale(mul(weight, body), 1.0 - fresnel))
            weight = scale(weight, fresnel)
            direction = add(direction, scale(normal, 2.0 * cosine))
            direction = unit((direction[0], abs(direction[1]) + 1e-4, direction[2]))
            origin = (p[0], 1e-4, p[2])
            continue
        material, tint = int(scene.labels[i, 0]), float(scene.labels[i, 1])
        if material == WINDOW:
            light = add(light, scale(mul(weight, WINDOW_COLOUR), tint))
            if bounces == 0:
                _note(notes, 0, light)
            break
        texture = _blend(scene.texture, i, u, v)
        flat = unit(cross(_corner(scene.tree.corners, i, 1), _corner(scene.tree.corners, i, 2)))
        normal = unit(_blend(scene.normals, i, u, v))
        if material != NEEDLE and dot(flat, direction) > 0:
            flat = scale(flat, -1.0)
        if material != NEEDLE and dot(normal, flat) < 0:
            normal = scale(normal, -1.0)
        if bounces == 0 and has_relief(material):
            normal = _bumped(scene, i, material, texture, normal)
        colour, gloss, rough, through = surface(material, p, texture, normal, tint)
        if bounces == 0:
            _note(notes, 0, add(light, mul(weight, colour)))
            if notes[4] == 0.0:
                _note(notes, 3, normal)
        epsilon = 1e-4 + 2e-6 * walked
        out = scale(direction, -epsilon)
        if gloss > 0.0:
            cosine = max(-dot(direction, normal), 0.12)
            fresnel = gloss * (0.04 + 0.96 * (1.0 - cosine) ** 5 * (1.0 - rough))
            if uniform(state) < fresnel:
                mirror = add(direction, scale(normal, 2.0 * cosine))
                direction = _around(unit(mirror), rough, state)
                if dot(direction, flat) <= 0.0:
                    break
                origin = add(p, out)
                bounces += 1
                continue
        p = add(p, out)
        skip = min(0.006 * walked, 5.0) if material == NEEDLE else 0.0
        received = _direct(scene, p, normal, through, skip, state)
        light = add(light, mul(weight, mul(colour, received)))
        bounces += 1
        if bounces >= BOUNCES:
            break
        weight = mul(weight, colour)
        keep = min(max(weight[0], weight[1], weight[2]) * 6.0, 1.0)
        if uniform(state) >= keep:
            break
        weight = scale(weight, 1.0 / keep)
        side = -1.0 if uniform(state) < through else 1.0
        direction = _cosine(scale(normal, side), state)
        origin = p if side > 0 else add(p, scale(out, -2.0))
    return min(light[0], CLAMP), min(light[1], CLAMP), min(light[2], CLAMP)


@jit
def primary(camera, focal_px, size, column, row):
    """Ray (origin, direction) through a point of the image; pixel (0, 0) is centred at (0, 0)."""
    x = (column - 0.5 * (size[1] - 1)) / focal_px
    y = (row - 0.5 * (size[0] - 1)) / focal_px
    d = camera[3] + x * camera[1] + y * camera[2]
    return (camera[0, 0], camera[0, 1], camera[0, 2]), unit((d[0], d[1], d[2]))


@jit
def _tent(u):
    """Place within a pixel, and a little beyond: triangular distribution over -1..1."""
    return math.sqrt(2.0 * u) - 1.0 if u < 0.5 else 1.0 - math.sqrt(2.0 - 2.0 * u)


@jit
def render_row(scene, camera, focal_px, row, samples, image):
    """Fill image[row] (H, W, 10) from `samples` rays per pixel.

    Channels: mean radiance (3), variance of its luminance, colour (3) and normal (3) for `denoise`.
    camera: (4, 3) eye position and the unit axes right, down and forward, in the world frame.
    """
    height, width, _ = image.shape
    state, notes = np.empty(3, np.uint64), np.empty(6)
    for column in range(width):
        total, squares, features = (0.0, 0.0, 0.0), 0.0, np.zeros(6)
        for k in range(samples):
            state[0], state[1], state[2] = row * width + column, k, 0
            dx, dy = _tent(uniform(state)), _tent(uniform(state))
            origin, ray = primary(camera, focal_px, (height, width), column + dx, row + dy)
            light = trace(scene, origin, ray, state, notes)
            total = add(total, light)
            squares += dot(light, (0.2126, 0.7152, 0.0722)) ** 2
            features += notes
        mean = scale(total, 1.0 / samples)
        square = dot(mean, (0.2126, 0.7152, 0.0722)) ** 2
        image[row, column, 0], image[row, column, 1], image[row, column, 2] = mean
        image[row, column, 3] = max(squares / samples - square, 0.0) / samples
        image[row, column, 4:] = features / samples


@jit
def depth_row(scene, camera, focal_px, row, depth):
    """Fill depth[row] (H, W): metres along the optical axis at each pixel's centre; sky: inf."""
    height, width = depth.shape
    for column in range(width):
        origin, ray = primary(camera, focal_px, (height, width), column, row)
        t, i, _, _ = nearest(scene, origin, ray)
        along = ray[0] * camera[3, 0] + ray[1] * camera[3, 1] + ray[2] * camera[3, 2]
        depth[row, column] = t * along if i != -1 else 1e30
