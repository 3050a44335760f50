"""Points between the pixels of one surface, where it would open before a moved camera.

See docs/method/rendering.md, Closed surfaces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from kernels import Cloud
from kernels.constants import GROW_FROM, NEAR_PLANE, RIM_FULL, RIM_SHARED
from kernels.jit import jit
from kernels.threads import run_in_parts
from utils.depth.steps import EDGE_JUMP
from utils.scene.surface import Lens, Sheet, connected

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from utils.scene.rims import Rims


class Splat(NamedTuple):
    """How wide a gap the points of a renderer cover."""

    least_px: float  # of a splat that is drawn as wide as its surface's pixels are there
    slack_px: float  # by which a gap may be wider than that...
    slack: float  # ...and by how many splats


# Half a px is closed as the cracks of a grid are, in the z-buffer, which closes a whole one
# (docs/method/rendering.md). With none left open there are 2.5 times as many points, with a whole
# one five times as much ground is seen (benchmarks.surfaces).
OPAQUE = Splat(float(GROW_FROM), 0.5, 0.0)
# Tents of rims meet until they are two apart, and are not to overlap more than those of the photo,
# or a rim that is half there would be more than half.
TENT = Splat(1.0, 0.0, 1.0)
MOST_PARTS = 32  # of a pair's gap
# What lies beyond a frame by more than this share of its width is not closed for it. Between two of
# the views of a path (`CameraPath.views`) hardly anything enters or leaves by more.
BORDER_BEYOND = 0.1


class Between(NamedTuple):
    """Places between the pixels of a map, for points that close a surface."""

    pixel: np.ndarray  # (K,) int64, the upper left of four
    across: np.ndarray  # (K,) float32 from there, 0 to 1
    down: np.ndarray  # (K,)

    def sample(self, image: torch.Tensor) -> torch.Tensor:
        """Return (1, C, K), interpolated in (1, C, H, W); what has no share is not looked at."""
        values = np.ascontiguousarray(image[0].detach().cpu().numpy())
        mixed = self.mix(values.reshape(len(values), -1), image.shape[3])
        return torch.from_numpy(mixed)[None].to(image.device)

    def mix(self, values: np.ndarray, width: int, number: np.ndarray | None = None) -> np.ndarray:
        """Return (C, K) float32, as `sample`.

        Args:
            values: (C, N) float32.
            width: of the map, px.
            number: (H * W,) int32, which of the values each pixel has; each its own by default.
        """
        mixed = np.zeros((len(values), len(self.pixel)), np.float32)
        run_in_parts(
            lambda begin, end: _mix(self, (begin, end), values, number, width, mixed),
            len(self.pixel),
        )
        return mixed


@jit
def _mix(between, places, values, number, width, mixed):
    """Add to `mixed` what the values have at some of the places."""
    one = np.float32(1)
    for k in range(places[0], places[1]):
        across, down = between.across[k], between.down[k]
        for right, below in ((0, 0), (1, 0), (0, 1), (1, 1)):
            share = (across if right == 1 else one - across) * (down if below == 1 else one - down)
            if not share > 0:
                continue
            place = between.pixel[k] + right + below * width
            if number is not None:  # decided when this is compiled
                place = np.int64(number[place])
            for c in range(values.shape[0]):
                mixed[c, k] += share * values[c, place]


def close_sheet(sheet: Sheet, views: Sequence[dict[str, Any]], limit: float | None = None) -> Cloud:
    """Close the surfaces of a picture with depth, for views as `Scene.render` takes them.

    Args:
        sheet: the picture.
        views: each as `Scene.render` takes it.
        limit: step between two surfaces, see `utils.scene.connected`.
    """
    values, kept = (part[0, 0].cpu().numpy() for part in (sheet.disparity, sheet.keep))
    pairs = connected(values, kept, limit)
    between = find_between(sheet.disparity, pairs, sheet.lens, views)
    points, spacing = lift_between(between, sheet.disparity, sheet.lens)
    colors = (between.sample(sheet.image)[0] * 255).round_().clamp_(0, 255).byte().T
    return Cloud(points[0].contiguous(), colors, spacing)


def close_rims(
    rims: Rims, disparity: torch.Tensor, lens: Lens, views: Sequence[dict[str, Any]]
) -> Cloud:
    """Close the rims of each front, or it would come off.

    Args:
        rims: of the photo.
        disparity: (1, 1, H, W) of the photo.
        lens: its camera's.
        views: each as `Scene.render` takes it.
    """
    height, width = disparity.shape[2:]
    limit = EDGE_JUMP * float(disparity.amax())
    disparity = disparity.clone()
    disparity.view(-1)[rims.pixel] = rims.rim_disparity
    rim = np.zeros((height, width), bool)
    rim.flat[rims.pixel.cpu().numpy()] = True
    pairs = connected(disparity[0, 0].cpu().numpy(), rim, limit)
    between = find_between(disparity, pairs, lens, views, TENT)
    points, spacing = lift_between(between, disparity, lens)
    # Colours times alpha, alpha, and whether the cloud has the point, too; nothing where is no rim.
    alpha = rims.colors[:, 3:].clamp(max=RIM_FULL.item()).float()
    shared = rims.colors[:, 3:] == RIM_SHARED.item()
    values = torch.cat([rims.colors[:, :3] * alpha, alpha, shared], 1)
    maps = F.pad(values.T, (1, 0)).cpu().numpy()
    number = np.zeros(height * width, np.int32)
    number[rims.pixel.cpu().numpy()] = np.arange(1, maps.shape[1], dtype=np.int32)
    mixed = torch.from_numpy(between.mix(maps, width, number)).to(disparity.device)
    alpha = mixed[3:4]
    colors = torch.cat([mixed[:3] / alpha.clamp(min=1), alpha]).T.round().byte()
    colors[mixed[4] > 0.999, 3] = RIM_SHARED.item()
    return Cloud(points[0], colors, spacing)


def find_between(
    disparity: torch.Tensor,
    pairs: tuple[np.ndarray, np.ndarray],
    lens: Lens,
    views: Sequence[dict[str, Any]],
    splat: Splat = OPAQUE,
) -> Between:
    """Find where a surface must have points between its pixels, or it opens in one of the views.

    A pair of neighbours that a view draws farther apart than a splat is large there gets as many
    points as it takes; so does the middle of four that hang together. There are at most as many
    as the map has pixels: if it takes more, the widest gaps are closed as well as that allows.

    Args:
        disparity: (1, 1, H, W) px of the photo's camera.
        pairs: which neighbours hang together, of `connected`.
        lens: of the camera that saw the map.
        views: each as `Scene.render` takes it; one without a size shows all.
        splat: of the points that are drawn.
    Returns:
        Between.
    """
    values = np.ascontiguousarray(disparity[0, 0].cpu().numpy())
    right, down = pairs
    parts = np.ones((2, *values.shape), np.uint8)
    surfaces, asked = _Map(values, right, down, _plain(lens)), _asked(views)
    least = _least_change(surfaces, asked, splat)
    run_in_parts(
        lambda begin, end: _count_parts(surfaces, (begin, end), least, asked, splat, parts),
        len(values),
    )
    most = MOST_PARTS
    while (total := _write_between(right, down, parts, _room(0))) > values.size:
        most -= max(1, most // 4)
        np.minimum(parts, most, out=parts)
    between = _room(total)
    _write_between(right, down, parts, between)
    return between


def lift_between(
    between: Between, disparity: torch.Tensor, lens: Lens
) -> tuple[torch.Tensor, torch.Tensor]:
    """Lift places between pixels, linear in disparity.

    Args:
        between: in the map.
        disparity: (1, 1, H, W) of it.
        lens: of the camera that saw it.
    Returns:
        points (1, 3, K) of the photo's camera; spacing (K,) as `Scene.cloud` has it.
    """
    height, width = disparity.shape[2:]
    places = np.divmod(between.pixel, width)
    focal_px, scale = np.float32(lens.focal_px), np.float32(lens.scale)
    shift, slope = np.array(lens.shift, np.float32), np.array(lens.slope, np.float32)
    depth = 1 / between.sample(disparity)[0, 0].cpu().numpy() * scale + shift[2]
    down, across = (place.astype(np.float32) for place in places)
    u = across + between.across - np.float32((width - 1) / 2)
    v = down + between.down - np.float32((height - 1) / 2)
    x = (u / focal_px + slope[0]) * depth - shift[0]
    y = (v / focal_px + slope[1]) * depth - shift[1]
    points = torch.from_numpy(np.stack([x, y, depth - shift[2]]))[None]
    spacing = torch.from_numpy(depth / focal_px)
    return points.to(disparity.device), spacing.to(disparity.device)


class _Asked(NamedTuple):
    """V views, float64."""

    shift: np.ndarray  # (V, 3)
    focal_px: np.ndarray  # (V,)
    lens: np.ndarray  # (V, 2)
    reach: np.ndarray  # (V, 2) px to each side of the middle that are closed


def _asked(views):
    """Views, or none, as kernels take them."""
    sizes = (view.get("size") or (np.inf, np.inf) for view in views)
    fields = (
        [view["shift"] for view in views],
        [view["focal_px"] for view in views],
        [view.get("lens", (0, 0)) for view in views],
        [(w / 2 + BORDER_BEYOND * w, h / 2 + BORDER_BEYOND * w) for h, w in sizes],
    )
    shapes = (-1, 3), (-1,), (-1, 2), (-1, 2)
    return _Asked(
        *(np.array(part, np.float64).reshape(to) for part, to in zip(fields, shapes, strict=True))
    )


def _plain(lens):
    """A lens all of Python's floats, for which kernels are compiled once."""
    shift, slope = (tuple(float(each) for each in part) for part in (lens.shift, lens.slope))
    return Lens(float(lens.focal_px), float(lens.scale), shift, slope)


def _room(count):
    """Between that is not written yet."""
    places = np.empty(count, np.int64), np.empty(count, np.float32), np.empty(count, np.float32)
    return Between(*places)


class _Map(NamedTuple):
    """A map of disparity (H, W), and which of its neighbours hang together, see `connected`."""

    disparity: np.ndarray
    right: np.ndarray
    down: np.ndarray
    lens: Lens


@jit
def _least_change(surfaces, asked, splat):
    """No gap opens where disparity changes less than this."""
    disparity, lens = surfaces.disparity, surfaces.lens
    height, width = disparity.shape
    largest = disparity.max()
    least = np.inf
    for k in range(len(asked.focal_px)):
        x, y, z = asked.shift[k]
        slope = abs(lens.slope[0]) + abs(lens.slope[1]) + 0.5 * max(height, width) / lens.focal_px
        reach = abs(lens.shift[2] - z) * slope
        reach += max(abs(x - lens.shift[0]), abs(y - lens.shift[1]))
        nearest = max(lens.scale + min(z, 0.0) * largest, NEAR_PLANE * lens.scale)
        gain = asked.focal_px[k] * lens.scale * reach / (nearest * nearest)
        least = min(least, (splat.slack_px + splat.slack * splat.least_px) / max(gain, 1e-12))
    return least


@jit
def _count_parts(surfaces, rows, least, asked, splat, parts):
    """Into how many parts each pair is cut: parts (2, H, W), those to the right and below."""
    disparity, right, down, lens = surfaces
    height, width = disparity.shape
    for y in range(rows[0], rows[1]):
        for x in range(width):
            d, place = disparity[y, x], (x - (width - 1) * 0.5, y - (height - 1) * 0.5)
            if x + 1 < width and right[y, x] and abs(disparity[y, x + 1] - d) > least:
                parts[0, y, x] = _parts(place, 0, d, disparity[y, x + 1], lens, asked, splat)
            if y + 1 < height and down[y, x] and abs(disparity[y + 1, x] - d) > least:
                parts[1, y, x] = _parts(place, 1, d, disparity[y + 1, x], lens, asked, splat)


@jit
def _parts(place, axis, first, second, lens, asked, splat):
    """Parts of one pair: its widest gap in any view that shows it, in splats."""
    most = 1.0
    z1, z2 = lens.scale / first, lens.scale / second
    near, far = z1 + lens.shift[2], z2 + lens.shift[2]
    slope = place[axis] / lens.focal_px + lens.slope[axis]
    next_slope = (place[axis] + 1) / lens.focal_px + lens.slope[axis]
    for k in range(len(asked.focal_px)):
        focal, front, back = asked.focal_px[k], z1 + asked.shift[k, 2], z2 + asked.shift[k, 2]
        if front < NEAR_PLANE or back < NEAR_PLANE:
            continue
        aside = asked.shift[k, axis] - lens.shift[axis]
        begin = focal * (slope * near + aside) / front
        end = focal * (next_slope * far + aside) / back
        size = min(focal * near / (lens.focal_px * front), focal * far / (lens.focal_px * back))
        gap = (end - begin - splat.slack_px) / max(size, splat.least_px) - splat.slack
        if gap <= most:
            continue
        shown = True
        for side in range(2):
            along = (place[side] / lens.focal_px + lens.slope[side]) * near
            along = (along + asked.shift[k, side] - lens.shift[side]) / front - asked.lens[k, side]
            shown = shown and abs(focal * along) <= asked.reach[k, side]
        if shown:
            most = gap
    return np.uint8(min(np.ceil(most), MOST_PARTS))


@jit
def _write_between(right, down, parts, between):
    """Write the places between the pixels, as far as there is room; return how many there are."""
    height, width = parts.shape[1:]
    count = 0
    for y in range(height):
        for x in range(width):
            whole = False
            if x + 1 < width and y + 1 < height:
                whole = right[y, x] and right[y + 1, x] and down[y, x] and down[y, x + 1]
            place, columns, rows = y * width + x, parts[0, y, x], parts[1, y, x]
            for step in range(1, columns):
                count = _put(between, count, place, step / columns, 0)
            for step in range(1, rows):
                count = _put(between, count, place, 0, step / rows)
            if whole:
                columns, rows = max(columns, parts[0, y + 1, x]), max(rows, parts[1, y, x + 1])
                for i in range(1, rows):
                    for j in range(1, columns):
                        count = _put(between, count, place, j / columns, i / rows)
    return count


@jit
def _put(between, count, place, across, down):
    """Write a place, if there is room; return how many there are then."""
    if count < between.pixel.shape[0]:
        between.pixel[count], between.across[count], between.down[count] = place, across, down
    return count + 1
