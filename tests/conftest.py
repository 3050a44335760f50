"""Fixtures and options that every test module shares."""

import logging
import signal
from pathlib import Path

import pytest

GOLDEN = Path(__file__).with_name("golden")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")
    parser.addoption(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="also run the tests on large "
        "collections, those of which are under FOLDER: val/stereo, val/rgbd, "
        "nyu-train, photos, mobilenetv2_imagenet.safetensors",
    )


def pytest_collection_modifyitems(config, items):
    skip = pytest.mark.skip(reason="takes minutes; run with --slow")
    for item in items:
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(skip)
    if not config.getoption("--data"):
        of_data = [item for item in items if "data" in item.fixturenames]
        items[:] = [item for item in items if item not in of_data]
        config.hook.pytest_deselected(items=of_data)


@pytest.fixture(scope="session", autouse=True)
def heed_ctrl_c():
    """Shells start background jobs with Ctrl-C ignored; the tests are about when it is not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def own_log():
    """What a command line sets of the program's log (--quiet, --verbose) ends with its test."""
    log = logging.getLogger("kbe")
    kept = log.handlers[:], log.propagate, log.level
    yield
    log.handlers[:], log.propagate = kept[:2]
    log.setLevel(kept[2])


@pytest.fixture(scope="session")
def golden():
    """Folder of the golden numbers (docs/method/reference.md, Golden numbers)."""
    return GOLDEN


@pytest.fixture
def data(request):
    """Returns a path under the folder of --data; a test that uses this runs only with it."""

    def find(name):
        path = request.config.getoption("--data") / name
        if not path.exists():
            pytest.skip(f"--data holds no {name}")
        return path

    return find


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """Each device that the operators support; cuda is skipped where there is none."""
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return torch.device(request.param)
