"""Make the README's picture of soft rims, from drawn scenes: images/example_edges.jpg.

python images/edges_example.py
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from benchmarks import edges  # noqa: E402
from benchmarks.depth import image_tensor  # noqa: E402
from utils.scene import FarSide, Scene  # noqa: E402

SHIFT = (9.3, 2.6)
ZOOM = 3
# Middle of the crop in the drawing, px: the rim of a disc, a furry one, wires.
CROPS = {"disc": (235, 95), "hair": (225, 80), "wires": (190, 90)}
WIDTH, HEIGHT, GAP = 312, 210, 6


def main():
    """Draw, move, crop: opaque points above, soft rims below."""
    rows = [[], []]
    for drawing in edges.drawings():
        if drawing.name in CROPS:
            for row, kind in zip(rows, edges.methods().values(), strict=True):
                row.append(crop(moved(drawing, kind), CROPS[drawing.name]))
    blank = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    joined = [np.hstack([row[0], blank, row[1], blank, row[2]]) for row in rows]
    between = np.full((GAP, joined[0].shape[1], 3), 255, np.uint8)
    picture = np.vstack([joined[0], between, joined[1]])
    Image.fromarray(picture).save(FOLDER / "example_edges.jpg", quality=85, optimize=True)


def moved(drawing, kind):
    """Return a magnified view of a drawing from aside, (H, W, 3) uint8."""
    picture, disparity = edges.look(drawing)
    image = image_tensor((picture * 255 + 0.5).astype(np.uint8))
    focal_px = edges.SIZE[1] / 2
    scene = Scene(image, torch.from_numpy(disparity)[None, None], focal_px, edges.BASELINE, **kind)
    scene.inpaint(FarSide(), (1.1 * SHIFT[0], 1.1 * SHIFT[1], 0.0))
    size = tuple(ZOOM * side for side in edges.SIZE)
    return scene.render((*SHIFT, 0.0), ZOOM * focal_px, size)[0]


def crop(frame, middle):
    """Return a WIDTH x HEIGHT part of a frame."""
    left, top = (
        ZOOM * value - side // 2 for value, side in zip(middle, (WIDTH, HEIGHT), strict=True)
    )
    return frame[top : top + HEIGHT, left : left + WIDTH]


if __name__ == "__main__":
    main()
