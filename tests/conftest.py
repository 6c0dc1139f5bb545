"""Fixtures named after the data they hold; each returns fresh arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from astromer.lightcurve import LightCurve

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture
def shared() -> Path:
    """Folder beside the checkout with real survey files and reference arrays."""
    if not SHARED.is_dir():
        pytest.skip("needs the reference data in ../shared, which is not there")
    return SHARED


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260101)


@pytest.fixture
def make_light_curve() -> Callable[..., LightCurve]:
    """Return a maker of sinusoidal light curves of any length, at MJD near 50,000."""

    def make(
        length: int = 12,
        *,
        seed: int = 0,
        object_id: str = "star",
        **attributes: object,
    ) -> LightCurve:
        generator = np.random.default_rng([seed, length])
        time = 50_000.0 + np.sort(generator.uniform(0.0, 3.0 * length, length))
        mag = 15.0 + 0.4 * np.sin(2 * np.pi * time / 0.61)
        mag_err = generator.uniform(0.01, 0.05, length)
        attributes.setdefault("passband", "R")
        return LightCurve(
            time,
            mag + mag_err * generator.standard_normal(length),
            mag_err,
            object_id=object_id,
            **attributes,  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def untraced() -> Iterator[None]:
    """Let TensorFlow run line by line: a tiny model runs faster than it is traced."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
