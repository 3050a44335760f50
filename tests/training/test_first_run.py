"""The first run of train.py: it says what it makes, can be stopped, goes on, and leaves nobody."""

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from counting import count_to
from waiting import PATIENCE, alive, unix, wait_until

import train
from utils.processes import spread
from utils.progress import Progress, duration
from utils.synthetic import open_shards, write_shards

ROOT = Path(__file__).resolve().parents[2]
SIZE = (24, 32)

# Small scenes in small files, so that two processes have work.
FIRST = """
import sys
import train
from utils.synthetic import shards

def small(folder, count, made=shards.write_shards):
    return made(folder, count, (32, 48), 2, workers=2, shard_scenes=50)

import utils.synthetic
utils.synthetic.ensure_dataset = small
if __name__ == "__main__":
    sys.exit(train.main(sys.argv[1:]))
"""


@pytest.fixture
def command(tmp_path):
    """Train on synthetic scenes in a folder of the test's, in an interpreter of its own."""
    data_set = {
        "name": "made",
        "path": str(tmp_path / "made"),
        "param": {"baseline": 0.1, "focal": 36},
        "generate": 2000,
    }
    (tmp_path / "sets.json").write_text(json.dumps([data_set]))
    (tmp_path / "first.py").write_text(FIRST)
    flags = "--dataset made --crop 32x32 --batch-size 2 --steps 1 --workers 0 --device cpu"
    places = ("--dataset-file", "sets.json", "--models-dir", "models", "--runs-dir", "runs")
    return [sys.executable, "first.py", *flags.split(), *places]


def start(command, folder):
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def children(process):
    """Every process of a session."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == process.pid:
            found.append(int(entry.name))
    return found


def halves(folder):
    return list(folder.glob(".partial-*"))


@unix
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])  # Windows has no SIGKILL
def test_scenes_stop_at_once_and_go_on_the_next_time(command, tmp_path, name):
    made, workers, number = tmp_path / "made", [], getattr(signal, name)
    with start([*command, "--scenes", "2000"], tmp_path) as process:
        try:
            wait_until(lambda: list(made.glob("scenes-*.h5")), process)
            workers = children(process)
            # Ctrl-C goes to the whole group, what kills without asking to the parent alone.
            (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
            errors = process.communicate(timeout=PATIENCE)[1]  # closed by the last that holds it
            # A process closes its files a moment before it is gone.
            wait_until(lambda: not any(map(alive, workers)))
        finally:
            if any(map(alive, workers)):
                os.killpg(process.pid, signal.SIGKILL)
    assert len(workers) >= 3 and not any(map(alive, workers))
    there = sorted(made.glob("scenes-*.h5"))
    assert 0 < len(there) < 40
    assert "Traceback" not in errors, errors
    if number == signal.SIGINT:
        assert process.returncode == 130 and not halves(made)
        assert errors.splitlines()[-1].startswith("train.py: stopped by Ctrl-C"), errors
    before = [path.stat().st_mtime_ns for path in there]
    count = 50 * len(there) + 20
    with start([*command, "--scenes", str(count)], tmp_path) as process:
        errors = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0, errors
    assert f"making {count} synthetic scenes in {made}" in errors, errors
    assert [path.stat().st_mtime_ns for path in there] == before, "what was there is kept"
    assert len(open_shards(made)) >= count and not halves(made)


def test_a_small_set_is_part_of_the_whole(tmp_path):
    small = write_shards(tmp_path, 3, SIZE, 1, workers=1, shard_scenes=4)
    first = open_shards(tmp_path)[2]["image"]
    large = write_shards(tmp_path, 6, SIZE, 1, workers=1, shard_scenes=4)
    assert small[0] == large[0] and len(open_shards(tmp_path)) == 6
    assert (open_shards(tmp_path)[2]["image"] == first).all()
    times = [path.stat().st_mtime_ns for path in large]
    write_shards(tmp_path, 3, SIZE, 1, workers=1, shard_scenes=4)
    assert [path.stat().st_mtime_ns for path in large] == times, "more than asked for stays"


def test_lines_off_a_terminal_come_now_and_then(caplog, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("utils.progress.time.monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO), Progress(100, "scene", done=20) as progress:
        for _ in range(40):
            now[0] += 1
            progress.advance()
    assert caplog.messages == ["scene 35 of 100, 65 s left", "scene 50 of 100, 50 s left"]
    assert [duration(s) for s in (0.2, 80, 200, 7200)] == ["1 s", "80 s", "3 minutes", "2.0 hours"]


def test_work_is_spread_and_errors_come_back():
    assert sorted(spread(count_to, [1, 2, 3], 2)) == [0, 0, 0, 1, 1, 2]
    with pytest.raises(ValueError, match="thirteen"):
        list(spread(count_to, [13, 3], 2))
    with pytest.raises(RuntimeError, match="killed"):
        list(spread(count_to, [14, 3], 2))


# -- shared memory --------------------------------------------------------------------------------


def raised(error, place):
    """An error as it arrives, from a file of that name."""
    code = compile("raise error", place, "exec")
    try:
        exec(code, {"error": error})
    except Exception as arrived:
        return arrived


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (OSError(28, "No space left on device"), "multiprocessing/synchronize.py"),
        (RuntimeError("unable to write to file </torch_7_1_0>: No space left on device (28)"), "x"),
        (
            RuntimeError(
                "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that "
                "dataloader's workers are out of shared memory."
            ),
            "x",
        ),
        (RuntimeError("unable to allocate shared memory(shm) for file </torch_7>"), "x"),
    ],
)
def test_full_shared_memory_says_what_to_do(error, place, tmp_path):
    settings = train.read_settings(["--models-dir", str(tmp_path)])
    said = train.describe(raised(error, place), settings)
    assert "/dev/shm" in said and "--workers 0" in said and "--shm-size" in said


def test_a_full_disk_is_no_shared_memory(tmp_path):
    settings = train.read_settings(["--models-dir", str(tmp_path)])
    said = train.describe(raised(OSError(28, "No space left on device"), "torch/x.py"), settings)
    assert "/dev/shm" not in said and "No space left" in said
