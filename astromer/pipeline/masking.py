"""Choose what the model must predict and what it may see (Sect. 2.3)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from astromer.pipeline.options import NIGHT_GAP_D, MaskingConfig

__all__ = ["Masks", "apply_masks", "select_masks"]


class Masks(NamedTuple):
    """Which observations of a window are predicted, hidden and falsified."""

    probed: tf.Tensor
    """(batch, window_size) bool: enters the loss; never padding."""
    hidden: tf.Tensor
    """(batch, window_size) bool: probed, and neither visible nor random."""
    random: tf.Tensor
    """(batch, window_size) bool: probed, and shown with another magnitude."""


def select_masks(
    time: tf.Tensor, size: tf.Tensor, masking: MaskingConfig, seed: tf.Tensor
) -> Masks:
    """Draw exact numbers of probed, visible and random observations.

    Parameters
    ----------
    time : tf.Tensor, shape (batch, window_size)
        Rising times [d], which tell the nights; anything at padding.
    size : tf.Tensor, shape (batch,), int64
        Real observations per window; they come first, padding after them.
    masking : MaskingConfig
        Shares and what they refer to.
    seed : tf.Tensor, shape (2,), int64
        Stateless random seed; the same seed gives the same result.

    Returns
    -------
    masks : Masks
        Every subset of the stated size is equally likely, or every order of nights.
    """
    window_size = time.shape[1]
    probed, visible, random = masking.counts(np.arange(window_size + 1))
    rows = tf.shape(size)[0]
    # A random number with the position as its last digit: no two are equal, so a
    # comparison with the n-th smallest gives exact counts. Padding comes last.
    bits = tf.random.stateless_uniform(
        [rows, window_size], seed, 0, tf.int32.max // window_size, tf.int32
    )
    if masking.whole_nights > 0:
        draw = tf.random.stateless_uniform([rows, 1], tf.random.fold_in(seed, 1))
        bits = tf.where(
            draw < masking.whole_nights,
            tf.gather(bits, _night_numbers(time), batch_dims=1),
            bits,
        )
    positions = tf.range(window_size, dtype=tf.int32)
    valid = positions < tf.cast(size, tf.int32)[:, None]
    keys = tf.where(valid, bits * window_size + positions, tf.int32.max)

    def first(by_size: NDArray[np.int64]) -> tf.Tensor:
        return keys <= _nth_smallest(keys, size, by_size)[:, None]

    is_probed, is_visible = first(probed), first(visible)
    is_shown = first(visible + random)
    return Masks(
        probed=is_probed,
        hidden=is_probed & ~is_shown,
        random=is_shown & ~is_visible,
    )


def apply_masks(
    mag: tf.Tensor, masks: Masks, size: tf.Tensor, seed: tf.Tensor
) -> tf.Tensor:
    """Replace the random observations' magnitudes by others of the same window.

    Parameters
    ----------
    mag : tf.Tensor, shape (batch, window_size), float32
        Normalized magnitudes [mag].
    masks : Masks
    size : tf.Tensor, shape (batch,), int64
        Real observations per window.
    seed : tf.Tensor, shape (2,), int64
        Stateless random seed.

    Returns
    -------
    mag : tf.Tensor, shape (batch, window_size), float32
        Hidden magnitudes are still there: hiding them is the model's part, so that
        loss and metrics see them.
    """
    window_size = mag.shape[1]
    draw = tf.random.stateless_uniform(tf.shape(mag), seed)
    size = tf.maximum(tf.cast(size, tf.int32), 1)[:, None]
    others = tf.maximum(size - 1, 1)
    # A step of 1 ... n-1 around the window never ends where it began.
    step = 1 + tf.cast(draw * tf.cast(others, tf.float32), tf.int32)
    donor = tf.range(window_size) + tf.minimum(step, others)
    donor = tf.where(donor < size, donor, donor - size)
    return tf.where(masks.random, tf.gather(mag, donor, batch_dims=1), mag)


def _night_numbers(time: tf.Tensor) -> tf.Tensor:
    """Return which night of its window each observation belongs to, from 0."""
    begins = time[:, 1:] - time[:, :-1] >= NIGHT_GAP_D
    return tf.pad(tf.cumsum(tf.cast(begins, tf.int32), axis=1), [[0, 0], [1, 0]])


def _nth_smallest(
    keys: tf.Tensor, size: tf.Tensor, by_size: NDArray[np.int64]
) -> tf.Tensor:
    """Return the n-th smallest key of each row; n follows from its size, -1 for n = 0.

    TensorFlow selects the same n in all rows, several times as fast as it sorts. So the
    n of full windows serves all: shorter ones get keys of -1 in place of padding.
    """
    window_size = len(by_size) - 1
    largest = int(by_size[-1])
    if largest == 0:
        return tf.fill([tf.shape(keys)[0]], -1)
    missing = largest - by_size
    # Where two counts were rounded down, more may be missing than there is padding.
    padding = np.arange(window_size, -1, -1)
    extra = max(0, int((missing - padding).max()))
    width = window_size + extra
    if extra:
        keys = tf.pad(keys, [[0, 0], [0, extra]], constant_values=tf.int32.max)
    stop = tf.gather((width - missing).astype(np.int32), size)
    keys = tf.where(tf.range(width) < stop[:, None], keys, -1)
    return tf.raw_ops.NthElement(input=keys, n=largest - 1)
