"""Data sets said as dicts, and what training draws from them."""

import unicodedata

import cv2
import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import data_loader
from utils.training import data_sets
from utils.training.crops import change_colours, choose_box, resize_known
from utils.training.data_set_keys import check_data_set, is_held_out
from utils.training.labels import compact, disparity_of

PARAM = {"baseline": 2.0, "focal": 30.0}


def write_pair(root, stem, size=(40, 48), depth=None, photo=None):
    """One photo and one depth map; the photo's grey level follows the depth."""
    for folder in ("images", "depth"):
        (root / folder / stem).parent.mkdir(parents=True, exist_ok=True)
    if depth is None:
        depth = np.tile(np.linspace(100, 1000, size[1]), (size[0], 1)).astype(np.uint16)
    grey = (255 * depth.astype(np.float64) / 1000).clip(0, 255).astype(np.uint8)
    photo = np.repeat(grey[..., None], 3, axis=2) if photo is None else photo
    cv2.imwrite(str(root / "images" / f"{stem}.png"), photo)
    cv2.imwrite(str(root / "depth" / f"{stem}.png"), depth)


def folder_set(root, count=3, **keys):
    for number in range(count):
        write_pair(root, f"photo{number}")
    return {"name": "test", "path": str(root), "param": PARAM} | keys


def samples(data_set, crop=(32, 40), train=False, **options):
    drawing = data_loader.Drawing(crop, **options)
    return data_loader.Samples([data_sets.open_data_set(data_set)], drawing, train=train)


@pytest.fixture
def scenes(tmp_path):
    """One scene, seen twice: a wall at depth 2, from which the second camera stands 0.5 nearer."""
    image = np.zeros((1, 2, 24, 32, 3), np.uint8)
    image[0, 0], image[0, 1] = 50, 200
    depth = np.empty((1, 2, 24, 32), np.float32)
    depth[0, 0], depth[0, 1] = 2.0, 1.5
    with h5py.File(tmp_path / "scenes-000000.h5", "w") as file:
        file.attrs.update(format="kbe-scenes-1", baseline=0.1)
        file["image"], file["depth"] = image, depth
        file["instances"] = np.ones((1, 2, 24, 32), np.uint8)
        file["shift"] = np.array([[[0, 0, 0], [0.1, 0.2, -0.5]]], np.float32)
        file["focal_px"] = np.array([20.0], np.float32)
    return {"name": "wall", "path": str(tmp_path), "param": PARAM}


# -- the dict --


@pytest.mark.parametrize("missing", ["focal", "baseline"])
def test_dataset_without_focal_is_rejected(tmp_path, missing):
    param = {key: value for key, value in PARAM.items() if key != missing}
    with pytest.raises(ValueError, match=f"'test'.*{missing}"):
        check_data_set({"name": "test", "path": str(tmp_path), "param": param})


@pytest.mark.parametrize("key", ["name", "path", "param"])
def test_missing_key_is_named(key):
    complete = {"name": "test", "path": "x", "param": PARAM}
    del complete[key]
    with pytest.raises(ValueError, match=f"'{key}' is missing"):
        check_data_set(complete)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("focal", 500, "unknown key 'focal'"),
        ("params", PARAM, "unknown key 'params'"),
        ("disparity", "metres", "'disparity' must be one of"),
        ("focal_unit", "mm", "'focal_unit' must be one of"),
        ("weight", 0, "'weight' must be above 0"),
        ("depth_unit", -1, "'depth_unit' must be above 0"),
        ("param", {"baseline": "2", "focal": 30}, "param must hold 'baseline'"),
        ("param", 5, "param must hold 'baseline'"),
        ("path", 5, "'path' must be text"),
        ("masks", ["masks"], "'masks' must be text"),
        ("param", {"baseline": float("nan"), "focal": 30}, "param must hold 'baseline'"),
    ],
)
def test_wrong_value_is_named(key, value, message):
    wrong = {"name": "test", "path": "x", "param": PARAM} | {key: value}
    with pytest.raises(ValueError, match=message):
        check_data_set(wrong)


def test_name_changes_nothing_but_messages(tmp_path):
    first, second = folder_set(tmp_path), folder_set(tmp_path, name="mega")
    one, two = (samples(d)[0, 1, 0] for d in (first, second))
    assert torch.equal(one["disparity"], two["disparity"])
    assert "'test'" in one["name"] and "'mega'" in two["name"]


# -- files --


def test_missing_folder_is_named():
    with pytest.raises(ValueError, match="'test'.*nowhere does not exist"):
        data_sets.open_data_set({"name": "test", "path": "nowhere", "param": PARAM})


def test_image_and_depth_pair_by_stem(tmp_path):
    data_set = folder_set(tmp_path, count=2)
    write_pair(tmp_path, "town/street")
    (tmp_path / "images" / "alone.png").write_bytes(b"no depth beside it")
    (tmp_path / "depth" / "photo0.txt").write_text("not a map")
    opened = data_sets.open_data_set(data_set)
    pairs = {(f["image"].stem, f["geometry"].stem) for (f,) in opened.items}
    assert pairs == {("photo0", "photo0"), ("photo1", "photo1"), ("street", "street")}


def test_accents_in_two_spellings_are_one_stem(tmp_path):
    composed, decomposed = (
        unicodedata.normalize(form, "Fu\u00dfg\u00e4nger") for form in ("NFC", "NFD")
    )
    data_set = folder_set(tmp_path, count=1, index="index.csv")
    write_pair(tmp_path, composed)
    (tmp_path / "depth" / f"{composed}.png").rename(tmp_path / "depth" / f"{decomposed}.png")
    (tmp_path / "index.csv").write_text(f"stem\n{decomposed}\nphoto0\n", encoding="utf-8")
    assert len(data_sets.open_data_set(data_set)) == 2


def test_what_has_no_partner_is_counted_and_named(tmp_path, caplog):
    data_set = folder_set(tmp_path, count=6, index="index.csv")
    for number in range(1, 6):
        (tmp_path / "depth" / f"photo{number}.png").unlink()
    (tmp_path / "images" / "raw.dng").write_bytes(b"II*\0")
    (tmp_path / "depth" / "lonely.npy").write_bytes(b"")
    (tmp_path / "index.csv").write_text("stem\nphoto0\nphoto1\n", encoding="utf-8")
    data_sets.open_data_set(data_set)
    assert (
        "5 of 6 files in images/ have no partner in depth/: photo1, photo2, photo3, ..."
        in caplog.text
    )
    assert "1 of 2 files in depth/ have no partner in images/: lonely" in caplog.text
    assert "1 raw .dng (to be developed first): raw.dng" in caplog.text
    assert "1 of 2 rows of index.csv name no photo that can be used: photo1" in caplog.text


@pytest.mark.parametrize("folder", ["images", "depth"])
def test_two_files_of_one_stem_are_both_named(tmp_path, folder):
    data_set = folder_set(tmp_path, count=1)
    (tmp_path / folder / "photo0.tiff").write_bytes(b"another")
    with pytest.raises(ValueError, match="photo0.png and photo0.tiff"):
        data_sets.open_data_set(data_set)


def test_depth_that_does_not_begin_at_the_camera_is_told(tmp_path, caplog):
    slope = np.tile(np.linspace(0, 60000, 300)[:, None], (1, 40)).astype(np.uint16)
    data_set = folder_set(tmp_path, count=0)
    write_pair(tmp_path, "photo", slope.shape, depth=slope, photo=np.zeros((*slope.shape, 3)))
    data_sets.open_data_set(data_set)
    assert "relative depth" in caplog.text and "photo.png" in caplog.text


def test_folder_without_pairs_says_what_it_holds(tmp_path):
    folder_set(tmp_path, count=2)
    (tmp_path / "depth" / "photo0.png").rename(tmp_path / "depth" / "other.png")
    (tmp_path / "depth" / "photo1.png").unlink()
    with pytest.raises(ValueError, match=r"2 files in images/, 1 files in depth/"):
        data_sets.open_data_set({"name": "test", "path": str(tmp_path), "param": PARAM})


def test_sizes_that_differ_name_both_files_and_sizes(tmp_path):
    data_set = folder_set(tmp_path)
    cv2.imwrite(str(tmp_path / "depth" / "photo1.png"), np.ones((20, 24), np.uint16))
    with pytest.raises(ValueError, match=r"photo1.png is 24x20, its photo is 48x40"):
        data_sets.open_data_set(data_set).views(1)


@pytest.mark.parametrize(
    ("photo", "smaller"),
    [((384, 179), (192, 90)), ((179, 384), (90, 192)), ((101, 33), (26, 9)), ((101, 33), (25, 8))],
)
def test_smaller_maps_may_be_rounded_either_way(tmp_path, photo, smaller):
    data_set = folder_set(tmp_path, count=1, disparity="relative")
    (tmp_path / "disparity").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "photo0.png"), np.zeros((*photo, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "disparity" / "photo0.png"), np.ones(smaller, np.uint8))
    (view,) = data_sets.open_data_set(data_set).views(0)
    assert view["stored"].shape == smaller


def test_relative_disparity_may_be_smaller_but_not_of_another_shape(tmp_path):
    data_set = folder_set(tmp_path, count=1, disparity="relative")
    (tmp_path / "disparity").mkdir()
    path = tmp_path / "disparity" / "photo0.png"
    cv2.imwrite(str(path), np.tile(np.arange(24, dtype=np.uint8), (20, 1)))
    assert samples(data_set)[0, 0, 0]["disparity"].shape == (1, 32, 40)
    for rounded in ((5, 6), (21, 24), (20, 25)):  # half or an eighth, rounded either way
        cv2.imwrite(str(path), np.ones(rounded, np.uint8))
        data_sets.open_data_set(data_set).views(0)
    cv2.imwrite(str(path), np.tile(np.arange(24, dtype=np.uint8), (24, 1)))
    with pytest.raises(ValueError, match="is 24x24, its photo is 48x40"):
        data_sets.open_data_set(data_set).views(0)


def indexed_set(root, rows, **keys):
    """Photos with relative maps in nearness/, and a CSV that says what they are."""
    data_set = folder_set(
        root, count=4, disparity="relative", disparity_folder="nearness", index="index.csv", **keys
    )
    (root / "depth").rename(root / "nearness")
    (root / "index.csv").write_text("\n".join(["stem,kind,clip", *rows]))
    return data_set


ROWS = ("photo0,disparity,walk", "photo1,disparity,walk", "photo2,order,", "gone,order,other")


def test_an_index_groups_frames_by_clip_and_says_their_kind(tmp_path):
    opened = data_sets.open_data_set(indexed_set(tmp_path, ROWS))
    assert [len(opened.views(item)) for item in range(len(opened))] == [2, 1]
    kinds = [[view["kind"] for view in opened.views(item)] for item in range(len(opened))]
    assert kinds == [["relative", "relative"], ["order"]]
    drawn = samples(opened.data_set)
    assert [float(drawn[0, item, 0]["ordered"]) for item in (0, 1)] == [0, 1]


def test_stems_choose_by_their_beginning(tmp_path):
    opened = data_sets.open_data_set(indexed_set(tmp_path, ROWS, stems="photo[02]"))
    assert [files["image"].stem for clip in opened.items for files in clip] == ["photo0", "photo2"]


def test_a_clip_is_trained_on_or_held_out_as_a_whole(tmp_path):
    names = [f"clip{number}" for number in range(300)]
    share = sum(map(is_held_out, names)) / len(names)
    assert 0.1 < share < 0.24
    held_out, other = (next(n for n in names if is_held_out(n) == there) for there in (True, False))
    rows = [
        f"photo0,disparity,{held_out}",
        f"photo1,disparity,{other}",
        f"photo2,disparity,{held_out}",
        f"photo3,disparity,{other}",
    ]
    data_set, found = indexed_set(tmp_path, rows), {}
    for part in ("train", "held out"):
        opened = data_sets.open_data_set(data_set | {"part": part})
        found[part] = [files["image"].stem for clip in opened.items for files in clip]
    assert found == {"train": ["photo1", "photo3"], "held out": ["photo0", "photo2"]}


def test_a_value_may_mean_unknown(tmp_path):
    view = {"stored": np.array([[0, 20, 40]]), "kind": "relative", "baseline": 100.0, "unknown": 0}
    disparity, known = disparity_of(view)
    assert known.tolist() == [[0, 1, 1]]
    assert disparity[0].tolist() == pytest.approx([0, 5, 100])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,clip\nphoto0,a", "has no column 'stem'"),
        ("stem,kind\nphoto0,depth", "has the kind 'depth'"),
        ("stem,kind\nother,order", "none of its 4 photos is left"),
    ],
)
def test_an_index_that_cannot_be_used_is_explained(tmp_path, text, message):
    data_set = indexed_set(tmp_path, ())
    (tmp_path / "index.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        data_sets.open_data_set(data_set)
    (tmp_path / "index.csv").unlink()
    with pytest.raises(ValueError, match="Correct its 'index'"):
        data_sets.open_data_set(data_set)


def test_spoilt_photos_keep_their_size_and_follow_from_the_number(tmp_path):
    data_set = folder_set(tmp_path)
    clean, spoilt = (samples(data_set, train=True, spoil=spoil) for spoil in (False, True))
    pairs = [(clean[0, 0, n]["image"], spoilt[0, 0, n]["image"]) for n in range(20)]
    assert all(a.shape == b.shape and a.dtype == b.dtype for a, b in pairs)
    assert 5 <= sum(not torch.equal(a, b) for a, b in pairs) < 20
    assert all(torch.equal(spoilt[0, 0, n]["image"], pairs[n][1]) for n in range(20))


@pytest.mark.parametrize("folder", ["images", "depth"])
def test_broken_file_is_named_not_raised_in_the_worker(tmp_path, folder):
    data_set = folder_set(tmp_path)
    path = tmp_path / folder / "photo1.png"
    path.write_bytes(path.read_bytes()[:60])
    batch = data_loader.collate([samples(data_set)[0, n, 0] for n in range(3)])
    with pytest.raises(ValueError, match=f"'test'.*{folder}/photo1.png"):
        data_loader.prepare(batch, "cpu", colours=False)


@pytest.mark.parametrize("kind", ["npy", "npz", "h5", "tiff", "pfm", "png"])
def test_every_kind_of_depth_file_gives_the_same_disparity(tmp_path, kind):
    data_set = folder_set(tmp_path, count=1)
    expected = samples(data_set)[0, 0, 0]["disparity"]
    depth = cv2.imread(str(tmp_path / "depth" / "photo0.png"), cv2.IMREAD_UNCHANGED)
    path = tmp_path / "depth" / f"photo0.{kind}"
    stored = depth.astype(np.float32)
    if kind == "npy":
        np.save(path, stored)
    elif kind == "npz":
        np.savez(path, depth=stored)
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file["depth"] = stored
    else:
        cv2.imwrite(str(path), depth if kind == "png" else stored)
    if kind != "png":
        (tmp_path / "depth" / "photo0.png").unlink()
    assert torch.allclose(samples(data_set)[0, 0, 0]["disparity"], expected)


def test_depth_key_chooses_the_array(tmp_path):
    data_set = folder_set(tmp_path, count=1, depth_key="measured")
    (tmp_path / "depth" / "photo0.png").unlink()
    arrays = {"measured": np.full((40, 48), 5.0), "depth": np.full((40, 48), 9.0)}
    np.savez(tmp_path / "depth" / "photo0.npz", **arrays)
    disparity = samples(data_set)[0, 0, 0]["disparity"]
    assert torch.allclose(disparity, torch.tensor(30.0 * 2 / 5 * 40 / 48), rtol=0.02)


# -- numbers --


def test_disparity_is_focal_times_baseline_over_depth():
    stored = np.array([[1000, 4000]], np.uint16)
    view = {"stored": stored, "kind": "depth", "unit": 0.001, "focal_px": 30.0, "baseline": 2.0}
    disparity, known = disparity_of(view)
    assert disparity.tolist() == [[60, 15]] and known.tolist() == [[1, 1]]


@pytest.mark.parametrize("kind", ["depth", "px"])
def test_missing_depth_is_masked(kind):
    stored = np.array([[0, -1, np.nan, np.inf, 5]], np.float32)
    view = {"stored": stored, "kind": kind, "unit": 1.0, "focal_px": 30.0, "baseline": 2.0}
    disparity, known = disparity_of(view)
    assert known.tolist() == [[0, 0, 0, 0, 1]]
    assert disparity.tolist() == [[0, 0, 0, 0, 12 if kind == "depth" else 5]]


def test_relative_disparity_spans_a_scene():
    view = {"stored": np.array([[10, 20, 30]]), "kind": "relative", "baseline": 100.0}
    disparity, known = disparity_of(view)
    assert np.allclose(disparity, [[5, 52.5, 100]]) and known.all()


@given(st.lists(st.floats(0, 70000, width=32), min_size=1, max_size=20))
def test_compact_keeps_every_number(values):
    stored = np.array(values, np.float32)
    assert np.array_equal(compact(stored), stored)


def test_gaps_never_bleed_into_resized_maps():
    values, known = np.full((8, 8), 10.0, np.float32), np.ones((8, 8), np.float32)
    values[:, 3:5], known[:, 3:5] = -999, 0
    for size in ((4, 4), (12, 12)):
        resized, kept = resize_known(values, known, size)
        assert set(np.unique(resized[kept == 1])) == {10.0}
    assert resize_known(values, known, (8, 2))[1].tolist()[0] == [1, 1]


def test_resizing_scales_disparity_and_focal_length(tmp_path):
    depth = np.full((40, 48), 1000, np.uint16)
    write_pair(tmp_path, "flat", depth=depth)
    data_set = {"name": "test", "path": str(tmp_path), "param": PARAM}
    for crop, factor in (((40, 48), 1.0), ((80, 96), 2.0), ((20, 24), 0.5)):
        sample = samples(data_set, crop)[0, 0, 0]
        assert float(sample["focal_px"]) == pytest.approx(30 * factor)
        assert torch.allclose(sample["disparity"], torch.tensor(30 * 2 / 1000 * factor))


def test_focal_length_may_be_a_share_of_the_long_side(tmp_path):
    data_set = folder_set(tmp_path, focal_unit="long side", param={"baseline": 1, "focal": 0.5})
    assert float(samples(data_set, (40, 48))[0, 0, 0]["focal_px"]) == 24


def test_confidence_weighs_and_low_confidence_masks(tmp_path):
    data_set = folder_set(tmp_path, count=1, confidence="confidence")
    (tmp_path / "confidence").mkdir()
    trust = np.full((40, 48), 204, np.uint8)
    trust[:, 24:] = 30
    cv2.imwrite(str(tmp_path / "confidence" / "photo0.png"), trust)
    sample = samples(data_set, (40, 48))[0, 0, 0]
    assert sample["mask"][0, 0].tolist() == [1] * 24 + [0] * 24
    assert torch.allclose(sample["confidence"][0, :, :20], torch.tensor(0.8))


def test_instances_come_from_masks(tmp_path):
    data_set = folder_set(tmp_path, count=1, masks="masks")
    (tmp_path / "masks").mkdir()
    numbers = np.zeros((40, 48), np.uint8)
    numbers[10:20, 10:20] = 7
    cv2.imwrite(str(tmp_path / "masks" / "photo0.png"), numbers)
    opened = data_sets.open_data_set(data_set, masks=True)
    found = data_loader.Samples([opened], data_loader.Drawing((40, 48)), train=False)[0, 0, 0][
        "instances"
    ]
    assert torch.equal(found[0], torch.from_numpy(numbers))
    assert not samples(data_set, (40, 48))[0, 0, 0]["instances"].any()  # read only when needed


@pytest.mark.parametrize("key", ["confidence", "masks"])
def test_optional_folder_that_was_named_must_exist(tmp_path, key):
    data_set = folder_set(tmp_path, **{key: "elsewhere"})
    with pytest.raises(ValueError, match=f"elsewhere does not exist.\n  Correct its '{key}'"):
        data_sets.open_data_set(data_set, masks=True)


def write_nyu(path, depths=2):
    image = np.arange(2 * 3 * 48 * 40).reshape(2, 3, 48, 40).astype(np.uint8)
    with h5py.File(path, "w") as file:  # MATLAB's order: photo, channel, column, row
        file["images"] = image
        file["depths"] = np.linspace(1, 9, depths * 48 * 40).reshape(depths, 48, 40).astype("f4")
        file["instances"] = np.ones((2, 48, 40), np.uint8)
    return {"name": "nyu", "path": str(path), "param": PARAM}


def test_labelled_matlab_file_is_turned_upright(tmp_path):
    data_set = write_nyu(tmp_path / "nyu.mat")
    sample = samples(data_set, (40, 48))[0, 1, 0]
    with h5py.File(tmp_path / "nyu.mat") as file:
        image, depth = file["images"][1], file["depths"][1]
    for row, column in ((0, 0), (3, 17), (39, 47)):
        assert sample["image"][:, row, column].tolist() == image[:, column, row].tolist()
        assert float(sample["disparity"][0, row, column]) == pytest.approx(60 / depth[column, row])
    assert sample["instances"].all() and len(samples(data_set).sets[0]) == 2


def test_other_files_are_no_labelled_file(tmp_path):
    for depths in (None, 3):
        path = tmp_path / "wrong.mat"
        path.unlink(missing_ok=True)
        data_set = write_nyu(path, depths or 2)
        if depths is None:
            path.write_bytes(b"not HDF5")
        with pytest.raises(ValueError, match="'nyu'.*wrong.mat is no labelled file"):
            data_sets.open_data_set(data_set)


# -- crops --


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(st.integers(5, 300), st.integers(5, 300)),
    st.tuples(st.integers(32, 128), st.integers(32, 128)),
    st.lists(st.floats(0, 0.9999), min_size=3, max_size=3),
    st.booleans(),
    st.sampled_from([1, 2, 4]),
)
def test_window_lies_inside_the_photo(size, crop, draws, centred, align):
    top, left, height, width = choose_box(size, crop, draws, 0.5, centred, align)
    assert 0 <= top and 0 <= left and height > 0 and width > 0
    assert top + height <= size[0] and left + width <= size[1]
    if centred:
        assert 2 * top + height == size[0] and 2 * left + width == size[1]


@pytest.mark.parametrize("size", [(20, 30), (33, 35), (300, 90)])
def test_photos_of_any_size_give_the_crop(tmp_path, size):
    write_pair(tmp_path, "odd", size)
    data_set = {"name": "test", "path": str(tmp_path), "param": PARAM}
    sample = samples(data_set, (64, 80), train=True)[0, 0, 5]
    assert sample["image"].shape == (3, 64, 80) and sample["image"].dtype == torch.uint8
    assert sample["disparity"].shape == sample["mask"].shape == (1, 64, 80)


def test_image_and_depth_stay_aligned_through_crop_and_flip(tmp_path):
    """The photo's grey level is its depth / 1000, whatever window is cut and mirrored."""
    drawn = samples(folder_set(tmp_path), train=True)
    for number in range(30):
        sample = drawn[0, 0, number]
        depth = sample["focal_px"] * sample["baseline"] / sample["disparity"][0]
        grey = sample["image"][0].float() / 255 * 1000
        assert (grey - depth).abs().max() < 40  # two columns of the ramp


def test_samples_are_flipped_half_of_the_time(tmp_path):
    drawn = samples(folder_set(tmp_path, count=1), train=True)
    rising = [bool((d := drawn[0, 0, n]["disparity"][0, 0])[0] < d[-1]) for n in range(60)]
    assert 15 < sum(rising) < 45


# -- second views --


def test_second_view_tells_the_shift_and_its_own_depth(scenes):
    drawn = samples(scenes, (24, 32), train=True, second_view=True)
    for number in range(12):
        sample = drawn[0, 0, number]
        focal, baseline = float(sample["focal_px"]), float(sample["baseline"])
        depth, other = (
            focal * baseline / sample[key].mean() for key in ("disparity", "second_disparity")
        )
        assert other - depth == pytest.approx(float(sample["second_shift"][2]), abs=1e-4)
        assert {int(sample["image"][0, 0, 0]), int(sample["second_image"][0, 0, 0])} == {50, 200}
        assert sample["has_second"] == 1


def test_mirroring_mirrors_the_shift(scenes):
    drawn = samples(scenes, (24, 32), train=True, second_view=True)
    shifts = {tuple(np.round(drawn[0, 0, n]["second_shift"].tolist(), 3)) for n in range(60)}
    assert shifts == {(x * s, 0.2 * s, -0.5 * s) for x in (0.1, -0.1) for s in (1, -1)}


def test_sets_with_and_without_second_views_mix(scenes, tmp_path_factory):
    folder = folder_set(tmp_path_factory.mktemp("folder"))
    opened = [data_sets.open_data_set(d) for d in (scenes, folder)]
    drawing = data_loader.Drawing((24, 32), second_view=True)
    drawn = data_loader.Samples(opened, drawing, train=True)
    batch = data_loader.collate([drawn[0, 0, 0], drawn[1, 0, 1]])
    assert batch["has_second"].tolist() == [1, 0]
    assert batch["second_mask"][1].sum() == 0


def test_file_that_is_no_shard_is_named(tmp_path):
    with h5py.File(tmp_path / "scenes-000000.h5", "w") as file:
        file["image"] = np.zeros(3)
    with pytest.raises(ValueError, match="'wall'.*scenes-000000.h5"):
        data_sets.open_data_set({"name": "wall", "path": str(tmp_path), "param": PARAM})


# -- the stream --


class Counted:
    """A data set of which only length and weight matter."""

    def __init__(self, length, weight=1.0):
        self.length, self.data_set = length, {"name": "counted", "weight": weight}

    def __len__(self):
        return self.length


def stream(lengths=(7,), weights=None, batch_size=2, **options):
    weights = weights or [1.0] * len(lengths)
    sets = [Counted(n, w) for n, w in zip(lengths, weights, strict=True)]
    items = [np.arange(n) for n in lengths]
    return data_loader.Stream(sets, items, batch_size, seed=3, **options)


def test_an_epoch_draws_every_item_once():
    keys = [key for batch in stream(lengths=(5, 4), batch_size=3, steps=6) for key in batch]
    for epoch in (keys[:9], keys[9:]):
        expected = [(0, n) for n in range(5)] + [(1, n) for n in range(4)]
        assert sorted(k[:2] for k in epoch) == expected
    assert [k[:2] for k in keys[:9]] != [k[:2] for k in keys[9:]]


def test_weight_draws_a_set_more_often():
    drawn = stream(lengths=(4, 4), weights=[2.5, 1.0])
    keys = [drawn.key(number)[0] for number in range(drawn.epoch_length)]
    assert keys.count(0) == 10 and keys.count(1) == 4


def test_stream_resumed_midway_continues_the_same():
    whole = list(stream(steps=20))
    assert list(stream(start=13, steps=20)) == whole[13:]


def test_every_batch_draws_one_of_the_crops_for_all_processes():
    drawn = [{key[3] for key in batch} for batch in stream(steps=40, crops=3)]
    assert all(len(shapes) == 1 for shapes in drawn) and set.union(*drawn) == {0, 1, 2}
    other = [{key[3] for key in batch} for batch in stream(steps=40, crops=3, process=(1, 2))]
    assert other == drawn


def test_batches_come_in_their_crops_and_validation_in_the_first(tmp_path):
    opened = data_sets.open_data_set(folder_set(tmp_path, count=4))
    drawing = data_loader.Drawing((32, 40), other_crops=[(40, 24)])
    data = data_loader.TrainingData([opened], drawing, batch_size=2, workers=0)
    shapes = {tuple(batch["image"].shape[2:]) for batch in data.training(0, 12)}
    assert shapes == {(32, 40), (40, 24)}
    assert {tuple(b["image"].shape[2:]) for b in data.validation("cpu")} == {(32, 40)}


def test_two_processes_see_what_one_with_the_doubled_batch_sees():
    together = list(stream(batch_size=4, steps=5))
    halves = [list(stream(batch_size=2, steps=5, process=(r, 2))) for r in (0, 1)]
    assert [a + b for a, b in zip(*halves, strict=True)] == together


def test_split_is_the_same_every_time_and_disjoint():
    sets = [Counted(200), Counted(30)]
    train, held_out = data_loader.split(sets, 0.1)
    again, _ = data_loader.split(sets, 0.1)
    for which, length in enumerate((200, 30)):
        assert set(train[which]) | set(held_out[which]) == set(range(length))
        assert not set(train[which]) & set(held_out[which])
        assert np.array_equal(train[which], again[which])
    assert [len(h) for h in held_out] == [20, 3]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_tiny_sets_still_train_and_validate(length):
    (train,), (held_out,) = data_loader.split([Counted(length)], 0.01)
    assert len(train) == max(1, length - 1) and len(held_out) == 1


# -- batches --


def training_data(root, **options):
    opened = [data_sets.open_data_set(folder_set(root, count=4))]
    drawing = data_loader.Drawing((32, 40))
    return data_loader.TrainingData(opened, drawing, batch_size=2, **options)


def test_number_of_workers_changes_nothing(tmp_path):
    # OpenCV's threads, once at work, made forked workers wait for ever.
    cv2.setNumThreads(2)
    cv2.GaussianBlur(np.random.rand(2000, 2000), (31, 31), 5)
    batches = [list(training_data(tmp_path, workers=n).training(3, 7)) for n in (0, 2)]
    for one, two in zip(*batches, strict=True):
        assert one["name"] == two["name"]
        assert torch.equal(one["image"], two["image"])
        assert torch.equal(one["uniform"], two["uniform"])


def test_samples_differ_from_epoch_to_epoch(tmp_path):
    data = training_data(tmp_path, workers=0)
    first, second = (data.samples[0, 0, number]["uniform"] for number in (0, 1))
    assert not torch.equal(first, second)


def test_cached_photos_equal_read_ones(tmp_path):
    data = training_data(tmp_path, workers=0, cache_mib=1)
    first, again = data.samples[0, 0, 0], data.samples[0, 0, 0]
    assert len(data.samples.cache) == 1 and torch.equal(first["image"], again["image"])


def test_cache_respects_its_limit(tmp_path):
    data = training_data(tmp_path, workers=0, cache_mib=0)
    data.samples[0, 0, 0]
    assert not data.samples.cache


def test_validation_is_the_same_every_time(tmp_path):
    data = training_data(tmp_path, workers=0, val_share=0.5)
    first, again = (list(data.validation("cpu")) for _ in "ab")
    assert len(first) == 1 and len(first[0]["name"]) == 2
    assert torch.equal(first[0]["image"], again[0]["image"])


def test_validation_on_a_set_of_its_own_leaves_all_for_training(tmp_path_factory):
    opened = [data_sets.open_data_set(folder_set(tmp_path_factory.mktemp(n))) for n in "ab"]
    data = data_loader.TrainingData(
        opened[:1], data_loader.Drawing((32, 40)), opened[1:], batch_size=2
    )
    assert len(data.items[0]) == 3 and len(data.check_items[0]) == 3
    assert "b0" in next(iter(data.validation("cpu")))["name"][0]


def test_colours_follow_the_numbers_and_stay_in_range():
    image, uniform = torch.rand(3, 3, 8, 8), torch.rand(3, 16)
    changed = change_colours(image, uniform)
    assert torch.equal(changed, change_colours(image, uniform))
    assert changed.min() >= 0 and changed.max() <= 1
    alone = change_colours(image[1:2], uniform[1:2])
    assert torch.allclose(changed[1:2], alone, atol=1e-6)
    assert not torch.allclose(changed, image, atol=0.01)


def test_both_views_change_colours_alike():
    image = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    batch = {"image": image, "second_image": image, "uniform": torch.rand(2, 16), "name": ["a"]}
    prepared = data_loader.prepare(batch, "cpu", colours=True)
    assert torch.equal(prepared["image"], prepared["second_image"])
    assert prepared["image"].dtype == torch.float32


def test_without_colours_the_image_is_what_was_stored():
    image = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    prepared = data_loader.prepare({"image": image}, "cpu", colours=False)
    assert torch.equal((prepared["image"] * 255).round().byte(), image)


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        (
            {
                "name": "nyu",
                "path": "nyu-train",
                "depth_unit": 0.001,
                "param": {"baseline": 0.12, "focal": 312},
            },
            795,
        ),
        (
            {
                "name": "photos",
                "path": "photos",
                "disparity": "relative",
                "confidence": "confidence",
                "focal_unit": "long side",
                "param": {"baseline": 120, "focal": 0.5},
            },
            1175,
        ),
    ],
)
def test_real_data_sets_load_as_dicts(data, keys, count):
    drawn = samples(keys | {"path": str(data(keys["path"]))}, (96, 128), train=True)
    assert len(drawn.sets[0]) == count
    for number in range(0, count, 200):
        sample = drawn[0, number, number]
        known = sample["mask"] > 0
        assert known.float().mean() > 0.5
        assert (sample["disparity"][known] > 0).all() and (sample["disparity"][~known] == 0).all()
