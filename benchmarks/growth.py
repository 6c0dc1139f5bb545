"""`python -m benchmarks.growth`: time and memory from a thousand curves to a million.

    python -m benchmarks.growth [--up-to 1000000] [--embed-up-to 1000000]

Simulated light curves of 50 observations in a CSV go through `astromer convert`, and
the records through `astromer embed` with a small model, each in a process of its own.
Writes
`growth.json`, `growth.md` and `growth.png` beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks.data import write_table
from benchmarks.machine import describe_machine, describe_versions
from benchmarks.report import describe
from benchmarks.timing import run_astromer

__all__ = ["draw", "main", "to_markdown"]

HERE = Path(__file__).parent
LENGTH: Final = 50
"""Observations per light curve."""
SMALLEST: Final = 1_000
STEP: Final = 10 ** (1 / 2)
COLUMNS = ("Command", "Light curves", "Seconds", "Light curves/s", "Peak [MiB]")


def sizes(largest: int) -> list[int]:
    """Return numbers of light curves, two per decade, up to the largest."""
    found = []
    size = float(SMALLEST)
    while round(size) <= largest:
        found.append(round(size, -2) if size > SMALLEST else round(size))
        size *= STEP
    return [int(number) for number in found]


def measure(
    num_curves: int, preset: Path, work: Path, *, verbs: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Convert so many light curves, and embed the records if they are few enough."""
    table, records, out = work / "curves.csv", work / "records", work / "out.parquet"
    write_table(table, num_curves, LENGTH)
    for verb in verbs:
        if verb == "convert":
            process = run_astromer("convert", "table", table, "--out", records)
        else:
            process = run_astromer("embed", preset, records, "--out", out)
            out.unlink()
        yield {
            "command": verb,
            "light_curves": num_curves,
            "seconds": round(process.seconds, 2),
            "peak_mib": process.peak_mib,
            "load_average": round(os.getloadavg()[0], 2),
        }
    table.unlink()
    shutil.rmtree(records)


def make_preset(folder: Path) -> Path:
    """Save a small model with new weights: growth does not depend on its size."""
    from astromer import Astromer, EncoderConfig

    config = EncoderConfig(
        num_layers=1, num_heads=2, head_dim=16, intermediate_dim=32, window_size=LENGTH
    )
    Astromer(config, seed=0).save_pretrained(folder)
    return folder


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plot seconds and peak memory against the number of light curves."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for verb, marker in (("convert", "o"), ("embed", "s")):
        own = [row for row in rows if row["command"] == verb]
        number = [row["light_curves"] for row in own]
        for axis, key in zip(axes, ("seconds", "peak_mib"), strict=True):
            axis.plot(number, [row[key] for row in own], marker=marker, label=verb)
    longest = max(rows, key=lambda row: row["light_curves"])
    ends = [SMALLEST, longest["light_curves"]]
    line = [longest["seconds"] * end / ends[1] for end in ends]
    axes[0].plot(ends, line, ":", color="gray", label="proportional")
    axes[0].set(xscale="log", yscale="log", ylabel="Time [s]")
    axes[1].set(xscale="log", ylabel="Peak memory [MiB]", ylim=(0, None))
    for axis in axes:
        axis.set_xlabel("Light curves")
        axis.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def to_markdown(report: Mapping[str, Any]) -> str:
    """Return a report as a page."""
    lines = [
        "# Time and memory from a thousand light curves to a million",
        "",
        describe(report),
        "",
        (
            f"Simulated light curves of {LENGTH} observations in one CSV to records, and the "
            "records to Parquet; the start of Python is included. `embed` runs a small model of "
            f"{report['num_parameters']:,} parameters, new weights. Peak memory is that "
            "of the process, without pages of files."
        ),
        "",
        "![Time and peak memory against the number of light curves](growth.png)",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {row['command']} | {row['light_curves']:,} | {row['seconds']:,.1f} "
            f"| {row['light_curves'] / row['seconds']:,.0f} | {row['peak_mib']:,} |"
            for row in report["results"]
        ),
    ]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write all three files."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--up-to", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--embed-up-to", type=int, default=1_000_000, metavar="N")
    parser.add_argument(
        "--out", type=Path, default=HERE / "growth.json", metavar="FILE"
    )
    arguments = parser.parse_args(argv)
    console = Console(highlight=False)
    report: dict[str, Any] = {
        "command": "python -m benchmarks.growth",
        "machine": describe_machine(),
        "versions": describe_versions(),
        "results": [],
    }
    with tempfile.TemporaryDirectory(prefix="astromer-growth-") as folder:
        work = Path(folder)
        preset = make_preset(work / "small")
        metadata = json.loads((preset / "metadata.json").read_text(encoding="utf-8"))
        report["num_parameters"] = metadata["num_parameters"]
        for number in sizes(arguments.up_to):
            verbs = ["convert", "embed"][: 1 + (number <= arguments.embed_up_to)]
            for row in measure(number, preset, work, verbs=verbs):
                report["results"].append(row)
                console.print(
                    f"{row['command']} {number:,}: {row['seconds']} s, "
                    f"{row['peak_mib']:,} MiB"
                )
    report["results"].sort(key=lambda row: row["command"])
    out = arguments.out
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(to_markdown(report), encoding="utf-8")
    draw(report["results"], out.with_suffix(".png"))
    console.print(f"Wrote {out} and the page and the picture beside it")


if __name__ == "__main__":
    main()
