"""The authors' classifiers, repeated by ours. Run as a script on another backend.

``python -m tests.models.released_heads SHARED OUT.npz`` writes the logits by name.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from astromer.models import (
    ClassifierConfig,
    ClassifierNetwork,
    EncoderConfig,
    Reconstructor,
)
from tests.models.released import set_weights

Arrays = dict[str, np.ndarray[Any, Any]]

# As built: the classifiers hide nothing, so that it makes no difference.
ENCODER = EncoderConfig.from_name("astromer2", hidden_magnitude="leak")
CLASS_NAMES = tuple("abcdef")

# The authors' name of a classifier and our options for it.
HEADS: dict[str, dict[str, Any]] = {
    "skip_logits": {"head": "gamma", "mixture": "released"},
    "skip_logits_gamma_initial": {"head": "gamma", "mixture": "released"},
    "max_logits": {"head": "max"},
    "pipeline0_avg_mlp_logits": {"head": "mean"},
    "base_avgpool_logits": {"head": "input_mean"},
    "base_gru_logits": {"head": "input_gru"},
    "raw_gru_logits": {"head": "raw_gru", "raw_time_unit": 1.0},
}

ON_ANY_BACKEND = ("skip_logits", "max_logits", "base_avgpool_logits", "raw_gru_logits")
"""One of each kind of layer; what the script computes."""

_GRU = {"input_gru": "gru_layer", "raw_gru": "gru_raw_layer"}


@functools.cache
def stored(shared: Path) -> Arrays:
    """Return the arrays of all classifiers."""
    with np.load(shared / "reference" / "classifiers.npz") as arrays:
        return dict(arrays)


@functools.cache
def encoder_of(shared: Path) -> Any:
    """Return the authors' random encoder, as built: without a token."""
    model = Reconstructor(ENCODER)
    with np.load(shared / "reference" / "astromer2_random_weights.npz") as weights:
        set_weights(model, weights)
    return model.encoder


def inputs_of(shared: Path) -> Arrays:
    """Return the eight windows; their mask is one on padding, nothing is hidden."""
    arrays = stored(shared)
    valid = arrays["mask_in"][..., 0] == 0
    return {
        "time": arrays["times"][..., 0],
        "mag": arrays["input"][..., 0],
        "valid": valid,
        "hidden": np.zeros_like(valid),
    }


def build(shared: Path, name: str) -> ClassifierNetwork:
    """Return our model with the weights of one of the authors' classifiers."""
    arrays = stored(shared)
    model = ClassifierNetwork(
        ENCODER, ClassifierConfig(class_names=CLASS_NAMES, **HEADS[name])
    )
    model.take_encoder_weights(encoder_of(shared))
    roles = {f"hidden_{i}": f"dense_{i}" for i in range(3)} | {"output": "output_layer"}
    for layer, role in roles.items():
        model.get_layer(layer).set_weights(
            [arrays[f"head/{role}/{part}"] for part in ("kernel", "bias")]
        )
    model.get_layer("output_norm").set_weights(
        [arrays[f"head/layer_norm/{part}"] for part in ("gamma", "beta")]
    )
    pooling = model.get_layer("pooling")
    if model.head in _GRU:
        pooling.set_weights(
            [
                arrays[f"head/{_GRU[model.head]}/{part}"]
                for part in ("kernel", "recurrent_kernel", "bias")
            ]
        )
    elif name == "skip_logits":
        pooling.set_weights([arrays["head/gamma"]])
    return model


def as_array(tensor: Any) -> np.ndarray[Any, Any]:
    """Return a tensor of any backend as an array."""
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def logits_of(shared: Path, name: str) -> np.ndarray[Any, Any]:
    """Return what our model gives for the eight windows."""
    return as_array(build(shared, name)(inputs_of(shared)))


if __name__ == "__main__":
    root = Path(sys.argv[1])
    logits = {name: logits_of(root, name) for name in ON_ANY_BACKEND}
    np.savez(sys.argv[2], allow_pickle=False, **logits)
