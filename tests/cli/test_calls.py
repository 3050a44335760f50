"""animate() as a part of somebody's program: its state, forks, pictures from memory, frames."""

import _thread
import contextlib
import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageFile
from waiting import PATIENCE, unix

import kbe
from kbe import animate
from utils.cli.calls import in_own_state
from utils.film.photos import read_image
from utils.weights import chosen

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"max_size": 96, "duration": 0.4, "fps": 10}


@pytest.fixture
def forget():
    """Networks that earlier calls have loaded are forgotten."""
    chosen._kept.clear()
    yield
    chosen._kept.clear()


def pixels_of(path):
    return read_image(path).pixels


# -- a state of its own ---------------------------------------------------------------------------


@contextlib.contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextlib.contextmanager
def warnings_as_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@contextlib.contextmanager
def rounded_products():
    """By torch's older names: TF32 on cards, bfloat16 on CPUs that have it."""
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


@contextlib.contextmanager
def rounded_convolutions():
    """By torch's newer names, which take no part with the older ones."""
    parts = [torch.backends.cudnn.conv, torch.backends.mkldnn.conv, torch.backends.cuda.matmul]
    before = [part.fp32_precision for part in parts]
    for part in parts:
        part.fp32_precision = "tf32"
    try:
        yield
    finally:
        for part, precision in zip(parts, before, strict=True):
            part.fp32_precision = precision


def precisions():
    """How torch rounds the inputs of float32 operations, by every name that it has for it."""

    def known(read):
        try:
            return read()
        except RuntimeError:  # older and newer names contradict each other
            return None

    backends = torch.backends
    parts = backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn
    parts += backends.mkldnn.matmul, backends.mkldnn.conv, backends.mkldnn.rnn
    return (
        *(part.fp32_precision for part in parts),
        known(torch.get_float32_matmul_precision),
        known(lambda: backends.cuda.matmul.allow_tf32),
        known(lambda: backends.cudnn.allow_tf32),
    )


STATES = {
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "meta device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "inference": torch.inference_mode,
    "deterministic": deterministic,
    "TF32 and bfloat16": rounded_products,
    "TF32 by newer names": rounded_convolutions,
    "numpy raises": lambda: np.errstate(all="raise"),
    "warnings raise": warnings_as_errors,
}


def state():
    """What a program may have set, as values that can be compared."""
    return (
        torch.get_default_dtype(),
        torch.empty(0).device,
        torch.is_autocast_enabled("cpu"),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        precisions(),
        torch.get_num_threads(),
        torch.random.get_rng_state().tolist(),
        str(np.random.get_state()),
        np.geterr(),
        warnings.filters[:],
        cv2.getNumThreads(),
        ImageFile.LOAD_TRUNCATED_IMAGES,
    )


@pytest.fixture(scope="module")
def plain_film(tmp_path_factory):
    """The photo, and the film of it that is right."""
    folder = tmp_path_factory.mktemp("plain")
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:72, :96]
    disc = (rows - 40) ** 2 + (columns - 50) ** 2 < 18**2
    pixels = np.where(disc[..., None], (200, 70, 60), (60, 140, 90)) + rng.normal(0, 9, (72, 96, 3))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "photo.png")
    animate(folder / "photo.png", folder / "film.mp4", matte=True, stereo="sbs", **QUICK)
    return folder


@pytest.mark.parametrize("name", STATES)
def test_the_callers_state_changes_no_film_and_stays(tmp_path, plain_film, name, forget):
    with STATES[name]():
        before = state()
        animate(plain_film / "photo.png", tmp_path / "film.mp4", matte=True, stereo="sbs", **QUICK)
        assert state() == before
    for film in ("film.mp4", "film_matte.mp4"):
        assert (tmp_path / film).read_bytes() == (plain_film / film).read_bytes(), film


def test_a_photo_that_is_cut_off_is_refused_whatever_pillow_is_told(
    tmp_path, plain_film, monkeypatch
):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    Image.open(plain_film / "photo.png").save(tmp_path / "cut.jpg")
    data = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(ValueError, match=r"cut\.jpg: damaged or incomplete"):
        animate(tmp_path / "cut.jpg", tmp_path / "film.mp4", flat=True, **QUICK)
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_the_state_comes_back_when_the_last_of_several_calls_ends():
    first, second = threading.Event(), threading.Event()
    seen = []

    def wait(mine, other):
        seen.append(torch.get_default_dtype())
        mine.set()
        assert other.wait(PATIENCE)
        seen.append(torch.get_default_dtype())

    with default_dtype(torch.float64):
        calls = [
            threading.Thread(target=in_own_state, args=(wait, *events))
            for events in ((first, second), (second, first))
        ]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
        assert seen == [torch.float32] * 4 and torch.get_default_dtype() == torch.float64


@pytest.mark.parametrize("setting", [rounded_products, rounded_convolutions])
def test_networks_compute_float32_as_such(tmp_path, setting, monkeypatch):
    """On a card TF32 is torch's default for convolutions: its depth would not be the CPU's."""
    seen = []

    def look(estimator, image):
        seen.append(precisions())
        return estimate(estimator, image)

    estimate = chosen.estimate_disparity
    monkeypatch.setattr(chosen, "estimate_disparity", look)
    chosen._kept.clear()
    Image.new("RGB", (64, 48), "green").save(tmp_path / "photo.png")
    with setting():
        animate(tmp_path / "photo.png", tmp_path / "film.mp4", **QUICK)
        arguments = ["--in", "photo.png", "--out", "other.mp4", "--duration", "0.2"]
        monkeypatch.chdir(tmp_path)
        assert kbe.main([*arguments, "--max-size", "64"]) == 0
    assert len(seen) == 2
    for parts in seen:
        assert parts[:6] == ("ieee",) * 6 and "TF32" not in parts


def test_ctrl_c_ends_what_the_caller_waits_for():
    ended = threading.Event()

    def work():
        try:
            _thread.interrupt_main()
            while True:
                time.sleep(0.001)
        finally:
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        in_own_state(work)
    assert ended.is_set() and "kbe" not in [thread.name for thread in threading.enumerate()]


def test_what_the_work_raises_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        in_own_state(lambda: 1 / 0)


@unix
def test_a_child_that_is_forked_after_torch_was_used_makes_the_same_film(tmp_path, plain_film):
    script = """if True:
        import os, sys, torch
        from kbe import animate
        torch.nn.functional.conv2d(torch.rand(1, 8, 256, 256), torch.rand(8, 8, 3, 3))
        torch.rand(1000, 1000) @ torch.rand(1000, 1000)  # starts OpenMP's threads
        quick = {"max_size": 96, "duration": 0.4, "fps": 10}
        if sys.argv[3] == "again":
            animate(sys.argv[1], sys.argv[2] + "/parent.mp4", **quick)
        child = os.fork()
        if not child:
            animate(sys.argv[1], sys.argv[2] + "/child.mp4", **quick)
            os._exit(0)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"""
    for how in ("first", "again"):
        words = [sys.executable, "-c", script, plain_film / "photo.png", tmp_path, how]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
        done = subprocess.run(words, env=environment, capture_output=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr.decode()
        made = (tmp_path / "child.mp4").read_bytes()
        (tmp_path / "child.mp4").unlink()
    assert made == (tmp_path / "parent.mp4").read_bytes()


# -- networks that stay loaded --------------------------------------------------------------------


@pytest.fixture
def loaded(monkeypatch, forget):
    """Paths of the networks that were loaded, in order."""
    paths, real = [], chosen.load_estimator

    def load(path, device, trust):
        paths.append(Path(path).name)
        return real(path, device, trust)

    monkeypatch.setattr(chosen, "load_estimator", load)
    return paths


def test_networks_are_loaded_once_for_several_calls(tmp_path, plain_film, loaded):
    for number in range(3):
        animate(plain_film / "photo.png", tmp_path / f"{number}.mp4", strength=1 + number / 4)
    assert len(loaded) == 1


def test_other_weights_or_the_same_file_written_anew_are_loaded(tmp_path, plain_film, loaded):
    bundled = chosen.find_weights("estimation", models=chosen.FOLDER)
    one, other = tmp_path / "one.safetensors", tmp_path / "other.safetensors"
    for path in (one, other):
        path.write_bytes(bundled.read_bytes())

    def film(path):
        animate(plain_film / "photo.png", tmp_path / "f.mp4", estim_path=path, **QUICK)

    film(one), film(other), film(one)
    assert loaded == [one.name, other.name]
    os.utime(one, ns=(1, 1))
    film(one)
    assert loaded == [one.name, other.name, one.name]
    assert len(chosen._kept) == chosen.KEPT


# -- pictures from memory -------------------------------------------------------------------------


def test_arrays_and_pictures_are_photos_too(tmp_path, plain_film):
    truth = list(animate(plain_film / "photo.png", flat=True, **QUICK))
    pixels = pixels_of(plain_film / "photo.png")
    forms = [
        pixels,
        pixels / 255,
        (pixels / 255).astype(np.float32),
        np.asfortranarray(pixels),
        Image.fromarray(pixels),
        Image.fromarray(pixels).convert("RGBA"),
    ]
    for form in forms:
        np.testing.assert_array_equal(list(animate(form, flat=True, **QUICK)), truth)
    result = animate(pixels, tmp_path / "film.mp4", flat=True, **QUICK)
    assert result["photo"] is None and Path(result["video"]) == tmp_path / "film.mp4"


def test_a_picture_is_turned_as_its_file_would_be(tmp_path, plain_film):
    image = Image.fromarray(np.rot90(pixels_of(plain_film / "photo.png")))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif, quality=100)
    with Image.open(tmp_path / "turned.jpg") as turned:
        frames = list(animate(turned, flat=True, **QUICK))
    assert frames[0].shape == (72, 96, 3)
    np.testing.assert_array_equal(
        frames, list(animate(tmp_path / "turned.jpg", flat=True, **QUICK))
    )


@pytest.mark.parametrize(
    ("photo", "error", "said"),
    [
        (np.zeros((64, 64), np.uint8), ValueError, r"array \(H, W, 3\) RGB, got \(64, 64\)"),
        (np.zeros((64, 64, 3), np.int32), ValueError, "uint8, or floating point.*got int32"),
        (np.full((64, 64, 3), 200.0), ValueError, r"0\.\.1, got 200\.\.200"),
        (np.full((64, 64, 3), np.nan), ValueError, "got nan"),
        (np.zeros((8, 8, 3), np.uint8), ValueError, "8x8 px"),
        (Image.new("F", (64, 64)), ValueError, r"mode F.*\n.*convert\('RGB'\)"),
        ([[0]], TypeError, "got list"),
    ],
)
def test_what_is_no_photo_is_refused(tmp_path, photo, error, said):
    with pytest.raises(error, match=said):
        animate(photo, tmp_path / "film.mp4", flat=True, **QUICK)
    assert not list(tmp_path.iterdir())


# -- frames ---------------------------------------------------------------------------------------


def test_without_a_file_the_frames_come_one_by_one(tmp_path, plain_film, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo = plain_film / "photo.png"
    animate(photo, tmp_path / "o", write_frames=True, loop="none", **QUICK)
    truth = [pixels_of(path) for path in sorted((tmp_path / "o" / "frames").iterdir())]
    frames = animate(photo, loop="none", **QUICK)
    first = next(frames)
    assert first.shape == (72, 96, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal([first, *frames], truth)
    assert [path.name for path in tmp_path.iterdir()] == ["o"]


def test_frames_may_be_drawn_on(plain_film):
    truth = list(animate(plain_film / "photo.png", flat=True, **QUICK))
    seen = []
    for frame in animate(plain_film / "photo.png", flat=True, **QUICK):
        seen.append(frame.copy())
        frame[:] = 0
    assert len(seen) == 4
    np.testing.assert_array_equal(seen, truth)


@pytest.mark.parametrize("how", ["closed", "dropped"])
def test_frames_that_nobody_wants_are_not_rendered_on(plain_film, how):
    frames = animate(plain_film / "photo.png", flat=True, max_size=96, duration=100)
    next(frames)
    if how == "closed":
        frames.close()
    del frames
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("render")]


@pytest.mark.parametrize(
    "values", [{"codec": "h265"}, {"matte": True}, {"export": ["a.ply"]}, {"dry_run": True}]
)
def test_what_only_a_file_has_is_refused_without_one(plain_film, values):
    with pytest.raises(ValueError, match=f"{next(iter(values))} without a file"):
        animate(plain_film / "photo.png", **values)
