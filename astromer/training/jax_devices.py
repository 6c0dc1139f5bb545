"""Several devices under JAX: each computes its rows of every batch.

What `tf.distribute.MirroredStrategy` is to TensorFlow, `keras.distribution.DataParallel`
is to JAX. There the whole batch is one array, so that losses and metrics need to know
nothing of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from astromer.errors import ConfigError

__all__ = ["DataParallel", "FixedBatches", "share_batches"]

logger = logging.getLogger(__name__)


class DataParallel(keras.distribution.DataParallel):
    """Data parallelism that also takes batches which cannot be shared evenly.

    Every device computes all of such a batch, with the same result.
    """

    def get_data_layout(self, data_shape: Sequence[int]) -> Any:
        layout = super().get_data_layout(data_shape)
        if data_shape[0] % self.num_model_replicas == 0:
            return layout
        return keras.distribution.TensorLayout(
            [None] * len(data_shape), self.device_mesh
        )


@dataclasses.dataclass(frozen=True)
class _Devices:
    """Devices that share batches; has what a run needs of a strategy."""

    distribution: DataParallel
    devices: tuple[str, ...]

    @property
    def num_replicas_in_sync(self) -> int:
        return int(self.distribution.num_model_replicas)

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        scope: contextlib.AbstractContextManager[Any] = self.distribution.scope()
        return scope


def share_batches(devices: Sequence[str] | int | None = None) -> _Devices:
    """Choose the devices that share every batch.

    Parameters
    ----------
    devices : sequence of str or int, optional
        Devices such as ``"GPU:0"`` or ``"CPU:0"``, or how many; all by default.

    Returns
    -------
    strategy : object
        Build, compile and fit the model in its ``scope()``; ``num_replicas_in_sync``
        says how many devices there are.

    Raises
    ------
    ConfigError
        If a device does not exist, or the backend is not JAX.
    """
    if keras.backend.backend() != "jax":
        raise ConfigError(
            "Devices share batches in this way under JAX. Received: the backend "
            f'"{keras.backend.backend()}". Set KERAS_BACKEND=jax, or use '
            "tf.distribute.MirroredStrategy."
        )
    own = keras.distribution.list_devices()
    known = [*own, *(d for d in keras.distribution.list_devices("cpu") if d not in own)]
    if devices is None or isinstance(devices, int):
        wanted = len(own) if devices is None else devices
        chosen = own[:wanted]
    else:
        wanted = len(devices)
        chosen = [name.lower() for name in devices if name.lower() in known]
    if not 0 < len(chosen) == wanted:
        raise ConfigError(
            f"There are no such devices. Received: devices={devices!r}; there are "
            f"{', '.join(known).upper()}."
        )
    return _Devices(DataParallel(devices=chosen), tuple(chosen))


class FixedBatches(keras.utils.PyDataset):
    """Arrays in batches of fixed contents, for validation.

    The last batch has the rows that are left over. Where devices cannot share it evenly
    it comes first, since Keras lays out all batches like the first.

    Parameters
    ----------
    arrays : tuple
        Inputs and targets from `fixed_windows`.
    batch_size : int
        Windows per batch.
    num_devices : int
        How many devices share a batch.
    """

    def __init__(self, arrays: Any, batch_size: int, num_devices: int = 1) -> None:
        super().__init__()
        self.arrays = arrays
        rows = len(keras.tree.flatten(arrays)[0])
        edges = [*range(0, rows, batch_size), rows]
        self._slices = [slice(*pair) for pair in itertools.pairwise(edges)]
        sizes = np.diff(edges)
        if (sizes % num_devices).any():
            logger.info(
                "%d windows cannot be shared by %d devices: each validates on all",
                rows,
                num_devices,
            )
            # An uneven batch first has every batch computed by every device.
            uneven = int(np.argmax(sizes % num_devices > 0))
            self._slices.insert(0, self._slices.pop(uneven))

    def __len__(self) -> int:
        return len(self._slices)

    def __getitem__(self, index: int) -> Any:
        rows = self._slices[index]
        return keras.tree.map_structure(lambda values: values[rows], self.arrays)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))
