"""How every Numba kernel is compiled."""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
from llvmlite import binding as llvm

from .sources import digest

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


# All that we need of Numba beyond its documentation is from here to `_keep`; where it moves,
# tests/kernels/test_machine_code.py and tests/test_private_names.py fail.


def _names_class():
    """What Numba's cache of one function is called, and what it holds."""
    from numba.core.caching import CompileResultCacheImpl

    numbas = CompileResultCacheImpl._locator_classes
    (in_tree,) = (place for place in numbas if place.__name__.endswith("InTreeCacheLocator"))

    class ToRead(in_tree):
        """Beside the sources, where somebody else has put the code: a container's build, say."""

        def __init__(self, function, file):
            self.kept = f"*.{function.__qualname__}-{digest(file)}.*.nbi"
            super().__init__(function, file)

        def ensure_cache_path(self):
            folder = Path(self.get_cache_path())
            if os.access(folder, os.W_OK) or not any(folder.glob(self.kept)):
                raise OSError("not here")  # Numba asks for the next place, one to write to

    class Names(CompileResultCacheImpl):
        _locator_classes = [ToRead, *numbas]

        def __init__(self, function):
            self.digest = digest(function.__code__.co_filename)
            super().__init__(function)

        def get_filename_base(self, fullname, abiflags):
            version = f"py{sys.version_info[0]}{sys.version_info[1]}{abiflags}"
            self.any_version = f"{fullname.replace('<', '').replace('>', '')}-*.{version}.*"
            return self.any_version.replace("*", self.digest, 1).removesuffix(".*")

        def reduce(self, result):
            return _set_apart(super().reduce(result))

        def rebuild(self, target, kept):
            return _put_together(super().rebuild, target, kept)

    return Names


@functools.cache
def _cache_class():
    """Numba's cache of one function, its files named by what the function is compiled from.

    Numba's own are named by line number and hold a digest of the function's file alone.
    """
    from numba.core.caching import FunctionCache
    from numba.core.runtime import rtsys

    class Kept(FunctionCache):
        _impl_class = _names_class()

        def load_overload(self, signature, target):
            code = None
            # Of all that Numba would prepare here, as if to compile, machine code needs but this.
            rtsys.initialize(target)
            with self._guard_against_spurious_io_errors(), _where_numba_moved():
                code = self._load_overload(signature, target)
            here = Path(self.cache_path, f"{self._impl.filename_base}.nbi")
            if code is None and not here.exists():
                tell_compiling()
            return code

        def save_overload(self, signature, code):
            # A full disk, or a file that another process holds open on Windows, stops nothing.
            with contextlib.suppress(OSError), _where_numba_moved():
                super().save_overload(signature, code)
                for path in Path(self.cache_path).glob(self._impl.any_version):
                    if not path.name.startswith(f"{self._impl.filename_base}."):
                        path.unlink(missing_ok=True)  # of an earlier version of the project

    return Kept


@contextlib.contextmanager
def _where_numba_moved():
    """Let a Numba whose inner parts are not those we know compile anew, and say so once."""
    try:
        yield
    except (AttributeError, TypeError, ValueError) as error:
        _tell_moved(str(error))


@functools.cache
def _tell_moved(what):
    log.warning("Numba %s keeps no machine code for us: %s", numba.__version__, what)


def _set_apart(reduced):
    """What is kept of a kernel: names that its machine code defines, and what others would inline.

    Numba parses that part of every kernel that it loads, for most of the time that loading takes;
    here it is another's turn: what was compiled with it is in the machine code.
    """
    (name, kind, (code, inlined)), *rest = reduced
    module = llvm.parse_bitcode(inlined)
    defined = [
        symbol.name
        for symbols in (module.functions, module.global_variables)
        for symbol in symbols
        if not symbol.is_declaration
    ]
    nothing = llvm.parse_assembly("").as_bitcode()
    return inlined, defined, ((name, kind, (code, nothing)), *rest)


def _put_together(rebuild, target, kept):
    """What Numba rebuilds from what `_set_apart` kept."""
    inlined, defined, reduced = kept
    target.codegen()._engine._defined_symbols.update(defined)
    result = rebuild(target, reduced)
    linked = functools.cache(lambda: llvm.parse_bitcode(inlined))
    result.library._get_module_for_linking = linked  # only if a kernel that calls it is new
    return result


def _keep(kernel: Any, function: Callable) -> None:
    """Keep a kernel's machine code on disk, if possible."""
    try:
        with _where_numba_moved():
            kernel._cache = _cache_class()(function)
    except (RuntimeError, OSError):  # no writable place for the machine code
        pass
    except ImportError as error:
        _tell_moved(str(error))


def jit(function: Callable | None = None, **options: Any) -> Any:
    """Compile for one thread without the GIL, and keep the machine code on disk if possible.

    Kernels run side by side in a thread pool (one frame, band or channel group each), so none is
    parallel in itself: results never depend on the number of threads. `error_model="numpy"`
    leaves out the zero-division tests that would stop LLVM from vectorising. What is kept is known
    by a digest of all files of the project that the function's file imports (`sources.py`), so it
    is never older than its source; another version replaces it. What lies beside the sources is
    taken from there, too, where that folder cannot be written. Where it holds nothing, and neither
    NUMBA_CACHE_DIR nor the user's cache folder can be written, or the disk is full, the kernel is
    compiled anew in every process instead.

    Args:
        function: what is compiled: `@jit`, or `@jit(fastmath=...)`.
        options: of `numba.njit`, beside these.
    """
    if function is None:
        return functools.partial(jit, **options)
    kernel = numba.njit(nogil=True, error_model="numpy", **options)(function)
    _keep(kernel, function)
    return kernel


@functools.cache
def tell_compiling() -> None:
    """Say, once in a process, that no machine code of these sources was found."""
    log.info("compiling the renderer, once: about a minute")
