"""What benchmarks/start.py reads of Python's -X importtime."""

from benchmarks.start import import_times, packages

TOLD = """\
import time: self [us] | cumulative | imported package
import time:       200 |        200 |   encodings.aliases
import time:      1000 |       1200 | encodings
kbe.py: a note between
import time:       300 |        300 |     torch._C
import time:   2500000 |    2500300 | torch
"""


def test_packages_are_the_sums_of_what_their_modules_took_themselves():
    alone = import_times(TOLD)
    assert alone["torch"] == 2.5 and len(alone) == 4
    sums = packages(alone)
    assert list(sums) == ["encodings", "torch"]
    assert abs(sums["encodings"] - 0.0012) < 1e-9 and abs(sums["torch"] - 2.5003) < 1e-9
