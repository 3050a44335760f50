"""Functions stay small enough to read: at most eight arguments, at most sixty lines.

And tuned numbers stay few, and known: docs/method/constants.md has them all.
"""

import ast
from pathlib import Path

import pytest

from benchmarks.constants import TABLE, rows, tuned

ROOT = Path(__file__).resolve().parents[1]
MOST_ARGUMENTS, MOST_LINES = 8, 60
MOST_TUNED = 245  # numbers in the rooms of benchmarks/constants.py; it only falls
# Larger ones that are there already. None is added; what has become small leaves the list.
ROOMS = ("kernels", "models", "utils")
MANY_ARGUMENTS = {
    "kernels/patches.py": {"search", "seed_field", "vote"},
    "kernels/quilting.py": {"_cost", "lay_blocks", "seed_blocks", "spread_blocks"},
    "utils/scene/quilting.py": {"_followed"},
}
MANY_LINES = {
    "kernels/patches.py": {"search"},
    "kernels/quilting.py": {"lay_blocks"},
    "utils/scene/patches.py": {"_complete_level"},
}


def functions(node, inside=""):
    """(name, node) of all functions in a piece of code, those of classes with the class's name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield inside + child.name, child
        within = f"{inside}{child.name}." if isinstance(child, ast.ClassDef) else inside
        yield from functions(child, within)


def arguments(function):
    """How many a caller may have to give."""
    given = function.args
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def lines(function):
    return function.end_lineno - function.lineno + 1


def larger(most, measure, known):
    """Functions that are larger, and are not known to be: "file: name, how large"."""
    files = [*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]
    found = []
    for path in files:
        file = path.relative_to(ROOT).as_posix()
        for name, node in functions(ast.parse(path.read_text(encoding="utf-8"))):
            if measure(node) > most and name not in known.get(file, ()):
                found.append(f"{file}: {name}, {measure(node)}")
    return found


def test_no_function_takes_more_than_eight_things():
    assert not larger(MOST_ARGUMENTS, arguments, MANY_ARGUMENTS)


def test_no_function_is_longer_than_a_screen():
    assert not larger(MOST_LINES, lines, MANY_LINES)


@pytest.mark.parametrize(
    ("most", "measure", "known"),
    [(MOST_ARGUMENTS, arguments, MANY_ARGUMENTS), (MOST_LINES, lines, MANY_LINES)],
)
def test_what_has_become_small_leaves_the_list(most, measure, known):
    found = {entry.rpartition(",")[0] for entry in larger(most, measure, {})}
    assert {f"{file}: {name}" for file in known for name in known[file]} == found


def test_what_is_counted():
    tree = ast.parse(
        "class A:\n    def f(self, a, /, b, *c, d=1, **e):\n        def g():\n            ''\n"
    )
    found = dict(functions(tree))
    assert {name: (arguments(f), lines(f)) for name, f in found.items()} == {
        "A.f": (3, 3),
        "A.g": (0, 2),
    }


def test_tuned_numbers_become_fewer():
    assert len(tuned()) <= MOST_TUNED, (
        "unite some; what is no tuning: FIXED, benchmarks/constants.py"
    )


def test_the_table_of_tuned_numbers_has_all_of_them_as_they_are():
    """If not: python -m benchmarks.constants --table (with --data before it, to try them anew)."""
    table = rows(TABLE.read_text(encoding="utf-8"))
    assert [line[:3] for line in table] == [
        (number.file, number.name, number.told) for number in tuned()
    ]
