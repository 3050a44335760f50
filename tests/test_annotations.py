"""Every public function says what it takes and returns."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ["kernels", "models", "utils", "data_loader.py", "kbe.py", "train.py"]
SPECIAL = {"__init__", "__call__", "__len__", "__getitem__", "__iter__", "__enter__", "__exit__"}


def functions(body, inside=""):
    """Public functions and methods, with dotted names."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from functions(node.body, f"{inside}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not node.name.startswith("_") or node.name in SPECIAL:
                yield inside + node.name, node
        elif isinstance(node, ast.If | ast.Try):
            yield from functions(node.body, inside)


def unannotated(path):
    """What is missing in a file: "line function: names"."""
    found = []
    for name, node in functions(ast.parse(path.read_text(encoding="utf-8")).body):
        given = node.args
        named = [
            *given.posonlyargs,
            *given.args,
            *given.kwonlyargs,
            *filter(None, (given.vararg, given.kwarg)),
        ]
        missing = [
            one.arg for one in named if one.annotation is None and one.arg not in ("self", "cls")
        ]
        missing += ["return"] * (node.returns is None)
        if missing:
            found.append(f"{node.lineno} {name}: {', '.join(missing)}")
    return found


def files():
    """All files of the rooms, relative to the root."""
    for room in ROOMS:
        place = ROOT / room
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            yield path.relative_to(ROOT).as_posix()


def test_public_functions_are_annotated():
    missing = {name: found for name in files() if (found := unannotated(ROOT / name))}
    assert not missing
