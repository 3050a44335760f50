"""Files: which are data, how they appear complete or not at all, and what identifies one."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# What systems put into people's folders, in lower case; and whatever begins with a dot.
NO_DATA = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin"}
# Names that mean devices on Windows, whatever suffix follows.
DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)),
}
PARTIAL = ".partial-"  # hidden, so that a glob over results never meets a half-written file

ADVICE = {
    errno.ENOSPC: "Free some space",
    errno.EDQUOT: "Free some space",
    errno.EFBIG: "Make a smaller film",
    errno.ENAMETOOLONG: "Give a shorter name",
}


def is_data(path: Path, below: Path | None = None) -> bool:
    """Whether an entry that was met in a folder, a pattern or a list can be a file of data.

    Folders are none, whatever their names; nor are hidden files and those that systems leave
    behind, nor anything in a folder of that kind.

    Args:
        path: pathlib.Path.
        below: the folder in which the search began; what lies above it does not matter.
    """
    parts = path.relative_to(below).parts if below else (path.name,)
    return not any(map(is_hidden, parts)) and not os.path.isdir(path)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or a system's own."""
    return name.startswith(".") and name not in (".", "..") or name.lower() in NO_DATA


def data_files(folder: Path, suffixes: Collection[str], recursive: bool = False) -> list[Path]:
    """Return the data files of a folder that end in one of `suffixes`, sorted.

    Args:
        folder: pathlib.Path.
        suffixes: in lower case, with their dots.
        recursive: also those in its sub-folders.
    """
    return [
        path
        for path in data_entries(folder, recursive)
        if path.suffix.lower() in suffixes and path.is_file()
    ]


def data_entries(folder: Path, recursive: bool = False) -> list[Path]:
    """Return everything in a folder that can be data, sorted, of whatever kind.

    Links are followed; a sub-folder to which several names lead is entered once, so links may lead
    in circles. A sub-folder that cannot be opened is among the entries itself.

    Args:
        folder: pathlib.Path.
        recursive: also what lies in its sub-folders.
    Raises:
        OSError: the folder itself cannot be opened.
    """
    entries, seen = [], set()
    folders, linked = [folder], list[Path]()
    while folders or linked:
        inside = folders.pop() if folders else linked.pop(0)  # a folder's own name before a link's
        try:
            there = inside.stat()
            if (there.st_dev, there.st_ino) in seen:
                continue
            seen.add((there.st_dev, there.st_ino))
            found = sorted(inside.iterdir())
        except OSError:
            if inside == folder:
                raise
            entries.append(inside)
            continue
        for path in found:
            if is_hidden(path.name):
                continue
            if not os.path.isdir(path):
                entries.append(path)
            elif recursive:
                (linked if path.is_symlink() else folders).append(path)
    return sorted(entries)


def as_spelt(path: Path) -> Path:
    """The file that a path means, if its name is spelt with other accents (see `plain_name`).

    Returns:
        `path` itself if there is such a file, or none of either spelling.
    """
    if path.name.isascii() or os.path.exists(path) or not os.path.isdir(path.parent):
        return path
    same = (p for p in path.parent.iterdir() if plain_name(p.name) == plain_name(path.name))
    return next(same, path)


def plain_name(name: str) -> str:
    """A name in one spelling (NFC): file systems and archives store accents in two."""
    return unicodedata.normalize("NFC", name)


def portable_name(name: str) -> str:
    """Return a name that Windows, too, takes for a folder: no device's, no dot or blank at its end.

    Args:
        name: of a photo, without its suffix; "..jpg" must not lead out of a folder.
    Returns:
        str, never empty.
    """
    name = name.rstrip(". ") or "photo"
    first, dot, rest = name.partition(".")
    return f"{first.rstrip()}_{dot}{rest}" if first.rstrip().lower() in DEVICES else name


def is_special(path: Path) -> bool:
    """Whether something is there that is neither a file nor a folder: a device, pipe or socket."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


@contextlib.contextmanager
def complete_or_absent(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it there on success, delete it on any failure.

    The temporary name keeps the suffix, since encoders and image writers choose by it.

    Args:
        path: the final file. Its folder must exist.
    Yields:
        pathlib.Path: where to write; on the same file system, so the rename is atomic.
    Raises:
        OSError: the folder is missing or not writable, or `path` is a device or a pipe.
    """
    path = real_path(path)  # a link is followed: what it points to is replaced
    if is_special(path):
        raise OSError(errno.EINVAL, "is a device or a pipe, which a file would replace", str(path))
    temporary = _partial_beside(path)
    with _locked(temporary, temporary.touch):
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            # Windows removes nothing that is open, and must not hide why it was given up.
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_complete_or_absent(path: str | Path | None | bool) -> Iterator[Path | None]:
    """Like `complete_or_absent` for a folder; an older one of that name is replaced as a whole.

    Args:
        path: the final folder, in one that exists; None or False yields None.
    Yields:
        pathlib.Path of an empty folder to fill, or None.
    """
    if not path:
        yield None
        return
    path = Path(str(path))
    temporary = _partial_beside(path)
    with _locked(temporary, temporary.mkdir):
        try:
            filled = temporary / "filled"
            filled.mkdir()
            yield filled
            older = temporary / "older"
            if path.exists():
                os.replace(path, older)
            try:
                os.replace(filled, path)
            except OSError:  # a program has something in it open, on Windows
                if older.exists():
                    os.replace(older, path)
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def real_path(path: str | Path) -> Path:
    """Return the pathlib.Path without links on the way, also of what is not there yet."""
    return Path(os.path.realpath(path))


def remove_leftovers(folder: str | Path) -> None:
    """Remove what killed runs left half-written in a folder; what is being written is locked.

    Where the system has no locks (Windows, some network file systems), nothing is removed.
    """
    for path in Path(folder).glob(f"{PARTIAL}*") if fcntl else ():
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            finally:
                os.close(handle)


def _partial_beside(path):
    return path.with_name(f"{PARTIAL}{secrets.token_hex(8)}{path.suffix}")


@contextlib.contextmanager
def _locked(path, create):
    """Create a file or folder and lock it, so that `remove_leftovers` knows it is in use."""
    with contextlib.ExitStack() as stack:
        while not path.exists():  # again, if another run removes it before it is locked
            create()
            with contextlib.suppress(OSError):  # a file system without locks
                if fcntl:
                    handle = os.open(path, os.O_RDONLY)
                    stack.callback(os.close, handle)
                    fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def naming_write_errors(path: str | Path, flag: str = "--out") -> Iterator[None]:
    """Turn the system's errors into ones that name the result, not a temporary file.

    Args:
        path: the result that is being written.
        flag: that says where results go.
    Raises:
        OSError: with the same errno, saying what to do.
    """
    try:
        yield
    except OSError as error:
        what = error.strerror or str(error)
        advice = ADVICE.get(error.errno or 0, "Make it writable, close what has it open,")
        named = OSError(f"{path}: cannot be written: {what}. {advice} or choose another {flag}.")
        named.errno = error.errno
        raise named from error


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file as a hexadecimal string."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
