"""Light curves to attention: how much each observation is looked at, by every head."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from astromer import batch
from astromer.checks import check_positive
from astromer.inference.runner import (
    OBSERVATIONS_PER_CHUNK,
    Apply,
    compiled,
    own_encoder,
    run_batches,
    windows_ahead,
)
from astromer.inference.sources import Source, iterate_light_curves
from astromer.lightcurve import LightCurve
from astromer.models import ClassifierNetwork, Encoder, EncoderConfig, Reconstructor
from astromer.models.layers import AttentionBlock
from astromer.pipeline import WindowArrays
from astromer.progress import Progress
from astromer.surveys import Dropped

__all__ = ["Attention", "attention"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False, slots=True)
class Attention:
    """The attention that the observations of one light curve receive.

    A head gives every pair of a window's observations a weight, from the one that
    looks to the one that is looked at; those of one that looks add up to 1 (Eq. 3).
    What an observation receives is its mean weight over all that look.
    """

    light_curve: LightCurve
    """The light curve."""
    weight: NDArray[np.float32]
    """(num_layers, num_heads, n): received weight, dimensionless. Over the
    observations of a window it adds up to 1, but for the share that
    ``attention_mask="released_astromer1"`` leaves to padding."""
    window_size: NDArray[np.int64]
    """(n,): observations in the window of each, in the order of time."""

    @property
    def relative(self) -> NDArray[np.float32]:
        """(num_layers, num_heads, n): received weight times window size.

        It is 1 where attention is spread evenly, in windows of any size.
        """
        relative: NDArray[np.float32] = self.weight * self.window_size.astype("f4")
        return relative

    def __repr__(self) -> str:
        num_layers, num_heads, number = self.weight.shape
        return (
            f"Attention({self.light_curve.object_id!r}, {num_layers} blocks, "
            f"{num_heads} heads, {number} observations)"
        )


def attention(
    model: Reconstructor | ClassifierNetwork | Encoder,
    source: Source,
    *,
    batch_size: int = 64,
    survey: str | None = None,
    passband: str | None = None,
    dropped: Dropped | None = None,
    max_unreadable: float = 0.0,
    progress: Progress | None = None,
) -> list[Attention]:
    """Return how much attention each observation receives in every block and head.

    Nothing is hidden, as in inference (Sect. 2.3). Windows are those of `embed`.

    Parameters
    ----------
    model : Reconstructor, ClassifierNetwork or Encoder
    source : light curves, frame, or paths
        See `embed`.
    batch_size : int
        Windows per batch.
    survey, passband : str, optional
        Format of survey files, where it is not recognized; passband to take.
    dropped : Dropped, optional
        Receives what is lost of survey files.
    max_unreadable : float
        Largest share of survey files that may be unreadable and are then left out; by
        default the first is an error.
    progress : callable, optional
        Called as ``progress(stage, done, total, unit)``.

    Returns
    -------
    attentions : list of Attention
        One per light curve, in input order; ``attentions[i].weight`` has shape
        ``(num_layers, num_heads, n)``.

    Raises
    ------
    ConfigError
        If an option is not valid or the source holds no light curves.
    """
    check_positive(batch_size=batch_size)
    encoder = own_encoder(model)
    config = encoder.config
    apply = compiled(encoder, "attention", lambda: _network(encoder))
    light_curves, number = iterate_light_curves(
        source,
        survey=survey,
        passband=passband,
        dropped=dropped,
        max_unreadable=max_unreadable,
    )
    found: list[Attention] = []
    ahead = windows_ahead(light_curves, config, OBSERVATIONS_PER_CHUNK)
    for group, windows in ahead:
        weight = _run(apply, windows, batch_size, config)
        size = np.repeat(windows.size, windows.size)
        bounds = np.cumsum([len(curve) for curve in group])[:-1]
        found += map(
            Attention, group, np.split(weight, bounds, axis=-1), np.split(size, bounds)
        )
        if progress is not None:
            progress("attention", len(found), number, "light curves")
    return found


def _run(
    apply: Apply, windows: WindowArrays, batch_size: int, config: EncoderConfig
) -> NDArray[np.float32]:
    """Return weights of all observations in order, (num_layers, num_heads, n)."""
    inputs = windows.inputs()
    last = np.cumsum(windows.size)
    weight = np.empty(
        (config.num_layers, config.num_heads, int(last[-1])), dtype=np.float32
    )

    def receive(rows: NDArray[np.int64], outputs: NDArray[np.float32]) -> None:
        for row, output in zip(rows, outputs, strict=True):
            size = windows.size[row]
            weight[..., last[row] - size : last[row]] = output[..., :size]

    run_batches(apply, inputs, windows.size, batch_size, receive)
    return weight


class _Watched(keras.layers.Layer):
    """A block of an encoder, and the mean weight that each observation receives."""

    def __init__(self, block: AttentionBlock) -> None:
        super().__init__(dtype=block.dtype_policy)
        self.block = block

    def call(self, x: Any, bias: Any, valid: Any, rotation: Any = None) -> Any:
        x, weights = self.block(x, bias, rotation, return_weights=True)
        looks = ops.cast(valid, "float32")[:, None, None, :]
        total = ops.matmul(looks, ops.cast(weights, "float32"))[:, :, 0]
        return x, total / ops.maximum(ops.sum(looks, axis=-1), 1.0)

    def compute_output_spec(self, x: Any, *_: Any, **__: Any) -> Any:
        return (
            keras.KerasTensor(
                (*x.shape[:-1], self.block.hidden_dim), self.compute_dtype
            ),
            keras.KerasTensor((x.shape[0], self.block.num_heads, x.shape[1])),
        )


def _network(encoder: Encoder) -> keras.Model:
    """Return a model of received weights, (batch, num_layers, num_heads, size)."""
    bias = encoder.get_layer("attention_bias").output
    x, *_ = encoder.layer_sequences
    received = []
    for block in encoder.blocks:
        watched = _Watched(block)
        x, weight = watched(x, bias, encoder.input[batch.VALID], encoder.time_rotation)
        received.append(weight)
    return keras.Model(encoder.input, ops.stack(received, axis=1))
