"""Survey files on disk: finding them, opening them, cutting them into blocks.

Compression, headers and damage are dealt with here, so that the readers see only
blocks of whole lines. A file is never held in memory as a whole.
"""

from __future__ import annotations

import collections
import contextlib
import csv
import dataclasses
import fnmatch
import glob
import gzip
import mmap
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias, cast

import polars as pl

from astromer.errors import SurveyError

__all__ = [
    "HEAD_BYTES",
    "WHITESPACE",
    "Header",
    "Inputs",
    "expand_inputs",
    "explain_damage",
    "find_header",
    "guess_separator",
    "is_number",
    "iterate_blocks",
    "leading_lines",
    "object_name",
    "read_head",
    "split_line",
    "split_lines",
    "title_line",
    "untitled_header",
]

Inputs: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""One or several files, folders or glob strings."""

HEAD_BYTES: Final = 4096
"""How much of a file (decompressed) its format is detected from."""

WHITESPACE: Final = " "
"""The separator that stands for any run of blanks and tabs."""

_RECORDS: Final = (
    ("manifest.json", b'"format": "astromer records"'),
    (".work/plan.json", b""),
)
"""Files, and what they hold, in a folder of records, finished or not."""

_BLOCK_BYTES: Final = 16 << 20
_HEADER_BYTES: Final = 64 << 10
_MOST_QUOTED_LINES: Final = 1000
_GZIP_MAGIC: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_FILE_TYPE: Final = re.compile(
    r"(\.(csv|tsv|txt|dat|mjd|ecsv|parquet|pq|tbl|asc|ascii|lc|phot))?(\.gz)?$",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf)", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True, slots=True)
class Header:
    """Names of the columns of a text table, and where its rows begin."""

    names: tuple[str, ...]
    """Column names as written, without blanks around them."""
    separator: str
    """One character, or `WHITESPACE`."""
    first_line: int
    """Line of the first row, from 1."""


@contextlib.contextmanager
def explain_damage(path: Path) -> Iterator[None]:
    """Turn what libraries raise on a damaged file into a `SurveyError`.

    Parameters
    ----------
    path : pathlib.Path
        The file that is being read.

    Raises
    ------
    SurveyError
        Names the file; says whether it is missing, cut short, or not what it
        seems to be.
    """
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SurveyError(
            "The compressed file is damaged or cut short. "
            f"Received: path={path} ({error}). Download or copy it again."
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise SurveyError(
            f"The file cannot be read: {reason}. Received: path={path}. "
            "Check the path and its permissions."
        ) from error
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise SurveyError(
            f"The file is damaged or not the text it seems to be: {reason}. "
            f"Received: path={path}. Check its format, or save it as UTF-8 text."
        ) from error


def read_head(path: Path, size: int = HEAD_BYTES) -> bytes:
    """Read the first bytes of a file, decompressed.

    Parameters
    ----------
    path : pathlib.Path
    size : int
        How many bytes to read at most.

    Returns
    -------
    head : bytes
        Shorter than `size` if the file is; without a byte order mark.

    Raises
    ------
    SurveyError
        If the file is missing, empty, or its compression is damaged.
    """
    with explain_damage(path), _open(path) as stream:
        head = stream.read(size)
    if not head:
        raise SurveyError(
            f"The file is empty. Received: path={path}, 0 bytes. "
            "Leave it out, or get it again."
        )
    return head


def leading_lines(path: Path) -> list[str]:
    """Read the complete lines at the start of a text file.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    lines : list of str
        The lines within the first 64 KiB; at least one.

    Raises
    ------
    SurveyError
        If the file is missing, empty, damaged or not text.
    """
    head = read_head(path, _HEADER_BYTES)
    if b"\0" in head:
        raise SurveyError(
            f"The file is binary, not text. Received: path={path}. "
            "Text, gzipped text and Parquet can be read."
        )
    if len(head) == _HEADER_BYTES and b"\n" in head:
        head = head[: head.rfind(b"\n")]
    if b"\r" in head and b"\n" not in head:
        raise SurveyError(
            "Lines must end in a line feed. Received: "
            f"path={path}, where carriage returns stand alone. "
            "Save it with line ends of Unix or Windows."
        )
    with explain_damage(path):
        return split_lines(head.decode())


def split_lines(text: str | bytes) -> list[str]:
    """Cut text into lines where its reader does, which is at line feeds alone.

    Parameters
    ----------
    text : str or bytes
        What is no UTF-8 in bytes is replaced.

    Returns
    -------
    lines : list of str
        Without carriage returns at their ends.
    """
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    # str.splitlines also cuts at form feeds and other signs that a comment may hold.
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.rstrip("\r") for line in lines]


def title_line(lines: Sequence[str]) -> str:
    """Return the first line that is neither blank nor a comment; empty if none is."""
    return next((line for line in lines if line.strip() and line[0] != "#"), "")


def find_header(path: Path) -> Header:
    """Take the first line that is neither blank nor a comment as column names.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    header : Header
        The separator is the most frequent of comma, semicolon, tab and bar,
        else `WHITESPACE`.

    Raises
    ------
    SurveyError
        If the file is missing, empty, damaged, not text, or all comments.
    """
    for number, line in enumerate(leading_lines(path), start=1):
        if line.strip() and not line.startswith("#"):
            separator = guess_separator(line)
            return Header(tuple(split_line(line, separator)), separator, number + 1)
    raise SurveyError(
        f"The file holds only comments. Received: path={path}. "
        "Its first line without # must name the columns."
    )


def untitled_header(
    names: Sequence[str], separator: str, lines: Sequence[str], first: int
) -> Header:
    """Describe rows whose columns no line names: as many as the first row has.

    Parameters
    ----------
    names : sequence of str
        What the leading columns are, at least.
    separator : str
        One character, or `WHITESPACE`.
    lines : sequence of str
        The lines at the start of the file.
    first : int
        Position of the first row in `lines`.

    Returns
    -------
    header : Header
        Further columns have empty names.
    """
    fields = split_line(lines[first], separator) if first < len(lines) else []
    unnamed = ("",) * (len(fields) - len(names))
    return Header((*names, *unnamed), separator, first + 1)


def guess_separator(line: str) -> str:
    """Guess what separates the fields of a line: a character or `WHITESPACE`."""
    bare = re.sub(r'"[^"]*"', "", line)
    best = max(",;\t|", key=bare.count)
    return best if best in bare else WHITESPACE


def split_line(line: str, separator: str) -> list[str]:
    """Split a line into fields without blanks or quotes around them."""
    if separator == WHITESPACE:
        return line.split()
    fields = next(csv.reader([line.replace("\r", " ")], delimiter=separator), [])
    return [field.strip() for field in fields]


def is_number(text: str) -> bool:
    """Whether a field is written as a number; NaN and infinity count."""
    return _NUMBER.fullmatch(text.strip()) is not None


def object_name(path: Path) -> str:
    """Name the object of a single-object file: the file name without its type.

    Only a known type is taken off: what follows the last dot of ``NGC.104`` is a part
    of the name.
    """
    return _FILE_TYPE.sub("", path.name) or path.name


def iterate_blocks(path: Path, first_line: int) -> Iterator[bytes]:
    """Cut a text file into blocks of whole lines of about 16 MiB.

    Parameters
    ----------
    path : pathlib.Path
        A plain or gzipped file.
    first_line : int
        Line to begin with, from 1.

    Yields
    ------
    block : bytes
        Never empty.

    Raises
    ------
    SurveyError
        If a plain file becomes shorter meanwhile.
    """
    with _open(path) as stream:
        for _ in range(first_line - 1):
            stream.readline()
        if _is_gzip(path):
            yield from _stream_blocks(stream)
        else:
            yield from _mapped_blocks(path, stream)


def _mapped_blocks(path: Path, stream: BinaryIO) -> Iterator[bytes]:
    # Slices of a map are copied once; reading and joining costs twice that.
    start = stream.tell()
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
        while start < len(view):
            # The system ends a process that looks at what is mapped and gone.
            size = os.fstat(stream.fileno()).st_size
            if size < len(view):
                raise SurveyError(
                    "The file became shorter while it was read. Received: "
                    f"path={path}, {size} of {len(view)} bytes. Read it again when "
                    "nothing writes it."
                )
            end = min(start + _BLOCK_BYTES, len(view))
            if end < len(view):
                end = view.rfind(b"\n", start, end) + 1 or view.find(b"\n", end) + 1
            if end <= start:
                end = len(view)
            view.seek(end)
            yield _with_open_quote(view[start:end], view)
            end = view.tell()
            _forget(view, start, end)
            start = end


def _forget(view: mmap.mmap, start: int, end: int) -> None:
    """Let go of pages that were read: they would count as this process's memory."""
    if hasattr(mmap, "MADV_DONTNEED"):
        first = start - start % mmap.PAGESIZE
        view.madvise(mmap.MADV_DONTNEED, first, end - first)


def _stream_blocks(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(_BLOCK_BYTES):
        yield _with_open_quote(block + stream.readline(), stream)


def _with_open_quote(block: bytes, rest: BinaryIO | mmap.mmap) -> bytes:
    """Add the lines up to the end of a quoted text with line ends in it.

    A quote that never ends, such as a mark of inches, costs some lines more.
    """
    is_open = b'"' in block and block.count(b'"') % 2 == 1
    lines = [block]
    while is_open and len(lines) <= _MOST_QUOTED_LINES and (line := rest.readline()):
        lines.append(line)
        is_open = line.count(b'"') % 2 == 0
    return b"".join(lines)


def expand_inputs(inputs: Inputs, patterns: Sequence[str]) -> list[Path]:
    """List the files that the inputs stand for, each once.

    Parameters
    ----------
    inputs : path, str, or iterable of them
        Files are taken as they are; folders are searched with all that is in
        them and is not hidden, also behind links; strings with ``*``, ``?`` or ``[``
        are globs (``**`` crosses folders). What lies in a folder of records is found
        by neither.
    patterns : sequence of str
        Patterns of file names to look for in folders, whatever their case; ``.gz``
        may follow them.

    Returns
    -------
    paths : list of pathlib.Path
        In the order of the inputs, sorted within a folder or glob.

    Raises
    ------
    SurveyError
        If an input does not exist, is a pipe, or matches no file.
    """
    single = isinstance(inputs, str | os.PathLike)
    items = [inputs] if single else list(cast("Iterable[str]", inputs))
    if not items:
        raise SurveyError(
            "At least one input is needed. Received: inputs=[]. "
            "Name a file, a folder or a glob."
        )
    # A dictionary keeps the first of equal paths and the order.
    found: dict[Path, None] = {}
    for item in items:
        for path in _expand(os.fspath(cast("str", item)), patterns):
            found.setdefault(path)
    if not found:
        raise SurveyError(
            "Survey files are read, not the records made from them. Received: "
            f"inputs={[os.fspath(cast('str', item)) for item in items]}, with nothing "
            "but records. Name the survey's own files."
        )
    return list(found)


def _expand(item: str, patterns: Sequence[str]) -> list[Path]:
    path = Path(item)
    if path.is_dir():
        return _search(path, patterns)
    if path.is_file():
        return [path]
    if path.exists():
        raise SurveyError(
            "A pipe cannot be read, as its beginning is read more than once. "
            f"Received: path={item}, which is no file. Save what it gives to one."
        )
    if not glob.has_magic(item):
        raise SurveyError(
            f"The input does not exist. Received: path={item}. Check its spelling."
        )
    # Path.glob takes no absolute pattern.
    found = glob.glob(item, recursive=True)  # noqa: PTH207
    matches = [Path(match) for match in sorted(found)]
    paths: list[Path] = []
    records: dict[Path, bool] = {}
    for match in matches:
        if match.is_dir():
            paths.extend(_search(match, patterns))
            continue
        if match.parent not in records:
            records[match.parent] = _holds_records(match.parent)
        if not records[match.parent]:
            paths.append(match)
    if not matches:
        raise SurveyError(
            f"The glob matches no file. Received: {item}. Check its spelling."
        )
    return paths


def _search(folder: Path, patterns: Sequence[str]) -> list[Path]:
    wanted = [p.lower() for p in (*patterns, *(f"{p}.gz" for p in patterns))]
    paths = sorted(
        path
        for path in _walk(folder)
        if any(fnmatch.fnmatchcase(path.name.lower(), pattern) for pattern in wanted)
        and path.is_file()
    )
    if not paths and not _holds_records(folder):
        raise SurveyError(
            "The folder holds no survey files. "
            f"Received: folder={folder}; looked for: {', '.join(patterns)}. "
            "Name the files themselves, or another survey."
        )
    return paths


def _walk(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder and is no folder; nothing hidden, nothing twice."""
    seen: set[Path] = set()
    # Links come last, so that files keep the names that they have without them.
    waiting = collections.deque([folder])
    while waiting:
        for name, folders, files in os.walk(waiting.popleft()):
            here = Path(name)
            real = here.resolve()
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            waiting.extend(here / f for f in folders if (here / f).is_symlink())
            if not _holds_records(here):
                yield from (here / file for file in files if not file.startswith("."))


def _holds_records(folder: Path) -> bool:
    """Whether a conversion writes into a folder, or has."""
    for name, mark in _RECORDS:
        with contextlib.suppress(OSError), open(folder / name, "rb") as stream:
            if mark in stream.read(HEAD_BYTES):
                return True
    return False


def _is_gzip(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC


@contextlib.contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """Open a plain or gzipped file, whatever its name says, after the mark."""
    with gzip.open(path) if _is_gzip(path) else open(path, "rb") as opened:
        stream = cast("BinaryIO", opened)
        if stream.read(len(_BYTE_ORDER_MARK)) != _BYTE_ORDER_MARK:
            stream.seek(0)
        yield stream
