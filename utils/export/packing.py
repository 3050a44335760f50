"""Arrays as few bytes: what a page carries, and its script unpacks (page_files/unpack.js).

Columns are stored as differences modulo their size, low and high bytes apart, one after the other;
then all is deflated together (RFC 1950).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any


class Packer:
    """Collects named arrays; `packed` returns them as one stream, `sections` where each lies."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._parts: list[bytes] = []
        self.length = 0
        self.sections: dict[str, dict[str, Any]] = {}

    def column(self, name: str, values: np.ndarray) -> None:
        """Add whole numbers (N,), uint8 or uint16, whose neighbours are alike."""
        self._add(name, values, np.diff(values, prepend=values.dtype.type(0)))

    def map(self, name: str, values: np.ndarray) -> None:
        """Add a smooth map (H, W) of uint16, each predicted as a plane through three neighbours."""
        rest = np.diff(np.diff(values, axis=0, prepend=np.uint16(0)), axis=1, prepend=np.uint16(0))
        self._add(name, values, rest.reshape(-1), list(values.shape))

    def bits(self, name: str, values: np.ndarray) -> None:
        """Add booleans of any shape, eight a byte, the first one highest."""
        self._add(name, values, np.packbits(values), list(values.shape), "bits")

    def floats(self, name: str, values: np.ndarray) -> None:
        """Add float32 values as they are."""
        values = np.ascontiguousarray(values, "<f4")
        self._add(name, values, values.view(np.uint8).reshape(-1), list(values.shape), "floats")

    def packed(self) -> bytes:
        """Return all of it, deflated."""
        return zlib.compress(b"".join(self._parts), 9)

    def _add(self, name, values, stored, shape=None, kind=None):
        stored = np.ascontiguousarray(stored)
        planes = stored.view(np.uint8).reshape(len(stored), stored.itemsize).T
        data = np.ascontiguousarray(planes).tobytes()  # all low bytes first
        self.sections[name] = {
            "kind": kind or ("map" if shape else "column"),
            "bytes": stored.itemsize,
            "shape": shape or [len(values)],
            "at": self.length,
            "length": len(data),
        }
        self._parts.append(data)
        self.length += len(data)
