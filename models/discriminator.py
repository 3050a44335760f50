"""Discriminators for adversarial training of the inpainting: is this image, or pair, a real one?

Names (`ConvBlock0`, `localD1`, `Dmain`, `extractor`) are those of the reference's state dicts.
"""

from collections.abc import Sequence

import torch
from torch import nn

from models.features import VGG16Partial
from models.roles import Network

SLOPE = 0.2


class ConvBlock(nn.Module):
    """4x4 convolution, batch normalisation unless `first`, LeakyReLU."""

    def __init__(
        self,
        entering: int,
        leaving: int,
        stride: int = 2,
        dilation: int = 1,
        *,
        first: bool = False,
    ) -> None:
        """Make the block; `stride` and `dilation` are those of its convolution, px."""
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(entering, leaving, 4, stride, padding=1, dilation=dilation),
            *([] if first else [nn.BatchNorm2d(leaving)]),
            nn.LeakyReLU(SLOPE, inplace=True),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, entering, H, W) to (B, leaving, H', W'), about H/stride."""
        return self.conv(features)


class VGGBlock(nn.Module):
    """Two 3x3 convolutions with LeakyReLU (three if `large`), then average pooling by two."""

    def __init__(self, entering: int, leaving: int, *, large: bool = False) -> None:
        """Make the block from its channels."""
        super().__init__()
        layers: list[nn.Module] = []
        for channels in [entering, leaving, leaving][: 3 if large else 2]:
            layers.append(nn.Conv2d(channels, leaving, 3, padding=1))
            layers.append(nn.LeakyReLU(SLOPE, inplace=True))
        self.block = nn.Sequential(*layers, nn.AvgPool2d(2))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, entering, H, W) to (B, leaving, H/2, W/2), rounded down."""
        return self.block(features)


class Discriminator(nn.Module):
    """A patch discriminator: one raw score, no sigmoid, per patch of the input.

    forward(image) -> (B, 1, H', W')

    Args:
        channels: of the input and of each block. None: 3, 32, 64, 128, 256, the first block
            without batch normalisation; given channels normalise in every block.
        dilations: one per block; None: 1.
        strides: one per block; None: 2.

    Raises:
        ValueError: not one dilation and one stride per block.
    """

    def __init__(
        self,
        channels: Sequence[int] | None = None,
        dilations: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
    ) -> None:
        """Make the blocks and the head."""
        super().__init__()
        first = channels is None
        channels = (3, 32, 64, 128, 256) if channels is None else tuple(channels)
        blocks = len(channels) - 1
        dilations, strides = dilations or [1] * blocks, strides or [2] * blocks
        if not len(dilations) == len(strides) == blocks:
            raise ValueError(
                f"{blocks} blocks need as many dilations and strides, "
                f"got {list(dilations)} and {list(strides)}."
            )
        self.net = nn.Sequential(
            *(
                ConvBlock(
                    channels[i], channels[i + 1], strides[i], dilations[i], first=first and i == 0
                )
                for i in range(blocks)
            )
        )
        self.outConv = nn.Conv2d(channels[-1], 1, kernel_size=4, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the raw scores."""
        return self.outConv(self.net(image))


class MPDDiscriminator(Network, nn.Module):
    """Three patch discriminators of a picture and its disparity, at 1/4 and 1/8 resolution.

    At every scale it sees VGG-16 features of the picture beside its own of both; the main one has a
    wide view.

    forward(image, disparity) -> three probability maps: fine local, coarse local, main
        image: (B, 3, H, W) RGB in [0, 1], at least 280 px on its short side.
        disparity: (B, 1, H, W), scaled to about the range of the image.

    Args:
        extractor: VGG16Partial to look through, pretrained and normalising at best; None makes one
            with random weights, in which case the state dict should bring its own.
    """

    label = "a discriminator"
    pattern = r"^(outConv|Dmain|localD1)\."

    def __init__(self, *, extractor: nn.Module | None = None) -> None:
        """Make the pyramid around an extractor, and its three heads."""
        super().__init__()
        self.extractor = extractor or VGG16Partial()
        self.ConvBlock0 = VGGBlock(4, 64)
        self.ConvBlock1 = VGGBlock(128, 128)
        self.ConvBlock2 = VGGBlock(256, 256, large=True)
        self.localD1 = Discriminator([256, 256, 256], [1, 1], [1, 1])
        self.localD2 = Discriminator([512, 256, 256], [1, 1], [2, 1])
        self.Dmain = Discriminator([512, 256, 256, 256], [8, 4, 1], [1, 1, 1])

    def forward(self, image: torch.Tensor, disparity: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the scores after a sigmoid."""
        first, second, third = self.extractor(image)
        half = torch.cat([first, self.ConvBlock0(torch.cat([image, disparity], dim=1))], dim=1)
        quarter = torch.cat([second, self.ConvBlock1(half)], dim=1)
        eighth = torch.cat([third, self.ConvBlock2(quarter)], dim=1)
        scores = self.localD1(quarter), self.localD2(eighth), self.Dmain(eighth)
        return tuple(torch.sigmoid(score) for score in scores)


def add_spectral_norm(network: nn.Module) -> nn.Module:
    """Divide every trainable convolution's weight by its largest singular value, for training.

    The frozen feature extractor is left alone. One power iteration per training forward; the state
    dict then holds `weight_orig` and `weight_u`, `weight_v` in place of `weight`.

    Source: Miyato et al., arXiv:1802.05957.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.requires_grad:
            nn.utils.spectral_norm(module, eps=1e-12)
    return network
