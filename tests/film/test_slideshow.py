"""Shots joined into one film: how they fade, how long it is, what is heard, and its chapters."""

import struct
import wave
from fractions import Fraction

import av
import numpy as np
import pytest
from films import probe

from utils.film.music import FADE_S, RATE, Music, check_music, fade_out
from utils.film.slideshow import CrossFader
from utils.film.video import VideoWriter, holds_frames, read_metadata

SIZE = (32, 48)
SOUNDING = [
    ("h264", ".mp4"),
    ("h264", ".mov"),
    ("h264", ".mkv"),
    ("h265", ".mp4"),
    ("vp9", ".webm"),
]
SOUNDING += [("av1", ".mp4"), ("prores", ".mov")]


def flat(level, count):
    """Frames of one grey level."""
    return [np.full((*SIZE, 3), level, np.uint8) for _ in range(count)]


def joined(shots, fade, hold=None):
    """Levels of the film's frames, and the fader."""
    film = []
    fader = CrossFader(
        lambda frame: film.append(int(frame[0, 0, 0])), fade if hold is None else hold
    )
    for number, (level, count) in enumerate(shots):
        fader.add(number, flat(level, count), fade)
    fader.finish()
    return film, fader


def tone(path, seconds, rate=44100, channels=1, level=0.5):
    """Write a steady tone of 441 Hz."""
    at = np.arange(round(seconds * rate)) / rate
    samples = (np.sin(2 * np.pi * 441 * at) * level * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(samples, channels).tobytes())
    return path


def heard(path):
    """The sound of a film, (2, n) float, and its rate."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("fltp", "stereo", RATE)
        parts = [
            part.to_ndarray()
            for frame in container.decode(audio=0)
            for part in resampler.resample(frame)
        ]
        parts += [part.to_ndarray() for part in resampler.resample(None)]
    return np.concatenate(parts, axis=1)


def chapters_of(path):
    with av.open(str(path)) as container:
        found = container.chapters  # a method or not, by the version
        return found() if callable(found) else found


def loudness(samples, begin_s, end_s):
    part = samples[:, round(begin_s * RATE) : round(end_s * RATE)]
    return float(np.sqrt((part**2).mean()))


def film(path, count, music=None, codec="h264", chapters=(), fps=25):
    with VideoWriter(path, SIZE, fps, codec, metadata={"a": 1}, music=music) as video:
        for frame in flat(90, count):
            video.write(frame)
        video.chapters += chapters
    return path


# -- fades ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fade", [0, 1, 3, 4])
def test_film_is_as_long_as_the_shots_without_what_they_share(fade):
    shots = [(10, 12), (200, 9), (60, 10)]
    film, fader = joined(shots, fade)
    assert len(film) == fader.written == 12 + 9 + 10 - 2 * fade
    assert film[: 12 - fade] == [10] * (12 - fade)
    assert film[12 : 12 + 9 - 2 * fade] == [200] * (9 - 2 * fade)
    assert film[-(10 - fade) :] == [60] * (10 - fade)


def test_middle_of_a_fade_is_the_mean_of_both_and_its_course_is_even():
    film, _ = joined([(0, 8), (240, 8)], 5)
    assert film[3:8] == [40, 80, 120, 160, 200]
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 256, (2, 4, *SIZE, 3), dtype=np.uint8)
    frames = []
    fader = CrossFader(frames.append, 3)
    fader.add(0, before, 3)
    fader.add(1, after, 3)
    fader.finish()
    mean = (before[2].astype(float) + after[1]) / 2
    assert np.abs(frames[2] - mean).max() <= 0.5
    np.testing.assert_array_equal(frames[-1], after[3])


def test_memory_holds_the_frames_of_one_fade_however_many_shots():
    alive = []

    class Frames:
        """Counts its frames that nobody has let go of."""

        def __iter__(self):
            for _ in range(20):
                frame = np.zeros((*SIZE, 3), np.uint8)
                alive.append(__import__("weakref").ref(frame))
                yield frame
                del frame
                assert sum(one() is not None for one in alive) <= 4 + 3

    fader = CrossFader(lambda frame: None, 4)
    for number in range(30):
        fader.add(number, Frames(), 4)
        assert len(fader._tail) + len(fader._before) <= 4
    assert fader.written == 30 * 20 - 29 * 4 - 4


def test_a_shot_that_fails_at_once_leaves_no_trace():
    film = []
    fader = CrossFader(lambda frame: film.append(int(frame[0, 0, 0])), 2)
    fader.add(0, flat(10, 5), 2)

    def broken():
        raise MemoryError
        yield

    with pytest.raises(MemoryError):
        fader.add(1, broken(), 2)
    assert fader.span(1) is None
    fader.add(2, flat(40, 5), 2)
    assert fader.span(2) == (3, 8)
    fader.finish()
    assert film == [10, 10, 10, 20, 30, 40, 40, 40]


def test_a_shot_that_fails_on_the_way_goes_on_where_it_stopped():
    film = []
    fader = CrossFader(lambda frame: film.append(int(frame[0, 0, 0])), 2)
    fader.add(0, flat(0, 5), 2)

    def counting(stop):
        for level in range(90, 100):
            if level == stop:
                raise MemoryError
            yield np.full((*SIZE, 3), level, np.uint8)

    with pytest.raises(MemoryError):
        fader.add(1, counting(95), 2)
    fader.add(1, counting(None), 2)
    fader.finish()
    assert film == [0, 0, 0, 30, 61, *range(92, 100)]
    assert fader.span(1) == (3, 13)


def test_a_longer_buffer_than_the_fade_changes_nothing():
    assert joined([(10, 12), (200, 9)], 2, hold=6)[0] == joined([(10, 12), (200, 9)], 2)[0]


# -- music ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("codec", "suffix"), SOUNDING)
def test_music_lasts_as_long_as_the_film_and_fades_out(tmp_path, codec, suffix):
    size = max(SIZE[0], 32), 64
    path = tmp_path / f"film{suffix}"
    with VideoWriter(path, size, 25, codec, music=tone(tmp_path / "a.wav", 20)) as video:
        for _ in range(130):
            video.write(np.full((*size, 3), 90, np.uint8))
    with av.open(str(path)) as container:
        wanted = {".mkv": "opus", ".webm": "opus"}.get(suffix, "aac")
        (sound,) = container.streams.audio
        assert sound.codec_context.codec.canonical_name == wanted
    samples = heard(path)
    assert abs(samples.shape[1] / RATE - 130 / 25) <= 1024 / RATE
    whole = loudness(samples, 0.5, 2.5)
    assert whole == pytest.approx(0.5 / 2**0.5, rel=0.05), "the music's own loudness, in both ears"
    # Half way through the last two seconds it is half as loud, at the end silent.
    assert loudness(samples, 4.15, 4.25) == pytest.approx(whole / 2, rel=0.1)
    assert loudness(samples, 5.17, 5.2) < 0.03 * whole
    assert holds_frames(path, 130)


def test_music_that_is_too_short_is_repeated(tmp_path):
    samples = heard(film(tmp_path / "film.mp4", 150, tone(tmp_path / "short.wav", 0.7)))
    assert abs(samples.shape[1] / RATE - 6) <= 1024 / RATE
    parts = [loudness(samples, second, second + 0.5) for second in np.arange(0.1, 3.5, 0.25)]
    assert min(parts) > 0.3


def test_music_of_every_kind_becomes_two_channels(tmp_path):
    for channels in (1, 2, 6):
        music = Music(tone(tmp_path / "a.wav", 0.5, 22050, channels))
        samples = music.take(RATE)
        music.close()
        assert samples.shape == (2, RATE) and samples.dtype == np.float32
        assert 0.45 < np.abs(samples).max() < 0.55


@pytest.mark.parametrize("channels", [3, 6, 9, 32])
def test_channels_without_a_layout_are_heard_on_both_sides(tmp_path, channels):
    check_music(tone(tmp_path / "a.wav", 0.2, 48000, channels), ".mp4")
    loudness = np.abs(Music(tmp_path / "a.wav").take(9000)).mean(axis=1)
    assert loudness.min() > 0.1


@pytest.mark.parametrize("text", ["\u041f\u0435\u0441\u043d\u044f", "Caf\u00e9", "\u6b4c"])
def test_tags_in_any_code_page_do_not_matter(tmp_path, text):
    path = tone(tmp_path / "a.wav", 0.1)
    for encoding in ("cp1251", "latin-1", "shift-jis", "utf-16"):
        title = text.encode(encoding, "ignore") + b"\0"
        title += bytes(len(title) % 2)
        info = b"INFOINAM" + struct.pack("<I", len(title)) + title
        data = path.read_bytes()[8:] + b"LIST" + struct.pack("<I", len(info)) + info
        tagged = tmp_path / f"{encoding}.wav"
        tagged.write_bytes(b"RIFF" + struct.pack("<I", len(data)) + data)
        check_music(tagged, ".mp4")
        assert Music(tagged).take(2000).any()


def test_colons_in_relative_names_are_no_protocols(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tone("part 1: dawn.wav", 0.5)
    with VideoWriter("take:2.mp4", SIZE, 25, metadata={"a": 1}, music="part 1: dawn.wav") as film:
        for frame in flat(90, 5):
            film.write(frame)
    assert read_metadata("take:2.mp4") == {"a": 1} and holds_frames("take:2.mp4", 5)
    assert heard("./take:2.mp4")[0].any()


def test_film_shorter_than_the_fade_is_faded_throughout(tmp_path):
    samples = heard(film(tmp_path / "film.mp4", 25, tone(tmp_path / "a.wav", 3)))
    assert loudness(samples, 0.45, 0.55) == pytest.approx(0.5 * 0.3535, rel=0.15)
    np.testing.assert_allclose(fade_out(np.array([0, 24000, 48000]), RATE), [1, 0.5, 0])
    np.testing.assert_allclose(fade_out(np.array([0, RATE * FADE_S]), 2 * RATE * FADE_S), [1, 1])


def test_music_that_cannot_be_used_is_refused(tmp_path):
    (tmp_path / "text.mp3").write_text("no music " * 100)
    silent = film(tmp_path / "silent.mp4", 5)
    good = tone(tmp_path / "a.wav", 1)
    for path, suffix, said in (
        (tmp_path / "none.mp3", ".mp4", "there is no such file"),
        (tmp_path / "text.mp3", ".mp4", "cannot be read"),
        (silent, ".mp4", "there is no sound in it"),
        (good, ".gif", "a .gif file carries no sound"),
    ):
        with pytest.raises(ValueError, match=said):
            check_music(path, suffix)
    with pytest.raises(ValueError, match="no sound"):
        VideoWriter(tmp_path / "film.gif", SIZE, 25, "gif", music=good)


def test_music_damaged_in_the_middle_is_played_on(tmp_path):
    whole = film(tmp_path / "sound.mkv", 100, tone(tmp_path / "a.wav", 4)).read_bytes()
    middle = len(whole) // 2
    (tmp_path / "bad.mkv").write_bytes(whole[:middle] + bytes(200) + whole[middle + 200 :])
    samples = heard(film(tmp_path / "film.mp4", 100, tmp_path / "bad.mkv"))
    assert abs(samples.shape[1] / RATE - 4) <= 1024 / RATE


# -- cuts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "suffix"), [("h264", ".mp4"), ("h265", ".mp4"), ("vp9", ".webm"), ("av1", ".mp4")]
)
@pytest.mark.parametrize("fade", [0, 4])
def test_players_can_begin_where_a_shot_begins(tmp_path, codec, suffix, fade):
    path = tmp_path / f"film{suffix}"
    with VideoWriter(path, SIZE, 25, codec) as video:
        fader = CrossFader(lambda frame: video.write(frame, cut=fader.begins), 4)
        for number, level in enumerate((90, 100, 80)):
            fader.add(number, flat(level, 14), fade)
        fader.finish()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        keys = [
            round(float(packet.pts * stream.time_base * 25))
            for packet in container.demux(stream)
            if packet.is_keyframe and packet.pts is not None
        ]
    assert keys == [0, 14 - fade, 28 - 2 * fade]


# -- chapters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("fps", [25, Fraction(30000, 1001)])
def test_chapters_have_names_and_times(tmp_path, suffix, fps):
    names = ["first", "Straße – 北京", "bad\udcff"]
    path = film(
        tmp_path / f"film{suffix}", 90, chapters=list(zip((0, 30, 70), names, strict=True)), fps=fps
    )
    found = chapters_of(path)
    titles = [chapter["metadata"]["title"] for chapter in found]
    assert titles == ["first", "Straße – 北京", "bad?"]
    times = [[float(one[end] * one["time_base"]) for end in ("start", "end")] for one in found]
    wanted = np.array([[0, 30], [30, 70], [70, 90]]) / float(fps)
    np.testing.assert_allclose(times, wanted, atol=0.001)
    assert holds_frames(path, 90) and probe(path).frames == 90
    assert read_metadata(path) == {"a": 1}


def test_chapters_beside_music(tmp_path):
    path = film(
        tmp_path / "film.webm", 60, tone(tmp_path / "a.wav", 1), "vp9", [(0, "a"), (20, "b")]
    )
    assert [one["metadata"]["title"] for one in chapters_of(path)] == ["a", "b"]
    assert holds_frames(path, 60)


def test_a_gif_has_no_chapters_and_is_whole(tmp_path):
    path = film(tmp_path / "film.gif", 20, codec="gif", chapters=[(0, "a")])
    assert holds_frames(path, 20)
