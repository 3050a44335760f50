"""Depth kept in a cache: the same to the last bit, or made anew (runs: tests/cli/test_cache.py)."""

import pickle
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from utils.depth import KeptDepth
from utils.depth import kept as kept_module
from utils.files import file_digest

SIZE = (32, 40)


class Stub:
    """Networks of which only the estimator matters; counts how often it is asked."""

    refiner = None

    def __init__(self, file, device="cpu"):
        self.paths = {"estimation": file, "refinement": None}
        self.digests = {"estimation": file_digest(file) if file.is_file() else str(file)}
        self.device = SimpleNamespace(type=device)
        self.asked = 0

    def estimator(self, image):
        self.asked += 1
        slope = torch.linspace(0.1, 1, 20).expand(1, 1, 16, 20)
        return slope + image.mean()


@pytest.fixture
def weights(tmp_path):
    (tmp_path / "weights.tar").write_bytes(b"numbers")
    return tmp_path / "weights.tar"


@pytest.fixture
def image():
    return torch.from_numpy(np.random.default_rng(0).random((1, 3, *SIZE), np.float32))


def depth_of(folder, image, weights, **more):
    networks = Stub(weights, **more)
    kept = KeptDepth(folder, image, networks)
    return kept.there, kept.disparity(), networks.asked


def test_what_is_kept_comes_back_to_the_last_bit_and_no_network_is_asked(tmp_path, image, weights):
    there, first, asked = depth_of(tmp_path / "new" / "cache", image, weights)
    assert (there, asked) == (False, 1)
    there, second, asked = depth_of(tmp_path / "new" / "cache", image, weights)
    assert (there, asked) == (True, 0)
    assert second.dtype == torch.float32 and second.shape == (1, 1, *SIZE)
    assert torch.equal(first, second)


def test_entries_are_of_one_photo_weights_device_and_version(tmp_path, image, weights, monkeypatch):
    depth_of(tmp_path, image, weights)
    other = image.clone()
    other[0, 0, 0, 0] = 1 - other[0, 0, 0, 0]
    assert not KeptDepth(tmp_path, other, Stub(weights)).there
    assert not KeptDepth(tmp_path, image.reshape(1, 3, *SIZE[::-1]), Stub(weights)).there
    assert not KeptDepth(tmp_path, image, Stub(weights, device="cuda")).there
    renamed = weights.with_name("renamed.tar")
    renamed.write_bytes(weights.read_bytes())
    assert KeptDepth(tmp_path, image, Stub(renamed)).there, "the content counts"
    weights.write_bytes(b"trained on")
    assert not KeptDepth(tmp_path, image, Stub(weights)).there
    with_refiner = Stub(renamed)
    with_refiner.paths["refinement"] = renamed
    with_refiner.digests["refinement"] = file_digest(renamed)
    assert not KeptDepth(tmp_path, image, with_refiner).there
    monkeypatch.setattr(kept_module, "digest", lambda path: "of code that was changed")
    assert not KeptDepth(tmp_path, image, Stub(renamed)).there


def test_a_checkpoint_in_a_folder_is_known_by_all_its_files(tmp_path, image):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    depth_of(tmp_path / "cache", image, folder)
    assert KeptDepth(tmp_path / "cache", image, Stub(folder)).there
    (folder / "model.safetensors").write_bytes(b"other numbers")
    assert not KeptDepth(tmp_path / "cache", image, Stub(folder)).there


def test_one_of_the_hub_is_known_by_its_commit_once_it_is_there(
    tmp_path, image, weights, monkeypatch
):
    hub = Stub(weights)
    hub.paths["estimation"] = hub.digests["estimation"] = "hf:org/name"
    found = {"config.json": None}
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache",
        lambda name, file: found[file] and str(found[file]),
    )
    kept = KeptDepth(tmp_path / "cache", image, hub)
    assert not kept.there
    found["config.json"] = (
        tmp_path / "snapshots" / "abc" / "config.json"
    )  # it was fetched meanwhile
    kept.disparity()
    assert KeptDepth(tmp_path / "cache", image, hub).there
    found["config.json"] = "snapshots/def/config.json"
    assert not KeptDepth(tmp_path / "cache", image, hub).there


class Harmful:
    def __reduce__(self):
        return print, ("run",)


def truncated(entry, other):
    entry.write_bytes(entry.read_bytes()[:-50])


def flipped(entry, other):
    data = bytearray(entry.read_bytes())
    data[len(data) // 2] ^= 255
    entry.write_bytes(data)


def of_another_photo(entry, other):
    entry.write_bytes(other.read_bytes())


def no_numbers(entry, other):
    with zipfile.ZipFile(entry) as there:
        parts = {name: there.read(name) for name in there.namelist()}
    parts["disparity.planes"] = b"\xff" * len(parts["disparity.planes"])
    with zipfile.ZipFile(entry, "w") as there:
        for name, data in parts.items():
            there.writestr(name, data)


def much_larger(entry, other):
    with zipfile.ZipFile(entry, "w", zipfile.ZIP_DEFLATED) as there:
        there.writestr("about.json", b"{}")
        there.writestr("disparity.planes", bytes(10_000_000))


def a_pickle(entry, other):
    entry.write_bytes(pickle.dumps(Harmful()))


def empty(entry, other):
    entry.write_bytes(b"")


@pytest.mark.parametrize(
    "spoil", [truncated, flipped, of_another_photo, no_numbers, much_larger, a_pickle, empty]
)
def test_an_entry_that_is_not_what_it_should_be_is_said_and_made_anew(
    tmp_path, image, weights, spoil, caplog, capsys
):
    cache = tmp_path / "cache"
    _, truth, _ = depth_of(cache, image, weights)
    (entry,) = cache.iterdir()
    depth_of(cache, 1 - image, weights)
    (other,) = set(cache.iterdir()) - {entry}
    spoil(entry, other)
    there, anew, asked = depth_of(cache, image, weights)
    assert (there, asked) == (False, 1)
    assert torch.equal(anew, truth)
    assert f"{entry} cannot be used" in caplog.text
    assert capsys.readouterr().out == "", "nothing in it is run"
    assert depth_of(cache, image, weights)[0], "and it is there again"
    assert set(cache.iterdir()) == {entry, other}


def test_a_cache_that_cannot_be_written_costs_no_film(tmp_path, image, weights, caplog):
    (tmp_path / "file").write_bytes(b"")
    there, disparity, _ = depth_of(tmp_path / "file" / "cache", image, weights)
    assert not there and disparity.shape == (1, 1, *SIZE)
    assert "the depth could not be kept" in caplog.text


def test_entries_appear_whole_or_not_at_all(tmp_path, image, weights, monkeypatch):
    def full(*arguments, **named):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(zipfile.ZipFile, "writestr", full)
        depth_of(tmp_path / "cache", image, weights)
    assert list((tmp_path / "cache").iterdir()) == []


def test_two_that_make_the_same_entry_leave_one(tmp_path, image, weights):
    one, two = (KeptDepth(tmp_path / "cache", image, Stub(weights)) for _ in range(2))
    assert not one.there and not two.there
    assert torch.equal(one.disparity(), two.disparity())
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert KeptDepth(tmp_path / "cache", image, Stub(weights)).there
