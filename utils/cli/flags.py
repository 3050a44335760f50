"""The command line of kbe.py: every flag, declared once, and the Settings that come out.

Nothing heavy is imported here, so that --help answers at once.
"""

import argparse
import math
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from models.registry import BY_RULE, RULES
from utils import __version__
from utils.camera.moves import MOVES
from utils.cli.declare import (
    LOOK,
    RESULT,
    Group,
    Parser,
    add_flags,
    checked,
    flags_of,
    home_path,
)
from utils.export.table import EXPORTERS, find_exporter
from utils.film.codecs import CODECS
from utils.film.layouts import LAYOUTS

DESCRIPTION = """\
Turn photographs into 3D Ken Burns films, or dolly zooms.

The depth of the photo is estimated and refined, its pixels become a point cloud, a virtual camera
travels between two crop windows, what the motion uncovers is inpainted, and a video comes out.

examples:
  python kbe.py --in photo.jpg --out results            the default move, into results/3d_kbe.mp4
  python kbe.py --in photo.jpg --out zoom.mp4 --dolly   a dolly zoom, into that file
  python kbe.py --in album/ --out films --json          every photo of a folder, one line each
  python kbe.py --in photo.jpg --out results --endU 700 --endV 300 --endW 400
  python kbe.py --in photo.jpg --out results --depth depth.png --size 1080x1920
  python kbe.py --in album/ --slideshow film.mp4 --music song.mp3    one film of all photos

exit status: 0 all done, 1 a photo failed, 2 wrong usage, 130 Ctrl-C, 143 terminated
"""
NO_DEPTH = "none"  # as --depth: not even the photo's own
FRAMED = {name for name, move in MOVES.items() if move.framed}  # moves that take windows
WINDOW_FLAGS = tuple(end + letter for end in ("start", "end") for letter in "UVWH")

FILES = Group("input and output")
CAMERA = Group(
    "camera path",
    "The camera plans a shot of its own, or makes the move that is named. With window flags it "
    "goes\nfrom one crop window of the photo to another, in its pixels; what is not given of them "
    "takes\nthe default.",
)
DEPTH = Group("depth and networks")
VIDEO = Group("video")
RUNNING = Group("running")


# -- how single words are read --------------------------------------------------------------------


def read_fps(text: str) -> Fraction:
    """Parse frames per second: a number, or a fraction such as 30000/1001."""
    return checked(
        lambda word: Fraction(word).limit_denominator(1001),
        "must be a number or a fraction in 1..240",
        lambda fps: 1 <= fps <= 240,
    )(text)


def read_size(text: str) -> tuple[int, int]:
    """Parse WxH into (height, width)."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"must be WIDTHxHEIGHT, such as 1920x1080, got {text}.")
    size = int(height), int(width)
    if min(size) < 16 or max(size) > 8192:
        raise argparse.ArgumentTypeError(f"must lie in 16..8192 each way, got {text}.")
    if any(side % 2 for side in size):
        raise argparse.ArgumentTypeError(
            f"must be even for a video, got {text}.\n  Use {size[1] // 2 * 2}x{size[0] // 2 * 2}."
        )
    return size


def read_point(text: str) -> tuple[float, float]:
    """Parse U,V, a point of the photo."""
    numbers = text.split(",")
    try:
        u, v = map(float, numbers)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be U,V, such as 640,360, got {text}.") from None
    if not (math.isfinite(u) and math.isfinite(v)):
        raise argparse.ArgumentTypeError(f"must be two finite numbers, got {text}.")
    return u, v


def read_export_name(text: str) -> Path:
    """Parse the name of a file to export to."""
    try:
        find_exporter(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return home_path(text)


finite = checked(float, "must be a finite number", math.isfinite)
positive = checked(float, "must be positive and finite", lambda x: 0 < x < math.inf)
percent = checked(float, "must lie between 0 and 100", lambda x: 0 < x < 100)


# -- the flags ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that the command line says, checked and resolved."""

    inputs: tuple[str, ...] = FILES.flag(
        "photos, folders, globs; or - for one path per line on stdin; or a list (.csv, .tsv or "
        ".jsonl) that says for each photo how it is filmed",
        "--in",
        required=True,
        nargs="+",
        metavar="PHOTO",
    )
    recursive: bool = FILES.flag("take the photos in a folder's sub-folders too", default=False)
    out: Path | None = FILES.flag(
        "folder for the results, made if missing; several photos get a folder each in it. For one "
        "photo also a video file's name",
        metavar="DIR",
    )
    slideshow: Path | None = FILES.flag(
        "in place of --out: one film of all photos, in order, each one way for --duration "
        "(default: 4 s)",
        metavar="FILM",
    )
    crossfade: float = FILES.flag(
        "how long each photo of a slideshow fades into the next, 0 = cuts (default: %(default)s)",
        default=1.0,
        type=checked(float, "must be 0 or more", lambda x: 0 <= x < math.inf),
        metavar="S",
    )
    music: Path | None = FILES.flag(
        "music for a slideshow: repeated if it is too short, cut and faded out at the end",
        metavar="FILE",
    )
    write_frames: bool = FILES.flag(
        "also write the frames of one way as PNG",
        default=False,
        effect=RESULT,
        aliases=("--wrtie-frames",),
    )  # as some old instructions spell it
    write_depth: bool = FILES.flag(
        "also write the depth of those frames as the camera sees it, into the folder depth: "
        "OpenEXR, one scale for all of the film",
        default=False,
        effect=RESULT,
    )
    save_disparity: bool = FILES.flag(
        "also write disparity.npy and disparity.png, larger = nearer", default=False, effect=RESULT
    )
    preview: bool = FILES.flag(
        "also write preview.png: windows, disparity, frames, what was invented",
        default=False,
        effect=RESULT,
    )
    export: tuple[Path, ...] = FILES.flag(
        "also write the inpainted scene for other programs, beside the film: "
        + "; ".join(f"{suffix} {line.what}" for suffix, line in EXPORTERS.items()),
        default=(),
        effect=RESULT,
        nargs="+",
        action="extend",
        type=read_export_name,
        metavar="NAME",
    )
    matte: bool = FILES.flag(
        "also write a film, and with --write-frames PNGs, that is white where the picture is "
        "invented",
        default=False,
        effect=RESULT,
    )
    skip_existing: bool = FILES.flag(
        "skip a photo whose film is there, made of the same photo with the same settings and "
        "weights",
        default=False,
    )
    json: bool = FILES.flag("print one JSON object per photo", default=False)

    move: str = CAMERA.flag(
        "auto finds the subject and plans the shot; windows goes between the windows, as any "
        "window flag does; orbit, "
        "circle and swing repeat without a seam; several, as in left,orbit, make a film each, "
        "3d_kbe_left.mp4 and so on, of a scene that is made once (default: %(default)s)",
        default="auto",
        effect=LOOK,
        choices=("auto", *MOVES),
        joined=True,
    )
    strength: float = CAMERA.flag(
        "how far the camera goes, but for windows, 0.5..2 (default: %(default)s)",
        default=1.0,
        effect=LOOK,
        type=checked(float, "must lie in 0.5..2", lambda x: 0.5 <= x <= 2),
        metavar="X",
    )
    focus: tuple[float, float] | None = CAMERA.flag(  # (u, v) px of the photo
        "point of the photo that the film is about, at whose depth windows are measured (default: "
        "found by depth and colour; with windows the centre of the end window)",
        effect=RESULT,
        type=read_point,
        metavar="U,V",
    )
    startU: float | None = CAMERA.flag(
        "centre of the start window, from the left", "--startU", type=finite, metavar="PX"
    )
    startV: float | None = CAMERA.flag(
        "its centre, from the top", "--startV", type=finite, metavar="PX"
    )
    startW: float | None = CAMERA.flag("its width", "--startW", type=finite, metavar="PX")
    startH: float | None = CAMERA.flag("its height", "--startH", type=finite, metavar="PX")
    endU: float | None = CAMERA.flag(
        "centre of the end window, from the left", "--endU", type=finite, metavar="PX"
    )
    endV: float | None = CAMERA.flag(
        "its centre, from the top", "--endV", type=finite, metavar="PX"
    )
    endW: float | None = CAMERA.flag("its width", "--endW", type=finite, metavar="PX")
    endH: float | None = CAMERA.flag("its height", "--endH", type=finite, metavar="PX")
    dolly: bool = CAMERA.flag(
        "dolly zoom, as --move dolly: the focus keeps its size", default=False, effect=LOOK
    )
    flat: bool = CAMERA.flag(
        "flat pan and zoom, without parallax", "--2d", default=False, effect=LOOK
    )
    autozoom: bool = CAMERA.flag(
        "search the end window that uncovers the least", default=False, effect=LOOK
    )
    max_holes: float | None = CAMERA.flag(
        "move the camera less, until at most this much of any frame is invented",
        effect=LOOK,
        type=percent,
        metavar="PERCENT",
    )
    like: Path | None = CAMERA.flag(
        "move, shape and encode like that film of kbe.py; flags given here win", metavar="FILM"
    )
    easing: str = CAMERA.flag(
        "speed along the path (default: %(default)s)",
        default="linear",
        effect=LOOK,
        choices=("linear", "smooth"),
    )
    focal_px: float | None = CAMERA.flag(
        "focal length of the photo in its pixels (default: what the file says, else half its long "
        "side)",
        "--focal",
        effect=RESULT,
        type=positive,
        metavar="PX",
    )

    depth: Path | None = DEPTH.flag(
        "depth map to use instead of estimating: npy, npz, png, tiff, pfm, exr, hdf5; for several "
        "photos a folder of maps with the same stems; none leaves the photo's own unused",
        metavar="FILE",
    )
    depth_kind: str | None = DEPTH.flag(
        "what that map holds; depth is metric, from the camera, or relative, from the nearest "
        "point (default: guessed, and said)",
        effect=RESULT,
        choices=("disparity", "depth", "metric-depth", "relative-depth"),
    )
    depth_layer: str | None = DEPTH.flag(
        "which array or channel of that map, where its file holds several (default: the one that "
        "is named for depth)",
        effect=RESULT,
        metavar="NAME",
    )
    estim_path: str | None = DEPTH.flag(
        "weights for depth estimation, or NAME for models/trained/disparity-NAME.tar, or "
        "hf:org/name, or a folder in that format (default: models/trained/, else "
        "models/bundled/)",
        metavar="FILE",
    )
    refine_path: str | None = DEPTH.flag(
        "weights for depth refinement (default: likewise)", metavar="FILE"
    )
    inpaint_path: str | None = DEPTH.flag(
        f"weights for inpainting, or by name what needs none: {', '.join(RULES)} (default: "
        f"likewise, else {BY_RULE})",
        metavar="FILE",
    )
    inpaint_depth: str | None = DEPTH.flag(
        "second inpainting network, for the disparity only", metavar="FILE"
    )
    pretrained_estim: bool = DEPTH.flag(
        "estimate with the paper's weights, models/trained/network-disparity.pytorch", default=False
    )
    pretrained_refine: bool = DEPTH.flag(
        "refine with the paper's weights, models/trained/network-refinement.pytorch", default=False
    )
    cache: Path | None = DEPTH.flag(
        "keep estimated depth in this folder, made if missing, and take it from there in later "
        "runs: the same film without the networks (default: nothing is kept)",
        metavar="FOLDER",
    )
    trust_checkpoint: bool = DEPTH.flag(
        "load checkpoints that need unpickling, which can run their code", default=False
    )

    duration: float | None = VIDEO.flag(
        "length of the film, or of each photo in a slideshow (default: 75 frames one way, 148 "
        "there and back or round)",
        effect=LOOK,
        type=positive,
        metavar="S",
    )
    fps: Fraction = VIDEO.flag(
        "frames per second, also 30000/1001 (default: %(default)s)",
        default=Fraction(25),
        effect=LOOK,
        type=read_fps,
        metavar="N",
    )
    loop: str = VIDEO.flag(
        "there and back again, or one way (default: %(default)s)",
        default="boomerang",
        effect=LOOK,
        choices=("boomerang", "none"),
    )
    size: tuple[int, int] | None = VIDEO.flag(  # (height, width)
        "size of the film, even numbers (default: that of the photo as worked on); windows follow "
        "its shape",
        effect=LOOK,
        type=read_size,
        metavar="WxH",
    )
    max_size: int = VIDEO.flag(
        "long side at which the photo is worked on, 0 = its own (default: %(default)s)",
        default=1920,
        effect=LOOK,
        metavar="PX",
        type=checked(int, "must be 0 or at least 16", lambda px: px == 0 or px >= 16),
    )
    stereo: str | None = VIDEO.flag(
        "for two eyes: side by side or top and bottom, into 3d_kbe_sbs.mp4 and the like, each in "
        "full size or half; depth to the right of the picture; or for red-cyan glasses",
        effect=LOOK,
        choices=tuple(LAYOUTS),
    )
    codec: str = VIDEO.flag(
        "how the film is encoded (default: by the name of the video file, else h264)",
        effect=LOOK,
        choices=tuple(CODECS),
    )
    quality: int | None = VIDEO.flag(
        "constant quality on the encoder's own scale (default: high)", effect=LOOK, metavar="N"
    )

    device: str = RUNNING.flag(
        "where to compute (default: %(default)s)",
        default="auto",
        choices=("auto", "cpu", "cuda", "mps"),
    )
    ray: str | None = RUNNING.flag(
        "spread the photos over a Ray cluster: at an address, the one this machine belongs to if "
        "none is given, or local",
        nargs="?",
        const="auto",
        metavar="ADDRESS",
    )
    ray_cpus: int | None = RUNNING.flag(
        "cores of each of its workers (default: 4, or all of a smaller machine)",
        metavar="N",
        type=checked(int, "must be at least 1", lambda count: count >= 1),
    )
    ray_gpus: float | None = RUNNING.flag(
        "GPUs of each of its workers, such as 0.5 (default: 1 where there are any)",
        metavar="SHARE",
        type=checked(float, "must be 0 or more", lambda x: 0 <= x < math.inf),
    )
    dry_run: bool = RUNNING.flag(
        "print the resolved windows, sizes and weights, render nothing", default=False
    )
    verbose: bool = RUNNING.flag("log more; tracebacks of failures", default=False)
    quiet: bool = RUNNING.flag("log errors only", default=False)

    # Windows and focal length that --like takes over, relative to the photo: utils/cli/presets.py.
    shares: dict[str, float] = field(default_factory=dict)
    own_depth: bool = True  # False: --depth none

    @property
    def uses_own_depth(self) -> bool:
        """Whether a depth map or second eye in a photo's file is used: nothing else is named."""
        return self.own_depth and not (self.depth or self.estim_path or self.flat)

    @property
    def planned(self) -> bool:
        """Whether the camera plans its own shot: nothing else says how it moves."""
        return self.move == "auto"

    @property
    def moves(self) -> tuple[str, ...]:
        """The moves of --move, each of which is a film; the settings of a film have one."""
        return tuple(self.move.split(","))

    @property
    def windows(self) -> dict[str, float]:
        """The window numbers that were given, {"startU": px of the photo, ...}."""
        return {
            name: getattr(self, name) for name in WINDOW_FLAGS if getattr(self, name) is not None
        }

    def words(self, *names: str, depth: bool = False, video: bool = False) -> list[str]:
        """Return what a command line says of some flags, as far as they are not the default.

        Args:
            names: fields of theirs.
            depth, video: also all flags of that group, but for the codec, which the film's name
                tells.
        """
        groups = [DEPTH] * depth + [VIDEO] * video
        words: list[str] = []
        for name, flag in FLAGS.items():
            value = getattr(self, name)
            asked = name in names or flag.group in groups and name != "codec"
            if asked and value != flag.default:
                words += [flag.name] if flag.switch else [flag.name, _as_word(value)]
        return words

    def looks(self) -> dict[str, Any]:
        """Return the settings that change what comes out, ready for JSON."""
        plain = {name: getattr(self, name) for name, flag in FLAGS.items() if flag.effect}
        plain |= {
            "fps": str(self.fps),
            "export": [str(name) for name in self.export],
            "size": self.size and list(self.size),
            "focus": self.focus and list(self.focus),
        }
        return plain | {"windows": self.windows, "shares": self.shares}


def _as_word(value: Any) -> str:
    """Write a flag's value as the command line has it."""
    if isinstance(value, tuple):  # (height, width)
        return "{1}x{0}".format(*value)
    return f"{value:.12g}" if isinstance(value, float) else str(value)


FLAGS = flags_of(Settings)

# Pairs that choose the same thing, and why; "move=orbit" is that flag with that value. Of two that
# disagree, --like's gives way.
CONFLICTS = (
    ("flat", "dolly", "a dolly zoom lives of depth"),
    ("flat", "depth", "a flat move uses no depth map"),
    ("flat", "autozoom", "a flat move uncovers nothing"),
    ("flat", "stereo", "two eyes see depth"),
    ("flat", "max_holes", "a flat move uncovers nothing"),
    ("flat", "write_depth", "a flat picture has no depth"),
    ("stereo", "write_depth", "each eye sees a depth of its own, and rgbd has it in the film"),
    *(
        ("flat", name, "a flat move needs no network")
        for name in (
            "estim_path",
            "refine_path",
            "inpaint_path",
            "inpaint_depth",
            "pretrained_estim",
            "pretrained_refine",
        )
    ),
    ("flat", "cache", "a flat move estimates no depth"),
    ("depth", "cache", "a depth map is not estimated"),
    ("dolly", "autozoom", "each chooses the end window"),
    ("flat", "move=auto", "a shot is planned by depth"),
    *(("flat", f"move={name}", "it lives of depth") for name in MOVES if not MOVES[name].flat),
    *(
        ("dolly", f"move={name}", "each chooses the move")
        for name in ("auto", *MOVES)
        if name != "dolly"
    ),
    *(
        ("autozoom", f"move={name}", "each chooses the windows")
        for name in ("auto", *MOVES)
        if name not in FRAMED
    ),
    ("autozoom", "move=dolly", "each chooses the end window"),
    *(
        (window, f"move={name}", "that move chooses its windows")
        for name in ("auto", *MOVES)
        if name == "auto" or not MOVES[name].framed
        for window in WINDOW_FLAGS
    ),
    ("strength", "move=windows", "the windows say how far to go"),
    ("strength", "autozoom", "the windows say how far to go"),
    *(("strength", name, "the windows say how far to go") for name in WINDOW_FLAGS),
    *(("autozoom", name, "each chooses the end window") for name in WINDOW_FLAGS[4:]),
    *(
        ("depth", name, "the depth comes from one")
        for name in ("estim_path", "refine_path", "pretrained_estim", "pretrained_refine")
    ),
    ("pretrained_estim", "estim_path", "each names the network"),
    ("pretrained_refine", "refine_path", "each names the network"),
    ("slideshow", "out", "each says where the film goes"),
    ("slideshow", "loop", "every photo of a slideshow is filmed one way"),
    ("slideshow", "ray", "its photos go into one film, one after the other"),
    *(
        ("slideshow", name, "it makes the film alone")
        for name in (
            "write_frames",
            "write_depth",
            "save_disparity",
            "preview",
            "export",
            "matte",
        )
    ),
    ("verbose", "quiet", "one says more, the other less"),
)
# Flags that mean nothing without another one.
NEEDS = (
    ("depth_kind", "depth"),
    ("depth_layer", "depth"),
    ("ray_cpus", "ray"),
    ("ray_gpus", "ray"),
    ("crossfade", "slideshow"),
    ("music", "slideshow"),
)


def build_parser() -> Parser:
    """Return the argument parser; what is not given stays out of its namespace."""
    parser = Parser(
        prog="kbe.py",
        usage="kbe.py --in PHOTO --out DIR [options]",
        allow_abbrev=False,
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    add_flags(parser, Settings)
    return parser


def check_together(values: dict[str, Any]) -> None:
    """Raise ValueError if two of the settings contradict each other."""
    for one, other, why in CONFLICTS:
        if is_on(values, one) and is_on(values, other):
            raise ValueError(
                f"contradictory flags: {_spelled(one)} and {_spelled(other)}: "
                f"{why}. Give one of them."
            )


def is_on(values: dict[str, Any], name: str) -> bool:
    """Whether a flag is given; of "name=value", whether it has that value, or that among others."""
    name, _, value = name.partition("=")
    if value:
        return value in (values.get(name) or "").split(",")
    given = values.get(name)
    return given is not None and given is not False and given != ()  # 0 is a number


def _spelled(name: str) -> str:
    """A flag as it is typed; of "name=value", with the value."""
    name, _, value = name.partition("=")
    return f"{FLAGS[name].name} {value}".strip()
