"""Enlarging a coarse disparity map along the edges of its photo."""

import cv2
import numpy as np
import pytest
import torch

from utils.depth.sharpening import blur_px, sharpen_edges, upsample_disparity


def disc_scene(size=(96, 128), center=(48, 70), radius=25):
    """A textured red disc at disparity 100 before a textured green wall at 20."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: size[0], : size[1]]
    disc = (rows - center[0]) ** 2 + (columns - center[1]) ** 2 < radius**2
    pixels = np.where(disc[..., None], (190, 60, 50), (60, 150, 70))
    pixels = (pixels + rng.normal(0, 8, (*size, 3))).clip(0, 255).astype(np.uint8)
    return pixels, np.where(disc, 100, 20).astype(np.float32)


def image_of(pixels):
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("scale", [2, 4, 8, 16])
def test_enlarged_map_follows_the_photo(scale):
    pixels, truth = disc_scene((192, 256), (96, 140), 50)
    coarse = cv2.resize(truth, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA)
    bilinear = cv2.resize(coarse, truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    ours = upsample_disparity(torch.from_numpy(coarse)[None, None], image_of(pixels))[0, 0].numpy()
    error, bilinear_error = (np.abs(d - truth).mean() for d in (ours, bilinear))
    assert error < 0.05 * bilinear_error
    between = ((ours > 35) & (ours < 85)).mean()
    assert between < 0.002, "flying pixels are left between the surfaces"


def test_misplaced_edge_moves_to_the_colours():
    pixels, truth = disc_scene()
    shifted = np.roll(truth, 2, axis=1)
    sharp = sharpen_edges(shifted, pixels, 4)
    assert np.abs(sharp - truth).mean() < 0.25 * np.abs(shifted - truth).mean()


def test_three_surfaces_meeting_stay_three():
    pixels, truth = disc_scene()
    pixels[60:, :], truth[60:, :] = (90, 90, 200), 60
    blurred = cv2.GaussianBlur(truth, (0, 0), 2)
    sharp = sharpen_edges(blurred, pixels, 5)
    assert np.abs(sharp - truth).mean() < 0.15 * np.abs(blurred - truth).mean()


def test_slopes_are_left_alone():
    pixels, _ = disc_scene()
    slope = np.linspace(20, 60, 128, dtype=np.float32)[None].repeat(96, 0)
    np.testing.assert_allclose(sharpen_edges(slope, pixels, 3), slope, atol=0.3)


def test_exact_map_with_a_thin_wire_keeps_the_wire():
    pixels, disparity = disc_scene()
    pixels[:, 20:22], disparity[:, 20:22] = (240, 240, 250), 100
    sharp = sharpen_edges(disparity, pixels, 2)
    assert (sharp[:, 20:22] > 90).mean() > 0.98


def test_values_stay_in_range_and_flat_maps_survive():
    rng = np.random.default_rng(1)
    disparity = rng.random((40, 50), dtype=np.float32)
    pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    sharp = sharpen_edges(disparity, pixels, 3)
    assert disparity.min() - 1e-6 <= sharp.min() and sharp.max() <= disparity.max() + 1e-6
    assert (sharpen_edges(np.zeros((8, 8), np.float32), pixels[:8, :8], 2) == 0).all()


@pytest.mark.parametrize("size", [(16, 16), (16, 640), (640, 16), (33, 47)])
def test_any_shape_of_photo(size):
    coarse = torch.rand(1, 1, 9, 12)
    image = torch.rand(1, 3, *size)
    fine = upsample_disparity(coarse, image)
    assert fine.shape == (1, 1, *size)
    assert torch.isfinite(fine).all()


@pytest.mark.parametrize("sigma", [1, 2, 3])
def test_blur_of_edges_is_measured_in_px_of_the_map(sigma):
    _, truth = disc_scene((192, 256), (96, 140), 50)
    blurred = cv2.GaussianBlur(truth, (0, 0), sigma)
    assert blur_px(torch.from_numpy(blurred)[None, None]) == pytest.approx(sigma, rel=0.15)


def test_a_map_without_edges_has_no_blur():
    slope = torch.linspace(1, 2, 128).expand(1, 1, 96, 128)
    assert np.isnan(blur_px(slope)) and np.isnan(blur_px(torch.zeros(1, 1, 96, 128)))
