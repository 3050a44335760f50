"""Refinement for every machine: each pixel of the photo chooses among the estimates around it."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import nn
from torch.nn import functional

from models.blocks import Down, Residual, Up, conv3, crop_like, normalise, unet_widths
from models.roles import REFINEMENT_SIDE, Refiner, scaled_size

FOLD = 2  # it works at half the resolution at most, with blocks of 2x2 pixels as channels
COARSE = 4  # a pixel of the estimate covers this many pixels of the photo
RINGS = (1, 3, 6)  # how far around a pixel its candidates lie, in pixels of the estimate
BAND = 8  # rows of the estimate whose pixels a CPU weighs at once: they fit in its cache
STAY = 3.2  # what the estimate right here counts before training, as the others' 0: half of all


class CompactRefine(Refiner, nn.Module):
    """Bring coarse disparity to the resolution, and the edges, of the photograph.

    An estimate knows how far things are, and only roughly where they end. So this network invents
    no disparity: for each pixel of the photo it weighs the estimate there and at eight places on
    each of three rings around, and takes their mean. A pixel on the ramp between two surfaces
    chooses one of them; texture cannot turn into relief, where all candidates are alike. (The
    convex combination is that of RAFT's upsampling, Teed and Deng, ECCV 2020, over a wider window.)
    Their weighted median has sharper edges in figures, and ragged ones in a film.

    forward(image, disparity, statistics=None, details=False) -> disparity
        image: (B, 3, H, W) RGB in [0, 1], any size.
        disparity: (B, 1, h, w); brought to ceil(H/4) x ceil(W/4) bilinearly if it is not.
        statistics: see models.disparity_refinement.Refine.
        details: for training, return too what each candidate counts (before softmax) and what it
            would give, both (B, candidates, H, W).
        refined disparity: (B, 1, H, W), within the range of the input.

    Args:
        widths: channels at 1/2, 1/4, 1/8, ... of the resolution.
    """

    label = "a compact refinement network"
    pattern = r"^(photo|estimate|choice)\."
    weighs_candidates = True
    learning_rate = 1e-3
    loss_weights = {"choice": 1.0, "ord": 1 / 6, "grad": 0.0}

    def __init__(self, widths: Sequence[int] = (24, 40, 64, 64)) -> None:
        """Make the network with random weights."""
        super().__init__()
        half, quarter, *_ = self.widths = tuple(widths)
        candidates = 1 + 8 * len(RINGS)
        self.photo = Residual(3 * FOLD**2, half, half, activate_first=False)
        self.estimate = Residual(candidates, quarter, quarter, activate_first=False)
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.downs = nn.ModuleList(Down(finer, coarser, coarser) for finer, coarser in pairs)
        self.bottom = Residual(widths[-1], widths[-1], widths[-1])
        self.ups = nn.ModuleList(Up(coarser, finer, finer) for finer, coarser in pairs)
        self.rows = nn.ModuleList(Residual(width, width, width) for width in widths[:-1])
        last = conv3(half, FOLD**2 * candidates)
        self.choice = nn.Sequential(nn.PReLU(half), last)
        assert last.bias is not None
        nn.init.zeros_(last.bias)
        with torch.no_grad():
            last.bias[: FOLD**2] = STAY

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Sequence[int]]) -> Self:
        """Take the widths off the entry of the photo and the way down."""
        return cls(unet_widths(shapes, "photo", 24))

    @staticmethod
    def working_size(size: Sequence[int], estimate_size: Sequence[int]) -> tuple[int, int]:
        """Its candidates lie at distances that only fit at COARSE times the estimate."""
        side = min(REFINEMENT_SIDE, max(size), COARSE * max(estimate_size))
        return scaled_size(size, side, multiple=4)

    def forward(
        self,
        image: torch.Tensor,
        disparity: torch.Tensor,
        statistics: Any = None,
        details: bool = False,
    ) -> Any:
        """Return disparity at the size of the image, and more if details are asked for."""
        height, width = image.shape[-2:]
        image, disparity, statistics = normalise(image, disparity, statistics)
        step = 2 ** len(self.widths)
        image = functional.pad(image, (0, -width % step, 0, -height % step), mode="replicate")
        candidates = self.candidates(disparity, (height, width), image.shape[-2:])
        blocks, rows = self.choose(image, candidates), candidates.shape[2]
        band = rows if details or blocks.device.type != "cpu" else BAND
        parts = [
            self.weigh(blocks, candidates, statistics, (height, width), (top, top + band))
            for top in range(0, rows, band)
        ]
        if details:
            return parts[0]
        return torch.cat([refined for refined, *_ in parts], dim=2)

    @staticmethod
    def weigh(
        blocks: torch.Tensor,
        candidates: torch.Tensor,
        statistics: Any,
        size: Sequence[int],
        rows: Sequence[int],
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Mix candidates, in some rows of the photo.

        Args:
            blocks: as returned by `choose`.
            candidates: as returned by `candidates`.
            statistics: models.blocks.Statistics.
            size: (height, width) of the photo.
            rows: (top, bottom), of the estimate: from one to before the other.
        Returns:
            disparity (B, 1, R, W); what each candidate counts, before softmax, and what it gives,
            both (B, candidates, R, W).
        """
        (height, width), (top, bottom) = size, rows
        share, wanted = COARSE // FOLD, max(0, min(height, COARSE * bottom) - COARSE * top)
        counts = functional.pixel_shuffle(blocks[:, :, share * top : share * bottom], FOLD)
        counts = counts[:, :, :wanted, :width].float()
        first = max(0, top - 1)  # interpolation looks at a row more on each side
        near = candidates[:, :, first : bottom + 1]
        places = functional.interpolate(
            near, [COARSE * side for side in near.shape[2:]], mode="bilinear"
        )
        places = places[:, :, COARSE * (top - first) :][:, :, :wanted, :width]
        places = places * statistics.disparity_std + statistics.disparity_mean
        return (counts.softmax(dim=1) * places).sum(dim=1, keepdim=True), counts, places

    def candidates(
        self, disparity: torch.Tensor, size: Sequence[int], padded: Sequence[int]
    ) -> torch.Tensor:
        """What each pixel may choose from: (B, 1 + 8 * len(RINGS), rows, columns).

        Args:
            disparity: (B, 1, h, w), normalised.
            size, padded: (height, width) of the photo, and once it was padded.
        """
        rows, columns = (-(-side // COARSE) for side in size)
        disparity = functional.interpolate(disparity, (rows, columns), mode="bilinear")
        rows, columns = (side // COARSE for side in padded)
        reach = max(RINGS)
        low, right = rows - disparity.shape[-2] + reach, columns - disparity.shape[-1] + reach
        around = functional.pad(disparity, (reach, right, reach, low), mode="replicate")
        return torch.cat(
            [
                around[..., reach + y : reach + y + rows, reach + x : reach + x + columns]
                for y, x in offsets()
            ],
            dim=1,
        )

    def choose(self, image: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        """What each candidate counts for each pixel, before softmax.

        Returns:
            (B, candidates * FOLD**2, H / FOLD, W / FOLD), blocks of pixels as channels.
        """
        rows = [self.photo(functional.pixel_unshuffle(image, FOLD))]
        known = torch.cat([candidates[:, :1], candidates[:, 1:] - candidates[:, :1]], dim=1)
        for index, down in enumerate(self.downs):
            rows.append(down(rows[-1]))
            if index == 0:
                rows[-1] = rows[-1] + self.estimate(known)
        features = self.bottom(rows.pop())
        for up, residual in zip(reversed(self.ups), reversed(self.rows), strict=True):
            row = rows.pop()
            features = residual(row + crop_like(up(features), row))
        return self.choice(features)


def offsets() -> list[tuple[int, int]]:
    """(y, x) of the candidates in pixels of the estimate: the place itself, then ring by ring."""
    around = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]
    return [(0, 0)] + [(ring * y, ring * x) for ring in RINGS for y, x in around]
