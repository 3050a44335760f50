"""What is written: files, flags and the table of flags are those of the code."""

import re
from pathlib import Path

import pytest

import train
from benchmarks import depth, inpainting
from docs import flags
from utils.cli.flags import build_parser
from utils.weights import download

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
FOLDERS = r"(?:benchmarks|docs|images|kernels|models|tests|utils|\.ci)/"
# Made by whoever trains or downloads.
LATER = ("models/trained/", "models/toy.py")


def named_paths(text):
    """Paths of this repository in backticks, in links and in commands, as far as they are whole."""
    for path in re.findall(rf"(?<![\w/.-]){FOLDERS}[\w./-]*", text):
        yield path.rstrip(".")
    yield from re.findall(r"`([\w-]+\.(?:py|toml|sh|txt|yaml))`", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page):
    text = page.read_text()
    links = re.findall(r"\]\((?!http|#)([^)#]+)", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    for path in named_paths(text):
        if path.startswith(LATER) or any((folder / path).exists() for folder in (ROOT, page.parent)):
            continue
        missing.append(path)
    assert not missing


def test_modules_that_a_page_runs_are_there():
    for page in PAGES:
        for name in re.findall(r"python -m ((?:benchmarks|utils|tests|docs)[\w.]*)", page.read_text()):
            place = ROOT / name.replace(".", "/")
            assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), name


def test_table_of_flags_is_that_of_the_declarations():
    assert (ROOT / "docs" / "flags.md").read_text() == flags.page(), (
        "to accept: python -m docs.flags > docs/flags.md")


def test_table_of_flags_lists_every_flag_once():
    for rows, parser in ((flags.rows_of_kbe(), build_parser()),
                         (flags.rows_of_train(), train.make_parser())):
        shown = [row.name for row in rows]
        taken = re.findall(r"^  (?:-\w, )?(--[\w-]+)", parser.format_help(), re.MULTILINE)
        assert sorted(shown) == sorted(set(taken) - {"--help", "--version"})


def test_flags_that_the_readme_names_are_taken():
    text = (ROOT / "README.md").read_text()
    others = r"(?m)^(?:.*\bray start|.*\bpytest) .*$"  # programs of others, with flags of theirs
    named = set(re.findall(r"(?<![\w-])--[\w-]*\w", re.sub(others, "", text)))
    taken = set()
    for said in (build_parser().format_help(), train.make_parser().format_help(), download.__doc__,
                 *((ROOT / "benchmarks" / f"{name}.py").read_text()
                   for name in ("batch", "depth", "inpainting", "pipeline"))):
        taken |= set(re.findall(r"--[\w-]*\w", said))
    assert depth.parse and inpainting.parse
    assert not named - taken
