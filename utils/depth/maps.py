"""Where the depth of one photo comes from: a map of the user's, or the networks."""

from __future__ import annotations

import logging
import re
import time
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from utils.depth.embedded import STRETCH
from utils.depth.estimators import fit_disparity, read_disparity, refine_disparity
from utils.depth.map_files import MAP_SUFFIXES
from utils.depth.own import own_disparity, settle_order
from utils.files import data_files, plain_name
from utils.film.photos import in_fours, upright

if TYPE_CHECKING:
    from typing import Any

    from utils.depth.kept import KeptDepth

log = logging.getLogger("kbe")

# What tools put behind a photo's name for its map.
ADDED = re.compile(r"[-_. ](depth|disparity|disp|depth[-_]?map|inverse[-_]?depth|pred)", re.I)
SETTLED_NS = 2_000_000_000  # a folder's time is that coarse on some file systems


def find_map(maps: Path | None, photo: Path) -> Path | None:
    """Resolve --depth for one photo: the file, or the one of its stem in the folder.

    Args:
        maps: Path of a map or of a folder of maps, or None. In a folder NAME.npy and NAME_depth.png
            belong to NAME.jpg, if they are of a kind that holds maps, and not the photo itself.
        photo: Path.
    Raises:
        ValueError: there is none, or more than one.
    """
    if maps is None:
        return None
    maps = Path(maps).expanduser()
    if not maps.is_dir():
        if not maps.exists():
            raise ValueError(f"--depth {maps}: there is no such file or folder.")
        return maps
    found = [
        path
        for path in _maps_in(maps).get(plain_name(photo.stem), ())
        if not (photo.exists() and path.samefile(photo))
    ]
    if not found:
        raise ValueError(
            f"{photo}: no depth map named {photo.stem}.* or {photo.stem}_depth.* in "
            f"{maps}.\n  Looked for {', '.join(sorted(MAP_SUFFIXES))}."
        )
    if len(found) > 1:
        raise ValueError(
            f"{photo}: {maps} holds several maps of it: "
            f"{', '.join(path.name for path in found)}.\n  Leave one of them there."
        )
    return found[0]


def _maps_in(folder):
    """{name of a photo: its maps} of a folder, which is listed once for a batch of photos."""
    changed = folder.stat().st_mtime_ns
    if time.time_ns() - changed < SETTLED_NS:  # what comes next may leave that time as it is
        return _listed.__wrapped__(folder, changed)
    return _listed(folder.resolve(), changed)


@lru_cache(maxsize=4)
def _listed(folder, _):
    maps = {}
    for path in data_files(folder, MAP_SUFFIXES):
        stem = plain_name(path.stem)
        maps.setdefault(stem, []).append(path)
        for at in range(1, len(stem)):
            if ADDED.fullmatch(stem, at):
                maps.setdefault(stem[:at], []).append(path)
    return maps


def fit_shape(
    values: np.ndarray, photo_size: tuple[int, int], orientation: int
) -> tuple[np.ndarray, str]:
    """Bring a map of the whole photo into its orientation, or refuse one of another shape.

    Args:
        values: (h, w) uint8, uint16 or float32; any size.
        photo_size: (height, width) of the photo as a person sees it.
        orientation: by which the photo was turned (EXIF, 1 to 8); tools that ignore it write maps
            that lie as the photo is stored.
    Returns:
        (h, w) or (w, h), and what is to be said of it, or "".
    Raises:
        ValueError: neither of the photo's aspect, to 2 %, nor square.
    """
    if _same_aspect(values.shape, photo_size):
        return values, ""
    turned = upright(values, orientation)
    if _same_aspect(turned.shape, photo_size):
        return turned, f"turned as the photo was (EXIF orientation {orientation})"
    rows, columns = values.shape
    height, width = photo_size
    stretch = columns * height / (rows * width)
    sizes = f"{columns}x{rows}, and the photo is {width}x{height}"
    if rows == columns or abs(stretch - 1) <= STRETCH or abs(1 / stretch - 1) <= STRETCH:
        return values, f"stretched to the photo's shape (it is {sizes})"
    lies = (
        "the photo's shape on its side"
        if _same_aspect(values.shape[::-1], photo_size)
        else ("another shape")
    )
    raise ValueError(f"is {sizes}: {lies}.\n  Give a map of the whole photo, as it is seen.")


def _same_aspect(size, photo_size):
    """Whether sizes are proportional, to a pixel of the map."""
    (rows, columns), (height, width) = size, photo_size
    return min(abs(rows - columns * height / width), abs(columns - rows * width / height)) <= 1


def find_disparity(
    plan: Any, settings: Any, networks: Any, kept: KeptDepth | None = None
) -> tuple[Any, torch.Tensor]:
    """Find the relative disparity of a photo.

    Args:
        plan: utils.cli.plan.Plan.
        settings: utils.cli.flags.Settings.
        networks: utils.weights.Networks.
        kept: where what they say is kept, if it is.
    Returns:
        the Plan, with its `own` depth as it is used; (1, 1, H, W) float32, not negative.
    """
    if settings.flat:
        return plan, torch.ones_like(plan.image[:, :1])
    if plan.depth_file:
        disparity, note = read_disparity(
            plan.depth_file,
            settings.depth_kind,
            lambda values: fit_shape(values, plan.photo_size, plan.orientation),
            settings.depth_layer,
        )
        log.info("%s", note)
        if not np.ptp(disparity):
            log.warning("%s: all of it is equally far, so the film is flat", plan.depth_file)
        return plan, fit_disparity(cut_map(disparity, plan.photo_size), plan.image)

    @cache
    def estimate() -> torch.Tensor:
        if kept:
            return kept.disparity()
        return refine_disparity(networks.refiner, plan.image, networks.estimator(plan.image))

    own = plan.own and settle_order(plan.photo, plan.own, estimate)
    plan = plan._replace(own=own)
    if own:
        return plan, own_disparity(cut_map(own.disparity, plan.photo_size), plan.image, estimate)
    return plan, estimate()


def cut_map(disparity: np.ndarray, photo_size: tuple[int, int]) -> np.ndarray:
    """Cut off a map (h, w) of the whole photo what of the photo's last rows and columns is cut."""
    shapes = zip(disparity.shape, in_fours(photo_size), photo_size, strict=True)
    rows, columns = (round(have * cut / side) for have, cut, side in shapes)
    return disparity[: max(1, rows), : max(1, columns)]
