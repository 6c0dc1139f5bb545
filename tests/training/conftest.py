"""A tiny survey and model that a run trains within seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from astromer.lightcurve import LightCurve
from astromer.models import EncoderConfig
from tests.models.windows import tiny_config
from tests.pipeline.plain import write_records

WINDOW = 8
SPLIT = {"train": 0.6, "validation": 0.2, "test": 0.2}


def make_curves(number: int) -> list[LightCurve]:
    """Make sines of slow periods, half of them of one class and half of another."""
    curves = []
    for index in range(number):
        generator = np.random.default_rng([9, index])
        length = 8 + index % 9
        time = 50_000.0 + np.sort(generator.uniform(0.0, 60.0, length))
        phase = 2 * np.pi * time / (20.0 + index % 7)
        curves.append(
            LightCurve(
                time,
                15.0 + (0.5 + index % 2) * np.sin(phase),
                generator.uniform(0.01, 0.1, length),
                object_id=f"star{index:02d}",
                passband="R",
                class_name="large" if index % 2 else "small",
            )
        )
    return curves


@pytest.fixture(scope="session")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of 36 light curves: 22 to train in two shards, 8 to validate, 6 to test."""
    folder = tmp_path_factory.mktemp("training") / "survey"
    write_records(folder, make_curves(36), split=SPLIT, objects_per_shard=14)
    return folder


@pytest.fixture
def tiny() -> EncoderConfig:
    """A config with dropout, on windows of eight."""
    return tiny_config(num_layers=1, dropout=0.2)


@pytest.fixture
def quick() -> dict[str, Any]:
    """Options of a run of few steps: 22 light curves give batches of 8, 8 and 6."""
    return {"batch_size": 8, "learning_rate": 1e-2, "warmup_steps": 2}


@pytest.fixture
def lines() -> Callable[[str], None]:
    """Return a report that keeps its lines, in the attribute `said`."""

    def report(line: str) -> None:
        report.said.append(line)  # type: ignore[attr-defined]

    report.said = []  # type: ignore[attr-defined]
    return report
