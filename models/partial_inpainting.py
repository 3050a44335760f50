"""Inpainting by partial convolutions: each one looks at known pixels only.

Source: Liu et al., Image Inpainting for Irregular Holes Using Partial Convolutions
(arXiv:1804.07723), in the grid of arXiv:1909.05483.
"""

from typing import NamedTuple, Self

import torch
from torch import nn
from torch.nn import functional

from models.blocks import crop_like, make_shortcut
from models.pointcloud_inpainting import Inpaint


class PartialConv2d(nn.Conv2d):
    """A convolution over known pixels, scaled up for those that are missing under its window.

    forward(features, mask=None) -> features, updated mask
        features: (B, in_channels, H, W).
        mask: 1 = known; (B, in_channels, H, W) if `multi_channel`, else (B, 1, H, W). None: all is
            known, so only the zeros of the padding are made up for.
        features: (B, out_channels, H', W'), zero where the window saw nothing known.
        updated mask: 1 where it saw anything; (B, out_channels, H', W') or (B, 1, H', W').

    Args:
        in_channels, out_channels, kernel_size, stride, padding, bias: as for nn.Conv2d; square.
        multi_channel: the mask has a value per channel.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        *,
        multi_channel: bool = False,
    ) -> None:
        """Make the layer with random weights."""
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, bias=bias)
        self.multi_channel = multi_channel

    def forward(  # type: ignore[override]  # a convolution that takes and returns a mask, too
        self, features: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the features of known pixels and where anything was known."""
        known = features.new_ones(1, 1, *features.shape[-2:]) if mask is None else mask
        # All output channels see the same window: sum over channels once, then over the window.
        window = known.shape[1] * self.kernel_size[0] * self.kernel_size[1]
        seen = functional.avg_pool2d(
            known.sum(1, keepdim=True),
            self.kernel_size,
            self.stride,
            self.padding,  # type: ignore[arg-type]  # a number, never "same"
            divisor_override=1,
        )
        updated = seen.clamp(0, 1)
        ratio = window / (seen + 1e-8) * updated
        masked = features if mask is None else features * mask
        result = functional.conv2d(masked, self.weight, None, self.stride, self.padding) * ratio
        if self.bias is not None:
            result = (result + self.bias[:, None, None]) * updated
        channels = self.out_channels if self.multi_channel else 1
        return result, updated.expand(len(features), channels, -1, -1)


class Masked(NamedTuple):
    """What travels through the grid: features, and the pixels at which they are known."""

    features: torch.Tensor  # (B, C, H, W)
    mask: torch.Tensor | None  # (B, 1, H, W) of 0/1; None: everything is known


class PartialPair(nn.Module):
    """(PReLU,) partial conv, PReLU, partial conv: what residual, down and up have in common."""

    def __init__(
        self,
        entering: int,
        middle: int,
        leaving: int,
        *,
        activate_first: bool = True,
        stride: int = 1,
    ) -> None:
        """Make the pair; `stride` is that of its first convolution, px."""
        super().__init__()
        if activate_first:
            self.p_relu_1 = nn.PReLU(entering)
        self.activate_first = activate_first
        self.conv1 = PartialConv2d(entering, middle, 3, stride, padding=1)
        self.p_relu_2 = nn.PReLU(middle)
        self.conv2 = PartialConv2d(middle, leaving, 3, padding=1)

    def forward(self, node: Masked) -> Masked:
        """Map a Masked node to the next one."""
        features, mask = node
        if self.activate_first:
            features = self.p_relu_1(features)
        features, first = self.conv1(features, mask)
        # Without a mask the first convolution's is all ones, so the second needs none either.
        features, second = self.conv2(self.p_relu_2(features), None if mask is None else first)
        return Masked(features, None if mask is None else second)


class PartialResidual(PartialPair):
    """The pair with its input added: unmasked, through a 1x1 convolution if widths differ."""

    def __init__(
        self, entering: int, middle: int, leaving: int, *, activate_first: bool = True
    ) -> None:
        """Make the block from its channels: entering, between its convolutions, leaving."""
        super().__init__(entering, middle, leaving, activate_first=activate_first)
        # Without mask or padding a partial convolution is an ordinary one.
        self.moduleShortcut = make_shortcut(entering, leaving)

    def forward(self, node: Masked) -> Masked:
        """Map a Masked node to the next one, at the same size."""
        changed = super().forward(node)
        return Masked(changed.features + self.moduleShortcut(node.features), changed.mask)


class PartialDown(PartialPair):
    """The pair with a stride of 2: half the resolution, odd sizes rounded up."""

    def __init__(self, entering: int, middle: int, leaving: int) -> None:
        """Make the block from its channels: entering, between its convolutions, leaving."""
        super().__init__(entering, middle, leaving, stride=2)


class PartialUp(PartialPair):
    """The pair after bilinear doubling; the doubled mask is known where it is above one half."""

    def forward(self, node: Masked) -> Masked:
        """Map a Masked node to the next one, at twice the size."""
        features, mask = (_double(tensor) for tensor in node)
        return super().forward(Masked(features, (mask > 0.5).to(mask.dtype)))


def _double(tensor):
    return functional.interpolate(tensor, scale_factor=2, mode="bilinear", align_corners=False)


class PartialInpaint(Inpaint):
    """Inpaint with partial convolutions in its entry, grid and heads; called like Inpaint.

    The mask is no input channel here but travels beside the features, and where branches meet a
    pixel counts as known if both know it. The reference carries it once per channel; its channels
    are always equal, since every window sums over all of them, so here a single one travels.
    Heads and shortcuts see no mask, as in the reference. The result holds the mask that was given.
    """

    label = "a partial-convolution inpainting network"
    pattern = r"^(moduleInput|0x0 - 0x1)\.conv1\."
    published_widths = None
    colour_axes = (
        ("moduleContext.0.weight", 1),
        ("moduleInput.conv1.weight", 1),
        ("moduleInput.moduleShortcut.weight", 1),
        ("moduleImage.conv2.weight", 0),
        ("moduleImage.conv2.bias", 0),
        ("moduleImage.moduleShortcut.weight", 0),
        ("moduleImage.moduleShortcut.bias", 0),
    )
    first_activation = "p_relu_1.weight"
    lateral, down, up = PartialResidual, PartialDown, PartialUp
    mask_channels = 0

    @classmethod
    def fresh(cls, size: str) -> Self:
        """Return a new network to be trained: as the published one began, or half as wide."""
        if size == "paper":
            return super().fresh(size)
        return cls((16, 32, 64, 128), context_channels=16)

    @staticmethod
    def merge(node: Masked, branch: Masked) -> Masked:
        """Add features, and call known what both sides know."""
        features = node.features + crop_like(branch.features, node.features)
        assert node.mask is not None and branch.mask is not None
        return Masked(features, torch.minimum(node.mask, crop_like(branch.mask, node.mask)))

    def paint(
        self, features: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return image and disparity, both still normalised; arguments as in Inpaint."""
        finest = self.run_grid(self.moduleInput(Masked(features, mask)))
        everywhere = Masked(finest.features, None)
        return self.moduleImage(everywhere).features, self.moduleDisparity(everywhere).features
