"""What is settled as soon as a photo is read: at which size it is worked on, windows, film size."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from utils import UsageError
from utils.camera import (
    MOVES,
    CameraPath,
    CropWindow,
    Stage,
    WindowNumbers,
    aspect_box,
    complete_windows,
    default_focal_px,
    find_focus,
    nearest_depth,
)
from utils.cli.jobs import fingerprint
from utils.cli.presets import place_windows, window_shares
from utils.depth.maps import find_map
from utils.film import CODECS, VideoWriter, film_length, in_fours, read_image, resize
from utils.scene import find_scene_zoom

if TYPE_CHECKING:
    from typing import Any

    from utils.cli.flags import Settings
    from utils.cli.jobs import Job
    from utils.scene.cloud import Scene
    from utils.weights.chosen import Networks

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
    frames: int  # of the film
    focal_px: float  # of `image`
    depth_file: Path | None  # its depth map, where one is given
    orientation: int = 1  # by which the photo was turned (EXIF)

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of `image` per pixel of the photo, across and down."""
        height, width = in_fours(self.photo_size)
        return self.image.shape[3] / width, self.image.shape[2] / height

    def facts(self, settings: Settings) -> dict[str, Any]:
        """Return what every result says of its film."""
        height, width = self.film_size
        return {"frames": self.frames, "width": width, "height": height, "fps": float(settings.fps)}

    def to_photo(self, disparity: torch.Tensor) -> np.ndarray:
        """Bring disparity (1, 1, H, W) of `image` to the photo: (height, width) float32."""
        cut = in_fours(self.photo_size)
        dropped = [(0, whole - kept) for whole, kept in zip(self.photo_size, cut, strict=True)]
        return np.pad(resize(disparity[0, 0].cpu().numpy(), cut), dropped, mode="edge")


def plan_photo(job: Job, settings: Settings) -> Plan:
    """Read a photo and settle everything that depends on its size.

    Args:
        job: utils.cli.jobs.Job.   settings: utils.cli.flags.Settings.
    Raises:
        ValueError: unreadable.
        UsageError: a window does not fit the photo.
    """
    path = job.photo
    depth_file = find_map(settings.depth, path)
    photo = read_image(path)
    for note in photo.notes:
        log.info("%s: %s", path, note)
    height, width = in_fours(photo.pixels.shape[:2])
    scale = min(1.0, (settings.max_size or 10**9) / max(height, width))
    size = tuple(max(16, round(side * scale / 4) * 4) for side in (height, width))
    pixels = resize(photo.pixels[:height, :width], size)
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255

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
    view_size = settings.size or tuple(
        max(2, round(side / 2) * 2) for side in aspect_box(size, aspect)
    )
    focal_px = settings.focal_px or default_focal_px((height, width))
    if "focal" in settings.shares:
        focal_px = settings.shares["focal"] * max(height, width)
    film_size = (view_size[0], view_size[1] * (2 if settings.stereo == "sbs" else 1))
    _, frames = check_film(settings, film_size)
    photo_size = photo.pixels.shape[:2]
    return Plan(
        image,
        photo_size,
        start,
        end,
        view_size,
        film_size,
        frames,
        focal_px * size[1] / width,
        depth_file,
        photo.orientation,
    )


def check_film(settings: Settings, size: tuple[int, int]) -> tuple[int, int]:
    """Return positions and frames of a film of this (height, width) px.

    Raises:
        UsageError: no such film can be written as asked.
    """
    try:
        length = film_length(settings.duration, settings.fps, settings.loop)
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


def plan_path(scene: Scene, plan: Plan, settings: Settings) -> tuple[Plan, CameraPath]:
    """Plan the camera's path through a scene.

    Args:
        scene: utils.scene.Scene of the plan's image.
        plan: Plan.   settings: utils.cli.flags.Settings.
    Returns:
        the Plan with the windows that were chosen; CameraPath in the scene's pixels.
    """
    start, end = plan.start.scaled(*plan.scale), plan.end.scaled(*plan.scale)
    if settings.autozoom:
        end = find_scene_zoom(scene, start).window
        across, down = plan.scale
        plan = plan._replace(end=end.scaled(1 / across, 1 / down))
        log.info(
            "automatic zoom: end window at (%.0f, %.0f), size %.0fx%.0f", *vars(plan.end).values()
        )
    stage = Stage(
        scene.size,
        plan.focal_px,
        find_focus(scene.depth, end.center_u, end.center_v),
        nearest_depth(scene.depth),
        start,
        end,
    )
    return plan, MOVES["dolly" if settings.dolly else "windows"].plan(stage)


def describe_plan(plan: Plan, settings: Settings) -> dict[str, Any]:
    """Return what --dry-run prints."""
    windows = {
        name: "to be searched"
        if name == "end" and settings.autozoom
        else {key: round(value, 3) for key, value in vars(window).items()}
        for name, window in (("start", plan.start), ("end", plan.end))
    }
    return windows | {
        "worked_on": "{3}x{2}".format(*plan.image.shape),
        **plan.facts(settings),
        "focal_px": round(plan.focal_px, 3),
    }


def describe_film(job: Job, plan: Plan, settings: Settings, networks: Networks) -> dict[str, Any]:
    """Return the metadata of the video: what it was made of, and how."""
    looks = settings.looks()
    return {
        "fingerprint": fingerprint(job.photo, looks, networks.digests, plan.depth_file),
        "settings": looks,
        "shares": window_shares(plan, settings),
    }
