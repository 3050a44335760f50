"""One film of many photos: `--slideshow`.

Photos are prepared and filmed as those of a batch, one while the next ones are prepared, and their
frames go into one file. Memory does not grow with their number: there are the scenes that a batch
has at once (`batch.photos_ahead`), and the frames of one fade.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple

from utils import UsageError
from utils.cli.batch import photos_ahead, run_jobs
from utils.cli.jobs import Job, prepare_folder
from utils.cli.made import fingerprint, is_made
from utils.cli.plan import check_film, whole_frame, working_size
from utils.cli.reporting import Stopwatch, hide_bar
from utils.cli.shared import Shared
from utils.depth import find_map
from utils.files import file_digest
from utils.film import CrossFader, VideoWriter, check_music, film_frames, read_size

if TYPE_CHECKING:
    from utils.cli.flags import Settings
    from utils.weights.chosen import Networks

SHOT_S = 4.0  # of a photo, unless --duration says otherwise
UNKNOWN_SIZE = (720, 1280)  # where no photo can be read, and there will be no film


class Slide(NamedTuple):
    """A photo's part of the film."""

    job: Job
    number: int
    frames: int
    fade: int  # frames that it shares with the one before

    @property
    def photo(self) -> Path:
        """Its photo's path."""
        return self.job.photo

    def about(self) -> dict[str, Any]:
        """Return how its result begins."""
        return self.job.about()


# -- planning -------------------------------------------------------------------------------------


def plan_slideshow(jobs: list[Job], settings: Settings) -> list[Job]:
    """Settle how each photo of a slideshow is filmed, and refuse what cannot become a film.

    Args:
        jobs: a Job for each photo, with what a list says of it.
        settings: of the run.
    Returns:
        the jobs, each with its duration, move and the film's size.
    Raises:
        UsageError: a shot is too short for its fades, the music cannot be used, or no such film
            can be written.
    """
    film = settings.slideshow
    assert film is not None
    if film.is_dir():
        raise UsageError(f"--slideshow {film}: there is a folder of that name.\n  Choose another.")
    if settings.music:
        try:
            check_music(settings.music, film.suffix)
        except ValueError as error:
            raise UsageError(str(error)) from error
    whole = {
        "duration": settings.duration or SHOT_S,
        "loop": "none",
        "size": settings.size or _common_size([job.photo for job in jobs], settings.max_size),
        "skip_existing": False,  # the film is there or not, whatever one photo says
    }
    jobs = [
        job._replace(choice=whole | _varied(number, job, settings) | job.choice)
        for number, job in enumerate(jobs)
    ]
    _check_fades(plan_shots(jobs, settings), settings)
    return jobs


def plan_shots(jobs: list[Job], settings: Settings) -> list[Slide]:
    """Return the Slide of each job of `plan_slideshow`.

    Raises:
        UsageError: a shot without motion, or a film that cannot be written.
    """
    shots = []
    for number, job in enumerate(jobs):
        chosen = job.chosen(settings)
        assert chosen.size is not None
        _, frames = check_film(chosen, whole_frame(chosen.size, chosen.stereo))
        fade = round(chosen.crossfade * chosen.fps) if number else 0
        shots.append(Slide(job, number, frames, fade))
    return shots


def _check_fades(shots: list[Slide], settings: Settings) -> None:
    """Refuse shots that are not once seen alone."""
    faded = [
        shot.fade + after
        for shot, after in zip(shots, [*(shot.fade for shot in shots[1:]), 0], strict=True)
    ]
    for shot, frames in zip(shots, faded, strict=True):
        if frames >= shot.frames:
            raise UsageError(
                f"{shot.photo}: its cross-fades take {float(frames / settings.fps):.3g} s, and it "
                f"is shown for {float(shot.frames / settings.fps):.3g} s.\n"
                f"  Give --duration at least {float((max(faded) + 1) / settings.fps):.3g}, or a "
                "shorter --crossfade."
            )


def _common_size(photos: list[Path], max_size: int) -> tuple[int, int]:
    """Return the (height, width) px at which most photos of the commoner orientation are worked on.

    Of equally common ones the first; photos that cannot be read do not count.
    """
    sizes = []
    for photo in photos:
        with suppress(ValueError, OSError):
            sizes.append(working_size(read_size(photo), max_size))
    if not sizes:
        return UNKNOWN_SIZE
    upright = Counter(height > width for height, width in sizes).most_common(1)[0][0]
    return Counter(size for size in sizes if (size[0] > size[1]) == upright).most_common(1)[0][0]


# What photos do one after the other if nobody chose. The planned shot, which may be any zoom, has
# no zoom beside it.
_MOVES = ("auto", "left", "zoom-in", "right", "zoom-out", "up")


def _varied(number: int, job: Job, settings: Settings) -> dict[str, Any]:
    """Return the move of a photo for which nobody chose one: never that of its neighbours."""
    chosen = job.chosen(settings)
    pan = chosen.flat and not chosen.windows and not chosen.shares
    if "move" in job.choice or not (chosen.planned or pan):
        return {}
    move = _MOVES[number % len(_MOVES)]
    return {"move": "windows" if pan and move == "auto" else move}


# -- filming --------------------------------------------------------------------------------------


class _Ended(BaseException):
    """The whole film ends here; nothing that is there for a photo that fails may catch it."""


def film_slideshow(
    jobs: list[Job], settings: Settings, networks: Networks, prepare: Callable
) -> Generator[dict[str, Any]]:
    """Yield the result of each photo, with its "start" and "end" in seconds, then the film's.

    Args:
        jobs: of `plan_slideshow`.
        settings: of the run.
        networks: utils.weights.Networks.
        prepare: function of a job, the settings of the run, the networks and a Shared; returns a
            dict if the photo is not to be filmed, else kbe.Ready.
    Raises:
        OSError: the film cannot be written; nothing is left of it.
        ValueError: no photo could be filmed.
    """
    clock, shots = Stopwatch(), plan_shots(jobs, settings)
    film, chosen = jobs[0].video, jobs[0].chosen(settings)
    assert chosen.size is not None
    height, width = whole_frame(chosen.size, chosen.stereo)
    about = {"video": str(film), "width": width, "height": height, "fps": float(settings.fps)}
    about |= {"music": str(settings.music)} if settings.music else {}

    shared = Shared()

    def begin(shot: Slide, on: Networks, stop: Event) -> Any:
        return prepare(shot.job, settings, on, shared, stop)

    ahead = photos_ahead([shot.job for shot in shots], settings, networks)
    if settings.dry_run:
        plans = run_jobs(shots, begin, _never, networks, True, ahead)
        yield from _told(shots, plans, about, "dry_run", settings)
        return
    metadata = _describe(shots, settings, networks)
    planned = sum(shot.frames - shot.fade for shot in shots)
    if settings.skip_existing and is_made(film, metadata, planned):
        photos = ({"photo": str(shot.photo), "video": str(film)} for shot in shots)
        yield from _told(shots, photos, about, "skipped", settings)
        return

    from tqdm import tqdm

    prepare_folder(film.parent)
    how = settings.fps, settings.codec, settings.quality, metadata, settings.music
    with (
        VideoWriter(film, (height, width), *how) as video,
        tqdm(total=planned, unit="frame", disable=hide_bar()) as bar,
    ):
        reel = _Reel(settings, video, bar, max(shot.fade for shot in shots))
        with closing(run_jobs(shots, begin, reel.add, networks, True, ahead)) as results:
            try:
                for shot, result in zip(shots, results, strict=True):
                    yield result | reel.times.get(shot.number, {})
                reel.fader.finish()
            except _Ended as ended:
                raise ended.__cause__ or ended from None
        if not reel.times:
            raise ValueError(f"{film}: no photo could be filmed, so there is no film.")
    clock.lap("film")
    yield about | reel.facts() | {"seconds": clock.seconds()}


class _Reel:
    """The film that the shots go into; used by one thread at a time."""

    def __init__(self, settings: Settings, video: VideoWriter, bar: Any, hold: int) -> None:
        self.settings, self.video, self.bar = settings, video, bar
        self.fader = CrossFader(self._write, hold)
        self.times: dict[int, dict[str, float]] = {}  # by the shots' numbers

    def add(self, shot: Slide, ready: Any, stop: Event) -> dict[str, Any]:
        """Film a shot; return the photo's result."""
        chosen, clock = shot.job.chosen(self.settings), ready.clock
        clock.go_on()
        rendered = film_frames(
            ready.view, ready.path, shot.frames, ready.plan.view_size, "none", chosen.easing
        )
        try:
            with closing(rendered):
                frames = (_unless(stop, frame) for frame, _ in rendered)
                self.fader.add(shot.number, frames, shot.fade)
        finally:
            if span := self.fader.span(shot.number):
                start, end = span
                if shot.number not in self.times:
                    self.video.chapters.append((start, shot.photo.stem))
                self.times[shot.number] = _seconds(start, end, self.settings)
        clock.lap("film")
        return ready.result | {"move": chosen.move, "seconds": clock.seconds()}

    def facts(self) -> dict[str, Any]:
        """Return what became of it."""
        return _facts(len(self.times), self.fader.written, self.settings)

    def _write(self, frame: Any) -> None:
        try:
            self.video.write(frame, cut=self.fader.begins)
        except Exception as error:
            raise _Ended from error
        self.bar.update()


def _unless(stop: Event, frame: Any) -> Any:
    if stop.is_set():
        raise _Ended
    return frame


def _never(*_: Any) -> dict[str, Any]:
    raise AssertionError("nothing is filmed in a dry run")


def _told(
    shots: list[Slide],
    results: Iterable[dict[str, Any]],
    about: dict[str, Any],
    how: str,
    settings: Settings,
) -> Iterator[dict[str, Any]]:
    """Yield the results of photos and the film's where nothing is filmed, with the times."""
    photos, end = 0, 0
    for shot, result in zip(shots, results, strict=True):
        if "error" not in result:
            start = max(0, end - shot.fade)
            photos, end = photos + 1, start + shot.frames
            result = result | {how: True} | _seconds(start, end, settings)
        yield result
    yield about | _facts(photos, end, settings) | {how: True}


def _facts(photos: int, frames: int, settings: Settings) -> dict[str, Any]:
    return {
        "photos": photos,
        "frames": frames,
        "duration": _seconds(0, frames, settings)["end"],
    }


def _describe(shots: list[Slide], settings: Settings, networks: Networks) -> dict[str, Any]:
    """Return the metadata of the film: what it was made of, and how."""
    looks = settings.looks()
    parts = [_print_of(shot, settings, networks) for shot in shots]
    if settings.music:
        parts.append(file_digest(settings.music))
    whole = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return {"fingerprint": whole, "settings": looks, "shares": settings.shares}


def _print_of(shot: Slide, settings: Settings, networks: Networks) -> str:
    """What a shot is made of; a photo that cannot be read has none, and the film will lack it."""
    looks = shot.job.chosen(settings).looks() | {"fade": shot.fade}
    try:
        depth = find_map(settings.depth, shot.photo)
        return fingerprint(shot.photo, looks, networks.digests, depth, settings.uses_own_depth)
    except (OSError, ValueError):
        return ""


def _seconds(start: int, end: int, settings: Settings) -> dict[str, float]:
    """Return where [start, end) in frames lies in the film."""
    return {
        "start": round(float(start / settings.fps), 3),
        "end": round(float(end / settings.fps), 3),
    }
