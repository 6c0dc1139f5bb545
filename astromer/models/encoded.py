"""A frozen encoder gives the same every time: compute it once, train the head on that.

A classifier is cut in two where its encoder ends. What lies between is what the head
needs and no more: the blocks' means, the last block's maximum, what `embed` gives, and
for heads that look at single observations the last block's sequence.
"""

from __future__ import annotations

from typing import Any, Final

import keras
from keras import ops

from astromer import batch
from astromer.models.classifier import ClassifierNetwork
from astromer.models.heads import MaskedMax
from astromer.models.layers import MaskedMean

__all__ = ["POOLED_HEADS", "VALUES", "encoded_shape", "encoding_of", "head_of"]

VALUES: Final = "values"
"""Name of the vectors that the encoder gives; beside them stands ``valid``."""

POOLED_HEADS: Final = ("gamma", "mean", "max", "embedding")
"""Heads for which a few vectors say all about a window, whatever its length."""


def encoded_shape(network: ClassifierNetwork) -> tuple[int, int]:
    """Return the shape of what a window becomes.

    Parameters
    ----------
    network : ClassifierNetwork
        With a head that looks at blocks.

    Returns
    -------
    shape : tuple of int
        Vectors and channels of `VALUES`.
    """
    config = network.config
    if network.head == "embedding":
        return 1, config.vector_channels
    vectors = {"gamma": config.num_layers + 1, "mean": 1, "max": 1}
    return vectors.get(network.head, config.window_size), config.hidden_dim


def encoding_of(network: ClassifierNetwork) -> keras.Model:
    """Return the part of a classifier up to its head, with the classifier's weights.

    Parameters
    ----------
    network : ClassifierNetwork
        With a head that looks at blocks.

    Returns
    -------
    model : keras.Model
        From the classifier's inputs to `VALUES` of shape ``(batch, vectors, channels)``
        in float32.
    """
    encoder: Any = network.encoder
    valid = encoder.input[batch.VALID]
    sequences = encoder.layer_sequences
    if network.head == "embedding":
        values = ops.expand_dims(encoder.window_vector(), axis=1)
    elif network.head in POOLED_HEADS:
        pool = MaskedMax() if network.head == "max" else MaskedMean(dtype="float32")
        chosen = sequences if network.head == "gamma" else sequences[-1:]
        values = ops.stack([pool(x, valid) for x in chosen], axis=1)
    else:
        values = sequences[-1]
    to_float32 = keras.layers.Activation("linear", name=VALUES, dtype="float32")
    return keras.Model(encoder.input, to_float32(values))


def head_of(network: ClassifierNetwork) -> keras.Model:
    """Return the rest of a classifier: its own layers, on what the encoder has given.

    Trained, it has trained the classifier.

    Parameters
    ----------
    network : ClassifierNetwork
        With a head that looks at blocks.

    Returns
    -------
    model : keras.Model
        From `VALUES` and ``valid`` (of shape ``(batch, vectors)``, 1 where there is a
        vector) to logits. Head `gamma` takes a mean for every layer; the others take
        any number of vectors of the last block.
    """
    number, channels = encoded_shape(network)
    of_layers = network.head == "gamma"
    values = keras.Input((number if of_layers else None, channels), name=VALUES)
    # No booleans: under a strategy Keras averages a batch over its replicas.
    given = keras.Input((None,), dtype="float32", name=batch.VALID)
    valid = given > 0
    pooling = network.get_layer("pooling")
    if of_layers:
        # A sequence of one is its own mean.
        x = pooling([values[:, k : k + 1] for k in range(number)], valid[:, :1])
    elif network.head == "gru":
        x = pooling(values, mask=valid)
    else:
        x = pooling(values, valid)
    for layer in network.layers[network.layers.index(pooling) + 1 :]:
        x = layer(x)
    return keras.Model({VALUES: values, batch.VALID: given}, x, name=network.name)
