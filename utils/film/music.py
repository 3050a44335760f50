"""The sound of a film: a piece of music, repeated while the film lasts and faded out at its end."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler

from utils.film.containers import open_container

RATE = 48000  # samples a second; Opus knows no higher one, AAC takes it
FADE_S = 2
BITS_A_SECOND = 192_000
# What each container is expected to hold: every player of MP4 knows AAC, WebM allows no other.
ENCODERS = {".mp4": "aac", ".mov": "aac", ".mkv": "libopus", ".webm": "libopus"}


def check_music(path: Path, suffix: str) -> None:
    """Refuse what cannot become the sound of a film, before any work.

    Args:
        path: the music.
        suffix: of the film.
    Raises:
        ValueError: no such file, nothing to hear in it, or no sound in such a film.
    """
    if suffix.lower() not in ENCODERS:
        raise ValueError(
            f"--music: a {suffix} file carries no sound.\n"
            f"  Name the film {', '.join(ENCODERS)}, or leave --music out."
        )
    if not path.is_file():
        raise ValueError(f"--music {path}: there is no such file.")
    try:
        heard = next(_decoded(path), None)
    except (av.error.FFmpegError, OSError) as error:
        raise ValueError(f"--music {path}: cannot be read: {error.strerror}.") from error
    if heard is None:
        raise ValueError(f"--music {path}: there is no sound in it.\n  Give a file with music.")


class Music:
    """A piece of music as an endless row of samples.

    Args:
        path: any file whose sound PyAV reads.
    """

    def __init__(self, path: str | Path) -> None:
        """Open nothing yet."""
        self.path = Path(path)
        self._parts = _repeated(self.path)
        self._rest = np.zeros((2, 0), np.float32)

    def take(self, count: int) -> np.ndarray:
        """Return the next `count` samples, (2, count) float32 in [-1, 1]: left and right.

        Raises:
            ValueError: there is no sound in the file.
        """
        parts, missing = [self._rest], count - self._rest.shape[1]
        while missing > 0:
            parts.append(next(self._parts))
            missing -= parts[-1].shape[1]
        joined = np.concatenate(parts, axis=1)
        self._rest = joined[:, count:]
        return joined[:, :count]

    def close(self) -> None:
        """Let go of the file."""
        self._parts.close()


class SoundTrack:
    """Encodes music beside the pictures of a film whose length is not known yet.

    The last FADE_S seconds before the newest picture wait, since they may be the film's last ones.

    Args:
        container: av.container.OutputContainer that nothing was written to yet.
        suffix: of the film.
        music: Music.
    """

    def __init__(self, container: Any, suffix: str, music: Music) -> None:
        """Add the stream."""
        self.container, self.music = container, music
        self.stream = container.add_stream(ENCODERS[suffix.lower()], rate=RATE, layout="stereo")
        self.stream.codec_context.bit_rate = BITS_A_SECOND
        self._samples = 0

    def follow(self, seconds: Fraction) -> None:
        """Encode what is heard whatever comes after this many `seconds` of pictures."""
        self._encode(int((seconds - FADE_S) * RATE) - self._samples, None)

    def finish(self, seconds: Fraction) -> None:
        """Encode the rest of a film of this length, fading out."""
        total = round(seconds * RATE)
        self._encode(total - self._samples, total)
        self.container.mux(self.stream.encode(None))
        self.music.close()

    def _encode(self, count: int, total: int | None) -> None:
        if count <= 0:
            return
        samples = self.music.take(count)
        if total is not None:
            samples = samples * fade_out(np.arange(self._samples, self._samples + count), total)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples, np.float32), format="fltp", layout="stereo"
        )
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._samples, Fraction(1, RATE)
        self._samples += count
        self.container.mux(self.stream.encode(frame))


def fade_out(at: np.ndarray, total: int) -> np.ndarray:
    """Return the loudness, float32 in [0, 1], of the samples numbered `at` of `total`."""
    length = min(FADE_S * RATE, total)
    return np.clip((total - at) / length, 0, 1).astype(np.float32)


def _repeated(path: Path) -> Generator[np.ndarray]:
    """Yield the samples of a file again and again."""
    while True:
        count = 0
        for part in _decoded(path):
            count += part.shape[1]
            yield part
        if not count:
            raise ValueError(f"--music {path}: there is no sound in it.")


def _decoded(path: Path) -> Generator[np.ndarray]:
    """Yield the samples of a file, once through, as (2, n) float32 at RATE."""
    # A playlist must not reach into the net.
    with open_container(path, options={"protocol_whitelist": "file"}) as container:
        resampler, kind, placed = None, None, True
        for packet in (
            container.demux(container.streams.audio[:1]) if container.streams.audio else ()
        ):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:  # as every player, go on after what is damaged
                continue
            for frame in frames:
                if kind != (frame.format.name, frame.layout.name, frame.sample_rate):
                    yield from _resampled(resampler, None)
                    kind = (frame.format.name, frame.layout.name, frame.sample_rate)
                    layout = "mono" if frame.layout.nb_channels == 1 else "stereo"
                    # Of whole numbers, more channels are mixed down so that none is clipped.
                    resampler = AudioResampler("s16p", layout, RATE)
                    placed = _is_placed(frame)
                frame.pts = None
                yield from _resampled(resampler, frame if placed else _mean(frame))
        yield from _resampled(resampler, None)


def _resampled(resampler: AudioResampler | None, frame: Any) -> Generator[np.ndarray]:
    for part in resampler.resample(frame) if resampler else ():
        if part is not None and part.samples:
            samples = part.to_ndarray().astype(np.float32) / 32768
            yield np.broadcast_to(samples, (2, part.samples))


def _is_placed(frame: Any) -> bool:
    """Whether FFmpeg knows where the channels of a file without a layout stand, by their number."""
    try:
        AudioResampler("s16p", "stereo", RATE).resample(frame)
    except av.error.ArgumentError:
        return False
    return True


def _mean(frame: Any) -> Any:
    """The mean of a frame's channels, to be heard on both sides."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    mixed = samples.mean(axis=0, keepdims=True).astype(samples.dtype)
    single = av.AudioFrame.from_ndarray(mixed, format=frame.format.name, layout="mono")
    single.sample_rate = frame.sample_rate
    return single
