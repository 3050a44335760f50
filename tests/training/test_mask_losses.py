"""--mask-loss: depth that is smooth inside every object, and where its masks come from."""

import sys

import cv2
import numpy as np
import pytest
import torch
from small_training import drawn_scene, shrunken_paper_network, trainer_for, write_photos

import train
from utils.training import data_sets
from utils.training import estimation as depth_training
from utils.training import masks as instance_masks

pytestmark = pytest.mark.usefixtures("quick")


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
