"""Make the README's gallery: the example by each move, as small moving pictures images/move_*.webp.

python images/moves_example.py [MOVE ...]
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import kbe  # noqa: E402
from utils.camera.moves import MOVES  # noqa: E402

SIZE = "360x240"
FPS = 12
LARGEST = 400_000  # bytes of a picture
# By true depth: what a move does is seen best where nothing bends.
DEPTH = FOLDER / "example_disparity.png"


def main(names: list[str]) -> None:
    """Make the pictures of these moves, of all if none is named."""
    for name in names or ["auto", *MOVES]:
        with tempfile.TemporaryDirectory() as folder:
            film(Path(folder), name)
            frames = [Image.open(path) for path in sorted(Path(folder).glob("frames/*.png"))]
            closed = name in MOVES and MOVES[name].closed
            save(FOLDER / f"move_{name}.webp", frames if closed else frames + frames[-2:0:-1])


def film(folder: Path, name: str) -> None:
    """Film the example by a move, at the speed at which it is shown."""
    kbe.animate(
        FOLDER / "example.jpg",
        folder,
        move=name,
        depth=DEPTH,
        depth_kind="disparity",
        size=SIZE,
        fps=FPS,
        duration=4 if name in MOVES and MOVES[name].closed else 2.5,
        loop="none",
        max_size=720,
        write_frames=True,
    )


def save(path: Path, frames: list[Image.Image]) -> None:
    """Write a moving picture of at most LARGEST bytes, as good as fits."""
    for quality in range(70, 0, -10):
        frames[0].save(
            path,
            save_all=True,
            append_images=frames[1:],
            duration=round(1000 / FPS),
            loop=0,
            quality=quality,
            method=4,
        )
        if path.stat().st_size <= LARGEST:
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB at quality {quality}")
            return
    raise ValueError(f"{path} does not fit into {LARGEST} bytes; lower SIZE or FPS.")


if __name__ == "__main__":
    main(sys.argv[1:])
