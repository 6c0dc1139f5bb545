"""Class per object from a file, for surveys whose files do not carry one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

import polars as pl

from astromer.errors import ConfigError

__all__ = ["Labels", "read_labels"]

OBJECT_COLUMNS: Final = ("object_id", "id", "objectid", "object", "name")
CLASS_COLUMNS: Final = ("class_name", "class", "label", "type")


@dataclasses.dataclass(slots=True)
class Labels:
    """Classes by object, and which of them met an object."""

    table: pl.DataFrame
    """Columns `object_id` and `given`, one row per object."""
    seen: set[int] = dataclasses.field(default_factory=set)
    """Rows of `table` that met an object so far."""

    def attach(self, curves: pl.DataFrame) -> pl.DataFrame:
        """Set `class_name` of light curves that have a label; keep the others'.

        Parameters
        ----------
        curves : polars.DataFrame
            With columns `object_id`, `class_name` and `conflict`; see `Block`.

        Returns
        -------
        curves : polars.DataFrame
            The same rows and columns. A label settles a conflict.
        """
        joined = curves.join(
            self.table.with_row_index("row"),
            on="object_id",
            how="left",
            maintain_order="left",
        )
        self.seen.update(joined["row"].drop_nulls().unique().to_list())
        return joined.with_columns(
            pl.coalesce("given", "class_name").alias("class_name"),
            pl.col("conflict") & pl.col("given").is_null(),
        ).select(curves.columns)

    @property
    def num_without_object(self) -> int:
        """Labels for which the input holds no object."""
        return self.table.height - len(self.seen)


def read_labels(path: Path) -> Labels:
    """Read a CSV or Parquet file of classes by object.

    Parameters
    ----------
    path : pathlib.Path
        The object column is called `object_id`, `ID` or the like
        (`OBJECT_COLUMNS`), the class column `class_name`, `class`, `label` or
        `type`, in any case. Empty classes are unknown.

    Returns
    -------
    labels : Labels

    Raises
    ------
    ConfigError
        If the file cannot be read, lacks a column, or names two classes for one
        object.
    """
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            table = pl.read_parquet(path)
        else:
            # Everything as text: an identifier such as 007 is not a number.
            table = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ConfigError(
            "`labels` must be a CSV or Parquet file. "
            f"Received: labels={path} ({type(error).__name__}: {error})."
        ) from error
    object_column = _find_column(path, table, "object", OBJECT_COLUMNS)
    class_column = _find_column(path, table, "class", CLASS_COLUMNS)
    table = (
        table.select(
            pl.col(column)
            .cast(pl.String)
            .str.strip_chars()
            .replace("", None)
            .alias(name)
            for name, column in (("object_id", object_column), ("given", class_column))
        )
        .drop_nulls()
        .unique(maintain_order=True)
    )
    double = table.filter(pl.col("object_id").is_duplicated())
    if double.height:
        name = double["object_id"][0]
        classes = double.filter(pl.col("object_id") == name)["given"].to_list()
        raise ConfigError(
            f"An object has one class. Received: labels={path}, "
            f"object_id={name}, classes={classes}. Keep one row per object."
        )
    return Labels(table)


def _find_column(
    path: Path, table: pl.DataFrame, role: str, names: tuple[str, ...]
) -> str:
    by_lower = {name.strip().lower(): name for name in reversed(table.columns)}
    for name in names:
        if name in by_lower:
            return by_lower[name]
    raise ConfigError(
        f"`labels` needs a column with the {role}: one of {', '.join(names)}. "
        f"Received: labels={path}, columns={table.columns}. Rename the column."
    )
