"""What a photo is labelled with: disparity and where it is known, trust, numbered objects."""

from pathlib import Path
from typing import Any

import numpy as np

from utils.depth.map_files import read_numbers

FAR_SHARE = 0.05  # a relative disparity of 0 is lifted to this share of the nearest one


def disparity_of(view: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Disparity in px of the stored photo, and which pixels are known, from a view as stored.

    Args:
        view: dict with `stored` (h, w), `kind` ("depth", "px", "relative" or "order"), `unit`,
            `focal_px`, `baseline` and perhaps `confidence` and `unknown`.
    Returns:
        disparity (h, w) float32, 0 where unknown; known (h, w) float32 of 0/1. Zero, negative, NaN
        and infinite measurements are unknown. A relative map is spread over 5..100 % of `baseline`,
        so that it stands for a scene from depth `focal_px` to twenty times as far.
    """
    stored = view["stored"].astype(np.float32)
    if view["kind"] in ("relative", "order"):
        known = np.isfinite(stored)
        if view.get("unknown") is not None:
            known &= stored != view["unknown"]
        low, high = (stored[known].min(), stored[known].max()) if known.any() else (0, 1)
        share = (stored - low) / max(float(high - low), 1e-6)
        disparity = view["baseline"] * (FAR_SHARE + (1 - FAR_SHARE) * share)
    else:
        known = np.isfinite(stored) & (stored > 0)
        disparity = np.where(known, stored, 1.0)
        if view["kind"] == "depth":
            disparity = view["focal_px"] * view["baseline"] / (disparity * view["unit"])
    return np.where(known, disparity, 0).astype(np.float32), known.astype(np.float32)


def known_pixels(view: dict[str, Any], confidence_min: float) -> np.ndarray:
    """Which pixels of a view train, (h, w) bool; where confidence is smaller, as large as it."""
    known = disparity_of(view)[1] > 0
    if "confidence" not in view or not known.any():
        return known
    trusted = view["confidence"] >= 255 * confidence_min
    return known & trusted if known.shape == trusted.shape else trusted


def compact(stored: np.ndarray) -> np.ndarray:
    """The same numbers as uint16 where they are whole and fit, so that more photos stay in RAM."""
    whole = stored.astype(np.uint16) if np.isfinite(stored).all() else None
    return whole if whole is not None and np.array_equal(whole, stored) else stored


def read_instances(path: Path) -> np.ndarray:
    """Read an instance map, whose numbers may be of any size: (h, w), see `number_objects`."""
    return number_objects(read_numbers(path))


def number_objects(numbers: np.ndarray) -> np.ndarray:
    """The same objects, numbered anew from 1 where their numbers need more than 8 bits.

    Args:
        numbers: (h, w) of whole numbers, 0 and below = background.
    Returns:
        (h, w) uint8, or uint16 where there are more than 255 objects.
    """
    if numbers.dtype in (np.uint8, bool):
        return numbers.astype(np.uint8)
    found, places = np.unique(np.nan_to_num(numbers).clip(0), return_inverse=True)
    places = places.reshape(numbers.shape) + (0 if found[0] == 0 else 1)
    return places.astype(np.uint8 if places.max() <= 255 else np.uint16)
