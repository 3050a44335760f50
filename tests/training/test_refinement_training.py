"""What the refinement network is taught: degraded truth, true edges, near candidates, parts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kornia.filters import gaussian_blur2d
from small_training import trainer_for

from utils.training import refinement as refinement_training


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_filling_keeps_the_known_and_stays_in_range(height, width, seed):
    rng = torch.Generator().manual_seed(seed)
    disparity = torch.rand(2, 1, height, width, generator=rng) + 1
    weight = (torch.rand(2, 1, height, width, generator=rng) > 0.6).float()
    weight[:, :, 0, 0] = 1
    filled = refinement_training.fill_unknown(disparity * weight, weight)
    assert torch.equal(filled * weight, disparity * weight)
    assert filled.min() >= 1 - 1e-5 and filled.max() <= 2 + 1e-5


def test_degrading_follows_its_numbers_and_never_inverts():
    disparity, uniform = torch.rand(2, 1, 16, 24) + 1, torch.rand(2, 16)
    degraded = refinement_training.degrade(disparity, uniform)
    assert degraded.shape == disparity.shape and (degraded > 0).all()
    assert torch.equal(degraded, refinement_training.degrade(disparity, uniform))
    alone = refinement_training.degrade(disparity[1:], uniform[1:])
    assert torch.allclose(degraded[1:], alone, atol=1e-5)
    assert not torch.allclose(degraded, disparity, atol=0.01)


def step_scene():
    """A near square before a far wall, and an estimate: soft, four px off, of less contrast."""
    truth = torch.full((1, 1, 128, 192), 20.0)
    truth[..., 32:96, 64:128] = 100
    coarse = torch.full((1, 1, 32, 48), 30.0)
    coarse[..., 8:24, 17:33] = 70
    return truth, gaussian_blur2d(coarse, (7, 7), (1.5, 1.5))


def test_the_compact_network_learns_its_input_with_the_true_edges():
    truth, coarse = step_scene()
    target = refinement_training.with_true_edges(coarse, truth, torch.ones_like(truth))
    near = truth > 50
    assert (target[near] - 70).abs().max() < 3 and (target[~near] - 30).abs().max() < 3


def test_true_edges_do_not_mind_what_is_unknown():
    truth, coarse = step_scene()
    weight = torch.ones_like(truth)
    weight[..., 40:60, 100:160] = 0
    target = refinement_training.with_true_edges(coarse, truth * weight, weight)
    near = (truth > 50) & (weight > 0)
    assert (target[near] - 70).abs().max() < 6
    nothing = refinement_training.with_true_edges(coarse, truth * 0, weight * 0)
    assert nothing.isfinite().all()


def test_the_same_part_is_cut_out_of_maps_of_both_sizes():
    fine = torch.arange(256 * 320.0).view(1, 1, 256, 320)
    cut, small = refinement_training.cut_parts([fine, fine[..., ::4, ::4]], (0.99, 0.4))
    assert cut.shape == (1, 1, 224, 224) and torch.equal(cut[..., ::4, ::4], small)
    assert int(cut[0, 0, 0, 0]) == 28 * 320 + 36
    whole = [torch.rand(1, 3, 201, 224), torch.rand(1, 1, 51, 56)]
    assert all(map(torch.equal, refinement_training.cut_parts(whole, (0.5, 0.5)), whole))


def candidates():
    """Three candidates of each pixel: right here, far off, and what the target says."""
    return torch.tensor([40.0, 90.0, 70.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)


def loss_of(counts):
    target, mask = torch.full((1, 1, 4, 4), 70.0), torch.ones(1, 1, 4, 4)
    counts = torch.tensor(counts).view(1, 3, 1, 1).expand(1, 3, 4, 4).requires_grad_()
    loss = refinement_training.choice_loss(counts, candidates(), target, mask)
    return float(loss.detach()), torch.autograd.grad(loss, counts)[0]


def test_choosing_the_candidate_at_the_target_costs_nothing():
    assert loss_of([0.0, 0.0, 30.0])[0] < 1e-3 < 1 < loss_of([0.0, 0.0, 0.0])[0]


def test_certainty_in_the_wrong_place_still_has_a_gradient():
    """The mean of the candidates has none there: with it alone the network only learned to stay."""
    _, gradient = loss_of([60.0, 0.0, 0.0])
    assert (gradient[:, 0] > 0.05).all() and (gradient[:, 2] < -0.05).all()


def test_where_candidates_are_alike_the_choice_does_not_matter():
    places, target = torch.full((1, 3, 4, 4), 50.0), torch.full((1, 1, 4, 4), 80.0)
    for counts in (torch.zeros(1, 3, 4, 4), torch.randn(1, 3, 4, 4) * 9):
        loss = refinement_training.choice_loss(counts, places, target, torch.ones_like(target))
        assert float(loss) == 0


# -- a step of the trainer --


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("network", ["compact", "paper"])
def test_refinement_terms(flags, network):
    trainer = trainer_for([*flags, "--training-mode", "refinement", "--network", network])
    batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
    terms = trainer.losses(batch)
    assert terms.keys() == {"ord", "choice" if network == "compact" else "grad"}
    assert all(float(value.detach()) > 0 for value in terms.values())


@pytest.mark.usefixtures("quick")
def test_refinement_input_is_a_quarter_of_the_truth(flags):
    trainer = trainer_for([*flags, "--training-mode", "refinement"])
    batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
    truth, coarse = trainer.coarse(batch)
    assert truth.shape[-2:] == (32, 48) and coarse.shape[-2:] == (8, 12)
    assert torch.allclose(truth.amax(dim=(1, 2, 3)), torch.tensor(refinement_training.PEAK))
    assert (coarse.mean(dim=(1, 2, 3)) / truth.mean(dim=(1, 2, 3)) - 1).abs().max() < 0.2
