"""Vectors as 3-tuples, random numbers and noise: the arithmetic that the picture is made of."""

import math

import numpy as np
from numba import njit

jit = njit(fastmath=True, nogil=True, error_model="numpy")
parallel_jit = njit(fastmath=True, parallel=True, error_model="numpy")


@jit
def add(a, b):
    """Sum of two vectors."""
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


@jit
def sub(a, b):
    """Difference of two vectors."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


@jit
def mul(a, b):
    """Product, component by component: a colour through a filter."""
    return a[0] * b[0], a[1] * b[1], a[2] * b[2]


@jit
def scale(a, s):
    """Vector times number."""
    return a[0] * s, a[1] * s, a[2] * s


@jit
def dot(a, b):
    """Scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@jit
def cross(a, b):
    """Vector product."""
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


@jit
def unit(a):
    """Vector of length one."""
    return scale(a, 1.0 / math.sqrt(dot(a, a) + 1e-30))


@jit
def mix(a, b, t):
    """Colour between `a` (t = 0) and `b` (t = 1)."""
    return add(scale(a, 1.0 - t), scale(b, t))


@jit
def clamp01(x):
    """Number held within 0..1."""
    return min(max(x, 0.0), 1.0)


@jit
def smoothstep(low, high, x):
    """0 below `low`, 1 above `high`, an S between."""
    t = clamp01((x - low) / (high - low))
    return t * t * (3.0 - 2.0 * t)


@jit
def _scramble(z):
    """Mix the bits of a 64-bit number (the finish of SplitMix64)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@jit
def uniform(state):
    """Next number in [0, 1) for one path; state is (pixel, sample, draw), (3,) uint64, advanced.

    Over the samples of a pixel each of the first draws is evenly spread, not just random: a
    lattice whose steps are powers of the plastic-like root of x**11 = x + 1 (Roberts 2018), shifted
    at random from pixel to pixel. Later draws are plain random numbers.
    """
    draw = state[2]
    state[2] = draw + np.uint64(1)
    shift = _scramble(
        state[0] * np.uint64(0x9E3779B97F4A7C15) + draw * np.uint64(0xD1B54A32D192ED03)
    )
    if draw >= 10:
        shift = _scramble(shift + state[1] * np.uint64(0xA0761D6478BD642F))
        return float(shift >> np.uint64(11)) * (1.0 / 9007199254740992.0)
    step = 1.0 / 1.0700087 ** (float(draw) + 1.0)
    value = float(shift >> np.uint64(11)) * (1.0 / 9007199254740992.0) + float(state[1]) * step
    return value - math.floor(value)


@jit
def lattice(x, y, z):
    """Random number in [-1, 1] that belongs to the integer point (x, y, z)."""
    h = np.uint32(x) * np.uint32(0x8DA6B343)
    h ^= np.uint32(y) * np.uint32(0xD8163841)
    h ^= np.uint32(z) * np.uint32(0xCB1AB31F)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x2C1B3C6D)
    h = (h ^ (h >> np.uint32(12))) * np.uint32(0x297A2D39)
    h ^= h >> np.uint32(15)
    return float(h & np.uint32(0xFFFFFF)) * (2.0 / 16777215.0) - 1.0


@jit
def noise3(x, y, z):
    """Smooth value noise in [-1, 1], features of size one."""
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    u, v, w = x - i, y - j, z - k
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    i, j, k = int(i), int(j), int(k)
    a = lattice(i, j, k) * (1 - u) + lattice(i + 1, j, k) * u
    b = lattice(i, j + 1, k) * (1 - u) + lattice(i + 1, j + 1, k) * u
    c = lattice(i, j, k + 1) * (1 - u) + lattice(i + 1, j, k + 1) * u
    d = lattice(i, j + 1, k + 1) * (1 - u) + lattice(i + 1, j + 1, k + 1) * u
    return (a * (1 - v) + b * v) * (1 - w) + (c * (1 - v) + d * v) * w


@jit
def fbm3(x, y, z, octaves):
    """Fractal sum of `noise3`, about [-1, 1]: each octave half the size and half the height."""
    total, amplitude = 0.0, 0.5
    for _ in range(octaves):
        total += amplitude * noise3(x, y, z)
        x, y, z = 2.03 * x + 17.3, 2.03 * y - 9.1, 2.03 * z + 31.7
        amplitude *= 0.5
    return total


@jit
def noise2_gradient(x, y):
    """Value noise in the plane and its slope: (value, d/dx, d/dy)."""
    i, j = math.floor(x), math.floor(y)
    u, v = x - i, y - j
    du, dv = 30 * u * u * (u * (u - 2) + 1), 30 * v * v * (v * (v - 2) + 1)
    su = u * u * u * (u * (u * 6 - 15) + 10)
    sv = v * v * v * (v * (v * 6 - 15) + 10)
    i, j = int(i), int(j)
    a, b = lattice(i, j, 0), lattice(i + 1, j, 0)
    c, d = lattice(i, j + 1, 0), lattice(i + 1, j + 1, 0)
    k = a - b - c + d
    return (
        a + (b - a) * su + (c - a) * sv + k * su * sv,
        du * ((b - a) + k * sv),
        dv * ((c - a) + k * su),
    )


@jit
def eroded(x, y, octaves):
    """Mountain-like fractal: slopes that are already steep receive less fine detail."""
    total, slope_x, slope_y, amplitude = 0.0, 0.0, 0.0, 1.0
    for _ in range(octaves):
        value, dx, dy = noise2_gradient(x, y)
        slope_x += dx
        slope_y += dy
        total += amplitude * value / (1.0 + slope_x * slope_x + slope_y * slope_y)
        amplitude *= 0.5
        x, y = 1.6 * x - 1.2 * y + 5.3, 1.2 * x + 1.6 * y - 2.7
    return total
