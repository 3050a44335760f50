#!/usr/bin/env python3
"""Turn photographs into 3D Ken Burns films: `python kbe.py --in PHOTO --out DIR`, or see --help.

The chain for one photo, from top to bottom: read it, estimate and refine its disparity, lift it to
a point cloud, inpaint what the camera uncovers at both ends of its path, render, write.
"""

import io
import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from utils.cli.flags import UsageError, build_parser, parse_settings

log = logging.getLogger("kbe")

BASELINE = 120.0
# How far beyond both ends of the path is inpainted, so that rounding leaves no sliver (SPEC 6).
OVERSHOOT = 1.1
# (height, width) px that every codec takes; the real size is known when the photo is read.
ANY_SIZE = (64, 64)
# From this share of a frame on, the user is told how much of it is invented.
MUCH_INVENTED = 0.15


class Terminated(BaseException):
    """SIGTERM arrived; it unwinds like Ctrl-C, so that no half file stays."""


def main(argv=None):
    """Run the command line; return the exit status."""
    # While a film is rendered beside it, torch's idle threads must sleep, not spin (libgomp's own
    # variable, read when torch is imported): a batch then takes 9 to 30 % less CPU time.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    settings, verbosity = parse_settings(build_parser(), argv)
    _set_up_log(verbosity)
    for stream in (sys.stdin, sys.stdout):  # names of files need not be UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")
    in_main_thread = threading.current_thread() is threading.main_thread()
    previous = signal.signal(signal.SIGTERM, _terminate) if in_main_thread else None
    try:
        return run(settings)
    except KeyboardInterrupt:
        log.error("interrupted; finished films are kept.")
        return 130
    except Terminated:
        log.error("terminated; finished films are kept.")
        return 143
    except UsageError as error:
        log.error("%s", error)
        return 2
    except BrokenPipeError:  # the reader of our results went away, as in `... | head -1`
        sys.stdout = open(os.devnull, "w")
        return 1
    except Exception as error:
        log.error("%s", _explain(error), exc_info=log.isEnabledFor(logging.DEBUG))
        return 1
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, previous)


def _set_up_log(verbosity):
    """Log to standard error: all, notes and worse, or errors only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel({"verbose": logging.DEBUG, "quiet": logging.ERROR}.get(verbosity, logging.INFO))


class _Formatter(logging.Formatter):
    """Prefix the program; notes need no label, warnings and errors have one."""

    def format(self, record):
        label = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return f"kbe.py: {label}{super().format(record)}"


def _terminate(*_):
    raise Terminated


def _explain(error):
    """Say an operating system's error with the file it is about."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError) or "allocate memory" in str(error):  # numpy's, torch's
        return "not enough memory.\n  Give a smaller --max-size or --size."
    if isinstance(error, (ValueError, OSError, RuntimeError)):
        return str(error)
    return f"unexpected {type(error).__name__}: {error}.\n  --verbose shows where."


def run(settings):
    """Make a film of every photo; return 0, or 1 if one of several failed.

    Raises:
        ValueError, OSError: the only photo failed, or there is none.
    """
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    from utils.cli.jobs import find_photos, plan_jobs
    from utils.film.video import CODECS

    codec = CODECS[settings.codec]
    check_film(settings, settings.size or ANY_SIZE)
    photos, batch = find_photos(settings.inputs, sys.stdin)
    # Players take a film for side by side by the end of its name.
    suffix = ("_sbs" if settings.stereo == "sbs" else "") + codec.suffixes[0]
    jobs = plan_jobs(photos, batch, settings.out, suffix)
    if batch and settings.depth and Path(settings.depth).is_file():
        raise UsageError(f"--depth {settings.depth} is one map, and there are {len(jobs)} photos.\n"
                         "  Give a folder of maps with the photos' stems.")
    if batch and settings.export and settings.export.is_absolute():
        raise UsageError(f"--export {settings.export} is one file, and there are {len(jobs)} "
                         "photos.\n  Give a name, such as scene.ply: each photo's folder gets one.")
    films = spread_films(jobs, settings) if settings.ray else animate(
        jobs, settings, choose_networks(settings), batch)
    failed, out = 0, sys.stdout
    with logging_redirect_tqdm([log]), closing(films) as results:
        for result in tqdm(results, total=len(jobs), unit="photo",
                           disable=_hide_bar() if batch else True):
            failed += "error" in result
            report(result, settings.json, out)
    if failed:
        log.error("%d of %d photos failed.", failed, len(jobs))
    return 1 if failed else 0


def check_film(settings, size):
    """Raise UsageError if no film of this (height, width) px can be written as asked."""
    from utils.film.frames import film_length
    from utils.film.video import CODECS, VideoWriter

    try:
        film_length(settings.duration, settings.fps, settings.loop)
        VideoWriter(f"film{CODECS[settings.codec].suffixes[0]}", size, settings.fps,
                    settings.codec, settings.quality)  # checks its arguments, opens nothing
    except ValueError as error:
        raise UsageError(str(error)) from error


def _hide_bar():
    """What tqdm takes as `disable`: hidden with --quiet, else shown on a terminal only."""
    return None if log.isEnabledFor(logging.INFO) else True


def report(result, as_json, out):
    """Print the result of one photo to standard output, where nothing else goes."""
    if as_json:
        print(json.dumps(result), file=out, flush=True)
    elif "error" not in result:
        print(_sentence(result), file=out, flush=True)


def _sentence(result):
    """Say in one line what --json says in one object."""
    if "dry_run" in result:
        return "\n".join([f"{result['photo']}:"] + [
            f"  {name}: {value}" for name, value in result.items()
            if name not in ("photo", "dry_run")])
    if result.get("skipped"):
        return f"{result['video']}: skipped, made of the same photo, settings and weights"
    stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in result["seconds"].items()
                       if name != "total")
    weights = ", ".join(f"{role} {name}" for role, name in result["weights"].items())
    return (f"{result['video']}: {result['frames']} frames of "
            f"{result['width']}x{result['height']} in {result['seconds']['total']:.1f} s "
            f"({stages}); {weights}")


# -- networks -------------------------------------------------------------------------------------

def choose_device(name):
    """Resolve --device to the torch.device on which networks run."""
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(),
                 "cpu": True}
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    if not available[name]:
        raise UsageError(f"--device {name}: there is no such device here.\n"
                         "  Use --device auto or cpu.")
    return torch.device(name)


def choose_networks(settings):
    """Find the weights of this run; nothing is loaded yet.

    Raises:
        ValueError: a file that was asked for is not there, or none gives depth.
    """
    from utils.depth.estimators import is_hugging_face
    from utils.weights.chosen import Networks, find_weights

    estimation = refinement = inpainting = inpaint_depth = None
    if not settings.flat:
        inpainting = find_weights("inpainting", settings.inpaint_path)
        inpaint_depth = settings.inpaint_depth and find_weights("inpainting",
                                                                settings.inpaint_depth)
        if not settings.depth:
            refinement = find_weights("refinement", settings.refine_path)
            estimation = settings.estim_path
            if estimation is None or not is_hugging_face(estimation):
                estimation = find_weights("estimation", estimation)
            if estimation is None:
                raise ValueError("no weights for depth estimation.\n  Run ./download_models.sh, or "
                                 "pass --estim-path FILE, or --depth FILE, or --2d.")
    return Networks(estimation, refinement, inpainting, inpaint_depth,
                    choose_device(settings.device), settings.trust_checkpoint)


def describe_weights(settings, networks):
    """Return {role: what was chosen}, to be said with every result."""
    if settings.flat:
        return {"depth": "flat"}
    paths = networks.paths
    chosen = {"depth": f"file {settings.depth}"} if settings.depth else {
        "estimation": str(paths["estimation"]), "refinement": str(paths["refinement"] or "by rule")}
    chosen["inpainting"] = str(paths["inpainting"] or "by rule")
    if paths["inpaint_depth"]:
        chosen["inpaint_depth"] = str(paths["inpaint_depth"])
    return chosen


# -- a cluster ------------------------------------------------------------------------------------

def spread_films(jobs, settings):
    """Return an iterator like that of `animate`, whose work is done on a Ray cluster."""
    from kbe import film_maker  # by this name workers find it; here it is part of __main__
    from utils.cli.cluster import spread

    choose_networks(replace(settings, device="cpu"))  # what is missing is said at once
    return spread(settings.ray, jobs, film_maker, settings)


def film_maker(settings):
    """Return the function that a worker calls with each of its jobs."""
    networks = choose_networks(settings)
    return lambda job: next(animate([job], settings, networks, batch=True))


# -- the chain for one photo ----------------------------------------------------------------------

def animate(jobs, settings, networks, batch):
    """Make the films; while one is rendered and encoded, the next photo is prepared.

    Args:
        jobs: list of utils.cli.jobs.Job.
        settings: utils.cli.flags.Settings.
        networks: utils.weights.chosen.Networks.
        batch: a photo that fails gives a result with "error"; otherwise it raises.
    Yields:
        dict for each job in order, ready for JSON: video, frames, width, height, seconds per
        stage, weights.
    Raises:
        ValueError: the photo or its depth map cannot be used, or a window does not fit.
        OSError: a result cannot be written.
    """
    from utils.cli.jobs import overlap

    def attempt(work, job):
        try:
            return with_gpu_or_without(work, job, networks)
        except Exception as error:
            if not batch:
                raise
            said = _explain(error)
            log.error("%s", said if str(job.photo) in said else f"{job.photo}: {said}",
                      exc_info=log.isEnabledFor(logging.DEBUG))
            return {"photo": str(job.photo), "error": said}

    def begin(job):
        return attempt(lambda on: prepare(job, settings, on), job)

    def finish(job, prepared, stop):
        if isinstance(prepared, dict):  # failed, skipped or a dry run
            return prepared
        return attempt(lambda on: film(
            job, settings, prepared if on is networks else prepare(job, settings, on), stop,
            show_progress=not batch), job)

    return overlap(jobs, begin, finish)


def with_gpu_or_without(work, job, networks):
    """Return work(networks); where the GPU's memory does not suffice, do it again on the CPU."""
    from utils.weights.chosen import is_gpu_full

    try:
        return work(networks)
    except Exception as error:
        if networks.device.type == "cpu" or not is_gpu_full(error):
            raise
        log.warning("%s: the GPU's memory is full, so this photo is made on the CPU.\n"
                    "  A smaller --max-size or --size needs less.", job.photo)
    return work(networks.on_cpu)


class Prepared(NamedTuple):
    """A photo that only has to be filmed."""

    plan: NamedTuple  # utils.cli.plan.Plan
    view: object  # utils.scene.cloud.Scene or utils.scene.stereo.StereoScene, inpainted
    path: object  # utils.camera.CameraPath in the scene's pixels
    metadata: dict  # of the video
    result: dict  # what is known of it so far
    clock: "Stopwatch"


def prepare(job, settings, networks):
    """Read a photo, find its depth, lift it, and inpaint what both ends of the path uncover.

    Returns:
        Prepared; or the dict of a result, where there is no film to be made.
    """
    from utils.camera.shortening import shorten_path
    from utils.cli.plan import describe_plan, plan_photo
    from utils.film.frames import film_length
    from utils.film.preview import Preview
    from utils.scene.ply import write_ply
    from utils.scene.stereo import StereoScene

    clock = Stopwatch()
    depth_file = find_depth_file(settings.depth, job.photo)
    plan = plan_photo(job.photo, settings)
    check_film(settings, plan.film_size)
    result = {"photo": str(job.photo), "video": str(job.video)}
    weights = describe_weights(settings, networks)
    if settings.dry_run:
        return result | {"dry_run": True} | describe_plan(plan, settings) | {"weights": weights}
    metadata = describe_film(job, plan, settings, networks, depth_file)
    _, frames = film_length(settings.duration, settings.fps, settings.loop)
    if settings.skip_existing and is_made(job.video, metadata, frames):
        return result | {"skipped": True}
    prepare_folder(job.folder)
    clock.lap("read")

    disparity = find_disparity(plan, settings, networks, depth_file)
    clock.lap("depth")
    scene, path, plan = build_scene(plan, disparity, settings, networks.device)
    if settings.save_disparity:
        save_disparity(job, plan, scene)
    view = StereoScene(scene, path, settings.stereo) if settings.stereo else scene
    if settings.max_holes:
        path, kept = shorten_path(view, path, plan.view_size, settings.max_holes / 100)
        log.info("%s: %.0f %% of the path kept", job.photo, 100 * kept)
        result["path_kept"] = round(kept, 3)
    preview = Preview(scene, path, plan.view_size) if settings.preview else None
    invented = tell_invention(job, view, path, plan)
    if not settings.flat:
        inpaint_ends(view, path, networks)
    clock.lap("inpainting")
    if preview:
        preview.write(job.result("preview.png"))
        clock.lap("preview")
    if settings.export:
        write_ply(job.folder / settings.export, scene)
        clock.lap("export")
    height, width = plan.film_size
    result |= {"frames": frames, "width": width, "height": height, "fps": float(settings.fps),
               "invented": round(invented, 4), "weights": weights}
    return Prepared(plan, view, path, metadata, result, clock)


def film(job, settings, prepared, stop, show_progress):
    """Render and encode what was prepared.

    Args:
        prepared: Prepared.
        stop: threading.Event that ends the work at the next frame.
        show_progress: a bar over the frames, on a terminal.
    Returns:
        dict: the photo's result.
    """
    plan, view, path, metadata, result, clock = prepared
    clock.go_on()
    if settings.matte:
        write_film(job.matte(), plan, view.matte(), path, settings, metadata, stop, show_progress)
        clock.lap("matte")
    # The film comes last: --skip-existing takes it for the sign that all is there.
    write_film(job, plan, view, path, settings, metadata, stop, show_progress)
    clock.lap("film")
    return result | {"seconds": clock.seconds()}


class Stopwatch:
    """Seconds per stage; those of other photos in between do not count."""

    def __init__(self):
        """Start."""
        self._laps = {}
        self.go_on()

    def go_on(self):
        """Leave out the time since the last stage."""
        self._last = time.perf_counter()

    def lap(self, name):
        """End the stage `name`."""
        now = time.perf_counter()
        self._laps[name], self._last = now - self._last, now

    def seconds(self):
        """Return {stage: seconds}, and the total."""
        laps = self._laps | {"total": sum(self._laps.values())}
        return {name: round(seconds, 3) for name, seconds in laps.items()}


def describe_film(job, plan, settings, networks, depth_file):
    """Return the metadata of the video: what it was made of, and how."""
    from utils.cli.jobs import fingerprint
    from utils.cli.presets import window_shares

    looks = settings.looks()
    return {"fingerprint": fingerprint(job.photo, looks, networks.digests, depth_file),
            "settings": looks, "shares": window_shares(plan, settings)}


def is_made(video, metadata, frames):
    """Whether a whole video of just this description and this many frames is there."""
    from utils.film.video import holds_frames, read_metadata

    try:
        found = read_metadata(video) if video.is_file() else None
    except ValueError:  # damaged
        return False
    same = isinstance(found, dict) and found.get("fingerprint") == metadata["fingerprint"]
    return same and holds_frames(video, frames)


def prepare_folder(folder):
    """Make the results' folder, and fail before the work rather than after it.

    Raises:
        OSError: it cannot be made or written to.
    """
    from utils.files import remove_leftovers

    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"cannot write into {folder}: {error.strerror}.\n"
                      "  Choose another --out.") from error


def find_depth_file(depth, photo):
    """Resolve --depth for one photo: the file, or the one of its stem in the folder.

    Raises:
        ValueError: there is none.
    """
    if depth is None:
        return None
    depth = Path(depth).expanduser()
    if not depth.is_dir():
        return depth
    found = sorted(path for path in depth.iterdir() if path.stem == photo.stem)
    if not found:
        raise ValueError(f"{photo}: no depth map named {photo.stem}.* in {depth}.")
    return found[0]


def find_disparity(plan, settings, networks, depth_file):
    """Return (1, 1, H, W) relative disparity of the photo, not negative."""
    import torch

    from utils.depth.estimators import fit_disparity, read_disparity, refine_disparity

    if settings.flat:
        return torch.ones_like(plan.image[:, :1])
    if depth_file:
        disparity, note = read_disparity(depth_file, settings.depth_kind)
        log.info("%s", note)
        # The map shows the whole photo; a few of its last rows and columns were dropped.
        rows, columns = (round(have * (side // 4 * 4) / side) for have, side in
                         zip(disparity.shape, plan.photo_size, strict=True))
        return fit_disparity(disparity[: max(1, rows), : max(1, columns)], plan.image)
    return refine_disparity(networks.refiner, plan.image, networks.estimator(plan.image))


def save_disparity(job, plan, scene):
    """Write the scene's disparity at the size of the photo."""
    import numpy as np

    from utils.depth.map_files import write_disparity
    from utils.film.photos import resize

    height, width = (side // 4 * 4 for side in plan.photo_size)
    disparity = resize(scene.disparity[0, 0].cpu().numpy(), (height, width))
    dropped = [(0, whole - kept) for whole, kept in
               zip(plan.photo_size, (height, width), strict=True)]
    write_disparity(job.folder, np.pad(disparity, dropped, mode="edge"), job.prefix)


def build_scene(plan, disparity, settings, device):
    """Lift the photo; return its Scene, the CameraPath in it, and the plan with final windows."""
    from utils.camera import CameraPath, aim, nearest_depth
    from utils.scene.cloud import Scene, find_scene_zoom, scale_disparity

    on = device if device.type == "cuda" else "cpu"
    start, end = plan.start.scaled(*plan.scale), plan.end.scaled(*plan.scale)
    at = aim(plan.image.shape[2:], start, start if settings.autozoom else end)
    scene = Scene(plan.image.to(on), scale_disparity(disparity.to(on), BASELINE), plan.focal_px,
                  BASELINE, at)
    if settings.autozoom:
        across, down = plan.scale
        end = find_scene_zoom(scene, start).window
        plan = plan._replace(end=end.scaled(1 / across, 1 / down))
        log.info("automatic zoom: end window at (%.0f, %.0f), size %.0fx%.0f",
                 *vars(plan.end).values())
    path = CameraPath(start, end, scene.size, nearest_depth(scene.depth), plan.focal_px,
                      settings.dolly, at)
    return scene, path, plan


def tell_invention(job, scene, path, plan):
    """Return the larger share of invented pixels at the two ends; warn if the path asks much."""
    from utils.camera import invented_shares

    shares = invented_shares(scene, path, plan.view_size)
    share, end = max(zip(shares, ("start", "end"), strict=True))
    if share > MUCH_INVENTED:
        log.warning("%s: %.0f %% of the picture at the %s lies outside the photo or behind "
                    "something, and is invented.\n  Windows more alike in size and place ask less: "
                    "--preview shows them.", job.photo, 100 * share, end)
    return share


def inpaint_ends(scene, path, networks):
    """Inpaint a little beyond both ends of the path; between them nothing new is uncovered."""
    for t in (0, 1):
        pose = path.pose(t)
        shift = [OVERSHOOT * value for value in pose.shift]
        added = scene.inpaint(networks.inpainter, shift, pose.focal_px, networks.depth_inpainter)
        log.debug("inpainted %d points at the %s of the path", added, ("start", "end")[t])


def write_film(job, plan, scene, path, settings, metadata, stop, show_progress):
    """Render and encode at once."""
    from concurrent.futures import CancelledError

    from tqdm import tqdm

    from utils.files import folder_complete_or_absent
    from utils.film.frames import film_frames, film_length
    from utils.film.photos import write_image
    from utils.film.video import VideoWriter

    count, frames = film_length(settings.duration, settings.fps, settings.loop)
    rendered = film_frames(scene, path, count, plan.view_size, settings.loop, settings.easing)
    with (
        VideoWriter(job.video, plan.film_size, settings.fps, settings.codec, settings.quality,
                    metadata) as video,
        folder_complete_or_absent(settings.write_frames and job.result("frames")) as folder,
    ):
        bar = tqdm(rendered, total=frames, unit="frame",
                   disable=_hide_bar() if show_progress else True)
        for index, (frame, _) in enumerate(bar):
            if stop.is_set():
                raise CancelledError
            video.write(frame)
            if folder and index < count:
                write_image(folder / f"{index:05d}.png", frame)


if __name__ == "__main__":
    sys.exit(main())
