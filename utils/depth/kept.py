"""Depth that networks estimated, kept in a folder for later films of the same photo: `--cache`.

An entry is a ZIP file of its own: the disparity to the last bit, and what it was made of, by which
it is found again. Whatever is not just what was asked for counts as not there.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import zipfile
import zlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from kernels.sources import ROOT, digest
from utils.depth.estimators import is_hugging_face, refine_disparity
from utils.files import complete_or_absent, file_digest, remove_leftovers

if TYPE_CHECKING:
    from typing import Any

log = logging.getLogger("kbe")

FORMAT = 1
ABOUT, VALUES = "about.json", "disparity.planes"
# All code between a photo and its depth: these files and what they import from the project.
CODE = ("utils/depth/estimators.py", "utils/weights/loading.py")
PACKAGES = ("torch", "numba")  # what else its last bits depend on, beside NumPy and OpenCV


class KeptDepth:
    """The place in a cache of what the networks say of one photo.

    Args:
        folder: the cache; made when the first entry is written.
        image: (1, 3, H, W) RGB in [0, 1], the photo at the size that is worked on.
        networks: utils.weights.Networks; nothing of them is loaded for what is there.
    """

    def __init__(self, folder: Path, image: torch.Tensor, networks: Any) -> None:
        """Look at nothing yet."""
        self.folder, self._image, self._networks = folder, image, networks

    @property
    def there(self) -> bool:
        """Whether the depth is in the cache, whole."""
        return self._found is not None

    def disparity(self) -> torch.Tensor:
        """Return (1, 1, H, W) float32 relative disparity: as it was kept, or estimated and kept."""
        if self._found is not None:
            return torch.from_numpy(self._found)[None, None]
        networks = self._networks
        found = refine_disparity(networks.refiner, self._image, networks.estimator(self._image))
        self._write(found[0, 0].numpy())
        return found

    @cached_property
    def _found(self) -> np.ndarray | None:
        """(H, W) float32, or None; an entry that cannot be used is said."""
        about = self._about()
        if about is None:
            return None
        path = self._path(about)
        if not path.exists():
            return None
        try:
            return _read(path, about, self._size)
        except (OSError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            reason = str(error) or type(error).__name__
            log.warning("%s cannot be used (%s): depth is estimated anew", path, reason)
            return None

    def _write(self, disparity: np.ndarray) -> None:
        """Keep it; where that fails, the film is made all the same."""
        about = self._about()
        if about is None:
            return
        values = np.ascontiguousarray(disparity, "<f4")
        planes = values.view(np.uint8).reshape(-1, 4).T  # like beside like packs to half the size
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(self.folder)
            with (
                complete_or_absent(self._path(about)) as temporary,
                zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as entry,
            ):
                entry.writestr(ABOUT, about)
                entry.writestr(VALUES, planes.tobytes())
        except OSError as error:
            reason = error.strerror or error
            log.warning("--cache %s: the depth could not be kept: %s", self.folder, reason)

    def _path(self, about: bytes) -> Path:
        return self.folder / f"{hashlib.sha256(about).hexdigest()}.zip"

    @property
    def _size(self) -> tuple[int, int]:
        height, width = self._image.shape[2:]
        return height, width

    def _about(self) -> bytes | None:
        """All that the depth depends on, as JSON; None where that is not known yet."""
        paths, weights = self._networks.paths, {}
        for role in ("estimation", "refinement"):
            if path := paths[role]:
                weights[role] = _weights_digest(path, self._networks.digests[role])
        if None in weights.values():
            return None
        packages = PACKAGES + ("transformers",) * is_hugging_face(paths["estimation"])
        about = {
            "format": FORMAT,
            "photo": self._photo_digest,
            "size": self._size,
            "weights": weights | _other_weights(),
            "device": self._networks.device.type,
            "code": [digest(ROOT / name) for name in CODE],
            "versions": {"numpy": np.__version__, "opencv": cv2.__version__}
            | {name: importlib.metadata.version(name) for name in packages},
        }
        return json.dumps(about, sort_keys=True).encode()

    @cached_property
    def _photo_digest(self) -> str:
        """SHA-256 of the pixels: of what the networks see, however its file is called."""
        pixels = self._image[0].permute(1, 2, 0).cpu().numpy()
        return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


def _read(path, about, size):
    """Disparity (height, width) of an entry, which must be just what is asked for."""
    with zipfile.ZipFile(path) as entry:
        sizes = {part.filename: part.file_size for part in entry.infolist()}
        # Before anything is unpacked: a file that is not ours may say anything.
        if sizes != {ABOUT: len(about), VALUES: 4 * size[0] * size[1]}:
            raise ValueError("it is no depth of this photo")
        if entry.read(ABOUT) != about:
            raise ValueError("it was made of something else")
        planes = np.frombuffer(entry.read(VALUES), np.uint8).reshape(4, -1)
    values = np.ascontiguousarray(planes.T).view("<f4").reshape(size).astype(np.float32)
    if not (np.isfinite(values).all() and values.min() >= 0):
        raise ValueError("it holds what is no disparity")
    return values


def _weights_digest(path, of_file):
    """What identifies weights by their content: a file's, a folder's, or those of the hub."""
    if not is_hugging_face(path):
        return of_file
    name = str(path)
    if name.startswith("hf:"):
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(name.removeprefix("hf:"), "config.json")
        # Snapshots are called by their commit; before the first download there is none.
        return Path(found).parent.name if isinstance(found, str) else None
    content = hashlib.sha256()
    for file in sorted(file for file in Path(path).rglob("*") if file.is_file()):
        content.update(f"{file.relative_to(path)} {file_digest(file)}\n".encode())
    return content.hexdigest()


def _other_weights():
    """Weights that some networks take from a file of a fixed name; no run names them."""
    from models import TRAINED
    from models.registry import ROLES

    file = TRAINED / ROLES["semantics"].trained[0]
    if not file.is_file():
        return {}
    state = file.stat()  # half a gigabyte would take longer than many a network
    return {"semantics": f"{state.st_size} bytes of {state.st_mtime_ns}"}
