"""--move, --strength and --focus from the command line to the film."""

import json
import shutil

import numpy as np
import pytest

import kbe
from utils import depth, film, scene
from utils.camera import MOVES
from utils.cli import Job, Shared
from utils.cli.command_line import parse_settings
from utils.film import read_image, write_image
from utils.film.video import VideoWriter, read_metadata

SHORT = ("--duration", "0.24", "--fps", "25", "--codec", "h264")


@pytest.fixture
def photo(tmp_path):
    """A disc before a wall, 96x72, its disparity beside it."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:72, :96]
    disc = (rows - 36) ** 2 + (columns - 50) ** 2 < 14**2
    pixels = np.where(disc[..., None], (200, 70, 60), (60, 140, 90)) + rng.normal(0, 9, (72, 96, 3))
    write_image(tmp_path / "photo.png", pixels.clip(0, 255).astype(np.uint8))
    write_image(tmp_path / "photo_disparity.png", np.where(disc, 220, 90).astype(np.uint8))
    return tmp_path / "photo.png"


def run(photo, *words, out="o", short=SHORT, depth=True):
    given = ["--in", photo, "--out", photo.parent / out, "--json", *short, *words]
    if depth:
        given += ["--depth", photo.parent / "photo_disparity.png"]
    try:
        return kbe.main([str(word) for word in given])
    except SystemExit as end:
        return end.code


def settings_of(*words):
    return parse_settings(["--in", "a.png", "--out", "o", *words])


@pytest.mark.parametrize("move", MOVES)
def test_every_move_makes_a_film_that_invents_little(photo, move, capsys):
    assert run(photo, "--move", move, "--write-frames", "--matte") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["frames"] == 6
    assert result["invented"] < 0.13
    frames = [read_image(path).pixels for path in sorted((photo.parent / "o/frames").iterdir())]
    assert len(frames) == (6 if MOVES[move].closed else 4)
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 1, "something moves"


def test_moves_go_with_two_eyes_other_shapes_and_few_holes(photo, capsys):
    words = ("--move", "orbit", "--stereo", "sbs", "--size", "64x96", "--max-holes", "3")
    assert run(photo, *words, "--preview", "--matte") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["width"], result["height"]) == (128, 96)
    assert result["invented"] <= 0.03


def test_closed_move_lasts_as_long_as_any_and_closes(photo, capsys):
    assert run(photo, "--move", "swing", short=(), out="s.mp4") == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 148


@pytest.mark.parametrize(
    ("words", "move"),
    [
        ([], "auto"),
        (["--endW", "50"], "windows"),
        (["--autozoom"], "windows"),
        (["--2d"], "windows"),
        (["--dolly"], "dolly"),
        (["--move", "dolly"], "dolly"),
        (["--dolly", "--endW", "50"], "dolly"),
        (["--2d", "--move", "left"], "left"),
    ],
)
def test_windows_mean_the_move_between_them(words, move):
    settings = settings_of(*words)
    assert settings.move == move
    assert settings.dolly == (move == "dolly")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--2d", "--move", "orbit"], "--2d and --move orbit: it lives of depth"),
        (["--2d", "--move", "dolly"], "--2d and --move dolly"),
        (["--dolly", "--move", "left"], "--dolly and --move left"),
        (["--autozoom", "--move", "circle"], "--autozoom and --move circle"),
        (["--endW", "50", "--move", "auto"], "--endW and --move auto"),
        (["--startU", "50", "--move", "orbit"], "--startU and --move orbit"),
        (["--strength", "2", "--endU", "50"], "--strength and --endU"),
        (["--strength", "2", "--move", "windows"], "--strength and --move windows"),
        (["--strength", "3"], "must lie in 0.5..2"),
        (["--focus", "3"], "must be U,V"),
        (["--focus", "3,nan"], "must be two finite numbers"),
        (["--move", "spin"], "invalid choice"),
        (["--move", "left,spin"], "invalid choice: 'spin'"),
        (["--move", "left,"], "invalid choice: ''"),
        (["--move", "left,up,left"], "--move must name each once, got left,up,left"),
        (["--2d", "--move", "left,orbit"], "--2d and --move orbit: it lives of depth"),
        (["--move", "dolly,left", "--endW", "50"], "--endW and --move left"),
        (["--dolly", "--move", "dolly,left"], "--dolly and --move left"),
    ],
)
def test_moves_that_contradict_are_refused(words, message, capsys):
    with pytest.raises(SystemExit) as end:
        settings_of(*words)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_focus_outside_the_photo_is_refused(photo, capsys):
    assert run(photo, "--focus", "97,10") != 0
    assert "the focus (97, 10) lies outside the image of 96x72" in capsys.readouterr().err


def test_dry_run_says_move_strength_and_focus(photo, capsys):
    words = ("--move", "orbit", "--strength", "1.5", "--focus", "30,20", "--dry-run")
    assert run(photo, *words) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["move"], said["strength"], said["focus"]) == ("orbit", 1.5, [30, 20])
    assert said["start"] == said["end"] == "chosen by the depth"


def test_like_takes_move_strength_and_focus_over(photo, capsys):
    words = ("--move", "swing", "--strength", "0.5", "--focus", "24,18")
    assert run(photo, *words, out="first.mp4") == 0
    film = photo.parent / "first.mp4"
    assert read_metadata(film)["shares"] == {"focusU": 0.25, "focusV": 0.25}
    large = photo.parent / "large.png"
    write_image(large, np.zeros((144, 192, 3), np.uint8))
    capsys.readouterr()
    words = ("--like", film, "--dry-run")
    assert run(large, *words, short=(), depth=False) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["move"], said["strength"], said["focus"]) == ("swing", 0.5, [48, 36])
    other = settings_of("--like", str(film), "--endW", "50")
    assert (other.move, other.strength) == ("windows", 1)
    assert settings_of("--like", str(film), "--focus", "3,4").shares == {}
    assert settings_of("--like", str(film), "--move", "orbit").strength == 0.5


# -- several moves --------------------------------------------------------------------------------


def contents(folder):
    """{path: bytes} of all files, the results of a move under their names by itself."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}


def test_films_of_several_moves_are_those_of_each_by_itself_and_the_scene_is_made_once(
    photo, monkeypatch, capsys
):
    more = ("--preview", "--matte", "--save-disparity", "--write-frames", "--write-depth")
    more += ("--export", "scene.gs.ply")
    moves = ("left", "auto", "dolly", "orbit")
    alone = {}
    for move in moves:
        assert run(photo, "--move", move, *more, out=move) == 0
        for name, data in contents(photo.parent / move).items():
            named = f"{move}_{name}"
            if name.endswith("mp4"):
                named = name.replace("3d_kbe", f"3d_kbe_{move}")
            alone[named] = data
    calls = []

    def counted(owner, name):
        real = getattr(owner, name)

        def call(*arguments):
            calls.append(name)
            return real(*arguments)

        monkeypatch.setattr(owner, name, call)

    counted(film, "read_image")
    monkeypatch.setattr("utils.cli.plan.read_image", film.read_image)
    counted(depth, "find_disparity")
    counted(scene, "lift")
    capsys.readouterr()
    assert run(photo, "--move", ",".join(moves), *more, out="all") == 0
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [result["move"] for result in results] == [*moves]
    assert calls == ["read_image", "find_disparity", "lift"]
    assert contents(photo.parent / "all") == alone
    assert {name for result in results for name in result["files"]} == {
        str(path) for path in (photo.parent / "all").iterdir()
    }
    assert run(photo, "--move", ",".join(moves), *more, "--skip-existing", out="all") == 0
    assert all(json.loads(line)["skipped"] for line in capsys.readouterr().out.splitlines())


def test_photos_of_a_batch_have_a_film_of_each_move_and_one_that_fails_stops_none(photo, capsys):
    album = photo.parent / "album"
    album.mkdir()
    for name in ("a", "b", "c"):
        shutil.copy(photo, album / f"{name}.png")
    (album / "b.png").write_bytes(b"no photo")
    words = ("--2d", "--move", "left,windows")
    assert run(album, *words, depth=False) == 1
    out = capsys.readouterr()
    told = [json.loads(line) for line in out.out.splitlines()]
    assert [(t["photo"][-5:], t["move"], "error" in t) for t in told] == [
        (f"{name}.png", move, name == "b") for name in "abc" for move in ("left", "windows")
    ]
    assert "2 of 6 films failed." in out.err
    made = sorted(str(path.relative_to(photo.parent / "o")) for path in photo.parent.glob("o/*/*"))
    assert made == [f"{name}/3d_kbe_{move}.mp4" for name in "ac" for move in ("left", "windows")]


@pytest.mark.parametrize(
    ("out", "more", "films"),
    [
        ("clip.mp4", (), ["clip_left.mp4", "clip_up.mp4"]),
        ("o", ("--stereo", "sbs"), ["3d_kbe_left_sbs.mp4", "3d_kbe_up_sbs.mp4"]),
        ("clip_sbs.mp4", ("--stereo", "sbs"), ["clip_left_sbs.mp4", "clip_up_sbs.mp4"]),
    ],
)
def test_the_move_comes_where_players_still_know_the_film(photo, out, more, films, capsys):
    assert run(photo, "--move", "left,up", "--dry-run", *more, out=out) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [t["video"].rpartition("/")[2] for t in told] == films


def test_a_row_of_a_list_may_name_several_moves_and_a_slideshow_none(photo, capsys):
    shots = photo.parent / "shots.csv"
    shots.write_text('photo,move\nphoto.png,"left, orbit"\nphoto.png,\n')
    assert run(shots, "--move", "up,down", "--dry-run", depth=False) == 0
    told = [json.loads(line)["video"] for line in capsys.readouterr().out.splitlines()]
    assert [name.partition("/o/")[2] for name in told] == [
        f"photo-png{n}/3d_kbe_{move}.mp4"
        for n, move in (("", "left"), ("", "orbit"), ("-2", "up"), ("-2", "down"))
    ]
    words = ["--in", str(shots), "--slideshow", str(photo.parent / "s.mp4")]
    assert kbe.main(words) == 2
    assert "--move left,orbit: a slideshow shows a photo once" in capsys.readouterr().err


def test_animate_makes_several_films_and_frames_of_one(photo):
    out = photo.parent / "o"
    made = kbe.animate(photo, out, move="left,up", flat=True, duration=0.24)
    assert [result["video"] for result in made] == [
        str(out / f"3d_kbe_{move}.mp4") for move in ("left", "up")
    ]
    with pytest.raises(ValueError, match="makes 2 films, and frames are those of one"):
        kbe.animate(photo, move="left,up", flat=True)


def test_no_film_asks_for_several_others(photo, capsys):
    said = {"settings": settings_of("--move", "left,up").looks(), "shares": {}}
    with VideoWriter(photo.parent / "odd.mp4", (64, 64), 25, metadata=said) as video:
        video.write(np.zeros((64, 64, 3), np.uint8))
    assert run(photo, "--like", photo.parent / "odd.mp4") == 2
    assert "--move left,up: a film has one move" in capsys.readouterr().err


def test_what_films_share_is_kept_only_for_the_next_of_the_same():
    shared, made = Shared(), []

    def once(more, made_of):
        job = Job("a.png", "o", "o/f.mp4", "", more=more)
        return shared.once(job, "scene", made_of, lambda: made.append(made_of) or [made_of])

    first = once(True, 1)
    assert once(True, 1) is first
    assert once(False, 1) is first
    assert once(True, 1) is not first, "after the last film of a photo nothing is kept"
    assert once(False, 2) == [2]
    assert made == [1, 1, 2]
