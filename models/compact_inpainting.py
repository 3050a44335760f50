"""Inpainting for every machine: a small U-Net that corrects what a rule filled in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import nn
from torch.nn import functional

from models.blocks import Down, Residual, Up, conv3, crop_like, measure_statistics, unet_widths
from models.roles import Inpainter, Inpainting

GUESSES = 3  # fillings by rule that it is shown, see utils.scene.filling.far_guesses
LAST_GUESS_FIRST = 2.0  # what the last guess counts before training, as the others' 0: 79 %
FOLD = 2  # it works at half the resolution, with blocks of 2x2 pixels as channels


class CompactInpaint(Inpainter, nn.Module):
    """Fill the holes of a view, given several fillings by rule, in colour and disparity.

    For each pixel it decides how to mix the guesses, and what to add to the mixture. It starts with
    little but the last guess, the best in figures, so it never has to learn what a rule knows.

    forward(guesses, mask) -> models.roles.Inpainting
        guesses: (B, GUESSES, 4, H, W) RGB in [0, 1] and disparity px, all alike where known.
        mask: (B, 1, H, W), 1 = known, 0 = was a hole; what is known stays as it is.

    Args:
        widths: channels at 1/2, 1/4, 1/8, ... of the resolution.
    """

    label = "a compact inpainting network"
    pattern = r"^(entry|downs|ups|exit)\."
    keeps_known = True
    learning_rate = 1e-3
    # It differs from its rules in little, and style alone would make it paint what looks busy; its
    # disparity is to be right rather than of the right slope.
    loss_weights = {"style": 15, "ord": 0.02, "grad": 2}

    def __init__(self, widths: Sequence[int] = (32, 48, 80, 128)) -> None:
        """Make the network with random weights."""
        super().__init__()
        self.widths = tuple(widths)
        entering = FOLD**2 * (4 * GUESSES + 1)
        self.entry = Residual(entering, widths[0], widths[0], activate_first=False)
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.downs = nn.ModuleList(Down(finer, coarser, coarser) for finer, coarser in pairs)
        self.bottom = Residual(widths[-1], widths[-1], widths[-1])
        self.ups = nn.ModuleList(Up(coarser, finer, finer) for finer, coarser in pairs)
        last = conv3(widths[0], FOLD**2 * (GUESSES + 4))
        self.exit = nn.Sequential(nn.PReLU(widths[0]), last)
        nn.init.zeros_(last.weight)
        assert last.bias is not None
        nn.init.zeros_(last.bias)
        with torch.no_grad():
            last.bias[FOLD**2 * (GUESSES - 1) : FOLD**2 * GUESSES] = LAST_GUESS_FIRST

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> Self:
        """Take the widths off the entry and the way down."""
        return cls(unet_widths(shapes, "entry", 32))

    def arguments(
        self,
        view: torch.Tensor,
        mask: torch.Tensor,
        statistics: Any,
        guess: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> tuple[torch.Tensor, ...]:
        """The holes as the rules fill them, and the mask."""
        return guess(view, mask), mask

    def forward(self, guesses: torch.Tensor, mask: torch.Tensor) -> Inpainting:
        """Return the filled image, the filled disparity and the mask that was given."""
        statistics = measure_statistics(guesses[:, 0, :3], guesses[:, 0, 3:], mask)
        mean, std = (
            torch.cat([image.expand(-1, 3, 1, 1), disparity], dim=1)
            for image, disparity in (
                (statistics.image_mean, statistics.disparity_mean),
                (statistics.image_std, statistics.disparity_std),
            )
        )
        normal = (guesses - mean[:, None]) / std[:, None]
        decided = self.decide(torch.cat([normal.flatten(1, 2), mask], dim=1)).float()
        share = decided[:, :GUESSES].softmax(dim=1)[:, :, None]
        filled = (share * guesses).sum(dim=1) + decided[:, GUESSES:] * std
        filled = torch.where(mask > 0, guesses[:, 0], filled)
        image = filled[:, :3] if self.training else filled[:, :3].clamp(0, 1)
        return Inpainting(image, filled[:, 3:].clamp(min=0), mask)

    def decide(self, shown: torch.Tensor) -> torch.Tensor:
        """Run the U-Net.

        Args:
            shown: (B, 4 * GUESSES + 1, H, W) normalised guesses and the mask.
        Returns:
            (B, GUESSES + 4, H, W): what each guess counts, before softmax, and what to add.
        """
        height, width = shown.shape[-2:]
        shown = functional.pad(shown, (0, width % FOLD, 0, height % FOLD), mode="replicate")
        rows = [self.entry(functional.pixel_unshuffle(shown, FOLD))]
        for down in self.downs:
            rows.append(down(rows[-1]))
        features = self.bottom(rows.pop())
        for up in reversed(self.ups):
            row = rows.pop()
            features = row + crop_like(up(features), row)
        return functional.pixel_shuffle(self.exit(features), FOLD)[..., :height, :width]
