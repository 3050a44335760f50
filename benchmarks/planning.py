"""How much depth a film's camera shows, and how much of its frames is invented.

    python -m benchmarks.planning PHOTOS [--cache FOLDER] [--max-size 1024] [--json FILE]

Every photo of a folder by the default windows, with the published formula and with ours, and by the
automatic shot. Disparity comes from the
bundled networks, or from the cache of an earlier run. Figures:
* parallax: how far the nearest tenth of the pixels moves against the farthest, from the first frame
  to the last, in percent of the width: the median over those that both frames show.
* invented: the largest share of the first, middle and last frame that no point reaches, at the size
  of the photo as worked on, before inpainting. `at rest` is what edges cost without any motion.
* seconds: of planning, of the second of two runs.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.folders import photos_in, run_telling
from utils.camera import (
    BASELINE,
    MOVES,
    Stage,
    complete_windows,
    default_focal_px,
    find_focus,
    invented_shares,
    nearest_depth,
    plan_shot,
    published_path,
)
from utils.depth.estimators import refine_disparity
from utils.files import complete_or_absent
from utils.film import in_fours, read_image, resize
from utils.scene import Scene, lifted, scale_disparity
from utils.weights.chosen import Networks, find_weights


def read_scene(photo, side, cache, networks):
    """The scene of a photo of at most this long side; its disparity is kept in the cache."""
    pixels = read_image(photo).pixels
    height, width = in_fours(pixels.shape[:2])
    scale = min(1.0, side / max(height, width))
    size = tuple(max(16, round(extent * scale / 4) * 4) for extent in (height, width))
    pixels = resize(pixels[:height, :width], size)
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    kept = cache and cache / f"{photo.stem}_{side}.npy"
    if kept and kept.exists():
        disparity = torch.from_numpy(np.load(kept))
    else:
        disparity = refine_disparity(networks.refiner, image, networks.estimator(image))
        if kept:
            with complete_or_absent(kept) as temporary, open(temporary, "wb") as file:
                np.save(file, disparity.numpy())
    return Scene(image, scale_disparity(disparity, BASELINE), default_focal_px(size), BASELINE)


def measure_parallax(scene, path):
    """Motion of the nearest tenth against the farthest, as a share of the frame's width."""
    depth = scene.depth[0, 0].numpy().astype(float)
    order = np.argsort(depth, axis=None, kind="stable")
    near, far = order[: len(order) // 10], order[-(len(order) // 10) :]
    rows, columns = np.unravel_index(near, depth.shape)
    height, width = depth.shape
    rays = np.stack([columns - (width - 1) / 2, rows - (height - 1) / 2]) / scene.focal_px

    def places(t, z):
        pose = path.pose(t)
        shift, lens = (np.array(part)[:, None] for part in (pose.shift, pose.lens))
        distance = np.maximum(z + shift[2], 1e-6)
        at = pose.focal_px * ((rays * z + shift[:2]) / distance - lens)
        half = np.array(path.crop[::-1])[:, None] / 2
        return at / path.crop[1], (np.abs(at) <= half).all(axis=0) & (z + shift[2] > 1e-6)

    z = depth.ravel()[near]
    (first, seen), (last, still_seen) = places(0, z), places(1, z)
    (far_first, _), (far_last, _) = (places(t, np.median(depth.ravel()[far])) for t in (0, 1))
    moved = np.hypot(*((last - first) - (far_last - far_first)))
    both = seen & still_seen
    return float(np.median(moved[both])) if both.any() else 0.0


def by_formula(scene):
    """The path between the default windows as published."""
    start, end, *_ = complete_windows(scene.size)
    depth = nearest_depth(scene.depth)
    return published_path(start, end, scene.size, depth, scene.focal_px), "published"


def by_windows(scene):
    """The path between the default windows."""
    start, end, *_ = complete_windows(scene.size)
    focus = find_focus(scene.depth, end.center_u, end.center_v)
    stage = Stage(scene.size, scene.focal_px, focus, nearest_depth(scene.depth), start, end)
    return MOVES["windows"].plan(stage), "default windows"


def by_shot(scene):
    """The path of the automatic shot."""
    photo = lifted(scene)
    shot = plan_shot(photo)
    return shot.path(photo), shot.reason


def figures(scene, plan):
    """All figures of one way to plan."""
    plan(scene)  # compiled
    begin = time.perf_counter()
    path, reason = plan(scene)
    seconds = time.perf_counter() - begin
    return {
        "parallax": measure_parallax(scene, path),
        "invented": max(invented_shares(scene, path, scene.size, (0, 0.5, 1))),
        "at_rest": float(scene.render((0, 0, 0), fill=False)[1].mean()),
        "seconds": seconds,
        "reason": reason,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="folder")
    parser.add_argument("--cache", type=Path, help="folder that keeps the disparities")
    parser.add_argument("--max-size", type=int, default=1024, help="long side, px")
    parser.add_argument("--json", type=Path, default=Path("results/planning.json"))
    args = parser.parse_args()
    photos = photos_in(args.photos)
    if args.cache:
        args.cache.mkdir(parents=True, exist_ok=True)
    networks = Networks(find_weights("estimation"), find_weights("refinement"))
    plans = {"published": by_formula, "windows": by_windows, "auto": by_shot}
    rows = {}
    print(f"{'':24}" + "".join(f"{name:>20}" for name in plans))
    print(f"{'':24}" + f"{'parallax  invented':>20}" * len(plans) + "  at rest  seconds  shot")
    for photo in photos:
        scene = read_scene(photo, args.max_size, args.cache, networks)
        found = rows[photo.stem] = {name: figures(scene, plan) for name, plan in plans.items()}
        shot = found["auto"]
        print(
            f"{photo.stem:24.24}"
            + "".join(f"{row['parallax']:10.1%}{row['invented']:10.1%}" for row in found.values())
            + f"{shot['at_rest']:9.1%}{shot['seconds']:9.2f}  {shot['reason']}",
            flush=True,
        )
    for name in plans:
        parallax, invented, seconds = (
            [row[name][key] for row in rows.values()] for key in ("parallax", "invented", "seconds")
        )
        print(
            f"{name:10} median parallax {statistics.median(parallax):.1%}, invented: median "
            f"{statistics.median(invented):.1%}, largest {max(invented):.1%}, over 3 %: "
            f"{sum(share > 0.03 for share in invented)}; seconds: median "
            f"{statistics.median(seconds):.2f}, largest {max(seconds):.2f}"
        )
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    run_telling(main)
