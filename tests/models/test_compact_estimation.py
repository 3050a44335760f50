"""The compact depth network: its sizes, its encoder's padding, its weights by key."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from models.compact_estimation import TAP_CHANNELS, CompactDisparity, MobileEncoder
from models.grid_estimation import GlobalContext, SameConv, UpColumn
from utils.weights import load_network

BUNDLED = Path(__file__).resolve().parents[2] / "models" / "bundled"
SMALL = (8, 8, 8, 8, 8)


def make_network(seed=0, **options):
    torch.manual_seed(seed)
    return CompactDisparity(**({"widths": SMALL} | options)).eval()


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (32, 33), (100, 47)])
def test_output_has_half_the_size_rounded_up(size):
    height, width = size
    with torch.inference_mode():
        disparity = make_network()(torch.rand(2, 3, height, width))
    assert disparity.shape == (2, 1, (height + 1) // 2, (width + 1) // 2)


def test_disparity_is_positive_and_finite_for_black_and_white():
    image = torch.stack([torch.zeros(3, 64, 64), torch.ones(3, 64, 64)])
    with torch.inference_mode():
        disparity = make_network()(image)
    assert disparity.isfinite().all() and (disparity > 0).all()


def test_one_photo_gives_the_same_disparity_twice_and_inside_a_batch():
    network, images = make_network(), torch.rand(3, 3, 64, 64)
    with torch.inference_mode():
        alone = network(images[1:2])
        assert torch.equal(alone, network(images[1:2]))
        torch.testing.assert_close(network(images)[1:2], alone, rtol=1e-4, atol=1e-5)


def test_the_input_is_left_as_it_was():
    image = torch.rand(1, 3, 40, 40)
    before = image.clone()
    with torch.inference_mode():
        make_network()(image)
    assert torch.equal(image, before)


def test_padding_to_a_multiple_of_32_repeats_the_border():
    network, image = make_network(), torch.rand(1, 3, 50, 64)
    padded = torch.cat([image, image[:, :, -1:].expand(-1, -1, 14, -1)], 2)
    with torch.inference_mode():
        torch.testing.assert_close(network(image), network(padded)[:, :, :25])


def test_stride_2_pads_right_and_bottom_only():
    """By hand: a corner tap at (0, 0) of the kernel reads the pixels of even rows and columns."""
    layer = SameConv(1, 1, 3, stride=2)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
        layer.weight[0, 0, 0, 0] = 1
        image = torch.arange(16.0).view(1, 1, 4, 4)
        assert layer(image).flatten().tolist() == [0, 2, 8, 10]


def test_taps_halve_from_row_to_row():
    with torch.inference_mode():
        taps = MobileEncoder()(torch.rand(1, 3, 64, 96))
    expected = [(c, 32 >> i, 48 >> i) for i, c in enumerate(TAP_CHANNELS)]
    assert [tuple(tap.shape[1:]) for tap in taps] == expected


def test_a_column_carries_the_coarsest_row_up_to_the_finest():
    column = UpColumn(SMALL[:3])
    rows = [torch.zeros(1, 8, 8 >> i, 8 >> i) for i in range(3)]
    changed = [*rows[:2], torch.rand(1, 8, 2, 2)]
    with torch.inference_mode():
        quiet, loud = column(rows)[0], column(changed)[0]
    assert (loud - quiet).abs().min() > 0


def test_global_context_reaches_every_place():
    torch.manual_seed(1)
    block, x = GlobalContext(8), torch.rand(1, 8, 4, 4)
    moved = x.clone()
    moved[..., 0, 0] += 5
    with torch.inference_mode():
        change = block(moved) - block(x)
    assert (change[..., 3, 3].abs() > 1e-6).any()


def test_gradients_reach_every_weight():
    network = CompactDisparity(widths=SMALL).train()
    for parameter in network.parameters():  # blocks that start at zero pass nothing back at first
        if parameter.abs().sum() == 0:
            torch.nn.init.normal_(parameter, std=0.1)
    network(torch.rand(2, 3, 64, 64)).square().sum().backward()
    dead = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not dead


def test_wrong_number_of_widths_is_named():
    with pytest.raises(ValueError, match=r"widths needs 5 numbers.*\(8, 8\)"):
        CompactDisparity(widths=(8, 8))


def test_imagenet_weights_load_by_key_and_shape(data):
    encoder = MobileEncoder()
    encoder.load_state_dict(load_file(data("mobilenetv2_imagenet.safetensors")))
    assert encoder.features[18][0].weight.shape == (1280, 320, 1, 1)


def test_bundled_features_move_with_the_picture_and_tell_textures_apart():
    """A shift by 32 px moves the coarsest features by one place; leaves are not a sky."""
    network = load_network(BUNDLED / "disparity-estimation.safetensors", "estimation")
    encoder = network.encoder
    torch.manual_seed(0)
    leaves = functional.interpolate(torch.rand(1, 3, 80, 80), size=(320, 320), mode="bicubic")
    sky = functional.interpolate(torch.rand(1, 3, 3, 3), size=(320, 320), mode="bicubic")
    with torch.inference_mode():
        here = encoder(leaves.clamp(0, 1))[-1][..., 4, 4]
        there = encoder(leaves.clamp(0, 1).roll(32, 3))[-1][..., 4, 5]
        other = encoder(sky.clamp(0, 1))[-1][..., 4, 4]
    same = functional.cosine_similarity(here, there)
    different = functional.cosine_similarity(here, other)
    assert same > 0.9 > 0.6 > different, (same, different)
