"""A user's own folders: their files, or one line that says what is missing."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from utils.files import data_files
from utils.film.kinds import PHOTO_SUFFIXES


def files_like(folder: str | Path, pattern: str) -> list[Path]:
    """Return the files of a folder that match a pattern, sorted.

    Raises:
        ValueError: there is no such folder, or none of them.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder.")
    found = sorted(folder.glob(pattern))
    if not found:
        raise ValueError(f"{folder}: holds no {pattern}; see --help for what is to lie there.")
    return found


def photos_in(folder: str | Path) -> list[Path]:
    """Return the photos of a folder, of every kind that is read, sorted.

    Raises:
        ValueError: there is no such folder, or no photo in it.
    """
    folder = Path(folder)
    found = data_files(folder, PHOTO_SUFFIXES) if folder.is_dir() else []
    if not found:
        raise ValueError(f"{folder}: there are no photos.")
    return found


def photo_of(folder: str | Path, stem: str) -> Path:
    """Return the photo `images/STEM.*` of a folder.

    Raises:
        ValueError: there is none.
    """
    for path in sorted((Path(folder) / "images").glob("*")):
        if path.stem == stem and path.suffix.lower() in PHOTO_SUFFIXES:
            return path
    raise ValueError(f"{folder}: no photo images/{stem}.* beside the map of that name.")


def run_telling(main: Callable[[], int | None]) -> NoReturn:
    """Run a benchmark and exit; what a file or a folder lacks is told in one line."""
    try:
        status = main()
    except (ValueError, OSError, KeyError) as error:
        said = f"it lacks {error}" if isinstance(error, KeyError) else error
        sys.exit(f"{Path(sys.argv[0]).name}: error: {said}")
    sys.exit(status)
