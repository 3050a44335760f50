"""Partial convolutions against their definition, and the mask that travels with them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from models.partial_inpainting import Masked, PartialConv2d, PartialInpaint, PartialUp


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(11)


def naive_partial_convolution(conv, features, mask):
    """The definition of docs/method/networks.md, pixel by pixel, for one sample."""
    kernel, stride, pad = conv.kernel_size[0], conv.stride[0], conv.padding[0]
    channels, height, width = features.shape
    padded, known = (functional.pad(tensor, [pad] * 4) for tensor in (features * mask, mask))
    rows, columns = ((size + 2 * pad - kernel) // stride + 1 for size in (height, width))
    result = torch.zeros(conv.out_channels, rows, columns)
    updated = torch.zeros(rows, columns)
    for y in range(rows):
        for x in range(columns):
            window = (
                slice(None),
                slice(y * stride, y * stride + kernel),
                slice(x * stride, x * stride + kernel),
            )
            seen = known[window].sum()
            if seen > 0:
                updated[y, x] = 1
                scale = kernel * kernel * mask.shape[0] / seen
                sums = (conv.weight * padded[window]).sum((1, 2, 3)) * scale
                result[:, y, x] = sums + (0 if conv.bias is None else conv.bias)
    return result, updated


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("multi_channel", [True, False])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (1, 1, 0), (5, 2, 2)]
)
def test_partial_convolution_matches_the_naive_loop(kernel, stride, padding, multi_channel, bias):
    conv = PartialConv2d(3, 4, kernel, stride, padding, bias, multi_channel=multi_channel)
    mask = (torch.rand(2, 3 if multi_channel else 1, 9, 11) > 0.7).float()
    mask[:, :, :5, :5] = 0  # windows that see nothing
    features = torch.randn(2, 3, 9, 11)
    result, updated = conv(features, mask)
    assert updated.shape[1] == (4 if multi_channel else 1)
    for sample in range(2):
        expected, known = naive_partial_convolution(conv, features[sample], mask[sample])
        torch.testing.assert_close(result[sample], expected)
        assert torch.equal(updated[sample], known.expand_as(updated[sample]))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 1))
def test_what_stands_in_holes_never_matters(seed, share):
    generator = torch.Generator().manual_seed(seed)
    conv = PartialConv2d(2, 3, 3, padding=1)
    mask = (torch.rand(1, 1, 6, 7, generator=generator) < share).float()
    features = torch.rand(1, 2, 6, 7, generator=generator)
    rubbish = torch.rand(1, 2, 6, 7, generator=generator) * 100
    clean, _ = conv(features, mask)
    dirty, _ = conv(features * mask + rubbish * (1 - mask), mask)
    torch.testing.assert_close(dirty, clean)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_known_constant_stays_constant_wherever_anything_is_known(seed):
    """With an averaging kernel: holes and the image's border leave no trace."""
    generator = torch.Generator().manual_seed(seed)
    conv = PartialConv2d(1, 1, 3, padding=1, bias=False)
    torch.nn.init.constant_(conv.weight, 1 / 9)
    mask = (torch.rand(1, 1, 6, 7, generator=generator) > 0.6).float()
    result, updated = conv(torch.full((1, 1, 6, 7), 5.0), mask)
    torch.testing.assert_close(result, 5 * updated)


def test_without_a_mask_the_inside_is_an_ordinary_convolution():
    conv = PartialConv2d(2, 3, 3, padding=1)
    features = torch.rand(2, 2, 8, 9)
    result, updated = conv(features)
    ordinary = functional.conv2d(features, conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(result[..., 1:-1, 1:-1], ordinary[..., 1:-1, 1:-1])
    assert not torch.allclose(result[..., 0, :], ordinary[..., 0, :])
    assert updated.all() and len(updated) == 2


def test_a_doubled_mask_is_known_above_one_half():
    """A known pixel beside a hole claims its own half of the doubled row, no more."""
    block = PartialUp(1, 1, 1)
    seen = []
    block.conv1.register_forward_pre_hook(lambda module, args: seen.append(args[1]))
    mask = torch.tensor([[1.0, 1.0, 0.0, 0.0]]).expand(3, 4)[None, None]
    block(Masked(torch.rand(1, 1, 3, 4), mask))
    assert seen[0][0, 0, 2].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]


def test_where_branches_meet_both_must_know_a_pixel():
    node = Masked(torch.ones(1, 2, 2, 3), torch.tensor([[[[1.0, 1, 0], [0, 1, 0]]]]))
    branch = Masked(torch.ones(1, 2, 2, 4), torch.tensor([[[[1.0, 0, 1, 1], [0, 1, 0, 1]]]]))
    merged = PartialInpaint.merge(node, branch)
    assert merged.mask.tolist() == [[[[1, 0, 0], [0, 1, 0]]]]
    assert torch.equal(merged.features, torch.full((1, 2, 2, 3), 2.0))
