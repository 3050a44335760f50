"""How the refinement network is trained: from blurred, displaced or estimated disparity to true."""

import math

import torch
import torch.nn.functional as F

from utils import losses, metrics
from utils.depth_training import DepthTrainer, MeanFigures, initialise, shrink_known
from utils.filters import gaussian_blur

PEAK = 120.0  # disparity of the nearest pixel while training, as in a scene of kbe.py
# Added to disparity before slopes are compared relative to it: below one unit of a scene, nothing
# moves visibly, and the sky's relative slopes would drown everything else.
LIFT = 1.0
LOG_WEIGHT = 2.0
WIDTHS = {"compact": (16, 32, 64), "paper": (24, 48, 96)}


def fill_unknown(disparity, weight):
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


def degrade(disparity, uniform):
    """Make true disparity look like an estimate: soft, displaced edges and a slow error.

    Args:
        disparity: (B, 1, h, w) at a quarter of the photo's size, without gaps.
        uniform: (B, >= 14) numbers in [0, 1) that decide how; the same give the same.
    Returns:
        (B, 1, h, w).
    """
    batch, _, height, width = disparity.shape
    u = uniform[:, :, None, None]
    blurred = gaussian_blur(gaussian_blur(disparity, 5, 1.2), 5, 1.2)
    soft = disparity + u[:, 0:1] * (blurred - disparity)
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, height, device=u.device),
        torch.linspace(-1, 1, width, device=u.device), indexing="ij",
    )

    def wave(column, slowest, fastest):
        """Slow random ripples in [-1, 1], (B, h, w)."""
        a, b, c = (uniform[:, column + i, None, None] for i in range(3))
        speed = slowest + (fastest - slowest) * a
        angle = 2 * math.pi * b
        return torch.sin(speed * (torch.cos(angle) * x + torch.sin(angle) * y) + 6.28 * c)

    # Up to one pixel at this size: four in the photo, about what coarse networks err.
    moved = torch.stack(
        [x + wave(1, 4, 20) * 2 / width, y + wave(4, 4, 20) * 2 / height], dim=-1
    )
    warped = F.grid_sample(soft, moved, padding_mode="border", align_corners=False)
    return warped * (1 + 0.05 * u[:, 13:14] * wave(7, 1, 6)[:, None])


class RefinementTrainer(DepthTrainer):
    """Trains the network that brings coarse disparity to the photo's edges (SPEC 9.4).

    The input is the truth, degraded, or with `--model-path` what a frozen estimation network makes
    of the photo, brought to the truth's scale and shift.
    """

    kind = "refine"
    tag = "Refine"

    def build(self):
        """RefinePretrained: the published architecture, with shortcuts."""
        from models.disparity_refinement import RefinePretrained

        self.estimator = None
        if self.settings.model_path:
            from utils.checkpoints import load_estimator

            self.estimator = load_estimator(self.settings.model_path, self.device)
            self.estimator.requires_grad_(False)
        network = initialise(RefinePretrained(WIDTHS[self.settings.network]), 1.4)
        return {self.kind: (network, self.settings.lr_refinement)}

    def coarse(self, batch):
        """Truth with the nearest pixel at PEAK, and the input at a quarter of its size."""
        truth, mask = batch["disparity"], batch["mask"] * batch["confidence"]
        peak = (truth * (mask > 0)).amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
        truth = truth * PEAK / peak
        size = [-(-n // 4) for n in truth.shape[-2:]]
        small, known = shrink_known(truth, mask, size)
        if self.estimator is None:
            return truth, degrade(fill_unknown(small, known), batch["uniform"])
        half = F.interpolate(batch["image"], scale_factor=0.5, mode="area")
        with torch.no_grad():
            guess = self.estimator(half)
        guess = F.interpolate(guess, size, mode="bilinear", align_corners=False)
        return truth, losses.align_upright(guess, small, known).clamp(min=0)

    def losses(self, batch):
        """`ord` (L1) and `grad`, as the reference; for the compact network also `log` (L1 of log).

        The reference's two terms hardly say how far the far is: a small network that starts from
        nothing then gives sharp edges between wrong depths.
        """
        truth, coarse = self.coarse(batch)
        fine = self.parts[self.kind].wrapped(batch["image"], coarse).clamp(min=0)
        mask = batch["mask"] * batch["confidence"]
        terms = {
            "ord": 1e-4 * losses.ord_loss(fine, truth, mask),
            "grad": losses.gradient_loss(fine + LIFT, truth + LIFT, mask),
        }
        if self.settings.network == "compact":
            logs = ((x.float() + LIFT).log() for x in (fine, truth))
            terms["log"] = LOG_WEIGHT * losses.ord_loss(*logs, mask)
        return terms

    def figures(self, prediction, batch):
        """Depth figures of each sample and the boundary error of the full-size map."""
        rows = []
        for guess, real, known in zip(prediction, batch["disparity"], batch["mask"], strict=True):
            figures = metrics.depth_metrics(guess, real, known)
            row = {"abs_rel": figures["abs_rel"]}
            rows.append(row | metrics.boundary_error(guess, real, known))
        return rows

    def validate(self):
        """Figures of the refined map, and of its input merely enlarged."""
        ours, theirs = MeanFigures(), MeanFigures()
        for batch in self.data.validation(self.device):
            truth, coarse = self.coarse(batch)
            batch = batch | {"disparity": truth}
            fine = self.parts[self.kind].best(batch["image"], coarse).clamp(min=0)
            enlarged = F.interpolate(
                coarse, truth.shape[-2:], mode="bilinear", align_corners=False
            )
            ours.add(self.figures(fine, batch), batch)
            theirs.add(self.figures(enlarged, batch), batch, " of bilinear")
        return ours.means() | theirs.means()

    def examples(self, batch):
        """Photo, truth, input, refined."""
        with torch.no_grad():
            truth, coarse = self.coarse(batch)
            fine = self.parts[self.kind].best(batch["image"], coarse)
        return [batch["image"], truth, coarse, fine]
