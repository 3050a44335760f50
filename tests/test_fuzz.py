"""A small slice of tests/fuzz.py, and that it would notice."""

import pytest
from waiting import unix

from tests import fuzz

pytestmark = unix  # readers work under an alarm and a limit of memory


@pytest.mark.parametrize("reader", fuzz.READERS)
def test_damaged_files_are_read_or_refused_in_words(reader, tmp_path):
    outcomes, failures, _ = fuzz.fuzz(reader, seed=1, first=0, count=60, kept=tmp_path)
    assert not failures
    assert sum(outcomes.values()) == 60 and outcomes["refused"] > 5


def test_inputs_depend_on_seed_and_number_only():
    files = {"a": bytes(range(200)), "b": b"b" * 100}
    made = [fuzz.make_input(files, seed, number) for seed in (0, 1) for number in range(30)]
    assert made == [fuzz.make_input(files, seed, number) for seed in (0, 1) for number in range(30)]
    assert len({content for _, content in made}) > 50


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "read"),
        (ValueError("{path}: bad"), "refused"),
        (OSError("{path}"), "refused"),
        (ValueError("bad"), "unnamed: "),
        (KeyError("x"), "raised KeyError"),
        (MemoryError(), "raised MemoryError"),
    ],
)
def test_outcomes_are_told_apart(tmp_path, error, outcome):
    def read(path):
        if error:
            raise type(error)(*(str(part).format(path=path) for part in error.args))

    assert fuzz.judge(read, tmp_path / "x").startswith(outcome)


@pytest.mark.parametrize(
    ("program", "outcome"),
    [("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"), ("time.sleep(9)", "SIGALRM")],
)
def test_a_crash_and_a_hang_are_caught_and_the_rest_goes_on(
    tmp_path, monkeypatch, program, outcome
):
    """A worker that ends itself at the second of four inputs."""
    worker = (
        "import json, os, signal, sys, time\n"
        "first, count = int(sys.argv[5]), int(sys.argv[6])\n"
        "for number in range(first, first + count):\n"
        "    signal.alarm(1)\n"
        f"    if number == 1: {program}\n"
        "    print(json.dumps([number, 'a.png', 'read', 0.1]), flush=True)\n"
    )
    run = fuzz.subprocess.run
    monkeypatch.setattr(
        fuzz.subprocess,
        "run",
        lambda command, **options: run([command[0], "-c", worker, *command[2:]], **options),
    )
    outcomes, failures, _ = fuzz.fuzz("image", 0, 0, 4, tmp_path)
    assert outcomes == {"read": 3, outcome: 1}
    assert [number for number, *_ in failures] == [1] and len(list(tmp_path.iterdir())) == 1
