"""Small configs and batches of windows, for the tests of every model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from astromer import batch
from astromer.models import EncoderConfig

Arrays = dict[str, np.ndarray[Any, Any]]


def tiny_config(**changes: Any) -> EncoderConfig:
    """Return options of a model that is built and run in no time."""
    options: dict[str, Any] = {
        "num_layers": 2,
        "num_heads": 2,
        "head_dim": 4,
        "hidden_dim": 8,
        "intermediate_dim": 6,
        "window_size": 8,
    }
    return EncoderConfig(**{**options, **changes})


def make_inputs(
    rng: np.random.Generator,
    sizes: Sequence[int] = (8, 5, 3),
    window_size: int = 8,
    hidden_fraction: float = 0.4,
) -> Arrays:
    """Return model inputs; the first observation of each window is visible."""
    shape = (len(sizes), window_size)
    valid = np.arange(window_size) < np.array(sizes)[:, None]
    hidden = valid & (rng.uniform(size=shape) < hidden_fraction)
    hidden[:, 0] = False
    hidden[:, 1] = valid[:, 1]
    time = np.sort(rng.uniform(-300.0, 300.0, shape), axis=1)
    return {
        batch.TIME: np.where(valid, time, 0.0).astype(np.float32),
        batch.MAG: np.where(valid, rng.normal(0.0, 0.5, shape), 0.0).astype(np.float32),
        batch.VALID: valid,
        batch.HIDDEN: hidden,
    }


def make_targets(rng: np.random.Generator, inputs: Arrays) -> Arrays:
    """Return what goes with `make_inputs`: all that is hidden is probed, and more."""
    valid = inputs[batch.VALID]
    more = valid & (rng.uniform(size=valid.shape) < 0.3)
    return {
        batch.MAG: inputs[batch.MAG],
        batch.PROBED: inputs[batch.HIDDEN] | more,
        batch.WEIGHT: rng.uniform(0.2, 1.0, valid.size)
        .reshape(valid.shape)
        .astype(np.float32),
    }


def randomize(model: Any, rng: np.random.Generator) -> None:
    """Draw every weight anew, so that none is left at a special initial value."""
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0.0, 0.4, variable.shape))
