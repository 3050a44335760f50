"""What our two depth networks share: an encoder that knows things, and a small grid over it.

The paper's idea at a tenth of its size: an encoder that knows what things are, and a grid whose
rows are resolutions and whose columns carry the answer from the coarse rows to the fine ones.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import nn
from torch.nn import functional

from models.blocks import Residual, size_in
from models.roles import Estimator, scaled_size

COARSEST = 32  # the image is padded to a multiple of this
WIDTHS = (24, 40, 64, 128, 192)


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: on even sizes stride 2 pads right and bottom."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        """Make the layer; `kernel` and `stride` are in px, both square."""
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride); even sizes for stride 2."""
        if self.stride[0] == 2:
            before = (self.kernel_size[0] - 2) // 2
            after = self.kernel_size[0] - 2 - before
            x = functional.pad(x, (before, after, before, after))
        return super().forward(x)


class Encoder(nn.Module):
    """An image network without its classifier, which a subclass builds.

    Attributes:
        channels: of its features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image.
        spreads: standard deviations of the first three of these on photos, to weigh them alike.
    """

    channels: tuple[int, ...]
    spreads: tuple[float, ...]

    @property
    def layers(self) -> nn.Sequential | nn.ModuleList:
        """What can be frozen from the front."""
        raise NotImplementedError

    def forward(self, image: torch.Tensor, count: int = 5) -> list[torch.Tensor]:
        """Give the features that the decoder reads.

        Args:
            image: (B, 3, H, W) RGB in [0, 1]; H and W multiples of 32.
            count: how many of them; what comes after is not computed.

        Returns:
            A list of tensors (B, channels[i], H / 2**(i + 1), W / 2**(i + 1)).
        """
        raise NotImplementedError


class GlobalContext(nn.Module):
    """Tell every place of the coarsest row what the whole picture is."""

    def __init__(self, channels: int) -> None:
        """Make the block for `channels` in and out."""
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 1)
        self.second = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) -> the same shape."""
        mean = functional.relu(self.first(x.mean((2, 3), keepdim=True)))
        return x + self.second(mean)


class UpColumn(nn.Module):
    """One column of the grid: from the coarsest row to the finest, each adds what lies below."""

    def __init__(self, widths: Sequence[int]) -> None:
        """Make the column; `widths` are the channels of its rows, finest first."""
        super().__init__()
        self.rows = nn.ModuleList(Residual(width, width, width) for width in widths)
        row: Any
        for row in self.rows:
            nn.init.zeros_(row.moduleMain[-1].weight)  # each block starts as its shortcut
        pairs = zip(widths[1:], widths[:-1], strict=True)
        self.ups = nn.ModuleList(nn.Conv2d(below, width, 1) for below, width in pairs)

    def forward(self, rows: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """A list of (B, widths[i], H / 2**i, W / 2**i) -> a list of the same shapes."""
        below = self.rows[-1](rows[-1])
        column = [below]
        for i in reversed(range(len(rows) - 1)):
            up = functional.interpolate(self.ups[i](below), scale_factor=2, mode="bilinear")
            below = self.rows[i](rows[i] + up)
            column.insert(0, below)
        return column


class Attention(nn.Module):
    """Every place of a row looks at every other: a transformer block that starts as nothing."""

    def __init__(self, channels: int, heads: int = 4) -> None:
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
        last: Any
        for last in (self.place, self.join, self.think[-1]):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) -> the same shape."""
        x = x + self.place(x)  # zero padding tells where the borders are
        batch, channels, height, width = x.shape
        packed = self.query_key_value(self.norm(x)).contiguous()
        packed = packed.view(batch, 3, self.heads, channels // self.heads, height * width)
        # Contiguous each: on Apple's MPS attention over strided parts is silently wrong.
        parts = [part.contiguous() for part in packed.transpose(3, 4).unbind(1)]
        seen = functional.scaled_dot_product_attention(*parts)
        x = x + self.join(seen.transpose(2, 3).reshape(batch, channels, height, width))
        return x + self.think(self.second_norm(x))


class GridDisparity(Estimator, nn.Module):
    """Relative disparity of one photo, at half the size of what is seen of it.

    A subclass names its encoder and how much it looks at.

    Attributes:
        encoder_type: class of its encoder.
        side, area, short_side: it looks at so many px of the long side, in all, and of the short
            side of a panorama.
    """

    learning_rate = 6e-4
    encoder_type: type[Encoder]
    side: int
    area: int
    short_side: int

    def __init__(
        self, widths: Sequence[int] = WIDTHS, columns: int = 2, attentions: int = 0
    ) -> None:
        """Make the network with random weights.

        Args:
            widths: channels of the grid's rows at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image.
            columns: how many times the grid is climbed.
            attentions: blocks of attention over the coarsest row.

        Raises:
            ValueError: there is not one width for each row.
        """
        super().__init__()
        taps = self.encoder_type.channels
        if len(widths) != len(taps):
            raise ValueError(f"widths needs {len(taps)} numbers, one a row, but got {widths}")
        self.encoder = self.encoder_type()
        pairs = zip(taps, widths, strict=True)
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
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> Self:
        """Take the widths off the laterals, and count columns and blocks of attention."""
        widths = [
            size_in(shapes, f"laterals.{row}.weight", 0, usual) for row, usual in enumerate(WIDTHS)
        ]
        columns, attentions = (
            {key.split(".")[1] for key in shapes if key.startswith(part)}
            for part in ("columns.", "attentions.")
        )
        return cls(widths, len(columns), len(attentions))

    @classmethod
    def working_size(cls, size: Sequence[int]) -> tuple[int, int]:
        """Return (height, width) at which it looks at a photo of `size`."""
        ratio = max(size) / min(size)
        long_side = min(cls.side, math.sqrt(cls.area * ratio))
        return scaled_size(size, max(long_side, min(2 * cls.side, cls.short_side * ratio)))

    def predict(self, image: torch.Tensor) -> torch.Tensor:
        """Estimate disparity (B, 1, h, w) of (B, 3, H, W), mirrored too."""
        return self.predict_mirrored_too(image)

    def rows(self, image: torch.Tensor) -> list[torch.Tensor]:
        """What the grid is climbed from: a list of (B, widths[i], H / 2**(i+1), W / 2**(i+1))."""
        taps = self.encoder(image)
        return [lateral(tap) for lateral, tap in zip(self.laterals, taps, strict=True)]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Estimate the disparity of each photo.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], any size of at least 32 px. Networks were trained
                near their `working_size`: scale larger photos down first.

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
