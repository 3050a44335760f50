"""What tests of training share: narrow networks, a run on drawn scenes, and one batch of them."""

import json

import pytest
from accelerate.state import AcceleratorState
from small_training import (
    write_photos,
    write_scenes,
)

import data_loader
from models.compact_inpainting import CompactInpaint
from models.compact_refinement import CompactRefine
from models.partial_inpainting import PartialInpaint
from models.pointcloud_inpainting import Inpaint
from utils.training import data_sets
from utils.training import records as training_records


@pytest.fixture
def quick(monkeypatch):
    """Narrow networks, no curve, no TensorBoard; Accelerate decides anew in every test."""
    monkeypatch.setattr(training_records, "draw_curve", lambda path, history: None)
    monkeypatch.setattr(training_records, "open_tensorboard", lambda folder: None)
    for kind in (Inpaint, PartialInpaint):
        monkeypatch.setattr(
            kind, "fresh", lambda size, kind=kind: kind((4, 6, 8, 8), context_channels=4)
        )
    for kind in (CompactInpaint, CompactRefine):
        monkeypatch.setattr(kind, "fresh", lambda size, kind=kind: kind((8, 8, 8)))
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def flags(tmp_path):
    """Command line for a tiny run on the drawn scenes and the drawn photos."""
    sets = [write_scenes(tmp_path / "scenes"), write_photos(tmp_path / "photos")]
    (tmp_path / "sets.json").write_text(json.dumps(sets))
    return [
        "--dataset",
        "drawn",
        "--dataset-file",
        str(tmp_path / "sets.json"),
        "--crop",
        "48x32",
        "--batch-size",
        "2",
        "--steps",
        "2",
        "--workers",
        "0",
        "--device",
        "cpu",
        "--models-dir",
        str(tmp_path / "models"),
        "--runs-dir",
        str(tmp_path / "runs"),
        "--log-every",
        "1",
        "--threads",
        "1",
    ]


@pytest.fixture
def batch(tmp_path):
    """Both views of two drawn scenes, the way the loader gives them, uncropped and in order."""
    opened = data_sets.open_data_set(write_scenes(tmp_path / "scenes"))
    drawing = data_loader.Drawing((32, 48), second_view=True)
    drawn = data_loader.Samples([opened], drawing, train=False)
    return data_loader.prepare(data_loader.collate([drawn[0, n, n] for n in (0, 1)]), "cpu", False)
