"""Render images/example.jpg and its exact disparity: an autumn evening at a mountain lake.

    python images/render_example.py              # into images/; some ten minutes on two cores
    python images/render_example.py --preview    # a quick look, 384x256, into results/

Everything is made here, from formulas (example_scene/): no photograph, texture or model of anybody
else's. Scripts and pictures are under the project's LICENSE. The same command, the same picture.

Disparity, images/example_disparity.png: 16-bit grey, same size as the picture. Value = SCALE /
depth, rounded, where depth is the distance in metres along the optical axis of what the centre of
the pixel sees first (no blending at edges); larger is nearer, and the sky, infinitely far, is 1.
The camera is a pinhole, its axis through the middle, its focal length 1507 pixels.
"""

import argparse
import math
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from example_scene.denoise import denoise
from example_scene.scene import build
from example_scene.tracer import depth_row, render_row

EYE = (0.0, 2.30, 0.0)
PITCH = math.radians(-2.3)
FIELD_OF_VIEW = math.radians(54.0)
NEAREST = 2.4  # metres; nothing in the picture is nearer
SCALE = 65535 * NEAREST
EXPOSURE = 1.3
LARGEST = 495_000  # bytes; the repository should stay light


def camera(width):
    """Eye and axes of the camera (4, 3) and its focal length in pixels."""
    c, s = math.cos(PITCH), math.sin(PITCH)
    rows = EYE, (1.0, 0.0, 0.0), (0.0, -c, s), (0.0, s, c)
    return np.array(rows), 0.5 * width / math.tan(0.5 * FIELD_OF_VIEW)


def disparity_from(depth):
    """Depth (H, W) in metres to the uint16 values of the file."""
    return np.clip(np.rint(SCALE / depth), 1, 65535).astype(np.uint16)


def develop(radiance, seed=5):
    """Radiance (H, W, 3) to an 8-bit photograph: glow, vignette, film curve, sharpening, grain."""
    height, width, _ = radiance.shape
    image = radiance * EXPOSURE
    bright = np.minimum(image, 8.0)
    for share, spread in ((0.05, 0.004), (0.035, 0.016), (0.02, 0.06)):
        image = image * (1 - share) + share * cv2.GaussianBlur(bright, (0, 0), spread * width)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    image = image * (1 - 0.20 * (x * x + y * y))[..., None]
    image = film(image)
    image = image + 0.35 * (image - cv2.GaussianBlur(image, (0, 0), 0.9))
    grey = image @ np.float32([0.2126, 0.7152, 0.0722])
    image = grey[..., None] + 1.15 * (image - grey[..., None])
    grain = np.random.default_rng(seed).normal(0, 1, (height, width))
    grain = cv2.GaussianBlur(grain, (0, 0), 0.6)[..., None]
    image = image + 0.008 * grain * (1 - 0.6 * image)
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def film(image):
    """Filmic curve (Hable 2010) per channel, then gamma."""

    def curve(x):
        return (x * (0.22 * x + 0.03) + 0.002) / (x * (0.22 * x + 0.30) + 0.06) - 0.002 / 0.06

    image = curve(2.2 * np.maximum(image, 0)) / curve(11.0)
    return np.clip(image, 0, 1) ** (1 / 2.2)


def write_jpeg(path, picture):
    """Write the picture at the best quality that stays below LARGEST bytes."""
    for quality in range(92, 70, -1):
        _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        if data.size < LARGEST:
            break
    path.write_bytes(data.tobytes())


def render(scene, width, samples):
    """Picture (H, W, 3) as radiance, and depth (H, W) in metres; rows are shared among threads."""
    height = width * 2 // 3
    pose, focal_px = camera(width)
    depth, layers = np.empty((height, width)), np.empty((height, width, 10), np.float32)

    def render_one(row):
        depth_row(scene, pose, focal_px, row, depth)
        render_row(scene, pose, focal_px, row, samples, layers)
        return row

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row in pool.map(render_one, range(height)):
            print(f"row {row + 1} of {height}", end="\r", file=sys.stderr)
    image, variance, colour, normal = np.split(layers, (3, 4, 7), axis=2)
    return denoise(image, variance[..., 0], colour, normal), depth


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, help="folder (default: images, or results)")
    parser.add_argument("--width", type=int, default=1536, help="pixels; height is two thirds")
    parser.add_argument("--samples", type=int, default=32, help="rays per pixel")
    parser.add_argument("--preview", action="store_true", help="384 pixels wide, 6 rays per pixel")
    args = parser.parse_args()
    out = args.out or (Path("results") if args.preview else Path(__file__).resolve().parent)
    width, samples = (384, 6) if args.preview else (args.width, args.samples)
    start = time.time()
    scene = build(0.4 if args.preview else 1.0)
    print(f"scene: {len(scene.labels)} triangles, {time.time() - start:.0f} s")
    radiance, depth = render(scene, width, samples)
    print(f"rendered: {time.time() - start:.0f} s")
    out.mkdir(parents=True, exist_ok=True)
    write_jpeg(out / "example.jpg", develop(radiance))
    compress = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    cv2.imwrite(str(out / "example_disparity.png"), disparity_from(depth), compress)


if __name__ == "__main__":
    main()
