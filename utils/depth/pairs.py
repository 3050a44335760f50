"""The second picture of a stereo photo: of an HEIC's stereo group, or of an MPO."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from utils.film.kinds import UnreadableFile
from utils.film.opening import MAX_PIXELS, read_colours
from utils.film.parts import DISPARITY

if TYPE_CHECKING:
    from utils.film.parts import Parts

STEREO_GROUP = "ster"  # ISO/IEC 23008-12: two pictures, the left eye's first


class Pair(NamedTuple):
    """What the other eye saw, as stored."""

    second: np.ndarray  # (H, W, 3) uint8 RGB
    first_is_left: bool  # whether the photo is the left eye's


def read_pair(path: Path, parts: Parts) -> Pair | None:
    """Read the second eye's picture of a stereo photo.

    Args:
        path: the photo.
        parts: of it.
    Returns:
        Pair; None where the file holds one eye's picture.
    Raises:
        ValueError: there is one that cannot be used; or whatever a decoder says.
    """
    return _from_heif(parts) if parts.heif else _from_mpf(path, parts)


def _from_heif(parts):
    file = parts.heif
    for group in file.info.get("entity_groups") or ():
        if str(group.get("type")) != STEREO_GROUP:
            continue
        images = group.get("images") or []
        if len(images) != 2 or file.primary_index not in images or None in images:
            raise UnreadableFile("the photo is none of its stereo group's two pictures")
        number = images.index(file.primary_index)
        image = file[images[1 - number]]
        if image.size[0] * image.size[1] > MAX_PIXELS:
            raise UnreadableFile(f"its second picture claims {image.size[0]}x{image.size[1]} px")
        return Pair(np.asarray(image.to_pillow().convert("RGB")), number == 0)
    return None


def _from_mpf(path, parts):
    views = [picture for kind, picture in parts.pictures if kind == DISPARITY]
    if len(views) < 2:
        return None
    # Pictures come from left to right (CIPA DC-007, viewpoint numbers).
    return Pair(read_colours(path, views[1], MAX_PIXELS), True)
