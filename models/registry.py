"""Which networks and rules there are: a table of what they are for, and one line per network.

Everything else about a network stands in its class (models/roles.py says what that is). A class is
loaded when it is asked for, so importing this costs nothing: command lines list what there is
before torch is loaded.
"""

import importlib
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

HUB_FOLDER = "depth-anything"  # in models/trained/, as utils.weights.download calls it


class Role(NamedTuple):
    """What networks are used for, and where their weights come from."""

    name: str
    flag: str | None = None  # of kbe.py, that takes such weights
    kind: str | None = None  # train.py calls its checkpoints <kind>-<save name>.tar
    # Files in models/trained/ in the order in which they are taken: trained here, the paper's,
    # those of the first reimplementation, a folder of the Hugging Face hub.
    trained: tuple[str, ...] = ()
    bundled: str | None = None  # file in models/bundled/, taken where none of those is there


ROLES = {
    role.name: role
    for role in (
        Role(
            "estimation",
            "--estim-path",
            "disparity",
            (
                "disparity-3dkbe.tar",
                "network-disparity.pytorch",
                "disparity-estimation-no-mask.tar",
                "disparity-estimation-mask.tar",
                HUB_FOLDER,
            ),
            "disparity-estimation.safetensors",
        ),
        Role(
            "refinement",
            "--refine-path",
            "refine",
            ("refine-3dkbe.tar", "network-refinement.pytorch", "disparity-refinement.tar"),
            "disparity-refinement.safetensors",
        ),
        Role(
            "inpainting",
            "--inpaint-path",
            "inpaint",
            ("inpaint-3dkbe.tar", "network-inpainting.pytorch", "inpainting-color.tar"),
            "inpainting.safetensors",
        ),
        Role("semantics", trained=("vgg19_bn-c79401a0.pth",)),
        Role("features", trained=("vgg16-397923af.pth",)),
        Role("discriminator", kind="discriminator"),
    )
}


class Entry(NamedTuple):
    """One network: what it is for, where its class is, and what train.py calls it."""

    role: str
    place: str  # module:Class
    sizes: tuple[str, ...] = ()  # what --network calls it; none: it is loaded, but not trained
    partial: bool = False  # whether it is the one of --partial-conv

    def load(self) -> Any:
        """Return the class, a subclass of `models.roles.Network`."""
        module, name = self.place.split(":")
        return getattr(importlib.import_module(module), name)


# The order matters: a file holds the first network whose pattern one of its keys matches.
NETWORKS = (
    Entry("estimation", "models.paired_estimation:PairedDisparity"),
    Entry("estimation", "models.efficient_estimation:EfficientDisparity", ("efficient",)),
    Entry("estimation", "models.compact_estimation:CompactDisparity", ("compact",)),
    Entry("estimation", "models.disparity_estimation:Disparity", ("paper",)),
    Entry("refinement", "models.disparity_refinement:RefinePretrained", ("paper",)),
    Entry("refinement", "models.disparity_refinement:Refine"),
    Entry("refinement", "models.compact_refinement:CompactRefine", ("compact",)),
    Entry("inpainting", "models.compact_inpainting:CompactInpaint", ("compact",)),
    Entry("inpainting", "models.partial_inpainting:PartialInpaint", ("paper", "compact"), True),
    Entry("inpainting", "models.pointcloud_inpainting:Inpaint", ("paper",)),
    Entry("semantics", "models.disparity_estimation:Semantics"),
    Entry("features", "models.features:VGG16Partial"),
    Entry("discriminator", "models.discriminator:MPDDiscriminator"),
)


# What fills holes without weights, by the name that --inpaint-path takes: a class with `inpaint`,
# as of models.roles.Inpainter. The first is taken where there is no network.
RULES = {"rule": Entry("inpainting", "utils.scene.rules:FarSide")}
BY_RULE = next(iter(RULES))


def sizes(role: str | None = None) -> tuple[str, ...]:
    """What --network may say, of one role or of all: a tuple without repetitions."""
    return tuple(
        dict.fromkeys(
            size for entry in NETWORKS for size in entry.sizes if role in (None, entry.role)
        )
    )


def find_network(role: str, size: str, partial: bool = False) -> Any:
    """Return the class that train.py trains.

    Args:
        role: "estimation", "refinement" or "inpainting".
        size: one of `sizes(role)`.
        partial: whether its convolutions are partial.
    Raises:
        ValueError: there is none; lists those that there are.
    """
    fitting = [entry for entry in NETWORKS if entry.role == role and entry.partial == partial]
    for entry in fitting:
        if size in entry.sizes:
            return entry.load()
    there = ", ".join(size for entry in fitting for size in entry.sizes)
    kind = f"{role} with partial convolutions" if partial else role
    raise ValueError(
        f"--network {size}: there is no such network for {kind}.\n  There is: {there or 'none'}."
    )


def recognise(keys: Iterable[str]) -> Entry | None:
    """Return the Entry of the network whose state dict has these keys, or None."""
    keys = "\n".join(keys)
    return next(
        (entry for entry in NETWORKS if re.search(entry.load().pattern, keys, re.MULTILINE)), None
    )
