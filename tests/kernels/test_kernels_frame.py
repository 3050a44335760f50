"""render_frame, the film's fast path, against the separate operators and against drawn scenes."""

from concurrent.futures import ThreadPoolExecutor

import naive_kernels as naive
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import kernels
from kernels import Cloud, View, cpu_frame
from kernels.threads import FRAME_BYTES

FOCAL, SCALE = 64.0, 64.0 * 20
EXAMPLES = settings(max_examples=25, deadline=None)


def lift(depth, focal_px=FOCAL):
    """Points (3, H * W) and spacing (H * W,) of a depth map, row-major."""
    height, width = depth.shape
    ys, xs = np.mgrid[:height, :width]
    x, y = (xs - (width - 1) / 2) * depth / focal_px, (ys - (height - 1) / 2) * depth / focal_px
    points = np.stack([x, y, depth]).reshape(3, -1).astype(np.float32)
    return points, (depth / focal_px).reshape(-1).astype(np.float32)


def plane(size, depth=40.0):
    return lift(np.full(size, depth))


def layers(seed, size=(48, 64)):
    """A smooth background with nearer boxes, and a smooth colour picture (N, 3)."""
    rng = np.random.default_rng(seed)
    depth = 60 + 10 * np.sin(np.arange(size[1]) / 9) * np.ones(size)
    for _ in range(3):
        y, x = rng.integers(0, size[0] - 12), rng.integers(0, size[1] - 12)
        depth[y : y + 12, x : x + 12] = rng.uniform(15, 40)
    points, spacing = lift(depth)
    return points, smooth_colors(size), spacing


def smooth_colors(size):
    ys, xs = np.mgrid[: size[0], : size[1]]
    waves = [np.sin(xs / 5), np.cos(ys / 6), np.sin((xs + ys) / 7)]
    return (127.5 + 120 * np.stack(waves, -1)).round().astype(np.uint8).reshape(-1, 3)


def frame_of(points, colors, shift=(0, 0, 0), size=(48, 64), focal=FOCAL, spacing=None, fill=True):
    return kernels.render_frame(
        Cloud(points, colors, spacing), View(shift, size, focal, SCALE), fill
    )


def on_gpu(*arrays):
    return [torch.from_numpy(array).cuda() for array in arrays]


def assembled(points, colors, shift, size, fill):
    """The same frame from the separate operators, before rounding."""
    moved = torch.from_numpy(points)[None] + torch.tensor(shift)[None, :, None]
    features = torch.from_numpy(colors.T.astype(np.float32))[None].contiguous()
    camera = size, FOCAL, SCALE / FOCAL
    view, coverage = kernels.render_pointcloud(moved, features, *camera)
    if fill:
        disparity = kernels.zbuffer(moved, *camera)
        around = torch.nn.functional.max_pool2d(disparity, 3, 1, 1)
        disparity = torch.where(disparity > 0, disparity, around)
        depth = torch.where(coverage > 0, SCALE / disparity, 0)
        view = kernels.fill_disocclusion(view, depth)
    return view[0].permute(1, 2, 0).numpy(), coverage[0, 0].numpy() == 0


@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_frame_equals_the_separate_operators(seed, fill):
    points, colors, _ = layers(seed)
    shift = np.random.default_rng(seed).uniform(2, 5, 3).astype(np.float32)
    frame, holes = frame_of(points, colors, shift, fill=fill)
    expected, expected_holes = assembled(points, colors, shift, (48, 64), fill)
    assert np.mean(holes != expected_holes) <= 0.001
    # A hole whose ends are about equally far may be filled from either.
    assert np.mean(np.abs(frame - expected) > 1) <= (0.01 if fill else 0.002)
    assert holes.any() and frame.dtype == np.uint8 and holes.dtype == bool


def test_resting_camera_reproduces_the_photo():
    points, colors, spacing = layers(0)
    for surfels in (None, spacing):
        frame, holes = frame_of(points, colors, spacing=surfels)
        assert np.array_equal(frame.reshape(-1, 3), colors) and not holes.any()


def test_values_are_rounded_not_truncated():
    points, _ = plane((1, 2))
    colors = np.array([[10, 0, 200], [11, 255, 201]], np.uint8)
    frame, _ = frame_of(points, colors, (-0.25 * 40 / FOCAL, 0, 0), (1, 2))
    assert frame[0, 0].tolist() == [10, 64, 200]  # 10.25, 63.75, 200.25
    frame, _ = frame_of(points, colors, (-0.75 * 40 / FOCAL, 0, 0), (1, 2))
    assert frame[0, 0].tolist() == [11, 191, 201]  # 10.75, 191.25, 200.75


@EXAMPLES
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_order_of_the_points_does_not_matter(seed, grown):
    points, colors, spacing = layers(seed)
    shift = (1.5, -1.0, -8.0)
    order = np.random.default_rng(seed).permutation(len(colors))
    one = frame_of(points, colors, shift, spacing=spacing if grown else None)
    other = frame_of(
        np.ascontiguousarray(points[:, order]),
        colors[order],
        shift,
        spacing=spacing[order] if grown else None,
    )
    assert np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])


def test_same_bytes_from_any_number_of_threads():
    points, colors, spacing = layers(1)
    shifts = [(0.2 * t, -0.1 * t, -0.4 * t) for t in range(12)]

    def film(workers):
        with ThreadPoolExecutor(workers) as pool:
            frames = pool.map(lambda s: frame_of(points, colors, s, spacing=spacing)[0], shifts)
            return np.stack(list(frames))

    one = film(1)
    assert np.array_equal(one, film(2)) and np.array_equal(one, film(5))


def test_one_thread_may_change_the_size_between_frames():
    points, colors, _ = layers(2)
    first, _ = frame_of(points, colors, (2, 0, 0))
    frame_of(points, colors, (2, 0, 0), size=(20, 30))
    again, _ = frame_of(points, colors, (2, 0, 0))
    assert np.array_equal(first, again)


def upsampled(image, zoom, size):
    """Bilinear enlargement about the centre, positions clamped to the picture."""
    height, width = image.shape[:2]
    ys, xs = np.mgrid[: size[0], : size[1]]
    y = ((ys - (size[0] - 1) / 2) / zoom + (height - 1) / 2).clip(0, height - 1.001)
    x = ((xs - (size[1] - 1) / 2) / zoom + (width - 1) / 2).clip(0, width - 1.001)
    top, left = y.astype(int), x.astype(int)
    down, right = (y - top)[..., None], (x - left)[..., None]
    upper = image[top, left] * (1 - right) + image[top, left + 1] * right
    lower = image[top + 1, left] * (1 - right) + image[top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


@pytest.mark.parametrize("zoom", [1.4, 2.0, 3.3, 7.0])
def test_magnified_plane_has_no_holes_and_equals_bilinear_upsampling(zoom):
    points, spacing = plane((48, 64))
    colors = smooth_colors((48, 64))
    frame, holes = frame_of(points, colors, (0, 0, 40 / zoom - 40), spacing=spacing)
    assert not holes.any()
    error = np.abs(frame - upsampled(colors.reshape(48, 64, 3).astype(float), zoom, (48, 64)))
    assert error.max() <= 2 and error.mean() <= 0.4
    if zoom > 3:
        assert frame_of(points, colors, (0, 0, 40 / zoom - 40))[1].any()  # without spacing


@pytest.mark.parametrize("zoom", [1.1, 1.24, 1.26, 1.5, 2.0, 3.3])
def test_no_background_shines_through_a_magnified_surface(zoom):
    front, front_spacing = plane((48, 64), 20.0)
    back, back_spacing = plane((48, 64), 80.0)
    points = np.concatenate([back, front], 1)
    spacing = np.concatenate([back_spacing, front_spacing])
    colors = np.concatenate([np.zeros((48 * 64, 3)), np.full((48 * 64, 3), 255)]).astype(np.uint8)
    for offset in (0.0, 0.11):
        shift = (offset, -offset, 20 / zoom - 20)
        frame, holes = frame_of(points, colors, shift, spacing=spacing)
        assert frame.min() == 255 and not holes.any()


def test_film_twice_the_size_of_the_photo_shows_no_cracks():
    points, colors, spacing = layers(5)
    shift = (1.0, 0.5, -3.0)
    frame, holes = frame_of(points, colors, shift, (96, 128), 2 * FOCAL, spacing)
    small, small_holes = frame_of(points, colors, shift, spacing=spacing)
    assert holes.mean() <= 1.15 * small_holes.mean() + 0.005
    assert frame_of(points, colors, shift, (96, 128), 2 * FOCAL)[1].mean() > 2 * holes.mean()
    shrunk = frame.reshape(48, 2, 64, 2, 3).mean((1, 3))
    both = ~small_holes & ~holes.reshape(48, 2, 64, 2).any((1, 3))
    assert np.mean(np.abs(shrunk - small)[both]) < 4


def test_hole_is_filled_from_the_farther_side():
    depth = np.full((20, 40), 60.0)
    depth[:, 15:25] = 15.0
    points, _ = lift(depth)
    colors = np.where(depth.reshape(-1, 1) < 20, [255, 0, 0], [0, 0, 255]).astype(np.uint8)
    frame, holes = frame_of(points, colors, (2.0, 0, 0), (20, 40))
    inner = holes.copy()
    inner[:, :3] = False
    assert inner.sum() > 60
    assert (frame[inner] == [0, 0, 255]).all()


def test_unfilled_holes_stay_black():
    points, colors, _ = layers(7)
    frame, holes = frame_of(points, colors, (4, 0, 0), fill=False)
    assert holes.any() and (frame[holes] == 0).all()


def test_empty_cloud_gives_black_frame_of_holes():
    frame, holes = frame_of(np.zeros((3, 0), np.float32), np.zeros((0, 3), np.uint8))
    assert frame.max() == 0 and holes.all()


def test_one_pixel_frame_works():
    points = np.array([[0.0], [0.0], [5.0]], np.float32)
    frame, holes = frame_of(points, np.array([[1, 2, 3]], np.uint8), size=(1, 1))
    assert frame.tolist() == [[[1, 2, 3]]] and not holes.any()


@pytest.mark.parametrize("grown", [False, True])
def test_points_that_are_not_finite_or_behind_are_dropped(grown):
    points, colors, spacing = layers(8)
    wild, wild_colors = points.copy(), colors.copy()
    for i, value in enumerate([np.nan, np.inf, -np.inf, 3e38, -3e38, 0.0005, 0.0, -5.0]):
        wild[:, 3 * i + 40], wild[2, 3 * i + 41] = value, value
        wild[i % 2, 3 * i + 42] = value if not np.isfinite(value) else 1e30
    changed = (wild != points).any(0)
    wild_colors[changed] = 255
    spacing = spacing if grown else None
    rest = np.ascontiguousarray(points[:, ~changed])
    kept = spacing[~changed] if grown else None
    finite_far = wild[2] == np.float32(3e38)  # lies in front, infinitely far away: legal
    wild[2, finite_far] = -1
    frame, holes = frame_of(wild, wild_colors, spacing=spacing)
    expected, expected_holes = frame_of(rest, colors[~changed], spacing=kept)
    assert np.array_equal(frame, expected) and np.array_equal(holes, expected_holes)


def test_spacing_that_is_not_finite_does_no_harm():
    points, colors, spacing = layers(9)
    spacing[::7] = np.nan
    spacing[1::7] = np.inf
    spacing[2::7] = -1
    frame, _ = frame_of(points, colors, (0, 0, -5), spacing=spacing)
    assert frame.shape == (48, 64, 3)


def test_points_right_before_the_camera_do_not_take_forever():
    points, colors, spacing = layers(10)
    points[2, :500] = np.linspace(0.0011, 0.1, 500)
    points[:2, :500] *= 1e-3
    frame, holes = frame_of(points, colors, spacing=spacing)
    assert frame.shape == (48, 64, 3) and not holes.any()


def crowd(count=100_000, size=(3, 4)):
    """Points (3, count) that all fall between two pixels of a small frame, colours of 0 to 255."""
    points = np.zeros((3, count), np.float32)
    points[2] = 5
    colors = np.zeros((count, 3), np.uint8)
    colors[: count // 4] = [255, 128, 0]
    colors[count // 2 :] = [255, 0, 9]
    return points, colors, np.full(count, 5 / FOCAL, np.float32)


@pytest.mark.parametrize("count", [255, 256, 258, 700, 100_000])
@pytest.mark.parametrize("width", [1, 3])
def test_every_point_of_a_crowd_counts(count, width):
    points, colors, spacing = crowd(count)
    spacing *= width
    expected = colors.mean(0)
    for order in (np.arange(count), np.arange(count)[::-1]):
        cloud = np.ascontiguousarray(points[:, order]), np.ascontiguousarray(colors[order])
        frame, holes = frame_of(*cloud, size=(3, 3), spacing=spacing)
        assert np.abs(frame[1, 1] - expected).max() < 0.51 and not holes[1, 1]
    sparse, _ = frame_of(cloud[0][:, :1], cloud[1][:1], size=(3, 3))
    assert sparse[1, 1].tolist() == cloud[1][0].tolist()  # nothing of the crowd is left over


def test_order_of_a_crowd_that_spills_into_four_pixels_does_not_matter():
    rng = np.random.default_rng(4)
    points, _, spacing = crowd(5000)
    points[:2] += rng.uniform(-0.1, 0.1, (2, 5000)).astype(np.float32)
    colors = rng.integers(0, 256, (5000, 3)).astype(np.uint8)
    order = rng.permutation(5000)
    one, _ = frame_of(points, colors, size=(6, 6), spacing=spacing)
    points, colors = np.ascontiguousarray(points[:, order]), colors[order]
    other, _ = frame_of(points, colors, size=(6, 6), spacing=spacing)
    assert np.array_equal(one, other) and np.abs(one[2:4, 2:4] - 127.5).max() < 10


def test_shifted_lens_shifts_the_picture():
    points, colors, spacing = layers(2)
    cloud, view = Cloud(points, colors, spacing), View((1.0, 2.0, -9.0), (48, 64), FOCAL, SCALE)
    frame, holes = kernels.render_frame(cloud, view, False)
    moved, uncovered = kernels.render_frame(cloud, view._replace(lens=(7, -4)), False)
    assert np.abs(moved[1:-5, 8:-1].astype(int) - frame[5:-1, 1:-8]).max() <= 1
    assert (uncovered[1:-5, 8:-1] == holes[5:-1, 1:-8]).all()


# -- rims ---------------------------------------------------------------------------------------


def rim_layer(seed, size=(48, 64)):
    """Rim points here and there, before, in and behind the surfaces of `layers`."""
    rng = np.random.default_rng(seed + 100)
    points, _, spacing = layers(seed, size)
    chosen = rng.choice(points.shape[1], 300, replace=False)
    nearer = rng.choice([0.8, 0.97, 1.0, 1.2], 300).astype(np.float32)
    colors = rng.integers(0, 256, (300, 4)).astype(np.uint8)
    colors[:, 3] = rng.choice([0, 60, 200, 254, 255], 300)
    return [np.ascontiguousarray(points[:, chosen] * nearer), colors, spacing[chosen] * nearer]


def half_covered(alpha=127, size=(12, 16)):
    """A blue wall, and a red rim one point wide before it, in the middle of every row."""
    points, spacing = plane(size, 80.0)
    colors = np.tile(np.uint8([[0, 0, 200]]), (points.shape[1], 1))
    rims = lift(np.full(size, 20.0))
    column = np.arange(points.shape[1]) % size[1]
    alphas = np.where(column == 8, alpha, 0)
    rim_colors = np.column_stack([np.tile(np.uint8([[200, 0, 0]]), (len(column), 1)), alphas])
    near = abs(column - 8) <= 1
    return (points, colors, spacing), [
        np.ascontiguousarray(rims[0][:, near]),
        rim_colors[near].astype(np.uint8),
        rims[1][near],
    ]


def with_rims(cloud, rims, shift=(0, 0, 0), size=(12, 16), focal=FOCAL, fill=True):
    return kernels.render_frame(Cloud(*cloud), View(shift, size, focal, SCALE), fill, rims)


def test_half_a_rim_is_half_seen():
    frame, holes = with_rims(*half_covered())
    assert (frame[:, 8] == [100, 0, 100]).all() and not holes.any()
    assert (frame[:, :8] == [0, 0, 200]).all() and (frame[:, 9:] == [0, 0, 200]).all()


@pytest.mark.parametrize("part", [0.25, 0.5])
def test_rim_moves_by_parts_of_a_pixel(part):
    frame, _ = with_rims(*half_covered(254), shift=(part * 20 / FOCAL, 0, 0))
    inner = frame[2:-2].astype(int)
    assert np.abs(inner[:, 8] - [200 * (1 - part), 0, 200 * part]).max() <= 1
    assert np.abs(inner[:, 9] - [200 * part, 0, 200 * (1 - part)]).max() <= 1


@pytest.mark.parametrize("zoom", [0.7, 1.0, 1.2, 1.9, 4.0])
def test_magnified_rim_keeps_its_share(zoom):
    """A pixel's width of red before blue stays one, scaled, whatever the magnification.

    Made smaller, what lies outside the rim's own points is less than a pixel away, and it grows.
    """
    size = (round(12 * zoom), round(16 * zoom))
    frame, _ = with_rims(*half_covered(254), size=size, focal=zoom * FOCAL)
    rows = frame[size[0] // 3 : -(size[0] // 3)].astype(float)
    assert rows[..., 0].sum(1).mean() / 200 == pytest.approx(zoom, rel=0.06 if zoom >= 1 else 0.12)
    assert np.abs(rows[..., 0] + rows[..., 2] - 200).max() <= 1


def test_rim_behind_a_surface_is_hidden():
    cloud, rims = half_covered()
    rims[0] = rims[0] * 5
    rims[2] = rims[2] * 5
    assert np.array_equal(with_rims(cloud, rims)[0], with_rims(cloud, None)[0])


def test_rim_over_a_hole_is_laid_on_what_fills_it():
    (points, colors, spacing), rims = half_covered(191)
    kept = np.arange(points.shape[1]) % 16 < 6
    kept |= np.arange(points.shape[1]) % 16 > 10
    cloud = np.ascontiguousarray(points[:, kept]), colors[kept], spacing[kept]
    frame, holes = with_rims(cloud, rims)
    assert (frame[:, 8] == [150, 0, 50]).all()
    assert holes[:, 6:11].tolist() == [[True, True, False, True, True]] * 12
    empty, _ = with_rims(cloud, rims, fill=False)
    assert (empty[:, 8] == [150, 0, 0]).all() and (empty[:, 7] == 0).all()


def test_rim_of_the_surface_that_is_seen_takes_part_in_it():
    """Where the cloud lacks a point, the rim's full one fills in: no seam, no pixel twice."""
    points, spacing = plane((6, 9), 20.0)
    colors = np.arange(9).repeat(3).reshape(9, 3)[np.arange(54) % 9].astype(np.uint8) * 20
    lacking = np.arange(54) % 9 < 5
    rim_colors = np.column_stack([colors, np.where(lacking, 255, 254)]).astype(np.uint8)
    ring = (np.arange(54) % 9 >= 4) & (np.arange(54) % 9 <= 5)
    cloud = np.ascontiguousarray(points[:, lacking]), colors[lacking], spacing[lacking]
    rims = [np.ascontiguousarray(points[:, ring]), rim_colors[ring], spacing[ring]]
    shift = (-0.4 * 20 / FOCAL, 0, 0)
    frame, _ = with_rims(cloud, rims, shift, (6, 9))
    whole, _ = with_rims((points, colors, spacing), None, shift, (6, 9))
    assert np.abs(frame[:, 1:5].astype(int) - whole[:, 1:5]).max() <= 1


@pytest.mark.parametrize("zoom", [0.8, 1.0, 2.3])
@pytest.mark.parametrize("seed", range(3))
def test_rims_equal_the_plain_loop(seed, zoom):
    size = (24, 32)
    points, spacing = plane(size, 60.0)
    colors = smooth_colors(size)
    rims = rim_layer(seed, size)
    rims[0] *= 0.8
    shift = np.float32([0.7, -0.4, -2.0])
    plain, _ = with_rims((points, colors, spacing), None, shift, size, zoom * FOCAL)
    opaque = np.full(size, SCALE / 58.0)
    moved = [rims[0] + shift[:, None], *rims[1:]]
    near = moved[0][2] < 50
    moved = [moved[0][:, near].astype(float), moved[1][near], moved[2][near]]
    rims = [np.ascontiguousarray(rims[0][:, near]), rims[1][near], rims[2][near]]
    expected = naive.lay_rims(plain.astype(float), opaque, moved, size, zoom * FOCAL, SCALE)
    frame, _ = with_rims((points, colors, spacing), rims, shift, size, zoom * FOCAL)
    assert (frame != plain).any()
    assert np.abs(frame - expected).max() < 1 and np.abs(frame - expected).mean() < 0.26


def test_frame_without_rims_follows_one_with_them():
    """The layer is cleared after every frame."""
    cloud, rims = half_covered()
    first, _ = with_rims(cloud, rims)
    assert (with_rims(cloud, None)[0] == [0, 0, 200]).all()
    assert np.array_equal(first, with_rims(cloud, rims)[0])


@pytest.mark.parametrize("depth", [20, 80])
def test_every_rim_point_of_a_crowd_counts(depth):
    """Before the wall, as a layer of its own, and in it."""
    cloud, _ = half_covered()
    points, colors, spacing = crowd()
    points[2] = depth
    rims = [points, np.column_stack([colors, np.full(len(colors), 254, np.uint8)]), spacing]
    frame, _ = with_rims(cloud, rims, size=(13, 17))
    assert np.abs(frame[6, 8] - colors.mean(0)).max() < 0.51


def test_same_bytes_of_rims_from_any_number_of_threads():
    points, colors, spacing = layers(1)
    rims = rim_layer(1)
    shifts = [(0.2 * t, -0.1 * t, -0.4 * t) for t in range(12)]

    def film(workers):
        with ThreadPoolExecutor(workers) as pool:
            cloud = points, colors, spacing
            return list(
                pool.map(lambda s: with_rims(cloud, rims, s, (48, 64))[0].tobytes(), shifts)
            )

    one = film(1)
    assert one == film(2) == film(5)


# -- numbers ------------------------------------------------------------------------------------


def bytes_of(numbers):
    """Numbers of 24 bits as colours (N, 3), and the way back."""
    return np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], -1).astype(np.uint8)


def numbers_of(frame):
    return frame.astype(np.int64) @ (65536, 256, 1)


def numbered(points, numbers, shift=(0, 0, 0), size=(48, 64), spacing=None, rims=None):
    cloud, view = Cloud(points, bytes_of(numbers), spacing), View(shift, size, FOCAL, SCALE)
    frame, holes = kernels.render_frame(cloud, view, rims=rims, numbers=True)
    return numbers_of(frame), holes


def test_numbers_are_averaged_across_their_bytes():
    points, _ = plane((1, 2))
    numbers = np.array([0x00FFFF, 0x010003])  # no byte's own mean is that of their mean's
    shown, _ = numbered(points, numbers, (-0.5 * 40 / FOCAL, 0, 0), (1, 2))
    assert shown[0, 0] == 0x010001
    shown, _ = numbered(points, np.array([0, 0xFFFFFC]), (-0.25 * 40 / FOCAL, 0, 0), (1, 2))
    assert shown[0, 0] == 0x3FFFFF


@pytest.mark.parametrize("count", [255, 700, 100_000])
def test_numbers_of_a_crowd_are_averaged_too(count):
    points, _, spacing = crowd(count)
    numbers = np.random.default_rng(1).integers(0, 2**24, count)
    for _ in range(2):  # nothing of the first frame is left over
        shown, holes = numbered(points, numbers, size=(3, 3), spacing=spacing)
        assert abs(shown[1, 1] - numbers.mean()) <= 0.5 and not holes[1, 1]


def test_numbers_lie_where_the_frame_has_its_colours():
    """Holes are the frame's own; what fills them is the number of what fills the frame's."""
    points, colors, spacing = layers(5)
    shift = (4.0, -1.0, -12.0)
    for surfels in (None, spacing):
        frame, holes = frame_of(points, colors, shift, spacing=surfels)
        grey = colors[:, 0].astype(np.int64)
        shown, uncovered = numbered(points, grey, shift, spacing=surfels)
        assert np.array_equal(uncovered, holes) and holes.any()
        assert np.abs(shown - frame[..., 0]).max() <= 1


@pytest.mark.parametrize(("alpha", "hides"), [(60, False), (126, False), (127, True), (254, True)])
def test_rim_of_half_hides_what_is_behind_it_and_less_shows_nothing(alpha, hides):
    (points, _, spacing), rims = half_covered(alpha)
    behind, before = 0x123456, 0xABCDEF
    rims[1][:, :3] = bytes_of(np.full(len(rims[1]), before))
    numbers = np.full(points.shape[1], behind)
    shown, _ = numbered(points, numbers, size=(12, 16), spacing=spacing, rims=rims)
    assert (shown[:, 8] == (before if hides else behind)).all()
    assert (np.delete(shown, 8, 1) == behind).all()
    plain, _ = numbered(points, numbers, size=(12, 16), spacing=spacing)
    assert (plain == behind).all()  # the layer was cleared


def test_wrong_rims_are_named():
    cloud, (points, colors, spacing) = half_covered()
    for rims, name in (
        ((points[:2], colors, spacing), r"rims' points must be \(3, N\)"),
        ((points, colors[:, :3], spacing), r"rims' colors must be \(N, 4\) uint8"),
        ((points, colors, spacing[1:]), r"rims' spacing must be \(N\)"),
        ((points, colors), "rims must be points, colors and spacing"),
    ):
        with pytest.raises(ValueError, match=name):
            with_rims(cloud, rims)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"points": np.zeros((4, 3), np.float32)}, ["points", "(3, N)", "(4, 3)"]),
        ({"points": np.zeros((3, 4))}, ["points", "float32", "float64"]),
        ({"colors": np.zeros((5, 3), np.uint8)}, ["colors", "N = 4", "(5, 3)"]),
        ({"colors": np.zeros((4, 3), np.float32)}, ["colors", "uint8", "float32"]),
        ({"spacing": np.zeros(3, np.float32)}, ["spacing", "N = 4", "(3,)"]),
        ({"shift": (1, 2)}, ["shift", "three"]),
        ({"shift": (1, 2, float("nan"))}, ["shift", "nan"]),
        ({"lens": (1, 2, 3)}, ["lens", "two"]),
        ({"lens": (1, float("inf"))}, ["lens", "inf"]),
        ({"size": (0, 4)}, ["size", "(0, 4)"]),
        ({"focal_px": -2.0}, ["focal_px", "-2.0"]),
        ({"disparity_scale": 0}, ["disparity_scale", "0"]),
    ],
)
def test_wrong_argument_is_named_with_wanted_and_got(changes, names):
    cloud = Cloud(np.zeros((3, 4), np.float32), np.zeros((4, 3), np.uint8))
    view = View((0, 0, 0), (2, 2), 1.0, 1.0)
    cloud, view = (
        part._replace(**{name: changes[name] for name in changes if name in part._fields})
        for part in (cloud, view)
    )
    with pytest.raises(ValueError) as error:
        kernels.render_frame(cloud, view)
    for part in names:
        assert part in str(error.value)


@pytest.mark.gpu
@pytest.mark.parametrize("grown", [False, True])
def test_cuda_frame_matches_cpu(grown):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    points, colors, spacing = layers(11)
    surfels = spacing if grown else None
    frame, holes = frame_of(points, colors, (2, 1, -8), spacing=surfels)
    cloud = on_gpu(points, colors)
    surfels = on_gpu(spacing)[0] if grown else None
    on_device = frame_of(*cloud, (2, 1, -8), spacing=surfels)
    assert np.mean(np.abs(on_device[0].cpu().numpy().astype(int) - frame) > 1) <= 0.002
    assert np.mean(on_device[1].cpu().numpy() != holes) <= 0.001


def test_a_thread_keeps_what_it_is_counted_with():
    size = (96, 128)
    cloud, rims = half_covered(127, size)
    with_rims(cloud, rims, (9, 3, 0), size)  # with holes
    kept = vars(cpu_frame._scratch(size)).values()
    arrays = [part for parts in kept for part in (parts if isinstance(parts, tuple) else (parts,))]
    frame_and_holes = 4 * size[0] * size[1]
    total = sum(getattr(array, "nbytes", 0) for array in arrays) + 2 * frame_and_holes
    assert 0.625 * FRAME_BYTES < total / (size[0] * size[1]) < FRAME_BYTES
