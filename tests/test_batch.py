"""Which photos a command means, and where their results go."""

import io
from pathlib import Path

import pytest

from utils.batch import find_photos, fingerprint, plan_jobs


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
    assert names(find_photos([str(album / "*.jpg")])) == ["-dash.jpg", "b.jpg", "inner.jpg",
                                                          "odd\nname.jpg"]


def test_existing_file_with_brackets_is_no_pattern(album):
    (album / "pic[1].jpg").write_bytes(b"x")
    assert names(find_photos([str(album / "pic[1].jpg")])) == ["pic[1].jpg"]


def test_single_photo_is_no_batch_and_need_not_look_like_one():
    assert find_photos(["missing.xyz"]) == ([Path("missing.xyz")], False)


def test_standard_input_gives_one_path_per_line():
    found = find_photos(["-"], io.StringIO("a.jpg\n\n b .jpg\nc.jpg"))
    assert found == ([Path("a.jpg"), Path(" b .jpg"), Path("c.jpg")], True)


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
    assert (job.video, job.result("preview.png")) == (Path("out/3d_kbe.mp4"),
                                                      Path("out/preview.png"))


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
    made = [fingerprint(photo, {"fps": "25"}, {"estimation": "1"}),
            fingerprint(photo, {"fps": "30"}, {"estimation": "1"}),
            fingerprint(photo, {"fps": "25"}, {"estimation": "2"}),
            fingerprint(photo, {"fps": "25"}, {"estimation": "1"}, depth)]
    photo.write_bytes(b"other")
    made.append(fingerprint(photo, {"fps": "25"}, {"estimation": "1"}))
    assert len(set(made)) == 5
    photo.write_bytes(b"photo")
    assert fingerprint(photo, {"fps": "25"}, {"estimation": "1"}) == made[0]
