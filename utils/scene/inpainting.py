"""How a photo gets into an inpainting network by way of a moved view, whichever network it is."""

import torch

from models.compact_inpainting import CompactInpaint
from utils.scene.filling import far_guesses


def features_to_render(network, image, disparity):
    """What has to be rendered from the moved camera.

    Args:
        network: Inpaint, PartialInpaint or CompactInpaint.
        image: (B, 3, H, W) RGB in [0, 1].
        disparity: (B, 1, H, W).
    Returns:
        (B, 4 + C, H, W) float32: image and disparity, and what of the network's own is to be
        rendered along; Statistics by which they were normalised, or None.
    """
    if isinstance(network, CompactInpaint):
        return torch.cat([image, disparity], dim=1), None
    image, disparity, statistics = network.normalise(image, disparity)
    context = network.context(image, disparity)
    return torch.cat([image, disparity, context], dim=1).float(), statistics


def network_arguments(network, view, mask, statistics):
    """What the network is called with, once the view is there.

    Args:
        network: as above.
        view: (B, 4 + C, H, W), rendered features, zero in holes.
        mask: (B, 1, H, W), 1 = known, 0 = hole.
        statistics: as returned by `features_to_render`.
    """
    if isinstance(network, CompactInpaint):
        return far_guesses(view, mask), mask
    return view[:, :3], view[:, 3:4], mask, view[:, 4:], statistics
