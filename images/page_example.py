"""Make the README's moving picture of the page, in Chromium: images/example_page.webp.

python images/page_example.py
"""

import io
import math
import sys
import tempfile
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER.parent / "tests")]

import kbe  # noqa: E402
from tests.browser import Browser, find_browser  # noqa: E402

WINDOW, SHOWN = (1120, 560), 720  # px: the browser's window, and the width of the picture
FRAMES, FRAME_MS = 28, 140
QUALITY = 68


def main():
    """Make the page, film it in the browser, and store an animated WebP that loops."""
    with tempfile.TemporaryDirectory() as folder:
        page = make_page(Path(folder))
        browser = Browser(find_browser())
        try:
            pictures = [small(shot) for shot in filmed(browser, page, Path(folder) / "shot.png")]
        finally:
            browser.close()
    out = FOLDER / "example_page.webp"
    pictures[0].save(
        out,
        save_all=True,
        append_images=pictures[1:],
        duration=FRAME_MS,
        loop=0,
        quality=QUALITY,
        method=6,
    )
    print(out, f"{out.stat().st_size / 1e3:.0f} kB")


def make_page(folder):
    """The page of the example, by its exact depth; the film beside it does not matter."""
    depth = str(FOLDER / "example_disparity.png")
    command = ["--in", str(FOLDER / "example.jpg"), "--depth", depth, "--out", str(folder)]
    command += ["--startW", "1380", "--endU", "900", "--endV", "560", "--endW", "900"]
    command += ["--max-size", "960", "--duration", "0.2", "--export", "page.html", "--quiet"]
    if kbe.main(command):
        sys.exit("the page could not be made")
    return folder / "page.html"


def filmed(browser, page, shot):
    """Yield screenshots: the film plays, the eye looks around, the end window is moved."""
    browser.size(*WINDOW)
    browser.prefer(prefers_color_scheme="dark")
    browser.open(page.as_uri())
    browser.evaluate("kenBurns.then(k => { k.player.playing = false; k.player.scale = 1; })")
    browser.evaluate("document.getElementById('hint').textContent = ''")
    for number in range(FRAMES):
        browser.evaluate(f"kenBurns.then(k => {{ {step(number / FRAMES)} }})")
        browser.screenshot(shot, whole=False)
        yield Image.open(io.BytesIO(shot.read_bytes())).convert("RGB")


def step(t):
    """What happens at a time from 0 to 1, as a statement of the page's own script."""
    once = math.sin(math.pi * t) ** 2
    eye = f"[{0.8 * math.sin(4 * math.pi * t):.4f}, 0]"
    return f"""
        const end = k.windows.plan.end;
        k.windows.place("end", end.u + {160 * once:.1f}, end.v - {90 * once:.1f});
        k.player.held = null;
        k.player.phase = {t:.4f};
        document.getElementById("time").value = {1000 * t:.0f};
        k.player.eye = k.player.wanted = {eye};
        k.renderer.draw(k.player.pose(), ...k.player.frameSize());
    """


def small(picture):
    """A screenshot as wide as the picture in the README."""
    height = round(picture.height * SHOWN / picture.width)
    return picture.resize((SHOWN, height), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
