"""Films out: frames into a video file, encoded beside the rendering, with BT.709 colour tags.

`VideoWriter` takes frames and returns at once: a thread converts and encodes them (PyAV releases
the interpreter meanwhile), and a short queue bounds the memory. The file appears under its name
only when it is complete. Settings travel in the file itself, as JSON in its comment. Music may be
played to it, and chapters name its parts.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import threading
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import Interpolation, VideoReformatter

from kernels.threads import memory_bytes
from utils.files import complete_or_absent, naming_write_errors
from utils.film.codecs import CODECS
from utils.film.containers import open_container
from utils.film.gif import Palette, append_comment
from utils.film.music import Music, SoundTrack, check_music
from utils.processes import as_scheduled

if TYPE_CHECKING:
    from typing import Any, Self

# Of frames that are kept to be shown again: the way there of 80 at 3840x2160.
KEPT_BYTES = 2**30
QUEUE_FRAMES = 8  # evens out uneven rendering; 200 MB of frames at 3840x2160
BT709, STUDIO_RANGE = 1, 1  # AVCOL_*_BT709; AVCOL_RANGE_MPEG (16..235)
# Chroma as the mean of its four pixels, and everything rounded: 2.3 ms at 1024x768.
CAREFULLY = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP
MAX_FPS = 1000
MATROSKA_SEGMENT = b"\x18\x53\x80\x67"  # the part that holds all the rest (RFC 9559)
GIF_COMMENT = b"\x21\xfe"
GIF_MAX_FPS = 50  # its delays are whole hundredths of a second, and viewers refuse 1


class VideoWriter:
    """Write a video while its frames are being made.

        with VideoWriter("film.mp4", size=(768, 1024), fps=25) as video:
            for frame in frames:
                video.write(frame)

    An exception inside the block, an error while encoding, Ctrl-C: all leave no file behind, and an
    older file of the same name as it was.

    Args:
        path: file to write; its suffix chooses the container, see CODECS. The folder must exist.
        size: (height, width), both even.
        fps: frames a second; 29.97, 23.976 and the like become the broadcast fractions.
        codec: a key of CODECS.
        quality: the encoder's own number: CRF for h264, h265, vp9 and av1 (smaller is better),
            profile 0 to 3 for prores, colours 2 to 256 for gif; default: by codec.
        metadata: dict of anything that JSON can hold; `read_metadata` returns it.
        music: file whose sound is heard, repeated or cut to the film's length and faded out.
    Attributes:
        chapters: list of (number of its first frame, title), to be filled inside the block; each
            ends where the next one begins. A GIF has none.
    Raises:
        ValueError: an argument does not fit, or the encoder refuses the size.
        OSError: the file cannot be written (by `with`, `write` or at the end of the block).
    """

    def __init__(
        self,
        path: str | Path,
        size: tuple[int, int],
        fps: float | Fraction,
        codec: str = "h264",
        quality: int | None = None,
        metadata: dict[str, Any] | None = None,
        music: str | Path | None = None,
    ) -> None:
        """See the class."""
        self.path = Path(path)
        self.fps = as_fps(fps)
        self.codec = _checked_codec(self.path, codec, self.fps)
        self.size = _checked_size(codec, size)
        self.quality = _checked_quality(codec, quality)
        self.comment = json.dumps(metadata, ensure_ascii=False) if metadata is not None else ""
        self.music = music and Path(music)
        if self.music:
            check_music(self.music, self.path.suffix)
        self.chapters: list[tuple[int, str]] = []
        self._queue: queue.Queue[np.ndarray | int | None] = queue.Queue(QUEUE_FRAMES)
        self._thread = threading.Thread(target=self._run, name="video encoder", daemon=True)
        self._done = threading.Event()  # Thread.join() forgets the thread if Ctrl-C interrupts it
        self._abandoned = False
        self._failure = None
        self._written = 0

    def __enter__(self) -> Self:
        """Open the encoder, so that what it refuses is known before anything is rendered."""
        with _naming(self.path), contextlib.ExitStack() as stack:
            temporary = stack.enter_context(complete_or_absent(self.path))
            self._encoder = _Encoder(temporary, self)
            self._thread.start()
            stack.push(self._stop)
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        """Finish the file, or remove it if there was an error."""
        with _naming(self.path):
            return self._exit.__exit__(*error)

    def write(self, frame: np.ndarray, cut: bool = False) -> None:
        """Hand over one frame; waits only if the encoder is QUEUE_FRAMES behind.

        Args:
            frame: (height, width, 3) uint8 RGB. It is copied, so the caller may use it again.
            cut: whether a shot begins with it: then it is a key frame, at which players can begin.
        Raises:
            ValueError: shape or type do not fit.
            OSError: an earlier frame could not be written.
        """
        if frame.shape != (*self.size, 3) or frame.dtype != np.uint8:
            raise ValueError(
                f"a frame must be {(*self.size, 3)} uint8, got {frame.shape} {frame.dtype}."
            )
        if cut:
            self._encoder.cuts.add(self._written)
        self._hand_over(np.array(frame))

    def _hand_over(self, frame):
        if self._failure:
            with _naming(self.path):
                raise self._failure
        self._queue.put(frame)
        self._written += 1

    def keep(self, numbers: range) -> range:
        """Keep some frames, as the encoder takes them, to be shown again; before the first one.

        Args:
            numbers: of the frames, counted from 0.
        Returns:
            range: the last of these, as many as memory is set aside for; none of a GIF, whose
            colours depend on what came before.
        """
        fitting = min(KEPT_BYTES, memory_bytes() // 8) // self._encoder.frame_bytes()
        if isinstance(self._encoder.convert, Palette):
            fitting = 0
        self._encoder.keep = numbers[max(0, len(numbers) - fitting) :]
        return self._encoder.keep

    def show_again(self, number: int) -> None:
        """Write a frame that was kept once more, and keep it no longer.

        Args:
            number: of those that `keep` returned.
        Raises:
            OSError: an earlier frame could not be written.
        """
        self._hand_over(number)

    def _run(self):
        """The thread: encode what comes until None comes."""
        ended = False
        try:
            while not ended:
                frame = self._queue.get()
                ended = frame is None
                if self._abandoned:
                    continue
                self._encoder.finish() if ended else self._encoder.encode(frame)
        except BaseException as error:
            self._failure = error
        while not ended:  # after a failure: write() must never wait for a dead thread
            ended = self._queue.get() is None
        self._encoder.close()
        self._done.set()

    def _stop(self, kind, error, trace):
        self._abandoned = kind is not None
        try:
            self._queue.put(None)
            self._done.wait()
        except BaseException:  # Ctrl-C
            self._abandoned = True
            self._queue.put(None)
            self._done.wait()
            raise
        if kind is None and self._failure:
            raise self._failure
        if kind is None and not self._written:
            raise ValueError(f"{self.path}: a video needs at least one frame.")


class _Encoder:
    """One open output file: converts frames, encodes and writes packets. Used by one thread."""

    def __init__(self, path, settings):
        os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 writes to stderr whatever it likes: errors
        self.path, self.comment, self.fps = path, settings.comment, settings.fps
        self.frames, self.chapters, self.sound = 0, settings.chapters, None
        self.keep, self.kept = range(0), {}  # numbers of frames, and those that are there
        self.cuts = set()  # numbers of frames with which a shot begins
        self.suffix = path.suffix.lower()
        mp4 = self.suffix in (".mp4", ".mov")
        muxing = {"fflags": "+bitexact"}  # no dates and no random numbers
        if mp4:
            muxing["movflags"] = "faststart"
        self.container = open_container(path, "w", options=muxing)
        try:
            self._open(settings, mp4)
        except BaseException:
            self.close()  # or Windows could not remove the file, and would say that instead
            raise

    def _open(self, settings, mp4):
        codec, (height, width) = settings.codec, settings.size
        if self.comment:
            self.container.metadata["comment"] = self.comment
        options = dict(codec.options)
        if codec.encoder == "gif":
            self.convert = Palette(settings.quality)
        else:
            options[codec.setting] = str(settings.quality)
            self.convert = _ToBT709(codec.pixel_format)
        stream = self.container.add_stream(codec.encoder, rate=self.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, codec.pixel_format
        context = stream.codec_context
        if codec.encoder != "gif":
            context.color_primaries = context.color_trc = context.colorspace = BT709
            context.color_range = STUDIO_RANGE
        if codec.encoder == "libx265" and mp4:
            context.codec_tag = "hvc1"  # the name under which Apple's players know it
        with as_scheduled():
            context.open()
        self.stream = stream
        music = settings.music and Music(settings.music)
        self.sound = music and SoundTrack(self.container, self.suffix, music)

    def frame_bytes(self):
        """How much memory a frame takes, as it is encoded."""
        context = self.stream.codec_context
        parts = av.VideoFormat(context.pix_fmt, context.width, context.height).components
        return sum(part.width * part.height * -(-part.bits // 8) for part in parts)

    def encode(self, pixels):
        """Encode (H, W, 3) uint8 RGB, or the frame that was kept under a number."""
        frame = self.kept.pop(pixels) if isinstance(pixels, int) else self.convert(pixels)
        if self.frames in self.keep:
            self.kept[self.frames] = frame
        frame.pts, frame.time_base = self.frames, 1 / self.fps
        frame.pict_type = PictureType.I if self.frames in self.cuts else PictureType.NONE
        self.frames += 1
        self.container.mux(self.stream.encode(frame))
        if self.sound:
            self.sound.follow(self.frames / self.fps)

    def finish(self):
        packets = self.stream.encode(None)
        if self.frames < 3 and self.stream.codec_context.name == "libx265":
            for number, packet in enumerate(packets):  # x265 leaves the times of these to chance
                packet.pts = packet.dts = number
        self.container.mux(packets)
        if self.sound:
            self.sound.finish(self.frames / self.fps)
        if self.chapters and self.suffix != ".gif":
            self.container.set_chapters(self._chapters())
        self.container.close()
        if self.suffix == ".gif" and self.comment:
            append_comment(self.path, self.comment)

    def _chapters(self):
        ends = [first for first, _ in self.chapters[1:]] + [self.frames]
        return [
            {
                "id": number,
                "start": first,
                "end": end,
                "time_base": 1 / self.fps,
                # A file's name may hold bytes that are no text.
                "metadata": {"title": title.encode("utf-8", "replace").decode()},
            }
            for number, ((first, title), end) in enumerate(
                zip(self.chapters, ends, strict=True), start=1
            )
        ]

    def close(self):
        """Let go of the file; nothing to do after finish()."""
        with contextlib.suppress(Exception):  # it is about to be removed
            self.container.close()
        if self.sound:
            self.sound.music.close()


class _ToBT709:
    """Convert RGB to Y'CbCr as BT.709 defines it, and say so on each frame."""

    def __init__(self, pixel_format):
        self.pixel_format = pixel_format
        self.reformatter = VideoReformatter()

    def __call__(self, pixels):
        frame = self.reformatter.reformat(
            av.VideoFrame.from_ndarray(pixels, format="rgb24"),
            format=self.pixel_format,
            dst_colorspace=BT709,
            dst_color_range=STUDIO_RANGE,
            interpolation=CAREFULLY,
            threads=1,
        )
        frame.color_primaries = frame.color_trc = BT709  # ProRes takes them from the frame
        return frame


def as_fps(fps: float | Fraction) -> Fraction:
    """Turn a frame rate into the fraction that is meant.

    Args:
        fps: number or Fraction; 23.976, 29.97, 59.94 become 24000/1001, 30000/1001, 60000/1001.
    Returns:
        Fraction.
    Raises:
        ValueError: not between 0 and MAX_FPS.
    """
    if not 0 < fps <= MAX_FPS:  # also NaN
        raise ValueError(f"the frame rate must be above 0 and at most {MAX_FPS}, not {fps}.")
    nominal = round(fps)
    broadcast = Fraction(nominal * 1000, 1001)
    if nominal % 6 == 0 and abs(float(broadcast) - float(fps)) < 0.005:
        return broadcast
    return Fraction(fps).limit_denominator(1001)


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Return the metadata that a VideoWriter put into a file, {} if there is none of ours.

    Raises:
        ValueError: no such file, or no video.
    """
    with _opened(path) as container:
        return _metadata(container)


def _metadata(container):
    tags = {name.lower(): value for name, value in container.metadata.items()}
    try:
        return json.loads(tags.get("comment", ""))
    except (ValueError, RecursionError):
        return {}


def holds_frames(path: str | Path, frames: int, fingerprint: str | None = None) -> bool:
    """Whether a video of VideoWriter is all there; its packets are counted, none is decoded.

    A copy that stopped half way, or a disk that filled a file's end with zeros, leaves films that
    open and tell the right length.

    Args:
        path: the video.
        frames: how many it should hold.
        fingerprint: what its metadata should say beside that, if anything.
    """
    whole, last = 0, b""
    try:
        with _opened(path) as container:
            found = _metadata(container) if fingerprint else {}
            if fingerprint and not (
                isinstance(found, dict) and found.get("fingerprint") == fingerprint
            ):
                return False
            for packet in container.demux(video=0):
                if packet.size and not packet.is_corrupt:
                    last = bytes(packet)
                    whole += _is_whole(last)
    except ValueError:
        return False
    if last.startswith(GIF_COMMENT):
        whole -= _is_whole(last)
    return whole == frames and _ends_as_told(Path(path))


def _is_whole(packet):
    """Whether a packet was written to its end: no encoder ends a frame with this many zeros."""
    return not packet.endswith(bytes(16))


def _ends_as_told(path):
    """Whether a file goes on to the end of its last part: Matroska's index, a GIF's trailer."""
    with path.open("rb") as file:
        head = file.read(100)
        length = file.seek(0, os.SEEK_END)
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
    if MATROSKA_SEGMENT in head:  # its size follows: a byte that says "in 7 bytes", and those
        start = head.index(MATROSKA_SEGMENT) + len(MATROSKA_SEGMENT) + 8
        return start + int.from_bytes(head[start - 7 : start]) == length and last != b"\0"
    return last == b";" or not head.startswith(b"GIF")


@contextlib.contextmanager
def _opened(path):
    try:
        # Else FFmpeg tries a decoder on the first frames, for what nobody asks here.
        with open_container(path, options={"codec_whitelist": "none"}) as container:
            if not container.streams.video:
                raise ValueError("it has no pictures")
            yield container
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{path}: is no video that can be read: {reason}.") from error


@contextlib.contextmanager
def _naming(path):
    """Make FFmpeg's and the system's errors name the video and say what to do."""
    try:
        with naming_write_errors(path):
            yield
    except av.error.FFmpegError as error:
        raise ValueError(f"{path}: the encoder refuses: {error.strerror}.") from error


def _checked_size(name, size):
    height, width = (int(side) for side in size)
    if height % 2 or width % 2:
        raise ValueError(f"a video's size must be even, not {width}x{height}.")
    shortest, longest = CODECS[name].sides
    if min(height, width) < shortest or max(height, width) > longest:
        raise ValueError(
            f"{name} takes sides of {shortest} to {longest} px, not {width}x{height}. "
            "Choose another --codec or --size."
        )
    return height, width


def _checked_codec(path, name, fps):
    if name not in CODECS:
        raise ValueError(f"there is no codec {name!r}. Choose among {', '.join(CODECS)}.")
    suffixes = CODECS[name].suffixes
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{path}: {name} is written as {' or '.join(suffixes)}.")
    if name == "gif" and fps > GIF_MAX_FPS:
        raise ValueError(f"a GIF shows at most {GIF_MAX_FPS} frames a second, not {float(fps):g}.")
    return CODECS[name]


def _checked_quality(name, quality):
    codec = CODECS[name]
    if quality is None:
        return codec.quality
    low, high = sorted((codec.best, codec.worst))
    if not low <= quality <= high or quality != int(quality):
        raise ValueError(
            f"the quality of {name} is a whole number from {codec.best} (best) to {codec.worst}, "
            f"not {quality}."
        )
    return int(quality)
