# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "torch==2.13.0",
#     "numpy>=2.0,<3",
#     "numba>=0.61",
#     "opencv-python-headless>=4.10",
#     "pillow>=11.3",
#     "pillow-heif>=0.21",
#     "tifffile>=2025.1",
#     "imagecodecs>=2025.3",
#     "av>=16",
#     "safetensors>=0.5",
#     "dill>=0.3.8",
#     "tqdm>=4.66",
#     "lazy-loader>=0.4",
#     "pygltflib>=1.16",
#     "huggingface-hub>=0.34",
#     "kornia>=0.8",
#     "h5py>=3.11",
#     "accelerate>=1.2",
#     "tensorboard>=2.17",
#     "matplotlib>=3.8",
# ]
# ///
"""Train the networks of the 3D Ken Burns effect, on our own scenes or on any RGB-D data.

    python train.py                                          disparity from one photo
    python train.py --training-mode refinement               sharper, at full resolution
    python train.py --training-mode inpainting               colour and disparity behind things
    python train.py --training-mode inpainting_ref --model-path models/trained/inpaint-3dkbe.tar \\
        --save-name refined

Without data sets of your own the first run makes synthetic scenes under data/synthetic, once;
--scenes 100 makes a small set for a first try, which a later run completes. To train on
yours, add a dict to DATASETS below, or write the same dicts as a list into a JSON file and pass
--dataset-file. Several processes: accelerate launch train.py ..., or torchrun. Everything lands in
models/trained: <type>-<save name>.tar, and beside it the one that validated best, -best.tar, and
.json, .curve.png and .panel.png. It is never replaced unless --resume or --overwrite say so.
"""

from __future__ import annotations

import dataclasses
import errno
import importlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from utils.cli.train_flags import Settings, build_parser, resolve

if TYPE_CHECKING:
    import argparse

    import data_loader
    from utils.training.data_sets import Opened
    from utils.training.trainer import Trainer

# `name` is for display and --dataset only. `path` holds images/ and depth/ with the same stems, or
# shards of synthetic scenes. `param`: baseline in the unit of the depth, focal length in px of the
# stored photos. All optional keys are explained in utils/training/data_set_keys.py.
DATASETS: list[dict[str, Any]] = [
    {
        "name": "synthetic",
        "path": "data/synthetic",
        "param": {"baseline": 0.1, "focal": 192},  # m; every scene says its own focal length
        "generate": 2000,  # scenes to make if the folder is missing
    },
    {
        "name": "indoor",  # DIML: 16-bit PNG, mm
        "path": "data/diml-indoor",
        "param": {"baseline": 74, "focal": 512},
    },
    {
        "name": "outdoor",  # MegaDepth: HDF5, no unit
        "path": "data/megadepth",
        "param": {"baseline": 120, "focal": 512},
    },
    {
        "name": "game",  # GTA: EXR
        "path": "data/gta",
        "param": {"baseline": 12, "focal": 770},
        "depth_folder": "depths",
    },
]

TRAINERS = {  # of each mode: module:Class
    "estimation": "utils.training.estimation:EstimationTrainer",
    "refinement": "utils.training.refinement:RefinementTrainer",
    "inpainting": "utils.training.inpainting:InpaintingTrainer",
    "inpainting_ref": "utils.training.adversarial:AdversarialTrainer",
}


def make_parser() -> argparse.ArgumentParser:
    """The command line; its flags are declared in utils/cli/train_flags.py."""
    return build_parser(__doc__)


def read_settings(arguments: Sequence[str] | None) -> Settings:
    """Resolve a command line to Settings; ValueError for combinations that cannot work."""
    settings = resolve(vars(make_parser().parse_args(arguments)))
    return trainer_of(settings.training_mode).settle(settings)


def known_data_sets(dataset_file: str | None) -> dict[str, dict[str, Any]]:
    """{name: dict} of DATASETS and the list in a JSON file; the file wins over DATASETS."""
    known = {data_set["name"]: data_set for data_set in DATASETS}
    if dataset_file:
        try:
            with open(dataset_file, encoding="utf-8-sig") as file:
                added = json.load(file)
            known |= {data_set["name"]: data_set for data_set in added}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"--dataset-file {dataset_file} is no list of data set dicts: {error!r}.\n"
                '  Write [{"name": ..., "path": ..., "param": {"baseline": ..., "focal": ...}}].'
            ) from error
    return known


def choose_data_sets(
    wanted: Sequence[str],
    known: dict[str, dict[str, Any]],
    flag: str = "--dataset",
    masks: bool = False,
) -> list[Opened]:
    """Open the data sets called `wanted`, making synthetic scenes or masks that are still missing.

    Args:
        wanted: names.
        known: {name: dict}.
        flag: which option named them.
        masks: whether instance maps are needed.
    """
    from utils.training import data_sets

    opened = []
    for name in wanted:
        if name not in known:
            raise ValueError(f"{flag} {name}: no such data set.\n  Known: {', '.join(known)}.")
        generate_missing(known[name])
        opened.append(data_sets.open_data_set(known[name], masks))
    return opened


def generate_missing(data_set: dict[str, Any]) -> None:
    """Make the scenes that a data set with the key `generate` lacks, once per machine."""
    if data_set.get("generate"):
        from utils.synthetic import ensure_dataset
        from utils.training.trainer import first_of_each_machine_first

        with first_of_each_machine_first():
            ensure_dataset(data_set["path"], data_set["generate"])


def make_trainer(settings: Settings) -> Trainer:
    """Open the data and build the trainer of the mode."""
    from utils.training.trainer import settle_device

    kind = trainer_of(settings.training_mode)
    settle_device(settings.device, kind.renders)  # before scenes are made, once per machine
    known = known_data_sets(settings.dataset_file)
    if settings.scenes:
        for name, data_set in known.items():
            if "generate" in data_set:
                known[name] = data_set | {"generate": settings.scenes}
    with_masks = settings.mask_loss == "same"
    data = training_data(
        settings,
        choose_data_sets(settings.dataset, known, masks=with_masks),
        choose_data_sets(settings.val_dataset, known, "--val-dataset"),
        kind.second_view,
    )
    trainer: Any = kind(settings, data)
    if settings.mask_loss == "other" and (wanted := settings.mask_loss_dataset):
        known.setdefault(wanted, photos_with_masks(wanted))
        opened = choose_data_sets([wanted], known, "--mask-loss-dataset", masks=True)
        trainer.mask_data = training_data(settings, opened)
    return trainer


def trainer_of(mode: str) -> type[Trainer]:
    """The trainer class of a mode."""
    module, name = TRAINERS[mode].split(":")
    return getattr(importlib.import_module(module), name)


def training_data(
    settings: Settings,
    sets: list[Opened],
    held_out: list[Opened] | None = None,
    second_view: bool = False,
) -> data_loader.TrainingData:
    """The stream of batches over opened data sets."""
    import data_loader

    assert settings.crop is not None  # the command line completed it
    drawing = data_loader.Drawing(
        settings.crop,
        settings.other_crops,
        settings.crop_scale,
        second_view,
        settings.colours,
        settings.spoil,
        settings.seed,
    )
    return data_loader.TrainingData(
        sets,
        drawing,
        held_out,
        batch_size=settings.batch_size,
        workers=settings.workers,
        cache_mib=settings.cache_mib,
        val_share=settings.val_share,
        val_images=settings.val_images,
    )


def photos_with_masks(folder: str) -> dict[str, Any]:
    """A data set dict for a folder of images/ and perhaps masks/, without any depth."""
    return {
        "name": folder,
        "path": folder,
        "param": {"baseline": 1, "focal": 1},
        "disparity": "none",
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    try:
        settings = read_settings(arguments)
        if not settings.dry_run:
            trainer_of(settings.training_mode).check_unfinished(settings)
    except ValueError as error:
        print(f"train.py: error: {error}", file=sys.stderr)
        return 2
    if settings.dry_run:
        print(json.dumps(dataclasses.asdict(settings), indent=2))
        return 0
    # Threads that wait must not spin: the loader's workers want the cores. Set before torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return run(settings)
    except KeyboardInterrupt:  # before the first step, when there is nothing to save, or a second
        print("train.py: stopped by Ctrl-C; what was saved last is kept", file=sys.stderr)
        return 130


def run(settings: Settings) -> int:
    """Train; returns the exit status."""
    from accelerate import PartialState

    from utils.training.trainer import Stopped

    try:
        figures = make_trainer(settings).fit()
    except (ValueError, FloatingPointError) as error:
        print(f"train.py: error: {error}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        print(f"train.py: stopped by {stopped}; go on with --resume", file=sys.stderr)
        return 128 + stopped.signal
    except Exception as error:
        print(f"train.py: error: {describe(error, settings)}", file=sys.stderr)
        return 1
    finally:
        PartialState().destroy_process_group()
    if figures:
        print(json.dumps(figures))
    return 0


def describe(error: Exception, settings: Settings) -> str:
    """One line for an error that nobody foresaw, where it arose, and what to do about it."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    lines = str(error).strip().splitlines() or ["no more is known"]
    text = f"{type(error).__name__}: {lines[0]}"
    if _lacks_shared_memory(error, where.filename):
        return (
            "the memory that loader workers share with this process is full (/dev/shm).\n"
            "  Add --workers 0 to do without, or a smaller --batch-size, or give it more, as in "
            f"docker run --shm-size=2g{_saved(settings)}"
        )
    if "DataLoader worker" in text or "Caught" in text:  # its last line says what happened there
        text = f"in a loader's worker: {lines[-1]}"
    place = f"{os.path.basename(where.filename)}, line {where.lineno}"
    return f"{text} ({place}){_saved(settings)}"


def _lacks_shared_memory(error, place):
    """Whether an error says so: torch's, a worker's death, or that of the system's semaphores."""
    text = str(error)
    if isinstance(error, OSError):
        return error.errno == errno.ENOSPC and "multiprocessing" in place
    return "shared memory(shm)" in text or "Bus error" in text or "</torch_" in text


def _saved(settings):
    """What to say of the checkpoint that is there, if there is one."""
    kind = trainer_of(settings.training_mode).kind
    saved = os.path.exists(os.path.join(settings.models_dir, f"{kind}-{settings.save_name}.tar"))
    return "; the last checkpoint is kept, go on with --resume" if saved else ""


if __name__ == "__main__":
    sys.exit(main())
