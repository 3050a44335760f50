"""Begin the second depth network where the first one stands, on new eyes.

    python -m models.bundled.transplant models/trained/disparity-begun.safetensors \\
        models/bundled/disparity-estimation.safetensors \\
        DATA/efficientnet_lite2_imagenet.safetensors DATA/photos/images

Both climb the same grid. So the second takes the grid of the first, and the 1x1 convolutions that
feed it are those that, by least squares over photographs, make the rows of the first out of the
features of the second's own encoder. That is worth hours of training.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from models.compact_estimation import CompactDisparity
from models.efficient_estimation import EfficientDisparity
from utils.film import read_image
from utils.weights.files import save_state_dict
from utils.weights.loading import load_estimator, read_state_dict

PHOTOS = 160
SIZE = (256, 320)  # near what the first network was trained at
RIDGE = 1e-3  # of the features' mean square


@torch.inference_mode()
def fit_laterals(
    new: EfficientDisparity, old: CompactDisparity, images: Iterable[torch.Tensor]
) -> list[float]:
    """Solve for the laterals of `new` that give the rows of `old`; both see the same images.

    Args:
        new: EfficientDisparity.
        old: CompactDisparity of the same widths.
        images: iterable of (1, 3, H, W) RGB in [0, 1], sides multiples of 32.
    Returns:
        the share of the rows' variance that is explained, a list.
    """
    sums: list[Any] = [None] * len(new.laterals)
    for image in images:
        wanted = [
            lateral(tap) for lateral, tap in zip(old.laterals, old.encoder(image), strict=True)
        ]
        for row, (tap, goal) in enumerate(zip(new.encoder(image), wanted, strict=True)):
            x, y = (t[0].flatten(1).double() for t in (tap, goal))
            x = torch.cat([x, torch.ones_like(x[:1])])
            found = (x @ x.T, x @ y.T, (y @ y.T).diagonal(), y.sum(1), y.shape[1])
            known = sums[row]
            sums[row] = (
                found if known is None else [a + b for a, b in zip(known, found, strict=True)]
            )
    explained = []
    for lateral, (xx, xy, yy, total, count) in zip(new.laterals, sums, strict=True):
        ridge = RIDGE * xx.diagonal().mean() * torch.eye(len(xx), dtype=xx.dtype)
        solved = torch.linalg.solve(xx + ridge, xy)
        assert isinstance(lateral, nn.Conv2d) and lateral.bias is not None
        lateral.weight.copy_(solved[:-1].T[:, :, None, None])
        lateral.bias.copy_(solved[-1])
        left = yy - 2 * (solved * xy).sum(0) + (solved * (xx @ solved)).sum(0)
        explained.append(1 - float(left.sum() / (yy - total.square() / count).sum()))
    return explained


def main(target: str | Path, first: str | Path, encoder: str | Path, folder: str | Path) -> None:
    """Write the weights to begin with."""
    old = load_estimator(first)
    old = getattr(old, "layout", old)  # of the pair that ships
    new = EfficientDisparity(
        tuple(lateral.out_channels for lateral in old.laterals), len(old.columns)
    ).eval()
    new.encoder.load_state_dict(read_state_dict(encoder))
    for name in ("context", "columns", "output"):
        getattr(new, name).load_state_dict(getattr(old, name).state_dict())
    paths = sorted(Path(folder).iterdir())
    paths = tqdm(paths[:: max(1, len(paths) // PHOTOS)])
    explained = fit_laterals(new, old, (seen(path) for path in paths))
    print("explained of each row:", ", ".join(f"{share:.2f}" for share in explained))
    save_state_dict(target, new.state_dict())


def seen(path: str | Path) -> torch.Tensor:
    """A photo at SIZE, whatever its aspect."""
    pixels = torch.from_numpy(read_image(path).pixels).permute(2, 0, 1)[None].float() / 255
    return torch.nn.functional.interpolate(pixels, SIZE, mode="bilinear", antialias=True)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
