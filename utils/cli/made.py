"""What a film was made of: it carries that, and is known by it again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from utils.camera import aspect_box
from utils.cli.jobs import ANY_SIZE
from utils.cli.plan import check_film
from utils.depth.maps import find_map
from utils.files import file_digest
from utils.film import in_fours
from utils.film.kinds import read_head
from utils.film.video import holds_frames

if TYPE_CHECKING:
    from typing import Any

    from utils.cli.flags import Settings
    from utils.cli.jobs import Job
    from utils.cli.plan import Plan
    from utils.weights.chosen import Networks


def describe_film(job: Job, plan: Plan, settings: Settings, networks: Networks) -> dict[str, Any]:
    """Return the metadata of the video: what it was made of, and how."""
    return {
        "fingerprint": _made_of(job, settings, networks, plan.depth_file),
        "settings": settings.looks(),
        "shares": window_shares(plan, settings),
    } | ({} if settings.flat else {"depth_source": plan.depth_source})


def is_there(job: Job, settings: Settings, networks: Networks) -> bool:
    """Whether a photo's film is there, whole, as `settings` ask for it; no photo is decoded.

    A file or folder that is missing beside it has the film made again.
    """
    if not all(Path(name).exists() for name in job.written(settings)):
        return False
    read_head(job.photo)  # says it, if that is not there
    made_of = _made_of(job, settings, networks, find_map(settings.depth, job.photo))
    _, frames = check_film(settings, ANY_SIZE)
    return is_made(job.video, {"fingerprint": made_of}, frames)


def window_shares(plan: Plan, settings: Settings) -> dict[str, float]:
    """Return the windows that were asked for, focal length and focus, as shares of the photo.

    Args:
        plan: utils.cli.plan.Plan.   settings: utils.cli.flags.Settings.
    Returns:
        dict with some of the keys of utils.cli.presets.SHARES.
    """
    height, width = in_fours(plan.photo_size)
    given = settings.windows.keys() | settings.shares.keys()
    aspect = plan.view_size[1] / plan.view_size[0]
    if settings.size is None and abs(aspect * height / width - 1) < 0.02:
        aspect = width / height  # the photo's, but for rounding
    box_width = aspect_box((height, width), aspect)[1]
    shares: dict[str, float] = {}
    for end, window in (("start", plan.start), ("end", plan.end)):
        if any(name.startswith(end) for name in given):
            shares |= {
                end + "U": window.center_u / width,
                end + "V": window.center_v / height,
                end + "W": min(window.width / box_width, 1.0),
            }
    if shares and settings.size is None and aspect != width / height:
        shares["aspect"] = aspect
    if settings.focal_px or "focal" in settings.shares:
        shares["focal"] = plan.focal_px / max(plan.image.shape[2:])
    if plan.focus:
        shares |= {"focusU": plan.focus[0] / width, "focusV": plan.focus[1] / height}
    return {name: round(value, 6) for name, value in shares.items()}


def _made_of(job, settings, networks, depth_file):
    return fingerprint(
        job.photo, settings.looks(), networks.digests, depth_file, settings.uses_own_depth
    )


def fingerprint(
    photo: Path,
    looks: dict[str, Any],
    weights: dict[str, str],
    depth: Path | None = None,
    own_depth: bool = True,
) -> str:
    """Return what a film was made of, as a hexadecimal string.

    Args:
        photo: Path.
        looks: dict of settings, ready for JSON.
        weights: {role: digest}.
        depth: depth-map file, or None.
        own_depth: whether depth that the photo's file holds is used.
    """
    parts = {
        "photo": file_digest(photo),
        "looks": looks,
        "weights": weights,
        "depth": depth and file_digest(depth),
        "own_depth": own_depth,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def is_made(video: Path, metadata: dict[str, Any], frames: int) -> bool:
    """Whether a whole video of just this description and this many frames is there."""
    return video.is_file() and holds_frames(video, frames, metadata["fingerprint"])
