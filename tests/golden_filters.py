"""The reference's test for depth edges, which its golden clouds and frames were made with."""

import torch.nn.functional as F

# The threshold with which the published inpainting weights were trained (docs/method/geometry.md).
VALID_THRESHOLD = 0.03


def laplacian(x):
    """Depth-edge response by an asymmetric four-neighbour stencil, border replicated.

    Rows of the stencil: (0, -1, -1), (-1, 4, 0), (-1, 0, 0). It is no true Laplacian; the published
    weights were trained with it, so it stays. Source: the method's public code, as specified.
    """
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    height, width = x.shape[-2:]

    def neighbour(dy, dx):
        return padded[..., 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]

    return 4 * x - neighbour(-1, 0) - neighbour(-1, 1) - neighbour(0, -1) - neighbour(1, -1)


def valid_mask(disparity, threshold=VALID_THRESHOLD):
    """Mark pixels that lie on a surface rather than on the ramp of a depth edge.

    Args:
        disparity: (B, 1, H, W), any unit, not negative; scaled by the maximum of each sample.
        threshold: largest filter response, as a fraction of that maximum.
    Returns:
        (B, 1, H, W) float32, 1 = usable, 0 = depth edge.
    """
    peak = disparity.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-7)
    return (laplacian(disparity / peak).abs() < threshold).float()
