"""What estimation networks are taught: labels, losses, rates of their parts, and by masks."""

from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from small_training import settings_of, shrunken_paper_network, trainer_for
from torch import nn
from torch.nn import functional

import data_loader
import train
from utils.training import estimation as depth_training
from utils.training.trainer import Part
from utils.weights import loading as checkpoints

pytestmark = pytest.mark.usefixtures("quick")


def test_paper_network_trains_by_the_reference_schedule(flags, monkeypatch):
    shrunken_paper_network(monkeypatch)
    trainer = trainer_for(
        [*flags, "--network", "paper", "--dataset", "drawn,photos", "--batch-size", "4"]
    )
    numbers = range(8)
    keys = [trainer.data.samples[which, 0, n] for n in numbers for which in (0, 1)][:4]
    batch = trainer.data.prepare(data_loader.collate(keys), "cpu")
    terms = trainer.losses(batch)
    assert set(terms) == {"ord", "grad", "ssi_data", "ssi_grad", "ssi_scale"}
    assert float(terms["grad"].detach()) == 0  # 1 - exp(0)
    trainer.step_number = 10_000
    later = trainer.losses(batch)
    assert float(later["ord"].detach()) == pytest.approx(float(terms["ord"].detach()) / 3, rel=1e-4)
    assert float(later["grad"].detach()) > 0
    trainer.fit()


def test_paper_network_without_vgg_names_the_script(flags, monkeypatch, capsys):
    monkeypatch.setattr(checkpoints, "VGG19_PATH", Path("nowhere.pth"))
    assert train.main([*flags, "--network", "paper"]) == 1
    assert "./download_models.sh" in capsys.readouterr().err


def test_compact_network_takes_no_notice_of_scale(flags):
    trainer = trainer_for(flags)
    batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
    first = trainer.losses(batch)
    batch["disparity"] = 7 * batch["disparity"] * (batch["mask"] > 0)
    for name, value in trainer.losses(batch).items():
        assert float(value.detach()) == pytest.approx(float(first[name].detach()), rel=1e-3)


def test_encoder_learns_at_its_own_rate_and_its_first_layers_not_at_all(flags):
    trainer = trainer_for(
        [
            *flags,
            "--lr-estimation",
            "1e-3",
            "--lr-encoder",
            "1e-9",
            "--freeze-encoder",
            "4",
            "--ema",
            "0",
        ]
    )
    network = trainer.parts["disparity"].network
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    trainer.fit()
    moved = {
        name: float((value.detach() - before[name]).abs().max())
        for name, value in network.named_parameters()
    }
    first = [n for n in moved if n.startswith(tuple(f"encoder.features.{i}." for i in range(4)))]
    assert first and all(moved[name] == 0 for name in first)
    assert all(moved[n] < 1e-7 for n in moved if n.startswith("encoder."))
    assert moved["laterals.0.weight"] > 1e-4


@pytest.mark.parametrize(
    "more", [["--lr-encoder", "1e-5"], ["--freeze-encoder", "2"], ["--freeze-depthwise"]]
)
def test_rates_of_an_encoder_that_is_not_there(flags, more, monkeypatch, capsys):
    monkeypatch.setattr(depth_training, "load_semantics", lambda device: None)
    assert train.main([*flags, "--network", "paper", *more]) == 1
    assert "--freeze-depthwise are not for --network paper" in capsys.readouterr().err


def test_efficient_network_trains_without_the_filters_of_single_channels(flags, tmp_path):
    trainer = trainer_for(
        [
            *flags,
            "--network",
            "efficient",
            "--freeze-depthwise",
            "--fine-labels",
            "--freeze-encoder",
            "2",
            "--lr-estimation",
            "1e-3",
            "--ema",
            "0",
        ]
    )
    network = trainer.parts["disparity"].network
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    trainer.fit()
    same = {
        name
        for name, value in network.named_parameters()
        if torch.equal(value.detach(), before[name])
    }
    assert {"encoder.stem.weight", "encoder.blocks.0.project.weight"} <= same
    assert "encoder.blocks.9.depthwise.weight" in same
    assert not same & {"encoder.blocks.9.expand.weight", "laterals.0.weight"}
    loaded = checkpoints.load_estimator(trainer.path("disparity"))
    assert isinstance(loaded, type(network))


def test_efficient_network_is_for_estimation(flags, capsys):
    assert train.main([*flags, "--network", "efficient", "--training-mode", "refinement"]) == 2
    assert "--network efficient: there is no such network for refinement" in capsys.readouterr().err


def test_each_part_of_a_mixed_photo_is_judged_alone(flags):
    mixing = ["--dataset", "photos", "--batch-size", "3", "--fine-labels", "--mix"]
    trainer = trainer_for([*flags, *mixing, "1"])
    batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
    truth = batch["disparity"]
    mixed = []

    def right_in_each_part(_network, image):
        """The truth of whichever photo shows at a pixel, the pasted one's at another scale."""
        own = (image == batch["image"]).all(dim=1, keepdim=True)
        assert torch.equal(torch.where(own, batch["image"], batch["image"].roll(1, 0)), image)
        mixed.append(float((~own).float().mean()))
        return torch.where(own, truth, 5 * truth.roll(1, 0) + 3)

    trainer.estimate = right_in_each_part
    terms = trainer.losses(batch)
    assert 0.05 < mixed[0] < 0.55
    assert float(terms["ssi_data"]) < 1e-3 and float(terms["ssi_grad"]) < 1e-3
    trainer.estimate = lambda network, image: truth
    assert float(trainer.losses(batch)["ssi_data"]) > 0.05


def test_which_steps_are_mixed_is_a_matter_of_seed_and_step(flags):
    trainer = trainer_for([*flags, "--dataset", "photos", "--batch-size", "3", "--mix", "0.5"])
    batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
    seen = []
    trainer.estimate = lambda network, image: (seen.append(image), image[:, :1])[1]
    for trainer.step_number in [*range(20), *range(20)]:
        trainer.losses(batch)
    untouched = [torch.equal(image, batch["image"]) for image in seen]
    assert 4 < sum(untouched[:20]) < 16
    assert all(torch.equal(*pair) for pair in zip(seen[:20], seen[20:], strict=True))


@pytest.mark.parametrize(
    "more, said",
    [
        (["--mix", "1.5"], "--mix is a share"),
        (["--mix", "0.5", "--training-mode", "refinement"], "--mix is for"),
        (["--mix", "0.5", "--batch-size", "1"], "--mix needs another photo"),
    ],
)
def test_mixing_where_it_cannot_be(flags, more, said, capsys):
    assert train.main([*flags, *more]) == 2
    assert said in capsys.readouterr().err


def test_only_the_order_of_ordered_photos_matters(flags):
    trainer = trainer_for([*flags, "--dataset", "photos"])
    batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
    batch["ordered"] = torch.ones_like(batch["ordered"])
    terms = trainer.losses(batch)
    assert {name for name, value in terms.items() if float(value.detach())} == {"order"}
    disparity, known = batch["disparity"], batch["mask"]
    right, wrong = (
        depth_training.ranked(
            depth_training.EstimationStep(
                guess, disparity, known, batch["metric"], batch["ordered"], None, 0, None
            )
        )
        for guess in (disparity.sqrt(), -disparity)
    )
    assert float(right["order"]) < 0.7 * float(wrong["order"])


def test_order_counts_elsewhere_if_asked(flags):
    plain, asked = (
        trainer_for([*flags, "--dataset", "photos", *more]) for more in ([], ["--weight", "rank=2"])
    )
    batch = plain.data.prepare(next(plain.data.training(0, 1)), "cpu")
    assert "rank" not in plain.losses(batch)
    right, wrong = (
        depth_training.ranked_too(
            depth_training.EstimationStep(
                guess,
                batch["disparity"],
                batch["mask"],
                batch["metric"],
                batch["ordered"],
                None,
                0,
                asked.settings,
            )  # fmt: skip
        )["rank"]
        for guess in (batch["disparity"].sqrt(), -batch["disparity"])
    )
    assert float(right) < 0.7 * float(wrong)
    assert float(asked.losses(batch)["rank"].detach()) > 0


def test_fine_labels_see_an_edge_between_two_pixels_of_the_estimate(flags):
    """The estimate's pixels are two of the photo's; an edge in the middle of one shows only so."""
    target = torch.zeros(1, 1, 8, 16)
    target[..., 5:] = 1
    coarse, fine = (trainer_for([*flags, *more]) for more in ([], ["--fine-labels"]))
    estimate = functional.adaptive_avg_pool2d(target, (4, 8))
    shrunk, _, same = coarse._same_size(target, torch.ones_like(target), estimate)
    assert torch.equal(shrunk, estimate) and torch.equal(same, estimate)
    kept, _, enlarged = fine._same_size(target, torch.ones_like(target), estimate)
    assert torch.equal(kept, target) and enlarged.shape == target.shape


def test_the_best_has_the_least_mean_of_wrong_pairs_over_the_sets(flags):
    trainer = trainer_for(flags)
    figures = {"a: ordinal": 0.2, "b: ordinal": 0.4, "b: abs_rel": 9, "b: ordinal of ramp": 7}
    assert trainer._is_best(figures) and trainer.best["value"] == pytest.approx(0.3)
    assert not trainer._is_best({})


def test_weight_decay_shrinks_what_the_gradient_leaves_alone():
    part = Part(nn.Conv2d(1, 1, 1), 0.1, settings_of("--weight-decay", "0.5"), 10)
    part.network.weight.grad = torch.zeros_like(part.network.weight)
    before = part.network.weight.item()
    part.optimizer.step()
    assert part.network.weight.item() == pytest.approx(0.95 * before)


def test_log_loss_knows_scale_but_not_unit():
    truth = torch.rand(2, 1, 8, 8) + 0.5
    weight = (torch.rand(2, 1, 8, 8) > 0.3).float()
    mean = (truth * weight).sum((1, 2, 3), True) / weight.sum((1, 2, 3), True)
    spoiled = torch.where(weight > 0, 40 * truth, torch.tensor(1e4))
    right = depth_training.log_loss(truth / mean, spoiled, weight)
    assert float(right) == pytest.approx(0, abs=1e-5)
    assert float(depth_training.log_loss(truth / mean + 0.3, spoiled, weight)) > 0.1
    assert float(depth_training.log_loss(2 * truth / mean, spoiled, weight)) > 0.5


def test_log_term_is_for_known_scale_only(flags):
    for dataset, there in (("drawn", True), ("photos", False)):
        trainer = trainer_for([*flags, "--dataset", dataset, "--weight", "log=1"])
        batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
        assert (float(trainer.losses(batch)["log"].detach()) > 0) is there
        AcceleratorState._reset_state(reset_partial_state=True)


def test_start_from_the_whole_network_or_its_encoder(tmp_path):
    from models.compact_estimation import CompactDisparity

    source, target = CompactDisparity((8, 8, 8, 8, 8), 1), CompactDisparity((8, 8, 8, 8, 8), 1)
    whole, encoder = tmp_path / "whole.safetensors", tmp_path / "encoder.safetensors"
    checkpoints.save_state_dict(whole, source.state_dict())
    checkpoints.save_state_dict(encoder, source.encoder.state_dict())
    depth_training.start_from(target, encoder)
    assert torch.equal(target.encoder.features[0][0].weight, source.encoder.features[0][0].weight)
    assert not torch.equal(target.laterals[0].weight, source.laterals[0].weight)
    depth_training.start_from(target, whole)
    assert torch.equal(target.laterals[0].weight, source.laterals[0].weight)
    with pytest.raises(ValueError, match="--model-path.*whole.safetensors does not fit"):
        depth_training.start_from(nn.Conv2d(1, 1, 1), whole)


def test_shrinking_averages_only_what_is_known():
    disparity = torch.tensor([[[[2.0, 4.0, 6.0, 99.0], [3.0, 99.0, 99.0, 99.0]]]])
    weight = (disparity < 50).float()
    values, kept = depth_training.shrink_known(disparity, weight, (1, 2))
    assert values.tolist() == [[[[3.0, 0.0]]]] and kept.tolist() == [[[[0.75, 0.0]]]]


def test_ramp_is_nearer_at_the_bottom():
    ramp = depth_training.vertical_ramp(torch.zeros(2, 1, 3, 4))
    assert ramp[0, 0, :, 0].tolist() == [0, 0.5, 1] and ramp.shape == (2, 1, 3, 4)
