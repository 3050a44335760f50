"""What the dict of a data set may say, and which photos it chooses by that."""

import csv
import hashlib
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from utils.files import plain_name
from utils.film.kinds import some

log = logging.getLogger(__name__)

OPTIONAL = {
    "weight": 1.0,  # how often a photo of this set is drawn, relative to the other sets
    "depth_unit": 1.0,  # one stored unit of depth, in the unit of the baseline (mm to m: 0.001)
    "depth_folder": "depth",  # where the maps lie under `path`
    "depth_key": None,  # name of the array inside HDF5, MATLAB or NPZ files, if not the usual one
    "disparity": None,  # `disparity/` replaces depth: "px", or "relative" (unknown scale and
    # shift), or "order" (only what is nearer); "none" = neither, photos for the mask loss
    "disparity_folder": "disparity",  # where those maps lie under `path`
    "unknown": None,  # a stored value that means "not measured" (for depth always 0)
    "index": None,  # CSV under `path` whose column `stem` lists the photos to use; if it has them,
    # column `clip` says which frames count as one item, and `kind` is "disparity" or "order"
    "stems": "",  # regular expression that the beginning of a stem must match
    "part": None,  # "train" leaves out every sixth clip (of each stem, without clips), which
    # "held out" alone takes: the same ones in every run
    "focal_unit": "px",  # "px" of the stored photo, or "long side" (0.5 = half the longer side)
    "confidence": "confidence",  # folder of maps, if there is one: 0..1, 0..2, 8 or 16 bits
    "confidence_min": 0.25,  # pixels trusted less than this are left out
    "masks": "masks",  # folder of instance maps for --mask-loss: 0 = background, 1.. = objects
    "generate": None,  # number of synthetic scenes to make at `path` if nothing is there yet
}


def check_data_set(data_set: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the dict with every optional key filled in.

    Raises:
        ValueError: a key is unknown, missing or holds what it cannot hold; the message names it.
    """
    name = data_set.get("name", "without a name")
    unknown = set(data_set) - set(OPTIONAL) - {"name", "path", "param"}
    if unknown:
        raise ValueError(
            f"data set {name!r}: unknown key {sorted(unknown)[0]!r}.\n"
            f"  Known keys: name, path, param, {', '.join(OPTIONAL)}."
        )
    for key in ("name", "path", "param"):
        if key not in data_set:
            raise ValueError(f"data set {name!r}: the key {key!r} is missing.")
    for key in ("name", "path", "depth_folder", "disparity_folder", "confidence", "masks", "stems"):
        value = data_set.get(key, "")
        if not isinstance(value, str | os.PathLike):
            raise ValueError(f"data set {name!r}: {key!r} must be text, found {value!r}.")
    param = data_set["param"] if isinstance(data_set["param"], dict) else {}
    for key in ("baseline", "focal"):
        value = param.get(key)
        if not isinstance(value, int | float) or not value > 0:
            raise ValueError(
                f"data set {name!r}: param must hold {key!r}, a number above 0, found {value!r}.\n"
                '  Write "param": {"baseline": 120, "focal": 512}.'
            )
    full: dict[str, Any] = OPTIONAL | data_set
    check_choice(full, "disparity", (None, "px", "relative", "order", "none"))
    check_choice(full, "part", (None, "train", "held out"))
    check_choice(full, "focal_unit", ("px", "long side"))
    for key in ("weight", "depth_unit"):
        if not isinstance(full[key], int | float) or not full[key] > 0:
            raise ValueError(f"data set {name!r}: {key!r} must be above 0, found {full[key]!r}.")
    return full


def check_choice(data_set: dict[str, Any], key: str, choices: Sequence[str | None]) -> None:
    """Raise ValueError unless `data_set[key]` is one of `choices`."""
    if data_set[key] not in choices:
        raise ValueError(
            f"data set {data_set['name']!r}: {key!r} must be one of "
            f"{', '.join(map(repr, choices))}, found {data_set[key]!r}."
        )


def chosen_clips(data_set: dict[str, Any], stems: Sequence[str]) -> list[list[tuple[str, str]]]:
    """Group the stems that a data set dict chooses: lists of (stem, kind), one list per item.

    Raises:
        ValueError: the index cannot be read, or nothing is left.
    """
    usual = data_set["disparity"] or "depth"
    rows = [{"stem": stem} for stem in stems]
    if data_set["index"]:
        rows = read_index(data_set)
    clips: dict[str, list[tuple[str, str]]] = {}
    there = set(stems)
    if lost := [row["stem"] for row in rows if plain_name(row["stem"]) not in there]:
        log.warning(
            f"data set {data_set['name']!r}: {len(lost)} of {len(rows)} rows of "
            f"{data_set['index']} name no photo that can be used: {some(lost)}"
        )
    for row in rows:
        stem, kind = plain_name(row["stem"]), row.get("kind") or usual
        clip = row.get("clip") or stem
        held_out = is_held_out(clip)
        if data_set["part"] and held_out != (data_set["part"] == "held out"):
            continue
        if stem in there and re.match(data_set["stems"], stem):
            kind = "relative" if kind == "disparity" else kind
            clips.setdefault(clip, []).append((stem, kind))
    if not clips:
        raise ValueError(
            f"data set {data_set['name']!r}: none of its {len(stems)} photos is left by its keys "
            "'index', 'stems' and 'part'.\n  Correct them."
        )
    return list(clips.values())


def read_index(data_set: dict[str, Any]) -> list[dict[str, str]]:
    """Rows of the CSV that a data set dict names under `index`, as dicts with a key `stem`."""
    path = Path(data_set["path"]) / data_set["index"]
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(
            f"data set {data_set['name']!r}: {path} cannot be read: {error}\n  Correct its 'index'."
        ) from error
    if not rows or "stem" not in rows[0]:
        raise ValueError(
            f"data set {data_set['name']!r}: {path} has no column 'stem'.\n"
            "  Write one, with a photo's name without its ending in each row."
        )
    kinds = {row.get("kind") or "disparity" for row in rows} - {"disparity", "order"}
    if kinds:
        raise ValueError(
            f"data set {data_set['name']!r}: {path} has the kind {min(kinds)!r}.\n"
            "  Known kinds: disparity, order."
        )
    return rows


def is_held_out(clip: str) -> bool:
    """Whether a clip is one of the sixth that is never trained on: decided by its name alone."""
    return hashlib.sha256(clip.encode()).digest()[0] % 6 == 0
