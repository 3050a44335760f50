"""What the networks are trained on: every loss term of the reference, and scale-free depth losses.

Maps are (B, 1, H, W), images (B, 3, H, W) RGB in [0, 1]. A mask is 0 where the target is unknown
and may be soft; whatever the target holds there (NaN, infinity) does no harm. Everything is
differentiable, computed in float32 also under autocast, and zero where nothing is valid. A sum of
terms comes back as a dict of named scalars; the tables of the training modes say what each weighs.

The reference's formulas differ where they are wrong: it learns slopes into unknown depth, pulls
every slope inside a mask towards +slack, also across its outline, and lets rounding decide what
lies around a hole.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from kornia.color import rgb_to_grayscale
from kornia.filters import gaussian_blur2d, sobel
from torch.nn import functional as F

from utils.training.metrics import fit_scale_shift


def in_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a loss: tensors arrive as float32 (masks too) and autocast is off inside."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        def single(x):
            return x.float() if torch.is_tensor(x) else x

        tensors = (x for x in (*args, *kwargs.values()) if torch.is_tensor(x))
        device = next(tensors).device.type
        with torch.autocast(device, enabled=False):
            return function(*map(single, args), **{k: single(v) for k, v in kwargs.items()})

    return wrapper


def _share(total, count):
    """total / count, and 0 (total is 0 as well) where nothing counts."""
    return total / torch.where(count > 0, count, 1)


# --- disparity against disparity of the same scale -----------------------------------------------
@in_float32
def ord_loss(
    disparity: torch.Tensor,
    target: torch.Tensor,
    mask: torch.Tensor,
    kind: str = "l1",
    share: float = 0.25,
) -> torch.Tensor:
    """Pointwise loss over N = sum of mask.

    Args:
        disparity, target, mask: (B, 1, H, W).
        kind: "l1": mean absolute error. "rmse": variance of the error (no root, as the reference).
            "logrmse": mean square of R = log10 ratio, minus `share` times its squared mean
            (Eigen et al. 2014).
        share: of the squared mean that is forgiven, in [0, 1]; 1 ignores a global factor. The
            reference uses (0.5 mean)^2, that is 0.25; Eigen et al. use 0.5.
    Raises:
        ValueError: unknown kind.
    """
    d, t, count = disparity * mask, torch.where(mask > 0, target, 0) * mask, mask.sum()
    if kind == "l1":
        return _share((d - t).abs().sum(), count)
    if kind == "rmse":
        residual, share = (disparity - torch.where(mask > 0, target, 0)) * mask, 1
    elif kind == "logrmse":
        # The floor keeps a negative prediction from giving NaN; positive ones pass unchanged.
        residual = torch.log10(d.clamp(min=0) + 1e-7) - torch.log10(t + 1e-7)
    else:
        raise ValueError(f"unknown kind of ord loss {kind!r}: use 'l1', 'rmse' or 'logrmse'")
    return _share(residual.square().sum(), count) - share * _share(residual.sum(), count) ** 2


def derivative(x: torch.Tensor, step: int, axis: int, normalized: bool = False) -> torch.Tensor:
    """Difference to the pixel `step` before, zero in the first `step` rows or columns.

    Args:
        x: (..., H, W).
        step: distance in px.
        axis: -2 down the rows ("vertical"), -1 along them ("horizontal").
        normalized: divide by the sum of both magnitudes + 1e-7, so that scale does not matter.
    Returns:
        as x.
    """
    size = x.shape[axis]
    if step >= size:
        return torch.zeros_like(x)
    later, earlier = x.narrow(axis, step, size - step), x.narrow(axis, 0, size - step)
    slope = later - earlier
    if normalized:
        slope = slope / (later.abs() + earlier.abs() + 1e-7)
    return F.pad(slope, (0, 0, step, 0) if axis == -2 else (step, 0))


def _both(mask, step, axis):
    """The mask where the pixel `step` before counts as well, else 0: no slope across a gap."""
    earlier = torch.roll(mask, step, axis)
    earlier.narrow(axis, 0, min(step, mask.shape[axis])).zero_()
    return torch.minimum(mask, earlier)


@in_float32
def gradient_loss(
    disparity: torch.Tensor,
    target: torch.Tensor,
    mask: torch.Tensor,
    scales: Sequence[int] = (1, 2, 4, 8),
) -> torch.Tensor:
    """Squared error of normalized derivatives, summed over scales and both directions, over N.

    A slope counts only if both of its pixels are known.

    Args:
        disparity, target, mask: (B, 1, H, W).
        scales: distances in px over which slopes are taken.
    """
    loss, count = torch.zeros_like(mask.sum()), mask.sum()
    target = torch.where(mask > 0, target, 0)
    for step in scales:
        for axis in (-2, -1):
            weight = _both(mask, step, axis)
            ours, theirs = (derivative(x, step, axis, True) for x in (disparity, target))
            loss = loss + _share((ours * weight - theirs * weight).square().sum(), count)
    return loss


@in_float32
def masked_gradient_loss(
    disparity: torch.Tensor, masks: torch.Tensor, scales: Sequence[int] = (1,), slack: float = 0.5
) -> torch.Tensor:
    """Keep disparity smooth inside masks: slopes beyond `slack` cost their excess, over N.

    Args:
        disparity: (1 or B, 1, H, W).
        masks: (B, 1, H, W), or K instances of one image; soft masks count by their value.
        scales: distances in px over which slopes are taken.
        slack: slope in disparity units that costs nothing.
    """
    loss, count = torch.zeros_like(masks.sum()), masks.sum()
    for step in scales:
        for axis in (-2, -1):
            slope = derivative(disparity, step, axis)
            cost = F.relu(slope.abs() - slack) * _both(masks, step, axis)
            loss = loss + _share(cost.sum(), count)
    return loss


# --- disparity of unknown scale and shift --------------------------------------------------------
@in_float32
def scale_invariant_loss(
    prediction: torch.Tensor,
    target: torch.Tensor,
    mask: torch.Tensor,
    confidence: torch.Tensor | None = None,
    robust: bool = True,
    trim: float = 0.2,
    scales: int = 4,
) -> dict[str, torch.Tensor]:
    """Loss against relative disparity: whatever the scale and shift of either side.

    Ranftl et al., "Towards robust monocular depth estimation", 2020 (MiDaS), eq. 5-11, with a
    weight per pixel. Robust: both sides minus their median, over their mean deviation; mean
    absolute error, the largest residuals left out. Otherwise: target standardised, prediction
    aligned to it by least squares; mean squared error. An image counts as one whatever its size.

    Args:
        prediction, target: (B, 1, H, W), larger = nearer.
        mask: (B, 1, H, W), 0 = unknown.
        confidence: (B, 1, H, W) in [0, 1] or None; how far a target is to be trusted.
        robust: see above.
        trim: share of the valid pixels of an image left out (robust only); 0 for exact targets.
        scales: how many resolutions, each half the last, the gradient term compares.
    Returns:
        dict: "data", "gradient" (see `gradient_matching_loss`).
    """
    weight = mask if confidence is None else mask * confidence
    target = torch.where(weight > 0, target, 0)
    fit = normalize_robust if robust else _standardise
    target = fit(target, weight)
    prediction = fit(prediction, weight) if robust else align_upright(prediction, target, weight)
    error = (prediction - target).abs() if robust else (prediction - target).square()
    kept = weight * _untrimmed(error, weight, trim if robust else 0)
    return {
        "data": _mean_over_images(error, kept),
        "gradient": gradient_matching_loss(prediction, target, weight, scales=scales),
    }


@in_float32
def gradient_matching_loss(
    prediction: torch.Tensor, target: torch.Tensor, mask: torch.Tensor, scales: int = 4
) -> torch.Tensor:
    """Mean |slope of (prediction - target)|, both directions, summed over resolutions.

    Li and Snavely 2018, as in MiDaS: resolutions by taking every 2^k-th pixel. A slope counts by
    the smaller weight of its two pixels.

    Args:
        prediction, target: (B, 1, H, W), already aligned or in the same unit.
        mask: (B, 1, H, W) >= 0, 0 = unknown.
        scales: number of resolutions.
    """
    residual = prediction - torch.where(mask > 0, target, 0)
    loss = residual.new_zeros(())
    for k in range(scales):
        r, m = (x[..., :: 2**k, :: 2**k] for x in (residual, mask))
        for axis in (-2, -1):
            loss = loss + _mean_over_images(derivative(r, 1, axis).abs(), _both(m, 1, axis))
    return loss


@in_float32
def ranking_loss(
    prediction: torch.Tensor,
    target: torch.Tensor,
    mask: torch.Tensor,
    pairs: int = 4096,
    threshold: float = 0.03,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Ordered pairs should be ordered: Chen et al., "Single-image depth perception in the wild".

    log(1 + exp(-l (p1 - p2))) for pairs of order l = +1 or -1 in the target, (p1 - p2)^2 for those
    that are about equal; p is the prediction brought to median 0 and mean deviation 1.

    Args:
        prediction, target, mask: (B, 1, H, W), larger = nearer.
        pairs: drawn per image; those with an unknown end do not count.
        threshold: order is clear if values differ by more than this share of the smaller one.
        generator: torch.Generator on the CPU, so that every device draws the same; or None.
    """
    size, shape = prediction[0].numel(), (len(prediction), pairs)
    drawn = [torch.randint(size, shape, generator=generator) for _ in "ab"]
    ends = [end.to(prediction.device) for end in drawn]
    values = normalize_robust(prediction, mask), torch.where(mask > 0, target, 0), mask
    (p1, p2), (t1, t2), (m1, m2) = ([x.flatten(1).gather(1, e) for e in ends] for x in values)
    clear = (t1 - t2).abs() > threshold * torch.minimum(t1.abs(), t2.abs())
    order = torch.sign(t1 - t2)
    cost = torch.where(clear, F.softplus(-order * (p1 - p2)), (p1 - p2).square())
    return _mean_over_images(cost, torch.minimum(m1, m2))


def normalize_robust(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """x minus its median, over its mean absolute deviation, per image over pixels with weight.

    A constant image, or one without weight, is only shifted.

    Args:
        x, weight: (B, 1, H, W).
    """
    known = weight > 0
    median = torch.where(known, x, torch.nan).flatten(1).nanmedian(1).values[:, None, None, None]
    median = torch.where(known.any(-1, True).any(-2, True), median, 0)
    deviation = _image_mean((x - median).abs(), weight)
    flat = deviation <= 1e-6 * median.abs() + 1e-12
    return (x - median) / torch.where(flat, 1, deviation)


def align_upright(
    prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Least-squares scale and shift per image, but never with a negative scale.

    Least squares would turn an inside-out prediction over, and training would settle there. Where
    both sides disagree in sign the scale is the ratio of their spreads instead, so that the loss
    has a slope towards agreement.

    Args:
        prediction, target, weight: (B, 1, H, W).
    """
    scale, shift = fit_scale_shift(prediction, target, weight)
    middle = _image_mean(prediction, weight)
    spread = _image_mean((prediction - middle).square(), weight)
    goal = _image_mean((target - _image_mean(target, weight)).square(), weight)
    ratio = (goal / torch.where(spread > 0, spread, 1) + 1e-12).sqrt()
    turned = _image_mean(target, weight) + ratio * (prediction - middle)
    return torch.where(scale < 0, turned, scale * prediction + shift)


def _standardise(x, weight):
    """Mean 0 and standard deviation 1 per image; a constant is only shifted."""
    centred = x - _image_mean(x, weight)
    variance = _image_mean(centred.square(), weight)
    return centred / torch.where(variance > 1e-12, variance, 1).sqrt()


def _untrimmed(error, weight, trim):
    """1 for the smallest share 1 - trim of the weighted pixels of each image, else 0."""
    if trim == 0:
        return 1.0
    flat = torch.where(weight > 0, error.detach(), torch.inf).flatten(1).sort(1).values
    last = ((weight > 0).flatten(1).sum(1, True) * (1 - trim)).ceil().long() - 1
    return (error.detach() <= flat.gather(1, last.clamp(min=0))[:, :, None, None]).float()


def _image_mean(x, weight):
    """Weighted mean per image, (B, 1, 1, 1); 0 without weight."""
    dims = (1, 2, 3)
    return _share((x * weight).sum(dims, keepdim=True), weight.sum(dims, keepdim=True))


def _mean_over_images(cost, weight):
    """Weighted mean per image, then over the images that have any weight."""
    total, count = ((x * weight).flatten(1).sum(1) for x in (cost, 1))
    return _share(_share(total, count).sum(), (count > 0).sum())


# --- inpainting ----------------------------------------------------------------------------------
def gram(features: torch.Tensor) -> torch.Tensor:
    """Correlations of channels: F F^T / (C H W).

    Args:
        features: (B, C, H, W).
    Returns:
        (B, C, C).
    """
    flat = features.float().flatten(2)
    with torch.autocast(flat.device.type, enabled=False):
        return flat @ flat.transpose(1, 2) / flat[0].numel()


@in_float32
def total_variation(image: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of horizontal neighbours plus that of vertical ones."""
    return image.diff(dim=-1).abs().mean() + image.diff(dim=-2).abs().mean()


def inpainting_loss(
    output: torch.Tensor,
    truth: torch.Tensor,
    mask: torch.Tensor,
    known: torch.Tensor | None = None,
    features: Callable[..., Any] | None = None,
    kbe_only: bool = False,
    keeps_known: bool = False,
) -> dict[str, torch.Tensor]:
    """Terms of Liu et al., "Image inpainting for irregular holes", 2018, for one picture.

    Args:
        output, truth: (B, 3 or 1, H, W).
        mask: (B, 1, H, W), 1 = known, 0 = hole.
        known: what the network was given, default truth * mask.
        features: callable image -> sequence of feature maps (see models.features) that takes RGB in
            [0, 1], or None: no perceptual and no style term then.
        kbe_only: only "color" and, with features, "prc".
        keeps_known: the output is what was given wherever that is known, so that comparing the
            features of output and of composed picture would do the same twice.
    Returns:
        dict: "hole", "valid", "tv" and, with features, "prc" and "style".
    """
    output, truth, mask = output.float(), truth.float(), mask.float()
    known = truth * mask if known is None else known.float()
    composed = mask * known + (1 - mask) * output
    judged = [composed] if keeps_known else [output, composed]
    terms = _feature_terms(judged, truth, features) if features is not None else {}
    error = (output - truth).abs()
    if kbe_only:
        terms.pop("style", None)
        return terms | {"color": error.mean()}
    return terms | {
        "hole": ((1 - mask) * error).mean(),
        "valid": (mask * error).mean(),
        "tv": total_variation(composed),
    }


def _feature_terms(judged, truth, features):
    """Perceptual and style distance of some pictures to the truth, summed over the pictures."""
    *ours, theirs = (features(x.expand(-1, 3, -1, -1)) for x in (*judged, truth))
    prc = style = 0
    for *candidates, target in zip(*ours, theirs, strict=True):
        for candidate in candidates:
            prc = prc + (candidate.float() - target.float()).abs().mean()
            style = style + (gram(candidate) - gram(target)).abs().mean()
    return {"prc": prc, "style": style}


@in_float32
def adversarial_side_loss(
    output: torch.Tensor,
    known: torch.Tensor,
    mask: torch.Tensor,
    disparity: torch.Tensor | None = None,
    target: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """Terms that hold an adversarially trained generator to what it was shown.

    Args:
        output: (B, 3, H, W) inpainted picture.
        known: (B, 3, H, W) what was rendered, any value in holes.
        mask: (B, 1, H, W), 1 = known, 0 = hole.
        disparity: (B, 1, H, W) inpainted, or None.
        target: (B, 1, H, W) rendered disparity, any value in holes.
    Returns:
        dict: "valid", "tv" and, with disparity, "mask" (smooth disparity in and around holes,
        except at edges of the picture) and "valid_depth".
    """
    composed = mask * known + (1 - mask) * output
    terms = {
        "valid": (mask * (output - known)).abs().mean(),
        "tv": total_variation(composed),
    }
    if disparity is not None and target is not None:
        around = hole_surroundings(mask) * (1 - near_edges(output))
        smooth = masked_gradient_loss(disparity, around, (1,), 0.5)
        terms |= {"mask": smooth, "valid_depth": (mask * (disparity - target)).abs().mean()}
    return terms


def hole_surroundings(mask: torch.Tensor) -> torch.Tensor:
    """Holes and six pixels around them: where a 13x13 Gaussian of the mask falls below 1.

    Args:
        mask: (B, 1, H, W), 1 = known; H and W > 6.
    Returns:
        (B, 1, H, W) of 0 and 1.
    """
    # Not below 1 itself: the kernel's sum is 1 only up to rounding.
    return (gaussian_blur2d(mask, (13, 13), (1.5, 1.5)) < 1 - 1e-4).float()


def near_edges(image: torch.Tensor, threshold: float = 0.1) -> torch.Tensor:
    """Edges of a picture, three pixels wider on each side: (B, 1, H, W) of 0 and 1, no gradient."""
    edges = (sobel(rgb_to_grayscale(image.detach())) > threshold).float()
    return (gaussian_blur2d(edges, (7, 7), (1.0, 1.0)) > 0).float()


# --- adversarial ---------------------------------------------------------------------------------
def adversarial_loss(outputs: torch.Tensor | Sequence[torch.Tensor], real: bool) -> torch.Tensor:
    """Least squares against all ones (real) or all zeros (fake), averaged over the heads.

    Args:
        outputs: what a discriminator returns: one tensor or a sequence of them.
        real: which of the two they should say.
    """
    heads = [outputs] if isinstance(outputs, torch.Tensor) else outputs
    return torch.stack([(x.float() - float(real)).square().mean() for x in heads]).mean()
