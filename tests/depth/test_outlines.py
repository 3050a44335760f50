"""Edges of an estimate, moved to the outlines that a photo shows."""

import cv2
import numpy as np
import pytest
import torch

from utils.depth.estimators import refine_disparity
from utils.depth.outlines import align_outlines

SIZE = (300, 400)
NEAR, FAR = 100.0, 30.0


def beads(radius=70.0, bumps=7.0):
    """Mask of a disc with a bumpy outline, as of a string of beads, and of the smooth disc."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    y, x = rows - 150, columns - 200
    outline = radius + bumps * np.sin(12 * np.arctan2(y, x)) / 2
    return np.hypot(y, x) < outline, np.hypot(y, x) < radius


def photo_of(mask, front=(215, 200, 170), back=(120, 160, 215), noise=8.0):
    """(H, W, 3) uint8: two colours with some texture."""
    rng = np.random.default_rng(3)
    pixels = np.where(mask[..., None], front, back) + rng.normal(0, noise, (*mask.shape, 3))
    return pixels.clip(0, 255).astype(np.uint8)


def soft(mask, deviation=2.0):
    """Disparity of a mask, as an estimate has it: a ramp in place of a step."""
    disparity = np.where(mask, NEAR, FAR).astype(np.float32)
    return cv2.GaussianBlur(disparity, (0, 0), deviation)


def wrong(disparity, mask):
    """Share of the pixels within 6 px of the outline that are not at their own side's depth."""
    truth = np.where(mask, NEAR, FAR)
    around = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((13, 13))) > 0
    return (np.abs(disparity - truth)[around] > 0.1 * (NEAR - FAR)).mean()


def test_a_smooth_soft_edge_follows_the_bumps():
    mask, smooth = beads()
    estimate = soft(smooth)
    aligned = align_outlines(estimate, photo_of(mask))
    assert wrong(estimate, mask) > 0.3
    assert wrong(aligned, mask) < 0.08
    far_off = cv2.distanceTransform((mask != smooth).astype(np.uint8) ^ 1, cv2.DIST_L2, 5) > 20
    np.testing.assert_array_equal(aligned[far_off], estimate[far_off])


def test_a_fine_estimate_is_believed():
    """What has the photo's own resolution is off by two pixels at most, whatever colours say."""
    _, smooth = beads()
    estimate, painted = soft(smooth, 0.5), photo_of(beads(73, 0)[0])
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    away = np.abs(np.hypot(rows - 150, columns - 200) - 70)
    fine, coarse = (align_outlines(estimate, painted, enlarged) for enlarged in (1, 8))
    assert away[fine != estimate].max() < 2.5 < away[coarse != estimate].max()


def test_an_edge_that_no_colour_shows_stays():
    mask, smooth = beads()
    estimate = soft(smooth)
    aligned = align_outlines(estimate, photo_of(mask, front=(120, 160, 215)))
    np.testing.assert_allclose(aligned, estimate, atol=0.01 * (NEAR - FAR))


def test_ground_that_runs_away_is_no_edge():
    slope = np.repeat(np.linspace(1, 100, SIZE[0], dtype=np.float32)[:, None], SIZE[1], 1)
    stripes = photo_of(np.arange(SIZE[0])[:, None] // 20 % 2 == np.zeros(SIZE[1]))
    assert align_outlines(slope, stripes) is slope


def test_a_slope_within_a_thing_is_not_torn():
    """Beside its outline, where a thing itself leads from near to less near, it stays whole."""
    mask = np.zeros(SIZE, bool)
    mask[50:250, 150:250] = True
    slope = np.interp(np.arange(SIZE[0]), [140, 160], [1.0, 0.6])[:, None] * NEAR
    estimate = np.where(mask, slope, FAR).astype(np.float32)
    aligned = align_outlines(estimate, photo_of(mask))
    for column in (151, 153, 200):
        assert np.abs(np.diff(aligned[60:240, column])).max() < 6


def test_no_groove_stays_between_a_rim_and_its_surface():
    """A ramp may begin gently, deep inside: what it took from there goes back to all of it."""
    mask, _ = beads(bumps=0)
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    foot = np.interp(inside, [0, 7], [0.35, 0.0]) * (NEAR - FAR) * mask
    estimate = (soft(mask) - foot).astype(np.float32)
    aligned = align_outlines(estimate, photo_of(mask))
    for line in (estimate[150, 200:], aligned[150, 200:]):
        within = line[: int(mask[150, 200:].sum())]  # from the middle of the disc to its rim
        rises = within - np.minimum.accumulate(within)
        assert rises.max() < 1


def test_a_surface_stays_whole_where_its_edge_ends():
    """Downwards the step becomes a slope: what is moved above leads over to what is not below."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    width = np.interp(rows, [100, 200], [0.8, 40.0])
    estimate = (FAR + (NEAR - FAR) / (1 + np.exp((columns - 200) / width))).astype(np.float32)
    aligned = align_outlines(estimate, photo_of(columns < 200))
    assert aligned[50, 199] - aligned[50, 200] > 0.9 * (NEAR - FAR)
    # A reach is four rows: half the step at least is spread over so many.
    assert np.abs(np.diff(aligned, axis=0)).max() < (NEAR - FAR) / 2 / 4


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (60, 2), (5, 5)])
def test_tiny_maps_pass(size):
    rng = np.random.default_rng(0)
    disparity = rng.uniform(0, 9, size).astype(np.float32)
    pixels = rng.integers(0, 255, (*size, 3), np.uint8)
    aligned = align_outlines(disparity, pixels)
    assert aligned.shape == size and np.isfinite(aligned).all()
    assert disparity.min() <= aligned.min() and aligned.max() <= disparity.max()


class Enlarges(torch.nn.Linear):
    """A refinement that does nothing but enlarge."""

    def working_size(self, photo, _):
        return photo

    def refine(self, image, quarter):
        return torch.nn.functional.interpolate(quarter, image.shape[2:], mode="bilinear")


def test_what_a_network_refined_is_aligned():
    mask, smooth = beads()
    image = torch.from_numpy(photo_of(mask)).permute(2, 0, 1)[None] / 255
    small = cv2.resize(soft(smooth, 1.0), (100, 75), interpolation=cv2.INTER_AREA)
    estimate = torch.from_numpy(small)[None, None]
    assert wrong(refine_disparity(Enlarges(1, 1), image, estimate)[0, 0].numpy(), mask) < 0.15
