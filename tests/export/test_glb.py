"""The scene as glTF, read back by pygltflib and trimesh: layers, and what its camera sees."""

import io

import numpy as np
import pytest
from marked_scene import MARKS, SIZE, seen_at
from PIL import Image

from utils.film import frame_times

pygltflib = pytest.importorskip("pygltflib", reason="pip install pygltflib")
SHOTS = {
    "zoom": {"move": "zoom-in", "strength": 2, "easing": "smooth"},
    "orbit": {"move": "orbit", "strength": 2},
    "dolly": {"move": "dolly"},
    "aside": {"startU": 60, "startV": 45, "startW": 110, "endU": 70, "endV": 52, "endW": 90},
}


class Read:
    """A glTF file: meshes with their pictures, and where every node is in every frame."""

    def __init__(self, path):
        self.gltf = pygltflib.GLTF2().load(str(path))
        self.blob = self.gltf.binary_blob()

    def numbers(self, index):
        accessor = self.gltf.accessors[index]
        view = self.gltf.bufferViews[accessor.bufferView]
        content = self.blob[view.byteOffset : view.byteOffset + view.byteLength]
        kind = {
            pygltflib.FLOAT: np.float32,
            pygltflib.UNSIGNED_SHORT: np.uint16,
            pygltflib.UNSIGNED_INT: np.uint32,
        }[accessor.componentType]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[accessor.type]
        assert not accessor.normalized, "which trimesh does not heed"
        return np.frombuffer(content, kind).reshape(accessor.count, width)

    def node(self, name):
        return next(i for i, node in enumerate(self.gltf.nodes) if node.name == name)

    def local(self, index, frame):
        """The matrix of a node in a frame."""
        node, moved = self.gltf.nodes[index], {}
        for channel in self.gltf.animations[0].channels:
            if channel.target.node == index:
                sampler = self.gltf.animations[0].samplers[channel.sampler]
                moved[channel.target.path] = self.numbers(sampler.output)[frame]
        x, y, z, w = moved.get("rotation", node.rotation or (0, 0, 0, 1))
        turn = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
        )
        matrix = np.eye(4)
        matrix[:3, :3] = turn * moved.get("scale", node.scale or (1, 1, 1))
        matrix[:3, 3] = moved.get("translation", node.translation or (0, 0, 0))
        return matrix

    def world(self, index, frame):
        parents = {child: i for i, node in enumerate(self.gltf.nodes) for child in node.children}
        matrix = self.local(index, frame)
        while index in parents:
            index = parents[index]
            matrix = self.local(index, frame) @ matrix
        return matrix

    def seen(self, points, frame, size):
        """Where the film's camera sees points (N, 3) of the scene: (N, 2) px."""
        height, width = size
        matrix = np.linalg.inv(self.world(self.node("camera"), frame)) @ self.world(
            self.node("scene"), frame
        )
        x, y, z = (points @ matrix[:3, :3].T + matrix[:3, 3]).T
        focal = height / 2 / np.tan(self.gltf.cameras[0].perspective.yfov / 2)
        return np.stack([width / 2 - focal * x / z, height / 2 + focal * y / z], 1) - 0.5

    def vertices(self, name):
        """Positions (V, 3) and colours (V, 3 or 4) of a layer, from its picture."""
        primitive = self.gltf.meshes[self.gltf.nodes[self.node(name)].mesh].primitives[0]
        material = self.gltf.materials[primitive.material]
        texture = self.gltf.textures[material.pbrMetallicRoughness.baseColorTexture.index]
        view = self.gltf.bufferViews[self.gltf.images[texture.source].bufferView]
        content = self.blob[view.byteOffset : view.byteOffset + view.byteLength]
        picture = np.array(Image.open(io.BytesIO(content)))
        height, width = picture.shape[:2]
        at = self.numbers(primitive.attributes.TEXCOORD_0) * (width, height) - 0.5
        column, row = np.rint(at).astype(int).clip(0, (width - 1, height - 1)).T
        return self.numbers(primitive.attributes.POSITION), picture[row, column]

    def place(self, name, u, v):
        """Position (1, 3) where a layer has this place (px) of a picture of SIZE."""
        primitive = self.gltf.meshes[self.gltf.nodes[self.node(name)].mesh].primitives[0]
        triangles = self.numbers(primitive.indices).reshape(-1, 3)
        corners = self.numbers(primitive.attributes.TEXCOORD_0) * SIZE[::-1] - 0.5
        a, b, c = (corners[triangles[:, corner]] for corner in range(3))
        sides = np.stack([b - a, c - a], 2)
        flat = np.abs(np.linalg.det(sides)) < 1e-6
        sides[flat] = np.eye(2)
        shares = np.linalg.solve(sides, ((u, v) - a)[..., None])[..., 0]
        shares = np.column_stack([1 - shares.sum(axis=1), shares])
        inside = np.nonzero((shares.min(axis=1) > -1e-3) & ~flat)[0][0]
        return shares[inside] @ self.numbers(primitive.attributes.POSITION)[triangles[inside]]


@pytest.fixture(params=SHOTS)
def made(request, make):
    return make(**SHOTS[request.param])


def test_the_films_camera_sees_every_mark_where_the_film_shows_it(made):
    read, compared = Read(made.write(made.settings.out / "scene.glb")), 0
    frames = len(read.numbers(read.gltf.animations[0].samplers[0].input))
    assert frames == made.plan.frames
    times = frame_times(made.path, made.settings)
    for number in (0, frames // 3, frames // 2):
        frame = made.frame(times[number])
        for (u, v), _, color in MARKS:
            mark = read.place("photo", u, v)[None]
            (at,) = read.seen(mark, number, made.plan.view_size)
            if (shown := seen_at(frame, color)) is not None:
                np.testing.assert_allclose(at, shown, atol=0.4)
                compared += 1
    assert compared >= 3


def test_the_camera_goes_where_the_films_does_and_has_its_shape(made):
    read = Read(made.write(made.settings.out / "scene.glb"))
    height, width = made.plan.view_size
    lens = read.gltf.cameras[0].perspective
    assert lens.aspectRatio == pytest.approx(width / height)
    camera = read.gltf.nodes[read.node("camera")]
    assert len(camera.extras["K"]) == made.plan.frames
    unit = float(made.scene.depth.amin())
    last = made.path.pose(1.0 if made.settings.loop == "none" else 0.0).shift
    sampler = next(
        read.gltf.animations[0].samplers[channel.sampler]
        for channel in read.gltf.animations[0].channels
        if channel.target.node == read.node("camera")
    )
    first = read.numbers(sampler.output)[0]
    np.testing.assert_allclose(first, np.array(last) / unit * (-1, 1, 1), atol=1e-5)


def test_layers_are_the_photo_what_is_behind_it_and_soft_rims(make):
    made = make(move="right", strength=2)
    path = made.write(made.settings.out / "scene.glb")
    read = Read(path)
    names = [mesh.name for mesh in read.gltf.meshes]
    assert names[-2:] == ["photo", "rims"] and names[0] == "inpainted 1"
    positions, _ = read.vertices("photo")
    assert -positions[:, 2].max() == pytest.approx(1, abs=1e-4), "the nearest is a unit away"
    rims, colors = read.vertices("rims")
    assert colors.shape[1] == 4 and ((colors[:, 3] > 20) & (colors[:, 3] < 235)).any()
    modes = {material.name: material.alphaMode for material in read.gltf.materials}
    assert (modes["photo"], modes["rims"]) == ("OPAQUE", "BLEND")
    trimesh = pytest.importorskip("trimesh", reason="pip install trimesh")
    loaded = trimesh.load(path)
    assert set(loaded.geometry) == set(names)
    for name, part in loaded.geometry.items():  # it heeds no `normalized`
        assert part.visual.uv.min() >= 0 and part.visual.uv.max() <= 1, name
    faces = sum(len(part.faces) for part in loaded.geometry.values())
    assert 1000 < faces < 2 * 96 * 128, "what is even has large ones"
    assert path.stat().st_size < 1_000_000


def test_a_scene_for_two_eyes_is_exported_too(make):
    made = make(stereo="sbs", move="zoom-in")
    assert "photo" in [
        mesh.name for mesh in Read(made.write(made.settings.out / "a.glb")).gltf.meshes
    ]
