"""A small labeled survey of light curves that are made up, and a tiny preset."""

from __future__ import annotations

import numpy as np
import pytest

from astromer.lightcurve import LightCurve

PERIODS_D = {"slow": 40.0, "fast": 0.7, "flat": None}


@pytest.fixture
def make_star():
    """Return a maker of light curves whose class sets period and amplitude."""

    def make(class_name, number, *, length=40, passband="R", **attributes):
        rng = np.random.default_rng([number, length, *class_name.encode()])
        time = 50_000.0 + np.sort(rng.uniform(0.0, 300.0, length))
        period = PERIODS_D.get(class_name, 5.0)
        signal = 0.0 if period is None else np.sin(2 * np.pi * time / period)
        mag = 15.0 + rng.uniform(-1, 1) + 0.3 * signal + rng.normal(0, 0.02, length)
        attributes.setdefault("object_id", f"{class_name}-{number:03d}")
        return LightCurve(
            time,
            mag,
            np.full(length, 0.02),
            passband=passband,
            class_name=class_name,
            **attributes,
        )

    return make


@pytest.fixture
def make_survey(make_star):
    """Return a maker of a list of light curves with so many stars per class."""

    def make(**counts):
        counts = counts or dict.fromkeys(PERIODS_D, 12)
        return [make_star(name, i) for name, n in counts.items() for i in range(n)]

    return make


@pytest.fixture
def tiny_model():
    """Two blocks on windows of 8 observations."""
    from astromer.models import EncoderConfig, Reconstructor

    config = EncoderConfig(
        num_layers=2,
        num_heads=2,
        head_dim=4,
        hidden_dim=8,
        intermediate_dim=8,
        window_size=8,
    )
    return Reconstructor(config, seed=0)
