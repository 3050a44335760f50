"""Which of the tuned numbers move anything? Each at half and at twice its value.

    python -m benchmarks.constants --data DATA    # an hour of one core; goes on where it stopped
    python -m benchmarks.constants --list         # what is tuned, what is not, and how many
    python -m benchmarks.constants --table        # docs/method/constants.md, of what is known

Protocol:
* Numbers are the upper-case names that a module of ROOMS sets to a number, or to several. What is
  no tuning is named in FIXED, by kind; all others are tuned. These are tried, and those of effort.
* A number is tried at half and at twice its value (whole ones rounded, and by one at least), in a
  process of its own where every module, default and compiled kernel that knows it sees the other
  value (benchmarks/constant_trials.py). Only the stage that it belongs to is run again, on a few
  small photographs and drawings of which the stages before are known.
* Figures are those of the benchmarks of that name: outlines, straight, phone_depth, planning,
  edges, inpainting, surfaces. GRAINS says from where on a change counts. `picture` is the mean
  difference of what the stage makes, in grey levels of 255: 0 where nothing moves at all.
"""

import argparse
import ast
import json
import math
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("utils/scene", "utils/camera", "utils/depth", "kernels")
TABLE = ROOT / "docs" / "method" / "constants.md"

# What is no tuning: other values would be wrong, not worse.
FIXED: dict[str, dict[str, str]] = {
    # What a file's bytes mean, and how we lay out our own.
    "format": {
        "utils/camera/projection.py": "BASELINE",
        "utils/depth/embedded.py": "INVERSE_Z DISPARITY LINEAR_Z CURVED_DISPARITY",
        "utils/depth/kept.py": "FORMAT",
        "utils/depth/map_files.py": "FULL_SCALE",
        "utils/depth/map_kind.py": "NO_READING",
        "utils/depth/two_eyes.py": "LEVEL ON_ITS_SIDE",
        "utils/scene/stereo.py": "DUBOIS",
        "utils/scene/view_depth.py": "FARTHEST_DEPTH LARGEST_NUMBER PER_E",
    },
    # Marks: any other free value does the same.
    "mark": {
        "kernels/constants.py": "RIM_FULL RIM_SHARED",
        "kernels/cpu.py": "DROPPED",
        "kernels/cpu_fill.py": "OUTSIDE KNOWN UNMEASURED FAR NEVER",
        "kernels/patches.py": "NOTHING",
        "utils/camera/path.py": "NO_LENS",
        "utils/scene/edge_sides.py": "FRONT BACK",
    },
    # Geometry and arithmetic.
    "geometry": {
        "kernels/constants.py": "WEIGHT_ONE FULL",
        "kernels/cpu_fill.py": "DIRECTIONS STRAIGHT",
        "kernels/cpu_sums.py": "HIGH_WORD LOW_HALF WORD WIDE",
        "kernels/cpu_rims.py": "WORDS",
        "kernels/hashing.py": "GOLDEN",
        "kernels/patches.py": "SIDE ROW NEIGHBOURS WHOLE",
        "utils/camera/planning.py": "THIRDS",
        "utils/scene/closing.py": "TENT",
        "utils/scene/edges.py": "SQRT2",
        "utils/scene/filling.py": "_ANGLES",
        "utils/scene/quilting.py": "CORNERS",
        "utils/scene/rims.py": "LOCAL_WEIGHTS",
    },
    # Memory, threads, waiting: they move time, never a frame. And what keeps from dividing by 0, or
    # rounding from showing.
    "machine": {
        "kernels/constants.py": "NEAR_PLANE GUARD COVERAGE_THRESHOLD OVERLAP",
        "kernels/cpu.py": "CHANNEL_GROUP TOGETHER",
        "kernels/cpu_frame.py": "BLOCK",
        "kernels/cuda.py": "THREADS",
        "kernels/threads.py": "FRAME_BYTES",
        "utils/depth/embedded.py": "MOST_PIXELS",
        "utils/depth/estimators.py": "HUB_S LARGEST_DISPARITY",
        "utils/depth/map_files.py": "LISTED",
        "utils/depth/maps.py": "SETTLED_NS",
        "utils/scene/levels.py": "LEAST SEED",
        "utils/camera/planning.py": "BATCH",
    },
    # How finely something is looked at, or on how large a copy: more would take longer, and change
    # next to nothing. They are tried, too, as that might be wrong.
    "effort": {
        "kernels/constants.py": "WIDEST_FOOTPRINT",
        "utils/camera/path.py": "LOOKS VIEWS",
        "utils/camera/shortening.py": "TIMES PRECISION",
        "utils/camera/staging.py": "MEASURED_SIDE",
        "utils/camera/subject.py": "LEVELS",
        "utils/camera/trials.py": "SEARCH_SIDE",
        "utils/depth/eye_rows.py": "MOST_POINTS TRIPLES MATCH_SIDE AXIS_SIDE",
        "utils/depth/joining.py": "FIT_ROUNDS",
        "utils/depth/sharpening.py": "BINS",
        "utils/depth/outlines.py": "CELLS",
        "utils/depth/straight.py": "WORKING_SIDE EVERY SOWN_PX",
        "utils/depth/two_eyes.py": "WIDEST_SEARCH",
        "utils/scene/closing.py": "MOST_PARTS BORDER_BEYOND",
        "utils/scene/cloud.py": "INPAINT_PIXELS",
        "utils/scene/quilting.py": "TRIES",
    },
    # From papers and the reference.
    "published": {
        "utils/camera/autozoom.py": "ZOOM CANDIDATES REACH",
        "utils/camera/focus.py": "BORDER_SHARE",
        "kernels/constants.py": "TOLERANCE",
        "utils/camera/path.py": "OVERSHOOT",
        "utils/depth/eye_rows.py": "LOWE",
        "utils/depth/joining.py": "OUTLIER",
    },
}


class Number(NamedTuple):
    """An upper-case name of a module that stands for a number, or for several."""

    file: str  # from ROOT, with slashes
    name: str
    kind: str  # "tuned", or that of FIXED
    value: str  # as the code has it

    @property
    def key(self):
        """How records name it."""
        return f"{self.file}:{self.name}"

    @property
    def told(self):
        """Its value, as the table has it."""
        return re.sub(r"np\.float32\((.*)\)", r"\1", self.value)


def numbers(root=ROOT):
    """All Numbers of the four rooms, in order."""
    kinds = {
        (file, name): kind
        for kind, files in FIXED.items()
        for file, names in files.items()
        for name in names.split()
    }
    found = []
    for room in ROOMS:
        for path in sorted((root / room).glob("*.py")):
            file = path.relative_to(root).as_posix()
            for name, value in _names(ast.parse(path.read_text(encoding="utf-8"))):
                found.append(Number(file, name, kinds.get((file, name), "tuned"), value))
    return found


def tuned(root=ROOT):
    """The Numbers that are tuned."""
    return [number for number in numbers(root) if number.kind == "tuned"]


def tried(root=ROOT):
    """The Numbers that are tried: those that are tuned, and those of effort."""
    return [number for number in numbers(root) if number.kind in ("tuned", "effort")]


def _names(tree):
    """(upper-case name, code of its value) of all that a module sets to numbers."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                names = [target] if isinstance(target, ast.Name) else getattr(target, "elts", [])
                values = [node.value] if len(names) == 1 else getattr(node.value, "elts", [])
                if len(values) != len(names):
                    values = [node.value] * len(names)
                if all(isinstance(each, ast.Name) and each.id.isupper() for each in names):
                    if _holds_number(node.value):
                        for each, value in zip(names, values, strict=True):
                            yield each.id, ast.unparse(value)


def _holds_number(value):
    """Whether an expression is made of numbers."""
    if isinstance(value, ast.Constant):
        return isinstance(value.value, int | float) and not isinstance(value.value, bool)
    if isinstance(value, ast.Tuple | ast.List):
        return any(_holds_number(part) for part in value.elts)
    if isinstance(value, ast.UnaryOp):
        return _holds_number(value.operand)
    if isinstance(value, ast.BinOp):
        return _holds_number(value.left) or _holds_number(value.right)
    return isinstance(value, ast.Call) and any(_holds_number(part) for part in value.args)


# Which stages of benchmarks/constant_trials.py a file's numbers are tried on: the first that fits.
STAGES = {
    "utils/depth/map": (),  # what formats mean: tests
    "utils/depth/embedded": (),
    "utils/depth/eye": ("eyes",),
    "utils/depth/two_eyes": ("eyes",),
    "utils/depth/pairs": (),
    "utils/depth/joining": ("phone",),
    "utils/depth/own": ("phone",),
    "utils/depth/estimators": ("depth", "phone"),
    "utils/depth/steps": ("depth", "scene"),
    "utils/depth": ("depth",),
    "utils/camera": ("plan",),
    "utils/scene/stereo": ("shown",),
    "utils/scene/view_depth": ("shown",),
    "utils/scene/second_eye": (),
    "utils/scene/small": ("plan",),
    "": ("scene",),
}
TIMES = {"half": 0.5, "twice": 2.0}
# From where on a figure has moved: its own unit, or a share of it.
GRAINS = {"psnr": 0.03, "ssim": 0.001}
GRAIN = 0.01
CLEAR = 3  # grains: a figure that moves by more needs no second look


def stages_of(number):
    """Stages of a Number."""
    return next(stages for part, stages in STAGES.items() if number.file.startswith(part))


def grain(figure, usual):
    """From where on a figure has moved."""
    name = figure.rpartition(".")[2].partition("_")[0]
    return GRAINS.get(name, max(GRAIN * abs(usual), 1e-4))


def largest_move(moved, usual):
    """(figure, difference, how many grains) of what moved most; None if nothing did."""
    figures = {name: by for name, by in moved.items() if name in usual}
    if not figures:
        return None
    name = max(figures, key=lambda each: abs(figures[each]) / grain(each, usual[each]))
    return name, figures[name], abs(figures[name]) / grain(name, usual[name])


def try_all(data, path, only=()):
    """Try every tuned number that is not tried at its value yet; write after each trial.

    First at half; then at twice, first those of which half moves little: they may not be needed.
    """
    from benchmarks.constant_trials import Trials

    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known_of, usual = record.setdefault("numbers", {}), record.setdefault("usual", {})
    trials = Trials(data)
    chosen = sorted(tried(), key=lambda each: order_of(each, only))
    chosen = [
        each for each in chosen if stages_of(each) and order_of(each, only) < len(only or "1")
    ]
    for clear, side in ((math.inf, "half"), (CLEAR, "twice"), (math.inf, "twice")):
        for number in chosen:
            value = repr(trials.value(number))
            if known_of.get(number.key, {}).get("value") != value:
                known_of[number.key] = {"value": value}
            known = known_of[number.key]
            most = largest_move(known.get("half", {}), usual)
            if side in known or (most and most[2] > clear):
                continue
            for stage in stages_of(number):
                figures = trials.usual(stage)[0]
                usual |= {f"{stage}.{name}": of for name, of in figures.items()}
            known[side] = trials.moved(number, TIMES[side], stages_of(number))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record, indent=1), encoding="utf-8")
            print(number.key, value, side, told(known[side], usual), sep=" | ", flush=True)


def order_of(number, first):
    """Files asked for in their order; others come after them."""
    return next((at for at, part in enumerate(first) if number.file.startswith(part)), len(first))


def told(moved, usual):
    """What a trial found, in a few words."""
    if "error" in moved:
        return f"fails ({moved['error'][:60]})"
    most = largest_move(moved, usual)
    if not moved["picture"] and not most:
        return "nothing"
    if most is None or most[2] < 1:
        return f"no figure; picture {moved['picture']:.2g}"
    name, by, _ = most
    return f"{name.partition('.')[2]} {usual[name]:.3g} {by:+.2g}; picture {moved['picture']:.2g}"


def table(record, before=""):
    """docs/method/constants.md of a record of trials.

    Args:
        record: as of `try_all`.
        before: the table as it was, for numbers that the record lacks and that are as they were.
    """
    kept = {tuple(of): cells for *of, cells in rows(before)}
    lines, file = [HEAD], None
    for number in tried():
        if number.file != file:
            file = number.file
            lines += ["", f"## {file}", "", "| number | value | half of it | twice as much |"]
            lines.append("|---" * 4 + "|")
        found = record.get("numbers", {}).get(number.key, {})
        cells = kept.get((number.file, number.name, number.told), ["not tried"] * len(TIMES))
        sides = [
            told(found[side], record["usual"]) if side in found else cell
            for side, cell in zip(TIMES, cells, strict=True)
        ]
        lines.append(" | ".join(["| " + f"`{number.name}`", number.told, *sides]) + " |")
    return "\n".join(lines) + "\n"


def rows(text):
    """(file, name, value, cells of trials) of each line of such a table."""
    found, file = [], ""
    for line in text.splitlines():
        if line.startswith("## "):
            file = line[3:]
        elif line.startswith("| `"):
            name, value, *cells = line.strip("| ").split(" | ")
            found.append((file, name.strip("`"), value, cells))
    return found


HEAD = """# Tuned numbers

Written by `python -m benchmarks.constants --table`; its docstring says what was tried, and on what.
A cell names the figure that moves most, what it is, and by how much it changes: `psnr`, `ssim`
(larger is better), `gradient` (1 is best), `gram`, `features`, `disparity`: rims and inpainting;
`dbe`, `ordinal`, `bend`, `torn`, `dragged`: outlines; `right`,
`orbit`, `zoom-in`, `bent`: straight lines; `off`: a phone's map (smaller is better, all of them);
`parallax`, `invented`: the camera.
`picture` is how far what is made differs, in levels of 255. Where no figure moves by a hundredth
(PSNR: 0.03 dB, SSIM: 0.001), a number is chosen by eye, or for what these few pictures do not hold.
What is not tried yet was chosen as its comment or its page says, else by eye."""


def main():
    """Try, list or tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with val/, strong2/ and measured/")
    parser.add_argument("--only", nargs="+", default=[], help="files that begin so, in this order")
    parser.add_argument("--json", type=Path, default=ROOT / "results" / "constants.json")
    parser.add_argument("--list", action="store_true", help="say what is tuned and what is not")
    parser.add_argument("--table", action="store_true", help="write docs/method/constants.md")
    options = parser.parse_args()
    if options.table:
        there = options.json.exists()
        record = json.loads(options.json.read_text(encoding="utf-8")) if there else {}
        TABLE.write_text(table(record, TABLE.read_text(encoding="utf-8")), encoding="utf-8")
    elif options.list:
        found = numbers()
        for number in found:
            print(f"{number.kind:10}{number.key}")
        print(f"{len(found)} numbers, {len(tuned())} of them tuned")
    elif options.data:
        try_all(options.data, options.json, options.only)
    else:
        raise SystemExit("Give --data, --list or --table.")


if __name__ == "__main__":
    main()
