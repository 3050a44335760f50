"""Which photos a command means, and where their results go."""

from __future__ import annotations

import glob
import logging
import os
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from utils import UsageError
from utils.cli.guard import check_results
from utils.cli.jobs import ANY_SIZE, Job
from utils.cli.lists import is_list, read_list, settle
from utils.files import as_spelt, data_entries, is_data, is_hidden, portable_name, real_path
from utils.film.codecs import CODECS, CODECS_BY_SUFFIX
from utils.film.kinds import PHOTO_SUFFIXES, choose_photos
from utils.film.layouts import LAYOUTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TextIO

    from utils.cli.flags import Settings

log = logging.getLogger("kbe")


class Run(NamedTuple):
    """What a command asks for."""

    jobs: list[Job]
    batch: bool  # several photos, or however many a folder, glob or stdin happened to give


def plan_run(settings: Settings, stdin: TextIO | None = None) -> Run:
    """Find the photos of a command and give each its place.

    Args:
        settings: utils.cli.flags.Settings.
        stdin: text file, read where a photo is called "-".
    Returns:
        Run.
    Raises:
        ValueError: there are no photos.
        UsageError: a flag that is for one photo, and there are several.
    """
    from utils.cli.plan import check_film  # which works on photos

    check_film(settings, settings.size or ANY_SIZE)
    shots, batch = find_shots(settings.inputs, stdin, settings.recursive)
    photos = [photo for photo, _ in shots]
    # Players tell by the end of its name what a film holds.
    ending = LAYOUTS[settings.stereo].ending if settings.stereo else ""
    if settings.slideshow:
        film = settings.slideshow
        jobs = [Job(photo, film.parent, film, "") for photo in photos]
    else:
        suffix = ending + CODECS[settings.codec].suffixes[0]
        assert settings.out is not None  # it has a default where there is no --slideshow
        jobs = plan_jobs(photos, batch, settings.out, suffix)
    films = [
        film
        for job, (_, choice) in zip(jobs, shots, strict=True)
        for film in _films(job, choice, settings, ending)
    ]
    jobs = [
        job._replace(more=after is not None and after.photo == job.photo)
        for job, after in zip(films, [*films[1:], None], strict=True)
    ]
    photo_count = len({job.photo for job in jobs})
    if batch and settings.depth and settings.depth.is_file():
        raise UsageError(
            f"--depth {settings.depth} is one map, and there are {photo_count} photos.\n"
            "  Give a folder of maps with the photos' stems."
        )
    for name in settings.export:
        if batch and name.is_absolute():
            raise UsageError(
                f"--export {name} is one file, and there are {photo_count} photos.\n"
                f"  Give a name, such as scene{name.suffix}: each photo's folder gets one."
            )
    check_results(jobs, settings)
    if settings.slideshow:
        from utils.cli.slideshow import plan_slideshow

        jobs = plan_slideshow(jobs, settings)
    return Run(jobs, batch)


def _films(job, choice, settings, ending):
    """The Job of a photo of which `choice` is said; several where it says several moves."""
    whole = job._replace(choice=settle(choice, settings, job.photo))
    moves = whole.chosen(settings).moves
    if len(moves) == 1:
        return [whole]
    if settings.slideshow:
        raise UsageError(
            f"{job.photo}: --slideshow and --move {','.join(moves)}: a slideshow shows a photo "
            "once.\n  Give one move, or leave it out and photos move in turn."
        )
    return [
        job.of_move(move, ending)._replace(
            choice=settle(choice | {"move": move}, settings, job.photo)
        )
        for move in moves
    ]


def find_shots(
    inputs: Sequence[str], stdin: TextIO | None = None, recursive: bool = False
) -> tuple[list[tuple[Path, dict[str, Any]]], bool]:
    """Resolve --in, lists of photos included; see `find_photos` and utils.cli.lists.

    Returns:
        list of (photo, {setting: value of its own}); a list may name a photo more than once; and
        whether they are a batch, as every list is.
    """
    shots, batch = [], False
    for listed, group in groupby(inputs, is_list):
        words = list(group)
        if listed:
            shots += [shot for word in words for shot in read_list(Path(word).expanduser())]
        else:
            photos, several = find_photos(words, stdin, recursive)
            shots += [(photo, {}) for photo in photos]
        batch = batch or listed or several or len(words) < len(inputs)
    return shots, batch


def find_photos(
    inputs: Sequence[str], stdin: TextIO | None = None, recursive: bool = False
) -> tuple[list[Path], bool]:
    """Resolve --in.

    Args:
        inputs: photos, folders, globs, or "-" for a list of paths on `stdin`.
        stdin: text file.
        recursive: also take what is in the folders' sub-folders.
    Returns:
        list of Path, each photo once, also if several names or links lead to it; and whether they
        are a batch: several, or however many a folder, glob or stdin happened to give.
    Raises:
        ValueError: a folder without photos, a glob without matches, nothing on stdin.
    """
    photos, batch = [], len(inputs) > 1
    for text in inputs:
        path, several = Path(text).expanduser(), True
        if text == "-":
            found = _only_data(map(as_spelt, _listed(stdin.read() if stdin else "")))
        elif path.is_dir():
            found = _in_folder(path, recursive)
        elif not path.exists() and glob.has_magic(text):
            found = _only_data(map(Path, sorted(glob.glob(text, recursive=True))))
            # As of a folder, its photos; or else whatever the pattern asks for.
            found = _chosen(found, text) or found
        else:
            found, several = [as_spelt(path)], False
        if not found:
            what = "standard input" if text == "-" else text
            raise ValueError(
                f"no photos in {what}.\n  Looked for "
                f"{', '.join(sorted(PHOTO_SUFFIXES))}{_deeper(path, recursive)}."
            )
        photos += found
        batch = batch or several
    once: dict[object, Path] = {}
    for photo in photos:
        once.setdefault(_identity(photo), photo)
    return list(once.values()), batch


def _in_folder(folder, recursive):
    found = _chosen(data_entries(folder, recursive), folder)
    if found and _deeper(folder, recursive):
        log.info("%s%s.", folder, _deeper(folder, recursive))
    return found


def _chosen(entries, where):
    photos, left_out = choose_photos(entries)
    for what in left_out:
        log.warning("%s: left out %s", where, what)
    return photos


def _deeper(folder, recursive):
    """What to say of sub-folders that only --recursive would enter, or ""."""
    there = (
        not recursive
        and folder.is_dir()
        and any(entry.is_dir() and not is_hidden(entry.name) for entry in folder.iterdir())
    )
    return "; its sub-folders were not entered (--recursive does)" if there else ""


def _listed(text):
    """Paths of a list as shells, Windows and file managers write them."""
    if text.startswith(("\udcff\udcfe", "\udcfe\udcff")):  # UTF-16, read as UTF-8 with escapes
        text = text.encode("utf-8", "surrogateescape").decode("utf-16", "replace")
    text = text.removeprefix("\ufeff")
    lines = text.split("\0" if "\0" in text else "\n")
    return [_as_meant(line.removesuffix("\r")) for line in lines if line.strip()]


def _as_meant(line):
    """The path as it is written, if there is such a file; else without blanks and quotes."""
    bare = line.strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        bare = bare[1:-1]
    return Path(bare if not os.path.exists(line) and os.path.exists(bare) else line)


def _only_data(paths):
    """Leave out of a list or the matches of a pattern what is no data; what is missing stays."""
    paths = list(paths)
    if not paths:
        return []
    above = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    return [path for path in paths if is_data(path.absolute(), above)]


def _identity(photo):
    """What tells two files apart; the path where there is none."""
    try:
        found = real_path(photo).stat()  # first, since the system follows but 40 links
    except (OSError, ValueError):
        return str(photo)
    return found.st_dev, found.st_ino


def plan_jobs(photos: list[Path], batch: bool, out: Path, suffix: str) -> list[Job]:
    """Give every photo its place.

    A single photo's results go into `out` itself, or into the file that `out` names; those of a
    batch into `out`/<stem>/, equal stems told apart by the photo's suffix, then by a number.

    Args:
        photos: list of Path.
        batch: whether each photo gets a folder.
        out: folder, or for a single photo a video file's name.
        suffix: of the video, such as ".mp4".
    Returns:
        list of Job.
    Raises:
        ValueError: a video file's name for a batch.
    """
    named = out.suffix.lower() in CODECS_BY_SUFFIX and not out.is_dir()
    if named and batch:
        raise ValueError(
            f"--out {out} names one video, and there are {len(photos)} photos.\n  Give a folder."
        )
    if named:
        return [Job(photos[0], out.parent, out, out.stem + "_")]
    if not batch:
        return [Job(photos[0], out, out / f"3d_kbe{suffix}", "")]
    jobs, taken = [], set()
    stems = Counter(portable_name(photo.stem).lower() for photo in photos)
    for photo in photos:
        name = portable_name(photo.stem)
        if stems[name.lower()] > 1:
            name = f"{name}-{photo.suffix.lstrip('.').lower()}"
        candidate, number = name, 2
        while candidate.lower() in taken:  # file systems may not tell upper from lower case
            candidate, number = f"{name}-{number}", number + 1
        taken.add(candidate.lower())
        folder = out / candidate
        jobs.append(Job(photo, folder, folder / f"3d_kbe{suffix}", ""))
    return jobs
