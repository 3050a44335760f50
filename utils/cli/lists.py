"""Lists of photos with a word on each: `--in shots.csv` or shots.jsonl.

A list may come from a spreadsheet or a program: a header (or keys) says what stands where, and what
is blank is as the command line has it. Every value goes through the checks of its flag.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from utils import UsageError
from utils.cli.flags import FLAGS, FRAMED, WINDOW_FLAGS, Settings, check_together
from utils.files import as_spelt

LIST_SUFFIXES = (".csv", ".tsv", ".jsonl")
# What a list may say of a photo, and the setting that it is.
COLUMNS = {
    "move": "move",
    "strength": "strength",
    "seconds": "duration",
    "focus": "focus",
    "crossfade": "crossfade",
    **{name: name for name in WINDOW_FLAGS},
}
COLUMNS = {column: name for column, name in COLUMNS.items() if name in FLAGS}
NUMBERS = COLUMNS.keys() - {"move", "focus"}
KNOWN = ("photo", "windows", *COLUMNS)  # windows: several of the last eight in one cell
AS_KNOWN = {name.lower(): name for name in KNOWN}
SEPARATOR = re.compile(r'"?sep=([,;\t])"?\s*$', re.I)  # Excel's own line before the header
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")


def is_list(text: str) -> bool:
    """Whether a word of --in names a list of photos."""
    return Path(text).suffix.lower() in LIST_SUFFIXES and Path(text).expanduser().is_file()


def read_list(path: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Read a list of photos.

    Args:
        path: CSV with a header (commas, semicolons or tabs), or JSON lines. Numbers may have a
            decimal comma, and names of columns capitals, as spreadsheets write them.
    Returns:
        list of (photo, {setting: value}); photos as seen from where the command is given.
    Raises:
        UsageError: names the line, what is wrong with it, and what works.
    """
    text = _text(path)
    rows = _json_rows(path, text) if path.suffix.lower() == ".jsonl" else _csv_rows(path, text)
    shots = []
    for line, row in rows:
        where = f"{path}, line {line}"
        said = {_as_known(name): value for name, value in row.items() if not _is_blank(value)}
        _check_names(said, where)
        photo = said.pop("photo", None)
        if not isinstance(photo, str):
            raise UsageError(f"{where}: names no photo.\n  Give each line one in `photo`.")
        shots.append((as_spelt(path.parent / Path(photo).expanduser()), _choice(said, where)))
    if not shots:
        raise UsageError(f"{path}: names no photos.\n  Give each a line below the header.")
    return shots


def settle(choice: dict[str, Any], settings: Settings, photo: Path) -> dict[str, Any]:
    """Return what a list says of a photo, with what follows from it: it beats the command line.

    Raises:
        UsageError: a move that the command line leaves no room for.
    """
    windows = choice.keys() & set(WINDOW_FLAGS)
    move = choice.get("move")
    if move is None and windows and not FRAMED.issuperset(settings.moves):
        move = "windows"
    if move is None:
        return choice
    try:
        check_together({"flat": settings.flat, "move": move})
    except ValueError as error:
        raise UsageError(f"{photo}: {error}") from None
    settled: dict[str, Any] = {"move": move, "dolly": move == "dolly", "autozoom": False}
    if not FRAMED.intersection(move.split(",")):  # those of the command line do not matter
        settled |= dict.fromkeys(WINDOW_FLAGS)
        settled["shares"] = {
            name: share for name, share in settings.shares.items() if name[:3] not in ("sta", "end")
        }
    return settled | choice


def _text(path: Path) -> str:
    data = path.read_bytes()
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(
            f"{path}: is no text in UTF-8.\n  Save it as such (in Excel: CSV UTF-8)."
        ) from None


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    head = (text.strip("\r\n ").splitlines() or [""])[0]
    said = SEPARATOR.match(head)
    delimiter = said[1] if said else max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names: list[str] | None = None
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells) or names is None and said and cells[0].lower().startswith("sep="):
                continue
            where = f"{path}, line {reader.line_num}"
            if names is None:
                names = [_as_known(cell) for cell in cells]
                _check_header(names, where)
            elif len(cells) > len(names):
                raise UsageError(
                    f"{where}: has {len(cells)} cells, and the header names {len(names)}."
                )
            else:
                yield reader.line_num, dict(zip(names, cells, strict=False))
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: is no CSV: {error}.") from None


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, part in enumerate(text.split("\n"), start=1):
        if not part.strip():
            continue
        try:
            row = json.loads(part)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}, line {line}: is no JSON: {error}.") from None
        if not isinstance(row, dict):
            raise UsageError(f'{path}, line {line}: is no object such as {{"photo": "a.jpg"}}.')
        yield line, row


def _check_header(names: list[str], where: str) -> None:
    _check_names({name: None for name in names if name}, where)
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice or "photo" not in names:
        what = f"names {twice[0]!r} twice" if twice else "has no column `photo`"
        raise UsageError(f"{where}: the header {what}.\n  It may name {', '.join(KNOWN)}.")


def _check_names(row: dict[str, Any], where: str) -> None:
    for name in row:
        if name not in KNOWN:
            raise UsageError(f"{where}: {name!r} is unknown.\n  Known are {', '.join(KNOWN)}.")


def _as_known(name: str) -> str:
    return AS_KNOWN.get(name.lower(), name)


def _is_blank(value: Any) -> bool:
    return value is None or isinstance(value, str) and not value.strip()


def _choice(row: dict[str, Any], where: str) -> dict[str, Any]:
    """Return {setting: value} of a row without its photo."""
    if "windows" in row:
        row = _windows(row.pop("windows"), where) | row
    choice = {}
    for column, value in row.items():
        flag = FLAGS[COLUMNS[column]]
        if isinstance(value, list):  # as JSON has (u, v)
            value = ",".join(map(str, value))
        if isinstance(value, str) and column in NUMBERS and DECIMAL_COMMA.fullmatch(value):
            value = value.replace(",", ".")
        try:
            if isinstance(value, bool):
                raise ValueError(f"{flag.name}: invalid value {value!r}.")
            choice[flag.field] = flag.convert(value)
        except ValueError as error:
            raise UsageError(f"{where}, {column}: {error}") from None
    try:
        check_together(choice)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from None
    return choice


def _windows(value: Any, where: str) -> dict[str, Any]:
    """Return {"startU": ..., ...} of a cell such as `startW=800 endU=320`, or of an object."""
    if isinstance(value, str):
        value = dict(word.partition("=")[::2] for word in value.replace(",", " ").split())
    if not isinstance(value, dict) or value.keys() - set(WINDOW_FLAGS):
        raise UsageError(
            f"{where}, windows: must name numbers, such as startW=800 endU=320 endW=400.\n"
            f"  Known are {', '.join(WINDOW_FLAGS)}."
        )
    return value
