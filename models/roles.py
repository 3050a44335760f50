"""What a network says of itself, so that nobody else has to ask which network it is.

A network is an nn.Module and one of Estimator, Refiner, Inpainter or plain Network; it overrides
what differs from the defaults here. models/registry.py lists all of them, a line each.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import nn

# The size at which networks look at the photo, px of its long side: what they were trained at.
ESTIMATION_SIDE = 512
REFINEMENT_SIDE = 1024
MIN_SIDE = 32  # px of the short side, or a wide panorama would lose its last rows
UNIT_RANGE = (0.0, 1.0)


def scaled_size(size: Sequence[int], long_side: float, multiple: int = 1) -> tuple[int, int]:
    """Return (height, width) of the copy of a photo whose long side is `long_side`."""
    scale = long_side / max(size)
    height, width = (max(MIN_SIDE, round(side * scale / multiple) * multiple) for side in size)
    return height, width


class Convention(NamedTuple):
    """What images a file's weights were trained on."""

    channel_order: str = "RGB"  # or "BGR"
    value_range: tuple = UNIT_RANGE
    semantics_order: str = "rgb"  # how VGG-19 took the images, once they are RGB


class Network:
    """What every network says; `label` and `pattern` have no default.

    Attributes:
        label: its name in messages, with an article.
        pattern: a regular expression that some key of its state dict matches, and none of networks
            that are listed before it.
        published_widths: `widths` of weights that were published for BGR, or None.
        colour_axes: where colours enter and leave, as far as it has that: (key, axis) of each.
        foreign: what a checkpoint of another training wants that does not say so itself.
        learning_rate: the default while it is trained.
        loss_weights: {name: weight} where it wants others than the table of its training mode has.
    """

    label: str
    widths: tuple[int, ...]
    __call__: Callable[..., Any]  # of nn.Module
    parameters: Callable[..., Any]  # likewise
    published_widths: tuple[int, ...] | None = None
    colour_axes: tuple[tuple[str, int], ...] = ()
    foreign = Convention()
    learning_rate = 1e-4
    loss_weights: dict[str, float] = {}

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> Self:
        """Return the network whose state dict has these {key: shape}.

        A key may be missing or misshaped; what is wrong is reported by whoever loads the weights.
        """
        return cls()

    @classmethod
    def fresh(cls, size: str) -> Self:
        """Return a new network to be trained, with random weights.

        Args:
            size: one of the sizes of its line in models/registry.py.
        """
        return cls()

    def is_published(self) -> bool:
        """Whether it has the size of weights that were published, and trained on BGR."""
        return self.published_widths is not None and self.published_widths == self.widths

    def own_names(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return a state dict that others wrote under the names of this network."""
        return state

    def reverse_colours(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Turn weights for BGR into the same network for RGB: swap channels where colour passes.

        Raises:
            ValueError: the network does not say where that is.
        """
        if not self.colour_axes:
            raise ValueError(f"weights for BGR, and {self.label} takes RGB only")
        turned = dict(state)
        for key, axis in self.colour_axes:
            if key in state:
                order = torch.arange(state[key].shape[axis])
                order[:3] = torch.tensor([2, 1, 0])
                turned[key] = state[key].index_select(axis, order)
        return turned

    def expect(self, convention: Convention) -> None:
        """Take notice of what the weights were trained on, once they are for RGB.

        Raises:
            ValueError: the network cannot give them that.
        """
        if convention.value_range != UNIT_RANGE:
            low, high = convention.value_range
            raise ValueError(
                f"weights for images in [{low:g}, {high:g}], and {self.label} takes [0, 1] only"
            )


class Estimator(Network):
    """Gives relative disparity of a photo: forward(image) -> (B, 1, h, w), larger = nearer.

    Attributes:
        companion: role of a second network, never trained, whose result forward takes too, or None.
        depth_loss: what it learns from disparity of known scale: "ssi" or "reference".
    """

    companion: str | None = None
    depth_loss = "ssi"

    def joined(self, companion: Any) -> nn.Module:
        """Return this network and its companion as one that takes just a photo."""
        raise NotImplementedError

    def working_size(self, size: Sequence[int]) -> tuple[int, int]:
        """Return (height, width) at which it looks at a photo of `size`."""
        return scaled_size(size, ESTIMATION_SIDE)

    def predict(self, image: torch.Tensor) -> torch.Tensor:
        """Estimate disparity of photos that have the working size, or any other that suits it.

        Args:
            image: (B, 3, H, W) RGB in [0, 1].
        Returns:
            (B, 1, h, w) float32; may be negative.
        """
        return self(image).float()

    def predict_mirrored_too(self, image: torch.Tensor) -> torch.Tensor:
        """Mean of the estimates of a photo and of its mirror image: steadier, at twice the cost."""
        plain, mirrored = self(torch.cat([image, image.flip(3)])).float().chunk(2)
        # On an odd width the two grids of half the size are a pixel of the photo apart: no matter.
        return (plain + mirrored.flip(3)) / 2


class Refiner(Network):
    """Brings disparity to the photo's edges: forward(image, disparity) -> (B, 1, H, W).

    Attributes:
        weighs_candidates: whether it mixes candidates from the disparity it is given, and tells how
            with forward(..., details=True). Such a network learns its input with the true edges,
            any other learns the truth.
    """

    weighs_candidates = False

    def working_size(self, size: Sequence[int], estimate_size: Sequence[int]) -> tuple[int, int]:
        """Return (height, width), multiples of 4, at which it refines.

        Args:
            size: (height, width) of the photo.
            estimate_size: that of the disparity as estimated.
        """
        return scaled_size(size, min(REFINEMENT_SIDE, max(size)), multiple=4)

    def refine(self, image: torch.Tensor, disparity: torch.Tensor) -> torch.Tensor:
        """Refine at the working size.

        Args:
            image: (B, 3, H, W) RGB in [0, 1].
            disparity: (B, 1, H/4, W/4).
        Returns:
            (B, 1, H, W) float32; may be negative.
        """
        return self(image, disparity).float()


class Inpainting(NamedTuple):
    """A view whose holes are filled."""

    image: torch.Tensor  # (B, 3, H, W); clamped to [0, 1] in eval mode only
    disparity: torch.Tensor  # (B, 1, H, W), never negative
    mask: torch.Tensor  # (B, 1, H, W), 1 = known, 0 = was a hole and is to be taken from here


class Inpainter(Network):
    """Fills the holes of a view: forward(*arguments) -> Inpainting.

    What needs no weights fills them by `inpaint` alone (models/registry.py, RULES).

    Attributes:
        keeps_known: whether what is known comes out as it went in.
    """

    keeps_known = False

    def to_render(self, image: torch.Tensor, disparity: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """Say what has to be rendered from the moved camera.

        Args:
            image: (B, 3, H, W) RGB in [0, 1].
            disparity: (B, 1, H, W).
        Returns:
            (B, 4 + C, H, W) float32: image and disparity, and what else is to be rendered along;
            models.blocks.Statistics by which they were normalised, or None.
        """
        return torch.cat([image, disparity], dim=1), None

    def arguments(
        self,
        view: torch.Tensor,
        mask: torch.Tensor,
        statistics: Any,
        guess: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> tuple[Any, ...]:
        """Say what forward is called with, once the view is there.

        Args:
            view: (B, 4 + C, H, W), rendered features, zero in holes.
            mask: (B, 1, H, W), 1 = known, 0 = hole.
            statistics: as returned by `to_render`.
            guess: callable (view, mask) -> (B, 3, 4, H, W), the holes filled by rule in three ways,
                the best last; for networks that start from there.
        """
        return view[:, :3], view[:, 3:4], mask

    def inpaint(self, view: Any) -> Inpainting:
        """Fill the holes of a view of a scene, around what was seen besides the photo.

        Args:
            view: utils.scene.uncovered.HoledView.
        Returns:
            Inpainting of one view, on its device.
        """
        device = next(self.parameters()).device
        features, statistics = self.to_render(view.image.to(device), view.disparity.to(device))
        seen, known = (part.to(device) for part in view.render(features.to(view.device)))
        filled = self(*self.arguments(seen, known, statistics, view.guess))
        image, disparity, mask = (part.to(view.device) for part in filled)
        return Inpainting(image, disparity, view.with_seen(mask))
