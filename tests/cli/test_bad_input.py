"""Photos, weights and places that cannot be used: said in one line, and nothing half made stays."""

import errno
import os
import signal

import cv2
import numpy as np
import pytest
from kbe_runs import ROOT, leftovers, run, spawn
from waiting import PATIENCE, unix, wait_until


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.jpg", None, "missing.jpg"),
        ("empty.jpg", b"", "empty"),
        ("text.jpg", b"this is no photo", "text.jpg"),
        ("page.jpg", b"<!doctype html><html>", "HTML"),
    ],
)
def test_unreadable_photo_is_named(tmp_path, capsys, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert run("--in", tmp_path / name, "--out", tmp_path / "o", "--2d") == 1
    err = capsys.readouterr().err
    assert message in err and name in err and "Traceback" not in err
    assert not (tmp_path / "o").exists()


def test_truncated_jpeg_makes_no_half_grey_film(tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8)
    whole = cv2.imencode(".jpg", pixels)[1].tobytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    assert run("--in", tmp_path / "cut.jpg", "--out", tmp_path / "o", "--2d") == 1
    assert "cut.jpg" in capsys.readouterr().err


def test_folder_without_photos(tmp_path, capsys):
    (tmp_path / "album").mkdir()
    assert run("--in", tmp_path / "album", "--out", tmp_path / "o", "--2d") == 1
    assert "no photos in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "content", "message"),
    [
        ("--estim-path", None, "no weights at"),
        ("--estim-path", b"", "empty"),
        ("--estim-path", b"<html>login</html>", "web page"),
        ("--estim-path", b"PK\x03\x04 cut", "w.tar"),
        ("--inpaint-path", b"\x80\x04 junk", "w.tar"),
    ],
)
def test_wrong_weights_are_named(photo, depth, tmp_path, capsys, flag, content, message):
    path = tmp_path / "w.tar"
    if content is not None:
        path.write_bytes(content)
    given = depth if flag == "--inpaint-path" else []
    assert run("--in", photo, "--out", tmp_path / "o", *given, flag, path) == 1
    err = capsys.readouterr().err
    assert message in err and "Traceback" not in err
    assert not (tmp_path / "o" / "3d_kbe.mp4").exists()


def test_weights_of_another_network_say_where_they_belong(photo, depth, tmp_path, capsys):
    from models.disparity_refinement import RefinePretrained
    from utils.weights.loading import save_state_dict

    save_state_dict(tmp_path / "w.safetensors", RefinePretrained((8, 8, 8)).state_dict())
    assert (
        run(
            "--in",
            photo,
            "--out",
            tmp_path / "o",
            *depth,
            "--inpaint-path",
            tmp_path / "w.safetensors",
        )
        == 1
    )
    assert "--refine-path" in capsys.readouterr().err


def test_checkpoint_with_code_is_refused_and_does_not_run(photo, depth, tmp_path, capsys):
    import torch

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "was_here"),)

    torch.save({"model_state_dict": Evil()}, tmp_path / "w.tar")
    assert (
        run("--in", photo, "--out", tmp_path / "o", *depth, "--inpaint-path", tmp_path / "w.tar")
        == 1
    )
    assert not (tmp_path / "was_here").exists()
    assert "--trust-checkpoint" in capsys.readouterr().err


def test_pretrained_weights_are_sought_where_they_are_downloaded_to(photo, tmp_path, capsys):
    for flag, name in (
        ("--pretrained-estim", "network-disparity.pytorch"),
        ("--pretrained-refine", "network-refinement.pytorch"),
    ):
        path = ROOT / "models" / "trained" / name
        if not path.exists():
            assert run("--in", photo, "--out", tmp_path / "o", flag) == 1
            assert f"no weights at {path}" in capsys.readouterr().err


def test_missing_weights_say_what_to_type(photo, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("utils.weights.chosen.find_weights", lambda *_, **__: None)
    assert run("--in", photo, "--out", tmp_path / "o") == 1
    assert "./download_models.sh" in capsys.readouterr().err


def test_unwritable_output_is_said_before_the_work(photo, tmp_path, capsys):
    (tmp_path / "file").write_bytes(b"")
    assert run("--in", photo, "--out", tmp_path / "file" / "o", "--2d") == 1
    assert "cannot write into" in capsys.readouterr().err


def test_full_disk_leaves_no_half_film(photo, tmp_path):
    """A limit on the size of files fails the encoder's writes as a full disk does."""
    resource = pytest.importorskip("resource", reason="this system limits no process")

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    process = spawn(
        "--in",
        photo,
        "--out",
        tmp_path / "o",
        "--2d",
        "--size",
        "640x480",
        preexec_fn=limit,
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "n")},
    )
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert out == "" and "Traceback" not in err
    assert os.strerror(errno.EFBIG) in err or "write" in err
    assert not (tmp_path / "o" / "3d_kbe.mp4").exists()
    assert not leftovers(tmp_path / "o")


@unix
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_while_encoding_leaves_no_half_film(photo, tmp_path, sent, status):
    # A shell's background jobs ignore Ctrl-C, and so would a test run that is one.
    process = spawn(
        "--in",
        photo,
        "--out",
        tmp_path / "o",
        "--2d",
        "--duration",
        "100000",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    # The encoder is at work, once some of the film is in the file.
    wait_until(lambda: any(path.stat().st_size for path in tmp_path.glob("o/.partial*")), process)
    process.send_signal(sent)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == status
    assert out == "" and "Traceback" not in err
    assert list((tmp_path / "o").iterdir()) == []


def test_missing_depth_map_is_told_by_a_dry_run(photo, tmp_path, capsys):
    assert run("--in", photo, "--out", tmp_path, "--depth", "no.png", "--dry-run") == 1
    assert "--depth no.png: there is no such file" in capsys.readouterr().err
