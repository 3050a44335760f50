"""benchmarks/render.py runs, and its plain version renders what ours does."""

import json
import sys

import numpy as np
import torch

from benchmarks import render


def test_benchmark_writes_its_rows(tmp_path, monkeypatch, capsys):
    out = tmp_path / "new" / "render.json"
    flags = ["--size", "48", "64", "--frames", "4", "--rounds", "1", "--json", str(out)]
    monkeypatch.setattr(sys, "argv", ["render", *flags])
    threads = torch.get_num_threads()
    try:
        render.main()
    finally:
        torch.set_num_threads(threads)
    rows = json.loads(out.read_text())["rows"]
    assert [row["film"] for row in rows][:2] == ["64x48, no holes", "64x48, 6% holes"]
    assert all(row["ms"] > 0 and row["plain_ms"] > 0 for row in rows)
    assert "ratio" in capsys.readouterr().out


def test_plain_version_renders_what_ours_does():
    size = (96, 128)
    scene = render.make_scene(size, complete=False)
    pose = render.camera_poses(size, 3, stretch=2)[-1]
    frame, holes = render.ours(scene, size, pose)
    plain, plain_holes = render.plain_torch(scene, size, pose)
    differing = (np.abs(frame.astype(int) - plain) > 1).any(2)
    assert holes.mean() > 0.02 and np.mean(holes != plain_holes) < 0.005
    assert differing[~holes].mean() < 0.02 and differing[holes].mean() < 0.1
