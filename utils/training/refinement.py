"""How the refinement network is trained: from blurred, displaced or estimated disparity to true."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from kornia.filters import gaussian_blur2d
from torch import nn

from models.blocks import measure_statistics
from models.registry import ROLES, find_network
from utils.depth.sharpening import resize_disparity
from utils.training import losses, metrics
from utils.training.estimation import DepthTrainer, MeanFigures, shrink_known
from utils.training.terms import Loss, weigh

PEAK = 120.0  # disparity of the nearest pixel while training, as in a scene of kbe.py
# Added to disparity before slopes are compared relative to it: below one unit of a scene, nothing
# moves visibly, and the sky's relative slopes would drown everything else.
LIFT = 1.0
# A candidate that is this far off, in units of disparity, is worth 1/e of a true one. The estimate
# right here counts as much as all others together, where they are alike.
TOLERANCE = 2.0
STAY_SHARE = 0.5
# A pixel counts fully where its candidates differ by this much.
SPREAD = 10.0
# The input of a network that weighs candidates is degraded truth in this share of the samples, so
# that it also knows maps that err in other ways than the estimation network it is trained with.
DEGRADED_SHARE = 0.25
# Where an estimate is compared with the truth to carry its edges over, in its own pixels: a
# Gaussian window, and how much less what lies this near to an edge of the truth counts.
WINDOW_PX, WINDOW_SIGMA = 33, 8.0
EDGE_PX, EDGE_STEP = 7, 0.1
FLAT = 0.01  # what varies less than this share of the largest disparity is no edge to carry over
# Such a network learns on a window of this many px of a larger crop, of which its input was
# estimated as a whole: steps are cheap, and guesses are what the photo gives.
PART_PX = 224


def fill_unknown(disparity: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Continue known disparity smoothly into what is unknown.

    Args:
        disparity, weight: (B, 1, H, W); weight 0 = unknown.
    Returns:
        (B, 1, H, W), as given where weight > 0.
    """
    height, width = disparity.shape[-2:]
    if bool((weight > 0).all()) or max(height, width) == 1:
        return disparity
    coarse = shrink_known(disparity, weight, (-(-height // 2), -(-width // 2)), least=0.0)
    below = F.interpolate(
        fill_unknown(*coarse), (height, width), mode="bilinear", align_corners=False
    )
    return torch.where(weight > 0, disparity, below)


def degrade(disparity: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Make true disparity look like an estimate: soft, displaced edges and a slow error.

    Args:
        disparity: (B, 1, h, w) at a quarter of the photo's size, without gaps.
        uniform: (B, >= 14) numbers in [0, 1) that decide how; the same give the same.
    Returns:
        (B, 1, h, w).
    """
    batch, _, height, width = disparity.shape
    u = uniform[:, :, None, None]
    blurred = disparity
    for _ in range(2):
        blurred = gaussian_blur2d(blurred, (5, 5), (1.2, 1.2))
    soft = disparity + u[:, 0:1] * (blurred - disparity)
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height, device=u.device),
        torch.linspace(-1, 1, width, device=u.device),
        indexing="ij",
    )

    def wave(column, slowest, fastest):
        """Slow random ripples in [-1, 1], (B, h, w)."""
        a, b, c = (uniform[:, column + i, None, None] for i in range(3))
        speed = slowest + (fastest - slowest) * a
        angle = 2 * math.pi * b
        return torch.sin(speed * (torch.cos(angle) * x + torch.sin(angle) * y) + 6.28 * c)

    # Up to one pixel at this size: four in the photo, about what coarse networks err.
    moved = torch.stack([x + wave(1, 4, 20) * 2 / width, y + wave(4, 4, 20) * 2 / height], dim=-1)
    warped = F.grid_sample(soft, moved, padding_mode="border", align_corners=False)
    return warped * (1 + 0.05 * u[:, 13:14] * wave(7, 1, 6)[:, None])


@torch.no_grad()
@losses.in_float32
def with_true_edges(
    coarse: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """What an estimate would be if its edges were the true ones and all else were as it is.

    In a window around every pixel the truth is fitted to the estimate by a scale and an offset
    (least squares, as in guided filtering: He et al., ECCV 2010), leaving out what lies at true
    edges, where the estimate is blurred; that scale and offset then turn the truth at full
    resolution into the estimate. So a network that learns this learns edges alone, and is not asked
    to guess depth anew.

    Args:
        coarse: (B, 1, h, w) estimate.
        truth, weight: (B, 1, H, W); weight 0 = unknown. The unit is that of the estimate.
    Returns:
        (B, 1, H, W), to be used where weight > 0.
    """
    small, known = shrink_known(truth, weight, coarse.shape[-2:])
    filled = fill_unknown(small, known)
    peak = filled.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
    step = _largest(filled) + _largest(-filled)
    inside = (known > 0) * (1 / (1 + (step / (EDGE_STEP * peak)) ** 2) + 1e-3) + 1e-6

    window = min(WINDOW_PX, 2 * min(filled.shape[-2:]) - 1)
    taps, sigma = (window, window), (WINDOW_SIGMA, WINDOW_SIGMA)
    share = gaussian_blur2d(inside, taps, sigma)

    def mean(values):
        return gaussian_blur2d(values * inside, taps, sigma) / share

    mean_truth, mean_coarse = mean(filled), mean(coarse)
    variance = mean(filled**2) - mean_truth**2
    covariance = mean(filled * coarse) - mean_truth * mean_coarse
    scale = (covariance / (variance.clamp(min=0) + (FLAT * peak) ** 2)).clamp(min=0)
    scale, offset = (
        F.interpolate(x, truth.shape[-2:], mode="bilinear", align_corners=False)
        for x in (scale, mean_coarse - scale * mean_truth)
    )
    return scale * truth + offset


def _largest(values):
    return F.max_pool2d(values, EDGE_PX, stride=1, padding=EDGE_PX // 2)


@losses.in_float32
def choice_loss(
    counts: torch.Tensor, places: torch.Tensor, target: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Cross entropy between what candidates count and how near they are to the target.

    A loss of the result alone soon has no gradient left: nearly everywhere it is best to stay, and
    a network that stays with certainty never learns where it is not. Less what cannot be avoided,
    so that 0 is perfect; pixels count by how much their candidates differ.

    Args:
        counts: (B, K, H, W), before softmax.
        places: (B, K, H, W) disparity of the candidates, the first the one right here.
        target, mask: (B, 1, H, W).
    """
    with torch.no_grad():
        prior = math.log(STAY_SHARE / (1 - STAY_SHARE) * (places.shape[1] - 1))
        nearness = -(places - target).abs() / TOLERANCE
        nearness[:, 0] += prior
        wanted = nearness.log_softmax(dim=1)
        spread = places.amax(dim=1, keepdim=True) - places.amin(dim=1, keepdim=True)
        weight = mask * (spread / SPREAD).clamp(max=1)
    error = (wanted.exp() * (wanted - counts.log_softmax(dim=1))).sum(dim=1, keepdim=True)
    return (error * weight).sum() / weight.sum().clamp(min=1)


def cut_parts(maps: Sequence[torch.Tensor], place: Sequence[float]) -> Sequence[torch.Tensor]:
    """Cut the same window, of PART_PX at most, out of maps of different resolution.

    Args:
        maps: list of (B, C, H, W), or a quarter of that size; the first is of full size.
        place: (y, x) in [0, 1) of the window within what is left over.
    Returns:
        list of tensors. Where H or W is no multiple of 4 nothing is cut off on that axis.
    """
    for axis, share in ((-2, place[0]), (-1, place[1])):
        whole = maps[0].shape[axis]
        if whole % 4 or whole <= PART_PX:
            continue
        first = int(share * (whole - PART_PX)) // 4
        grown = [map_.shape[axis] * 4 // whole for map_ in maps]  # 4 at full size, else 1
        maps = [
            map_.narrow(axis, first * g, PART_PX // 4 * g)
            for map_, g in zip(maps, grown, strict=True)
        ]
    return maps


class RefinementStep(NamedTuple):
    """What the losses of a step see."""

    fine: torch.Tensor  # (B, 1, h, w), as refined, in units of a scene
    target: torch.Tensor  # (B, 1, h, w)
    mask: torch.Tensor  # (B, 1, h, w), 0 = unknown
    counts: torch.Tensor | None  # (B, K, h, w), where the network weighs candidates: what each
    places: torch.Tensor | None  # counts, before softmax, and the disparity that it would give


def pointwise(step: RefinementStep) -> torch.Tensor:
    """Mean absolute error."""
    return losses.ord_loss(step.fine, step.target, step.mask)


def slopes(step: RefinementStep) -> torch.Tensor:
    """Error of slopes, relative to the disparity."""
    return losses.gradient_loss(step.fine + LIFT, step.target + LIFT, step.mask)


def choice(step: RefinementStep) -> torch.Tensor:
    """Which candidates are near the target; ValueError for a network that weighs none."""
    if step.counts is None:
        raise ValueError(
            "--weight choice is for networks that weigh candidates.\n"
            "  Leave it out, or choose --network compact."
        )
    return choice_loss(step.counts, step.places, step.target, step.mask)


LOSSES = (
    Loss(choice, {"choice": 0.0}),
    Loss(pointwise, {"ord": 1e-4}),
    Loss(slopes, {"grad": 1.0}),
)


class RefinementTrainer(DepthTrainer):
    """Trains the network that brings coarse disparity to the photo's edges.

    See docs/method/training.md, Training.

    The input is the truth, degraded, or with `--model-path` what a frozen estimation network makes
    of the photo, brought to the truth's scale and shift. A network that weighs candidates learns
    its input with the truth's edges (`with_true_edges`), any other the truth.
    """

    role = "refinement"
    kind = str(ROLES[role].kind)
    rate_flag = "lr_refinement"
    tag = "Refine"
    tables = (LOSSES,)

    def build(self) -> dict[str, tuple[nn.Module, Any]]:
        """The network that --network names, beside an estimation network if one is given."""
        settings, self.estimator = self.settings, None
        if settings.model_path:
            from utils.weights.loading import load_estimator

            self.estimator = load_estimator(settings.model_path, self.device)
            self.estimator.requires_grad_(False)
        network = find_network(self.role, settings.network).fresh(settings.network)
        return {self.kind: (network, settings.lr_refinement)}

    def coarse(
        self, batch: dict[str, Any], degraded_share: float = 0.0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Truth with the nearest pixel at PEAK, and the input at a quarter of its size.

        With an estimation network, this share of the samples has degraded truth all the same.
        """
        truth, mask = batch["disparity"], batch["mask"] * batch["confidence"]
        peak = (truth * (mask > 0)).amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
        truth = truth * PEAK / peak
        size = [-(-n // 4) for n in truth.shape[-2:]]
        small, known = shrink_known(truth, mask, size)
        degraded = degrade(fill_unknown(small, known), batch["uniform"])
        if self.estimator is None:
            return truth, degraded
        half = F.interpolate(batch["image"], scale_factor=0.5, mode="area")
        with torch.no_grad():
            guess = resize_disparity(self.estimator.predict(half), size)
        guess = losses.align_upright(guess, small, known).clamp(min=0)
        by_hand = batch["uniform"][:, -1].view(-1, 1, 1, 1) < degraded_share
        return truth, torch.where(by_hand, degraded, guess)

    def losses(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Weighted terms of LOSSES."""
        weighs_candidates = self.parts[self.kind].network.weighs_candidates
        step = self.choosing_step(batch) if weighs_candidates else self.plain_step(batch)
        return weigh(self.tables[0], self.settings.weights, step)

    def plain_step(self, batch: dict[str, Any]) -> RefinementStep:
        """Refine the input; the target is the truth."""
        truth, coarse = self.coarse(batch)
        fine = self.parts[self.kind].wrapped(batch["image"], coarse).clamp(min=0)
        return RefinementStep(fine, truth, batch["mask"] * batch["confidence"], None, None)

    def choosing_step(self, batch: dict[str, Any]) -> RefinementStep:
        """Refine a part of the input; the target is that with the true edges."""
        image, mask = batch["image"], batch["mask"] * batch["confidence"]
        truth, coarse = self.coarse(batch, DEGRADED_SHARE)
        target = with_true_edges(coarse, truth, mask)
        statistics = measure_statistics(image, coarse)
        place = batch["uniform"][0, -3:-1].tolist()
        image, mask, target, coarse = cut_parts([image, mask, target, coarse], place)
        fine, counts, places = self.parts[self.kind].wrapped(
            image, coarse, statistics, details=True
        )
        return RefinementStep(fine, target, mask, counts, places)

    def figures(self, prediction: torch.Tensor, batch: dict[str, Any]) -> list[dict[str, float]]:
        """Depth figures of each sample and the boundary error of the full-size map."""
        rows = []
        for guess, real, known in zip(prediction, batch["disparity"], batch["mask"], strict=True):
            figures = metrics.depth_metrics(guess, real, known)
            row = {"abs_rel": figures["abs_rel"]}
            rows.append(row | metrics.boundary_error(guess, real, known))
        return rows

    def validate(self) -> dict[str, float]:
        """Figures of the refined map, and of its input merely enlarged."""
        ours, theirs = MeanFigures(), MeanFigures()
        for batch in self.data.validation(self.device):
            truth, coarse = self.coarse(batch)
            batch = batch | {"disparity": truth}
            fine = self.parts[self.kind].best(batch["image"], coarse).clamp(min=0)
            enlarged = F.interpolate(coarse, truth.shape[-2:], mode="bilinear", align_corners=False)
            ours.add(self.figures(fine, batch), batch)
            theirs.add(self.figures(enlarged, batch), batch, " of bilinear")
        return ours.means() | theirs.means()

    def examples(self, batch: dict[str, Any]) -> list[torch.Tensor]:
        """Photo, truth, input, refined."""
        with torch.no_grad():
            truth, coarse = self.coarse(batch)
            fine = self.parts[self.kind].best(batch["image"], coarse)
        return [batch["image"], truth, coarse, fine]
