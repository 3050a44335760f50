"""Train the networks of the 3D Ken Burns effect, on our own scenes or on any RGB-D data.

    python train.py                                          disparity from one photo
    python train.py --training-mode refinement               sharper, at full resolution
    python train.py --training-mode inpainting               colour and disparity behind things
    python train.py --training-mode inpainting_ref --model-path models/trained/inpaint-3dkbe.tar \\
        --save-name refined

Without data sets of your own the first run makes synthetic scenes under data/synthetic. To train on
yours, add a dict to DATASETS below, or write the same dicts as a list into a JSON file and pass
--dataset-file. Several processes: accelerate launch train.py ..., or torchrun. Everything lands in
models/trained: <type>-<save name>.tar, and beside it the one that validated best, -best.tar, and
.json, .curve.png and .panel.png. It is never replaced unless --resume or --overwrite say so.
"""

import argparse
import dataclasses
import importlib
import json
import logging
import os
import sys
import traceback

from models.registry import sizes

# `name` is for display and --dataset only. `path` holds images/ and depth/ with the same stems, or
# shards of synthetic scenes. `param`: baseline in the unit of the depth, focal length in px of the
# stored photos. All optional keys are explained in utils/training/data_sets.py.
DATASETS = [
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
MODES = tuple(TRAINERS)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that a run depends on, as the parser resolved it; saved beside the checkpoint."""

    training_mode: str
    network: str | None  # None: as its checkpoint says
    mask_loss: str
    mask_loss_dataset: str | None
    depth_loss: str | None
    weights: dict  # of every loss of the mode
    freeze_encoder: int
    trim: float
    partial_conv: bool
    dataset: tuple
    val_dataset: tuple
    dataset_file: str | None
    val_share: float
    val_images: int
    crop: tuple
    other_crops: tuple
    crop_scale: float
    colours: bool
    workers: int
    cache_mib: int
    n_epochs: int
    steps: int | None
    batch_size: int
    lr_estimation: float | None
    lr_encoder: float | None
    weight_decay: float
    lr_refinement: float | None
    lr_inpaint: float | None
    lr_discriminator: float
    balance_steps: int
    pretrain_steps: int
    stop_steps: int
    gamma_lr: float
    schedule: str
    warmup: int
    ema: float
    seed: int
    device: str
    amp: str
    threads: int | None
    save_name: str
    models_dir: str
    runs_dir: str
    model_path: str | None
    resume: bool
    overwrite: bool
    save_every: int
    log_every: int


def make_parser():
    """The command line; the only place where defaults are written."""
    parser = argparse.ArgumentParser(
        prog="train.py",
        usage="train.py [--training-mode MODE] [options]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_network_options(parser)
    add_data_options(parser)
    add_optimisation_options(parser)
    add_running_options(parser)
    return parser


def add_network_options(parser):
    """What is trained, and by which losses."""
    group = parser.add_argument_group("what to train")
    group.add_argument("--training-mode", choices=MODES, default="estimation",
                       help="network to train (default: %(default)s)")
    group.add_argument("--network", choices=sizes(),
                       help="compact is small enough for any machine, paper as published (default: "
                       "compact; for inpainting_ref as --model-path)")
    group.add_argument("--model-path", metavar="FILE",
                       help="weights to start from, needed for inpainting_ref; for refinement: the "
                       "estimation network whose guesses are refined (else degraded truth is)")
    group.add_argument("--partial-conv", action="store_true",
                       help="inpaint with partial convolutions")
    group.add_argument("--mask-loss", choices=("none", "same", "other"), default="none",
                       help="estimation: smooth disparity inside objects, of the same photos or of "
                       "--mask-loss-dataset (default: %(default)s)")
    group.add_argument("--mask-loss-dataset", metavar="NAME",
                       help="data set, or folder of photos, for --mask-loss other")
    group.add_argument("--depth-loss", choices=("ssi", "reference"),
                       help="estimation, where the scale is known: invariant to scale and shift as "
                       "elsewhere, or the reference's ordinal and gradient loss (default: ssi for "
                       "compact, reference for paper)")
    group.add_argument("--weight", type=loss_weight, action="append", default=[],
                       metavar="NAME=VALUE",
                       help="weight of a loss, again for each; --dry-run shows their names and "
                       "weights. For example log=1 in estimation: the mean error of log disparity "
                       "where the scale is known, which leaves the shift no freedom")
    group.add_argument("--freeze-encoder", type=int, default=0, metavar="N",
                       help="estimation: leave the first N of the compact encoder's 19 layers as "
                       "they are (default: %(default)s)")
    group.add_argument("--trim", type=float, default=0.2, metavar="SHARE",
                       help="share of relative disparities taken for outliers (default: "
                       "%(default)s)")


def add_data_options(parser):
    """Where samples come from and how they are cut."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", type=names, default=("synthetic",), metavar="NAME[,NAME]",
                       help="data sets to train on (default: synthetic)")
    group.add_argument("--val-dataset", type=names, default=(), metavar="NAME[,NAME]",
                       help="validate on these instead of a share of the others")
    group.add_argument("--dataset-file", metavar="JSON",
                       help="list of data set dicts to choose from, besides DATASETS in train.py")
    group.add_argument("--val-share", type=float, default=0.01, metavar="SHARE",
                       help="share of each data set kept for validation (default: %(default)s)")
    group.add_argument("--val-images", type=int, default=64, metavar="N",
                       help="validate on at most N photos (default: %(default)s)")
    group.add_argument("--crop", type=crop_size, metavar="WxH",
                       help="size that the network sees, px; smaller photos are enlarged "
                       "(default: 256x192, for inpainting_ref 384x288)")
    group.add_argument("--other-crops", type=crop_sizes, default=(), metavar="WxH[,WxH]",
                       help="further sizes; each batch draws one of all (default: none)")
    group.add_argument("--crop-scale", type=float, default=0.5, metavar="SHARE",
                       help="smallest random window, as a share of the photo (default: "
                       "%(default)s)")
    group.add_argument("--no-colours", dest="colours", action="store_false",
                       help="leave the colours of photos as they are")
    group.add_argument("--workers", type=int, default=1, metavar="N",
                       help="processes that read ahead (default: %(default)s)")
    group.add_argument("--cache-mib", type=int, default=4096, metavar="MIB",
                       help="memory for decoded photos (default: %(default)s)")


def add_optimisation_options(parser):
    """How long and how fast."""
    group = parser.add_argument_group("optimisation")
    group.add_argument("--n-epochs", type=int, default=100, metavar="N",
                       help="passes over the data (default: %(default)s)")
    group.add_argument("--steps", type=int, metavar="N", help="stop after N steps instead")
    group.add_argument("--batch-size", type=int, default=8, metavar="N",
                       help="photos per step and process (default: %(default)s)")
    for name, published, compact in (("estimation", 1e-4, 6e-4), ("refinement", 1e-5, 1e-3),
                                     ("inpaint", 1e-4, 1e-3)):
        group.add_argument(f"--lr-{name}", type=float, metavar="LR",
                           help=f"learning rate (default: {published:g} for paper, {compact:g} for "
                           "compact)")
    group.add_argument("--lr-discriminator", type=float, default=5e-5, metavar="LR",
                       help="learning rate (default: %(default)s)")
    group.add_argument("--lr-encoder", type=float, metavar="LR",
                       help="estimation: learning rate of the compact encoder (default: as "
                       "--lr-estimation)")
    group.add_argument("--weight-decay", type=float, default=0.0, metavar="W",
                       help="decoupled, as AdamW (default: %(default)s, plain Adam)")
    for name, default, text in (
        ("balance", 5, "inpainting_ref: steps of the discriminator per step of the generator"),
        ("pretrain", 1000, "inpainting_ref: steps of the discriminator alone, to begin with"),
        ("stop", 10000, "inpainting_ref: after how many steps it is alone again"),
    ):
        group.add_argument(f"--{name}-steps", type=int, default=default, metavar="N",
                           help=f"{text} (default: %(default)s)")
    group.add_argument("--gamma-lr", type=float, default=0.99999, metavar="G",
                       help="factor on the learning rate after each step (default: %(default)s)")
    group.add_argument("--schedule", choices=("gamma", "cosine"), default="gamma",
                       help="cosine falls to 1 %% at the last step (default: %(default)s)")
    group.add_argument("--warmup", type=int, default=0, metavar="N",
                       help="steps until the full learning rate (default: %(default)s)")
    group.add_argument("--ema", type=float, default=0.999, metavar="DECAY",
                       help="keep a moving average of the weights and save that; 0 = no "
                       "(default: %(default)s)")
    group.add_argument("--seed", type=int, default=111, metavar="N",
                       help="of everything random (default: %(default)s)")


def add_running_options(parser):
    """Machine, files, messages."""
    group = parser.add_argument_group("running")
    group.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto",
                       help="where to compute (default: %(default)s)")
    group.add_argument("--amp", choices=("no", "bf16", "fp16"), default="no",
                       help="mixed precision; bf16 takes about 60 %% of the time, also on CPUs "
                       "that have it (default: %(default)s)")
    group.add_argument("--threads", type=int, metavar="N",
                       help="threads of the training process (default: all cores)")
    group.add_argument("--save-name", default="3dkbe", metavar="NAME",
                       help="checkpoints are called <type>-NAME.tar (default: %(default)s)")
    group.add_argument("--models-dir", default="models/trained", metavar="DIR",
                       help="where they go (default: %(default)s)")
    group.add_argument("--runs-dir", default="runs", metavar="DIR",
                       help="where TensorBoard logs go (default: %(default)s)")
    group.add_argument("--resume", action="store_true",
                       help="continue from the checkpoint of this save name")
    group.add_argument("--overwrite", action="store_true",
                       help="begin anew although this save name has a checkpoint, and replace it")
    group.add_argument("--save-every", type=int, default=500, metavar="N",
                       help="steps between checkpoints, each with a validation (default: "
                       "%(default)s)")
    group.add_argument("--log-every", type=int, default=50, metavar="N",
                       help="steps between log entries (default: %(default)s)")
    group.add_argument("--dry-run", action="store_true",
                       help="print the resolved settings and stop")


def names(text):
    """Parse NAME[,NAME]."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def crop_size(text):
    """Parse WxH into (height, width)."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, as in 256x192") from None
    if min(width, height) < 32:
        raise argparse.ArgumentTypeError(f"{text!r}: both sides must be at least 32 px")
    return height, width


def crop_sizes(text):
    """Parse WxH[,WxH] into a tuple of (height, width)."""
    return tuple(crop_size(part) for part in text.split(","))


def loss_weight(text):
    """Parse NAME=VALUE into a pair."""
    name, equals, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, as in log=1") from None


def read_settings(arguments):
    """Resolve a command line to Settings; ValueError for combinations that cannot work."""
    options = vars(make_parser().parse_args(arguments))
    dry_run, given = options.pop("dry_run"), dict(options.pop("weight"))
    adversarial = options["training_mode"] == "inpainting_ref"
    options["crop"] = options["crop"] or ((288, 384) if adversarial else (192, 256))
    if not adversarial:  # there the checkpoint decides
        options["network"] = options["network"] or "compact"
    settings = Settings(**options, weights=given)
    check_settings(settings)
    return trainer_of(settings.training_mode).settle(settings), dry_run


def check_settings(settings):
    """Raise ValueError for what cannot work, with what to type instead."""
    if settings.training_mode == "inpainting_ref" and not (settings.model_path or settings.resume):
        raise ValueError(
            "--training-mode inpainting_ref starts from an inpainting network.\n"
            "  Add --model-path models/trained/inpaint-3dkbe.tar (made by --training-mode "
            "inpainting) and a --save-name of its own."
        )
    if settings.training_mode == "inpainting_ref" and min(settings.crop) < 280:
        raise ValueError("the discriminator of inpainting_ref needs 280 px on the short side.\n"
                         "  Add --crop 384x288 or larger.")
    if settings.other_crops and settings.training_mode == "inpainting_ref":
        raise ValueError("--other-crops is not for inpainting_ref, whose discriminator wants one "
                         "size.\n  Leave it out.")
    if settings.resume and settings.overwrite:
        raise ValueError("--resume goes on with a checkpoint, --overwrite begins anew.\n"
                         "  Leave one of them out.")
    if settings.mask_loss != "none" and settings.training_mode != "estimation":
        raise ValueError("--mask-loss is for --training-mode estimation.\n  Leave it out.")
    if settings.mask_loss == "other" and not settings.mask_loss_dataset:
        raise ValueError("--mask-loss other needs photos.\n  Add --mask-loss-dataset NAME.")
    for name in ("batch_size", "n_epochs", "steps", "save_every", "log_every", "val_images"):
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, found {value}.")


def known_data_sets(dataset_file):
    """{name: dict} of DATASETS and the list in a JSON file; the file wins over DATASETS."""
    known = {data_set["name"]: data_set for data_set in DATASETS}
    if dataset_file:
        try:
            with open(dataset_file) as file:
                added = json.load(file)
            known |= {data_set["name"]: data_set for data_set in added}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"--dataset-file {dataset_file} is no list of data set dicts: {error!r}.\n"
                '  Write [{"name": ..., "path": ..., "param": {"baseline": ..., "focal": ...}}].'
            ) from error
    return known


def choose_data_sets(wanted, known, flag="--dataset", masks=False):
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


def generate_missing(data_set):
    """Make the scenes that a data set with the key `generate` lacks, once per machine."""
    if data_set.get("generate"):
        from accelerate import PartialState

        from utils.synthetic import ensure_dataset

        with PartialState().local_main_process_first():
            ensure_dataset(data_set["path"], data_set["generate"])


def make_trainer(settings):
    """Open the data and build the trainer of the mode."""
    from accelerate import PartialState

    from utils.training.trainer import on_cpu

    PartialState(cpu=on_cpu(settings.device))  # decides the device for the whole process
    kind = trainer_of(settings.training_mode)
    known = known_data_sets(settings.dataset_file)
    with_masks = settings.mask_loss == "same"
    data = training_data(
        settings, choose_data_sets(settings.dataset, known, masks=with_masks),
        choose_data_sets(settings.val_dataset, known, "--val-dataset"), kind.second_view,
    )
    trainer = kind(settings, data)
    if settings.mask_loss == "other":
        wanted = settings.mask_loss_dataset
        known.setdefault(wanted, photos_with_masks(wanted))
        opened = choose_data_sets([wanted], known, "--mask-loss-dataset", masks=True)
        trainer.mask_data = training_data(settings, opened)
    return trainer


def trainer_of(mode):
    """The trainer class of a mode."""
    module, name = TRAINERS[mode].split(":")
    return getattr(importlib.import_module(module), name)


def training_data(settings, sets, held_out=None, second_view=False):
    """The stream of batches over opened data sets."""
    import data_loader

    names = ("crop", "other_crops", "batch_size", "crop_scale", "colours", "workers", "cache_mib",
             "val_share", "val_images", "seed")
    options = {name: getattr(settings, name) for name in names}
    return data_loader.TrainingData(sets, held_out, second_view=second_view, **options)


def photos_with_masks(folder):
    """A data set dict for a folder of images/ and perhaps masks/, without any depth."""
    return {
        "name": folder, "path": folder, "param": {"baseline": 1, "focal": 1}, "disparity": "none",
    }


def main(arguments=None):
    """Run the command line; returns the exit status."""
    try:
        settings, dry_run = read_settings(arguments)
        if not dry_run:
            trainer_of(settings.training_mode).check_unfinished(settings)
    except ValueError as error:
        print(f"train.py: error: {error}", file=sys.stderr)
        return 2
    if dry_run:
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


def run(settings):
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


def describe(error, settings):
    """One line for an error that nobody foresaw, where it arose, and what to do about it."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    lines = str(error).strip().splitlines() or ["no more is known"]
    text = f"{type(error).__name__}: {lines[0]}"
    if "DataLoader worker" in text or "Caught" in text:  # its last line says what happened there
        text = f"in a loader's worker: {lines[-1]}"
    place = f"{os.path.basename(where.filename)}, line {where.lineno}"
    kind = trainer_of(settings.training_mode).kind
    saved = os.path.exists(os.path.join(settings.models_dir, f"{kind}-{settings.save_name}.tar"))
    advice = "; the last checkpoint is kept, go on with --resume" if saved else ""
    return f"{text} ({place}){advice}"


if __name__ == "__main__":
    sys.exit(main())
