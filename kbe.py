#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "torch==2.13.0",
#     "numpy>=2.0,<3",
#     "numba>=0.61",
#     "opencv-python-headless>=4.10",
#     "pillow>=11.3",
#     "pillow-heif>=0.21",
#     "tifffile>=2025.1",
#     "imagecodecs>=2025.3",
#     "av>=16",
#     "safetensors>=0.5",
#     "dill>=0.3.8",
#     "tqdm>=4.66",
#     "lazy-loader>=0.4",
#     "pygltflib>=1.16",
#     "huggingface-hub>=0.34",
#     "kornia>=0.8",
#     "h5py>=3.11",
#     "accelerate>=1.2",
#     "tensorboard>=2.17",
#     "matplotlib>=3.8",
# ]
# ///
"""Turn photographs into 3D Ken Burns films: `python kbe.py --in PHOTO --out DIR`, or see --help.

The chain for one photo, as the paper draws it: read it, estimate and refine its disparity, lift it
to a point cloud, plan the camera, inpaint what its path uncovers, render, write.
"""

import sys
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple

from utils import cli, depth, export, film, scene, weights  # each is loaded when it is used
from utils.cli.command_line import parse_settings
from utils.cli.flags import Settings
from utils.cli.jobs import Job

if TYPE_CHECKING:
    from utils.camera.path import CameraPath
    from utils.cli.plan import Plan
    from utils.cli.reporting import Stopwatch
    from utils.cli.shared import Shared
    from utils.weights.chosen import Networks


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    return cli.run_command(run, parse_settings(argv))


def animate(photo: Any, out: str | Path | None = None, **settings: Any) -> Any:
    """Make the film of one photo: animate("photo.jpg", "film.mp4", duration=4, dolly=True).

    Args:
        photo: its path; or an array (H, W, 3) RGB, uint8 or floating point in [0, 1]; or a
            PIL.Image.Image, which is turned and converted as its file would be.
        out: the folder for the results, or the video file's name; None for the frames themselves.
        settings: fields of utils.cli.flags.Settings: flags with underscores for hyphens, `flat`
            for --2d, `focal_px` for --focal; True for switches, else numbers or text.
    Returns:
        What --json prints, for several moves a list; "photo" is None if it came from memory. With
        out=None an iterator of frames, (H, W, 3) uint8 RGB, made as they are asked for; close or
        drop it to end early.
    Raises:
        TypeError: there is no such setting, or the photo is none of these.
        ValueError, OSError: something given cannot be used, or a file cannot be written.

    The program's own settings (torch's default type, device and precision, autocast, NumPy's
    errors, warnings) neither matter nor change. The networks of the last calls stay loaded for the
    next ones.
    """
    return cli.film_one(photo, out, settings, prepare, write)


def run(settings: Settings) -> int:
    """Make a film of every photo; return 0, or 1 if one of several failed."""
    jobs, batch = cli.plan_run(settings, sys.stdin)
    several = batch or len(jobs) > 1  # films of one photo
    if settings.ray:
        from kbe import film_maker  # by this name workers find it; here it is part of __main__

        weights.choose_networks(settings, "cpu")  # what is missing is said at once
        films = cli.over_cluster(settings.ray, jobs, film_maker, settings)
    elif settings.slideshow:
        films = cli.film_slideshow(jobs, settings, weights.choose_networks(settings), prepare)
    else:
        films = make_films(jobs, settings, weights.choose_networks(settings), several)
    with closing(films) as results:
        shown = several and not settings.slideshow
        status = cli.report_all(results, jobs, settings.json, shown)
    if batch and settings.out and not settings.dry_run:
        export.write_index(settings.out, (path for job in jobs for path in job.exports(settings)))
    return status


def film_maker(settings: Settings) -> Callable[[Job], dict[str, Any]]:
    """Return what a worker of a cluster does with each of its jobs."""
    networks = weights.choose_networks(settings)
    shared = cli.Shared()
    return lambda job: next(make_films([job], settings, networks, True, shared))


def make_films(
    jobs: list[Job],
    settings: Settings,
    networks: "Networks",
    several: bool = False,
    shared: "Shared | None" = None,
) -> Generator[dict[str, Any]]:
    """Yield the result of each job, in order; while one is filmed, the next one is prepared.

    Of several, one that fails gives a result with "error"; otherwise it raises.
    """
    shared = shared or cli.Shared()

    def finish(job, ready, stop):
        return write(job, settings, ready, stop, hide_bar=several or cli.hide_bar())

    def begin(job, on, stop):
        return prepare(job, settings, on, shared, stop)

    def look(job):
        return find_made(job, settings, networks)

    ahead = cli.photos_ahead(jobs, settings, networks)
    return cli.run_jobs(jobs, begin, finish, networks, several, ahead, look)


def find_made(job: Job, settings: Settings, networks: "Networks") -> dict[str, Any] | None:
    """Return the result of a photo whose film is there, where such are skipped; else None."""
    settings = job.chosen(settings)
    if settings.skip_existing and not settings.dry_run and cli.is_there(job, settings, networks):
        return job.about() | {"video": str(job.video), "skipped": True}
    return None


class Ready(NamedTuple):
    """A photo in whose scene the camera only has to move."""

    plan: "Plan"
    view: Any  # Scene or StereoScene, inpainted
    path: "CameraPath"  # in the scene's pixels
    result: dict[str, Any]  # what is known of it so far
    metadata: dict[str, Any]  # of the video
    clock: "Stopwatch"


def prepare(
    job: Job,
    settings: Settings,
    networks: "Networks",
    shared: "Shared",
    stop: Event | None = None,
) -> Ready | dict[str, Any]:
    """Take a photo through the chain up to rendering; or return the result, if that is not due.

    Raises:
        CancelledError: `stop` was set, at the next stage.
    """
    # Read.
    clock, settings = cli.Stopwatch(settings, stop), job.chosen(settings)
    result = job.about() | {"video": str(job.video)}
    plan = cli.plan_photo(job, settings, shared)
    chosen = networks.describe(settings)
    depth_of, kept = plan.depth_of(settings, networks), None
    estimates = plan.depth_source in ("network", "stereo")
    if settings.cache:
        place = depth.KeptDepth(settings.cache, plan.image, networks)
        kept = shared.once(job, "kept", depth_of, lambda: place)
    if kept and estimates:
        result["depth_cached"] = kept.there
        estimates = not kept.there
    if settings.dry_run:
        told = {"dry_run": True, "files": job.written(settings)}
        return result | told | cli.describe_plan(plan, settings) | {"weights": chosen}
    cli.prepare_folder(job.folder)
    networks.load_all(estimates)
    clock.lap("read", tell=estimates)

    plan, cloud = estimate_and_lift(job, plan, settings, networks, shared, kept, clock)
    metadata = cli.describe_film(job, plan, settings, networks)

    # Plan the camera.
    plan, path = cli.plan_path(job.photo, cloud, plan, settings)
    clock.lap("planning")
    view = scene.lay_out(cloud, path, settings.stereo) if settings.stereo else cloud
    if settings.max_holes:
        path, result["path_kept"] = cli.shorten_path(job.photo, view, path, plan, settings)
    invented = cli.tell_invention(job.photo, view, path, plan.view_size)
    preview = film.Preview(cloud, path, plan.view_size) if settings.preview else None

    # Inpaint.
    if not settings.flat:
        scene.grow(view, path, networks, plan.view_size)
    clock.lap("inpainting")
    if preview:
        preview.write(job.result("preview.png"))
        clock.lap("preview")
    if settings.export:
        export.write_exports(job.exports(settings), cloud, path, plan, settings)
        clock.lap("export")
    result |= plan.facts(settings) | {"invented": round(invented, 4), "weights": chosen}
    return Ready(plan, view, path, result, metadata, clock)


def estimate_and_lift(
    job: Job,
    plan: "Plan",
    settings: Settings,
    networks: "Networks",
    shared: "Shared",
    kept: Any,
    clock: "Stopwatch",
) -> tuple["Plan", Any]:
    """Give a photo its depth, estimated and refined, and lift it to a cloud; the plan says which.

    Args:
        kept: utils.depth.KeptDepth where the depth is kept, or None.
    """
    depth_of = plan.depth_of(settings, networks)

    def find():
        found, disparity = depth.find_disparity(plan, settings, networks, kept)
        return found.own, disparity

    own, disparity = shared.once(job, "depth", depth_of, find)
    planned = plan._replace(own=own)
    clock.lap("depth")
    peak = depth.saved_peak(plan.depth_file, settings.depth_kind)
    how = networks.devices.scene, peak, settings.save_disparity

    def lift():
        return scene.lift(planned, disparity, *how)

    made_of = depth_of, plan.focal_px, settings.save_disparity
    # Every film is what it would be by itself.
    cloud = shared.once(job, "scene", made_of, lift).copy()
    if settings.save_disparity:
        saved = plan.to_photo(cloud.disparity)
        depth.write_disparity(job.folder, saved, job.prefix, cloud.baseline)
    return planned, cloud


def write(job: Job, settings: Settings, ready: Ready, stop: Any, hide_bar: Any) -> dict[str, Any]:
    """Render and write, both at once; return the photo's result."""
    plan, view, path, result, metadata, clock = ready
    settings = job.chosen(settings)
    clock.go_on()
    if settings.matte:
        matte = scene.matte_of(view)
        film.write_film(job.matte(), plan, matte, path, settings, metadata, stop, hide_bar)
        clock.lap("matte")
    if settings.write_depth:
        seen = scene.ViewDepth(view)
        depth.write_depth(job, plan, seen, path, settings, stop, hide_bar)
        clock.lap("depth_frames")
    # The film comes last: --skip-existing takes it for the sign that all is there.
    film.write_film(job, plan, view, path, settings, metadata, stop, hide_bar)
    clock.lap("film")
    return result | {"files": job.written(settings), "seconds": clock.seconds()}


if __name__ == "__main__":
    sys.exit(main())
