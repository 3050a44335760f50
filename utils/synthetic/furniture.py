"""Furniture, built from a few meshes each. All stands on z = 0 in the builder's frame."""

import numpy as np

from utils.synthetic.mesh import (
    Builder,
    box,
    bumpy,
    cushion,
    cylinder,
    ellipsoid,
    lathe,
    quad,
    shifted,
    stick,
    tube,
    turned,
)
from utils.synthetic.stuff import cloth, paint, steel, timber
from utils.synthetic.things import small_thing


def table(b: Builder, width: float, depth: float, height: float) -> float:
    """A table with four legs, two sides or one foot; returns the height of its top."""
    rng, wood = b.rng, timber(b)
    thick = rng.uniform(0.02, 0.06)
    style = rng.integers(3)
    if style == 2 and abs(width - depth) < 0.5:
        b.add(shifted(cylinder(width / 2, thick, 30), (0, 0, height - thick)), wood)
        b.add(
            lathe(
                [
                    (0, 0),
                    (width / 4, 0),
                    (width / 4, 0.03),
                    (0.05, 0.08),
                    (0.04, height * 0.6),
                    (0.07, height - thick),
                ]
            ),
            timber(b),
        )
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
        b.add(
            shifted(box(width - 2 * inset, depth - 2 * inset, 0.09), (0, 0, height - thick - 0.09)),
            legs,
        )
    return height


def chair(b: Builder) -> float:
    """A chair with slats, a solid back or upholstery; it looks along -y."""
    rng = b.rng
    wood = timber(b) if rng.random() < 0.75 else steel(b)
    width, depth, seat, back = (
        rng.uniform(0.38, 0.48),
        rng.uniform(0.38, 0.48),
        rng.uniform(0.42, 0.48),
        rng.uniform(0.82, 1.05),
    )
    leg, lean = rng.uniform(0.014, 0.024), rng.uniform(0.02, 0.1)
    for x in (-width / 2, width / 2):
        b.add(stick((x, -depth / 2, 0), (x, -depth / 2, seat), leg, 6), wood)
        b.add(
            tube(
                [(x, depth / 2 + lean, 0), (x, depth / 2, seat), (x, depth / 2 + lean, back)],
                leg,
                6,
            ),
            wood,
        )
    padded = rng.random() < 0.5
    pad = cloth(b) if padded else wood
    mesh = (
        cushion(width + 0.04, depth + 0.04, 0.07, 0.3, 12)
        if padded
        else box(width + 0.04, depth + 0.04, 0.025)
    )
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


def sofa(b: Builder, width: float) -> float:
    """An armchair or a sofa that looks along -y, with cushions."""
    rng, stuff = b.rng, cloth(b)
    depth, seat, back = rng.uniform(0.8, 1.0), rng.uniform(0.36, 0.45), rng.uniform(0.7, 0.95)
    arm, power = rng.uniform(0.12, 0.24), rng.uniform(0.2, 0.45)
    b.add(cushion(width, depth, seat - 0.1, 0.2, 12), stuff)
    b.add(shifted(cushion(width, 0.26, back - 0.1, power), (0, depth / 2 - 0.12, 0.1)), stuff)
    for x in (-1.0, 1.0):
        b.add(
            shifted(
                cushion(arm, depth, rng.uniform(0.5, 0.62), power),
                (x * (width / 2 - arm / 2), 0, 0),
            ),
            stuff,
        )
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


def bed(b: Builder, width: float) -> float:
    """A bed with its head at +y: mattress, pillows, blanket."""
    rng, frame = b.rng, timber(b)
    b.add(shifted(box(width, 2.05, 0.12), (0, 0, 0.18)), frame)
    b.add(shifted(box(width + 0.06, 0.05, rng.uniform(0.7, 1.2)), (0, 1.04, 0)), frame)
    for x in (-1.0, 1.0):
        for y in (-0.95, 0.95):
            b.add(shifted(box(0.06, 0.06, 0.2), (x * (width / 2 - 0.05), y, 0)), frame)
    sheet = b.material("fabric", np.full(3, rng.uniform(0.6, 0.85)), 0.6)
    b.add(shifted(cushion(width, 2.0, 0.26, 0.15), (0, 0, 0.28)), sheet)
    cover = bumpy(cushion(width + 0.08, rng.uniform(1.1, 1.5), 0.28, 0.16, 26), rng, 0.02, 0.5)
    b.add(shifted(cover, (0, -0.35, 0.29)), cloth(b, 0.8))
    for x in (0.0,) if width < 1.2 else (-width / 4, width / 4):
        pillow = turned(cushion(width / 2 - 0.1 if x else 0.7, 0.45, 0.18, 0.55), 0, 0.3)
        b.add(shifted(pillow, (x, 0.72, 0.52)), sheet if rng.random() < 0.5 else cloth(b))
    return 0.55


def book_row(b: Builder, start: float, end: float, depth: float, height: float) -> None:
    """Books from x = start to end standing at z = 0, some leaning, some missing."""
    rng, x = b.rng, start + 0.01
    while x < end - 0.06:
        if rng.random() < 0.06:
            x += rng.uniform(0.05, 0.3)
            continue
        thick = rng.uniform(0.015, 0.05)
        tall = height * rng.uniform(0.55, 0.95)
        deep = depth * rng.uniform(0.6, 0.9)
        cover = b.material(None if rng.random() < 0.5 else "print", paint(rng, 0.6, 0.45), 0.15)
        mesh = box(thick, deep, tall)
        if rng.random() < 0.08:
            mesh = turned(mesh, 0, 0, rng.uniform(0.1, 0.25))
            x += 0.2 * tall
        b.add(shifted(mesh, (x + thick / 2, -depth / 2 + deep / 2 + 0.02, 0)), cover)
        x += thick + 0.001


def shelf(b: Builder, width: float, height: float, depth: float) -> None:
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


def cabinet(b: Builder, width: float, height: float, depth: float) -> float:
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
            b.add(
                shifted(box(wide - 0.015, 0.02, high - 0.015), (x, -depth / 2 - 0.01, z + 0.008)),
                front,
            )
            side = 0 if rows > 1 else (wide * 0.38 if i % 2 else -wide * 0.38)
            b.add(
                shifted(
                    ellipsoid(0.03, 0.03, 0.03, 6), (x + side, -depth / 2 - 0.03, z + high * 0.55)
                ),
                knob,
            )
    if rng.random() < 0.4:
        b.add(
            shifted(box(width + 0.03, depth + 0.04, 0.03), (0, -0.01, height)),
            b.material("marble", np.full(3, 0.9), 1.0, gloss=0.06),
        )
        return height + 0.03
    return height


def kitchen(b: Builder, width: float, depth: float) -> float:
    """A counter with doors, a sink or a hob, cupboards above; returns the height of its top."""
    rng = b.rng
    top = cabinet(b, width, 0.88, depth)
    slab = b.material("marble", np.full(3, rng.uniform(0.1, 0.9)), 1.0, gloss=0.06, power=80)
    b.add(shifted(box(width + 0.02, depth + 0.05, 0.035), (0, -0.015, top)), slab)
    metal, x = steel(b), rng.uniform(-0.25, 0.25) * width
    if rng.random() < 0.5:
        b.add(shifted(box(0.5, 0.4, 0.004), (x, 0, top + 0.036)), metal)
        bend = [(x, 0.2, top), (x, 0.2, top + 0.25), (x, 0.1, top + 0.32), (x, 0.0, top + 0.26)]
        b.add(tube(bend, 0.014, 8), metal)
    else:
        dark = b.material(None, np.full(3, 0.015), gloss=0.08, power=200)
        b.add(shifted(box(0.56, 0.48, 0.008), (x, 0, top + 0.036)), dark)
        b.add(shifted(box(0.56, 0.03, 0.5), (x, -depth / 2 - 0.03, 0.2)), dark)
    if rng.random() < 0.6:
        with b.inside((rng.uniform(-0.1, 0.1) * width, depth / 2 - 0.17, rng.uniform(1.35, 1.5))):
            cabinet(b, width * rng.uniform(0.6, 1.0), rng.uniform(0.5, 0.8), 0.34)
    if rng.random() < 0.35:
        white = b.material("plaster", np.full(3, rng.uniform(0.4, 0.85)), gloss=0.05, power=80)
        with b.inside((width / 2 - 0.3, -0.01, 0)):
            b.add(cushion(0.62, depth + 0.06, rng.uniform(1.5, 1.85), 0.12, 16), white)
            b.add(
                stick((-0.25, -depth / 2 - 0.06, 0.9), (-0.25, -depth / 2 - 0.06, 1.3), 0.012),
                metal,
            )
    return top + 0.036


def picture(b: Builder, width: float, height: float) -> None:
    """A framed picture facing -y, centred at the origin."""
    rng, frame = b.rng, timber(b)
    b.add(shifted(box(width, 0.03, height), (0, 0, -height / 2)), frame)
    rim = rng.uniform(0.015, 0.06)
    kind = "painting"
    canvas = b.material(
        kind, np.full(3, rng.uniform(0.6, 1)), gloss=rng.choice([0.0, 0.04]), power=200
    )
    b.add(
        quad(
            (-width / 2 + rim, -0.018, -height / 2 + rim),
            (width - 2 * rim, 0, 0),
            (0, 0, height - 2 * rim),
            False,
        ),
        canvas,
    )


def pendant(b: Builder, drop: float) -> None:
    """A lamp on a cable below the origin, which is a point of the ceiling."""
    rng, size = b.rng, b.rng.uniform(0.12, 0.35)
    b.add(stick((0, 0, 0), (0, 0, -drop), 0.006, 5), b.material(None, (0.03, 0.03, 0.03)))
    shade = b.material("plaster", paint(rng, 0.4, 0.7), glow=rng.uniform(0, 1.5), gloss=0.04)
    if rng.random() < 0.5:
        mesh = lathe([(size * 0.15, 0), (size, -size * rng.uniform(0.4, 1.2))], 24)
    else:
        mesh = ellipsoid(size * 1.4, size * 1.4, size * rng.uniform(0.8, 1.4), 20)
    b.add(shifted(mesh, (0, 0, -drop)), shade)
