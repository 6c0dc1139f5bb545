"""Rows of observations grouped into light curves, in memory and on disk.

A `Block` holds rows in source order with a number per light curve in place of its
name; that takes a third of the memory of the table it came from. An input larger
than one partition goes through `Spill`: blocks are cut by object into buckets, so
that all rows of an object meet again in one partition, wherever they lay.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from astromer.errors import RecordError
from astromer.surveys.observations import FLAGS, ObservationTable
from astromer.surveys.parsing import known_classes

__all__ = [
    "Block",
    "Spill",
    "batch_tables",
    "block_from_tables",
    "group_buckets",
    "load_buckets",
    "merge_blocks",
    "read_ipc",
]

CURVE_KEY: Final = ("object_id", "passband")
NUM_BUCKETS: Final = 256
"""Buckets on disk. Partitions are made of whole buckets, so that memory stays at
one partition up to 256 partitions of input, and at 1/256 of the input beyond."""
ROWS_PER_BATCH: Final = 250_000
"""Rows grouped together. Less than one block of text has, as a rule: while one is
grouped, the next are parsed, and at the end nothing is parsed beside the last."""
TABLES_PER_BATCH: Final = 1_000
_FLAG_TYPE: Final = pl.Enum(list(FLAGS))


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """Rows in source order, with their light curves beside them."""

    curves: pl.DataFrame
    """One row per light curve in order of first appearance: `object_id`,
    `passband`, `class_name` (null where unknown), `conflict` (several classes were
    seen), `source` and `line` of the first row."""
    curve: NDArray[np.uint32]
    """Row of `curves` by observation."""
    time: NDArray[np.float64]
    """Times [d]; NaN where flagged."""
    mag: NDArray[np.float32]
    """Magnitudes [mag]; NaN where flagged."""
    mag_err: NDArray[np.float32]
    """Uncertainties [mag]; NaN where flagged."""
    flag: NDArray[np.uint8] | None
    """0 for a good row, else 1 + position in `FLAGS`; None if all are good."""

    def __len__(self) -> int:
        return len(self.curve)


def batch_tables(
    tables: Iterable[ObservationTable], rows_per_partition: int
) -> Iterator[list[ObservationTable]]:
    """Gather small tables, so that a file per object costs no pass per object."""
    most_rows = min(ROWS_PER_BATCH, rows_per_partition)
    batch: list[ObservationTable] = []
    rows = 0
    for table in tables:
        batch.append(table)
        rows += table.frame.height
        if rows >= most_rows or len(batch) >= TABLES_PER_BATCH:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def block_from_tables(
    tables: Sequence[ObservationTable], sources: Sequence[str]
) -> Block:
    """Group the rows of tables; `sources` are the names to report them under."""
    frame = pl.concat([table.frame for table in tables])
    starts, names = _find_runs(frame)
    ends = np.cumsum([table.frame.height for table in tables])
    # Numbers of sources until only light curves are left, which are far fewer.
    runs = names.with_columns(
        source=pl.Series(np.searchsorted(ends, starts, side="right")),
        conflict=pl.lit(value=False),
    )
    curves, curve_of_run = _group(runs, sources)
    lengths = np.diff(starts, append=frame.height)
    flags = frame["flag"]
    flag = None
    if flags.null_count() < frame.height:
        codes = flags.cast(_FLAG_TYPE).to_physical().cast(pl.UInt8) + 1
        flag = codes.fill_null(0).to_numpy()
    return Block(
        curves=curves,
        curve=np.repeat(curve_of_run, lengths),
        time=frame["time"].to_numpy(),
        mag=frame["mag"].to_numpy(),
        mag_err=frame["mag_err"].to_numpy(),
        flag=flag,
    )


def merge_blocks(blocks: Sequence[Block]) -> Block:
    """Join blocks; a light curve that lies in several becomes one."""
    if len(blocks) == 1:
        return blocks[0]
    curves, new_curve = _group(pl.concat([block.curves for block in blocks]))
    offsets = np.cumsum([0] + [block.curves.height for block in blocks])
    flag = None
    if any(block.flag is not None for block in blocks):
        flag = np.concatenate(
            [
                np.zeros(len(block), np.uint8) if block.flag is None else block.flag
                for block in blocks
            ]
        )
    return Block(
        curves=curves,
        curve=np.concatenate(
            [
                new_curve[offset : offset + block.curves.height][block.curve]
                for block, offset in zip(blocks, offsets, strict=False)
            ]
        ),
        time=np.concatenate([block.time for block in blocks]),
        mag=np.concatenate([block.mag for block in blocks]),
        mag_err=np.concatenate([block.mag_err for block in blocks]),
        flag=flag,
    )


class Spill:
    """Blocks on disk, cut by object into buckets.

    Parameters
    ----------
    folder : pathlib.Path
        Existing and empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = [0] * NUM_BUCKETS
        self._num_blocks = 0

    def add(self, block: Block) -> None:
        """Write a block; the order of calls is the order of rows when read back."""
        # zlib.crc32 rather than a hash of polars: the same in every version.
        buckets = np.array(
            [
                zlib.crc32(name.encode()) % NUM_BUCKETS
                for name in block.curves["object_id"]
            ],
            np.uint8,
        )
        row_order = np.argsort(buckets[block.curve], kind="stable")
        row_ends = np.cumsum(np.bincount(buckets[block.curve], minlength=NUM_BUCKETS))
        curve_order = np.argsort(buckets, kind="stable")
        curve_ends = np.cumsum(np.bincount(buckets, minlength=NUM_BUCKETS))
        new_curve = np.empty(len(buckets), np.uint32)
        new_curve[curve_order] = np.arange(len(buckets), dtype=np.uint32)
        rows = pl.DataFrame(
            {
                "curve": new_curve[block.curve][row_order],
                "time": block.time[row_order],
                "mag": block.mag[row_order],
                "mag_err": block.mag_err[row_order],
                "flag": np.zeros(len(block), np.uint8)
                if block.flag is None
                else block.flag[row_order],
            }
        )
        curves = block.curves[curve_order]
        for bucket in np.unique(buckets).tolist():
            first_row = int(row_ends[bucket - 1]) if bucket else 0
            first_curve = int(curve_ends[bucket - 1]) if bucket else 0
            num_rows = int(row_ends[bucket]) - first_row
            folder = self.folder / f"{bucket:03d}"
            folder.mkdir(exist_ok=True)
            rows.slice(first_row, num_rows).with_columns(
                pl.col("curve") - pl.lit(first_curve, pl.UInt32)
            ).write_ipc(folder / f"{self._num_blocks:06d}.rows.arrow")
            curves.slice(first_curve, int(curve_ends[bucket]) - first_curve).write_ipc(
                folder / f"{self._num_blocks:06d}.curves.arrow"
            )
            self.rows[bucket] += num_rows
        self._num_blocks += 1


def load_buckets(folder: Path, buckets: Sequence[int]) -> Block:
    """Read buckets of a `Spill` back as one block."""
    blocks = []
    for bucket in buckets:
        for path in sorted((folder / f"{bucket:03d}").glob("*.rows.arrow")):
            rows = read_ipc(path)
            blocks.append(
                Block(
                    curves=read_ipc(
                        path.with_name(path.name.replace(".rows.", ".curves."))
                    ),
                    curve=rows["curve"].to_numpy(),
                    time=rows["time"].to_numpy(),
                    mag=rows["mag"].to_numpy(),
                    mag_err=rows["mag_err"].to_numpy(),
                    flag=rows["flag"].to_numpy(),
                )
            )
    return merge_blocks(blocks)


def read_ipc(path: Path) -> pl.DataFrame:
    """Read an Arrow file; brackets in its path are no pattern."""
    return pl.scan_ipc(path, glob=False).collect()


def group_buckets(rows: Sequence[int], rows_per_partition: int) -> list[list[int]]:
    """Gather neighboring buckets into partitions of at most so many rows."""
    partitions: list[list[int]] = []
    filled = 0
    for bucket, num_rows in enumerate(rows):
        if num_rows == 0:
            continue
        if not partitions or filled + num_rows > rows_per_partition:
            partitions.append([])
            filled = 0
        partitions[-1].append(bucket)
        filled += num_rows
    return partitions


def _find_runs(frame: pl.DataFrame) -> tuple[NDArray[np.int64], pl.DataFrame]:
    """Return where neighboring rows change their light curve or class, and names."""
    labeled = frame["class_name"].null_count() < frame.height
    names = [*CURVE_KEY, "class_name"] if labeled else list(CURVE_KEY)
    changes = [pl.col(name).ne_missing(pl.col(name).shift()) for name in names]
    changed = frame.select(pl.any_horizontal(changes)).to_series().to_numpy().copy()
    changed[:1] = True
    starts = np.flatnonzero(changed)
    runs = frame.select(*CURVE_KEY, "class_name", "line")[starts]
    if labeled:
        runs = runs.with_columns(known_classes(runs["class_name"]))
    return starts, runs


def _group(
    runs: pl.DataFrame, sources: Sequence[str] | None = None
) -> tuple[pl.DataFrame, NDArray[np.uint32]]:
    """Return the light curves in order of first appearance, and one per run.

    With `sources`, the column `source` of the runs holds positions in it.
    """
    aggregates: list[Any] = [pl.col("run")]
    known = pl.col("class_name").drop_nulls()
    if runs["class_name"].null_count() < runs.height:
        aggregates += [
            known.first().alias("class_name"),
            (pl.col("conflict").any() | (known.min() != known.max())).alias("conflict"),
        ]
    else:
        aggregates += [
            pl.lit(None, pl.String).alias("class_name"),
            pl.lit(value=False).alias("conflict"),
        ]
    aggregates += [pl.col("source").first(), pl.col("line").first()]
    grouped = (
        runs.with_row_index("run")
        .group_by(*CURVE_KEY, maintain_order=True)
        .agg(aggregates)
    )
    members = grouped["run"]
    curve_of_run = np.empty(runs.height, np.uint32)
    curve_of_run[members.explode().to_numpy()] = np.repeat(
        np.arange(grouped.height, dtype=np.uint32), members.list.len().to_numpy()
    )
    curves = grouped.drop("run").with_columns(pl.col("conflict").fill_null(value=False))
    if sources is not None:
        names = pl.Series(sources, dtype=pl.String)
        curves = curves.with_columns(source=names[curves["source"].to_numpy()])
    if curves["object_id"].null_count() or curves["passband"].null_count():
        raise RecordError(
            "Every observation needs an object and a passband. Received: null near "
            f"source={curves['source'][0]}. Name them in the input."
        )
    return curves, curve_of_run
