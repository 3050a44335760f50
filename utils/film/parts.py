"""What a photo's file holds beside its picture: further pictures, and what is said of them.

JPEG: XMP with its extension, the pictures of MPF (CIPA DC-007), what a container directory in XMP
says is appended. HEIC: what pillow-heif hands out. Nothing is decoded here.
"""

import contextlib
import re
import struct
from pathlib import Path
from typing import Any, NamedTuple

from utils.film import tiff
from utils.film.kinds import (
    HEIF_BRANDS,
    TIFF_HEADS,
    UnreadableFile,
    jpeg_segments,
    naming_the_file,
    read_head,
)
from utils.film.opening import exif_tags, load_pillow_heif, open_picture, tiff_exif
from utils.film.xmp import Xmp

XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_HEAD = b"http://ns.adobe.com/xmp/extension/\0"
MPF_HEAD = re.compile(rb"MPF\0(II\*\0|MM\0\*)")
MP_ENTRIES, MP_ENTRY_BYTES = 0xB002, 16
DISPARITY = 0x020002  # type of an MPF picture: one of several eyes'


class Parts(NamedTuple):
    """What a file holds beside its picture; what it lacks is empty."""

    exif: dict[int, Any] = {}  # the tags of the main directory and of the Exif directory
    xmp: Xmp | None = None
    missing: str = ""  # why some of the XMP could not be read
    pictures: tuple[tuple[int, bytes], ...] = ()  # of MPF: type, and the file; the photo is first
    appended: bytes = b""  # the whole file, where a directory says what is appended to it
    heif: Any = None  # pillow_heif.HeifFile


def read_parts(path: str | Path) -> Parts:
    """Read what a photo's file holds beside its picture.

    Args:
        path: a photo that `read_image` can read.
    Returns:
        Parts, empty for other kinds than JPEG and HEIC.
    Raises:
        ValueError: the file cannot be read.
    """
    path = Path(path)
    head = read_head(path)
    with naming_the_file(path):
        if head.startswith(b"\xff\xd8"):
            return _jpeg_parts(path)
        if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS and b"avif" not in head:
            return Parts(exif=_exif(path), heif=load_pillow_heif(path).open_heif(path))
    return Parts(exif=_exif(path, head))


def read_jpeg_xmp(data: bytes) -> tuple[Xmp | None, str]:
    """Read the XMP of a JPEG, its extension included.

    Args:
        data: the file.
    Returns:
        Xmp or None; why some of it could not be read, or "".
    """
    main, chunks = [], []
    for marker, content in jpeg_segments(data):
        if marker == 0xDA:  # the pixels begin
            break
        if marker == 0xE1 and content.startswith(XMP_HEAD):
            main.append(content[len(XMP_HEAD) :])
        if marker == 0xE1 and content.startswith(EXTENDED_HEAD):
            chunks.append(content[len(EXTENDED_HEAD) :])
    if not main:
        return None, ""
    try:
        xmp = Xmp(main[:1])
        guid = xmp.first("note", "HasExtendedXMP")
        return (Xmp([main[0], _extended(guid, chunks)]) if guid else xmp), ""
    except UnreadableFile as error:
        with contextlib.suppress(UnreadableFile):
            return Xmp(main[:1]), str(error)
        return None, str(error) if b"depth" in main[0].lower() else ""


def _extended(guid, chunks):
    """Put the chunks of an extension together, which may come in any order."""
    parts, total = {}, 0
    for chunk in chunks:
        if len(chunk) >= 40 and chunk[:32] == guid.encode("ascii", "replace"):
            total, offset = struct.unpack_from(">II", chunk, 32)
            parts[offset] = chunk[40:]
    at = 0
    for offset in sorted(parts):
        if offset != at:
            break
        at += len(parts[offset])
    if not parts or at != total:
        raise UnreadableFile("its extended XMP is incomplete")
    return b"".join(parts[offset] for offset in sorted(parts))


def _jpeg_parts(path):
    data = path.read_bytes()
    xmp, missing = read_jpeg_xmp(data)
    listed = bool(xmp and xmp.groups("item"))
    return Parts(_exif(path), xmp, missing, _mpf_pictures(data), data if listed else b"")


def _mpf_pictures(data):
    """(type, bytes) of the pictures that MPF lists, cut where the file ends."""
    found = MPF_HEAD.search(data)
    if not found:
        return ()
    base, order = found.start(1), "<" if found[1] == b"II*\0" else ">"
    try:
        (directory,) = struct.unpack_from(order + "I", data, base + 4)
        (count,) = struct.unpack_from(order + "H", data, base + directory)
        for number in range(count):
            tag, _, size, value = struct.unpack_from(
                order + "HHII", data, base + directory + 2 + 12 * number
            )
            if tag == MP_ENTRIES:
                return tuple(_mpf_entries(data, base, base + value, size, order))
    except struct.error:
        pass
    return ()


def _mpf_entries(data, base, start, size, order):
    for entry in range(min(size // MP_ENTRY_BYTES, 64)):
        kind, length, offset = struct.unpack_from(
            order + "III", data, start + MP_ENTRY_BYTES * entry
        )
        begin = base + offset if offset else 0  # the first is the photo
        yield kind & 0xFFFFFF, data[begin : begin + length]


def _exif(path, head=b""):
    """{tag: value} of EXIF; nonsense is none."""
    with contextlib.suppress(UnreadableFile, OSError):
        if head.startswith(TIFF_HEADS):
            with tiff.open_page(path) as page:
                return exif_tags(tiff_exif(page))
        with open_picture(path) as image:
            if image.format != "PNG" or "exif" in image.info:  # else a PNG would be decoded
                return exif_tags(image.getexif)
    return {}
