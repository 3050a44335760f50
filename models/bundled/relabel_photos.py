"""Better pseudo-labels for photographs: what a network that ships says, with whole outlines.

    python -m models.bundled.relabel_photos DATA/photos data/photos-relabelled \\
        models/bundled/disparity-estimation.safetensors

Both folders hold images/, disparity/ (relative, 8 bit) and confidence/ (255 = trusted); the first
may hold salient/, soft masks of what stands out. A share of the first label is mixed in (a fourth
argument, 0 to 1; by default 0.15), and confidence falls where both disagree. What stands out gets
the outline of its mask, the inside from the inside and the outside from the outside, and is set
before what lies beside it, as no ramp does.
"""

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

from models.roles import Estimator
from utils.depth.estimators import estimate_disparity
from utils.depth.sharpening import resize_disparity
from utils.files import folder_complete_or_absent
from utils.film.photos import read_image, write_image
from utils.training.data_sets import PhotoFolders, open_data_set
from utils.training.metrics import align
from utils.weights.loading import load_estimator

FIRST_SHARE = 0.15  # of the first label in the new one
DOUBT = 2.0  # confidence exp(-DOUBT * disagreement)
PERCENTILES = (0.5, 99.5)  # of a label, which 0 and 255 stand for

MASKED = (0.02, 0.8)  # share of the photo that stands out, where a mask is to be believed
DECIDED = 0.8  # of a mask's pixels are near 0 or 1, where it is
LEAST_AREA = 0.01  # of the photo, of an object that is looked at
RIM = 0.02  # of the long side, on both sides of an outline, that is filled anew
BESIDE = 0.06  # of the long side: how far around an object its surroundings reach
STEP = 0.15  # of the label's range: how much nearer an object is than what lies beside its top
STANDS = 0.5  # of an object's height, from its foot on the ground to where that step is whole


def stretch(label: np.ndarray) -> np.ndarray:
    """Bring a label (h, w) to 0..1 by its PERCENTILES."""
    low, high = np.percentile(label, PERCENTILES)
    return ((label - low) / max(high - low, 1e-6)).clip(0, 1).astype(np.float32)


def relabel(
    image: np.ndarray,
    label: np.ndarray,
    confidence: np.ndarray,
    network: Estimator,
    salient: np.ndarray | None = None,
    first_share: float = FIRST_SHARE,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the new label (h, w) and its confidence, both uint8, of one photo.

    Args:
        image: (H, W, 3) uint8.
        label: (h, w) uint8, of the first teacher.
        confidence: (h', w') uint8.
        network: models.roles.Estimator in eval mode.
        salient: (H, W) uint8, 255 = stands out.
        first_share: of the first label in the new one.
    """
    photo = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    first = torch.from_numpy(label)[None, None].float() / 255
    trust = torch.from_numpy(confidence)[None, None].float() / 255
    ours = resize_disparity(estimate_disparity(network, photo), label.shape)
    first = align(first, ours, resize_disparity(trust, label.shape))
    ours_range = torch.quantile(ours, 0.995) - torch.quantile(ours, 0.005)
    apart = resize_disparity((ours - first).abs(), confidence.shape) / ours_range.clamp(min=1e-6)
    new = stretch(torch.lerp(ours, first, first_share)[0, 0].numpy())
    trusted = torch.exp(-DOUBT * apart)[0, 0].numpy()
    if salient is not None:
        new, lifted = stand_out(new, salient.astype(np.float32) / 255)
        trusted = trusted * np.exp(-DOUBT * cv2.resize(lifted, trusted.shape[::-1]))
        new = stretch(new)
    return (new * 255).round().astype(np.uint8), (trusted * 255).astype(np.uint8)


def stand_out(label: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give what stands out its outline and its distance from what lies beside it.

    Args:
        label: (h, w) float32 disparity in 0..1.
        mask: (H, W) float32 in 0..1.
    Returns:
        the new label, and by how much each pixel came nearer, both (h, w) float32.
    """
    mask = cv2.resize(mask, label.shape[::-1], interpolation=cv2.INTER_AREA)
    lifted = np.zeros_like(label)
    decided = ((mask < 0.1) | (mask > 0.9)).mean()
    if not MASKED[0] < mask.mean() < MASKED[1] or decided < DECIDED:
        return label, lifted
    inside = mask > 0.5
    side = max(label.shape)
    rim = max(1.5, RIM * side)
    front = _spread(label, inside, rim)
    behind = _spread(label, ~inside, rim)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8))
    for part in range(1, count):
        if stats[part, cv2.CC_STAT_AREA] >= LEAST_AREA * inside.size:
            lifted += _shortfall(front, behind, parts == part, inside, BESIDE * side)
    return mask * (front + lifted) + (1 - mask) * behind, lifted * inside


def _spread(label: np.ndarray, inside: np.ndarray, rim: float) -> np.ndarray:
    """Fill all but the inside, less its rim, with the nearest value of that."""
    deep = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5) > rim
    deep = deep if deep.any() else inside
    _, nearest = cv2.distanceTransformWithLabels(
        (~deep).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.zeros(nearest.max() + 1, np.float32)
    values[nearest[deep]] = label[deep]
    return values[nearest]


def _shortfall(front, behind, part, inside, reach):
    """By how much an object is too far, row by row, (h, w), 0 outside of it."""
    rows = np.flatnonzero(part.any(axis=1))
    top, foot = rows[0], rows[-1]
    row = np.ones((1, 2 * round(reach) + 1), np.uint8)
    beside = (cv2.dilate(part.astype(np.uint8), row) > 0) & ~inside
    edge = part & (cv2.dilate(beside.astype(np.uint8), row) > 0)
    seen = beside.any(axis=1) & edge.any(axis=1)
    if not seen[top : foot + 1].any():
        return np.zeros_like(front)
    step = (front * edge).sum(axis=1) / np.maximum(edge.sum(axis=1), 1)
    step -= (behind * beside).sum(axis=1) / np.maximum(beside.sum(axis=1), 1)
    height = np.arange(len(step))
    step = np.interp(height, height[seen], step[seen])
    whole = np.ones(len(step))
    if foot < len(step) - 2:  # it stands in the picture, and its foot is where the ground is
        whole = ((foot - height) / max(STANDS * (foot - top), 1)).clip(0, 1)
    short = (STEP * whole - step).clip(0).astype(np.float32)
    short = cv2.GaussianBlur(short[:, None], (1, 0), 0.02 * len(short) + 1)[:, :1]
    return part * short


def main(
    source: str | Path,
    target: str | Path,
    weights: str | Path,
    first_share: float | str = FIRST_SHARE,
) -> None:
    """Relabel a folder; it appears when every photo has its new label.

    Raises:
        ValueError: the folder or the weights cannot be used.
    """
    network = load_estimator(weights, "cpu")
    photos = open_data_set(
        {
            "name": "photos",
            "path": source,
            "disparity": "relative",
            "param": {"baseline": 1, "focal": 192},
        }
    )
    if not isinstance(photos, PhotoFolders):
        raise ValueError(f"{source} holds no images/ with maps beside them.")
    with folder_complete_or_absent(target) as folder:
        assert folder is not None
        for name in ("images", "disparity", "confidence"):
            (folder / name).mkdir()
        for item, (files,) in enumerate(tqdm(photos.items)):
            view, path = photos.views(item)[0], Path(files["image"])
            mask = Path(source) / "salient" / f"{path.stem}.png"
            label, confidence = relabel(
                view["image"],
                view["stored"].astype(np.uint8),
                view["confidence"],
                network,
                read_image(mask).pixels[..., 0] if mask.exists() else None,
                float(first_share),
            )
            write_image(folder / "disparity" / f"{path.stem}.png", label)
            write_image(folder / "confidence" / f"{path.stem}.png", confidence)
            shutil.copyfile(path, folder / "images" / path.name)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
