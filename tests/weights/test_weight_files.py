"""Weights files themselves: what is written, and what each wrong file is told."""

import zipfile

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from models.disparity_refinement import Refine
from utils.weights.loading import load_network, read_checkpoint, read_state_dict, save_state_dict

OURS = {"channel_order": "RGB", "range": "[0, 1]"}


@pytest.fixture
def refine():
    torch.manual_seed(7)
    return Refine((2, 3, 4)).eval()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


def same_weights(network, other):
    ours, theirs = network.state_dict(), other.state_dict()
    assert list(ours) == list(theirs)
    return all(torch.equal(ours[key], theirs[key]) for key in ours)


# -- saving --


def test_saved_metadata_says_the_convention_and_what_is_given(path, refine):
    save_state_dict(path, refine.state_dict(), {"steps": 500, "note": "trained on our scenes"})
    with safe_open(path, framework="pt") as file:
        said = file.metadata()
    assert said == {
        "channel_order": "RGB",
        "range": "[0, 1]",
        "steps": "500",
        "note": "trained on our scenes",
    }
    assert read_checkpoint(path).metadata == said


def test_a_failed_save_leaves_nothing_behind(tmp_path):
    with pytest.raises(Exception, match="Unsupported|unsupported|dtype|Key"):
        save_state_dict(tmp_path / "x.safetensors", {"a": torch.zeros(2).to_sparse()})
    assert list(tmp_path.iterdir()) == []


# -- wrong files: each its own message --


def refused(path, match, role="refinement", **options):
    with pytest.raises(ValueError, match=match) as caught:
        load_network(path, role, **options)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_missing_file_names_the_script_and_the_flag(tmp_path):
    message = refused(tmp_path / "none.tar", "no weights at")
    assert "./download_models.sh or pass --refine-path FILE" in message
    assert "FILE" not in refused(tmp_path / "none.tar", "no weights at", role="semantics")


def test_a_folder_is_refused(tmp_path):
    refused(tmp_path, "is a folder")


def test_an_unreadable_file_says_why(tmp_path):
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file" / "weights.pth", "cannot read .*: Not a directory")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html><body>Quota exceeded</body></html>", "is a web page"),
        (b"\n\n  <html>\n<p>404</p>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b"Not Found", "is a text file"),
        ("# Gewichte f\u00fcr alle\n".encode() * 100, "is a text file"),
        (b'{"error": "quota"}', "is a text file"),
        (b"PK", "is cut short after 2 bytes"),
        (b"\x80\x02\x8a\nl\xfc", "is cut short after 6 bytes"),
        (b"\x1f\x8b\x08\x00" + bytes(range(256)), "begins with the bytes 1f 8b 08 00"),
        (b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94", "begins with the bytes 80 04"),
    ],
)
def test_a_stranger_is_described(content, match, path):
    path.write_bytes(content)
    refused(path, match)


def test_random_bytes_are_refused_whatever_they_are(path):
    for seed in range(50):
        path.write_bytes(np.random.default_rng(seed).bytes(400))
        refused(path, "is not a weights file")


@pytest.mark.parametrize("form", ["safetensors", "zip", "legacy"])
def test_a_truncated_file_is_called_cut_short(form, path, refine):
    if form == "safetensors":
        save_file(refine.state_dict(), path)
    else:
        torch.save(refine.state_dict(), path, _use_new_zipfile_serialization=form == "zip")
    whole = path.read_bytes()
    for length in (30, 300, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:length])
        refused(path, "cut short or damaged")


def test_a_zip_archive_of_something_else_is_called_damaged(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<text/>")
    refused(path, "cut short or damaged")


class Stranger:
    """An object that only unpickling could bring back."""


@pytest.mark.parametrize("form", ["zip", "legacy"])
@pytest.mark.parametrize("extra", [Stranger(), np.float64(3), len])
def test_python_objects_are_refused_unless_trusted(extra, form, path, refine):
    content = {"model_state_dict": refine.state_dict(), "metadata": OURS, "extra": extra}
    torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    message = refused(path, "holds Python objects")
    assert "--trust-checkpoint" in message
    assert same_weights(load_network(path, "refinement", trust=True), refine)


def test_the_refusal_names_the_object(path):
    torch.save({"extra": Stranger()}, path)
    refused(path, r"Python objects \(.*Stranger\)")


def test_a_function_written_by_dill_needs_trust(path, refine):
    import dill

    content = {"model_state_dict": refine.state_dict(), "schedule": lambda step: 0.9**step}
    torch.save(content, path, pickle_module=dill)
    refused(path, "holds Python objects")
    assert same_weights(load_network(path, "refinement", trust=True), refine)


def test_refusing_runs_nothing(path, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"a": Bomb()}, path)
    refused(path, "holds Python objects")
    assert not (tmp_path / "ran").exists()


def test_a_whole_trusted_network_gives_its_weights(path, refine):
    torch.save(refine, path)
    refused(path, "holds Python objects")
    assert same_weights(load_network(path, "refinement", trust=True), refine)


def test_a_trusted_file_that_fails_says_so(path):
    torch.save({"a": torch.zeros(2)}, path)
    path.write_bytes(path.read_bytes()[:-50])
    refused(path, "does not load, even trusted", trust=True)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ([1, 2], "found a list"),
        ({}, "a dict of nothing"),
        ({"epoch": 3, "loss": 0.1}, "found a dict of epoch, loss"),
        ({"model_state_dict": {"a": 1.0}}, "found a dict of a"),
        (torch.zeros(3), "found a Tensor"),
    ],
)
def test_a_file_without_weights_says_what_it_holds(content, match, path):
    torch.save(content, path)
    refused(path, match)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_found(value, path, refine):
    state = refine.state_dict()
    state["moduleRefine.moduleMain.2.bias"][0] = value
    torch.save(state, path)
    refused(path, r"moduleRefine\.moduleMain\.2\.bias holds NaN")


def test_weights_whose_sum_overflows_are_finite(path):
    torch.save({"weight": torch.tensor([3e38, 3e38])}, path)
    assert torch.equal(read_state_dict(path)["weight"], torch.tensor([3e38, 3e38]))


# -- names and nesting, as trainers write them --


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.",
        "_orig_mod.module.",
        "module._orig_mod.",
        "module.module.",
        "model.",
        "_orig_mod.module._orig_mod.",
    ],
)
def test_prefixes_of_wrappers_go_in_any_order(prefix, path, refine):
    torch.save({prefix + key: value for key, value in refine.state_dict().items()}, path)
    assert same_weights(load_network(path, "refinement"), refine)


@pytest.mark.parametrize(
    "names",
    [
        ["state_dict"],
        ["model"],
        ["params"],
        ["params_ema"],
        ["model", "state_dict"],
        ["state_dict", "model_state_dict"],
    ],
)
def test_weights_lie_under_the_names_that_trainers_use(names, path, refine):
    content = refine.state_dict()
    for name in reversed(names):
        content = {name: content, "epoch": 3, "optimizer": {"lr": 0.1}}
    torch.save(content, path)
    assert same_weights(load_network(path, "refinement"), refine)


@pytest.mark.parametrize("plain, average", [("params", "params_ema"), ("model", "model_ema")])
def test_of_weights_and_their_average_the_average_is_taken(plain, average, path, refine):
    others = {key: value + 1 for key, value in refine.state_dict().items()}
    torch.save({plain: others, average: refine.state_dict()}, path)
    assert same_weights(load_network(path, "refinement"), refine)


def test_a_file_of_torchs_averaged_model_loads(path, refine):
    torch.save(torch.optim.swa_utils.AveragedModel(refine).state_dict(), path)
    assert same_weights(load_network(path, "refinement"), refine)
    torch.save({"n_averaged": torch.tensor(5)}, path)
    refused(path, "holds no weights: found a dict of n_averaged")


def test_a_dict_that_holds_itself_ends(path):
    content = {}
    content["model"] = content
    torch.save(content, path)
    refused(path, "holds no weights|cut short")


def test_what_is_noted_among_the_tensors_is_no_weight(tmp_path):
    path = tmp_path / "noted.pth"
    torch.save({"epoch": 7, "name": "mine", "loss": 0.25, "a.weight": torch.ones(2)}, path)
    assert list(read_checkpoint(path).state) == ["a.weight"]
    torch.save({"epoch": 7, "name": "mine"}, path)
    refused(path, "holds no weights")
