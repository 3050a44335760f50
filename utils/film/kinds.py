"""What a file is, told by its bytes: the kinds that are refused by name, whole or cut off."""

import codecs
import contextlib
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

USE = "Convert it to JPEG, PNG, WebP, TIFF, HEIC or AVIF."
LISTS = "A list of photos is named .csv, .tsv or .jsonl; bare paths are given to --in - instead."
# What is taken from a folder of photos; a file that is named itself is tried whatever its suffix.
PHOTO_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .webp .tif .tiff .bmp .gif .jp2 .j2k .jpx .qoi .heic .heif "
    ".hif .avif .ppm .pgm .pbm .pnm".split()
)
# Cameras' raw files pose as TIFF; a reader would return the thumbnail that they carry.
RAW_SUFFIXES = frozenset(
    ".dng .cr2 .cr3 .crw .nef .nrw .arw .sr2 .srf .orf .rw2 .rwl .raf .pef .srw .raw .3fr .fff "
    ".iiq .x3f .erf .kdc .dcr .mrw .mef .mos .gpr".split()
)
# Pictures of other kinds, which people's folders hold and nothing here reads.
OTHER_PICTURES = frozenset(
    ".jxl .jxr .bpg .psd .psb .xcf .kra .svg .ai .eps .hdr .tga .dds .ico .icns .pcx .wmf "
    ".emf".split()
)
NAMED = 3  # files that a message about many of them names
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNG_HEAD = b"\x89PNG\r\n\x1a\n"
PICTURES = {  # first bytes of what can be read, and how it is called
    b"\xff\xd8\xff": "JPEG",
    PNG_HEAD: "PNG",
    b"GIF8": "GIF",
    b"RIFF": "WebP",
    b"BM": "BMP",
}
SEEMS = {  # what a file that is no picture seems to be, by its first bytes in lower case
    "an HTML page (a failed download?)": (b"<!doctype html", b"<html"),
    "SVG or XML text": (b"<svg", b"<?xml"),
    "a PDF": (b"%pdf",),
    "JPEG XL": (b"\xff\x0a", b"\0\0\0\x0cjxl "),
    "a Photoshop document": (b"8bps",),
    "a GIMP document": (b"gimp xcf",),
    "a Radiance HDR picture": (b"#?radiance", b"#?rgbe"),
    "an icon": (b"\0\0\1\0",),
    "a zip archive": (b"pk\3\4",),
    "an archive": (b"rar!", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b"),
    "a Matroska or WebM video": (b"\x1a\x45\xdf\xa3",),
    "a Windows Media film": (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",),
    "an MPEG film": (b"\0\0\1\xba", b"\0\0\1\xb3"),
    "a FLV film": (b"flv\1",),
    "a depth map (pass it with --depth)": (b"\x93numpy", b"\x89hdf", b"v/1\1", b"pf\n", b"matlab"),
}
RIFF_KINDS = {b"AVI ": "an AVI film", b"WAVE": "sound (WAV)"}
# In JPEG data 0xff begins a marker, unless 0, another 0xff or a restart marker follows.
JPEG_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
JPEG_KINDS = {
    0xC3: "lossless",
    0xC5: "hierarchical",
    0xC6: "hierarchical",
    0xC7: "hierarchical",
    0xCB: "lossless, arithmetically coded",
}


class UnreadableFile(ValueError):
    """A file that cannot be used; the message names it and says what was found."""


def unsupported(path: str | Path, what: str) -> UnreadableFile:
    """Return the error for a sound file of a kind that is not read: `what`, as "an AVI film"."""
    return UnreadableFile(f"{path}: is {what}, which cannot be read. {USE}")


def choose_photos(entries: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """Choose the photos among the entries of a folder, and say which pictures are left out.

    A raw file beside its developed picture is not missed.

    Args:
        entries: files of any kind, links that may lead nowhere.
    Returns:
        the photos; and a phrase for each reason to leave pictures out, with how many there are and
        the first of them.
    """
    reasons = dict[str, list[str]]()
    photos, others = list[Path](), list[Path]()
    for path in entries:
        taken = path.suffix.lower() in PHOTO_SUFFIXES and path.is_file()
        (photos if taken else others).append(path)
    developed = {path.with_suffix("") for path in photos}
    for path in others:
        if path.with_suffix("") not in developed and (reason := _why_left_out(path)):
            reasons.setdefault(reason, []).append(path.name)
    return photos, [f"{len(names)} {why}: {some(names)}" for why, names in reasons.items()]


def _why_left_out(path):
    suffix = path.suffix.lower()
    if path.is_dir():
        return "that cannot be opened"
    if suffix in RAW_SUFFIXES:
        return f"raw {suffix} (to be developed first)"
    if suffix in OTHER_PICTURES:
        return f"{suffix} (to be converted to JPEG or PNG)"
    if suffix in PHOTO_SUFFIXES and not path.exists():
        return "whose link leads nowhere"
    return "that is no regular file" if suffix in PHOTO_SUFFIXES and not path.is_file() else ""


def some(names: Sequence[str]) -> str:
    """Name the first of many."""
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def read_head(path: Path, length: int = 64) -> bytes:
    """Return a file's first bytes, having checked that it is a file with something in it.

    Args:
        path: any file.
        length: how many bytes.
    Raises:
        ValueError: missing, a folder, a device or pipe, not readable, or empty.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise UnreadableFile(f"{path}: is a folder, not a file.")
        if path.exists() and not path.is_file():
            raise UnreadableFile(f"{path}: is a device or a pipe, not a regular file.")
        with path.open("rb") as file:
            head = file.read(length)
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file. Check the spelling and the folder.") from None
    except OSError as error:
        raise UnreadableFile(f"{path}: cannot be opened: {error.strerror}.") from error
    if not head:
        raise UnreadableFile(f"{path}: is empty (0 bytes). Copy or download it again.")
    return head


def describe(head: bytes) -> str:
    """Say in a few words what a file seems to be, from its first bytes (`head`)."""
    lower = head.lstrip().lower()
    for name, starts in SEEMS.items():
        if lower.startswith(starts) or head.startswith(starts):
            return name
    if head[:4] == b"RIFF" and head[8:12] in RIFF_KINDS:
        return RIFF_KINDS[head[8:12]]
    if head[4:8] == b"ftyp":
        return "a camera's raw file" if head[8:11] == b"crx" else "an MP4 or MOV video"
    return "text" if _is_text(head) else f"of an unknown kind (first bytes {head[:8].hex(' ')})"


def _is_text(head):
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    try:  # forgiving a last letter that is cut
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(letter in "\t\n\r\f" or letter.isprintable() for letter in text)


def unread_picture(path: Path, head: bytes) -> UnreadableFile:
    """Return the error for a file whose header no reader took, from its first bytes."""
    riff = head.startswith(b"RIFF") and head[8:12] != b"WEBP"
    kind = next((name for start, name in PICTURES.items() if head.startswith(start)), None)
    if kind == "JPEG" and (what := rare_jpeg(path)):
        return unsupported(path, what)
    if (kind and not riff) or head[8:12] in HEIF_BRANDS or head[8:11] == b"avi":
        return UnreadableFile(
            f"{path}: damaged or incomplete (its header cannot be read). Copy or download it again."
        )
    found = describe(head)
    is_list = found == "text" and path.suffix.lower() not in PHOTO_SUFFIXES
    advice = LISTS if is_list else USE
    return UnreadableFile(f"{path}: is no photo that can be read: it seems to be {found}. {advice}")


def rare_jpeg(path: Path) -> str | None:
    """Say what kind of JPEG a file is, if it is one that is not read; else None."""
    for marker, content in jpeg_segments(path.read_bytes()):
        if marker in range(0xC0, 0xD0) and marker not in (0xC4, 0xC8, 0xCC):
            kind = JPEG_KINDS.get(marker)
            if kind is None and content[:1] not in (b"\x08", b""):
                kind = f"{content[0]} bits a channel"
            return kind and f"a JPEG of a rare kind ({kind})"
    return None


@contextlib.contextmanager
def naming_the_file(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into an UnreadableFile that names the file.

    Decoders fed with damaged data raise OSError, SyntaxError, struct.error, IndexError and more:
    all of them mean one thing to the user. Those that lack a feature say so.
    """
    try:
        yield
    except UnreadableFile:
        raise
    except NotImplementedError as error:
        raise unsupported(path, f"of a rare kind ({_reason(error)})") from error
    except MemoryError as error:
        raise UnreadableFile(f"{path}: needs more memory than there is. Scale it down.") from error
    except Exception as error:
        raise UnreadableFile(
            f"{path}: damaged or incomplete ({_reason(error)}). Copy or download it again."
        ) from error


def _reason(error):
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def check_end(path: Path, kind: str) -> None:
    """Refuse a JPEG or PNG whose end was never written (zeros): decoders take it for a picture.

    What lies behind the picture's own end marker (padding, a motion photo's film, a telephone's
    notes) does not matter.

    Args:
        path: the file.
        kind: Pillow's name of its format; others than JPEG, MPO and PNG are left to their decoder.
    Raises:
        ValueError: there is no end marker, and the file ends in zeros.
    """
    has_end = {"JPEG": _jpeg_has_end, "MPO": _jpeg_has_end, "PNG": _png_has_end}.get(kind)
    if has_end is None:
        return
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 16))
        ends_in_zeros = not file.read().strip(b"\0")
    if ends_in_zeros and not has_end(path.read_bytes()):
        raise UnreadableFile(
            f"{path}: damaged or incomplete (its end is all zeros, as an interrupted copy "
            "leaves it). Copy or download it again."
        )


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (marker, content) of a JPEG's segments up to its end marker; pixels are skipped."""
    at = 2
    while found := JPEG_MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        if marker == 0xD9 or at + 2 > len(data):
            yield marker, b""
            return
        length = int.from_bytes(data[at : at + 2], "big")
        yield marker, data[at + 2 : at + length]
        at += length


def _jpeg_has_end(data):
    return any(marker == 0xD9 for marker, _ in jpeg_segments(data))


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (kind, start, end) of a PNG file's complete chunks; start is that of the length.

    Args:
        data: bytes of the file.
    """
    start = len(PNG_HEAD)
    while start + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + 12 + length
        if end > len(data):
            return
        yield kind, start, end
        start = end


def _png_has_end(data):
    return any(kind == b"IEND" for kind, _, _ in png_chunks(data))
