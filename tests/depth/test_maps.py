"""Depth maps of every kind of file come back as the numbers that were stored, or with one error."""

import io
import os
import pickle
import struct
import sys
import zipfile
import zlib

import cv2
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from utils.depth.estimators import read_disparity
from utils.depth.map_files import inner_name, read_depth, write_disparity
from utils.depth.map_kind import guess_kind, is_relative_depth, to_disparity, vertical_tilt

METRES = (np.arange(60, dtype=np.float32).reshape(6, 10) + 1) / 4
WHOLE = np.arange(60).reshape(6, 10) * 1000 + 7


def pfm(values, scale=-1.0):
    letter = b"PF" if values.ndim == 3 else b"Pf"
    order = "<f4" if scale < 0 else ">f4"
    size = f"\n{values.shape[1]} {values.shape[0]}\n{scale}\n".encode()
    return letter + size + values[::-1].astype(order).tobytes()


def write_exr(path, **channels):
    openexr = pytest.importorskip("OpenEXR")
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    openexr.File(header, channels).write(str(path))
    return path


def write_hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


def write_matlab(path, **arrays):
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            file[name] = values.T
            file[name].attrs["MATLAB_class"] = np.bytes_("single")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116))
    return path


def save(path, values):
    cv2.imwrite(str(path), values)
    return path


def error_of(path, **options):
    with pytest.raises(ValueError) as caught:
        read_depth(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


def written(folder):
    """One file of every kind, and what it holds."""
    np.save(folder / "a.npy", METRES)
    np.savez(folder / "a.npz", METRES)
    np.savez_compressed(folder / "b.npz", image=np.zeros((6, 10, 3)), depth=METRES)
    (folder / "little.pfm").write_bytes(pfm(METRES))
    (folder / "big.pfm").write_bytes(pfm(METRES, 1.0))
    (folder / "colour.pfm").write_bytes(pfm(np.dstack([METRES] * 3)))
    save(folder / "float.tiff", METRES)
    write_hdf5(folder / "a.h5", depth=METRES, image=np.zeros((6, 10, 3)))
    write_hdf5(folder / "only.hdf5", whatever=METRES)
    write_matlab(folder / "a.mat", depth=METRES)
    kinds = dict.fromkeys(os.listdir(folder), METRES)
    for name in ("sixteen.png", "sixteen.tiff", "three.png"):
        values = WHOLE.astype(np.uint16)
        save(folder / name, np.dstack([values] * 3) if name == "three.png" else values)
        kinds[name] = WHOLE
    eight = np.arange(60, dtype=np.uint8).reshape(6, 10)
    Image.fromarray(eight).save(folder / "eight.png")
    Image.fromarray(np.dstack([eight] * 3)).save(folder / "eight_rgb.bmp")
    Image.fromarray(eight).convert("P").save(folder / "palette.gif")
    return kinds | dict.fromkeys(["eight.png", "eight_rgb.bmp", "palette.gif"], eight)


def test_every_kind_of_file_gives_back_its_numbers(tmp_path):
    kinds = written(tmp_path)
    assert len(kinds) == 16
    for name, expected in kinds.items():
        values = read_depth(tmp_path / name)
        assert values.dtype == np.float32 and values.flags.c_contiguous, name
        np.testing.assert_array_equal(values, expected, err_msg=name)


def test_the_kind_is_recognised_by_content_not_by_name(tmp_path):
    for name, expected in written(tmp_path).items():
        (tmp_path / name).rename(tmp_path / "misnamed.jpg")
        np.testing.assert_array_equal(read_depth(tmp_path / "misnamed.jpg"), expected)


def test_real_disparity_of_the_motorcycle_pair():
    folder = os.path.dirname(pytest.importorskip("skimage.data").__file__)
    path = os.path.join(folder, "motorcycle_disp.npz")
    values = read_depth(path)
    assert values.shape == (500, 741) and 0 < np.nanmedian(values[np.isfinite(values)]) < 200
    assert guess_kind(path, values)[0] == "disparity"


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4", "int32", "uint8", "int64"])
def test_every_number_type_of_numpy(tmp_path, dtype):
    values = np.arange(12).reshape(3, 4)
    np.save(tmp_path / "a.npy", values.astype(dtype))
    np.testing.assert_array_equal(read_depth(tmp_path / "a.npy"), values)


def test_fortran_order_and_unit_axes_and_equal_channels(tmp_path):
    shapes = [METRES[None], METRES[..., None], METRES[None, None], METRES[None, ..., None]]
    shapes += [np.dstack([METRES] * 3), np.stack([METRES] * 3), np.asfortranarray(METRES)]
    for values in shapes:
        np.save(tmp_path / "a.npy", values)
        np.testing.assert_array_equal(read_depth(tmp_path / "a.npy"), METRES)


def test_exr_channels(tmp_path):
    half = METRES.astype(np.float16)
    colour = np.random.default_rng(0).random((6, 10)).astype(np.float32)
    for channels in (
        {"Z": METRES},
        {"Z": half},
        {"Y": METRES},
        {"whatever": METRES},
        {"R": METRES, "G": METRES, "B": METRES},
        {"R": colour, "G": METRES, "B": colour, "ViewLayer.Depth.Z": METRES},
    ):
        path = write_exr(tmp_path / "a.exr", **channels)
        np.testing.assert_array_equal(read_depth(path), METRES)
    np.testing.assert_array_equal(read_depth(path, key="R"), colour)
    message = error_of(write_exr(tmp_path / "b.exr", first=METRES, second=METRES))
    assert "holds first, second; none is named depth or disparity" in message


def test_without_openexr_or_h5py_the_message_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.exr").write_bytes(b"v/1\1" + bytes(100))
    write_hdf5(tmp_path / "a.h5", depth=METRES)
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert "pip install 'OpenEXR>=3.3'" in error_of(tmp_path / "a.exr")
    assert "pip install h5py" in error_of(tmp_path / "a.h5")


def test_the_array_is_chosen_by_name_or_by_key(tmp_path):
    np.savez(tmp_path / "a.npz", depth=METRES, disparity=METRES * 2, other=METRES * 3)
    np.testing.assert_array_equal(read_depth(tmp_path / "a.npz"), METRES * 2)
    np.testing.assert_array_equal(read_depth(tmp_path / "a.npz", key="other"), METRES * 3)
    assert inner_name(tmp_path / "a.npz") == "disparity"
    assert "has no array 'none', only depth" in error_of(tmp_path / "a.npz", key="none")
    np.savez(tmp_path / "b.npz", one=METRES, two=METRES)
    assert "holds one, two; none is named" in error_of(tmp_path / "b.npz")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["group/Depth"] = METRES
        file["mask"] = METRES > 3
        file["depth"] = h5py.ExternalLink("/etc/elsewhere.h5", "depth")
    assert inner_name(tmp_path / "c.h5") == "group/Depth"
    np.testing.assert_array_equal(read_depth(tmp_path / "c.h5"), METRES)


# unknown values


def test_not_finite_values_are_kept_as_unknown_and_infinitely_far(tmp_path):
    values = METRES.copy()
    values[0, :3] = np.nan, np.inf, -np.inf
    np.save(tmp_path / "a.npy", values)
    (tmp_path / "a.pfm").write_bytes(pfm(values))
    for name in ("a.npy", "a.pfm"):
        read = read_depth(tmp_path / name)
        np.testing.assert_array_equal(read[0, :3], [np.nan, np.inf, np.nan])
        np.testing.assert_array_equal(read[1:], METRES[1:])


def test_transparent_pixels_are_unknown(tmp_path):
    for dtype in (np.uint8, np.uint16):
        grey = np.full((6, 10), 200, dtype)
        alpha = np.full((6, 10), 255, dtype)
        alpha[2, 3] = 0
        values = read_depth(save(tmp_path / "a.png", np.dstack([grey, grey, grey, alpha])))
        assert np.isnan(values[2, 3]) and np.isnan(values).sum() == 1
        assert np.nanmax(values) == 200


def test_constant_and_negative_and_one_row_maps_are_read(tmp_path):
    for values in (np.full((5, 5), 3.0), -METRES, np.ones((1, 100_000)), np.ones((100_000, 1))):
        np.save(tmp_path / "a.npy", values)
        np.testing.assert_array_equal(read_depth(tmp_path / "a.npy"), values)
    line = np.arange(100_000).astype(np.uint16)[None]
    np.testing.assert_array_equal(read_depth(save(tmp_path / "a.png", line)), line)


def test_numbers_beyond_float32_become_infinite_not_an_error(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1e300, 1.0], [-1e300, 2.0]]))
    np.testing.assert_array_equal(read_depth(tmp_path / "a.npy"), [[np.inf, 1], [np.nan, 2]])


# what is refused


@pytest.mark.parametrize("fill", [np.nan, np.inf, -np.inf])
def test_a_map_without_any_number_is_refused(tmp_path, fill):
    np.save(tmp_path / "a.npy", np.full((4, 4), fill))
    assert "no finite number" in error_of(tmp_path / "a.npy")


class Trap:
    def __reduce__(self):
        return os.mkdir, ("the-trap-went-off",)


def test_pickles_are_refused_and_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.npy").write_bytes(pickle.dumps(Trap()))
    np.save(tmp_path / "b.npy", np.array([[Trap()]], object), allow_pickle=True)
    np.savez(tmp_path / "c.npz", depth=np.array([[Trap()]], object))
    fields = np.zeros((2, 2), [("depth", object)])
    np.save(tmp_path / "d.npy", fields, allow_pickle=True)
    for name in "a.npy", "b.npy", "c.npz", "d.npy":
        message = error_of(tmp_path / name)
        assert "could run code" in message and "numpy.save(path" in message
    assert not (tmp_path / "the-trap-went-off").exists()


@pytest.mark.parametrize(
    "values, found",
    [
        (np.zeros((0, 5)), "without values"),
        (np.zeros((5, 0, 3)), "without values"),
        (np.float32(3), "without values"),
        (np.zeros(7), "shape (7,)"),
        (np.zeros((2, 6, 10)), "shape (2, 6, 10)"),
        (np.zeros((2, 2, 6, 10)), "shape (2, 2, 6, 10)"),
        (np.zeros((2, 2), complex), "complex128, not real numbers"),
        (np.full((2, 2), "deep"), "not real numbers"),
        (np.zeros((2, 2), bool), "bool, not real numbers"),
    ],
)
def test_arrays_that_are_no_map_are_refused(tmp_path, values, found):
    np.save(tmp_path / "a.npy", values)
    assert found in error_of(tmp_path / "a.npy")


def test_false_colours_are_refused(tmp_path):
    picture = cv2.applyColorMap(np.arange(60, dtype=np.uint8).reshape(6, 10), cv2.COLORMAP_JET)
    assert "is coloured" in error_of(save(tmp_path / "a.png", picture))
    deep = np.dstack([WHOLE, WHOLE[::-1], WHOLE]).astype(np.uint16)
    assert "is coloured" in error_of(save(tmp_path / "b.png", deep))
    np.save(tmp_path / "c.npy", deep)
    assert "is coloured" in error_of(tmp_path / "c.npy")
    grey = np.dstack([np.arange(60, dtype=np.uint8).reshape(6, 10)] * 3)
    grey[::2, :, 0] += 2  # as lossy compression leaves it
    np.testing.assert_array_equal(read_depth(save(tmp_path / "grey.png", grey)), grey[..., 1])


def test_claims_of_huge_size_are_refused_before_reading(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (100_000, 100_000)}
    )
    (tmp_path / "a.npy").write_bytes(header.getvalue() + bytes(100))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("depth.npy", header.getvalue() + bytes(1_000_000))
    (tmp_path / "a.pfm").write_bytes(b"Pf\n100000 100000\n-1\n" + bytes(100))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("depth", (100_000, 100_000), "f4", chunks=(1000, 1000))
    chunks = b"\x89PNG\r\n\x1a\n"
    for name, data in (
        (b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 16, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(1000))),
    ):
        chunks += struct.pack(">I", len(data)) + name + data
        chunks += struct.pack(">I", zlib.crc32(name + data))
    (tmp_path / "a.png").write_bytes(chunks)
    for name in os.listdir(tmp_path):
        assert "at most 400" in error_of(tmp_path / name)


def test_truncated_files_are_refused(tmp_path):
    noise = np.random.default_rng(0).random((60, 100)).astype(np.float32)
    np.save(tmp_path / "a.npy", noise)
    np.savez(tmp_path / "a.npz", noise)
    (tmp_path / "a.pfm").write_bytes(pfm(noise))
    save(tmp_path / "a.tiff", noise)
    save(tmp_path / "a.png", (noise * 65535).astype(np.uint16))
    save(tmp_path / "rgb.png", np.dstack([noise * 65535] * 3).astype(np.uint16))
    write_hdf5(tmp_path / "a.h5", depth=noise)
    write_matlab(tmp_path / "a.mat", depth=noise)
    for name in os.listdir(tmp_path):
        whole = (tmp_path / name).read_bytes()
        for share in (0.01, 0.3, 0.7, 0.95):
            (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
            error_of(tmp_path / name)


def test_truncated_exr_is_refused(tmp_path):
    noise = np.random.default_rng(0).random((60, 100)).astype(np.float32)
    whole = write_exr(tmp_path / "a.exr", Z=noise).read_bytes()
    for share in (0.01, 0.3, 0.7, 0.95):
        (tmp_path / "a.exr").write_bytes(whole[: int(share * len(whole))])
        error_of(tmp_path / "a.exr")


def test_what_is_no_depth_map_is_described(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(b"some letter or other")
    assert "seems to be text. Use NPY" in error_of(path)
    path.write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64")
    assert "'-v7.3'" in error_of(path)
    path.write_bytes(b"Pf\nwide high\n-1\n")
    assert "PFM header" in error_of(path)
    path.touch()
    assert "no such file" in error_of(tmp_path / "absent.npy")
    assert "is a folder" in error_of(tmp_path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "hello")
    assert "holds nothing; none is named" in error_of(path)


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(["a.npy", "a.npz", "big.pfm", "float.tiff", "sixteen.png", "eight.png"]),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    end=st.floats(0.01, 1),
)
def test_damaged_files_give_numbers_or_one_clear_error(files, kind, changes, end):
    data = bytearray(files[kind])
    for where, byte in changes:
        data[int(where * len(data))] = byte
    path = files["folder"] / "damaged"
    path.write_bytes(data[: max(1, int(end * len(data)))])
    try:
        values = read_depth(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")
    else:
        assert values.ndim == 2 and values.dtype == np.float32
        assert guess_kind(path, values)[0] in ("depth", "disparity")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return {name: (folder / name).read_bytes() for name in written(folder)} | {"folder": folder}


# what the numbers mean


def room(height=30, width=40):
    """Depth in metres of a floor that comes nearer towards the bottom."""
    return np.linspace(8, 2, height)[:, None].repeat(width, 1).astype(np.float32)


def guess(folder, name, values):
    path = folder / name
    if name.endswith(".npy"):
        np.save(path, values)
    elif name.endswith(".pfm"):
        path.write_bytes(pfm(values))
    else:
        save(path, values)
    kind, reason = guess_kind(path, read_depth(path))
    assert reason and "\n" not in reason
    return kind, reason


@pytest.mark.parametrize(
    "name, values, kind, why",
    [
        ("disparity.npy", 1 / room(), "disparity", "'disparity' says so"),
        ("scene_disp.pfm", 1 / room(), "disparity", "'scene_disp' says so"),
        ("InverseDepth.npy", 1 / room(), "disparity", "says so"),
        ("depth_anything_v2.npy", 1 / room(), "disparity", "says so"),
        ("photo_depth.npy", room(), "depth", "'photo_depth' says so"),
        ("distance.npy", room(), "depth", "says so"),
        ("display.npy", room(), "depth", "smaller at the bottom"),
        ("a.npy", 1 / room(), "disparity", "larger at the bottom"),
        ("a.npy", room(), "depth", "smaller at the bottom"),
        ("a.png", (room() * 1000).astype(np.uint16), "depth", "smaller at the bottom"),
        # grey pictures are called depth whichever way they go
        ("depth.png", (500 / room()).astype(np.uint8), "disparity", "larger at the bottom"),
        ("depth.png", (room() * 30).astype(np.uint8), "depth", "smaller at the bottom"),
        ("depth.png", (131070 / room()).astype(np.uint16), "disparity", "larger at the bottom"),
        # no tilt to go by: the custom of the format
        ("a.png", (room().T * 1000).astype(np.uint16), "depth", "millimetres"),
        ("a.png", (room().T * 30).astype(np.uint8), "disparity", "nothing tells"),
        ("a.pfm", room().T, "disparity", "nothing tells"),
        ("a.npy", np.full((9, 9), 3.0), "disparity", "nothing tells"),
    ],
)
def test_the_kind_is_guessed_and_the_reason_said(tmp_path, name, values, kind, why):
    guessed, reason = guess(tmp_path, name, values)
    assert guessed == kind and why in reason


def test_a_name_against_the_picture_is_followed_with_a_doubt(tmp_path):
    kind, reason = guess(tmp_path, "depth.npy", 1 / room())
    assert kind == "depth" and "--depth-kind disparity" in reason


def test_names_inside_the_file_count(tmp_path):
    np.savez(tmp_path / "scene_depth.npz", disparity=1 / room())
    assert guess_kind(tmp_path / "scene_depth.npz", 1 / room())[0] == "disparity"
    path = write_exr(tmp_path / "a.exr", Z=room().T.copy())
    assert guess_kind(path, room().T) == ("depth", "the name 'Z' says so")
    path = write_exr(tmp_path / "b.exr", V=room().T.copy())
    assert guess_kind(path, room().T) == ("depth", "OpenEXR files mostly hold depth")


def test_tilt_is_signed_and_ignores_unknown_values():
    assert vertical_tilt(room()) < -0.5 and vertical_tilt(1 / room()) > 0.5
    holes = room()
    holes[::2] = np.nan
    holes[1] = np.inf
    assert vertical_tilt(holes) < -0.5
    holes[-10:] = 0
    assert vertical_tilt(holes) == 0
    assert abs(vertical_tilt(np.random.default_rng(0).random((300, 400)))) < 0.1


def test_depth_is_inverted_and_disparity_kept():
    depth = np.array([[2, np.inf, 0, -1, np.nan, 4]], np.float32)
    np.testing.assert_array_equal(
        to_disparity(depth, "depth"), [[0.5, 0, np.nan, np.nan, np.nan, 0.25]]
    )
    np.testing.assert_array_equal(to_disparity(depth, "disparity"), [[2, np.nan, 0, -1, np.nan, 4]])
    assert np.isfinite(depth).sum() == 4  # the argument is left alone


def relative(height=120, width=160):
    """Depth of a room as diffusion networks write it: from 0, its nearest point, to 1."""
    metres = room(height, width) + np.sin(np.arange(width) / 9)[None] / 4
    return (metres - metres.min()) / (metres.max() - metres.min())


@pytest.mark.parametrize("name", ["a.npy", "depth.npy", "a.png", "clipped.png", "eight.png"])
def test_relative_depth_keeps_its_relief_and_is_told(tmp_path, name):
    values = relative()
    if name == "clipped.png":  # the sky, far beyond all else, is no missing measurement
        values = np.vstack([np.ones((20, 160)), values * 0.6])
    path = tmp_path / name
    if name.endswith(".npy"):
        np.save(path, values)
    else:
        levels, kind = (255, np.uint8) if name == "eight.png" else (65535, np.uint16)
        save(path, np.rint(values * levels).astype(kind))
    disparity, said = read_disparity(path)
    assert "relative depth" in said and "no scale" in said and "unknown" not in said
    assert disparity.max() / disparity.min() == pytest.approx(10, rel=0.01)  # FARTHEST
    inverse = 1 / disparity.astype(np.float64)
    assert np.corrcoef(inverse.ravel(), values.ravel())[0, 1] > 0.999


SCALED = {
    "from 0.02": (lambda values: 0.02 + 0.98 * values, True),
    "0.004 to 0.93": (lambda values: 0.004 + 0.926 * values, True),
    "16 bits from 0.02": (lambda values: np.rint((0.02 + 0.98 * values) * 65535), True),
    "16 bits to 0.93": (lambda values: np.rint((0.004 + 0.926 * values**2) * 65535), True),
    "a hand's width to 1 m": (lambda values: 0.1 + 0.9 * values, False),
    "metres": (lambda values: 0.05 + 20 * values, False),
    "millimetres": (lambda values: np.rint(400 + 9000 * values), False),
    "millimetres that do not fit": (
        lambda values: np.rint((1000 + 80000 * values).clip(0, 65535)),
        False,
    ),
    "unmeasured": (lambda values: np.where(values > 0.9, 65535, np.rint(300 + 40000 * values)), 0),
}


@pytest.mark.parametrize("name", SCALED)
def test_depth_that_is_scaled_to_a_range_is_told_from_distances(tmp_path, name):
    scale, relates = SCALED[name]
    values = scale(relative())
    if values.max() > 255:
        path = tmp_path / "depth.png"
        save(path, values.astype(np.uint16))
    else:
        path = tmp_path / "depth.npy"
        np.save(path, values)
    disparity, said = read_disparity(path)
    assert ("relative depth" in said) == ("looks scaled" in said) == bool(relates), said
    if relates:
        assert disparity.max() / disparity.min() == pytest.approx(10, rel=0.01)
        assert "--depth-kind metric-depth" in said
    distances, said = read_disparity(path, "metric-depth")
    assert "relative" not in said and distances.max() / distances.min() == pytest.approx(
        values[values < 65535].max() / values.min() if name == "unmeasured"
        else values.max() / values.min(), rel=0.01,
    )  # fmt: skip
    nearest, _ = read_disparity(path, "relative-depth")
    assert nearest.max() / nearest.min() == pytest.approx(10, rel=0.01)


def test_depth_whose_zeros_are_unknown_is_not_relative():
    metres = room(60, 80)
    assert not is_relative_depth(metres)
    holes = metres.copy()
    holes[20:30, 20:30] = holes[-4:, 40:] = 0
    assert not is_relative_depth(holes)
    assert not is_relative_depth((holes * 1000).astype(np.uint16))
    assert not is_relative_depth(np.where(holes == 0, -1, holes))
    far = np.where(metres > 7, 1e10, holes)  # a sky, as renderers write it
    assert not is_relative_depth(far)
    assert not is_relative_depth(np.zeros((4, 4)))


def test_maps_of_nothing_known_and_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="depth must be above 0"):
        to_disparity(np.zeros((2, 2), np.float32), "depth")
    with pytest.raises(ValueError, match="'disparity' or 'depth', not 'deep'"):
        to_disparity(np.ones((2, 2), np.float32), "deep")


# writing


def test_written_disparity_is_exact_as_npy_and_proportional_as_png(tmp_path):
    disparity = np.random.default_rng(0).random((20, 30)).astype(np.float32) * 90
    disparity[0, :2] = np.nan, -3
    paths = write_disparity(tmp_path, disparity)
    assert [path.name for path in paths] == ["disparity.npy", "disparity.png"]
    np.testing.assert_array_equal(read_depth(paths[0]), disparity)
    picture = read_depth(paths[1])
    disparity[0, :2] = 0
    np.testing.assert_allclose(picture * disparity.max() / 65535, disparity, atol=90 / 65535)
    for path in paths:
        assert guess_kind(path, read_depth(path))[0] == "disparity"
    assert sorted(os.listdir(tmp_path)) == ["disparity.npy", "disparity.png"]


def test_writing_handles_flat_maps_and_refuses_stacks(tmp_path):
    write_disparity(tmp_path, np.zeros((4, 4), np.float32))
    assert read_depth(tmp_path / "disparity.png").max() == 0
    with pytest.raises(ValueError, match="got \\(1, 4, 4\\)"):
        write_disparity(tmp_path, np.zeros((1, 4, 4)))


def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("utils.depth.map_files.Path.write_bytes", full)
    with pytest.raises(OSError, match="disparity.npy: cannot be written: No space left"):
        write_disparity(tmp_path, METRES)
    assert os.listdir(tmp_path) == []
