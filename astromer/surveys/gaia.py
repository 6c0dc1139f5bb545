"""Gaia epoch photometry: CSV or ECSV as the archive's DataLink returns it.

Objects are named by ``source_id``, passbands are G, BP and RP. Times are Barycentric
Julian Dates less 2,455,197.5 and come out as BJD - 2,400,000.5. The archive gives no
uncertainty of a magnitude: it follows from the one of the flux. A transit that the
photometry or the variability processing of the mission rejected is flagged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from astromer.surveys.columns import find_columns
from astromer.surveys.files import (
    find_header,
    guess_separator,
    leading_lines,
    split_line,
    split_lines,
    title_line,
)
from astromer.surveys.observations import ObservationTable, ReadOptions, Survey
from astromer.surveys.parsing import (
    JD_MINUS_MJD,
    NUMBERS,
    Layout,
    checked,
    observation_table,
    read_columns,
    split_tables,
)

__all__ = ["SURVEY"]

_OWN_NAMES: Final = {
    "object_id": "source_id",
    "passband": "band",
    "time": "time",
    "mag": "mag",
    "mag_err": "flux_over_error",
}
_TITLES: Final = ("source_id", "transit_id", "band", "flux_over_error")
_REJECTED: Final = ("rejected_by_photometry", "rejected_by_variability")
_EPOCH_JD: Final = 2_455_197.5
"""Julian Date at which the mission's times begin (2010.0)."""
_MAG_PER_LOG: Final = 2.5 / math.log(10)
"""Uncertainty [mag] of a relative uncertainty of flux, to first order."""


def _detect(path: Path, head: bytes) -> bool:
    lines = split_lines(head)
    if head.startswith(b"# %ECSV") and all(line.startswith("#") for line in lines[:-1]):
        # What describes the columns may be longer than the head.
        lines = leading_lines(path)
    title = title_line(lines)
    return set(_TITLES).issubset(split_line(title, guess_separator(title)))


@checked
def _read(path: Path, options: ReadOptions) -> Iterator[ObservationTable]:
    header = find_header(path)
    names = header.names
    columns = find_columns(
        path,
        names,
        needed=(*NUMBERS, "object_id", "passband"),
        optional=("class_name",),
        chosen=_OWN_NAMES | dict(options.columns),
    )
    rejected = {name: names.index(name) for name in _REJECTED if name in names}
    layout = Layout(
        separator=header.separator,
        num_columns=len(names),
        first_line=header.first_line,
        numbers={role: columns[role] for role in NUMBERS},
        texts={role: columns[role] for role in columns if role not in NUMBERS}
        | rejected,
    )
    # Columns that the user chose instead are taken as they are.
    own = {role for role in NUMBERS if names[columns[role]] == _OWN_NAMES[role]}
    time, ratio = pl.col("time"), pl.col("mag_err")
    in_our_units = [
        *([time + (_EPOCH_JD - JD_MINUS_MJD)] if "time" in own else []),
        *([(_MAG_PER_LOG / ratio).alias("mag_err")] if "mag_err" in own else []),
    ]
    is_bad = pl.any_horizontal(
        pl.lit(value=False),
        *(pl.col(name).str.to_lowercase().is_in(["true", "1"]) for name in rejected),
    )
    for frame in read_columns(path, layout):
        table = observation_table(
            path,
            frame.with_columns(in_our_units),
            object_id=pl.col("object_id"),
            passband=pl.col("passband"),
            class_name=pl.col("class_name") if "class_name" in columns else None,
            marks={"bad_photometry": is_bad},
        )
        yield from split_tables(table, options.rows_per_table)


SURVEY: Final = Survey(
    name="gaia",
    description="Gaia: epoch photometry as CSV or ECSV (source_id, band, transit_id)",
    patterns=("*.csv", "*.ecsv"),
    detect=_detect,
    read=_read,
)
