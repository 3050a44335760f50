"""Small spatial filters over (B, C, H, W) tensors; sizes are odd, outputs as large as inputs."""

import torch
import torch.nn.functional as F

# The stencil's threshold with which the published inpainting weights were trained (SPEC 5.3).
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


def median(x, size):
    """Exact median over size x size pixels; borders are reflected without repeating the edge."""
    if size // 2 >= min(x.shape[-2:]):
        raise ValueError(f"a median of {size} pixels needs an image larger than "
                         f"{size // 2} pixels, got {x.shape[-1]}x{x.shape[-2]}.")
    radius = size // 2
    padded = F.pad(x, (radius, radius, radius, radius), mode="reflect")
    windows = padded.unfold(-2, size, 1).unfold(-2, size, 1)  # (B, C, H, W, size, size)
    return windows.flatten(-2).median(dim=-1).values


def binary_median(mask, size):
    """`median` for masks of 0 and 1: a box sum and a majority vote, without the sort."""
    radius = size // 2
    mode = "reflect" if radius < min(mask.shape[-2:]) else "replicate"
    padded = F.pad(mask, (radius, radius, radius, radius), mode=mode)
    return (F.avg_pool2d(padded, size, stride=1) > 0.5).to(mask.dtype)


def gaussian_blur(x, size, sigma):
    """Separable Gaussian of size x size taps, weights summing to one, borders reflected."""
    taps = torch.arange(size, dtype=x.dtype, device=x.device) - size // 2
    kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
    kernel = kernel / kernel.sum()
    radius, channels = size // 2, x.shape[1]
    padded = F.pad(x, (radius, radius, radius, radius), mode="reflect")
    rows = F.conv2d(padded, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return F.conv2d(rows, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)


def sobel_magnitude(x):
    """Length of the Sobel gradient (taps divided by 8), borders replicated.

    The root has 1e-6 under it, so that its derivative stays finite in flat regions.
    """
    channels = x.shape[1]
    smooth, slope = x.new_tensor([1.0, 2.0, 1.0]), x.new_tensor([-1.0, 0.0, 1.0])
    kernel = torch.outer(smooth, slope) / 8
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    across, down = (
        F.conv2d(padded, k.expand(channels, 1, 3, 3), groups=channels) for k in (kernel, kernel.T)
    )
    return torch.sqrt(across**2 + down**2 + 1e-6)
