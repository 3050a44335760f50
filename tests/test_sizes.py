"""Functions stay small enough to read: at most eight arguments, at most sixty lines.

And tuned numbers stay few, and known: docs/method/constants.md has them all.
"""

import ast
import re
from pathlib import Path

from benchmarks.constants import TABLE, rows, tried, tuned

ROOT = Path(__file__).resolve().parents[1]
MOST_ARGUMENTS, MOST_LINES = 8, 60
MOST_TUNED = 110  # numbers in the rooms of benchmarks/constants.py; it only falls
ROOMS = ("kernels", "models", "utils")
REASON = re.compile(r"benchmarks[./]|tests?\b|measured|by eye", re.IGNORECASE)


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


def larger(most, measure):
    """Functions that are larger: "file: name, how large"."""
    files = [*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]
    found = []
    for path in files:
        file = path.relative_to(ROOT).as_posix()
        for name, node in functions(ast.parse(path.read_text(encoding="utf-8"))):
            if measure(node) > most:
                found.append(f"{file}: {name}, {measure(node)}")
    return found


def test_no_function_takes_more_than_eight_things():
    assert not larger(MOST_ARGUMENTS, arguments)


def test_no_function_is_longer_than_a_screen():
    assert not larger(MOST_LINES, lines)


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


def test_each_tuned_number_says_what_it_was_chosen_by():
    """In its paragraph of the code: a benchmark, tests, what was measured, or "by eye"."""
    silent = []
    for number in tuned():
        paragraphs = (ROOT / number.file).read_text(encoding="utf-8").split("\n\n")
        assigned = re.compile(rf"^(\w+, )*{number.name}\b.* = ", re.MULTILINE)
        told = next(each for each in paragraphs if assigned.search(each))
        if not REASON.search(told):
            silent.append(number.key)
    assert not silent


def test_the_table_of_tuned_numbers_has_all_of_them_as_they_are():
    """If not: python -m benchmarks.constants --table (with --data before it, to try them anew)."""
    table = rows(TABLE.read_text(encoding="utf-8"))
    assert [line[:3] for line in table] == [
        (number.file, number.name, number.told) for number in tried()
    ]
