"""Run a model over windows of any length, in few shapes and without waste.

Windows of many light curves share batches. They are sorted by size, so that a batch is
only as wide as its longest window; results come back in the order given.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Final, get_args

import keras
import numpy as np
from numpy.typing import NDArray

from astromer.ahead import read_ahead
from astromer.errors import ConfigError, unknown_name
from astromer.inference.runtimes import Runtime, convert
from astromer.inference.sources import chunks
from astromer.lightcurve import LightCurve
from astromer.models import ClassifierNetwork, Encoder, EncoderConfig, Reconstructor
from astromer.pipeline import WindowArrays, tile_windows

__all__ = [
    "OBSERVATIONS_PER_CHUNK",
    "Apply",
    "batches_by_size",
    "compiled",
    "own_encoder",
    "run_batches",
    "windows_ahead",
]

Apply = Callable[[dict[str, NDArray[Any]]], NDArray[np.float32]]
"""A compiled model: a batch of arrays in, its output as an array out."""

OBSERVATIONS_PER_CHUNK: Final = 400_000
"""Observations held at once, padding included; bounds memory, and is enough to sort
windows among."""

_WIDTH_STEP = 25


def batches_by_size(
    size: NDArray[np.int64], batch_size: int, window_size: int
) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Plan batches of windows that are alike in size.

    Parameters
    ----------
    size : numpy.ndarray, shape (num_windows,)
        Real observations per window.
    batch_size : int
        Most windows in a batch.
    window_size : int
        Most observations in a window.

    Yields
    ------
    rows : numpy.ndarray, shape (at most batch_size,)
        Windows of the batch.
    width : int
        Positions that hold all their observations; one of a few values, so that few
        graphs are compiled.
    """
    order = np.argsort(size, kind="stable")
    for first in range(0, len(order), batch_size):
        rows = order[first : first + batch_size]
        longest = int(size[rows[-1]])
        width = min(-(-longest // _WIDTH_STEP) * _WIDTH_STEP, window_size)
        yield rows, width


def own_encoder(model: Reconstructor | ClassifierNetwork | Encoder) -> Encoder:
    """Return the encoder of a model; raise ConfigError if it has none."""
    encoder = model if isinstance(model, Encoder) else model.encoder
    if encoder is None:
        raise ConfigError(
            "This classifier has no encoder to embed with. Received: "
            f'head="{model.head}". Use one of the heads that look at its blocks.'
        )
    return encoder


def windows_ahead(
    light_curves: Iterator[LightCurve], config: EncoderConfig, num_observations: int
) -> Iterator[tuple[list[LightCurve], WindowArrays]]:
    """Read and cut light curves while the model is busy with those before.

    Parameters
    ----------
    light_curves : iterator of LightCurve
        Read in a thread, one group ahead.
    config : EncoderConfig
        Its window and normalization.
    num_observations : int
        See `astromer.inference.sources.chunks`; at most two groups are held at once.

    Yields
    ------
    group : list of LightCurve
    windows : WindowArrays
        Tiled over the group.
    """
    groups = chunks(light_curves, num_observations, at_least=config.window_size)

    yield from read_ahead(
        (group, tile_windows(group, config.window_size, config.normalization))
        for group in groups
    )


def compiled(
    owner: keras.Model,
    key: Hashable,
    build: Callable[[], keras.Model],
    runtime: Runtime = "keras",
) -> Apply:
    """Return a model as a function of arrays, compiled once and kept with its owner.

    On TensorFlow one graph serves every batch and window size. Where padding has
    weight, windows are filled up to the full size first: narrow ones would give other
    results, and results that depend on the other windows of a batch.

    Parameters
    ----------
    owner : Encoder, Reconstructor or ClassifierNetwork
        Model whose weights are used; keeps the function as long as it lives.
    key : hashable
        What tells this function from others of the same owner.
    build : callable
        Makes the model; called the first time, and when weights were replaced.
    runtime : {"keras", "onnx", "openvino"}
        What runs it. Another engine than Keras holds a copy of the weights and is
        built again when they have changed.

    Returns
    -------
    apply : callable

    Raises
    ------
    ConfigError
        If there is no such runtime, or the model cannot be converted for it.
    ImportError
        If it is not installed.
    """
    if runtime not in get_args(Runtime):
        raise ConfigError(unknown_name("runtime", runtime, get_args(Runtime)))
    # Past Keras's attribute tracking: a function is no part of the model's state.
    functions = vars(owner).setdefault("_inference_functions", {})
    weights = owner.weights
    # A graph of Keras reads the weights, but not others that took their places, as
    # quantized ones do.
    stamp: Any = (
        [id(weight) for weight in weights] if runtime == "keras" else _checksum(weights)
    )
    built_for, apply, _ = functions.get((key, runtime), (None, None, None))
    if apply is None or built_for != stamp:
        model = build()
        apply = _compile(model) if runtime == "keras" else convert(model, runtime)
        if owner.config.attention_mask == "released_astromer1":
            apply = _fill_up(apply, owner.config.window_size)
        # The weights are held, lest others get their ids.
        functions[key, runtime] = stamp, apply, weights
    function: Apply = apply
    return function


def _checksum(weights: Sequence[Any]) -> int:
    stamp = 0
    for weight in weights:
        stamp = zlib.crc32(np.ascontiguousarray(weight).data, stamp)
    return stamp


def _compile(model: keras.Model) -> Apply:
    if keras.backend.backend() != "tensorflow":
        return lambda batch: np.asarray(model.predict_on_batch(batch))
    import tensorflow as tf

    signature = {
        name: tf.TensorSpec((None, None), tensor.dtype, name=name)
        for name, tensor in model.input.items()
    }
    graph = tf.function(
        lambda batch: model(batch, training=False), input_signature=[signature]
    )
    return lambda batch: graph(batch).numpy()


def _fill_up(apply: Apply, window_size: int) -> Apply:
    def filled(batch: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        return apply(
            {
                name: np.pad(v, ((0, 0), (0, max(window_size - v.shape[1], 0))))
                for name, v in batch.items()
            }
        )

    return filled


def run_batches(
    apply: Apply,
    inputs: dict[str, NDArray[Any]],
    size: NDArray[np.int64],
    batch_size: int,
    receive: Callable[[NDArray[np.int64], NDArray[np.float32]], None],
) -> None:
    """Apply a model to all windows and hand the results over, batch by batch.

    Parameters
    ----------
    apply : callable
        From `compiled`; takes a dictionary like `inputs`, of any batch and window size.
    inputs : dict of numpy.ndarray, shape (num_windows, window_size)
    size : numpy.ndarray, shape (num_windows,)
        Real observations per window.
    batch_size : int
        Most windows in a batch.
    receive : callable
        ``receive(rows, outputs)`` with the windows of a batch and the model's output
        for them, as numpy arrays.
    """
    window_size = next(iter(inputs.values())).shape[1]
    for rows, width in batches_by_size(size, batch_size, window_size):
        batch = {name: values[rows, :width] for name, values in inputs.items()}
        # Filled up with padding to a power of two: a last batch of every possible
        # size would compile a graph for each.
        missing = min(batch_size, 1 << (len(rows) - 1).bit_length()) - len(rows)
        if missing > 0:
            batch = {
                name: np.concatenate([v, np.zeros((missing, width), v.dtype)])
                for name, v in batch.items()
            }
        receive(rows, apply(batch)[: len(rows)])
