"""Straight lines of a photo: disparity along them becomes affine, and nothing else changes."""

import cv2
import numpy as np
import pytest
import torch

from utils.depth.estimators import fit_disparity, refine_disparity
from utils.depth.segments import find_segments
from utils.depth.straight import straighten

SIZE = (300, 400)
NEAR, FAR = 80.0, 30.0
LEFT, RIGHT = 180, 225  # of the column
SHIFT_PX = 30.0  # that the nearest moves by in a film


def painted(mask, front=(215, 200, 170), back=(90, 120, 160)):
    """(H, W, 3) uint8: two colours with a little noise."""
    noise = np.random.default_rng(3).normal(0, 3, (*mask.shape, 3))
    pixels = np.where(mask[..., None], front, back).astype(np.float32)
    pixels = cv2.GaussianBlur(pixels, (0, 0), 0.7)
    return (pixels + noise).clip(0, 255).astype(np.uint8)


def grid():
    """Rows and columns of all pixels."""
    return np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)


def wobble(along, amplitude=2.5):
    """What an estimate is wrong by, in waves of some of its pixels."""
    return amplitude * np.sin(along / 17) + amplitude / 2 * np.sin(along / 7)


def column():
    """Photo of a column before a wall; its true disparity, and an estimate that wobbles."""
    rows, columns = grid()
    mask = (columns >= LEFT) & (columns < RIGHT)
    truth = np.where(mask, NEAR + rows / 20, FAR + columns / 40)
    estimate = truth + np.where(mask, wobble(rows), 0)
    return painted(mask), truth.astype(np.float32), estimate.astype(np.float32)


def bend_px(disparity, at):
    """How far from straight the pixels `at` (rows, columns) get in a film, px."""
    moved = SHIFT_PX * disparity[at] / NEAR
    t = np.linspace(-1, 1, len(moved))
    return np.abs(moved - np.polyval(np.polyfit(t, moved, 1), t)).max()


def test_a_column_stays_straight():
    pixels, truth, estimate = column()
    straight = straighten(estimate, find_segments(pixels))
    inner = np.arange(10, SIZE[0] - 10)
    for edge in (LEFT + 1, RIGHT - 2):
        assert bend_px(estimate, (inner, edge)) > 1
        assert bend_px(straight, (inner, edge)) < 0.5
    rows, columns = grid()
    wall = (columns < LEFT) | (columns >= RIGHT)
    np.testing.assert_allclose(straight[wall], truth[wall], atol=0.01 * NEAR)
    assert np.abs(straight - truth)[~wall].mean() < np.abs(estimate - truth)[~wall].mean() / 2


def test_a_line_along_what_is_far_from_straight_is_left_alone():
    """Seen along its bow: straight in this photo, and bowed by 24 of 80 in space."""
    rows, columns = grid()
    mask = (columns >= LEFT) & (columns < RIGHT)
    bow = 24 * (2 * rows / SIZE[0] - 1) ** 2
    disparity = np.where(mask, NEAR - bow, FAR).astype(np.float32)
    np.testing.assert_array_equal(straighten(disparity, find_segments(painted(mask))), disparity)


def test_ground_meets_its_wall_in_a_straight_line():
    rows, columns = grid()
    ground = rows > 150 + columns / 10
    truth = 40 + np.maximum(rows - 150 - columns / 10, 0) / 4
    near = np.exp(-(((rows - 150 - columns / 10) / 30) ** 2))
    estimate = (truth + wobble(columns, 1.8) * near).astype(np.float32)
    straight = straighten(estimate, find_segments(painted(ground)))
    inner = np.arange(10, SIZE[1] - 10)
    at = np.rint(150 + inner / 10).astype(int), inner
    assert bend_px(straight, at) < 0.5 < bend_px(estimate, at) / 2
    assert np.abs(np.diff(straight, axis=0)).max() < 1.5  # and nothing is torn


def test_what_stands_before_a_column_is_left_alone():
    pixels, _, estimate = column()
    rows, columns = grid()
    box = (np.abs(rows - 150) < 30) & (np.abs(columns - LEFT) < 25)
    pixels[box] = painted(box, front=(40, 60, 30))[box]
    estimate[box] = 110 + columns[box] / 40
    straight = straighten(estimate, find_segments(pixels))
    inside = cv2.erode(box.astype(np.uint8), np.ones((25, 25))) > 0
    np.testing.assert_allclose(straight[inside], estimate[inside], atol=0.005 * NEAR)
    assert np.abs(straight - estimate)[box].max() < 0.03 * NEAR
    for rows_ in (np.arange(10, 115), np.arange(185, 290)):
        assert bend_px(straight, (rows_, RIGHT - 2)) < 0.5


def test_two_things_that_line_up_stay_apart():
    """A line of the photo that runs over a depth step is two lines, or none."""
    rows, columns = grid()
    estimate = np.where(columns < 200, NEAR, FAR).astype(np.float32)
    straight = straighten(estimate, find_segments(painted(rows > 150)))
    np.testing.assert_allclose(straight, estimate, atol=0.005 * NEAR)


def test_a_round_thing_stays_round():
    rows, columns = grid()
    away = np.hypot(rows - 150, columns - 200)
    ball = np.where(away < 90, 50 + 30 * (1 - (away / 90) ** 2), FAR)
    straight = straighten(ball.astype(np.float32), find_segments(painted(away < 90)))
    assert np.abs(straight - ball).max() < 0.02 * NEAR


def test_where_nothing_is_straight_the_map_stays():
    rng = np.random.default_rng(0)
    pixels = cv2.GaussianBlur(rng.integers(0, 255, (*SIZE, 3), np.uint8), (0, 0), 3)
    estimate = cv2.GaussianBlur(rng.uniform(0, 90, SIZE).astype(np.float32), (0, 0), 9)
    assert not find_segments(pixels)
    assert straighten(estimate, find_segments(pixels)) is estimate


def test_a_large_map_is_straightened_by_a_copy():
    pixels, truth, estimate = (
        cv2.resize(part, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST) for part in column()
    )
    straight = straighten(estimate, find_segments(pixels))
    inner = np.arange(40, 4 * SIZE[0] - 40)
    for edge in (4 * LEFT + 4, 4 * RIGHT - 5):
        assert bend_px(straight, (inner, edge)) < 0.5
    off = np.abs(straight - truth)
    assert off[:, : 4 * LEFT].max() < 0.01 * NEAR  # up to the last pixel of the step


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (60, 2), (5, 5), (40, 40)])
def test_tiny_maps_pass(size):
    rng = np.random.default_rng(0)
    disparity = rng.uniform(0, 9, size).astype(np.float32)
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[size[0] // 2 :] = 255
    straight = straighten(disparity, find_segments(pixels))
    assert straight.shape == size and np.isfinite(straight).all()
    assert straight.min() >= 0 and straight.max() <= disparity.max()


def test_pieces_of_one_line_are_one_segment():
    pixels, _, _ = column()
    for top in (60, 150, 220):
        pixels[top : top + 12, LEFT - 20 : LEFT + 20] = 128
    left = [
        s for s in find_segments(pixels) if max(abs(s.start[0] - LEFT), abs(s.end[0] - LEFT)) < 3
    ]
    (segment,) = left
    assert abs(segment.end[1] - segment.start[1]) > 0.9 * SIZE[0]
    assert len(segment.pieces) >= 4


def test_estimates_are_straightened_and_given_maps_of_nearly_full_size_are_not():
    pixels, _, estimate = column()
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    inner = np.arange(15, SIZE[0] - 15)

    def bend(disparity):
        return bend_px(disparity[0, 0].numpy(), (inner, LEFT + 2))

    half, small = (
        torch.from_numpy(cv2.resize(estimate, (width, width * 3 // 4)))[None, None]
        for width in (200, 100)
    )
    assert bend(refine_disparity(None, image, half)) < 0.7
    assert bend(fit_disparity(small[0, 0].numpy(), image)) < 0.7
    assert bend(fit_disparity(half[0, 0].numpy(), image)) > 1
