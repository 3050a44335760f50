"""A batch spread over a Ray cluster: workers that load their networks once, one photo at a time.

Every machine must see the program, the photos, the weights and --out under the same paths: a shared
folder. Ray (an optional dependency) is imported here only.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import signal
import socket
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from utils.files import PARTIAL, remove_leftovers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from utils.cli.flags import Settings
    from utils.cli.jobs import Job

log = logging.getLogger("kbe")

ATTEMPTS = 3  # a photo that ends its worker as often as this is given up
WAIT_S = 30  # for a worker before saying so
GRACE_S = 10  # for workers to be gone
USUAL_CPUS = 4  # cores of one worker: more would wait for the encoder


def over_cluster(
    address: str, jobs: list[Job], make_worker: Callable, settings: Settings
) -> Generator[dict[str, Any]]:
    """Yield the result of each job, in the order of the jobs, each once.

    A worker that dies is replaced, and its job goes to whichever worker is free next.

    Args:
        address: of a running cluster; "auto" finds one on this machine, "local" starts one.
        jobs: list of utils.cli.jobs.Job.
        make_worker: importable function of `settings` that returns a function of a job.
        settings: utils.cli.flags.Settings.
    Raises:
        ValueError: Ray is not installed, there is no such cluster, or nothing in it fits.
        RuntimeError: no worker starts.
    """
    folders = {
        str(Path(__file__).resolve().parents[2]),
        str(Path(inspect.getfile(make_worker)).resolve().parent),
    }
    ray = _connect(address, folders)
    # Ray reports on standard output, which is for results; whoever prints them has kept it.
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            yield from _Batch(ray, jobs, make_worker, settings).results()
        finally:
            ray.shutdown()


def _connect(address, folders):
    """Import Ray and join the cluster, whose workers will import from `folders`."""
    try:
        import ray
    except ImportError as error:
        raise ValueError('--ray: Ray is not installed.\n  pip install "ray>=2.40"') from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        host, _, port = address.rpartition(":")
        if host and port.isdecimal() and "://" not in address:  # Ray itself would try for minutes
            socket.create_connection((host.strip("[]"), int(port)), timeout=WAIT_S).close()
        ray.init(
            address,
            include_dashboard=False if address == "local" else None,
            logging_level=logging.ERROR,
            log_to_driver=False,
            runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(folders)}},
        )
    except Exception as error:  # of many kinds, by what is wrong with the address
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"--ray {address}: no cluster there: {reason}\n"
            "  Start one with: ray start --head, or use --ray local."
        ) from error
    if in_main_thread:
        signal.signal(signal.SIGTERM, handler)  # Ray puts its own there
    return ray


def share_out(
    nodes: list[dict[str, float]], cpus: float | None, gpus: float | None
) -> tuple[int, float, float]:
    """Return how many workers a cluster takes, and how many cores and GPUs each has.

    Args:
        nodes: list of dicts of resources, one per machine.
        cpus: cores per worker; None: USUAL_CPUS, or all of a smaller machine.
        gpus: GPUs per worker, also a fraction; None: one where there is any, else none.
    """
    if gpus is None:
        gpus = 1 if any(node.get("GPU", 0) >= 1 for node in nodes) else 0
    most = max((node.get("CPU", 0) for node in nodes), default=0)
    cpus = cpus or max(1, min(USUAL_CPUS, int(most)))
    count = 0
    for node in nodes:
        room = node.get("CPU", 0) / cpus
        if gpus:
            room = min(room, node.get("GPU", 0) / gpus)
        count += int(room + 1e-9)  # 0.3 / 0.1 is a little less than 3
    return count, cpus, gpus


class _Worker:
    """Lives on a machine of the cluster, in a process of its own."""

    def __init__(self, make_worker, settings, folder, cpus, level):
        """Stand where the command was given; what is relative there is relative here."""
        os.chdir(folder)
        os.environ["OMP_NUM_THREADS"] = str(max(1, int(cpus)))
        notes = _Notes()
        notes.said = []  # until the first job is there
        log.handlers[:], log.propagate = [notes], False
        log.setLevel(level)
        self.make = make_worker(settings)

    def ready(self):
        """Answer when the networks are chosen."""

    def work(self, job):
        """Return the result of a job, and what was said meanwhile: (level, text) pairs."""
        said = log.handlers[0].said = []
        return self.make(job), said


class _Notes(logging.Handler):
    """Keeps what is logged, to be said where the command was given."""

    said = ()

    def emit(self, record):
        self.said.append((record.levelno, self.format(record)))


class _Batch:
    """The jobs of one run and the workers that do them."""

    def __init__(self, ray, jobs, make_worker, settings):
        """Start as many workers as the cluster takes, at most one per job."""
        self.ray, self.jobs = ray, jobs
        self.waiting = deque(range(len(jobs)))
        self.attempts = [0] * len(jobs)
        self.done, self.running = {}, {}  # {index: result}, {reference: (worker, index or None)}
        self.failed_starts, self.started = 0, False
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        count, cpus, gpus = share_out(nodes, settings.ray_cpus, settings.ray_gpus)
        if count == 0:
            raise ValueError(
                f"--ray: no machine of the cluster has {cpus:g} cores and {gpus:g} "
                "GPUs.\n  Give a smaller --ray-cpus or --ray-gpus."
            )
        self.actor = ray.remote(num_cpus=cpus, num_gpus=gpus)(_Worker)
        self.arguments = (make_worker, settings, os.getcwd(), cpus, log.level)
        log.info("%d workers, each with %g cores and %g GPUs", count, cpus, gpus)
        for _ in range(min(count, len(jobs))):
            self.start_worker()

    def start_worker(self):
        """Ask for a worker; it counts once it answers, which a busy cluster may delay."""
        worker = self.actor.remote(*self.arguments)
        self.running[worker.ready.remote()] = worker, None

    def results(self):
        """Yield the results in order."""
        try:
            for index in range(len(self.jobs)):
                while index not in self.done:
                    self.step()
                yield self.done.pop(index)
        finally:
            self.stop()

    def step(self):
        """Wait until a worker has something to say, and give it the next job."""
        finished, _ = self.ray.wait(list(self.running), timeout=WAIT_S)
        if not finished and all(index is None for _, index in self.running.values()):
            log.warning("no worker has started yet; the cluster may be busy.")
        for reference in finished:
            worker, index = self.running.pop(reference)
            try:
                answer = self.ray.get(reference)
            except self.ray.exceptions.RayError as error:
                self.worker_died(index, error)
                continue
            self.started = True
            if index is not None:
                self.done[index], said = answer
                for level, text in said:
                    log.log(level, "%s", text)
            if self.waiting:
                index = self.waiting.popleft()
                self.running[worker.work.remote(self.jobs[index])] = worker, index

    def worker_died(self, index, error):
        """Put its job back and start another worker."""
        reason = str(error).strip().splitlines()
        if index is None:
            self.failed_starts += 1
            if self.failed_starts >= ATTEMPTS and not self.started:
                raise RuntimeError(
                    f"--ray: no worker starts: {reason[-1]}\n  Every machine must "
                    "see this program and its folders under the same paths."
                ) from error
        else:
            photo = str(self.jobs[index].photo)
            self.attempts[index] += 1
            log.warning("%s: its worker died: %s", photo, reason[0])
            if self.attempts[index] < ATTEMPTS:
                self.waiting.appendleft(index)
            else:
                said = f"{photo}: its worker died {ATTEMPTS} times."
                log.error("%s", said)
                self.done[index] = self.jobs[index].about() | {"error": said}
        if len(self.running) < len(self.waiting):
            self.start_worker()

    def stop(self):
        """End the workers; what they have not finished leaves nothing behind."""
        for worker, _ in self.running.values():
            self.ray.kill(worker)
        folders = [
            self.jobs[index].folder for _, index in self.running.values() if index is not None
        ]
        deadline = time.monotonic() + GRACE_S
        for folder in folders:  # a file is locked until its writer is gone
            while any(folder.glob(f"{PARTIAL}*")) and time.monotonic() < deadline:
                remove_leftovers(folder)
                time.sleep(0.05)
