"""The moves by name on drawn scenes of known depth: windows, focus, seams, horizons, strength."""

import numpy as np
import pytest
import torch

from utils.camera import (
    MOVES,
    CropWindow,
    Stage,
    aspect_box,
    complete_windows,
    depth_range,
    find_focus,
    invented_shares,
    nearest_depth,
    path_times,
)
from utils.scene import Scene, StereoScene

CLOSED = [name for name, move in MOVES.items() if move.closed]
CHOOSING = [name for name, move in MOVES.items() if not move.framed or name == "dolly"]
RED = (1.0, 0.1, 0.1)
NEAR, MIDDLE, FAR = 120.0, 60.0, 20.0  # disparities
BOARD = 8  # px that the board is wider than the square on it


def drawn(size, square, middle=MIDDLE, bollard=True):
    """A red square (u, v, side) on a board before a grey wall, and a bollard before both."""
    height, width = size
    stripes = 0.3 + 0.1 * torch.sin(torch.arange(width) / 2)
    image = stripes.expand(1, 3, *size).clone()
    disparity = torch.full((1, 1, *size), FAR)
    u, v, side = square
    board, red = (
        tuple(slice(round(at - half), round(at + half)) for at in (v, u))
        for half in (side / 2 + BOARD, side / 2)
    )
    image[..., red[0], red[1]] = torch.tensor(RED).view(1, 3, 1, 1)
    disparity[..., board[0], board[1]] = middle
    if bollard and middle != FAR:
        disparity[..., height // 2 :, width // 8 : width // 8 + 4] = NEAR
    return Scene(image, disparity, max(size) / 2, 120.0)


def stage_of(scene, start=None, end=None, focus=None, **more):
    first, last, *_ = complete_windows(scene.size)
    start, end = start or first, end or last
    u, v = focus or (end.center_u, end.center_v)
    more = {"sized": True} | more
    return Stage(
        scene.size,
        scene.focal_px,
        find_focus(scene.depth, u, v),
        nearest_depth(scene.depth),
        start,
        end,
        depth_range(scene.depth),
        aspect_box(scene.size, scene.size[1] / scene.size[0]),
        **more,
    )


def extent(view, path, t, size, side=None):
    """Left, top, right and bottom border of the red square in a frame, px."""
    frame, _ = view.render(**path.view(t, size))
    if side is not None:
        frame = frame[:, side * size[1] : (side + 1) * size[1]]
    redness = (frame[..., 0].astype(float) - frame[..., 1]) / (255 * (RED[0] - RED[1]))
    middle_row = int((redness.sum(1) * np.arange(size[0])).sum() / redness.sum())
    middle_column = int((redness.sum(0) * np.arange(size[1])).sum() / redness.sum())
    borders = {}
    for names, line in (
        (("left", "right"), redness[middle_row]),
        (("top", "bottom"), redness[:, middle_column]),
    ):
        inside = int((line * np.arange(len(line))).sum() / line.sum())
        borders[names[0]] = inside - line[:inside].sum()
        borders[names[1]] = inside + line[inside:].sum()
    return np.array([borders[name] for name in ("left", "top", "right", "bottom")])


def in_frame(window, square, size):
    """Where a square of the photo is in a frame that shows a window."""
    u, v, side = square
    left, top, _, _ = window.span()
    scale = size[1] / window.width
    return scale * (
        np.array([u - side / 2, v - side / 2, u + side / 2, v + side / 2]) - [left, top, left, top]
    )


@pytest.mark.parametrize(
    ("size", "film", "square", "start", "end"),
    [
        # Landscape; the end half as wide and far aside; a zoom out; portrait; odd sizes.
        ((96, 128), (192, 256), (80, 44, 16), (64, 48, 120, 90), (84, 44, 60, 45)),
        ((96, 128), (192, 256), (80, 44, 16), (80, 44, 60, 45), (64, 48, 128, 96)),
        ((128, 96), (256, 192), (40, 80, 16), (48, 64, 90, 120), (40, 84, 36, 48)),
        ((97, 131), (194, 262), (81, 45, 16), (65.5, 48.5, 131, 97), (84, 44, 65.5, 48.5)),
        ((96, 128), (256, 144), (80, 44, 16), (70, 48, 54, 96), (80, 44, 27, 48)),
    ],
)
@pytest.mark.parametrize("middle", [MIDDLE, FAR], ids=["3d", "flat"])
def test_first_and_last_frame_show_the_windows(size, film, square, start, end, middle):
    scene = drawn(size, square, middle)
    windows = [CropWindow(*numbers) for numbers in (start, end)]
    path = MOVES["windows"].plan(stage_of(scene, *windows, focus=square[:2]))
    for t, window in zip((0, 1), windows, strict=True):
        wanted = in_frame(window, square, film)
        np.testing.assert_allclose(extent(scene, path, t, film), wanted, atol=0.5)


def test_windows_are_exact_between_two_eyes():
    square, size, film = (80, 44, 16), (96, 128), (192, 256)
    scene = drawn(size, square)
    windows = [CropWindow(64, 48, 120, 90), CropWindow(84, 44, 60, 45)]
    path = MOVES["windows"].plan(stage_of(scene, *windows, focus=square[:2]))
    view = StereoScene(scene, path, "sbs")
    for t, window in zip((0, 1), windows, strict=True):
        eyes = [extent(view, path, t, film, side) for side in (0, 1)]
        np.testing.assert_allclose(np.mean(eyes, axis=0), in_frame(window, square, film), atol=0.5)
        assert np.abs(eyes[0] - eyes[1])[[0, 2]].max() > 0.5, "no eye sees what the other one sees"


@pytest.mark.parametrize("move", ["dolly", *CLOSED])
@pytest.mark.parametrize("square", [(64, 48, 24), (80, 42, 20)])
def test_focus_keeps_its_size_and_place(move, square):
    scene, film = drawn((96, 128), square), (384, 512)
    stage = stage_of(scene, focus=square[:2], sized=False)
    path = MOVES[move].plan(stage)
    first = extent(scene, path, 0, film)
    frames = [scene.render(**path.view(t, film))[0] for t in (0, 0.25, 0.7, 1)]
    for t in (0.25, 0.5, 0.7, 1):
        assert np.abs(extent(scene, path, t, film) - first).max() < 1
    # And yet something moves.
    assert np.abs(frames[0].astype(int) - frames[1]).mean() > 0.1


def test_dolly_between_given_windows_keeps_the_focus_too():
    square = (64, 48, 16)
    scene, film = drawn((96, 128), square), (384, 512)
    windows = CropWindow(64, 48, 102, 76.5), CropWindow(64, 48, 60, 45)
    path = MOVES["dolly"].plan(stage_of(scene, *windows))
    assert np.abs(extent(scene, path, 0, film) - extent(scene, path, 1, film)).max() < 1
    assert path.pose(1).focal_px < 0.8 * path.pose(0).focal_px


@pytest.mark.parametrize("move", CLOSED)
def test_closed_moves_lead_into_their_beginning_without_doubling_a_frame(move):
    path = MOVES[move].plan(stage_of(drawn((96, 128), (64, 48, 24)), sized=False))
    assert path.closed
    times = path_times(40, "linear", path.closed)
    places = np.array([path.stand(t).position for t in times])
    steps = np.linalg.norm(np.roll(places, -1, axis=0) - places, axis=1)
    assert steps[-1] < 1.5 * steps[0] and steps[-1] > 0.5 * steps[0], "the seam is a step as others"
    np.testing.assert_allclose(path.stand(0).position, path.stand(1).position, atol=1e-9)
    assert (path_times(40, "smooth", closed=True) == times).all(), "nothing starts or stops"


@pytest.mark.parametrize("move", MOVES)
def test_horizon_stays_level(move):
    """A row of points at all depths, at the height of the camera: level, at one height, always."""
    stage = stage_of(drawn((96, 128), (64, 48, 24)), sized=False)
    path = MOVES[move].plan(stage)
    for t in (0, 0.3, 0.5, 1):
        pose = path.pose(t)
        focal = path.view_focal_px(pose, (96, 128))
        points = np.array([[-1e5, -900, 1e6], [0, -900, 1e6], [1e5, -900, 1e6]])
        y = focal * ((points[:, 1] + pose.shift[1]) / (points[:, 2] + pose.shift[2]) - pose.lens[1])
        assert np.ptp(y) < 1e-9


@pytest.mark.parametrize("move", CHOOSING)
def test_stronger_goes_farther(move):
    scene = drawn((96, 128), (64, 48, 24), bollard=False)

    def way(strength):
        path = MOVES[move].plan(stage_of(scene, strength=strength, sized=False))
        stands = [path.stand(t) for t in np.linspace(0, 1, 17)]
        places = np.array([stand.position for stand in stands])
        zoom = np.log(stands[0].window.width / stands[-1].window.width)
        return np.ptp(places, axis=0).max() + abs(zoom)

    assert way(0.5) < way(1) < way(2)


@pytest.mark.parametrize("move", [name for name in CHOOSING if "zoom" not in name])
def test_moves_that_choose_their_windows_show_no_border_of_the_photo(move):
    scene = drawn((96, 128), (64, 48, 24))
    path = MOVES[move].plan(stage_of(scene, sized=False))
    for t in (0, 0.25, 0.5, 0.75, 1):
        _, holes = scene.render(**path.view(t, (96, 128)), fill=False)
        border = np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]])
        assert border.mean() < 0.1, f"t = {t}"


def test_left_and_right_pass_the_scene():
    scene = drawn((96, 128), (64, 48, 24))
    for move, axis, sign in (("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)):
        path = MOVES[move].plan(stage_of(scene, sized=False))
        way = np.subtract(path.stand(1).position, path.stand(0).position)
        assert sign * way[axis] > 0 and np.abs(np.delete(way, axis)).max() < 1e-9
        film = (192, 256)
        moved = extent(scene, path, 1, film) - extent(scene, path, 0, film)
        assert sign * moved[axis] < -3, "what stands there goes the other way"


@pytest.mark.parametrize("size", [(90, 160), (48, 160)])
@pytest.mark.parametrize("move", ["left", "up", "down"])
def test_travels_past_a_wide_photo_show_most_of_it(move, size):
    """By so much of the side that they go along: up is not as far as left."""
    path = MOVES[move].plan(
        stage_of(drawn(size, (80, size[0] // 2, 16), middle=22.0, bollard=False))
    )
    for t in (0, 1):
        window = path.stand(t).window
        assert window.width > 0.7 * size[1]
        assert min(window.span()) >= 0 and window.span()[3] <= size[0]


def test_camera_stays_clear_of_what_stands_before_the_focus():
    near = CropWindow(64, 48, 32, 24)
    scene = drawn((96, 128), (64, 48, 24))
    path = MOVES["windows"].plan(stage_of(scene, CropWindow(64, 48, 128, 96), near))
    assert path.stand(1).position[2] == pytest.approx(nearest_depth(scene.depth) / 2)
    assert path.end == near, "the lens does the rest"
    aside = CropWindow(96, 48, 64, 48)
    deep = stage_of(scene, CropWindow(32, 48, 64, 48), aside, focus=(120, 10))
    way = np.subtract(*(MOVES["windows"].plan(deep).stand(t).position for t in (1, 0)))
    near_moves, focus_moves = (way[0] * 64 / depth for depth in (deep.nearest, deep.focus.depth))
    assert 0 < near_moves <= 2 * 64 * 1.001 and focus_moves < 64


@pytest.mark.parametrize("move", MOVES)
def test_points_of_the_film_are_told_from_those_that_it_never_shows(move):
    """Beside a brute force in time: no point of a frame is missed, and few others are taken."""
    path = MOVES[move].plan(stage_of(drawn((96, 128), (64, 48, 24))))
    generator = torch.Generator().manual_seed(1)
    points = (torch.rand(1, 3, 20000, generator=generator) - 0.5) * 600
    points[:, 2] = 64 * 120 / (FAR + (NEAR - FAR) * torch.rand(20000, generator=generator))
    shown, beyond = torch.zeros(20000, dtype=bool), torch.ones(20000, dtype=bool)
    for t in np.linspace(0, 1, 101):
        pose = path.pose(t)
        x, y, z = points[0] + torch.tensor(pose.shift)[:, None]
        across, down = (
            pose.focal_px * (side / z - lens).abs() / length
            for side, lens, length in zip((x, y), pose.lens, path.crop[::-1], strict=True)
        )
        shown |= (z > 0) & (across <= 0.5) & (down <= 0.5)
        beyond &= (z <= 0) | (across > 0.51) | (down > 0.51)
    assert 1000 < shown.sum() < 19000
    found = path.shows(points)
    assert found[shown].all() and not found[beyond].any()


# -- focus ----------------------------------------------------------------------------------------


def test_focus_is_the_object_and_not_the_ground_before_it():
    """A box that stands on the ground: the patch sees both, and the ground is nearer."""
    depth = torch.full((1, 1, 100, 160), 50.0)
    depth[..., 40:, :] = torch.linspace(50, 5, 60).view(-1, 1)
    depth[..., 20:61, 60:100] = 30.0
    for point, wanted in (((80, 60), 30), ((80, 40), 30), ((20, 10), 50)):
        assert find_focus(depth, *point).depth == pytest.approx(wanted)


def test_focus_mixes_no_two_things():
    depth = torch.full((1, 1, 100, 160), 50.0)
    depth[..., 78:] = 10.0
    assert find_focus(depth, 80, 50).depth == pytest.approx(10)
    assert find_focus(depth, 500, -3).depth == pytest.approx(10), (
        "outside means the nearest point inside"
    )


@pytest.mark.parametrize("move", MOVES)
def test_another_focus_is_taken_by_every_move(move):
    scene = drawn((96, 128), (64, 48, 24))
    there, elsewhere = (
        MOVES[move].plan(stage_of(scene, focus=point, sized=False))
        for point in ((64, 48), (10, 10))
    )
    assert there.focus.depth == pytest.approx(64 * 120 / MIDDLE)
    assert elsewhere.focus.depth == pytest.approx(64 * 120 / FAR)
    assert any(there.pose(t) != elsewhere.pose(t) for t in (0.25, 1))


# -- how much is invented -------------------------------------------------------------------------


def test_scaled_path_keeps_its_windows_and_asks_for_less():
    scene = drawn((96, 128), (64, 48, 24))
    windows = CropWindow(60, 48, 120, 90), CropWindow(70, 48, 60, 45)
    path = MOVES["windows"].plan(stage_of(scene, *windows))
    half, none = path.scaled(0.5), path.scaled(0)
    assert (half.start, half.end) == (path.start, path.end) == windows
    shares = [max(invented_shares(scene, one, (192, 256))) for one in (path, half, none)]
    assert shares[0] > shares[1] > shares[2] == 0 or shares[2] < 0.25 * shares[0]


def test_default_dolly_invents_little_without_any_search():
    scene = drawn((96, 128), (64, 48, 24), bollard=False)
    path = MOVES["dolly"].plan(stage_of(scene, sized=False))
    assert max(invented_shares(scene, path, (192, 256))) < MOVES["dolly"].most_invented
    assert path.focus.depth * 0.3 < path.stand(1).position[2]
