"""Refinement: a coarse disparity brought to the resolution, and the edges, of the photograph."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from models.blocks import (
    Down,
    Residual,
    Statistics,
    Up,
    initialise,
    normalise,
    resize_like,
    size_in,
)
from models.roles import Refiner


class Refine(Refiner, nn.Module):
    """Upsample disparity fourfold, guided by the photograph at three resolutions.

    forward(image, disparity, statistics=None) -> disparity
        image: (B, 3, H, W) RGB in [0, 1], any size.
        disparity: (B, 1, h, w), meant to be about H/4 x W/4; another size is met by resizing
            features bilinearly where branches join, which costs nothing when sizes fit.
        statistics: models.blocks.Statistics to normalise by; None measures image and disparity.
            For tiles of a large photo: measure once on the whole, pass it with each tile.
        refined disparity: (B, 1, H, W), in the scale of the input, may be negative.

    Args:
        widths: channels at full, half and quarter resolution.

    Source: arXiv:1909.05483, section 3.1; this variant, without shortcuts, is the one that others
    have retrained. The published weights need RefinePretrained.
    """

    label = "a refinement network without shortcuts"
    pattern = r"^module(Refine|ImageOne|DisparityOne|DisparityFou)\."
    colour_axes = (
        ("moduleImageOne.moduleMain.0.weight", 1),
        ("moduleImageOne.moduleShortcut.weight", 1),
    )
    learning_rate = 1e-5
    shortcut = False

    def __init__(self, widths: Sequence[int] = (24, 48, 96)) -> None:
        """Make the network with random weights."""
        super().__init__()
        fine, half, quarter = self.widths = tuple(widths)
        self.moduleImageOne = self._entry(3, fine, fine)
        self.moduleImageTwo = Down(fine, half, half)
        self.moduleImageThr = Down(half, quarter, quarter)
        self.moduleDisparityOne = self._entry(1, quarter, quarter)
        self.moduleDisparityTwo = Up(2 * quarter, quarter, quarter)
        self.moduleDisparityThr = Up(half + quarter, half, half)
        self.moduleDisparityFou = self._entry(fine + half, fine, fine)
        self.moduleRefine = self._entry(fine, fine, 1)

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> "Refine":
        """Take the width of each resolution off the last convolution of the way down."""
        steps = (
            "moduleImageOne.moduleMain.2",
            "moduleImageTwo.moduleMain.3",
            "moduleImageThr.moduleMain.3",
        )
        return cls(
            [
                size_in(shapes, f"{step}.weight", 0, usual)
                for step, usual in zip(steps, (24, 48, 96), strict=True)
            ]
        )

    @classmethod
    def fresh(cls, size: str) -> "Refine":
        """Return a new network to be trained, as the published one began."""
        return initialise(cls(), 1.4)

    def _entry(self, entering, middle, leaving):
        return Residual(entering, middle, leaving, activate_first=False, shortcut=self.shortcut)

    def forward(
        self, image: torch.Tensor, disparity: torch.Tensor, statistics: Statistics | None = None
    ) -> torch.Tensor:
        """Return disparity at the size of the image."""
        image, disparity, statistics = normalise(image, disparity, statistics)
        full = self.moduleImageOne(image)
        half = self.moduleImageTwo(full)
        quarter = self.moduleImageThr(half)
        features = self.moduleDisparityOne(disparity)
        features = self.moduleDisparityTwo(_join(quarter, features))
        features = self.moduleDisparityThr(_join(half, features))
        features = self.moduleDisparityFou(_join(full, features))
        refined = self.moduleRefine(features)
        return refined * statistics.disparity_std + statistics.disparity_mean


class RefinePretrained(Refine):
    """Refine with shortcuts around its entries and its head: the form of the published weights."""

    label = "a refinement network"
    pattern = r"^module(Refine|ImageOne|DisparityOne|DisparityFou)\.moduleShortcut\."
    published_widths = (24, 48, 96)
    shortcut = True


def _join(guide, features):
    return torch.cat([guide, resize_like(features, guide)], dim=1)
