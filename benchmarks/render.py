"""How long a frame takes: our renderer beside plain versions of the same method, in turn.

    python -m benchmarks.render [--frames 74] [--rounds 5] [--threads 2] [--json FILE]

A layered scene at 1024x768 is filmed along the default camera path, once with everything that the
camera uncovers already in the cloud (no holes), once without, on a path stretched until 6 % of the
average frame are holes. `kernels.render_frame` renders in a pool of threads; in the same pool runs
the method of `render_pointcloud` and `fill_disocclusion` written with torch's own operators. Rounds
alternate between the two, and the median round counts. `cpu ms` is processor time per frame; on a
machine that does nothing else, the time per frame is that divided by the threads.

Then the price of soft rims: the second film once more as a `Scene` with and without them.

Where there is a CUDA device, 1920x1080 frames are compared with a straightforward version of three
kernels and a fill (`three_kernels.cu`).
"""

import argparse
import json
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

import kernels
from benchmarks.folders import run_telling
from kernels.cpu_fill import UNITS
from utils.camera import complete_windows, default_focal_px, path_times, published_path
from utils.scene import FarSide, Scene

BASELINE = 120
HOLE_SHARE = 0.06
FAR, NEAREST = 25.0, 120.0  # disparities of the scene, px
OPPOSITE = ((0, 1), (1, 0), (1, 1), (-1, 1))  # (dy, dx) to one of two opposite neighbours


# --- the scene -----------------------------------------------------------------------------------
def make_scene(size, complete):
    """A wavy background with discs before it, as the cloud of a photo.

    Args:
        size: (height, width), px.
        complete: also lift what the discs hide and a margin around the photo.
    Returns:
        points (3, N) float32, colors (N, 3) uint8, spacing (N,) float32.
    """
    margin = int(0.02 * size[1]) if complete else 0
    height, width = size[0] + 2 * margin, size[1] + 2 * margin
    v, u = np.mgrid[:height, :width].astype(np.float32) - margin
    background = FAR + 6 * np.sin(u / size[1] * 9) + 4 * np.cos(v / size[0] * 7)
    disparity, layers = background.copy(), [(background, np.ones((height, width), bool))]
    rng = np.random.default_rng(0)
    for near in np.linspace(45, NEAREST, 9):
        center, radius = rng.uniform(0.1, 0.9, 2) * size, rng.uniform(0.05, 0.13) * size[1]
        disc = np.hypot(v - center[0], u - center[1]) < radius
        disparity[disc] = near + 0.02 * (u - center[1])[disc]
    visible = disparity != background
    layers.append((disparity, visible))
    if not complete:
        layers = [(disparity, np.ones((height, width), bool))]
    clouds = [lift(layer, mask, u, v, size) for layer, mask in layers]
    return tuple(
        np.ascontiguousarray(np.concatenate(part, -1 if k == 0 else 0))
        for k, part in enumerate(zip(*clouds, strict=True))
    )


def lift(disparity, mask, u, v, size):
    """Points, colours and spacing of the masked pixels of one layer."""
    focal = default_focal_px(size)
    u, v, disparity = u[mask], v[mask], disparity[mask]
    depth = focal * BASELINE / disparity
    x, y = (u - (size[1] - 1) / 2) * depth / focal, (v - (size[0] - 1) / 2) * depth / focal
    waves = np.stack([np.sin(u / 7), np.sin(v / 9), np.sin((u + v) / 5)], -1)
    colors = (127 + 100 * waves + disparity[:, None] / 10).clip(0, 255).astype(np.uint8)
    return np.stack([x, y, depth]).astype(np.float32), colors, (depth / focal).astype(np.float32)


def camera_poses(size, count, stretch=1.0):
    """Shift and focal length (px of the frame) along the default path, sideways stretched."""
    start, end, *_ = complete_windows(size)
    depth = default_focal_px(size) * BASELINE / NEAREST
    path = published_path(start, end, size, depth, default_focal_px(size))
    poses = [path.pose(t) for t in path_times(count)]
    return [
        ((stretch * p.shift[0], stretch * p.shift[1], p.shift[2]), path.view_focal_px(p, size))
        for p in poses
    ]


def stretch_for_holes(scene, size, share):
    """How far to stretch the path so that this share of the average frame are holes."""
    low, high = 0.0, 30.0
    for _ in range(12):
        middle = (low + high) / 2
        poses = camera_poses(size, 7, middle)
        low, high = (middle, high) if hole_share(scene, size, poses) < share else (low, middle)
    return (low + high) / 2


def hole_share(scene, size, poses):
    """Average share of holes of some frames."""
    frames = [ours(scene, size, pose, fill=False)[1] for pose in poses]
    return float(np.mean([holes.mean() for holes in frames]))


def ours(scene, size, pose, fill=True):
    view = kernels.View(pose[0], size, pose[1], default_focal_px(size) * BASELINE)
    return kernels.render_frame(kernels.Cloud(*scene), view, fill)


# --- the same method with torch's operators ------------------------------------------------------
def plain_torch(scene, size, pose):
    """One frame: scatter the nearest disparity, degrid, scatter four weighted corners, fill."""
    points, colors = (torch.from_numpy(array) for array in scene[:2])
    x, y, z = points + torch.tensor(pose[0], dtype=torch.float32)[:, None]
    u = x * pose[1] / z + (size[1] - 1) / 2
    v = y * pose[1] / z + (size[0] - 1) / 2
    key = torch.where(z > 1e-3, default_focal_px(size) * BASELINE / z, -torch.inf)
    area = size[0] * size[1]
    zbuffer = torch.zeros(area + 1)  # one more for what lies outside
    zbuffer.scatter_reduce_(0, to_pixel((u + 0.5).floor(), (v + 0.5).floor(), size), key, "amax")
    zbuffer[:area] = degrid(zbuffer[:area].view(size)).flatten()
    left, top = u.floor(), v.floor()
    values = torch.cat([colors.T.float(), torch.ones(1, len(colors))])
    sums = torch.zeros(4, area + 1)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        weight = (1 - (u - left - dx).abs()) * (1 - (v - top - dy).abs())
        pixel = to_pixel(left + dx, top + dy, size)
        weight = torch.where(key >= zbuffer[pixel] - 1, weight, 0)
        for plane, value in zip(sums, values, strict=True):
            plane.scatter_add_(0, pixel, value * weight)
    view = (sums[:3, :area] / sums[3, :area].clamp(min=1e-7)).add_(0.5).clamp_(0, 255).byte()
    known = sums[3, :area] >= 1e-4
    disparity = zbuffer[:area].view(1, 1, *size)
    disparity = torch.where(disparity > 0, disparity, F.max_pool2d(disparity, 3, 1, 1))
    holes, sources = fill_sources(known.view(size), disparity.flatten())
    view[:, holes] = view[:, sources]
    return view.view(3, *size).permute(1, 2, 0).contiguous().numpy(), ~known.view(size).numpy()


def to_pixel(column, row, size):
    """Index of the pixel at rounded positions; outside the frame, one after the last."""
    inside = (column >= 0) & (column < size[1]) & (row >= 0) & (row < size[0])
    return torch.where(inside, row * size[1] + column, size[0] * size[1]).long()


def degrid(zbuffer):
    """A copy of a z-buffer (H, W) with one-pixel cracks closed."""
    height, width = zbuffer.shape
    padded = F.pad(zbuffer, (1, 1, 1, 1), value=-torch.inf)
    total, count = torch.zeros_like(zbuffer), torch.zeros_like(zbuffer)
    for dy, dx in OPPOSITE:
        first = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        second = padded[1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]
        both = (first >= zbuffer + 1) & (second >= zbuffer + 1)
        total += torch.where(both, first + second, 0)
        count += 2 * both
    return torch.where(count > 0, torch.maximum(zbuffer, total / count.clamp(min=1)), zbuffer)


def fill_sources(known, disparity):
    """Flat indices of the holes, and of the pixels that each takes its value from."""
    rows, columns = (~known).nonzero(as_tuple=True)
    holes = rows * known.shape[1] + columns
    best, sources = torch.full((len(holes),), torch.inf), holes.clone()
    for unit in torch.from_numpy(UNITS):
        back, ahead = (walk(columns, rows, sign * unit, known) for sign in (-1, 1))
        found = (back >= 0) & (ahead >= 0)
        across = back % known.shape[1] - ahead % known.shape[1]
        along = back // known.shape[1] - ahead // known.shape[1]
        length = torch.where(found, torch.hypot(across.float(), along.float()), torch.inf)
        farther = torch.where(disparity[ahead] < disparity[back], ahead, back)
        better = length < best
        best, sources = torch.where(better, length, best), torch.where(better, farther, sources)
    return holes, sources


def walk(x, y, step, known):
    """Index of the first known pixel from every position along a step; -1 where the frame ends."""
    ends, walking, area = torch.full_like(x, -1), torch.arange(len(x)), known.numel()
    known_or_outside = torch.cat([known.flatten(), torch.ones(1, dtype=torch.bool)])
    while len(walking):
        x, y = x + step[0], y + step[1]
        pixel = to_pixel((x + 0.5).floor(), (y + 0.5).floor(), known.shape)
        stop = known_or_outside[pixel]
        ends[walking[stop]] = torch.where(pixel == area, -1, pixel)[stop]
        x, y, walking = x[~stop], y[~stop], walking[~stop]
    return ends


# --- timing --------------------------------------------------------------------------------------
def time_cpu(args):
    """Time both versions on both films; list of rows of the table."""
    size = tuple(args.size)
    rows = []
    for name, complete in (("no holes", True), (f"{HOLE_SHARE:.0%} holes", False)):
        scene = make_scene(size, complete)
        stretch = 1.0 if complete else stretch_for_holes(scene, size, HOLE_SHARE)
        poses = camera_poses(size, args.frames, stretch)
        share = hole_share(scene, size, poses[::4])
        with ThreadPoolExecutor(args.threads) as pool:
            times = time_in_turn(pool, scene, size, poses, args)
        rows.append({
            "film": f"{size[1]}x{size[0]}, {name}", "points": scene[0].shape[1],
            "hole_share": share, **times, "ratio": times["plain_ms"] / times["ms"],
            "differing": difference(scene, size, poses[len(poses) // 2]),
        })  # fmt: skip
    return rows


def time_in_turn(pool, scene, size, poses, args):
    """Median ms per frame of ours and of the plain version, in alternating rounds."""
    few = poses[:: max(1, len(poses) // args.plain_frames)]

    def film():
        return list(pool.map(lambda pose: ours(scene, size, pose)[1].any(), poses))

    def plain_film():
        return list(pool.map(lambda pose: plain_torch(scene, size, pose)[1].any(), few))

    list(pool.map(lambda pose: ours(scene, size, pose), poses[: 2 * args.threads]))  # compile
    rounds = [
        timed(film) + timed(plain_film) for _ in tqdm(range(args.rounds), "rounds", disable=None)
    ]
    names = "ms", "cpu_ms", "plain_ms", "plain_cpu_ms"
    return dict(zip(names, map(statistics.median, zip(*rounds, strict=True)), strict=True))


def timed(film):
    """Wall and processor time per frame of a function that renders some, ms."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = len(film())
    return ((time.perf_counter() - wall) * 1e3 / count, (time.process_time() - cpu) * 1e3 / count)


def difference(scene, size, pose):
    """Share of the values of one frame, holes aside, that differ by more than one grey level."""
    (frame, holes), (plain, plain_holes) = ours(scene, size, pose), plain_torch(scene, size, pose)
    known = ~(holes | plain_holes)
    return float(np.mean(np.abs(frame.astype(int) - plain)[known] > 1))


def time_rims(args):
    """Frames of one scene with soft rims and without, in turn; a dict of figures."""
    size = tuple(args.size)
    points, colors, _ = make_scene(size, complete=False)
    image = torch.from_numpy(colors.reshape(*size, 3)).permute(2, 0, 1)[None] / 255
    disparity = torch.from_numpy(default_focal_px(size) * BASELINE / points[2])
    scenes = [
        Scene(image, disparity.view(1, 1, *size), default_focal_px(size), BASELINE, rims=rims)
        for rims in (False, True)
    ]
    poses = camera_poses(size, args.frames)
    for scene in scenes:
        scene.inpaint(FarSide(), tuple(1.1 * value for value in poses[-1][0]))
        scene.render(*poses[0], size)
    with ThreadPoolExecutor(args.threads) as pool:
        rounds = [
            [
                figure
                for scene in scenes
                for figure in timed(
                    lambda scene=scene: list(pool.map(lambda p: scene.render(*p, size), poses))
                )
            ]
            for _ in range(args.rounds)
        ]
    opaque, opaque_cpu, soft, soft_cpu = map(statistics.median, zip(*rounds, strict=True))
    return {
        "points": scenes[1].cloud()[0].shape[1], "rim_points": scenes[1].rims()[0].shape[1],
        "opaque_ms": opaque, "opaque_cpu_ms": opaque_cpu, "ms": soft, "cpu_ms": soft_cpu,
        "ratio": soft / opaque, "cpu_ratio": soft_cpu / opaque_cpu,
    }  # fmt: skip


def time_gpu(args):
    """Time `render_frame` and the three-kernel version on the GPU at 1920x1080."""
    from benchmarks.three_kernels import ThreeKernels

    size, rows = (1080, 1920), []
    for name, complete in (("no holes", True), (f"{HOLE_SHARE:.0%} holes", False)):
        scene = make_scene(size, complete)
        stretch = 1.0 if complete else stretch_for_holes(scene, size, HOLE_SHARE)
        poses = camera_poses(size, args.frames, stretch)
        cloud = [torch.from_numpy(array).cuda() for array in scene]
        plain = ThreeKernels(cloud[0], cloud[1], default_focal_px(size) * BASELINE)
        times = [
            gpu_round(cloud, plain, size, poses)
            for _ in tqdm(range(args.rounds + 1), "rounds", disable=None)
        ][1:]
        fast, slow = (statistics.median(column) for column in zip(*times, strict=True))
        frame, straight = ours(cloud, size, poses[-1])[0], plain.render(size, *poses[-1])
        differing = ((frame.int() - straight.int()).abs() > 1).float().mean().item()
        rows.append({
            "film": f"{torch.cuda.get_device_name()} 1920x1080, {name}",
            "points": scene[0].shape[1], "hole_share": hole_share(scene, size, poses[::8]),
            "ms": fast, "plain_ms": slow, "ratio": slow / fast, "differing": differing,
        })  # fmt: skip
    return rows


def gpu_round(cloud, plain, size, poses):
    """Ms per frame of both versions, each film timed as a whole."""
    times = []
    for render in (lambda pose: ours(cloud, size, pose), lambda pose: plain.render(size, *pose)):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for pose in poses:
            render(pose)
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) * 1e3 / len(poses))
    return times


def print_table(rows):
    print(
        f"{'film':40s} {'points':>8s} {'holes':>6s} {'ours ms':>8s} {'cpu ms':>7s} "
        f"{'plain ms':>9s} {'cpu ms':>8s} {'ratio':>6s} {'differing':>9s}"
    )
    for row in rows:
        print(
            f"{row['film']:40s} {row['points']:8d} {row['hole_share']:6.1%} {row['ms']:8.2f} "
            f"{row.get('cpu_ms', 0):7.2f} {row['plain_ms']:9.1f} "
            f"{row.get('plain_cpu_ms', 0):8.1f} {row['ratio']:6.1f} {row['differing']:9.2%}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=74, help="frames of the film")
    parser.add_argument("--plain-frames", type=int, default=2, help="of them, by the plain version")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, nargs=2, default=(768, 1024), metavar=("H", "W"))
    parser.add_argument("--json", type=Path, default=Path("results/render.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)  # frames run side by side; a frame cut into threads is slower
    rows = time_cpu(args)
    if torch.cuda.is_available():
        rows += time_gpu(args)
    print_table(rows)
    rims = time_rims(args)
    print(
        f"soft rims: {rims['points']} + {rims['rim_points']} points, {rims['ms']:.2f} ms a frame "
        f"({rims['cpu_ms']:.2f} cpu), {rims['ratio']:.3f} x opaque ({rims['cpu_ratio']:.3f} cpu)"
    )
    report = {
        "cores": os.cpu_count(),
        "threads": args.threads,
        "load": os.getloadavg()[0],
        "rows": rows,
        "rims": rims,
    }
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(report, indent=2), encoding="utf-8")


if __name__ == "__main__":
    run_telling(main)
