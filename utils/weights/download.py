"""Fetch published weights into models/trained/.

  ./download_models.sh                  what a film needs: the paper's networks and VGG-19
  ./download_models.sh depth-anything   the best depth there is: Depth Anything V2 Small
  ./download_models.sh paper original   one or more sets: film, paper, original, vgg,
                                        depth-anything, all
  ./download_models.sh inpainting-color single files, with or without their suffix
  ./download_models.sh --list           every set with licence and purpose, its files and addresses

On Windows: python -m utils.weights.download, with the same names. Interrupted downloads resume;
complete files are skipped; what arrives is checked before it takes its final name.
Exit status: 0 everything is there, 1 something failed, 2 wrong usage, 130 interrupted.
Environment: KBE_MODELS_DIR (where to), KBE_PAPER_URL, KBE_DRIVE_URL, KBE_TORCH_URL, HF_ENDPOINT
(where from).
"""

import errno
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from models import TRAINED
from models.registry import HUB_FOLDER
from utils.files import file_digest

ZIP, LEGACY = b"PK\x03\x04", b"\x80\x02\x8a\n"  # what torch.save writes, and wrote before 2020
ZIP_END, ZIP_TAIL = b"PK\x05\x06", 65557  # its end record, and the bytes within which that begins
CHUNK = 1 << 18  # bytes that a broken connection loses at most; the library's own is 10 MB


class Set(NamedTuple):
    """Files of one origin."""

    purpose: str
    licence: str
    variable: str  # of the environment: overrides where the files lie
    base: str  # where they lie
    address: str  # of a file: a format of base, name (without folders) and id
    after: str = ""  # what to do once they are there


class File(NamedTuple):
    """A file of a set. Its first download is checked by form and size, and by `digest` if known."""

    name: str  # in models/trained/
    set: str
    smallest: int  # bytes; 4 per parameter for weights
    id: str = ""  # at Google Drive
    digest: str = ""  # how its SHA-256 begins


SETS = {
    "paper": Set(
        "the paper's networks: estimation, refinement, inpainting",
        "CC BY-NC-SA, as the paper's code: not for commercial use",
        "KBE_PAPER_URL",
        "http://content.sniklaus.com/kenburns",
        "{base}/{name}",
    ),
    "original": Set(
        "networks of the first reimplementation, with and without its mask loss",
        "not known here: ask its authors before you use them for more than a try",
        "KBE_DRIVE_URL",
        "https://drive.usercontent.google.com",
        "{base}/download?id={id}&export=download&confirm=t",
    ),
    "vgg": Set(
        "VGG trained on ImageNet: semantics of the paper's estimation (19), training losses (16)",
        "BSD-3-Clause (torchvision)",
        "KBE_TORCH_URL",
        "https://download.pytorch.org/models",
        "{base}/{name}",
    ),
    HUB_FOLDER: Set(
        "Depth Anything V2 Small: estimation, taken by default once it is there",
        "Apache-2.0",
        "HF_ENDPOINT",
        "https://huggingface.co",
        "{base}/depth-anything/Depth-Anything-V2-Small-hf/resolve/main/{name}",
        "kbe.py takes it by default from now on. It needs one package more:\n"
        "  pip install transformers",
    ),
}
FILES = (
    File("network-disparity.pytorch", "paper", 357387016),
    File("network-refinement.pytorch", "paper", 2427560),
    File("network-inpainting.pytorch", "paper", 33142560),
    File(
        "disparity-estimation-no-mask.tar",
        "original",
        357387016,
        "1qlzhkfC58zsnEPZdQDukHEBIEKJB-6Mc",
    ),
    File(
        "disparity-estimation-mask.tar", "original", 357387016, "13Y6-hdM8MEDBRmv0owwjtYScBiu5aOw3"
    ),
    File("disparity-refinement.tar", "original", 2419300, "1pnkRqUKS2T4QZ161RCToykeK0Z3BL271"),
    File("inpainting-color.tar", "original", 33142560, "1OV46pzDl29fft13ZNJEvkAC6AjU3fvyc"),
    File("inpainting-depth.tar", "original", 33142560, "1s8lPOMVK4eTb5gA5_huBmbUMAeOBG-CA"),
    File("inpainting-pretrained.tar", "original", 33142560, "1185R-YeKRyBulMQmW-91sfx5-y8ShloW"),
    File("vgg19_bn-c79401a0.pth", "vgg", 574712992, digest="c79401a0"),
    File("vgg16-397923af.pth", "vgg", 553430176, digest="397923af"),
    # The configuration comes last: with it the folder counts as complete.
    File(f"{HUB_FOLDER}/model.safetensors", HUB_FOLDER, 99_000_000),
    File(f"{HUB_FOLDER}/preprocessor_config.json", HUB_FOLDER, 2),
    File(f"{HUB_FOLDER}/config.json", HUB_FOLDER, 2),
)


class Stated(NamedTuple):
    """What a server says about a file beforehand; 0 and "" where it says nothing."""

    size: int = 0  # bytes
    etag: str = ""  # at the hub: SHA-256 of large files, Git's hash of small ones


NOTHING = Stated()


def address(file: File) -> str:
    """Where a file comes from."""
    origin = SETS[file.set]
    base = os.environ.get(origin.variable) or origin.base
    return origin.address.format(base=base.rstrip("/"), name=file.name.split("/")[-1], id=file.id)


def means(word: str, file: File) -> bool:
    """Whether a name from the command line means a file."""
    name = file.name.split("/")[-1]
    if word == "film":
        return file.set == "paper" or name.startswith("vgg19_bn")
    names = {"all", file.set, file.name, name, name.rsplit(".", 1)[0]}
    if file.set == HUB_FOLDER:  # "config" alone would say too little
        names = {"all", file.set, file.name}
    elif file.set == "vgg":
        names.add(name.split("-")[0])
    return word in names


def what_is_wrong(path: Path, file: File, stated: Stated = NOTHING) -> str:
    """Say why a file on disk cannot be the published one.

    Args:
        path: where it lies.
        file: File, what it should be.
        stated: what the server said of it.
    Returns:
        str, "" if nothing speaks against it.
    """
    size = path.stat().st_size
    with path.open("rb") as opened:
        start = opened.read(512)
        opened.seek(max(0, size - ZIP_TAIL))
        end = opened.read()
    if not start:
        return "nothing arrived"
    broken = CHECKS.get(Path(file.name).suffix)
    zipped = start.startswith(ZIP)
    if _is_page(start):
        return "a web page arrived, not weights"
    if not broken and not zipped and not start.startswith(LEGACY):
        return f"what arrived is no weights file (it begins with the bytes {start[:4].hex()})"
    if size < file.smallest:
        return f"it is too short: {size} bytes, at least {file.smallest} expected"
    if stated.size and size != stated.size:
        return f"it has {size} bytes, and the server said {stated.size}"
    if zipped and ZIP_END not in end:
        return "its end is missing"
    return (broken and broken(path)) or _wrong_digest(path, file, stated)


def _is_page(start):
    # The length with which safetensors begin may hold "<" too, but then zeros follow.
    return start.lstrip().startswith(b"<") and 0 not in start[:8]


def _broken_safetensors(path):
    """The library reads the header, and whether its last tensor ends with the file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return "" if list(file.keys()) else "what arrived is no safetensors file"
    except SafetensorError as error:
        cut = "incomplete" in str(error).lower()
        return "its end is missing" if cut else "what arrived is no safetensors file"


def _broken_json(path):
    """A setting file of the hub; the network's own must be that of the family we ask for."""
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return "what arrived is no JSON"
    if not isinstance(values, dict):
        return "what arrived holds no settings"
    family = values.get("model_type", "depth_anything")
    return "" if family == "depth_anything" else f"it is the configuration of {family}"


CHECKS = {".safetensors": _broken_safetensors, ".json": _broken_json}


def _wrong_digest(path, file, stated):
    """Compare with the hash that is known here, or else with the one that the hub states."""
    if file.digest:
        found = file_digest(path)
        return (
            ""
            if found.startswith(file.digest)
            else (f"its SHA-256 begins with {found[:8]}, not {file.digest}")
        )
    if len(stated.etag) == 64:
        found = file_digest(path)
        return (
            ""
            if found == stated.etag
            else (f"its SHA-256 begins with {found[:8]}, not {stated.etag[:8]} as the server said")
        )
    if len(stated.etag) == 40:  # Git's: SHA-1 of a short head and the content
        content = path.read_bytes()
        found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
        return "" if found.hexdigest() == stated.etag else "its hash is not what the server said"
    return ""


def ask(file: File, url: str) -> Stated:
    """What the hub says about a file; other servers are not asked.

    No token of the user's is sent: all that is fetched here is public.
    """
    from huggingface_hub import get_hf_file_metadata

    if file.set != HUB_FOLDER:
        return NOTHING
    try:
        said = get_hf_file_metadata(url, token=False)
    except Exception as error:
        if _status(error):  # a mirror that only serves files; if this one is missing, GET says so
            return NOTHING
        raise
    return Stated(said.size or 0, (said.etag or "").lower())


def fetch(url: str, part: Path) -> None:
    """Begin a download, or continue the one of which `part` is left."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import http_get

    constants.DOWNLOAD_CHUNK_SIZE = CHUNK
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as opened:
        try:
            http_get(
                url,
                opened,
                resume_size=opened.tell(),
                displayed_filename=part.stem,
                headers={"Accept-Encoding": "identity"},
            )
        except Exception as error:
            # Nothing lies beyond the end of this part (416): it is whole, or of something else.
            if opened.tell() and _status(error) == 416:
                return
            raise


def _status(error):
    return getattr(getattr(error, "response", None), "status_code", None)


def _why(error):
    """One line on why a download broke off."""
    if getattr(error, "errno", None) == errno.ENOSPC:
        return "the disk is full; free some space"
    if _status(error):
        return f"the server answered {_status(error)}"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def get(file: File, folder: Path) -> bool:
    """Bring one file.

    Args:
        file: File.
        folder: models/trained/ or another.
    Returns:
        bool: whether it is there now; if not, why not was said.
    """
    path = folder / file.name
    part = path.with_name(path.name + ".part")
    if path.exists():
        problem = what_is_wrong(path, file)
        if not problem:
            print(f"{file.name}: already there")
            return True
        say(f"{file.name}: fetched again, for the file that is there is not whole: {problem}")
    url = address(file)
    say(f"{file.name}: from {url}")
    try:
        stated = ask(file, url)
        # A part may be of something else: then once more, from the beginning.
        for resumed in (True, False) if part.exists() else (False,):
            fetch(url, part)
            problem = what_is_wrong(part, file, stated)
            if not problem:
                os.replace(part, path)
                print(f"{file.name}: done")
                return True
            part.unlink()
            if not resumed:
                say(f"{file.name}: {problem}")
    except Exception as error:  # which errors the library lets through changes with its version
        say(f"{file.name}: the download failed: {_why(error)}; run this again to continue it")
        if part.is_file() and not part.stat().st_size:
            part.unlink()
    return False


def say(text: str) -> None:
    """Say something beside the results."""
    print(text, file=sys.stderr, flush=True)


def show_list(folder: Path) -> None:
    """Print every set with its licence and purpose, its files, their sizes and addresses."""
    for name, origin in SETS.items():
        print(f"{name}: {origin.purpose}\n  licence: {origin.licence}\n  goes into: {folder}")
        for file in FILES:
            if file.set == name:
                size = f"{file.smallest / 1e6:.0f} MB" if file.smallest > 1e5 else "1 kB"
                print(f"  {file.name:<41} {size:>6}  {address(file)}")
        print()


def report_failures(failed: Sequence[File], folder: Path) -> None:
    """Say which files are missing, and what can be done."""
    say(
        f"download_models.sh: error: not fetched: {' '.join(file.name for file in failed)}\n"
        f"  The rest is in {folder}. See above for each reason, then run the same again."
    )
    if any(file.set == "original" for file in failed):
        say(
            "  Google Drive answers with a page once a file's daily quota is used up; a day\n"
            "  later, or in a browser, the addresses of ./download_models.sh --list work."
        )


def main(words: Sequence[str]) -> int:
    """Fetch what the words mean; return the exit status."""
    folder = Path(os.environ.get("KBE_MODELS_DIR") or TRAINED)
    if {"-h", "--help"} & set(words):
        print(__doc__.strip())
        return 0
    if "--list" in words:
        show_list(folder)
        return 0
    words = words or ["film"]
    for word in words:
        if not any(means(word, file) for file in FILES):
            say(
                f"download_models.sh: error: no file or set is called '{word}'.\n"
                f"  Sets: film, {', '.join(SETS)}, all. Files: ./download_models.sh --list"
            )
            return 2
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [file for file in FILES if any(means(word, file) for word in words)]
    failed: list[File] = []
    for file in wanted:
        # A folder is complete with its last file, so that is not fetched without the others.
        lost = file.set == HUB_FOLDER and any(other.set == HUB_FOLDER for other in failed)
        if lost or not get(file, folder):
            failed.append(file)
    for name in dict.fromkeys(file.set for file in wanted):
        if SETS[name].after and not any(file.set == name for file in failed):
            print(SETS[name].after)
    if failed:
        report_failures(failed, folder)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("interrupted; run the same again to continue")
        sys.exit(130)
