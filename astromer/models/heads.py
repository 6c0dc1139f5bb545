"""From a vector per observation to one per window: the pooling layers of classifiers.

Padding never changes a result, and a window of padding alone gives finite values. All
compute in float32, whatever the precision of the encoder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import keras
from keras import ops

from astromer.models.config import Mixture
from astromer.models.layers import MaskedMean

__all__ = [
    "AttentionPooling",
    "ClassToken",
    "GammaMixture",
    "MaskedMax",
    "RawObservations",
]

_EXCLUDED: Final = -1e9
"""Stands for minus infinity; finite, so that no window gives NaN."""


class _Pooling(keras.layers.Layer):
    """A layer from ``(batch, window_size, channels)`` to ``(batch, channels)``."""

    def __init__(self, **kwargs: Any) -> None:
        # A mean of hundreds of values loses digits in half precision.
        super().__init__(**{**kwargs, "dtype": "float32"})

    def compute_output_shape(self, x_shape: Any, *_: Any, **__: Any) -> Any:
        return (x_shape[0], x_shape[-1])


@keras.saving.register_keras_serializable("astromer")
class MaskedMax(_Pooling):
    """Take each channel's largest value among the valid observations.

    Call arguments: ``x`` of shape ``(batch, window_size, channels)`` and ``valid`` of
    shape ``(batch, window_size)``; returns ``(batch, channels)``, zeros for a window of
    padding alone.
    """

    def call(self, x: Any, valid: Any) -> Any:
        largest = ops.max(ops.where(ops.expand_dims(valid, -1), x, _EXCLUDED), axis=1)
        return ops.where(ops.any(valid, axis=1, keepdims=True), largest, 0.0)


@keras.saving.register_keras_serializable("astromer")
class GammaMixture(_Pooling):
    """Mix the means of several layers by trainable weights, the paper's embedding.

    With the mean ``z_k`` of layer k over the valid observations it computes
    ``sum_k softmax(gamma)_k z_k``; the released code divides by the number of layers
    once more. Source: Donoso-Oliva et al. (2026), Sect. 5.4.

    Call arguments: a list of tensors of shape ``(batch, window_size, channels)`` and
    ``valid`` of shape ``(batch, window_size)``; returns ``(batch, channels)``, zeros for
    a window of padding alone.

    Parameters
    ----------
    mixture : {"sum", "released"}
        Which of the two.
    """

    def __init__(self, mixture: Mixture = "sum", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mixture = mixture
        self.gamma: Any = None
        self.mean = MaskedMean(dtype="float32")

    def build(self, sequences_shape: Any, *_: Any, **__: Any) -> None:
        # All alike at the start, with the released code's initial value.
        number = len(sequences_shape)
        initial = keras.initializers.Constant(1.0 / number)
        self.gamma = self.add_weight(name="gamma", shape=(number,), initializer=initial)

    def call(self, sequences: Sequence[Any], valid: Any) -> Any:
        means = ops.stack([self.mean(x, valid) for x in sequences], axis=-1)
        weights = ops.softmax(ops.convert_to_tensor(self.gamma))
        if self.mixture == "released":
            weights = weights / len(sequences)
        return ops.matmul(means, weights[:, None])[..., 0]

    def compute_output_shape(  # type: ignore[override]
        self, sequences_shape: Any, *_: Any, **__: Any
    ) -> Any:
        return (sequences_shape[0][0], sequences_shape[0][-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mixture": self.mixture}


@keras.saving.register_keras_serializable("astromer")
class AttentionPooling(_Pooling):
    """Average the valid observations by weights that depend on their vectors.

    ``sum_l softmax(q x_l / sqrt(channels))_l x_l`` with a trainable query ``q`` that
    starts at zero, so that a new layer is the plain mean.

    Call arguments: ``x`` of shape ``(batch, window_size, channels)`` and ``valid`` of
    shape ``(batch, window_size)``; returns ``(batch, channels)``, zeros for a window of
    padding alone.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.query: Any = None

    def build(self, x_shape: Any, *_: Any, **__: Any) -> None:
        self.query = self.add_weight(
            name="query", shape=(x_shape[-1],), initializer="zeros"
        )

    def call(self, x: Any, valid: Any) -> Any:
        # Not even the zero weight of padding may meet a NaN.
        x = ops.where(valid[..., None], x, 0.0)
        scale = 1.0 / math.sqrt(x.shape[-1])
        logits = ops.matmul(x, ops.expand_dims(self.query, -1) * scale)
        weights = ops.softmax(ops.where(valid[..., None], logits, _EXCLUDED), axis=1)
        return ops.sum(weights * x, axis=1)


@keras.saving.register_keras_serializable("astromer")
class ClassToken(_Pooling):
    """Let a trainable token attend to the valid observations and to itself.

    The token, plus what multi-head attention brings it, normalized.

    Call arguments: ``x`` of shape ``(batch, window_size, channels)`` and ``valid`` of
    shape ``(batch, window_size)``; returns ``(batch, channels)``. For a window of
    padding alone the token sees but itself.

    Parameters
    ----------
    num_heads, head_dim : int
        Attention heads and channels per head.
    seed : int, optional
        Seed of the initial weights.
    """

    def __init__(
        self, num_heads: int, head_dim: int, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.seed = seed
        self.token: Any = None
        self.attention = keras.layers.MultiHeadAttention(
            num_heads,
            head_dim,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            name="attention",
            dtype="float32",
        )
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-6, name="norm", dtype="float32"
        )

    def build(self, x_shape: Any, *_: Any, **__: Any) -> None:
        channels = x_shape[-1]
        self.token = self.add_weight(
            name="token",
            shape=(channels,),
            initializer=keras.initializers.RandomNormal(stddev=1.0, seed=self.seed),
        )
        self.attention.build((None, 1, channels), (None, None, channels))
        self.norm.build((None, channels))

    def call(self, x: Any, valid: Any) -> Any:
        x = ops.where(valid[..., None], x, 0.0)
        token = ops.zeros_like(x[:, :1]) + self.token
        seen = ops.concatenate([ops.ones_like(valid[:, :1]), valid], axis=1)
        attended = self.attention(
            token, ops.concatenate([token, x], axis=1), attention_mask=seen[:, None]
        )
        return self.norm((token + attended)[:, 0])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable("astromer")
class RawObservations(keras.layers.Layer):
    """Put magnitudes and scaled times side by side, in the released code's order.

    Call arguments: ``mag`` [mag], ``time`` [d] and ``seen``, each of shape
    ``(batch, window_size)``; returns ``(batch, window_size, 2)``, zeros where ``seen``
    is False.

    Parameters
    ----------
    time_unit : float
        Days that count as one.
    """

    def __init__(self, time_unit: float = 1.0, **kwargs: Any) -> None:
        # Never bfloat16: its times would be wrong by days.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.time_unit = time_unit

    def call(self, mag: Any, time: Any, seen: Any) -> Any:
        values = ops.stack([mag, time / self.time_unit], axis=-1)
        return ops.where(seen[..., None], values, 0.0)

    def compute_output_shape(self, mag_shape: Any, *_: Any, **__: Any) -> Any:
        return (*mag_shape, 2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "time_unit": self.time_unit}
