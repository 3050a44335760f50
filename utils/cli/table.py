"""Print docs/flags.md, all flags of kbe.py and train.py: python -m utils.cli.table > it."""

import re
from typing import NamedTuple

from utils.cli import flags as kbe_flags
from utils.cli import train_flags
from utils.cli.declare import LOOK, Flag, flags_of

HEAD = """\
# Flags

Made by `python -m utils.cli.table > docs/flags.md` from the declarations; do not edit it by hand.
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


def rows_of_kbe() -> list[Row]:
    """Return the flags of kbe.py."""
    rows = []
    for flag in flags_of(kbe_flags.Settings).values():
        scaled = flag.field in (*kbe_flags.WINDOW_FLAGS, "focal_px")
        rows.append(_row(flag, "scaled" if scaled else "yes" if flag.effect == LOOK else "no"))
    return rows


def rows_of_train() -> list[Row]:
    """Return the flags of train.py."""
    return [_row(flag) for flag in flags_of(train_flags.Settings).values()]


def _row(flag: Flag, like: str = "") -> Row:
    """Sort what a flag says of itself into the columns."""
    options, said, default = flag.options, flag.help, flag.default
    value = "" if flag.switch else "|".join(flag.choices) or options["metavar"]
    if options.get("nargs") == "+":
        value += " ..."
    elif options.get("nargs") == "?":
        value = f"[{value}]"
    in_words = re.search(r" ?\(default: (.*)\)", said, re.DOTALL)
    if flag.required:
        default = "needed"
    elif in_words:
        said, default = said.replace(in_words[0], ""), in_words[1]
    elif flag.switch or default is None or default == ():
        default = ""
    return Row(flag.group.title, flag.name, value, str(default), said.replace("%%", "%"), like)


def table(rows: list[Row]) -> str:
    """Write rows as Markdown, a table per group."""
    lines, with_like = [], any(row.like for row in rows)
    for group in dict.fromkeys(row.group for row in rows):
        columns = ["flag", "value", "default", "what it does"] + ["`--like`"] * with_like
        lines += [
            "",
            f"### {group[0].upper()}{group[1:]}",
            "",
            _line(columns),
            "|---" * len(columns) + "|",
        ]
        for row in rows:
            if row.group == group:
                value = row.value and f"`{row.value}`"
                lines.append(
                    _line([f"`{row.name}`", value, row.default, row.what] + [row.like] * with_like)
                )
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    cells = [cell.replace("|", r"\|").replace("<", "&lt;") for cell in cells]
    return "| " + " | ".join(cells) + " |"


def page() -> str:
    """Return the whole of docs/flags.md."""
    return f"{HEAD}\n## kbe.py\n{LIKE}{table(rows_of_kbe())}\n## train.py\n{table(rows_of_train())}"


if __name__ == "__main__":
    print(page(), end="")
