"""From blocks of text to observation tables, one vectorized step at a time.

A block is first read with typed columns, which is fast and succeeds on clean files.
Only where that fails are its numbers read as text, so that each bad value can be
flagged by name. What the codes for missing values are, and which day count times are
in, is known here alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Concatenate, Final, ParamSpec

import numpy as np
import polars as pl
from numpy.typing import NDArray

from astromer.ahead import map_ahead
from astromer.errors import SurveyError
from astromer.lightcurve import MISSING_MAG
from astromer.surveys.files import (
    WHITESPACE,
    Header,
    explain_damage,
    find_header,
    iterate_blocks,
    leading_lines,
    object_name,
    split_line,
)
from astromer.surveys.observations import (
    ObservationTable,
    ReadOptions,
)
from astromer.surveys.schema import OBSERVATION_SCHEMA

__all__ = [
    "JD_MINUS_MJD",
    "NUMBERS",
    "ROW_FLAG",
    "Layout",
    "checked",
    "count_flags",
    "known_classes",
    "names_as_texts",
    "number_type",
    "numbers_from_text",
    "observation_table",
    "read_columns",
    "read_or_skip",
    "read_text_table",
    "read_texts",
    "split_tables",
]

NUMBERS: Final = ("time", "mag", "mag_err")
"""Roles that every observation needs, all numbers."""

JD_MINUS_MJD: Final = 2_400_000.5
"""Days between the zero points of Julian and Modified Julian Date."""

_LOWEST_JD: Final = 2_400_000.0
_MISSING_WORDS: Final = ("", "-", "--", "null", "none", "na", "n/a", "masked")
_UNKNOWN_CLASSES: Final = ("", "-", "--", "null", "none", "nan", "n/a", "<na>")
"""Not `na`, which are the fast novae of the variable star catalogs."""
_TIME_CODES: Final = (-999.0, -9999.0, -99999.0)
_WHOLE_FLOAT: Final = r"^([+-]?\d+)\.0$"
"""An integer in a column of floats, as which pandas keeps it where one is missing."""
_HIDDEN_QUOTE: Final = "\x1f"
_MOST_SHOWN: Final = 80
"""Characters of a line that a message shows at most."""
_FLAG_SUFFIX: Final = ":flag"
ROW_FLAG: Final = "row" + _FLAG_SUFFIX
"""Column that says why a whole row is bad; others name a column of numbers."""
_TEXT_FLAGS: Final = ("ragged_line", "upper_limit", "not_a_number")
"""What is seen in the text of a line, most important first."""

P = ParamSpec("P")
_Read = Callable[Concatenate[Path, P], Iterator[ObservationTable]]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where the columns of a text table are."""

    separator: str
    """One character, or `WHITESPACE` for runs of blanks and tabs."""
    num_columns: int
    """Fields per line; lines with more or fewer are flagged."""
    first_line: int
    """Line of the first row, from 1."""
    numbers: Mapping[str, int]
    """Position of each numeric column, from 0, by name. ``"time"`` becomes float64,
    all others float32."""
    texts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Position of each text column, from 0, by name."""


def read_columns(path: Path, layout: Layout) -> Iterator[pl.DataFrame]:
    """Read the columns of a text table, block by block.

    Parameters
    ----------
    path : pathlib.Path
        A plain or gzipped text file.
    layout : Layout

    Yields
    ------
    frame : polars.DataFrame
        The columns of the layout by name and ``line``, from 1. Where text stood for
        a number, the number is null and ``NAME:flag`` says why. Where some lines have
        more or fewer fields than the layout, `ROW_FLAG` says which. Blank lines and
        comments are left out.
    """
    line = layout.first_line
    blocks = iterate_blocks(path, layout.first_line)
    first = list(itertools.islice(blocks, 1))
    if first:
        layout = _with_empty_column(first[0], layout)

    def parse(block: bytes) -> tuple[pl.DataFrame, pl.Series, int]:
        frame = _parse(block, layout)
        index = pl.int_range(frame.height, dtype=pl.Int64, eager=True)
        # Without quotes every line is a row, and counting the lines is not needed.
        height = frame.height
        if b'"' in block:
            height = block.count(b"\n") + (not block.endswith(b"\n"))
        if height > frame.height:
            starts = _row_starts(block)
            index = starts if len(starts) == frame.height else index
        return frame, index, height

    for frame, index, height in map_ahead(parse, itertools.chain(first, blocks)):
        # Beyond four billion lines the number is unknown, not wrong.
        numbers = (index + line).cast(pl.UInt32, strict=False)
        numbered = frame.with_columns(line=numbers)
        yield _without_blanks(numbered, layout)
        line += height


def read_texts(
    path: Path, choose: Callable[[tuple[str, ...]], Mapping[str, int]]
) -> pl.DataFrame:
    """Read a small table of texts as a whole.

    Parameters
    ----------
    path : pathlib.Path
        A plain or gzipped text file whose first line names the columns.
    choose : callable
        Positions of the columns to read by name, given those of the file.

    Returns
    -------
    frame : polars.DataFrame
        These columns as text, null where empty, and ``line``, from 1. Of whole numbers
        with ``.0`` alone, the integers.

    Raises
    ------
    SurveyError
        If the file cannot be read, or a line has more or fewer fields than the first.
    """
    header = find_header(path)
    layout = Layout(
        separator=header.separator,
        num_columns=len(header.names),
        first_line=header.first_line,
        numbers={},
        texts=choose(header.names),
    )
    with explain_damage(path):
        frames = list(read_columns(path, layout))
    names = ["line", *layout.texts]
    if not frames:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    table = pl.concat(frames, how="diagonal")
    if ROW_FLAG in table.columns:
        ragged = table.filter(pl.col(ROW_FLAG).is_not_null())["line"]
        if len(ragged):
            raise SurveyError(
                "Every line must have the fields of the title. "
                f"Received: more or fewer at line {ragged[0]} of {path}. Correct it."
            )
    # A path is what it is.
    columns = [name for name in layout.texts if name != "path"]
    return _without_point_zero(table.select(names), dict.fromkeys(columns))


def _without_point_zero(
    frame: pl.DataFrame, are_whole: dict[str, bool | None]
) -> pl.DataFrame:
    """Make integers of names such as ``7.0`` in columns without other names.

    What was found of a column in an earlier block holds: `are_whole` keeps it, None as
    long as there was no name. So one name never becomes two.
    """
    for name, is_whole in are_whole.items():
        if is_whole is None:
            are_whole[name] = _are_whole_floats(frame[name])
    names = [name for name, is_whole in are_whole.items() if is_whole]
    if not names:
        return frame
    return frame.with_columns(pl.col(names).str.replace(_WHOLE_FLOAT, "${1}"))


def _are_whole_floats(texts: pl.Series) -> bool | None:
    """Tell whether all names are integers written as floats; None if there are none."""
    first = texts.drop_nulls().head(1)
    # One look is enough for most columns.
    if first.is_empty() or not first.str.contains(_WHOLE_FLOAT + "|^(?i:nan)$").item():
        return None if first.is_empty() else False
    names = texts.drop_nulls().unique()
    names = names.filter(names.str.to_lowercase() != "nan")
    return None if names.is_empty() else names.str.contains(_WHOLE_FLOAT).all()


def names_as_texts(frame: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """Write columns of names as texts.

    Parameters
    ----------
    frame : polars.DataFrame
    names : iterable of str
        The columns. Floats, as which pandas keeps integers where one is missing,
        become integers without a point where they are whole, and null where NaN.

    Returns
    -------
    frame : polars.DataFrame
        With texts under the same names.
    """
    texts = []
    for name in names:
        column = pl.col(name)
        text = column.cast(pl.String)
        if frame.schema[name].is_float():
            whole = column.cast(pl.Int64, strict=False)
            is_whole = whole.cast(pl.Float64) == column.cast(pl.Float64)
            text = pl.when(column.is_nan()).then(None).otherwise(text)
            text = pl.when(is_whole).then(whole.cast(pl.String)).otherwise(text)
        texts.append(text.alias(name))
    return frame.with_columns(texts)


def _with_empty_column(block: bytes, layout: Layout) -> Layout:
    """Add the column that lines have if, unlike the titles, they end in a separator."""
    lines = (line for line in io.BytesIO(block) if line.strip() and line[:1] != b"#")
    fields = split_line(next(lines, b"").decode(errors="replace"), layout.separator)
    if len(fields) == layout.num_columns + 1 and not fields[-1]:
        return dataclasses.replace(layout, num_columns=len(fields))
    return layout


def _parse(block: bytes, layout: Layout) -> pl.DataFrame:
    if layout.separator == WHITESPACE:
        block = re.sub(rb"[ \t\r]+", b" ", block)
        block = block.replace(b"\n ", b"\n").replace(b" \n", b"\n").strip(b" ")
    names = [f"column_{position + 1}" for position in range(layout.num_columns)]
    text_schema = dict.fromkeys(names, pl.String())
    typed_schema = text_schema | {
        names[position]: number_type(role) for role, position in layout.numbers.items()
    }
    positions = {**layout.texts, **layout.numbers}
    # A quote without a second one must not spoil more than its own line.
    hides = b'"' in block and not _is_well_quoted(block, layout.separator)
    if hides:
        block = _hide_single_quotes(block)
    first = names[0]
    used = sorted({names[position] for position in positions.values()} | {first})
    read = functools.partial(
        pl.read_csv,
        columns=used,
        separator=layout.separator,
        truncate_ragged_lines=True,
    )
    select = [
        pl.col(names[position]).alias(role) for role, position in positions.items()
    ]
    if not _has_comments(block):
        with contextlib.suppress(pl.exceptions.ComputeError, pl.exceptions.SchemaError):
            frame = read(block, schema=typed_schema, has_header=False)
            if _is_even(block, layout, frame.get_column(names[-1], default=None)):
                frame = frame.select(select)
                frame = _show_quotes(frame, list(layout.texts)) if hides else frame
                blanks = _has_blanks(block, layout)
                return _strip_texts(frame, layout) if blanks else frame
    num_fields = None if _is_plain(block, layout) else _count_fields(block, layout)
    # Without a title, a first line that is too short passes for a narrow table.
    title = layout.separator.join(names).encode() + b"\n"

    def read_texts() -> pl.DataFrame | None:
        try:
            frame = read(title + block, schema=text_schema)
        except pl.exceptions.ComputeError:
            return None
        is_paired = num_fields is None or len(num_fields) == frame.height
        return frame if is_paired else None

    texts = read_texts()
    if texts is None:
        texts = read(title + block, schema=text_schema, quote_char=None)
        num_fields = _count_fields(block, layout, quotes=False)
    frame = _show_quotes(texts, texts.columns) if hides else texts
    if num_fields is None:
        num_fields = np.full(frame.height, layout.num_columns)
    start = pl.col(first).str.strip_chars().fill_null("")
    is_comment = start.str.starts_with("#")
    is_blank = (start == "") & pl.lit(pl.Series(num_fields == 1))
    is_ragged = pl.lit(pl.Series(num_fields != layout.num_columns))
    is_ragged &= ~is_blank & ~is_comment
    row_flag = pl.when(is_ragged).then(pl.lit("ragged_line")).alias(ROW_FLAG)
    frame = frame.with_columns(row_flag, pl.when(~is_comment).then(pl.all()))
    frame = frame.select(*select, ROW_FLAG)
    return _strip_texts(numbers_from_text(frame, list(layout.numbers)), layout)


def _row_starts(block: bytes) -> pl.Series:
    """Return the lines, from 0, at which rows begin whose quoted texts have several."""
    characters = np.frombuffer(block.removesuffix(b"\n"), np.uint8)
    line_ends = np.flatnonzero(characters == ord("\n"))
    quotes = np.flatnonzero(characters == ord('"'))
    is_row_end = np.searchsorted(quotes, line_ends) % 2 == 0
    return pl.Series([0, *(np.flatnonzero(is_row_end) + 1).tolist()], dtype=pl.Int64)


def _strip_texts(frame: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    return frame.with_columns(
        pl.col(list(layout.texts)).str.strip_chars().replace("", None)
    )


def _has_blanks(block: bytes, layout: Layout) -> bool:
    """Whether there may be blanks around a text; few files have any."""
    return any(blank.encode() in block for blank in " \t" if blank != layout.separator)


def _is_well_quoted(block: bytes, separator: str) -> bool:
    """Whether texts in quotes begin and end where fields do."""
    characters = np.frombuffer(b"\n" + block + b"\n", np.uint8)
    places = np.flatnonzero(characters == ord('"'))
    beside = np.frombuffer(b'"\r\n' + separator.encode(), np.uint8)
    if separator == WHITESPACE:
        beside = np.append(beside, np.uint8(ord("\t")))
    before, behind = characters[places[::2] - 1], characters[places[1::2] + 1]
    return bool(
        len(places) % 2 == 0
        and np.isin(before, beside).all()
        and np.isin(behind, beside).all()
    )


def _show_quotes(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    return frame.with_columns(pl.col(names).str.replace_all(_HIDDEN_QUOTE, '"'))


def _hide_single_quotes(block: bytes) -> bytes:
    """Make all quotes plain characters in lines in which their number is odd."""
    return b"\n".join(
        line.replace(b'"', _HIDDEN_QUOTE.encode()) if line.count(b'"') % 2 else line
        for line in block.split(b"\n")
    )


def _has_comments(block: bytes) -> bool:
    # One character is found many times faster than two.
    return b"#" in block and (block.startswith(b"#") or b"\n#" in block)


def _is_even(block: bytes, layout: Layout, last: pl.Series | None) -> bool:
    """Whether every line has as many fields as it should.

    A shorter one is without the last field. Where none is, separators of a longer one
    would be too many: counting all of them is several times as fast as line by line.
    """
    if b'"' not in block and last is not None and last.null_count() == 0:
        characters = np.frombuffer(block, np.uint8)
        ends, separators = (
            np.count_nonzero(characters == ord(character))
            for character in ("\n", layout.separator)
        )
        lines = ends + (not block.endswith(b"\n"))
        return len(last) == lines and separators == lines * (layout.num_columns - 1)
    if _is_plain(block, layout):
        return True
    return bool((_count_fields(block, layout) == layout.num_columns).all())


def _is_plain(block: bytes, layout: Layout) -> bool:
    """Whether every line has as many fields as it should, and there are no quotes."""
    separator = layout.separator.encode()
    others = bytes(set(range(256)) - set(separator + b'"\n'))
    left = block.translate(None, others) + b"\n" * (not block.endswith(b"\n"))
    line = separator * (layout.num_columns - 1) + b"\n"
    return left == line * (len(left) // len(line))


def _count_fields(
    block: bytes, layout: Layout, *, quotes: bool = True
) -> NDArray[np.int64]:
    """Count the fields of each line; with `quotes`, a quoted field may hold any."""
    characters = np.frombuffer(block, np.uint8)
    is_end, is_separator = (
        characters == ord(character) for character in ("\n", layout.separator)
    )
    if quotes and b'"' in block:
        outside = np.cumsum(characters == ord('"'), dtype=np.uint8) % 2 == 0
        is_end &= outside
        is_separator &= outside
    ends = np.flatnonzero(is_end)
    if len(ends) == 0 or ends[-1] != len(characters) - 1:
        ends = np.append(ends, len(characters))
    upto = np.searchsorted(np.flatnonzero(is_separator), ends)
    return np.diff(upto, prepend=0) + 1


def _without_blanks(frame: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    names = [*layout.numbers, *layout.texts]
    if frame[names[0]].null_count() == 0:
        return frame
    empty = pl.all_horizontal(pl.col(names).is_null())
    return frame.filter(~empty | _any_text_flag(frame))


def _any_text_flag(frame: pl.DataFrame) -> pl.Expr:
    flags = [name for name in frame.columns if name.endswith(_FLAG_SUFFIX)]
    if not flags:
        return pl.lit(value=False)
    return pl.any_horizontal(pl.col(flags).is_not_null())


def number_type(role: str) -> pl.DataType:
    """Give the type of a numeric column: float64 for ``"time"``, else float32."""
    return pl.Float64() if role == "time" else pl.Float32()


def numbers_from_text(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Turn text columns into numbers and the reasons why some are none.

    Parameters
    ----------
    frame : polars.DataFrame
    names : sequence of str
        The text columns.

    Returns
    -------
    frame : polars.DataFrame
        With numbers under the same names, null where there is none. If any is null,
        ``NAME:flag`` is added: ``upper_limit`` for ``>19.5``, ``not_a_number`` for
        other text, else null. Empty text and words such as ``null`` give plain nulls.
    """
    if not names:
        return frame
    texts = frame.select(pl.col(name).str.strip_chars() for name in names)
    frame = frame.with_columns(
        texts.select(
            pl.col(name).cast(number_type(name), strict=False) for name in names
        )
    )
    # Text is rare even where it occurs, and looking at it costs more than reading.
    is_null = [pl.col(name).is_null() for name in names]
    rows = frame.select(pl.arg_where(pl.any_horizontal(is_null))).to_series()
    if rows.is_empty():
        return frame
    reasons = texts[rows].select(
        pl.when(pl.col(name).cast(number_type(name), strict=False).is_null())
        .then(
            pl.when(pl.col(name).str.contains(r"^[<>]"))
            .then(pl.lit("upper_limit"))
            .when(~pl.col(name).str.to_lowercase().is_in(_MISSING_WORDS))
            .then(pl.lit("not_a_number"))
        )
        .alias(name + _FLAG_SUFFIX)
        for name in names
    )
    blank = pl.repeat(None, frame.height, dtype=pl.String, eager=True)
    return frame.with_columns(
        blank.clone().scatter(rows, reason).alias(reason.name) for reason in reasons
    )


def read_text_table(
    path: Path,
    header: Header,
    columns: Mapping[str, int],
    options: ReadOptions,
    *,
    object_id: str | None = None,
    passband: str | pl.Expr,
    class_name: str | None = None,
    extra_numbers: Mapping[str, int] | None = None,
    marks: Mapping[str, pl.Expr] | None = None,
) -> Iterator[ObservationTable]:
    """Read a text table with one observation per row.

    Parameters
    ----------
    path : pathlib.Path
    header : Header
        Where rows begin, how many fields they have, and what separates them.
    columns : mapping of str to int
        Position of each column by role, with at least `NUMBERS`.
    options : ReadOptions
    object_id, passband, class_name : str
        What holds where the file has no such column. Without an `object_id` it is the
        file's name; an expression for `passband` replaces the column.
    extra_numbers : mapping of str to int, optional
        Positions of numeric columns that `marks` use, by name.
    marks : mapping of str to polars.Expr, optional
        See `observation_table`.

    Yields
    ------
    table : ObservationTable
    """
    layout = Layout(
        separator=header.separator,
        num_columns=len(header.names),
        first_line=header.first_line,
        numbers={role: columns[role] for role in NUMBERS} | dict(extra_numbers or {}),
        texts={role: columns[role] for role in columns if role not in NUMBERS},
    )
    if isinstance(passband, str) and "passband" in columns:
        passband = pl.col("passband").fill_null(passband)
    are_whole: dict[str, bool | None] = dict.fromkeys(layout.texts)
    for frame in read_columns(path, layout):
        table = observation_table(
            path,
            _without_point_zero(frame, are_whole),
            object_id=pl.col("object_id") if "object_id" in columns else object_id,
            passband=passband,
            class_name=pl.col("class_name") if "class_name" in columns else class_name,
            marks=marks,
        )
        yield from split_tables(table, options.rows_per_table)


def observation_table(
    source: Path,
    frame: pl.DataFrame,
    *,
    object_id: str | pl.Expr | None = None,
    passband: str | pl.Expr,
    class_name: str | pl.Expr | None = None,
    mag: str = "mag",
    mag_err: str = "mag_err",
    marks: Mapping[str, pl.Expr] | None = None,
) -> ObservationTable:
    """Make the table of a block: flags, days, names.

    Parameters
    ----------
    source : pathlib.Path
        The file that the rows come from.
    frame : polars.DataFrame
        As `read_columns` gives it, with ``time`` and ``line``.
    object_id, passband, class_name : str or polars.Expr
        One value for all rows, or an expression over `frame`. Without an `object_id`
        it is the name of `source`.
    mag, mag_err : str
        Names of the columns with magnitudes and uncertainties [mag].
    marks : mapping of str to polars.Expr, optional
        Further flags with the rows they hold for, most important first. They apply
        to rows that are numbers; the values of ``bad_photometry`` are kept.

    Returns
    -------
    table : ObservationTable
        Times above 2,400,000 are Julian Dates and become Modified Julian Dates.
        Magnitudes and uncertainties whose size is 99 or more are missing, and times of
        -999, -9999 or -99999. A row with several
        reasons gets the first of: ragged line, upper limit, text, missing, not
        finite, marks.
    """
    marks = marks or {}
    names_of_objects = object_name(source) if object_id is None else object_id
    time = pl.col("time")
    days = pl.when(time > _LOWEST_JD).then(time - JD_MINUS_MJD).otherwise(time)
    frame = frame.select(
        _as_text(names_of_objects).alias("object_id"),
        _as_text(passband).fill_null("").alias("passband"),
        days.alias("time"),
        pl.col(mag).alias("mag"),
        pl.col(mag_err).alias("mag_err"),
        _as_text(class_name).alias("class_name"),
        "line",
        *(expression.alias(f"mark:{name}") for name, expression in marks.items()),
        *(name for name in (ROW_FLAG,) if name in frame.columns),
        *(
            pl.col(column + _FLAG_SUFFIX).alias(role + _FLAG_SUFFIX)
            for role, column in (("time", "time"), ("mag", mag), ("mag_err", mag_err))
            if column + _FLAG_SUFFIX in frame.columns
        ),
    )
    good = frame.select(_is_good(frame, marks)).to_series()
    if good.all():
        frame = frame.with_columns(flag=pl.lit(None, pl.String))
    else:
        keep = pl.lit(good) | pl.col("flag").eq_missing(pl.lit("bad_photometry"))
        frame = frame.with_columns(flag=_flag(frame, marks)).with_columns(
            pl.col("object_id").fill_null(""),
            # The fields of a ragged line may have moved, and its time be no time.
            pl.when(
                pl.col("time").is_finite(), pl.col("flag").ne_missing("ragged_line")
            ).then("time"),
            pl.when(keep).then(pl.col("mag", "mag_err")),
        )
    return ObservationTable(
        source,
        frame.select(OBSERVATION_SCHEMA.names()),
        named_by_file=object_id is None,
    )


def _as_text(value: str | pl.Expr | None) -> pl.Expr:
    return value if isinstance(value, pl.Expr) else pl.lit(value, pl.String)


def _is_code(value: pl.Expr) -> pl.Expr:
    return value.is_finite() & (value.abs() >= MISSING_MAG)


def _is_good(frame: pl.DataFrame, marks: Mapping[str, pl.Expr]) -> pl.Expr:
    # NaN compares as larger than every number, so one test finds codes and NaN.
    measured = [pl.col(name).abs() < MISSING_MAG for name in ("mag", "mag_err")]
    timed = [pl.col("time").is_finite()]
    if frame.select(pl.col("time").min() <= max(_TIME_CODES)).item():
        timed.append(~pl.col("time").is_in(_TIME_CODES))
    good = pl.all_horizontal(
        *timed, *measured, pl.col("object_id").is_not_null()
    ).fill_null(value=False)
    for name in marks:
        good &= ~pl.col(f"mark:{name}").fill_null(value=False)
    return good & ~_any_text_flag(frame)


def _flag(frame: pl.DataFrame, marks: Mapping[str, pl.Expr]) -> pl.Expr:
    values = pl.col("time", "mag", "mag_err")
    texts = [name for name in frame.columns if name.endswith(_FLAG_SUFFIX)]
    reasons = [
        (name, pl.any_horizontal(pl.col(texts) == name))
        for name in _TEXT_FLAGS
        if texts
    ]
    missing = pl.any_horizontal(
        values.is_null(),
        pl.col("object_id").is_null(),
        _is_code(pl.col("mag", "mag_err")),
        pl.col("time").is_in(_TIME_CODES),
    )
    reasons += [
        ("missing_value", missing),
        ("not_finite", ~pl.all_horizontal(values.is_finite())),
        *((name, pl.col(f"mark:{name}")) for name in marks),
    ]
    return pl.coalesce(
        pl.when(holds.fill_null(value=False)).then(pl.lit(name))
        for name, holds in reasons
    )


def split_tables(table: ObservationTable, rows: int) -> Iterator[ObservationTable]:
    """Cut a table into tables of at most so many rows; an empty one gives none."""
    for frame in table.frame.iter_slices(rows):
        yield dataclasses.replace(table, frame=frame)


def known_classes(class_name: pl.Series) -> pl.Series:
    """Make null what stands for an unknown class, such as ``nan`` or nothing.

    Parameters
    ----------
    class_name : polars.Series
        Class names.

    Returns
    -------
    class_name : polars.Series
        The same length, without the words in any case.
    """
    names = class_name.drop_nulls().unique().to_list()
    unknown = [name for name in names if name.strip().lower() in _UNKNOWN_CLASSES]
    return class_name.replace(unknown, [None] * len(unknown)) if unknown else class_name


def count_flags(frame: pl.DataFrame) -> dict[str, int]:
    """Count the flagged rows of an observation table.

    Parameters
    ----------
    frame : polars.DataFrame
        Rows with the columns `OBSERVATION_SCHEMA`.

    Returns
    -------
    counts : dict of str to int
        Rows by flag, for the flags that occur, in alphabetical order.
    """
    if frame["flag"].null_count() == frame.height:
        return {}
    flags = frame.select(pl.col("flag").drop_nulls())
    return dict(flags.group_by("flag").len().sort("flag").iter_rows())


def read_or_skip(
    path: Path, options: ReadOptions, read: Callable[[], Iterator[ObservationTable]]
) -> Iterator[ObservationTable]:
    """Read a file, or say why it cannot be read where `options` allow that.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    options : ReadOptions
        With `max_unreadable` above 0, nothing comes from a file that cannot be read
        to its end. So its tables wait until that is certain; a file of more rows than
        `rows_per_table` is not held but read twice.
    read : callable
        Reads the file.

    Yields
    ------
    table : ObservationTable
        Those of the file, or a single one with the error.
    """
    if not options.max_unreadable:
        yield from read()
        return
    held: list[ObservationTable] = []
    rows = 0
    try:
        for table in read():
            if table.source != path:
                # A file that this one lists; it is whole or an error by itself.
                yield table
                continue
            rows += table.frame.height
            held.append(table)
            if rows > options.rows_per_table:
                held.clear()
    except SurveyError as error:
        rule = str(error).partition(" Received:")[0]
        yield ObservationTable(path, OBSERVATION_SCHEMA.to_frame(), error=rule)
        return
    yield from held if rows <= options.rows_per_table else read()


def checked(read: _Read[P]) -> _Read[P]:
    """Give a reader the guarantees that all readers share.

    Damage that a library reports becomes a `SurveyError` that names the file. A file
    without rows, or without a single row of numbers, is refused.

    Parameters
    ----------
    read : callable
        Yields the tables of one file, given its path and further arguments.

    Returns
    -------
    read : callable
        The same with the checks.
    """

    @functools.wraps(read)
    def wrapper(
        path: Path, /, *args: P.args, **kwargs: P.kwargs
    ) -> Iterator[ObservationTable]:
        num_rows = 0
        first_bad: int | None = None
        readable = False
        with explain_damage(path):
            for table in read(path, *args, **kwargs):
                num_rows += table.frame.height
                if not readable and table.error is None:
                    is_text = pl.col("flag").is_in(["ragged_line", "not_a_number"])
                    readable = not table.frame.select(
                        is_text.fill_null(value=False).all()
                    ).item()
                    if first_bad is None:
                        first_bad = table.frame["line"][0]
                yield table
        if num_rows == 0:
            raise SurveyError(
                f"The file holds no observations. Received: path={path}, 0 rows. "
                "Leave it out, or get it again."
            )
        if not readable:
            raise SurveyError(
                "No row of the file holds numbers in the columns that it should. "
                f"Received: path={path}, {num_rows} rows of text or with another number "
                f"of fields, the first at line {first_bad}. "
                f"{_quote(path, first_bad)}Check the format and which columns are read."
            )

    return wrapper


def _quote(path: Path, line: int | None) -> str:
    """Show a line near the start of a text file, and what may be wrong with it."""
    lines: list[str] = []
    with contextlib.suppress(SurveyError):
        lines = leading_lines(path)
    if line is None or line > len(lines):
        return ""
    text = lines[line - 1].strip()
    shown = text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "..."
    hint = ""
    for field in re.split(r"[;\t| ]+", text):
        if re.fullmatch(r"[+-]?\d+,\d+", field):
            hint = f" ({field}: a decimal comma? Numbers need a point)"
            break
    if date := re.search(r"\d{4}-\d\d-\d\d", text):
        hint = f" ({date.group()}: a date? Times are days, such as MJD)"
    return f'It reads "{shown}"{hint}. '
