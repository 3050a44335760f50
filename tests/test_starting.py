"""The start of a command: torch without what no film needs, and memory that is kept."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from utils import starting

ROOT = Path(__file__).resolve().parents[1]


def told(script):
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def test_torch_comes_without_shapes_until_they_are_asked_for():
    script = """if True:
        import sys
        from utils.starting import SHAPES, complete_torch, import_torch
        import_torch()
        import torch
        print(SHAPES in sys.modules, hasattr(torch, SHAPES.partition(".")[2]))
        with torch.device("meta"):
            image, network = torch.empty(1, 3, 8, 8), torch.nn.Conv2d(3, 4, 3)
        try:
            print(network(image).shape)
        except NotImplementedError:
            print("none")
        complete_torch()
        print(*network(image).shape)"""
    assert told(script) == ["False", "False", "none", "1", "4", "6", "6"]


def test_networks_of_ones_own_may_compile_and_train():
    script = """if True:
        from utils.starting import import_torch
        import_torch()
        import torch
        network = torch.nn.Conv2d(3, 4, 3)
        image = torch.rand(1, 3, 8, 8)
        print(torch.compile(network, backend="eager")(image).sum().isfinite().item())
        torch.optim.Adam(network.parameters()).step()"""
    assert told(script) == ["True"]


def test_a_program_that_runs_a_command_has_all_of_torch(tmp_path):
    script = f"""if True:
        import sys
        import kbe
        kbe.main(["--in", "missing.jpg", "--out", {str(tmp_path)!r}, "--quiet"])
        print("torch" in sys.modules, "torch._meta_registrations" in sys.modules)"""
    assert told(script) == ["True", "True"]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone keeps memory so")
def test_memory_that_was_freed_is_not_cleared_again():
    script = """if True:
        import resource
        import numpy as np
        from utils.starting import keep_memory
        keep_memory()
        for _ in range(2):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(8):
                np.ones(2**21)
            print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"""
    first, second = map(int, told(script))
    assert second < first / 4


def test_an_earlier_c_library_keeps_as_much_as_it_takes(monkeypatch):
    taken = {}

    def mallopt(what, value):
        fits = what != starting.M_MMAP_THRESHOLD or value <= 2**25
        if fits:
            taken[what] = value
        return int(fits)

    monkeypatch.setattr(starting.sys, "platform", "linux")
    monkeypatch.setattr(starting.ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    starting.keep_memory()
    # Else the other settings would freeze it where it begins, at 128 KB: every array anew.
    assert taken[starting.M_MMAP_THRESHOLD] == 2**25
