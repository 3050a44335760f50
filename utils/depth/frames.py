"""The depth of every frame of a film, as files: OpenEXR, or PNG where that package is missing."""

from __future__ import annotations

import logging
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

import numpy as np

from utils.depth.map_files import FULL_SCALE, import_openexr
from utils.files import folder_complete_or_absent
from utils.film import film_frames, film_length, write_image

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from utils.camera.path import CameraPath

log = logging.getLogger("kbe")

SCALE = "depth along the camera's axis; 1 is the distance of the photo's nearest point"
INVERSE_KEY = "InverseDepth"  # the name of the text by which a PNG says its scale


def write_depth(
    job: Any,
    plan: Any,
    view: Any,
    path: CameraPath,
    settings: Any,
    stop: threading.Event,
    hide_bar: bool | None = True,
) -> None:
    """Write the depth of the frames of one way, named like those, into a folder of its own.

    One scale holds for all of a film: that of the exports.

    Args:
        job: utils.cli.jobs.Job: where the folder goes.
        plan: utils.cli.plan.Plan: the frames' size.
        view: utils.scene.view_depth.ViewDepth.
        path: CameraPath in the scene's pixels.
        settings: utils.cli.flags.Settings.
        stop: threading.Event that ends the work at the next frame.
        hide_bar: what tqdm takes as `disable`.
    Raises:
        CancelledError: `stop` was set; nothing is left behind.
        OSError: a file cannot be written.
    """
    from tqdm import tqdm

    count, _ = film_length(settings.duration, settings.fps, settings.loop, path.closed)
    place, size = job.result("depth"), plan.view_size
    with folder_complete_or_absent(place) as folder:
        assert folder is not None  # as it has a name
        write = _exr_writer() or _png_writer(view, path, size)
        rendered = film_frames(view, path, count, size, "none", settings.easing)
        for index, (depth, _) in enumerate(tqdm(rendered, total=count, disable=hide_bar)):
            if stop.is_set():
                raise CancelledError
            write(folder / f"{index:05d}", depth)


def _exr_writer() -> Callable[[Path, np.ndarray], None] | None:
    """What writes a frame of depth to a name without a suffix; None without the package."""
    openexr = import_openexr()
    if openexr is None:
        log.info(
            "depth of the frames becomes 16-bit PNG, inverse depth; floating point takes one more "
            "package: pip install 'OpenEXR>=3.3'"
        )
        return None
    header = {
        "compression": openexr.ZIP_COMPRESSION,
        "type": openexr.scanlineimage,
        "comments": SCALE,
    }

    def write(name, depth):
        path, said = name.with_suffix(".exr"), ""
        try:
            openexr.File(dict(header), {"Z": depth}).write(str(path))
        except RuntimeError as error:  # in its words: cannot ... "NAME". No space left on device.
            said = str(error).rpartition('". ')[2]
        if said or not _has_index(path):
            raise OSError(
                f"depth of a frame cannot be written: {said or 'its end is lost.'}\n"
                "  Free some space, or choose another --out."
            )

    return write


def _has_index(path):
    """Whether an OpenEXR file says where its parts begin.

    That is written last, into a gap behind the header, and OpenEXR does not look whether it was.
    """
    data, at = path.read_bytes(), 8  # behind magic number and version
    while data[at]:  # an attribute: name, type, size and value
        at = data.index(b"\0", data.index(b"\0", at) + 1) + 1
        at += 4 + int.from_bytes(data[at : at + 4], "little")
    first = int.from_bytes(data[at + 1 : at + 9], "little")
    return first > at and np.frombuffer(data[at + 1 : first], np.uint64).all()


def _png_writer(view: Any, path: CameraPath, size: tuple[int, int]) -> Callable:
    """The same for PNG: 65535 is the nearest surface at the extremes of the camera's path."""
    nearest = min(view.render(**path.view(time, size))[0].min() for time in path.inpaint_at)
    text = f"{FULL_SCALE:.0f} is {1 / nearest:g}; {SCALE}"

    def write(name, depth):
        inverse = np.rint((nearest / depth).clip(0, 1) * FULL_SCALE).astype(np.uint16)
        write_image(name.with_suffix(".png"), inverse, {INVERSE_KEY: text})

    return write
