"""Print docs/flags.md, every flag of kbe.py and train.py: python -m docs.flags > docs/flags.md."""

import argparse
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import train
from utils.cli import flags as kbe
from utils.cli.declare import LOOK, flags_of

HEAD = """\
# Flags

Made by `python -m docs.flags > docs/flags.md` from the declarations; do not edit it by hand.
`--help` of either program says the same.
"""
LIKE = """
`--like` is *yes* where a film made with `--like FILM` takes the flag over from that film, and
*scaled* where it takes it over as a share of the photo. What the command line gives wins.
"""


class Row(NamedTuple):
    """A flag as the table shows it."""

    group: str
    name: str
    value: str  # what follows it; empty for a switch
    default: str
    what: str
    like: str = ""


def rows_of_kbe() -> Iterator[Row]:
    """Yield the flags of kbe.py."""
    for flag in kbe.FLAGS.values():
        scaled = flag.field in (*kbe.WINDOW_FLAGS, "focal_px")
        like = "scaled" if scaled else "yes" if flag.effect == LOOK else "no"
        default = "needed" if flag.required else flag.default
        yield _row(flag.group.title, flag.name, flag.options, default, flag.help, like,
                   flag.switch)


def rows_of_train() -> Iterator[Row]:
    """Yield the flags of train.py: from its declarations, or else from its parser."""
    declared = flags_of(train.Settings)
    for flag in declared.values():
        yield _row(flag.group.title, flag.name, flag.options,
                   "needed" if flag.required else flag.default, flag.help, "", flag.switch)
    if declared:
        return
    for group in train.make_parser()._action_groups:
        for action in group._group_actions:
            if action.default is argparse.SUPPRESS:  # --help
                continue
            said = action.help % vars(action)
            yield _row(group.title, action.option_strings[0], vars(action), action.default, said,
                       "", action.nargs == 0)


def _row(group: str, name: str, options: dict[str, Any], default: Any, said: str, like: str,
         switch: bool) -> Row:
    """Sort what a flag says of itself into the columns."""
    value = "" if switch else "|".join(options.get("choices") or ()) or options["metavar"]
    if options.get("nargs") == "+":
        value += " ..."
    elif options.get("nargs") == "?":
        value = f"[{value}]"
    in_words = re.search(r" ?\(default: (.*)\)", said, re.DOTALL)
    if in_words:
        said, default = said.replace(in_words[0], ""), in_words[1]
    elif switch or default is None or default in ((), []):
        default = ""
    return Row(group, name, value, str(default), said.replace("%%", "%"), like)


def table(rows: list[Row]) -> str:
    """Write rows as Markdown, a table per group."""
    lines, with_like = [], any(row.like for row in rows)
    for group in dict.fromkeys(row.group for row in rows):
        columns = ["flag", "value", "default", "what it does"] + ["`--like`"] * with_like
        lines += ["", f"### {group[0].upper()}{group[1:]}", "", _line(columns),
                  "|---" * len(columns) + "|"]
        for row in rows:
            if row.group == group:
                value = row.value and f"`{row.value}`"
                lines.append(_line([f"`{row.name}`", value, row.default, row.what]
                                   + [row.like] * with_like))
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    cells = [cell.replace("|", r"\|").replace("<", "&lt;") for cell in cells]
    return "| " + " | ".join(cells) + " |"


def page() -> str:
    """Return the whole of docs/flags.md."""
    return (f"{HEAD}\n## kbe.py\n{LIKE}{table(list(rows_of_kbe()))}"
            f"\n## train.py\n{table(list(rows_of_train()))}")


if __name__ == "__main__":
    print(page(), end="")
