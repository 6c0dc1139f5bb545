"""Train on two replicas of one process, or as one of two workers. Run as a script.

`python -m tests.training.cluster mirrored` prints what came of the loop on one device
and on two. `... train FOLDER` and `... lost FOLDER` are a worker, named by TF_CONFIG, on
the records in the folder.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from astromer.errors import WorkerError
from astromer.models import Reconstructor
from astromer.pipeline import load_dataset
from astromer.training import ReconstructionLoss, reconstruction_metrics
from astromer.training.worker_loop import fit_with_strategy_run, take_part
from astromer.training.workers import Workers, connect_workers
from tests.models.windows import make_inputs, make_targets, tiny_config

EPOCHS, STEPS = 2, 4
LAST_EPOCH_OF_LOST = 3


def make_model(dropout: float = 0.0, seed: int = 0) -> Any:
    """Return a compiled model whose optimizer has gone some way."""
    model = Reconstructor(tiny_config(num_layers=1, dropout=dropout), seed=seed)
    model.compile(
        # The gradient of a key's bias is zero but for rounding, which Adam with a
        # smaller epsilon would blow up into a step.
        keras.optimizers.Adam(1e-2, epsilon=1e-3),
        ReconstructionLoss(),
        reconstruction_metrics(),
        jit_compile=False,
    )
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(7)
    return model


def own_batches(folder: Path, index: int) -> tf.data.Dataset:
    """Return the batches that a worker trains on; the last of a pass is smaller."""
    return load_dataset(
        folder,
        split="train",
        window_size=8,
        batch_size=4,
        seed=3,
        repeat=True,
        shard=(index, 2),
    )


def validation_batches(folder: Path) -> tf.data.Dataset:
    """Return batches to validate on, of all workers."""
    return load_dataset(folder, split="validation", window_size=8, batch_size=3, seed=3)


def flat_weights(model: Any) -> list[float]:
    """Return all weights as one list; seeds of dropout are not weights."""
    weights = [np.ravel(v.numpy()) for v in model.trainable_variables]
    return [float(value) for value in np.concatenate(weights)]


def train_as_worker(folder: Path) -> None:
    """Train with the other worker and print what came of it here."""
    strategy = connect_workers(timeout_s=120.0)
    workers = Workers.of(strategy)
    with strategy.scope():
        model = make_model(seed=workers.index)
    if not workers.is_chief:
        # The chief's state must win.
        model.set_weights([weight + 1 for weight in model.get_weights()])
        model.optimizer.iterations.assign(0)
    callbacks = []
    if workers.is_chief:
        path = str(folder / "epoch_{epoch}.weights.h5")
        callbacks = [
            keras.callbacks.ModelCheckpoint(path, save_weights_only=True, verbose=0)
        ]
    history = fit_with_strategy_run(
        model,
        strategy,
        own_batches(folder, workers.index),
        take_part(validation_batches(folder), workers.index, len(workers)),
        epochs=EPOCHS,
        steps_per_epoch=STEPS,
        callbacks=callbacks,
    )
    json.dump(
        {"history": history.history, "weights": flat_weights(model)},
        sys.stdout,
        default=float,
    )
    sys.stdout.flush()
    if not workers.is_chief:
        # TensorFlow would swallow it.
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)


def lose_a_worker(folder: Path) -> None:
    """Train for long; the second worker is killed, the first says what it is told."""
    strategy = connect_workers(timeout_s=120.0)
    workers = Workers.of(strategy)
    with strategy.scope():
        model = make_model()
    path = str(folder / "last.weights.h5")
    callbacks: list[Any] = [
        keras.callbacks.ModelCheckpoint(path, save_weights_only=True, verbose=0)
    ]
    if not workers.is_chief:
        callbacks = [
            keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, logs: (
                    os.kill(os.getpid(), signal.SIGKILL)
                    if epoch == LAST_EPOCH_OF_LOST
                    else None
                )
            )
        ]
    seen = time.monotonic()

    def notice(batch: int, logs: Any) -> None:
        nonlocal seen
        seen = time.monotonic()

    callbacks.append(keras.callbacks.LambdaCallback(on_train_batch_end=notice))
    try:
        fit_with_strategy_run(
            model,
            strategy,
            own_batches(folder, workers.index),
            epochs=10_000,
            steps_per_epoch=2,
            callbacks=callbacks,
        )
    except WorkerError as error:
        json.dump(
            {"message": str(error), "seconds": time.monotonic() - seen}, sys.stdout
        )
        sys.exit(3)


def train_mirrored() -> None:
    """Print what came of one device and of two replicas on the same batches."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [logical, logical])
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    rng = np.random.default_rng(7)
    # The last batch has one window, and nothing for one of the replicas.
    inputs = make_inputs(rng, sizes=(8, 5, 3, 8, 7, 2, 4, 6, 8))
    targets = make_targets(rng, inputs)
    dataset = tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(4)

    results: dict[str, Any] = {}
    for name, strategy in (("one", tf.distribute.get_strategy()), ("two", mirrored)):
        with strategy.scope():
            model = make_model()
        history = fit_with_strategy_run(model, strategy, dataset, dataset, epochs=2)
        results[name] = {"history": history.history, "weights": flat_weights(model)}

    # Two replicas with the same window each: only their dropout can differ.
    same = tf.data.Dataset.from_tensors(
        tf.nest.map_structure(lambda part: np.repeat(part[:1], 2, 0), (inputs, targets))
    )
    for name, spread in (("own", True), ("shared", False)):
        with mirrored.scope():
            model = make_model(dropout=0.5)
        if spread:
            fit_with_strategy_run(model, mirrored, same, epochs=1)
        ((windows, _),) = itertools.islice(same, 1)
        outputs = mirrored.run(
            tf.function(lambda m, w: m(w, training=True)), args=(model, windows)
        )
        first, second = (
            o.numpy()[0] for o in mirrored.experimental_local_results(outputs)
        )
        results[f"{name} dropout"] = float(np.abs(first - second).max())
    json.dump(results, sys.stdout, default=float)


if __name__ == "__main__":
    mode, *paths = sys.argv[1:]
    if mode == "mirrored":
        train_mirrored()
    else:
        {"train": train_as_worker, "lost": lose_a_worker}[mode](Path(paths[0]))
