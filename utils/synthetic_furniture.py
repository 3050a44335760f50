"""Things found indoors, built from a few meshes each. All stand on z = 0 in the builder's frame."""

import numpy as np

from utils.synthetic_mesh import (
    box,
    bumpy,
    cushion,
    cylinder,
    ellipsoid,
    grid,
    lathe,
    leaf_cards,
    quad,
    shifted,
    stick,
    tube,
    turned,
)


def paint(rng, saturation=0.35, value=0.5):
    """A random linear colour as things have them: mostly warm or muted, now and then vivid."""
    hue = rng.normal(0.09, 0.05) if rng.random() < 0.55 else rng.random()
    level = value * rng.uniform(0.45, 1.3)
    spread = saturation * rng.uniform(0.1, 1.0) * (2.0 if rng.random() < 0.2 else 1.0)
    angle = 2 * np.pi * (hue - np.array([0, 1, 2]) / 3)
    return np.clip(level * (1 + spread * np.cos(angle) * 1.4), 0.02, 0.9)


def timber(b, tile=0.7):
    """Some wood, plain, stained or painted."""
    if b.rng.random() < 0.3:
        return b.material("plaster", paint(b.rng, 0.3, 0.6), gloss=0.03, grunge=0.06)
    tint = np.clip(b.rng.uniform(0.5, 1.15) * (1 + b.rng.normal(0, 0.06, 3)), 0.1, 1.3)
    return b.material("wood", tint, tile, gloss=b.rng.uniform(0, 0.05), power=30, grunge=0.1)


def cloth(b, tile=None):
    """Some fabric: woven threads of one colour, or a pattern."""
    tile = tile or b.rng.uniform(0.2, 0.7)
    if b.rng.random() < 0.6:
        return b.material("fabric", paint(b.rng, 0.45, 0.5), tile * 0.6)
    return b.material("weave", np.full(3, b.rng.uniform(0.5, 1.0)), tile)


def glossy(b, vivid=0.45):
    """Glazed, lacquered or plastic stuff."""
    return b.material("plaster", paint(b.rng, vivid, 0.55), gloss=b.rng.uniform(0.03, 0.1),
                      power=b.rng.uniform(30, 200))


def steel(b):
    """Metal, bright or dark."""
    return b.material("metal", np.full(3, b.rng.uniform(0.08, 0.6)), 0.5, gloss=0.3, power=60)


def table(b, width, depth, height):
    """A table with four legs, two sides or one foot; returns the height of its top."""
    rng, wood = b.rng, timber(b)
    thick = rng.uniform(0.02, 0.06)
    style = rng.integers(3)
    if style == 2 and abs(width - depth) < 0.5:
        b.add(shifted(cylinder(width / 2, thick, 30), (0, 0, height - thick)), wood)
        b.add(lathe([(0, 0), (width / 4, 0), (width / 4, 0.03), (0.05, 0.08), (0.04, height * 0.6),
                     (0.07, height - thick)]), timber(b))
        return height
    b.add(shifted(box(width, depth, thick), (0, 0, height - thick)), wood)
    legs = wood if rng.random() < 0.6 else (steel(b) if rng.random() < 0.5 else timber(b))
    size = rng.uniform(0.03, 0.08)
    inset = size / 2 + rng.uniform(0.0, 0.08)
    for x in (-1, 1):
        if style == 1:
            side = box(size, depth - 2 * inset, height - thick)
            b.add(shifted(side, (x * (width / 2 - inset), 0, 0)), legs)
            continue
        for y in (-1, 1):
            foot = (x * (width / 2 - inset), y * (depth / 2 - inset), 0)
            top = (foot[0] * 0.97, foot[1] * 0.97, height - thick)
            b.add(stick(foot, top, size / 2, 6, size / 1.6), legs)
    if rng.random() < 0.5:
        b.add(shifted(box(width - 2 * inset, depth - 2 * inset, 0.09),
                      (0, 0, height - thick - 0.09)), legs)
    return height


def chair(b):
    """A chair with slats, a solid back or upholstery; it looks along -y."""
    rng = b.rng
    wood = timber(b) if rng.random() < 0.75 else steel(b)
    width, depth, seat, back = (rng.uniform(0.38, 0.48), rng.uniform(0.38, 0.48),
                                rng.uniform(0.42, 0.48), rng.uniform(0.82, 1.05))
    leg, lean = rng.uniform(0.014, 0.024), rng.uniform(0.02, 0.1)
    for x in (-width / 2, width / 2):
        b.add(stick((x, -depth / 2, 0), (x, -depth / 2, seat), leg, 6), wood)
        b.add(tube([(x, depth / 2 + lean, 0), (x, depth / 2, seat), (x, depth / 2 + lean, back)],
                   leg, 6), wood)
    padded = rng.random() < 0.5
    pad = cloth(b) if padded else wood
    mesh = cushion(width + 0.04, depth + 0.04, 0.07, 0.3, 12) if padded else box(
        width + 0.04, depth + 0.04, 0.025)
    b.add(shifted(mesh, (0, 0, seat - 0.02)), pad)
    style = rng.integers(3)
    middle = depth / 2 + lean * 0.6
    if style == 0:
        count = int(rng.integers(2, 5))
        for z in np.linspace(seat + 0.15, back - 0.05, count):
            b.add(shifted(box(width, 0.018, 0.05), (0, middle, z)), wood)
    elif style == 1:
        for x in np.linspace(-width / 2, width / 2, int(rng.integers(4, 8))):
            b.add(stick((x, depth / 2, seat), (x, depth / 2 + lean, back), 0.009, 5), wood)
        b.add(shifted(box(width, 0.025, 0.06), (0, depth / 2 + lean, back - 0.05)), wood)
    else:
        high = back - seat - 0.08
        mesh = cushion(width, 0.07, high, 0.3, 12) if padded else box(width, 0.02, high)
        b.add(shifted(mesh, (0, middle, seat + 0.08)), pad)
    return back


def sofa(b, width):
    """An armchair or a sofa that looks along -y, with cushions."""
    rng, stuff = b.rng, cloth(b)
    depth, seat, back = rng.uniform(0.8, 1.0), rng.uniform(0.36, 0.45), rng.uniform(0.7, 0.95)
    arm, power = rng.uniform(0.12, 0.24), rng.uniform(0.2, 0.45)
    b.add(cushion(width, depth, seat - 0.1, 0.2, 12), stuff)
    b.add(shifted(cushion(width, 0.26, back - 0.1, power), (0, depth / 2 - 0.12, 0.1)), stuff)
    for x in (-1, 1):
        b.add(shifted(cushion(arm, depth, rng.uniform(0.5, 0.62), power),
                      (x * (width / 2 - arm / 2), 0, 0)), stuff)
    count = max(1, round((width - 2 * arm) / 0.65))
    each = (width - 2 * arm) / count
    for i in range(count):
        x = -width / 2 + arm + each * (i + 0.5)
        b.add(shifted(cushion(each, depth - 0.2, 0.18, 0.3), (x, -0.1, seat - 0.12)), stuff)
    for _ in range(int(rng.integers(0, 4))):
        mesh = turned(cushion(0.42, 0.16, 0.4, 0.6), rng.normal(0, 0.4), rng.uniform(-0.6, -0.2))
        x = rng.uniform(-0.5, 0.5) * (width - 2 * arm - 0.4)
        b.add(shifted(mesh, (x, 0.12, seat + 0.05)), cloth(b))
    return back


def bed(b, width):
    """A bed with its head at +y: mattress, pillows, blanket."""
    rng, frame = b.rng, timber(b)
    b.add(shifted(box(width, 2.05, 0.12), (0, 0, 0.18)), frame)
    b.add(shifted(box(width + 0.06, 0.05, rng.uniform(0.7, 1.2)), (0, 1.04, 0)), frame)
    for x in (-1, 1):
        for y in (-0.95, 0.95):
            b.add(shifted(box(0.06, 0.06, 0.2), (x * (width / 2 - 0.05), y, 0)), frame)
    sheet = b.material("fabric", np.full(3, rng.uniform(0.6, 0.85)), 0.6)
    b.add(shifted(cushion(width, 2.0, 0.26, 0.15), (0, 0, 0.28)), sheet)
    cover = bumpy(cushion(width + 0.08, rng.uniform(1.1, 1.5), 0.28, 0.16, 26), rng, 0.02, 0.5)
    b.add(shifted(cover, (0, -0.35, 0.29)), cloth(b, 0.8))
    for x in ((0,) if width < 1.2 else (-width / 4, width / 4)):
        pillow = turned(cushion(width / 2 - 0.1 if x else 0.7, 0.45, 0.18, 0.55), 0, 0.3)
        b.add(shifted(pillow, (x, 0.72, 0.52)), sheet if rng.random() < 0.5 else cloth(b))
    return 0.55


def book_row(b, start, end, depth, height):
    """Books from x = start to end standing at z = 0, some leaning, some missing."""
    rng, x = b.rng, start + 0.01
    while x < end - 0.06:
        if rng.random() < 0.06:
            x += rng.uniform(0.05, 0.3)
            continue
        thick = rng.uniform(0.015, 0.05)
        tall = height * rng.uniform(0.55, 0.95)
        deep = depth * rng.uniform(0.6, 0.9)
        cover = b.material(None if rng.random() < 0.5 else "print_", paint(rng, 0.6, 0.45), 0.15)
        mesh = box(thick, deep, tall)
        if rng.random() < 0.08:
            mesh = turned(mesh, 0, 0, rng.uniform(0.1, 0.25))
            x += 0.2 * tall
        b.add(shifted(mesh, (x + thick / 2, -depth / 2 + deep / 2 + 0.02, 0)), cover)
        x += thick + 0.001


def shelf(b, width, height, depth):
    """A bookcase, open to -y, filled with books and things."""
    rng, wood = b.rng, timber(b)
    back = wood if rng.random() < 0.6 else b.material("plaster", paint(rng, 0.2, 0.6))
    number = b.instance()
    b.add(shifted(box(width, 0.02, height), (0, depth / 2, 0)), back)
    for x in (-width / 2, width / 2):
        b.add(shifted(box(0.025, depth, height), (x, 0, 0)), wood)
    count = max(2, int(height / rng.uniform(0.28, 0.42)))
    levels = np.linspace(0.05, height - 0.02, count)
    for z, above in zip(levels, [*levels[1:], levels[-1] + 0.35], strict=True):
        b.resume(number)
        b.add(shifted(box(width, depth, 0.022), (0, 0, z - 0.022)), wood)
        if above - z > 0.6 or (z == levels[-1] and rng.random() < 0.4):
            continue
        with b.inside((0, 0, z)):
            _fill_board(b, width, depth, above - z)


def _fill_board(b, width, depth, high):
    """Books and things on one board of a shelf."""
    rng, start = b.rng, -width / 2 + 0.02
    while start < width / 2 - 0.2:
        stop = min(width / 2 - 0.02, start + rng.uniform(0.25, 0.9))
        if rng.random() < 0.7:
            book_row(b, start, stop, depth, min(high, 0.36) - 0.02)
        else:
            with b.inside(((start + stop) / 2, 0, 0)):
                small_thing(b, min(high - 0.04, 0.3))
        start = stop


def cabinet(b, width, height, depth):
    """A chest, kitchen unit or wardrobe with doors or drawers to -y."""
    rng, wood = b.rng, timber(b)
    b.add(box(width, depth, height), wood)
    columns = max(1, round(width / rng.uniform(0.4, 0.6)))
    rows = 1 if rng.random() < 0.5 else max(1, round(height / rng.uniform(0.2, 0.4)))
    front = wood if rng.random() < 0.6 else timber(b)
    knob = steel(b)
    wide, high = width / columns, height / rows
    for i in range(columns):
        for k in range(rows):
            x, z = -width / 2 + wide * (i + 0.5), high * k
            b.add(shifted(box(wide - 0.015, 0.02, high - 0.015), (x, -depth / 2 - 0.01, z + 0.008)),
                  front)
            side = 0 if rows > 1 else (wide * 0.38 if i % 2 else -wide * 0.38)
            b.add(shifted(ellipsoid(0.03, 0.03, 0.03, 6), (x + side, -depth / 2 - 0.03,
                                                           z + high * 0.55)), knob)
    if rng.random() < 0.4:
        b.add(shifted(box(width + 0.03, depth + 0.04, 0.03), (0, -0.01, height)),
              b.material("marble", np.full(3, 0.9), 1.0, gloss=0.06))
        return height + 0.03
    return height


def lamp(b, height):
    """A standing or table lamp with a shade that glows a little."""
    rng = b.rng
    foot, shade = steel(b), rng.uniform(0.1, 0.22) * min(1.0, height / 0.8 + 0.4)
    b.add(cylinder(shade * 0.6, 0.02), foot)
    b.add(stick((0, 0, 0), (0, 0, height - shade), 0.012, 6), foot)
    warm = np.array([1.0, 0.82, 0.55]) * rng.uniform(0.5, 0.9)
    cover = b.material("fabric", warm, 0.3, glow=rng.uniform(0.0, 2.5), through=0.4)
    b.add(shifted(lathe([(shade, 0), (shade * rng.uniform(0.5, 1.0), shade * 1.4)], 20),
                  (0, 0, height - shade * 1.4)), cover)


def vase(b, height):
    """A vessel of random profile: bottle, vase, jug or bowl."""
    rng = b.rng
    z = np.linspace(0, 1, 9)
    radius = np.interp(z, np.linspace(0, 1, 5), rng.uniform(0.12, 0.5, 5))
    radius = np.convolve(np.pad(radius, 1, mode="edge"), [0.25, 0.5, 0.25], "valid") * height
    rim = radius[-1]
    outer = [(0, 0), *zip(radius, z * height, strict=True)]
    inner = [(rim * 0.9, height), (rim * 0.85, height * 0.6), (0, height * 0.55)]
    kind = rng.choice(["plaster", "marble", "peel", "weave", "metal"], p=[0.5, 0.12, 0.18, 0.1, 0.1])
    stuff = b.material(str(kind), paint(rng, 0.5, 0.6), 0.3, gloss=rng.uniform(0.02, 0.12),
                       power=rng.uniform(30, 200))
    b.add(lathe(outer + inner, 22), stuff)


def cup(b):
    """A mug with a handle, or a glass of drink."""
    rng, stuff = b.rng, glossy(b)
    radius, height = rng.uniform(0.03, 0.045), rng.uniform(0.07, 0.12)
    foot = radius * rng.uniform(0.7, 1.0)
    b.add(lathe([(0, 0), (foot, 0), (radius, height), (radius * 0.9, height),
                 (foot * 0.9, height * 0.8), (0, height * 0.78)], 20), stuff)
    if rng.random() < 0.7:
        angle = np.linspace(-1.3, 1.3, 7)
        path = np.stack([radius * 0.85 + 0.028 * np.cos(angle), np.zeros(7),
                         height * 0.5 + height * 0.32 * np.sin(angle)], 1)
        b.add(tube(path, 0.005, 6), stuff)


def fruit(b, size):
    """An apple, an orange, a lemon or a pear."""
    rng = b.rng
    tint = np.array([(0.6, 0.06, 0.04), (0.75, 0.3, 0.03), (0.8, 0.62, 0.08), (0.35, 0.5, 0.08)])
    colour = np.clip(tint[rng.integers(4)] * rng.uniform(0.7, 1.2), 0, 0.9)
    angle = np.linspace(-np.pi / 2, np.pi / 2, 12)
    pear = rng.uniform(-0.1, 0.35)
    radius = np.cos(angle) * (1 - pear * np.sin(angle)) * size / 2
    height = (np.sin(angle) + 1) * size / 2 * rng.uniform(0.85, 1.1 + pear)
    b.add(lathe(np.stack([radius, height], 1), 16),
          b.material("peel", colour, 0.15, gloss=0.04, power=60))
    b.add(stick((0, 0, height[-1] - 0.005), (0.004, 0, height[-1] + 0.015), 0.0025, 5),
          b.material("bark"))


def plate(b, radius):
    """A plate or a shallow bowl with something on it."""
    rng = b.rng
    deep = rng.uniform(0.15, 0.5) * radius
    b.add(lathe([(0, 0), (radius * 0.5, 0), (radius, deep), (radius * 0.95, deep + 0.004),
                 (radius * 0.5, 0.012), (0, 0.012)], 26), glossy(b, 0.25))
    for _ in range(int(rng.integers(0, 6))):
        with b.inside((*rng.normal(0, radius * 0.3, 2), 0.02)):
            if rng.random() < 0.6:
                fruit(b, rng.uniform(0.05, 0.08))
            else:
                loaf = bumpy(cushion(*rng.uniform(0.05, 0.12, 2), 0.05, 0.7), rng, 0.004, 0.05)
                b.add(loaf, b.material("peel", (0.55, 0.32, 0.13), 0.1))


def stack(b, width):
    """A pile of books or papers lying flat."""
    rng, z = b.rng, 0.0
    for _ in range(int(rng.integers(1, 7))):
        thick = rng.uniform(0.008, 0.05)
        size = width * rng.uniform(0.6, 1.0)
        cover = b.material("print_" if rng.random() < 0.4 else None, paint(rng, 0.6, 0.5), 0.3)
        pages = b.material("fabric", np.array([0.75, 0.7, 0.6]), 0.05)
        turn = rng.normal(0, 0.25)
        b.add(shifted(turned(box(size, size * 0.72, thick), turn), (0, 0, z)), cover)
        b.add(shifted(turned(box(size * 0.99, size * 0.725, thick * 0.7), turn),
                      (0, 0, z + thick * 0.15)), pages)
        z += thick


def screen(b, width):
    """A monitor, a television or a laptop, its picture to -y."""
    rng = b.rng
    dark = b.material(None, np.full(3, rng.uniform(0.01, 0.06)), gloss=0.05, power=80)
    height = width * 0.6
    picture = b.material(str(rng.choice(["print_", "painting"])), np.full(3, 0.6), glow=rng.uniform(0, 1))
    if rng.random() < 0.5:
        picture = b.material(None, np.full(3, 0.01), gloss=0.06, power=200)
    laptop = width < 0.45
    base = 0.02 if laptop else 0.1
    lean = 0.25 if laptop else 0.0
    panel = turned(shifted(box(width, 0.02, height), (0, 0, 0)), 0, -lean)
    glass = turned(quad((-width * 0.47, -0.011, height * 0.05), (width * 0.94, 0, 0),
                        (0, 0, height * 0.9), False), 0, -lean)
    b.add(shifted(panel, (0, 0.1, base)), dark)
    b.add(shifted(glass, (0, 0.1, base)), picture)
    if laptop:
        b.add(shifted(box(width, width * 0.68, 0.018), (0, -width * 0.34 + 0.1, 0)), steel(b))
        b.add(shifted(box(width * 0.9, width * 0.3, 0.003), (0, -width * 0.25 + 0.1, 0.018)), dark)
    else:
        b.add(box(width * 0.4, 0.2, 0.015), dark)
        b.add(stick((0, 0.12, 0), (0, 0.12, 0.2), 0.02, 6), dark)


def carton(b, size):
    """A cardboard, gift or product box, perhaps open."""
    rng = b.rng
    tint = (0.5, 0.36, 0.22) if rng.random() < 0.5 else paint(rng, 0.6, 0.5)
    kind = "print_" if rng.random() < 0.4 else "fabric"
    stuff = b.material(kind, np.asarray(tint), size * 1.5)
    b.add(turned(box(size * rng.uniform(0.6, 1.2), size * rng.uniform(0.5, 1),
                     size * rng.uniform(0.4, 1.1)), rng.uniform(0, 6)), stuff)


def basket(b, radius):
    """A wicker basket or bucket."""
    high = radius * b.rng.uniform(0.8, 1.6)
    b.add(lathe([(0, 0), (radius * 0.8, 0), (radius, high), (radius * 0.93, high), (0, high * 0.5)],
                20), b.material("wicker", np.full(3, 0.9), 0.3))


def toy(b, size):
    """Blocks, a ball, or a teddy-like figure of balls."""
    rng, style = b.rng, b.rng.integers(3)
    if style == 0:
        kind = b.material("weave" if rng.random() < 0.5 else None, paint(rng, 0.7, 0.6), size,
                          gloss=0.03)
        b.add(shifted(ellipsoid(size, size, size, 20), (0, 0, size / 2)), kind)
        return
    if style == 1:
        for _ in range(int(rng.integers(2, 6))):
            s = size * rng.uniform(0.25, 0.45)
            spot = (*rng.normal(0, size * 0.4, 2), 0)
            b.add(shifted(turned(box(s, s, s), rng.uniform(0, 6)), spot), glossy(b, 0.8))
        return
    plush = b.material("fur", paint(rng, 0.5, 0.5), 0.3, contrast=0.5)
    balls = [(0, 0, 0.3, 0.42, 0.5), (0, 0, 0.7, 0.36, 0.34), (0.14, 0, 0.86, 0.13, 0.13),
             (-0.14, 0, 0.86, 0.13, 0.13), (0.2, -0.12, 0.1, 0.18, 0.3), (-0.2, -0.12, 0.1, 0.18, 0.3),
             (0.25, -0.05, 0.45, 0.13, 0.25), (-0.25, -0.05, 0.45, 0.13, 0.25),
             (0, -0.17, 0.66, 0.14, 0.12)]
    for x, y, z, wide, high in balls:
        mesh = ellipsoid(wide * size, wide * size, high * size, 12)
        b.add(shifted(mesh, (x * size, y * size, z * size)), plush)


def pot_plant(b, height):
    """A plant in a pot: leaves on bent stems."""
    rng = b.rng
    pot = height * rng.uniform(0.2, 0.35)
    b.add(lathe([(0, 0), (pot * 0.4, 0), (pot * 0.55, pot), (pot * 0.48, pot), (0, pot * 0.85)]),
          glossy(b, 0.3))
    kind = str(rng.choice(["leaves", "leaves", "flowers", "tuft"]))
    foliage = b.material(kind, np.full(3, rng.uniform(0.6, 1.0)), cutout=1, through=0.35)
    count = int(rng.integers(16, 40))
    direction = rng.normal(0, 1, (count, 3)) * [1, 1, 0.6] + [0, 0, 0.5]
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    reach = (height - pot) * rng.uniform(0.25, 0.55, (count, 1))
    centres = np.array([0, 0, pot + (height - pot) * 0.4]) + direction * reach
    b.add(leaf_cards(rng, centres, direction, (height - pot) * rng.uniform(0.35, 0.6)), foliage)
    stem = b.material("foliage", np.full(3, 0.5))
    for i in range(min(count, 6)):
        b.add(stick((0, 0, pot * 0.8), centres[i], 0.004, 5), stem)


def small_thing(b, height):
    """Any object up to this height, for shelves and table tops."""
    rng, choice = b.rng, b.rng.random()
    b.instance()
    if choice < 0.3:
        vase(b, height * rng.uniform(0.4, 1.0))
    elif choice < 0.42:
        carton(b, height * 0.8)
    elif choice < 0.52:
        stack(b, min(0.28, height * 1.2))
    elif choice < 0.62:
        toy(b, height * rng.uniform(0.5, 0.95))
    elif choice < 0.7:
        pot_plant(b, height)
    elif choice < 0.8:
        cup(b)
    elif choice < 0.86:
        basket(b, height * 0.4)
    elif choice < 0.94:
        fruit(b, 0.075)
    else:
        plate(b, min(0.14, height))


def curtain(b, width, height):
    """A hanging curtain along x, wavy in y, its top at `height`."""
    rng = b.rng
    x = np.linspace(-width / 2, width / 2, 40)
    wave = 0.045 * np.sin(x * rng.uniform(25, 45) + rng.uniform(0, 6)) + 0.015 * np.sin(x * 71)
    z = np.linspace(height, 0.03, 5)
    points = np.stack(np.broadcast_arrays(x[None], wave[None] * np.linspace(0.7, 1.1, 5)[:, None],
                                          z[:, None]), -1)
    b.add(grid(points), b.material("fabric" if rng.random() < 0.6 else "weave",
                                   paint(rng, 0.4, 0.6), 0.4, through=0.3))


def picture(b, width, height):
    """A framed picture facing -y, centred at the origin."""
    rng, frame = b.rng, timber(b)
    b.add(shifted(box(width, 0.03, height), (0, 0, -height / 2)), frame)
    rim = rng.uniform(0.015, 0.06)
    kind = "photo" if "photo" in b.textures.kinds and rng.random() < 0.8 else "painting"
    canvas = b.material(kind, np.full(3, rng.uniform(0.6, 1)), gloss=rng.choice([0.0, 0.04]),
                        power=200)
    b.add(quad((-width / 2 + rim, -0.018, -height / 2 + rim), (width - 2 * rim, 0, 0),
               (0, 0, height - 2 * rim), False), canvas)


def pendant(b, drop):
    """A lamp on a cable below the origin, which is a point of the ceiling."""
    rng, size = b.rng, b.rng.uniform(0.12, 0.35)
    b.add(stick((0, 0, 0), (0, 0, -drop), 0.006, 5), b.material(None, (0.03, 0.03, 0.03)))
    shade = b.material("plaster", paint(rng, 0.4, 0.7), glow=rng.uniform(0, 1.5), gloss=0.04)
    if rng.random() < 0.5:
        mesh = lathe([(size * 0.15, 0), (size, -size * rng.uniform(0.4, 1.2))], 24)
    else:
        mesh = ellipsoid(size * 1.4, size * 1.4, size * rng.uniform(0.8, 1.4), 20)
    b.add(shifted(mesh, (0, 0, -drop)), shade)
