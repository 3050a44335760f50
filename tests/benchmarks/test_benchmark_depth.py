"""The depth benchmark: its protocol on scenes with known answers, and its readers."""

import json
import math

import cv2
import h5py
import numpy as np
import pytest
import torch

from benchmarks import depth
from utils.training.data_set_keys import is_held_out


def _sample(inverse, reach=math.inf, **more):
    truth = torch.as_tensor(inverse, dtype=torch.float32)[None, None]
    return depth.Sample("x", torch.zeros(1, 3, *truth.shape[-2:]), truth, reach, **more)


def _noise(height=24, width=32, seed=0):
    return torch.rand(height, width, generator=torch.Generator().manual_seed(seed)) + 0.5


# --- protocol ------------------------------------------------------------------------------------
def test_scale_and_offset_in_inverse_depth_are_forgiven():
    truth = _noise()
    found = depth.figures(7 * truth[None, None] + 3, _sample(truth))
    assert found["abs_rel"] < 1e-5 and found["delta1"] == 1
    assert found["correlation"] == pytest.approx(1) and found["ordinal"] == 0


def test_scale_and_offset_in_depth_are_not():
    truth = _noise()
    found = depth.figures(1 / (1 / truth[None, None] + 3), _sample(truth))
    assert found["abs_rel"] > 0.01


def test_a_floor_is_a_ramp_and_a_constant_is_a_coin():
    floor = torch.linspace(0.2, 1, 24).view(24, 1).expand(24, 32)
    rows = depth.evaluate({"ramp": depth.ramp, "constant": depth.constant}, [_sample(floor)])
    ramp, constant = rows["ramp"][0], rows["constant"][0]
    assert ramp["abs_rel"] < 1e-5 and ramp["correlation"] == pytest.approx(1)
    assert constant["ordinal"] == 0.5 and constant["correlation"] == 0
    mean = float(floor.double().mean())
    expected = float((floor / mean - 1).abs().mean())  # |1/mean - z| / z with z = 1/floor
    assert constant["abs_rel"] == pytest.approx(expected, rel=1e-4)


def test_depth_ends_at_the_range_of_the_sensor():
    truth = _noise()
    guess = truth.clone()
    guess[0, 0] = -0.5  # beyond infinity, one pixel of 768: the fit hardly changes
    found = depth.figures(guess[None, None], _sample(truth, 10.0))
    error = 10 - 1 / float(truth[0, 0])
    assert found["rmse"] == pytest.approx(error / math.sqrt(768), rel=0.05)


def test_unknown_pixels_do_not_count():
    truth, guess = _noise(), _noise()
    truth[:, :16], guess[:, :16] = 0, 99
    assert depth.figures(guess[None, None], _sample(truth))["abs_rel"] < 1e-5


def test_disparity_sets_have_no_depth_figures():
    found = depth.figures(_noise()[None, None], _sample(_noise(), None))
    assert "abs_rel" not in found and "ordinal" in found


def test_estimates_of_any_size_are_enlarged():
    truth = torch.linspace(1, 2, 32).expand(24, 32)
    found = depth.figures(truth[None, None, ::2, ::2], _sample(truth))
    assert found["correlation"] > 0.999


def test_annotated_edges_are_used():
    truth = torch.where(torch.arange(48) < 24, 0.2, 1.0).expand(40, 48)
    edges = np.zeros((40, 48), bool)
    edges[:, 26] = True
    plain = depth.figures(truth[None, None], _sample(truth))
    annotated = depth.figures(truth[None, None], _sample(truth, edges=edges))
    assert plain["dbe_accuracy"] == 0 and 1 < annotated["dbe_accuracy"] < 4


@pytest.mark.slow
def test_the_ramp_scores_on_nyu_what_others_found(data):
    rows = depth.evaluate({"ramp": depth.ramp}, depth.nyu_samples(data("val/rgbd")))
    found = depth.means(rows["ramp"])
    assert found["abs_rel"] == pytest.approx(0.234, abs=0.003)
    assert found["delta1"] == pytest.approx(0.585, abs=0.01)


def test_means_leave_nan_out_and_images_without_truth_are_skipped():
    rows = [{"abs_rel": 1.0, "dbe_accuracy": math.nan}, {"abs_rel": 3.0, "dbe_accuracy": 4.0}]
    assert depth.means(rows) == {"abs_rel": 2.0, "dbe_accuracy": 4.0}
    assert depth.evaluate({"ramp": depth.ramp}, [_sample(torch.zeros(8, 8))]) == {"ramp": []}


# --- readers -------------------------------------------------------------------------------------
def _write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


def test_rgbd_folder_reads_millimetres_and_colour_order(tmp_path):
    red = np.zeros((6, 8, 3), np.uint8)
    red[..., 2] = 255  # BGR on disk
    stored = np.full((6, 8), 2000, np.uint16)
    stored[0] = 0
    _write(tmp_path / "images" / "a.png", red)
    _write(tmp_path / "depth" / "a.png", stored)
    (sample,) = depth.nyu_samples(tmp_path)
    assert sample.image[0, :, 0, 0].tolist() == [1, 0, 0]
    assert sample.inverse[0, 0, 1, 0] == 0.5 and (sample.inverse[0, 0, 0] == 0).all()
    assert sample.range == 10


def test_labelled_nyu_file_is_transposed_cropped_and_split(tmp_path):
    path, split = tmp_path / "nyu.mat", tmp_path / "split.txt"
    metres = np.arange(1, 1 + 48 * 40, dtype=np.float32).reshape(1, 48, 40).repeat(3, 0)
    metres[2] *= 2
    with h5py.File(path, "w") as file:
        file["depths"] = metres  # (N, W, H)
        file["images"] = np.zeros((3, 3, 48, 40), np.uint8)
    split.write_text("3\n")
    (sample,) = depth.nyu_samples(path, split)
    assert sample.name == "0003" and sample.inverse.shape == (1, 1, 8, 16)
    # First row and column left after 16 px: x = 16, y = 16, value 2 * (1 + 16 * 40 + 16).
    assert 1 / float(sample.inverse[0, 0, 0, 0]) == pytest.approx(2 * (1 + 16 * 40 + 16))
    assert len(list(depth.nyu_samples(path))) == 3


def test_ibims_folder_reads_range_masks_and_edges(tmp_path):
    stored = np.full((6, 8), 65535, np.uint16)
    mask = np.full((6, 8), 255, np.uint8)
    mask[0] = 0
    edges = np.zeros((6, 8), np.uint8)
    edges[3] = 255
    _write(tmp_path / "depth" / "room.png", stored)
    _write(tmp_path / "rgb" / "room.png", np.zeros((6, 8, 3), np.uint8))
    _write(tmp_path / "mask_invalid" / "room.png", mask)
    _write(tmp_path / "edges" / "room.png", edges)
    (sample,) = depth.ibims_samples(tmp_path)
    assert float(sample.inverse[0, 0, 1, 0]) == pytest.approx(1 / 50)
    assert (sample.inverse[0, 0, 0] == 0).all() and sample.edges[3].all()


def test_stereo_folder_reads_64ths_of_a_pixel(tmp_path):
    _write(tmp_path / "one" / "disp_left.png", np.full((6, 8), 96, np.uint16))
    _write(tmp_path / "one" / "left.png", np.zeros((6, 8, 3), np.uint8))
    (sample,) = depth.stereo_samples(tmp_path)
    assert (sample.inverse == 1.5).all() and sample.range is None


def test_any_data_set_dict_can_be_judged(tmp_path):
    rng = np.random.default_rng(0)
    _write(tmp_path / "images" / "a.png", np.zeros((40, 48, 3), np.uint8))
    _write(tmp_path / "depth" / "a.png", rng.integers(500, 900, (40, 48)).astype(np.uint16))
    data_set = {"name": "mine", "path": str(tmp_path), "param": {"baseline": 1, "focal": 100}}
    (sample,) = depth.dict_samples(data_set | {"depth_unit": 0.001})
    found = depth.figures(sample.inverse, sample)
    assert found["abs_rel"] < 1e-5 and sample.range == math.inf


def test_strong_labels_judge_by_held_out_clips_and_order_alone_where_only_that_is_known(tmp_path):
    names = [f"clip{n}" for n in range(99)]
    clip, second = [name for name in names if is_held_out(name)][:2]
    other = next(name for name in names if not is_held_out(name))
    nearness = np.linspace(0, 255, 40)[:, None].repeat(48, 1).astype(np.uint8)
    for stem in ("a", "b", "depthy_c", "d"):
        _write(tmp_path / "images" / f"{stem}.png", np.zeros((40, 48, 3), np.uint8))
        _write(tmp_path / "nearness" / f"{stem}.png", nearness)
    (tmp_path / "index.csv").write_text(
        f"stem,kind,clip\na,disparity,{clip}\nb,order,{second}\ndepthy_c,order,{clip}\n"
        f"d,disparity,{other}\n"
    )
    measured, ordered = depth.strong_samples(tmp_path)
    assert not measured.ordered and ordered.ordered
    assert (measured.inverse[..., 0, :] == 0).all(), "0 is unknown"
    found = depth.figures(depth.ramp(ordered.image) ** 3, ordered)
    assert found["ordinal"] < 0.01 and math.isnan(found["correlation"])
    assert depth.figures(depth.ramp(measured.image), measured)["correlation"] > 0.99


def test_a_broken_picture_is_named(tmp_path):
    (tmp_path / "depth").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "depth" / "a.png").write_bytes(b"no picture")
    (tmp_path / "images" / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="a.png cannot be read"):
        list(depth.rgbd_samples(tmp_path))


# --- command line --------------------------------------------------------------------------------
def test_the_program_prints_a_table_and_writes_json(tmp_path, monkeypatch, capsys):
    stored = (64 * np.linspace(10, 20, 40)[:, None].repeat(48, 1)).astype(np.uint16)
    _write(tmp_path / "one" / "disp_left.png", stored)
    _write(tmp_path / "one" / "left.png", np.zeros((40, 48, 3), np.uint8))
    result = tmp_path / "result.json"
    monkeypatch.setattr("sys.argv", ["depth", "--stereo", str(tmp_path), "--json", str(result)])
    depth.main()
    assert "ramp" in capsys.readouterr().out
    saved = json.loads(result.read_text())["stereo"]
    assert saved["ramp"]["mean"]["correlation"] == pytest.approx(1, abs=1e-3)
    assert saved["ramp"]["images"][0]["dbe_accuracy"] is None  # a slope has no edge


def test_nothing_to_judge_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["depth"])
    with pytest.raises(SystemExit, match="No data set"):
        depth.main()
    monkeypatch.setattr("sys.argv", ["depth", "--stereo", str(tmp_path)])
    with pytest.raises(ValueError, match=r"holds no \*/disp_left.png"):  # run_telling() says it
        depth.main()
