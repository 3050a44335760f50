"""What inpainting networks are taught: rendered views with holes, windows, features."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_training import (
    trainer_for,
)
from torch import nn

from models.blocks import normalise
from models.roles import Inpainter
from utils.training import inpainting as inpainting_training
from utils.weights import loading as checkpoints

pytestmark = pytest.mark.usefixtures("quick")


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
