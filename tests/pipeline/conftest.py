"""Light curves around the window's size, and a folder of records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from astromer.lightcurve import LightCurve
from tests.pipeline.engines import ENGINES
from tests.pipeline.plain import write_records

WINDOW = 8


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Any:
    """Both implementations of windows and masks, one after the other."""
    return ENGINES[request.param]


@pytest.fixture(scope="session")
def curves() -> list[LightCurve]:
    """Noise at MJD near 59,000, of lengths around the window's size of 8."""
    generator = np.random.default_rng(5)
    return [
        LightCurve(
            np.sort(59_000.0 + generator.uniform(0, 300, length)),
            generator.normal(15.0, 0.5, length),
            generator.uniform(0.01, 0.1, length),
            object_id=f"star{number}",
            passband="g",
            label=number % 3,
        )
        for number, length in enumerate([1, 7, 8, 9, 24, 5, 33, 2, 16, 8, 40])
    ]


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of 40 light curves in three splits and several shards, two unlabeled."""
    generator = np.random.default_rng(6)
    curves = [
        LightCurve(
            np.sort(generator.uniform(50_000, 51_000, 10 + number % 9)),
            generator.normal(15.0, 1.0, 10 + number % 9),
            generator.uniform(0.01, 0.1, 10 + number % 9),
            object_id=f"star{number:02d}",
            passband="R",
            class_name=("RRab", "EB")[number % 2] if number > 1 else None,
        )
        for number in range(40)
    ]
    folder = tmp_path_factory.mktemp("pipeline") / "records"
    write_records(
        folder,
        curves,
        split={"train": 0.6, "validation": 0.2, "test": 0.2},
        objects_per_shard=7,
    )
    return folder
