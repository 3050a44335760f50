"""kbe.py as a program: help, version, streams, what it says meanwhile, and what it loads first."""

import os
import re
import signal
import subprocess
import sys

import pytest
from kbe_runs import ROOT, SHORT, run, spawn
from waiting import PATIENCE

from utils.cli.flags import Settings, build_parser
from utils.cli.process import run_command
from utils.cli.reporting import log


def test_version(capsys):
    assert run("--version") == 0
    assert re.fullmatch(r"kbe\.py \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize("closed", ["2>&-", "<&-", "2>&- <&-"])
def test_films_are_made_without_standard_streams(photo, depth, tmp_path, closed):
    """As daemons and some job schedulers start programs."""
    words = [
        sys.executable,
        ROOT / "kbe.py",
        "--in",
        photo,
        "--out",
        tmp_path / "o",
        *depth,
        *SHORT,
    ]
    command = " ".join(f"'{word}'" for word in words)
    assert (
        subprocess.run(
            ["sh", "-c", f"{command} {closed}"], stdout=subprocess.DEVNULL, timeout=PATIENCE
        ).returncode
        == 0
    )
    assert (tmp_path / "o" / "3d_kbe.mp4").is_file()


def test_names_that_the_outputs_encoding_lacks_are_escaped(photo, tmp_path):
    strange = tmp_path / "caf\u00e9 \u732b.png"
    strange.write_bytes(photo.read_bytes())
    process = spawn(
        "--in",
        strange,
        photo,
        "--out",
        tmp_path / "o",
        "--2d",
        *SHORT,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert "caf\\xe9 \\u732b" in out and len(out.splitlines()) == 2


def test_help_matches_golden(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    golden = (ROOT / "tests" / "cli" / "kbe_help.txt").read_text()
    assert build_parser().format_help() == golden, (
        "to accept: COLUMNS=100 python kbe.py --help > tests/cli/kbe_help.txt"
    )


def test_help_is_instant():
    process = spawn("--help")
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and "exit status" in out
    modules = subprocess.run(
        [sys.executable, "-X", "importtime", str(ROOT / "kbe.py"), "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert not re.search(r"\| +(torch|numpy|cv2|av|numba)$", modules, re.MULTILINE)
    assert len(modules.splitlines()) < 250, "each costs a fraction of a millisecond"


def test_verbose_shows_the_traceback(tmp_path, capsys):
    assert run("--in", tmp_path / "no.jpg", "--out", tmp_path / "o", "--2d", "--verbose") == 1
    assert "Traceback" in capsys.readouterr().err


def test_quiet_says_nothing(photo, depth, tmp_path, capsys):
    assert run("--in", photo, "--out", tmp_path / "o", *depth, *SHORT, "--quiet") == 0
    assert capsys.readouterr().err == ""


def test_stages_are_said_before_the_first_frame(photo, tmp_path, capsys, monkeypatch):
    from utils.cli import reporting

    untold = {"read": "estimating depth ...", "planning": "inpainting what the camera uncovers ..."}

    def said(*flags):
        monkeypatch.setattr(reporting, "_untold", dict(untold))
        assert run("--in", photo, "--out", tmp_path / "o", "--duration", "0.2", *flags) == 0
        out, err = capsys.readouterr()
        assert out.count("\n") == 1 and "frames of" in out, "results only"
        return err

    err = said()
    assert err.index("estimating depth") < err.index("inpainting what the camera uncovers")
    assert "estimating" not in said("--2d") and not said("--quiet")


def test_compiling_is_said_once_and_only_where_nothing_is_compiled(tmp_path):
    code = (
        "import logging; logging.basicConfig(level=logging.INFO, format='%(message)s');"
        "import numpy as np; from kernels.cpu import clear_padding, degrid;"
        "clear_padding(np.ones((4, 4), np.float32), 0.0);"
        "degrid(np.ones((4, 4), np.float32), np.ones((4, 4), np.float32))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stderr
        for _ in range(2)
    ]
    assert said == ["compiling the renderer, once: about a minute\n", ""]


def test_a_command_begins_with_everything_loaded_and_no_search_for_garbage():
    script = """if True:
        import gc, sys
        searches = []
        def count(phase, info):
            searches.append(info["generation"])
        gc.callbacks.append(count)
        from utils.cli.flags import Settings
        from utils.cli.process import run_command
        def command(settings):
            print(searches.count(2), gc.isenabled(), gc.get_freeze_count() > 100_000,
                  "torch" in sys.modules, "kernels.cpu_frame" in sys.modules)
            return 0
        sys.exit(run_command(command, Settings(inputs=["photo.jpg"])))"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout.split() == ["0", "True", "True", "True", "True"], run.stderr


def test_a_program_that_has_loaded_torch_keeps_its_garbage_collected():
    script = """if True:
        import gc, sys, torch
        from utils.cli.flags import Settings
        from utils.cli.process import run_command
        run_command(lambda settings: print(gc.get_freeze_count()) or 0, Settings(inputs=["a.jpg"]))
        """
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout.split() == ["0"], run.stderr


def test_the_end_that_is_asked_for_while_a_line_is_logged_is_the_end(monkeypatch):
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    def command(settings):
        with logging_redirect_tqdm([log]):
            monkeypatch.setattr(tqdm, "write", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
            log.error("anything")
        return 0

    assert run_command(command, Settings(inputs=["photo.jpg"])) == 143
