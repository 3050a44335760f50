"""Training small enough for a test: drawn scenes, photos of them, and narrow networks."""

import cv2
import h5py
import numpy as np
import torch
from torch import nn

import train
from utils.training import estimation as depth_training

WALL, BOX = 4.0, 2.0  # depths of the drawn scene: focal 20 px, moved by one and by two pixels
DRAWN_SHIFT = (0.2, 0.0, 0.0)


def drawn_scene(seed=0, size=(32, 48)):
    """A textured wall and a box before it, and the view that a shift to the right gives.

    Returns images (2, H, W, 3), depths (2, H, W), instances (2, H, W).
    """
    height, width = size
    wall = np.random.default_rng(seed).integers(40, 200, (height, width + 8, 3), dtype=np.uint8)
    wall = cv2.GaussianBlur(wall, (5, 5), 0)
    image = np.stack([wall[:, 4 : 4 + width], wall[:, 3 : 3 + width]])
    depth, instances = np.full(image.shape[:3], WALL, np.float32), np.zeros(image.shape[:3], "u1")
    for view, left in enumerate((14, 16)):
        box = np.s_[view, 8:24, left : left + 12]
        image[box], depth[box], instances[box] = (200, 60, 30), BOX, 1
    return image, depth, instances


def write_scenes(folder, count=4):
    folder.mkdir(exist_ok=True)
    scenes = [drawn_scene(seed) for seed in range(count)]
    with h5py.File(folder / "scenes-000000.h5", "w") as file:
        file.attrs.update(format="kbe-scenes-1", baseline=0.1)
        for name, parts in zip(
            ("image", "depth", "instances"), zip(*scenes, strict=True), strict=True
        ):
            file[name] = np.stack(parts)
        file["shift"] = np.array([[(0, 0, 0), DRAWN_SHIFT]] * count, np.float32)
        file["focal_px"] = np.full(count, 20.0, np.float32)
    return {"name": "drawn", "path": str(folder), "param": {"baseline": 0.1, "focal": 20}}


def write_photos(folder, count=4):
    for name in ("images", "disparity"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image, depth, _ = drawn_scene(number)
        cv2.imwrite(str(folder / "images" / f"{number}.png"), image[0][..., ::-1])
        cv2.imwrite(str(folder / "disparity" / f"{number}.png"), (400 / depth[0]).astype(np.uint8))
    return {
        "name": "photos",
        "path": str(folder),
        "disparity": "relative",
        "focal_unit": "long side",
        "param": {"baseline": 120, "focal": 0.5},
    }


def settings_of(*arguments):
    return train.read_settings(list(arguments))


def trainer_for(arguments):
    return train.make_trainer(train.read_settings(arguments))


class TinyJudge(nn.Module):
    """Two convolutions in place of the discriminator, beside a frozen extractor."""

    def __init__(self, extractor=None):
        super().__init__()
        self.extractor = nn.Conv2d(3, 2, 3, padding=1).requires_grad_(False)
        self.judge = nn.Conv2d(6, 1, 3, padding=1)

    def forward(self, image, disparity):
        seen = torch.cat([image, disparity, self.extractor(image)], dim=1)
        return (torch.sigmoid(self.judge(seen)),)


def shrunken_paper_network(monkeypatch):
    from models import disparity_estimation

    class Shrunk(disparity_estimation.Disparity):
        def __init__(self):
            super().__init__((4, 4, 4, 4, 4, 4), semantics_channels=3)

    semantics = nn.AvgPool2d(16, ceil_mode=True)
    monkeypatch.setattr(disparity_estimation, "Disparity", Shrunk)
    monkeypatch.setattr(depth_training, "load_semantics", lambda device: semantics)
