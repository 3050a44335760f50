"""train.py: its command line, and what each mode learns from."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from waiting import unix

import data_loader
import train
from models.blocks import normalise
from models.compact_inpainting import CompactInpaint
from models.compact_refinement import CompactRefine
from models.partial_inpainting import PartialInpaint
from models.pointcloud_inpainting import Inpaint
from models.roles import Inpainter
from utils.cli.train_flags import FLAGS
from utils.training import adversarial as adversarial_training
from utils.training import data_sets
from utils.training import estimation as depth_training
from utils.training import inpainting as inpainting_training
from utils.training import masks as instance_masks
from utils.training import records as training_records
from utils.training import refinement as refinement_training
from utils.training.trainer import Part
from utils.weights import loading as checkpoints

ROOT = Path(__file__).resolve().parents[2]
WALL, BOX = 4.0, 2.0  # depths of the drawn scene: focal 20 px, moved by one and by two pixels
DRAWN_SHIFT = (0.2, 0.0, 0.0)


def drawn_scene(seed=0, size=(32, 48)):
    """A textured wall and a box before it, and the view that a shift to the right gives.

    Returns images (2, H, W, 3), depths (2, H, W), instances (2, H, W).
    """
    height, width = size
    wall = np.random.default_rng(seed).integers(40, 200, (height, width + 8, 3), dtype=np.uint8)
    wall = cv2.GaussianBlur(wall, (5, 5), 0)
    image = np.stack([wall[:, 4 : 4 + width], wall[:, 3 : 3 + width]])
    depth, instances = np.full(image.shape[:3], WALL, np.float32), np.zeros(image.shape[:3], "u1")
    for view, left in enumerate((14, 16)):
        box = np.s_[view, 8:24, left : left + 12]
        image[box], depth[box], instances[box] = (200, 60, 30), BOX, 1
    return image, depth, instances


def write_scenes(folder, count=4):
    folder.mkdir(exist_ok=True)
    scenes = [drawn_scene(seed) for seed in range(count)]
    with h5py.File(folder / "scenes-000000.h5", "w") as file:
        file.attrs.update(format="kbe-scenes-1", baseline=0.1)
        for name, parts in zip(
            ("image", "depth", "instances"), zip(*scenes, strict=True), strict=True
        ):
            file[name] = np.stack(parts)
        file["shift"] = np.array([[(0, 0, 0), DRAWN_SHIFT]] * count, np.float32)
        file["focal_px"] = np.full(count, 20.0, np.float32)
    return {"name": "drawn", "path": str(folder), "param": {"baseline": 0.1, "focal": 20}}


def write_photos(folder, count=4):
    for name in ("images", "disparity"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image, depth, _ = drawn_scene(number)
        cv2.imwrite(str(folder / "images" / f"{number}.png"), image[0][..., ::-1])
        cv2.imwrite(str(folder / "disparity" / f"{number}.png"), (400 / depth[0]).astype(np.uint8))
    return {
        "name": "photos",
        "path": str(folder),
        "disparity": "relative",
        "focal_unit": "long side",
        "param": {"baseline": 120, "focal": 0.5},
    }


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Narrow networks, no curve, no TensorBoard; Accelerate decides anew in every test."""
    monkeypatch.setattr(training_records, "draw_curve", lambda path, history: None)
    monkeypatch.setattr(training_records, "open_tensorboard", lambda folder: None)
    for kind in (Inpaint, PartialInpaint):
        monkeypatch.setattr(
            kind, "fresh", lambda size, kind=kind: kind((4, 6, 8, 8), context_channels=4)
        )
    for kind in (CompactInpaint, CompactRefine):
        monkeypatch.setattr(kind, "fresh", lambda size, kind=kind: kind((8, 8, 8)))
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def flags(tmp_path):
    """Command line for a tiny run on the drawn scenes and the drawn photos."""
    sets = [write_scenes(tmp_path / "scenes"), write_photos(tmp_path / "photos")]
    (tmp_path / "sets.json").write_text(json.dumps(sets))
    return [
        "--dataset",
        "drawn",
        "--dataset-file",
        str(tmp_path / "sets.json"),
        "--crop",
        "48x32",
        "--batch-size",
        "2",
        "--steps",
        "2",
        "--workers",
        "0",
        "--device",
        "cpu",
        "--models-dir",
        str(tmp_path / "models"),
        "--runs-dir",
        str(tmp_path / "runs"),
        "--log-every",
        "1",
        "--threads",
        "1",
    ]


@pytest.fixture
def batch(tmp_path):
    """Both views of two drawn scenes, the way the loader gives them, uncropped and in order."""
    opened = data_sets.open_data_set(write_scenes(tmp_path / "scenes"))
    drawn = data_loader.Samples([opened], (32, 48), train=False, second_view=True)
    return data_loader.prepare(data_loader.collate([drawn[0, n, n] for n in (0, 1)]), "cpu", False)


def settings_of(*arguments):
    return train.read_settings(list(arguments))


def trainer_for(arguments):
    return train.make_trainer(train.read_settings(arguments))


# -- command line --


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
    listed = re.search(r'names = \(\s*("crop".*?)\)', text, re.DOTALL)[1]
    for name in FLAGS:
        used = re.search(rf"settings\.{name}\b", text) or f'"{name}"' in listed
        assert used or name.startswith("lr_") and f"settings.{name}" in text, name


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
        data_sets.check_data_set(data_set)


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


# -- errors that nobody foresaw --

CRASH = """
import multiprocessing, os, signal, sys, time
import data_loader, train
from utils.training import records
from utils.training.trainer import Trainer
records.draw_curve = lambda path, history: None
records.open_tensorboard = lambda folder: None
old, read = Trainer.step, data_loader.Samples.__getitem__

def slow(samples, key):  # a reader that hangs, as on a lost network drive
    time.sleep(3600 if os.path.exists(sys.argv[2]) else 0)
    return read(samples, key)

def step(trainer, batch):
    terms = old(trainer, batch)
    if trainer.step_number == 2:  # what is read ahead lasts for more steps than two
        open(sys.argv[2], "w").close()
    if trainer.step_number == 4:
        print(*(worker.pid for worker in multiprocessing.active_children()), flush=True)
        if sys.argv[1] == "raise":
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB\\nmore")
        if sys.argv[1] == "twice":  # Ctrl-C, then again
            os.killpg(0, signal.SIGINT)
        os.killpg(0, signal.SIGINT) if sys.argv[1] == "twice" else os.kill(os.getpid(), 9)
    return terms

Trainer.step = step
data_loader.Samples.__getitem__ = slow
sys.exit(train.main(sys.argv[3:]))
"""


def alive(process):
    """Whether a process runs; one that ended but was not yet waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("event", "status", "message"),
    [
        ("raise", 1, r"train.py: error: RuntimeError: CUDA out of memory. .* GiB \(.*line \d+\)\n"),
        ("twice", 130, r"train.py: stopped by Ctrl-C.*\n"),
        ("kill", -9, ""),  # SIGKILL, which Windows lacks
    ],
)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
def test_whatever_ends_training_ends_its_workers(flags, tmp_path, event, status, message):
    command = [
        sys.executable,
        "-c",
        CRASH,
        event,
        str(tmp_path / "hang"),
        *flags,
        "--steps",
        "999",
        "--workers",
        "2",
        "--log-every",
        "500",
        "--save-every",
        "500",
    ]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        workers = process.stdout.readline().split()
        try:
            process.wait(40)
            assert len(workers) == 2
            # Both ends of the pipes close with the last process that holds them.
            errors = process.communicate(timeout=20)[1]
        finally:
            if any(map(alive, (process.pid, *workers))):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == status
    assert re.fullmatch(message, errors), errors
    assert not any(map(alive, workers))


# -- estimation --


def shrunken_paper_network(monkeypatch):
    from models import disparity_estimation

    class Shrunk(disparity_estimation.Disparity):
        def __init__(self):
            super().__init__((4, 4, 4, 4, 4, 4), semantics_channels=3)

    semantics = nn.AvgPool2d(16, ceil_mode=True)
    monkeypatch.setattr(disparity_estimation, "Disparity", Shrunk)
    monkeypatch.setattr(depth_training, "load_semantics", lambda device: semantics)


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


def test_only_the_order_of_ordered_photos_matters(flags):
    trainer = trainer_for([*flags, "--dataset", "photos"])
    batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
    batch["ordered"] = torch.ones_like(batch["ordered"])
    terms = trainer.losses(batch)
    assert {name for name, value in terms.items() if float(value.detach())} == {"order"}
    disparity, known = batch["disparity"], batch["mask"]
    right, wrong = (
        depth_training.ranked(
            depth_training.Step(
                guess, disparity, known, batch["metric"], batch["ordered"], None, 0, None
            )
        )
        for guess in (disparity.sqrt(), -disparity)
    )
    assert float(right["order"]) < 0.7 * float(wrong["order"])


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


# -- mask losses --


def test_mask_loss_counts_slopes_inside_objects_only():
    disparity = torch.zeros(2, 1, 4, 4)
    disparity[0, 0, 2:] = 5  # a step of 5 inside object 3, and none of object 9
    instances = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    instances[0, 0, :, :2], instances[0, 0, 3, 3] = 3, 9
    loss = depth_training.instance_loss(disparity, instances, 0.5)
    assert float(loss) == pytest.approx(2 * 4.5 / 9)
    assert float(depth_training.instance_loss(disparity, instances * 0, 0.5)) == 0


def test_mask_loss_same_adds_a_term(flags):
    trainer = trainer_for([*flags, "--mask-loss", "same"])
    batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
    assert batch["instances"].any() and float(trainer.losses(batch)["mask"].detach()) == 0
    trainer.step_number = 1000
    with torch.no_grad():
        disparity = trainer.estimate(trainer.parts["disparity"].network, batch["image"])
        expected = depth_training.instance_loss(
            depth_training.in_pixels(disparity), batch["instances"], 0.5
        )
        found = trainer.losses(batch)["mask"]
    assert float(found) == pytest.approx(1e-4 * float(expected), rel=1e-3)


@pytest.mark.parametrize("network", ["compact", "efficient", "paper"])
def test_mask_loss_smooths_objects_of_every_network(flags, network, monkeypatch):
    if network == "paper":
        shrunken_paper_network(monkeypatch)
    alone = [
        word
        for name in ("ssi_data", "ssi_grad", "ssi_scale", "ord", "grad")
        for word in ("--weight", f"{name}=0")
    ]
    trainer = trainer_for(
        [
            *flags,
            "--mask-loss",
            "same",
            "--network",
            network,
            "--no-colours",
            "--lr-estimation",
            "1e-3",
            *alone,
        ]
    )
    batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
    trained = trainer.parts["disparity"].network
    last = [p for p in trained.parameters() if p.dim() == 4][-1]
    last.data *= 30  # what a fresh network gives is too flat to cost anything

    def roughness():
        """Mean slope inside objects, as a share of the mean disparity."""
        disparity = trainer.estimate(trained, batch["image"]).detach()
        disparity = disparity / disparity.abs().mean(dim=(1, 2, 3), keepdim=True)
        return float(depth_training.instance_loss(disparity, batch["instances"], 0.0))

    before, weights = roughness(), [p.detach().clone() for p in trained.parameters()]
    for trainer.step_number in range(1000, 1020):
        terms = trainer.step(batch)
        assert set(terms) == {"mask"}
    moved = [not torch.equal(a, b) for a, b in zip(weights, trained.parameters(), strict=True)]
    assert any(moved) and roughness() < 0.7 * before


def test_pixels_are_the_same_whatever_unit_a_network_gives():
    disparity = torch.rand(2, 1, 4, 6) + 0.1
    scaled = depth_training.in_pixels(disparity)
    assert torch.allclose(scaled.mean(dim=(1, 2, 3)), torch.tensor(depth_training.MEAN_PX))
    assert torch.allclose(scaled, depth_training.in_pixels(300 * disparity), rtol=1e-5)


def test_mask_loss_other_steps_twice(flags, tmp_path):
    (tmp_path / "extra" / "masks").mkdir(parents=True)
    (tmp_path / "extra" / "images").mkdir()
    image, _, instances = drawn_scene()
    cv2.imwrite(str(tmp_path / "extra" / "images" / "a.png"), image[0])
    cv2.imwrite(str(tmp_path / "extra" / "masks" / "a.png"), instances[0])
    trainer = trainer_for(
        [*flags, "--mask-loss", "other", "--mask-loss-dataset", str(tmp_path / "extra")]
    )
    batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
    assert "mask" in trainer.step(batch)
    assert trainer.parts["disparity"].schedule.last_epoch == 2


def test_photos_without_masks_or_detector_say_what_to_do(flags, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    assert train.main([*flags, "--dataset", "photos", "--mask-loss", "same"]) == 1
    error = capsys.readouterr().err
    assert "'photos' has no masks" in error and "--mask-loss none" in error


def test_detected_masks_are_kept_on_disk(tmp_path, monkeypatch):
    data_set, seen = write_photos(tmp_path / "photos", 2), []

    def load_detector(name):
        return lambda pixels: seen.append(1) or np.ones((1, *pixels.shape[:2]))

    monkeypatch.setattr(instance_masks, "load_detector", load_detector)
    for _ in range(2):
        opened = data_sets.open_data_set(data_set, masks=True)
        assert opened.views(0)[0]["masks"].max() == 1
    assert len(seen) == 2


def test_best_mask_lies_on_top():
    masks = np.zeros((2, 1, 3))
    masks[0, 0, :2], masks[1, 0, 1:] = 0.9, 0.8
    assert instance_masks.merge(masks).tolist() == [[1, 1, 2]]
    assert instance_masks.merge(np.zeros((0, 1, 2))).tolist() == [[0, 0]]


# -- refinement --


@pytest.mark.parametrize("network", ["compact", "paper"])
def test_refinement_terms(flags, network):
    trainer = trainer_for([*flags, "--training-mode", "refinement", "--network", network])
    batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
    terms = trainer.losses(batch)
    assert terms.keys() == {"ord", "choice" if network == "compact" else "grad"}
    assert all(float(value.detach()) > 0 for value in terms.values())


def test_refinement_input_is_a_quarter_of_the_truth(flags):
    trainer = trainer_for([*flags, "--training-mode", "refinement"])
    batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
    truth, coarse = trainer.coarse(batch)
    assert truth.shape[-2:] == (32, 48) and coarse.shape[-2:] == (8, 12)
    assert torch.allclose(truth.amax(dim=(1, 2, 3)), torch.tensor(refinement_training.PEAK))
    assert (coarse.mean(dim=(1, 2, 3)) / truth.mean(dim=(1, 2, 3)) - 1).abs().max() < 0.2


# -- inpainting --


class Identity(Inpainter, nn.Module):
    """Stands for the network where only its preparation of inputs matters."""

    def to_render(self, image, disparity):
        image, disparity, statistics = normalise(image, disparity)
        return torch.cat([image, disparity, image, disparity], dim=1), statistics


def test_rendered_view_matches_the_true_second_view(batch):
    task = inpainting_training.make_task(Identity(), batch)
    image, disparity = inpainting_training.restore(task)
    known = task.mask.expand_as(image) > 0
    assert known.float().mean() > 0.8
    assert (image - task.image).abs()[known].max() < 1e-3
    assert (disparity - task.disparity).abs()[task.mask > 0].max() < 0.01


def test_holes_lie_where_the_wall_appears(batch):
    """The box moves by two pixels, the wall by one: to the left of the box something appears."""
    task = inpainting_training.make_task(Identity(), batch)
    hole = task.mask[0, 0, 12] == 0
    assert hole[15] and not hole[5] and not hole[22] and not hole[40]
    assert task.disparity[0, 0, 12, 15] == pytest.approx(60, rel=1e-3)  # the wall: half of 120


def test_without_a_second_view_the_photo_keeps_its_place(batch):
    batch["has_second"] = torch.zeros(2)
    task = inpainting_training.make_task(Identity(), batch)
    image, _ = inpainting_training.restore(task)
    assert torch.equal(task.image, batch["image"])
    assert torch.allclose(image, batch["image"] * task.mask, atol=1e-5)
    assert 0.02 < float((task.mask == 0).float().mean()) < 0.9


def test_true_disparity_is_what_the_photos_camera_sees(batch):
    """A camera one half nearer: depth 4 stays depth 4 for the photo, 3.5 for the second view."""
    lifted = inpainting_training.lift(batch)
    shift = torch.tensor([[0.0, 0.0, -0.5]] * 2)
    focal, baseline = batch["focal_px"].view(-1, 1, 1, 1), batch["baseline"].view(-1, 1, 1, 1)
    moved = {**batch, "second_disparity": focal * baseline / (batch["second_disparity"] * 0 + 3.5)}
    seen, known = inpainting_training.disparity_seen_from_photo(
        lifted, moved, shift * lifted.unit[:, None]
    )
    assert known.all() and torch.allclose(seen, torch.tensor(60.0), rtol=1e-4)


def test_windows_match_the_reference(golden):
    for case in json.loads((golden / "sampling.json").read_text())["random_zoom"]:
        np.random.seed(case["seed"])
        found = inpainting_training.random_windows(
            (case["height"], case["width"]), np.random.random_sample(8)
        )
        for window, name in zip(found, ("window_from", "window_to"), strict=True):
            wanted = case[name]
            assert [
                int(window.center_u),
                int(window.center_v),
                int(window.width),
                int(window.height),
            ] == [wanted[k] for k in ("dblCenterU", "dblCenterV", "intCropWidth", "intCropHeight")]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_windows_stay_inside_the_photo(uniform):
    for window in inpainting_training.random_windows((192, 256), uniform):
        left, top, right, bottom = window.span()
        assert min(left, top) >= -1e-6 and right <= 256 + 1e-6 and bottom <= 192 + 1e-6


def test_gradients_reach_the_context_through_the_renderer(flags, batch):
    trainer = trainer_for([*flags, "--training-mode", "inpainting", "--network", "paper"])
    sum(trainer.losses(batch).values()).backward()
    for parameter in trainer.parts["inpaint"].network.moduleContext.parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0


def test_inpainting_terms_have_the_reference_weights(flags, batch):
    trainer = trainer_for([*flags, "--training-mode", "inpainting", "--network", "paper"])
    with torch.no_grad():
        weighted = trainer.losses(batch)
        trainer.settings.weights.update(dict.fromkeys(trainer.settings.weights, 1.0))
        plain = trainer.losses(batch)
    ratios = {name: float(weighted[name] / plain[name]) for name in plain}
    assert ratios.pop("prc") == pytest.approx(0.05) and ratios.pop("style") == pytest.approx(120)
    assert ratios == pytest.approx({"hole": 6, "valid": 1, "tv": 0.1, "ord": 1e-4, "grad": 10})


def test_features_come_from_the_network_that_ships_where_vgg_is_missing(monkeypatch, caplog):
    monkeypatch.setattr(checkpoints, "VGG16_PATH", Path("nowhere"))
    caplog.set_level("INFO")
    features = inpainting_training.perceptual_features("cpu")
    assert "models/bundled/disparity-estimation.safetensors" in caplog.text
    image = torch.rand(2, 3, 40, 70).requires_grad_()
    maps = features(image)
    assert [tuple(x.shape) for x in maps] == [(2, 16, 32, 48), (2, 24, 16, 24), (2, 32, 8, 12)]
    sum(x.square().mean() for x in maps).backward()
    assert image.grad.abs().amax(dim=(0, 1)).min() > 0, "every pixel counts"
    assert not any(p.requires_grad for p in features.parameters())


def test_features_come_from_whichever_network_ships(tmp_path, monkeypatch):
    """What ships may change: its own class knows its encoder, the range it takes and its spread."""
    from models.efficient_estimation import EfficientDisparity

    network = EfficientDisparity((8, 8, 8, 8, 8), columns=1)
    checkpoints.save_state_dict(tmp_path / "other.safetensors", network.state_dict())
    monkeypatch.setattr(checkpoints, "VGG16_PATH", Path("nowhere"))
    monkeypatch.setattr(inpainting_training, "ENCODER_PATH", tmp_path / "other.safetensors")
    features = inpainting_training.perceptual_features("cpu")
    image = torch.rand(2, 3, 64, 96).requires_grad_()
    maps = features(image)
    wanted = [x / s for x, s in zip(network.encoder(image)[:3], (5.5, 9.0, 8.0), strict=True)]
    torch.testing.assert_close(maps, wanted, rtol=1e-3, atol=1e-3)  # the file holds float16
    sum(x.square().mean() for x in maps).backward()
    assert image.grad.abs().amax(dim=(0, 1)).min() > 0
    assert not any(p.requires_grad for p in features.parameters())


def test_compact_network_starts_near_the_rule(flags, batch):
    trainer = trainer_for([*flags, "--training-mode", "inpainting"])
    task = inpainting_training.make_task(trainer.parts["inpaint"].network, batch)
    guesses, mask = task.arguments
    filled = trainer.parts["inpaint"].best(guesses, mask)
    known = task.mask > 0
    assert torch.equal(filled.image * known, task.view[:, :3] * known)
    assert torch.equal(filled.disparity * known, task.view[:, 3:] * known)
    rule = guesses[:, -1, :3]
    assert (filled.image - rule).abs().mean() < 0.3 * (guesses[:, 0, :3] - rule).abs().mean()


def test_vgg_joins_where_it_was_downloaded(tmp_path, monkeypatch, caplog):
    from models.features import VGG16Partial

    path = tmp_path / "vgg16.safetensors"
    checkpoints.save_state_dict(path, VGG16Partial().state_dict())
    monkeypatch.setattr(checkpoints, "VGG16_PATH", path)
    caplog.set_level("INFO")
    features = inpainting_training.perceptual_features("cpu")
    assert len(features(torch.rand(1, 3, 16, 16))) == 3 and str(path) in caplog.text


# -- adversarial --


class TinyJudge(nn.Module):
    """Two convolutions in place of the discriminator, beside a frozen extractor."""

    def __init__(self, extractor=None):
        super().__init__()
        self.extractor = nn.Conv2d(3, 2, 3, padding=1).requires_grad_(False)
        self.judge = nn.Conv2d(6, 1, 3, padding=1)

    def forward(self, image, disparity):
        seen = torch.cat([image, disparity, self.extractor(image)], dim=1)
        return (torch.sigmoid(self.judge(seen)),)


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


# -- whole processes --


@unix
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_to_the_whole_group_saves_and_exits(flags, tmp_path, number, status):
    """As Ctrl-C on a terminal, which also reaches the loader's workers."""
    command = [sys.executable, "train.py", *flags, "--steps", "100000", "--workers", "1"]
    run = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in run.stderr:
        if line.startswith("step 2 of"):
            break
    os.killpg(run.pid, number)
    _, error = run.communicate(timeout=120)
    assert run.returncode == status and "go on with --resume" in error
    state = torch.load(tmp_path / "models" / "disparity-3dkbe.tar", weights_only=True)
    assert state["nb_iter"] >= 2


@pytest.mark.parametrize("mode", ["estimation", "inpainting_ref"])
def test_benchmark_times_steps(flags, monkeypatch, mode):
    from benchmarks.train import measure

    monkeypatch.setattr(adversarial_training, "MPDDiscriminator", TinyJudge)
    monkeypatch.setattr("utils.cli.train_flags.check", lambda settings: None)
    found = measure(mode, [*flags, "--crop", "48x32"], warmup=1, steps=2)
    assert found["images_per_second"] > 0 and 0 <= found["waiting"] <= 1
    assert found["crop"] == [32, 48] and found["batch_size"] == 2


def launch(processes, flags, **options):
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
        "train.py",
        *flags,
        "--threads",
        "1",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["estimation", "inpainting"])
def test_two_processes_give_the_losses_of_the_doubled_batch(flags, tmp_path, mode):
    histories = []
    for name, processes, size in (("one", 1, 4), ("two", 2, 2)):
        arguments = [
            *flags,
            "--training-mode",
            mode,
            "--steps",
            "4",
            "--save-name",
            name,
            "--batch-size",
            str(size),
            "--val-images",
            "1",
            "--device",
            "auto",
        ]
        run = launch(processes, arguments)
        try:
            _, error = run.communicate(timeout=300)
        finally:
            run.terminate()  # takes its processes along; does nothing to one that has ended
        assert run.returncode == 0, error
        kind = {"estimation": "disparity", "inpainting": "inpaint"}[mode]
        state = torch.load(tmp_path / "models" / f"{kind}-{name}.tar", weights_only=True)
        histories.append([e for e in state["history"] if "total" in e])
    # The first losses differ by rounding alone. Adam steps by nearly the sign of a gradient, which
    # rounding flips where it is almost zero, so later ones drift.
    for one, two, tolerance in zip(*histories, (1e-5, 2e-4, 1e-2, 1e-2), strict=True):
        for term in one.keys() - {"tag", "images_per_second", "waiting"}:
            assert two[term] == pytest.approx(one[term], rel=tolerance), (one, two)


@pytest.mark.slow
def test_a_killed_process_ends_the_run_with_an_error(flags):
    run = launch(2, [*flags, "--steps", "100000", "--save-every", "100000"])
    for line in run.stderr:
        if line.startswith("step 3 of"):
            break
    children = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True)
    os.kill(int(children.stdout.split()[-1]), 9)
    run.communicate(timeout=120)
    assert run.returncode != 0


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("unable to write to file </torch_7_12_0>: No space left on device (28)"),
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is"),
    ],
)
def test_full_shared_memory_is_told_with_what_to_type(error, monkeypatch, capsys, tmp_path):
    class Full:
        def fit(self):
            raise error

    monkeypatch.setattr(train, "make_trainer", lambda settings: Full())
    assert train.main(["--models-dir", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 2 and "/dev/shm" in said and "--workers 0" in said


def test_scenes_is_the_size_of_the_set_that_is_made(monkeypatch, tmp_path):
    asked = []

    class Nobody:
        second_view = False

        def __init__(self, *_):
            pass

    monkeypatch.setattr("utils.synthetic.ensure_dataset", lambda path, count: asked.append(count))
    monkeypatch.setattr("utils.training.data_sets.open_data_set", lambda *_: None)
    monkeypatch.setattr(train, "training_data", lambda *_: None)
    settings = train.read_settings(["--scenes", "37", "--device", "cpu"])
    monkeypatch.setattr(train, "trainer_of", lambda mode: Nobody)
    train.make_trainer(settings)
    assert asked == [37]
