"""Does what is straight in a photo stay straight in its film? Long segments, seen from elsewhere.

    python -m benchmarks.straight --photos DATA/val/photos
    python -m benchmarks.straight --val DATA/val --strong DATA/strong --sharp DATA/strong2

Protocol:
* The long straight segments of a photo (5 % of its long side; `utils.depth.segments`) are moved
  by the disparity that enters the film, of the nearer of both sides 2 px (of 1280) off, into the
  extreme poses of three moves at strength 1.5. How far from straight they get is the 90th
  percentile of their points' distances from the line that fits them best, px of a film of 1280 px,
  in the worst pose of the move. A figure of a photo is the mean over its segments, each by its
  length; `bent` the share of their length that gets bent by more than 1 px in some move.
* `aligned` is an estimate with its outlines aligned, `straight` what films get: lines straightened.
* Sets with true depth: the same for the truth, which tells how straight true lines are (not all
  that is straight in a photo is straight in space), and for the truth straightened.
* `unlike`: how far lines run off their true course, straight or not: what is not affine along a
  segment of the estimate less the truth, after a scale and an offset, 90th percentile, in px of a
  film in which near and far things part by as much as at strength 1. `error` is the mean error of
  the estimate within 2 % of the long side of a segment, as a share of the range of the truth; bend,
  torn and dragged are those of benchmarks/outlines.py. `seconds` of one core that straightening
  takes; the first photo compiles it, where that was not done before.
"""

import argparse
import itertools
import time
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import torch
from tqdm import tqdm

from benchmarks.depth import (
    Sample,
    image_tensor,
    network_estimator,
    report,
    stereo_samples,
    strong_samples,
)
from benchmarks.folders import photos_in, run_telling
from benchmarks.outlines import shape_figures, sharp_samples
from models import BUNDLED
from utils.camera import BASELINE, MOVES, CropWindow, Stage, depth_range, find_focus, nearest_depth
from utils.camera.moves import PARALLAX
from utils.depth.segments import find_segments
from utils.depth.straight import straighten
from utils.film import in_fours, read_image
from utils.filters import fill_nearest
from utils.scene import scale_disparity
from utils.training import metrics

FILM_PX = 1280  # long side
ASIDE_PX = 2  # of that
POSES = {"right": (0, 1), "orbit": (0.25, 0.5, 0.75), "zoom-in": (1,)}
STRENGTH = 1.5
BENT_PX, MOST_PX = 1, 5
LEAST_POINTS = 10
NEAR = 0.02  # of the long side
COLUMNS = (*POSES, "bent", "unlike", "error", "bend", "torn", "dragged", "seconds")


def bending(disparity, segments):
    """How far from straight each segment gets, px: {move: (S,)}.

    Args:
        disparity: (H, W) relative.
        segments: list of utils.depth.straight.Segment.
    """
    size = disparity.shape
    scaled = scale_disparity(torch.from_numpy(disparity)[None, None].float(), BASELINE)
    focal_px = max(size) / 2
    views = list(views_of(focal_px * BASELINE / scaled, focal_px, STRENGTH))
    scaled = scaled[0, 0].numpy()
    found = {move: [] for move in POSES}
    for segment in segments:
        u, v, nearer = along(scaled, segment)
        points = np.stack([u - (size[1] - 1) / 2, v - (size[0] - 1) / 2, np.full(len(u), focal_px)])
        points = points * BASELINE / nearer
        bends = {move: [0.0] for move in POSES}
        for move, view in views:
            places = project(points, view)
            shown = (np.abs(places) <= np.array(view["size"])[::-1, None] / 2).all(0)
            if shown.sum() >= LEAST_POINTS:
                bends[move].append(min(off_line(places[:, shown]), MOST_PX))
        for move in POSES:
            found[move].append(max(bends[move]))
    return {move: np.array(of) for move, of in found.items()}


def views_of(depth, focal_px, strength):
    """(move, view) of the poses that are looked at."""
    height, width = depth.shape[2:]
    whole = CropWindow(width / 2, height / 2, width, height)
    focus = find_focus(depth, width / 2, height / 2)
    stage = Stage(
        (height, width), focal_px, focus, nearest_depth(depth, 0.25), whole, whole,
        depth_range(depth), (height, width), strength, False,
    )  # fmt: skip
    size = tuple(round(side * FILM_PX / max(height, width)) for side in (height, width))
    for move, times in POSES.items():
        path = MOVES[move].plan(stage)
        for t in times:
            yield move, path.view(t, size)


def along(disparity, segment):
    """Places (u, v), (N,) px, where a segment was seen, and the disparity of the nearer side."""
    step = segment.end - segment.start
    length = np.hypot(*step)
    ways = [np.arange(low, high) for low, high in segment.pieces]
    u, v = segment.start[:, None] + (step / length)[:, None] * np.concatenate(ways)
    aside = max(1, ASIDE_PX * max(disparity.shape) / FILM_PX)
    across = np.array([-step[1], step[0]]) / length * aside
    sides = [read(disparity, u + sign * across[0], v + sign * across[1]) for sign in (-1, 1)]
    return u, v, np.maximum(*sides)


def read(disparity, u, v):
    """Disparity at the nearest pixels."""
    rows, columns = (
        np.rint(at).astype(int).clip(0, side - 1)
        for at, side in zip((v, u), disparity.shape, strict=True)
    )
    return disparity[rows, columns]


def project(points, view):
    """Places (2, N) px of points (3, N) in a view of `CameraPath.view`."""
    x, y, z = points + np.array(view["shift"])[:, None]
    ahead = np.maximum(z, 1e-3)
    return view["focal_px"] * np.stack([x / ahead - view["lens"][0], y / ahead - view["lens"][1]])


def off_line(places):
    """The 90th percentile of the distances of places (2, N) from the line that fits them best."""
    places = places - places.mean(1, keepdims=True)
    across = np.linalg.eigh(places @ places.T)[1][:, 0]
    return float(np.percentile(np.abs(across @ places), 90))


def line_figures(disparity, segments):
    """Figures of COLUMNS that need no truth."""
    lengths = np.array([np.ptp(segment.pieces) for segment in segments])
    bends = bending(disparity, segments)
    figures = {move: float(np.average(of, weights=lengths)) for move, of in bends.items()}
    worst = np.max(list(bends.values()), axis=0)
    return figures | {"bent": float(np.average(worst > BENT_PX, weights=lengths))}


def unlike(disparity, truth, segments):
    """How far off their true course lines run, px of a film, where near and far part by PARALLAX.

    Args:
        disparity: (H, W), with the scale and offset of the truth.
        truth: (H, W).
    """
    range_ = np.percentile(truth, 98) - np.percentile(truth, 2)
    off, lengths = [], []
    for segment in segments:
        nearer = [along(values, segment)[2] for values in (disparity, truth)]
        error = (nearer[0] - nearer[1]).astype(np.float64)
        t = np.linspace(-1, 1, len(error))
        error -= np.polyval(np.polyfit(t, error, 1), t)
        off.append(min(np.percentile(np.abs(error), 90) / range_ * PARALLAX * FILM_PX, MOST_PX))
        lengths.append(len(error))
    return float(np.average(off, weights=lengths))


def near_mask(segments, size):
    """(H, W) bool: near a segment."""
    mask = np.zeros(size, np.uint8)
    width = 2 * round(NEAR * max(size)) + 1
    for segment in segments:
        ends = (tuple(map(int, np.rint(end))) for end in (segment.start, segment.end))
        cv2.line(mask, *ends, 1, width)
    return mask > 0


def ways_of(estimate, sample, pixels):
    """{way: disparity (H, W)} of a sample, and the seconds of one core that straightening took."""
    ways, times = {}, []

    def timed(disparity, *more):
        ways["aligned"], start = disparity, time.process_time()
        straight = straighten(disparity, *more)
        times.append(time.process_time() - start)
        return straight

    start = time.process_time()
    segments = find_segments(pixels)
    found = time.process_time() - start
    with patch("utils.depth.estimators.straighten", timed):
        ways["straight"] = estimate(sample.image)[0, 0].numpy()
    if sample.inverse is not None:
        truth = sample.inverse[0, 0].numpy()
        truth = fill_nearest(truth, truth > 0).astype(np.float32)
        ways |= {"truth": truth, "truth, straight": straighten(truth, segments)}
    return ways, found + times[0]


def truth_figures(disparity, sample, segments):
    """Figures of COLUMNS by truth, of disparity (H, W)."""
    truth, mask = sample.inverse, sample.inverse > 0
    estimate = torch.from_numpy(disparity)[None, None]
    fitted = metrics.align(estimate, truth, mask)
    near = torch.from_numpy(near_mask(segments, disparity.shape)) & mask[0, 0]
    error = (fitted - truth).abs()[0, 0][near].mean() / (truth[mask].max() - truth[mask].min())
    known = fill_nearest(truth[0, 0].numpy(), mask[0, 0].numpy())
    off = unlike(fitted[0, 0].numpy(), known, segments)
    return {"unlike": off, "error": float(error)} | shape_figures(estimate, sample)


def judge(estimate, samples, title):
    """{way: list of dicts} over samples that have long segments."""
    rows = {}
    for sample in tqdm(samples, title, disable=None):
        pixels = (sample.image[0].permute(1, 2, 0) * 255).round().byte().numpy()
        segments = find_segments(pixels)
        if not segments or sample.ordered:
            continue
        ways, seconds = ways_of(estimate, sample, pixels)
        for way, disparity in ways.items():
            found = {"sample": sample.name} | line_figures(disparity, segments)
            if sample.inverse is not None:
                found |= truth_figures(disparity, sample, segments)
            found["seconds"] = seconds if way == "straight" else np.nan
            rows.setdefault(way, []).append(found)
    return rows


def photo_samples(folder):
    """Samples of photographs whose depth nobody knows."""
    for path in photos_in(folder):
        pixels = read_image(path).pixels
        height, width = in_fours(pixels.shape[:2])
        yield Sample(path.stem, image_tensor(pixels[:height, :width]), None, None)


@torch.inference_mode()
def main():
    """Evaluate, print, write JSON."""
    options = parse()
    sets = {}
    if options.photos:
        sets["photos"] = photo_samples(options.photos)
    if options.val:
        sets["stereo"] = stereo_samples(Path(options.val) / "stereo")
    if options.strong:
        sets["strong"] = strong_samples(options.strong)
    if options.sharp:
        sets["sharp"] = sharp_samples(options.sharp, options.every_clip)
    if not sets:
        raise SystemExit("No data: pass --photos, --val, --strong or --sharp.")
    estimate = network_estimator(options.weights, "cpu", options.refine)
    first, step = {"first": (0, 2), "second": (1, 2), None: (0, 1)}[options.half]
    results = [
        (title, judge(estimate, itertools.islice(samples, first, None, step), title))
        for title, samples in sets.items()
    ]
    report(results, options.json, COLUMNS)


def parse():
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", help="folder of photographs")
    parser.add_argument("--val", help="folder with stereo/")
    parser.add_argument("--strong", help="photos labelled by strong networks")
    parser.add_argument("--sharp", help="more of those, of which the sharpest are taken")
    parser.add_argument("--every-clip", action="store_true", help="of --sharp, not held-out ones")
    parser.add_argument("--half", choices=("first", "second"), help="every other photo (all)")
    parser.add_argument(
        "--weights", default=str(BUNDLED / "disparity-estimation.safetensors"), help="estimation"
    )
    parser.add_argument(
        "--refine", default=str(BUNDLED / "disparity-refinement.safetensors"), help="refinement"
    )
    parser.add_argument("--json", help="write every figure here")
    return parser.parse_args()


if __name__ == "__main__":
    run_telling(main)
