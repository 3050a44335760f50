"""Make the README's moving picture from the example, with kbe.py: images/example.webp.

python images/animate_example.py
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import kbe  # noqa: E402

SIZE, FPS, DURATION_S = "720x480", 15, 5.2


def main():
    """Render the film small, and store its frames as an animated WebP that loops."""
    with tempfile.TemporaryDirectory() as folder:
        status = kbe.main(
            [
                "--in",
                str(FOLDER / "example.jpg"),
                "--depth",
                str(FOLDER / "example_disparity.png"),
                "--out",
                folder,
                "--write-frames",
                "--size",
                SIZE,
                "--fps",
                str(FPS),
                "--duration",
                str(DURATION_S),
                "--easing",
                "smooth",
                "--move",
                "right",
            ]
        )
        if status:
            sys.exit(status)
        there = [
            Image.open(path).convert("RGB") for path in sorted(Path(folder, "frames").iterdir())
        ]
    frames = there + there[-2:0:-1]
    frames[0].save(
        FOLDER / "example.webp",
        save_all=True,
        append_images=frames[1:],
        loop=0,
        duration=round(1000 / FPS),
        quality=55,
        method=6,
    )


if __name__ == "__main__":
    main()
