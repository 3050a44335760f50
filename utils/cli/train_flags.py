"""The command line of train.py: every flag, declared once, and the Settings that come out."""

import argparse
from dataclasses import dataclass, replace
from typing import Any

from models import TRAINED
from models.registry import sizes
from utils import __version__
from utils.cli.declare import Group, Parser, add_flags, flags_of

MODES = ("estimation", "refinement", "inpainting", "inpainting_ref")

MODEL = Group("what to train")
DATA = Group("data")
OPTIMISATION = Group("optimisation")
RUNNING = Group("running")


def read_names(text: str) -> tuple[str, ...]:
    """Parse NAME[,NAME]."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def read_crop(text: str) -> tuple[int, int]:
    """Parse WxH into (height, width)."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, as in 256x192") from None
    if min(width, height) < 32:
        raise argparse.ArgumentTypeError(f"{text!r}: both sides must be at least 32 px")
    return height, width


def read_crops(text: str) -> tuple[tuple[int, int], ...]:
    """Parse WxH[,WxH] into a tuple of (height, width)."""
    return tuple(read_crop(part) for part in text.split(","))


def read_weight(text: str) -> tuple[str, float]:
    """Parse NAME=VALUE into a pair."""
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, as in log=1") from None


def _rate(published: float, compact: float) -> Any:
    return OPTIMISATION.flag(
        f"learning rate (default: {published:g} for paper, {compact:g} for compact)", metavar="LR"
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that a run depends on, as the parser resolved it; saved beside the checkpoint."""

    training_mode: str = MODEL.flag(
        "network to train (default: %(default)s)", default="estimation", choices=MODES
    )
    network: str | None = MODEL.flag(  # None: as its checkpoint says
        "compact is small enough for any machine, efficient larger (estimation only), paper as "
        "published (default: compact; for inpainting_ref as --model-path)",
        choices=sizes,
    )
    model_path: str | None = MODEL.flag(
        "weights to start from, needed for inpainting_ref; for refinement: the estimation network "
        "whose guesses are refined (else degraded truth is)",
        metavar="FILE",
    )
    partial_conv: bool = MODEL.flag("inpaint with partial convolutions", default=False)
    mask_loss: str = MODEL.flag(
        "estimation: smooth disparity inside objects, of the same photos or of "
        "--mask-loss-dataset (default: %(default)s)",
        default="none",
        choices=("none", "same", "other"),
    )
    mask_loss_dataset: str | None = MODEL.flag(
        "data set, or folder of photos, for --mask-loss other", metavar="NAME"
    )
    depth_loss: str | None = MODEL.flag(
        "estimation, where the scale is known: invariant to scale and shift as elsewhere, or the "
        "reference's ordinal and gradient loss (default: ssi for compact, reference for paper)",
        choices=("ssi", "reference"),
    )
    weights: dict[str, float] = MODEL.flag(  # of every loss of the mode
        "weight of a loss, again for each; --dry-run shows their names and weights. For example "
        "log=1 in estimation: the mean error of log disparity where the scale is known, which "
        "leaves the shift no freedom",
        "--weight",
        action="append",
        type=read_weight,
        metavar="NAME=VALUE",
    )
    freeze_encoder: int = MODEL.flag(
        "estimation: leave the first N of the encoder's layers as they are; compact has 19, "
        "efficient 23 (default: %(default)s)",
        default=0,
        metavar="N",
    )
    freeze_depthwise: bool = MODEL.flag(
        "estimation: leave the encoder's filters of single channels as they are; half the time of "
        "a step in bf16 on a CPU",
        default=False,
    )
    fine_labels: bool = MODEL.flag(
        "estimation: compare at the size of the photo, not of the estimate", default=False
    )
    trim: float = MODEL.flag(
        "share of relative disparities taken for outliers (default: %(default)s)",
        default=0.2,
        metavar="SHARE",
    )

    dataset: tuple[str, ...] = DATA.flag(
        "data sets to train on (default: synthetic)",
        default=("synthetic",),
        type=read_names,
        metavar="NAME[,NAME]",
    )
    val_dataset: tuple[str, ...] = DATA.flag(
        "validate on these instead of a share of the others",
        default=(),
        type=read_names,
        metavar="NAME[,NAME]",
    )
    dataset_file: str | None = DATA.flag(
        "list of data set dicts to choose from, besides DATASETS in train.py", metavar="JSON"
    )
    scenes: int | None = DATA.flag(
        "how many synthetic scenes to make if they are missing (default: 2000)", metavar="N"
    )
    val_share: float = DATA.flag(
        "share of each data set kept for validation (default: %(default)s)",
        default=0.01,
        metavar="SHARE",
    )
    val_images: int = DATA.flag(
        "validate on at most N photos (default: %(default)s)", default=64, metavar="N"
    )
    crop: tuple[int, int] | None = DATA.flag(  # (height, width), as in other_crops
        "size that the network sees, px; smaller photos are enlarged (default: 256x192, for "
        "inpainting_ref 384x288)",
        type=read_crop,
        metavar="WxH",
    )
    other_crops: tuple[tuple[int, int], ...] = DATA.flag(
        "further sizes; each batch draws one of all (default: none)",
        default=(),
        type=read_crops,
        metavar="WxH[,WxH]",
    )
    crop_scale: float = DATA.flag(
        "smallest random window, as a share of the photo (default: %(default)s)",
        default=0.5,
        metavar="SHARE",
    )
    colours: bool = DATA.flag("leave the colours of photos as they are", default=True)
    spoil: bool = DATA.flag(
        "sometimes blur, shrink, compress or add noise to what is seen", default=False
    )
    mix: float = DATA.flag(
        "estimation: share of the steps in which each photo has a window of another pasted in, and "
        "both parts are judged alone (default: %(default)s)",
        default=0.0,
        metavar="SHARE",
    )
    workers: int = DATA.flag(
        "processes that read ahead (default: %(default)s)", default=1, metavar="N"
    )
    cache_mib: int = DATA.flag(
        "memory for decoded photos (default: %(default)s)", default=4096, metavar="MIB"
    )

    n_epochs: int = OPTIMISATION.flag(
        "passes over the data (default: %(default)s)", default=100, metavar="N"
    )
    steps: int | None = OPTIMISATION.flag("stop after N steps instead", metavar="N")
    batch_size: int = OPTIMISATION.flag(
        "photos per step and process (default: %(default)s)", default=8, metavar="N"
    )
    lr_estimation: float | None = _rate(1e-4, 6e-4)
    lr_refinement: float | None = _rate(1e-5, 1e-3)
    lr_inpaint: float | None = _rate(1e-4, 1e-3)
    lr_discriminator: float = OPTIMISATION.flag(
        "learning rate (default: %(default)s)", default=5e-5, metavar="LR"
    )
    lr_encoder: float | None = OPTIMISATION.flag(
        "estimation: learning rate of the encoder, not of paper's (default: as --lr-estimation)",
        metavar="LR",
    )
    weight_decay: float = OPTIMISATION.flag(
        "decoupled, as AdamW (default: %(default)s, plain Adam)", default=0.0, metavar="W"
    )
    balance_steps: int = OPTIMISATION.flag(
        "inpainting_ref: steps of the discriminator per step of the generator (default: "
        "%(default)s)",
        default=5,
        metavar="N",
    )
    pretrain_steps: int = OPTIMISATION.flag(
        "inpainting_ref: steps of the discriminator alone, to begin with (default: %(default)s)",
        default=1000,
        metavar="N",
    )
    stop_steps: int = OPTIMISATION.flag(
        "inpainting_ref: after how many steps it is alone again (default: %(default)s)",
        default=10000,
        metavar="N",
    )
    gamma_lr: float = OPTIMISATION.flag(
        "factor on the learning rate after each step (default: %(default)s)",
        default=0.99999,
        metavar="G",
    )
    schedule: str = OPTIMISATION.flag(
        "cosine falls to 1 %% at the last step (default: %(default)s)",
        default="gamma",
        choices=("gamma", "cosine"),
    )
    warmup: int = OPTIMISATION.flag(
        "steps until the full learning rate (default: %(default)s)", default=0, metavar="N"
    )
    ema: float = OPTIMISATION.flag(
        "keep a moving average of the weights and save that; 0 = no (default: %(default)s)",
        default=0.999,
        metavar="DECAY",
    )
    seed: int = OPTIMISATION.flag(
        "of everything random (default: %(default)s)", default=111, metavar="N"
    )

    device: str = RUNNING.flag(
        "where to compute (default: %(default)s)", default="auto", choices=("auto", "cpu", "cuda")
    )
    amp: str = RUNNING.flag(
        "mixed precision; bf16 takes about 60 %% of the time, also on CPUs that have it (default: "
        "%(default)s)",
        default="no",
        choices=("no", "bf16", "fp16"),
    )
    threads: int | None = RUNNING.flag(
        "threads of the training process (default: all cores)", metavar="N"
    )
    save_name: str = RUNNING.flag(
        "checkpoints are called <type>-NAME.tar (default: %(default)s)",
        default="3dkbe",
        metavar="NAME",
    )
    models_dir: str = RUNNING.flag(
        "where they go (default: models/trained beside train.py, where kbe.py looks)",
        default=str(TRAINED),
        metavar="DIR",
    )
    runs_dir: str = RUNNING.flag(
        "where TensorBoard logs go (default: %(default)s)", default="runs", metavar="DIR"
    )
    resume: bool = RUNNING.flag("continue from the checkpoint of this save name", default=False)
    overwrite: bool = RUNNING.flag(
        "begin anew although this save name has a checkpoint, and replace it", default=False
    )
    save_every: int = RUNNING.flag(
        "steps between checkpoints, each with a validation (default: %(default)s)",
        default=500,
        metavar="N",
    )
    log_every: int = RUNNING.flag(
        "steps between log entries (default: %(default)s)", default=50, metavar="N"
    )
    dry_run: bool = RUNNING.flag("print the resolved settings and stop", default=False)


FLAGS = flags_of(Settings)
COUNTS = ("batch_size", "n_epochs", "steps", "save_every", "log_every", "val_images", "scenes")


def build_parser(description: str | None) -> Parser:
    """Return the argument parser; what is not given stays out of its namespace."""
    parser = Parser(
        prog="train.py",
        usage="train.py [--training-mode MODE] [options]",
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    add_flags(parser, Settings)
    return parser


def resolve(given: dict[str, Any]) -> Settings:
    """Complete what was given by the defaults that depend on the mode, and check it.

    Raises:
        ValueError: what cannot work, with what to type instead.
    """
    settings = Settings(**given | {"weights": dict(given.get("weights", ()))})
    adversarial = settings.training_mode == "inpainting_ref"
    settings = replace(
        settings,
        crop=settings.crop or ((288, 384) if adversarial else (192, 256)),
        network=settings.network or (None if adversarial else "compact"),
    )
    check(settings)
    return settings


def check(settings: Settings) -> None:
    """Raise ValueError for what cannot work, with what to type instead."""
    adversarial = settings.training_mode == "inpainting_ref"
    if adversarial and not (settings.model_path or settings.resume):
        raise ValueError(
            "--training-mode inpainting_ref starts from an inpainting network.\n"
            "  Add --model-path models/trained/inpaint-3dkbe.tar (made by --training-mode "
            "inpainting) and a --save-name of its own."
        )
    if adversarial and min(settings.crop or ()) < 280:
        raise ValueError(
            "the discriminator of inpainting_ref needs 280 px on the short side.\n"
            "  Add --crop 384x288 or larger."
        )
    if settings.other_crops and adversarial:
        raise ValueError(
            "--other-crops is not for inpainting_ref, whose discriminator wants one "
            "size.\n  Leave it out."
        )
    if settings.resume and settings.overwrite:
        raise ValueError(
            "--resume goes on with a checkpoint, --overwrite begins anew.\n  Leave one of them out."
        )
    if settings.mask_loss != "none" and settings.training_mode != "estimation":
        raise ValueError("--mask-loss is for --training-mode estimation.\n  Leave it out.")
    if settings.mix and settings.training_mode != "estimation":
        raise ValueError("--mix is for --training-mode estimation.\n  Leave it out.")
    if not 0 <= settings.mix <= 1:
        raise ValueError(f"--mix is a share of the steps, 0 to 1, found {settings.mix:g}.")
    if settings.mix and settings.batch_size < 2:
        raise ValueError("--mix needs another photo to paste.\n  Add --batch-size 2 or more.")
    if settings.mask_loss == "other" and not settings.mask_loss_dataset:
        raise ValueError("--mask-loss other needs photos.\n  Add --mask-loss-dataset NAME.")
    for name in COUNTS:
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise ValueError(f"{FLAGS[name].name} must be at least 1, found {value}.")
