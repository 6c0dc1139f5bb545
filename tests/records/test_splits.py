from __future__ import annotations

import polars as pl
import pytest

from astromer.records.splits import assign_splits, quotas

SPLIT = {"train": 0.8, "validation": 0.1, "test": 0.1}


def make_objects(sizes):
    rows = [(name, f"{name}{i}") for name, size in sizes.items() for i in range(size)]
    return pl.DataFrame(
        rows, schema={"class_name": pl.String, "object_id": pl.String}, orient="row"
    ).with_columns(pl.col("class_name").replace("none", None))


@pytest.mark.parametrize(
    ("num_objects", "expected"),
    [
        (0, [0, 0, 0]),
        (1, [1, 0, 0]),
        (4, [3, 1, 0]),  # 3.2, 0.4, 0.4: the tie goes to the first named
        (5, [4, 1, 0]),  # 4.0, 0.5, 0.5
        (10, [8, 1, 1]),
        (30, [24, 3, 3]),  # 0.1 * 30 is 3.0000000000000004 in floating point
        (1001, [801, 100, 100]),
    ],
)
def test_quotas_follow_the_largest_remainder(num_objects, expected):
    assert quotas(num_objects, SPLIT) == expected


@pytest.mark.parametrize("fraction", [0.333333, 0.3333335])
def test_quotas_hold_every_object_whatever_the_rounding_of_fractions(fraction):
    counts = quotas(4_000_001, {"a": fraction, "b": fraction, "c": fraction})
    assert counts == [1_333_334, 1_333_334, 1_333_333]


def test_splits_hold_exact_quotas_within_each_class():
    objects = make_objects({"RRab": 40, "EB": 10, "none": 30})
    objects = objects.with_columns(side=pl.Series(assign_splits(objects, SPLIT, 0)))
    counts = {
        (name, side): n
        for name, side, n in objects.group_by("class_name", "side").len().iter_rows()
    }
    assert counts == {
        ("RRab", 0): 32, ("RRab", 1): 4, ("RRab", 2): 4,
        ("EB", 0): 8, ("EB", 1): 1, ("EB", 2): 1,
        (None, 0): 24, (None, 1): 3, (None, 2): 3,
    }  # fmt: skip


def test_splits_do_not_depend_on_the_order_of_objects():
    objects = make_objects({"RRab": 40, "EB": 11})
    shuffled = objects.sample(fraction=1.0, shuffle=True, seed=3)
    first = dict(
        zip(objects["object_id"], assign_splits(objects, SPLIT, 1), strict=True)
    )
    second = dict(
        zip(shuffled["object_id"], assign_splits(shuffled, SPLIT, 1), strict=True)
    )
    assert first == second


def test_splits_change_with_the_seed():
    objects = make_objects({"RRab": 100})
    same = assign_splits(objects, SPLIT, 0) == assign_splits(objects, SPLIT, 1)
    # Independent draws agree on 0.8 ** 2 + 2 * 0.1 ** 2 = 66 % on average.
    assert 0.4 < same.mean() < 0.9
