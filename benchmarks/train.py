"""How fast is training? Images a second of every mode, and the share of time spent on waiting.

    python -m benchmarks.train
    python -m benchmarks.train --modes inpainting --network paper --batch-size 4 --json speed.json

Flags that are not listed here go to train.py. Each mode runs in a process of its own, on new
networks: a few steps to warm up (kernels compile, photos are decoded for the first time), then
`--steps` that count. Nothing is saved. `inpainting_ref` times its two kinds of steps at the ratio
in which they come: one of the generator to four of the discriminator alone.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time

from tqdm import tqdm

from benchmarks.folders import run_telling
from train import TRAINERS, make_trainer, read_settings
from utils.files import complete_or_absent


def parse(arguments=None):
    """Command line; what is unknown here is meant for train.py."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--modes", nargs="*", choices=TRAINERS, default=TRAINERS, help="which (all)"
    )
    parser.add_argument("--steps", type=int, default=20, help="steps that count (20)")
    parser.add_argument("--warmup-steps", type=int, default=5, help="steps before those (5)")
    parser.add_argument("--json", help="write the figures here")
    return parser.parse_known_args(arguments)


def measure(mode, flags, warmup, steps):
    """Time the steps of one mode.

    Returns:
        dict: images_per_second, waiting (share of the time without a batch), seconds per step.
    """
    with tempfile.TemporaryDirectory() as folder:
        arguments = [*flags, "--training-mode", mode, "--models-dir", folder]
        if mode == "inpainting_ref":
            arguments += ["--model-path", start_network(flags, folder), "--pretrain-steps", "0"]
        settings = read_settings([*arguments, "--steps", str(warmup + steps + 8)])
        return time_steps(make_trainer(settings), warmup, steps)


def start_network(flags, folder):
    """Save an untrained inpainting network for the adversarial mode to start from."""
    arguments = [*flags, "--training-mode", "inpainting", "--models-dir", folder]
    trainer = make_trainer(read_settings(arguments))
    trainer.save()
    return str(trainer.path("inpaint"))


def time_steps(trainer, warmup, steps):
    """Run the loop without its records."""
    batches = trainer.data.training(0, warmup + steps)
    waited, began = 0.0, time.perf_counter()
    steps_to_do = tqdm(range(warmup + steps), trainer.tag, leave=False, disable=None)
    for trainer.step_number in steps_to_do:
        if trainer.step_number == warmup:
            waited, began = 0.0, time.perf_counter()
        before = time.perf_counter()
        raw = next(batches)
        waited += time.perf_counter() - before
        trainer.step(trainer.data.prepare(raw, trainer.device))
    if trainer.device.type == "cuda":
        import torch

        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    images = steps * trainer.settings.batch_size
    return {
        "images_per_second": images / seconds,
        "waiting": waited / seconds,
        "seconds_per_step": seconds / steps,
        "crop": list(trainer.settings.crop),
        "batch_size": trainer.settings.batch_size,
    }


def main():
    """Measure, print a table, write JSON."""
    options, flags = parse()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as train.py; inherited by the processes
    results = {}
    print(f"{'mode':<16}{'crop':>10}{'batch':>7}{'images/s':>10}{'waiting':>9}{'s/step':>9}")
    for mode in options.modes:
        # A process of its own: threads, caches and Accelerate's state start from nothing.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            arguments = (mode, flags, options.warmup_steps, options.steps)
            found = results[mode] = pool.apply(run, arguments)
        height, width = found["crop"]
        print(
            f"{mode:<16}{f'{width}x{height}':>10}{found['batch_size']:>7}"
            f"{found['images_per_second']:>10.2f}{found['waiting']:>9.1%}"
            f"{found['seconds_per_step']:>9.3f}",
            flush=True,
        )
    if options.json:
        with complete_or_absent(options.json) as temporary:
            temporary.write_text(json.dumps(results, indent=1), encoding="utf-8")


def run(*arguments):
    """`measure` in a process that may have children of its own (the loader's workers)."""
    multiprocessing.current_process().daemon = False
    return measure(*arguments)


if __name__ == "__main__":
    run_telling(main)
