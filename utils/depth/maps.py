"""Where the depth of one photo comes from: a map of the user's, or the networks."""

import logging
from pathlib import Path

import torch

from utils.depth.estimators import fit_disparity, read_disparity, refine_disparity
from utils.film.photos import in_fours

log = logging.getLogger("kbe")


def find_map(maps, photo):
    """Resolve --depth for one photo: the file, or the one of its stem in the folder.

    Args:
        maps: Path of a map or of a folder of maps, or None.
        photo: Path.
    Raises:
        ValueError: there is none.
    """
    if maps is None:
        return None
    maps = Path(maps).expanduser()
    if not maps.is_dir():
        if not maps.exists():
            raise ValueError(f"--depth {maps}: there is no such file or folder.")
        return maps
    found = sorted(path for path in maps.iterdir() if path.stem == photo.stem)
    if not found:
        raise ValueError(f"{photo}: no depth map named {photo.stem}.* in {maps}.")
    return found[0]


def find_disparity(plan, settings, networks):
    """Find the relative disparity of a photo.

    Args:
        plan: utils.cli.plan.Plan.
        settings: utils.cli.flags.Settings.
        networks: utils.weights.Networks.
    Returns:
        (1, 1, H, W) float32, not negative.
    """
    if settings.flat:
        return torch.ones_like(plan.image[:, :1])
    if plan.depth_file:
        disparity, note = read_disparity(plan.depth_file, settings.depth_kind)
        log.info("%s", note)
        # The map shows the whole photo; a few of its last rows and columns were dropped.
        shapes = zip(disparity.shape, in_fours(plan.photo_size), plan.photo_size, strict=True)
        rows, columns = (round(have * cut / side) for have, cut, side in shapes)
        return fit_disparity(disparity[: max(1, rows), : max(1, columns)], plan.image)
    return refine_disparity(networks.refiner, plan.image, networks.estimator(plan.image))
