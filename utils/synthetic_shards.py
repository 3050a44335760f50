"""Reading synthetic scenes back from their HDF5 shards, one by one."""

import bisect
import os
from pathlib import Path

import h5py
import numpy as np

FORMAT = "kbe-scenes-1"
BASELINE = 0.1
"""Metres: disparity = focal_px * BASELINE / depth."""


class Shards:
    """Scenes of a folder, read lazily; pickles without its open files, so workers may inherit it.

    len(shards) scenes; shards[i] is a dict as of `generate_scene`, with baseline, without family.
    """

    def __init__(self, folder):
        """List the shards of `folder`; ValueError if there are none or one has another format."""
        self.paths = sorted(Path(folder).glob("scenes-*.h5"))
        if not self.paths:
            raise ValueError(
                f"no scenes-*.h5 in {folder}. Make some: python -m utils.synthetic --help"
            )
        counts, self.baseline = [], BASELINE
        for path in self.paths:
            try:
                with h5py.File(path) as file:
                    if file.attrs.get("format") != FORMAT:
                        raise ValueError(f"{path} is not in format {FORMAT}. Make it again.")
                    counts.append(len(file["focal_px"]))
                    self.baseline = float(file.attrs["baseline"])
            except OSError as error:
                raise ValueError(
                    f"{path} cannot be read ({error}). Remove and make it again."
                ) from error
        self._ends = np.cumsum(counts).tolist()
        self._files = {}

    def __len__(self):
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

    def read(self, index, names=("image", "depth", "instances"), views=None):
        """Some parts of one scene.

        Args:
            index: 0 <= index < len(self).
            names: of the arrays to read.
            views: a slice or list of views; all by default.
        Returns:
            dict of the named arrays with shift, focal_px and baseline.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"scene {index} of {len(self)}")
        number = bisect.bisect_right(self._ends, index)
        file, row = self._file(number), index - (self._ends[number - 1] if number else 0)
        views = slice(None) if views is None else views
        out = {name: file[name][row, views] for name in (*names, "shift")}
        return {**out, "focal_px": float(file["focal_px"][row]), "baseline": self.baseline}

    def __getitem__(self, index):
        """All of one scene."""
        return self.read(index)


def open_shards(folder):
    """`Shards` of a folder."""
    return Shards(folder)
