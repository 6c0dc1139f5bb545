"""What goes where: objects to splits, splits to shards, and counts of all of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from astromer.records.cleaning import CleanPartition
from astromer.records.cuts import CUTS, CutCount
from astromer.records.manifest import Rejections, SplitInfo
from astromer.records.writer import ShardTask

__all__ = [
    "Part",
    "describe_splits",
    "list_objects",
    "plan_shards",
    "sum_cuts",
    "summarize_rejected",
]

QUANTILES: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
QUANTITIES: Final = ("num_observations", "cadence", "duration", "mag_min", "mag_max")
REJECTED_IN_MANIFEST: Final = 100


@dataclasses.dataclass(slots=True)
class Part:
    """A clean partition, and where it is saved if it is."""

    data: CleanPartition
    folder: Path | None = None


def list_objects(parts: Sequence[Part]) -> pl.DataFrame:
    """List the objects of all partitions in order.

    Parameters
    ----------
    parts : sequence of Part

    Returns
    -------
    objects : polars.DataFrame
        `object_id`, `class_name`, `first` (row of its first light curve in its
        partition), `num_curves`, `num_observations`, `part` (its partition).
    """
    return pl.concat(
        [
            part.data.curves.with_row_index("first")
            .group_by("object_id", maintain_order=True)
            .agg(
                pl.col("class_name", "first").first(),
                pl.len().alias("num_curves"),
                pl.col("num_observations").sum(),
                pl.lit(number).alias("part"),
            )
            for number, part in enumerate(parts)
        ]
    )


def describe_splits(
    parts: Sequence[Part],
    objects: pl.DataFrame,
    sides: NDArray[np.int64],
    names: Sequence[str],
) -> tuple[dict[str, SplitInfo], dict[str, int]]:
    """Count what the splits hold, and number the classes.

    Parameters
    ----------
    parts : sequence of Part
    objects : polars.DataFrame
        As `list_objects` returns it.
    sides : numpy.ndarray, shape (num_objects,), int64
        Position in `names` by object.
    names : sequence of str
        Names of the splits.

    Returns
    -------
    splits : dict of str to SplitInfo
    label_map : dict of str to int
        Class number by class name, sorted by name.
    """
    curves = pl.concat(
        [
            part.data.curves.select("class_name", "passband", *QUANTITIES)
            for part in parts
        ]
    ).with_columns(split=pl.Series(np.repeat(sides, objects["num_curves"].to_numpy())))
    splits = {}
    for index, name in enumerate(names):
        inside = curves.filter(pl.col("split") == index)
        splits[name] = SplitInfo(
            num_objects=int(np.count_nonzero(sides == index)),
            num_light_curves=inside.height,
            num_observations=int(inside["num_observations"].sum()),
            classes=_count(inside["class_name"].fill_null("")),
            passbands=_count(inside["passband"]),
            lengths={
                str(length): count
                for length, count in sorted(_count(inside["num_observations"]).items())
            },
            quantiles={
                quantity: _quantiles(inside[quantity]) for quantity in QUANTITIES
            },
        )
    classes = sorted(curves["class_name"].drop_nulls().unique().to_list())
    return splits, {name: number for number, name in enumerate(classes)}


def plan_shards(
    parts: Sequence[Part],
    objects: pl.DataFrame,
    sides: NDArray[np.int64],
    names: Sequence[str],
    *,
    survey: str,
    objects_per_shard: int,
) -> list[ShardTask]:
    """Cut each split into shards, in the order of objects.

    Parameters
    ----------
    parts, objects, sides, names
        As for `describe_splits`.
    survey : str
        Begins the names of the files.
    objects_per_shard : int
        Most objects in one shard.

    Returns
    -------
    tasks : list of ShardTask
        None for a split without objects.
    """
    columns = {
        name: objects[name].to_numpy()
        for name in ("part", "first", "num_curves", "num_observations")
    }
    size = objects_per_shard
    tasks = []
    for index, split in enumerate(names):
        members = np.flatnonzero(sides == index)
        num_shards = -(-len(members) // size)
        for number in range(num_shards):
            inside = members[number * size : (number + 1) * size]
            pieces = []
            for part in np.unique(columns["part"][inside]).tolist():
                rows = inside[columns["part"][inside] == part]
                curves = _ranges(columns["first"][rows], columns["num_curves"][rows])
                source = parts[part].folder or parts[part].data
                pieces.append((source, curves))
            tasks.append(
                ShardTask(
                    name=f"{survey}-{split}-{number:05d}-of-{num_shards:05d}.tfrecord",
                    split=split,
                    pieces=pieces,
                    num_light_curves=int(columns["num_curves"][inside].sum()),
                    num_observations=int(columns["num_observations"][inside].sum()),
                )
            )
    return tasks


def sum_cuts(parts: Sequence[Part]) -> dict[str, CutCount]:
    """Add up the cuts of all partitions, in the order of `CUTS`."""
    cuts: dict[str, CutCount] = {}
    for name in CUTS:
        counts = [part.data.cuts[name] for part in parts if name in part.data.cuts]
        if counts:
            cuts[name] = CutCount(
                sum(count.observations for count in counts),
                sum(count.light_curves for count in counts),
            )
    return cuts


def summarize_rejected(parts: Sequence[Part]) -> Rejections:
    """Count the rejected light curves of all partitions, and keep the first."""
    rejected = pl.concat([part.data.rejected for part in parts])
    return Rejections(
        by_reason=_count(rejected["reason"]),
        first=rejected.head(REJECTED_IN_MANIFEST).to_dicts(),
    )


def _ranges(
    first: NDArray[np.unsignedinteger[Any]], lengths: NDArray[np.unsignedinteger[Any]]
) -> NDArray[np.int64]:
    """Return first[0], first[0] + 1, ... for each range, one after the other."""
    lengths = lengths.astype(np.int64)
    shifts: NDArray[np.int64] = first.astype(np.int64) - np.cumsum(lengths) + lengths
    return np.arange(lengths.sum(), dtype=np.int64) + np.repeat(shifts, lengths)


def _count(names: pl.Series) -> dict[str, int]:
    counts = names.value_counts().sort(names.name)
    return dict(counts.iter_rows())


def _quantiles(values: pl.Series) -> dict[str, float]:
    known = values.drop_nulls().to_numpy()
    if len(known) == 0:
        return {}
    found = np.quantile(known.astype(np.float64), QUANTILES)
    return {f"{q:g}": float(f"{x:.6g}") for q, x in zip(QUANTILES, found, strict=True)}
