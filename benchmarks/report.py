"""Results as tables: on the terminal, as Markdown, and two runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from benchmarks.speed import CEILINGS

__all__ = ["compare", "describe", "result_table", "to_markdown"]

Result = Mapping[str, Any]
COLUMNS = ("Measured", "Median", "Repeats", "Share", "of", "Target", "Peak [MiB]")


def describe(report: Mapping[str, Any]) -> str:
    """Say on what machine and with what versions, in a sentence."""
    machine = report["machine"]
    versions = ", ".join(f"{name} {what}" for name, what in report["versions"].items())
    load = machine["load_average"][0]
    return (
        f"`{report['command']}`; {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, load average {load} before; {versions}."
    )


def cells(row: Result) -> list[str]:
    """Return a result's cells of `COLUMNS`."""
    low, high = min(row["values"]), max(row["values"])
    target = ""
    if row["target"] is not None:
        share = row["target_of"] == "share"
        wanted = f"{row['target']:.2f}" if share else _bare(row["target"])
        target = f"{wanted}, {'met' if row['met'] else 'missed'}"
    return [
        row["name"],
        _number(row["median"], row["unit"]),
        f"{_bare(low)} to {_bare(high)}",
        "" if row["share"] is None else f"{row['share']:.2f}",
        row["ceiling_name"],
        target,
        "" if row["peak_mib"] is None else f"{row['peak_mib']:,}",
    ]


def result_table(rows: Sequence[Result]) -> Table:
    """Return results as a table for the terminal."""
    table = Table(*COLUMNS)
    for row in rows:
        table.add_row(
            *map(Text, cells(row)), style="red" if row["met"] is False else ""
        )
    return table


def to_markdown(report: Mapping[str, Any]) -> str:
    """Return a report as a page."""
    lines = [
        "# Speed against the machine's own limits",
        "",
        describe(report),
        "",
        (
            "Medians over repeats, and the least and largest of them. A share of 1 is the "
            "limit that was measured right before and after, a median as well: shares hold "
            "where a shared machine's speed drifts. A target is a share, or absolute. Peak "
            "memory is that of the process and its children, without pages of files."
        ),
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---|---:|---:|---:|---|---|---:|",
        *(f"| {' | '.join(cells(row))} |" for row in report["results"]),
        "",
        *(
            f"- {name}: {CEILINGS[name]}"
            for name in dict.fromkeys(row["ceiling_name"] for row in report["results"])
            if name
        ),
    ]
    return "\n".join(lines) + "\n"


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> Table:
    """Return how much faster the second run is, absolutely and by its ceilings.

    Parameters
    ----------
    first, second : mapping
        Reports, as they are stored.

    Returns
    -------
    table : rich.table.Table
        One row per measurement of either; a ratio above 1 is a gain.
    """
    table = Table("Measured", "First", "Second", "Speed", "Share of ceiling", "Memory")
    before = {row["name"]: row for row in first["results"]}
    after = {row["name"]: row for row in second["results"]}
    for name in [*before, *(name for name in after if name not in before)]:
        old, new = before.get(name), after.get(name)
        values = [
            _number(row["median"], row["unit"]) if row else "-" for row in (old, new)
        ]
        if old is None or new is None:
            table.add_row(name, *values, "-", "-", "-")
            continue
        speed = new["median"] / old["median"]
        if new["unit"] == "s":
            speed = 1 / speed
        memory = "-"
        if old["peak_mib"] and new["peak_mib"]:
            memory = f"{new['peak_mib'] / old['peak_mib']:.2f}"
        color = "green" if speed > 1.05 else "red" if speed < 0.95 else ""
        table.add_row(
            name,
            *values,
            f"[{color}]{speed:.2f}[/]" if color else f"{speed:.2f}",
            f"{new['share'] / old['share']:.2f}" if old["share"] else "-",
            memory,
        )
    return table


def _number(value: float, unit: str) -> str:
    return f"{_bare(value)} {unit}"


def _bare(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
