"""The one place where a run calls `fit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import keras

from astromer.training.strategy import Placement
from astromer.training.workers import Workers

__all__ = ["fit"]


def fit(
    model: keras.Model,
    strategy: Placement,
    train_stream: Any,
    validation: Any,
    *,
    epochs: int,
    initial_epoch: int,
    steps_per_epoch: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Train a compiled model.

    Parameters
    ----------
    model : keras.Model
        Built and compiled in the strategy's scope.
    strategy : Placement
        From `make_strategy`.
    train_stream : tf.data.Dataset or iterable
        Endless; of several workers, each brings its own.
    validation : tf.data.Dataset or iterable, or None
        The same in every pass, and on every worker.
    epochs : int
        Number of the epoch to end before.
    initial_epoch : int
        Number of the first epoch.
    steps_per_epoch : int
        Batches of each epoch.
    callbacks : sequence of keras.callbacks.Callback

    Raises
    ------
    WorkerError
        If another worker was lost.
    """
    workers = Workers.of(strategy)
    if len(workers) > 1:
        from astromer.training.worker_loop import fit_with_strategy_run, take_part

        fit_with_strategy_run(
            model,
            cast("Any", strategy),
            train_stream,
            None
            if validation is None
            else take_part(validation, workers.index, len(workers)),
            epochs=epochs,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            callbacks=callbacks,
        )
        return
    with strategy.scope():
        model.fit(
            train_stream,
            validation_data=validation,
            epochs=epochs,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            callbacks=list(callbacks),
            shuffle=False,
            verbose=0,
        )
