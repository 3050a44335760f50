"""The automatic shot: the move past the subject that shows most depth for little invention.

A shot goes from the largest window, where the photo was taken, to a tight one, or back. Both show
the subject whole; in the tight one it stands on a third or near the middle. The camera moves along
with the window by more or less, and aside; what it does not do, its lens does. Hundreds of such
shots are rated by where they show some points of the scene, and the best ones rendered small, until
one invents little enough. Nothing here is random (docs/method/camera.md, Automatic shot).
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import cv2
import numpy as np

from utils.camera.focus import AIM_SLACK, Focus
from utils.camera.moves import MOST_INVENTED
from utils.camera.path import CameraPath, CameraPose, Stand
from utils.camera.subject import find_subject
from utils.camera.trials import Lifted, SmallCopy
from utils.camera.windows import CropWindow, aspect_box, fit_center

POINTS = 200  # that stand for a surface when its motion is measured
BATCH = 32  # shots rendered together
THIRDS = (-1 / 6, 0.0, 1 / 6)  # places in the frame, from its middle
# What is wanted, by benchmarks.planning and by eye; in shares of the frame where nothing else is
# said. Of MOST_INVENTED only so much on the small copy, where some narrow gaps are closed.
SMALL_SHARE = 0.7
LEAST_ZOOM = 1.2  # from the largest window, unless the subject is too large for it
FILLS = 0.3  # of the photo: a subject from this size on is pulled out of, not pushed in to
MARGIN = 0.05  # between borders and the subject, and around the places where it stands well
PLEASING = 0.15  # parallax that pleases most: more distracts


class Shot(NamedTuple):
    """What the camera does, and why."""

    start: Stand
    end: Stand
    focus: Focus
    parallax: float  # how far the nearest tenth moves against the farthest, of the frame's width
    invented: float  # largest share of the first and last frame that is; measured small
    reason: str
    subject: np.ndarray | None  # (h, w) bool, in a copy of SEARCH_SIDE px

    def stand(self, t: float) -> Stand:
        """Return the Stand at a time from 0 to 1."""
        (x0, y0, z0), (x1, y1, z1) = self.start.position, self.end.position
        position = ((1 - t) * x0 + t * x1, (1 - t) * y0 + t * y1, (1 - t) * z0 + t * z1)
        return Stand(position, self.start.window.towards(self.end.window, t))

    def path(self, photo: Lifted) -> CameraPath:
        """Return the way of the camera through the photo that the shot was planned for."""
        widest = max(self.start.window, self.end.window, key=lambda window: window.width)
        crop = (widest.height, widest.width)
        size = photo.disparity.shape
        return CameraPath(self.stand, size, photo.focal_px, self.focus, crop, name="auto")


def plan_shot(
    photo: Lifted,
    aspect: float | None = None,
    focus: tuple[float, float] | None = None,
    strength: float = 1.0,
    budget: float = MOST_INVENTED,
) -> Shot:
    """Choose the shot of a photo.

    Args:
        photo: with depth.
        aspect: width / height of the film; the photo's by default.
        focus: (u, v) px of the photo that the subject contains; anywhere by default.
        strength: of the motion: zooms are taken to this power, drift and parallax that pleases are
            this many times as large.
        budget: the largest share of the first and last frame that may be invented. Where edges
            alone cost more, the shot that invents least is taken.
    Returns:
        Shot, its windows in pixels of the photo. The same photo gives the same shot.
    """
    scene = SmallCopy(photo)
    at = None
    if focus:
        at = tuple(place / step for place, step in zip(focus, scene.stride, strict=True))
    subject = find_subject(scene.colors, scene.disparity, at)
    return _Search(scene, subject, aspect, strength).best(budget)


def find_point(photo: Lifted) -> tuple[float, float] | None:
    """Find what a photo is about, for a camera that was told how to move and not around what.

    Returns:
        (u, v) px of a point well inside the subject; None where nothing stands out clearly.
    """
    scene = SmallCopy(photo)
    subject = find_subject(scene.colors, scene.disparity)
    return subject and scene.in_photo(subject.focus)


class _Search:
    """All shots of one scene: from the largest window to a tight one."""

    def __init__(self, scene, subject, aspect, strength):
        """Choose what shots are about, and the points by which they are rated."""
        self.scene, self.subject, self.strength = scene, subject, strength
        self.box = aspect_box(scene.image_size, aspect)
        order = np.argsort(scene.disparity, axis=None, kind="stable")  # from far to near
        tenth = max(1, len(order) // 10)
        self.far_depth = float(np.median(scene.points[2, order[:tenth]]))
        if subject:
            shown, outline = self._look_at(subject)
        else:
            shown = outline = order
            self.margins = []
            self.middle = tuple(side / 2 for side in scene.image_size[::-1])
            self.focus = Focus(*self.middle, float(np.median(scene.points[2])))
        groups = [_thinned(group) for group in (order[-tenth:], shown, outline)]
        self.points = scene.points[:, np.concatenate(groups)]
        ends = np.cumsum([0, *map(len, groups)])
        self.near, self.shown, self.outline = itertools.starmap(slice, itertools.pairwise(ends))
        self.wide = Stand((0.0, 0.0, 0.0), self._window(self.middle, 1.0))

    def _look_at(self, subject):
        """Make a film about a subject; return its pixels, and those of its outline."""
        scene, mask = self.scene, np.pad(subject.mask, 1).astype(np.uint8)
        outline = mask - cv2.erode(mask, np.ones((3, 3), np.uint8))
        spans = [np.flatnonzero(subject.mask.any(axis))[[0, -1]] + (0, 1) for axis in (0, 1)]
        # The film is about all of the subject, or about its heart where that has no room.
        self.middle = tuple(
            (heart if (high - low) * step > box else float(low + high) / 2) * step
            for (low, high), heart, step, box in zip(
                spans, subject.heart, scene.stride, self.box[::-1], strict=True
            )
        )
        self.focus = Focus(
            *scene.in_photo(subject.focus), scene.disparity_scale / subject.disparity
        )
        # It shall stay as far from a border as in the photo, which may cut it, or by MARGIN.
        self.margins = [
            (axis, sign, min(MARGIN, room / side))
            for axis, ((low, high), side) in enumerate(zip(spans, scene.size[::-1], strict=True))
            for sign, room in ((-1, low), (1, side - high))
            if room
        ]
        return np.flatnonzero(subject.mask), np.flatnonzero(outline[1:-1, 1:-1])

    def best(self, budget):
        """Return the best Shot within the budget, else the one that invents least."""
        powers, stands = zip(*self._tight(), strict=True)
        rank, score, parallax = self._rate(stands, np.array(powers))
        order = np.lexsort((-score, -rank))
        at_rest = self._invented([self.wide])
        shares = np.full(len(stands), np.inf)
        for batch in np.array_split(order, range(BATCH, len(order), BATCH)):
            shares[batch] = np.maximum(self._invented([stands[k] for k in batch]), at_rest)
            fitting = batch[shares[batch] <= SMALL_SHARE * budget]
            if len(fitting):
                chosen = fitting[0]
                break
        else:  # edges everywhere: with the subject whole, if that is possible
            allowed = np.flatnonzero((rank > 0) | (rank.max() <= 0))
            chosen = allowed[np.argmin(shares[allowed])]
        return self._describe(stands[chosen], float(parallax[chosen]), float(shares[chosen]))

    def _invented(self, stands):
        """Return the share of a frame that is invented at each Stand."""
        return self.scene.uncovered([self._pose(stand) for stand in stands], self.box)

    def _describe(self, tight, parallax, share):
        """Give a shot its direction and its reason."""
        pulls = self.subject is not None and self.subject.mask.mean() > FILLS
        zoom = self.wide.window.width / tight.window.width
        reason = f"{'pull-out' if pulls else 'push-in'} by {zoom:.2f}"
        if self.subject:
            reason += f", subject at ({self.middle[0]:.0f}, {self.middle[1]:.0f})"
        else:
            reason = f"gentle {reason}, no clear subject"
        start, end = (tight, self.wide) if pulls else (self.wide, tight)
        mask = self.subject.mask if self.subject else None
        return Shot(start, end, self.focus, parallax, share, reason, mask)

    def _window(self, middle, size):
        """Return the window of this share of the largest one, as near to a middle as it fits."""
        height, width = (size * side for side in self.box)
        limit_v, limit_u = self.scene.image_size
        u, v = fit_center(middle[0], width / 2, limit_u), fit_center(middle[1], height / 2, limit_v)
        return CropWindow(u, v, width, height)

    def _tight(self):
        """Yield (power of LEAST_ZOOM, Stand): the subject in a good place, from near or aside."""
        height, width = self.scene.image_size
        unit = self.focus.depth / self.scene.focal_px
        slide = AIM_SLACK * self.strength * self.box[1]
        windows = {}
        for power in np.array([2, 3, 4, 5, 6] if self.subject else [2, 3]) / 3:
            share = LEAST_ZOOM ** (-power * self.strength)
            for across in np.linspace(THIRDS[0], THIRDS[-1], 5).tolist():
                middle = self.middle[0] - across * share * self.box[1], self.middle[1]
                windows[self._window(middle, share)] = power, 1 - share
        for (window, (power, way)), part, side in itertools.product(
            windows.items(), (1, 0.75, 0.5, 0.25), (0, 1, -1)
        ):
            # All of the way leaves the lens as it is.
            x = window.center_u - width / 2 - (1 - way) * (self.wide.window.center_u - width / 2)
            y = window.center_v - height / 2 - (1 - way) * (self.wide.window.center_v - height / 2)
            position = (part * x + side * slide) * unit, part * y * unit
            yield power, Stand((*position, part * way * self.focus.depth), window)

    def _pose(self, stand) -> CameraPose:
        scene = self.scene
        return CameraPath(
            lambda t: stand, scene.image_size, scene.focal_px, self.focus, self.box
        ).pose(0)

    def _project(self, stands, points):
        """Return places (K, 2, P) in the frame, -0.5..0.5."""
        poses = [self._pose(stand) for stand in stands]
        shift = np.array([pose.shift for pose in poses], np.float32)
        scale = np.array([pose.focal_px for pose in poses], np.float32)[:, None, None]
        lens = np.array([pose.lens for pose in poses], np.float32)
        depth = points[2] + shift[:, 2:]
        behind = depth < 1e-3 * self.focus.depth
        slopes = (points[:2] + shift[:, :2, None]) / np.where(behind, 1, depth)[:, None]
        places = scale / np.array(self.box[::-1])[:, None] * (slopes - lens[:, :, None])
        return np.where(behind[:, None], 9, places)  # far outside

    def _rate(self, stands, powers):
        """Return rank, score and parallax (K,) of the shots that lead to these Stands."""
        places = self._project([self.wide, *stands], self.points)
        far = self._project([self.wide, *stands], self.points * (self.far_depth / self.points[2]))
        seen = (np.abs(places) <= 0.5).all(axis=1)
        # How far depth displaces a point in the frame, of its width; what is not seen stays.
        shifted = (places - far) * np.array([1, self.box[0] / self.box[1]])[:, None]
        motion = np.hypot(*(shifted[1:] - shifted[0]).swapaxes(0, 1)) * (seen[1:] & seen[0])
        parallax, own = (motion[:, group].mean(axis=1) for group in (self.near, self.shown))
        x, y = (moved / (PLEASING * self.strength) for moved in (parallax, own))
        gain = x / (1 + x**2) + y / (1 + y**2)
        whole, framing = self._placing(places[1:])
        score = gain * (1 + framing) * seen[1:, self.shown].mean(axis=1)
        # Whole with a margin, or at least whole; gentler only where it is not; then as it goes.
        rank = np.where(whole > 0, whole + 2 * (powers >= 1), -(powers > 1).astype(int))
        return rank, score, parallax

    def _placing(self, places):
        """Return how whole the subject is (2: clear of borders, 0: cut), and how well it stands."""
        whole = np.full(len(places), 2)
        if not self.subject:
            return whole, np.ones(len(places))
        for axis, sign, margin in self.margins:
            inside = 0.5 - (sign * places[:, axis, self.outline]).max(axis=1)
            whole = np.minimum(whole, (inside >= 0) + (inside >= margin).astype(int))
        across, down = places[:, :, self.shown].mean(axis=2).T
        aside = np.min([np.abs(across - third) for third in THIRDS], axis=0)
        return whole, np.exp(-0.5 * (aside**2 + down**2) / MARGIN**2)


def _thinned(index):
    """Return POINTS of many indices, evenly."""
    return index[np.linspace(0, len(index) - 1, min(len(index), POINTS)).astype(int)]
