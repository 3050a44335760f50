"""How films are encoded: one table, without anything heavy, for the parser and for the writer."""

from typing import NamedTuple


class Codec(NamedTuple):
    """How one `--codec` is written."""

    encoder: str  # FFmpeg's name
    suffixes: tuple[str, ...]  # containers that it may be written to, the usual one first
    pixel_format: str
    setting: str  # the encoder's option that `quality` sets
    quality: int  # its default
    best: int  # the ends of its range
    worst: int
    sides: tuple[int, int]  # shortest and longest side that the encoder takes, px
    options: dict[str, str]


# Milliseconds of CPU and size a frame, for a camera moving over a photograph at 1024x768:
# h264 10 ms, 15 kB; h265 47, 6; vp9 23, 10; av1 15, 4; prores 25, 470; gif 20, 400. x264's "medium"
# costs 43 ms for files a third smaller at equal PSNR; encoding would then outlast rendering.
CODECS = {
    "h264": Codec(
        # With its macroblock tree, x264's vector code reads memory that it never wrote: the same
        # frames then give different bytes. Without, equal PSNR takes 10 % more of them.
        # The rest is from benchmarks/encoders.py: five B-frames between two others suit a camera
        # that moves evenly. At the SSIM of "veryfast" at CRF 17, this takes 0.95 of its bytes and
        # 0.7 of its CPU time; with subme=1, 1.13 and 0.61. A shot has no cuts, and to look for them
        # took an eighth of what is left; where one begins is told (`VideoWriter.write`).
        "libx264",
        (".mp4", ".mov", ".mkv"),
        "yuv420p",
        "crf",
        16,
        0,
        51,
        (2, 16384),
        {
            "preset": "superfast",
            "mbtree": "0",
            "bf": "5",
            "thread_type": "frame",
            "x264-params": "subme=2:b-adapt=0:scenecut=0",
        },
    ),
    "h265": Codec(
        "libx265",
        (".mp4", ".mov", ".mkv"),
        "yuv420p",
        "crf",
        20,
        0,
        51,
        (16, 8192),
        # Likewise; below 50 px of width it even writes where nothing is its own, and may crash.
        {
            "preset": "veryfast",
            "forced-idr": "1",  # where a shot begins, or no player could begin there
            "x265-params": "log-level=none:cutree=0",
        },
    ),
    "vp9": Codec(
        "libvpx-vp9",
        (".webm", ".mkv"),
        "yuv420p",
        "crf",
        24,
        0,
        63,
        (2, 16384),
        {"b": "0", "deadline": "realtime", "cpu-used": "7", "row-mt": "1"},
    ),
    "av1": Codec(
        # SVT-AV1 never returns from a flat strip: 16x128, say. (None is flatter than 32.)
        "libsvtav1",
        (".mp4", ".webm", ".mkv"),
        "yuv420p",
        "crf",
        24,
        1,
        63,
        (32, 8704),
        {"preset": "10"},
    ),
    "prores": Codec("prores_aw", (".mov",), "yuv422p10le", "profile", 3, 3, 0, (2, 16384), {}),
    "gif": Codec("gif", (".gif",), "pal8", "colours", 256, 256, 2, (2, 65534), {}),
}


def _by_suffix() -> dict[str, tuple[str, ...]]:
    """Codecs by file name: those whose usual container it is come first."""
    suffixes = dict.fromkeys(suffix for codec in CODECS.values() for suffix in codec.suffixes)
    return {
        suffix: tuple(
            sorted(
                (name for name, codec in CODECS.items() if suffix in codec.suffixes),
                key=lambda name: CODECS[name].suffixes[0] != suffix,
            )
        )
        for suffix in suffixes
    }


# What a file name asks for: the codecs that its container takes, the default first.
CODECS_BY_SUFFIX = _by_suffix()
