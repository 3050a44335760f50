"""Scenes on disk: HDF5 shards, written by several processes and read one scene at a time."""

import bisect
import contextlib
import dataclasses
import functools
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kernels.threads import thread_count
from utils.files import complete_or_absent, remove_leftovers
from utils.processes import spread
from utils.progress import Progress, duration
from utils.synthetic.film import SKY_DEPTH
from utils.synthetic.generate import generate_scene

FORMAT = "kbe-scenes-1"
BASELINE = 0.1
"""Metres: disparity = focal_px * BASELINE / depth."""
SHARD_SCENES = 100
FORECAST = 8  # scenes after which it is said how long all of them take


@contextlib.contextmanager
def _naming_damage(path):
    """Raise ValueError that names the file for whatever HDF5 stumbles over in it."""
    try:
        yield
    except Exception as error:  # a damaged file may raise anything, with its name or without
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        raise ValueError(f"{path} cannot be read ({error}). Remove and make it again.") from error


class Shards:
    """Scenes of a folder, read lazily; pickles without its open files, so workers may inherit it.

    len(shards) scenes; shards[i] is a dict as of `generate_scene`, with baseline, without family.
    """

    def __init__(self, folder: str | Path) -> None:
        """List the shards of `folder`; ValueError if there are none or one has another format."""
        self.paths = sorted(Path(folder).glob("scenes-*.h5"))
        if not self.paths:
            raise ValueError(
                f"no scenes-*.h5 in {folder}. Make some: python -m utils.synthetic --help"
            )
        counts, self.baseline = [], BASELINE
        for path in self.paths:
            with _naming_damage(path), h5py.File(path) as file:
                if file.attrs.get("format") != FORMAT:
                    raise ValueError(f"{path} is not in format {FORMAT}. Make it again.")
                counts.append(len(file["focal_px"]))
                self.baseline = float(file.attrs["baseline"])
        self._ends = np.cumsum(counts).tolist()
        self._files: dict[tuple[int, int], h5py.File] = {}

    def __len__(self) -> int:
        """Number of scenes."""
        return self._ends[-1]

    def __getstate__(self):
        """Everything but the open files."""
        return {**self.__dict__, "_files": {}}

    def _file(self, number):
        """The open file; one per process, since HDF5 handles must not cross a fork."""
        key = (os.getpid(), number)
        if key not in self._files:
            self._files[key] = h5py.File(self.paths[number])
        return self._files[key]

    def read(
        self,
        index: int,
        names: Sequence[str] = ("image", "depth", "instances"),
        views: slice | list[int] | None = None,
    ) -> dict[str, Any]:
        """Some parts of one scene.

        Args:
            index: 0 <= index < len(self).
            names: of the arrays to read.
            views: a slice or list of views; all by default.
        Returns:
            dict of the named arrays with shift, focal_px and baseline.
        Raises:
            IndexError: there is no such scene.
            ValueError: its file is damaged.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"scene {index} of {len(self)}")
        number = bisect.bisect_right(self._ends, index)
        row = index - (self._ends[number - 1] if number else 0)
        views = slice(None) if views is None else views
        with _naming_damage(self.paths[number]):
            file = self._file(number)
            out = {name: file[name][row, views] for name in (*names, "shift")}
            focal_px = float(file["focal_px"][row])
        return {**out, "focal_px": focal_px, "baseline": self.baseline}

    def __getitem__(self, index: int) -> dict[str, Any]:
        """All of one scene."""
        return self.read(index)


def open_shards(folder: str | Path) -> Shards:
    """`Shards` of a folder."""
    return Shards(folder)


@dataclasses.dataclass(frozen=True)
class Shard:
    """What one file of a data set holds: scenes first..first+count-1 of a seed."""

    seed: int
    first: int
    count: int
    size: tuple
    views: int
    photos: str | None = None

    def name(self) -> str:
        """File name; it says nothing that the file does not."""
        return f"scenes-{self.first:06d}.h5"


def write_shard(folder: str | Path, shard: Shard) -> Iterator[float]:
    """Make the scenes of a shard and write them, all or nothing.

    Args:
        folder: existing folder.
        shard: Shard.
    Yields:
        after each scene, how many bytes one takes on disk, so far.
    """
    path = Path(folder) / shard.name()
    shape = (shard.count, shard.views, *shard.size)
    # The temporary file is locked by us already, which HDF5's own lock would stumble over.
    with complete_or_absent(path) as temporary, h5py.File(temporary, "w", locking=False) as file:
        file.attrs.update(
            format=FORMAT,
            baseline=BASELINE,
            seed=shard.seed,
            first=shard.first,
            sky_depth=SKY_DEPTH,
        )
        layout = {
            "image": ((*shape, 3), "u1"),
            "depth": (shape, "f4"),
            "instances": (shape, "u1"),
            "shift": ((*shape[:2], 3), "f4"),
            "focal_px": (shape[:1], "f4"),
        }
        for name, (full, kind) in layout.items():
            packed = (
                {
                    "chunks": (1, *full[1:]),
                    "compression": "gzip",
                    "compression_opts": 1,
                    "shuffle": True,
                }
                if len(full) > 3
                else {}
            )
            file.create_dataset(name, full, kind, **packed)
        families = file.create_dataset("family", shape[:1], h5py.string_dtype())
        for i in range(shard.count):
            scene = generate_scene(
                shard.seed, shard.first + i, shard.size, shard.views, shard.photos
            )
            for name in layout:
                file[name][i] = scene[name]
            families[i] = scene["family"]
            yield sum(file[name].id.get_storage_size() for name in layout) / (i + 1)


def write_shards(
    folder: str | Path,
    count: int,
    size: tuple[int, int] = (192, 256),
    views: int = 3,
    seed: int = 0,
    workers: int | None = None,
    photos: str | Path | None = None,
    shard_scenes: int = SHARD_SCENES,
) -> list[Path]:
    """Write a data set; shards that are there and fit are kept, so a broken run is continued.

    Args:
        folder: made if missing.
        count: number of scenes.
        size: (height, width), px. views: per scene. seed: of the set.
        workers: processes; default one per core that this process may use. 1 starts none.
        photos: optional folder of photographs for textures.
        shard_scenes: scenes per file.
    Returns:
        list of the paths, in order.
    Raises:
        ValueError: the folder holds shards of another size, number of views or seed.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    workers = workers or thread_count()
    shards = [
        Shard(
            seed,
            first,
            min(shard_scenes, count - first),
            tuple(size),
            views,
            None if photos is None else str(photos),
        )
        for first in range(0, count, shard_scenes)
    ]
    missing = [shard for shard in shards if not _present(folder / shard.name(), shard)]
    if missing:
        _write(folder, missing, count, workers)
    return [folder / shard.name() for shard in shards]


def _write(folder, shards, count, workers):
    """Write shards, and say what is being made, how long it takes, how large it is and how far."""
    there = count - sum(shard.count for shard in shards)
    so_far = f"{there} of {count} are there" if there else "this is done once"
    with Progress(count, "scene", there) as progress:
        progress.note(f"making {count} synthetic scenes in {folder}; {so_far}")
        made = spread(functools.partial(write_shard, folder), shards, workers)
        try:
            with contextlib.closing(made):
                for number, scene_bytes in enumerate(made):
                    progress.advance()
                    if number == 0:  # what it took includes compiling
                        began = time.monotonic()
                    elif number == FORECAST:
                        seconds = (time.monotonic() - began) / number * (count - there)
                        _forecast(progress, count - there, seconds, scene_bytes, folder)
        finally:
            remove_leftovers(folder)  # of processes that were stopped


def _forecast(progress, scenes, seconds, scene_bytes, folder):
    """Say how long it takes and how large it is, once the first scenes are measured.

    Raises:
        ValueError: the disk has no room for them.
    """
    size, free = scenes * scene_bytes, shutil.disk_usage(folder).free
    if size > free:
        raise ValueError(
            f"{folder}: {scenes} scenes need about {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB "
            "are free.\n  Free some space, or make fewer."
        )
    large = f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6))} MB"
    progress.note(
        f"{scenes} scenes: about {duration(seconds)}, {large}, once; Ctrl-C stops it, and the "
        "next time it goes on"
    )


def _present(path, shard):
    """Whether the shard's file is there, with all its scenes; an error if it is another set's."""
    if not path.is_file():
        return False
    with _naming_damage(path), h5py.File(path) as file:
        scenes, *shape = file["depth"].shape
        found = (file.attrs.get("format"), int(file.attrs.get("seed", -1)), *shape)
    wanted = (FORMAT, shard.seed, shard.views, *shard.size)
    if found != wanted:
        raise ValueError(
            f"{path} holds (format, seed, views, height, width) = {found}, asked for"
            f" {wanted}. Pass an empty folder, or remove the old files."
        )
    return scenes >= shard.count  # fewer are from a smaller set, and are the same scenes


def ensure_dataset(
    folder: str | Path,
    count: int = 2000,
    size: tuple[int, int] = (192, 256),
    views: int = 3,
    seed: int = 0,
    workers: int | None = None,
) -> list[Path]:
    """The default data set: made on first use, continued if it was interrupted.

    Args, returns and raises as `write_shards`.
    """
    return write_shards(folder, count, size, views, seed, workers)
