"""How the pictures of two eyes, or a picture and its depth, share a frame: `--stereo`.

Names end as players and holographic displays expect it. Sources: SKYBOX's list of suffixes
(skybox.xyz, Add suffix to filename), Looking Glass's _rgbd with white for near.
"""

from typing import NamedTuple


class Layout(NamedTuple):
    """A line of the table."""

    ending: str  # of the film's stem
    across: int = 1  # pictures side by side, each in full width
    down: int = 1  # pictures one above the other, each in full height


LAYOUTS = {
    "sbs": Layout("_sbs", across=2),
    "half-sbs": Layout("_hsbs"),
    "tb": Layout("_tb", down=2),
    "half-tb": Layout("_htb"),
    "rgbd": Layout("_rgbd", across=2),
    "anaglyph": Layout(""),
}
