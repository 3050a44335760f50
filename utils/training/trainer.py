"""The training loop: steps, clipping, schedule, averages, logging, checkpoints, resume.

A subclass says what is particular to a network: `losses(batch)` and `validate()`. Device, mixed
precision and processes come from Accelerate; what a step sees is a pure function of seed and step
(see `data_loader.py`), so a resumed run repeats what an uninterrupted one would have done.
"""

import contextlib
import copy
import dataclasses
import datetime
import functools
import logging
import math
import shutil
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedDataParallelKwargs
from torch import nn

from models.registry import find_network
from utils.devices import trains_on_cuda
from utils.files import complete_or_absent, naming_write_errors
from utils.training.records import Record
from utils.training.terms import Loss, choose_weights

log = logging.getLogger(__name__)

BEST = "-best.tar"  # of the checkpoint with the best validation so far, kept beside the last


def checkpoint_path(settings: Any, kind: str, suffix: str = ".tar") -> Path:
    """Where the files of one part of a run go."""
    return Path(settings.models_dir) / f"{kind}-{settings.save_name}{suffix}"


class Stopped(Exception):
    """SIGTERM or Ctrl-C arrived and the checkpoint is saved; `signal` says which."""

    def __init__(self, number: int) -> None:
        """Keep the signal's number, from which the exit status follows."""
        super().__init__(signal.Signals(number).name)
        self.signal = number


class Part:
    """One network with its optimiser, schedule and moving average of weights.

    Attributes:
        network: the bare network, whose weights are trained.
        wrapped: the same as Accelerate prepared it; call this one in a training step.
        average: copy whose weights follow slowly, or None; the one to validate and to use.
    """

    def __init__(
        self,
        network: nn.Module,
        lr: float | Mapping[Any, float],
        settings: Any,
        total_steps: int,
        averaged: bool = True,
    ) -> None:
        """Make the optimiser (AdamW) and the schedule; nothing is moved to a device yet.

        Args:
            network: what is trained; frozen parameters stay as they are.
            lr: learning rate, or {module: its learning rate} of disjoint parts of the network;
                None stands for what is left over.
            settings: the dataclass of `train.py`.
            total_steps: of the whole run.
            averaged: whether the moving average of the settings is kept.
        """
        # Channels last: a fifth less time for narrow convolutions on a CPU, and for bf16 on a GPU.
        self.network = self.wrapped = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        rates = lr if isinstance(lr, Mapping) else {None: lr}
        groups = parameter_groups(network, rates)
        self.optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: rate_factor(step, settings, total_steps)
        )
        self.decay = settings.ema if averaged else 0
        self.average = None
        if self.decay:
            self.average = copy.deepcopy(network).eval().requires_grad_(False)

    def prepare(self, accelerator: Any) -> None:
        """Hand network and optimiser to Accelerate, which moves and perhaps wraps them."""
        self.wrapped, self.optimizer = accelerator.prepare(self.network, self.optimizer)
        if self.average is not None:
            self.average.to(accelerator.device)

    def update_average(self, step: int) -> None:
        """Pull the average towards the weights, quickly in the first steps."""
        if self.average is None:
            return
        # Not torch's AveragedModel: its first step is a copy, it blends counters as if they were
        # weights, and it keeps its own count of steps, which would change checkpoints and resuming.
        decay = min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            new, old = self.network.state_dict().values(), self.average.state_dict().values()
            pairs = list(zip(old, new, strict=True))
            floating = [pair for pair in pairs if pair[0].is_floating_point()]
            averages, values = (list(side) for side in zip(*floating, strict=True))
            torch._foreach_lerp_(averages, values, 1 - decay)
            for average, value in pairs:
                if not average.is_floating_point():
                    average.copy_(value)

    @property
    def best(self) -> nn.Module:
        """The network to validate with, in eval mode."""
        return self.average if self.average is not None else self.network.eval()

    def state(self, kind: str) -> dict[str, Any]:
        """What a checkpoint holds of this part; `model_state_dict` is the one to use later."""
        state = {
            "model_state_dict": self.best.state_dict(),
            f"optimizer_{kind}_state_dict": self.optimizer.state_dict(),
            f"scheduler_{kind}_state_dict": self.schedule.state_dict(),
        }
        if self.average is not None:
            state["training_state_dict"] = self.network.state_dict()
        return state

    def load(self, kind: str, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        raw = state.get("training_state_dict", state["model_state_dict"])
        self.network.load_state_dict(raw)
        if self.average is not None:
            self.average.load_state_dict(state["model_state_dict"])
        self.optimizer.load_state_dict(state[f"optimizer_{kind}_state_dict"])
        self.schedule.load_state_dict(state[f"scheduler_{kind}_state_dict"])


def parameter_groups(network: nn.Module, rates: Mapping[Any, float]) -> list[dict[str, Any]]:
    """Divide the trainable parameters among learning rates.

    Args:
        network: torch.nn.Module.
        rates: {module or None: learning rate}, None for all parameters of no other module.
    Returns:
        list of dicts as optimisers take them.
    """
    groups, taken = [], set()
    for module in sorted(rates, key=lambda module: module is None):
        found = [p for p in (module or network).parameters() if p.requires_grad and p not in taken]
        taken.update(found)
        groups += [{"params": found, "lr": rates[module]}] if found else []
    return groups


def rate_factor(step: int, settings: Any, total_steps: int) -> float:
    """Factor on the learning rate: linear warm-up, then gamma^step or half a cosine to 1 %."""
    warm = min(1.0, (step + 1) / max(1, settings.warmup))
    if settings.schedule == "cosine":
        return warm * (0.505 + 0.495 * math.cos(math.pi * min(1.0, step / max(1, total_steps))))
    return warm * settings.gamma_lr**step


def settle_device(device: str, renders: bool) -> None:
    """Decide where this process computes, and say it; later calls find it decided.

    Accelerate remembers it for the process, joins several ones on the CPU only if told so, and by
    itself would take what is no choice here.

    Args:
        device: as --device.
        renders: whether kernels run beside the network.
    Raises:
        ValueError: the device that was asked for does not work.
    """
    if not PartialState._shared_state:
        PartialState(cpu=not trains_on_cuda(device, renders))


@functools.cache
def _patient_group():
    """All processes, in a group of its own: that of the gradients takes a long wait for a fault."""
    return torch.distributed.new_group(backend="gloo", timeout=datetime.timedelta(days=365))


def wait_for_all() -> None:
    """Wait until every process has come here, however long one works alone; one that dies ends it.

    A file system that is slow, thousands of photos to validate with or scenes to make take hours.
    """
    if PartialState().num_processes > 1:
        torch.distributed.barrier(_patient_group())


@contextlib.contextmanager
def first_of_each_machine_first() -> Iterator[None]:
    """What is made within is made by one process of each machine; the others find it there."""
    first = PartialState().is_local_main_process
    if not first:
        wait_for_all()
    yield
    if first:
        wait_for_all()


def make_accelerator(settings: Any, renders: bool) -> Any:
    """Accelerate for these settings; buffers stay per process, as batch statistics are.

    Raises:
        ValueError: as of `settle_device`.
    """
    settle_device(settings.device, renders)
    kwargs = DistributedDataParallelKwargs(broadcast_buffers=False)
    # torch has a newer name for it, which Accelerate can't pass on and older torch doesn't know.
    warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
    cpu = PartialState().device.type == "cpu"
    return Accelerator(cpu=cpu, mixed_precision=settings.amp, kwargs_handlers=[kwargs])


class Trainer:
    """Trains the networks of one mode.

    A subclass sets `role` and `kind` (the checkpoint's type: `<kind>-<save name>.tar`) as in
    models/registry.py, `rate` (the setting of its learning rate), `tag` (the group in TensorBoard),
    `tables` (of its losses, see utils/training/terms.py) and `decides`, and gives `build()`,
    `losses(batch)`, `validate()`; one that trains several networks names the kinds of the others in
    `companions` and gives its own `step(batch)`.

    Args:
        settings: the dataclass of `train.py`.
        data: where batches come from (`data_loader.TrainingData`).
    """

    role = "estimation"
    kind = "network"
    rate_flag = "lr_estimation"
    tag = "Training"
    tables: tuple[tuple[Loss, ...], ...] = ()
    companions: tuple[
        str, ...
    ] = ()  # kinds of the networks that are trained beside the one of `kind`
    decides: tuple[str, Callable[..., float]] | None = (
        None  # figure of `validate()` and min or max: which checkpoint is the best
    )
    renders = False  # whether kernels run beside the network
    second_view = False  # whether samples come with a second view of the scene

    def __init__(self, settings: Any, data: Any) -> None:
        """Build the networks, resume if asked; ValueError if weights do not fit."""
        torch.manual_seed(settings.seed)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self.settings, self.data = settings, data
        self.accelerator = make_accelerator(settings, self.renders)
        self.device = self.accelerator.device
        self.world = self.accelerator.num_processes
        self.step_number = 0
        self.history: list[dict[str, Any]] = []
        self.streams = contextlib.ExitStack()  # of batches, whose workers end with `fit`
        self.best = None  # {"step", "figure", "value"} of the best checkpoint so far
        self.epoch_steps = max(1, data.epoch_length // (settings.batch_size * self.world))
        self.total_steps = settings.steps or settings.n_epochs * self.epoch_steps
        self.parts = {
            kind: Part(network, lr, settings, self.total_steps, averaged=kind == self.kind)
            for kind, (network, lr) in self.build().items()
        }
        if settings.resume:
            self.load()
        for part in self.parts.values():
            part.prepare(self.accelerator)

    @classmethod
    def settle(cls, settings: Any) -> Any:
        """Return the settings with what the network decides: its learning rate and loss weights.

        Raises:
            ValueError: there is no such network for this mode, or no such loss.
        """
        network = find_network(cls.role, settings.network, settings.partial_conv)
        return cls.settle_for(network, settings)

    @classmethod
    def settle_for(cls, network: Any, settings: Any) -> Any:
        """The same, once the class of the network is known."""
        lines = [line for table in cls.tables for line in table]
        found: dict[str, Any] = {"weights": choose_weights(lines, network, settings.weights)}
        if getattr(settings, cls.rate_flag) is None:
            found[cls.rate_flag] = network.learning_rate
        return dataclasses.replace(settings, **found)

    @classmethod
    def check_unfinished(cls, settings: Any) -> None:
        """Raise ValueError if a run of this save name would replace what another has learnt."""
        if settings.resume or settings.overwrite:
            return
        for kind in (cls.kind, *cls.companions):
            for suffix in (".tar", BEST):
                path = checkpoint_path(settings, kind, suffix)
                if path.exists() or path.is_symlink():
                    raise ValueError(
                        f"{path} is there already and would be lost.\n  Add --resume to go on with "
                        "it, --overwrite to begin anew in its place, or another --save-name."
                    )

    def build(self) -> dict[str, tuple[nn.Module, Any]]:
        """Return {kind: (network, learning rate)}."""
        raise NotImplementedError

    def losses(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Return the weighted terms as {name: scalar tensor}; their sum is minimised."""
        raise NotImplementedError

    def validate(self) -> dict[str, float]:
        """Return {name: number} over the held-out samples."""
        raise NotImplementedError

    def examples(self, batch: dict[str, Any]) -> list[torch.Tensor]:
        """Columns of pictures to show: list of (B, 1 or 3, H, W); one channel is coloured."""
        return []

    def metadata(self) -> dict[str, str]:
        """What the checkpoint says of itself besides its numbers."""
        settings = self.settings
        return {
            "channel_order": "RGB",
            "range": "[0, 1]",
            "mode": settings.training_mode,
            "network": settings.network,
            "data": ", ".join(settings.dataset),
        }

    # -- the loop --

    def fit(self) -> dict[str, float]:
        """Train until `total_steps`, with checkpoints on the way, at the end and on a signal.

        Returns:
            dict: the last validation.
        Raises:
            FloatingPointError: a loss or gradient is not finite; names the samples of the batch.
            Stopped: SIGTERM or Ctrl-C, after the checkpoint was written.
            ValueError: a sample cannot be read.
        """
        figures = {}
        if self.step_number >= self.total_steps:
            log.info("already at step %d of %d: nothing to do", self.step_number, self.total_steps)
        with self.streams, _signals() as caught, Record(self) as record:
            batches = self.open_stream(self.data)
            while self.step_number < self.total_steps:
                began = time.perf_counter()
                raw = next(batches)
                record.waited(time.perf_counter() - began)
                self.seed_step()
                batch = self.data.prepare(raw, self.device)
                record.stepped(self.step(batch))
                self.step_number += 1
                if self._agree(caught):
                    self.save()
                    raise Stopped(caught[0] if caught else signal.SIGTERM)
                last = self.step_number >= self.total_steps
                if last or self.step_number % self.settings.save_every == 0:
                    figures = self.checkpoint(record)
        return figures

    def seed_step(self) -> None:
        """Make what a step draws (dropout, say) its own: by seed, step and process."""
        drawn = [self.settings.seed, self.step_number, self.accelerator.process_index]
        torch.manual_seed(int(np.random.SeedSequence(drawn).generate_state(1, np.uint64)[0]))

    def open_stream(self, data: Any) -> Iterator[Any]:
        """The batches of the steps to come; closed when `fit` ends, however it does."""
        batches = data.training(
            self.step_number,
            self.total_steps,
            self.accelerator.process_index,
            self.world,
            pinned=self.device.type == "cuda",
        )
        return self.streams.enter_context(contextlib.closing(batches))

    def step(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """One update of the network from one batch; returns the terms of the loss."""
        self.parts[self.kind].wrapped.train()
        with self.accelerator.autocast():
            losses = self.losses(batch)
        self.update(self.kind, losses, batch)
        return losses

    def update(
        self,
        kind: str,
        losses: Mapping[str, torch.Tensor],
        batch: dict[str, Any],
        clip: float = 1.0,
    ) -> None:
        """Step one part's optimiser down the sum of `losses`, gradient norm clipped to `clip`."""
        part = self.parts[kind]
        total = sum(losses.values())
        self._require_finite(total, losses, batch)
        self.accelerator.backward(total)
        norm = self.accelerator.clip_grad_norm_(part.wrapped.parameters(), clip)
        # Loss scaling (fp16) makes infinite norms on purpose, and skips those steps itself.
        if self.accelerator.scaler is None:
            self._require_finite(norm, {**losses, "gradient norm": norm}, batch)
        part.optimizer.step()
        part.optimizer.zero_grad()
        part.schedule.step()
        part.update_average(self.step_number)

    def _require_finite(self, value, named, batch):
        if torch.isfinite(value):
            return
        terms = ", ".join(f"{name} {float(term.detach()):g}" for name, term in named.items())
        raise FloatingPointError(
            f"step {self.step_number}: the loss is not finite ({terms}).\n"
            "  The batch: " + "; ".join(batch["name"]) + ".\n"
            f"  The last checkpoint is kept: {self.path(self.kind)}. Look at these files, lower "
            "the learning rate, then add --resume."
        )

    def _agree(self, caught):
        """Whether any process was told to stop; all of them learn it in the same step."""
        if self.world == 1:
            return bool(caught)
        flag = torch.tensor(float(bool(caught)), device=self.device)
        return bool(self.accelerator.reduce(flag, "sum") > 0)

    # -- checkpoints --

    def path(self, kind: str, suffix: str = ".tar") -> Path:
        """Where the files of one part go."""
        return checkpoint_path(self.settings, kind, suffix)

    def checkpoint(self, record: Any) -> dict[str, float]:
        """Validate, draw and save; only the first process does, the others wait."""
        record.pause_clock()
        figures = {}
        if self.accelerator.is_main_process:
            try:
                with torch.no_grad():
                    figures = self.validate()
                record.validated(figures)
            except Exception:
                self.save()  # what was learnt is not lost with the figures
                raise
            self.save(best=self._is_best(figures))
        wait_for_all()
        record.resume_clock()
        return figures

    def _is_best(self, figures):
        """Whether no validation before was better; remembers this one if so.

        Where there are several data sets, the mean of theirs decides.
        """
        if self.decides is None:
            return False
        name, choose = self.decides
        found = [value for key, value in figures.items() if key.rpartition(": ")[2] == name]
        value = sum(found) / len(found) if found else math.nan
        if not math.isfinite(value):
            return False
        if self.best is not None and choose(self.best["value"], value) == self.best["value"]:
            return False
        self.best = {"step": self.step_number, "figure": name, "value": value}
        log.info("best so far: %s %.4g at step %d", name, value, self.step_number)
        return True

    def save(self, best: bool = False) -> None:
        """Write one file per part. All are complete before the first gets its final name.

        Args:
            best: whether this is to be the best checkpoint, too.
        """
        if not self.accelerator.is_main_process:
            return
        common = {
            "nb_iter": self.step_number,
            "settings": {k: _plain(v) for k, v in dataclasses.asdict(self.settings).items()},
            "history": self.history,
            "best": self.best,
            "metadata": self.metadata(),
        }
        if self.accelerator.scaler is not None:
            common["scaler_state_dict"] = self.accelerator.scaler.state_dict()
        Path(self.settings.models_dir).mkdir(parents=True, exist_ok=True)
        with (
            naming_write_errors(self.path(self.kind), "--models-dir"),
            contextlib.ExitStack() as files,
        ):
            for kind, part in self.parts.items():
                temporary = files.enter_context(complete_or_absent(self.path(kind)))
                with temporary.open("wb") as file:  # given a name, torch hides why it fails
                    torch.save(common | part.state(kind), file)
                # Renamed before the last one is: a run that is cut off in between is resumed
                # before this step, and finds the same best again.
                if best and kind == self.kind:
                    copied = files.enter_context(complete_or_absent(self.path(kind, BEST)))
                    shutil.copyfile(temporary, copied)

    def load(self) -> None:
        """Continue where the checkpoints of this save name stopped."""
        states = {}
        for kind, part in self.parts.items():
            path = self.path(kind)
            if not path.exists():
                raise ValueError(
                    f"--resume: no checkpoint at {path}.\n"
                    "  Check --save-name and --models-dir, or leave --resume out to begin anew."
                )
            try:
                states[kind] = torch.load(path, map_location="cpu", weights_only=True)
                part.load(kind, states[kind])
            except (KeyError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
                raise ValueError(
                    f"--resume: {path} does not fit these settings: {error}\n"
                    "  Use the flags it was trained with (see the .json beside it)."
                ) from error
        steps = {kind: state["nb_iter"] for kind, state in states.items()}
        if len(set(steps.values())) > 1:
            raise ValueError(f"--resume: the checkpoints are from different steps: {steps}.")
        state = states[self.kind]
        self.step_number, self.history = state["nb_iter"], state["history"]
        if self.path(self.kind, BEST).exists():
            self.best = state.get("best")
        if self.accelerator.scaler is not None and "scaler_state_dict" in state:
            self.accelerator.scaler.load_state_dict(state["scaler_state_dict"])


def _plain(value):
    return list(value) if isinstance(value, tuple) else value


@contextlib.contextmanager
def _signals():
    """Collect SIGTERM and SIGINT instead of dying of them; a second one kills as usual."""
    caught, before = [], {}

    def note(number, _frame):
        caught.append(number)
        signal.signal(number, before[number])

    for number in (signal.SIGTERM, signal.SIGINT):
        before[number] = signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
