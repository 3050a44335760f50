"""The networks of one run: which weights files, loaded once, and what is said about them."""

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from kernels.threads import thread_count
from models import FOLDER
from models.registry import BY_RULE, ROLES, RULES
from utils.depth.estimators import HuggingFaceEstimator, estimate_disparity, is_hugging_face
from utils.devices import ON_CPU, Devices, choose_devices, tell, use_full_precision
from utils.files import file_digest
from utils.weights.loading import load_estimator, load_network

log = logging.getLogger("kbe")

KEPT = 2  # sets of networks that calls from Python may find loaded
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def find_weights(
    role: str, given: str | Path | None = None, models: Path = FOLDER
) -> Path | str | None:
    """Choose the weights file of a role.

    Args:
        role: a key of `models.registry.ROLES`.
        given: what the user asked for: a path, or what train.py was told as --save-name, or a key
            of `models.registry.RULES`.
        models: the folder with trained/ and bundled/.
    Returns:
        Path, or that key, or None where nothing is given, downloaded, trained or bundled.
    Raises:
        ValueError: there is no such file; says what there is.
    """
    if given is not None:
        return _find_given(ROLES[role], str(given), models / "trained")
    candidates = [models / "trained" / name for name in ROLES[role].trained]
    if bundled := ROLES[role].bundled:
        candidates.append(models / "bundled" / bundled)
    return next(
        (path for path in candidates if path.is_file() or (path / "config.json").is_file()), None
    )


def _find_given(role, given, trained):
    """Return what was given for a role: a file's Path, or a name's in models/trained, or a rule."""
    path = Path(given).expanduser()
    if path.exists():
        return path
    if path.name != given:  # a path
        advice = f"Run ./download_models.sh or pass {role.flag} FILE."
        if role.name == "estimation" and HUB_NAME.fullmatch(given):
            advice = f"If it is one of the Hugging Face hub, type hf:{given}."
        raise ValueError(f"no weights at {path}.\n  {advice}")
    for path in (trained / f"{role.kind}-{given}.tar", trained / given):
        if path.exists():
            return path
    rules = [name for name in RULES if RULES[name].role == role.name]
    if given in rules:
        return given
    there = [path.stem.removeprefix(f"{role.kind}-") for path in trained.glob(f"{role.kind}-*.tar")]
    there += [name for name in role.trained if (trained / name).exists()] + rules
    raise ValueError(
        f"{role.flag} {given}: there is no such file, and none of that name in {trained}.\n"
        f"  There is: {', '.join(sorted(set(there))) or 'nothing'}."
    )


def load_inpainter(
    given: str | Path, device: torch.device | str = "cpu", trust: bool = False
) -> Any:
    """Return what fills holes: a rule, or a network in eval mode.

    Args:
        given: a key of `models.registry.RULES`, or a weights file.
        device: where a network runs.
        trust: as of `utils.weights.loading.load_network`, which says what is raised, too.
    """
    if given in RULES:
        return RULES[str(given)].load()()
    return load_network(given, "inpainting", device, trust)


def is_gpu_full(error: BaseException) -> bool:
    """Whether an error says that a GPU has no memory left: torch's (CUDA, Metal) or CuPy's."""
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error).lower()


class Networks:
    """The networks that a run may need, each loaded when it is first asked for.

    Args:
        estimation, refinement: weights files, None = none.
        inpainting, inpaint_depth: likewise, or a key of `models.registry.RULES`.
        devices: where they run, and where the scene lives that they complete.
        trust: allow checkpoints that need unpickling.
    """

    def __init__(
        self,
        estimation: str | Path | None = None,
        refinement: str | Path | None = None,
        inpainting: str | Path | None = BY_RULE,
        inpaint_depth: str | Path | None = None,
        devices: Devices = ON_CPU,
        trust: bool = False,
    ) -> None:
        """Remember the files; nothing is read yet."""
        self.paths = {
            "estimation": estimation,
            "refinement": refinement,
            "inpainting": inpainting,
            "inpaint_depth": inpaint_depth,
        }
        self.devices, self.trust = devices, trust
        self._loading = threading.Lock()  # photos that are prepared at once ask at once

    @property
    def device(self) -> torch.device:
        """Where the networks run."""
        return self.devices.networks

    @cached_property
    def estimator(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Function from photo (1, 3, H, W) to coarse relative disparity (1, 1, h, w)."""
        path = self.paths["estimation"]
        assert path is not None  # choose_networks saw to it, unless there is nothing to estimate
        if is_hugging_face(path):
            return HuggingFaceEstimator(str(path).removeprefix("hf:"), self.device)
        return partial(estimate_disparity, load_estimator(path, self.device, self.trust))

    @cached_property
    def refiner(self) -> torch.nn.Module | None:
        """Network from photo and coarse disparity to fine disparity, or None."""
        path = self.paths["refinement"]
        return load_network(path, "refinement", self.device, self.trust) if path else None

    @cached_property
    def inpainter(self) -> Any:
        """What fills colour and disparity of holes: a network, or a rule."""
        return self._load_inpainter("inpainting")

    @cached_property
    def depth_inpainter(self) -> Any:
        """A second one, taken for the disparity only, or None."""
        return self._load_inpainter("inpaint_depth")

    def load_all(self, estimates: bool) -> None:
        """Load what a photo needs, so that weights that do not fit are told before any work.

        Args:
            estimates: whether its depth is estimated.
        """
        with self._loading:
            if estimates and self.paths["estimation"]:
                _ = self.estimator, self.refiner
            _ = self.inpainter, self.depth_inpainter

    @cached_property
    def on_cpu(self) -> "Networks":
        """The same networks on the CPU, for what a GPU has no room for."""
        return Networks(**self.paths, devices=ON_CPU, trust=self.trust)

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of every weights file, by role: what `--skip-existing` compares.

        The usual rule counts as nothing, as in films that were made before rules had names.
        """
        return {
            role: file_digest(path) if Path(path).is_file() else str(path)
            for role, path in self.paths.items()
            if path is not None and (role, path) != ("inpainting", BY_RULE)
        }

    def describe(self, settings: Any) -> dict[str, str]:
        """Return {role: what was chosen}, to be said with every result."""
        if settings.flat:
            return {"depth": "flat"}
        paths = self.paths
        chosen = (
            {"depth": f"file {settings.depth}"}
            if settings.depth
            else {
                "estimation": str(paths["estimation"]),
                "refinement": str(paths["refinement"] or "by rule"),
            }
        )
        for role in ("inpainting", "inpaint_depth"):
            if given := paths[role]:
                chosen[role] = f"by {given}" if given in RULES else str(given)
        return chosen

    def _load_inpainter(self, key: str) -> Any:
        given = self.paths[key]
        return load_inpainter(given, self.device, self.trust) if given else None


def choose_networks(settings: Any, device: str | None = None) -> Networks:
    """Find the weights of a run; nothing is loaded yet.

    Args:
        settings: utils.cli.flags.Settings.
        device: instead of theirs.
    Returns:
        Networks.
    Raises:
        ValueError: a file that was asked for is not there, or none gives depth.
    """
    estimation = refinement = inpainting = inpaint_depth = None
    if not settings.flat:
        inpainting = find_weights("inpainting", settings.inpaint_path) or BY_RULE
        inpaint_depth = settings.inpaint_depth and find_weights(
            "inpainting", settings.inpaint_depth
        )
        if not settings.depth:
            refinement = find_weights("refinement", settings.refine_path)
            estimation = settings.estim_path
            if estimation is None or not is_hugging_face(estimation):
                estimation = find_weights("estimation", estimation)
            if estimation is None:
                raise ValueError(
                    "no weights for depth estimation.\n  Run ./download_models.sh, or "
                    "pass --estim-path FILE, or --depth FILE, or --2d."
                )
    torch.set_num_threads(min(torch.get_num_threads(), thread_count()))  # a container's share
    use_full_precision()
    networks = Networks(
        estimation,
        refinement,
        inpainting,
        inpaint_depth,
        choose_devices(device or settings.device),
        settings.trust_checkpoint,
    )
    tell(networks.devices)
    log.info(
        "%s", ", ".join(f"{role} {name}" for role, name in networks.describe(settings).items())
    )
    return networks


_kept: OrderedDict[tuple, Networks] = OrderedDict()  # those used last come last
_kept_lock = threading.Lock()


def keep_networks(settings: Any) -> Networks:
    """Find the networks of one of several calls, loaded already if an earlier call wanted the same.

    The KEPT sets used last are kept, by their files (path, time and size) and devices.

    Args:
        settings: utils.cli.flags.Settings.
    Returns:
        Networks.
    Raises:
        ValueError: as of `choose_networks`.
    """
    networks = choose_networks(settings)
    files = tuple((role, str(path), _state(path)) for role, path in networks.paths.items())
    key = files, networks.devices[:2], networks.trust
    with _kept_lock:
        networks = _kept.setdefault(key, networks)
        _kept.move_to_end(key)
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return networks


def _state(path: str | Path | None) -> tuple[tuple[str, int, int], ...]:
    """Names, times and sizes of a weights file, or of a folder's files; none of what is no file."""
    if path is None or not Path(path).exists():
        return ()
    files = sorted(Path(path).iterdir()) if Path(path).is_dir() else [Path(path)]
    found = ((file.name, file.stat()) for file in files)
    return tuple((name, state.st_mtime_ns, state.st_size) for name, state in found)
