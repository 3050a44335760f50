"""A camera that moves less, so that no frame shows more that is invented than asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from kernels.threads import render_threads

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from utils.camera.path import CameraPath

TIMES = (0, 0.25, 0.5, 0.75, 1)  # where on the path the share is measured
PRECISION = 1 / 128  # of the part that is kept; less motion than this is none


def invented_shares(
    scene: Any, path: CameraPath, size: tuple[int, int], times: Iterable[float] | None = None
) -> tuple[float, ...]:
    """Return the share of each frame that no point of the scene reaches, with surfaces closed.

    Ask before inpainting: afterwards it is what the inpainting missed. It is measured at the film's
    own size, because a smaller view closes the narrow gaps beside things.

    Args:
        scene: Scene or StereoScene.
        path: CameraPath in the scene's pixels.
        size: (height, width) of the film (of one eye's picture), px.
        times: from 0 to 1; by default those at which most is uncovered.
    """
    scene.close_surfaces(path.views(size))
    views = [path.view(t, size) for t in (path.inpaint_at if times is None else times)]
    with ThreadPoolExecutor(render_threads(scene.device, size)) as pool:
        return tuple(pool.map(scene.unreached, views))


def kept_part(view: Any, path: CameraPath, size: tuple[int, int], most: float) -> float:
    """Find by bisection how much of its way the camera can go.

    Args:
        view: Scene or StereoScene, not inpainted yet.
        path: CameraPath in it.
        size: (height, width) px of one eye's picture.
        most: the largest share of a frame that may be invented.
    Returns:
        The part, 1 for all of the way; at least PRECISION, even if that is too much.
    """

    def fits(kept):
        return max(invented_shares(view, path.scaled(kept), size, TIMES)) <= most

    if fits(1):
        return 1.0
    low, high = PRECISION, 1.0
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def shorten_path(
    view: Any, path: CameraPath, size: tuple[int, int], most: float
) -> tuple[CameraPath, float]:
    """Let the camera go as much of its way as `most` allows; windows stay, see `scaled`.

    Args: as of `kept_part`; size: of the film.
    Returns:
        CameraPath, and the part that was kept, 1 for all of it.
    Raises:
        ValueError: hardly any motion, or none, asks as little as that.
    """
    kept = kept_part(view, path, size, most)
    if kept == PRECISION:
        least = max(invented_shares(view, path.scaled(kept), size, TIMES))
        if least > most:
            raise ValueError(
                f"--max-holes {100 * most:g}: with hardly any motion, {100 * least:.2g} % "
                "of the picture lies behind something already.\n"
                f"  Give at least {100 * least + 0.05:.1f}."
            )
    return path.scaled(kept), kept
