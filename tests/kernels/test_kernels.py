"""render_pointcloud, fill_disocclusion, disocclusion_mask, zbuffer: what they promise."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import naive_kernels as naive
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import PATIENCE

import kernels
from kernels import threads

FOCAL, BASELINE = 8.0, 4.0
EXAMPLES = settings(max_examples=40, deadline=None)


def at_pixels(pixels, size, focal_px=FOCAL):
    """Points (1, 3, N) that project onto (x, y) at depth z, given as rows (x, y, z)."""
    x, y, z = torch.tensor(pixels, dtype=torch.float64).reshape(-1, 3).T
    x = (x - (size[1] - 1) / 2) * z / focal_px
    y = (y - (size[0] - 1) / 2) * z / focal_px
    return torch.stack([x, y, z])[None].float()


def plane(size, z, focal_px=FOCAL):
    """Points (1, 3, H * W): one per pixel at depth z, row-major."""
    ys, xs = np.mgrid[: size[0], : size[1]]
    return at_pixels(np.stack([xs, ys, np.full(size, z)], -1).tolist(), size, focal_px)


def random_scene(seed, batch=1, channels=2):
    """Points around and behind the camera, features, size: most land inside the frame."""
    rng = np.random.default_rng(seed)
    size = tuple(int(n) for n in rng.integers(1, 17, 2))
    count = int(rng.integers(0, 200))
    z = rng.choice([1.0, 4.0, 9.0], (batch, 1, count)) * rng.uniform(0.9, 1.1, (batch, 1, count))
    z = z * np.where(rng.random(z.shape) < 0.05, -1, 1)
    across = rng.uniform(-0.6, 0.6, (batch, 2, count)) * np.array(size[::-1])[:, None] * z / FOCAL
    points = np.concatenate([across, z], 1).astype(np.float32)
    features = rng.standard_normal((batch, channels, count)).astype(np.float32)
    return torch.from_numpy(points), torch.from_numpy(features), size


def random_holes(seed, channels=2):
    """A view (1, C, H, W) and a depth map with holes: scattered, in blocks, or nearly all."""
    rng = np.random.default_rng(seed)
    size = tuple(int(n) for n in rng.integers(1, 25, 2))
    depth = rng.choice([1.0, 2.0, 3.0], size)
    depth[rng.random(size) < rng.choice([0.1, 0.5, 0.97])] = 0
    y, x = rng.integers(0, size[0]), rng.integers(0, size[1])
    depth[y : y + 9, x : x + 7] = 0
    view = rng.standard_normal((1, channels, *size)) * (depth > 0)
    return torch.from_numpy(view).float(), torch.from_numpy(depth).float()[None, None]


# Rendering


def test_single_point_lands_on_its_pixel(device):
    points = at_pixels([(3, 1, 5.0)], (4, 6)).to(device)
    view, coverage = kernels.render_pointcloud(
        points, torch.full((1, 1, 1), 7.0, device=device), (4, 6), FOCAL, BASELINE
    )
    expected = torch.zeros(1, 1, 4, 6)
    expected[0, 0, 1, 3] = 1
    assert torch.allclose(coverage.cpu(), expected, atol=1e-6)
    assert torch.allclose(view.cpu(), 7 * expected, atol=1e-5)


def test_point_between_pixels_spreads_bilinearly(device):
    points = at_pixels([(1.25, 0.5, 5.0)], (3, 4)).to(device)
    features = torch.ones(1, 1, 1, device=device)
    _, coverage = kernels.render_pointcloud(points, features, (3, 4), FOCAL, BASELINE)
    expected = torch.tensor([[0, 0.375, 0.125, 0], [0, 0.375, 0.125, 0], [0, 0, 0, 0]])
    assert torch.allclose(coverage[0, 0].cpu(), expected, atol=1e-6)


def test_principal_point_is_the_centre_of_the_pixel_grid():
    points = torch.tensor([[[0.0], [0.0], [3.0]]])
    _, coverage = kernels.render_pointcloud(points, torch.ones(1, 1, 1), (3, 4), FOCAL, BASELINE)
    assert coverage[0, 0, 1].tolist() == [0, 0.5, 0.5, 0]


def test_weights_sum_to_one_inside():
    points = plane((12, 12), 4.0) + torch.tensor([0.2, -0.13, 0.0])[None, :, None]
    _, coverage = kernels.render_pointcloud(points, torch.ones(1, 1, 144), (12, 12), FOCAL, 4.0)
    assert torch.allclose(coverage[0, 0, 1:-1, 1:-1], torch.ones(10, 10), atol=1e-5)


def test_nearer_point_hides_farther(device):
    points = at_pixels([(2, 2, 2.0), (2, 2, 9.0)], (5, 5)).to(device)
    features = torch.tensor([[[1.0, 100.0]]], device=device)
    for order in ([0, 1], [1, 0]):
        view, coverage = kernels.render_pointcloud(
            points[..., order], features[..., order], (5, 5), FOCAL, BASELINE
        )
        assert view[0, 0, 2, 2].item() == pytest.approx(1)
        assert coverage[0, 0, 2, 2].item() == pytest.approx(1)


def test_points_within_the_tolerance_blend():
    points = at_pixels([(2, 2, 4.0), (2, 2, 4.2)], (5, 5))  # disparities 8 and 7.6
    features = torch.tensor([[[1.0, 3.0]]])
    blended, _ = kernels.render_pointcloud(points, features, (5, 5), FOCAL, BASELINE)
    apart, _ = kernels.render_pointcloud(points, features, (5, 5), FOCAL, 3 * BASELINE)
    assert blended[0, 0, 2, 2].item() == pytest.approx(2)
    assert apart[0, 0, 2, 2].item() == pytest.approx(1)


@pytest.mark.parametrize("z", [0.0, -1.0, 0.0009, -0.0])
def test_points_behind_camera_are_dropped(z, device):
    points = torch.tensor([[[0.0], [0.0], [z]]], device=device)
    features = torch.ones(1, 1, 1, device=device)
    view, coverage = kernels.render_pointcloud(points, features, (3, 3), FOCAL, BASELINE)
    assert view.abs().max() == 0 and coverage.max() == 0


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_points_that_are_not_finite_are_dropped(axis, value, device):
    points = plane((4, 4), 3.0)
    points[0, axis, 5] = value
    rest = [i for i in range(16) if i != 5]
    features = torch.arange(16.0)[None, None]
    spoiled = kernels.render_pointcloud(
        points.to(device), features.to(device), (4, 4), FOCAL, BASELINE
    )
    without = kernels.render_pointcloud(
        points[..., rest].to(device), features[..., rest].to(device), (4, 4), FOCAL, BASELINE
    )
    for a, b in zip(spoiled, without, strict=True):
        assert torch.equal(a, b)
    _, coverage = kernels.render_pointcloud(
        points[..., 5:6].to(device), features[..., 5:6].to(device), (4, 4), FOCAL, BASELINE
    )
    # 3e38 along z is finite: on the principal point, very far away, which the plane hid.
    assert coverage.any() == (axis == 2 and value == 3e38)


def test_degrid_closes_one_pixel_cracks():
    front = plane((7, 7), 2.0)
    crack = [i for i in range(49) if i % 7 != 3]
    back = plane((7, 7), 9.0)
    points = torch.cat([front[..., crack], back], 2)
    features = torch.cat([torch.ones(1, 1, len(crack)), torch.full((1, 1, 49), 50.0)], 2)
    raw = kernels.zbuffer(points, (7, 7), FOCAL, BASELINE, degridded=False)
    closed = kernels.zbuffer(points, (7, 7), FOCAL, BASELINE)
    view, coverage = kernels.render_pointcloud(points, features, (7, 7), FOCAL, BASELINE)
    assert raw[0, 0, 3, 3].item() == pytest.approx(32 / 9, rel=1e-5)
    assert closed[0, 0, 3, 3].item() == pytest.approx(16, rel=1e-5)
    assert view.max().item() == pytest.approx(1) and coverage[0, 0, :, 3].max() == 0


def test_point_halfway_between_pixels_counts_for_the_left_upper_one(device):
    points = torch.tensor([[[0.0], [0.0], [2.0]]], device=device)  # at (0.5, 0.5)
    buffer = kernels.zbuffer(points, (2, 2), FOCAL, BASELINE)[0, 0].cpu()
    assert buffer[0, 0] > 0 and buffer.count_nonzero() == 1


def test_degrid_leaves_wider_gaps_open():
    front = plane((7, 7), 2.0)
    gap = [i for i in range(49) if i % 7 not in (3, 4)]
    closed = kernels.zbuffer(front[..., gap], (7, 7), FOCAL, BASELINE)
    assert closed[0, 0, :, 3:5].max() == 0


def test_empty_cloud_gives_empty_view(device):
    view, coverage = kernels.render_pointcloud(
        torch.zeros(2, 3, 0, device=device), torch.zeros(2, 5, 0, device=device), (3, 4), 1.0, 1.0
    )
    assert view.shape == (2, 5, 3, 4) and coverage.shape == (2, 1, 3, 4)
    assert view.abs().max() == 0 and coverage.max() == 0


def test_one_pixel_frame_works(device):
    points = plane((1, 1), 2.0).to(device)
    view, _ = kernels.render_pointcloud(
        points, torch.full((1, 3, 1), 0.5, device=device), (1, 1), FOCAL, BASELINE
    )
    assert view.flatten().tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert kernels.disocclusion_mask(points, (1, 1), FOCAL, BASELINE).item() == 1


def test_coverage_below_the_threshold_counts_as_nothing():
    points = at_pixels([(1.00005, 1, 2.0), (1.0005, 3, 2.0)], (5, 5))
    view, coverage = kernels.render_pointcloud(points, torch.ones(1, 1, 2), (5, 5), FOCAL, 4.0)
    assert coverage[0, 0, 1, 2] == 0 and view[0, 0, 1, 2] == 0
    assert coverage[0, 0, 3, 2] > 0 and view[0, 0, 3, 2].item() == pytest.approx(1)


@EXAMPLES
@given(st.integers(0, 2**32 - 1))
def test_render_matches_naive_loop(seed):
    points, features, size = random_scene(seed, batch=2, channels=1 + seed % 20)
    focal, baseline = [FOCAL, FOCAL * 1.5], [BASELINE, BASELINE / 2]
    view, coverage = kernels.render_pointcloud(
        points, features, size, torch.tensor(focal), torch.tensor(baseline)
    )
    buffers = kernels.zbuffer(points, size, torch.tensor(focal), torch.tensor(baseline))
    for b in range(2):
        cloud = points[b].numpy(), features[b].numpy()
        expected = naive.render_pointcloud(*cloud, size, focal[b], baseline[b])
        closed = naive.degrid(naive.zbuffer(cloud[0], size, focal[b], baseline[b]))
        assert np.allclose(view[b].numpy(), expected[0], atol=1e-4)
        assert np.allclose(coverage[b, 0].numpy(), expected[1], atol=1e-5)
        assert np.allclose(buffers[b, 0].numpy(), closed, rtol=1e-6)


@EXAMPLES
@given(st.integers(0, 2**32 - 1))
def test_render_stays_within_the_range_of_the_features(seed):
    points, features, size = random_scene(seed)
    view, coverage = kernels.render_pointcloud(points, features, size, FOCAL, BASELINE)
    covered = coverage.expand_as(view) > 0
    assert (view[~covered] == 0).all() and (coverage >= 0).all()
    if covered.any():
        assert view[covered].max() <= features.max() + 1e-4
        assert view[covered].min() >= features.min() - 1e-4


@pytest.mark.parametrize("channels", [3, 68])
def test_same_bytes_for_any_number_of_threads(channels, monkeypatch):
    torch.manual_seed(0)
    points = plane((40, 50), 3.0).repeat(3, 1, 1) + 0.4 * torch.randn(3, 3, 2000)
    features = torch.randn(3, channels, 2000)
    pools, results = [], []

    class Pool(ThreadPoolExecutor):
        def __init__(self, workers):
            pools.append(workers)
            super().__init__(workers)

    monkeypatch.setattr("kernels.threads.ThreadPoolExecutor", Pool)
    for count in (1, 2, 3):
        monkeypatch.setenv("OMP_NUM_THREADS", str(count))
        view, _ = kernels.render_pointcloud(points, features, (40, 50), FOCAL, BASELINE)
        results.append(view)
        assert max(pools, default=1) == count, "as many work as are asked for"
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


# Gradient


def test_gradient_is_the_adjoint_of_the_render(device):
    points, features, size = random_scene(5, batch=2, channels=18)
    points, features = points.to(device), features.to(device).requires_grad_()
    view, coverage = kernels.render_pointcloud(points, features, size, FOCAL, BASELINE)
    direction = torch.randn(view.shape, generator=torch.manual_seed(0)).to(device)
    (view * direction).sum().backward()
    moved = torch.randn(features.shape, generator=torch.manual_seed(1)).to(device)
    moved_view, _ = kernels.render_pointcloud(points, moved, size, FOCAL, BASELINE)
    left = (features.grad.double() * moved.double()).sum().item()
    right = (direction.double() * moved_view.double()).sum().item()
    assert left == pytest.approx(right, rel=1e-4) and abs(left) > 1
    assert not coverage.requires_grad


def test_gradient_matches_finite_differences():
    points, features, size = random_scene(11, channels=1)
    points, features = points[..., :20], features[..., :20].clone().requires_grad_()
    target = torch.randn(1, 1, *size, generator=torch.manual_seed(0))

    def loss(values):
        return (kernels.render_pointcloud(points, values, size, FOCAL, BASELINE)[0] * target).sum()

    (gradient,) = torch.autograd.grad(loss(features), features)
    for i in range(20):
        step = torch.zeros_like(features)
        step[0, 0, i] = 0.5
        slope = (loss(features + step) - loss(features - step)).item()
        assert gradient[0, 0, i].item() == pytest.approx(slope, abs=1e-4)
    assert gradient.abs().max() > 0.1


def test_points_get_no_gradient():
    points, features, size = random_scene(3)
    view, _ = kernels.render_pointcloud(points.requires_grad_(), features, size, FOCAL, BASELINE)
    view.sum().backward()
    assert points.grad is None


# Filling


def test_fill_takes_the_farther_side(device):
    depth = torch.tensor([[[[1.0, 1.0, 0.0, 0.0, 2.0, 2.0]]]], device=device)
    view = torch.tensor([[[[5.0, 5.0, 0.0, 0.0, 8.0, 8.0]]]], device=device)
    assert kernels.fill_disocclusion(view, depth)[0, 0, 0].tolist() == [5, 5, 8, 8, 8, 8]
    assert kernels.fill_disocclusion(view, 3 - depth * (3 / 2) * (depth > 0)).shape == view.shape


def test_fill_takes_the_shortest_line(device):
    depth = torch.ones(5, 9, device=device)
    depth[1:4, 1:8] = 0  # three high, seven wide: bridged upwards, not sideways
    depth[4] = 2
    view = torch.arange(45.0, device=device).reshape(5, 9)[None, None] * (depth > 0)
    filled = kernels.fill_disocclusion(view, depth[None, None])
    assert filled[0, 0, 2, 4].item() == view[0, 0, 4, 4].item()


def test_fill_keeps_known_pixels_and_its_input(device):
    view, depth = (tensor.to(device) for tensor in random_holes(4))
    before = view.clone()
    filled = kernels.fill_disocclusion(view, depth)
    known = (depth > 0).expand_as(view)
    assert torch.equal(filled[known], view[known]) and torch.equal(view, before)


def test_hole_at_the_border_takes_the_nearest_known_pixel(device):
    depth = torch.zeros(1, 1, 4, 6, device=device)
    depth[..., 4:] = 1.0
    view = torch.arange(24.0, device=device).reshape(1, 1, 4, 6) * depth
    filled = kernels.fill_disocclusion(view, depth)
    assert torch.equal(filled[..., :5], view[..., 4:5].expand(1, 1, 4, 5))


def test_nothing_known_is_returned_as_it_is(device):
    view = torch.full((2, 3, 4, 5), 0.25, device=device)
    filled = kernels.fill_disocclusion(view, torch.zeros(2, 1, 4, 5, device=device))
    assert torch.equal(filled, view)


def test_depth_that_is_not_a_number_is_a_hole(device):
    depth = torch.tensor([[[[1.0, float("nan"), 1.0]]]], device=device)
    view = torch.tensor([[[[3.0, float("nan"), 3.0]]]], device=device)
    assert kernels.fill_disocclusion(view, depth).flatten().tolist() == [3, 3, 3]


@EXAMPLES
@given(st.integers(0, 2**32 - 1))
def test_fill_matches_naive_loop(seed):
    view, depth = random_holes(seed)
    filled = kernels.fill_disocclusion(view, depth)[0]
    view, depth = view[0], depth[0, 0].numpy()
    for y, x in np.argwhere(depth <= 0):
        source = naive.fill_source(x, y, depth)
        if source is not None:
            choices = {source}
        else:
            choices = naive.nearest_known(x, y, depth > 0)[1] if (depth > 0).any() else {(x, y)}
        values = [view[:, cy, cx].tolist() for cx, cy in choices]
        assert filled[:, y, x].tolist() in values


def test_wide_holes_are_filled_like_narrow_ones():
    # Distances beyond what the map's 8 bits can hold.
    depth = torch.ones(1, 1, 3, 1200)
    depth[..., 1, 100:1100] = 0
    depth[..., [0, 2], :] = 0
    depth[..., 1, 1100:] = 2
    view = torch.arange(1200.0).expand(1, 1, 3, 1200).clone()
    filled = kernels.fill_disocclusion(view, depth)
    assert (filled[0, 0, 1, 100:1100] == 1100).all()


# The mask


def test_mask_matches_drawn_5x5_scene(device):
    # The near column 2 moves one pixel to the right and hides column 3 behind it.
    depth = torch.full((5, 5), 8.0)
    depth[:, 2] = 2.0
    ys, xs = np.mgrid[:5, :5]
    points = at_pixels(np.stack([xs, ys, depth.numpy()], -1).tolist(), (5, 5))
    shift = torch.tensor([2.0 / FOCAL, 0, 0])[None, :, None]  # 1 px at depth 2, 1/4 px at 8
    mask = kernels.disocclusion_mask((points + shift).to(device), (5, 5), FOCAL, BASELINE)
    drawn = torch.tensor([[1.0, 1, 1, 0, 1]]).expand(5, 5)
    assert torch.equal(mask[0, 0].cpu(), drawn)


def test_mask_drops_what_leaves_the_frame_or_lies_behind(device):
    points = plane((2, 3), 4.0)
    points[0, 2, 1] = -4.0
    points[0, 0, 5] = 1e3
    points[0, 2, 0] = float("nan")
    mask = kernels.disocclusion_mask(points.to(device), (2, 3), FOCAL, BASELINE)
    assert mask.flatten().tolist() == [0, 0, 1, 1, 1, 0]


def test_equal_depths_in_the_mask_go_to_the_smaller_index(device):
    points = plane((1, 4), 4.0)
    points[0, :2, 1:3] = points[0, :2, :1]
    mask = kernels.disocclusion_mask(points.to(device), (1, 4), FOCAL, BASELINE)
    assert mask.flatten().tolist() == [1, 0, 0, 1]


@EXAMPLES
@given(st.integers(0, 2**32 - 1))
def test_mask_matches_naive_loop(seed):
    rng = np.random.default_rng(seed)
    size = tuple(int(n) for n in rng.integers(1, 12, 2))
    depth = rng.choice([2.0, 5.0, 5.0004], size) + rng.choice([0.0, 0.3], size)
    ys, xs = np.mgrid[: size[0], : size[1]]
    points = at_pixels(np.stack([xs, ys, depth], -1).tolist(), size)
    points += torch.from_numpy(rng.uniform(-1, 1, (1, 3, 1))).float()
    mask = kernels.disocclusion_mask(points, size, FOCAL, BASELINE)
    expected = naive.disocclusion_mask(points[0].numpy(), size, FOCAL, BASELINE)
    assert np.array_equal(mask[0, 0].numpy(), expected)


# Wrong arguments, dispatch, installation

GOOD = {"points": torch.zeros(2, 3, 4), "features": torch.zeros(2, 1, 4)}
VIEW = {"view": torch.zeros(2, 1, 3, 4), "depth": torch.zeros(2, 1, 3, 4)}


@pytest.mark.parametrize(
    ("operator", "changes", "names"),
    [
        ("render_pointcloud", {"points": torch.zeros(2, 4, 3)}, ["(B, 3, N)", "(2, 4, 3)"]),
        ("render_pointcloud", {"points": torch.zeros(3, 4)}, ["points", "(B, 3, N)", "(3, 4)"]),
        ("render_pointcloud", {"points": np.zeros((2, 3, 4))}, ["points", "tensor", "ndarray"]),
        ("render_pointcloud", {"features": torch.zeros(2, 1, 5)}, ["features", "points", "4", "5"]),
        ("render_pointcloud", {"features": torch.zeros(1, 1, 4)}, ["features", "clouds", "2", "1"]),
        ("render_pointcloud", {"features": torch.zeros(2, 1, 4).double()}, ["features", "float64"]),
        ("render_pointcloud", {"size": (3, 0)}, ["size", "(3, 0)"]),
        ("render_pointcloud", {"size": 5}, ["size", "(height, width)", "5"]),
        ("render_pointcloud", {"focal_px": 0.0}, ["focal_px", "positive", "0.0"]),
        ("render_pointcloud", {"focal_px": float("nan")}, ["focal_px", "nan"]),
        ("render_pointcloud", {"baseline": torch.ones(3)}, ["baseline", "(2,)", "3"]),
        ("zbuffer", {"points": torch.zeros(2, 2, 4)}, ["points", "(2, 2, 4)"]),
        ("disocclusion_mask", {"size": (3, 4)}, ["points", "12", "4"]),
        ("fill_disocclusion", {"depth": torch.zeros(2, 1, 4, 3)}, ["depth", "(2, 1, 3, 4)"]),
        ("fill_disocclusion", {"depth": torch.zeros(2, 3, 4)}, ["depth", "(2, 3, 4)"]),
        ("fill_disocclusion", {"view": torch.zeros(2, 1, 3, 4).int()}, ["view", "int32"]),
        ("fill_disocclusion", {"depth": torch.zeros(2, 1, 3, 4, device="meta")}, ["depth", "meta"]),
    ],
)
def test_wrong_argument_is_named_with_wanted_and_got(operator, changes, names):
    camera = {"size": (2, 2), "focal_px": 1.0, "baseline": 1.0}
    arguments = VIEW if operator == "fill_disocclusion" else {**GOOD, **camera}
    if operator in ("zbuffer", "disocclusion_mask"):
        arguments = {k: v for k, v in arguments.items() if k != "features"}
    with pytest.raises(ValueError) as error:
        getattr(kernels, operator)(**{**arguments, **changes})
    for part in names:
        assert part in str(error.value)


def test_camera_tensors_give_each_sample_its_own_camera():
    points, features, size = random_scene(8, batch=3)
    focal, baseline = torch.tensor([4.0, 8.0, 12.0]), torch.tensor([1.0, 4.0, 40.0])
    together = kernels.render_pointcloud(points, features, size, focal, baseline)
    for b in range(3):
        alone = kernels.render_pointcloud(
            points[b : b + 1], features[b : b + 1], size, focal[b].item(), baseline[b].item()
        )
        assert torch.equal(together[0][b], alone[0][0])
        assert torch.equal(together[1][b], alone[1][0])


class OnCard(torch.Tensor):
    """Stands in for a tensor on a CUDA device: it says that it is one."""

    is_cuda = True


def plain_splat(points, features, size, *_):
    planes = torch.zeros(len(points), features.shape[1] + 1, *size)
    return planes[:, 1:], planes[:, :1], ()


STAND_INS = {
    "splat": plain_splat,
    "zbuffer": lambda points, **_: points,
    "disocclusion_mask": lambda points, **_: points,
    "fill_disocclusion": lambda view, depth: view,
    "render_frame": lambda cloud, *_: (cloud.colors, cloud.colors),
}
CALLS = {
    "splat": lambda t: kernels.render_pointcloud(t(1, 3, 4), t(1, 2, 4), (2, 2), 1.0, 1.0),
    "zbuffer": lambda t: kernels.zbuffer(t(1, 3, 4), (2, 2), 1.0, 1.0),
    "disocclusion_mask": lambda t: kernels.disocclusion_mask(t(1, 3, 4), (2, 2), 1.0, 1.0),
    "fill_disocclusion": lambda t: kernels.fill_disocclusion(t(1, 2, 2, 2), t(1, 1, 2, 2)),
    "render_frame": lambda t: kernels.render_frame(
        kernels.Cloud(t(3, 4), t(4, 3, dtype=torch.uint8)),
        kernels.View((0, 0, 0), (2, 2), 1.0, 1.0),
    ),
}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("name", CALLS)
def test_dispatch_follows_device(name, device, monkeypatch):
    import kernels.cpu
    import kernels.cpu_frame
    import kernels.cuda

    called = []

    def stand_in(place):
        return lambda *given, **options: called.append(place) or STAND_INS[name](*given, **options)

    at_home = kernels.cpu_frame if name == "render_frame" else kernels.cpu
    monkeypatch.setattr(at_home, name, stand_in("cpu"))
    monkeypatch.setattr(kernels.cuda, name, stand_in("cuda"))

    def tensor(*shape, dtype=torch.float32):
        here = torch.zeros(shape, dtype=dtype)
        return here.as_subclass(OnCard) if device == "cuda" else here

    CALLS[name](tensor)
    assert called == [device]


def run_python(code, **environment):
    """Run code in a fresh interpreter at the root of the project."""
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=environment.pop("cwd", root),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_import_needs_neither_cuda_nor_compiler():
    done = run_python(
        "import sys, kernels; print([m for m in ('cupy', 'numba') if m in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("writable", [False, True])
def test_kernels_work_where_their_folder_cannot_be_written(tmp_path, writable):
    """What is compiled goes into the user's cache folder, or nowhere."""
    package = Path(kernels.__file__).parent
    (tmp_path / "kernels").mkdir()
    for source in package.glob("*.py"):
        (tmp_path / "kernels" / source.name).write_text(source.read_text())
    (tmp_path / "kernels" / "__pycache__").write_text("not a folder")
    home = tmp_path / "home"
    home.mkdir() if writable else home.write_text("not a folder")
    done = run_python(
        "import torch, kernels\n"
        "print(round(kernels.zbuffer(torch.ones(1, 3, 1), (3, 3), 1., 4.).max().item(), 3))",
        cwd=tmp_path,
        HOME=str(home),
        XDG_CACHE_HOME=str(home),
        NUMBA_CACHE_DIR="",
    )
    assert done.stdout.strip() == "4.0", done.stderr
    assert any(home.rglob("*.nbc")) == writable


def test_rendering_threads_share_an_eighth_of_the_memory(monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.setattr(threads, "MEMORY_LIMIT", tmp_path / "memory.max")
    threads.MEMORY_LIMIT.write_text(f"{2**30}\n")
    cpu, large = torch.device("cpu"), (2160, 3840)
    assert threads.memory_bytes() == 2**30
    assert threads.render_threads(cpu, large) == 1  # even if one alone takes more
    assert 1 < threads.render_threads(cpu, (768, 1024)) < 64
    assert threads.render_threads(cpu, (96, 128)) == 64
    assert threads.render_threads(torch.device("cuda"), (96, 128)) == 1
    threads.MEMORY_LIMIT.write_text("max\n")
    assert threads.memory_bytes() > 2**30


def test_implementation_can_be_chosen(monkeypatch):
    points, features, size = random_scene(0)
    camera = size, FOCAL, BASELINE
    views = [kernels.render_pointcloud(points, features, *camera, impl=i)[0] for i in (None, "cpu")]
    assert torch.equal(*views)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for impl, message in (("cuda", "no CUDA device"), ("gpu", "must be .* got 'gpu'")):
        with pytest.raises(ValueError, match=message):
            kernels.zbuffer(points, *camera, impl=impl)
        with pytest.raises(ValueError, match=message):
            kernels.render_frame(
                kernels.Cloud(points[0].numpy(), np.zeros((points.shape[2], 3), np.uint8)),
                kernels.View((0, 0, 0), size, FOCAL, 1280.0),
                impl=impl,
            )
