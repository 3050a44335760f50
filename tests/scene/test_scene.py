"""The scene: what a person sees when the camera moves through one photo."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.pointcloud_inpainting import Inpaint
from models.roles import Inpainting
from utils.camera import CropWindow, complete_windows, nearest_depth, published_path
from utils.scene import Matte, cloud
from utils.scene.cloud import (
    DISPARITY_FLOOR,
    INPAINT_PIXELS,
    Scene,
    scale_disparity,
)
from utils.scene.edges import surface_mask
from utils.scene.filling import far_guesses, fill_from_far
from utils.scene.rules import FarSide

RED, GREEN, BLUE = (1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)


def flat(color, size=(48, 64)):
    return torch.tensor(color).view(1, 3, 1, 1).expand(1, 3, *size).clone()


def pillar_scene(size=(48, 64), near=100.0, far=20.0, rims=True):
    """A red pillar in front of a green wall."""
    image, disparity = flat(GREEN, size), torch.full((1, 1, *size), far)
    image[..., 26:38] = torch.tensor(RED).view(1, 3, 1, 1)
    disparity[..., 26:38] = near
    return Scene(image, disparity, 32.0, 120.0, rims)


# -- disparity ----------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.floats(0.01, 1000), st.floats(-50, 50))
@settings(max_examples=50, deadline=None)
def test_scaled_disparity_keeps_order_and_ends_at_the_baseline(seed, scale, offset):
    values = torch.randn(1, 1, 5, 7, generator=torch.Generator().manual_seed(seed))
    scaled = scale_disparity(values * scale + offset, 120.0)
    assert scaled.amin() >= DISPARITY_FLOOR * 120 - 1e-4
    assert scaled.amax() == pytest.approx(120.0, rel=1e-5)
    order = values.flatten().argsort()
    assert (scaled.flatten()[order].diff() >= -1e-3).all()


def test_flat_disparity_lies_at_the_nearest_depth():
    assert (scale_disparity(torch.zeros(1, 1, 4, 4), 120.0) == 120).all()


def test_surface_mask_drops_the_far_side_of_an_edge_only():
    disparity = torch.tensor([[10.0, 10, 10, 100, 100, 10, 10]]).expand(1, 1, 4, 7)
    kept = surface_mask(disparity)[0, 0, 1]
    assert kept.tolist() == [True, True, False, True, True, False, True]


def test_surface_mask_keeps_a_thin_wire():
    disparity = torch.full((1, 1, 9, 9), 10.0)
    disparity[..., 4] = 100
    assert surface_mask(disparity)[..., 4].all()


# -- rendering ----------------------------------------------------------------------------------


def test_still_camera_shows_the_photo():
    image = torch.rand(1, 3, 40, 60, generator=torch.Generator().manual_seed(1))
    scene = Scene(image, torch.full((1, 1, 40, 60), 100.0), 30.0, 120.0)
    frame, holes = scene.render((0, 0, 0))
    photo = (image[0].permute(1, 2, 0) * 255).round().numpy()
    assert not holes.any()
    assert np.abs(frame - photo).max() <= 1


def test_near_things_move_farther_than_far_things():
    scene = pillar_scene()
    shift = (4.0, 0, 0)
    frame, _ = scene.render(shift)
    red = (frame[24, :, 0] > 200).nonzero()[0]
    # A point of disparity d moves by shift * d / baseline pixels, times focal over focal.
    assert red.min() == pytest.approx(26 + 4 * 100 / 120, abs=1)
    assert len(red) == pytest.approx(12, abs=1)


def test_moving_aside_uncovers_only_the_far_side():
    _, holes = pillar_scene().render((6.0, 0, 0), fill=False)
    columns = holes[24].nonzero()[0]
    assert len(columns) and columns.max() < 34  # the camera saw behind the left flank of the pillar


def test_view_can_be_larger_than_the_photo_without_cracks():
    scene = Scene(flat(BLUE), torch.full((1, 1, 48, 64), 100.0), 32.0, 120.0)
    frame, holes = scene.render((0, 0, 0), size=(144, 192))
    assert frame.shape == (144, 192, 3)
    assert not holes.any()
    assert (frame[..., 2] == 255).all()


def test_deep_zoom_shows_no_background_through_the_foreground():
    image, disparity = flat(GREEN, (96, 128)), torch.full((1, 1, 96, 128), 10.0)
    image[:, :, 30:66, 40:88] = torch.tensor(RED).view(1, 3, 1, 1)
    disparity[:, :, 30:66, 40:88] = 120.0
    scene = Scene(image, disparity, 64.0, 120.0)
    frame, _ = scene.render((0, 0, -0.7 * nearest_depth(scene.depth)))
    assert (frame[10:86, 14:114, 0] == 255).all()
    assert (frame[10:86, 14:114, 1] == 0).all()


def test_same_scene_same_bytes_in_any_number_of_threads():
    from concurrent.futures import ThreadPoolExecutor

    scene = pillar_scene()
    scene.inpaint(FarSide(), (4.0, 0, 0))
    alone = scene.render((3.0, 1.0, -2.0))[0].tobytes()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: scene.render((3.0, 1.0, -2.0))[0].tobytes(), range(8)))
    assert set(together) == {alone}


# -- inpainting ---------------------------------------------------------------------------------


def test_rule_continues_the_wall_behind_the_pillar():
    scene = pillar_scene()
    assert scene.inpaint(FarSide(), (6.0, 0, 0)) > 0
    frame, holes = scene.render((5.0, 0, 0), fill=False)
    assert not holes[8:40, 8:56].any()
    red = (frame[24, :, 0] > 100).sum()
    assert red == pytest.approx(12, abs=1), "the pillar is smeared into the hole"


def test_inpainted_points_lie_on_the_wall():
    """They move with it afterwards: a depth that is off would open the seam again."""
    scene = pillar_scene()
    before = scene.cloud()[0].shape[1]
    scene.inpaint(FarSide(), (6.0, 0, -3.0))
    added = scene.cloud()[0][:, before:]
    wall = 32.0 * 120 / 20
    np.testing.assert_allclose(added[2], wall, rtol=1e-4)


def test_nothing_is_invented_behind_the_moved_camera():
    """A hole that a network puts nearer than the camera went would be seen mirrored."""

    class TooNear:
        def inpaint(self, view):
            picture, known = view.render(view.photo)
            return Inpainting(picture[:, :3], torch.full_like(known, 400.0), known)

    scene = pillar_scene(rims=False)
    assert scene.inpaint(TooNear(), (-60.0, 0, -20.0)) == 0


def test_inpainting_follows_the_dolly_focal():
    scene = pillar_scene(rims=False)
    before = scene.cloud()[0].shape[1]
    scene.inpaint(FarSide(), (0, 0, -20.0), focal_px=20.0)
    added = scene.cloud()[0][:, before:]
    u = added[0] * 20.0 / (added[2] - 20.0)
    assert added.shape[1] > 0 and np.abs(u - np.round(u * 2) / 2).max() < 1e-3  # pixel centres


def test_network_fills_colour_and_second_network_gives_the_disparity():
    class Painter(Inpaint):
        """Paints every pixel blue, at a disparity of its own."""

        def forward(self, image, disparity, mask, context=None, statistics=None):
            one = torch.ones_like(mask)
            return (
                super()
                .forward(image, disparity, mask, context, statistics)
                ._replace(
                    image=torch.cat([0 * one, 0 * one, one], dim=1), disparity=self.level * one
                )
            )

    colour, depth = Painter((8, 8), context_channels=4), Painter((8, 8), context_channels=4)
    colour.level, depth.level = 20.0, 40.0
    for second, z in ((None, 32.0 * 120 / 20), (depth, 32.0 * 120 / 40)):
        scene = pillar_scene(rims=False)
        before = scene.cloud()[0].shape[1]
        scene.inpaint(colour.eval(), (6.0, 0, 0), disparity_inpainter=second and second.eval())
        points, colors, _ = scene.cloud()
        assert (colors[before:] == (0, 0, 255)).all()
        np.testing.assert_allclose(points[2, before:], z, rtol=1e-4)


def test_large_photo_is_inpainted_at_bounded_size(monkeypatch):
    monkeypatch.setattr("utils.scene.cloud.INPAINT_PIXELS", 48 * 64 // 4)
    scene = pillar_scene()
    assert scene.inpaint(FarSide(), (6.0, 0, 0)) > 0
    frame, holes = scene.render((5.0, 0, 0), fill=False)
    # Coarser points cover the hole but for a column beside the pillar, one of 48.
    assert holes[8:40, 8:56].mean() < 0.025
    depth = scene.cloud()[0][2, scene.photo_points :]
    np.testing.assert_allclose(depth, 32.0 * 120 / 20, rtol=1e-4)  # the wall's
    assert INPAINT_PIXELS >= 1024 * 768


# -- filling by rule ----------------------------------------------------------------------------


def test_filling_prefers_the_far_side_even_if_the_object_encloses_the_hole():
    view = torch.zeros(1, 4, 21, 21)
    view[:, 1], view[:, 3] = 1, 10.0  # green and far
    view[:, 0, 4:17, 4:17], view[:, 1, 4:17, 4:17], view[:, 3, 4:17, 4:17] = 1, 0, 100.0
    known = torch.ones(1, 1, 21, 21)
    known[..., 9:12, 6:17] = 0  # a cut into the red block, open to the right
    filled = fill_from_far(view, known)
    # All but the innermost corners, whose shortest line is far shorter than the way out.
    torch.testing.assert_close(filled[0, 1, 9:12, 7:17], torch.ones(3, 10))
    torch.testing.assert_close(filled[0, 3, 9:12, 7:17], torch.full((3, 10), 10.0))


def test_filling_keeps_what_is_known_and_survives_nothing_known():
    view, known = torch.rand(1, 4, 9, 9), (torch.rand(1, 1, 9, 9) > 0.5).float()
    filled = fill_from_far(view, known)
    assert torch.equal(filled * known, view * known)
    assert torch.equal(fill_from_far(view, torch.zeros(1, 1, 9, 9)), view)


def test_mirrored_guess_continues_the_texture_of_the_far_side():
    """Stripes of four px on the left of a hole, a near wall on its right."""
    view = torch.zeros(1, 4, 31, 24)
    view[:, 0], view[:, 3] = (torch.arange(24) // 4 % 2).float(), 10.0
    view[..., 16:] = torch.tensor([0.0, 0.0, 1.0, 100.0]).view(1, 4, 1, 1)
    known = torch.ones(1, 1, 31, 24)
    known[..., 8:16] = 0
    streak, mirrored, mean = far_guesses(view, known)[0, :, :, 15]
    row = view[0, 0, 15]
    assert (streak[0, 8:16] == row[7]).all()
    assert torch.equal(mirrored[0, 8:16], row[:8].flip(0))
    assert (mirrored[3, 8:16] == 10).all() and torch.allclose(
        mean[3], torch.tensor(10.0).where(torch.arange(24) < 16, torch.tensor(100.0))
    ), "the near wall has no say"


def test_filling_is_the_mean_of_what_is_around():
    """A hole in a black and white checkerboard of one depth becomes grey in its middle."""
    view = torch.full((1, 4, 21, 21), 10.0)
    view[:, :3] = ((torch.arange(21)[:, None] + torch.arange(21)) % 2).float()
    known = torch.ones(1, 1, 21, 21)
    known[..., 6:15, 6:15] = 0
    filled = fill_from_far(view, known)[0]
    assert 0.2 < filled[0, 9:12, 9:12].min() and filled[0, 9:12, 9:12].max() < 0.8
    assert torch.allclose(filled[3], torch.tensor(10.0))


def test_mirror_turns_back_where_its_surface_ends():
    view = torch.rand(1, 4, 31, 12)
    view[0, 3] = torch.tensor([90.0, 90, 90, 10, 10, 10, 0, 0, 0, 0, 0, 90])
    known = torch.ones(1, 1, 31, 12)
    known[..., 6:11] = 0
    mirrored = far_guesses(view, known)[0, 1, :, 15]
    # Three pixels of the surface, from the hole's edge inwards and back again: 5 4 3 4 5.
    assert torch.equal(mirrored[:, 6:11], view[0, :, 15, [5, 4, 3, 4, 5]])


# -- input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "disparity", "message"),
    [
        (torch.zeros(3, 8, 8), torch.ones(1, 1, 8, 8), r"image must be \(1, 3, H, W\)"),
        (torch.zeros(1, 3, 8, 8), torch.ones(1, 1, 8, 9), r"\(1, 1, 8, 8\) like the image"),
        (torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8), "finite and positive"),
        (torch.zeros(1, 3, 8, 8), torch.full((1, 1, 8, 8), float("nan")), "finite and positive"),
    ],
)
def test_unfit_input_is_named(image, disparity, message):
    with pytest.raises(ValueError, match=message):
        Scene(image, disparity, 4.0, 120.0)


def test_film_of_a_real_photo_has_no_black_and_keeps_its_colours():
    data = pytest.importorskip("skimage.data")
    photo = torch.from_numpy(data.chelsea()[:300, :448].copy()).permute(2, 0, 1)[None] / 255
    rows = torch.linspace(0.2, 1, 300).view(1, 1, -1, 1).expand(1, 1, 300, 448)
    scene = Scene(photo, scale_disparity(rows, 120.0), 224.0, 120.0)
    start, end, *_ = complete_windows((300, 448))
    path = published_path(start, end, (300, 448), nearest_depth(scene.depth), 224.0)
    pose = path.pose(1)
    frame, holes = scene.render(pose.shift, path.view_focal_px(pose, (300, 448)), (300, 448))
    assert holes.mean() < 0.001
    middle = photo[0].permute(1, 2, 0).numpy()[30:-30, 40:-40].mean((0, 1)) * 255
    np.testing.assert_allclose(frame.mean((0, 1)), middle, atol=12)


def test_window_of_the_whole_photo_shows_the_whole_photo():
    image = torch.rand(1, 3, 40, 60, generator=torch.Generator().manual_seed(2))
    scene = Scene(image, torch.full((1, 1, 40, 60), 100.0), 30.0, 120.0)
    whole = CropWindow(30, 20, 60, 40)
    path = published_path(whole, whole, (40, 60), nearest_depth(scene.depth), 30.0)
    frame, _ = scene.render(path.pose(0).shift, path.view_focal_px(path.pose(0), (40, 60)))
    assert np.abs(frame - (image[0].permute(1, 2, 0) * 255).round().numpy()).max() <= 1


# -- matte --------------------------------------------------------------------------------------


def test_matte_is_white_just_where_the_photo_shows_nothing():
    scene = pillar_scene()
    shift = (12.0, 0.0, -8.0)
    photo_alone, holes = scene.render(shift, fill=False)
    scene.inpaint(FarSide(), shift)
    frame, left = scene.render(shift)
    matte, _ = Matte(scene).render(shift, None, None)
    assert left.sum() < holes.sum(), "the inpainting filled nothing"
    assert (matte[holes] > 127).all(), "invented or filled by rule, less than half of it rim"
    greyed = holes & (matte[..., 0] < 255)
    assert (greyed.sum(axis=1) <= 1).all(), "in a row only the rim of the pillar may be grey"
    known = ~holes & (frame == photo_alone).all(axis=2)
    assert (matte[known] < 255).all() and matte[known].mean() < 10
    assert frame[holes].any(), "the scene keeps its colours"


# -- lens ---------------------------------------------------------------------------------------


LENS = (-10 / 32, -4 / 32)  # 10 px to the left and 4 px up, in the photo of a pillar


def test_shifted_lens_moves_the_picture_and_uncovers_nothing():
    scene = pillar_scene()
    first, holes = scene.render((0, 0, 0), fill=False)
    second, aside = scene.render((0, 0, 0), fill=False, lens=LENS)
    assert np.abs(second[4:, 10:].astype(int) - first[:-4, :-10]).max() <= 1
    assert (aside[4:, 10:] == holes[:-4, :-10]).all()


def test_scene_is_inpainted_where_a_shifted_lens_sees_it_uncovered():
    scene, shift = pillar_scene(), (10.5, 1.0, -8.0)
    view = {"shift": shift, "size": (24, 32), "focal_px": 32.0, "lens": LENS}
    before = scene.render(**view)[1].sum()
    assert scene.inpaint(FarSide(), shift, lens=LENS) > 0
    assert scene.render(**view)[1].sum() < 0.2 * before


# -- what is invented must not hide what is known -------------------------------------------------


@pytest.mark.parametrize("lens", [(0.0, 0.0), (-34 / 64, -26 / 64)])
def test_inpainting_hides_nothing_that_the_photo_shows(lens):
    """A near disc at the border: its colour is continued outside, which lies before the wall."""
    rows, columns = torch.meshgrid(torch.arange(96), torch.arange(128), indexing="ij")
    disc = ((rows - 16) ** 2 + (columns - 64) ** 2 < 24**2)[None, None]
    image = torch.where(
        disc, torch.tensor(RED).view(1, 3, 1, 1), torch.tensor(GREEN).view(1, 3, 1, 1)
    )
    scene = Scene(image, torch.where(disc, 120.0, 30.0), 64.0, 120.0)
    before, holes = scene.render((0, 0, 0), fill=False)
    # The end of a dolly zoom: nearer, with a wider lens, so that much outside the photo is seen.
    assert scene.inpaint(FarSide(), (0, 0, -40.0), 24.0, lens=lens) > 1000
    after, _ = scene.render((0, 0, 0), fill=False)
    changed = (np.abs(after.astype(int) - before).max(axis=2) > 40) & ~holes
    assert changed.mean() < 0.005


def test_nothing_is_invented_on_a_surface_that_the_photo_shows():
    """A photo larger than what is inpainted at: at outlines its small copy mixes both colours."""
    rows, columns = torch.meshgrid(torch.arange(480), torch.arange(640), indexing="ij")
    disc = ((rows - 240) ** 2 + (columns - 320) ** 2 < 130**2)[None, None]
    image = torch.where(disc, *(torch.tensor(c).view(1, 3, 1, 1) for c in (RED, GREEN)))
    image = torch.nn.functional.avg_pool2d(image, 3, 1, 1)  # as a lens does
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cloud, "INPAINT_PIXELS", 200 * 150)
        scene = Scene(image, torch.where(disc, 120.0, 30.0), 320.0, 120.0)
        assert scene.inpaint(FarSide(), (-40.0, 0, -20.0)) > 500
    x, y, z = scene.inpainted().points
    column = np.rint(x * 320 / z + 319.5).astype(int).clip(0, 639)
    row = np.rint(y * 320 / z + 239.5).astype(int).clip(0, 479)
    in_front = 320 * 120 / z > 60
    assert not (in_front & disc[0, 0].numpy()[row, column]).any()


def test_a_copy_grows_by_itself():
    image, disparity = torch.rand(1, 3, 24, 32), torch.full((1, 1, 24, 32), 40.0)
    disparity[..., 6:18, 10:20] = 120
    scene, alone = (Scene(image, disparity, 16.0, 120.0) for _ in range(2))
    twin, shift = scene.copy(), (-2.0, 0, 0)
    added = twin.inpaint(FarSide(), shift)
    twin.close_surfaces([{"shift": shift, "focal_px": 32.0, "size": (48, 64)}])
    for part, own in zip(scene.cloud(closed=True), alone.cloud(closed=True), strict=True):
        np.testing.assert_array_equal(part, own)
    assert scene.inpaint(FarSide(), shift) == added > 0, "what lies behind is not taken away either"
