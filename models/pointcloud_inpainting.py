"""Inpainting: colour and disparity for what a moved camera uncovers, by one network at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Self

import torch
from torch import nn

from models.blocks import (
    GridNetwork,
    Statistics,
    conv3,
    grid_widths,
    initialise,
    normalise,
    size_in,
)
from models.roles import Inpainter, Inpainting


class Inpaint(Inpainter, GridNetwork):
    """Fill the holes of a rendered view in colour and disparity, guided by learned context.

    forward(image, disparity, mask, context=None, statistics=None) -> Inpainting
        image: (B, 3, H, W) RGB in [0, 1], zero in holes; any size.
        disparity: (B, 1, H, W) px, zero in holes.
        mask: (B, 1, H, W), 1 = known, 0 = hole.
        context: None, or (B, context_channels, H, W) from `context()`, rendered along. With a
            context, image and disparity must be normalised already and `statistics` be given.
        statistics: models.blocks.Statistics to normalise and to restore by. Without context, None
            measures the inputs as they are, zeros of holes included, as the published weights were
            trained; measure_statistics(image, disparity, mask) counts known pixels only. For tiles:
            measure once on the whole, pass it with each tile.

    The network keeps no state between calls and changes none of its arguments.

    Args:
        widths: channels of each row, from full resolution downwards.
        context_channels: channels of the context.

    Raises:
        ValueError: a context without statistics.
    Source: arXiv:1909.05483, section 3.2.
    """

    label = "an inpainting network"
    pattern = r"^module(Context|Input)\."
    published_widths: tuple[int, ...] | None = (32, 64, 128, 256)
    colour_axes = (
        ("moduleContext.0.weight", 1),
        ("moduleInput.moduleMain.0.weight", 1),
        ("moduleInput.moduleShortcut.weight", 1),
        ("moduleImage.moduleMain.2.weight", 0),
        ("moduleImage.moduleMain.2.bias", 0),
        ("moduleImage.moduleShortcut.weight", 0),
        ("moduleImage.moduleShortcut.bias", 0),
    )
    first_activation = "moduleMain.0.weight"  # of a lateral, which shows the width of its row
    mask_channels = 1  # the mask is an input of its own beside image, disparity and context

    def __init__(
        self, widths: Sequence[int] = (32, 64, 128, 256), *, context_channels: int = 64
    ) -> None:
        """Make the network with random weights."""
        super().__init__()
        self.context_channels = context_channels
        self.moduleContext = nn.Sequential(
            conv3(4, context_channels),
            nn.PReLU(context_channels),
            conv3(context_channels, context_channels),
            nn.PReLU(context_channels),
        )
        entering, finest = 4 + context_channels + self.mask_channels, widths[0]
        self.moduleInput = self.lateral(entering, finest, finest, activate_first=False)
        self.add_grid(widths)
        self.moduleImage = self.lateral(finest, finest, 3, activate_first=False)
        self.moduleDisparity = self.lateral(finest, finest, 1, activate_first=False)

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> Self:
        """Take the widths off the grid's rows."""
        channels = size_in(shapes, "moduleContext.0.weight", 0, 64)
        return cls(grid_widths(shapes, cls.first_activation), context_channels=channels)

    @classmethod
    def fresh(cls, size: str) -> Self:
        """Return a new network to be trained, as the published one began."""
        return initialise(cls(), 0.01)

    def to_render(
        self, image: torch.Tensor, disparity: torch.Tensor
    ) -> tuple[torch.Tensor, Statistics]:
        """Image, disparity and their context, all normalised, and the Statistics."""
        image, disparity, statistics = self.normalise(image, disparity)
        context = self.context(image, disparity)
        return torch.cat([image, disparity, context], dim=1).float(), statistics

    def arguments(
        self,
        view: torch.Tensor,
        mask: torch.Tensor,
        statistics: Statistics,
        guess: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> tuple[object, ...]:
        """What was rendered, in its parts."""
        return view[:, :3], view[:, 3:4], mask, view[:, 4:], statistics

    def normalise(
        self, image: torch.Tensor, disparity: torch.Tensor, statistics: Statistics | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, Statistics]:
        """Return normalised image and disparity, and the Statistics that restore them."""
        return normalise(image, disparity, statistics)

    def context(self, image: torch.Tensor, disparity: torch.Tensor) -> torch.Tensor:
        """Return (B, context_channels, H, W) features of normalised image and disparity."""
        return self.moduleContext(torch.cat([image, disparity], dim=1))

    def forward(
        self,
        image: torch.Tensor,
        disparity: torch.Tensor,
        mask: torch.Tensor,
        context: torch.Tensor | None = None,
        statistics: Statistics | None = None,
    ) -> Inpainting:
        """Return the filled image, the filled disparity and the mask that was given."""
        if context is None:
            image, disparity, statistics = self.normalise(image, disparity, statistics)
            context = self.context(image, disparity)
        elif statistics is None:
            raise ValueError(
                "a context comes with normalised image and disparity: "
                "pass the statistics that normalise() returned."
            )
        image, disparity = self.paint(torch.cat([image, disparity, context], dim=1), mask)
        image = image * statistics.image_std + statistics.image_mean
        disparity = disparity * statistics.disparity_std + statistics.disparity_mean
        return Inpainting(
            image if self.training else image.clamp(0, 1), disparity.clamp(min=0), mask
        )

    def paint(
        self, features: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return image and disparity, both still normalised.

        Args:
            features: (B, 4 + context_channels, H, W): image, disparity, context, all normalised.
            mask: (B, 1, H, W).
        """
        finest = self.run_grid(self.moduleInput(torch.cat([features, mask], dim=1)))
        return self.moduleImage(finest), self.moduleDisparity(finest)
