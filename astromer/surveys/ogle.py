"""OGLE photometry: `.dat` files with Heliocentric Julian Date, magnitude, error.

Dates are full or minus 2,450,000; both come out as HJD - 2,400,000.5, which is the
day scale of MJD. A file holds one object in one passband: the one in the options,
else that of the folder as OGLE lays them out (``phot/V/``), else I.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from astromer.surveys.columns import comment_title, find_columns
from astromer.surveys.files import (
    WHITESPACE,
    is_number,
    leading_lines,
    split_lines,
    untitled_header,
)
from astromer.surveys.observations import ObservationTable, ReadOptions, Survey
from astromer.surveys.parsing import (
    JD_MINUS_MJD,
    NUMBERS,
    checked,
    read_text_table,
)

__all__ = ["SURVEY"]

_SHORT_EPOCH: Final = 2_450_000.0
"""What OGLE leaves out of its shorter dates [d]."""
_HIGHEST_SHORT_DATE: Final = 20_000.0
"""Reaches to the year 2050; as MJD it would be before 1914 [d]."""
_PASSBANDS: Final = ("I", "V")


def _first_row(lines: list[str]) -> int:
    """Count the lines of title: blank or comment."""
    rows = (i for i, line in enumerate(lines) if line.strip() and line[0] != "#")
    return next(rows, len(lines))


def _detect(path: Path, head: bytes) -> bool:
    lines = split_lines(head)
    first = _first_row(lines)
    fields = lines[first].split() if first < len(lines) else []
    named = path.name.lower().removesuffix(".gz").endswith(".dat")
    return named and len(fields) >= len(NUMBERS) and all(map(is_number, fields[:3]))


@checked
def _read(path: Path, options: ReadOptions) -> Iterator[ObservationTable]:
    folder = path.resolve().parent.name
    lines = leading_lines(path)
    first = _first_row(lines)
    header = untitled_header(NUMBERS, WHITESPACE, lines, first)
    names = comment_title(lines, first, WHITESPACE) or NUMBERS
    short = pl.col("time") < _HIGHEST_SHORT_DATE
    days = pl.col("time") + (_SHORT_EPOCH - JD_MINUS_MJD)
    for table in read_text_table(
        path,
        header,
        find_columns(path, names, needed=NUMBERS, chosen=options.columns),
        options,
        passband=options.passband or (folder if folder in _PASSBANDS else "I"),
    ):
        time = pl.when(short).then(days).otherwise("time").alias("time")
        yield dataclasses.replace(table, frame=table.frame.with_columns(time))


SURVEY: Final = Survey(
    name="ogle",
    description="OGLE: .dat files with HJD, magnitude and error",
    patterns=("*.dat",),
    detect=_detect,
    read=_read,
)
