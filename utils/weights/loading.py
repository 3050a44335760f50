"""Networks from weights files: recognised by keys and shapes, loaded strictly.

Whatever a file was trained on, a network that comes from here takes RGB in [0, 1]. Three kinds of
files exist, told apart by their form and never by their name:

* the paper's: a bare state dict of the published sizes, trained on BGR in [0, 1]. Its colour
  channels are put into RGB order while loading, weights at both ends, so no image is ever flipped;
* those of other trainings with the wrapper {"model_state_dict": ...} and no metadata: RGB, and
  for estimation [-1, 1] with semantics of reversed channels; the network gives it that;
* ours: metadata says {"channel_order": "RGB", "range": "[0, 1]"}.
"""

import json
from pathlib import Path
from typing import Any

import torch

from models import TRAINED
from models.registry import NETWORKS, ROLES, Entry, recognise
from models.roles import Convention
from utils.weights.files import (
    OUR_METADATA,
    list_some,
    read_checkpoint,
    read_state_dict,
    save_state_dict,
)

__all__ = [
    "load_estimator",
    "load_network",
    "read_checkpoint",
    "read_state_dict",
    "save_state_dict",
]

VGG19_PATH = TRAINED / ROLES["semantics"].trained[0]
VGG16_PATH = TRAINED / ROLES["features"].trained[0]


def load_network(
    path: str | Path, role: str, device: str | torch.device = "cpu", trust: bool = False
) -> Any:
    """Load the network of a weights file; its kind and its sizes are read off keys and shapes.

    Args:
        path: the file, see read_checkpoint.
        role: a key of `models.registry.ROLES`.
        device: where the network goes.
        trust: see read_checkpoint.
    Returns:
        nn.Module in eval mode, for RGB in [0, 1]: a network of that role in models/registry.py.
    Raises:
        ValueError: the file cannot be read, is no network that we know, is one for another role,
            or a key is missing, surplus or misshaped.
    """
    checkpoint = read_checkpoint(path, trust, ROLES[role].flag)
    entry = _recognise(checkpoint.state, path, role)
    return _build(entry.load(), checkpoint, path).eval().to(device)


def identify(path: str | Path, role: str) -> tuple[Entry, dict[str, str]]:
    """Say which network a file holds, without building it.

    Args, raises: as load_network.
    Returns:
        models.registry.Entry, and the metadata of the file.
    """
    checkpoint = read_checkpoint(path, flag=ROLES[role].flag)
    return _recognise(checkpoint.state, path, role), checkpoint.metadata


def load_estimator(
    path: str | Path,
    device: str | torch.device = "cpu",
    trust: bool = False,
    vgg_path: str | Path | None = None,
) -> Any:
    """Load an estimation network as one that takes just the photo.

    Args:
        path, device, trust: as for load_network.
        vgg_path: weights of its companion, torchvision's VGG-19 by default; opened only if it has
            one.
    Returns:
        models.roles.Estimator: RGB in [0, 1] (B, 3, H, W) -> relative disparity (B, 1, h, w).
    Raises:
        ValueError: as load_network, for either file.
    """
    network = load_network(path, "estimation", device, trust)
    if network.companion is None:
        return network
    companion = load_network(vgg_path or VGG19_PATH, network.companion, device, trust)
    return network.joined(companion).eval()


# -- from a state dict to a network --


def _recognise(state, path, role):
    entry = recognise(state)
    if entry is None:
        known = dict.fromkeys(entry.load().label for entry in NETWORKS)
        raise ValueError(
            f"{path} holds no network that we know: its keys are {list_some(state)}.\n"
            f"  Known are: {', '.join(known)}."
        )
    if entry.role != role:
        raise ValueError(_wrong_role(path, entry, role))
    return entry


def _wrong_role(path, entry, role):
    found, flag = ROLES[entry.role].flag, ROLES[role].flag
    advice = f", pass it as {found}" if found else ""
    needs = f"{flag} needs" if flag else "Needed is"
    return f"{path}: this is {entry.load().label}{advice}.\n  {needs} weights for {role}."


def _build(kind, checkpoint, path):
    shapes = {key: tuple(tensor.shape) for key, tensor in checkpoint.state.items()}
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced
        network = kind.from_shapes(shapes)
    state = _match(network, network.own_names(checkpoint.state), f"{path}, {kind.label}")
    convention = _convention(network, checkpoint, path)
    try:
        if convention.channel_order == "BGR":
            state = network.reverse_colours(state)
        network.expect(convention)
    except ValueError as error:
        raise ValueError(f"{path} holds {error}.") from error
    network.load_state_dict(state, assign=True)
    return network


def _match(network, state, label):
    """Return exactly the tensors that the network wants, or say what is wrong."""
    wanted = network.state_dict()
    missing = [key for key in wanted if key not in state]
    surplus = [key for key in state if key not in wanted]
    misshaped = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
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
        return network.foreign
    return Convention("BGR" if network.is_published() else "RGB")


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
