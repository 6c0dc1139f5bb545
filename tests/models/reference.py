"""The authors' models as ours: their weights, inputs and the names of their outputs.

Nothing here needs TensorFlow: the tests run it on every backend.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import keras
import numpy as np

from astromer.models import EncoderConfig, Reconstructor
from tests.models.released import set_weights

Arrays = dict[str, np.ndarray[Any, Any]]

ASTROMER1 = EncoderConfig.from_name(
    "astromer1", hidden_magnitude="leak", attention_mask="released_astromer1"
)
"""Astromer 1 as released, with its official MACHO weights."""
ASTROMER2 = EncoderConfig.from_name("astromer2")
"""Astromer 2 as designed, with a mask token; its reference weights are random."""
AS_BUILT = EncoderConfig.from_name("astromer2", hidden_magnitude="leak")
"""Astromer 2 as released: the layer with the token is lost."""

CASES = {
    "astromer1": (ASTROMER1, "", ""),
    "astromer1 probed": (ASTROMER1, "probed_", "probed_"),
    "astromer2": (ASTROMER2, "", ""),
    "astromer2 with token": (ASTROMER2, "probed_", "probed_token_"),
    "astromer2 as built": (AS_BUILT, "", ""),
    "astromer2 as built probed": (AS_BUILT, "probed_", "probed_asbuilt_"),
}
"""By name: the model, and how the names of inputs and of outputs begin."""

FILES = {2: "astromer1_macho", 6: "astromer2_random"}

RECONSTRUCTION_ATOL = 2e-4
BLOCK_ATOL = 1e-3
ENCODING_ATOL = 2e-4
"""Times are float32 on both sides: at 1500 d their sines are good to this."""


@functools.cache
def arrays(path: Path) -> Arrays:
    """Return the arrays of a file, read once."""
    with np.load(path) as stored:
        return dict(stored)


def reference_of(shared: Path, config: EncoderConfig) -> Arrays:
    """Return the authors' inputs and outputs of a model."""
    return arrays(shared / "reference" / f"{FILES[config.num_layers]}.npz")


def build(shared: Path, config: EncoderConfig) -> Reconstructor:
    """Return our model with the authors' weights."""
    model = Reconstructor(config)
    name = f"{FILES[config.num_layers]}_weights.npz"
    set_weights(model, arrays(shared / "reference" / name))
    return model


@functools.cache
def model_of(shared: Path, config: EncoderConfig) -> Reconstructor:
    """Return the same, built once; for tests that change nothing."""
    return build(shared, config)


def inputs_of(reference: Arrays, prefix: str = "") -> Arrays:
    """Return our inputs from the authors': ``prefix="probed_"`` hides magnitudes."""
    mask = reference[f"{prefix}mask_in"][..., 0]
    valid = np.arange(mask.shape[1]) < reference["lengths"][:, None]
    return {
        "time": reference["times"][..., 0],
        "mag": reference[f"{prefix}input"][..., 0],
        "valid": valid,
        "hidden": (mask > 0) & valid,
    }


def compute(model: Reconstructor, inputs: Arrays) -> Arrays:
    """Return what comes out of every part of a model, by the names of the reference."""
    encoder = model.encoder
    parts = ("time_encoding", "magnitude_embedding", "attention_bias")
    symbols = [encoder.get_layer(name).output for name in parts]
    network = keras.Model(encoder.input, [*symbols, *encoder.layer_sequences])
    encoding, projection, bias, *sequences = network(inputs)
    outputs = {
        "positional_encoding": encoding,
        "input_projection": projection,
        "input_embedding": sequences[0],
        "reconstruction": model(inputs)[..., None],
    }
    for index, block in enumerate(encoder.blocks):
        _, weights = block(sequences[index], bias, return_weights=True)
        outputs[f"block_{index}"] = sequences[index + 1]
        outputs[f"attention_block{index}"] = weights
    if encoder.description is not None:
        outputs["description"] = keras.Model(encoder.input, encoder.description)(inputs)
    return {
        name: keras.ops.convert_to_numpy(values) for name, values in outputs.items()
    }
