"""The life of a command: what it loads before it begins."""

import subprocess
import sys


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
