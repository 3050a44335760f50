"""The pinhole: from depth to points, and the focal length that is taken for a photo.

Convention: x right, y down, z forward. Pixel (0, 0) is centred at (0, 0), so a view of W x H pixels
has its principal point at ((W-1)/2, (H-1)/2) and spans -0.5 .. W-0.5.
"""

from __future__ import annotations

import torch

# The disparity that the nearest point of a scene gets: depth = focal_px * BASELINE / disparity.
BASELINE = 120.0


def default_focal_px(image_size: tuple[int, int]) -> float:
    """Return the focal length taken for a photo of (height, width): half its long side, px."""
    return max(image_size) / 2


def unproject(depth: torch.Tensor, focal_px: float | torch.Tensor) -> torch.Tensor:
    """Lift every pixel to its point in front of the camera.

    Args:
        depth: (B, 1, H, W), unit of the baseline.
        focal_px: focal length, px; a number or (B,).
    Returns:
        (B, 3, H*W) points x, y, z in row-major pixel order.
    """
    batch, _, height, width = depth.shape
    focal = torch.as_tensor(focal_px, dtype=depth.dtype, device=depth.device).view(-1, 1, 1, 1)
    u = torch.arange(width, dtype=depth.dtype, device=depth.device) - (width - 1) / 2
    v = torch.arange(height, dtype=depth.dtype, device=depth.device) - (height - 1) / 2
    x, y = u.view(1, 1, 1, -1) * depth / focal, v.view(1, 1, -1, 1) * depth / focal
    return torch.cat([x, y, depth], dim=1).view(batch, 3, height * width)
