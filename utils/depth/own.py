"""The depth that a photo's own file holds: found, said, and made the film's."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch

from utils.depth.embedded import read_embedded
from utils.depth.estimators import fit_disparity, refine_disparity
from utils.depth.joining import fill
from utils.depth.sharpening import upsample_disparity

if TYPE_CHECKING:
    from typing import Any

    from utils.film.parts import Parts
    from utils.film.photos import Photo

log = logging.getLogger("kbe")

# A map that is enlarged by no more has its edges at the photo's by that already; moving them as a
# coarse estimate's costs thin stalks and leaves (docs/photo_depth.md).
FINE = 3.0


class Own(NamedTuple):
    """The depth that a photo's file holds."""

    disparity: np.ndarray  # (h, w) float32 of the whole photo, larger = nearer, NaN where unknown
    source: str  # "photo": a map; "stereo": matched from two eyes


def find_own(path: Path, photo: Photo, parts: Parts) -> Own | None:
    """Find the depth that a photo's file holds; one that is broken is said, and counts as none.

    Args:
        path: the photo.
        photo: as it was read.
        parts: of its file.
    """
    try:
        found = read_embedded(path, parts, photo.orientation, photo.pixels.shape[:2])
    except ValueError as error:
        reason = str(error).removeprefix(f"{path}: ").partition(". ")[0].rstrip(".")
        log.warning("%s: its own depth map cannot be used (%s); depth is estimated", path, reason)
        return None
    if found is None:
        return None
    rows, columns = found.disparity.shape
    unknown = np.isnan(found.disparity).mean()
    holes = f", {unknown:.1%} of it unknown" if unknown else ""
    log.info("%s: depth: the photo's own, %dx%d (%s%s)", path, columns, rows, found.stored, holes)
    return Own(found.disparity, "photo")


def own_disparity(disparity: np.ndarray, image: torch.Tensor, networks: Any) -> torch.Tensor:
    """Make a photo's own map the disparity of its film.

    Args:
        disparity: (h, w) float32, NaN where unknown: there the networks say what is.
        image: (1, 3, H, W) RGB in [0, 1].
        networks: utils.weights.Networks.
    Returns:
        (1, 1, H, W) float32, not negative.
    """
    disparity = disparity - min(0.0, float(np.nanmin(disparity)))
    if np.isnan(disparity).any():
        estimate = refine_disparity(networks.refiner, image, networks.estimator(image))
        size = disparity.shape[::-1]
        small = cv2.resize(estimate[0, 0].numpy(), size, interpolation=cv2.INTER_AREA)
        disparity = fill(disparity, small)
    enlarged = max(image.shape[2:]) / max(disparity.shape)
    if 1 < enlarged <= FINE:
        return upsample_disparity(torch.from_numpy(disparity)[None, None], image)
    return fit_disparity(disparity, image)
