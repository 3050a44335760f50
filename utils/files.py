"""Files that appear complete or not at all, and what tells two of them apart."""

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from pathlib import Path


@contextlib.contextmanager
def complete_or_absent(path):
    """Yield a temporary path beside `path`; rename it there on success, delete it on any failure.

    The temporary name keeps the suffix, since encoders and image writers choose by it, and starts
    with a dot, so that a glob over results never meets a half-written file.

    Args:
        path: the final file. Its folder must exist.
    Yields:
        pathlib.Path: where to write; on the same file system, so the rename is atomic.
    Raises:
        OSError: the folder is missing or not writable.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(prefix=".partial-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; results get the permissions that any new file would have.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_complete_or_absent(path):
    """Like `complete_or_absent` for a folder; an older one of that name is replaced as a whole.

    Args:
        path: the final folder, in one that exists; None or False yields None.
    Yields:
        pathlib.Path of an empty folder to fill, or None.
    """
    if not path:
        yield None
        return
    path = Path(path)
    temporary = Path(tempfile.mkdtemp(prefix=".partial-", dir=path.parent))
    try:
        filled = temporary / "filled"
        filled.mkdir()  # with the permissions of any new folder, unlike mkdtemp's
        yield filled
        if path.exists():
            os.replace(path, temporary / "older")
        os.replace(filled, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def naming_write_errors(path):
    """Turn the system's errors into ones that name the result, not a temporary file.

    Args:
        path: the result that is being written.
    Raises:
        OSError: with the same errno, saying what to do.
    """
    try:
        yield
    except OSError as error:
        what = error.strerror or str(error)
        advice = "Free some space" if error.errno == errno.ENOSPC else "Make it writable"
        named = OSError(f"{path}: cannot be written: {what}. {advice} or choose another --out.")
        named.errno = error.errno
        raise named from error


def file_digest(path):
    """Return the SHA-256 of a file as a hexadecimal string."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
