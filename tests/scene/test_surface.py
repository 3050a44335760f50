"""Which neighbours are one surface, and that it stays closed when the camera comes near."""

from unittest.mock import patch

import numpy as np
import pytest
import torch

from benchmarks.surfaces import DIRECTIONS, drawn, path_of, seen_through
from utils.camera import BASELINE
from utils.camera.shortening import TIMES, invented_shares, kept_part
from utils.scene import FarSide, Matte, Scene, StereoScene, ViewDepth, closing, connected
from utils.scene.edge_sides import find_edges
from utils.scene.edges import surface_mask
from utils.scene.rgbd import RgbdScene


def test_neighbours_hang_together_up_to_a_step():
    """Pairs below the step, both kept; against a far ground half a step cuts already."""
    disparity = np.float32([[100, 96, 88], [100, 99, 99], [4, 8.5, 99]])
    kept = np.ones((3, 3), bool)
    kept[0, 0] = False
    right, down = connected(disparity, kept, limit=6)
    assert right.tolist() == [[False, False], [True, True], [False, False]]
    assert down.tolist() == [[False, True, False], [False, False, True]]


def test_the_step_is_a_share_of_the_largest_disparity():
    """As for edges: 6 %."""
    kept = np.ones((1, 2), bool)
    assert connected(np.float32([[120, 113]]), kept)[0].all()
    assert not connected(np.float32([[120, 112]]), kept)[0].any()


@pytest.mark.parametrize("angle", [0, 20, 45, 75])
def test_a_ramp_is_an_edge_and_a_slope_is_none(angle):
    """Both rise by most of a step a pixel: the ramp for 4 px, the slope for 12."""
    y, x = np.mgrid[:40, :40]
    across = (x - 20) * np.cos(np.radians(angle)) + (y - 20) * np.sin(np.radians(angle))
    for length, found in ((0, True), (4, True), (12, False)):
        rise = 6 * np.clip(across + length / 2, 0, length) if length else 24 * (across > 0)
        disparity = (30 + rise).astype(np.float32)
        edges = find_edges(disparity, np.float32(7.2))
        pixels = np.zeros(0, int) if edges is None else edges.pixels
        near = np.abs((pixels // 40, pixels % 40) - np.array([[20], [20]])).max(axis=0) < 10
        assert near.any() == found, f"{length} px"
        mask = surface_mask(torch.from_numpy(disparity)[None, None], jump=7.2 / disparity.max())
        if length != 4:  # a step only between diagonal neighbours, if at all
            assert mask[..., 10:30, 10:30].all() != found


def test_the_ramps_of_a_map_that_was_enlarged_are_edges():
    """A map of 384 px has ramps of two pixels of its own, which are 10 px in a photo of 1920."""
    row = np.full(1920, 30, np.float32)
    row[900:] = 90
    row[900:910] += np.linspace(0, 60, 10, dtype=np.float32) - 60
    edges = find_edges(np.tile(row, (6, 1)), np.float32(7.2))
    assert {902, 905, 907} <= set(edges.pixels % 1920)
    assert find_edges(np.tile(row[800:1000], (6, 1)), np.float32(7.2)) is None


def test_a_step_on_a_slope_is_an_edge():
    """It rises by 4 a pixel all along, and by 20 at once in the middle."""
    row = 20 + 4 * np.arange(24, dtype=np.float32)
    row[12:] += 16
    edges = find_edges(np.tile(row, (24, 1)), np.float32(7.2))
    assert set(edges.pixels % 24) >= {11, 12}
    assert not set(edges.pixels % 24) & set(range(2, 7))


@pytest.mark.parametrize("rims", [True, False])
def test_a_scene_hangs_together_but_for_its_edges(rims):
    """A square before a wall: each of both is one piece, and nothing leads across."""
    disparity = torch.full((1, 1, 40, 50), 40.0)
    disparity[:, :, 12:28, 15:35] = 100
    scene = Scene(torch.rand(1, 3, 40, 50), disparity, 25.0, 100.0, rims=rims)
    for _ in range(2):
        (right, down), level = scene.connected(), scene.solid()[1][0, 0].numpy()
        assert not right[level[:, :-1] != level[:, 1:]].any()
        assert not down[level[:-1] != level[1:]].any()
        kept = scene.kept()[0, 0].numpy()
        both = kept[:, :-1] & kept[:, 1:] & (level[:, :-1] == level[:, 1:])
        assert right[both].all()
        assert both.mean() > 0.8
        scene.inpaint(FarSide(), (-20, 0, 0))
    assert scene.kept().all() == rims, "what lies behind rims came with the inpainting"


# -- closing --


def steep_wall(size=(240, 320), steepness=3.0, name="upright"):
    """A red wall whose relief changes by up to `steepness` a pixel, before a green ground."""
    image, disparity, box = drawn(size, steepness, DIRECTIONS[name])
    scene = Scene(image, disparity, max(size) / 2, BASELINE)
    return scene, path_of(scene, "zoom-in"), box


def ground_shown(scene, path, box):
    """The largest share of the wall that shows the ground in three frames."""
    return max(seen_through(scene, path.view(t, scene.size), box)[0] for t in (0, 0.5, 1))


def inpainted_walls(**kind):
    """The wall inpainted for its film, open and closed: scene, path and the wall's rectangle."""
    made = {}
    for closed in (False, True):
        made[closed] = scene, path, _ = steep_wall(**kind)
        if closed:
            scene.close_surfaces(path.views(scene.size))
        for pose in path.inpainting_poses():
            scene.inpaint(FarSide(), pose.shift, pose.focal_px, None, pose.lens)
    return made


@pytest.fixture(scope="module")
def walls():
    return inpainted_walls()


def test_a_wall_with_relief_hides_the_ground_from_near(walls):
    shares = [ground_shown(*wall) for wall in walls.values()]
    assert shares[0] > 0.01 and shares[1] < 0.0003


@pytest.mark.parametrize(("steepness", "name"), [(3.0, "slanted"), (6.8, "upright")])
def test_a_steep_wall_is_no_row_of_edges(steepness, name):
    """Its slopes span a step within 3x3, up to one in each pair, and are long."""
    scene, path, box = steep_wall((240, 320), steepness, name)
    scene.close_surfaces(path.views(scene.size))
    for pose in path.inpainting_poses():
        scene.inpaint(FarSide(), pose.shift, pose.focal_px, None, pose.lens)
    assert ground_shown(scene, path, box) < 0.0003


def test_closing_leaves_what_is_exported_alone():
    scene, path, _ = steep_wall()
    before = [part.copy() for part in scene.cloud()]
    scene.close_surfaces(path.views(scene.size))
    assert scene.cloud(closed=True)[0].shape[1] > before[0].shape[1]
    assert all(map(np.array_equal, before, scene.cloud()))


def test_what_no_frame_shows_is_left_open():
    """Relief all over the picture, of which the camera leaves the outer half."""
    wave = 60 + 22 * np.sin(np.arange(160) * 3 / 22, dtype=np.float32)
    disparity = torch.from_numpy(np.tile(wave, (1, 1, 120, 1)))
    disparity[0, 0, 0, 0] = BASELINE
    scene = Scene(torch.rand(1, 3, 120, 160), disparity, 80.0, BASELINE)
    path = path_of(scene, "zoom-in")
    scene.close_surfaces(path.views(scene.size))
    count = scene.cloud()[0].shape[1]
    x, y, z = np.asarray(scene.cloud(closed=True)[0])[:, count:]
    assert len(x) > 1000
    shown = np.zeros(len(x), bool)
    for t in np.linspace(0, 1, 33):
        view = path.view(t, scene.size)
        depth = z + view["shift"][2]
        for_each = zip((x, y), view["shift"], view["lens"], scene.size[::-1], strict=False)
        off = [np.abs(view["focal_px"] * ((at + s) / depth - slope)) - side / 2
               for at, s, slope, side in for_each]  # fmt: skip
        shown |= np.max(off, axis=0) < 0.12 * scene.size[1]
    assert shown.all()
    scene.close_surfaces([{**view, "size": None} for view in path.views(scene.size)])
    assert scene.cloud(closed=True)[0].shape[1] - count > 1.3 * len(x)


def test_points_between_lie_on_the_segment_of_their_neighbours():
    size = (6, 8)
    disparity = torch.full((1, 1, *size), 60.0)
    disparity[..., 4:] = 56.0  # less than a step of 7.2
    disparity[0, 0, 0, 0] = 120
    image = torch.zeros(1, 3, *size)
    image[:, 0, :, 4:] = 1.0
    scene = Scene(image, disparity, 8.0, BASELINE, rims=False)
    scene.close_surfaces([{"shift": (-40.0, 0.0, 0.0), "focal_px": 160.0}])
    count = scene.cloud()[0].shape[1]
    points, colors, _ = (np.asarray(part) for part in scene.cloud(closed=True))
    depth, red = points[2, count:], colors[count:, 0]
    assert len(depth) and (np.diff(np.sort(np.unique(red))) < 140).all()
    near, far = 8.0 * BASELINE / 60, 8.0 * BASELINE / 56
    assert (depth >= near * 0.999).all() and (depth <= far * 1.001).all()
    # Linear in disparity as in colour: half way in one is half way in the other.
    share = (60 - 8.0 * BASELINE / depth) / 4
    assert np.allclose(share, red / 255, atol=0.01)


def test_a_step_between_two_surfaces_stays_open():
    size = (24, 32)
    disparity = torch.full((1, 1, *size), 40.0)
    disparity[..., :16] = 110.0
    scene = Scene(torch.rand(1, 3, *size), disparity, 16.0, BASELINE, rims=False)
    scene.close_surfaces([{"shift": (-6.0, 0.0, -3.0), "focal_px": 40.0, "size": (60, 80)}])
    count = scene.cloud()[0].shape[1]
    found = 16.0 * BASELINE / np.asarray(scene.cloud(closed=True)[0])[2, count:]
    assert ((abs(found - 40) < 1) | (abs(found - 110) < 1)).all()


def test_what_closes_the_photo_is_no_invention():
    invented = []
    for scene, path, _ in inpainted_walls(steepness=6.8).values():
        height, width = scene.size
        matte, _ = Matte(scene).render(**path.view(1, scene.size))
        middle = matte[height // 3 : -height // 3, width // 3 : -width // 3]
        invented.append((middle > 128).mean())
    assert invented[0] > 0.01 and invented[1] < 0.001


def test_a_frame_s_depth_is_that_of_closed_surfaces():
    """In --write-depth, and beside the picture in rgbd: before anything is inpainted."""
    missed = []
    for closed in (False, True):
        scene, path, _ = steep_wall()
        view = path.view(1, scene.size)
        scene.close_surfaces(path.views(scene.size) if closed else [])
        for renderer in (ViewDepth(scene), RgbdScene(scene)):
            holes = renderer.render(**view)[1][:, -scene.size[1] :]
            missed.append(holes[80:-80, 110:-110].mean())
    assert min(missed[:2]) > 0.005 and max(missed[2:]) < 0.001


def test_a_camera_goes_as_far_as_closed_surfaces_allow(monkeypatch):
    """--max-holes, and moves that choose their windows."""
    scene, path, _ = steep_wall()
    most = 1.01 * max(invented_shares(scene, path, scene.size, TIMES))
    assert kept_part(scene, path, scene.size, most) == 1
    scene.close_surfaces([])
    monkeypatch.setattr(Scene, "close_surfaces", lambda scene, views: None)
    assert max(invented_shares(scene, path, scene.size, TIMES)) > most


def test_both_eyes_see_closed_surfaces():
    scene, path, _ = steep_wall()
    eyes = StereoScene(scene, path, "sbs")
    views = path.views(scene.size)
    scene.close_surfaces(views)
    one = scene.between_photo
    eyes.close_surfaces(views)
    assert scene.between_photo > 0.8 * one > 0
    before = [part.shape for part in scene.cloud(closed=True)]
    eyes.render(**path.view(1, scene.size))
    assert [part.shape for part in scene.cloud(closed=True)] == before


def test_a_share_of_holes_counts_closed_surfaces_as_seen():
    scene, path, _ = steep_wall()
    (share,) = invented_shares(scene, path, scene.size, [1.0])
    scene.close_surfaces([])
    opened = scene.render(**path.view(1.0, scene.size), fill=False)[1].mean()
    assert share < 0.8 * opened


def test_the_same_film_is_closed_once(monkeypatch):
    scene, path, _ = steep_wall()
    found = []
    find = closing.find_between
    monkeypatch.setattr(closing, "find_between", lambda *given: found.append(1) or find(*given))
    for _ in range(2):
        scene.close_surfaces(path.views(scene.size))
    assert found == [1]
    scene.close_surfaces(path.scaled(0.5).views(scene.size))
    assert found == [1, 1]


# -- rims --


def half_covered():
    """A red front with steep relief along its upright outline, which cuts column 40 in half."""
    size = (120, 80)
    y, x = np.mgrid[: size[0], : size[1]]
    disparity = np.where(x <= 40, 60 + 22 * np.sin(y * 5 / 22), 20).astype(np.float32)
    disparity[0, 0] = BASELINE
    red = np.where(x == 40, 0.5, x < 40).astype(np.float32)
    image = torch.from_numpy(np.stack([red, 1 - red, 0 * red]))[None]
    return Scene(image, torch.from_numpy(disparity)[None, None], 40.0, BASELINE)


def test_a_rim_stays_at_its_front():
    """A camera that only rises leaves an upright outline where it is, however deep it goes."""
    scene = half_covered()
    view = {"shift": (0.0, -30.0, 0.0), "focal_px": 40.0, "size": (120, 80)}
    before = [part.copy() for part in scene.rims()]
    widths = []
    for views in ([], [view]):
        scene.close_surfaces([view])
        rims = scene.rims(closed=bool(views))
        with patch.object(scene, "rims", lambda closed, rims=rims: rims):
            frame, _ = scene.render(**view)
        widths.append(frame[20:70, :, 0].sum(axis=1) / 255)
    assert all(map(np.array_equal, before, scene.rims()))
    assert np.abs(widths[1] - 40.5).max() < 0.6 and widths[0].min() < 39.5


def test_a_copy_closes_its_rims_by_itself():
    """Of several films of one scene, the next is prepared while one is rendered."""
    scene = half_covered()
    scene.close_surfaces([{"shift": (0.0, -30.0, 0.0), "focal_px": 40.0}])
    twin, count = scene.copy(), len(scene.rims(closed=True)[1])
    twin.close_surfaces([{"shift": (0.0, -60.0, 0.0), "focal_px": 40.0}])
    assert len(twin.rims(closed=True)[1]) > count == len(scene.rims(closed=True)[1])
