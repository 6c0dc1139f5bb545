"""The pretraining loss: as in paper and release (Eqs. 4 and 5), and in units of scatter."""

from __future__ import annotations

from typing import Any, get_args

import keras
from keras import ops

from astromer.errors import ConfigError, unknown_name
from astromer.models.periods import SMALLEST_SCATTER_MAG
from astromer.training.options import LossForm
from astromer.training.strategy import num_replicas, sum_over_replicas

__all__ = ["ReconstructionLoss"]


@keras.saving.register_keras_serializable("astromer")
class ReconstructionLoss(keras.losses.Loss):
    """Error over the probed observations of a batch.

    With residuals ``r``, probed mask ``m`` and weights ``w`` of N windows:

    - released: ``sqrt(1/N sum_i (sum_l m w r^2 / sum_l m))``, every window alike;
    - paper: ``sqrt(1/(N-1) sum_i sum_l m w r^2)``, Eq. 4, or Eq. 5 with weights
      ``1 / e``; it grows with the number of probed observations;
    - scaled: ``1/N sum_i (sum_l m w huber(r / s_i) / sum_l m)``, where ``s_i`` is the
      root mean square of the window's probed magnitudes, about the mean that was
      subtracted from them, and ``huber(x)`` is ``x^2 / 2`` up to 1 and ``|x| - 1/2``
      beyond. Every window counts alike, whatever its amplitude, and outliers count
      less. About their own mean, two or three magnitudes may have next to no scatter.

    A window without probed observations adds nothing to the sums but counts in N.
    Under a distribution strategy the sums run over all replicas before the root, so
    that the loss and its gradient are those of the whole batch.

    Call arguments: ``y_true`` and ``y_pred`` of shape ``(batch, window_size, 1)`` [mag]
    and ``sample_weight`` of shape ``(batch, window_size)``, the probed mask times
    positive weights. Returns a scalar [mag]; `scaled` has no unit.

    Parameters
    ----------
    form : {"released", "paper", "scaled"}
        Which of the three.
    """

    sums_over_replicas = True

    def __init__(
        self,
        form: LossForm = "released",
        name: str = "reconstruction_loss",
        **kwargs: Any,
    ) -> None:
        if form not in get_args(LossForm):
            raise ConfigError(unknown_name("form", form, get_args(LossForm)))
        super().__init__(name=name, **kwargs)
        self.form = form

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        residual = (ops.cast(y_true, "float32") - ops.cast(y_pred, "float32"))[..., 0]
        weight = (
            ops.ones_like(residual)
            if sample_weight is None
            else ops.cast(sample_weight, "float32")
        )
        # Where nothing counts, a residual may be anything, even NaN. Kept out before the
        # square: NaN times a zero slope is NaN, too.
        residual = ops.where(weight > 0, residual, 0.0)
        counted = ops.cast(weight > 0, "float32")
        if self.form == "scaled":
            scale = _scale(ops.cast(y_true, "float32")[..., 0], counted)
            errors = weight * _huber(residual / scale)
        else:
            errors = weight * ops.square(residual)
        per_window = ops.sum(errors, axis=-1)
        windows = sum_over_replicas(ops.cast(ops.shape(residual)[0], "float32"))
        if self.form == "paper":
            windows = ops.maximum(windows - 1.0, 1.0)
        else:
            per_window = per_window / ops.maximum(ops.sum(counted, axis=-1), 1.0)
        mean = sum_over_replicas(ops.sum(per_window)) / windows
        if self.form == "scaled":
            return mean / num_replicas()
        # The root's slope at zero is infinite; a perfect batch must not give NaN.
        loss = ops.sqrt(ops.maximum(mean, keras.config.epsilon() ** 2))
        # Keras adds the replicas' gradients up.
        return loss / num_replicas()

    def get_config(self) -> dict[str, Any]:
        return {"form": self.form, "name": self.name}


def _scale(mag: Any, counted: Any) -> Any:
    """Return the root mean square of what counts of each window, (batch, 1) [mag]."""
    number = ops.maximum(ops.sum(counted, axis=-1, keepdims=True), 1.0)
    square = ops.where(counted > 0, ops.square(mag), 0.0)
    mean = ops.sum(square, axis=-1, keepdims=True) / number
    return ops.sqrt(mean) + SMALLEST_SCATTER_MAG


def _huber(x: Any) -> Any:
    size = ops.abs(x)
    return ops.where(size < 1.0, 0.5 * ops.square(x), size - 0.5)
