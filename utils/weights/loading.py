"""Networks from weights files: recognised by keys and shapes, loaded strictly.

Whatever a file was trained on, a network that comes from here takes RGB in [0, 1]. Three kinds of
files exist, told apart by their form and never by their name:

* the paper's: a bare state dict of the published sizes, trained on BGR in [0, 1]. Its colour
  channels are put into RGB order while loading, weights at both ends, so no image is ever flipped;
* those of other trainings with the wrapper {"model_state_dict": ...} and no metadata: RGB, and
  for estimation [-1, 1] with semantics of reversed channels; `load_estimator` gives it that;
* ours: metadata says {"channel_order": "RGB", "range": "[0, 1]"}.
"""

import json
import re
from typing import NamedTuple

import torch

from models import TRAINED
from models.compact_estimation import CompactDisparity
from models.compact_inpainting import CompactInpaint
from models.compact_refinement import CompactRefine
from models.disparity_estimation import Disparity, Estimation, Semantics
from models.disparity_refinement import Refine, RefinePretrained
from models.features import VGG16Partial
from models.partial_inpainting import PartialInpaint
from models.pointcloud_inpainting import Inpaint
from utils.weights.files import (
    OUR_METADATA,
    list_some,
    read_checkpoint,
    read_state_dict,
    save_state_dict,
)

__all__ = [
    "load_estimator", "load_network", "read_checkpoint", "read_state_dict", "save_state_dict"
]

VGG19_PATH = TRAINED / "vgg19_bn-c79401a0.pth"
VGG16_PATH = TRAINED / "vgg16-397923af.pth"

FLAGS = {
    "estimation": "--estim-path", "refinement": "--refine-path", "inpainting": "--inpaint-path"
}


def load_network(path, role, device="cpu", trust=False):
    """Load the network of a weights file; its kind and its sizes are read off keys and shapes.

    Args:
        path: the file, see read_checkpoint.
        role: "estimation", "refinement", "inpainting", "semantics" (VGG-19) or "features" (VGG-16).
        device: where the network goes.
        trust: see read_checkpoint.
    Returns:
        nn.Module in eval mode, for RGB in [0, 1]: Disparity or CompactDisparity; Refine,
        RefinePretrained or CompactRefine; Inpaint, PartialInpaint or CompactInpaint; Semantics;
        VGG16Partial.
    Raises:
        ValueError: the file cannot be read, is no network that we know, is one for another role,
            or a key is missing, surplus or misshaped.
    """
    checkpoint = read_checkpoint(path, trust, FLAGS.get(role))
    variant = _recognise(checkpoint.state, path)
    if variant.role != role:
        raise ValueError(_wrong_role(path, variant, role))
    return _build(variant, checkpoint, path).eval().to(device)


def load_estimator(path, device="cpu", trust=False, vgg_path=VGG19_PATH):
    """Load an estimation network as one that takes just the photo.

    Args:
        path, device, trust: as for load_network.
        vgg_path: torchvision's VGG-19 weights; opened only for a network that needs semantics.
    Returns:
        nn.Module: RGB in [0, 1] (B, 3, H, W) -> relative disparity (B, 1, ceil(H/2), ceil(W/2)),
        an Estimation or a CompactDisparity.
    Raises:
        ValueError: as load_network, for either file.
    """
    network = load_network(path, "estimation", device, trust)
    if not isinstance(network, Disparity):
        return network
    semantics = load_network(vgg_path, "semantics", device, trust)
    semantics.channel_order = network.semantics_order
    return Estimation(semantics, network).eval()


# -- from a state dict to a network --


class Variant(NamedTuple):
    """A kind of network that a file may hold."""

    role: str
    name: str  # with its article, for messages
    pattern: str  # a regular expression that some key of it, and none of those before, matches
    build: object  # {key: shape} -> nn.Module, sizes taken from the shapes


class Convention(NamedTuple):
    """What images a file's weights were trained on."""

    channel_order: str  # "RGB" or "BGR"
    value_range: tuple = (0.0, 1.0)
    semantics_order: str = "rgb"  # how VGG-19 took the images, once they are RGB


def _recognise(state, path):
    keys = "\n".join(state)
    for variant in VARIANTS:
        if re.search(variant.pattern, keys, re.MULTILINE):
            return variant
    raise ValueError(
        f"{path} holds no network that we know: its keys are {list_some(state)}.\n"
        "  Known are: " + ", ".join(dict.fromkeys(variant.name for variant in VARIANTS)) + "."
    )


def _wrong_role(path, variant, role):
    advice = f", pass it as {FLAGS[variant.role]}" if variant.role in FLAGS else ""
    needs = f"{FLAGS[role]} needs" if role in FLAGS else "Needed is"
    return f"{path}: this is {variant.name}{advice}.\n  {needs} weights for {role}."


def _build(variant, checkpoint, path):
    shapes = {key: tuple(tensor.shape) for key, tensor in checkpoint.state.items()}
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced
        network = variant.build(shapes)
    state = _match(network, checkpoint.state, f"{path}, {variant.name}")
    convention = _convention(network, checkpoint, path)
    if convention.channel_order == "BGR":
        state = _reverse_colours(state)
    if isinstance(network, Disparity):
        network.value_range = convention.value_range
        network.semantics_order = convention.semantics_order
    network.load_state_dict(state, assign=True)
    return network


def _match(network, state, label):
    """Return exactly the tensors that the network wants, or say what is wrong.

    Torchvision's VGG files hold more layers than we use, under other names, and older ones lack the
    batch counters, which nothing reads.
    """
    wanted = network.state_dict()
    if any(key.startswith("features.") for key in state):
        names = {key: "features." + ".".join(key.split(".")[-2:]) for key in wanted}
        state = {key: state[name] for key, name in names.items() if name in state}
    counters = {key: torch.zeros((), dtype=torch.long) for key in wanted
                if key.endswith("num_batches_tracked")}
    state = counters | state
    missing = [key for key in wanted if key not in state]
    surplus = [key for key in state if key not in wanted]
    misshaped = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted if key in state and state[key].shape != wanted[key].shape
    ]
    found = {"missing": missing, "surplus": surplus, "misshaped": misshaped}
    wrong = [f"{kind} {list_some(keys)}" for kind, keys in found.items() if keys]
    if wrong:
        raise ValueError(f"{label}: {'; '.join(wrong)}.\n  The file is not whole, or not ours.")
    return {key: state[key] for key in wanted}


def _convention(network, checkpoint, path):
    """Say what images a file's weights were trained on; the module's docstring has the rules."""
    if "channel_order" in checkpoint.metadata:
        return _said_convention(OUR_METADATA | checkpoint.metadata, path)
    if checkpoint.wrapped:
        return Convention("RGB", (-1.0, 1.0), "bgr")
    published = PUBLISHED_WIDTHS.get(type(network)) == getattr(network, "widths", ())
    return Convention("BGR" if published else "RGB")


def _said_convention(metadata, path):
    order, said = str(metadata["channel_order"]).upper(), metadata["range"]
    try:
        low, high = map(float, json.loads(said) if isinstance(said, str) else said)
    except (ValueError, TypeError):
        low = high = None
    if order not in ("RGB", "BGR") or low is None:
        raise ValueError(
            f"{path} says it is for {metadata['channel_order']} in {said}.\n"
            "  Known are RGB and BGR, and a range such as [0, 1]."
        )
    return Convention(order, (low, high))


def _reverse_colours(state):
    """Turn weights for BGR into the same network for RGB: swap channels where colour passes."""
    reversed_state = dict(state)
    for key, axis in COLOUR_AXES:
        if key in state:
            tensor = state[key]
            order = torch.arange(tensor.shape[axis])
            order[:3] = torch.tensor([2, 1, 0])
            reversed_state[key] = tensor.index_select(axis, order)
    return reversed_state


def _widths(shapes, activation):
    """Channels of each grid row, off the first activation of one of the row's three laterals."""
    widths = []
    while True:
        row = len(widths)
        laterals = (f"{row}x{column} - {row}x{column + 1}.{activation}" for column in range(3))
        width = next((shapes[key][0] for key in laterals if shapes.get(key)), None)
        if width is None:
            return tuple(widths)
        widths.append(width)


def _size(shapes, key, axis, usual):
    """A size off one shape, or the usual one where the key is missing, for _match to report."""
    shape = shapes.get(key, ())
    return shape[axis] if len(shape) > axis else usual


def _disparity(shapes):
    channels = _size(shapes, "moduleSemantics.weight", 1, 512)
    return Disparity(_widths(shapes, "moduleMain.0.weight"), semantics_channels=channels)


def _compact(shapes):
    widths = [_size(shapes, f"laterals.{row}.weight", 0, usual)
              for row, usual in enumerate((24, 40, 64, 128, 192))]
    columns = {key.split(".")[1] for key in shapes if key.startswith("columns.")}
    return CompactDisparity(widths, columns=len(columns))


def _refine(network):
    steps = ("moduleImageOne.moduleMain.2", "moduleImageTwo.moduleMain.3",
             "moduleImageThr.moduleMain.3")
    return lambda shapes: network(tuple(
        _size(shapes, f"{step}.weight", 0, usual)
        for step, usual in zip(steps, (24, 48, 96), strict=True)
    ))


def _compact_refine(shapes):
    return CompactRefine(_unet_widths(shapes, "photo", 24))


def _compact_inpaint(shapes):
    return CompactInpaint(_unet_widths(shapes, "entry", 32))


def _unet_widths(shapes, entry, usual):
    widths = [_size(shapes, f"{entry}.moduleMain.0.weight", 0, usual)]
    while shape := shapes.get(f"downs.{len(widths) - 1}.moduleMain.1.weight"):
        widths.append(shape[0])
    return widths


def _inpaint(network, activation):
    return lambda shapes: network(
        _widths(shapes, activation),
        context_channels=_size(shapes, "moduleContext.0.weight", 0, 64),
    )


# The order matters: the first pattern that matches decides.
VARIANTS = (
    Variant("estimation", "a compact disparity network", r"^encoder\.", _compact),
    Variant("estimation", "a disparity network", r"^(moduleSemantics\.|4x0 - )", _disparity),
    Variant("refinement", "a refinement network",
            r"^module(Refine|ImageOne|DisparityOne|DisparityFou)\.moduleShortcut\.",
            _refine(RefinePretrained)),
    Variant("refinement", "a refinement network without shortcuts",
            r"^module(Refine|ImageOne|DisparityOne|DisparityFou)\.", _refine(Refine)),
    Variant("refinement", "a compact refinement network", r"^(photo|estimate|choice)\.",
            _compact_refine),
    Variant("inpainting", "a compact inpainting network", r"^(entry|downs|ups|exit)\.",
            _compact_inpaint),
    Variant("inpainting", "a partial-convolution inpainting network",
            r"^(moduleInput|0x0 - 0x1)\.conv1\.", _inpaint(PartialInpaint, "p_relu_1.weight")),
    Variant("inpainting", "an inpainting network", r"^module(Context|Input)\.",
            _inpaint(Inpaint, "moduleMain.0.weight")),
    Variant("semantics", "VGG-19 with batch normalisation",
            r"^(moduleVgg\.|features\.1\.running_mean)",
            lambda shapes: Semantics(channel_order="rgb")),
    Variant("features", "VGG-16", r"^(slice1\.|features\.0\.weight)",
            lambda shapes: VGG16Partial(normalise=True)),
    Variant("discriminator", "a discriminator", r"^(outConv|Dmain|localD1)\.", None),
)

PUBLISHED_WIDTHS = {
    Disparity: (32, 48, 64, 512, 512, 512),
    RefinePretrained: (24, 48, 96),
    Inpaint: (32, 64, 128, 256),
}

# Where colour enters and leaves a network, over all variants: key, and the axis of the channels.
COLOUR_AXES = (
    ("moduleImage.weight", 1),  # Disparity
    ("moduleImageOne.moduleMain.0.weight", 1),  # Refine
    ("moduleImageOne.moduleShortcut.weight", 1),
    ("moduleContext.0.weight", 1),  # Inpaint and PartialInpaint
    ("moduleInput.moduleMain.0.weight", 1), ("moduleInput.conv1.weight", 1),
    ("moduleInput.moduleShortcut.weight", 1),
    ("moduleImage.moduleMain.2.weight", 0), ("moduleImage.moduleMain.2.bias", 0),
    ("moduleImage.conv2.weight", 0), ("moduleImage.conv2.bias", 0),
    ("moduleImage.moduleShortcut.weight", 0), ("moduleImage.moduleShortcut.bias", 0),
)
