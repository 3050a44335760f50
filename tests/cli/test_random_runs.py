"""Random settings and photos through the whole command line.

Every film decodes and is what was promised; what is refused is refused before any work; and no byte
of what was there before ever changes, wherever --out points. Number n is always the same run:
`pytest tests/cli/test_random_runs.py -k "promises and 7"`, or for any number
`python -m tests.cli.test_random_runs 1234`.
"""

import contextlib
import io
import json
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kbe
from tests.films import probe
from utils.export.table import EXPORTERS
from utils.film.codecs import CODECS, CODECS_BY_SUFFIX
from utils.film.layouts import LAYOUTS, Layout
from utils.film.video import read_metadata

BAD_FLAGS = (
    ["--fps", "0"],
    ["--fps", "inf"],
    ["--fps", "1/0"],
    ["--duration", "0"],
    ["--duration", "nan"],
    ["--duration", "1e-9"],
    ["--size", "31x64"],
    ["--size", "0x0"],
    ["--size", "64"],
    ["--size", "-2x64"],
    ["--max-size", "-1"],
    ["--max-size", "15"],
    ["--focal", "-3"],
    ["--focal", "nan"],
    ["--quality", "1000"],
    ["--quality", "-9"],
    ["--startW", "nan"],
    ["--endU", "inf"],
    ["--endW", "0", "--endH", "0"],
    ["--startW", "-5"],
    ["--startU", "99999"],
    ["--max-holes", "0"],
    ["--max-holes", "100"],
    ["--max-holes", "nan"],
    ["--export", "scene.obj"],
    ["--codec", "none"],
    ["--loop", "twice"],
    ["--easing", "2"],
    ["--device", "tpu"],
    ["--stereo", "both"],
    ["--no-such-flag"],
    ["--2d", "--dolly"],
    ["--2d", "--stereo", "sbs"],
    ["--verbose", "--quiet"],
    ["--dolly", "--autozoom"],
    ["--autozoom", "--endU", "20"],
)
# What only the work, or each photo of several, can tell: status 1.
# Photos that are called as our results are, which a run must not replace.
TAKEN_NAMES = (
    "preview.png",
    "disparity.png",
    "3d_kbe.gif",
    "film.gif",
    "film_matte.gif",
    "film_preview.png",
    "frames/00001.png",
    "film_frames/00000.png",
)
REFUSALS = ("with hardly any motion", "no valid value", "leaves the image", "takes sides of")


class Dice:
    """Draws of one run."""

    def __init__(self, number):
        self.rng = np.random.default_rng(number)

    def __call__(self, chance):
        return self.rng.random() < chance

    def pick(self, choices):
        return choices[self.rng.integers(len(choices))]

    def between(self, low, high):
        return int(self.rng.integers(low, high + 1))


def draw_photo(dice, path):
    """Write a photo of random size, kind and content; return its (height, width)."""
    height, width = dice.between(16, 90), dice.between(16, 90)
    smooth = dice.rng.integers(0, 256, (5, 5, 3), np.uint8)
    picture = Image.fromarray(smooth).resize((width, height), Image.Resampling.BICUBIC)
    if dice(0.1):
        picture = picture.point(lambda value: 0)  # black
    picture.convert(dice.pick(["RGB", "RGB", "RGB", "L", "RGBA", "P", "1"])).save(path)
    return height, width


def draw_depth(dice, size, path):
    """Write a depth map: smooth, constant, or with unknown and infinite pixels."""
    rows = dice.between(2, 60)
    shape = size if dice(0.5) else (rows, dice.pick([rows, round(rows * size[1] / size[0]) or 1]))
    values = dice.rng.random(shape).astype(np.float32) * dice.pick([1e-6, 1, 1, 255, 1e9])
    kind = dice.pick(["plain", "plain", "constant", "zero", "holes", "negative"])
    if kind in ("constant", "zero"):
        values[:] = kind == "constant"
    elif kind == "holes":
        values[dice.rng.random(shape) < 0.4] = dice.pick([np.nan, np.inf, -np.inf])
        values[0, 0] = 1
    elif kind == "negative":
        values -= 0.5
    np.save(path, values)


def draw_flags(dice, size):
    """Return flags that are each valid by themselves; together they may contradict each other."""
    height, width = size
    flags = []
    for flag, low, high in (("U", 0, width), ("V", 0, height), ("W", 1, width), ("H", 1, height)):
        for end in ("start", "end"):
            if dice(0.03):
                flags += [f"--{end}{flag}", dice.between(low, high)]
    fps = dice.pick(["25", "24", "30", "30000/1001", "23.976", "12.5", "50", "1", "240"])
    flags += ["--fps", fps, "--duration", f"{dice.between(2, 9) / float(Fraction(fps)):.4f}"]
    flags += ["--loop", "none"] if dice(0.4) else []
    flags += ["--easing", "smooth"] if dice(0.3) else []
    flags += ["--size", f"{2 * dice.between(8, 60)}x{2 * dice.between(8, 60)}"] if dice(0.4) else []
    flags += ["--max-size", dice.pick([0, 16, 33, 50, 64, 4096])] if dice(0.4) else []
    flags += ["--focal", dice.pick([0.01, 5, 40, 300, 1e5])] if dice(0.2) else []
    flags += ["--quality", dice.pick([2, 3, 20, 40, 63])] if dice(0.15) else []
    flags += ["--codec", dice.pick(list(CODECS))] if dice(0.3) else []
    flags += ["--max-holes", dice.pick([0.01, 1, 10, 50])] if dice(0.15) else []
    flags += ["--stereo", dice.pick(list(LAYOUTS))] if dice(0.15) else []
    flags += ["--depth-kind", dice.pick(["depth", "disparity"])] if dice(0.2) else []
    for flag, chance in (
        ("--dolly", 0.15),
        ("--2d", 0.15),
        ("--autozoom", 0.15),
        ("--write-frames", 0.15),
        ("--write-depth", 0.15),
        ("--preview", 0.15),
        ("--matte", 0.15),
        ("--save-disparity", 0.15),
        ("--quiet", 0.2),
        ("--dry-run", 0.05),
    ):
        flags += [flag] if dice(chance) else []
    names = [f"scene{suffix}" for suffix in EXPORTERS if dice(0.5)] if dice(0.15) else []
    return flags + (["--export", *names] if names else [])


def draw_names(dice, folder, count):
    """Return paths for photos, some of them called as our results are."""
    names = [f"photo{i}.png" for i in range(count)]
    if dice(0.5):
        names[0] = dice.pick(TAKEN_NAMES)
    photos = [folder / name for name in names]
    for photo in photos:
        photo.parent.mkdir(exist_ok=True)
    return photos


def draw_out(dice, photos, folder):
    """Return --out: a folder beside or among the inputs, or for one photo a film in it."""
    among = [folder, photos[0].parent, folder / "maps"]
    out = dice.pick(among) if dice(0.6) else folder / "out"
    if len(photos) == 1 and dice(0.4):
        suffix = ".gif" if dice(0.4) else dice.pick(list(CODECS_BY_SUFFIX))
        out = out / "film" if out.is_dir() else out
        return out.with_suffix(suffix)
    return out


def contents(folder):
    """{path: content, None of a folder} of all that is there."""
    return {
        path: None if path.is_dir() else path.read_bytes() for path in sorted(folder.rglob("*"))
    }


def value_of(flags, name, otherwise=None):
    return flags[flags.index(name) + 1] if name in flags else otherwise


def run_once(number, folder):
    """Make one random run and check what came out.

    Returns:
        str: the command line and its status, for the log.
    """
    dice, places = Dice(number), Dice([number, 1])
    photos = draw_names(places, folder, 2 if dice(0.1) else 1)
    sizes = [draw_photo(dice, photo) for photo in photos]
    flags = draw_flags(dice, sizes[0])
    bad = dice(0.2)
    flags += dice.pick(BAD_FLAGS) if bad else []
    maps = folder / "maps"
    if "--2d" not in flags and dice(0.8):
        maps.mkdir()
        for photo, size in zip(photos, sizes, strict=True):
            draw_depth(dice, size, maps / f"{photo.stem}.npy")
        flags += ["--depth", maps]
    if places(0.3):  # somebody else's
        (folder / "notes.txt").write_text("mine")
    out = draw_out(places, photos, folder)
    before = contents(folder)
    command = ["--in", *photos, "--out", out, *flags, "--json"]
    said, complaints = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complaints):
        try:
            status = kbe.main(list(map(str, command)))
        except SystemExit as exit_:  # argparse
            status = exit_.code
    log = f"run {number}: kbe.py {' '.join(map(str, command))}\n{status}\n{complaints.getvalue()}"
    assert "Traceback" not in complaints.getvalue(), log
    assert not list(folder.rglob(".partial*")), log
    after = contents(folder)
    assert {path: after.get(path) for path in before} == before, f"something was changed\n{log}"
    made = after.keys() - before.keys()
    if status == 2:
        assert "error" in complaints.getvalue() and not made and not said.getvalue(), log
        return log
    if status == 1 and any(refusal in complaints.getvalue() for refusal in REFUSALS):
        return log
    assert status == 0 and not bad, log
    results = [json.loads(line) for line in said.getvalue().splitlines()]
    assert [result["photo"] for result in results] == list(map(str, photos)), log
    if "--dry-run" in flags:
        assert not made, log
        return log
    for result in results:
        check_film(result, flags, made, log)
    return log


def check_film(result, flags, made, log):
    """Decode a film; compare it with what was asked for and what was said."""
    info = probe(result["video"])
    fps = Fraction(value_of(flags, "--fps")).limit_denominator(1001)
    asked = round(float(value_of(flags, "--duration")) * fps)
    if value_of(flags, "--loop") != "none":
        asked -= asked % 2  # there and back takes an even number
    assert info.frames == result["frames"] == asked, log
    assert info.size == (result["height"], result["width"]), log
    if "--size" in flags:
        width, height = map(int, value_of(flags, "--size").split("x"))
        layout = LAYOUTS.get(value_of(flags, "--stereo"), Layout(""))
        assert info.size == (layout.down * height, layout.across * width), log
    if not result["video"].endswith(".gif"):  # which counts in hundredths of a second
        assert abs(float(info.fps) / float(fps) - 1) < 2e-3, log
    assert read_metadata(result["video"])["fingerprint"], log
    for flag, name in (
        ("--preview", "preview.png"),
        ("--save-disparity", "disparity.npy"),
        ("--write-frames", "frames"),
        ("--write-depth", "depth"),
        *((f"scene{suffix}", f"scene{suffix}") for suffix in EXPORTERS),
    ):
        found = made & set(Path(result["video"]).parent.glob(f"*{name}"))
        assert bool(found) == (flag in flags), f"{name}\n{log}"


@pytest.mark.parametrize("number", range(40))
def test_a_random_run_keeps_its_promises(number, tmp_path):
    run_once(number, tmp_path)


@pytest.mark.slow
def test_two_thousand_random_runs_keep_their_promises(tmp_path):
    run_many(range(2000), tmp_path)


def run_many(numbers, folder):
    """Make the runs of these numbers; fail with all that broke a promise."""
    broken, statuses, start = [], {}, time.perf_counter()
    for number in numbers:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            try:
                status = run_once(number, Path(place)).splitlines()[1]
            except Exception as error:  # also those that kbe.main let through
                broken.append(f"run {number}: {type(error).__name__}: {error}")
                print(broken[-1], file=sys.stderr, flush=True)
                status = "broken"
        statuses[status] = statuses.get(status, 0) + 1
    print(f"{time.perf_counter() - start:.0f} s, runs by exit status: {statuses}", file=sys.stderr)
    assert not broken, "\n\n".join(broken)


if __name__ == "__main__":
    first, last = (int(sys.argv[1]), int(sys.argv[-1]) + 1)
    run_many(range(first, last), None)
