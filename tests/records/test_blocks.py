from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from astromer.errors import RecordError
from astromer.records import blocks
from astromer.records.blocks import (
    Spill,
    batch_tables,
    block_from_tables,
    group_buckets,
    load_buckets,
    merge_blocks,
)
from astromer.surveys import FLAGS


def rows_of(block):
    curves = block.curves.select("object_id", "passband").rows()
    return [
        (*curves[curve], time)
        for curve, time in zip(block.curve.tolist(), block.time.tolist(), strict=True)
    ]


def test_block_numbers_light_curves_by_first_appearance(table):
    block = block_from_tables(
        [
            table("a.csv", object_id=["y", "y", "x"], passband=["R", "B", "R"]),
            table("b.csv", object_id=["x", "z", "y"], line=[5, 6, 7]),
        ],
        ["a.csv", "b.csv"],
    )
    assert block.curves.select("object_id", "passband", "source", "line").rows() == [
        ("y", "R", "a.csv", 2),
        ("y", "B", "a.csv", 3),
        ("x", "R", "a.csv", 4),
        ("z", "R", "b.csv", 6),
    ]
    assert block.curve.tolist() == [0, 1, 2, 2, 3, 0]


def test_merged_blocks_equal_one_block_of_all_rows(table):
    tables = [
        table(object_id=["y", "x"], class_name=[None, "EB"]),
        table(
            object_id=["z", "y", "x"],
            class_name=["RRab", "EB", "CEP"],
            flag=[None, "upper_limit", None],
        ),
    ]
    whole = block_from_tables(tables, ["s", "s"])
    merged = merge_blocks([block_from_tables([one], ["s"]) for one in tables])
    assert rows_of(merged) == rows_of(whole)
    assert merged.curves.equals(whole.curves)
    code = 1 + list(FLAGS).index("upper_limit")
    assert merged.flag.tolist() == whole.flag.tolist() == [0, 0, 0, code, 0]
    assert whole.curves["conflict"].to_list() == [False, True, False]


def test_spill_brings_every_row_of_an_object_together_in_order(tmp_path, rng, table):
    spill = Spill(tmp_path)
    written = []
    for _ in range(3):
        names = [f"star{i}" for i in rng.integers(0, 50, 200)]
        block = block_from_tables(
            [table(object_id=names, time=rng.random(200).tolist())], ["in.csv"]
        )
        written += rows_of(block)
        spill.add(block)
    assert sum(spill.rows) == 600
    read = [
        rows_of(load_buckets(tmp_path, buckets))
        for buckets in group_buckets(spill.rows, 100)
    ]
    homes = [{name for name, *_ in rows} for rows in read]
    assert (
        sum(map(len, homes)) == len(set.union(*homes)) == len({n for n, *_ in written})
    )
    for name in set.union(*homes):
        expected = [row for row in written if row[0] == name]
        assert [row for rows in read for row in rows if row[0] == name] == expected


def test_group_buckets_fills_partitions_without_cutting_a_bucket():
    assert group_buckets([5, 0, 5, 1, 30, 2, 8], 10) == [[0, 2], [3], [4], [5, 6]]
    assert group_buckets([0, 0], 10) == []


def test_batches_gather_small_tables_up_to_a_partition(table):
    tables = [table(object_id=["a"] * 4) for _ in range(5)]
    assert [len(batch) for batch in batch_tables(tables, 8)] == [2, 2, 1]
    assert [len(batch) for batch in batch_tables(tables, 1000)] == [5]


def test_batches_are_bounded_whatever_the_size_of_a_partition(table, monkeypatch):
    tables = [table(object_id=["a"] * 4) for _ in range(5)]
    monkeypatch.setattr(blocks, "ROWS_PER_BATCH", 12)
    assert [len(batch) for batch in batch_tables(tables, 1000)] == [3, 2]
    monkeypatch.setattr(blocks, "TABLES_PER_BATCH", 2)
    assert [len(batch) for batch in batch_tables(tables, 1000)] == [2, 2, 1]


def test_rows_without_a_name_are_refused(table):
    with pytest.raises(RecordError, match=r"object and a passband.*source=in.csv"):
        block_from_tables([table(object_id=["a", None])], ["in.csv"])


def test_unknown_flag_is_a_defect_of_the_reader(table):
    with pytest.raises(pl.exceptions.PolarsError, match="cloudy"):
        block_from_tables([table(time=[1.0], flag="cloudy")], ["in.csv"])


def test_missing_values_become_nan(table):
    block = block_from_tables(
        [table(time=[1.0, None], flag=[None, "missing_value"])], ["s"]
    )
    np.testing.assert_array_equal(block.time, [1.0, np.nan])
