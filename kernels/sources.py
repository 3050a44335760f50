"""Which files of the project compiled code is made of, and a digest of them to know it by.

Numba and CuPy keep machine code on disk by the text of one file. Constants and helpers from other
files are frozen into it, and would live on there after a change.
"""

from __future__ import annotations

import ast
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
IMPORT = re.compile(r"^(?:from|import)\s[^(\n]*(?:\([^)]*\))?", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


@cache
def digest(path: str | Path) -> str:
    """Return 16 hexadecimal digits that stand for a source file and all that it reaches.

    Args:
        path: a Python file (which reaches what it imports from the project, and so on), or one for
            CUDA (which reaches what it includes).
    Raises:
        OSError: a file cannot be read.
    """
    content = hashlib.sha256()
    for file in reached(path):
        text = file.read_bytes()
        content.update(f"{file.name} {len(text)}\n".encode() + text)
    return content.hexdigest()[:16]


def reached(path: str | Path) -> list[Path]:
    """Return a source file and all files of the project that it reaches, in a fixed order."""
    found, waiting = set(), [Path(path).resolve()]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _needed(file)
    return sorted(found)


@cache
def _needed(file):
    """The files of the project that one file imports or includes itself."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        return [file.parent / name for name in INCLUDE.findall(text)]
    return [found for node in _imports(text) for found in _imported(node, file)]


def _imports(text):
    """The import statements at the left margin of a Python file."""
    try:
        body = ast.parse("\n".join(IMPORT.findall(text))).body
    except SyntaxError:  # words of a docstring, too: slower, but sure
        body = ast.parse(text).body
    return [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]


def _imported(node: ast.Import | ast.ImportFrom, file: Path) -> Iterator[Path]:
    """The files behind an import at the top of a file; none if it is not the project's."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from _files(ROOT.joinpath(*alias.name.split(".")))
        return
    start = file.parents[node.level - 1] if node.level else ROOT
    module = start.joinpath(*(node.module or "").split("."))
    for alias in node.names:
        inner = list(_files(module / alias.name))
        yield from inner or _files(module)


def _files(module):
    """The file of a module; of a package all, since it hands on names from any of them."""
    if module.is_dir():
        return sorted(module.glob("*.py"))
    file = module.with_name(f"{module.name}.py")
    return [file] if file.is_file() else []
