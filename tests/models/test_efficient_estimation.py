"""The second depth network: its sizes, its encoder's padding, its attention, its weights by key."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from models.efficient_estimation import TAP_CHANNELS, EfficientDisparity, EfficientEncoder
from models.grid_estimation import Attention, SameConv
from utils.depth.estimators import estimate_disparity
from utils.weights.files import read_state_dict, save_state_dict
from utils.weights.loading import load_estimator

IMAGENET = (
    Path(__file__).resolve().parents[2]
    / "shared"
    / "data"
    / "efficientnet_lite2_imagenet.safetensors"
)
SMALL = (8, 8, 8, 8, 8)


def make_network(seed=0, **options):
    torch.manual_seed(seed)
    return EfficientDisparity(**({"widths": SMALL} | options)).eval()


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (32, 33), (100, 47)])
def test_output_has_half_the_size_rounded_up(size):
    height, width = size
    with torch.inference_mode():
        disparity = make_network()(torch.rand(2, 3, height, width))
    assert disparity.shape == (2, 1, (height + 1) // 2, (width + 1) // 2)
    assert disparity.isfinite().all() and (disparity > 0).all()


def test_a_wrong_number_of_widths_is_said():
    with pytest.raises(ValueError, match="widths needs 5 numbers"):
        EfficientDisparity(widths=(8, 8))


def test_wide_kernels_of_stride_2_pad_one_before_and_two_after():
    """By hand: the tap at (1, 1) of a 5x5 kernel reads the pixels of even rows and columns."""
    layer = SameConv(1, 1, 5, stride=2)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
        layer.weight[0, 0, 1, 1] = 1
        assert layer(torch.arange(16.0).view(1, 1, 4, 4)).flatten().tolist() == [0, 2, 8, 10]


def test_taps_halve_from_row_to_row():
    with torch.inference_mode():
        taps = EfficientEncoder()(torch.rand(1, 3, 64, 96))
    sizes = [(64 >> row, 96 >> row) for row in range(1, 6)]
    found = [(tap.shape[1], *tap.shape[2:]) for tap in taps]
    assert found == [(c, *size) for c, size in zip(TAP_CHANNELS, sizes, strict=True)]


def test_the_encoder_is_normalised_as_its_weights_were():
    """Grey 127 of 255 is nothing to it: the stem then says only its bias."""
    encoder, seen = EfficientEncoder(), []
    encoder.stem.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    encoder(torch.full((1, 3, 32, 32), 127 / 255))
    assert seen[0].abs().max() < 1e-6
    encoder(torch.ones(1, 3, 32, 32))
    torch.testing.assert_close(seen[1], torch.ones(1, 3, 32, 32))


@pytest.mark.skipif(not IMAGENET.exists(), reason="the ImageNet weights are not at hand")
def test_imagenet_weights_load_and_their_features_are_calm():
    """Wired wrongly (padding, order, activation) the features of a picture blow up or die."""
    encoder = EfficientEncoder()
    encoder.load_state_dict(read_state_dict(IMAGENET))
    ramp = torch.linspace(0, 1, 224).expand(1, 3, 224, 224)
    with torch.inference_mode():
        for tap in encoder(ramp):
            assert 0.02 < tap.abs().mean() < 5


def test_attention_starts_as_nothing_and_then_looks_everywhere():
    torch.manual_seed(0)
    block, x = Attention(8), torch.randn(1, 8, 6, 7)
    assert torch.equal(block(x), x)
    for module in (block.join, block.think[-1]):
        torch.nn.init.normal_(module.weight)
    other = x.clone()
    other[..., 0, 0] += 1
    assert (block(x) - block(other))[..., -1, -1].abs().max() > 1e-4


def test_prediction_of_the_mirrored_photo_is_mirrored():
    network, image = make_network(), torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        there, back = network.predict(image), network.predict(image.flip(3))
    torch.testing.assert_close(there, back.flip(3))
    assert not torch.equal(there, network(image))


@pytest.mark.parametrize("size", [(768, 1024), (4000, 6000), (480, 480), (500, 4000), (60, 50)])
def test_working_size_keeps_the_aspect_and_a_bounded_number_of_pixels(size):
    network = make_network()
    height, width = network.working_size(size)
    assert height / width == pytest.approx(size[0] / size[1], rel=0.02)
    assert min(height, width) >= 96
    assert height * width <= max(1.02 * network.area, 2 * network.side * network.short_side)
    assert network.working_size(size[::-1]) == (width, height)


def test_a_file_is_recognised_and_gives_the_same_estimate(tmp_path):
    network, photo = make_network(), torch.rand(1, 3, 60, 80)
    save_state_dict(tmp_path / "any.safetensors", network.state_dict())
    loaded = load_estimator(tmp_path / "any.safetensors")
    assert isinstance(loaded, EfficientDisparity)
    estimate = estimate_disparity(loaded, photo)
    seen = functional.interpolate(photo, network.working_size((60, 80)), mode="bilinear")
    with torch.inference_mode():
        torch.testing.assert_close(estimate, network.predict(seen))
