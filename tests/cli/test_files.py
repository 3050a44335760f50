"""Files and folders that appear complete or not at all."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from utils.files import (
    complete_or_absent,
    file_digest,
    folder_complete_or_absent,
    remove_leftovers,
)


def test_file_appears_complete(tmp_path):
    path = tmp_path / "clip.mp4"
    with complete_or_absent(path) as temporary:
        assert temporary.suffix == ".mp4" and temporary.name.startswith(".")
        temporary.write_bytes(b"all of it")
        assert not path.exists()
    assert path.read_bytes() == b"all of it"
    assert os.listdir(tmp_path) == ["clip.mp4"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_failure_leaves_the_older_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"older")
    with pytest.raises(error), complete_or_absent(path) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert path.read_bytes() == b"older"
    assert os.listdir(tmp_path) == ["clip.mp4"]


def test_file_has_the_permissions_of_any_new_file(tmp_path):
    with complete_or_absent(tmp_path / "a") as temporary:
        temporary.write_bytes(b"")
    (tmp_path / "b").write_bytes(b"")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_folder_replaces_an_older_one_as_a_whole(tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "00099.png").write_bytes(b"of a longer film")
    with folder_complete_or_absent(frames) as folder:
        (folder / "00000.png").write_bytes(b"new")
    assert os.listdir(frames) == ["00000.png"]
    assert os.listdir(tmp_path) == ["frames"]


def test_failure_leaves_the_older_folder(tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "00000.png").write_bytes(b"older")
    with pytest.raises(KeyboardInterrupt), folder_complete_or_absent(frames) as folder:
        (folder / "00000.png").write_bytes(b"half")
        raise KeyboardInterrupt
    assert (frames / "00000.png").read_bytes() == b"older"
    assert os.listdir(tmp_path) == ["frames"]


def test_no_folder_is_asked_for():
    with folder_complete_or_absent(False) as folder:
        assert folder is None


def test_digest_is_that_of_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a").startswith("ba7816bf8f01cfea")


def test_leftovers_of_a_killed_run_go_and_those_of_a_living_one_stay(tmp_path):
    pytest.importorskip("fcntl", reason="this system has no locks")
    program = (
        "from utils.files import *\n"
        f"with complete_or_absent({str(tmp_path / 'a.mp4')!r}) as a, "
        f"folder_complete_or_absent({str(tmp_path / 'frames')!r}) as b:\n"
        "    (b / 'x.png').write_bytes(b'x'); print(flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    process.stdout.readline()
    (tmp_path / "film.mp4").write_bytes(b"a result")
    assert len(os.listdir(tmp_path)) == 3
    remove_leftovers(tmp_path)
    assert len(os.listdir(tmp_path)) == 3, "what another run is writing was removed"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(os.listdir(tmp_path)) == 3
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["film.mp4"]


def test_writing_and_clearing_at_once_never_disturb_each_other(tmp_path):
    """Several runs may share a folder: one's clearing must not meet another's first moment."""
    done = threading.Event()

    def clear():
        while not done.is_set():
            remove_leftovers(tmp_path)

    thread = threading.Thread(target=clear)
    thread.start()
    try:
        for number in range(300):
            with complete_or_absent(tmp_path / f"{number}.txt") as temporary:
                temporary.write_bytes(b"whole")
    finally:
        done.set()
        thread.join()
    assert len(os.listdir(tmp_path)) == 300
