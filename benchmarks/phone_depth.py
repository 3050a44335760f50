"""What is a phone's depth map worth: alone, the network alone, and both joined?

    python -m benchmarks.phone_depth --measured DATA/measured --scenes 12

Protocol:
* Truth: photographs with measured depth (`--measured`, those whose name begins with `--stems`),
  and scenes of utils.synthetic, whose depth is exact.
* Each truth is made a phone's map: reduced to a fifth of the photo's sides (`--scale`), blurred,
  8 bits, everything beyond a range at its end, a strip beside every front and a few blobs unknown.
* Error: mean |disparity - truth| in per cent of the truth's range, after the best scale and shift:
  everywhere, within 2 % of the long side of a depth edge, and where the map knows nothing.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.depth import read_photo, read_pixels
from benchmarks.folders import files_like, photo_of, run_telling
from models import BUNDLED
from utils.depth.estimators import estimate_disparity, fit_disparity, refine_disparity
from utils.depth.joining import align, blur, fill
from utils.depth.own import own_disparity
from utils.filters import fill_nearest
from utils.weights.loading import load_estimator, load_network

EDGE = 0.08  # of the truth's range, between neighbours 1 % of the long side apart
NEAR_EDGE = 0.02  # of the long side
LAYOUTS = (0.005, 0.01, 0.02)  # of the long side: what is finer is detail
RANGE_END = 0.15  # of the truth's range: what is farther, the map has at its end


def measured_samples(folder, stems):
    """(name, image (1, 3, H, W), disparity (H, W), NaN where unknown)."""
    for path in files_like(folder, f"nearness/{stems}*.png"):
        photo = photo_of(folder, path.stem)
        values = read_pixels(path, cv2.IMREAD_UNCHANGED).astype(np.float32)
        image = read_photo(photo)
        values = cv2.resize(values, tuple(image.shape[:1:-1]), interpolation=cv2.INTER_NEAREST)
        yield path.stem, image, np.where(values > 0, values, np.nan)


def drawn_samples(count, size=(576, 768)):
    """The same of our own scenes, from number 9000 on, which nothing is trained with."""
    from utils.synthetic import generate_scene

    for index in range(9000, 9000 + count):
        scene = generate_scene(7, index, size, 1)
        image = torch.from_numpy(scene["image"][0].copy()).permute(2, 0, 1)[None].float() / 255
        yield f"scene {index} {scene['family']}", image, 1 / scene["depth"][0]


def phone_map(truth, scale, seed=0, hole=0.0):
    """What a phone would store of a disparity (H, W): (h, w) float32, NaN where unknown."""
    rng = np.random.default_rng(seed)
    filled = np.where(np.isfinite(truth), truth, np.nanmin(truth)).astype(np.float32)
    height, width = (max(8, round(side * scale)) for side in truth.shape)
    small = cv2.resize(filled, (width, height), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 1.0)
    low, high = small.min(), small.max()
    small = np.maximum(small, low + RANGE_END * (high - low))
    low = small.min()
    small = np.round((small - low) / (high - low) * 255) / 255 * (high - low) + low
    unknown = np.zeros((height, width), np.uint8)
    step = small - np.roll(small, -3, axis=1)
    unknown[:, :-3][step[:, :-3] < -0.1 * (high - low)] = 1  # left of a front
    for _ in range(4):
        centre = int(rng.integers(width)), int(rng.integers(height))
        axes = tuple(int(side) for side in rng.integers(2, max(3, width // 12), 2))
        cv2.ellipse(unknown, centre, axes, 0, 0, 360, 1, -1)
    side = int(hole * width)
    row, column = (int(rng.integers(0, max(1, all_of - side))) for all_of in (height, width))
    unknown[row : row + side, column : column + side] = 1
    return np.where(unknown > 0, np.nan, small).astype(np.float32)


def errors(found, truth, unknown):
    """(everywhere, near edges, in the map's holes) in per cent of the truth's range."""
    known = np.isfinite(truth)
    x, y = found[known].astype(np.float64), truth[known].astype(np.float64)
    scale, offset = np.polyfit(x, y, 1)
    off = np.abs(scale * found + offset - truth)
    low, high = np.percentile(y, (0.5, 99.5))
    off = 100 * off.clip(max=high - low) / (high - low)
    reach = max(1, round(0.005 * max(truth.shape)))
    values = np.where(known, truth, low).astype(np.float32)
    window = np.ones((2 * reach + 1,) * 2, np.uint8)
    edge = cv2.dilate(values, window) - cv2.erode(values, window) > EDGE * (high - low)
    near = max(2, round(NEAR_EDGE * max(truth.shape)))
    near = cv2.dilate(edge.astype(np.uint8), np.ones((2 * near + 1,) * 2, np.uint8)) > 0
    masks = known, known & near, known & unknown
    return [float(off[mask].mean()) if mask.any() else np.nan for mask in masks]


def candidates(image, own, estimator, refiner):
    """{name: disparity (H, W)}."""
    network = refine_disparity(refiner, image, estimate_disparity(estimator, image))[0, 0].numpy()
    small = cv2.resize(network, own.shape[::-1], interpolation=cv2.INTER_AREA)
    filled, near = fill(own, small), fill_nearest(own, np.isfinite(own))

    def enlarged(disparity):
        return fit_disparity(disparity, image)[0, 0].numpy()

    found = {"network": network, "nearest": enlarged(near), "map": enlarged(filled)}
    for layout in LAYOUTS:
        found[f"detail {layout:.1%}"] = with_detail(found["map"], network, layout)
    given = torch.from_numpy(network)[None, None]
    found["film"] = own_disparity(own, image, lambda: given)[0, 0].numpy()
    return found


def with_detail(disparity, estimate, layout):
    """The map's layout and the network's detail, which is finer than `layout` of the long side."""
    scale, offset, _ = align(estimate, disparity)
    aligned = scale * estimate + offset
    coarse = blur((disparity - aligned).astype(np.float32), layout * max(disparity.shape))
    return np.maximum(aligned + coarse, 0).astype(np.float32)


def main(argv=None):
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--measured", type=Path)
    parser.add_argument("--stems", default="lensblur_")
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--scale", type=float, default=0.2)
    parser.add_argument("--hole", type=float, default=0, help="a square unknown, share of width")
    parser.add_argument("--each", action="store_true", help="also print every photo's")
    options = parser.parse_args(argv)
    estimator = load_estimator(BUNDLED / "disparity-estimation.safetensors")
    refiner = load_network(BUNDLED / "disparity-refinement.safetensors", "refinement")
    sets = {"drawn": drawn_samples(options.scenes)}
    if options.measured:
        sets["measured"] = measured_samples(options.measured, options.stems)
    for title, samples in sets.items():
        rows = {}
        for number, (name, image, truth) in enumerate(samples):
            own = phone_map(truth, options.scale, number, options.hole)
            hole = (
                cv2.resize(np.isnan(own).astype(np.uint8), truth.shape[::-1], interpolation=0) > 0
            )
            for which, found in candidates(image, own, estimator, refiner).items():
                rows.setdefault(which, []).append(errors(found, truth, hole))
                if options.each:
                    print(name, which, *(f"{value:.2f}" for value in rows[which][-1]))
        print(f"{title}: {len(rows['map'])} photos; everywhere, near edges, in holes [% of range]")
        for which, values in rows.items():
            print(f"  {which:12}", *(f"{value:6.2f}" for value in np.nanmean(values, axis=0)))


if __name__ == "__main__":
    run_telling(main)
