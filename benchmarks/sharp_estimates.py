"""Does a sharp estimate keep its edges on the way into the film? Boundary error on exact scenes.

    python -m benchmarks.sharp_estimates [--scenes N]

The truth of drawn scenes of 1024x768, averaged down to a long side of 518 px, stands for what a
large network estimates. `film`: what reaches the film (`refine_disparity`). `quarter`: the same
pushed through the quarter-size copy that refinement networks take. Depth boundary error in px as
in benchmarks/depth.py, and the mean absolute error as a share of the nearest disparity.
"""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import trange

from benchmarks.folders import run_telling
from models import BUNDLED
from models.roles import scaled_size
from utils.depth.estimators import refine_disparity
from utils.depth.sharpening import resize_disparity, upsample_disparity
from utils.synthetic import generate_scene
from utils.training import metrics
from utils.weights.loading import load_network

SIZE, SIDE, SEED = (768, 1024), 518, 9200


@torch.inference_mode()
def main():
    """Print the figures of both ways."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=16, help="how many (%(default)s)")
    count = parser.parse_args().scenes
    network = load_network(BUNDLED / "disparity-refinement.safetensors", "refinement")
    rows = {"film": [], "quarter": []}
    for index in trange(count):
        scene = generate_scene(SEED, index, SIZE, views=1)
        image = torch.from_numpy(scene["image"][0]).permute(2, 0, 1)[None] / 255
        truth = torch.from_numpy(1 / scene["depth"][0].astype(np.float32))[None, None]
        estimate = F.interpolate(truth, scaled_size(SIZE, SIDE), mode="area")
        size = network.working_size(SIZE, estimate.shape[2:])
        small = resize_disparity(estimate, [side // 4 for side in size])
        shrunk = F.interpolate(image, size, mode="area")
        ways = {
            "film": refine_disparity(network, image, estimate),
            "quarter": upsample_disparity(network.refine(shrunk, small), image),
        }
        for name, disparity in ways.items():
            error = {"error": float((disparity - truth).abs().mean() / truth.max())}
            rows[name].append(metrics.boundary_error(disparity, truth) | error)
    for name, found in rows.items():
        means = {key: np.nanmean([row[key] for row in found]) for key in found[0]}
        print(name, *(f"{key} {value:.4f}" for key, value in means.items()), sep="  ")


if __name__ == "__main__":
    run_telling(main)
