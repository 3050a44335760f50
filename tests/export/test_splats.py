"""Gaussian splats, read back by plyfile and record by record: where, how wide, which colour."""

import numpy as np
import pytest
from marked_scene import MARKS

from utils.export import splats

plyfile = pytest.importorskip("plyfile", reason="pip install plyfile")

# One record of web viewers: position and scale, colour with alpha, rotation.
RECORD = "<3f4, <3f4, 4u1, 4u1"


@pytest.fixture
def made(make):
    return make(move="zoom-in")


def test_splats_have_the_properties_of_3d_gaussian_splatting(made):
    data = plyfile.PlyData.read(str(made.write(made.settings.out / "scene.gs.ply")))
    vertex = data["vertex"]
    names = [prop.name for prop in vertex.properties]
    assert names == [
        *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"),
        *(f"f_rest_{number}" for number in range(45)),
        *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
    ]
    photo = vertex.data[: made.scene.photo_points]
    colors = 0.28209479 * np.stack([photo[f"f_dc_{c}"] for c in range(3)], 1) + 0.5
    for (u, v), disparity, color in MARKS:
        mark = photo[(np.abs(colors * 255 - color) < 1).all(axis=1)]
        assert len(mark) == 49
        z = 120 / disparity
        middle = [np.mean(mark[axis]) for axis in "xyz"]
        assert middle == pytest.approx([(u - 63.5) * z / 64, (v - 47.5) * z / 64, z], rel=1e-5)
        # As wide as 0.7 of the way to the next one, and flat.
        across = splats.WIDTH * np.diff(np.unique(np.round(mark["x"], 5))).mean()
        assert np.exp(mark["scale_0"]) == pytest.approx(across, rel=1e-3)
        assert np.exp(mark["scale_2"]) == pytest.approx(across / 10, rel=1e-3)
    opacity = 1 / (1 + np.exp(-vertex["opacity"].astype(float)))
    solid = len(made.scene.cloud()[0][0])
    assert opacity[:solid].min() > 0.99 and (opacity[solid:] < 0.999).any(), "rims are soft"
    assert (vertex["rot_0"] == 1).all() and (vertex["rot_3"] == 0).all()


def test_web_viewers_read_the_same_splats(made):
    ply = plyfile.PlyData.read(str(made.write(made.settings.out / "scene.gs.ply")))["vertex"]
    content = made.write(made.settings.out / "scene.splat").read_bytes()
    position, scale, color, rotation = (
        np.frombuffer(content, RECORD)[name] for name in ("f0", "f1", "f2", "f3")
    )
    assert len(content) == 32 * ply.count
    np.testing.assert_array_equal(position, np.stack([ply[axis] for axis in "xyz"], 1))
    np.testing.assert_allclose(np.log(scale[:, 0]), ply["scale_0"], rtol=1e-5)
    np.testing.assert_allclose(color[:, 0] / 255, 0.28209479 * ply["f_dc_0"] + 0.5, atol=1e-5)
    alpha = (color[:, 3] / 255).clip(0.001, 0.999)
    np.testing.assert_allclose(np.log(alpha / (1 - alpha)), ply["opacity"], atol=1e-4)
    assert (rotation == (255, 128, 128, 128)).all()


@pytest.mark.parametrize("suffix", ["gs.ply", "splat"])
def test_large_scenes_are_written_in_pieces(made, monkeypatch, suffix):
    whole = made.write(made.settings.out / f"whole.{suffix}").read_bytes()
    monkeypatch.setattr(splats, "CHUNK", 777)
    assert made.write(made.settings.out / f"pieces.{suffix}").read_bytes() == whole
