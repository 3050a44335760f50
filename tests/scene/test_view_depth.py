"""The depth that a moved camera sees, against scenes whose depth is known everywhere."""

import cv2
import numpy as np
import pytest
import torch

from utils.scene import FarSide, Scene, ViewDepth

SIZE, FOCAL, BASELINE = (72, 96), 48.0, 120.0
MOVES = [(0.0, 0.0, 0.0), (9.0, -4.0, 0.0), (-6.0, 3.0, -14.0), (5.0, 0.0, 20.0)]


def scene_of(depth, image=None):
    """A Scene of a depth map (H, W); grey where no picture (H, W, 3) in [0, 1] is given."""
    image = np.full((*depth.shape, 3), 0.5) if image is None else image
    disparity = torch.from_numpy(FOCAL * BASELINE / depth).float()[None, None]
    return Scene(torch.from_numpy(image).float().permute(2, 0, 1)[None], disparity, FOCAL, BASELINE)


def slopes(size=SIZE, focal_px=FOCAL):
    """x / z and y / z that each pixel of a view looks along."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return (columns - (size[1] - 1) / 2) / focal_px, (rows - (size[0] - 1) / 2) / focal_px


@pytest.mark.parametrize("zoom", [1.0, 2.3])
@pytest.mark.parametrize("shift", MOVES)
def test_slanted_plane_has_its_depth_from_everywhere(shift, zoom):
    """The plane a x + b y + z = 60, moved with its points, cut by the ray of every pixel."""
    normal = np.array([0.35, -0.2, 1.0])
    x, y = slopes()
    depth = 60 / (normal[0] * x + normal[1] * y + normal[2])
    scene = scene_of(depth)
    seen, holes = ViewDepth(scene).render(shift, zoom * FOCAL, SIZE)
    x, y = slopes(focal_px=zoom * FOCAL)
    expected = (60 + normal @ shift) / (normal[0] * x + normal[1] * y + normal[2])
    error = np.abs(seen * depth.min() / expected - 1)
    assert seen.dtype == np.float32 and (~holes).mean() > 0.5
    around = cv2.dilate(holes.astype(np.uint8), np.ones((3, 3))) > 0
    assert error[~around].max() < 0.01  # where points lie on all sides of a pixel
    assert np.median(error) < 1e-3


@pytest.mark.parametrize("shift", MOVES)
def test_each_of_two_planes_keeps_its_depth_and_nothing_lies_between(shift):
    """Soft edges, rims, what is inpainted and what is filled last: all has one of two depths."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    share = (((columns - 40) ** 2 + (rows - 38) ** 2) ** 0.5 - 17).clip(-0.5, 0.5) + 0.5
    image = share[..., None] * [0.2, 0.5, 0.3] + (1 - share[..., None]) * [0.8, 0.3, 0.2]
    scene = scene_of(np.where(share < 0.5, 50.0, 200.0), image)
    assert scene.rims() is not None
    scene.inpaint(FarSide(), shift)
    seen, holes = ViewDepth(scene).render(shift, FOCAL, SIZE)
    near, far = (50 + shift[2]) / 50, (200 + shift[2]) / 50
    off = np.minimum(np.abs(seen / near - 1), np.abs(seen / far - 1))
    assert off.max() < 0.01
    frame, uncovered = scene.render(shift, FOCAL, SIZE)
    assert np.array_equal(holes, uncovered)
    red = frame[..., 0] > frame[..., 1]  # more than half of the pixel is the front's
    clear = np.abs(frame[..., 0].astype(int) - frame[..., 1]) > 40
    assert np.array_equal(seen[clear] < (near + far) / 2, red[clear])


def test_what_no_point_reaches_has_the_depth_that_fills_it():
    depth = np.full(SIZE, 200.0)
    depth[20:50, 30:60] = 50
    scene = scene_of(depth)
    seen, holes = ViewDepth(scene).render((12.0, 0.0, 0.0), FOCAL, SIZE)
    inner = holes[20:50, 20:70]
    assert inner.any()
    assert np.abs(seen[20:50, 20:70][inner] - 4).max() < 0.04


def test_nothing_at_all_is_infinitely_far():
    seen, holes = ViewDepth(scene_of(np.full(SIZE, 50.0))).render((0, 0, -60.0), FOCAL, SIZE)
    assert holes.all() and np.isposinf(seen).all()
