"""Better pseudo-labels for photographs: the mean of what a first teacher and our network say.

    python -m models.bundled.relabel_photos DATA/photos data/photos-relabelled \\
        models/bundled/disparity-estimation.safetensors

Both folders hold images/, disparity/ (relative, 8 bit) and confidence/ (255 = trusted). Our network
looks at each photo at three sizes, each plain and mirrored; confidence falls where it and the first
teacher disagree, and stays low where the teacher was unsure.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from models.roles import Estimator, scaled_size
from utils.depth.estimators import resize_image
from utils.depth.sharpening import resize_disparity
from utils.files import folder_complete_or_absent
from utils.film.photos import write_image
from utils.training.data_sets import PhotoFolders, open_data_set
from utils.training.metrics import align
from utils.weights.loading import load_estimator

SIDES = (256, 320, 384)
DOUBT = 9.0  # as of the first labels: confidence exp(-DOUBT * disagreement)
PERCENTILES = (0.5, 99.5)  # of a label, which 0 and 255 stand for


@torch.inference_mode()
def steady_guess(network: Estimator, image: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Mean estimate of (1, 3, H, W) over SIDES, as (1, 1, *size)."""
    copies = (resize_image(image, scaled_size(image.shape[2:], side)) for side in SIDES)
    guesses = [resize_disparity(network.predict(copy), size) for copy in copies]
    ones = torch.ones_like(guesses[0])
    return torch.stack([align(guess, guesses[1], ones) for guess in guesses]).mean(dim=0)


def relabel(
    image: np.ndarray, label: np.ndarray, confidence: np.ndarray, network: Estimator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the new label (h, w) and its confidence, both uint8, of one photo.

    Args:
        image: (H, W, 3) uint8.
        label: (h, w) uint8, of the first teacher.
        confidence: (h', w') uint8.
        network: models.roles.Estimator in eval mode.
    """
    photo = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    first = torch.from_numpy(label)[None, None].float() / 255
    trust = torch.from_numpy(confidence)[None, None].float() / 255
    ours = align(
        steady_guess(network, photo, label.shape), first, resize_disparity(trust, label.shape)
    )
    apart = resize_disparity((ours - first).abs(), confidence.shape) / 2
    mean = ((ours + first) / 2)[0, 0].numpy()
    low, high = np.percentile(mean, PERCENTILES)
    stretched = ((mean - low) / max(high - low, 1e-6)).clip(0, 1)
    trust = trust * torch.exp(-DOUBT * apart)
    return (stretched * 255).round().astype(np.uint8), (trust[0, 0] * 255).byte().numpy()


def main(source: str | Path, target: str | Path, weights: str | Path) -> None:
    """Relabel a folder; it appears when every photo has its new label.

    Raises:
        ValueError: the folder or the weights cannot be used.
    """
    network = load_estimator(weights, "cpu")
    photos = open_data_set(
        {
            "name": "photos",
            "path": source,
            "disparity": "relative",
            "param": {"baseline": 1, "focal": 192},
        }
    )
    if not isinstance(photos, PhotoFolders):
        raise ValueError(f"{source} holds no images/ with maps beside them.")
    with folder_complete_or_absent(target) as folder:
        assert folder is not None
        for name in ("images", "disparity", "confidence"):
            (folder / name).mkdir()
        for item, (files,) in enumerate(tqdm(photos.items)):
            view, path = photos.views(item)[0], Path(files["image"])
            label, confidence = relabel(
                view["image"], view["stored"].astype(np.uint8), view["confidence"], network
            )
            write_image(folder / "disparity" / f"{path.stem}.png", label)
            write_image(folder / "confidence" / f"{path.stem}.png", confidence)
            shutil.copyfile(path, folder / "images" / path.name)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
