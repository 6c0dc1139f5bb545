"""Class per object from a file, for surveys whose files do not carry one."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from astromer.errors import ConfigError, SurveyError
from astromer.surveys.parsing import known_classes, read_texts

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
    """Read a table of classes by object: text, as surveys have it, or Parquet.

    Parameters
    ----------
    path : pathlib.Path
        The object column is called `object_id`, `ID` or the like
        (`OBJECT_COLUMNS`), the class column `class_name`, `class`, `label` or
        `type`, in any case. Empty classes are unknown, and words such as ``nan``.

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
            table = pl.read_parquet(path, glob=False)
            found = _find_columns(path, table.columns)
            table = table.select(
                pl.nth(place).cast(pl.String).alias(name)
                for name, place in found.items()
            )
        else:
            table = read_texts(path, functools.partial(_find_columns, path))
    except SurveyError as error:
        raise ConfigError(f"`labels` must be a CSV or Parquet file. {error}") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(
            "`labels` must be a CSV or Parquet file. "
            f"Received: labels={path} ({reason}). Check the file."
        ) from error
    names = pl.col("object_id", "given").str.strip_chars().replace("", None)
    table = table.select(names)
    table = (
        table.with_columns(known_classes(table["given"]))
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


def _find_columns(path: Path, names: Sequence[str]) -> dict[str, int]:
    return {
        "object_id": _find_column(path, names, "object", OBJECT_COLUMNS),
        "given": _find_column(path, names, "class", CLASS_COLUMNS),
    }


def _find_column(
    path: Path, names: Sequence[str], role: str, wanted: tuple[str, ...]
) -> int:
    lower = [name.strip().lower() for name in names]
    for name in wanted:
        if name in lower:
            return lower.index(name)
    raise ConfigError(
        f"`labels` needs a column with the {role}: one of {', '.join(wanted)}. "
        f"Received: labels={path}, columns={list(names)}. Rename the column."
    )
