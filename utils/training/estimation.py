"""How the network that guesses disparity is trained, and what the depth modes share."""

import dataclasses
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from models.paired_estimation import PARTS, part_of
from models.registry import ROLES, find_network
from utils.training import losses, metrics
from utils.training.terms import Loss, weigh
from utils.training.trainer import Trainer

log = logging.getLogger(__name__)

# How fast the reference's schedule hands over from order to gradients
# (docs/method/training.md, Training).
BETA = 0.015
MEAN_PX = 40.0  # about the mean disparity of a scene whose nearest point has BASELINE, 120 px
LEAST_SHARE = 0.05  # of the mean disparity, added before logarithms are taken


def start_from(network: nn.Module, path: str | Path) -> None:
    """Load weights to begin with: of the whole network, of its `encoder` alone, or from a pair.

    Raises:
        ValueError: they fit neither.
    """
    from utils.weights.loading import read_state_dict

    state = read_state_dict(path)
    wanted = network.state_dict().keys()
    state = next((part for name in PARTS if (part := part_of(state, name)).keys() == wanted), state)
    target, what = network, "all weights"
    encoder = getattr(network, "encoder", None)
    if encoder is not None and state.keys() == encoder.state_dict().keys():
        target, what = encoder, "the encoder"
    try:
        target.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f"--model-path: {path} does not fit {type(network).__name__}: {error}\n"
            "  Pass a checkpoint of this network, or choose another --network."
        ) from error
    log.info("start from %s: %s", path, what)


def shrink_known(
    disparity: torch.Tensor, weight: torch.Tensor, size: Sequence[int], least: float = 0.5
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean of the known pixels under each pixel of a smaller map.

    Args:
        disparity, weight: (B, 1, H, W); weight 0 = unknown.
        size: (height, width) of the smaller map.
        least: share of the pixels underneath that must be known.
    Returns:
        disparity and weight (mean weight, 0 where too little is known), (B, 1, *size).
    """
    height, width = size
    if tuple(disparity.shape[-2:]) == (height, width):
        return disparity, weight
    total = F.adaptive_avg_pool2d(disparity * weight, (height, width))
    share = F.adaptive_avg_pool2d(weight, (height, width))
    known = F.adaptive_avg_pool2d((weight > 0).float(), (height, width)) >= max(least, 1e-6)
    return total / share.clamp(min=1e-6) * known, share * known


def vertical_ramp(disparity: torch.Tensor) -> torch.Tensor:
    """The guess that every estimator must beat: farther towards the top, flat from side to side."""
    height = disparity.shape[-2]
    ramp = torch.linspace(0, 1, height, device=disparity.device).view(1, 1, height, 1)
    return ramp.expand_as(disparity)


def depth_figures(prediction: torch.Tensor, batch: dict[str, Any]) -> list[dict[str, float]]:
    """Mean figures over a batch of disparities, each aligned to its truth by scale and shift."""
    truth, mask = batch["disparity"], batch["mask"]
    if prediction.shape != truth.shape:
        prediction = F.interpolate(
            prediction, truth.shape[-2:], mode="bilinear", align_corners=False
        )
    rows = []
    aligned = metrics.align(prediction, truth, mask)
    for guess, fitted, real, known in zip(prediction, aligned, truth, mask, strict=True):
        if known.sum() < 16:
            continue
        figures = metrics.depth_metrics(fitted, real, known)
        figures = {name: figures[name] for name in ("abs_rel", "delta1")}
        figures["ordinal"] = metrics.ordinal_error(guess, real, known)
        rows.append(figures)
    return rows


class DepthTrainer(Trainer):
    """What estimation and refinement share: validation against simple guesses."""

    decides = ("abs_rel", min)

    def figures(self, prediction: torch.Tensor, batch: dict[str, Any]) -> list[dict[str, float]]:
        """List of dicts of figures, one per sample."""
        return depth_figures(prediction, batch)

    def guess(self, batch: dict[str, Any]) -> torch.Tensor:
        """The network's disparity, (B, 1, h, w)."""
        raise NotImplementedError

    def baseline(self, batch: dict[str, Any]) -> tuple[torch.Tensor, str]:
        """A guess that needs no training, and its name."""
        raise NotImplementedError

    def validate(self) -> dict[str, float]:
        """Mean figures over the held-out samples, and those of the simple guess."""
        ours, theirs = MeanFigures(), MeanFigures()
        for batch in self.data.validation(self.device):
            ours.add(self.figures(self.guess(batch), batch), batch)
            guess, name = self.baseline(batch)
            theirs.add(self.figures(guess, batch), batch, f" of {name}")
        return ours.means() | theirs.means()

    def examples(self, batch: dict[str, Any]) -> list[torch.Tensor]:
        """Photo, truth, prediction."""
        with torch.no_grad():
            return [batch["image"], batch["disparity"], self.guess(batch)]


class MeanFigures:
    """Averages dicts of figures, by data set where there are several."""

    def __init__(self) -> None:
        """Start empty."""
        self.rows: dict[str, list[float]] = {}

    def add(self, rows: list[dict[str, float]], batch: dict[str, Any], suffix: str = "") -> None:
        """Take in one dict per sample."""
        for row in rows:
            for name, value in row.items():
                if math.isfinite(value):
                    key = f"{batch['set']}{name}{suffix}"
                    self.rows.setdefault(key, []).append(value)

    def means(self) -> dict[str, float]:
        """{name: mean}, in the order in which the names came."""
        return {name: sum(values) / len(values) for name, values in self.rows.items()}


def instance_loss(disparity: torch.Tensor, instances: torch.Tensor, slack: float) -> torch.Tensor:
    """Keep disparity smooth inside objects: the sum over the photos that show any.

    See docs/method/training.md, Training.

    Args:
        disparity: (B, 1, h, w).
        instances: (B, 1, H, W) uint8, 0 = background.
        slack: slope that costs nothing, see `losses.masked_gradient_loss`.
    """
    total = disparity.sum() * 0  # keeps the gradient's path where no photo shows an object
    size = disparity.shape[-2:]
    instances = F.interpolate(instances.float(), size, mode="nearest-exact")
    for one, numbers in zip(disparity, instances, strict=True):
        found = numbers.unique()
        found = found[found > 0]
        if len(found):
            masks = (numbers[None] == found.view(-1, 1, 1, 1)).float()
            total = total + losses.masked_gradient_loss(one[None], masks, (1,), slack)
    return total


def in_pixels(disparity: torch.Tensor) -> torch.Tensor:
    """Scale each disparity (B, 1, h, w) to a mean of MEAN_PX, whatever unit its network gives.

    The slack of the mask loss is a slope in px. Without this nothing of a network whose disparity
    has mean 1 is steeper. The gradient knows of the mean, so that flattening by shrinking
    everything gains nothing.
    """
    mean = disparity.float().abs().mean(dim=(1, 2, 3), keepdim=True)
    return disparity * (MEAN_PX / mean.clamp(min=1e-6))


@losses.in_float32
def log_loss(disparity: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean |log disparity - log (target over its mean)| per photo, over the photos with weight.

    Both sides are lifted by LEAST_SHARE first: how far the far is hardly matters.

    Args:
        disparity, target, weight: (B, 1, H, W); weight 0 = unknown.
    """
    total = weight.sum(dim=(1, 2, 3), keepdim=True)
    mean = (target * weight).sum(dim=(1, 2, 3), keepdim=True) / total.clamp(min=1e-6)
    relative = target / mean.clamp(min=1e-6)
    error = ((disparity + LEAST_SHARE).log() - (relative + LEAST_SHARE).log()).abs() * weight
    known = total.flatten() > 0
    per_photo = error.sum(dim=(1, 2, 3)) / total.flatten().clamp(min=1e-6)
    return per_photo.sum() / known.sum().clamp(min=1)


def mix_photos(
    batch: dict[str, Any], rng: np.random.Generator
) -> tuple[torch.Tensor, list[tuple[dict[str, Any], float]]]:
    """Paste into each photo a window of the one before it (CutMix, arXiv:1905.04899).

    Both parts are to be judged alone, each by its own labels, as Depth Anything (arXiv:2401.10891)
    does: what is near in one photo says nothing about the other. Nor does a photo that is half
    another's have a scale, so labels whose scale is known count as relative ones here.

    Args:
        batch: of at least two samples, as `TrainingData.prepare` gives it.
        rng: draws the window, of a tenth to half of the photo, the same in the whole batch.
    Returns:
        mixed photos (B, 3, H, W), and for either part the batch of its labels, `confidence` 0 in
        the other part, and its share of the area.
    """
    image = batch["image"]
    height, width = image.shape[2:]
    side = math.sqrt(rng.uniform(0.1, 0.5))
    rows, columns = max(1, round(side * height)), max(1, round(side * width))
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    inside = image.new_zeros(1, 1, height, width)
    inside[..., top : top + rows, left : left + columns] = 1
    relative = {
        "metric": torch.zeros_like(batch["metric"]),
        "instances": torch.zeros_like(batch["instances"]),
    }
    kept = batch | relative | {"confidence": batch["confidence"] * (1 - inside)}
    others = {name: batch[name].roll(1, 0) for name in ("disparity", "mask", "ordered")}
    pasted = batch | relative | others
    pasted["confidence"] = batch["confidence"].roll(1, 0) * inside
    share = rows * columns / (height * width)
    mixed = torch.where(inside > 0, image.roll(1, 0), image)
    return mixed, [(kept, 1 - share), (pasted, share)]


class EstimationStep(NamedTuple):
    """What the losses of a step see."""

    disparity: torch.Tensor  # (B, 1, h, w), as estimated
    target: torch.Tensor  # (B, 1, h, w), true or relative
    weight: torch.Tensor  # (B, 1, h, w), 0 = unknown
    metric: torch.Tensor  # (B,) of 0/1: whether the target's scale is known
    ordered: torch.Tensor  # (B,) of 0/1: whether only its order is
    instances: torch.Tensor  # (B, 1, H, W) uint8, 0 = background
    number: int  # of the step
    settings: Any  # those of train.py


def scale_free(step: EstimationStep) -> dict[str, torch.Tensor]:
    """Invariant to scale and shift (MiDaS), of all but what `by_reference` and `ranked` take.

    Only relative disparity is trimmed of outliers. `ssi_scale` keeps the mean at 1, which the rest
    leaves free: it grew to 1e17 without.
    """
    metric, relative = step.metric, 1 - step.metric - step.ordered
    exact = torch.zeros_like(metric) if step.settings.depth_loss == "reference" else metric
    terms: dict[str, torch.Tensor] = {}
    for chosen, trim in ((exact, 0.0), (relative, step.settings.trim)):
        index = chosen.nonzero().flatten()
        if not len(index):
            continue
        disparity = step.disparity[index]
        found = losses.scale_invariant_loss(
            disparity, step.target[index], step.weight[index], trim=trim
        )
        scale = disparity.float().abs().mean(dim=(1, 2, 3)).clamp(min=1e-6).log()
        named = {
            "ssi_data": found["data"],
            "ssi_grad": found["gradient"],
            "ssi_scale": scale.square().mean(),
        }
        share = len(index) / len(chosen)  # of the batch
        for name, value in named.items():
            terms[name] = terms.get(name, 0) + share * value
    return terms


def ranked(step: EstimationStep) -> dict[str, torch.Tensor]:
    """Ordered pairs should be ordered, of the samples of which nothing but the order is known."""
    return _in_order("order", step.ordered, step)


def ranked_too(step: EstimationStep) -> dict[str, torch.Tensor]:
    """With `--weight rank=...`: so should those of the samples of which more is known.

    The median and the mean deviation of a whole photo hardly notice a thing in the wrong place; a
    pair of points does.
    """
    return _in_order("rank", 1 - step.ordered, step) if step.settings.weights["rank"] else {}


def _in_order(name, chosen, step):
    """The ranking loss of the chosen samples (B,) of 0/1, by their share of the batch."""
    index = chosen.nonzero().flatten()
    if not len(index):
        return {}
    given = (x[index] for x in (step.disparity, step.target, step.weight))
    # Of the step alone: a global generator would differ after a resume, on a card or in a process.
    pairs = torch.Generator().manual_seed(step.number)
    return {name: len(index) / len(chosen) * losses.ranking_loss(*given, generator=pairs)}


def by_reference(step: EstimationStep) -> dict[str, torch.Tensor]:
    """With `--depth-loss reference`: order first, then gradients, where the scale is known."""
    if step.settings.depth_loss != "reference":
        return {}
    disparity, faded = step.disparity.clamp(min=0), math.exp(-BETA * step.number)
    weight = (step.weight > 0) * step.metric.view(-1, 1, 1, 1)
    order = losses.ord_loss(disparity, step.target, weight, "logrmse")
    return {
        "ord": (1 + 2 * faded) * order,
        "grad": (1 - faded) * losses.gradient_loss(disparity, step.target, weight),
    }


def logarithmic(step: EstimationStep) -> torch.Tensor:
    """Mean error of log disparity where the scale is known: leaves the shift no freedom."""
    known = step.weight * step.metric.view(-1, 1, 1, 1)
    return step.metric.mean() * log_loss(step.disparity, step.target, known)


def smooth_inside(step: EstimationStep) -> torch.Tensor | dict[str, torch.Tensor]:
    """With `--mask-loss same`: smooth inside objects, the later the more."""
    if step.settings.mask_loss != "same":
        return {}
    faded = math.exp(-BETA * step.number)
    return (1 - faded) * instance_loss(in_pixels(step.disparity), step.instances, 0.5)


LOSSES = (
    Loss(scale_free, {"ssi_data": 1.0, "ssi_grad": 0.5, "ssi_scale": 0.05}),
    Loss(ranked, {"order": 0.6}),  # its values are about twice those of ssi_data
    Loss(ranked_too, {"rank": 0.0}),
    Loss(by_reference, {"ord": 0.03, "grad": 1.0}),
    Loss(logarithmic, {"log": 0.0}),
    Loss(smooth_inside, {"mask": 1e-4}),
)


def load_semantics(device: str | torch.device) -> nn.Module:
    """VGG-19 for the paper-size network, frozen; ValueError where it was not downloaded."""
    from utils.weights import loading as checkpoints

    if not checkpoints.VGG19_PATH.exists():
        raise ValueError(
            f"--network paper needs VGG-19 weights at {checkpoints.VGG19_PATH}.\n"
            "  Run ./download_models.sh, or train --network compact."
        )
    semantics = checkpoints.load_network(checkpoints.VGG19_PATH, "semantics", device)
    semantics.channel_order = "rgb"
    return semantics.requires_grad_(False)


class EstimationTrainer(DepthTrainer):
    """Trains the network that guesses coarse disparity from one photo (docs/method/training.md).

    Samples of relative disparity take the scale-and-shift-invariant loss of MiDaS. So do samples of
    known scale with `--depth-loss ssi`; with `reference` they take the reference's schedule.
    """

    role = "estimation"
    kind = str(ROLES[role].kind)
    tag = "Estimation"
    decides = ("ordinal", min)  # wrongly ordered pairs tell also where only the order is known
    tables = (LOSSES,)
    mask_data: Any = None  # `data_loader.TrainingData` of photos with masks, for --mask-loss other
    mask_batches: Any = None

    @classmethod
    def settle_for(cls, network: Any, settings: Any) -> Any:
        """And the kind of loss where the scale is known."""
        if settings.depth_loss is None:
            settings = dataclasses.replace(settings, depth_loss=network.depth_loss)
        return super().settle_for(network, settings)

    def build(self) -> dict[str, tuple[nn.Module, Any]]:
        """The network that --network names, with its frozen companion if it has one."""
        settings = self.settings
        network = find_network(self.role, settings.network).fresh(settings.network)
        self.semantics = load_semantics(self.device) if network.companion else None
        if settings.model_path and not settings.resume:
            start_from(network, settings.model_path)
        return {self.kind: (network, self._rates(network))}

    def _rates(self, network):
        """Learning rates by part, where the encoder has its own; freezes what is to stay.

        Raises:
            ValueError: the network has no such encoder, or too few layers.
        """
        settings = self.settings
        frozen = settings.freeze_encoder or settings.freeze_depthwise
        if settings.lr_encoder is None and not frozen:
            return settings.lr_estimation
        layers = getattr(getattr(network, "encoder", None), "layers", None)
        if layers is None:
            raise ValueError(
                "--lr-encoder, --freeze-encoder and --freeze-depthwise are not for "
                f"--network {settings.network}.\n  Leave them out."
            )
        if not 0 <= settings.freeze_encoder <= len(layers):
            raise ValueError(
                f"--freeze-encoder must be between 0 and {len(layers)}, found "
                f"{settings.freeze_encoder}."
            )
        layers[: settings.freeze_encoder].requires_grad_(False)
        if settings.freeze_depthwise:
            for module in layers.modules():
                if isinstance(module, nn.Conv2d) and module.groups > 1:
                    module.requires_grad_(False)
        of_encoder = settings.lr_encoder or settings.lr_estimation
        return {network.encoder: of_encoder, None: settings.lr_estimation}

    def estimate(self, network: nn.Module, image: torch.Tensor) -> torch.Tensor:
        """Disparity at half the size of the image."""
        if self.semantics is None:
            return network(image)
        return network(image, self.semantics(image))

    def losses(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Weighted terms of LOSSES; with `--mix` of each part of a mixed photo, by its area."""
        # Random numbers of this step and process alone, so that a resumed run draws the same.
        process = self.accelerator.process_index
        rng = np.random.default_rng((self.settings.seed, self.step_number, process))
        if rng.random() < self.settings.mix:
            image, parts = mix_photos(batch, rng)
        else:
            image, parts = batch["image"], [(batch, 1.0)]
        disparity = self.estimate(self.parts[self.kind].wrapped, image)
        terms: dict[str, torch.Tensor] = {}
        for part, share in parts:
            for name, value in self._compare(disparity, part).items():
                terms[name] = terms.get(name, 0) + share * value
        return terms

    def _compare(self, disparity, batch):
        """Weighted terms of what was estimated against the labels of a batch."""
        weight = batch["mask"] * batch["confidence"]
        target, weight, disparity = self._same_size(batch["disparity"], weight, disparity)
        return weigh(
            self.tables[0],
            self.settings.weights,
            EstimationStep(
                disparity,
                target,
                weight,
                batch["metric"],
                batch["ordered"],
                batch["instances"],
                self.step_number,
                self.settings,
            ),
        )

    def _same_size(self, target, weight, disparity):
        """Labels shrunk to the estimate, or with --fine-labels the estimate enlarged to them."""
        if self.settings.fine_labels:
            size = target.shape[-2:]
            return target, weight, F.interpolate(disparity.float(), size, mode="bilinear")
        return *shrink_known(target, weight, disparity.shape[-2:]), disparity

    def step(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """A step on the data, and with `--mask-loss other` one on photos that have only masks."""
        terms = super().step(batch)
        if self.settings.mask_loss == "other":
            terms |= self.step_on_masks()
        return terms

    def step_on_masks(self) -> dict[str, torch.Tensor]:
        """Step down the mask loss of a batch of photos with instance maps; nothing without any."""
        if self.mask_batches is None:
            self.mask_batches = self.open_stream(self.mask_data)
        batch = self.mask_data.prepare(next(self.mask_batches), self.device)
        if not batch["instances"].any() and self.world == 1:
            return {}
        part = self.parts[self.kind]
        with self.accelerator.autocast():
            disparity = self.estimate(part.wrapped, batch["image"])
        weight = self.settings.weights["mask"]
        cost = instance_loss(in_pixels(disparity), batch["instances"], 1.0)
        terms = {"mask": weight * cost}
        self.update(self.kind, terms, batch, clip=0.1)
        return terms

    def guess(self, batch: dict[str, Any]) -> torch.Tensor:
        """Disparity by the averaged weights."""
        return self.estimate(self.parts[self.kind].best, batch["image"])

    def baseline(self, batch: dict[str, Any]) -> tuple[torch.Tensor, str]:
        """A vertical ramp."""
        return vertical_ramp(batch["disparity"]), "ramp"
