"""Draw a post before bricks, and make the README's picture of holes: images/example_patches.jpg.

python images/fill_example.py
"""

import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from utils.scene import Scene  # noqa: E402

HEIGHT, WIDTH, CUT = 320, 480, (40, 280, 130, 370)  # px; rows and columns that are shown
SHIFT = (36.0, 0.0, 0.0)
GAP = 8


def main():
    """Render the same view without what is inpainted, by the plain rule, and with texture."""
    pictures = [seen(view) for view in (holes, plain, textured)]
    canvas = Image.new("RGB", (3 * pictures[0].width + 2 * GAP, pictures[0].height), "white")
    for index, picture in enumerate(pictures):
        canvas.paste(picture, (index * (picture.width + GAP), 0))
    canvas.save(FOLDER / "example_patches.jpg", quality=72, optimize=True)


def drawn():
    """Return the scene: bricks of uneven colour behind a striped post."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    row = y // 16
    column = (x + 20 * (row % 2)) // 40
    shade = 0.85 + 0.3 * ((column * 37 + row * 61) % 11) / 11
    joint = (y % 16 < 3) | ((x + 20 * (row % 2)) % 40 < 3)
    image = np.where(joint[..., None], [0.72, 0.70, 0.66], shade[..., None] * [0.62, 0.30, 0.22])
    image = image + np.random.default_rng(1).normal(0, 0.02, image.shape)
    disparity = np.full((HEIGHT, WIDTH), 12.0)
    post = (abs(x - 215) < 26) & (y > 50)
    image[post] = np.where((y + x) // 24 % 2, 0.9, 0.15)[post][:, None] * [1.0, 0.85, 0.2]
    disparity[post] = 90
    image = torch.from_numpy(image.clip(0, 1)).float().permute(2, 0, 1)[None]
    return Scene(image, torch.from_numpy(disparity).float()[None, None], 240.0, 120.0)


def holes(scene):
    """Return the view as the photo alone gives it, holes black."""
    return scene.render(SHIFT, fill=False)[0]


def plain(scene):
    """Return the view with holes filled by the rule alone."""
    with patch("utils.scene.uncovered.add_texture", lambda filled, *_: filled):
        return textured(scene)


def textured(scene):
    """Return the view as films show it."""
    scene.inpaint(None, [1.1 * value for value in SHIFT])
    return scene.render(SHIFT)[0]


def seen(view):
    """Return the middle of a view, twice as large."""
    top, bottom, left, right = CUT
    picture = Image.fromarray(view(drawn())[top:bottom, left:right])
    return picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.BICUBIC)


if __name__ == "__main__":
    main()
