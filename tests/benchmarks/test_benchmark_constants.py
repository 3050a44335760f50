"""benchmarks.constants: what is tuned, and a number that is another one wherever it is known."""

import multiprocessing
import sys

import numpy as np
import pytest

from benchmarks.constants import FIXED, largest_move, numbers, rows, table, told, tried, tuned


def test_what_is_no_tuning_exists():
    named = {
        (file, name) for files in FIXED.values() for file in files for name in files[file].split()
    }
    assert named <= {(number.file, number.name) for number in numbers()}


def test_numbers_are_found_in_every_form(tmp_path):
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "one.py").write_text(
        "A, B = 1, f(2)\nC = (0.5, 'x')\nD = -1\nE: float = 1 / 3\n"
        "TEXT = 'x'\nFLAG = True\nlower = 1\nclass K:\n    F = 1\nG = f('x')\n"
    )
    assert [number.name for number in tuned(tmp_path)] == ["A", "B", "C", "D", "E"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_number_changes_wherever_it_is_known():
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(_steps_at, (1.0,)) == (True, True, 0.5)
        assert pool.apply(_steps_at, (2.0,)) == (False, False, 1.0)


def _steps_at(factor):
    """What is a step: compiled, in NumPy; and a copy of the number in another module."""
    from benchmarks.constant_trials import scaled, set_number
    from utils.depth import steps
    from utils.scene import edge_sides, rims

    near, far, limit = (np.float32(value) for value in (10, 1, 12))
    compiled = edge_sides.least_step, steps.is_step(near, far, limit)
    assert compiled[1]  # and so compiled before
    if factor != 1:
        set_number("utils.depth.steps", "TWICE_AS_FAR", scaled(steps.TWICE_AS_FAR, factor))
    seen = (
        bool(steps.is_step(near, far, limit)),
        bool(near - far >= steps.least_step(near, far, limit)),
    )
    return *seen, float(rims.TWICE_AS_FAR)


@pytest.mark.parametrize(
    ("value", "half", "twice"),
    [(1, 0, 2), (3, 2, 6), (0.5, 0.25, 1.0), ((1.0, 4), (0.5, 2), (2.0, 8)), (0, -1, 1)],
)
def test_half_and_twice(value, half, twice):
    from benchmarks.constant_trials import scaled

    assert (scaled(value, 0.5), scaled(value, 2.0)) == (half, twice)


def test_what_moved_is_told():
    usual = {"scene.psnr_seen": 30.0, "scene.gram": 0.5}
    assert told({"picture": 0.0}, usual) == "nothing"
    assert told({"picture": 0.2, "scene.gram": 0.004}, usual) == "no figure; picture 0.2"
    moved = {"picture": 0.2, "scene.gram": 0.02, "scene.psnr_seen": -0.3}
    assert largest_move(moved, usual)[0] == "scene.psnr_seen"
    assert told(moved, usual) == "psnr_seen 30 -0.3; picture 0.2"


def test_the_table_keeps_what_is_known_of_a_number_that_stays():
    first = tried()[0]
    usual = {"scene.gram": 0.5}
    moved = {side: {"picture": 0.0} for side in ("half", "twice")}
    text = table({"numbers": {first.key: moved}, "usual": usual})
    assert rows(text)[0] == (first.file, first.name, first.told, ["nothing", "nothing"])
    assert rows(text)[1][3] == ["not tried", "not tried"]
    assert table({}, text) == text
    other = text.replace(f"| `{first.name}` | {first.told} |", f"| `{first.name}` | 1234 |")
    assert rows(table({}, other))[0][3] == ["not tried", "not tried"]
