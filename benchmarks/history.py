"""What the benchmarks say, week after week: runs them, keeps their figures, tells what moved.

    python -m benchmarks.history [--data DATA] [--only surfaces edges] [--folder FOLDER]

Each benchmark runs as a process of its own; the means of its figures go into one file,
`benchmarks/history/DATE_COMMIT.json`. A table names the figures that moved since the newest record
before and since the oldest one: a drift of a percent a week shows only against the latter. What is
good may move by 2 %, what costs time (those of pipeline and render) by 10 %, and that is compared
with records of the same kind of machine alone. Status 1 says that something moved since the newest.

Those that judge against photographs need --data, a folder with `val/` and `strong/` as
benchmarks/depth.py and benchmarks/outlines.py read them; without it they are left out, and said.
"""

import argparse
import datetime
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.folders import run_telling
from utils.files import complete_or_absent

ROOT = Path(__file__).resolve().parents[1]
KEPT = Path(__file__).with_name("history")
ESTIMATION = "models/bundled/disparity-estimation.safetensors"
GOOD, COST = 0.02, 0.10  # by how much a figure may move; times of equal runs differ by up to 8 %
NO_FIGURES = {"load", "cores", "threads"}  # what a benchmark says of its circumstances
LEAST = 1e-3  # figures below it are compared as if they were it: 0.0002 % and 0.0003 % are one


class Benchmark(NamedTuple):
    """One run of a benchmark; DATA in its arguments stands for the folder of --data."""

    module: str
    arguments: tuple[str, ...] = ()
    costs: bool = False


BENCHMARKS = {
    "surfaces": Benchmark("surfaces", ("--moves", "zoom-in", "right", "orbit")),
    "edges": Benchmark("edges"),
    "flicker": Benchmark("flicker"),
    "pipeline": Benchmark("pipeline", ("--runs", "5"), costs=True),
    "render": Benchmark("render", costs=True),
    "edges-stereo": Benchmark("edges", ("--stereo", "DATA/val/stereo")),
    "inpainting": Benchmark("inpainting", ("--stereo", "DATA/val/stereo")),
    "depth": Benchmark("depth", ("--val", "DATA/val", "--strong", "DATA/strong", "--refine",
                                 "models/bundled/disparity-refinement.safetensors",
                                 "--weights", ESTIMATION)),
    "outlines": Benchmark("outlines", ("--val", "DATA/val", "--strong", "DATA/strong",
                                       "--ways", "aligned")),
}  # fmt: skip


def figures_of(found: object, name: str = "") -> Iterator[tuple[str, float]]:
    """Every figure of a benchmark's JSON, by its path of names.

    Lists stand for repeated runs, of which the median counts, or hold one dict per film, named by
    its `film`; of what `benchmarks.depth.report` writes, the means are taken.
    """
    if isinstance(found, dict):
        if "images" in found and "mean" in found:
            found = found["mean"]
        for key, value in found.items():
            if key in NO_FIGURES:
                continue
            yield from figures_of(value, f"{name}/{key}" if name else key)
    elif isinstance(found, list) and all(isinstance(entry, dict) for entry in found):
        if all("film" in entry for entry in found):
            yield from figures_of({entry["film"]: entry for entry in found}, name)
        elif found:
            shared = set.intersection(*(set(entry) for entry in found))
            for key in sorted(shared):
                values = [entry[key] for entry in found]
                if all(is_figure(value) for value in values):
                    yield f"{name}/{key}", float(statistics.median(values))
    elif is_figure(found):
        yield name, float(found)  # type: ignore[arg-type]


def is_figure(value: object) -> bool:
    """Whether it is a number that can be compared."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def run(benchmark: Benchmark, data: Path | None) -> dict[str, float]:
    """Run one benchmark; return its figures.

    Raises:
        ValueError: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "figures.json"
        arguments = [argument.replace("DATA", str(data), 1) if argument.startswith("DATA")
                     else argument for argument in benchmark.arguments]  # fmt: skip
        module = f"benchmarks.{benchmark.module}"
        command = [sys.executable, "-m", module, *arguments, "--json", str(told)]
        if status := subprocess.run(command, cwd=ROOT).returncode:
            raise ValueError(f"{module}: ended with status {status}.")
        return dict(figures_of(json.loads(told.read_text(encoding="utf-8"))))


def machine() -> str:
    """What the times are of: processor and cores."""
    from llvmlite import binding

    return f"{platform.system()}, {binding.get_host_cpu_name()}, {os.cpu_count()} cores"


def records(folder: Path) -> list[dict]:
    """Records of a folder, oldest first; their names begin with their dates."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


def moved(now: dict, before: dict) -> list[tuple[str, str, float, float]]:
    """Figures that differ by more than they may: rows (benchmark, figure, before, now)."""
    rows = []
    for name, figures in now["figures"].items():
        costs = BENCHMARKS[name].costs
        if costs and now["machine"] != before["machine"]:
            continue
        for figure, value in figures.items():
            old = before["figures"].get(name, {}).get(figure)
            if old is None:
                continue
            span = (COST if costs else GOOD) * max(abs(old), LEAST)
            if abs(value - old) > span:
                rows.append((name, figure, old, value))
    return rows


def print_moved(title: str, rows: list[tuple[str, str, float, float]]) -> None:
    """Print one line per figure that moved."""
    print(f"{title}: {len(rows)} figures moved")
    for name, figure, old, value in rows:
        ratio = f"{value / old:8.3f} x" if old else ""
        print(f"  {name:13s} {figure:60s} {old:12.5g} -> {value:<12.5g}{ratio}")


def commit() -> str:
    """Short name of the commit that is checked out, with + where files differ from it."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    """Run, keep, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with val/ and strong/")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS))
    parser.add_argument("--folder", type=Path, default=KEPT, help="where records are kept")
    options = parser.parse_args()
    if options.data and not options.data.is_dir():
        raise ValueError(f"{options.data}: there is no such folder.")
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    now: dict = {"date": day, "commit": commit(), "machine": machine(), "figures": {}}
    for name in options.only:
        benchmark = BENCHMARKS[name]
        if not options.data and any("DATA" in word for word in benchmark.arguments):
            print(f"{name}: left out, for it needs --data", flush=True)
            continue
        now["figures"][name] = run(benchmark, options.data and options.data.resolve())
    earlier = records(options.folder)
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / f"{day}_{now['commit'].rstrip('+')}.json"
    with complete_or_absent(path) as temporary:
        temporary.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {sum(map(len, now['figures'].values()))} figures")
    if not earlier:
        return 0
    print_moved(f"since {earlier[0]['date']}, {earlier[0]['commit']}", moved(now, earlier[0]))
    recent = moved(now, earlier[-1])
    print_moved(f"since {earlier[-1]['date']}, {earlier[-1]['commit']}", recent)
    return 1 if recent else 0


if __name__ == "__main__":
    run_telling(main)
