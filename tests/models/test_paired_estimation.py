"""The pair that ships: whose edges, whose layout, and how the file is told and made."""

import pytest
import torch
from torch.nn import functional

from models.bundled.join_networks import join_networks
from models.compact_estimation import CompactDisparity
from models.efficient_estimation import EfficientDisparity
from models.paired_estimation import PairedDisparity
from utils.depth.estimators import estimate_disparity
from utils.training.estimation import start_from
from utils.weights.files import read_state_dict, save_state_dict
from utils.weights.loading import load_estimator

SMALL = (8, 8, 8, 8, 8)


@pytest.fixture
def parts():
    torch.manual_seed(0)
    return CompactDisparity(SMALL, 1).eval(), EfficientDisparity(SMALL, 1, 1).eval()


def says(network, disparity):
    """Let a network see this disparity (1, 1, h, w), whatever it is shown."""
    network.predict = lambda image: functional.interpolate(
        disparity, [side // 2 for side in image.shape[2:]], mode="nearest"
    )


def test_edges_are_those_of_detail_and_the_broad_is_the_mean(parts):
    """Detail has a post before flat ground, the layout knows that the right side is nearer."""
    layout, detail = parts
    post = torch.ones(1, 1, 96, 128)
    post[..., 30:60, 60:66] = 3.0
    slope = torch.linspace(0.5, 1.5, 128).expand(1, 1, 96, 128)
    says(detail, post + 0.02 * slope)
    says(layout, slope)
    merged = PairedDisparity(layout, detail).predict(torch.rand(1, 3, 192, 256))
    assert merged.shape == (1, 1, 96, 128)
    step = merged[0, 0, 45, 62] - merged[0, 0, 45, 56]
    assert float(step) > 1.5, "the post is as sharp and as near as detail has it"
    assert float(merged[..., 70:, 110:].mean()) > float(merged[..., 70:, :18].mean())
    assert (merged > 0).all()


def test_the_layouts_scale_and_offset_do_not_matter(parts):
    layout, detail = parts
    photo, told = torch.rand(1, 3, 96, 128), torch.rand(1, 1, 48, 64)
    says(layout, told)
    before = PairedDisparity(layout, detail).predict(photo)
    says(layout, 7 * told + 2)
    torch.testing.assert_close(PairedDisparity(layout, detail).predict(photo), before)


@pytest.mark.parametrize("size", [(40, 300), (300, 40), (97, 65), (32, 32)])
def test_any_shape_of_photo(parts, size):
    disparity = estimate_disparity(PairedDisparity(*parts), torch.rand(1, 3, *size))
    assert disparity.isfinite().all() and (disparity > 0).all()


def test_joined_files_load_as_the_pair_and_each_part_can_be_trained_on(parts, tmp_path):
    names = ("layout", "detail")
    for name, network in zip(names, parts, strict=True):
        save_state_dict(tmp_path / f"{name}.safetensors", network.state_dict())
    pair = tmp_path / "pair.safetensors"
    join_networks(pair, *(tmp_path / f"{name}.safetensors" for name in names))
    join_networks(tmp_path / "again.safetensors", pair, pair)
    loaded = load_estimator(tmp_path / "again.safetensors")
    assert isinstance(loaded, PairedDisparity)
    photo = torch.rand(1, 3, 96, 128)
    with torch.inference_mode():
        ours, theirs = PairedDisparity(*parts).predict(photo), loaded.predict(photo)
    torch.testing.assert_close(theirs, ours, rtol=0, atol=2e-2 * float(ours.abs().max()))
    torch.manual_seed(1)
    fresh = CompactDisparity(SMALL, 1), EfficientDisparity(SMALL, 1, 1)
    for name, network in zip(names, fresh, strict=True):
        start_from(network, pair)
        kept = network.state_dict()
        stored = {key: value for key, value in read_state_dict(pair).items() if name in key}
        assert all(torch.equal(kept[key.split(".", 1)[1]], value) for key, value in stored.items())
