"""How the two depth networks are trained: estimation and refinement."""

import logging
import math

import torch
import torch.nn.functional as F
from torch import nn

from utils.training import losses, metrics
from utils.training.trainer import Trainer

log = logging.getLogger(__name__)

BETA = 0.015  # how fast the reference's schedule hands over from order to gradients (SPEC 9.3)
GRADIENT_SHARE = 0.5  # of gradient matching in the scale-and-shift-invariant loss, as MiDaS
LEAST_SHARE = 0.05  # of the mean disparity, added before logarithms are taken
SCALE_SHARE = 0.05  # of keeping the mean at 1, which that loss leaves free: it grew to 1e17 without


def initialise(network, gain):
    """Xavier normal on all convolution weights, as the reference (SPEC 9.2)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_normal_(module.weight, gain)
    return network


def start_from(network, path):
    """Load weights to begin with: of the whole network, or of its `encoder` alone.

    Raises:
        ValueError: they fit neither.
    """
    from utils.weights.loading import read_state_dict

    state = read_state_dict(path)
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


def shrink_known(disparity, weight, size, least=0.5):
    """Mean of the known pixels under each pixel of a smaller map.

    Args:
        disparity, weight: (B, 1, H, W); weight 0 = unknown.
        size: (height, width) of the smaller map.
        least: share of the pixels underneath that must be known.
    Returns:
        disparity and weight (mean weight, 0 where too little is known), (B, 1, *size).
    """
    if tuple(disparity.shape[-2:]) == tuple(size):
        return disparity, weight
    total = F.adaptive_avg_pool2d(disparity * weight, size)
    share = F.adaptive_avg_pool2d(weight, size)
    known = F.adaptive_avg_pool2d((weight > 0).float(), size) >= max(least, 1e-6)
    return total / share.clamp(min=1e-6) * known, share * known


def vertical_ramp(disparity):
    """The guess that every estimator must beat: farther towards the top, flat from side to side."""
    height = disparity.shape[-2]
    ramp = torch.linspace(0, 1, height, device=disparity.device).view(1, 1, height, 1)
    return ramp.expand_as(disparity)


def depth_figures(prediction, batch):
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

    def figures(self, prediction, batch):
        """List of dicts of figures, one per sample."""
        return depth_figures(prediction, batch)

    def validate(self):
        """Mean figures over the held-out samples, and those of the simple guess."""
        ours, theirs = MeanFigures(), MeanFigures()
        for batch in self.data.validation(self.device):
            ours.add(self.figures(self.guess(batch), batch), batch)
            guess, name = self.baseline(batch)
            theirs.add(self.figures(guess, batch), batch, f" of {name}")
        return ours.means() | theirs.means()

    def examples(self, batch):
        """Photo, truth, prediction."""
        with torch.no_grad():
            return [batch["image"], batch["disparity"], self.guess(batch)]


class MeanFigures:
    """Averages dicts of figures, by data set where there are several."""

    def __init__(self):
        """Start empty."""
        self.rows = {}

    def add(self, rows, batch, suffix=""):
        """Take in one dict per sample."""
        for row in rows:
            for name, value in row.items():
                if math.isfinite(value):
                    key = f"{batch['set']}{name}{suffix}"
                    self.rows.setdefault(key, []).append(value)

    def means(self):
        """{name: mean}, in the order in which the names came."""
        return {name: sum(values) / len(values) for name, values in self.rows.items()}


def instance_loss(disparity, instances, slack):
    """Keep disparity smooth inside objects (SPEC 9.3): the sum over the photos that show any.

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


@losses.in_float32
def log_loss(disparity, target, weight):
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


def load_semantics(device):
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
    """Trains the network that guesses coarse disparity from one photo (SPEC 9.3).

    Samples of relative disparity take the scale-and-shift-invariant loss of MiDaS. So do samples of
    known scale with `--depth-loss ssi`; with `reference` they take the reference's schedule.
    """

    kind = "disparity"
    tag = "Estimation"
    mask_data = None  # `data_loader.TrainingData` of photos with masks, for --mask-loss other
    mask_batches = None

    def build(self):
        """Disparity (with frozen semantics) or CompactDisparity."""
        settings = self.settings
        if settings.network == "compact":
            from models.compact_estimation import CompactDisparity

            network, self.semantics = CompactDisparity(), None
        else:
            from models.disparity_estimation import Disparity

            network = initialise(Disparity(), 1.4)
            self.semantics = load_semantics(self.device)
        if settings.model_path and not settings.resume:
            start_from(network, settings.model_path)
        return {self.kind: (network, self._rates(network))}

    def _rates(self, network):
        """Learning rates by part, where the compact encoder has its own; freezes its first layers.

        Raises:
            ValueError: the network has no such encoder, or too few layers.
        """
        settings = self.settings
        if settings.lr_encoder is None and not settings.freeze_encoder:
            return settings.lr_estimation
        if settings.network != "compact":
            raise ValueError("--lr-encoder and --freeze-encoder are for --network compact.\n"
                             "  Leave them out.")
        layers = network.encoder.features
        if not 0 <= settings.freeze_encoder <= len(layers):
            raise ValueError(f"--freeze-encoder must be between 0 and {len(layers)}, found "
                             f"{settings.freeze_encoder}.")
        layers[: settings.freeze_encoder].requires_grad_(False)
        of_encoder = settings.lr_encoder or settings.lr_estimation
        return {network.encoder: of_encoder, None: settings.lr_estimation}

    def estimate(self, network, image):
        """Disparity at half the size of the image."""
        if self.semantics is None:
            return network(image)
        return network(image, self.semantics(image))

    def losses(self, batch):
        """Weighted terms; `ssi_*` for relative disparity, `ord` and `grad` for known scale."""
        disparity = self.estimate(self.parts[self.kind].wrapped, batch["image"])
        weight = batch["mask"] * batch["confidence"]
        target, weight = shrink_known(batch["disparity"], weight, disparity.shape[-2:])
        metric = batch["metric"]
        terms = {}
        metric_by_ssi = metric
        if self.settings.depth_loss == "reference":
            metric_by_ssi = torch.zeros_like(metric)
            terms |= self._scheduled(disparity.clamp(min=0), target, weight, metric)
        for chosen, trim in ((metric_by_ssi, 0.0), (1 - metric, self.settings.trim)):
            for name, value in self._scale_free(disparity, target, weight, chosen, trim).items():
                terms[name] = terms.get(name, 0) + value
        if self.settings.log_weight:
            logs = log_loss(disparity, target, weight * metric.view(-1, 1, 1, 1))
            terms["log"] = self.settings.log_weight * metric.mean() * logs
        if self.settings.mask_loss == "same":
            faded = math.exp(-BETA * self.step_number)
            terms["mask"] = 1e-4 * (1 - faded) * instance_loss(disparity, batch["instances"], 0.5)
        return terms

    def step(self, batch):
        """A step on the data, and with `--mask-loss other` one on photos that have only masks."""
        terms = super().step(batch)
        if self.settings.mask_loss == "other":
            terms |= self.step_on_masks()
        return terms

    def step_on_masks(self):
        """Step down the mask loss of a batch of photos with instance maps; nothing without any."""
        if self.mask_batches is None:
            self.mask_batches = self.mask_data.training(
                self.step_number, self.total_steps, self.accelerator.process_index, self.world
            )
        batch = self.mask_data.prepare(next(self.mask_batches), self.device)
        if not batch["instances"].any() and self.world == 1:
            return {}
        part = self.parts[self.kind]
        with self.accelerator.autocast():
            disparity = self.estimate(part.wrapped, batch["image"])
        terms = {"mask": 1e-4 * instance_loss(disparity, batch["instances"], 1.0)}
        self.update(self.kind, terms, batch, clip=0.1)
        return terms

    def _scheduled(self, disparity, target, weight, metric):
        faded = math.exp(-BETA * self.step_number)
        weight = (weight > 0) * metric.view(-1, 1, 1, 1)
        order = losses.ord_loss(disparity, target, weight, "logrmse")
        return {
            "ord": 0.03 * (1 + 2 * faded) * order,
            "grad": (1 - faded) * losses.gradient_loss(disparity, target, weight),
        }

    def _scale_free(self, disparity, target, weight, chosen, trim):
        """Scale-and-shift-invariant terms of the chosen samples, by their share of the batch."""
        index = chosen.nonzero().flatten()
        if not len(index):
            return {}
        terms = losses.scale_invariant_loss(
            disparity[index], target[index], weight[index], trim=trim
        )
        share = len(index) / len(chosen)
        scale = disparity[index].float().abs().mean(dim=(1, 2, 3)).clamp(min=1e-6).log()
        return {
            "ssi_data": share * terms["data"],
            "ssi_grad": share * GRADIENT_SHARE * terms["gradient"],
            "ssi_scale": share * SCALE_SHARE * scale.square().mean(),
        }

    def guess(self, batch):
        """Disparity by the averaged weights."""
        return self.estimate(self.parts[self.kind].best, batch["image"])

    def baseline(self, batch):
        """A vertical ramp."""
        return vertical_ramp(batch["disparity"]), "ramp"
