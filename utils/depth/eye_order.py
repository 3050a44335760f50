"""Which of two eyes was the left one: two pictures in the wrong order show a scene inside out.

Two witnesses tell, and neither knows the other. A strip that only one eye sees lies beside a front,
and looks like what is behind it, since it is a part of that: so the side that it looks like is the
farther one. And a network sees in one picture alone what is near (docs/photo_depth.md).
"""

from __future__ import annotations

import cv2
import numpy as np

from utils.depth.eye_rows import LEAST_SEEN

# A strip is as wide as disparity steps beside it, to some columns; what steps by less is a slope.
# As many on either side it is compared with, one px off its ends. (At half the mean vote of 8
# measured pairs falls by 0.03.)
SIDE_PX = 4
# Measured on 8 Middlebury pairs, in both orders: the mean vote had the right sign each time, and
# was above 0.2; of a dozen strips it may have any.
CLEAR_ORDER = 0.15


def vote_of_strips(
    disparity: np.ndarray, other: np.ndarray, first: np.ndarray, second: np.ndarray
) -> float:
    """Ask the strips that one eye alone sees whether the first picture is the left eye's.

    Args:
        disparity: (h, w) float32 of the first picture: x in it = x in the second + disparity; NaN
            where both ways do not agree.
        other: (h, w) the same of the second picture.
        first, second: (h, w, 3) uint8 RGB.
    Returns:
        Mean vote, -1..1: positive if it is, negative if it is the right eye's; 0 if they are too
        few or do not agree.
    """
    votes = np.concatenate([_votes(disparity, first, 1), _votes(other, second, -1)])
    mean = float(votes.mean()) if len(votes) >= LEAST_SEEN else 0.0
    return mean if abs(mean) >= CLEAR_ORDER else 0.0


def _votes(disparity, pixels, rise):
    """(N,) float: how much more each strip looks like the side of the smaller disparity.

    Both surfaces overlap in the other picture where disparity rises towards `rise`, 1 to the right
    or -1 to the left, whichever is in front.
    """
    height, width = disparity.shape
    known = np.pad(np.isfinite(disparity), ((0, 0), (1, 1)), constant_values=True)
    change = np.diff(known.ravel().astype(np.int8))
    begin, end = (np.nonzero(change == sign)[0] + 1 for sign in (-1, 1))
    row, begin, end = begin // (width + 2), begin % (width + 2) - 1, end % (width + 2) - 1
    inside = (begin > SIDE_PX) & (end < width - SIDE_PX)
    row, begin, end = row[inside], begin[inside], end[inside]
    step = rise * (disparity[row, end] - disparity[row, begin - 1])
    chosen = (step >= SIDE_PX) & (np.abs(end - begin - step) <= SIDE_PX)
    row, begin, end = row[chosen], begin[chosen], end[chosen]

    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    sums = np.pad(np.cumsum(lab, axis=1, dtype=np.int64), ((0, 0), (1, 0), (0, 0)))

    def colour(since, until):
        return (sums[row, until] - sums[row, since]) / (until - since)[:, None]

    quarter = (end - begin) // 4  # its ends are of both
    strip = colour(begin + quarter, end - quarter)
    left, right = colour(begin - 1 - SIDE_PX, begin - 1), colour(end + 1, end + 1 + SIDE_PX)
    near, far = (right, left) if rise > 0 else (left, right)
    off_near, off_far = (np.linalg.norm(strip - side, axis=1) for side in (near, far))
    return (off_near - off_far) / np.maximum(off_near + off_far, 1e-6)


def vote_of_network(disparity: np.ndarray, estimate: np.ndarray) -> float:
    """Ask a network's estimate whether matched disparity is larger where it is nearer.

    Args:
        disparity: (h, w) float32, NaN where unknown.
        estimate: (H, W) float32 relative disparity of the same picture, larger = nearer.
    Returns:
        Correlation of the ranks of both, -1..1.
    """
    small = cv2.resize(estimate, disparity.shape[::-1], interpolation=cv2.INTER_AREA)
    known = np.isfinite(disparity)
    first, second = (_ranks(values[known]) for values in (disparity, small))
    return float(np.corrcoef(first, second)[0, 1]) if small[known].std() > 0 else 0.0


def _ranks(values):
    """Place of each value (N,) in their order; equal ones share the middle of theirs."""
    _, number, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - counts / 2)[number]
