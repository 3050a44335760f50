"""One scene: drawn, photographed from its places, developed."""

from pathlib import Path
from typing import Any

import numpy as np

from utils.synthetic.film import Development, Studio
from utils.synthetic.mesh import Builder
from utils.synthetic.scenes import draw_scene
from utils.synthetic.textures import load_textures

_RETRIES = 8


def generate_scene(
    seed: int,
    index: int,
    size: tuple[int, int] = (192, 256),
    views: int = 3,
    photos: str | Path | None = None,
) -> dict[str, Any]:
    """Make one scene.

    Args:
        seed, index: which scene; nothing else but `size` and `photos` changes what it shows.
        size: (height, width) of the pictures, px.
        views: number of views, the first at the centre, the others shifted by a random step that
            moves the nearest things by 2 to 8 % of the width. More views leave these as they are.
        photos: optional folder of photographs that serve as pictures on walls.
    Returns:
        dict: image (V, H, W, 3) uint8, depth (V, H, W) float32 metres, instances (V, H, W) uint8,
        shift (V, 3) float32, focal_px float, family str.
    Raises:
        ValueError: size or views make no sense, or photos holds none.
    """
    if min(size) < 16 or views < 1:
        raise ValueError(
            f"a scene needs 16x16 pixels and one view, got size {size}, {views} views."
        )
    textures = load_textures(None if photos is None else str(photos))
    for attempt in range(_RETRIES):
        rng = np.random.default_rng([seed, index, attempt])
        builder = Builder(rng, textures)
        family, setup = draw_scene(builder, size[1])
        studio = Studio(builder.finish(), textures, setup.lighting)
        first = studio.photograph(setup.camera, size)
        if _worth_keeping(first[1]):
            break
    return _photograph(studio, setup, family, first, views, rng)


def _worth_keeping(depth):
    """False if the camera stands inside something or sees hardly any difference in depth."""
    near, middle, far = np.quantile(depth, [0.02, 0.5, 0.98])
    return near > 0.12 and far > 1.15 * near and middle > 0.2


def _photograph(studio, setup, family, first, views, rng):
    """Develop the first view and photograph its neighbours."""
    height, width = first[1].shape
    development = Development.draw(rng, setup.aperture, setup.focus)
    gain = development.expose(first[0])
    seeds = rng.integers(0, 2**63, 2)
    steps = np.random.default_rng(seeds[0])
    nearest = float(np.quantile(first[1], 0.02))
    out = {"image": [], "depth": [], "instances": [], "shift": []}
    for view in range(views):
        shift = np.zeros(3)
        shot = first
        if view:
            shift = _step(steps, nearest, setup.camera.focal_px, width)
            shot = studio.photograph(setup.camera, (height, width), shift)
        grain = np.random.default_rng([seeds[1], view])
        out["image"].append(development.develop(shot[0], shot[1], gain, grain))
        out["depth"].append(shot[1])
        out["instances"].append(shot[2])
        out["shift"].append(shift)
    out = {name: np.stack(values) for name, values in out.items()}
    out["shift"] = out["shift"].astype(np.float32)
    return {**out, "focal_px": float(setup.camera.focal_px), "family": family}


def _step(rng, nearest, focal_px, width):
    """A shift (3,) that moves the nearest points by 2 to 8 % of the width on the picture."""
    angle = rng.uniform(0, 2 * np.pi)
    reach = rng.uniform(0.02, 0.08) * width * nearest / focal_px
    forward = rng.uniform(-0.22, 0.12) * nearest
    return np.array([np.cos(angle) * reach, 0.7 * np.sin(angle) * reach, forward])
