"""RGB-D data sets on disk: opening what a dict means, reading one photo or scene of it."""

import functools
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from utils.depth.map_files import MAP_SUFFIXES, read_depth, read_numbers
from utils.depth.map_kind import known_depth, why_relative
from utils.depth.maps import fit_shape
from utils.files import data_entries, data_files, plain_name
from utils.film.kinds import PHOTO_SUFFIXES, choose_photos, some
from utils.film.photos import read_image
from utils.training.data_set_keys import OPTIONAL, check_data_set, chosen_clips
from utils.training.labels import compact, known_pixels, number_objects, read_instances

log = logging.getLogger(__name__)

SAMPLED = 8  # confidence maps that are looked at for the largest number that the set uses
LOOKED_AT = 100  # items of a set that may know nothing before it is refused


def open_data_set(data_set: dict[str, Any], masks: bool = False) -> "Opened":
    """Open one data set dict: synthetic scenes, folders of photos and maps, or NYU's one file.

    Args:
        data_set: the dict.
        masks: whether instance maps are needed; where there are none they are detected.

    Returns:
        SceneShards, PhotoFolders or LabelledFile; all have len(), `label(item)`, `views(item)`.
    Raises:
        ValueError: the dict is wrong (`check_data_set`), nothing usable lies at its path, or
            nothing is known in what does.
    """
    data_set = check_data_set(data_set)
    path = Path(data_set["path"])
    if not path.exists():
        raise ValueError(
            f"data set {data_set['name']!r}: {path} does not exist.\n"
            "  Correct its 'path'; a relative one counts from where train.py was started."
        )
    if path.is_dir() and data_files(path, {".h5"}):
        return SceneShards(data_set)  # which are ours, and whole
    opened = LabelledFile(data_set) if path.is_file() else PhotoFolders(data_set, masks)
    if data_set["disparity"] != "none":
        check_known(opened)
    if isinstance(opened, PhotoFolders) and not data_set["disparity"]:
        opened.tell_relative()
    return opened


def check_known(opened: "Opened") -> None:
    """Raise ValueError if of the first hundred photos of a data set not one pixel is known.

    A file that cannot be read ends the search: it is named when it is drawn.
    """
    count = min(len(opened), LOOKED_AT)
    for item in range(count):
        try:
            views = opened.views(item)
        except ValueError:
            return
        if any(known_pixels(view, opened.data_set["confidence_min"]).any() for view in views):
            return
    raise ValueError(
        f"data set {opened.data_set['name']!r}: nothing is known in its first {count} photos: "
        f"every depth is missing, or trusted less than {opened.data_set['confidence_min']:g}.\n"
        "  Correct its 'depth_folder', 'confidence' or 'confidence_min'."
    )


class PhotoFolders:
    """Photos in `images/` and maps of the same stem in `depth/` (or `disparity/`)."""

    told_of_turning = False

    def __init__(self, data_set: dict[str, Any], masks: bool = False) -> None:
        """Pair the files; ValueError if there is no pair."""
        self.data_set = data_set
        self.root = Path(data_set["path"])
        folders = {"image": "images"}
        if data_set["disparity"] != "none":
            kind = "disparity_folder" if data_set["disparity"] else "depth_folder"
            folders["geometry"] = data_set[kind]
        if self._has("confidence"):
            folders["confidence"] = data_set["confidence"]
        if masks:
            folders["masks"] = data_set["masks"] if self._has("masks") else self._detected_masks()
        found = {
            key: self._files(folder, PHOTO_SUFFIXES if key == "image" else MAP_SUFFIXES)
            for key, folder in folders.items()
        }
        stems = sorted(set.intersection(*(set(files) for files in found.values())))
        if not stems:
            counts = ", ".join(f"{len(found[key])} files in {f}/" for key, f in folders.items())
            raise ValueError(
                f"data set {data_set['name']!r}: no stem that is in every folder under "
                f"{self.root}: {counts}.\n  Put images/NAME.jpg beside "
                f"{folders.get('geometry', 'masks')}/NAME.png."
            )
        self._tell_lonely(folders, found, stems)
        self.items = [
            [
                {key: files[stem] for key, files in found.items()} | {"kind": kind}
                for stem, kind in clip
            ]
            for clip in chosen_clips(data_set, stems)
        ]

    def _has(self, key):
        """Whether the folder of an optional map exists; it must if it was named otherwise."""
        there = (self.root / self.data_set[key]).is_dir()
        if not there and self.data_set[key] != OPTIONAL[key]:
            raise ValueError(
                f"data set {self.data_set['name']!r}: {self.root / self.data_set[key]} does not "
                f"exist.\n  Correct its {key!r}."
            )
        return there

    def _detected_masks(self):
        """Folder of the instance maps that a detector makes."""
        from utils.training.masks import ensure_masks

        photos = self._files("images", PHOTO_SUFFIXES)
        return ensure_masks(self.data_set["name"], self.root, photos)

    def _files(self, folder, suffixes):
        """Map of stem (with subfolders) to path; two files of one stem are an error."""
        root = self.root / folder
        files = {}
        for path in data_files(root, suffixes, recursive=True) if root.is_dir() else []:
            other = files.setdefault(
                plain_name(path.relative_to(root).with_suffix("").as_posix()), path
            )
            if other != path:
                raise ValueError(
                    f"data set {self.data_set['name']!r}: {root} holds {other.name} and "
                    f"{path.name}, and which is meant is not said.\n  Keep one of them there."
                )
        return files

    def _tell_lonely(self, folders, found, stems):
        """Say what has no partner in the other folders, and which pictures are not read."""
        name, used = self.data_set["name"], set(stems)
        entries = data_entries(self.root / folders["image"], recursive=True)
        for what in choose_photos(entries)[1]:
            log.warning("data set %r: left out %s", name, what)
        for key, folder in folders.items():
            if lonely := sorted(set(found[key]) - used):
                log.warning(
                    "data set %r: %d of %d files in %s/ have no partner in %s: %s",
                    *(name, len(lonely), len(found[key]), folder),
                    " and ".join(f"{other}/" for other in folders.values() if other != folder),
                    some(lonely),
                )

    def tell_relative(self) -> None:
        """Warn of depth that does not begin at the camera: its first map tells."""
        path = self.items[0][0]["geometry"]
        try:
            why = why_relative(path, read_numbers(path, self.data_set["depth_key"]))
        except ValueError:  # it is named when it is drawn
            return
        if why:
            log.warning(
                f"data set {self.data_set['name']!r}: {path}: {why}, so it seems to be "
                "relative depth, and is taken for depth from the camera.\n"
                '  Store its inverse, and say "disparity": "relative".'
            )

    def __len__(self) -> int:
        """How many there are to draw."""
        return len(self.items)

    def label(self, item: int) -> str:
        """What to call this item in a message."""
        return f"data set {self.data_set['name']!r}: {self.items[item][0]['image']}"

    def views(self, item: int) -> list[dict[str, Any]]:
        """A photo, or the photos of a clip, as dicts of arrays."""
        return [self._read(files) for files in self.items[item]]

    def _read(self, files):
        data_set = self.data_set
        photo = self._open(files["image"], read_image)
        image = photo.pixels
        view = {"image": image, "stored": np.zeros(image.shape[:2], np.uint16)}
        if "geometry" in files:
            geometry = self._open(files["geometry"], self._read_map)
            geometry = self._turn(files["geometry"], geometry, photo)
            view["stored"] = compact(geometry)
            self._check_size(files["geometry"], geometry, image, exact=not data_set["disparity"])
        for key, read in (("confidence", self._read_confidence), ("masks", read_instances)):
            if key in files:
                view[key] = self._turn(files[key], self._open(files[key], read), photo)
                self._check_size(files[key], view[key], image, exact=False)
        scale = max(image.shape[:2]) if data_set["focal_unit"] == "long side" else 1.0
        view["focal_px"] = data_set["param"]["focal"] * scale
        view["baseline"] = data_set["param"]["baseline"]
        view["kind"] = files["kind"]
        view["unit"] = data_set["depth_unit"]
        view["unknown"] = data_set["unknown"]
        return view

    def _read_map(self, path):
        key = self.data_set["depth_key"]
        values = read_depth(path, key) if key else read_depth(path)
        if self.data_set["disparity"]:
            return values
        known = known_depth(values)  # zero means unknown as well, and is whole
        return values if known is values else np.nan_to_num(known, nan=0)

    def _read_confidence(self, path):
        """Trust in 0..255, whatever stands for certainty in this set."""
        values = read_numbers(path)
        certain = 1.0 if values.dtype.kind == "f" else self._certain
        values = np.nan_to_num(values.astype(np.float32))
        if not (values.min() >= 0 and values.max() <= certain):
            raise ValueError(
                f"trust from {values.min():g} to {values.max():g}, not 0 to {certain:g}. Store "
                "0 to 1 as floating point, or whole numbers over 8 or 16 bits."
            )
        return np.rint(values * (255 / certain)).astype(np.uint8)

    @functools.cached_property
    def _certain(self):
        """The whole number that stands for certainty: of a set, since one map may lack it."""
        paths = [files["confidence"] for clip in self.items for files in clip]
        some = [read_numbers(path) for path in paths[:: max(1, len(paths) // SAMPLED)]]
        most = max(int(np.nanmax(values)) for values in some)
        if most <= 1:
            return 1
        if most <= 2:  # low, medium, high
            return 2
        return 65535 if most > 255 or some[0].dtype == np.uint16 else 255

    def _turn(self, path, values, photo):
        """Turn a map that lies as the photo is stored."""
        lying = values.shape == photo.pixels.shape[1::-1] != photo.pixels.shape[:2]
        if not lying or photo.orientation <= 4:
            return values
        turned, note = fit_shape(values, photo.pixels.shape[:2], photo.orientation)
        if not self.told_of_turning:
            log.info("%s: %s, and so are others", path, note)
            self.told_of_turning = True
        return turned

    def _open(self, path, reader):
        try:
            return reader(path)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(
                f"data set {self.data_set['name']!r}: {path} cannot be read: {error}\n"
                "  Replace or remove this file."
            ) from error

    def _check_size(self, path, array, image, exact):
        """Maps of depth must be as large as the photo, others may be smaller in proportion."""
        (height, width), (rows, columns) = image.shape[:2], array.shape[:2]
        scale = max(rows, columns) / max(height, width)
        off = max(abs(rows - height * scale), abs(columns - width * scale))
        if (rows, columns) != (height, width) and (exact or off > 1):
            raise ValueError(
                f"data set {self.data_set['name']!r}: {path} is {columns}x{rows}, its photo is "
                f"{width}x{height}.\n  Store both at one size, or remove the pair."
            )


class SceneShards:
    """Synthetic scenes in HDF5 shards: several views of each, exact depth, instance maps."""

    def __init__(self, data_set: dict[str, Any]) -> None:
        """Count the scenes of every shard; ValueError if a file is no shard of ours."""
        from utils.synthetic import open_shards

        self.data_set = data_set
        try:
            self.shards = open_shards(data_set["path"])
        except ValueError as error:
            raise ValueError(f"data set {data_set['name']!r}: {error}") from error

    def __len__(self) -> int:
        """How many there are to draw."""
        return len(self.shards)

    def label(self, item: int) -> str:
        """What to call this item in a message."""
        return f"data set {self.data_set['name']!r}: scene {item} in {self.data_set['path']}"

    def views(self, item: int) -> list[dict[str, Any]]:
        """All views of a scene, as dicts of arrays; `shift` (3,) is where the camera stands."""
        try:
            scene = self.shards[item]
        except OSError as error:
            raise ValueError(
                f"{self.label(item)} cannot be read: {error}\n  Remove its shard and make it anew."
            ) from error
        camera = {"kind": "depth", "unit": 1.0}
        camera |= {key: scene[key] for key in ("focal_px", "baseline")}
        arrays = (scene[key] for key in ("image", "depth", "instances", "shift"))
        return [
            {"image": image, "stored": depth, "masks": instances, "shift": shift} | camera
            for image, depth, instances, shift in zip(*arrays, strict=True)
        ]


class LabelledFile:
    """The labelled file of NYU Depth v2 (MATLAB v7.3): `images`, `depths` in m, `instances`."""

    def __init__(self, data_set: dict[str, Any]) -> None:
        """Count the photos; ValueError if the file is another one."""
        self.data_set, self.file, self.process = data_set, None, None
        try:
            self.length = len(self._open()["images"])
            if len(self._open()["depths"]) != self.length:
                raise ValueError("images and depths differ in number")
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(
                f"data set {data_set['name']!r}: {data_set['path']} is no labelled file of "
                f"NYU Depth v2: {error}\n  Pass nyu_depth_v2_labeled.mat, or a folder."
            ) from error

    def _open(self):
        """The file, opened anew in every process: handles do not survive a fork."""
        import h5py

        if self.process != os.getpid():
            self.file, self.process = h5py.File(self.data_set["path"]), os.getpid()
        return self.file

    def __getstate__(self):
        """Everything but the open file."""
        return self.__dict__ | {"file": None, "process": None}

    def __len__(self) -> int:
        """How many there are to draw."""
        return self.length

    def label(self, item: int) -> str:
        """What to call this item in a message."""
        return f"data set {self.data_set['name']!r}: photo {item} in {self.data_set['path']}"

    def views(self, item: int) -> list[dict[str, Any]]:
        """The one view of a photo, as a list of one dict of arrays. MATLAB stores columns first."""
        file = self._open()
        view = {
            "image": np.ascontiguousarray(file["images"][item].transpose(2, 1, 0)),
            "stored": np.ascontiguousarray(file["depths"][item].T, np.float32),
            "kind": "depth",
            "unit": self.data_set["depth_unit"],
        }
        if "instances" in file:
            view["masks"] = number_objects(np.ascontiguousarray(file["instances"][item].T))
        scale = max(view["image"].shape[:2]) if self.data_set["focal_unit"] != "px" else 1.0
        param = self.data_set["param"]
        return [view | {"focal_px": param["focal"] * scale, "baseline": param["baseline"]}]


Opened = PhotoFolders | SceneShards | LabelledFile
