"""Make the model card's picture of what the shipped depth gets wrong: example_weaknesses.jpg.

python images/weaknesses_example.py

Of SCENES drawn scenes that no training saw, the COUNT whose pairs of points are ordered worst.
From left to right: the picture, its true disparity, the estimate fitted to it by scale and offset.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from benchmarks.depth import image_tensor, network_estimator  # noqa: E402
from models import BUNDLED  # noqa: E402
from utils.synthetic import generate_scene  # noqa: E402
from utils.training import metrics  # noqa: E402

SEED, SIZE = 77_000, (384, 512)
SCENES, COUNT = 32, 4
FARTHEST_M = 100  # what is farther looks alike


def main():
    """Estimate, choose, draw."""
    estimate = network_estimator(BUNDLED / "disparity-estimation.safetensors")
    rows = [judge(estimate, number) for number in range(SCENES)]
    rows.sort(key=lambda row: row[0], reverse=True)
    print("wrong pairs:", *(f"{wrong:.3f}" for wrong, _ in rows[:COUNT]), end="; ")
    print(f"mean of all {np.mean([wrong for wrong, _ in rows]):.3f}")
    picture = np.vstack([strip for _, strip in rows[:COUNT]])
    Image.fromarray(picture).save(FOLDER / "example_weaknesses.jpg", quality=85, optimize=True)


def judge(estimate, number):
    """Return (share of wrongly ordered pairs, strip (H, 3 W, 3) uint8) of a scene."""
    scene = generate_scene(SEED, number, SIZE, views=1)
    image, depth = scene["image"][0], scene["depth"][0]
    truth = torch.from_numpy(1 / np.minimum(depth, FARTHEST_M))[None, None].float()
    known = torch.ones_like(truth)
    found = torch.nn.functional.interpolate(estimate(image_tensor(image)), SIZE, mode="bilinear")
    found = metrics.align(found, truth, known)
    low, high = float(truth.min()), float(truth.max())
    maps = [
        cv2.applyColorMap(
            ((plane[0, 0].numpy() - low) / (high - low) * 255).clip(0, 255).astype(np.uint8),
            cv2.COLORMAP_TURBO,
        )[..., ::-1]
        for plane in (truth, found)
    ]
    strip = cv2.resize(
        np.hstack([image, *maps]), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA
    )
    return metrics.ordinal_error(found, truth, known), strip


if __name__ == "__main__":
    main()
