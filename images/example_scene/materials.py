"""What things are made of: colour, roughness and relief at a point of a surface."""

import math

from .maths import add, clamp01, fbm3, jit, mix, noise3, scale, smoothstep

(PLANK, POST, ROPE, IRON, LEAF, NEEDLE, BARK, GRASS, RUSH, MOUNTAIN, EARTH) = range(11)
(BOARD, TRIM, ROOF, WINDOW, HULL, SEAT, STONE) = range(11, 18)

LAMPLIGHT = (3.4, 1.55, 0.42)
WINDOW_COLOUR = (2.3, 1.05, 0.30)


@jit
def relief(material, p):
    """Height of the fine surface structure, metres, at texture point p."""
    x, y, z = p
    if material == PLANK or material == POST or material == SEAT:
        wander = 0.25 * fbm3(x * 3.0, y * 3.0, z * 0.7, 2)
        grain = fbm3(x * 55.0 + 9.0 * wander, y * 55.0, z * 1.6, 4)
        crack = smoothstep(0.30, 0.55, fbm3(x * 30.0 + 6.0 * wander, y * 30.0, z * 0.8, 3))
        return 0.0016 * grain - 0.006 * crack
    if material == ROPE:
        return 0.004 * math.sin(2.0 * x + 260.0 * z)
    if material == BARK:
        return 0.003 * fbm3(x * 60.0, y * 20.0, z * 60.0, 3)
    if material == EARTH or material == STONE:
        return 0.16 * fbm3(x * 2.3, y * 2.3, z * 2.3, 6) + 0.02 * fbm3(
            x * 21.0, y * 21.0, z * 21.0, 3
        )
    if material == MOUNTAIN:
        return 60.0 * fbm3(x / 210.0, y / 160.0, z / 210.0, 6)
    if material == BOARD:
        seam = abs((x + z) * 5.5 - math.floor((x + z) * 5.5) - 0.5)
        return -0.012 * smoothstep(0.06, 0.0, seam) + 0.0015 * fbm3(x * 40.0, y * 3.0, z * 40.0, 2)
    if material == ROOF:
        row = y * 6.0 - math.floor(y * 6.0)
        return -0.03 * row + 0.01 * fbm3(x * 9.0, y * 9.0, z * 9.0, 3)
    if material == HULL:
        return 0.001 * fbm3(x * 30.0, y * 30.0, z * 4.0, 2)
    return 0.0


@jit
def has_relief(material):
    """Whether `relief` says anything about the material."""
    return not (
        material == LEAF
        or material == NEEDLE
        or material == GRASS
        or material == RUSH
        or material == WINDOW
        or material == TRIM
        or material == IRON
    )


@jit
def _timber(p, tint, height):
    x, y, z = p
    wander = 0.25 * fbm3(x * 3.0, y * 3.0, z * 0.7, 2)
    grain = fbm3(x * 48.0 + 9.0 * wander, y * 48.0, z * 1.3, 4)
    crack = smoothstep(0.30, 0.55, fbm3(x * 30.0 + 6.0 * wander, y * 30.0, z * 0.8, 3))
    stain = fbm3(x * 2.0, y * 2.0, z * 2.0, 3)
    base = mix((0.25, 0.235, 0.215), (0.33, 0.27, 0.20), tint)
    value = (1.0 + 0.75 * grain + 0.35 * stain) * (1.0 - 0.75 * crack)
    wet = smoothstep(0.45, 0.05, height)
    colour = scale(base, max(value, 0.1) * (1.0 - 0.55 * wet))
    return mix(colour, scale((0.05, 0.065, 0.02), 1.0 + stain), 0.8 * smoothstep(0.25, 0.0, height))


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
    """Dark forest below, grey rock, snow where it is high and not too steep."""
    x, y, z = p
    patches = fbm3(x / 160.0, y / 90.0, z / 160.0, 5)
    forest = scale((0.020, 0.032, 0.018), 1.0 + 0.9 * patches)
    autumn = smoothstep(0.15, 0.5, fbm3(x / 60.0, 3.0, z / 60.0, 4))
    forest = mix(forest, (0.11, 0.062, 0.016), 0.55 * autumn)
    rock = scale((0.115, 0.108, 0.105), 1.0 + 0.8 * fbm3(x / 55.0, y / 18.0, z / 55.0, 5))
    colour = mix(forest, rock, smoothstep(330.0, 620.0, y + 190.0 * patches))
    colour = mix(colour, rock, 0.8 * smoothstep(0.62, 0.45, normal[1]) * smoothstep(150, 400, y))
    snow = smoothstep(0.42, 0.62, normal[1] + 0.25 * patches)
    snow *= smoothstep(640.0, 1000.0, y + 320.0 * patches)
    return mix(colour, (0.86, 0.87, 0.90), snow)


@jit
def _earth(p, normal):
    """Granite with lichen, dark and wet at the waterline, moss and dry grass on the flats."""
    x, y, z = p
    fine = fbm3(x * 5.0, y * 5.0, z * 5.0, 5)
    broad = fbm3(x * 0.9, y * 0.9, z * 0.9, 4)
    rock = scale((0.22, 0.205, 0.19), 1.0 + 0.7 * fine + 0.4 * broad)
    rock = mix(
        rock, (0.36, 0.25, 0.08), 0.5 * smoothstep(0.2, 0.5, fbm3(x * 2.2, y * 2.2, z * 2.2, 4))
    )
    moss = mix((0.045, 0.055, 0.012), (0.16, 0.11, 0.035), clamp01(0.5 + fine + 0.5 * broad))
    grown = smoothstep(0.72, 0.9, normal[1] + 0.25 * broad) * smoothstep(
        0.30, 0.6, y + 0.25 * broad
    )
    colour = mix(rock, moss, grown)
    return scale(colour, 0.35 + 0.65 * smoothstep(0.03, 0.2, y + 0.05 * fine))


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
        return (
            scale((0.12, 0.085, 0.065), 1.0 + 0.6 * noise3(x * 60.0, y * 25.0, z * 60.0)),
            0.0,
            1.0,
            0.0,
        )
    if material == GRASS:
        fresh = mix((0.14, 0.17, 0.035), (0.44, 0.31, 0.10), smoothstep(0.1, 0.7, tint))
        stripe = 0.85 + 0.15 * math.cos(texture[0] * 9.0)
        return (
            scale(fresh, stripe * (0.45 + 0.55 * smoothstep(0.0, 0.5, texture[1]))),
            0.3,
            0.4,
            0.4,
        )
    if material == RUSH:
        return (
            scale((0.12, 0.055, 0.025), 1.0 + 0.5 * noise3(x * 400.0, y * 400.0, z * 400.0)),
            0.0,
            1.0,
            0.0,
        )
    if material == MOUNTAIN:
        return _mountain(world, normal), 0.0, 1.0, 0.0
    if material == EARTH or material == STONE:
        wet = smoothstep(0.25, 0.03, y)
        return _earth(world, normal), 0.7 * wet, 0.2, 0.0
    if material == BOARD:
        worn = fbm3(x * 3.0, y * 1.2, z * 3.0, 4)
        return scale((0.30, 0.040, 0.024), 1.0 + 0.5 * worn), 0.0, 1.0, 0.0
    if material == TRIM:
        return (0.72, 0.69, 0.63), 0.0, 1.0, 0.0
    if material == ROOF:
        patch = fbm3(x * 2.0, y * 7.0, z * 2.0, 4)
        slate = scale((0.075, 0.070, 0.068), 1.0 + 0.8 * patch)
        return mix(slate, (0.06, 0.065, 0.02), smoothstep(0.1, 0.5, patch)), 0.0, 1.0, 0.0
    if material == HULL:
        if y > 0.36:
            return (0.62, 0.60, 0.54), 0.8, 0.15, 0.0
        return (
            scale((0.035, 0.13, 0.17), 1.0 + 0.3 * fbm3(x * 6.0, y * 6.0, z * 6.0, 3)),
            0.8,
            0.15,
            0.0,
        )
    if material == SEAT:
        return scale(add(_timber(texture, tint, 1.0), (0.10, 0.04, 0.0)), 0.8), 0.5, 0.3, 0.0
    return (0.5, 0.5, 0.5), 0.0, 1.0, 0.0
