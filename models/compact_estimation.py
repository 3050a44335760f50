"""A depth network for every machine: MobileNetV2 features joined by a small grid decoder.

The encoder follows MobileNetV2 (Sandler et al., CVPR 2018) with batch norm folded into its
convolutions and TensorFlow's SAME padding, so that ImageNet weights of that kind load by key.
"""

import torch
from torch import nn

from models.grid_estimation import Encoder, GridDisparity, SameConv

# expansion, channels, repeats, stride of the first: table 2 of the MobileNetV2 paper
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
TAPS = (1, 3, 6, 13, 18)  # the last layer at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image
TAP_CHANNELS = (16, 24, 32, 96, 1280)


def conv_relu6(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution (index 0) and ReLU6: what is left of Conv-BN-ReLU6 when the norm is folded."""
    return nn.Sequential(SameConv(inputs, outputs, kernel, stride, groups), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """Expand, filter each channel alone, project: the block of MobileNetV2."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        """Make the block; it adds its input to its output where the shapes agree."""
        super().__init__()
        hidden = inputs * expansion
        expand = [conv_relu6(inputs, hidden, 1)] if expansion > 1 else []
        depthwise = conv_relu6(hidden, hidden, 3, stride, groups=hidden)
        self.conv = nn.Sequential(*expand, depthwise, SameConv(hidden, outputs, 1))
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        return x + self.conv(x) if self.adds_input else self.conv(x)


class MobileEncoder(Encoder):
    """MobileNetV2 without its classifier; state-dict keys `features.N...` as in torchvision."""

    channels = TAP_CHANNELS
    spreads = (3.5, 5.0, 5.0)

    def __init__(self) -> None:
        """Make the encoder with random weights; load ImageNet weights by key."""
        super().__init__()
        layers: list[nn.Module] = [conv_relu6(3, 32, 3, stride=2)]
        inputs = 32
        for expansion, outputs, repeats, first_stride in STAGES:
            for repeat in range(repeats):
                stride = first_stride if repeat == 0 else 1
                layers.append(InvertedResidual(inputs, outputs, stride, expansion))
                inputs = outputs
        layers.append(conv_relu6(inputs, TAP_CHANNELS[-1], 1))
        self.features = nn.Sequential(*layers)

    @property
    def layers(self) -> nn.Sequential:
        """What can be frozen from the front."""
        return self.features

    def forward(self, image: torch.Tensor, count: int = 5) -> list[torch.Tensor]:
        """As the base class says."""
        x: torch.Tensor = 2 * image - 1
        taps: list[torch.Tensor] = []
        for layer, after in zip(self.features, range(TAPS[count - 1] + 1), strict=False):
            x = layer(x)
            if after in TAPS:
                taps.append(x)
        return taps


class CompactDisparity(GridDisparity):
    """Relative disparity of one photo, on any machine."""

    label = "a compact disparity network"
    pattern = r"^encoder\."
    colour_axes = (("encoder.features.0.0.weight", 1),)
    encoder_type = MobileEncoder
    # Measured on crops of NYU v2, where a square does best at 256 px and a strip of 3.3 : 1 at
    # 384x116.
    side, area, short_side = 320, 320 * 240, 128
