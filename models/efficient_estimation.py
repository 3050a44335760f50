"""The second depth network: EfficientNet-Lite2 features, attention over the picture, a grid.

It sees more of the photo than `models/compact_estimation.py` (up to 512 px), knows more things, and
lets every place of the coarsest row look at every other before the grid is climbed: what is near is
a question of the whole picture.

The encoder follows EfficientNet-Lite2 (the edge variant of Tan and Le, ICML 2019) with batch norm
folded into its convolutions and TensorFlow's SAME padding, so that such ImageNet weights load by
key.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from models.grid_estimation import WIDTHS, Encoder, GridDisparity, SameConv

# expansion, channels, repeats, stride of the first, kernel: table 1 of the EfficientNet paper,
# scaled by 1.1 in width and 1.2 in depth (first and last stage as they are)
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 3, 2, 3),
    (6, 48, 3, 2, 5),
    (6, 88, 4, 2, 3),
    (6, 120, 4, 1, 5),
    (6, 208, 5, 2, 5),
    (6, 352, 1, 1, 3),
)
TAPS = (0, 3, 6, 14)  # the last block at 1/2, 1/4, 1/8 and 1/16 of the image; the head is at 1/32
TAP_CHANNELS = (16, 24, 48, 120, 1280)


class LiteBlock(nn.Module):
    """Expand, filter each channel alone, project; adds its input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, kernel: int) -> None:
        """Make the block; block 0, which expands by 1, has no `expand`."""
        super().__init__()
        hidden = inputs * expansion
        self.expand = SameConv(inputs, hidden, 1) if expansion > 1 else None
        self.depthwise = SameConv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = SameConv(hidden, outputs, 1)
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        inner = x if self.expand is None else functional.relu6(self.expand(x))
        inner = self.project(functional.relu6(self.depthwise(inner)))
        return x + inner if self.adds_input else inner


class EfficientEncoder(Encoder):
    """EfficientNet-Lite2 without its classifier; keys `stem`, `blocks.N`, `head`."""

    channels = TAP_CHANNELS
    spreads = (5.5, 9.0, 8.0)

    def __init__(self) -> None:
        """Make the encoder with random weights; load ImageNet weights by key."""
        super().__init__()
        self.stem = SameConv(3, 32, 3, stride=2)
        blocks, inputs = [], 32
        for expansion, outputs, repeats, first_stride, kernel in STAGES:
            for repeat in range(repeats):
                stride = first_stride if repeat == 0 else 1
                blocks.append(LiteBlock(inputs, outputs, stride, expansion, kernel))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = SameConv(inputs, TAP_CHANNELS[-1], 1)

    @property
    def layers(self) -> nn.ModuleList:
        """What can be frozen from the front: the stem, the blocks, the head."""
        return nn.ModuleList([self.stem, *self.blocks, self.head])

    def forward(self, image: torch.Tensor, count: int = 5) -> list[torch.Tensor]:
        """As the base class says."""
        # What the weights were trained on: (RGB in 0..255 - 127) / 128.
        x = functional.relu6(self.stem(image * (255 / 128) - 127 / 128))
        taps: list[torch.Tensor] = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in TAPS:
                taps.append(x)
                if len(taps) == count:
                    return taps
        return [*taps, functional.relu6(self.head(x))]


class EfficientDisparity(GridDisparity):
    """Relative disparity of one photo: sees more, and every place sees every other."""

    label = "an efficient disparity network"
    pattern = r"^encoder\.blocks\."
    colour_axes = (("encoder.stem.weight", 1),)
    encoder_type = EfficientEncoder
    side, area, short_side = 384, 384 * 288, 160

    def __init__(
        self, widths: Sequence[int] = WIDTHS, columns: int = 2, attentions: int = 2
    ) -> None:
        """Make the network with random weights; the arguments are those of the base class."""
        super().__init__(widths, columns, attentions)
