"""Make the README's picture of hair, from a drawn scene: images/example_hair.jpg.

python images/hair_example.py
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from benchmarks import edges  # noqa: E402
from benchmarks.depth import image_tensor  # noqa: E402

SHIFT = (14.3, 4.6)
ZOOM = 4
MIDDLE = (130, 95)  # of the crop in the drawing, px
WIDTH, HEIGHT, GAP = 420, 300, 6


def main():
    """Draw, move, crop: strands left on the wall, and strands that go with the front."""
    furry, bare = next(edges.fringes())
    image = image_tensor((edges.look(furry)[0] * 255 + 0.5).astype(np.uint8))
    disparity = edges.look(bare, rays=1)[1]
    size = tuple(ZOOM * side for side in edges.SIZE)
    parts = []
    for hair in (False, True):
        view = edges.fringe_view(image, disparity, SHIFT, hair, size=size)
        left, top = (
            ZOOM * value - side // 2 for value, side in zip(MIDDLE, (WIDTH, HEIGHT), strict=True)
        )
        parts.append(view[top : top + HEIGHT, left : left + WIDTH])
    blank = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    picture = np.hstack([parts[0], blank, parts[1]])
    Image.fromarray(picture).save(FOLDER / "example_hair.jpg", quality=85, optimize=True)


if __name__ == "__main__":
    main()
