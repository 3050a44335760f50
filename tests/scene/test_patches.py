"""Texture in holes: a pattern goes on behind an object, and nothing else changes."""

import cv2
import numpy as np
import pytest
import torch

from kernels import threads
from utils.camera import (
    MOVES,
    CropWindow,
    Stage,
    aspect_box,
    depth_range,
    find_focus,
    nearest_depth,
)
from utils.scene import FarSide
from utils.scene.cloud import Scene
from utils.scene.filling import fill_from_far
from utils.scene.making import grow
from utils.scene.patches import add_texture
from utils.weights.chosen import Networks

HEIGHT, WIDTH = 120, 160


def _striped(height=HEIGHT, width=WIDTH):
    """A wall of slanted stripes, (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    wave = 0.5 + 0.35 * np.sin((x + 0.5 * y) * 2 * np.pi / 9)
    return np.stack([wave, 0.8 * wave, 0.5 * wave], axis=-1).astype(np.float32)


def _bricks():
    """A wall of bricks with dark joints."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    joint = (y % 12 < 2) | ((x + 10 * (y // 12 % 2)) % 20 < 2)
    return np.where(joint[..., None], [0.2, 0.2, 0.2], [0.7, 0.35, 0.25]).astype(np.float32)


def _waves(seed=2):
    """Water: blobs four times as wide as high, no two alike."""
    rough = np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH)).astype(np.float32)
    waves = cv2.GaussianBlur(rough, (0, 0), sigmaX=4, sigmaY=1)
    return 0.5 + 0.12 * waves[..., None] / waves.std() * np.array([0.6, 0.8, 1], np.float32)


def _holed(wall):
    """The wall with a hole 18 px wide beside a magenta post, as tensors: view, known, truth."""
    disparity = np.full((HEIGHT, WIDTH), 10, np.float32)
    truth = np.concatenate([wall, disparity[..., None]], axis=-1)
    truth[30:90, 60:80] = (1, 0, 1, 60)
    known = np.ones((HEIGHT, WIDTH), np.float32)
    known[30:90, 80:98] = 0
    truth = torch.from_numpy(truth).permute(2, 0, 1)[None].contiguous()
    known = torch.from_numpy(known)[None, None]
    return truth * known, known, truth


def _both(wall):
    view, known, truth = _holed(wall)
    rule = fill_from_far(view, known)
    return rule, add_texture(rule, known), known, truth


def _energy(image, known):
    inner = (known[..., 1:] + known[..., :-1]) == 0
    return float((torch.diff(image[:, :3], dim=3) ** 2 * inner).sum())


@pytest.mark.parametrize("wall", [_striped, _bricks])
def test_a_pattern_goes_on_behind_an_object(wall):
    rule, textured, known, truth = _both(wall())
    errors = [float((((x - truth)[:, :3] ** 2) * (1 - known)).sum()) for x in (rule, textured)]
    assert errors[1] < 0.4 * errors[0]
    energies = [_energy(x, known) / _energy(truth, known) for x in (rule, textured)]
    assert energies[0] < 0.5 and 0.55 < energies[1] < 1.2


def test_waves_go_on_though_every_patch_says_something_else():
    energies = []
    for seed in range(2, 6):
        *filled, known, truth = _both(_waves(seed))
        energies.append([_energy(x, known) / _energy(truth, known) for x in filled])
    assert energies[0][0] < 0.5 and 0.6 < energies[0][1] < 1.3
    # One hole may repeat what is calmer or livelier than the truth behind it; many do not.
    assert 0.7 < np.mean(energies, axis=0)[1] < 1.3


def test_blocks_replace_what_patches_leave_weak(monkeypatch):
    """Here patches say nothing at all."""
    monkeypatch.setattr("utils.scene.patches.vote", lambda *given: given[-1].doubt.fill(np.inf))
    _, blocks, known, truth = _both(_waves())
    monkeypatch.setattr("utils.scene.patches.replace_weak", lambda *given: given[3])
    _, neither, _, _ = _both(_waves())
    energies = [_energy(x, known) / _energy(truth, known) for x in (neither, blocks)]
    assert energies[0] < 0.5 and 0.6 < energies[1] < 1.3


def test_a_calm_wall_stays_calm_beside_a_busy_one():
    """Of the same depth and mean colour: what hangs on the wall is not repeated elsewhere on it."""
    wall = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    wall[:, :50] = _waves()[:, :50]
    wall += np.random.default_rng(5).normal(0, 0.01, wall.shape).astype(np.float32)
    _, textured, known, _ = _both(wall)
    holes = (known == 0).expand(1, 3, HEIGHT, WIDTH)
    assert textured[:, :3][holes].std() < 0.03, "the busy part is off by 0.12"


def test_what_is_known_stays_to_the_bit():
    rule, textured, known, _ = _both(_bricks())
    keep = (known > 0).expand_as(rule)
    assert torch.equal(textured[keep], rule[keep])


def test_the_object_has_no_say():
    _, before, known, _ = _both(_bricks())
    view, _, _ = _holed(_bricks())
    view[:, :3, 30:90, 60:80] = torch.tensor([0.0, 1, 0]).view(1, 3, 1, 1)  # green, not magenta
    after = add_texture(fill_from_far(view, known), known)
    holes = (known == 0).expand_as(after)
    assert torch.equal(before[holes], after[holes])


def test_disparity_stays_the_rules():
    rule, textured, _, _ = _both(_bricks())
    assert torch.equal(textured[:, 3], rule[:, 3])


@pytest.mark.parametrize("wall", [_bricks, _waves])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_any_number_of_threads_gives_the_same(count, wall, monkeypatch):
    expected = _both(wall())[1]
    monkeypatch.setenv("OMP_NUM_THREADS", str(count))
    assert threads.thread_count() == count
    assert torch.equal(_both(wall())[1], expected)


def test_without_a_whole_patch_of_the_surface_the_rule_stays():
    view, known, _ = _holed(_bricks())
    known[..., ::5, :] = known[..., ::5] = 0  # known squares of 4 px: no patch is whole
    rule = fill_from_far(view * known, known)
    rule[:, :3] = rule[:, :3].clamp(0, 1)
    torch.testing.assert_close(add_texture(rule, known), rule, atol=1e-6, rtol=0)


def test_nothing_to_fill_and_nothing_known():
    view, known, truth = _holed(_bricks())
    assert torch.equal(add_texture(truth, torch.ones_like(known)), truth)
    assert torch.equal(add_texture(view, torch.zeros_like(known)), view)


def test_only_what_is_wanted_gets_texture():
    rule, everywhere, known, _ = _both(_bricks())
    wanted = torch.zeros_like(known, dtype=torch.bool)
    wanted[..., :60, :] = True
    chosen = add_texture(rule, known, wanted)
    assert torch.equal(chosen[..., 60:, :], rule[..., 60:, :])
    assert not torch.equal(chosen[..., :60, :], rule[..., :60, :])
    inner = slice(30, 50)  # away from the seam it is what it would be anyway
    assert (chosen - everywhere)[:, :3, inner].abs().mean() < 0.1 * (rule - everywhere)[
        :, :3, inner
    ].abs().mean()


def test_a_crack_keeps_the_rule():
    view, known, _ = _holed(_bricks())
    known[..., 10:110, 30:32] = 0
    rule = fill_from_far(view * known, known)
    textured = add_texture(rule, known)
    assert torch.equal(textured[..., 30:32], rule[..., 30:32])
    assert not torch.equal(textured[..., 80:98], rule[..., 80:98])


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 7), (9, 131)])
def test_small_and_odd_views_are_filled(size):
    view = torch.rand(1, 4, *size, generator=torch.Generator().manual_seed(1)) + 0.1
    known = torch.ones(1, 1, *size)
    known[..., size[1] // 3 : size[1] // 2] = 0
    filled = add_texture(fill_from_far(view * known, known), known)
    assert filled.shape == view.shape and torch.isfinite(filled).all()


def test_the_grain_of_a_photo_is_found_in_its_holes_too():
    noise = torch.rand(HEIGHT, WIDTH, 1, generator=torch.Generator().manual_seed(2)).numpy()
    wall = (0.5 + 0.1 * (noise - 0.5) + np.zeros(3)).astype(np.float32)
    rule, textured, known, truth = _both(wall)
    assert _energy(textured, known) > 0.4 * _energy(truth, known)
    assert _energy(rule, known) < 0.2 * _energy(truth, known)


def _scene():
    """A post before a wall of bricks."""
    view, _, truth = _holed(_bricks())
    return Scene(truth[:, :3], truth[:, 3:], focal_px=80.0, baseline=60.0)


def test_a_second_pose_agrees_with_the_first():
    scene = _scene()
    shift = (12.0, 0.0, 0.0)
    first = scene.inpaint(FarSide(), shift)
    frame, _ = scene.render(shift)
    assert first > 500
    # The same pose again adds but the rim of what stays empty, and shows the same.
    again = scene.inpaint(FarSide(), shift)
    assert again < 0.1 * first
    difference = np.abs(scene.render(shift)[0].astype(int) - frame)
    assert (difference.max(axis=2) > 8).mean() < 0.003


@pytest.mark.parametrize("move", ["zoom-in", "dolly"])
def test_texture_is_spared_only_where_no_frame_shows_it(move, monkeypatch):
    limited, whole, plain = _scene(), _scene(), _scene()
    start, end = CropWindow(75, 60, 112, 84), CropWindow(95, 60, 96, 72)
    focus = find_focus(limited.depth, 70, 60)
    stage = Stage(
        limited.size, limited.focal_px, focus, nearest_depth(limited.depth), start, end,
        depth_range(limited.depth), aspect_box(limited.size, 3 / 4), sized=True,
    )  # fmt: skip
    path = MOVES[move].plan(stage)
    grow(limited, path, Networks(), limited.size)
    for pose in path.inpainting_poses():
        whole.inpaint(FarSide(), pose.shift, pose.focal_px, None, pose.lens)
    monkeypatch.setattr("utils.scene.rules.add_texture", lambda filled, *_: filled)
    grow(plain, path, Networks(), plain.size)
    assert (limited.cloud()[1] != whole.cloud()[1]).any(), "nothing was spared"
    off = [0, 0]
    for t in (0, 0.3, 1):
        frames = [one.render(**path.view(t, (90, 120)))[0] for one in (limited, plain, whole)]
        for index in range(2):
            off[index] += np.abs(frames[index].astype(int) - frames[2]).sum()
    assert off[1] > 10000 and off[0] < 0.2 * off[1], off


def test_nothing_pops_when_both_ends_have_uncovered_the_same():
    # The farther pose sees all that the nearer one did.
    alone, both = _scene(), _scene()
    alone.inpaint(FarSide(), (8.0, 0.0, 0.0))
    both.inpaint(FarSide(), (8.0, 0.0, 0.0))
    both.inpaint(FarSide(), (14.0, 0.0, 0.0))
    shift = (8.0, 0.0, 0.0)
    difference = np.abs(alone.render(shift)[0].astype(int) - both.render(shift)[0])
    assert (difference.max(axis=2) > 8).mean() < 0.002
