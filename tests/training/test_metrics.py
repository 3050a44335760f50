"""Figures of merit: textbook values, masks that really leave pixels out, golden numbers."""

import math

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.training import metrics


@pytest.fixture(scope="module")
def losses(golden):
    with h5py.File(golden / "losses.h5") as file:
        groups = ("depth_losses", "metrics", "inpaint_metrics")
        return {g: {k: torch.as_tensor(v[()]) for k, v in file[g].items()} for g in groups}


def _random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


# --- depth ---------------------------------------------------------------------------------------
def test_depth_metrics_of_two_pixels_by_hand():
    figures = metrics.depth_metrics(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 3.0]))
    assert figures["abs_rel"] == pytest.approx(0.25)
    assert figures["sq_rel"] == pytest.approx(0.25)
    assert figures["rmse"] == pytest.approx(math.sqrt(0.5))
    assert figures["log10"] == pytest.approx(math.log10(2) / 2)
    assert figures["rmse_log10"] == pytest.approx(math.log10(2) / math.sqrt(2))
    # A ratio of 2 is above even 1.25^3 = 1.95.
    assert [figures[f"delta{k}"] for k in (1, 2, 3)] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("mask", ["ones", "binary"])
def test_depth_metrics_match_golden_over_valid_pixels(losses, mask):
    source, expected = losses["depth_losses"], losses["metrics"]
    keep = torch.ones_like(source["target"]) if mask == "ones" else source["mask_binary"]
    figures = metrics.depth_metrics(source["disparity"], source["target"], keep)
    for name in ("abs_rel", "sq_rel", "rmse", "rmse_log10", "delta1", "delta2", "delta3"):
        assert figures[name] == pytest.approx(float(expected[f"correct_{name}_{mask}"]), rel=1e-4)


def test_masked_pixels_do_not_count_as_perfect():
    truth, prediction = torch.full((1, 1, 4, 4), 2.0), torch.full((1, 1, 4, 4), 3.0)
    truth[..., :2] = 0  # unknown: the default mask must drop it
    assert metrics.depth_metrics(prediction, truth)["abs_rel"] == pytest.approx(0.5)


@pytest.mark.parametrize("unknown", [0.0, -1.0, math.nan, math.inf])
def test_every_kind_of_missing_depth_is_left_out(unknown):
    truth = torch.tensor([2.0, unknown, 4.0])
    assert metrics.depth_metrics(torch.tensor([2.0, 9.0, 4.0]), truth)["rmse"] == 0


def test_nan_in_a_prediction_is_not_hidden():
    figures = metrics.depth_metrics(torch.tensor([math.nan, 1.0]), torch.tensor([1.0, 1.0]))
    assert all(math.isnan(value) for value in figures.values())


def test_no_valid_pixel_gives_nan_not_zero():
    truth = torch.zeros(1, 1, 3, 3)
    assert all(math.isnan(v) for v in metrics.depth_metrics(truth, truth).values())
    assert math.isnan(metrics.ordinal_error(truth, truth))
    assert math.isnan(metrics.boundary_error(truth, truth)["dbe_accuracy"])


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match="resize the prediction"):
        metrics.depth_metrics(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 3))


# --- alignment -----------------------------------------------------------------------------------
@given(st.floats(0.01, 100), st.floats(-50, 50), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_alignment_undoes_any_scale_and_shift(scale, shift, seed):
    truth = _random(2, 1, 6, 7, seed=seed) + 0.5
    aligned = metrics.align(truth.double() * scale + shift, truth, torch.ones_like(truth))
    torch.testing.assert_close(aligned.float(), truth, rtol=1e-4, atol=1e-4)


def test_alignment_equals_numpy_least_squares_per_image():
    prediction, truth = _random(2, 1, 5, 6, seed=1), _random(2, 1, 5, 6, seed=2)
    weight = _random(2, 1, 5, 6, seed=3) * (_random(2, 1, 5, 6, seed=4) > 0.3)
    scale, shift = metrics.fit_scale_shift(prediction, truth, weight)
    for image in range(2):
        root = np.sqrt(weight[image].double().numpy().ravel())
        columns = np.stack([prediction[image].numpy().ravel(), np.ones(30)], 1) * root[:, None]
        expected = np.linalg.lstsq(columns, truth[image].numpy().ravel() * root, rcond=None)[0]
        np.testing.assert_allclose([scale[image].item(), shift[image].item()], expected, rtol=1e-5)


def test_alignment_ignores_what_lies_behind_the_mask():
    prediction, truth = _random(1, 1, 4, 5), _random(1, 1, 4, 5, seed=9)
    mask = torch.ones_like(truth)
    mask[..., 0] = 0
    spoiled = truth.clone()
    spoiled[..., 0] = math.nan
    torch.testing.assert_close(
        metrics.align(prediction, truth, mask), metrics.align(prediction, spoiled, mask)
    )


def test_degenerate_alignment_is_safe_also_backwards():
    for prediction, weight in ((torch.full((1, 1, 3, 3), 7.0), 1.0), (_random(1, 1, 3, 3), 0.0)):
        prediction.requires_grad_()
        truth = _random(1, 1, 3, 3, seed=5)
        aligned = metrics.align(prediction, truth, torch.full_like(truth, weight))
        expected = truth.mean() if weight else torch.zeros(())
        torch.testing.assert_close(aligned, expected.expand_as(aligned))
        aligned.square().sum().backward()
        assert torch.isfinite(prediction.grad).all()


# --- order and correlation -----------------------------------------------------------------------
def test_ordinal_error_is_0_for_any_rising_map_1_reversed_and_half_for_a_constant():
    truth = _random(1, 1, 20, 20) + 1
    assert metrics.ordinal_error(truth.exp() * 3 - 8, truth) == 0
    assert metrics.ordinal_error(-truth, truth) == 1
    assert metrics.ordinal_error(torch.zeros_like(truth), truth) == 0.5


def test_ordinal_error_agrees_with_all_pairs_counted_one_by_one():
    truth, prediction = _random(30, seed=1) + 0.2, _random(30, seed=2)
    wrong = total = 0
    for i in range(30):
        for j in range(30):
            if abs(truth[i] - truth[j]) > 0.1 * min(truth[i], truth[j]):
                total += 1
                wrong += (truth[i] > truth[j]) != (prediction[i] > prediction[j])
    sampled = metrics.ordinal_error(prediction, truth, threshold=0.1, pairs=400_000)
    assert sampled == pytest.approx(float(wrong) / total, abs=0.004)


def test_ordinal_error_is_reproducible_and_has_a_threshold():
    truth, prediction = _random(1, 1, 9, 9) + 1, _random(1, 1, 9, 9, seed=3)
    assert metrics.ordinal_error(prediction, truth) == metrics.ordinal_error(prediction, truth)
    almost_flat = 1 + 0.001 * truth
    assert math.isnan(metrics.ordinal_error(prediction, almost_flat))


def test_correlation_matches_numpy_and_a_constant_has_none():
    truth, prediction = _random(1, 1, 9, 9) + 1, _random(1, 1, 9, 9, seed=3)
    expected = np.corrcoef(truth.numpy().ravel(), prediction.numpy().ravel())[0, 1]
    assert metrics.correlation(prediction, truth) == pytest.approx(expected, abs=1e-6)
    assert metrics.correlation(torch.ones_like(truth), truth) == 0


# --- boundaries ----------------------------------------------------------------------------------
def _step(column, height=32, width=48):
    return torch.where(torch.arange(width) < column, 1.0, 3.0).expand(1, 1, height, width)


@pytest.mark.parametrize("offset", [0, 1, 4])
def test_boundary_error_is_the_distance_of_two_edges(offset):
    error = metrics.boundary_error(_step(20 + offset), _step(20))
    assert error["dbe_accuracy"] == pytest.approx(offset, abs=0.05)
    assert error["dbe_completeness"] == pytest.approx(offset, abs=0.05)


def test_no_edges_and_far_edges_score_the_reach():
    for prediction in (torch.full((1, 1, 32, 48), 2.0), _step(40)):
        error = metrics.boundary_error(prediction, _step(20))
        assert error == {"dbe_accuracy": 10.0, "dbe_completeness": 10.0}


def test_a_missing_edge_shows_in_completeness_only():
    both = _step(12).clone()
    both[..., 34:] = 1.0
    error = metrics.boundary_error(_step(12), both)
    # Half of the true edge is 22 px from any predicted one, which counts as 10.
    assert error["dbe_accuracy"] < 0.5 and 4.5 < error["dbe_completeness"] < 5.5


def test_holes_in_the_truth_are_no_edges():
    truth = _step(60).clone()  # flat, but for the hole
    truth[..., 10:14, 10:14] = 0
    assert math.isnan(metrics.boundary_error(truth, truth)["dbe_accuracy"])


def test_annotated_edges_replace_detected_ones():
    edges = np.zeros((32, 48), bool)
    edges[:, 23] = True
    error = metrics.boundary_error(_step(20), _step(20), edges=edges)
    assert 2.9 < error["dbe_accuracy"] < 4.1


# --- pictures ------------------------------------------------------------------------------------
def test_psnr_of_a_known_error():
    truth = torch.zeros(1, 3, 8, 8)
    assert metrics.psnr(truth + 0.1, truth) == pytest.approx(20, abs=1e-4)
    assert metrics.psnr(truth + 51.2, truth, peak=512) == pytest.approx(20, abs=1e-4)
    assert metrics.psnr(truth, truth) == math.inf


def test_psnr_over_a_mask_sees_only_the_mask():
    truth, mask = torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)
    mask[..., :2] = 1
    prediction = truth + 0.5
    prediction[..., :2] = 0.1
    assert metrics.psnr(prediction, truth, mask) == pytest.approx(20, abs=1e-4)


def test_psnr_matches_golden(losses):
    g, source = losses["inpaint_metrics"], losses["depth_losses"]
    image, truth = g["image"], g["image_gt"]
    assert metrics.psnr(image, truth) == pytest.approx(float(g["correct_psnr_image"]), rel=1e-4)
    disparity, target = source["disparity"], source["target"]
    assert metrics.psnr(disparity, target, peak=512) == pytest.approx(
        float(g["correct_psnr_disparity"]), rel=1e-4
    )


# --- outlines ------------------------------------------------------------------------------------
def _post(low=4.0, high=10.0):
    """(200, 400) disparity: a post, 100 px wide, before a wall; a reach is 8 px."""
    truth = np.full((200, 400), low, np.float32)
    truth[:, 150:250] = high
    return truth


def _outline_error(prediction, truth):
    return metrics.outline_error(*(torch.from_numpy(x)[None, None] for x in (prediction, truth)))


def test_a_thing_at_a_wrong_depth_but_whole_does_not_bend():
    assert _outline_error(_post(3.0, 8.0), _post()) == {"bend": 0, "torn": 0, "dragged": 0}


def test_a_front_that_stays_behind_is_torn_and_a_back_that_goes_along_dragged():
    torn, dragged = _post(), _post()
    torn[:, 150:162] = 4.0  # all that is judged of the front at the left edge: half of the front
    dragged[:, 240:262] = 10.0
    assert _outline_error(torn, _post()) == {"bend": 0.25, "torn": 0.5, "dragged": 0}
    assert _outline_error(dragged, _post()) == {"bend": 0.25, "torn": 0, "dragged": 0.5}


def test_a_ramp_inside_bends_by_its_share_of_the_step():
    ramp, far_off = _post(), _post()
    far_off[:, 150:162] = -50
    assert _outline_error(far_off, _post())["bend"] == 0.25, "a pixel counts once at most"
    ramp[:, 150:162] -= 0.3 * 6.0  # three tenths of the step, in a quarter of what is judged
    figures = _outline_error(ramp, _post())
    assert figures["bend"] == pytest.approx(0.3 / 4)
    assert (figures["torn"], figures["dragged"]) == (0, 0)


def test_a_world_of_cardboard_bends_by_what_its_surfaces_slope():
    """The wall is level; the post leans by 0.04 a px, against steps of 4 and 8."""
    truth = _post()
    truth[:, 150:250] += 0.04 * (np.arange(100, dtype=np.float32) - 49.5)
    flat = metrics.flattened(truth, truth > 0)
    assert np.array_equal(flat[:, 170:230], truth[:, 170:230])  # far from both outlines
    assert np.ptp(flat[100, 152:158]) == 0  # near one: as deeper inside
    # 8 to 15 px off at 0.04: 0.1 and 0.05 of the steps, at the half of what is judged that leans.
    assert _outline_error(flat, truth)["bend"] == pytest.approx(0.04, abs=0.02)
    level = metrics.flattened(_post(), _post() > 0)
    assert _outline_error(level, _post())["bend"] == 0


def test_an_outline_is_compared_with_its_own_surface_not_with_what_is_nearest():
    """The wall between two posts is too narrow to say anything of itself."""
    truth = _post()
    truth[:160, 270:370] = 10.0
    prediction = truth - 2.0 * (truth > 5)  # both posts are wrong by a third of the step, as wholes
    prediction[:100, 250:270] = 20.0
    assert _outline_error(prediction, truth) == {"bend": 0, "torn": 0, "dragged": 0}


def test_a_thing_too_thin_to_have_a_depth_of_its_own_is_not_judged():
    truth = _post()
    truth[:, 300:310] = 10.0
    missed = truth.copy()
    missed[:, 300:310] = 4.0
    assert _outline_error(missed, truth) == {"bend": 0, "torn": 0, "dragged": 0}


def test_unknown_truth_is_not_judged_and_without_an_edge_nothing_is():
    truth, wrong = _post(), _post()
    wrong[:, 150:162] = 4.0
    truth[:, 100:200] = 0
    assert _outline_error(wrong, truth)["torn"] == 0
    for nothing in (np.zeros_like(truth), np.full_like(truth, 3)):
        assert all(math.isnan(value) for value in _outline_error(wrong, nothing).values())


def test_a_broken_prediction_shows_in_its_outlines():
    assert math.isnan(_outline_error(_post() * np.nan, _post())["torn"])
