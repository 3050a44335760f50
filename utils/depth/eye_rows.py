"""Rows of two pictures that were taken side by side, brought together by points found in both.

Cameras are never quite level to each other, and matching goes along rows.
"""

from __future__ import annotations

import cv2
import numpy as np

# Fewer matched points, or strips that one eye alone sees, tell nothing. How far a point may be off
# its row, or off where the other way of matching or a homography has it, px. Tests with drawn and
# photographed pairs hold both.
LEAST_SEEN, OFF_PX = 50, 1.5
MOST_POINTS = 4000  # that are sought in a picture
LOWE = 0.8  # a match's distance over that of the second best (Lowe 2004)
TRIPLES = 200  # random samples of three points
MATCH_SIDE = 1024  # long side at which eyes are matched, px
AXIS_SIDE = 512  # long side at which it is found how eyes stand, px


def reduced(pixels: np.ndarray, long_side: int) -> np.ndarray:
    """Reduce a picture (H, W[, C]) to a long side of so many px at most."""
    scale = min(1.0, long_side / max(pixels.shape[:2]))
    height, width = (max(16, round(side * scale)) for side in pixels.shape[:2])
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)


def match_points(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Find points that two pictures (H, W, 3) uint8 share.

    Returns:
        (N, 4) float: x and y in the first picture and in the second; none if either shows too
        little.
    """
    sift = cv2.SIFT.create(MOST_POINTS)
    found = [
        sift.detectAndCompute(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), None)
        for one in (first, second)
    ]
    if min(len(keys) for keys, _ in found) < LEAST_SEEN:
        return np.zeros((0, 4))
    pairs = cv2.BFMatcher().knnMatch(found[0][1], found[1][1], k=2)
    kept = [best for best, *rest in pairs if rest and best.distance < LOWE * rest[0].distance]
    matched = [(*found[0][0][m.queryIdx].pt, *found[1][0][m.trainIdx].pt) for m in kept]
    return np.array(matched, np.float64).reshape(-1, 4)


def fit_rows(points: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Find which row of the second picture shows what a row of the first does.

    Args:
        points: (N, 4) from `match_points`.
    Returns:
        (3,) a, b, c: row y of the first is y + a + b x + c y in the second, x as of the second; or
        None, where the pictures do not show the same thing side by side. (N,) bool: points on it.
    """
    terms = np.column_stack([np.ones(len(points)), points[:, 2], points[:, 1]])
    off = points[:, 3] - points[:, 1]
    best = np.zeros(len(terms), bool)
    rng = np.random.default_rng(0)
    for _ in range(TRIPLES if len(terms) >= LEAST_SEEN else 0):
        chosen = rng.choice(len(terms), 3, replace=False)
        model = np.linalg.lstsq(terms[chosen], off[chosen], rcond=None)[0]
        inside = np.abs(terms @ model - off) < OFF_PX
        if inside.sum() > best.sum():
            best = inside
    if best.sum() < LEAST_SEEN:
        return None, np.zeros(len(points), bool)
    rows = np.linalg.lstsq(terms[best], off[best], rcond=None)[0]
    return rows, np.abs(terms @ rows - off) < OFF_PX


def are_one_above_the_other(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether the eyes that saw two upright pictures (H, W, 3) uint8 stand so."""
    first, second = (reduced(one, AXIS_SIDE) for one in (first, second))
    points = match_points(first, second)
    beside = fit_rows(points)[1]
    above = fit_rows(points[:, [1, 0, 3, 2]])[1]
    return bool(above.sum() > beside.sum())


def on_rows(pixels: np.ndarray, rows: np.ndarray, scale: float) -> np.ndarray:
    """Bring the second picture onto the rows of the first.

    Args:
        pixels: (H, W[, C]) uint8.
        rows: from `fit_rows`.
        scale: by which the pictures are larger than when that was found.
    """
    shift, by_x, by_y = rows
    matrix = np.array([[1, 0, 0], [by_x, 1 + by_y, shift * scale]])
    return cv2.warpAffine(
        pixels,
        matrix,
        pixels.shape[1::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
