"""Processes beside ours: they end with it, however it ends, and leave Ctrl-C to it."""

import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

WAIT_S = 0.5  # between looks whether Ctrl-C was pressed


def follow_parent() -> None:
    """Let this process live as long as its parent, which alone decides what a signal means.

    Ctrl-C and a scheduler's SIGTERM reach the whole group.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent is gone, however that was killed.

    Libraries' own watches are not enough: a worker that is full of work waits for ever to hand it
    over, to a pipe that it holds both ends of itself.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def spread(
    function: Callable[[Any], Iterator[Any]], tasks: Iterable[Any], processes: int
) -> Iterator[Any]:
    """Yield what function(task) yields, of every task, in several processes at once.

    Closing this generator, or an error in it, ends the processes at once, whatever they do.

    Args:
        function: generator function of a module; with what it takes and yields it can be pickled.
        tasks: what it is called with; each process takes the next one when it is through.
        processes: how many at most; 1 starts none.
    Raises:
        RuntimeError: a process was killed.
        Exception: what the function raised.
    """
    waiting = list(tasks)[::-1]
    if processes == 1 or len(waiting) < 2:
        while waiting:
            yield from function(waiting.pop())
        return
    # Forking a process that has started threads (torch) can hang it: fresh interpreters.
    context, busy = multiprocessing.get_context("spawn"), {}
    try:
        for _ in range(min(processes, len(waiting))):
            ours, theirs = context.Pipe()
            busy[ours] = context.Process(target=_work, args=(theirs, function), daemon=True)
            with _without_ctrl_c():
                busy[ours].start()
            theirs.close()
            ours.send(waiting.pop())
        while busy:
            connection: Any  # of another class on Windows
            for connection in multiprocessing.connection.wait(list(busy)):
                try:
                    done, told = connection.recv()
                except EOFError:
                    raise RuntimeError(
                        "a process that worked beside this one was killed, perhaps for want of "
                        "memory"
                    ) from None
                if isinstance(told, Exception):
                    raise told
                if not done:
                    yield told
                elif waiting:
                    connection.send(waiting.pop())
                else:
                    _end(busy.pop(connection))
    finally:
        for process in busy.values():
            _end(process)


def result_of(future: concurrent.futures.Future[Any]) -> Any:
    """Return what a thread made, or raise what it raised; Ctrl-C is heard meanwhile.

    On Windows nothing interrupts a wait without an end.
    """
    while not future.done():
        concurrent.futures.wait([future], timeout=WAIT_S)
    return future.result()


def _end(process: Any) -> None:
    process.kill()
    process.join()


def _work(connection: Any, function: Callable[[Any], Iterator[Any]]) -> None:
    follow_parent()
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        while True:
            task = connection.recv()
            try:
                for told in function(task):
                    connection.send((False, told))
            except Exception as error:
                connection.send((True, error))
            else:
                connection.send((True, None))


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Start processes that Ctrl-C never reaches, not even before they run our code."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def as_scheduled() -> Iterator[None]:
    """Undo what a library does meanwhile to how this process' threads share the processors.

    SVT-AV1, when root opens it, makes the thread that calls it real-time (SCHED_FIFO, 99), and so
    all that it and that thread ever start: nothing else on the machine would get those cores.
    """
    if not Path("/proc/self/task").is_dir():  # it does so on Linux alone
        yield
        return
    own, before = _scheduling(0), {thread: _scheduling(thread) for thread in _threads()}
    try:
        yield
    finally:
        for thread in _threads():
            wanted = before.get(thread) or own  # a new one inherits from us
            if wanted and _scheduling(thread) not in (wanted, None):
                with contextlib.suppress(OSError):  # it has ended, or may not be asked
                    os.sched_setscheduler(thread, wanted[0], os.sched_param(wanted[1]))


def _threads():
    return [int(name) for name in os.listdir("/proc/self/task")]


def _scheduling(thread):
    """Policy and priority of a thread, 0 = the calling one; None where it cannot be asked."""
    try:
        return os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority
    except OSError:
        return None
