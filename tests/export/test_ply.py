"""The exported points, read back by an independent reader."""

import numpy as np
import pytest
import torch

from utils.export import ply, write_exports
from utils.scene.cloud import Scene
from utils.scene.rules import FarSide

plyfile = pytest.importorskip("plyfile", reason="pip install plyfile")


def make_scene():
    """Upper half red, lower half green, a blue near square in the middle."""
    image, disparity = torch.zeros(1, 3, 40, 60), torch.full((1, 1, 40, 60), 30.0)
    image[:, 0, :20] = 1
    image[:, 1, 20:] = 1
    image[0, :, 15:25, 25:35] = torch.tensor([0, 0, 1.0]).view(3, 1, 1)
    disparity[..., 15:25, 25:35] = 120
    scene = Scene(image, disparity, 30.0, 120.0)
    return scene, scene.inpaint(FarSide(), (6.0, 0.0, -5.0))


def write_ply(path, scene):
    write_exports([path], scene, None, None, None)


def test_points_open_right_side_up_in_front_of_the_camera(tmp_path):
    scene, added = make_scene()
    write_ply(tmp_path / "scene.ply", scene)
    data = plyfile.PlyData.read(str(tmp_path / "scene.ply"))
    assert (data.text, data.byte_order) == (False, "<")
    vertex = data["vertex"].data
    rims = vertex[scene.photo_points + added :]
    assert added > 0
    assert (vertex["alpha"][: scene.photo_points + added] == 255).all()
    # The square's outermost pixels, and nothing twice: 4 sides of 10 px.
    assert len(rims) == 36 and (rims["blue"] == 255).all() and (rims["z"] == -1).all()
    photo = vertex[: scene.photo_points]
    red, blue = photo[photo["red"] == 255], photo[photo["blue"] == 255]
    assert (red["y"] > 0).all(), "what is up in the photo is up"
    assert (photo[photo["green"] == 255]["y"] < 0).all()
    assert blue["z"] == pytest.approx(-1), "the nearest surface is one unit away"
    assert red["z"] == pytest.approx(-4), "a quarter of the disparity is four times as far"
    # The horizontal field of view of 60 px at a focal length of 30 px, at distance 4.
    assert (red["x"].min(), red["x"].max()) == pytest.approx((-4 * 29.5 / 30, 4 * 29.5 / 30))
    assert "focal length 30 px" in " ".join(data.comments)


def test_large_clouds_are_written_in_pieces(tmp_path, monkeypatch):
    scene, _ = make_scene()
    write_ply(tmp_path / "whole.ply", scene)
    monkeypatch.setattr(ply, "CHUNK", 7)
    write_ply(tmp_path / "pieces.ply", scene)
    assert (tmp_path / "whole.ply").read_bytes() == (tmp_path / "pieces.ply").read_bytes()


def test_failed_export_leaves_nothing_and_names_the_file(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    scene, _ = make_scene()
    monkeypatch.setattr(np, "empty", full)
    with pytest.raises(OSError, match="scene.ply: cannot be written: No space left"):
        write_ply(tmp_path / "scene.ply", scene)
    assert list(tmp_path.iterdir()) == []
