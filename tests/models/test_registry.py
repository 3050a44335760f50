"""The table of networks, and that a new network or loss needs no more than its own lines."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState

import kbe
import train
from models import registry
from models.registry import NETWORKS, ROLES, RULES, Entry, find_network, recognise, sizes
from models.roles import Convention, Estimator
from utils.depth.estimators import estimate_disparity
from utils.film import read_image
from utils.synthetic import write_shards
from utils.training import estimation
from utils.training.terms import Loss, choose_weights, weigh
from utils.weights.chosen import find_weights
from utils.weights.files import save_state_dict
from utils.weights.loading import load_estimator, load_network

ROOT = Path(__file__).resolve().parents[2]
TOY = '''
from torch import nn

from models.roles import Estimator


class Toy(Estimator, nn.Module):
    """Nearer where it is redder."""

    label = "a toy network"
    pattern = "^toy[.]"

    def __init__(self, channels=8):
        super().__init__()
        self.toy = nn.Conv2d(3, channels, 4, 2, 1)
        self.out = nn.Sequential(nn.Conv2d(channels, 1, 1), nn.Softplus())

    def forward(self, image):
        return self.out(self.toy(image))

    @classmethod
    def from_shapes(cls, shapes):
        return cls(shapes["toy.weight"][0])
'''


@pytest.fixture(autouse=True)
def decide_anew():
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A network by the description in the contributors' guide: a file and a line."""
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "NETWORKS", (*NETWORKS, Entry("estimation", "toy:Toy", ("toy",))))
    yield registry.NETWORKS[-1].load()
    sys.modules.pop("toy")


@pytest.fixture
def flags(tmp_path):
    """A tiny run on two drawn scenes."""
    write_shards(tmp_path / "scenes", 2, (32, 48), workers=1)
    sets = [{"name": "two", "path": str(tmp_path / "scenes"), "param": {"baseline": 1, "focal": 1}}]
    (tmp_path / "sets.json").write_text(json.dumps(sets))
    return [
        "--dataset",
        "two",
        "--dataset-file",
        str(tmp_path / "sets.json"),
        "--crop",
        "48x32",
        "--batch-size",
        "1",
        "--steps",
        "2",
        "--workers",
        "0",
        "--device",
        "cpu",
        "--models-dir",
        str(tmp_path / "trained"),
        "--runs-dir",
        str(tmp_path / "runs"),
        "--log-every",
        "1",
        "--threads",
        "1",
    ]


# -- the table --


def test_the_table_is_there_before_torch_is():
    code = (
        "import sys; from models import registry; registry.sizes(); "
        "sys.exit(bool({'torch', 'numpy'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_every_network_is_known_by_its_own_keys():
    for entry in NETWORKS:
        kind = entry.load()
        with torch.device("meta"):
            network = kind()
        assert recognise(network.state_dict()) is entry, kind
        assert entry.role in ROLES and kind.label.startswith(("a ", "an ", "VGG"))


def test_every_size_can_be_trained_and_comes_back(tmp_path):
    for entry in NETWORKS:
        for size in entry.sizes:
            assert find_network(entry.role, size, entry.partial) is entry.load()
            if size == "paper" and entry.role == "estimation":
                continue  # half a gigabyte
            network = entry.load().fresh(size)
            save_state_dict(tmp_path / "w.safetensors", network.state_dict())
            loaded = load_network(tmp_path / "w.safetensors", entry.role)
            assert type(loaded) is type(network)


def test_a_size_that_is_not_there_lists_those_that_are():
    with pytest.raises(ValueError, match="--network big: .* for refinement.\n  .*paper, compact"):
        find_network("refinement", "big")
    with pytest.raises(ValueError, match="refinement with partial convolutions.\n .*none"):
        find_network("refinement", "compact", partial=True)


def test_colours_of_a_network_that_does_not_say_where_they_are_are_not_guessed(toy, tmp_path):
    path = tmp_path / "bgr.safetensors"
    save_state_dict(path, toy().state_dict(), {"channel_order": "BGR"})
    with pytest.raises(ValueError, match="weights for BGR, and a toy network takes RGB only"):
        load_estimator(path)
    save_state_dict(path, toy().state_dict(), {"range": "[-1, 1]"})
    with pytest.raises(ValueError, match=r"images in \[-1, 1\], and a toy network takes \[0, 1\]"):
        load_estimator(path)
    toy.colour_axes, network = (("toy.weight", 1),), toy()
    save_state_dict(path, network.state_dict(), {"channel_order": "BGR"})
    assert torch.equal(load_estimator(path).toy.weight, network.toy.weight.flip(1))


# -- a new network --


def test_a_new_network_trains_and_estimates(toy, flags, tmp_path, capsys):
    assert "toy" in sizes("estimation") and "toy" not in sizes("refinement")
    assert train.main([*flags, "--network", "toy", "--save-name", "mine"]) == 0
    assert "abs_rel" in json.loads(capsys.readouterr().out)
    path = tmp_path / "trained" / "disparity-mine.tar"
    network = load_estimator(path)
    assert type(network) is toy
    assert estimate_disparity(network, torch.rand(1, 3, 64, 96)).shape == (1, 1, 170, 256)
    assert find_weights("estimation", path) == path
    with pytest.raises(ValueError, match="this is a toy network, pass it as --estim-path"):
        load_network(path, "inpainting")
    assert train.main([*flags, "--network", "toy", "--training-mode", "refinement"]) == 2
    assert "--network toy: there is no such network for refinement" in capsys.readouterr().err


# -- a new rule --


RULE = '''
import torch

from models.roles import Inpainting


class Plain:
    """Holes take one colour, at the distance of the farthest that is seen."""

    def inpaint(self, view):
        seen, known = view.render(view.photo, view.added)
        image = torch.where(known > 0, seen[:, :3], torch.tensor([1.0, 0, 1]).view(1, 3, 1, 1))
        disparity = torch.where(known > 0, seen[:, 3:], view.disparity.amin())
        return Inpainting(image, disparity, known)
'''


def test_a_new_rule_fills_what_a_film_uncovers(tmp_path, monkeypatch, capsys):
    """By the description in the contributors' guide: a class and a line."""
    (tmp_path / "toy_rule.py").write_text(RULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(RULES, "plain", Entry("inpainting", "toy_rule:Plain"))
    film = ["--in", str(ROOT / "images" / "example.jpg"), "--max-size", "192", "--move", "left",
            "--depth", str(ROOT / "images" / "example_disparity.png"), "--duration", "0.2",
            "--write-frames", "--strength", "2", "--json", "--quiet"]  # fmt: skip
    magenta = {}
    for name in ("plain", "rule"):
        out = tmp_path / name
        assert kbe.main([*film, "--out", str(out), "--inpaint-path", name]) == 0
        assert json.loads(capsys.readouterr().out)["weights"]["inpainting"] == f"by {name}"
        frames = [read_image(path).pixels.astype(int) for path in (out / "frames").iterdir()]
        magenta[name] = sum((abs(frame - (255, 0, 255)) < 40).all(axis=2).sum() for frame in frames)
    assert magenta["plain"] > 20 and magenta["rule"] == 0
    sys.modules.pop("toy_rule")


# -- a new loss --


def flat(step):
    """Mean slope of the estimate along the rows."""
    return step.disparity.diff(dim=-1).abs().mean()


def test_a_new_loss_is_minimised_and_weighed(flags, monkeypatch):
    table = (*estimation.LOSSES, Loss(flat, {"flat": 0.1}))
    monkeypatch.setattr(estimation.EstimationTrainer, "tables", (table,))
    found = {}
    for value in (None, 0, 0.5):
        AcceleratorState._reset_state(reset_partial_state=True)
        more = ["--lr-estimation", "1e-5"]
        more += [] if value is None else ["--weight", f"flat={value}"]
        trainer = train.make_trainer(train.read_settings([*flags, *more]))
        batch = trainer.data.prepare(next(trainer.data.training(0, 1)), "cpu")
        terms = trainer.losses(batch)
        found[value] = float(terms["flat"].detach()) if "flat" in terms else None
    assert found[0] is None
    assert found[0.5] == pytest.approx(5 * found[None], rel=1e-4)
    trainer.settings.weights.update(dict.fromkeys(trainer.settings.weights, 0), flat=1.0)
    before = trainer.losses(batch)["flat"].detach()
    trainer.step(batch)
    assert trainer.losses(batch)["flat"] < before


def test_an_unknown_loss_lists_the_known(capsys):
    assert train.main(["--weight", "flatness=1"]) == 2
    error = capsys.readouterr().err
    assert "--weight flatness" in error and "ssi_data (1)" in error and "log (0)" in error
    with pytest.raises(SystemExit):
        train.main(["--weight", "log"])


def test_weights_are_the_tables_then_the_networks_then_the_users():
    table = (Loss(lambda step: {"a": step, "b": 2 * step}, {"a": 1.0, "b": 2.0, "c": 3.0}),)

    class Own(Estimator):
        loss_weights = {"b": 5.0, "of another mode": 1.0}

    weights = choose_weights(table, Own, {"c": 0.5})
    assert weights == {"a": 1.0, "b": 5.0, "c": 0.5}
    assert weigh(table, weights, 10.0) == {"a": 10.0, "b": 100.0}
    assert weigh(table, weights | {"a": 0}, 10.0) == {"b": 100.0}


def test_what_other_trainings_want_has_a_default():
    assert Estimator.foreign == Convention("RGB", (0.0, 1.0), "rgb")
