"""What ships in models/bundled: whole, small, told apart, described; and how a file gets there."""

from pathlib import Path

import torch

from models.bundled.pack_weights import pack_weights
from models.compact_estimation import CompactDisparity
from utils import checkpoints
from utils.weight_files import save_state_dict

BUNDLED = Path(__file__).resolve().parents[1] / "models" / "bundled"
FILES = sorted(BUNDLED.glob("*.safetensors"))


def test_together_they_stay_small_and_the_card_names_each():
    assert BUNDLED / "disparity-estimation.safetensors" in FILES
    assert sum(path.stat().st_size for path in FILES) <= 40e6
    card = (BUNDLED / "MODEL_CARD.md").read_text()
    for path in FILES:
        assert path.name in card


def test_packed_weights_give_the_same_disparity(tmp_path):
    torch.manual_seed(0)
    network = CompactDisparity((8, 8, 8, 8, 8), 1).eval()
    save_state_dict(tmp_path / "whole.safetensors", network.state_dict())
    pack_weights(tmp_path / "half.safetensors", tmp_path / "whole.safetensors")
    photo = torch.rand(1, 3, 64, 96)
    packed = checkpoints.load_estimator(tmp_path / "half.safetensors")
    with torch.inference_mode():
        before, after = network(photo), packed(photo)
    assert after.dtype == torch.float32
    assert float((after - before).abs().max()) < 5e-3 * float(before.abs().max())
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]


def test_several_checkpoints_are_packed_as_their_mean(tmp_path):
    for value in (1.0, 2.0, 6.0):
        save_state_dict(tmp_path / f"{value}.safetensors", {"weight": torch.full((3,), value)})
    pack_weights(tmp_path / "mean.safetensors", *tmp_path.glob("*.safetensors"))
    mean = checkpoints.read_state_dict(tmp_path / "mean.safetensors")
    assert mean["weight"].tolist() == [3.0] * 3


def test_packed_weights_may_be_read_by_everyone(tmp_path):
    save_state_dict(tmp_path / "a.safetensors", {"weight": torch.ones(2)})
    (tmp_path / "b").touch()
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "b").stat().st_mode
