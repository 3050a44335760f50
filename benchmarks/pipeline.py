"""How long a whole film takes, stage by stage, and whether rendering and encoding overlap.

    python -m benchmarks.pipeline [--photo FILE] [--runs 3] [--size 1024x768] [-- KBE FLAGS ...]

Each run is a process of its own, measured from its start: the default film (148 frames, H.264) of
one photo. Then rendering alone, encoding alone and both together are timed in one process, in turn.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.folders import run_telling

ROOT = Path(__file__).resolve().parents[1]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photo", type=Path, default=ROOT / "images" / "example.jpg")
    parser.add_argument("--size", default="1024x768", help="the photo is cropped and resized to it")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("results/pipeline.json"))
    parser.add_argument("flags", nargs="*", help="further flags of kbe.py, after --")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photo = prepare(args.photo, args.size, Path(folder))
        runs = [run_once(photo, Path(folder), args.flags) for _ in range(args.runs)]
        overlap = [time_overlap(photo, Path(folder)) for _ in range(args.runs)]
    report = {"cores": os.cpu_count(), "size": args.size, "runs": runs, "overlap": overlap}
    print_table(report)
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(report, indent=2), encoding="utf-8")


def prepare(path, size, folder):
    """Write the photo, cropped to the shape of `size` and resized to it, as PNG."""
    width, height = map(int, size.split("x"))
    pixels = cv2.imread(str(path))
    if pixels is None:
        sys.exit(f"no readable photo at {path}: pass --photo FILE")
    scale = max(width / pixels.shape[1], height / pixels.shape[0])
    pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "photo.png"), pixels[:height, :width])
    return folder / "photo.png"


def run_once(photo, folder, flags):
    """Run kbe.py; return its own stage times, the whole process's seconds (s), CPU and peak."""
    command = [
        sys.executable,
        str(ROOT / "kbe.py"),
        "--in",
        str(photo),
        "--out",
        str(folder / "film"),
        "--json",
        *flags,
    ]
    before = children()
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    wall = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stderr)
    after = children()
    seconds = json.loads(done.stdout)["seconds"]
    # The peak is that of the largest child so far; runs are alike, so it is theirs.
    return seconds | {
        "start": wall - seconds["total"],
        "process": wall,
        "cpu": after[0] - before[0],
        "peak_gb": after[1],
    }


def children():
    """CPU seconds of all child processes so far, and the peak memory of one, GB."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan"), float("nan")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20


def time_overlap(photo, folder):
    """Time rendering alone, encoding alone, and both as kbe.py does them, s for 148 frames."""
    import torch

    from utils.camera import complete_windows, nearest_depth, published_path
    from utils.film.frames import film_frames
    from utils.film.photos import read_image
    from utils.film.video import VideoWriter
    from utils.scene import FarSide, Scene, scale_disparity

    image = torch.from_numpy(read_image(photo).pixels).permute(2, 0, 1)[None] / 255
    size = tuple(image.shape[2:])
    rows = torch.linspace(0.2, 1, size[0]).view(1, 1, -1, 1).expand(1, 1, *size).clone()
    rows[..., size[0] // 3 :, size[1] // 3 : size[1] // 2] = 1.2
    scene = Scene(image, scale_disparity(rows, 120.0), max(size) / 2, 120.0)
    start, end, *_ = complete_windows(size)
    path = published_path(start, end, size, nearest_depth(scene.depth), scene.focal_px)
    for t in (0, 1):
        scene.inpaint(FarSide(), path.pose(t).shift)
    list(film_frames(scene, path, 2, size))  # compiled and warm

    def timed(work):
        begin = time.perf_counter()
        result = work()
        return time.perf_counter() - begin, result

    def encode(frames):
        with VideoWriter(folder / "overlap.mp4", size, 25) as video:
            for frame, _ in frames:
                video.write(frame)

    rendering, frames = timed(lambda: list(film_frames(scene, path, 75, size)))
    encoding, _ = timed(lambda: encode(frames))
    together, _ = timed(lambda: encode(film_frames(scene, path, 75, size)))
    return {"rendering": rendering, "encoding": encoding, "together": together}


def print_table(report):
    def median(rows, key):
        return statistics.median(row[key] for row in rows)

    runs, overlap = report["runs"], report["overlap"]
    print(f"{report['size']}, {report['cores']} cores, median of {len(runs)} runs")
    for key in runs[0]:
        unit = "GB" if key == "peak_gb" else "s"
        print(f"  {key:12s} {median(runs, key):8.2f} {unit}")
    print("148 frames, warm:")
    for key in overlap[0]:
        print(f"  {key:12s} {median(overlap, key):8.2f} s")
    both = np.array([[row[k] for k in ("rendering", "encoding", "together")] for row in overlap])
    share = np.median(both[:, 2] / (both[:, 0] + both[:, 1]))
    print(f"  together / (rendering + encoding) {share:.2f}")


if __name__ == "__main__":
    run_telling(main)
