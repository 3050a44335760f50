"""Presets: the settings that a film carries in its metadata, and `--like`, which takes them over.

A film may come from anywhere, so what it says is checked by the flags themselves; it can name no
file and ask for no other result than the film. Windows and focal length are kept as shares of the
photo, so that they fit photos of any size and shape.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from utils.camera import aspect_box, fit_center
from utils.cli.declare import LOOK, convert
from utils.cli.flags import FLAGS, Settings, check_together
from utils.film import read_metadata

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

# Range of each share: centres of the photo's sides, widths of the largest window of the film's
# shape, that shape (width / height), the focal length of the photo's long side, the focus.
SHARES = {end + letter: (0.0, 1.0) for end in ("start", "end") for letter in "UVW"}
SHARES |= {"aspect": (0.01, 100.0), "focal": (0.01, 100.0), "focusU": (0, 1), "focusV": (0, 1)}


def place_windows(
    shares: dict[str, float], windows: dict[str, float], size: tuple[int, int], aspect: float | None
) -> dict[str, float]:
    """Turn shares into windows of one photo, moved inside where its shape differs.

    Args:
        shares: dict with some of the keys of SHARES.
        windows: {"startU": px, ...}, which win.
        size: (height, width) of the photo, px.
        aspect: width / height of the film, None = that of the photo.
    Returns:
        `windows` with what the shares add.
    """
    box_height, box_width = aspect_box(size, aspect)
    placed = {}
    for end in ("start", "end"):
        if end + "W" not in shares:
            continue
        share = shares[end + "W"]
        if end + "W" in windows or end + "H" in windows:
            share = windows.get(end + "W", 0) / box_width or windows[end + "H"] / box_height
        else:
            placed[end + "W"] = max(1, math.floor(share * box_width))
            placed[end + "H"] = max(1, math.floor(share * box_height))
        for letter, side, box in (("U", size[1], box_width), ("V", size[0], box_height)):
            half = min(share * box, side) / 2
            center = shares.get(end + letter, 0.5) * side
            placed[end + letter] = fit_center(center, half, side)
    return placed | windows


def read_preset(path: str | Path) -> tuple[dict[str, Any], dict[str, float]]:
    """Return the look of a film of kbe.py, checked as if it had been typed.

    Args:
        path: the film.
    Returns:
        {field of Settings: value}; dict of shares, see `window_shares`.
    Raises:
        ValueError: no film, none of ours, or settings that this version does not know or allow.
    """
    said, shares = _read_look(path)
    said = {"move": "dolly" if said.get("dolly") else "windows"} | said  # of an older film
    if said["move"] == "windows":
        said.pop("strength", None)  # it means nothing to them
    said = {
        name: value
        for name, value in said.items()
        if name in FLAGS and FLAGS[name].effect == LOOK and value is not None
    }
    if isinstance(said.get("size"), list):
        said["size"] = "x".join(map(str, said["size"][::-1]))
    try:
        preset = convert(Settings, said)
        check_together(preset)
        if "," in preset["move"]:
            raise ValueError(f"--move {preset['move']}: a film has one move.")
    except ValueError as error:
        raise ValueError(f"--like {path}: its settings cannot be used: {error}") from error
    return preset, shares


def _read_look(path):
    """Return the settings and the shares that a film carries, checked by name and shape."""
    metadata = read_metadata(path)
    settings = metadata.get("settings") if isinstance(metadata, dict) else None
    if not isinstance(settings, dict):
        raise ValueError(
            f"--like {path}: carries no settings; only films of kbe.py do, and copies "
            "that kept the metadata."
        )
    shares = metadata.get("shares", None if settings.get("windows") else {})
    known = {name for name, flag in FLAGS.items() if flag.effect} | {"windows", "shares"}
    unknown = sorted(settings.keys() - known)
    if unknown or not isinstance(shares, dict) or shares.keys() - SHARES.keys():
        what = unknown[0] if unknown else "of the windows"
        raise ValueError(
            f"--like {path}: was made by another version: its setting {what!r} is unknown here."
        )
    for name, share in shares.items():
        low, high = SHARES[name]
        if isinstance(share, bool) or not (isinstance(share, int | float) and low <= share <= high):
            raise ValueError(
                f"--like {path}: its share {name} is {share!r}, not a number in {low:g}..{high:g}."
            )
    return settings, shares
