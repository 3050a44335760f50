"""Do depth edges run where things end? Estimates as refined, and with their outlines aligned.

    python -m benchmarks.outlines --val DATA/val --strong DATA/strong --photos DATA/photos
    python -m benchmarks.outlines --sharp DATA/strong2 --ways aligned

Protocol:
* `refined` is what the refinement network makes of an estimate, enlarged; `aligned` what films get.
* val/ and strong/: wrongly ordered pairs and boundary errors as in benchmarks/depth.py, and how
  things keep their shape along their outlines: `bend`, `torn` and `dragged` of
  `utils.training.metrics.outline_error`, after a scale and an offset. `flat` is the bend of a world
  of cardboard: every outline to the pixel, and the disparity deeper inside carried up to it as it
  is. --sharp is the same for the sharpest labels of a second such folder, with every clip on
  request (--every-clip).
* photos/ with `salient/`, soft masks of what stands out (a tenth of them, where a mask is sure):
  of the pixels within 1.2 % of the long side of a mask's outline that are also near a step of
  `refined`, the share that is not on the mask's side of that step. Masks know no depth, so where a
  thing stands on the ground the step is another one's: no estimate gets near 0.
"""

import argparse
import itertools
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from benchmarks.depth import (
    STRONG_SET,
    dict_samples,
    figures,
    network_estimator,
    read_photo,
    read_pixels,
    report,
    rgbd_samples,
    stereo_samples,
    strong_samples,
)
from benchmarks.folders import files_like, photo_of, run_telling
from models import BUNDLED
from utils.depth.steps import EDGE_JUMP
from utils.training import metrics

NEAR_MASK = 0.012  # of the long side
EVERY = 9  # of the masks in their order, one is looked at
SURE = 0.9  # of a mask's pixels are below 0.1 or above 0.9
STEEP = 0.25  # of a step lies within 3 px, where it is an edge
LEAST_PIXELS = 200
WAYS = ("refined", "aligned")
SHARP_STEMS = "ffs|sav|las|defom|maskd"  # of strong2/: true stereo, and refined outlines
SHAPE = ("bend", "torn", "dragged", "flat")
COLUMNS = ("wrong_side", "ordinal", "dbe_accuracy", "dbe_completeness", *SHAPE)


def estimators(weights, refine):
    """{name: callable(image) -> disparity (1, 1, H, W)}."""
    aligned = network_estimator(weights, "cpu", refine)

    def refined(image):
        with patch("utils.depth.estimators.align_outlines", lambda disparity, *_: disparity):
            return aligned(image)

    return {"refined": refined, "aligned": aligned}


def masks(folder):
    """(name, image, mask (H, W) in [0, 1]) of photographs whose mask is to be believed."""
    for path in files_like(folder, "salient/*.png")[::EVERY]:
        mask = read_pixels(path, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
        if 0.02 < mask.mean() < 0.8 and ((mask < 0.1) | (mask > 0.9)).mean() >= SURE:
            photo = photo_of(folder, path.stem)
            yield path.stem, read_photo(photo), mask


def wrong_side(found, mask):
    """{name: share of the pixels near a mask's outline that are on the wrong side of a step}.

    Args:
        found: {name: disparity (H, W)}; the step is that of "refined".
        mask: (h, w) in [0, 1].
    Returns:
        None where too few pixels are near a step.
    """
    first = found["refined"]
    height, width = first.shape
    near_px = max(3, round(NEAR_MASK * max(height, width)))

    def dilate(values, px):
        return cv2.dilate(values, np.ones((2 * px + 1,) * 2, np.uint8))

    near, far = dilate(first, 2 * near_px), -dilate(-first, 2 * near_px)
    local = dilate(first, 1) + dilate(-first, 1)
    step = near - far
    edge = (step >= EDGE_JUMP * first.max()) & (local > STEEP * step)
    inside = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
    part = inside.astype(np.uint8)
    judged = (dilate(part, near_px) == 1) & (dilate(1 - part, near_px) == 1)
    judged &= dilate(edge.astype(np.uint8), near_px) > 0
    judged &= step >= EDGE_JUMP * first.max()
    if judged.sum() < LEAST_PIXELS:
        return None
    middle = (near + far) / 2
    return {
        name: float(((disparity > middle) != inside)[judged].mean())
        for name, disparity in found.items()
    }


def judge_masks(estimate, photos):
    """{name: list of dicts} over photographs with masks."""
    rows = {name: [] for name in estimate}
    for stem, image, mask in tqdm(photos, "masks"):
        found = {name: look(image)[0, 0].numpy() for name, look in estimate.items()}
        for name, share in (wrong_side(found, mask) or {}).items():
            rows[name].append({"sample": stem, "wrong_side": share})
    return rows


def judge(estimate, samples, title):
    """{name: list of dicts} over samples of benchmarks/depth.py."""
    rows = {name: [] for name in estimate}
    for sample in tqdm(samples, title):
        for name, look in estimate.items():
            disparity = look(sample.image)
            found = figures(disparity, sample) | shape_figures(disparity, sample)
            rows[name].append({"sample": sample.name} | found)
    return rows


def shape_figures(disparity, sample):
    """SHAPE of disparity (1, 1, h, w); NaN where truth is right in order only."""
    if sample.ordered:
        return dict.fromkeys(SHAPE, np.nan)
    truth, mask = sample.inverse, sample.inverse > 0
    disparity = F.interpolate(disparity, truth.shape[-2:], mode="bilinear")
    found = metrics.outline_error(metrics.align(disparity, truth, mask), truth, mask)
    flat = metrics.flattened(truth[0, 0].numpy(), mask[0, 0].numpy())
    flat = torch.from_numpy(flat)[None, None]
    return found | {"flat": metrics.outline_error(flat, truth, mask)["bend"]}


def sharp_samples(folder, every_clip=False):
    """Sharpest labels of a folder like strong/: of clips that training leaves out, or of all."""
    part = None if every_clip else "held out"
    return dict_samples(STRONG_SET | {"path": folder, "stems": SHARP_STEMS, "part": part})


@torch.inference_mode()
def main():
    """Evaluate, print, write JSON."""
    options = parse()
    estimate = estimators(options.weights, options.refine)
    estimate = {name: estimate[name] for name in options.ways}
    results = []
    if options.val:
        sets = {
            "nyu": rgbd_samples(Path(options.val) / "rgbd"),
            "stereo": stereo_samples(Path(options.val) / "stereo"),
        }
    else:
        sets = {}
    if options.strong:
        sets["strong"] = strong_samples(options.strong)
    if options.sharp:
        sets["sharp"] = sharp_samples(options.sharp, options.every_clip)
    for title, samples in sets.items():
        chosen = itertools.islice(samples, options.limit)
        results.append((title, judge(estimate, chosen, title)))
    if options.photos:
        chosen = itertools.islice(masks(options.photos), options.limit)
        results.append(("masks", judge_masks(estimate, chosen)))
    if not results:
        raise SystemExit("No data: pass --val, --strong, --sharp or --photos.")
    report(results, options.json, COLUMNS)


def parse():
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--val", help="folder with rgbd/ and stereo/")
    parser.add_argument("--strong", help="photos labelled by strong networks")
    parser.add_argument("--sharp", help="more of those, of which the sharpest are taken")
    parser.add_argument("--every-clip", action="store_true", help="of --sharp, not held-out ones")
    parser.add_argument("--photos", help="folder with images/ and salient/ (needs both ways)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="which (both)")
    parser.add_argument(
        "--weights", default=str(BUNDLED / "disparity-estimation.safetensors"), help="estimation"
    )
    parser.add_argument(
        "--refine", default=str(BUNDLED / "disparity-refinement.safetensors"), help="refinement"
    )
    parser.add_argument("--limit", type=int, help="photos per set (all)")
    parser.add_argument("--json", help="write every figure here")
    options = parser.parse_args()
    if options.photos and "refined" not in options.ways:
        parser.error("--photos judges by the steps of the way 'refined'; leave it in --ways")
    return options


if __name__ == "__main__":
    run_telling(main)
