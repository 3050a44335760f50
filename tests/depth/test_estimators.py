"""Everything that gives disparity: networks, Hugging Face checkpoints, files."""

import builtins
import http.server
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from waiting import PATIENCE

from models.compact_estimation import CompactDisparity
from models.compact_refinement import CompactRefine
from models.disparity_refinement import RefinePretrained
from models.registry import RULES
from models.roles import Estimator, Refiner
from utils.depth.estimators import (
    HuggingFaceEstimator,
    estimate_disparity,
    fit_disparity,
    is_hugging_face,
    predicts_depth,
    read_disparity,
    refine_disparity,
)
from utils.depth.sharpening import resize_disparity
from utils.weights.chosen import Networks, find_weights
from utils.weights.loading import save_state_dict

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compact():
    torch.manual_seed(0)
    return CompactDisparity().eval()


# -- our networks -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "flag"), [("estimation", "--estim"), ("refinement", "--refine")]
)
def test_networks_that_give_no_numbers_are_named(compact, broken, flag):
    image, refiner = torch.rand(1, 3, 48, 64), CompactRefine((8, 8, 8)).eval()
    coarse = estimate_disparity(compact, image).numpy().copy()
    if broken == "estimation":
        coarse[..., 3, 4] = np.nan
    else:
        next(refiner.parameters()).data.fill_(torch.nan)
    with pytest.raises(ValueError, match=f"{broken} gave NaN[^\\0]*{flag}"):
        refine_disparity(refiner, image, torch.from_numpy(coarse))


@pytest.mark.parametrize("size", [(16, 16), (48, 800), (300, 40), (128, 96)])
def test_any_photo_is_estimated_and_refined_at_its_own_size(compact, size):
    image = torch.rand(1, 3, *size)
    coarse = estimate_disparity(compact, image)
    for refiner in (None, RefinePretrained((8, 8, 8)).eval(), CompactRefine((8, 8)).eval()):
        fine = refine_disparity(refiner, image, coarse)
        assert fine.shape == (1, 1, *size)
        assert torch.isfinite(fine).all() and fine.min() >= 0


def test_mirrored_photo_has_mirrored_depth(compact):
    image = torch.rand(1, 3, 64, 96)
    torch.testing.assert_close(
        estimate_disparity(compact, image.flip(3)),
        estimate_disparity(compact, image).flip(3),
        atol=1e-4,
        rtol=1e-4,
    )


def test_networks_see_the_photo_at_the_size_they_were_trained_at():
    assert Estimator().working_size((768, 1024)) == (384, 512)
    assert Refiner().working_size((3000, 4000), (240, 320)) == (768, 1024)
    assert Estimator().working_size((100, 8000)) == (32, 512)


@pytest.mark.parametrize(
    ("photo", "seen"),
    [
        ((768, 1024), (240, 320)),
        ((3000, 2000), (320, 213)),  # as wide as it was trained
        ((1000, 1000), (277, 277)),  # no more pixels than of 4:3
        ((375, 1242), (128, 424)),
        ((100, 8000), (32, 640)),  # panoramas: not too low, not too wide
    ],
)
def test_the_compact_network_sees_a_size_that_suits_the_shape(photo, seen):
    assert CompactDisparity.working_size(photo) == seen
    assert CompactDisparity.working_size(photo[::-1]) == seen[::-1]


def test_compact_refinement_works_at_four_times_the_estimate(compact):
    """Its candidates lie at distances that only fit there; what is larger is brought up by rule."""
    sizes = []
    refiner = CompactRefine((8, 8)).eval()
    refiner.register_forward_pre_hook(
        lambda _, given: sizes.append((given[0].shape[2:], given[1].shape[2:]))
    )
    image = torch.rand(1, 3, 768, 1024)
    refine_disparity(refiner, image, estimate_disparity(compact, image))
    assert sizes == [((480, 640), (120, 160))]


@pytest.mark.parametrize("refiner", [None, CompactRefine((8, 8)), RefinePretrained((8, 8, 8))])
def test_a_sharp_estimate_keeps_its_edges_and_what_is_thin(refiner):
    """Grey photo, so only the estimate knows: a bar of 3 of its px would vanish at a quarter."""
    estimate = torch.full((1, 1, 388, 518), 20.0)
    estimate[..., 100:103] = 100
    estimate[..., 200:, 300:] = 60
    fine = refine_disparity(refiner, torch.full((1, 3, 768, 1024), 0.5), estimate)[0, 0]
    bar, wall = fine[100, 190:214], fine[600, 580:606]
    assert 4 <= (bar > 80).sum() <= 8 and (bar < 30).sum() >= 14
    assert ((wall > 25) & (wall < 55)).sum() <= 2, "the wall's edge is a ramp"


def test_a_large_estimate_without_sharp_edges_goes_to_the_network():
    seen = []
    refiner = CompactRefine((8, 8)).eval()
    refiner.register_forward_pre_hook(lambda _, given: seen.append(given[1].shape[2:]))
    quarter = torch.full((1, 1, 24, 32), 20.0)
    quarter[..., 16:] = 100
    refine_disparity(refiner, torch.rand(1, 3, 768, 1024), resize_disparity(quarter, (388, 518)))
    assert seen == [(192, 256)]


def test_refinement_follows_a_shift_of_the_disparity(compact):
    """Relative disparity has no zero: what is refined must not depend on where it was put."""
    image, coarse = torch.rand(1, 3, 64, 96), torch.rand(1, 1, 16, 24)
    first, second = (refine_disparity(None, image, coarse + offset) for offset in (-5, -50))
    assert (first - second).abs().mean() < 1e-3  # rounding may move a pixel to the next bin


# -- weights ------------------------------------------------------------------------------------


def test_weights_are_taken_from_flag_then_trained_then_bundled(tmp_path):
    for folder in ("trained", "bundled"):
        (tmp_path / folder).mkdir()
    assert find_weights("estimation", models=tmp_path) is None
    bundled = tmp_path / "bundled" / "disparity-estimation.safetensors"
    bundled.write_bytes(b"")
    assert find_weights("estimation", models=tmp_path) == bundled
    downloaded = tmp_path / "trained" / "network-disparity.pytorch"
    downloaded.write_bytes(b"")
    assert find_weights("estimation", models=tmp_path) == downloaded
    given = tmp_path / "mine.tar"
    with pytest.raises(ValueError, match="no weights at .*mine.tar.\n  .*--estim-path"):
        find_weights("estimation", given, models=tmp_path)
    given.write_bytes(b"")
    assert find_weights("estimation", given, models=tmp_path) == given


def test_a_bare_name_is_what_train_py_saved(tmp_path):
    trained = tmp_path / "trained"
    trained.mkdir()
    for name in ("disparity-mine.tar", "disparity-mine-best.tar", "refine-mine.tar"):
        (trained / name).write_bytes(b"")
    for role, kind in (("estimation", "disparity"), ("refinement", "refine")):
        assert find_weights(role, "mine", tmp_path) == trained / f"{kind}-mine.tar"
    assert find_weights("estimation", "mine-best", tmp_path) == trained / "disparity-mine-best.tar"
    assert find_weights("estimation", "refine-mine.tar", tmp_path) == trained / "refine-mine.tar"
    with pytest.raises(ValueError, match="--estim-path her: .*\n  There is: mine, mine-best.$"):
        find_weights("estimation", "her", tmp_path)
    with pytest.raises(ValueError, match="--inpaint-path mine: .*\n  There is: rule.$"):
        find_weights("inpainting", "mine", tmp_path)


def test_a_file_goes_before_a_name_and_a_hub_name_is_hinted_at(tmp_path, monkeypatch):
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / "disparity-mine.tar").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    Path("mine").write_bytes(b"")
    assert find_weights("estimation", "mine", tmp_path) == Path("mine")
    with pytest.raises(ValueError, match="no weights at org/name.\n  .* type hf:org/name"):
        find_weights("estimation", "org/name", tmp_path)
    with pytest.raises(ValueError, match="no weights at org/name.\n  Run ./download_models.sh"):
        find_weights("refinement", "org/name", tmp_path)


def test_networks_load_once_and_only_when_needed(tmp_path, compact):
    path = tmp_path / "w.safetensors"
    save_state_dict(path, compact.state_dict())
    networks = Networks(estimation=path, refinement=tmp_path / "missing.tar")
    assert networks.estimator is networks.estimator
    assert networks.inpainter is networks.inpainter and networks.depth_inpainter is None
    assert type(networks.inpainter) is RULES["rule"].load()
    assert list(networks.digests) == ["estimation", "refinement"]
    with pytest.raises(ValueError, match="missing.tar"):
        _ = networks.refiner


# -- files --------------------------------------------------------------------------------------


def test_depth_file_becomes_disparity(tmp_path):
    depth = np.array([[1.25, 2.5], [5, np.inf]], np.float32)
    np.save(tmp_path / "depth.npy", depth)
    disparity, note = read_disparity(tmp_path / "depth.npy")
    np.testing.assert_allclose(disparity, [[0.8, 0.4], [0.2, 0]])
    assert "taken as depth" in note


def test_said_kind_wins_over_the_guess(tmp_path):
    np.save(tmp_path / "depth.npy", np.array([[1.0, 2], [4, 3]], np.float32))
    disparity, note = read_disparity(tmp_path / "depth.npy", "disparity")
    assert disparity[1, 0] == 4
    assert "--depth-kind" in note


def test_unknown_pixels_take_the_nearest_known_value(tmp_path):
    values = np.full((9, 9), np.nan, np.float32)
    values[:, 0], values[:, 8] = 1, 5
    np.save(tmp_path / "disparity.npy", values)
    disparity, note = read_disparity(tmp_path / "disparity.npy")
    np.testing.assert_array_equal(disparity[4], [1, 1, 1, 1, disparity[4, 4], 5, 5, 5, 5])
    assert "77.8% unknown" in note


def test_large_map_keeps_its_edges_and_small_map_takes_the_photos():
    image = torch.zeros(1, 3, 40, 60)
    image[..., 31:] = 1
    large = np.zeros((80, 120), np.float32)
    large[:, 60:] = 1
    assert set(fit_disparity(large, image).unique().tolist()) == {0.0, 1.0}
    small = np.zeros((10, 15), np.float32)
    small[:, 8:] = 1  # px 32 of the photo, whose edge is at 31
    row = fit_disparity(small, image)[0, 0, 20]
    assert row[:30].max() < 0.05 and row[32:].min() > 0.95


# -- Hugging Face -------------------------------------------------------------------------------


def test_missing_transformers_says_what_to_type(monkeypatch):
    def without(name, *args, **kwargs):
        if name == "transformers":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return original(name, *args, **kwargs)

    original = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match="is not installed.\n  pip install transformers"):
        HuggingFaceEstimator("org/name")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("operator torchvision::nms does not exist\nmore"),
        ModuleNotFoundError("No module named 'regex'", name="regex"),
    ],
)
def test_transformers_that_does_not_load_says_why(error, monkeypatch):
    def broken(name, *args, **kwargs):
        if name == "transformers":
            raise RuntimeError("Failed to import transformers.x because of what follows") from error
        return original(name, *args, **kwargs)

    original = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", broken)
    reason = re.escape(str(error).splitlines()[0])
    with pytest.raises(ValueError, match=rf"is installed but does not load: {reason}\n"):
        HuggingFaceEstimator("org/name")


def test_a_hub_that_cannot_be_reached_is_said_in_seconds_and_one_line(tmp_path):
    """A connection is accepted, and then nothing is said."""
    pytest.importorskip("transformers")
    asked = (
        "from utils.depth import estimators; estimators.HUB_S = 0.5\n"
        "try: estimators._reach_hub('org/name')\n"
        "except ValueError as error: print(error)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"http://127.0.0.1:{server.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-c", asked],
            cwd=ROOT,
            env=os.environ | {"HF_ENDPOINT": place, "HF_HOME": str(tmp_path), "NO_PROXY": "*"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    said, advice = done.stdout.splitlines()
    assert said.startswith("org/name is not on this machine, and the Hugging Face hub cannot be")
    assert "folder" in advice
    assert not done.stderr


class Hub(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(404)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


def test_a_name_that_the_hub_lacks_is_said(monkeypatch, tmp_path):
    pytest.importorskip("transformers")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_port}"
        done = subprocess.run(
            [sys.executable, "kbe.py", "--in", "images/example.jpg", "--out", tmp_path / "o"]
            + ["--estim-path", "hf:org/name"],
            cwd=ROOT,
            env=os.environ | {"HF_ENDPOINT": place, "HF_HOME": str(tmp_path), "NO_PROXY": "*"},
            capture_output=True,
            text=True,
        )
        server.shutdown()
    assert done.returncode == 1 and not done.stdout
    assert "error: the Hugging Face hub has no org/name" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and "%|" not in done.stderr


def test_a_checkpoint_loads_without_bars_and_warnings(checkpoints, capfd):
    HuggingFaceEstimator(str(checkpoints / "relative"))
    assert capfd.readouterr().err == ""


def test_polarity_of_each_family():
    def config(family, **more):
        return SimpleNamespace(model_type=family, **more)

    assert not predicts_depth(config("dpt", backbone_config=None))
    assert predicts_depth(config("dpt", backbone_config=SimpleNamespace(model_type="dinov2")))
    assert not predicts_depth(config("depth_anything", depth_estimation_type="relative"))
    assert predicts_depth(config("depth_anything", depth_estimation_type="metric"))
    assert predicts_depth(config("zoedepth")) and predicts_depth(config("glpn"))
    assert not predicts_depth(config("depth_pro"))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Tiny checkpoints of a relative and of a metric family, saved as their authors do."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("hf")
    torch.manual_seed(0)
    backbone = transformers.Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    for kind in ("relative", "metric"):
        config = transformers.DepthAnythingConfig(
            backbone_config=backbone,
            reassemble_hidden_size=16,
            neck_hidden_sizes=[8, 8, 8, 8],
            fusion_hidden_size=8,
            head_hidden_size=8,
            depth_estimation_type=kind,
            max_depth=10,
        )
        network = transformers.DepthAnythingForDepthEstimation(config)
        torch.nn.init.constant_(network.head.conv3.bias, 1.0)  # else the last ReLU is dead
        network.save_pretrained(folder / kind)
        transformers.DPTImageProcessor(
            size={"height": 56, "width": 56}, do_resize=True, do_normalize=True
        ).save_pretrained(folder / kind)
    return folder


def test_local_folder_gives_disparity_of_the_right_polarity(checkpoints):
    image = torch.rand(1, 3, 60, 80)
    relative = HuggingFaceEstimator(str(checkpoints / "relative"))
    metric = HuggingFaceEstimator(str(checkpoints / "metric"))
    assert (relative.gives_depth, metric.gives_depth) == (False, True)
    for estimator in (relative, metric):
        disparity = estimator(image)
        assert disparity.ndim == 4 and torch.isfinite(disparity).all() and disparity.min() >= 0
    inputs = metric.processor(
        images=(image[0].permute(1, 2, 0) * 255).round().byte().numpy(), return_tensors="pt"
    )
    with torch.inference_mode():
        depth = metric.network(**inputs).predicted_depth
    torch.testing.assert_close(metric(image)[0], 1 / depth.clamp(min=1e-3))


def test_folder_that_is_no_checkpoint_is_named(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(ValueError, match="cannot load .* as a depth-estimation checkpoint"):
        HuggingFaceEstimator(str(tmp_path))
    assert is_hugging_face("hf:org/name") and is_hugging_face(tmp_path)
    assert not is_hugging_face(tmp_path / "weights.tar")
