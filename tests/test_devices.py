"""Where networks and renderer run: chosen by what works, said in one line; with stand-ins."""

import logging
import types

import pytest
import torch

from utils import UsageError, devices
from utils.devices import ON_CPU, choose_devices, trains_on_cuda

CUDA, CPU, MPS = (torch.device(name) for name in ("cuda", "cpu", "mps"))


@pytest.fixture
def machine(monkeypatch):
    """machine(...) -> pretends to be one: what torch and CuPy find there, and what fails."""

    def pretend(cuda=None, mps=None, cupy="works", card=False, built="13.0"):
        """cuda, mps: None = absent, "works", or how an operation fails; cupy likewise."""
        broken = {
            kind: RuntimeError(how)
            for kind, how in (("cuda", cuda), ("mps", mps))
            if how not in (None, "works")
        }

        def ones(count, device):
            if error := broken.get(torch.device(device).type):
                raise error
            return torch.zeros(count) + 1

        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda is not None)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Toy 9000")
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps is not None)
        monkeypatch.setattr(torch.version, "cuda", built)
        monkeypatch.setattr(devices.torch, "ones", ones)
        monkeypatch.setattr(devices.shutil, "which", lambda name: name if card else None)

        def zbuffer(point, size, focal_px, baseline):
            if cupy != "works":
                raise RuntimeError(f"{cupy}\nand more of it")
            return torch.tensor(2.0)

        monkeypatch.setattr("kernels.zbuffer", zbuffer)
        real = torch.tensor
        monkeypatch.setattr(
            devices.torch, "tensor", lambda *a, device=None, **named: real(*a, **named)
        )
        found = None if cupy is None else types.ModuleType("cupy")
        monkeypatch.setitem(__import__("sys").modules, "cupy", found)

    return pretend


def said(caplog, found):
    with caplog.at_level(logging.INFO, logger="kbe.devices"):
        devices.tell(found)
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    return record.getMessage()


def test_a_card_on_which_all_works_takes_all(machine, caplog):
    machine(cuda="works")
    found = choose_devices("auto")
    assert found == choose_devices("cuda") == (CUDA, CUDA, "")
    assert said(caplog, found) == "networks and renderer on CUDA (Toy 9000)"


def test_without_cupy_networks_use_the_card_and_the_scene_lives_on_the_cpu(machine, caplog):
    machine(cuda="works", cupy=None)
    found = choose_devices("auto")
    assert found[:2] == (CUDA, CPU)
    assert said(caplog, found) == (
        "networks on CUDA (Toy 9000), the renderer on the CPU: for the renderer, "
        "pip install cupy-cuda13x nvidia-cuda-nvrtc"
    )


def test_a_cupy_that_compiles_nothing_is_as_good_as_none(machine, caplog):
    machine(cuda="works", cupy="libnvrtc.so.12: cannot open shared object file", built="12.8")
    found = choose_devices("auto")
    assert found[:2] == (CUDA, CPU)
    line = said(caplog, found)
    assert "libnvrtc.so.12: cannot open" in line and "and more" not in line
    assert "pip install cupy-cuda12x nvidia-cuda-nvrtc-cu12" in line


def test_a_card_that_torch_no_longer_carries_is_left_alone(machine, caplog):
    machine(cuda="CUDA error: no kernel image is available for execution on the device")
    found = choose_devices("auto")
    assert found[:2] == (CPU, CPU)
    assert said(caplog, found) == (
        "networks and renderer on the CPU: torch fails on CUDA: CUDA error: no kernel image is "
        "available for execution on the device"
    )


def test_a_machine_without_a_gpu_lacks_nothing(machine, caplog):
    machine(built=None)
    assert choose_devices("auto") == ON_CPU
    assert said(caplog, ON_CPU) == "networks and renderer on the CPU"


def test_a_card_beside_a_torch_without_cuda_is_told(machine):
    machine(card=True, built=None)
    assert "built without CUDA" in choose_devices("auto").why


def test_a_macs_gpu_runs_networks_if_it_works(machine, caplog):
    machine(mps="works", built=None)
    found = choose_devices("auto")
    assert found == choose_devices("mps") == (MPS, CPU, "")
    assert said(caplog, found) == "networks on the Mac's GPU (MPS), the renderer on the CPU"


def test_a_macs_gpu_that_fails_is_left_alone(machine):
    machine(mps="MPS backend: unsupported", built=None)
    assert choose_devices("auto") == (CPU, CPU, "torch fails on MPS: MPS backend: unsupported")


@pytest.mark.parametrize(
    ("found", "name", "why"),
    [
        ({"built": None}, "cuda", "built without CUDA"),
        ({}, "cuda", "finds no CUDA device"),
        ({"cuda": "no kernel image"}, "cuda", "torch fails on CUDA: no kernel image"),
        ({"cuda": "works", "cupy": None}, "cuda", "pip install cupy-cuda13x"),
        ({"cuda": "works", "cupy": "nvrtc missing"}, "cuda", "nvrtc missing"),
        ({}, "mps", "no GPU of a Mac"),
        ({"mps": "MPS failure"}, "mps", "torch fails on MPS: MPS failure"),
    ],
)
def test_what_was_asked_for_and_cannot_be_is_an_error_that_names_the_cause(
    machine, found, name, why
):
    machine(**found)
    with pytest.raises(UsageError, match=f"--device {name}: ") as refused:
        choose_devices(name)
    assert why in str(refused.value) and "--device auto" in str(refused.value)


def test_the_cpu_is_taken_without_asking_what_else_there_is(machine, monkeypatch):
    monkeypatch.setattr(devices, "why_not", None)
    assert choose_devices("cpu") == ON_CPU and not trains_on_cuda("cpu", renders=True)


def test_training_takes_no_macs_gpu_and_no_card_that_fails(machine, caplog):
    caplog.set_level(logging.INFO, logger="kbe.devices")
    machine(mps="works")
    assert not trains_on_cuda("auto", renders=False)
    machine(cuda="no kernel image")
    assert not trains_on_cuda("auto", renders=False)
    machine(cuda="works", cupy=None)
    assert trains_on_cuda("auto", renders=False) and not trains_on_cuda("auto", renders=True)
    assert [record.getMessage() for record in caplog.records] == [
        "training on the CPU",
        "training on the CPU: torch fails on CUDA: no kernel image",
        "training on CUDA (Toy 9000)",
        "training on the CPU: for the renderer, pip install cupy-cuda13x nvidia-cuda-nvrtc",
    ]
    with pytest.raises(UsageError, match="--device cuda: for the renderer, pip install cupy"):
        trains_on_cuda("cuda", renders=True)


def test_each_process_of_a_training_tries_its_own_card(machine, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert devices.own_cuda_device() == torch.device("cuda", 3)


def test_training_settles_on_the_cpu_where_accelerate_would_take_a_macs_gpu(machine, monkeypatch):
    from accelerate import PartialState
    from accelerate.state import AcceleratorState

    from utils.training import trainer

    machine(mps="works")
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        trainer.settle_device("auto", renders=True)
        assert PartialState().device == CPU
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
