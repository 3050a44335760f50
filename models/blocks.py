"""What the networks are built of: residual, down and up blocks, the grid, normalisation.

The names `moduleMain`, `moduleShortcut` and `0x0 - 0x1` are those of the published weights; our own
code never depends on more than that. Source: Niklaus et al., 3D Ken Burns Effect from a Single
Image (arXiv:1909.05483); the grid is GridNet (arXiv:1707.07958).
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import nn
from torch.nn import functional

Trained = TypeVar("Trained", bound=nn.Module)

EPSILON = 1e-7  # added to every standard deviation, as the weights were trained


def initialise(network: Trained, gain: float) -> Trained:
    """Xavier normal on all convolution weights, as the published networks began."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_normal_(module.weight, gain)
    return network


def size_in(shapes: Mapping[str, Sequence[int]], key: str, axis: int, usual: int) -> int:
    """A size off one shape of a state dict, or the usual one where the key is missing."""
    shape = shapes.get(key, ())
    return shape[axis] if len(shape) > axis else usual


def grid_widths(shapes: Mapping[str, Sequence[int]], activation: str) -> tuple[int, ...]:
    """Channels of each grid row, off the first activation of one of the row's three laterals."""
    widths: list[int] = []
    while True:
        row = len(widths)
        laterals = (f"{row}x{column} - {row}x{column + 1}.{activation}" for column in range(3))
        width = next((shapes[key][0] for key in laterals if shapes.get(key)), None)
        if width is None:
            return tuple(widths)
        widths.append(width)


def unet_widths(shapes: Mapping[str, Sequence[int]], entry: str, usual: int) -> list[int]:
    """Channels of each row of a U-Net that begins with the Residual `entry` and has `downs`."""
    widths = [size_in(shapes, f"{entry}.moduleMain.0.weight", 0, usual)]
    while shape := shapes.get(f"downs.{len(widths) - 1}.moduleMain.1.weight"):
        widths.append(shape[0])
    return widths


def conv3(entering: int, leaving: int, stride: int = 1) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps the size (stride 2: half of it, rounded up)."""
    return nn.Conv2d(entering, leaving, kernel_size=3, stride=stride, padding=1)


def make_shortcut(entering: int, leaving: int) -> nn.Module:
    """Return what carries an input past its block: nothing, or a 1x1 convolution to new widths."""
    return nn.Identity() if entering == leaving else nn.Conv2d(entering, leaving, kernel_size=1)


class Residual(nn.Module):
    """PReLU, conv, PReLU, conv, and the input added: a step that keeps the resolution.

    Args:
        entering: channels of the input.
        middle: channels between the two convolutions.
        leaving: channels of the output; where they differ from `entering` the input passes a
            1x1 convolution before it is added.
        activate_first: False leaves out the first PReLU, for inputs that are no features yet.
        shortcut: False adds nothing at all.
    """

    def __init__(
        self,
        entering: int,
        middle: int,
        leaving: int,
        *,
        activate_first: bool = True,
        shortcut: bool = True,
    ) -> None:
        """Make the block; the arguments are those of the class."""
        super().__init__()
        first = [nn.PReLU(entering)] if activate_first else []
        self.moduleMain = nn.Sequential(
            *first, conv3(entering, middle), nn.PReLU(middle), conv3(middle, leaving)
        )
        self.shortcut = shortcut
        if shortcut:
            self.moduleShortcut = make_shortcut(entering, leaving)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, entering, H, W) to (B, leaving, H, W)."""
        changed = self.moduleMain(features)
        if not self.shortcut:
            return changed
        return changed + self.moduleShortcut(features)


class Down(nn.Module):
    """PReLU, conv of stride 2, PReLU, conv: half the resolution, odd sizes rounded up."""

    def __init__(self, entering: int, middle: int, leaving: int) -> None:
        """Make the block from its channels: entering, between its convolutions, leaving."""
        super().__init__()
        self.moduleMain = nn.Sequential(
            nn.PReLU(entering),
            conv3(entering, middle, stride=2),
            nn.PReLU(middle),
            conv3(middle, leaving),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, entering, H, W) to (B, leaving, ceil(H/2), ceil(W/2))."""
        return self.moduleMain(features)


class Up(nn.Module):
    """Bilinear doubling, PReLU, conv, PReLU, conv."""

    def __init__(self, entering: int, middle: int, leaving: int) -> None:
        """Make the block from its channels: entering, between its convolutions, leaving."""
        super().__init__()
        self.moduleMain = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            nn.PReLU(entering),
            conv3(entering, middle),
            nn.PReLU(middle),
            conv3(middle, leaving),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, entering, H, W) to (B, leaving, 2H, 2W)."""
        return self.moduleMain(features)


def crop_like(branch: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Drop the last row and column that doubling an odd size's rounded-up half left over."""
    return branch[..., : target.shape[-2], : target.shape[-1]]


class GridNetwork(nn.Module):
    """A grid of rows (resolutions, finest first) and four columns: two downwards, two back up.

    A subclass calls `add_grid` in its constructor, between its entries and its heads, so that the
    state dict keeps the published order, and `run_grid` in its forward. Nodes are feature tensors
    here; a subclass may let anything else travel by giving its own blocks and its own `merge`.
    """

    lateral: type[nn.Module] = Residual
    down: type[nn.Module] = Down
    up: type[nn.Module] = Up

    def add_grid(self, widths: Sequence[int]) -> None:
        """Create the blocks of a grid whose row r carries `widths[r]` channels."""
        self.widths = tuple(widths)
        rows = len(widths)
        for row, column in itertools.product(range(rows), range(3)):
            width = widths[row]
            self._add(row, column, row, column + 1, self.lateral(width, width, width))
        for column, row in itertools.product((0, 1), range(rows - 1)):
            finer, coarser = widths[row], widths[row + 1]
            self._add(row, column, row + 1, column, self.down(finer, coarser, coarser))
        for column, row in itertools.product((2, 3), reversed(range(rows - 1))):
            finer, coarser = widths[row], widths[row + 1]
            self._add(row + 1, column, row, column, self.up(coarser, finer, finer))

    def run_grid(
        self, node: Any, joining: torch.Tensor | None = None, joining_row: int | None = None
    ) -> Any:
        """Send the first node through the grid and return the finest node of the last column.

        Args:
            node: the node at row 0, column 0.
            joining: a second input, added to column 0 at `joining_row`.
            joining_row: its row.
        """
        nodes = [node]
        for row in range(1, len(self.widths)):
            nodes.append(self._step(row - 1, 0, row, 0, nodes[-1]))
            if row == joining_row and joining is not None:
                nodes[row] = self.merge(nodes[row], joining)
        self._run_column(nodes, 1, downwards=True)
        self._run_column(nodes, 2, downwards=False)
        self._run_column(nodes, 3, downwards=False)
        return nodes[0]

    @staticmethod
    def merge(node: Any, branch: Any) -> Any:
        """Join the vertical branch, which may be one row and column too large, to a node."""
        return node + crop_like(branch, node)

    def _run_column(self, nodes, column, downwards):
        """Replace `nodes`, the previous column, by this one, row after row."""
        rows = range(len(nodes))
        towards = 1 if downwards else -1
        for row in rows[::towards]:
            nodes[row] = self._step(row, column - 1, row, column, nodes[row])
            before = row - towards
            if before in rows:
                branch = self._step(before, column, row, column, nodes[before])
                nodes[row] = self.merge(nodes[row], branch)

    def _add(self, row, column, to_row, to_column, block):
        self.add_module(f"{row}x{column} - {to_row}x{to_column}", block)

    def _step(self, row, column, to_row, to_column, node):
        return self._modules[f"{row}x{column} - {to_row}x{to_column}"](node)


class Statistics(NamedTuple):
    """Mean and standard deviation of each sample of a batch, all of shape (B, 1, 1, 1)."""

    image_mean: torch.Tensor
    image_std: torch.Tensor
    disparity_mean: torch.Tensor
    disparity_std: torch.Tensor


def measure_statistics(
    image: torch.Tensor, disparity: torch.Tensor, mask: torch.Tensor | None = None
) -> Statistics:
    """Measure what the networks normalise by.

    Measure once on the whole photo and hand the result to each tile, and tiles agree.

    Args:
        image: (B, C, H, W); its channels are taken together.
        disparity: (B, 1, h, w), at a size of its own.
        mask: (B, 1, H, W) of 0/1, or None. With a mask only known pixels count (the reference
            counts the zeros of holes too); disparity must then have the size of the image.
    Returns:
        Statistics, with the unbiased standard deviation of the reference.
    """
    return Statistics(*_mean_and_std(image, mask), *_mean_and_std(disparity, mask))


def _mean_and_std(values, mask):
    dims = (1, 2, 3)
    if mask is None:
        correction = min(1, values[0].numel() - 1)  # one pixel alone has no unbiased spread
        std = values.std(dims, keepdim=True, correction=correction)
        return values.mean(dims, keepdim=True), std + EPSILON
    known = mask.expand_as(values)
    count = known.sum(dims, keepdim=True)
    mean = (values * known).sum(dims, keepdim=True) / count.clamp(min=1)
    squares = ((values - mean).square() * known).sum(dims, keepdim=True)
    return mean, (squares / (count - 1).clamp(min=1)).sqrt() + EPSILON


def normalise(
    image: torch.Tensor, disparity: torch.Tensor, statistics: Statistics | None = None
) -> tuple[torch.Tensor, torch.Tensor, Statistics]:
    """Bring image and disparity to mean 0 and standard deviation 1 per sample.

    Args:
        image: (B, C, H, W).
        disparity: (B, 1, h, w).
        statistics: Statistics to use, or None to measure them on these very tensors.
    Returns:
        normalised image, normalised disparity, Statistics. The arguments are left as they are.
    """
    statistics = statistics or measure_statistics(image, disparity)
    return (
        (image - statistics.image_mean) / statistics.image_std,
        (disparity - statistics.disparity_mean) / statistics.disparity_std,
        statistics,
    )


def resize_like(branch: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Resize (B, C, h, w) bilinearly to the size of `target`; equal sizes stay untouched."""
    size = target.shape[-2:]
    if branch.shape[-2:] == size:
        return branch
    return functional.interpolate(branch, size=size, mode="bilinear", align_corners=False)
