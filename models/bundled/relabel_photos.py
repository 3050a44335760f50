"""Better pseudo-labels for photographs: the mean of what a first teacher and our network say.

    python -m models.bundled.relabel_photos DATA/photos data/photos-relabelled \\
        models/bundled/disparity-estimation.safetensors

Both folders hold images/, disparity/ (relative, 8 bit) and confidence/ (255 = trusted). Our network
looks at each photo at three sizes, each plain and mirrored; confidence falls where it and the first
teacher disagree, and stays low where the teacher was unsure.
"""

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

from utils.checkpoints import load_estimator
from utils.disparity import resize_disparity
from utils.estimators import look, resize_image, working_size
from utils.images import read_image
from utils.metrics import align

SIDES = (256, 320, 384)
DOUBT = 9.0  # as of the first labels: confidence exp(-DOUBT * disagreement)
PERCENTILES = (0.5, 99.5)  # of a label, which 0 and 255 stand for


@torch.inference_mode()
def steady_guess(network, image, size):
    """Mean estimate of (1, 3, H, W) over SIDES, as (1, 1, *size)."""
    looks = [look(network, resize_image(image, working_size(image.shape[2:], side)))
             for side in SIDES]
    looks = [resize_disparity(one, size) for one in looks]
    return torch.stack([align(one, looks[1], torch.ones_like(one)) for one in looks]).mean(dim=0)


def relabel(image, label, confidence, network):
    """Return the new label (h, w) and its confidence, both uint8, of one photo.

    Args:
        image: (H, W, 3) uint8.
        label: (h, w) uint8, of the first teacher.
        confidence: (h', w') uint8.
        network: CompactDisparity in eval mode.
    """
    photo = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    first = torch.from_numpy(label)[None, None].float() / 255
    trust = torch.from_numpy(confidence)[None, None].float() / 255
    ours = align(steady_guess(network, photo, label.shape), first,
                 resize_disparity(trust, label.shape))
    apart = resize_disparity((ours - first).abs(), confidence.shape) / 2
    mean = ((ours + first) / 2)[0, 0].numpy()
    low, high = np.percentile(mean, PERCENTILES)
    stretched = ((mean - low) / max(high - low, 1e-6)).clip(0, 1)
    trust = trust * torch.exp(-DOUBT * apart)
    return (stretched * 255).round().astype(np.uint8), (trust[0, 0] * 255).byte().numpy()


def main(source, target, weights):
    """Relabel a folder; the photographs are copied beside their new labels."""
    network = load_estimator(weights, "cpu")
    for name in ("images", "disparity", "confidence"):
        (Path(target) / name).mkdir(parents=True, exist_ok=True)
    for path in tqdm(sorted((Path(source) / "images").iterdir())):
        maps = [cv2.imread(str(Path(source) / name / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)
                for name in ("disparity", "confidence")]
        relabelled = relabel(read_image(path).pixels, *maps, network)
        for name, values in zip(("disparity", "confidence"), relabelled, strict=True):
            cv2.imwrite(str(Path(target) / name / f"{path.stem}.png"), values)
        shutil.copyfile(path, Path(target) / "images" / path.name)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
