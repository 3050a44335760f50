"""How good is estimated disparity? Figures per data set, beside a vertical ramp and a constant.

    python -m benchmarks.depth --val DATA/val --weights a.safetensors b.safetensors
    python -m benchmarks.depth --nyu nyu_depth_v2_labeled.mat --split splits.mat --json nyu.json
    python -m benchmarks.depth --ibims ibims1_core_raw
    python -m benchmarks.depth --strong DATA/strong --weights a.safetensors
    python -m benchmarks.depth --data-set mine.json     # a dict as train.py takes it

Protocol (that of the paper's benchmarks):
* The estimate is resized to the photo (bilinear) and fitted to the *inverse* true depth, or to the
  true disparity, by least squares with a scale and an offset per image, over the valid pixels.
* Depth is its inverse, at most the range of the sensor (NYU 10 m, iBims-1 50 m, else the greatest
  true depth of the image), and compared with true depth: AbsRel, RMSE, log10, delta 1-3. Stereo
  sets have disparity up to an unknown offset, so no depth: order and correlation only.
* `ordinal`: share of wrongly ordered pairs among 50,000, truth differing by more than 3 %; a tie is
  half wrong. `correlation`: Pearson, in disparity.
* `dbe_*`: depth boundary error of iBims-1 in px (on disparity for stereo sets), against annotated
  edges where the set has them; NaN (left out of the mean) where the truth has no edge.
* NYU: 16 pixels are cropped from the full 640x480 frames. A folder whose frames are cut to the
  valid area already (560x426 of them, as in `val/rgbd`) is taken whole: there the ramp scores
  AbsRel 0.233 and delta1 0.580; cut by another 16 pixels 0.222 and 0.599, fitted in depth instead
  of inverse depth 0.249 and 0.613.
* A figure of a set is the mean over its images.
"""

import argparse
import functools
import itertools
import json
import math
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.folders import files_like, photo_of, run_telling
from utils.files import complete_or_absent
from utils.training import metrics

NYU_RANGE_M, NYU_CROP_PX = 10, 16
IBIMS_RANGE_M = 50
STRONG_STEMS = "(?!depthy_|dvd_|omnidata_|genpercept_|distill_)"  # what is weak judges nobody
STRONG_SET = {
    "name": "strong",
    "index": "index.csv",
    "part": "held out",
    "stems": STRONG_STEMS,
    "disparity": "relative",
    "disparity_folder": "nearness",
    "unknown": 0,
    "param": {"baseline": 1, "focal": 256},
}
BY_RULE = "rule"  # in place of a refinement network
COLUMNS = (
    "abs_rel", "rmse", "log10", "delta1", "delta2", "delta3",
    "correlation", "ordinal", "dbe_accuracy", "dbe_completeness",
)  # fmt: skip


class Sample(NamedTuple):
    """One photo and what is known about it."""

    name: str
    image: torch.Tensor  # (1, 3, H, W) RGB in [0, 1]
    inverse: torch.Tensor  # (1, 1, H, W) true inverse depth or disparity, 0 = unknown
    range: float | None  # farthest depth; inf: that of the truth; None: disparity, not depth
    edges: np.ndarray | None = None  # (H, W) annotated depth edges
    ordered: bool = False  # whether `inverse` is right in its order only


# --- data sets -----------------------------------------------------------------------------------
def rgbd_samples(folder, unit=0.001, reach=NYU_RANGE_M):
    """Photos in `images/`, depth of the same stem in `depth/` as 16-bit PNG, 0 = unknown.

    Args:
        folder: path.
        unit: metres per stored unit.
        reach: farthest depth in m.
    """
    for path in files_like(folder, "depth/*.png"):
        photo = photo_of(folder, path.stem)
        depth = read_pixels(path, cv2.IMREAD_UNCHANGED).astype(np.float32) * unit
        yield Sample(path.stem, read_photo(photo), _inverse(depth), reach)


def nyu_samples(path, split=None):
    """NYU Depth v2: a folder (see `rgbd_samples`) or the labelled MATLAB v7.3 file.

    Args:
        path: folder, or nyu_depth_v2_labeled.mat.
        split: for the latter, splits.mat (testNdxs) or a text file of 1-based numbers; all frames
            without it.
    """
    if Path(path).is_dir():
        yield from rgbd_samples(path)
        return
    import h5py

    crop = slice(NYU_CROP_PX, -NYU_CROP_PX)
    with h5py.File(path) as file:
        numbers = range(len(file["depths"])) if split is None else _split(split)
        for index in numbers:  # stored as (C, W, H)
            image = file["images"][index].transpose(2, 1, 0)[crop, crop]
            depth = file["depths"][index].T[crop, crop]
            yield Sample(f"{index + 1:04d}", image_tensor(image), _inverse(depth), NYU_RANGE_M)


def ibims_samples(folder):
    """iBims-1, core raw: `rgb/`, `depth/` (16 bit, 50 m at 65535), masks and annotated edges."""
    folder = Path(folder)
    for path in files_like(folder, "depth/*.png"):
        depth = read_pixels(path, cv2.IMREAD_UNCHANGED).astype(np.float32) * (IBIMS_RANGE_M / 65535)
        for name in ("mask_invalid", "mask_transp"):
            if (folder / name / path.name).exists():
                depth[read_pixels(folder / name / path.name, cv2.IMREAD_GRAYSCALE) == 0] = 0
        edges = read_pixels(folder / "edges" / path.name, cv2.IMREAD_GRAYSCALE) > 0
        photo = read_photo(folder / "rgb" / path.name)
        yield Sample(path.stem, photo, _inverse(depth), IBIMS_RANGE_M, edges)


def stereo_samples(folder):
    """Stereo scenes: `SCENE/left.png` and `SCENE/disp_left.png`, 16 bit, 64 per pixel, 0 = unknown.

    In Middlebury 2005 the inverse depth is this disparity plus an unknown constant.
    """
    for path in files_like(folder, "*/disp_left.png"):
        disparity = read_pixels(path, cv2.IMREAD_UNCHANGED).astype(np.float32) / 64
        truth = torch.from_numpy(disparity)[None, None]
        yield Sample(path.parent.name, read_photo(path.parent / "left.png"), truth, None)


def dict_samples(data_set):
    """Any data set dict of train.py; relative disparity is compared as such."""
    from utils.training.data_sets import open_data_set
    from utils.training.labels import disparity_of

    source = open_data_set(data_set)
    for item in range(len(source)):
        view = source.views(item)[0]
        disparity, known = disparity_of(view)
        reach = None if view["kind"] in ("relative", "order") else math.inf
        truth = torch.from_numpy(disparity * known)[None, None]
        image = image_tensor(view["image"])
        if truth.shape[-2:] != image.shape[-2:]:
            image = F.interpolate(image, truth.shape[-2:], mode="area")
        yield Sample(source.label(item), image, truth, reach, ordered=view["kind"] == "order")


def strong_samples(folder):
    """Photos labelled by strong networks, of clips that training leaves out: a frame of each.

    `images/`, `nearness/` (8 bit, 0 = unknown) and `index.csv`, as MODEL_CARD.md describes them.
    """
    return dict_samples(STRONG_SET | {"path": folder})


def _split(path):
    """0-based frame numbers of the official test split."""
    if Path(path).suffix == ".mat":
        from scipy.io import loadmat  # the file is MATLAB v5, which h5py does not read

        return loadmat(path)["testNdxs"].ravel().astype(int) - 1
    return np.loadtxt(path, dtype=int).ravel() - 1


def read_pixels(path, mode):
    pixels = cv2.imread(str(path), mode)
    if pixels is None:
        raise ValueError(f"{path} cannot be read as an image; is the data set whole?")
    return pixels


def read_photo(path):
    return image_tensor(cv2.cvtColor(read_pixels(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))


def image_tensor(pixels):
    """(1, 3, H, W) in [0, 1] from (H, W, 3) uint8."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255


def _inverse(depth):
    """(1, 1, H, W) inverse depth, 0 where the measurement is missing."""
    known = np.isfinite(depth) & (depth > 0)
    inverse = np.where(known, 1 / np.where(known, depth, 1), 0).astype(np.float32)
    return torch.from_numpy(inverse)[None, None]


# --- estimators: image (1, 3, H, W) -> disparity (1, 1, h, w), larger = nearer -------------------
def ramp(image):
    """The prejudice of every photograph: the lower, the nearer."""
    return torch.linspace(0, 1, image.shape[-2]).view(1, 1, -1, 1).expand_as(image[:, :1])


def constant(image):
    """One depth for all; the fit makes it the mean inverse depth."""
    return torch.zeros_like(image[:, :1])


def network_estimator(path, device="cpu", refine=None):
    """What `kbe.py` makes of a photo with these weights.

    Args:
        path: weights file, or a Hugging Face checkpoint (hf:org/name, or a folder).
        device: where networks run.
        refine: weights of a refinement network, or BY_RULE for the weighted medians that do
            without one; None judges the coarse estimate.
    Returns:
        callable(image) -> disparity.
    """
    from utils.depth import estimators
    from utils.weights.loading import load_estimator, load_network

    if estimators.is_hugging_face(path):
        estimate = estimators.HuggingFaceEstimator(path, device)
    else:
        estimate = functools.partial(estimators.estimate_disparity, load_estimator(path, device))
    if refine is None:
        return estimate
    network = None if refine == BY_RULE else load_network(refine, "refinement", device)
    return lambda image: estimators.refine_disparity(network, image, estimate(image))


# --- evaluation ----------------------------------------------------------------------------------
def figures(disparity, sample):
    """Figures of one estimate.

    Args:
        disparity: (1, 1, h, w), larger = nearer, any scale and offset.
        sample: Sample.
    Returns:
        dict of floats, see COLUMNS; depth errors only if the set has depth.
    """
    truth, mask = sample.inverse.double(), sample.inverse > 0
    disparity = F.interpolate(disparity, truth.shape[-2:], mode="bilinear").double()
    found = {
        "correlation": metrics.correlation(disparity, truth, mask),
        "ordinal": metrics.ordinal_error(disparity, truth, mask),
    }
    if sample.ordered:
        return found | dict.fromkeys(("correlation", *COLUMNS[-2:]), math.nan)
    guess = metrics.align(disparity, truth, mask)
    if sample.range is not None:
        reach = sample.range if math.isfinite(sample.range) else float(1 / truth[mask].min())
        guess, truth = 1 / guess.clamp(min=1 / reach), torch.where(mask, 1 / truth, 0)
        found |= metrics.depth_metrics(guess, truth, mask)
    return found | metrics.boundary_error(guess, truth, mask, sample.edges)


def evaluate(estimators, samples):
    """Figures of every estimator on every sample.

    Args:
        estimators: dict name -> callable(image) -> disparity.
        samples: iterable of Sample.
    Returns:
        dict name -> list of dicts, one per sample.
    """
    rows = {name: [] for name in estimators}
    for sample in samples:
        if not (sample.inverse > 0).any():
            continue
        for name, estimate in estimators.items():
            rows[name].append({"sample": sample.name} | figures(estimate(sample.image), sample))
    return rows


# --- report --------------------------------------------------------------------------------------
def means(rows, columns=COLUMNS):
    """Mean of every figure over a list of dicts, NaN left out."""
    names = [name for name in columns if rows and name in rows[0]]
    values = {name: [row[name] for row in rows if not math.isnan(row[name])] for name in names}
    return {name: sum(v) / len(v) if v else math.nan for name, v in values.items()}


def table(title, rows, columns=COLUMNS):
    """Text table: one line per method, one column per figure."""
    summary = {name: means(found, columns) for name, found in rows.items()}
    shown = list(next(iter(summary.values())))
    names = [c.replace("accuracy", "acc").replace("completeness", "com") for c in shown]
    width = max(map(len, summary)) + 2
    count = len(next(iter(rows.values())))
    lines = [f"{title} ({count} images)", " " * width + "".join(f"{n:>13}" for n in names)]
    for name, found in summary.items():
        lines.append(f"{name:<{width}}" + "".join(f"{found[c]:13.4f}" for c in shown))
    return "\n".join(lines)


def report(results, path, columns=COLUMNS):
    """Print a table per set and write every figure as JSON (NaN and infinity as null).

    Args:
        results: iterable of (title, rows); rows: dict method -> list of dicts.
        path: JSON file, or None.
        columns: figures to show, in order.
    """
    saved = {}
    for title, rows in results:
        if not next(iter(rows.values())):
            raise SystemExit(f"{title}: nothing to judge was found there.")
        print(table(title, rows, columns), end="\n\n", flush=True)
        saved[title] = {
            name: {"mean": _plain(means(found, columns)), "images": [_plain(f) for f in found]}
            for name, found in rows.items()
        }
    if path:
        with complete_or_absent(path) as temporary:
            temporary.write_text(json.dumps(saved, indent=1, allow_nan=False), encoding="utf-8")


def _plain(figures):
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in figures.items()
    }


def main():
    """Evaluate, print, write JSON."""
    options = parse()
    estimators = {"ramp": ramp, "constant": constant}
    for path in options.weights:
        estimators[Path(path).name] = network_estimator(path, options.device)
        if options.refine:
            for name, refine in (("by rule", BY_RULE), ("refined", options.refine)):
                refined = network_estimator(path, options.device, refine)
                estimators[f"{Path(path).name}, {name}"] = refined
    chosen = chosen_sets(options)
    results = (
        (title, evaluate(estimators, itertools.islice(samples, options.limit)))
        for title, samples in chosen
    )
    report(results, options.json)


def chosen_sets(options):
    """Pairs of title and sample iterator for the data sets that were asked for."""
    sets = []
    if options.val:
        sets.append(("NYU v2 (val/rgbd)", nyu_samples(Path(options.val) / "rgbd")))
        sets.append(("Middlebury (val/stereo)", stereo_samples(Path(options.val) / "stereo")))
    if options.strong:
        sets.append(("strong labels, held-out clips", strong_samples(options.strong)))
    if options.nyu:
        sets.append(("NYU v2", nyu_samples(options.nyu, options.split)))
    if options.ibims:
        sets.append(("iBims-1", ibims_samples(options.ibims)))
    if options.stereo:
        sets.append(("stereo", stereo_samples(options.stereo)))
    for path in options.data_set:
        data_set = json.loads(Path(path).read_text(encoding="utf-8"))
        sets.append((data_set.get("name", path), dict_samples(data_set)))
    if not sets:
        raise SystemExit(
            "No data set: pass --val, --strong, --nyu, --ibims, --stereo or --data-set."
        )
    return sets


def parse():
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", nargs="*", default=[], help="estimation networks")
    parser.add_argument("--refine", help="refinement network; judged beside the rule, and neither")
    parser.add_argument("--device", default="cpu", help="where they run (cpu)")
    parser.add_argument("--val", help="folder that holds rgbd/ (NYU) and stereo/ (Middlebury)")
    parser.add_argument("--strong", help="folder of strong labels, of which held-out clips judge")
    parser.add_argument("--nyu", help="NYU v2: folder, or nyu_depth_v2_labeled.mat")
    parser.add_argument("--split", help="splits.mat, or a text file of 1-based numbers")
    parser.add_argument("--ibims", help="iBims-1: the folder ibims1_core_raw")
    parser.add_argument("--stereo", help="folder of scenes with left.png and disp_left.png")
    parser.add_argument("--data-set", nargs="*", default=[], help="JSON file of a data set dict")
    parser.add_argument("--limit", type=int, help="photos per set (all)")
    parser.add_argument("--json", help="write every figure of every photo here")
    return parser.parse_args()


if __name__ == "__main__":
    run_telling(main)
