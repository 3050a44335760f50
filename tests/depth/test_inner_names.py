"""Of the arrays that a file names, the depth map is taken; never a coordinate, never by chance."""

import numpy as np
import pytest

from utils.depth.estimators import read_disparity
from utils.depth.inner_names import likeliest
from utils.depth.map_files import inner_name, read_depth
from utils.depth.map_kind import guess_kind

METRES = (np.arange(60, dtype=np.float32).reshape(6, 10) + 1) / 4
OTHER = np.random.default_rng(0).random((6, 10)).astype(np.float32)
BEAUTY = ["R", "G", "B", "A", "RGB"]


def layer(name, channels):
    return [f"{name}.{channel}" for channel in channels]


@pytest.mark.parametrize(
    "names, expected",
    [
        # Blender, to version 4 and since version 5
        (
            layer("V.Combined", BEAUTY) + layer("V.Normal", "XYZ") + ["V.Depth.Z"],
            ["V.Depth.Z"],
        ),
        (layer("V.Position", "XYZ") + ["V.Depth.V", "V.Mist.V", "V.UV.U", "V.UV.V"], ["V.Depth.V"]),
        (["V.Denoising Depth.Z", "V.Depth.Z", *layer("V.Vector", "XYZW")], ["V.Depth.Z"]),
        ([*BEAUTY, "Z"], ["Z"]),
        (["V.Mist.Z", *layer("V.Combined", BEAUTY)], []),
        (["Near.Depth.Z", "Far.Depth.Z"], ["Near.Depth.Z", "Far.Depth.Z"]),
        # Nuke, also with a part for each layer
        ([*BEAUTY, "depth.Z", "forward.u", "forward.v"], ["depth.Z"]),
        (["rgba/" + name for name in BEAUTY] + ["depth/depth.Z"], ["depth/depth.Z"]),
        (["rgba/R", "rgba/G", "rgba/B", "rgba/RGB", "depth/R"], ["depth/R"]),
        # others
        ([*BEAUTY, *layer("P", "XYZ"), *layer("N", "XYZ"), "Z"], ["Z"]),
        (
            [*BEAUTY, *layer("Movie_WorldDepth", BEAUTY), *layer("Movie_Velocity", BEAUTY)],
            ["Movie_WorldDepth.RGB"],
        ),
        ([*BEAUTY, *layer("normals", "XYZ")], []),
        (["R", "A"], ["R"]),
        (["Y", "A"], ["Y"]),
        (["Y", "Z"], ["Z"]),
        (["Y", "RY", "BY"], []),
        (BEAUTY, ["RGB"]),
        (["X", "Y", "Z"], []),
        (["Z", "right.Z"], ["Z"]),
        # arrays of NPZ and HDF5
        (["depth", "disparity", "other"], ["disparity"]),
        (["depth", "depth_conf", "intrinsic"], ["depth"]),
        (["x", "y", "z"], []),
        (["rgb", "mask"], []),
        (["pred_depth", "image"], ["pred_depth"]),
        (["pred_depth", "gt_depth"], ["pred_depth", "gt_depth"]),
        (["left/depth", "right/depth"], ["left/depth", "right/depth"]),
        (["first", "second"], []),
    ],
)
def test_the_map_is_told_from_what_lies_beside_it(names, expected):
    assert likeliest(names) == expected


def write_parts(path, **parts):
    """An OpenEXR file; PART={channel: values}, or a single part without a name."""
    openexr = pytest.importorskip("OpenEXR")
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    made = [openexr.Part(dict(header), channels, name) for name, channels in parts.items()]
    with openexr.File(made) as file:
        file.write(str(path))
    return path


def test_of_layers_the_depth_pass_is_read_not_the_z_of_a_vector(tmp_path):
    path = write_parts(
        tmp_path / "a.exr",
        main={f"V.Normal.{axis}": OTHER for axis in "XYZ"} | {"V.Depth.Z": METRES},
    )
    np.testing.assert_array_equal(read_depth(path), METRES)
    assert guess_kind(path, METRES)[0] == "depth"


@pytest.mark.parametrize("channel", ["depth.Z", "R", "Y", "V"])
def test_all_parts_are_looked_into(tmp_path, channel):
    beauty = dict.fromkeys("RGB", OTHER)
    path = write_parts(tmp_path / "a.exr", rgba=beauty, depth={channel: METRES})
    np.testing.assert_array_equal(read_depth(path), METRES)
    assert inner_name(path) == f"depth/{channel}"
    np.testing.assert_array_equal(read_depth(path, key="rgba/R"), OTHER)


def test_a_tie_is_refused_with_what_is_there(tmp_path):
    path = write_parts(tmp_path / "a.exr", main={"near.depth.Z": METRES, "far.depth.Z": OTHER})
    with pytest.raises(ValueError, match="several maps.*: far.depth.Z, near.depth.Z"):
        read_depth(path)
    np.testing.assert_array_equal(read_depth(path, key="near.depth.Z"), METRES)
    disparity, said = read_disparity(path, layer="near.depth.Z")
    np.testing.assert_allclose(disparity, 1 / METRES)
    assert "'near.depth.Z' says so" in said
    with pytest.raises(ValueError, match="has no array 'middle', only far.depth.Z, near.depth.Z"):
        read_disparity(path, layer="middle")
    np.savez(tmp_path / "a.npz", **{"left/depth": METRES, "right/depth": OTHER})
    with pytest.raises(ValueError, match="several maps.*\n  Name one: --depth-layer NAME"):
        read_depth(tmp_path / "a.npz")
    np.save(tmp_path / "a.npy", METRES)
    with pytest.raises(ValueError, match="without a name.\n  Leave out --depth-layer"):
        read_disparity(tmp_path / "a.npy", layer="depth")
