"""What kbe.animate has beside the chain: pictures from memory, frames, a state of its own.

A program that calls it has settings that the chain was not written for, and torch's and OpenMP's
threads that a fork has left behind. So a photo is prepared in a thread of its own: what torch and
NumPy keep per thread (autocast, gradients, default device, error states) is there as in a fresh
process, and so is OpenMP's pool, without which a forked child would wait for ever. What they keep
for the whole process is set aside meanwhile.
"""

from __future__ import annotations

import contextlib
import ctypes
import tempfile
import threading
import warnings
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageFile

from utils import film, weights
from utils.cli.batch import run_jobs
from utils.cli.command_line import settings_from
from utils.cli.reporting import hide_bar
from utils.cli.runs import plan_run
from utils.cli.shared import Shared
from utils.devices import use_full_precision
from utils.processes import result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import Any

    from utils.cli.flags import Settings
    from utils.cli.jobs import Job

# What only a file of the film can have; without one it would have no effect.
OF_FILES = (
    *("write_frames", "write_depth", "save_disparity", "preview", "export", "matte"),
    *("skip_existing", "codec", "quality", "slideshow", "music", "crossfade", "dry_run"),
)
STORED_AS = {"CMYK": "tiff"} | dict.fromkeys(("1", "L", "LA", "P", "RGB", "RGBA", "I;16"), "png")


def film_one(
    photo: Any, out: Any, values: dict[str, Any], prepare: Callable, write: Callable
) -> Any:
    """Do what `kbe.animate` says.

    Args:
        photo, out, values: its arguments.
        prepare, write: of kbe.
    Returns:
        dict, of several moves a list of them; or where `out` is None a generator of frames.
    """
    with _jobs_of(photo, out, values) as (jobs, settings):
        shared = Shared()

        def begin(job: Job, networks: Any, stop: threading.Event) -> Any:
            return in_own_state(prepare, job, settings, networks, shared, stop)

        def finish(job: Job, ready: Any, stop: threading.Event) -> Any:
            if out is None:
                return _frames(ready, settings)
            return write(job, settings, ready, stop, hide_bar())

        networks = in_own_state(weights.keep_networks, settings)
        with contextlib.closing(run_jobs(jobs, begin, finish, networks, False)) as films:
            results: list[Any] = list(films)
        if out is not None and not isinstance(photo, (str, Path)):
            for result in results:
                result["photo"] = None  # it has no name
        return results if len(jobs) > 1 else results[0]


@contextlib.contextmanager
def _jobs_of(photo: Any, out: Any, values: dict[str, Any]) -> Iterator[tuple[list[Job], Settings]]:
    """Yield the jobs and the settings of a call; what is laid down for it is removed in the end."""
    if out is None:
        for name in OF_FILES:
            if values.get(name):
                raise ValueError(f"{name} without a file has no effect.\n  Give an out=, too.")
    with tempfile.TemporaryDirectory(prefix="kbe-") as folder:
        path = photo if isinstance(photo, (str, Path)) else _stored(photo, Path(folder))
        given = {"inputs": [path], "out": folder if out is None else out}
        settings = settings_from(given | values)
        if out is None and len(settings.moves) > 1:
            raise ValueError(
                f"move {settings.move} makes {len(settings.moves)} films, and frames are those of "
                "one.\n  Give one move, or an out=."
            )
        yield plan_run(settings).jobs, settings


def _stored(photo: Any, folder: Path) -> Path:
    """Lay a picture from memory down without loss, to be read as any photo is."""
    if isinstance(photo, Image.Image):
        kind = STORED_AS.get(photo.mode)
        if kind is None:
            raise ValueError(f"photo: a picture of mode {photo.mode}.\n  Give it .convert('RGB').")
        path = folder / f"picture.{kind}"
        said = {"icc_profile": photo.info.get("icc_profile"), "exif": photo.getexif().tobytes()}
        kept: dict[str, Any] = {name: value for name, value in said.items() if value}
        photo.save(path, **kept)
        return path
    if not isinstance(photo, np.ndarray):
        what = type(photo).__name__
        raise TypeError(f"photo must be a path, an array (H, W, 3) or a PIL image, got {what}.")
    film.write_image(folder / "array.png", _as_bytes(photo))
    return folder / "array.png"


def _as_bytes(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of an array of that type, or of floating-point numbers in [0, 1]."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ValueError(f"photo must be an array (H, W, 3) RGB, got {pixels.shape}.")
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    if pixels.dtype.kind != "f":
        raise ValueError(f"photo must be uint8, or floating point in 0..1, got {pixels.dtype}.")
    least, most = float(pixels.min()), float(pixels.max())
    if not (least >= 0 and most <= 1):  # also NaN
        raise ValueError(f"photo must be floating point in 0..1, got {least:g}..{most:g}.")
    return np.rint(pixels.astype(np.float32) * 255).astype(np.uint8)


def _frames(ready: Any, settings: Settings) -> Generator[np.ndarray]:
    """Yield the frames of a prepared photo, (H, W, 3) uint8 RGB, each the caller's own.

    Args:
        ready: kbe.Ready.
        settings: of the call.
    """
    length = film.film_length(settings.duration, settings.fps, settings.loop, ready.path.closed)
    size, how = ready.plan.view_size, (settings.loop, settings.easing)
    rendered = film.film_frames(ready.view, ready.path, length[0], size, *how)
    with contextlib.closing(rendered):
        for frame, _ in rendered:
            yield frame.copy()  # the one of the way there is shown again on the way back


# -- a state of its own ---------------------------------------------------------------------------


def in_own_state(work: Callable, *arguments: Any) -> Any:
    """Return work(*arguments), computed as in a fresh process, whatever the caller has set.

    An exception that reaches the waiting caller (Ctrl-C) ends the work, too.
    """
    result: Future[Any] = Future()

    def run() -> None:
        try:
            with _shared_state():
                result.set_result(work(*arguments))
        except BaseException as error:
            result.set_exception(error)

    thread = threading.Thread(target=run, name="kbe", daemon=True)
    try:
        thread.start()
        return result_of(result)
    except BaseException:
        if not result.done() and thread.is_alive():
            _interrupt(thread)
            thread.join()
        raise


def _interrupt(thread: threading.Thread) -> None:
    """Raise KeyboardInterrupt in a thread, as soon as it runs Python again."""
    number = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(KeyboardInterrupt))


_lock = threading.Lock()
_inside = 0  # calls that are in their own state now
_before = contextlib.ExitStack()  # how to restore that of the program


@contextlib.contextmanager
def _shared_state() -> Iterator[None]:
    """Set aside what a process has but once, until the last of several calls ends."""
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _set_aside(_before)
    try:
        with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _before.close()


def _set_aside(stack: contextlib.ExitStack) -> None:
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    # With this, a photo that is cut off would be taken for a whole one.
    stack.callback(setattr, ImageFile, "LOAD_TRUNCATED_IMAGES", ImageFile.LOAD_TRUNCATED_IMAGES)
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    stack.callback(torch.set_default_dtype, torch.get_default_dtype())
    torch.set_default_dtype(torch.float32)
    mode = torch.get_deterministic_debug_mode()
    stack.callback(torch.set_deterministic_debug_mode, mode)
    torch.set_deterministic_debug_mode("default")
    stack.callback(use_full_precision())
    stack.callback(torch.set_num_threads, torch.get_num_threads())
