"""Train on arrays, without TensorFlow. Run as a script, on JAX or PyTorch.

`python -m tests.training.array_fit START.npz 1 2` starts from the weights in the file and
prints what came of it on one device and on two.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.modules["tensorflow"] = None  # type: ignore[assignment]

import keras
import numpy as np

from astromer.models import Reconstructor
from astromer.pipeline import fixed_windows, stream_batches
from astromer.training import ReconstructionLoss, reconstruction_metrics
from astromer.training.jax_devices import FixedBatches, share_batches
from tests.models.windows import tiny_config
from tests.pipeline.plain import marked_curves

W, BATCH = 8, 8
# 19 windows to validate on, in batches of 8: two devices cannot share the last three.
CURVES = marked_curves(range(9, 34))
VALIDATION = marked_curves([9] * 9 + [5])


def make_model(seed: int = 0) -> Any:
    """Return a compiled model without dropout, whose random numbers differ by backend."""
    model = Reconstructor(tiny_config(num_layers=1, dropout=0.0), seed=seed)
    model.compile(
        # The gradient of a key's bias is zero but for rounding, which Adam with a
        # smaller epsilon would blow up into a step.
        keras.optimizers.Adam(1e-2, epsilon=1e-3),
        ReconstructionLoss(),
        reconstruction_metrics(),
    )
    return model


def fit(model: Any, num_devices: int = 1) -> dict[str, Any]:
    """Train for two epochs of four steps; return all that came of it."""
    stream = stream_batches(
        CURVES, window_size=W, batch_size=BATCH, seed=1, error_weights="released"
    )
    validation = fixed_windows(VALIDATION, window_size=W)
    history = model.fit(
        stream,
        validation_data=FixedBatches(validation, BATCH, num_devices),
        epochs=2,
        steps_per_epoch=4,
        verbose=0,
    )
    weights = np.concatenate([np.ravel(weight) for weight in model.get_weights()])
    return {"history": history.history, "weights": weights.tolist()}


def main(start: Path, *numbers: str) -> None:
    """Print the results by number of devices."""
    results: dict[str, Any] = {"backend": keras.backend.backend()}
    with np.load(start) as stored:
        weights = [stored[name] for name in stored.files]
    for number in map(int, numbers):
        devices = share_batches(number) if number > 1 else None
        with devices.scope() if devices else contextlib.nullcontext():
            model = make_model(seed=number)
            model.set_weights(weights)
            results[str(number)] = fit(model, number)
        if devices:
            results["replicas"] = devices.num_replicas_in_sync
            value = model.trainable_variables[0].value
            results["devices"] = len(value.sharding.device_set)
    json.dump(results, sys.stdout, default=float)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
