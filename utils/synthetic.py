"""Our own RGB-D data: procedural scenes with exact depth, seen from several neighbouring places.

Scene k of seed s depends on (s, k) and the size alone, so any number of workers makes the same data
set. `python -m utils.synthetic --help` writes shards; `ensure_dataset` makes the default set on
first use; `open_shards` reads scenes one by one.

Conventions: depth is z in metres, exact at the ray through the pixel's centre; the sky and whatever
lies farther has 1000 m. A view v > 0 shows the points of view 0 moved by shift[v] (camera frame, x
right, y down, z forward), without turning. disparity = focal_px * baseline / depth with baseline
0.1 m: about 5 to 60 px for near things at 256 px width. Instances: 0 is background (ground, walls,
sky), other numbers are objects, the same in all views.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import logging
import multiprocessing
import os
import sys
import time
from pathlib import Path

import cv2
import h5py
import numpy as np
from tqdm import tqdm

from utils.files import complete_or_absent
from utils.synthetic_film import SKY_DEPTH, Development, Studio
from utils.synthetic_mesh import Builder
from utils.synthetic_scenes import draw_scene
from utils.synthetic_shards import BASELINE, FORMAT, Shards, open_shards
from utils.synthetic_textures import load_textures

SHARD_SCENES = 100
__all__ = [
    "Shards",
    "contact_sheet",
    "ensure_dataset",
    "generate_scene",
    "open_shards",
    "write_shards",
]
_RETRIES = 8


def generate_scene(seed, index, size=(192, 256), views=3, photos=None):
    """Make one scene.

    Args:
        seed, index: which scene; nothing else but `size` and `photos` changes what it shows.
        size: (height, width) of the pictures, px.
        views: number of views, the first at the centre, the others shifted by a random step that
            moves the nearest things by 2 to 8 % of the width. More views leave these as they are.
        photos: optional folder of photographs that serve as pictures on walls.
    Returns:
        dict: image (V, H, W, 3) uint8, depth (V, H, W) float32 metres, instances (V, H, W) uint8,
        shift (V, 3) float32, focal_px float, family str.
    Raises:
        ValueError: size or views make no sense, or photos holds none.
    """
    if min(size) < 16 or views < 1:
        raise ValueError(
            f"a scene needs 16x16 pixels and one view, got size {size}, {views} views."
        )
    textures = load_textures(None if photos is None else str(photos))
    for attempt in range(_RETRIES):
        rng = np.random.default_rng([seed, index, attempt])
        builder = Builder(rng, textures)
        family, setup = draw_scene(builder, size[1])
        studio = Studio(builder.finish(), textures, setup.lighting)
        first = studio.photograph(setup.camera, size)
        if _worth_keeping(first[1]):
            break
    return _photograph(studio, setup, family, first, views, rng)


def _worth_keeping(depth):
    """False if the camera stands inside something or sees hardly any difference in depth."""
    near, middle, far = np.quantile(depth, [0.02, 0.5, 0.98])
    return near > 0.12 and far > 1.15 * near and middle > 0.2


def _photograph(studio, setup, family, first, views, rng):
    """Develop the first view and photograph its neighbours."""
    height, width = first[1].shape
    development = Development.draw(rng, setup.aperture, setup.focus)
    gain = development.expose(first[0])
    seeds = rng.integers(0, 2**63, 2)
    steps = np.random.default_rng(seeds[0])
    nearest = float(np.quantile(first[1], 0.02))
    out = {"image": [], "depth": [], "instances": [], "shift": []}
    for view in range(views):
        shift = np.zeros(3)
        shot = first
        if view:
            shift = _step(steps, nearest, setup.camera.focal_px, width)
            shot = studio.photograph(setup.camera, (height, width), shift)
        grain = np.random.default_rng([seeds[1], view])
        out["image"].append(development.develop(shot[0], shot[1], gain, grain))
        out["depth"].append(shot[1])
        out["instances"].append(shot[2])
        out["shift"].append(shift)
    out = {name: np.stack(values) for name, values in out.items()}
    out["shift"] = out["shift"].astype(np.float32)
    return {**out, "focal_px": float(setup.camera.focal_px), "family": family}


def _step(rng, nearest, focal_px, width):
    """A shift (3,) that moves the nearest points by 2 to 8 % of the width on the picture."""
    angle = rng.uniform(0, 2 * np.pi)
    reach = rng.uniform(0.02, 0.08) * width * nearest / focal_px
    forward = rng.uniform(-0.22, 0.12) * nearest
    return np.array([np.cos(angle) * reach, 0.7 * np.sin(angle) * reach, forward])


@dataclasses.dataclass(frozen=True)
class Shard:
    """What one file of a data set holds: scenes first..first+count-1 of a seed."""

    seed: int
    first: int
    count: int
    size: tuple
    views: int
    photos: str | None = None

    def name(self):
        """File name; it says nothing that the file does not."""
        return f"scenes-{self.first:06d}.h5"


def write_shard(folder, shard):
    """Make the scenes of a shard and write them, all or nothing.

    Args:
        folder: existing folder.
        shard: Shard.
    Returns:
        Path of the file.
    """
    path = Path(folder) / shard.name()
    shape = (shard.count, shard.views, *shard.size)
    with complete_or_absent(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(
            format=FORMAT,
            baseline=BASELINE,
            seed=shard.seed,
            first=shard.first,
            sky_depth=SKY_DEPTH,
        )
        layout = {
            "image": ((*shape, 3), "u1"),
            "depth": (shape, "f4"),
            "instances": (shape, "u1"),
            "shift": ((*shape[:2], 3), "f4"),
            "focal_px": (shape[:1], "f4"),
        }
        for name, (full, kind) in layout.items():
            packed = (
                {
                    "chunks": (1, *full[1:]),
                    "compression": "gzip",
                    "compression_opts": 1,
                    "shuffle": True,
                }
                if len(full) > 3
                else {}
            )
            file.create_dataset(name, full, kind, **packed)
        families = file.create_dataset("family", shape[:1], h5py.string_dtype())
        for i in range(shard.count):
            scene = generate_scene(
                shard.seed, shard.first + i, shard.size, shard.views, shard.photos
            )
            for name in layout:
                file[name][i] = scene[name]
            families[i] = scene["family"]
    return path


def write_shards(
    folder,
    count,
    size=(192, 256),
    views=3,
    seed=0,
    workers=None,
    photos=None,
    shard_scenes=SHARD_SCENES,
):
    """Write a data set; shards that are there and fit are kept, so a broken run is continued.

    Args:
        folder: made if missing.
        count: number of scenes.
        size: (height, width), px. views: per scene. seed: of the set.
        workers: processes; default one per core that this process may use. 1 starts none.
        photos: optional folder of photographs for textures.
        shard_scenes: scenes per file.
    Returns:
        list of the paths, in order.
    Raises:
        ValueError: the folder holds shards of another size, number of views or seed.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    workers = workers or len(os.sched_getaffinity(0))
    shards = [
        Shard(
            seed,
            first,
            min(shard_scenes, count - first),
            tuple(size),
            views,
            None if photos is None else str(photos),
        )
        for first in range(0, count, shard_scenes)
    ]
    missing = [shard for shard in shards if not _present(folder / shard.name(), shard)]
    bar = tqdm(
        total=count,
        unit="scene",
        disable=not sys.stderr.isatty(),
        initial=count - sum(shard.count for shard in missing),
    )
    with bar:
        for shard in _written(folder, missing, workers):
            bar.update(shard.count)
    return [folder / shard.name() for shard in shards]


def _written(folder, shards, workers):
    """Yield the shards as they are written."""
    if workers == 1 or len(shards) < 2:
        for shard in shards:
            write_shard(folder, shard)
            yield shard
        return
    # Forking a process that has started threads (torch) can hang it: fresh interpreters.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(min(workers, len(shards)), context) as pool:
        waiting = {pool.submit(write_shard, folder, shard): shard for shard in shards}
        try:
            for done in concurrent.futures.as_completed(waiting):
                done.result()
                yield waiting[done]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _present(path, shard):
    """Whether the shard's file is there; an error if it is another data set's."""
    if not path.is_file():
        return False
    with h5py.File(path) as file:
        found = (file.attrs.get("format"), int(file.attrs.get("seed", -1)), *file["depth"].shape)
    wanted = (FORMAT, shard.seed, shard.count, shard.views, *shard.size)
    if found != wanted:
        raise ValueError(
            f"{path} holds (format, seed, scenes, views, height, width) = {found}, asked for"
            f" {wanted}. Pass an empty folder, or remove the old files."
        )
    return True


def ensure_dataset(folder, count=2000, size=(192, 256), views=3, seed=0, workers=None):
    """The default data set: made on first use, continued if it was interrupted.

    Args, returns and raises as `write_shards`.
    """
    start = time.monotonic()
    paths = write_shards(folder, count, size, views, seed, workers)
    seconds = time.monotonic() - start
    if seconds > 5:
        logging.getLogger(__name__).info("made %s in %.0f s", folder, seconds)
    return paths


def contact_sheet(scenes, columns=6):
    """Pictures of scenes, each above its disparity; neighbours beside it if there are several.

    Args:
        scenes: list of dicts as of `generate_scene`.
        columns: scenes per row.
    Returns:
        (H, W, 3) uint8.
    """
    tiles = []
    for scene in scenes:
        inverse = 1 / scene["depth"]
        low, high = np.quantile(inverse, [0.01, 0.99])
        shown = np.clip((inverse - low) / max(high - low, 1e-9), 0, 1)
        colours = [
            cv2.applyColorMap((255 * d).astype(np.uint8), cv2.COLORMAP_INFERNO) for d in shown
        ]
        views = [np.vstack([i, c[..., ::-1]]) for i, c in zip(scene["image"], colours, strict=True)]
        tiles.append(np.hstack(views))
    blank = np.zeros_like(tiles[0])
    tiles += [blank] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])


def _parser():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m utils.synthetic",
        description="Make a data set of synthetic RGB-D scenes.",
        epilog="example: python -m utils.synthetic --out data/synthetic --count 2000",
    )
    parser.add_argument(
        "--out", metavar="DIR", help="folder for the shards; a broken run continues"
    )
    parser.add_argument(
        "--preview", metavar="PNG", help="write a contact sheet of the scenes instead"
    )
    parser.add_argument("--count", type=int, default=24, help="number of scenes (default: 24)")
    parser.add_argument("--size", default="256x192", metavar="WxH", help="default: 256x192")
    parser.add_argument(
        "--views", type=int, default=None, help="views per scene (default: 3, in a preview 1)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the set (default: 0)")
    parser.add_argument(
        "--first", type=int, default=0, help="first scene of a preview (default: 0)"
    )
    parser.add_argument("--workers", type=int, default=None, help="processes (default: all cores)")
    parser.add_argument("--photos", metavar="DIR", help="photographs to hang on walls")
    return parser


def main(arguments=None):
    """Run the command line; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        width, height = (int(part) for part in options.size.lower().split("x"))
    except ValueError:
        parser.error(f"--size must look like 256x192, got {options.size}")
    if (options.out is None) == (options.preview is None):
        parser.error("pass --out DIR for a data set or --preview PNG for a contact sheet")
    start = time.monotonic()
    try:
        if options.preview:
            scenes = [
                generate_scene(
                    options.seed,
                    options.first + i,
                    (height, width),
                    options.views or 1,
                    options.photos,
                )
                for i in range(options.count)
            ]
            cv2.imwrite(options.preview, contact_sheet(scenes)[..., ::-1])
        else:
            write_shards(
                options.out,
                options.count,
                (height, width),
                options.views or 3,
                options.seed,
                options.workers,
                options.photos,
            )
    except ValueError as error:
        print(f"synthetic: error: {error}", file=sys.stderr)
        return 1
    seconds = time.monotonic() - start
    print(
        json.dumps(
            {
                "scenes": options.count,
                "seconds": round(seconds, 2),
                "scenes_per_second": round(options.count / seconds, 2),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
