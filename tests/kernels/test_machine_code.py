"""Machine code on disk is never older than any file that it was made from."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kernels import cuda, sources

ROOT = Path(__file__).resolve().parents[2]
# A kernel like ours, quickly compiled: a number and a helper of other files are frozen into it.
KERNEL = """
import numpy as np
from .constants import TOLERANCE
from .hashing import below
from .jit import jit

@jit
def shown(bits):
    return below(np.uint32(bits), 1000) + TOLERANCE
"""
CALL = """
import sys
from kernels.kernel import shown
number, hits = int(shown(3_000_000_000)), sum(shown.stats.cache_hits.values())
print(number, hits, int("numba.cpython.heapq" in sys.modules))  # what only compiling needs
"""
# As another user than the one who has put the project there; superusers can write everywhere.
READ_ONLY = """
import os, pathlib, tempfile
ours, place, can = str(pathlib.Path("kernels").resolve()), tempfile.TemporaryFile, os.access
def refused(*given, dir=None, **options):
    if str(dir).startswith(ours):
        raise PermissionError(13, "no", dir)
    return place(*given, dir=dir, **options)
tempfile.TemporaryFile = refused
os.access = lambda path, mode: mode != os.W_OK and can(path, mode)
"""
NUMBER = "constants.py", "TOLERANCE = np.float32(1)", "TOLERANCE = np.float32(1000)"
HELPER = "hashing.py", "np.uint64(count)) >>", "np.uint64(count + 5000)) >>"


def copied(folder):
    """A copy of the kernels without machine code, and a kernel of the test."""
    shutil.copytree(ROOT / "kernels", folder / "kernels", ignore=shutil.ignore_patterns("__*__"))
    (folder / "kernels/__init__.py").touch()  # the operators need torch, seconds of every process
    (folder / "kernels/kernel.py").write_text(KERNEL)
    return folder


def start(project, before="", **more):
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"} | more
    command = [sys.executable, "-c", before + CALL]
    return subprocess.Popen(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, text=True
    )


def result(process):
    """What the kernel gave, and how much of it was found on disk."""
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    number, hits, compiler = map(int, output.split())
    assert compiler == (not hits)  # what is found is ready without one
    return number, hits


def change(project, file, old, new):
    path = project / "kernels" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def versions(project):
    """Digests in the names of what is kept of one function."""
    kept = (project / "kernels/__pycache__").glob("kernel.shown-*.nb?")
    return {path.name.split("-")[1].split(".")[0] for path in kept}


def test_change_of_a_number_or_helper_reaches_the_machine_code(tmp_path):
    project, fresh = copied(tmp_path / "project"), copied(tmp_path / "fresh")
    before = result(start(project))
    for part in (NUMBER, HELPER):
        change(project, *part)
        change(fresh, *part)
    both = [start(project), start(project)]  # at once
    after = {result(process)[0] for process in both}
    again, anew = start(project), start(fresh)
    (expected, _), (found, hits) = result(anew), result(again)
    assert after == {expected} == {found} and hits == 1  # kept, and found again
    assert expected > before[0] + 999 > 1000  # both changes are in it
    assert versions(project) == versions(fresh) and len(versions(project)) == 1


def test_what_lies_beside_the_sources_is_read_where_it_cannot_be_written(tmp_path):
    """As in a container: it was built by root, and another user runs it, who has no home."""
    project, home = copied(tmp_path / "project"), {"XDG_CACHE_HOME": "/dev/null"}
    assert result(start(project, READ_ONLY, **home))[1] == 0  # nowhere to keep it
    assert not versions(project)
    expected, _ = result(start(project))
    there = {path: path.stat().st_mtime_ns for path in project.rglob("*.nb?")}
    assert result(start(project, READ_ONLY, **home)) == (expected, 1)
    change(project, *NUMBER)
    assert result(start(project, READ_ONLY, **home)) == (
        expected + 999,
        0,
    )  # and never an older one
    assert {path: path.stat().st_mtime_ns for path in project.rglob("*.nb?")} == there


def test_machine_code_of_the_kernels_is_kept():
    """Fails where Numba's own names have moved: then every process compiles everything anew."""
    from kernels.hashing import noise
    from utils.synthetic.noise import _nearest as synthetic

    for kernel in (noise, synthetic):
        file = kernel.py_func.__code__.co_filename
        assert type(kernel._cache).__name__ == "Kept"
        assert sources.digest(file) in kernel._cache._cache_file._index_path


def test_every_compiled_function_goes_through_one_place():
    numba = re.compile(r"^\s*(import|from) numba\b", re.MULTILINE)
    using = [
        path.relative_to(ROOT).as_posix()
        for path in [*ROOT.glob("*.py"), *ROOT.glob("kernels/*.py"), *ROOT.glob("utils/**/*.py")]
        if numba.search(path.read_text(encoding="utf-8"))
    ]
    assert using == ["kernels/jit.py"]


def test_files_that_cannot_reach_a_kernel_leave_it_alone():
    names = {
        path.relative_to(ROOT).as_posix() for path in sources.reached(ROOT / "utils/scene/rims.py")
    }
    assert {"kernels/constants.py", "kernels/jit.py", "utils/scene/edges.py"} <= names
    assert not any(name.startswith(("tests", "docs", "utils/cli", "models")) for name in names)
    assert len(sources.reached(ROOT / "kernels/cpu_rims.py")) < 10


@pytest.mark.parametrize(
    "line",
    [
        "import room.part",
        "from room import part",
        "from room import NUMBER",  # handed on by the package
        "from room.part import (\n    OTHER,  # (why)\n    NUMBER,\n)",
        "from .room.part import NUMBER",
        "from .room import part",
    ],
)
def test_digest_follows_every_kind_of_import(tmp_path, monkeypatch, line):
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    (tmp_path / "room").mkdir()
    (tmp_path / "room/__init__.py").touch()
    (tmp_path / "room/part.py").write_text("NUMBER = 1\n")
    (tmp_path / "user.py").write_text(f'"""From here\nfrom there."""\n{line}\n')
    before = sources.digest(tmp_path / "user.py")
    (tmp_path / "room/part.py").write_text("NUMBER = 2\n")
    sources.digest.cache_clear()
    assert sources.digest(tmp_path / "user.py") != before


def test_included_headers_are_part_of_what_cupy_knows_a_module_by(tmp_path, monkeypatch):
    asked = []

    class CuPy:
        def RawModule(self, code, options):
            asked.append((code, options))

    monkeypatch.setitem(sys.modules, "cupy", CuPy())
    shutil.copy(cuda.FOLDER / "frame.cu", tmp_path)
    monkeypatch.setattr(cuda, "FOLDER", tmp_path)
    for header in ("// one\n", "// two\n", "// two\n"):
        (tmp_path / "common.cuh").write_text(header)
        cuda._module.cache_clear()
        sources.digest.cache_clear()
        sources._needed.cache_clear()
        cuda._module("frame.cu")
    cuda._module.cache_clear()
    assert asked[0] != asked[1] == asked[2]
