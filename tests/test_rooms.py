"""The house: which room may import from which, and what each says of itself."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# From the ground floor up. A part may skip floors, and never climbs.
FLOORS = [
    "kernels",
    "models",
    "utils.devices",
    "utils.files",
    "utils.filters",
    "utils.processes",
    "utils.progress",
    "utils.synthetic",
    "utils.camera",
    "utils.film",
    "utils.depth",
    "utils.weights",
    "utils.scene",
    "utils.export",
    "utils.training",
    "utils.cli",
    "data_loader",
    "kbe",
    "train",
    "models.bundled",
    "benchmarks",
]
ROOMS = [name for name in FLOORS if (ROOT / name.replace(".", "/") / "__init__.py").is_file()]


def floor_of(module):
    """The index of the floor on which a dotted module lies, or None if it is not ours."""
    found = [name for name in FLOORS if module == name or module.startswith(name + ".")]
    return FLOORS.index(max(found, key=len)) if found else None


def imports_of(path):
    """Dotted names of the modules that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            if node.module == "utils":
                yield from (f"utils.{alias.name}" for alias in node.names)
            else:
                yield node.module


def test_imports_go_one_way():
    """No import climbs, so there is no circle between rooms."""
    climbing = []
    for path in sorted(ROOT.rglob("*.py")):
        own = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        floor = floor_of(own)
        if floor is None:
            continue
        climbing += [
            f"{own} imports {used}"
            for used in imports_of(path)
            if (other := floor_of(used)) is not None and other > floor
        ]
    assert not climbing


def test_every_module_of_utils_lies_in_a_room():
    alone = sorted(path.name for path in (ROOT / "utils").glob("*.py"))
    named = ("devices", "files", "filters", "processes", "progress")
    assert alone == ["__init__.py", *(f"{name}.py" for name in named)]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_exports_what_it_says(room):
    package = importlib.import_module(room)
    assert package.__doc__.strip(), f"{room} does not say what lives there"
    for name in getattr(package, "__all__", ()):
        assert getattr(package, name) is not None, f"{room}.{name}"


@pytest.mark.parametrize("room", [room for room in ROOMS if room.startswith("utils.")])
def test_a_room_costs_nothing_until_it_is_used(room):
    """Names are fetched when they are asked for, so --help needs no torch."""
    script = f"import sys, {room}; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    if room == "utils.synthetic":  # a program of its own, python -m utils.synthetic
        return
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_a_film_loads_only_what_it_needs(tmp_path):
    """Whatever else is installed: each of these would keep whoever waits for a film waiting."""
    script = f"""if True:
        import sys, kbe
        kbe.main(["--in", "images/example.jpg", "--out", {str(tmp_path)!r}, "--max-size", "128",
                  "--duration", "0.2", "--quiet"])
        heavy = {{"accelerate", "h5py", "huggingface_hub", "kornia", "matplotlib", "pandas", "ray",
                 "requests", "sympy", "tensorboard", "torchvision", "transformers"}}
        rooms = {{"utils.synthetic", "utils.training", "scipy.linalg", "torch._dynamo",
                 "torch._inductor", "torch.utils.tensorboard"}}
        sys.exit(" ".join(sorted((heavy | rooms) & sys.modules.keys())) or 0)"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.glob("*.mp4"))
