"""The depth that a photo's own file holds: found, said, and made the film's."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch

from utils.depth.embedded import read_embedded
from utils.depth.estimators import FINE, fit_disparity
from utils.depth.eye_order import vote_of_network
from utils.depth.joining import LEAST_CORRELATION, fill
from utils.depth.map_kind import MISTAKEN
from utils.depth.pairs import read_pair
from utils.depth.sharpening import upsample_disparity
from utils.depth.two_eyes import Matched, match_upright
from utils.film.kinds import naming_the_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from utils.film.parts import Parts
    from utils.film.photos import Photo

log = logging.getLogger("kbe")


class Own(NamedTuple):
    """The depth that a photo's file holds."""

    disparity: np.ndarray  # (h, w) float32 of the whole photo, larger = nearer, NaN where unknown
    source: str  # "photo": a map; "stereo": matched from two eyes
    eyes: Matched | None = None  # what was matched


def find_own(path: Path, photo: Photo, parts: Parts) -> Own | None:
    """Find the depth that a photo's file holds; one that is broken is said, and counts as none.

    Args:
        path: the photo.
        photo: as it was read.
        parts: of its file.
    """
    try:
        found = read_embedded(path, parts, photo.orientation, photo.pixels.shape[:2])
        matched = None if found else _match(path, photo, parts)
    except ValueError as error:
        reason = str(error).removeprefix(f"{path}: ").partition(". ")[0].rstrip(".")
        log.warning("%s: its own depth map cannot be used (%s); depth is estimated", path, reason)
        return None
    if found is not None:
        own, stored = Own(found.disparity, "photo"), found.stored
    elif matched is not None:
        own, stored = Own(matched.disparity, "stereo", matched), "matched from two eyes"
    else:
        return None
    rows, columns = own.disparity.shape
    unknown = np.isnan(own.disparity).mean()
    holes = f", {unknown:.1%} of it unknown" if unknown else ""
    log.info("%s: depth: the photo's own, %dx%d (%s%s)", path, columns, rows, stored, holes)
    return own


def _match(path, photo, parts):
    """Match a stereo photo's two pictures; None if the file holds but one."""
    with naming_the_file(path):
        pair = read_pair(path, parts, photo)
    if pair is None:
        return None
    matched = match_upright(
        photo.pixels, pair.second, pair.first_is_left, photo.orientation, pair.shown
    )
    if matched.vote >= 0:
        return matched
    log.info("%s: its two eyes are in the wrong order, by what one alone sees: swapped", path)
    return matched.swapped()


def settle_order(path: Path, own: Own, estimate: Callable[[], torch.Tensor]) -> Own | None:
    """Ask the networks, too, which of two eyes is the left one: else a scene is inside out.

    Args:
        path: the photo.
        own: its depth.
        estimate: () -> (1, 1, H, W) relative disparity by the networks.
    Returns:
        Own, with its eyes in the right order; None, and it is said, if that cannot be told.
    """
    if own.eyes is None:
        return own
    vote, voted = vote_of_network(own.disparity, estimate()[0, 0].numpy()), own.eyes.vote > 0
    # The network settles what strips do not tell, and may contradict them (docs/photo_depth.md).
    if vote <= -LEAST_CORRELATION if voted else abs(vote) < LEAST_CORRELATION:
        log.warning("%s: which of its eyes is the left one is not clear; depth is estimated", path)
        return None
    if voted or vote > 0:
        return own
    log.info("%s: its two eyes are in the wrong order, by what a network sees: swapped", path)
    eyes = own.eyes.swapped()
    return own._replace(disparity=eyes.disparity, eyes=eyes)


def own_disparity(
    disparity: np.ndarray, image: torch.Tensor, estimate: Callable[[], torch.Tensor]
) -> torch.Tensor:
    """Make a photo's own map the disparity of its film.

    Args:
        disparity: (h, w) float32, NaN where unknown.
        image: (1, 3, H, W) RGB in [0, 1].
        estimate: () -> (1, 1, H, W) by the networks, for what the map does not know.
    Returns:
        (1, 1, H, W) float32, not negative.
    """
    # Below the zero of two eyes that look inwards lies what is farther than where they meet.
    disparity = disparity - min(0.0, float(np.nanpercentile(disparity, MISTAKEN)))
    disparity = np.maximum(disparity, 0)  # NaN stays
    if np.isnan(disparity).any():
        size = disparity.shape[::-1]
        small = cv2.resize(estimate()[0, 0].numpy(), size, interpolation=cv2.INTER_AREA)
        disparity = fill(disparity, small)
    enlarged = max(image.shape[2:]) / max(disparity.shape)
    if 1 < enlarged <= FINE:  # to move edges costs thin stalks and leaves (docs/photo_depth.md)
        return upsample_disparity(torch.from_numpy(disparity)[None, None], image)
    return fit_disparity(disparity, image)
