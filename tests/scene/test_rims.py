"""Soft rims: edges that mix like a lens does, without fringe, sawtooth or ghost."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kornia.filters import gaussian_blur2d

from benchmarks import edges
from utils.scene import Matte
from utils.scene.cloud import Scene
from utils.scene.rims import find_rims
from utils.scene.rules import FarSide

SIZE = (48, 64)
FRONT, BACK = np.array([220.0, 60, 30]), np.array([30.0, 90, 200])
NEAR, FAR = 96.0, 24.0


def two_colors(share, near=None):
    """Image and disparity of a front of this share (H, W) before a back; near: its pixels."""
    share = np.asarray(share, np.float32)
    near = share >= 0.5 if near is None else near
    image = share[..., None] * FRONT + (1 - share[..., None]) * BACK
    image = torch.from_numpy((image / 255).astype(np.float32)).permute(2, 0, 1)[None]
    disparity = np.where(near, NEAR, FAR).astype(np.float32)
    return image, torch.from_numpy(disparity)[None, None]


def half_plane(edge, size=SIZE):
    """Share of a front that reaches from the left to x = edge (px, pixels centred at integers)."""
    x = np.arange(size[1])
    return np.tile((edge + 0.5 - x).clip(0, 1), (size[0], 1))


def make_scene(share, near=None):
    image, disparity = two_colors(share, near)
    return Scene(image, disparity, 32.0, 120.0)


def as_bytes(image):
    return (image[0].permute(1, 2, 0) * 255).round().numpy()


def alphas(rims, size=SIZE):
    """Alpha (H, W) in [0, 1] of the rim points, 0 elsewhere."""
    alpha = np.zeros(size[0] * size[1])
    alpha[rims.pixel.numpy()] = rims.colors[:, 3].numpy().clip(0, 254) / 254
    return alpha.reshape(size)


# -- shares ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [(2, 2, 2, 2), (2, 4, 6.5, 9)])
def test_a_distant_front_has_no_points_half_way_to_the_sky(step):
    """Its step is small beside the foreground's disparity, and an estimate makes a ramp of it."""
    image, disparity = two_colors(half_plane(28))
    disparity[..., :27], disparity[..., 27:] = 14.0, 2.0
    disparity[..., 27:31] = torch.tensor(step[::-1], dtype=torch.float32)
    disparity[..., 40:, :] = 120.0  # the foreground
    rims = find_rims(disparity, image)
    rim = rims.rim_disparity[rims.pixel // SIZE[1] == 10]
    assert len(rim), "it has a rim"
    depths = torch.cat([rim, rims.disparity[0, 0, 10]])
    assert ((depths < 4) | (depths > 12)).all(), sorted({round(float(d), 1) for d in depths})


@pytest.mark.parametrize(("far", "has_rim"), [(2.0, True), (7.0, False)])
def test_a_small_step_is_an_edge_where_the_back_is_much_farther(far, has_rim):
    image, disparity = two_colors(half_plane(28))
    disparity[..., :29], disparity[..., 29:] = far + 5, far
    disparity[..., 40:, :] = 120.0  # the foreground
    rims = find_rims(disparity, image)
    assert bool((rims.pixel // SIZE[1] == 10).any()) == has_rim


@pytest.mark.parametrize("edge", [30.2, 30.5, 30.8])
def test_share_of_a_mixed_pixel_is_found(edge):
    rims = find_rims(*two_colors(half_plane(edge))[::-1])
    wanted = half_plane(edge)[24, 31]
    assert alphas(rims)[24, 31] == pytest.approx(wanted, abs=0.04)


def test_front_and_back_have_their_own_colours():
    rims = find_rims(*two_colors(half_plane(30.9))[::-1])
    mixed = (rims.colors[:, 3] > 20) & (rims.colors[:, 3] < 234)
    assert mixed.sum() == SIZE[0]
    assert np.abs(rims.colors[mixed, :3].numpy() - FRONT).max() <= 6
    under = rims.image[0, :, 24, 31].numpy() * 255
    assert np.abs(under - BACK).max() <= 6
    assert rims.disparity[0, 0, 24, 31] == FAR
    assert (rims.rim_disparity == NEAR).all()


@pytest.mark.parametrize("offset", [-2, 2])
def test_depth_that_misses_the_edge_by_two_pixels_is_put_right(offset):
    """As from a network: pixels of the wall at the front's depth are its pale fringe."""
    size = (96, 640)
    share = half_plane(300.3, size)
    rims = find_rims(*two_colors(share, half_plane(300.3 + offset, size) >= 0.5)[::-1])
    solid = rims.disparity[0, 0, 48]
    assert (solid[303:] == FAR).all() and (solid[:299] == NEAR).all()
    assert alphas(rims, size)[48, 301] == pytest.approx(share[48, 301], abs=0.1)


def test_no_edge_no_rims():
    image, disparity = two_colors(np.ones(SIZE))
    assert find_rims(disparity, image) is None
    assert Scene(image, disparity, 32.0, 120.0).rims() is None


def test_same_colour_on_both_sides_is_parted_by_geometry():
    image, disparity = two_colors(half_plane(30.5))
    image[:] = 0.5
    alpha = alphas(find_rims(disparity, image))[24]
    assert alpha[30] > 0.9 and alpha[31] < 0.1


def test_specks_of_the_fronts_colour_stay_on_the_wall():
    """Red spots on the wall two pixels from a red object are not its own."""
    size = (96, 1024)
    share = half_plane(500.5, size)
    share[20:80:12, 505] = 1
    near = half_plane(500.5, size) >= 0.5
    rims = find_rims(*two_colors(share, near)[::-1])
    assert alphas(rims, size)[:, 504:507].max() < 0.05
    assert (rims.disparity[0, 0, :, 503:] == FAR).all()


@pytest.mark.parametrize("offset", [0, -1, 1])
@pytest.mark.parametrize("rim", [(20, 10, 10), (140, 180, 235)])
def test_no_trace_of_the_fronts_rim_stays_on_a_calm_back(rim, offset):
    """A dark rim, or highlights as pale as the sky: of neither mean colour, and yet the front's."""
    size = (96, 640)
    share = half_plane(300.4, size)
    image, disparity = two_colors(share, half_plane(300.4 + offset, size) >= 0.5)
    image[..., 300], image[..., 301] = 0.3 * image[..., 300], 0.5 * image[..., 301]
    color = torch.tensor(rim).view(3, 1, 1, 1) / 255
    for row in range(8, 88, 8):  # beads
        image[0, :, row : row + 4, 296:300] = color[..., 0]
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(3))
    solid = find_rims(disparity, (image + 0.004 * noise).clamp(0, 1))
    shown = solid.image[0].permute(1, 2, 0).numpy() * 255
    behind = solid.disparity[0, 0].numpy() == FAR
    assert behind[:, 302].all()
    assert np.abs(shown[behind] - BACK).max() < 12


def painted(columns, back, grain):
    """Image before noise: `back` with these (first, end, colour, disparity), rows 20 to 76."""
    image, disparity = np.empty((96, 640, 3)), np.full((96, 640), FAR, np.float32)
    image[:] = back
    for first, end, color, near in columns:
        image[20:76, first:end], disparity[20:76, first:end] = color, near
    image += np.random.default_rng(3).normal(0, grain, image.shape)
    image = torch.from_numpy((image / 255).clip(0, 1).astype(np.float32)).permute(2, 0, 1)[None]
    return image, torch.from_numpy(disparity)[None, None]


def strangest_behind(rims, back):
    """How far what opaque points show of the back, means of five rows, is from its colour."""
    shown = rims.image[0].permute(1, 2, 0).numpy() * 255
    behind = rims.disparity[0, 0].numpy() == FAR
    shown[~behind] = back
    return np.abs(shown[23:73].reshape(10, 5, 640, 3).mean(axis=1) - back).max()


def test_the_lit_edge_of_a_post_goes_with_it():
    """Its colour lies half way between those of the post and of the water, and a little aside."""
    water = (195, 185, 175)
    post = [(300, 302, (185, 145, 100), NEAR), (302, 330, (115, 95, 80), NEAR)]
    image, disparity = painted(post, water, 8)
    assert strangest_behind(find_rims(disparity, image), water) < 20, "grain alone: 15"


def test_a_wall_in_the_gaps_of_a_fence_stays():
    wall = (113, 96, 80)
    fence = [(x, x + 4, (200, 200, 190), NEAR) for x in range(300, 342, 6)]
    image, disparity = painted(fence, wall, 8)
    rims = find_rims(disparity, image)
    gaps = rims.disparity[0, 0, 25:71, 304:342:6].numpy()
    assert (gaps == FAR).mean() > 0.95


def meadow(size=(96, 500)):
    """(H, W, 3): blades and clods, each of a few px, as varied as grass is."""
    rng = np.random.default_rng(5)
    clods = cv2.GaussianBlur(rng.normal(0, 60, size), (0, 0), 3)
    return np.array([150.0, 150, 90]) + clods[..., None] + rng.normal(0, 6, (*size, 3))


def before_meadow():
    """Image and disparity of a dark beast, x < 250, and what the photo shows behind it."""
    back = meadow()
    seen = back.copy()
    seen[:, :250] = (40, 35, 30)
    disparity = np.where(np.arange(500) < 250, NEAR, FAR).astype(np.float32)
    image = torch.from_numpy((seen / 255).clip(0, 1).astype(np.float32)).permute(2, 0, 1)[None]
    return image, torch.from_numpy(np.tile(disparity, (96, 1)))[None, None], back


def test_a_varied_back_without_lines_stays_as_it_is():
    image, disparity, back = before_meadow()
    shown = find_rims(disparity, image).image[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(shown - back)[:, 252:254].mean() < 1.5


# -- rest -----------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_scene_at_rest_is_the_photo(seed):
    rng = np.random.default_rng(seed)
    soft = torch.from_numpy(rng.uniform(0, 1, (1, 1, *SIZE)).astype(np.float32))
    near = (gaussian_blur2d(soft, (9, 9), (3.0, 3.0)) > 0.5).float()
    share = gaussian_blur2d(near, (5, 5), (0.7, 0.7))
    image, disparity = two_colors(share[0, 0].numpy(), near[0, 0].numpy() > 0)
    grain = torch.from_numpy(rng.normal(0, 0.03, image.shape).astype(np.float32))
    image = (image + grain).clamp(0, 1)
    frame, holes = Scene(image, disparity, 32.0, 120.0).render((0, 0, 0))
    error = np.abs(frame - as_bytes(image))
    assert not holes.any() and np.quantile(error, 0.99) <= 2 and error.mean() < 0.25


# -- moved ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("edge", [30.5, 30.9])
@pytest.mark.parametrize("step", [0.0, 0.25, 0.5, 0.8])
def test_moved_edge_is_where_the_formula_says(edge, step):
    """Two colours, moved to the right over the wall: each pixel by the front's share of it."""
    scene = make_scene(half_plane(edge))
    move = 3 + step
    frame, _ = scene.render((move * 120 / NEAR, 0, 0))
    truth = half_plane(edge + move)[..., None] * (FRONT - BACK) + BACK
    levels = np.abs(frame - truth)[4:-4, 8:]
    # Interpolating between pixels spreads what a pixel mixes, but no colour is new.
    mixed = (half_plane(edge + move) > 0) & (half_plane(edge + move) < 1)
    nearly = mixed | np.roll(mixed, 1, 1) | np.roll(mixed, -1, 1)
    assert levels[~nearly[4:-4, 8:]].max() <= 2, "a fringe"
    share = (frame[24, 8:].astype(float) - BACK) @ (FRONT - BACK) / ((FRONT - BACK) ** 2).sum()
    # The front's share summed along the row: where the edge stands, to a part of a pixel.
    assert share.sum() + 8 - 0.5 == pytest.approx(edge + move, abs=0.12)


def test_opaque_edge_stands_on_whole_pixels():
    """What the rims are for: without them the same edge jumps."""
    image, disparity = two_colors(half_plane(30.5))
    errors = []
    for rims in (False, True):
        scene = Scene(image, disparity, 32.0, 120.0, rims=rims)
        stands = []
        for step in np.arange(0, 1, 0.125):
            frame, _ = scene.render(((3 + step) * 120 / NEAR, 0, 0))
            share = (frame[24, 8:] - BACK) @ (FRONT - BACK) / ((FRONT - BACK) ** 2).sum()
            stands.append(share.sum() + 7.5 - 30.5 - 3 - step)
        errors.append(np.ptp(stands))
    assert errors[1] < 0.06 < 0.2 < errors[0]


@pytest.mark.parametrize("width", [0.6, 1.0, 1.7])
def test_thin_line_stays_whole(width):
    """A wire that slowly crosses columns of pixels keeps its width all along."""
    size = (48, 64)
    y, x = np.mgrid[: size[0], : size[1]]
    middle = 20 + 0.13 * y
    share = (
        np.minimum(x + 0.5, middle + width / 2) - np.maximum(x - 0.5, middle - width / 2)
    ).clip(0)
    scene = make_scene(share, share > 0.25)
    scene.inpaint(FarSide(), (4.0, 0, 0))
    frame, _ = scene.render((3.3, 0, 0))
    shown = (frame - BACK) @ (FRONT - BACK) / ((FRONT - BACK) ** 2).sum()
    widths = shown[4:-4, 8:].clip(0, 1).sum(1)
    assert np.abs(widths - width).mean() < 0.15 * width
    assert widths.min() > 0.6 * width, "broken"


def test_magnified_outlines_have_their_length():
    """A straight and a round edge, four times as large and from aside, within 3 %."""
    width, height = edges.SIZE[1], edges.SIZE[0]
    front, back = edges.plain((0.85, 0.7, 0.5)), edges.plain((0.15, 0.25, 0.35))
    shapes = [
        lambda x, y: (x - width / 2) * 0.92 + (y - height / 2) * 0.39 < 0.2,
        edges.disc(width / 2 + 0.3, height / 2 - 0.4, 17),
    ]
    for shape in shapes:
        drawing = edges.Drawing(
            "", (edges.Layer(100, shape, front), edges.Layer(35, edges.everywhere, back))
        )
        assert abs(edges.excess_length(drawing, {})) < 0.03
        assert edges.excess_length(drawing, {"rims": False}) > 0.05


def test_leaf_before_leaf_shows_no_wall_between():
    """Three surfaces: where the first lies over the second's edge, both keep their colour."""
    size = (64, 96)
    y, x = np.mgrid[: size[0], : size[1]]
    disparity = np.where(x < 40, 100.0, np.where(y < 30, 60.0, 20.0)).astype(np.float32)
    colors = {100.0: (200, 40, 40), 60.0: (40, 180, 60), 20.0: (30, 40, 220)}
    image = np.zeros((*size, 3), np.float32)
    for level, color in colors.items():
        image[disparity == level] = color
    scene = Scene(
        torch.from_numpy(image / 255).permute(2, 0, 1)[None],
        torch.from_numpy(disparity)[None, None], 48.0, 120.0,
    )  # fmt: skip
    frame, _ = scene.render((4.3, 0, 0))
    assert (frame[4:24, :41] == (200, 40, 40)).all(axis=2)[:, 6:].all()
    assert (frame[4:27, 50:84] == (40, 180, 60)).all()


# -- what goes with it ----------------------------------------------------------------------------


def test_matte_is_grey_where_a_rim_lies_over_what_is_invented():
    scene = make_scene(half_plane(30.5))
    move = (-9.6, 0, 0)  # the front to the left by 7.68 px, uncovering what is right of it
    scene.inpaint(FarSide(), move)
    matte, _ = Matte(scene).render(move, None, None)
    row = matte[24, :, 0].astype(int)
    edge = 30.5 - 9.6 * NEAR / 120
    assert (row[: int(edge)] == 0).all() and row[int(edge) + 2] == 255
    stands = (255 - row[: int(edge) + 4]).sum() / 255 - 0.5
    assert stands == pytest.approx(edge, abs=0.1)


def test_shifted_lens_shifts_the_rims_too():
    scene = make_scene(half_plane(30.5))
    first, _ = scene.render((0.5, 0, 0))
    second, _ = scene.render((0.5, 0, 0), lens=(4 / 32, 0))
    assert np.abs(first[:, 8:].astype(int) - second[:, 4:-4]).max() <= 1


def test_rims_are_the_same_in_any_number_of_threads():
    rng = np.random.default_rng(3)
    soft = torch.from_numpy(rng.uniform(0, 1, (1, 1, 96, 128)).astype(np.float32))
    share = gaussian_blur2d(
        (gaussian_blur2d(soft, (9, 9), (3.0, 3.0)) > 0.5).float(), (5, 5), (1, 1)
    )
    image, disparity = two_colors(share[0, 0].numpy())

    def film(_):
        scene = Scene(image, disparity, 64.0, 120.0)
        return scene.render((3.0, 1.0, -2.0))[0].tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(film, range(8)))) == 1
