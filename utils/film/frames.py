"""A camera path becomes frames, in order, by a pool of threads in bounded memory, and a film."""

from __future__ import annotations

import contextlib
from collections import OrderedDict, deque
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from kernels.threads import render_threads
from utils.camera.timing import path_times
from utils.files import folder_complete_or_absent
from utils.film.photos import write_image
from utils.film.video import VideoWriter

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator
    from fractions import Fraction
    from typing import Any

    import numpy as np

    from utils.camera.path import CameraPath

    Frame = tuple[np.ndarray, np.ndarray]  # pixels and holes

# Frames kept for the way back of a boomerang; what does not fit is rendered a second time.
CACHE_BYTES = 256 * 2**20


MOST_FRAMES = 10_000_000  # four days and more; beyond, a number was mistyped


def film_length(
    duration_s: float | None, fps: float | Fraction, loop: str, closed: bool = False
) -> tuple[int, int]:
    """Return (positions on the path, frames of the film) for a duration.

    A boomerang goes there and back without doubling a frame at either seam: n positions make
    2n - 2 frames, so an odd number of frames is rounded down. A path that is closed needs no way
    back, whatever the loop.

    Args:
        duration_s: of the whole film; None takes the classic 75 positions.
        fps: frames per second.
        loop: "boomerang" or "none".
        closed: see `utils.camera.CameraPath`.
    Raises:
        ValueError: the film would have fewer than two positions, or more than MOST_FRAMES.
    """
    if duration_s is not None and not duration_s * float(fps) <= MOST_FRAMES:
        raise ValueError(
            f"a film of {duration_s:g} s at {float(fps):g} frames a second has more than "
            f"{MOST_FRAMES / 1e6:g} million frames.\n  Give --duration or --fps a smaller number."
        )
    frames = None if duration_s is None else round(duration_s * fps)
    if closed:
        loop = "none"
    if frames is None:
        count = 148 if closed else 75
    else:
        count = frames // 2 + 1 if loop == "boomerang" else frames
    if count < 2:
        raise ValueError(
            f"a film of {duration_s:g} s at {float(fps):g} frames a second has "
            "no motion.\n  Give --duration or --fps a larger number."
        )
    return count, 2 * count - 2 if loop == "boomerang" else count


def film_order(count: int, loop: str) -> list[int]:
    """Return which position of the path each frame shows."""
    there = list(range(count))
    return there + there[-2:0:-1] if loop == "boomerang" else there


def frame_times(path: CameraPath, settings: Any) -> list[float]:
    """Return the time on the path that each frame of a film shows.

    Args:
        path: CameraPath.   settings: utils.cli.flags.Settings: length, speed, loop, easing.
    """
    count, _ = film_length(settings.duration, settings.fps, settings.loop, path.closed)
    times = path_times(count, settings.easing, path.closed)
    order = film_order(count, "none" if path.closed else settings.loop)
    return [float(times[position]) for position in order]


def film_frames(
    scene: Any,
    path: CameraPath,
    count: int,
    size: tuple[int, int],
    loop: str = "boomerang",
    easing: str = "linear",
    workers: int | None = None,
    kept: range = range(0),
) -> Generator[tuple[np.ndarray, np.ndarray]]:
    """Yield the frames of a film in order while the next ones are being rendered.

    Args:
        scene: Scene or StereoScene, inpainted.
        path: CameraPath in the scene's pixels.
        count: positions on the path.
        size: (height, width) of a frame (of one eye's picture), px.
        loop, easing: see `film_order` and `utils.camera.path_times`.
        workers: rendering threads; by default one per core, as far as memory goes.
        kept: positions that the way back leaves out, as they are shown again from elsewhere; they
            come first on it.
    Yields:
        frame (H, W, 3) uint8, holes (H, W) bool: where nothing was known before the last filling.
    """
    times = path_times(count, easing, path.closed)
    loop = "none" if path.closed else loop
    workers = workers or render_threads(scene.device, size)

    def render(position):
        return scene.render(**path.view(times[position], size))

    order = film_order(count, loop)
    order = order[:count] + [position for position in order[count:] if position not in kept]
    # What was rendered last is what the way back needs first.
    cache: OrderedDict[int, Frame] = OrderedDict()
    with ThreadPoolExecutor(workers, thread_name_prefix="render") as pool:
        pending: deque[Future[Frame] | Frame] = deque()
        upcoming = iter(order)
        try:
            for index, position in enumerate(order):
                while len(pending) <= workers and (ahead := next(upcoming, None)) is not None:
                    pending.append(cache.get(ahead) or pool.submit(render, ahead))
                result = pending.popleft()
                result = result if isinstance(result, tuple) else result.result()
                yield result
                if index < count and loop == "boomerang" and position not in kept:
                    cache[position] = result
                    if len(cache) * sum(part.nbytes for part in result) > CACHE_BYTES:
                        cache.popitem(last=False)
        finally:
            for future in pending:
                if not isinstance(future, tuple):
                    future.cancel()


def write_film(
    job: Any,
    plan: Any,
    view: Any,
    path: CameraPath,
    settings: Any,
    metadata: dict[str, Any],
    stop: threading.Event,
    hide_bar: bool | None = True,
) -> None:
    """Render and encode at once; with `write_frames`, the frames of one way as PNG too.

    Args:
        job: utils.cli.jobs.Job: where the film goes.
        plan: utils.cli.plan.Plan: its size and length.
        view: Scene, StereoScene or Matte.
        path: CameraPath in the scene's pixels.
        settings: utils.cli.flags.Settings.
        metadata: dict that travels in the film.
        stop: threading.Event that ends the work at the next frame.
        hide_bar: what tqdm takes as `disable`.
    Raises:
        CancelledError: `stop` was set; nothing is left behind.
        OSError: a file cannot be written.
    """
    from tqdm import tqdm

    count, frames = film_length(settings.duration, settings.fps, settings.loop, path.closed)
    with (
        VideoWriter(
            job.video, plan.film_size, settings.fps, settings.codec, settings.quality, metadata
        ) as video,
        folder_complete_or_absent(settings.write_frames and job.result("frames")) as folder,
    ):
        # The way back is the way there: neither rendered nor converted twice.
        kept = video.keep(range(1, count - 1)) if frames > count else range(0)
        rendered = film_frames(
            view, path, count, plan.view_size, settings.loop, settings.easing, kept=kept
        )
        with (
            contextlib.closing(rendered),
            tqdm(total=frames, unit="frame", disable=hide_bar) as bar,
        ):
            for index, (frame, _) in enumerate(rendered):
                if stop.is_set():
                    raise CancelledError
                video.write(frame)
                bar.update()
                if folder and index < count:
                    write_image(folder / f"{index:05d}.png", frame)
                if index == count - 1:
                    for number in reversed(kept):
                        if stop.is_set():
                            raise CancelledError
                        video.show_again(number)
                        bar.update()
