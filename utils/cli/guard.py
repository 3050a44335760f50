"""No result lands on anything of the user's: checked before any work is done."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from utils import UsageError
from utils.cli.flags import FLAGS, Settings
from utils.cli.jobs import Job
from utils.cli.lists import is_list
from utils.files import is_special, real_path

FRAME_NAME = re.compile(r"\d{5,}\.(png|exr)")  # of a frame that we wrote


def check_results(jobs: list[Job], settings: Settings) -> None:
    """Refuse a run whose results would replace its inputs, each other, or a folder not ours.

    Args:
        jobs: all jobs of the run.
        settings: of the run.
    Raises:
        UsageError: names the file, and what to type.
    """
    inputs = {real_path(path): said for path, said in _inputs(jobs, settings)}
    taken: dict[Path, Job] = {}
    folders = {real_path(folder) for job in jobs for folder in job.folders(settings)}
    flag = "--slideshow" if settings.slideshow else "--out"
    for job in jobs[:1] if settings.slideshow else jobs:  # whose results are one film
        for result in job.files(settings):
            place = real_path(result)
            if place in inputs:
                raise UsageError(
                    f"{result} would be overwritten by a result, and it is "
                    f"{inputs[place]}.\n  Choose another {flag}."
                )
            if is_special(place):
                raise UsageError(
                    f"{result} is a device or a pipe, which a result would replace.\n"
                    f"  Choose another {flag}."
                )
            if place in taken:
                whose = "" if taken[place] is job else f", for {taken[place].photo} and {job.photo}"
                raise UsageError(
                    f"{result} would be written twice{whose}.\n  Choose another --out or --export."
                )
            taken[place] = job
            if place.is_dir():
                which = flag if settings.slideshow else "--out or --export"
                raise UsageError(
                    f"{result}: there is a folder of that name.\n  Choose another {which}."
                )
            if folders and folders.intersection((place, *place.parents)):
                raise UsageError(
                    f"{result} would be written where a folder of ours comes.\n"
                    "  Choose another --out or --export."
                )
        for folder in job.folders(settings):
            name = "write_depth" if folder == job.result("depth") else "write_frames"
            _check_folder(folder, FLAGS[name].name, inputs)
    _check_nesting(taken)
    if settings.cache and os.path.exists(settings.cache) and not os.path.isdir(settings.cache):
        raise UsageError(f"--cache {settings.cache}: is no folder.\n  Name one, or a new one.")


def _check_nesting(taken: dict[Path, Job]) -> None:
    """Refuse a result that would lie in another one, as if that were a folder."""
    above: set[Path] = set()  # every folder that a result lies in, however deep
    for place in taken:
        for parent in place.parents:
            if parent in above:
                break
            above.add(parent)
    for file in taken.keys() & above:
        place = next(place for place in taken if file in place.parents)
        raise UsageError(
            f"{place} would be written into {file}, which is a file.\n  Choose another --export."
        )


def _inputs(jobs: list[Job], settings: Settings) -> Iterator[tuple[Path, str]]:
    """Yield what the run reads, and what it is."""
    for job in jobs:
        yield job.photo, "a photo of --in"
    for text in filter(is_list, settings.inputs):
        yield Path(text).expanduser(), "a list of --in"
    for name in (
        "depth",
        "like",
        "music",
        "estim_path",
        "refine_path",
        "inpaint_path",
        "inpaint_depth",
    ):
        path = getattr(settings, name)
        if path is None:
            continue
        flag = FLAGS[name].name
        yield Path(path), f"what {flag} names"
        if os.path.isdir(path):
            yield from ((file, f"in the folder that {flag} names") for file in Path(path).iterdir())


def _check_folder(folder: Path, flag: str, inputs: dict[Path, str]) -> None:
    """Refuse to replace a folder of frames unless it holds nothing but frames of ours."""
    if not folder.exists():
        return
    for path in [folder] if not folder.is_dir() else sorted(folder.iterdir()):
        known = inputs.get(real_path(path))
        if known or not FRAME_NAME.fullmatch(path.name):
            what = f"is {known}" if known else "is no frame of ours"
            raise UsageError(
                f"{flag} would replace the folder {folder}, and {path.name} "
                f"in it {what}.\n  Choose another --out, or move it away."
            )
