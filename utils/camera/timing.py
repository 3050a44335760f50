"""Speed along a camera's path."""

from __future__ import annotations

import numpy as np


def path_times(count: int, easing: str = "linear", closed: bool = False) -> np.ndarray:
    """Return `count` times from 0 to 1, evenly or with a soft start and stop.

    Of a closed path the last one is left out, which would be the first frame again; nothing starts
    or stops there, so it is always gone evenly.
    """
    if easing not in ("linear", "smooth"):
        raise ValueError(f"easing must be linear or smooth, got {easing!r}.")
    if closed:
        return np.arange(count) / count
    t = np.linspace(0, 1, count) if count > 1 else np.zeros(1)
    return t * t * (3 - 2 * t) if easing == "smooth" else t
