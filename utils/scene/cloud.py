"""One photo as a point cloud: lift it, add what a moved camera uncovers, render views of it.

Which pixels show one surface, and which mix two, stands in utils.scene.edges and utils.scene.rims;
how a view with holes is inpainted, in utils.scene.uncovered.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

import kernels
from kernels import Cloud, View
from kernels.constants import RIM_FULL
from utils.camera import NO_LENS
from utils.depth.steps import EDGE_JUMP
from utils.scene.closing import close_rims, close_sheet
from utils.scene.edges import surface_mask
from utils.scene.grids import Grid
from utils.scene.lifting import lift_pixels
from utils.scene.rims import Rims, find_rims
from utils.scene.surface import Lens, Sheet, connected
from utils.scene.uncovered import Added, HoledView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from utils.scene.uncovered import Inpaints

# Far surfaces end here, as a share of the largest disparity (200 x the nearest depth): beyond it
# nothing moves by a pixel, and single precision would place points badly (measured there:
# docs/method/reference.md, G8).
DISPARITY_FLOOR = 0.005
# Inpainting works on at most this many pixels; a larger photo is inpainted at reduced size, which
# bounds time and memory, and stays near the 1024 x 768 that the networks were trained for.
INPAINT_PIXELS = 1_000_000


def scale_disparity(
    disparity: torch.Tensor, baseline: float, peak: float | None = None
) -> torch.Tensor:
    """Turn any disparity or inverse depth into the scene's: the nearest point at `baseline`.

    A negative minimum is subtracted first, as relative disparity has no zero of its own.

    Args:
        disparity: (1, 1, H, W), larger = nearer, finite.
        baseline: the disparity that the nearest point gets.
        peak: what stands for `baseline`, where that is known; by default the largest.
    Returns:
        (1, 1, H, W) in [DISPARITY_FLOOR * baseline, baseline].
    """
    # NumPy's: on maps of this size torch's threads wait for each other longer than they work.
    values = disparity.cpu().numpy()
    values = values - min(values.min(), 0)
    most = values.max() if peak is None else values.dtype.type(peak)
    if most <= 0:  # flat: everything at the nearest depth
        return torch.full_like(disparity, baseline)
    values /= most
    np.maximum(values, DISPARITY_FLOOR, out=values)
    values *= baseline
    return torch.from_numpy(values).to(disparity.device)


def reduce_photo(
    image: torch.Tensor, disparity: torch.Tensor, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a photo (1, C, H, W) and its disparity (1, 1, H, W) at this scale, at most 1."""
    size = [max(1, round(side * scale)) for side in image.shape[2:]]
    # Averaging disparity over an edge would invent surfaces between near and far.
    return (
        F.interpolate(image, size, mode="area"),
        F.interpolate(disparity, size, mode="nearest-exact"),
    )


class Scene:
    """The coloured point cloud of one photo, growing by what is inpainted.

    On a CUDA device everything stays there; for any other device the cloud lives on the CPU.

    Args:
        image: (1, 3, H, W) RGB in [0, 1].
        disparity: (1, 1, H, W) px, larger = nearer, positive (see `scale_disparity`).
        focal_px: focal length of the photo, px.
        baseline: depth = focal_px * baseline / disparity.
        rims: take mixed pixels at depth edges apart, and draw the front's share over the rest
            (see `find_rims`); False drops them instead.
    Raises:
        ValueError: shapes do not fit together, or disparity is not finite and positive.
    """

    def __init__(
        self,
        image: torch.Tensor,
        disparity: torch.Tensor,
        focal_px: float,
        baseline: float,
        rims: bool = True,
    ) -> None:
        """Lift every pixel that lies on a surface."""
        if image.ndim != 4 or image.shape[:2] != (1, 3):
            raise ValueError(f"image must be (1, 3, H, W), got {tuple(image.shape)}.")
        if disparity.shape != (1, 1, *image.shape[2:]):
            raise ValueError(
                f"disparity must be (1, 1, {image.shape[2]}, {image.shape[3]}) like "
                f"the image, got {tuple(disparity.shape)}."
            )
        values = disparity.cpu().numpy()
        if not (values.min() > 0 and values.max() < np.inf):  # nor NaN
            raise ValueError("disparity must be finite and positive; see scale_disparity().")
        self.device = image.device if image.is_cuda else torch.device("cpu")
        self.image = image.to(self.device, torch.float32)
        self.disparity = disparity.to(self.device, torch.float32)
        self.focal_px, self.baseline = float(focal_px), float(baseline)
        self._points: list[torch.Tensor] = []
        self._colors: list[torch.Tensor] = []
        self._spacing: list[torch.Tensor] = []
        self.inpainted_grids: list[Grid] = []
        self.seen_grid: Grid | None = None  # of what a second eye saw
        self._cloud: Cloud | None = None
        self._unreached: dict[tuple, float] = {}  # of the cloud as it is
        self._views: list[dict[str, Any]] = []  # for which surfaces are closed
        # Points between others, of each picture, the photo's first.
        self._between: list[Cloud] = []
        self._rims: dict[bool, Cloud] = {}  # without and with points between
        self._filled: list[Sheet] = []  # what was inpainted
        self._layers = find_rims(self.disparity, self.image) if rims else None
        # (1, 1, H, W) bool: which pixels of the photo show one surface.
        self.surface = surface_mask(self.disparity)
        self._behind = self._behind_rims()
        self._append_photo(self.kept())
        self.photo_points = self._points[0].shape[1]  # they come first in the cloud
        self.seen_points = self.photo_points  # and then what a second eye saw: nothing invented
        self._behind_points = 0  # then those behind rims, once they are there

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the photo, px."""
        height, width = self.image.shape[2:]
        return height, width

    @property
    def depth(self) -> torch.Tensor:
        """(1, 1, H, W) depth of the photo, unit of the baseline."""
        return self.focal_px * self.baseline / self.disparity

    @property
    def _lens(self) -> Lens:
        """The photo's camera."""
        return Lens(self.focal_px, self.focal_px * self.baseline)

    def solid(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Image (1, 3, H, W) and disparity (1, 1, H, W) of the photo without its rims.

        These are its opaque points. Under a rim, that is what lies behind it.
        """
        if self._layers is None:
            return self.image, self.disparity
        return self._layers.image, self._layers.disparity

    @property
    def taken_apart(self) -> Rims | None:
        """The photo as it was taken apart at its depth edges, None if there are none."""
        return self._layers

    def kept(self) -> torch.Tensor:
        """(1, 1, H, W) bool: which pixels of `solid` are points of the cloud by now.

        What lies behind whole pixels of a front is invented: it comes with the inpainting.
        """
        if self._layers is None:
            return self.surface
        return torch.ones_like(self.surface) if self._behind is None else ~self._behind

    def connected(self) -> tuple[np.ndarray, np.ndarray]:
        """Say which neighbours of `solid` hang together; see `utils.scene.connected`."""
        disparity, kept = (part[0, 0].cpu().numpy() for part in (self.solid()[1], self.kept()))
        return connected(disparity, kept)

    def cloud(self, closed: bool = False) -> Cloud:
        """Return points (3, N) float32, colours (N, 3) uint8 and spacing (N,) float32.

        The spacing of a point is its distance to its neighbours where it was lifted. The photo's
        points come first, then what was inpainted; with `closed`, then what `close_surfaces` put
        between them: `between_photo` points of the photo, and those of what was inpainted.
        """
        if self._cloud is None:
            between = list(zip(*self._between, strict=True)) or [(), (), ()]
            parts = self._points, self._colors, self._spacing
            whole: list[Any] = [
                torch.cat([*part, *more], dim=dim).contiguous()
                for part, more, dim in zip(parts, between, (1, 0, 0), strict=True)
            ]
            if self.device.type == "cpu":
                whole = [part.numpy() for part in whole]
            self._cloud = Cloud(*whole)
        if closed:
            return self._cloud
        points, colors, spacing = self._cloud
        count = points.shape[1] - sum(len(part.spacing) for part in self._between)
        return Cloud(points[:, :count], colors[:count], spacing[:count])

    @property
    def between_photo(self) -> int:
        """How many points `close_surfaces` put between those of the photo."""
        return len(self._between[0].spacing) if self._between else 0

    def close_surfaces(self, views: Iterable[dict[str, Any]]) -> None:
        """Put points between neighbours of one surface, where it would open in one of the views.

        They take the place of those that were there before; what is inpainted afterwards is closed
        for the same views (docs/method/rendering.md, Closed surfaces).

        Args:
            views: what `render` is asked for, as `CameraPath.view` returns it.
        """
        views = list(views)
        if views == self._views:
            return  # the planner has asked for the same film
        self._views = views
        self._changed()
        self._rims.pop(True, None)
        self._between = [self._close_photo(), *map(self._close_filled, self._filled)]

    def rims(self, closed: bool = False) -> Cloud | None:
        """Return the rim points as `kernels.render_frame` takes them, None if there are none.

        With `closed`, those follow that keep a rim with its front, see `close_surfaces`.
        """
        if self._layers is None:
            return None
        if closed not in self._rims:
            rims = self._lift_rims()
            if closed and self._views:
                more = close_rims(self._layers, self.disparity, self._lens, self._views)
                rims = tuple(
                    torch.cat(parts, dim=dim).contiguous()
                    for dim, *parts in zip((1, 0, 0), rims, more, strict=True)
                )
            if self.device.type != "cuda":
                rims = tuple(part.numpy() for part in rims)
            self._rims[closed] = Cloud(*rims)
        return self._rims[closed]

    def inpainted(self) -> Cloud:
        """Return what was inpainted, and what a second eye saw, as `cloud` has it.

        What lies behind rims is the photo's.
        """
        points, colors, spacing = self.cloud()
        inpainted = self.seen_points + self._behind_points
        index = np.r_[self.photo_points : self.seen_points, inpainted : len(colors)]
        return Cloud(points[:, index], colors[index], spacing[index])

    def render(
        self,
        shift: Any,
        focal_px: float | None = None,
        size: tuple[int, int] | None = None,
        fill: bool = True,
        colors: Any = None,
        lens: tuple[float, float] = NO_LENS,
        rim_colors: Any = None,
        numbers: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Render the view of a moved camera.

        Args:
            shift: (3,) added to every point.
            focal_px: focal length of the view, px; by default the photo's, scaled to `size`.
            size: (height, width) of the view, px; the photo's by default.
            fill: fill the holes that are left from the farther side.
            colors: of the points instead of their own, as `cloud(closed=True)` has them.
            lens: how the lens is shifted, see `utils.camera.CameraPose`.
            rim_colors: of the rim points instead of their own, as `rims(closed=True)` has them.
            numbers: these colours are numbers, see `kernels.render_frame`.
        Returns:
            frame (H, W, 3) uint8; holes (H, W) bool, where no point landed before filling.
        """
        size = size or self.size
        focal_px = focal_px or self.focal_px * size[1] / self.size[1]
        cloud, rims = self.cloud(closed=True), self.rims(closed=True)
        if colors is not None:
            cloud = cloud._replace(colors=colors)
        if rims is not None and rim_colors is not None:
            rims = rims._replace(colors=rim_colors)
        shifted = [-focal_px * slope for slope in lens]
        view = View(shift, size, focal_px, self.focal_px * self.baseline, shifted)
        frame, holes = kernels.render_frame(cloud, view, fill, rims, numbers)
        if self.device.type == "cuda":
            frame, holes = frame.cpu().numpy(), holes.cpu().numpy()
        return frame, holes

    def unreached(self, view: dict[str, Any]) -> float:
        """Return the share of a view that no point reaches; asked again, it is not drawn again.

        Args:
            view: what `render` is asked for, as `CameraPath.view` returns it.
        """
        asked = tuple(view.items())
        if asked not in self._unreached:
            self._unreached[asked] = float(self.render(**view, fill=False)[1].mean())
        return self._unreached[asked]

    def add_seen(
        self,
        points: torch.Tensor,
        colors: torch.Tensor,
        spacing: torch.Tensor,
        grid: Grid | None = None,
    ) -> None:
        """Add points that another picture shows, before anything is inpainted.

        Args:
            points: (3, N) float32.
            colors: (N, 3) uint8.
            spacing: (N,) float32, as of `cloud`.
            grid: that picture as a view of the scene, where its pixels are neighbours.
        Raises:
            ValueError: something is inpainted already.
        """
        if len(self._points) != 1 or self._points[0].shape[1] != self.seen_points:
            raise ValueError("what is seen is added before anything is inpainted.")
        self._points = [torch.cat([self._points[0], points.to(self.device)], dim=1)]
        self._colors = [torch.cat([self._colors[0], colors.to(self.device)])]
        self._spacing = [torch.cat([self._spacing[0], spacing.to(self.device)])]
        self.seen_points += points.shape[1]
        self.seen_grid = grid
        self._changed()

    @torch.inference_mode()
    def inpaint(
        self,
        inpainter: Inpaints,
        shift: Any,
        focal_px: float | None = None,
        disparity_inpainter: Inpaints | None = None,
        lens: tuple[float, float] = NO_LENS,
        shown: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> int:
        """Add what the camera at `shift` uncovers to the cloud.

        Args:
            inpainter: a network in eval mode, or a rule as `utils.scene.FarSide`.
            shift: (3,) added to every point.
            focal_px: focal length of that view, px of the photo; the photo's by default.
            disparity_inpainter: takes the disparity from a second one.
            lens: how the lens is shifted, see `utils.camera.CameraPose`.
            shown: says of points (1, 3, N) which the film shows, (N,) bool; by default all.
        Returns:
            int: how many points were added.
        """
        image, disparity, keep = self._working_copy()
        scale = image.shape[3] / self.size[1]
        # Disparity stays that of the whole photo, and so must depth, as focal lengths shrink.
        photo_focal_px, baseline = self.focal_px * scale, self.baseline / scale
        x, y, z = (float(value) for value in shift)
        photo = Lens(photo_focal_px, photo_focal_px * baseline)
        camera = Lens((focal_px or self.focal_px) * scale, photo.scale, (x, y, z), lens)
        sheet = Sheet(image, disparity, keep, photo)
        view = HoledView(sheet, camera, baseline, self._added(), shown)
        if self._views:
            view.close_surfaces()
        filled = inpainter.inpaint(view)
        if disparity_inpainter is not None:
            filled = filled._replace(disparity=disparity_inpainter.inpaint(view).disparity)
        return self._append_behind() + self._append_filled(view, filled)

    def take_over(self, other: Scene) -> None:
        """Add what another copy of this scene, of whatever size, was inpainted with."""
        self._append_behind()
        for parts, added in zip(
            (self._points, self._colors, self._spacing), other.inpainted(), strict=True
        ):
            parts.append(torch.as_tensor(added, device=self.device))
        self._changed()

    def copy(self) -> Scene:
        """Return a scene that grows by itself; what is there already is in memory once."""
        twin = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, (list, dict)):
                setattr(twin, name, value.copy())
        return twin

    # -- the photo's layers --

    def _behind_rims(self):
        """Mark what lies behind whole pixels of a front: invented, it comes with the inpainting."""
        if self._layers is None:
            return None
        pixel, colors = (part.cpu().numpy() for part in self._layers[2:4])
        marked = np.zeros(self.surface.shape, bool)
        marked.flat[pixel[colors[:, 3] == RIM_FULL]] = True
        return torch.from_numpy(marked).to(self.device)

    def _lift_rims(self):
        """Points (3, M), colours (M, 4) and spacing (M,) of the rims."""
        layers, (height, width) = self._layers, self.size
        z = self.focal_px * self.baseline / layers.rim_disparity
        x = (layers.pixel % width - (width - 1) / 2) * z / self.focal_px
        y = (layers.pixel // width - (height - 1) / 2) * z / self.focal_px
        return torch.stack([x, y, z]).float(), layers.colors, z / self.focal_px

    # -- more points --

    def _changed(self):
        """Forget what was made of the points before."""
        self._cloud = None
        self._unreached.clear()

    def _append(self, points, image, spacing, keep):
        """Add the pixels where `keep` (1, 1, H, W) is true to the cloud; return how many."""
        index = keep.view(-1).nonzero().view(-1)
        colors = (image[0] * 255).round_().clamp_(0, 255).byte().flatten(1)[:, index]
        colors = torch.stack(list(colors), dim=1)
        return self._add(points[0, :, index], colors, spacing.view(-1)[index])

    def _add(self, points, colors, spacing):
        """Add points (3, N), their colours (N, 3) and spacing (N,); return how many."""
        self._points.append(points)
        self._colors.append(colors)
        self._spacing.append(spacing)
        self._changed()
        return len(spacing)

    def _append_photo(self, keep):
        """Append what the photo shows where `keep` is true; return how many points."""
        photo = (part[0].cpu().numpy() for part in (*self.solid(), keep))
        image, disparity, kept = photo
        scale = self.focal_px * self.baseline
        lifted = lift_pixels(image, disparity[0], kept[0], self.focal_px, scale)
        return self._add(*(torch.from_numpy(part).to(self.device) for part in lifted))

    def _append_behind(self):
        """Append what lies behind the whole pixels of rims, once."""
        keep, self._behind = self._behind, None
        if keep is None:
            return 0
        self._behind_points = self._append_photo(keep)
        if self._views:
            self._between[0] = self._close_photo()
        return self._behind_points

    def _close_photo(self):
        """Points that close what the photo shows."""
        return close_sheet(Sheet(*self.solid(), self.kept(), self._lens), self._views)

    def _close_filled(self, sheet):
        """Points that close what was inpainted in one view."""
        return close_sheet(sheet, self._views, EDGE_JUMP * float(self.disparity.amax()))

    def _append_filled(self, view, filled):
        """Append the inpainted pixels of a view as points of the scene."""
        floor = DISPARITY_FLOOR * float(self.disparity.amax())
        disparity = filled.disparity.clamp(min=floor)
        depth, points = view.lift(disparity)
        keep = (filled.mask == 0) & surface_mask(disparity) & (depth > 0)
        keep &= ~self._seen_in_photo(points[0]).view(keep.shape)
        begin = sum(part.shape[1] for part in self._points)
        self.inpainted_grids.append(view.grid(keep, begin))
        sheet = Sheet(filled.image, disparity, keep, view.camera)
        self._filled.append(sheet)
        if self._views:
            self._between.append(self._close_filled(sheet))
        return self._append(points, filled.image, depth / view.camera.focal_px, keep)

    def _seen_in_photo(self, points):
        """Say of (3, N) points whether the photo shows what is there: they are not well behind it.

        Nothing can be before what it shows, or it would show that. And what it shows itself needs
        nothing invented, least of all at an outline, where that has the colours of what is behind.
        """
        height, width = self.size
        x, y, z = points
        column = (x * self.focal_px / z + (width - 1) / 2).round()
        row = (y * self.focal_px / z + (height - 1) / 2).round()
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (z > 0)
        pixel = torch.where(inside, row * width + column, 0).long()
        seen = self.disparity.view(-1)[pixel]
        return inside & (
            self.focal_px * self.baseline / z > seen - EDGE_JUMP * self.disparity.amax()
        )

    # -- for inpainting --

    def _working_copy(self):
        """Return image, disparity and surfaces at the size at which inpainting works."""
        height, width = self.size
        scale = min(1.0, (INPAINT_PIXELS / (height * width)) ** 0.5)
        image, disparity = self.solid()
        if scale < 1:
            image, disparity = reduce_photo(image, disparity, scale)
        elif self._layers:
            return image, disparity, torch.ones_like(self.surface)
        return image, disparity, surface_mask(disparity)

    def _added(self):
        """Return the points beyond the photo's."""
        points = torch.cat(self._points, dim=1)[None, :, self.photo_points :]
        colors = torch.cat(self._colors)[self.photo_points :].T[None] / 255
        values = torch.cat([colors, self.focal_px * self.baseline / points[:, 2:]], dim=1)
        return Added(points, values, self.seen_points - self.photo_points)
