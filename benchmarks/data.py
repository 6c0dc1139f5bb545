"""Generated light curves in a long CSV, in pieces that fit in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

__all__ = ["SCHEMA", "make_table", "write_table"]

CURVES_PER_PIECE = 50_000
SCHEMA = {
    "object_id": pl.String,
    "passband": pl.String,
    "time": pl.Float64,
    "mag": pl.Float32,
    "mag_err": pl.Float32,
}
"""Columns of the CSV, for readers that need not guess."""


def make_table(num_curves: int, length: int, *, first: int = 0) -> pl.DataFrame:
    """Make noise around constant magnitudes, two passbands, sorted by object."""
    rng = np.random.default_rng(first)
    number = np.arange(first, first + num_curves)
    rows = num_curves * length
    time = rng.uniform(48_000.0, 51_000.0, (num_curves, length)).round(6)
    return pl.DataFrame(
        {
            "object_id": pl.select(
                pl.format("star_{}", pl.lit(pl.Series(np.repeat(number, length))))
            ).to_series(),
            "passband": pl.Series(["R", "B"])[np.repeat(number % 2, length)],
            "time": np.sort(time).ravel(),
            "mag": rng.normal(15.0, 0.3, rows).astype(np.float32).round(3),
            "mag_err": rng.uniform(0.01, 0.2, rows).astype(np.float32).round(3),
        }
    )


def write_table(
    path: Path, num_curves: int, length: int, *, shuffled: bool = False
) -> int:
    """Write a CSV and return its bytes; `shuffled` mixes the rows of each piece."""
    with open(path, "wb") as stream:
        for first in range(0, num_curves, CURVES_PER_PIECE):
            count = min(CURVES_PER_PIECE, num_curves - first)
            frame = make_table(count, length, first=first)
            if shuffled:
                frame = frame.sample(fraction=1.0, shuffle=True, seed=first)
            frame.write_csv(stream, include_header=first == 0)
    return path.stat().st_size
