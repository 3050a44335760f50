"""Every test module can be imported on Windows: what only Unix has waits inside the tests."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MODULES = {
    "crypt",
    "fcntl",
    "grp",
    "nis",
    "posix",
    "pty",
    "pwd",
    "readline",
    "resource",
    "spwd",
    "syslog",
    "termios",
    "tty",
}
# Attributes that the modules of that name lack on Windows.
ATTRIBUTES = {
    "os": {
        "fork",
        "forkpty",
        "getuid",
        "geteuid",
        "getgid",
        "getpgid",
        "killpg",
        "mkfifo",
        "mknod",
        "nice",
        "setsid",
        "setpgid",
        "statvfs",
        "wait",
        "waitid",
        "WNOHANG",
    },
    "signal": {
        "SIGALRM",
        "SIGBUS",
        "SIGCHLD",
        "SIGCONT",
        "SIGHUP",
        "SIGKILL",
        "SIGPIPE",
        "SIGQUIT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGUSR1",
        "SIGUSR2",
        "SIGXCPU",
        "SIGXFSZ",
        "alarm",
        "pause",
        "setitimer",
        "sigwait",
    },
}


def run_at_import(node):
    """What is evaluated when a module is imported: not the bodies of its functions."""
    yield node
    inner = ast.iter_child_nodes(node)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        inner = [*node.decorator_list, node.args]
    elif isinstance(node, ast.Lambda):
        inner = [node.args]
    for child in inner:
        yield from run_at_import(child)


def unix_only(source):
    """Names of what fails on Windows while this source is imported."""
    for node in run_at_import(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            yield node.module
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in ATTRIBUTES.get(node.value.id, ()):
                yield f"{node.value.id}.{node.attr}"


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: path.stem)
def test_module_imports_on_windows(path):
    assert not list(unix_only(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import os, resource", ["resource"]),
        ("from fcntl import flock", ["fcntl"]),
        ("def test():\n    import resource", []),
        ("number = signal.SIGKILL", ["signal.SIGKILL"]),
        ("@mark(signal.SIGKILL)\ndef test(): os.fork()", ["signal.SIGKILL"]),
        ("class A:\n    import pwd", ["pwd"]),
        ("f = lambda: os.fork()", []),
        ("try:\n    import resource\nexcept ImportError:\n    pass", ["resource"]),
    ],
)
def test_what_only_unix_has_is_found(source, found):
    assert list(unix_only(source)) == found
