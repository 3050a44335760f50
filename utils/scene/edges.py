"""Which pixels of a photo show one surface, and which mix two at a depth edge."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from kernels.jit import jit
from utils.depth.steps import EDGE_JUMP

# How far a lens or a scaled photo blurs an object over what lies behind it, as a share of the long
# side: 6 px at 1024. Left in, such pixels are a thin ghost of the object on its background, and
# what fills the hole between them continues their tint.
EDGE_REACH = 1 / 160
# From this share of the object's colour on, a pixel behind it counts as mixed; on a smooth
# background, where the eye sees a fainter trace, from the lower share on...
MIXED_SHARE, FAINT_SHARE = np.float32(0.25), np.float32(0.11)
# ...that stands out of the background's own variation by this many standard deviations...
STANDS_OUT = np.float32(2)
# ...if the two surfaces differ by more than this at all: squared, RGB in [0, 255].
MIN_CONTRAST = np.float32(20**2)
# The surroundings of a pixel are looked at in about this many steps to each side.
SAMPLES = 6


def surface_mask(
    disparity: torch.Tensor, image: torch.Tensor | None = None, jump: float = EDGE_JUMP
) -> torch.Tensor:
    """Mark the pixels that make a point: all but those mixed with an object in front of them.

    Just behind a depth edge that is every pixel. A little farther away, with an image, it is those
    that have something of the object's colour. Unlike in the reference's validity test the near
    side of an edge stays, so that thin objects survive.

    Args:
        disparity: (1, 1, H, W), positive.
        image: (1, 3, H, W) RGB in [0, 1], or None.
        jump: step between two surfaces, as a share of the largest disparity.
    Returns:
        (1, 1, H, W) bool.
    """
    limit = jump * float(disparity.amax())
    # Only the far side goes: a ramp lies behind the object, and dropping the near side too, as the
    # reference does, would eat thin things away (docs/method.md, Geometry).
    kept = _in_front(disparity, 1) - disparity < limit
    reach = round(max(disparity.shape[2:]) * EDGE_REACH)
    if image is None or reach < 2:
        return kept
    # Colours of a surface are measured only where no lens can have mixed them.
    clean = _in_front(disparity, reach) - disparity < limit
    pixels = (image[0].permute(1, 2, 0) * 255).round().byte().cpu().numpy()
    mixed = np.zeros(pixels.shape[:2], bool)
    candidates = (kept & ~clean)[0, 0].nonzero().int().cpu().numpy()
    _find_mixed(
        disparity[0, 0].cpu().numpy(),
        np.ascontiguousarray(pixels),
        clean[0, 0].cpu().numpy(),
        candidates,
        2 * reach,
        np.float32(limit),
        mixed,
    )
    return kept & ~torch.from_numpy(mixed).to(kept.device)


def _in_front(disparity, reach):
    """Disparity of the nearest pixel within `reach` px."""
    side = 2 * reach + 1  # along columns, then rows: a tenth of the work on a large photo
    across = F.max_pool2d(disparity, (1, side), stride=1, padding=(0, reach))
    return F.max_pool2d(across, (side, 1), stride=1, padding=(reach, 0))


@jit
def _find_mixed(disparity, pixels, clean, candidates, radius, limit, mixed):
    """Mark the candidates (K, 2) whose colour lies on the way from their surface to the object.

    Where no clean pixel of the surface is in sight, as between reeds, a pixel is believed.
    """
    height, width = disparity.shape
    stride = max(1, radius // SAMPLES)
    for index in range(candidates.shape[0]):
        y, x = candidates[index]
        near, far = np.zeros(3, np.float32), np.zeros(3, np.float32)
        near_count = far_count = 0
        for row in range(max(0, y - radius), min(height, y + radius + 1), stride):
            for column in range(max(0, x - radius), min(width, x + radius + 1), stride):
                step = disparity[row, column] - disparity[y, x]
                if step >= limit:
                    near_count += 1
                    for channel in range(3):
                        near[channel] += pixels[row, column, channel]
                elif clean[row, column] and abs(step) < limit:
                    far_count += 1
                    for channel in range(3):
                        far[channel] += pixels[row, column, channel]
        if near_count == 0 or far_count == 0:
            continue
        surface = far / far_count
        difference = near / near_count - surface
        # `along` over `between` is the object's share in the colour (docs/method.md, Geometry).
        between = _along(surface + difference, surface, difference)
        along = _along(pixels[y, x], surface, difference)
        if between <= MIN_CONTRAST or along <= FAINT_SHARE * between:
            continue
        # A strong trace is seen on any background; a faint one only where the background is calm.
        if along > MIXED_SHARE * between:
            mixed[y, x] = True
            continue
        variation = np.float32(0)
        for row in range(max(0, y - radius), min(height, y + radius + 1), stride):
            for column in range(max(0, x - radius), min(width, x + radius + 1), stride):
                step = disparity[row, column] - disparity[y, x]
                if clean[row, column] and abs(step) < limit:
                    variation += _along(pixels[row, column], surface, difference) ** 2
        mixed[y, x] = along * along > STANDS_OUT * STANDS_OUT * variation / far_count


@jit
def _along(color, surface, difference):
    """Scalar product of the way from the surface's colour with its difference to the object's."""
    total = np.float32(0)
    for channel in range(3):
        total += (color[channel] - surface[channel]) * difference[channel]
    return total
