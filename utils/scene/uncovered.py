"""What a moved camera sees of a photo's points: a view with holes, and how they are inpainted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

import kernels
from models.pointcloud_inpainting import Inpainting
from utils.camera import unproject
from utils.filters import binary_median
from utils.scene.filling import far_guesses, fill_from_far
from utils.scene.grids import Grid
from utils.scene.patches import add_texture
from utils.scene.surface import Between, Lens, connected, find_between, lift_between

if TYPE_CHECKING:
    from collections.abc import Callable


class HoledView:
    """A photo's cloud seen by a moved camera, with holes, at the working size of inpainting.

    Args:
        image: (1, 3, H, W) RGB in [0, 1].
        disparity: (1, 1, H, W) px of the photo.
        keep: (1, 1, H, W) bool, which pixels are points.
        shift: (3,) added to every point.
        lens: how the lens is shifted, see `utils.camera.CameraPose`.
        photo_focal_px, focal_px: of the photo's camera and of the moved one, px.
        baseline: depth = photo_focal_px * baseline / disparity.
        added: points (1, 3, N) that other poses added, in the photo's camera, and their RGB and
            disparity (1, 4, N).
    """

    def __init__(
        self,
        image: torch.Tensor,
        disparity: torch.Tensor,
        keep: torch.Tensor,
        shift: Any,
        lens: tuple[float, float],
        photo_focal_px: float,
        focal_px: float,
        baseline: float,
        added: tuple[torch.Tensor, torch.Tensor],
    ) -> None:
        """Move the photo's points before the camera."""
        self.image, self.disparity, self.added = image, disparity, added
        x, y, z = (float(value) for value in shift)
        self.shift = x, y, z
        self.photo_focal_px, self.focal_px, self.baseline = photo_focal_px, focal_px, baseline
        depth = photo_focal_px * baseline / disparity
        self.camera = Lens(focal_px, photo_focal_px * baseline, self.shift, lens)
        self.lens = depth.new_tensor([*lens, 0.0]).view(1, 3, 1)
        self.keep = keep.view(-1).nonzero().view(-1)
        self.points = self._moved(unproject(depth, photo_focal_px)[:, :, self.keep])
        self.between: Between | None = None

    def close_surfaces(self) -> None:
        """Put points between the photo's where one surface would open: nothing is uncovered there.

        To be called before anything is rendered.
        """
        kept = torch.zeros(self.disparity.numel(), dtype=torch.bool)
        kept[self.keep.cpu()] = True
        values = self.disparity[0, 0].cpu().numpy()
        photo = Lens(self.photo_focal_px, self.photo_focal_px * self.baseline)
        pairs = connected(values, kept.view(values.shape).numpy())
        here = {"shift": self.shift, "focal_px": self.focal_px, "lens": self.camera.slope,
                "size": values.shape}  # fmt: skip
        self.between = find_between(self.disparity, pairs, photo, [here])
        more = self._moved(lift_between(self.between, self.disparity, photo)[0])
        self.points = torch.cat([self.points, more], dim=2)

    def render(
        self, features: torch.Tensor, more: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Splat features of the photo's pixels into the view.

        Args:
            features: (1, C, H, W).
            more: further points (1, 3, N) of the photo's camera and their features (1, C, N).
        Returns:
            view (1, C, H, W); known (1, 1, H, W) float32 of 0/1.
        """
        parts = [features.flatten(2)[:, :, self.keep]]
        if self.between is not None:
            parts.append(self.between.sample(features))
        points, features = self.points, torch.cat(parts, dim=2)
        if more is not None:
            points = torch.cat([points, self._moved(more[0])], dim=2)
            features = torch.cat([features, more[1]], dim=2)
        height, width = self.image.shape[2:]
        view, coverage = kernels.render_pointcloud(
            points, features, (height, width), self.focal_px, self.baseline
        )
        known = (coverage > 0).float()
        # Single splats in the middle of a hole are no knowledge worth keeping.
        known = known * binary_median(known, 5)
        return view * known, known

    def fill_by_rule(self, shown: Callable[[torch.Tensor], torch.Tensor] | None) -> Inpainting:
        """Continue colour and disparity from the farther side of each hole, then its texture.

        What was added from another pose is known too, and made again only around what is new.

        Args:
            shown: says of points (1, 3, N) which the film shows, (N,) bool: most of what lies
                beyond the photo's border it never does. None: all.
        """
        photo = torch.cat([self.image, self.disparity], dim=1)
        view, known = self.render(photo, self.added)
        filled = fill_from_far(view, known)
        wanted = known == 0
        if shown is not None:
            _, points = self.lift(filled[:, 3:])
            wanted[known == 0] = shown(points[:, :, wanted.view(-1)])
        filled = add_texture(filled, known, wanted)
        if self.added[0].shape[2]:
            known = torch.maximum(self.render(photo)[1], 1 - F.max_pool2d(1 - known, 3, 1, 1))
        return Inpainting(filled[:, :3], filled[:, 3:], known)

    def covered(self, points: torch.Tensor) -> torch.Tensor:
        """Say where (1, 3, N) points of the photo's camera are seen: (1, 1, H, W) of 0/1."""
        nothing = torch.zeros_like(self.image[:, :1])
        features = torch.ones_like(points[:, :1])
        return (self.render(nothing, (points, features))[0] > 0).float()

    def inpaint(self, network: Any) -> Inpainting:
        """Render image, disparity and the network's context, and let it fill the holes."""
        device = next(network.parameters()).device
        features, statistics = network.to_render(self.image.to(device), self.disparity.to(device))
        view, known = self.render(features.to(self.points.device))
        view, known = view.to(device), known.to(device)
        filled = network(*network.arguments(view, known, statistics, far_guesses))
        return type(filled)(*(part.to(self.points.device) for part in filled))

    def lift(self, disparity: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Lift what the view shows into the scene.

        Args:
            disparity: (1, 1, H, W) of the view's pixels, as the photo's camera sees it.
        Returns:
            depth from the moved camera (1, 1, H, W); points (1, 3, H * W) of the photo's camera.
        """
        # Disparity is carried from the photo's camera; the moved camera stands nearer by shift z.
        depth = self.photo_focal_px * self.baseline / disparity + self.shift[2]
        points = unproject(depth, self.focal_px)
        points = points + points[:, 2:] * self.lens
        return depth, points - depth.new_tensor(self.shift).view(1, 3, 1)

    def grid(self, keep: torch.Tensor, begin: int) -> Grid:
        """Return which pixels become points of the cloud; keep: (1, 1, H, W), begin: the first."""
        lens = float(self.lens[0, 0]), float(self.lens[0, 1])
        height, width = keep.shape[2:]
        pixels = keep.view(-1).nonzero().view(-1)
        return Grid((height, width), pixels, begin, self.shift, lens, self.focal_px)

    def _moved(self, points):
        """Return points (1, 3, N) of the photo's camera as the moved one sees them."""
        points = points + points.new_tensor(self.shift).view(1, 3, 1)
        points = points - points[:, 2:] * self.lens  # so that the axis is what the lens looks along
        return points.contiguous()
