"""The networks by themselves: shapes, wiring, statistics, masks, errors; no golden file needed."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from models.blocks import Down, GridNetwork, Residual, Up, measure_statistics, normalise
from models.discriminator import (
    Discriminator,
)
from models.disparity_estimation import Disparity, Estimation, Semantics
from models.disparity_refinement import Refine, RefinePretrained
from models.features import VGG16Partial
from models.partial_inpainting import PartialInpaint
from models.pointcloud_inpainting import Inpaint

SIZES = [(16, 16), (17, 31), (75, 101), (1, 5)]
REFINERS = [Refine, RefinePretrained]
INPAINTERS = [Inpaint, PartialInpaint]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(11)


def make_view(height, width, batch=1):
    """A random photo, disparity and mask with about a third of holes."""
    mask = (torch.rand(batch, 1, height, width) > 0.3).float()
    return torch.rand(batch, 3, height, width), 60 + 40 * torch.rand(batch, 1, height, width), mask


def half(size):
    return math.ceil(size / 2)


# -- shapes and published sizes --


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_disparity_has_half_the_size_rounded_up(height, width):
    network = Disparity((2, 3, 4, 5, 6, 7), semantics_channels=8)
    semantics = torch.rand(2, 8, math.ceil(height / 16), math.ceil(width / 16))
    disparity = network(torch.rand(2, 3, height, width), semantics)
    assert disparity.shape == (2, 1, half(height), half(width))


@pytest.mark.parametrize(("height", "width"), [(16, 16), (33, 47)])
def test_semantics_fit_the_disparity_network(height, width):
    image = torch.rand(1, 3, height, width)
    network = Estimation(Semantics(channel_order="rgb"), Disparity((2, 3, 4, 5)))
    assert network(image).shape == (1, 1, half(height), half(width))


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("network", [Refine, RefinePretrained])
def test_refinement_has_the_size_of_the_image(network, height, width):
    coarse = torch.rand(2, 1, math.ceil(height / 4), math.ceil(width / 4))
    refined = network((2, 3, 4))(torch.rand(2, 3, height, width), coarse)
    assert refined.shape == (2, 1, height, width)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("network", INPAINTERS)
def test_inpainting_has_the_size_of_the_image(network, height, width):
    result = network((2, 3, 4), context_channels=2)(*make_view(height, width, batch=2))
    assert [tuple(tensor.shape) for tensor in result] == [
        (2, 3, height, width),
        (2, 1, height, width),
        (2, 1, height, width),
    ]


@pytest.mark.parametrize("network", REFINERS + INPAINTERS)
def test_samples_of_a_batch_do_not_touch_each_other(network):
    small = network((2, 3, 4)).eval()
    image, disparity, mask = make_view(16, 20, batch=2)
    disparity = disparity * torch.tensor([1.0, 3.0]).view(2, 1, 1, 1)
    if network in REFINERS:
        inputs = (image, functional.avg_pool2d(disparity, 4))
    else:
        inputs = (image * mask, disparity * mask, mask)
    together = small(*inputs)
    alone = [small(*(tensor[i : i + 1] for tensor in inputs)) for i in range(2)]
    if network in REFINERS:
        together, alone = [together], [[result] for result in alone]
    for whole, *parts in zip(together, *alone, strict=True):
        torch.testing.assert_close(whole, torch.cat(parts), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "weights", "entries"),
    [
        (Disparity, 89_346_754, 239),
        (Refine, 604_825, 44),
        (RefinePretrained, 606_890, 52),
        (Inpaint, 8_285_640, 171),
        (PartialInpaint, 8_285_320, 171),
        (Discriminator, 695_137, 25),
    ],
)
def test_default_sizes_are_the_published_ones(network, weights, entries):
    with torch.device("meta"):
        made = network()
    assert sum(weight.numel() for weight in made.parameters()) == weights
    assert len(made.state_dict()) == entries


def test_disparity_without_a_row_for_semantics_is_rejected():
    with pytest.raises(ValueError, match=r"at least 4 row widths, got \(2, 3, 4\)"):
        Disparity((2, 3, 4))


def test_semantics_of_another_image_are_rejected():
    network = Disparity((2, 3, 4, 5), semantics_channels=8)
    with pytest.raises(ValueError, match=r"of \(33, 64\) must be \(3, 4\), got \(2, 4\)"):
        network(torch.rand(1, 3, 33, 64), torch.rand(1, 8, 2, 4))


# -- blocks and grid --


def test_a_residual_of_zero_weights_passes_its_input():
    block = Residual(3, 4, 3)
    for weight in block.parameters():
        torch.nn.init.zeros_(weight)
    features = torch.rand(1, 3, 5, 5)
    assert torch.equal(block(features), features)
    bare = Residual(3, 4, 3, shortcut=False)
    for weight in bare.parameters():
        torch.nn.init.zeros_(weight)
    assert not bare(features).any()


class TwoRows(GridNetwork):
    """The smallest grid with every kind of edge."""

    def __init__(self):
        super().__init__()
        self.add_grid((2, 3))


@pytest.mark.parametrize(("height", "width"), [(6, 8), (7, 9), (1, 1)])
def test_two_rows_are_wired_as_drawn(height, width):
    r"""One column after the other, spelled out.

    row 0:  stem -> a1 -> a2 -> a3
             |      |     ^     ^
    row 1:   b0 -> b1 -> b2 -> b3
    """
    grid = TwoRows()
    edge = grid._modules
    stem = torch.rand(2, 2, height, width)
    b0 = edge["0x0 - 1x0"](stem)
    a1 = edge["0x0 - 0x1"](stem)
    b1 = edge["1x0 - 1x1"](b0) + edge["0x1 - 1x1"](a1)
    b2 = edge["1x1 - 1x2"](b1)
    a2 = edge["0x1 - 0x2"](a1) + edge["1x2 - 0x2"](b2)[..., :height, :width]
    b3 = edge["1x2 - 1x3"](b2)
    a3 = edge["0x2 - 0x3"](a2) + edge["1x3 - 0x3"](b3)[..., :height, :width]
    torch.testing.assert_close(grid.run_grid(stem), a3)


def test_a_second_input_joins_the_first_column():
    grid = TwoRows()
    stem, joining = torch.rand(1, 2, 4, 4), torch.rand(1, 3, 2, 2)
    with torch.no_grad():
        grid._modules["0x0 - 1x0"].moduleMain[3].weight.zero_()
        grid._modules["0x0 - 1x0"].moduleMain[3].bias.zero_()
    alone = grid.run_grid(stem, joining, 1)
    assert not torch.allclose(alone, grid.run_grid(stem))
    torch.testing.assert_close(grid.run_grid(stem, 0 * joining, 1), grid.run_grid(stem))


def test_the_grid_has_blocks_of_the_right_kind():
    for name, block in TwoRows().named_children():
        (row, _), (to_row, _) = (node.split("x") for node in name.split(" - "))
        kind = {0: Residual, 1: Down, -1: Up}[int(to_row) - int(row)]
        assert type(block) is kind, name


def test_every_weight_of_a_network_is_used():
    image, disparity, mask = make_view(20, 24)
    for network in (
        Inpaint((2, 3, 4), context_channels=2),
        PartialInpaint((2, 3, 4), context_channels=2),
    ):
        result = network.train()(image, disparity, mask)
        (result.image.sum() + result.disparity.sum()).backward()
        unused = [name for name, weight in network.named_parameters() if weight.grad is None]
        assert unused == []


# -- normalisation --


def test_normalised_tensors_have_mean_zero_and_unbiased_std_one():
    image, disparity, _ = make_view(9, 7, batch=2)
    before = image.clone(), disparity.clone()
    for tensor in normalise(image, disparity)[:2]:
        assert tensor.mean((1, 2, 3)).abs().max() < 1e-5
        torch.testing.assert_close(tensor.std((1, 2, 3)), torch.ones(2), rtol=1e-4, atol=0)
    assert torch.equal(image, before[0]) and torch.equal(disparity, before[1])


def test_masked_statistics_are_those_of_the_known_pixels():
    image, disparity, mask = make_view(9, 7, batch=2)
    measured = measure_statistics(image * mask, disparity * mask, mask)
    for sample in range(2):
        known = mask[sample, 0] > 0
        values = image[sample][:, known]
        assert measured.image_mean[sample].item() == pytest.approx(values.mean().item(), rel=1e-4)
        assert measured.image_std[sample].item() == pytest.approx(values.std().item(), rel=1e-4)
        values = disparity[sample][:, known]
        assert measured.disparity_mean[sample].item() == pytest.approx(values.mean().item())
        assert measured.disparity_std[sample].item() == pytest.approx(values.std().item(), rel=1e-4)


def test_a_mask_of_ones_changes_no_statistics_and_of_zeros_is_finite():
    image, disparity, mask = make_view(9, 7)
    everywhere = measure_statistics(image, disparity, torch.ones_like(mask))
    for masked, plain in zip(everywhere, measure_statistics(image, disparity), strict=True):
        torch.testing.assert_close(masked, plain, rtol=1e-4, atol=1e-4)
    nowhere = measure_statistics(image, disparity, torch.zeros_like(mask))
    assert all(torch.isfinite(value).all() and value.ge(0).all() for value in nowhere)


def test_a_flat_image_is_normalised_to_zero():
    image, disparity = torch.full((1, 3, 4, 4), 0.5), torch.full((1, 1, 4, 4), 9.0)
    assert all(not tensor.any() for tensor in normalise(image, disparity)[:2])


def test_tiles_with_the_statistics_of_the_whole_agree_with_the_whole():
    """Away from the tile's border: what a 3x3-conv network sees is what is near."""
    network = Refine((2, 3, 4)).eval()
    image, coarse = torch.rand(1, 3, 160, 64), torch.rand(1, 1, 40, 16)
    statistics = measure_statistics(image, coarse)
    whole = network(image, coarse)
    tile = network(image[..., 40:, :], coarse[..., 10:, :], statistics)
    torch.testing.assert_close(tile[..., 48:, :], whole[..., 88:, :])
    own = network(image[..., 40:, :], coarse[..., 10:, :])
    assert not torch.allclose(own[..., 48:, :], whole[..., 88:, :])


@pytest.mark.parametrize("network", INPAINTERS)
def test_inpainting_of_tiles_agrees_with_the_whole(network):
    inpaint = network((2, 3), context_channels=2).eval()
    image, disparity, mask = make_view(80, 32)
    statistics = inpaint.normalise(image, disparity)[2]
    whole = inpaint(image, disparity, mask)
    tile = inpaint(
        *(tensor[..., 20:, :] for tensor in (image, disparity, mask)), statistics=statistics
    )
    for part, full in zip(tile, whole, strict=True):
        torch.testing.assert_close(part[..., 30:, :], full[..., 50:, :])


# -- refinement --


@pytest.mark.parametrize("network", [Refine, RefinePretrained])
@settings(max_examples=20, deadline=None)
@given(scale=st.floats(0.01, 100), offset=st.floats(-50, 50))
def test_refinement_follows_scale_and_offset_of_the_disparity(network, scale, offset):
    torch.manual_seed(0)
    refine = network((2, 3, 4)).double()
    image, coarse = torch.rand(1, 3, 12, 16).double(), torch.rand(1, 1, 3, 4).double()
    expected = refine(image, coarse) * scale + offset
    torch.testing.assert_close(
        refine(image, coarse * scale + offset), expected, rtol=1e-3, atol=1e-3 * scale
    )


@pytest.mark.parametrize("size", [(20, 24), (5, 7), (1, 1), (40, 48)])
def test_refinement_takes_disparity_of_any_size(size):
    refined = RefinePretrained((2, 3, 4))(torch.rand(1, 3, 40, 48), torch.rand(1, 1, *size))
    assert refined.shape == (1, 1, 40, 48)
    assert torch.isfinite(refined).all()


def test_fitting_sizes_are_not_resized(monkeypatch):
    monkeypatch.setattr(functional, "interpolate", counted := Counted(functional.interpolate))
    network = Refine((2, 3, 4))
    network(torch.rand(1, 3, 24, 32), torch.rand(1, 1, 6, 8))
    fitting = counted.calls
    network(torch.rand(1, 3, 23, 32), torch.rand(1, 1, 6, 8))
    assert counted.calls == 2 * fitting + 1  # 23 -> 12 -> 6: only the last doubling does not fit


class Counted:
    """A function that counts its calls."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self.function(*args, **kwargs)


# -- inpainting --


@pytest.mark.parametrize("network", INPAINTERS)
def test_inpainting_keeps_no_state_and_changes_no_argument(network):
    inpaint = network((2, 3), context_channels=2).eval()
    view = make_view(12, 16)
    before = [tensor.clone() for tensor in view]
    first = inpaint(*view)
    inpaint(*make_view(8, 8))
    attributes = set(vars(inpaint))
    for ours, again in zip(inpaint(*view), first, strict=True):
        assert torch.equal(ours, again)
    assert all(torch.equal(*pair) for pair in zip(view, before, strict=True))
    assert set(vars(inpaint)) == attributes


@pytest.mark.parametrize("network", INPAINTERS)
def test_the_image_is_clamped_in_eval_mode_only_and_disparity_always(network):
    inpaint = network((2, 3), context_channels=2)
    with torch.no_grad():
        for head in (inpaint.moduleImage, inpaint.moduleDisparity):
            list(head.parameters())[-1].fill_(-30.0)  # the bias of the shortcut
    image, disparity, mask = make_view(12, 16)
    assert inpaint.train()(image, disparity, mask).image.min() < 0
    assert inpaint(image, disparity, mask).disparity.min() == 0
    assert inpaint.eval()(image, disparity, mask).image.min() == 0


@pytest.mark.parametrize("network", INPAINTERS)
def test_the_result_carries_the_mask_that_was_given(network):
    image, disparity, mask = make_view(12, 16)
    assert network((2, 3))(image, disparity, mask).mask is mask


@pytest.mark.parametrize("network", INPAINTERS)
def test_a_context_of_ones_own_gives_the_plain_result(network):
    inpaint = network((2, 3), context_channels=2).eval()
    image, disparity, mask = make_view(12, 16)
    normal_image, normal_disparity, statistics = inpaint.normalise(image, disparity)
    context = inpaint.context(normal_image, normal_disparity)
    explicit = inpaint(normal_image, normal_disparity, mask, context, statistics)
    for ours, plain in zip(explicit, inpaint(image, disparity, mask), strict=True):
        assert torch.equal(ours, plain)


@pytest.mark.parametrize("network", INPAINTERS)
def test_a_context_without_statistics_is_rejected(network):
    image, disparity, mask = make_view(8, 8)
    with pytest.raises(ValueError, match="pass the statistics"):
        network((2, 3), context_channels=2)(image, disparity, mask, torch.rand(1, 2, 8, 8))


def test_ordinary_inpainting_sees_the_mask():
    inpaint = Inpaint((2, 3)).eval()
    image, disparity, mask = make_view(12, 16)
    other = inpaint(image, disparity, 1 - mask)
    assert not torch.allclose(inpaint(image, disparity, mask).image, other.image)


# -- semantics and features --


def test_semantics_of_bgr_and_rgb_agree():
    bgr = Semantics()
    rgb = Semantics(channel_order="rgb")
    rgb.load_state_dict(bgr.state_dict())
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(bgr(image.flip(1)), rgb(image))


def test_semantics_are_normalised_as_imagenet():
    seen = []
    network = Semantics()
    network.moduleVgg.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    network(torch.ones(1, 3, 16, 16) * torch.tensor([0.3, 0.5, 0.7])[:, None, None])  # BGR
    expected = [(0.7 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.3 - 0.406) / 0.225]
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx(expected, rel=1e-5)


def test_semantics_stay_in_eval_mode_and_give_no_gradient():
    network = Estimation(Semantics(), Disparity((2, 3, 4, 5))).train()
    before = {key: value.clone() for key, value in network.semantics.state_dict().items()}
    network(torch.rand(2, 3, 16, 16, requires_grad=True)).sum().backward()
    assert not network.semantics.training and network.disparity.training
    assert all(weight.grad is None for weight in network.semantics.parameters())
    for key, value in network.semantics.state_dict().items():
        assert torch.equal(value, before[key])


def test_an_unknown_channel_order_is_rejected():
    with pytest.raises(ValueError, match="must be 'rgb' or 'bgr', got 'hsv'"):
        Semantics(channel_order="hsv")


def test_estimation_honours_the_range_its_weights_were_trained_on():
    disparity, semantics = Disparity((2, 3, 4, 5)).eval(), Semantics()
    image = torch.rand(1, 3, 16, 16)
    plain = Estimation(semantics, disparity)(image)
    torch.testing.assert_close(plain, disparity(image, semantics(image)))
    disparity.value_range = (-1.0, 1.0)
    wide = Estimation(semantics, disparity)(image)
    torch.testing.assert_close(wide, disparity(2 * image - 1, semantics(2 * image - 1)))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (33, 47)])
def test_features_halve_three_times_rounding_down(height, width):
    shapes = [tuple(level.shape) for level in VGG16Partial()(torch.rand(2, 3, height, width))]
    assert shapes == [
        (2, channels, height // scale, width // scale)
        for channels, scale in ((64, 2), (128, 4), (256, 8))
    ]


def test_features_are_frozen_but_pass_gradients_to_the_image():
    network = VGG16Partial()
    image = torch.rand(1, 3, 8, 8, requires_grad=True)
    network(image)[2].sum().backward()
    assert image.grad is not None
    assert not any(weight.requires_grad for weight in network.parameters())


def test_normalising_features_see_imagenet_range():
    plain, normalising = VGG16Partial(), VGG16Partial(normalise=True)
    normalising.load_state_dict(plain.state_dict())
    image = torch.rand(1, 3, 8, 8)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = plain((image - mean[:, None, None]) / std[:, None, None])
    for ours, theirs in zip(normalising(image), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_attention_takes_contiguous_parts(monkeypatch):
    """Over strided ones Apple's MPS computes something else, silently."""
    from models import grid_estimation

    true, seen = grid_estimation.functional.scaled_dot_product_attention, []

    def attend(*parts):
        seen.extend(part.is_contiguous() for part in parts)
        return true(*parts)

    monkeypatch.setattr(grid_estimation.functional, "scaled_dot_product_attention", attend)
    grid_estimation.Attention(16)(torch.rand(2, 16, 5, 7))
    assert seen == [True] * 3
