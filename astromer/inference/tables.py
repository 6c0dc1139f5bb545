"""Results to files: Parquet, CSV or NPZ, as the suffix says."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from astromer.errors import ConfigError
from astromer.outputs import check_output, whole_file

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = [
    "SUFFIXES",
    "Table",
    "check_result",
    "read_table",
    "write_parts",
    "write_table",
]

SUFFIXES = (".parquet", ".csv", ".npz")


class Table:
    """A dataclass of equally long arrays: as a frame, or as a file."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns().values())))

    def __repr__(self) -> str:
        names = ", ".join(
            name if values.ndim == 1 else f"{name} of {values.shape[1]} values"
            for name, values in self.columns().items()
        )
        return f"{type(self).__name__}({len(self)} rows: {names})"

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, in order."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {field.name: getattr(self, field.name) for field in fields}

    def to_pandas(self) -> pd.DataFrame:
        """Return a frame with a row per element; vectors are one column of arrays.

        Returns
        -------
        frame : pandas.DataFrame
        """
        import pandas as pd

        return pd.DataFrame(
            {
                name: values if values.ndim == 1 else list(values)
                for name, values in self.columns().items()
            }
        )

    def write(self, path: str | Path) -> Path:
        """Write a file; see `write_table`.

        Parameters
        ----------
        path : str or pathlib.Path
            Ends in ``.parquet``, ``.csv`` or ``.npz``.

        Returns
        -------
        path : pathlib.Path

        Raises
        ------
        ConfigError
            If the suffix is another one.
        """
        return write_table(path, self.columns())


def check_suffix(path: str | Path) -> Path:
    """Return the path if its suffix is one of `SUFFIXES`, else raise ConfigError."""
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ConfigError(
            f"A result ends in {', '.join(SUFFIXES)}. Received: path={path}."
        )
    return path


def check_result(path: str | Path) -> Path:
    """Return the path if a result can be written there, else raise ConfigError."""
    return check_output(check_suffix(path))


def write_table(path: str | Path, columns: Mapping[str, NDArray[Any]]) -> Path:
    """Write equally long columns; two-dimensional ones hold a vector per row.

    Parameters
    ----------
    path : str or pathlib.Path
        Ends in ``.parquet`` (vectors as fixed-size lists), ``.csv`` (a column per
        channel, ``name_0``, ``name_1``, ...) or ``.npz`` (an array per column).
    columns : mapping
        Arrays of shape ``(n,)`` or ``(n, dim)`` by name.

    Returns
    -------
    path : pathlib.Path

    Raises
    ------
    ConfigError
        If the suffix is another one, or the file cannot be written.
    """
    path = check_result(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as made:
        if path.suffix == ".npz":
            np.savez(made, allow_pickle=False, **columns)
        elif path.suffix == ".parquet":
            _frame(columns, flat=False).write_parquet(made)
        else:
            _frame(columns, flat=True).write_csv(made)
    return path


def read_table(
    path: str | Path, texts: Sequence[str], numbers: Sequence[str], vectors: str
) -> dict[str, NDArray[Any]]:
    """Read columns of a file that `write_table` or `write_parts` has written.

    Parameters
    ----------
    path : str or pathlib.Path
        Its suffix says what it is; see `write_table`.
    texts, numbers : sequence of str
        Columns to read, with a text or a number per row.
    vectors : str
        Column that holds a vector per row.

    Returns
    -------
    columns : dict of numpy.ndarray
        Arrays of shape ``(n,)``, and of ``(n, dim)`` in float32, by name.

    Raises
    ------
    ConfigError
        If there is no such file, it cannot be read, or a column is missing.
    """
    path = check_suffix(path)
    if not path.is_file():
        raise ConfigError(f"The file does not exist. Received: path={path}.")
    names = (*texts, *numbers, vectors)
    try:
        if path.suffix == ".npz":
            with (
                open(path, "rb") as stream,
                np.load(stream, allow_pickle=False) as file,
            ):
                columns = {name: file[name] for name in names}
        else:
            columns = _read_columns(path, texts, numbers, vectors)
    except (KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"The file must hold the columns {', '.join(names)}, as `astromer embed` "
            f"writes them. Received: path={path} ({error})."
        ) from error
    if not np.isfinite(columns[vectors]).all():
        raise ConfigError(
            "All vectors must be finite; the file may have been cut. "
            f"Received: path={path}. Write it again."
        )
    return columns


def write_parts(path: str | Path, parts: Iterable[Table]) -> int:
    """Write tables of the same kind as one, without holding more than one of them.

    Parameters
    ----------
    path : str or pathlib.Path
        As for `write_table`; the arrays of an ``.npz`` are held whole.
    parts : iterable of Table
        At least one.

    Returns
    -------
    number : int
        Rows in all.

    Raises
    ------
    ConfigError
        If the suffix is another one, or the file cannot be written.
    """
    path = check_result(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        columns = [part.columns() for part in parts]
        whole = {
            name: np.concatenate([part[name] for part in columns])
            for name in columns[0]
        }
        write_table(path, whole)
        return len(next(iter(whole.values())))
    import polars as pl

    number = 0
    with whole_file(path) as made:
        if path.suffix == ".csv":
            with open(made, "wb") as stream:
                for part in parts:
                    frame = _frame(part.columns(), flat=True)
                    frame.write_csv(stream, include_header=number == 0)
                    number += len(frame)
        else:
            pieces: list[Path] = []
            for part in parts:
                frame = _frame(part.columns(), flat=False)
                pieces.append(made.with_name(f"part-{len(pieces)}"))
                frame.write_parquet(pieces[-1])
                number += len(frame)
            pl.scan_parquet(pieces, glob=False).sink_parquet(made, maintain_order=True)
    return number


def _read_columns(
    path: Path, texts: Sequence[str], numbers: Sequence[str], vectors: str
) -> dict[str, NDArray[Any]]:
    import polars as pl

    try:
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path, glob=False)
            column = frame[vectors]
            if column.dtype == pl.List:
                column = column.list.to_array(len(column[0]) if len(column) else 0)
            values = column.to_numpy()
        else:
            # A name may look like a number, and begin with zeros.
            types = dict.fromkeys(texts, pl.String)
            frame = pl.read_csv(path, schema_overrides=types, glob=False)
            values = frame.select(pl.col(rf"^{vectors}_\d+$")).to_numpy()
            if values.shape[1] == 0:
                raise ValueError(f"no column {vectors}_0")
        columns = {name: frame[name].fill_null("").to_numpy() for name in texts}
        columns |= {name: frame[name].to_numpy() for name in numbers}
    except pl.exceptions.PolarsError as error:
        raise ValueError(str(error)) from error
    columns |= {name: columns[name].astype(str) for name in texts}
    return columns | {vectors: values.astype(np.float32)}


def _frame(columns: Mapping[str, NDArray[Any]], *, flat: bool) -> pl.DataFrame:
    """Return a frame in which vectors are fixed-size lists or, flat, many columns."""
    import polars as pl

    series: list[pl.Series] = []
    for name, values in columns.items():
        if values.ndim == 1:
            plain = values.tolist() if values.dtype.kind == "U" else values
            series.append(pl.Series(name, plain))
        elif not flat:
            dtype = pl.Array(pl.Float32, values.shape[1])
            series.append(pl.Series(name, values, dtype=dtype))
        else:
            series += [
                pl.Series(f"{name}_{channel}", values[:, channel])
                for channel in range(values.shape[1])
            ]
    return pl.DataFrame(series)
