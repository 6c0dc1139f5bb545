"""Training on several hosts: `fit`, where Keras's own cannot run.

Under `tf.distribute.MultiWorkerMirroredStrategy` Keras's `fit` fails on its first step.
This loop takes the same compiled model and the same callbacks. Each worker brings the
batches of its own data; a step's global batch is what all of them bring.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from astromer.errors import ConfigError
from astromer.training.workers import Workers, watch_workers

__all__ = [
    "collect_from_workers",
    "fit_with_strategy_run",
    "share_from_chief",
    "share_values_from_chief",
    "take_part",
]

Logs = dict[str, Any]
Step = Callable[[Any, tf.Tensor], tuple[Logs, tf.Tensor]]

_SEED_STRIDE: Final = 1_000_003
_INFINITE: Final = -1


def fit_with_strategy_run(
    model: keras.Model,
    strategy: tf.distribute.Strategy,
    train: tf.data.Dataset,
    validation: tf.data.Dataset | None = None,
    *,
    epochs: int,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    callbacks: Iterable[keras.callbacks.Callback] | keras.callbacks.CallbackList = (),
) -> keras.callbacks.History:
    """Train a compiled model on all replicas of all workers.

    Every worker calls this with its own data and the same numbers. Loss, metrics and
    logs are those of the global batch on every worker. A worker whose data end before
    the others' takes part with batches of nothing, which add nothing.

    Weights, optimizer and seeds start as the chief's (see `share_from_chief`). Each
    replica draws its own dropout. If the loss is a mean, it must be one over all
    replicas, as `ReconstructionLoss` is.

    Parameters
    ----------
    model : keras.Model
        Built and compiled in the strategy's scope.
    strategy : tf.distribute.Strategy
        From `connect_workers`, or any other.
    train : tf.data.Dataset
        This worker's batches ``(inputs, targets)``, which its replicas share.
    validation : tf.data.Dataset, optional
        This worker's batches to validate on after each epoch.
    epochs : int
        Number of the epoch to end before, as in `keras.Model.fit`.
    initial_epoch : int
        Number of the first epoch.
    steps_per_epoch : int, optional
        Steps of an epoch; not given, an epoch is one pass over `train`.
    validation_steps : int, optional
        Steps of a validation; not given, it is one pass over `validation`.
    callbacks : iterable of keras.callbacks.Callback
        Called on every worker. Those that write should be given to the chief alone, and
        must not read metrics, which takes all workers; their logs have them.

    Returns
    -------
    history : keras.callbacks.History

    Raises
    ------
    ConfigError
        If the model is compiled for what cannot run here, or the data are too few or
        of unknown number.
    WorkerError
        If another worker was lost.
    """
    _check_compiled(model, strategy)
    workers = Workers.of(strategy)
    if not isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = keras.callbacks.CallbackList(
            list(callbacks), add_history=True, model=model, epochs=epochs
        )
    with watch_workers(workers):
        # Callbacks run outside the scope: a variable that one of them makes would else
        # be made by all workers together, and the chief's own would wait for theirs.
        with strategy.scope():
            replicas = _Replicas(model, strategy, len(workers))
            replicas.build(train.element_spec)
            batches = _Feed(replicas, train, steps_per_epoch, epochs - initial_epoch)
            train_step = replicas.compile(model.train_step, train.element_spec)
            if validation is not None:
                checks = _Feed(replicas, validation, validation_steps)
                test_step = replicas.compile(model.test_step, validation.element_spec)
            share_from_chief(model, strategy)
            _spread_seeds(model, strategy)
        callbacks.set_params({"epochs": epochs, "steps": batches.steps, "verbose": 0})

        model.stop_training = False
        callbacks.on_train_begin()
        logs: Logs = {}
        for epoch in range(initial_epoch, epochs):
            model.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            logs = _train(replicas, train_step, batches, callbacks)
            if validation is not None:
                scores = _validate(replicas, test_step, checks, callbacks)
                logs |= {f"val_{name}": score for name, score in scores.items()}
            callbacks.on_epoch_end(epoch, logs)
            # One that stops alone would leave the others waiting.
            (stops,) = replicas.sum_over_workers(int(model.stop_training))
            model.stop_training = stops > 0
            if model.stop_training:
                break
        model.optimizer.finalize_variable_values(model.trainable_weights)
        callbacks.on_train_end(logs)
    return model.history


def share_from_chief(model: keras.Model, strategy: tf.distribute.Strategy) -> None:
    """Give every replica the chief's weights, optimizer state and seeds.

    A run that goes on needs its checkpoint on the chief's disk only.

    Parameters
    ----------
    model : keras.Model
        Compiled, with a built optimizer.
    strategy : tf.distribute.Strategy
        All its workers must call this.
    """
    if strategy.num_replicas_in_sync == 1:
        return
    # Exact for all that a model is made of, integers up to 2**53 included.
    variables = [*model.variables, *model.optimizer.variables]
    flat = [tf.reshape(tf.cast(v.value, tf.float64), [-1]) for v in variables]
    share = _on_all_replicas(strategy, _take_from_first)
    parts = tf.split(share(tf.concat(flat, axis=0)), [len(part) for part in flat])
    for variable, part in zip(variables, parts, strict=True):
        variable.assign(tf.reshape(tf.cast(part, variable.dtype), variable.shape))


def collect_from_workers(strategy: tf.distribute.Strategy, number: int) -> list[int]:
    """Return a whole number of every worker, by the worker's number.

    Parameters
    ----------
    strategy : tf.distribute.Strategy
        All its workers must call this, and wait for the last one.
    number : int
        This worker's, from 0 to 2**32.

    Returns
    -------
    numbers : list of int
        The same on every worker.
    """
    workers = Workers.of(strategy)
    own = np.zeros(len(workers))
    # Every replica of a worker brings a share of the worker's.
    own[workers.index] = number * len(workers) / strategy.num_replicas_in_sync
    total = _on_all_replicas(strategy, _sum_over_replicas)
    return [round(value) for value in total(tf.constant(own)).numpy().tolist()]


def share_values_from_chief(values: Any, strategy: tf.distribute.Strategy) -> Any:
    """Give every worker the chief's plain JSON values.

    Parameters
    ----------
    values : JSON values
        Those of other workers than the chief are ignored.
    strategy : tf.distribute.Strategy
        All its workers must call this.

    Returns
    -------
    values : JSON values
    """
    text = json.dumps(values).encode()
    size, *_ = collect_from_workers(strategy, len(text))
    own = np.zeros(size)
    if Workers.of(strategy).is_chief:
        own[:] = np.frombuffer(text, np.uint8)
    share = _on_all_replicas(strategy, _take_from_first)
    return json.loads(share(tf.constant(own)).numpy().astype(np.uint8).tobytes())


def take_part(dataset: tf.data.Dataset, index: int, number: int) -> tf.data.Dataset:
    """Keep a worker's rows of every batch.

    The parts of all workers make up the batches, so that training and validation on
    them equal those of one process. A part may have no rows.

    Parameters
    ----------
    dataset : tf.data.Dataset
        The same batches on every worker.
    index : int
        Number of the worker.
    number : int
        Workers in all.

    Returns
    -------
    dataset : tf.data.Dataset
    """
    if number == 1:
        return dataset
    return dataset.map(lambda *batch: _rows(batch, index, number))


class _Replicas:
    """A model's steps on all replicas at once, with the metrics of all of them."""

    def __init__(
        self, model: keras.Model, strategy: tf.distribute.Strategy, num_workers: int
    ) -> None:
        self.model = model
        self.strategy = strategy
        self.num_workers = num_workers
        self._num_local = strategy.num_replicas_in_sync // num_workers
        self._sum = _on_all_replicas(strategy, _sum_over_replicas)

    def build(self, spec: Any) -> None:
        """Make all variables now: they cannot be made within a replica's step."""
        batch = tf.nest.map_structure(
            lambda part: tf.zeros([1, *part.shape[1:]], part.dtype), spec
        )
        self.model._maybe_symbolic_build(data_batch=batch)  # noqa: SLF001
        for metric in self.model.metrics:
            for variable in metric.variables:
                if variable.aggregation != "sum":
                    raise ConfigError(
                        "Metrics of several replicas are sums of their variables. "
                        f"Received: metric={metric.name} with a variable of "
                        f'aggregation="{variable.aggregation}". Leave it out.'
                    )

    def sum_over_workers(self, *counts: int) -> list[int]:
        """Add whole numbers of every worker up; all must ask at the same time."""
        if self.num_workers == 1:
            return list(counts)
        # Every replica of a worker brings a share of the worker's.
        own = tf.constant(counts, tf.float64) / self._num_local
        return [round(float(total)) for total in self._sum(own)]

    def compile(self, step: Callable[[Any], Any], spec: Any) -> Step:
        """Return a step of one replica as one of all, for batches of any size."""

        def on_replica(batch: Any, stop: tf.Tensor) -> Any:
            context = tf.distribute.get_replica_context()
            place = context.replica_id_in_sync_group % self._num_local
            step(_rows(batch, place, self._num_local))
            # One sum for all: metrics keep what this replica alone has seen.
            variables = [v for m in self.model.metrics for v in m.variables]
            values = [*map(tf.convert_to_tensor, variables), stop]
            flat = [tf.reshape(tf.cast(value, tf.float32), [-1]) for value in values]
            total = context.all_reduce("sum", tf.concat(flat, axis=0))
            *parts, stops = tf.split(total, [part.shape[0] for part in flat])
            states = iter(
                tf.cast(tf.reshape(part, v.shape), v.dtype)
                for part, v in zip(parts, variables, strict=True)
            )
            return self._results(states), stops[0] > 0

        # Traced once, whatever sizes come: workers that trace at different times would
        # wait for each other in different sums.
        @tf.function(input_signature=[_any_size(spec), tf.TensorSpec((), tf.bool)])
        def on_all(batch: Any, stop: tf.Tensor) -> Any:
            outputs = self.strategy.run(on_replica, args=(batch, stop))
            return tf.nest.map_structure(
                lambda output: self.strategy.experimental_local_results(output)[0],
                outputs,
            )

        compiled: Step = on_all
        return compiled

    def _results(self, states: Iterator[tf.Tensor]) -> Logs:
        results: Logs = {}
        for metric in self.model.metrics:
            own = list(itertools.islice(states, len(metric.variables)))
            result = metric.stateless_result(own)
            results |= result if isinstance(result, dict) else {metric.name: result}
        return results


class _Feed:
    """A worker's batches, as many in each epoch as the other workers have."""

    def __init__(
        self,
        replicas: _Replicas,
        dataset: tf.data.Dataset,
        steps: int | None,
        epochs: int | None = None,
    ) -> None:
        # With a number of steps, epochs follow each other through the data; otherwise,
        # and where no number of epochs is given, each begins anew.
        self._restarts = steps is None or epochs is None
        self._dataset = dataset
        self._iterator: Iterator[Any] = iter(() if self._restarts else dataset)
        self._nothing = tf.nest.map_structure(
            lambda part: tf.zeros([0, *part.shape[1:]], part.dtype),
            dataset.element_spec,
        )
        available = _most(replicas, int(dataset.cardinality()))
        if steps is None and available == math.inf:
            raise ConfigError(
                "A pass over endless data has no end. Received: steps_per_epoch or "
                "validation_steps=None. Give the number of steps."
            )
        wanted = int(available) if steps is None else steps
        needed = wanted if epochs is None or self._restarts else wanted * epochs
        if not 0 < needed <= available:
            raise ConfigError(
                "The data must last for every step. Received: "
                f"{available:.0f} batches for {needed} steps. Lower their number, or "
                "give an endless dataset (`load_dataset(..., repeat=True)`)."
            )
        self.steps = wanted

    def __iter__(self) -> Iterator[Any]:
        if self._restarts:
            self._iterator = iter(self._dataset)
        for _ in range(self.steps):
            yield next(self._iterator, self._nothing)


def _train(
    replicas: _Replicas,
    step: Step,
    batches: _Feed,
    callbacks: keras.callbacks.CallbackList,
) -> Logs:
    model = replicas.model
    logs: Logs = {}
    for number, batch in enumerate(batches):
        callbacks.on_train_batch_begin(number)
        logs, stop = step(batch, tf.constant(bool(model.stop_training)))
        callbacks.on_train_batch_end(number, logs)
        # Workers agree in a step: one that stops alone would leave the others waiting.
        if stop if replicas.num_workers > 1 else model.stop_training:
            break
    return _as_numbers(logs)


def _validate(
    replicas: _Replicas,
    step: Step,
    batches: _Feed,
    callbacks: keras.callbacks.CallbackList,
) -> Logs:
    callbacks.on_test_begin()
    replicas.model.reset_metrics()
    logs: Logs = {}
    for number, batch in enumerate(batches):
        callbacks.on_test_batch_begin(number)
        logs, _ = step(batch, tf.constant(value=False))
        callbacks.on_test_batch_end(number, logs)
    numbers = _as_numbers(logs)
    callbacks.on_test_end(numbers)
    return numbers


def _rows(batch: Any, place: Any, number: int) -> Any:
    """Return the rows of one of so many parts of a batch."""
    if number == 1:
        return batch

    def cut(values: tf.Tensor) -> tf.Tensor:
        rows = tf.shape(values)[0]
        return values[rows * place // number : rows * (place + 1) // number]

    return tf.nest.map_structure(cut, batch)


@functools.cache
def _on_all_replicas(
    strategy: tf.distribute.Strategy, function: Callable[[tf.Tensor], tf.Tensor]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Compile a function of a vector whose result is the same on every replica."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float64)])
    def on_all(value: tf.Tensor) -> tf.Tensor:
        results = strategy.run(function, args=(value,))
        return strategy.experimental_local_results(results)[0]

    compiled: Callable[[tf.Tensor], tf.Tensor] = on_all
    return compiled


def _sum_over_replicas(value: tf.Tensor) -> tf.Tensor:
    # A function's argument lies on no device, and TensorFlow sums by device.
    own = tf.identity(value)
    return tf.distribute.get_replica_context().all_reduce("sum", own)


def _take_from_first(value: tf.Tensor) -> tf.Tensor:
    context = tf.distribute.get_replica_context()
    first = tf.equal(context.replica_id_in_sync_group, 0)
    return _sum_over_replicas(tf.where(first, value, tf.zeros_like(value)))


def _any_size(spec: Any) -> Any:
    return tf.nest.map_structure(
        lambda part: tf.TensorSpec([None, *part.shape[1:]], part.dtype), spec
    )


def _most(replicas: _Replicas, cardinality: int) -> float:
    """Return the largest number of batches that a worker has."""
    if cardinality < _INFINITE:
        raise ConfigError(
            "The number of batches must be known, for workers to make equally many "
            f"steps. Received: dataset.cardinality()={cardinality}. Use "
            "`tf.data.experimental.assert_cardinality`, or `repeat`."
        )
    counts = [0] * replicas.num_workers
    counts[Workers.of(replicas.strategy).index] = cardinality
    counts = replicas.sum_over_workers(*counts)
    return math.inf if _INFINITE in counts else max(counts)


def _spread_seeds(model: keras.Model, strategy: tf.distribute.Strategy) -> None:
    """Let each replica draw its own dropout; the first one draws as it would alone."""
    seeds = [v for v in model.non_trainable_variables if v.name == _SEED_NAME]
    if strategy.num_replicas_in_sync == 1 or not seeds:
        return

    @tf.function
    def spread() -> None:
        strategy.run(spread_on_replica)

    def spread_on_replica() -> None:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        for seed in seeds:
            offset = tf.stack([tf.cast(replica * _SEED_STRIDE, seed.dtype), 0])
            seed.assign(tf.convert_to_tensor(seed) + offset)

    spread()


_SEED_NAME: Final = "seed_generator_state"


def _as_numbers(logs: Logs) -> Logs:
    return {name: float(value) for name, value in logs.items()}


def _check_compiled(model: keras.Model, strategy: tf.distribute.Strategy) -> None:
    if not model.compiled:
        raise ConfigError(
            "A model must be compiled before it is trained. "
            f"Received: model={model.name}. Call `compile` in the strategy's scope."
        )
    refused = {
        "run_eagerly": model.run_eagerly,
        "jit_compile": model.jit_compile and strategy.num_replicas_in_sync > 1,
        "steps_per_execution": model.steps_per_execution > 1,
        "gradient_accumulation_steps": bool(
            model.optimizer.gradient_accumulation_steps
        ),
    }
    for option, is_set in refused.items():
        if is_set:
            raise ConfigError(
                "Several replicas make one plain step at a time. "
                f"Received: a model compiled with `{option}`. Leave it out."
            )
