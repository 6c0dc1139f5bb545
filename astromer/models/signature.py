"""What the windows of one star have in common: a small network on a description."""

from __future__ import annotations

import itertools
import math
from typing import Any, Final

import keras
import numpy as np
from keras import ops

from astromer.checks import numpy_seed

__all__ = ["Beside", "Signature"]

LARGEST_STANDARDIZED: Final = 5.0
"""Standardized values of a description are clipped here."""
NORM_EPSILON: Final = 1e-3


@keras.saving.register_keras_serializable("astromer")
class Signature(keras.layers.Layer):
    """Turn a window's description into what other windows of the star would say.

    Standardization with a fixed mean and scale, two dense layers with GELU, each
    followed by a layer normalization, and a linear one. Its weights belong to no
    optimizer that trains an encoder: `astromer.training.fit_signature` sets them, from
    a copy that is ``trained``. They are this layer's own, because ``trainable = True``
    of a model reaches the layers of Keras that it would hold otherwise.

    Call arguments: a description, shape ``(batch, description_channels)``. Returns
    ``(batch, dim)``, dimensionless.

    Parameters
    ----------
    dim : int
        Channels of the signature.
    units : int
        Units of the two dense layers.
    trained : bool
        Whether all weights but mean and scale are trainable.
    dropout : float
        Share of units dropped in training after each activation.
    seed : int, optional
        Of the initial weights and of dropout.
    """

    def __init__(
        self,
        dim: int,
        units: int,
        *,
        trained: bool = False,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.dim = dim
        self.units = units
        self.trained = trained
        self.dropout = dropout
        self.seed = seed
        self._dropout = keras.layers.Dropout(dropout, seed=seed) if dropout else None

    def build(self, input_shape: Any) -> None:
        channels = int(input_shape[-1])
        self.mean = self.add_weight(
            (channels,), initializer="zeros", trainable=False, name="mean"
        )
        self.scale = self.add_weight(
            (channels,), initializer="ones", trainable=False, name="scale"
        )
        self._dense, self._norms = [], []
        seed = None if self.seed is None else numpy_seed(self.seed)
        seeds = np.random.default_rng(seed).integers(2**31, size=3)
        sizes = (channels, self.units, self.units, self.dim)
        for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            kernel = self.add_weight(
                (inputs, outputs),
                initializer=keras.initializers.GlorotUniform(int(seeds[index])),
                trainable=self.trained,
                name=f"kernel_{index}",
            )
            bias = self.add_weight(
                (outputs,),
                initializer="zeros",
                trainable=self.trained,
                name=f"bias_{index}",
            )
            self._dense.append((kernel, bias))
            if index:
                gain, shift = (
                    self.add_weight(
                        (inputs,),
                        initializer=initializer,
                        trainable=self.trained,
                        name=f"{name}_{index}",
                    )
                    for name, initializer in (("gain", "ones"), ("shift", "zeros"))
                )
                self._norms.append((gain, shift))

    def call(self, description: Any, training: bool | None = None) -> Any:
        x = (description - self.mean) / self.scale
        x = ops.clip(x, -LARGEST_STANDARDIZED, LARGEST_STANDARDIZED)
        for index, (kernel, bias) in enumerate(self._dense):
            if index:
                x = _normalize(x, *self._norms[index - 1])
            x = ops.matmul(x, kernel) + bias
            if index < len(self._norms):
                x = _gelu(x)
                if self._dropout is not None:
                    x = self._dropout(x, training=training)
        return x

    def compute_output_shape(self, input_shape: Any, **_: Any) -> Any:
        return *input_shape[:-1], self.dim

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "dim": self.dim,
            "units": self.units,
            "trained": self.trained,
            "dropout": self.dropout,
            "seed": self.seed,
        }


def _gelu(x: Any) -> Any:
    # Keras's own has a function on TensorFlow that ONNX lacks (erfc).
    return 0.5 * x * (1.0 + ops.erf(x * math.sqrt(0.5)))


@keras.saving.register_keras_serializable("astromer")
class Beside(keras.layers.Layer):
    """Return the first of two inputs.

    What the second is made of becomes a part of the model, with its weights, though
    nothing that the model returns depends on it.
    """

    def call(self, x: Any, aside: Any) -> Any:
        return x

    def compute_output_shape(self, x_shape: Any, *_: Any, **__: Any) -> Any:
        return x_shape

    def get_config(self) -> dict[str, Any]:
        # Keras's own is for layers that are made of plain values, not of a policy.
        return dict(super().get_config())


def _normalize(x: Any, gain: Any, shift: Any) -> Any:
    mean = ops.mean(x, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(x - mean), axis=-1, keepdims=True)
    return (x - mean) / ops.sqrt(variance + NORM_EPSILON) * gain + shift
