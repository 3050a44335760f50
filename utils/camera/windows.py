"""Crop windows: from the numbers that a user gives to two windows of one shape inside the photo.

Windows are given as people measure them: from the left and upper border, so the centre of the photo
is (W/2, H/2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class CropWindow:
    """A window of the photo, in its pixels: centre (from the left, upper border) and size."""

    center_u: float
    center_v: float
    width: float
    height: float

    def scaled(self, scale_u: float, scale_v: float) -> CropWindow:
        """Return the same window of a photo resized by these factors."""
        return CropWindow(
            self.center_u * scale_u,
            self.center_v * scale_v,
            self.width * scale_u,
            self.height * scale_v,
        )

    def towards(self, other: CropWindow, t: float) -> CropWindow:
        """Return the window at t on the straight way from this one, 0, to another one, 1."""
        return CropWindow(
            *(
                (1 - t) * here + t * there
                for here, there in zip(vars(self).values(), vars(other).values(), strict=True)
            )
        )

    def span(self) -> tuple[float, float, float, float]:
        """Return its borders (left, top, right, bottom)."""
        return (
            self.center_u - self.width / 2,
            self.center_v - self.height / 2,
            self.center_u + self.width / 2,
            self.center_v + self.height / 2,
        )


class WindowNumbers(NamedTuple):
    """What the user gave for one window; None is to be completed."""

    u: float | None = None
    v: float | None = None
    w: float | None = None
    h: float | None = None


NOT_GIVEN = WindowNumbers()


def check_window(
    window: CropWindow, image_size: tuple[int, int], name: str, numbers: WindowNumbers = NOT_GIVEN
) -> None:
    """Raise ValueError unless `window` has an area and lies inside the photo.

    Args:
        window: CropWindow.
        image_size: (height, width) of the photo, px.
        name: "start" or "end", also the stem of the flags that the message names.
        numbers: WindowNumbers that the user gave: what is advised is to change those.
    """
    height, width = image_size
    if not (window.width >= 1 and window.height >= 1):
        raise ValueError(
            f"the {name} window is empty: size {window.width:g}x{window.height:g}.\n"
            f"  Give --{name}W and --{name}H of at least 1."
        )
    left, top, right, bottom = window.span()
    # Half-integer centres make exact comparisons fragile by an ulp.
    for axis, low, high, limit, center, extent in (
        ("u", left, right, width, "U", "W"),
        ("v", top, bottom, height, "V", "H"),
    ):
        if not (low >= -1e-6 and high <= limit + 1e-6):
            half = (high - low) / 2
            room = (
                f"Move --{name}{center} into {half:g}..{limit - half:g} or make"
                if 2 * half <= limit
                else "Make"
            )
            raise ValueError(
                f"the {name} window leaves the image: centre ({window.center_u:g}, "
                f"{window.center_v:g}), size {window.width:g}x{window.height:g} spans "
                f"{axis} {low:g}..{high:g}, image is {width}x{height}.\n"
                f"  {room} --{name}{_given_extent(numbers, extent)} smaller."
            )


def _given_extent(numbers, extent):
    """W or H: whichever the user gave, if that is only one of them."""
    if (numbers.w is None) == (numbers.h is None):
        return extent
    return "H" if numbers.w is None else "W"


def aspect_box(image_size: tuple[int, int], aspect: float | None) -> tuple[float, float]:
    """Return the largest (height, width) of the shape `aspect` = width / height in the photo."""
    height, width = image_size
    if aspect is None or abs(aspect * height / width - 1) < 1e-9:
        return height, width
    return (width / aspect, width) if aspect > width / height else (height, height * aspect)


# (divisor that gives the centre, share that gives the size) of each end, by dolly
# (docs/method/camera.md, Windows).
_DEFAULTS = {
    False: ((2.15, 0.90), (1.85, 0.85)),
    True: ((2.0, 0.8), (2.0, 0.3)),
}


def complete_windows(
    image_size: tuple[int, int],
    start: WindowNumbers = NOT_GIVEN,
    end: WindowNumbers = NOT_GIVEN,
    dolly: bool = False,
    aspect: float | None = None,
) -> tuple[CropWindow, CropWindow, float, tuple[str, ...]]:
    """Turn given and missing window numbers into two windows of one shape inside the photo.

    Only what is missing takes a default. A missing width or height follows the other one; of a
    window whose shape differs from the film's, the width rules.

    Args:
        image_size: (height, width) of the photo, px.
        start, end: WindowNumbers.
        dolly: choose the defaults of the dolly zoom.
        aspect: width / height of the film; None takes the first window given whole, else the photo.
    Returns:
        start, end: CropWindow; aspect: width / height of the film; notes: what was adapted.
    Raises:
        ValueError: a window is empty or leaves the photo.
    """
    photo_aspect = image_size[1] / image_size[0]
    shapes = [(n.w / n.h, n) for n in (start, end) if n.w and n.h]
    if aspect is None and shapes and not _alike(shapes[0][1], photo_aspect):
        aspect = shapes[0][0]
    box = aspect_box(image_size, aspect)
    windows, notes = [], []
    for name, numbers, default in zip(
        ("start", "end"), (start, end), _DEFAULTS[dolly], strict=True
    ):
        if numbers.w and numbers.h and not _alike(numbers, box[1] / box[0]):
            # As if no height was given: a default centre leaves room for it, an error names W.
            given, numbers = numbers, numbers._replace(h=None)
            window = _complete(numbers, default, image_size, box)
            notes.append(
                f"the {name} window {given.w:g}x{given.h:g} becomes "
                f"{window.width:g}x{window.height:g}, to have the film's shape"
            )
        window = _complete(numbers, default, image_size, box)
        check_window(window, image_size, name, numbers)
        windows.append(window)
    return windows[0], windows[1], box[1] / box[0], tuple(notes)


def _alike(numbers, aspect):
    """Whether a window given whole has this shape, up to rounding its sides to whole pixels."""
    shorter = min(numbers.h, numbers.h * aspect)
    return abs(numbers.w / numbers.h / aspect - 1) <= 2 / max(shorter, 1)


def _complete(numbers, default, image_size, box):
    """Fill the missing numbers of one window; a default centre is moved so that the window fits."""
    center_divisor, size_share = default
    (height, width), (box_height, box_width) = image_size, box
    w, h = numbers.w, numbers.h
    if w is None and h is None:
        w, h = (max(1, math.floor(size_share * side)) for side in (box_width, box_height))
    elif w is None:
        w = max(1, int(box_width * h / box_height))
    elif h is None:
        h = max(1, int(box_height * w / box_width))
    u, v = numbers.u, numbers.v
    if u is None:
        u = fit_center((width - box_width) / 2 + box_width / center_divisor, w / 2, width)
    if v is None:
        v = fit_center((height - box_height) / 2 + box_height / center_divisor, h / 2, height)
    return CropWindow(u, v, w, h)


def fit_center(center: float, half: float, limit: float) -> float:
    """Return a centre moved so that center +- half lies in 0..limit, if there is room for it."""
    return min(max(center, half), limit - half)
