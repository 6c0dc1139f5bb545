"""Plain tables: a long CSV or Parquet file, list columns, or a file per object.

Three forms are told apart by their columns:

- one row per observation, CSV (any common separator) or Parquet;
- one row per light curve with lists of times, magnitudes and errors, Parquet;
- one row per light curve with a path, relative to the folder of the table, to a
  file with its observations: CSV or blanks, with or without the header
  ``mjd,mag,errmag``, or Parquet.

Columns are taken by the names in `ReadOptions.columns`, else recognized by the
aliases in `astromer.columns`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from astromer.errors import SurveyError
from astromer.lightcurve import MOST_TIME_STEP_D, largest_step
from astromer.surveys.columns import comment_title, find_columns, has_columns
from astromer.surveys.files import (
    Header,
    explain_damage,
    find_header,
    guess_separator,
    is_number,
    leading_lines,
    read_head,
    split_line,
    split_lines,
)
from astromer.surveys.observations import ObservationTable, ReadOptions, Survey
from astromer.surveys.parsing import (
    NUMBERS,
    checked,
    names_as_texts,
    number_type,
    numbers_from_text,
    observation_table,
    read_or_skip,
    read_text_table,
    read_texts,
    split_tables,
)

__all__ = ["SURVEY"]

_TEXTS: Final = ("object_id", "passband", "class_name")
_SUFFIXES: Final = (".csv", ".tsv", ".parquet")
_PARQUET_MAGIC: Final = b"PAR1"
_LISTS_PER_BATCH: Final = 1024
"""Light curves unfolded at a time where a row holds whole lists."""
_MANY_STARTS: Final = 100
_ROWS_PER_START: Final = 5
"""How often time leads back by half of what it spans, and how many rows there are per
step back, from which on a table without an object column is that of many stars."""


def _detect(path: Path, head: bytes) -> bool:
    if head.startswith(_PARQUET_MAGIC):
        return True
    if b"\0" in head:
        return False
    if path.name.lower().removesuffix(".gz").endswith(_SUFFIXES):
        return True
    header = _guess_header(split_lines(head))
    return header is not None and (
        has_columns(header.names, *NUMBERS)
        or has_columns(header.names, "path", "object_id")
    )


@checked
def _read(path: Path, options: ReadOptions) -> Iterator[ObservationTable]:
    names = _column_names(path)
    if _lists_files(names, options):
        return _read_listed_files(path, names, options)
    return _read_observations(path, options)


def _lists_files(names: tuple[str, ...], options: ReadOptions) -> bool:
    listed = has_columns(names, "path") and not has_columns(names, "time", "mag")
    return listed or "path" in options.columns


def _listed(path: Path, options: ReadOptions) -> list[Path]:
    head = read_head(path)
    if not head.startswith(_PARQUET_MAGIC):
        # Enough for most files, and sooner; the last line may be cut.
        header = _guess_header(split_lines(head)[:-1])
        if header is not None and not _lists_files(header.names, options):
            return []
    with explain_damage(path):
        names = _column_names(path)
        if not _lists_files(names, options):
            return []
        paths = _read_list(path, names, options)["path"]
    return [_place(path, text) for text in paths.to_list()]


def _place(path: Path, text: str | None) -> Path:
    """Return where a file lies that a table names."""
    return path.parent / (text or "").strip()


def _read_observations(
    path: Path, options: ReadOptions, known: Mapping[str, str] | None = None
) -> Iterator[ObservationTable]:
    """Read a file of observations; `known` holds what another table says of it."""
    known = known or {}
    chosen = {k: v for k, v in options.columns.items() if k not in known}
    names = _column_names(path)
    columns = find_columns(
        path,
        names,
        needed=NUMBERS,
        optional=[role for role in _TEXTS if role not in known],
        chosen=chosen,
    )
    object_id = known.get("object_id")
    used = {names[position] for position in columns.values()}
    named = "object_id" in columns or object_id is not None
    unused = () if named else tuple(n for n in names if n and n not in used)
    tables = _read_rows(path, names, columns, options, known)
    if unused:
        tables = _refuse_many_stars(path, tables, unused)
    for table in tables:
        yield dataclasses.replace(table, unused=unused)


def _refuse_many_stars(
    path: Path, tables: Iterator[ObservationTable], unused: tuple[str, ...]
) -> Iterator[ObservationTable]:
    """Pass tables on; raise at the end if time starts anew as often as many stars do.

    One star's rows may be by camera or passband, which starts a few times, or in no
    order, where many steps lead back.
    """
    returns = np.empty(0)
    times = np.empty(0)
    num_rows, num_back, earliest, latest = 0, 0, np.inf, -np.inf
    for table in tables:
        good = table.frame.filter(pl.col("flag").is_null())["time"].to_numpy()
        # The last time of the table before goes first.
        times = np.concatenate([times[-1:], good])
        num_rows += len(good)
        earliest, latest = times.min(initial=earliest), times.max(initial=latest)
        steps = -np.diff(times)
        num_back += int(np.count_nonzero(steps > 0))
        # What is less than half of the span so far is less than half of any later one.
        returns = np.concatenate([returns, steps[steps > (latest - earliest) / 2]])
        yield table
    num_starts = np.count_nonzero(returns > (latest - earliest) / 2)
    if num_starts >= _MANY_STARTS and num_rows >= _ROWS_PER_START * num_back:
        raise SurveyError(
            "A table of several stars needs a column that names them. Received: "
            f"path={path}, whose times start anew {num_starts} times; columns not used: "
            f"{', '.join(unused)}. Name it: --column object_id=NAME, or in Python "
            'columns={"object_id": NAME}. If this is one star, sort it by time.'
        )


def _read_rows(
    path: Path,
    names: tuple[str, ...],
    columns: Mapping[str, int],
    options: ReadOptions,
    known: Mapping[str, str],
) -> Iterator[ObservationTable]:
    object_id = known.get("object_id")
    passband = known.get("passband", options.passband or "")
    class_name = known.get("class_name")
    if not _is_parquet(path):
        yield from read_text_table(
            path,
            _text_header(path),
            columns,
            options,
            object_id=object_id,
            passband=passband,
            class_name=class_name,
        )
        return
    roles = {role: names[position] for role, position in columns.items()}
    for frame in _parquet_batches(path, roles, options):
        table = observation_table(
            path,
            frame,
            object_id=pl.col("object_id") if "object_id" in roles else object_id,
            passband=pl.col("passband").fill_null(passband)
            if "passband" in roles
            else passband,
            class_name=pl.col("class_name") if "class_name" in roles else class_name,
        )
        yield from split_tables(table, options.rows_per_table)


@checked
def _read_listed_file(
    path: Path, options: ReadOptions, known: Mapping[str, str], listed_at: str
) -> Iterator[ObservationTable]:
    if not path.is_file():
        raise SurveyError(
            f"A listed file does not exist. Received: path={path} at {listed_at}. "
            "Paths are relative to the folder of the table."
        )
    return _read_observations(path, options, known)


def _read_list(
    path: Path, names: tuple[str, ...], options: ReadOptions
) -> pl.DataFrame:
    """Read a table of paths: its texts, and ``line``."""

    def choose(names: tuple[str, ...]) -> dict[str, int]:
        return find_columns(
            path, names, needed=("path",), optional=_TEXTS, chosen=options.columns
        )

    if not _is_parquet(path):
        return read_texts(path, choose)
    roles = [pl.nth(position).alias(role) for role, position in choose(names).items()]
    scan = pl.scan_parquet(path, glob=False)
    table = scan.select(roles).collect()
    return names_as_texts(table, table.columns).with_row_index("line", offset=1)


def _read_listed_files(
    path: Path, names: tuple[str, ...], options: ReadOptions
) -> Iterator[ObservationTable]:
    for row in _read_list(path, names, options).iter_rows(named=True):
        line = row.pop("line")
        file = _place(path, row.pop("path"))
        known = {role: text for role, text in row.items() if text is not None}
        read = functools.partial(
            _read_listed_file, file, options, known, f"line {line} of {path}"
        )
        yield from read_or_skip(file, options, read)


def _parquet_batches(
    path: Path, roles: Mapping[str, str], options: ReadOptions
) -> Iterator[pl.DataFrame]:
    scan = pl.scan_parquet(path, glob=False).select(
        pl.col(name).alias(role) for role, name in roles.items()
    )
    schema = scan.collect_schema()
    nested = [role for role, dtype in schema.items() if dtype.is_nested()]
    size = _LISTS_PER_BATCH if nested else options.rows_per_table
    batches = scan.with_row_index("line", offset=1).collect_batches(chunk_size=size)
    for batch in batches:
        frame = _unfold(path, batch, nested) if nested else batch
        for role in NUMBERS:
            if frame.schema[role].is_temporal():
                raise SurveyError(
                    f"`{role}` must hold numbers. Received: {frame.schema[role]} in "
                    f"column {roles[role]!r} of {path}. Write times as MJD in days."
                )
        _check_precision(path, frame["time"])
        words = [role for role in NUMBERS if frame.schema[role] == pl.String]
        frame = numbers_from_text(frame, words) if words else frame
        frame = names_as_texts(frame, [role for role in _TEXTS if role in roles])
        yield frame.with_columns(
            pl.col("line").cast(pl.UInt32, strict=False),
            *(pl.col(role).cast(number_type(role), strict=False) for role in NUMBERS),
        )


def _check_precision(path: Path, time: pl.Series) -> None:
    if not time.dtype.is_float():
        return
    days = time.drop_nulls().to_numpy()
    largest, step = largest_step(days)
    if step > MOST_TIME_STEP_D:
        raise SurveyError(
            "Times must be float64 where their numbers are large. Received: "
            f"path={path}, {days.dtype} near {largest:.0f} in steps of {step:g} d. "
            "Write the file from times that were never rounded."
        )


def _unfold(path: Path, frame: pl.DataFrame, nested: list[str]) -> pl.DataFrame:
    arrays = [name for name in nested if isinstance(frame.schema[name], pl.Array)]
    frame = frame.with_columns(pl.col(name).arr.to_list() for name in arrays)
    sizes = frame.select("line", pl.col(nested).list.len().fill_null(0))
    uneven = sizes.filter(
        pl.any_horizontal(pl.col(name) != pl.col(nested[0]) for name in nested)
    )
    if not uneven.is_empty():
        row = uneven.row(0, named=True)
        line = row.pop("line")
        raise SurveyError(
            f"The lists of a row must have one length. Received: {row} in row {line} "
            f"of {path}. Write one value per observation in every list."
        )
    return frame.explode(nested, empty_as_null=True)


def _is_parquet(path: Path) -> bool:
    return read_head(path, len(_PARQUET_MAGIC)) == _PARQUET_MAGIC


def _column_names(path: Path) -> tuple[str, ...]:
    if _is_parquet(path):
        return tuple(pl.scan_parquet(path, glob=False).collect_schema().names())
    return _text_header(path).names


def _text_header(path: Path) -> Header:
    return _guess_header(leading_lines(path)) or find_header(path)


def _guess_header(lines: list[str]) -> Header | None:
    """Find the header, or do without where rows are just time, magnitude, error."""
    rows = (i for i, line in enumerate(lines) if line.strip() and line[0] != "#")
    first = next(rows, None)
    if first is None:
        return None
    separator = guess_separator(lines[first])
    fields = split_line(lines[first], separator)
    if not all(map(is_number, fields[: len(NUMBERS)])):
        return Header(tuple(fields), separator, first + 2)
    # Fluxes under a title that says so must not pass for magnitudes.
    if names := comment_title(lines, first, separator):
        return Header(names, separator, first + 1)
    if len(fields) == len(NUMBERS):
        return Header(NUMBERS, separator, first + 1)
    return Header(tuple(fields), separator, first + 2)


SURVEY: Final = Survey(
    name="table",
    description="Long CSV or Parquet, list columns, or metadata and a file per object",
    patterns=("*.csv", "*.tsv", "*.parquet"),
    detect=_detect,
    read=_read,
    listed=_listed,
)
