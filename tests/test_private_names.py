"""What we take of libraries beyond their documentation: named here, and still there."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Name, as far as it can be looked up -> (the only file that uses it, what for).
PRIVATE = {
    "numba.core.caching.CompileResultCacheImpl": ("kernels/jit.py", "names of cached files"),
    "numba.core.caching.CompileResultCacheImpl._locator_classes": (
        "kernels/jit.py",
        "machine code that can be read but not written",
    ),
    "numba.core.caching.FunctionCache": ("kernels/jit.py", "machine code kept by digest"),
    "numba.core.dispatcher.Dispatcher._cache": ("kernels/jit.py", "where a kernel has its cache"),
    "numba.core.codegen.CPUCodeLibrary._get_module_for_linking": (
        "kernels/jit.py",
        "what a new kernel inlines of a kept one is parsed only then",
    ),
    "numba.core.registry.cpu_target.target_context.codegen()._engine": (
        "kernels/jit.py",
        "names that a kept kernel defines, without parsing them again",
    ),
    "numba.core.codegen.JitEngine()._defined_symbols": ("kernels/jit.py", "those names"),
    "numba.core.runtime.rtsys": ("kernels/jit.py", "the only part of a start that kernels need"),
    "torch.utils.data.dataloader._MultiProcessingDataLoaderIter._shutdown_workers": (
        "data_loader.py",
        "workers end before their iterator is collected",
    ),
    "torch._meta_registrations": ("utils/starting.py", "what a start can do without"),
    "torch._foreach_lerp_": ("utils/training/trainer.py", "all averages of weights in one step"),
    "accelerate.PartialState._shared_state": ("utils/training/trainer.py", "was a process set up?"),
    "huggingface_hub.file_download.http_get": (
        "utils/weights/download.py",
        "a download that goes on where it broke off, from any server",
    ),
}
INTERNAL = ("numba.core", "huggingface_hub.file_download")  # modules that are documented nowhere
OURS = {"self", "cls", "super()", "os"}  # os._exit is documented
NAMED_TUPLES = {"_replace", "_asdict", "_fields", "_make"}


def sources():
    """Every Python file of the program."""
    for folder in ("kernels", "models", "utils", "benchmarks"):
        yield from sorted((ROOT / folder).rglob("*.py"))
    yield from sorted(ROOT.glob("*.py"))


def private_names(path):
    """Last parts of the private names of others that a file uses."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = {node.name for node in ast.walk(tree)
           if isinstance(node, ast.FunctionDef | ast.ClassDef)}  # fmt: skip
    own |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            ours = node.module.split(".")[0] in {"kernels", "models", "utils", "benchmarks"}
            inner = node.module.startswith(INTERNAL)
            for alias in node.names:
                if inner or (alias.name.startswith("_") and not ours):
                    yield alias.name
        elif isinstance(node, ast.Attribute):
            name, owner = node.attr, ast.unparse(node.value)
            private = name.startswith("_") and not name.startswith("__")
            if private and owner not in OURS and name not in NAMED_TUPLES | own:
                yield name


def test_private_names_of_others_are_those_of_the_table():
    found = {
        (name, path.relative_to(ROOT).as_posix())
        for path in sources()
        for name in private_names(path)
    }
    assert found == {(name.split(".")[-1], path) for name, (path, _) in PRIVATE.items()}


@pytest.mark.parametrize("name", PRIVATE)
def test_private_names_of_others_are_still_there(name):
    words = name.split(".")
    for count in range(len(words) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(words[:count]))
            break
        except ModuleNotFoundError:
            continue
    for word in words[count:]:
        if word == "_cache":  # made with each dispatcher
            import numba

            found = numba.njit(lambda: None)
        if word.endswith("()"):
            attribute = getattr(found, word.removesuffix("()"))
            found = attribute(None) if isinstance(attribute, type) else attribute()
            continue
        assert hasattr(found, word), f"{name} has moved, which {PRIVATE[name][0]} needs"
        found = getattr(found, word)
