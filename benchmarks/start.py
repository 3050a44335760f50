"""What the start of a film is made of, before its photo is read.

    python -m benchmarks.start [--runs 5] [--modules 12]

Runs `kbe.py --dry-run` on the example: without any measuring for the CPU and wall seconds of the
whole (medians), then with Python's own `-X importtime` for the shares of packages and the modules
that take longest themselves. Importing is measured by the clock, so quote the shares on a quiet
machine only.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

ROOT = Path(__file__).resolve().parents[1]
COMMAND = ("kbe.py", "--in", "images/example.jpg", "--out", "results", "--dry-run", "--quiet")
LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| +([\w.]+)$", re.MULTILINE)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--modules", type=int, default=12, help="how many to list")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    args = parser.parse_args()
    runs = [timed() for _ in range(args.runs)]
    alone = import_times(start("-X", "importtime").stderr)
    report = {
        "cpu": statistics.median(cpu for cpu, _ in runs),
        "wall": statistics.median(wall for _, wall in runs),
        "packages": dict(packages(alone).most_common()),
        "modules": dict(alone.most_common(args.modules)),
    }
    print(
        f"a dry run: {report['cpu']:.2f} s CPU, {report['wall']:.2f} s ({args.runs} runs, median)"
    )
    whole = sum(alone.values())
    print(f"imports with -X importtime: {whole:.2f} s")
    for title in ("packages", "modules"):
        print(f"{title}:")
        for name, seconds in list(report[title].items())[: args.modules]:
            print(f"  {name:40} {seconds:7.3f} s {seconds / whole:6.1%}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


def start(*options):
    return subprocess.run(
        [sys.executable, *options, *COMMAND],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def timed():
    """CPU and wall seconds of one start."""

    def used():
        usage = resource and resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime if usage else float("nan")

    cpu, wall = used(), time.perf_counter()
    start()
    return used() - cpu, time.perf_counter() - wall


def import_times(told):
    """Counter of the seconds that each module took itself, of what -X importtime tells."""
    alone = Counter()
    for own, _, name in LINE.findall(told):
        alone[name] += int(own) / 1e6
    return alone


def packages(alone):
    """The same by package."""
    sums = Counter()
    for name, seconds in alone.items():
        sums[name.partition(".")[0]] += seconds
    return sums


if __name__ == "__main__":
    main()
