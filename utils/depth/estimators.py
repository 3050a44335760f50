"""Everything that can give disparity: our networks, a Hugging Face checkpoint, a depth-map file.

Each returns relative disparity, larger = nearer, of scale (and for most networks shift) unknown;
`utils.scene.cloud.scale_disparity` makes it the scene's.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from kernels.threads import run_all
from models.roles import REFINEMENT_SIDE
from utils.depth.map_files import inner_name, read_depth
from utils.depth.map_kind import FAR_OVER_NEAR, guess_kind, to_disparity, why_relative
from utils.depth.outlines import align_outlines
from utils.depth.segments import find_segments
from utils.depth.sharpening import blur_px, resize_disparity, upsample_disparity
from utils.depth.straight import straighten
from utils.film.photos import as_bytes
from utils.filters import fill_nearest
from utils.starting import complete_torch

log = logging.getLogger("kbe")

# Edges less blurred than this, in px of a quarter-size copy, would lose by passing through it.
# (benchmarks.outlines: at twice dragged +3 % and boundaries no nearer on average.)
QUARTER_BLUR = 0.85
# A map that is enlarged by no more has its edges at the photo's by that, and knows its lines: maps
# of 500 px and more, by eye.
FINE = 2.5
HUB_S = 6.0  # that the Hugging Face hub has to answer
LARGEST_DISPARITY = 1e37  # so that differences stay finite in single precision


def resize_image(image: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Resize (1, 3, H, W), averaging where it shrinks so that fine texture does not alias."""
    if tuple(size) == tuple(image.shape[2:]):
        return image
    if size[0] < image.shape[2]:
        return F.interpolate(image, tuple(size), mode="area")
    return F.interpolate(image, tuple(size), mode="bilinear", align_corners=False)


@torch.inference_mode()
def estimate_disparity(network: Any, image: torch.Tensor) -> torch.Tensor:
    """Estimate coarse disparity with one of our networks.

    Args:
        network: models.roles.Estimator in eval mode, from `utils.weights.loading.load_estimator`.
        image: (1, 3, H, W) RGB in [0, 1].
    Returns:
        (1, 1, h, w) float32 relative disparity on the CPU; may be negative.
    """
    small = resize_image(image, network.working_size(image.shape[2:]))
    return network.predict(small.to(next(network.parameters()).device)).cpu()


@torch.inference_mode()
def refine_disparity(network: Any, image: torch.Tensor, disparity: torch.Tensor) -> torch.Tensor:
    """Bring coarse disparity to the size and the edges of the photo.

    Networks take it at a quarter of their size. An estimate with finer edges than that keeps them:
    it is enlarged straight away, as without a network. Last, edges are moved to the
    outlines that colours show, and what is straight in the photo is made straight.

    Args:
        network: models.roles.Refiner in eval mode; None enlarges without one.
        image: (1, 3, H, W) RGB in [0, 1].
        disparity: (1, 1, h, w) relative disparity, as estimated.
    Returns:
        (1, 1, H, W) float32 relative disparity, not negative, on the CPU.
    Raises:
        ValueError: a network gave something else than numbers.
    """
    _check_finite(disparity, "estimation", "--estim-path")
    sharp = _sharpen(network, image, disparity)
    _check_finite(sharp, "refinement", "--refine-path")
    return _enlarge(sharp, image, disparity.shape[2:])


def _check_finite(disparity, role, flag):
    bad = int((~disparity.isfinite()).sum())
    if bad:
        raise ValueError(
            f"depth {role} gave NaN or infinity for {bad} of {disparity.numel()} pixels: its "
            f"weights are broken.\n  Give others by {flag}, or leave it out."
        )


def _enlarge(disparity, image, known, straight=True):
    """Bring (1, 1, h, w) to its photo, its outlines, its lines; what is known has size `known`."""
    pixels, scale = as_bytes(image), max(image.shape[2:]) / max(known)

    def enlarge():
        enlarged = upsample_disparity(disparity, image, pixels)[0, 0].numpy()
        return align_outlines(enlarged, pixels, scale)

    def find_lines():
        return find_segments(pixels) if straight else []

    # Both at once: what finds segments runs on one thread, and needs no depth.
    enlarged, segments = run_all(lambda part: part(), [(enlarge,), (find_lines,)])
    return torch.from_numpy(straighten(enlarged, segments, scale))[None, None]


def _sharpen(network, image, disparity):
    """Disparity (1, 1, h, w), not negative, to be enlarged: sharp at its size, if it can be."""
    given = _not_negative(disparity)
    if network is None:
        return given
    size = network.working_size(image.shape[2:], given.shape[2:])
    shrinks = 4 * max(given.shape[2:]) / min(REFINEMENT_SIDE, max(size))
    if shrinks > 1 and blur_px(given) < QUARTER_BLUR * shrinks:
        return given
    device = next(network.parameters()).device
    quarter = resize_disparity(disparity, [side // 4 for side in size])
    refined = network.refine(resize_image(image, size).to(device), quarter.to(device))
    return _not_negative(refined)


def _not_negative(disparity):
    disparity = disparity.float().cpu()
    return disparity - disparity.amin().clamp(max=0)


class HuggingFaceEstimator:
    """A depth-estimation checkpoint in the format of Hugging Face Transformers.

    Args:
        name: "org/name" on the hub, or a local folder with config.json.
        device: where it runs.
    Raises:
        ValueError: transformers is missing or does not load, or the checkpoint cannot be loaded;
            within seconds where there is no network.
    """

    def __init__(self, name: str, device: str | torch.device = "cpu") -> None:
        """Load processor and network; code that a checkpoint brings along is never run."""
        _check_transformers(name)
        try:
            parts = self._load(name, here=True)  # asks the network nothing
        except Exception as error:  # a damaged or hostile folder may raise anything
            if Path(name).is_dir():
                raise _cannot_load(name, error) from error
            _reach_hub(name)
            log.info("fetching %s from the Hugging Face hub, once", name)
            try:
                parts = self._load(name, here=False)
            except Exception as error:
                raise _cannot_load(name, error) from error
        self.processor, self.network = parts[0], parts[1].eval().to(device)
        self.device, self.gives_depth = device, predicts_depth(self.network.config)

    def _load(self, name: str, here: bool) -> tuple[Any, Any]:
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation

        options = {"trust_remote_code": False, "local_files_only": here}
        return (
            AutoImageProcessor.from_pretrained(name, **options),
            AutoModelForDepthEstimation.from_pretrained(name, **options),
        )

    @torch.inference_mode()
    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Return (1, 1, h, w) relative disparity of (1, 3, H, W) RGB in [0, 1]."""
        inputs = self.processor(images=as_bytes(image), return_tensors="pt").to(self.device)
        predicted = self.network(**inputs).predicted_depth.float().cpu()
        predicted = predicted.reshape(1, 1, *predicted.shape[-2:])
        return 1 / predicted.clamp(min=1e-3) if self.gives_depth else predicted


def _check_transformers(name):
    """See that transformers can be used, and let it show no bars and warnings of its own."""
    complete_torch()
    try:
        import transformers
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise _does_not_load(name, error) from error
        raise ValueError(
            f"{name} is a Hugging Face checkpoint, and transformers is not "
            "installed.\n  pip install transformers"
        ) from error
    except Exception as error:  # a torchvision for another torch raises RuntimeError
        raise _does_not_load(name, error) from error
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()


def _does_not_load(name, error):
    while error.__cause__ is not None:
        error = error.__cause__
    return ValueError(
        f"{name} is a Hugging Face checkpoint, and transformers is installed but does not load: "
        f"{_first_line(error)}\n  Packages that do not fit each other: "
        "pip install --upgrade torch torchvision transformers"
    )


def _cannot_load(name, error):
    return ValueError(
        f"cannot load {name} as a depth-estimation checkpoint: {_first_line(error)}\n"
        "  Give hf:org/name, or a folder with config.json, "
        "preprocessor_config.json and model.safetensors."
    )


def _first_line(error):
    return str(error).strip().splitlines()[0] if str(error).strip() else repr(error)


def _reach_hub(name):
    """Raise ValueError if the hub does not answer, or has no such model, within seconds.

    The library itself would ask again for minutes.
    """
    from huggingface_hub import HfApi

    answers = queue.Queue()

    def ask():
        try:
            HfApi().model_info(name, timeout=HUB_S)
            answers.put(None)
        except Exception as error:
            answers.put(error)

    # In a thread that is left alone in the end: nothing else bounds the search for an address.
    threading.Thread(target=ask, daemon=True).start()
    try:
        error = answers.get(timeout=HUB_S)
    except queue.Empty:
        error = TimeoutError("no answer")
    if error is None:
        return
    response = getattr(error, "response", None)
    if response is None or response.status_code >= 500:
        raise ValueError(
            f"{name} is not on this machine, and the Hugging Face hub cannot be reached "
            f"({_first_line(error)}).\n  Go online, or give a folder that holds it."
        ) from error
    if response.status_code in (401, 404):
        raise ValueError(
            f"the Hugging Face hub has no {name}, or keeps it private.\n"
            "  Check the spelling; for a private one log in: hf auth login"
        ) from error


def predicts_depth(config: Any) -> bool:
    """Say whether a depth-estimation checkpoint's `predicted_depth` is depth, not disparity.

    Relative models are trained on disparity, and so is Depth Pro (it inverts only afterwards);
    metric models give metres.
    """
    family = config.model_type
    if family in ("zoedepth", "glpn", "prompt_depth_anything", "chmv2", "tipsv2_dpt"):
        return True
    if family == "depth_anything":
        return getattr(config, "depth_estimation_type", "relative") == "metric"
    if family == "dpt":  # MiDaS and its kin are relative; DINOv2's DPT heads were trained on metres
        backbone = getattr(config, "backbone_config", None)
        return getattr(backbone, "model_type", "") == "dinov2"
    return False


def is_hugging_face(path: str | Path) -> bool:
    """Whether --estim-path names a Hugging Face checkpoint: hf:org/name or a folder."""
    return str(path).startswith("hf:") or Path(path).is_dir()


def read_disparity(
    path: Path,
    kind: str | None = None,
    fit: Callable[..., Any] | None = None,
    layer: str | None = None,
) -> tuple[np.ndarray, str]:
    """Read a depth-map file as relative disparity.

    Args:
        path: file in any format of `utils.depth.map_files.read_depth`.
        kind: "disparity", "metric-depth" (from the camera), "relative-depth" (from the nearest
            point), "depth" (either: guessed), or None to guess all.
        fit: function that turns the map as the photo lies and says so, see
            `utils.depth.maps.fit_shape`; None: it is right as it is.
        layer: which of several arrays or channels; None: as of `read_depth`.
    Returns:
        (h, w) float32, finite, not negative; and what is to be said of it.
    Raises:
        ValueError: unreadable, or nothing in it is known.
    """
    if layer is not None and not inner_name(path, layer):
        raise ValueError(f"{path}: holds one map without a name.\n  Leave out --depth-layer.")
    values, fitted, reason = read_depth(path, layer), "", "as told by --depth-kind"
    try:
        if fit:
            values, fitted = fit(values)
        if kind is None:
            kind, reason = guess_kind(path, values, layer)
        why = why_relative(path, values) if kind == "depth" else ""
        if why:
            reason += f"; {why}, so it has no scale (if it has: --depth-kind metric-depth)"
        if why or kind == "relative-depth":
            kind = "relative depth"
            reason += f"; the farthest is taken for {FAR_OVER_NEAR} times as far as the nearest"
        kind = "depth" if kind == "metric-depth" else kind
        disparity = to_disparity(values, kind)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    unknown = ~np.isfinite(disparity)
    note = f"{path}: taken as {kind} ({reason})"
    if unknown.any():
        note += f"; {unknown.mean():.1%} unknown, filled from the nearest known pixel"
        disparity = fill_nearest(disparity, ~unknown)
    if fitted:
        note += f"; {fitted}"
    disparity = disparity.clip(-LARGEST_DISPARITY, LARGEST_DISPARITY)
    return disparity - min(0.0, float(disparity.min())), note


def fit_disparity(disparity: np.ndarray, image: torch.Tensor) -> torch.Tensor:
    """Bring a given disparity map to the size of the photo.

    A map at least as large keeps its own edges; a smaller one is enlarged along the photo's, and if
    it is smaller by more than FINE, straight lines become straight as in an estimate.

    Args:
        disparity: (h, w) float32 from `read_disparity`, of the same view as the image.
        image: (1, 3, H, W) RGB in [0, 1].
    Returns:
        (1, 1, H, W) float32.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(disparity))[None, None]
    if tensor.shape[2:] == image.shape[2:]:
        return tensor
    if tensor.shape[2] >= image.shape[2]:
        return F.interpolate(tensor, tuple(image.shape[2:]), mode="nearest-exact")
    fine = max(image.shape[2:]) <= FINE * max(tensor.shape[2:])
    return _enlarge(tensor, image, tensor.shape[2:], straight=not fine)
