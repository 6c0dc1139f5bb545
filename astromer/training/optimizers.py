"""The optimizer of a run, and how its learning rate goes."""

from __future__ import annotations

from typing import Any

import keras

from astromer.training.strategy import num_replicas, sum_over_replicas

__all__ = ["Adam", "learning_rate_schedule"]


@keras.saving.register_keras_serializable("astromer")
class Adam(keras.optimizers.Adam):
    """Keras's Adam, whose clipping looks at the gradient of the whole batch.

    Under a distribution strategy Keras clips the share of each replica before it adds
    them up, which makes another step than one device would. Here the sum is clipped.
    Without clipping, or without a strategy, it is `keras.optimizers.Adam`.
    """

    clips_over_replicas = True

    def _clip_gradients(self, grads: Any) -> Any:
        replicas = num_replicas()
        clips = self.clipnorm or self.global_clipnorm or self.clipvalue
        if replicas == 1 or not clips:
            return super()._clip_gradients(grads)
        whole = [None if grad is None else sum_over_replicas(grad) for grad in grads]
        # Keras adds the replicas' gradients up after this.
        return [
            None if grad is None else grad / replicas
            for grad in super()._clip_gradients(whole)
        ]


def learning_rate_schedule(
    learning_rate: float, *, warmup_steps: int = 0, decay_steps: int | None = None
) -> Any:
    """Return a learning rate that rises linearly, then stays or falls as a cosine.

    Parameters
    ----------
    learning_rate : float
        Largest rate.
    warmup_steps : int
        Steps over which it rises; the first step already has its share.
    decay_steps : int, optional
        Step at which the cosine reaches zero; None keeps the rate constant.

    Returns
    -------
    learning_rate : float or keras.optimizers.schedules.LearningRateSchedule
        For an optimizer; it follows from the optimizer's count of steps alone.
    """
    schedules = keras.optimizers.schedules
    first = learning_rate / max(warmup_steps, 1)
    if decay_steps is not None:
        return schedules.CosineDecay(
            first if warmup_steps else learning_rate,
            decay_steps=decay_steps - warmup_steps,
            warmup_target=learning_rate if warmup_steps else None,
            warmup_steps=warmup_steps,
        )
    if warmup_steps:
        return schedules.PolynomialDecay(
            first, decay_steps=warmup_steps, end_learning_rate=learning_rate, power=1.0
        )
    return learning_rate
