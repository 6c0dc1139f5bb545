"""All windows of a split, and what a frozen encoder gives for them, computed once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final, Self

import keras
import numpy as np
from numpy.typing import NDArray

from astromer.models import ClassifierNetwork
from astromer.models.encoded import POOLED_HEADS, encoded_shape, encoding_of
from astromer.pipeline.arrays import lay_tiles
from astromer.training.data import RunData, fixed_batches
from astromer.training.jax_devices import FixedBatches
from astromer.training.labels import iterate_labeled
from astromer.training.strategy import devices_in_scope
from astromer.training.tiles import Encoded

__all__ = ["SplitTiles", "bytes_to_encode", "encode", "predict_in_order"]

_BYTES: Final = 4
_COPIES: Final = 2
"""Keras joins the batches of a prediction in the end, and holds both for a moment."""


@dataclasses.dataclass(frozen=True, eq=False)
class SplitTiles:
    """Where the windows of a split's labeled light curves lie: end to end, in order."""

    label: NDArray[np.int64]
    """(num_curves,): class numbers."""
    curve: NDArray[np.int64]
    """(num_windows,): light curve of each window."""
    size: NDArray[np.int64]
    """(num_windows,): observations in each window."""

    def __len__(self) -> int:
        return len(self.size)

    @classmethod
    def of(cls, data: RunData, split: str) -> Self:
        """Read how long the light curves are, and their labels.

        Parameters
        ----------
        data : RunData
            Of task ``"classify"``.
        split : str

        Returns
        -------
        tiles : SplitTiles
            In the order of `fixed_batches`.
        """
        pairs = [(len(c), c.label) for c in iterate_labeled(data.splits, split)]
        length, label = np.array(pairs, np.int64).T
        return cls.lay(length, label, data.encoder.window_size)

    @classmethod
    def lay(
        cls, length: NDArray[np.int64], label: NDArray[np.int64], window_size: int
    ) -> Self:
        """Lay windows over labeled light curves.

        Parameters
        ----------
        length, label : numpy.ndarray, shape (num_curves,), int64
            Observations and class numbers.
        window_size : int

        Returns
        -------
        tiles : SplitTiles
        """
        curve, start = lay_tiles(length, window_size)
        return cls(label, curve, np.minimum(length[curve] - start, window_size))


def bytes_to_encode(network: ClassifierNetwork, num_windows: int) -> int:
    """Return the memory that `encode` takes at most.

    Parameters
    ----------
    network : ClassifierNetwork
    num_windows : int

    Returns
    -------
    bytes : int
    """
    vectors, channels = encoded_shape(network)
    return num_windows * vectors * channels * _BYTES * _COPIES


def encode(
    network: ClassifierNetwork,
    data: RunData,
    split: str,
    tiles: SplitTiles,
    progress: Callable[[int], None] = lambda number: None,
) -> Encoded:
    """Run all windows of a split through the frozen part of a classifier.

    Parameters
    ----------
    network : ClassifierNetwork
        With a head that looks at blocks.
    data : RunData
    split : str
    tiles : SplitTiles
        Those of the split.
    progress : callable, optional
        Takes the number of windows that are done, after every batch.

    Returns
    -------
    encoded : Encoded
    """
    size = data.options.batch_size
    values = predict_in_order(
        encoding_of(network),
        fixed_batches(data, split),
        len(tiles),
        size,
        progress=lambda batch: progress(min(batch * size, len(tiles))),
    )
    positions = np.arange(values.shape[1])
    is_pooled = network.head in POOLED_HEADS
    valid = positions < (len(positions) if is_pooled else tiles.size[:, None])
    return Encoded(values, np.broadcast_to(valid, values.shape[:2]))


def predict_in_order(
    model: keras.Model,
    windows: Any,
    num_windows: int,
    batch_size: int,
    progress: Callable[[int], None] = lambda number: None,
) -> NDArray[np.float32]:
    """Predict windows on all devices, row after row as they are given.

    Parameters
    ----------
    model : keras.Model
    windows : object
        From `fixed_batches`, or arrays as inputs of the model.
    num_windows : int
        How many there are.
    batch_size : int
    progress : callable, optional
        Takes the number of batches that are done, after every batch.

    Returns
    -------
    values : numpy.ndarray, shape (num_windows, ...)
    """
    if isinstance(windows, FixedBatches):
        # Their batches may stand in another order.
        windows = windows.arrays[0]
    how: dict[str, Any] = {"batch_size": batch_size}
    if not isinstance(windows, dict):
        # Counted here: where light curves have no label, the dataset cannot tell.
        how = {"steps": -(-num_windows // batch_size)}
    elif extra := -num_windows % devices_in_scope():
        # Devices share only what they can share evenly.
        rows = np.arange(num_windows + extra) % num_windows
        windows = {name: values[rows] for name, values in windows.items()}
    values: NDArray[np.float32] = model.predict(
        windows, verbose=0, callbacks=[_Count(progress)], **how
    )
    return values[:num_windows]


class _Count(keras.callbacks.Callback):
    """Tell how many batches are predicted."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        super().__init__()
        self.tell = tell

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self.tell(batch + 1)
