"""How inpainting learns from a discriminator what pictures look like where no truth exists."""

import logging

import torch

from models.discriminator import MPDDiscriminator, add_spectral_norm
from utils.scene.inpainting import features_to_render, network_arguments
from utils.training import losses
from utils.training.inpainting import (
    SIDE_WEIGHT,
    InpaintingTrainer,
    Task,
    lift,
    random_shifts,
    render_moved,
    restore,
)
from utils.training.refinement import PEAK
from utils.weights import loading as checkpoints

log = logging.getLogger(__name__)


class AdversarialTrainer(InpaintingTrainer):
    """Refines inpainting on moved views of single photos (SPEC 9.6).

    The discriminator steps every time, on the inpainted view against the photo. The generator steps
    every `balance_steps`, after `pretrain_steps`, counted within cycles of `stop_steps`.
    """

    tag = "Inpaint adversarial"

    def build(self):
        """The generator as its checkpoint says, and a discriminator with spectral norm."""
        settings = self.settings
        self.features = None
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
        log.info("the discriminator sees features of random weights: VGG-16 is not at %s; "
                 "./download_models.sh gets it", checkpoints.VGG16_PATH)
        return None

    def moved_view(self, network, batch):
        """The photo rendered from the end of a random camera move.

        The truth of this task is what was rendered: it says nothing about holes.
        """
        lifted = lift(batch)
        features, statistics = features_to_render(network, lifted.image, lifted.disparity)
        view, mask = render_moved(lifted, features, random_shifts(lifted, batch["uniform"]))
        arguments = network_arguments(network, view, mask, statistics)
        task = Task(view, mask, statistics, arguments, lifted.image, lifted.disparity, mask)
        return lifted, task

    def generator_steps(self):
        """Whether the generator steps in this iteration."""
        settings, place = self.settings, self.step_number % self.settings.stop_steps
        return place > settings.pretrain_steps and self.step_number % settings.balance_steps == 0

    def step(self, batch):
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

    def generator_losses(self, task, filled):
        """Hold to what was shown, be smooth, and be taken for a photo."""
        judge = self.parts["discriminator"].network
        image, disparity = restore(task)
        side = losses.adversarial_side_loss(
            filled.image, image, task.mask, filled.disparity, disparity
        )
        terms = {name: SIDE_WEIGHT * losses.WEIGHTS[name] * value for name, value in side.items()}
        judge.requires_grad_(False)  # this gradient is for the generator alone
        scores = judge(filled.image, filled.disparity / PEAK)
        self._let_learn(judge)
        return terms | {"adversarial": losses.adversarial_loss(scores, real=True)}

    def discriminator_losses(self, lifted, filled):
        """Tell inpainted views from photos; disparity in [0, 1], like the image."""
        judge = self.parts["discriminator"].wrapped
        fake = judge(filled.image.detach(), filled.disparity.detach() / PEAK)
        real = judge(lifted.image, lifted.disparity / PEAK)
        return {
            "judge_fake": 0.5 * losses.adversarial_loss(fake, real=False),
            "judge_real": 0.5 * losses.adversarial_loss(real, real=True),
        }

    @staticmethod
    def _let_learn(judge):
        """Switch gradients on again, but not in the frozen extractor."""
        for name, parameter in judge.named_parameters():
            parameter.requires_grad_(not name.startswith("extractor."))
