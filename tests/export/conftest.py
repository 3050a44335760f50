"""The marked photo, ready to be filmed; and a browser for pages, one for all tests."""

import sys
from functools import partial

import marked_scene
import pytest
from browser import Browser, find_browser


@pytest.fixture
def make(tmp_path):
    """Return a function that prepares it with settings: make(move="orbit")."""
    return partial(marked_scene.prepare, tmp_path)


@pytest.fixture(scope="session")
def chromium():
    program = find_browser()
    if program is None or sys.platform == "win32":
        pytest.skip("needs Chromium: apt-get install chromium")
    browser = Browser(program)
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium):
    """The browser, with a window of 1280 x 900 px and no preferences."""
    chromium.size(1280, 900)
    chromium.prefer()
    return chromium
