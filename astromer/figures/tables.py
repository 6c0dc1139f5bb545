"""Tables as figures take them: a frame, a mapping of columns, or a list of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astromer.errors import ConfigError

__all__ = ["TableLike", "column_names", "columns_of", "distinct", "numbers", "spread"]

TableLike = Any
"""A pandas or polars frame, a mapping of columns, or a sequence of rows by name."""


def column_names(table: TableLike) -> list[str]:
    """Return the names of a table's columns.

    Parameters
    ----------
    table : frame, mapping or sequence of mappings
        See `columns_of`.

    Returns
    -------
    names : list of str
    """
    if hasattr(table, "columns"):
        return [str(name) for name in table.columns]
    if isinstance(table, Mapping):
        return [str(name) for name in table]
    return [str(name) for name in distinct(name for row in table for name in row)]


def columns_of(
    table: TableLike, needed: Iterable[str], optional: Iterable[str] = ()
) -> dict[str, NDArray[Any]]:
    """Return columns of a table as arrays of one length.

    Parameters
    ----------
    table : frame, mapping or sequence of mappings
        A pandas or polars frame; columns by name; or rows, such as those of a
        benchmark's ``results.json``.
    needed, optional : iterable of str
        Names of columns; of the optional, those that exist are returned.

    Returns
    -------
    columns : dict of numpy.ndarray, shape (n,)

    Raises
    ------
    ConfigError
        If a needed column is missing, the table has no rows, or columns differ in
        length.
    """
    needed = list(needed)
    names = column_names(table)
    missing = [name for name in needed if name not in names]
    if missing:
        raise ConfigError(
            f"The table needs the columns {', '.join(needed)}. Received: "
            f"columns={sorted(names)}; missing: {', '.join(missing)}."
        )
    chosen = {
        name: _column(table, name) for name in [*needed, *optional] if name in names
    }
    lengths = {name: len(values) for name, values in chosen.items()}
    if len(set(lengths.values())) != 1 or not all(lengths.values()):
        raise ConfigError(
            "The columns of a table must have one length, of at least one row. "
            f"Received: {', '.join(f'len({k})={v}' for k, v in lengths.items())}."
        )
    return chosen


def numbers(name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return a column as numbers, NaN where there is none.

    Parameters
    ----------
    name : str
        Name of the column.
    values : numpy.ndarray, shape (n,)

    Returns
    -------
    numbers : numpy.ndarray, shape (n,), float64

    Raises
    ------
    ConfigError
        If a value is no number.
    """
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"`{name}` must hold numbers. Received: {name} that is not ({error})."
        ) from error


def distinct(values: Iterable[Any]) -> list[Any]:
    """Return values without repeats, in order of first appearance."""
    return list(dict.fromkeys(values))


def spread(values: NDArray[np.float64]) -> float:
    """Return the standard deviation of a sample; NaN, which draws no bar, of one.

    Parameters
    ----------
    values : numpy.ndarray, shape (n,)

    Returns
    -------
    deviation : float
        With n - 1 degrees of freedom.
    """
    deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return deviation or float("nan")


def _column(table: TableLike, name: str) -> NDArray[Any]:
    if hasattr(table, "columns"):
        values: NDArray[Any] = table[name].to_numpy()
        return values
    if isinstance(table, Mapping):
        return np.asarray(table[name])
    # Object by object: rows may lack a value, or hold lists.
    values = np.empty(len(table), dtype=object)
    values[:] = [row.get(name) for row in table]
    return values
