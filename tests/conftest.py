"""Fixtures and options that every test module shares."""

import signal
from pathlib import Path

import pytest

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden"


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config, items):
    skip = pytest.mark.skip(reason="takes minutes; run with --slow")
    for item in items:
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def heed_ctrl_c():
    """Shells start background jobs with Ctrl-C ignored; the tests are about when it is not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def golden():
    """Folder of the golden numbers; tests that compare with them skip where it is absent."""
    if not GOLDEN.is_dir():
        pytest.skip("the golden numbers are not beside this checkout")
    return GOLDEN


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """Each device that the operators support; cuda is skipped where there is none."""
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return torch.device(request.param)
