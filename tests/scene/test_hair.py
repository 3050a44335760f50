"""Hair: strands that no depth map knows go with the front, and nothing else does."""

import cv2
import numpy as np
import pytest
import torch

from utils.scene import FarSide
from utils.scene import rims as rims_module
from utils.scene.cloud import Scene
from utils.scene.hair import reached
from utils.scene.rims import find_rims

SIZE = (128, 320)  # the usual reach is 2 px here, hair's 6 px
FRONT, BACK = np.array([60.0, 40, 30]), np.array([150.0, 170, 200])
NEAR, FAR = 96.0, 24.0
EDGE = 160  # first column of the back
ROWS = np.arange(20, 108, 12)  # of strands
INSIDE = slice(12, -12)


def strands(rows=ROWS, length=5, share=0.8):
    """Share of the front (H, W): a half plane with strands, two pixels wide, to its right."""
    found = np.zeros(SIZE, np.float32)
    found[:, :EDGE] = 1
    for row in rows:
        found[row : row + 2, EDGE : EDGE + length] = share
    return found


def photo(share, back=BACK, grain=2.0):
    """Image (1, 3, H, W), and the disparity of the half plane alone."""
    image = share[..., None] * FRONT + (1 - share[..., None]) * back
    image = image + np.random.default_rng(0).normal(0, grain, image.shape)
    image = torch.from_numpy((image / 255).clip(0, 1).astype(np.float32)).permute(2, 0, 1)[None]
    disparity = np.full(SIZE, FAR, np.float32)
    disparity[:, :EDGE] = NEAR
    return image.contiguous(), torch.from_numpy(disparity)[None, None]


def rough_wall():
    """A back (H, W, 3) whose own colours reach to the front's."""
    noise = np.random.default_rng(1).normal(0, 1, (*SIZE, 1)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 1.0)
    return BACK + (BACK - FRONT) * 0.6 * noise[..., None] / noise.std()


def alphas(image, disparity):
    """Alpha (H, W) of the rim points in [0, 1], 0 elsewhere."""
    rims = find_rims(disparity, image)
    alpha = np.zeros(SIZE[0] * SIZE[1])
    alpha[rims.pixel.numpy()] = rims.colors[:, 3].numpy().clip(0, 254) / 254
    return alpha.reshape(SIZE)


def without_hair(monkeypatch):
    monkeypatch.setattr(rims_module, "find_hair", lambda *_: None)


def front_share(frame):
    """Share of the front's colour in a frame (H, W)."""
    return (frame - BACK) @ (FRONT - BACK) / ((FRONT - BACK) ** 2).sum()


def test_strands_have_their_share():
    share = strands()
    found = alphas(*photo(share))[:, EDGE + 1 : EDGE + 6]
    there = share[:, EDGE + 1 : EDGE + 6] > 0
    assert found[there].min() > 0.6 and found[there].mean() == pytest.approx(0.8, abs=0.08)
    assert found[~there].max() < 0.1


@pytest.mark.parametrize("hair", [True, False])
def test_strands_move_with_the_front_and_leave_nothing_behind(hair, monkeypatch):
    """Without hair they stay on the wall: that is what it is for."""
    if not hair:
        without_hair(monkeypatch)
        # Blocks of texture would repeat what is left behind, by chance where the front's stand.
        monkeypatch.setattr("utils.scene.patches.replace_weak", lambda *given: given[3])
    image, disparity = photo(strands(), grain=0)
    scene = Scene(image, disparity, 160.0, 120.0)
    scene.inpaint(FarSide(), (-22.0, 0, 0))
    frame, _ = scene.render((-20.0, 0, 0))  # the front by 16 px to the left, the wall by 4
    shown = front_share(frame.astype(float))[INSIDE]
    with_front, left_behind = shown[:, EDGE - 16 : EDGE - 11], shown[:, EDGE - 4 : EDGE + 1]
    wanted = strands()[INSIDE, EDGE : EDGE + 5]
    assert (np.abs(with_front - wanted).mean() < 0.03) == hair
    assert (left_behind.max() < 0.1) == hair


def test_hair_ends_at_two_percent_of_the_long_side():
    found = alphas(*photo(strands(ROWS[::3], length=9)))[ROWS[::3]]
    assert found[:, EDGE + 5].min() > 0.6 and found[:, EDGE + 7 :].max() == 0


@pytest.mark.parametrize(
    "what", ["nothing", "a patch", "specks", "a rough wall", "little contrast", "another colour"]
)
def test_what_is_no_hair_leaves_rims_as_they_are(what, monkeypatch):
    share, back = strands(()), BACK
    if what == "a patch":
        share[40:80, EDGE : EDGE + 6] = 0.9
    if what == "specks":
        share[20:100:8, EDGE + 5] = 0.9
    image, disparity = photo(share, back)
    if what == "a rough wall":
        image, disparity = photo(strands(), rough_wall())
    if what == "little contrast":
        image, disparity = photo(strands(), FRONT + 15)
    if what == "another colour":
        image[:, :, ROWS[0] : ROWS[0] + 2, EDGE : EDGE + 5] = torch.tensor([0.9, 0.2, 0.1])[
            None, :, None, None
        ]
    found = find_rims(disparity, image)
    without_hair(monkeypatch)
    for one, other in zip(found, find_rims(disparity, image), strict=True):
        assert torch.equal(one, other)


def test_scene_with_hair_at_rest_is_the_photo():
    image, disparity = photo(strands())
    frame, holes = Scene(image, disparity, 160.0, 120.0).render((0, 0, 0))
    error = np.abs(frame - (image[0].permute(1, 2, 0) * 255).round().numpy())
    assert not holes.any() and np.quantile(error, 0.99) <= 2 and error.mean() < 0.25


@pytest.mark.parametrize("steps", [0, 1, 3, 40])
def test_paths_are_those_of_a_naive_loop(steps):
    rng = np.random.default_rng(steps)
    share = (rng.random((31, 45)) * (rng.random((31, 45)) < 0.7)).astype(np.float32)
    side = rng.random((31, 45)) < 0.01
    want = np.where(side, share, np.float32(0))
    for _ in range(steps + 1):
        around = np.pad(want, 1)
        moved = [around[y : y + 31, x : x + 45] for y in range(3) for x in range(3)]
        want = np.minimum(np.max(moved, axis=0), share)
    np.testing.assert_array_equal(reached(share, side, steps), want)
