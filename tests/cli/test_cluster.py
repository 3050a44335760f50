"""Batches on a Ray cluster: a real one, of two nodes with a core each, on this machine."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import ray_workers
from films import probe
from waiting import PATIENCE, unix, wait_until

import kbe
from utils.cli.cluster import ATTEMPTS, over_cluster, share_out
from utils.cli.jobs import Job
from utils.film.photos import write_image

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = SimpleNamespace(ray_cpus=1, ray_gpus=None)


@pytest.fixture(scope="module")
def cluster():
    """The address of a cluster of two nodes."""
    pytest.importorskip("ray", reason="ray is not installed")
    from ray.cluster_utils import Cluster

    made = Cluster()
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    add_node(made, **node, include_dashboard=False)
    add_node(made, **node)
    yield made.address
    made.shutdown()


def add_node(cluster, **arguments):
    """Add a node; Ray gives one half a minute to start, which a busy machine may need twice."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return cluster.add_node(**arguments)
        except Exception as error:  # Ray raises just that
            if "timed out during startup" not in str(error) or time.monotonic() > until:
                raise


@pytest.fixture
def jobs(tmp_path):
    def make(*names):
        folders = [tmp_path / name for name in names]
        for folder in folders:
            folder.mkdir()
        return [Job(Path(f"{folder.name}.jpg"), folder, folder / "v.mp4", "") for folder in folders]

    return make


def photos_of(results):
    return [Path(result["photo"]).stem for result in results]


def test_each_photo_has_one_result_in_the_photos_order(cluster, jobs, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("kbe"), "propagate", True)
    caplog.set_level(logging.INFO, "kbe")
    names = ["slow", "a", "b", "slow2", "c", "slow3"]
    results = list(over_cluster(cluster, jobs(*names), ray_workers.make_worker, SETTINGS))
    assert photos_of(results) == names
    assert len({result["worker"] for result in results}) == 2, "one worker did all"
    # A record may be caught twice: as the logger's and as the root's.
    said = Counter(record.getMessage() for record in set(caplog.records))
    assert [said[f"seen {name}"] for name in names] == 6 * [1], "what workers say is said here"


def test_photos_of_a_killed_worker_are_made_elsewhere(cluster, jobs, capfd):
    names = ["a", "once", "slow", "b", "once2", "c"]
    planned = jobs(*names)
    results = list(over_cluster(cluster, planned, ray_workers.make_worker, SETTINGS))
    assert photos_of(results) == names
    for job, result in zip(planned, results, strict=True):
        if "once" in job.photo.stem:
            assert result["worker"] != int((job.folder / "seen").read_text())
    assert capfd.readouterr().out == "", "standard output is for results"


def test_photo_that_kills_every_worker_is_given_up(cluster, jobs):
    results = list(
        over_cluster(cluster, jobs("a", "poison", "b"), ray_workers.make_worker, SETTINGS)
    )
    assert photos_of(results) == ["a", "poison", "b"]
    assert results[1]["error"].endswith(f"its worker died {ATTEMPTS} times.")
    assert "worker" in results[0] and "worker" in results[2]


def test_workers_that_cannot_start_end_the_run(cluster, jobs):
    with pytest.raises(RuntimeError, match="no worker starts: ValueError: no weights here"):
        list(over_cluster(cluster, jobs("a"), ray_workers.make_nothing, SETTINGS))


def test_wish_that_no_machine_fulfils_is_said(cluster, jobs):
    wish = SimpleNamespace(ray_cpus=1, ray_gpus=0.5)
    with pytest.raises(ValueError, match="no machine of the cluster has 1 cores and 0.5 GPUs"):
        list(over_cluster(cluster, jobs("a"), ray_workers.make_worker, wish))


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "wanted"),
    [
        ([{"CPU": 2}], None, None, (1, 2, 0)),
        ([{"CPU": 64}, {"CPU": 6}], None, None, (17, 4, 0)),
        ([{"CPU": 16, "GPU": 2}, {"CPU": 8}], None, None, (2, 4, 1)),
        ([{"CPU": 16, "GPU": 2}], None, 0.5, (4, 4, 0.5)),
        ([{"CPU": 16, "GPU": 1}], 1, 0.1, (10, 1, 0.1)),
        ([{"CPU": 16, "GPU": 2}], 2, 0, (8, 2, 0)),
        ([{"memory": 1.0}], None, None, (0, 1, 0)),
    ],
)
def test_machines_are_shared_out_by_cores_and_parts_of_gpus(nodes, cpus, gpus, wanted):
    assert share_out(nodes, cpus, gpus) == wanted


# -- the command line -----------------------------------------------------------------------------


@pytest.fixture
def album(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "album").mkdir()
    for name in "dbac":
        write_image(tmp_path / "album" / f"{name}.png", rng.integers(0, 255, (48, 64, 3), np.uint8))
    (tmp_path / "album" / "bad.png").write_bytes(b"no photo")
    return tmp_path / "album"


def test_cluster_makes_the_films_of_a_batch(cluster, album, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["--in", "album", "--2d", "--duration", "0.2", "--json"]
    assert kbe.main([*command, "--out", "here"]) == 1
    here = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert kbe.main([*command, "--out", "there", "--ray", cluster, "--ray-cpus", "1"]) == 1
    out = capsys.readouterr()
    there = [json.loads(line) for line in out.out.splitlines()]
    assert photos_of(there) == photos_of(here) == ["a", "b", "bad", "c", "d"]
    for ours, theirs in zip(here, there, strict=True):
        assert ours.keys() == theirs.keys()
        if "error" not in ours:
            assert probe(theirs["video"]) == probe(ours["video"])
    assert "2 workers, each with 1 cores" in out.err
    assert "bad.png" in out.err and "1 of 5 photos failed" in out.err


@unix
def test_interrupt_ends_the_workers_and_leaves_no_half_film(cluster, album, tmp_path):
    process = subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "kbe.py"),
            "--in",
            str(album),
            "--out",
            str(tmp_path / "o"),
            "--2d",
            "--duration",
            "100000",
            "--ray",
            cluster,
            "--ray-cpus",
            "1",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_until(lambda: len(list(tmp_path.glob("o/*/.partial-*"))) == 2, process)
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert out == "" and "Traceback" not in err
    assert [path for path in tmp_path.glob("o/*/*") if path.is_file()] == []


def test_missing_ray_says_what_to_install(album, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert kbe.main(["--in", str(album), "--out", str(tmp_path / "o"), "--2d", "--ray"]) == 1
    assert 'pip install "ray' in capsys.readouterr().err


def test_address_without_a_cluster_is_said_at_once(album, tmp_path, capsys):
    pytest.importorskip("ray", reason="ray is not installed")
    assert (
        kbe.main(["--in", str(album), "--out", str(tmp_path / "o"), "--2d", "--ray", "127.0.0.1:9"])
        == 1
    )
    assert "--ray 127.0.0.1:9: no cluster there: " in capsys.readouterr().err


def test_missing_cluster_says_how_to_start_one(album, tmp_path, capsys, monkeypatch):
    ray = pytest.importorskip("ray", reason="ray is not installed")

    def refuse(*_, **__):
        raise ConnectionError("Could not find any running Ray instance.\nMore words.")

    monkeypatch.setattr(ray, "init", refuse)
    assert kbe.main(["--in", str(album), "--out", str(tmp_path / "o"), "--2d", "--ray"]) == 1
    err = capsys.readouterr().err
    assert "--ray auto: no cluster there: Could not find any" in err and "ray start" in err
    assert "More words" not in err
    assert os.listdir(tmp_path) == ["album"]
