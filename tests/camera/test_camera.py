"""Windows, camera path and automatic zoom: golden numbers, and what a film maker relies on."""

import json
import math

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.camera import (
    MOVES,
    CropWindow,
    Focus,
    Lifted,
    Stage,
    WindowNumbers,
    aim,
    check_window,
    complete_windows,
    default_focal_px,
    find_zoom_window,
    nearest_depth,
    path_times,
    published_path,
    unproject,
)


def window_of(golden_window):
    return CropWindow(
        golden_window["dblCenterU"],
        golden_window["dblCenterV"],
        golden_window["intCropWidth"],
        golden_window["intCropHeight"],
    )


def numbers_of(arguments, name):
    """The four numbers of one window in a list of command-line words."""
    pairs = dict(zip(arguments[::2], arguments[1::2], strict=False))
    return WindowNumbers(
        *(float(pairs[f"--{name}{k}"]) if f"--{name}{k}" in pairs else None for k in "UVWH")
    )


# -- windows ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dolly", [False, True])
def test_default_windows_are_aimed_at_the_centre_as_published(dolly):
    assert aim((768, 1024), *complete_windows((768, 1024), dolly=dolly)[:2]) == (512, 384)


def test_windows_in_a_corner_are_looked_at():
    window = CropWindow(100, 384, 200, 150)
    assert aim((768, 1024), window, window) == (110, 384)
    focus = Focus(100, 384, 512.0)
    pose = MOVES["windows"].plan(Stage((768, 1024), 512.0, focus, 512.0, window, window)).pose(0)
    assert pose.lens == pytest.approx(((110 - 512) / 512, 0))
    assert pose.shift == pytest.approx((10 * 512 / 512, 0, 0))


def test_default_windows_of_a_narrow_film_move_as_far_for_their_size():
    wide, narrow = (complete_windows((400, 600), aspect=aspect)[:2] for aspect in (None, 0.5))
    moves = [(end.center_u - start.center_u) / start.width for start, end in (wide, narrow)]
    assert moves[1] == pytest.approx(moves[0], rel=0.01)


def test_windows_match_golden_where_they_are_not_corrected(golden):
    cases = json.loads((golden / "cli_windows.json").read_text())["cases"]
    compared = 0
    for case in cases:
        words = [w for w in case["args"] if w != "--dolly"]
        start, end = numbers_of(words, "start"), numbers_of(words, "end")
        # The reference drops what is given as soon as one number is missing, and squeezes windows
        # of another shape into the frame; ours differ on purpose
        # (docs/method/reference.md, P2 and G17).
        partly = any(n is not None for n in start + end) and any(
            n is None for n in (start.u, start.v, start.w or start.h, end.u, end.v, end.w or end.h)
        )
        if partly or (start.w and start.h):
            continue
        # The photo first loses what a multiple of four leaves over.
        size = (case["image_height"] // 4 * 4, case["image_width"] // 4 * 4)
        dolly = "--dolly" in case["args"]
        if "error" in case:
            with pytest.raises(ValueError, match="start window leaves the image"):
                complete_windows(size, start, end, dolly)
            continue
        ours = complete_windows(size, start, end, dolly)
        assert ours[:2] == (window_of(case["window_from"]), window_of(case["window_to"]))
        compared += 1
    assert compared >= 10


def test_missing_numbers_keep_the_given_ones():
    start, end, *_ = complete_windows((480, 640), WindowNumbers(u=320, v=240, w=400))
    assert start == CropWindow(320, 240, 400, 300)
    assert end == complete_windows((480, 640))[1]


def test_default_centre_moves_so_that_a_given_size_fits():
    start, *_ = complete_windows((480, 640), WindowNumbers(w=640))
    assert start == CropWindow(320, 240, 640, 480)


def test_first_whole_window_gives_the_film_its_shape():
    start, end, aspect, notes = complete_windows(
        (480, 640), WindowNumbers(320, 240, 400, 200), WindowNumbers(330, 235, 240, 210)
    )
    assert aspect == 2
    assert start == CropWindow(320, 240, 400, 200)
    assert end == CropWindow(330, 235, 240, 120)
    assert "240x210 becomes 240x120" in notes[0]


def test_a_window_a_few_pixels_off_the_films_shape_is_adapted_where_it_stands_by_default():
    """Of all of the photo's width it becomes all of its height: the default centre gives way."""
    start, _, _, notes = complete_windows((192, 256), WindowNumbers(w=256, h=189), aspect=4 / 3)
    assert start == CropWindow(128, 96, 256, 192)
    assert "256x189 becomes 256x192" in notes[0]


def test_what_makes_an_adapted_window_fit_is_said():
    with pytest.raises(ValueError, match=r"or make --startW smaller"):
        complete_windows((192, 256), WindowNumbers(128, 94, 256, 188), aspect=4 / 3)


@pytest.mark.parametrize(
    ("height", "adapted"), [(751, False), (749, False), (753, True), (747, True)]
)
def test_windows_count_as_the_films_shape_up_to_rounding(height, adapted):
    numbers = WindowNumbers(1000, 700, 1000, height)
    start, *_, notes = complete_windows((1500, 2000), numbers, aspect=4 / 3)
    assert start.height == (750 if adapted else height)
    assert len(notes) == adapted


def test_portrait_film_of_a_landscape_photo_stays_inside():
    start, end, aspect, _ = complete_windows((480, 640), aspect=9 / 16)
    for window in (start, end):
        check_window(window, (480, 640), "start")
        assert window.width / window.height == pytest.approx(9 / 16, rel=0.01)
    assert aspect == pytest.approx(9 / 16)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (WindowNumbers(620, 190, 400, 200), "spans u 420..820, image is 640x480"),
        (WindowNumbers(620, 190, 400, 200), "Move --endU into 200..440 or make --endW smaller"),
        (WindowNumbers(320, 10, 200, 150), "Move --endV into 75..405"),
        (WindowNumbers(320, 240, 800, 600), "Make --endW smaller"),
        (WindowNumbers(320, 240, 0, 0), "end window is empty"),
        (WindowNumbers(320, 240, -5, None), "end window is empty"),
        (WindowNumbers(float("nan"), 240, 20, 10), "leaves the image"),
    ],
)
def test_window_outside_image_is_rejected(numbers, message):
    with pytest.raises(ValueError) as error:
        complete_windows((480, 640), end=numbers)
    assert message in str(error.value)


@given(st.integers(16, 400), st.integers(16, 400), st.booleans(), st.floats(0.2, 5) | st.none())
@settings(max_examples=200, deadline=None)
def test_default_windows_are_always_inside(height, width, dolly, aspect):
    start, end, *_ = complete_windows((height, width), dolly=dolly, aspect=aspect)
    check_window(start, (height, width), "start")
    check_window(end, (height, width), "end")


# -- path ---------------------------------------------------------------------------------------


def test_camera_paths_match_golden(golden):
    for path in json.loads((golden / "camera_paths.json").read_text())["paths"]:
        ours = published_path(
            window_of(path["window_from"]),
            window_of(path["window_to"]),
            (path["height"], path["width"]),
            path["min_depth"],
            path["focal"],
            path["dolly"],
        )
        for t, shift, focal in zip(
            path["steps"], path["shift"], path["focal_per_step"], strict=True
        ):
            pose = ours.pose(t)
            np.testing.assert_allclose(pose.shift, shift, atol=1e-4, err_msg=path["name"])
            assert pose.focal_px == pytest.approx(focal, abs=1e-4)


@pytest.mark.parametrize("t", [0, 1])
def test_nearest_surface_is_seen_at_the_size_of_the_window(t):
    depth, windows = 300.0, (CropWindow(300, 200, 400, 300), CropWindow(350, 260, 240, 180))
    path = published_path(*windows, (480, 640), depth, 512.0)
    shift, focal_px, _ = path.pose(t)
    magnification = focal_px / (depth + shift[2]) / (512 / depth)
    assert path.crop[1] / magnification == pytest.approx(windows[t].width)
    # Centred where the window is, drawn towards the middle by how much smaller it is.
    for axis, offset in ((0, windows[t].center_u - 320), (1, windows[t].center_v - 240)):
        centred_at = -shift[axis] * 512 / depth
        assert centred_at == pytest.approx(offset * windows[t].width / 400)


def test_dolly_keeps_focus_plane_size():
    path = published_path(
        *complete_windows((480, 640), dolly=True)[:2], (480, 640), 512.0, 512.0, True
    )
    sizes = [path.pose(t).focal_px * 100 / (512 + path.pose(t).shift[2]) for t in (0, 0.3, 1)]
    np.testing.assert_allclose(sizes, sizes[0], rtol=1e-9)


def test_camera_never_moves_backwards_from_the_photo():
    path = published_path(
        CropWindow(320, 240, 200, 150), CropWindow(320, 240, 500, 375), (480, 640), 400.0, 320.0
    )
    assert all(path.pose(t).shift[2] <= 1e-9 for t in np.linspace(0, 1, 20))


def test_view_focal_maps_the_crop_onto_the_film():
    path = published_path(*complete_windows((768, 1024))[:2], (768, 1024), 512.0, 512.0)
    focal = path.view_focal_px(path.pose(0.5), (1080, 1440))
    assert focal == pytest.approx(512 * 1440 / 921)


def test_smooth_easing_starts_and_stops_softly():
    linear, smooth = path_times(75), path_times(75, "smooth")
    assert (smooth[0], smooth[-1], smooth[37]) == (0, 1, 0.5)
    assert smooth[1] < 0.1 * linear[1]
    assert (np.diff(smooth) > 0).all()
    assert path_times(1).tolist() == [0]
    with pytest.raises(ValueError, match="linear or smooth"):
        path_times(5, "bouncy")


# -- depth --------------------------------------------------------------------------------------


def test_unproject_matches_golden(golden):
    with h5py.File(golden / "geometry.h5") as file:
        for case in file["depth_to_points"].values():
            depth = torch.from_numpy(case["depth"][()])
            points = unproject(depth, case.attrs["focal"])
            expected = torch.from_numpy(case["points"][()]).flatten(2)
            torch.testing.assert_close(points, expected, atol=1e-6, rtol=1e-6)


@given(st.integers(1, 12), st.integers(1, 12), st.floats(1, 1000))
@settings(max_examples=50, deadline=None)
def test_project_undoes_unproject(height, width, focal):
    depth = torch.rand(1, 1, height, width, dtype=torch.float64) + 0.5
    x, y, z = unproject(depth, focal)[0]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    torch.testing.assert_close(x * focal / z + (width - 1) / 2, columns.flatten().double())
    torch.testing.assert_close(y * focal / z + (height - 1) / 2, rows.flatten().double())


def test_unproject_takes_a_focal_per_sample():
    depth = torch.rand(2, 1, 3, 4) + 1
    both = unproject(depth, torch.tensor([10.0, 20.0]))
    assert torch.equal(both[1], unproject(depth[1:], 20.0)[0])


def test_nearest_depth_ignores_the_border_and_survives_small_maps():
    depth = torch.full((1, 1, 80, 160), 5.0)
    depth[..., 0, 0] = 1  # in the border
    assert nearest_depth(depth) == 5
    depth[..., 40, 80] = 2
    assert nearest_depth(depth) == 2
    assert nearest_depth(torch.full((1, 1, 1, 1), 3.0)) == 3


def test_default_focal_is_half_the_long_side():
    assert default_focal_px((768, 1024)) == 512


# -- automatic zoom -----------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["masked_points", "unmasked_points"])
def test_automatic_zoom_matches_golden(golden, case):
    from golden_filters import valid_mask

    with h5py.File(golden / "geometry.h5") as file:
        attributes = dict(file[f"autozoom/{case}"].attrs)
        offsets = file[f"autozoom/{case}/candidates_u_v"][()]
        covered = file[f"autozoom/{case}/covered_pixels"][()]
        disparity = torch.from_numpy(file["kenburns/disparity"][()])
    mask = valid_mask(disparity)[0, 0].numpy() > 0
    photo = Lifted(
        np.zeros((*disparity.shape[2:], 3), np.uint8),
        disparity[0, 0].numpy() + 1e-7,
        512.0,
        120.0,
        mask if attributes["points_masked_by_validity"] else None,
    )
    zoom = find_zoom_window(
        photo,
        window_of(json.loads(attributes["window_from"])),
        reach=100 / 320,
        depth_from=attributes["depth_from"],
        side=320,
    )
    np.testing.assert_allclose(zoom.centers - (160, 144), offsets, atol=1e-4)
    # The reference counted after its in-place degrid pass, which closes a few more pixels to what
    # lies behind than ours, which reads a copy: up to 0.2 % of the count, for every candidate.
    reached = (1 - zoom.uncovered) * disparity.numel()
    np.testing.assert_allclose(reached, covered, rtol=2e-3)
    assert np.corrcoef(reached, covered)[0, 1] > 0.999
    assert zoom.window == window_of(json.loads(attributes["result"]))


def pillar_photo(size=(48, 64)):
    """A near pillar right of the centre."""
    disparity = np.full(size, 16.0, np.float32)
    disparity[size[0] // 5 : -size[0] // 5, size[1] * 9 // 16 : size[1] * 23 // 32] = 32.0
    return Lifted(np.zeros((*size, 3), np.uint8), disparity, size[1] / 2, 20.0)


def test_automatic_zoom_stays_centred_where_no_step_fits():
    """In a long strip of a panorama even the smallest step leaves the photo."""
    zoom = find_zoom_window(pillar_photo((30, 720)), CropWindow(360, 15, 720, 30))
    assert len(zoom.centers) == 0
    assert zoom.window == CropWindow(360, 15, 576, 24)


def test_automatic_zoom_moves_away_from_what_it_would_uncover():
    zoom = find_zoom_window(pillar_photo(), CropWindow(32, 24, 60, 45))
    still = math.dist(zoom.centers[zoom.uncovered.argmax()], (41, 24))
    assert math.dist((zoom.window.center_u, zoom.window.center_v), (41, 24)) < still


def test_automatic_zoom_from_a_sliver_of_a_window_ends_in_one_that_can_be_shown():
    window = find_zoom_window(pillar_photo(), CropWindow(32.0, 24.0, 1, 5)).window
    assert (window.width, window.height) == (1, 4)


@pytest.mark.parametrize("size", [(96, 128), (480, 640)])
def test_automatic_zoom_stays_inside_and_keeps_the_zoom(size):
    start = complete_windows(size)[0]
    window = find_zoom_window(pillar_photo(size), start).window
    check_window(window, size, "end")
    assert window.width == pytest.approx(start.width / 1.25, abs=1)


def test_inpainting_goes_a_little_beyond_both_ends():
    path = published_path(
        CropWindow(60, 40, 100, 66), CropWindow(70, 50, 50, 33), (100, 150), 75.0, 75.0
    )
    for t, pose in zip((0, 1), path.inpainting_poses(), strict=True):
        assert pose.shift == pytest.approx([1.1 * value for value in path.pose(t).shift])


def test_border_of_a_strip_leaves_its_middle_half():
    """An eighth of the long side would be more than all of the short one."""
    depth = torch.full((1, 1, 40, 400), 9.0)
    depth[0, 0, 12, 200] = 3.0
    assert nearest_depth(depth) == 3.0
    depth[0, 0, 5, 200] = 1.0
    assert nearest_depth(depth) == 3.0, "a quarter of the short side is border"


def test_missing_width_is_cut_to_whole_pixels():
    start, *_ = complete_windows((100, 150), WindowNumbers(h=33))
    assert (start.width, start.height) == (49, 33)
