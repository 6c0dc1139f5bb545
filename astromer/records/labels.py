"""Class per object from a file, for surveys whose files do not carry one."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from astromer.columns import ALIASES, match_columns
from astromer.errors import ConfigError, SurveyError
from astromer.surveys.parsing import known_classes, names_as_texts, read_texts

__all__ = ["Labels", "read_labels"]

_ROLES: Final = {"object_id": ("object_id", "object"), "given": ("class_name", "class")}
"""Column of `Labels.table`: its role, a key of `ALIASES`, and what it names."""
_NUM_SHOWN: Final = 2
"""Names of each side that are shown where none is on both."""
_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(slots=True)
class Labels:
    """Classes by object, and which of them met an object."""

    table: pl.DataFrame
    """Columns `object_id` and `given`, one row per object."""
    seen: set[int] = dataclasses.field(default_factory=set)
    """Rows of `table` that met an object so far."""
    objects: list[str] = dataclasses.field(default_factory=list)
    """The first two objects of the input, to show if none has a label."""
    _numbered: pl.DataFrame = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._numbered = self.table.with_row_index("row")

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
            self._numbered, on="object_id", how="left", maintain_order="left"
        )
        self.seen.update(joined["row"].drop_nulls().unique().to_list())
        if not self.objects:
            objects = curves["object_id"].unique(maintain_order=True)
            self.objects = objects.head(_NUM_SHOWN).to_list()
        return joined.with_columns(
            pl.coalesce("given", "class_name").alias("class_name"),
            pl.col("conflict") & pl.col("given").is_null(),
        ).select(curves.columns)

    @property
    def num_without_object(self) -> int:
        """Labels for which the input holds no object."""
        return self.table.height - len(self.seen)

    def warn_if_none_met(self) -> None:
        """Say what objects are called on both sides if no label met one."""
        if self.table.height and not self.seen:
            _LOGGER.warning(
                "No label is of an object of the input. Objects are called: %s; in the "
                "labels: %s. Check which column names them, and how.",
                ", ".join(self.objects),
                ", ".join(self.table["object_id"].head(_NUM_SHOWN)),
            )


def read_labels(path: Path) -> Labels:
    """Read a table of classes by object: text, as surveys have it, or Parquet.

    Parameters
    ----------
    path : pathlib.Path
        The object column is called `object_id`, `ID` or the like, the class column
        `class_name`, `class`, `label` or the like, as in tables of observations; see
        `astromer.columns.ALIASES`. Empty classes are unknown, and words such as
        ``nan``.

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
                pl.nth(place).alias(name) for name, place in found.items()
            )
            table = names_as_texts(table, table.columns)
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
    found = {}
    for column, (role, kind) in _ROLES.items():
        place = match_columns(names, (role,))
        if not place:
            raise ConfigError(
                f"`labels` needs a column with the {kind}: one of "
                f"{', '.join(ALIASES[role])}. "
                f"Received: labels={path}, columns={list(names)}. Rename the column."
            )
        found[column] = place[role]
    return found
