"""Training as processes: signals, crashes, several processes at once, and what a run costs."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_training import TinyJudge
from waiting import PATIENCE, alive, unix, wait_until

import train
from utils.training import adversarial as adversarial_training

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("quick")


CRASH = """
import multiprocessing, os, signal, sys, time
import data_loader, train
from utils.training import records
from utils.training.trainer import Trainer
records.draw_curve = lambda path, history: None
records.open_tensorboard = lambda folder: None
old, read = Trainer.step, data_loader.Samples.__getitem__

def slow(samples, key):  # a reader that hangs, as on a lost network drive
    time.sleep(3600 if os.path.exists(sys.argv[2]) else 0)
    return read(samples, key)

def step(trainer, batch):
    terms = old(trainer, batch)
    if trainer.step_number == 2:  # what is read ahead lasts for more steps than two
        open(sys.argv[2], "w").close()
    if trainer.step_number == 4:
        print(*(worker.pid for worker in multiprocessing.active_children()), flush=True)
        if sys.argv[1] == "raise":
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB\\nmore")
        if sys.argv[1] == "twice":  # Ctrl-C, then again
            os.killpg(0, signal.SIGINT)
        os.killpg(0, signal.SIGINT) if sys.argv[1] == "twice" else os.kill(os.getpid(), 9)
    return terms

Trainer.step = step
data_loader.Samples.__getitem__ = slow
sys.exit(train.main(sys.argv[3:]))
"""


@pytest.mark.parametrize(
    ("event", "status", "message"),
    [
        ("raise", 1, r"train.py: error: RuntimeError: CUDA out of memory. .* GiB \(.*line \d+\)\n"),
        ("twice", 130, r"train.py: stopped by Ctrl-C.*\n"),
        ("kill", -9, ""),  # SIGKILL, which Windows lacks
    ],
)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
def test_whatever_ends_training_ends_its_workers(flags, tmp_path, event, status, message):
    command = [
        sys.executable,
        "-c",
        CRASH,
        event,
        str(tmp_path / "hang"),
        *flags,
        "--steps",
        "999",
        "--workers",
        "2",
        "--log-every",
        "500",
        "--save-every",
        "500",
    ]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        workers = process.stdout.readline().split()
        try:
            process.wait(PATIENCE)
            assert len(workers) == 2
            # Both ends of the pipes close with the last process that holds them.
            errors = process.communicate(timeout=PATIENCE)[1]
        finally:
            if any(map(alive, (process.pid, *workers))):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == status
    assert re.fullmatch(r"(training on [^\n]+\n)?" + message, errors), errors
    # A process closes its files before it is gone.
    wait_until(lambda: not any(map(alive, workers)))


@unix
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_to_the_whole_group_saves_and_exits(flags, tmp_path, number, status):
    """As Ctrl-C on a terminal, which also reaches the loader's workers."""
    command = [sys.executable, "train.py", *flags, "--steps", "100000", "--workers", "1"]
    run = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in run.stderr:
        if line.startswith("step 2 of"):
            break
    os.killpg(run.pid, number)
    _, error = run.communicate(timeout=PATIENCE)
    assert run.returncode == status and "go on with --resume" in error
    state = torch.load(tmp_path / "models" / "disparity-3dkbe.tar", weights_only=True)
    assert state["nb_iter"] >= 2


@pytest.mark.parametrize("mode", ["estimation", "inpainting_ref"])
def test_benchmark_times_steps(flags, monkeypatch, mode):
    from benchmarks.train import measure

    monkeypatch.setattr(adversarial_training, "MPDDiscriminator", TinyJudge)
    monkeypatch.setattr("utils.cli.train_flags.check", lambda settings: None)
    found = measure(mode, [*flags, "--crop", "48x32"], warmup=1, steps=2)
    assert found["images_per_second"] > 0 and 0 <= found["waiting"] <= 1
    assert found["crop"] == [32, 48] and found["batch_size"] == 2


def launch(processes, flags, script="train.py", env=(), **options):
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
        str(script),
        *flags,
        *(["--threads", "1"] if script == "train.py" else []),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | dict(env)
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["estimation", "inpainting"])
def test_two_processes_give_the_losses_of_the_doubled_batch(flags, tmp_path, mode):
    histories = []
    for name, processes, size in (("one", 1, 4), ("two", 2, 2)):
        arguments = [
            *flags,
            "--training-mode",
            mode,
            "--steps",
            "4",
            "--save-name",
            name,
            "--batch-size",
            str(size),
            "--val-images",
            "1",
            "--device",
            "auto",
        ]
        run = launch(processes, arguments)
        try:
            _, error = run.communicate(timeout=PATIENCE)
        finally:
            run.terminate()  # takes its processes along; does nothing to one that has ended
        assert run.returncode == 0, error
        assert "Warning" not in error
        kind = {"estimation": "disparity", "inpainting": "inpaint"}[mode]
        state = torch.load(tmp_path / "models" / f"{kind}-{name}.tar", weights_only=True)
        histories.append([e for e in state["history"] if "total" in e])
    # The first losses differ by rounding alone. Adam steps by nearly the sign of a gradient, which
    # rounding flips where it is almost zero, so later ones drift.
    for one, two, tolerance in zip(*histories, (1e-5, 2e-4, 1e-2, 1e-2), strict=True):
        for term in one.keys() - {"tag", "images_per_second", "waiting"}:
            assert two[term] == pytest.approx(one[term], rel=tolerance), (one, two)


WAIT = """
import datetime, os, sys, time, torch
from accelerate import PartialState
from utils.training.trainer import first_of_each_machine_first, wait_for_all

state = PartialState(cpu=True, timeout=datetime.timedelta(seconds=2))
with first_of_each_machine_first():
    if not os.path.exists(sys.argv[1]):
        time.sleep(4)
        assert state.is_local_main_process
        open(sys.argv[1], "x").close()
if state.is_main_process:  # validates alone
    time.sleep(4)
    if sys.argv[2] == "dies":
        os._exit(3)
wait_for_all()
assert state.num_processes == 2
print("together", file=sys.stderr, flush=True)
wait_for_all()
state.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize("event", ["lives", "dies"])
def test_processes_wait_for_one_that_works_alone_longer_than_the_gradients_may_take(
    tmp_path, event
):
    script = tmp_path / "wait.py"
    script.write_text(WAIT)
    run = launch(2, [str(tmp_path / "made"), event], script, env={"PYTHONPATH": str(ROOT)})
    try:
        _, error = run.communicate(timeout=PATIENCE)
    finally:
        run.terminate()
    assert (run.returncode == 0) == (event == "lives"), error
    assert error.count("together") == (2 if event == "lives" else 0), error


@pytest.mark.slow
def test_a_killed_process_ends_the_run_with_an_error(flags):
    run = launch(2, [*flags, "--steps", "100000", "--save-every", "100000"])
    for line in run.stderr:
        if line.startswith("step 3 of"):
            break
    children = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True)
    os.kill(int(children.stdout.split()[-1]), 9)
    run.communicate(timeout=PATIENCE)
    assert run.returncode != 0


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("unable to write to file </torch_7_12_0>: No space left on device (28)"),
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is"),
    ],
)
def test_full_shared_memory_is_told_with_what_to_type(error, monkeypatch, capsys, tmp_path):
    class Full:
        def fit(self):
            raise error

    monkeypatch.setattr(train, "make_trainer", lambda settings: Full())
    assert train.main(["--models-dir", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 2 and "/dev/shm" in said and "--workers 0" in said


def test_scenes_is_the_size_of_the_set_that_is_made(monkeypatch, tmp_path):
    asked = []

    class Nobody:
        second_view = renders = False

        def __init__(self, *_):
            pass

    monkeypatch.setattr("utils.synthetic.ensure_dataset", lambda path, count: asked.append(count))
    monkeypatch.setattr("utils.training.data_sets.open_data_set", lambda *_: None)
    monkeypatch.setattr(train, "training_data", lambda *_: None)
    settings = train.read_settings(["--scenes", "37", "--device", "cpu"])
    monkeypatch.setattr(train, "trainer_of", lambda mode: Nobody)
    train.make_trainer(settings)
    assert asked == [37]
