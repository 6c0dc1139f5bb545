"""The optimizer of a run, and how its learning rate goes."""

from __future__ import annotations

from typing import Any

import keras

from astromer.training.options import TrainingOptions
from astromer.training.strategy import num_replicas, sum_over_replicas

__all__ = ["Adam", "learning_rate_schedule", "make_optimizer"]


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


def make_optimizer(options: TrainingOptions, steps_per_epoch: int) -> Adam:
    """Make the optimizer that a run's options ask for.

    Parameters
    ----------
    options : TrainingOptions
    steps_per_epoch : int

    Returns
    -------
    optimizer : Adam
    """
    epochs = options.decay_epochs or options.epochs
    decays = options.schedule == "cosine"
    rate = learning_rate_schedule(
        options.learning_rate,
        warmup_steps=options.warmup(steps_per_epoch),
        decay_steps=epochs * steps_per_epoch if decays else None,
    )
    return Adam(
        rate,
        beta_1=options.beta_1,
        beta_2=options.beta_2,
        epsilon=options.epsilon,
        global_clipnorm=options.clip_norm,
    )


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
