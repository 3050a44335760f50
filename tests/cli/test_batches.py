"""Several photos: one that fails, lists of paths, folders of maps, films that are there already."""

import json
import sys
from pathlib import Path

import pytest
from kbe_runs import SHORT, run


@pytest.fixture
def album(photo):
    folder = photo.parent / "album"
    folder.mkdir()
    for name in ("b.png", "a.png", "with 'quotes' and\nnewline.png", "-dash.png"):
        (folder / name).write_bytes(photo.read_bytes())
    (folder / "c_broken.jpg").write_bytes(b"no photo")
    return folder


def test_one_failed_photo_does_not_stop_the_rest(album, tmp_path, capsys):
    assert run("--in", album, "--out", tmp_path / "o", "--2d", *SHORT, "--json") == 1
    out = capsys.readouterr()
    results = [json.loads(line) for line in out.out.splitlines()]
    assert [("error" in r) for r in results] == [False, False, False, True, False]
    made = sorted(path.parent.name for path in (tmp_path / "o").glob("*/3d_kbe.mp4"))
    assert made == ["-dash", "a", "b", "with 'quotes' and\nnewline"]
    assert "1 of 5 photos failed" in out.err


def test_paths_come_from_standard_input(album, tmp_path, monkeypatch, capsys):
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{album / 'a.png'}\n{album / 'b.png'}\n"))
    assert run("--in", "-", "--out", tmp_path / "o", "--2d", *SHORT) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_folder_of_depth_maps_pairs_by_stem(album, depth, tmp_path):
    maps = tmp_path / "maps"
    maps.mkdir()
    (maps / "a.png").write_bytes(Path(depth[1]).read_bytes())
    assert (
        run(
            "--in",
            album / "a.png",
            "--out",
            tmp_path / "o",
            "--depth",
            maps,
            *SHORT,
            "--depth-kind",
            "disparity",
        )
        == 0
    )
    assert run("--in", album / "b.png", "--out", tmp_path / "o", "--depth", maps, *SHORT) == 1


def test_one_depth_map_for_many_photos_is_refused(album, depth, tmp_path, capsys):
    assert run("--in", album, "--out", tmp_path / "o", *depth) == 2
    assert "is one map, and there are 5 photos" in capsys.readouterr().err


def test_skip_existing_skips_only_what_is_the_same(photo, depth, tmp_path, capsys):
    def made(*more):
        status = run(
            "--in",
            photo,
            "--out",
            tmp_path / "o",
            *depth,
            *SHORT,
            "--skip-existing",
            "--json",
            *more,
        )
        return status == 0 and not json.loads(capsys.readouterr().out).get("skipped")

    assert made()
    assert not made()
    assert made("--easing", "smooth")
    assert not made("--easing", "smooth")
    photo.write_bytes(photo.read_bytes() + b"\0")
    assert made("--easing", "smooth")
    film = tmp_path / "o" / "3d_kbe.mp4"
    film.write_bytes(film.read_bytes()[:200])
    assert made("--easing", "smooth"), "a damaged film was taken for done"


def test_no_photo_is_decoded_and_no_network_loaded_for_a_film_that_is_there(
    photo, tmp_path, capsys, monkeypatch
):
    flags = ["--in", photo, "--out", tmp_path / "o", "--2d", *SHORT, "--skip-existing", "--json"]
    assert run(*flags) == 0

    def refuse(*_, **__):
        raise AssertionError("not needed to know that the film is there")

    monkeypatch.setattr("utils.cli.plan.read_image", refuse)
    monkeypatch.setattr("utils.weights.chosen.Networks.load_all", refuse)
    capsys.readouterr()
    assert run(*flags) == 0 and json.loads(capsys.readouterr().out)["skipped"]
    photo.unlink()
    assert run(*flags) == 1 and "no such file" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--refine-path", "--inpaint-path", "--inpaint-depth"])
def test_weights_that_do_not_fit_are_told_before_depth_is_estimated(
    photo, tmp_path, capsys, monkeypatch, flag
):
    from utils.weights.chosen import find_weights

    wrong = find_weights("estimation")  # a network, but not of this role
    monkeypatch.setattr("utils.depth.find_disparity", lambda *_: pytest.fail("estimated first"))
    assert run("--in", photo, "--out", tmp_path / "o", *SHORT, flag, wrong) == 1
    assert str(wrong) in capsys.readouterr().err


def test_subfolders_are_entered_when_asked(album, photo, tmp_path, capsys):
    (album / "2023").mkdir()
    (album / "2023" / "deep.png").write_bytes(photo.read_bytes())
    (album / "c_broken.jpg").unlink()
    assert run("--in", album, "--out", tmp_path / "o", "--2d", *SHORT) == 0
    assert "--recursive" in capsys.readouterr().err
    assert run("--in", album, "--out", tmp_path / "r", "--2d", *SHORT, "--recursive") == 0
    assert (tmp_path / "r" / "deep" / "3d_kbe.mp4").is_file()
    assert not (tmp_path / "o" / "deep").exists()


def test_a_failed_photo_has_its_line_on_standard_output(photo, tmp_path, capsys):
    (tmp_path / "bad.png").write_bytes(b"no photo")
    assert run("--in", photo, tmp_path / "bad.png", "--out", tmp_path / "o", "--2d", *SHORT) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[1].startswith(f"{tmp_path / 'bad.png'}: failed: ")
