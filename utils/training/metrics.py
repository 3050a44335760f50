"""Figures of merit for depth, disparity and pictures, over valid pixels only.

Every metric takes tensors of one shape, a mask that broadcasts to it (0 = leave the pixel out), and
pools over everything it is given: call it image by image and average if images should count
alike. A NaN in a prediction shows as NaN in the figure; with no valid pixel every figure is NaN.

What the reference system reports differs (masked pixels counted as perfect, a PSNR with the
squared peak); here are the textbook formulas. SSIM is kornia's.
"""

import math

import cv2
import numpy as np
import torch

from utils.filters import extremes, fill_nearest, nearest_pixels

EDGE_SIGMA_PX = math.sqrt(2)
EDGE_REACH_PX = 10  # Koch et al. 2018: beyond this an edge has no partner
ORDER_THRESHOLD = 0.03  # Xian et al. 2020: closer pairs count as equally far
OUTLINE_REACH = 0.02  # of the long side, how far an outline's surroundings go
INSIDE, INSIDE_AT_MOST = 2, 3  # reaches from any edge; that far along a surface to get there
OUTLINE_GAP_PX = 1.5  # nearer to an edge the truth itself mixes
STEP_WINDOW_PX = 3  # around an edge, in which both its ends are found
TORN = 0.5  # of a step: what is displaced by more goes with the other side


def depth_metrics(
    prediction: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor | None = None
) -> dict[str, float]:
    """Errors of depth against depth, or of disparity against disparity (both positive).

    Args:
        prediction: any shape, > 0; smaller values are taken as 1e-7.
        truth: same shape and unit, > 0 where valid.
        mask: 0 leaves a pixel out; default: where truth is finite and positive.
    Returns:
        dict of floats: abs_rel, sq_rel, rmse, rmse_log10, log10 (mean absolute error of log10),
        delta1, delta2, delta3 (shares with ratio < 1.25, 1.25^2, 1.25^3).
    """
    p, t = _valid(prediction, truth, mask)
    p, error = p.clamp(min=1e-7), p - t
    ratio = torch.maximum(p / t, t / p)
    log_error = torch.log10(p) - torch.log10(t)
    figures = {
        "abs_rel": (error.abs() / t).mean(),
        "sq_rel": (error**2 / t).mean(),
        "rmse": (error**2).mean().sqrt(),
        "rmse_log10": (log_error**2).mean().sqrt(),
        "log10": log_error.abs().mean(),
    }
    for k in (1, 2, 3):
        # A comparison turns NaN into False; the detour keeps a broken prediction visible.
        figures[f"delta{k}"] = ((ratio < 1.25**k) + 0 * ratio).mean()
    return {name: float(value) for name, value in figures.items()}


def fit_scale_shift(
    prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Least squares: scale and shift per image that bring `prediction` nearest to `target`.

    Closed form, differentiable, in the precision of `prediction`. Degenerate images are safe: a
    constant prediction gets scale 0 and shift = mean target, one without weight gets 0 and 0.

    Args:
        prediction, target: (B, 1, H, W); target finite where weight > 0.
        weight: (B, 1, H, W) >= 0, 0 = ignore.
    Returns:
        scale, shift: (B, 1, 1, 1).
    """
    w = weight.to(prediction).expand(prediction.shape)
    p, t = prediction, torch.where(w > 0, target, 0).to(prediction)
    total = w.sum((1, 2, 3), keepdim=True)
    share = w / torch.where(total > 0, total, 1)
    mean_p, mean_t = ((share * x).sum((1, 2, 3), keepdim=True) for x in (p, t))
    variance = (share * (p - mean_p) ** 2).sum((1, 2, 3), keepdim=True)
    covariance = (share * (p - mean_p) * (t - mean_t)).sum((1, 2, 3), keepdim=True)
    # Spread below float32 rounding of the mean is no spread.
    flat = variance <= 1e-12 * (mean_p**2) + 1e-24
    scale = torch.where(flat, 0, covariance / torch.where(flat, 1, variance))
    return scale, mean_t - scale * mean_p


def align(prediction: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """`prediction` with the scale and shift per image that fit `target` best (least squares).

    Args:
        prediction, target, mask: (B, 1, H, W).
    Returns:
        (B, 1, H, W).
    """
    scale, shift = fit_scale_shift(prediction, target, mask)
    return scale * prediction + shift


def correlation(
    prediction: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor | None = None
) -> float:
    """Pearson correlation over valid pixels; 0 if either side is constant."""
    p, t = _valid(prediction, truth, mask)
    p, t = p - p.mean(), t - t.mean()
    spread = (p.square().sum() * t.square().sum()).sqrt()
    return float((p * t).sum() / spread) if spread != 0 else 0.0


def ordinal_error(
    prediction: torch.Tensor,
    truth: torch.Tensor,
    mask: torch.Tensor | None = None,
    threshold: float = ORDER_THRESHOLD,
    pairs: int = 50_000,
    seed: int = 0,
) -> float:
    """Share of wrongly ordered pairs of pixels, of those that clearly differ in truth.

    Pairs are drawn uniformly with a fixed seed. Larger means the same (nearer, or farther) on
    both sides; neither scale nor shift of the prediction matters. A pair tied in the prediction is
    half wrong, so a constant scores 0.5, like a coin.

    Args:
        prediction, truth, mask: any one shape.
        threshold: pairs count whose values in truth differ by more than this share of the smaller.
        pairs: number of pairs drawn, before the threshold.
        seed: of the generator.
    Returns:
        float in [0, 1]; NaN if no pair differs.
    """
    p, t = _valid(prediction, truth, mask)
    if len(t) == 0:
        return math.nan
    first, second = np.random.default_rng(seed).integers(0, len(t), (2, pairs))
    p1, p2, t1, t2 = p[first], p[second], t[first], t[second]
    clear = (t1 - t2).abs() > threshold * torch.minimum(t1.abs(), t2.abs())
    agreement = torch.sign(p1 - p2) * torch.sign(t1 - t2)
    return float(((1 - agreement) / 2)[clear].mean())


def depth_edges(
    depth: np.ndarray, mask: np.ndarray | None = None, low: float = 0.15, high: float = 0.3
) -> np.ndarray:
    """Canny edges of a map whose values span about [0, 1], as iBims-1 takes them.

    Unknown pixels are filled from their nearest valid neighbour, and edges next to them dropped.

    Args:
        depth: (H, W) float array.
        mask: (H, W), 0 = unknown.
        low, high: hysteresis thresholds on the Sobel magnitude (a unit step gives about 2.3).
    Returns:
        (H, W) bool array.
    """
    known = np.isfinite(depth) if mask is None else (np.asarray(mask) > 0) & np.isfinite(depth)
    if not known.any():
        return np.zeros(depth.shape, bool)
    smooth = cv2.GaussianBlur(fill_nearest(depth, known), (0, 0), EDGE_SIGMA_PX)
    unit = 2000  # int16 gradients: 8 is the largest slope that a map in [0, 1] can have
    dx, dy = (
        (cv2.Sobel(smooth, cv2.CV_32F, *order) * unit).clip(-32767, 32767).astype(np.int16)
        for order in ((1, 0), (0, 1))
    )
    edges = cv2.Canny(dx, dy, low * unit, high * unit, L2gradient=True) > 0
    return edges & (cv2.erode(known.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)


def boundary_error(
    prediction: torch.Tensor,
    truth: torch.Tensor,
    mask: torch.Tensor | None = None,
    edges: np.ndarray | None = None,
) -> dict[str, float]:
    """Depth boundary error of iBims-1: how far predicted and true depth edges lie apart.

    Koch et al., "Evaluation of CNN-based single-image depth estimation methods", 2018, eq. 4.
    Accuracy: mean distance of the predicted edge pixels to the nearest true edge, predicted edges
    farther than 10 px left out. Completeness: mean distance of true edge pixels to the nearest
    predicted edge, at most 10 px. Both maps are brought to [0, 1] by the *truth's* range, so align
    the prediction first; one without edges scores 10 and 10.

    Args:
        prediction, truth: (..., H, W), one image (depth for iBims-1).
        mask: 0 = unknown truth; default: where truth is finite and positive.
        edges: (H, W) true edges if annotated; default: those of `truth`.
    Returns:
        dict of floats in px: dbe_accuracy, dbe_completeness. NaN if the truth has no edge.
    """
    real, guess = _image_array(truth), _image_array(prediction)
    known = np.isfinite(real) & (real > 0) if mask is None else _image_array(mask) > 0
    if not known.any():
        return {"dbe_accuracy": math.nan, "dbe_completeness": math.nan}
    low, high = float(real[known].min()), float(real[known].max())
    real, guess = ((x - low) / max(high - low, 1e-12) for x in (real, guess))
    true_edges = depth_edges(real, known) if edges is None else np.asarray(edges) > 0
    return _edge_distances(depth_edges(guess.clip(-1, 2), known), true_edges)


def outline_error(
    prediction: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor | None = None
) -> dict[str, float]:
    """How far things lose their shape along their outlines when the camera moves.

    Judged are pixels within 2 % of the long side of a true depth edge, 1.5 px away at least. Each
    is compared with the nearest pixel of its own surface that is twice as far from every edge,
    along a path over that surface of at most three times as far (where there is none the thing is
    too thin to be judged): how much more is it displaced against the truth than that one,
    as a share of the edge's step, at most 1? A wrong depth of a whole thing costs nothing, one that
    changes towards its outline does. Displacement is proportional to disparity, so both maps are
    disparity; align the prediction first.

    Args:
        prediction, truth: (..., H, W), one image, disparity.
        mask: 0 = unknown truth; default: where truth is finite and positive.
    Returns:
        dict of floats: bend, the mean; torn and dragged, the shares of the front's and of the
        back's pixels for which it is more than half. NaN where there is nothing to judge.
    """
    real, guess = _image_array(truth), _image_array(prediction)
    known = np.isfinite(real) & (real > 0) if mask is None else _image_array(mask) > 0
    judged, anchor, edge = beside_outlines(real, known)
    if not judged.any():
        return dict.fromkeys(("bend", "torn", "dragged"), math.nan)
    filled = fill_nearest(real, known)
    near, far = (values.flat[edge[judged]] for values in ends_of_steps(filled))
    error = guess - filled
    share = np.abs(error[judged] - error.flat[anchor[judged]]) / (near - far)
    # A comparison turns NaN into False; the detour keeps a broken prediction visible.
    wrong = (share > TORN) + 0 * share
    front = real[judged] > (near + far) / 2
    figures = {"bend": share.clip(max=1), "torn": wrong[front], "dragged": wrong[~front]}
    return {name: float(of.mean()) if of.size else math.nan for name, of in figures.items()}


def beside_outlines(
    truth: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which pixels `outline_error` judges, and by what.

    Args:
        truth: (H, W) disparity; known: (H, W) bool.
    Returns:
        judged (H, W) bool; anchor (H, W), flat index of the pixel of the same surface, deeper
        inside, that each is compared with, -1 = none; edge (H, W), that of the nearest edge.
    """
    span = float(np.ptp(truth[known])) if known.any() else 0
    edges = depth_edges((truth - truth[known].min()) / span, known) if span > 0 else known & False
    if not edges.any():
        return edges, np.full(truth.shape, -1), np.zeros(truth.shape, int)
    distance, edge = nearest_pixels(edges)
    reach = OUTLINE_REACH * max(truth.shape)
    inside = known & (distance >= INSIDE * reach)
    anchor = _nearest_along(inside, known & ~edges, round(INSIDE_AT_MOST * reach))
    return (distance >= OUTLINE_GAP_PX) & (distance <= reach) & (anchor >= 0), anchor, edge


def flattened(truth: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Carry disparity (H, W) from deeper inside up to each outline as it is, without its slope.

    What `outline_error` has of this tells how much of a figure is outlines, and how much slopes.
    """
    judged, anchor, _ = beside_outlines(truth, known)
    return np.where(judged, truth.flat[anchor], truth)


def ends_of_steps(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest and farthest disparity around each pixel, (H, W) both: a step's, where an edge is."""
    return extremes(truth, STEP_WINDOW_PX)[::-1]


def psnr(
    prediction: torch.Tensor,
    truth: torch.Tensor,
    mask: torch.Tensor | None = None,
    peak: float = 1.0,
) -> float:
    """Peak signal to noise ratio, 20 log10(peak / rmse), in dB; infinite if equal.

    Args:
        prediction, truth: (B, C, H, W).
        mask: broadcastable, 0 = leave out; default: all pixels.
        peak: largest possible value.
    """
    p, t = _chosen(prediction, truth, mask)
    return float(20 * math.log10(peak) - 10 * torch.log10((p - t).square().mean()))


def _valid(prediction, truth, mask):
    """Prediction and truth at the valid pixels, flat, float64."""
    mask = torch.isfinite(truth) & (truth > 0) if mask is None else mask
    return _chosen(prediction, truth, mask)


def _chosen(prediction, truth, mask):
    if prediction.shape != truth.shape:
        raise ValueError(
            f"prediction {tuple(prediction.shape)} and truth {tuple(truth.shape)} differ in shape; "
            "resize the prediction first"
        )
    # On the CPU, since not every device has float64.
    prediction, truth = (x.detach().cpu().double() for x in (prediction, truth))
    if mask is None:
        return prediction.flatten(), truth.flatten()
    keep = (mask.cpu() > 0).expand(truth.shape)
    return prediction[keep], truth[keep]


def _image_array(x):
    """(H, W) float32 array of one image, tensor or array, with any leading axes of length 1."""
    array = x.detach().cpu().float().numpy() if torch.is_tensor(x) else np.asarray(x, np.float32)
    return array.reshape(array.shape[-2:])


def _nearest_along(wanted, open_, steps):
    """Flat index of the wanted pixel that is fewest steps over open ones away, (H, W).

    -1 where it takes more than `steps`.
    """
    width = wanted.shape[1] + 2
    closed = ~np.pad(open_, 1).ravel()
    found = np.full(closed.size, -1)
    front = np.flatnonzero(np.pad(wanted, 1))
    found[front] = np.flatnonzero(wanted)
    for _ in range(steps):  # to the four neighbours
        reached = []
        for step in (-width, -1, 1, width):
            place = front + step
            new = ~closed[place] & (found[place] < 0)
            found[place[new]] = found[front[new]]
            reached.append(place[new])
        front = np.concatenate(reached)
    return found.reshape(-1, width)[1:-1, 1:-1]


def _edge_distances(predicted, true):
    """Boundary error of two edge maps, (H, W) bool."""
    if not true.any():
        return {"dbe_accuracy": math.nan, "dbe_completeness": math.nan}
    to_true = cv2.distanceTransform((~true).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    predicted = predicted & (to_true <= EDGE_REACH_PX)
    if not predicted.any():
        return {"dbe_accuracy": float(EDGE_REACH_PX), "dbe_completeness": float(EDGE_REACH_PX)}
    to_predicted = cv2.distanceTransform(
        (~predicted).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    return {
        "dbe_accuracy": float(to_true[predicted].mean()),
        "dbe_completeness": float(to_predicted[true].clip(max=EDGE_REACH_PX).mean()),
    }
