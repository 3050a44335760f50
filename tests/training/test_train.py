"""train.py: its command line, and that every mode leaves a network that can be used."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from small_training import (
    settings_of,
    trainer_for,
    write_scenes,
)

import train
from utils.cli.train_flags import FLAGS
from utils.training import adversarial as adversarial_training
from utils.training.data_set_keys import check_data_set
from utils.weights import loading as checkpoints

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("quick")


def test_help_matches_golden(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    golden = (ROOT / "tests" / "cli" / "train_help.txt").read_text()
    assert train.make_parser().format_help() == golden, (
        "to accept: COLUMNS=100 python train.py --help > tests/cli/train_help.txt"
    )


def test_help_loads_no_torch():
    code = (
        "import sys, train; train.make_parser().format_help(); "
        "sys.exit(bool({'torch', 'cv2', 'numpy'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_classic_flags_keep_their_defaults():
    wanted = {
        "training_mode": "estimation",
        "mask_loss": "none",
        "mask_loss_dataset": None,
        "n_epochs": 100,
        "batch_size": 8,
        "lr_discriminator": 5e-5,
        "gamma_lr": 0.99999,
        "save_name": "3dkbe",
        "model_path": None,
        "partial_conv": False,
    }
    settings = settings_of()
    assert {name: getattr(settings, name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("mode", "rate", "paper", "compact"),
    [
        ("estimation", "lr_estimation", 1e-4, 6e-4),
        ("refinement", "lr_refinement", 1e-5, 1e-3),
        ("inpainting", "lr_inpaint", 1e-4, 1e-3),
    ],
)
def test_rates_are_those_that_a_network_learns_at(mode, rate, paper, compact):
    for network, wanted in (("paper", paper), ("compact", compact)):
        settings = settings_of("--training-mode", mode, "--network", network)
        assert getattr(settings, rate) == wanted
        given = settings_of(
            "--training-mode", mode, "--network", network, f"--{rate.replace('_', '-')}", "0.5"
        )
        assert getattr(given, rate) == 0.5
        assert f"{wanted:g} for {network}" in " ".join(train.make_parser().format_help().split())


def test_every_setting_is_read_somewhere():
    files = [
        ROOT / "train.py",
        ROOT / "utils" / "cli" / "train_flags.py",
        *ROOT.glob("utils/training/*.py"),
    ]
    text = "".join(path.read_text() for path in files)
    for name in FLAGS:
        assert re.search(rf"settings\.{name}\b", text), name


def test_dry_run_prints_the_settings(capsys):
    assert train.main(["--dry-run", "--crop", "320x240", "--network", "paper"]) == 0
    settings = json.loads(capsys.readouterr().out)
    assert settings["crop"] == [240, 320] and settings["depth_loss"] == "reference"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--training-mode inpainting_ref", "--model-path"),
        ("--mask-loss other", "--mask-loss-dataset"),
        ("--training-mode inpainting --mask-loss same", "--training-mode estimation"),
        ("--training-mode inpainting_ref --model-path x --crop 256x192", "--crop 384x288"),
        ("--training-mode inpainting_ref --model-path x --other-crops 384x384", "Leave it out"),
        ("--resume --overwrite", "Leave one of them out"),
        ("--batch-size 0", "--batch-size must be at least 1"),
        ("--steps 0", "--steps must be at least 1"),
    ],
)
def test_what_cannot_work_is_said_before_anything_runs(arguments, message, capsys):
    assert train.main(arguments.split()) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", ["--crop 12", "--crop 8x8", "--unknown", "--network huge"])
def test_usage_errors_exit_with_2(arguments):
    with pytest.raises(SystemExit) as stopped:
        train.main(arguments.split())
    assert stopped.value.code == 2


@pytest.mark.parametrize("flag", ["--dataset", "--val-dataset"])
def test_unknown_data_set_lists_the_known(flags, flag, capsys):
    assert train.main([*flags, flag, "nowhere"]) == 1
    error = capsys.readouterr().err
    assert f"{flag} nowhere" in error and "synthetic" in error and "drawn" in error


@pytest.mark.parametrize("content", [None, "{", '[{"path": 1}]', "3"])
def test_wrong_dataset_file_is_named(tmp_path, content):
    path = tmp_path / "sets.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match="sets.json is no list of data set dicts"):
        train.known_data_sets(str(path))


def test_listed_data_sets_are_complete():
    for data_set in train.DATASETS:
        check_data_set(data_set)


def test_default_data_set_is_made_on_first_use(flags, tmp_path, monkeypatch):
    made = []

    def ensure(folder, count):
        made.append((folder, count))
        write_scenes(Path(folder))

    monkeypatch.setattr("utils.synthetic.ensure_dataset", ensure)
    data_set = {
        "name": "new",
        "path": str(tmp_path / "new"),
        "generate": 4,
        "param": {"baseline": 1, "focal": 1},
    }
    (opened,) = train.choose_data_sets(["new"], {"new": data_set})
    assert made == [(str(tmp_path / "new"), 4)] and len(opened) == 4


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("estimation", "disparity-mine.tar"),
        ("estimation", "disparity-mine-best.tar"),
        ("refinement", "refine-mine.tar"),
        ("inpainting", "inpaint-mine.tar"),
    ],
)
def test_finished_checkpoint_is_not_overwritten(flags, tmp_path, mode, name, monkeypatch, capsys):
    (tmp_path / "models").mkdir()
    there = tmp_path / "models" / name
    there.write_bytes(b"weeks of work")
    arguments = [*flags, "--training-mode", mode, "--save-name", "mine"]
    monkeypatch.setattr(train, "run", lambda settings: pytest.fail("work was begun"))
    assert train.main(arguments) == 2
    error = capsys.readouterr().err
    for word in (str(there), "--resume", "--overwrite", "--save-name"):
        assert word in error
    assert there.read_bytes() == b"weeks of work" and len(list(there.parent.iterdir())) == 1
    monkeypatch.setattr(train, "run", lambda settings: 0)
    assert train.main([*arguments, "--dry-run"]) == 0
    assert train.main([*arguments, "--overwrite"]) == 0
    assert train.main([*arguments, "--save-name", "other"]) == 0


def test_discriminator_counts_as_a_checkpoint(tmp_path):
    (tmp_path / "discriminator-mine.tar").write_bytes(b"weeks of work")
    settings = settings_of("--models-dir", str(tmp_path), "--save-name", "mine")
    settings_of_nothing = settings_of("--models-dir", str(tmp_path), "--save-name", "other")
    adversarial_training.AdversarialTrainer.check_unfinished(settings_of_nothing)
    with pytest.raises(ValueError, match=r"discriminator-mine\.tar is there already"):
        adversarial_training.AdversarialTrainer.check_unfinished(settings)


def test_overwrite_begins_anew(flags, tmp_path):
    assert train.main(flags) == 0
    AcceleratorState._reset_state(reset_partial_state=True)
    assert train.main([*flags, "--steps", "1", "--overwrite"]) == 0
    for suffix in (".tar", "-best.tar"):
        state = torch.load(tmp_path / "models" / f"disparity-3dkbe{suffix}", weights_only=True)
        assert state["nb_iter"] == 1


@pytest.mark.parametrize("mode", ["estimation", "refinement", "inpainting"])
def test_every_mode_says_which_checkpoint_is_best(flags, tmp_path, mode):
    trainer = trainer_for([*flags, "--training-mode", mode])
    figures = trainer.fit()
    best = torch.load(trainer.path(trainer.kind, "-best.tar"), weights_only=True)["best"]
    assert best["value"] == figures[best["figure"]] and trainer.decides[1] in (min, max)


# -- every mode runs, and what it leaves can be loaded --


@pytest.mark.parametrize("dataset", ["drawn", "photos", "drawn,photos"])
def test_estimation_leaves_a_network_for_kbe(flags, tmp_path, dataset, capsys):
    assert train.main([*flags, "--dataset", dataset]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert any(name.endswith("ordinal of ramp") for name in figures)
    network = checkpoints.load_estimator(tmp_path / "models" / "disparity-3dkbe.tar")
    assert network(torch.rand(1, 3, 32, 48)).shape == (1, 1, 16, 24)


def test_refinement_leaves_a_network_for_kbe(flags, tmp_path, capsys):
    assert train.main([*flags, "--training-mode", "refinement"]) == 0
    assert "dbe_accuracy of bilinear" in json.loads(capsys.readouterr().out)
    network = checkpoints.load_network(tmp_path / "models" / "refine-3dkbe.tar", "refinement")
    assert network(torch.rand(1, 3, 32, 48), torch.rand(1, 1, 8, 12)).shape == (1, 1, 32, 48)


def test_refinement_of_an_estimation_network(flags, tmp_path):
    train.main([*flags, "--steps", "1"])
    AcceleratorState._reset_state(reset_partial_state=True)
    path = tmp_path / "models" / "disparity-3dkbe.tar"
    trainer = trainer_for([*flags, "--training-mode", "refinement", "--model-path", str(path)])
    before = [p.clone() for p in trainer.estimator.parameters()]
    trainer.fit()
    after = trainer.estimator.parameters()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("dataset", "more", "kind"),
    [
        ("drawn", [], "CompactInpaint"),
        ("photos", [], "CompactInpaint"),
        ("drawn,photos", ["--network", "paper"], "Inpaint"),
        ("drawn", ["--partial-conv"], "PartialInpaint"),
    ],
)
def test_inpainting_leaves_a_network_for_kbe(flags, tmp_path, dataset, more, kind, capsys):
    arguments = [*flags, "--training-mode", "inpainting", "--dataset", dataset, *more]
    assert train.main(arguments) == 0
    figures = json.loads(capsys.readouterr().out)
    assert any(name.endswith("psnr_holes of rule") for name in figures)
    network = checkpoints.load_network(tmp_path / "models" / "inpaint-3dkbe.tar", "inpainting")
    assert type(network).__name__ == kind


@pytest.mark.parametrize("mode", ["estimation", "refinement", "inpainting"])
def test_one_step_lowers_loss(flags, mode):
    trainer = trainer_for([*flags, "--training-mode", mode, "--no-colours"])
    batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
    for group in trainer.parts[trainer.kind].optimizer.param_groups:
        group["lr"] = 1e-4
    before = sum(trainer.losses(batch).values()).detach()
    trainer.step(batch)
    trainer.step_number = 0
    assert sum(trainer.losses(batch).values()) < before


@pytest.mark.parametrize("mode", ["estimation", "refinement", "inpainting"])
def test_resume_equals_uninterrupted_with_real_data(flags, mode):
    def run(steps, name, *more):
        AcceleratorState._reset_state(reset_partial_state=True)
        arguments = ["--training-mode", mode, "--steps", str(steps), "--save-name", name, *more]
        trainer = trainer_for([*flags, *arguments])
        trainer.fit()
        return trainer.parts[trainer.kind].network.state_dict()

    whole = run(3, "whole")
    run(2, "part")
    resumed = run(3, "part", "--resume")
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
