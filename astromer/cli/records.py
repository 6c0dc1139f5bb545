"""`astromer convert`, `inspect` and `verify`: survey files to records, and a look."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from astromer.cli import terminal
from astromer.cli.options import given_options, is_given
from astromer.errors import ConfigError
from astromer.progress import show_progress

if TYPE_CHECKING:
    from astromer.records import RecordsSummary

__all__ = ["convert", "inspect", "verify"]

DETECT = "auto"
"""Stands for a survey that is recognized from its files."""

EXIT_DIFFERENT = 1
"""Exit code of `verify` if records and manifest differ."""

UNKNOWN = "(unknown)"
"""Stands for light curves without a class or passband."""

QUANTITIES = {
    "num_observations": ("observations", 0),
    "cadence": ("median time step", 3),
    "duration": ("duration", 1),
    "mag_min": ("brightest", 2),
    "mag_max": ("faintest", 2),
}
"""Label and decimals of the manifest's quantities."""

CUTS = "Cuts"
RUN = "How it runs"

Folder = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", exists=True, file_okay=False, help="A folder of records."
    ),
]


def convert(
    context: typer.Context,
    survey: Annotated[
        str,
        typer.Argument(
            metavar="SURVEY",
            help="Format of the files: macho, atlas, ogle, ztf, asas_sn, gaia, table, "
            f"or {DETECT} to recognize it.",
        ),
    ],
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT", help="Files, folders or glob patterns."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the records.")],
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="TOML file with any of these options; flags win over it.",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="CSV or Parquet file with a class per object.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=NAME",
            help="Column of a table, e.g. time=mjd; may be repeated.",
        ),
    ] = None,
    file_passband: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Passband of files that do not name one."),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            metavar="NAME=SHARE,...", help="Splits by object, stratified by class."
        ),
    ] = "train=0.8,validation=0.1,test=0.1",
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the splits.")] = 0,
    objects_per_shard: Annotated[
        int, typer.Option(metavar="N", help="Most objects in one shard.")
    ] = 20_000,
    passband: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Keep this passband only; may be repeated.",
            rich_help_panel=CUTS,
        ),
    ] = None,
    min_observations: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Fewest observations of a light curve.",
            rich_help_panel=CUTS,
        ),
    ] = 5,
    max_error: Annotated[
        float,
        typer.Option(
            metavar="MAG", help="Largest uncertainty in mag.", rich_help_panel=CUTS
        ),
    ] = 1.0,
    clip_percentiles: Annotated[
        tuple[float, float],
        typer.Option(
            metavar="LOW HIGH",
            help="Keep magnitudes between these percentiles of a light curve; "
            "0 100 keeps all.",
            rich_help_panel=CUTS,
        ),
    ] = (1.0, 99.0),
    noise_filter: Annotated[
        Literal["off", "keep", "drop"],
        typer.Option(
            help="Whether to keep or drop light curves that skewness, kurtosis or "
            "scatter single out.",
            rich_help_panel=CUTS,
        ),
    ] = "off",
    jobs: Annotated[
        int, typer.Option(metavar="N", help="Processes.", rich_help_panel=RUN)
    ] = 1,
    rows_per_partition: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Rows in memory at once; larger inputs are partitioned on disk.",
            rich_help_panel=RUN,
        ),
    ] = 8_000_000,
    max_unreadable: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Largest share of files that cannot be read and are left out, by name; "
            "by default the first ends the conversion.",
            rich_help_panel=RUN,
        ),
    ] = 0.0,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            metavar="",
            help="Go on where an earlier run stopped.",
            rich_help_panel=RUN,
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            metavar="",
            help="Read and count, write nothing.",
            rich_help_panel=RUN,
        ),
    ] = False,
) -> None:
    """Write survey files as sharded TFRecords with a manifest.

    Every cut is counted and every rejected object is named in the manifest.
    """
    from astromer.records import convert as convert_records
    from astromer.records import parse_split, summarize_records

    values = {
        "labels": labels,
        "file_passband": file_passband,
        "objects_per_shard": objects_per_shard,
        "min_observations": min_observations,
        "max_error": max_error,
        "clip_percentiles": clip_percentiles,
        "noise_filter": noise_filter,
        "seed": seed,
        "jobs": jobs,
        "rows_per_partition": rows_per_partition,
        "max_unreadable": max_unreadable,
    }
    given = given_options(context, values)
    if passband:
        given["passbands"] = tuple(passband)
    if column:
        given["columns"] = dict(map(_column, column))
    if is_given(context, "split"):
        given["split"] = parse_split(split)
    start = time.monotonic()
    with show_progress() as progress:
        manifest = convert_records(
            None if survey == DETECT else survey,
            inputs,
            out,
            options=config,
            resume=resume,
            dry_run=dry_run,
            progress=progress,
            **given,
        )
    seconds = time.monotonic() - start
    summary = summarize_records(manifest)
    terminal.output(
        _split_table(summary),
        *_cut_tables(summary),
        *_label_notes(summary),
        f"{_conclusion(summary)} in {terminal.duration(seconds)} "
        f"({terminal.rate(manifest.rows_read, seconds, 'rows')}"
        + (
            "; a dry run, nothing was written)"
            if dry_run
            else f") in {escape(str(out))}"
        ),
    )


def _column(text: str) -> tuple[str, str]:
    """Read ``role=name``."""
    role, _, name = text.partition("=")
    if not role or not name:
        raise ConfigError(
            f'`--column` must be ROLE=NAME. Received: "{text}". Example: time=mjd.'
        )
    return role, name


def inspect(
    folder: Folder,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print JSON instead of tables.")
    ] = False,
) -> None:
    """Show what a folder of records holds: counts, lengths, cadence, cuts."""
    from astromer.records import summarize_records

    summary = summarize_records(folder)
    if as_json:
        typer.echo(json.dumps(summary.to_dict(), indent=2, ensure_ascii=False))
        return
    terminal.output(
        _split_table(summary),
        _count_table("class", summary, summary.classes, "class_name"),
        _count_table("passband", summary, summary.passbands, "passband"),
        _quantile_table(summary),
        *_cut_tables(summary),
        *_label_notes(summary),
        _conclusion(summary),
    )


def verify(folder: Folder) -> None:
    """Read every record again and compare with the manifest; exit 1 if they differ."""
    from astromer.records import summarize_records, verify_records

    start = time.monotonic()
    with show_progress() as progress:
        results = verify_records(folder, progress)
    failed = [result for result in results if not result.passed]
    if failed:
        table = terminal.make_table("Differences", ["check", "target", "found"])
        for result in failed:
            table.add_row(result.test, *map(Text, (result.target, result.description)))
        terminal.output(
            table,
            f"[bold red]{escape(str(folder))} differs from its manifest[/bold red]: "
            f"{len(failed)} of {terminal.counted(len(results), 'check')} failed",
        )
        raise typer.Exit(EXIT_DIFFERENT)
    seconds = time.monotonic() - start
    terminal.output(
        f"{_conclusion(summarize_records(folder))}: "
        f"[green]{terminal.counted(len(results), 'check')} passed[/green] "
        f"in {terminal.duration(seconds)}"
    )


def _split_table(summary: RecordsSummary) -> Table:
    columns = ["objects", "light curves", "observations", "shards", "size"]
    table = terminal.make_table(
        f"Records (survey: {summary.survey})", ["split", *columns], numeric=columns
    )
    last = len(summary.splits) - 1
    for number, row in enumerate([*summary.splits, {"split": "all", **summary.totals}]):
        counts = ("num_objects", "num_light_curves", "num_observations", "num_shards")
        table.add_row(
            row["split"],
            *(terminal.count(row[name]) for name in counts),
            # A dry run writes nothing and knows no sizes.
            terminal.size(row["bytes"]) if row["bytes"] else "-",
            end_section=number == last,
        )
    return table


def _count_table(
    kind: str, summary: RecordsSummary, rows: list[dict[str, Any]], key: str
) -> Table:
    """Light curves by class or passband (rows) and split (columns), with sums."""
    splits = [row["split"] for row in summary.splits]
    columns = [*splits, "all"]
    table = terminal.make_table(
        f"Light curves by {kind}", [kind, *columns], numeric=columns
    )
    for row in rows:
        numbers = [row[split] for split in splits]
        cells = map(terminal.count, [*numbers, sum(numbers)])
        table.add_row(Text(row[key] or UNKNOWN), *cells)
    return table


def _quantile_table(summary: RecordsSummary) -> Table:
    named = {"split", "quantity", "unit"}
    quantiles = [name for name in summary.quantiles[0] if name not in named]
    columns = [f"{100 * float(name):g} %" for name in quantiles]
    table = terminal.make_table(
        "Quantiles over light curves", ["quantity", "split", *columns], numeric=columns
    )
    for quantity, (label, digits) in QUANTITIES.items():
        for row in summary.quantiles:
            if row["quantity"] == quantity:
                unit = f" [{row['unit']}]" if row["unit"] else ""
                cells = (
                    f"{row[name]:,.{digits}f}" if name in row else "-"
                    for name in quantiles
                )
                table.add_row(Text(label + unit), row["split"], *cells)
        table.add_section()
    return table


def _cut_tables(summary: RecordsSummary) -> list[Table]:
    """Say which observations, light curves and files were left out, if any were."""
    columns = ["observations", "share", "light curves"]
    cuts = terminal.make_table("Left out", ["cut", *columns, "why"], numeric=columns)
    for row in summary.cuts:
        if row["observations"]:
            cuts.add_row(
                row["cut"],
                terminal.count(row["observations"]),
                f"{100 * row['observations'] / summary.totals['rows_read']:.2f} %",
                terminal.count(row["light_curves"]),
                row["meaning"],
            )
    rejected = terminal.make_table(
        "Rejected", ["reason", "light curves"], numeric=["light curves"]
    )
    for row in summary.rejected:
        rejected.add_row(row["reason"], terminal.count(row["light_curves"]))
    unreadable = terminal.make_table(
        "Unreadable", ["reason", "files", "first"], numeric=["files"]
    )
    for row in summary.unreadable:
        number = terminal.count(row["files"])
        unreadable.add_row(Text(row["reason"]), number, Text(row["first"]))
    return [table for table in (cuts, rejected, unreadable) if table.rows]


def _label_notes(summary: RecordsSummary) -> list[str]:
    """Say how labels and objects met, and where the input contradicts itself."""
    labels, notes = summary.labels, []
    if labels["given"]:
        unlabeled = terminal.counted(labels["objects_without_label"], "object")
        unused = terminal.counted(labels["labels_without_object"], "label")
        notes.append(f"{unlabeled} without a label, {unused} without an object")
    if labels["conflicting_objects"]:
        objects = terminal.counted(labels["conflicting_objects"], "object")
        notes.append(f"{objects} with several classes, of which the first is taken")
    return notes


def _conclusion(summary: RecordsSummary) -> str:
    """Say in a few words what a folder of records holds."""
    names = {"num_shards": "shard", "num_light_curves": "light curve"}
    names["num_observations"] = "observation"
    counts = (terminal.counted(summary.totals[k], noun) for k, noun in names.items())
    return f"[bold]{', '.join(counts)}[/bold]"
