"""What a GIF needs beyond an encoder: 256 colours that fit, and a comment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def bayer_pattern(levels: float) -> np.ndarray:
    """Return the 8x8 ordered-dither pattern, (8, 8) int16, spanning `levels` around zero."""
    pattern = np.zeros((1, 1))
    for _ in range(3):
        pattern = np.block([[4 * pattern, 4 * pattern + 2], [4 * pattern + 3, 4 * pattern + 1]])
    return np.rint((pattern - 31.5) / 64 * levels).astype(np.int16)


class Palette:
    """Convert RGB to at most 256 colours, keeping a palette for as long as it fits.

    One palette for the whole film would need two passes; a new one for every frame flickers. All
    frames of a camera move over one photograph show much the same colours. A pattern of +-4 levels,
    which stands still, hides the contours between colours.

    Called with (H, W, 3) uint8 RGB it returns an av.VideoFrame of format pal8.
    """

    def __init__(self, colours: int) -> None:
        """Take the number of colours, 2 to 256."""
        self.colours = colours
        self.error = 0.0
        self.palette: Any = None
        self.dither: np.ndarray | None = None
        self.table = np.zeros((256, 4), np.uint8)

    def __call__(self, pixels: np.ndarray) -> Any:
        """Return the frame for these pixels."""
        height, width = pixels.shape[:2]
        if self.dither is None:
            tiles = np.tile(bayer_pattern(8), (height // 8 + 1, width // 8 + 1))[:height, :width]
            self.dither = np.ascontiguousarray(np.dstack([tiles] * 3))
        step = max(1, min(height, width) // 192)
        sample = np.ascontiguousarray(pixels[::step, ::step])
        if self.palette is None or self.misfit(sample) > 1.2 * self.error + 0.5:
            self.choose(sample)
        dithered = cv2.add(pixels, self.dither, dtype=cv2.CV_8U)
        paletted: Any = self.indices(dithered), self.table  # PyAV's types know only arrays
        return av.VideoFrame.from_ndarray(paletted, format="pal8")

    def choose(self, sample: np.ndarray) -> None:
        """Take the palette that suits this (H, W, 3) sample."""
        image = Image.fromarray(sample)
        self.palette = image.quantize(self.colours, Image.Quantize.FASTOCTREE)
        colours = np.array(self.palette.getpalette("RGB"), np.uint8).reshape(-1, 3)[:256]
        self.table = np.full((256, 4), 255, np.uint8)  # alpha, red, green, blue
        self.table[: len(colours), 1:] = colours
        self.error = self.misfit(sample)

    def misfit(self, sample: np.ndarray) -> float:
        """Return how far the sample is from the colours shown for it: mean levels a channel."""
        shown = self.table[self.indices(sample), 1:].astype(np.int16)
        return float(np.abs(shown - sample).mean())

    def indices(self, pixels: np.ndarray) -> np.ndarray:
        """Return the nearest colour's index for each pixel, (H, W) uint8."""
        image = Image.fromarray(pixels)
        return np.asarray(image.quantize(palette=self.palette, dither=Image.Dither.NONE))


def append_comment(path: Path, text: str) -> None:
    """Put a comment extension (GIF89a specification, 24) into a finished GIF; FFmpeg writes none.

    Args:
        path: the GIF.
        text: any length; stored as UTF-8.
    """
    data = text.encode()
    starts = range(0, len(data), 255)
    blocks = b"".join(bytes([len(data[i : i + 255])]) + data[i : i + 255] for i in starts)
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\x3b":
            raise ValueError(f"{path}: does not end as a GIF does.")
        file.seek(-1, os.SEEK_END)
        file.write(b"\x21\xfe" + blocks + b"\0\x3b")
