"""The table between native files and light curves, and the flags on its rows.

Every survey reader turns its format into this table and does nothing else: what is
missing or bad is flagged by name, not dropped, so that whoever consumes the table
can count it. Grouping, sorting and cleaning happen once, further down.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from astromer.checks import check_positive, is_number, require

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "FLAGS",
    "Dropped",
    "DroppedLightCurve",
    "ObservationTable",
    "ReadOptions",
    "Survey",
]

FLAGS: Final[Mapping[str, str]] = {
    "ragged_line": "a line with more or fewer fields than the file has columns",
    "missing_value": "object, time, magnitude or error is empty or a missing-value code",
    "not_a_number": "text where a number is needed",
    "not_finite": "NaN or infinity",
    "upper_limit": "an upper limit, not a detection",
    "negative_flux": "a negative flux, whose magnitude means nothing",
    "bad_photometry": "the survey itself marks the measurement as bad",
}
"""Reasons for which a reader flags an observation, with their meaning."""


@dataclasses.dataclass(frozen=True, slots=True)
class ObservationTable:
    """A part of one source file as a table.

    A reader may yield several tables per file, so that a file larger than memory
    can be read; an object's rows may then be spread over tables.
    """

    source: Path
    """The file that the rows come from."""
    frame: pl.DataFrame
    """Rows with the columns `OBSERVATION_SCHEMA`."""
    error: str | None = None
    """Why nothing of the file can be used, in a sentence; there are no rows then. Only
    where `ReadOptions.max_unreadable` allows it; else the error is raised."""
    named_by_file: bool = False
    """Whether nothing but the file's name says which object it is."""
    unused: tuple[str, ...] = ()
    """Then, the columns of the file without a role, one of which may say it."""


class DroppedLightCurve(NamedTuple):
    """A light curve that has observations but no good one."""

    object_id: str
    """The object's name."""
    passband: str
    """Filter name, empty where the file names none."""
    source: Path
    """The file."""
    line: int | None
    """Line of its first observation there."""


@dataclasses.dataclass(slots=True)
class Dropped:
    """What was read, or should have been, and is in no light curve.

    Examples
    --------
    >>> dropped = Dropped()
    >>> dropped.observations.update(not_finite=1, missing_value=2)
    >>> dropped.reasons
    'missing_value 2, not_finite 1'
    """

    observations: Counter[str] = dataclasses.field(default_factory=Counter)
    """Bad observations by reason: `FLAGS` and ``negative_error``."""
    light_curves: list[DroppedLightCurve] = dataclasses.field(default_factory=list)
    """Light curves without a good observation."""
    files: dict[Path, str] = dataclasses.field(default_factory=dict)
    """Files that could not be read, and why; see `ReadOptions.max_unreadable`."""

    @property
    def reasons(self) -> str:
        """Reasons for which observations were dropped, the most frequent first."""
        counts = sorted(self.observations.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{name} {number:,}" for name, number in counts if number)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ReadOptions:
    """What a user may say about native files; readers ignore what does not apply."""

    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Names of columns by role (`time`, `mag`, `mag_err`, `object_id`, `passband`,
    `class_name`, `path`) where the table reader cannot guess them."""
    passband: str | None = None
    """Passband of files that do not name one, e.g. OGLE's `.dat` (I by default)."""
    rows_per_table: int = 2_000_000
    """Most rows in one table; bounds the memory that reading takes."""
    max_unreadable: float = 0.0
    """Largest share of files, from 0 to 1, that may be unreadable or without
    observations: up to it they are left out, each as a whole, and named. By default
    the first one is an error."""

    def __post_init__(self) -> None:
        check_positive(rows_per_table=self.rows_per_table)
        require(
            is_number(self.max_unreadable) and 0 <= self.max_unreadable <= 1,
            "`max_unreadable` is a share of files from 0 to 1",
            max_unreadable=self.max_unreadable,
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """One native format: how to recognize a file and how to read it."""

    name: str
    """Name on the command line, e.g. ``"macho"``."""
    description: str
    """One line for `--help`: the survey and the forms of its files."""
    patterns: tuple[str, ...]
    """Glob patterns of file names to look for in a folder, e.g. ``("*.mjd",)``."""
    detect: Callable[[Path, bytes], bool]
    """Whether a file is of this format, from its path and first 4 KiB (decompressed)."""
    read: Callable[[Path, ReadOptions], Iterator[ObservationTable]]
    """Read one file. Raises `SurveyError` naming file and, if known, line."""
    listed: Callable[[Path, ReadOptions], list[Path]] | None = None
    """Files with observations that a file names, which may not exist, where a format
    has such. Raises `SurveyError` like `read`."""
