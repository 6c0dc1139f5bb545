"""Train a classifier on one device and on two; print both as JSON. Run as a script.

A process of its own, since TensorFlow takes its devices once, when it starts.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from astromer.models import ClassifierNetwork, Reconstructor
from astromer.presets import load_preset, save_preset
from astromer.training import train_classifier
from tests.models.windows import tiny_config
from tests.training.conftest import make_curves


def main() -> None:
    """Train 22 light curves in batches of 8, 8 and 6: a block and the head, then the
    head alone."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [logical, logical])
    curves = make_curves(37)
    # Nine and seven with these windows: both are odd.
    records = {"train": curves[:21], "validation": curves[21:30], "test": curves[30:]}
    results = []
    with tempfile.TemporaryDirectory() as folder:
        start = Reconstructor(tiny_config(dropout=0.0), seed=0)
        preset = save_preset(start, Path(folder) / "tiny")
        places = {"one": ("CPU:0",), "mirrored": ("CPU:0", "CPU:1")}
        for unfreeze, (strategy, devices) in itertools.product((1, 0), places.items()):
            result = train_classifier(
                preset,
                records,
                Path(folder) / f"{strategy}-{unfreeze}",
                strategy=strategy,
                devices=devices,
                epochs=2,
                batch_size=8,
                hidden_units=(4,),
                unfreeze=unfreeze,
                learning_rate=1e-2,
                # A smaller one would blow the rounding of zero gradients up.
                epsilon=1e-3,
                class_weights="balanced",
                label_smoothing=0.1,
            )
            weights = load_preset(result.preset, ClassifierNetwork).get_weights()
            moved = _moved(start, load_preset(result.preset, ClassifierNetwork))
            results.append(
                {
                    "weights": np.concatenate([np.ravel(w) for w in weights]).tolist(),
                    "history": result.history,
                    "scores": result.scores,
                    "moved": moved,
                }
            )
    json.dump(results, sys.stdout)


def _moved(start: Reconstructor, end: Any) -> float:
    before = start.encoder.get_layer("block_1").get_weights()
    after = end.get_layer("block_1").get_weights()
    return max(float(np.abs(a - b).max()) for a, b in zip(before, after, strict=True))


if __name__ == "__main__":
    main()
