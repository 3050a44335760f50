"""Many shots become one film: each fades into the next, in the memory of one fade."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

import cv2
import numpy as np


class CrossFader:
    """Join shots whose frames come one by one; the film's go out one by one.

    Of each shot the last `hold` frames are kept back, since they may have to be mixed with the next
    one's first: that bounds the memory, however many shots there are.

    Args:
        write: takes the film's next frame, (H, W, 3) uint8.
        hold: frames of the longest fade.
    """

    def __init__(self, write: Callable[[np.ndarray], None], hold: int) -> None:
        """Begin a film without a frame."""
        self.write, self.hold = write, hold
        self.written = 0
        self._shot: int | None = None
        self._taken = 0  # frames of this shot
        self._start = 0  # its first frame in the film
        self._tail: deque[np.ndarray] = deque()  # what is kept back
        self._before: deque[np.ndarray] = deque()  # of the shot before, to be mixed with this one
        self._fade = 0

    def add(self, shot: int, frames: Iterable[np.ndarray], fade: int) -> None:
        """Show a shot after, and for `fade` frames over, the one before.

        Where `frames` raises, what was shown of the shot stays, and the same shot may be given
        again to go on: as many frames as were taken are skipped. A shot of which no frame came
        leaves no trace.

        Args:
            shot: number that tells it from the one before.
            frames: (H, W, 3) uint8 of one size.
            fade: frames that it shares with the shot before; fewer if that one is shorter.
        """
        skipped = self._taken if shot == self._shot else 0
        for frame in islice(frames, skipped, None):
            if shot != self._shot:
                self._begin(shot, fade)
            self._taken += 1
            if self._before:
                share = (self._fade - len(self._before) + 1) / (self._fade + 1)
                frame = mix(self._before.popleft(), frame, share)
            self._tail.append(frame)
            if len(self._tail) > self.hold:
                self._write(self._tail)

    def span(self, shot: int) -> tuple[int, int] | None:
        """Return where in the film a shot is seen, [first, end) in frames; None: not at all.

        Args:
            shot: the number of the last one that was added.
        """
        if shot != self._shot:
            return None
        return self._start, self._start + self._taken

    @property
    def begins(self) -> bool:
        """Whether a shot begins with the frame that is written next."""
        return self.written == self._start

    def finish(self) -> None:
        """Write what was kept back: there is no next shot."""
        while self._tail:
            self._write(self._tail)

    def _begin(self, shot: int, fade: int) -> None:
        self._fade = min(fade, len(self._tail))
        while len(self._tail) > self._fade:
            self._write(self._tail)
        self._before, self._tail = self._tail, deque()
        self._shot, self._taken, self._start = shot, 0, self.written

    def _write(self, frames: deque[np.ndarray]) -> None:
        self.write(frames.popleft())
        self.written += 1


def mix(before: np.ndarray, after: np.ndarray, share: float) -> np.ndarray:
    """Return the mean of two (H, W, 3) uint8 frames, `share` (0..1) of the second one in it."""
    return np.asarray(cv2.addWeighted(before, 1 - share, after, share, 0))
