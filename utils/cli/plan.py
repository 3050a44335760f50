"""What is settled as soon as a photo is read: at which size it is worked on, windows, film size."""

import logging
from typing import NamedTuple

import torch

from utils.camera import (
    CropWindow,
    WindowNumbers,
    aspect_box,
    complete_windows,
    default_focal_px,
)
from utils.cli.flags import UsageError
from utils.cli.presets import place_windows
from utils.film.frames import film_length
from utils.film.photos import read_image, resize

log = logging.getLogger("kbe")

# The start window of --autozoom, as a share of the photo, as published.
AUTOZOOM_START = 0.97


class Plan(NamedTuple):
    """The photo and what is asked of it."""

    image: torch.Tensor  # (1, 3, H, W) RGB in [0, 1], at the size that is worked on
    photo_size: tuple[int, int]  # (height, width) px, as a person sees it
    start: CropWindow  # px of the photo
    end: CropWindow
    view_size: tuple[int, int]  # (height, width) px of one eye's picture
    film_size: tuple[int, int]  # of a frame of the film
    focal_px: float  # of `image`

    @property
    def scale(self):
        """Pixels of `image` per pixel of the photo, across and down."""
        height, width = (side // 4 * 4 for side in self.photo_size)
        return self.image.shape[3] / width, self.image.shape[2] / height


def plan_photo(path, settings):
    """Read a photo and settle everything that depends on its size.

    Raises:
        ValueError: unreadable.
        UsageError: a window does not fit the photo.
    """
    photo = read_image(path)
    for note in photo.notes:
        log.info("%s: %s", path, note)
    # Networks halve the photo several times; what a multiple of four leaves over is dropped.
    height, width = (side // 4 * 4 for side in photo.pixels.shape[:2])
    scale = min(1.0, (settings.max_size or 10**9) / max(height, width))
    size = tuple(max(16, round(side * scale / 4) * 4) for side in (height, width))
    pixels = resize(photo.pixels[:height, :width], size)
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255

    aspect = settings.size and settings.size[1] / settings.size[0]
    aspect = aspect or settings.shares.get("aspect")
    given = place_windows(settings.shares, settings.windows, (height, width), aspect)
    numbers = [WindowNumbers(*(given.get(end + letter) for letter in "UVWH"))
               for end in ("start", "end")]
    if settings.autozoom and numbers[0].w is None and numbers[0].h is None:
        numbers[0] = WindowNumbers(numbers[0].u or width / 2, numbers[0].v or height / 2,
                                   int(AUTOZOOM_START * aspect_box((height, width), aspect)[1]))
    try:
        start, end, aspect, notes = complete_windows((height, width), *numbers, settings.dolly,
                                                     aspect)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    for note in notes:
        log.info("%s: %s", path, note)
    view_size = settings.size or tuple(
        max(2, round(side / 2) * 2) for side in aspect_box(size, aspect))
    focal_px = settings.focal_px or default_focal_px((height, width))
    if "focal" in settings.shares:
        focal_px = settings.shares["focal"] * max(height, width)
    film_size = (view_size[0], view_size[1] * (2 if settings.stereo == "sbs" else 1))
    return Plan(image, photo.pixels.shape[:2], start, end, view_size, film_size,
                focal_px * size[1] / width)


def describe_plan(plan, settings):
    """Return what --dry-run prints."""
    count, frames = film_length(settings.duration, settings.fps, settings.loop)
    windows = {name: "to be searched" if name == "end" and settings.autozoom else
               {key: round(value, 3) for key, value in vars(window).items()}
               for name, window in (("start", plan.start), ("end", plan.end))}
    return windows | {
        "worked_on": "{3}x{2}".format(*plan.image.shape),
        "width": plan.film_size[1], "height": plan.film_size[0],
        "frames": frames, "fps": float(settings.fps), "focal_px": round(plan.focal_px, 3),
    }
