"""The columns of an observation table, which every survey reader makes."""

from __future__ import annotations

from typing import Final

import polars as pl

__all__ = ["OBSERVATION_SCHEMA"]

OBSERVATION_SCHEMA: Final = pl.Schema(
    {
        "object_id": pl.String,
        "passband": pl.String,
        "time": pl.Float64,
        "mag": pl.Float32,
        "mag_err": pl.Float32,
        "class_name": pl.String,
        "line": pl.UInt32,
        "flag": pl.String,
    }
)
"""Columns of an observation table, one row per observation in source order.

`object_id` and `passband` are never null. `time` [d], `mag` and `mag_err` [mag] are
null where `flag` says so. `class_name` is null where unknown. `line` is the line of
the source file, from 1 (the row number, from 1, in a Parquet file). `flag` is null
for a good observation, else one of `FLAGS`.
"""
