"""How every Numba kernel is compiled."""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("kbe.kernels")  # what is said to kbe's user is said to this one's parent


def _skip_scipy() -> None:
    """Keep Numba from loading SciPy, 0.2 s of every start: no kernel needs its BLAS.

    Numba looks for it where this module of its own is first loaded, and takes its absence for an
    answer; None in the table of modules says that one is absent.
    """
    blas = "scipy.linalg.cython_blas"
    if blas not in sys.modules and "numba.np.arraymath" not in sys.modules:
        sys.modules[blas] = None  # type: ignore[assignment]
        try:
            importlib.import_module("numba.np.arraymath")
        finally:
            del sys.modules[blas]


_skip_scipy()


def jit(function: Callable) -> Callable:
    """Compile for one thread without the GIL, and keep the machine code on disk if possible.

    Kernels run side by side in a thread pool (one frame, band or channel group each), so none is
    parallel in itself: results never depend on the number of threads. `error_model="numpy"`
    leaves out the zero-division tests that would stop LLVM from vectorising. Where neither the
    folder of the sources, nor NUMBA_CACHE_DIR, nor the user's cache folder can be written, or the
    disk is full, the kernel is compiled anew in every process instead.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        kernel = numba.njit(cache=True, **options)(function)
    except (RuntimeError, OSError):  # no writable place for the machine code
        return numba.njit(**options)(function)
    save = kernel._cache.save_overload

    def save_if_there_is_room(signature, code):
        with contextlib.suppress(OSError):
            save(signature, code)

    kernel._cache.save_overload = save_if_there_is_room
    load = kernel._cache.load_overload

    def load_or_tell(signature, target):
        code = load(signature, target)
        if code is None and not os.path.exists(kernel._cache._cache_file._index_path):
            tell_compiling()
        return code

    kernel._cache.load_overload = load_or_tell
    return kernel


@functools.cache
def tell_compiling() -> None:
    """Say, once in a process, that no machine code of an earlier one was found."""
    log.info("compiling the renderer, once: about a minute")
