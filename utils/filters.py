"""Small spatial filters over (B, C, H, W) tensors, for the way to a film; training has kornia's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

if TYPE_CHECKING:
    import torch


def binary_median(mask: torch.Tensor, size: int) -> torch.Tensor:
    """Median of masks of 0 and 1 over size x size pixels (odd): a box sum and a majority vote."""
    radius = size // 2
    mode = "reflect" if radius < min(mask.shape[-2:]) else "replicate"
    padded = F.pad(mask, (radius, radius, radius, radius), mode=mode)
    return (F.avg_pool2d(padded, size, stride=1) > 0.5).to(mask.dtype)
