"""What a moved camera sees of a photo's points: a view with holes, and how they are inpainted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch

import kernels
from utils.camera import unproject
from utils.filters import binary_median
from utils.scene.closing import Between, find_between, lift_between
from utils.scene.filling import far_guesses
from utils.scene.grids import Grid
from utils.scene.surface import Lens, Sheet, connected

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.roles import Inpainting


class Added(NamedTuple):
    """Points of a scene beyond the photo's, in the photo's camera."""

    points: torch.Tensor  # (1, 3, N)
    values: torch.Tensor  # (1, C, N): RGB in [0, 1] and disparity, or what else is rendered
    seen: int = 0  # the first so many another picture shows; the others were inpainted

    @classmethod
    def nothing(cls, like: torch.Tensor) -> Added:
        """Return no points, on the device of a tensor."""
        return cls(like.new_zeros(1, 3, 0), like.new_zeros(1, 4, 0))


class HoledView:
    """A photo's cloud seen by a moved camera, with holes, at the working size of inpainting.

    Args:
        photo: what the photo's camera saw.
        camera: the moved one.
        baseline: disparity of the photo = its focal length * baseline / depth.
        added: points of the scene beside the photo's.
        shown: says of points (1, 3, N) of the photo's camera which the film shows, (N,) bool. None:
            all.

    Attributes:
        image: (1, 3, H, W) RGB in [0, 1] of the photo, at this size.
        disparity: (1, 1, H, W) px of the photo.
        added: as above.
        device: where all this lives.
    """

    # What networks may start from: the holes filled by rule, in three ways.
    guess = staticmethod(far_guesses)

    def __init__(
        self,
        photo: Sheet,
        camera: Lens,
        baseline: float,
        added: Added | None = None,
        shown: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        """Move the photo's points before the camera."""
        self.image, self.disparity, keep, self.photo_lens = photo
        self.added = Added.nothing(self.disparity) if added is None else added
        self.camera, self.baseline, self.shown = camera, baseline, shown
        self.device = self.disparity.device
        depth = self.photo_lens.scale / self.disparity
        self._slope = depth.new_tensor([*camera.slope, 0.0]).view(1, 3, 1)
        self.keep = keep.view(-1).nonzero().view(-1)
        self.points = self._moved(unproject(depth, self.photo_lens.focal_px)[:, :, self.keep])
        self.between: Between | None = None

    @property
    def photo(self) -> torch.Tensor:
        """(1, 4, H, W) image and disparity of the photo, to be rendered."""
        return torch.cat([self.image, self.disparity], dim=1)

    def close_surfaces(self) -> None:
        """Put points between the photo's where one surface would open: nothing is uncovered there.

        To be called before anything is rendered.
        """
        kept = torch.zeros(self.disparity.numel(), dtype=torch.bool)
        kept[self.keep.cpu()] = True
        values = self.disparity[0, 0].cpu().numpy()
        pairs = connected(values, kept.view(values.shape).numpy())
        focal_px, _, shift, slope = self.camera
        here = {"shift": shift, "focal_px": focal_px, "lens": slope, "size": values.shape}
        self.between = find_between(self.disparity, pairs, self.photo_lens, [here])
        more = self._moved(lift_between(self.between, self.disparity, self.photo_lens)[0])
        self.points = torch.cat([self.points, more], dim=2)

    def render(
        self, features: torch.Tensor, more: Added | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Splat features of the photo's pixels into the view.

        Args:
            features: (1, C, H, W).
            more: further points, with values of C channels.
        Returns:
            view (1, C, H, W); known (1, 1, H, W) float32 of 0/1.
        """
        parts = [features.flatten(2)[:, :, self.keep]]
        if self.between is not None:
            parts.append(self.between.sample(features))
        points, features = self.points, torch.cat(parts, dim=2)
        if more is not None and more.points.shape[2]:
            points = torch.cat([points, self._moved(more.points)], dim=2)
            features = torch.cat([features, more.values], dim=2)
        height, width = self.image.shape[2:]
        view, coverage = kernels.render_pointcloud(
            points, features, (height, width), self.camera.focal_px, self.baseline
        )
        known = (coverage > 0).float()
        # Single splats in the middle of a hole are no knowledge worth keeping.
        known = known * binary_median(known, 5)
        return view * known, known

    def with_seen(self, known: torch.Tensor) -> torch.Tensor:
        """Return (1, 1, H, W) of 0/1: what is known, and where another picture shows something."""
        if not self.added.seen:
            return known
        points = self.added.points[:, :, : self.added.seen]
        nothing, ones = torch.zeros_like(self.image[:, :1]), torch.ones_like(points[:, :1])
        return torch.maximum(known, (self.render(nothing, Added(points, ones))[0] > 0).float())

    def in_film(self, disparity: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        """Say which pixels the film shows: never most of what lies beyond the photo's border.

        Args:
            disparity: (1, 1, H, W) of the view.
            pixels: (1, 1, H, W) bool, of which this is asked.
        """
        if self.shown is None:
            return pixels
        _, points = self.lift(disparity)
        found = pixels.clone()
        found[pixels] = self.shown(points[:, :, pixels.view(-1)])
        return found

    def lift(self, disparity: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Lift what the view shows into the scene.

        Args:
            disparity: (1, 1, H, W) of the view's pixels, as the photo's camera sees it.
        Returns:
            depth from the moved camera (1, 1, H, W); points (1, 3, H * W) of the photo's camera.
        """
        # Disparity is carried from the photo's camera; the moved camera stands nearer by shift z.
        depth = self.photo_lens.scale / disparity + self.camera.shift[2]
        points = unproject(depth, self.camera.focal_px)
        points = points + points[:, 2:] * self._slope
        return depth, points - depth.new_tensor(self.camera.shift).view(1, 3, 1)

    def grid(self, keep: torch.Tensor, begin: int) -> Grid:
        """Return which pixels become points of the cloud; keep: (1, 1, H, W), begin: the first."""
        lens = float(self._slope[0, 0]), float(self._slope[0, 1])
        height, width = keep.shape[2:]
        pixels = keep.view(-1).nonzero().view(-1)
        return Grid((height, width), pixels, begin, self.camera.shift, lens, self.camera.focal_px)

    def _moved(self, points):
        """Return points (1, 3, N) of the photo's camera as the moved one sees them."""
        points = points + points.new_tensor(self.camera.shift).view(1, 3, 1)
        # So that the axis is what the lens looks along.
        return (points - points[:, 2:] * self._slope).contiguous()


class Inpaints(Protocol):
    """What fills the holes of a view: a network of models/roles.py, or a rule."""

    def inpaint(self, view: HoledView) -> Inpainting:
        """Return the view with its holes filled, on its device; what is known there is not used."""
