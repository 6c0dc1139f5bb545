"""`python -m benchmarks`: the speed of every stage against the machine's own limits.

    python -m benchmarks [--quick] [--only NAME ...] [--out FILE.json]
    python -m benchmarks --compare A.json B.json

A whole run takes about ten minutes and writes `speed.json` and `speed.md` beside this
file; a part of it, or a quick one, is written where `--out` says.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import report, speed
from benchmarks.machine import describe_machine, describe_versions
from benchmarks.speed import ONLY_BY_NAME, Setting, run

__all__ = ["main"]

PIPE_WIDTH = 140
"""Columns of the tables where standard output is not a terminal."""
DEFAULT_OUT = Path(__file__).with_name("speed.json")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, or compare two results."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=list(speed.BENCHMARKS),
        metavar="NAME",
        help=f"run these alone: {', '.join(speed.BENCHMARKS)}; "
        f"{', '.join(sorted(ONLY_BY_NAME))} runs only so",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a twentieth of the work, once"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON to write")
    parser.add_argument(
        "--compare", nargs=2, type=Path, metavar="FILE", help="two results to compare"
    )
    arguments = parser.parse_args(argv)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    if arguments.compare:
        first, second = (
            json.loads(path.read_text(encoding="utf-8")) for path in arguments.compare
        )
        console.print(report.compare(first, second))
        return
    names = arguments.only or [
        name for name in speed.BENCHMARKS if name not in ONLY_BY_NAME
    ]
    given = sys.argv[1:] if argv is None else argv
    found: dict[str, Any] = {
        "command": shlex.join(["python", "-m", "benchmarks", *given]),
        "machine": describe_machine(),
        "versions": describe_versions(),
        "results": [],
    }
    for name in names:
        for measurement in run(name, Setting(quick=arguments.quick)):
            row = measurement.to_dict()
            row["load_average"] = round(os.getloadavg()[0], 2)
            found["results"].append(row)
            console.print("{}: {}".format(*report.cells(row)), markup=False)
    console.print(report.result_table(found["results"]))
    out = arguments.out
    if out is None and not (arguments.only or arguments.quick):
        out = DEFAULT_OUT
    if out is not None:
        out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        page = out.with_suffix(".md")
        page.write_text(report.to_markdown(found), encoding="utf-8")
        console.print(f"Wrote {out} and {page}")


if __name__ == "__main__":
    main()
