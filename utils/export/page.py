"""A page that shows the scene live and lets one choose the crop windows: one file, no network.

Its HTML, CSS and JavaScript lie in page_files/, as files of their own, and are put together here
with the scene (docs/page.md). Whatever comes from outside is escaped: the name of the photo, and
the words of the command line.
"""

from __future__ import annotations

import base64
import html
import io
import logging
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from PIL import Image

from utils.camera import AIM_SLACK, BASELINE, MOST_GROWTH, PATCH_SHARE, aspect_box
from utils.export.packing import Packer
from utils.export.page_parts import content_policy, fill_template, json_for_html, page_file
from utils.export.page_paths import SAMPLES, STRENGTHS, plan_paths
from utils.export.page_scene import FARTHEST_ASIDE, PER_PX, PER_SPACING, draw_scene, pack_scene
from utils.film import CODECS, film_length, in_fours

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from utils.camera import CameraPath
    from utils.export.page_paths import Paths
    from utils.export.page_scene import Drawn
    from utils.scene.cloud import Scene

log = logging.getLogger("kbe")

SCRIPTS = ("unpack.js", "camera.js", "surface.js", "draw.js", "windows.js", "page.js")
PIXELS = 2**20  # of the photo in a page; a larger one is reduced
MOST_BYTES = 3_000_000  # of a page; where it would be larger, the photo is reduced further
SMALLER = 0.75  # to this share of its pixels, or less
LEAST_PIXELS = PIXELS // 16
QUALITY = 90  # of the photo, WebP
THUMBNAIL = 480  # long side of the small picture that an index shows, px


def write(path: Path, scene: Scene, camera_path: CameraPath, plan: Any, settings: Any) -> None:
    """Write the page of a scene.

    Args:
        path: file to write.
        scene, camera_path, plan, settings: see utils.export.table.
    Raises:
        OSError: it cannot be written.
    """
    windows = tuple(window.scaled(*plan.scale) for window in (plan.start, plan.end))
    paths = plan_paths(scene, camera_path, windows, plan, settings.flat)
    facts = _film(camera_path, plan, settings) | _windows(scene, camera_path, paths, plan, settings)
    pixels = PIXELS
    while True:
        drawn = draw_scene(scene, pixels, paths.eye_poses)
        page = _page(plan, facts, *_packed(drawn, paths, camera_path))
        if len(page) <= MOST_BYTES or pixels <= LEAST_PIXELS:
            break
        share = min(SMALLER, MOST_BYTES / len(page))
        pixels = int(share * min(pixels, drawn.nearness.size))
    if drawn.nearness.shape != scene.size:
        size = "{1}x{0}".format(*drawn.nearness.shape)
        log.info("%s: the page shows the photo at %s px", plan.photo, size)
    path.write_bytes(page)


def _film(path, plan, settings):
    """How the film goes, and what its command line says beside the camera's way."""
    count, _ = film_length(settings.duration, settings.fps, settings.loop, closed=False)
    rounds, _ = film_length(settings.duration, settings.fps, settings.loop, closed=True)
    words = settings.words("flat", "easing", "focal_px", depth=True, video=True)
    if "focal" in settings.shares:
        words += ["--focal", f"{plan.focal_px / plan.scale[0]:g}"]
    if "aspect" in settings.shares and settings.size is None:
        words += ["--size", "{1}x{0}".format(*plan.view_size)]
    suffix = CODECS[settings.codec].suffixes[0]
    return {
        "photo": str(plan.photo),
        "out": plan.photo.stem + suffix,
        "words": words,
        "line": {} if settings.duration is None else {"seconds": settings.duration},
        "view": list(plan.view_size),
        "film": {
            "move": path.name,
            "first": 0,
            "length": SAMPLES,
            "closed": path.closed,
            "smooth": settings.easing == "smooth",
            "way_s": float((count - 1) / settings.fps),
            "round_s": float(rounds / settings.fps),
            "words": _own_words(path, plan, settings),
            "line": _own_line(path, plan, settings),
        },
    }


def _own_words(path, plan, settings):
    """What the command line says of the film's own way."""
    words = settings.words("max_holes", "strength")
    if path.name == "windows":
        for name, value in _numbers(plan).items():
            words += [f"--{name}", value]
    elif path.name != "auto":
        words += ["--move", path.name]
    return words + (["--focus", _point(plan.focus)] if plan.focus else [])


def _own_line(path, plan, settings):
    """The same for a line of a list."""
    said: dict[str, Any] = {} if path.name == "auto" else {"move": path.name}
    if path.name == "windows":
        said["windows"] = " ".join(f"{name}={value}" for name, value in _numbers(plan).items())
    elif settings.strength != 1:
        said["strength"] = settings.strength
    return said | ({"focus": _point(plan.focus)} if plan.focus else {})


def _numbers(plan):
    """{"startU": "640", ...} of the plan's windows."""
    return {
        end + letter: f"{round(value, 2):.12g}"
        for end, window in (("start", plan.start), ("end", plan.end))
        for letter, value in zip("UVWH", vars(window).values(), strict=True)
    }


def _point(point):
    return "{:.12g},{:.12g}".format(*(round(value, 2) for value in point))


def _windows(scene, path, paths, plan, settings):
    """What the page's own path between windows has to know, in pixels of the scene."""
    across, down = plan.scale
    height, width = in_fours(plan.photo_size)
    aspect = plan.view_size[1] / plan.view_size[0]
    own = settings.size is None and abs(aspect * height / width - 1) < 0.02
    box = aspect_box((height, width), None if own else aspect)
    windows = {
        name: {"u": said.center_u, "v": said.center_v, "width": said.width, "height": said.height}
        for name, said in (("start", plan.start), ("end", plan.end))
    }
    chosen = plan.focus if path.name == "windows" else None
    return {
        "focus": _point((paths.focus[0] / across, paths.focus[1] / down)),
        "strengths": STRENGTHS,
        "windows": windows
        | {
            "focus": chosen and {"u": chosen[0], "v": chosen[1]},
            "photo": [height, width],
            "box": box,
            "scale": [across, down],
            "tell_height": not own and settings.size is None,
            "size": scene.size,
            "focal": scene.focal_px,
            "patch_share": PATCH_SHARE,
            "most_growth": MOST_GROWTH,
            "aim_slack": AIM_SLACK,
        },
    }


def _packed(drawn: Drawn, paths: Paths, path: CameraPath) -> tuple[dict[str, Any], bytes, bytes]:
    """What the page is told of its scene; the scene but for colours; its colours."""
    packer = Packer()
    pack_scene(drawn, packer)
    unit = drawn.nearest  # lengths of a page are in nearest depths
    packer.floats("poses", paths.poses / [unit, unit, unit, 1, 1, 1])
    packed = packer.packed()
    moves = {
        name: {
            "closed": said["closed"],
            "depth": said["depth"] / unit,
            "first": said["first"] * SAMPLES,
            "length": SAMPLES,
        }
        for name, said in paths.moves.items()
    }
    facts = {
        "moves": moves,
        "eye": [way / unit for way in paths.eye],
        "nearest": paths.nearest / unit,
        "film_depth": path.focus.depth / unit,
        "scene": {
            "size": list(drawn.nearness.shape),
            "focal": drawn.focal_px,
            "tolerance": 1 / BASELINE,
            "colors": "image/webp",
            "length": packer.length,
            "sections": packer.sections,
            "points": {"per_px": PER_PX, "aside": FARTHEST_ASIDE, "per_spacing": PER_SPACING},
        },
    }
    return facts, packed, _webp(drawn.image, QUALITY)


def _thumbnail(image: torch.Tensor) -> str:
    """A small picture of the photo, base64: what an index shows (utils.export.index)."""
    height, width = image.shape[2:]
    scale = min(1.0, THUMBNAIL / max(height, width))
    size = [max(1, round(side * scale)) for side in (height, width)]
    small = F.interpolate(image.cpu(), size, mode="area")[0].permute(1, 2, 0)
    return base64.b64encode(_webp((small * 255).round().byte().numpy(), 80)).decode()


def _webp(pixels, quality):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=quality, method=4)
    return file.getvalue()


def _page(plan, film, scene, packed, colors):
    """All of it, put together; bytes of UTF-8."""
    facts = film | scene
    facts["film"] = film["film"] | {"depth": scene["film_depth"]}
    facts["windows"] = film["windows"] | {"nearest": scene["nearest"]}
    style = page_file("page.css")
    script = '"use strict";\n(() => {\n' + "\n".join(map(page_file, SCRIPTS)) + "\n})();\n"
    parts = {
        "title": html.escape(plan.photo.name),
        "thumbnail": f"data:image/webp;base64,{_thumbnail(plan.image)}",
        "policy": content_policy(style, script),
        "style": style,
        "script": script,
        "facts": json_for_html(facts),
        "packed": base64.b64encode(packed).decode(),
        "colors": base64.b64encode(colors).decode(),
    }
    return fill_template(page_file("page.html"), parts)
