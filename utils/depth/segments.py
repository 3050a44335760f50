"""Long straight segments of a photo: what a detector finds, joined where it is one line."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from kernels.jit import jit

# They are looked for on a copy of this long side, px. Of its long side, the least length of a
# segment, that of a piece of it (a gap no longer than that is none), and what may be unseen between
# two pieces. Measured by benchmarks.straight: bent, zoom-in.
DETECTION_SIDE, LONG, PIECE, UNSEEN = 768, 0.05, 0.01, 0.1
# Pieces of one line: how far off it they lie, px, and the sine of the angle by which they may turn.
OFF_LINE_PX, SINE = 1.0, 0.03


class Segment(NamedTuple):
    """A long straight segment of a photo."""

    start: np.ndarray  # (2,) x, y, px of the photo
    end: np.ndarray  # (2,)
    pieces: np.ndarray  # (P, 2) from where to where it was seen, px from its start


def find_segments(pixels: np.ndarray) -> list[Segment]:
    """Find the long straight segments of a photo, in no particular order.

    Args:
        pixels: (H, W, 3) uint8 RGB.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    scale = min(1.0, DETECTION_SIDE / max(height, width))
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    # Source: von Gioi et al., LSD: a Line Segment Detector, IPOL 2012, as OpenCV has it.
    found = cv2.createLineSegmentDetector().detect(grey)[0]
    if found is None or not len(found):
        return []
    ends, side = found.reshape(-1, 4).astype(np.float64), max(grey.shape)
    length = np.hypot(*(ends[:, 2:] - ends[:, :2]).T)
    order = np.argsort(-length, kind="stable")
    ends = ends[order[length[order] >= PIECE * side]]
    back = np.array([width / grey.shape[1], height / grey.shape[0]])
    lines, of_line, spans = _join(ends, UNSEEN * side)
    segments = []
    for number, (x, y, across_x, across_y) in enumerate(lines):
        own = spans[of_line == number]
        low, high = own.min(), own.max()
        if high - low >= LONG * side:
            along = np.array([across_x, across_y])
            begin, end = (((x, y) + at * along + 0.5) * back - 0.5 for at in (low, high))
            segments.append(Segment(begin, end, (own - low) * np.hypot(*(along * back))))
    return segments


@jit
def _join(ends, gap):
    """Lines of pieces (N, 4), the longest first, that lie on one and hang together but for gaps.

    Returns:
        (L, 4) a point of each line and its direction; (N,) the line of each piece; (N, 2) from
        where to where it lies there, from that point on.
    """
    count = len(ends)
    of_line = np.full(count, -1)
    spans, lines = np.zeros((count, 2)), np.zeros((count, 4))
    near = np.zeros(count, np.bool_)
    found = 0
    for first in range(count):
        if of_line[first] >= 0:
            continue
        near[:] = False
        near[first] = True
        x, y, along_x, along_y = _line_through(ends, near)
        for _ in range(2):
            for n in range(count):
                ax, ay, bx, by = ends[n]
                spans_a = (ax - x) * along_x + (ay - y) * along_y
                spans_b = (bx - x) * along_x + (by - y) * along_y
                off_a = abs((ay - y) * along_x - (ax - x) * along_y)
                off_b = abs((by - y) * along_x - (bx - x) * along_y)
                turned = abs((by - ay) * along_x - (bx - ax) * along_y)
                near[n] = (
                    of_line[n] < 0
                    and off_a <= OFF_LINE_PX
                    and off_b <= OFF_LINE_PX
                    and turned <= SINE * np.hypot(bx - ax, by - ay)
                )
                if near[n]:
                    spans[n] = min(spans_a, spans_b), max(spans_a, spans_b)
            if not near[first]:
                break
            low, high, grown = spans[first, 0], spans[first, 1], True
            while grown:
                grown = False
                for n in range(count):
                    if near[n] and spans[n, 0] <= high + gap and spans[n, 1] >= low - gap:
                        if spans[n, 0] < low or spans[n, 1] > high:
                            low, high = min(low, spans[n, 0]), max(high, spans[n, 1])
                            grown = True
            for n in range(count):
                near[n] = near[n] and spans[n, 0] >= low and spans[n, 1] <= high
            x, y, along_x, along_y = _line_through(ends, near)
        near[first] = True
        for n in range(count):
            if near[n]:
                of_line[n] = found
                ax, ay, bx, by = ends[n]
                a = (ax - x) * along_x + (ay - y) * along_y
                b = (bx - x) * along_x + (by - y) * along_y
                spans[n] = min(a, b), max(a, b)
        lines[found] = x, y, along_x, along_y
        found += 1
    return lines[:found], of_line, spans


@jit
def _line_through(ends, chosen):
    """The line that fits the ends of chosen pieces best: a point of it, and its direction."""
    count, x, y, xx, xy, yy = 0, 0.0, 0.0, 0.0, 0.0, 0.0
    for n in range(len(ends)):
        if chosen[n]:
            count += 2
            x += ends[n, 0] + ends[n, 2]
            y += ends[n, 1] + ends[n, 3]
    x, y = x / count, y / count
    for n in range(len(ends)):
        if chosen[n]:
            for end in range(0, 4, 2):
                right, down = ends[n, end] - x, ends[n, end + 1] - y
                xx, xy, yy = xx + right * right, xy + right * down, yy + down * down
    angle = np.arctan2(2 * xy, xx - yy) / 2
    return x, y, np.cos(angle), np.sin(angle)
