"""The synthetic scenes: exact geometry, true neighbouring views, the same data set every time."""

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import PATIENCE, unix

from utils.synthetic import ensure_dataset, generate_scene, mesh, open_shards, write_shards
from utils.synthetic.__main__ import contact_sheet, main
from utils.synthetic.film import (
    SKY_DEPTH,
    Camera,
    Development,
    Lighting,
    Studio,
    defocus,
    sky_table,
)
from utils.synthetic.mesh import Builder, box, quad, shifted
from utils.synthetic.raster import LEVEL_OFFSETS, Casters, project, rasterize
from utils.synthetic.scenes import FAMILIES, draw_scene
from utils.synthetic.shards import BASELINE
from utils.synthetic.textures import bake, load_textures

ROOT = Path(__file__).resolve().parents[2]
SMALL = (48, 64)


def naive_depth(triangles, x, y, focal, centre):
    """Depth of the nearest triangle (3, 3) on the ray through a pixel, by solving three equations.

    None where the ray grazes an edge or hits about the near plane: it may fall either way.
    """
    ray = np.array([(x - centre[0]) / focal, (y - centre[1]) / focal, 1.0])
    nearest = np.inf
    for a, b, c in triangles:
        system = np.stack([ray, a - b, a - c], axis=1)
        if np.linalg.cond(system) > 1e4:
            return None
        t, u, v = np.linalg.solve(system, a)
        inside = min(u, v, 1 - u - v)
        if abs(inside) < 1e-4 or (inside > 0 and 0 < t < 0.03):
            return None
        if t > 0 and inside > 0:
            nearest = min(nearest, t)
    return nearest


def cast(triangles, size, focal, cutout=None, uvs=None, atlas=None):
    """Depth and triangle numbers of `rasterize` for triangles in the camera frame."""
    triangles = np.asarray(triangles, np.float32)
    height, width = size
    centre = (width - 1) / 2, (height - 1) / 2
    matrix = np.array(
        [[focal, 0, centre[0], 0], [0, focal, centre[1], 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]
    )
    count = len(triangles)
    keys, ids = np.zeros(size, np.float32), np.full(size, -1, np.int32)
    casters = Casters(
        np.arange(3 * count, dtype=np.int32).reshape(-1, 3),
        np.ones(count, bool),
        np.full(count, -1, np.int32) if cutout is None else cutout,
        np.zeros((3 * count, 2), np.float32) if uvs is None else uvs,
        np.zeros((1, LEVEL_OFFSETS[-1]), np.uint8) if atlas is None else atlas,
    )
    rasterize(project(triangles.reshape(-1, 3), matrix), casters, 0.02, keys, ids)
    with np.errstate(divide="ignore"):
        return 1 / keys, ids


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_triangles_are_hit_where_the_naive_ray_hits_them(seed):
    rng = np.random.default_rng(seed)
    # Some corners lie behind the camera: such triangles need no clipping.
    triangles = rng.normal(0, 1, (4, 3, 3)).astype(np.float32) * [1.5, 1.5, 2] + [0, 0, 1.5]
    depth, _ = cast(triangles, (6, 7), 5.0)
    for y in range(6):
        for x in range(7):
            expected = naive_depth(triangles, x, y, 5.0, (3.0, 2.5))
            if expected is not None:
                assert depth[y, x] == pytest.approx(expected, rel=1e-3)


def test_shared_edges_leave_no_crack():
    corners = [(-2, -2, 2), (2, -2, 3), (2, 2, 4), (-2, 2, 3)]
    middle = (0.013, -0.021, 3.0)
    fan = [(corners[i], corners[(i + 1) % 4], middle) for i in range(4)]
    _, ids = cast(fan, (31, 31), 12.0)
    assert (ids[10:20, 10:20] >= 0).all()


def test_nearer_triangle_hides_farther_in_either_order():
    near = [(-9, -9, 1), (9, -9, 1), (0, 9, 1)]
    far = [(-9, -9, 2), (9, -9, 2), (0, 9, 2)]
    for order, front in ((near, far), 0), ((far, near), 1):
        depth, ids = cast(order, (5, 5), 5.0)
        assert (ids == front).all() and np.allclose(depth, 1)


def test_cutout_is_seen_through_where_alpha_is_zero():
    picture = np.ones((256, 256, 4), np.float32)
    picture[:, :128, 3] = 0
    atlas = bake([picture])
    front = [[(-2, -2, 1), (2, -2, 1), (2, 2, 1)], [(-2, -2, 1), (2, 2, 1), (-2, 2, 1)]]
    uvs = np.array([(0, 0), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1)], np.float32)
    depth, _ = cast(front, (8, 8), 2.0, np.zeros(2, np.int32), uvs, atlas)
    assert np.isinf(depth[:, :4]).all() and np.allclose(depth[:, 4:], 1)


def studio_of(build, **light):
    """A studio around what `build(builder)` adds, in plain grey light."""
    builder = Builder(np.random.default_rng(0), load_textures())
    build(builder)
    sky = sky_table((0.2,) * 3, (0.6,) * 3, (0.6,) * 3, **light.pop("sun_in_sky", {}))
    return Studio(builder.finish(), load_textures(), Lighting(sky, sky, **light))


def test_depth_of_a_floor_is_that_of_the_ray_through_the_pixel_centre():
    def floor(b):
        b.add(quad((-50, -50, 0), (100, 0, 0), (0, 100, 0)), b.material())

    camera = Camera(np.array([0.3, -0.2, 1.6]), 0.4, -0.5, 0.1, 40.0)
    _, depth, _ = studio_of(floor).photograph(camera, SMALL)
    y, x = np.mgrid[: SMALL[0], : SMALL[1]]
    rays = np.stack([(x - 31.5) / 40, (y - 23.5) / 40, np.ones(SMALL)], -1)
    down = (rays @ camera.rotation())[..., 2]
    expected = np.where(down < 0, 1.6 / np.maximum(-down, 1e-9), np.inf)
    seen = expected < 35
    assert seen.mean() > 0.5
    assert np.allclose(depth[seen], expected[seen], rtol=1e-5)


def test_sky_has_the_documented_depth_and_no_instance():
    def pole(b):
        b.instance()
        b.add(shifted(box(0.5, 0.5, 2), (0, 5, 0)), b.material())

    image, depth, instances = studio_of(pole).photograph(
        Camera(np.array([0, 0, 1.0]), 0, 0, 0, 60.0), SMALL
    )
    assert depth[0, 0] == SKY_DEPTH == 1000 and instances[0, 0] == 0
    assert depth[24, 32] == pytest.approx(4.75, rel=1e-5) and instances[24, 32] == 1
    assert np.isfinite(image).all()


def test_camera_frame_is_right_down_forward():
    camera = Camera(np.zeros(3), 0.0, 0.0, 0.0, 1.0)
    assert np.allclose(camera.rotation() @ [1, 2, 3], [1, -3, 2])
    assert np.allclose(Camera(np.zeros(3), 0, np.pi / 2, 0, 1).rotation() @ [0, 0, 1], [0, 0, 1])


def test_sun_casts_a_shadow():
    def shelter(b):
        b.add(quad((-20, -20, 0), (40, 0, 0), (0, 40, 0)), b.material())
        b.add(shifted(box(2, 2, 0.1), (0, 4, 3)), b.material())

    sun = {"sun": (0, 0, 1), "sun_colour": (1, 1, 1)}
    studio = studio_of(shelter, sun=2.0, ambient=0.3, sun_in_sky=sun, sun_focus=((0, 4, 0), 8))
    image, depth, _ = studio.photograph(Camera(np.array([0, 0, 1.5]), 0, -0.3, 0, 40.0), SMALL)
    # The shadow lies under the shelter, 3 to 5 m ahead; the floor is 1.5 m below the eye.
    row = int(round(23.5 + 40 * np.tan(np.arctan2(1.5, 4) - 0.3)))
    assert depth[row, 32] == pytest.approx(depth[row, 4], rel=1e-4)
    assert image[row, 32].mean() < 0.5 * image[row, 4].mean()


def test_corners_of_pixels_smooth_an_edge():
    def half(b):
        b.add(quad((0.01, 2, -5), (5, 0, 0), (0, 0, 10)), b.material(None, (0, 0, 0)))

    image, depth, _ = studio_of(half).photograph(Camera(np.zeros(3), 0, 0, 0, 40.0), SMALL)
    row = image[24, :, 0]
    assert depth[24, 31] == SKY_DEPTH and depth[24, 32] == pytest.approx(2)
    assert row[34] < row[32] < 0.5 * row[30], "the edge runs a quarter of a pixel off the centre"


def test_mip_levels_average_what_is_opaque_in_linear_light():
    picture = np.zeros((256, 256, 4), np.float32)
    picture[::2] = (0.5, 0.5, 0.5, 1.0)
    picture[1::2] = (1.0, 1.0, 1.0, 0.0)
    picture[:, 128:] = (1.0, 1.0, 1.0, 1.0)
    picture[:, 128::2, :3] = 0.0
    half = bake([picture])[0, LEVEL_OFFSETS[1] : LEVEL_OFFSETS[2]].reshape(128, 128, 4).astype(int)
    assert (np.abs(half[:, :64] - [128, 128, 128, 128]) <= 1).all(), "white is transparent here"
    assert (np.abs(half[:, 64:] - [180, 180, 180, 255]) <= 1).all(), "sqrt(1 / 2) of 255"


def test_unit_shapes_have_outward_unit_normals():
    for shape in (
        box(1, 2, 3),
        mesh.ellipsoid(1, 2, 3),
        mesh.stick((0, 0, 0), (1, 1, 1), 0.1),
    ):
        points, normals, uvs, faces = shape
        assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-3)
        assert faces.max() == len(points) - 1 and len(uvs) == len(points)
        outward = ((points - points.mean(axis=0)) * normals).sum(axis=1)
        assert (outward > 0).mean() > 0.95 or (outward < 0).mean() > 0.95


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_gives_finite_pictures_with_depth(family):
    for seed in range(3):
        builder = Builder(np.random.default_rng(seed), load_textures())
        name, setup = draw_scene(builder, SMALL[1], family)
        studio = Studio(builder.finish(), load_textures(), setup.lighting)
        image, depth, instances = studio.photograph(setup.camera, SMALL)
        assert name == family
        assert np.isfinite(image).all() and image.min() >= 0 and image.max() > 0
        assert np.isfinite(depth).all() and 0 < depth.min() and depth.max() <= SKY_DEPTH


def test_scene_has_the_documented_arrays():
    scene = generate_scene(3, 5, SMALL, 2)
    shapes = {name: scene[name].shape for name in ("image", "depth", "instances", "shift")}
    assert shapes == {
        "image": (2, *SMALL, 3),
        "depth": (2, *SMALL),
        "instances": (2, *SMALL),
        "shift": (2, 3),
    }
    assert [scene[n].dtype for n in shapes] == [np.uint8, np.float32, np.uint8, np.float32]
    assert (scene["shift"][0] == 0).all() and scene["shift"][1].any()
    assert scene["family"] in FAMILIES and scene["focal_px"] > 0


def test_neighbouring_view_agrees_with_moving_the_points():
    agreeing, in_front = [], []
    for index in range(6):
        scene = generate_scene(1, index, (96, 128), 2)
        depth, focal = scene["depth"][0].astype(float), scene["focal_px"]
        y, x = np.mgrid[:96, :128]
        points = np.stack([(x - 63.5) * depth / focal, (y - 47.5) * depth / focal, depth], -1)
        points = points[depth < SKY_DEPTH] + scene["shift"][1]
        u = np.round(points[:, 0] / points[:, 2] * focal + 63.5).astype(int)
        v = np.round(points[:, 1] / points[:, 2] * focal + 47.5).astype(int)
        inside = (u >= 0) & (u < 128) & (v >= 0) & (v < 96) & (points[:, 2] > 0.05)
        ratio = scene["depth"][1][v[inside], u[inside]] / points[inside, 2]
        agreeing.append((np.abs(ratio - 1) < 0.05).mean())
        # Nothing seen before may vanish: at most something else has come before it.
        in_front.append((ratio < 1.05).mean())
    assert np.mean(agreeing) > 0.85
    assert np.mean(in_front) > 0.97


def test_shift_moves_the_nearest_things_by_a_few_percent_of_the_width():
    for index in range(4):
        scene = generate_scene(2, index, SMALL, 4)
        nearest = np.quantile(scene["depth"][0], 0.02)
        sideways = np.hypot(*scene["shift"][1:, :2].T) * scene["focal_px"] / nearest / SMALL[1]
        assert (sideways > 0.01).all() and (sideways < 0.081).all()
        assert (scene["depth"] > 0).all()


def test_same_seed_and_index_give_the_same_scene_and_more_views_keep_the_first():
    first, again = (generate_scene(4, 9, SMALL, views) for views in (2, 3))
    for name in ("image", "depth", "instances", "shift"):
        assert np.array_equal(first[name], again[name][:2])
    other = generate_scene(4, 10, SMALL, 1)
    assert not np.array_equal(first["image"][0], other["image"][0])


def test_near_is_not_always_down():
    upper_is_nearer, correlations = 0, []
    for index in range(40):
        disparity = 1 / generate_scene(5, index, (24, 32), 1)["depth"][0]
        upper_is_nearer += disparity[:12].mean() > 0.9 * disparity[12:].mean()
        rows = np.mgrid[:24, :32][0]
        correlations.append(np.corrcoef(rows.ravel(), disparity.ravel())[0, 1])
    # In real rooms the upper half is the nearer one in 16 of 100 pictures, the mean is 0.5.
    assert upper_is_nearer >= 4
    assert 0.1 < np.mean(correlations) < 0.65


def contents(paths):
    """All data sets and attributes of some shards."""
    out = []
    for path in paths:
        with h5py.File(path) as file:
            out.append({name: file[name][()].tolist() for name in file} | dict(file.attrs))
    return out


def test_number_of_workers_does_not_change_the_files(tmp_path):
    serial = write_shards(tmp_path / "a", 5, (24, 32), 2, workers=1, shard_scenes=3)
    parallel = write_shards(tmp_path / "b", 5, (24, 32), 2, workers=2, shard_scenes=3)
    assert [p.name for p in serial] == ["scenes-000000.h5", "scenes-000003.h5"]
    assert contents(serial) == contents(parallel)


def test_shards_read_back_what_was_generated(tmp_path):
    write_shards(tmp_path, 3, (24, 32), 2, seed=8, workers=1, shard_scenes=2)
    shards = open_shards(tmp_path)
    assert len(shards) == 3 and shards.baseline == BASELINE
    for index in range(3):
        read, made = shards[index], generate_scene(8, index, (24, 32), 2)
        for name in ("image", "depth", "instances", "shift"):
            assert np.array_equal(read[name], made[name])
        assert read["focal_px"] == pytest.approx(made["focal_px"])
    assert shards.read(2, ("depth",), slice(0, 1))["depth"].shape == (1, 24, 32)
    with pytest.raises(IndexError):
        shards[3]


def test_shards_pickle_without_their_open_files(tmp_path):
    write_shards(tmp_path, 2, (24, 32), 1, workers=1)
    shards = open_shards(tmp_path)
    before = shards[1]["image"]
    copy = pickle.loads(pickle.dumps(shards))
    assert not copy._files and np.array_equal(copy[1]["image"], before)


def test_broken_run_leaves_no_half_shard_and_continues(tmp_path, monkeypatch):
    whole = contents(write_shards(tmp_path / "whole", 4, (24, 32), 1, workers=1, shard_scenes=2))
    real = generate_scene

    def broken(seed, index, *rest):
        if index == 3:
            raise KeyboardInterrupt
        return real(seed, index, *rest)

    monkeypatch.setattr("utils.synthetic.shards.generate_scene", broken)
    with pytest.raises(KeyboardInterrupt):
        write_shards(tmp_path / "broken", 4, (24, 32), 1, workers=1, shard_scenes=2)
    assert [p.name for p in (tmp_path / "broken").iterdir()] == ["scenes-000000.h5"]
    made = (tmp_path / "broken" / "scenes-000000.h5").stat().st_mtime_ns
    monkeypatch.undo()
    paths = write_shards(tmp_path / "broken", 4, (24, 32), 1, workers=1, shard_scenes=2)
    assert paths[0].stat().st_mtime_ns == made, "a finished shard is not made again"
    assert contents(paths) == whole


@unix
def test_ctrl_c_ends_every_process_at_once_and_the_next_run_goes_on(tmp_path):
    folder = tmp_path / "scenes"
    command = [sys.executable, "-m", "utils.synthetic", "--out", str(folder), "--count", "400"]
    command += ["--size", "32x24", "--views", "1", "--workers", "2"]
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        # A slow machine says in between how far it is.
        lines = (line for line in process.stderr if not re.match(r"scene \d+ of 400", line))
        assert "400 synthetic scenes" in next(lines)
        assert "about" in next(lines), "how long and how large, from the first scenes"
        os.killpg(process.pid, signal.SIGINT)
        said = list(lines)  # to its end: the last process that holds the pipe is gone
        assert process.wait(PATIENCE) == 130
    assert said == ["synthetic: stopped; the same command goes on from here\n"]
    assert not list(folder.glob(".*")), "no half shard"


def test_what_is_made_is_said_with_its_size(tmp_path, caplog):
    with caplog.at_level("INFO"):
        write_shards(tmp_path, 12, (24, 32), 1, workers=1)
        made, forecast = (record.getMessage() for record in caplog.records[:2])
        assert "making 12 synthetic scenes" in made and "once" in made
        assert re.match(r"12 scenes: about .*, \d+ MB, once; Ctrl-C stops it", forecast)
        caplog.clear()
        write_shards(tmp_path, 12, (24, 32), 1, workers=1)
    assert not caplog.records, "nothing is made the second time"


def test_a_disk_without_room_is_refused_early(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("utils.synthetic.shards.shutil.disk_usage", lambda _: usage)
    with pytest.raises(ValueError, match="Free some space, or make fewer"):
        write_shards(tmp_path, 20, (24, 32), 1, workers=1)
    assert not list(tmp_path.iterdir())


def test_a_small_set_is_completed(tmp_path):
    few = contents(write_shards(tmp_path / "grown", 3, (24, 32), 1, workers=1))
    assert len(open_shards(tmp_path / "grown")) == 3
    grown = contents(write_shards(tmp_path / "grown", 5, (24, 32), 1, workers=1))
    assert grown == contents(write_shards(tmp_path / "whole", 5, (24, 32), 1, workers=1)) != few


def test_existing_dataset_is_left_alone_and_another_is_refused(tmp_path):
    first = ensure_dataset(tmp_path, 2, (24, 32), 1)
    times = [p.stat().st_mtime_ns for p in first]
    assert [p.stat().st_mtime_ns for p in ensure_dataset(tmp_path, 2, (24, 32), 1)] == times
    with pytest.raises(ValueError, match="Pass an empty folder"):
        ensure_dataset(tmp_path, 2, (32, 32), 1)


def test_wrong_folders_are_named(tmp_path):
    with pytest.raises(ValueError, match="python -m utils.synthetic"):
        open_shards(tmp_path)
    (tmp_path / "scenes-000000.h5").write_bytes(b"not HDF5")
    with pytest.raises(ValueError, match="cannot be read"):
        open_shards(tmp_path)
    with pytest.raises(ValueError, match="no folder of photographs"):
        generate_scene(0, 0, SMALL, 1, tmp_path / "none")
    with pytest.raises(ValueError, match="no readable photographs"):
        generate_scene(0, 0, SMALL, 1, tmp_path)


def test_damage_inside_a_shard_names_the_file(tmp_path):
    (path,) = write_shards(tmp_path, 1, (24, 32), 1, workers=1)
    with h5py.File(path) as file:
        offset = file["depth"].id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[offset : offset + 9] = bytes(9)
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} cannot be read"):
        open_shards(tmp_path)[0]


def test_photographs_join_the_textures(tmp_path):
    cv2.imwrite(str(tmp_path / "red.png"), np.full((40, 60, 3), (0, 0, 255), np.uint8))
    textures = load_textures(str(tmp_path))
    (index,) = textures.kinds["photo"]
    assert textures.atlas[index, :4].tolist() == [255, 0, 0, 255]
    assert index == len(load_textures().atlas)


def test_defocus_keeps_the_focused_plane_and_blurs_behind_it():
    image = np.zeros((32, 32, 3), np.float32)
    image[:, ::2] = 1
    depth = np.full((32, 32), 1.0, np.float32)
    depth[16:] = 10.0
    out = defocus(image, depth, aperture=5.0, focus=1.0)
    assert np.allclose(out[:16], image[:16]), "what is blurred behind must not bleed over it"
    assert np.ptp(out[20:28, 8:24]) < 0.6


def test_development_is_monotone_in_light():
    look = Development(0.17, 1.0, np.ones(3), 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    ramp = np.tile(np.linspace(0, 4, 64, dtype=np.float32)[None, :, None], (8, 1, 3))
    out = look.develop(ramp, np.ones((8, 64), np.float32), 1.0, None)[0, :, 0].astype(int)
    assert (np.diff(out) >= 0).all() and out[0] == 0 and out[-1] > 240


def test_contact_sheet_has_disparity_below_each_picture():
    scenes = [generate_scene(0, i, (24, 32), 1) for i in range(3)]
    sheet = contact_sheet(scenes, columns=2)
    assert sheet.shape == (2 * 48, 2 * 32, 3)
    assert np.array_equal(sheet[:24, :32], scenes[0]["image"][0])


def run(*arguments):
    """The command line in a fresh process."""
    return subprocess.run(
        [sys.executable, "-m", "utils.synthetic", *arguments], capture_output=True, text=True
    )


def test_command_writes_shards_and_says_how_fast(tmp_path):
    done = run(
        "--out", str(tmp_path), "--count", "2", "--size", "32x24", "--views", "1", "--workers", "1"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scenes"] == 2
    assert open_shards(tmp_path)[0]["image"].shape == (1, 24, 32, 3)


@pytest.mark.parametrize(
    "arguments", [[], ["--out", "x", "--size", "big"], ["--out", "x", "--preview", "y.png"]]
)
def test_wrong_usage_exits_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "error" in capsys.readouterr().err
