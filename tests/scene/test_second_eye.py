"""Stereo photos: depth matched from two eyes, and what only the second one saw."""

import json

import cv2
import numpy as np
import pytest
import torch
from kbe_runs import run
from phone_files import encoded, heic, mpf_jpeg

from utils.depth.own import find_own
from utils.depth.two_eyes import match_eyes
from utils.film import read_image, read_parts
from utils.scene import Scene

HEIGHT, WIDTH = 144, 192
FRONT, BACK = 18, 6  # disparity, px
BOX = slice(40, 110), slice(80, 130)  # of the front in the left picture
EYES = (0x020002, 0x020002)


@pytest.fixture(scope="module")
def eyes():
    """A textured card before a textured wall, seen by two eyes: (left, right) uint8."""
    rng = np.random.default_rng(3)

    def texture(height, width):
        noise = rng.normal(0, 1, (height, width, 3)).astype(np.float32)
        return cv2.GaussianBlur(noise, (0, 0), 1.2) * 110 + 128

    wall, card = texture(HEIGHT, WIDTH + 40), texture(70, 50) * 0.5 + (90, 20, 20)
    pictures = []
    for eye in (0, 1):
        picture = wall[:, 20 + eye * BACK : 20 + eye * BACK + WIDTH].copy()
        columns = slice(BOX[1].start - eye * FRONT, BOX[1].stop - eye * FRONT)
        picture[BOX[0], columns] = card
        pictures.append(picture.clip(0, 255).astype(np.uint8))
    return pictures


def truth():
    disparity = np.full((HEIGHT, WIDTH), BACK, np.float32)
    disparity[BOX] = FRONT
    return disparity


def agrees(matched, sign=1):
    known = np.isfinite(matched.disparity)
    off = np.abs(sign * matched.disparity - truth())[known]
    return known.mean() > 0.7 and np.median(off) < 0.5 and (off > 2).mean() < 0.05


def test_disparity_is_that_of_the_scene(eyes):
    matched = match_eyes(*eyes)
    assert agrees(matched)
    # Left of the card the left eye sees a strip that the right one does not: unknown.
    strip = matched.disparity[50:100, BOX[1].start - 9 : BOX[1].start - 3]
    assert np.isnan(strip).mean() > 0.6


def test_eyes_that_are_not_level_are_levelled(eyes):
    left, right = eyes
    turn = np.float32([[1, 0, 0], [0.01, 1, 4]])
    right = cv2.warpAffine(right, turn, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    assert agrees(match_eyes(left, right))


def test_the_right_eyes_photo_counts_the_other_way(eyes):
    left, right = eyes
    matched = match_eyes(right, left, first_is_left=False)
    low, high = np.nanpercentile(matched.disparity, (5, 95))
    assert low == pytest.approx(BACK, abs=1) and high == pytest.approx(FRONT, abs=1)


def test_pictures_of_two_things_are_refused(eyes):
    other = np.random.default_rng(8).integers(0, 255, eyes[0].shape).astype(np.uint8)
    with pytest.raises(ValueError, match="two eyes"):
        match_eyes(eyes[0], cv2.GaussianBlur(other, (0, 0), 2))
    with pytest.raises(ValueError, match="hardly differ"):
        match_eyes(eyes[0], eyes[0])
    with pytest.raises(ValueError, match="too little"):
        match_eyes(np.zeros_like(eyes[0]), np.zeros_like(eyes[0]))


@pytest.mark.parametrize("kind", ["mpo", "heic", "heic of the right eye"])
def test_both_kinds_of_file_are_read(eyes, tmp_path, kind):
    left, right = eyes
    path = tmp_path / f"a.{kind[:4]}"
    if kind == "mpo":
        path.write_bytes(mpf_jpeg([encoded(left), encoded(right)], EYES))
    else:
        pytest.importorskip("pillow_heif")
        path.write_bytes(heic([left, right], pair=True, primary=len(kind) > 4))
    own = find_own(path, read_image(path), read_parts(path))
    assert own.source == "stereo" and own.second is not None
    middle = np.nanmedian(own.disparity[60:90, 70:110])
    assert middle == pytest.approx(FRONT, abs=1)
    assert np.nanmedian(own.disparity[:, -30:]) == pytest.approx(BACK, abs=1)


def test_a_pair_that_cannot_be_matched_is_said(eyes, tmp_path, capsys):
    path = tmp_path / "a.mpo"
    path.write_bytes(mpf_jpeg([encoded(eyes[0]), encoded(eyes[0])], EYES))
    assert run("--in", path, "--out", tmp_path / "o", "--dry-run", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["depth_source"] == "network"
    assert "hardly differ" in said.err
    path.write_bytes(path.read_bytes()[:-2000])
    assert run("--in", path, "--out", tmp_path / "o", "--dry-run", "--json") == 0
    assert "cannot be used" in capsys.readouterr().err


def test_what_the_second_eye_saw_is_not_invented(eyes, tmp_path, capsys):
    """The camera goes to where the right eye stood: less of its pictures is invented."""
    left, right = eyes
    shown = {}
    for name, content in {
        "two": mpf_jpeg([encoded(left), encoded(right)], EYES),
        "one": encoded(left),
    }.items():
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(content)
        depth = [] if name == "two" else ["--depth", tmp_path / "two" / "disparity.npy"]
        flags = [
            "--move",
            "right",
            "--loop",
            "none",
            "--duration",
            "0.2",
            "--json",
            "--strength",
            "2",
        ]
        command = ["--in", path, "--out", tmp_path / name, "--save-disparity", "--matte", *flags]
        assert run(*command, *depth) == 0
        shown[name] = json.loads(capsys.readouterr().out)
    assert shown["two"]["depth_source"] == "stereo" and shown["one"]["depth_source"] == "file"
    assert shown["two"]["invented"] < 0.7 * shown["one"]["invented"]


def test_seen_points_come_before_invented_ones(device):
    image = torch.rand(1, 3, 24, 32, device=device)
    disparity = torch.full((1, 1, 24, 32), 60.0, device=device)
    scene = Scene(image, disparity, 16, 120)
    point = torch.tensor([[0.0], [0.0], [90.0]])
    scene.add_seen(point, torch.tensor([[1, 2, 3]], dtype=torch.uint8), torch.ones(1))
    assert scene.seen_points == scene.photo_points + 1
    np.testing.assert_array_equal(
        np.asarray(torch.as_tensor(scene.cloud()[1]).cpu())[-1], [1, 2, 3]
    )
    scene.inpaint(None, (30.0, 0, 0))
    with pytest.raises(ValueError, match="before anything"):
        scene.add_seen(point, torch.tensor([[1, 2, 3]], dtype=torch.uint8), torch.ones(1))
