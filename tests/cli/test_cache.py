"""--cache from the command line to the film."""

import json

import pytest
from kbe_runs import SHORT, run

import kbe


def film(photo, out, cache, capsys, *more):
    assert run("--in", photo, "--out", out, *SHORT, "--json", "--cache", cache, *more) == 0
    return json.loads(capsys.readouterr().out.splitlines()[0])


@pytest.fixture
def no_network(monkeypatch):
    """From its call on, whoever loads or asks a network fails."""

    def forbid():
        def fail(*arguments):
            raise AssertionError("a network was loaded")

        monkeypatch.setattr("utils.weights.chosen.load_estimator", fail)
        monkeypatch.setattr("utils.weights.chosen.load_network", fail)

    return forbid


def test_a_film_from_the_cache_is_the_same_and_loads_no_network(
    photo, tmp_path, no_network, capsys
):
    cache = tmp_path / "cache"
    assert run("--in", photo, "--out", tmp_path / "plain.mp4", *SHORT) == 0
    capsys.readouterr()
    assert film(photo, tmp_path / "a.mp4", cache, capsys, "--dry-run")["depth_cached"] is False
    assert not cache.exists(), "a dry run writes nothing"
    assert film(photo, tmp_path / "a.mp4", cache, capsys)["depth_cached"] is False
    no_network()
    assert film(photo, tmp_path / "b.mp4", cache, capsys, "--dry-run")["depth_cached"] is True
    moved = photo.rename(tmp_path / "renamed.png")
    made = film(moved, tmp_path / "b.mp4", cache, capsys)
    assert (made["depth_cached"], made["depth_source"]) == (True, "network")
    truth = (tmp_path / "plain.mp4").read_bytes()
    assert (tmp_path / "a.mp4").read_bytes() == truth
    assert (tmp_path / "b.mp4").read_bytes() == truth

    # Other films of that photo, one of many photos, and those made from Python.
    film(moved, tmp_path / "c", cache, capsys, "--move", "left,orbit")
    words = ("--slideshow", tmp_path / "s.mp4", "--duration", "0.24", "--crossfade", "0.04")
    assert run("--in", moved, moved, *words, "--cache", cache) == 0
    result = kbe.animate(moved, tmp_path / "d.mp4", duration=0.24, cache=cache)
    assert result["depth_cached"] is True
    assert len(list(kbe.animate(moved, duration=0.24, cache=cache))) == 6


def test_depth_that_is_not_estimated_is_not_kept(photo, depth, tmp_path, capsys):
    for more in (["--2d"], depth):
        assert run("--in", photo, "--out", tmp_path / "o", "--cache", tmp_path / "c", *more) == 2
        assert "contradictory flags" in capsys.readouterr().err


def test_a_cache_is_a_folder(photo, tmp_path, capsys):
    assert run("--in", photo, "--out", tmp_path / "o", "--cache", photo) == 2
    assert f"--cache {photo}: is no folder" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
