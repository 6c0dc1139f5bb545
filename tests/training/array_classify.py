"""Classifiers on one device and on two: ``python -m tests.training.array_classify FOLDER``.

Prints losses and scores as JSON, on any backend but TensorFlow.
"""

import json
import sys
from pathlib import Path

import numpy as np

from astromer import Astromer, EncoderConfig, LightCurve
from astromer.training import train_classifier
from astromer.training.encoding import predict_in_order
from astromer.training.jax_devices import FixedBatches, share_batches

CONFIG = EncoderConfig(
    num_layers=1,
    num_heads=2,
    head_dim=4,
    hidden_dim=8,
    intermediate_dim=8,
    window_size=20,
)
# Nine windows in batches of four: two devices cannot share the last one.
NUM_CURVES, BATCH_SIZE = 9, 4


def make_curves():
    rng = np.random.default_rng(0)
    return [
        LightCurve(
            time=np.sort(rng.uniform(0, 500, 20)),
            mag=15 + (1 + number % 3) * rng.normal(0, 0.2, 20),
            mag_err=np.full(20, 0.05),
            passband="R",
            object_id=f"star {number}",
            class_name="abc"[number % 3],
        )
        for number in range(NUM_CURVES)
    ]


def train(folder, curves, devices):
    result = train_classifier(
        folder / "preset",
        {"train": curves, "validation": curves[::-1]},
        folder / f"run on {devices}",
        epochs=1,
        batch_size=BATCH_SIZE,
        head="mean",
        hidden_units=(4,),
        strategy="mirrored" if devices > 1 else "one",
        devices=devices,
        report=lambda line: None,
    )
    names = ("loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1_object")
    return [[row[name] for name in names] for row in result.history]


def predict(windows, devices):
    # Made outside the scope, as those of a scorer are.
    batches = FixedBatches((windows, windows["time"]), BATCH_SIZE, 1)
    with share_batches(devices).scope():
        model = Astromer(CONFIG, seed=0)
        return predict_in_order(model, batches, len(windows["time"]), BATCH_SIZE)


def main():
    folder = Path(sys.argv[1])
    Astromer(CONFIG, seed=0).save_pretrained(folder / "preset")
    curves = make_curves()
    found = {f"run on {devices}": train(folder, curves, devices) for devices in (1, 2)}
    time = np.stack([curve.time for curve in curves]).astype(np.float32)
    mag = np.stack([curve.mag for curve in curves]).astype(np.float32)
    ones = np.ones_like(mag)
    windows = {
        "time": time - time.mean(axis=1, keepdims=True),
        "mag": mag - mag.mean(axis=1, keepdims=True),
        "valid": ones,
        "hidden": 0 * ones,
    }
    found["of all"] = predict(windows, 1).tolist()
    found["of two"] = predict(windows, 2).tolist()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
