"""The life of a command: signals, streams, and the exit status that each ending has."""

import contextlib
import gc
import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from utils import UsageError
from utils.cli.flags import Settings
from utils.cli.reporting import log, log_error, set_up_log
from utils.starting import import_torch, keep_memory


class Terminated(SystemExit):
    """SIGTERM arrived; it unwinds like Ctrl-C, so that no half file stays.

    A request to exit to libraries, too: what is neither that nor Ctrl-C is an error to some, as to
    tqdm, which prints it and goes on.
    """


def run_command(command: Callable[[Settings], int], settings: Settings) -> int:
    """Call command(settings) as a program's whole life.

    Returns:
        int: what the command returned; 1 if it failed, 2 for wrong usage, 130 after Ctrl-C, 143
        after SIGTERM.
    """
    # While a film is rendered beside it, torch's idle threads must sleep, not spin (libgomp's own
    # variable, read when torch is imported): a batch then takes 9 to 30 % less CPU time.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    keep_memory()
    _open_missing_streams()
    set_up_log(settings.verbose, settings.quiet)
    try:
        with _terminating():
            # Run by another program, a command must leave it a whole torch.
            _load_modules(whole=command.__module__ != "__main__")
            return command(settings)
    except KeyboardInterrupt:
        log.error("interrupted; finished films are kept.")
        return 130
    except Terminated:
        log.error("terminated; finished films are kept.")
        return 143
    except UsageError as error:
        log.error("%s", error)
        return 2
    except BrokenPipeError:  # the reader of our results went away, as in `... | head -1`
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
        return 1
    except Exception as error:
        log_error(error)
        return 1


def _load_modules(whole: bool) -> None:
    """Import what every film needs, without a search for garbage meanwhile.

    Torch and the rest bring half a million objects that stay. Python would look through all of them
    four times before the first frame, for 0.3 s and more; frozen, they are left out of later ones.

    Args:
        whole: load all of torch, too.
    """
    if "torch" in sys.modules:  # a program that calls main: what else is there may be garbage
        return
    gc.disable()
    try:
        if not whole:
            import_torch()
        for name in ("utils.cli.plan", "utils.weights.chosen", "kernels.cpu_frame"):
            importlib.import_module(name)
        gc.freeze()
    finally:
        gc.enable()


def _open_missing_streams() -> None:
    """Daemons may have no streams; names of files need not fit the streams' encoding."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that is no text goes out as the bytes it is; what the encoding lacks is escaped.
        exact = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if exact else "backslashreplace")


@contextlib.contextmanager
def _terminating() -> Iterator[None]:
    """Let SIGTERM raise Terminated meanwhile; only a program's main thread may ask for it."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
