"""A browser for the tests of pages: one for all of them, where there is one."""

import sys

import pytest
from browser import Browser, find_browser


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
