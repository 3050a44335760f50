"""benchmarks/batch.py runs, and reads memory and times off what it ran."""

import json
import sys

from benchmarks import batch


def test_benchmark_writes_its_rows(tmp_path, monkeypatch, capsys):
    out = tmp_path / "new" / "batch.json"
    monkeypatch.setattr(batch, "EARLY", 2)
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "batch",
            "--count",
            "3",
            "--short",
            "2",
            "--rounds",
            "1",
            "--size",
            "64x48",
            "--json",
            str(out),
            "--",
            "--duration",
            "0.2",
            "--2d",
        ],
    )
    batch.main()
    report = json.loads(out.read_text())
    (row,) = report["rounds"]
    assert {kind: run["photos"] for kind, run in row.items()} == {
        "single": 1,
        "batch": 2,
        "one by one": 2,
    }
    assert len(report["long"]["done"]) == 3 and min(report["long"]["resident_mb"]) > 50
    said = capsys.readouterr().out
    assert "an hour" in said and "memory after 2" in said and "of a single run" in said


def test_figures_are_what_they_are_called():
    run = {"done": [5.0, 6.0, 7.0, 9.0], "wall": 10, "resident_mb": [100] * 20 + [200] * 20}
    assert batch.per_photo(run) == 4 / 3
    assert batch.memory_around(run, 10) == 100 and batch.memory_around(run, 40) == 200
    assert batch.memory_around({"resident_mb": [None]}, 1) is None
