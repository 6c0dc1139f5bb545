"""Observation tables by hand, and a small folder of records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from astromer.records import ConvertOptions, convert_tables
from astromer.surveys import OBSERVATION_SCHEMA, ObservationTable

KEEP_ALL = ConvertOptions(
    min_observations=1, max_error=None, clip_percentiles=None, split={"all": 1.0}
)


@pytest.fixture
def keep_all() -> ConvertOptions:
    """Options without a cut and with one split."""
    return KEEP_ALL


@pytest.fixture
def table() -> Callable[..., ObservationTable]:
    """Return a maker of tables from columns; a column may be one value."""

    def make(source: str = "input.csv", **columns: object) -> ObservationTable:
        defaults = {
            "object_id": "star",
            "passband": "R",
            "mag": 15.0,
            "mag_err": 0.1,
            "class_name": None,
            "flag": None,
        }
        values = {**defaults, **columns}
        height = max(len(v) for v in values.values() if isinstance(v, list))
        full = {
            name: value if isinstance(value, list) else [value] * height
            for name, value in values.items()
        }
        full.setdefault("time", [float(i) for i in range(height)])
        full.setdefault("line", list(range(2, height + 2)))
        frame = pl.DataFrame(full, schema_overrides=OBSERVATION_SCHEMA)
        return ObservationTable(Path(source), frame.select(*OBSERVATION_SCHEMA))

    return make


@pytest.fixture
def survey_tables() -> Callable[..., Iterator[ObservationTable]]:
    """Return a maker of a survey in several tables, rows scattered by a seed."""

    def make(
        num_objects: int = 40, *, num_tables: int = 3, scatter: int | None = None
    ) -> Iterator[ObservationTable]:
        rng = np.random.default_rng(7)
        frames = []
        for index in range(num_objects):
            for passband in ("R", "B")[: 1 + index % 2]:
                n = 8 + index % 5
                frames.append(
                    pl.DataFrame(
                        {
                            "object_id": [f"star{index:03d}"] * n,
                            "passband": [passband] * n,
                            "time": np.sort(rng.uniform(50_000, 51_000, n)),
                            "mag": rng.normal(15, 1, n).astype(np.float32),
                            "mag_err": rng.uniform(0.01, 0.1, n).astype(np.float32),
                            "class_name": [("RRab", "EB", None)[index % 3]] * n,
                        }
                    )
                )
        frame = pl.concat(frames).with_columns(
            line=pl.int_range(2, pl.len() + 2, dtype=pl.UInt32),
            flag=pl.lit(None, pl.String),
        )
        if scatter is not None:
            frame = frame.sample(fraction=1.0, shuffle=True, seed=scatter)
        size = -(-frame.height // num_tables)
        for number in range(num_tables):
            yield ObservationTable(
                Path(f"part{number}.csv"),
                frame.slice(number * size, size).select(*OBSERVATION_SCHEMA),
            )

    return make


@pytest.fixture
def records(tmp_path: Path, survey_tables: Callable[..., object]) -> Path:
    """Folder with a small set of records in several shards."""
    folder = tmp_path / "records"
    convert_tables(
        survey_tables(),  # type: ignore[arg-type]
        folder,
        ConvertOptions(objects_per_shard=10, min_observations=3),
        survey="test",
    )
    return folder
