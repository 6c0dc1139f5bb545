"""The encoder's layers, on `keras.ops` alone so that every backend runs them."""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Iterator
from typing import Any, Final

import keras
import numpy as np
from keras import ops

from astromer.checks import numpy_seed
from astromer.models.config import (
    AttentionMask,
    BlockNorm,
    HiddenMagnitude,
    Residual,
)

__all__ = [
    "BRANCH_SCALE",
    "LAYER_NORM_EPSILON",
    "AttentionBias",
    "AttentionBlock",
    "Dropout",
    "LogPeriodEncoding",
    "MaskedMean",
    "SelfAttention",
    "SinusoidalEncoding",
    "TimeRotation",
    "VisibleMagnitude",
    "spawn_seeds",
    "weights_follow",
]

LAYER_NORM_EPSILON: Final = 1e-6
"""Released value; Keras's own default is 1e-3 and gives other numbers."""

BRANCH_SCALE: Final = 0.1
"""Initial variance of what a block adds to a residual path, against Glorot's."""

_EXCLUDED: Final = -1e9
"""Added to a logit that must get no weight; finite, so that no row gives NaN."""

_EXCLUDED_FLOAT16: Final = -3e4
"""The same within float16, whose largest number is 65504."""


@keras.saving.register_keras_serializable("astromer")
class SinusoidalEncoding(keras.layers.Layer):
    """Encode times by sines and cosines of fixed frequencies (Eqs. 1 and 2).

    Channel ``j`` has frequency ``time_base ** (-2 j / dim)`` for every ``j`` - not
    for pairs, as most libraries do - and is a sine where ``j`` is even, else a cosine.
    The shortest period is 2 pi days.

    Call arguments: ``time`` of shape ``(batch, window_size)`` in days; returns
    ``(batch, window_size, dim)``, dimensionless.

    Parameters
    ----------
    dim : int
        Channels, even.
    time_base : float
        Base of the frequencies.
    """

    def __init__(self, dim: int, time_base: float, **kwargs: Any) -> None:
        # Never bfloat16: its times would be wrong by days.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.dim = dim
        self.time_base = time_base
        channels = np.arange(dim, dtype=np.float64)
        frequencies = (time_base ** (-2.0 * channels / dim)).astype(np.float32)
        self._sine_frequencies = frequencies[0::2]
        self._cosine_frequencies = frequencies[1::2]

    def call(self, time: Any) -> Any:
        time = ops.expand_dims(time, -1)
        return _interleave(
            ops.sin(ops.multiply(time, self._sine_frequencies)),
            ops.cos(ops.multiply(time, self._cosine_frequencies)),
        )

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*input_shape, self.dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "dim": self.dim,
            "time_base": self.time_base,
        }


@keras.saving.register_keras_serializable("astromer")
class LogPeriodEncoding(keras.layers.Layer):
    """Encode times by sines and cosines at periods spaced evenly in logarithm.

    Hours to years get equal shares of the channels, where the sinusoidal encoding
    knows nothing below 6.28 d. Phases are reduced to one cycle before the sine, in a
    way that float32 carries: good to 1e-3 cycles at 0.02 d over a baseline of 8 years.

    Call arguments: ``time`` of shape ``(batch, window_size)`` in days; returns
    ``(batch, window_size, dim)``, dimensionless.

    Parameters
    ----------
    dim : int
        Channels, even: a sine and a cosine per period.
    shortest_period, longest_period : float
        Ends of the range of periods [d].
    """

    def __init__(
        self, dim: int, shortest_period: float, longest_period: float, **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.dim = dim
        self.shortest_period = shortest_period
        self.longest_period = longest_period
        periods = np.geomspace(longest_period, shortest_period, dim // 2)
        frequencies = 1.0 / periods
        # Twelve bits of each frequency times whole days are exact in float32, so the
        # many whole cycles cancel without error; the remainder is small.
        mantissa, exponent = np.frexp(frequencies)
        coarse = np.ldexp(np.round(mantissa * 2**12) / 2**12, exponent)
        self._frequencies = frequencies.astype(np.float32)
        self._coarse = coarse.astype(np.float32)
        self._fine = (frequencies - coarse).astype(np.float32)

    def call(self, time: Any) -> Any:
        time = ops.expand_dims(time, -1)
        whole = ops.floor(time)
        # `ops.multiply`, since a tensor of PyTorch does not take an array by itself.
        cycles = ops.multiply(whole, self._coarse)
        phase = (
            (cycles - ops.floor(cycles))
            + ops.multiply(whole, self._fine)
            + ops.multiply(time - whole, self._frequencies)
        )
        angle = (phase - ops.floor(phase)) * (2.0 * math.pi)
        return _interleave(ops.sin(angle), ops.cos(angle))

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*input_shape, self.dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "dim": self.dim,
            "shortest_period": self.shortest_period,
            "longest_period": self.longest_period,
        }


@keras.saving.register_keras_serializable("astromer")
class TimeRotation(keras.layers.Layer):
    """Give the phases by which attention turns queries and keys (rotary encoding).

    A pair of channels of a head has one period. Turned by its phase at two times, query
    and key have a product that depends on the difference of the times alone. Periods
    are spaced evenly in logarithm, and the heads take turns, so that each has long and
    short ones. After Su et al. (2021), with times for places.

    Call arguments: ``time`` of shape ``(batch, window_size)`` in days; returns
    ``(batch, num_heads, window_size, head_dim)``, dimensionless: the cosines of all
    pairs, then their sines.

    Parameters
    ----------
    num_heads, head_dim : int
        Heads, and channels of each, even.
    shortest_period, longest_period : float
        Ends of the range of periods [d].
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        shortest_period: float,
        longest_period: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.encoding = LogPeriodEncoding(
            num_heads * head_dim, shortest_period, longest_period, name="encoding"
        )

    def build(self, time_shape: Any) -> None:
        self.encoding.build(time_shape)

    def call(self, time: Any) -> Any:
        pairs = self.head_dim // 2
        shape = (-1, ops.shape(time)[1], pairs, self.num_heads, 2)
        phases = ops.transpose(ops.reshape(self.encoding(time), shape), (4, 0, 3, 1, 2))
        sine, cosine = ops.unstack(phases, 2, axis=0)
        return ops.concatenate([cosine, sine], axis=-1)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        batch, size = input_shape
        return batch, self.num_heads, size, self.head_dim

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
            "shortest_period": self.encoding.shortest_period,
            "longest_period": self.encoding.longest_period,
        }


@keras.saving.register_keras_serializable("astromer")
class VisibleMagnitude(keras.layers.Layer):
    """Replace what must not be seen: hidden magnitudes and padding.

    Call arguments: ``mag`` [mag], ``valid`` and ``hidden``, each of shape
    ``(batch, window_size)``; returns magnitudes of shape ``(batch, window_size, 1)``.

    Parameters
    ----------
    mode : {"token", "zero", "leak"}
        What stands for a hidden magnitude; see `EncoderConfig.hidden_magnitude`.
    """

    def __init__(self, mode: HiddenMagnitude, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = mode
        self.token: Any = None

    def build(self, *_: Any, **__: Any) -> None:
        if self.mode == "token":
            self.token = self.add_weight(
                name="mask_token", shape=(), initializer="zeros"
            )

    def call(self, mag: Any, valid: Any, hidden: Any) -> Any:
        mag = ops.where(valid, mag, 0.0)
        if self.mode == "token":
            mag = ops.where(hidden, ops.cast(self.token, mag.dtype), mag)
        elif self.mode == "zero":
            mag = ops.where(hidden, 0.0, mag)
        return ops.expand_dims(mag, -1)

    def compute_output_shape(self, mag_shape: Any, *_: Any, **__: Any) -> Any:
        return (*mag_shape, 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


@keras.saving.register_keras_serializable("astromer")
class AttentionBias(keras.layers.Layer):
    """Turn masks into what is added to the attention logits.

    A window without any visible observation attends to its valid times instead: the
    result is finite, and padding still has no say.

    Call arguments: ``valid`` and ``hidden`` of shape ``(batch, window_size)``; returns
    ``(batch, 1, 1, window_size)``, or ``(batch, 1, window_size, window_size)`` for
    `released_astromer1`.

    Parameters
    ----------
    mode : {"exclude", "released_astromer1"}
        See `EncoderConfig.attention_mask`.
    """

    def __init__(self, mode: AttentionMask, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = mode

    def call(self, valid: Any, hidden: Any) -> Any:
        visible = ops.logical_and(valid, ops.logical_not(hidden))
        if self.mode == "released_astromer1":
            blocked = ops.cast(ops.logical_not(visible), self.compute_dtype)
            rows, columns = ops.expand_dims(blocked, 2), ops.expand_dims(blocked, 1)
            return ops.expand_dims(ops.maximum(rows, columns), 1)
        any_visible = ops.any(visible, axis=-1, keepdims=True)
        keys = ops.where(any_visible, visible, valid)
        half = self.compute_dtype == "float16"
        excluded = _EXCLUDED_FLOAT16 if half else _EXCLUDED
        bias = ops.where(keys, 0.0, excluded)
        return ops.expand_dims(ops.cast(bias, self.compute_dtype), (1, 2))

    def compute_output_shape(self, valid_shape: Any, *_: Any, **__: Any) -> Any:
        batch, size = valid_shape
        rows = size if self.mode == "released_astromer1" else 1
        return (batch, 1, rows, size)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


@keras.saving.register_keras_serializable("astromer")
class SelfAttention(keras.layers.Layer):
    """Scaled dot-product attention over the observations of a window (Eq. 3).

    Unlike `keras.layers.MultiHeadAttention` it takes a bias to the logits, which the
    released Astromer 1 needs, and computes it once for all blocks.

    Call arguments: ``x`` of shape ``(batch, window_size, channels)``, ``bias`` from
    `AttentionBias`, and, if times are to be compared by their difference, ``rotation``
    from `TimeRotation`; returns ``(batch, window_size, output_dim)``, with
    ``return_weights=True`` also the weights ``(batch, num_heads, window_size,
    window_size)``.

    Parameters
    ----------
    num_heads, head_dim, output_dim : int
        Heads, channels per head, channels of the output.
    seed : int, optional
        Seed of the initial weights.
    output_scale : float
        Factor on the variance of the output projection's initial weights.
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        output_dim: int,
        seed: int | None = None,
        output_scale: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.output_dim = output_dim
        self.seed = seed
        self.output_scale = output_scale
        units = num_heads * head_dim
        dense = _SeededDense(seed, self.dtype_policy)
        # Keys that start as the queries make attention start as similarity, so that
        # an observation looks at its neighbors in time from the first step.
        same = dense.draw_seed()
        self.query = dense(units, name="query", seed=same)
        self.key = dense(units, name="key", seed=same)
        self.value = dense(units, name="value")
        self.output_projection = dense(
            output_dim, name="output_projection", scale=output_scale
        )

    def build(self, x_shape: Any, *_: Any, **__: Any) -> None:
        for layer in (self.query, self.key, self.value):
            layer.build(x_shape)
        self.output_projection.build((*x_shape[:-1], self.num_heads * self.head_dim))

    def call(
        self, x: Any, bias: Any, rotation: Any = None, return_weights: bool = False
    ) -> Any:
        query, key, value = self._project(x)
        if rotation is not None:
            query, key = _turn(query, rotation), _turn(key, rotation)
        # Scaling the queries costs less than scaling the logits.
        query = query * (1.0 / math.sqrt(self.head_dim))
        logits = ops.matmul(query, ops.swapaxes(key, -1, -2))
        weights = ops.softmax(logits + ops.cast(bias, logits.dtype))
        mixed = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
        size = ops.shape(x)[1]
        mixed = ops.reshape(mixed, (-1, size, self.num_heads * self.head_dim))
        output = self.output_projection(mixed)
        return (output, weights) if return_weights else output

    def _project(self, x: Any) -> tuple[Any, Any, Any]:
        """Return queries, keys, values: (batch, num_heads, window_size, head_dim)."""
        size = ops.shape(x)[1]
        parts = (self.query, self.key, self.value)
        if self.query.quantization_mode is None:
            # One wide product comes nearer to a processor's peak than three narrow.
            kernel = ops.concatenate([part.kernel for part in parts], axis=1)
            shift = ops.concatenate([part.bias for part in parts], axis=0)
            projected = ops.add(ops.matmul(x, kernel), shift)
        else:
            projected = ops.concatenate([part(x) for part in parts], axis=-1)
        shape = (-1, size, len(parts), self.num_heads, self.head_dim)
        split = ops.transpose(ops.reshape(projected, shape), (2, 0, 3, 1, 4))
        query, key, value = ops.unstack(split, len(parts), axis=0)
        return query, key, value

    def compute_output_shape(self, x_shape: Any, *_: Any, **__: Any) -> Any:
        return (*x_shape[:-1], self.output_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
            "output_dim": self.output_dim,
            "seed": self.seed,
            "output_scale": self.output_scale,
        }


@keras.saving.register_keras_serializable("astromer")
class Dropout(keras.layers.Dropout):
    """Drop values in training, unless frozen: what does not train is deterministic.

    Keras's own drops values in a layer whose ``trainable`` is False, too. Call
    arguments, returns and parameters are the same.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        return super().call(inputs, training=training and self.trainable)


@keras.saving.register_keras_serializable("astromer")
class AttentionBlock(keras.layers.Layer):
    """One block of the encoder: attention, then a tanh feed-forward network.

    With learned residuals (Astromer 2) it computes ``h = LN(Dense(x) +
    dropout(attention(x)))`` and ``LN(Dense(h) + dropout(ffn(h)))``; Astromer 1 has
    neither of the two dense paths. With ``norm="before"`` both branches see normalized
    input instead, and the sums stay as they are.

    Call arguments: ``x`` of shape ``(batch, window_size, channels)``, ``bias`` from
    `AttentionBias`, and ``rotation`` from `TimeRotation` or None; returns
    ``(batch, window_size, hidden_dim)``, with ``return_weights=True`` also the
    attention weights of `SelfAttention`.

    Parameters
    ----------
    num_heads, head_dim, hidden_dim, intermediate_dim, residual, dropout, norm
        See `EncoderConfig`, where the last is `block_norm`.
    seed : int, optional
        Seed of initial weights and dropout.
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        hidden_dim: int,
        intermediate_dim: int,
        residual: Residual,
        dropout: float,
        seed: int | None = None,
        norm: BlockNorm = "after",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.norm = norm
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim
        self.residual = residual
        self.dropout = dropout
        self.seed = seed
        policy = self.dtype_policy
        seeds = spawn_seeds(seed, 4)
        # Beside a residual path, a branch that starts small lets a deep stack begin
        # as a shallow one; without one, the branch is all there is.
        scale = 1.0 if residual == "none" else BRANCH_SCALE
        self.attention = SelfAttention(
            num_heads,
            head_dim,
            hidden_dim,
            seeds[0],
            scale,
            name="attention",
            dtype=policy,
        )
        dense = _SeededDense(seeds[1], policy)
        self.intermediate = dense(intermediate_dim, name="intermediate", tanh=True)
        self.output_projection = dense(
            hidden_dim, name="output_projection", scale=scale
        )
        if residual == "dense":
            # Starting as the identity, they pass the input on.
            self.attention_residual = dense(
                hidden_dim, name="attention_residual", identity=True
            )
            self.output_residual = dense(
                hidden_dim, name="output_residual", identity=True
            )
        self.attention_norm = _layer_norm("attention_norm", policy)
        self.output_norm = _layer_norm("output_norm", policy)
        self.attention_dropout = Dropout(dropout, seed=seeds[2], dtype=policy)
        self.output_dropout = Dropout(dropout, seed=seeds[3], dtype=policy)

    def build(self, x_shape: Any, *_: Any, **__: Any) -> None:
        hidden_shape = (*x_shape[:-1], self.hidden_dim)
        self.attention.build(x_shape)
        self.intermediate.build(hidden_shape)
        self.output_projection.build((*x_shape[:-1], self.intermediate_dim))
        if self.residual == "dense":
            self.attention_residual.build(x_shape)
            self.output_residual.build(hidden_shape)
        self.attention_norm.build(x_shape if self.norm == "before" else hidden_shape)
        self.output_norm.build(hidden_shape)

    def call(
        self,
        x: Any,
        bias: Any,
        rotation: Any = None,
        training: bool = False,
        return_weights: bool = False,
    ) -> Any:
        before = self.norm == "before"
        attended, weights = self.attention(
            self.attention_norm(x) if before else x,
            bias,
            rotation,
            return_weights=True,
        )
        h = self.attention_dropout(attended, training=training)
        if self.residual == "dense":
            h = self.attention_residual(x) + h
        elif self.residual == "identity":
            h = x + h
        h = h if before else self.attention_norm(h)
        y = self.intermediate(self.output_norm(h) if before else h)
        y = self.output_projection(y)
        y = self.output_dropout(y, training=training)
        if self.residual == "dense":
            y = self.output_residual(h) + y
        elif self.residual == "identity":
            y = h + y
        y = y if before else self.output_norm(y)
        return (y, weights) if return_weights else y

    def compute_output_shape(self, x_shape: Any, *_: Any, **__: Any) -> Any:
        return (*x_shape[:-1], self.hidden_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
            "hidden_dim": self.hidden_dim,
            "intermediate_dim": self.intermediate_dim,
            "residual": self.residual,
            "dropout": self.dropout,
            "seed": self.seed,
            "norm": self.norm,
        }


@keras.saving.register_keras_serializable("astromer")
class MaskedMean(keras.layers.Layer):
    """Average over the valid observations of a window.

    Call arguments: ``x`` of shape ``(batch, window_size, channels)`` and ``valid`` of
    shape ``(batch, window_size)``; returns ``(batch, channels)`` in float32, zeros for
    a window of padding alone.
    """

    def call(self, x: Any, valid: Any) -> Any:
        keep = ops.cast(valid, "float32")
        total = ops.matmul(ops.expand_dims(keep, 1), ops.cast(x, "float32"))
        return ops.squeeze(total, 1) / ops.maximum(
            ops.sum(keep, axis=1, keepdims=True), 1.0
        )

    def compute_output_shape(self, x_shape: Any, *_: Any, **__: Any) -> Any:
        return (x_shape[0], x_shape[-1])


_WEIGHTS_FOLLOW: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "weights_follow", default=False
)


@contextlib.contextmanager
def weights_follow() -> Iterator[None]:
    """Build models whose weights are read right after, without drawing them.

    Dense layers of blocks start with zeros: drawing them takes a good part of the time
    to load a preset.
    """
    token = _WEIGHTS_FOLLOW.set(True)
    try:
        yield
    finally:
        _WEIGHTS_FOLLOW.reset(token)


class _SeededDense:
    """Make dense layers of one policy whose initial weights follow from a seed."""

    def __init__(self, seed: int | None, policy: Any) -> None:
        self._seeds = iter(spawn_seeds(seed, 8))
        self._policy = policy

    def draw_seed(self) -> int:
        """Return a seed for layers that start alike; Keras draws it if none is set."""
        return int(keras.initializers.GlorotUniform(next(self._seeds)).seed)

    def __call__(
        self,
        units: int,
        *,
        name: str,
        tanh: bool = False,
        identity: bool = False,
        scale: float = 1.0,
        seed: int | None = None,
    ) -> Any:
        if _WEIGHTS_FOLLOW.get():
            initializer = keras.initializers.Zeros()
        elif identity:
            initializer = keras.initializers.Identity()
        else:
            # Glorot's uniform distribution, its variance times `scale`.
            initializer = keras.initializers.VarianceScaling(
                scale,
                "fan_avg",
                "uniform",
                seed=next(self._seeds) if seed is None else seed,
            )
        return keras.layers.Dense(
            units,
            activation="tanh" if tanh else None,
            kernel_initializer=initializer,
            name=name,
            dtype=self._policy,
        )


def _layer_norm(name: str, policy: Any) -> Any:
    return keras.layers.LayerNormalization(
        epsilon=LAYER_NORM_EPSILON, name=name, dtype=policy
    )


def spawn_seeds(seed: int | None, count: int) -> list[int | None]:
    """Derive independent seeds from one; None gives as many Nones."""
    if seed is None:
        return [None] * count
    sequence = np.random.SeedSequence(numpy_seed(seed))
    return [int(s) for s in sequence.generate_state(count) >> 1]


def _turn(x: Any, rotation: Any) -> Any:
    """Turn each pair of a head's channels, of which the second half holds partners."""
    cosine, sine = ops.split(ops.cast(rotation, x.dtype), 2, axis=-1)
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate(
        [first * cosine - second * sine, first * sine + second * cosine], axis=-1
    )


def _interleave(even: Any, odd: Any) -> Any:
    """Merge (..., n) and (..., n) into (..., 2 n), alternating."""
    stacked = ops.stack([even, odd], axis=-1)
    shape = ops.shape(even)
    return ops.reshape(stacked, (*shape[:-1], 2 * shape[-1]))
