"""The command line of kbe.py: flags, their checks, and the Settings that come out.

Nothing heavy is imported here, so that --help answers at once.
"""

import argparse
import math
import sys
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

from models import TRAINED

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

exit status: 0 all done, 1 a photo failed, 2 wrong usage, 130 Ctrl-C, 143 terminated
"""
DEFAULT_MAX_SIZE = 1920
CODECS = ("h264", "h265", "vp9", "av1", "prores", "gif")
# What a file name asks for: the codecs that its container takes, the default first.
CODECS_BY_SUFFIX = {
    ".mp4": ("h264", "h265", "av1"), ".mov": ("prores", "h264", "h265"),
    ".webm": ("vp9", "av1"), ".mkv": ("h264", "h265", "vp9", "av1"), ".gif": ("gif",),
}
# Settings that change what comes out; the others only say where and how to run.
LOOKS = ("windows", "dolly", "flat", "autozoom", "depth_kind", "duration", "fps", "loop", "easing",
         "size", "max_size", "codec", "quality", "focal_px", "write_frames", "save_disparity",
         "preview", "stereo", "export", "matte",
         "max_holes", "shares")


class UsageError(ValueError):
    """Flags that contradict each other or do not fit the photo: exit status 2."""


@dataclass(frozen=True)
class Settings:
    """Everything that the command line says, checked and resolved."""

    inputs: tuple[str, ...]
    out: Path
    windows: dict[str, float]  # "startU" ... "endH", px of the photo; only what was given
    shares: dict[str, float]  # the same from --like, relative to the photo, see utils.cli.presets
    estim_path: str | None
    refine_path: str | None
    inpaint_path: str | None
    inpaint_depth: str | None
    trust_checkpoint: bool
    depth: str | None
    depth_kind: str | None
    save_disparity: bool
    dolly: bool
    flat: bool
    autozoom: bool
    duration: float | None  # s of the whole film
    fps: Fraction
    loop: str
    easing: str
    size: tuple[int, int] | None  # (height, width) px of the film
    max_size: int  # px of the long side at which the photo is worked on; 0 = its own
    codec: str
    quality: int | None
    focal_px: float | None  # px of the photo
    max_holes: float | None  # %, of any frame
    stereo: str | None  # "sbs", "anaglyph"
    write_frames: bool
    preview: bool
    export: Path | None  # PLY; relative to the folder of the results
    matte: bool
    skip_existing: bool
    json: bool
    ray: str | None  # address of a Ray cluster
    ray_cpus: int | None  # per worker
    ray_gpus: float | None
    dry_run: bool
    device: str

    def looks(self):
        """Return the settings that change the result, ready for JSON."""
        values = {name: value for name, value in asdict(self).items() if name in LOOKS}
        return values | {"fps": str(self.fps), "export": self.export and str(self.export)}


# -- command line ---------------------------------------------------------------------------------

def build_parser():
    """Return the argument parser; defaults are printed by it and stand nowhere else."""
    parser = argparse.ArgumentParser(
        prog="kbe.py", usage="kbe.py --in PHOTO --out DIR [options]", allow_abbrev=False,
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    _add_files(parser.add_argument_group("input and output"))
    _add_camera(parser.add_argument_group(
        "camera path", "The camera goes from one crop window of the photo to another, in its "
        "pixels.\nWhat is not given takes the default."))
    _add_depth(parser.add_argument_group("depth and networks"))
    _add_video(parser.add_argument_group("video"))
    _add_running(parser.add_argument_group("running"))
    return parser


def _add_files(group):
    group.add_argument("--in", dest="inputs", nargs="+", required=True, metavar="PHOTO",
                       help="photos, folders, globs; or - for one path per line on stdin")
    group.add_argument("--out", required=True, type=Path, metavar="DIR",
                       help="folder for the results, made if missing; several photos get a folder "
                            "each in it. For one photo also a video file's name")
    group.add_argument("--write-frames", action="store_true",
                       help="also write the frames of one way as PNG")
    group.add_argument("--wrtie-frames", dest="write_frames", action="store_true",
                       help=argparse.SUPPRESS)  # as some old instructions spell it
    group.add_argument("--save-disparity", action="store_true",
                       help="also write disparity.npy and disparity.png, larger = nearer")
    group.add_argument("--preview", action="store_true",
                       help="also write preview.png: windows, disparity, frames, what was invented")
    group.add_argument("--export", type=Path, metavar="FILE.ply",
                       help="also write the inpainted scene as coloured points, beside the film")
    group.add_argument("--matte", action="store_true",
                       help="also write a film, and with --write-frames PNGs, that is white where "
                            "the picture is invented")
    group.add_argument("--skip-existing", action="store_true",
                       help="skip a photo whose film is there, made of the same photo with the "
                            "same settings and weights")
    group.add_argument("--json", action="store_true", help="print one JSON object per photo")


def _add_camera(group):
    for end in ("start", "end"):
        for letter, what in (("U", f"centre of the {end} window, from the left"),
                             ("V", "its centre, from the top"), ("W", "its width"),
                             ("H", "its height")):
            group.add_argument(f"--{end}{letter}", type=float, metavar="PX", help=what)
    group.add_argument("--dolly", action="store_true",
                       help="dolly zoom: the focal length undoes the motion")
    group.add_argument("--2d", dest="flat", action="store_true",
                       help="flat pan and zoom, without parallax")
    group.add_argument("--autozoom", action="store_true",
                       help="search the end window that uncovers the least")
    group.add_argument("--max-holes", type=float, metavar="PERCENT",
                       help="shorten the path until at most this much of any frame is invented")
    group.add_argument("--like", metavar="FILM",
                       help="move, shape and encode like that film of kbe.py; flags given here win")
    group.add_argument("--easing", choices=("linear", "smooth"), default="linear",
                       help="speed along the path (default: %(default)s)")
    group.add_argument("--focal", dest="focal_px", type=float, metavar="PX",
                       help="focal length of the photo in its pixels (default: half its long side)")


def _add_depth(group):
    group.add_argument("--depth", metavar="FILE",
                       help="depth map to use instead of estimating: npy, npz, png, tiff, pfm, "
                            "exr, hdf5; for several photos a folder of maps with the same stems")
    group.add_argument("--depth-kind", choices=("disparity", "depth"),
                       help="what that map holds (default: guessed, and said)")
    group.add_argument("--estim-path", metavar="FILE",
                       help="weights for depth estimation, or hf:org/name, or a folder in that "
                            "format (default: models/trained/, else models/bundled/)")
    group.add_argument("--refine-path", metavar="FILE",
                       help="weights for depth refinement (default: likewise)")
    group.add_argument("--inpaint-path", metavar="FILE",
                       help="weights for inpainting (default: likewise, else by rule)")
    group.add_argument("--inpaint-depth", metavar="FILE",
                       help="second inpainting network, for the disparity only")
    group.add_argument("--pretrained-estim", action="store_true",
                       help="estimate with the paper's weights, models/trained/"
                            "network-disparity.pytorch")
    group.add_argument("--pretrained-refine", action="store_true",
                       help="refine with the paper's weights, models/trained/"
                            "network-refinement.pytorch")
    group.add_argument("--trust-checkpoint", action="store_true",
                       help="load checkpoints that need unpickling, which can run their code")


def _add_video(group):
    group.add_argument("--duration", type=float, metavar="S",
                       help="length of the film (default: 75 frames one way, 148 with boomerang)")
    group.add_argument("--fps", default="25", metavar="N",
                       help="frames per second, also 30000/1001 (default: %(default)s)")
    group.add_argument("--loop", choices=("boomerang", "none"), default="boomerang",
                       help="there and back again, or one way (default: %(default)s)")
    group.add_argument("--size", metavar="WxH",
                       help="size of the film, even numbers (default: that of the photo as worked "
                            "on); windows follow its shape")
    group.add_argument("--max-size", type=int, default=DEFAULT_MAX_SIZE, metavar="PX",
                       help="long side at which the photo is worked on, 0 = its own "
                            "(default: %(default)s)")
    group.add_argument("--stereo", choices=("sbs", "anaglyph"),
                       help="for two eyes: side by side, each in full width, into 3d_kbe_sbs.mp4; "
                            "or for red-cyan glasses")
    group.add_argument("--codec", choices=CODECS,
                       help="default: by the name of the video file, else h264")
    group.add_argument("--quality", type=int, metavar="N",
                       help="constant quality on the encoder's own scale (default: high)")


def _add_running(group):
    group.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto",
                       help="default: %(default)s")
    group.add_argument("--ray", nargs="?", const="auto", metavar="ADDRESS",
                       help="spread the photos over a Ray cluster: at an address, the one this "
                            "machine belongs to if none is given, or local")
    group.add_argument("--ray-cpus", type=int, metavar="N",
                       help="cores of each of its workers (default: 4, or all of a smaller "
                            "machine)")
    group.add_argument("--ray-gpus", type=float, metavar="SHARE",
                       help="GPUs of each of its workers, such as 0.5 (default: 1 where there are "
                            "any)")
    group.add_argument("--dry-run", action="store_true",
                       help="print the resolved windows, sizes and weights, render nothing")
    group.add_argument("--verbose", action="store_true", help="log more; tracebacks of failures")
    group.add_argument("--quiet", action="store_true", help="log errors only")


def parse_settings(parser, argv):
    """Return Settings, and "verbose", "quiet" or ""; contradictions end with status 2."""
    argv = sys.argv[1:] if argv is None else argv
    args = parser.parse_args(argv)
    words, shares = [], {}
    try:
        if args.like:
            from utils.cli.presets import like

            words, shares = like(args.like, argv)
        settings = replace(resolve([*words, *argv]), shares=shares)
    except ValueError as error:
        parser.error(str(error))
    return settings, "verbose" if args.verbose else "quiet" if args.quiet else ""


def given_flags(argv):
    """Return the names (of Settings, mostly) that these words set, whatever the defaults are."""
    parser, unset = build_parser(), object()
    args = argparse.Namespace(**dict.fromkeys(vars(parser.parse_args(argv)), unset))
    return {name for name, value in vars(parser.parse_args(argv, args)).items()
            if value is not unset}


def resolve(argv):
    """Turn the words of a command line into Settings.

    Raises:
        ValueError: unknown flags, flags that contradict each other, a value out of range.
    """
    def fail(message):
        raise ValueError(message)

    parser = build_parser()
    parser.error = fail
    args = parser.parse_args(argv)
    windows = {name: getattr(args, name) for name in _window_flags()
               if getattr(args, name) is not None}
    _check_conflicts(args, windows)
    if not all(math.isfinite(value) for value in windows.values()):
        raise ValueError("window numbers must be finite.")
    for name, value in windows.items():
        if name[-1] in "WH" and value < 1:
            raise ValueError(f"the {name[:-1]} window is empty: --{name} is {value:g}.\n"
                             "  Give at least 1.")
    if args.max_size != 0 and args.max_size < 16:
        raise ValueError(f"--max-size must be 0 or at least 16, got {args.max_size}.")
    if args.duration is not None and not 0 < args.duration < math.inf:
        raise ValueError(f"--duration must be positive, got {args.duration:g}.")
    if args.focal_px is not None and not 0 < args.focal_px < math.inf:
        raise ValueError(f"--focal must be positive, got {args.focal_px:g}.")
    if args.max_holes is not None and not 0 < args.max_holes < 100:
        raise ValueError(f"--max-holes must lie between 0 and 100, got {args.max_holes:g}.")
    if args.ray_cpus is not None and args.ray_cpus < 1:
        raise ValueError(f"--ray-cpus must be at least 1, got {args.ray_cpus}.")
    if args.ray_gpus is not None and not 0 <= args.ray_gpus < math.inf:
        raise ValueError(f"--ray-gpus must be 0 or more, got {args.ray_gpus:g}.")
    if args.export and args.export.suffix.lower() != ".ply":
        raise ValueError(f"--export {args.export}: points are written as .ply.")
    codec, fps = _codec(args.out, args.codec), _fps(args.fps)
    values = {name: getattr(args, name) for name in Settings.__dataclass_fields__
              if hasattr(args, name)}
    if args.pretrained_estim and args.estim_path is None:
        values["estim_path"] = str(TRAINED / "network-disparity.pytorch")
    if args.pretrained_refine and args.refine_path is None:
        values["refine_path"] = str(TRAINED / "network-refinement.pytorch")
    return Settings(**values | {"inputs": tuple(args.inputs), "windows": windows, "shares": {},
                                "codec": codec, "fps": fps, "size": _size(args.size)})


def _window_flags():
    return [end + letter for end in ("start", "end") for letter in "UVWH"]


def _check_conflicts(args, windows):
    """Refuse flags that cannot both be meant."""
    ends = [name for name in windows if name.startswith("end")]
    conflicts = (
        (args.flat and args.dolly, "--2d and --dolly: a dolly zoom lives of depth"),
        (args.flat and args.depth, "--2d and --depth: a flat move uses no depth map"),
        (args.flat and args.autozoom, "--2d and --autozoom: a flat move uncovers nothing"),
        (args.flat and args.stereo, "--2d and --stereo: two eyes see depth"),
        (args.flat and args.max_holes is not None, "--2d and --max-holes: a flat move uncovers "
                                                   "nothing"),
        (args.dolly and args.autozoom, "--dolly and --autozoom: each chooses the end window"),
        (args.autozoom and ends, f"--autozoom and --{ends[0] if ends else ''}: "
                                 "each chooses the end window"),
        (args.depth and args.estim_path, "--depth and --estim-path: the depth comes from one"),
        (args.depth_kind and not args.depth, "--depth-kind without --depth"),
        (args.ray_cpus is not None and not args.ray, "--ray-cpus without --ray"),
        (args.ray_gpus is not None and not args.ray, "--ray-gpus without --ray"),
        (args.verbose and args.quiet, "--verbose and --quiet"),
    )
    for conflict, message in conflicts:
        if conflict:
            raise ValueError(f"contradictory flags: {message}. Give one of them.")


def _codec(out, codec):
    """Choose the codec by the flag or by the suffix of --out; they must agree."""
    fitting = CODECS_BY_SUFFIX.get(out.suffix.lower())
    if fitting is None:
        return codec or "h264"
    if codec and codec not in fitting:
        raise ValueError(f"--codec {codec} does not go into a {out.suffix} file.\n"
                         f"  Choose {' or '.join(fitting)}, or another suffix.")
    return codec or fitting[0]


def _fps(text):
    try:
        fps = Fraction(text).limit_denominator(1001)
    except (ValueError, ZeroDivisionError):
        fps = Fraction(0)
    if not 1 <= fps <= 240:
        raise ValueError(f"--fps must be a number or a fraction in 1..240, got {text}.")
    return fps


def _size(text):
    """Parse WxH into (height, width)."""
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise ValueError(f"--size must be WIDTHxHEIGHT, such as 1920x1080, got {text}.")
    size = int(height), int(width)
    if min(size) < 16 or max(size) > 8192:
        raise ValueError(f"--size must lie in 16..8192 each way, got {text}.")
    if any(side % 2 for side in size):
        raise ValueError(f"--size {text} is odd, and video needs even numbers.\n"
                         f"  Use {size[1] // 2 * 2}x{size[0] // 2 * 2}.")
    return size
