"""Every form of a table gives the same columns."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from astromer.errors import ConfigError
from astromer.figures.tables import (
    column_names,
    columns_of,
    distinct,
    numbers,
    spread,
)

COLUMNS = {"a": [1, 2, 3], "b": ["x", "y", "z"], "c": [0.5, 1.5, 2.5]}
FORMS = {
    "mapping": COLUMNS,
    "pandas": pd.DataFrame(COLUMNS),
    "polars": pl.DataFrame(COLUMNS),
    "rows": [
        {"a": 1, "b": "x", "c": 0.5},
        {"a": 2, "b": "y", "c": 1.5},
        {"a": 3, "b": "z", "c": 2.5},
    ],
}
every_form = pytest.mark.parametrize("table", FORMS.values(), ids=FORMS)


@every_form
def test_columns_are_the_same_in_every_form(table):
    found = columns_of(table, ["a", "b"], ["c", "d"])
    assert {name: list(values) for name, values in found.items()} == COLUMNS
    assert column_names(table) == ["a", "b", "c"]


@every_form
def test_missing_column_is_named_with_those_that_exist(table):
    with pytest.raises(
        ConfigError, match=r"columns a, d. Received: columns=\['a', 'b', 'c'\].*: d"
    ):
        columns_of(table, ["a", "d"])


def test_rows_may_lack_optional_values():
    rows = [{"a": 1, "std": 0.1}, {"a": 2}, {"a": 3, "std": None}]
    found = numbers("std", columns_of(rows, ["a"], ["std"])["std"])
    np.testing.assert_array_equal(found, [0.1, np.nan, np.nan])


@pytest.mark.parametrize(
    ("table", "received"),
    [
        ({"a": [], "b": []}, r"len\(a\)=0, len\(b\)=0"),
        ({"a": [1], "b": [1, 2]}, r"len\(a\)=1, len\(b\)=2"),
    ],
)
def test_columns_must_have_rows_and_one_length(table, received):
    with pytest.raises(ConfigError, match=received):
        columns_of(table, ["a", "b"])


def test_numbers_refuse_text():
    with pytest.raises(ConfigError, match=r"`rmse` must hold numbers\. Received"):
        numbers("rmse", np.array(["low"], dtype=object))


def test_distinct_keeps_the_order_of_first_appearance():
    assert distinct(["b", "a", "b", "c", "a"]) == ["b", "a", "c"]


def test_spread_of_one_value_draws_no_bar():
    assert spread(np.array([1.0, 2.0, 3.0])) == pytest.approx(1.0)
    assert np.isnan(spread(np.array([1.0])))
    assert np.isnan(spread(np.array([2.0, 2.0])))
