"""A tiny model, and light curves around its window of 8 observations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from astromer.lightcurve import LightCurve
from astromer.models import EncoderConfig, Reconstructor
from tests.pipeline.plain import write_records

LENGTHS = (19, 8, 1, 9, 24, 3, 16, 8, 33, 5)


def make_model(**options: Any) -> Reconstructor:
    """Build a model of random weights, the mask token included."""
    sizes = {"num_layers": 2, "num_heads": 2, "head_dim": 4, "hidden_dim": 8}
    config = EncoderConfig.from_dict(
        {
            **sizes,
            "intermediate_dim": 8,
            "window_size": 8,
            "time_encoding": "log_period",
            **options,
        }
    )
    model = Reconstructor(config, seed=1)
    model.encoder.get_layer("visible_magnitude").token.assign(0.3)
    return model


@pytest.fixture(scope="session")
def model() -> Reconstructor:
    """Tiny model that tests only read."""
    return make_model()


@pytest.fixture
def own_model() -> Reconstructor:
    """Tiny model that a test may change, with the weights of `model`."""
    return make_model()


@pytest.fixture(scope="session")
def curve_model() -> Reconstructor:
    """Tiny model that takes means of whole light curves."""
    return make_model(normalization="light_curve")


@pytest.fixture(scope="session")
def curves() -> list[LightCurve]:
    """Ten light curves of shuffled lengths in two passbands."""
    generator = np.random.default_rng(8)
    return [
        LightCurve(
            np.sort(55_000.0 + generator.uniform(0.0, 40.0, length)),
            generator.normal(15.0 + number, 0.5, length),
            generator.uniform(0.01, 0.1, length),
            object_id=f"star{number:02d}",
            passband=("R", "B")[number % 2],
            label=number % 3 - 1,
            class_name=(None, "EB", "RRab")[number % 3],
        )
        for number, length in enumerate(LENGTHS)
    ]


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory, curves: list[LightCurve]) -> Path:
    """Folder of records of the same light curves, all in one split."""
    folder = tmp_path_factory.mktemp("inference") / "records"
    write_records(folder, curves, objects_per_shard=4)
    return folder
