"""The second depth network: EfficientNet-Lite2 features, attention over the picture, a grid.

It sees more of the photo than `models/compact_estimation.py` (up to 512 px), knows more things, and
lets every place of the coarsest row look at every other before the grid is climbed: what is near is
a question of the whole picture.

The encoder follows EfficientNet-Lite2 (the edge variant of Tan and Le, ICML 2019) with batch norm
folded into its convolutions and TensorFlow's SAME padding, so that such ImageNet weights load by
key.
"""

import math

from torch import nn
from torch.nn import functional

from models.blocks import size_in
from models.compact_estimation import COARSEST, WIDTHS, GlobalContext, SameConv, UpColumn
from models.roles import Estimator, scaled_size

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

    def __init__(self, inputs, outputs, stride, expansion, kernel):
        """Make the block; block 0, which expands by 1, has no `expand`."""
        super().__init__()
        hidden = inputs * expansion
        self.expand = SameConv(inputs, hidden, 1) if expansion > 1 else None
        self.depthwise = SameConv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = SameConv(hidden, outputs, 1)
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x):
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        inner = x if self.expand is None else functional.relu6(self.expand(x))
        inner = self.project(functional.relu6(self.depthwise(inner)))
        return x + inner if self.adds_input else inner


class EfficientEncoder(nn.Module):
    """EfficientNet-Lite2 without its classifier; keys `stem`, `blocks.N`, `head`."""

    def __init__(self):
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
    def layers(self):
        """What can be frozen from the front: the stem, the blocks, the head."""
        return nn.ModuleList([self.stem, *self.blocks, self.head])

    def forward(self, image):
        """Give the features that the decoder reads.

        Args:
            image: (B, 3, H, W) RGB in [0, 1]; H and W multiples of 32.

        Returns:
            A list of five tensors (B, TAP_CHANNELS[i], H / 2**(i + 1), W / 2**(i + 1)).
        """
        # What the weights were trained on: (RGB in 0..255 - 127) / 128.
        x, taps = functional.relu6(self.stem(image * (255 / 128) - 127 / 128)), []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in TAPS:
                taps.append(x)
        return [*taps, functional.relu6(self.head(x))]


class Attention(nn.Module):
    """Every place of a row looks at every other: a transformer block that starts as nothing."""

    def __init__(self, channels, heads=4):
        """Make the block; `channels` must be a multiple of `heads`."""
        super().__init__()
        self.heads = heads
        self.place = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = nn.GroupNorm(1, channels)
        self.query_key_value = nn.Conv2d(channels, 3 * channels, 1)
        self.join = nn.Conv2d(channels, channels, 1)
        self.second_norm = nn.GroupNorm(1, channels)
        self.think = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, 1), nn.GELU(), nn.Conv2d(2 * channels, channels, 1)
        )
        for last in (self.place, self.join, self.think[-1]):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x):
        """(B, channels, H, W) -> the same shape."""
        x = x + self.place(x)  # zero padding tells where the borders are
        batch, channels, height, width = x.shape
        packed = self.query_key_value(self.norm(x)).contiguous()
        packed = packed.view(batch, 3, self.heads, channels // self.heads, height * width)
        query, key, value = packed.transpose(3, 4).unbind(1)
        seen = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.join(seen.transpose(2, 3).reshape(batch, channels, height, width))
        return x + self.think(self.second_norm(x))


class EfficientDisparity(Estimator, nn.Module):
    """Relative disparity of one photo, at half the size of what is seen of it."""

    label = "an efficient disparity network"
    pattern = r"^encoder\.blocks\."
    colour_axes = (("encoder.stem.weight", 1),)
    learning_rate = 6e-4
    # It looks at so many px of the long side, in all, and of the short side of a panorama.
    side, area, short_side = 384, 384 * 288, 160

    def __init__(self, widths=WIDTHS, columns=2, attentions=2):
        """Make the network with random weights.

        Args:
            widths: channels of the grid's rows at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image.
            columns: how many times the grid is climbed.
            attentions: blocks of attention over the coarsest row.

        Raises:
            ValueError: there is not one width for each row.
        """
        super().__init__()
        if len(widths) != len(TAP_CHANNELS):
            raise ValueError(
                f"widths needs {len(TAP_CHANNELS)} numbers, one a row, but got {widths}"
            )
        self.encoder = EfficientEncoder()
        pairs = zip(TAP_CHANNELS, widths, strict=True)
        self.laterals = nn.ModuleList(nn.Conv2d(tap, width, 1) for tap, width in pairs)
        self.context = GlobalContext(widths[-1])
        self.attentions = nn.ModuleList(Attention(widths[-1]) for _ in range(attentions))
        self.columns = nn.ModuleList(UpColumn(widths) for _ in range(columns))
        self.output = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(widths[0], widths[0], 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(widths[0], 1, 3, padding=1),
            nn.Softplus(),
        )

    @classmethod
    def from_shapes(cls, shapes):
        """Take the widths off the laterals, and count columns and blocks of attention."""
        widths = [
            size_in(shapes, f"laterals.{row}.weight", 0, usual) for row, usual in enumerate(WIDTHS)
        ]
        columns, attentions = (
            {key.split(".")[1] for key in shapes if key.startswith(part)}
            for part in ("columns.", "attentions.")
        )
        return cls(widths, len(columns), len(attentions))

    def rows(self, image):
        """What the grid is climbed from: a list of (B, widths[i], H / 2**(i+1), W / 2**(i+1))."""
        taps = self.encoder(image)
        return [lateral(tap) for lateral, tap in zip(self.laterals, taps, strict=True)]

    def forward(self, image):
        """Estimate the disparity of each photo.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], any size of at least 32 px; see `working_size`.

        Returns:
            (B, 1, ceil(H / 2), ceil(W / 2)) relative disparity: positive, larger = nearer.
        """
        height, width = image.shape[-2:]
        padding = (0, -width % COARSEST, 0, -height % COARSEST)
        rows = self.rows(functional.pad(image, padding, mode="replicate"))
        rows[-1] = self.context(rows[-1])
        for attention in self.attentions:
            rows[-1] = attention(rows[-1])
        for column in self.columns:
            rows = column(rows)
        disparity = self.output(rows[0])
        return disparity[:, :, : (height + 1) // 2, : (width + 1) // 2]

    def working_size(self, size):
        """Return (height, width) at which it looks at a photo of `size`."""
        ratio = max(size) / min(size)
        long_side = min(self.side, math.sqrt(self.area * ratio))
        return scaled_size(size, max(long_side, min(2 * self.side, self.short_side * ratio)))

    def predict(self, image):
        """Estimate disparity (B, 1, h, w) of (B, 3, H, W), mirrored too."""
        return self.predict_mirrored_too(image)
