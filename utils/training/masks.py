"""Instance maps of photos by torchvision's Mask R-CNN, made once and kept beside the photos."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from utils.files import complete_or_absent
from utils.film.photos import read_image

log = logging.getLogger(__name__)

CACHE = "masks-rcnn"  # folder beside images/
THRESHOLD = 0.5  # of a soft mask


def ensure_masks(data_set_name: str, root: Path, photos: Mapping[str, Path]) -> str | None:
    """Make an instance map for every photo that has none yet.

    Args:
        data_set_name: for messages.
        root: pathlib.Path of the data set.
        photos: {stem: path}.
    Returns:
        str: the folder under `root` that holds a PNG per stem, 0 = background, 1.. = objects.
    Raises:
        ValueError: there is something to detect but torchvision cannot be imported.
    """
    folder = root / CACHE
    missing = {stem: path for stem, path in photos.items() if not (folder / f"{stem}.png").exists()}
    if missing:
        detect = load_detector(data_set_name)
        log.info("finding objects in %d photos of %s", len(missing), data_set_name)
        for stem, path in missing.items():
            write_map(folder / f"{stem}.png", merge(detect(read_image(path).pixels)))
    return CACHE


def load_detector(data_set_name: str) -> Any:
    """Mask R-CNN (ResNet-50 FPN, COCO): photo (H, W, 3) uint8 -> soft masks (K, H, W), best first.

    Raises:
        ValueError: torchvision is missing, or does not fit this torch.
    """
    try:
        from torchvision.models import detection
    except (ImportError, RuntimeError) as error:
        raise ValueError(
            f"data set {data_set_name!r} has no masks, and torchvision, which would make them, "
            f'cannot be imported: {error}\n  Add instance maps and "masks": "masks" to the '
            "data set, or pip install a torchvision that fits torch "
            f"{torch.__version__}, or train with --mask-loss none."
        ) from error
    network = detection.maskrcnn_resnet50_fpn(weights="DEFAULT").eval()

    @torch.no_grad()
    def detect(pixels):
        image = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255  # RGB in [0, 1]
        return network([image])[0]["masks"][:, 0].numpy()

    return detect


def merge(masks: np.ndarray) -> np.ndarray:
    """One map of object numbers from soft masks, the first given on top, at most 255 objects.

    Args:
        masks: (K, H, W) in [0, 1], best first.
    Returns:
        (H, W) uint8.
    """
    numbers = np.zeros(masks.shape[1:], np.uint8)
    for number in range(min(len(masks), 255), 0, -1):
        numbers[masks[number - 1] > THRESHOLD] = number
    return numbers


def write_map(path: Path, numbers: np.ndarray) -> None:
    """Write an instance map as PNG, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with complete_or_absent(path) as temporary:
        cv2.imwrite(str(temporary), numbers)
