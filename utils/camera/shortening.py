"""A path made shorter, so that no frame shows more that is invented than asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from kernels.threads import render_threads
from utils.camera.windows import CropWindow

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from utils.camera.path import CameraPath

TIMES = (0, 0.25, 0.5, 0.75, 1)  # where on the path the share is measured
PRECISION = 1 / 128  # of the part that is kept
LEAST_KEPT = 1 / 32  # less motion than this is none


def invented_shares(
    scene: Any, path: CameraPath, size: tuple[int, int], times: Iterable[float] = (0, 1)
) -> tuple[float, ...]:
    """Return the share of each frame that no point of the scene reaches.

    Ask before inpainting: afterwards it is what the inpainting missed. It is measured at the film's
    own size, because a smaller view closes the narrow gaps beside things.

    Args:
        scene: Scene or StereoScene.
        path: CameraPath in the scene's pixels.
        size: (height, width) of the film (of one eye's picture), px.
        times: positions on the path.
    """

    def share(t):
        pose = path.pose(t)
        return float(
            scene.render(pose.shift, path.view_focal_px(pose, size), size, fill=False)[1].mean()
        )

    with ThreadPoolExecutor(render_threads(scene.device)) as pool:
        return tuple(pool.map(share, times))


def shortened(path: CameraPath, kept: float) -> CameraPath:
    """Return the path with both ends moved towards the photo's own viewpoint.

    There nothing is uncovered, so enough shortening helps always, which moving the end towards the
    start does not: the start may uncover as much. Direction, framing and easing of the move stay.

    Args:
        path: CameraPath.
        kept: part of the way from that viewpoint that is kept, 0 to 1.
    """
    height, width = path.crop
    rest = CropWindow(*path.center, width, height)

    def pulled(window):
        return CropWindow(
            *(
                (1 - kept) * there + kept * here
                for there, here in zip(vars(rest).values(), vars(window).values(), strict=True)
            )
        )

    return replace(path, start=pulled(path.start), end=pulled(path.end))


def shorten_path(
    view: Any, path: CameraPath, size: tuple[int, int], most: float
) -> tuple[CameraPath, float]:
    """Find by bisection how much of the path can be kept.

    Args:
        view: Scene or StereoScene, not inpainted yet.
        path: CameraPath in it.
        size: (height, width) px of one eye's picture of the film.
        most: the largest share of a frame that may be invented.
    Returns:
        CameraPath, and the part that was kept, 1 for all of it.
    Raises:
        ValueError: hardly any motion, or none, asks as little as that.
    """

    def share(kept):
        return max(invented_shares(view, shortened(path, kept), size, TIMES))

    if share(1) <= most:
        return path, 1.0
    least = share(LEAST_KEPT)
    if least > most:
        raise ValueError(
            f"--max-holes {100 * most:g}: with hardly any motion, {100 * least:.2g} % "
            "of the picture lies behind something already.\n"
            f"  Give at least {100 * least + 0.05:.1f}."
        )
    low, high = LEAST_KEPT, 1.0
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if share(middle) <= most else (low, middle)
    return shortened(path, low), low
