"""MACHO photometry: `.mjd` files, archive CSV, and the archive's raw dump.

Passbands are R and B, magnitudes are instrumental and negative, objects are named
FIELD.TILE.SEQUENCE. An archive row holds both passbands, so it becomes two
observations.

Times are given as written, and the forms differ: in the archive they are MJD (UTC);
in the `.mjd` files in circulation the same exposures are 4 hours earlier in summer and
5 in winter, as if they were stamped in the local time of the eastern United States.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from astromer.errors import SurveyError
from astromer.surveys.files import (
    WHITESPACE,
    find_header,
    guess_separator,
    leading_lines,
    split_line,
    split_lines,
    title_line,
    untitled_header,
)
from astromer.surveys.observations import ObservationTable, ReadOptions, Survey
from astromer.surveys.parsing import (
    NUMBERS,
    Layout,
    checked,
    observation_table,
    read_columns,
    read_text_table,
    split_tables,
)

__all__ = ["SURVEY"]

_PASSBANDS: Final = ("R", "B")
_ARCHIVE_COLUMNS: Final = {
    "field": "fieldid",
    "tile": "tileid",
    "sequence": "seqn",
    "time": "dateobs",
    "mag:R": "rmag",
    "err:R": "rerr",
    "mag:B": "bmag",
    "err:B": "berr",
}
_DUMP_NUM_COLUMNS: Final = 39
_DUMP_COLUMNS: Final = {
    "field": 1,
    "tile": 2,
    "sequence": 3,
    "time": 4,
    "mag:R": 9,
    "err:R": 10,
    "mag:B": 24,
    "err:B": 25,
}
"""Positions from 0; the columns are described in the documentation of the archive."""
_NAME_COLUMNS: Final = ("field", "tile", "sequence")
_MJD_TITLE: Final = re.compile(r"#\s*Field\s+Tile\s+Seq", re.IGNORECASE)
_FILE_NAME: Final = re.compile(r"(\d+\.\d+\.\d+)(?:\.([RB]))?")
_DUMP_ROW: Final = re.compile(r"[^;]{0,8}(;\s*\d+\s*){3};\s*\d+\.\d*\s*;")


def _is_mjd(path: Path, lines: list[str]) -> bool:
    named = path.name.lower().removesuffix(".gz").endswith(".mjd")
    return named or bool(lines and _MJD_TITLE.match(lines[0]))


def _is_archive(lines: list[str]) -> bool:
    title = title_line(lines)
    names = split_line(title, guess_separator(title))
    return set(names).issuperset(_ARCHIVE_COLUMNS.values())


def _is_dump(lines: list[str]) -> bool:
    first = _first_dump_row(lines)
    enough = first.count(";") >= _DUMP_NUM_COLUMNS - 2
    return enough and _DUMP_ROW.match(first) is not None


def _first_dump_row(lines: list[str]) -> str:
    return next((line for line in lines if line.strip()), "")


def _detect(path: Path, head: bytes) -> bool:
    lines = split_lines(head)
    return _is_mjd(path, lines) or _is_archive(lines) or _is_dump(lines)


@checked
def _read(path: Path, options: ReadOptions) -> Iterator[ObservationTable]:
    lines = leading_lines(path)
    if _is_archive(lines):
        tables = _read_archive(path)
    elif _is_dump(lines):
        num_columns = len(split_line(_first_dump_row(lines), ";"))
        tables = _read_both(path, ";", num_columns, 1, _DUMP_COLUMNS)
    elif _is_mjd(path, lines):
        tables = _read_mjd(path, lines, options)
    else:
        raise SurveyError(
            "The file has none of the forms of MACHO: an .mjd file, archive CSV with "
            f"{', '.join(_ARCHIVE_COLUMNS.values())}, or rows of "
            f"{_DUMP_NUM_COLUMNS} fields separated by semicolons. Received: "
            f"path={path}, first line={lines[0][:80]!r}. Name the right survey."
        )
    for table in tables:
        yield from split_tables(table, options.rows_per_table)


def _read_mjd(
    path: Path, lines: list[str], options: ReadOptions
) -> Iterator[ObservationTable]:
    object_id, passband = None, options.passband
    if named := _FILE_NAME.search(path.name):
        object_id, passband = named[1], named[2] or passband
    num_titles = next(
        (i for i, line in enumerate(lines) if line[:1] != "#"), len(lines)
    )
    if num_titles > 1 and _MJD_TITLE.match(lines[0]):
        names, values = (line.lstrip("#").lower().split() for line in lines[:2])
        about = dict(zip(names, values, strict=False))
        if about.keys() >= {"field", "tile", "seq"}:
            object_id = ".".join(about[key] for key in ("field", "tile", "seq"))
        passband = about.get("filter", passband or "").upper()
    header = untitled_header(NUMBERS, WHITESPACE, lines, num_titles)
    columns = {role: position for position, role in enumerate(NUMBERS)}
    return read_text_table(
        path, header, columns, options, object_id=object_id, passband=passband or ""
    )


def _read_archive(path: Path) -> Iterator[ObservationTable]:
    header = find_header(path)
    columns = {
        role: header.names.index(name) for role, name in _ARCHIVE_COLUMNS.items()
    }
    return _read_both(
        path, header.separator, len(header.names), header.first_line, columns
    )


def _read_both(
    path: Path,
    separator: str,
    num_columns: int,
    first_line: int,
    columns: dict[str, int],
) -> Iterator[ObservationTable]:
    layout = Layout(
        separator=separator,
        num_columns=num_columns,
        first_line=first_line,
        numbers={k: v for k, v in columns.items() if k not in _NAME_COLUMNS},
        texts={k: v for k, v in columns.items() if k in _NAME_COLUMNS},
    )
    parts = pl.col(_NAME_COLUMNS).str.strip_chars()
    object_id = pl.concat_str(parts, separator=".")
    for frame in read_columns(path, layout):
        bands = [
            observation_table(
                path,
                frame,
                object_id=object_id,
                passband=band,
                mag=f"mag:{band}",
                mag_err=f"err:{band}",
            ).frame
            for band in _PASSBANDS
        ]
        both = pl.concat(bands).sort("line", maintain_order=True)
        yield ObservationTable(path, both)


SURVEY: Final = Survey(
    name="macho",
    description="MACHO: .mjd files, archive CSV, raw 39-column dump (R and B)",
    patterns=("*.mjd", "*.csv", "F_*", "*.gz"),
    detect=_detect,
    read=_read,
)
