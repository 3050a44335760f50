"""What fills holes without a network; models/registry.py, RULES, has their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from models.roles import Inpainting
from utils.scene.filling import fill_from_far
from utils.scene.patches import add_texture

if TYPE_CHECKING:
    from utils.scene.uncovered import HoledView


class FarSide:
    """Continues colour and disparity from the farther side of each hole, then its texture.

    What was added from another pose is known too, so that two poses agree where they overlap; it is
    made again only around what is new.
    """

    def inpaint(self, view: HoledView) -> Inpainting:
        """Fill the holes. What the film does not show gets no texture: that is most of the work."""
        seen, known = view.render(view.photo, view.added)
        filled = fill_from_far(seen, known)
        filled = add_texture(filled, known, view.in_film(filled[:, 3:], known == 0))
        if view.added.points.shape[2]:
            around = 1 - F.max_pool2d(1 - known, 3, 1, 1)
            known = torch.maximum(view.render(view.photo[:, :1])[1], around)
        return Inpainting(filled[:, :3], filled[:, 3:], known)
