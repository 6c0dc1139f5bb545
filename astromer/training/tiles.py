"""Training windows that are the same in every pass, so that an encoder can meet them once."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astromer import batch
from astromer.models.encoded import VALUES
from astromer.pipeline.stream import Batch, BatchStream

__all__ = ["Encoded", "TileStream"]


@dataclasses.dataclass(frozen=True, eq=False)
class Encoded:
    """What a frozen encoder has given for the windows of a split, tile after tile."""

    values: NDArray[np.float32]
    """(num_windows, vectors, channels): see `astromer.models.encoded`."""
    valid: NDArray[np.bool_]
    """(num_windows, vectors): whether there is a vector."""

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.int64] | slice) -> dict[str, NDArray[Any]]:
        """Return what a head sees of some windows.

        Parameters
        ----------
        rows : numpy.ndarray of int64, or slice
            Positions of the windows.

        Returns
        -------
        inputs : dict of numpy.ndarray
            Inputs of `astromer.models.encoded.head_of`.
        """
        valid = self.valid[rows].astype(np.float32)
        return {VALUES: self.values[rows], batch.VALID: valid}


class TileStream(BatchStream):
    """Training batches of tiles: windows that lie end to end, as in validation.

    A pass takes one tile of every light curve, that of an observation drawn at random:
    all observations count alike over many passes, and a light curve as much as any
    other, however long it is. Parameters are those of `BatchStream`.
    """

    encoded: Encoded | None = None
    """What to give in place of the labeled light curves' tiles, once it is known."""

    def batch(self, number: int) -> Batch:
        """Make a batch.

        Parameters
        ----------
        number : int
            Number of the batch, from 0.

        Returns
        -------
        inputs : dict of numpy.ndarray
            Windows, or what stands for them.
        targets : numpy.ndarray of int64
            Class numbers.
        """
        if self.encoded is None:
            return super().batch(number)
        curve, start, _ = self._place_windows(number)
        rows = self._first_tile[curve] + start // self._window_size
        return self.encoded.take(rows), self.curves.label[curve]

    @functools.cached_property
    def _first_tile(self) -> NDArray[np.int64]:
        """(num_curves,): position among the tiles of labeled light curves."""
        number = -(-self.curves.length // self._window_size)
        number = np.where(self.curves.label >= 0, number, 0)
        first: NDArray[np.int64] = np.cumsum(number) - number
        return first

    def _draw_starts(
        self, length: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        return rng.integers(length) // self._window_size * self._window_size
