"""What a finished film holds, decoded from its start to its end."""

from fractions import Fraction
from typing import NamedTuple

import av
from av.video.reformatter import Interpolation


class Facts(NamedTuple):
    """What a player would show."""

    frames: int
    size: tuple[int, int]  # (height, width), px
    fps: Fraction
    codec: str  # as --codec calls it
    duration_s: float


def probe(path):
    """Decode a film and return its Facts."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = sum(1 for _ in container.decode(stream))
        name = stream.codec_context.codec.canonical_name
        ticks = container.duration
        duration_s = ticks / av.time_base if ticks else float(frames / stream.average_rate)
        size = (stream.height, stream.width)
        codec = {"hevc": "h265"}.get(name, name)
        return Facts(frames, size, stream.average_rate, codec, duration_s)


def read_frame(path, index=0):
    """Decode one frame, by the matrix and the range of its tags: (H, W, 3) uint8 RGB."""
    with av.open(str(path)) as container:
        frame = next(f for i, f in enumerate(container.decode(video=0)) if i == index)
        return frame.to_ndarray(
            format="rgb24",
            src_colorspace=frame.colorspace,
            src_color_range=frame.color_range,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
        )
