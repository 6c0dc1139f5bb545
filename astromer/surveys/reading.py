"""Reading whatever the user names: files, folders or globs of any known format."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from astromer.errors import SurveyError
from astromer.lightcurve import LightCurve
from astromer.surveys.files import Inputs, expand_inputs
from astromer.surveys.observations import (
    Dropped,
    DroppedLightCurve,
    ObservationTable,
    ReadOptions,
    Survey,
)
from astromer.surveys.parsing import count_flags, known_classes, read_or_skip
from astromer.surveys.registry import detect_survey, get_survey, list_surveys

__all__ = [
    "find_files",
    "find_listed_files",
    "read_light_curves",
    "read_observations",
]

_LOGGER = logging.getLogger(__name__)

_NEGATIVE_ERROR = "negative_error"
"""Counted like a flag: the reader saw a number, but no light curve takes it."""
_MOST_NAMED = 10
"""Unused columns that a warning names at most."""


def find_files(inputs: Inputs, survey: str | Survey | None = None) -> list[Path]:
    """List the survey files that the inputs stand for, each once.

    Parameters
    ----------
    inputs : path, str, or iterable of them
        Files are taken as they are; folders are searched with all that is in them
        and is neither hidden nor records, by the survey's patterns; strings with
        ``*``, ``?`` or ``[`` are globs.
    survey : str or Survey, optional
        The format; None or ``"auto"`` looks for the files of all of them.

    Returns
    -------
    paths : list of pathlib.Path
        In the order of the inputs, sorted within a folder or glob.

    Raises
    ------
    SurveyError
        If an input does not exist, a folder or glob holds no such file, or the
        survey is unknown.
    """
    named = _resolve(survey)
    surveys = list_surveys() if named is None else (named,)
    patterns = dict.fromkeys(p for one in surveys for p in one.patterns)
    return expand_inputs(inputs, tuple(patterns))


def find_listed_files(
    files: Sequence[Path],
    survey: str | Survey | None = None,
    options: ReadOptions | None = None,
) -> list[Path]:
    """List the files with observations that tables among survey files name.

    Parameters
    ----------
    files : sequence of pathlib.Path
        As `find_files` returns them.
    survey : str or Survey, optional
        The format; None or ``"auto"`` detects it for each file.
    options : ReadOptions, optional

    Returns
    -------
    paths : list of pathlib.Path
        In the order of the tables and their rows. One may not exist, and files that
        cannot be read name none: reading says so.

    Raises
    ------
    SurveyError
        If the survey is unknown.
    """
    named = _resolve(survey)
    paths: list[Path] = []
    for one in list_surveys() if named is None else (named,):
        if one.listed is None:
            continue
        for file in files:
            with contextlib.suppress(SurveyError):
                listed = one.listed(file, options or ReadOptions())
                # Most files list none; it takes longer to recognize them.
                if listed and (named or detect_survey(file)) is one:
                    paths += listed
    return paths


def read_observations(
    inputs: Inputs,
    survey: str | Survey | None = None,
    options: ReadOptions | None = None,
) -> Iterator[ObservationTable]:
    """Read survey files as tables of flagged observations.

    Files are read one after the other and in parts; nothing is dropped. Names and
    paths are checked at once, files when their turn comes.

    Parameters
    ----------
    inputs : path, str, or iterable of them
        See `find_files`.
    survey : str or Survey, optional
        The format; None or ``"auto"`` detects it for each file.
    options : ReadOptions, optional

    Returns
    -------
    tables : iterator of ObservationTable
        At least one per file.

    Raises
    ------
    SurveyError
        If an input or survey does not exist, or a file cannot be read; names the
        file and, if known, the line. With `ReadOptions.max_unreadable`, at the end,
        if more files than that could not be read.
    """
    tables = _read_files(inputs, survey, options or ReadOptions())
    return (table for _, table in tables)


def read_light_curves(
    inputs: Inputs,
    survey: str | Survey | None = None,
    passband: str | None = None,
    options: ReadOptions | None = None,
    dropped: Dropped | None = None,
) -> Iterator[LightCurve]:
    """Read survey files as light curves, one per object and passband of a file.

    Flagged observations and those with a negative uncertainty are dropped, and with
    them light curves of which nothing is left; how many and why is logged once, when
    the last file is read, as a warning if light curves or files are lost and `dropped`
    is not there to tell. An object may be scattered
    over its file, so the good observations of one file, 20 bytes each and some room
    for sorting, are held until it is read; files are read one after the other.

    Parameters
    ----------
    inputs : path, str, or iterable of them
        See `find_files`.
    survey : str or Survey, optional
        The format; None or ``"auto"`` detects it for each file.
    passband : str, optional
        Take only this passband.
    options : ReadOptions, optional
    dropped : Dropped, optional
        Receives what is dropped: observations by reason, light curves without a good
        observation, unreadable files.

    Returns
    -------
    light_curves : iterator of LightCurve
        In order of first appearance within a file, sorted by time. Labels stay -1;
        class names are those of the file.

    Raises
    ------
    SurveyError
        See `read_observations`; also if nothing was observed in `passband`.
    """
    tables = _read_files(inputs, survey, options or ReadOptions())
    return _light_curves(tables, passband, dropped)


def _resolve(survey: str | Survey | None) -> Survey | None:
    if survey is None or survey == "auto":
        return None
    return get_survey(survey) if isinstance(survey, str) else survey


def _read_files(
    inputs: Inputs, survey: str | Survey | None, options: ReadOptions
) -> Iterator[tuple[Path, ObservationTable]]:
    """Check names and paths now, and read with each table's input file later."""
    named = _resolve(survey)
    paths = find_files(inputs, named)

    def read(path: Path) -> Iterator[ObservationTable]:
        yield from (named or detect_survey(path)).read(path, options)

    tables = (
        (path, table)
        for path in paths
        for table in read_or_skip(path, options, functools.partial(read, path))
    )
    return _check_unreadable(_warn_of_unused(tables), options.max_unreadable)


def _warn_of_unused(
    tables: Iterable[tuple[Path, ObservationTable]],
) -> Iterator[tuple[Path, ObservationTable]]:
    """Pass tables on; say at the end if a column may be one of objects unnoticed."""
    first: ObservationTable | None = None
    for path, table in tables:
        if first is None and table.unused:
            first = table
        yield path, table
    if first is not None:
        unused = first.unused[:_MOST_NAMED]
        name = unused[0] if len(first.unused) == 1 else "NAME"
        _LOGGER.warning(
            "No column names the object: each file is one light curve per passband. "
            "Columns not used: %s%s (%s). If one names the object: "
            '`--column object_id=%s`, or in Python columns={"object_id": "%s"}.',
            ", ".join(unused),
            ", ..." if len(first.unused) > _MOST_NAMED else "",
            first.source,
            name,
            name,
        )


def _check_unreadable(
    tables: Iterable[tuple[Path, ObservationTable]], limit: float
) -> Iterator[tuple[Path, ObservationTable]]:
    """Pass tables on; raise at the end if too many of their files are unreadable."""
    num_files = 0
    last: Path | None = None
    unreadable: list[ObservationTable] = []
    for path, table in tables:
        num_files += table.source != last
        last = table.source
        if table.error is not None:
            unreadable.append(table)
        yield path, table
    if len(unreadable) > limit * num_files:
        first = unreadable[0]
        raise SurveyError(
            "Too many files cannot be read. Received: "
            f"{len(unreadable)} of {num_files}, where max_unreadable={limit}; the first "
            f"is {first.source}: {first.error} Correct or remove them, or allow more."
        )


def _light_curves(
    tables: Iterable[tuple[Path, ObservationTable]],
    passband: str | None,
    dropped: Dropped | None,
) -> Iterator[LightCurve]:
    lost = Dropped()
    passbands: set[str] = set()
    num_curves = 0
    # A table of paths has many sources, and each of them is complete by itself.
    by_source = itertools.groupby(tables, key=lambda pair: (pair[0], pair[1].source))
    for (_, source), pairs in by_source:
        lost_here = Dropped()
        good, bad = [], []
        for _, table in pairs:
            if table.error is not None:
                lost_here.files[source] = table.error
                continue
            frame = table.frame
            if passband is not None:
                passbands.update(frame["passband"].unique())
                frame = frame.filter(pl.col("passband") == passband)
            lost_here.observations.update(count_flags(frame))
            unflagged = frame.filter(pl.col("flag").is_null())
            good.append(unflagged.filter(pl.col("mag_err") >= 0))
            if good[-1].height < unflagged.height:
                number = unflagged.height - good[-1].height
                lost_here.observations[_NEGATIVE_ERROR] += number
            if good[-1].height < frame.height:
                bad.append(frame)
        lost_here.light_curves += _without_good_rows(source, bad, good)
        for losses in (lost, dropped):
            if losses is not None:
                losses.observations.update(lost_here.observations)
                losses.light_curves += lost_here.light_curves
                losses.files.update(lost_here.files)
        for curve in _group(good):
            num_curves += 1
            yield curve
    if passband is not None and passband not in passbands:
        raise SurveyError(
            f'No observation is in the passband. Received: passband="{passband}"; '
            f"found: {', '.join(sorted(passbands))}. Name one of those."
        )
    _log(num_curves, lost, told=dropped is not None)


def _without_good_rows(
    source: Path, bad: Sequence[pl.DataFrame], good: Sequence[pl.DataFrame]
) -> list[DroppedLightCurve]:
    """Name the light curves that occur in tables with bad rows and in no good row."""
    if not bad:
        return []
    keys = ("object_id", "passband")
    seen = pl.concat(frame.select(*keys, "line") for frame in bad)
    left = pl.concat(frame.select(keys) for frame in good).unique()
    lost = (
        # Rows without a name belong to no light curve.
        seen.filter(pl.col("object_id") != "")
        .join(left, on=keys, how="anti", maintain_order="left")
        .group_by(keys, maintain_order=True)
        .agg(pl.col("line").first())
    )
    return [
        DroppedLightCurve(object_id, band, source, line)
        for object_id, band, line in lost.iter_rows()
    ]


def _log(num_curves: int, lost: Dropped, *, told: bool) -> None:
    for curve in lost.light_curves:
        _LOGGER.info(
            "left out %s %s, first at line %s of %s: no good observation", *curve
        )
    for path, error in lost.files.items():
        _LOGGER.info("left out %s: %s", path, error)
    something = bool(lost.light_curves or lost.files)
    _LOGGER.log(
        logging.WARNING if something and not told else logging.INFO,
        "read %d light curves; left out: %d without a good observation, "
        "%d unreadable files; dropped observations: %s",
        num_curves,
        len(lost.light_curves),
        len(lost.files),
        lost.reasons or "none",
    )


def _group(frames: Iterable[pl.DataFrame]) -> Iterator[LightCurve]:
    numbers: dict[tuple[str, str], int] = {}
    class_names: list[str | None] = []
    parts = []
    for frame in frames:
        keys = (
            frame.with_columns(known_classes(frame["class_name"]))
            .group_by("object_id", "passband", maintain_order=True)
            .agg(pl.col("class_name").drop_nulls().first())
        )
        for object_id, band, class_name in keys.iter_rows():
            number = numbers.setdefault((object_id, band), len(numbers))
            if number == len(class_names):
                class_names.append(class_name)
            elif class_names[number] is None:
                class_names[number] = class_name
        key_numbers = [numbers[row[0], row[1]] for row in keys.iter_rows()]
        keys = keys.with_columns(number=pl.Series(key_numbers, dtype=pl.UInt32))
        numbered = frame.join(keys, on=["object_id", "passband"], maintain_order="left")
        parts.append(numbered.select("number", "time", "mag", "mag_err"))
    if not numbers:
        return
    rows = pl.concat(parts).sort("number", maintain_order=True)
    starts = np.searchsorted(rows["number"].to_numpy(), np.arange(len(numbers) + 1))
    columns = [rows[name].to_numpy() for name in ("time", "mag", "mag_err")]
    for (object_id, band), number in numbers.items():
        part = slice(starts[number], starts[number + 1])
        time, mag, mag_err = (column[part] for column in columns)
        yield LightCurve(
            time,
            mag,
            mag_err,
            passband=band,
            object_id=object_id,
            class_name=class_names[number],
        )
