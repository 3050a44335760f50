"""What a network sees of a photo: a crop of it, resized, perhaps mirrored, spoiled, recoloured."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch

from utils.training.labels import disparity_of


def choose_box(
    size: tuple[int, int],
    crop: tuple[int, int],
    draws: Sequence[float] | np.ndarray,
    scale_min: float,
    centred: bool,
    align: int,
) -> tuple[int, int, int, int]:
    """A window of the photo with the aspect of the crop.

    Args:
        size: (height, width) of the photo.
        crop: (height, width) that the window will be resized to.
        draws: three numbers in [0, 1): size, vertical and horizontal position.
        scale_min: smallest window, as a share of the largest that fits.
        centred: keep the window's centre on the photo's (as a moved camera needs).
        align: corners fall on multiples of this, so that smaller maps can be cut exactly.
    Returns:
        (top, left, height, width) in px, always inside the photo.
    """
    (height, width), aspect = size, crop[1] / crop[0]
    share = scale_min + (1 - scale_min) * draws[0]
    columns = min(width, height * aspect) * share
    rows = columns / aspect
    step = 2 * align if centred else align  # so that both margins of a centred window are whole
    sides = ((height, rows), (width, columns))
    margins = [(n - min(n, max(step, m))) // step * step for n, m in sides]
    places = [0.5, 0.5] if centred else draws[1:3]
    top, left = (int(m * p) // align * align for m, p in zip(margins, places, strict=True))
    return top, left, int(height - margins[0]), int(width - margins[1])


def make_view(
    view: dict[str, Any],
    box: tuple[int, int, int, int],
    crop: tuple[int, int],
    flip: bool,
    confidence_min: float,
) -> dict[str, torch.Tensor]:
    """Cut, resize and perhaps mirror one view.

    Returns:
        dict of tensors: image (3, h, w) uint8; disparity (1, h, w) float32, px at this size, 0 =
        unknown; mask (1, h, w) float32 of 0/1; confidence (1, h, w) in [0, 1]; instances (1, h, w)
        uint8; focal_px, baseline.
    """
    photo_size, target = view["image"].shape[:2], (crop[1], crop[0])
    shrinks = box[3] > crop[1]
    image = cv2.resize(
        cut(view["image"], box, photo_size),
        target,
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    disparity, known = disparity_of({**view, "stored": cut(view["stored"], box, photo_size)})
    disparity, known = resize_known(disparity, known, crop)
    trust: np.ndarray = np.ones(crop, np.float32)
    if "confidence" in view:
        trust = cut(view["confidence"], box, photo_size).astype(np.float32) / 255
        trust = cv2.resize(trust, target, interpolation=cv2.INTER_LINEAR)
        known = known * (trust >= confidence_min)
    instances = np.zeros(crop, np.uint8)
    if "masks" in view:
        instances = largest_objects(
            cv2.resize(
                cut(view["masks"], box, photo_size), target, interpolation=cv2.INTER_NEAREST_EXACT
            )
        )
    zoom = crop[1] / box[3]
    maps = {"disparity": disparity * zoom * known, "mask": known, "confidence": trust}
    maps = {key: value[None] for key, value in maps.items()} | {"instances": instances[None]}
    maps["image"] = image.transpose(2, 0, 1)
    if flip:
        maps = {key: value[..., ::-1] for key, value in maps.items()}
    tensors = {key: torch.from_numpy(np.ascontiguousarray(v)) for key, v in maps.items()}
    return tensors | {
        "focal_px": torch.tensor(view["focal_px"] * zoom, dtype=torch.float32),
        "baseline": torch.tensor(view["baseline"], dtype=torch.float32),
    }


def cut(
    array: np.ndarray, box: tuple[int, int, int, int], photo_size: tuple[int, int]
) -> np.ndarray:
    """The window of an array that may be smaller than the photo, in proportion."""
    rows, columns = array.shape[0] / photo_size[0], array.shape[1] / photo_size[1]
    top, left, height, width = box
    ends = round((top + height) * rows), round((left + width) * columns)
    return array[round(top * rows) : ends[0], round(left * columns) : ends[1]]


def resize_known(
    values: np.ndarray, known: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Resize a map with gaps so that gaps never bleed into it.

    Shrinking averages the known pixels of each area; growing takes the nearest pixel, because a
    depth between a figure and its background belongs to neither.

    Returns:
        values and known, both of `size` (height, width); known is 0/1.
    """
    target = (size[1], size[0])
    if values.shape[0] <= size[0]:
        values = cv2.resize(values, target, interpolation=cv2.INTER_NEAREST_EXACT)
        return values, cv2.resize(known, target, interpolation=cv2.INTER_NEAREST_EXACT)
    total = cv2.resize(values * known, target, interpolation=cv2.INTER_AREA)
    share = cv2.resize(known, target, interpolation=cv2.INTER_AREA)
    return total / np.maximum(share, 1e-6) * (share > 0.5), (share > 0.5).astype(np.float32)


def largest_objects(numbers: np.ndarray, most: int = 255) -> np.ndarray:
    """Instances as uint8: where there are more objects in a window, the largest ones of them."""
    if numbers.dtype == np.uint8:
        return numbers
    found, places, sizes = np.unique(numbers, return_inverse=True, return_counts=True)
    sizes[found == 0] = 0
    kept = np.argsort(-sizes, kind="stable")[: min(most, np.count_nonzero(sizes))]
    numbered = np.zeros(len(found), np.uint8)
    numbered[kept] = np.arange(1, len(kept) + 1)
    return numbered[places.reshape(numbers.shape)]


def spoil(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What cameras and the web do to photos: blur, lost resolution, noise, JPEG; each sometimes.

    Args:
        pixels: (H, W, 3) uint8.
        rng: numpy Generator.
    Returns:
        (H, W, 3) uint8, perhaps the same array.
    """
    height, width = pixels.shape[:2]
    blurs, shrinks, noises, packs = rng.random(4) < (0.15, 0.15, 0.15, 0.3)
    if blurs:
        pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.6))
    if shrinks:
        share = rng.uniform(0.4, 0.9)
        small = cv2.resize(pixels, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        pixels = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if noises:
        noise = rng.standard_normal(pixels.shape, dtype=np.float32) * rng.uniform(2, 10)
        pixels = (pixels + noise).clip(0, 255).astype(np.uint8)
    if packs:
        quality = int(rng.integers(25, 90))
        _, packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        again = cv2.imdecode(packed, cv2.IMREAD_COLOR)
        assert again is not None  # what OpenCV packed it unpacks
        pixels = again
    return pixels


def change_colours(image: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Vary exposure, contrast, saturation and white balance, each sample by its own numbers.

    Args:
        image: (B, 3, H, W) in [0, 1].
        uniform: (B, >= 6) in [0, 1); the same numbers give the same change.
    Returns:
        (B, 3, H, W) in [0, 1]. One sample in twenty becomes grey.
    """
    from kornia import enhance

    def between(column, low, high):
        return low * (high / low) ** uniform[:, column]

    saturation = between(2, 0.6, 1.6) * (uniform[:, 2] > 0.05)
    image = enhance.adjust_gamma(image, between(0, 0.7, 1.4))
    image = enhance.adjust_contrast(image, between(1, 0.7, 1.3))
    grey = (image * image.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    image = grey + saturation.view(-1, 1, 1, 1) * (image - grey)
    gains = 0.9 + 0.2 * uniform[:, 3:6, None, None]
    return (image * gains).clamp(0, 1)
