"""Two eyes: the same scene from a pair of cameras, side by side or as a red-cyan anaglyph.

Both cameras look straight ahead and their pictures are shifted against each other, so that one
plane of the scene has no parallax: it lies in the screen. (Cameras turned towards each other would
misalign rows.) The plane stays where it is in the scene while the camera moves, and the distance
of the eyes is proportional to that of the plane: a point at distance z has the parallax
2 * shift * (plane / z - 1).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from utils.camera import NO_LENS, depth_range, nearest_depth
from utils.film.colour import light_to_srgb, srgb_to_light
from utils.scene.cloud import Scene
from utils.scene.matte import Matte
from utils.scene.rgbd import RgbdScene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from utils.camera.path import CameraPath
    from utils.scene.uncovered import Inpaints

# Parallax between the nearest and the farthest surface, as a share of the picture's width, where
# the camera is nearest. 2 to 3 % is comfortable on a desk, in a living room and in a headset, and
# what lies behind the screen (1.7 %) keeps eyes parallel on screens up to 3.8 m wide.
PARALLAX_SHARE = 0.025
IN_FRONT = 1 / 3  # of it is in front of the screen, by eye
# Half the shift of the pictures is at most this share, by eye: a shallow scene stays a little flat.
MOST_SHIFT = 0.02

# Left and right eye's linear RGB to what red-cyan glasses on an sRGB screen bring nearest to it, by
# least squares: E. Dubois, A projection method to generate anaglyph stereo images, ICASSP 2001, the
# matrix for a CRT as printed in Sanders and McAllister, Producing anaglyphs from synthetic images,
# SPIE 5006, 2003 (matrix B, rows scaled to white).
DUBOIS = np.array(
    [
        [0.4561, 0.500484, 0.176381, -0.0434706, -0.0879388, -0.00155529],
        [-0.0400822, -0.0378246, -0.0157589, 0.378476, 0.73364, -0.0184503],
        [-0.0152161, -0.0205971, -0.00546856, -0.0721527, -0.112961, 1.2264],
    ],
    np.float32,
)


class StereoScene:
    """A scene seen with two eyes; renders and inpaints like a `Scene`.

    Args:
        scene: utils.scene.cloud.Scene.
        path: CameraPath in it; the nearest end decides plane and distance of the eyes.
        layout: of MERGES: "sbs" (left eye left), "tb" (left eye above), both in full size or half,
            or "anaglyph" (red left, cyan right).
    """

    def __init__(self, scene: Scene, path: CameraPath, layout: str) -> None:
        """Choose the plane without parallax and the shift of the pictures."""
        self.scene: Any = scene  # or its Matte
        self.device = scene.device
        self.merge: Callable[..., np.ndarray] = MERGES[layout]
        near, far = depth_range(scene.depth)
        moved = min(path.pose(t).shift[2] for t in path.inpaint_at)
        near = max(near, nearest_depth(scene.depth))  # what is nearer, at the border, passes by
        near, far = 1 / (near + moved), 1 / (max(near, far) + moved)
        plane = near - IN_FRONT * (near - far)
        self.plane_depth = 1 / plane - moved  # from the photo's camera, unit of the baseline
        self.shift_share = min(PARALLAX_SHARE / 2 * plane / max(near - far, 1e-9), MOST_SHIFT)
        self.crop_width = path.crop[1]

    def render(
        self,
        shift: Any,
        focal_px: float,
        size: tuple[int, int],
        fill: bool = True,
        lens: tuple[float, float] = NO_LENS,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Render both eyes of (height, width) `size`; see `Scene.render`.

        Returns:
            frame (H or 2H, W or 2W, 3) uint8; holes of that size, bool.
        """
        (left, left_holes), (right, right_holes) = (
            self.scene.render(moved, focal_px, size, fill=fill, lens=look)
            for moved, look in self._eyes(shift, lens, size[1] / focal_px)
        )
        if self.merge is anaglyph:
            holes = left_holes | right_holes
        else:
            shown = (np.uint8(255) * part for part in (left_holes, right_holes))
            holes = self.merge(*shown) > 127
        return self.merge(left, right), holes

    def unreached(self, view: dict[str, Any]) -> float:
        """Return the share of both eyes' picture that no point reaches; see `Scene.unreached`."""
        return float(self.render(**view, fill=False)[1].mean())

    def close_surfaces(self, views: Iterable[dict[str, Any]]) -> None:
        """Close surfaces for both eyes of each view; see `Scene.close_surfaces`."""
        self.scene.close_surfaces(
            {**view, "shift": moved, "lens": look}
            for view in views
            for moved, look in self._eyes(
                view["shift"], view["lens"], view["size"][1] / view["focal_px"]
            )
        )

    def matte(self) -> StereoScene:
        """Return what renders this scene in white, where either eye's view is invented."""
        matte = copy.copy(self)
        matte.scene = Matte(self.scene)
        if self.merge is anaglyph:
            matte.merge = np.maximum
        return matte

    def inpaint(
        self,
        inpainter: Inpaints,
        shift: Any,
        focal_px: float,
        disparity_inpainter: Inpaints | None = None,
        lens: tuple[float, float] = NO_LENS,
        shown: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> int:
        """Add what either eye uncovers; see `Scene.inpaint`.

        `shown` speaks of one camera between the eyes, which see more: it is not asked.
        """
        return sum(
            self.scene.inpaint(inpainter, moved, focal_px, disparity_inpainter, look)
            for moved, look in self._eyes(shift, lens, self.crop_width / focal_px)
        )

    def _eyes(self, shift, lens, width):
        """Shift and lens of the left and the right eye; width: of the frame over its focal length.

        Each eye's lens is shifted towards the other one, so that what lies in the plane stays.
        """
        slope = self.shift_share * width
        step = slope * (self.plane_depth + shift[2])
        return [
            ((shift[0] + side * step, *shift[1:]), (lens[0] + side * slope, lens[1]))
            for side in (1, -1)
        ]


def _squeezed(eye, across, down):
    """An eye's picture (H, W, 3), so many times narrower and lower."""
    size = eye.shape[1] // across, eye.shape[0] // down
    return cv2.resize(eye, size, interpolation=cv2.INTER_AREA)


def anaglyph(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Merge the eyes' pictures (H, W, 3) uint8 for red-cyan glasses, red on the left eye."""
    linear = _LINEAR[np.dstack((left, right))]
    merged = cv2.transform(linear, DUBOIS)
    return _GAMMA[(merged.clip(0, 1) * (len(_GAMMA) - 1) + 0.5).astype(np.uint16)]


# sRGB: 8 bit to linear, and back from 14 bit.
_LINEAR = srgb_to_light(np.arange(256) / 255).astype(np.float32)
_GAMMA = np.rint(255 * light_to_srgb(np.arange(2**14) / (2**14 - 1))).astype(np.uint8)


# What makes one picture of those of both eyes, (H, W, 3) uint8.
MERGES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "sbs": lambda *eyes: np.hstack(eyes),
    "half-sbs": lambda *eyes: np.hstack([_squeezed(eye, 2, 1) for eye in eyes]),
    "tb": lambda *eyes: np.vstack(eyes),
    "half-tb": lambda *eyes: np.vstack([_squeezed(eye, 1, 2) for eye in eyes]),
    "anaglyph": anaglyph,
}


def lay_out(scene: Scene, path: CameraPath, layout: str) -> StereoScene | RgbdScene:
    """Return what renders a scene in a layout of `utils.film.layouts`."""
    return RgbdScene(scene) if layout == "rgbd" else StereoScene(scene, path, layout)


def matte_of(view: Scene | StereoScene | RgbdScene) -> Matte | StereoScene | RgbdScene:
    """Return what renders a scene, in its layout, in white where it is invented, and black."""
    return Matte(view) if isinstance(view, Scene) else view.matte()
