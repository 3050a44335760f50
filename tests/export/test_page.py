"""The page of a scene in a real browser: what it draws, says and lets one do; and the index."""

import base64
import http.server
import json
import logging
import re
import shlex
import threading
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from kbe_runs import run

import kbe
from utils import cli, weights
from utils.camera import CropWindow, Stage, find_focus
from utils.camera.moves import windows as windows_move
from utils.cli.command_line import settings_from
from utils.export import page, write_index
from utils.film import read_image
from utils.film.photos import write_image
from utils.scene import connected

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "images" / "example.jpg"
HOSTILE = ["x<", "script><script>alert(1)<", "script>.png"]  # a path holds </script>, and so on
QUIET = "kenBurns.then(k => { k.player.playing = false; k.player.eye = k.player.wanted = [0, 0]; })"


# -- scenes, and their pages ----------------------------------------------------------------------


def disc(size=(160, 224)):
    """A disc before a wall whose pattern is smooth enough for any resampling."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    front = (rows - 0.55 * size[0]) ** 2 + (columns - 0.5 * size[1]) ** 2 < (0.24 * size[0]) ** 2
    waves = np.sin(columns / 7) + np.sin(rows / 5)
    wall, thing = 120 + 35 * waves, 150 - 30 * waves
    colors = np.where(front[..., None], thing[..., None] * (1, 0.5, 0.4), wall[..., None] * 0.9)
    return colors.clip(0, 255).astype(np.uint8), np.where(front, 230, 70).astype(np.uint8)


def fence(size=(160, 224)):
    """Bars before ground that runs from near to far."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    bars = (columns // 8 % 5 == 0) & (rows > 20)
    ground = 40 + 150 * rows / size[0]
    waves = 20 * np.sin(columns / 9 + rows / 13)
    colors = np.stack([90 + waves + ground / 4, 130 - waves, 70 + ground / 3], -1)
    colors = np.where(bars[..., None], (190, 150, 90), colors)
    return colors.clip(0, 255).astype(np.uint8), np.where(bars, 240, ground).astype(np.uint8)


def make(folder, picture, name="photo.png", **settings):
    """Take a picture through the chain; return what is ready, its settings, and its page."""
    colors, disparity = picture
    photo = folder / name
    photo.parent.mkdir(parents=True, exist_ok=True)
    write_image(photo, colors)
    write_image(folder / "depth.png", disparity)
    given = {"depth_kind": "disparity", "depth": folder / "depth.png", "quiet": True}
    return take(photo, folder / "out", **(given | settings))


def take(photo, out, **settings):
    chosen = settings_from(
        {"inputs": [str(photo)], "out": out, "export": [Path("scene.html")], **settings}
    )
    (job,) = cli.plan_run(chosen).jobs
    ready = kbe.prepare(job, chosen, weights.choose_networks(chosen), cli.Shared())
    return ready, chosen, job.exports(chosen)[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The disc between its windows: (ready, settings, page)."""
    return make(tmp_path_factory.mktemp("page"), disc(), move="windows")


def open_page(browser, page, before=""):
    """Open a page, and wait until its scene is there."""
    browser.open(page.as_uri(), before)
    browser.evaluate("kenBurns.then(() => 0)")


def drawn(browser, pose, size, more=""):
    """What the page draws at a pose (a JavaScript expression), (H, W, 3) uint8."""
    height, width = size
    text = browser.evaluate(
        f"""kenBurns.then(k => {{
            k.player.playing = false;
            k.renderer.draw({pose}, {width}, {height}{more});
            const pixels = k.renderer.pixels();
            let text = "";
            for (let i = 0; i < pixels.length; i += 32768)
                text += String.fromCharCode(...pixels.subarray(i, i + 32768));
            return btoa(text);
        }})"""
    )
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 3)


def complaints(browser):
    """What the page complains of, but for a word on how pixels are read without a card."""
    return [text for text in browser.complaints() if "ReadPixels" not in text]


def psnr(one, other, where=slice(None)):
    squared = (one.astype(float) - other)[where] ** 2
    return 10 * np.log10(255**2 / squared.mean())


# -- what it draws --------------------------------------------------------------------------------


@pytest.mark.parametrize("scene", ["example", "disc", "fence"])
def test_a_page_draws_what_the_film_shows(browser, tmp_path, scene):
    """At the film's first, middle and last pose; and where that has no hole, neither has it."""
    if scene == "example":
        depth = EXAMPLE.with_name("example_disparity.png")
        ready, _, page_file = take(EXAMPLE, tmp_path, depth=depth, max_size=640, quiet=True)
    else:
        ready, _, page_file = make(tmp_path, {"disc": disc, "fence": fence}[scene]())
    open_page(browser, page_file)
    size = ready.plan.view_size
    for t in (0, 0.5, 1):
        frame, holes = ready.view.render(**ready.path.view(t, size))
        pose = f"k.camera.path().pose({t})"
        assert psnr(drawn(browser, pose, size), frame, ~holes) >= 30
        # Without what is drawn out over gaps, and everything else in place of black.
        bare = drawn(browser, pose, size, ", {skirts: false, clear: [1, 0, 1, 1]}")
        empty = (bare == (255, 0, 255)).all(-1) & ~holes
        wide = cv2.morphologyEx(empty.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
        assert not wide.any()
    assert not complaints(browser)
    assert browser.requests() == [page_file.as_uri()]


def test_what_is_uncovered_in_no_film_is_drawn_out_from_behind(browser, made):
    """Far outside what was inpainted there is no black, and none of the disc's colour."""
    open_page(browser, made[2])
    pose = "{shift: [0.3, 0, 0], zoom: 0.5, lens: [0.05, 0]}"
    picture = drawn(browser, pose, (160, 224)).astype(int)
    assert picture.max(-1).min() > 20
    red = picture[..., 0] - picture[..., 2] > 60
    there = np.pi * (0.24 * 160) ** 2
    assert 0.7 * there < red.sum() < 1.3 * there


def test_a_page_asks_a_server_for_nothing_but_itself(browser, made):
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, text, *about):
            asked.append(self.path)

    handler = partial(Handler, directory=str(made[2].parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            browser.open(f"http://127.0.0.1:{server.server_port}/scene.html")
            browser.evaluate("kenBurns.then(() => 0)")
            forbidden = "fetch('/other').then(() => 'fetched', () => 'refused')"
            assert browser.evaluate(forbidden) == "refused"
        finally:
            server.shutdown()
            thread.join()
    assert asked == ["/scene.html"]


def test_a_page_that_would_be_too_large_has_fewer_pixels(tmp_path, monkeypatch, caplog):
    noise = np.random.default_rng(0).integers(0, 256, (160, 224, 3), np.uint8)
    ready, chosen, page_file = make(tmp_path, (noise, disc()[1]))
    limit = int(0.9 * page_file.stat().st_size)
    monkeypatch.setattr(page, "MOST_BYTES", limit)
    monkeypatch.setattr(page, "LEAST_PIXELS", 100)
    monkeypatch.setattr(logging.getLogger("kbe"), "propagate", True)
    with caplog.at_level(logging.INFO, "kbe"):
        page.write(page_file, ready.view, ready.path, ready.plan, chosen)
    assert page_file.stat().st_size <= limit
    assert re.search(r"photo.png: the page shows the photo at \d+x\d+ px", caplog.text)


def test_a_browser_that_cannot_inflate_draws_the_same(browser, made):
    unpacked = "kenBurns.then(k => Array.from(k.scene.nearness).join())"
    open_page(browser, made[2])
    own = browser.evaluate(unpacked)
    open_page(browser, made[2], before="delete window.DecompressionStream")
    assert browser.evaluate(unpacked) == own
    nearness = np.array(own.split(","), int).reshape(160, 224)
    expected = made[0].view.solid()[1][0, 0].numpy() / 120 * 4095
    assert abs(nearness - expected).max() <= 0.51


def test_a_page_cuts_where_the_scene_does(browser, made):
    """A square of the page's surface never joins what `connected` says is apart."""
    open_page(browser, made[2])
    corners = browser.evaluate(
        """kenBurns.then(k => {
            const {vertices, triangles} = k.scene.surface;
            return Array.from(triangles, i => [vertices[3 * i], vertices[3 * i + 1]]);
        })"""
    )
    corners = np.array(corners).reshape(-1, 3, 2)
    disparity = made[0].view.solid()[1][0, 0].numpy()
    right, down = connected(disparity, np.ones(disparity.shape, bool))
    apart = np.cumsum(np.pad(~right, ((0, 0), (1, 0))), 1)  # along a row, how many cuts so far
    low, high = corners[..., 0].min(1), corners[..., 0].max(1)
    flat = np.ptp(corners[..., 1], axis=1) > 0
    for row in (corners[..., 1].min(1), corners[..., 1].max(1)):
        whole = flat & (high - low > 1)  # half squares of one px may stand beside a cut
        assert (apart[row, high] == apart[row, low])[whole].all()
    assert len(corners) < 2 * disparity.size / 4  # and it is much less than two a pixel


# -- windows, moves and the command line ----------------------------------------------------------


def command_of(browser):
    return shlex.split(browser.evaluate("document.getElementById('line').textContent"))


def drag(browser, selector, right, down):
    """Drag the middle of an element by so many px of the photo; return px of the screen per px."""
    box, scale = browser.evaluate(
        f"""kenBurns.then(k => {{
            const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();
            const photo = document.getElementById("photo").getBoundingClientRect();
            return [[box.left + box.width / 3, box.top + box.height / 3],
                    photo.width / k.windows.plan.photo[1]];
        }})"""
    )
    x, y = box
    browser.mouse("mousePressed", x, y)
    for part in (0.5, 1):
        browser.mouse("mouseDragged", x + part * right * scale, y + part * down * scale)
    browser.mouse("mouseReleased", x + right * scale, y + down * scale)


def test_dragging_the_end_window_gives_the_command_of_the_film_that_is_shown(
    browser, tmp_path, monkeypatch
):
    """By (40, -25) px: the numbers are right, and the film ends with what the page shows."""
    ready, _, page_file = make(tmp_path, disc((320, 448)), move="windows")
    open_page(browser, page_file)
    browser.evaluate(QUIET)
    assert command_of(browser)[:3] == ["python", "kbe.py", "--in"]
    browser.evaluate("document.getElementById('end-corner').focus()")
    for _ in range(10):
        browser.key("ArrowLeft", modifiers=8)  # with Shift: 100 px narrower
    before = browser.evaluate("kenBurns.then(k => k.windows.end)")
    drag(browser, "#end-window", 40, -25)
    after = browser.evaluate("kenBurns.then(k => k.windows.end)")
    assert (after["u"], after["v"]) == (round(before["u"] + 40), round(before["v"] - 25))
    words = command_of(browser)
    said = {
        name: float(value)
        for name, value in zip(words, words[1:], strict=False)
        if name[2:5] == "end"
    }
    assert said == {"--endU": after["u"], "--endV": after["v"], "--endW": after["width"]}
    line = json.loads(browser.evaluate("document.getElementById('list').textContent"))
    assert line["move"] == "windows" and f"endU={after['u']:g} " in line["windows"]

    size = ready.plan.view_size
    shown = drawn(browser, "k.camera.path().pose(1)", size)
    monkeypatch.chdir(tmp_path)
    assert run(*words[2:], "--write-frames", "--duration", "0.2", "--quiet") == 0
    last = sorted((tmp_path / "photo_frames").glob("*.png"))[-1]
    assert psnr(read_image(last).pixels, shown) >= 28


def test_the_path_between_windows_is_that_of_the_program(browser, made):
    """For twenty pairs of windows, at five times each: to 1e-4."""
    ready = made[0]
    scene = ready.view
    rng = np.random.default_rng(1)
    facts = browser_facts(made[2])
    unit = scene.focal_px * scene.baseline / float(scene.disparity.amax())
    pairs, expected = [], []
    for _ in range(20):
        windows = []
        for width in rng.uniform(40, 200, 2):
            height = width * 160 / 224
            u, v = (rng.uniform(side / 2, whole - side / 2) for side, whole in
                    ((width, 224), (height, 160)))  # fmt: skip
            windows.append(CropWindow(u, v, width, height))
        focus = find_focus(scene.depth, windows[1].center_u, windows[1].center_v)
        nearest = facts["windows"]["nearest"] * unit
        path = windows_move(Stage(scene.size, scene.focal_px, focus, nearest, *windows))
        pairs.append(
            [
                {"u": w.center_u, "v": w.center_v, "width": w.width, "height": w.height}
                for w in windows
            ]
        )
        for t in (0, 0.25, 0.5, 0.75, 1):
            shift, focal_px, lens = path.pose(t)
            expected.append([*(part / unit for part in shift), focal_px / path.crop[1], *lens])
    open_page(browser, made[2])
    got = browser.evaluate(
        f"""kenBurns.then(k => {json.dumps(pairs)}.flatMap(([start, end]) => {{
            const depth = k.focusDepth(k.scene, end.u, end.v, k.windows.plan.patch_share);
            const path = k.windowsPath(start, end, depth, k.windows.plan);
            return [0, 0.25, 0.5, 0.75, 1].map(path).map(p => [...p.shift, p.zoom, ...p.lens]);
        }}))"""
    )
    # Depth is in steps of 1/4095 of nearness in a page.
    np.testing.assert_allclose(got, expected, atol=1e-4, rtol=3e-4)


def browser_facts(page_file):
    text = page_file.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="facts">(.*?)</script>', text)[1])


def test_moves_of_the_page_are_those_of_the_command_that_it_names(browser, made, tmp_path):
    """Chosen in the menu: kbe.py goes the same way by that line."""
    open_page(browser, made[2])
    for name, strength in (("orbit", 1), ("zoom-in", 2), ("dolly", 0.5)):
        browser.evaluate(
            f"""(() => {{
                const set = (id, value, kind) => {{
                    document.getElementById(id).value = value;
                    document.getElementById(id).dispatchEvent(new Event(kind));
                }};
                set("move", "{name}", "change");
                set("strength", {[0.5, 1, 1.5, 2].index(strength)}, "input");
            }})()"""
        )
        words = command_of(browser)
        assert words[words.index("--move") + 1] == name
        chosen = cli_settings(words[2:], tmp_path)
        (job,) = cli.plan_run(chosen).jobs
        path = kbe.prepare(job, chosen, weights.choose_networks(chosen), cli.Shared()).path
        shift, focal_px, lens = path.pose(0.4)
        got = browser.evaluate("kenBurns.then(k => k.camera.path().pose(0.4))")
        scene = made[0].view
        unit = scene.focal_px * scene.baseline / float(scene.disparity.amax())
        np.testing.assert_allclose(np.multiply(got["shift"], unit), shift, atol=1e-3 * unit)
        assert got["zoom"] == pytest.approx(focal_px / path.crop[1], rel=1e-3)
        np.testing.assert_allclose(got["lens"], lens, atol=1e-3)


def cli_settings(words, folder):
    from utils.cli.command_line import parse_settings

    words[words.index("--out") + 1] = str(folder / "again.mp4")
    return parse_settings([*words, "--quiet"])


def test_swap_reset_corner_focus_and_keys(browser, made):
    open_page(browser, made[2])
    ends = "kenBurns.then(k => [k.windows.start, k.windows.end, k.windows.focus])"
    start, end, _ = browser.evaluate(ends)
    press = "document.getElementById({!r}).click()"
    browser.evaluate(press.format("swap"))
    assert browser.evaluate(ends)[:2] == [end, start]
    browser.evaluate(press.format("reset"))
    assert browser.evaluate(ends)[:2] == [start, end]
    assert "--startU" in command_of(browser)  # as the film itself goes between windows
    drag(browser, "#start-corner", -60, -10)
    smaller = browser.evaluate(ends)[0]
    assert smaller["width"] < start["width"] - 30
    assert smaller["height"] / smaller["width"] == pytest.approx(160 / 224)
    # The other corner stays.
    assert smaller["u"] - smaller["width"] / 2 == pytest.approx(start["u"] - start["width"] / 2)
    browser.evaluate("document.getElementById('end-window').focus()")
    browser.key("ArrowLeft")
    browser.key("ArrowDown")
    moved = browser.evaluate(ends)[1]
    assert (moved["u"], moved["v"]) == (round(end["u"] - 1), round(end["v"] + 1))
    browser.evaluate("document.getElementById('focus').focus()")
    browser.key("ArrowRight", modifiers=8)
    focus = browser.evaluate(ends)[2]
    assert focus == {"u": round(moved["u"] + 10), "v": moved["v"]}
    words = command_of(browser)
    assert words[words.index("--focus") + 1] == f"{focus['u']},{focus['v']:g}"


def test_a_double_click_sets_the_focus(browser, made):
    open_page(browser, made[2])
    x, y = browser.evaluate(
        """(() => { const box = document.getElementById("photo").getBoundingClientRect();
            return [box.left + box.width / 4, box.top + box.height / 2]; })()"""
    )
    for count in (1, 2):
        browser.mouse("mousePressed", x, y, clickCount=count)
        browser.mouse("mouseReleased", x, y, clickCount=count)
    focus = browser.evaluate("kenBurns.then(k => k.windows.focus)")
    assert abs(focus["u"] - 56) <= 1 and abs(focus["v"] - 80) <= 1


# -- the player, and who uses it ------------------------------------------------------------------


def test_it_plays_at_once_and_space_pauses(browser, made):
    open_page(browser, made[2])
    turned = """kenBurns.then(k => new Promise(done => {
        const before = k.player.phase;
        const look = () => k.player.phase !== before ? done(true) : requestAnimationFrame(look);
        look();
    }))"""
    assert browser.evaluate(turned)
    browser.key(" ", text=" ")
    assert browser.evaluate("kenBurns.then(k => k.player.playing)") is False
    assert browser.evaluate("document.getElementById('play').ariaLabel") == "Play"


def test_who_wants_less_motion_gets_none_unasked(browser, made):
    browser.prefer(prefers_reduced_motion="reduce")
    open_page(browser, made[2])
    assert browser.evaluate("kenBurns.then(k => k.player.playing)") is False
    browser.evaluate("document.getElementById('play').click()")
    assert browser.evaluate("kenBurns.then(k => k.player.playing)") is True


def test_the_pointer_moves_the_eye_and_no_farther_than_was_inpainted(browser, made):
    open_page(browser, made[2])
    box = browser.evaluate(
        """(() => { const box = document.getElementById("stage").getBoundingClientRect();
            return [box.left, box.top, box.width, box.height]; })()"""
    )
    browser.mouse("mouseMoved", box[0] + 0.9 * box[2], box[1] + 0.5 * box[3])
    eased = """kenBurns.then(k => new Promise(done => {
        const look = () =>
            k.player.eye[0] > 0.75 ? done(k.player.eye) : requestAnimationFrame(look);
        look();
    }))"""
    x, y = browser.evaluate(eased)
    assert 0.75 < x <= 0.8001 and abs(y) < 0.05


def test_a_slow_machine_gets_a_smaller_picture(browser, made):
    open_page(browser, made[2])
    sizes = browser.evaluate(
        """kenBurns.then(k => {
            k.player.scale = 1;
            const sizes = [k.player.frameSize()];
            for (let i = 0; i < 12; i++) k.player.measure(0.05, true);
            sizes.push(k.player.frameSize());
            for (let i = 0; i < 1000; i++) k.player.measure(0.05, true);
            return [...sizes, k.player.frameSize()];
        })"""
    )
    widths = [width for width, _ in sizes]
    assert widths[0] > widths[1] > widths[2] >= 0.34 * widths[0]


def test_the_keyboard_reaches_every_control(browser, made):
    open_page(browser, made[2])
    controls = browser.evaluate(
        """Array.from(document.querySelectorAll("button, input, select, pre[tabindex]"))
            .filter(e => !e.hidden && !e.disabled).map(e => e.id || e.firstChild.id)"""
    )
    reached = []
    for _ in range(2 * len(controls)):
        browser.key("Tab", windowsVirtualKeyCode=9)
        reached.append(
            browser.evaluate(
                """(e => e.matches(":focus-visible") && getComputedStyle(e).outlineStyle !== "none"
                    ? e.id || (e.firstChild && e.firstChild.id) : "")(document.activeElement)"""
            )
        )
    assert len(controls) >= 14
    assert set(controls) <= set(reached)


def test_every_control_has_a_name_and_nothing_is_wider_than_a_phone(browser, made):
    browser.size(360, 740, mobile=True)
    open_page(browser, made[2])
    unnamed = browser.evaluate(
        """Array.from(document.querySelectorAll("button, input, select")).filter(e =>
            !(e.ariaLabel || e.textContent.trim() || (e.labels && e.labels.length))).length"""
    )
    assert unnamed == 0
    assert browser.evaluate("document.documentElement.scrollWidth") <= 360


# -- photos and names of all kinds ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tiny", "huge", "portrait", "flat"])
def test_photos_of_all_kinds(browser, tmp_path, kind):
    """16x16; 24 megapixels, which are reduced; taller than wide; nothing inpainted."""
    size = {"tiny": (16, 16), "huge": (4000, 6000), "portrait": (224, 128), "flat": (96, 128)}[kind]
    flat = {"flat": True, "depth": None, "depth_kind": None}
    more = {"huge": {"max_size": 1300} | flat, "flat": flat}
    ready, _, page_file = make(tmp_path, disc(size), **more.get(kind, {}))
    assert page_file.stat().st_size <= 3_000_000
    open_page(browser, page_file)
    size = [side // 4 if kind == "huge" else side for side in ready.plan.view_size]
    frame, _ = ready.view.render(**ready.path.view(0.5, size))
    assert psnr(drawn(browser, "k.camera.path().pose(0.5)", size), frame) >= 28
    assert not complaints(browser)


@pytest.mark.parametrize(
    "name", ["/".join(HOSTILE), "a'\"&<b onload=x>$(touch y)`\u2028{{script}} -- .png"]
)
def test_names_are_text_and_nothing_else(browser, tmp_path, name):
    _, chosen, page_file = make(tmp_path, disc((48, 64)), name=name)
    open_page(browser, page_file, before="window.alert = () => window.alarmed = true")
    assert browser.evaluate("window.alarmed === undefined")
    photo = tmp_path / name
    assert browser.evaluate("document.querySelector('h1').textContent") == photo.name
    words = command_of(browser)
    assert words[words.index("--in") + 1] == str(photo)
    line = json.loads(browser.evaluate("document.getElementById('list').textContent"))
    assert line["photo"] == str(photo)
    assert browser.evaluate("document.querySelectorAll('script').length") == 4
    assert not complaints(browser)


def test_what_the_user_asked_for_stays_in_the_command(browser, tmp_path):
    """Size, speed, depth and focal length; nothing that only says where results go."""
    _, _, page_file = make(
        tmp_path, disc((96, 128)), size="64x96", fps=30, duration=0.4, focal_px=100.5, preview=True
    )
    open_page(browser, page_file)
    words = command_of(browser)
    expected = {"--size": "64x96", "--fps": "30", "--duration": "0.4", "--focal": "100.5"}
    expected |= {"--depth": str(tmp_path / "depth.png"), "--depth-kind": "disparity"}
    assert {name: words[words.index(name) + 1] for name in expected} == expected
    assert "--preview" not in words and "--export" not in words
    cli_settings(words[2:], tmp_path)  # and it is one that is taken


# -- the index of a batch -------------------------------------------------------------------------


def test_a_batch_gets_an_index_whose_pictures_open_the_pages(browser, tmp_path):
    album = tmp_path / "album"
    album.mkdir()
    names = ["a'&\"<b>#1?%20.png", "plain.png"]
    for name in names:
        write_image(album / name, disc((48, 64))[0])
    command = ["--in", album, "--out", tmp_path / "out", "--2d", "--duration", "0.2", "--quiet"]
    assert run(*command, "--export", "scene.html") == 0
    index = tmp_path / "out" / "index.html"
    browser.open(index.as_uri())
    shown = browser.evaluate(
        """Array.from(document.querySelectorAll("a")).map(a =>
            [a.textContent, a.href, a.getAttribute("href"), a.querySelector("img").naturalWidth])"""
    )
    assert sorted(text for text, *_ in shown) == sorted(names)
    assert all(width > 0 and "/" in way and ":" not in way for *_, way, width in shown)
    assert not complaints(browser) and browser.requests() == [index.as_uri()]
    for text, address, *_ in shown:
        browser.open(address)
        assert browser.evaluate("document.querySelector('h1').textContent") == text
    index.write_text("mine")  # one that is not ours is left alone
    assert write_index(tmp_path / "out", sorted((tmp_path / "out").glob("*/scene.html"))) is None
    assert index.read_text() == "mine"
