"""The virtual camera: crop windows, the path between them, the dolly zoom and the automatic zoom.

Convention: x right, y down, z forward. Pixel (0, 0) is centred at (0, 0), so a view of W x H pixels
has its principal point at ((W-1)/2, (H-1)/2) and spans -0.5 .. W-0.5. Windows are given as people
measure them: from the left and upper border, so the centre of the photo is (W/2, H/2).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from kernels import render_pointcloud

# Share of the long side that does not count when the nearest depth is looked for: the reference's
# 128 pixels at 1024. What lies there leaves the picture as the camera moves in.
BORDER_SHARE = 0.125
# How far the middle of the windows may lie from the photo's centre, as a share of the larger one,
# before the camera aims elsewhere: windows of 0.9 of the photo, as published, hardly lie farther.
AIM_SLACK = 0.05
# Windows may differ in shape by this much before they are adapted: rounding to whole pixels does.
ASPECT_TOLERANCE = 0.02


@dataclass(frozen=True)
class CropWindow:
    """A window of the photo, in its pixels: centre (from the left, upper border) and size."""

    center_u: float
    center_v: float
    width: float
    height: float

    def scaled(self, scale_u, scale_v):
        """Return the same window of a photo resized by these factors."""
        return CropWindow(self.center_u * scale_u, self.center_v * scale_v,
                          self.width * scale_u, self.height * scale_v)

    def span(self):
        """Return its borders (left, top, right, bottom)."""
        return (self.center_u - self.width / 2, self.center_v - self.height / 2,
                self.center_u + self.width / 2, self.center_v + self.height / 2)


def check_window(window, image_size, name):
    """Raise ValueError unless `window` has an area and lies inside the photo.

    Args:
        window: CropWindow.
        image_size: (height, width) of the photo, px.
        name: "start" or "end", also the stem of the flags that the message names.
    """
    height, width = image_size
    if not (window.width >= 1 and window.height >= 1):
        raise ValueError(f"the {name} window is empty: size {window.width:g}x{window.height:g}.\n"
                         f"  Give --{name}W and --{name}H of at least 1.")
    left, top, right, bottom = window.span()
    # Half-integer centres make exact comparisons fragile by an ulp.
    for axis, low, high, limit, center, extent in (
        ("u", left, right, width, "U", "W"), ("v", top, bottom, height, "V", "H")
    ):
        if not (low >= -1e-6 and high <= limit + 1e-6):
            half = (high - low) / 2
            room = (f"Move --{name}{center} into {half:g}..{limit - half:g} or make"
                    if 2 * half <= limit else "Make")
            raise ValueError(
                f"the {name} window leaves the image: centre ({window.center_u:g}, "
                f"{window.center_v:g}), size {window.width:g}x{window.height:g} spans "
                f"{axis} {low:g}..{high:g}, image is {width}x{height}.\n"
                f"  {room} --{name}{extent} smaller.")


def aspect_box(image_size, aspect):
    """Return the largest (height, width) of the shape `aspect` = width / height in the photo."""
    height, width = image_size
    if aspect is None or abs(aspect * height / width - 1) < 1e-9:
        return height, width
    return (width / aspect, width) if aspect > width / height else (height, height * aspect)


class WindowNumbers(NamedTuple):
    """What the user gave for one window; None is to be completed."""

    u: float | None = None
    v: float | None = None
    w: float | None = None
    h: float | None = None


NOT_GIVEN = WindowNumbers()

# (divisor that gives the centre, share that gives the size) of each end, by dolly: SPEC 7.
_DEFAULTS = {
    False: ((2.15, 0.90), (1.85, 0.85)),
    True: ((2.0, 0.8), (2.0, 0.3)),
}


def complete_windows(image_size, start=NOT_GIVEN, end=NOT_GIVEN, dolly=False, aspect=None):
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
    whole = [n for n in (start, end) if n.w and n.h]
    photo_aspect = image_size[1] / image_size[0]
    if aspect is None and whole and not _alike(whole[0].w / whole[0].h, photo_aspect, whole[0]):
        aspect = whole[0].w / whole[0].h
    box = aspect_box(image_size, aspect)
    windows, notes = [], []
    for name, numbers, default in zip(("start", "end"), (start, end), _DEFAULTS[dolly],
                                      strict=True):
        window = _complete(numbers, default, image_size, box)
        if not _alike(window.width / max(window.height, 1e-9), box[1] / box[0], window):
            height = max(1, int(box[0] * window.width / box[1]))
            notes.append(f"the {name} window {window.width:g}x{window.height:g} becomes "
                         f"{window.width:g}x{height:g}, to have the film's shape")
            window = CropWindow(window.center_u, window.center_v, window.width, height)
        check_window(window, image_size, name)
        windows.append(window)
    return windows[0], windows[1], box[1] / box[0], tuple(notes)


def _alike(aspect, wanted, window):
    """Whether two shapes are the same up to rounding a side of the window to whole pixels."""
    height = window.h if isinstance(window, WindowNumbers) else window.height
    return abs(aspect / wanted - 1) <= max(ASPECT_TOLERANCE, 1.5 / max(height, 1))


def _complete(numbers, default, image_size, box):
    """Fill the missing numbers of one window; a default centre is moved so that the window fits."""
    center_divisor, size_share = default
    (height, width), (box_height, box_width) = image_size, box
    w, h = numbers.w, numbers.h
    if w is None and h is None:
        w, h = (max(1, math.floor(size_share * side)) for side in (box_width, box_height))
    elif w is None:
        w = int(box_width * h / box_height)
    elif h is None:
        h = int(box_height * w / box_width)
    u, v = numbers.u, numbers.v
    if u is None:
        u = _fit((width - box_width) / 2 + box_width / center_divisor, w / 2, width)
    if v is None:
        v = _fit((height - box_height) / 2 + box_height / center_divisor, h / 2, height)
    return CropWindow(u, v, w, h)


def _fit(center, half, limit):
    """Move a centre so that center +- half lies in 0..limit, where that is possible."""
    return min(max(center, half), limit - half) if 2 * half <= limit else center


def unproject(depth, focal_px):
    """Lift every pixel to its point in front of the camera.

    Args:
        depth: (B, 1, H, W), unit of the baseline.
        focal_px: focal length, px; a number or (B,).
    Returns:
        (B, 3, H*W) points x, y, z in row-major pixel order.
    """
    batch, _, height, width = depth.shape
    focal = torch.as_tensor(focal_px, dtype=depth.dtype, device=depth.device).view(-1, 1, 1, 1)
    u = torch.arange(width, dtype=depth.dtype, device=depth.device) - (width - 1) / 2
    v = torch.arange(height, dtype=depth.dtype, device=depth.device) - (height - 1) / 2
    x, y = u.view(1, 1, 1, -1) * depth / focal, v.view(1, 1, -1, 1) * depth / focal
    return torch.cat([x, y, depth], dim=1).view(batch, 3, height * width)


def nearest_depth(depth, border_share=BORDER_SHARE):
    """Return the smallest depth inside a border, the distance at which windows are measured.

    Args:
        depth: (1, 1, H, W).
        border_share: width of the border as a share of the long side, at most a quarter of a side.
    """
    height, width = depth.shape[-2:]
    border = border_share * max(height, width)
    top, left = int(min(border, height / 4)), int(min(border, width / 4))
    return float(depth[..., top : height - top, left : width - left].amin())


def aim(image_size, start, end):
    """Return the (u, v) in the photo, px, that the camera looks at, the middle of all frames.

    As published that is the photo's centre, and windows elsewhere are reached by moving the camera.
    A narrow film of a wide photo, or a window in a corner, would take it far aside, where
    everything is seen askew. Beyond AIM_SLACK the camera looks aside instead, as by shifting a
    lens, which uncovers nothing.

    Args:
        image_size: (height, width) of the photo, px.
        start, end: CropWindow in it.
    """
    height, width = image_size
    axes = ((width, start.center_u + end.center_u, max(start.width, end.width)),
            (height, start.center_v + end.center_v, max(start.height, end.height)))
    return tuple(min(max(side / 2, total / 2 - AIM_SLACK * extent), total / 2 + AIM_SLACK * extent)
                 for side, total, extent in axes)


class CameraPose(NamedTuple):
    """Where the camera stands: what is added to every point, and the focal length of the photo."""

    shift: tuple[float, float, float]
    focal_px: float


@dataclass(frozen=True)
class CameraPath:
    """The way of the camera from one crop window to another.

    The camera moves so that, on the nearest surface, the view is as large as the window at each
    end; farther surfaces follow by parallax. A dolly zoom shortens the focal length while it moves
    in, so that the nearest surface keeps its size. Sideways the camera goes by the window's offset
    at the *new* distance, as published: a window smaller than the other by s is centred at s times
    its offset. Source: Niklaus et al., 3D Ken Burns Effect from a Single Image, 2019
    (arXiv:1909.05483), section 4.
    """

    start: CropWindow
    end: CropWindow
    image_size: tuple[int, int]  # (height, width) of the photo that the windows refer to, px
    nearest_depth: float  # unit of the baseline
    focal_px: float  # of that photo
    dolly: bool = False
    aim: tuple[float, float] | None = None  # (u, v) px, see `aim`; None: the photo's centre

    @property
    def center(self):
        """(u, v) of the photo that is in the middle of a frame when the camera has not moved."""
        return self.aim or (self.image_size[1] / 2, self.image_size[0] / 2)

    @property
    def crop(self):
        """(height, width) of the patch of every view that becomes the frame, px."""
        return (max(self.start.height, self.end.height), max(self.start.width, self.end.width))

    def pose(self, t):
        """Return the CameraPose at t in [0, 1]; a little outside is the overshoot of inpainting."""
        center_u, center_v = self.center
        window_width = (1 - t) * self.start.width + t * self.end.width
        u = (1 - t) * self.start.center_u + t * self.end.center_u
        v = (1 - t) * self.start.center_v + t * self.end.center_v
        focal_px = self.focal_px
        if self.dolly:
            focal_px *= (1 - t) + t * self.end.width / self.start.width
        depth = self.nearest_depth * window_width / self.crop[1]
        shift = (-(u - center_u) * depth / focal_px, -(v - center_v) * depth / focal_px,
                 depth - self.nearest_depth)
        return CameraPose(shift, focal_px)

    def view_focal_px(self, pose, film_size):
        """Return the focal length of a film frame of (height, width) that shows just the crop."""
        return pose.focal_px * film_size[1] / self.crop[1]


def path_times(count, easing="linear"):
    """Return `count` positions from 0 to 1, evenly or with a soft start and stop."""
    if easing not in ("linear", "smooth"):
        raise ValueError(f"easing must be linear or smooth, got {easing!r}.")
    t = np.linspace(0, 1, count) if count > 1 else np.zeros(1)
    return t * t * (3 - 2 * t) if easing == "smooth" else t


def default_focal_px(image_size):
    """Return the focal length taken for a photo of (height, width): half its long side, px."""
    return max(image_size) / 2


class AutoZoom(NamedTuple):
    """The window that `find_zoom_window` chose, and how it came to it."""

    window: CropWindow
    centers: np.ndarray  # (K, 2) u, v of the candidates inside the photo
    covered: np.ndarray  # (K,) pixels of each candidate's view that some point reaches


def find_zoom_window(depth, focal_px, baseline, start, shift_range_px, zoom=1.25, mask=None,
                     depth_from=None, grid=16):
    """Find where to zoom so that the least is uncovered: the paper's exhaustive search.

    All candidates are rendered as one batch. Run it on a small depth map (with `focal_px`, `start`
    and `shift_range_px` scaled alike): coverage hardly depends on the resolution.

    Args:
        depth: (1, 1, H, W).
        focal_px, baseline: of that depth map.
        start: CropWindow from which the zoom starts, in its pixels.
        shift_range_px: how far the centre may move along each axis.
        zoom: size of the start window over that of the one looked for.
        mask: (1, 1, H, W) of 0/1: which pixels have a point; all by default.
        depth_from: distance that the zoom is measured at; `nearest_depth` by default.
        grid: candidates along each axis.
    Returns:
        AutoZoom. Where no candidate lies inside the photo, the window stays at the start's centre.
    Source: Niklaus et al., 2019, section 4.
    """
    height, width = depth.shape[-2:]
    depth_from = nearest_depth(depth) if depth_from is None else depth_from
    depth_to = depth_from / zoom
    target = (round(start.width / zoom), round(start.height / zoom))
    offsets = np.linspace(-shift_range_px, shift_range_px, grid)
    moves = np.array([(du, dv) for dv in offsets for du in offsets])
    centers = moves + (start.center_u, start.center_v)
    half = np.array([start.width, start.height]) / zoom / 2
    inside = ((centers >= half) & (centers <= np.array([width, height]) - half)).all(axis=1)
    moves, centers = moves[inside], centers[inside]
    if len(centers) == 0:
        return AutoZoom(CropWindow(start.center_u, start.center_v, *target), centers,
                        np.zeros(0, int))
    points = unproject(depth, focal_px)
    if mask is not None:
        points = points[:, :, mask.view(-1) > 0]
    shifts = np.column_stack([-moves * depth_to / focal_px,
                              np.full(len(moves), depth_to - depth_from)])
    covered = np.concatenate([
        _count_covered(points, chunk, (height, width), focal_px, baseline)
        for chunk in np.array_split(shifts, max(1, len(shifts) // 32))
    ])
    best = int(covered.argmax())  # the first of equals, as the paper's strict comparison
    return AutoZoom(CropWindow(*centers[best], *target), centers, covered)


def _count_covered(points, shifts, size, focal_px, baseline):
    """Count, for each (K, 3) shift of the cloud, the pixels that any point reaches."""
    shifts = torch.as_tensor(shifts, dtype=points.dtype, device=points.device)
    moved = (points + shifts[:, :, None]).contiguous()
    nothing = moved.new_zeros(len(moved), 1, moved.shape[2])
    _, coverage = render_pointcloud(moved, nothing, size, focal_px, baseline)
    return (coverage > 0).sum(dim=(1, 2, 3)).cpu().numpy()
