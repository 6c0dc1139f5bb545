"""Train on one device and on two replicas; print both as JSON. Run as a script.

A process of its own, since TensorFlow takes its devices once, when it starts.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from astromer.models import Reconstructor
from astromer.pipeline import load_dataset
from astromer.presets import load_preset
from astromer.training import (
    Adam,
    ReconstructionLoss,
    make_strategy,
    pretrain,
    reconstruction_metrics,
)
from astromer.training.strategy import num_replicas, sum_over_replicas
from tests.models.windows import make_inputs, make_targets, tiny_config
from tests.training.conftest import make_curves

# Nine windows in batches of four: three steps, and nothing left in the last one for
# the second replica.
SIZES = (8, 5, 3, 8, 7, 2, 4, 6, 8)

OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(0.05),
    # The gradient of a key's bias is zero but for rounding, which Adam with a smaller
    # epsilon would blow up into a step.
    "Adam": lambda: keras.optimizers.Adam(1e-2, epsilon=1e-3),
    # Less than the gradient's norm: the clipping decides the step.
    "clipped": lambda: Adam(1e-2, epsilon=1e-3, global_clipnorm=1e-3),
}

CURVES = {"train": make_curves(22), "validation": make_curves(31)[22:]}
"""Of 22 windows in batches of 8 the last holds six; of 17 to validate, one."""

RUN = {
    "config": tiny_config(num_layers=1, dropout=0.0),
    "batch_size": 8,
    "learning_rate": 1e-2,
    "epsilon": 1e-3,
    "schedule": "constant",
    "seed": 3,
}


CASES: tuple[tuple[str, Any], ...] = (
    ("SGD", "released"),
    ("Adam", "paper"),
    ("clipped", "released"),
)


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


def score(strategy: Any) -> dict[str, Any]:
    """Evaluate and predict windows from `load_dataset`, the last batch uneven."""
    fixed = load_dataset(
        CURVES["validation"], window_size=8, batch_size=8, training=False
    )
    with strategy.scope():
        model = Reconstructor(tiny_config(num_layers=1), seed=0)
        model.compile(
            loss=ReconstructionLoss(),
            metrics=reconstruction_metrics(),
            jit_compile=False,
        )
    return {
        "scores": model.evaluate(fixed, verbose=0, return_dict=True),
        "predicted": model.predict(fixed, verbose=0).tolist(),
    }


def run_pretraining(out: Path, name: str) -> dict[str, Any]:
    """Pretrain on one device or two; in one piece, and in two."""
    where: dict[str, Any] = {
        "one": {"strategy": "one", "devices": ["CPU:1"]},
        "two": {"strategy": "mirrored", "devices": ["CPU:0", "CPU:1"]},
    }[name]
    said: list[str] = []
    whole = pretrain(CURVES, out / name, epochs=2, **RUN, **where, report=said.append)
    parts = None
    if name == "two":
        # On one device `test_resume` does it.
        pretrain(CURVES, out / "in parts", epochs=1, **RUN, **where)
        parts = pretrain(CURVES, out / "in parts", epochs=2, resume=True).history
    weights = load_preset(whole.preset, Reconstructor).get_weights()
    return {
        "history": whole.history,
        "parts": parts,
        "said": said[0],
        "weights": np.concatenate([np.ravel(w) for w in weights]).tolist(),
    }


def choices() -> dict[str, Any]:
    """Return which strategies come of which names, and on how many replicas."""
    cases: dict[str, tuple[Any, Any]] = {
        "auto": ("auto", None),
        "auto of two": ("auto", 2),
        "auto of one": ("auto", ["CPU:1"]),
        "mirrored": ("mirrored", None),
        "mirrored of one": ("mirrored", ["cpu:0"]),
        "one": ("one", None),
    }
    found = {}
    for case, (name, devices) in cases.items():
        strategy = make_strategy(name, devices)
        found[case] = [type(strategy).__name__, strategy.num_replicas_in_sync]
    return found


def main() -> None:
    """Print the results of every case, by number of replicas."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [logical, logical])
    strategies = {
        "one": tf.distribute.get_strategy(),
        "two": make_strategy("mirrored", ["CPU:0", "CPU:1"]),
    }
    results: dict[str, Any] = {}
    for name, strategy in strategies.items():
        results[name] = {
            f"{optimizer} {form}": train(strategy, optimizer, form)
            for optimizer, form in CASES
        }
        sums = strategy.run(
            tf.function(lambda: sum_over_replicas(tf.constant(2.0)) / num_replicas())
        )
        sums = strategy.experimental_local_results(sums)
        results[name]["means"] = [float(value) for value in sums]
        results[name]["fixed"] = score(strategy)
        with tempfile.TemporaryDirectory() as folder:
            results[name]["run"] = run_pretraining(Path(folder), name)
    results["choices"] = choices()
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
