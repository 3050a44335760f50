"""Data sets as other people's cameras, disks and tools leave them."""

import numpy as np
import pytest
import torch
from PIL import Image

import data_loader
from utils.training import data_sets

PARAM = {"baseline": 2.0, "focal": 30.0}
SIZE = (40, 48)
DRAWING = data_loader.Drawing(SIZE)


def depth_map():
    return np.tile(np.linspace(1000, 100, SIZE[0])[:, None], (1, SIZE[1])).astype(np.uint16)


@pytest.fixture
def folder(tmp_path):
    """Three photos with depth; returns a function that adds maps of another kind, one or many."""
    rng = np.random.default_rng(0)
    for number in range(3):
        add(tmp_path / "images" / f"{number}.png", rng.integers(0, 255, (*SIZE, 3), np.uint8))
        add(tmp_path / "depth" / f"{number}.png", depth_map())
    return tmp_path


def add(path, values):
    path.parent.mkdir(exist_ok=True, parents=True)
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        Image.fromarray(values).save(path)


def fill(folder, kind, values, suffix="png"):
    """A map for each photo; `values` one array, or one for each."""
    values = [values] * 3 if isinstance(values, np.ndarray) else values
    for number, one in enumerate(values):
        add(folder / kind / f"{number}.{suffix}", one)


def opened(folder, masks=False, **keys):
    return data_sets.open_data_set(
        {"name": "theirs", "path": str(folder), "param": PARAM} | keys, masks
    )


def sample(folder, masks=False, **keys):
    return data_loader.Samples([opened(folder, masks, **keys)], DRAWING, train=False)[0, 0, 0]


# -- what is data ---------------------------------------------------------------------------------


def test_what_systems_leave_behind_is_no_pair(folder):
    for kind in ("images", "depth"):
        for name in (
            "._0.png",
            "Thumbs.db",
            ".DS_Store",
            ".thumbnails/0.png",
            "__MACOSX/0.png",
            "@eaDir/1.png",
            "sub/._3.png",
        ):
            (folder / kind / name).parent.mkdir(exist_ok=True)
            (folder / kind / name).write_bytes(b"no picture")
        (folder / kind / "9.png").mkdir()
        add(
            folder / kind / "town" / "8.png",
            depth_map() if kind == "depth" else np.zeros((*SIZE, 3), np.uint8),
        )
    stems = [
        item["image"].relative_to(folder / "images").as_posix()
        for clip in opened(folder).items
        for item in clip
    ]
    assert stems == ["0.png", "1.png", "2.png", "town/8.png"]


def test_hidden_shards_do_not_make_a_folder_synthetic(folder):
    (folder / "._scenes-000000.h5").write_bytes(b"x")
    assert isinstance(opened(folder), data_sets.PhotoFolders)


# -- numbers --------------------------------------------------------------------------------------


def test_65535_millimetres_are_unknown_and_stay_compact(folder):
    values = depth_map()
    values[:10] = 65535
    fill(folder, "depth", values)
    (view,) = opened(folder).views(0)
    assert view["stored"].dtype == np.uint16
    assert sample(folder)["mask"][0, :, 0].tolist() == [0] * 10 + [1] * 30


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ((0, 1, 2), "uint8"),
        ((0, 128, 255), "uint8"),
        ((0, 0.5, 1), "float32"),
        ((0, 32768, 65535), "uint16"),
        ((0, 1, 1), "uint8"),
        ((0, 1, 2), "uint16"),
    ],
)
def test_confidence_is_scaled_by_its_type(folder, values, dtype):
    trust = np.repeat(np.array(values, dtype), SIZE[1] // 3)[None].repeat(SIZE[0], 0)
    fill(folder, "confidence", trust, "npy" if dtype == "float32" else "png")
    seen = sample(folder)
    found = seen["confidence"][0, 20, [4, 24, 44]].tolist()
    assert found == pytest.approx([value / values[2] for value in values], abs=0.01)
    assert seen["mask"][0, 20, [4, 44]].tolist() == [0, 1]


def test_confidence_is_scaled_as_the_set_not_as_one_map_uses_it(folder):
    fill(folder, "confidence", [np.full(SIZE, top, np.uint8) for top in (1, 2, 2)])
    assert sample(folder)["confidence"].mean() == pytest.approx(0.5, abs=0.01)


def test_confidence_of_no_known_scale_is_refused(folder):
    fill(folder, "confidence", np.full(SIZE, 100, np.float32), "npy")
    with pytest.raises(ValueError, match="0.npy cannot be read: trust from 100 to 100, not 0 to 1"):
        opened(folder).views(0)


@pytest.mark.parametrize("number", [256, 26001, 255])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_instances_of_more_than_8_bits_keep_their_objects(folder, number, dtype):
    numbers = np.zeros(SIZE, dtype)
    numbers[5:15, 5:15], numbers[20:30, 20:30] = number, number + 512
    if dtype == np.int32:
        numbers[35:] = -1  # void
    fill(folder, "masks", numbers, "png" if dtype == np.uint16 else "npy")
    found = sample(folder, masks=True)["instances"][0]
    assert found.dtype == torch.uint8
    assert found[[0, 10, 25, 38], [0, 10, 25, 0]].tolist() == [0, 1, 2, 0]


def test_of_very_many_objects_the_largest_of_the_window_are_kept(folder):
    numbers = np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE) + 1
    numbers[:10], numbers[10:15] = 40000, 0
    fill(folder, "masks", numbers)
    found = sample(folder, masks=True)["instances"][0]
    assert (found[:10] == found[0, 0]).all() and found[0, 0] > 0 and not found[10:15].any()
    assert len(found.unique()) == 256


def test_maps_that_lie_as_the_photo_is_stored_are_turned_with_it(folder, caplog):
    caplog.set_level("INFO")
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in range(3):
        path = folder / "images" / f"{number}.png"
        Image.open(path).save(path, exif=exif)
    (view,) = opened(folder).views(1)
    assert view["image"].shape == (48, 40, 3)
    np.testing.assert_array_equal(view["stored"], depth_map()[::-1].T)
    assert "EXIF orientation 6" in caplog.text


# -- nothing known --------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["zeros", "65535", "distrusted"])
def test_a_set_in_which_nothing_is_known_is_refused(folder, fault):
    if fault == "distrusted":
        fill(folder, "confidence", [np.zeros(SIZE, np.uint8)] * 3)
    else:
        fill(folder, "depth", np.full(SIZE, 0 if fault == "zeros" else 65535, np.uint16))
    with pytest.raises(ValueError, match="'theirs': nothing is known in its first 3 photos"):
        opened(folder)


def test_a_set_of_which_one_photo_is_known_is_taken(folder):
    fill(folder, "depth", [np.zeros(SIZE, np.uint16)] * 2 + [depth_map()])
    assert len(opened(folder)) == 3
    fill(folder, "masks", np.ones(SIZE, np.uint8))
    fill(folder, "depth", np.zeros(SIZE, np.uint16))
    assert len(opened(folder, masks=True, disparity="none")) == 3, "it is for its masks alone"


def data(folder, **keys):
    return data_loader.TrainingData([opened(folder, **keys)], DRAWING, batch_size=1, workers=0)


def test_a_hundred_batches_without_a_known_pixel_are_an_error(folder):
    training = data(folder)
    known = {
        "mask": torch.ones(1, 1, 4, 4),
        "image": torch.zeros(1, 3, 4, 4),
        "uniform": torch.zeros(1, 16),
        "name": ["photo 7"],
    }
    unknown = known | {"mask": torch.zeros(1, 1, 4, 4)}
    for batch in [unknown] * 100 + [known] + [unknown] * 100:
        training.prepare(batch, "cpu")
    with pytest.raises(ValueError, match="'theirs': in 101 batches .* the last was photo 7"):
        training.prepare(unknown, "cpu")


def test_sets_for_masks_alone_need_no_known_pixel(folder):
    fill(folder, "masks", np.ones(SIZE, np.uint8))
    training = data(folder, disparity="none")
    for batch in training.training(0, 110):
        training.prepare(batch, "cpu")
