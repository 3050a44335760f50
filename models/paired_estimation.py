"""The depth that ships: one network lays the scene out, another draws it in detail.

Each knows something the other does not. The compact network was trained on rooms, table tops and
drawn scenes alone and orders large surfaces well; the efficient one has seen streets, people,
animals and close-ups, at a higher resolution, and its edges stand where things end. So edges and
everything small are the second one's, and the broad layout is a mean of both.
"""

from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import nn
from torch.nn import functional

from models.compact_estimation import CompactDisparity
from models.efficient_estimation import EfficientDisparity
from models.roles import Estimator

PARTS = ("layout", "detail")
LAYOUT_SHARE = 0.5  # of the layout network in what is broad; chosen on held-out sets (the card)
BROAD = 1 / 24  # of the long side: the deviation of the Gaussian that tells broad from small
LEAST = 1e-3  # of the mean, below which disparity never falls


class PairedDisparity(Estimator, nn.Module):
    """Relative disparity of one photo, from the layout of two networks and the detail of one."""

    label = "a pair of disparity networks"
    pattern = r"^layout\.encoder\."

    def __init__(
        self, layout: CompactDisparity | None = None, detail: EfficientDisparity | None = None
    ) -> None:
        """Join two networks, by default of random weights; theirs are `layout.*`, `detail.*`."""
        super().__init__()
        self.layout = layout or CompactDisparity()
        self.detail = detail or EfficientDisparity()

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> Self:
        """Take the parts' sizes off their own keys."""
        layout, detail = (part_of(shapes, part) for part in PARTS)
        return cls(CompactDisparity.from_shapes(layout), EfficientDisparity.from_shapes(detail))

    @property
    def encoder(self) -> nn.Module:
        """The encoder that perceptual terms of training are measured by."""
        return self.layout.encoder

    @staticmethod
    def working_size(size: Sequence[int]) -> tuple[int, int]:
        """Return (height, width) at which detail is drawn; the layout sees a smaller copy."""
        return EfficientDisparity.working_size(size)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """As `predict`."""
        return self.predict(image)

    def predict(self, image: torch.Tensor) -> torch.Tensor:
        """Estimate disparity (B, 1, h, w) of photos (B, 3, H, W) at the working size.

        Both estimates are brought to one scale by median and mean deviation. Nothing is negative.
        """
        size = self.layout.working_size(image.shape[2:])
        small = functional.interpolate(image, size, mode="bilinear", antialias=True)
        detail = self.detail.predict(image)
        layout = functional.interpolate(
            self.layout.predict(small), detail.shape[2:], mode="bilinear", align_corners=False
        )
        middle, spread = _middle_and_spread(detail)
        other_middle, other_spread = _middle_and_spread(layout)
        apart = (layout - other_middle) / other_spread * spread + middle - detail
        merged = detail + LAYOUT_SHARE * _blur(apart, BROAD * max(detail.shape[2:]))
        return torch.maximum(merged, LEAST * detail.mean(dim=(1, 2, 3), keepdim=True))


def part_of(state: Mapping, part: str) -> dict:
    """What of a state dict, or of its shapes, belongs to one of the two networks, by its own keys.

    Args:
        state: {key: anything}, of a pair.
        part: "layout" or "detail".
    Returns:
        {key without the part: the same}; empty if `state` is not of a pair.
    """
    return {key[len(part) + 1 :]: state[key] for key in state if key.startswith(f"{part}.")}


def _blur(plane, deviation):
    """Gaussian of a (B, 1, h, w), its border repeated; kornia's costs a film its import."""
    reach = round(3 * deviation)
    places = torch.arange(-reach, reach + 1, dtype=plane.dtype, device=plane.device)
    kernel = (-0.5 * (places / deviation).square()).exp()
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    for _ in range(2):  # along rows, then along columns
        plane = functional.pad(plane, (reach, reach, 0, 0), mode="replicate")
        plane = functional.conv2d(plane, kernel).transpose(2, 3)
    return plane


def _middle_and_spread(disparity):
    """Median of each (B, 1, h, w), and mean deviation from it, both (B, 1, 1, 1)."""
    middle = disparity.flatten(1).median(dim=1).values.view(-1, 1, 1, 1)
    return middle, (disparity - middle).abs().mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
