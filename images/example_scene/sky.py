"""Evening light: the sky dome (Rayleigh and Mie scattering, clouds), the sun and the haze.

The dome is computed once into a panorama: azimuth -180..180 degrees (0 = ahead, to the right
positive) along the columns, square root of sin(elevation) down the rows.
"""

import math

import numpy as np
from numba import prange

from .maths import add, clamp01, dot, fbm3, jit, mix, mul, parallel_jit, scale, smoothstep, unit

PLANET, ATMOSPHERE = 6360e3, 6420e3
RAYLEIGH = (5.8e-6, 13.5e-6, 33.1e-6)
OZONE = (0.65e-6, 1.88e-6, 0.085e-6)
MIE = 6.0e-6
SUN_POWER = 20.0
SUN_AZIMUTH, SUN_ELEVATION = math.radians(-56.0), math.radians(5.5)
SUN = (
    math.sin(SUN_AZIMUTH) * math.cos(SUN_ELEVATION),
    math.sin(SUN_ELEVATION),
    math.cos(SUN_AZIMUTH) * math.cos(SUN_ELEVATION),
)


@jit
def _shell(height, slope, radius):
    """Distance to the outer sphere of `radius` from a height above ground along a slope."""
    r = PLANET + height
    b = r * slope
    return -b + math.sqrt(max(b * b - r * r + radius * radius, 0.0))


@jit
def _depth(height, slope):
    """Air, dust and ozone (metres at sea-level density) from a point to space."""
    length = _shell(height, slope, ATMOSPHERE) / 16
    air = dust = ozone = 0.0
    for i in range(16):
        t = (i + 0.5) * length
        r = PLANET + height
        h = math.sqrt(r * r + t * t + 2 * r * t * slope) - PLANET
        air += math.exp(-h / 8000.0) * length
        dust += math.exp(-h / 1200.0) * length
        ozone += max(0.0, 1.0 - abs(h - 25000.0) / 15000.0) * length
    return air, dust, ozone


@jit
def _filter(air, dust, ozone):
    return (
        math.exp(-RAYLEIGH[0] * air - 1.1 * MIE * dust - OZONE[0] * ozone),
        math.exp(-RAYLEIGH[1] * air - 1.1 * MIE * dust - OZONE[1] * ozone),
        math.exp(-RAYLEIGH[2] * air - 1.1 * MIE * dust - OZONE[2] * ozone),
    )


@jit
def sunlight():
    """Colour and strength of direct sunlight at the ground."""
    air, dust, ozone = _depth(0.0, SUN[1])
    return scale(_filter(air, dust, ozone), SUN_POWER)


@jit
def henyey(cosine, g):
    """Henyey-Greenstein phase function."""
    return (1 - g * g) / (4 * math.pi * (1 + g * g - 2 * g * cosine) ** 1.5)


@jit
def clear_sky(direction):
    """Radiance of the cloudless sky: single scattering, with a share for the higher orders."""
    slope = max(direction[1], 0.003)
    length = _shell(0.0, slope, ATMOSPHERE)
    cosine = dot(direction, SUN)
    rayleigh = 3.0 / (16.0 * math.pi) * (1.0 + cosine * cosine)
    mie = 0.75 * henyey(cosine, 0.76) + 0.25 * henyey(cosine, 0.3)
    total = (0.0, 0.0, 0.0)
    air = dust = ozone = 0.0
    previous = 0.0
    for i in range(40):
        t = length * ((i + 0.5) / 40.0) ** 2
        step = length * ((i + 1.0) / 40.0) ** 2 - previous
        previous += step
        h = math.sqrt(PLANET * PLANET + t * t + 2 * PLANET * t * slope) - PLANET
        da, dd = math.exp(-h / 8000.0) * step, math.exp(-h / 1200.0) * step
        air, dust = air + da, dust + dd
        ozone += max(0.0, 1.0 - abs(h - 25000.0) / 15000.0) * step
        sa, sd, so = _depth(h, SUN[1] + 0.02)
        light = _filter(air + sa, dust + sd, ozone + so)
        many = scale(_filter(air, dust, ozone), 0.035)
        source = add(scale(mul(light, RAYLEIGH), da * rayleigh), scale(light, MIE * dd * mie))
        total = add(total, add(source, scale(mul(many, RAYLEIGH), da)))
    return scale(total, SUN_POWER)


@jit
def look_up(dome, direction):
    """Sky radiance from the panorama, bilinear; directions below the horizon see the horizon."""
    rows, columns, _ = dome.shape
    u = (math.atan2(direction[0], direction[2]) / math.pi + 1.0) * 0.5 * columns - 0.5
    v = min(math.sqrt(max(direction[1], 0.0)) * rows - 0.5, rows - 1.001)
    v = max(v, 0.0)
    j, i = int(math.floor(u)), int(v)
    s, t = u - j, v - i
    a, b = j % columns, (j + 1) % columns
    top0, top1, top2 = dome[i, a, 0], dome[i, a, 1], dome[i, a, 2]
    low0, low1, low2 = dome[i + 1, a, 0], dome[i + 1, a, 1], dome[i + 1, a, 2]
    top = mix((top0, top1, top2), (dome[i, b, 0], dome[i, b, 1], dome[i, b, 2]), s)
    low = mix((low0, low1, low2), (dome[i + 1, b, 0], dome[i + 1, b, 1], dome[i + 1, b, 2]), s)
    return mix(top, low, t)


@jit
def _cloud_density(x, z):
    warp = 1.3 * fbm3(x * 0.45, 7.0, z * 0.45, 4)
    banks = fbm3(x * 0.28 + warp * 0.35, 3.0, z * 0.50, 3)
    wisps = fbm3(x * 1.1 + warp, 0.0, z * 1.9 + 0.6 * warp, 7)
    return smoothstep(-0.12, 0.5, wisps * 0.85 + banks * 0.95)


@jit
def sky(clear, direction):
    """The clear sky's panorama with a high broken layer of cloud, lit from below by the low sun."""
    behind = look_up(clear, direction)
    grade = mix((1.08, 0.75, 0.60), (0.68, 0.74, 0.92), smoothstep(0.0, 0.36, direction[1]))
    behind = mul(behind, grade)
    if direction[1] < 0.004:
        return behind
    reach = 2.1 / (direction[1] + 0.055)
    x, z = direction[0] * reach, direction[2] * reach
    density = _cloud_density(x, z) * smoothstep(0.01, 0.10, direction[1])
    shade = 0.0
    for i in range(1, 5):
        shade += _cloud_density(x + SUN[0] * 0.16 * i, z + SUN[2] * 0.16 * i)
    cosine = dot(direction, SUN)
    glow = 0.20 + 1.1 * henyey(cosine, 0.55) + 0.5 * henyey(cosine, 0.85)
    lit = scale(add(sunlight(), (1.3, 0.5, 0.8)), 1.05 * glow * math.exp(-1.5 * shade * density))
    body = add(lit, scale(mix(behind, (0.20, 0.20, 0.30), 0.5), 0.75))
    return mix(behind, body, clamp01(0.93 * density))


@parallel_jit
def _panorama(rows, columns, clear, clouded):
    dome = np.empty((rows, columns, 3), np.float32)
    for i in prange(rows):
        y = ((i + 0.5) / rows) ** 2
        flat = math.sqrt(1.0 - y * y)
        for j in range(columns):
            azimuth = ((j + 0.5) / columns * 2.0 - 1.0) * math.pi
            direction = (flat * math.sin(azimuth), y, flat * math.cos(azimuth))
            colour = sky(clear, direction) if clouded else clear_sky(direction)
            dome[i, j, 0], dome[i, j, 1], dome[i, j, 2] = colour
    return dome


def bake(rows, columns):
    """Panorama (rows, columns, 3) float32 of the upper half of the sky."""
    clear = _panorama(96, 384, np.zeros((2, 2, 3), np.float32), False)
    return _panorama(rows, columns, clear, True)


@jit
def haze(dome, origin, direction, distance, noise, misty):
    """Aerial perspective of a ray: (colour transmitted, light scattered in).

    Thin haze everywhere (scale height 900 m), and mist that lies on the far water in drifts.
    `noise` in [0, 1) jitters the steps through the mist; `misty` = False leaves the mist out.
    """
    slope = direction[1]
    fall = slope * distance / 900.0
    column = distance * math.exp(-max(origin[1], 0.0) / 900.0)
    column *= (1.0 - math.exp(-fall)) / fall if abs(fall) > 1e-4 else 1.0
    mist = _mist(origin, direction, distance, noise) if misty else 0.0
    clear = (
        math.exp(-2.2e-5 * column - mist),
        math.exp(-3.4e-5 * column - mist),
        math.exp(-5.6e-5 * column - mist),
    )
    flat = unit((direction[0], 0.0, direction[2]))
    horizon = look_up(dome, (flat[0], 0.04, flat[2]))
    light = mix(horizon, (0.20, 0.27, 0.42), 0.5 * math.exp(-distance / 9000.0))
    light = add(light, scale(sunlight(), 0.35 * henyey(dot(direction, SUN), 0.55)))
    return clear, mul(light, (1.0 - clear[0], 1.0 - clear[1], 1.0 - clear[2]))


@jit
def _mist(origin, direction, distance, noise):
    """Optical depth of the drifts of mist, between 90 m and 1500 m out."""
    end = min(distance, 1500.0)
    if end < 90.0 or origin[1] + direction[1] * 90.0 > 30.0:
        return 0.0
    total, steps = 0.0, 6
    for i in range(steps):
        t = 90.0 * (end / 90.0) ** ((i + noise) / steps)
        length = t * math.log(end / 90.0) / steps
        x, y, z = (
            origin[0] + t * direction[0],
            max(origin[1] + t * direction[1], 0.0),
            origin[2] + t * direction[2],
        )
        if y < 40.0:
            drift = smoothstep(-0.25, 0.45, fbm3(x / 90.0, y / 14.0, z / 170.0, 3))
            total += length * math.exp(-y / 7.0) * drift * smoothstep(90.0, 260.0, t)
    return 0.0016 * total
