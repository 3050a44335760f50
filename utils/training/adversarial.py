"""How inpainting learns from a discriminator what pictures look like where no truth exists."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from models.discriminator import MPDDiscriminator, add_spectral_norm
from models.roles import Inpainting
from utils.scene.filling import far_guesses
from utils.training import losses
from utils.training.inpainting import (
    InpaintingTrainer,
    Lifted,
    Task,
    lift,
    random_shifts,
    render_moved,
    restore,
)
from utils.training.refinement import PEAK
from utils.training.terms import Loss, weigh
from utils.training.trainer import checkpoint_path
from utils.weights import loading as checkpoints

log = logging.getLogger(__name__)

LEARNING_RATE = 1e-4  # of any generator, in balance with that of the discriminator


class AdversarialStep(NamedTuple):
    """What the losses of the generator see."""

    filled: Inpainting
    task: Task
    judge: Callable  # image, disparity in [0, 1] -> scores


def side(step: AdversarialStep) -> dict[str, torch.Tensor]:
    """Hold to what was shown, and be smooth."""
    image, disparity = restore(step.task)
    return losses.adversarial_side_loss(
        step.filled.image, image, step.task.mask, step.filled.disparity, disparity
    )


def fooled(step: AdversarialStep) -> torch.Tensor:
    """Be taken for a photo."""
    scores = step.judge(step.filled.image, step.filled.disparity / PEAK)
    return losses.adversarial_loss(scores, real=True)


class Judged(NamedTuple):
    """What the losses of the discriminator see: its scores."""

    fake: tuple
    real: tuple


def called_fake(step: Judged) -> torch.Tensor:
    """Tell an inpainted view for what it is."""
    return losses.adversarial_loss(step.fake, real=False)


def called_real(step: Judged) -> torch.Tensor:
    """Tell a photo for what it is."""
    return losses.adversarial_loss(step.real, real=True)


LOSSES = (
    Loss(side, {"valid": 10.0, "tv": 1.0, "mask": 1e-3, "valid_depth": 10.0}),
    Loss(fooled, {"adversarial": 1.0}),
)
JUDGE_LOSSES = (
    Loss(called_fake, {"judge_fake": 0.5}),
    Loss(called_real, {"judge_real": 0.5}),
)


class AdversarialTrainer(InpaintingTrainer):
    """Refines inpainting on moved views of single photos (docs/method/training.md, Training).

    The discriminator steps every time, on the inpainted view against the photo. The generator steps
    every `balance_steps`, after `pretrain_steps`, counted within cycles of `stop_steps`.
    """

    tag = "Inpaint adversarial"
    tables = (LOSSES, JUDGE_LOSSES)
    companions = ("discriminator",)

    @classmethod
    def settle(cls, settings: Any) -> Any:
        """The network is that of the checkpoint, and written down.

        Raises:
            ValueError: the checkpoint holds no inpainting network, or another than the flags say.
        """
        path = Path(settings.model_path or checkpoint_path(settings, cls.kind))
        entry, said = checkpoints.identify(path, cls.role)
        for flag, there in (
            (f"--network {settings.network}", settings.network in entry.sizes),
            ("--partial-conv", entry.partial),
        ):
            given = settings.partial_conv if flag == "--partial-conv" else settings.network
            if given and not there:
                raise ValueError(
                    f"{flag}: {path} holds {entry.load().label}, which this mode "
                    "goes on with.\n  Leave the flag out, or pass another "
                    "--model-path."
                )
        size = said.get("network")
        size = size if size in entry.sizes else next(iter(entry.sizes), None)
        settings = dataclasses.replace(
            settings,
            network=settings.network or size,
            partial_conv=entry.partial,
            lr_inpaint=settings.lr_inpaint or LEARNING_RATE,
        )
        return cls.settle_for(entry.load(), settings)

    def build(self) -> dict[str, tuple[nn.Module, Any]]:
        """The generator as its checkpoint says, and a discriminator with spectral norm."""
        settings = self.settings
        self.features: Any = None
        path = settings.model_path or self.path(self.kind)
        generator = checkpoints.load_network(path, "inpainting").requires_grad_(True)
        discriminator = MPDDiscriminator(extractor=self._extractor())
        return {
            self.kind: (generator, settings.lr_inpaint),
            "discriminator": (add_spectral_norm(discriminator), settings.lr_discriminator),
        }

    def _extractor(self):
        if checkpoints.VGG16_PATH.exists():
            log.info("the discriminator sees features of VGG-16, %s", checkpoints.VGG16_PATH)
            return checkpoints.load_network(checkpoints.VGG16_PATH, "features")
        log.info(
            "the discriminator sees features of random weights: VGG-16 is not at %s; "
            "./download_models.sh gets it",
            checkpoints.VGG16_PATH,
        )
        return None

    def moved_view(self, network: Any, batch: dict[str, Any]) -> tuple[Lifted, Task]:
        """The photo rendered from the end of a random camera move.

        The truth of this task is what was rendered: it says nothing about holes.
        """
        lifted = lift(batch)
        features, statistics = network.to_render(lifted.image, lifted.disparity)
        view, mask = render_moved(lifted, features, random_shifts(lifted, batch["uniform"]))
        arguments = network.arguments(view, mask, statistics, far_guesses)
        task = Task(view, mask, statistics, arguments, lifted.image, lifted.disparity, mask)
        return lifted, task

    def generator_steps(self) -> bool:
        """Whether the generator steps in this iteration."""
        settings, place = self.settings, self.step_number % self.settings.stop_steps
        return place > settings.pretrain_steps and self.step_number % settings.balance_steps == 0

    def step(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """One step of the discriminator and, when it is due, one of the generator before it."""
        generator, judge = (self.parts[kind] for kind in (self.kind, "discriminator"))
        generator.wrapped.train()
        judge.wrapped.train()
        due = self.generator_steps()
        with self.accelerator.autocast(), torch.set_grad_enabled(due):
            lifted, task = self.moved_view(generator.network, batch)
            filled = (generator.wrapped if due else generator.network)(*task.arguments)
        terms = {}
        if due:
            terms = self.generator_losses(task, filled)
            self.update(self.kind, terms, batch)
            for _ in range(self.settings.balance_steps - 1):  # the rate falls with iterations
                generator.schedule.step()
        with self.accelerator.autocast():
            found = self.discriminator_losses(lifted, filled)
        self.update("discriminator", found, batch)
        return terms | found

    def generator_losses(self, task: Task, filled: Inpainting) -> dict[str, torch.Tensor]:
        """Hold to what was shown, be smooth, and be taken for a photo."""
        judge = self.parts["discriminator"].network
        judge.requires_grad_(False)  # this gradient is for the generator alone
        terms = weigh(self.tables[0], self.settings.weights, AdversarialStep(filled, task, judge))
        self._let_learn(judge)
        return terms

    def discriminator_losses(self, lifted: Lifted, filled: Inpainting) -> dict[str, torch.Tensor]:
        """Tell inpainted views from photos; disparity in [0, 1], like the image."""
        judge = self.parts["discriminator"].wrapped
        fake = judge(filled.image.detach(), filled.disparity.detach() / PEAK)
        real = judge(lifted.image, lifted.disparity / PEAK)
        return weigh(self.tables[1], self.settings.weights, Judged(fake, real))

    @staticmethod
    def _let_learn(judge):
        """Switch gradients on again, but not in the frozen extractor."""
        for name, parameter in judge.named_parameters():
            parameter.requires_grad_(not name.startswith("extractor."))
