"""What a scene is exported as, by the end of the file's name; nothing heavy is imported here.

An exporter is a module of this room with one function:

    def write(path, scene, camera_path, plan, settings): ...

path is where to write, beside the final name (which it gets when all is written, so its stem means
nothing); scene the utils.scene.Scene, inpainted; camera_path the utils.camera.CameraPath of the
film in it; plan the utils.cli.plan.Plan; settings the utils.cli.flags.Settings, which know the
film's length, speed and easing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from utils.files import complete_or_absent, naming_write_errors

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any


class Exporter(NamedTuple):
    """A line of the table."""

    what: str  # as --help says it
    module: str  # of this room
    needs: str = ""  # a package that it takes, by the name that pip and import know


EXPORTERS = {
    ".ply": Exporter("points", "ply"),
    ".gs.ply": Exporter("Gaussian splats", "gs_ply"),
    ".splat": Exporter("the same for web viewers", "splat"),
    ".glb": Exporter("a mesh in layers with the camera", "glb", "pygltflib"),
    ".json": Exporter("the camera of every frame", "camera_json"),
    ".chan": Exporter("the same for Nuke and Blender", "chan"),
    ".html": Exporter("a page that shows it live, with the windows to choose by hand", "page"),
}


def find_exporter(name: str) -> Exporter:
    """Return the exporter of a file's name; the longest suffix that fits decides.

    Raises:
        ValueError: there is none, or its package is not installed; says what to type, as in
            "must end in ...".
    """
    fitting = [suffix for suffix in EXPORTERS if name.lower().endswith(suffix)]
    if not fitting:
        known = ", ".join(f"{suffix} ({line.what})" for suffix, line in EXPORTERS.items())
        raise ValueError(f"must end in one of {known}; got {name}.")
    exporter = EXPORTERS[max(fitting, key=len)]
    if exporter.needs and not find_spec(exporter.needs):
        raise ValueError(
            f"takes a package that is not installed to write {name}: pip install {exporter.needs}"
        )
    return exporter


def write_exports(
    paths: Iterable[Path], scene: Any, camera_path: Any, plan: Any, settings: Any
) -> None:
    """Write every file, each complete or not at all; folders are made.

    Args:
        paths: names of which `find_exporter` knows the end.
        scene, camera_path, plan, settings: see above.
    Raises:
        OSError: one cannot be written.
    """
    for path in paths:
        module = import_module(f"utils.export.{find_exporter(path.name).module}")
        with naming_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with complete_or_absent(path) as temporary:
                module.write(temporary, scene, camera_path, plan, settings)
