"""The inpainting benchmark: views with known answers, masks drawn by hand."""

import json
import math

import cv2
import h5py
import numpy as np
import pytest
import torch

from benchmarks import inpainting as bench
from utils.weights import load_inpainter


def _pair(height=48, width=64):
    """A flat grey wall behind a white card; the second camera stands to the right."""

    def view(offset):
        image, disparity = torch.full((1, 3, height, width), 0.4), torch.full((height, width), 2.0)
        left = 30 - 8 * offset
        image[..., 16:32, left : left + 12] = 1
        disparity[16:32, left : left + 12] = 8
        return image, disparity[None, None]

    (left, disparity), (right, true) = view(0), view(1)
    return bench.stereo_pair("card", left, right, disparity, true)


def _exact(holed):
    return holed.pair.truth, holed.pair.true_disparity


def test_the_uncovered_pixels_are_those_beside_the_card():
    holes = bench.second_view(_pair()).known[0, 0] == 0
    # The card covered 30..41 (28..39 of the wall as now seen) and now stands at 22..33.
    assert holes[17:31, 34:39].all()
    assert not holes[:15, :62].any() and holes[:, 62:].all()  # the frame's own border


def test_holes_that_touch_the_border_are_told_apart():
    holes = torch.zeros(1, 1, 8, 8)
    holes[..., 2:4, 2:4] = 1
    holes[..., 5:, 6:] = 1
    expected = holes.clone()
    expected[..., 5:, 6:] = 0
    torch.testing.assert_close(bench.inside(holes), expected)


def test_a_perfect_filling_scores_perfectly_in_the_holes():
    rows = bench.evaluate([_pair()], {"exact": _exact, "black": bench.unfilled})
    exact, black = rows["exact"][0], rows["black"][0]
    assert exact["psnr_hole"] == math.inf and exact["ssim_hole"] > 0.9
    assert exact["disparity"] == 0
    # Almost: the median also takes the corners of the white card for holes.
    assert black["psnr_hole"] == pytest.approx(20 * math.log10(1 / 0.4), abs=0.3)
    assert math.isnan(black["disparity"])


def test_the_rule_continues_the_wall_and_not_the_card():
    rows = bench.evaluate([_pair()], bench.FILLINGS)
    assert rows["rule"][0]["psnr_inside"] > 60 and rows["rule"][0]["disparity"] < 0.01
    for name in ("telea", "navier-stokes", "no parallax"):
        assert rows[name][0]["psnr_inside"] < rows["rule"][0]["psnr_inside"]


def test_no_filling_may_change_known_pixels():
    def vandal(holed):
        return torch.rand_like(holed.image), None

    pair = _pair()
    known = bench.second_view(pair).known
    rows = bench.evaluate([pair], {"vandal": vandal, "exact": _exact})
    error = {name: 10 ** (-found[0]["psnr_all"] / 10) for name, found in rows.items()}
    holes = float((1 - known).mean())
    in_holes = 10 ** (-rows["vandal"][0]["psnr_hole"] / 10)
    assert error["vandal"] - error["exact"] == pytest.approx(in_holes * holes, rel=1e-3)


def test_estimated_disparity_is_judged_where_the_true_one_uncovers():
    def flat(image):
        return torch.zeros_like(image[:, :1])

    def true(image):
        return 3 * _pair().disparity + 1

    with_truth = bench.evaluate([_pair()], {"rule": bench.by_rule}, true)["rule"][0]
    plain = bench.evaluate([_pair()], {"rule": bench.by_rule})["rule"][0]
    assert with_truth["psnr_all"] == pytest.approx(plain["psnr_all"], abs=0.01)
    without = bench.evaluate([_pair()], {"rule": bench.by_rule}, flat)["rule"][0]
    assert without["psnr_all"] < plain["psnr_all"] - 3
    # A flat world uncovers nothing inside the frame; what the card hid is judged all the same.
    assert without["psnr_inside"] < plain["psnr_inside"] - 3


def test_unknown_disparity_of_every_kind_makes_no_point():
    disparity = torch.full((1, 1, 8, 8), 2.0)
    disparity[..., 0, 0], disparity[..., 0, 1], disparity[..., 0, 2] = math.nan, math.inf, -1
    pair = bench.stereo_pair("x", torch.ones(1, 3, 8, 8), torch.ones(1, 3, 8, 8), disparity)
    assert pair.disparity[0, 0, 0, :3].tolist() == [0, 0, 0]
    assert torch.isfinite(bench.second_view(pair).image).all()


def test_stereo_folder_is_read(tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    for side in ("left", "right"):
        cv2.imwrite(str(folder / f"{side}.png"), np.full((24, 32, 3), (0, 0, 255), np.uint8))
        cv2.imwrite(str(folder / f"disp_{side}.png"), np.full((24, 32), 128, np.uint16))
    (pair,) = bench.stereo_pairs(tmp_path)
    assert pair.name == "one" and (pair.disparity == 2).all() and (pair.true_disparity == 2).all()
    assert pair.image[0, :, 0, 0].tolist() == [1, 0, 0]


def _shard(path):
    """One scene: a wall at depth 40, seen again from 3 nearer and 2 to the right."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": "kbe-scenes-1", "baseline": 1.0})
        file["image"] = np.full((1, 2, 24, 32, 3), 99, np.uint8)
        file["depth"] = np.stack([np.full((24, 32), z, np.float32) for z in (40, 37)])[None]
        file["shift"] = np.array([[[0, 0, 0], [-2, 0, -3]]], np.float32)
        file["focal_px"] = np.array([80], np.float32)


def test_scene_shards_give_disparity_in_the_scale_of_the_photo(tmp_path):
    _shard(tmp_path / "s.h5")
    (pair,) = bench.scene_pairs([tmp_path / "s.h5"])
    # Both disparities say 80 / 40, since the second is carried in the first camera's scale.
    assert pair.disparity.unique().tolist() == [2] and pair.true_disparity.unique().tolist() == [2]
    assert pair.shift == (-2, 0, -3)
    seen = bench.second_view(pair)
    found = seen.disparity[seen.known > 0]
    torch.testing.assert_close(found, torch.full_like(found, 2.0))


def test_a_network_fills_what_the_film_would_let_it_fill(tmp_path):
    from models.pointcloud_inpainting import Inpaint
    from utils.weights.loading import save_state_dict

    torch.manual_seed(0)
    save_state_dict(tmp_path / "net.safetensors", Inpaint(widths=(8, 8, 8, 8)).state_dict())
    fill = bench.by_inpainter(load_inpainter(tmp_path / "net.safetensors"))
    found = bench.evaluate([_pair()], {"net": fill})["net"][0]
    assert math.isfinite(found["psnr_hole"]) and math.isfinite(found["disparity"])


def _textures(height=96, width=128):
    """Fine noise, more of the same kind, its blurred copy, and a hole in the middle."""
    noise = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(3))
    blurred = torch.nn.functional.avg_pool2d(noise[:1], 5, stride=1, padding=2)
    holes = torch.zeros(1, 1, height, width)
    holes[..., 20:70, 30:90] = 1
    return noise[:1], noise[1:], blurred, holes


def test_gradient_is_that_of_the_texture_inside_holes_alone():
    truth, other, blurred, holes = _textures()
    assert bench.gradient_ratio(truth, truth, holes) == 1
    assert bench.gradient_ratio(other, truth, holes) == pytest.approx(1, abs=0.05)
    assert bench.gradient_ratio(blurred, truth, holes) < 0.1
    # A step at the seam of a flat hole is no texture.
    assert bench.gradient_ratio(truth * (1 - holes), truth, holes) == 0
    assert math.isnan(bench.gradient_ratio(truth, truth, torch.zeros_like(holes)))


def test_gram_distance_knows_the_kind_of_texture_wherever_it_stands():
    truth, other, blurred, holes = _textures()
    assert bench.feature_distances(truth, truth, holes) == (0, 0)
    same_kind, blur = (bench.feature_distances(x, truth, holes) for x in (other, blurred))
    assert same_kind[0] < 0.3 * blur[0]  # Gram: more of the same noise is nearly right
    assert same_kind[1] > 0.5 * blur[1]  # features: it stands elsewhere
    outside = truth * (holes > 0)
    assert bench.feature_distances(outside, truth, holes)[0] < 0.5 * blur[0]


def test_the_edge_band_reaches_three_pixels_to_both_sides_and_ignores_the_unknown():
    disparity = torch.full((1, 1, 20, 30), 2.0)
    disparity[..., 14:] = 8
    disparity[..., 3:6, 2:5] = 0  # unknown is no edge
    band = bench.edge_band(disparity)[0, 0]
    assert band[10].nonzero().flatten().tolist() == list(range(10, 18))
    assert not bench.edge_band(torch.zeros(1, 1, 4, 4)).any()


def test_the_program_prints_a_table_and_writes_json(tmp_path, monkeypatch, capsys):
    _shard(tmp_path / "s.h5")
    arguments = ["inpainting", "--scenes", str(tmp_path / "s.h5"), "--json", str(tmp_path / "r")]
    monkeypatch.setattr("sys.argv", arguments)
    bench.main()
    assert "navier-stokes" in capsys.readouterr().out
    saved = json.loads((tmp_path / "r").read_text())["scenes"]
    assert saved["rule"]["images"][0]["pair"] == "s/0/1"


def test_nothing_to_judge_is_said(monkeypatch):
    monkeypatch.setattr("sys.argv", ["inpainting"])
    with pytest.raises(SystemExit, match="pass --stereo FOLDER or --scenes SHARD"):
        bench.main()
