"""The preview: one picture that tells what the film will be."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from utils.camera import Stand, complete_windows, nearest_depth, published_path
from utils.film.preview import CELL_WIDTH, END_COLOR, GAP, START_COLOR, Preview, colorize, mark
from utils.film.top_view import FOCUS_COLOR, draw_way
from utils.scene.cloud import Scene
from utils.scene.rules import FarSide


def make(size):
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)) * 0.2
    disparity = torch.full((1, 1, *size), 20.0)
    disparity[..., size[1] // 3 : size[1] // 2] = 120
    scene = Scene(image, disparity, max(size) / 2, 120.0)
    start, end, *_ = complete_windows(size)
    path = published_path(start, end, size, nearest_depth(scene.depth), scene.focal_px)
    return scene, path


@pytest.mark.parametrize("size", [(48, 64), (64, 48), (16, 200), (2000, 16)])
def test_preview_has_eight_pictures(size):
    scene, path = make(size)
    picture = Preview(scene, path, size).draw()
    assert picture.dtype == np.uint8
    assert picture.shape[1] == 4 * CELL_WIDTH + 5 * GAP
    columns = np.array_split(picture, 4, axis=1)
    assert all(column.std() > 1 for column in columns)
    assert picture.shape[0] < 2100


def test_preview_draws_the_windows_and_shows_what_the_photo_lacks():
    scene, path = make((48, 64))
    preview = Preview(scene, path, (48, 64))
    assert max(mask.mean() for mask in preview.invented) > 0.005
    invented = preview.invented[0].copy()
    scene.inpaint(FarSide(), path.pose(0).shift)
    picture = preview.draw()
    assert (picture == START_COLOR).all(axis=2).sum() > 500
    assert (invented == preview.invented[0]).all(), "it must tell what was missing at first"


def test_mark_colours_only_the_mask():
    frame, mask = np.full((4, 4, 3), 100, np.uint8), np.zeros((4, 4), bool)
    mask[1, 1] = True
    marked = mark(frame, mask)
    assert marked[1, 1, 0] > 150 and marked[1, 1, 1] < 60
    assert np.ptp(marked[0, 0].astype(int)) == 0


def test_near_is_bright_and_flat_is_no_error():
    shown = colorize(np.linspace(0, 1, 100).reshape(10, 10)).astype(int).sum(axis=2)
    assert shown[9, 9] > shown[5, 5] > shown[0, 0]
    assert colorize(np.ones((4, 4))).shape == (4, 4, 3)


@pytest.mark.parametrize("axis", [0, 1], ids=["above", "left"])
def test_way_is_drawn_where_it_goes(axis):
    """A camera that goes nearer: up as seen from above, to the right as seen from the left."""
    scene, path = make((48, 64))
    depth = path.focus.depth
    window = path.start

    def stand(t):
        return Stand((t * depth / 8, t * depth / 4, t * depth / 2), window)

    drawing = draw_way(
        scene, replace(path, stand=stand), (360, 640), (START_COLOR, END_COLOR), axis
    )
    assert drawing.shape == (360, 640, 3)
    start, end, focus = (
        np.argwhere((drawing == color).all(axis=2))
        for color in (START_COLOR, END_COLOR, FOCUS_COLOR)
    )
    assert min(map(len, (start, end, focus))) > 20
    # Rows grow downwards; from above far things are up, from the left they are at the right.
    if axis == 0:
        assert start[:, 0].max() > end[:, 0].max() > focus.mean(axis=0)[0]
    else:
        assert start[:, 1].min() < end[:, 1].min() < focus.mean(axis=0)[1]
