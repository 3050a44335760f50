"""The second picture of a stereo photo: of an HEIC's stereo group, or of an MPO."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from utils.depth.eye_rows import LEAST_SEEN, MATCH_SIDE, OFF_PX, match_points, reduced
from utils.film.kinds import UnreadableFile
from utils.film.opening import MAX_PIXELS, read_colours
from utils.film.parts import DISPARITY
from utils.film.photos import upright

if TYPE_CHECKING:
    from utils.film.parts import Parts
    from utils.film.photos import Photo

STEREO_GROUP = "ster"  # ISO/IEC 23008-12: two pictures, the left eye's first


class Pair(NamedTuple):
    """What the other eye saw."""

    second: np.ndarray  # (H, W, 3) uint8 RGB, upright
    first_is_left: bool  # whether the photo is the left eye's, as it is stored
    shown: np.ndarray | None = None  # (H, W) bool, where `second` is a picture; None = everywhere


def read_pair(path: Path, parts: Parts, photo: Photo) -> Pair | None:
    """Read the second eye's picture of a stereo photo.

    Args:
        path: the photo.
        parts: of it.
        photo: as it was read.
    Returns:
        Pair; None where the file holds one eye's picture.
    Raises:
        ValueError: there is one that cannot be used; or whatever a decoder says.
    """
    return _from_heif(parts, photo) if parts.heif else _from_mpf(path, parts, photo)


def _from_heif(parts, photo):
    file = parts.heif
    for group in file.info.get("entity_groups") or ():
        if str(group.get("type")) != STEREO_GROUP:
            continue
        images = group.get("images") or []
        if len(images) != 2 or None in images:
            raise UnreadableFile("its stereo group is none of two pictures")
        if file.primary_index not in images:
            return _beside(photo.pixels, [_decoded(file[number]) for number in images])
        number = images.index(file.primary_index)
        return Pair(_decoded(file[images[1 - number]]), number == 0)
    return None


def _decoded(image):
    if image.size[0] * image.size[1] > MAX_PIXELS:
        raise UnreadableFile(f"its second picture claims {image.size[0]}x{image.size[1]} px")
    return np.asarray(image.to_pillow().convert("RGB"))


def _from_mpf(path, parts, photo):
    views = [picture for kind, picture in parts.pictures if kind == DISPARITY]
    if len(views) < 2:
        return None
    # Pictures come from left to right (CIPA DC-007, viewpoint numbers).
    return Pair(upright(read_colours(path, views[1], MAX_PIXELS), photo.orientation), True)


def _beside(pixels, eyes):
    """The Pair of a photo that is a cut of its own of what one of two eyes saw.

    It is that if most of the points that both share lie where turning and cropping the one puts
    them, to OFF_PX at a long side of MATCH_SIDE: from beside it they do not.
    The other eye's picture is cut, turned and scaled likewise, so both lie to each other as before.
    """
    fits = [_same_view(eye, pixels) for eye in eyes]
    number = int(fits[1][1] > fits[0][1])
    matrix, share = fits[number]
    if share < 0.5:
        raise UnreadableFile(
            "the photo is none of its stereo group's two pictures, and shows something else"
        )
    other, size = eyes[1 - number], pixels.shape[1::-1]
    second = cv2.warpPerspective(other, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    whole = np.ones(other.shape[:2], np.uint8)
    return Pair(second, number == 0, cv2.warpPerspective(whole, matrix, size) > 0)


def _same_view(eye, pixels):
    """Homography (3, 3) from an eye's picture to the photo, and the share of points that obey."""
    small = [reduced(one, MATCH_SIDE) for one in (eye, pixels)]
    points = match_points(*small).astype(np.float32)
    if len(points) < LEAST_SEEN:
        return np.eye(3), 0.0
    matrix, obey = cv2.findHomography(points[:, :2], points[:, 2:], cv2.RANSAC, OFF_PX)
    if matrix is None:
        return np.eye(3), 0.0
    scales = [
        np.diag([one.shape[1] / whole.shape[1], one.shape[0] / whole.shape[0], 1])
        for one, whole in zip(small, (eye, pixels), strict=True)
    ]
    return np.linalg.inv(scales[1]) @ matrix @ scales[0], float(obey.mean())
