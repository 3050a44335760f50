"""Make a data set of synthetic scenes, or a picture of some: `python -m utils.synthetic --help`."""

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from utils.synthetic import generate_scene, write_shards


def contact_sheet(scenes: Sequence[dict[str, Any]], columns: int = 6) -> np.ndarray:
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        width, height = (int(part) for part in options.size.lower().split("x"))
    except ValueError:
        parser.error(f"--size must look like 256x192, got {options.size}")
    if (options.out is None) == (options.preview is None):
        parser.error("pass --out DIR for a data set or --preview PNG for a contact sheet")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
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
    except (ValueError, OSError, RuntimeError) as error:
        print(f"synthetic: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("synthetic: stopped; the same command goes on from here", file=sys.stderr)
        return 130
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
