"""A batch: one photo is filmed while the next is prepared, and one that fails stops no other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from utils.cli.reporting import log, log_error
from utils.processes import result_of


def run_jobs(
    jobs: list, begin: Callable, finish: Callable, networks: Any, batch: bool
) -> Generator[dict[str, Any]]:
    """Yield the result of each job, in order.

    Args:
        jobs: list of utils.cli.jobs.Job, or of what has its `photo` and `about`.
        begin: function of a job and the networks to use; returns a dict where that is the whole
            result, else what `finish` needs.
        finish: function of a job, that, and a threading.Event that tells it to give up; returns a
            dict. Where the GPU's memory does not suffice, it is called again with what `begin`
            then makes on the CPU.
        networks: utils.weights.Networks.
        batch: a photo that fails gives its `Job.about` and "error"; otherwise it raises.
    """

    def attempt(work, job):
        try:
            return _with_gpu_or_without(work, job, networks)
        except Exception as error:
            if not batch:
                raise
            return job.about() | {"error": log_error(error, job.photo)}

    def begin_one(job):
        return attempt(lambda on: begin(job, on), job)

    def finish_one(job, ready, stop):
        if isinstance(ready, dict):  # failed, skipped or a dry run
            return ready
        return attempt(
            lambda on: finish(job, ready if on is networks else begin(job, on), stop), job
        )

    return overlap(jobs, begin_one, finish_one)


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


def overlap(jobs: list, prepare: Callable, finish: Callable) -> Generator[Any]:
    """Yield the result of each job, in order, while the next job is being prepared.

    Preparing stays in the calling thread, where Ctrl-C arrives; finishing runs in one other thread.
    At most one prepared job waits for it, which bounds the memory.

    Args:
        jobs: list of anything.
        prepare: function of a job.
        finish: function of a job, what `prepare` returned, and a threading.Event that tells it to
            give up: it is set when the caller stops early, who then waits for it.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(1, "film") as beside:
        running = None
        try:
            for job in jobs:
                prepared = prepare(job)
                previous, running = running, beside.submit(finish, job, prepared, stop)
                del prepared  # or it would be kept until the next one is there
                if previous:
                    yield result_of(previous)
            if running:
                yield result_of(running)
        finally:
            stop.set()
            if running:
                running.cancel()  # if it has not begun
