"""How every Numba kernel of this package is compiled, and shared out to threads."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import numba
import torch


def jit(function):
    """Compile for one thread without the GIL, and keep the machine code on disk if possible.

    Kernels run side by side in a thread pool (one frame, band or channel group each), so none is
    parallel in itself: results never depend on the number of threads. `error_model="numpy"`
    leaves out the zero-division tests that would stop LLVM from vectorising. Where neither the
    folder of the sources, nor NUMBA_CACHE_DIR, nor the user's cache folder can be written, or the
    disk is full, the kernel is compiled anew in every process instead.
    """
    options = {"nogil": True, "error_model": "numpy"}
    try:
        kernel = numba.njit(cache=True, **options)(function)
    except (RuntimeError, OSError):  # no writable place for the machine code
        return numba.njit(**options)(function)
    save = kernel._cache.save_overload

    def save_if_there_is_room(signature, code):
        with contextlib.suppress(OSError):
            save(signature, code)

    kernel._cache.save_overload = save_if_there_is_room
    return kernel


def run_all(function, tasks):
    """Call `function(*task)` for every task, on as many threads as torch may use."""
    threads = min(len(tasks), torch.get_num_threads())
    if threads <= 1:
        return [function(*task) for task in tasks]
    with ThreadPoolExecutor(threads) as pool:  # made per call: a kept one would not survive fork
        return list(pool.map(lambda task: function(*task), tasks))
