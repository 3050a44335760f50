"""How many films an hour a batch makes, and whether its memory stays flat.

    python -m benchmarks.batch [--photos FOLDER] [--count 200] [--rounds 3] [-- KBE FLAGS ...]

One process makes `--count` films; its memory is read from /proc as each result line comes. Then, in
turn: photos in a process each, a batch as it is, and a batch that does one thing after another
instead of preparing the next photos while a film is made.
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
from tqdm import tqdm

from benchmarks.folders import photos_in, run_telling

ROOT = Path(__file__).resolve().parents[1]
SERIAL = """
import sys, threading
import kbe, utils.cli.batch
stop = threading.Event()
utils.cli.batch.overlap = lambda jobs, prepare, finish, *_: (
    finish(job, prepare(job, stop), stop) for job in jobs)
sys.exit(kbe.main())
"""
EARLY = 20  # photos after which memory is compared with that at the end
AROUND = 5  # readings whose median counts, since it swings within each photo


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--photos",
        type=Path,
        default=ROOT / "images" / "example.jpg",
        help="folder of photos, or one photo that is cropped in many ways",
    )
    parser.add_argument("--count", type=int, default=200, help="photos of the long batch")
    parser.add_argument("--size", default="640x480", help="the photos are cropped to it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", type=int, default=12, help="photos of the batches compared")
    parser.add_argument("--json", type=Path, default=Path("results/batch.json"))
    parser.add_argument("flags", nargs="*", help="further flags of kbe.py, after --")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos = prepare(args.photos, args.count, args.size, Path(folder) / "photos")
        short = [str(photo) for photo in photos[: args.short]]

        def run(kind, program, inputs, flags=args.flags):
            return run_batch(program, inputs, Path(folder) / kind, flags, kind)

        run("warm", ["kbe.py"], short[:1])  # compiles the kernels
        rounds = [
            {
                "single": run("single", ["kbe.py"], [short[number % len(short)]]),
                "batch": run("batch", ["kbe.py"], short),
                "one by one": run("serial", ["-c", SERIAL], short),
            }
            for number in range(args.rounds)
        ]
        long = run("long", ["kbe.py"], list(map(str, photos)))
    report = {"cores": os.cpu_count(), "size": args.size, "rounds": rounds, "long": long}
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(report, indent=2), encoding="utf-8")
    print_table(report)


def prepare(source, count, size, folder):
    """Write `count` different photos of `size`; return their paths."""
    width, height = map(int, size.split("x"))
    found = photos_in(source) if source.is_dir() else [source]
    rng, photos = np.random.default_rng(0), []
    folder.mkdir()
    for number in range(count):
        pixels = cv2.imread(str(found[number % len(found)]))
        if pixels is None:
            sys.exit(f"no readable photo at {found[number % len(found)]}: pass --photos FOLDER")
        scale = rng.uniform(1, 1.3) * max(width / pixels.shape[1], height / pixels.shape[0])
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        top, left = (
            rng.integers(0, have - want + 1)
            for have, want in zip(pixels.shape, (height, width), strict=False)
        )
        photos.append(folder / f"{number:04d}.jpg")
        cv2.imwrite(str(photos[-1]), pixels[top : top + height, left : left + width])
    return photos


def run_batch(program, photos, out, flags, kind=None):
    """Run kbe.py; return when each result came, s from the start, and the memory then, MB.

    On a terminal a bar named `kind` counts the photos.
    """
    command = [sys.executable, *program, "--in", *photos, "--out", str(out), "--json", *flags]
    start = time.perf_counter()
    seconds, memory, cpu = [], [], time_of_children()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        for line in tqdm(process.stdout, kind, len(photos), unit=" photos", disable=None):
            result = json.loads(line)
            if "error" in result:
                sys.exit(result["error"])
            seconds.append(time.perf_counter() - start)
            memory.append(resident_mb(process.pid))
        complaints = process.stderr.read()
    if process.returncode:
        sys.exit(complaints)
    wall = time.perf_counter() - start
    return {
        "photos": len(photos),
        "wall": wall,
        "cpu": time_of_children() - cpu,
        "done": seconds,
        "resident_mb": memory,
    }


def time_of_children():
    """Processor time of all processes that this one has started and that have ended, s."""
    times = os.times()
    return times.children_user + times.children_system


def resident_mb(pid):
    """Return what a process holds in memory, MB; None where there is no /proc."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    except (OSError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def per_photo(batch):
    """Seconds between results once it runs, from the first to the last."""
    done = batch["done"]
    return (done[-1] - done[0]) / (len(done) - 1) if len(done) > 1 else batch["wall"]


def memory_around(batch, count):
    """Median memory over the results around the one numbered `count`, MB; None if unknown."""
    near = batch["resident_mb"][max(0, count - AROUND) : count + AROUND]
    return statistics.median(near) if near and None not in near else None


def print_table(report):
    rounds, long = report["rounds"], report["long"]

    def median(kind, value):
        return statistics.median(value(row[kind]) for row in rounds)

    single = median("single", lambda run: run["wall"])
    print(f"{report['size']}, {report['cores']} cores, median of {len(rounds)} rounds, in turn")
    print(
        f"{'':12s} {'photos':>6s} {'s a photo':>10s} {'cpu s a photo':>14s} {'an hour':>8s} "
        f"{'of a single run':>16s}"
    )
    for kind in rounds[0]:
        photos = rounds[0][kind]["photos"]
        wall = median(kind, lambda run: run["wall"] / run["photos"])
        cpu = median(kind, lambda run: run["cpu"] / run["photos"])
        print(
            f"{kind:12s} {photos:6d} {wall:10.2f} {cpu:14.2f} {3600 / wall:8.0f} "
            f"{100 * wall / single:14.0f} %"
        )
    running = median("batch", per_photo)
    print(
        f"start-up and first photo beyond {running:.2f} s a photo: "
        f"{100 * (single - running) / single:.0f} % of a single run, "
        f"{100 * (1 - running * long['photos'] / long['wall']):.0f} % of {long['photos']} photos"
    )
    if rounds[0]["batch"]["photos"] > 1:
        ratio = statistics.median(
            per_photo(row["batch"]) / per_photo(row["one by one"]) for row in rounds
        )
        print(f"batch / one by one, between first and last result: {ratio:.2f}")
    print(
        f"{long['photos']} photos in {long['wall']:.0f} s: "
        f"{3600 * long['photos'] / long['wall']:.0f} an hour"
    )
    early, late = (memory_around(long, count) for count in (EARLY, long["photos"]))
    if early and late:
        print(
            f"memory after {EARLY}: {early:.0f} MB, after {long['photos']}: {late:.0f} MB "
            f"({100 * (late / early - 1):+.1f} %)"
        )


if __name__ == "__main__":
    run_telling(main)
