"""The index of a batch's pages: a picture of each photo that opens its page; no network, no script.

Pages carry a small picture and their title in the head, so that no photo is read again.
"""

from __future__ import annotations

import html
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

from utils.export.page_parts import content_policy, fill_template, page_file
from utils.files import complete_or_absent, naming_write_errors

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger("kbe")

NAME = "index.html"
HEAD = 200_000  # bytes of a page that are looked at
PICTURE = re.compile(r'<meta name="thumbnail" content="(data:image/[a-z]+;base64,[\w+/=]+)">')
TITLE = re.compile(r"<title>([^<]*) in depth</title>")
OURS = '<meta name="generator" content="3D Ken Burns">'


def write_index(folder: Path, pages: Iterable[Path]) -> Path | None:
    """Write index.html with a picture of every page that is there.

    An index.html that is not ours stays as it is, and the log says so.

    Args:
        folder: where it lies.
        pages: files of `utils.export.page`; others, and those that are not there, are left out.
    Returns:
        Path of the index, or None if there are no pages or none was written.
    Raises:
        OSError: it cannot be written.
    """
    entries = [entry for page in pages if (entry := _entry(folder, page))]
    if not entries:
        return None
    index = folder / NAME
    if index.exists() and OURS not in _head(index):
        log.warning("%s: is not ours, so no index of the pages was written.", index)
        return None
    style = page_file("index.css")
    parts = {
        "policy": content_policy(style),
        "style": style,
        "count": f"{len(entries)} photo{'s' * (len(entries) > 1)}",
        "entries": "\n".join(entries),
    }
    with naming_write_errors(index), complete_or_absent(index) as temporary:
        temporary.write_bytes(fill_template(page_file("index.html"), parts))
    return index


def _entry(folder, page):
    """The list item of a page, or None if it is none of ours."""
    if page.suffix.lower() != ".html" or not page.is_file():
        return None
    head = _head(page)
    picture, title = PICTURE.search(head), TITLE.search(head)
    if not (picture and title):
        return None
    # Percent-encoded byte by byte: names may hold anything, also what is no UTF-8.
    way = Path(os.path.relpath(page, folder)).as_posix()
    link = html.escape(quote_from_bytes(os.fsencode(way), safe="/"))
    return (
        f'<li><a href="{link}"><img src="{picture[1]}" alt="" loading="lazy">'
        f"<span>{title[1]}</span></a></li>"
    )


def _head(path):
    with path.open("rb") as file:
        return file.read(HEAD).decode("utf-8", "replace")
