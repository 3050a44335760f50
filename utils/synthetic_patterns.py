"""Recipes of the synthetic textures: each draws one tileable picture from a random generator."""

import cv2
import numpy as np

SIZE = 256
RECIPES = {}
"""Name -> (recipe, number of variants). The first texture of the library is plain noise."""

_GRID = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=-1).astype(np.float32) / SIZE


def _recipe(count):
    """Register a drawing function under its own name with a number of variants."""

    def register(function):
        RECIPES[function.__name__] = (function, count)
        return function

    return register


def _fractal(rng, beta=1.8, stretch=(1.0, 1.0), lowest=1.0):
    """Tileable noise with spectrum 1/f^beta, (SIZE, SIZE) with mean 0.5, spread about 0..1."""
    fy = np.fft.fftfreq(SIZE)[:, None] * SIZE * stretch[1]
    fx = np.fft.rfftfreq(SIZE)[None] * SIZE * stretch[0]
    frequency = np.hypot(fx, fy)
    amplitude = np.where(frequency >= lowest, np.maximum(frequency, 1e-3) ** (-beta / 2 - 0.5), 0)
    phase = rng.uniform(0, 2 * np.pi, amplitude.shape)
    noise = np.fft.irfft2(amplitude * np.exp(1j * phase), s=(SIZE, SIZE))
    return np.clip(0.5 + 0.22 * noise / noise.std(), 0, 1).astype(np.float32)


def _cells(rng, count):
    """Tileable Voronoi diagram: (first, second distance, index of the nearest seed)."""
    seeds = rng.uniform(0, 1, (count, 2)).astype(np.float32)
    small = _GRID[::2, ::2].reshape(-1, 1, 2)
    delta = np.abs(small - seeds[None])
    distance = np.hypot(*np.moveaxis(np.minimum(delta, 1 - delta), -1, 0))
    order = np.argpartition(distance, 1, axis=1)[:, :2]
    first, second = np.take_along_axis(distance, order, axis=1).T
    half = SIZE // 2
    enlarge = [cv2.resize(x.reshape(half, half), (SIZE, SIZE)) for x in (first, second)]
    index = cv2.resize(
        order[:, 0].reshape(half, half).astype(np.float32), (SIZE, SIZE), interpolation=0
    )
    return enlarge[0], enlarge[1], index.astype(int)


def _ramp(value, *colours):
    """Map values in [0, 1] through evenly spaced colours."""
    colours = np.asarray(colours, np.float32)
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(value, stops, colours[:, k]) for k in range(3)], -1)


def _grey(value):
    """A grey picture from one plane."""
    return np.repeat(np.clip(value, 0, 1)[..., None], 3, axis=2)


def _hue(rng, saturation=0.5, value=0.7):
    """A random colour of about this saturation and value."""
    s = np.clip(saturation * rng.uniform(0.5, 1.4), 0, 1)
    v = np.clip(value * rng.uniform(0.7, 1.25), 0, 1)
    pixel = np.array([[[rng.uniform(0, 360), s, v]]], np.float32)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0]


def _blur(picture, sigma):
    """Gaussian blur that wraps around."""
    pad = int(3 * sigma) + 1
    wide = cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_WRAP)
    return cv2.GaussianBlur(wide, (0, 0), sigma)[pad:-pad, pad:-pad]


@_recipe(2)
def noise(rng):
    """Fractal noise, grey; the first one is the dirt of every material."""
    return _grey(_fractal(rng, 2.0))


@_recipe(4)
def cloud(rng):
    """Soft, billowing noise."""
    base = _fractal(rng, 2.6)
    return _grey(0.75 * base + 0.25 * (1 - np.abs(2 * _fractal(rng, 2.0) - 1)))


@_recipe(3)
def plaster(rng):
    """Nearly even wall paint."""
    return _grey(0.9 + 0.16 * (_fractal(rng, 2.2) - 0.5) + 0.1 * (_fractal(rng, 0.3) - 0.5))


@_recipe(8)
def wallpaper(rng):
    """Stripes, damask-like symmetric noise or little motifs on a light ground."""
    style = rng.integers(3)
    ground, ink = 0.9 + 0.1 * _hue(rng, 0.3, 0.9), _hue(rng, 0.35, 0.7)
    if style == 0:
        wave = np.sin(_GRID[..., 0] * 2 * np.pi * rng.integers(4, 14))
        mask = np.clip(wave * rng.uniform(1, 8) + rng.uniform(-0.7, 0.7), -1, 1) * 0.5 + 0.5
    else:
        field = _fractal(rng, 2.2, lowest=3 if style == 1 else 6)
        field = field + field[:, ::-1]
        mask = np.clip((field - 1.05) * 12, 0, 1)
    mask = (mask * rng.uniform(0.25, 0.8))[..., None]
    return np.clip(ground * (1 - mask) + ink * mask, 0, 1)


def _wood_grain(rng):
    """Grain along the rows: (SIZE, SIZE) in [0, 1]."""
    bend = _fractal(rng, 2.4, (3.0, 1.0)) * rng.uniform(1, 5)
    rings = np.sin((_GRID[..., 1] * rng.integers(3, 12) + bend) * 2 * np.pi)
    fine = _fractal(rng, 0.8, (12.0, 1.0))
    return np.clip(0.5 + 0.2 * rings + 0.9 * (fine - 0.5), 0, 1)


_WOODS = (
    ((0.36, 0.2, 0.1), (0.6, 0.38, 0.2)),
    ((0.5, 0.33, 0.18), (0.78, 0.58, 0.36)),
    ((0.68, 0.52, 0.34), (0.9, 0.77, 0.58)),
    ((0.22, 0.13, 0.09), (0.4, 0.25, 0.16)),
    ((0.5, 0.47, 0.43), (0.72, 0.69, 0.63)),
    ((0.46, 0.2, 0.1), (0.7, 0.36, 0.18)),
)


@_recipe(8)
def wood(rng):
    """A board with its grain along u."""
    dark, light = _WOODS[rng.integers(len(_WOODS))]
    return _ramp(_wood_grain(rng), dark, light)


@_recipe(7)
def planks(rng):
    """Boards laid along u with gaps and joints, each of its own shade."""
    rows = int(rng.choice([4, 6, 8]))
    dark, light = _WOODS[rng.integers(len(_WOODS))]
    grain = _wood_grain(rng)
    row = (_GRID[..., 1] * rows).astype(int)
    shift = rng.uniform(0, 1, rows)[row]
    along = (_GRID[..., 0] + shift) * 2
    board = (row * 2 + along.astype(int) % 2) % (2 * rows)
    shade = rng.uniform(-0.28, 0.28, 2 * rows)[board]
    gap = np.minimum(_GRID[..., 1] * rows % 1, 1 - _GRID[..., 1] * rows % 1) / rows
    joint = np.minimum(along % 1, 1 - along % 1) / 2
    line = np.clip(np.minimum(gap, joint) * SIZE / 1.4, 0, 1)[..., None]
    rolled = np.take_along_axis(grain, ((_GRID[..., 0] + shift) * SIZE).astype(int) % SIZE, 1)
    return _ramp(np.clip(rolled + shade, 0, 1), dark, light) * (0.35 + 0.65 * line)


@_recipe(6)
def brick(rng):
    """Courses of bricks in mortar."""
    rows = int(rng.choice([8, 12, 16]))
    columns = rows // 2
    y = _GRID[..., 1] * rows
    x = _GRID[..., 0] * columns + 0.5 * (y.astype(int) % 2)
    index = (y.astype(int) * columns + x.astype(int) % columns) % (rows * columns)
    shade = rng.normal(0, 0.13, rows * columns)[index] + 0.5 * (_fractal(rng, 1.2) - 0.5)
    palette = [((0.45, 0.2, 0.15), (0.72, 0.4, 0.3)), ((0.5, 0.42, 0.33), (0.8, 0.72, 0.6)),
               ((0.3, 0.18, 0.15), (0.52, 0.34, 0.28)), ((0.6, 0.58, 0.55), (0.88, 0.86, 0.83))]
    dark, light = palette[rng.integers(len(palette))]
    edge = np.minimum(np.minimum(x % 1, 1 - x % 1) * 2, np.minimum(y % 1, 1 - y % 1))
    mask = np.clip((edge - 0.06) * 16, 0, 1)[..., None]
    mortar = _grey(rng.uniform(0.5, 0.8) + 0.2 * (_fractal(rng, 0.8) - 0.5))
    lower = np.clip((y % 1 - 0.75) * 3, 0, 1)[..., None]
    return _ramp(np.clip(0.5 + shade, 0, 1), dark, light) * mask * (1 - 0.25 * lower) + mortar * (
        1 - mask
    ) * 0.9


@_recipe(7)
def tiles(rng):
    """Square tiles with joints; plain, two-coloured or each of its own shade."""
    count = int(rng.choice([2, 4, 6, 8]))
    cell = (_GRID * count).astype(int)
    first, second = _hue(rng, 0.25, 0.85), _hue(rng, 0.3, 0.6)
    style = rng.integers(3)
    parity = ((cell[..., 0] + cell[..., 1]) % 2)[..., None]
    colour = first * (1 - parity) + second * parity if style == 0 else np.broadcast_to(
        first, (SIZE, SIZE, 3))
    shade = rng.normal(0, 0.1 if style == 2 else 0.03, (count + 1, count + 1))
    shade = shade[cell[..., 1], cell[..., 0]] + 0.2 * (_fractal(rng, 2.0) - 0.5)
    edge = np.minimum(_GRID * count % 1, 1 - _GRID * count % 1).min(axis=-1) / count * SIZE
    joint = np.clip(edge / 1.6, 0, 1)[..., None]
    return np.clip(colour + shade[..., None], 0, 1) * joint + rng.uniform(0.3, 0.7) * (1 - joint)


@_recipe(4)
def concrete(rng):
    """Stained grey with pores."""
    pores = np.clip((_fractal(rng, 0.2) - 0.78) * 3, 0, 1)
    return _grey(0.68 + 0.45 * (_fractal(rng, 1.9) - 0.5) - 0.5 * pores)


@_recipe(4)
def marble(rng):
    """Veins through stone."""
    bend = _fractal(rng, 2.2)
    veins = np.abs(np.sin((bend * rng.uniform(3, 7) + _GRID[..., 0]) * np.pi)) ** 0.35
    dark, light = _hue(rng, 0.25, 0.45), 0.8 + 0.2 * _hue(rng, 0.15, 0.9)
    return _ramp(np.clip(veins * 0.85 + 0.3 * (_fractal(rng, 1.5) - 0.4), 0, 1), dark, light)


@_recipe(6)
def fabric(rng):
    """Woven threads, grey."""
    count = int(rng.choice([24, 32, 48, 64]))
    x, y = (np.sin(_GRID[..., k] * 2 * np.pi * count) for k in (0, 1))
    weave = np.where((x * y) > 0, np.abs(x), np.abs(y))
    return _grey(0.78 + 0.16 * (weave - 0.5) + 0.45 * (_fractal(rng, 1.6) - 0.5))


@_recipe(6)
def rug(rng):
    """A carpet with a symmetric pattern in several colours."""
    field = _fractal(rng, 2.0, lowest=2)
    field = field + field[:, ::-1] + field[::-1] + field[::-1, ::-1]
    field = (field - field.min()) / np.ptp(field)
    palette = [_hue(rng, 0.6, 0.55) for _ in range(int(rng.integers(3, 6)))]
    steps = (field * len(palette) * 2).astype(int) % len(palette)
    frame = np.abs(_GRID - 0.5).max(axis=-1)
    steps = np.where((frame > 0.42) & (frame < 0.46), 0, steps)
    return np.asarray(palette)[steps] * (0.75 + 0.5 * _fractal(rng, 0.4))[..., None]


@_recipe(10)
def weave(rng):
    """Clothes: stripes, checks or dots in two or three colours."""
    style = rng.integers(4)
    ground, first, second = _hue(rng, 0.4, 0.8), _hue(rng, 0.6, 0.5), _hue(rng, 0.6, 0.6)
    count = rng.integers(3, 12)
    across = (_GRID[..., 0] * count % 1 < rng.uniform(0.2, 0.6))[..., None]
    down = (_GRID[..., 1] * count % 1 < rng.uniform(0.2, 0.6))[..., None]
    if style == 0:
        out = np.where(across, ground, first)
    elif style == 1:
        out = np.where(across, ground, first) * 0.5 + np.where(down, ground, second) * 0.5
    elif style == 2:
        centre = np.hypot(*np.moveaxis(_GRID * count % 1 - 0.5, -1, 0))
        out = np.where((centre < 0.27)[..., None], first, ground)
    else:
        out = _ramp(_fractal(rng, 2.2, lowest=2), ground, first, second)
    return out * (0.8 + 0.4 * _fractal(rng, 0.5))[..., None]


@_recipe(14)
def painting(rng):
    """Something to hang on a wall: a landscape of bands, blobs of paint, or shapes."""
    style = rng.integers(3)
    palette = [_hue(rng, 0.6, 0.7) for _ in range(6)]
    if style == 0:
        height = _GRID[..., 1] + 0.35 * (_fractal(rng, 2.4) - 0.5)
        out = _ramp(np.clip(height + 0.15 * (_fractal(rng, 1.2) - 0.5), 0, 1), *palette[:4])
    elif style == 1:
        out = _ramp(np.clip(_fractal(rng, 2.4) * 1.6 - 0.3, 0, 1), *palette)
    else:
        out = np.full((SIZE, SIZE, 3), palette[0], np.float32)
        for _ in range(int(rng.integers(3, 12))):
            centre = tuple(int(v) for v in rng.integers(20, SIZE - 20, 2))
            axes = tuple(int(v) for v in rng.integers(8, 70, 2))
            colour = [float(v) for v in palette[rng.integers(6)]]
            cv2.ellipse(out, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    out = out * (0.8 + 0.4 * _fractal(rng, 1.0))[..., None]
    mat = np.abs(_GRID - 0.5).max(axis=-1) > rng.uniform(0.4, 0.56)
    return np.where(mat[..., None], rng.uniform(0.75, 0.95), out)


@_recipe(8)
def print_(rng):
    """A page, a label or a screen: blocks of lines and a picture."""
    out = np.full((SIZE, SIZE, 3), 0.93, np.float32) * (0.7 + 0.3 * _hue(rng, 0.3, 0.9))
    ink = _hue(rng, 0.5, 0.25)
    y = 12
    while y < SIZE - 20:
        if rng.random() < 0.18:
            height = int(rng.integers(24, 90))
            colour = _ramp(_fractal(rng, 2.2)[:height], _hue(rng), _hue(rng), _hue(rng))
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


@_recipe(5)
def asphalt(rng):
    """Road surface with patches and cracks, or gravel."""
    crack = np.abs(_fractal(rng, 2.2) - 0.5) < 0.006
    out = 0.42 + 0.25 * (_fractal(rng, 2.0) - 0.5) + 0.3 * (_fractal(rng, 0.0) - 0.5)
    return _grey(np.where(crack, out * 0.6, out)) * (0.95 + 0.05 * _hue(rng, 0.3, 1.0))


@_recipe(4)
def paving(rng):
    """Irregular stones in joints."""
    first, second, index = _cells(rng, int(rng.integers(20, 90)))
    joint = np.clip((second - first) * SIZE / 4 - 0.3, 0, 1)[..., None]
    shade = rng.uniform(0.4, 0.8, 100)[index] + 0.3 * (_fractal(rng, 1.4) - 0.5)
    warm = 1 - rng.uniform(0, 0.25) * np.array([0, 0.5, 1])
    return np.clip(shade[..., None] * warm * (0.4 + 0.6 * joint), 0, 1)


_GREENS = (
    ((0.13, 0.2, 0.07), (0.33, 0.42, 0.16), (0.6, 0.64, 0.32)),
    ((0.16, 0.22, 0.1), (0.38, 0.43, 0.2), (0.66, 0.62, 0.36)),
    ((0.08, 0.15, 0.07), (0.22, 0.34, 0.15), (0.42, 0.54, 0.26)),
    ((0.3, 0.2, 0.08), (0.62, 0.42, 0.16), (0.84, 0.68, 0.3)),
)


@_recipe(6)
def grass(rng):
    """Lawn or meadow seen from above."""
    blades = 0.5 * _fractal(rng, 0.4, (1.0, 0.5)) + 0.5 * _fractal(rng, 1.9)
    return _ramp(np.clip(blades * 1.5 - 0.25, 0, 1), *_GREENS[rng.integers(3)])


@_recipe(5)
def foliage(rng):
    """A dense mass of leaves, for far crowns and hedges."""
    first, second, index = _cells(rng, 420)
    shade = rng.uniform(0.1, 0.9, 420)[index] + 0.4 * (_fractal(rng, 1.8) - 0.5)
    dark = np.clip((second - first) * SIZE / 5, 0, 1)
    return _ramp(np.clip(shade * (0.3 + 0.7 * dark), 0, 1), *_GREENS[rng.integers(len(_GREENS))])


@_recipe(5)
def soil(rng):
    """Earth, sand, gravel or dry leaves."""
    tone = [((0.25, 0.17, 0.1), (0.55, 0.42, 0.3)), ((0.6, 0.5, 0.36), (0.86, 0.77, 0.6)),
            ((0.35, 0.32, 0.28), (0.7, 0.66, 0.6))][rng.integers(3)]
    return _ramp(np.clip(0.5 * _fractal(rng, 2.0) + 0.5 * _fractal(rng, 0.5), 0, 1), *tone)


@_recipe(6)
def rock(rng):
    """Weathered, layered stone."""
    layers = _fractal(rng, 2.0, (0.5, rng.uniform(1, 3)))
    cracks = np.abs(_fractal(rng, 1.9) - 0.5)
    dark, light = _hue(rng, 0.18, 0.3), _hue(rng, 0.15, 0.72)
    return _ramp(np.clip(layers * 1.3 - 0.15, 0, 1), dark, light) * np.clip(
        0.5 + cracks * 12, 0, 1)[..., None]


@_recipe(4)
def bark(rng):
    """Ridges along v."""
    ridge = _fractal(rng, 1.2, (1.0, 6.0))
    return _ramp(np.clip(ridge * 1.6 - 0.3, 0, 1), (0.14, 0.1, 0.07), (0.58, 0.5, 0.4))


@_recipe(4)
def fur(rng):
    """Short hairs along v with patches."""
    hair = _fractal(rng, 0.6, (1.0, 7.0))
    return _grey(np.clip(0.25 + 0.5 * hair + 0.9 * (_fractal(rng, 2.4) - 0.4), 0.05, 1))


@_recipe(3)
def patches(rng):
    """The coat of a cow or a cat: two tones with soft borders."""
    mask = np.clip((_fractal(rng, 2.6) - 0.5) * 12 + 0.5, 0, 1)
    return _grey(0.12 + 0.8 * mask + 0.2 * (_fractal(rng, 0.6, (1.0, 5.0)) - 0.5))


@_recipe(3)
def metal(rng):
    """Brushed, slightly stained, grey."""
    return _grey(0.7 + 0.25 * (_fractal(rng, 0.4, (20.0, 1.0)) - 0.5) + 0.2 * (
        _fractal(rng, 2.2) - 0.5))


@_recipe(3)
def water(rng):
    """Ripples, grey."""
    return _grey(0.5 + 0.8 * (_fractal(rng, 1.8, (0.6, 2.5)) - 0.5))


@_recipe(2)
def snow(rng):
    """Nearly white."""
    return _grey(0.93 + 0.12 * (_fractal(rng, 2.2) - 0.5)) * np.array([0.97, 0.985, 1.0])


@_recipe(5)
def peel(rng):
    """The skin of fruit or the crust of bread, grey: blotches and pores."""
    pores = np.clip((_fractal(rng, 0.1) - 0.7) * 2, 0, 1)
    return _grey(0.85 + 0.4 * (_fractal(rng, 2.4) - 0.5) - 0.35 * pores)


@_recipe(4)
def wicker(rng):
    """Basket work."""
    count = int(rng.choice([10, 14, 20]))
    x, y = _GRID[..., 0] * count, _GRID[..., 1] * count
    over = np.where((x.astype(int) + y.astype(int)) % 2, x % 1, y % 1)
    tone = np.sin(over * np.pi) * (0.75 + 0.5 * (_fractal(rng, 1.0) - 0.5))
    dark, light = _WOODS[rng.integers(len(_WOODS))]
    return _ramp(np.clip(tone, 0, 1), np.asarray(dark) * 0.5, light)


@_recipe(12)
def facade(rng):
    """Four by four windows of a house front with frames, sills and curtains."""
    wall = _ramp(_fractal(rng, 2.0), *(np.clip(_hue(rng, 0.25, 0.7) * f, 0, 1) for f in (0.85, 1.1)))
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
        wall[top:stop, left:right] = wall[top:stop, left:right] * 0.4 + 0.5 * _hue(rng, 0.15, 0.8)
    frame = 0.85 if rng.random() < 0.8 else 0.3
    wall[top:bottom, [left, right - 1]] = frame
    wall[[top, bottom - 1], left:right] = frame
    wall[top:bottom, (left + right) // 2] = frame
    wall[top : top + 2, left:right] *= 0.5
    wall[bottom : bottom + 2, left - 1 : right + 1] = 0.8
    wall[bottom + 2 : bottom + 4, left - 1 : right + 1] *= 0.6


def _leaf(picture, rng, centre, length, width, angle, colour):
    """Draw one leaf with a midrib into an RGBA picture, wrapping around."""
    t = np.linspace(0, 1, 9)
    half = width * np.sin(np.pi * t**0.8)
    side = np.concatenate([np.stack([t * length, half], 1), np.stack([t * length, -half], 1)[::-1]])
    c, s = np.cos(angle), np.sin(angle)
    shape = side @ np.array([[c, s], [-s, c]]) + centre
    rib = np.array([[0, 0], [length, 0]]) @ np.array([[c, s], [-s, c]]) + centre
    fill = [float(v) for v in np.clip(colour, 0, 1)] + [1.0]
    line = [float(v) for v in np.clip(np.asarray(colour) * 1.25 + 0.05, 0, 1)] + [1.0]
    cv2.fillPoly(picture, [np.round(shape * 8).astype(np.int32)], fill, cv2.LINE_8, 3)
    cv2.line(picture, *(tuple(int(v) for v in p) for p in np.round(rib)), line, 1)


def _sprig(rng, palette, count, length, width, spread):
    """A bunch of leaves that stays inside the picture, RGBA."""
    out = np.zeros((SIZE, SIZE, 4), np.float32)
    for i in range(count):
        radius = spread * SIZE * np.sqrt(rng.random())
        angle = rng.uniform(0, 2 * np.pi)
        centre = SIZE / 2 + radius * np.array([np.cos(angle), np.sin(angle)])
        tone = np.clip(rng.normal(0.3 + 0.5 * i / count, 0.15), 0, 1)
        colour = _ramp(tone, *palette).ravel()
        turn = angle + rng.normal(0, 0.8)
        _leaf(out, rng, centre, length * rng.uniform(0.7, 1.2), width * rng.uniform(0.7, 1.2), turn,
              colour)
    return out


@_recipe(8)
def leaves(rng):
    """Cut-out bunch of broad leaves."""
    palette = _GREENS[rng.integers(len(_GREENS))]
    length = rng.uniform(26, 52)
    return _sprig(rng, palette, int(3200 / length), length, length * rng.uniform(0.15, 0.3), 0.3)


@_recipe(3)
def needles(rng):
    """Cut-out twigs of a conifer, along u from the left."""
    out = np.zeros((SIZE, SIZE, 4), np.float32)
    palette = _GREENS[2]
    for i in range(420):
        x = rng.uniform(8, SIZE - 40)
        side = rng.choice([-1, 1])
        reach = 0.42 * (SIZE - x) * rng.uniform(0.2, 1)
        centre = np.array([x, SIZE / 2 + side * reach * 0.9])
        colour = _ramp(np.clip(rng.normal(0.2 + 0.5 * i / 420, 0.15), 0, 1), *palette).ravel()
        _leaf(out, rng, centre, 30, 2.0, side * rng.uniform(0.3, 1.0), colour)
    cv2.line(out, (0, SIZE // 2), (SIZE - 20, SIZE // 2), (0.3, 0.22, 0.14, 1.0), 4)
    return out


@_recipe(4)
def tuft(rng):
    """Cut-out grass blades growing from the lower edge."""
    out = np.zeros((SIZE, SIZE, 4), np.float32)
    palette = _GREENS[rng.integers(len(_GREENS))]
    for i in range(90):
        x = rng.uniform(0.2, 0.8) * SIZE
        lean = rng.normal(0, 0.3) + (x / SIZE - 0.5)
        length = SIZE * rng.uniform(0.4, 0.93)
        colour = _ramp(np.clip(rng.normal(0.2 + 0.6 * i / 90, 0.15), 0, 1), *palette).ravel()
        angle = -np.pi / 2 + np.clip(lean, -0.45, 0.45)
        _leaf(out, rng, np.array([x, SIZE - 1.0]), length, rng.uniform(2, 6), angle, colour)
    out[0] = 0
    return out


@_recipe(4)
def flowers(rng):
    """Cut-out flowers among leaves."""
    out = _sprig(rng, _GREENS[rng.integers(3)], 50, 50, 8, 0.28)
    petal = _hue(rng, 0.7, 0.95)
    for _ in range(int(rng.integers(5, 14))):
        centre = SIZE / 2 + 0.3 * SIZE * rng.uniform(-1, 1, 2)
        radius = rng.uniform(14, 26)
        for turn in np.arange(0, 2 * np.pi, 2 * np.pi / rng.integers(5, 9)):
            _leaf(out, rng, centre, radius, radius * 0.35, turn, petal * rng.uniform(0.75, 1.0))
        cv2.circle(out, tuple(int(v) for v in centre), 5, (0.85, 0.7, 0.2, 1.0), -1)
    return out


@_recipe(4)
def lattice(rng):
    """Cut-out fence, net, railing or blinds, grey."""
    count = int(rng.choice([4, 6, 8]))
    style = rng.integers(3)
    x, y = _GRID[..., 0] * count, _GRID[..., 1] * count
    if style == 0:
        x, y = x + y, x - y
    bars = np.abs(x % 1 - 0.5) < rng.uniform(0.06, 0.16)
    if style < 2:
        bars |= np.abs(y % 1 - 0.5) < 0.08
    out = np.full((SIZE, SIZE, 4), 0.8, np.float32)
    out[..., 3] = bars
    return out
