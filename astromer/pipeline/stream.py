"""Batches of windows as numpy arrays: `load_dataset` for backends without tf.data.

A batch follows from the seed and its number alone, so that a run which goes on at
batch k sees what it would have seen without the break. Nothing here imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astromer import batch
from astromer.checks import (
    check_integer,
    check_names,
    check_not_negative,
    check_positive,
)
from astromer.errors import ConfigError
from astromer.pipeline.array_masking import apply_masks, select_masks, weigh_errors
from astromer.pipeline.arrays import (
    WindowArrays,
    cut_windows,
    lay_tiles,
    sample_starts,
)
from astromer.pipeline.curves import CurveArrays, Source
from astromer.pipeline.options import (
    DEFAULT_WINDOW_SIZE,
    ErrorWeights,
    MaskingConfig,
    Normalization,
    Task,
    Tiling,
    check_labels,
    check_masking_task,
)

__all__ = ["Batch", "BatchStream", "fixed_windows", "stream_batches"]

Batch = tuple[dict[str, NDArray[Any]], Any]
"""Inputs by name, and targets by name or class numbers; see `astromer.batch`."""

# What a random number is for, so that no two purposes share one.
_ORDER, _WINDOWS, _FIXED_MASKS = range(3)


class BatchStream:
    """Training batches by number, in fresh windows and masks without end.

    The windows, masks and weights are those of ``load_dataset(..., training=True)``,
    drawn by numpy: alike in distribution, not in value. Each light curve gives one
    random window per pass. Passes flow into each other, so that every batch is full and
    has one shape, for which JAX compiles one program; `load_dataset` ends every pass
    with what is left over.

    The light curves are held in memory, 16 bytes an observation.

    Parameters
    ----------
    source : path, light curves or frame
        As for `load_dataset`.
    split : str, optional
        Part of the records; None takes all. Records only.
    task : {"pretrain", "classify"}
        Targets: the probed magnitudes, or class numbers. Light curves without a label
        are left out of the latter.
    window_size : int
        Observations per window; shorter light curves are padded with zeros.
    batch_size : int
        Windows per batch.
    seed : int
        Seed of order, windows and masks.
    normalization : {"window", "light_curve"}
        Whose mean time and magnitude are subtracted.
    masking : MaskingConfig, optional
        Shares of probed, visible and random observations. Task ``"pretrain"`` only.
    error_weights : {"off", "released", "paper"}
        Weights of the loss from uncertainties. Task ``"pretrain"`` only.

    Raises
    ------
    ConfigError
        If an option is not valid or does not go with the source or the task.
    RecordError
        If the folder holds no records, or a record is missing or damaged.
    """

    def __init__(
        self,
        source: Source,
        *,
        split: str | None = None,
        task: Task = "pretrain",
        window_size: int = DEFAULT_WINDOW_SIZE,
        batch_size: int = 64,
        seed: int = 0,
        normalization: Normalization = "window",
        masking: MaskingConfig | None = None,
        error_weights: ErrorWeights = "off",
    ) -> None:
        _check(task, window_size, seed, normalization, masking, error_weights)
        check_positive(batch_size=batch_size)
        self.curves = CurveArrays.load(source, split, classes=task == "classify")
        self._rows = _rows_of(self.curves, task)
        self._task = task
        self._window_size = window_size
        self._batch_size = batch_size
        self._seed = seed
        self._normalization = normalization
        self._masking = masking or MaskingConfig()
        self._error_weights = error_weights
        self._orders: dict[int, NDArray[np.int64]] = {}

    @property
    def windows_per_pass(self) -> int:
        """Windows until every light curve has given one."""
        return len(self._rows)

    def curves_of(self, number: int) -> NDArray[np.int64]:
        """Return which light curves a batch is made of.

        Parameters
        ----------
        number : int
            Number of the batch, from 0.

        Returns
        -------
        curves : numpy.ndarray, shape (batch_size,), int64
            Positions in the source; ``stream.curves.object_id`` has their names.
        """
        first = number * self._batch_size
        places = np.arange(first, first + self._batch_size)
        passes, places = np.divmod(places, self.windows_per_pass)
        parts = [self._order(n)[places[passes == n]] for n in np.unique(passes)]
        return np.concatenate(parts)

    def batch(self, number: int) -> Batch:
        """Make a batch.

        Parameters
        ----------
        number : int
            Number of the batch, from 0.

        Returns
        -------
        inputs : dict of numpy.ndarray
        targets : dict of numpy.ndarray, or numpy.ndarray of int64
            Names, shapes and units are those of `astromer.batch`.
        """
        curve, start, rng = self._place_windows(number)
        windows = cut_windows(
            self.curves, curve, start, self._window_size, self._normalization
        )
        if self._task == "classify":
            return windows.inputs(), self.curves.label[curve]
        return _mask(windows, self._masking, self._error_weights, rng)

    def iterate(self, start_batch: int = 0) -> Iterator[Batch]:
        """Yield batches from a number on, without end."""
        while True:
            yield self.batch(start_batch)
            start_batch += 1

    def _place_windows(
        self, number: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], np.random.Generator]:
        """Return light curves and first observations of a batch's windows."""
        curve = self.curves_of(number)
        rng = _generator(self._seed, _WINDOWS, number)
        return curve, self._draw_starts(self.curves.length[curve], rng), rng

    def _draw_starts(
        self, length: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        return sample_starts(length, self._window_size, rng)

    def _order(self, number: int) -> NDArray[np.int64]:
        if number not in self._orders:
            # A batch lies in two passes at most, unless passes are shorter than it.
            while len(self._orders) > 1:
                del self._orders[min(self._orders)]
            rng = _generator(self._seed, _ORDER, number)
            self._orders[number] = rng.permutation(self._rows)
        return self._orders[number]


def stream_batches(
    source: Source, *, start_batch: int = 0, **options: Any
) -> Iterator[Batch]:
    """Return training batches without end, as numpy arrays.

    For `fit` on any backend: ``model.fit(stream_batches(curves), steps_per_epoch=100)``.

    Parameters
    ----------
    source : path, light curves or frame
        As for `load_dataset`.
    start_batch : int
        Number of the first batch. Starting at k gives what skipping k would.
    **options
        ``split``, ``task``, ``window_size``, ``batch_size``, ``seed``,
        ``normalization``, ``masking``, ``error_weights``; see `BatchStream`.

    Returns
    -------
    batches : iterator of (inputs, targets)
        All of one shape. Options and source are checked at once.

    Raises
    ------
    ConfigError
        If an option is not valid or does not go with the source or the task.
    RecordError
        If the folder holds no records, or a record is missing or damaged.

    Examples
    --------
    >>> from astromer.records import sample_records
    >>> batches = stream_batches(sample_records(), split="train", batch_size=4)
    >>> inputs, targets = next(batches)
    >>> inputs["mag"].shape, targets["probed"].shape
    ((4, 200), (4, 200))
    """
    check_not_negative(start_batch=start_batch)
    return BatchStream(source, **options).iterate(start_batch)


def fixed_windows(
    source: Source,
    *,
    split: str | None = None,
    task: Task = "pretrain",
    window_size: int = DEFAULT_WINDOW_SIZE,
    seed: int = 0,
    tiling: Tiling = "exact",
    normalization: Normalization = "window",
    masking: MaskingConfig | None = None,
    error_weights: ErrorWeights = "off",
) -> Batch:
    """Return all windows of a source with one set of masks, to validate on.

    The windows are those of ``load_dataset(..., training=False)``; the masks are drawn
    by numpy and differ in value. They do not depend on any batch size.

    Parameters
    ----------
    source : path, light curves or frame
        As for `load_dataset`.
    split, task, window_size, seed, tiling, normalization, masking, error_weights
        As for `load_dataset`.

    Returns
    -------
    inputs : dict of numpy.ndarray
    targets : dict of numpy.ndarray, or numpy.ndarray of int64
        Names, shapes and units are those of `astromer.batch`; about 4 kB a window of
        200. ``model.fit(..., validation_data=fixed_windows(...))``.

    Raises
    ------
    ConfigError
        If an option is not valid or does not go with the source or the task.
    RecordError
        If the folder holds no records, or a record is missing or damaged.
    """
    _check(task, window_size, seed, normalization, masking, error_weights)
    check_names(tiling=(tiling, Tiling))
    curves = CurveArrays.load(source, split, classes=task == "classify")
    rows = _rows_of(curves, task)
    place, start = lay_tiles(curves.length[rows], window_size, tiling)
    windows = cut_windows(curves, rows[place], start, window_size, normalization)
    if task == "classify":
        return windows.inputs(), curves.label[windows.curve]
    rng = _generator(seed, _FIXED_MASKS, 0)
    return _mask(windows, masking or MaskingConfig(), error_weights, rng)


def _mask(
    windows: WindowArrays,
    masking: MaskingConfig,
    error_weights: ErrorWeights,
    rng: np.random.Generator,
) -> Batch:
    masks = select_masks(windows.time, windows.size, masking, rng)
    inputs = windows.inputs()
    inputs[batch.MAG] = apply_masks(windows.mag, masks, windows.size, rng)
    inputs[batch.HIDDEN] = masks.hidden
    targets = {
        batch.MAG: windows.mag,
        batch.PROBED: masks.probed,
        batch.WEIGHT: weigh_errors(windows.mag_err, windows.valid, error_weights),
    }
    return inputs, targets


def _rows_of(curves: CurveArrays, task: Task) -> NDArray[np.int64]:
    """Return the light curves that a task can use."""
    if task != "classify":
        return np.arange(len(curves))
    rows = np.flatnonzero(curves.label >= 0)
    check_labels(len(rows), len(curves))
    return rows


def _generator(seed: int, purpose: int, number: int) -> np.random.Generator:
    # numpy takes no negative seeds; load_dataset does.
    return np.random.default_rng([seed % 2**64, purpose, number])


def _check(
    task: Task,
    window_size: int,
    seed: int,
    normalization: Normalization,
    masking: MaskingConfig | None,
    error_weights: ErrorWeights,
) -> None:
    check_names(
        task=(task, Task),
        normalization=(normalization, Normalization),
        error_weights=(error_weights, ErrorWeights),
    )
    check_positive(window_size=window_size)
    check_integer(seed=seed)
    check_masking_task(task, masking, error_weights)
    if task == "embed":
        raise ConfigError(
            'Batches to train on have targets. Received: task="embed". '
            "`tile_windows` and `load_dataset` give windows to embed."
        )
