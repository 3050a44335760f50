"""Films of photographs whose own files hold depth: what is used, said, and skipped."""

import json

import numpy as np
import pytest
from kbe_runs import SHORT, run
from phone_files import apple_jpeg, gdepth_jpeg

from utils.film import read_image, read_metadata
from utils.film.photos import write_image


@pytest.fixture
def phone(photo, tmp_path):
    """The disc before its wall, as a phone writes it: half-size disparity behind the JPEG."""
    pixels = read_image(photo).pixels
    grey = read_image(photo.parent / "photo_disparity.png").pixels[::2, ::2, 0]
    path = tmp_path / "phone.jpg"
    path.write_bytes(apple_jpeg(pixels, np.ascontiguousarray(grey), low=0.5, high=2.5, focal=0.75))
    return path


def result(capsys):
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def test_the_photos_own_depth_is_the_films(phone, tmp_path, capsys):
    out = tmp_path / "o"
    assert run("--in", phone, "--out", out, *SHORT, "--save-disparity", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["depth_source"] == "photo"
    assert "depth: the photo's own, 48x36" in said.err
    assert "focal length 72 px (the depth map's intrinsics)" in said.err
    assert read_metadata(out / "3d_kbe.mp4")["depth_source"] == "photo"
    disparity = np.load(out / "disparity.npy")
    truth = read_image(phone.parent / "photo_disparity.png").pixels[..., 0]
    assert np.corrcoef(disparity.ravel(), truth.ravel())[0, 1] > 0.97


@pytest.mark.parametrize(
    "flags, source",
    [
        (["--depth", "photo_disparity.png"], "file"),
        (["--depth", "none"], "network"),
        (["--estim-path", "models/bundled/disparity-estimation.safetensors"], "network"),
        ([], "photo"),
    ],
)
def test_what_wins_over_it(phone, tmp_path, capsys, flags, source):
    named = tmp_path / "photo_disparity.png"
    flags = [named if word == named.name else word for word in flags]
    assert run("--in", phone, "--out", tmp_path / "o", "--dry-run", "--json", *flags) == 0
    assert result(capsys)["depth_source"] == source


def test_none_is_another_film_to_skip_existing(phone, tmp_path, capsys):
    command = ["--in", phone, "--out", tmp_path / "o", *SHORT, "--skip-existing", "--json"]
    assert run(*command) == 0
    assert "skipped" not in result(capsys)
    assert run(*command) == 0
    assert result(capsys)["skipped"]
    assert run(*command, "--depth", "none", "--dry-run") == 0
    assert run(*command, "--depth", "none") == 0
    assert "skipped" not in capsys.readouterr().out


def test_focal_flag_wins_over_the_files(phone, tmp_path, capsys):
    assert run("--in", phone, "--out", tmp_path / "o", "--dry-run", "--json") == 0
    assert result(capsys)["focal_px"] == pytest.approx(72)
    command = ["--in", phone, "--out", tmp_path / "o", "--dry-run", "--json", "--focal", "50"]
    assert run(*command) == 0
    assert result(capsys)["focal_px"] == 50


def test_a_batch_may_mix_and_a_broken_map_is_estimated(phone, photo, tmp_path, capsys):
    pixels = read_image(photo).pixels
    folder = tmp_path / "album"
    folder.mkdir()
    write_image(folder / "a.png", pixels)
    (folder / "b.jpg").write_bytes(phone.read_bytes())
    (folder / "c.jpg").write_bytes(phone.read_bytes()[:-300])
    (folder / "d.jpg").write_bytes(gdepth_jpeg(pixels, pixels[::2, ::2, 0].copy()))
    assert run("--in", folder, "--out", tmp_path / "o", "--dry-run", "--json") == 0
    said = capsys.readouterr()
    sources = [json.loads(line)["depth_source"] for line in said.out.splitlines()]
    assert sources == ["network", "photo", "network", "photo"]
    assert "c.jpg: its own depth map cannot be used" in said.err


def test_depth_kind_needs_a_map_of_the_users(phone, tmp_path, capsys):
    command = ["--in", phone, "--out", tmp_path, "--depth", "none", "--depth-kind", "depth"]
    assert run(*command) == 2
    assert "--depth-kind without --depth" in capsys.readouterr().err
