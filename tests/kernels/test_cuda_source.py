"""The CUDA sources without a GPU: NVRTC compiles them, and g++ runs them against the CPU twin.

The launchers of `kernels/cuda.py` run unchanged on CPU tensors; only `launch` is replaced
(shim.py): by one thread of the host, by several at once, and once under ThreadSanitizer.
"""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import nvrtc
import pytest
import shim
import torch
from test_kernels import BASELINE, FOCAL, at_pixels, random_holes, random_scene
from test_kernels_frame import FOCAL as FRAME_FOCAL
from test_kernels_frame import SCALE, crowd, layers, rim_layer

import kernels
from benchmarks import three_kernels
from kernels import Cloud, View, cpu, cpu_fill, cpu_frame, cuda

SOURCES = sorted(path.name for path in cuda.FOLDER.glob("*.cu"))
BENCHMARK = three_kernels.SOURCE
SEEDS = [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("source", [*SOURCES, BENCHMARK], ids=lambda path: Path(path).name)
def test_nvrtc_compiles_from_the_oldest_to_the_newest_card(source):
    known = nvrtc.architectures()
    for architecture in {known[0], known[len(known) // 2], known[-1]}:
        code, log = nvrtc.compiled(source, architecture)
        assert "warning" not in log
        for name in shim.signatures(source):
            assert f".entry {name}(" in code
        assert "fma.rn.f32" not in code  # the CPU twin rounds after every operation
        assert "fma.rn.ftz.f32" not in code


@pytest.fixture(scope="module")
def launchers(tmp_path_factory):
    """The kernels, compiled for the CPU."""
    return shim.library([*SOURCES, BENCHMARK], tmp_path_factory.mktemp("shim"))


@pytest.fixture(params=[1, shim.THREADS], ids=lambda threads: f"{threads}threads")
def shimmed(request, launchers, monkeypatch):
    """`kernels.cuda` with its threads run on the CPU, by one thread or by several at once."""
    monkeypatch.setattr(cuda, "launch", shim.Shim(launchers, request.param).launch)
    return cuda


@pytest.mark.parametrize("seed", SEEDS)
def test_render_and_gradient_equal_the_cpu_twin(shimmed, seed):
    points, features, size = random_scene(seed, batch=2, channels=3)
    points[0, :, :3] = torch.tensor([float("nan"), float("inf"), -1.0])
    camera = size, [FOCAL, 1.5 * FOCAL], [BASELINE, 2 * BASELINE]
    view, coverage, footprints = shimmed.splat(points, features, *camera)
    expected_view, expected_coverage, expected = cpu.splat(points, features, *camera)
    # Sums of floats depend on the order of the threads.
    same = torch.equal if cuda.launch.__self__.threads == 1 else torch.allclose
    assert same(view, expected_view) and same(coverage, expected_coverage)
    gradient = torch.randn(view.shape, generator=torch.manual_seed(seed))
    assert torch.allclose(shimmed.gather(gradient, footprints), cpu.gather(gradient, expected))


@pytest.mark.parametrize("twin", ["cpu", "cuda"])
def test_what_the_gradient_needs_is_known_to_autograd(shimmed, monkeypatch, twin):
    """So that it is freed with the graph, moved by hooks, and a change in place is noticed."""
    back_end = shimmed if twin == "cuda" else cpu
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
    _, _, footprints = cpu.splat(points, features.detach(), size, [FOCAL] * 2, [BASELINE] * 2)
    assert torch.allclose(found, cpu.gather(gradient, footprints))
    with pytest.raises(RuntimeError, match="freed"):
        torch.autograd.grad(view, features, gradient)


@pytest.mark.parametrize("degridded", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_zbuffer_equals_the_cpu_twin(shimmed, seed, degridded):
    points, _, size = random_scene(seed, batch=2)
    arguments = points, size, [FOCAL] * 2, [BASELINE] * 2, degridded
    assert torch.equal(shimmed.zbuffer(*arguments), cpu.zbuffer(*arguments))


def test_ties_of_the_nearest_pixel_fall_as_on_the_cpu(shimmed):
    points = at_pixels([(0.5, 0.5, 2.0), (2.5, 1.0, 3.0), (1.0, 2.5, 4.0)], (4, 4))
    arguments = points, (4, 4), [FOCAL], [BASELINE], False
    assert torch.equal(shimmed.zbuffer(*arguments), cpu.zbuffer(*arguments))


@pytest.mark.parametrize("seed", SEEDS)
def test_mask_equals_the_cpu_twin(shimmed, seed):
    rng = np.random.default_rng(seed)
    depth = rng.choice([2.0, 5.0, 5.0004, -1.0], (9, 7))
    ys, xs = np.mgrid[:9, :7]
    points = at_pixels(np.stack([xs, ys, depth], -1).tolist(), (9, 7)).repeat(2, 1, 1)
    points += torch.from_numpy(rng.uniform(-1, 1, (2, 3, 1))).float()
    arguments = points, (9, 7), [FOCAL] * 2, [BASELINE, 1e6]  # keys of either sign
    mask = shimmed.disocclusion_mask(*arguments)
    assert torch.equal(mask, cpu.disocclusion_mask(*arguments)) and 0 < mask.mean() < 1


@pytest.mark.parametrize("seed", SEEDS)
def test_fill_equals_the_cpu_twin(shimmed, seed):
    view, depth = random_holes(seed)
    view, depth = torch.cat([view, view + 1]), torch.cat([depth, depth.flip(2)])
    expected = cpu_fill.fill_disocclusion(view, depth)
    assert torch.equal(shimmed.fill_disocclusion(view, depth), expected)


def test_fill_with_nothing_known_equals_the_cpu_twin(shimmed):
    view, depth = torch.rand(1, 2, 5, 4), torch.zeros(1, 1, 5, 4)
    assert torch.equal(shimmed.fill_disocclusion(view, depth), view)


def test_ties_of_the_nearest_known_pixel_fall_as_on_the_cpu(shimmed):
    depth = torch.zeros(1, 1, 5, 3)
    depth[0, 0, [0, 4], 1] = 1
    view = torch.arange(15.0).view(1, 1, 5, 3)
    expected = cpu_fill.fill_disocclusion(view, depth)
    assert torch.equal(shimmed.fill_disocclusion(view, depth), expected)


def as_tensors(cloud):
    return Cloud(*(None if array is None else torch.from_numpy(array) for array in cloud))


@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("grown", [False, True])
@pytest.mark.parametrize("seed", SEEDS[:3])
def test_frame_has_the_bytes_of_the_cpu_twin(shimmed, seed, grown, fill):
    points, colors, spacing = layers(seed, (28, 36))
    points[2, 5], points[:, 9] = float("inf"), float("nan")
    spacing = spacing if grown else None
    for shift, lens in [((2.0, -1.0, -12.0), (0.0, 0.0)), ((-3.0, 0.5, 6.0), (3.3, -2.6))]:
        view, cloud = (
            View(shift, (24, 40), 1.3 * FRAME_FOCAL, SCALE, lens),
            Cloud(points, colors, spacing),
        )
        frame, holes = shimmed.render_frame(as_tensors(cloud), view, fill)
        expected, expected_holes = cpu_frame.render_frame(cloud, view, fill)
        assert np.array_equal(frame.numpy(), expected) and expected.any()
        assert np.array_equal(holes.numpy(), expected_holes) and expected_holes.any()


@pytest.mark.parametrize("zoom", [0.7, 1.0, 2.6])
@pytest.mark.parametrize("seed", SEEDS[:3])
def test_rims_have_the_bytes_of_the_cpu_twin(shimmed, seed, zoom):
    points, colors, spacing = layers(seed, (28, 36))
    rims = Cloud(*rim_layer(seed, (28, 36)))
    rims[0][2, 5], rims[0][:, 9], rims[2][3] = float("inf"), float("nan"), float("nan")
    for shift, lens in [((2.0, -1.0, -12.0), (0.0, 0.0)), ((-3.0, 0.5, 6.0), (3.3, -2.6))]:
        view, cloud = (
            View(shift, (24, 40), zoom * FRAME_FOCAL, SCALE, lens),
            Cloud(points, colors, spacing),
        )
        given, there = as_tensors(cloud), as_tensors(rims)
        frame, holes = shimmed.render_frame(given, view, True, there)
        plain, _ = shimmed.render_frame(given, view, True)
        expected, expected_holes = cpu_frame.render_frame(cloud, view, True, rims)
        assert np.array_equal(frame.numpy(), expected) and (frame != plain).any()
        assert np.array_equal(holes.numpy(), expected_holes)
        assert expected_holes.any() or zoom > 1
        numbers = shimmed.render_frame(given, view, True, there, True)
        expected = cpu_frame.render_frame(cloud, view, True, rims, True)
        assert all(map(np.array_equal, numbers, expected)) and (numbers[0] != frame).any()


@pytest.mark.parametrize("count", [255, 256, 700])
@pytest.mark.parametrize("width", [1, 3])
def test_crowds_have_the_bytes_of_the_cpu_twin(shimmed, count, width):
    points, colors, spacing = crowd(count)
    spacing *= width
    alpha = colors[:, :1] // 2 + 127
    rims = Cloud(points * 0.9, np.column_stack([colors, alpha]), spacing)
    view, cloud = View((0.01, 0.0, 0.0), (4, 5), FRAME_FOCAL, SCALE), Cloud(points, colors, spacing)
    for edge in (None, rims, rims._replace(points=points)):
        there = edge and as_tensors(edge)
        frame, holes = shimmed.render_frame(as_tensors(cloud), view, True, there)
        expected = cpu_frame.render_frame(cloud, view, True, edge)
        assert np.array_equal(frame.numpy(), expected[0])
        assert np.array_equal(holes.numpy(), expected[1])
        numbers = shimmed.render_frame(as_tensors(cloud), view, True, there, True)
        expected = cpu_frame.render_frame(cloud, view, True, edge, True)
        assert all(map(np.array_equal, numbers, expected))


def test_a_film_of_crowds_is_splatted_twice_in_its_first_frame_only(shimmed, monkeypatch):
    launched, launch = [], cuda.launch
    monkeypatch.setattr(cuda, "_crowded", set())
    monkeypatch.setattr(
        cuda,
        "launch",
        lambda source, name, *rest: launched.append(name) or launch(source, name, *rest),
    )
    view = View((0.01, 0.0, 0.0), (4, 5), FRAME_FOCAL, SCALE)
    for count, splats in ((700, 2), (700, 1), (700, 1), (20, 1), (20, 1), (700, 2)):
        cloud = Cloud(*crowd(count))
        launched.clear()
        frame, holes = shimmed.render_frame(as_tensors(cloud), view, True)
        expected = cpu_frame.render_frame(cloud, view, True)
        assert np.array_equal(frame.numpy(), expected[0])
        assert np.array_equal(holes.numpy(), expected[1])
        assert launched.count("frame_splat") == splats


def test_yardstick_of_the_benchmark_renders_the_same_frame(shimmed):
    points, colors, _ = layers(3, (28, 36))
    size, shift = (24, 40), (2.0, -1.0, -12.0)
    plain = three_kernels.ThreeKernels(torch.from_numpy(points), torch.from_numpy(colors), SCALE)
    frame = plain.render(size, shift, FRAME_FOCAL).numpy()
    view = View(shift, size, FRAME_FOCAL, SCALE)
    ours, holes = cpu_frame.render_frame(Cloud(points, colors), view, True)
    differing = (np.abs(frame.astype(int) - ours) > 1).any(2)
    assert differing[~holes].mean() < 0.01 and differing[holes].mean() < 0.5 and holes.any()


def results_of_all_operators():
    """Tensors that every kernel of `cuda`, and the benchmark's, had a part in."""
    points, features, size = random_scene(1, batch=2, channels=3)
    camera = size, [FOCAL] * 2, [BASELINE] * 2
    view, coverage, footprints = cuda.splat(points, features, *camera)
    moved = random_scene(2, batch=2)[0][:, :, : size[0] * size[1]].contiguous()
    found = [
        *(view, coverage, cuda.gather(view, footprints)),
        cuda.disocclusion_mask(moved, *camera),
        cuda.fill_disocclusion(*random_holes(1)),
        cuda.fill_disocclusion(view[:1], 0 * coverage[:1]),
    ]
    cloud = layers(1, (28, 36))
    rims = as_tensors(Cloud(*rim_layer(1, (28, 36))))
    view = View((2.0, -1.0, -12.0), (24, 40), 2 * FRAME_FOCAL, SCALE)
    for given in (cloud, (*cloud[:2], None), crowd(300)):
        found += cuda.render_frame(as_tensors(Cloud(*given)), view, True, rims)
    plain = three_kernels.ThreeKernels(*map(torch.from_numpy, cloud[:2]), SCALE)
    return [*found, plain.render(view.size, view.shift, FRAME_FOCAL)]


def test_no_kernel_races_for_plain_memory(launchers, monkeypatch, tmp_path):
    """Whatever two threads reach, at least one of them to write, is reached by atomics."""
    recorder = shim.Recorder(launchers)
    monkeypatch.setattr(cuda, "launch", recorder.launch)
    results_of_all_operators()
    sources = [*SOURCES, BENCHMARK]
    assert recorder.names == {name for source in sources for name in shim.signatures(source)}
    program = shim.sanitized(sources, tmp_path)
    done = subprocess.run([program], input=recorder.content, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[:4000]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_callers_default_type_changes_nothing(launchers, monkeypatch, dtype):
    monkeypatch.setattr(cuda, "launch", shim.Shim(launchers, 1).launch)
    expected = results_of_all_operators()
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        results = results_of_all_operators()
    finally:
        torch.set_default_dtype(before)
    for one, other in zip(results, expected, strict=True):
        assert one.dtype == other.dtype and torch.equal(one, other)


def test_every_kernel_is_launched_somewhere():
    launched = set(re.findall(r'launch\("([\w.]+)", "(\w+)"', Path(cuda.__file__).read_text()))
    written = {(source, name) for source in SOURCES for name in shim.signatures(source)}
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
