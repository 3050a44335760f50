"""Which photos a command means, and where their results go."""

import io
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from waiting import PATIENCE

from utils.cli import batch, plan
from utils.cli.batch import overlap, run_jobs
from utils.cli.command_line import settings_from
from utils.cli.jobs import Job
from utils.cli.made import fingerprint
from utils.cli.reporting import Stopwatch
from utils.cli.runs import find_photos, plan_jobs

JOB = Job(Path("a.jpg"), Path("out"), Path("out/a.mp4"), "")


@pytest.fixture
def album(tmp_path):
    for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "odd\nname.jpg", "-dash.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "inner.jpg").mkdir()
    return tmp_path


def names(found):
    return [path.name for path in found[0]]


def test_folder_gives_its_photos_in_order(album):
    found = find_photos([str(album)])
    assert names(found) == ["-dash.jpg", "a.PNG", "b.jpg", "odd\nname.jpg"]
    assert found[1], "a folder is a batch, however many photos are in it"


def test_glob_is_resolved_where_the_shell_did_not(album):
    assert names(find_photos([str(album / "*.jpg")])) == ["-dash.jpg", "b.jpg", "odd\nname.jpg"]
    assert names(find_photos([str(album / "*.txt")])) == ["notes.txt"]
    assert names(find_photos([str(album / "*")])) == [
        "-dash.jpg",
        "a.PNG",
        "b.jpg",
        "odd\nname.jpg",
    ]


def test_existing_file_with_brackets_is_no_pattern(album):
    (album / "pic[1].jpg").write_bytes(b"x")
    assert names(find_photos([str(album / "pic[1].jpg")])) == ["pic[1].jpg"]


def test_single_photo_is_no_batch_and_need_not_look_like_one():
    assert find_photos(["missing.xyz"]) == ([Path("missing.xyz")], False)


def test_standard_input_gives_one_path_per_line():
    found = find_photos(["-"], io.StringIO("a.jpg\n\n b .jpg\nc.jpg"))
    assert found == ([Path("a.jpg"), Path(" b .jpg"), Path("c.jpg")], True)


@pytest.fixture
def litter(tmp_path):
    """One photo, and what systems leave beside it."""
    for name in (
        "a.jpg",
        "._a.jpg",
        "Thumbs.db",
        "__MACOSX/a.jpg",
        ".thumbnails/a.jpg",
        "@eaDir/a.jpg/thumb.jpg",
        "deep/b.jpg",
        "deep/.hidden/c.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def test_what_systems_leave_behind_is_no_photo(litter, monkeypatch):
    monkeypatch.chdir(litter)
    everything = sorted(str(path) for path in Path(".").rglob("*"))
    for inputs, text in (
        (["."], ""),
        (["*"], ""),
        (["**/*.jpg"], ""),
        (["-"], "\n".join(everything)),
        ([str(litter)], ""),
    ):
        found = find_photos(inputs, io.StringIO(text))
        deeper = inputs in (["-"], ["**/*.jpg"])
        assert names(found) == ["a.jpg", "b.jpg"][: 2 if deeper else 1], inputs
    assert names(find_photos([".thumbnails"])) == ["a.jpg"], "asked for by its name"
    assert names(find_photos([".thumbnails/a.jpg"])) == ["a.jpg"]


def test_photos_of_every_camera_are_taken_and_others_named_with_the_reason(tmp_path, caplog):
    taken = ["a.HIF", "b.mpo", "c.ppm", "d.pgm", "e.jfif", "f.JPG"]
    left = ["g.dng", "h.jxl", "i.psd", "j.cr3", "k.cr3"]
    for name in [*taken, *left, "f.ARW", "notes.txt", "film.mov"]:
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "l.jpg").symlink_to(tmp_path / "gone.jpg")
    for text in (str(tmp_path), str(tmp_path / "*")):
        caplog.clear()
        assert names(find_photos([text])) == taken
        said = "\n".join(caplog.messages)
        assert "1 raw .dng (to be developed first): g.dng" in said
        assert "2 raw .cr3 (to be developed first): j.cr3, k.cr3" in said
        assert "1 .jxl (to be converted to JPEG or PNG): h.jxl" in said and "i.psd" in said
        assert "1 whose link leads nowhere: l.jpg" in said
        assert ".ARW" not in said, "its JPEG lies beside it"
        assert "notes" not in said and "film" not in said


def test_linked_folders_are_entered_once_and_circles_end(tmp_path):
    album, other = tmp_path / "album", tmp_path / "other"
    (album / "sub").mkdir(parents=True)
    (other / "deep").mkdir(parents=True)
    for path in (album / "a.jpg", album / "sub/b.jpg", other / "c.jpg", other / "deep/d.jpg"):
        path.write_bytes(path.name.encode())
    (album / "link").symlink_to(other)
    (album / "again").symlink_to(other)
    (album / "sub/up").symlink_to(album)
    (other / "deep/back").symlink_to(album / "sub")
    found = find_photos([str(album)], recursive=True)[0]
    assert sorted(path.name for path in found) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert album / "sub/b.jpg" in found, "a folder's own name comes before those of links"


def test_a_sub_folder_that_cannot_be_opened_is_named(tmp_path, caplog, monkeypatch):
    (tmp_path / "locked").mkdir()
    (tmp_path / "a.jpg").write_bytes(b"a")
    iterdir = Path.iterdir

    def refuse(path):
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert names(find_photos([str(tmp_path)], recursive=True)) == ["a.jpg"]
    assert "1 that cannot be opened: locked" in caplog.text


def test_sub_folders_are_entered_when_asked_and_said_otherwise(litter, caplog):
    caplog.set_level("INFO", logger="kbe")
    assert names(find_photos([str(litter)], recursive=True)) == ["a.jpg", "b.jpg"]
    assert not caplog.messages
    find_photos([str(litter)])
    assert "--recursive" in caplog.text
    (litter / "a.jpg").unlink()
    with pytest.raises(ValueError, match="(?s)no photos in .*--recursive"):
        find_photos([str(litter)])


@pytest.mark.parametrize(
    "text",
    [
        "a.jpg\r\nb c.jpg\r\n",
        "\ufeffa.jpg\nb c.jpg\n",
        "a.jpg\0b c.jpg\0",
        '"a.jpg"\n"b c.jpg"',
        "'a.jpg'\n'b c.jpg'",
        "  a.jpg  \nb c.jpg\t\n\n",
        "a.jpg\r\nb c.jpg\r\n".encode("utf-16").decode("utf-8", "surrogateescape"),
    ],
)
def test_lists_of_every_system_are_read(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b c.jpg"):
        Path(name).touch()
    assert find_photos(["-"], io.StringIO(text, newline="")) == (
        [Path("a.jpg"), Path("b c.jpg")],
        True,
    )


def test_a_name_with_blanks_or_quotes_around_it_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (" a.jpg ", '"a.jpg"', "a.jpg"):
        Path(name).write_bytes(name.encode())
    found = find_photos(["-"], io.StringIO(' a.jpg \n"a.jpg"\n'))
    assert names(found) == [" a.jpg ", '"a.jpg"']


def test_a_photo_that_two_names_reach_is_made_once(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"a")
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    (tmp_path / "loop").symlink_to(".")
    for inputs in (
        [str(tmp_path)],
        [str(tmp_path / "**" / "*.jpg")],
        [str(tmp_path / "a.jpg"), str(tmp_path / "link.jpg")],
        [str(tmp_path / "a.jpg"), str(tmp_path / ".." / tmp_path.name / "a.jpg")],
    ):
        assert names(find_photos(inputs)) == ["a.jpg"]


def test_same_photo_twice_is_made_once():
    assert names(find_photos(["a.jpg", "b.jpg", "a.jpg"])) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("where", ["empty", "*.nothing", "-"])
def test_nothing_to_do_is_said(tmp_path, where):
    (tmp_path / "empty").mkdir()
    text = where if where == "-" else str(tmp_path / where)
    with pytest.raises(ValueError, match="no photos in"):
        find_photos([text], io.StringIO(""))


def test_one_photo_goes_into_out_itself():
    (job,) = plan_jobs([Path("x/a.jpg")], False, Path("out"), ".mp4")
    assert (job.video, job.result("preview.png")) == (
        Path("out/3d_kbe.mp4"),
        Path("out/preview.png"),
    )


def test_one_photo_can_name_its_video():
    (job,) = plan_jobs([Path("a.jpg")], False, Path("films/clip.webm"), ".webm")
    assert job.video == Path("films/clip.webm")
    assert job.result("frames") == Path("films/clip_frames")


def test_batch_cannot_share_one_video():
    with pytest.raises(ValueError, match="names one video, and there are 2 photos"):
        plan_jobs([Path("a.jpg"), Path("b.jpg")], True, Path("clip.mp4"), ".mp4")


def test_equal_stems_both_survive():
    photos = [Path("a.jpg"), Path("a.png"), Path("x/a.jpg"), Path("A.jpg"), Path("b.jpg")]
    jobs = plan_jobs(photos, True, Path("out"), ".mp4")
    folders = [job.folder.name for job in jobs]
    assert folders == ["a-jpg", "a-png", "a-jpg-2", "A-jpg-3", "b"]
    assert len({folder.lower() for folder in folders}) == len(photos)


def test_fingerprint_changes_with_photo_settings_weights_and_depth(tmp_path):
    photo, depth = tmp_path / "a.jpg", tmp_path / "d.png"
    photo.write_bytes(b"photo")
    depth.write_bytes(b"depth")
    made = [
        fingerprint(photo, {"fps": "25"}, {"estimation": "1"}),
        fingerprint(photo, {"fps": "30"}, {"estimation": "1"}),
        fingerprint(photo, {"fps": "25"}, {"estimation": "2"}),
        fingerprint(photo, {"fps": "25"}, {"estimation": "1"}, depth),
    ]
    photo.write_bytes(b"other")
    made.append(fingerprint(photo, {"fps": "25"}, {"estimation": "1"}))
    assert len(set(made)) == 5
    photo.write_bytes(b"photo")
    assert fingerprint(photo, {"fps": "25"}, {"estimation": "1"}) == made[0]


# -- one photo is finished while the next is prepared ----------------------------------------------


def test_results_come_in_order_and_the_next_is_prepared_meanwhile():
    prepared = [threading.Event() for _ in range(4)]

    def prepare(job, stop):
        prepared[job].set()
        return job * 10

    def finish(job, value, stop):
        if job + 1 < len(prepared):
            assert prepared[job + 1].wait(PATIENCE), "the next one waits for this one"
        return job, value

    assert list(overlap(range(4), prepare, finish)) == [(0, 0), (1, 10), (2, 20), (3, 30)]


def test_at_most_one_prepared_job_waits():
    waiting, most, prepared = set(), [], [threading.Event() for _ in range(12)]

    def prepare(job, stop):
        prepared[job].set()
        waiting.add(job)
        most.append(len(waiting))
        return job

    def finish(job, value, stop):
        assert job == 11 or prepared[job + 1].wait(PATIENCE)
        if job == 0:  # the fourth is not begun, however long the first takes
            assert not prepared[3].wait(0.2)
        waiting.discard(job)
        return job

    assert list(overlap(range(12), prepare, finish)) == list(range(12))
    assert max(most) <= 3  # one being finished, one waiting, one that is just prepared


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_leaving_early_stops_the_work_and_leaves_no_thread(error):
    threads, told, begun = threading.active_count(), [], threading.Event()

    def prepare(job, stop):
        if job == 1:
            assert begun.wait(PATIENCE)
            raise error

    def finish(job, value, stop):
        begun.set()
        told.append(stop.wait(PATIENCE))

    with pytest.raises(error):
        list(overlap(range(5), prepare, finish))
    assert told == [True], "what ran was not told to stop"
    assert threading.active_count() == threads


def test_as_many_as_asked_are_prepared_at_once_and_come_in_order():
    ahead, together = 3, threading.Barrier(3)
    begun, most, lock = set(), [], threading.Lock()

    def prepare(job, stop):
        with lock:
            begun.add(job)
            most.append(len(begun))
        if job < ahead:
            together.wait(PATIENCE)  # raises unless all three are there
        return job

    def finish(job, value, stop):
        with lock:
            begun.discard(job)
        return job

    assert list(overlap(range(12), prepare, finish, ahead)) == list(range(12))
    assert max(most) <= ahead + 2  # one more whose turn is over, one that begins in its place


@pytest.mark.parametrize("ahead", [1, 3])
def test_what_is_known_is_not_prepared_and_comes_in_its_place(ahead):
    prepared = []

    def prepare(job, stop):
        prepared.append(job)
        return "prepared"

    def look(job):
        return f"{job} known" if job % 5 else None

    found = list(overlap(range(150), prepare, lambda job, ready, _: f"{job} {ready}", ahead, look))
    assert found == [f"{job} {'known' if job % 5 else 'prepared'}" for job in range(150)]
    assert sorted(prepared) == list(range(0, 150, 5))


def test_a_photo_that_cannot_be_looked_at_fails_alone():
    def look(job):
        if job.prefix:
            raise ValueError("cannot be read")

    jobs = [JOB, JOB._replace(prefix="x")]
    networks = SimpleNamespace(device=torch.device("cpu"))
    answers = run_jobs(jobs, lambda *_: {"fine": 1}, None, networks, True, look=look)
    assert [answer.get("error") for answer in answers] == [None, "cannot be read"]


@pytest.mark.parametrize("ahead", [2, 4])
def test_what_is_prepared_in_threads_is_told_to_stop(ahead):
    threads, told, begun = threading.active_count(), [], threading.Barrier(ahead + 1)

    def prepare(job, stop):
        if job == 0:
            return job
        begun.wait(PATIENCE)
        told.append(stop.wait(PATIENCE))

    def finish(job, value, stop):
        assert job == 0
        begun.wait(PATIENCE)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(overlap(range(9), prepare, finish, ahead))
    assert told == [True] * ahead
    assert threading.active_count() == threads


def test_a_stage_ends_where_nobody_waits_for_the_film_any_more():
    stop = threading.Event()
    clock = Stopwatch(stop=stop)
    clock.lap("depth")
    stop.set()
    with pytest.raises(CancelledError):
        clock.lap("planning")


def test_giving_up_is_no_failure_of_a_photo(caplog):
    def prepare(job, on, stop):
        raise CancelledError

    networks = SimpleNamespace(device=torch.device("cpu"))
    with pytest.raises(CancelledError):
        list(
            run_jobs(
                [Job(Path("a.jpg"), Path("out"), Path("out/a.mp4"), "")],
                prepare,
                None,
                networks,
                True,
            )
        )
    assert not caplog.records


@pytest.mark.parametrize(
    ("cores", "memory", "flags", "moves", "device", "ahead"),
    [
        (1, 64, {}, 1, "cpu", 1),
        (2, 64, {}, 1, "cpu", 2),
        (64, 64, {}, 1, "cpu", 4),
        (64, 4, {}, 1, "cpu", 1),  # memory for one
        (64, 8, {}, 1, "cpu", 2),
        (64, 64, {"max_size": 0}, 1, "cpu", 1),  # photos of any size
        (64, 64, {}, 3, "cpu", 1),  # films of one photo share its scene
        (64, 64, {}, 1, "cuda", 1),
    ],
)
def test_photos_ahead_are_what_cores_and_memory_allow(
    cores, memory, flags, moves, device, ahead, monkeypatch
):
    monkeypatch.setattr(batch, "thread_count", lambda: cores)
    monkeypatch.setattr(batch, "memory_bytes", lambda: memory * 2**30)
    jobs = [JOB._replace(more=move + 1 < moves) for move in range(moves)]
    settings = settings_from({"inputs": ["a.jpg"], "out": "out"} | flags)
    networks = SimpleNamespace(device=torch.device(device))
    assert batch.photos_ahead(jobs, settings, networks) == ahead


def test_photos_are_at_their_own_size_one_after_the_other(monkeypatch):
    inside, most = set(), []

    def read_image(path):
        inside.add(path)
        time.sleep(0.01)  # time for others to come in
        most.append(len(inside))
        inside.remove(path)
        raise ValueError(path)

    def prepare(job, stop):
        with pytest.raises(ValueError, match=str(job)):
            plan._read(job, None)

    monkeypatch.setattr(plan, "read_image", read_image)
    assert len(list(overlap(range(4), prepare, lambda *_: None, 4))) == 4
    assert most == [1] * 4


def test_failure_of_finishing_reaches_the_caller():
    def finish(job, value, stop):
        raise OSError(f"job {job}")

    with pytest.raises(OSError, match="job 0"):
        list(overlap(range(3), lambda job, stop: job, finish))


@pytest.mark.parametrize("line", ["a" * 3000 + ".jpg", "\udcff\udcfea.jpg"])
def test_a_line_that_can_be_no_name_is_one_photo_that_fails(line):
    photos, batch = find_photos(["-"], io.StringIO(line))
    assert len(photos) == 1 and batch
