"""The record of the benchmarks: every figure is kept, and what drifts is told."""

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks import history

REPORTED = {  # as benchmarks.depth.report writes it
    "walls": {"zoom-in": {"mean": {"open": 0.5, "unknown": None}, "images": [{"open": 9.0}]}}
}
RENDERED = {"cores": 2, "load": 7.5, "rows": [{"film": "whole", "ms": 8.0, "threads": 2}]}
TIMED = {"runs": [{"cpu": 9.0}, {"cpu": 1.0}, {"cpu": 2.0, "late": 1.0}], "size": "64x48"}


def test_figures_of_every_kind_of_json():
    assert dict(history.figures_of(REPORTED)) == {"walls/zoom-in/open": 0.5}
    assert dict(history.figures_of(RENDERED)) == {"rows/whole/ms": 8.0}
    assert dict(history.figures_of(TIMED)) == {"runs/cpu": 2.0}


@pytest.fixture
def week(tmp_path, monkeypatch, capsys):
    """Run the history of one day, with figures instead of benchmarks."""

    def run(day, commit="abc", machine="one", **figures):
        folder = tmp_path / "history"
        monkeypatch.setattr(history, "commit", lambda: commit)
        monkeypatch.setattr(history, "machine", lambda: machine)
        monkeypatch.setattr(history, "run", lambda benchmark, data: figures[benchmark.module])
        monkeypatch.setattr("sys.argv", ["history.py", "--only", *figures, "--folder", str(folder)])
        for path in folder.glob("*.json"):  # of another day than today, in the order of the runs
            if not path.name.startswith("day"):
                path.rename(path.with_name(f"day{day}.json"))
        status = history.main()
        return status, capsys.readouterr().out

    run.folder = tmp_path / "history"
    return run


def test_a_slow_drift_shows_against_the_oldest_record(week):
    assert week(0, surfaces={"open": 0.500})[0] == 0
    assert week(1, surfaces={"open": 0.506})[0] == 0
    status, told = week(2, surfaces={"open": 0.512})
    oldest, newest = told.split("since ")[1:]
    assert status == 0
    assert "1 figures moved" in oldest and "open" in oldest
    assert "0 figures moved" in newest
    status, told = week(3, surfaces={"open": 0.6})
    assert status == 1
    assert told.count("1 figures moved") == 2


def test_times_are_compared_on_one_machine_and_may_vary_more(week):
    week(0, pipeline={"cpu": 9.0})
    assert week(1, pipeline={"cpu": 9.8})[0] == 0
    assert week(2, pipeline={"cpu": 12.0}, machine="another")[0] == 0
    assert week(3, pipeline={"cpu": 18.0}, machine="another")[0] == 1


def test_what_needs_photographs_is_left_out_and_said(week):
    status, told = week(0, depth={"absrel": 0.1}, surfaces={"open": 0.5})
    assert "depth: left out, for it needs --data" in told
    (kept,) = week.folder.glob("*.json")
    record = json.loads(kept.read_text(encoding="utf-8"))
    assert record["figures"] == {"surfaces": {"open": 0.5}}
    assert record["machine"] == "one" and record["commit"] == "abc"
    assert status == 0


def test_arguments_name_modules_and_flags_that_exist(tmp_path):
    for benchmark in history.BENCHMARKS.values():
        source = history.ROOT / "benchmarks" / f"{benchmark.module}.py"
        text = source.read_text(encoding="utf-8")
        for word in (*benchmark.arguments, "--json"):
            if word.startswith("--"):
                assert f'"{word}"' in text
            if word.startswith("models/"):
                assert (history.ROOT / word).is_file()


@pytest.mark.parametrize("status", [0, 2])
def test_a_benchmark_gets_the_data_and_its_figures_come_back(status, monkeypatch, tmp_path):
    def stand_in(command, cwd):
        assert command[1:5] == ["-m", "benchmarks.edges", "--stereo", f"{tmp_path}/val/stereo"]
        assert cwd == history.ROOT
        Path(command[command.index("--json") + 1]).write_text(json.dumps(REPORTED), "utf-8")
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(subprocess, "run", stand_in)
    if status:
        with pytest.raises(ValueError, match=r"benchmarks\.edges: ended with status 2"):
            history.run(history.BENCHMARKS["edges-stereo"], tmp_path)
    else:
        found = history.run(history.BENCHMARKS["edges-stereo"], tmp_path)
        assert found == {"walls/zoom-in/open": 0.5}
