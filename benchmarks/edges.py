"""How well are depth edges rendered? Soft rims against opaque points, by true second views.

    python -m benchmarks.edges [--stereo DATA/val/stereo] [--json FILE] [--limit N]

Protocol:
* Drawn scenes are flat layers with a texture and an outline given by formulas, so every view has a
  truth: the mean of 4 x 4 rays per pixel. Depth is that of the pixel's middle, as a depth sensor
  without alpha would have it. The photo is lifted, closed and filled by rule for the second view as
  for a film, and rendered there. `soft` scenes are seen through a lens (a Gaussian of 1 px).
* Judged are the pixels within 3 px of a depth edge of the second view: `seen`, those whose surface
  the photo shows, and `band`, all of them.
* val/stereo: the same with both photographs and true disparity; an unknown one takes the nearest
  known.
* Roughness: a straight and a round edge between two colours, seen 4 times magnified from aside: the
  length of the rendered outline (half way between the colours) over the true one, minus one.
* "opaque" is a scene without rims, "rims" is what films have.
"""

import argparse
import itertools
import math
from typing import NamedTuple

import cv2
import numpy as np
import torch
from kornia.metrics import ssim
from tqdm import tqdm

from benchmarks.depth import image_tensor, report
from benchmarks.folders import run_telling
from benchmarks.inpainting import stereo_pairs
from utils.scene import FarSide, Scene
from utils.training import metrics

SIZE = (288, 384)
RAYS = 4  # per pixel and axis
BASELINE = 120.0
BAND_PX = 3
JUMP = 0.06  # of the largest disparity: a depth edge
ZOOM = 4  # of the roughness test
COLUMNS = (
    "psnr_seen",
    "ssim_seen",
    "psnr_band",
    "ssim_band",
    "psnr_rest",
    "straight",
    "round",
)


class Layer(NamedTuple):
    """A flat sheet parallel to the picture: where it is, and what it looks like."""

    disparity: float
    inside: object  # (x, y) px of the photo -> bool
    color: object  # (x, y) -> (..., 3) in [0, 1]


class Drawing(NamedTuple):
    """Layers, the nearest first, the last everywhere."""

    name: str
    layers: tuple
    soft: float = 0.0  # sigma of the lens, px


# --- what layers look like -----------------------------------------------------------------------
def everywhere(x, y):
    """The outline of a background."""
    return np.ones(np.broadcast(x, y).shape, bool)


def disc(u, v, radius):
    """Outline of a disc."""
    return lambda x, y: (x - u) ** 2 + (y - v) ** 2 < radius**2


def star(u, v, inner, outer, points):
    """Outline of a star with straight sides."""
    angle = np.arange(2 * points) * math.pi / points + 0.2
    radius = np.where(np.arange(2 * points) % 2, inner, outer)
    corners = np.stack([u + radius * np.cos(angle), v + radius * np.sin(angle)], 1)

    def inside(x, y):
        within = np.zeros(np.broadcast(x, y).shape, bool)
        for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, 0), strict=True):
            crosses = (ay > y) != (by > y)
            within ^= crosses & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
        return within

    return inside


def strokes(lines):
    """Outline of straight strokes (ax, ay, bx, by, width), which taper to a third."""

    def inside(x, y):
        within = np.zeros(x.shape, bool)
        for ax, ay, bx, by, width in lines:
            near = (abs(2 * x - ax - bx) < abs(ax - bx) + width) & (
                abs(2 * y - ay - by) < abs(ay - by) + width
            )
            u, v, dx, dy = x[near], y[near], bx - ax, by - ay
            along = (((u - ax) * dx + (v - ay) * dy) / (dx * dx + dy * dy)).clip(0, 1)
            aside = np.hypot(u - ax - along * dx, v - ay - along * dy)
            within[near] |= aside < width / 2 * (1 - 0.67 * along)
        return within

    return inside


def either(*outlines):
    """Outline of several shapes at once."""
    return lambda x, y: np.logical_or.reduce([outline(x, y) for outline in outlines])


def plain(color):
    """One colour."""
    return lambda x, y: np.broadcast_to(np.array(color, np.float32), (*np.broadcast(x, y).shape, 3))


def waves(seed, low, high, contrast, color):
    """Waves of random directions, of `low` to `high` px, about a colour."""
    rng = np.random.default_rng(seed)
    angle, length = rng.uniform(0, 2 * np.pi, 12), np.exp(rng.uniform(*np.log([low, high]), 12))
    phase, amplitude = rng.uniform(0, 2 * np.pi, 12), rng.normal(0, contrast / 3, (12, 3))

    def paint(x, y):
        total = np.zeros((*np.broadcast(x, y).shape, 3), np.float32) + np.array(color, np.float32)
        for k in range(12):
            across = (x * np.cos(angle[k]) + y * np.sin(angle[k])) * (2 * np.pi / length[k])
            total += np.sin(across + phase[k])[..., None] * amplitude[k].astype(np.float32)
        return total.clip(0, 1)

    return paint


def stripes(width, tilt, first, second):
    """Stripes of two colours with sharp borders."""

    def paint(x, y):
        odd = np.floor((x * math.cos(tilt) + y * math.sin(tilt)) / width) % 2
        return np.where(odd[..., None] > 0, np.float32(first), np.float32(second))

    return paint


def drawings():
    """The scenes."""
    height, width = SIZE
    u, v = 0.48 * width + 0.3, 0.52 * height + 0.2
    rng = np.random.default_rng(5)
    calm = waves(1, 40, 200, 0.15, (0.3, 0.4, 0.6))
    rough = waves(2, 5, 40, 0.2, (0.5, 0.55, 0.4))
    bright = waves(3, 40, 200, 0.1, (0.85, 0.6, 0.4))
    leafy = waves(4, 4, 30, 0.2, (0.25, 0.5, 0.15))
    dark = waves(6, 30, 90, 0.1, (0.2, 0.12, 0.1))
    wall = stripes(11, 0.5, (0.8, 0.75, 0.6), (0.45, 0.3, 0.3))
    hairs = []
    for angle in np.linspace(0, 2 * np.pi, 160, endpoint=False) + rng.normal(0, 0.03, 160):
        bend, long = angle + rng.normal(0, 0.3), rng.uniform(3, 7.5)
        foot = u + 80 * math.cos(angle), v + 80 * math.sin(angle)
        tip = foot[0] + long * math.cos(bend), foot[1] + long * math.sin(bend)
        hairs.append((*foot, *tip, rng.uniform(0.8, 1.8)))
    wires = [(20, 40 + 22 * k, width - 15, 60 + 24 * k, 1.1 + 0.25 * k) for k in range(6)] + [
        (60 + 70 * k, 10, 40 + 75 * k, height - 8, 1.4) for k in range(4)
    ]
    wires = [(ax, ay, bx, by, w * 2) for ax, ay, bx, by, w in wires]
    leaves = [[], []]
    for k in range(26):
        x, y = rng.uniform(0.1, 0.9, 2) * (width, height)
        angle, long = rng.uniform(0, 2 * np.pi), rng.uniform(15, 38)
        leaves[k % 2].append((x, y, x + long * math.cos(angle), y + long * math.sin(angle), 15.0))
    furry = either(disc(u, v, 81), strokes(hairs))
    return [
        Drawing("disc", (Layer(110, disc(u, v, 84), bright), Layer(35, everywhere, calm))),
        Drawing("soft", (Layer(110, disc(u, v, 84), bright), Layer(35, everywhere, rough)), 1.0),
        Drawing("star", (Layer(90, star(u, v, 60, 125, 7), leafy), Layer(30, everywhere, wall))),
        Drawing("hair", (Layer(100, furry, dark), Layer(40, everywhere, calm))),
        Drawing("fur", (Layer(100, furry, dark), Layer(40, everywhere, rough)), 0.7),
        Drawing("wires", (Layer(80, strokes(wires), dark), Layer(25, everywhere, calm))),
        Drawing(
            "leaves",
            (
                Layer(110, strokes(leaves[0]), leafy),
                Layer(70, strokes(leaves[1]), waves(8, 5, 40, 0.15, (0.5, 0.6, 0.2))),
                Layer(28, everywhere, wall),
            ),
        ),
    ]  # fmt: skip


# --- truth ---------------------------------------------------------------------------------------
def look(drawing, shift=(0.0, 0.0), zoom=1.0, size=SIZE, rays=RAYS):
    """What a camera sees: picture (H, W, 3) and disparity (H, W) of the pixels' middles.

    Args:
        drawing: Drawing.
        shift: (2,) px that a layer of disparity BASELINE moves by.
        zoom: how many times the picture is magnified about its middle.
    """
    picture = np.zeros((*size, 3), np.float32)
    offsets = (np.arange(rays) + 0.5) / rays - 0.5
    for dy in offsets:
        for dx in offsets:
            picture += _sample(drawing, shift, zoom, size, dx, dy)[0]
    picture /= rays * rays
    if drawing.soft:
        picture = cv2.GaussianBlur(picture, (0, 0), drawing.soft * zoom)
    return picture, _sample(drawing, shift, zoom, size, 0, 0)[1]


def _sample(drawing, shift, zoom, size, dx, dy):
    """Colour (H, W, 3) and disparity (H, W) of one ray per pixel."""
    v, u = np.mgrid[: size[0], : size[1]].astype(np.float64)
    u = (u + dx - (size[1] - 1) / 2) / zoom + (size[1] - 1) / 2
    v = (v + dy - (size[0] - 1) / 2) / zoom + (size[0] - 1) / 2
    color, disparity = np.zeros((*size, 3), np.float32), np.zeros(size, np.float32)
    for layer in reversed(drawing.layers):
        part = layer.disparity / BASELINE
        x, y = u - shift[0] * part, v - shift[1] * part
        seen = layer.inside(x, y)
        color[seen] = layer.color(x[seen], y[seen])
        disparity[seen] = layer.disparity
    return color, disparity


def shows(drawing, shift, disparity):
    """Which pixels of the second view (H, W) show what the photo shows, too."""
    v, u = np.mgrid[: disparity.shape[0], : disparity.shape[1]].astype(np.float64)
    part = disparity / BASELINE
    x, y = u - shift[0] * part, v - shift[1] * part
    inside = (x >= 0) & (x < SIZE[1] - 1) & (y >= 0) & (y < SIZE[0] - 1)
    for layer in drawing.layers:
        inside &= ~(layer.inside(x, y) & (layer.disparity > disparity))
    return inside


def edge_band(disparity):
    """(H, W) bool: within BAND_PX of a depth edge; unknown disparity (0) makes none."""
    known = disparity > 0
    near = cv2.dilate(disparity, np.ones((3, 3), np.uint8))
    far = cv2.erode(np.where(known, disparity, np.float32(1e9)), np.ones((3, 3), np.uint8))
    edge = (near - far >= JUMP * disparity.max()) & known
    return cv2.dilate(edge.astype(np.uint8), np.ones((2 * BAND_PX + 1,) * 2, np.uint8)) > 0


# --- figures -------------------------------------------------------------------------------------
def judged(view, truth, band, seen):
    """PSNR and SSIM of a view (H, W, 3) uint8 in the band, all of it and what the photo shows."""
    view, truth = image_tensor(view), truth
    similarity = ssim(view.double(), truth.double(), window_size=11)
    found = {}
    for name, mask in (("seen", band & seen), ("band", band)):
        mask = torch.from_numpy(mask)[None, None]
        found[f"psnr_{name}"] = metrics.psnr(view, truth, mask.float())
        found[f"ssim_{name}"] = float(similarity[mask.expand_as(similarity)].mean())
    return found


def methods():
    """Name -> how the scene is built."""
    return {"opaque": {"rims": False}, "rims": {}}


def second_view(scene, shift):
    """What a film of a scene shows at a shift, (H, W, 3) uint8."""
    view = {"shift": shift, "focal_px": scene.focal_px, "size": scene.size}
    scene.close_surfaces([view])
    scene.inpaint(FarSide(), [1.1 * value for value in shift])
    return scene.render(**view)[0]


def drawn_rows():
    """Figures of every drawing by every method."""
    rows = {name: [] for name in methods()}
    for drawing in tqdm(drawings(), "drawings", disable=None):
        picture, disparity = look(drawing)
        image = image_tensor((picture * 255 + 0.5).astype(np.uint8))
        for shift in ((9.3, 2.6), (-5.4, 3.7)):
            truth, second = look(drawing, shift)
            truth = torch.from_numpy(truth).permute(2, 0, 1)[None]
            band, seen = edge_band(second), shows(drawing, shift, second)
            for name, kind in methods().items():
                scene = Scene(
                    image, torch.from_numpy(disparity)[None, None], SIZE[1] / 2, BASELINE, **kind
                )
                rest, _ = scene.render((0, 0, 0))
                at_rest = torch.from_numpy(edge_band(disparity))[None, None].float()
                view = second_view(scene, (*shift, 0.0))
                rows[name].append(
                    {"drawing": drawing.name, **judged(view, truth, band, seen),
                     "psnr_rest": metrics.psnr(image_tensor(rest), image, at_rest)}
                )  # fmt: skip
    return rows


def stereo_rows(folder, limit):
    """Figures of every stereo scene by every method."""
    rows = {name: [] for name in methods()}
    for pair in tqdm(itertools.islice(stereo_pairs(folder), limit), "stereo", disable=None):
        second = pair.true_disparity[0, 0].numpy()
        left = nearest_known(pair.disparity[0, 0].numpy())
        band = edge_band(second)
        seen = seen_by_both(pair.disparity[0, 0].numpy(), second)
        largest = float(left.max())
        scaled = torch.from_numpy(left / largest * BASELINE)[None, None].clamp(min=0.6)
        for name, kind in methods().items():
            scene = Scene(pair.image, scaled, pair.image.shape[3] / 2, BASELINE, **kind)
            rest, _ = scene.render((0, 0, 0))
            at_rest = torch.from_numpy(edge_band(left))[None, None].float()
            view = second_view(scene, (-largest, 0.0, 0.0))
            rows[name].append(
                {"drawing": pair.name, **judged(view, pair.truth, band & (second > 0), seen),
                 "psnr_rest": metrics.psnr(image_tensor(rest), pair.image, at_rest)}
            )  # fmt: skip
    return rows


def nearest_known(disparity):
    """The map with every unknown (0) pixel as its nearest known one."""
    unknown = (disparity <= 0).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(
        unknown, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.zeros(labels.max() + 1, np.float32)
    values[labels[unknown == 0]] = disparity[unknown == 0]
    return values[labels]


def seen_by_both(left, right):
    """Pixels of the right view whose surface the left shows: both disparities agree."""
    rows, columns = np.indices(right.shape)
    there = np.rint(columns + right).astype(int)
    inside = (right > 0) & (there < right.shape[1])
    there = there.clip(0, right.shape[1] - 1)
    return inside & (np.abs(left[rows, there] - right) <= 1)


# --- roughness -----------------------------------------------------------------------------------
def rough_rows():
    """Excess length of magnified outlines by every method."""
    height, width = SIZE
    u, v = width / 2 + 0.3, height / 2 - 0.4
    front, back = plain((0.85, 0.7, 0.5)), plain((0.15, 0.25, 0.35))
    straight = [
        Drawing("", (Layer(100, lambda x, y, a=a: (x - u) * math.cos(a) + (y - v) * math.sin(a) < 0,
                           front), Layer(35, everywhere, back)))
        for a in (0.0, 0.13, 0.4, 0.7, 1.2)
    ]  # fmt: skip
    circles = [
        Drawing("", (Layer(100, disc(u, v, radius), front), Layer(35, everywhere, back)))
        for radius in (9.3, 17.0, 28.5)
    ]
    rows = {}
    for name, kind in methods().items():
        lengths = [
            [abs(excess_length(drawing, kind)) for drawing in shapes]
            for shapes in (straight, circles)
        ]
        rows[name] = [
            {"straight": line, "round": ring}
            for line, ring in itertools.zip_longest(*lengths, fillvalue=math.nan)
        ]
    return rows


def excess_length(drawing, kind):
    """Length of the outline of a drawing, magnified and from aside, over the true one, minus 1."""
    picture, disparity = look(drawing)
    image = image_tensor((picture * 255 + 0.5).astype(np.uint8))
    scene = Scene(image, torch.from_numpy(disparity)[None, None], SIZE[1] / 2, BASELINE, **kind)
    shift = (3.4, 1.7)
    scene.inpaint(FarSide(), [1.1 * shift[0], 1.1 * shift[1], 0.0])
    view, _ = scene.render((*shift, 0.0), ZOOM * SIZE[1] / 2)
    truth, _ = look(drawing, shift, ZOOM, rays=2)
    return outline_length(view[..., 0] / 255) / outline_length(truth[..., 0]) - 1


def outline_length(picture):
    """Length of the line half way between the colours of a picture (H, W), px."""
    from skimage.measure import find_contours

    lines = find_contours(picture.astype(float), 0.5)
    return sum(float(np.hypot(*np.diff(line, axis=0).T).sum()) for line in lines)


def main():
    """Evaluate, print, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stereo", help="folder of scenes with both photos and both disparities")
    parser.add_argument("--limit", type=int, help="stereo scenes (all)")
    parser.add_argument("--each", action="store_true", help="a line per drawing and scene, too")
    parser.add_argument("--json", help="write every figure here")
    options = parser.parse_args()
    sets = {"drawings": drawn_rows(), "roughness": rough_rows()}
    if options.stereo:
        sets["stereo"] = stereo_rows(options.stereo, options.limit)
    report(sets.items(), options.json, COLUMNS)
    if options.each:
        for rows in sets.values():
            for before, after in zip(*rows.values(), strict=True):
                figures = [
                    f"{key} {before[key]:.3f} {after[key]:.3f}" for key in COLUMNS if key in after
                ]
                print(f"{after.get('drawing', ''):10s}", "  ".join(figures))


if __name__ == "__main__":
    run_telling(main)
