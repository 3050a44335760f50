"""Files that appear complete or not at all."""

import contextlib
import os
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
