"""A depth network for every machine: MobileNetV2 features joined by a small grid decoder.

The paper's idea at a tenth of its size: an encoder that knows what things are, and a grid whose
rows are resolutions and whose columns carry the answer from the coarse rows to the fine ones.

The encoder follows MobileNetV2 (Sandler et al., CVPR 2018) with batch norm folded into its
convolutions and TensorFlow's SAME padding, so that ImageNet weights of that kind load by key.
"""

import math

from torch import nn
from torch.nn import functional

from models.blocks import Residual, size_in
from models.roles import Estimator, scaled_size

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
COARSEST = 32  # the image is padded to a multiple of this
WIDTHS = (24, 40, 64, 128, 192)
# It sees no more pixels than 320x240, and a panorama no lower than this: measured on crops of
# NYU v2, where a square does best at 256 px and a strip of 3.3 : 1 at 384x116.
LONG_SIDE, AREA, SHORT_SIDE = 320, 320 * 240, 128


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: on even sizes stride 2 pads right and bottom."""

    def __init__(self, inputs, outputs, kernel, stride=1, groups=1):
        """Make the layer; `kernel` and `stride` are in px, both square."""
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups)

    def forward(self, x):
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride); even sizes for stride 2."""
        if self.stride[0] == 2:
            before = (self.kernel_size[0] - 2) // 2
            after = self.kernel_size[0] - 2 - before
            x = functional.pad(x, (before, after, before, after))
        return super().forward(x)


def conv_relu6(inputs, outputs, kernel, stride=1, groups=1):
    """Convolution (index 0) and ReLU6: what is left of Conv-BN-ReLU6 when the norm is folded."""
    return nn.Sequential(SameConv(inputs, outputs, kernel, stride, groups), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """Expand, filter each channel alone, project: the block of MobileNetV2."""

    def __init__(self, inputs, outputs, stride, expansion):
        """Make the block; it adds its input to its output where the shapes agree."""
        super().__init__()
        hidden = inputs * expansion
        expand = [conv_relu6(inputs, hidden, 1)] if expansion > 1 else []
        depthwise = conv_relu6(hidden, hidden, 3, stride, groups=hidden)
        self.conv = nn.Sequential(*expand, depthwise, SameConv(hidden, outputs, 1))
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x):
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        return x + self.conv(x) if self.adds_input else self.conv(x)


class MobileEncoder(nn.Module):
    """MobileNetV2 without its classifier; state-dict keys `features.N...` as in torchvision."""

    def __init__(self):
        """Make the encoder with random weights; load ImageNet weights by key."""
        super().__init__()
        layers, inputs = [conv_relu6(3, 32, 3, stride=2)], 32
        for expansion, outputs, repeats, first_stride in STAGES:
            for repeat in range(repeats):
                stride = first_stride if repeat == 0 else 1
                layers.append(InvertedResidual(inputs, outputs, stride, expansion))
                inputs = outputs
        layers.append(conv_relu6(inputs, TAP_CHANNELS[-1], 1))
        self.features = nn.Sequential(*layers)

    @property
    def layers(self):
        """What can be frozen from the front."""
        return self.features

    def forward(self, image):
        """Give the features that the decoder reads.

        Args:
            image: (B, 3, H, W) RGB in [0, 1]; H and W multiples of 32.

        Returns:
            A list of five tensors (B, TAP_CHANNELS[i], H / 2**(i + 1), W / 2**(i + 1)).
        """
        x, taps = 2 * image - 1, []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in TAPS:
                taps.append(x)
        return taps


class GlobalContext(nn.Module):
    """Tell every place of the coarsest row what the whole picture is."""

    def __init__(self, channels):
        """Make the block for `channels` in and out."""
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 1)
        self.second = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        """(B, channels, H, W) -> the same shape."""
        mean = functional.relu(self.first(x.mean((2, 3), keepdim=True)))
        return x + self.second(mean)


class UpColumn(nn.Module):
    """One column of the grid: from the coarsest row to the finest, each adds what lies below."""

    def __init__(self, widths):
        """Make the column; `widths` are the channels of its rows, finest first."""
        super().__init__()
        self.rows = nn.ModuleList(Residual(width, width, width) for width in widths)
        for row in self.rows:
            nn.init.zeros_(row.moduleMain[-1].weight)  # each block starts as its shortcut
        pairs = zip(widths[1:], widths[:-1], strict=True)
        self.ups = nn.ModuleList(nn.Conv2d(below, width, 1) for below, width in pairs)

    def forward(self, rows):
        """A list of (B, widths[i], H / 2**i, W / 2**i) -> a list of the same shapes."""
        below = self.rows[-1](rows[-1])
        column = [below]
        for i in reversed(range(len(rows) - 1)):
            up = functional.interpolate(self.ups[i](below), scale_factor=2, mode="bilinear")
            below = self.rows[i](rows[i] + up)
            column.insert(0, below)
        return column


class CompactDisparity(Estimator, nn.Module):
    """Relative disparity of one photo, at half its size, on any machine."""

    label = "a compact disparity network"
    pattern = r"^encoder\."
    colour_axes = (("encoder.features.0.0.weight", 1),)
    learning_rate = 6e-4

    def __init__(self, widths=WIDTHS, columns=2):
        """Make the network with random weights.

        Args:
            widths: channels of the grid's rows at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image.
            columns: how many times the grid is climbed.

        Raises:
            ValueError: there is not one width for each row.
        """
        super().__init__()
        if len(widths) != len(TAPS):
            raise ValueError(f"widths needs {len(TAPS)} numbers, one a row, but got {widths}")
        self.encoder = MobileEncoder()
        pairs = zip(TAP_CHANNELS, widths, strict=True)
        self.laterals = nn.ModuleList(nn.Conv2d(tap, width, 1) for tap, width in pairs)
        self.context = GlobalContext(widths[-1])
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
        """Take the widths off the laterals, and count the columns."""
        widths = [
            size_in(shapes, f"laterals.{row}.weight", 0, usual) for row, usual in enumerate(WIDTHS)
        ]
        columns = {key.split(".")[1] for key in shapes if key.startswith("columns.")}
        return cls(widths, columns=len(columns))

    @staticmethod
    def working_size(size):
        """Return (height, width) at which it looks at a photo of `size`."""
        long_side = min(LONG_SIDE, math.sqrt(AREA * max(size) / min(size)))
        panorama = min(2 * LONG_SIDE, SHORT_SIDE * max(size) / min(size))
        return scaled_size(size, max(long_side, panorama))

    def predict(self, image):
        """Estimate disparity (B, 1, h, w) of (B, 3, H, W), mirrored too."""
        return self.predict_mirrored_too(image)

    def forward(self, image):
        """Estimate the disparity of each photo.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], any size of at least 32 px. The network was trained
                on photos of 256 to 384 px: scale larger ones down first.

        Returns:
            (B, 1, ceil(H / 2), ceil(W / 2)) relative disparity: positive, larger = nearer.
        """
        height, width = image.shape[-2:]
        padding = (0, -width % COARSEST, 0, -height % COARSEST)
        taps = self.encoder(functional.pad(image, padding, mode="replicate"))
        rows = [lateral(tap) for lateral, tap in zip(self.laterals, taps, strict=True)]
        rows[-1] = self.context(rows[-1])
        for column in self.columns:
            rows = column(rows)
        disparity = self.output(rows[0])
        return disparity[:, :, : (height + 1) // 2, : (width + 1) // 2]
