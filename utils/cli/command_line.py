"""From a command line, or the same said in Python, to settings that fit together.

Nothing heavy is imported here, so that --help answers at once.
"""

import re
import sys
from pathlib import Path
from typing import Any

from models import TRAINED
from utils.cli.declare import convert
from utils.cli.flags import (
    CONFLICTS,
    FLAGS,
    FRAMED,
    NEEDS,
    NO_DEPTH,
    WINDOW_FLAGS,
    Settings,
    build_parser,
    check_together,
    is_on,
)
from utils.film.codecs import CODECS, CODECS_BY_SUFFIX


def parse_settings(argv: list[str] | None = None) -> Settings:
    """Return the Settings of a command line; what is wrong ends the program with status 2."""
    parser = build_parser()
    given = vars(parser.parse_args(sys.argv[1:] if argv is None else argv))
    try:
        return resolve(given)
    except ValueError as error:
        parser.error(str(error))


def settings_from(values: dict[str, Any]) -> Settings:
    """Return the Settings of named values, as `kbe.animate` takes them.

    Raises:
        TypeError: there is no such setting.
        ValueError: whatever the command line would refuse.
    """
    return resolve(convert(Settings, values))


def resolve(given: dict[str, Any]) -> Settings:
    """Complete what was given by --like's film and by the defaults, and check that it fits.

    Args:
        given: {field: value}, read already.
    Raises:
        ValueError: flags that contradict each other, or a film that --like cannot use.
    """
    given = {name: value for name, value in given.items() if value is not None}
    own_depth = str(given.get("depth")) != NO_DEPTH
    if not own_depth:
        del given["depth"]
    _check(given)
    preset: dict[str, Any] = {}
    shares: dict[str, Any] = {}
    if "like" in given:
        from utils.cli.presets import read_preset  # which reads films

        preset, shares = read_preset(given["like"])
        preset, shares = _give_way(preset, shares, given)
    values = preset | given
    values["move"] = _move(values, shares)
    values["dolly"] = values["move"] == "dolly"
    values["codec"] = _codec(values)
    if preset.get("codec") != values["codec"] and "quality" not in given:
        values.pop("quality", None)  # each encoder has a scale of its own
    for role, name in (("estim", "network-disparity"), ("refine", "network-refinement")):
        if values.get(f"pretrained_{role}"):
            values[f"{role}_path"] = str(TRAINED / f"{name}.pytorch")
    return Settings(**values, shares=shares, own_depth=own_depth)


def _check(given: dict[str, Any]) -> None:
    """Refuse flags that cannot both be meant, and those that lack another one."""
    check_together(given)
    for name in WINDOW_FLAGS:
        if name[-1] in "WH" and given.get(name, 1) < 1:
            raise ValueError(
                f"the {name[:-1]} window is empty: --{name} {given[name]:g}.\n  Give at least 1."
            )
    if "out" not in given and "slideshow" not in given:
        raise ValueError("the following arguments are required: --out (or --slideshow)")
    for name, needed in NEEDS:
        if is_on(given, name) and not is_on(given, needed):
            raise ValueError(
                f"{FLAGS[name].name} without {FLAGS[needed].name} has no effect.\n"
                f"  Add {FLAGS[needed].name}, or leave it out."
            )


def _give_way(preset: dict[str, Any], shares: dict[str, float], given: dict[str, Any]) -> tuple:
    """Drop of a preset what the given flags say otherwise."""
    beaten = {
        mine.partition("=")[0]
        for one, other, _ in CONFLICTS
        for mine, theirs in ((one, other), (other, one))
        if is_on(preset, mine) and is_on(given, theirs)
    }
    kept = {
        name: value for name, value in preset.items() if name not in given and name not in beaten
    }
    _, out = _film_name(given)
    fitting = CODECS_BY_SUFFIX.get(out.suffix.lower(), tuple(CODECS))
    if "codec" in kept and kept["codec"] not in fitting:
        del kept["codec"]
    if is_on(given, "autozoom"):
        shares = {name: share for name, share in shares.items() if not name.startswith("end")}
    if not FRAMED.intersection(given.get("move", "windows").split(",")):
        shares = {name: shares[name] for name in shares if not name.startswith(("start", "end"))}
    if "focal_px" in given:
        shares = {name: share for name, share in shares.items() if name != "focal"}
    if "focus" in given:
        shares = {name: share for name, share in shares.items() if not name.startswith("focus")}
    return kept, shares


def _move(values: dict[str, Any], shares: dict[str, float]) -> str:
    """Which move is meant: the one that is named, or that of the windows, if anything says some."""
    if is_on(values, "dolly"):
        return "dolly"
    move = values.get("move", "auto")
    framed = any(is_on(values, name) for name in ("flat", "autozoom", *WINDOW_FLAGS))
    framed = framed or any(name.startswith(("start", "end")) for name in shares)
    return "windows" if move == "auto" and framed else move


def _film_name(values: dict[str, Any]) -> tuple[str, Path]:
    """Return the flag that says where the film goes, and what it says."""
    name = "slideshow" if "slideshow" in values else "out"
    return FLAGS[name].name, values[name]


def _codec(values: dict[str, Any]) -> str:
    """Choose the codec by the flag or by the suffix of the film's name; they must agree."""
    (flag, out), codec = _film_name(values), values.get("codec")
    fitting = CODECS_BY_SUFFIX.get(out.suffix.lower())
    if fitting is None and "slideshow" in values:
        raise ValueError(
            f"{flag} {out}: must be a film's name.\n  End it in {', '.join(CODECS_BY_SUFFIX)}."
        )
    if fitting is None:
        _check_folder_name(out)
        return codec or "h264"
    if codec and codec not in fitting:
        raise ValueError(
            f"--codec {codec} does not go into a {out.suffix} file.\n"
            f"  Choose {' or '.join(fitting)}, or another suffix."
        )
    return codec or fitting[0]


def _check_folder_name(out: Path) -> None:
    """Refuse a name that was meant as a film's, of a kind that is not written."""
    if re.fullmatch(r"\.[A-Za-z]\w{1,4}", out.suffix) and not out.is_dir():
        raise ValueError(
            f"--out {out}: no film is written as {out.suffix}.\n"
            f"  Choose {', '.join(CODECS_BY_SUFFIX)}; a folder of that name must be "
            "there already."
        )
