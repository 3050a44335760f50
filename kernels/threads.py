"""How many threads work: one policy for the kernels, the frames of a film, and everything else."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")  # of a container: "max 100000", or quota and period
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container: "max", or bytes
FRAME_BYTES = 48  # per pixel, of what a thread that renders keeps at most (cpu_frame.py)


def thread_count() -> int:
    """Return how many threads may work: OMP_NUM_THREADS, or the cores that this process may use.

    A container's share of the processors counts as cores, rounded up: more threads than that only
    wait for each other.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        quota, period = CGROUP_LIMIT.read_text(encoding="utf-8").split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no container, or "max": no limit
        pass
    return max(1, cores)


def memory_bytes() -> int:
    """Return how much memory this machine, or this process's container, has; 8 GiB if unknown."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no such question
        total = 8 * 2**30
    try:
        return min(total, int(MEMORY_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no container, or "max": no limit
        return total


def render_threads(device: torch.device, size: tuple[int, int]) -> int:
    """Return how many frames are rendered at once: one on a GPU, which is parallel in itself.

    On the CPU one per thread that may work, unless their buffers took over an eighth of the memory.

    Args:
        device: of the scene.
        size: (height, width) of a frame, px.
    """
    if device.type != "cpu":
        return 1
    fitting = memory_bytes() // 8 // (FRAME_BYTES * size[0] * size[1])
    return max(1, min(thread_count(), fitting))


def run_all(function: Callable, tasks: Sequence[Sequence]) -> list:
    """Call `function(*task)` for every task, on all threads; return the results in order."""
    threads = min(len(tasks), thread_count())
    if threads <= 1:
        return [function(*task) for task in tasks]
    with ThreadPoolExecutor(threads) as pool:  # made per call: a kept one would not survive fork
        return list(pool.map(lambda task: function(*task), tasks))


def run_in_parts(function: Callable, count: int, least: int = 1) -> None:
    """Call function(begin, end) for parts of `count` things, on all threads; `least` per part."""
    parts = max(1, min(4 * thread_count(), count // least))
    ends = [count * part // parts for part in range(parts + 1)]
    run_all(function, list(zip(ends[:-1], ends[1:], strict=True)))
