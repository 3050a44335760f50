"""What a card makes of this program: one file for a bug report.  python -m tests.gpu_report

Writes versions, the tests marked `gpu`, every kernel and a whole film on the CPU against CUDA, and
their speeds. Without a card it says so, and writes the versions. Ends with status 1 if a test or a
comparison failed.
"""

import argparse
import importlib.metadata
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

import kernels

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("torch", "numpy", "numba", "nvidia-cuda-nvrtc", "accelerate", "av")
SIZE = (480, 640)
CAMERA = (480, 640), 640.0, 20.0
FRAMES = 24


def versions():
    """Lines: the machine, its packages, the commit, and the card with what torch and CuPy see."""
    yield f"{platform.platform()}, Python {platform.python_version()}"
    cupy = [d.name for d in importlib.metadata.distributions() if (d.name or "").startswith("cupy")]
    for name in (*PACKAGES, *cupy):
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            yield f"{name}: not installed"
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    yield f"commit {done.stdout.strip() or 'unknown'}"
    # Its package may leave out which build it is.
    yield f"torch {torch.__version__} is built for CUDA {torch.version.cuda}"
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        yield f"card {index}: {card.name}, {card.major}.{card.minor}, {card.total_memory >> 20} MiB"


def scene():
    """Points (1, 3, N) with a step in depth, features (1, 3, N), and their spacing (N,)."""
    rng, focal_px = np.random.default_rng(0), CAMERA[1]
    ys, xs = np.indices(SIZE, np.float32) - np.float32(SIZE)[:, None, None] / 2 + 0.5
    depth = np.where(abs(xs) < SIZE[1] / 8, 20, 60 + 10 * np.sin(xs / 40)).astype(np.float32)
    points = np.stack([xs * depth / focal_px, ys * depth / focal_px, depth])
    points = torch.from_numpy(points.reshape(1, 3, -1)) + torch.tensor([1.0, 0.3, -4.0])[:, None]
    features = torch.from_numpy(rng.random((1, 3, points.shape[2]), dtype=np.float32))
    return points, features, torch.from_numpy((depth / focal_px).reshape(-1))


def operators():
    """{name of a kernel: function of impl that returns its result as a tensor}."""
    points, features, spacing = scene()
    view, coverage = kernels.render_pointcloud(points, features, *CAMERA)
    depth = torch.where(coverage > 0, 1.0, 0.0)
    colors = (features[0].T * 255).to(torch.uint8).contiguous().numpy()

    def gradient(impl):
        given = features.clone().requires_grad_()
        rendered = kernels.render_pointcloud(points, given, *CAMERA, impl=impl)[0]
        return torch.autograd.grad(rendered, given, view)[0]

    def frame(impl, narrowed=1):
        narrow = points[0].numpy() * np.float32([[narrowed], [narrowed], [1]])
        cloud = kernels.Cloud(narrow, colors, spacing.numpy())
        view = kernels.View((0, 0, 0), SIZE, CAMERA[1], 12800.0)
        return torch.from_numpy(kernels.render_frame(cloud, view, impl=impl)[0])

    return {
        "render_pointcloud": lambda impl: kernels.render_pointcloud(
            points, features, *CAMERA, impl=impl
        )[0],
        "its gradient": gradient,
        "zbuffer": lambda impl: kernels.zbuffer(points, *CAMERA, impl=impl),
        "disocclusion_mask": lambda impl: kernels.disocclusion_mask(points, *CAMERA, impl=impl),
        "fill_disocclusion": lambda impl: kernels.fill_disocclusion(view, depth, impl=impl),
        "render_frame": frame,
        "render_frame, crowded": lambda impl: frame(impl, 0.01),
    }


def measured(function, impl, repeats=5):
    """Result of a function, and the median of its seconds after a first call."""
    result, seconds = function(impl), []
    for _ in range(repeats):
        began = time.perf_counter()
        function(impl)
        seconds.append(time.perf_counter() - began)
    return result, float(np.median(seconds))


def compared(name, function):
    """(line, whether it is as it should be) of one kernel on the CPU and on CUDA."""
    (cpu, cpu_s), (cuda, cuda_s) = measured(function, "cpu"), measured(function, "cuda")
    difference = (cpu.double() - cuda.double()).abs()
    share = float((difference > (1 if cpu.dtype == torch.uint8 else 1e-3)).double().mean())
    speeds = f"CPU {1e3 * cpu_s:.1f} ms, CUDA {1e3 * cuda_s:.1f} ms with copies"
    line = f"{name}: largest difference {float(difference.max()):g}, over the limit {share:.4%}; "
    # Where a rounding decides between two surfaces, single pixels may differ.
    return line + speeds, share <= 0.002


def film(impl):
    """FRAMES frames (F, H, W, 3) of a camera that moves aside and forward."""
    points, features, spacing = scene()
    colors = (features[0].T * 255).to(torch.uint8).contiguous().numpy()
    cloud = kernels.Cloud(points[0].numpy(), colors, spacing.numpy())
    shifts = [(0.05 * t, -0.02 * t, -0.1 * t) for t in range(FRAMES)]
    frames = [
        kernels.render_frame(
            cloud, kernels.View(shift, SIZE, CAMERA[1], 12800.0, (0.1, 0.2)), impl=impl
        )[0]
        for shift in shifts
    ]
    return torch.from_numpy(np.stack(frames))


def report():
    """Yield (line, whether it is as it should be)."""
    for line in versions():
        yield line, True
    if not torch.cuda.is_available():
        yield "torch finds no CUDA device: nothing was run.", True
        return
    for name, function in {**operators(), f"film of {FRAMES} frames": film}.items():
        try:
            yield compared(name, function)
        except Exception as error:
            yield f"{name}: {type(error).__name__}: {error}", False
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "--tb=short", "tests"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    yield done.stdout + done.stderr, done.returncode == 0


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu_report.txt"), metavar="FILE")
    args = parser.parse_args(argv)
    failed = False
    with args.out.open("w", encoding="utf-8") as file:
        for line, good in report():
            failed |= not good
            for where in (file, sys.stdout):
                print(line if good else f"WRONG  {line}", file=where, flush=True)
    print(f"{args.out}: attach this file to the report")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
