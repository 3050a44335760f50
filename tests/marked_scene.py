"""A drawn photo with marks at three depths, filmed by whatever flags a test gives."""

from typing import Any, NamedTuple

import cv2
import numpy as np

import kbe
from utils import cli, weights
from utils.cli.command_line import settings_from
from utils.export import write_exports
from utils.film import write_image

SIZE = (96, 128)
# (column, row) of the middle of a mark, its disparity, its colour: all in pixels of one surface.
MARKS = [
    ((30, 30), 40, (255, 0, 0)),
    ((96, 26), 70, (0, 255, 0)),
    ((64, 64), 120, (0, 0, 255)),
]


class Made(NamedTuple):
    """A photo that is ready to be filmed."""

    scene: Any
    path: Any
    plan: Any
    settings: Any

    def write(self, file):
        write_exports([file], self.scene, self.path, self.plan, self.settings)
        return file

    def frame(self, time):
        return self.scene.render(**self.path.view(time, self.plan.view_size))[0]


def prepare(folder, **settings):
    """Prepare the marked photo to be filmed with these settings; return it as Made."""
    pixels, disparity = np.full((*SIZE, 3), 40, np.uint8), np.full(SIZE, 30, np.float32)
    for (u, v), near, _ in MARKS:
        disparity[v - 14 : v + 15, u - 14 : u + 15] = near
        pixels[v - 14 : v + 15, u - 14 : u + 15] = 90
    pixels = cv2.GaussianBlur(pixels, (0, 0), 0.8)  # as a lens does: edges are soft
    for (u, v), _, color in MARKS:
        pixels[v - 3 : v + 4, u - 3 : u + 4] = color
    write_image(folder / "marks.png", pixels)
    np.save(folder / "marks.npy", disparity)
    values = {"inputs": [folder / "marks.png"], "out": folder / "o", "quiet": True}
    values |= {"depth": folder / "marks.npy", "depth_kind": "disparity", "duration": 0.4}
    chosen = settings_from(values | settings)
    (job,) = cli.plan_run(chosen).jobs
    ready = kbe.prepare(job, chosen, weights.choose_networks(chosen), cli.Shared())
    return Made(getattr(ready.view, "scene", ready.view), ready.path, ready.plan, chosen)


def seen_at(frame, color):
    """(u, v) px of the middle of what has a mark's colour, or None where it is cut or hidden."""
    strength = frame.astype(float) @ (np.array(color) / 255 * 1.5 - 0.5)
    mask = strength > 100
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    if len(rows) < 9 or min(rows.min(), columns.min()) == 0:
        return None
    if rows.max() == height - 1 or columns.max() == width - 1:
        return None
    weights = strength[mask]
    return np.average(columns, weights=weights), np.average(rows, weights=weights)
