"""How well are uncovered pixels filled? Against true second views: error, likeness and texture.

    python -m benchmarks.inpainting --stereo DATA/val/stereo --weights mine.safetensors
    python -m benchmarks.inpainting --scenes shard.h5 --json scenes.json
    python -m benchmarks.inpainting --stereo FOLDER --estimator disparity-estimation.safetensors

Protocol:
* The photo is lifted with its true disparity (pixels without a measurement, and those just behind
  a depth edge, make no point, as in a film), rendered where the second camera stood, and the holes
  are filled: by rule (from the farther side of the shortest line; "far": from the farthest side;
  "patches": that with the texture of patches, as films do),
  by OpenCV's Telea and Navier-Stokes (radius 3 px, 8 bit), and by each network or rule given. "no
  parallax" is the photo itself, "unfilled" leaves black.
* With --estimator the lifted disparity is that network's, fitted to the truth by a scale and an
  offset per image; the pixels judged stay those that the *true* disparity uncovers.
* `hole`: pixels uncovered. `inside`: of these, holes that do not touch the frame's border, where
  there is something on both sides. `all`: the whole view. SSIM is averaged over the windows centred
  there. `disparity`: mean |error| of the filled disparity as a share of the nearest one, where a
  method gives one.
* `edge`: the pixels within 3 px of a depth edge of the true second view, uncovered or not.
* Of the uncovered pixels also how much texture they have: `gradient`, the energy (mean square) of
  differences between neighbours that are both uncovered, over that of the truth, 1 = as rich;
  `gram`, how far the Gram matrices of features lie from those of the truth, relative to them: the
  kind of texture, wherever it stands; `features`, how far the features themselves do. Features are
  those of the encoder that ships (models/features.py), the mean over its three scales.
* A figure is the mean over the views; a view without such pixels does not count. There is no FID:
  it needs Inception's published weights, and says little over a few dozen views.
"""

import argparse
import functools
import itertools
import math
import sys
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from kornia.metrics import ssim

import kernels
from benchmarks.depth import image_tensor, network_estimator, read_photo, read_pixels, report
from benchmarks.folders import files_like, run_telling
from utils.depth.steps import EDGE_JUMP
from utils.scene.edges import surface_mask
from utils.scene.filling import fill_from_far
from utils.scene.rules import FarSide
from utils.scene.surface import Lens, Sheet
from utils.scene.uncovered import HoledView
from utils.training import metrics
from utils.weights import load_inpainter

RADIUS_PX = 3  # of OpenCV's methods
BAND_PX = 3  # to each side of a depth edge
COLUMNS = (
    "psnr_hole", "ssim_hole", "psnr_inside", "ssim_inside", "psnr_all", "ssim_all",
    "psnr_edge", "ssim_edge", "gradient", "gram", "features", "disparity", "seconds",
)  # fmt: skip


class Pair(NamedTuple):
    """A photo with disparity and what a second camera saw."""

    name: str
    image: torch.Tensor  # (1, 3, H, W) RGB in [0, 1]
    disparity: torch.Tensor  # (1, 1, H, W) px, 0 = unknown
    shift: tuple  # (3,) added to the points of the photo to get the second view
    focal_px: float
    baseline: float  # depth = focal_px * baseline / disparity
    truth: torch.Tensor  # (1, 3, H, W) the second photo
    true_disparity: torch.Tensor  # (1, 1, H, W) of the second view in the photo's scale, 0 unknown


class Holed(NamedTuple):
    """A rendered view before filling."""

    image: torch.Tensor  # (1, 3, H, W), 0 in holes
    disparity: torch.Tensor  # (1, 1, H, W), 0 in holes
    known: torch.Tensor  # (1, 1, H, W) of 0 and 1
    pair: Pair
    view: HoledView  # all this, as films have it


# --- pairs ---------------------------------------------------------------------------------------
def stereo_pairs(folder):
    """Stereo scenes: `SCENE/{left,right}.png`, `disp_{left,right}.png` 16 bit, 64 per pixel."""
    for path in files_like(folder, "*/disp_left.png"):
        left, right = (read_photo(path.parent / f"{side}.png") for side in ("left", "right"))
        disparities = (_disparity(path.parent / f"disp_{side}.png") for side in ("left", "right"))
        yield stereo_pair(path.parent.name, left, right, *disparities)


def stereo_pair(name, left, right, disparity, right_disparity=None):
    """A rectified pair. Left pixel x matches right pixel x - disparity.

    Args:
        name: for the report.
        left, right: (1, 3, H, W) RGB in [0, 1].
        disparity, right_disparity: (1, 1, H, W) px; 0, NaN or inf = unknown.
    """
    known = [
        torch.zeros_like(disparity) if d is None else torch.where(d.isfinite() & (d > 0), d, 0)
        for d in (disparity, right_disparity)
    ]
    # Only the product of focal length and baseline counts; the second camera stands to the right.
    return Pair(name, left, known[0], (-1.0, 0.0, 0.0), float(left.shape[-1]), 1.0, right, known[1])


def scene_pairs(paths):
    """Views 1, 2, ... of every scene in HDF5 shards of `utils.synthetic`, rendered from view 0."""
    import h5py

    for path in paths:
        with h5py.File(path) as file:
            baseline = float(file.attrs["baseline"])
            for scene, focal_px in enumerate(file["focal_px"][:].tolist()):
                images, depths = file["image"][scene], file["depth"][scene]
                shifts = file["shift"][scene]
                lift = focal_px * baseline
                for view in range(1, len(images)):
                    # Disparity is carried in the scale of the photo's camera.
                    depth = depths[view] - shifts[view, 2]
                    yield Pair(
                        f"{Path(path).stem}/{scene}/{view}", image_tensor(images[0]),
                        _over(lift, depths[0]), tuple(shifts[view].tolist()), focal_px, baseline,
                        image_tensor(images[view]), _over(lift, depth),
                    )  # fmt: skip


def _over(lift, depth):
    """Disparity (1, 1, H, W) of depth (H, W), 0 where it is not positive and finite."""
    known = np.isfinite(depth) & (depth > 0)
    disparity = np.where(known, lift / np.where(known, depth, 1), 0)
    return torch.from_numpy(disparity.astype(np.float32))[None, None]


def _disparity(path):
    stored = read_pixels(path, cv2.IMREAD_UNCHANGED).astype(np.float32) / 64
    return torch.from_numpy(stored)[None, None]


# --- rendering the second view -------------------------------------------------------------------
def second_view(pair):
    """Render the photo where the second camera stood, as in a film.

    That is, without points just behind depth edges, and without single splats inside holes.
    """
    keep = (pair.disparity > 0) & surface_mask(pair.disparity)
    photo = Lens(pair.focal_px, pair.focal_px * pair.baseline)
    sheet = Sheet(pair.image, pair.disparity, keep, photo)
    view = HoledView(sheet, photo._replace(shift=pair.shift), pair.baseline)
    seen, known = view.render(view.photo)
    return Holed(seen[:, :3], seen[:, 3:], known, pair, view)


def with_estimate(pair, estimate):
    """The pair with estimated disparity, fitted to the true one by scale and offset."""
    disparity = F.interpolate(estimate(pair.image), pair.image.shape[-2:], mode="bilinear")
    known = (pair.disparity > 0).float()
    fitted = metrics.align(disparity, pair.disparity, known)
    floor = 0.1 * float(pair.disparity[known > 0].min())
    return pair._replace(disparity=fitted.clamp(min=floor))


# --- fillings: Holed -> image (1, 3, H, W), disparity (1, 1, H, W) or None -----------------------
def unfilled(holed):
    """Leave holes black."""
    return holed.image, None


def no_parallax(holed):
    """Show the photo itself."""
    return holed.pair.image, None


def by_rule(holed):
    """Continue the farther side of each hole by one value per line, as the paper."""
    view = torch.cat([holed.image, holed.disparity], dim=1)
    depth = holed.known / holed.disparity.clamp(min=1e-6)
    filled = kernels.fill_disocclusion(view.contiguous(), depth.contiguous())
    return filled[:, :3], filled[:, 3:]


def by_far_rule(holed):
    """Continue the farthest side, which is what films begin with without a network."""
    filled = fill_from_far(torch.cat([holed.image, holed.disparity], dim=1), holed.known)
    return filled[:, :3], filled[:, 3:]


def by_opencv(method):
    """Fill by cv2.inpaint with the given flag."""

    def fill(holed):
        pixels = (holed.image[0].permute(1, 2, 0) * 255).round().clamp(0, 255).byte().numpy()
        holes = (holed.known[0, 0] == 0).byte().numpy()
        filled = cv2.inpaint(np.ascontiguousarray(pixels), holes, RADIUS_PX, method)
        return image_tensor(filled), None

    return fill


def by_inpainter(inpainter):
    """Fill as films do, by a rule or a network; see `utils.weights.load_inpainter`."""

    @torch.inference_mode()
    def fill(holed):
        filled = inpainter.inpaint(holed.view)
        return filled.image.float(), filled.disparity.float()

    return fill


FILLINGS = {
    "no parallax": no_parallax,
    "unfilled": unfilled,
    "rule": by_rule,
    "far rule": by_far_rule,
    "patches": by_inpainter(FarSide()),
    "telea": by_opencv(cv2.INPAINT_TELEA),
    "navier-stokes": by_opencv(cv2.INPAINT_NS),
}


# --- evaluation ----------------------------------------------------------------------------------
def figures(filled, disparity, pair, holes):
    """Figures of one filled view; NaN where there is no such pixel.

    Args:
        filled: (1, 3, H, W).
        disparity: (1, 1, H, W) or None.
        pair: Pair.
        holes: (1, 1, H, W) of 0 and 1: the pixels to judge.
    """
    similarity = ssim(filled.double(), pair.truth.double(), window_size=11)
    masks = {
        "hole": holes,
        "inside": inside(holes),
        "all": torch.ones_like(holes),
        "edge": edge_band(pair.true_disparity),
    }
    found = {"gradient": gradient_ratio(filled, pair.truth, holes)}
    found["gram"], found["features"] = feature_distances(filled, pair.truth, holes)
    for name, mask in masks.items():
        some = bool(mask.any())
        found[f"psnr_{name}"] = metrics.psnr(filled, pair.truth, mask) if some else math.nan
        chosen = similarity[mask.bool().expand_as(similarity)]
        found[f"ssim_{name}"] = float(chosen.mean()) if some else math.nan
    judged = holes * (pair.true_disparity > 0) > 0
    found["disparity"] = math.nan
    if disparity is not None and judged.any():
        error = (disparity - pair.true_disparity)[judged].abs().mean()
        found["disparity"] = float(error / pair.true_disparity.max())
    return found


def inside(holes):
    """The holes that do not touch the border of the frame."""
    count, labels = cv2.connectedComponents(holes[0, 0].byte().numpy(), connectivity=8)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    keep = np.ones(count, bool)
    keep[border] = keep[0] = False
    return torch.from_numpy(keep[labels])[None, None].float()


def edge_band(disparity):
    """Mark the pixels within BAND_PX of a depth edge: (1, 1, H, W) of 0 and 1; 0 = unknown."""
    known = disparity > 0
    if not known.any():
        return torch.zeros_like(disparity)
    peak = float(disparity.max())
    near = F.max_pool2d(disparity, 3, stride=1, padding=1)
    far = -F.max_pool2d(-torch.where(known, disparity, peak), 3, stride=1, padding=1)
    edge = (near - far > EDGE_JUMP * peak).float()
    return F.max_pool2d(edge, 2 * BAND_PX + 1, stride=1, padding=BAND_PX)


def gradient_ratio(filled, truth, holes):
    """Energy of differences between neighbours inside holes over that of the truth, or NaN."""
    ours = theirs = 0.0
    for axis in (2, 3):
        both = torch.diff(holes, dim=axis) == 0
        both &= holes.narrow(axis, 1, both.shape[axis]) > 0
        ours += float((torch.diff(filled, dim=axis) ** 2 * both).sum())
        theirs += float((torch.diff(truth, dim=axis) ** 2 * both).sum())
    return ours / theirs if theirs else math.nan


@functools.cache
def encoder_features():
    """The feature maps of the encoder that ships; never VGG-16, so that figures can be compared."""
    from models import BUNDLED
    from models.features import EncoderFeatures
    from utils.weights.loading import load_network

    path = BUNDLED / "disparity-estimation.safetensors"
    return EncoderFeatures(load_network(path, "estimation", "cpu").encoder)


@torch.inference_mode()
def feature_distances(filled, truth, holes):
    """Relative distances of Gram matrices and of features inside holes, or NaN."""
    if not holes.any():
        return math.nan, math.nan
    grams, plain = [], []
    for maps in encoder_features()(torch.cat([filled, truth]).float()):
        # A cell of a feature map counts by its share of uncovered pixels.
        cell = round(filled.shape[-1] / maps.shape[-1])
        share = F.avg_pool2d(holes, cell, ceil_mode=True)[0, 0]
        height, width = share.shape
        share, (ours, theirs) = share.flatten(), maps[:, :, :height, :width].flatten(2)
        gram, true_gram = (share * x @ x.T / share.sum() for x in (ours, theirs))
        grams.append(float((gram - true_gram).norm() / true_gram.norm()))
        plain.append(float((share * (ours - theirs) ** 2).sum() / (share * theirs**2).sum()) ** 0.5)
    return sum(grams) / len(grams), sum(plain) / len(plain)


def evaluate(pairs, fillings, estimate=None):
    """Figures of every filling on every pair.

    Args:
        pairs: iterable of Pair.
        fillings: dict name -> callable(Holed) -> image, disparity or None.
        estimate: callable(image) -> disparity, to be used instead of the true one.
    Returns:
        dict name -> list of dicts.
    """
    rows = {name: [] for name in fillings}
    for pair in pairs:
        print(f"{pair.name} ...", end=" ", file=sys.stderr, flush=True)
        truly_known = second_view(pair).known
        holed = second_view(pair if estimate is None else with_estimate(pair, estimate))
        for name, fill in fillings.items():
            start = time.perf_counter()
            image, disparity = fill(holed)
            seconds = time.perf_counter() - start
            if fill is not no_parallax:
                image = torch.where(holed.known > 0, holed.image, image)
            found = figures(image, disparity, pair, 1 - truly_known)
            rows[name].append({"pair": pair.name} | found | {"seconds": seconds})
            print(name, end=", ", file=sys.stderr, flush=True)
        print("done", file=sys.stderr, flush=True)
    return rows


def main():
    """Evaluate, print, write JSON."""
    options = parse()
    fillings = FILLINGS | {
        Path(given).name: by_inpainter(load_inpainter(given, options.device))
        for given in options.weights
    }
    estimate = None
    if options.estimator:
        estimate = network_estimator(options.estimator, options.device, options.refine)
    sets = {"scenes": scene_pairs(options.scenes)} if options.scenes else {}
    if options.stereo:
        sets["stereo"] = stereo_pairs(options.stereo)
    if not sets:
        raise SystemExit("No views: pass --stereo FOLDER or --scenes SHARD.")
    results = (
        (title, evaluate(itertools.islice(pairs, options.limit), fillings, estimate))
        for title, pairs in sets.items()
    )
    report(results, options.json, COLUMNS)


def parse():
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stereo", help="folder of scenes with both photos and both disparities")
    parser.add_argument("--scenes", nargs="*", default=[], help="HDF5 shards of synthetic scenes")
    parser.add_argument("--weights", nargs="*", default=[], help="networks, or rules, to compare")
    parser.add_argument("--estimator", help="estimate disparity with these weights instead")
    parser.add_argument("--refine", help="refine that estimate with these weights, or by 'rule'")
    parser.add_argument("--device", default="cpu", help="where networks run (cpu)")
    parser.add_argument("--limit", type=int, help="views per set (all)")
    parser.add_argument("--json", help="write every figure of every view here")
    return parser.parse_args()


if __name__ == "__main__":
    run_telling(main)
