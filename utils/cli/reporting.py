"""What a run says: notes to standard error, results to standard output, seconds per stage."""

import json
import logging
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from utils.cli.flags import Settings
    from utils.cli.jobs import Job

log = logging.getLogger("kbe")

# From this share of a frame on, the user is told how much of it is invented.
MUCH_INVENTED = 0.15


def set_up_log(verbose: bool = False, quiet: bool = False) -> None:
    """Log to standard error, if there is one: all, notes and worse, or errors only."""
    handler = logging.StreamHandler(sys.stderr) if sys.stderr else logging.NullHandler()
    handler.setFormatter(_Formatter())
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO)


class _Formatter(logging.Formatter):
    """Prefix the program; notes need no label, warnings and errors have one."""

    def format(self, record: logging.LogRecord) -> str:
        label = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return f"kbe.py: {label}{super().format(record)}"


def hide_bar() -> bool | None:
    """What tqdm takes as `disable`: hidden with --quiet, else shown on a terminal only."""
    return None if sys.stderr and log.isEnabledFor(logging.INFO) else True


def explain(error: BaseException) -> str:
    """Say an error as a person would read it: an operating system's with the file it is about."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError) or "allocate memory" in str(error):  # numpy's, torch's
        return "not enough memory.\n  Give a smaller --max-size or --size."
    if isinstance(error, (ValueError, OSError, RuntimeError)):
        return str(error)
    return f"unexpected {type(error).__name__}: {error}.\n  --verbose shows where."


def log_error(error: BaseException, photo: Any = None) -> str:
    """Log an error, of a photo if one is given, with its traceback if all is logged; return it."""
    said = explain(error)
    about = "" if photo is None or str(photo) in said else f"{photo}: "
    log.error("%s%s", about, said, exc_info=error if log.isEnabledFor(logging.DEBUG) else None)
    return said


def tell_invention(photo: Any, view: Any, path: Any, size: tuple[int, int]) -> float:
    """Warn if the camera's path asks for much that no photo shows.

    Args:
        photo: its path.
        view: Scene or StereoScene, not inpainted yet.
        path: utils.camera.CameraPath in it.
        size: (height, width) px of one eye's picture.
    Returns:
        float: the largest share of a frame that is invented, 0..1.
    """
    from utils.camera import invented_shares

    share, t = max(zip(invented_shares(view, path, size), path.inpaint_at, strict=True))
    end = {0: "at the start", 1: "at the end"}.get(t, "on the way")
    if share > MUCH_INVENTED:
        log.warning(
            "%s: %.0f %% of the picture %s lies outside the photo or behind "
            "something, and is invented.\n  Windows more alike in size and place ask less: "
            "--preview shows them.",
            photo,
            100 * share,
            end,
        )
    return share


def report_all(
    results: Iterable[dict[str, Any]], jobs: "list[Job]", as_json: bool, several: bool
) -> int:
    """Print results as they come; with `several`, beside a bar over them.

    Returns:
        int: the exit status, 1 if a photo failed.
    """
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    failed, out = 0, sys.stdout
    unit = "film" if any(job.move for job in jobs) else "photo"
    with logging_redirect_tqdm([log]):
        for result in tqdm(
            results, total=len(jobs), unit=unit, disable=hide_bar() if several else True
        ):
            failed += "error" in result
            with tqdm.external_write_mode(file=out):  # or the line would run into the bar
                report(result, as_json, out)
    if failed:
        log.error("%d of %d %ss failed.", failed, len(jobs), unit)
    return 1 if failed else 0


def report(result: dict[str, Any], as_json: bool, out: TextIO) -> None:
    """Print the result of one photo to standard output, where nothing else goes."""
    if as_json:
        print(json.dumps(result), file=out, flush=True)
    else:
        print(_sentence(result), file=out, flush=True)


def _sentence(result: dict[str, Any]) -> str:
    """Say in one line what --json says in one object."""
    if "error" in result:
        which = f", {result['move']}" if "move" in result else ""
        return f"{result['photo']}{which}: failed: {result['error'].splitlines()[0]}"
    if "dry_run" in result:
        return "\n".join(
            [f"{result.get('photo', result['video'])}:"]
            + [
                f"  {name}: {value}"
                for name, value in result.items()
                if name not in ("photo", "dry_run")
            ]
        )
    if "start" in result:
        return f"{result['photo']}: {result['start']:g} to {result['end']:g} s of {result['video']}"
    if result.get("skipped"):
        return f"{result['video']}: skipped, made of the same photo, settings and weights"
    return (
        f"{result['video']}: {result['frames']} frames of "
        f"{result['width']}x{result['height']} in {result['seconds']['total']:.1f} s"
    )


# What comes after a stage, where it takes longer than a moment: told once in a run.
_untold = {"read": "estimating depth ...", "planning": "inpainting what the camera uncovers ..."}


def _tell_stage(ended: str) -> None:
    if said := _untold.pop(ended, None):
        log.info(said)


class Stopwatch:
    """Seconds per stage; those of other photos in between do not count.

    With settings, the first photo of a run also says which stage begins: it waits for them.
    With an event, a stage ends by CancelledError once that is set.
    """

    def __init__(
        self, settings: "Settings | None" = None, stop: threading.Event | None = None
    ) -> None:
        """Start."""
        self._laps: dict[str, float] = {}
        self._settings, self._stop = settings, stop
        self.go_on()

    def go_on(self) -> None:
        """Leave out the time since the last stage."""
        self._last = time.perf_counter()

    def lap(self, name: str, tell: bool = True) -> None:
        """End the stage `name`; with `tell`, what comes next takes its time."""
        if self._stop and self._stop.is_set():
            raise CancelledError
        now = time.perf_counter()
        self._laps[name], self._last = now - self._last, now
        if tell and self._settings and not self._settings.flat:
            _tell_stage(name)

    def seconds(self) -> dict[str, float]:
        """Return {stage: seconds}, and the total."""
        laps = self._laps | {"total": sum(self._laps.values())}
        return {name: round(seconds, 3) for name, seconds in laps.items()}
