"""Train a classifier on one device and on two replicas; print both as JSON.

Run as a script: TensorFlow takes its devices once, when it starts.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from astromer.models import ClassifierConfig, ClassifierNetwork
from astromer.training import ClassificationLoss, classification_metrics
from tests.models.windows import make_inputs, tiny_config

# Nine windows in batches of four: nothing is left for the second replica at the end.
SIZES = (8, 5, 3, 8, 7, 2, 4, 6, 8)
LABELS = (0, 0, 2, 0, 1, 0, 2, 0, 0)


def train(strategy: Any) -> dict[str, Any]:
    """Fit for three steps, evaluate and predict; return all that came of it."""
    inputs = make_inputs(np.random.default_rng(7), sizes=SIZES)
    labels = np.array(LABELS)
    dataset = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(4)
    with strategy.scope():
        model = ClassifierNetwork(
            tiny_config(num_layers=1, dropout=0.0),
            ClassifierConfig(
                class_names=("a", "b", "c"), hidden_units=(6,), unfrozen_blocks="all"
            ),
            seed=0,
        )
        model.compile(
            optimizer=keras.optimizers.SGD(0.1),
            # A replica's mean is not the batch's: the sums of weights differ.
            loss=ClassificationLoss(0.1, [0.3, 2.0, 5.0]),
            metrics=classification_metrics(3),
            jit_compile=False,
        )
    start = np.concatenate([np.ravel(w) for w in model.get_weights()])
    scores = model.evaluate(dataset, verbose=0, return_dict=True)
    history = model.fit(dataset, epochs=1, verbose=0).history
    weights = np.concatenate([np.ravel(w) for w in model.get_weights()])
    return {
        "scores": scores,
        "training": {name: values[0] for name, values in history.items()},
        "start": start.tolist(),
        "weights": weights.tolist(),
        "logits": model.predict(dataset, verbose=0).tolist(),
    }


def main() -> None:
    """Print the results by number of replicas."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [logical, logical])
    results = {
        "one": train(tf.distribute.get_strategy()),
        "two": train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])),
    }
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
