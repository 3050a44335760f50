"""Coarse disparity from one photograph: VGG-19 semantics and a grid network on top."""

import math
from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import nn

from models.blocks import GridNetwork, Residual, conv3, grid_widths, initialise, size_in
from models.features import from_torchvision, normalise_imagenet
from models.roles import Convention, Estimator, Network

# Per pooling stage: channels, and torchvision's index of each convolution in `vgg19_bn().features`.
VGG19_STAGES = (
    (64, (0, 3)),
    (128, (7, 10)),
    (256, (14, 17, 20, 23)),
    (512, (27, 30, 33, 36)),
)
SEMANTICS_ROW = 3  # the grid row at 1/16 resolution, where the semantics join


class Semantics(Network, nn.Module):
    """VGG-19 with batch normalisation up to its fourth pooling: never trained, no gradient.

    forward(image) -> features
        image: (B, 3, H, W) in [0, 1], channels in `channel_order`.
        features: (B, 512, ceil(H/16), ceil(W/16)).

    Args:
        channel_order: order of the images it will be given. The reference feeds "bgr", hence the
            default; everything of ours feeds "rgb".

    Source: Simonyan and Zisserman, arXiv:1409.1556; weights by torchvision.
    """

    label = "VGG-19 with batch normalisation"
    pattern = r"^(moduleVgg\.|features\.1\.running_mean)"

    def __init__(self, *, channel_order: str = "bgr") -> None:
        """Make the network with random weights."""
        super().__init__()
        if channel_order not in ("rgb", "bgr"):
            raise ValueError(f"channel_order must be 'rgb' or 'bgr', got {channel_order!r}.")
        self.channel_order = channel_order
        self.moduleVgg = _vgg19_features()
        self.eval()

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> Self:
        """Return the network for RGB, which everything of ours feeds."""
        return cls(channel_order="rgb")

    def own_names(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Take torchvision's names too."""
        return from_torchvision(self, state)

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode whatever is asked: these running statistics are not ours to move."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the 512 feature channels at 1/16 of the size."""
        rgb = image if self.channel_order == "rgb" else image.flip(1)
        return self.moduleVgg(normalise_imagenet(rgb))


def _vgg19_features():
    """Build `moduleVgg.<position>.<torchvision index>`, pools in ceil mode."""
    stages = nn.Sequential()
    entering = 3
    for leaving, indices in VGG19_STAGES:
        for index in indices:
            layers = nn.Sequential()
            layers.add_module(str(index), conv3(entering, leaving))
            layers.add_module(str(index + 1), nn.BatchNorm2d(leaving))
            layers.add_module(str(index + 2), nn.ReLU(inplace=True))
            stages.append(layers)
            entering = leaving
        stages.append(nn.MaxPool2d(2, ceil_mode=True))
    return stages


class Disparity(Estimator, GridNetwork):
    """Coarse disparity: a grid over the colours at half resolution, joined by the semantics.

    forward(image, semantics) -> disparity
        image: (B, 3, H, W) in [0, 1], any size.
        semantics: (B, semantics_channels, ceil(H/16), ceil(W/16)).
        disparity: (B, 1, ceil(H/2), ceil(W/2)), relative: scale unknown, may be negative.

    Args:
        widths: channels of each row, from 1/2 resolution downwards; at least four rows.
        semantics_channels: channels of the second input.

    Two attributes say what its weights saw in training, which Estimation gives them: `value_range`
    of the images, and `semantics_order`, the channel_order of Semantics beside it.

    Raises:
        ValueError: too few rows, or semantics that do not fit the image.
    Source: arXiv:1909.05483, section 3.1.
    """

    label = "a disparity network"
    pattern = r"^(moduleSemantics\.|4x0 - )"
    published_widths = (32, 48, 64, 512, 512, 512)
    colour_axes = (("moduleImage.weight", 1),)
    foreign = Convention("RGB", (-1.0, 1.0), "bgr")
    companion = "semantics"
    depth_loss = "reference"
    value_range = (0.0, 1.0)
    semantics_order = "rgb"

    def __init__(
        self, widths: Sequence[int] = (32, 48, 64, 512, 512, 512), *, semantics_channels: int = 512
    ) -> None:
        """Make the network with random weights."""
        super().__init__()
        if len(widths) <= SEMANTICS_ROW:
            raise ValueError(
                f"Disparity needs at least {SEMANTICS_ROW + 1} row widths, got {tuple(widths)}."
            )
        self.moduleImage = nn.Conv2d(3, widths[0], kernel_size=7, stride=2, padding=3)
        self.moduleSemantics = conv3(semantics_channels, widths[SEMANTICS_ROW])
        self.add_grid(widths)
        self.moduleDisparity = Residual(widths[0], widths[0], 1, activate_first=False)

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> Self:
        """Take the widths off the grid's rows."""
        channels = size_in(shapes, "moduleSemantics.weight", 1, 512)
        return cls(grid_widths(shapes, "moduleMain.0.weight"), semantics_channels=channels)

    @classmethod
    def fresh(cls, size: str) -> Self:
        """Return a new network to be trained, as the published one began."""
        return initialise(cls(), 1.4)

    def expect(self, convention: Convention) -> None:
        """Remember what the weights saw in training."""
        self.value_range = convention.value_range
        self.semantics_order = convention.semantics_order

    def joined(self, companion: Semantics) -> "Estimation":
        """Return the Estimation of this network and its Semantics."""
        companion.channel_order = self.semantics_order
        return Estimation(companion, self)

    def forward(self, image: torch.Tensor, semantics: torch.Tensor) -> torch.Tensor:
        """Return disparity at half the size of the image."""
        wanted = tuple(math.ceil(size / 16) for size in image.shape[-2:])
        if tuple(semantics.shape[-2:]) != wanted:
            raise ValueError(
                f"semantics of an image of {tuple(image.shape[-2:])} must be {wanted}, "
                f"got {tuple(semantics.shape[-2:])}."
            )
        finest = self.run_grid(
            self.moduleImage(image),
            joining=self.moduleSemantics(semantics),
            joining_row=SEMANTICS_ROW,
        )
        return self.moduleDisparity(finest)


class Estimation(Estimator, nn.Module):
    """Semantics and Disparity as one network, so that every estimator takes just a photo.

    forward(image) -> disparity
        image: (B, 3, H, W) RGB in [0, 1], any size.
        disparity: (B, 1, ceil(H/2), ceil(W/2)), relative, may be negative.

    Args:
        semantics: Semantics.
        disparity: Disparity; both networks get images in its `value_range`.
    """

    def __init__(self, semantics: Semantics, disparity: Disparity) -> None:
        """Join the two; neither is copied."""
        super().__init__()
        self.semantics, self.disparity = semantics, disparity

    def working_size(self, size: Sequence[int]) -> tuple[int, int]:
        """Return (height, width) at which the grid looks at a photo of `size`."""
        return self.disparity.working_size(size)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return disparity at half the size of the image."""
        low, high = self.disparity.value_range
        image = image * (high - low) + low
        return self.disparity(image, self.semantics(image))
