"""The CUDA sources without a GPU: NVRTC compiles them, and g++ runs them against the CPU twin.

The launchers of `kernels/cuda.py` run unchanged on CPU tensors; only `launch` is replaced by a loop
over the threads, which also holds every argument against the kernel's signature.
"""

import ctypes
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import nvrtc
import pytest
import torch
from test_kernels import BASELINE, FOCAL, at_pixels, random_holes, random_scene
from test_kernels_frame import FOCAL as FRAME_FOCAL
from test_kernels_frame import SCALE, crowd, layers, rim_layer

import kernels
from benchmarks import three_kernels
from kernels import cpu, cpu_fill, cpu_frame, cuda
from kernels.constants import DEFINITIONS

HERE = Path(__file__).parent
SOURCES = sorted(path.name for path in cuda.FOLDER.glob("*.cu"))
BENCHMARK = three_kernels.SOURCE
SIGNATURE = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
SEEDS = [0, 1, 2, 3, 4, 5]


def signatures(source):
    """Kernel name -> list of argument types, as written in a source file."""
    text = (cuda.FOLDER / source).read_text()
    return {
        name: [re.sub(r"\bconst |\s*\w+$", "", a.strip()) for a in arguments.split(",")]
        for name, arguments in SIGNATURE.findall(text)
    }


TYPES = {
    "float": np.float32, "double": np.float64, "int": np.int32, "long long": np.int64,
    "float*": torch.float32, "double*": torch.float64, "int*": torch.int32,
    "unsigned char*": torch.uint8, "word*": torch.int64, "unsigned long long*": torch.int64,
}  # fmt: skip
SCALARS = {
    np.float32: ctypes.c_float, np.float64: ctypes.c_double,
    np.int32: ctypes.c_int32, np.int64: ctypes.c_int64,
}  # fmt: skip


@pytest.mark.parametrize("source", [*SOURCES, BENCHMARK], ids=lambda path: Path(path).name)
def test_nvrtc_compiles_from_the_oldest_to_the_newest_card(source):
    known = nvrtc.architectures()
    for architecture in {known[0], known[len(known) // 2], known[-1]}:
        code, log = nvrtc.compiled(source, architecture)
        assert "warning" not in log
        for name in signatures(source):
            assert f".entry {name}(" in code
        assert "fma.rn.f32" not in code  # the CPU twin rounds after every operation
        assert "fma.rn.ftz.f32" not in code


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """The sources as shared libraries of a host compiler."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++ to run the CUDA sources on the CPU")
    folder = tmp_path_factory.mktemp("serial")
    return {
        source: compiled(compiler, source, folder / f"{Path(source).stem}.so")
        for source in [*SOURCES, BENCHMARK]
    }


def compiled(compiler, source, library):
    flags = ["-std=c++17", "-O1", "-ffp-contract=off", "-Wall", "-Werror", "-shared", "-fPIC"]
    flags += [*DEFINITIONS, "-include", str(HERE / "serial_cuda.h")]
    flags += ["-x", "c++", str(cuda.FOLDER / source)]
    done = subprocess.run([compiler, *flags, "-o", str(library)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


class Index(ctypes.Structure):
    _fields_ = [("x", ctypes.c_uint32)]


def c_argument(kind, value):
    """A kernel argument for ctypes, if it is what the signature wants."""
    if value is None:
        assert kind.endswith("*")
        return ctypes.c_void_p()
    if isinstance(value, torch.Tensor):
        assert value.dtype == TYPES[kind] and value.is_contiguous()
        return ctypes.c_void_p(value.data_ptr())
    assert type(value) is TYPES[kind], f"{kind} got {type(value)}"
    return SCALARS[type(value)](value)


@pytest.fixture
def serial(libraries, monkeypatch):
    """`kernels.cuda` with its threads run one after the other on the CPU."""

    def launch(source, name, count, *arguments):
        kinds = signatures(source)[name]
        assert len(kinds) == len(arguments)
        library = libraries[source]
        wanted = [c_argument(*pair) for pair in zip(kinds, arguments, strict=True)]
        block, thread, length = (
            Index.in_dll(library, name) for name in ("blockIdx", "threadIdx", "blockDim")
        )
        length.x = cuda.THREADS
        for i in range(-(-count // cuda.THREADS) * cuda.THREADS):  # surplus threads too
            block.x, thread.x = divmod(i, cuda.THREADS)
            getattr(library, name)(*wanted)

    monkeypatch.setattr(cuda, "launch", launch)
    return cuda


@pytest.mark.parametrize("seed", SEEDS)
def test_render_and_gradient_equal_the_cpu_twin(serial, seed):
    points, features, size = random_scene(seed, batch=2, channels=3)
    points[0, :, :3] = torch.tensor([float("nan"), float("inf"), -1.0])
    camera = size, [FOCAL, 1.5 * FOCAL], [BASELINE, 2 * BASELINE], 1.0
    view, coverage, footprints = serial.splat(points, features, *camera)
    expected_view, expected_coverage, expected = cpu.splat(points, features, *camera)
    assert torch.equal(view, expected_view) and torch.equal(coverage, expected_coverage)
    gradient = torch.randn(view.shape, generator=torch.manual_seed(seed))
    assert torch.allclose(serial.gather(gradient, footprints), cpu.gather(gradient, expected))


@pytest.mark.parametrize("twin", ["cpu", "cuda"])
def test_what_the_gradient_needs_is_known_to_autograd(serial, monkeypatch, twin):
    """So that it is freed with the graph, moved by hooks, and a change in place is noticed."""
    back_end = serial if twin == "cuda" else cpu
    monkeypatch.setattr(kernels, "_back_end", lambda *_: (back_end, torch.device("cpu")))
    points, features, size = random_scene(1, batch=2, channels=3)
    saved = []

    def keep(tensor):
        saved.append(tensor)
        return tensor

    features.requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        view, _ = kernels.render_pointcloud(points, features, size, FOCAL, BASELINE)
    assert len(saved) >= 5
    gradient = torch.rand_like(view)
    found = torch.autograd.grad(view, features, gradient)[0]
    _, _, footprints = cpu.splat(points, features.detach(), size, [FOCAL] * 2, [BASELINE] * 2, 1.0)
    assert torch.allclose(found, cpu.gather(gradient, footprints))
    with pytest.raises(RuntimeError, match="freed"):
        torch.autograd.grad(view, features, gradient)


@pytest.mark.parametrize("degridded", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_zbuffer_equals_the_cpu_twin(serial, seed, degridded):
    points, _, size = random_scene(seed, batch=2)
    arguments = points, size, [FOCAL] * 2, [BASELINE] * 2, 1.0, degridded
    assert torch.equal(serial.zbuffer(*arguments), cpu.zbuffer(*arguments))


def test_ties_of_the_nearest_pixel_fall_as_on_the_cpu(serial):
    points = at_pixels([(0.5, 0.5, 2.0), (2.5, 1.0, 3.0), (1.0, 2.5, 4.0)], (4, 4))
    arguments = points, (4, 4), [FOCAL], [BASELINE], 1.0, False
    assert torch.equal(serial.zbuffer(*arguments), cpu.zbuffer(*arguments))


@pytest.mark.parametrize("seed", SEEDS)
def test_mask_equals_the_cpu_twin(serial, seed):
    rng = np.random.default_rng(seed)
    depth = rng.choice([2.0, 5.0, 5.0004, -1.0], (9, 7))
    ys, xs = np.mgrid[:9, :7]
    points = at_pixels(np.stack([xs, ys, depth], -1).tolist(), (9, 7)).repeat(2, 1, 1)
    points += torch.from_numpy(rng.uniform(-1, 1, (2, 3, 1))).float()
    arguments = points, (9, 7), [FOCAL] * 2, [BASELINE, 1e6]  # keys of either sign
    mask = serial.disocclusion_mask(*arguments)
    assert torch.equal(mask, cpu.disocclusion_mask(*arguments)) and 0 < mask.mean() < 1


@pytest.mark.parametrize("seed", SEEDS)
def test_fill_equals_the_cpu_twin(serial, seed):
    view, depth = random_holes(seed)
    view, depth = torch.cat([view, view + 1]), torch.cat([depth, depth.flip(2)])
    expected = cpu_fill.fill_disocclusion(view, depth)
    assert torch.equal(serial.fill_disocclusion(view, depth), expected)


def test_fill_with_nothing_known_equals_the_cpu_twin(serial):
    view, depth = torch.rand(1, 2, 5, 4), torch.zeros(1, 1, 5, 4)
    assert torch.equal(serial.fill_disocclusion(view, depth), view)


def test_ties_of_the_nearest_known_pixel_fall_as_on_the_cpu(serial):
    depth = torch.zeros(1, 1, 5, 3)
    depth[0, 0, [0, 4], 1] = 1
    view = torch.arange(15.0).view(1, 1, 5, 3)
    expected = cpu_fill.fill_disocclusion(view, depth)
    assert torch.equal(serial.fill_disocclusion(view, depth), expected)


@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("grown", [False, True])
@pytest.mark.parametrize("seed", SEEDS[:3])
def test_frame_has_the_bytes_of_the_cpu_twin(serial, seed, grown, fill):
    points, colors, spacing = layers(seed, (28, 36))
    points[2, 5], points[:, 9] = float("inf"), float("nan")
    spacing = spacing if grown else None
    for shift, lens in [((2.0, -1.0, -12.0), (0.0, 0.0)), ((-3.0, 0.5, 6.0), (3.3, -2.6))]:
        camera = shift, (24, 40), 1.3 * FRAME_FOCAL, SCALE
        cloud = [None if a is None else torch.from_numpy(a) for a in (points, colors, spacing)]
        frame, holes = serial.render_frame(*cloud[:2], *camera, cloud[2], fill, lens)
        expected, expected_holes = cpu_frame.render_frame(
            points, colors, *camera, spacing, fill, lens
        )
        assert np.array_equal(frame.numpy(), expected) and expected.any()
        assert np.array_equal(holes.numpy(), expected_holes) and expected_holes.any()


@pytest.mark.parametrize("zoom", [0.7, 1.0, 2.6])
@pytest.mark.parametrize("seed", SEEDS[:3])
def test_rims_have_the_bytes_of_the_cpu_twin(serial, seed, zoom):
    points, colors, spacing = layers(seed, (28, 36))
    rims = rim_layer(seed, (28, 36))
    rims[0][2, 5], rims[0][:, 9], rims[2][3] = float("inf"), float("nan"), float("nan")
    for shift, lens in [((2.0, -1.0, -12.0), (0.0, 0.0)), ((-3.0, 0.5, 6.0), (3.3, -2.6))]:
        camera = shift, (24, 40), zoom * FRAME_FOCAL, SCALE
        cloud = [torch.from_numpy(a) for a in (points, colors, spacing)]
        there = [torch.from_numpy(a) for a in rims]
        frame, holes = serial.render_frame(*cloud[:2], *camera, cloud[2], True, lens, there)
        plain, _ = serial.render_frame(*cloud[:2], *camera, cloud[2], True, lens)
        expected, expected_holes = cpu_frame.render_frame(
            points, colors, *camera, spacing, True, lens, rims
        )
        assert np.array_equal(frame.numpy(), expected) and (frame != plain).any()
        assert np.array_equal(holes.numpy(), expected_holes)
        assert expected_holes.any() or zoom > 1
        numbers = serial.render_frame(*cloud[:2], *camera, cloud[2], True, lens, there, True)
        expected = cpu_frame.render_frame(points, colors, *camera, spacing, True, lens, rims, True)
        assert all(map(np.array_equal, numbers, expected)) and (numbers[0] != frame).any()


@pytest.mark.parametrize("count", [255, 256, 700])
@pytest.mark.parametrize("width", [1, 3])
def test_crowds_have_the_bytes_of_the_cpu_twin(serial, count, width):
    points, colors, spacing = crowd(count)
    spacing *= width
    rims = [points * 0.9, np.column_stack([colors, colors[:, :1] // 2 + 127]), spacing]
    camera = (0.01, 0.0, 0.0), (4, 5), FRAME_FOCAL, SCALE
    for edge in (None, rims, [points, *rims[1:]]):
        there = edge and [torch.from_numpy(a) for a in edge]
        cloud = [torch.from_numpy(a) for a in (points, colors, spacing)]
        frame, holes = serial.render_frame(*cloud[:2], *camera, cloud[2], True, rims=there)
        expected = cpu_frame.render_frame(points, colors, *camera, spacing, True, rims=edge)
        assert np.array_equal(frame.numpy(), expected[0])
        assert np.array_equal(holes.numpy(), expected[1])
        numbers = serial.render_frame(*cloud[:2], *camera, cloud[2], True, rims=there, numbers=True)
        expected = cpu_frame.render_frame(
            points, colors, *camera, spacing, True, rims=edge, numbers=True
        )
        assert all(map(np.array_equal, numbers, expected))


def test_yardstick_of_the_benchmark_renders_the_same_frame(serial):
    points, colors, _ = layers(3, (28, 36))
    size, shift = (24, 40), (2.0, -1.0, -12.0)
    plain = three_kernels.ThreeKernels(torch.from_numpy(points), torch.from_numpy(colors), SCALE)
    frame = plain.render(size, shift, FRAME_FOCAL).numpy()
    ours, holes = cpu_frame.render_frame(
        points, colors, shift, size, FRAME_FOCAL, SCALE, None, True
    )
    differing = (np.abs(frame.astype(int) - ours) > 1).any(2)
    assert differing[~holes].mean() < 0.01 and differing[holes].mean() < 0.5 and holes.any()


def test_every_kernel_is_launched_somewhere():
    launched = set(re.findall(r'launch\("([\w.]+)", "(\w+)"', Path(cuda.__file__).read_text()))
    written = {(source, name) for source in SOURCES for name in signatures(source)}
    assert launched == written


def test_missing_cupy_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    cuda._module.cache_clear()
    with pytest.raises(RuntimeError, match="pip install cupy"):
        cuda._module("fill.cu")


def test_back_ends_offer_the_same_operators():
    shared = {"splat", "gather", "zbuffer", "disocclusion_mask", "fill_disocclusion"}
    for name in shared:
        twins = getattr(cpu, name), getattr(cuda, name)
        names = [twin.__code__.co_varnames[: twin.__code__.co_argcount] for twin in twins]
        assert names[0] == names[1]
    assert callable(kernels.render_frame)


@pytest.mark.parametrize("newer", [True, False])
def test_work_goes_to_the_stream_of_torch(monkeypatch, newer):
    """CuPy 14 deprecates the class that older ones have."""
    torch_stream = SimpleNamespace(cuda_stream=77, device_index=1)
    stream = SimpleNamespace(from_external=lambda given: ("new", given))
    old = SimpleNamespace(ExternalStream=lambda *given: ("old", *given))
    cupy = ModuleType("cupy")
    cupy.cuda = SimpleNamespace(Stream=stream if newer else None, **({} if newer else vars(old)))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    expected = ("new", torch_stream) if newer else ("old", 77, 1)
    assert cuda._cupy_stream(torch_stream) == expected
