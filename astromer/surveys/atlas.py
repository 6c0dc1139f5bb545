"""ATLAS photometry: forced photometry as text or CSV, and CSV of detections.

The filter of each row is its passband (c, o, and rarely others). Forced photometry
also measures where there is no star: a negative magnitude or ``uJy`` stands for a
negative flux, ``0.000`` for none at all, ``>19.53`` for an upper limit, and a non-zero
``err`` for a measurement that ATLAS itself marks as bad. All are flagged.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from astromer.surveys.columns import find_columns, has_columns
from astromer.surveys.files import (
    Header,
    guess_separator,
    leading_lines,
    split_line,
    split_lines,
)
from astromer.surveys.observations import ObservationTable, ReadOptions, Survey
from astromer.surveys.parsing import NUMBERS, checked, read_text_table

__all__ = ["SURVEY"]

_TITLES: Final = ("###MJD", "#expname")
_OWN_NAMES: Final = {"mag": "m", "mag_err": "dm", "passband": "F"}
"""ATLAS's one-letter names by role; they win over the common aliases."""
_FLUX: Final = "uJy"
_QUALITY: Final = "err"
"""A quality flag, 0 if good, in spite of its name."""


def _header(lines: list[str]) -> Header:
    first = next((i for i, line in enumerate(lines) if line.strip("# \t")), 0)
    title = lines[first].lstrip("#") if lines else ""
    separator = guess_separator(title)
    return Header(tuple(split_line(title, separator)), separator, first + 2)


def _detect(path: Path, head: bytes) -> bool:
    del path
    lines = split_lines(head)
    names = _header(lines).names
    own = "ato_id" in map(str.lower, names) or {"m", "dm"}.issubset(names)
    return head.startswith(tuple(title.encode() for title in _TITLES)) or (
        own and has_columns(names, "time", "mag", "mag_err", "passband")
    )


@checked
def _read(path: Path, options: ReadOptions) -> Iterator[ObservationTable]:
    header = _header(leading_lines(path))
    own = {role: name for role, name in _OWN_NAMES.items() if name in header.names}
    columns = find_columns(
        path,
        header.names,
        needed=NUMBERS,
        optional=("passband", "object_id", "class_name"),
        chosen=own | dict(options.columns),
    )
    mag = pl.col("mag")
    marks = {"missing_value": mag == 0, "negative_flux": mag < 0}
    extra = {}
    if _FLUX in header.names:
        # The magnitude's sign is that of the flux times its own: bright glitches of
        # negative flux have positive magnitudes.
        extra["flux"] = header.names.index(_FLUX)
        marks["negative_flux"] |= pl.col("flux") < 0
    if _QUALITY in header.names and header.names[columns["mag_err"]] != _QUALITY:
        extra["quality"] = header.names.index(_QUALITY)
        marks["bad_photometry"] = pl.col("quality") != 0
    return read_text_table(
        path,
        header,
        columns,
        options,
        passband=options.passband or "",
        extra_numbers=extra,
        marks=marks,
    )


SURVEY: Final = Survey(
    name="atlas",
    description="ATLAS: forced photometry (text or CSV) and CSV of detections",
    patterns=("*.txt", "*.csv"),
    detect=_detect,
    read=_read,
)
