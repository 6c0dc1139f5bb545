"""Streaming scores of reconstructions: sums over the epoch, not means of batches."""

from __future__ import annotations

from typing import Any, Literal, get_args

import keras
from keras import ops

from astromer.errors import ConfigError, unknown_name

__all__ = ["R2", "RMSE", "Subset", "reconstruction_metrics"]

Subset = Literal["hidden", "probed", "valid"]


class _SubsetMetric(keras.metrics.Metric):
    """A metric on one subset of the observations; see `Reconstructor`."""

    prefix = ""

    def __init__(
        self, subset: Subset = "hidden", name: str | None = None, **kwargs: Any
    ) -> None:
        if subset not in get_args(Subset):
            raise ConfigError(unknown_name("subset", subset, get_args(Subset)))
        super().__init__(name=name or f"{self.prefix}_{subset}", **kwargs)
        self.subset = subset

    def get_config(self) -> dict[str, Any]:
        return {"subset": self.subset, "name": self.name}


@keras.saving.register_keras_serializable("astromer")
class RMSE(_SubsetMetric):
    """Root mean square error of the predicted magnitudes [mag].

    Parameters
    ----------
    subset : {"hidden", "probed", "valid"}
        Observations that count. Only hidden ones measure what a model has learned:
        the others' magnitudes, true or false, were in its input.
    """

    prefix = "rmse"

    def __init__(
        self, subset: Subset = "hidden", name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(subset, name, **kwargs)
        self.squares = self.add_variable((), "zeros", name="squares")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        residual, keep = _masked(y_true - y_pred, sample_weight)
        self.squares.assign_add(ops.sum(ops.square(residual)))
        self.count.assign_add(ops.sum(keep))

    def result(self) -> Any:
        return ops.sqrt(self.squares / ops.maximum(self.count, 1.0))


@keras.saving.register_keras_serializable("astromer")
class R2(_SubsetMetric):
    """Share of the variance explained, pooled over all windows of the epoch.

    ``1 - sum (m - p)^2 / sum (m - mean)^2``, each window about the mean of its own
    observations that count. Zero is what that mean itself would score.

    Parameters
    ----------
    subset : {"hidden", "probed", "valid"}
        Observations that count; see `RMSE`.
    """

    prefix = "r2"

    def __init__(
        self, subset: Subset = "hidden", name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(subset, name, **kwargs)
        self.residual_squares = self.add_variable((), "zeros", name="residual_squares")
        self.total_squares = self.add_variable((), "zeros", name="total_squares")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        residual, keep = _masked(y_true - y_pred, sample_weight)
        mag, _ = _masked(y_true, sample_weight)
        count = ops.maximum(ops.sum(keep, axis=-1, keepdims=True), 1.0)
        mean = ops.sum(mag, axis=-1, keepdims=True) / count
        self.residual_squares.assign_add(ops.sum(ops.square(residual)))
        self.total_squares.assign_add(ops.sum(ops.square((mag - mean) * keep)))

    def result(self) -> Any:
        # Nothing to explain, or nothing seen yet: zero rather than NaN.
        total = ops.convert_to_tensor(self.total_squares)
        score = 1.0 - self.residual_squares / ops.where(total > 0, total, 1.0)
        return ops.where(total > 0, score, 0.0)


def reconstruction_metrics() -> list[keras.metrics.Metric]:
    """Return the metrics that every reconstruction is judged by.

    Returns
    -------
    metrics : list of keras.metrics.Metric
        R2 and RMSE of the hidden observations, and RMSE of all of them (Sect. 5.2).
    """
    return [R2("hidden"), RMSE("hidden"), RMSE("valid")]


def _masked(values: Any, sample_weight: Any) -> tuple[Any, Any]:
    """Return values with zeros where nothing counts, and the mask as floats."""
    values = ops.cast(values, "float32")
    if sample_weight is None:
        return values, ops.ones_like(values)
    keep = ops.cast(sample_weight, "bool")
    return ops.where(keep, values, 0.0), ops.cast(keep, "float32")
