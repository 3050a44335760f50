"""Adversarial training: network and judge in turn, and how a run of both goes on."""

import pytest
import torch
from accelerate.state import AcceleratorState
from small_training import TinyJudge, settings_of, trainer_for

import train
from utils.training import adversarial as adversarial_training
from utils.weights import loading as checkpoints

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def adversarial(flags, tmp_path, monkeypatch):
    """adversarial(flags...) -> trainer with a tiny judge, on a tiny crop."""
    monkeypatch.setattr(adversarial_training, "MPDDiscriminator", TinyJudge)
    monkeypatch.setattr("utils.cli.train_flags.check", lambda settings: None)
    train.main(
        [
            *flags,
            "--training-mode",
            "inpainting",
            "--steps",
            "1",
            "--save-name",
            "start",
            "--network",
            "paper",
        ]
    )
    start = tmp_path / "models" / "inpaint-start.tar"

    def build(*more):
        AcceleratorState._reset_state(reset_partial_state=True)
        return trainer_for(
            [
                *flags,
                "--training-mode",
                "inpainting_ref",
                "--model-path",
                str(start),
                "--pretrain-steps",
                "1",
                "--balance-steps",
                "2",
                "--crop",
                "48x32",
                *more,
            ]
        )

    return build


@pytest.mark.parametrize(
    ("made_as", "holds"),
    [
        (["--network", "paper"], ("paper", False)),
        (["--network", "compact"], ("compact", False)),
        (["--network", "compact", "--partial-conv"], ("compact", True)),
    ],
)
def test_adversarial_training_goes_on_with_the_network_of_its_checkpoint(
    flags, tmp_path, capsys, made_as, holds
):
    made = ["--training-mode", "inpainting", "--steps", "1", "--save-name", "start"]
    assert train.main([*flags, *made, *made_as]) == 0
    start = str(tmp_path / "models" / "inpaint-start.tar")
    ref = ["--models-dir", str(tmp_path / "models"), "--training-mode", "inpainting_ref"]
    ref += ["--model-path", start]
    settings = settings_of(*ref)
    assert (settings.network, settings.partial_conv) == holds
    assert settings_of(*ref, "--network", holds[0]).network == holds[0]
    other = "compact" if holds[0] == "paper" else "paper"
    contradictions = [["--network", other]] if not holds[1] else []
    contradictions += [["--partial-conv"]] if not holds[1] else []
    for flag in contradictions:
        assert train.main([*ref, *flag]) == 2
        error = capsys.readouterr().err
        assert " ".join(flag) in error and start in error and "Leave the flag out" in error


def test_adversarial_training_refuses_weights_of_another_kind(flags, tmp_path, capsys):
    assert train.main([*flags, "--save-name", "start"]) == 0
    start = str(tmp_path / "models" / "disparity-start.tar")
    capsys.readouterr()
    assert train.main(["--training-mode", "inpainting_ref", "--model-path", start]) == 2
    error = capsys.readouterr().err
    assert start in error and "disparity network" in error and "for inpainting" in error, error


def snapshot(trainer, kind):
    return {k: v.clone() for k, v in trainer.parts[kind].network.named_parameters()}


def moved(trainer, kind, before):
    return {
        k
        for k, v in trainer.parts[kind].network.named_parameters()
        if not torch.equal(v, before[k])
    }


@pytest.mark.parametrize("step", [0, 2])
def test_adversarial_step_moves_one_network(adversarial, step):
    """At step 0 only the judge learns; at step 2 the generator does too, each from its own loss."""
    trainer = adversarial()
    before = {kind: snapshot(trainer, kind) for kind in trainer.parts}
    batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
    trainer.step_number = step
    terms = trainer.step(batch)
    assert moved(trainer, "discriminator", before["discriminator"]) == {
        "judge.weight_orig",
        "judge.bias",
    }
    generator = moved(trainer, "inpaint", before["inpaint"])
    assert any("moduleContext" in name for name in generator) if step else not generator
    assert ("adversarial" in terms) == bool(step)
    assert {"judge_fake", "judge_real"} <= terms.keys()


def test_generators_gradient_leaves_the_judge_alone(adversarial):
    trainer = adversarial()
    batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
    before = snapshot(trainer, "discriminator")
    generator = trainer.parts["inpaint"]
    _, task = trainer.moved_view(generator.network, batch)
    terms = trainer.generator_losses(task, generator.wrapped(*task.arguments))
    trainer.update("inpaint", terms, batch)
    judge = trainer.parts["discriminator"].network
    assert not moved(trainer, "discriminator", before)
    assert all(p.grad is None for p in judge.parameters())
    learns = {name for name, p in judge.named_parameters() if p.requires_grad}
    assert learns == {"judge.weight_orig", "judge.bias"}


def test_spectral_norm_spares_the_frozen_extractor(adversarial):
    keys = adversarial().parts["discriminator"].network.state_dict().keys()
    assert "judge.weight_orig" in keys and "extractor.weight" in keys


def test_generator_is_due_as_scheduled(adversarial):
    trainer = adversarial("--pretrain-steps", "10", "--balance-steps", "5", "--stop-steps", "30")
    due = []
    for trainer.step_number in range(50):
        if trainer.generator_steps():
            due.append(trainer.step_number)
    assert due == [15, 20, 25, 45]


def test_rates_of_both_fall_alike(adversarial):
    trainer = adversarial("--pretrain-steps", "0")
    batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
    for trainer.step_number in (2, 3):
        trainer.step(batch)
    assert [p.schedule.last_epoch for p in trainer.parts.values()] == [2, 2]


def test_adversarial_resume_equals_uninterrupted(adversarial, tmp_path):
    whole = adversarial("--steps", "5", "--save-name", "whole")
    whole.fit()
    adversarial("--steps", "3", "--save-name", "part").fit()
    resumed = adversarial("--steps", "5", "--save-name", "part", "--resume")
    resumed.fit()
    for kind, part in whole.parts.items():
        one, two = part.network.state_dict(), resumed.parts[kind].network.state_dict()
        assert all(torch.equal(one[key], two[key]) for key in one), kind
    path = tmp_path / "models" / "inpaint-part.tar"
    assert checkpoints.load_network(path, "inpainting") is not None
    state = torch.load(tmp_path / "models" / "discriminator-part.tar", weights_only=True)
    assert {
        "nb_iter",
        "model_state_dict",
        "optimizer_discriminator_state_dict",
        "scheduler_discriminator_state_dict",
    } <= state.keys()
