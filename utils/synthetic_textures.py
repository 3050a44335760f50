"""A library of small tileable pictures for the synthetic scenes, drawn once per process.

Every recipe draws a 256x256 RGB or RGBA picture in [0, 1], display values (taken as square roots of
linear light, which is near enough to sRGB). Grey recipes are meant to be tinted by a material.
Photographs from a folder can join the library; they are mirrored at their borders to tile.
"""

import functools
import logging
from pathlib import Path

import cv2
import numpy as np

from utils.synthetic_patterns import RECIPES
from utils.synthetic_raster import LEVEL_OFFSETS, TEXTURE_LEVELS, TEXTURE_SIZE

LIBRARY_SEED = 20190912
PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
MOST_PHOTOS = 400


class Textures:
    """Baked textures with mip levels.

    Attributes:
        atlas: (T, bytes) uint8, per texture all levels one after another, RGBA.
        kinds: dict from a kind ("brick") to the indices of its textures; "photo" lists the
            photographs and is absent without them. Index 0 is plain fractal noise.
    """

    def __init__(self, pictures, kinds):
        """Bake `pictures`, a list of (256, 256, 3 or 4) arrays in [0, 1]."""
        self.kinds = kinds
        self.atlas = np.stack([_with_levels(picture) for picture in pictures])

    def pick(self, rng, kind):
        """Index of a random texture of a kind."""
        return int(rng.choice(self.kinds[kind]))


def _with_levels(picture):
    """All mip levels of one picture as bytes; colours averaged in linear light, under alpha."""
    if picture.shape[2] == 3:
        picture = np.concatenate([picture, np.ones_like(picture[..., :1])], axis=2)
    linear = np.clip(picture, 0, 1).astype(np.float32)
    linear[..., :3] **= 2
    weight = linear[..., 3:] + 1e-4
    out = np.empty(LEVEL_OFFSETS[-1], np.uint8)
    for level in range(TEXTURE_LEVELS):
        if level:
            size = TEXTURE_SIZE >> level
            colour = cv2.resize(linear[..., :3] * weight, (size, size), interpolation=cv2.INTER_AREA)
            weight = cv2.resize(weight, (size, size), interpolation=cv2.INTER_AREA)
            weight = weight.reshape(size, size, 1)
            colour = colour.reshape(size, size, 3) / weight
            linear = np.concatenate([colour, weight - 1e-4], axis=2)
        stored = linear.copy()
        stored[..., :3] = np.sqrt(stored[..., :3])
        flat = np.round(np.clip(stored, 0, 1) * 255).astype(np.uint8).ravel()
        out[LEVEL_OFFSETS[level] : LEVEL_OFFSETS[level + 1]] = flat
    return out


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


@functools.lru_cache(maxsize=2)
def load_textures(photos=None):
    """The texture library, the same in every process.

    Args:
        photos: optional folder of photographs that join as kind "photo".
    Returns:
        Textures.
    Raises:
        ValueError: the folder is missing or holds no readable photograph.
    """
    pictures, kinds = [], {}
    for name, (recipe, count) in RECIPES.items():
        kinds[name] = list(range(len(pictures), len(pictures) + count))
        for variant in range(count):
            seed = [LIBRARY_SEED, sum(map(ord, name)) * 1000 + len(name), variant]
            pictures.append(recipe(np.random.default_rng(seed)))
    if photos is not None:
        added = _photographs(photos)
        kinds["photo"] = list(range(len(pictures), len(pictures) + len(added)))
        pictures += added
    return Textures(pictures, kinds)
