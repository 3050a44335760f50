"""Yardsticks for how alike two images look: VGG-16, or the encoder of a network that ships."""

from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import nn
from torch.nn import functional

from models.grid_estimation import COARSEST, Encoder
from models.roles import Network

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of RGB in [0, 1], as all torchvision weights expect
IMAGENET_STD = (0.229, 0.224, 0.225)

# Per slice: torchvision's index of each convolution in `vgg16().features`, with its channels.
SLICES = (
    ((0, 3, 64), (2, 64, 64)),
    ((5, 64, 128), (7, 128, 128)),
    ((10, 128, 256), (12, 256, 256), (14, 256, 256)),
)


def normalise_imagenet(image: torch.Tensor) -> torch.Tensor:
    """Bring (B, 3, H, W) RGB in [0, 1] to the range that torchvision's VGG weights expect."""
    mean = torch.tensor(IMAGENET_MEAN, dtype=image.dtype, device=image.device)
    std = torch.tensor(IMAGENET_STD, dtype=image.dtype, device=image.device)
    return (image - mean[:, None, None]) / std[:, None, None]


def from_torchvision(network: nn.Module, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a state dict in torchvision's names under those of a VGG network of ours.

    Torchvision's files hold more layers than we use, and older ones lack the batch counters, which
    nothing reads. What is named as ours already stays as it is.
    """
    wanted = network.state_dict()
    if any(key.startswith("features.") for key in state):
        names = {key: "features." + ".".join(key.split(".")[-2:]) for key in wanted}
        state = {key: state[name] for key, name in names.items() if name in state}
    counters = {
        key: torch.zeros((), dtype=torch.long)
        for key in wanted
        if key.endswith("num_batches_tracked")
    }
    return counters | state


class VGG16Partial(Network, nn.Module):
    """VGG-16 up to its third pooling, frozen: gradients reach the image, never the weights.

    forward(image) -> three feature maps
        image: (B, 3, H, W) RGB in [0, 1], at least 8x8.
        features: (B, 64, H/2, W/2), (B, 128, H/4, W/4), (B, 256, H/8, W/8), sizes rounded down.

    Args:
        normalise: bring the image to the range of the pretrained weights first. Off by default as
            in the reference, whose weights here were random; `load_network` switches it on.

    Source: Simonyan and Zisserman, arXiv:1409.1556; weights by torchvision.
    """

    label = "VGG-16"
    pattern = r"^(slice1\.|features\.0\.weight)"

    def __init__(self, *, normalise: bool = False) -> None:
        """Make the network with random weights."""
        super().__init__()
        self.normalise = normalise
        self.slice1, self.slice2, self.slice3 = (_slice(layers) for layers in SLICES)
        self.requires_grad_(False)

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> Self:
        """Return the network for pretrained weights."""
        return cls(normalise=True)

    def own_names(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Take torchvision's names too."""
        return from_torchvision(self, state)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
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


class EncoderFeatures(nn.Module):
    """The first stages of an estimation network's encoder, frozen, where VGG-16 is not at hand.

    forward(image) -> three feature maps
        image: (B, 3, H, W) RGB in [0, 1].
        features: (B, C, H/2, W/2), (B, C, H/4, W/4), (B, C, H/8, W/8) with the channels of the
            encoder, sizes of an image padded to multiples of 32; each over the encoder's `spreads`,
            so that maps weigh about the same.

    Args:
        encoder: models.grid_estimation.Encoder; its weights are shared.
    """

    def __init__(self, encoder: Encoder) -> None:
        """Take the encoder and freeze it."""
        super().__init__()
        self.encoder = encoder
        self.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the three feature maps, finest first."""
        height, width = image.shape[-2:]
        padding = (0, -width % COARSEST, 0, -height % COARSEST)
        image = functional.pad(image, padding, mode="replicate")
        image = image.contiguous(memory_format=torch.channels_last)  # ten times faster on a CPU
        spreads = self.encoder.spreads
        maps = self.encoder(image, len(spreads))
        return [x / spread for x, spread in zip(maps, spreads, strict=True)]
