"""What the tests against the authors' numbers would catch.

Each plausible mistake is made on purpose. It must move the reconstruction as far as it
was measured to, by another implementation, and far beyond the tolerance of the tests.
"""

import json

import keras
import numpy as np
import pytest

from astromer.models import EncoderConfig, Reconstructor, layers, reconstructor
from tests.models.reference import (
    ASTROMER1,
    ASTROMER2,
    FILES,
    RECONSTRUCTION_ATOL,
    arrays,
    build,
    inputs_of,
    model_of,
    reference_of,
)
from tests.models.released import set_weights

CONFIGS = {"a1": ASTROMER1, "a2": ASTROMER2}
RESULTS = {"a1": "probed_", "a2": "probed_token_"}


def measured(shared, key):
    path = shared / "reference" / "sensitivity.json"
    return json.loads(path.read_text(encoding="utf-8"))[key]


def moved(shared, key, model, **changes):
    """Return how far the probed windows' reconstruction is from the authors'."""
    reference = reference_of(shared, CONFIGS[key])
    inputs = inputs_of(reference, "probed_")
    # As in the authors' mask: padding is hidden and so holds the token, which shows
    # as soon as a mistake lets anything see it.
    hidden = reference["probed_mask_in"][..., 0] > 0
    inputs |= {"valid": np.ones_like(hidden), "hidden": hidden, **changes}
    outputs = keras.ops.convert_to_numpy(model(inputs))
    expected = reference[f"{RESULTS[key]}reconstruction"][..., 0]
    return float(np.abs(outputs - expected).max())


def biased(monkeypatch, bias):
    """Let a function of the mask, (batch, 1, window), stand for the attention bias."""

    def call(self, valid, hidden):
        visible = keras.ops.logical_and(valid, keras.ops.logical_not(hidden))
        return bias(1.0 - keras.ops.cast(visible, "float32")[:, None, :])[:, None]

    def compute_output_shape(self, shape, *_):
        return (shape[0], 1, shape[1], shape[1])

    monkeypatch.setattr(layers.AttentionBias, "call", call)
    monkeypatch.setattr(
        layers.AttentionBias, "compute_output_shape", compute_output_shape
    )


def transposed(mask):
    return keras.ops.transpose(mask, (0, 2, 1))


def no_mask(shared, config, monkeypatch):
    biased(monkeypatch, lambda mask: 0.0 * (mask + transposed(mask)))
    return build(shared, config)


def other_alpha(shared, config, monkeypatch):
    # Each model with what the other adds to hidden keys.
    alpha = -1e9 if config is ASTROMER1 else 1.0
    biased(monkeypatch, lambda mask: alpha * (mask + 0.0 * transposed(mask)))
    return build(shared, config)


def other_format(shared, config, monkeypatch):
    # Keys alone in Astromer 1, hidden queries as well in Astromer 2; there -1e9 in a
    # whole row is none, but for the rounding that it costs in float32.
    if config is ASTROMER1:
        biased(monkeypatch, lambda mask: mask + 0.0 * transposed(mask))
    else:
        biased(monkeypatch, lambda mask: -1e9 * mask * (1.0 - transposed(mask)))
    return build(shared, config)


def scale_of_the_paper(shared, config, monkeypatch):
    # sqrt(256) in the place of sqrt(64) halves the logits, and so do halved queries.
    model = build(shared, config)
    for block in model.encoder.blocks:
        for variable in block.attention.query.trainable_variables:
            variable.assign(variable * 0.5)
    return model


def base_of_the_paper(shared, config, monkeypatch):
    return build(
        shared, EncoderConfig.from_dict({**config.to_dict(), "time_base": 1e3})
    )


def paired_exponents(shared, config, monkeypatch):
    model = build(shared, config)
    encoding = model.encoder.get_layer("time_encoding")
    # As most libraries do it; twice the exponent for each channel is the authors' way.
    pair = np.arange(encoding.dim // 2)
    frequencies = (1e4 ** (-2.0 * pair / encoding.dim)).astype("float32")
    encoding._sine_frequencies = encoding._cosine_frequencies = frequencies
    return model


def relu(shared, config, monkeypatch):
    model = build(shared, config)
    for block in model.encoder.blocks:
        block.intermediate.activation = keras.activations.relu
    return model


def epsilon_of_keras(shared, config, monkeypatch):
    for module in (layers, reconstructor):
        monkeypatch.setattr(module, "LAYER_NORM_EPSILON", 1e-3)
    return build(shared, config)


def no_norm_before_head(shared, config, monkeypatch):
    model = build(shared, config)
    head = model.get_layer("head_dense")
    return lambda inputs: head(model.encoder(inputs))[..., 0]


def eight_heads(shared, config, monkeypatch):
    options = {**config.to_dict(), "num_heads": 8, "head_dim": 32}
    return build(shared, EncoderConfig.from_dict(options))


def no_dense_residual(shared, config, monkeypatch):
    model = Reconstructor(
        EncoderConfig.from_dict({**config.to_dict(), "residual": "none"})
    )
    weights = arrays(shared / "reference" / f"{FILES[config.num_layers]}_weights.npz")
    others = {name: v for name, v in weights.items() if "/residual_" not in name}
    set_weights(model, others)
    return model


MISTAKES = {
    "scale sqrt(256)": scale_of_the_paper,
    "pe base 1000": base_of_the_paper,
    "pe 2*(j//2) exponent": paired_exponents,
    "ffn relu": relu,
    "ln eps 1e-3": epsilon_of_keras,
    "no LN before head": no_norm_before_head,
    "alpha other": other_alpha,
    "mask fmt other": other_format,
    "mask ignored": no_mask,
    "heads 8": eight_heads,
    "no residual dense": no_dense_residual,
}
APPLICABLE = [
    (key, mistake)
    for key in CONFIGS
    for mistake in MISTAKES
    if (key, mistake) != ("a1", "no residual dense")  # it has none
]


@pytest.mark.parametrize(("key", "mistake"), APPLICABLE)
def test_mistake_is_caught(shared, key, mistake, monkeypatch):
    model = MISTAKES[mistake](shared, CONFIGS[key], monkeypatch)
    found = moved(shared, key, model)
    assert found == pytest.approx(measured(shared, key)[mistake], rel=0.01)
    assert found > 5 * RECONSTRUCTION_ATOL


@pytest.mark.parametrize("key", CONFIGS)
def test_no_mistake_is_left_out(shared, key):
    tried = {mistake for model, mistake in APPLICABLE if model == key}
    assert tried == set(measured(shared, key)) - {"exact"}


@pytest.mark.parametrize("key", CONFIGS)
def test_without_a_mistake_nothing_moves(shared, key):
    assert moved(shared, key, model_of(shared, CONFIGS[key])) < RECONSTRUCTION_ATOL / 2
