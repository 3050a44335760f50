"""One picture that tells what a film will be: windows, way, depth, frames, what was invented."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from utils.film.photos import as_bytes, resize, write_image
from utils.film.top_view import FOCUS_COLOR, draw_way

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from utils.camera.path import CameraPath

CELL_WIDTH, CELL_HEIGHT = 640, 960  # px that each of the eight pictures fits into
WAY_HEIGHT = 360  # px that the camera's way is drawn at least
GAP = 12
CAPTION = 34
BACKGROUND = (24, 24, 27)
TEXT = (228, 228, 231)
START_COLOR, END_COLOR = (56, 189, 248), (251, 146, 60)  # sky and orange: apart for every eye
INVENTED_COLOR = np.array([255, 0, 170], np.float32)


class Preview:
    """Collect what is only known before the inpainting, and write the picture afterwards.

    Args:
        scene: utils.scene.cloud.Scene, not inpainted yet.
        path: utils.camera.CameraPath in the scene's pixels.
        film_size: (height, width) px of the film.
    """

    def __init__(self, scene: Any, path: CameraPath, film_size: tuple[int, int]) -> None:
        """Find which pixels of three frames the photo does not show."""
        self.scene, self.path = scene, path
        self.size = _cell(film_size)
        # A path that closes ends as it begins.
        self.moments = (
            {"start": 0, "first quarter": 0.25, "middle": 0.5}
            if path.closed
            else {"start": 0, "middle": 0.5, "end": 1}
        )
        self.invented = [self._render(t, fill=False)[1] for t in self.moments.values()]

    def _render(self, t, fill=True):
        return self.scene.render(**self.path.view(t, self.size), fill=fill)

    def write(self, path: str | Path) -> None:
        """Write the picture as PNG.

        Raises:
            OSError: it cannot be written.
        """
        write_image(path, self.draw())

    def draw(self) -> np.ndarray:
        """Return the picture, (H, W, 3) uint8."""
        frames = [self._render(t)[0] for t in self.moments.values()]
        names = list(self.moments)
        worst = max((0, 1, 2), key=lambda index: self.invented[index].mean())
        share = self.invented[worst].mean()
        upper = [
            (self._way(0), "the camera's way from above"),
            (self._photo_with_windows(), f"{self.path.name}: start and end window, focus"),
            (self._disparity(), "disparity, bright = near"),
            (
                mark(frames[worst], self.invented[worst]),
                f"invented at the {names[worst]}: {share:.1%}",
            ),
        ]
        lower = [(frame, f"frame at the {name}") for frame, name in zip(frames, names, strict=True)]
        return _stack([_row(upper), _row([(self._way(1), "from the left"), *lower])])

    def _way(self, axis):
        size = (min(max(self.size[0], WAY_HEIGHT), CELL_WIDTH), CELL_WIDTH)
        return draw_way(self.scene, self.path, size, (START_COLOR, END_COLOR), axis)

    def _photo_with_windows(self):
        pixels = as_bytes(self.scene.image)
        size = _cell(pixels.shape)
        scale = size[1] / pixels.shape[1]
        picture = Image.fromarray(resize(pixels, size))
        draw = ImageDraw.Draw(picture)
        for window, color, name in (
            (self.path.start, START_COLOR, "start"),
            (self.path.end, END_COLOR, "end"),
        ):
            left, top, right, bottom = (value * scale for value in window.span())
            draw.rectangle((left, top, right - 1, bottom - 1), outline=color, width=3)
            draw.text(
                (left + 8, bottom - 28 if name == "start" else top + 6),
                name,
                color,
                _font(18),
                stroke_width=2,
                stroke_fill=(0, 0, 0),
            )
        u, v = self.path.focus.u * scale, self.path.focus.v * scale
        draw.line((u - 9, v, u + 9, v), fill=FOCUS_COLOR, width=3)
        draw.line((u, v - 9, u, v + 9), fill=FOCUS_COLOR, width=3)
        return np.asarray(picture)

    def _disparity(self):
        disparity = self.scene.disparity[0, 0].cpu().numpy()
        return resize(np.ascontiguousarray(colorize(disparity)), _cell(disparity.shape))


def colorize(disparity: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB of (H, W) disparity: dark far away, bright nearby."""
    low, high = np.percentile(disparity, (0.5, 99.5))
    shown = np.clip((disparity - low) / max(high - low, 1e-9), 0, 1) * 255
    return cv2.applyColorMap(shown.astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1]


def mark(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return a frame (H, W, 3) uint8 greyed, with the pixels of a mask (H, W) in magenta."""
    grey = frame.mean(axis=2, keepdims=True) * 0.75 + frame * 0.15
    tinted = np.where(mask[:, :, None], 0.3 * grey + 0.7 * INVENTED_COLOR, grey)
    return tinted.clip(0, 255).astype(np.uint8)


def _cell(size):
    """Return the largest (height, width) of this shape in a cell."""
    scale = min(CELL_HEIGHT / size[0], CELL_WIDTH / size[1])
    return max(2, round(size[0] * scale)), max(2, round(size[1] * scale))


def _row(cells):
    """Put (picture, caption) pairs side by side, captions below, pictures at one height."""
    height = max(picture.shape[0] for picture, _ in cells)
    width = len(cells) * (CELL_WIDTH + GAP) + GAP
    canvas = Image.new("RGB", (width, height + CAPTION + GAP), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    for index, (picture, caption) in enumerate(cells):
        left = GAP + index * (CELL_WIDTH + GAP)
        middle = left + (CELL_WIDTH - picture.shape[1]) // 2
        canvas.paste(Image.fromarray(picture), (middle, GAP + (height - picture.shape[0]) // 2))
        draw.text((left + 2, GAP + height + 8), caption, TEXT, _font(17))
    return np.asarray(canvas)


def _stack(rows):
    foot = np.full((GAP, rows[0].shape[1], 3), BACKGROUND, np.uint8)
    return np.concatenate([*rows, foot])


def _font(size):
    return ImageFont.load_default(size)
