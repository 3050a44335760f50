"""The marked photo, ready to be filmed."""

from functools import partial

import marked_scene
import pytest


@pytest.fixture
def make(tmp_path):
    """Return a function that prepares it with settings: make(move="orbit")."""
    return partial(marked_scene.prepare, tmp_path)
