"""The first ten convolutions of VGG-16, as a yardstick for how alike two images look."""

import torch
from torch import nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of RGB in [0, 1], as all torchvision weights expect
IMAGENET_STD = (0.229, 0.224, 0.225)

# Per slice: torchvision's index of each convolution in `vgg16().features`, with its channels.
SLICES = (
    ((0, 3, 64), (2, 64, 64)),
    ((5, 64, 128), (7, 128, 128)),
    ((10, 128, 256), (12, 256, 256), (14, 256, 256)),
)


def normalise_imagenet(image):
    """Bring (B, 3, H, W) RGB in [0, 1] to the range that torchvision's VGG weights expect."""
    mean = torch.tensor(IMAGENET_MEAN, dtype=image.dtype, device=image.device)
    std = torch.tensor(IMAGENET_STD, dtype=image.dtype, device=image.device)
    return (image - mean[:, None, None]) / std[:, None, None]


class VGG16Partial(nn.Module):
    """VGG-16 up to its third pooling, frozen: gradients reach the image, never the weights.

    forward(image) -> three feature maps
        image: (B, 3, H, W) RGB in [0, 1], at least 8x8.
        features: (B, 64, H/2, W/2), (B, 128, H/4, W/4), (B, 256, H/8, W/8), sizes rounded down.

    Args:
        normalise: bring the image to the range of the pretrained weights first. Off by default as
            in the reference, whose weights here were random; `load_network` switches it on.

    Source: Simonyan and Zisserman, arXiv:1409.1556; weights by torchvision.
    """

    def __init__(self, *, normalise=False):
        """Make the network with random weights."""
        super().__init__()
        self.normalise = normalise
        self.slice1, self.slice2, self.slice3 = (_slice(layers) for layers in SLICES)
        self.requires_grad_(False)

    def forward(self, image):
        """Return the three feature maps, finest first."""
        first = self.slice1(normalise_imagenet(image) if self.normalise else image)
        second = self.slice2(first)
        return first, second, self.slice3(second)


def _slice(layers):
    modules = nn.Sequential()
    for index, entering, leaving in layers:
        modules.add_module(str(index), nn.Conv2d(entering, leaving, kernel_size=3, padding=1))
        modules.add_module(str(index + 1), nn.ReLU(inplace=True))
    modules.add_module(str(layers[-1][0] + 2), nn.MaxPool2d(2))
    return modules
