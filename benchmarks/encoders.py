"""What x264's settings cost and give: SSIM, bytes and time of the default film, in one table.

    python -m benchmarks.encoders [--photos FOLDER] [--only NAME ...] [--crf 15 17 ...] [--runs 2]

Every photo is filmed once (1024x768, 148 frames, by the networks that a film would take); the
frames are then encoded with each candidate at each CRF, as `VideoWriter` does it, in turn. For each
candidate the CRF is found at which its SSIM equals that of today's setting (`h264` of CODECS at its
default; --reference NAME CRF takes another), by a straight line through the CRFs tried, and the
bytes and times there, as shares of today's. Times are those of encoding alone (wall) and of all
threads together (CPU). Where another program is running, only the CPU time can be trusted.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.folders import photos_in, run_telling
from benchmarks.pipeline import ROOT, prepare
from utils.film import codecs
from utils.film.containers import open_container

SHOWN = range(0, 148, 7)  # frames whose SSIM is taken
FRAME = {"thread_type": "frame"}
LEAN = FRAME | {"preset": "superfast", "mbtree": "0"}
CANDIDATES = {
    "veryfast, slices": {"preset": "veryfast", "mbtree": "0"},
    "veryfast": FRAME | {"preset": "veryfast", "mbtree": "0"},
    "veryfast, 4 threads": FRAME | {"preset": "veryfast", "mbtree": "0", "threads": "4"},
    "veryfast, subme 1": FRAME | {"preset": "veryfast", "mbtree": "0", "x264-params": "subme=1"},
    "veryfast, zerolatency": {"preset": "veryfast", "mbtree": "0", "tune": "zerolatency"},
    "veryfast, fastdecode": FRAME | {"preset": "veryfast", "mbtree": "0", "tune": "fastdecode"},
    "superfast": LEAN,
    "superfast, fastdecode": LEAN | {"tune": "fastdecode"},
    "superfast, subme 2": LEAN | {"x264-params": "subme=2"},
    "superfast, subme 2, tune ssim": LEAN | {"tune": "ssim", "x264-params": "subme=2"},
    "superfast, subme 2, slices": {"preset": "superfast", "mbtree": "0", "x264-params": "subme=2"},
    "superfast, subme 2, 5 B": LEAN | {"bf": "5", "x264-params": "subme=2"},
    "superfast, subme 2, hex": LEAN | {"x264-params": "subme=2:me=hex"},
    "superfast, subme 2, p8x8": LEAN | {"x264-params": "subme=2:partitions=i8x8,i4x4,p8x8"},
    "superfast, subme 2, no 8x8dct": LEAN | {"x264-params": "subme=2:8x8dct=0"},
    "superfast, subme 2, B adapt 0": LEAN | {"x264-params": "subme=2:b-adapt=0"},
    "superfast, 5 B": LEAN | {"bf": "5"},
    "superfast, 5 B, B adapt 0": LEAN | {"bf": "5", "x264-params": "b-adapt=0"},
    "superfast, subme 2, 5 B, B adapt 0": LEAN | {"bf": "5", "x264-params": "subme=2:b-adapt=0"},
    "the same, no scene cuts": LEAN | {"bf": "5", "x264-params": "subme=2:b-adapt=0:scenecut=0"},
    "the same, 8 B": LEAN | {"bf": "8", "x264-params": "subme=2:b-adapt=0:scenecut=0"},
    "superfast, tune ssim": LEAN | {"tune": "ssim"},
    "superfast, subme 2, ref 2": LEAN | {"x264-params": "subme=2:ref=2"},
    "superfast, weightp 1": LEAN | {"x264-params": "weightp=1"},
    "superfast, i4x4": LEAN | {"x264-params": "partitions=i8x8,i4x4,p8x8"},
    "superfast, lookahead 10": LEAN | {"rc-lookahead": "10"},
    "superfast, no B": LEAN | {"bf": "0"},
    "superfast, B adapt 0": LEAN | {"x264-params": "b-adapt=0"},
    "ultrafast": FRAME | {"preset": "ultrafast"},
    "ultrafast, CABAC": FRAME
    | {"preset": "ultrafast", "x264-params": "cabac=1:deblock=1,0,0:bframes=3:8x8dct=1"},
    "ultrafast, CABAC, aq": FRAME
    | {
        "preset": "ultrafast",
        "x264-params": "cabac=1:deblock=1,0,0:bframes=3:8x8dct=1:"
        "aq-mode=1:weightp=1:scenecut=40:mbtree=0",
    },
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, help="a folder of more photos than the example")
    parser.add_argument("--limit", type=int, default=4, help="how many of them")
    parser.add_argument("--size", default="1024x768", help="photos are cropped and resized to it")
    parser.add_argument(
        "--only", nargs="+", choices=CANDIDATES, metavar="NAME", help="of: " + "; ".join(CANDIDATES)
    )
    parser.add_argument("--crf", nargs="+", type=int, default=[15, 17, 19])
    parser.add_argument("--reference", nargs=2, metavar=("NAME", "CRF"), help="a candidate")
    parser.add_argument("--frames", type=int, default=148, help="encode only the first so many")
    parser.add_argument("--runs", type=int, default=1, help="the fastest of so many counts")
    parser.add_argument("--json", type=Path, default=Path("results/encoders.json"))
    args = parser.parse_args()
    photos = [ROOT / "images" / "example.jpg"]
    if args.photos:
        photos += photos_in(args.photos)[: args.limit]
    today = codecs.CODECS["h264"]
    reference = [today.options, [today.quality]]
    if args.reference:
        reference = [CANDIDATES[args.reference[0]], [int(args.reference[1])]]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for photo in photos:
            frames = render(prepare(photo, args.size, Path(folder)), Path(folder), args.frames)
            tried = [("today", *reference)]
            tried += [(name, CANDIDATES[name], args.crf) for name in args.only or CANDIDATES]
            for name, options, crfs in tried:
                for crf in crfs:
                    found = encode(frames, options, crf, Path(folder) / "film.mp4", args.runs)
                    rows.append({"photo": photo.name, "name": name, "crf": crf, **found})
                    print(f"\r{photo.name}: {name}, CRF {crf}".ljust(70), end="", file=sys.stderr)
    print(file=sys.stderr)
    codecs.CODECS["h264"] = today
    equal = at_equal_ssim(rows)
    print_table(equal)
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(
        json.dumps(
            {"cores": os.cpu_count(), "size": args.size, "rows": rows, "equal": equal}, indent=1
        ),
        encoding="utf-8",
    )


def render(photo, folder, frames):
    """Return the first frames of a photo's default film, a list of (H, W, 3) uint8."""
    import kbe
    from utils import cli, film, weights
    from utils.cli.command_line import settings_from

    settings = settings_from({"inputs": [photo], "out": folder / "film", "device": "cpu"})
    (job,) = cli.plan_run(settings).jobs
    ready = kbe.prepare(job, settings, weights.choose_networks(settings), cli.Shared())
    count, _ = film.film_length(settings.duration, settings.fps, settings.loop)
    shown = film.film_frames(ready.view, ready.path, count, ready.plan.view_size)
    return [frame for frame, _ in itertools.islice(shown, frames)]


def encode(frames, options, crf, path, runs):
    """Encode with VideoWriter; return SSIM, bytes, and the least wall and CPU seconds of `runs`."""
    from utils.film.video import VideoWriter

    codecs.CODECS["h264"] = codecs.CODECS["h264"]._replace(options=options)
    walls, cpus = [], []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        with VideoWriter(path, frames[0].shape[:2], 25, quality=crf) as video:
            for frame in frames:
                video.write(frame)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    with open_container(path) as film:
        ssims = [
            ssim(grey(frames[number]), shown.to_ndarray(format="gray"))
            for number, shown in enumerate(film.decode(video=0))
            if number in SHOWN
        ]
    return {
        "ssim": float(np.mean(ssims)),
        "bytes": path.stat().st_size,
        "wall_s": min(walls),
        "cpu_s": min(cpus),
    }


def grey(pixels):
    """(H, W) uint8 luma of (H, W, 3) uint8 RGB, as BT.709 and full range define it."""
    return (pixels @ np.float32([0.2126, 0.7152, 0.0722])).round().astype(np.uint8)


def ssim(one, other):
    """Structural similarity of two (H, W) uint8 pictures (Wang et al., 2004; sigma 1.5)."""

    def blur(picture):
        return cv2.GaussianBlur(picture, (11, 11), 1.5)

    one, other = np.float32(one), np.float32(other)
    mean, mean_other = blur(one), blur(other)
    variances = blur(one * one) - mean**2 + blur(other * other) - mean_other**2
    covariance = blur(one * other) - mean * mean_other
    small, smaller = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(
        (
            (2 * mean * mean_other + small)
            * (2 * covariance + smaller)
            / ((mean**2 + mean_other**2 + small) * (variances + smaller))
        ).mean()
    )


def at_equal_ssim(rows):
    """Return, per candidate, the CRF of today's SSIM and the shares of today's bytes and times."""
    photos = list(dict.fromkeys(row["photo"] for row in rows))
    table = []
    for name in dict.fromkeys(row["name"] for row in rows if row["name"] != "today"):
        shares = []
        for photo in photos:
            own = [row for row in rows if row["photo"] == photo]
            today = next(row for row in own if row["name"] == "today")
            curve = sorted(
                (row["ssim"], row["crf"], np.log(row["bytes"]), row["wall_s"], row["cpu_s"])
                for row in own
                if row["name"] == name
            )
            ssims, *columns = map(np.array, zip(*curve, strict=True))
            crf, size, wall, cpu = (line(ssims, column, today["ssim"]) for column in columns)
            shares.append(
                (crf, np.exp(size) / today["bytes"], wall / today["wall_s"], cpu / today["cpu_s"])
            )
        crf, size, wall, cpu = np.mean(shares, axis=0)
        table.append(
            {
                "name": name,
                "crf": crf,
                "bytes": size,
                "wall": wall,
                "cpu": cpu,
                "most_bytes": max(share[1] for share in shares),
            }
        )
    return table


def line(x, y, at):
    """The value at `at` of the straight line through (x, y) by least squares."""
    return float(np.polyval(np.polyfit(x, y, min(1, len(x) - 1)), at))


def print_table(table):
    print(f"at today's SSIM, as shares of today's  ({os.cpu_count()} cores)")
    print(f"  {'':34s} {'CRF':>6s} {'bytes':>7s} {'most':>7s} {'wall':>7s} {'CPU':>7s}")
    for row in table:
        print(
            f"  {row['name']:34s} {row['crf']:6.2f} {row['bytes']:7.3f} {row['most_bytes']:7.3f} "
            f"{row['wall']:7.3f} {row['cpu']:7.3f}"
        )


if __name__ == "__main__":
    run_telling(main)
