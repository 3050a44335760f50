"""Make the README's pictures of what else kbe.py delivers, from the example: images/example_*.jpg.

python images/deliver_example.py
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import kbe  # noqa: E402
import kernels  # noqa: E402
from utils.export.ply import VERTEX  # noqa: E402

WIDTH = 960  # px of every picture
GAP = 8
WHOLE = ("--move", "zoom-in")  # begins with all of the photo
FAR = ("--move", "right", "--strength", "1.5")  # so far that the lamp post uncovers much
FARTHER = ("--move", "right", "--strength", "2")


def main():
    """Make all pictures."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        sbs = film(folder / "sbs", "--stereo", "sbs", "--size", "480x320", *WHOLE)
        red_cyan = film(folder / "anaglyph", "--stereo", "anaglyph", "--size", "960x640", *WHOLE)
        save("stereo", [first(sbs)], [first(red_cyan)])
        matte = film(
            folder / "matte", "--matte", "--export", "scene.ply", "--size", "960x640", *FAR
        )
        save("matte", [last(matte), last(matte, "matte_frames")])
        save("export", [from_aside(folder / "matte" / "scene.ply")])
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


def from_aside(path):
    """Return a view of an exported point cloud from the right and above."""
    header, _, body = path.read_bytes().partition(b"end_header\n")
    assert b"binary_little_endian" in header
    vertices = np.frombuffer(body, VERTEX)
    near = vertices["position"][:, 2] > -9
    near &= vertices["color"][:, 3] > 127  # the view is of opaque points
    points = vertices["position"][near] * (1, -1, -1)  # y down, z forward, as our cameras see
    yaw, pitch, center = 0.5, 0.32, np.array([0.1, 0.0, 3.4])
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    nod = np.array(
        [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    )
    seen = ((points - center) @ (nod @ turn).T + (0, 0, 4.6)).T.astype(np.float32)
    spacing = (points[:, 2] / 768).astype(np.float32)
    frame, holes = kernels.render_frame(
        seen,
        np.ascontiguousarray(vertices["color"][near, :3]),
        (0, 0, 0),
        (540, WIDTH),
        560.0,
        560 * 40.0,
        spacing,
        fill=False,
    )
    frame[holes] = 24
    return Image.fromarray(frame)


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
