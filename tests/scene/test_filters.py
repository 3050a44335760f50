"""Spatial filters against the golden numbers, naive loops and hand-made cases."""

import h5py
import numpy as np
import pytest
import torch

from utils.filters import (
    binary_median,
    gaussian_blur,
    laplacian,
    median,
    sobel_magnitude,
    valid_mask,
)


@pytest.mark.parametrize("case", ["case0", "case1"])
def test_filters_match_golden(golden, case):
    with h5py.File(golden / "geometry.h5") as file:
        group = {name: torch.from_numpy(data[()]) for name, data in
                 file[f"spatial_filter/{case}"].items()}
    torch.testing.assert_close(laplacian(group["input"]), group["laplacian"], atol=1e-6, rtol=1e-6)
    for size in (3, 5):
        assert torch.equal(median(group["input"], size), group[f"median-{size}"])
        binary = group["binary_input"]
        assert torch.equal(median(binary, size), group[f"binary_median-{size}"])
        assert torch.equal(binary_median(binary, size), group[f"binary_median-{size}"])


def test_median_matches_naive_loop():
    x = np.random.default_rng(0).random((1, 1, 7, 9), dtype=np.float32)
    padded = np.pad(x[0, 0], 2, mode="reflect")
    naive = [[np.median(padded[y : y + 5, x : x + 5]) for x in range(9)] for y in range(7)]
    np.testing.assert_array_equal(median(torch.from_numpy(x), 5)[0, 0], np.float32(naive))


def test_median_names_the_size_of_a_tiny_image():
    with pytest.raises(ValueError, match="2x2"):
        median(torch.zeros(1, 1, 2, 2), 5)


def test_binary_median_survives_one_pixel():
    assert binary_median(torch.ones(1, 1, 1, 1), 5).item() == 1


def test_laplacian_drops_two_diagonal_neighbours():
    x = torch.zeros(1, 1, 5, 5)
    x[..., 2, 2] = 1
    expected = torch.tensor([[0.0, 0, -1], [0, 4, -1], [-1, -1, 0]])
    assert torch.equal(laplacian(x)[0, 0, 1:4, 1:4], expected)


def test_valid_mask_rejects_a_step_and_keeps_a_slope():
    step = torch.ones(1, 1, 6, 8)
    step[..., 4:] = 2
    rejected = valid_mask(step)[0, 0, 3] == 0
    assert rejected.tolist() == [False, False, False, True, True, False, False, False]
    slope = torch.linspace(1, 1.1, 8).expand(1, 1, 6, 8)
    assert valid_mask(slope).min() == 1


def test_valid_mask_scales_each_sample_by_itself():
    disparity = torch.rand(1, 1, 8, 8) + 1
    both = torch.cat([disparity, 100 * disparity])
    assert torch.equal(valid_mask(both)[0], valid_mask(both)[1])


def test_gaussian_keeps_a_constant_and_its_sum():
    assert torch.allclose(gaussian_blur(torch.full((1, 2, 20, 20), 0.7), 13, 1.5),
                          torch.tensor(0.7), atol=1e-6)
    spike = torch.zeros(1, 1, 21, 21)
    spike[..., 10, 10] = 1
    blurred = gaussian_blur(spike, 7, 1.0)
    assert blurred.sum().item() == pytest.approx(1, abs=1e-6)
    ratio = blurred[..., 10, 10] / blurred[..., 10, 11]
    assert ratio.item() == pytest.approx(np.exp(0.5), rel=1e-5)


def test_sobel_measures_the_slope_of_a_ramp():
    ramp = 0.5 * torch.arange(8.0).expand(1, 1, 6, 8)
    assert torch.allclose(sobel_magnitude(ramp)[..., 1:-1], torch.tensor(0.5), atol=1e-4)
