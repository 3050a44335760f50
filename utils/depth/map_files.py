"""Depth and disparity maps from files of every common kind, and disparity back into files.

The kind of file is recognised by its first bytes, never by its name. Arrays come back as stored;
what the numbers mean is the business of utils.depth.map_kind. NaN means unknown everywhere.
Files are hostile until shown otherwise: no pickles, and sizes are checked before data is read.
"""

import io
import re
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np

from utils.depth.inner_names import likeliest
from utils.files import complete_or_absent, naming_write_errors
from utils.film.kinds import (
    PNG_HEAD,
    UnreadableFile,
    describe,
    naming_the_file,
    png_chunks,
    read_head,
)
from utils.film.opening import MAX_PIXELS
from utils.film.photos import read_stored, write_image

# What is taken from a folder of maps; JPEG is none, it smears edges, and photos lie beside maps.
MAP_SUFFIXES = {".png", ".tif", ".tiff", ".npy", ".npz", ".pfm", ".exr", ".h5", ".hdf5", ".mat"}
LISTED = 16  # names in a message
# What 16 bits hold, and the name of the text by which a PNG says what that stands for.
FULL_SCALE = 65535.0
SCALE_KEY = "Disparity"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
PFM_HEADER = re.compile(rb"P([Ff])\s+(\d{1,9})\s+(\d{1,9})\s+([-+0-9.eE]+)(?:\r?\n|[ \t])")
READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_depth(path: str | Path, key: str | None = None) -> np.ndarray:
    """Read a depth or disparity map as it is stored.

    NPY, NPZ, PFM, OpenEXR, HDF5, MATLAB v7.3, and pictures (PNG and TIFF of 8 or 16 bits or
    floating point, and whatever else utils.film.photos opens). Three equal channels count as one;
    transparent pixels are unknown.

    Args:
        path: the file.
        key: name of the array in an NPZ, HDF5, MATLAB or EXR file; default: the one whose name
            says depth or disparity, or the only one.
    Returns:
        (H, W) float32; NaN where unknown, +inf as stored (in depth: infinitely far).
    Raises:
        ValueError: missing, damaged, too large, not one map, coloured, or without any number.
    """
    with np.errstate(over="ignore"):
        values = np.array(read_numbers(path, key), np.float32, order="C")
    values[np.isneginf(values)] = np.nan
    if not np.isfinite(values).any():
        raise UnreadableFile(f"{path}: holds no finite number, so there is no depth in it.")
    return values


def read_numbers(path: str | Path, key: str | None = None) -> np.ndarray:
    """Read a map of any meaning (instances, confidence) in the type in which it is stored.

    Args, kinds of file and errors: as of `read_depth`; a map of which nothing is finite is none
    here.
    Returns:
        (H, W) of integers, bool or floating point.
    """
    path = Path(path)
    return _one_channel(path, _reader(path)(path, key))


def write_disparity(
    folder: Path, disparity: np.ndarray, prefix: str = "", full: float | None = None
) -> tuple[Path, Path]:
    """Write disparity.npy (float32, exact) and disparity.png (16 bit, to look at and to edit).

    The PNG stores 65535 * disparity / full: zero stays zero, so depth ratios survive; unknown
    (NaN) and negative values become 0. It says so in a text of its own, which `saved_peak` finds.

    Args:
        folder: an existing folder.
        disparity: (H, W), larger is nearer.
        prefix: put before both names.
        full: the disparity that 65535 stands for; the largest by default.
    Returns:
        (Path, Path): the two files.
    Raises:
        ValueError: not (H, W).
        OSError: a file cannot be written.
    """
    if disparity.ndim != 2 or not disparity.size:
        raise ValueError(f"disparity must be (H, W), got {disparity.shape}.")
    array_path, picture_path = (
        Path(folder) / f"{prefix}disparity.{suffix}" for suffix in ("npy", "png")
    )
    encoded = io.BytesIO()  # into a file, numpy.save takes a disk that is full at its end for room
    np.save(encoded, np.ascontiguousarray(disparity, np.float32), allow_pickle=False)
    with naming_write_errors(array_path), complete_or_absent(array_path) as temporary:
        temporary.write_bytes(encoded.getbuffer())
    shown = np.nan_to_num(disparity.astype(np.float64), nan=0, posinf=0, neginf=0).clip(0)
    full = full or float(shown.max()) or 1.0
    shown = (shown * (FULL_SCALE / full)).clip(0, FULL_SCALE)
    text = f"{FULL_SCALE:.0f} is {full:g} px"
    write_image(picture_path, np.rint(shown).astype(np.uint16), {SCALE_KEY: text})
    return array_path, picture_path


def saved_peak(path: Path | None, kind: str | None) -> float | None:
    """Return which value of a map stands for the nearest point, if its file says so.

    `write_disparity` does. An editor that drops the text loses nothing unless what is nearest was
    changed: then the largest value counts, as in any other map.

    Args:
        path: a map, or None.
        kind: what the user calls it; the text is about disparity.
    """
    if path is None or kind == "depth" or not read_head(path).startswith(PNG_HEAD):
        return None
    data = path.read_bytes()
    said = {
        data[start + 8 : end - 4].partition(b"\0")[0]
        for kind_of, start, end in png_chunks(data)
        if kind_of in (b"tEXt", b"iTXt", b"zTXt")
    }
    if SCALE_KEY.encode() not in said:
        return None
    bits = data[len(PNG_HEAD) + 16]  # of a channel; the first chunk is the header
    return float(2**bits - 1)


def inner_name(path: Path, key: str | None = None) -> str:
    """Name of the array that read_depth takes from a file that names its arrays, else "".

    Args:
        path: a file that read_depth can read.
        key: as given to read_depth.
    """
    path = Path(path)
    reader = _reader(path)
    names = {_read_npz: _npz_names, _read_hdf5: _hdf5_names, _read_exr: _exr_names}.get(reader)
    with naming_the_file(path):
        return _choose(path, names(path), key) if names else ""


def _reader(path):
    """Choose the function that reads this file, by its first bytes."""
    head = read_head(path)
    if head.startswith(b"\x93NUMPY"):
        return _read_npy
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return _read_npz
    if re.match(rb"P[Ff]\s", head):
        return _read_pfm
    if head.startswith(b"v/1\1"):
        return _read_exr
    if head.startswith((HDF5_SIGNATURE, b"MATLAB 7.3")):
        return _read_hdf5
    if head.startswith(b"MATLAB"):
        raise UnreadableFile(
            f"{path}: is MATLAB's old format. In MATLAB: save('depth.mat', 'depth', '-v7.3')"
        )
    if head[:1] == b"\x80" and path.suffix.lower() in (".npy", ".pkl", ".pickle"):
        raise UnreadableFile(_pickle_message(path))
    return _read_picture


def _pickle_message(path):
    return (
        f"{path}: holds pickled Python objects, which could run code. "
        "Save numbers: numpy.save(path, depth.astype('float32'))"
    )


def _check_array(path, shape, dtype):
    """Refuse what is no array of numbers, or too many of them, before reading it."""
    if dtype.hasobject:
        raise UnreadableFile(_pickle_message(path))
    if dtype.kind not in "iuf":
        raise UnreadableFile(f"{path}: holds {dtype}, not real numbers.")
    count = 1
    for side in shape or (0,):
        count *= int(side)
    if count == 0:
        raise UnreadableFile(f"{path}: is an array of shape {tuple(shape)}, without values.")
    if count > MAX_PIXELS:
        raise UnreadableFile(
            f"{path}: claims shape {tuple(shape)} ({count / 1e6:.0f} million values); "
            f"at most {MAX_PIXELS / 1e6:.0f} million are read."
        )


def _read_npy(path, key):
    with naming_the_file(path), path.open("rb") as file:
        return _read_array(path, file)


def _read_npz(path, key):
    with naming_the_file(path), zipfile.ZipFile(path) as archive:
        with archive.open(_choose(path, _npz_names(path), key) + ".npy") as file:
            return _read_array(path, file)


def _npz_names(path):
    with zipfile.ZipFile(path) as archive:
        return [name[:-4] for name in archive.namelist() if name.endswith(".npy")]


def _read_array(path, file):
    version = np.lib.format.read_magic(file)
    if version not in READ_HEADER:  # later versions exist for field names only
        raise UnreadableFile(f"{path}: holds no plain array of numbers.")
    shape, _, dtype = READ_HEADER[version](file)
    _check_array(path, shape, dtype)
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _read_pfm(path, key):
    with naming_the_file(path), path.open("rb") as file:
        header = PFM_HEADER.match(file.read(200))
        if not header:
            raise UnreadableFile(f"{path}: damaged: a PFM header (Pf, width, height, scale) fails.")
        letter, width, height, scale = header.groups()
        shape = (int(height), int(width)) + ((3,) if letter == b"F" else ())
        order = "<f4" if float(scale) < 0 else ">f4"
        _check_array(path, shape, np.dtype(order))
        file.seek(header.end())
        needed = int(np.prod(shape, dtype=np.int64)) * 4
        data = file.read(needed)
    if len(data) < needed:
        raise UnreadableFile(f"{path}: incomplete: {len(data)} bytes of values, not {needed}.")
    return np.frombuffer(data, order).reshape(shape)[::-1]  # rows are stored bottom to top


def _read_exr(path, key):
    with naming_the_file(path):
        name = _choose(path, _exr_names(path), key)
        with _openexr(path).File(str(path), separate_channels=True) as file:
            part, wanted = _exr_maps(file)[name]
            windows = (part.header[window] for window in ("dataWindow", "displayWindow"))
            if np.not_equal(*windows).any():
                raise UnreadableFile(
                    f"{path}: covers only a part of its picture. Save it uncropped."
                )
            if not set(wanted) <= set(part.channels):  # those that could be decoded
                raise ValueError("its pixels cannot be decoded")
            return np.dstack([part.channels[channel].pixels for channel in wanted])


def _exr_names(path):
    """Names of what may be read from a file, having seen that the sizes that it claims fit."""
    with _openexr(path).File(str(path), separate_channels=True, header_only=True) as file:
        count = 0
        for part in file.parts:
            if "deep" in str(part.type()):
                raise UnreadableFile(f"{path}: is deep OpenEXR (many samples a pixel). Flatten it.")
            count += len(part.header["channels"])  # all are decoded
            corner, end = (np.asarray(at, np.int64) for at in part.header["dataWindow"])
            width, height = (end - corner + 1).tolist()
            _check_array(path, (height, width, count), np.dtype(np.float32))
        return list(_exr_maps(file))


def _exr_maps(file):
    """{name: (part, [channels])}; R, G and B also as one; of several parts PART/CHANNEL."""
    maps = {}
    for number, part in enumerate(file.parts):
        before = f"{part.header.get('name') or number}/" if len(file.parts) > 1 else ""
        channels = [channel.name for channel in part.header["channels"]]
        maps |= {before + channel: (part, [channel]) for channel in channels}
        for layer in (channel[:-1] for channel in channels if channel.endswith("R")):
            colours = [layer + letter for letter in "RGB"]
            if set(colours) <= set(channels):
                maps[f"{before}{layer}RGB"] = (part, colours)
    return maps


def import_openexr() -> ModuleType | None:
    """Return the OpenEXR package, or None if it is not installed or too old."""
    try:
        import OpenEXR

        OpenEXR.File  # noqa: B018 - the interface of 3.3 and later
    except (ImportError, AttributeError):
        return None
    return OpenEXR


def _openexr(path):
    openexr = import_openexr()
    if openexr is None:
        raise UnreadableFile(
            f"{path}: is OpenEXR, which needs one more package: pip install 'OpenEXR>=3.3'"
        )
    return openexr


def _h5py(path):
    try:
        import h5py
    except ImportError:
        raise UnreadableFile(
            f"{path}: is HDF5 or MATLAB, which needs one more package: pip install h5py"
        ) from None
    return h5py


def _read_hdf5(path, key):
    with naming_the_file(path):
        name = _choose(path, _hdf5_names(path), key)
        with _h5py(path).File(path, "r") as file:
            dataset = file[name]
            _check_array(path, dataset.shape, dataset.dtype)
            values = dataset[()]
            # MATLAB stores columns first, so its matrices arrive transposed.
            return values.T if "MATLAB_class" in dataset.attrs or file.userblock_size else values


def _hdf5_names(path):
    """Names of the arrays in an HDF5 file; links, which could lead to other files, are left out."""
    h5py = _h5py(path)
    items = []
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: items.append((name, isinstance(item, h5py.Dataset))))
    return [name for name, is_array in items if is_array]


def _read_picture(path, key):
    try:
        return read_stored(path)
    except UnreadableFile as error:
        if "is no photo" not in str(error):
            raise
        found = describe(read_head(path))
        raise UnreadableFile(
            f"{path}: is no depth map that can be read: it seems to be {found}. "
            "Use NPY, NPZ, PNG, TIFF, PFM, EXR, HDF5 or MATLAB v7.3."
        ) from None


def _choose(path, names, key):
    """Pick the array to read among those that a file holds."""
    if key is not None:
        if key not in names:
            raise UnreadableFile(f"{path}: has no array '{key}', only {', '.join(names)}.")
        return key
    found = likeliest(names)
    if len(found) == 1 or len(names) == 1:
        return (found or names)[0]
    listed = ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "") or "nothing"
    if found:
        raise UnreadableFile(
            f"{path}: holds several maps, and nothing says which is meant: {', '.join(found)}. "
            '\n  Name one: --depth-layer NAME (train.py: "depth_key" of the data set).'
        )
    raise UnreadableFile(
        f"{path}: holds {listed}; none is named depth or disparity. Rename the one that is meant."
    )


def _one_channel(path, values):
    """Return (H, W) from an array that may have unit axes, equal colour channels and alpha."""
    shape = values.shape
    while values.ndim > 2 and 1 in (values.shape[0], values.shape[-1]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    if values.ndim == 3 and values.shape[2] not in (2, 3, 4) and values.shape[0] in (3, 4):
        values = np.moveaxis(values, 0, 2)
    if values.ndim == 3 and values.shape[2] in (2, 3, 4):
        return _from_channels(path, values)
    if values.ndim != 2:
        raise UnreadableFile(f"{path}: has shape {shape}; a depth map is (height, width).")
    return values


def _from_channels(path, values):
    colours = values[..., : 1 if values.shape[2] == 2 else 3]
    with np.errstate(invalid="ignore"):
        spread = float(np.nanmax(colours.max(axis=2) - colours.min(axis=2), initial=0))
    top = 255.0
    if colours.dtype != np.uint8:
        top = float(np.max(np.abs(colours), initial=0, where=np.isfinite(colours)))
    if spread > 0.03 * top:  # a grey JPEG's channels differ a little
        raise UnreadableFile(
            f"{path}: is coloured (its channels differ by up to {spread:g}). A picture of depth in "
            "false colours cannot be read back; save the numbers, or a grey picture."
        )
    grey = colours[..., colours.shape[2] // 2].astype(np.float32)  # of three, green
    if values.shape[2] in (2, 4):
        grey[values[..., -1] == 0] = np.nan
    return grey
