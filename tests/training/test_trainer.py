"""The training loop: steps, checkpoints, resume, signals, records."""

import json
import math
import os
import signal
from types import SimpleNamespace

import cv2
import pytest
import torch
from accelerate.state import AcceleratorState
from torch import nn

import train
from utils.training import records
from utils.training import trainer as training


class Numbers:
    """Data without files: batch k is a pure function of k, like the real stream."""

    epoch_length = 6

    def __init__(self, spoiled=None, act=None):
        self.spoiled, self.act = spoiled, act

    def training(self, start, steps, rank=0, world=1, pinned=False):
        for step in range(start, steps):
            if self.act is not None:
                self.act(step)
            x = torch.randn(4, 3, 4, 4, generator=torch.Generator().manual_seed(step))
            if step == self.spoiled:
                x[1] = float("nan")
            yield {"image": x, "name": [f"set: photo{step}-{i}.png" for i in range(4)]}

    def prepare(self, batch, device):
        return batch

    def validation(self, device):
        yield from self.training(1000, 1001)


class Tiny(training.Trainer):
    """Learns to give the mean of the colours, by one convolution and a batch norm."""

    kind = "disparity"
    tag = "Estimation"
    decides = ("error", min)

    def build(self):
        network = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.PReLU(4),
            nn.Conv2d(4, 1, 3, padding=1),
        )
        return {self.kind: (network, 1e-2)}

    def losses(self, batch):
        target = batch["image"].mean(1, keepdim=True)
        error = self.parts[self.kind].wrapped(batch["image"]) - target
        return {"near": error.abs().mean(), "far": 0.1 * error.square().mean()}

    def validate(self):
        for batch in self.data.validation(self.device):
            target = batch["image"].mean(1, keepdim=True)
            error = self.parts[self.kind].best(batch["image"]) - target
        return {"error": float(error.abs().mean()), "error of zero": float(target.abs().mean())}

    def examples(self, batch):
        return [batch["image"], batch["image"].mean(1, keepdim=True)]


@pytest.fixture(autouse=True)
def quick(request, monkeypatch):
    """No curve and no TensorBoard, which take seconds, unless asked for."""
    if "recorded" not in request.fixturenames:
        monkeypatch.setattr(records, "draw_curve", lambda path, history: None)
        monkeypatch.setattr(records, "open_tensorboard", lambda folder: None)


@pytest.fixture(autouse=True)
def fresh_state():
    """Accelerate remembers precision and device for the process; every test decides anew."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def recorded():
    """Ask for the curve and the TensorBoard log."""


@pytest.fixture
def make(tmp_path):
    """make(flags, data) -> Tiny trainer that writes under tmp_path."""

    def build(flags="", data=None, kind=Tiny):
        fixed = [
            "--device",
            "cpu",
            "--models-dir",
            str(tmp_path / "models"),
            "--runs-dir",
            str(tmp_path / "runs"),
            "--log-every",
            "2",
        ]
        settings = train.read_settings(flags.split() + fixed)
        return kind(settings, data or Numbers())

    return build


def weights(trainer):
    part = trainer.parts[trainer.kind]
    return {
        **part.network.state_dict(),
        **{f"average {k}": v for k, v in part.best.state_dict().items()},
    }


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


class Drawing(Tiny):
    """One whose steps draw from torch's own generator, as dropout does."""

    def losses(self, batch):
        self.drawn = torch.rand(1)
        return {name: term * self.drawn[0] for name, term in super().losses(batch).items()}


def test_what_a_step_draws_is_its_own(make):
    """After a resume, too, and another in every process; the checkpoint keeps no state for it."""
    whole = make("--steps 4 --save-name whole", kind=Drawing)
    whole.fit()
    make("--steps 2 --save-name part", kind=Drawing).fit()
    torch.rand(7)
    resumed = make("--steps 4 --save-name part --resume", kind=Drawing)
    resumed.fit()
    assert same(weights(whole), weights(resumed)) and torch.equal(whole.drawn, resumed.drawn)
    draws = set()
    for process in range(3):
        for step in range(3):
            resumed.accelerator = SimpleNamespace(process_index=process)
            resumed.step_number = step
            resumed.seed_step()
            draws.add(float(torch.rand(1)))
    assert len(draws) == 9


def test_one_step_lowers_loss(make):
    trainer = make("--steps 1")
    batch = next(trainer.data.training(0, 1))
    before = sum(trainer.losses(batch).values())
    trainer.step(batch)
    assert sum(trainer.losses(batch).values()) < before


def test_step_moves_against_the_clipped_gradient(make):
    trainer = make("--steps 1")
    batch = next(trainer.data.training(0, 1))
    network = trainer.parts["disparity"].network
    total = sum(trainer.losses(batch).values())
    gradients = torch.autograd.grad(total, list(network.parameters()))
    norm = torch.stack([g.norm() for g in gradients]).norm()
    trainer.update("disparity", {"all": 1000 * sum(trainer.losses(batch).values())}, batch)
    states = trainer.parts["disparity"].optimizer.state
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        # Adam's first moment after one step is a tenth of the gradient it was given.
        given = states[parameter]["exp_avg"] * 10
        assert torch.allclose(given, gradient / norm, atol=1e-4)


@pytest.mark.parametrize("ema", [0, 0.9])
@pytest.mark.parametrize("stop", [1, 4, 7])
def test_resume_equals_uninterrupted(make, stop, ema):
    """Steps 1, 4 and 7 of epochs of 1 step (6 samples, batches of 4): also between epochs."""
    flags = f"--steps 9 --ema {ema} --schedule cosine --warmup 3 --batch-size 4"
    whole = make(f"{flags} --save-name whole")
    whole.fit()

    def interrupt(step):
        if step == stop:
            os.kill(os.getpid(), signal.SIGTERM)

    part = make(f"{flags} --save-name part", Numbers(act=interrupt))
    with pytest.raises(training.Stopped):
        part.fit()
    resumed = make(f"{flags} --save-name part --resume")
    assert resumed.step_number == stop + 1
    resumed.fit()
    assert same(weights(whole), weights(resumed))
    figures = [[e for e in t.history if "error" in e] for t in (whole, resumed)]
    assert figures[0] == figures[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_saves_then_stops(make, number):
    def interrupt(step):
        if step == 2:
            os.kill(os.getpid(), number)

    trainer = make("--steps 50", Numbers(act=interrupt))
    before = signal.getsignal(number)
    with pytest.raises(training.Stopped) as stopped:
        trainer.fit()
    assert stopped.value.signal == number
    assert torch.load(trainer.path("disparity"), weights_only=True)["nb_iter"] == 3
    assert signal.getsignal(number) is before


def test_checkpoint_has_the_reference_keys_and_loads_without_code(make):
    trainer = make("--steps 3")
    trainer.fit()
    state = torch.load(trainer.path("disparity"), weights_only=True)
    assert state["nb_iter"] == 3
    for key in (
        "model_state_dict",
        "optimizer_disparity_state_dict",
        "scheduler_disparity_state_dict",
    ):
        assert state[key]
    assert state["metadata"]["channel_order"] == "RGB"
    assert state["settings"]["steps"] == 3
    assert same(state["model_state_dict"], trainer.parts["disparity"].average.state_dict())


def test_checkpoints_come_at_intervals_and_once_at_the_end(make):
    class Counting(Tiny):
        saved = ()

        def save(self, best=False):
            self.saved = (*self.saved, self.step_number)
            super().save(best)

    assert (t := make("--steps 7 --save-every 3", kind=Counting)).fit() and t.saved == (3, 6, 7)
    assert (t := make("--steps 6 --save-every 3", kind=Counting)).fit() and t.saved == (3, 6)


def test_failed_save_keeps_the_last_checkpoint(make, monkeypatch):
    trainer = make("--steps 2")
    trainer.fit()
    before = trainer.path("disparity").read_bytes()

    def fail(state, file):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        trainer.save()
    assert trainer.path("disparity").read_bytes() == before
    assert not [p for p in trainer.path("disparity").parent.iterdir() if "partial" in p.name]


def test_a_disk_that_fills_up_at_a_checkpoint_is_told_and_the_last_one_kept(make):
    resource = pytest.importorskip("resource")
    trainer = make("--steps 2")
    trainer.fit()
    path = trainer.path("disparity")
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(
            OSError, match="cannot be written: File too large.*--models-dir"
        ) as told:
            trainer.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(path) in str(told.value) and path.read_bytes() == before
    assert not [p for p in trainer.path("disparity").parent.iterdir() if "partial" in p.name]


class Judged(Tiny):
    """Whose validations bring what `errors` says, by step."""

    errors = {}

    def validate(self):
        return {"error": self.errors[self.step_number], "error of zero": 0.0}


def steps_of(trainer):
    """Steps of the last and the best checkpoint."""
    paths = (trainer.path("disparity"), trainer.path("disparity", training.BEST))
    return [torch.load(path, weights_only=True)["nb_iter"] for path in paths]


def test_best_checkpoint_is_kept_beside_the_last_also_after_resuming(make):
    Judged.errors = {2: 0.5, 4: 0.3, 6: 0.4, 8: 0.35, 10: 0.2, 12: math.nan}
    trainer = make("--steps 6 --save-every 2", kind=Judged)
    trainer.fit()
    assert steps_of(trainer) == [6, 4]
    trainer = make("--steps 8 --save-every 2 --resume", kind=Judged)
    trainer.fit()
    assert steps_of(trainer) == [8, 4]  # the best before the resumption still counts
    trainer = make("--steps 12 --save-every 2 --resume", kind=Judged)
    trainer.fit()
    assert steps_of(trainer) == [12, 10]
    state = torch.load(trainer.path("disparity", training.BEST), weights_only=True)
    assert state["best"] == {"step": 10, "figure": "error", "value": 0.2}


def test_largest_figure_or_mean_over_data_sets_can_decide(make):
    trainer = make("--steps 1")
    trainer.decides = ("psnr", max)
    found = [
        trainer._is_best({"a: psnr": a, "b: psnr": b, "b: psnr of rule": 99.0})
        for a, b in ((10.0, 20.0), (29.0, 0.0), (12.0, 21.0), (12.0, 21.0))
    ]
    assert found == [True, False, True, False] and trainer.best["value"] == 16.5


def test_failed_save_of_the_best_keeps_both(make, monkeypatch):
    Judged.errors = {1: 0.5, 2: 0.4}
    trainer = make("--steps 1", kind=Judged)
    trainer.fit()
    folder = trainer.path("disparity").parent
    before = {path.name: path.read_bytes() for path in folder.glob("*.tar")}

    def fail(source, target):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(training.shutil, "copyfile", fail)
    with pytest.raises(OSError, match="disk full"):
        make("--steps 2 --resume", kind=Judged).fit()
    assert before == {path.name: path.read_bytes() for path in folder.glob("*.tar")}
    assert len(before) == 2 and not [p for p in folder.iterdir() if "partial" in p.name]


def test_figures_of_the_validation_are_in_the_file(make):
    trainer = make("--steps 4 --save-every 2")
    trainer.fit()
    history = torch.load(trainer.path("disparity"), weights_only=True)["history"]
    assert [entry["step"] for entry in history if "error" in entry] == [2, 4]
    resumed = make("--steps 6 --resume")
    assert [e["step"] for e in resumed.history if "error" in e] == [2, 4]


def test_failed_validation_loses_no_weights(make):
    class Failing(Tiny):
        def validate(self):
            raise ValueError("photo.png cannot be read")

    trainer = make("--steps 3", kind=Failing)
    with pytest.raises(ValueError, match=r"photo\.png"):
        trainer.fit()
    assert torch.load(trainer.path("disparity"), weights_only=True)["nb_iter"] == 3


def test_non_finite_loss_names_the_batch_and_keeps_the_checkpoint(make):
    trainer = make("--steps 9 --save-every 3", Numbers(spoiled=4))
    with pytest.raises(FloatingPointError, match=r"step 4.*near nan(.|\n)*photo4-1.png"):
        trainer.fit()
    state = torch.load(trainer.path("disparity"), weights_only=True)
    assert state["nb_iter"] == 3
    assert all(torch.isfinite(v).all() for v in state["model_state_dict"].values())
    assert all(torch.isfinite(p).all() for p in trainer.parts["disparity"].network.parameters())


def test_infinite_loss_without_a_gradient_is_found_too(make):
    class Constant(Tiny):
        def losses(self, batch):
            return {"peak": super().losses(batch)["near"] * 0 + float("inf")}

    with pytest.raises(FloatingPointError, match="peak inf"):
        make("--steps 2", kind=Constant).fit()


def test_non_finite_gradient_is_found_before_it_reaches_the_weights(make):
    class Rooted(Tiny):
        def losses(self, batch):  # the value is 0, its slope infinite
            return {"root": (self.parts["disparity"].wrapped(batch["image"]) * 0).sqrt().sum()}

    trainer = make("--steps 2", kind=Rooted)
    before = {k: v.clone() for k, v in trainer.parts["disparity"].network.named_parameters()}
    with pytest.raises(FloatingPointError, match="gradient norm"):
        trainer.fit()
    after = dict(trainer.parts["disparity"].network.named_parameters())
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_resume_without_a_checkpoint_says_what_to_do(make):
    with pytest.raises(ValueError, match="(?s)--resume: no checkpoint at.*--save-name"):
        make("--resume --save-name nothing")


def test_resume_into_another_network_is_refused(make):
    make("--steps 1").fit()

    class Wider(Tiny):
        def build(self):
            return {self.kind: (nn.Conv2d(3, 5, 3), 1e-2)}

    with pytest.raises(ValueError, match="does not fit these settings"):
        make("--steps 2 --resume", kind=Wider)


def test_parts_from_different_steps_are_refused(make):
    class Pair(Tiny):
        def build(self):
            return super().build() | {"discriminator": (nn.Conv2d(1, 1, 1), 1e-2)}

    trainer = make("--steps 1", kind=Pair)
    trainer.fit()
    path = trainer.path("discriminator")
    torch.save(torch.load(path, weights_only=True) | {"nb_iter": 7}, path)
    with pytest.raises(ValueError, match="different steps"):
        make("--resume --steps 2", kind=Pair)


@pytest.mark.parametrize("damage", [b"", b"PK half a file"])
def test_damaged_checkpoint_is_named_when_resuming(make, damage):
    trainer = make("--steps 1")
    trainer.fit()
    trainer.path("disparity").write_bytes(damage)
    with pytest.raises(ValueError, match="--resume: .*disparity-3dkbe.tar"):
        make("--steps 2 --resume")


def test_a_finished_run_has_nothing_to_resume(make, caplog):
    caplog.set_level("INFO")
    make("--steps 2").fit()
    assert make("--steps 2 --resume").fit() == {}
    assert "already at step 2 of 2" in caplog.text


def test_bar_counts_images_and_shows_losses(make, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    make("--steps 4 --batch-size 4").fit()
    shown = capsys.readouterr().err
    assert "16/16" in shown and "img/s" in shown and "near" in shown
    assert "validation at step 4" in shown


def test_average_follows_the_weights_slowly(make):
    trainer = make("--ema 0.5 --steps 30")
    part = trainer.parts["disparity"]
    start = part.average[0].weight.clone()
    with torch.no_grad():
        part.network[0].weight.copy_(start + 1)
    part.update_average(1000)
    assert torch.allclose(part.average[0].weight, start + 0.5)
    part.update_average(0)  # at the beginning nine tenths of the way at once
    assert torch.allclose(part.average[0].weight, start + 0.95)
    part.network[1].num_batches_tracked += 5
    part.update_average(1000)
    assert part.average[1].num_batches_tracked == 5


def test_rate_warms_up_then_falls():
    settings = train.read_settings(["--warmup", "4", "--gamma-lr", "0.9"])
    assert training.rate_factor(0, settings, 100) == pytest.approx(0.25)
    assert training.rate_factor(10, settings, 100) == pytest.approx(0.9**10)
    settings = train.read_settings(["--schedule", "cosine"])
    assert training.rate_factor(0, settings, 100) == pytest.approx(1)
    assert training.rate_factor(50, settings, 100) == pytest.approx(0.505)
    assert training.rate_factor(100, settings, 100) == pytest.approx(0.01)


def test_epochs_count_samples_of_all_processes(make):
    data = Numbers()
    data.epoch_length = 40
    assert make("--n-epochs 3 --batch-size 4", data).total_steps == 30
    assert make("--n-epochs 3 --batch-size 64", data).total_steps == 3
    assert make("--n-epochs 3 --steps 17", data).total_steps == 17


def test_a_run_leaves_settings_curve_and_panel(make, recorded):
    trainer = make("--steps 4")
    trainer.fit()
    settings = json.loads(trainer.path("disparity", ".json").read_text())
    assert settings["steps"] == 4 and settings["network"] == "compact"
    for suffix in (".curve.png", ".panel.png"):
        assert cv2.imread(str(trainer.path("disparity", suffix))) is not None
    assert list((trainer.path("disparity").parent.parent / "runs").glob("train_0/events*"))
    tags = {entry["tag"] for entry in trainer.history}
    assert tags == {"Estimation", "Validation estimation"}


def test_log_names_every_term_speed_and_time_left(make, caplog):
    caplog.set_level("INFO")
    make("--steps 4").fit()
    line = next(m for m in caplog.messages if m.startswith("step 2 of 4"))
    for word in ("near", "far", "total", "images/s", "waiting for data", "left"):
        assert word in line
    assert any("validation at step 4: error" in m for m in caplog.messages)


def test_missing_tensorboard_and_matplotlib_only_say_so(make, recorded, monkeypatch, caplog):
    caplog.set_level("INFO")
    for name in ("matplotlib", "torch.utils.tensorboard"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    trainer = make("--steps 2")
    trainer.fit()
    assert "pip install tensorboard" in caplog.text and "pip install matplotlib" in caplog.text
    assert trainer.path("disparity").exists()


def test_runs_are_numbered(tmp_path, recorded):
    paths = []
    for _ in range(3):
        writer = records.open_tensorboard(tmp_path)
        paths.append(str(writer.log_dir).rsplit("/", 1)[-1])
        writer.close()
    assert paths == ["train_0", "train_0_1", "train_0_2"]


def test_panel_has_a_row_per_sample_and_a_column_per_picture(tmp_path):
    columns = [torch.rand(6, 3, 10, 20), torch.rand(6, 1, 5, 10)]
    records.write_panel(tmp_path / "panel.png", columns)
    assert cv2.imread(str(tmp_path / "panel.png")).shape == (40, 40, 3)


def test_colours_of_the_panel_are_rgb(tmp_path):
    red = torch.zeros(1, 3, 4, 4)
    red[:, 0] = 1
    records.write_panel(tmp_path / "panel.png", [red])
    assert cv2.imread(str(tmp_path / "panel.png"))[0, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:00:05"), (3671.9, "1:01:11")])
def test_clock(seconds, text):
    assert records.clock(seconds) == text


def test_bf16_trains(make):
    trainer = make("--steps 2 --amp bf16")
    trainer.fit()
    losses = [e["total"] for e in trainer.history if "total" in e]
    assert losses and all(math.isfinite(x) for x in losses)
    assert trainer.parts["disparity"].network[0].weight.dtype == torch.float32
