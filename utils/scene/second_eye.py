"""What the second eye of a stereo photo saw behind the front: taken from there, not invented."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from utils.depth import align, cut_map
from utils.depth.steps import EDGE_JUMP
from utils.film import in_fours, resize
from utils.scene.grids import Grid

if TYPE_CHECKING:
    from typing import Any

    from utils.scene.cloud import Scene

log = logging.getLogger("kbe")


def add_second_eye(scene: Scene, plan: Any) -> int:
    """Add to a scene what the second eye saw and the first did not: behind fronts, and beside.

    Args:
        scene: of the plan's image, without inpainting.
        plan: utils.cli.plan.Plan whose `own` depth was matched from two eyes.
    Returns:
        int: how many points were added.
    """
    second, (height, width) = plan.own.eyes.second, scene.size
    cut = in_fours(plan.photo_size)

    def fitted(values: np.ndarray) -> np.ndarray:
        part = cut_map(values, plan.photo_size)
        return cv2.resize(part, (width, height), interpolation=cv2.INTER_NEAREST)

    film = scene.disparity[0, 0].cpu().numpy()
    matched = fitted(plan.own.disparity)
    scale, offset, _ = align(matched, np.where(np.isfinite(matched), film, np.nan))
    behind, hidden = second.hidden()
    own = fitted(behind)
    least = float(film.min())
    disparity = np.clip(scale * own + offset, least, film.max())
    # Where the first eye has it, in px of the scene.
    scaled = np.array(scene.size) / cut * plan.photo_size / behind.shape
    down, right = scaled * second.towards[::-1]
    rows, columns = np.mgrid[:height, :width]
    v, u = rows + down * own, columns + right * own
    row, column = (np.rint(at).astype(int) for at in (v, u))
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    front = film[row.clip(0, height - 1), column.clip(0, width - 1)]
    seen = fitted(hidden.astype(np.uint8)) > 0
    seen &= ~inside | (front > disparity + EDGE_JUMP * film.max())
    depth = (scene.focal_px * scene.baseline / disparity[seen]).astype(np.float32)
    x = (u[seen] - (width - 1) / 2) * depth / scene.focal_px
    y = (v[seen] - (height - 1) / 2) * depth / scene.focal_px
    pixels = resize(second.pixels[: cut[0], : cut[1]], (height, width))[seen]
    # Disparity of the pair is linear in the scene's: the eye stands aside, and its lens is shifted.
    aside = -np.array([right, down]) / scale
    shift = (*(scene.baseline * aside).tolist(), 0.0)
    lens = tuple((aside * offset / scene.focal_px).tolist())
    number = torch.from_numpy(np.flatnonzero(seen))
    scene.add_seen(
        torch.from_numpy(np.stack([x, y, depth]).astype(np.float32)),
        torch.from_numpy(np.ascontiguousarray(pixels)),
        torch.from_numpy(depth / np.float32(scene.focal_px)),
        Grid(scene.size, number, scene.photo_points, shift, lens, scene.focal_px),
    )
    log.info("the second eye shows %d points behind and beside the front", seen.sum())
    return int(seen.sum())
