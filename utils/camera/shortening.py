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
        return float(scene.render(**path.view(t, size), fill=False)[1].mean())

    with ThreadPoolExecutor(render_threads(scene.device)) as pool:
        return tuple(pool.map(share, times))


def shorten_path(
    view: Any, path: CameraPath, size: tuple[int, int], most: float
) -> tuple[CameraPath, float]:
    """Find by bisection how much of its way the camera can go; windows stay, see `scaled`.

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
        return max(invented_shares(view, path.scaled(kept), size, TIMES))

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
    return path.scaled(low), low
