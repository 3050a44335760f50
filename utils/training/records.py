"""What a person sees of a training run: bar or log lines, TensorBoard, curve, panel, settings."""

import collections
import dataclasses
import json
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from accelerate.utils import gather_object

from utils.files import complete_or_absent

log = logging.getLogger(__name__)


class Record:
    """Gathers losses and times of a run and shows them; silent in all processes but the first.

    Use as a context around the loop: `waited`, `stepped` in each step, `validated` after each
    validation. Figures go into `trainer.history`, which the checkpoint keeps.
    """

    def __init__(self, trainer: Any) -> None:
        """Nothing is opened before the context is entered."""
        self.trainer, self.shown = trainer, trainer.accelerator.is_main_process
        self.bar = self.writer = None
        self._restart()

    def __enter__(self) -> "Record":
        """Write the settings, open bar and TensorBoard."""
        if self.shown:
            settings = self.trainer.settings
            write_json(self.trainer.path(self.trainer.kind, ".json"), dataclasses.asdict(settings))
            self.writer = open_tensorboard(settings.runs_dir)
            self.bar = open_bar(self.trainer) if sys.stderr.isatty() else None
        return self

    def __exit__(self, *_: object) -> None:
        """Close what was opened."""
        for opened in (self.bar, self.writer):
            if opened is not None:
                opened.close()

    def _restart(self):
        self.sums, self.steps, self.waiting = collections.defaultdict(float), 0, 0.0
        self.began = time.perf_counter()

    def waited(self, seconds: float) -> None:
        """Count time in which the step stood still for want of a batch."""
        self.waiting += seconds

    def stepped(self, losses: Mapping[str, torch.Tensor]) -> None:
        """Take in one step; now and then show the means since the last time."""
        for name, value in losses.items():
            self.sums[name] += value.detach()
        self.steps += 1
        if self.bar is not None:
            self.bar.update(self.trainer.settings.batch_size * self.trainer.world)
        if (self.trainer.step_number + 1) % self.trainer.settings.log_every == 0:
            self._report()

    def _report(self):
        seconds = time.perf_counter() - self.began
        means = {name: float(value) / self.steps for name, value in self.sums.items()}
        everywhere = gather_object([means])
        terms = {name: 0.0 for process in everywhere for name in process}
        for name in terms:  # a term that a process did not have weighs nothing there
            terms[name] = sum(process.get(name, 0.0) for process in everywhere) / len(everywhere)
        terms["total"] = sum(terms.values())
        if self.shown:
            self._show(terms, seconds)
        self._restart()

    def _show(self, terms, seconds):
        trainer, done = self.trainer, self.trainer.step_number + 1
        images = self.steps * trainer.settings.batch_size * trainer.world
        speed = {"images_per_second": images / seconds, "waiting": self.waiting / seconds}
        self._remember(trainer.tag, done, terms | speed)
        losses = "  ".join(f"{name} {value:.4g}" for name, value in terms.items())
        if self.bar is not None:
            self.bar.set_postfix_str(losses, refresh=False)
        else:
            left = (trainer.total_steps - done) * seconds / self.steps
            log.info(
                "step %d of %d  %s  %.1f images/s, %.0f %% waiting for data, %s left",
                done,
                trainer.total_steps,
                losses,
                speed["images_per_second"],
                100 * speed["waiting"],
                clock(left),
            )

    def validated(self, figures: Mapping[str, float]) -> None:
        """Show and keep the figures of a validation; draw the curve and the panel anew."""
        trainer = self.trainer
        self._remember(f"Validation {trainer.tag.lower()}", trainer.step_number, figures)
        text = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        message = f"validation at step {trainer.step_number}: {text}"
        if self.bar is not None:
            self.bar.write(message, file=sys.stderr)
        else:
            log.info("%s", message)
        draw_curve(trainer.path(trainer.kind, ".curve.png"), trainer.history)
        columns = trainer.examples(next(iter(trainer.data.validation(trainer.device))))
        if columns:
            write_panel(trainer.path(trainer.kind, ".panel.png"), columns)

    def resume_clock(self) -> None:
        """Leave the time spent on saving and validating out of images per second."""
        self.began += time.perf_counter() - self.paused

    def pause_clock(self) -> None:
        """Note when saving and validating began."""
        self.paused = time.perf_counter()

    def _remember(self, tag, step, figures):
        self.trainer.history.append({"step": step, "tag": tag, **figures})
        if self.writer is not None:
            for name, value in figures.items():
                self.writer.add_scalar(f"{tag}/{name}", value, step)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds as h:mm:ss."""
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def write_json(path: str | Path, values: Mapping[str, Any]) -> None:
    """Write settings readably; the file appears complete or not at all."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with complete_or_absent(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def open_bar(trainer: Any) -> Any:
    """A progress bar in images, so that it shows images a second and the time left."""
    from tqdm import tqdm

    images = trainer.settings.batch_size * trainer.world
    return tqdm(
        total=trainer.total_steps * images,
        initial=trainer.step_number * images,
        unit="img",
        smoothing=0.05,
        dynamic_ncols=True,
    )


def open_tensorboard(folder: str | Path) -> Any:
    """A TensorBoard writer in a new `train_0`, `train_0_1`, ... under `folder`, or None."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info("no TensorBoard log: pip install tensorboard to have one")
        return None
    path, number = Path(folder) / "train_0", 0
    while path.exists():
        number += 1
        path = Path(folder) / f"train_0_{number}"
    return SummaryWriter(path)


def draw_curve(path: str | Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Draw every figure of the history over the steps, one small plot each, as PNG."""
    try:
        import matplotlib
    except ImportError:
        log.info("no training curve: pip install matplotlib to have one")
        return
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    plots: dict[str, dict[str, list[tuple[int, float]]]] = collections.defaultdict(
        lambda: collections.defaultdict(list)
    )
    for entry in history:
        for name in entry.keys() - {"step", "tag"}:
            shown, _, rival = name.partition(" of ")  # "abs_rel of ramp" belongs to "abs_rel"
            plots[f"{entry['tag']}: {shown}"][rival].append((entry["step"], entry[name]))
    rows = max(1, -(-len(plots) // 3))
    figure = Figure(figsize=(12, 2.6 * rows), layout="constrained")
    places = list(figure.subplots(rows, 3, squeeze=False).flat)
    for axes in places[len(plots) :]:
        axes.set_visible(False)
    for axes, (title, lines) in zip(places, sorted(plots.items()), strict=False):
        for rival, points in sorted(lines.items()):
            axes.plot(*zip(*points, strict=True), "--" if rival else "-", label=rival or "network")
        axes.set_title(title, fontsize=9)
        axes.tick_params(labelsize=7)
        if len(lines) > 1:
            axes.legend(fontsize=7)
    with complete_or_absent(path) as temporary:
        figure.savefig(temporary, dpi=90)


def write_panel(path: str | Path, columns: Sequence[torch.Tensor], rows: int = 4) -> None:
    """Write pictures side by side: a row per sample, a column per kind.

    Args:
        path: PNG to write.
        columns: list of (B, 3, H, W) in [0, 1], or (B, 1, H, W) of any range, shown in false
            colours from the 1st to the 99th percentile of each picture.
        rows: how many samples at most.
    """
    height = columns[0].shape[-2]
    lines = []
    for row in range(min(rows, len(columns[0]))):
        pictures = [paint(column[row].float().cpu().numpy()) for column in columns]
        sized = [cv2.resize(p, (round(p.shape[1] * height / p.shape[0]), height)) for p in pictures]
        lines.append(np.hstack(sized))
    with complete_or_absent(path) as temporary:
        cv2.imwrite(str(temporary), np.vstack(lines)[..., ::-1])


def paint(picture: np.ndarray) -> np.ndarray:
    """(3, H, W) in [0, 1] or (1, H, W) of any range -> (H, W, 3) uint8 RGB."""
    if picture.shape[0] == 3:
        return (picture.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)
    low, high = np.percentile(picture, (1, 99))
    grey = ((picture[0] - low) / max(high - low, 1e-6)).clip(0, 1)
    return cv2.applyColorMap((grey * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
