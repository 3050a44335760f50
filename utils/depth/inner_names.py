"""Which of the arrays or channels that a file names is its depth map.

Renderers put depth, normals, positions and colours into one file and name them LAYER.CHANNEL, as
in ViewLayer.Depth.Z beside ViewLayer.Normal.Z: the whole name counts, and a Z beside its X and Y is
a coordinate of a vector.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

# Names of arrays and channels that are a map for certain; of several the first is taken.
CERTAIN = ("disparity", "disp", "inverse_depth", "depth", "depths")
# Layers whose only value is depth, and those whose name merely holds the word.
DEPTH_LAYER = {"depth", "z", "zdepth", "zbuf", "zbuffer"}
SPEAKS_OF_DEPTH = re.compile(r"depth|z_?buf|disparity")
# What is stored beside depth, or as a Z of its own, and is none.
NO_DEPTH = re.compile(
    r"conf|mask|valid|weight|std|var|error|mist|fog|normal|position|vector|motion|velocity"
)


def likeliest(names: Sequence[str]) -> list[str]:
    """Return the names that may be the depth map of a file, all equally likely.

    Args:
        names: of its arrays or channels; parts of a name are set off by / or a dot. LAYER.RGB
            stands for the three channels of that layer.
    Returns:
        one name; or several, if nothing prefers one of them; or none, if nothing speaks for any.
    """
    ranked: dict[int, list[str]] = {}
    layers = _layers(names)
    for layer, channels in layers.items():
        for rank, name in _ranked(layer, channels, len(layers) == 1):
            ranked.setdefault(rank, []).append(name)
    return ranked[min(ranked)] if ranked else []


def _layers(names: Sequence[str]) -> dict[tuple[str, ...], dict[str, str]]:
    """Names by layer: {words before the last: {last word: name}}, in lower case."""
    layers: dict[tuple[str, ...], dict[str, str]] = {}
    for name in names:
        *layer, channel = re.split("[./]", name.lower())
        layers.setdefault(tuple(layer), {})[channel] = name
    return layers


def _ranked(
    layer: tuple[str, ...], channels: dict[str, str], alone: bool
) -> Iterator[tuple[int, str]]:
    """Yield (rank, name) of what may be a map in one layer; the lowest rank is the likeliest."""
    for rank, word in enumerate(CERTAIN):
        if word in channels:
            yield rank, channels[word]
    rank = len(CERTAIN)
    for word, name in channels.items():  # arrays, such as pred_depth
        if word.endswith("depth") and word not in CERTAIN and not NO_DEPTH.search(word):
            yield rank + 1, name
    single, last = _single(channels), "".join(layer[-1:])
    if not single or NO_DEPTH.search(last):
        return
    if last in DEPTH_LAYER:
        yield rank, channels[single]
    elif SPEAKS_OF_DEPTH.search(" ".join(layer)):
        yield rank + 1, channels[single]
    elif single == "z":
        yield rank + 2 + bool(layer), channels[single]
    elif alone:
        yield rank + 4, channels[single]


def _single(channels: dict[str, str]) -> str | None:
    """The channel that is a layer's only value, or its Z without X and Y."""
    values = channels.keys() - {"a", "alpha"}
    if "rgb" in values:
        values -= {"r", "g", "b"}  # which are one grey picture, or are refused as coloured
    if "z" in values:
        return None if {"x", "y"} <= values else "z"
    return values.pop() if len(values) == 1 else None
