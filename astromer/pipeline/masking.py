"""Choose what the model must predict and what it may see (Sect. 2.3)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from astromer.pipeline.options import MaskingConfig

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
    size: tf.Tensor, window_size: int, masking: MaskingConfig, seed: tf.Tensor
) -> Masks:
    """Draw exact numbers of probed, visible and random observations.

    Parameters
    ----------
    size : tf.Tensor, shape (batch,), int64
        Real observations per window; they come first, padding after them.
    window_size : int
        Positions per window.
    masking : MaskingConfig
        Shares and what they refer to.
    seed : tf.Tensor, shape (2,), int64
        Stateless random seed; the same seed gives the same result.

    Returns
    -------
    masks : Masks
        Every subset of the stated size is equally likely.
    """
    by_size = np.stack(masking.counts(np.arange(window_size + 1)))
    probed, visible, random = tf.unstack(tf.gather(by_size, size, axis=1))
    rows = tf.shape(size)[0]
    # A random number with the position as its last digit: no two are equal, so one
    # sort and a comparison give exact counts. Padding sorts last.
    bits = tf.random.stateless_uniform(
        [rows, window_size], seed, 0, tf.int32.max // window_size, tf.int32
    )
    positions = tf.range(window_size, dtype=tf.int32)
    valid = tf.cast(positions, tf.int64)[None, :] < size[:, None]
    keys = tf.where(valid, bits * window_size + positions, tf.int32.max)
    order = tf.sort(keys, axis=-1)

    def first(count: tf.Tensor) -> tf.Tensor:
        last = tf.gather(order, tf.maximum(count - 1, 0)[:, None], batch_dims=1)
        return (keys <= last) & (count > 0)[:, None]

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
    others = tf.maximum(size - 1, 1)[:, None]
    # A step of 1 ... n-1 around the window never ends where it began.
    step = 1 + tf.cast(draw * tf.cast(others, tf.float32), tf.int64)
    step = tf.minimum(step, others)
    positions = tf.range(window_size, dtype=tf.int64)[None, :]
    donor = (positions + step) % tf.maximum(size, 1)[:, None]
    return tf.where(masks.random, tf.gather(mag, donor, batch_dims=1), mag)
