"""A library of small tileable pictures for the synthetic scenes, drawn once per process.

Every recipe draws a 256x256 RGB or RGBA picture in [0, 1], display values (taken as square roots of
linear light, which is near enough to sRGB). Grey recipes are meant to be tinted by a material.
Photographs from a folder can join the library; they are mirrored at their borders to tile.
"""

import functools
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from kernels.jit import jit
from utils.synthetic import growth, patterns
from utils.synthetic.raster import LEVEL_OFFSETS, TEXTURE_LEVELS, TEXTURE_SIZE

LIBRARY_SEED = 20190912
PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
MOST_PHOTOS = 400
_PICTURES = {"painting", "print", "rug"}


class Textures:
    """Baked textures with mip levels.

    Attributes:
        atlas: (T, bytes) uint8, per texture all levels one after another, RGBA.
        kinds: dict from a kind ("brick") to the indices of its textures; "photo" lists the
            photographs and is absent without them. Index 0 is plain fractal noise.
    """

    def __init__(self, atlas: np.ndarray, kinds: Mapping[str, Sequence[int]]) -> None:
        """Take the rows that `bake` made."""
        self.atlas = atlas
        self.kinds = kinds

    def pick(self, rng: np.random.Generator, kind: str) -> int:
        """Index of a random texture of a kind; photographs stand in for pictures and prints."""
        if kind in _PICTURES and "photo" in self.kinds and rng.random() < 0.6:
            kind = "photo"
        choice = self.kinds[kind]
        return choice[int(rng.integers(len(choice)))]


def bake(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """All mip levels of pictures (256, 256, 3 or 4) in [0, 1] as bytes, (T, bytes) uint8."""
    atlas = np.empty((len(pictures), LEVEL_OFFSETS[-1]), np.uint8)
    for picture, row in zip(pictures, atlas, strict=True):
        opaque = np.ones((TEXTURE_SIZE, TEXTURE_SIZE, 4), np.float32)
        opaque[..., : picture.shape[2]] = np.clip(picture, 0, 1)
        _fill_levels(opaque, row)
    return atlas


@jit
def _fill_levels(picture, out):
    """Write the levels of (S, S, 4) display values; averages linear light, weighted by alpha."""
    current = picture.copy()
    current[..., :3] *= current[..., :3]
    for level in range(TEXTURE_LEVELS):
        size = TEXTURE_SIZE >> level
        for y in range(size):
            for x in range(size):
                if level:
                    _halve(current, x, y)
                place = LEVEL_OFFSETS[level] + (y * size + x) * 4
                for k in range(3):
                    out[place + k] = np.uint8(math.sqrt(current[y, x, k]) * 255 + 0.5)
                out[place + 3] = np.uint8(current[y, x, 3] * 255 + 0.5)


@jit
def _halve(picture, x, y):
    """Replace texel (x, y) by the mean of the four that it covers; works in place in row order."""
    weight, red, green, blue = 4e-4, 0.0, 0.0, 0.0
    for j in range(2 * y, 2 * y + 2):
        for i in range(2 * x, 2 * x + 2):
            share = picture[j, i, 3] + 1e-4
            weight += picture[j, i, 3]
            red += picture[j, i, 0] * share
            green += picture[j, i, 1] * share
            blue += picture[j, i, 2] * share
    picture[y, x, 0], picture[y, x, 1], picture[y, x, 2] = (
        red / weight,
        green / weight,
        blue / weight,
    )
    picture[y, x, 3] = (weight - 4e-4) / 4


def _mirrored(path):
    """The middle square of a photograph at half size, mirrored both ways so that it tiles."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        return None
    side = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    square = pixels[top : top + side, left : left + side, ::-1]
    half = TEXTURE_SIZE // 2
    square = cv2.resize(square, (half, half), interpolation=cv2.INTER_AREA) / 255.0
    square = np.concatenate([square, square[:, ::-1]], axis=1)
    return np.concatenate([square, square[::-1]], axis=0)


def _photographs(folder):
    """Pictures of a folder, sorted by name, at most MOST_PHOTOS evenly spaced ones."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"no folder of photographs at {folder}. Pass an existing one.")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES)
    paths = paths[:: -(-len(paths) // MOST_PHOTOS) or 1]
    pictures = [picture for picture in map(_mirrored, paths) if picture is not None]
    if not pictures:
        raise ValueError(f"no readable photographs in {folder}. Pass a folder with JPEG or PNG.")
    logging.getLogger(__name__).info("%d photographs serve as textures", len(pictures))
    return pictures


@functools.cache
def _library():
    """The drawn textures and their kinds."""
    pictures, kinds = [], {}
    recipes = patterns.RECIPES | growth.RECIPES
    for name, (recipe, count) in recipes.items():
        kinds[name] = list(range(len(pictures), len(pictures) + count))
        for variant in range(count):
            seed = [LIBRARY_SEED, sum(map(ord, name)) * 1000 + len(name), variant]
            pictures.append(recipe(np.random.default_rng(seed)))
    return Textures(bake(pictures), kinds)


@functools.lru_cache(maxsize=2)
def load_textures(photos: str | Path | None = None) -> Textures:
    """The texture library, the same in every process.

    Args:
        photos: optional folder of photographs that join as kind "photo".
    Returns:
        Textures.
    Raises:
        ValueError: the folder is missing or holds no readable photograph.
    """
    if photos is None:
        return _library()
    added = bake(_photographs(photos))
    drawn = _library()
    atlas = np.concatenate([drawn.atlas, added])
    return Textures(atlas, {**drawn.kinds, "photo": list(range(len(drawn.atlas), len(atlas)))})
