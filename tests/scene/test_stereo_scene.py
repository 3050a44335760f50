"""Two eyes: what lies in the screen, in front of it and behind, and how the eyes are merged."""

import numpy as np
import pytest
import torch

from utils.camera import complete_windows, nearest_depth, published_path
from utils.scene.cloud import Scene
from utils.scene.rules import FarSide
from utils.scene.stereo import IN_FRONT, PARALLAX_SHARE, StereoScene, anaglyph

SIZE = (60, 400)
VIEW = (240, 1600)
DEPTHS = {"near": 120.0, "middle": 60.0, "far": 12.0}  # disparities of three bars
COLORS = {"near": (255, 0, 0), "middle": (0, 255, 0), "far": (0, 0, 255)}


def bars(dolly=False, layout="sbs"):
    """Red, green and blue bars, near, middle and far, before a dark far wall; and a path."""
    image, disparity = torch.full((1, 3, *SIZE), 0.1), torch.full((1, 1, *SIZE), DEPTHS["far"])
    for name, columns in (
        ("near", slice(130, 150)),
        ("middle", slice(190, 210)),
        ("far", slice(250, 270)),
    ):
        image[..., columns] = torch.tensor(COLORS[name]).view(1, 3, 1, 1) / 255
        disparity[..., columns] = DEPTHS[name]
    scene = Scene(image, disparity, max(SIZE) / 2, 120.0)
    start, end, *_ = complete_windows(SIZE, dolly=dolly)
    path = published_path(start, end, SIZE, nearest_depth(scene.depth), scene.focal_px, dolly)
    return StereoScene(scene, path, layout), path


def parallax(stereo, path, t, size=VIEW):
    """Return how far each bar is further right for the right eye, px."""
    pose = path.pose(t)
    frame, _ = stereo.render(pose.shift, path.view_focal_px(pose, size), size, fill=False)
    assert frame.shape == (size[0], 2 * size[1], 3)
    found = {}
    for name, color in COLORS.items():
        mask = (np.abs(frame[size[0] // 2].astype(int) - color) < 60).all(axis=1)
        found[name] = (
            np.flatnonzero(mask[size[1] :]).mean() - np.flatnonzero(mask[: size[1]]).mean()
        )
    return found


@pytest.mark.parametrize("dolly", [False, True])
def test_parallax_is_ordered_and_stays_comfortable_all_the_way(dolly):
    stereo, path = bars(dolly)
    for t in (0, 0.5, 1):
        seen = parallax(stereo, path, t)
        assert seen["near"] < seen["middle"] < seen["far"]
        assert seen["near"] < 0 < seen["far"], "the screen lies between nearest and farthest"
        assert seen["far"] - seen["near"] <= PARALLAX_SHARE * VIEW[1] + 2
    assert seen["far"] - seen["near"] == pytest.approx(PARALLAX_SHARE * VIEW[1], abs=3)
    assert -seen["near"] == pytest.approx(IN_FRONT * PARALLAX_SHARE * VIEW[1], abs=2)


def test_parallax_is_the_same_share_of_every_size():
    stereo, path = bars()
    small = parallax(stereo, path, 1, (120, 800))
    for name, pixels in parallax(stereo, path, 1).items():
        assert small[name] == pytest.approx(pixels / 2, abs=2.5)


def test_eyes_see_the_same_rows():
    stereo, path = bars()
    stereo.scene.image[..., :30, :] = 1
    pose = path.pose(1)
    frame, _ = stereo.render(pose.shift, path.view_focal_px(pose, SIZE), SIZE)
    left, right = np.split(frame.astype(int), 2, axis=1)
    assert np.abs(left.mean(axis=(1, 2)) - right.mean(axis=(1, 2))).max() < 8


@pytest.mark.parametrize("t", [0, 1])
def test_what_either_eye_uncovers_is_inpainted(t):
    stereo, path = bars()
    pose = path.pose(t)
    view = (pose.shift, path.view_focal_px(pose, SIZE), SIZE)
    before = stereo.render(*view)[1].mean()
    assert stereo.inpaint(FarSide(), pose.shift, pose.focal_px) > 0
    assert stereo.render(*view)[1].mean() < 0.1 * before


def test_flat_scene_lies_in_the_screen():
    scene = Scene(torch.rand(1, 3, *SIZE), torch.full((1, 1, *SIZE), 120.0), 200.0, 120.0)
    start, end, *_ = complete_windows(SIZE)
    path = published_path(start, end, SIZE, nearest_depth(scene.depth), scene.focal_px)
    pose = path.pose(0)
    frame, _ = StereoScene(scene, path, "sbs").render(
        pose.shift, path.view_focal_px(pose, SIZE), SIZE
    )
    left, right = np.split(frame.astype(int), 2, axis=1)
    assert np.abs(left - right).max() <= 2


def test_anaglyph_gives_each_eye_its_filter():
    white, black = np.full((2, 2, 3), 255, np.uint8), np.zeros((2, 2, 3), np.uint8)
    assert (anaglyph(white, white) >= 250).all()
    assert (anaglyph(black, black) == 0).all()
    red, cyan = anaglyph(white, black)[0, 0].astype(int), anaglyph(black, white)[0, 0].astype(int)
    assert red[0] > 200 and red[1:].max() < 10
    assert cyan[0] < 10 and cyan[1:].min() > 200
    grey = np.full((2, 2, 3), 128, np.uint8)
    assert np.abs(anaglyph(grey, grey).astype(int) - 128).max() < 5


def test_anaglyph_frame_has_the_size_of_one_eye():
    stereo, path = bars(layout="anaglyph")
    pose = path.pose(0)
    frame, holes = stereo.render(pose.shift, path.view_focal_px(pose, SIZE), SIZE)
    assert frame.shape == (*SIZE, 3) and holes.shape == SIZE and holes.any()
