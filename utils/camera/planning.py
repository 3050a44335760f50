"""The automatic shot: the move past the subject that shows most depth for little invention.

A shot goes from a wide window to a tight one, or back. Both show the subject whole; in the tight
one it stands on a third or near the middle. The camera moves along with the windows by more or
less, and aside; what it does not do, its lens does. Thousands of such shots are rated by where they
show some points of the scene, and the best ones rendered small, until one invents little enough.
Nothing here is random (docs/method/camera.md, Automatic shot).
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import cv2
import numpy as np

from kernels import Cloud, View, render_frame
from kernels.threads import run_all
from utils.camera.focus import AIM_SLACK, Focus
from utils.camera.moves import MOST_INVENTED
from utils.camera.path import CameraPath, CameraPose, Stand
from utils.camera.subject import find_subject
from utils.camera.windows import CropWindow, aspect_box, fit_center

SMALL_SHARE = 0.7  # of MOST_INVENTED, on the small copy, where some narrow gaps are closed
SEARCH_SIDE = 160  # px, long side of copies on which subject, holes and windows are looked for
POINTS = 200  # of it, that stand for a surface when its motion is measured
BATCH, MOST_TRIED = 32, 256  # shots rendered together, and in all

# What is tried: how large the wide window is, of the largest one in the photo; the zoom from it to
# the tight one; where that shows the middle of the subject.
WIDTHS = (1.0, 0.95, 0.9)
ZOOMS = (1.12, 1.2, 1.28, 1.36, 1.44, 1.5)
LEAST_ZOOM = 1.2  # unless the subject is too large for it
ACROSS, DOWN = (1 / 3, 0.42, 0.5, 0.58, 2 / 3), (0.45, 0.52)
# How much of the windows' way the camera goes, and how far it slides aside at the tight window, as
# a share of the wide one's width.
WAYS = (
    *((part, 0.0) for part in (1.0, 0.7, 0.45, 0.25)),
    *((0.7, slide) for slide in (0.05, -0.05)),
    *((0.45, slide) for slide in (0.08, -0.08, 0.04, -0.04)),
)

# What is wanted.
CLEAR = 0.12  # a subject's score, or there is none
FILLS = 0.3  # share of the photo from which on a subject is pulled out of, not pushed in to
MARGIN = 0.05  # of the frame, between its borders and the subject
ROUGH = 0.004  # of the subject's outline may lie beyond, as it is rough...
BY_BORDER = 0.2  # ...and of the subject this much more, if the photo itself cuts it
TOO_LARGE = 2.0  # magnification at which pixels are seen to be stretched
PLEASING, WILD = 0.04, 0.13  # parallax that pleases, and that distracts


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


class Lifted(NamedTuple):
    """A photo with depth."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    disparity: np.ndarray  # (H, W) float32 px, larger = nearer, positive
    focal_px: float
    baseline: float  # depth = focal_px * baseline / disparity
    surface: np.ndarray | None = None  # (H, W) bool, which pixels make a point; None: all


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
    scene = _Copy(photo)
    at = None
    if focus:
        at = tuple(place / step for place, step in zip(focus, scene.stride, strict=True))
    subject = _clear_subject(scene.colors, scene.disparity, at)
    return _Search(scene, subject, aspect, strength).best(budget)


def find_point(image: np.ndarray, disparity: np.ndarray) -> tuple[float, float] | None:
    """Find what a photo is about, for a camera that was told how to move and not around what.

    Args:
        image: (H, W, 3) uint8 RGB.
        disparity: (H, W) float32 px, larger = nearer.
    Returns:
        (u, v) px of a point well inside the subject; None where nothing stands out clearly.
    """
    (height, width), (rows, columns) = disparity.shape, _small_size(disparity.shape)
    subject = _clear_subject(
        cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA),
        cv2.resize(disparity, (columns, rows), interpolation=cv2.INTER_NEAREST_EXACT),
    )
    return subject and (subject.focus[0] * width / columns, subject.focus[1] * height / rows)


def _small_size(size):
    """(height, width) of the copy on which subjects are looked for."""
    scale = min(1.0, SEARCH_SIDE / max(size))
    return tuple(max(4, round(side * scale)) for side in size)


def _clear_subject(colors, disparity, at=None):
    """The Subject of a small copy; None where none was pointed at and nothing stands out."""
    subject = find_subject(colors, disparity, at)
    return subject if subject and (at or subject.score >= CLEAR) else None


class _Copy:
    """A small copy of the scene, in the photo's units."""

    def __init__(self, photo):
        image, disparity, focal_px, baseline, surface = photo
        self.image_size = height, width = disparity.shape
        self.size = rows, columns = _small_size(self.image_size)
        self.stride = width / columns, height / rows  # px of the photo, across and down
        # The pixels nearest to the middles: averages would invent surfaces between near and far.
        u, v = (
            ((np.arange(count) + 0.5) * step).astype(int).clip(0, side - 1)
            for count, step, side in zip((columns, rows), self.stride, (width, height), strict=True)
        )
        self.colors = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
        self.disparity = np.ascontiguousarray(disparity[np.ix_(v, u)], np.float32)
        kept = np.ones(self.size, bool) if surface is None else surface[np.ix_(v, u)]
        self.focal_px, self.disparity_scale = focal_px, focal_px * baseline
        depth = self.disparity_scale / self.disparity
        x = (u + 0.5 - width / 2) * depth / focal_px
        y = (v[:, None] + 0.5 - height / 2) * depth / focal_px
        self.points = np.stack([x, y, depth]).reshape(3, -1).astype(np.float32)
        points = np.ascontiguousarray(self.points[:, kept.ravel()])
        spacing = points[2] * np.float32(max(self.stride) / focal_px)
        self.cloud = Cloud(points, np.zeros((points.shape[1], 3), np.uint8), spacing)

    def holes(self, pose, view_focal_px, size):
        """Return the share of a view that no point reaches."""
        lens = [-view_focal_px * slope for slope in pose.lens]
        view = View(pose.shift, size, view_focal_px, self.disparity_scale, lens)
        _, holes = render_frame(self.cloud, view, fill=False)
        return float(holes.mean())


class _Ends(NamedTuple):
    """K ends of shots, and what they show of P sample points."""

    stands: list[Stand]
    shifted: np.ndarray  # (K, 2, P) how far depth displaces a point in the frame, of its width
    seen: np.ndarray  # (K, P) whether the frame shows it
    beyond: np.ndarray  # (K, 2) share of the subject's outline beyond the margin, and outside
    framing: np.ndarray  # (K,) how well the subject stands there, 0 to 1
    stretched: np.ndarray  # (K,) share of the frame that is magnified too much


class _Rated(NamedTuple):
    """N shots before they are rendered, the best ones first."""

    ends: list[tuple[Stand, Stand]]  # wide, tight
    rank: np.ndarray  # (N,) int, larger = better, before the score counts
    parallax: np.ndarray  # (N,)

    def pick(self, index):
        """Return these shots."""
        index = np.asarray(index, int)
        return _Rated([self.ends[k] for k in index], self.rank[index], self.parallax[index])


class _Search:
    """All shots of one scene."""

    def __init__(self, scene, subject, aspect, strength):
        """Choose the points by which shots are rated."""
        self.scene, self.subject, self.strength = scene, subject, strength
        self.box = aspect_box(scene.image_size, aspect)
        height, width = scene.image_size
        order = np.argsort(scene.disparity, axis=None, kind="stable")  # from far to near
        tenth = max(1, len(order) // 10)
        if subject:
            shown = np.flatnonzero(subject.mask)
            inner = cv2.erode(np.pad(subject.mask.astype(np.uint8), 1), np.ones((3, 3), np.uint8))
            outline = np.flatnonzero(subject.mask & (inner[1:-1, 1:-1] == 0))
            v, u = np.nonzero(subject.mask)
            # The film is about all of the subject, or about its heart where that has no room.
            self.middle = tuple(
                (heart if np.ptp(places) * step > box else float(places.mean()) + 0.5) * step
                for places, heart, step, box in zip(
                    (u, v), subject.heart, scene.stride, self.box[::-1], strict=True
                )
            )
            at = (subject.focus[0] * scene.stride[0], subject.focus[1] * scene.stride[1])
            self.focus = Focus(*at, scene.disparity_scale / subject.disparity)
        else:
            shown = outline = order
            self.middle = width / 2, height / 2
            self.focus = Focus(*self.middle, float(np.quantile(scene.points[2], 0.25)))
        groups = [_thinned(group) for group in (order[-tenth:], shown, np.sort(order))]
        groups.insert(2, _thinned(outline, 2 * POINTS))
        ends = np.cumsum([0, *map(len, groups)])
        self.near, self.shown, self.outline, self.all = itertools.starmap(
            slice, itertools.pairwise(ends)
        )
        self.points = scene.points[:, np.concatenate(groups)]
        self.far_depth = float(np.median(scene.points[2, order[:tenth]]))

    def _open_sides(self, margin):
        """Sides (axis, whether the far one) from which the photo shows the subject so far away."""
        border = [max(1, round(margin * side)) for side in self.scene.size]
        mask = self.subject.mask
        strips = {
            (0, False): mask[:, : border[1]],
            (0, True): mask[:, -border[1] :],
            (1, False): mask[: border[0]],
            (1, True): mask[-border[0] :],
        }
        return [side for side, strip in strips.items() if not strip.any()]

    def best(self, budget):
        """Return the best Shot within the budget, else a calm one that invents little."""
        shots, invented = self._shots(), {}
        for first in range(0, MOST_TRIED, BATCH):
            batch = shots.pick(range(first, min(first + BATCH, len(shots.ends))))
            for k, share in enumerate(self._render(batch, invented)):
                if share <= SMALL_SHARE * budget:
                    return self._describe(batch, k, share)
        # Edges everywhere: hardly any motion, with the subject whole if that is possible.
        calm = shots.pick(np.flatnonzero(shots.rank > 0)) if (shots.rank > 0).any() else shots
        calm = calm.pick(np.argsort(calm.parallax, kind="stable")[: 2 * BATCH])
        shares = self._render(calm, invented)
        least = int(np.argmin(shares))
        return self._describe(calm, least, shares[least])

    def _render(self, shots, invented):
        """Return the larger share that is invented at an end of each shot, by {stand: share}."""
        stands = dict.fromkeys(stand for ends in shots.ends for stand in ends)
        new = [stand for stand in stands if stand not in invented]
        shares = run_all(self._invented, [(stand,) for stand in new])
        invented |= dict(zip(new, shares, strict=True))
        return [max(invented[wide], invented[tight]) for wide, tight in shots.ends]

    def _describe(self, shots, k, share):
        """Give a shot its direction and its reason."""
        (wide, tight), parallax = shots.ends[k], float(shots.parallax[k])
        pulls = self.subject is not None and self.subject.mask.mean() > FILLS
        zoom = wide.window.width / tight.window.width
        reason = f"{'pull-out' if pulls else 'push-in'} by {zoom:.2f}"
        if self.subject:
            reason += f", subject at ({self.middle[0]:.0f}, {self.middle[1]:.0f})"
        else:
            reason = f"gentle {reason}, no clear subject"
        start, end = (tight, wide) if pulls else (wide, tight)
        mask = self.subject.mask if self.subject else None
        return Shot(start, end, self.focus, parallax, share, reason, mask)

    def _invented(self, stand):
        pose = self._pose(stand)
        scale = SEARCH_SIDE / max(self.box)
        size = tuple(max(1, round(side * scale)) for side in self.box)
        return self.scene.holes(pose, pose.focal_px * size[1] / self.box[1], size)

    def _shots(self):
        """Rate all shots."""
        ends, rated = [], []
        for share in WIDTHS:
            crop = (self.box[0] * share, self.box[1] * share)
            aim = self._aim(crop)
            wide_windows, tight_windows = self._wide(crop, aim), self._tight(crop)
            for part, slide in WAYS:
                wide = self._ends(wide_windows, crop, aim, part, 0.0)
                tight = self._ends(tight_windows, crop, aim, part, slide * self.strength)
                for index, stand in enumerate(wide.stands):
                    ends += [(stand, other) for other in tight.stands]
                    rated.append(self._rate(wide, index, tight))
        rank, score, parallax = map(np.concatenate, zip(*rated, strict=True))
        return _Rated(ends, rank, parallax).pick(np.lexsort((-score, -rank)))

    def _aim(self, crop):
        """Middle of the wide window: the photo's, or the subject's where the film is narrower."""
        return tuple(
            fit_center(middle, extent / 2, side) if extent < min(WIDTHS) * side - 1 else side / 2
            for middle, extent, side in zip(
                self.middle, crop[::-1], self.scene.image_size[::-1], strict=True
            )
        )

    def _wide(self, crop, aim):
        """Return wide windows, also such that leave room for a drift."""
        height, width = crop
        side = self.scene.image_size[1]
        room = min((side - width) / 2, AIM_SLACK * width)
        steps = (aim[0] + step * room for step in (0, -1, 1))
        places = dict.fromkeys(fit_center(at, width / 2, side) for at in steps)
        return [CropWindow(u, aim[1], width, height) for u in places]

    def _tight(self, crop):
        """Return windows that show the subject in a good place, inside the photo."""
        found = {}
        zooms = ZOOMS if self.subject else [zoom for zoom in ZOOMS if zoom <= LEAST_ZOOM]
        limit_v, limit_u = self.scene.image_size
        for zoom, across, down in itertools.product(zooms, ACROSS, DOWN):
            height, width = (side / zoom**self.strength for side in crop)
            u, v = self.middle[0] - (across - 0.5) * width, self.middle[1] - (down - 0.5) * height
            u, v = fit_center(u, width / 2, limit_u), fit_center(v, height / 2, limit_v)
            found[CropWindow(u, v, width, height)] = None
        return list(found)

    def _ends(self, windows, crop, aim, part, slide):
        """Stand the camera at windows, and measure what it shows."""
        height, width = self.scene.image_size
        unit = self.focus.depth / self.scene.focal_px
        stands = []
        for window in windows:
            left = window.width / crop[1]  # of the way to the focus, if the lens stays as it is
            x = (window.center_u - width / 2 - left * (aim[0] - width / 2)) * unit
            y = (window.center_v - height / 2 - left * (aim[1] - height / 2)) * unit
            z = self.focus.depth * (1 - left)
            stands.append(Stand((part * x + slide * crop[1] * unit, part * y, part * z), window))
        poses = [self._pose(stand) for stand in stands]
        places, depth = self._project(poses, self.points)
        far, _ = self._project(poses, self.points * (self.far_depth / self.points[2]))
        seen = (np.abs(places) <= 0.5).all(axis=1)
        shifted = places - far
        shifted[:, 1] *= self.box[0] / self.box[1]
        # Pixels of the photo that a place in the frame is magnified from.
        focal = np.array([pose.focal_px for pose in poses], np.float32)[:, None]
        grown = (focal / self.scene.focal_px * self.points[2] / depth)[:, self.all]
        large = seen[:, self.all] & (grown > TOO_LARGE)
        area = height * width / (self.box[0] * self.box[1])
        stretched = np.where(large, grown, 0) ** 2
        return _Ends(
            stands, shifted, seen, *self._placing(places, seen), stretched.mean(axis=1) * area
        )

    def _pose(self, stand) -> CameraPose:
        scene = self.scene
        return CameraPath(
            lambda t: stand, scene.image_size, scene.focal_px, self.focus, self.box
        ).pose(0)

    def _project(self, poses, points):
        """Return places (K, 2, P) in the frame, -0.5..0.5, and depths (K, P), inf behind it."""
        shift = np.array([pose.shift for pose in poses], np.float32)
        scale = np.array([pose.focal_px for pose in poses], np.float32)[:, None]
        lens = np.array([pose.lens for pose in poses], np.float32)
        depth = points[2] + shift[:, 2:]
        behind = depth < 1e-3 * self.focus.depth
        depth[behind] = np.inf
        places = np.stack(
            [
                scale
                / extent
                * ((points[axis] + shift[:, axis, None]) / depth - lens[:, axis, None])
                for axis, extent in ((0, self.box[1]), (1, self.box[0]))
            ],
            axis=1,
        )
        places[:, 0][behind] = places[:, 1][behind] = 9  # far outside
        return places, depth

    def _placing(self, places, seen):
        """Return how much of the subject is cut, and how well it stands, as in _Ends."""
        if not self.subject:
            return np.zeros((len(places), 2)), np.ones(len(places))
        outline = places[:, :, self.outline]
        outside = 1 - seen[:, self.shown].mean(axis=1)
        if len(self._open_sides(0)) < 4:
            outside = np.maximum(0, outside - BY_BORDER)
        beyond = []
        for margin in (MARGIN, 0.0):
            shares = [
                ((outline[:, axis] if high else -outline[:, axis]) > 0.5 - margin).mean(axis=1)
                for axis, high in self._open_sides(margin)
            ]
            beyond.append(np.max([outside, *shares], axis=0))
        across, down = places[:, :, self.shown].mean(axis=2).T
        aside = np.min([np.abs(across - third) for third in (-1 / 6, 0, 1 / 6)], axis=0)
        off = np.maximum(0, np.abs(down) - 0.05)
        framing = np.exp(-0.5 * ((aside / 0.06) ** 2 + (off / 0.08) ** 2))
        return np.stack(beyond, axis=1), framing

    def _rate(self, wide, index, tight):
        """Rank, score and parallax of the shots from one wide end to all tight ones."""
        motion = np.hypot(*(tight.shifted - wide.shifted[index]).swapaxes(0, 1))
        seen = tight.seen & wide.seen[index]
        parallax, own = (
            _median(motion[:, group], seen[:, group]) for group in (self.near, self.shown)
        )
        pleases = PLEASING * self.strength
        gain = (parallax / (parallax + pleases) + own / (own + pleases)) / 2
        wild = np.exp(-np.maximum(0, np.maximum(parallax, own) / self.strength - WILD) / 0.05)
        beyond = np.maximum(tight.beyond, wide.beyond[index])
        cut = np.exp(-np.maximum(0, beyond[:, 1] - ROUGH) / 0.08)
        calm = np.maximum(0, 1 - 4 * tight.stretched)
        score = gain * wild * cut * calm * (0.4 + 0.6 * tight.framing)
        widths = np.array([stand.window.width for stand in tight.stands])
        zoom = (wide.stands[index].window.width / widths) ** (1 / self.strength)
        enough = zoom > LEAST_ZOOM - 1e-6
        # Whole with a margin, or at least whole; gentler only where it is not; then as it goes.
        rank = np.where(beyond[:, 0] <= ROUGH, 2, np.where(beyond[:, 1] <= ROUGH, 1, 0))
        rank = np.where(rank == 0, -(zoom > LEAST_ZOOM + 1e-6).astype(int), rank + 2 * enough)
        return rank, score, parallax


def _thinned(index, count=POINTS):
    """Return so many of many indices, evenly."""
    return index[np.linspace(0, len(index) - 1, min(len(index), count)).astype(int)]


def _median(values, seen):
    """Return the medians of those values (K, P) that are seen; 0 where hardly any are."""
    count = seen.sum(axis=1)
    ordered = np.sort(np.where(seen, values, np.inf), axis=1)
    middle = ordered[np.arange(len(ordered)), np.maximum(0, (count - 1) // 2)]
    return np.where(count > 0.2 * values.shape[1], middle, 0)
