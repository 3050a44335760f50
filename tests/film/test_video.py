"""Films: every codec plays back what was written, and no failure leaves half a file."""

import contextlib
import errno
import io
import os
import signal
import struct
import subprocess
import sys
import threading
import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from films import probe, read_frame
from PIL import Image
from waiting import PATIENCE, wait_until

from utils.film import video
from utils.film.gif import Palette, append_comment, bayer_pattern
from utils.film.video import (
    CODECS,
    QUEUE_FRAMES,
    VideoWriter,
    as_fps,
    holds_frames,
    read_metadata,
)

EVERY_FILE = [(name, suffix) for name in CODECS for suffix in CODECS[name].suffixes]
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (120, 120, 120)]


def bars(height=48, width=96):
    """Six vertical bars of saturated colours, white, black and grey."""
    picture = np.zeros((height, width, 3), np.uint8)
    for i, colour in enumerate(COLOURS):
        picture[:, i * width // 6 : (i + 1) * width // 6] = colour
    return picture


def moving(count, height=48, width=64):
    """Smooth frames in which everything moves and brightness counts the frames."""
    y, x = np.mgrid[:height, :width]
    for i in range(count):
        red = 127 + 100 * np.sin((x + 3 * i) / 9)
        green = 127 + 100 * np.cos((y - 2 * i) / 7)
        yield np.dstack([red, green, np.full(x.shape, 20 + 8 * (i % 25))]).astype(np.uint8)


def film(path, count=10, fps=25, codec="h264", **options):
    with VideoWriter(path, (48, 64), fps, codec, **options) as writer:
        for frame in moving(count):
            writer.write(frame)
    return path


# what is written


def policies():
    """How the threads of this process are scheduled."""
    found = set()
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            found.add(os.sched_getscheduler(int(thread.name)))
    return found


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="asks Linux about threads")
def test_av1_makes_no_thread_real_time(tmp_path):
    """As root it would: nothing else on the machine would get the processors meanwhile or after."""
    count = QUEUE_FRAMES + 3  # when so many are taken the encoder is open
    with VideoWriter(tmp_path / "film.mp4", (48, 64), 25, "av1") as writer:
        for frame in moving(count):
            writer.write(frame)
        assert policies() == {os.SCHED_OTHER}
    assert policies() == {os.SCHED_OTHER}


@pytest.mark.parametrize("codec, suffix", EVERY_FILE)
def test_every_codec_and_container_plays_back(tmp_path, codec, suffix):
    path = film(tmp_path / f"film{suffix}", codec=codec)
    info = probe(path)
    assert (info.frames, info.size, info.fps, info.codec) == (10, (48, 64), 25, codec)
    assert info.duration_s == pytest.approx(0.4, abs=0.002)
    for index, expected in enumerate(moving(10)):
        difference = np.abs(read_frame(path, index).astype(int) - expected)
        assert difference.mean() < 8, index
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("codec", CODECS)
def test_saturated_colours_survive(tmp_path, codec):
    path = tmp_path / f"bars{CODECS[codec].suffixes[0]}"
    with VideoWriter(path, (48, 96), 25, codec) as writer:
        for _ in range(3):
            writer.write(bars())
    shown = read_frame(path, 2).astype(int)
    for i, colour in enumerate(COLOURS):
        centre = shown[16:32, i * 16 + 6 : i * 16 + 10].reshape(-1, 3).mean(0)
        assert np.abs(centre - colour).max() <= 4, (colour, centre)


@pytest.mark.parametrize("codec", [name for name in CODECS if name != "gif"])
def test_bt709_is_tagged_and_is_what_was_computed(tmp_path, codec):
    path = tmp_path / f"bars{CODECS[codec].suffixes[0]}"
    with VideoWriter(path, (48, 96), 25, codec) as writer:
        writer.write(bars())
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        context = container.streams.video[0].codec_context
        tags = (context.color_primaries, context.color_trc, context.colorspace)
        assert (*tags, context.color_range) == (1, 1, 1, 1)
        plane = frame.planes[0]
        deep = 2 if "10" in frame.format.name else 1
        luma = np.frombuffer(plane, np.uint16 if deep == 2 else np.uint8)
        luma = luma.reshape(plane.height, -1)[24, 8:96:16] / (4 if deep == 2 else 1)
    expected = 16 + 219 * np.array(COLOURS) / 255 @ (0.2126, 0.7152, 0.0722)
    assert np.abs(luma - expected).max() <= 2


@pytest.mark.parametrize("name", ["film.mp4", "FILM.MP4", "film.MOV"])
def test_h265_in_mp4_carries_the_tag_that_apple_plays(tmp_path, name):
    with av.open(str(film(tmp_path / name, codec="h265"))) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


@pytest.mark.parametrize("capitals", [False, True])
@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "prores"])
def test_mp4_and_mov_start_before_they_are_fully_loaded(tmp_path, codec, capitals):
    name = f"film{CODECS[codec].suffixes[0]}"
    data = film(tmp_path / (name.upper() if capitals else name), codec=codec).read_bytes()
    boxes, start = [], 0
    while start < len(data):
        size, kind = struct.unpack_from(">I4s", data, start)
        boxes.append(kind)
        start += size
    assert boxes.index(b"moov") < boxes.index(b"mdat")


@pytest.mark.parametrize("codec, suffix", EVERY_FILE)
def test_metadata_comes_back_from_every_container(tmp_path, codec, suffix):
    metadata = {"settings": {"fps": 25, "name": "Zoë's “film”\n2"}, "list": [1, 2.5, None, True]}
    metadata["long"] = "x" * 3000
    path = film(tmp_path / f"film{suffix}", 2, codec=codec, metadata=metadata)
    assert read_metadata(path) == metadata
    assert read_metadata(film(tmp_path / f"bare{suffix}", 2, codec=codec)) == {}


def test_somebody_elses_comment_is_not_metadata(tmp_path):
    with av.open(str(tmp_path / "film.mp4"), "w") as container:
        container.metadata["comment"] = "holiday"
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert read_metadata(tmp_path / "film.mp4") == {}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("count", [1, 2, 3, 30])
def test_the_same_frames_give_the_same_bytes(tmp_path, codec, count):
    path = tmp_path / f"film{CODECS[codec].suffixes[0]}"
    first = film(path, count, codec=codec).read_bytes()
    for _ in range(3):
        assert film(path, count, codec=codec).read_bytes() == first
    assert probe(path).frames == count


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("room", [100, 3])
def test_frames_shown_again_are_those_written_anew(tmp_path, codec, room, monkeypatch):
    """With room for all or only for some; a GIF keeps none, whose colours follow the frames."""
    frames, suffix = list(moving(8)), CODECS[codec].suffixes[0]
    with VideoWriter(tmp_path / f"a{suffix}", (48, 64), 25, codec) as written:
        for frame in frames + frames[-2:0:-1]:
            written.write(frame)
        monkeypatch.setattr(video, "KEPT_BYTES", room * written._encoder.frame_bytes())
    with VideoWriter(tmp_path / f"b{suffix}", (48, 64), 25, codec) as again:
        kept = again.keep(range(1, 7))
        assert kept == (range(1, 7)[-min(6, room) :] if codec != "gif" else range(0))
        for frame in frames:
            again.write(frame)
        for number in reversed(kept):
            again.show_again(number)
        for number in reversed(range(1, 7 - len(kept))):
            again.write(frames[number])
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_a_frame_takes_as_much_memory_as_is_counted(tmp_path):
    """4:2:0 of 8 bits, and 4:2:2 of 10 bits in two bytes."""
    for suffix, codec, size in ((".mp4", "h264", 1.5), (".mov", "prores", 4)):
        with VideoWriter(tmp_path / f"a{suffix}", (48, 64), 25, codec) as written:
            assert written._encoder.frame_bytes() == 48 * 64 * size
            written.write(next(moving(1)))


@pytest.mark.parametrize("count", [1, 2])
def test_very_short_h265_films_have_times(tmp_path, count):
    """The encoder leaves them to chance, which shows after a few films only."""
    for _ in range(25):
        path = tmp_path / "film.mp4"
        with VideoWriter(path, (48, 96), 25, "h265") as writer:
            for _ in range(count):
                writer.write(bars())
    assert probe(path).frames == count


@pytest.mark.parametrize("codec", CODECS)
def test_quality_makes_larger_files(tmp_path, codec):
    settings = CODECS[codec]
    suffix = settings.suffixes[0]
    worst = film(tmp_path / f"worst{suffix}", codec=codec, quality=settings.worst)
    best = film(tmp_path / f"best{suffix}", codec=codec, quality=settings.best)
    assert best.stat().st_size > 1.3 * worst.stat().st_size


@pytest.mark.parametrize(
    "given, meant",
    [
        (25, Fraction(25)),
        (29.97, Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (12.5, Fraction(25, 2)),
        (0.5, Fraction(1, 2)),
        (1, Fraction(1)),
        (30, Fraction(30)),
        (Fraction(30000, 1001), Fraction(30000, 1001)),
    ],
)
def test_frame_rates_are_the_fractions_that_are_meant(tmp_path, given, meant):
    assert as_fps(given) == meant
    assert probe(film(tmp_path / "film.mp4", 4, fps=given)).fps == meant


def test_a_slice_or_reused_buffer_is_written_as_it_was(tmp_path):
    buffer = np.zeros((48, 128, 3), np.uint8)
    with VideoWriter(tmp_path / "film.mp4", (48, 64), 25) as writer:
        for grey in (40, 80, 120, 160, 200):
            buffer[:] = grey
            writer.write(buffer[:, 64:])
    for index, grey in enumerate((40, 80, 120, 160, 200)):
        assert abs(read_frame(tmp_path / "film.mp4", index).mean() - grey) < 3


def test_one_frame_and_a_photograph_are_films_too(tmp_path):
    photo = pytest.importorskip("skimage.data").astronaut()
    with VideoWriter(tmp_path / "film.mp4", photo.shape[:2], 25) as writer:
        writer.write(photo)
    error = read_frame(tmp_path / "film.mp4").astype(float) - photo
    assert probe(tmp_path / "film.mp4").frames == 1
    assert 10 * np.log10(255**2 / np.square(error).mean()) > 33


def test_encoders_keep_quiet(tmp_path, capfd):
    for codec in CODECS:
        film(tmp_path / f"film{CODECS[codec].suffixes[0]}", 2, codec=codec)
    assert capfd.readouterr() == ("", "")


# overlap and memory


class Gate:
    """Stands for the encoder, and waits before each frame until it is opened."""

    def __init__(self):
        self.open = threading.Event()
        self.frames = 0
        self.finished = False

    def encode(self, pixels):
        self.open.wait(PATIENCE)
        self.frames += 1

    def finish(self):
        self.finished = True

    def close(self):
        pass


def test_writing_goes_on_while_encoding_and_stops_when_far_ahead(tmp_path, monkeypatch):
    gate = Gate()
    monkeypatch.setattr(video, "_Encoder", lambda *_: gate)
    written = []

    def render():
        with VideoWriter(tmp_path / "film.mp4", (48, 64), 25) as writer:
            for frame in moving(30):
                writer.write(frame)
                written.append(frame)

    renderer = threading.Thread(target=render)
    renderer.start()
    wait_until(lambda: len(written) > QUEUE_FRAMES)
    renderer.join(0.1)  # it would go on in this time, if it did not wait
    # One frame at the encoder, a queue full of others, and one that write() is waiting with.
    assert len(written) == QUEUE_FRAMES + 1 and gate.frames == 0
    gate.open.set()
    renderer.join(PATIENCE)
    assert len(written) == gate.frames == 30


# failures


def old_film(folder):
    path = folder / "film.mp4"
    path.write_bytes(b"an older film")
    return path


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_an_exception_in_the_block_leaves_the_folder_as_it_was(tmp_path, error):
    path = old_film(tmp_path)
    with pytest.raises(error), VideoWriter(path, (48, 64), 25) as writer:
        for frame in moving(20):
            writer.write(frame)
        raise error
    assert os.listdir(tmp_path) == ["film.mp4"] and path.read_bytes() == b"an older film"
    assert writer._done.is_set()


@pytest.fixture
def heeding_ctrl_c():
    """A shell's background jobs ignore Ctrl-C, and so would a test run that is one."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("heeding_ctrl_c")
def test_after_an_exception_nothing_more_is_encoded(tmp_path, monkeypatch):
    gate = Gate()
    monkeypatch.setattr(video, "_Encoder", lambda *_: gate)
    with pytest.raises(RuntimeError), VideoWriter(tmp_path / "film.mp4", (48, 64), 25) as writer:
        for frame in moving(5):
            writer.write(frame)
        threading.Timer(0.2, gate.open.set).start()
        raise RuntimeError
    assert gate.frames <= 1 and not gate.finished


def test_ctrl_c_while_the_rest_is_encoded_leaves_no_file(tmp_path, monkeypatch):
    gate = Gate()
    monkeypatch.setattr(video, "_Encoder", lambda *_: gate)

    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        wait_until(lambda: writer._abandoned)  # it has arrived
        gate.open.set()

    writer = VideoWriter(tmp_path / "film.mp4", (48, 64), 25)
    with pytest.raises(KeyboardInterrupt), writer:
        for frame in moving(3):
            writer.write(frame)
        threading.Timer(0.2, interrupt).start()
    assert os.listdir(tmp_path) == []
    assert not gate.finished and writer._done.is_set()


class Failing(Gate):
    """Stands for an encoder whose disk fills up at the third frame, or at the end."""

    def __init__(self, at_the_end, written):
        super().__init__()
        self.at_the_end, self.written = at_the_end, written

    def encode(self, pixels):
        self.frames += 1
        if self.frames == 3 and not self.at_the_end:
            wait_until(lambda: len(self.written) >= 2 + QUEUE_FRAMES)  # it is full
            raise av.error.OSError(errno.ENOSPC, "No space left on device")

    def finish(self):
        raise av.error.OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("at_the_end", [False, True])
def test_a_full_disk_is_told_and_leaves_no_file(tmp_path, monkeypatch, at_the_end):
    path = old_film(tmp_path)
    written = []
    monkeypatch.setattr(video, "_Encoder", lambda *_: Failing(at_the_end, written))
    with pytest.raises(OSError, match="film.mp4: cannot be written: No space left") as caught:
        with VideoWriter(path, (48, 64), 25) as writer:
            for frame in moving(100):
                writer.write(frame)
                written.append(frame)
    assert "Free some space or choose another --out" in str(caught.value)
    assert caught.value.errno == errno.ENOSPC
    assert len(written) == 100 if at_the_end else len(written) < 20  # nothing is rendered in vain
    assert os.listdir(tmp_path) == ["film.mp4"] and path.read_bytes() == b"an older film"


@pytest.mark.parametrize("codec", CODECS)
def test_a_write_that_fails_at_any_byte_never_passes_for_success(tmp_path, codec):
    """A real write error, from the kernel: the size of files is limited for a while."""
    path = tmp_path / f"film{CODECS[codec].suffixes[0]}"
    size = film(path, 4, codec=codec, metadata={"a": "b" * 300}).stat().st_size
    path.unlink()
    resource = pytest.importorskip("resource", reason="this system limits no process")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (0, 1, 100, size // 2, size - 400, size - 40, size - 8, size - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(OSError, match="cannot be written: File too large"):
                film(path, 4, codec=codec, metadata={"a": "b" * 300})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert os.listdir(tmp_path) == []


def test_unwritable_places_are_told_before_any_frame(tmp_path, monkeypatch):
    with pytest.raises(OSError, match="absent/film.mp4: cannot be written: No such file"):
        film(tmp_path / "absent" / "film.mp4")
    (tmp_path / "film.mp4").mkdir()
    with pytest.raises(OSError, match="film.mp4: cannot be written: Is a directory"):
        film(tmp_path / "film.mp4")
    assert os.listdir(tmp_path) == ["film.mp4"]

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("utils.files.Path.touch", refuse)
    with pytest.raises(OSError, match="cannot be written: Permission denied. Make it writable"):
        film(tmp_path / "other.mp4")


def test_a_film_without_frames_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="at least one frame"):
        film(tmp_path / "film.mp4", 0)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "frame", [np.zeros((48, 62, 3), np.uint8), np.zeros((48, 64), np.uint8), np.zeros((48, 64, 3))]
)
def test_wrong_frames_are_refused(tmp_path, frame):
    with pytest.raises(ValueError, match=r"a frame must be \(48, 64, 3\) uint8, got"):
        with VideoWriter(tmp_path / "film.mp4", (48, 64), 25) as writer:
            writer.write(frame)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "change, message",
    [
        ({"size": (47, 64)}, "size must be even, not 64x47"),
        ({"size": (48, 63)}, "size must be even, not 63x48"),
        ({"size": (48, 20_000)}, "h264 takes sides of 2 to 16384 px, not 20000x48. Choose"),
        ({"size": (0, 64)}, "h264 takes sides of 2"),
        ({"size": (16, 128), "codec": "av1"}, "av1 takes sides of 32 to"),
        ({"fps": 0}, "above 0 and at most 1000, not 0"),
        ({"fps": float("nan")}, "not nan"),
        ({"fps": 1001}, "not 1001"),
        ({"codec": "mpeg"}, "no codec 'mpeg'. Choose among h264, h265"),
        ({"path": "film.avi"}, "film.avi: h264 is written as .mp4 or .mov or .mkv"),
        ({"path": "film.gif", "codec": "gif", "fps": 60}, "GIF shows at most 50 frames a second"),
        ({"quality": 52}, "whole number from 0 \\(best\\) to 51, not 52"),
        ({"quality": 17.5}, "not 17.5"),
        ({"quality": 4, "codec": "prores", "path": "film.mov"}, "from 3 \\(best\\) to 0, not 4"),
        ({"quality": 1, "codec": "gif", "path": "film.gif"}, "from 256 \\(best\\) to 2, not 1"),
    ],
)
def test_wrong_settings_are_refused_before_any_work(tmp_path, change, message):
    settings = {"path": "film.mp4", "size": (48, 64), "fps": 25} | change
    settings["path"] = tmp_path / settings["path"]
    with pytest.raises(ValueError, match=message):
        VideoWriter(**settings)
    assert os.listdir(tmp_path) == []


def test_what_an_encoder_refuses_names_the_file(tmp_path):
    with pytest.raises(ValueError, match="film.mp4: the encoder refuses: Invalid data"):
        with VideoWriter(tmp_path / "film.mp4", (16, 8192), 25, "h265"):
            raise AssertionError("nothing must be rendered")
    assert os.listdir(tmp_path) == []


def test_counting_frames_keeps_one_packet_at_a_time(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 256, 256, 3), dtype=np.uint8)
    path = tmp_path / "film.mp4"
    with VideoWriter(path, (256, 256), 25, quality=0) as writer:
        for frame in noise:
            writer.write(frame)
    tracemalloc.start()
    try:
        assert holds_frames(path, len(noise))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < path.stat().st_size / 8


@pytest.mark.parametrize("codec, suffix", EVERY_FILE)
def test_a_finished_film_is_opened_once_and_by_no_decoder(tmp_path, codec, suffix, monkeypatch):
    """FFmpeg tries one on the first frames: 35 ms for a photo, and there may be ten thousand."""
    path = film(tmp_path / f"film{suffix}", 3, codec=codec, metadata={"fingerprint": "so"})
    opened, opening = [], video.open_container
    monkeypatch.setattr(
        video,
        "open_container",
        lambda *given, **told: opened.append(told) or opening(*given, **told),
    )
    assert holds_frames(path, 3, "so")
    assert [told["options"]["codec_whitelist"] for told in opened] == ["none"]
    assert not holds_frames(path, 3, "otherwise") and not holds_frames(path, 4, "so")


@pytest.mark.parametrize("name", ["absent.mp4", "letter.mp4"])
def test_what_is_no_video_is_refused(tmp_path, name):
    (tmp_path / "letter.mp4").write_text("hello")
    with pytest.raises(ValueError, match=f"{name}: is no video that can be read"):
        read_metadata(tmp_path / name)
    assert not holds_frames(tmp_path / name, 10)


@pytest.mark.parametrize("codec, suffix", EVERY_FILE)
@pytest.mark.parametrize("count", [1, 2, 30])
def test_a_film_cut_anywhere_is_not_whole(tmp_path, codec, suffix, count):
    """Also the last byte, and where the file's end became zeros (a disk does that in blocks)."""
    path = film(tmp_path / f"film{suffix}", count, codec=codec, metadata={"made": "so"})
    data = path.read_bytes()
    assert holds_frames(path, count) and not holds_frames(path, count + 1)
    lengths = np.random.default_rng(0).integers(0, len(data), 40).tolist()
    for length in [*lengths, *(len(data) - near for near in (1, 2, 3, 9, 25, 60, 200))]:
        path.write_bytes(data[:length])
        assert not holds_frames(path, count) or not read_metadata(path), f"cut at {length}"
        length = min(length, len(data) - 64)
        path.write_bytes(data[:length] + bytes(len(data) - length))
        assert not holds_frames(path, count) or not read_metadata(path), f"zeros from {length}"


# palettes


def test_the_dither_pattern_is_balanced_and_has_its_span():
    pattern = bayer_pattern(8)
    assert pattern.shape == (8, 8) and abs(pattern.mean()) < 0.1
    assert pattern.min() == -4 and pattern.max() == 4


def test_a_palette_is_kept_while_it_fits_and_changed_when_it_does_not():
    palette = Palette(256)
    tables = []
    scene = next(moving(1))
    for frame in (scene, np.roll(scene, 5, 0), np.roll(scene, 9, 1), bars(48, 64), scene):
        palette(np.ascontiguousarray(frame))
        tables.append(palette.table)
    assert tables[0] is tables[1] is tables[2]
    assert tables[3] is not tables[2] and tables[4] is not tables[3]


def test_a_photograph_looks_like_itself_in_256_colours():
    photo = pytest.importorskip("skimage.data").astronaut()
    shown = Palette(256)(photo).to_ndarray(format="rgb24").astype(float)
    assert 10 * np.log10(255**2 / np.square(shown - photo).mean()) > 30


def test_smooth_gradients_are_dithered_not_banded():
    sky = np.zeros((128, 256, 3), np.uint8)
    sky[..., 2] = np.linspace(120, 255, 256).round()
    sky[..., 0] = np.linspace(90, 130, 128).round()[:, None]
    shown = Palette(64)(sky).to_ndarray(format="rgb24").astype(float)
    banded = np.asarray(Image.fromarray(sky).quantize(64, Image.Quantize.FASTOCTREE).convert("RGB"))
    # Seen from afar, as means of 8x8 pixels, it is smoother than plain nearest colours.
    afar = [(p - sky.astype(float)).reshape(16, 8, 32, 8, 3).mean((1, 3)) for p in (shown, banded)]
    assert np.abs(afar[0]).mean() < 0.8 * np.abs(afar[1]).mean()


def test_gif_comments_are_in_the_standards_place(tmp_path):
    path = film(tmp_path / "film.gif", 2, codec="gif", metadata={"a": 1})
    with Image.open(path) as image:
        assert image.n_frames == 2 and image.info["loop"] == 0
        image.seek(1)
    assert path.read_bytes().endswith(b'\x21\xfe\x08{"a": 1}\0\x3b')
    damaged = io.BytesIO(path.read_bytes()[:-1]).getvalue()
    (tmp_path / "cut.gif").write_bytes(damaged)
    with pytest.raises(ValueError, match="does not end as a GIF does"):
        append_comment(tmp_path / "cut.gif", "x")


def test_encoders_keep_to_their_memory(tmp_path):
    """The smallest films under the C library's own checks: a bad write ends the process."""
    checks = Path("/lib/x86_64-linux-gnu/libc_malloc_debug.so.0")
    if not checks.exists():
        pytest.skip("needs glibc's libc_malloc_debug")
    program = (
        "import numpy as np; from utils.film.video import *\n"
        "for name, codec in CODECS.items():\n"
        "    for size in ((16, 44), (44, 16), (16, 16), (48, 66), (32, 100)):\n"
        "        size = [max(side, codec.sides[0]) for side in size]\n"
        f"        path = {str(tmp_path)!r} + '/film' + codec.suffixes[0]\n"
        "        with VideoWriter(path, size, 25, name) as video:\n"
        "            for i in range(12):\n"
        "                video.write(np.full((*size, 3), 9 * i, np.uint8))\n"
    )
    environment = os.environ | {"LD_PRELOAD": str(checks), "GLIBC_TUNABLES": "glibc.malloc.check=3"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
