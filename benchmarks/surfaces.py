"""Do surfaces stay closed? Drawn walls with relief, and the share of them that shows the ground.

    python -m benchmarks.surfaces [--moves zoom-in right] [--size 480 640] [--json FILE]

Protocol:
* A red wall with relief stands before a green ground. The relief is waves of one direction, or of
  two, whose disparity changes by up to `steepness` from pixel to pixel: always less than a step.
  It ends before the wall does, so that the wall's outline is a rectangle in every view.
* Every move goes over it at strength 2, with what is uncovered filled by rule. Of the first, the
  middle and the last frame the pixels within the rectangle, 3 px from its outline, are judged:
  what is green there shows the ground. `seen_through` is the largest share of a frame, `missed`
  that of pixels which no point reaches, and which a film fills from beside: where the bottom of a
  groove is nearer on both sides by more than a unit, the depth test takes it for a crack.
* `open` is `seen_through` without closing, `points` what closing adds, `seconds` what it takes.
"""

import argparse
import itertools
import math
import time

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.depth import report
from utils.camera import BASELINE, MOVES, CropWindow, Stage, depth_range, find_focus, nearest_depth
from utils.scene import FarSide, Scene

WALL, GROUND = 70.0, 18.0  # disparity
STEEPNESS = (1.5, 3.0, 5.0, 6.8)  # largest change of disparity from pixel to pixel
DIRECTIONS = {"upright": (0,), "level": (90,), "slanted": (35,), "bumps": (20, 110)}
AMPLITUDE = 22.0
MARGIN = 3  # px
STRENGTH = 2.0
COLUMNS = ("seen_through", "missed", "open", "points", "seconds")


def relief(size, steepness, angles):
    """Disparity (H, W) of the scene, and the wall's rectangle (left, top, right, bottom), px."""
    height, width = size
    left, top, right, bottom = (
        round(share * side)
        for share, side in zip((0.2, 0.2, 0.8, 0.8), (width, height) * 2, strict=True)
    )
    y, x = np.mgrid[:height, :width].astype(np.float64)
    # Rising to full height within a tenth of the wall: gently, so that its outline stays.
    inside = np.minimum.reduce([x - left, right - 1 - x, y - top, bottom - 1 - y])
    rise = np.clip((inside - 2) / (0.1 * height), 0, 1)
    wave = np.zeros(size)
    for angle in angles:
        along = x * math.cos(math.radians(angle)) + y * math.sin(math.radians(angle))
        # A sine is steepest by its amplitude times 2 pi over its length.
        wave += np.sin(along * steepness / AMPLITUDE) / len(angles)
    disparity = np.where(inside >= 0, WALL + rise * AMPLITUDE * wave, GROUND)
    disparity[: height // 20] = GROUND
    disparity[-height // 20 :, : width // 20] = BASELINE  # the nearest, in a corner
    return disparity.astype(np.float32), (left, top, right, bottom)


def drawn(size, steepness, angles):
    """Image (1, 3, H, W), disparity (1, 1, H, W) and the wall's rectangle."""
    disparity, box = relief(size, steepness, angles)
    left, top, right, bottom = box
    image = torch.zeros(1, 3, *size)
    image[:, 1] = 0.8
    image[:, :, top:bottom, left:right] = torch.tensor([0.8, 0, 0]).view(1, 3, 1, 1)
    return image, torch.from_numpy(disparity)[None, None], box


def path_of(scene, move, strength=STRENGTH):
    """The camera's path by a move through a scene."""
    height, width = scene.size
    whole = CropWindow(width / 2, height / 2, width, height)
    stage = Stage(
        scene.size, scene.focal_px, find_focus(scene.depth, width / 2, height / 2),
        nearest_depth(scene.depth), whole, whole, depth_range(scene.depth), scene.size, strength,
        False,
    )  # fmt: skip
    return MOVES[move].plan(stage)


def seen_through(scene, view, box):
    """The shares of the wall's pixels that show the ground, and that no point reaches.

    In a view of `CameraPath.view`.
    """
    frame, holes = scene.render(**view)
    left, top, right, bottom = box
    (sx, sy, sz), focal_px = view["shift"], view["focal_px"]
    z = scene.focal_px * scene.baseline / WALL
    ends = []
    for begin, end, side, shift, slope in (
        (left, right, 1, sx, view["lens"][0]),
        (top, bottom, 0, sy, view["lens"][1]),
    ):
        for place in (begin, end - 1):
            at = (place - (scene.size[side] - 1) / 2) * z / scene.focal_px
            moved = focal_px * ((at + shift) / (z + sz) - slope)
            ends.append(moved + (view["size"][side] - 1) / 2)
    first_x, last_x, first_y, last_y = ends
    rows = slice(max(0, math.ceil(first_y) + MARGIN), max(0, math.floor(last_y) - MARGIN))
    columns = slice(max(0, math.ceil(first_x) + MARGIN), max(0, math.floor(last_x) - MARGIN))
    red, green = (frame[rows, columns, channel].astype(int) for channel in (0, 1))
    return float((green > red).mean()), float(holes[rows, columns].mean())


def measure(size, steepness, angles, move):
    """Figures of one wall under one move."""
    image, disparity, box = drawn(size, steepness, angles)
    figures = {}
    for name in ("open", "seen_through"):
        scene = Scene(image, disparity, max(size) / 2, BASELINE)
        path = path_of(scene, move)
        if name == "seen_through":
            start = time.process_time()
            scene.close_surfaces(path.views(size))
            figures["seconds"] = time.process_time() - start
        for pose in path.inpainting_poses():
            scene.inpaint(FarSide(), pose.shift, pose.focal_px, None, pose.lens, path.shows)
        views = (path.view(t, size) for t in (0, 0.25, 0.5, 1))
        shares = np.max([seen_through(scene, view, box) for view in views], axis=0)
        figures[name], figures["missed"] = map(float, shares)
    added = scene.cloud(closed=True)[0].shape[1] - scene.cloud()[0].shape[1]
    return {**figures, "points": added / scene.photo_points}


def main():
    """Print the table, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", nargs="+", choices=MOVES, default=list(MOVES)[1:])
    parser.add_argument("--size", type=int, nargs=2, default=(480, 640), metavar=("H", "W"))
    parser.add_argument("--json", help="write the figures here")
    args = parser.parse_args()
    rows = {}
    walls = itertools.product(args.moves, STEEPNESS, DIRECTIONS)
    for move, steepness, name in tqdm(list(walls), "walls", disable=None):
        found = measure(tuple(args.size), steepness, DIRECTIONS[name], move)
        rows.setdefault(move, []).append({"wall": f"{name} {steepness}", **found})
    report([("walls with relief", rows)], args.json, COLUMNS)


if __name__ == "__main__":
    main()
