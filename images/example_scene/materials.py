"""What things are made of: colour, roughness and relief at a point of a surface."""

import math

from .maths import clamp01, fbm3, jit, mix, noise3, scale, smoothstep

(PLANK, POST, ROPE, IRON, LEAF, NEEDLE, BARK, GRASS, RUSH, MOUNTAIN, EARTH) = range(11)
(BOARD, TRIM, ROOF, WINDOW, HULL, VARNISH, STONE) = range(11, 18)

LAMPLIGHT = (5.5, 2.5, 0.68)
WINDOW_COLOUR = (1.55, 0.64, 0.15)


@jit
def _cracks(p):
    """Fibres and drying cracks of old timber that runs along z: (grain, cracked 0..1)."""
    x, y, z = p
    wander = 2.2 * fbm3(x * 3.0, y * 3.0, z * 0.7, 2)
    grain = fbm3(x * 44.0 + wander, y * 44.0, z * 1.3, 4)
    crack = smoothstep(0.26, 0.48, fbm3(x * 34.0 + wander, y * 34.0, z * 0.7, 3))
    return grain, crack


@jit
def _granite(p):
    """Height of rock, metres: lumps, and steps where it splits along joints."""
    x, y, z = p
    lump = fbm3(x * 1.7, y * 1.7, z * 1.7, 4)
    joint = 1.0 - abs(fbm3(x * 1.1 + 0.4 * lump, y * 2.6, z * 1.1, 4)) * 3.0
    return 0.22 * lump - 0.14 * max(joint, 0.0) + 0.03 * fbm3(x * 17.0, y * 17.0, z * 17.0, 4)


@jit
def relief(material, p):
    """Height of the fine surface structure, metres, at texture point p."""
    x, y, z = p
    if material == PLANK or material == POST:
        grain, crack = _cracks(p)
        return 0.0025 * grain - 0.008 * crack
    if material == ROPE:
        return 0.004 * math.sin(2.0 * x + 260.0 * z)
    if material == BARK:
        return 0.003 * fbm3(x * 60.0, y * 20.0, z * 60.0, 3)
    if material == EARTH or material == STONE:
        return _granite(p)
    if material == MOUNTAIN:
        crowns = abs(noise3(x / 9.0, y / 14.0, z / 9.0)) + 0.5 * abs(
            noise3(x / 4.0, y / 6.0, z / 4.0)
        )
        wooded = smoothstep(520.0, 300.0, y)
        return 60.0 * fbm3(x / 210.0, y / 160.0, z / 210.0, 6) - 7.0 * crowns * wooded
    if material == BOARD:
        seam = abs((x + z) * 5.5 - math.floor((x + z) * 5.5) - 0.5)
        return 0.02 * smoothstep(0.10, 0.05, seam) + 0.002 * fbm3(x * 40.0, y * 3.0, z * 40.0, 2)
    if material == ROOF:
        row = y * 6.0 - math.floor(y * 6.0)
        return -0.03 * row + 0.01 * fbm3(x * 9.0, y * 9.0, z * 9.0, 3)
    if material == HULL:
        lap = abs(x) * 6.0 - math.floor(abs(x) * 6.0)
        return 0.02 * lap
    return 0.0


@jit
def has_relief(material):
    """Whether `relief` says anything about the material."""
    return (
        material <= ROPE
        or material == BARK
        or (material >= MOUNTAIN and material <= BOARD)
        or material == ROOF
        or material == HULL
        or material == STONE
    )


@jit
def _timber(p, tint, height):
    """Silver-grey weathered wood, wet and green with algae near the water."""
    x, y, z = p
    grain, crack = _cracks(p)
    stain = fbm3(x * 2.0, y * 2.0, z * 2.0, 3)
    base = mix((0.205, 0.20, 0.18), (0.30, 0.24, 0.17), tint)
    value = 0.72 + 0.5 * (tint * 7.0 - math.floor(tint * 7.0)) + 0.85 * grain + 0.5 * stain
    wet = smoothstep(0.45, 0.05, height)
    colour = scale(base, max(value, 0.12) * (1.0 - 0.85 * crack) * (1.0 - 0.55 * wet))
    algae = scale((0.05, 0.065, 0.02), 1.0 + stain)
    return mix(colour, algae, 0.8 * smoothstep(0.25, 0.0, height))


@jit
def _leaf(p, tint):
    """Birch gold, with some leaves still green and some turned orange; fine ribs."""
    colour = mix((0.80, 0.50, 0.04), (0.76, 0.28, 0.03), smoothstep(0.55, 0.95, tint))
    colour = mix(colour, (0.46, 0.46, 0.06), smoothstep(0.35, 0.05, tint))
    rib = abs((p[1] * 7.0 - abs(p[0]) * 1.6) % 1.0 - 0.5)
    vein = smoothstep(0.10, 0.0, rib) + smoothstep(0.09, 0.0, abs(p[0]))
    spots = smoothstep(0.25, 0.5, fbm3(p[0] * 2.5, p[1] * 5.0, p[2] * 9.0, 3))
    edge = smoothstep(0.6, 1.0, abs(p[0])) * 0.25
    colour = scale(colour, (1.0 - 0.25 * clamp01(vein)) * (1.0 - edge))
    return mix(colour, (0.16, 0.07, 0.02), 0.7 * spots)


@jit
def _mountain(p, normal):
    """Dark forest below with larches in autumn gold, grey rock, snow on what is not too steep."""
    x, y, z = p
    patches = fbm3(x / 160.0, y / 90.0, z / 160.0, 5)
    crown = noise3(x / 9.0, y / 14.0, z / 9.0)
    forest = scale((0.022, 0.034, 0.019), 1.0 + 0.6 * patches + 0.8 * crown)
    autumn = smoothstep(0.02, 0.3, fbm3(x / 90.0, 3.0, z / 90.0, 4) + 0.35 * crown)
    forest = mix(forest, (0.17, 0.085, 0.018), 0.6 * autumn)
    rock = scale((0.105, 0.10, 0.10), 1.0 + 0.9 * fbm3(x / 55.0, y / 18.0, z / 55.0, 5))
    colour = mix(forest, rock, smoothstep(330.0, 620.0, y + 190.0 * patches))
    colour = mix(colour, rock, 0.8 * smoothstep(0.62, 0.45, normal[1]) * smoothstep(150, 400, y))
    snow = smoothstep(0.42, 0.62, normal[1] + 0.25 * patches)
    snow *= smoothstep(600.0, 960.0, y + 320.0 * patches)
    return mix(colour, (0.86, 0.87, 0.90), snow)


@jit
def _earth(p, normal):
    """Granite with lichen, dark and wet at the waterline, moss and dry grass on the flats."""
    x, y, z = p
    fine = fbm3(x * 6.0, y * 6.0, z * 6.0, 5)
    broad = fbm3(x * 0.9, y * 0.9, z * 0.9, 4)
    value = 1.0 + 1.1 * fine + 0.5 * broad + 0.5 * noise3(x * 60.0, y * 60.0, z * 60.0)
    rock = scale((0.125, 0.120, 0.112), max(value, 0.2))
    lichen = smoothstep(0.12, 0.4, fbm3(x * 2.2, y * 2.2, z * 2.2, 5))
    rock = mix(rock, (0.27, 0.21, 0.075), 0.45 * lichen)
    rock = scale(rock, 1.0 + 2.2 * min(_granite(p), 0.2))
    moss = mix((0.040, 0.052, 0.012), (0.15, 0.095, 0.028), clamp01(0.4 + 1.5 * fine + 0.6 * broad))
    grown = smoothstep(0.55, 0.85, normal[1] + 0.4 * broad) * smoothstep(0.25, 0.5, y + 0.3 * fine)
    colour = mix(rock, moss, grown)
    return scale(colour, 0.3 + 0.7 * smoothstep(0.03, 0.2, y + 0.05 * fine))


@jit
def _board(p, tint):
    """Painted vertical boards with cover strips: Falun red (tint 1) to the door's slate blue."""
    x, y, z = p
    seam = abs((x + z) * 5.5 - math.floor((x + z) * 5.5) - 0.5)
    worn = fbm3(x * 3.0, y * 1.2, z * 3.0, 4) + 0.6 * fbm3(x * 30.0, y * 2.0, z * 30.0, 3)
    paint = mix((0.035, 0.055, 0.065), (0.215, 0.030, 0.020), tint)
    edge = smoothstep(0.16, 0.11, seam) * smoothstep(0.06, 0.10, seam)
    colour = scale(paint, (1.0 + 0.6 * worn) * (1.0 - 0.6 * edge))
    return mix(colour, (0.10, 0.07, 0.055), 0.5 * smoothstep(0.8, 0.0, y + 0.5 * worn))


@jit
def _hull(p):
    """Painted strakes: white above, blue-green below, a shadow under each lap."""
    lap = abs(p[0]) * 6.0 - math.floor(abs(p[0]) * 6.0)
    worn = 1.0 + 0.35 * fbm3(p[0] * 9.0, p[1] * 9.0, p[2] * 3.0, 4)
    paint = mix((0.030, 0.105, 0.13), (0.55, 0.53, 0.47), smoothstep(0.82, 0.84, abs(p[0])))
    return scale(paint, worn * (1.0 - 0.55 * smoothstep(0.14, 0.0, lap)))


@jit
def surface(material, world, texture, normal, tint):
    """Material at a point: (colour, gloss 0..1, roughness, share of light let through)."""
    x, y, z = world
    if material == PLANK or material == POST:
        return _timber(texture, tint, y), 0.12 + 0.4 * smoothstep(0.3, 0.05, y), 0.4, 0.0
    if material == ROPE:
        strand = 0.75 + 0.25 * math.sin(2.0 * texture[0] + 260.0 * texture[2])
        return scale((0.34, 0.26, 0.15), strand), 0.0, 1.0, 0.0
    if material == IRON:
        return (0.022, 0.021, 0.021), 1.0, 0.25, 0.0
    if material == LEAF:
        return _leaf(texture, tint), 0.35, 0.4, 0.5
    if material == NEEDLE:
        return scale((0.036, 0.056, 0.026), tint), 0.0, 1.0, 0.12
    if material == BARK:
        rough = 1.0 + 0.6 * noise3(x * 60.0, y * 25.0, z * 60.0)
        scars = smoothstep(0.1, 0.3, fbm3(x * 5.0, y * 30.0, z * 5.0, 3))
        white = mix((0.55, 0.52, 0.47), (0.06, 0.05, 0.045), scars)
        return mix(scale((0.12, 0.085, 0.065), rough), white, tint), 0.0, 1.0, 0.0
    if material == GRASS:
        fresh = mix((0.14, 0.17, 0.035), (0.44, 0.31, 0.10), smoothstep(0.1, 0.7, tint))
        stripe = 0.85 + 0.15 * math.cos(texture[0] * 9.0)
        young = 0.45 + 0.55 * smoothstep(0.0, 0.5, texture[1])
        return scale(fresh, stripe * young), 0.3, 0.4, 0.4
    if material == RUSH:
        velvet = 1.0 + 0.5 * noise3(x * 400.0, y * 400.0, z * 400.0)
        return scale((0.12, 0.055, 0.025), velvet), 0.0, 1.0, 0.0
    if material == MOUNTAIN:
        return _mountain(world, normal), 0.0, 1.0, 0.0
    if material == EARTH or material == STONE:
        return _earth(world, normal), 0.3 * smoothstep(0.25, 0.03, y), 0.35, 0.0
    if material == BOARD:
        return _board(texture, tint), 0.0, 1.0, 0.0
    if material == TRIM:
        worn = 1.0 + 0.25 * fbm3(texture[0] * 8.0, texture[1] * 8.0, texture[2] * 8.0, 3)
        return scale((0.60, 0.57, 0.51), worn), 0.0, 1.0, 0.0
    if material == ROOF:
        patch = fbm3(texture[0] * 2.0, texture[1] * 7.0, texture[2] * 2.0, 4)
        slate = scale((0.075, 0.070, 0.068), 1.0 + 0.8 * patch)
        return mix(slate, (0.06, 0.065, 0.02), smoothstep(0.1, 0.5, patch)), 0.0, 1.0, 0.0
    if material == HULL:
        return _hull(texture), 0.7, 0.15, 0.0
    grain = fbm3(texture[0] * 50.0, texture[1] * 50.0, texture[2] * 2.0, 3)
    return scale((0.26, 0.14, 0.06), 1.0 + 0.7 * grain), 0.4, 0.3, 0.0
