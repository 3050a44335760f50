"""What is written: files, flags and the table of flags are those of the code."""

import re
from pathlib import Path

import pytest

import train
from utils.cli import table
from utils.cli.flags import build_parser
from utils.weights import download

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
FOLDERS = r"(?:benchmarks|docs|images|kernels|models|tests|utils|\.ci)/"
FLAG = r"(?<![\w-])--[a-zA-Z0-9](?:-?\w)*(?![\w-])"
# Made by whoever trains, downloads or tries; and the example of a data set.
LATER = ("models/trained/", "models/toy.py", "images/000")


def missing_paths(page):
    """Paths of this repository that a page names or links to, and that are not there."""
    text = page.read_text()
    for link in re.findall(r"\]\((?!http|#)([^)#]+)", text):
        if not (page.parent / link).exists():
            yield link
    for path in re.findall(rf"(?<![\w/.-]){FOLDERS}[\w./-]*\w", text):
        if not path.startswith(LATER) and not any(
            (folder / path).exists() for folder in (ROOT, page.parent)
        ):
            yield path
    for name in re.findall(r"`([\w-]+\.(?:py|toml|sh|txt|yaml))`", text):
        if not any(ROOT.rglob(name)):
            yield name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page):
    assert not list(missing_paths(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_a_page_runs_are_there(page):
    for name in re.findall(r"python -m ((?:benchmarks|utils|tests)[\w.]*\w)", page.read_text()):
        place = ROOT / name.replace(".", "/")
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), name


def test_table_of_flags_is_that_of_the_declarations():
    assert (ROOT / "docs" / "flags.md").read_text() == table.page(), (
        "to accept: python -m utils.cli.table > docs/flags.md"
    )


def test_table_of_flags_lists_every_flag_once():
    for rows, parser in (
        (table.rows_of_kbe(), build_parser()),
        (table.rows_of_train(), train.make_parser()),
    ):
        shown = [row.name for row in rows]
        taken = re.findall(r"^  (?:-\w, )?(--[\w-]+)", parser.format_help(), re.MULTILINE)
        assert sorted(shown) == sorted(set(taken) - {"--help", "--version"})


def test_the_front_page_is_one_page():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_every_page_is_linked_from_the_front_page():
    linked = re.findall(r"\]\(docs/(\w+\.md)\)", (ROOT / "README.md").read_text())
    assert {path.name for path in (ROOT / "docs").glob("*.md")} == set(linked)


def test_every_page_of_the_method_is_linked_from_its_first():
    linked = re.findall(r"\]\(method/(\w+\.md)\)", (ROOT / "docs" / "method.md").read_text())
    assert {path.name for path in (ROOT / "docs" / "method").glob("*.md")} == set(linked)


def test_sections_that_the_code_points_to_are_there():
    """As in "docs/method/inpainting.md, Filling": the page, and what it calls by that name."""
    for path in (*ROOT.rglob("*.py"), *ROOT.glob("kernels/*.cu")):
        for page, name in re.findall(r"docs/method/(\w+)\.md(?:, ([A-Z]\w+))?", path.read_text()):
            there = ROOT / "docs" / "method" / f"{page}.md"
            assert there.exists(), f"{path}: {there}"
            assert re.search(rf"(?m)^#+ {name}|\*\*{name}|\b{name}\b", there.read_text()), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_flags_that_a_page_names_are_taken(page):
    text = page.read_text()
    # Programs of others, with flags of theirs.
    others = r"(?m)^(?:.*\bray start|.*\bpytest) .*$|\buv pip install --\S+"
    others += r'|\bdocker run(?: --\w+(?: "[^"]*")?)+'
    named = set(re.findall(FLAG, re.sub(others, "", text)))
    taken = set()
    for said in (
        build_parser().format_help(),
        train.make_parser().format_help(),
        download.__doc__,
        *(path.read_text() for path in (ROOT / "benchmarks").glob("*.py")),
    ):
        taken |= set(re.findall(FLAG, said))
    assert not named - taken
