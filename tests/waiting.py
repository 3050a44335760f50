"""What tests need of the system they run on, and how they wait for another process."""

import os
import time
from pathlib import Path

import pytest

# Seconds after which something hangs: far more than a machine needs that has eight others' work to
# do. No test is about how long anything takes; those of speed are in benchmarks/.
PATIENCE = 600

unix = pytest.mark.skipif(os.name != "posix", reason="Unix signals and limits; this is Windows")


def wait_until(happened, process=None, seconds=PATIENCE):
    """Wait for a condition that no event tells of, such as a file of another process.

    Raises:
        AssertionError: `process` ended before, or the time is over.
    """
    deadline = time.monotonic() + seconds
    while not happened():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.005)


def alive(process):
    """Whether a process runs; one that ended but was not yet waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
