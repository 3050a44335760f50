"""The CUDA sources for a host compiler: threads of ours instead of a card's, by shim.h.

`Shim` takes the place of `kernels.cuda.launch`, so that its launchers run unchanged on CPU tensors;
it also holds every argument against the kernel's signature.
"""

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from kernels import cuda
from kernels.constants import DEFINITIONS

HERE = Path(__file__).parent
SIGNATURE = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
# Compiled like NVRTC's: no multiplication is fused into an addition.
FLAGS = ["-std=c++17", "-O1", "-ffp-contract=off", "-Wall", "-Werror", "-pthread", *DEFINITIONS]
SANITIZER = ["-fsanitize=thread", "--param", "tsan-distinguish-volatile=1"]
THREADS = 4
TYPES = {
    "float": np.float32, "double": np.float64, "int": np.int32, "long long": np.int64,
    "float*": torch.float32, "double*": torch.float64, "int*": torch.int32,
    "unsigned char*": torch.uint8, "word*": torch.int64, "unsigned long long*": torch.int64,
}  # fmt: skip


def signatures(source):
    """Kernel name -> list of argument types, as written in a source file."""
    text = (cuda.FOLDER / source).read_text(encoding="utf-8")
    return {
        name: [re.sub(r"\bconst |\s*\w+$", "", a.strip()) for a in arguments.split(",")]
        for name, arguments in SIGNATURE.findall(text)
    }


def _write_launchers(source, folder):
    """Write a C++ file: the source, and a launcher for each kernel, all of one type."""
    lines = [f'#include "{HERE / "shim.h"}"', f'#include "{cuda.FOLDER / source}"']
    for name, kinds in signatures(source).items():
        arguments = ", ".join(f"*({kind}*)values[{k}]" for k, kind in enumerate(kinds))
        lines += [
            f'extern "C" void run_{name}'
            "(void** values, long long count, int block, int threads) {",
            f"    run([=] {{ {name}({arguments}); }}, count, block, threads);",
            "}",
        ]
    path = folder / f"{Path(source).stem}.cpp"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def _compile(*arguments):
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++ to run the CUDA sources on the CPU")
    return subprocess.run([compiler, *FLAGS, *arguments], capture_output=True, text=True)


def library(sources, folder):
    """The launchers of these sources, by the compiler's usual rules."""
    path = folder / "shim.so"
    files = [_write_launchers(source, folder) for source in sources]
    done = _compile("-shared", "-fPIC", *files, "-o", str(path))
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(path))


def sanitized(sources, folder):
    """A program that repeats what a `Recorder` recorded, under ThreadSanitizer."""
    probe = folder / "probe.cpp"
    probe.write_text("int main() {}\n")
    done = _compile(*SANITIZER, str(probe), "-o", str(folder / "probe"))
    if done.returncode or subprocess.run([folder / "probe"], capture_output=True).returncode:
        pytest.skip(f"needs a g++ with ThreadSanitizer: {done.stderr}")
    files = [_write_launchers(source, folder) for source in sources]
    program = str(folder / "replay")
    done = _compile(*SANITIZER, "-g", "-rdynamic", *files, str(HERE / "replay.cpp"), "-o", program)
    assert done.returncode == 0, done.stderr
    return program


def _content(kind, value):
    """v, p or n as in replay.cpp, and the bytes of an argument, if it is what the kernel takes."""
    if value is None:
        assert kind.endswith("*")
        return "n", b""
    if isinstance(value, torch.Tensor):
        assert value.dtype == TYPES[kind] and value.is_contiguous()
        return "p", value
    assert type(value) is TYPES[kind], f"{kind} got {type(value)}"
    return "v", value.tobytes()


def arguments_of(source, name, arguments):
    """Each argument as (v, p or n; bytes or a tensor)."""
    kinds = signatures(source)[name]
    assert len(kinds) == len(arguments)
    return [_content(*pair) for pair in zip(kinds, arguments, strict=True)]


class Shim:
    """`launch` of `kernels.cuda` on some threads of the host."""

    def __init__(self, launchers, threads):
        self.launchers, self.threads = launchers, threads

    def launch(self, source, name, count, *arguments):
        """As `kernels.cuda.launch`, for tensors on the CPU."""
        held = [
            ctypes.c_void_p(content.data_ptr() if kind == "p" else None)
            if kind in "pn"
            else ctypes.create_string_buffer(content, len(content))
            for kind, content in arguments_of(source, name, arguments)
        ]
        values = (ctypes.c_void_p * len(held))(*map(ctypes.addressof, held))
        run = getattr(self.launchers, f"run_{name}")
        run(values, ctypes.c_longlong(count), cuda.THREADS, self.threads)


class Recorder(Shim):
    """A shim that keeps what it launches, for `sanitized`."""

    def __init__(self, launchers):
        super().__init__(launchers, 1)
        self.names, self.content = set(), b""

    def launch(self, source, name, count, *arguments):
        """Record a launch before it changes its arguments."""
        self.names.add(name)
        found = arguments_of(source, name, arguments)
        self.content += f"{name} {count} {cuda.THREADS} {THREADS} {len(found)}\n".encode()
        for kind, content in found:
            content = content.numpy().tobytes() if kind == "p" else content
            self.content += f"{kind} {len(content)}\n".encode() + content
        super().launch(source, name, count, *arguments)
