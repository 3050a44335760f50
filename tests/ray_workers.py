"""What tests/cli/test_cluster.py lets Ray's workers do; workers import it by this name."""

import logging
import os
import signal
import time


def make_worker(_):
    """Return a function of a job that does what the photo's name says."""

    def work(job):
        name, seen = job.photo.stem, job.folder / "seen"
        if "slow" in name:
            time.sleep(1)
        if "poison" in name or ("once" in name and not seen.exists()):
            seen.write_text(str(os.getpid()))
            (job.folder / ".partial-x").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        logging.getLogger("kbe").warning("seen %s", name)
        return {"photo": str(job.photo), "worker": os.getpid()}

    return work


def make_nothing(_):
    """Fail as a worker does that lacks what it needs."""
    raise ValueError("no weights here")
