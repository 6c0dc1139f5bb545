"""Results to files: Parquet, CSV or NPZ, as the suffix says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from astromer.errors import ConfigError

__all__ = ["SUFFIXES", "check_suffix", "write_table"]

SUFFIXES = (".parquet", ".csv", ".npz")


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
