"""Weights files: tensors in and out, and never a program.

A file is known by its first bytes, not by its suffix. Whatever it is instead of weights (a web
page, half a download, a pickle that wants to run code), the message says so and what to type.
"""

import codecs
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from utils.files import complete_or_absent

OUR_METADATA = {"channel_order": "RGB", "range": "[0, 1]"}
ZIP_MAGIC = b"PK\x03\x04"  # torch.save since 1.6
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save before
LONGEST_HEADER = 100_000_000  # bytes; what safetensors itself accepts
LISTED = 3  # keys that an error message lists before it only counts
# Under which names trainers keep the weights, best first: averages are what is meant to be used.
NESTED = ("model_state_dict", "params_ema", "model_ema", "state_dict", "params", "model")
DEEPEST = 4  # a pickle may hold a dict that holds itself
# What compiling, training in parallel and trainers of their own put before every name.
PREFIXES = re.compile(r"^(_orig_mod|module|model)\.")
COUNTER = "n_averaged"  # how many steps torch's AveragedModel has averaged, beside the weights
AGAIN = "Delete it and run ./download_models.sh again."


class Checkpoint(NamedTuple):
    """What a weights file holds."""

    state: dict  # name -> tensor on the CPU, floating ones float32, names in module spelling
    metadata: dict  # what the file says about itself
    wrapped: bool  # whether the state came in {"model_state_dict": ...}


def read_state_dict(path: str | Path, trust: bool = False) -> dict[str, torch.Tensor]:
    """Read name -> float32 tensor from a weights file; arguments and errors of read_checkpoint."""
    return read_checkpoint(path, trust).state


def read_checkpoint(path: str | Path, trust: bool = False, flag: str | None = None) -> Checkpoint:
    """Read a weights file without running anything that is in it.

    Args:
        path: .safetensors, or a torch file holding a state dict, also under one of NESTED. The
            content decides, not the suffix.
        trust: also read a file of arbitrary Python objects, through dill. That runs its code.
        flag: the command line option that takes such a file, for the error message.
    Returns:
        Checkpoint.
    Raises:
        ValueError: missing, a folder, empty, a web page, text, cut short, not weights, in need of
            `trust`, or holding no finite tensors; says which and what to do.
    """
    path = Path(path)
    read = _choose_reader(path, flag, trust)
    content, metadata = read(path)
    wrapped = isinstance(content, dict) and isinstance(content.get("model_state_dict"), dict)
    if wrapped:
        said = content.get("metadata")
        metadata = said if isinstance(said, dict) else {}
    if isinstance(content, torch.nn.Module):  # a whole pickled network, read under trust
        content = content.state_dict()
    for _ in range(DEEPEST):
        content = _inner_state(content)
    return Checkpoint(_clean_state(content, path), metadata, wrapped)


def save_state_dict(
    path: str | Path, state: Mapping[str, torch.Tensor], metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a state dict as .safetensors, complete or not at all.

    Args:
        path: the file; its folder must exist.
        state: name -> tensor.
        metadata: more to say about the weights; values that are no strings become JSON. That
            they are for RGB in [0, 1] is said anyway, unless `metadata` says otherwise.
    Raises:
        OSError: the file cannot be written.
    """
    said = OUR_METADATA | dict(metadata or {})
    said = {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in said.items()
    }
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
    with complete_or_absent(path) as temporary:
        # Not by save_file, which leaves a file that nobody else may read.
        temporary.write_bytes(save(tensors, metadata=said))


# -- from a file to its content --


def _choose_reader(path, flag, trust):
    """Look at the first bytes and return the function that reads the file."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a weights file.\n  Pass the file inside it.")
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        instead = f" or pass {flag} FILE" if flag else ""
        raise ValueError(f"no weights at {path}.\n  Run ./download_models.sh{instead}.") from None
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}.") from error
    if head.startswith((ZIP_MAGIC, LEGACY_MAGIC)):
        return _read_trusted if trust else _read_torch
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= LONGEST_HEADER:
        return _read_safetensors
    raise ValueError(f"{path} {_describe_stranger(head)}")


def _describe_stranger(head):
    """Say what a file that is no weights file probably is, from its first bytes."""
    if not head:
        return f"is empty.\n  {AGAIN}"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return f"is a web page, not weights: its download met an error page.\n  {AGAIN}"
    if head.startswith(b"version https://git-lfs"):
        return "is only a Git LFS pointer to the weights.\n  Fetch them with: git lfs pull"
    if ZIP_MAGIC.startswith(head) or LEGACY_MAGIC.startswith(head):
        return f"is cut short after {len(head)} bytes.\n  {AGAIN}"
    if _is_text(head):
        return f"is a text file, not weights.\n  {AGAIN}"
    return (
        f"is not a weights file: it begins with the bytes {head[:8].hex(' ')}.\n"
        "  Known are .safetensors and files of torch.save (.pth, .pt, .tar, .pytorch)."
    )


def _is_text(head):
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # forgives a cut last letter
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter in "\t\r\n" for letter in text)


def _read_safetensors(path):
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}
    except SafetensorError as error:
        raise _damaged(path, error) from error


def _read_torch(path):
    try:
        return torch.load(path, map_location="cpu", weights_only=True), {}
    except UnpicklingError as error:
        # A file cut inside its pickle fails here too, but without naming an object it asks for.
        reason = str(error).split("trusted source", 1)[-1]  # after advice that we do not give
        found = re.search(r"(?:GLOBAL|class|function) ([\w.]*\w)", reason)
        if not found:
            raise _damaged(path, "its pickle does not parse") from error
        raise ValueError(
            f"{path} holds Python objects ({found[1]}) besides tensors; "
            "loading it would run their code.\n"
            "  If you trust where it comes from, add --trust-checkpoint."
        ) from error
    except Exception as error:  # the parsers of a damaged file may stumble over anything
        raise _damaged(path, error) from error


def _read_trusted(path):
    try:
        import dill
    except ImportError as error:
        raise ValueError("--trust-checkpoint needs dill.\n  pip install dill") from error
    try:
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=dill), {}
    except Exception as error:  # code from the file may raise anything
        raise ValueError(
            f"{path} does not load, even trusted: {type(error).__name__}: {_first_line(error)}"
        ) from error


def _damaged(path, error):
    return ValueError(f"{path} is cut short or damaged ({_first_line(error)}).\n  {AGAIN}")


def _first_line(error):
    lines = str(error).strip().splitlines()
    return lines[0][:120].rstrip(".") if lines else type(error).__name__


# -- from content to a state dict --


def _inner_state(content):
    """Return the dict under one of NESTED, or what was given if there is none."""
    found = content if isinstance(content, dict) else {}
    return next((found[key] for key in NESTED if isinstance(found.get(key), dict)), content)


def _clean_state(content, path):
    """Check that the content is a state dict; spell its names, and store it, in one way."""
    if not _holds_tensors(content):
        found = "a " + type(content).__name__
        if isinstance(content, dict):
            found += f" of {list_some(content) or 'nothing'}"
        raise ValueError(
            f"{path} holds no weights: found {found}.\n"
            f"  Wanted a state dict, or one under {', '.join(map(repr, NESTED))}."
        )
    content = {key: value for key, value in content.items() if _is_weight(key, value)}
    state = {}
    for key, tensor in zip(_spell(content), content.values(), strict=True):
        state[key] = tensor.float() if tensor.is_floating_point() else tensor
        if not _is_finite(state[key]):
            raise ValueError(f"{path}: {key} holds NaN or infinite values.\n  Use another file.")
    return state


def _is_finite(tensor):
    """Whether it holds neither NaN nor infinity.

    A sum is had in a tenth of the time, and is finite only if all of it is. It may overflow.
    """
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())


def _holds_tensors(content):
    """Whether this is a state dict; some trainings note an epoch or a name among the tensors."""
    return (
        isinstance(content, dict)
        and any(_is_weight(key, value) for key, value in content.items())
        and all(
            isinstance(key, str) and isinstance(value, torch.Tensor | int | float | str | None)
            for key, value in content.items()
        )
    )


def _is_weight(key, value):
    return isinstance(value, torch.Tensor) and key != COUNTER


def _spell(keys):
    """Return the names without wrappers' prefixes, `netImage` as `moduleImage`."""
    keys = list(keys)
    while keys and all(map(PREFIXES.match, keys)) and len({key.split(".")[0] for key in keys}) == 1:
        keys = [PREFIXES.sub("", key) for key in keys]
    # Newer code of the paper's author spells `net...`; a plain `net.` is our discriminators' own.
    return [re.sub(r"(^|\.)net(?=[A-Z])", r"\1module", key) for key in keys]


def list_some(keys: Collection[str]) -> str:
    """List the first few keys and count the rest."""
    keys = [str(key) for key in keys]
    more = f" and {len(keys) - LISTED} more" if len(keys) > LISTED else ""
    return ", ".join(keys[:LISTED]) + more
