"""What goes wrong on the way: writes, disks, signals, stages, memory, weights, installs."""

import contextlib
import itertools
import json
import os
import pkgutil
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from films import probe
from waiting import PATIENCE, unix, wait_until

import kbe
from utils.film.photos import write_image

ROOT = Path(__file__).resolve().parents[2]
# Every kind of result, and a film of six frames.
EVERYTHING = [
    "--duration",
    "0.24",
    "--write-frames",
    "--write-depth",
    "--save-disparity",
    "--preview",
    "--matte",
    "--export",
    "scene.ply",
]


@pytest.fixture
def photo(tmp_path):
    """A disc before a wall, 60x48, and its disparity under the same name in maps/."""
    rows, columns = np.mgrid[:48, :60]
    disc = (rows - 26) ** 2 + (columns - 30) ** 2 < 12**2
    pixels = np.random.default_rng(0).normal(0, 9, (48, 60, 3))
    pixels += np.where(disc[..., None], (200, 70, 60), (60, 140, 90))
    (tmp_path / "maps").mkdir()
    for name in "abc":
        write_image(tmp_path / "maps" / f"{name}.png", np.where(disc, 220, 60).astype(np.uint8))
    path = tmp_path / "album" / "a.png"
    path.parent.mkdir()
    write_image(path, pixels.clip(0, 255).astype(np.uint8))
    return path


@pytest.fixture
def album(photo):
    """A folder of three photos."""
    for name in "bc":
        shutil.copy(photo, photo.with_stem(name))
    return photo.parent


def command(photo, *more):
    """Arguments for a photo, or for the folder of it, with its disparity."""
    folder = photo if photo.is_dir() else photo.parent
    return [
        "--in",
        str(photo),
        "--depth",
        str(folder.parent / "maps"),
        "--depth-kind",
        "disparity",
        *map(str, more),
    ]


def files(folder):
    """{relative name: content} of everything in a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def leftovers(folder):
    return [name for name in files(folder) if ".partial" in name]


# -- writing --------------------------------------------------------------------------------------


def limit_files(size):
    """Let writes beyond this many bytes of a file fail, as on a full disk; return what was."""
    resource = pytest.importorskip("resource", reason="this system limits no process")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    return before[0], signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


@contextlib.contextmanager
def largest_file(size):
    """Limit the size of files for a while."""
    before, handler = limit_files(size)
    try:
        yield
    finally:
        limit_files(before)
        signal.signal(signal.SIGXFSZ, handler)


def test_results_are_whole_or_absent_wherever_a_file_is_cut(photo, tmp_path, capsys):
    assert kbe.main(command(photo, "--out", tmp_path / "good", *EVERYTHING)) == 0
    good = files(tmp_path / "good")
    assert (
        len(good) == 2 * (1 + 4) + 4 + 4
    )  # film, matte, their frames; depth; disparity twice, preview, PLY
    sizes = sorted({len(content) for content in good.values()})
    for limit in [0, *(share for size in sizes for share in (size // 2, size - 1))]:
        out = tmp_path / f"limit{limit}"
        with largest_file(limit):
            assert kbe.main(command(photo, "--out", out, *EVERYTHING)) == 1, limit
        said = capsys.readouterr().err
        assert "cannot" in said and "Traceback" not in said
        for name, content in files(out).items():
            assert good[name] == content, f"{name} is half there at {limit} bytes"
        assert "3d_kbe.mp4" not in files(out), "the film is there before all else"
    assert kbe.main(command(photo, "--out", out, *EVERYTHING, "--skip-existing")) == 0
    assert files(out) == good


FAILING_WRITES = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static long left = -1;
void fail_at(long n) { left = n; }
long writes_left(void) { return left; }

static int fails(int handle) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, path, sizeof path - 1);
    const char *folder = getenv("FAULTY_FOLDER");
    if (length < 0 || !folder) return 0;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder)) || left < 0) return 0;
    if (left > 0 && --left > 0) return 0;
    errno = EIO;
    return 1;  /* this one and all after it: a disk that is gone stays gone */
}

#define REPLACE(name, parameters, arguments) \
    ssize_t name parameters { \
        static ssize_t (*real) parameters; \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name); \
        return fails(handle) ? -1 : real arguments; \
    }
REPLACE(write, (int handle, const void *data, size_t size), (handle, data, size))
REPLACE(writev, (int handle, const struct iovec *parts, int count), (handle, parts, count))
REPLACE(pwrite64, (int handle, const void *data, size_t size, off64_t at), (handle, data, size, at))
"""

EVERY_WRITE = """
import ctypes, json, sys
from pathlib import Path
sys.path.insert(0, "tests")
import kbe
from tests.cli.test_faults import files
shim, out, arguments = ctypes.CDLL(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
shim.fail_at(-1)
assert kbe.main([*arguments, "--out", str(out / "good")]) == 0
good, n = files(out / "good"), 0
while True:
    n += 1
    shim.fail_at(n)
    status = kbe.main([*arguments, "--out", str(out / str(n))])
    failed = shim.writes_left() == 0
    shim.fail_at(-1)
    made = files(out / str(n))
    assert status == (1 if failed else 0), f"write {n}: status {status}"
    assert all(good[name] == content for name, content in made.items()), f"write {n}: {list(made)}"
    assert failed == ("3d_kbe.mp4" not in made), f"write {n}"
    if not failed:
        break
print(n - 1, "writes")
"""


def test_an_error_at_any_write_leaves_nothing_half_written(photo, tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler")
    (tmp_path / "shim.c").write_text(FAILING_WRITES)
    shim = tmp_path / "shim.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-w", "-o", shim, tmp_path / "shim.c", "-ldl"], check=True
    )
    out = tmp_path / "out"
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", EVERY_WRITE, shim, out, json.dumps(command(photo, *EVERYTHING))],
        env=os.environ | {"LD_PRELOAD": str(shim), "FAULTY_FOLDER": str(out)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(re.search(r"(\d+) writes", done.stdout)[1]) >= 8, "the shim does not see the writes"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("size", [16, 48])
def test_a_full_disk_is_told_and_leaves_nothing(photo, tmp_path, size):
    """A real one: a small file system in memory, where this system lets us mount it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(disk)]
    inside = ["unshare", "-rm", "sh", "-c", 'shift; "$@"', "sh"]
    if subprocess.run([*inside, "-", *mount], capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a file system")
    script = f'{" ".join(mount)}; "$@"; status=$?; find {disk} -type f; exit $status'
    done = subprocess.run(
        [
            "unshare",
            "-rm",
            "sh",
            "-c",
            script,
            "sh",
            sys.executable,
            str(ROOT / "kbe.py"),
            *command(photo, "--out", disk / "o", *EVERYTHING),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr and "Traceback" not in done.stderr
    assert ".partial" not in done.stdout and "3d_kbe.mp4" not in done.stdout


# -- signals --------------------------------------------------------------------------------------


@unix
@pytest.mark.parametrize("sent", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_stopped_batch_goes_on_where_it_was(album, tmp_path, sent):
    number = getattr(signal, sent)
    out = tmp_path / "o"
    # Films so long that the signal finds the second one at work on a machine that stalls, too.
    flags = command(album, "--out", out, "--duration", "80", "--skip-existing", "--json")
    # A shell's background jobs ignore Ctrl-C, and so would a test run that is one.
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "kbe.py"), *flags],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_until(lambda: list(out.glob("b/.partial*")), process)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    killed = sent == "SIGKILL"
    assert process.returncode == (-number if killed else 128 + number)
    assert "Traceback" not in err
    assert bool(leftovers(out)) == killed
    made = files(out)
    assert "a/3d_kbe.mp4" in made and "b/3d_kbe.mp4" not in made, "too early or too late to tell"

    done = subprocess.run(
        [sys.executable, str(ROOT / "kbe.py"), *flags],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [bool(result.get("skipped")) for result in results] == [True, False, False]
    assert sorted(files(out)) == [f"{name}/3d_kbe.mp4" for name in "abc"]
    assert {probe(result["video"]).frames for result in results} == {2000}


# -- one photo of several -------------------------------------------------------------------------

# Each stage, and at which of its calls the second of three photos has come to it.
STAGES = {
    "utils.cli.plan_photo": 2,
    "utils.cli.plan.check_film": 3,
    "utils.cli.describe_film": 2,
    "utils.cli.prepare_folder": 2,
    "utils.depth.find_disparity": 2,
    "utils.scene.lift": 2,
    "utils.depth.write_disparity": 2,
    "utils.cli.plan_path": 2,
    "utils.film.Preview": 2,
    "utils.cli.tell_invention": 2,
    "utils.scene.cloud.Scene.inpaint": 2 + 1,
    "utils.film.preview.Preview.write": 2,
    "utils.export.write_exports": 2,
    "utils.film.write_film": 2,
    "utils.film.frames.film_frames": 2,
    "utils.film.video.VideoWriter.write": 4 + 3,
    "utils.film.frames.write_image": 4 + 3,
}
ERRORS = [
    OSError(28, "No space left on device"),
    KeyError("a mistake"),
    MemoryError(),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    torch.OutOfMemoryError("out of memory"),
]


def fail_at_call(monkeypatch, name, number, error):
    """Let the function of this dotted name raise at its call of this number, and only there."""
    module, _, attribute = name.rpartition(".")
    owner = pkgutil.resolve_name(module)
    real, calls = getattr(owner, attribute), itertools.count(1)

    def replaced(*arguments, **named):
        if next(calls) == number:
            raise error
        return real(*arguments, **named)

    monkeypatch.setattr(owner, attribute, replaced)


@pytest.mark.parametrize("number", range(len(STAGES)), ids=list(STAGES))
def test_a_stage_that_fails_for_one_photo_does_not_stop_the_others(
    album, tmp_path, capsys, monkeypatch, number
):
    stage, call = list(STAGES.items())[number]
    monkeypatch.setattr("utils.cli.batch.MOST_AHEAD", 1)  # calls are counted: one after another
    fail_at_call(monkeypatch, stage, call, ERRORS[number % len(ERRORS)])
    flags = [flag for flag in EVERYTHING if flag != "--matte"]
    assert kbe.main(command(album, "--out", tmp_path / "o", *flags, "--json")) == 1
    out = capsys.readouterr()
    results = [json.loads(line) for line in out.out.splitlines()]
    assert [Path(result["photo"]).stem for result in results] == ["a", "b", "c"]
    assert ["error" in result for result in results] == [False, True, False]
    assert "b.png" in out.err and "1 of 3 photos failed" in out.err
    assert "Traceback" not in out.err
    made = files(tmp_path / "o")
    assert {name for name in made if name.endswith(".mp4")} == {"a/3d_kbe.mp4", "c/3d_kbe.mp4"}
    assert not leftovers(tmp_path / "o")


def test_a_mistake_of_ours_is_one_line_and_its_trace_with_verbose(
    photo, tmp_path, capsys, monkeypatch
):
    for flags, trace in (([], False), (["--verbose"], True)):
        fail_at_call(monkeypatch, "utils.scene.lift", 1, KeyError("a mistake"))
        assert kbe.main(command(photo, "--out", tmp_path / "o", *flags)) == 1
        err = capsys.readouterr().err
        assert "unexpected KeyError: 'a mistake'" in err and ("Traceback" in err) == trace


# -- memory of a GPU ------------------------------------------------------------------------------


@pytest.fixture
def pretended_gpu(monkeypatch):
    """Take a device for chosen that only networks would use, and that is not there."""
    from utils.devices import CPU, Devices

    networks = Devices(torch.device("mps"), CPU)
    monkeypatch.setattr("utils.weights.chosen.choose_devices", lambda name: networks)


FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    RuntimeError("MPS backend out of memory (MPS allocated: 17.93 GB)"),
    MemoryError("Out of memory allocating 1,000 bytes (allocated so far: 0 bytes)."),
]  # CuPy's


@pytest.mark.parametrize("error", FULL)
@pytest.mark.parametrize(
    "stage",
    [
        "utils.depth.find_disparity",
        "utils.scene.cloud.Scene.inpaint",
        "utils.film.write_film",
        "utils.scene.cloud.Scene.render",
    ],
)
def test_a_full_gpu_falls_back_to_the_cpu_and_says_so(
    photo, tmp_path, capsys, monkeypatch, pretended_gpu, stage, error
):
    fail_at_call(monkeypatch, stage, 1, error)
    assert kbe.main(command(photo, "--out", tmp_path / "o", "--duration", "0.24")) == 0
    assert "a.png: the GPU's memory is full, so this photo is made on the CPU" in (
        capsys.readouterr().err
    )
    assert probe(tmp_path / "o" / "3d_kbe.mp4").frames == 6
    assert not leftovers(tmp_path / "o")


def test_networks_too_move_to_the_cpu(photo, tmp_path, capsys, monkeypatch, pretended_gpu):
    from utils.weights import chosen as networks

    load, devices = networks.load_estimator, []

    def loading(path, device, trust):
        devices.append(device.type)
        if device.type != "cpu":
            raise FULL[0]
        return load(path, device, trust)

    monkeypatch.setattr(networks, "load_estimator", loading)
    monkeypatch.setattr(networks, "load_network", lambda *_: None)
    assert kbe.main(["--in", str(photo), "--out", str(tmp_path / "o"), "--duration", "0.24"]) == 0
    assert devices == ["mps", "cpu"] and "the GPU's memory is full" in capsys.readouterr().err


def test_other_errors_and_a_full_main_memory_are_not_tried_again(
    photo, tmp_path, capsys, monkeypatch, pretended_gpu
):
    for error in (RuntimeError("CUDA error: unspecified launch failure"), MemoryError()):
        with monkeypatch.context() as failing:
            fail_at_call(failing, "utils.scene.lift", 1, error)
            assert kbe.main(command(photo, "--out", tmp_path / "o")) == 1
        assert "made on the CPU" not in capsys.readouterr().err


# -- weights and installs -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flag", ["--estim-path", "--refine-path", "--inpaint-path", "--inpaint-depth"]
)
@pytest.mark.parametrize("form", ["safetensors", "zip", "legacy"])
def test_weights_cut_anywhere_are_refused(photo, tmp_path, capsys, flag, form):
    from models.compact_estimation import CompactDisparity
    from models.disparity_refinement import RefinePretrained
    from models.pointcloud_inpainting import Inpaint
    from utils.weights.loading import save_state_dict

    network = (
        CompactDisparity()
        if flag == "--estim-path"
        else RefinePretrained((4, 4, 4))
        if flag == "--refine-path"
        else Inpaint((4, 4))
    )
    path = tmp_path / "weights"
    if form == "safetensors":
        save_state_dict(path, network.state_dict())
    else:
        torch.save(
            {"model_state_dict": network.state_dict()},
            path,
            _use_new_zipfile_serialization=form == "zip",
        )
    data = path.read_bytes()
    lengths = np.random.default_rng(0).integers(0, len(data), 8).tolist()
    given = (
        []
        if flag in ("--estim-path", "--refine-path")
        else ["--depth", str(photo.parents[1] / "maps")]
    )
    for length in [0, 1, 8, 100, *lengths, len(data) - 1]:
        path.write_bytes(data[:length])
        assert (
            kbe.main(["--in", str(photo), "--out", str(tmp_path / "o"), *given, flag, str(path)])
            == 1
        ), length
        err = capsys.readouterr().err
        assert "weights" in err and "Traceback" not in err, err
    assert not files(tmp_path / "o")


@pytest.mark.parametrize("home", ["unwritable", "full"])
def test_a_read_only_install_works(photo, tmp_path, home):
    """Where there is no room for compiled kernels in the user's cache folder, it does without.

    That a file is where a folder should be stops every user from making it, root as well.
    """
    install = tmp_path / "install"
    for name in ("kernels", "models", "utils"):
        shutil.copytree(
            ROOT / name,
            install / name,
            ignore=shutil.ignore_patterns("__pycache__", "bundled", "trained"),
        )
        for folder in [install / name, *(p for p in (install / name).rglob("*") if p.is_dir())]:
            (folder / "__pycache__").write_bytes(b"")
    shutil.copy(ROOT / "kbe.py", install)
    place = tmp_path / "home"
    place.write_bytes(b"") if home == "unwritable" else place.mkdir()
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    }
    environment["NUMBA_OPT"] = "0"  # compiling takes a minute otherwise, and that twice
    arguments = command(photo, "--out", tmp_path / "o", "--duration", "0.24")
    done = subprocess.run(
        [sys.executable, str(install / "kbe.py"), *arguments],
        capture_output=True,
        text=True,
        env=environment | {"HOME": str(place)},
        timeout=PATIENCE,
        preexec_fn=(lambda: limit_files(20_000)) if home == "full" else None,
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert probe(tmp_path / "o" / "3d_kbe.mp4").frames == 6
