"""Where networks and renderer run: on what works here, not on what says that it is there.

A torch that was built for CUDA finds a card whose architecture it no longer carries, or one whose
renderer lacks CuPy. So one number is computed there, and one kernel compiled, before it is chosen.
"""

import contextlib
import importlib
import logging
import os
import shutil
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from utils import UsageError

log = logging.getLogger("kbe.devices")  # train.py says it too

CPU = torch.device("cpu")


class Devices(NamedTuple):
    """Where the parts of a run compute."""

    networks: torch.device
    scene: torch.device  # the point cloud, and so its renderer: a CUDA device or the CPU
    why: str = ""  # the scene, or both, are on the CPU beside a GPU, and what to install


ON_CPU = Devices(CPU, CPU)


def choose_devices(name: str) -> Devices:
    """Resolve --device.

    Args:
        name: "cpu", "cuda", "mps", or "auto": a CUDA device if it works, else Metal, else the CPU.
    Raises:
        UsageError: the device that was asked for does not work; says why.
    """
    if name == "cpu":
        return ON_CPU
    missing = ""  # where there is no GPU at all, nothing is
    for kind in ("cuda", "mps") if name == "auto" else (name,):
        device, reason = torch.device(kind), why_not(kind)
        if reason and name == "auto":
            missing = missing or (reason if _is_there(kind) else "")
            continue
        if reason:
            raise _refused(name, reason)
        if kind == "mps":  # its clouds are rendered by the CPU's kernels
            return Devices(device, CPU)
        reason = why_no_renderer(device)
        if reason and name != "auto":
            raise _refused(name, reason)
        return Devices(device, CPU if reason else device, reason)
    return ON_CPU._replace(why=missing)


def trains_on_cuda(name: str, renders: bool) -> bool:
    """Resolve --device of train.py, which takes a CUDA device or the CPU, and say which.

    Args:
        name: "cpu", "cuda", or "auto": a CUDA device if it works.
        renders: whether kernels run beside the network.
    Raises:
        UsageError: the device that was asked for does not work; says why.
    """
    reason = "" if name == "cpu" else why_not("cuda")
    if name != "cpu" and renders and not reason:
        reason = why_no_renderer(own_cuda_device())
    if reason and name == "cuda":
        raise _refused(name, reason)
    if name == "cpu" or reason:
        log.info("training on the CPU%s", f": {reason}" if reason and _is_there("cuda") else "")
        return False
    log.info("training on %s", _called(own_cuda_device()))
    return True


def _refused(name: str, reason: str) -> UsageError:
    return UsageError(f"--device {name}: {reason}.\n  Or use --device auto or cpu.")


def _is_there(kind: str) -> bool:
    """Whether there is such a GPU, whatever torch can do with it."""
    if kind == "mps":
        return torch.backends.mps.is_available()
    return torch.cuda.is_available() or shutil.which("nvidia-smi") is not None


def tell(devices: Devices) -> None:
    """Say in one line what runs where, and what to install for more."""
    networks, scene = (_called(device) for device in (devices.networks, devices.scene))
    where = f"on {networks}" if networks == scene else f"on {networks}, the renderer on {scene}"
    what = "networks and renderer" if networks == scene else "networks"
    log.info("%s %s%s", what, where, f": {devices.why}" if devices.why else "")


def _called(device: torch.device) -> str:
    if device.type == "cuda":
        return f"CUDA ({torch.cuda.get_device_name(device)})"
    return {"mps": "the Mac's GPU (MPS)", "cpu": "the CPU"}.get(device.type, str(device))


def use_full_precision() -> Callable[[], None]:
    """Have this process compute float32 as such, so that depth is the same on every device.

    Else convolutions on an NVIDIA card round their inputs to TF32, 10 bits of 23, by torch's
    default, and a program may have asked for that, or for bfloat16 on a CPU, in products, too.

    Returns:
        Function that restores what was set before, by torch's older names and by its newer ones.
    """
    restore = contextlib.ExitStack()
    backends: Any = torch.backends
    parts = [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn]
    parts += [backends.mkldnn.matmul, backends.mkldnn.conv, backends.mkldnn.rnn]
    for part in parts:
        restore.callback(setattr, part, "fp32_precision", part.fp32_precision)
    # The older names, too: torch wants both to say the same. Where a program has set the newer ones
    # alone they do not, and cannot be read.
    with contextlib.suppress(RuntimeError):
        restore.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
        torch.set_float32_matmul_precision("highest")
    with contextlib.suppress(RuntimeError):
        restore.callback(setattr, backends.cudnn, "allow_tf32", backends.cudnn.allow_tf32)
        backends.cudnn.allow_tf32 = False
    for part in parts:
        part.fp32_precision = "ieee"
    return restore.close


def own_cuda_device() -> torch.device:
    """Return the CUDA device of this process, where several train together one each."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def why_not(kind: str) -> str:
    """Say why networks cannot run on "cuda" or "mps", and what to install; "" if they can."""
    if kind == "mps":
        there, missing = torch.backends.mps.is_available(), "torch finds no GPU of a Mac here"
    else:
        there, missing = torch.cuda.is_available(), _without_cuda()
    if not there:
        return missing
    try:
        # More than a copy: kernels are what a torch lacks for a card that it does not carry.
        if (torch.ones(1, device=own_cuda_device() if kind == "cuda" else kind) + 1).item() != 2:
            return f"torch computes wrong numbers on {kind.upper()}"
    except Exception as error:  # RuntimeError, AcceleratorError and others, by what is wrong
        return f"torch fails on {kind.upper()}: {_first_line(error)}"
    return ""


def _without_cuda() -> str:
    if torch.version.cuda is None:
        return "this torch is built without CUDA; see pytorch.org for a build with it"
    return "torch finds no CUDA device (is there a card, and its driver?)"


def why_no_renderer(device: torch.device) -> str:
    """Say why no kernel can run on a CUDA device, and what to install; "" if one can."""
    try:
        importlib.import_module("cupy")
    except ImportError:
        return f"for the renderer, {_cupy()}"
    except Exception as error:  # one that was built for another CUDA or NumPy
        return f"CuPy cannot be loaded ({_first_line(error)}): {_cupy()}"
    import kernels

    try:
        point = torch.tensor([[[0.0], [0.0], [1.0]]], dtype=torch.float32, device=device)
        if kernels.zbuffer(point, (1, 1), 2.0, 1.0).item() != 2.0:
            return "CuPy computes wrong numbers"
    except Exception as error:  # CuPy's, NVRTC's, and the loader's that finds no NVRTC
        return f"CuPy compiles no kernel ({_first_line(error)}): {_cupy()}"
    return ""


def _cupy() -> str:
    """What to type for a CuPy that fits this torch."""
    major = (torch.version.cuda or "13").partition(".")[0]
    nvrtc = "nvidia-cuda-nvrtc" if int(major) >= 13 else f"nvidia-cuda-nvrtc-cu{major}"
    return f"pip install cupy-cuda{major}x {nvrtc}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__
