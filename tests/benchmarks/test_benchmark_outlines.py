"""What benchmarks/outlines.py counts."""

import numpy as np

from benchmarks.outlines import wrong_side


def disc(radius, center=200):
    """(300, 400) bool."""
    rows, columns = np.mgrid[:300, :400]
    return np.hypot(rows - 150, columns - center) < radius


def test_the_wrong_side_of_an_outline_is_counted():
    mask = disc(80).astype(np.float32)
    exact, shifted = (np.where(disc(80, at), 10.0, 4.0).astype(np.float32) for at in (200, 203))
    found = wrong_side({"refined": shifted, "aligned": exact}, mask)
    assert found["aligned"] == 0
    # About 3 of 10 px across the ring that is judged, left and right; none above and below.
    assert 0.1 < found["refined"] < 0.25


def test_without_a_step_nothing_is_judged():
    flat = np.full((300, 400), 5, np.float32)
    assert wrong_side({"refined": flat, "aligned": flat}, disc(80).astype(np.float32)) is None
