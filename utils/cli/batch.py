"""A batch: one photo is filmed while others are prepared, and one that fails stops no other."""

from __future__ import annotations

import contextlib
import math
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from kernels.threads import memory_bytes, run_all, thread_count
from utils.cli.reporting import log, log_error
from utils.processes import result_of

if TYPE_CHECKING:
    from utils.cli.flags import Settings

# Photos that are prepared at once, at most: much of that is one thread's work, and beyond this the
# film that is made meanwhile keeps the rest of a large machine busy.
MOST_AHEAD = 4
TOGETHER = 64  # jobs that are looked at together, whether there is work to be done
# What preparing a photo takes at most: networks, which work at one size, and the rest per pixel.
NETWORK_BYTES, PIXEL_BYTES = 5e8, 300


def run_jobs(
    jobs: list,
    begin: Callable,
    finish: Callable,
    networks: Any,
    batch: bool,
    ahead: int = 1,
    look: Callable = lambda job: None,
) -> Generator[dict[str, Any]]:
    """Yield the result of each job, in order.

    Args:
        jobs: list of utils.cli.jobs.Job, or of what has its `photo` and `about`.
        begin: function of a job, the networks to use, and a threading.Event that tells it to give
            up; returns a dict where that is the whole result, else what `finish` needs.
        finish: function of a job, that, and the same event; returns a dict. Where the GPU's memory
            does not suffice, it is called again with what `begin` then makes on the CPU.
        networks: utils.weights.Networks.
        batch: a photo that fails gives its `Job.about` and "error"; otherwise it raises.
        ahead: how many jobs are begun at once, see `photos_ahead`.
        look: function of a job that returns its result if that is known without any work.
    """

    def attempt(work, job):
        try:
            return _with_gpu_or_without(work, job, networks)
        except Exception as error:
            if not batch or isinstance(error, CancelledError):
                raise
            return job.about() | {"error": log_error(error, job.photo)}

    def begin_one(job, stop):
        return attempt(lambda on: begin(job, on, stop), job)

    def finish_one(job, ready, stop):
        if isinstance(ready, dict):  # failed, skipped or a dry run
            return ready
        return attempt(
            lambda on: finish(job, ready if on is networks else begin(job, on, stop), stop), job
        )

    def look_at_one(job):
        return attempt(lambda _: look(job), job)

    return overlap(jobs, begin_one, finish_one, ahead, look_at_one)


def photos_ahead(jobs: list, settings: Settings, networks: Any) -> int:
    """Return how many photos of a batch are prepared at once.

    One where films of one photo share what is made for them, where a GPU does the work, or where
    nothing bounds a photo's size; otherwise as many as cores and half of the memory allow.
    """
    sides = {job.choice.get("max_size", settings.max_size) or math.inf for job in jobs}
    if networks.device.type != "cpu" or any(job.more for job in jobs):
        return 1
    fitting = memory_bytes() / 2 / (NETWORK_BYTES + PIXEL_BYTES * max(sides) ** 2)
    return max(1, min(MOST_AHEAD, 1 + thread_count() // 2, int(fitting)))


def _with_gpu_or_without(work, job, networks):
    """Return work(networks); where the GPU's memory does not suffice, do it again on the CPU."""
    from utils.weights.chosen import is_gpu_full

    try:
        return work(networks)
    except Exception as error:
        if networks.device.type == "cpu" or not is_gpu_full(error):
            raise
        log.warning(
            "%s: the GPU's memory is full, so this photo is made on the CPU.\n"
            "  A smaller --max-size or --size needs less.",
            job.photo,
        )
    return work(networks.on_cpu)


def overlap(
    jobs: list,
    prepare: Callable,
    finish: Callable,
    ahead: int = 1,
    look: Callable = lambda job: None,
) -> Generator[Any]:
    """Yield the result of each job, in order, while the next jobs are being prepared.

    One at a time is prepared in the calling thread, where Ctrl-C arrives, and several in threads;
    finishing runs in one other thread, a job after the other. Beside the job that is finished there
    are at most `ahead` others, and one more where it ends: this bounds the memory.

    Args:
        jobs: list of anything.
        prepare: function of a job and of a threading.Event that tells it to give up: it is set when
            the caller stops early, who then waits for it.
        finish: function of a job, what `prepare` returned, and that event.
        ahead: how many are prepared at once.
        look: function of a job: its result, or None if there is work to be done.
    """
    stop = threading.Event()
    with contextlib.ExitStack() as pools:
        film = pools.enter_context(ThreadPoolExecutor(1, "film"))
        begin: Callable[..., Future[Any]] = _at_once
        if ahead > 1:
            begin = pools.enter_context(ThreadPoolExecutor(ahead, "photo")).submit
        running: deque[Future[Any]] = deque()
        try:
            for job, known in _looked_at(jobs, look):
                while running and (running[0].done() or _unfinished(running) > ahead):
                    yield result_of(running.popleft())
                if known is not None:
                    running.append(_done(known))
                    continue
                prepared = begin(prepare, job, stop)
                running.append(film.submit(_finish, finish, job, prepared, stop))
                del prepared  # or it would be kept until the next one is there
            while running:
                yield result_of(running.popleft())
        finally:
            stop.set()
            for future in running:
                future.cancel()  # if it has not begun


def _at_once(function, *values):
    """Call a function as a pool would, and in this thread."""
    return _done(function(*values))


def _done(result):
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def _looked_at(jobs, look):
    """Yield each job and look(job), some at a time: thousands of films may be there already."""
    for begin in range(0, len(jobs), TOGETHER):
        some = jobs[begin : begin + TOGETHER]
        yield from zip(some, run_all(look, [(job,) for job in some]), strict=True)


def _unfinished(futures):
    return sum(not future.done() for future in futures)


def _finish(finish, job, prepared, stop):
    return finish(job, prepared.result(), stop)
