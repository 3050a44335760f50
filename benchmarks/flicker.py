"""Does a film flicker? Each frame against the one before, moved by the true motion.

    python -m benchmarks.flicker
    python -m benchmarks.flicker --photo images/example.jpg --disparity images/example_disparity.png

The camera slides from one side to the other, past both poses at which holes are filled by rule. A
frame's depth says where each of its pixels stands one frame later; what stands there at another
depth was covered or uncovered and does not count. Differences are in steps of 1/255, the mean over
RGB: `photo` where the photo is seen, `fill` where what was filled is, each the mean and the
worst frame's mean over the median frame's (`pop`, 1 = nothing stands out); `rough`, the share of
pixels that change by more than 24. Without --photo: a post before bricks.
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np
import torch

import kernels
from benchmarks.depth import image_tensor, read_photo, read_pixels, report
from benchmarks.folders import run_telling
from utils.camera import BASELINE
from utils.scene import FarSide, Scene, scale_disparity

COLUMNS = ("photo", "photo_pop", "photo_rough", "fill", "fill_pop", "fill_rough")
ROUGH = 24  # of 255
SAME_DEPTH = 0.01  # of a pixel's depth: nearer than this is the same place


def wall(height: int = 240, width: int = 320) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a post before bricks: image (1, 3, H, W) and disparity (1, 1, H, W)."""
    y, x = np.mgrid[:height, :width]
    row = y // 12
    column = (x + 15 * (row % 2)) // 30
    joint = (y % 12 < 2) | ((x + 15 * (row % 2)) % 30 < 2)
    shade = 0.8 + 0.3 * ((column * 37 + row * 61) % 11) / 11
    image = np.where(joint[..., None], 0.7, shade[..., None] * [0.62, 0.30, 0.22])
    disparity = np.full((height, width), 12.0)
    post = (abs(x - width // 2) < 20) & (y > 30)
    image[post] = np.where((y + x) // 16 % 2, 0.9, 0.15)[post][:, None] * [1.0, 0.85, 0.2]
    disparity[post] = 90
    return (
        torch.from_numpy(image).float().permute(2, 0, 1)[None],
        torch.from_numpy(disparity).float()[None, None],
    )


def film(scene: Scene, reach: float, count: int) -> list[tuple]:
    """Return (frame, depth, invented, shift) of each step of the slide.

    Args:
        scene: Scene, to which what both ends uncover is added.
        reach: how far the camera goes to each side, unit of the baseline.
        count: of frames.
    """
    for side in (-1, 1):
        scene.inpaint(FarSide(), (1.1 * side * reach, 0.0, 0.0))
    points = np.ascontiguousarray(scene.cloud()[0])
    white = np.zeros((points.shape[1], 3), np.uint8)
    white[scene.photo_points :] = 255
    rims, black = scene.rims(closed=True), None
    if rims is not None:
        black = np.zeros_like(rims[1])
        black[:, 3] = rims[1][:, 3]
    steps = []
    for x in np.linspace(-reach, reach, count).tolist():
        shift = (x, 0.0, 0.0)
        frame = scene.render(shift)[0].copy()
        invented = scene.render(shift, colors=white, fill=False, rim_colors=black)[0][..., 0]
        moved = torch.from_numpy(points)[None] + torch.tensor(shift).view(1, 3, 1)
        depth, coverage = kernels.render_pointcloud(
            moved, moved[:, 2:].contiguous(), scene.size, scene.focal_px, scene.baseline
        )
        depth = torch.where(coverage > 0, depth, 0)[0, 0].numpy()
        steps.append((frame.astype(np.float32), depth, invented, shift))
    return steps


def differences(steps: list[tuple], focal_px: float) -> dict[str, float]:
    """Return the figures of a film, see the head of this file."""
    found: dict[str, list] = {"photo": [], "fill": []}
    every: dict[str, list] = {"photo": [], "fill": []}
    for (frame, depth, white, shift), (after, depth_after, _, shift_after) in zip(
        steps[:-1], steps[1:], strict=True
    ):
        # Where both mix, as on rims, it is neither.
        kernel = np.ones((3, 3), np.uint8)
        only = {"photo": cv2.dilate(white, kernel) < 5, "fill": cv2.erode(white, kernel) > 250}
        y, x = np.indices(depth.shape, np.float32)
        x = x + focal_px * (shift_after[0] - shift[0]) / np.maximum(depth, 1e-6)
        x = x.astype(np.float32)
        seen = cv2.remap(after, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        # The nearest and the farthest depth around: an edge is no place to compare colours.
        apart = [
            abs(cv2.remap(kind(depth_after, np.ones((3, 3))), x, y, cv2.INTER_NEAREST) - depth)
            for kind in (cv2.dilate, cv2.erode)
        ]
        same = (depth > 0) & (x >= 1) & (x <= depth.shape[1] - 2)
        same &= np.maximum(*apart) < SAME_DEPTH * depth
        change = abs(seen.clip(0, 255) - frame).mean(axis=2)
        for name, mask in only.items():
            chosen = same & mask
            if chosen.sum() >= 100:
                found[name].append(float(change[chosen].mean()))
                every[name].append(float((change[chosen] > ROUGH).mean()))
    figures = {}
    for name, means in found.items():
        figures[name] = float(np.mean(means)) if means else np.nan
        figures[f"{name}_pop"] = float(max(means) / np.median(means)) if means else np.nan
        figures[f"{name}_rough"] = float(np.mean(every[name])) if means else np.nan
    return figures


def main() -> None:
    """Render, compare, print, write JSON."""
    options = parse()
    if options.photo:
        image = read_photo(options.photo)
        disparity = read_pixels(options.disparity, cv2.IMREAD_UNCHANGED).astype(np.float32)
        scale = options.max_size / max(image.shape[2:])
        size = [round(side * scale) for side in image.shape[2:]]
        pixels = image[0].permute(1, 2, 0).numpy()
        pixels = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)
        image = image_tensor((pixels * 255).round().astype(np.uint8))
        disparity = cv2.resize(disparity, size[::-1], interpolation=cv2.INTER_NEAREST)
        disparity = torch.from_numpy(disparity)[None, None]
    else:
        image, disparity = wall()
    scene = Scene(image, scale_disparity(disparity, BASELINE), max(image.shape) / 2, BASELINE)
    steps = film(scene, options.reach, options.frames)
    found = differences(steps, scene.focal_px)
    report([("flicker", {"film": [found]})], options.json, COLUMNS)


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photo", help="photo instead of the post before bricks")
    parser.add_argument("--disparity", help="its disparity, an image of 8 or 16 bit")
    parser.add_argument(
        "--max-size", type=int, default=480, help="long side of the photo, px (480)"
    )
    parser.add_argument("--reach", type=float, default=30, help="to each side, of 120 (30)")
    parser.add_argument("--frames", type=int, default=25, help="of the slide (25)")
    parser.add_argument("--json", help="write the figures here")
    options = parser.parse_args()
    if bool(options.photo) != bool(options.disparity):
        parser.error("--photo and --disparity go together")
    return options


if __name__ == "__main__":
    run_telling(main)
