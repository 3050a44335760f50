"""The land: alpine range, wooded shore, the islet, the near bank - heights in metres."""

import math

import numpy as np
from numba import prange

from .materials import EARTH, MOUNTAIN
from .maths import eroded, fbm3, jit, parallel_jit, smoothstep
from .shapes import grid_faces, net_normals

ISLET, SKERRY = (10.6, 37.0), (-44.0, 128.0)  # centres (x, z)


@jit
def _peak(azimuth, centre, width, height):
    d = (azimuth - centre) / width
    return height * math.exp(-d * d)


@jit
def range_height(x, z, octaves):
    """Shore, wooded foothills and snow mountains beyond the lake."""
    distance = math.sqrt(x * x + z * z)
    azimuth = math.degrees(math.atan2(x, z))
    shore = 330.0 + 90.0 * fbm3(azimuth * 0.12, 0.0, 3.0, 3) - 60.0 * smoothstep(12, 30, azimuth)
    shore += 900.0 * math.exp(-(((azimuth + 14.0) / 7.0) ** 2))
    hills = 38.0 + 75.0 * smoothstep(5, 27, azimuth) + 70.0 * smoothstep(-14, -28, azimuth)
    hills *= 1.0 + 0.9 * fbm3(x / 420.0, 0.0, z / 420.0, 4)
    low = smoothstep(shore, shore + 650.0, distance) * hills
    ridge = 60.0 + _peak(azimuth, 27.0, 11.0, 330.0) + _peak(azimuth, -30.0, 12.0, 380.0)
    ridge += _peak(azimuth, 2.0, 5.0, 90.0)
    ridge *= 1.0 + 0.8 * eroded(x / 900.0 + 3.1, z / 900.0, 6)
    middle = smoothstep(1300.0, 3000.0, distance) * ridge
    summits = _peak(azimuth, 6.0, 5.0, 1050.0) + _peak(azimuth, 14.5, 5.0, 560.0)
    summits += _peak(azimuth, -3.5, 4.0, 520.0) + _peak(azimuth, -24.0, 7.0, 650.0)
    summits += _peak(azimuth, 27.0, 7.0, 500.0) + 250.0
    rough = 1.0 + 0.62 * eroded(x / 2300.0 + 1.7, z / 2300.0 + 0.4, octaves)
    far = smoothstep(4200.0, 8200.0, distance) * summits * rough
    return low + middle + far - 0.6 + 1.6 * smoothstep(shore - 5.0, shore + 30.0, distance)


@jit
def islet_height(x, z):
    """Granite skerry with a flat spot for the cabin."""
    dx, dz = (x - ISLET[0]) / 7.2, (z - ISLET[1]) / 5.0
    r = math.sqrt(dx * dx + dz * dz) + 0.28 * fbm3(x * 0.35, 1.0, z * 0.35, 3)
    rock = 0.85 * abs(fbm3(x * 0.6, 5.0, z * 0.6, 5)) + 0.06 * fbm3(x * 4.0, 2.0, z * 4.0, 3)
    return (
        1.25 * smoothstep(1.15, 0.35, r)
        + 1.1 * rock * smoothstep(1.4, 0.95, r) * smoothstep(0.2, 0.75, r)
        - 0.28
    )


@jit
def skerry_height(x, z):
    """Small wooded rock further out, in the mist."""
    dx, dz = (x - SKERRY[0]) / 11.0, (z - SKERRY[1]) / 6.0
    r = math.sqrt(dx * dx + dz * dz) + 0.35 * fbm3(x * 0.2, 1.0, z * 0.2, 4)
    return 1.6 * smoothstep(1.1, 0.3, r) + 0.5 * fbm3(x * 0.5, 8.0, z * 0.5, 5) - 0.35


@jit
def bank_height(x, z):
    """Grassy bank at the near left."""
    edge = -1.95 - 0.16 * max(z - 3.0, 0.0) ** 1.3 + 0.4 * fbm3(x * 0.7, 0.0, z * 0.7, 3)
    lump = 0.16 * fbm3(x * 2.0, 4.0, z * 2.0, 5)
    return 0.62 * smoothstep(edge + 0.5, edge - 1.0, x) * smoothstep(9.5, 6.0, z) + lump - 0.12


@parallel_jit
def _polar_net(azimuths, distances):
    points = np.empty((len(distances), len(azimuths), 3))
    for i in prange(len(distances)):
        for j in range(len(azimuths)):
            angle = math.radians(azimuths[j])
            x, z = distances[i] * math.sin(angle), distances[i] * math.cos(angle)
            points[i, j] = x, range_height(x, z, 9), z
    return points


@parallel_jit
def _square_net(centre, reach, rows, which):
    points = np.empty((rows, rows, 3))
    for i in prange(rows):
        z = centre[1] + reach * (2.0 * i / (rows - 1) - 1.0)
        for j in range(rows):
            x = centre[0] + reach * (2.0 * j / (rows - 1) - 1.0)
            y = islet_height(x, z) if which == 0 else skerry_height(x, z)
            points[i, j] = x, y if which < 2 else bank_height(x, z), z
    return points


def _add_net(mesh, net, material):
    rows, columns, _ = net.shape
    points = net.reshape(-1, 3)
    faces = grid_faces(rows, columns, closed=False)
    faces = faces[points[faces][:, :, 1].max(axis=1) > -0.25]
    normals = net_normals(net, closed=False).reshape(-1, 3)
    mesh.add(points, faces, material, normals)


def add_land(mesh, detail):
    """Add all land; the far range is finest where the camera sees it largest (a polar net)."""
    azimuths = np.linspace(-33, 36, int(1300 * detail))
    distances = np.geomspace(250, 15000, int(650 * detail))
    _add_net(mesh, _polar_net(azimuths, distances), MOUNTAIN)
    for k, (centre, reach) in enumerate(((ISLET, 11.0), (SKERRY, 18.0), ((-3.6, 6.0), 4.2))):
        _add_net(mesh, _square_net(np.array(centre), reach, 420, k), EARTH)
