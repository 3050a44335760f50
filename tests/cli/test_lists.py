"""Lists of photos, --in shots.csv or shots.jsonl: what they say, and what is wrong with them."""

import io
import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from films import probe

import kbe
from utils import UsageError
from utils.cli.command_line import settings_from
from utils.cli.flags import Settings
from utils.cli.lists import COLUMNS, KNOWN, is_list, read_list, settle
from utils.cli.runs import find_photos
from utils.film.photos import read_image, write_image

SHORT = ["--2d", "--fps", "10", "--duration", "1", "--crossfade", "0.3"]


def run(*words):
    try:
        return kbe.main([str(word) for word in words])
    except SystemExit as end:
        return end.code


def written(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return path


@pytest.fixture
def album(tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        write_image(folder / f"{name}.png", rng.integers(0, 255, (72, 96, 3), np.uint8))
    return folder


ROWS = """photo,move,seconds,focus,crossfade,endU,windows
a.png,left,2.5,"30,40",0.5,,
b.png,,,,,60,startW=80 startU=48
"""
GERMAN = """Photo;MOVE;Seconds;focus;CrossFade;endu;Windows
a.png;left;2,5;30,40;0,5;;
b.png;;;;;60,0;startW=80 startU=48
"""
MEANT = [
    (
        "a.png",
        {"move": "left", "duration": 2.5, "focus": (30.0, 40.0), "crossfade": 0.5},
    ),
    ("b.png", {"endU": 60.0, "startW": 80.0, "startU": 48.0}),
]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (ROWS, "utf-8"),
        (ROWS, "utf-8-sig"),
        (ROWS, "utf-16"),
        (ROWS.replace("\n", "\r\n"), "utf-8-sig"),
        (ROWS.replace("\n", "\r\n\r\n"), "utf-8"),
        (ROWS.replace('"30,40"', "@").replace(",", ";").replace("@", "30,40"), "utf-8"),
        (ROWS.replace('"30,40"', "@").replace(",", "\t").replace("@", "30,40"), "utf-8"),
        (ROWS.replace(",", " , ").replace('"30 , 40"', "").replace("left", "left "), "utf-8"),
        (GERMAN, "utf-8"),
        ("sep=;\r\n" + GERMAN.replace("\n", "\r\n"), "utf-8-sig"),
        (GERMAN.replace(";", "\t"), "utf-16"),
        ("SEP=\t\r" + GERMAN.replace(";", "\t").replace("\n", "\r"), "utf-8"),
        (ROWS.replace("2.5", '"2,5"').replace("photo", '"Photo"'), "utf-8"),
    ],
)
def test_csv_of_every_origin_is_read(tmp_path, text, encoding):
    shots = read_list(written(tmp_path / "list.CSV", text, encoding))
    wanted = [(tmp_path / name, dict(choice)) for name, choice in MEANT]
    if "30" not in text:
        del wanted[0][1]["focus"]
    assert shots == wanted


def test_a_tab_separated_list_has_its_own_suffix_and_others_are_told_how_to_be_named(tmp_path):
    path = written(tmp_path / "list.tsv", "photo\tseconds\na.png\t2\n")
    assert is_list(str(path)) and read_list(path) == [(tmp_path / "a.png", {"duration": 2.0})]
    for name, text in (("l.txt", "a.png\n"), ("l.json", '{"photo": "a.png"}\n')):
        with pytest.raises(ValueError, match=r"named .csv, .tsv or .jsonl"):
            read_image(written(tmp_path / name, text))


def test_accents_in_a_list_may_be_spelt_as_on_another_system(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "caf\u00e9.png") for form in ("NFC", "NFD"))
    (tmp_path / decomposed).write_bytes(b"")
    ((photo, _),) = read_list(written(tmp_path / "list.csv", f"photo\n{composed}\n"))
    assert photo.exists()
    assert find_photos(["-"], io.StringIO(str(tmp_path / composed)))[0][0].exists()
    assert find_photos([str(tmp_path / composed)])[0][0].exists()


def test_json_lines_say_the_same(tmp_path):
    lines = [
        {"photo": "a.png", "move": "left", "seconds": 2.5, "focus": [30, 40], "crossfade": 0.5},
        {"photo": "b.png", "move": None, "windows": {"startW": 80, "startU": "48"}, "endU": 60},
    ]
    text = "\ufeff" + "\r\n\r\n".join(map(json.dumps, lines))
    shots = read_list(written(tmp_path / "list.jsonl", text))
    assert shots == [(tmp_path / name, choice) for name, choice in MEANT]


def test_paths_are_seen_from_the_list(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    text = f"photo\nsub/a.png\n../b.png\n{tmp_path}/c.png\n~/d.png\n"
    (tmp_path / "lists").mkdir()
    found = [photo for photo, _ in read_list(written(tmp_path / "lists" / "l.csv", text))]
    lists = tmp_path / "lists"
    wanted = [lists / "sub/a.png", lists / "../b.png", tmp_path / "c.png", tmp_path / "home/d.png"]
    assert found == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("photo,moves\na.png,left\n", "line 1: 'moves' is unknown.\n  Known are photo, windows"),
        ("move\nleft\n", "line 1: the header has no column `photo`"),
        ("photo,photo\na,b\n", "line 1: the header names 'photo' twice"),
        ("photo,move\n\na.png,sideways\n", "line 3, move: --move: invalid choice: 'sideways'"),
        ("photo,seconds\na.png,\nb.png,-1\n", "line 3, seconds: --duration must be positive"),
        ("photo,seconds\na.png,nan\n", "line 2, seconds: --duration must be positive and finite"),
        ("photo,focus\na.png,middle\n", "line 2, focus: --focus must be U,V"),
        ("photo,strength\na.png,9\n", "line 2, strength: --strength must lie in 0.5..2"),
        ("photo,crossfade\na.png,-1\n", "line 2, crossfade: --crossfade must be 0 or more"),
        ("photo,windows\na.png,big\n", "line 2, windows: must name numbers, such as startW=800"),
        ("photo,windows\na.png,startX=3\n", "line 2, windows: must name numbers"),
        ("photo,endW\na.png,wide\n", "line 2, endW: --endW must be a finite number"),
        ("photo,move,endU\na.png,orbit,9\n", "line 2: contradictory flags: --endU"),
        ("photo,move\na.png,left,3\n", "line 2: has 3 cells, and the header names 2"),
        ("photo,move\n,left\n", "line 2: names no photo"),
        ("photo\n", "names no photos"),
        ("", "names no photos"),
        (b"photo\n\xff\xfea.png\n", "is no text in UTF-8"),
        (b"photo\na\0.png\n", None),
    ],
)
def test_what_is_wrong_with_a_csv_is_said_with_its_line(tmp_path, text, said):
    path = written(tmp_path / "list.csv", text)
    if said is None:  # whatever it says, it is no crash
        try:
            read_list(path)
        except UsageError:
            pass
        return
    with pytest.raises(UsageError) as error:
        read_list(path)
    assert str(path) in str(error.value) and said in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"photo": "a"}\n{"photo": ', "line 2: is no JSON"),
        ("[" * 100_000, "line 1: is no JSON"),
        ('["a.png"]', "line 1: is no object"),
        ('{"photo": 3}', "line 1: names no photo"),
        ('{"photo": "a", "seconds": true}', "line 1, seconds: --duration: invalid value True"),
        ('{"photo": "a", "seconds": {"a": 1}}', "line 1, seconds: --duration must be positive"),
        ('{"photo": "a", "windows": [1, 2]}', "line 1, windows: must name numbers"),
        ('{"photo": "a", "size": "64x64"}', "line 1: 'size' is unknown"),
    ],
)
def test_what_is_wrong_with_json_is_said_with_its_line(tmp_path, text, said):
    with pytest.raises(UsageError) as error:
        read_list(written(tmp_path / "list.jsonl", text))
    assert said in str(error.value)


def test_every_column_is_a_setting():
    assert set(COLUMNS.values()) <= set(Settings.__dataclass_fields__)
    assert {"photo", "move", "seconds", "windows", "focus", "crossfade", "startU"} <= set(KNOWN)


def test_what_a_row_says_beats_the_command_line():
    def settled(choice, **flags):
        settings = settings_from({"inputs": ["a"], "out": "o", **flags})
        return settle(choice, settings, Path("a.png"))

    assert settled({}, move="left") == {}
    assert settled({"endU": 3.0})["move"] == "windows"
    assert "move" not in settled({"endU": 3.0}, dolly=True), "a dolly zoom takes windows"
    by_row = settled({"move": "left"}, endU=300, dolly=True)
    assert (by_row["move"], by_row["dolly"], by_row["endU"]) == ("left", False, None)
    assert settled({"move": "dolly"})["dolly"] is True
    with pytest.raises(UsageError, match="a.png: contradictory flags: --2d"):
        settled({"move": "orbit"}, flat=True)


# -- what comes of it -----------------------------------------------------------------------------


def test_slideshow_of_a_list(album, tmp_path, capsys):
    rows = "photo,seconds,crossfade,move\nb.png,2,,\na.png,,0.5,right\nb.png,,0,\n"
    shots = written(album / "shots.csv", rows)
    film = tmp_path / "f.mp4"
    assert run("--in", shots, "--slideshow", film, *SHORT, "--json") == 0
    *photos, whole = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(one["photo"]).name for one in photos] == ["b.png", "a.png", "b.png"]
    assert [(one["start"], one["end"]) for one in photos] == [(0, 2), (1.5, 2.5), (2.5, 3.5)]
    assert photos[1]["move"] == "right"
    assert whole["frames"] == probe(film).frames == 35


def test_fades_that_change_places_make_another_film(album, tmp_path, capsys):
    words = ["--slideshow", tmp_path / "f.mp4", *SHORT, "--skip-existing", "--json"]
    for fades in ("0.1", "0.2", "0.3"), ("0.1", "0.3", "0.2"):
        rows = "".join(f"a.png,{fade}\n" for fade in fades)
        shots = written(album / "shots.csv", "photo,crossfade\n" + rows)
        assert run("--in", shots, *words) == 0
        assert "skipped" not in capsys.readouterr().out
    assert run("--in", shots, *words) == 0
    assert "skipped" in capsys.readouterr().out


def test_films_of_a_list(album, tmp_path, capsys):
    rows = "photo,seconds,windows\na.png,2,\na.png,0.6,startW=60 endW=50\n"
    shots = written(album / "shots.csv", rows)
    words = ["--2d", "--fps", "10", "--loop", "none", "--json"]
    assert run("--in", shots, "--out", tmp_path / "o", *words) == 0
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["frames"] for one in results] == [20, 6]
    assert len({one["video"] for one in results}) == 2
    assert run("--in", shots, "--out", tmp_path / "o", *words, "--dry-run") == 0
    second = json.loads(capsys.readouterr().out.splitlines()[1])
    assert (second["start"]["width"], second["end"]["width"]) == (60, 50)
    assert run("--in", shots, "--out", tmp_path / "o", *words, "--skip-existing") == 0
    skipped = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(one["skipped"] for one in skipped)


def test_lists_and_photos_go_together(album, tmp_path, capsys):
    shots = written(album / "shots.jsonl", '{"photo": "a.png"}\n')
    words = ["--in", album / "b.png", shots, album, "--slideshow", tmp_path / "f.mp4", *SHORT]
    assert run(*words, "--dry-run", "--json") == 0
    *photos, _ = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(one["photo"]).stem for one in photos] == ["b", "a", "a", "b"]


def test_a_list_of_what_is_not_there(album, tmp_path, capsys):
    shots = written(album / "shots.csv", "photo\na.png\nnone.png\n")
    assert run("--in", shots, "--slideshow", tmp_path / "f.mp4", *SHORT) == 1
    assert "none.png" in capsys.readouterr().err and probe(tmp_path / "f.mp4").frames == 10
    assert run("--in", album / "missing.csv", "--out", tmp_path / "o", "--2d") == 1
    assert "missing.csv" in capsys.readouterr().err


def test_a_wrong_list_is_wrong_usage(album, tmp_path, capsys):
    shots = written(album / "shots.csv", "photo,seconds\na.png,soon\n")
    assert run("--in", shots, "--out", tmp_path / "o", "--2d") == 2
    assert f"{shots}, line 2, seconds" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
