"""Sound and film files as FFmpeg opens them, whatever they are called and however tagged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import av


def open_container(path: str | Path, mode: Literal["r", "w"] = "r", **options: Any) -> Any:
    """Open a file with FFmpeg: never an address, and whatever the encoding of its tags.

    FFmpeg takes what stands before a colon for a protocol, so it is told that this is a file. Tags
    in a code page of some country come back with replacement characters.

    Args:
        path: the file.
        mode: "r" or "w".
        options: of av.open.
    Returns:
        av.container.InputContainer or OutputContainer.
    Raises:
        av.error.FFmpegError: it cannot be opened.
    """
    return av.open(f"file:{os.fspath(path)}", mode, metadata_errors="replace", **options)
