"""NVRTC from its pip package, by ctypes: compiles CUDA sources without a card and without CuPy."""

import ctypes
import functools
import importlib.util
from pathlib import Path

import pytest

from kernels import cuda

PATTERNS = "**/libnvrtc.so.*", "**/nvrtc64_*_0.dll"  # and not nvrtc64_*_0.alt.dll


@functools.cache
def library():
    """NVRTC, or a skip with the reason."""
    spec = importlib.util.find_spec("nvidia")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = [path for f in folders for pattern in PATTERNS for path in Path(f).glob(pattern)]
    if not found:
        pytest.skip("needs the pip package nvidia-cuda-nvrtc")
    return ctypes.CDLL(str(max(found)))


def architectures():
    """Compute capabilities that this NVRTC compiles for, as [75, 80, ...]."""
    count = ctypes.c_int()
    _check(library().nvrtcGetNumSupportedArchs(ctypes.byref(count)))
    numbers = (ctypes.c_int * count.value)()
    _check(library().nvrtcGetSupportedArchs(numbers))
    return list(numbers)


def compiled(source, architecture):
    """PTX of a source file with the options that it gets from us and from CuPy; and the log."""
    program = ctypes.c_void_p()
    text = (cuda.FOLDER / source).read_text(encoding="utf-8").encode()
    create = library().nvrtcCreateProgram
    _check(create(ctypes.byref(program), text, b"source.cu", 0, None, None))
    # CuPy adds -ftz=true: numbers next to zero become zero.
    options = [*cuda.options(source), "-ftz=true", f"--gpu-architecture=compute_{architecture}"]
    words = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    try:
        failed = library().nvrtcCompileProgram(program, len(words), words)
        log = _text(program, "ProgramLog")
        assert not failed, log
        return _text(program, "PTX"), log
    finally:
        library().nvrtcDestroyProgram(ctypes.byref(program))


def _text(program, what):
    size = ctypes.c_size_t()
    _check(getattr(library(), f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    text = ctypes.create_string_buffer(size.value)
    _check(getattr(library(), f"nvrtcGet{what}")(program, text))
    return text.value.decode()


def _check(status):
    assert status == 0, f"NVRTC answers {status}"
