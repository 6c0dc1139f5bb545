"""Results to files: Parquet, CSV or NPZ, as the suffix says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from astromer.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["SUFFIXES", "Table", "check_suffix", "write_table"]

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
        If the suffix is another one.
    """
    path = check_suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        with open(path, "wb") as stream:
            np.savez(stream, allow_pickle=False, **columns)
        return path
    import polars as pl

    series: list[pl.Series] = []
    for name, values in columns.items():
        if values.ndim == 1:
            plain = values.tolist() if values.dtype.kind == "U" else values
            series.append(pl.Series(name, plain))
        elif path.suffix == ".parquet":
            dtype = pl.Array(pl.Float32, values.shape[1])
            series.append(pl.Series(name, values, dtype=dtype))
        else:
            series += [
                pl.Series(f"{name}_{channel}", values[:, channel])
                for channel in range(values.shape[1])
            ]
    frame = pl.DataFrame(series)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path)
    return path
