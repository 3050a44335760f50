"""Points between the pixels of one surface, where it would open before a moved camera.

See docs/method/rendering.md, Closed surfaces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from kernels import Cloud
from kernels.constants import GROW_FROM, RIM_FULL, RIM_SHARED
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


# What is left of a gap is closed as the cracks of a grid are, in the z-buffer, which closes a whole
# px (docs/method/rendering.md). Tents of rims meet until they are two apart, and are not to
# overlap more than those of the photo, or a rim that is half there would be more than half.
OPAQUE, TENT = Splat(float(GROW_FROM), 0.4, 0.0), Splat(1.0, 0.0, 1.0)
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
    camera = np.array([*lens.shift, *lens.slope, lens.focal_px, lens.scale], np.float64)
    numbers = _numbers(views)
    least = _least_change(values, camera, numbers, splat)
    run_in_parts(
        lambda begin, end: _count_parts(
            _Map(values, right, down), (begin, end), least, camera, numbers, splat, parts
        ),
        len(values),
    )
    most = MOST_PARTS
    while (total := _write_between(right, down, parts, *_room(0))) > values.size:
        most -= max(1, most // 4)
        np.minimum(parts, most, out=parts)
    room = _room(total)
    _write_between(right, down, parts, *room)
    return Between(*room)


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
    camera = np.array([*lens.shift, *lens.slope, lens.focal_px, lens.scale], np.float32)
    depth = 1 / between.sample(disparity)[0, 0].cpu().numpy() * camera[6] + camera[2]
    down, across = (place.astype(np.float32) for place in places)
    u = across + between.across - np.float32((width - 1) / 2)
    v = down + between.down - np.float32((height - 1) / 2)
    x = (u / camera[5] + camera[3]) * depth - camera[0]
    y = (v / camera[5] + camera[4]) * depth - camera[1]
    points = torch.from_numpy(np.stack([x, y, depth - camera[2]]))[None]
    spacing = torch.from_numpy(depth / camera[5])
    return points.to(disparity.device), spacing.to(disparity.device)


def _numbers(views):
    """Views as (V, 8): shift, focal_px, lens, how far the frame reaches to each side (x, y), px."""
    rows = np.empty((len(views), 8), np.float64)
    for row, view in zip(rows, views, strict=True):
        height, width = view.get("size") or (np.inf, np.inf)
        sides = (0.5 * side + BORDER_BEYOND * width for side in (width, height))
        row[:] = *view["shift"], view["focal_px"], *view.get("lens", (0, 0)), *sides
    return rows


def _room(count):
    """Empty arrays of a Between."""
    return np.empty(count, np.int64), np.empty(count, np.float32), np.empty(count, np.float32)


class _Map(NamedTuple):
    """A map of disparity (H, W), and which of its neighbours hang together, see `connected`."""

    disparity: np.ndarray
    right: np.ndarray
    down: np.ndarray


@jit
def _least_change(disparity, camera, views, splat):
    """No gap opens where disparity changes less than this."""
    height, width = disparity.shape
    largest = disparity.max()
    least = np.inf
    for k in range(views.shape[0]):
        ahead = camera[2] - views[k, 2]
        slope = abs(camera[3]) + abs(camera[4]) + 0.5 * max(height, width) / camera[5]
        reach = abs(ahead) * slope
        reach += max(abs(views[k, 0] - camera[0]), abs(views[k, 1] - camera[1]))
        nearest = max(camera[6] + min(views[k, 2], 0.0) * largest, 1e-3 * camera[6])
        gain = views[k, 3] * camera[6] * reach / (nearest * nearest)
        least = min(least, (splat.slack_px + splat.slack * splat.least_px) / max(gain, 1e-12))
    return least


@jit
def _count_parts(surfaces, rows, least, camera, views, splat, parts):
    """Into how many parts each pair is cut: parts (2, H, W), those to the right and below."""
    disparity, right, down = surfaces
    height, width = disparity.shape
    for y in range(rows[0], rows[1]):
        for x in range(width):
            d, place = disparity[y, x], (x - (width - 1) * 0.5, y - (height - 1) * 0.5)
            if x + 1 < width and right[y, x] and abs(disparity[y, x + 1] - d) > least:
                parts[0, y, x] = _parts(place, 0, d, disparity[y, x + 1], camera, views, splat)
            if y + 1 < height and down[y, x] and abs(disparity[y + 1, x] - d) > least:
                parts[1, y, x] = _parts(place, 1, d, disparity[y + 1, x], camera, views, splat)


@jit
def _parts(place, axis, first, second, camera, views, splat):
    """Parts of one pair: its widest gap in any view that shows it, in splats."""
    most = 1.0
    scale = camera[6]
    near, far = scale / first + camera[2], scale / second + camera[2]
    for k in range(views.shape[0]):
        z1, z2 = scale / first + views[k, 2], scale / second + views[k, 2]
        if z1 < 1e-3 or z2 < 1e-3:
            continue
        focal, slope = views[k, 3], camera[3 + axis]
        aside = views[k, axis] - camera[axis]
        begin = focal * ((place[axis] / camera[5] + slope) * near + aside) / z1
        end = focal * (((place[axis] + 1) / camera[5] + slope) * far + aside) / z2
        size = min(focal * near / (camera[5] * z1), focal * far / (camera[5] * z2))
        gap = (end - begin - splat.slack_px) / max(size, splat.least_px) - splat.slack
        if gap <= most:
            continue
        shown = True
        for side in range(2):
            along = (place[side] / camera[5] + camera[3 + side]) * near
            along = (along + views[k, side] - camera[side]) / z1 - views[k, 4 + side]
            shown = shown and abs(focal * along) <= views[k, 6 + side]
        if shown:
            most = gap
    return np.uint8(min(np.ceil(most), MOST_PARTS))


@jit
def _write_between(right, down, parts, pixel, across, below):
    """Write the places between the pixels, as far as there is room; return how many there are."""
    height, width = parts.shape[1:]
    count = 0
    for y in range(height):
        for x in range(width):
            whole = False
            if x + 1 < width and y + 1 < height:
                whole = right[y, x] and right[y + 1, x] and down[y, x] and down[y, x + 1]
            columns, rows = parts[0, y, x], parts[1, y, x]
            inner_columns = inner_rows = 1
            if whole:
                inner_columns = max(columns, parts[0, y + 1, x])
                inner_rows = max(rows, parts[1, y, x + 1])
            if columns == 1 and rows == 1 and (inner_columns == 1 or inner_rows == 1):
                continue
            for step in range(1, columns):
                if count < pixel.shape[0]:
                    pixel[count], below[count] = y * width + x, 0
                    across[count] = step / columns
                count += 1
            for step in range(1, rows):
                if count < pixel.shape[0]:
                    pixel[count], across[count] = y * width + x, 0
                    below[count] = step / rows
                count += 1
            for i in range(1, inner_rows):
                for j in range(1, inner_columns):
                    if count < pixel.shape[0]:
                        pixel[count] = y * width + x
                        across[count], below[count] = j / inner_columns, i / inner_rows
                    count += 1
    return count
