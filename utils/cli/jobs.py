"""One photo of a run, and the names of its results."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from utils.files import (
    real_path,
    remove_leftovers,
)

if TYPE_CHECKING:
    from typing import Any

    from utils.cli.flags import Settings

log = logging.getLogger("kbe")

# (height, width) px that every codec takes; the real size is known when the photo is read.
ANY_SIZE = (64, 64)


class Job(NamedTuple):
    """One photo and the names of its results."""

    photo: Path
    folder: Path  # made when the first result is written
    video: Path
    prefix: str  # of the other results' names: "" or "<name>_" beside a video named by the user
    choice: dict[str, Any] = {}  # settings of its own, from a list, a slideshow or several moves
    move: str = ""  # by which results are named, where the photo has a film of each of several
    more: bool = False  # the next film is of the same photo

    def chosen(self, settings: Settings) -> Settings:
        """Return the settings of a run as they are for this photo."""
        return replace(settings, **self.choice) if self.choice else settings

    def result(self, name: str) -> Path:
        """Return the path of another result, such as preview.png."""
        return self.folder / (self.prefix + name)

    def files(self, settings: Settings) -> list[Path]:
        """Return the files that this job may write, besides those in `folders`."""
        films = [self, self.matte()] if settings.matte else [self]
        named = ["preview.png"] * settings.preview
        named += ["disparity.png", "disparity.npy"] * settings.save_disparity
        others = [self.result(name) for name in named] + self.exports(settings)
        return [job.video for job in films] + others

    def exports(self, settings: Settings) -> list[Path]:
        """Return the files that --export asks for."""
        before = f"{self.move}_" if self.move else ""
        return [self.folder / name.with_name(before + name.name) for name in settings.export]

    def folders(self, settings: Settings) -> list[Path]:
        """Return the folders that this job may replace."""
        films = [self, self.matte()] if settings.matte else [self]
        frames = [job.result("frames") for job in films if settings.write_frames]
        return frames + [self.result("depth")] * settings.write_depth

    def written(self, settings: Settings) -> list[str]:
        """Return files and folders as --json says them."""
        return [str(path) for path in self.files(settings) + self.folders(settings)]

    def about(self) -> dict[str, Any]:
        """Return how its result begins: which film it is of which photo."""
        return {"photo": str(self.photo)} | ({"move": self.move} if self.move else {})

    def of_move(self, move: str, ending: str) -> Job:
        """Return the Job of one of several films, such as 3d_kbe_left.mp4 and left_preview.png.

        Args:
            move: its name.
            ending: of the film's name, before the suffix, which is to stay there.
        """
        stem = self.video.stem.removesuffix(ending)
        ending = self.video.stem.removeprefix(stem)
        video = self.video.with_stem(f"{stem}_{move}{ending}")
        return self._replace(video=video, prefix=f"{self.prefix}{move}_", move=move)

    def matte(self) -> Job:
        """Return the Job of the film's matte, such as 3d_kbe_matte.mp4 and matte_frames."""
        return self._replace(
            video=self.video.with_stem(self.video.stem + "_matte"), prefix=self.prefix + "matte_"
        )


def prepare_folder(folder: Path) -> None:
    """Make the results' folder, and fail before the work rather than after it.

    Raises:
        OSError: it cannot be made or written to.
    """
    try:
        real_path(folder).mkdir(parents=True, exist_ok=True)  # a link is followed
        remove_leftovers(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"cannot write into {folder}: {error.strerror}.\n  Choose another --out."
        ) from error
