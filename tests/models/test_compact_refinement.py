"""The compact refinement network: what it may and may not do to an estimate, and its file."""

import pytest
import torch

from models.compact_refinement import CompactRefine, offsets
from utils.weights import loading as checkpoints

WIDTHS = (8, 12, 16)


def make_network(seed=0):
    torch.manual_seed(seed)
    network = CompactRefine(WIDTHS).eval()
    torch.nn.init.normal_(network.choice[-1].weight, std=0.3)  # as if it had learned something
    return network


def refine(network, image, disparity):
    with torch.inference_mode():
        return network(image, disparity)


@pytest.mark.parametrize("size", [(64, 96), (61, 97), (24, 31), (2, 3), (1, 1)])
@pytest.mark.parametrize("coarse", [(16, 24), (5, 3), (100, 80)])
def test_any_size_comes_back_as_large_as_the_photo(size, coarse):
    refined = refine(make_network(), torch.rand(2, 3, *size), torch.rand(2, 1, *coarse))
    assert refined.shape == (2, 1, *size)
    assert refined.isfinite().all()


def test_nothing_leaves_the_range_of_the_estimate():
    disparity = 5 + 100 * torch.rand(1, 1, 16, 24)
    refined = refine(make_network(), torch.rand(1, 3, 64, 96), disparity)
    assert refined.min() >= disparity.min() - 1e-3
    assert refined.max() <= disparity.max() + 1e-3


def test_texture_does_not_turn_into_relief():
    image = torch.rand(1, 3, 64, 96).round()
    refined = refine(make_network(), image, torch.full((1, 1, 16, 24), 7.0))
    torch.testing.assert_close(refined, torch.full((1, 1, 64, 96), 7.0))


def test_scale_and_shift_pass_through():
    """An estimate has neither, so the result must not depend on them."""
    image, disparity = torch.rand(1, 3, 64, 96), torch.rand(1, 1, 16, 24)
    plain = refine(make_network(), image, disparity)
    torch.testing.assert_close(
        refine(make_network(), image, 9 * disparity - 30), 9 * plain - 30, atol=1e-3, rtol=1e-3
    )


def test_each_place_may_choose_what_lies_on_three_rings():
    """A single near pixel of the estimate is a candidate wherever an offset leads to it."""
    disparity = torch.zeros(1, 1, 20, 20)
    disparity[..., 10, 10] = 1
    candidates = make_network().candidates(disparity, (80, 80), (80, 80))
    found = {(10 - int(y), 10 - int(x)) for _, _, y, x in candidates.nonzero()}
    assert found == set(offsets()) and len(found) == candidates.shape[1] == 25


def test_a_place_that_chooses_one_candidate_takes_its_disparity():
    """With all weight on the candidate six to the right, the estimate moves six to the left."""
    network = CompactRefine(WIDTHS).eval()
    chosen = offsets().index((0, 6))
    with torch.no_grad():
        network.choice[-1].bias.zero_()
        network.choice[-1].bias[4 * chosen : 4 * chosen + 4] = 50
    disparity = torch.zeros(1, 1, 16, 24)
    disparity[..., 12:] = 1
    refined = refine(network, torch.rand(1, 3, 64, 96), disparity)
    assert (refined[..., :22] < 1e-3).all() and (refined[..., 26:] > 0.999).all()


def test_one_photo_gives_the_same_inside_a_batch():
    image, disparity = torch.rand(2, 3, 64, 96), torch.rand(2, 1, 16, 24)
    network = make_network()
    torch.testing.assert_close(
        refine(network, image, disparity)[1:], refine(network, image[1:], disparity[1:])
    )


@pytest.mark.parametrize("height", [96, 85, 68])
def test_bands_give_what_the_whole_gives(height):
    network, image = make_network(), torch.rand(1, 3, height, 52)
    disparity = 100 * torch.rand(1, 1, -(-height // 4), 13)
    with torch.inference_mode():
        whole = network(image, disparity, details=True)[0]
    torch.testing.assert_close(refine(network, image, disparity), whole, rtol=1e-5, atol=1e-5)


def test_file_gives_back_the_network(tmp_path):
    network, path = make_network(), tmp_path / "network.safetensors"
    checkpoints.save_state_dict(path, network.state_dict())
    loaded = checkpoints.load_network(path, "refinement")
    image, disparity = torch.rand(1, 3, 64, 96), torch.rand(1, 1, 16, 24)
    assert loaded.widths == WIDTHS
    assert torch.equal(refine(loaded, image, disparity), refine(network, image, disparity))
