"""What makes a command's start short: parts of torch and of the C library, used as films need."""

from __future__ import annotations

import ctypes
import importlib
import importlib.abc
import sys
import types
from collections.abc import Sequence

# Shapes of operators without data, for torch.compile and torch.export: a third of torch's import.
SHAPES = "torch._meta_registrations"
COMPILER = "torch._dynamo"  # behind torch.compile, torch.export, optimizers and checkpointing
# mallopt's numbers (malloc.h of glibc), and bytes: arrays come from memory that is there already,
# and what is freed stays ours, whichever thread it was; else the kernel clears every page of every
# array anew.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
KEPT_BYTES = 2**30
MOST_MMAP_THRESHOLD = 2**25  # that earlier versions of glibc take, mallopt(3); they refuse more


class _ShapesFirst(importlib.abc.MetaPathFinder):
    """Bring SHAPES before COMPILER, which does not load without: a network of one's own may ask."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> None:
        """Leave finding to others."""
        if fullname == COMPILER:
            complete_torch()


def import_torch() -> None:
    """Import torch without SHAPES, unless it is there already.

    `complete_torch` brings them, and so does whatever loads COMPILER.
    """
    if "torch" in sys.modules:
        return
    sys.modules[SHAPES] = types.ModuleType(SHAPES)
    try:
        torch = importlib.import_module("torch")
    finally:
        del sys.modules[SHAPES]
    if hasattr(torch, "_meta_registrations"):
        del torch._meta_registrations
    sys.meta_path.insert(0, _ShapesFirst())


def complete_torch() -> None:
    """Load SHAPES, for libraries that look at networks before they load them (transformers)."""
    importlib.import_module(SHAPES)


def keep_memory() -> None:
    """Let glibc give memory out again instead of handing it back; nothing elsewhere."""
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(M_ARENA_MAX, 1)
    if not mallopt(M_MMAP_THRESHOLD, KEPT_BYTES):
        mallopt(M_MMAP_THRESHOLD, MOST_MMAP_THRESHOLD)
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
