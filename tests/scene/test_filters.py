"""Spatial filters against the golden numbers and hand-made cases."""

import cv2
import h5py
import numpy as np
import pytest
import torch
from golden_filters import laplacian, valid_mask

from utils.filters import binary_median, blurred, extremes


@pytest.mark.parametrize("case", ["case0", "case1"])
def test_filters_match_golden(golden, case):
    with h5py.File(golden / "geometry.h5") as file:
        group = {
            name: torch.from_numpy(data[()])
            for name, data in file[f"spatial_filter/{case}"].items()
        }
    torch.testing.assert_close(laplacian(group["input"]), group["laplacian"], atol=1e-6, rtol=1e-6)
    for size in (3, 5):
        binary = group["binary_input"]
        assert torch.equal(binary_median(binary, size), group[f"binary_median-{size}"])


def test_binary_median_survives_one_pixel():
    assert binary_median(torch.ones(1, 1, 1, 1), 5).item() == 1


def test_the_stencil_drops_two_diagonal_neighbours():
    x = torch.zeros(1, 1, 5, 5)
    x[..., 2, 2] = 1
    expected = torch.tensor([[0.0, 0, -1], [0, 4, -1], [-1, -1, 0]])
    assert torch.equal(laplacian(x)[0, 0, 1:4, 1:4], expected)


def test_valid_mask_rejects_a_step_and_keeps_a_slope():
    step = torch.ones(1, 1, 6, 8)
    step[..., 4:] = 2
    rejected = valid_mask(step)[0, 0, 3] == 0
    assert rejected.tolist() == [False, False, False, True, True, False, False, False]


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("size", [(61, 300), (5, 17)])
def test_bands_and_strips_give_the_bits_of_the_whole(threads, size, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    values = np.random.default_rng(0).random(size).astype(np.float32)
    square = np.ones((15, 15), np.uint8)
    low, high = extremes(values, 7)
    np.testing.assert_array_equal(low, cv2.erode(values, square))
    np.testing.assert_array_equal(high, cv2.dilate(values, square))
    for deviation in (0.8, 6.4):
        whole = cv2.GaussianBlur(values, (0, 0), deviation)
        np.testing.assert_array_equal(blurred(values, deviation), whole)
