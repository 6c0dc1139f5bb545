"""What can be said of a window's visible observations in plain numbers."""

from __future__ import annotations

import itertools
from typing import Any, Final

import keras
import numpy as np
from keras import ops

from astromer.models.config import NUM_LAG_BINS, NUM_QUANTILES

__all__ = ["LAG_EDGES_DAYS", "QUANTILES", "MagnitudeQuantiles", "StructureFunction"]

QUANTILES: Final = (0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98)
"""Shares of the visible observations that are brighter."""

LAG_EDGES_DAYS: Final = (0.02, 0.06, 0.2, 0.6, 2.0, 6.0, 20.0, 60.0, 200.0, 600.0)
"""Edges between the bins of the structure function, the first and last open [d]."""

_STEPS: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Places between the two observations of a pair."""

_LARGEST: Final = 1e9
"""Stands for what is not visible, beyond all that is."""

_PRIOR_PAIRS: Final = 2.0
"""Pairs of white noise in each bin."""

_FLOOR: Final = 0.02
"""Added before the logarithm, about the share of noise in bright variables."""


@keras.saving.register_keras_serializable("astromer")
class MagnitudeQuantiles(keras.layers.Layer):
    """Give quantiles of the visible magnitudes of a window.

    Call arguments: ``scaled`` magnitudes from `VisibleScale`, ``valid`` and ``hidden``,
    each of shape ``(batch, window_size)``. Returns ``(batch, 9)``, dimensionless: the
    `QUANTILES`, interpolated linearly, within -10 and 10; zero where nothing is visible.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, scaled: Any, valid: Any, hidden: Any) -> Any:
        visible = ops.logical_and(valid, ops.logical_not(hidden))
        ascending = ops.sort(ops.where(visible, scaled, _LARGEST), axis=1)
        count = ops.sum(ops.cast(visible, "float32"), axis=1, keepdims=True)
        last = ops.maximum(count - 1.0, 0.0)
        place = ops.multiply(last, np.array(QUANTILES, np.float32))
        lower = ops.floor(place)
        share = place - lower
        at_lower, at_upper = (
            ops.take_along_axis(ascending, ops.cast(index, "int32"), axis=1)
            for index in (lower, ops.minimum(lower + 1.0, last))
        )
        quantiles = at_lower * (1.0 - share) + at_upper * share
        quantiles = ops.clip(quantiles, -10.0, 10.0)
        return ops.stop_gradient(ops.where(count > 0.0, quantiles, 0.0))

    def compute_output_shape(self, scaled_shape: Any, *_: Any, **__: Any) -> Any:
        return scaled_shape[0], NUM_QUANTILES


@keras.saving.register_keras_serializable("astromer")
class StructureFunction(keras.layers.Layer):
    """Say how much visible magnitudes differ at lags from minutes to years.

    Half the mean squared difference of pairs of visible observations, in bins of the
    time between them: 1 where two observations know nothing of each other. Pairs are
    those a fixed number of places apart, so the cost grows with the window, not with
    its square. Two pairs of white noise are added to each bin: an empty one says 1.

    Call arguments: ``time`` [d], ascending where valid; ``scaled`` magnitudes from
    `VisibleScale`, ``valid`` and ``hidden``, each of shape ``(batch, window_size)``.
    Returns ``(batch, 11)``: decimal logarithms, with `LAG_EDGES_DAYS` between the bins.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, time: Any, scaled: Any, valid: Any, hidden: Any) -> Any:
        weight = ops.cast(ops.logical_and(valid, ops.logical_not(hidden)), "float32")
        lags, halves, pairs = [], [], []
        for step in _STEPS:
            # In a window that is shorter these are empty.
            lags.append(time[:, step:] - time[:, :-step])
            halves.append(0.5 * ops.square(scaled[:, step:] - scaled[:, :-step]))
            pairs.append(weight[:, step:] * weight[:, :-step])
        lag, half, pair = (
            ops.concatenate(parts, axis=1) for parts in (lags, halves, pairs)
        )
        half = half * pair
        beyond = [ops.cast(lag >= edge, "float32") for edge in LAG_EDGES_DAYS]
        beyond = [ops.ones_like(lag), *beyond, ops.zeros_like(lag)]
        number, total = [], []
        for after, before in itertools.pairwise(beyond):
            within = after - before
            number.append(ops.sum(pair * within, axis=1))
            total.append(ops.sum(half * within, axis=1))
        number, total = ops.stack(number, axis=1), ops.stack(total, axis=1)
        mean = (total + _PRIOR_PAIRS) / (number + _PRIOR_PAIRS)
        return ops.stop_gradient(ops.log10(mean + _FLOOR))

    def compute_output_shape(self, time_shape: Any, *_: Any, **__: Any) -> Any:
        return time_shape[0], NUM_LAG_BINS
