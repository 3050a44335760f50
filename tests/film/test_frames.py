"""The order of frames, and that rendering them ahead changes nothing."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import PATIENCE

from utils.camera import CropWindow, published_path
from utils.film import frames as film
from utils.film.frames import film_frames, film_length, film_order

WHOLE = CropWindow(4, 4, 8, 8)


class CountingScene:
    """Renders its position on the path as a grey level, and remembers how."""

    device = torch.device("cpu")

    def __init__(self, meeting=None):
        self.rendered, self.meeting = [], meeting

    def render(self, shift, focal_px, size, lens):
        self.rendered.append(shift[2])
        if self.meeting:
            self.meeting.wait()
        return np.full((*size, 3), round(-shift[2]), np.uint8), np.zeros(size, bool)


def zoom_path():
    """Position k of 75 has shift -k."""
    return published_path(WHOLE, CropWindow(4, 4, 8 * 26 / 100, 8 * 26 / 100), (8, 8), 100.0, 8.0)


def test_boomerang_doubles_no_frame_at_either_seam():
    order = film_order(75, "boomerang")
    assert len(order) == 148
    assert order[:75] == list(range(75))
    assert order[75:] == list(range(73, 0, -1))
    assert all(a != b for a, b in zip(order, order[1:] + order[:1], strict=True))


@pytest.mark.parametrize(
    ("duration", "fps", "loop", "wanted"),
    [
        (None, 25, "boomerang", (75, 148)),
        (None, 25, "none", (75, 75)),
        (4, 25, "boomerang", (51, 100)),
        (4, 25, "none", (100, 100)),
        (1, 7, "boomerang", (4, 6)),
    ],
)
def test_film_has_the_promised_length(duration, fps, loop, wanted):
    assert film_length(duration, fps, loop) == wanted


def test_film_without_motion_is_rejected():
    with pytest.raises(ValueError, match="0.04 s at 25 frames a second has no motion"):
        film_length(0.04, 25, "none")


@pytest.mark.parametrize("duration", [1e12, 1e308])
def test_a_mistyped_duration_is_refused_before_its_frames_are_counted(duration):
    with pytest.raises(ValueError, match="more than 10 million frames"):
        film_length(duration, 25, "boomerang")
    assert film_length(3600, 25, "boomerang")[1] == len(film_order(45001, "boomerang"))


@given(
    count=st.integers(2, 30),
    loop=st.sampled_from(["boomerang", "none"]),
    workers=st.integers(1, 4),
    room=st.integers(0, 40),
)
@settings(max_examples=40, deadline=None)
def test_frames_come_in_order_whatever_is_cached(count, loop, workers, room):
    scene = CountingScene()
    path = zoom_path()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(film, "CACHE_BYTES", room * 4 * 8 * 8)
        frames = list(film_frames(scene, path, count, (8, 8), loop, workers=workers))
    wanted = [round(74 * k / (count - 1)) for k in film_order(count, loop)]
    assert [int(frame[0, 0, 0]) for frame, _ in frames] == wanted


def test_way_back_is_not_rendered_again_while_it_fits():
    scene = CountingScene()
    list(film_frames(scene, zoom_path(), 20, (8, 8), workers=1))
    assert len(scene.rendered) <= 20 + 2


def test_rendering_runs_ahead_in_parallel_but_not_far(monkeypatch):
    ordered = []

    class Pool(ThreadPoolExecutor):
        def submit(self, *work):
            ordered.append(work)
            return super().submit(*work)

    monkeypatch.setattr(film, "ThreadPoolExecutor", Pool)
    # Two frames must be rendered at once, or the barrier breaks and the film fails.
    scene = CountingScene(threading.Barrier(2, timeout=PATIENCE))
    frames = film_frames(scene, zoom_path(), 60, (8, 8), "none", workers=3)
    for taken in range(1, 11):
        next(frames)
        assert len(ordered) <= taken + 3, "memory must not grow with the film"
    scene.meeting.abort()  # whoever waits there alone
    frames.close()


def test_closing_early_stops_rendering():
    before = set(threading.enumerate())
    scene = CountingScene()
    frames = film_frames(scene, zoom_path(), 500, (8, 8), workers=2)
    next(frames)
    assert set(threading.enumerate()) > before
    frames.close()
    assert set(threading.enumerate()) <= before and len(scene.rendered) <= 1 + 2


def test_frames_that_wait_are_given_up_with_the_film(monkeypatch):
    """One of the frames ahead is being rendered, two wait for its thread: those are never begun."""
    begun, go_on = threading.Event(), threading.Event()

    class Held(CountingScene):
        def render(self, **view):
            frame = super().render(**view)
            if len(self.rendered) == 2:
                begun.set()
                assert go_on.wait(PATIENCE)
            return frame

    class OneThread(ThreadPoolExecutor):
        def __init__(self, workers, **options):
            super().__init__(1, **options)

        def shutdown(self, *arguments, **options):
            go_on.set()
            super().shutdown(*arguments, **options)

    monkeypatch.setattr(film, "ThreadPoolExecutor", OneThread)
    scene = Held()
    frames = film_frames(scene, zoom_path(), 60, (8, 8), "none", workers=3)
    next(frames)
    assert begun.wait(PATIENCE)
    frames.close()
    assert len(scene.rendered) == 2


def test_error_while_rendering_reaches_the_caller():
    class Broken(CountingScene):
        def render(self, **_):
            raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        list(film_frames(Broken(), zoom_path(), 5, (8, 8)))


def test_positions_that_are_kept_elsewhere_are_left_out_on_the_way_back(monkeypatch):
    monkeypatch.setattr(film, "CACHE_BYTES", 0)
    scene = CountingScene()
    frames = list(film_frames(scene, zoom_path(), 8, (8, 8), workers=1, kept=range(4, 7)))
    wanted = [round(74 * k / 7) for k in (*range(8), 3, 2, 1)]
    assert [int(frame[0, 0, 0]) for frame, _ in frames] == wanted
    assert len(scene.rendered) == len(wanted), "and nothing but these is rendered"
