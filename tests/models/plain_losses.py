"""Train with losses of Keras on one device and on two replicas; print both as JSON.

Run as a script: TensorFlow takes its devices once, when it starts.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from astromer.errors import ConfigError
from astromer.models import ClassifierConfig, ClassifierNetwork, Reconstructor
from astromer.training import ClassificationLoss, ReconstructionLoss
from tests.models.windows import make_inputs, make_targets, tiny_config

SIZES = (8, 5, 3, 8, 7, 2)
LABELS = (0, 2, 1, 0, 0, 2)
# Six windows are a batch of five, three for one replica and two for the other, and a
# batch of one, which leaves a replica without any.
BATCH_SIZE = 5

RECONSTRUCTIONS: dict[str, Any] = {
    "mse": "mse",
    "sum": keras.losses.Huber(reduction="sum"),
    "weighted mean": keras.losses.MeanAbsoluteError("mean_with_sample_weight"),
    "own": ReconstructionLoss("scaled"),
}
CLASSIFICATIONS: dict[str, Any] = {
    "crossentropy": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "own classes": ClassificationLoss(),
}


def reconstructor(loss: Any, **options: Any) -> tuple[keras.Model, Any]:
    """Return a compiled model, and batches for it."""
    rng = np.random.default_rng(7)
    inputs = make_inputs(rng, SIZES)
    model = Reconstructor(tiny_config(num_layers=1, dropout=0.0), seed=0)
    # What is added to the loss is no part of what replicas share.
    model.get_layer("head_dense").kernel.regularizer = keras.regularizers.L2(5.0)
    model.compile(keras.optimizers.SGD(0.05), loss, jit_compile=False, **options)
    return model, (inputs, make_targets(rng, inputs))


def classifier(loss: Any) -> tuple[keras.Model, Any]:
    """Return a compiled model, and weighted batches for it."""
    inputs = make_inputs(np.random.default_rng(7), SIZES)
    options = ClassifierConfig(
        class_names=("a", "b", "c"), hidden_units=(6,), unfrozen_blocks="all"
    )
    model = ClassifierNetwork(tiny_config(num_layers=1, dropout=0.0), options, seed=0)
    model.compile(keras.optimizers.SGD(0.05), loss, jit_compile=False)
    return model, (
        inputs,
        np.array(LABELS),
        np.linspace(0.5, 2.0, len(SIZES), dtype="f"),
    )


def train(make: Any, loss: Any, strategy: Any) -> dict[str, Any]:
    """Fit for an epoch; return weights and losses, before and during it."""
    with strategy.scope():
        model, arrays = make(loss)
    dataset = tf.data.Dataset.from_tensor_slices(arrays).batch(BATCH_SIZE)
    before = model.evaluate(dataset, verbose=0)
    start = np.concatenate([np.ravel(w) for w in model.get_weights()])
    during = model.fit(dataset, shuffle=False, verbose=0).history["loss"][0]
    weights = np.concatenate([np.ravel(w) for w in model.get_weights()])
    return {
        "losses": np.ravel([*np.ravel(before)[:1], during]).tolist(),
        "moved": float(np.abs(weights - start).max()),
        "weights": weights.tolist(),
    }


def refused(strategy: Any) -> str:
    """Return what is said of a loss that takes the mean over a batch itself."""
    with strategy.scope():
        model, arrays = reconstructor(lambda y, p: keras.ops.mean((y - p) ** 2))
    try:
        model.fit(*arrays, verbose=0)
    except ConfigError as error:
        return str(error)
    return ""


def main() -> None:
    """Print the results by loss and number of replicas."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [logical, logical])
    one = tf.distribute.get_strategy()
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    results: dict[str, Any] = {}
    for make, losses in (
        (reconstructor, RECONSTRUCTIONS),
        (classifier, CLASSIFICATIONS),
    ):
        for name, loss in losses.items():
            results[name] = {
                "one": train(make, loss, one),
                "two": train(make, loss, two),
            }
    results["refused"] = refused(two)
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
