"""Recipes of man-made textures: each draws one tileable picture from a random generator."""

import cv2
import numpy as np

from utils.synthetic.noise import GRID, SIZE, cells, fractal, grey, hue, palette, ramp


def noise(rng: np.random.Generator) -> np.ndarray:
    """Fractal noise, grey; the first one is the dirt of every material."""
    return grey(fractal(rng, 2.0))


def plaster(rng: np.random.Generator) -> np.ndarray:
    """Nearly even wall paint."""
    return grey(0.93 + 0.06 * (fractal(rng, 2.2) - 0.5) + 0.06 * (fractal(rng, 0.3) - 0.5))


def wallpaper(rng: np.random.Generator) -> np.ndarray:
    """Stripes, damask-like symmetric noise or little motifs on a light ground."""
    style = rng.integers(3)
    ground, ink = 0.9 + 0.1 * hue(rng, 0.3, 0.9), hue(rng, 0.35, 0.7)
    if style == 0:
        wave = np.sin(GRID[..., 0] * 2 * np.pi * rng.integers(4, 14))
        mask = np.clip(wave * rng.uniform(1, 8) + rng.uniform(-0.7, 0.7), -1, 1) * 0.5 + 0.5
    else:
        field = fractal(rng, 2.2, lowest=3 if style == 1 else 6)
        field = field + field[:, ::-1]
        mask = np.clip((field - 1.05) * 12, 0, 1)
    mask = (mask * rng.uniform(0.1, 0.5))[..., None]
    return np.clip(ground * (1 - mask) + ink * mask, 0, 1)


def _wood_grain(rng):
    """Grain along the rows: (SIZE, SIZE) in [0, 1]."""
    bend = fractal(rng, 2.4, (3.0, 1.0)) * rng.uniform(1, 5)
    rings = np.sin((GRID[..., 1] * rng.integers(3, 12) + bend) * 2 * np.pi)
    fine = fractal(rng, 0.8, (12.0, 1.0))
    strong = rng.uniform(0.3, 1.0)
    return np.clip(0.5 + strong * (0.2 * rings + 0.9 * (fine - 0.5)), 0, 1)


_WOODS = (
    ((0.36, 0.2, 0.1), (0.6, 0.38, 0.2)),
    ((0.5, 0.33, 0.18), (0.78, 0.58, 0.36)),
    ((0.68, 0.52, 0.34), (0.9, 0.77, 0.58)),
    ((0.22, 0.13, 0.09), (0.4, 0.25, 0.16)),
    ((0.5, 0.47, 0.43), (0.72, 0.69, 0.63)),
    ((0.42, 0.24, 0.16), (0.64, 0.41, 0.27)),
)


def wood(rng: np.random.Generator) -> np.ndarray:
    """A board with its grain along u."""
    dark, light = _WOODS[rng.integers(len(_WOODS))]
    return ramp(_wood_grain(rng), dark, light)


def planks(rng: np.random.Generator) -> np.ndarray:
    """Boards laid along u with gaps and joints, each of its own shade."""
    rows = int(rng.choice([4, 6, 8]))
    dark, light = _WOODS[rng.integers(len(_WOODS))]
    grain = _wood_grain(rng)
    row = (GRID[..., 1] * rows).astype(int)
    shift = rng.uniform(0, 1, rows)[row]
    along = (GRID[..., 0] + shift) * 2
    board = (row * 2 + along.astype(int) % 2) % (2 * rows)
    shade = rng.uniform(-0.28, 0.28, 2 * rows)[board]
    gap = np.minimum(GRID[..., 1] * rows % 1, 1 - GRID[..., 1] * rows % 1) / rows
    joint = np.minimum(along % 1, 1 - along % 1) / 2
    line = np.clip(np.minimum(gap, joint) * SIZE / 1.4, 0, 1)[..., None]
    rolled = np.take_along_axis(grain, ((GRID[..., 0] + shift) * SIZE).astype(int) % SIZE, 1)
    return ramp(np.clip(rolled + shade, 0, 1), dark, light) * (0.35 + 0.65 * line)


def brick(rng: np.random.Generator) -> np.ndarray:
    """Courses of bricks in mortar."""
    rows = int(rng.choice([8, 12, 16]))
    columns = rows // 2
    y = GRID[..., 1] * rows
    x = GRID[..., 0] * columns + 0.5 * (y.astype(int) % 2)
    index = (y.astype(int) * columns + x.astype(int) % columns) % (rows * columns)
    shade = rng.normal(0, 0.13, rows * columns)[index] + 0.5 * (fractal(rng, 1.2) - 0.5)
    clays = [
        ((0.45, 0.2, 0.15), (0.72, 0.4, 0.3)),
        ((0.5, 0.42, 0.33), (0.8, 0.72, 0.6)),
        ((0.3, 0.18, 0.15), (0.52, 0.34, 0.28)),
        ((0.6, 0.58, 0.55), (0.88, 0.86, 0.83)),
    ]
    dark, light = clays[rng.integers(len(clays))]
    edge = np.minimum(np.minimum(x % 1, 1 - x % 1) * 2, np.minimum(y % 1, 1 - y % 1))
    mask = np.clip((edge - 0.06) * 16, 0, 1)[..., None]
    mortar = grey(rng.uniform(0.5, 0.8) + 0.2 * (fractal(rng, 0.8) - 0.5))
    lower = np.clip((y % 1 - 0.75) * 3, 0, 1)[..., None]
    return (
        ramp(np.clip(0.5 + shade, 0, 1), dark, light) * mask * (1 - 0.25 * lower)
        + mortar * (1 - mask) * 0.9
    )


def tiles(rng: np.random.Generator) -> np.ndarray:
    """Square tiles with joints; plain, two-coloured or each of its own shade."""
    count = int(rng.choice([2, 4, 6, 8]))
    cell = (GRID * count).astype(int)
    first, second = hue(rng, 0.25, 0.85), hue(rng, 0.3, 0.6)
    style = rng.integers(3)
    parity = ((cell[..., 0] + cell[..., 1]) % 2)[..., None]
    colour = (
        first * (1 - parity) + second * parity
        if style == 0
        else np.broadcast_to(first, (SIZE, SIZE, 3))
    )
    shade = rng.normal(0, 0.1 if style == 2 else 0.03, (count + 1, count + 1))
    shade = shade[cell[..., 1], cell[..., 0]] + 0.2 * (fractal(rng, 2.0) - 0.5)
    edge = np.minimum(GRID * count % 1, 1 - GRID * count % 1).min(axis=-1) / count * SIZE
    joint = np.clip(edge / 1.6, 0, 1)[..., None]
    return np.clip(colour + shade[..., None], 0, 1) * joint + rng.uniform(0.3, 0.7) * (1 - joint)


def concrete(rng: np.random.Generator) -> np.ndarray:
    """Stained grey with pores."""
    pores = np.clip((fractal(rng, 0.2) - 0.78) * 3, 0, 1)
    return grey(0.68 + 0.45 * (fractal(rng, 1.9) - 0.5) - 0.5 * pores)


def fabric(rng: np.random.Generator) -> np.ndarray:
    """Woven threads, grey."""
    count = int(rng.choice([24, 32, 48, 64]))
    x, y = (np.sin(GRID[..., k] * 2 * np.pi * count) for k in (0, 1))
    weave = np.where((x * y) > 0, np.abs(x), np.abs(y))
    return grey(0.84 + 0.2 * (weave - 0.5) + 0.14 * (fractal(rng, 1.6) - 0.5))


def rug(rng: np.random.Generator) -> np.ndarray:
    """A carpet with a symmetric pattern in several colours."""
    field = fractal(rng, 2.0, lowest=2)
    field = field + field[:, ::-1] + field[::-1] + field[::-1, ::-1]
    field = (field - field.min()) / np.ptp(field)
    colours = palette(rng, int(rng.integers(3, 6)), 0.6)
    steps = (field * len(colours) * 2).astype(int) % len(colours)
    frame = np.abs(GRID - 0.5).max(axis=-1)
    steps = np.where((frame > 0.42) & (frame < 0.46), 0, steps)
    return np.asarray(colours)[steps] * (0.75 + 0.5 * fractal(rng, 0.4))[..., None]


def weave(rng: np.random.Generator) -> np.ndarray:
    """Clothes: stripes, checks or dots in two or three colours."""
    style = rng.integers(4)
    ground, first, second = palette(rng, 3, 0.6)
    count = rng.integers(3, 12)
    across = (GRID[..., 0] * count % 1 < rng.uniform(0.2, 0.6))[..., None]
    down = (GRID[..., 1] * count % 1 < rng.uniform(0.2, 0.6))[..., None]
    if style == 0:
        out = np.where(across, ground, first)
    elif style == 1:
        out = np.where(across, ground, first) * 0.5 + np.where(down, ground, second) * 0.5
    elif style == 2:
        centre = np.hypot(*np.moveaxis(GRID * count % 1 - 0.5, -1, 0))
        out = np.where((centre < 0.27)[..., None], first, ground)
    else:
        out = ramp(fractal(rng, 2.2, lowest=2), ground, first, second)
    return out * (0.8 + 0.4 * fractal(rng, 0.5))[..., None]


def _view(rng):
    """A small landscape: sky, hills one behind the other, each darker and warmer than the last."""
    sky = [np.array([0.45, 0.6, 0.85]), np.array([0.85, 0.88, 0.9])]
    if rng.random() < 0.3:
        sky = [np.array([0.4, 0.4, 0.6]), np.array([0.95, 0.7, 0.45])]
    out = ramp(np.clip(GRID[..., 1] * 1.6 + 0.5 * (fractal(rng, 2.2) - 0.5), 0, 1), *sky)
    near, far = hue(rng, 0.5, 0.3), sky[1] * 0.8
    count = int(rng.integers(2, 6))
    for i in range(count):
        ridge = fractal(rng, 2.4)[int(rng.integers(SIZE))]
        level = 0.35 + 0.55 * (i + 0.5) / count + 0.25 * (ridge - 0.5)
        mask = (GRID[..., 1] > level[None])[..., None]
        colour = far + (near - far) * (i + 1) / count
        shade = (0.7 + 0.6 * fractal(rng, 1.4))[..., None]
        out = np.where(mask, colour * shade, out)
    return out


def painting(rng: np.random.Generator) -> np.ndarray:
    """Something to hang on a wall: a landscape of bands, blobs of paint, or shapes."""
    style = rng.integers(3)
    colours = palette(rng, 6, 0.7)
    if style == 0:
        out = _view(rng)
    elif style == 1:
        out = ramp(np.clip(fractal(rng, 2.4) * 1.6 - 0.3, 0, 1), *colours)
    else:
        out = np.full((SIZE, SIZE, 3), colours[0], np.float32)
        for _ in range(int(rng.integers(3, 12))):
            centre = tuple(int(v) for v in rng.integers(20, SIZE - 20, 2))
            axes = tuple(int(v) for v in rng.integers(8, 70, 2))
            colour = [float(v) for v in colours[rng.integers(6)]]
            cv2.ellipse(out, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    out = out * (0.8 + 0.4 * fractal(rng, 1.0))[..., None]
    mat = np.abs(GRID - 0.5).max(axis=-1) > rng.uniform(0.4, 0.56)
    return np.where(mat[..., None], rng.uniform(0.75, 0.95), out)


def printed(rng: np.random.Generator) -> np.ndarray:
    """A page, a label or a screen: blocks of lines and a picture."""
    out = np.full((SIZE, SIZE, 3), 0.93, np.float32) * (0.7 + 0.3 * hue(rng, 0.3, 0.9))
    ink = hue(rng, 0.5, 0.25)
    y = 12
    while y < SIZE - 20:
        if rng.random() < 0.18:
            height = int(rng.integers(24, 90))
            colour = ramp(fractal(rng, 2.2)[:height], hue(rng), hue(rng), hue(rng))
            out[y : y + height, 14 : SIZE - 14] = colour[: SIZE - y, 14 : SIZE - 14]
            y += height + 8
            continue
        height = int(rng.integers(2, 6)) if rng.random() < 0.8 else int(rng.integers(10, 22))
        x = 14
        while x < SIZE - 14 - rng.integers(0, 60):
            word = int(rng.integers(6, 30))
            out[y : y + height, x : min(x + word, SIZE - 14)] = ink
            x += word + 5
        y += int(height * 2.1) + 2
    return out


def asphalt(rng: np.random.Generator) -> np.ndarray:
    """Road surface with patches and cracks, or gravel."""
    crack = np.abs(fractal(rng, 2.2) - 0.5) < 0.006
    out = 0.42 + 0.25 * (fractal(rng, 2.0) - 0.5) + 0.3 * (fractal(rng, 0.0) - 0.5)
    return grey(np.where(crack, out * 0.6, out)) * (0.95 + 0.05 * hue(rng, 0.3, 1.0))


def paving(rng: np.random.Generator) -> np.ndarray:
    """Irregular stones in joints."""
    first, second, index = cells(rng, int(rng.integers(20, 90)))
    joint = np.clip((second - first) * SIZE / 4 - 0.3, 0, 1)[..., None]
    shade = rng.uniform(0.4, 0.8, 100)[index] + 0.3 * (fractal(rng, 1.4) - 0.5)
    warm = 1 - rng.uniform(0, 0.25) * np.array([0, 0.5, 1])
    return np.clip(shade[..., None] * warm * (0.4 + 0.6 * joint), 0, 1)


def metal(rng: np.random.Generator) -> np.ndarray:
    """Brushed, slightly stained, grey."""
    return grey(
        0.7 + 0.25 * (fractal(rng, 0.4, (20.0, 1.0)) - 0.5) + 0.2 * (fractal(rng, 2.2) - 0.5) * 0.5
    )


def wicker(rng: np.random.Generator) -> np.ndarray:
    """Basket work."""
    count = int(rng.choice([10, 14, 20]))
    x, y = GRID[..., 0] * count, GRID[..., 1] * count
    over = np.where((x.astype(int) + y.astype(int)) % 2, x % 1, y % 1)
    tone = np.sin(over * np.pi) * (0.75 + 0.5 * (fractal(rng, 1.0) - 0.5))
    dark, light = _WOODS[rng.integers(len(_WOODS))]
    return ramp(np.clip(tone, 0, 1), np.asarray(dark) * 0.5, light)


def facade(rng: np.random.Generator) -> np.ndarray:
    """Four by four windows of a house front with frames, sills and curtains."""
    tone = np.array([1.0, rng.uniform(0.82, 0.99), rng.uniform(0.6, 1.0)]) * rng.uniform(0.4, 0.9)
    if rng.random() < 0.25:
        tone = hue(rng, 0.2, 0.7)
    wall = ramp(fractal(rng, 2.0), tone * 0.85, np.minimum(tone * 1.1, 1))
    if rng.random() < 0.4:
        wall = brick(rng)
    columns, rows = int(rng.choice([4, 6, 8])), 4
    cell = np.array([SIZE // columns, SIZE // rows])
    margin = rng.uniform(0.12, 0.3, 2)
    for row in range(rows):
        for column in range(columns):
            low = (np.array([column, row]) + margin) * cell
            high = (np.array([column, row]) + 1 - margin * [1, 0.7]) * cell
            _window(wall, rng, low.astype(int), high.astype(int))
    return wall


def _window(wall, rng, low, high):
    """Draw one window into a front: glass, curtain, frame, bar, sill and the shadow above."""
    (left, top), (right, bottom) = low, high
    glass = np.linspace(rng.uniform(0.25, 0.55), rng.uniform(0.1, 0.25), bottom - top)
    tint = np.array([0.85, 0.95, 1.05])
    wall[top:bottom, left:right] = glass[:, None, None] * tint
    if rng.random() < 0.4:
        stop = top + int((bottom - top) * rng.uniform(0.2, 0.9))
        wall[top:stop, left:right] = wall[top:stop, left:right] * 0.4 + 0.5 * hue(rng, 0.15, 0.8)
    frame = 0.85 if rng.random() < 0.8 else 0.3
    wall[top:bottom, [left, right - 1]] = frame
    wall[[top, bottom - 1], left:right] = frame
    wall[top:bottom, (left + right) // 2] = frame
    wall[top : top + 2, left:right] *= 0.5
    wall[bottom : bottom + 2, left - 1 : right + 1] = 0.8
    wall[bottom + 2 : bottom + 4, left - 1 : right + 1] *= 0.6


def lattice(rng: np.random.Generator) -> np.ndarray:
    """Cut-out fence, net, railing or blinds, grey."""
    count = int(rng.choice([4, 6, 8]))
    style = rng.integers(3)
    x, y = GRID[..., 0] * count, GRID[..., 1] * count
    if style == 0:
        x, y = x + y, x - y
    bars = np.abs(x % 1 - 0.5) < rng.uniform(0.06, 0.16)
    if style < 2:
        bars |= np.abs(y % 1 - 0.5) < 0.08
    out = np.full((SIZE, SIZE, 4), 0.8, np.float32)
    out[..., 3] = bars
    return out


def blinds(rng: np.random.Generator) -> np.ndarray:
    """Cut-out slats along u, grey, lit from above."""
    slat = GRID[..., 1] * 8 % 1
    out = np.repeat((0.95 - 0.25 * slat)[..., None], 4, axis=2)
    out[..., 3] = slat < rng.uniform(0.5, 0.95)
    return out


RECIPES = {
    "noise": (noise, 2),
    "plaster": (plaster, 3),
    "wallpaper": (wallpaper, 8),
    "wood": (wood, 8),
    "planks": (planks, 7),
    "brick": (brick, 6),
    "tiles": (tiles, 7),
    "concrete": (concrete, 4),
    "fabric": (fabric, 6),
    "rug": (rug, 6),
    "weave": (weave, 10),
    "painting": (painting, 14),
    "print": (printed, 8),
    "asphalt": (asphalt, 5),
    "paving": (paving, 4),
    "metal": (metal, 3),
    "wicker": (wicker, 4),
    "facade": (facade, 12),
    "lattice": (lattice, 4),
    "blinds": (blinds, 3),
}
"""Kind -> (recipe, number of variants)."""
