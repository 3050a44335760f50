"""Draw a post before bricks and one before water, and make the README's picture of their holes.

It is images/example_patches.jpg.

python images/fill_example.py
"""

import sys
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import torch
from PIL import Image

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from utils.scene import FarSide, Scene  # noqa: E402

HEIGHT, WIDTH, CUT = 320, 480, (40, 200, 130, 370)  # px; rows and columns that are shown
SHIFT = (36.0, 0.0, 0.0)
GAP = 8


def main():
    """Render the same view without what is inpainted, by the plain rule, and with texture."""
    rows = [[seen(view, wall()) for view in (holes, plain, textured)] for wall in (bricks, water)]
    width, height = (side + GAP for side in rows[0][0].size)
    canvas = Image.new("RGB", (3 * width - GAP, len(rows) * height - GAP), "white")
    for down, row in enumerate(rows):
        for right, picture in enumerate(row):
            canvas.paste(picture, (right * width, down * height))
    canvas.save(FOLDER / "example_patches.jpg", quality=72, optimize=True)


def bricks():
    """Return a wall of bricks of uneven colour, (HEIGHT, WIDTH, 3)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    row = y // 16
    column = (x + 20 * (row % 2)) // 40
    shade = 0.85 + 0.3 * ((column * 37 + row * 61) % 11) / 11
    joint = (y % 16 < 3) | ((x + 20 * (row % 2)) % 40 < 3)
    wall = np.where(joint[..., None], [0.72, 0.70, 0.66], shade[..., None] * [0.62, 0.30, 0.22])
    return wall + np.random.default_rng(1).normal(0, 0.02, wall.shape)


def water():
    """Return waves, no two alike, (HEIGHT, WIDTH, 3)."""
    waves = np.random.default_rng(4).normal(size=(HEIGHT, WIDTH))
    waves = sum(cv2.GaussianBlur(waves, (0, 0), 4 * size, sigmaY=size) * size for size in (1, 2))
    share = 1 / (1 + np.exp(-1.5 * waves / waves.std()))[..., None]
    return share * [0.62, 0.70, 0.78] + (1 - share) * [0.13, 0.27, 0.40]


def drawn(wall):
    """Return the scene: a striped post before a wall."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    disparity = np.full((HEIGHT, WIDTH), 12.0)
    post = (abs(x - 215) < 26) & (y > 50)
    wall[post] = np.where((y + x) // 24 % 2, 0.9, 0.15)[post][:, None] * [1.0, 0.85, 0.2]
    disparity[post] = 90
    image = torch.from_numpy(wall.clip(0, 1)).float().permute(2, 0, 1)[None]
    return Scene(image, torch.from_numpy(disparity).float()[None, None], 240.0, 120.0)


def holes(scene):
    """Return the view as the photo alone gives it, holes black."""
    return scene.render(SHIFT, fill=False)[0]


def plain(scene):
    """Return the view with holes filled by the rule alone."""
    with patch("utils.scene.rules.add_texture", lambda filled, *_: filled):
        return textured(scene)


def textured(scene):
    """Return the view as films show it."""
    scene.inpaint(FarSide(), [1.1 * value for value in SHIFT])
    return scene.render(SHIFT)[0]


def seen(view, wall):
    """Return the middle of a view, twice as large."""
    top, bottom, left, right = CUT
    picture = Image.fromarray(view(drawn(wall))[top:bottom, left:right])
    return picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.BICUBIC)


if __name__ == "__main__":
    main()
