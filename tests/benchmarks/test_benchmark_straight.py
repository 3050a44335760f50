"""What benchmarks/straight.py counts."""

import numpy as np

from benchmarks.straight import along, bending, line_figures, unlike
from utils.depth.segments import Segment

SIZE = (300, 400)


def upright(column=200.0):
    """A segment from top to bottom."""
    return Segment(np.array([column, 20.0]), np.array([column, 280.0]), np.array([[0.0, 260.0]]))


def wall(wave=0.0):
    """A front that ends at column 200, before a back; its disparity runs along the edge."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    front = 60 + rows / 10 + wave * np.sin(rows / 20)
    return np.where(columns >= 200, front, 20).astype(np.float32)


def test_the_front_of_an_edge_is_looked_at():
    assert along(wall(), upright())[2].min() > 60


def test_affine_disparity_stays_straight_and_a_wave_bends():
    straight, wavy = (bending(wall(wave), [upright()]) for wave in (0, 4))
    assert max(of.max() for of in straight.values()) < 0.1  # the front is in whole pixels
    assert wavy["right"][0] > 2 and wavy["orbit"][0] > 2
    assert line_figures(wall(4), [upright()])["bent"] == 1


def test_what_bends_along_the_line_of_sight_does_not_show():
    """A level line under a move to the right: its points move along it."""
    level = Segment(np.array([20.0, 150.0]), np.array([380.0, 150.0]), np.array([[0.0, 360.0]]))
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    disparity = np.where(rows >= 150, 60 + 4 * np.sin(columns / 20), 20).astype(np.float32)
    assert bending(disparity, [level])["right"][0] < 0.1


def test_a_curve_that_is_true_is_not_unlike():
    assert unlike(wall(4), wall(4), [upright()]) == 0
    assert unlike(wall(0), wall(4), [upright()]) > 2
