"""Point-cloud operators, one public function each, dispatched by the device of their arguments.

Camera frame: x right, y down, z forward, any unit. Pixel (0, 0) is centred at (0, 0) and the
principal point is ((W - 1) / 2, (H - 1) / 2). Disparity = focal_px * baseline / z, in px, larger
= nearer. CUDA tensors run in `cuda.py` (CuPy), everything else in the Numba twin `cpu.py`; tensors
of other devices (Apple MPS) travel to the CPU and back. `impl="cpu"` or `impl="cuda"` of each
operator chooses instead, so that one tensor can be run through both; the result comes back to where
the arguments are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from .frames import Cloud, View

if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "Cloud",
    "View",
    "disocclusion_mask",
    "fill_disocclusion",
    "render_frame",
    "render_pointcloud",
    "zbuffer",
]


def render_pointcloud(
    points: torch.Tensor,
    features: torch.Tensor,
    size: tuple[int, int],
    focal_px: float | torch.Tensor,
    baseline: float | torch.Tensor,
    impl: str | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Splat point clouds into one view each, keeping only the nearest surface.

    Three passes: keep per pixel the largest disparity (z-buffer); pull a pixel that lies behind
    both opposite neighbours forward to their mean, reading a copy (degrid); spread each point
    bilinearly over its four pixels unless the z-buffer there is over 1 px of disparity nearer.
    Gradients flow to `features`, not to `points`.

    Args:
        points: (B, 3, N) float32, camera frame, unit of `baseline`. Points with z < 0.001 and
            points that are not finite are dropped.
        features: (B, C, N) float32, any channels (colour in [0, 1], disparity, context).
        size: (height, width) of the view, px.
        focal_px: focal length, px; a number, or a tensor (B,) for one per sample.
        baseline: stereo baseline, only turns depth into disparity; a number or a tensor (B,).
        impl: "cpu", "cuda", or None: by the device of `points`.
    Returns:
        view (B, C, H, W), 0 where nothing landed; coverage (B, 1, H, W), summed weights, 0 =
        disoccluded (sums below 1e-4 count as nothing).
    Raises:
        ValueError: a shape, dtype or device does not fit, or a camera number is not positive.

    The CPU gives the same bytes for any number of threads. CUDA adds atomically: its last bits
    vary from run to run.
    Source: Niklaus et al., 3D Ken Burns Effect from a Single Image, 2019 (arXiv:1909.05483).
    """
    _check("points", points, "B3N")
    _check("features", features, "BCN", like=points)
    for axis, meaning in ((0, "clouds"), (2, "points")):
        if features.shape[axis] != points.shape[axis]:
            raise ValueError(
                f"features must have as many {meaning} as points, {points.shape[axis]}, "
                f"got {features.shape[axis]}."
            )
    return _Splat.apply(points, features, *_camera(points, size, focal_px, baseline), impl)


def fill_disocclusion(
    view: torch.Tensor, depth: torch.Tensor, impl: str | None = None
) -> torch.Tensor:
    """Fill the last holes of a frame: from the farther end of the shortest line that has two ends.

    For every frame of a film, after rendering; values only, nothing becomes part of the scene. The
    other hole rule is `utils.scene.filling.fill_from_far`: inpainting by rule, once, at both ends.
    16 directions are searched per hole pixel. A hole that no line bridges (at the border) takes
    the nearest known pixel; if nothing is known, the view is returned as it is.

    Args:
        view: (B, C, H, W) float32, any channels.
        depth: (B, 1, H, W) float32, larger = farther; <= 0 (or not a number) marks a hole.
        impl: as of `render_pointcloud`.
    Returns:
        (B, C, H, W), a filled copy; known pixels are unchanged. No gradient.
    Raises:
        ValueError: a shape, dtype or device does not fit.
    Source: as `render_pointcloud`.
    """
    _check("view", view, "BCHW")
    _check("depth", depth, "B1HW", like=view)
    wanted = (view.shape[0], 1, *view.shape[2:])
    if tuple(depth.shape) != wanted:
        raise ValueError(f"depth must be {wanted} like view, got {tuple(depth.shape)}.")
    if view.numel() == 0:
        return view.detach().clone()
    return _run("fill_disocclusion", impl, view, depth)


def disocclusion_mask(
    points: torch.Tensor,
    size: tuple[int, int],
    focal_px: float | torch.Tensor,
    baseline: float | torch.Tensor,
    impl: str | None = None,
) -> torch.Tensor:
    """Mark which points of a view's own cloud stay visible from a moved camera.

    Per target pixel the nearest point wins; points that tie to 1/16 px of disparity (the key that
    the published training used, kept so that its masks can be reproduced) go to the smaller index.

    Args:
        points: (B, 3, H * W) float32, row-major cloud of the view, already moved.
        size: (height, width), px.   focal_px, baseline, impl: as in `render_pointcloud`.
    Returns:
        (B, 1, H, W) float32 at the pixels of the *source* view: 1 = wins its target pixel,
        0 = hidden, outside the frame or behind the camera. Before any median.
    Raises:
        ValueError: a shape, dtype or device does not fit, or a camera number is not positive.
    Source: as `render_pointcloud`.
    """
    _check("points", points, "B3N")
    size, focals, baselines = _camera(points, size, focal_px, baseline)
    if points.shape[2] != size[0] * size[1]:
        raise ValueError(
            f"points must have one point per pixel of size {size}, {size[0] * size[1]}, "
            f"got {points.shape[2]}."
        )
    options = {"size": size, "focal_px": focals, "baseline": baselines}
    return _run("disocclusion_mask", impl, points, **options)


def zbuffer(
    points: torch.Tensor,
    size: tuple[int, int],
    focal_px: float | torch.Tensor,
    baseline: float | torch.Tensor,
    degridded: bool = True,
    impl: str | None = None,
) -> torch.Tensor:
    """Nearest disparity per pixel, as `render_pointcloud` uses it for its depth test.

    Args: as in `render_pointcloud`; degridded=False leaves out the closing of cracks.
    Returns:
        (B, 1, H, W) float32 disparity, px; 0 = no point is nearest here.
    Raises:
        ValueError: a shape, dtype or device does not fit, or a camera number is not positive.
    """
    _check("points", points, "B3N")
    size, focals, baselines = _camera(points, size, focal_px, baseline)
    options = {"size": size, "focal_px": focals, "baseline": baselines}
    return _run("zbuffer", impl, points, **options, degridded=bool(degridded))


def render_frame(
    cloud: Cloud,
    view: View,
    fill: bool = True,
    rims: Cloud | None = None,
    numbers: bool = False,
    impl: str | None = None,
) -> tuple[Any, Any]:
    """Render one 8-bit frame of a film: move, project, splat, normalise and fill in one go.

    The method is that of `render_pointcloud` followed by `fill_disocclusion`. On the CPU one call
    runs on one thread without the GIL: call it from a thread pool to render several frames at
    once. Its buffers are kept per thread for the next frame.

    Args:
        cloud: the points; z < 0.001 after the shift is dropped. Where a point's spacing (depth /
            focal_px where it was lifted) projects to more than 1.25 px it is drawn that wide, so
            that magnified surfaces show no cracks; without spacing all are small.
        view: the camera.
        fill: fill holes; otherwise they stay black.
        rims: a second, small cloud that is drawn over the first with an alpha, or None. The fourth
            channel is alpha: 0 to 254 from nothing to all, and 255 for all where the first cloud
            has the same point. For an edge that moves smoothly there must be points of alpha 0
            outside it and of 255 inside it.
        numbers: colours are the three bytes of one number of 24 bits, the highest first, and so is
            the frame: each pixel has the rounded mean number of the surface that it shows. A rim
            that covers half of a pixel or more hides what is behind it, any other shows nothing.
        impl: "cpu", "cuda", or None: by the device of the points.
    Returns:
        frame (H, W, 3) uint8, rounded; holes (H, W) bool, True where nothing landed, or rims cover
        less than half. NumPy arrays, or CUDA tensors if the points are one.
    Raises:
        ValueError: a shape, dtype or device does not fit, or a camera number is not positive.
    """
    view = _checked_view(view)
    on_gpu = isinstance(cloud[0], torch.Tensor) and cloud[0].is_cuda
    cloud = _checked_cloud("", Cloud(*cloud), "N3", on_gpu)
    if rims is not None:
        if len(rims) != 3:
            raise ValueError(f"rims must be points, colors and spacing, got {len(rims)} arrays.")
        rims = _checked_cloud("rims' ", Cloud(*rims), "N4", on_gpu)
    back_end = "cuda" if _on_cuda(on_gpu, impl) else "cpu"
    options = bool(fill), bool(numbers)
    return _render_on(back_end, cloud, rims, on_gpu and cloud.points.device, view, options)


def _checked_view(view):
    """A View of plain numbers."""
    shift, size, focal_px, disparity_scale, lens = View(*view)
    shift, lens = [float(value) for value in shift], [float(value) for value in lens]
    if len(shift) != 3 or not all(map(math.isfinite, shift)):
        raise ValueError(f"shift must be three finite numbers, got {shift}.")
    if len(lens) != 2 or not all(map(math.isfinite, lens)):
        raise ValueError(f"lens must be two finite numbers, got {lens}.")
    numbers = _positive("focal_px", focal_px), _positive("disparity_scale", disparity_scale)
    return View(shift, _size(size), *numbers, lens)


def _checked_cloud(whose, cloud, color_axes, on_gpu):
    """A Cloud of arrays that fit together."""
    kinds = Cloud(("float32", "3N"), ("uint8", color_axes), ("float32", "N"))
    return Cloud(
        *(
            None if array is None and name == "spacing"
            else _cloud_array(whose + name, array, *kind, cloud.points, on_gpu)
            for name, array, kind in zip(Cloud._fields, cloud, kinds, strict=True)
        )
    )  # fmt: skip


def _render_on(back_end, cloud, rims, device, view, options):
    """Render a checked frame in one back end; device: where the arrays are, False = NumPy's."""
    if back_end == "cuda":
        from .cuda import render_frame as render

        def ready(array):
            return array if device else torch.from_numpy(array).cuda()
    else:
        from .cpu_frame import render_frame as render

        def ready(array):
            return array.cpu().numpy() if device else array

    def all_ready(parts):
        return parts and Cloud(*(None if array is None else ready(array) for array in parts))

    fill, numbers = options
    found = render(all_ready(cloud), view, fill, all_ready(rims), numbers)
    if back_end == "cuda" and not device:
        found = tuple(part.cpu().numpy() for part in found)
    if back_end == "cpu" and device:
        found = tuple(torch.from_numpy(part).to(device) for part in found)
    return found


class _Splat(torch.autograd.Function):
    """`render_pointcloud` with its gradient: what a point gave to pixels, it collects from them."""

    @staticmethod
    def forward(ctx, points, features, size, focal_px, baseline, impl):
        """Render, and keep the footprints (which pixels, what weights) for the gradient."""
        ctx.back_end, ctx.place = _back_end(points, impl)
        view, coverage, footprints = ctx.back_end.splat(
            _ready(points, ctx.place), _ready(features, ctx.place), size, focal_px, baseline
        )
        ctx.save_for_backward(*footprints)
        ctx.device = points.device
        view, coverage = view.to(ctx.device), coverage.to(ctx.device)
        ctx.mark_non_differentiable(coverage)
        return view, coverage

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_view, _):
        """Gradient of the features; points and camera have none."""
        grad = None
        if ctx.needs_input_grad[1]:
            given = _ready(grad_view, ctx.place)
            grad = ctx.back_end.gather(given, ctx.saved_tensors).to(ctx.device)
        return None, grad, None, None, None, None


def _on_cuda(given, impl):
    """Whether the CUDA back end works; given: whether the arguments are on such a device."""
    if impl not in (None, "cpu", "cuda"):
        raise ValueError(f'impl must be "cpu", "cuda" or None, got {impl!r}.')
    if impl == "cuda" and not torch.cuda.is_available():
        raise ValueError('impl="cuda": torch finds no CUDA device.')
    return given if impl is None else impl == "cuda"


def _back_end(tensor, impl):
    """Module that runs the kernels of this tensor, and the device that it works on."""
    if _on_cuda(tensor.is_cuda, impl):
        from . import cuda

        return cuda, tensor.device if tensor.is_cuda else torch.device("cuda")
    from . import cpu

    return cpu, torch.device("cpu")


def _ready(tensor, place):
    """The tensor's values as the back ends take them: contiguous, detached, where they work."""
    return tensor.detach().to(place).contiguous()


def _run(name, impl, *tensors, **options):
    """Call the back end's function of this name, and bring its result to the tensors' device."""
    back_end, place = _back_end(tensors[0], impl)
    result = getattr(back_end, name)(*(_ready(tensor, place) for tensor in tensors), **options)
    return result.to(tensors[0].device)


def _check(name, tensor, axes, like=None):
    """Raise ValueError unless the tensor has these axes (a digit fixes one), float32, and a device.

    Args:
        axes: one letter or digit per dimension, as in "B3N".
        like: tensor whose device this one must share.
    """
    wanted = f"({', '.join(axes)}) float32"
    if not isinstance(tensor, torch.Tensor):
        raise ValueError(f"{name} must be a tensor {wanted}, got {type(tensor).__name__}.")
    fits = tensor.ndim == len(axes) and tensor.dtype == torch.float32
    if fits:
        fits = all(n == int(a) for a, n in zip(axes, tensor.shape, strict=True) if a.isdigit())
    if not fits:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise ValueError(f"{name} must be {wanted}, got {tuple(tensor.shape)} {kind}.")
    if like is not None and tensor.device != like.device:
        raise ValueError(f"{name} must be on {like.device}, got {tensor.device}.")


def _cloud_array(name, array, dtype, axes, points, on_gpu):
    """One array of `render_frame`'s cloud, checked and C-contiguous on the right device."""
    wanted = f"({', '.join(axes)}) {dtype}"
    if on_gpu and not (isinstance(array, torch.Tensor) and array.device == points.device):
        where = getattr(array, "device", "the CPU")
        raise ValueError(f"{name} must be a tensor {wanted} on {points.device}, got {where}.")
    array = array if on_gpu else np.asarray(array)
    kind = str(array.dtype).removeprefix("torch.")
    count = points.shape[-1] if len(points.shape) else 0
    shape = tuple(count if a == "N" else int(a) for a in axes)
    if kind != dtype or tuple(array.shape) != shape:
        found = f"{tuple(array.shape)} {kind}"
        raise ValueError(f"{name} must be {wanted} with N = {count}, got {found}.")
    return array.contiguous() if on_gpu else np.ascontiguousarray(array)


def _size(size):
    """(height, width) as two positive ints."""
    try:
        height, width = size
        height, width = int(height), int(width)
    except (TypeError, ValueError):
        raise ValueError(f"size must be (height, width), got {size!r}.") from None
    if height < 1 or width < 1:
        raise ValueError(f"size must be at least (1, 1), got {(height, width)}.")
    return height, width


def _positive(name, value):
    """A finite number above zero as a float."""
    value = float(value)
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be positive and finite, got {value}.")
    return value


def _camera(points, size, focal_px, baseline):
    """Checked size, and focal length and baseline as one float per sample."""
    return _size(size), *(
        _per_sample(name, value, points.shape[0])
        for name, value in (("focal_px", focal_px), ("baseline", baseline))
    )


def _per_sample(name, value, batch):
    """A number, or a tensor (B,), as a list of B positive floats."""
    values = value.tolist() if isinstance(value, (torch.Tensor, np.ndarray)) else value
    values = values if isinstance(values, (list, tuple)) else [values] * batch
    if len(values) != batch:
        raise ValueError(f"{name} must be a number or ({batch},), got {len(values)} values.")
    return [_positive(name, entry) for entry in values]
