"""Masks and weights of windows as numpy arrays; see `masking` and `weights`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from astromer.pipeline.options import (
    NIGHT_GAP_D,
    WEIGHT_FLOOR,
    ErrorWeights,
    MaskingConfig,
)

__all__ = ["MaskArrays", "apply_masks", "select_masks", "weigh_errors"]


class MaskArrays(NamedTuple):
    """Which observations of a window are predicted, hidden and falsified."""

    probed: NDArray[np.bool_]
    """(batch, window_size): enters the loss; never padding."""
    hidden: NDArray[np.bool_]
    """(batch, window_size): probed, and neither visible nor random."""
    random: NDArray[np.bool_]
    """(batch, window_size): probed, and shown with another magnitude."""


def select_masks(
    time: NDArray[np.float32],
    size: NDArray[np.int64],
    masking: MaskingConfig,
    rng: np.random.Generator,
) -> MaskArrays:
    """Draw exact numbers of probed, visible and random observations.

    Parameters
    ----------
    time : numpy.ndarray, shape (batch, window_size)
        Rising times [d], which tell the nights; anything at padding.
    size : numpy.ndarray, shape (batch,), int64
        Real observations per window; they come first, padding after them.
    masking : MaskingConfig
        Shares and what they refer to.
    rng : numpy.random.Generator

    Returns
    -------
    masks : MaskArrays
        Every subset of the stated size is equally likely, or every order of nights.
    """
    window_size = time.shape[1]
    probed, visible, random = masking.counts(size)
    # A random number with the position as its last digit: no two are equal, so one
    # sort and a comparison give exact counts. Padding sorts last.
    largest = np.iinfo(np.int32).max
    positions = np.arange(window_size, dtype=np.int32)
    keys = rng.integers(
        largest // window_size, size=(len(size), window_size), dtype=np.int32
    )
    if masking.whole_nights > 0:
        whole = rng.random((len(size), 1)) < masking.whole_nights
        keys = np.where(whole, np.take_along_axis(keys, _night_numbers(time), 1), keys)
    keys = np.where(positions < size[:, None], keys * window_size + positions, largest)
    order = np.sort(keys, axis=1)

    def first(count: NDArray[np.int64]) -> NDArray[np.bool_]:
        last = order[np.arange(len(size)), np.maximum(count - 1, 0)]
        # Below the smallest key where there is nothing to choose.
        return keys <= np.where(count > 0, last, -1)[:, None]

    is_probed, is_visible = first(probed), first(visible)
    is_shown = first(visible + random)
    return MaskArrays(
        probed=is_probed,
        hidden=is_probed & ~is_shown,
        random=is_shown & ~is_visible,
    )


def apply_masks(
    mag: NDArray[np.float32],
    masks: MaskArrays,
    size: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Replace the random observations' magnitudes by others of the same window.

    Parameters
    ----------
    mag : numpy.ndarray, shape (batch, window_size), float32
        Normalized magnitudes [mag].
    masks : MaskArrays
    size : numpy.ndarray, shape (batch,), int64
        Real observations per window.
    rng : numpy.random.Generator

    Returns
    -------
    mag : numpy.ndarray, shape (batch, window_size), float32
        Hidden magnitudes are still there: hiding them is the model's part, so that
        loss and metrics see them.
    """
    row, position = np.nonzero(masks.random)
    count = size[row]
    # A step of 1 ... n-1 around the window never ends where it began.
    step = rng.integers(1, np.maximum(count, 2))
    shown = mag.copy()
    shown[row, position] = mag[row, (position + step) % count]
    return shown


def _night_numbers(time: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return which night of its window each observation belongs to, from 0."""
    begins = np.diff(time, axis=1) >= NIGHT_GAP_D
    return np.pad(np.cumsum(begins, axis=1), [(0, 0), (1, 0)])


def weigh_errors(
    mag_err: NDArray[np.float32], valid: NDArray[np.bool_], policy: ErrorWeights
) -> NDArray[np.float32]:
    """Turn uncertainties into weights of the loss (Sect. 3.3, Eq. 5).

    Parameters
    ----------
    mag_err : numpy.ndarray, shape (batch, window_size), float32
        Uncertainties [mag].
    valid : numpy.ndarray, shape (batch, window_size), bool
        True where the observation is real.
    policy : {"off", "released", "paper"}
        As in `astromer.pipeline.weights.weigh_errors`, which does the same in
        TensorFlow.

    Returns
    -------
    weight : numpy.ndarray, shape (batch, window_size), float32
        Dimensionless, finite, zero at padding.
    """
    if policy == "off":
        return valid.astype(np.float32)
    values = mag_err
    if policy == "released":
        # The reciprocal of anything smaller overflows; TensorFlow takes it for zero.
        normal = mag_err >= np.finfo(np.float32).tiny
        values = np.divide(1.0, mag_err, out=np.zeros_like(mag_err), where=normal)
    low = np.min(values, axis=1, keepdims=True, where=valid, initial=np.inf)
    high = np.max(values, axis=1, keepdims=True, where=valid, initial=-np.inf)
    span = high - low
    # Equal uncertainties give 0 of a range of 0: all observations weigh the same.
    scaled = np.divide(
        values - low, span, out=np.zeros_like(values), where=valid & (span > 0)
    )
    if policy == "paper":
        weight = 1.0 / np.maximum(scaled, WEIGHT_FLOOR)
    else:
        weight = scaled + WEIGHT_FLOOR
    return np.where(valid, weight, 0.0).astype(np.float32)
