"""How far something is that takes long: a bar on a terminal, else a line of the log at times."""

import logging
import sys
import time
from typing import Any

log = logging.getLogger(__name__)

LINE_S = 15.0  # seconds between two lines of the log
SURE = 5  # after so many it is known how long one takes; the first may include compiling


class Progress:
    """Counts what is done, as a context around the work; everything goes to standard error.

    Args:
        total: how many there are, None = unknown.
        unit: what is counted, in the singular.
        done: how many were there before.
        hide: show nothing.
    """

    def __init__(self, total: int | None, unit: str, done: int = 0, hide: bool = False) -> None:
        """Open the bar, if there is a terminal."""
        self.total, self.unit, self.before, self.done = total, unit, done, done
        self.began = self.said = time.monotonic()
        self.bar: Any = None
        self.hide = hide
        if not hide and sys.stderr and sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=total, unit=unit, initial=done, dynamic_ncols=True)

    def __enter__(self) -> "Progress":
        """Return this."""
        return self

    def __exit__(self, *_: Any) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    def advance(self, count: int = 1) -> None:
        """Count so many more."""
        self.done += count
        if self.bar is not None:
            self.bar.update(count)
        elif not self.hide and time.monotonic() - self.said >= LINE_S:
            self._say_line()

    def _say_line(self) -> None:
        self.said = time.monotonic()
        of, left = f" of {self.total}" if self.total else "", ""
        if self.total and self.done - self.before >= SURE:
            seconds = (self.said - self.began) / (self.done - self.before)
            left = f", {duration((self.total - self.done) * seconds)} left"
        log.info("%s %d%s%s", self.unit, self.done, of, left)

    def note(self, text: str) -> None:
        """Say something that does not run into the bar."""
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        elif not self.hide:
            log.info("%s", text)


def duration(seconds: float) -> str:
    """A time as a person would say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
