"""What is settled as soon as a photo is read: at which size it is worked on, windows, film size."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from utils import UsageError, camera
from utils.camera import (
    MEASURED_SIDE,
    MOST_INVENTED,
    MOVES,
    CameraPath,
    CropWindow,
    WindowNumbers,
    aspect_box,
    complete_windows,
    default_focal_px,
    find_point,
    find_zoom_window,
    invented_shares,
    plan_move,
    plan_shot,
    set_stage,
)
from utils.cli.presets import place_windows
from utils.depth.maps import find_map
from utils.depth.own import Own, find_own
from utils.film import (
    CODECS,
    Parts,
    VideoWriter,
    film_length,
    find_focal,
    in_fours,
    read_image,
    read_parts,
    resize,
)
from utils.film.layouts import LAYOUTS, Layout
from utils.scene import lifted, small_scene

if TYPE_CHECKING:
    from typing import Any

    from utils.cli.flags import Settings
    from utils.cli.jobs import Job
    from utils.cli.shared import Shared
    from utils.scene.cloud import Scene
    from utils.weights.chosen import Networks

log = logging.getLogger("kbe")

# The start window of --autozoom, as a share of the photo, as published.
AUTOZOOM_START = 0.97
# Parts of a planned camera's way that are tried in turn, until its budget holds at the film's size.
WAY_KEPT = (1.0, 0.85, 0.7, 0.5)


class Plan(NamedTuple):
    """The photo and what is asked of it."""

    image: torch.Tensor  # (1, 3, H, W) RGB in [0, 1], at the size that is worked on
    photo_size: tuple[int, int]  # (height, width) px, as a person sees it
    start: CropWindow  # px of the photo
    end: CropWindow
    view_size: tuple[int, int]  # (height, width) px of one eye's picture
    film_size: tuple[int, int]  # of a frame of the film
    frames: int  # of the film
    focal_px: float  # of `image`
    depth_file: Path | None  # its depth map, where one is given
    focus: tuple[float, float] | None = None  # (u, v) px of the photo, where one is chosen
    orientation: int = 1  # by which the photo was turned (EXIF)
    own: Own | None = None  # the depth that the photo's file holds, where it is used
    shot: str | None = None  # what the camera planned by itself, in words
    photo: Path = Path()  # its file

    @property
    def depth_source(self) -> str:
        """One word for where depth comes from: file, photo, stereo or network."""
        return "file" if self.depth_file else self.own.source if self.own else "network"

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of `image` per pixel of the photo, across and down."""
        height, width = in_fours(self.photo_size)
        return self.image.shape[3] / width, self.image.shape[2] / height

    def depth_of(self, settings: Settings, networks: Networks) -> tuple[Any, ...]:
        """Return what the photo's disparity depends on, for `Shared.once`."""
        read = _read_of(self.photo, settings)
        how = settings.depth_kind, settings.depth_layer
        return (*read, self.depth_file, *how, networks)

    def facts(self, settings: Settings) -> dict[str, Any]:
        """Return what every result says of its film."""
        height, width = self.film_size
        source = {} if settings.flat else {"depth_source": self.depth_source}
        facts = source | {
            "frames": self.frames,
            "width": width,
            "height": height,
            "fps": float(settings.fps),
        }
        if self.shot is None:
            return facts
        ends = {"start": _rounded(self.start), "end": _rounded(self.end)}
        return facts | {"shot": {"what": self.shot} | ends}

    def to_photo(self, disparity: torch.Tensor) -> np.ndarray:
        """Bring disparity (1, 1, H, W) of `image` to the photo: (height, width) float32.

        Every pixel has the value of one of `image`, so that the way back finds just these.
        """
        cut = in_fours(self.photo_size)
        dropped = [(0, whole - kept) for whole, kept in zip(self.photo_size, cut, strict=True)]
        enlarged = torch.nn.functional.interpolate(disparity.cpu(), cut, mode="nearest-exact")
        return np.pad(enlarged[0, 0].numpy(), dropped, mode="edge")


class _Read(NamedTuple):
    """A photo as it was read: the same for all of its films."""

    image: torch.Tensor  # as of Plan
    photo_size: tuple[int, int]
    orientation: int
    parts: Parts
    own: Own | None


# At its own size, up to 400 megapixels at 14 bytes each, there is one photo at a time, however many
# are prepared at once.
_whole = threading.Lock()


def _read(path, settings):
    """Read a photo, and what else of its file is used."""
    with _whole:
        return _read_alone(path, settings)


def _read_alone(path, settings):
    photo = read_image(path)
    for note in photo.notes:
        log.info("%s: %s", path, note)
    height, width = in_fours(photo.pixels.shape[:2])
    size = working_size((height, width), settings.max_size)
    pixels = resize(photo.pixels[:height, :width], size)
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    parts = Parts() if settings.flat else read_parts(path)
    own = find_own(path, photo, parts) if settings.uses_own_depth else None
    return _Read(image, photo.pixels.shape[:2], photo.orientation, parts, own)


def plan_photo(job: Job, settings: Settings, shared: Shared) -> Plan:
    """Read a photo and settle everything that depends on its size.

    Args:
        job: utils.cli.jobs.Job.   settings: utils.cli.flags.Settings.
        shared: utils.cli.shared.Shared, where the photo may be read already.
    Raises:
        ValueError: unreadable.
        UsageError: a window does not fit the photo.
    """
    path = job.photo
    depth_file = find_map(settings.depth, path)
    photo = shared.once(job, "photo", _read_of(path, settings), lambda: _read(path, settings))
    height, width = in_fours(photo.photo_size)
    size = working_size((height, width), settings.max_size)

    aspect = settings.size and settings.size[1] / settings.size[0]
    aspect = aspect or settings.shares.get("aspect")
    given = place_windows(settings.shares, settings.windows, (height, width), aspect)
    numbers = [
        WindowNumbers(*(given.get(end + letter) for letter in "UVWH")) for end in ("start", "end")
    ]
    if settings.autozoom and numbers[0].w is None and numbers[0].h is None:
        numbers[0] = WindowNumbers(
            width / 2 if numbers[0].u is None else numbers[0].u,
            height / 2 if numbers[0].v is None else numbers[0].v,
            int(AUTOZOOM_START * aspect_box((height, width), aspect)[1]),
        )
    try:
        start, end, aspect, notes = complete_windows(
            (height, width), *numbers, settings.dolly, aspect
        )
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    for note in notes:
        log.info("%s: %s", path, note)
    whole = abs(aspect * height / width - 1) < 1e-6  # the photo's shape
    box = size if whole else aspect_box(size, aspect)
    view_height, view_width = (max(2, round(side / 2) * 2) for side in box)
    view_size = settings.size or (view_height, view_width)
    film_size = whole_frame(view_size, settings.stereo)
    _, frames = check_film(settings, film_size)
    return Plan(
        photo.image,
        photo.photo_size,
        start,
        end,
        view_size,
        film_size,
        frames,
        _focal_px(settings, photo.parts, (height, width), path) * size[1] / width,
        depth_file,
        _focus(settings, (height, width), path),
        photo.orientation,
        photo.own,
        photo=path,
    )


def _read_of(path, settings):
    """What `_read` depends on."""
    state = path.stat() if path.is_file() else None
    written = state and (state.st_mtime_ns, state.st_size)
    return path, written, settings.max_size, settings.flat, settings.uses_own_depth


def _focal_px(settings, parts, size, photo):
    """Focal length of a photo of (height, width) px: as given, as its file says, or usual."""
    if "focal" in settings.shares:
        return settings.shares["focal"] * max(size)
    if settings.focal_px:
        return settings.focal_px
    found = find_focal(parts, size)
    if found is None:
        return default_focal_px(size)
    log.info("%s: focal length %.0f px (%s)", photo, *found)
    return found[0]


def _focus(settings, size, photo):
    """The (u, v) of a photo of (height, width) px that --focus or --like's film chose, or None."""
    height, width = size
    if "focusU" in settings.shares:
        return settings.shares["focusU"] * width, settings.shares["focusV"] * height
    if settings.focus is None:
        return None
    u, v = settings.focus
    if not (0 <= u <= width and 0 <= v <= height):
        raise UsageError(
            f"{photo}: the focus ({u:g}, {v:g}) lies outside the image of {width}x{height}.\n"
            f"  Give --focus a point in 0..{width},0..{height}."
        )
    return u, v


def _closed(settings):
    return settings.move in MOVES and MOVES[settings.move].closed


def working_size(photo_size: tuple[int, int], max_size: int) -> tuple[int, int]:
    """Return the (height, width) px at which a photo is worked on; --max-size, 0 = its own."""
    cut = in_fours(photo_size)
    scale = min(1.0, (max_size or 10**9) / max(cut))
    height, width = (max(16, round(side * scale / 4) * 4) for side in cut)
    return height, width


def whole_frame(view_size: tuple[int, int], stereo: str | None) -> tuple[int, int]:
    """Return the (height, width) px of a film's frame for one eye's picture of that size."""
    layout = LAYOUTS[stereo] if stereo else Layout("")
    return view_size[0] * layout.down, view_size[1] * layout.across


def check_film(settings: Settings, size: tuple[int, int]) -> tuple[int, int]:
    """Return positions and frames of a film of this (height, width) px.

    Raises:
        UsageError: no such film can be written as asked.
    """
    try:
        length = film_length(settings.duration, settings.fps, settings.loop, _closed(settings))
        VideoWriter(
            f"film{CODECS[settings.codec].suffixes[0]}",
            size,
            settings.fps,
            settings.codec,
            settings.quality,
        )  # checks its arguments, opens nothing
    except ValueError as error:
        raise UsageError(str(error)) from error
    return length


def plan_path(photo: Path, scene: Scene, plan: Plan, settings: Settings) -> tuple[Plan, CameraPath]:
    """Plan the camera's path through a scene, and say what was chosen.

    Args:
        photo: its path.
        scene: utils.scene.Scene of the plan's image.
        plan: Plan.   settings: utils.cli.flags.Settings.
    Returns:
        the Plan with the windows that were chosen; CameraPath in the scene's pixels.
    """
    if settings.planned:
        return _plan_shot(photo, scene, plan, settings)
    across, down = plan.scale
    start, end = plan.start.scaled(across, down), plan.end.scaled(across, down)
    if settings.autozoom:
        end = find_zoom_window(lifted(scene), start).window
        plan = plan._replace(end=end.scaled(1 / across, 1 / down))
        log.info(
            "%s: automatic zoom: end window at (%.0f, %.0f), size %.0fx%.0f",
            photo,
            *vars(plan.end).values(),
        )
    sized = _sized(settings)
    about = _about(scene, plan, settings)
    stage = set_stage(scene, about, (start, end), plan.view_size, settings.strength, sized)
    path = plan_move(
        settings.move, stage, lambda: small_scene(scene, MEASURED_SIDE), plan.view_size
    )
    if MOVES[settings.move].framed and sized:
        return plan, path
    first, last = (window.scaled(1 / across, 1 / down) for window in (path.start, path.end))
    return plan._replace(start=first, end=last), path


def _about(scene, plan, settings):
    """The (u, v) of the scene that a move by name is about."""
    across, down = plan.scale
    if plan.focus:
        return plan.focus[0] * across, plan.focus[1] * down
    if not _framed(settings) and (point := find_point(lifted(scene))):
        return point
    return plan.end.center_u * across, plan.end.center_v * down


def _plan_shot(photo, scene, plan, settings):
    """Let the camera plan its own shot; return what `plan_path` does."""
    across, down = plan.scale
    width, height = (settings.size or (0, 0))[::-1]
    photo_with_depth = lifted(scene)
    shot = plan_shot(
        photo_with_depth,
        width / height if height else settings.shares.get("aspect"),
        plan.focus and (plan.focus[0] * across, plan.focus[1] * down),
        settings.strength,
    )
    whole = shot.path(photo_with_depth)
    for part in WAY_KEPT:
        path = whole.scaled(part)
        if max(invented_shares(scene, path, plan.view_size)) <= MOST_INVENTED:
            break
    first, last = (window.scaled(1 / across, 1 / down) for window in (path.start, path.end))
    log.info("%s: automatic shot: %s", photo, shot.reason)
    return plan._replace(start=first, end=last, shot=shot.reason), path


def shorten_path(
    photo: Path, view: Any, path: CameraPath, plan: Plan, settings: Settings
) -> tuple[CameraPath, float]:
    """Let the camera go as much of its way as --max-holes allows, and say how much that is.

    Args:
        photo: its path.
        view: Scene or StereoScene, not inpainted yet.
        path: CameraPath in it.
        plan: Plan.   settings: utils.cli.flags.Settings.
    Returns:
        CameraPath, and the part of the way, 1 for all of it.
    Raises:
        ValueError: hardly any motion asks as little as that.
    """
    path, kept = camera.shorten_path(view, path, plan.view_size, (settings.max_holes or 100) / 100)
    log.info("%s: %.0f %% of the path kept", photo, 100 * kept)
    return path, round(kept, 3)


def _framed(settings):
    """Whether the user says which part of the photo it is about, by windows or their place."""
    given = settings.windows.keys() | settings.shares.keys()
    named = any(key[:3] in ("sta", "end") for key in given)
    return named or settings.autozoom or settings.move == "windows"


def _sized(settings):
    """Whether the windows are given, and not only where they are; those of `windows` always are."""
    if settings.move != "dolly":
        return settings.move == "windows"
    given = settings.windows.keys() | settings.shares.keys()
    return any(end + letter in given for end in ("start", "end") for letter in "WH")


def describe_plan(plan: Plan, settings: Settings) -> dict[str, Any]:
    """Return what --dry-run prints."""
    framed = not settings.planned and MOVES[settings.move].framed and _sized(settings)
    windows = {
        name: "planned after the depth"
        if settings.planned
        else "chosen by the depth"
        if not framed
        else "to be searched"
        if name == "end" and settings.autozoom
        else _rounded(window)
        for name, window in (("start", plan.start), ("end", plan.end))
    }
    return windows | {
        "move": settings.move,
        "strength": settings.strength,
        "focus": [round(value, 3) for value in plan.focus]
        if plan.focus
        else _default_focus(settings),
        "worked_on": "{3}x{2}".format(*plan.image.shape),
        **plan.facts(settings),
        "focal_px": round(plan.focal_px, 3),
    }


def _default_focus(settings):
    if settings.planned:
        return "planned after the depth"
    return "the end window" if _framed(settings) else "found by the depth"


def _rounded(window):
    return {key: round(value, 3) for key, value in vars(window).items()}
