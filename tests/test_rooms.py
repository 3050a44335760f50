"""The house: which room may import from which, and what each says of itself."""

import ast
import graphlib
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
    "utils.starting",
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


def modules():
    """{dotted name: file} of all modules that lie on a floor."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if floor_of(name) is not None:
            found[name] = path
    return found


def offered(path):
    """{name: its module, from the room} of what a room hands on when it is asked for it."""
    tables = (node.value for node in ast.walk(ast.parse(path.read_text()))
              if isinstance(node, ast.keyword) and node.arg == "submod_attrs")  # fmt: skip
    return {
        name: module for table in tables for module, names in ast.literal_eval(table).items()
        for name in names
    }  # fmt: skip


def leading_to(path, found, rooms):
    """The modules that a file imports anything from, for types alone too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                inside = rooms.get(node.module, {}).get(alias.name, alias.name)
                whole = f"{node.module}.{inside}"
                yield whole if whole in found else node.module


def find_circle(files):
    """Names of modules each of which imports the next, and the last the first; or None."""
    rooms = {name: offered(path) for name, path in files.items() if path.name == "__init__.py"}
    graph = {name: {*leading_to(path, files, rooms)} - {name} for name, path in files.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1][::-1]
    return None


def test_no_module_leads_back_to_itself():
    """Nor inside a room, nor for types alone: whoever reads may begin at the bottom."""
    circle = find_circle(modules())
    assert not circle, " imports ".join(circle)


def test_a_circle_is_found(tmp_path):
    """Also through a name that the room hands on, and one that is only a type."""
    texts = {
        "utils/film/__init__.py": "attach(__name__, submod_attrs={'one': ['One'], 'two': ['Two']})",
        "utils/film/one.py": "if TYPE_CHECKING:\n    from utils.film import Two\n",
        "utils/film/two.py": "def make():\n    from utils.film.one import One\n",
    }
    files = {}
    for place, text in texts.items():
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        files[place.removesuffix(".py").replace("/", ".").removesuffix(".__init__")] = path
    assert set(find_circle(files)) == {"utils.film.one", "utils.film.two"}
    files["utils.film.two"].write_text("")
    assert find_circle(files) is None


def test_every_module_of_utils_lies_in_a_room():
    alone = sorted(path.name for path in (ROOT / "utils").glob("*.py"))
    named = ("devices", "files", "filters", "processes", "progress", "starting")
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
