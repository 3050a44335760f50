"""How the inpainting network is trained: with truth behind things, or against a discriminator."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

import kernels
from models import BUNDLED
from models.blocks import Statistics
from models.features import EncoderFeatures
from models.registry import ROLES, find_network
from models.roles import Inpainting
from utils.camera import CropWindow, nearest_depth, published_path, unproject
from utils.filters import binary_median
from utils.scene.cloud import DISPARITY_FLOOR
from utils.scene.edges import surface_mask
from utils.scene.filling import far_guesses, fill_from_far
from utils.training import losses, metrics
from utils.training.estimation import MeanFigures, start_from
from utils.training.refinement import LIFT, PEAK, fill_unknown
from utils.training.terms import Loss, weigh
from utils.training.trainer import Trainer

log = logging.getLogger(__name__)

ENCODER_PATH = BUNDLED / "disparity-estimation.safetensors"


class Lifted(NamedTuple):
    """A batch of photos as point clouds in the unit of a scene of kbe.py: nearest point at PEAK."""

    image: torch.Tensor  # (B, 3, H, W)
    disparity: torch.Tensor  # (B, 1, H, W), gaps filled
    points: torch.Tensor  # (B, 3, H * W)
    keep: torch.Tensor  # (B, 1, H, W) bool: pixels that make a point
    focal_px: torch.Tensor  # (B,)
    unit: torch.Tensor  # (B,): depth here = depth in the data's unit * unit


class Task(NamedTuple):
    """What the network is shown, zero in holes, and what is true there."""

    view: torch.Tensor  # (B, 4 + C, H, W): image, disparity, context
    mask: torch.Tensor  # (B, 1, H, W), 1 = known, 0 = hole
    statistics: Statistics | None  # by which the view is normalised
    arguments: tuple  # what the network is called with
    image: torch.Tensor  # (B, 3, H, W), true
    disparity: torch.Tensor  # (B, 1, H, W), true, as the photo's camera sees it
    known: torch.Tensor  # (B, 1, H, W): where the true disparity is known


def lift(batch: dict[str, Any]) -> Lifted:
    """Lift a batch as `utils.scene.cloud.Scene` would."""
    disparity, mask = batch["disparity"], batch["mask"]
    peak = disparity.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
    disparity = (fill_unknown(disparity, mask) * PEAK / peak).clamp(min=DISPARITY_FLOOR * PEAK)
    depth = batch["focal_px"].view(-1, 1, 1, 1) * PEAK / disparity
    return Lifted(
        batch["image"],
        disparity,
        unproject(depth, batch["focal_px"]),
        (mask > 0) & surface_mask(disparity),
        batch["focal_px"],
        peak.flatten() / batch["baseline"],
    )


def render_moved(
    lifted: Lifted, features: torch.Tensor, shift: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Splat features from a moved camera; gradients reach the features.

    Args:
        lifted: Lifted.
        features: (B, C, H, W).
        shift: (B, 3) added to every point.
    Returns:
        view (B, C, H, W) and mask (B, 1, H, W) of known pixels, specks in holes removed.
    """
    points = lifted.points + shift[:, :, None]
    points = torch.where(lifted.keep.flatten(2), points, -1.0)  # behind the camera: dropped
    height, width = features.shape[-2:]
    view, coverage = kernels.render_pointcloud(
        points, features.float().flatten(2), (height, width), lifted.focal_px, PEAK
    )
    mask = (coverage > 0).float()
    mask = mask * binary_median(mask, 5)
    return view * mask, mask


def hidden_mask(lifted: Lifted, shift: torch.Tensor) -> torch.Tensor:
    """Which pixels of the photo stay visible from a moved camera: (B, 1, H, W) of 0/1."""
    points = lifted.points + shift[:, :, None]
    points = torch.where(lifted.keep.flatten(2), points, -1.0)
    height, width = lifted.image.shape[-2:]
    size = (height, width)
    return binary_median(kernels.disocclusion_mask(points, size, lifted.focal_px, PEAK), 5)


def random_windows(
    size: tuple[int, int], uniform: Sequence[float]
) -> tuple[CropWindow, CropWindow]:
    """Start and end window of a random camera move (docs/method/training.md, Training).

    Args:
        size: (height, width), px.
        uniform: eight numbers in [0, 1).
    """
    height, width = size
    draws = iter(uniform)

    def between(low, high):
        return low + (high - low) * next(draws)

    def window(u, v):
        across = between(0.6, max(0.6, 2 / width * min(width - u, u)))
        down = between(0.6, max(0.6, 2 / height * min(height - v, v)))
        share = min(across, down)
        return CropWindow(u, v, width * share, height * share)

    start = window(width * between(0.3, 0.7), height * between(0.3, 0.7))
    near_u = (max(0.3, 0.85 * start.center_u / width), min(0.7, 1.15 * start.center_u / width))
    near_v = (max(0.3, 0.85 * start.center_v / height), min(0.7, 1.15 * start.center_v / height))
    return start, window(width * between(*near_u), height * between(*near_v))


def random_shifts(lifted: Lifted, uniform: torch.Tensor) -> torch.Tensor:
    """Where a random camera move ends, (B, 3), one per sample."""
    height, width = lifted.image.shape[-2:]
    size = (height, width)
    depth = lifted.points[:, 2].view(-1, 1, *size)
    shifts = []
    cameras = zip(depth, uniform[:, 6:14].tolist(), lifted.focal_px.tolist(), strict=True)
    for one, numbers, focal_px in cameras:
        path = published_path(*random_windows(size, numbers), size, nearest_depth(one), focal_px)
        shifts.append(path.pose(1.0).shift)
    return depth.new_tensor(shifts)


def make_task(network: Any, batch: dict[str, Any]) -> Task:
    """Turn samples into inpainting tasks.

    Where a second view of the scene exists the photo is rendered from there, and that view is true.
    Elsewhere the photo keeps its place and loses the pixels that a camera move would hide.

    Args:
        network: the bare network; if its context is rendered along, gradients reach it.
        batch: see `data_loader.Samples`, with second views.
    """
    lifted = lift(batch)
    second = batch["has_second"].view(-1, 1, 1, 1) > 0
    features, statistics = network.to_render(lifted.image, lifted.disparity)
    mask = hidden_mask(lifted, random_shifts(lifted, batch["uniform"]))
    view, true_disparity, known = features * mask, lifted.disparity, batch["mask"]
    if second.any():
        shift = batch["second_shift"] * lifted.unit[:, None]
        moved, moved_mask = render_moved(lifted, features, shift)
        seen, seen_known = disparity_seen_from_photo(lifted, batch, shift)
        view, mask = torch.where(second, moved, view), torch.where(second, moved_mask, mask)
        true_disparity = torch.where(second, seen, true_disparity)
        known = torch.where(second, seen_known, known)
    true_image = torch.where(second, batch["second_image"], batch["image"])
    arguments = network.arguments(view, mask, statistics, far_guesses)
    return Task(view, mask, statistics, arguments, true_image, true_disparity, known)


def disparity_seen_from_photo(
    lifted: Lifted, batch: dict[str, Any], shift: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Disparity that the photo's camera gives to what the second one sees, and where it is known.

    The cloud carries disparity along from the photo's camera, so the network learns to continue
    that one; `Scene` converts it when it lifts.
    """
    scaled = lifted.focal_px * PEAK
    second = batch["second_disparity"]
    per_unit = (lifted.focal_px * batch["baseline"] * lifted.unit).view(-1, 1, 1, 1)
    depth = per_unit / second.clamp(min=1e-6) - shift[:, 2].view(-1, 1, 1, 1)
    known = batch["second_mask"] * (depth > 0)
    disparity = scaled.view(-1, 1, 1, 1) / depth.clamp(min=1e-6)
    return disparity.clamp(min=DISPARITY_FLOOR * PEAK, max=4 * PEAK), known


def perceptual_features(device: str | torch.device) -> nn.Module:
    """Feature network for perceptual and style terms; the log says which.

    Returns:
        callable image (B, 3, H, W) RGB in [0, 1] -> list of feature maps.
    """
    from utils.weights import loading as checkpoints

    if checkpoints.VGG16_PATH.exists():
        log.info("perceptual terms by VGG-16, %s", checkpoints.VGG16_PATH)
        return checkpoints.load_network(checkpoints.VGG16_PATH, "features", device)
    log.info(
        "perceptual terms by the encoder of %s: VGG-16 is not at %s; ./download_models.sh gets it",
        ENCODER_PATH,
        checkpoints.VGG16_PATH,
    )
    return EncoderFeatures(checkpoints.load_network(ENCODER_PATH, "estimation", device).encoder)


class InpaintingStep(NamedTuple):
    """What the losses of a step see."""

    filled: Inpainting
    task: Task
    features: Callable  # image -> list of feature maps
    keeps_known: bool  # whether what is known came out as it went in


def colours(step: InpaintingStep) -> dict[str, torch.Tensor]:
    """The terms of Liu et al. (2018)."""
    task = step.task
    return losses.inpainting_loss(
        step.filled.image,
        task.image,
        task.mask,
        features=step.features,
        keeps_known=step.keeps_known,
    )


def pointwise(step: InpaintingStep) -> torch.Tensor:
    """Mean absolute error of disparity, also in the holes."""
    return losses.ord_loss(step.filled.disparity, step.task.disparity, step.task.known)


def slopes(step: InpaintingStep) -> torch.Tensor:
    """Error of its slopes, relative to the disparity."""
    return losses.gradient_loss(
        step.filled.disparity + LIFT, step.task.disparity + LIFT, step.task.known
    )


LOSSES = (
    Loss(colours, {"hole": 6.0, "valid": 1.0, "prc": 0.05, "tv": 0.1, "style": 120.0}),
    Loss(pointwise, {"ord": 1e-4}),
    Loss(slopes, {"grad": 10.0}),
)


class InpaintingTrainer(Trainer):
    """Trains inpainting of colour and disparity with the truth in holes.

    See docs/method/training.md, Training.
    """

    role = "inpainting"
    kind = str(ROLES[role].kind)
    rate_flag = "lr_inpaint"
    tag = "Inpaint"
    tables: tuple[tuple[Loss, ...], ...] = (LOSSES,)
    decides = ("psnr_holes", max)
    renders = True
    second_view = True

    def build(self) -> dict[str, tuple[nn.Module, Any]]:
        """The network that --network and --partial-conv name."""
        settings = self.settings
        self.features = perceptual_features(self.device)
        kind = find_network(self.role, settings.network, settings.partial_conv)
        network = kind.fresh(settings.network)
        if settings.model_path and not settings.resume:
            start_from(network, settings.model_path)
        return {self.kind: (network, settings.lr_inpaint)}

    def losses(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Weighted terms of LOSSES."""
        part = self.parts[self.kind]
        task = make_task(part.network, batch)
        step = InpaintingStep(
            part.wrapped(*task.arguments), task, self.features, part.network.keeps_known
        )
        return weigh(self.tables[0], self.settings.weights, step)

    def validate(self) -> dict[str, float]:
        """PSNR and disparity error over holes, beside filling by rule."""
        ours, theirs = MeanFigures(), MeanFigures()
        for batch in self.data.validation(self.device):
            network = self.parts[self.kind].best
            task = make_task(network, batch)
            filled = network(*task.arguments)
            ours.add(hole_figures(filled.image, filled.disparity, task), batch)
            image, disparity = restore(task)
            by_rule = fill_from_far(torch.cat([image, disparity], dim=1), task.mask)
            theirs.add(hole_figures(by_rule[:, :3], by_rule[:, 3:], task), batch, " of rule")
        return ours.means() | theirs.means()

    def examples(self, batch: dict[str, Any]) -> list[torch.Tensor]:
        """View with holes, truth, inpainted; the same of disparity."""
        with torch.no_grad():
            network = self.parts[self.kind].best
            task = make_task(network, batch)
            filled = network(*task.arguments)
        image, disparity = restore(task)
        return [image, task.image, filled.image, disparity, task.disparity, filled.disparity]


def restore(task: Task) -> tuple[torch.Tensor, torch.Tensor]:
    """Image and disparity of a task's view in their own units, zero in holes."""
    statistics = task.statistics
    if statistics is None:
        return task.view[:, :3], task.view[:, 3:4]
    image = task.view[:, :3] * statistics.image_std + statistics.image_mean
    disparity = task.view[:, 3:4] * statistics.disparity_std + statistics.disparity_mean
    return image * task.mask, disparity * task.mask


def hole_figures(
    image: torch.Tensor, disparity: torch.Tensor, task: Task
) -> list[dict[str, float]]:
    """List of dicts, one per sample with holes: psnr (dB) and mean disparity error in holes."""
    rows = []
    for number in range(len(image)):
        hole = 1 - task.mask[number : number + 1]
        if hole.sum() < 16:
            continue
        one = slice(number, number + 1)
        error = (disparity[one] - task.disparity[one]).abs() * hole * task.known[one]
        rows.append(
            {
                "psnr_holes": metrics.psnr(image[one].clamp(0, 1), task.image[one], hole),
                "disparity_error_holes": float(
                    error.sum() / (hole * task.known[one]).sum().clamp(min=1)
                ),
            }
        )
    return rows
