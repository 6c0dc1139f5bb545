"""A classifier in two halves: what the encoder gives, and the head on it."""

import numpy as np
import pytest

from astromer import batch
from astromer.models import ClassifierConfig, ClassifierNetwork
from astromer.models.config import BLOCK_HEADS
from astromer.models.encoded import (
    POOLED_HEADS,
    VALUES,
    encoded_shape,
    encoding_of,
    head_of,
)
from tests.models.windows import make_inputs, randomize, tiny_config


def make_network(head, rng):
    config = tiny_config(dropout=0.2)
    classifier = ClassifierConfig(
        class_names=("a", "b", "c"),
        head=head,
        hidden_units=(5,),
        gru_units=4,
        dropout=0.3,
    )
    network = ClassifierNetwork(config, classifier, seed=1)
    randomize(network, rng)
    return network


def encode(network, inputs):
    values = encoding_of(network).predict(inputs, verbose=0)
    is_pooled = network.head in POOLED_HEADS
    valid = np.ones(values.shape[:2]) if is_pooled else inputs[batch.VALID]
    return {VALUES: values, batch.VALID: valid.astype(np.float32)}


@pytest.mark.parametrize("head", BLOCK_HEADS)
def test_two_halves_give_what_the_whole_gives(head, rng):
    network = make_network(head, rng)
    inputs = make_inputs(rng)
    assert not inputs[batch.VALID].all()
    encoded = encode(network, inputs)
    assert encoded[VALUES].shape[1:] == encoded_shape(network)
    found = head_of(network).predict(encoded, verbose=0)
    expected = network.predict(inputs, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.ptp(expected, axis=0).min() > 1e-3


@pytest.mark.parametrize("head", ["gamma", "attention"])
def test_training_the_head_trains_the_network(head, rng):
    network = make_network(head, rng)
    inputs = make_inputs(rng)
    encoded = encode(network, inputs)
    label = np.arange(len(inputs[batch.MAG])) % 3
    before = network.predict(inputs, verbose=0)
    encoder_before = network.encoder.get_weights()
    half = head_of(network)
    half.compile("sgd", "sparse_categorical_crossentropy")
    half.fit(encoded, label, epochs=3, verbose=0)
    after = network.predict(inputs, verbose=0)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(half.predict(encoded, verbose=0), after, atol=1e-6)
    for a, b in zip(network.encoder.get_weights(), encoder_before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_pooled_heads_need_no_more_for_longer_windows(rng):
    shapes = {head: encoded_shape(make_network(head, rng)) for head in BLOCK_HEADS}
    config = tiny_config()
    assert shapes["gamma"] == (config.num_layers + 1, config.hidden_dim)
    assert shapes["mean"] == shapes["max"] == (1, config.hidden_dim)
    assert shapes["embedding"] == (1, config.vector_channels)
    assert shapes["gru"] == (config.window_size, config.hidden_dim)


def test_encoding_is_float32_whatever_the_encoder_computes_in(rng):
    config = tiny_config()
    classifier = ClassifierConfig(class_names=("a", "b"), head="attention")
    network = ClassifierNetwork(config, classifier, seed=1, dtype="mixed_bfloat16")
    inputs = make_inputs(rng)
    encoded = encode(network, inputs)
    assert encoded[VALUES].dtype == np.float32
    found = head_of(network).predict(encoded, verbose=0)
    expected = network.predict(inputs, verbose=0)
    np.testing.assert_allclose(found, expected, atol=2e-2)
