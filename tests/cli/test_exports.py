"""--export on the command line: names, refusals, dry runs, what --json says."""

import json

import pytest
from kbe_runs import SHORT, run

from utils.export.table import EXPORTERS

NAMES = [f"scene{suffix}" for suffix in EXPORTERS]


def test_every_exporter_writes_its_file_and_json_says_which(photo, depth, tmp_path, capsys):
    asked = ["--export", *NAMES, "--export", "sub/more.ply", "--matte", "--write-frames"]
    command = ["--in", photo, "--out", tmp_path / "o", *depth, *SHORT, "--json", *asked]
    assert run(*command, "--dry-run") == 0
    planned = json.loads(capsys.readouterr().out)["files"]
    assert not (tmp_path / "o").exists()
    assert run(*command) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert files == planned
    there = {
        str(path)
        for path in (tmp_path / "o").rglob("*")
        if path.is_file() and "frames" not in path.parent.name
    }
    folders = {str(tmp_path / "o" / name) for name in ("frames", "matte_frames")}
    assert set(files) == there | folders
    assert str(tmp_path / "o" / "sub" / "more.ply") in there


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["scene.obj"], "must end in one of"),
        (["a.ply", "a.ply"], "a.ply would be written twice.\n"),
        (["b.ply", "sub/../b.ply"], "b.ply would be written twice.\n"),
        (["frames/a.ply", "--write-frames"], "where a folder of ours comes"),
        (["there.ply"], "there is a folder of that name"),
        (["a.ply", "a.ply/b.ply"], "a.ply, which is a file"),
    ],
)
def test_names_that_cannot_be_are_refused_before_any_work(
    photo, depth, tmp_path, capsys, names, said
):
    (tmp_path / "o" / "there.ply").mkdir(parents=True)
    command = ["--in", photo, "--out", tmp_path / "o", *depth, *SHORT, "--export", *names]
    assert run(*command) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["there.ply"]


def test_a_film_made_without_an_export_is_not_taken_for_one_with_it(photo, depth, tmp_path, capsys):
    command = ["--in", photo, "--out", tmp_path / "o", *depth, *SHORT, "--json", "--skip-existing"]
    for more, skipped in (
        ([], False),
        (["--export", "a.ply"], False),
        (["--export", "a.ply"], True),
    ):
        assert run(*command, *more) == 0
        assert json.loads(capsys.readouterr().out).get("skipped", False) == skipped
    (tmp_path / "o" / "a.ply").unlink()
    assert run(*command, "--export", "a.ply") == 0, "what is missing is made again"
    assert not json.loads(capsys.readouterr().out).get("skipped")
    assert (tmp_path / "o" / "a.ply").is_file()
