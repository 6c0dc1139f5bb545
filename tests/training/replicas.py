"""Train on one device and on two replicas; print both as JSON. Run as a script.

A process of its own, since TensorFlow takes its devices once, when it starts.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from astromer.models import Reconstructor
from astromer.training import ReconstructionLoss, reconstruction_metrics
from astromer.training.strategy import num_replicas, sum_over_replicas
from tests.models.windows import make_inputs, make_targets, tiny_config

# Nine windows in batches of four: three steps, and nothing left in the last one for
# the second replica.
SIZES = (8, 5, 3, 8, 7, 2, 4, 6, 8)

OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(0.05),
    # The gradient of a key's bias is zero but for rounding, which Adam with a smaller
    # epsilon would blow up into a step.
    "Adam": lambda: keras.optimizers.Adam(1e-2, epsilon=1e-3),
}


def train(strategy: Any, optimizer: str, form: Any) -> dict[str, Any]:
    """Fit for three steps and evaluate; return all that came of it."""
    rng = np.random.default_rng(7)
    inputs = make_inputs(rng, sizes=SIZES)
    targets = make_targets(rng, inputs)
    # Windows with much and with nothing to probe: no replica has the mean of both.
    targets["probed"][1] = False
    targets["probed"][2] = inputs["valid"][2]
    dataset = tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(4)
    with strategy.scope():
        model = Reconstructor(tiny_config(num_layers=1, dropout=0.0), seed=0)
        model.compile(
            OPTIMIZERS[optimizer](),
            ReconstructionLoss(form),
            reconstruction_metrics(),
            jit_compile=False,
        )
    start = np.concatenate([np.ravel(w) for w in model.get_weights()])
    scores = {}
    if form == "released":
        scores = model.evaluate(dataset, verbose=0, return_dict=True)
    history = model.fit(dataset, epochs=1, shuffle=False, verbose=0).history
    weights = np.concatenate([np.ravel(w) for w in model.get_weights()])
    return {
        "scores": scores,
        "training": {name: values[0] for name, values in history.items()},
        "start": start.tolist(),
        "weights": weights.tolist(),
    }


def main() -> None:
    """Print the results of every case, by number of replicas."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [logical, logical])
    strategies = {
        "one": tf.distribute.get_strategy(),
        "two": tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]),
    }
    results: dict[str, Any] = {}
    for name, strategy in strategies.items():
        results[name] = {
            f"{optimizer} {form}": train(strategy, optimizer, form)
            for optimizer, form in (("SGD", "released"), ("Adam", "paper"))
        }
        sums = strategy.run(
            tf.function(lambda: sum_over_replicas(tf.constant(2.0)) / num_replicas())
        )
        sums = strategy.experimental_local_results(sums)
        results[name]["means"] = [float(value) for value in sums]
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
