"""The kernels against the numbers that the published implementation gave (docs/method.md)."""

import h5py
import numpy as np
import pytest
import torch

import kernels

CLOUDS = [
    "channels68", "dense_batch2", "dense_identity", "dense_magnify", "dense_shift",
    "dense_valid_masked", "other_frame_size", "sparse_batch2",
]  # fmt: skip
FILLS = ["after_render", "all_holes", "equal_depth_ties", "random_holes", "rect_holes_batch2"]
MASKS = ["batch2", "corner_object", "identity", "single"]


@pytest.fixture(scope="module")
def geometry(golden):
    with h5py.File(golden / "geometry.h5") as file:
        yield file


def tensor(dataset):
    return torch.from_numpy(dataset[...].astype(np.float32))


def camera(group):
    size = int(group.attrs["height"]), int(group.attrs["width"])
    return size, float(group.attrs["focal"]), float(group.attrs["baseline"])


@pytest.mark.parametrize("name", CLOUDS)
def test_zbuffer_lies_within_the_quantisation_of_the_reference(geometry, name, device):
    group = geometry["render_pointcloud"][name]
    points = tensor(group["points"]).to(device)
    key = group["zee_before_degrid"][...].astype(np.float64)
    raw = kernels.zbuffer(points, *camera(group), degridded=False).cpu().double().numpy()
    assert np.abs(1e6 - key - raw).max() <= 1 / 32 + 1e-6  # rounded to 1/16
    # The reference sums up to eight keys near 1e6 in float32, which rounds to 1/2 before it
    # divides by up to eight; and a pixel right at the tolerance may be closed or not.
    key = group["zee_after_degrid_db"][...].astype(np.float64)
    closed = kernels.zbuffer(points, *camera(group)).cpu().double().numpy()
    assert np.mean(np.abs(1e6 - key - closed) > 1 / 8) <= 0.002


@pytest.mark.parametrize("name", CLOUDS)
def test_render_agrees_with_the_reference(geometry, name, device):
    group = geometry["render_pointcloud"][name]
    view, coverage = (
        result.cpu().numpy()
        for result in kernels.render_pointcloud(
            tensor(group["points"]).to(device), tensor(group["data"]).to(device), *camera(group)
        )
    )
    weight, reference = group["weight_db"][...], group["render_db"][...]
    compared = weight > 1e-3
    assert np.mean((coverage > 1e-3) != compared) <= 0.001
    error = np.abs(view - reference) / np.maximum(1, np.abs(reference))
    error = error[np.broadcast_to(compared, error.shape)]
    assert np.mean(error > 2e-4) <= 0.002
    assert np.mean(np.abs(coverage - weight) > 1e-4) <= 0.002


def test_far_points_stay_on_their_ray(geometry):
    # The reference's projection drifts to the image centre; all nine points share one ray.
    group = geometry["render_pointcloud"]["far_points_rounding"]
    size, focal, baseline = camera(group)
    points = tensor(group["points"])
    pixels = []
    for i in range(points.shape[2]):
        one = points[..., i : i + 1]
        _, coverage = kernels.render_pointcloud(one, torch.ones(1, 1, 1), size, focal, baseline)
        pixels.append(coverage.argmax().item())
    assert len(set(pixels)) == 1


@pytest.mark.parametrize("name", FILLS)
def test_fill_agrees_with_the_reference(geometry, name, device):
    group = geometry["fill_disocclusion"][name]
    view, depth = tensor(group["input"]), tensor(group["depth"])
    reference = tensor(group["output"])
    filled = kernels.fill_disocclusion(view.to(device), depth.to(device)).cpu()
    known = (depth > 0).expand_as(view)
    assert torch.equal(filled[known], view[known])
    # Where the reference finds no line it leaves the hole; we take the nearest known pixel.
    bridged = ((reference != view).any(1) & (depth <= 0)[:, 0]).numpy()
    same = (filled == reference).all(1).numpy()
    assert same[bridged].sum() >= 0.99 * bridged.sum()
    assert bridged.any() or name == "all_holes"


@pytest.mark.parametrize("name", MASKS)
def test_mask_is_exactly_the_intended_one(geometry, name, device):
    group = geometry["generate_mask"][name]
    points = (tensor(group["points"]) + tensor(group["shift"])).to(device)
    mask = kernels.disocclusion_mask(points, *camera(group)).cpu()
    assert torch.equal(mask, tensor(group["raw_mask_point0_fixed"]))
