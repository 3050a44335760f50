"""The automatic shot: it finds the subject, keeps it whole, and keeps to its budget."""

import time

import numpy as np
import pytest
import torch

from utils.camera import Lifted, check_window, invented_shares, plan_shot
from utils.camera.moves import MOST_INVENTED
from utils.camera.planning import LEAST_ZOOM, MARGIN, find_point
from utils.camera.subject import find_subject
from utils.scene import Scene

BASELINE = 120.0
RED, GREY = (200, 40, 40), (130, 135, 140)


def texture(size, color):
    """A surface of this colour, (H, W, 3) uint8, with a little pattern; no random numbers."""
    v, u = np.mgrid[: size[0], : size[1]]
    waves = 12 * np.sin(u / 3) * np.cos(v / 4)
    return np.clip(np.array(color) + waves[:, :, None], 0, 255).astype(np.uint8)


def square_before_wall(size=(240, 320), middle=(200, 130), side=70, near=100.0, far=30.0):
    """A red square before a grey wall: image (H, W, 3), disparity (H, W), its span."""
    image, disparity = texture(size, GREY), np.full(size, far, np.float32)
    left, top = middle[0] - side // 2, middle[1] - side // 2
    inside = np.s_[top : top + side, left : left + side]
    image[inside], disparity[inside] = texture((side, side), RED), near
    return image, disparity, (left, top, left + side, top + side)


def shoot(image, disparity, **options):
    """The shot of a drawn scene, its path, and the scene."""
    height, width = disparity.shape
    focal_px = max(height, width) / 2
    photo = Lifted(image, disparity, focal_px, BASELINE)
    shot = plan_shot(photo, **options)
    path = shot.path(photo)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    scene = Scene(pixels, torch.from_numpy(disparity)[None, None], focal_px, BASELINE)
    return shot, path, scene


def view_size(path, long_side=320):
    """(height, width) of a film of this path."""
    scale = long_side / max(path.crop)
    return tuple(round(side * scale) for side in path.crop)


def red_share(path, scene, t, border):
    """Share of the frame at t, and of a border of that share of its sides, that is red."""
    size = view_size(path)
    frame = scene.render(**path.view(t, size))[0].astype(int)
    red = frame[:, :, 0] - frame[:, :, 1] > 80
    edge = np.ones(size, bool)
    rows, columns = (int(border * side) for side in size)
    edge[rows : size[0] - rows, columns : size[1] - columns] = False
    return red.mean(), (red & edge).mean()


@pytest.mark.parametrize("middle", [(200, 130), (90, 100), (160, 120), (235, 180)])
def test_a_square_before_a_wall_is_the_subject(middle):
    image, disparity, (left, top, right, bottom) = square_before_wall(middle=middle)
    shot, _, _ = shoot(image, disparity)
    assert left < shot.focus.u < right and top < shot.focus.v < bottom
    assert shot.focus.depth == pytest.approx(160 * BASELINE / 100, rel=0.01)
    drawn = np.zeros((240, 320), bool)
    drawn[top:bottom, left:right] = True
    small = drawn[1::2, 1::2]
    assert (shot.subject & small).sum() > 0.97 * small.sum()
    assert shot.subject.sum() < 1.4 * small.sum()


@pytest.mark.parametrize("size", [(16, 16), (24, 200), (480, 640)])
def test_a_named_move_is_about_the_subject_or_about_nothing(size):
    height, width = size
    side = round(0.4 * min(size))
    middle = width - side, height // 2
    image, disparity, span = square_before_wall(size, middle, side)
    u, v = find_point(Lifted(image, disparity, 100.0, BASELINE))
    assert span[0] < u < span[2] and span[1] < v < span[3]
    image[:], disparity[:] = 90, 30
    assert find_point(Lifted(image, disparity, 100.0, BASELINE)) is None


def test_colour_finds_what_depth_does_not_show():
    image, _, (left, top, right, bottom) = square_before_wall(
        size=(120, 160), middle=(70, 60), side=36
    )
    ramp = np.repeat(np.linspace(20, 100, 120, dtype=np.float32)[:, None], 160, axis=1)
    subject = find_subject(image, ramp)
    assert left < subject.focus[0] < right and top < subject.focus[1] < bottom


@pytest.mark.parametrize(
    ("size", "middle", "side"),
    [
        ((240, 320), (200, 130), 70),
        ((240, 320), (60, 60), 80),
        ((320, 240), (150, 230), 90),
        ((333, 257), (120, 150), 110),
        ((150, 421), (330, 70), 90),
    ],
)
def test_subject_is_never_cut_and_budget_and_windows_hold(size, middle, side):
    image, disparity, _ = square_before_wall(size, middle, side)
    shot, path, scene = shoot(image, disparity)
    for stand, name in ((shot.start, "start"), (shot.end, "end")):
        check_window(stand.window, size, name)
        assert stand.window.width / stand.window.height == pytest.approx(size[1] / size[0])
    zoom = path.crop[1] / min(shot.start.window.width, shot.end.window.width)
    assert LEAST_ZOOM - 1e-6 <= zoom <= 1.5 + 1e-6
    assert (
        max(invented_shares(scene, path, view_size(path), (0, 0.25, 0.5, 0.75, 1))) <= MOST_INVENTED
    )
    # Whole and clear of the border: as much of it as is shown lies inside.
    for t in (0, 0.5, 1):
        share, at_border = red_share(path, scene, t, MARGIN / 2)
        assert share > 0.5 * side**2 / (size[0] * size[1])
        assert at_border == 0


def test_near_and_far_move_against_each_other():
    image, disparity, (left, top, right, bottom) = square_before_wall()
    shot, path, scene = shoot(image, disparity)
    assert shot.parallax >= 0.04

    def column(t, where):
        """Where the frame shows a point of the photo, in shares of its width."""
        (u, v), d = where
        pose, z = path.pose(t), 160 * BASELINE / d
        x = (u - 160) * z / 160
        return (x + pose.shift[0]) / (z + pose.shift[2]) - pose.lens[0], pose.focal_px / path.crop[
            1
        ]

    motions = []
    for d in (100, 30):  # the middle of the square, and what is behind it
        (x0, f0), (x1, f1) = (column(t, ((200, 130), d)) for t in (0, 1))
        motions.append(x1 * f1 - x0 * f0)
    assert abs(motions[0] - motions[1]) > 0.02


def test_a_larger_budget_never_shows_less_depth():
    image, disparity, _ = square_before_wall(side=100)
    parallax = [shoot(image, disparity, budget=budget)[0].parallax for budget in (0.005, 0.03)]
    assert parallax[0] < parallax[1]


def test_a_wall_gets_a_gentle_zoom():
    image, disparity = texture((240, 320), GREY), np.full((240, 320), 60, np.float32)
    shot, path, scene = shoot(image, disparity)
    assert shot.subject is None and "no clear subject" in shot.reason
    assert path.crop[1] / min(shot.start.window.width, shot.end.window.width) <= LEAST_ZOOM + 1e-6
    assert shot.start.window != shot.end.window
    assert max(invented_shares(scene, path, view_size(path), (0, 0.5, 1))) <= 0.005


def test_a_landscape_stays_inside_the_photo():
    image = texture((240, 320), GREY)
    disparity = np.repeat(np.linspace(5, 120, 240, dtype=np.float32)[:, None], 320, axis=1)
    shot, path, scene = shoot(image, disparity)
    assert max(invented_shares(scene, path, view_size(path), (0, 0.5, 1))) <= MOST_INVENTED


def test_a_subject_that_fills_the_photo_is_pulled_out_of():
    image, disparity, _ = square_before_wall(middle=(160, 120), side=170)
    shot, _, _ = shoot(image, disparity)
    assert shot.start.window.width < shot.end.window.width and "pull-out" in shot.reason
    small = shoot(*square_before_wall()[:2])[0]
    assert small.start.window.width > small.end.window.width and "push-in" in small.reason


def test_film_of_another_shape_looks_at_the_subject():
    image, disparity, _ = square_before_wall(middle=(260, 120))
    shot, path, scene = shoot(image, disparity, aspect=9 / 16)
    for stand, name in ((shot.start, "start"), (shot.end, "end")):
        check_window(stand.window, (240, 320), name)
        assert stand.window.width / stand.window.height == pytest.approx(9 / 16)
    for t in (0, 1):
        share, at_border = red_share(path, scene, t, 0.01)
        assert share > 0.1 and at_border == 0
    assert max(invented_shares(scene, path, view_size(path), (0, 1))) <= MOST_INVENTED


def test_given_focus_decides_between_two_things():
    image, disparity, _ = square_before_wall(middle=(240, 120))
    image[90:150, 40:100] = texture((60, 60), (40, 60, 200))
    disparity[90:150, 40:100] = 90
    for at in ((240, 120), (70, 120)):
        shot, _, _ = shoot(image, disparity, focus=at)
        assert abs(shot.focus.u - at[0]) < 35


def test_given_focus_where_nothing_stands_is_looked_at_all_the_same():
    image, disparity = texture((240, 320), GREY), np.full((240, 320), 60, np.float32)
    for at in ((80, 60), (320, 240), (0, 0)):
        shot, _, _ = shoot(image, disparity, focus=at)
        assert abs(shot.focus.u - at[0]) < 25 and abs(shot.focus.v - at[1]) < 25


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("focus", [None, (5, 5)])
def test_a_photo_of_one_colour_gets_a_shot_without_a_word(focus):
    image, disparity = np.full((24, 36, 3), 90, np.uint8), np.full((24, 36), 60, np.float32)
    shot, _, _ = shoot(image, disparity, focus=focus)
    assert shot.start.window != shot.end.window


def test_same_photo_same_shot_on_any_number_of_threads(monkeypatch):
    image, disparity, _ = square_before_wall()
    shots = []
    for threads in ("1", "2", "4"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        shots.append(shoot(image, disparity)[0])
    for shot in shots[1:]:
        assert shot[:-1] == shots[0][:-1]
        np.testing.assert_array_equal(shot.subject, shots[0].subject)


@pytest.mark.parametrize("size", [(16, 16), (20, 400), (400, 20), (37, 61)])
def test_odd_and_tiny_photos_get_a_shot(size):
    v, u = np.mgrid[: size[0], : size[1]]
    disparity = (40 + 40 * np.sin(u / 5) * np.sin(v / 5)).astype(np.float32)
    shot, path, _ = shoot(texture(size, GREY), disparity)
    for stand, name in ((shot.start, "start"), (shot.end, "end")):
        check_window(stand.window, size, name)
    assert all(np.isfinite(path.pose(t).shift).all() for t in (0, 0.5, 1))


def test_planning_takes_half_a_second_at_most():
    image, disparity, _ = square_before_wall((768, 1024), (600, 400), 220)
    shoot(image, disparity)  # compiled
    begin = time.process_time()
    plan_shot(Lifted(image, disparity, 512, BASELINE))
    assert time.process_time() - begin < 1  # of both cores together, which two share
