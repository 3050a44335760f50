"""The kernels on a CUDA device: launches the sources in the `.cu` files through CuPy.

NVRTC compiles each file once, at first use, into CuPy's cache; neither the CUDA toolkit nor a host
compiler is needed. Work goes to torch's current stream, in torch's memory. Twin: `cpu.py`.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from .constants import DEFINITIONS, FULL, TOLERANCE
from .cpu_fill import UNITS
from .sources import digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .frames import Cloud, View

FOLDER = Path(__file__).parent
# Without fused multiply-adds the device decides like the CPU twin.
OPTIONS = ("--std=c++17", "--fmad=false", f"-I{FOLDER}", *DEFINITIONS)
THREADS = 256
# Sizes and devices of frames that needed four words a pixel: the next ones of a film will, too.
_crowded: set[tuple[Any, ...]] = set()
NOWHERE = float("-inf")  # disparity of the padding: never in front of anything


def options(source: str) -> tuple[str, ...]:
    """Return what NVRTC is told for a source file.

    CuPy knows what it has compiled by text and options: those have to tell of what is included.
    """
    return (*OPTIONS, f"-DSOURCES=0x{digest(FOLDER / source)}")


@lru_cache
def _module(source):
    """One compiled source file."""
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError(
            "rendering on a CUDA device needs CuPy: pip install cupy-cuda13x nvidia-cuda-nvrtc "
            "(or run with --device cpu)."
        ) from error
    text = (FOLDER / source).read_text(encoding="utf-8")
    return cupy.RawModule(code=text, options=options(source))


def _argument(value):
    """A kernel argument: tensors become addresses, whole numbers 64 bit unless given a type."""
    if isinstance(value, torch.Tensor):
        return np.uint64(value.data_ptr())
    return np.uint64(0) if value is None else value


def _cupy_stream(stream):
    """torch's CUDA stream as CuPy's."""
    import cupy

    if hasattr(cupy.cuda.Stream, "from_external"):  # of CuPy 14, which deprecates the other
        return cupy.cuda.Stream.from_external(stream)
    return cupy.cuda.ExternalStream(stream.cuda_stream, stream.device_index)


def launch(source: str, name: str, count: int, *arguments: Any) -> None:
    """Run kernel `name` of `source` with one thread for each of `count` items.

    Arguments are tensors on one device, None (a null pointer), or NumPy scalars of the exact type.
    """
    if count == 0:
        return
    import cupy

    device = next(a.device for a in arguments if isinstance(a, torch.Tensor))
    with cupy.cuda.Device(device.index), _cupy_stream(torch.cuda.current_stream(device)):
        kernel = _module(source).get_function(name)
        blocks = (count + THREADS - 1) // THREADS
        kernel((blocks,), (THREADS,), tuple(_argument(a) for a in arguments))


def _sizes(points, size):
    """Batch, number of points, height and width as the kernels take them."""
    return np.int32(len(points)), np.int64(points.shape[2]), *map(np.int32, size)


def _cameras(points, focal_px, baseline):
    """Focal lengths and baselines as (B,) float64 tensors beside the points."""
    cameras = torch.tensor([focal_px, baseline], dtype=torch.float64)
    return cameras.to(points.device).unbind()


def _padded(shape, size, device):
    """A z-buffer (B, H + 2, W + 2): 0 = empty, and nothing in the padding is ever in front."""
    padded = *shape, size[0] + 2, size[1] + 2
    buffer = torch.full(padded, NOWHERE, dtype=torch.float32, device=device)
    buffer[..., 1:-1, 1:-1] = 0
    return buffer


def _closed_zbuffer(points, size, cameras):
    """Padded z-buffers (B, H + 2, W + 2) before and after degridding."""
    batch, count, height, width = _sizes(points, size)
    buffer = _padded((len(points),), size, points.device)
    launch("pointcloud.cu", "largest_disparity", points.shape[0] * points.shape[2],
           points, *cameras, batch, count, height, width, buffer)  # fmt: skip
    return buffer, _degrid(buffer, size)


def _degrid(buffer, size):
    """A copy of a padded z-buffer (B, H + 2, W + 2) with one-pixel cracks closed."""
    closed = buffer.clone()
    launch("pointcloud.cu", "degrid", len(buffer) * size[0] * size[1],
           buffer, np.int32(len(buffer)), *map(np.int32, size), TOLERANCE, closed)  # fmt: skip
    return closed


def splat(
    points: torch.Tensor,
    features: torch.Tensor,
    size: tuple[int, int],
    focal_px: Sequence[float],
    baseline: Sequence[float],
) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Forward pass of `kernels.render_pointcloud`; focal_px and baseline are lists of B floats.

    Returns:
        view (B, C, H, W), coverage (B, 1, H, W), and the tensors that `gather` needs again.
    """
    batch, count, height, width = _sizes(points, size)
    channels = np.int32(features.shape[1])
    cameras = _cameras(points, focal_px, baseline)
    closed = _closed_zbuffer(points, size, cameras)[1]
    view, coverage = (
        torch.zeros(len(points), planes, *size, dtype=torch.float32, device=points.device)
        for planes in (features.shape[1], 1)
    )
    launch("pointcloud.cu", "splat", points.shape[0] * points.shape[2],
           points, features, *cameras, batch, channels, count, height, width, TOLERANCE,
           closed, view, coverage)  # fmt: skip
    launch("pointcloud.cu", "normalise", coverage.numel(),
           batch, channels, height, width, view, coverage)  # fmt: skip
    return view, coverage, (points, *cameras, closed, coverage)


def gather(grad_view: torch.Tensor, footprints: Any) -> torch.Tensor:
    """Backward pass of `kernels.render_pointcloud`: (B, C, H, W) -> (B, C, N)."""
    points, *cameras, closed, coverage = footprints
    batch, count, height, width = _sizes(points, grad_view.shape[2:])
    shape = len(points), grad_view.shape[1], points.shape[2]
    grad = torch.empty(shape, dtype=torch.float32, device=points.device)
    launch("pointcloud.cu", "gather", points.shape[0] * points.shape[2],
           points, *cameras, batch, np.int32(grad_view.shape[1]), count, height, width,
           TOLERANCE, closed, coverage, grad_view, grad)  # fmt: skip
    return grad


def zbuffer(
    points: torch.Tensor,
    size: tuple[int, int],
    focal_px: Sequence[float],
    baseline: Sequence[float],
    degridded: bool,
) -> torch.Tensor:
    """See `kernels.zbuffer`; focal_px and baseline are lists of B floats."""
    cameras = _cameras(points, focal_px, baseline)
    buffers = _closed_zbuffer(points, size, cameras)
    return buffers[int(degridded)][:, None, 1:-1, 1:-1].contiguous()


def disocclusion_mask(
    points: torch.Tensor,
    size: tuple[int, int],
    focal_px: Sequence[float],
    baseline: Sequence[float],
) -> torch.Tensor:
    """See `kernels.disocclusion_mask`; focal_px and baseline are lists of B floats."""
    batch, count, height, width = _sizes(points, size)
    cameras = _cameras(points, focal_px, baseline)
    padded = len(points), size[0] + 2, size[1] + 2
    winners = torch.full(padded, -1, dtype=torch.int64, device=points.device)  # all bits set
    mask = torch.zeros(len(points), 1, *size, dtype=torch.float32, device=points.device)
    launch("pointcloud.cu", "nearest_points", points.shape[0] * points.shape[2],
           points, *cameras, batch, count, height, width, winners)  # fmt: skip
    launch("pointcloud.cu", "mark_winners", winners.numel(),
           winners, batch, count, height, width, mask)  # fmt: skip
    return mask


@lru_cache
def _units(device):
    """The 16 directions of length one, (16, 2), on a device."""
    return torch.from_numpy(UNITS).to(device)


def _find_sources(known, nearness):
    """Index (B, H, W) int32 of the pixel of its sample that each pixel takes its value from.

    Args:
        known: (B, H, W) uint8.   nearness: (B, H + 2, W + 2) float32, smaller = farther.
    """
    shape = tuple(map(np.int32, known.shape))
    sources, rows = torch.empty((2, *known.shape), dtype=torch.int32, device=known.device)
    unresolved = torch.zeros(1, dtype=torch.int32, device=known.device)
    pixels, columns = known.numel(), known.shape[0] * known.shape[2]
    launch("fill.cu", "find_lines", pixels,
           known, nearness, _units(known.device), *shape, sources, unresolved)  # fmt: skip
    launch("fill.cu", "nearest_rows", columns, known, *shape, unresolved, rows)
    launch("fill.cu", "find_nearest", pixels, rows, *shape, unresolved, sources)
    return sources


def fill_disocclusion(view: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
    """See `kernels.fill_disocclusion`."""
    known = (depth[:, 0] > 0).to(torch.uint8)
    nearness = torch.nn.functional.pad(-depth[:, 0], (1, 1, 1, 1)).contiguous()
    sources = _find_sources(known, nearness).long().flatten(1)[:, None]
    return view.flatten(2).gather(2, sources.expand(-1, view.shape[1], -1)).view_as(view)


def _sum_colors(cloud, rims, camera, closed, words):
    """Splat a cloud, and its rims, by the padded z-buffer `closed` (1, H + 2, W + 2) of a frame.

    Args:
        cloud, rims: points, colors and spacing as in `kernels.render_frame`; rims may be None.
        words: per pixel of the sums, 2 or 4; see `frame.cu`.
    Returns:
        sums (P, words) int64; layer (P, 5) of the rims, or None; crowded (1,) int32, 1 where two
        words did not suffice.
    """
    pixels, device = closed.numel(), closed.device
    sums = torch.zeros(pixels, words, dtype=torch.int64, device=device)
    crowded = torch.zeros(1, dtype=torch.int32, device=device)
    told = crowded if words == 2 else None
    count = cloud[0].shape[1]
    launch("frame.cu", "frame_splat", count,
           *cloud, np.int64(count), *camera, closed, sums, told)  # fmt: skip
    if rims is None:
        return sums, None, crowded
    layer = torch.zeros(pixels, 5, dtype=torch.int64, device=device)
    count = rims[0].shape[1]
    launch("frame.cu", "frame_rims", count,
           *rims, np.int64(count), *camera, closed, sums, told, layer)  # fmt: skip
    return sums, layer, crowded


def render_frame(
    cloud: Cloud, view: View, fill: bool, rims: Cloud | None = None, numbers: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """See `kernels.render_frame`."""
    (points, _, spacing), (shift, size, focal_px, disparity_scale, lens) = cloud, view
    device, count, as_numbers = points.device, points.shape[1], np.int32(numbers)
    camera = *map(np.float32, (*shift, focal_px, disparity_scale, *lens)), *map(np.int32, size)
    padded = 1, size[0] + 2, size[1] + 2
    zbuffer = torch.zeros(padded, dtype=torch.float32, device=device)
    frame, holes, known = (
        torch.empty(*size, *channels, dtype=torch.uint8, device=device)
        for channels in ((3,), (), ())
    )
    launch("frame.cu", "frame_zbuffer", count,
           points, spacing, np.int64(count), *camera, zbuffer)  # fmt: skip
    closed = _degrid(zbuffer, size)
    film = size, device
    words = 4 if film in _crowded else 2
    sums, layer, crowded = _sum_colors(cloud, rims, camera, closed, words)
    if words == 4:
        crowded = sums[:, 3].max() >= int(FULL >> np.uint64(32))
    if not crowded.item():
        _crowded.discard(film)
    elif words == 2:  # hundreds of points on one pixel: a large photo in a small frame
        _crowded.add(film)
        words = 4
        sums, layer, _ = _sum_colors(cloud, rims, camera, closed, words)
    launch("frame.cu", "frame_normalise", known.numel(),
           sums, np.int32(words), *camera[7:], as_numbers, frame, holes, known)  # fmt: skip
    if fill:
        sources = _find_sources(known[None], closed)
        launch("fill.cu", "copy_colors", known.numel(), sources, np.int64(known.numel()), frame)
    if layer is not None:
        launch("frame.cu", "frame_compose", known.numel(),
               layer, *camera[7:], as_numbers, frame, holes)  # fmt: skip
    return frame, holes.bool()
