"""The pretraining loss in the forms of paper and release (Eqs. 4 and 5)."""

from __future__ import annotations

from typing import Any, get_args

import keras
from keras import ops

from astromer.errors import ConfigError, unknown_name
from astromer.training.options import LossForm
from astromer.training.strategy import num_replicas, sum_over_replicas

__all__ = ["ReconstructionLoss"]


@keras.saving.register_keras_serializable("astromer")
class ReconstructionLoss(keras.losses.Loss):
    """Root mean square error over the probed observations of a batch.

    With residuals ``r``, probed mask ``m`` and weights ``w`` of N windows:

    - released: ``sqrt(1/N sum_i (sum_l m w r^2 / sum_l m))``, every window alike;
    - paper: ``sqrt(1/(N-1) sum_i sum_l m w r^2)``, Eq. 4, or Eq. 5 with weights
      ``1 / e``; it grows with the number of probed observations.

    A window without probed observations adds nothing to the sums but counts in N.
    Under a distribution strategy the sums run over all replicas before the root, so
    that the loss and its gradient are those of the whole batch.

    Call arguments: ``y_true`` and ``y_pred`` of shape ``(batch, window_size, 1)`` [mag]
    and ``sample_weight`` of shape ``(batch, window_size)``, the probed mask times
    positive weights. Returns a scalar [mag].

    Parameters
    ----------
    form : {"released", "paper"}
        Which of the two.
    """

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
        residual = ops.cast(y_true - y_pred, "float32")[..., 0]
        weight = (
            ops.ones_like(residual)
            if sample_weight is None
            else ops.cast(sample_weight, "float32")
        )
        # Where nothing counts, a residual may be anything, even NaN. Kept out before the
        # square: NaN times a zero slope is NaN, too.
        residual = ops.where(weight > 0, residual, 0.0)
        squares = weight * ops.square(residual)
        per_window = ops.sum(squares, axis=-1)
        count = ops.cast(ops.shape(residual)[0], "float32")
        if self.form == "released":
            probed = ops.sum(ops.cast(weight > 0, "float32"), axis=-1)
            per_window = per_window / ops.maximum(probed, 1.0)
            windows = sum_over_replicas(count)
        else:
            windows = ops.maximum(sum_over_replicas(count) - 1.0, 1.0)
        mean = sum_over_replicas(ops.sum(per_window)) / windows
        # The root's slope at zero is infinite; a perfect batch must not give NaN.
        loss = ops.sqrt(ops.maximum(mean, keras.config.epsilon() ** 2))
        # Keras adds the replicas' gradients up.
        return loss / num_replicas()

    def get_config(self) -> dict[str, Any]:
        return {"form": self.form, "name": self.name}
