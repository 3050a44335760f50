"""Make the README's pictures of what else kbe.py delivers, from the example: images/example_*.jpg.

python images/deliver_example.py
"""

import json
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import plyfile
import trimesh
from PIL import Image

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import kbe  # noqa: E402
import kernels  # noqa: E402
from utils.depth import read_depth  # noqa: E402

WIDTH = 960  # px of every picture
GAP = 8
WHOLE = ("--move", "zoom-in")  # begins with all of the photo
FAR = ("--move", "right", "--strength", "1.5")  # so far that the lamp post uncovers much
FARTHER = ("--move", "right", "--strength", "2")
ORBIT = ("--move", "orbit", "--strength", "1.5")

# The view from aside: y down, z forward, as our cameras see; one unit is the nearest point.
UPRIGHT = (1, -1, -1)  # from y up and z towards the viewer
VIEW, LENS, DARK, LINES = (640, 960), 760.0, 24, (255, 200, 60)
CENTER, AWAY = np.array([0.1, 0.0, 2.6]), (-0.1, -0.42, 4.8)
CLOSE, DEEP = 0.3, 9.0  # what is shown of it
YAW, PITCH = 0.5, 0.32
TURN = np.array(
    [[1, 0, 0], [0, np.cos(PITCH), -np.sin(PITCH)], [0, np.sin(PITCH), np.cos(PITCH)]]
) @ np.array([[np.cos(YAW), 0, np.sin(YAW)], [0, 1, 0], [-np.sin(YAW), 0, np.cos(YAW)]])


def main():
    """Make all pictures."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        sbs = film(folder / "sbs", "--stereo", "sbs", "--size", "480x320", *WHOLE)
        red_cyan = film(folder / "anaglyph", "--stereo", "anaglyph", "--size", "960x640", *WHOLE)
        save("stereo", [first(sbs)], [first(red_cyan)])
        matte = film(folder / "matte", "--matte", "--size", "960x640", *FAR)
        save("matte", [last(matte), last(matte, "matte_frames")])
        save("export", *exports(folder))
        tall = film(
            folder / "tall",
            "--size",
            "540x960",
            "--startU",
            "1150",
            "--startW",
            "560",
            "--endU",
            "1120",
            "--endW",
            "430",
        )
        save("portrait", [photo(), first(tall), last(tall)])
        wide, short = (
            film(folder / name, *FARTHER, "--size", "960x640", *more)
            for name, more in (("wide", ()), ("short", ("--max-holes", "2")))
        )
        save("max_holes", [last(wide), last(short)])


def film(folder, *flags):
    """Make a film of the example; return its folder."""
    status = kbe.main(
        [
            "--in",
            str(FOLDER / "example.jpg"),
            "--depth",
            str(FOLDER / "example_disparity.png"),
            "--out",
            str(folder),
            "--write-frames",
            "--duration",
            "0.4",
            "--max-size",
            "1536",
            *flags,
        ]
    )
    if status:
        sys.exit(status)
    return folder


def first(folder, frames="frames"):
    """Return the first frame."""
    return Image.open(min((folder / frames).iterdir()))


def last(folder, frames="frames"):
    """Return the last frame of the way there."""
    return Image.open(max((folder / frames).iterdir()))


def photo():
    """Return the example itself."""
    return Image.open(FOLDER / "example.jpg")


def exports(folder):
    """Return a mesh and splats, few enough to tell them apart; a camera's way, and what it sees."""
    few = film(folder / "few", "--export", "scene.glb", "scene.gs.ply", "--max-size", "240", *ORBIT)
    size = ("--size", "960x640")
    fine = film(folder / "fine", "--write-depth", "--export", "a.ply", "a.json", *size, *ORBIT)
    depth = read_depth(max((fine / "depth").iterdir()))
    near = (255 * depth.min() / depth).round().astype(np.uint8)
    seen = cv2.cvtColor(cv2.applyColorMap(near, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    camera = json.loads((fine / "a.json").read_text())["frames"]
    return (
        [mesh_from_aside(few / "scene.glb"), splats_from_aside(few / "scene.gs.ply")],
        [camera_from_aside(fine / "a.ply", camera), Image.fromarray(seen)],
    )


def mesh_from_aside(path):
    """Draw the opaque triangles of a mesh, the farthest first, with their edges."""
    canvas, faces = empty(), []
    for mesh in trimesh.load(path).geometry.values():
        if mesh.visual.material.alphaMode == "OPAQUE":
            color = np.asarray(mesh.visual.to_color().vertex_colors)[mesh.faces, :3].mean(1)
            faces.append((mesh.vertices[mesh.faces] * UPRIGHT, color))
    corners, colors = (np.concatenate(parts) for parts in zip(*faces, strict=True))
    pixels, depth = aside(corners)
    shown = (depth.min(1) > CLOSE) & (corners[..., 2].max(1) < DEEP)
    for i in np.nonzero(shown)[0][np.argsort(-depth[shown].mean(1))]:
        corner = np.rint(16 * pixels[i]).astype(np.int32)
        cv2.fillConvexPoly(canvas, corner, colors[i].tolist(), cv2.LINE_AA, 4)
        cv2.polylines(canvas, [corner], True, (0.7 * colors[i]).tolist(), 1, cv2.LINE_AA, 4)
    return Image.fromarray(canvas)


def splats_from_aside(path):
    """Draw splats as discs of their size, the farthest first."""
    canvas, splats = empty(), plyfile.PlyData.read(path)["vertex"]
    points = np.stack([splats[axis] for axis in "xyz"], 1)
    sides = np.exp(np.stack([splats[f"scale_{axis}"] for axis in range(3)], 1)).max(1)
    colors = np.stack([splats[f"f_dc_{channel}"] for channel in range(3)], 1) / 3.5449 + 0.5
    pixels, depth = aside(points)
    shown = (depth > CLOSE) & (points[:, 2] < DEEP) & (splats["opacity"] > 0)
    for i in np.nonzero(shown)[0][np.argsort(-depth[shown])]:
        radius = int(16 * max(1.1 * sides[i] * LENS / depth[i], 0.5))
        place = np.rint(16 * pixels[i]).astype(int).tolist()
        color = (255 * colors[i].clip(0, 1)).tolist()
        cv2.circle(canvas, place, radius, color, -1, cv2.LINE_AA, 4)
    return Image.fromarray(canvas)


def camera_from_aside(path, frames):
    """Draw what every camera sees up to the subject, over the points."""
    vertices = plyfile.PlyData.read(path)["vertex"]
    points = np.stack([vertices[axis] for axis in "xyz"], 1) * UPRIGHT
    shown = (points[:, 2] < DEEP) & (vertices["alpha"] > 127)
    seen = ((points[shown] - CENTER) @ TURN.T + AWAY).T
    cloud = kernels.Cloud(
        np.ascontiguousarray(seen, np.float32),
        np.stack([vertices[name][shown] for name in ("red", "green", "blue")], 1),
        (points[shown, 2] / 768).astype(np.float32),
    )
    view = kernels.View((0, 0, 0), VIEW, LENS, LENS * 40.0)
    frame, holes = kernels.render_frame(cloud, view, fill=False)
    frame[holes] = DARK
    canvas = (0.6 * frame).astype(np.uint8)
    for camera in frames[:: max(1, len(frames) // 4)]:
        eye = -np.array(camera["t"])
        corners = np.array([(0, 0), (960, 0), (960, 640), (0, 640)])
        rays = np.column_stack([corners, np.ones(4)]) @ np.linalg.inv(camera["K"]).T
        ends, _ = aside(np.concatenate([[eye], eye + 0.4 * rays]))
        ends = np.rint(16 * ends).astype(np.int32)
        for corner in ends[1:]:
            cv2.line(canvas, ends[0].tolist(), corner.tolist(), LINES, 2, cv2.LINE_AA, 4)
        cv2.polylines(canvas, [ends[1:]], True, LINES, 2, cv2.LINE_AA, 4)
    way, _ = aside(np.array([-np.array(camera["t"]) for camera in frames]))
    way = np.rint(16 * way).astype(np.int32)
    cv2.polylines(canvas, [way], False, (255, 80, 60), 3, cv2.LINE_AA, 4)
    return Image.fromarray(canvas)


def aside(points):
    """Pixels (..., 2) and depth (...) of points (..., 3), as seen from the right and above."""
    seen = (points - CENTER) @ TURN.T + AWAY
    depth = seen[..., 2]
    middle = (np.array(VIEW[::-1]) - 1) / 2
    return seen[..., :2] / np.maximum(depth, CLOSE)[..., None] * LENS + middle, depth


def empty():
    """Return the picture of nothing."""
    return np.full((*VIEW, 3), DARK, np.uint8)


def save(name, *rows):
    """Write rows of pictures, those of a row side by side at one height, as one JPEG."""
    rows = [fitted(row) for row in rows]
    canvas = Image.new("RGB", (WIDTH, sum(row.height + GAP for row in rows) - GAP), "white")
    top = 0
    for row in rows:
        canvas.paste(row, (0, top))
        top += row.height + GAP
    canvas.save(FOLDER / f"example_{name}.jpg", quality=80, optimize=True)


def fitted(pictures):
    """Return a row of pictures as one of WIDTH."""
    room = WIDTH - GAP * (len(pictures) - 1)
    height = round(room / sum(picture.width / picture.height for picture in pictures))
    row, left = Image.new("RGB", (WIDTH, height), "white"), 0
    for index, picture in enumerate(pictures):
        width = round(height * picture.width / picture.height)
        width = WIDTH - left if index == len(pictures) - 1 else width
        row.paste(
            picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS), (left, 0)
        )
        left += width + GAP
    return row


if __name__ == "__main__":
    main()
