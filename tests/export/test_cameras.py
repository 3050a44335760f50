"""The camera as it is exported: projecting points with it gives where our renderer draws them."""

import json
import logging
import math

import numpy as np
import pytest
from marked_scene import MARKS, SIZE, seen_at

SHOTS = {
    "orbit": {"move": "orbit", "strength": 2},
    "dolly": {"move": "dolly"},
    "zoom": {"move": "zoom-in", "easing": "smooth"},
    "windows": {"startU": 60, "startV": 45, "startW": 110, "endU": 70, "endV": 52, "endW": 90},
    "portrait": {"move": "left", "size": "72x96", "loop": "none", "fps": "30000/1001"},
    "stereo": {"move": "zoom-in", "stereo": "sbs"},
}


@pytest.fixture(params=SHOTS)
def made(request, make):
    return make(**SHOTS[request.param])


def mark_points(made):
    """(3, 3): the marks' middles, x right, y down, z forward, the nearest one unit away."""
    height, width = SIZE
    focal = made.plan.focal_px
    points = []
    for (u, v), disparity, _ in MARKS:
        z = 120 / disparity
        points.append(((u - (width - 1) / 2) * z / focal, (v - (height - 1) / 2) * z / focal, z))
    return np.array(points)


def check_marks(made, project, frames):
    """Compare where `project(number)` sees the marks with where the film's frames show them."""
    compared = 0
    for number in frames:
        time = json.loads((made.settings.out / "camera.json").read_text())["frames"][number]["time"]
        frame = made.frame(time)
        for (*_, color), seen in zip(MARKS, project(number), strict=True):
            if (at := seen_at(frame, color)) is not None:
                np.testing.assert_allclose(seen, at, atol=0.35)
                compared += 1
    assert compared >= len(frames), "most marks are seen"


def test_json_has_k_r_t_of_every_frame_as_opencv(made):
    data = json.loads(made.write(made.settings.out / "camera.json").read_text())
    frames = data["frames"]
    assert len(frames) == made.plan.frames
    assert (data["height"], data["width"]) == made.plan.view_size
    assert data["fps"] == pytest.approx(float(made.settings.fps))
    assert "OpenCV" in data["convention"]
    points = mark_points(made)

    def project(number):
        pose = {name: np.array(frames[number][name]) for name in ("K", "R", "t")}
        seen = (points @ pose["R"].T + pose["t"]) @ pose["K"].T
        return seen[:, :2] / seen[:, 2:]

    check_marks(made, project, (0, len(frames) // 3, len(frames) // 2))


def test_json_says_what_the_film_is_about(make):
    made = make(startU=50, startV=40, startW=80, endU=80, endV=60, endW=60, focus="64,64")
    data = json.loads(made.write(made.settings.out / "camera.json").read_text())
    assert data["focus"] == pytest.approx({"u": 64, "v": 64, "depth": 1}, rel=1e-4)
    first, middle = data["frames"][0]["window"], data["frames"][5]["window"]
    assert first == pytest.approx({"center_u": 50, "center_v": 40, "width": 80, "height": 60})
    assert middle == pytest.approx({"center_u": 80, "center_v": 60, "width": 60, "height": 45})
    (focal, _, center), *_ = data["photo"]["K"]
    assert (data["photo"]["width"], focal, center) == (128, 64, 63.5)


def test_chan_moves_the_same_camera_in_nukes_units(made, caplog, monkeypatch):
    # As a fresh process has it, whatever command line ran before.
    monkeypatch.setattr(logging.getLogger("kbe"), "propagate", True)
    caplog.set_level(logging.WARNING, "kbe")
    made.write(made.settings.out / "camera.json")
    rows = np.loadtxt(made.write(made.settings.out / "camera.chan"))
    shift = json.loads((made.settings.out / "camera.json").read_text())["frames"]
    assert rows.shape == (made.plan.frames, 8) and (rows[:, 0] == np.arange(len(rows)) + 1).all()
    assert (rows[:, 4:7] == 0).all(), "the camera never turns"
    height, width = made.plan.view_size
    points = mark_points(made) * (1, -1, -1)  # y up, looking along -z

    def project(number):
        x, y, z = (points - rows[number, 1:4]).T
        focal = height / 2 / math.tan(math.radians(rows[number, 7]) / 2)
        # What a .chan file cannot say comes from the JSON.
        (_, _, u), (_, _, v), _ = shift[number]["K"]
        return np.stack([u - focal * x / z, v + focal * y / z], 1)

    check_marks(made, project, (0, len(rows) // 2))
    shifted = max(abs(pose["K"][0][2] - (width - 1) / 2) for pose in shift) > 0.5
    shifted |= max(abs(pose["K"][1][2] - (height - 1) / 2) for pose in shift) > 0.5
    assert ("cannot say that the lens is shifted" in caplog.text) == shifted
