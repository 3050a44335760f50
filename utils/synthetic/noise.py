"""Tools to draw tileable pictures: spectral noise, cells, colour ramps and palettes."""

import cv2
import numpy as np
from numpy.typing import ArrayLike

from kernels.jit import jit

SIZE = 256
GRID = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=-1).astype(np.float32) / SIZE


_FREQUENCY_Y = (np.fft.fftfreq(SIZE)[:, None] * SIZE).astype(np.float32)


_FREQUENCY_X = (np.fft.rfftfreq(SIZE)[None] * SIZE).astype(np.float32)


def fractal(
    rng: np.random.Generator,
    beta: float = 1.8,
    stretch: tuple[float, float] = (1.0, 1.0),
    lowest: float = 1.0,
) -> np.ndarray:
    """Tileable noise with spectrum 1/f^beta, (SIZE, SIZE) with mean 0.5, spread about 0..1."""
    frequency = np.hypot(_FREQUENCY_X * stretch[0], _FREQUENCY_Y * stretch[1])
    amplitude = np.maximum(frequency, 1e-3) ** (-beta / 2 - 0.5)
    amplitude[frequency < lowest] = 0
    phase = rng.random(amplitude.shape, np.float32) * np.float32(2 * np.pi)
    spectrum = np.empty(amplitude.shape, np.complex64)
    spectrum.real, spectrum.imag = amplitude * np.cos(phase), amplitude * np.sin(phase)
    noise = np.fft.irfft2(spectrum, s=(SIZE, SIZE))
    return np.clip(0.5 + 0.22 / noise.std() * noise, 0, 1).astype(np.float32)


@jit
def _nearest(seeds, size):
    """Tileable Voronoi diagram on a size x size grid: first and second distance, nearest seed."""
    first = np.full((size, size), 9.0, np.float32)
    second = first.copy()
    index = np.zeros((size, size), np.int64)
    for y in range(size):
        for x in range(size):
            for i in range(seeds.shape[0]):
                dx, dy = abs(x / size - seeds[i, 0]), abs(y / size - seeds[i, 1])
                dx, dy = min(dx, 1 - dx), min(dy, 1 - dy)
                square = dx * dx + dy * dy
                if square < first[y, x]:
                    first[y, x], second[y, x], index[y, x] = square, first[y, x], i
                elif square < second[y, x]:
                    second[y, x] = square
    return np.sqrt(first), np.sqrt(second), index


def cells(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random tileable Voronoi diagram of the picture's size, computed at half of it."""
    first, second, index = _nearest(rng.uniform(0, 1, (count, 2)), SIZE // 2)
    first, second = (cv2.resize(x, (SIZE, SIZE)) for x in (first, second))
    return first, second, index.repeat(2, 0).repeat(2, 1)


def ramp(value: np.ndarray, *colours: ArrayLike) -> np.ndarray:
    """Map values in [0, 1] through evenly spaced colours."""
    table = np.asarray(colours, np.float32)
    stops = np.linspace(0, 1, len(table))
    out = np.empty((*np.shape(value), 3), np.float32)
    for k in range(3):
        out[..., k] = np.interp(value, stops, table[:, k])
    return out


def grey(value: np.ndarray) -> np.ndarray:
    """A grey picture from one plane."""
    return np.repeat(np.clip(value, 0, 1)[..., None], 3, axis=2)


def hue(rng: np.random.Generator, saturation: float = 0.5, value: float = 0.7) -> np.ndarray:
    """A random colour of about this saturation and value."""
    s = np.clip(saturation * rng.uniform(0.5, 1.4), 0, 1)
    v = np.clip(value * rng.uniform(0.7, 1.25), 0, 1)
    hue = rng.normal(32, 18) % 360 if rng.random() < 0.45 else rng.uniform(0, 360)
    pixel = np.array([[[hue, s, v]]], np.float32)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0]


def palette(rng: np.random.Generator, count: int, saturation: float = 0.5) -> list[np.ndarray]:
    """Colours that go together: shades of one or two hues and neutral tones."""
    hues = rng.choice([28.0, 45.0, 95.0, 205.0, 220.0, 355.0, rng.uniform(0, 360)], 2)
    out = []
    for _ in range(count):
        s = saturation * rng.uniform(0.1, 1.2) if rng.random() < 0.6 else rng.uniform(0, 0.2)
        pixel = [(rng.choice(hues) + rng.normal(0, 8)) % 360, min(s, 1.0), rng.uniform(0.2, 0.95)]
        out.append(cv2.cvtColor(np.array([[pixel]], np.float32), cv2.COLOR_HSV2RGB)[0, 0])
    return out
